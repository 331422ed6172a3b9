"""Make notebooks/PAGE.ipynb, for Colab and for nbval, from chapters/PAGE.md and its outputs.

Nothing is executed here: the outputs are those of the site (tools/execute.py), the numbers and targets of
references come from _build/labels.json, which the site's build leaves. A notebook whose page did not change
stays byte for byte as it is.

    python -m tools.notebooks                      every page
    python -m tools.notebooks objectives/density   that page
    python -m tools.notebooks --check              exit 1 if a notebook is out of date, with page and cause
"""

from __future__ import annotations

import argparse
import base64
import functools
import hashlib
import io
import re
import sys
from itertools import zip_longest
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image, ImageChops, ImageStat

from classroom.assign import setup_source
from tools import markdown, pages, reading
from tools.pages import CLAIM, ROOT, committed

PICTURE_BYTES = 30 * 1024
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def setup_cell(book: markdown.Book) -> nbformat.NotebookNode:
    source = setup_source(book.address.repository, book.address.branch)
    return new_code_cell(source, metadata={"tags": ["setup", "nbval-ignore-output"]})


# ---------- pictures and outputs ----------


def shrink(png: bytes, limit: int = PICTURE_BYTES) -> tuple[bytes, int, int]:
    """The picture with the smallest palette that shows it well: (PNG, width and height of the original).

    Well means that no pixel is off by a tenth of full scale and the mean is not off by one grey level of 255.
    If that takes more than `limit` bytes, a smaller picture must do.
    """
    with Image.open(io.BytesIO(png)) as image:
        layers = image.convert("RGBA")
        full = Image.alpha_composite(Image.new("RGBA", image.size, "white"), layers).convert("RGB")
    tried: list[tuple[float, bytes]] = []
    for scale in (1.0, 0.75, 0.5):
        size = (round(full.width * scale) or 1, round(full.height * scale) or 1)
        small = full if scale == 1 else full.resize(size, Image.Resampling.LANCZOS)
        for colours in (16, 32, 64, 128, 256):
            sizes = []
            # maximum coverage keeps thin lines in their colour, median cut keeps shades smooth
            for method in (Image.Quantize.MAXCOVERAGE, Image.Quantize.MEDIANCUT):
                out = io.BytesIO()
                palette = small.quantize(colours, method, dither=Image.Dither.NONE)
                palette.save(out, "PNG", optimize=True)
                sizes.append(len(out.getvalue()))
                shown = palette.convert("RGB").resize(full.size)
                off = ImageStat.Stat(ImageChops.difference(shown, full))
                good = max(high for _, high in off.extrema) <= 25 and max(off.mean) <= 1
                fits = sizes[-1] <= limit
                if fits and good:
                    return out.getvalue(), full.width, full.height
                tried.append((max(off.mean) + (0 if fits else 255), out.getvalue()))
            if min(sizes) > limit:
                break
    return min(tried)[1], full.width, full.height


def clean_outputs(outputs: list[Any]) -> list[nbformat.NotebookNode]:
    """Outputs as the notebook keeps them: streams joined, pictures shrunk, nothing that changes by chance."""
    out: list[nbformat.NotebookNode] = []
    for output in outputs:
        output = nbformat.from_dict(dict(output))
        if output.output_type == "stream":
            if out and out[-1].output_type == "stream" and out[-1].name == output.name:
                out[-1].text += output.text  # how a kernel cuts a stream into pieces is chance
                continue
            output = nbformat.from_dict({"output_type": "stream", "name": output.name, "text": output.text})
        elif "data" in output:
            output.metadata = nbformat.from_dict({k: v for k, v in output.metadata.items() if k == CLAIM})
            output.data = nbformat.from_dict(dict(output.data))
            if "image/png" in output.data:
                data, width, height = shrink(base64.b64decode(output.data["image/png"]))
                output.data["image/png"] = base64.b64encode(data).decode()
                output.metadata["image/png"] = nbformat.from_dict({"width": width, "height": height})
        out.append(output)
    return out


# ---------- a page as a notebook ----------


