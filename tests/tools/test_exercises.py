"""Every exercise of the bank: its solution passes, its stub is not attempted, its wrong ones are rejected."""

from pathlib import Path

import jupytext
import pytest

from tools import check_pairs, exercises

FRONT = """\
---
jupytext:
  formats: md:myst,py:percent
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

"""

MASTER = (
    FRONT
    + '''\
# Exercises: sums

```{code-cell} ipython3
:ex: {role: setup}
import math

from genkit.checks import self_check
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

from genkit.checks import self_check
```

## Exercises

Some words before.

+++ {"ex": {"id": "sum-mean", "role": "statement"}}

(filled by tools/exercises.py)

+++

Some words between.

+++ {"ex": {"id": "sum-max", "role": "statement"}}

(filled by tools/exercises.py)

+++

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


def tool(root: Path, *words: str) -> int:
    return exercises.main(["--root", str(root), *words])


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def page_cells(root: Path) -> list[tuple[str, str]]:
    cells = jupytext.read(root / "chapters/part/sums.md", fmt="md:myst").cells
    return [(cell.metadata.get("ex", {}).get("role", "-"), cell.source) for cell in cells]


# ---------- the bank of the book ----------

BANK = [(m, e) for m in exercises.read_bank(exercises.ROOT / "exercises") for e in m.exercises]


@pytest.mark.parametrize(("master", "exercise"), BANK, ids=[e.id for _, e in BANK])
def test_answers_of_the_bank(master, exercise):
    assert exercises.run(master, exercise) == []


def test_pages_show_what_the_masters_say():
    assert exercises.main([]) == 0


def test_every_master_has_four_exercises():
    assert [m.page for m in exercises.read_bank(exercises.ROOT / "exercises") if len(m.exercises) < 4] == []


# ---------- the tool ----------


def test_sync_fills_the_page_and_settles(root, capsys):
    assert tool(root) == 1
    assert "chapters/part/sums.md: an exercise differs from exercises/part/sums.md" in capsys.readouterr().err
    assert tool(root, "--sync") == 0
    page = root / "chapters/part/sums.md"
    filled = page.read_text()
    roles = [role for role, _ in page_cells(root)]
    assert roles == ["-", "-", "-", "statement", "stub", "check", "-", "statement", "stub", "check", "-"]
    assert "(filled by" not in filled and "SOLUTION" not in filled and "fsum" not in filled
    assert ":::{exercise} The mean\n:label: ex-sum-mean\n" in filled
    assert 'raise NotImplementedError("your code here")' in filled
    assert '_ = self_check("sum-mean", check_mean)' in filled
    assert filled.endswith("## What to read next\n\nThe end.\n") and "Some words between.\n" in filled
    assert tool(root, "--sync") == 0 and page.read_text() == filled and tool(root, "--check") == 0
    assert check_pairs.main(["--root", str(root), "--sync"]) == 0, "the filled page can be paired"


def test_the_masters_run(root, capsys):
    assert tool(root, "--run") == 0
    assert "sum-mean: 4 answers" in capsys.readouterr().out


def test_a_region_at_the_end_of_the_page(root):
    page = root / "chapters/part/sums.md"
    page.write_text(page.read_text().split("+++\n\n## What to read")[0].rstrip() + "\n")
    tool(root, "--sync")
    filled = page.read_text()
    assert filled.endswith("check_largest)\n```\n")
    assert tool(root, "--sync") == 0 and page.read_text() == filled


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Write $", "Write down $"),
        ('"""Mean of a list."""', '"""Arithmetic mean."""'),
        ("must add up to zero", "add up to zero"),
        ('"minutes": 5', '"minutes": 6'),
    ],
)
def test_drift_is_found_whichever_part_changed(root, capsys, old, new):
    tool(root, "--sync")
    replace(root / "exercises/part/sums.md", old, new)
    assert tool(root) == 1
    assert "chapters/part/sums.md: an exercise differs" in capsys.readouterr().err
    assert tool(root, "--sync") == 0 and tool(root) == 0


def test_drift_is_found_when_the_page_was_edited(root):
    tool(root, "--sync")
    replace(root / "chapters/part/sums.md", "none may be larger", "wrong")
    assert tool(root) == 1


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
    with pytest.raises(SystemExit) as error:
        tool(root)
    assert str(error.value).startswith("exercises/part/sums.md: ") and message in str(error.value)


@pytest.mark.parametrize("role", ["solution", "check", "wrong"])
def test_a_missing_part_names_file_and_exercise(root, role):
    path = root / "exercises/part/sums.md"
    start = path.read_text().index(f"```{{code-cell}} ipython3\n:ex: {{id: sum-mean, role: {role}")
    end = path.read_text().index("\n```\n", start) + 5
    path.write_text(path.read_text()[:start] + path.read_text()[end:])
    with pytest.raises(SystemExit, match=r"^exercises/part/sums.md: exercise 'sum-mean': has (no|1 wrong)"):
        tool(root)


def test_an_id_used_in_two_masters(root):
    (root / "exercises/part/other.md").write_text(MASTER)
    with pytest.raises(SystemExit, match=r"'sum-mean': the id is already used in exercises/part/other"):
        tool(root)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "return sum(x)\n",
            "return sum(x) / len(x)\n",
            "the wrong answer (forgets to divide) should be reject",
        ),
        (
            "return max(x)",
            "return min(x)",
            "the solution should be passed, but is rejected: ✗ sum-max: none",
        ),
        ("return max(x)", "return nothing", "the solution should be passed, but is rejected"),
        (
            "    x = [2, 7, 1]\n",
            "    x = [2, 7, 1]\n    return\n",
            "the stub should be not attempted, but is p",
        ),
        (
            "def check_largest",
            "x = largest([])\ndef check_largest",
            "the stub should be not attempted, but is s",
        ),
    ],
)
def test_answers_that_are_not_what_they_should_be(root, capsys, old, new, message):
    replace(root / "exercises/part/sums.md", old, new)
    assert tool(root, "--run") == 1
    assert message in capsys.readouterr().err


PAGE_FAULTS = [
    ("import math\n\n", "", "'sum-mean': the page does not define math before it"),
    ('"id": "sum-max"', '"id": "sum-min"', "'sum-min': the master does not have it"),
    ('"id": "sum-max"', '"id": "sum-mean"', "'sum-mean': stands twice on the page"),
    (
        "py)\n\n+++\n\n## What",
        "py)\n\n## What",
        "'sum-max': other text follows in its cell",
    ),
    (
        '+++ {"ex": {"id": "sum-max", "role": "statement"}}\n\n(filled by tools/exercises.py)\n\n+++\n',
        "",
        "exercise 'sum-max' has no place: add a cell",
    ),
    (
        "```{code-cell} ipython3\n",
        "```{code-cell} ipython3\n:ex: {id: a, role: stub}\n",
        "a stub cell stands without",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), PAGE_FAULTS, ids=[m[:30] for *_, m in PAGE_FAULTS])
def test_a_faulty_page_names_page_and_exercise(root, old, new, message):
    replace(root / "chapters/part/sums.md", old, new)
    with pytest.raises(SystemExit) as error:
        tool(root, "--sync")
    assert str(error.value).startswith("chapters/part/sums.md") and message in str(error.value)


def test_a_page_without_master_and_a_master_without_page(root, capsys):
    (root / "chapters/part/sums.md").rename(root / "chapters/part/lost.md")
    with pytest.raises(SystemExit, match="there is no page chapters/part/sums"):
        tool(root)
    (root / "exercises/part/sums.md").unlink()
    assert tool(root) == 1
    assert "chapters/part/lost.md, line 25: exercise 'sum-mean' has no master" in capsys.readouterr().err
