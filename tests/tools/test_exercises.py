"""Every exercise of the bank: its solution passes, its stub is not attempted, its wrong ones are rejected."""

import ast
import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from front import FRONT

from classroom.bank import BankError, Exercise, Master, bound, read_bank
from tools import pages


@pytest.fixture(scope="module", autouse=True)
def _dtype():
    """Exercises choose the default dtype; tests of other files in the same process must not see it."""
    before = torch.get_default_dtype()
    yield
    torch.set_default_dtype(before)


MASTER = (
    FRONT
    + '''\
# Exercises: sums

```{code-cell} ipython3
:ex: {role: setup}
import math

from genkit.claims import self_check
```

+++ {"ex": {"id": "sum-mean", "role": "statement", "kind": "implement", "points": 2, "minutes": 5, LEVEL}}

#### The mean

Write $\\bar x = \\frac1n\\sum_i x_i$.

```{code-cell} ipython3
:ex: {id: sum-mean, role: solution}
def mean(x):
    """Mean of a list."""
    ### BEGIN SOLUTION
    return math.fsum(x) / len(x)
    ### END SOLUTION
```

```{code-cell} ipython3
:ex: {id: sum-mean, role: check}
def check_mean():
    x = [1.0, 5.0, 3.0]
    assert abs(sum(v - mean(x) for v in x)) < 1e-9, "deviations from the mean must add up to zero"


self_check("sum-mean", check_mean)
```

```{code-cell} ipython3
:ex: {id: sum-mean, role: probe, points: 2}
def probe(seed):
    return mean([seed % 7, 1.0, 4.0])
```

```{code-cell} ipython3
:ex: {id: sum-mean, role: wrong, why: forgets to divide}
def mean(x):
    return sum(x)
```

```{code-cell} ipython3
:ex: {id: sum-mean, role: wrong, why: "divides by n - 1"}
def mean(x):
    return sum(x) / (len(x) - 1)
```

+++ {"ex": {"id": "sum-max", "role": "statement", "kind": "investigate", "points": 3, "minutes": 9, LEVEL}}

#### The largest

Find it.

```{code-cell} ipython3
:ex: {id: sum-max, role: solution}
def largest(x):
    ### BEGIN SOLUTION
    return max(x)
    ### END SOLUTION
```

```{code-cell} ipython3
:ex: {id: sum-max, role: check}
def check_largest():
    x = [2, 7, 1]
    assert largest(x) in x, "the largest is one of them"
    assert all(largest(x) >= v for v in x), "none may be larger"


self_check("sum-max", check_largest)
```

```{code-cell} ipython3
:ex: {id: sum-max, role: probe, points: 3}
def probe(seed):
    return largest([seed % 7, 3, 5])
```

```{code-cell} ipython3
:ex: {id: sum-max, role: wrong, why: takes the last}
def largest(x):
    return x[-1]
```

```{code-cell} ipython3
:ex: {id: sum-max, role: wrong, why: raises}
def largest(x):
    return x.maximum()
```
'''
).replace("LEVEL", '"difficulty": 2, "topic": "sums"')

