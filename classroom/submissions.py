"""Find and read what was handed in: bounded, never unpacked to disk, no link followed, nothing executed."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import re
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

MOST_FILE, MOST_CELLS, MOST_SOURCE, MOST_FILES = 20 << 20, 2000, 1 << 20, 5000
MOST_ZIP = 512 << 20  # bytes of notebooks in a zip that lies in the folder
MOST_ANSWER = 20_000  # characters of a written answer


@dataclass
class Submission:
    """One file that was handed in, read as far as it can be."""

    name: str  # its path below the folder, as text that can be printed
    data: bytes = b""
    fault: str = ""  # why it can't be graded
    code: list[tuple[int, str]] = field(default_factory=list)  # (number of the cell, source)
    written: dict[str, str] = field(default_factory=dict)  # exercise -> text

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data + self.fault.encode()).hexdigest()

    @property
    def slug(self) -> str:
        """A file name of our own making: short, plain and never the same for two submissions.

        The hash is long enough that nobody can choose a name which takes another's file.
        """
        stem = self.name.removesuffix(".ipynb")
        plain = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-")[-40:].strip("-")
        return f"{plain or 'submission'}-{hashlib.sha256(self.name.encode()).hexdigest()[:16]}"


CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """Text without characters that move a terminal's cursor or turn the order of what is read."""
    return CONTROLS.sub("�", text.encode("utf-8", "replace").decode())


def printable(text: str) -> str:
    """One line that any terminal and file can take."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def find(path: Path) -> Iterator[Submission]:
    """Every notebook in a folder or a zip file (zips in the folder are looked into), in order of name."""
    if path.is_file() and path.suffix.lower() == ".zip":
        yield from _in_zip(path, "")
        return
    files = []
    for folder, folders, names in os.walk(path):  # does not follow links
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        files += [Path(folder, name) for name in names if not name.startswith(".")]
    for file in sorted(files)[:MOST_FILES]:
        name = printable(file.relative_to(path).as_posix())
        if file.suffix.lower() == ".ipynb":
            yield _from_file(file, name)
        elif file.suffix.lower() == ".zip":
            if stat.S_ISREG(file.lstat().st_mode):
                yield from _in_zip(file, name + "/", MOST_ZIP)
            else:
                yield Submission(name, fault="not a regular file")
    for file in sorted(files)[MOST_FILES:]:
        yield Submission(printable(file.relative_to(path).as_posix()), fault=f"more than {MOST_FILES} files")


def _from_file(file: Path, name: str) -> Submission:
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return Submission(name, fault="not a regular file, or not readable")
    with os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return Submission(name, fault="not a regular file")
        return Submission(name, stream.read(MOST_FILE + 1))


def _in_zip(path: Path, prefix: str, most: float = math.inf) -> Iterator[Submission]:
    """The notebooks of a zip, read in memory: paths in it name submissions and lead nowhere.

    No more is unpacked than its own table announces, a file at a time, and `most` bytes in all.
    """
    left = most
    try:
        with zipfile.ZipFile(path) as archive:
            for info in sorted(archive.infolist(), key=lambda i: i.filename)[:MOST_FILES]:
                inner = PurePosixPath(info.filename)
                hidden = inner.name.startswith(".") or "__MACOSX" in inner.parts
                if info.filename.endswith("/") or inner.suffix.lower() != ".ipynb" or hidden:
                    continue
                one = Submission(printable(prefix + info.filename))
                one.fault = _unfit(info)
                left -= 0 if one.fault else info.file_size
                if left < 0:
                    one.fault = f"beyond {MOST_ZIP >> 20} MiB in one zip"
                try:
                    if not one.fault:
                        with archive.open(info) as stream:
                            one.data = stream.read(MOST_FILE + 1)  # with a bound inflate stops at it
                except Exception as error:  # zipfile raises many kinds for what is broken or encrypted
                    one.fault = f"can't be unpacked: {type(error).__name__}"
                yield one
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        yield Submission(printable(prefix.rstrip("/") or path.name), fault="not a zip file")


def _unfit(info: zipfile.ZipInfo) -> str:
    """Why a file in a zip is not unpacked at all.

    Of the methods that platforms write none but deflate: zipfile unpacks the others without a bound.
    """
    if info.file_size > MOST_FILE:
        return f"larger than {MOST_FILE >> 20} MiB"
    plain = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    return "" if plain else "can't be unpacked: neither stored nor deflated"


def read(submission: Submission, given: set[str], written: list[str]) -> None:
    """Fill in code and written answers, or the fault.

    `given` are the sources of cells that the assignment brought and that need not run; `written` the ids of
    the written exercises.
    """
    if submission.fault:
        return
    if len(submission.data) > MOST_FILE:
        submission.fault, submission.data = f"larger than {MOST_FILE >> 20} MiB", submission.data[:1000]
        return
    if not submission.data.strip():
        submission.fault = "empty"
        return
    try:
        notebook = json.loads(submission.data)
    except (ValueError, RecursionError):
        submission.fault = "not a notebook: no JSON"
        return
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        submission.fault = "not a notebook: no cells"
        return
    cells = [_cell(cell) for cell in notebook["cells"][:MOST_CELLS]]
    if len(notebook["cells"]) > MOST_CELLS or sum(len(source) for _, source, _ in cells) > MOST_SOURCE:
        submission.fault = "too many cells, or too much in them"
        return
    for number, (kind, source, _) in enumerate(cells, start=1):
        if kind == "code" and source.strip() and source.strip() not in given:
            submission.code.append((number, source))
    submission.written = _written(cells, written)
    if not submission.code and not submission.written:
        submission.fault = "nothing was answered"


def _cell(cell: Any) -> tuple[str, str, dict[str, Any]]:
    """(type, source, ex metadata) of whatever stands in the list of cells."""
    if not isinstance(cell, dict):
        return "", "", {}
    source = cell.get("source")
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    metadata = cell.get("metadata")
    ex = metadata.get("ex") if isinstance(metadata, dict) else None
    return (
        str(cell.get("cell_type"))[:20],
        source if isinstance(source, str) else "",
        ex if isinstance(ex, dict) else {},
    )


def _written(cells: list[tuple[str, str, dict[str, Any]]], ids: list[str]) -> dict[str, str]:
    """Texts of the written exercises: the cell known by metadata or first line, and what follows it."""
    out: dict[str, list[str]] = {}
    now = None
    for kind, source, ex in cells:
        marked = re.match(r"\s*\*\*Your answer to ([\w-]+)\*\*", source)
        ours = ex.get("role") == "answer" and kind == "markdown" and ex.get("id")
        id = marked[1] if marked else ours
        if kind == "markdown" and id in ids:
            now = str(id)
            source = source[marked.end() :] if marked else source
        elif ex.get("role") in ("statement", "setup", "numbers", "answer", "check") or kind not in (
            "markdown",
            "raw",
        ):
            now = None
        if now:
            out.setdefault(now, []).append(source)
    texts = {
        id: "\n\n".join(parts).replace("*Write your answer here.*", "").strip() for id, parts in out.items()
    }
    return {id: harmless(text[:MOST_ANSWER]) for id, text in texts.items() if text}


# ---------- who is who ----------


class RosterError(Exception):
    """The roster can't be used; the message names the line."""


