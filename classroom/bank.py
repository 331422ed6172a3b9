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
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STUB = 'raise NotImplementedError("your code here")'
REGION = re.compile(r"^([ \t]*)### BEGIN SOLUTION[^\n]*\n.*?^[ \t]*### END SOLUTION[^\n]*$", re.S | re.M)
NUMBER = re.compile(r"\{\{([A-Z]\w*)\}\}")  # in a statement
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
        return NUMBER.sub(lambda m: str(numbers.get(m[1], m[0])), self.statement)

    @property
    def answer(self) -> list[str]:
        """The lines of the solution that the stub has not."""
        return [line for found in REGION.finditer(self.solution) for line in found[0].split("\n")[1:-1]]

    def secrets(self) -> Iterator[str]:
        """Lines that no student may see before the work is handed in."""
        yield from self.answer
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
                used = f"the id is already used in {seen[exercise.id]}"
                raise BankError(f"{name}: exercise {exercise.id!r}: {used}")
            seen[exercise.id] = name
    return masters


def _name(path: Path, folder: Path) -> str:
    return f"{folder.name}/{path.relative_to(folder).as_posix()}"


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Name the place of what is found to be wrong."""
    try:
        yield
    except BankError as error:
        raise BankError(f"{place}: {error}") from None


def read_master(path: Path, folder: Path) -> Master:
    """Read and validate one master of the bank in `folder`.

    Raises
    ------
    BankError
        Something is missing or wrong; the message names the file and the exercise.
    """
    setup: list[str] = []
    found: dict[str, Exercise] = {}
    before = ("", "")  # role and id of the cell before
    with _at(_name(path, folder)):
        for number, cell in enumerate(_cells(path), start=1):
            role, name = _role_and_id(cell, number)
            if role == "setup":
                setup.append(cell.source)
            elif role:
                with _at(f"exercise {name!r}"):
                    if role == "statement":
                        if name in found:
                            raise BankError("has two statements, or its id is used twice")
                        found[name] = _statement(name, dict(cell.metadata["ex"]), cell.source)
                    elif name not in found:
                        raise BankError(f"cell {number} ({role}) comes before the statement")
                    else:
                        _add(found[name], role, cell, before == ("probe", name))
            before = (role, name)
        if not found:
            raise BankError("holds no exercise")
        for exercise in found.values():
            with _at(f"exercise {exercise.id!r}"):
                _validate(exercise)
    page = path.relative_to(folder).with_suffix("").as_posix()
    return Master(path, page, "\n".join(setup), list(found.values()))


def _cells(path: Path) -> list[Any]:
    import jupytext

    try:
        return jupytext.read(path, fmt="md:myst").cells
    except Exception as error:  # of jupytext, YAML, nbformat, the file's encoding
        raise BankError(f"is no MyST notebook: {' '.join(str(error).split())[:300]}") from None


def _role_and_id(cell: Any, number: int) -> tuple[str, str]:
    """What a cell is, and of which exercise; two empty words for text between exercises."""
    meta = cell.metadata.get("ex")
    if meta is None:
        if cell.cell_type == "code":
            raise BankError(f"code cell {number} has no ex metadata, so nothing would run it")
        return "", ""
    role, name = meta.get("role"), meta.get("id")
    with _at(f"exercise {name!r}") if name else nullcontext():
        if role not in CODE + TEXT:
            raise BankError(f"cell {number} has the role {role!r}, not one of {', '.join(CODE + TEXT)}")
        if role not in (CODE if cell.cell_type == "code" else TEXT):
            raise BankError(f"cell {number} ({role}) is a {cell.cell_type} cell")
        if cell.cell_type == "code":
            try:
                ast.parse(cell.source)
            except SyntaxError as error:
                raise BankError(f"cell {number} ({role}), line {error.lineno}: {error.msg}") from None
    if role != "setup" and (not name or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", str(name))):
        raise BankError(f"cell {number} ({role}) needs an id of lower-case words and hyphens, got {name!r}")
    return role, name


def _statement(name: str, meta: dict[str, Any], source: str) -> Exercise:
    """An exercise of which nothing but the statement is known: a title, a text and metadata."""
    head = re.match(r"\s*#{2,5} +(.+?)\s*\n(.*)\Z", source, re.S)
    if not head or not head[2].strip():
        raise BankError("the statement must be a heading (#### Title) and a text")
    exercise = Exercise(name, meta, head[1], head[2].strip())
    if re.search(r"^\s*(:{3,}|`{3,}\{)", exercise.statement, re.M):
        raise BankError("the statement must be plain Markdown with math, without directives")
    if meta.get("kind") not in KINDS:
        raise BankError(f"kind must be one of {', '.join(KINDS)}, got {meta.get('kind')!r}")
    for key, high in (("points", 20), ("minutes", 180), ("difficulty", 5)):
        if type(meta.get(key)) is not int or not 1 <= meta[key] <= high:
            raise BankError(f"{key} must be a whole number from 1 to {high}, got {meta.get(key)!r}")
    if not meta.get("topic") or not isinstance(meta["topic"], str):
        raise BankError(f"topic must be a word, got {meta.get('topic')!r}")
    return exercise


def _add(exercise: Exercise, role: str, cell: Any, after_probe: bool) -> None:
    """Put a cell that follows the statement where it belongs."""
    meta, source = cell.metadata["ex"], cell.source
    if role == "wrong":
        if not meta.get("why"):
            raise BankError(f"wrong answer {len(exercise.wrong) + 1} does not say why it is wrong")
        exercise.wrong.append((str(meta["why"]), source))
    elif role == "probe":
        exercise.probes.append(_probe(source, meta))
    elif role == "judge":
        if not after_probe:
            raise BankError("a judge must follow its probe")
        if "judge" not in _functions(source):
            raise BankError("the judge must define judge(out, ref)")
        exercise.probes[-1].judge = source
    elif role == "rubric":
        exercise.rubric += _rubric(source)
    elif getattr(exercise, role):
        raise BankError(f"has two cells with the role {role}")
    else:
        setattr(exercise, role, source)
        if role == "numbers":
            exercise.choices = dict(meta.get("choices") or {})
        if role == "solution" and (cell.cell_type == "markdown") != exercise.written:
            raise BankError(f"the solution of the kind {exercise.meta['kind']} is a {cell.cell_type} cell")


def _probe(code: str, meta: dict[str, Any]) -> Probe:
    if "probe" not in _functions(code):
        raise BankError("a probe must define probe(seed)")
    points, tol = meta.get("points"), meta.get("tol", TOLERANCE)
    if type(points) is not int or points < 1:
        raise BankError(f"a probe's points must be a whole number from 1, got {points!r}")
    if not isinstance(tol, float) or not 0 < tol < 1:
        raise BankError(f"a probe's tol must be a number between 0 and 1, got {tol!r}")
    return Probe(code, points, tol)


def _rubric(text: str) -> list[tuple[int, str]]:
    """Lines such as "- 2: names the inequality" as (2, "names the inequality")."""
    out = []
    for item in re.split(r"^- ", text, flags=re.M)[1:]:
        found = re.match(r"(\d+): (.+)", " ".join(item.split()))
        if not found or not int(found[1]):
            raise BankError(f"a rubric's line must read '- POINTS: what earns them', got {item.strip()!r}")
        out.append((int(found[1]), found[2]))
    return out


def _validate(exercise: Exercise) -> None:
    """Everything that can be said of an exercise without running it."""
    if exercise.written:
        _validate_written(exercise)
        return
    for role in ("solution", "check"):
        if not getattr(exercise, role):
            raise BankError(f"has no {role}")
    if len(exercise.wrong) < 2:
        raise BankError(f"has {len(exercise.wrong)} wrong answers, needs at least 2")
    if exercise.rubric:
        raise BankError("only written exercises have a rubric")
    if (worth := sum(probe.points for probe in exercise.probes)) != exercise.points:
        raise BankError(f"the points of its probes must add up to {exercise.points}, not {worth}")
    _validate_stub(exercise)
    _validate_check(exercise)
    _validate_numbers(exercise)


def _validate_written(exercise: Exercise) -> None:
    if not exercise.solution:
        raise BankError("has no solution")
    if sum(points for points, _ in exercise.rubric) != exercise.points:
        raise BankError(f"the rubric's points must add up to {exercise.points}")
    if exercise.check or exercise.probes or exercise.wrong or exercise.numbers:
        raise BankError("a written exercise has a statement, a solution and a rubric, nothing else")


def _validate_stub(exercise: Exercise) -> None:
    """The answer stands between its marks; what is left of the solution stops only when it is called."""
    regions = len(REGION.findall(exercise.solution))
    if not regions or len(re.findall(r"### (?:BEGIN|END) SOLUTION", exercise.solution)) != 2 * regions:
        raise BankError("the solution needs pairs of ### BEGIN SOLUTION and ### END SOLUTION lines")
    for role, code in [("check", exercise.check), *(("wrong answer", c) for _, c in exercise.wrong)]:
        if "SOLUTION" in code and "### " in code:
            raise BankError(f"the {role} holds a SOLUTION mark")
    try:
        tree = ast.parse(exercise.stub)
    except SyntaxError as error:
        raise BankError(f"the stub is not Python: line {error.lineno}: {error.msg}") from None
    if any(isinstance(node, ast.Raise) for top in tree.body for node in outside_functions(top)):
        raise BankError("BEGIN SOLUTION stands outside a function, so the stub would stop the page")


def _validate_check(exercise: Exercise) -> None:
    """The check shows nothing of the answer, and says for which exercise it speaks."""
    shown = exercise.statement + "\n" + exercise.check
    for line in map(str.strip, exercise.answer):
        if len(line) > 20 and not line.startswith("#") and line in shown:
            raise BankError(f"the reader is shown a line of the solution: {line!r}")
    call = last_call(ast.parse(exercise.check))
    first = call.args[0] if call and call.args else None
    if not isinstance(first, ast.Constant) or first.value != exercise.id:
        raise BankError(f'the check must end with self_check("{exercise.id}", ...)')


def _validate_numbers(exercise: Exercise) -> None:
    try:
        numbers = exercise.default
    except ValueError as error:
        raise BankError(f"the numbers cell: {error}") from None
    if set(numbers) != set(exercise.choices):
        raise BankError("the numbers cell and its choices must name the same constants")
    for name, value in numbers.items():
        choices = exercise.choices[name]
        if not isinstance(choices, list) or len(choices) < 2 or value not in choices:
            raise BankError(f"{name} = {value!r} must be one of at least two choices, got {choices!r}")
    if unknown := set(NUMBER.findall(exercise.statement)) - set(numbers):
        raise BankError(
            f"the statement uses {', '.join(sorted(unknown))}, which the numbers cell does not define"
        )


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
