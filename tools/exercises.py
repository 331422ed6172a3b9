"""What the pages show of the exercise bank, and the self-checks tried on every answer.

Pages hold only what is derived from a master ``exercises/PART/PAGE.md`` (its form: `classroom/bank.py`): the
statement, a stub (the solution without the region between BEGIN SOLUTION and END SOLUTION) and the check.

    python tools/exercises.py --sync     write the derived regions into the pages
    python tools/exercises.py --check    exit 1 if a master is faulty or a page has drifted (the default)
    python tools/exercises.py --run      run solution, stub and wrong answers of every master
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import os
import re
import sys
import time
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # the masters import genkit
    sys.path.insert(0, str(ROOT))
from classroom.bank import KINDS, BankError, Exercise, Master, bound, last_call, read_bank, read_master  # noqa: E402

EMPTY = "(filled by tools/exercises.py)"
FILLED = re.compile(r":::\{exercise\}[^\n]*\n(?:(?!:::)[^\n]*\n)*:::")


# ---------- pages ----------


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


@dataclass
class Block:
    """A stretch of a page's lines: a code cell, a `+++` line or text."""

    kind: str
    start: int
    end: int  # exclusive
    ex: dict[str, Any]
    code: str = ""


def blocks(lines: list[str]) -> list[Block]:
    """Split the lines of a MyST page at its cell boundaries."""
    out: list[Block] = []
    i = 0
    if lines and lines[0] == "---":
        i = lines.index("---", 1) + 1
        out.append(Block("text", 0, i, {}))
    while i < len(lines):
        start = i
        fence = re.match(r"(`{3,}|~{3,})\s*(\{code-cell\})?", lines[i])
        if fence:
            close = re.compile(rf"{re.escape(fence[1][0])}{{{len(fence[1])},}}\s*$")
            i += 1
            while i < len(lines) and not close.match(lines[i]):
                i += 1
            i += 1
            if fence[2]:
                options, code = _options(lines[start + 1 : i - 1])
                out.append(Block("code", start, i, options.get("ex") or {}, code))
                continue
        elif lines[i].startswith("+++"):
            i += 1
            meta = yaml.safe_load(lines[start][3:].strip() or "{}") or {}
            out.append(Block("break", start, i, meta.get("ex") or {}))
            continue
        else:
            i += 1
        if out and out[-1].kind == "text" and out[-1].end == start:
            out[-1].end = i
        else:
            out.append(Block("text", start, i, {}))
    return out


def _options(lines: list[str]) -> tuple[dict[str, Any], str]:
    """A code cell's metadata (a YAML block or `:key: value` lines) and its code."""
    if lines and lines[0].strip() == "---":
        end = lines.index("---", 1)
        return yaml.safe_load("\n".join(lines[1:end])) or {}, "\n".join(lines[end + 1 :])
    n = 0
    while n < len(lines) and re.match(r":[\w-]+:", lines[n]):
        n += 1
    return yaml.safe_load("\n".join(line[1:] for line in lines[:n])) or {}, "\n".join(lines[n:])


