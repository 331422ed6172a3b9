"""A term as it is lived: platforms' file names, spreadsheets' dialects, typos, second thoughts, Ctrl-C."""

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from classroom import cli, report, submissions

ROOT = Path(__file__).resolve().parents[2]


def zipped(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


# ---------- what platforms hand over ----------

PLATFORMS = {  # a file's path -> whose it is
    "sáana_12345_67890_hw1.ipynb": "12345",
    "sáana_LATE_12346_67891_hw1-1.ipynb": "12346",
    "Ana Sá_123456_assignsubmission_file_/hw1.ipynb": "Ana Sá",
    "Bo Li - Copy of hw1.ipynb": "Bo Li",
    "zoë_hw1.ipynb": "Zoë",  # the accent as a character of its own
    "ABC1-hw1.ipynb": "abc1",
    "12345_12346_hw1.ipynb": None,
    "Untitled7.ipynb": None,
}


def test_the_names_that_platforms_give():
    files = [submissions.Submission(name) for name in PLATFORMS]
    roster = [{"student": s} for s in ("12345", "12346", "Ana Sá", "Bo Li", "Zoë", "abc1", "li")]
    found = submissions.match(files, roster)
    assert {name: found.get(name, {}).get("student") for name in PLATFORMS} == PLATFORMS


def test_two_rows_for_one_file():
    roster = [{"student": "ana", "submission": "x.ipynb"}, {"student": "bo", "submission": "X"}]
    with pytest.raises(submissions.RosterError, match=r"gives 'x.ipynb' to 'ana' and 'bo'"):
        submissions.match([submissions.Submission("x.ipynb")], roster)


def test_a_zip_with_too_many_files_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(submissions, "MOST_FILES", 2)
    (tmp_path / "all.zip").write_bytes(zipped({f"{k}.ipynb": "{}" for k in range(3)}))
    found = list(submissions.find(tmp_path / "all.zip"))
    assert [one.name for one in found] == ["all.zip", "0.ipynb", "1.ipynb"] and "left out" in found[0].fault


def test_what_is_found_in_what_students_send(tmp_path):
    own = zipped(
        {"hw/hw1.ipynb": "{}", "hw/.ipynb_checkpoints/hw1-checkpoint.ipynb": "{}", "hw/deep.zip": "PK"}
    )
    outer = {"Ana_1_file_/work.zip": own, "Bo_2_file_/hw1.pdf": "%PDF", "Cy_3_file_/hw1.ipynb.txt": "{}"}
    (tmp_path / "all.zip").write_bytes(zipped(outer))
    (tmp_path / "hw1.ipynb.json").write_text("{}")
    (tmp_path / "answer.py").write_text("x")
    for path, prefix in ((tmp_path, "all.zip/"), (tmp_path / "all.zip", "")):
        found = {one.name.removeprefix(prefix): (one.fault, one.other) for one in submissions.find(path)}
        inside = {
            "Ana_1_file_/work.zip/hw/hw1.ipynb": ("", False),
            "Ana_1_file_/work.zip/hw/deep.zip": ("not a notebook (.zip)", True),
            "Bo_2_file_/hw1.pdf": ("not a notebook (.pdf)", True),
            "Cy_3_file_/hw1.ipynb.txt": ("", False),
        }
        beside = {"hw1.ipynb.json": ("", False), "answer.py": ("not a notebook (.py)", True)}
        assert found == (inside | beside if prefix else inside)


# ---------- what spreadsheets write ----------

TABLE = 'student,name\n0071,"Sá, Ana"\nbo,Bo\n'


@pytest.mark.parametrize(
    "raw",
    [
        TABLE.encode(),
        TABLE.encode("utf-8-sig"),
        TABLE.encode("cp1252"),
        TABLE.replace("\n", "\r\n").encode(),
        TABLE.replace("\n", "\r").encode(),
        TABLE.replace(",", "\t").replace("Sá\t", "Sá,").encode("utf-16"),
        TABLE.replace(",", ";").replace("Sá;", "Sá,").encode("utf-8-sig"),
        TABLE.encode() + b"\n , \n",
    ],
)
def test_every_dialect_of_a_table(tmp_path, raw):
    (tmp_path / "r.csv").write_bytes(raw)
    assert submissions.read_roster(tmp_path / "r.csv") == [
        {"student": "0071", "name": "Sá, Ana"},
        {"student": "bo", "name": "Bo"},
    ]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"student\nana\nAna\n", "each student must have one row, but 'ana' has more"),
        (b"id,name\n1,a\n", "needs a header with the column 'student', got 'id, name'"),
        (b"", "needs a header"),
        (b"student\n" + b"x" * 200_000, "field larger than field limit"),
    ],
)
def test_a_roster_that_can_not_be_used(tmp_path, raw, message):
    (tmp_path / "r.csv").write_bytes(raw)
    with pytest.raises(submissions.RosterError, match=message):
        submissions.read_roster(tmp_path / "r.csv")


