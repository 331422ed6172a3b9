"""What is handed out, and what is kept back."""

import importlib.metadata
import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from classroom import assign, cli
from classroom.bank import read_bank
from classroom.grade import read_key

ROOT = Path(__file__).resolve().parents[2]


def test_the_students_notebook_is_whole_and_holds_no_secret(notebook, masters):
    nbformat.validate(notebook)
    text = json.dumps(notebook)
    for secret in (
        "secret_powers",
        "hidden_input",
        "confidential",
        "only for markers",
        "def judge",
        "(x**K).sum",
    ):
        assert secret not in text
    roles = [cell.metadata.get("ex", {}).get("role") for cell in notebook.cells]
    assert roles == [None, None, "statement", None, "numbers", "answer", "check", "statement", "answer", "check",
                     "statement", "answer"]  # fmt: skip
    assert "K = 3" in text and "x^{3}" in text and "raise NotImplementedError" in text
    assert notebook.cells[0].source.startswith("# Homework\n") and "9 points" in notebook.cells[0].source


def test_the_first_cell_is_that_of_the_books_notebooks():
    at = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]
    first = json.loads(next((ROOT / "notebooks/objectives").glob("*.ipynb")).read_text())["cells"]
    setup = next("".join(cell["source"]) for cell in first if cell["cell_type"] == "code")
    assert assign.setup_source(at["url"], at["branch"]) == setup


@pytest.mark.parametrize(
    ("folder", "installed"), [(".", {"genkit"}), ("classroom", {"classroom", "bin", "bin/genkit-book"})]
)
def test_the_first_cell_fetches_genkit_alone(tmp_path, folder, installed):
    """The grader is a distribution of its own."""
    book, site = tmp_path / "book", tmp_path / "site"
    for name in ("genkit", "classroom"):
        shutil.copytree(ROOT / name, book / name, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, book)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", site, book / folder], check=True)
    found = {path.relative_to(site).as_posix() for path in (*site.iterdir(), *site.glob("bin/*"))}
    assert {name for name in found if not name.endswith(".dist-info")} == installed


@pytest.mark.parametrize(
    ("colab", "there", "then", "message"),
    [
        (False, set(), set(), ""),
        (True, {"genkit-book"}, set(), ""),
        (True, set(), {"genkit-book"}, ""),
        (True, set(), set(), "genkit-book could not be fetched"),
        (False, {"genkit"}, set(), "another package called genkit is installed"),
        (True, {"genkit"}, set(), "another package called genkit is installed"),
    ],
)
def test_the_first_cell_says_what_is_wrong(monkeypatch, colab, there, then, message):
    line = '%pip install -q --no-deps "genkit-book @ git+https://example.org/book@main"'
    source = assign.setup_source("https://example.org/book", "main")
    assert source.count(line) == 1
    installed = set(there)
    monkeypatch.setattr(importlib.metadata, "distributions", lambda name: [name] * (name in installed))
    monkeypatch.setitem(sys.modules, "google.colab", sys) if colab else None
    cell = compile(source.replace(line, "fetch()"), "cell", "exec")
    if message:
        with pytest.raises(ImportError, match=message):
            exec(cell, {"fetch": lambda: installed.update(then)})
    else:
        exec(cell, {"fetch": lambda: installed.update(then)})
    assert installed == there | then


def test_a_leak_is_seen(masters, assignment):
    exercise = assignment.chosen[0][1]
    told = exercise.statement
    try:
        exercise.statement += "\n\n    secret_powers = x**K\n"
        with pytest.raises(assign.AssignError, match="would show a secret line of sum-power: 'secret_powers"):
            assign.student_notebook(assignment, assign.numbers_for(assignment, None), "", masters)
    finally:
        exercise.statement = told


def test_variants_differ_and_repeat(assignment):
    def drawn(*args):
        return [assign.numbers_for(assignment, v, s)["sum-power"]["K"] for v, s in args]

    assert drawn((None, "")) == [3]
    many = [(str(v), "") for v in range(60)]
    assert set(drawn(*many)) == {2, 3, 4, 5} and drawn(*many) == drawn(*many)
    assert len(set(drawn(*(("7", s) for s in "abcdefghij")))) > 1


@pytest.mark.parametrize(
    ("ids", "name", "message"),
    [
        ([], "hw", "no exercise was chosen"),
        (["sum-power", "sum-none"], "hw", "the bank has no exercise 'sum-none'"),
        (["sum-coin", "sum-coin"], "hw", "chosen twice: sum-coin"),
        (["sum-coin"], "../hw", "name must be letters, digits"),
    ],
)
def test_a_choice_that_can_not_be(masters, ids, name, message):
    with pytest.raises(assign.AssignError, match=message):
        assign.choose(masters, ids, name)


