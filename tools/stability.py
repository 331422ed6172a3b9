"""Rerun the claims of pages under other splits of the digits and other seeds, and print what does not hold.

    python -m tools.stability                         every page
    python -m tools.stability objectives/density        that page
    python -m tools.stability --splits 3 --seeds 0      three other splits, no other seeds

A page's cells run one after another in a process without a kernel. Another split draws the stratified parts
of the digits anew; another seed shifts every seed of the page, whoever draws (torch, NumPy, Python). A claim
that says `depends_on="split"` is expected to need the book's own split, and is listed apart. Printed are also
numbers that the prose quotes from a claim with one bound only, or with bounds much wider than what was seen.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tools import pages
from tools.pages import ROOT

WIDE = 3  # bounds this many times wider than what was seen pin nothing


def shift_seeds(by: int) -> None:
    """Make every seed that a page sets another one."""
    import random

    import numpy as np
    import torch

    class Generator(torch.Generator):
        def manual_seed(self, seed: int) -> Any:
            return super().manual_seed(seed + by)

    plain_torch, plain_numpy, plain_rng = torch.manual_seed, np.random.seed, np.random.default_rng
    plain_python = random.seed
    torch.Generator = Generator  # type: ignore[misc]
    torch.manual_seed = lambda seed: plain_torch(seed + by)  # type: ignore[assignment, misc]
    np.random.seed = lambda seed: plain_numpy(seed + by)  # type: ignore[assignment, misc]
    np.random.default_rng = lambda seed=0: plain_rng(  # type: ignore[assignment]
        seed + by if isinstance(seed, (int, np.integer)) else seed
    )
    random.seed = lambda seed: plain_python(seed + by)  # type: ignore[assignment, misc]


def rerun(page: str, split: int, seed: int) -> dict[str, Any]:
    """Run a page in this process: what each claim measured, those that fail, and cells that raise."""
    import matplotlib

    matplotlib.use("Agg")
    import genkit.claims
    import genkit.data

    if split:
        genkit.data.SPLIT_KEY += split
    if seed:
        shift_seeds(1000 * seed)
    held: dict[str, Any] = {}
    plain = genkit.claims.claim

    def claim(id: str, statement: str, measured: Any, truth: Any = None, **how: Any) -> None:
        said = held.setdefault(id, {"measured": [], "failed": "", "depends_on": how.get("depends_on", "")})
        said["measured"] += genkit.claims._array("measured", measured).ravel().tolist()
        try:
            plain(id, statement, measured, truth, **how)
        except genkit.claims.ClaimError as error:
            said["failed"] = str(error)

    genkit.claims.claim = claim  # type: ignore[assignment]
    broken: list[str] = []
    space: dict[str, Any] = {"__name__": "__main__"}
    nb = pages.notebook(page)
    for number, cell in enumerate(nb.cells):
        if cell.cell_type != "code":
            continue
        where = pages.place(page, nb, number)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                exec(compile(cell.source, where, "exec"), space)
        except Exception as error:
            broken.append(f"{where}: {''.join(traceback.format_exception_only(error)).strip()}")
    return {"claims": held, "broken": broken}


def start(page: str, split: int, seed: int) -> dict[str, Any]:
    """`rerun` in a process and a scratch folder of its own."""
    with tempfile.TemporaryDirectory(prefix="page-") as scratch:
        command = [
            sys.executable,
            "-m",
            "tools.stability",
            "--one",
            page,
            str(split),
            str(seed),
            f"{scratch}/result.json",
        ]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True)
        if done.returncode:
            return {"claims": {}, "broken": [f"{page}: {done.stderr.strip()[-500:]}"]}
        return json.loads(Path(scratch, "result.json").read_text(encoding="utf-8"))


def quoted() -> set[str]:
    """Ids of the claims whose number some page's prose quotes."""
    found: set[str] = set()
    for path in (ROOT / pages.CHAPTERS).rglob("*.md"):
        found.update(re.findall(r"\{value\}`([a-z0-9-]+)", path.read_text(encoding="utf-8")))
    return found


def records(page: str) -> dict[str, dict[str, Any]]:
    """The claims' records of the page as it was last executed."""
    try:
        return pages.claims(pages.executed(page))
    except KeyError:
        return {}


def looseness(record: dict[str, Any], seen: list[float]) -> str:
    """Why the number of this claim is not pinned, though the prose quotes it; '' if it is."""
    if record["truth"] is None and None in (record["at_least"], record["at_most"]):
        return "held from one side only"
    if isinstance(record["measured"], list):
        return ""
    slack = record["tolerance"]
    low, high = (
        (record["at_least"] - slack, record["at_most"] + slack)
        if record["truth"] is None
        else (record["truth"] - slack, record["truth"] + slack)
    )
    spread = max(*seen, record["measured"]) - min(*seen, record["measured"])
    if high - low > WIDE * max(spread, 0.02 * abs(record["measured"])):
        return f"held within {low:.4g} to {high:.4g}, seen {min(seen):.4g} to {max(seen):.4g}"
    return ""


def report(page: str, runs: dict[str, dict[str, Any]], cited: set[str]) -> tuple[int, list[str]]:
    """Lines that say what fails and what is loose on a page, and the number of claims that fail unsaid."""
    lines, unsaid = [], 0
    ids = list(dict.fromkeys(id for run in runs.values() for id in run["claims"]))
    known = records(page)
    for id in ids:
        here = {name: run["claims"][id] for name, run in runs.items() if id in run["claims"]}
        failed = {name: said for name, said in here.items() if said["failed"]}
        if failed:
            needs = next(iter(here.values()))["depends_on"]
            expected = all(name.split()[0] in needs.split() for name in failed)
            unsaid += not expected
            mark = "needs the book's own" if expected else "FAILS under"
            lines.append(f"  {mark} {', '.join(failed)}: {next(iter(failed.values()))['failed']}")
        seen = [v for said in here.values() for v in said["measured"]]
        if id in cited and id in known and seen and (why := looseness(known[id], seen)):
            lines.append(f"  quoted, {why}: {id}")
    for name, run in runs.items():
        lines += [f"  CELL RAISES under {name}: {text}" for text in run["broken"]]
        unsaid += len(run["broken"])
    return unsaid, [f"{page}: {len(ids)} claims, {len(runs)} reruns, {unsaid} fail", *lines]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="such as objectives/density; all if none")
    parser.add_argument("--splits", type=int, default=4, help="how many other splits of the digits")
    parser.add_argument("--seeds", type=int, default=3, help="how many other seeds")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", GENKIT_BOOK="1", PYTHONHASHSEED="0", PYTHONPATH=str(ROOT))
    ways = {f"split {k}": (k, 0) for k in range(1, args.splits + 1)}
    ways |= {f"seed {k}": (0, k) for k in range(1, args.seeds + 1)}
    cited, fails = quoted(), 0
    with ThreadPoolExecutor(max(1, args.jobs)) as pool:
        jobs = {
            page: {name: pool.submit(start, page, *way) for name, way in ways.items()}
            for page in args.pages or pages.pages()
        }
        for page, runs in jobs.items():
            unsaid, lines = report(page, {name: job.result() for name, job in runs.items()}, cited)
            fails += unsaid
            print("\n".join(lines), flush=True)
    print(f"{fails} claims fail that do not say so")
    return 1 if fails else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        page, split, seed, out = sys.argv[2:6]
        Path(out).write_text(json.dumps(rerun(page, int(split), int(seed))), encoding="utf-8")
        sys.exit(0)
    sys.exit(main())
