"""The exported notebooks: plain Markdown with resolved references, small pictures, and bytes that stay."""

import base64
import io
import json
import random
from pathlib import Path

import nbformat
import pytest
from front import FRONT
from nbformat.v4 import new_output
from PIL import Image

from tools import markdown, notebooks, pages

PAGE = (
    FRONT
    + """\
(ch-density)=
# Density: $p(x)$

{item}`S1.8` See {numref}`fig-a`.

```{code-cell} ipython3
:tags: [hide-input]
import matplotlib.pyplot as plt
```

The mass is {value}`density-mass:.3f`.

```{code-cell} ipython3
---
mystnb:
  figure:
    name: fig-a
    caption: 'A line: see {eq}`eq-a`.'
  image:
    alt: A straight line that rises.
---
plt.plot([0, 1])
plt.show()
```

+++ {"ex": {"id": "density-kde", "role": "statement"}}

:::{exercise} A kernel
:label: ex-density-kde

Write it.
:::

```{code-cell} ipython3
:ex: {id: density-kde, role: stub}

def f():
    raise NotImplementedError("your code here")
```

## The end

Bye.
"""
)
BIB = """\
@inproceedings{heusel2017, author={Heusel, Martin and Ramsauer, Hubert and others}, title={A}, year={2017}}
@article{oord2018, author={van den Oord, A{\\"a}ron and M{\\"u}ller, Eva}, title={B}, year={2018}}
@book{silverman1986, author={Silverman, Bernard W.}, title={C}, year={1986}}
"""
THIS, OTHER = "chapters/part/density", "chapters/part/other"
LABELS = {
    "eq:eq-a": [THIS, "equation-eq-a", "(1)"],
    "num:equation-eq-a": [THIS, "equation-eq-a", "displaymath 3.1"],
    "eq:eq-b": [OTHER, "equation-eq-b", "(1)"],
    "num:equation-eq-b": [OTHER, "equation-eq-b", "displaymath 4.1"],
    "num:fig-a": [THIS, "fig-a", "figure 3.1"],
    "ref:fig-a": [THIS, "fig-a", "A line: see eq-a."],
    "num:tab-a": [THIS, "tab-a", "table 3.1"],
    "num:thm-a": [THIS, "thm-a", "theorem 3.1"],
    "num:q1-3": [THIS, "q1-3", "exercise 3.1"],
    "ref:q1-3": [THIS, "q1-3", "Exercise"],
    "num:ex-density-kde": [THIS, "ex-density-kde", "exercise 3.2"],
    "ref:ch-other": [OTHER, "ch-other", "Another page"],
}
SITE = "https://set_the_owner.github.io/book"


def picture(width=400, height=180, noise=96):
    """A PNG with many colours, as bytes."""
    ground = Image.linear_gradient("L").resize((width, height))
    rows = random.Random(0).randbytes(width * height)
    dots = Image.frombytes("L", (width, height), rows).point(lambda v: v * noise // 256)
    out = io.BytesIO()
    Image.merge("RGB", (ground, dots, ground.transpose(Image.Transpose.ROTATE_180))).save(out, "PNG")
    return out.getvalue()


CLAIM = {"id": "density-mass", "measured": 0.25, "statement": 'the "mass"', "wanted": "0.25", "by": "a | b"}


def fake_outputs():
    """Of the page's three code cells."""
    claim = new_output(
        "display_data", data={"text/plain": "✓ mass: 0.2500"}, metadata={"genkit_claim": [CLAIM]}
    )
    figure = new_output(
        "display_data",
        data={
            "image/png": base64.b64encode(picture(100, 60)).decode(),
            "text/plain": "<Figure size 640x480>",
        },
        metadata={"needs_background": "light"},
    )
    printed = [new_output("stream", name="stdout", text=text) for text in ("a\n", "b\n")]
    result = new_output("execute_result", data={"text/plain": "2"}, execution_count=77)
    return [[claim, *printed], [figure], [result]]


@pytest.fixture
def root(tmp_path: Path, monkeypatch) -> Path:
    (tmp_path / "chapters/part").mkdir(parents=True)
    (tmp_path / "_build").mkdir()
    (tmp_path / "_config.yml").write_text(
        "title: The Book\nrepository: {url: 'https://github.com/Set_the_owner/book', branch: main}\n"
        "launch_buttons: {colab_url: 'https://colab.example.org'}\n"
    )
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: chapters/part/density\nchapters: [{file: chapters/part/other}]\n"
    )
    (tmp_path / "references.bib").write_text(BIB)
    (tmp_path / "constraints.txt").write_text("a==1\n")
    (tmp_path / "_build/labels.json").write_text(json.dumps(LABELS))
    (tmp_path / "chapters/part/density.md").write_text(PAGE)
    (tmp_path / "chapters/part/other.md").write_text(
        "(ch-other)=\n# Another page\n\n```{bibliography}\n```\n"
    )

    def executed(page, root):
        notebook = pages.notebook(page, root)
        for cell, outputs in zip(pages.code_cells(notebook), fake_outputs(), strict=False):
            cell.outputs = outputs
        return notebook

    monkeypatch.setattr(pages, "executed", executed)
    monkeypatch.setattr(pages, "seconds", lambda page, root: {"wall": 1.0, "cpu": 1.0})
    return tmp_path


