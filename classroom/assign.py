"""From chosen exercises to a student's notebook, the key that grades it, and an answer key to read."""

from __future__ import annotations

import ast
import difflib
import json
import os
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from classroom.bank import BankError, Exercise, Master, bound

FORMAT = 1  # of the key
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
WRITE = "*Write your answer here.*"


class AssignError(Exception):
    """The assignment can't be made; the message says what to change."""


@dataclass
class Assignment:
    """What is asked: chosen exercises in order, with the master of each."""

    name: str
    title: str
    intro: str
    chosen: list[tuple[Master, Exercise]]

    @property
    def points(self) -> int:
        return sum(exercise.points for _, exercise in self.chosen)


def setup_source(repository: str, branch: str) -> str:
    """The first cell of every notebook: in Colab it fetches genkit, and nothing that is there already.

    `repository` is an address such as ``https://github.com/owner/name``, without a slash at its end.
    """
    return f"""\
# In Colab this fetches the book's small helper package; anywhere else it does nothing.
import sys
from importlib.metadata import distributions

if list(distributions(name="genkit")):
    raise ImportError("another package called genkit is installed: %pip uninstall -y genkit, and restart")
if "google.colab" in sys.modules and not list(distributions(name="genkit-book")):
    %pip install -q --no-deps "genkit-book @ git+{repository}@{branch}"
    if not list(distributions(name="genkit-book")):
        raise ImportError("genkit-book could not be fetched: see pip above, then run this cell again")"""


