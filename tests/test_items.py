"""Nothing of the source notes is lost: the inventory is whole, and written parts treat all of it."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = ROOT / "chapters"
INVENTORY = CHAPTERS / "appendix" / "items.yml"

# How many items the notes have, by kind and chapter of the notes; X5 are experiments beyond them.
COUNTS = {
    "S": {"0": 37, "1": 17, "2": 11, "3": 11, "4": 12},
    "Q": {"0": 13, "1": 9, "2": 7, "3": 7, "4": 7},
    "E": {"0": 29, "1": 11, "2": 11, "3": 14, "4": 12},
    "X": {"0": 13, "1": 9, "2": 10, "3": 10, "4": 10, "5": 6},
}
PARTS = {
    "1": "objectives",
    "0": "approximation",
    "3": "quality",
    "4": "elbo",
    "2": "flows",
    "5": "beyond",
}
FIELDS = {
    "S": {"part", "kind", "title", "home"},
    "Q": {"part", "kind", "title", "question", "home"},
    "E": {"part", "kind", "severity", "title", "says", "truth", "home"},
    "X": {"part", "kind", "title", "home"},
}
ANCHOR = re.compile(r"\{item\}`([^`]+)`")


@cache
def inventory() -> dict[str, Any]:
    return yaml.safe_load(INVENTORY.read_text(encoding="utf-8"))


@cache
def pages() -> dict[str, str]:
    """Page ('objectives/density') -> its Markdown."""
    found = {}
    for path in sorted(CHAPTERS.rglob("*.md")):
        name = path.relative_to(CHAPTERS).with_suffix("").as_posix()
        if not name.startswith("appendix/"):
            found[name] = path.read_text(encoding="utf-8")
    return found


def anchors(text: str) -> list[str]:
    return [item for match in ANCHOR.finditer(text) for item in match[1].split()]


def written(home: str) -> bool:
    """Whether a page is written: its whole part is, or it is named itself."""
    return not {home, home.split("/")[0]}.isdisjoint(inventory()["written"])


def written_items() -> dict[str, Any]:
    """Items of whole parts, and those that a written page of another part is the first home of."""
    items = inventory()["items"].items()
    return {k: v for k, v in items if v["part"] in inventory()["written"] or written(v["home"][0])}


# The inventory itself


def test_inventory_is_complete() -> None:
    ids = list(inventory()["items"])
    wanted = [
        f"{kind}{chapter}.{n}"
        for kind, chapters in COUNTS.items()
        for chapter, count in chapters.items()
        for n in range(1, count + 1)
    ]
    assert sorted(ids) == sorted(wanted)


def test_no_id_stands_twice() -> None:
    ids = re.findall(r"^  ([SQEX]\d\.\d+):", INVENTORY.read_text(encoding="utf-8"), re.M)
    assert [i for i, n in Counter(ids).items() if n > 1] == []


def test_every_item_has_its_fields() -> None:
    for id, item in inventory()["items"].items():
        assert set(item) == FIELDS[id[0]], id
        assert item["part"] == PARTS[id[1]], id
        assert item["home"] and all("/" in home for home in item["home"]), id
        texts = [item[k] for k in ("title", "question", "says", "truth") if k in item]
        assert all(t and "\n" not in t for t in texts), id
        if id[0] == "E":
            assert item["severity"] in "ABC", id


def test_each_question_lives_in_one_part() -> None:
    for id, item in inventory()["items"].items():
        if id[0] == "Q":
            first = item["home"][0].split("/")[0]
            assert first == item["part"] or id == "Q0.10", f"{id} starts in {first}"


# The pages against the inventory


def test_pages_name_known_items_only() -> None:
    known = inventory()["items"]
    unknown = {name: bad for name, t in pages().items() if (bad := [i for i in anchors(t) if i not in known])}
    assert not unknown


def test_claims_name_known_items_only() -> None:
    known = inventory()["items"]
    bad = []
    for name, text in pages().items():
        for match in re.finditer(r'\bitem="([^"{]*)"', text):
            bad += [f"{name}: {i}" for i in match[1].split() if i not in known]
    assert not bad


@pytest.mark.parametrize("id", sorted(written_items()))
def test_item_of_a_written_part_is_treated(id: str) -> None:
    item = written_items()[id]
    book = pages()
    if id[0] == "E" and item["severity"] == "C":
        return  # the register may be its only place
    for home in filter(written, item["home"]):  # the others are plans
        assert home in book, f"{id}: its home {home} does not exist"
        assert id in anchors(book[home]), f"{id} ({item['title']}) has no {{item}} anchor on {home}"


@pytest.mark.parametrize("id", sorted(k for k in written_items() if k[0] == "Q"))
def test_question_is_asked_and_answered(id: str) -> None:
    label = "q" + id[1:].replace(".", "-")
    text = "\n".join(pages().values())
    asked = re.findall(rf"^:+\{{exercise(?:-start)?\}}[^\n]*\n:label: {label}\n", text, re.M)
    assert len(asked) == 1, f"{id}: {len(asked)} exercises are labelled {label}, one is needed"
    solved = re.findall(rf"^:+\{{solution(?:-start)?\}} {label}\n", text, re.M)
    assert solved, f"{id}: no solution refers to {label}"


@pytest.mark.parametrize(
    "id", sorted(k for k, v in written_items().items() if k[0] == "E" and v["severity"] in "AB")
)
def test_a_mistake_is_boxed_or_said(id: str) -> None:
    """A mistake A of the register has a box with an executed claim; a B one a box, or its anchor."""
    severity = written_items()[id]["severity"]
    text = "\n".join(pages().values())
    boxed = re.search(
        rf"^(:+)\{{admonition\}} Common mistake: [^\n]*\n:class: mistake\n(?:(?!^\1$).*\n)*?.*"
        rf"\{{item\}}`[^`]*\b{re.escape(id)}\b",
        text,
        re.M,
    )
    assert boxed or (severity == "B" and id in anchors(text)), f"{id}: no common-mistake box holds its anchor"
    if severity == "A":
        shown = re.search(rf'\bitem="[^"]*\b{re.escape(id)}\b', text)
        assert shown, f'{id}: no claim has item="{id}": the counterexample must be executed'
