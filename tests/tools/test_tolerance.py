"""What nbval lets pass and what it catches, with the book's tolerance."""

import base64
import io
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tools import notebooks, tolerance
from tools.tolerance import CLAIM, close, compared, same_claim

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("ref", "new", "same"),
    [
        ("loss = 0.368", "loss = 0.369", True),
        ("loss = 0.368", "loss = 0.371", False),
        ("loss = 0.368", "loss = 0.37", False),
        ("loss = 0.3680", "loss = 0.3690", False),  # the last place but one
        ("steps = 1500", "steps = 1501", False),
        ("acc = 1.0", "acc = 0.9", True),
        ("mean = -0.0107", "mean = 0.0107", False),
        ("tensor([0.1234, 1.0000])", "tensor([0.1235, 1.0000])", True),
        ("tensor([0.1234, 1.0000])", "tensor([0.1234, 1.0000, 0.1])", False),
        ("x = 1.2e-05", "x = 1.3e-05", True),
        ("x = 1.2e-05", "x = 1.4e-05", False),
        ("0.0000", "-0.0000", True),
        ("a 0.5", "b 0.5", False),
        ("v1.2.3", "v1.2.4", False),
        ("9.999", "10.00", True),
        ("m = 3.113", "m = 3.1", False),
        ("m = 0.37", "m = 0.369", True),
        ("x = nan", "x = 0.5", False),
        ("<td>0.52 nats</td>", "<td>0.53 nats</td>", True),
        ("<td>0.52 nats</td>", "<td>0.52 bits</td>", False),
        ('<img src="data:image/png;base64,iVBORw0KGgo=">', '<img src="data:image/png;base64,AAAA">', True),
        (
            '<img alt="a" src="data:image/png;base64,iVBO">',
            '<img alt="b" src="data:image/png;base64,iVBO">',
            False,
        ),
    ],
)
def test_close(ref, new, same):
    assert close(ref, new) is same


def record(**changed):
    base = {
        "id": "a",
        "measured": [0.5, 0.25],
        "truth": [0.5, 0.2],
        "tolerance": 0.1,
        "stable": True,
        "at_most": None,
    }
    return {**base, **changed}


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({}, True),
        ({"measured": [0.47, 0.27]}, True),
        ({"measured": [0.47]}, False),
        ({"truth": [0.5, 0.2 + 1e-9]}, True),
        ({"truth": [0.5, 0.21]}, False),
        ({"tolerance": 0.2}, False),
        ({"id": "b"}, False),
        ({"stable": False}, False),
        ({"at_most": 1.0}, False),
        ({"extra": 1}, False),
    ],
)
def test_same_claim(changed, same):
    assert same_claim(record(), record(**changed)) is same


def image(**data):
    return new_output("display_data", data={"image/png": "iVBO", "text/plain": "<Figure>", **data})


@pytest.mark.parametrize(
    ("outputs", "how"),
    [
        ([], "none"),
        ([image()], "yes"),
        ([new_output("display_data", data={"image/jpeg": "iVBO", "text/plain": "<Figure>"})], "no"),
        ([image(), new_output("stream", text="1\n")], "yes"),
        ([new_output("display_data", data={"image/png": "iVBO"}, metadata={CLAIM: [record()]})], "yes"),
        ([new_output("execute_result", data={"text/plain": "1"})], "yes"),
    ],
)
def test_which_cells_count_as_compared(outputs, how):
    assert compared(new_code_cell("1", outputs=outputs)) == how


def test_a_picture_that_varies_does_not_count():
    tagged = {"tags": [tolerance.VARIES]}
    assert compared(new_code_cell("1", outputs=[image()], metadata=tagged)) == "no"
    both = [image(), new_output("stream", text="1\n")]
    assert compared(new_code_cell("1", outputs=both, metadata=tagged)) == "yes"


# ---------- pictures ----------

DRAW = """
from matplotlib.figure import Figure
import io
import numpy as np
def draw(change=0.0, colour="C0", seed=0):
    rng = np.random.default_rng(seed)
    figure = Figure(figsize=(7, 3.2), dpi=144)
    left, middle, right = figure.subplots(1, 3)
    x = np.linspace(0, 1, 50)
    left.plot(x, x**2 * (1 + change), color=colour)
    middle.scatter(*rng.normal(size=(2, 500)) * (1 + change), s=4, linewidths=0)
    right.bar([1, 2, 3], [1, 2 + 2 * change, 1.5])
    left.set(xlim=(0, 1), ylim=(0, 1.2), xlabel="x")
    middle.set(xlim=(-4, 4), ylim=(-4, 4))
    right.set(ylim=(0, 3))
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()
"""
space: dict = {}
exec(DRAW, space)
draw = space["draw"]


def stored(png):
    return base64.b64encode(notebooks.shrink(png)[0]).decode()


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"change": 1e-6}, True),
        ({"change": 0.02}, False),
        ({"seed": 1}, False),
        ({"colour": "C1"}, False),
    ],
)
def test_pictures(change, same):
    new = base64.b64encode(draw(**change)).decode()
    assert (tolerance.picture_difference(stored(draw()), new) is None) is same


