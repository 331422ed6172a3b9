"""Lint of what the pages say: no typed measurements, no phrases that lead astray, every figure described."""

from __future__ import annotations

import doctest
import json
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tools import myst, pages
from tools.tolerance import CLAIM

ROOT = pages.ROOT
CHAPTERS = ROOT / pages.CHAPTERS


def texts() -> dict[Path, str]:
    """The Markdown of every page, exercises in their places."""
    found = {path: path.relative_to(CHAPTERS).with_suffix("") for path in sorted(CHAPTERS.rglob("*.md"))}
    return {path.relative_to(ROOT): pages.text(name.as_posix()) for path, name in found.items()}


# Typed measurements ---------------------------------------------------------------------------------------

DECIMAL = re.compile(r"(?<![\w.])[-−+]?(\d*\.\d+)(?![\w.]*\d)")
VERSION = re.compile(r"(Python|version|torch|NumPy|MyST|CC BY) \d+(\.\d+)+|https?://\S+")


def significant(number: str) -> int:
    """Significant digits of a decimal as typed: '0.050' has two."""
    return len(number.replace(".", "").lstrip("0"))


def typed_measurements(markdown: str) -> list[tuple[int, str]]:
    """(line, number) for each decimal of three or more significant digits that stands in prose."""
    found = []
    for number, line in myst.prose(markdown):
        words = VERSION.sub("", line)
        found += [(number, m[0]) for m in DECIMAL.finditer(words) if significant(m[1]) >= 3]
    return found


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("The loss is 0.693 nats.", ["0.693"]),
        ("It falls to −17.4 nats", ["−17.4"]),
        ("one line\n\ntwo .0183 lines", [".0183"]),
        (":::{note}\nabout 2.95 bits\n:::", ["2.95"]),
        ("| 1.25 | 3 |", ["1.25"]),
        ("41.5 %", ["41.5"]),
        ("$\\log 2 = 0.693$ and $$\n0.693\n$$ (eq-x)", []),
        ("`0.693` and {value}`x-y:.3f`", []),
        ("```{code-cell} ipython3\nx = 0.693\n```", []),
        (":::{math}\n:label: eq-x\n0.693\n:::", []),
        ("[a](https://a.b/1.234) https://a.b/2.345", []),
        ("a bandwidth of 0.05, 1.5 nats, 10.0 bits? no: 0.30", ["10.0"]),
        ("Section 4.2, E1.10, v1.2.3, Python 3.11, in 2016.", []),
        ("---\na: 1.234\n---\ntext", []),
    ],
)
def test_typed_measurements_are_found(text: str, numbers: list[str]) -> None:
    assert [number for _, number in typed_measurements(text)] == numbers


def test_line_numbers_are_kept() -> None:
    assert typed_measurements("---\na: b\n---\n\n```\n1.234\n```\n$$\nx\n$$\n1.234") == [(11, "1.234")]


def test_no_measured_number_is_typed_in_prose() -> None:
    bad = []
    for path, text in texts().items():
        bad += [f"{path}:{line}: {number}" for line, number in typed_measurements(text)]
    assert not bad, "numbers typed in prose (use the value role):\n" + "\n".join(bad)


# Quoted measurements ---------------------------------------------------------------------------------------


