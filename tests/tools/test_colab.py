"""The parts of the Colab replay that need no installation."""

import subprocess
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from classroom.assign import setup_source
from tools import colab

SETUP = setup_source("https://github.com/a_b/book", "main")


def test_every_package_is_pinned():
    names = [line.split("==")[0] for line in colab.pins()]
    assert names == [*colab.COLAB_HAS, *colab.TESTS_NEED]


def test_a_missing_pin_is_named(tmp_path):
    (tmp_path / "requirements.txt").write_text("torch==1.0\nnumpy\n")
    with pytest.raises(SystemExit, match="no pin for numpy, scipy"):
        colab.pins(tmp_path)


def write(path: Path, source: str = SETUP, tags: tuple[str, ...] = ("setup",)) -> Path:
    cell = new_code_cell(source, metadata={"tags": list(tags)})
    nbformat.write(new_notebook(cells=[new_markdown_cell("# A"), cell]), path)
    return path


def test_the_setup_cell_is_found(tmp_path):
    books = [write(tmp_path / "a.ipynb"), write(tmp_path / "b.ipynb")]
    assert colab.setup_cell(books) == (SETUP, "https://github.com/a_b/book", "main")


@pytest.mark.parametrize(
    ("source", "tags", "message"),
    [
        (SETUP, (), "first code cell is not the setup cell"),
        (SETUP + "\n", ("setup",), "setup cells differ"),
        (SETUP.replace("--no-deps ", ""), ("setup",), "setup cells differ|has no line"),
    ],
)
def test_a_faulty_setup_cell_is_named(tmp_path, source, tags, message):
    books = [write(tmp_path / "a.ipynb"), write(tmp_path / "b.ipynb", source, tags)]
    with pytest.raises(SystemExit, match=message):
        colab.setup_cell(books)


def test_dependencies_may_not_be_installed(tmp_path):
    with pytest.raises(SystemExit, match="has no line"):
        colab.setup_cell([write(tmp_path / "a.ipynb", SETUP.replace("--no-deps ", ""))])


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@localhost", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_the_repository_holds_the_files_as_they_are(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    git(root, "init", "-q")
    for name in ("kept", "changed", "deleted"):
        (root / name).write_text("old")
    (root / ".gitignore").write_text("ignored\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "one")
    (root / "changed").write_text("new")
    (root / "deleted").unlink()
    (root / "untracked").write_text("new")
    (root / "ignored").write_text("new")
    before = git(root, "status", "--porcelain"), (root / ".git" / "index").read_bytes()
    copy = colab.repository(tmp_path, "main", root)
    assert git(copy, "ls-tree", "-r", "--name-only", "main").split() == [
        ".gitignore",
        "changed",
        "kept",
        "untracked",
    ]
    assert git(copy, "show", "main:changed") == "new"
    assert (git(root, "status", "--porcelain"), (root / ".git" / "index").read_bytes()) == before