def read_table(path: Path, needed: str) -> list[dict[str, str]]:
    """A CSV with a header, in whatever encoding and dialect spreadsheets write it.

    Raises
    ------
    RosterError
        It can't be read, or lacks the column `needed`.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise RosterError(f"{path}: {error.strerror}") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    first = text.split("\n", 1)[0]
    rows = list(csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=first.count)))
    if not rows or needed not in rows[0]:
        raise RosterError(f"{path}: needs a header with the column {needed!r}")
    return [
        {str(k).strip(): (v or "").strip() if isinstance(v, str) else "" for k, v in row.items()}
        for row in rows
    ]


def match(submissions: list[Submission], roster: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    """Submission name -> row of the roster.

    A row's `submission` is a file's path, name, stem or folder; where that is empty, the student's id must
    stand in the path as a word of its own. The first match in the path wins, since a platform puts its own
    words before the name that a student gave the file; then the longest: "ana" takes no file of "ana-maria".
    """
    out: dict[str, dict[str, str]] = {}
    for one in submissions:
        begins, found = _begins(one.name), []
        for row in roster:
            said, student = row.get("submission"), row["student"]
            word = re.search(rf"(?<![^\W_]){re.escape(student)}(?![^\W_])", one.name)
            if said and said in begins:
                found.append(((begins[said], 0, -len(said)), row))
            elif not said and student and word:
                found.append(((word.start(), 1, -len(student)), row))
        if found:
            out[one.name] = min(found, key=lambda pair: pair[0])[1]
    return out


def _begins(name: str) -> dict[str, int]:
    """What a row's `submission` may say of a path, and where in the path that begins."""
    path = PurePosixPath(name)
    out, start = dict.fromkeys([name, *map(str, path.parents)], 0), 0
    for part in path.parts:
        start = name.index(part, start)
        out.setdefault(part, start)
    out.setdefault(path.stem, start)
    return out