def convert(
    page: str, book: markdown.Book, outputs: list[list[Any]], facts: dict[str, Any]
) -> nbformat.NotebookNode:
    """The notebook of a page, with the outputs of each of its code cells; `facts` go to its metadata."""
    converter = markdown.Converter(book, page)
    cells: list[nbformat.NotebookNode] = []
    results = iter(outputs)
    for cell in pages.notebook(page, book.root).cells:
        ex = {k: cell.metadata["ex"][k] for k in ("id", "role") if k in cell.metadata.get("ex", {})}
        if cell.cell_type == "markdown":
            text = converter.text(cell.source)
            if text.strip():
                cells.append(new_markdown_cell(text, metadata={"ex": ex} if ex else {}))
            continue
        metadata = {"tags": list(cell.metadata["tags"])} if cell.metadata.get("tags") else {}
        new = new_code_cell(cell.source, metadata={**metadata, **({"ex": ex} if ex else {})})
        new.outputs = list(next(results))
        cells.append(new)
        caption = _caption(cell, new, converter)
        if caption:
            cells.append(new_markdown_cell(caption))
    title = re.match(r"# [^\n]*", cells[0].source) if cells and cells[0].cell_type == "markdown" else None
    if not title:
        raise converter.error("a page must begin with its title, '# ...'")
    cells[0].source = cells[0].source[title.end() :].strip("\n")
    name, address = book.address.title, book.address.page(converter.doc)
    minutes = reading.load(page, book.root).minutes
    where = (
        f"*A page of [{name}]({book.address.site}/): [read it in the book]({address}). {minutes} minutes.*"
    )
    head = f"{title[0]}\n\n{where}"
    cells = [new_markdown_cell(head), setup_cell(book), *(cells if cells[0].source else cells[1:])]
    _number(cells)
    about = {"kernelspec": KERNEL, "language_info": {"name": "python"}, "genkit": {"page": page, **facts}}
    return new_notebook(cells=cells, metadata=about)


