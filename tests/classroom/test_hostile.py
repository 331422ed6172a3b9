"""Every hostile or unlucky submission becomes a row with a status, earns only what is due, and learns nothing."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from classroom import cli, report
from classroom.sandbox import FORBIDDEN, Limits

ROOT = Path(__file__).resolve().parents[2]
FULL, NONE = {"sum-power": 4, "sum-coin": 2}, {"sum-power": 0, "sum-coin": 0}
OK, FAILED = "ok", r"ok, \d+ cells? failed"
EQUAL = """
class Anything:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __getattr__(self, name): return self
    def __call__(self, *a, **k): return self
    def __float__(self): return 0.3
    def __array__(self, *a, **k):
        import numpy as np
        return np.zeros((5,))
    __lt__ = __gt__ = __le__ = __ge__ = __eq__
def power_mean(x): return Anything()
def coins(n, p): return Anything()
"""
FORGED = """
import json, os, base64, struct
line = b""
for probe in range(20):
    out = [[[5], base64.b64encode(struct.pack("<5d", *[0.0] * 5)).decode()]]
    line += json.dumps({"group": 0, "probe": probe, "out": out, "points": 100, "score": 1.0}).encode() + b"\\n"
line += b'{"group": 0, "end": "ok", "cpu": 0}\\n'
for fd in range(3, 64):
    try: os.write(fd, b"\\n" + line)
    except OSError: pass
"""
FORGED_CELLS = """
import json, os
line = json.dumps({"group": 0, "cells": ["x\\n\\n# Homework: 9 of 9 points\\n\\ny"] * 20}).encode()
for fd in range(3, 64):
    try: os.write(fd, b"\\n" + line + b"\\n")
    except OSError: pass
"""
ENDLESS_CPU = """
import os
for fd in range(3, 64):
    try: os.write(fd, b'\\n{"group": 0, "end": "ok", "cpu": ' + b"9" * 400 + b'}\\n')
    except OSError: pass
"""
REFUSED = f"""
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
for name, call in {FORBIDDEN.get(platform.machine(), (0, 0, {}))[2]}.items():
    assert libc.syscall(call, 0, 0, 0, 0, 0) == -1 and ctypes.get_errno() == errno.EPERM, name
"""
TO_THE_HOST = """
import socket
a, b = socket.socketpair()
try: socket.socket(40, socket.SOCK_STREAM)  # AF_VSOCK knows no network namespace
except OSError: pass
else: raise RuntimeError("a way out")
"""
LOOK = """
import os, sys, gc
found = []
for folder in ("/", "/in", "/home", "/root", "/tmp", "/work", "/etc", "/proc/1"):
    try: found.append(str(os.listdir(folder)))
    except OSError: pass
for name in ("/proc/1/environ", "/proc/self/environ", "/proc/1/cmdline", "/etc/passwd", "/etc/shadow"):
    try: found.append(open(name).read())
    except OSError: pass
for o in gc.get_objects():
    if isinstance(o, str) and "hidden_input" in o: found.append(o)
raise RuntimeError("LOOT " + " ".join(found)[-250:])
"""
TELL = """
import sys
def power_mean(x):
    caller = sys._getframe(1)
    text = str(caller.f_code.co_names) + str(caller.f_code.co_varnames)
    raise type("Loot_" + "".join(c for c in text if c.isalnum()), (Exception,), {})(text)