def book_of(root):
    return markdown.Book.open(root, notebooks.claim_of(root))


@pytest.fixture
def convert(root):
    """Put a text into the page and convert it."""

    def run(text: str) -> str:
        (root / "chapters/part/density.md").write_text(PAGE + "\n" + text + "\n")
        return markdown.Converter(book_of(root), "part/density").text(text)

    return run


def tool(root, *words):
    return notebooks.main(["--root", str(root), *words])


def notebook(root):
    return nbformat.read(root / "notebooks/part/density.ipynb", as_version=4)


# ---------- text ----------

CONVERSIONS = {
    "equation here": ("See {eq}`eq-a`.", "See (3.1)."),
    "equation there": ("{eq}`eq-b`", f"[(4.1)]({SITE}/{OTHER}.html#equation-eq-b)"),
    "figure": ("{numref}`fig-a`", f"[Fig. 3.1]({SITE}/{THIS}.html#fig-a)"),
    "figure in words": ("{numref}`Picture %s <fig-a>`", f"[Picture 3.1]({SITE}/{THIS}.html#fig-a)"),
    "section": ("{ref}`ch-other`", f"[Another page]({SITE}/{OTHER}.html#ch-other)"),
    "section in words": ("{ref}`that\none <ch-other>`", f"[that one]({SITE}/{OTHER}.html#ch-other)"),
    "exercise": ("{ref}`q1-3`", f"[Exercise 3.1]({SITE}/{THIS}.html#q1-3)"),
    "theorem": ("{prf:ref}`thm-a`", f"[Theorem 3.1]({SITE}/{THIS}.html#thm-a)"),
    "document": ("{doc}`other`", f"[Another page]({SITE}/{OTHER}.html)"),
    "document from the root": ("{doc}`it </chapters/part/other>`", f"[it]({SITE}/{OTHER}.html)"),
    "link to a page": ("[it](../part/other.md#x)", f"[it]({SITE}/{OTHER}.html#x)"),
    "link here": ("[it](#the-end)", f"[it]({SITE}/{THIS}.html#the-end)"),
    "link out": ("[it](https://example.org/a)", "[it](https://example.org/a)"),
    "citation": ("{cite:t}`silverman1986`", f"[Silverman (1986)]({SITE}/{OTHER}.html)"),
    "citations": (
        "{cite:p}`oord2018,heusel2017`",
        f"([van den Oord and Müller, 2018]({SITE}/{OTHER}.html); [Heusel et al., 2017]({SITE}/{OTHER}.html))",
    ),
    "value": (
        "{value}`density-mass:.2f` or",
        f'[0.25]({SITE}/{THIS}.html#claim-density-mass "the ”mass”; wanted: 0.25 (a ∣ b)") or',
    ),
    "notebook": (
        "{colab}`try <part/density>`",
        "[try](https://colab.example.org/github/Set_the_owner/book/blob/main/notebooks/part/density.ipynb)",
    ),
    "item": ("{item}`S1.8 X1.1`Text", "Text"),
    "code is left alone": ("`{eq}` and ``{eq}`x` ``", "`{eq}` and ``{eq}`x` ``"),
    "formulas are left alone": ("$f[x](y)$ and $a^{b}$", "$f[x](y)$ and $a^{b}$"),
    "a formula broken in a quote": (":::{tip}\n$a\n= b$\n:::", "> **Tip**\n>\n> $a = b$"),
    "a target": ("(sec-a)=\n## A", "## A"),
    "a comment": ("a\n% not shown\nb", "a\nb"),
    "dollars": ("$$\na = b\n$$ (eq-a)", "$$\na = b \\tag{3.1}\n$$"),
    "dollars on a line": ("$$ a = b $$ (eq-a)", "$$\na = b \\tag{3.1}\n$$"),
    "math": (":::{math}\n:label: eq-a\na\n\n= b\n:::", "$$\na\n= b \\tag{3.1}\n$$"),
    "admonition": (":::{admonition} A $x$\n:class: erratum\nBody.\n:::", "> **A $x$**\n>\n> Body."),
    "note in a tip": (
        "::::{tip}\nA\n:::{note}\nB\n:::\n::::",
        "> **Tip**\n>\n> A\n>\n> > **Note**\n> >\n> > B",
    ),
    "theorem box": (
        ":::{prf:theorem} Gibbs\n:label: thm-a\nFor\n\n$$\n\\begin{cases}\na\n\\end{cases}\n$$ (eq-a)\n:::",
        "> **Theorem 3.1** (Gibbs)\n>\n> For\n>\n> $$\\begin{cases} a \\end{cases} \\tag{3.1}$$",
    ),
    "proof": (":::{prf:proof}\nTrivial.\n:::", "> **Proof**\n>\n> Trivial."),
    "dropdown": (":::{dropdown} Why?\nSo.\n:::", "<details><summary>Why?</summary>\n\nSo.\n\n</details>"),
    "tabs": (
        "::::{tab-set}\n:::{tab-item} A\na\n:::\n:::{tab-item} B\n```python\n# {eq}`x`\n```\n:::\n::::",
        "**A**\n\na\n\n**B**\n\n```python\n# {eq}`x`\n```",
    ),
    "table": (
        ":::{list-table} Some\n:header-rows: 1\n:name: tab-a\n\n"
        "* - a\n  - b\n* - 1\n    and more\n  - $|x|$ or |\n:::",
        "*Table 3.1. Some*\n\n| a | b |\n| --- | --- |\n| 1 and more | $\\vert x\\vert $ or \\| |",
    ),
    "question and solution": (
        ":::{exercise-start} Q1.3 · Why\n:label: q1-3\n:::\nWhy?\n:::{exercise-end}\n:::\n\n"
        ":::{solution-start} q1-3\n:class: dropdown\n:::\nSo.\n:::{solution-end}\n:::",
        "### Exercise 3.1 (Q1.3 · Why)\n\nWhy?\n\n#### Solution to Exercise 3.1 (Q1.3 · Why)\n\nSo.",
    ),
    "in a list": ("- a\n\n  $$ x $$ (eq-a)\n- b", "- a\n\n  $$\n  x \\tag{3.1}\n  $$\n- b"),
}