def test_pictures_of_another_shape():
    other = io.BytesIO()
    Figure(figsize=(4, 4)).savefig(other, format="png")
    said = tolerance.picture_difference(stored(draw()), base64.b64encode(other.getvalue()).decode())
    assert said == "the picture's width is 1.000 of its height, stored 2.191"


# ---------- whole runs, each in a process of its own ----------

CLAIM_CELL = f"""
from IPython.display import display
data = {{"text/plain": f"measured {{value:#.4g}}",
        "text/html": f"<b>{{value:#.4g}}</b><img src='data:image/png;base64,{{PNG}}'>"}}
record = {{"id": "a", "measured": value, "truth": 0.36, "tolerance": 0.01}}
display(data, raw=True, metadata={{"{CLAIM}": [record]}})
"""


def cell(source, *outputs, count=1, tags=()):
    cell = new_code_cell(source.strip(), execution_count=count, outputs=list(outputs))
    if tags:
        cell.metadata["tags"] = list(tags)
    return cell


def printed(text):
    return new_output("stream", name="stdout", text=text + "\n")


def claimed(value="0.3679", truth=0.36, png="iVBO"):
    data = {
        "text/plain": f"measured {value}",
        "text/html": f"<b>{value}</b><img src='data:image/png;base64,{png}'>",
    }
    record = {"id": "a", "measured": float(value), "truth": truth, "tolerance": 0.01}
    return new_output("display_data", data=data, metadata={CLAIM: [record]})


def pictured(kind="png", data=None, tags=(), **change):
    """A cell that shows a picture, drawn anew with `change`."""
    source = f"from IPython.display import Image\nImage(draw(**{change!r}), format={kind!r})"
    shown = {f"image/{kind}": data or stored(draw()), "text/plain": "<IPython.core.display.Image object>"}
    return cell(source, new_output("execute_result", data=shown, execution_count=1), tags=tags)


@pytest.fixture
def nbval(tmp_path):
    """Write notebooks of cells and run nbval on them: (exit status, what it printed)."""

    def run(*books, workers=()):
        for n, cells in enumerate(books):
            book = new_notebook(cells=cells)
            book.metadata["kernelspec"] = {
                "name": "python3",
                "display_name": "Python 3",
                "language": "python",
            }
            nbformat.write(book, tmp_path / f"book{n}.ipynb")
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tools.tolerance"]
        words += ["--nbval", ".", "--color=no"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))}
        environment["PYTHONPATH"] = str(ROOT)
        done = subprocess.run(
            [*words, *workers], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_what_passes(nbval):
    """Noise of 1e-6, a picture of other bytes, an image inside HTML; two workers, one count."""
    good = [
        cell(DRAW),
        pictured(change=1e-6),
        cell("value = 0.36791 * (1 + 1e-6); PNG = 'AAAA'"),
        cell("print(f'{value:#.4g}')", printed("0.3680")),
        cell("print(f'{value:#.5g} of 100')", printed("0.36791 of 100")),
        cell(CLAIM_CELL, claimed("0.3678")),
        *[cell(f"print({n}.5)", printed(f"{n}.5")) for n in range(16)],
        pictured(change=0.5, tags=[tolerance.VARIES]),  # not compared
    ]
    status, said = nbval(good, good, workers=["-n", "2", "--dist", "loadfile"])
    assert status == 0, said
    assert "40 of 42 cells with outputs compared (95.2%)" in said


def test_what_is_caught(nbval):
    faults = {
        "the last digit but one": cell("print(f'{value:#.4g}')", printed("0.3669")),
        "the text": cell("print(f'{value:#.4g} nats')", printed("0.3679 bits")),
        "a whole number": cell("print(100)", printed("101")),
        "the claim's truth": cell(CLAIM_CELL, claimed(truth=0.37)),
        "the claim's text": cell(CLAIM_CELL, claimed("0.3689")),
        "an output that is not there": cell("pass", printed("0.3679")),
        "an output that is new": cell("print(value)"),
        "an error": cell("raise ValueError('planted')"),
        "never run": cell("print(value)", count=None),
        "a picture": pictured(change=0.02),
    }
    status, said = nbval([cell(DRAW + "\nvalue = 0.36791; PNG = 'AAAA'"), *faults.values()])
    assert status == 1
    for number, name in enumerate(faults, start=1):
        assert f"FAILED book0.ipynb::Cell {number}" in said, name
    assert f"{len(faults)} failed, 1 passed" in said
    assert "never executed: there is nothing to compare with" in said
    assert "the picture differs: by " in said


def test_a_share_below_the_least_fails(nbval):
    ignored = cell("print(2)", printed("0"), tags=["nbval-ignore-output"])
    cells = [cell(DRAW + "\nprint(1.5)", printed("1.5")), pictured("jpeg", "AAAA"), ignored]
    status, said = nbval(cells)
    assert status == 1
    assert "3 passed" in said and "1 of 3 cells with outputs compared (33.3%): fewer than 95%" in said
    assert "book0.ipynb::Cell 1" in said and "book0.ipynb::Cell 2" in said