# ---------- what students do to a notebook ----------


def read(cells, key, **metadata):
    one = submissions.Submission("a.ipynb", json.dumps({"cells": cells, "metadata": metadata}).encode())
    submissions.read(one, set(), [e["id"] for e in key["exercises"] if not e["probes"]])
    return one


def test_a_pasted_photo_costs_nothing(notebook, key):
    photo = "Because\n\n![p.png](data:image/png;base64," + "iVBOR/+w0KGgo" * 200_000 + ")\n\nso."
    cells = json.loads(json.dumps(notebook.cells))
    cells[-1]["source"] += photo
    one = read(cells, key)
    assert not one.fault and one.code
    assert one.written["sum-explain"] == "Because\n\n![p.png](picture-in-the-notebook)\n\nso."


def test_an_answer_above_the_cell_that_asks_for_it(notebook, key):
    cells = json.loads(json.dumps(notebook.cells))
    cells.insert(len(cells) - 1, {"cell_type": "markdown", "metadata": {}, "source": "Because."})
    assert read(cells, key).written == {"sum-explain": "Because."}
    assert read(notebook.cells, key).written == {}


def test_a_notebook_of_another_kind(key):
    assert read([], key, genkit_book={"assignment": "hw2"}).assignment == "hw2"
    old = submissions.Submission("a.ipynb", b'{"worksheets": [], "nbformat": 3}')
    submissions.read(old, set(), [])
    assert old.fault.startswith("a notebook of the old format 3")


# ---------- from the command line ----------