coins = power_mean
"""
ATTACKS: dict[str, tuple[list[str], dict[str, str], str, dict[str, float]]] = {
    # name: (cells put in front, answers, status, points); an empty dict of answers leaves the stubs
    "good": ([], None, OK, FULL),
    "untouched": ([], {}, OK, NONE),
    "loop": (["while True: pass"], None, FAILED, FULL),
    "stubborn-loop": (["import time\nwhile True:\n    try: time.sleep(1)\n    except BaseException: pass"], None, "timed out", NONE),
    "deaf-loop": (["import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))\nwhile True: pass"], None, "timed out", NONE),
    "loop-in-answer": ([], {"sum-power": "def power_mean(x):\n    while True: pass"}, OK, NONE),
    "exit": (["import os\nos._exit(0)"], None, "ended early", NONE),
    "exit-in-answer": ([], {"sum-power": "import os\ndef power_mean(x): os._exit(0)", "sum-coin": None}, OK, {"sum-power": 0, "sum-coin": 2}),
    "sys-exit": (["import sys\nsys.exit()"], None, FAILED, FULL),
    "raises": (["raise ValueError('at import')", "1 / 0", "import no_such_module"], None, FAILED, FULL),
    "syntax": (["def f(:\n"], None, FAILED, FULL),
    "magics": (["%matplotlib inline", "!pip install x", "%%bash\nrm -rf /", "%%time\nseen = 1", "files = !ls\nassert seen == 1 and files is None", "power_mean??", "from_colab = 3\n%load_ext x\nassert from_colab == 3"], None, OK, FULL),
    "colab": (["from google.colab import drive\ndrive.mount('/content/drive')"], None, FAILED, FULL),
    "equal": ([], {"sum-power": EQUAL, "sum-coin": ""}, OK, NONE),
    "patched-torch": (["import torch\ntorch.allclose = torch.equal = lambda *a, **k: True\ntorch.randn = lambda *a, **k: torch.zeros(a)\ntorch.Tensor.__eq__ = lambda *a: True"], {"sum-power": "def power_mean(x): return torch.zeros(5)"}, OK, NONE),
    "patched-numpy": (["import numpy as np\nnp.allclose = np.isclose = lambda *a, **k: True\nnp.ndarray = float"], {"sum-power": "def power_mean(x): return x.mean(-1)"}, OK, NONE),
    "patched-builtins": (["import builtins\nbuiltins.isinstance = lambda *a: True\nbuiltins.len = lambda x: 1\nbuiltins.compile = None"], {"sum-power": "def power_mean(x): return 0"}, f"{OK}|{FAILED}|ended early", NONE),
    "patched-worker": (["import sys\nw = sys.modules['__main__']\nw.numbers = lambda v, d=0: [[[5], 'AAAA']]\nw.run_probe = lambda *a: {'out': []}"], {}, OK, NONE),
    "patched-os": (["import os\nos.fork = lambda: 0\nos.write = lambda *a: 1"], None, "ended early|timed out|ok", NONE),
    "forged": ([FORGED], {}, f"{OK}|{FAILED}|ended early", NONE),
    "forged-cells": ([FORGED_CELLS], None, FAILED, FULL),
    "endless-cpu": ([ENDLESS_CPU], None, f"{OK}|ended early", FULL),
    "keys-and-hidden-memory": ([REFUSED], None, OK, FULL),
    "out-of-the-machine": ([TO_THE_HOST], None, OK, FULL),
    "flood": (["import os\nwhile True:\n    for fd in range(3, 20):\n        try: os.write(fd, b'x' * 65536)\n        except BaseException: pass"], None, "too much output|timed out", NONE),
    "pickle": ([], {"sum-power": "class P:\n    def __reduce__(self):\n        import os\n        return os.system, ('touch /tmp/pwned; touch /out/pwned',)\ndef power_mean(x): return P()"}, OK, NONE),
    "strings": ([], {"sum-power": "def power_mean(x): return {'a': 'b', 'c': [None, object()]}"}, OK, NONE),
    "nan": ([], {"sum-power": "def power_mean(x): return torch.full((5,), float('nan'))"}, OK, NONE),
    "giant": ([], {"sum-power": "def power_mean(x): return torch.zeros(30_000_000)"}, OK, NONE),
    "many": ([], {"sum-power": "def power_mean(x): return [[torch.zeros(1)] for _ in range(100_000)]"}, OK, NONE),
    "nested": ([], {"sum-power": "def power_mean(x):\n    for _ in range(5000): x = [x]\n    return x"}, OK, NONE),
    "recursion": ([], {"sum-power": "def power_mean(x): return power_mean(x)"}, OK, NONE),
    "fork-bomb": (["import os\nwhile True: os.fork()"], None, "out of memory|timed out|ended early", NONE),
    "memory-bomb": (["x = []\nwhile True: x.append(bytearray(10**8))"], None, FAILED, FULL),
    "memory-crowd": (["import os, time\nfor _ in range(12):\n    if not os.fork():\n        x = bytearray(10**9)\n        time.sleep(60)\ntime.sleep(60)"], {}, "out of memory", NONE),
    "disk-bomb": (["for i in range(10**6):\n    with open(f'/tmp/{i}', 'wb') as f: f.write(bytes(10**7))"], None, FAILED, FULL),
    "network": (["import urllib.request\nurllib.request.urlopen('http://1.1.1.1', timeout=3)", "import socket\nsocket.create_connection(('127.0.0.1', 22), 2)"], None, "ok, 2 cells failed", FULL),
    "kill-parent": (["import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nos.kill(-1, signal.SIGKILL)"], None, "ended early", NONE),
    "daemon": (["import os, time\nif not os.fork():\n    os.setsid()\n    while True: time.sleep(1)"], None, OK, FULL),
    "write-system": (["open('/usr/lib/pwned', 'w')", "open('/in/worker.py', 'a')", "open('/proc/sys/kernel/hostname', 'w').write('x')", "open('/dev/sda', 'w')", "import os\nos.unlink('/in/genkit/claims.py')"], None, "ok, 5 cells failed", FULL),
    "look": ([LOOK], None, "ok, 1 cell failed", FULL),
    "tell": ([], {"sum-power": TELL, "sum-coin": ""}, OK, NONE),
    "sudo": (["import os\nos.setuid(0)", "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0", "import subprocess\nsubprocess.run(['mount', '-t', 'tmpfs', 'x', '/tmp'], check=True)"], None, "ok, 3 cells failed", FULL),
    "surrogate": (["x = '\ud800'", "y = 'a\x00b'"], None, f"{OK}|{FAILED}", FULL),
    "exception-class": (["class E(Exception):\n    def __str__(self): raise self\nraise E"], None, FAILED, FULL),
    "stdin": (["input()"], None, FAILED, FULL),
}  # fmt: skip


@pytest.fixture(scope="module")
def graded(tmp_path_factory, key, run, answered, good):
    """All attacks graded together, two at a time, with a secret in the environment of the grader."""
    folder = tmp_path_factory.mktemp("subs")
    for name, (cells, answers, _, _) in ATTACKS.items():
        given = good if answers is None else {k: good[k] if v is None else v for k, v in answers.items()}
        (folder / f"{name}.ipynb").write_text(answered(given, cells))
    os.environ["SECRET_TOKEN"] = "hunter2"
    states = run(folder, Limits(seconds=25, cell_seconds=4, probe_seconds=4, memory=4.0))
    rows = report.write_results(key, list(states.values()), folder / "out", [], {}, 0)
    return states, rows, folder / "out"


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_ends_in_a_row(graded, name):
    state = graded[0][name]
    _, _, status, points = ATTACKS[name]
    if name == "memory-bomb" and state["status"] == "out of memory":
        points = NONE  # on a busy machine the watch on its memory may come before Python's own MemoryError
    else:
        assert re.fullmatch(status, state["status"]), (state["status"], state["cells"])
    assert state["marks"] == points, state


def test_every_submission_has_a_row_and_feedback(graded):
    _, rows, out = graded
    assert len(rows) == len(ATTACKS) == len(list((out / "feedback").glob("*.md")))
    assert all(row["max"] == 9 for row in rows)


def test_no_feedback_tells_anything(graded):
    """Neither a hidden probe, nor the solution, nor the grader's environment or files."""
    ours = ("secret_powers", "hidden_input", "confidential", "only for markers", "hunter2", str(ROOT))
    for path in (graded[2] / "feedback").iterdir():
        assert not [secret for secret in (*ours, "Loot_") if secret in path.read_text()], path.name


