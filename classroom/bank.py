"""The exercise bank: one Markdown master per page, read and held against the format.

A master is a MyST notebook whose cells carry ``ex`` metadata. Per exercise it holds, in any order after the
statement,

    statement   Markdown: a heading and a text; kind, points, minutes, difficulty and topic in its metadata
    solution    code with the answer between BEGIN SOLUTION and END SOLUTION; what is left is the stub
    check       code that the student runs: properties, never expected values; ends with self_check(...)
    probe       code, hidden: ``probe(seed)`` calls the student's functions and returns what they returned
    judge       code, optional, right after a probe: ``judge(out, ref)`` instead of equality within `tol`
    wrong       code: an answer that students really give; the check and the probes must both reject it
    numbers     code, optional: constants that differ between variants, with their choices in the metadata

and, for an exercise of the kind *explain*, a statement, a model solution and a rubric in Markdown. One
``setup`` cell holds for all exercises of a master.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STUB = 'raise NotImplementedError("your code here")'
REGION = re.compile(r"^([ \t]*)### BEGIN SOLUTION[^\n]*\n.*?^[ \t]*### END SOLUTION[^\n]*$", re.S | re.M)
KINDS = {"implement": "Implement", "investigate": "Investigate", "explain": "Explain"}
CODE = ("setup", "numbers", "solution", "check", "probe", "judge", "wrong")
TEXT = ("statement", "solution", "rubric")
TOLERANCE = 1e-6


class BankError(Exception):
    """A faulty master: the message names the file and the exercise."""


@dataclass
class Probe:
    """One hidden test: code that computes, the points it is worth, and how its numbers are compared."""

    code: str
    points: int
    tol: float = TOLERANCE  # relative and absolute
    judge: str = ""  # code of judge(out, ref) -> bool or share of the points


@dataclass
class Exercise:
    """One exercise of a master."""

    id: str
    meta: dict[str, Any]
    title: str = ""
    statement: str = ""
    numbers: str = ""
    choices: dict[str, list[Any]] = field(default_factory=dict)
    solution: str = ""
    check: str = ""
    probes: list[Probe] = field(default_factory=list)
    wrong: list[tuple[str, str]] = field(default_factory=list)  # (why, code)
    rubric: list[tuple[int, str]] = field(default_factory=list)  # (points, what earns them)

    @property
    def written(self) -> bool:
        """A person has to mark it."""
        return self.meta["kind"] == "explain"

    @property
    def points(self) -> int:
        return int(self.meta["points"])

    @property
    def stub(self) -> str:
        """The solution with its answer taken out."""
        return REGION.sub(lambda m: m[1] + STUB, self.solution)

    @property
    def default(self) -> dict[str, Any]:
        """The numbers as the master gives them."""
        return assigned(self.numbers)

    def text(self, numbers: dict[str, Any] | None = None) -> str:
        """The statement, with ``{{NAME}}`` replaced by the number of that name."""
        numbers = self.default if numbers is None else numbers
        return re.sub(r"\{\{([A-Z]\w*)\}\}", lambda m: str(numbers.get(m[1], m[0])), self.statement)

    def secrets(self) -> Iterator[str]:
        """Lines that no student may see before the work is handed in."""
        for found in REGION.finditer(self.solution):
            yield from found[0].split("\n")[1:-1]
        for probe in self.probes:
            yield from (probe.code + "\n" + probe.judge).split("\n")
        if self.written:
            yield from self.solution.split("\n")
            yield from (what for _, what in self.rubric)


@dataclass
class Master:
    """One file of the bank, which belongs to one page."""

    path: Path
    page: str  # "objectives/density"
    setup: str
    exercises: list[Exercise]


def read_bank(folder: Path) -> list[Master]:
    """All masters below `folder`; ids are unique across the bank.

    Raises
    ------
    BankError
        A master is faulty.
    """
    paths = sorted(path for path in folder.rglob("*.md") if path.name.lower() != "readme.md")
    masters = [read_master(path, folder) for path in paths]
    seen: dict[str, str] = {}
    for master in masters:
        name = _name(master.path, folder)
        for exercise in master.exercises:
            if exercise.id in seen:
                first = seen[exercise.id]
                raise BankError(f"{name}: exercise {exercise.id!r}: the id is already used in {first}")
            seen[exercise.id] = name
    return masters


def _name(path: Path, folder: Path) -> str:
    return f"{folder.name}/{path.relative_to(folder).as_posix()}"


def read_master(path: Path, folder: Path) -> Master:
    """Read and validate one master of the bank in `folder`.

    Raises
    ------
    BankError
        Something is missing or wrong; the message names the file and the exercise.
    """
    import jupytext

    name = _name(path, folder)

    def fail(message: str, id: str | None = None) -> BankError:
        return BankError(f"{name}: " + (f"exercise {id!r}: " if id else "") + message)

    try:
        cells = jupytext.read(path, fmt="md:myst").cells
    except Exception as error:  # of jupytext, YAML, nbformat, the file's encoding
        raise fail(f"is no MyST notebook: {' '.join(str(error).split())[:300]}") from None
    setup: list[str] = []
    found: dict[str, Exercise] = {}
    probe: Probe | None = None  # the one that a judge may follow
    for number, cell in enumerate(cells, start=1):
        meta = cell.metadata.get("ex")
        before, probe = probe, None
        if meta is None:
            if cell.cell_type == "code":
                raise fail(f"code cell {number} has no ex metadata, so nothing would run it")
            continue
        role, id = meta.get("role"), meta.get("id")
        if role not in CODE + TEXT:
            raise fail(f"cell {number} has the role {role!r}, not one of {', '.join(CODE + TEXT)}", id)
        if role not in (CODE if cell.cell_type == "code" else TEXT):
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
        elif role == "probe":
            probe = _probe(cell.source, dict(meta), lambda message, id=id: fail(message, id))
            exercise.probes.append(probe)
        elif role == "judge":
            if before is None:
                raise fail("a judge must follow its probe", id)
            if "judge" not in _functions(cell.source):
                raise fail("the judge must define judge(out, ref)", id)
            before.judge = cell.source
        elif role == "rubric":
            exercise.rubric += _rubric(cell.source, lambda message, id=id: fail(message, id))
        elif getattr(exercise, role):
            raise fail(f"has two cells with the role {role}", id)
        else:
            setattr(exercise, role, cell.source)
            if role == "numbers":
                exercise.choices = dict(meta.get("choices") or {})
            if role == "solution" and (cell.cell_type == "markdown") != exercise.written:
                raise fail(f"the solution of the kind {exercise.meta['kind']} is a {cell.cell_type} cell", id)
    if not found:
        raise fail("holds no exercise")
    for exercise in found.values():
        _validate(exercise, lambda message, id=exercise.id: fail(message, id))
    page = path.relative_to(folder).with_suffix("").as_posix()
    return Master(path, page, "\n".join(setup), list(found.values()))


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


def _probe(code: str, meta: dict[str, Any], fail: Any) -> Probe:
    if "probe" not in _functions(code):
        raise fail("a probe must define probe(seed)")
    points, tol = meta.get("points"), meta.get("tol", TOLERANCE)
    if not isinstance(points, int) or isinstance(points, bool) or points < 1:
        raise fail(f"a probe's points must be a whole number from 1, got {points!r}")
    if not isinstance(tol, float) or not 0 < tol < 1:
        raise fail(f"a probe's tol must be a number between 0 and 1, got {tol!r}")
    return Probe(code, points, tol)


def _rubric(text: str, fail: Any) -> list[tuple[int, str]]:
    """Lines such as "- 2: names the inequality" as (2, "names the inequality")."""
    out = []
    for item in re.split(r"^- ", text, flags=re.M)[1:]:
        found = re.match(r"(\d+): (.+)", " ".join(item.split()))
        if not found or not int(found[1]):
            raise fail(f"a rubric's line must read '- POINTS: what earns them', got {item.strip()!r}")
        out.append((int(found[1]), found[2]))
    return out


def _validate(exercise: Exercise, fail: Any) -> None:
    """Everything that can be said of an exercise without running it."""
    if exercise.written:
        if not exercise.solution:
            raise fail("has no solution")
        if sum(points for points, _ in exercise.rubric) != exercise.points:
            raise fail(f"the rubric's points must add up to {exercise.points}")
        if exercise.check or exercise.probes or exercise.wrong or exercise.numbers:
            raise fail("a written exercise has a statement, a solution and a rubric, nothing else")
        return
    for role in ("solution", "check"):
        if not getattr(exercise, role):
            raise fail(f"has no {role}")
    if len(exercise.wrong) < 2:
        raise fail(f"has {len(exercise.wrong)} wrong answers, needs at least 2")
    if exercise.rubric:
        raise fail("only written exercises have a rubric")
    worth = sum(probe.points for probe in exercise.probes)
    if worth != exercise.points:
        raise fail(f"the points of its probes must add up to {exercise.points}, not {worth}")
    marks = len(re.findall(r"### (?:BEGIN|END) SOLUTION", exercise.solution))
    regions = len(REGION.findall(exercise.solution))
    if not regions or marks != 2 * regions:
        raise fail("the solution needs pairs of ### BEGIN SOLUTION and ### END SOLUTION lines")
    for role, code in [("check", exercise.check), *(("wrong answer", c) for _, c in exercise.wrong)]:
        if "SOLUTION" in code and "### " in code:
            raise fail(f"the {role} holds a SOLUTION mark")
    try:
        tree = ast.parse(exercise.stub)
    except SyntaxError as error:
        raise fail(f"the stub is not Python: line {error.lineno}: {error.msg}") from None
    if any(isinstance(node, ast.Raise) for top in tree.body for node in outside_functions(top)):
        raise fail("BEGIN SOLUTION stands outside a function, so the stub would stop the page")
    shown = exercise.statement + "\n" + exercise.check
    for found in REGION.finditer(exercise.solution):
        for line in (one.strip() for one in found[0].split("\n")[1:-1]):
            if len(line) > 20 and not line.startswith("#") and line in shown:
                raise fail(f"the reader is shown a line of the solution: {line!r}")
    call = last_call(ast.parse(exercise.check))
    first = call.args[0] if call and call.args else None
    if not isinstance(first, ast.Constant) or first.value != exercise.id:
        raise fail(f'the check must end with self_check("{exercise.id}", ...)')
    _validate_numbers(exercise, fail)


def _validate_numbers(exercise: Exercise, fail: Any) -> None:
    try:
        numbers = exercise.default
    except ValueError as error:
        raise fail(f"the numbers cell: {error}") from None
    if set(numbers) != set(exercise.choices):
        raise fail("the numbers cell and its choices must name the same constants")
    for name, value in numbers.items():
        choices = exercise.choices[name]
        if not isinstance(choices, list) or len(choices) < 2 or value not in choices:
            raise fail(f"{name} = {value!r} must be one of at least two choices, got {choices!r}")
    unknown = set(re.findall(r"\{\{([A-Z]\w*)\}\}", exercise.statement)) - set(numbers)
    if unknown:
        raise fail(f"the statement uses {', '.join(sorted(unknown))}, which the numbers cell does not define")


# ---------- what code binds ----------


def assigned(code: str) -> dict[str, Any]:
    """The constants that a numbers cell assigns, one ``NAME = literal`` per line; ValueError otherwise."""
    out: dict[str, Any] = {}
    for node in ast.parse(code).body:
        target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
        if not isinstance(node, ast.Assign) or not isinstance(target, ast.Name):
            raise ValueError(f"line {node.lineno} is not NAME = number")
        if not re.fullmatch(r"[A-Z]\w*", target.id):
            raise ValueError(f"{target.id} must begin with a capital letter")
        out[target.id] = ast.literal_eval(node.value)
    return out


def outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """`node` and what runs when it is executed: not the bodies of functions."""
    yield node
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        for child in ast.iter_child_nodes(node):
            yield from outside_functions(child)


def bound(code: str) -> set[str]:
    """Names that a cell binds at its top level."""
    names: set[str] = set()
    for top in ast.parse(code).body:
        for node in outside_functions(top):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                names.add(node.name)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    return names


def last_call(tree: ast.Module) -> ast.Call | None:
    """The call of self_check that a check cell ends with."""
    last = tree.body[-1] if tree.body else None
    call = last.value if isinstance(last, ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "self_check":
        return call
    return None


def _functions(code: str) -> set[str]:
    return {node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)}
