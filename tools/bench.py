"""Time the line on a copy of the tree (nothing here is touched) and weigh the pages; targets stand beside.

make bench            build from clean, rebuild unchanged, rebuild after a change of prose and of code
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

sys.path.insert(0, str(Path(__file__).resolve().parent))
import check_site
import execute

ROOT = execute.ROOT
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


def timed(tree: Path, target: str) -> float:
    start = time.perf_counter()
    done = subprocess.run(["make", target], cwd=tree, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"make {target} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
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
        clean = timed(tree, "book")
        own = {page: execute.seconds(page, tree)["execution_seconds"] for page in execute.pages(tree)}
        total = sum(own.values())
        limit = 1.25 * total / 2 + 60
        rows.append(("sum of the pages' own times", f"{total:.0f} s", "each page < 60 s"))
        rows.append(
            ("slowest page", f"{max(own.values()):.0f} s ({max(own, key=lambda p: own[p])})", "< 60 s")
        )
        rows.append(("clean build", f"{clean:.0f} s", f"< {limit:.0f} s = 1.25 × sum / 2 + 60"))
        rows.append(("clean build / (sum / 2)", f"{clean / (total / 2):.2f}", ""))
        rows.append(("nothing changed", f"{timed(tree, 'book'):.0f} s", "< 20 s"))
        source = execute.source(PAGE, tree)
        edit(source, "\n## ", "\nOne more sentence.\n\n## ")
        rows.append(("one page's prose changed", f"{timed(tree, 'book'):.0f} s", ""))
        code = re.search(r"```\{code-cell\} ipython3\n(?!:|---)", source.read_text(encoding="utf-8"))
        assert code, f"{source} has no plain code cell"
        edit(source, code[0], code[0] + "# one more comment\n")
        rows.append(
            (
                "one page's code changed",
                f"{timed(tree, 'book'):.0f} s",
                f"< {own[PAGE] + 20:.0f} s = own + 20",
            )
        )
        site = check_site.Site(tree / "_build" / "html")
        weights = {site.name(p): sum(check_site.weight(f) for f in site.files(p)) for p in site.pages}
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
