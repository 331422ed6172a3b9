"""A faulty master stops with a message that names file and exercise; a probe that judges wrongly is found."""

import html
import json
import re
from pathlib import Path

import pytest

from classroom import bank, cli, grade

ROOT = Path(__file__).resolve().parents[2]
BOOK = bank.read_bank(ROOT / "exercises")


@pytest.fixture
def master(tmp_path, text):
    """Write the master with a replacement and read it."""
    folder = tmp_path / "exercises"
    folder.mkdir()

    def read(old="", new=""):
        assert old in text
        (folder / "sums.md").write_text(text.replace(old, new, 1) if old else text)
        return bank.read_bank(folder)[0]

    return read


FAULTS = [
    ('"points": 4,', '"points": 5,', "sum-power.*points of its probes must add up to 5, not 4"),
    ("role: probe, points: 3}", "role: probe}", "sum-power.*a probe's points must be a whole number from 1, got None"),
    ("role: probe, points: 3}", "role: probe, points: 3, tol: 2.0}", "a probe's tol must be a number between 0 and 1"),
    ("def probe(seed):", "def probes(seed):", "sum-power.*a probe must define probe"),
    ("def judge(out, ref):", "def verdict(out, ref):", "sum-coin.*the judge must define judge"),
    ("- 2: proves it", "- 1: proves it", "sum-explain.*rubric's points must add up to 3"),
    ("- 2: proves it", "- two: proves it", "sum-explain.*a rubric's line must read '- POINTS: what earns them'"),
    ("\nBecause the confidential reason is a theorem.\n", "\n", "sum-explain.*has no solution"),
    ('"kind": "explain"', '"kind": "implement"', "sum-explain.*the solution of the kind implement is a markdown cell"),
    ("choices: {K: [2, 3, 4, 5]}", "choices: {K: [2, 4]}", "sum-power.*K = 3 must be one of at least two choices"),
    ("choices: {K: [2, 3, 4, 5]}", "choices: {M: [2, 4]}", "must name the same constants"),
    ("K = 3\n", "K = len([1])\n", "sum-power.*the numbers cell: "),
    ("K = {{K}}", "K = {{Q}}", "the statement uses Q"),
    ("id: sum-coin, role: probe, points: 2}", "id: sum-coin, role: wrong, why: never}", "sum-coin.*a judge must follow its probe"),
    ("id: sum-coin, role: probe", "id: sum-power, role: probe", "sum-coin.*a judge must follow its probe"),
    ("role: judge}", "role: jury}", "has the role 'jury', not one of"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), FAULTS, ids=[m for *_, m in FAULTS])
def test_a_faulty_master(master, old, new, message):
    with pytest.raises(bank.BankError, match=message) as error:
        master(old, new)
    assert str(error.value).startswith("exercises/sums.md: ")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    return power_mean(hidden_input)", "    return hidden_input.mean(-1) ** K", "sum-power", ),
        ("    secret_powers = x**K", "    secret_powers = nothing", "sum-power: the solution gives no numbers: NameError"),
        ("    return (x**K).sum(-1)", "    return (x**K).mean(-1)", r"sum-power: the wrong answer \(forgets to divide\) scores full"),
        ("abs(x.mean() - 0.3) < 0.04", "True", r"sum-coin: the wrong answer \(a fair coin\) scores full"),
        ("return (torch.rand(n) < p).double()\n    ### END", "return torch.rand(n + int(1e9 * torch.rand(()) % 7))\n    ### END", "sum-coin: the solution, run again, scores 0"),
    ],
)  # fmt: skip
def test_probes_that_judge_wrongly(master, box, old, new, message):
    one = master(old, new)
    found = grade.trial(box, one, one.exercises)
    said = [f"{exercise}: {line}" for exercise, lines in found.items() for line in lines]
    assert re.match(message, said[0]), said


def test_a_sound_bank_has_no_faults(masters, box):
    assert grade.trial(box, masters[0], masters[0].exercises) == {"sum-power": [], "sum-coin": []}


@pytest.mark.parametrize("master", BOOK, ids=[m.page for m in BOOK])
def test_the_books_own_bank(master, box):
    """Solutions score full, stubs nothing, known wrong answers less than full: through the hidden probes."""
    found = grade.trial(box, master, master.exercises)
    assert {exercise: lines for exercise, lines in found.items() if lines} == {}


def test_the_books_bank_is_large_enough_and_of_three_kinds():
    for part, least in (("objectives", 16), ("approximation", 24)):
        kinds = [e.meta["kind"] for m in BOOK if m.page.startswith(part) for e in m.exercises]
        assert len(kinds) >= least and set(kinds) == set(bank.KINDS), part


def test_secrets_are_nowhere_in_what_readers_get():
    """No line of a solution, probe, judge or rubric in the site, its sources, the notebooks or the package."""
    places = [ROOT / "_build/html", ROOT / "notebooks", ROOT / "genkit", ROOT / "classroom"]
    if not places[0].exists():
        pytest.skip("the site is not built")
    suffixes = {".html", ".md", ".ipynb", ".py", ".js", ".txt"}
    files = [file for place in places for file in place.rglob("*") if file.suffix in suffixes]
    files = [file for file in files if file.stat().st_size < 8 << 20]
    lines = {line.strip() for file in files for line in _lines(file)}
    public = {line.strip() for m in BOOK for line in _public(m)}
    for m in BOOK:
        for e in m.exercises:
            for line in (one.strip() for one in e.secrets()):
                if len(line) > 60 and line not in public:
                    assert line not in lines, (e.id, line)


def _lines(file: Path):
    text = file.read_text(encoding="utf-8", errors="replace")
    if file.suffix == ".ipynb":
        for cell in json.loads(text)["cells"]:
            source = cell["source"]
            yield from ("".join(source) if isinstance(source, list) else source).split("\n")
    elif file.suffix == ".html":
        yield from html.unescape(re.sub(r"<[^>]+>", "", text)).split("\n")
    else:
        yield from text.split("\n")


def _public(master):
    yield from master.setup.split("\n")
    for e in master.exercises:
        yield from (e.stub + "\n" + e.check + "\n" + e.statement + "\n" + e.numbers).split("\n")


def test_the_command_says_what_is_wrong(tmp_path, capsys, box):
    assert cli.main(["check", "--bank", str(tmp_path / "no")]) == 2
    assert cli.main(["check", "--bank", str(tmp_path)]) == 2
    assert cli.main(["check", "no-such-id"]) == 2
    said = capsys.readouterr().err
    assert "is not a folder" in said and "holds no exercises" in said and "has no exercise no-such-id" in said


def test_a_file_that_is_no_notebook_names_itself(tmp_path):
    (tmp_path / "README.md").write_text("What this bank is for.")
    assert bank.read_bank(tmp_path) == []
    (tmp_path / "a.md").write_text("```{code-cell} ipython3\n:ex: {role: setup\nimport torch\n```\n")
    with pytest.raises(bank.BankError, match=r"/a.md: is no MyST notebook: .*Invalid YAML"):
        bank.read_bank(tmp_path)
    (tmp_path / "a.md").write_bytes(b"\xff\xfe")
    with pytest.raises(bank.BankError, match=r"/a.md: is no MyST notebook: .*decode"):
        bank.read_bank(tmp_path)
