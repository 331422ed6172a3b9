"""The book's Sphinx extension: pages with their outputs, what is read anew, minutes, right links, labels.

All of it is read from the executed pages (tools/pages.py) and from items.yml; nothing is kept twice. The
labels that it leaves in _build/labels.json are what tools/notebooks.py resolves references with.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ConfigError

from tools import icons, indexes, notebooks, pages, reading, roles
from tools.pages import CHAPTERS


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

    The indexes are made from all pages, the inventory and the exercise bank. What makes pages (tools/), a new
    order of them or a new title, which shows in the navigation of each, has all of them read.
    """
    root = Path(app.srcdir)
    docs = [doc for doc in pages.toc(root) if doc in env.found_docs]
    order = [(doc, pages.title((root / f"{doc}.md").read_text(encoding="utf-8"))) for doc in docs]
    line = order, [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    line_before, env.book_line = getattr(env, "book_line", line), line
    if line_before != line:
        return sorted(env.found_docs - added - changed)
    before, env.book_keys = getattr(env, "book_keys", {}), {}
    for page in pages.pages(root):
        env.book_keys[f"{CHAPTERS}/{page}"] = pages.source_key(page, root), pages.text(page, root)
    stale = {doc for doc, key in env.book_keys.items() if before.get(doc, key) != key}
    sources = [root / CHAPTERS / "appendix" / "items.yml", *sorted(root.glob("exercises/*/*.md"))]
    sources_before = getattr(env, "book_sources", None)
    env.book_sources = [path.read_bytes() for path in sources if path.is_file()]
    if not (added or changed or removed or stale) and env.book_sources == sources_before:
        return []
    made = {doc for doc in env.found_docs if doc.startswith(f"{CHAPTERS}/appendix/")}
    return sorted((stale | made) & env.found_docs - added - changed)


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
        f"/{CHAPTERS}/{page}.md": ["tools.extension.read", {"page": page, "root": str(root)}, False]
        for page in pages.pages(root)
    }
    config.html_theme_options["navbar_persistent"] = []  # one search field, not two


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_role("item", roles.ItemRole())
    app.add_role("value", roles.ValueRole())
    app.add_role("colab", roles.ColabRole())
    app.add_directive("claims-ledger", indexes.ClaimsLedger)
    app.add_directive("question-map", indexes.QuestionMap)
    app.add_directive("errata-register", indexes.ErrataRegister)
    app.add_directive("execution-times", indexes.ExecutionTimes)
    app.add_directive("exercise-index", indexes.ExerciseIndex)
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
