"""Exercises stand in the bank alone: a page holds a marker, which is replaced wherever the page is read.

    :::{bank} density-kde
    :::

What a reader sees there is derived from the master exercises/PART/PAGE.md (form: `classroom/bank.py`): the
statement, a stub (the solution without the region between BEGIN SOLUTION and END SOLUTION) and the check.
"""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

from classroom.bank import KINDS, BankError, Exercise, last_call, read_master
from tools import myst

MARKER = "bank"


@functools.lru_cache(128)
def expand(text: str, bank: str, path: Path, folder: Path) -> tuple[str, tuple[int, ...]]:
    """`text` of a page with its exercises in it, and of each line the line of the page that it stems from.

    `bank` is the text of the page's master at `path` in the bank `folder`, '' if it has none.

    Raises
    ------
    BankError
        The master is faulty, or the page lacks an exercise of it, has one twice or one that it does not hold.
    """
    known = {e.id: e for e in read_master(path, folder).exercises} if bank else {}
    lines = text.split("\n")
    out: list[str] = []
    origin: list[int] = []
    done: set[str] = set()
    copied = 0
    for one, token in myst.directives(text):
        if one.name != MARKER:
            continue
        assert token.map is not None  # block tokens have one
        id, (start, end) = one.argument, token.map
        where = f"line {start + 1}: exercise {id!r} "
        if id not in known:
            raise BankError(where + f"is not in exercises/{path.relative_to(folder).as_posix()}")
        if id in done:
            raise BankError(where + "stands twice on the page")
        done.add(id)
        shown = [*region(known[id]).split("\n"), *(["", "+++"] if known[id].written else [])]
        out += lines[copied:start] + shown
        origin += [*range(copied, start), *([start] * len(shown))]
        copied = end
    if missing := [id for id in known if id not in done]:
        marker = f":::{{{MARKER}}} {missing[0]}"
        raise BankError(f"exercise {missing[0]!r} has no place: add the lines {marker!r} and ':::'")
    out += lines[copied:]
    origin += range(copied, len(lines) + 1)
    return "\n".join(out), tuple(origin)


def region(exercise: Exercise) -> str:
    """What the page shows of an exercise: statement, stub and check, as MyST cells."""
    meta = exercise.meta
    facts = f"{KINDS[meta['kind']]} · about {meta['minutes']} minutes · {meta['points']} points"
    parts = [
        f'+++ {{"ex": {{"id": "{exercise.id}", "role": "statement"}}}}',
        "",
        f":::{{exercise}} {exercise.title}",
        f":label: ex-{exercise.id}",
        "",
        exercise.text(),
        "",
        f"*{facts}*",
        ":::",
    ]
    if exercise.written:
        return "\n".join(parts)
    check = exercise.check.rstrip()
    call = last_call(ast.parse(check))
    assert call is not None  # read_master has looked
    lines = check.split("\n")
    # or the notebook shows a bare False under the line
    lines[call.lineno - 1] = "_ = " + lines[call.lineno - 1]
    if exercise.numbers:
        parts += ["", _cell(exercise.id, "numbers", exercise.numbers.rstrip())]
    parts += ["", _cell(exercise.id, "stub", exercise.stub.rstrip())]
    parts += ["", _cell(exercise.id, "check", "\n".join(lines), ":tags: [hide-input]\n")]
    return "\n".join(parts)


def _cell(id: str, role: str, code: str, options: str = "") -> str:
    ticks = "`" * max([3, *(len(run) + 1 for run in re.findall(r"`{3,}", code))])
    return f"{ticks}{{code-cell}} ipython3\n:ex: {{id: {id}, role: {role}}}\n{options}\n{code}\n{ticks}"