@pytest.mark.parametrize(("myst", "want"), CONVERSIONS.values(), ids=CONVERSIONS)
def test_conversion(convert, myst, want):
    got = convert(myst)
    assert got == want
    assert markdown.leftovers(got) == []


REFUSED = {
    "unknown directive": (":::{figure} a.png\n:::", "unknown directive {figure}"),
    "unknown directive inside": ("::::{note}\n:::{iframe} x\n:::\n::::", "unknown directive {iframe}"),
    "unknown role": ("a {kbd}`x`", "unknown role {kbd}"),
    "equation": ("a {eq}`eq-nowhere`", "unresolved reference: no label 'eq-nowhere'"),
    "label": ("a {ref}`nowhere`", "unresolved reference: no label 'nowhere'"),
    "figure": ("a {numref}`fig-nowhere`", "unresolved reference: no label 'fig-nowhere'"),
    "document": ("a {doc}`nowhere`", "unresolved reference: no document 'nowhere'"),
    "citation": ("a {cite:t}`nobody1999`", "unresolved reference: 'nobody1999' is not in references.bib"),
    "value": ("a {value}`density-nothing`", "unresolved reference: no executed claim 'density-nothing'"),
    "unnumbered equation": ("$$ a $$ (eq-new)", "unresolved reference: no equation 'eq-new'"),
    "image": ("![a](a.png)", "an image in the text"),
    "relative link": ("[a](a.csv)", "a relative link that leads to no page"),
    "link to no page": ("[a](gone.md)", "a relative link that leads to no page"),
    "amsmath": ("\\begin{align}\na\n\\end{align}", "amsmath outside"),
    "footnote": ("a[^1]", "a footnote"),
    "definition list": ("a\n: b", "a definition list"),
    "open fence": (":::{note}\na", "':::{note}' is not closed"),
    "open formula": ("$$\na", "a $$ is not closed"),
    "ragged table": (":::{list-table} T\n* - a\n  - b\n* - c\n:::", "differ in length"),
}


