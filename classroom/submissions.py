"""Find and read what was handed in: bounded, never unpacked to disk, no link followed, nothing executed."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import json
import math
import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from classroom.assign import WRITE

MOST_FILE, MOST_CELLS, MOST_SOURCE, MOST_FILES = 20 << 20, 2000, 1 << 20, 5000
MOST_ZIP, MOST_INNER = 512 << 20, 100 << 20  # bytes of notebooks in a zip of the folder, in a zip in a zip
MOST_ANSWER = 20_000  # characters of a written answer
NOTEBOOK = re.compile(r"\.ipynb(\.txt|\.json)?$", re.I)  # as some browsers save it
PICTURE = re.compile(r"data:image/[\w.+-]+;base64,[\w+/=]*")  # as Colab keeps a pasted one in the text


@dataclass
class Submission:
    """One file that was handed in, read as far as it can be."""

    name: str  # its path below the folder, as text that can be printed
    data: bytes = b""
    fault: str = ""  # why it can't be graded
    other: bool = False  # a file of another kind, such as a PDF: counts only if the student sent no notebook
    code: list[tuple[int, str]] = field(default_factory=list)  # (number of the cell, source)
    written: dict[str, str] = field(default_factory=dict)  # exercise -> text
    assignment: str = ""  # which one the notebook says it is

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
    """Every file in a folder or a zip file, in order of name; zips in them are looked into."""
    if path.is_file() and path.suffix.lower() == ".zip":
        yield from _in_zip(path, "", path.name)
        return
    files = []
    for folder, folders, names in os.walk(path):  # does not follow links
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        files += [Path(folder, name) for name in names if not name.startswith(".")]
    for file in sorted(files)[:MOST_FILES]:
        name = printable(file.relative_to(path).as_posix())
        if NOTEBOOK.search(file.name):
            yield _from_file(file, name)
        elif file.suffix.lower() == ".zip":
            if stat.S_ISREG(file.lstat().st_mode):
                yield from _in_zip(file, name + "/", name, MOST_ZIP)
            else:
                yield Submission(name, fault="not a regular file")
        else:
            yield _other(name)
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


def _other(name: str) -> Submission:
    kind = PurePosixPath(name).suffix
    return Submission(name, fault=f"not a notebook ({kind or 'no suffix'})", other=True)


def _in_zip(
    source: Path | IO[bytes], prefix: str, name: str, most: float = math.inf, inner: bool = False
) -> Iterator[Submission]:
    """The files of a zip, read in memory: paths in it name submissions and lead nowhere.

    No more is unpacked than its own table announces, a file at a time, and `most` bytes in all. Zips in it
    are looked into once: a platform's zip holds those that students made.
    """
    left = most
    try:
        with zipfile.ZipFile(source) as archive:
            members = sorted(archive.infolist(), key=lambda i: i.filename)
            if len(members) > MOST_FILES:
                many = f"more than {MOST_FILES} files; the others are left out"
                yield Submission(printable(name), fault=many)
            for info in members[:MOST_FILES]:
                parts = PurePosixPath(info.filename).parts
                hidden = any(part.startswith(".") and part.strip(".") for part in parts)
                if not parts or info.is_dir() or hidden or "__MACOSX" in parts:
                    continue
                one = Submission(printable(prefix + info.filename))
                zipped = info.filename.lower().endswith(".zip") and not inner
                if not zipped and not NOTEBOOK.search(info.filename):
                    yield _other(one.name)
                    continue
                one.fault = _unfit(info)
                left -= 0 if one.fault else info.file_size
                if left < 0:
                    one.fault = f"beyond {most / 2**20:.0f} MiB in one zip"
                try:
                    if not one.fault:
                        with archive.open(info) as stream:
                            one.data = stream.read(MOST_FILE + 1)  # with a bound inflate stops at it
                except Exception as error:  # zipfile raises many kinds for what is broken or encrypted
                    one.fault = f"can't be unpacked: {type(error).__name__}"
                if zipped and not one.fault and len(one.data) <= MOST_FILE:
                    yield from _in_zip(io.BytesIO(one.data), one.name + "/", one.name, MOST_INNER, inner=True)
                else:
                    yield one
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        yield Submission(printable(name), fault="not a zip file")


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
    if isinstance(notebook, dict) and "worksheets" in notebook:
        submission.fault = "a notebook of the old format 3: open and save it in Jupyter or Colab"
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
    submission.assignment = _assignment(notebook)
    if not submission.code and not submission.written:
        submission.fault = "nothing was answered"


def _assignment(notebook: dict[str, Any]) -> str:
    """The assignment that a notebook says it was made for."""
    metadata = notebook.get("metadata")
    ours = metadata.get("genkit_book") if isinstance(metadata, dict) else None
    return harmless(str(ours.get("assignment", "")))[:60] if isinstance(ours, dict) else ""


def _cell(cell: Any) -> tuple[str, str, dict[str, Any]]:
    """(type, source, ex metadata) of whatever stands in the list of cells."""
    if not isinstance(cell, dict):
        return "", "", {}
    source = cell.get("source")
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    metadata = cell.get("metadata")
    ex = metadata.get("ex") if isinstance(metadata, dict) else None
    source = source if isinstance(source, str) else ""
    if cell.get("cell_type") == "markdown":
        source = PICTURE.sub("picture-in-the-notebook", source)
    return str(cell.get("cell_type"))[:20], source, ex if isinstance(ex, dict) else {}


def _written(cells: list[tuple[str, str, dict[str, Any]]], ids: list[str]) -> dict[str, str]:
    """Texts of the written exercises: what stands after the statement, or from the cell that asks for it on.

    Both are known by metadata, that cell also by its first line.
    """
    out: dict[str, list[str]] = {}
    now = None
    for kind, source, ex in cells:
        marked = re.match(r"\s*\*\*Your answer to ([\w-]+)\*\*", source)
        ours = ex.get("role") == "answer" and kind == "markdown" and ex.get("id")
        asked = marked[1] if marked else ours
        if kind == "markdown" and asked in ids:
            now = str(asked)
            source = source[marked.end() :] if marked else source
        elif ex.get("role") == "statement" and ex.get("id") in ids:
            now, source = str(ex["id"]), ""
        elif ex.get("role") in ("statement", "setup", "numbers", "answer", "check"):
            now = None
        elif kind not in ("markdown", "raw"):
            now = None
        if now and source:
            out.setdefault(now, []).append(source)
    texts = {one: "\n\n".join(parts).replace(WRITE, "").strip() for one, parts in out.items()}
    return {one: harmless(text[:MOST_ANSWER]) for one, text in texts.items() if text}


# ---------- who is who ----------


class RosterError(Exception):
    """The roster can't be used; the message names the line."""


