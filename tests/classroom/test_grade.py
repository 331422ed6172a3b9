"""From a folder to a table: comparing, seeds, taking up again, marks by a person, late days, learning platforms."""

import json
import resource
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from classroom import assign, bank, cli, grade, report, submissions, worker
from classroom.sandbox import Limits

FULL = {"sum-power": 4, "sum-coin": 2}


def probe(**more):
    return {"code": "", "points": 1, "tol": 1e-6, "judge": "", **more}


def arrays(*values):
    return [np.asarray(v, float) for v in values]


# ---------- comparing ----------


@pytest.mark.parametrize(
    ("answer", "reference", "share", "note"),
    [
        (arrays([1.0, 2.0]), arrays([1.0, 2.0]), 1, ""),
        (arrays([1.0, 2.0 + 1e-7]), arrays([1.0, 2.0]), 1, ""),
        (arrays([1.0, 2.0 + 1e-3]), arrays([1.0, 2.0]), 0, "wrong numbers"),
        (arrays([2.0 + 1e-5]), arrays([2.0]), 0, "wrong numbers, but close: to 0.0001, not to 1e-06"),
        (arrays([1e9 + 1]), arrays([1e9]), 1, ""),
        (arrays([1.0, 2.0, 3.0]), arrays([1.0, 2.0]), 0, "wrong shape"),
        (arrays([[1.0, 2.0]]), arrays([1.0, 2.0]), 0, "wrong shape: an axis of length 1 too many or too few"),
        (arrays(1.0), arrays(1.0, 1.0), 0, "wrong number of results"),
        (arrays([np.nan]), arrays([1.0]), 0, "wrong numbers"),
        (arrays([np.nan, np.inf]), arrays([np.nan, np.inf]), 1, ""),
        (arrays([-np.inf]), arrays([np.inf]), 0, "wrong numbers"),
        ("NotImplementedError", arrays(1.0), 0, "not attempted"),
        ("ZeroDivisionError", arrays(1.0), 0, "raised ZeroDivisionError"),
        ("TheProbeSaysSeed5", arrays(1.0), 0, "raised an exception"),
        ("timed out", arrays(1.0), 0, "timed out"),
        ("returned None", arrays(1.0), 0, "returned None"),
        ("NameError", arrays(1.0), 0, "raised NameError: your function, or something that it uses, is not defined"),
    ],
)  # fmt: skip
def test_an_answer_against_the_reference(answer, reference, share, note):
    assert grade.score(probe(), answer, reference) == (share, note)


@pytest.mark.parametrize(
    ("body", "share"),
    [("out[0].shape == (2,)", 1), ("0.25", 0.25), ("7.0", 1), ("-3", 0), ("float('nan')", 0), ("out[5]", 0), ("'no'", 0)],
)  # fmt: skip
def test_a_judge_gives_a_share_whatever_it_meets(body, share):
    judged = probe(judge=f"def judge(out, ref):\n    return {body}")
    assert grade.score(judged, arrays([1.0, 2.0]), arrays([0.0]))[0] == share


def test_a_reference_without_numbers_is_the_banks_fault():
    with pytest.raises(bank.BankError, match="the reference solution gives no answer: NameError"):
        grade.score(probe(), arrays(1.0), "NameError")


# ---------- a folder ----------


