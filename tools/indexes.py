"""Indexes that are made at build time: ledger of claims, questions, common mistakes, exercises, times."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from classroom.bank import read_bank
from tools import pages
from tools.pages import CHAPTERS, flat, show
from tools.roles import anchor

PARTS = {
    "objectives": "Learning objectives",
    "approximation": "Approximating the data distribution",
    "quality": "Log-likelihood against sample quality",
    "elbo": "Joint optimisation of the ELBO",
    "flows": "Desirable properties and flows",
    "beyond": "Going beyond",
}


class Index(SphinxDirective):
    """A directive whose content is Markdown made at build time; its page is read anew in every build."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        node = nodes.container(classes=["generated-index"])
        lines = self.markdown().split("\n")
        self.state.nested_parse(StringList(lines, self.get_source_info()[0]), self.content_offset, node)
        return [node]

    def markdown(self) -> str:
        raise NotImplementedError

    def link(self, text: str, doc: str, id: str = "") -> str:
        """A link to a page by address: the anchors are made by outputs, which no label knows."""
        up = "../" * (self.env.docname.count("/"))
        return f'<a href="{up}{doc}.html{"#" + id if id else ""}">{text}</a>'

    def group(self, letter: str, part: str) -> dict[str, dict[str, Any]]:
        """The inventory's items of one kind and part."""
        found = self.env.book_items.items()  # type: ignore[attr-defined]
        return {id: item for id, item in found if id[0] == letter and item["part"] == part}

    def title(self, page: str) -> str:
        return pages.title(pages.source(page, Path(self.env.srcdir)).read_text(encoding="utf-8"))

    def places(self, item: str) -> list[str]:
        docs = self.env.book_places.get(item, [])  # type: ignore[attr-defined]
        return sorted((d for d in docs if "/appendix/" not in d), key=pages.toc(Path(self.env.srcdir)).index)

    def where(self, item: str) -> str:
        docs = self.places(item)
        if not docs:
            return "in a later part"
        titles = [(self.title(d.removeprefix(f"{CHAPTERS}/")), d) for d in docs]
        return ", ".join(self.link(title, d, anchor(item)) for title, d in titles)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; cells may hold Markdown, maths and links."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def plain(text: str) -> str:
    """Plain text as Markdown that shows just that text."""
    return re.sub(r"([\\`*_{}\[\]<>$#|~])", r"\\\1", text)


class ClaimsLedger(Index):
    """The claims of a part's pages, folded by page: what was measured, and what it was held against."""

    required_arguments = 1  # the part's folder, or a page that belongs to none

    def markdown(self) -> str:
        part = self.arguments[0]
        book = self.env.book_claims_by_page  # type: ignore[attr-defined]
        found = {page: records for page, records in book.items() if records}
        chosen = {page: records for page, records in found.items() if part in (page, page.split("/")[0])}
        total, pages_ = sum(map(len, chosen.values())), "pages" if len(chosen) > 1 else "page"
        out = [f"{total} claims on {len(chosen)} {pages_}.", ""]
        head = ["Claim", "Measured", "Held against", "Known from"]
        for page, records in chosen.items():
            rows = [self.row(page, record) for record in records]
            out += [
                f":::{{dropdown}} {self.title(page)}: {len(records)} claims",
                table(head, rows),
                ":::",
                "",
            ]
        return "\n".join(out)

    def row(self, page: str, r: dict[str, Any]) -> list[str]:
        value = show(r) if len(flat(r["measured"])) <= 4 else "several"
        value += f" {r['unit']}" if r["unit"] else ""
        mark = "" if r["stable"] else " (differs between processors)"
        mark += f" (for the book's own {r['depends_on'].replace(' ', ' and ')})" * bool(r["depends_on"])
        name = self.link(plain(r["statement"]), f"{CHAPTERS}/{page}", f"claim-{r['id']}")
        return [name, plain(value) + mark, plain(r["wanted"]), plain(r["by"])]


class QuestionMap(Index):
    """Each question of the source notes and the page that answers it."""

    def markdown(self) -> str:
        out = []
        for part, heading in PARTS.items():
            group = self.group("Q", part)
            if not group:
                continue
            rows = []
            for id, q in group.items():
                docs = self.places(id)
                label = "q" + id[1:].replace(".", "-")
                rows.append([self.link(id, docs[0], label) if docs else id, q["title"], self.where(id)])
            out += [f"## {heading}", "", table(["No.", "Question", "Answered"], rows), ""]
        return "\n".join(out)


class ErrataRegister(Index):
    """Each error of the source notes, what is true, and where it is shown."""

    def markdown(self) -> str:
        records = [(p, r) for p, rs in self.env.book_claims_by_page.items() for r in rs]  # type: ignore[attr-defined]
        out = []
        for part, heading in PARTS.items():
            group = self.group("E", part)
            if not group:
                continue
            rows = []
            for id, e in group.items():
                shown = [
                    self.link(plain(r["statement"]), f"{CHAPTERS}/{p}", f"claim-{r['id']}")
                    for p, r in records
                    if id in r["item"]
                ]
                where = "here" if e["severity"] == "C" and not self.places(id) else self.where(id)
                if shown:
                    where += "; run: " + "; ".join(shown)
                rows.append(
                    [f'<span id="register-{id.lower().replace(".", "-")}">{id}</span>', e["severity"],
                     e["says"], e["truth"], where]
                )  # fmt: skip
            head = ["No.", "Severity", "The notes say", "What is true", "Shown"]
            out += [f"## {heading}", "", table(head, rows), ""]
        return "\n".join(out)


class ExerciseIndex(Index):
    """The exercise bank by page, without anything that a student should not see."""

    def markdown(self) -> str:
        masters = {m.page: m for m in read_bank(Path(self.env.srcdir) / "exercises")}
        out = []
        for page in pages.pages(Path(self.env.srcdir)):
            if page not in masters:
                continue
            rows = []
            for e in masters[page].exercises:
                facts = [str(e.meta[key]) for key in ("kind", "topic", "points", "minutes")]
                name = self.link(plain(e.title), f"{CHAPTERS}/{page}", f"ex-{e.id}")
                rows.append(
                    [name + (" ⇄" if e.choices else ""), f"`{e.id}`", *facts, "●" * e.meta["difficulty"]]
                )
            heading = pages.title(pages.source(page, Path(self.env.srcdir)).read_text(encoding="utf-8"))
            head = ["Exercise", "Id", "Kind", "Topic", "Points", "Minutes", "Level"]
            out += [f"## {heading}", "", table(head, rows), ""]
        return "\n".join(out)


class ExecutionTimes(Index):
    """How long each page took when this copy of the book was built."""

    def markdown(self) -> str:
        root = Path(self.env.srcdir)
        rows, total = [], 0.0
        for page in pages.pages(root):
            t = pages.seconds(page, root)
            total += t["wall"]
            doc = f"{CHAPTERS}/{page}"
            rows.append([self.link(self.title(page), doc), f"{t['wall']:.0f}", f"{t['cpu']:.0f}"])
        rows.append(["All pages", f"{total:.0f}", ""])
        return table(["Page", "Seconds", "Seconds of processor"], rows)
