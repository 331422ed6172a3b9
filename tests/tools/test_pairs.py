"""A page.md and its page.py cannot drift apart unseen."""

import os
from pathlib import Path

import pytest
from front import FRONT

from tools import pairs

PAGE = (
    FRONT
    + """\
(ch-density)=
# Density

Text with {eq}`eq-density` and $x^2$.

```{code-cell} ipython3
---
mystnb:
  figure:
    name: fig-density-a
    caption: 'One line: with a colon and {eq}`eq-density`.'
  image:
    alt: A line.
---
x = 1
```

:::{bank} density-kde
:::

```{code-cell} ipython3
:ex: {id: density-kde, role: wrong, why: "divides by h, not h**d"}
:tags: [hide-input]
y = x
```
"""
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    page = tmp_path / "chapters" / "objectives" / "density.md"
    page.parent.mkdir(parents=True)
    page.write_text(PAGE)
    (tmp_path / "chapters" / "index.md").write_text("# A page without code has no pair\n")
    return tmp_path


def run(root: Path, *words: str) -> int:
    return pairs.main(["--root", str(root), *words])


def replace(path: Path, old: str, new: str, newer: bool = False) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    if newer:
        stamp = path.stat().st_mtime + 10
        os.utime(path, (stamp, stamp))


def test_missing_pair_is_named_then_written(root, capsys):
    assert run(root) == 1
    assert "chapters/objectives/density.md has no" in capsys.readouterr().err
    assert run(root, "--sync") == 0
    assert run(root) == 0
    assert "1 pairs in step" in capsys.readouterr().out
    text = (root / "chapters/objectives/density.py").read_text()
    assert "jupytext_version" not in text and "y = x" in text


def test_sync_is_idempotent_and_keeps_the_file(root):
    run(root, "--sync")
    py = root / "chapters/objectives/density.py"
    before = py.read_bytes(), py.stat().st_mtime_ns
    assert run(root, "--sync") == 0
    assert (py.read_bytes(), py.stat().st_mtime_ns) == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("x = 1", "x = 2", "cell 2 (code), line 1: .md has 'x = 2', .py has 'x = 1'"),
        ("alt: A line.", "alt: Two lines.", "cell 2 (code), metadata"),
        ("Text with", "A text with", "cell 1 (markdown), line 4"),
        ("y = x\n```\n", "y = x\n```\n\nAn end.\n", "cell 5 (markdown) is only in the .md: 'An end.'"),
    ],
)
def test_a_pair_out_of_step_names_page_and_cell(root, capsys, old, new, message):
    run(root, "--sync")
    replace(root / "chapters/objectives/density.md", old, new, newer=True)
    assert run(root) == 1
    err = capsys.readouterr().err
    assert "chapters/objectives/density: " in err and message in err
    assert run(root, "--sync") == 0 and run(root) == 0


def test_an_edited_py_is_not_silently_overwritten(root, capsys):
    run(root, "--sync")
    py = root / "chapters/objectives/density.py"
    replace(py, "x = 1", "x = 3", newer=True)
    assert run(root) == 1
    assert "the .md is the source" in capsys.readouterr().err
    assert run(root, "--sync") == 1
    assert "would be overwritten" in capsys.readouterr().err
    assert "x = 3" in py.read_text()
    assert run(root, "--sync", "--force") == 0 and run(root) == 0


def test_orphan_py(root, capsys):
    run(root, "--sync")
    (root / "chapters/objectives/density.py").rename(root / "chapters/objectives/lost.py")
    assert run(root) == 1
    assert "chapters/objectives/lost.py has no" in capsys.readouterr().err


def test_a_page_that_does_not_survive_the_round_trip(root, capsys):
    replace(root / "chapters/objectives/density.md", "x = 1", "x = 1\n# %% a cell mark")
    assert run(root, "--sync") == 1
    assert "cannot be paired" in capsys.readouterr().err


def test_the_pairs_of_the_book():
    assert pairs.main([]) == 0
