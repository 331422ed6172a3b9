"""The book's Sphinx extension: pages with outputs, anchors of items, measured values, indexes, right links.

All of it is read from the executed pages (tools/pages.py) and from items.yml; nothing is kept twice. The
labels that it leaves in _build/labels.json are what tools/notebooks.py resolves references with.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.errors import ConfigError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from classroom.bank import read_bank
from tools import icons, notebooks, pages, reading
from tools.pages import CHAPTERS, flat, show

PARTS = {
    "objectives": "Learning objectives",
    "approximation": "Approximating the data distribution",
    "quality": "Log-likelihood against sample quality",
    "elbo": "Joint optimisation of the ELBO",
    "flows": "Desirable properties and flows",
    "beyond": "Going beyond",
}
log = logging.getLogger(__name__)


# What was measured ----------------------------------------------------------------------------------------


def read(text: str, page: str = "", root: str = "") -> nbformat.NotebookNode:
    """A page as MyST-NB shall render it: with its exercises and outputs, lines counted in the .md."""
    return pages.executed(page, Path(root))


def claims(root: Path) -> dict[str, list[dict[str, Any]]]:
    """Page -> its claims in order; an id on two pages is an error."""
    found: dict[str, list[dict[str, Any]]] = {}
    home: dict[str, str] = {}
    for page in pages.pages(root):
        try:
            records = pages.claims(pages.executed(page, root))
        except KeyError:
            raise ConfigError(f"{page} is not executed as it stands: run python -m tools.execute") from None
        for id in records:
            if home.setdefault(id, page) != page:
                raise ConfigError(f"claim {id!r} stands on {home[id]} and on {page}: ids are unique")
        found[page] = list(records.values())
    return found


def items(root: Path) -> dict[str, dict[str, Any]]:
    """The inventory: item id -> what it is."""
    path = root / CHAPTERS / "appendix" / "items.yml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))["items"] if path.is_file() else {}


def anchor(item: str) -> str:
    """The HTML anchor of an inventory item: 'S1.8' -> 'item-s1-8'."""
    return "item-" + item.lower().replace(".", "-")


# Roles ----------------------------------------------------------------------------------------------------


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


# Indexes --------------------------------------------------------------------------------------------------


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


# Events ---------------------------------------------------------------------------------------------------


def load(app: Sphinx) -> None:
    """Read the ledger and the inventory once, before any page is read."""
    root = Path(app.srcdir)
    env: Any = app.env
    env.book_claims_by_page = claims(root)
    env.book_claims = {r["id"]: r for rs in env.book_claims_by_page.values() for r in rs}
    env.book_items = items(root)
    if not hasattr(env, "book_places"):
        env.book_places = {}


def say_minutes(app: Sphinx, doctree: nodes.document) -> None:
    """Under the title of a page: how long it takes to read."""
    page = app.env.docname.removeprefix(f"{CHAPTERS}/")
    if page in notebooks.exported(Path(app.srcdir)):
        heading = next(doctree.findall(nodes.title))
        minutes = reading.load(page, Path(app.srcdir)).minutes
        line = nodes.paragraph("", f"{minutes} minutes to read", classes=["minutes"])
        heading.parent.insert(heading.parent.index(heading) + 1, line)


def outdated(app: Sphinx, env: Any, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """Read anew what Sphinx cannot see to have changed: pages with new outputs, and then the indexes.

    The indexes are made from all pages, the inventory and the exercise bank. A new order of pages or a new
    title shows in the navigation of every page, so then all are read.
    """
    root = Path(app.srcdir)
    docs = [doc for doc in pages.toc(root) if doc in env.found_docs]
    order = [(doc, pages.title((root / f"{doc}.md").read_text(encoding="utf-8"))) for doc in docs]
    order_before, env.book_order = getattr(env, "book_order", order), order
    if order_before != order:
        return sorted(env.found_docs - added - changed)
    before, env.book_keys = getattr(env, "book_keys", {}), {}
    for page in pages.pages(root):
        env.book_keys[f"{CHAPTERS}/{page}"] = pages.source_key(page, root), pages.text(page, root)
    stale = {doc for doc, key in env.book_keys.items() if before.get(doc, key) != key}
    sources = [
        *sorted(Path(__file__).parent.glob("*.py")),
        root / CHAPTERS / "appendix" / "items.yml",
        *sorted(root.glob("exercises/*/*.md")),
    ]
    sources_before = getattr(env, "book_sources", None)
    env.book_sources = [path.read_bytes() for path in sources if path.is_file()]
    if not (added or changed or removed or stale) and env.book_sources == sources_before:
        return []
    indexes = {doc for doc in env.found_docs if doc.startswith(f"{CHAPTERS}/appendix/")}
    return sorted((stale | indexes) & env.found_docs - added - changed)


def read_indexes_last(app: Sphinx, env: Any, docnames: list[str]) -> None:
    docnames.sort(key=lambda d: (d.startswith(f"{CHAPTERS}/appendix/"), d))


def forget(app: Sphinx, env: Any, docname: str) -> None:
    for docs in getattr(env, "book_places", {}).values():
        if docname in docs:
            docs.remove(docname)


def right_links(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """The Colab button opens the notebook; the theme would link the Markdown, which Colab cannot open."""
    if not doctree:
        return
    page = pagename.removeprefix(f"{CHAPTERS}/")
    for group in list(context.get("header_buttons", [])):
        if group.get("label") != "launch-buttons":
            continue
        if page not in notebooks.exported(Path(app.srcdir)):
            context["header_buttons"].remove(group)
            continue
        for button in group["buttons"]:
            if button["text"] == "Colab":
                button["url"] = pages.Address(Path(app.srcdir)).colab(page)


def dump_labels(app: Sphinx, exception: Exception | None) -> None:
    """Write _build/labels.json: 'eq:x', 'ref:x', 'num:x', 'prf:x' -> [page, anchor, text]."""
    if exception or app.builder.name != "html":
        return
    env: Any = app.env
    out: dict[str, list[str]] = {}
    for label, (doc, number) in env.get_domain("math").equations.items():
        out[f"eq:{label}"] = [doc, f"equation-{label}", f"({number})"]
    for label, (doc, id, title) in env.get_domain("std").labels.items():
        out[f"ref:{label}"] = [doc, id, str(title)]
    for doc, kinds in env.toc_fignumbers.items():
        for kind, ids in kinds.items():
            for id, number in ids.items():
                out[f"num:{id}"] = [doc, id, f"{kind} " + ".".join(map(str, number))]
    for label, item in getattr(env, "proof_list", {}).items():
        out[f"prf:{label}"] = [item["docname"], label, str(item.get("title", ""))]
    for doc, numbers in env.toc_secnumbers.items():
        for id, number in numbers.items():
            out[f"sec:{doc}{id}"] = [doc, id.lstrip("#"), ".".join(map(str, number))]
    path = Path(app.outdir).parent / "labels.json"
    path.write_text(json.dumps(out, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def slim_icons(app: Sphinx, exception: Exception | None) -> None:
    if not exception and app.builder.name == "html":
        icons.slim_site(Path(app.outdir))


def unfinished(app: Sphinx) -> Path:
    """Stands in the folder of read pages from the start of a build to its end without a warning."""
    return Path(app.doctreedir) / "unfinished"


def begin(app: Sphinx, config: Any) -> None:
    """After a build that failed or was stopped read all pages anew: Sphinx warns of what it reads only."""
    if unfinished(app).exists():
        Path(app.doctreedir, "environment.pickle").unlink(missing_ok=True)
    unfinished(app).parent.mkdir(parents=True, exist_ok=True)
    unfinished(app).touch()


def finish(app: Sphinx, exception: Exception | None) -> None:
    if not exception and not app._warncount:
        unfinished(app).unlink()


def skip_fields(app: Sphinx, kind: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """A named tuple's fields are described in its docstring; what Python says of them describes nothing."""
    return True if str(getattr(member, "__doc__", "")).startswith("Alias for field") else None