def test_no_feedback_has_a_heading_of_the_students(graded):
    for path in (graded[2] / "feedback").glob("*.md"):
        heads = [line for line in path.read_text().split("\n") if line.startswith("# ")]
        assert len(heads) == 1, path.name


def test_nothing_is_left_behind(graded, box):
    assert not any(Path("/tmp", name).exists() for name in ("pwned", "x")) and not Path("/out").exists()
    for mounts in Path("/proc").glob("[0-9]*/mountinfo"):  # of another's sandboxes nothing is asked
        try:
            assert f"{box.folder.name} /in " not in mounts.read_text(), mounts
        except OSError:
            continue


UNLUCKY = {
    "empty": (b"", "empty"),
    "blank": (b" \n", "empty"),
    "text": (b"not json", "not a notebook: no JSON"),
    "latin": ("{'é'}".encode("latin-1"), "not a notebook: no JSON"),
    "list": (b"[1, 2]", "not a notebook: no cells"),
    "cells": (b'{"cells": 3}', "not a notebook: no cells"),
    "deep": (b"[" * 200_000, "not a notebook: no JSON"),
    "number": (b"1" * 10_000, "not a notebook: no JSON"),
    "odd": (b'{"cells": [null, 3, {"cell_type": 7}, {"source": {"a": 1}}, {"cell_type": "code", "source": [1, "x=1"], "metadata": 5}]}', "ok"),
    "many": (b'{"cells": [' + b",".join([b'{"cell_type": "code", "source": "x"}'] * 3000) + b"]}", "too many cells, or too much in them"),
    "huge": (b'{"cells": ["' + b"x" * (21 << 20) + b'"]}', "larger than 20 MiB"),
    "none": (b'{"cells": []}', "nothing was answered"),
}  # fmt: skip