def read_table(path: Path, *needed: str) -> list[dict[str, str]]:
    """A CSV with a header, in whatever encoding and dialect spreadsheets write it.

    Raises
    ------
    RosterError
        It can't be read, or lacks one of the columns `needed`.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise RosterError(f"{path}: {error.strerror}") from None
    try:
        text = raw.decode("utf-16" if raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    lines = io.StringIO(text, newline=None)  # any end of line
    delimiter = max(",;\t", key=lines.readline().count)
    lines.seek(0)
    try:
        rows = [
            {str(k).strip(): (v or "").strip() if isinstance(v, str) else "" for k, v in row.items()}
            for row in csv.DictReader(lines, delimiter=delimiter)
        ]
    except csv.Error as error:
        raise RosterError(f"{path}: {error}") from None
    lines.seek(0)
    header = [str(one).strip() for one in next(csv.reader(lines, delimiter=delimiter), [])]
    if missing := [column for column in needed if column not in header]:
        got = ", ".join(header)[:200]
        raise RosterError(f"{path}: needs a header with the column {missing[0]!r}, got {got!r}")
    return rows


def read_roster(path: Path) -> list[dict[str, str]]:
    """The rows that name a student (a platform's own table has others, such as Canvas's points possible).

    Raises
    ------
    RosterError
        It can't be read, has no column `student`, or names one twice.
    """
    rows = [row for row in read_table(path, "student") if row["student"]]
    students = [_plain(row["student"]) for row in rows]
    for row, plain in zip(rows, students, strict=True):
        if students.count(plain) > 1:
            raise RosterError(f"{path}: each student must have one row, but {row['student']!r} has more")
    return rows


def _plain(text: str) -> str:
    """Text by which names of files and people are compared: systems change accents' codes and case."""
    return unicodedata.normalize("NFC", text).casefold()


def match(submissions: list[Submission], roster: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    """Submission name -> row of the roster.

    A row's `submission` is a file's path, name, stem or folder; where that is empty, the student's id must
    stand in the path as a word of its own. Of two that overlap the wider one counts: "ana" takes no file of
    "ana-maria". A path that names two students belongs to neither, since one of them may have named the file.

    Raises
    ------
    RosterError
        Two rows claim one submission.
    """
    out: dict[str, dict[str, str]] = {}
    for one in submissions:
        found = {n: place for n, row in enumerate(roster) if (place := _place(row, _plain(one.name)))}
        wide = {n: at for n, at in found.items() if not any(_within(at, other) for other in found.values())}
        rows = [roster[n] for n in wide]
        if len(rows) == 1:
            out[one.name] = rows[0]
        elif len(set(wide.values())) == 1 and all(row.get("submission") for row in rows):
            both = " and ".join(repr(row["student"]) for row in rows[:2])
            raise RosterError(f"the roster gives {one.name!r} to {both}; give each a copy of the file")
    return out


def _within(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one != other and other[0] <= one[0] and one[1] <= other[1]


def _place(row: dict[str, str], name: str) -> tuple[int, int] | None:
    """From where to where a path names the student of a row, if it does."""
    if said := _plain(row.get("submission") or ""):
        path, start = PurePosixPath(name), 0
        places = {name: (0, len(name))} | {str(parent): (0, len(str(parent))) for parent in path.parents}
        for part in path.parts:
            start = name.index(part, start)
            places.setdefault(part, (start, start + len(part)))
        return places.get(said) or ((start, len(name)) if said == path.stem else None)
    word = re.escape(_plain(row["student"]))
    found = re.search(rf"(?<![^\W_]){word}(?![^\W_])", name)
    return found.span() if word and found else None
