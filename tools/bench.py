"""Time the line on a copy of the tree (nothing here is touched) and weigh the pages; targets stand beside.

make bench            first build, build with all executed, unchanged, after a change of prose and of code
make bench FULL=1     the tests too
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

from tools import pages, site_check
from tools.pages import ROOT

PAGE = "objectives/density"


def copy_tree(to: Path) -> None:
    """The tracked and untracked files of the working tree, with this tree's installed packages."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True, capture_output=True
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, to / name)
    (to / ".venv").symlink_to(ROOT / ".venv")
    subprocess.run(["git", "init", "-q"], cwd=to, check=True)


def timed(tree: Path, *words: str) -> float:
    start = time.perf_counter()
    done = subprocess.run(["make", *words], cwd=tree, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"make {' '.join(words)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return time.perf_counter() - start


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def main() -> None:
    rows: list[tuple[str, str, str]] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        tree = Path(scratch)
        copy_tree(tree)
        first = timed(tree, "book")
        shutil.rmtree(tree / "_build")
        clean = timed(tree, "book", "FRESH=1")
        own = {page: pages.seconds(page, tree)["wall"] for page in pages.pages(tree)}
        total = sum(own.values())
        limit = 1.25 * total / 2 + 60
        rows.append(("sum of the pages' own times", f"{total:.0f} s", "each page < 60 s"))
        rows.append(
            ("slowest page", f"{max(own.values()):.0f} s ({max(own, key=lambda p: own[p])})", "< 60 s")
        )
        rows.append(("first build, outputs as committed", f"{first:.0f} s", "< 150 s"))
        rows.append(("everything executed", f"{clean:.0f} s", f"< {limit:.0f} s = 1.25 × sum / 2 + 60"))
        rows.append(("clean build / (sum / 2)", f"{clean / (total / 2):.2f}", ""))
        rows.append(("nothing changed", f"{timed(tree, 'book'):.0f} s", "< 15 s"))
        source = pages.source(PAGE, tree)
        edit(source, "\n## ", "\nOne more sentence.\n\n## ")
        rows.append(("one page's prose changed", f"{timed(tree, 'book'):.0f} s", ""))
        code = re.search(r"```\{code-cell\} ipython3\n(?!:|---)", source.read_text(encoding="utf-8"))
        assert code, f"{source} has no plain code cell"
        edit(source, code[0], code[0] + "one_more_name = 1\n")
        rows.append(
            (
                "one page's code changed",
                f"{timed(tree, 'book'):.0f} s",
                f"< {own[PAGE] + 20:.0f} s = own + 20",
            )
        )
        site = site_check.Site(tree / "_build" / "html")
        weights = {site.name(p): sum(site_check.weight(f) for f in site.files(p)) for p in site.pages}
        heaviest = max(weights, key=lambda p: weights[p])
        rows.append(("heaviest page", f"{weights[heaviest] / 1e6:.2f} MB ({heaviest})", "< 1.5 MB"))
        notebooks = [zlib.compress(p.read_bytes()) for p in (tree / "notebooks").rglob("*.ipynb")]
        rows.append(("notebooks, as git packs them", f"{sum(map(len, notebooks)) / 1e6:.2f} MB", "< 3 MB"))
        if os.environ.get("FULL"):
            rows.append(("every test, book built", f"{timed(tree, 'test'):.0f} s", ""))
    width = max(len(row[0]) for row in rows)
    for name, value, target in rows:
        print(f"{name:{width}}  {value:32}  {target}")


if __name__ == "__main__":
    main()
