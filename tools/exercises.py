"""The exercise bank: check the masters, derive what the pages show, and run every answer.

A master ``exercises/PART/PAGE.md`` holds, per exercise, a statement, the solution, the check and at least
two wrong answers that the check must reject. Pages hold only what is derived: the statement, a stub (the
solution without the region between BEGIN SOLUTION and END SOLUTION) and the check.

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
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import unified_diff
from pathlib import Path
from typing import Any

import jupytext
import yaml

ROOT = Path(__file__).resolve().parent.parent
STUB = 'raise NotImplementedError("your code here")'
REGION = re.compile(r"^([ \t]*)### BEGIN SOLUTION[^\n]*\n.*?^[ \t]*### END SOLUTION[^\n]*$", re.S | re.M)
EMPTY = "(filled by tools/exercises.py)"
FILLED = re.compile(r":::\{exercise\}[^\n]*\n(?:(?!:::)[^\n]*\n)*:::")
KINDS = {"implement": "Implement", "investigate": "Investigate"}
ROLES = ("setup", "statement", "solution", "check", "wrong")


class ExerciseError(SystemExit):
    """A faulty master or page: the message names the file and the exercise."""


@dataclass
class Exercise:
    """One exercise of a master."""

    id: str
    meta: dict[str, Any]
    title: str = ""
    statement: str = ""
    solution: str = ""
    check: str = ""
    wrong: list[tuple[str, str]] = field(default_factory=list)  # (why, code)

    @property
    def stub(self) -> str:
        """The solution with its answer taken out."""
        return REGION.sub(lambda m: m[1] + STUB, self.solution)


@dataclass
class Master:
    """One file of the bank, which belongs to one page."""

    path: Path
    page: str  # "objectives/density"
    setup: str
    exercises: list[Exercise]


# ---------- masters ----------


def read_master(path: Path, root: Path = ROOT) -> Master:
    """Read and validate one master.

    Raises
    ------
    ExerciseError
        Something is missing or wrong; the message names the file and the exercise.
    """
    name = path.relative_to(root).as_posix()

    def fail(message: str, id: str | None = None) -> ExerciseError:
        return ExerciseError(f"{name}: " + (f"exercise {id!r}: " if id else "") + message)

    setup: list[str] = []
    found: dict[str, Exercise] = {}
    for number, cell in enumerate(jupytext.read(path, fmt="md:myst").cells, start=1):
        meta = cell.metadata.get("ex")
        if meta is None:
            if cell.cell_type == "code":
                raise fail(f"code cell {number} has no ex metadata, so nothing would run it")
            continue
        role, id = meta.get("role"), meta.get("id")
        if role not in ROLES:
            raise fail(f"cell {number} has the role {role!r}, not one of {', '.join(ROLES)}", id)
        if (role == "statement") != (cell.cell_type == "markdown"):
            raise fail(f"cell {number} ({role}) is a {cell.cell_type} cell", id)
        if cell.cell_type == "code":
            try:
                ast.parse(cell.source)
            except SyntaxError as error:
                raise fail(f"cell {number} ({role}), line {error.lineno}: {error.msg}", id) from None
        if role == "setup":
            setup.append(cell.source)
            continue
        if not id or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", str(id)):
            raise fail(f"cell {number} ({role}) needs an id of lower-case words and hyphens, got {id!r}")
        if role == "statement":
            if id in found:
                raise fail("has two statements, or its id is used twice", id)
            found[id] = _statement(Exercise(id, dict(meta)), cell.source, fail)
            continue
        if id not in found:
            raise fail(f"cell {number} ({role}) comes before the statement", id)
        exercise = found[id]
        if role == "wrong":
            if not meta.get("why"):
                raise fail(f"wrong answer {len(exercise.wrong) + 1} does not say why it is wrong", id)
            exercise.wrong.append((str(meta["why"]), cell.source))
        elif getattr(exercise, role):
            raise fail(f"has two cells with the role {role}", id)
        else:
            setattr(exercise, role, cell.source)
    if not found:
        raise fail("holds no exercise")
    for exercise in found.values():
        _validate(exercise, fail)
    return Master(path, path.relative_to(root / "exercises").with_suffix("").as_posix(), "\n".join(setup),
                  list(found.values()))  # fmt: skip


def _statement(exercise: Exercise, source: str, fail: Any) -> Exercise:
    """Split a statement into title and text, and hold its metadata against the format."""
    head = re.match(r"\s*#{2,5} +(.+?)\s*\n(.*)\Z", source, re.S)
    if not head or not head[2].strip():
        raise fail("the statement must be a heading (#### Title) and a text", exercise.id)
    exercise.title, exercise.statement = head[1], head[2].strip()
    if re.search(r"^\s*(:{3,}|`{3,}\{)", exercise.statement, re.M):
        raise fail("the statement must be plain Markdown with math, without directives", exercise.id)
    meta = exercise.meta
    if meta.get("kind") not in KINDS:
        raise fail(f"kind must be one of {', '.join(KINDS)}, got {meta.get('kind')!r}", exercise.id)
    for key, high in (("points", 20), ("minutes", 180), ("difficulty", 5)):
        value = meta.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= high:
            raise fail(f"{key} must be a whole number from 1 to {high}, got {value!r}", exercise.id)
    if not meta.get("topic") or not isinstance(meta["topic"], str):
        raise fail(f"topic must be a word, got {meta.get('topic')!r}", exercise.id)
    return exercise


def _validate(exercise: Exercise, fail: Any) -> None:
    """Everything that can be said of an exercise without running it."""
    for role in ("solution", "check"):
        if not getattr(exercise, role):
            raise fail(f"has no {role}", exercise.id)
    if len(exercise.wrong) < 2:
        raise fail(f"has {len(exercise.wrong)} wrong answers, needs at least 2", exercise.id)
    marks = len(re.findall(r"### (?:BEGIN|END) SOLUTION", exercise.solution))
    regions = len(REGION.findall(exercise.solution))
    if not regions or marks != 2 * regions:
        raise fail("the solution needs pairs of ### BEGIN SOLUTION and ### END SOLUTION lines", exercise.id)
    for role, code in [("check", exercise.check), *(("wrong answer", c) for _, c in exercise.wrong)]:
        if "SOLUTION" in code and "### " in code:
            raise fail(f"the {role} holds a SOLUTION mark", exercise.id)
    try:
        tree = ast.parse(exercise.stub)
    except SyntaxError as error:
        raise fail(f"the stub is not Python: line {error.lineno}: {error.msg}", exercise.id) from None
    if any(isinstance(node, ast.Raise) for top in tree.body for node in _outside_functions(top)):
        raise fail("BEGIN SOLUTION stands outside a function, so the stub would stop the page", exercise.id)
    shown = exercise.statement + "\n" + exercise.check
    for found in REGION.finditer(exercise.solution):
        for line in (one.strip() for one in found[0].split("\n")[1:-1]):
            if len(line) > 20 and not line.startswith("#") and line in shown:
                raise fail(f"the reader is shown a line of the solution: {line!r}", exercise.id)
    call = _last_call(ast.parse(exercise.check))
    first = call.args[0] if call and call.args else None
    if not isinstance(first, ast.Constant) or first.value != exercise.id:
        raise fail(f'the check must end with self_check("{exercise.id}", ...)', exercise.id)


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """`node` and what runs when it is executed: not the bodies of functions."""
    yield node
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        for child in ast.iter_child_nodes(node):
            yield from _outside_functions(child)


def _last_call(tree: ast.Module) -> ast.Call | None:
    """The call of self_check that a check cell ends with."""
    last = tree.body[-1] if tree.body else None
    call = last.value if isinstance(last, ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "self_check":
        return call
    return None


def read_bank(root: Path = ROOT) -> list[Master]:
    """All masters; ids are unique across the bank."""
    masters = [read_master(path, root) for path in sorted((root / "exercises").rglob("*.md"))]
    seen: dict[str, Path] = {}
    for master in masters:
        for exercise in master.exercises:
            if exercise.id in seen:
                first = seen[exercise.id].relative_to(root).as_posix()
                name = master.path.relative_to(root).as_posix()
                raise ExerciseError(f"{name}: exercise {exercise.id!r}: the id is already used in {first}")
            seen[exercise.id] = master.path
    return masters


# ---------- pages ----------


def region(exercise: Exercise) -> str:
    """What the page shows of an exercise: statement, stub and check, as MyST cells."""
    meta = exercise.meta
    facts = f"{KINDS[meta['kind']]} · about {meta['minutes']} minutes · {meta['points']} points"
    check = exercise.check.rstrip()
    call = _last_call(ast.parse(check))
    assert call is not None  # read_master has looked
    lines = check.split("\n")
    # or the notebook shows a bare False under the line
    lines[call.lineno - 1] = "_ = " + lines[call.lineno - 1]
    return "\n".join(
        [
            f'+++ {{"ex": {{"id": "{exercise.id}", "role": "statement"}}}}',
            "",
            f":::{{exercise}} {exercise.title}",
            f":label: ex-{exercise.id}",
            "",
            exercise.statement,
            "",
            f"*{facts}*",
            ":::",
            "",
            _cell(exercise.id, "stub", exercise.stub.rstrip()),
            "",
            _cell(exercise.id, "check", "\n".join(lines), ":tags: [hide-input]\n"),
        ]
    )


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
    ExerciseError
        The page misses an exercise, has one twice or one that the master does not know, or lacks a name
        that an exercise needs.
    """
    bank = {exercise.id: exercise for exercise in master.exercises}
    given = _bound(master.setup)
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
                    names |= _bound(block.code)
                except SyntaxError as error:
                    raise ExerciseError(f"{page}, line {block.start + 1}: {error.msg}") from None
            continue
        id = str(block.ex.get("id"))
        where = f"{page}, line {block.start + 1}: exercise {id!r}: "
        if block.ex.get("role") != "statement" or block.kind != "break":
            raise ExerciseError(where + f"a {block.ex.get('role')} cell stands without its statement")
        if id not in bank:
            raise ExerciseError(where + "the master does not have it")
        if id in done:
            raise ExerciseError(where + "stands twice on the page")
        done.add(id)
        out += [*lines[copied : block.start], *region(bank[id]).split("\n"), ""]
        copied = _region_end(lines, parts[n:], id, where)
        missing = (_used(bank[id]) & given) - names
        if missing:
            raise ExerciseError(where + f"the page does not define {', '.join(sorted(missing))} before it")
        names |= _bound(bank[id].solution) | _bound(bank[id].check)
    for id in bank:
        if id not in done:
            cell = f'+++ {{"ex": {{"id": "{id}", "role": "statement"}}}}'
            raise ExerciseError(f"{page}: exercise {id!r} has no place: add a cell\n{cell}\n\n{EMPTY}\n\n+++")
    return "\n".join(out + lines[copied:])