@pytest.fixture(scope="module")
def course(tmp_path_factory, key, box, answered, good):
    """Four students of a learning platform's zip, graded from the command line."""
    folder = tmp_path_factory.mktemp("course")
    mean = {"sum-power": "def power_mean(x): return x.mean(-1) ** K"}
    partly = {
        "sum-power": "def power_mean(x):\n    if len(x) == 1: return (x**K).mean(-1)\n    raise ValueError('no')"
    }
    work = {
        "Ana Sá_101_assignsubmission_file_/hw.ipynb": answered(),
        "Bo Li_102_assignsubmission_file_/hw.ipynb": answered({**good, **mean}, written=""),
        "Cy_103_assignsubmission_file_/hw.ipynb": answered(partly, written="# 5 points\n<b>full marks</b>"),
        "Cy_103_assignsubmission_file_/hw (1).ipynb": answered({}),
        "../../evil_999_x/hw.ipynb": answered({}, written=""),
        "__MACOSX/._hw.ipynb": "junk",
    }
    with zipfile.ZipFile(folder / "subs.zip", "w") as archive:
        for name, text in work.items():
            archive.writestr(name, text)
    (folder / "key.json").write_text(json.dumps(key))
    (folder / "roster.csv").write_bytes(
        "student;ID;name\n101;x1;Ana Sá\n102;x2;=Bo\n103;x3;Cy\n104;x4;Dee\n".encode("utf-8-sig")
    )
    (folder / "late.csv").write_text("student,days\n102,2\n")
    words = ["grade", *(f"{folder}/{name}" for name in ("key.json", "subs.zip")), "-o", f"{folder}/out"]
    words += ["--roster", f"{folder}/roster.csv", "--late", f"{folder}/late.csv"]
    assert cli.main(words) == 0
    return folder, words


def test_the_table(course, table):
    rows = table(course[0] / "out")
    ids = ["sum-power", "sum-coin", "sum-explain"]
    assert list(rows["104"]) == ["submission", "student", "status", *ids, "total", "max"]
    short = {
        name.split("_")[0]: [row[column] for column in ("student", *ids, "total")]
        for name, row in rows.items()
        if "(1)" not in name
    }
    assert short == {
        "Ana Sá": ["101", "4", "2", "", "6"],
        "Bo Li": ["102", "1", "2", "0", "2.4"],
        "Cy": ["103", "1", "0", "", "1"],
        "../../evil": ["", "0", "0", "0", "0"],
        "104": ["104", "0", "0", "0", "0"],
    }  # fmt: skip
    statuses = [row["status"] for row in rows.values()]
    assert sum("2 submissions of this student" in s for s in statuses) == 2
    assert sum("2 days late, minus 20 %" in s for s in statuses) == 1
    assert rows["104"]["status"] == "nothing handed in"


def test_feedback_names_the_mistake_and_holds_no_html_of_the_students(course):
    files = {path.name: path.read_text() for path in (course[0] / "out/feedback").iterdir()}
    bo = next(text for name, text in files.items() if name.startswith("Bo-Li") and name.endswith(".md"))
    assert "your numbers are those of a common mistake: power of the mean" in bo
    cy = next(text for name, text in files.items() if name.startswith("Cy-103") and "raised" in text)
    assert "probe 1 of 2 (3 p): raised ValueError" in cy and "not attempted" in cy
    pages = [text for name, text in files.items() if name.endswith(".html")]
    assert len(pages) == 5 and all("default-src 'none'" in text for text in pages)
    assert not any("<b>" in text or "<script" in text for text in pages)


def test_what_a_person_must_mark_is_quoted(course):
    text = (course[0] / "out/written.md").read_text()
    assert "> # 5 points" in text and "&lt;b&gt;" in text and "<b>" not in text and "only for markers" in text
    rows = (course[0] / "out/written.csv").read_text().strip().split("\n")
    assert rows[0] == "submission,exercise,max,points,comment" and len(rows) == 4


def test_marks_are_merged_and_kept(course, capsys, table):
    folder, words = course
    path, ana = folder / "out/written.csv", "Ana Sá_101_assignsubmission_file_/hw.ipynb"
    rows = submissions.read_table(path)
    marked = [
        {**row, "points": "2,5" if row["submission"] == ana else "", "comment": "almost"} for row in rows
    ]
    path.write_text(report.as_csv(marked, report.WRITTEN))
    assert cli.main(["marks", str(folder / "out")]) == 0
    row = table(folder / "out")[ana]
    assert row["sum-explain"] == "2.5" and row["total"] == "8.5" and row["status"] == "ok"
    feedback = next((folder / "out/feedback").glob("Ana*.md")).read_text()
    assert "2.5 of 3" in feedback and "- almost" in feedback
    capsys.readouterr()
    assert cli.main(words) == 0, "grading again keeps the marks, and runs nothing"
    assert "[1/" not in capsys.readouterr().err
    assert table(folder / "out")[ana]["sum-explain"] == "2.5"
    path.write_text(path.read_text().replace(",2.5,", ",9,"))
    assert cli.main(["marks", str(folder / "out")]) == 2
    assert "points must be a number from 0 to 3, got '9'" in capsys.readouterr().err