def test_two_exercises_that_define_one_name(masters, tmp_path, text):
    folder = tmp_path / "exercises"
    folder.mkdir()
    (folder / "a.md").write_text(text)
    (folder / "b.md").write_text(text.replace("sum-", "other-"))
    with pytest.raises(assign.AssignError, match="sum-coin and other-coin both define 'coins'"):
        assign.choose(read_bank(folder), ["sum-coin", "other-coin"], "hw")


@pytest.mark.parametrize(
    ("plan", "message"),
    [("exercises: 3", "must hold a list 'exercises'"), ("exercises: [a]\nexercise: [b]", "unknown entry exercise"), (": [", "plan.yml")],
)  # fmt: skip
def test_a_plan_that_can_not_be_read(tmp_path, plan, message):
    (tmp_path / "plan.yml").write_text(plan)
    with pytest.raises(assign.AssignError, match=message):
        assign.read_plan(tmp_path / "plan.yml")


@pytest.fixture(scope="module")
def handed_out(tmp_path_factory, text):
    """`genkit-book assign` on a bank of one's own, with a variant for each student."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "bank").mkdir()
    (folder / "bank/sums.md").write_text(text)
    (folder / "hw.yml").write_text("title: Sums\nexercises: [sum-power, sum-explain]\n")
    (folder / "roster.csv").write_text("student\nana\nbruno\n")
    words = [str(folder / "hw.yml"), "--bank", str(folder / "bank"), "-o", str(folder / "out")]
    assert cli.main(["assign", *words]) == 0
    assert cli.main(["assign", *words, "--variant", "7", "--roster", str(folder / "roster.csv")]) == 0
    return folder / "out"


def test_the_command_writes_three_files_and_keeps_two_private(handed_out):
    files = {path.relative_to(handed_out).as_posix() for path in handed_out.rglob("*") if path.is_file()}
    assert files == {
        "hw.ipynb", "hw-7.ipynb", "students/hw-7-ana.ipynb", "students/hw-7-bruno.ipynb",
        "instructor/hw.key.json", "instructor/hw-answers.ipynb", "instructor/hw-7.key.json", "instructor/hw-7-answers.ipynb",
    }  # fmt: skip
    for path in (handed_out / "instructor").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_key_holds_the_numbers_of_each_student(handed_out):
    key = read_key(handed_out / "instructor/hw-7.key.json")
    assert set(key["numbers"]) == {"", "ana", "bruno"} and key["variant"] == "7"
    for student in ("ana", "bruno"):
        text = (handed_out / f"students/hw-7-{student}.ipynb").read_text()
        assert f"K = {key['numbers'][student]['sum-power']['K']}" in text


def test_the_answer_key_is_executed_and_shows_everything(handed_out):
    nb = nbformat.read(handed_out / "instructor/hw-answers.ipynb", 4)
    text = json.dumps(nb)
    for part in ("secret_powers", "hidden_input", "confidential", "only for markers", "forgets to divide"):
        assert part in text
    outputs = [o for cell in nb.cells if cell.cell_type == "code" for o in cell.outputs]
    assert any("passes its checks" in str(o) for o in outputs) and any("tensor" in str(o) for o in outputs)
    assert not any(o.output_type == "error" for o in outputs)


def test_the_students_notebook_runs_as_handed_out(handed_out):
    """From top to bottom in a fresh interpreter: nothing stops, each check says that nothing was tried yet."""
    nb = nbformat.read(handed_out / "hw.ipynb", 4)
    code = "\n\n".join(cell.source for cell in nb.cells if cell.cell_type == "code")
    code = code.replace("%pip install", "pass # ")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "not attempted" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sum-coin", "--variant", "3"], "none of these exercises has numbers to vary"),
        (["sum-power", "--roster", "ROSTER"], "say --variant SEED with it"),
        (["no.yml"], "no.yml"),
    ],
)
def test_a_command_that_can_not_be_followed(handed_out, capsys, tmp_path, words, message):
    roster = handed_out.parent / "roster.csv"
    words = [str(roster) if w == "ROSTER" else w for w in words]
    status = cli.main(["assign", *words, "--bank", str(handed_out.parent / "bank"), "-o", str(tmp_path)])
    assert status == 2 and message in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_list_filters(handed_out, capsys):
    bank = ["--bank", str(handed_out.parent / "bank")]
    cli.main(["list", *bank, "--no-written", "--kind", "implement"])
    out = capsys.readouterr().out
    assert "sum-power" in out and "[variants]" in out and "1 exercises, 4 points" in out
    assert "sum-coin" not in out
    cli.main(["list", *bank, "--csv", "--max-points", "3"])
    rows = capsys.readouterr().out.strip().split("\n")
    assert rows[0].startswith("id,page,kind,points")
    assert [row.split(",")[0] for row in rows[1:]] == ["sum-coin", "sum-explain"]
