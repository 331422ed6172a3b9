"""Check that each page.md and its pair page.py hold the same cells; ``--sync`` rewrites the .py.

The .md is the source: edit it, then run ``python -m tools.pairs --sync``. Pairs are compared by
their parsed cells, never by time stamps or text, so formatting of the header does not matter.
"""

from __future__ import annotations

import argparse
import re
import sys
from itertools import zip_longest
from pathlib import Path

import jupytext
import yaml

from tools.pages import CHAPTERS, ROOT

FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.S)
HEADER = """\
# ---
# jupyter:
#   jupytext:
#     formats: md:myst,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---
"""


def is_notebook(md: Path) -> bool:
    """Whether a Markdown page says in its front matter that it is paired with a .py."""
    found = FRONT_MATTER.match(md.read_text(encoding="utf-8"))
    front = yaml.safe_load(found[1]) if found else {}
    return "py:percent" in str((front or {}).get("jupytext", {}).get("formats", ""))


def read(path: Path) -> list[tuple[str, str, dict]]:
    """Cells of a page as (type, source, metadata)."""
    notebook = jupytext.read(path, fmt="py:percent" if path.suffix == ".py" else "md:myst")
    return [(cell.cell_type, cell.source, dict(cell.metadata)) for cell in notebook.cells]


def percent(md: Path) -> str:
    """The .py text that belongs to a .md page."""
    body = jupytext.writes(jupytext.read(md, fmt="md:myst"), fmt="py:percent")
    _, _, cells = body.partition("\n# ---\n")  # jupytext's own header names its version: ours does not
    return HEADER + cells


def difference(md: list[tuple[str, str, dict]], py: list[tuple[str, str, dict]]) -> str | None:
    """Say where two lists of cells first differ, or None when they are equal."""
    for number, (ours, theirs) in enumerate(zip_longest(md, py), start=1):
        if ours == theirs:
            continue
        if ours is None or theirs is None:
            more, cell = (".py", theirs) if ours is None else (".md", ours)
            first = cell[1].strip().split("\n")[0]
            return f"cell {number} ({cell[0]}) is only in the {more}: {first!r}"
        for what, a, b in zip(("type", "source", "metadata"), ours, theirs, strict=True):
            if a == b:
                continue
            if what == "source":
                pairs = zip_longest(a.split("\n"), b.split("\n"))
                line, (a, b) = next((n, p) for n, p in enumerate(pairs, start=1) if p[0] != p[1])
                what = f"line {line}"
            return f"cell {number} ({ours[0]}), {what}: .md has {a!r}, .py has {b!r}"
    return None


def check_pair(md: Path, name: str) -> str | None:
    """One line on what is wrong with a pair, or None."""
    py = md.with_suffix(".py")
    if not md.exists():
        return f"{name}.py has no {name}.md: the .md is the source of a page"
    if not py.exists():
        return f"{name}.md has no {name}.py: run python -m tools.pairs --sync"
    where = difference(read(md), read(py))
    if where is None:
        return None
    newer = (
        " (the .py is the newer file: the .md is the source, edit that)"
        if py.stat().st_mtime > md.stat().st_mtime
        else ""
    )
    return f"{name}: {where}{newer}"


def sync_pair(md: Path, name: str, force: bool = False) -> tuple[bool, str | None]:
    """Write the .py from the .md if they differ. Returns (written, one line on what is wrong or None)."""
    if not md.exists():
        return False, check_pair(md, name)
    py = md.with_suffix(".py")
    want = percent(md)
    there = py.exists() and difference(read(md), read(py))
    if py.exists() and there is None:
        return False, None
    notebook = jupytext.reads(want, fmt="py:percent")
    back = [(cell.cell_type, cell.source, dict(cell.metadata)) for cell in notebook.cells]
    lost = difference(read(md), back)
    if lost:
        return False, f"{name}.md cannot be paired (a '# %%' inside a cell? a caption on two lines?): {lost}"
    if py.exists() and py.stat().st_mtime > md.stat().st_mtime and not force:
        return False, (
            f"{name}.py is newer than {name}.md and would be overwritten: {there}\n"
            f"    the .md is the source: put the change there, or say --sync --force to drop it"
        )
    py.write_text(want, encoding="utf-8")
    return True, None


def pages(root: Path) -> list[tuple[Path, str]]:
    """Every pair (or half of one) as (path of the .md, name relative to the root without suffix)."""
    folder = root / CHAPTERS
    found = {p.with_suffix(".md") for p in folder.rglob("*.py")}
    found |= {p for p in folder.rglob("*.md") if is_notebook(p)}
    found = {p for p in found if ".ipynb_checkpoints" not in p.parts}
    return [(p, p.relative_to(root).with_suffix("").as_posix()) for p in sorted(found)]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="only pages whose path contains one of these words")
    parser.add_argument("--sync", action="store_true", help="rewrite each .py from its .md")
    parser.add_argument("--force", action="store_true", help="with --sync: overwrite even a newer .py")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    pairs = [(p, n) for p, n in pages(args.root) if not args.names or any(w in n for w in args.names)]
    wrong = []
    for md, name in pairs:
        if args.sync:
            written, message = sync_pair(md, name, args.force)
            if written:
                print(f"wrote {name}.py")
        else:
            message = check_pair(md, name)
        if message:
            wrong.append(message)
    for message in wrong:
        print(f"out of step: {message}", file=sys.stderr)
    if not wrong:
        print(f"{len(pairs)} pairs in step")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