PAGE = (
    FRONT
    + """\
# Sums

```{code-cell} ipython3
import math

from genkit.claims import self_check
```

## Exercises

Some words before.

:::{bank} sum-mean
:::

Some words between.

:::{bank} sum-max
:::

## What to read next

The end.
"""
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder, text in (("exercises", MASTER), ("chapters", PAGE)):
        path = tmp_path / folder / "part" / "sums.md"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return tmp_path


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def cells(root: Path) -> list[tuple[str, str, int]]:
    """(role, source, line) of each cell of the page as it is read."""
    nb = pages.notebook("part/sums", root)
    lines = nb.metadata["source_map"]
    return [
        (c.metadata.get("ex", {}).get("role", "-"), c.source, n) for c, n in zip(nb.cells, lines, strict=True)
    ]


# ---------- the bank of the book ----------

BANK = [(m, e) for m in read_bank(pages.ROOT / "exercises") for e in m.exercises]


def attempt(master: Master, exercise: Exercise, answer: str) -> str:
    """How an answer fares on the page: "passed", "not attempted", or what the check says."""
    space = {"__name__": "__main__"}
    heard = io.StringIO()
    with contextlib.redirect_stdout(heard):
        for role, code in (("setup", master.setup), ("numbers", exercise.numbers), ("answer", answer)):
            exec(compile(code, f"<{exercise.id}: {role}>", "exec"), space)
        tree = ast.parse(exercise.check)
        last = tree.body.pop()
        assert isinstance(last, ast.Expr)
        exec(compile(tree, f"<{exercise.id}: check>", "exec"), space)
        ok = eval(compile(ast.Expression(last.value), f"<{exercise.id}: check>", "eval"), space)
    said = heard.getvalue().strip().split("\n")[-1]
    if ok is True and said.startswith("✓"):
        return "passed"
    return "not attempted" if ok is False and said.startswith("·") and "not attempted" in said else said


@pytest.mark.parametrize(
    ("master", "exercise"), [b for b in BANK if not b[1].written], ids=lambda b: getattr(b, "id", "")
)
def test_answers_of_the_bank(master, exercise):
    assert attempt(master, exercise, exercise.solution) == "passed"
    assert attempt(master, exercise, exercise.stub) == "not attempted"
    for why, answer in exercise.wrong:
        assert attempt(master, exercise, answer) not in ("passed", "not attempted"), why


@pytest.mark.parametrize("page", [m.page for m in read_bank(pages.ROOT / "exercises")])
def test_a_page_binds_what_its_exercises_need(page):
    """An exercise stands below the names that it shares with its master's setup."""
    master = next(m for m in read_bank(pages.ROOT / "exercises") if m.page == page)
    given, names = bound(master.setup), set()
    answers = {e.id: e.solution for e in master.exercises if not e.written}
    for cell in pages.code_cells(pages.notebook(page)):
        ex = cell.metadata.get("ex", {})
        code = answers[ex["id"]] if ex.get("role") == "stub" else cell.source
        if ex:
            used = {
                n.id
                for n in ast.walk(ast.parse(code))
                if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
            }
            assert not (used & given) - names, ex["id"]
        names |= bound(code)


@pytest.mark.parametrize("page", pages.pages())
def test_a_page_imports_what_it_needs_and_no_more(page):
    """With its exercises, some of which need a name that nothing else on the page does."""
    code = "\n\n".join(cell.source for cell in pages.code_cells(pages.notebook(page)))
    ruff = [sys.executable, "-m", "ruff", "check", "--quiet", "--select", "F401,F821", "-"]
    done = subprocess.run(ruff, input=code, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_master_has_four_exercises():
    assert [m.page for m in read_bank(pages.ROOT / "exercises") if len(m.exercises) < 4] == []


# ---------- expansion ----------


def test_a_page_is_read_with_its_exercises(root):
    found = cells(root)
    assert [role for role, *_ in found] == [
        "-",
        "-",
        "-",
        "statement",
        "stub",
        "check",
        "-",
        "statement",
        "stub",
        "check",
        "-",
    ]
    text = pages.text("part/sums", root)
    assert ":::{bank}" not in text and "SOLUTION" not in text and "fsum" not in text
    assert (
        ":::{exercise} The mean\n:label: ex-sum-mean\n" in text
        and '_ = self_check("sum-mean", check_mean)' in text
    )
    assert 'raise NotImplementedError("your code here")' in text
    assert text.endswith("## What to read next\n\nThe end.\n") and "Some words between.\n" in text


def test_each_cell_knows_its_line_on_the_page(root):
    page = (root / "chapters/part/sums.md").read_text().split("\n")
    for role, source, line in cells(root):
        if role == "-":
            shown = next(one for one in page[line:] if one.strip())
            assert shown == source.split("\n")[0]
        else:
            assert page[line].startswith(":::{bank} sum-")


def test_a_marker_in_a_code_block_is_code(root):
    page = root / "chapters/part/sums.md"
    page.write_text(page.read_text() + "\n```md\n:::{bank} sum-max\n:::\n```\n")
    assert pages.text("part/sums", root).count(":::{bank} sum-max") == 1


def test_a_changed_statement_changes_the_page_but_not_its_key(root):
    (root / "genkit").mkdir()
    (root / "constraints.txt").write_text("a==1\n")
    before, key = pages.text("part/sums", root), pages.source_key("part/sums", root)
    replace(root / "exercises/part/sums.md", "Find it.", "Find the largest.")
    assert pages.text("part/sums", root) != before and pages.source_key("part/sums", root) == key


FAULTS = [
    (', why: "divides by n - 1"', "", "sum-mean': wrong answer 2 does not say why"),
    ("role: wrong, why: takes", "role: wong, why: takes", "sum-max': cell 13 has the role 'wong'"),
    (
        ":ex: {id: sum-max, role: check}",
        ":ex: {id: sum-mean, role: check}",
        "sum-mean': has two cells",
    ),
    (":ex: {id: sum-max, role: solution}\n", "", "cell 10 has no ex metadata"),
    ("    ### BEGIN SOLUTION\n    return max", "    return max", "sum-max': the solution needs pairs"),
    ('"points": 3, ', "", "sum-max': points must be a whole number from 1 to 20, got None"),
    ('"kind": "investigate"', '"kind": "read"', "sum-max': kind must be one of"),
    (
        'self_check("sum-max"',
        'self_check("sum-min"',
        'sum-max\': the check must end with self_check("sum-max"',
    ),
    ("#### The largest\n", "", "sum-max': the statement must be a heading"),
    ("Find it.", ":::{note}\nFind it.\n:::", "sum-max': the statement must be plain Markdown"),
    ("return max(x)", "return max(x", "sum-max': cell 10 (solution), line"),
    ('{"id": "sum-max"', '{"id": "Sum max"', "needs an id of lower-case words and hyphens, got 'Sum max'"),
    ('{"id": "sum-max"', '{"id": "sum-mean"', "sum-mean': has two statements, or its id is used twice"),
    (
        "Write $",
        "Use `return math.fsum(x) / len(x)`: $",
        "sum-mean': the reader is shown a line of the solution",
    ),
    (
        "def largest(x):\n    ### BEGIN SOLUTION\n    return max(x)\n    ### END SOLUTION",
        "### BEGIN SOLUTION\ndef largest(x):\n    return max(x)\n### END SOLUTION",
        "sum-max': BEGIN SOLUTION stands outside a function",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), FAULTS, ids=[m.split("': ")[-1][:30] for *_, m in FAULTS])
def test_a_faulty_master_names_file_and_exercise(root, old, new, message):
    replace(root / "exercises/part/sums.md", old, new)
    with pytest.raises(pages.PageError) as error:
        pages.text("part/sums", root)
    assert "exercises/part/sums.md: " in str(error.value) and message in str(error.value)


@pytest.mark.parametrize("role", ["solution", "check", "wrong"])
def test_a_missing_part_names_file_and_exercise(root, role):
    path = root / "exercises/part/sums.md"
    start = path.read_text().index(f"```{{code-cell}} ipython3\n:ex: {{id: sum-mean, role: {role}")
    end = path.read_text().index("\n```\n", start) + 5
    path.write_text(path.read_text()[:start] + path.read_text()[end:])
    with pytest.raises(pages.PageError, match=r"sums.md: exercise 'sum-mean': has (no|1 wrong)"):
        pages.text("part/sums", root)


def test_an_id_used_in_two_masters(root):
    (root / "exercises/part/other.md").write_text(MASTER)
    with pytest.raises(BankError, match=r"'sum-mean': the id is already used in exercises/part/other"):
        read_bank(root / "exercises")


PAGE_FAULTS = [
    ("{bank} sum-max", "{bank} sum-min", "line 30: exercise 'sum-min' is not in exercises/part/sums.md"),
    ("{bank} sum-max", "{bank} sum-mean", "line 30: exercise 'sum-mean' stands twice on the page"),
    (":::{bank} sum-max\n:::\n", "", "exercise 'sum-max' has no place: add the lines ':::{bank} sum-max'"),
]


@pytest.mark.parametrize(("old", "new", "message"), PAGE_FAULTS, ids=[m[:30] for *_, m in PAGE_FAULTS])
def test_a_faulty_page_names_page_and_exercise(root, old, new, message):
    replace(root / "chapters/part/sums.md", old, new)
    with pytest.raises(pages.PageError) as error:
        pages.text("part/sums", root)
    assert str(error.value).startswith("chapters/part/sums.md: ") and message in str(error.value)


def test_a_marker_without_a_master(root):
    (root / "exercises/part/sums.md").unlink()
    with pytest.raises(
        pages.PageError, match=r"sums.md: line \d+: exercise 'sum-mean' is not in exercises/part/sums.md"
    ):
        pages.text("part/sums", root)


def test_every_master_has_a_page():
    assert [m.page for m in read_bank(pages.ROOT / "exercises") if m.page not in pages.pages()] == []
