"""A page is a lecture: what it asks of reader and machine stays within the budget, its words are the field's.

Pages from before the budget have their overruns in OVERRUNS, which may only shrink.
"""

import re

import pytest

from tools import pages, reading

BUDGET = {"minutes": 35, "words": 3000, "lines": 200, "figures": 12, "wide": 0, "rebound": 0, "shapeless": 0}
OVERRUNS: dict[str, dict[str, int]] = {
    "conventions": {"shapeless": 1},
    "objectives/generation": {"minutes": 51, "words": 3928, "lines": 253, "figures": 13, "shapeless": 5},
    "objectives/density": {"minutes": 54, "words": 3530, "lines": 335, "shapeless": 14},
    "objectives/representation": {"minutes": 47, "words": 3391, "lines": 300, "shapeless": 14},
    "objectives/at-work": {"minutes": 38, "lines": 266, "shapeless": 13},
    "objectives/transfer": {"lines": 281, "shapeless": 6},
    "approximation/finite-data": {"shapeless": 4},
    "approximation/divergences": {"shapeless": 9},
    "approximation/families": {"shapeless": 12},
    "approximation/adversarial": {"shapeless": 17},
    "approximation/critics": {"lines": 224, "shapeless": 8},
    "approximation/optimisation": {"shapeless": 15},
    "approximation/curriculum": {"shapeless": 11},
    "approximation/evaluation": {"shapeless": 5},
    "approximation/human": {"shapeless": 12},
    "approximation/systems": {"shapeless": 12},
}

# Our own words for what has a name: {pattern: the field's term}.
HOUSE = {
    r"the (?:source )?notes\b(?! column)": "what is often said",
    r"(?<!/)\berrat(?:um|a)\b": "common mistake",
    r"\breferees?\b": "classifier, discriminator",
    r"\bcraftsm[ae]n\b": "a method for one task",
    r"\bjunk\b": "off-support samples",
    r"\bthe crowd\b": "unlabelled data",
    r"\b(?:true|model's|data's|joint|marginal|conditional|prior|posterior) laws?\b": "distribution",
}


def measured(page: str) -> dict[str, int]:
    nb, load = pages.notebook(page), reading.load(page)
    asked = {"minutes": load.minutes, "words": load.words, "lines": load.lines, "figures": load.figures}
    broken = {"wide": reading.wide(nb), "rebound": reading.rebound(nb), "shapeless": reading.shapeless(nb)}
    return asked | {what: len(found) for what, found in broken.items()}


@pytest.mark.parametrize("page", pages.pages())
def test_a_page_keeps_to_its_budget(page):
    allowed = OVERRUNS.get(page, {})
    over = {what: n for what, n in measured(page).items() if n > max(BUDGET[what], allowed.get(what, 0))}
    assert not over, f"more than {BUDGET} (see python -m tools.reading {page})"


@pytest.mark.parametrize("page", pages.pages())
def test_a_page_runs_in_a_minute_of_one_thread(page):
    """As it took when its outputs were made: seconds of processor, which a busy machine does not stretch."""
    assert pages.seconds(page)["cpu"] <= 60


@pytest.mark.parametrize("page", OVERRUNS)
def test_an_overrun_only_shrinks(page):
    now = measured(page)
    slack = {what: now[what] for what, n in OVERRUNS[page].items() if now[what] < n}
    assert not slack, f"write these into OVERRUNS[{page!r}], or take out what is within {BUDGET}"


@pytest.mark.parametrize("page", pages.pages())
def test_the_fields_own_words(page):
    text = pages.text(page)
    found = {
        f"{match[0]} -> {term}"
        for pattern, term in HOUSE.items()
        for match in re.finditer(pattern, text, re.I)
    }
    assert not found


def test_the_measures_count_what_everybody_sees():
    whole = """---
kernelspec: {name: python3, display_name: Python 3}
---
# One two

Three `code` $x$ four.

$$ x = 1 $$

:::{solution-start} a
:class: dropdown
:::
Folded words, not counted.
:::{solution-end}
:::

Five six.

```{code-cell} ipython3
shown = 1

other = 2
```

```{code-cell} ipython3
:tags: [hide-input]
shown = 3
long = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
```
"""
    nb = pages._parse(whole)
    words = [text for text, cell in reading.shown(nb) if cell.cell_type == "markdown"]
    assert "Folded" not in "".join(words) and "Five six." in "".join(words)
    assert reading.rebound(nb) == ["shown"] and reading.wide(nb) == []


def test_a_function_says_its_shapes_beside_its_code_or_in_its_docstring():
    code = """def a(x, h):  # (m, d), h -> (m,)
    return x

def b(x):
    \"\"\"Mean (d,) of x (n, d).\"\"\"
    return x

def c(x):
    return x
"""
    nb = pages._parse(
        f"---\nkernelspec: {{name: python3}}\n---\n# A\n\n```{{code-cell}} ipython3\n{code}```\n"
    )
    assert reading.shapeless(nb) == ["c"]