def fill(text: str, master: Master, page: str) -> str:
    """`text` of a page with every exercise region derived anew from the master.

    Raises
    ------
    BankError
        The page misses an exercise, has one twice or one that the master does not know, or lacks a name
        that an exercise needs.
    """
    bank = {exercise.id: exercise for exercise in master.exercises}
    given = bound(master.setup)
    names: set[str] = set()  # what the page's own code has bound so far
    done: set[str] = set()
    lines = text.split("\n")
    parts = blocks(lines)
    out: list[str] = []
    copied = 0  # lines of the page that are dealt with
    for n, block in enumerate(parts):
        if block.start < copied:
            continue
        if not block.ex:
            if block.kind == "code":
                try:
                    names |= bound(block.code)
                except SyntaxError as error:
                    raise BankError(f"{page}, line {block.start + 1}: {error.msg}") from None
            continue
        id = str(block.ex.get("id"))
        where = f"{page}, line {block.start + 1}: exercise {id!r}: "
        if block.ex.get("role") != "statement" or block.kind != "break":
            raise BankError(where + f"a {block.ex.get('role')} cell stands without its statement")
        if id not in bank:
            raise BankError(where + "the master does not have it")
        if id in done:
            raise BankError(where + "stands twice on the page")
        done.add(id)
        out += [*lines[copied : block.start], *region(bank[id]).split("\n"), ""]
        copied = _region_end(lines, parts[n:], id, where)
        if bank[id].written and copied < len(lines) and not re.match(r"\+\+\+|`{3,}", lines[copied]):
            out += ["+++", ""]  # what follows is a cell of its own
        missing = (_used(bank[id]) & given) - names
        if missing:
            raise BankError(where + f"the page does not define {', '.join(sorted(missing))} before it")
        names |= _binds(bank[id])
    for id in bank:
        if id not in done:
            cell = f'+++ {{"ex": {{"id": "{id}", "role": "statement"}}}}'
            raise BankError(f"{page}: exercise {id!r} has no place: add a cell\n{cell}\n\n{EMPTY}\n\n+++")
    return "\n".join(out + lines[copied:])


def _region_end(lines: list[str], parts: list[Block], id: str, where: str) -> int:
    """The line after an exercise's region, which begins with parts[0]; blank lines are counted in."""
    end = parts[0].end
    rest = parts[1:]
    if rest and rest[0].kind == "text":
        text = "\n".join(lines[rest[0].start : rest[0].end]).strip()
        if text not in ("", EMPTY) and not FILLED.fullmatch(text):
            raise BankError(where + "other text follows in its cell and would be lost: put +++ before it")
        end = rest.pop(0).end
    for part in rest:  # the derived code cells, if they are there already
        if part.kind == "code" and part.ex.get("id") == id:
            end = part.end
        elif part.kind != "text" or "".join(lines[part.start : part.end]).strip():
            break
    while end < len(lines) and not lines[end].strip():
        end += 1
    if end < len(lines) and lines[end].strip() == "+++":  # a text after a code cell needs none
        end += 1
        while end < len(lines) and not lines[end].strip():
            end += 1
    return end


def _binds(exercise: Exercise) -> set[str]:
    """Names that an exercise's cells on the page bind."""
    return (
        bound("\n".join((exercise.numbers, exercise.solution, exercise.check))) if exercise.check else set()
    )


def _used(exercise: Exercise) -> set[str]:
    """Names that an exercise's solution and check read."""
    if exercise.written:
        return set()
    tree = ast.parse(exercise.solution + "\n" + exercise.check)
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def page_of(master: Master, root: Path = ROOT) -> Path:
    """The page that shows a master's exercises."""
    path = root / "chapters" / f"{master.page}.md"
    if not path.exists():
        name = master.path.relative_to(root).as_posix()
        raise BankError(f"{name}: there is no page chapters/{master.page}.md")
    return path


def strays(masters: list[Master], root: Path = ROOT) -> list[str]:
    """Pages that hold exercise cells without having a master."""
    known = {master.page for master in masters}
    out = []
    for path in sorted((root / "chapters").rglob("*.md")):
        page = path.relative_to(root / "chapters").with_suffix("").as_posix()
        if page in known:
            continue
        for block in blocks(path.read_text(encoding="utf-8").split("\n")):
            if block.ex:
                where, id = f"chapters/{page}.md, line {block.start + 1}", block.ex.get("id")
                out.append(f"{where}: exercise {id!r} has no master")
    return out


# ---------- running ----------


