"""The notebooks in the repository: one per page, executed, plain, small, and nbval sees enough of them."""

import base64
import zlib
from pathlib import Path

import nbformat
import pytest

from tools import notebooks as tool
from tools import pages, replay, tolerance

ROOT = Path(__file__).resolve().parents[1]
PAGES = tool.exported(ROOT)


@pytest.fixture(scope="module")
def notebooks():
    return {page: nbformat.read(pages.committed(page), as_version=4) for page in PAGES}


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_each_page_has_a_notebook_and_each_notebook_a_page():
    found = {
        p.relative_to(ROOT / "notebooks").with_suffix("").as_posix()
        for p in (ROOT / "notebooks").rglob("*.ipynb")
    }
    assert found == set(PAGES)


def test_the_notebooks_are_what_the_pages_give_now(capsys):
    assert tool.main(["--check"]) == 0, capsys.readouterr().err


def test_they_have_one_setup_cell(notebooks):
    _, address, branch = replay.setup_cell([pages.committed(page) for page in PAGES])
    book = pages.Address(ROOT)
    assert (address, branch) == (book.repository, book.branch)


@pytest.mark.parametrize("page", PAGES)
def test_every_cell_was_executed_without_error(notebooks, page):
    cells = code(notebooks[page])
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"] == []


@pytest.mark.parametrize("page", PAGES)
def test_nothing_raw_is_left(notebooks, page):
    assert tool.lint(notebooks[page]) == []


@pytest.mark.parametrize("page", PAGES)
def test_pictures_are_small_and_described(notebooks, page):
    for cell in code(notebooks[page]):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                size = len(base64.b64decode(output.data["image/png"]))
                assert size <= tool.PICTURE_BYTES, cell.source[:60]
                assert output.metadata["image/png"].get("alt"), f"no description: {cell.source[:60]}"


def test_nbval_compares_enough(notebooks):
    """The share of cells with outputs whose outputs nbval compares; a picture alone is not compared."""
    how = {
        (page, number): tolerance.compared(cell)
        for page, notebook in notebooks.items()
        for number, cell in enumerate(code(notebook))
    }
    seen = [where for where, what in how.items() if what == "yes"]
    blind = [where for where, what in how.items() if what == "no"]
    assert len(seen) >= tolerance.LEAST * (len(seen) + len(blind)), f"pictures alone: {blind}"


def test_they_weigh_little():
    """What regenerating the whole book adds to the repository, which packs its files."""
    assert sum(len(zlib.compress(pages.committed(page).read_bytes())) for page in PAGES) < 3e6
