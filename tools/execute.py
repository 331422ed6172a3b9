"""Execute the book's pages, two at a time, into the cache that the site and the notebooks are made from.

    python tools/execute.py                      every page whose code, genkit or pins changed
    python tools/execute.py objectives/density   that page (add --force to run it again)

A page that fails stops the line: the message names page, cell and cause, and nothing of it is cached.
Pages that succeeded stay cached, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import ast
import copy
import functools
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import jupytext
import nbformat
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = "chapters"
CPU = "import time; print(time.process_time())"


class PageError(Exception):
    """A page that cannot be executed, with the place and the cause in the message."""


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


@functools.cache
def _parse(text: str) -> nbformat.NotebookNode:
    return jupytext.reads(text, fmt="md:myst")


def notebook(page: str, root: Path = ROOT) -> nbformat.NotebookNode:
    """The page as a notebook without outputs; each text is parsed once in a process."""
    return copy.deepcopy(_parse(source(page, root).read_text(encoding="utf-8")))


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
    for path in sorted((root / "genkit").glob("*.*")) + [root / "constraints.txt"]:
        if path.is_file():
            code = (
                meaning(path.read_text(encoding="utf-8")).encode()
                if path.suffix == ".py"
                else path.read_bytes()
            )
            h.update(path.name.encode() + b"\0" + code)
    return h.hexdigest()[:16]


def source_key(page: str, root: Path = ROOT) -> str:
    """Hash of a page's code and of `package_key`: equal keys mean equal outputs."""
    h = hashlib.sha256(package_key(root).encode())
    for cell in notebook(page, root).cells:
        if cell.cell_type == "code":
            h.update(cell.source.encode() + b"\0")
    return h.hexdigest()[:16]


def cache_path(root: Path = ROOT) -> Path:
    """Folder of the cache, named by `package_key`, since a page is looked up by its own code alone."""
    return (
        root / "_build" / "cache" / f"{package_key(root)}-py{sys.version_info.major}{sys.version_info.minor}"
    )


@functools.cache
def open_cache(path: Path) -> JupyterCacheAbstract:
    path.mkdir(parents=True, exist_ok=True)
    cache = get_cache(str(path))
    cache.change_cache_limit(10_000)
    return cache


def executed(page: str, root: Path = ROOT) -> nbformat.NotebookNode:
    """The page as a notebook with its cached outputs; KeyError if it has not been executed."""
    nb = notebook(page, root)
    _, merged = open_cache(cache_path(root)).merge_match_into_notebook(nb)
    return merged


def seconds(page: str, root: Path = ROOT) -> dict[str, float]:
    """Wall and CPU seconds that the page's execution took."""
    record = open_cache(cache_path(root)).match_cache_notebook(notebook(page, root))
    return record.data


def place(page: str, code: str, root: Path = ROOT) -> str:
    """'chapters/objectives/density.md, line 41' for the cell that holds `code`."""
    path = source(page, root)
    at = path.read_text(encoding="utf-8").find(code.strip())
    line = path.read_text(encoding="utf-8")[:at].count("\n") + 1 if at >= 0 else 1
    return f"{path.relative_to(root)}, line {line}"


def run(page: str, root: Path = ROOT, timeout: int = 300) -> tuple[nbformat.NotebookNode, dict[str, float]]:
    """Execute one page in a fresh kernel and a scratch folder; PageError names the cell that failed."""
    nb = notebook(page, root)
    with tempfile.TemporaryDirectory(prefix="page-") as scratch:
        client = NotebookClient(
            nb, timeout=timeout, record_timing=False, resources={"metadata": {"path": scratch}}
        )
        start = time.perf_counter()
        try:
            with client.setup_kernel(stderr=subprocess.DEVNULL):  # a cell's stderr comes as output
                for k, cell in enumerate(list(nb.cells)):
                    client.execute_cell(cell, k)
                    if cell.cell_type == "code":
                        noise = [
                            o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stderr"
                        ]
                        if noise:
                            raise PageError(
                                f"{place(page, cell.source, root)}: wrote to stderr: {noise[0].strip()[:500]}"
                            )
                wall = time.perf_counter() - start
                nb.cells.append(nbformat.v4.new_code_cell(CPU))
                client.execute_cell(nb.cells[-1], len(nb.cells) - 1)
                cpu = float(nb.cells.pop().outputs[0].text)
        except CellExecutionError as error:
            cause = re.sub(r"\x1b\[[0-9;]*m", "", f"{error.ename}: {error.evalue}")
            raise PageError(f"{place(page, cell.source, root)}: {cause}") from None
        except (CellTimeoutError, DeadKernelError) as error:
            raise PageError(
                f"{place(page, cell.source, root)}: {type(error).__name__} after {timeout} s"
            ) from None
    return nb, {"execution_seconds": round(wall, 1), "cpu_seconds": round(cpu, 1)}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="such as objectives/density; all if none")
    parser.add_argument("--force", action="store_true", help="run even what is cached")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args()
    root = args.root.resolve()
    os.environ.update(OMP_NUM_THREADS="1", GENKIT_BOOK="1", PYTHONHASHSEED="0", PYTHONPATH=str(root))
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    cache = open_cache(cache_path(root))
    todo = []
    for page in args.pages or pages(root):
        try:
            cache.match_cache_notebook(notebook(page, root))
        except KeyError:
            todo.append(page)
        else:
            if args.force:
                todo.append(page)
            elif args.pages:
                print(f"{page}: unchanged, {seconds(page, root)}")
    failed = []
    start = time.perf_counter()
    with ThreadPoolExecutor(max(1, args.jobs)) as pool:
        jobs = {pool.submit(run, page, root): page for page in todo}
        for job in as_completed(jobs):
            page = jobs[job]
            try:
                nb, times = job.result()
            except PageError as error:
                failed.append(page)
                print(f"FAILED {error}", file=sys.stderr, flush=True)
                continue
            cache.cache_notebook_bundle(
                CacheBundleIn(nb, str(source(page, root)), data=times), check_validity=False, overwrite=True
            )
            print(f"{page}: {times['execution_seconds']} s, {times['cpu_seconds']} s of CPU", flush=True)
            if args.pages:
                for cell in nb.cells:
                    for output in cell.get("outputs", []):
                        text = output.get("text") or output.get("data", {}).get("text/plain", "")
                        print("   ", text.rstrip().replace("\n", "\n    "))
    wall = time.perf_counter() - start
    print(f"{len(todo) - len(failed)} pages executed in {wall:.0f} s, {len(failed)} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