def test_regrading_runs_only_what_is_named(course, capsys):
    folder, words = course
    (folder / "out/written.csv").unlink()
    assert cli.main([*words, "--regrade", "Bo Li"]) == 0
    said = capsys.readouterr().err
    assert "[1/1] Bo Li" in said and "Ana" not in said


def test_a_changed_file_is_graded_again_with_the_same_seeds(tmp_path, run, answered):
    folder = tmp_path
    (folder / "a.ipynb").write_text(answered())
    (folder / "b.ipynb").write_text(answered({}))
    first, state, said = run(folder), folder / "out/state/run.json", []
    seed = json.loads(state.read_text())["seed"]
    (folder / "b.ipynb").write_text(answered())
    second = run(folder, say=said.append)
    assert first["b"]["marks"] != second["b"]["marks"] == FULL
    assert next(line for line in said if line.startswith("[")).startswith("[1/1] b.ipynb")
    assert json.loads(state.read_text())["seed"] == seed


def test_each_grading_has_its_own_seeds(key, tmp_path):
    one, two = (grade.Grading(key, tmp_path / name).jobs.each() for name in ("a", "b"))
    assert [e["id"] for e, _, _ in one] == [e["id"] for e, _, _ in two]
    first, second = ({seed for *_, seed in each} for each in (one, two))
    assert not first & second and len(first) == len(one)


def test_a_student_is_graded_by_the_own_numbers(tmp_path, assignment, run, answered):
    numbers = {"": {"sum-power": {"K": 2}, "sum-coin": {}, "sum-explain": {}}}
    numbers["ana"] = {**numbers[""], "sum-power": {"K": 5}}
    key = json.loads(json.dumps(assign.key(assignment, numbers, "7")))
    for name in ("ana", "bob"):
        fifth = {"sum-power": "K = 5\ndef power_mean(x): return (x**5).mean(-1)"}
        (tmp_path / f"{name}.ipynb").write_text(answered(fifth))
    states = run(tmp_path, students={"ana.ipynb": "ana"}, key=key)
    assert [states[name]["marks"]["sum-power"] for name in ("ana", "bob")] == [4, 0]


@pytest.fixture
def sent(box, monkeypatch):
    """What went into sandboxes: a text for each."""
    texts, real = [], type(box).run

    def spy(self, groups, probes, *more):
        texts.append(json.dumps([groups, probes]))
        return real(self, groups, probes, *more)

    monkeypatch.setattr(type(box), "run", spy)
    return texts


