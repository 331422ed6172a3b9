"""The book's pages: their order, text, cells, keys, outputs and addresses. All other tools start here."""

from __future__ import annotations

import ast
import copy
import functools
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import yaml
from myst_nb.core.read import read_myst_markdown_notebook

from tools import exercises, myst
from tools.tolerance import CLAIM

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = "chapters"


class PageError(SystemExit):
    """A page that cannot be read, executed or shown; the message names place and cause."""


# ---------- what there is ----------


def toc(root: Path = ROOT) -> list[str]:
    """The book's documents in reading order, as in _toc.yml, without suffix."""
    return list(_documents((root / "_toc.yml").read_text(encoding="utf-8")))


@functools.cache
def _documents(text: str) -> list[str]:
    found: list[str] = []

    def walk(node: object) -> None:
        if isinstance(node, dict):
            found.extend(str(node[k]) for k in ("root", "file") if k in node)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(yaml.safe_load(text))
    return found


def source(page: str, root: Path = ROOT) -> Path:
    """The Markdown file of a page, given as 'objectives/density'."""
    path = root / CHAPTERS / f"{page}.md"
    if not path.is_file():
        raise PageError(f"{page}: there is no {path.relative_to(root)}")
    return path


def pages(root: Path = ROOT) -> list[str]:
    """The executable pages ('objectives/density') in reading order."""
    docs = [doc.removeprefix(f"{CHAPTERS}/") for doc in toc(root)]
    return [doc for doc in docs if "kernelspec:" in source(doc, root).read_text(encoding="utf-8")[:400]]


def title(text: str) -> str:
    """The first heading of a page."""
    heading = re.search(r"^# (.+?)\s*$", text, re.M)
    return heading[1] if heading else ""


# ---------- a page's cells ----------


def text(page: str, root: Path = ROOT) -> str:
    """The page's Markdown with its exercises in their places."""
    return _expanded(page, root)[0]


def notebook(page: str, root: Path = ROOT) -> nbformat.NotebookNode:
    """The page as a notebook without outputs; its metadata's `source_map` has each cell's line in the .md."""
    whole, lines = _expanded(page, root)
    nb = copy.deepcopy(_parse(whole))
    nb.metadata["source_map"] = [lines[line] for line in nb.metadata["source_map"]]
    return nb


def _expanded(page: str, root: Path) -> tuple[str, tuple[int, ...]]:
    written = source(page, root).read_text(encoding="utf-8")
    bank = root / "exercises"
    master = bank / f"{page}.md"
    try:
        if not master.is_file():
            return exercises.expand(written, "", master, bank)
        return exercises.expand(written, master.read_text(encoding="utf-8"), master, bank)
    except exercises.BankError as error:
        raise PageError(f"{CHAPTERS}/{page}.md: {error}") from None


@functools.lru_cache(128)
def _parse(whole: str) -> nbformat.NotebookNode:
    return read_myst_markdown_notebook(whole, config=myst.config(), add_source_map=True)