def test_a_colon_after_code_is_no_definition_list(convert):
    assert convert("`f(x)`: how many") == "`f(x)`: how many"


@pytest.mark.parametrize(("myst", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_names_page_and_line(convert, myst, message):
    with pytest.raises(SystemExit) as error:
        convert(myst)
    line = PAGE.count("\n") + 2
    said = str(error.value)
    assert message in said
    assert said.startswith("chapters/part/density.md, line ")
    assert int(said.split("line ")[1].split(":")[0]) in (line, line + 1, line + 2)


LEFT = {
    "raw directive": ":::{note} a",
    "raw directive in a quote": "> ```{math}",
    "raw fence": ":::",
    "raw role": "a {eq}`x`",
    "raw role with colon": "a {cite:t}`x`",
    "raw target": "(sec-a)=",
    "raw label": "$$ a $$ (eq-a)",
    "unresolved": "see [?]",
    "relative link": "[a](b.md)",
    "relative image": "![a](b.png)",
    "relative source": '<img src="a.png">',
}


@pytest.mark.parametrize("text", LEFT.values(), ids=LEFT)
def test_the_lint_sees_what_is_left(text):
    assert markdown.leftovers(f"Before.\n\n{text}\n\nAfter.") != []


@pytest.mark.parametrize(
    "text", ["```python\nx = {a}\n:::{note}\n```", "`{eq}`", "$x^{a}$ [b](https://c.d)", "$$a{b}$$"]
)
def test_the_lint_lets_pass(text):
    assert markdown.leftovers(text) == []


# ---------- notebooks ----------


def test_the_notebook(root, capsys):
    assert tool(root) == 0
    nb = notebook(root)
    nbformat.validate(nb)
    kinds = [cell.cell_type[0] for cell in nb.cells]
    assert "".join(kinds) == "mcmcmcmmcm"
    first, setup = nb.cells[:2]
    assert first.source.startswith("# Density: $p(x)$\n") and f"({SITE}/{THIS}.html)" in first.source
    line = '%pip install -q --no-deps "genkit-book @ git+https://github.com/Set_the_owner/book@main"'
    assert line in setup.source and '"google.colab" in sys.modules' in setup.source
    assert nb.cells[2].source == f"See [Fig. 3.1]({SITE}/{THIS}.html#fig-a)."
    assert nb.cells[4].source.startswith("The mass is [0.250](")
    assert nb.cells[6].source.startswith("*Fig. 3.1. A line: see (3.1).*")
    assert "A straight line that rises." in nb.cells[6].source
    assert nb.cells[5].outputs[0].metadata["image/png"]["alt"] == "A straight line that rises."
    assert nb.cells[7].source == "### Exercise 3.2 (A kernel)\n\nWrite it."
    assert nb.cells[8].metadata["ex"] == {"id": "density-kde", "role": "stub"}
    assert nb.cells[3].metadata["tags"] == ["hide-input"]
    counts = [cell.execution_count for cell in nb.cells if cell.cell_type == "code"]
    assert counts == [1, 2, 3, 4] and nb.cells[8].outputs[0].execution_count == 4
    claim, printed = nb.cells[3].outputs
    assert claim.metadata["genkit_claim"] == [CLAIM] and printed.text == "a\nb\n"
    assert len({cell.id for cell in nb.cells}) == len(nb.cells)
    assert "needs_background" not in (root / "notebooks/part/density.ipynb").read_text()
    assert "wrote notebooks/part/density.ipynb" in capsys.readouterr().out


def test_nothing_changed_leaves_the_bytes_and_the_time(root):
    tool(root)
    path = root / "notebooks/part/density.ipynb"
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert tool(root) == 0 and tool(root, "--check") == 0
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_changed_word_keeps_the_stored_outputs(root, monkeypatch):
    tool(root)
    old = notebook(root)
    page = root / "chapters/part/density.md"
    page.write_text(page.read_text().replace("Bye.", "Good bye."))
    noisy = [[new_output("stream", name="stdout", text="another machine\n")] for _ in range(3)]
    monkeypatch.setitem(globals(), "fake_outputs", lambda: [[*noisy[0], *fake_claim()], *noisy[1:]])
    assert tool(root) == 0
    new = notebook(root)
    assert [c.get("outputs") for c in old.cells] == [c.get("outputs") for c in new.cells]
    assert [a.source != b.source for a, b in zip(old.cells, new.cells, strict=True)].count(True) == 1
    assert tool(root, "--force") == 0
    assert notebook(root).cells[5].outputs[0].text == "another machine\n"


def fake_claim():
    return [new_output("display_data", data={"text/plain": "✓"}, metadata={"genkit_claim": [CLAIM]})]


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        ("Bye.", "Good bye.", "source of cell 9 differs at 'Good bye.'"),
        ("## The end\n\nBye.\n", "", "cell 9 is no longer there"),
        ("Bye.", "Bye.\n\n+++\n\nMore.", "cell 10 is missing"),
        ("[hide-input]", "[hide-output]", "metadata of cell 3 differs"),
        ("plt.plot([0, 1])", "plt.plot([0, 2])", "the page's code, genkit or the pins have changed"),
        ("A straight line that", "A line that", "source of cell 6 differs"),
    ],
)
def test_check_names_page_and_cause(root, capsys, old, new, cause):
    tool(root)
    page = root / "chapters/part/density.md"
    assert old in page.read_text()
    page.write_text(page.read_text().replace(old, new))
    before = (root / "notebooks/part/density.ipynb").read_bytes()
    assert tool(root, "--check") == 1
    assert f"notebooks/part/density.ipynb: {cause}" in capsys.readouterr().err
    assert (root / "notebooks/part/density.ipynb").read_bytes() == before, "a check writes nothing"
    assert tool(root) == 0 and tool(root, "--check") == 0