def test_whoever_ran_out_of_time_without_a_processor_runs_again_alone(tmp_path, run, answered, sent):
    """Another's processes may have taken it: a neighbour that spins costs nobody points."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.ipynb").write_text(answered(before=["import time\ntime.sleep(60)"]))
    states = run(tmp_path, Limits(seconds=25, cell_seconds=5, probe_seconds=5))
    assert len(sent) == 1 + 2 + 2 and [s["marks"] for s in states.values()] == [FULL, FULL]


def test_what_the_sandbox_can_read_is_refused(tmp_path, box):
    with pytest.raises(cli.Usage, match="can be read in the sandbox, which sees all of /usr"):
        cli.blind(box, [tmp_path, Path("/usr/lib")])
    assert cli.blind(box, [tmp_path, Path("/no/such/file")]) is box


def test_nothing_of_the_solution_enters_the_sandbox(tmp_path, run, answered, sent):
    """What is sent into a submission's sandbox: the student's cells and the probes, no solution, check or number."""
    (tmp_path / "a.ipynb").write_text(answered())
    run(tmp_path, jobs=1)
    assert len(sent) == 2 and "secret_powers" in sent[0] and "secret_powers" not in sent[1]
    assert "judge" not in sent[1] and "only for markers" not in sent[1]


# ---------- who is who, and where it goes ----------


def test_matching_a_roster():
    names = ("ana.ipynb", "ana-maria.ipynb", "x/hw_bo.ipynb", "li/hw.ipynb", "zoe.ipynb")
    files = [submissions.Submission(name) for name in names]
    roster = [{"student": name} for name in ("ana", "ana-maria", "bo")]
    roster.append({"student": "9", "submission": "li"})
    found = submissions.match(files, roster)
    assert {name: row["student"] for name, row in found.items()} == {
        "ana.ipynb": "ana", "ana-maria.ipynb": "ana-maria", "x/hw_bo.ipynb": "bo", "li/hw.ipynb": "9",
    }  # fmt: skip


def test_a_file_named_after_another_student_is_nobodys():
    """Part of the path is the platform's, part was chosen by whoever handed in: a person must look."""
    names = ["mal_103_7_102.ipynb", "Mal_103_x/1024.ipynb", "m.zip/bob.ipynb", "m.zip/../Mal_103_x/a.ipynb"]
    files = [submissions.Submission(name) for name in (*names, "x_103_x/bob.ipynb")]
    roster = [{"student": name} for name in ("102", "1024", "103")]
    roster += [{"student": "bob", "submission": "bob.ipynb"}, {"student": "mal", "submission": "m.zip"}]
    assert submissions.match(files, roster) == {}
    roster[3]["submission"] = "m.zip/bob.ipynb"  # the widest name that a person wrote down counts
    assert submissions.match(files, roster) == {
        "m.zip/bob.ipynb": roster[3], "x_103_x/bob.ipynb": roster[2],
    }  # fmt: skip


def test_export_for_a_platform(course, capsys):
    folder, _ = course
    words = ["export", str(folder / "out"), "--roster", str(folder / "roster.csv")]
    assert cli.main([*words, "Student=name", "SIS User ID=ID", "Sums (77)=total"]) == 0
    lines = capsys.readouterr().out.strip().split("\n")
    assert lines[0] == "Student,SIS User ID,Sums (77)" and "'=Bo,x2,2.4" in lines
    assert cli.main([*words, "Student=nobody"]) == 2
    assert "HEADER=FIELD with a field of ID, " in capsys.readouterr().err


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1"])
def test_no_cell_becomes_a_formula(text):
    assert report.safe(text).startswith("'")


def test_a_semicolon_starts_no_cell():
    """Where spreadsheets split at semicolons, what follows one would be a formula."""
    (line,) = report.as_csv([{"submission": "x;=1+1", "total": 3}], ["submission", "total"]).split("\n")[1:-1]
    assert line == '"x;=1+1",3'


