"""Roles of the pages: {value} a measured number with its mark, {item} an anchor, {colab} a link to Colab."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

from tools import pages
from tools.pages import show

log = logging.getLogger(__name__)


def anchor(item: str) -> str:
    """The HTML anchor of an inventory item: 'S1.8' -> 'item-s1-8'."""
    return "item-" + item.lower().replace(".", "-")


class ItemRole(SphinxRole):
    """{item}`S1.8 X1.1`: invisible anchors where items of the inventory are treated."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        out: list[nodes.Node] = []
        places = self.env.book_places  # type: ignore[attr-defined]
        for item in self.text.split():
            if item not in self.env.book_items:  # type: ignore[attr-defined]
                log.warning("unknown item %r", item, location=self.get_location())
                continue
            docs = places.setdefault(item, [])
            id = anchor(item)
            if self.env.docname not in docs:
                docs.append(self.env.docname)
                out.append(nodes.inline("", "", ids=[id], classes=["item-anchor"]))
        return out, []


class ValueRole(SphinxRole):
    """{value}`claim-id` or {value}`claim-id:.3f`: the measured number of a claim, from the executed page."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        id, _, spec = self.text.partition(":")
        record = self.env.book_claims.get(id)  # type: ignore[attr-defined]
        if record is None:
            log.warning("no claim %r was executed", id, location=self.get_location())
            return [nodes.Text("?")], []
        earlier, comma, last = show(record, spec).rpartition(", ")
        together = nodes.inline("", "", classes=["nowrap"])  # a line must not end between number and mark
        together += [nodes.inline(text=last, classes=["value"]), self.mark(record, spec)]
        return [nodes.inline(text=earlier + comma, classes=["value"]), together] if comma else [together], []

    def mark(self, record: dict[str, Any], spec: str) -> nodes.raw:
        """A small button beside the number, which opens what it was held against."""
        id, number = f"held-{self.env.new_serialno('held')}", show(record, spec)
        facts = {
            "measured": f"{show(record)} {record['unit']}",
            "wanted": record["wanted"],
            "known from": record["by"],
        }
        said = f"<strong>{html.escape(record['statement'])}</strong>"
        said += "".join(f"<br>{name}: {html.escape(fact)}" for name, fact in facts.items())
        markup = (
            f'<button class="held" type="button" popovertarget="{id}" aria-label="How {number} is known">✓'
            f'</button><span class="held-text" id="{id}" popover>{said}</span>'
        )
        return nodes.raw("", markup, format="html")


class ColabRole(SphinxRole):
    """{colab}`text <objectives/density>`: a link that opens the page's notebook in Colab."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        match = re.fullmatch(r"(.+?)\s*<(\S+)>", self.text, re.S)
        if match is None or match[2] not in pages.pages(Path(self.env.srcdir)):
            log.warning("no page to open in Colab in %r", self.text, location=self.get_location())
            return [nodes.Text(self.text)], []
        url = pages.Address(Path(self.env.srcdir)).colab(match[2])
        return [nodes.reference("", match[1], refuri=url)], []
