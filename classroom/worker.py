"""What runs inside the sandbox: a student's cells, then the probes. Numbers go out; no answer ever comes in.

Each group of cells (a submission is one) runs in a process of its own, and each probe in a copy of that one,
so that what an answer breaks, it breaks for itself. The probes arrive after the cells have run and their
errors have been reported: nothing that a cell says can quote them.

    in    {"cells": [[source, ...], ...], "cell_seconds": s, "group_seconds": s}
    out   {"group": g, "cells": [null | "NameError: ...", ...]}
    in    {"group": g, "probes": [{"setup", "numbers", "code", "seed"}, ...], "seconds": s}
    out   {"group": g, "probe": i, "out": [[shape, base64 of float64], ...]} or {..., "error": "NameError"}
    out   {"group": g, "end": status, "cpu": seconds of this process and all that it waited for}

Messages in are preceded by their length, messages out are lines of JSON. This file imports nothing of the
book: it is copied into the sandbox alone.
"""

from __future__ import annotations

import ast
import base64
import inspect
import json
import linecache
import os
import random
import re
import select
import signal
import sys
import time
from contextlib import contextmanager
from types import CodeType, FrameType, ModuleType
from typing import Any, Iterator  # noqa: UP035

MOST_ARRAYS, MOST_BYTES, MOST_DEPTH = 1000, 8 << 20, 8
AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT  # as notebooks do
DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


class TooSlow(BaseException):
    """A cell or a probe took longer than it may."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TooSlow in what takes longer (unless it forbids the signal: then the sandbox is stopped)."""

    def ring(signum: int, frame: FrameType | None) -> None:
        raise TooSlow

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def python(source: str) -> str:
    """A notebook cell as plain Python: without magics, shell lines and questions to IPython."""
    body = re.match(r"\s*%%(time|timeit|capture)\b[^\n]*\n(.*)", source, re.S)
    if body:
        source = body[2]
    elif source.lstrip().startswith("%%"):
        return ""
    try:
        compile(source, "", "exec", AWAIT | ast.PyCF_ONLY_AST)
        return source
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    lines, goes_on = [], False  # whether the line before is a shell's and ends in a backslash
    for line in source.split("\n"):
        line = re.sub(r"^(\s*)%time\s+(?=\S)", r"\1", line)
        indent = line[: len(line) - len(line.lstrip())]
        plain = line
        if goes_on:
            plain = ""
        elif re.match(r"\s*([!?]|%{1,2}\w)|\s*[\w.]+\?{1,2}\s*$", line):
            plain = indent + "pass"
        elif found := re.match(r"\s*([\w., ]+?)\s*=\s*[!%]", line):
            plain = f"{indent}{found[1]} = None"
        goes_on = plain != line and line.rstrip().endswith("\\")
        lines.append(plain)
    return "\n".join(lines)


def execute(code: CodeType, space: dict[str, Any]) -> None:
    """Run it; what awaits at the top of a cell is awaited."""
    result = eval(code, space)
    if code.co_flags & inspect.CO_COROUTINE:
        import asyncio

        asyncio.run(result)


def run_cell(space: dict[str, Any], source: str, name: str, seconds: float) -> str | None:
    """Run one cell; what it raised, or None.

    If it stops half-way, what the rest of it imports and defines is made all the same: a package that is not
    here, or a try-out above the answer, costs no answer.
    """
    source = python(source)
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)  # for inspect.getsource
    try:
        with at_most(seconds):
            execute(compile(source, name, "exec", AWAIT), space)
        return None
    except BaseException as error:
        said = f"took more than {seconds:.3g} s" if isinstance(error, TooSlow) else told(error)
        trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename != name:
        trace = trace.tb_next
    if not trace:  # it could not be compiled
        return said
    try:
        with at_most(seconds):
            for node in ast.parse(source).body:
                if isinstance(node, DEFINES) and node.lineno > trace.tb_lineno:
                    try:
                        execute(compile(ast.Module([node], []), name, "exec"), space)
                    except Exception:
                        continue
    except BaseException:
        pass
    return said


def told(error: BaseException) -> str:
    """What an exception says, in one short line."""
    try:
        text = re.sub(r"<cell \d+>, (?=line)", "", f"{type(error).__name__}: {error}")  # our own numbering
    except BaseException:
        text = "an exception that can't be printed"
    return " ".join(text[:2000].split())[:300]


def numbers(value: Any, depth: int = 0) -> list[list[Any]]:
    """What a probe returned as [shape, base64 of float64] for each array in it.

    A list of single numbers is one array, whether they are Python's, NumPy's or tensors.
    """
    import numpy as np
    import torch

    def single(one: Any) -> bool:
        array = isinstance(one, (torch.Tensor, np.ndarray)) and not one.ndim
        return array or isinstance(one, (bool, int, float, np.generic))

    if isinstance(value, (list, tuple)) and all(map(single, value)):
        value = [one.item() if hasattr(one, "item") else one for one in value]
    elif isinstance(value, (list, tuple)):
        if depth >= MOST_DEPTH:
            raise ValueError("nested too deeply")
        out = []
        for one in value:
            out += numbers(one, depth + 1)
            if len(out) > MOST_ARRAYS:
                raise ValueError("too many arrays")
        return out
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().double().numpy()
    if isinstance(value, (bool, int, float, list, tuple, np.ndarray, np.generic)):
        array = np.ascontiguousarray(np.asarray(value), dtype="<f8")
        if array.nbytes > MOST_BYTES:
            raise ValueError("too large")
        return [[list(np.shape(value)), base64.b64encode(array.tobytes()).decode()]]
    raise TypeError("not numbers")