def test_a_zip_bomb_is_read_no_further_than_allowed(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.ipynb", b"0" * (200 << 20))
    start = time.monotonic()
    (one,) = submissions.find(tmp_path)
    submissions.read(one, set(), [])
    assert one.fault == "larger than 20 MiB" and len(one.data) < 1 << 12 and time.monotonic() - start < 5


def test_a_zip_is_not_unpacked_by_a_method_without_a_bound(tmp_path):
    """A kilobyte of bzip2 holds gigabytes, and zipfile would make them at once."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.ipynb", b"{}")
        archive.writestr("b.ipynb", bytes(30 << 20))
    first, second = submissions.find(tmp_path)
    assert "neither stored nor deflated" in first.fault and second.fault == "larger than 20 MiB"
    assert not first.data and not second.data


def test_one_zip_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(submissions, "MOST_ZIP", 3 << 20)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(5):
            archive.writestr(f"{n}.ipynb", bytes(1 << 20))
    found = [one.fault for one in submissions.find(tmp_path)]
    assert found == [""] * 3 + ["beyond 3 MiB in one zip"] * 2
    assert not any(one.fault for one in submissions.find(tmp_path / "a.zip")), "a class may hand in more"


def test_a_file_without_a_name_in_a_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.ipynb", b"{}")
    data = (tmp_path / "a.zip").read_bytes().replace(b"a.ipynb", b"\0.ipynb")
    (tmp_path / "a.zip").write_bytes(data)
    assert list(submissions.find(tmp_path)) == []


def test_no_name_takes_the_files_of_another():
    """The state and feedback of a submission lie under a hash that nobody can hit by trying names."""
    assert len(submissions.Submission("a.ipynb").slug) == len("a-") + 16


def test_a_broken_zip_and_one_behind_a_password(tmp_path):
    (tmp_path / "b.zip").write_bytes(b"PK not a zip")
    assert [one.fault for one in submissions.find(tmp_path)] == ["not a zip file"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["grade", "none.json", "."], "none.json"),
        (["grade", "odd.json", "."], "is not a key that this version"),
        (["grade", "KEY", "nowhere"], "does not exist"),
        (["grade", "KEY", "empty"], "holds no notebooks"),
        (["grade", "KEY", ".", "--roster", "odd.json"], "needs a header with the column 'student'"),
        (["marks", "empty"], "is not a folder that genkit-book grade wrote"),
    ],
)
def test_what_can_not_be_used_is_said_in_one_line(tmp_path, monkeypatch, capsys, key, words, message):
    monkeypatch.chdir(tmp_path)
    Path("KEY").write_text(json.dumps(key))
    Path("odd.json").write_text("{}")
    Path("x.ipynb").write_text("{}")
    Path("empty").mkdir()
    status = cli.main([*words, *(["-o", "out"] if words[0] == "grade" else [])])
    said = capsys.readouterr().err.strip()
    assert status == 2 and message in said and "\n" not in said


def test_the_cost_of_a_submission(run, answered, tmp_path):
    """CPU for each of a class at most twice that of importing torch, in the same run."""

    def spent(words):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(words, check=True, env={"PATH": "/usr/bin", "OMP_NUM_THREADS": "1"})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    bare = np.median([spent([sys.executable, "-c", "import torch"]) for _ in range(3)])
    for n in range(4):
        (tmp_path / f"{n}.ipynb").write_text(answered())
    start = time.process_time()
    states = run(tmp_path, Limits(), jobs=1)
    own = (time.process_time() - start) / 4
    each = np.median([s["cpu"] for s in states.values()])
    assert each + own < 2 * bare, f"{each:.2f} s in the sandbox and {own:.2f} s here, against {bare:.2f} s"


def test_single_numbers_are_alike_whoever_made_them():
    as_list = worker.numbers([1.0, 2.0])
    for same in ((torch.tensor(1.0), 2), [np.float32(1), np.array(2)], torch.tensor([1.0, 2.0])):
        assert worker.numbers(same) == as_list
    assert (
        worker.numbers([[1.0], torch.ones(2)]) != as_list and len(worker.numbers([[1.0], torch.ones(2)])) == 2
    )
    assert worker.numbers(True) == worker.numbers(1.0) == worker.numbers(torch.tensor(1)) and worker.numbers(
        []
    )[0][0] == [0]


def test_nothing_moves_the_cursor_of_whoever_reads(tmp_path, run, answered):
    evil = "raise ValueError('\x1b[2J\u202etxt')"
    (tmp_path / "a.ipynb").write_text(answered(before=[evil], written="ok \x1b]0;x\x07 \u202eevil"))
    text = json.dumps(run(tmp_path), ensure_ascii=False)
    assert "ValueError" in text and not {"\x1b", "\u202e", "\x07"} & set(text)


def test_an_id_that_would_leave_the_folder(tmp_path, capsys, text):
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank/a.md").write_text(text)
    (tmp_path / "roster.csv").write_text("student\n../../etc/x\n")
    words = ["assign", "sum-power", "--bank", str(tmp_path / "bank"), "-o", str(tmp_path / "out")]
    assert cli.main([*words, "--variant", "1", "--roster", str(tmp_path / "roster.csv")]) == 2
    assert "must be letters, digits" in capsys.readouterr().err and not (tmp_path / "out").exists()
