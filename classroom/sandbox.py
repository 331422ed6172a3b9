"""Run code that nobody has read: bubblewrap around `worker.py`, and a watch from outside.

In the sandbox there are the system's `/usr`, the interpreter, the installed packages and `genkit`, all
read-only; a small folder in memory to write to; no network, no capabilities, no keyring, no other process, no
home. Memory, processes, files, time and output are bounded. Nothing of the host can be written at all:
results come through a pipe, as JSON, and are numbers or they are nothing. Run as root, it becomes an
unprivileged user first, since bubblewrap under real root leaves ``/proc/sys`` writable. Without bubblewrap
there is no grading.
"""

from __future__ import annotations

import base64
import binascii
import importlib.util
import json
import math
import os
import platform
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

NOBODY = 65534
PACKAGES = ("torch", "numpy", "scipy", "sklearn", "matplotlib", "tqdm")
MOST_OUTPUT = 32 << 20
INSTALL = (
    "on Debian or Ubuntu: apt install bubblewrap; elsewhere run the grading in a Linux container that has it"
)


# Calls that bubblewrap's namespaces let through: the keys of whoever grades, and memory that is nobody's.
FORBIDDEN = {  # machine: (its number in seccomp, that of socket, numbers of the calls)
    "x86_64": (0xC000003E, 41, {"add_key": 248, "request_key": 249, "keyctl": 250, "shmget": 29,
                                "semget": 64, "msgget": 68, "memfd_create": 319, "memfd_secret": 447}),
    "aarch64": (0xC00000B7, 198, {"add_key": 217, "request_key": 218, "keyctl": 219, "shmget": 194,
                                  "semget": 190, "msgget": 186, "memfd_create": 279, "memfd_secret": 447}),
}  # fmt: skip
SOCKETS = 16  # families up to AF_NETLINK live in a namespace; AF_VSOCK leads out of a virtual machine


def seccomp(machine: str) -> bytes:
    """A filter that refuses FORBIDDEN, other sockets and other architectures; empty for other machines."""
    if machine not in FORBIDDEN:
        return b""
    number, socket, calls = FORBIDDEN[machine]
    load, equal, above, end = 0x20, 0x15, 0x35, 0x06
    program = [(load, 0, 4), (equal, "other", number), (load, 0, 0), (above, "refuse", 0x40000000)]
    program += [(equal, "refuse", call) for call in calls.values()]
    program += [(equal, "allow", socket), (load, 0, 16), (above, "refuse", SOCKETS + 1)]
    program += [(end, 0, 0x7FFF0000), (end, 0, 0x00050001)]  # allow; EPERM
    allow, refuse = len(program) - 2, len(program) - 1
    lines = []
    for at, (code, to, value) in enumerate(program, start=1):
        jumps = {"refuse": (refuse - at, 0), "allow": (0, allow - at), "other": (0, refuse - at), 0: (0, 0)}
        lines.append(struct.pack("=HBBI", code, *jumps[to], value))
    return b"".join(lines)


class SandboxError(Exception):
    """There is no sandbox to be had here; the message is one line that says what to do."""


@dataclass(frozen=True)
class Limits:
    """What one submission may take."""

    seconds: float = 120.0  # wall time, everything
    cell_seconds: float = 30.0
    probe_seconds: float = 20.0
    memory: float = 4.0  # GiB
    processes: int = 64


@dataclass
class Outcome:
    """What came out of one group of cells."""

    status: str = "ended early"  # "ok" | "timed out" | "out of memory" | "too much output" | "ended early"
    cells: list[str | None] | None = None  # what each cell raised; None: nothing was heard of them
    answers: list[list[np.ndarray] | str] = field(default_factory=list)  # arrays, or why there are none


@dataclass
class Run:
    """One life of a sandbox."""

    outcomes: list[Outcome]
    seconds: float  # wall
    cpu: float  # user and system, as the worker tells it
    crowded: bool = False  # stopped because memory or processors ran short: perhaps another's fault