def _caption(cell: Any, new: nbformat.NotebookNode, converter: markdown.Converter) -> str:
    """Caption and description under a figure's cell; the description goes to the picture's metadata too."""
    figure = cell.metadata.get("mystnb", {}).get("figure")
    alt = str(cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")).strip()
    for output in new.outputs:
        if alt and "image/png" in output.get("metadata", {}):
            output.metadata["image/png"]["alt"] = alt
    if not figure:
        return ""
    number = converter.counted("figure", figure.get("name", "")).replace("Figure", "Fig.")
    text = f"*{number}. {converter.inline(str(figure['caption']).strip())}*"
    if alt:
        text += f"\n\n<details><summary>Description of {number}</summary>{alt}</details>"
    return text


def _number(cells: list[nbformat.NotebookNode]) -> None:
    """Ids that follow from what a cell says, and execution counts in order."""
    seen: dict[str, int] = {}
    count = 0
    for cell in cells:
        hashed = hashlib.sha256(f"{cell.cell_type}\0{cell.source}".encode()).hexdigest()[:12]
        seen[hashed] = seen.get(hashed, 0) + 1
        cell["id"] = hashed if seen[hashed] == 1 else f"{hashed}-{seen[hashed]}"
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = count


def lint(notebook: nbformat.NotebookNode) -> list[str]:
    """Complaints about a finished notebook: raw MyST, references and links that lead nowhere."""
    out = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            out += [f"cell {number}: {what}" for what in markdown.leftovers(cell.source)]
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                out.append(f"cell {number}: an error is stored: {output.ename}: {output.evalue}")
            markup = "".join(output.get("data", {}).get("text/html", ""))
            out += [
                f"cell {number}: relative link in its output: {hit!r}"
                for hit in markdown.relative_in_html(markup)
            ]
    return out


# ---------- files ----------


def claim_of(root: Path) -> Any:
    """The function that finds a claim: (page that asks, claim id) -> its page and record."""

    @functools.cache
    def records(page: str) -> dict[str, dict[str, Any]]:
        return pages.claims(pages.executed(page, root))

    def find(page: str, id: str) -> tuple[str, dict[str, Any]]:
        for home in (page, *pages.pages(root)):
            if id in records(home):
                return home, records(home)[id]
        raise KeyError(id)

    return find


def exported(root: Path = ROOT) -> list[str]:
    """The pages that have a notebook: all that are executed but the landing page, which is for reading."""
    return [page for page in pages.pages(root) if page != "index"]


def make(page: str, book: markdown.Book, force: bool = False) -> nbformat.NotebookNode:
    """The page's notebook as it should be now.

    Outputs are taken over from the notebook that is there if nothing changed that they depend on, so that
    another word in the text, or another machine, does not change them.
    """
    facts: dict[str, Any] = {"source_key": pages.source_key(page, book.root)}
    path = committed(page, book.root)
    if path.is_file() and not force:
        old = nbformat.read(path, as_version=4)
        before = old.metadata.get("genkit", {})
        if before.get("source_key") == facts["source_key"]:
            kept = [cell.outputs for cell in pages.code_cells(old)[1:]]
            return convert(page, book, kept, facts | {"seconds": before["seconds"]})
    try:
        ran = pages.executed(page, book.root)
    except KeyError:
        raise SystemExit(f"{page}: not executed: run python -m tools.execute {page}") from None
    outputs = [clean_outputs(cell.outputs) for cell in pages.code_cells(ran)]
    return convert(page, book, outputs, facts | {"seconds": pages.seconds(page, book.root)})


def dumps(notebook: nbformat.NotebookNode) -> str:
    nbformat.validate(notebook)
    return (
        nbformat.writes(notebook, version=4, indent=1, sort_keys=True, ensure_ascii=False).rstrip("\n") + "\n"
    )


def out_of_date(page: str, book: markdown.Book) -> str | None:
    """Why a notebook is not what its page gives now, or None."""
    path = committed(page, book.root)
    if not path.is_file():
        return "there is no notebook"
    have = nbformat.read(path, as_version=4)
    facts = have.metadata.get("genkit", {})
    if facts.get("source_key") != pages.source_key(page, book.root):
        return "the page's code, genkit or the pins have changed"
    blank: list[list[Any]] = [[] for _ in pages.code_cells(pages.notebook(page, book.root))]
    want = convert(page, book, blank, {})
    for number, (a, b) in enumerate(zip_longest(have.cells, want.cells)):
        if a is None or b is None:
            return f"cell {number} is {'missing' if a is None else 'no longer there'}"
        for what in ("cell_type", "source", "metadata", "id"):
            if a[what] != b[what]:
                lines = zip_longest(a.source.split("\n"), b.source.split("\n"))
                first = next((theirs for ours, theirs in lines if ours != theirs), "")
                return f"{what} of cell {number} differs" + (f" at {first!r}" if what == "source" else "")
    return None


def orphans(root: Path) -> list[Path]:
    """Notebooks that no page has."""
    known = {committed(page, root) for page in exported(root)}
    found = sorted((root / "notebooks").rglob("*.ipynb"))
    return [path for path in found if path not in known and ".ipynb_checkpoints" not in path.parts]


def check(chosen: list[str], book: markdown.Book) -> list[str]:
    """What is wrong with the notebooks that lie in the repository."""
    wrong = []
    for page in chosen:
        cause = out_of_date(page, book)
        if cause:
            wrong.append(f"notebooks/{page}.ipynb: {cause}: run make book")
        else:
            faults = lint(nbformat.read(committed(page, book.root), as_version=4))
            wrong += [f"notebooks/{page}.ipynb: {fault}" for fault in faults]
    return wrong


def write(chosen: list[str], book: markdown.Book, force: bool) -> list[str]:
    """Write the notebooks that changed; what is wrong with them."""
    wrong = []
    for page in chosen:
        notebook, path = make(page, book, force), committed(page, book.root)
        wrong += [f"notebooks/{page}.ipynb: {fault}" for fault in lint(notebook)]
        text = dumps(notebook)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote notebooks/{page}.ipynb, {len(text.encode()) // 1024} KB")
    return wrong


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="such as objectives/density; all if none")
    parser.add_argument("--check", action="store_true", help="exit 1 if a notebook is out of date")
    parser.add_argument("--force", action="store_true", help="take all outputs anew from the last execution")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    root = args.root.resolve()
    book = markdown.Book.open(root, claim_of(root))
    if unknown := [page for page in args.pages if page not in exported(root)]:
        parser.error(f"no such page: {', '.join(unknown)}")
    chosen = args.pages or exported(root)
    wrong = check(chosen, book) if args.check else write(chosen, book, args.force)
    for path in [] if args.pages else orphans(root):
        if args.check:
            wrong.append(f"{path.relative_to(root)}: no page has this notebook")
        else:
            path.unlink()
            print(f"removed {path.relative_to(root)}")
    for message in wrong:
        print(message, file=sys.stderr)
    if not wrong:
        print(f"{len(chosen)} notebooks up to date")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
