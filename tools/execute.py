"""Execute the book's pages, two at a time; site and notebooks are made from what they put out.

    python -m tools.execute                      every page whose outputs are not known
    python -m tools.execute objectives/density   that page, with what it prints
    python -m tools.execute --force              run even pages whose outputs are known

A page that fails stops the line: the message names page, line and cause, and nothing of it is kept.
Pages that succeeded stay, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from tools import pages
from tools.pages import ROOT, PageError

CPU = "import time; print(time.process_time())"


def run(page: str, root: Path = ROOT, timeout: int = 300) -> tuple[nbformat.NotebookNode, dict[str, float]]:
    """Execute one page in a fresh kernel and a scratch folder: with outputs, and its seconds.

    Raises
    ------
    PageError
        A cell raises, writes to stderr or takes too long; the message names its line.
    """
    nb = pages.notebook(page, root)
    number = 0
    with tempfile.TemporaryDirectory(prefix="page-") as scratch:
        client = NotebookClient(
            nb, timeout=timeout, record_timing=False, resources={"metadata": {"path": scratch}}
        )
        start = time.perf_counter()
        try:
            with client.setup_kernel(stderr=subprocess.DEVNULL):  # a cell's stderr comes as output
                for number, cell in enumerate(list(nb.cells)):
                    client.execute_cell(cell, number)
                    noise = [o.text for o in cell.get("outputs", []) if o.get("name") == "stderr"]
                    if noise:
                        where = pages.place(page, nb, number)
                        raise PageError(f"{where}: wrote to stderr: {noise[0].strip()[:500]}")
                wall = time.perf_counter() - start
                nb.cells.append(nbformat.v4.new_code_cell(CPU))
                client.execute_cell(nb.cells[-1], len(nb.cells) - 1)
                cpu = float(nb.cells.pop().outputs[0].text)
        except CellExecutionError as error:
            cause = re.sub(r"\x1b\[[0-9;]*m", "", f"{error.ename}: {error.evalue}")
            raise PageError(f"{pages.place(page, nb, number)}: {cause}") from None
        except (CellTimeoutError, DeadKernelError) as error:
            what = f"{type(error).__name__} after {timeout} s"
            raise PageError(f"{pages.place(page, nb, number)}: {what}") from None
    return nb, {"wall": round(wall, 1), "cpu": round(cpu, 1)}


def known(page: str, root: Path) -> bool:
    """Whether the page's outputs are known as it stands."""
    try:
        pages.seconds(page, root)
    except KeyError:
        return False
    return True


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="such as objectives/density; all if none")
    parser.add_argument("--force", action="store_true", help="run even what is known")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    root = args.root.resolve()
    os.environ.update(OMP_NUM_THREADS="1", GENKIT_BOOK="1", PYTHONHASHSEED="0", PYTHONPATH=str(root))
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    chosen = args.pages or pages.pages(root)
    todo = [page for page in chosen if args.force or not known(page, root)]
    if args.pages:
        for page in set(chosen) - set(todo):
            print(f"{page}: unchanged, {pages.seconds(page, root)}")
    failed = []
    start = time.perf_counter()
    with ThreadPoolExecutor(max(1, args.jobs)) as pool:
        jobs = {pool.submit(run, page, root): page for page in todo}
        for job in as_completed(jobs):
            page = jobs[job]
            try:
                nb, seconds = job.result()
            except PageError as error:
                failed.append(page)
                print(f"FAILED {error}", file=sys.stderr, flush=True)
                continue
            pages.keep(page, [cell.outputs for cell in pages.code_cells(nb)], seconds, root)
            print(f"{page}: {seconds['wall']} s, {seconds['cpu']} s of CPU", flush=True)
            if args.pages:
                for cell in pages.code_cells(nb):
                    for output in cell.outputs:
                        text = output.get("text") or output.get("data", {}).get("text/plain", "")
                        print("   ", text.rstrip().replace("\n", "\n    "))
    wall = time.perf_counter() - start
    print(f"{len(todo) - len(failed)} pages executed in {wall:.0f} s, {len(failed)} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