def _region_end(lines: list[str], parts: list[Block], id: str, where: str) -> int:
    """The line after an exercise's region, which begins with parts[0]; blank lines are counted in."""
    end = parts[0].end
    rest = parts[1:]
    if rest and rest[0].kind == "text":
        text = "\n".join(lines[rest[0].start : rest[0].end]).strip()
        if text not in ("", EMPTY) and not FILLED.fullmatch(text):
            raise ExerciseError(where + "other text follows in its cell and would be lost: put +++ before it")
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


def _bound(code: str) -> set[str]:
    """Names that a cell binds at its top level."""
    names: set[str] = set()
    for top in ast.parse(code).body:
        for node in _outside_functions(top):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                names.add(node.name)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    return names


def _used(exercise: Exercise) -> set[str]:
    """Names that an exercise's solution and check read."""
    code = exercise.solution + "\n" + exercise.check
    return {
        n.id for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
    }


def page_of(master: Master, root: Path = ROOT) -> Path:
    """The page that shows a master's exercises."""
    path = root / "chapters" / f"{master.page}.md"
    if not path.exists():
        name = master.path.relative_to(root).as_posix()
        raise ExerciseError(f"{name}: there is no page chapters/{master.page}.md")
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
        for role, code in (("setup", master.setup), ("answer", answer)):
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
    root = args.root
    wrong: list[str] = []
    if args.names:  # an author's own masters: another's half-written file is not in the way
        paths = [p for p in sorted((root / "exercises").rglob("*.md"))]
        paths = [
            p for p in paths if any(w in p.relative_to(root).with_suffix("").as_posix() for w in args.names)
        ]
        masters = [read_master(path, root) for path in paths]
    else:
        masters = read_bank(root)
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
    sys.path.insert(0, str(ROOT))  # the masters import genkit
    sys.exit(main())