def records() -> dict[str, dict[str, Any]]:
    """The claims' records, by id, from the committed notebooks."""
    found = {}
    for path in sorted((ROOT / "notebooks").rglob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                found |= {r["id"]: r for r in output.get("metadata", {}).get(CLAIM, [])}
    return found


def test_a_quoted_number_is_pinned_from_both_sides() -> None:
    known, bad = records(), []
    for path, text in texts().items():
        for match in re.finditer(r"\{value\}`([a-z0-9-]+)", text):
            record = known.get(match[1])
            if record and record["truth"] is None and None in (record["at_least"], record["at_most"]):
                bad.append(f"{path}: {match[1]}")
    assert sorted(set(bad)) == [], "prose quotes numbers that a claim holds from one side only"


# Phrases that lead astray ---------------------------------------------------------------------------------

# The bare name belongs to somebody else's package, and no registry's address is ours to print. Composed here
# so that this file does not contain what it forbids.
HOSTS = ["py" + r"pi\.org", "python" + r"hosted\.org", "npm" + r"js\.(?:org|com)", "ana" + r"conda\.org"]
FORBIDDEN = {
    "an install of the bare name": re.compile(r"pip3? +" + r"install\b[^\n`]*\bgenkit\b(?![-/\w])"),
    "a package registry's host": re.compile("|".join(HOSTS)),
}


def tracked() -> list[Path]:
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    names = done.stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_forbidden_phrase_in_tracked_files(what: str) -> None:
    bad = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or a font
        for match in FORBIDDEN[what].finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            bad.append(f"{path.relative_to(ROOT)}:{line}: {match[0]}")
    assert not bad, f"{what}:\n" + "\n".join(bad)


def test_forbidden_phrases_are_found() -> None:
    bare, host = FORBIDDEN.values()
    install = "pip " + "install "
    assert bare.search(install + "genkit") and bare.search("!" + install + "-q genkit torch")
    assert not bare.search(install + "genkit-book") and not bare.search(install + '"genkit-book @ git+x"')
    assert host.search("https://py" + "pi.org/simple") and not host.search("https://github.com")


def test_the_readmes_example_runs() -> None:
    failed, tried = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert tried > 5 and failed == 0


# Figures --------------------------------------------------------------------------------------------------


class Figure(NamedTuple):
    page: str
    name: str
    caption: str
    alt: str


def figures() -> tuple[list[Figure], list[str]]:
    """All figures that cells draw, and what is wrong with their descriptions."""
    found, wrong = [], []
    for page in pages.pages():
        for cell in pages.code_cells(pages.notebook(page)):
            options: dict[str, Any] = cell.metadata.get("mystnb", {})
            figure, image = options.get("figure", {}), options.get("image", {})
            if "plt.show()" in cell.source or figure or image:
                first = cell.source.strip().split("\n")[0]
                one = Figure(page, *(str(d.get(k, "")).strip() for d, k in
                                     ((figure, "name"), (figure, "caption"), (image, "alt"))))  # fmt: skip
                missing = [k for k in ("name", "caption", "alt") if not getattr(one, k)]
                if missing:
                    wrong.append(f"{page}: the cell {first!r} draws a figure without {', '.join(missing)}")
                if "\n" in one.caption:
                    wrong.append(f"{page}: the caption of {one.name} is not on one line")
                found.append(one)
            for alt in re.findall(r'slider_figure\(.*?\balt="([^"]*)"', cell.source, re.S):
                found.append(Figure(page, "", "", alt))
    return found, wrong


def test_every_figure_has_name_caption_and_alt() -> None:
    assert figures()[1] == []


def test_alt_texts_are_unique_and_say_more_than_the_caption() -> None:
    found = figures()[0]
    assert [alt for alt, n in Counter(f.alt for f in found).items() if n > 1] == []
    same = [f"{f.page}: {f.name}" for f in found if f.caption and f.alt.rstrip(".") == f.caption.rstrip(".")]
    assert same == [], "the alt text repeats the caption"
    assert [f"{f.page}: {f.name}" for f in found if len(f.alt) < 30] == [], "the alt text is too short"


def test_figure_names_are_unique_and_referred_to() -> None:
    named = [f for f in figures()[0] if f.name]
    assert [name for name, n in Counter(f.name for f in named).items() if n > 1] == []
    assert [f.name for f in named if not f.name.startswith("fig-")] == []
    lonely = []
    for f in (f for f in named if f.page != "index"):  # the landing page's picture speaks for itself
        text = (CHAPTERS / f"{f.page}.md").read_text(encoding="utf-8")
        if not re.search(rf"\{{(numref|ref)\}}`(?:[^`<]*<)?{re.escape(f.name)}>?`", text):
            lonely.append(f"{f.page}: {f.name}")
    assert not lonely, "the text does not refer to these figures"


def test_captions_hold_no_typed_measurement() -> None:
    bad = []
    for f in figures()[0]:
        for text in (f.caption, f.alt):
            bad += [f"{f.page}, {f.name or 'slider'}: {number}" for _, number in typed_measurements(text)]
    assert not bad


# References -----------------------------------------------------------------------------------------------


def bibliography() -> list[str]:
    text = (ROOT / "references.bib").read_text(encoding="utf-8")
    return re.findall(r"^@\w+\{([^,\s]+),", text, re.M)


def test_every_citation_has_one_entry() -> None:
    keys = bibliography()
    assert [key for key, n in Counter(keys).items() if n > 1] == []
    lost = []
    for path, text in texts().items():
        for match in re.finditer(r"\{cite:[a-z]+\}`([^`]+)`", text):
            lost += [f"{path.name}: {key}" for key in re.split(r"[,\s]+", match[1]) if key not in keys]
    assert lost == []


def test_every_entry_is_cited() -> None:
    text = "\n".join(texts().values())
    cited = {
        key
        for match in re.finditer(r"\{cite:[a-z]+\}`([^`]+)`", text)
        for key in re.split(r"[,\s]+", match[1])
    }
    assert [key for key in bibliography() if key not in cited] == []


def test_keys_are_sorted_and_say_author_and_year() -> None:
    keys = bibliography()
    assert keys == sorted(keys)
    assert [key for key in keys if not re.fullmatch(r"[a-z]+(1[6-9]|20)\d\d[a-z]*", key)] == []