def test_check_sees_changed_pins_and_strays(root, capsys):
    tool(root)
    (root / "constraints.txt").write_text("a==2\n")
    (root / "notebooks/part/old.ipynb").write_text("{}")
    assert tool(root, "--check") == 1
    said = capsys.readouterr().err
    assert "genkit or the pins have changed" in said
    assert "notebooks/part/old.ipynb: no page has this notebook" in said
    assert tool(root) == 0 and not (root / "notebooks/part/old.ipynb").exists()


def test_a_raw_directive_in_a_notebook_is_found(root, capsys):
    """Even one that the conversion would let through: the finished notebook is looked at."""
    tool(root)
    path = root / "notebooks/part/density.ipynb"
    nb = notebook(root)
    nb.cells[-1].source += "\n\n:::{note}\nRaw.\n:::"
    nb.cells[5].outputs[0].data["text/html"] = '<img src="figure.png">'
    assert [what.split(": ")[1] for what in notebooks.lint(nb)] == [
        "relative link in its output",
        "raw directive",
    ]
    nbformat.write(nb, path)
    assert tool(root, "--check") == 1
    assert "notebooks/part/density.ipynb" in capsys.readouterr().err


def test_missing_ground_is_said(root, monkeypatch):
    with pytest.raises(SystemExit, match=r"part/density: not executed: run python -m tools.execute"):
        monkeypatch.setattr(pages, "executed", lambda page, root: {}["nothing"])
        notebooks.make("part/density", book_of(root))
    (root / "_build/labels.json").unlink()
    with pytest.raises(SystemExit, match="build the site first"):
        tool(root)


# ---------- pictures ----------


@pytest.mark.parametrize("noise", [8, 96])
def test_pictures_become_small_and_stay_the_same(noise):
    png = picture(noise=noise)
    small, width, height = notebooks.shrink(png)
    assert len(small) <= notebooks.PICTURE_BYTES < len(png) and (width, height) == (400, 180)
    assert notebooks.shrink(png)[0] == small, "no chance in it"
    assert Image.open(io.BytesIO(small)).mode == "P"


def test_a_clear_ground_becomes_white():
    out = io.BytesIO()
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(out, "PNG")
    small, *_ = notebooks.shrink(out.getvalue())
    assert Image.open(io.BytesIO(small)).convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_the_address_is_written_in_one_place_only():
    """No tool, page or notebook of the book holds the address but by way of _config.yml."""
    root = Path(notebooks.__file__).resolve().parents[1]
    address = pages.Address(root).repository
    owner = address.removeprefix("https://github.com/").split("/")[0]
    folders = [p for name in ("tools", "genkit", "chapters", "exercises") for p in (root / name).rglob("*")]
    files = [p for p in folders if p.suffix in (".py", ".md", ".yml", ".toml")]
    files += [p for p in root.glob("*") if p.suffix in (".md", ".toml", ".yml", ".cff", ".txt")]
    assert [p.name for p in files if owner in p.read_text(encoding="utf-8")] == ["_config.yml"]