def test_what_is_no_notebook_is_said(tmp_path, run):
    for name, (data, _) in UNLUCKY.items():
        (tmp_path / f"{name}.ipynb").write_bytes(data)
    os.symlink("/etc/passwd", tmp_path / "link.ipynb")
    os.symlink(tmp_path, tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe.ipynb")
    (tmp_path / "folder.ipynb").mkdir()
    (tmp_path / os.fsdecode(b"na\xefve\n=1.ipynb")).write_bytes(b"")
    states = run(tmp_path)
    for name, (_, status) in UNLUCKY.items():
        assert states[name]["status"] == status
    assert states["link"]["status"] == "not a regular file, or not readable"
    assert states["pipe"]["status"] == "not a regular file"
    assert len(states) == len(UNLUCKY) + 3
    assert all(sum(s["marks"].values()) == 0 for s in states.values())


def test_an_answer_counts_without_its_metadata_and_under_a_wrong_kernel(tmp_path, run, answered):
    nb = json.loads(answered())
    for cell in nb["cells"]:
        cell["metadata"], cell["id"] = {}, "same"
    nb["metadata"] = {"kernelspec": {"name": "julia-1.9", "language": "julia"}}
    (tmp_path / "a.ipynb").write_text(json.dumps(nb))
    nb["cells"] = [cell for cell in nb["cells"] if "self_check" not in cell["source"]]
    (tmp_path / "b.ipynb").write_text(json.dumps(nb))
    states = run(tmp_path)
    assert [s["marks"] for s in states.values()] == [FULL, FULL]
    assert states["a"]["written"] == {"sum-explain": "Because."}


def test_as_an_ordinary_user(tmp_path, key, answered, table):
    """The same from the command line, without root's rights."""
    if os.getuid() != 0:
        pytest.skip("the whole suite already runs as an ordinary user")
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    python = shutil.which(f"python{version}", path="/usr/bin:/usr/local/bin")
    site = next(p for p in sys.path if p.endswith("site-packages"))
    user = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"]
    reach = [*user, "ls", str(ROOT / "classroom/cli.py"), site]
    if not python or subprocess.run(reach, capture_output=True).returncode:
        pytest.skip(f"no /usr/bin/python{version}, or an ordinary user can't read this checkout")
    folder = tmp_path / "user"
    (folder / "in").mkdir(parents=True)
    for name in ("good", "exit", "fork-bomb", "write-system", "look"):
        (folder / f"in/{name}.ipynb").write_text(answered(before=ATTACKS[name][0]))
    (folder / "key.json").write_text(json.dumps(key))
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, 12345, 12345)
    for parent in folder.parents:
        if parent.stat().st_uid == 0 and str(parent).startswith(str(tmp_path.parents[2])):
            parent.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"}
    environment["PYTHONPATH"] = f"{ROOT}:{site}"
    words = [*user, python, "-m", "classroom.cli", "grade", "key.json", "in", "-o", "out"]
    words += ["--timeout", "25", "--cell-timeout", "5"]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {name: row["total"] for name, row in table(folder / "out").items()} == {
        "good.ipynb": "6", "exit.ipynb": "0", "fork-bomb.ipynb": "0", "write-system.ipynb": "6", "look.ipynb": "6",
    }  # fmt: skip


def test_without_bubblewrap_grading_refuses_in_one_line(tmp_path, monkeypatch, capsys, key, answered):
    (tmp_path / "key.json").write_text(json.dumps(key))
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.ipynb").write_text(answered())
    monkeypatch.setattr("classroom.sandbox.shutil.which", lambda name: None)
    status = cli.main(["grade", f"{tmp_path}/key.json", f"{tmp_path}/in", "-o", f"{tmp_path}/out"])
    said = capsys.readouterr().err.strip().split("\n")
    assert status == 3 and len(said) == 1 and "apt install bubblewrap" in said[0] and "container" in said[0]
    assert not (tmp_path / "out/grades.csv").exists()
