"""How long a page takes to read, and what else a lecture is held to: words, shown code, formulas, figures.

    python -m tools.reading                      every page, longest first
    python -m tools.reading objectives/density   that page, with the lines and names that break a rule

Counted is what everybody sees: no folded solution, no exercise, no cell whose code is folded.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat

from tools import myst, pages
from tools.pages import ROOT

WORDS, LINES, FORMULAS = 200, 12, 2  # read in a minute
COLUMNS = 80  # of shown code: the site's column cuts what is longer
SHAPE = re.compile(r"\([\w*.…+/ ²]*,[^)]*\)|\(\w{1,3}\)|->")  # (n, d), (m,), (n), or what comes out
FOLDED = {"hide-input", "hide-cell", "remove-input", "remove-cell"}


class Load(NamedTuple):
    """What a page asks of its reader."""

    words: int
    lines: int
    formulas: int
    figures: int

    @property
    def minutes(self) -> int:
        return round(self.words / WORDS + self.lines / LINES + self.formulas / FORMULAS)


def shown(nb: nbformat.NotebookNode) -> Iterator[tuple[str, nbformat.NotebookNode]]:
    """(text or code that everybody sees, its cell): without folded solutions, exercises and folded code."""
    folded = False
    for cell in nb.cells:
        if cell.metadata.get("ex"):
            continue
        if cell.cell_type == "code":
            if not folded and not FOLDED & set(cell.metadata.get("tags", [])):
                yield cell.source, cell
            continue
        lines, at = cell.source.split("\n"), 0
        for one, token in myst.directives(cell.source):
            assert token.map is not None  # block tokens have one
            if one.name == "solution-start":
                if not folded:
                    yield "\n".join(lines[at : token.map[0]]), cell
                folded = "dropdown" in one.options.get("class", "")
                at = token.map[1]
            elif one.name == "solution-end":
                folded, at = False, token.map[1]
        if not folded:
            yield "\n".join(lines[at:]), cell


def load(page: str, root: Path = ROOT) -> Load:
    """What the page asks of its reader."""
    nb = pages.notebook(page, root)
    words = lines = formulas = 0
    for text, cell in shown(nb):
        if cell.cell_type == "code":
            lines += sum(bool(line.strip()) for line in text.split("\n"))
        else:
            words += sum(len(line.split()) for _, line in myst.prose(text))
            formulas += _formulas(text)
    figures = sum("figure" in cell.metadata.get("mystnb", {}) for cell in pages.code_cells(nb))
    return Load(words, lines, formulas, figures)


def _formulas(text: str) -> int:
    count = 0
    for token in myst.blocks(text):
        one = myst.directive(token)
        count += token.type.startswith("math_block") or (one is not None and one.name == "math")
        if one and one.name != "math":
            count += _formulas(one.body)
    return count


def wide(nb: nbformat.NotebookNode) -> list[str]:
    """Shown lines of code that the site's column cuts."""
    code = [text for text, cell in shown(nb) if cell.cell_type == "code"]
    return [line for text in code for line in text.split("\n") if len(line) > COLUMNS]


def rebound(nb: nbformat.NotebookNode) -> list[str]:
    """Names that shown cells bind and a folded cell binds anew: what the reader sees is not what runs."""
    seen: set[str] = set()
    found: dict[str, None] = {}
    visible = {id(cell) for _, cell in shown(nb)}
    for cell in pages.code_cells(nb):
        tree = ast.parse(cell.source)
        bound = {name for top in tree.body for name in _bound(top)}
        if id(cell) in visible:
            seen |= bound
        elif not cell.metadata.get("ex"):
            found |= dict.fromkeys(sorted((bound & seen) - {"_"}))
    return list(found)


def shapeless(nb: nbformat.NotebookNode) -> list[str]:
    """Shown functions that say no shapes, neither beside the code nor in their docstring."""
    found = []
    for text, cell in shown(nb):
        if cell.cell_type == "code":
            lines = text.split("\n")
            for top in ast.parse(text).body:
                if isinstance(top, ast.FunctionDef) and top.args.args:
                    head = lines[max(0, top.lineno - 2) : top.body[0].end_lineno]
                    said = [line[line.index("#") :] for line in head if "#" in line]
                    if not SHAPE.search(" ".join([*said, ast.get_docstring(top) or ""])):
                        found.append(top.name)
    return found


def _bound(top: ast.stmt) -> Iterator[str]:
    """Names that a statement binds in the page, imports apart."""
    if isinstance(top, ast.FunctionDef | ast.ClassDef):
        yield top.name
        return
    if isinstance(top, ast.Import | ast.ImportFrom):
        return
    loops = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
    inner = [node for node in ast.walk(top) if isinstance(node, loops)]
    own = {id(n) for comp in inner for g in comp.generators for n in ast.walk(g.target)}
    for node in ast.walk(top):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in own:
            yield node.id


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="such as objectives/density; all if none")
    args = parser.parse_args(argv)
    print(f"{'page':32} minutes  words  lines  formulas  figures  wide  rebound  shapeless")
    loads = {page: load(page) for page in args.pages or pages.pages()}
    for page in sorted(loads, key=lambda page: -loads[page].minutes):
        nb, one = pages.notebook(page), loads[page]
        facts = f"{one.minutes:7}  {one.words:5}  {one.lines:5}  {one.formulas:8}  {one.figures:7}"
        print(f"{page:32} {facts}  {len(wide(nb)):4}  {len(rebound(nb)):7}  {len(shapeless(nb)):9}")
        if args.pages:
            print("\n".join(["", *wide(nb), "", "bound anew: " + ", ".join(rebound(nb))]))
            print("no shapes: " + ", ".join(shapeless(nb)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