class Sandbox:
    """A place to run code in; found and tried when it is made.

    Raises
    ------
    SandboxError
        bubblewrap is missing or too old, may not make namespaces, or no interpreter can be read by the
        unprivileged user.
    """

    def __init__(self, python: str | None = None):
        self.bwrap = shutil.which("bwrap")
        if not self.bwrap:
            raise SandboxError(f"grading needs bubblewrap, which is not here; {INSTALL}")
        self.root = os.getuid() == 0
        self._folder = tempfile.TemporaryDirectory(prefix="genkit-book-")
        self._stage(Path(self._folder.name))
        self._try()
        self.python = self._interpreter(python)

    def _stage(self, folder: Path) -> None:
        """What goes in besides system and packages: the worker and genkit, nothing else of the book."""
        folder.chmod(0o755)
        shutil.copy(Path(__file__).with_name("worker.py"), folder / "worker.py")
        (folder / "seccomp").write_bytes(seccomp(platform.machine()))
        genkit = importlib.util.find_spec("genkit")
        if genkit and genkit.submodule_search_locations:
            shutil.copytree(genkit.submodule_search_locations[0], folder / "genkit",
                            ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        self.folder = folder
        homes = (importlib.util.find_spec(name) for name in PACKAGES)
        self.sites = list(dict.fromkeys(str(Path(s.origin).parents[1]) for s in homes if s and s.origin))

    def _drop(self) -> list[str]:
        """Become nobody before bubblewrap starts, if we are root."""
        who = str(NOBODY)
        words = ["setpriv", "--reuid", who, "--regid", who, "--clear-groups", "--no-new-privs"]
        return words if self.root else []

    def _frame(self) -> list[str]:
        """bubblewrap's options, apart from interpreter and packages."""
        return [
            *self._drop(), str(self.bwrap), "--unshare-all", "--unshare-user", "--disable-userns",
            "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv",
            "--ro-bind", "/usr", "/usr",
            *(word for name in ("bin", "sbin", "lib", "lib64") if Path("/", name).exists()
              for word in ("--symlink", f"usr/{name}", f"/{name}")),
            "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", "--proc", "/proc", "--dev", "/dev",
            "--size", str(64 << 20), "--tmpfs", "/dev/shm", "--remount-ro", "/dev",
            "--size", str(256 << 20), "--tmpfs", "/tmp", "--ro-bind", str(self.folder), "/in",
        ]  # fmt: skip

    def _start(self, words: list[str], **streams: Any) -> subprocess.Popen[bytes]:
        """Start bubblewrap with our filter of system calls, where there is one for this machine."""
        with open(self.folder / "seccomp", "rb") as file:
            options = ["--seccomp", str(file.fileno())] if os.fstat(file.fileno()).st_size else []
            words = [*self._frame(), *options, *words]
            return subprocess.Popen(words, pass_fds=[file.fileno()], start_new_session=True, **streams)

    def _try(self) -> None:
        words, pipe = ["--remount-ro", "/", "/usr/bin/env", "true"], subprocess.PIPE
        try:
            with self._start(words, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe) as process:
                try:
                    _, error_text = process.communicate(timeout=20)
                finally:
                    process.kill()
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SandboxError(f"bubblewrap does not start: {error}; {INSTALL}") from None
        if process.returncode:
            said = error_text.decode(errors="replace").strip().split("\n")[-1]
            if "disable-userns" in said:
                raise SandboxError(f"grading needs bubblewrap 0.8 or newer; {INSTALL}")
            raise SandboxError(f"bubblewrap may not work here ({said}); {INSTALL}")

    def _interpreter(self, wish: str | None) -> list[str]:
        """Words that start Python in the sandbox: the first interpreter that can import torch there."""
        here = f"{sys.version_info[0]}.{sys.version_info[1]}"
        own = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
        found = [wish] if wish else [own, f"/usr/bin/python{here}", f"/usr/local/bin/python{here}"]
        for python in dict.fromkeys(found):
            path = Path(os.path.realpath(python))
            if not path.is_file():
                continue
            prefix = [] if path.is_relative_to("/usr") else ["--ro-bind", *[str(path.parents[1])] * 2]
            self.shown = [Path("/usr"), *map(Path, prefix[1:2]), *map(Path, self.sites)]
            mounts = [w for i, site in enumerate(self.sites) for w in ("--ro-bind", site, f"/site{i}")]
            sites = ":".join(["/in", *(f"/site{i}" for i in range(len(self.sites)))])
            settings = {"HOME": "/tmp", "PATH": "/usr/bin", "LANG": "C.UTF-8", "PYTHONPATH": sites,
                        "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1",
                        "MPLBACKEND": "Agg"}  # fmt: skip
            words = [*prefix, *mounts, "--remount-ro", "/", "--chdir", "/tmp"]
            words += [w for name, value in settings.items() for w in ("--setenv", name, value)]
            self.python = [*words, "--", "PRLIMIT", str(path), "-s", "-P", "/in/worker.py"]
            if self.run([[]], [[]], Limits()).outcomes[0].status == "ok":
                return self.python
        tried = ", ".join(dict.fromkeys(str(p) for p in found))
        who = "the user nobody, whom root becomes for this," if self.root else "you"
        raise SandboxError(
            f"no Python {here} with torch can be run in the sandbox (tried {tried}): {who} must be able to "
            f"read the interpreter and {', '.join(self.sites)}; run as an ordinary user, or make an "
            f"environment with /usr/bin/python{here} in a readable place, or give --python"
        )

    def shows(self, path: Path) -> Path | None:
        """The folder of the host that the sandbox can read and that `path` lies in, if there is one."""
        return next((one for one in self.shown if path.resolve().is_relative_to(one.resolve())), None)

    def _command(self, limits: Limits) -> list[str]:
        bounds = ["/usr/bin/prlimit", f"--as={int(limits.memory * 2**30)}", f"--nproc={limits.processes}",
                  f"--fsize={32 << 20}", "--nofile=128", "--core=0",
                  f"--cpu={math.ceil(limits.seconds)}"]  # fmt: skip
        at = self.python.index("PRLIMIT")
        return [*self.python[:at], *bounds, *self.python[at + 1 :]]

    def run(
        self,
        groups: Sequence[list[str]],
        probes: Sequence[list[dict[str, Any]]],
        limits: Limits,
        seconds: float = 0,
    ) -> Run:
        """Run each group of cells, then its probes (setup, numbers, code, seed); what they do never raises.

        `seconds` bounds the whole when it is more than one group may take.
        """
        outcomes = [Outcome(answers=["no answer"] * len(wanted)) for wanted in probes]
        talk = _Talk(groups, probes, limits, outcomes)
        start = time.monotonic()
        end = start + (seconds or limits.seconds) + 5
        with self._start(self._command(limits), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL) as process:  # fmt: skip
            try:
                stopped, crowded = _converse(process, talk, end, limits.memory * 2**30)
            finally:  # stop it with all that it started
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        for outcome in outcomes:
            if stopped and outcome.status == "ended early":
                outcome.status = stopped
        took = time.monotonic() - start
        return Run(outcomes, took, talk.cpu, crowded or (talk.cpu < took / 2 and any(map(_late, outcomes))))


def _converse(process: Any, talk: _Talk, end: float, memory: float) -> tuple[str, bool]:
    """Talk to a worker until all is said, or it must be stopped: why, and whether another may be to blame."""
    source, sink, looked = process.stdout.fileno(), process.stdin.fileno(), 0.0
    for fd in (source, sink):
        os.set_blocking(fd, False)
    while not talk.over:
        readable, writable, _ = select.select([source], [sink] if talk.outbox else [], [], 0.1)
        if writable:
            talk.write(sink)
        if readable and not talk.read(source):
            talk.over = True
        now = time.monotonic()
        if now > end:
            return "timed out", False  # has no effect on a group that has ended
        if talk.received > MOST_OUTPUT:
            return "too much output", False
        if now - looked > 0.2:
            looked = now
            if _resident(process.pid) > memory:
                return "out of memory", False
            if _available() < 0.04:
                return "out of memory", True
    return "", False


def _late(outcome: Outcome) -> bool:
    """Whether anything in it ran out of time."""
    slow = any(said and said.startswith("took more than") for said in outcome.cells or [])
    return slow or outcome.status == "timed out" or "timed out" in outcome.answers


class _Talk:
    """The conversation with a worker, whom nothing is believed but numbers."""

    def __init__(self, groups: Any, probes: Any, limits: Limits, outcomes: list[Outcome]):
        self.probes, self.limits, self.outcomes = probes, limits, outcomes
        self.inbox, self.outbox, self.received, self.cpu = bytearray(), b"", 0, 0.0
        self.over = False
        self.sent: set[int] = set()
        self._say({"cells": groups, "cell_seconds": limits.cell_seconds, "group_seconds": limits.seconds})

    def _say(self, message: Any) -> None:
        data = json.dumps(message).encode()
        self.outbox += b"%d\n%s" % (len(data), data)

    def write(self, fd: int) -> None:
        try:
            self.outbox = self.outbox[os.write(fd, self.outbox[: 1 << 16]) :]
        except BlockingIOError:
            pass
        except OSError:  # nobody listens any more
            self.outbox = b""

    def read(self, fd: int) -> bool:
        """Take what is there; False at the end."""
        try:
            data = os.read(fd, 1 << 20)
        except BlockingIOError:
            return True
        self.received += len(data)
        *lines, rest = data.split(b"\n")
        for line in lines:
            if self.inbox or line:
                self._hear(bytes(self.inbox) + line)
            self.inbox.clear()
        self.inbox += rest
        return bool(data)

    def _hear(self, line: bytes) -> None:
        """One line: what is not exactly what it should be is dropped."""
        try:
            message = json.loads(line)
            group = message["group"]
            if type(group) is not int or not 0 <= group < len(self.outcomes):
                return
            outcome = self.outcomes[group]
            if "end" in message:
                if message["end"] in ("ok", "timed out", "ended early"):
                    silent = outcome.cells is None and message["end"] == "ok"
                    outcome.status = "ended early" if silent else message["end"]
                self.cpu = float(message["cpu"])
                self.over = group == len(self.outcomes) - 1
            elif "cells" in message and group not in self.sent:
                self.sent.add(group)
                outcome.cells = [None if e is None else str(e)[:300] for e in message["cells"][:5000]]
                self._say(
                    {"group": group, "probes": self.probes[group], "seconds": self.limits.probe_seconds}
                )
            elif "probe" in message and group in self.sent:
                probe = message["probe"]
                if (
                    type(probe) is int
                    and 0 <= probe < len(outcome.answers)
                    and outcome.answers[probe] == "no answer"
                ):
                    outcome.answers[probe] = _answer(message)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
            return


def _answer(message: dict[str, Any]) -> list[np.ndarray] | str:
    """A probe's answer as arrays, or the reason why there are none."""
    if "error" in message:
        return str(message["error"])[:60]
    arrays = []
    for shape, data in message["out"][:1000]:
        raw = base64.b64decode(data, validate=True)
        if len(shape) > 16 or not all(type(n) is int and 0 <= n <= 1 << 24 for n in shape):
            raise ValueError
        if math.prod(shape) * 8 != len(raw):
            raise binascii.Error
        arrays.append(np.frombuffer(raw, "<f8").reshape(shape))
    return cast(list[np.ndarray], arrays)


def _resident(root: int) -> int:
    """Bytes of memory of a process and all below it."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path("/proc", entry, "stat").read_bytes()
                parents[int(entry)] = int(stat[stat.rindex(b")") + 2 :].split()[1])
            except (OSError, ValueError):
                continue
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    total, todo = 0, [root]
    while todo:
        pid = todo.pop()
        todo += children.get(pid, [])
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            continue
    return total


def _available() -> float:
    """The share of the machine's memory that is still to be had."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) / int(lines["MemTotal"].split()[0])