def configure(app: Sphinx, config: Any) -> None:
    root = Path(app.srcdir)
    config.nb_custom_formats = {
        f"/{CHAPTERS}/{page}.md": ["tools.site.read", {"page": page, "root": str(root)}, False]
        for page in pages.pages(root)
    }
    config.html_theme_options["navbar_persistent"] = []  # one search field, not two


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_role("item", ItemRole())
    app.add_role("value", ValueRole())
    app.add_role("colab", ColabRole())
    app.add_directive("claims-ledger", ClaimsLedger)
    app.add_directive("question-map", QuestionMap)
    app.add_directive("errata-register", ErrataRegister)
    app.add_directive("execution-times", ExecutionTimes)
    app.add_directive("exercise-index", ExerciseIndex)
    app.connect("config-inited", begin)
    app.connect("config-inited", configure)
    app.connect("builder-inited", load)
    app.connect("env-get-outdated", outdated)
    app.connect("env-before-read-docs", read_indexes_last)
    app.connect("env-purge-doc", forget)
    app.connect("doctree-read", say_minutes)
    app.connect("html-page-context", right_links, priority=900)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("build-finished", dump_labels)
    app.connect("build-finished", slim_icons)
    app.connect("build-finished", finish, priority=900)
    return {"version": "0.1", "parallel_read_safe": False, "parallel_write_safe": True}