def code_cells(nb: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def place(page: str, nb: nbformat.NotebookNode, number: int) -> str:
    """'chapters/objectives/density.md, line 41' for cell `number` of a page's notebook."""
    ex = nb.cells[number].metadata.get("ex", {}).get("id")
    where = f"{CHAPTERS}/{page}.md, line {nb.metadata['source_map'][number] + 1}"
    return where + (f", exercise {ex}" if ex else "")


# ---------- keys: what outputs depend on ----------


def meaning(code: str) -> str:
    """What Python code does, without its comments, docstrings and layout."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if (
            isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:]
    return ast.dump(tree)


def package_key(root: Path = ROOT) -> str:
    """Hash of everything outside a page that its outputs depend on: what genkit does, and the pins."""
    h = hashlib.sha256()
    for path in sorted((root / "genkit").glob("*.*")):
        known = path.suffix == ".py"
        code = meaning(path.read_text(encoding="utf-8")).encode() if known else path.read_bytes()
        h.update(path.name.encode() + b"\0" + code)
    pins = (root / "constraints.txt").read_text(encoding="utf-8").split("\n")
    h.update("\n".join(line for line in pins if not line.startswith("#")).encode())
    return h.hexdigest()[:16]


def source_key(page: str, root: Path = ROOT) -> str:
    """Hash of what a page's code means and of `package_key`: equal keys mean equal outputs."""
    h = hashlib.sha256(package_key(root).encode())
    nb = notebook(page, root)
    for number, cell in enumerate(nb.cells):
        if cell.cell_type == "code":
            try:
                does = meaning(cell.source)
            except SyntaxError as error:
                raise PageError(f"{place(page, nb, number)}: {error.msg}") from None
            silent = ";" if cell.source.rstrip().endswith(";") else ""  # shows no value of the last line
            h.update(f"{does}{silent}\0".encode())
    return h.hexdigest()[:16]


# ---------- outputs ----------


def store(page: str, root: Path = ROOT) -> Path:
    """Where the outputs of an executed page lie, with the key that they were made under."""
    return root / "_build" / "executed" / f"{page}.json"


def committed(page: str, root: Path = ROOT) -> Path:
    """The page's notebook in the repository."""
    return root / "notebooks" / f"{page}.ipynb"


def keep(page: str, outputs: list[list[Any]], seconds: dict[str, float], root: Path = ROOT) -> None:
    """Store the outputs of each code cell; all or nothing."""
    path = store(page, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    facts = {"key": source_key(page, root), "seconds": seconds, "outputs": outputs}
    part.write_text(json.dumps(facts), encoding="utf-8")
    part.replace(path)


def _ran(page: str, root: Path) -> dict[str, Any]:
    key = source_key(page, root)
    if store(page, root).is_file():
        facts = json.loads(store(page, root).read_text(encoding="utf-8"))
        if facts["key"] == key:
            return facts
    if committed(page, root).is_file():
        nb = nbformat.read(committed(page, root), as_version=4)
        facts = nb.metadata.get("genkit", {})
        if facts.get("source_key") == key and "seconds" in facts:
            outputs = [cell.outputs for cell in code_cells(nb)[1:]]  # the first is the setup cell
            return {"key": key, "seconds": facts["seconds"], "outputs": outputs}
    raise KeyError(page)


def executed(page: str, root: Path = ROOT) -> nbformat.NotebookNode:
    """The page as a notebook with outputs: of its last execution, or those in the committed notebook.

    Raises
    ------
    KeyError
        The page was not executed as it stands.
    """
    ran, nb = _ran(page, root), notebook(page, root)
    for cell, outputs in zip(code_cells(nb), ran["outputs"], strict=True):
        cell.outputs = [nbformat.from_dict(output) for output in outputs]
    return nb


def seconds(page: str, root: Path = ROOT) -> dict[str, float]:
    """Wall and CPU seconds that the page's execution took; KeyError as `executed`."""
    return dict(_ran(page, root)["seconds"])


def claims(nb: nbformat.NotebookNode) -> dict[str, dict[str, Any]]:
    """The records of an executed page's claims by id, in order; of a claim in a loop the last."""
    outputs = [output for cell in nb.cells for output in cell.get("outputs", [])]
    return {record["id"]: record for o in outputs for record in o.get("metadata", {}).get(CLAIM, [])}


def show(record: dict[str, Any], spec: str = "") -> str:
    """A claim's measured number as prose shows it, with a true minus sign."""
    numbers = flat(record["measured"])
    return ", ".join(format(v, spec or "#.4g").rstrip(".").replace("-", "−") for v in numbers)


def flat(measured: Any) -> list[Any]:
    """The numbers of a scalar or of nested lists, in order."""
    return [v for x in measured for v in flat(x)] if isinstance(measured, list) else [measured]


# ---------- addresses ----------


class Address:
    """Where the book lives, which _config.yml alone says: repository, site, Colab."""

    def __init__(self, root: Path = ROOT) -> None:
        config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
        self.title = str(config["title"])
        self.repository = str(config["repository"]["url"]).rstrip("/")
        self.branch = str(config["repository"]["branch"])
        self._colab = str(config["launch_buttons"]["colab_url"]).rstrip("/")
        found = re.fullmatch(r"https://github\.com/([^/]+)/([^/]+)", self.repository)
        if not found:
            raise SystemExit(
                f"_config.yml: repository.url must be https://github.com/OWNER/NAME, got {self.repository}"
            )
        self.site = f"https://{found[1].lower()}.github.io/{found[2]}"

    def page(self, doc: str, anchor: str = "") -> str:
        """A document of the built site."""
        return f"{self.site}/{doc}.html" + (f"#{anchor}" if anchor else "")

    def colab(self, page: str) -> str:
        """What opens a page's notebook in Colab."""
        path = self.repository.removeprefix("https://github.com/")
        return f"{self._colab}/github/{path}/blob/{self.branch}/notebooks/{page}.ipynb"
