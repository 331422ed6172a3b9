"""Make notebooks/PAGE.ipynb, for Colab and for nbval, from chapters/PAGE.md and its outputs in the cache.

Nothing is executed here: the outputs are those of the site (tools/execute.py), the numbers and targets of
references come from _build/labels.json, which the site's build leaves. A notebook whose page did not change
stays byte for byte as it is.

    python tools/export.py                    every page
    python tools/export.py objectives/density that page
    python tools/export.py --check            exit 1 if a notebook is out of date, with page and cause
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

sys.path.insert(0, str(Path(__file__).resolve().parent))
import execute
import plain

sys.path.insert(0, str(execute.ROOT))
from classroom.assign import setup_source

ROOT = Path(__file__).resolve().parent.parent
CLAIM = "genkit_claim"  # key of a claim's record in the metadata of its output
PICTURE_BYTES = 30 * 1024
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def setup_cell(book: plain.Book) -> nbformat.NotebookNode:
    return new_code_cell(
        setup_source(book.repository, book.branch), metadata={"tags": ["setup", "nbval-ignore-output"]}
    )


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


def convert(page: str, book: plain.Book, outputs: list[list[Any]], key: str) -> nbformat.NotebookNode:
    """The notebook of a page; `outputs` holds those of each of its code cells, in order."""
    converter = plain.Converter(book, page)
    cells: list[nbformat.NotebookNode] = []
    results = iter(outputs)
    for cell in execute.notebook(page, book.root).cells:
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
    name, address = book.config["title"], book.url(converter.doc)
    head = f"{title[0]}\n\n*A page of [{name}]({book.site}/): [read it in the book]({address}).*"
    cells = [new_markdown_cell(head), setup_cell(book), *(cells if cells[0].source else cells[1:])]
    _number(cells)
    facts: dict[str, Any] = {
        "kernelspec": KERNEL,
        "language_info": {"name": "python"},
        "genkit": {"page": page, "source_key": key},
    }
    return new_notebook(cells=cells, metadata=facts)


def _caption(cell: Any, new: nbformat.NotebookNode, converter: plain.Converter) -> str:
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
            out += [f"cell {number}: {what}" for what in plain.leftovers(cell.source)]
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                out.append(f"cell {number}: an error is stored: {output.ename}: {output.evalue}")
            markup = "".join(output.get("data", {}).get("text/html", ""))
            out += [
                f"cell {number}: relative link in its output: {hit!r}"
                for hit in plain.relative_in_html(markup)
            ]
    return out


# ---------- files ----------


def values(root: Path) -> Any:
    """The function that {value} asks: (page, claim id, format) -> text."""

    @functools.cache
    def of_page(page: str) -> dict[str, dict[str, Any]]:
        found = {}
        for cell in execute.executed(page, root).cells:
            for output in cell.get("outputs", []):
                if record := output.get("metadata", {}).get(CLAIM):
                    found[record["id"]] = record
        return found

    def value(page: str, id: str, spec: str) -> str:
        import bookext  # the site's own words for a value

        if id in of_page(page):
            return bookext.show(of_page(page)[id], spec)
        for other in execute.pages(root):
            if id in of_page(other):
                return bookext.show(of_page(other)[id], spec)
        raise KeyError(id)

    return value


def exported(root: Path = ROOT) -> list[str]:
    """The pages that have a notebook: all that are executed but the landing page, which is for reading."""
    return [page for page in execute.pages(root) if page != "index"]


def path_of(page: str, root: Path) -> Path:
    return root / "notebooks" / f"{page}.ipynb"


def make(page: str, book: plain.Book, force: bool = False) -> nbformat.NotebookNode:
    """The page's notebook as it should be now.

    Outputs are taken over from the notebook that is there if nothing changed that they depend on, so that
    another word in the text, or another machine, does not change them.
    """
    key = execute.source_key(page, book.root)
    path = path_of(page, book.root)
    if path.is_file() and not force:
        old = nbformat.read(path, as_version=4)
        if old.metadata.get("genkit", {}).get("source_key") == key:
            cells = [c for c in old.cells if c.cell_type == "code"][1:]
            if [c.source for c in cells] == _code(page, book):
                return convert(page, book, [c.outputs for c in cells], key)
    try:
        ran = execute.executed(page, book.root)
    except KeyError:
        raise SystemExit(f"{page}: not executed: run python tools/execute.py {page}") from None
    outputs = [clean_outputs(c.outputs) for c in ran.cells if c.cell_type == "code"]
    return convert(page, book, outputs, key)


def _code(page: str, book: plain.Book) -> list[str]:
    return [cell.source for cell in execute.notebook(page, book.root).cells if cell.cell_type == "code"]


def dumps(notebook: nbformat.NotebookNode) -> str:
    nbformat.validate(notebook)
    return (
        nbformat.writes(notebook, version=4, indent=1, sort_keys=True, ensure_ascii=False).rstrip("\n") + "\n"
    )


def out_of_date(page: str, book: plain.Book) -> str | None:
    """Why a notebook is not what its page gives now, or None."""
    path = path_of(page, book.root)
    if not path.is_file():
        return "there is no notebook"
    have = nbformat.read(path, as_version=4)
    if have.metadata.get("genkit", {}).get("source_key") != execute.source_key(page, book.root):
        return "the page's code, genkit or the pins have changed"
    blank: list[list[Any]] = [[] for _ in _code(page, book)]
    want = convert(page, book, blank, "")
    for number, (a, b) in enumerate(zip_longest(have.cells, want.cells)):
        if a is None or b is None:
            return f"cell {number} is {'missing' if a is None else 'no longer there'}"
        for what in ("cell_type", "source", "metadata", "id"):
            if a[what] != b[what]:
                first = next(
                    (y for x, y in zip_longest(a.source.split("\n"), b.source.split("\n")) if x != y), ""
                )
                return f"{what} of cell {number} differs" + (f" at {first!r}" if what == "source" else "")
    return None


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="such as objectives/density; all if none")
    parser.add_argument("--check", action="store_true", help="exit 1 if a notebook is out of date")
    parser.add_argument("--force", action="store_true", help="take all outputs anew from the cache")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    root = args.root.resolve()
    book = plain.Book.open(root, values(root))
    pages = exported(root)
    if unknown := [page for page in args.pages if page not in pages]:
        parser.error(f"no such page: {', '.join(unknown)}")
    orphans = [
        p for p in sorted((root / "notebooks").rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts
    ]
    orphans = [
        p for p in orphans if p.relative_to(root / "notebooks").with_suffix("").as_posix() not in pages
    ]
    wrong: list[str] = []
    for page in args.pages or pages:
        name = f"notebooks/{page}.ipynb"
        path = path_of(page, root)
        if args.check:
            cause = out_of_date(page, book)
            if cause:
                wrong.append(f"{name}: {cause}: run python tools/export.py")
                continue
            notebook = nbformat.read(path, as_version=4)
        else:
            notebook = make(page, book, args.force)
        wrong += [f"{name}: {what}" for what in lint(notebook)]
        if args.check:
            continue
        text = dumps(notebook)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}, {len(text.encode()) // 1024} KB")
    if not args.pages:
        for path in orphans:
            if args.check:
                wrong.append(f"{path.relative_to(root)}: no page has this notebook")
            else:
                path.unlink()
                print(f"removed {path.relative_to(root)}")
    for message in wrong:
        print(message, file=sys.stderr)
    if not wrong:
        print(f"{len(args.pages or pages)} notebooks up to date")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