def choose(
    masters: Sequence[Master], ids: Sequence[str], name: str, title: str = "", intro: str = ""
) -> Assignment:
    """Pick exercises by id.

    Raises
    ------
    AssignError
        An id is unknown or given twice, the name is not fit for a file, or two exercises define one name.
    """
    if not name or not all(c.isalnum() or c in "-_." for c in name) or name.startswith("."):
        raise AssignError(f"the assignment's name must be letters, digits, '-', '_' and '.', got {name!r}")
    known = {exercise.id: (master, exercise) for master in masters for exercise in master.exercises}
    if unknown := [one for one in ids if one not in known]:
        near = difflib.get_close_matches(unknown[0], known, 1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        missing = ", ".join(map(repr, unknown))
        raise AssignError(f"the bank has no exercise {missing}{meant}; see genkit-book list")
    if not ids:
        raise AssignError("no exercise was chosen; see genkit-book list")
    if twice := sorted({one for one in ids if list(ids).count(one) > 1}):
        raise AssignError(f"chosen twice: {', '.join(twice)}")
    chosen = [known[one] for one in ids]
    owner: dict[str, tuple[str, str]] = {}  # name -> (who defines it, in what words)
    for who, names in _definitions(chosen):
        for one, words in names.items():
            other, theirs = owner.setdefault(one, (who, words))
            if theirs != words:
                raise AssignError(f"{other} and {who} both define {one!r}: they can't stand in one notebook")
    return Assignment(name, title or name, intro, chosen)


def _definitions(chosen: list[tuple[Master, Exercise]]) -> Iterator[tuple[str, dict[str, str]]]:
    """(who, {name: source that binds it}) for the setups and the exercises."""
    seen: set[str] = set()
    for master, exercise in chosen:
        if master.page not in seen:
            seen.add(master.page)
            yield f"the setup of {master.page}", _bindings(master.setup)
        if not exercise.written:
            names = bound(exercise.numbers) | bound(exercise.solution)
            yield exercise.id, dict.fromkeys(names, exercise.id)


def _bindings(code: str) -> dict[str, str]:
    out: dict[str, str] = {}
    for top in ast.parse(code).body:
        if isinstance(top, ast.Import | ast.ImportFrom):
            source = f"from {top.module} import" if isinstance(top, ast.ImportFrom) else "import"
            out |= {(a.asname or a.name).split(".")[0]: f"{source} {a.name}" for a in top.names}
        else:
            out |= {name: ast.unparse(top) for name in bound(ast.unparse(top))}
    return out


def read_plan(path: Path) -> dict[str, Any]:
    """An assignment's YAML file: name, title, intro, exercises.

    Raises
    ------
    AssignError
        It can't be read, or holds something else.
    """
    try:
        plan = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise AssignError(f"{path}: {error}") from None
    if not isinstance(plan, dict) or not isinstance(plan.get("exercises"), list):
        raise AssignError(f"{path} must hold a list 'exercises' of ids (and may hold name, title, intro)")
    if unknown := ", ".join(sorted(map(str, set(plan) - {"name", "title", "intro", "exercises"}))):
        raise AssignError(f"{path}: unknown entry {unknown}; it may hold name, title, intro, exercises")
    for entry in set(plan) - {"exercises"}:
        if not isinstance(plan[entry], str | int | float):
            raise AssignError(f"{path}: {entry} must be a text, got {plan[entry]!r}")
    return {"name": path.stem, **plan, "exercises": list(map(str, plan["exercises"]))}


# ---------- variants ----------


def numbers_for(assignment: Assignment, variant: str | None, student: str = "") -> dict[str, dict[str, Any]]:
    """The constants of each exercise: the master's, or drawn from its choices by variant and student."""
    out = {}
    for _, exercise in assignment.chosen:
        numbers = dict(exercise.default)
        if variant is not None:
            for name, choices in exercise.choices.items():
                numbers[name] = random.Random(f"{variant}/{student}/{exercise.id}/{name}").choice(choices)
        out[exercise.id] = numbers
    return out


def _assignments(numbers: dict[str, Any]) -> str:
    return "\n".join(f"{name} = {value!r}" for name, value in numbers.items())


# ---------- notebooks ----------


def student_notebook(
    assignment: Assignment, numbers: dict[str, dict[str, Any]], setup: str, bank: Sequence[Master]
) -> nbformat.NotebookNode:
    """What the student gets: no line of a solution, probe, rubric or wrong answer of the bank is in it.

    Raises
    ------
    AssignError
        A secret line would be shown.
    """
    many = len(assignment.chosen)
    intro = assignment.intro.strip() or (
        "Fill in what is asked, run the check under it, and hand in this file. You may add cells. A check "
        "that passes is a good sign, not a mark: the work is graded on other inputs."
    )
    asked = f"{many} exercise{'s' * (many > 1)}, {assignment.points} points"
    cells = [new_markdown_cell(f"# {assignment.title}\n\n{intro}\n\n*{asked}*"), _setup(setup)]
    for place, (master, exercise) in enumerate(assignment.chosen, start=1):
        cells += _statement(place, exercise, numbers[exercise.id])
        if exercise.written:
            answer = new_markdown_cell(f"**Your answer to {exercise.id}**\n\n{WRITE}")
            cells.append(_tagged(answer, exercise, "answer"))
            continue
        cells += _given(assignment, place, master, exercise, numbers[exercise.id])
        cells.append(_tagged(new_code_cell(exercise.stub.rstrip()), exercise, "answer"))
        cells.append(_tagged(new_code_cell(check_source(exercise)), exercise, "check"))
    notebook = _notebook(cells, assignment)
    _no_leak(notebook, bank, {exercise.id for _, exercise in assignment.chosen})
    return notebook


def check_source(exercise: Exercise) -> str:
    """The self-check as the student runs it."""
    lines = exercise.check.rstrip().split("\n")
    lines[-1] = "_ = " + lines[-1] if lines[-1].startswith("self_check(") else lines[-1]
    return "\n".join(lines)


def _setup(code: str) -> nbformat.NotebookNode:
    return new_code_cell(code, metadata={"tags": ["setup"]})


def _statement(place: int, exercise: Exercise, numbers: dict[str, Any]) -> list[nbformat.NotebookNode]:
    points = f"{exercise.points} point{'s' * (exercise.points > 1)}, about {exercise.meta['minutes']} minutes"
    text = f"## {place} · {exercise.title}\n\n{exercise.text(numbers)}\n\n*{points}*"
    return [_tagged(new_markdown_cell(text), exercise, "statement")]


def _given(
    assignment: Assignment, place: int, master: Master, exercise: Exercise, numbers: dict[str, Any]
) -> list[nbformat.NotebookNode]:
    """The cells that an exercise is given: its master's setup where that changes, and its numbers."""
    before = [m.page for m, e in assignment.chosen[: place - 1] if not e.written]
    out = [] if before[-1:] == [master.page] else [_setup(master.setup)]
    if numbers:
        out.append(_tagged(new_code_cell(_assignments(numbers)), exercise, "numbers"))
    return out


def _tagged(cell: nbformat.NotebookNode, exercise: Exercise, role: str) -> nbformat.NotebookNode:
    cell.metadata["ex"] = {"id": exercise.id, "role": role}
    return cell


def _notebook(cells: list[nbformat.NotebookNode], assignment: Assignment) -> nbformat.NotebookNode:
    for number, cell in enumerate(cells):
        cell["id"] = f"c{number}"
    facts = {"kernelspec": KERNEL, "genkit_book": {"assignment": assignment.name}}
    return new_notebook(cells=cells, metadata=facts)


def _no_leak(notebook: nbformat.NotebookNode, bank: Sequence[Master], chosen: set[str]) -> None:
    """Hold the file against every line of a solution, probe, judge or rubric of the bank."""
    text = "\n".join(cell.source for cell in notebook.cells)
    exercises = [exercise for master in bank for exercise in master.exercises]
    given = [master.setup for master in bank] + [code for e in exercises for code in (e.stub, e.check)]
    public, lines = ({line.strip() for line in "\n".join(code).split("\n")} for code in (given, [text]))
    for exercise in exercises:
        for line in map(str.strip, exercise.secrets()):
            shown = line in lines or (exercise.id in chosen and len(line) > 40 and line in text)
            if len(line) > 14 and shown and line not in public:
                raise AssignError(f"the notebook would show a secret line of {exercise.id}: {line!r}")


def answer_notebook(
    assignment: Assignment, numbers: dict[str, dict[str, Any]], setup: str
) -> nbformat.NotebookNode:
    """What the instructor reads: solutions, probes, known wrong answers, rubrics; not yet executed."""
    head = f"# {assignment.title}: answers\n\nFor the instructor alone. {assignment.points} points."
    cells = [new_markdown_cell(head), _setup(setup)]
    for place, (master, exercise) in enumerate(assignment.chosen, start=1):
        cells += _statement(place, exercise, numbers[exercise.id])
        if exercise.written:
            rubric = "\n".join(f"- **{points}**: {what}" for points, what in exercise.rubric)
            model = f"### Model answer\n\n{exercise.solution}\n\n### Rubric\n\n{rubric}"
            cells.append(new_markdown_cell(model))
            continue
        cells += _given(assignment, place, master, exercise, numbers[exercise.id])
        cells += [new_code_cell(exercise.solution), new_code_cell(check_source(exercise))]
        for number, probe in enumerate(exercise.probes, start=1):
            how = "by its judge" if probe.judge else f"to a relative and absolute {probe.tol:g}"
            worth = f"{probe.points} point{'s' * (probe.points > 1)}"
            said = f"**Hidden probe {number}**, {worth}, compared {how}; here with seed 0"
            code = "\n\n\n".join(filter(None, (probe.code, probe.judge, "probe(0)")))
            cells += [new_markdown_cell(said), new_code_cell(code)]
        wrong = "\n".join(f"- {why}" for why, _ in exercise.wrong)
        cells.append(new_markdown_cell(f"**Known wrong answers**\n\n{wrong}"))
    return _notebook(cells, assignment)


def executed(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook with its outputs.

    Raises
    ------
    BankError
        A cell fails.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    here = str(Path(__file__).resolve().parents[1])
    paths = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}})
        client.extra_arguments = ["--log-level=ERROR"]
        try:
            client.execute(env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"})
        except CellExecutionError as error:
            raise BankError(f"the answer key does not run: {error.ename}: {error.evalue}") from None
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    return notebook


# ---------- the key ----------


def key(
    assignment: Assignment, numbers: dict[str, dict[str, dict[str, Any]]], variant: str | None
) -> dict[str, Any]:
    """Everything that grading needs, so that a later change of the bank changes no grade.

    `numbers` maps a student, or "" for everybody else, to the numbers of each exercise.
    """
    exercises = [
        {
            "id": e.id, "title": e.title, "page": m.page, "kind": e.meta["kind"], "points": e.points,
            "setup": m.setup, "statement": e.text(numbers[""][e.id]),
            "check": check_source(e) if e.check else "",
            "solution": e.solution, "stub": "" if e.written else e.stub, "wrong": e.wrong, "rubric": e.rubric,
            "probes": [vars(p) for p in e.probes],
        }
        for m, e in assignment.chosen
    ]  # fmt: skip
    return {"format": FORMAT, "name": assignment.name, "title": assignment.title, "variant": variant,
            "exercises": exercises, "numbers": numbers}  # fmt: skip


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(name, path)


def dumps(notebook: nbformat.NotebookNode) -> str:
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
