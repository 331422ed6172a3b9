"""Replay the notebooks as Colab would: only its packages, and ours fetched by the notebooks' own setup cell.

    python -m tools.replay                      every notebook
    python -m tools.replay objectives/density   that one

A virtual environment with what Colab has of our needs is made once per set of pins. Into it goes the package
as the setup cell of the notebooks installs it, with nothing but the address replaced: by a repository made of
the files as they lie here. pip must change nothing else. An assignment is run there as a student would,
untouched and solved; then nbval compares every output of the notebooks (tools/tolerance.py).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

from classroom import assign
from classroom.bank import read_bank
from tools.pages import ROOT, committed

COLAB_HAS = ("torch", "numpy", "scipy", "scikit-learn", "matplotlib", "tqdm", "ipykernel")
TESTS_NEED = ("pytest", "pytest-xdist", "nbval")
SECONDS = 10.0  # what the setup cell may take
INSTALL = re.compile(r'%pip install [^\n]*"genkit-book @ git\+(?P<address>[^"\s]+)@(?P<branch>[^"@\s]+)"')

# Runs a cell twice as a kernel would, with a module google.colab, and says how long each took, wall and CPU.
RUN_CELL = """
import resource, sys, time, types
from IPython.core.interactiveshell import InteractiveShell
sys.modules["google.colab"] = types.ModuleType("google.colab")
shell = InteractiveShell.instance()
source = open(sys.argv[1], encoding="utf-8").read()
for _ in range(2):
    start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    shell.run_cell(source).raise_error()
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    print(f"took {time.perf_counter() - start:.2f} {abs(cpu):.2f}")  # a rounded -0.00 is 0.00
import genkit
print("at " + genkit.__file__)
"""


def pins(root: Path = ROOT) -> list[str]:
    """The lines of requirements.txt for what Colab has, and for the tests."""
    lines = (root / "requirements.txt").read_text(encoding="utf-8").split("\n")
    found = {line.split("==")[0].strip().lower(): line.strip() for line in lines if "==" in line}
    if missing := [name for name in COLAB_HAS + TESTS_NEED if name not in found]:
        raise SystemExit(f"requirements.txt: no pin for {', '.join(missing)}")
    return [found[name] for name in COLAB_HAS + TESTS_NEED]


def environment() -> dict[str, str]:
    """Variables for a process that shall see nothing of this folder or of another environment."""
    drop = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTEST_ADDOPTS")
    kept = {key: value for key, value in os.environ.items() if key not in drop}
    return {
        **kept,
        "PIP_REQUIRE_VIRTUALENV": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "OMP_NUM_THREADS": "1",
        "GENKIT_BOOK": "1",
    }


def run(*words: str | Path, cwd: Path = ROOT) -> str:
    """What a command prints; SystemExit with all it said if it fails."""
    done = subprocess.run([str(w) for w in words], cwd=cwd, env=environment(), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}")
    return done.stdout


def make_environment(root: Path = ROOT) -> Path:
    """The Python of an environment with Colab's packages and ours not in it; made if it is not there."""
    wanted = pins(root)
    constraints = (root / "constraints.txt").read_bytes()
    key = hashlib.sha256("\n".join([sys.version, *wanted]).encode() + constraints).hexdigest()[:16]
    home = root / "_build" / ".colab" / key
    python, done = home / "bin" / "python", home / ".complete"
    if not done.is_file():
        shutil.rmtree(home.parent, ignore_errors=True)
        run(sys.executable, "-m", "venv", home)
        run(python, "-m", "pip", "install", "-q", *wanted, "-c", root / "constraints.txt")
        done.touch()
    run(python, "-m", "pip", "uninstall", "-q", "-y", "genkit-book")
    return python


def repository(folder: Path, branch: str, root: Path = ROOT) -> Path:
    """A git repository of one commit that holds the files of `root` as they are now, committed or not."""
    target = folder / "repository"
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=root)
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file():  # a file that was deleted is still listed
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "core.hooksPath=/dev/null")
    run("git", "init", "-q", "-b", branch, cwd=target)
    run("git", "add", "-A", "-f", cwd=target)
    run("git", *identity, "commit", "-q", "-m", "The files as they are", cwd=target)
    return target


