"""The teaching pages: every command of the grading page is run and prints what the page says; the plan's sums hold."""

import doctest
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from classroom import assign, bank

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "chapters/teaching/grading.md").read_text(encoding="utf-8")
PLAN = (ROOT / "chapters/teaching/course.md").read_text(encoding="utf-8")
BANK = bank.read_bank(ROOT / "exercises")


def session():
    """(command, what it prints) in the order of the page."""
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.S | re.M):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, printed = re.fullmatch(r"((?:[^\n]*\\\n)*[^\n]*\n)(.*)", part, re.S).groups()
            yield command.strip(), printed


def submissions(folder):
    """Three of the class of four: all right; a common mistake; a notebook that ends Python."""
    nb = json.loads((folder / "hw1/hw1.ipynb").read_text())
    key = {e["id"]: e for e in json.loads((folder / "hw1/instructor/hw1.key.json").read_text())["exercises"]}
    (folder / "submissions").mkdir()
    for name in ("ada", "bert", "carl"):
        own = json.loads(json.dumps(nb))
        for cell in own["cells"]:
            ex = cell["metadata"].get("ex", {})
            if ex.get("role") == "answer" and cell["cell_type"] == "markdown":
                cell["source"] = cell["source"].replace(assign.WRITE, "" if name == "carl" else "So.")
            elif ex.get("role") == "answer":
                wrong = name == "bert" and ex["id"] == "density-kde"
                cell["source"] = key[ex["id"]]["wrong"][0][1] if wrong else key[ex["id"]]["solution"]
        if name == "carl":
            own["cells"][1]["source"] = "import os\nos._exit(0)"
        (folder / f"submissions/{name}.ipynb").write_text(json.dumps(own))


def test_the_commands_print_what_the_page_says(tmp_path, box):
    (tmp_path / "hw1.yml").write_text(
        'title: "Homework 1: densities"\nexercises: [density-kde, density-rate, generation-explain-three]\n'
    )
    (tmp_path / "roster.csv").write_text(
        "student,name\nada,Ada L.\nbert,Bert T.\ncarl,Carl G.\ndora,Dora K.\n"
    )
    (tmp_path / "late.csv").write_text("student,days\nbert,1\n")
    (tmp_path / "my-bank").mkdir()
    example = re.search(r"^````markdown\n(.*?)^````$", PAGE, re.S | re.M)[1]
    (tmp_path / "my-bank/powers.md").write_text(example)
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin/genkit-book"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m classroom.cli "$@"\n')
    command.chmod(0o755)
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
    steps = list(session())
    assert [c.split()[1] for c, _ in steps if c.startswith("genkit-book")] == [
        "list", "assign", "grade", "marks", "export", "check",
    ]  # fmt: skip
    for words, printed in steps:
        done = subprocess.run(
            words, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, (words, done.stderr)
        progress = done.stderr if words.startswith("genkit-book grade") else ""
        got = progress + done.stdout
        same = doctest.OutputChecker().check_output(
            printed, got, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        )
        if "[1/3]" in printed:  # two at a time: any order
            same = sorted(re.sub(r"\[\d/3\]|\d+\.\d+", "...", got).split()) == sorted(
                re.sub(r"\[\d/3\]", "...", printed).split()
            )
        assert same, f"$ {words}\n{got}"
        if words.startswith("genkit-book assign"):
            submissions(tmp_path)


def test_the_files_that_the_page_speaks_of_are_there():
    for name in re.findall(r"`(classroom/\w+\.py|exercises/)`", PAGE):
        assert (ROOT / name).exists()
    for option in re.findall(r"`(--[a-z-]+)", PAGE):
        assert option in (ROOT / "classroom/cli.py").read_text()


def homeworks():
    for line in PLAN.split("\n"):
        found = re.match(r"\| (\d+) \| (`.*`) \| (\d+) \| (\d+) \|", line)
        if found:
            yield found[1], re.findall(r"`([^`]+)`", found[2]), int(found[3]), int(found[4])


@pytest.mark.parametrize(("number", "ids", "points", "minutes"), list(homeworks()))
def test_the_plans_homeworks(number, ids, points, minutes):
    given = assign.choose(BANK, ids, f"hw{number}")
    assert given.points == points and sum(e.meta["minutes"] for _, e in given.chosen) == minutes
    assert assign.student_notebook(given, assign.numbers_for(given, None), "", BANK)


def test_the_plan_names_every_page():
    from tools.pages import pages

    pages = [page for page in pages(ROOT) if page != "index"]
    assert [page for page in pages if f"{{doc}}`../{page}`" not in PLAN] == []
    assert len(re.findall(r"^\| \d+ \| .*\{doc\}", PLAN, re.M)) == 12


def test_a_homework_asks_nothing_of_a_page_that_may_be_left_out_or_comes_later():
    home = {e.id: m.page for m in BANK for e in m.exercises}
    asked = {number: {home[one] for one in ids} for number, ids, *_ in homeworks()}
    read, given = set(), []
    for reading, number in re.findall(r"^\| \d+ \| (.*?) \|.*\| (\d?) ?\|$", PLAN, re.M):
        read |= set(re.findall(r"\{doc\}`\.\./(.*?)`", re.sub(r"\[.*?\]", "", reading)))
        if number:
            given.append(number)
            assert asked[number] - read == set(), f"homework {number}"
    assert given == sorted(asked)