class Wire:
    """Messages in and out, over the two file descriptors that the worker was started with."""

    def __init__(self) -> None:
        self.source, self.sink = os.dup(0), os.dup(1)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)

    def receive(self) -> dict[str, Any]:
        length = b""
        while not length.endswith(b"\n"):
            length += os.read(self.source, 1) or leave()
        data, want = b"", int(length)
        while len(data) < want:
            data += os.read(self.source, want - len(data)) or leave()
        return json.loads(data)

    def send(self, message: dict[str, Any]) -> None:
        write_all(self.sink, b"\n" + json.dumps(message).encode() + b"\n")


def leave() -> bytes:
    os._exit(3)


def write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def run_probe(space: dict[str, Any], probe: dict[str, Any]) -> dict[str, Any]:
    """In a process of its own: what the probe returns, as numbers."""
    import numpy as np
    import torch

    try:
        scope = dict(space)
        exec(compile(probe["setup"], "<setup>", "exec"), scope)
        space.update(probe["numbers"])
        scope.update(probe["numbers"])
        exec(compile(probe["code"], "<probe>", "exec"), scope)
        random.seed(probe["seed"])
        np.random.seed(probe["seed"] % 2**32)
        torch.manual_seed(probe["seed"])
        out = scope["probe"](probe["seed"])
        try:
            return {"out": numbers(out)}
        except Exception:
            return {"error": "returned None" if out is None else "returned something else than numbers"}
    except TooSlow:
        return {"error": "timed out"}
    except BaseException as error:
        return {"error": type(error).__name__}


def apart(space: dict[str, Any], probe: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Fork, run the probe there and bring back its answer, or say why there is none."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(read)
        answer = {"error": "timed out"}
        try:
            with at_most(seconds):
                answer = run_probe(space, probe)
        except TooSlow:
            pass
        write_all(write, json.dumps(answer).encode())
        os._exit(0)
    os.close(write)
    data, end = b"", time.monotonic() + seconds + 1
    while len(data) < 4 * MOST_BYTES and (left := end - time.monotonic()) > 0:
        if not select.select([read], [], [], left)[0]:
            continue
        if not (more := os.read(read, 1 << 16)):
            break
        data += more
    os.close(read)
    if time.monotonic() >= end:
        os.kill(pid, signal.SIGKILL)
        data = b'{"error": "timed out"}'
    os.waitpid(pid, 0)
    try:
        return json.loads(data)
    except ValueError:
        return {"error": "ended without an answer"}


def plain_bars() -> None:
    """tqdm.notebook without the widgets that it needs in a browser."""
    try:
        import tqdm
    except ImportError:
        return
    tqdm.notebook = sys.modules["tqdm.notebook"] = tqdm


def run_group(wire: Wire, number: int, cells: list[str], cell_seconds: float, group_seconds: float) -> None:
    """One submission: its cells, in half of its time at most, then its probes.

    Once that half is spent, a second is left to each cell: long experiments cost no answer below them.
    """
    end = time.monotonic() + group_seconds / 2
    plain_bars()
    main = sys.modules["__main__"] = ModuleType("__main__")  # where pickle looks for their classes
    space = main.__dict__
    space["display"] = lambda *a, **k: None
    errors: list[str | None] = []
    for number_of_cell, source in enumerate(cells, start=1):
        seconds = min(cell_seconds, max(end - time.monotonic(), 1))
        errors.append(run_cell(space, source, f"<cell {number_of_cell}>", seconds))
    wire.send({"group": number, "cells": errors})
    job = wire.receive()
    while job.get("group") != number:
        job = wire.receive()
    for i, probe in enumerate(job["probes"]):
        wire.send({"group": number, "probe": i, **apart(space, probe, job["seconds"])})


def main() -> None:
    wire = Wire()
    import torch

    torch.set_num_threads(1)
    job = wire.receive()
    for number, cells in enumerate(job["cells"]):
        pid = os.fork()
        if not pid:
            os.setpgid(0, 0)
            run_group(wire, number, cells, job["cell_seconds"], job["group_seconds"])
            os._exit(0)
        end = time.monotonic() + job["group_seconds"]
        done, status = os.waitpid(pid, os.WNOHANG)
        while not done and time.monotonic() < end:
            time.sleep(0.02)
            done, status = os.waitpid(pid, os.WNOHANG)
        if not done:
            os.killpg(pid, signal.SIGKILL)
        ended = "timed out" if not done else "ok" if not status else "ended early"
        wire.send({"group": number, "end": ended, "cpu": sum(os.times()[:4])})
    os._exit(0)


if __name__ == "__main__":
    main()