def attempt(master: Master, exercise: Exercise, answer: str) -> tuple[str, str]:
    """Run an answer through the check, as a reader would: ("passed" | "not attempted" | "rejected", line).

    Anything that the setup, the answer or the check raises outside `self_check` is an error of the bank
    and gets out.
    """
    space: dict[str, Any] = {"__name__": "__main__"}
    heard = io.StringIO()
    with contextlib.redirect_stdout(heard):
        for role, code in (("setup", master.setup), ("numbers", exercise.numbers), ("answer", answer)):
            exec(compile(code, f"<{exercise.id}: {role}>", "exec"), space)
        tree = ast.parse(exercise.check)
        last = tree.body.pop()
        assert isinstance(last, ast.Expr)  # read_master has looked
        exec(compile(tree, f"<{exercise.id}: check>", "exec"), space)
        ok = eval(compile(ast.Expression(last.value), f"<{exercise.id}: check>", "eval"), space)
    said = heard.getvalue().strip().split("\n")[-1]
    if ok is True and said.startswith("✓"):
        return "passed", said
    if ok is False and "not attempted" in said and said.startswith("·"):
        return "not attempted", said
    return "rejected", said


def run(master: Master, exercise: Exercise) -> list[str]:
    """What is wrong with an exercise's answers: an empty list when all is as it should be."""
    if exercise.written:
        return []
    wanted = [("the solution", exercise.solution, "passed"), ("the stub", exercise.stub, "not attempted")]
    wanted += [(f"the wrong answer ({why})", code, "rejected") for why, code in exercise.wrong]
    out = []
    for what, code, want in wanted:
        try:
            got, said = attempt(master, exercise, code)
        except Exception as error:
            got, said = "stopped", f"{type(error).__name__}: {error}"
        if got != want:
            name = f"exercises/{master.page}.md: exercise {exercise.id!r}"
            out.append(f"{name}: {what} should be {want}, but is {got}: {said}")
    return out


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="only masters whose page contains one of these words")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--sync", action="store_true", help="write the derived regions into the pages")
    what.add_argument("--check", action="store_true", help="exit 1 if a page has drifted (the default)")
    what.add_argument("--run", action="store_true", help="run every solution, stub and wrong answer")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    try:
        return _main(args, args.root)
    except BankError as error:
        raise SystemExit(str(error)) from None


def _main(args: argparse.Namespace, root: Path) -> int:
    bank = root / "exercises"
    wrong: list[str] = []
    if args.names:  # an author's own masters: another's half-written file is not in the way
        pages = {
            path: path.relative_to(bank).with_suffix("").as_posix() for path in sorted(bank.rglob("*.md"))
        }
        paths = [path for path, page in pages.items() if any(word in page for word in args.names)]
        masters = [read_master(path, bank) for path in paths]
    else:
        masters = read_bank(bank)
        wrong = strays(masters, root)
    for master in masters:
        if args.run:
            for exercise in master.exercises:
                start = time.process_time()
                faults = run(master, exercise)
                wrong += faults
                mark, seconds = "✗" if faults else "✓", time.process_time() - start
                print(f"{mark} {exercise.id}: {2 + len(exercise.wrong)} answers, {seconds:.1f} s")
            continue
        path = page_of(master, root)
        name = path.relative_to(root).as_posix()
        have = path.read_text(encoding="utf-8")
        want = fill(have, master, name)
        if have == want:
            continue
        if args.sync:
            path.write_text(want, encoding="utf-8")
            print(f"wrote {name}")
        else:
            diff = [line for line in unified_diff(have.split("\n"), want.split("\n"), lineterm="", n=0)]
            first = next(line for line in diff[2:] if line[0] in "+-")
            here = next(line for line in diff if line.startswith("@@"))
            wrong.append(f"{name}: an exercise differs from exercises/{master.page}.md at {here}: {first!r}; "
                         "run python tools/exercises.py --sync")  # fmt: skip
    for message in wrong:
        print(message, file=sys.stderr)
    if not wrong:
        print(f"{sum(len(m.exercises) for m in masters)} exercises in {len(masters)} masters: nothing wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