def setup_cell(notebooks: list[Path]) -> tuple[str, str, str]:
    """(source of the setup cell, repository address, branch); SystemExit unless all notebooks agree."""
    found: dict[str, Path] = {}
    for path in notebooks:
        cells = nbformat.read(path, as_version=4).cells
        code = [cell for cell in cells if cell.cell_type == "code"]
        if not code or "setup" not in code[0].metadata.get("tags", []):
            raise SystemExit(f"{path}: the first code cell is not the setup cell")
        found.setdefault(code[0].source, path)
    if len(found) != 1:
        raise SystemExit(f"setup cells differ: {', '.join(map(str, found.values()))}")
    source = next(iter(found))
    line = INSTALL.search(source)
    if not line or "--no-deps" not in line[0]:
        raise SystemExit(
            f"the setup cell has no line '%pip install --no-deps \"genkit-book @ git+...\"':\n{source}"
        )
    return source, line["address"], line["branch"]


def install(python: Path, source: str, address: str, local: Path, folder: Path) -> tuple[float, float]:
    """Run the setup cell twice, as in Colab: wall and CPU seconds. The second run must do nothing."""
    before = set(run(python, "-m", "pip", "freeze").split("\n"))
    cell, script = folder / "cell.py", folder / "run.py"
    cell.write_text(source.replace(address, f"file://localhost{local}"), encoding="utf-8")
    script.write_text(RUN_CELL, encoding="utf-8")
    said = run(python, script, cell, cwd=folder)
    first, again = ((float(t), float(cpu)) for t, cpu in re.findall(r"^took ([\d.]+) ([\d.]+)$", said, re.M))
    where = re.search(r"^at (.+)$", said, re.M)
    if where is None or not Path(where[1]).is_relative_to(python.parent.parent):
        raise SystemExit(f"the setup cell installed nothing:\n{said}")
    if again[1] > 0.1:  # it started a process
        raise SystemExit(f"the setup cell does something although genkit is there:\n{said}")
    after = set(run(python, "-m", "pip", "freeze").split("\n"))
    changed = sorted(line for line in before ^ after if not line.startswith("genkit-book @ "))
    if changed:
        raise SystemExit(f"the setup cell changed more than genkit-book: {', '.join(changed)}")
    return first


def student(python: Path, folder: Path) -> int:
    """Hand out an assignment, run it untouched and solved, as a student would; how many exercises it has.

    Raises
    ------
    SystemExit
        A cell stops, or a self-check does not say what it should.
    """
    masters = read_bank(ROOT / "exercises")
    ids = [next(e.id for e in master.exercises if not e.written) for master in masters]
    given = assign.choose(masters, ids, "homework")
    numbers = assign.numbers_for(given, None)
    notebook = assign.student_notebook(given, numbers, "", masters)
    solutions = {e.id: e.solution for _, e in given.chosen}
    for solved, wanted in ((False, "not attempted"), (True, "passes its checks")):
        cells = []
        for cell in (one for one in notebook.cells if one.cell_type == "code"):
            ex = cell.metadata.get("ex", {})
            cells.append(solutions[ex["id"]] if solved and ex.get("role") == "answer" else cell.source)
        script = folder / "homework.py"
        script.write_text("\n\n".join(cells), encoding="utf-8")
        said = run(python, script, cwd=folder)
        if said.count(wanted) != len(ids):
            raise SystemExit(f"of {len(ids)} self-checks {said.count(wanted)} say {wanted!r}:\n{said}")
    return len(ids)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="such as objectives/density; all if none")
    args = parser.parse_args(argv)
    chosen = [committed(page) for page in args.pages] or sorted((ROOT / "notebooks").rglob("*.ipynb"))
    if missing := [str(path) for path in chosen if not path.is_file()]:
        raise SystemExit(f"there is no {', '.join(missing)}")
    if not chosen:
        raise SystemExit("there are no notebooks: say make book")
    source, address, branch = setup_cell(chosen)
    python = make_environment()
    with tempfile.TemporaryDirectory(prefix="colab-") as scratch:
        local = repository(Path(scratch), branch)
        wall, cpu = install(python, source, address, local, Path(scratch))
        print(f"setup cell: {wall:.1f} s ({cpu:.1f} s of CPU)", flush=True)
        print(
            f"an assignment of {student(python, Path(scratch))} exercises runs, untouched and solved",
            flush=True,
        )
    busy = os.getloadavg()[0] > (os.cpu_count() or 1)  # then others' work is in the wall time
    if (cpu if busy else wall) > SECONDS:
        print(f"the setup cell takes more than {SECONDS:.0f} s", file=sys.stderr)
        return 1
    words = "-m pytest -p tools.tolerance --nbval -n 2 --dist loadfile --nbval-cell-timeout 300".split()
    return subprocess.run([python, *words, *chosen], cwd=ROOT, env=environment()).returncode


if __name__ == "__main__":
    sys.exit(main())