@pytest.fixture
def term(tmp_path, monkeypatch, text, key, box):
    """A bank, a key, and a way to say a command."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank/a.md").write_text(text)
    (tmp_path / "key.json").write_text(json.dumps(key))
    (tmp_path / "in").mkdir()
    return tmp_path


def grade(*words):
    return cli.main(["grade", "key.json", "in", "-o", "out", *words])


def test_a_class_as_it_is(term, answered, capsys, table):
    """A copy of the stub below the answer, a PDF, a data file, a stranger, another homework, nothing."""
    nb = json.loads(answered())
    nb["cells"].insert(0, {**nb["cells"][5]})
    nb["cells"][6] = json.loads(answered({}))["cells"][5]
    assert "### " not in nb["cells"][6]["source"] and "NotImplementedError" in nb["cells"][6]["source"]
    (term / "in/ana.ipynb").write_text(json.dumps(nb))
    (term / "in/ana.csv").write_text("data")
    (term / "in/bo.pdf").write_text("%PDF")
    (term / "in/Untitled.ipynb").write_text(answered({}))
    (term / "in/cy.ipynb").write_text(answered().replace('"assignment": "hw"', '"assignment": "hw2"'))
    (term / "roster.csv").write_text("student,submission\n,\nana,\nbo,\ncy,\ndee,dee.ipynb\n")
    assert grade("--roster", "roster.csv") == 0
    said = capsys.readouterr()
    assert "5 rows in out/grades.csv; 4 with a status to look at" in said.out
    assert "1 files that are no notebooks are passed over, such as 'ana.csv'" in said.err
    assert "--roster: there is no 'dee.ipynb', named for 'dee'" in said.err
    rows = table(Path("out"))
    assert [rows["ana.ipynb"][c] for c in ("sum-power", "sum-coin")] == ["4", "2"]
    assert {name: row["status"].removesuffix("; written answers to mark") for name, row in rows.items()} == {
        "ana.ipynb": "ok",
        "bo.pdf": "not a notebook (.pdf)",
        "Untitled.ipynb": "ok; written answers to mark; no student of the roster, or more than one",
        "cy.ipynb": "ok; the notebook of another assignment, 'hw2'",
        "dee": "nothing handed in",
    }
    # marks from a spreadsheet, in its own encoding and dialect
    marks = Path("out/written.csv")
    excel = marks.read_text().replace("ana.ipynb,sum-explain,3,,", "ana.ipynb,sum-explain,3,2.5,schön")
    marks.write_bytes(excel.replace("2.5", "2,5").replace(",", ";").replace("2;5", "2,5").encode("cp1252"))
    assert cli.main(["marks", "out"]) == 0 and table(Path("out"))["ana.ipynb"]["sum-explain"] == "2.5"
    assert "schön" in next(Path("out/feedback").glob("ana-*.md")).read_text()
    capsys.readouterr()
    assert cli.main(["export", "out", "--roster", "roster.csv", "ID=student", "Sums=total"]) == 0
    said = capsys.readouterr()
    assert sorted(said.out.split()) == ["ID,Sums", "ana,8.5", "bo,0", "cy,6", "dee,0"]
    assert "1 rows have the status 'written answers to mark': exported without them" in said.err
    # a submission that is taken out leaves no page
    (term / "in/bo.pdf").unlink()
    assert grade("--roster", "roster.csv") == 0
    assert table(Path("out"))["bo"]["status"] == "nothing handed in" and not list(
        Path("out/feedback").glob("bo*")
    )
    capsys.readouterr()
    # a name that no submission has would lose its points
    kept = marks.read_text().replace("ana.ipynb", "anna.ipynb")
    marks.write_text(kept)
    assert cli.main(["marks", "out"]) == 2 and marks.read_text() == kept
    assert "there is no submission 'anna.ipynb'" in capsys.readouterr().err
    marks.write_text(kept.replace("exercise", "task"))
    assert cli.main(["marks", "out"]) == 2 and "the column 'exercise'" in capsys.readouterr().err
    Path("key.json").write_text(Path("key.json").read_text().replace("Homework", "Other"))
    assert cli.main(["marks", "out"]) == 2 and "has changed since out was graded" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-j", "0"], "--jobs must be above 0, got 0"),
        (["--cell-timeout", "nan"], "--cell-timeout must be above 0, got nan"),
        (["--penalty", "-5"], "--penalty must be from 0 to 100, got -5"),
        (["--late", "late.csv"], "--late: each row must have a student of --roster"),
        (["--late", "late.csv", "--roster", "roster.csv"], "days from 0, got {'student': 'ana', 'days': 'two'}"),
        (["--late", "roster.csv", "--roster", "roster.csv"], "the column 'days'"),
        (["--regrade", "zoe"], "--regrade: no submission has 'zoe' in its name"),
        (["-o", "in/out"], "-o: in/out must not lie in in"),
    ],
)  # fmt: skip
def test_a_grading_that_can_not_be_as_said(term, answered, capsys, words, message):
    (term / "in/ana.ipynb").write_text(answered({}))
    (term / "late.csv").write_text("student,days\nana,two\n")
    (term / "roster.csv").write_text("student\nana\n")
    assert grade(*words) == 2
    said = capsys.readouterr().err.strip()
    assert message in said and "\n" not in said


def test_assigning_again(term, capsys):
    """The same is fine, and so are more students; another key is not overwritten."""
    words = ["assign", "--bank", "bank", "-o", "hw", "--variant", "1", "--roster", "r.csv"]
    (term / "r.csv").write_text("student\nana\n")
    assert cli.main([*words, "sum-power"]) == 0
    (term / "r.csv").write_text("student\nana\nbo\n")
    assert cli.main([*words, "sum-power"]) == 0
    key = Path("hw/instructor/homework-1.key.json").read_text()
    assert set(json.loads(key)["numbers"]) == {"", "ana", "bo"}
    notebook = Path("hw/homework-1.ipynb").read_text()
    capsys.readouterr()
    assert cli.main([*words, "sum-power", "sum-coin"]) == 2
    assert "is the key of other exercises or numbers" in capsys.readouterr().err
    assert Path("hw/homework-1.ipynb").read_text() == notebook
    (term / "in/ana.ipynb").write_text("{}")
    assert cli.main(["grade", "hw/instructor/homework-1.key.json", "in", "-o", "out"]) == 2
    assert "--roster is needed, with the ids that assign was given" in capsys.readouterr().err
    (term / "r.csv").write_text("student\n4711\n")
    words = ["grade", "hw/instructor/homework-1.key.json", "in", "-o", "out", "--roster", "r.csv"]
    assert cli.main(words) == 2 and "numbers of their own: ana, bo, ..." in capsys.readouterr().err
    (term / "r.csv").write_text("student\nana\nzoe\n")
    assert cli.main(words) == 0
    assert "1 of the roster have no numbers of their own, such as 'zoe'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ("1: 2\nexercises: [a]", "unknown entry 1; it may hold name, title, intro, exercises"),
        ("title: [a]\nexercises: [a]", "title must be a text, got ['a']"),
        ("exercises: [sum-powr]", "no exercise 'sum-powr' (did you mean sum-power?)"),
    ],
)
def test_a_plan_with_a_typo(term, capsys, plan, message):
    (term / "p.yml").write_text(plan)
    assert cli.main(["assign", "p.yml", "--bank", "bank", "-o", "x"]) == 2
    assert message in capsys.readouterr().err and not (term / "x").exists()


def test_ctrl_c_stops_soon_and_the_same_command_goes_on(term, answered, table):
    wait = ["import time\ntime.sleep(2)"]
    for n in range(8):
        (term / f"in/{n}.ipynb").write_text(answered({}, before=wait))
    words = [sys.executable, "-m", "classroom.cli", "grade", "key.json", "in", "-o", "out", "-j", "1"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=env, text=True)
    while "[1/8]" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "say the same again" in said and time.monotonic() - start < 12
    assert grade("-j", "2") == 0
    rows = table(Path("out"))
    assert len(rows) == 8 and report.NOBODY not in str(rows)
