"""What an instructor opens after grading: the table, feedback for each student, and the answers left to mark.

All that a student wrote is shown as text: it can't become a formula in a spreadsheet, a heading or a mark in
`written.md`, or an element of a page.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from classroom.assign import write_private
from classroom.submissions import MOST_ANSWER, RosterError, read_table

Row = dict[str, Any]
Given = dict[tuple[str, str], tuple[float, str]]  # (submission, exercise) -> (points, comment) by a person


def number(value: float) -> int | float:
    """Whole points as whole numbers."""
    return int(value) if float(value).is_integer() else round(value, 2)


FORMULA = tuple("=+-@＝＋－＠\t\r")  # how one begins in a spreadsheet, full width or not


def safe(text: str) -> str:
    """A cell of a table that no spreadsheet takes for a formula."""
    return "'" + text if text.startswith(FORMULA) else text


def rows(key: dict[str, Any], states: Iterable[dict[str, Any]], given: Given, late: dict[str, float],
         penalty: float, missing: Iterable[str] = ()) -> list[Row]:  # fmt: skip
    """The table: submission, student, status, a column for each exercise, total, max.

    `late` holds days by student, `penalty` the per cent of the total that a day costs.
    Students of the roster who handed nothing in stand at the end.
    """
    ids = [e["id"] for e in key["exercises"]]
    most = sum(e["points"] for e in key["exercises"])
    out: list[Row] = []
    owners: dict[str, int] = {}
    for state in states:
        points: dict[str, float | str] = {}
        for one in ids:
            unmarked = "" if one in state["written"] else 0
            by_person, _ = given.get((state["submission"], one), (unmarked, ""))
            points[one] = state["marks"].get(one, by_person)
        total = float(sum(p for p in points.values() if not isinstance(p, str)))
        status = state["status"]
        days = late.get(state["student"], 0) if state["student"] else 0
        if days > 0:
            cut = min(days * penalty, 100)
            total *= 1 - cut / 100
            status += f"; {days:g} day{'s' * (days != 1)} late, minus {cut:g} %"
        if "" in points.values():
            status += "; written answers to mark"
        if state["student"]:
            owners[state["student"]] = owners.get(state["student"], 0) + 1
        out.append({"submission": state["submission"], "student": state["student"], "status": status,
                    **{one: p if isinstance(p, str) else number(p) for one, p in points.items()},
                    "total": number(total), "max": most})  # fmt: skip
    for row in out:
        if owners.get(row["student"], 0) > 1:
            row["status"] += f"; {owners[row['student']]} submissions of this student"
    for student in missing:
        out.append({"submission": "", "student": student, "status": "nothing handed in",
                    **dict.fromkeys(ids, 0), "total": 0, "max": most})  # fmt: skip
    return out


def as_csv(table: list[Row], columns: list[str]) -> str:
    """A table; where spreadsheets split at semicolons, none begins a formula."""
    values = ((row.get(column, "") for column in columns) for row in table)
    lines = [columns, *([safe(v) if isinstance(v, str) else str(v) for v in line] for line in values)]
    return "".join(",".join(map(_cell, line)) + "\n" for line in lines)


def _cell(text: str) -> str:
    held = re.search(r'[,"\r\n]|[;\t]\s*[=+\-@＝＋－＠]', text)
    return '"' + text.replace('"', '""') + '"' if held else text


def quoted(text: str) -> str:
    """A student's text as a quotation: without elements, pictures from elsewhere, or headings of ours."""
    text = html.escape(text, quote=False).replace("![", "!\\[")
    return "\n".join(f"> {line}" for line in text.split("\n"))


def code_span(text: str) -> str:
    return "`" + text.replace("`", "'") + "`"


def by_hand(key: dict[str, Any]) -> list[dict[str, Any]]:
    """The exercises that a person marks."""
    return [e for e in key["exercises"] if not e["probes"]]


def written_md(key: dict[str, Any], states: list[dict[str, Any]]) -> str:
    """The written answers by exercise, each with the rubric; marks go into written.csv."""
    parts = [f"# {key['title']}: written answers\n\nPut the points into `written.csv`, then run "
             "`genkit-book marks` on this folder.\n"]  # fmt: skip
    for e in by_hand(key):
        rubric = "\n".join(f"- {points}: {what}" for points, what in e["rubric"])
        parts.append(
            f"## {e['id']}: {e['title']} ({e['points']} points)\n\n{e['statement']}\n\n"
            f"### Rubric\n\n{rubric}\n"
        )
        for state in states:
            text = state["written"].get(e["id"])
            answer = quoted(text[:MOST_ANSWER]) if text else "*no answer*"
            parts.append(f"### {code_span(state['submission'])}\n\n{answer}\n")
    return "\n".join(parts)


WRITTEN = ["submission", "exercise", "max", "points", "comment"]
NOBODY = "no student of the roster, or more than one"


def written_rows(key: dict[str, Any], states: list[dict[str, Any]], old: Given) -> str:
    """written.csv: a line for each answer to mark; marks given before are kept."""
    table = []
    for e in by_hand(key):
        for state in states:
            if e["id"] in state["written"]:
                points, comment = old.get((state["submission"], e["id"]), ("", ""))
                table.append({"submission": state["submission"], "exercise": e["id"], "max": e["points"],
                              "points": points, "comment": comment})  # fmt: skip
    return as_csv(table, WRITTEN)


def read_marks(path: Path, key: dict[str, Any]) -> Given:
    """The points that a person has filled in.

    Raises
    ------
    RosterError
        A mark is no number, or is not between 0 and the exercise's points.
    """
    if not path.exists():
        return {}
    most = {e["id"]: e["points"] for e in by_hand(key)}
    out = {}
    for line, row in enumerate(read_table(path, *WRITTEN), start=2):
        if not row["points"]:
            continue
        asked = row["exercise"]
        try:
            points = float(row["points"].replace(",", "."))
        except ValueError:
            points = -1.0
        if asked not in most or not 0 <= points <= most[asked]:
            rule = f"from 0 to {most[asked]}" if asked in most else "for an exercise of this assignment"
            got = f"got {row['points']!r} for {asked!r}"
            raise RosterError(f"{path}, line {line}: points must be a number {rule}, {got}")
        name = row["submission"]
        name = name[1:] if name[:1] == "'" and name[1:].startswith(FORMULA) else name
        out[name, asked] = (points, row["comment"])
    return out


STOPPED = {
    "ended early": "Running your notebook from top to bottom ended Python itself: nothing later was seen.",
    "timed out": "Running your notebook from top to bottom took too long; what was seen until then counts.",
    "out of memory": "Running your notebook took too much memory; what was seen until then counts.",
    "too much output": "Running your notebook gave too much output; what was seen until then counts.",
}


def feedback(key: dict[str, Any], state: dict[str, Any], row: Row, given: Given) -> str:
    """What the student gets back, as Markdown."""
    out = [f"# {key['title']}: {row['total']} of {row['max']} points", ""]
    out += [f"Submission {code_span(state['submission'])}: {row['status']}.", ""]
    if state["status"] in STOPPED:
        out += [STOPPED[state["status"]], ""]
    if state["cells"]:
        out += ["These cells of your notebook, all counted from the top, stopped when it was run:", ""]
        out += [f"- cell {number}: {code_span(said)}" for number, said in state["cells"][:20]]
        out += [f"- and {len(state['cells']) - 20} more"] if len(state["cells"]) > 20 else []
        out += [""]
    for e in key["exercises"]:
        points = row[e["id"]]
        out += [f"## {e['title']}: {'to be marked' if points == '' else points} of {e['points']}", ""]
        notes = state["notes"].get(e["id"], [])
        _, comment = given.get((state["submission"], e["id"]), (0, ""))
        if comment:
            notes = [comment]
        if e["probes"] and not notes and points == e["points"]:
            notes = ["all hidden probes agree with the reference solution"]
        if not e["probes"] and e["id"] not in state["written"]:
            notes = ["no answer"]
        out += [f"- {note}" for note in notes] + [""]
    return "\n".join(out).rstrip() + "\n"


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title><style>:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 45rem; margin: 2rem auto; padding: 0 1rem }}
code {{ overflow-wrap: anywhere }}</style></head><body>
{body}</body></html>
"""


def as_html(markdown: str, title: str) -> str:
    """Feedback as a page: no raw HTML, scripts, pictures or links get through."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).disable(["image", "link", "autolink"])
    return PAGE.format(title=html.escape(title), body=reader.render(markdown))


def write_results(key: dict[str, Any], states: list[dict[str, Any]], out: Path, roster: list[dict[str, str]],
                  late: dict[str, float], penalty: float) -> list[Row]:  # fmt: skip
    """grades.csv, feedback/, written.md and written.csv; marks given before are kept."""
    given = read_marks(out / "written.csv", key)
    if lost := {name for name, _ in given} - {state["submission"] for state in states}:
        what = f"there is no submission {min(lost)!r}; mend it or remove its line"
        raise RosterError(f"{out / 'written.csv'}: {what}")
    here = {state["student"] for state in states}
    missing = [row["student"] for row in roster if row["student"] not in here]
    table = rows(key, states, given, late, penalty, missing)
    for row in table if roster else []:
        row["status"] += "" if row["student"] else f"; {NOBODY}"
    ids = [e["id"] for e in key["exercises"]]
    if by_hand(key):
        write_private(out / "written.md", written_md(key, states))
        write_private(out / "written.csv", written_rows(key, states, given))
    pages = {state["slug"] for state in states}
    for old in (out / "feedback").glob("*.*"):
        if old.stem not in pages and re.search(r"-[0-9a-f]{16}$", old.stem):  # of what was taken out
            old.unlink()
    for state, row in zip(states, table, strict=False):
        text = feedback(key, state, row, given)
        write_private(out / "feedback" / f"{state['slug']}.md", text)
        write_private(out / "feedback" / f"{state['slug']}.html", as_html(text, key["title"]))
    columns = ["submission", "student", "status", *ids, "total", "max"]
    write_private(out / "grades.csv", as_csv(table, columns))
    return table


def export(table: list[dict[str, str]], roster: list[dict[str, str]], columns: list[str]) -> str:
    """A CSV for a learning platform: each column is "HEADER=FIELD", of the grades, the roster, or 'literal'.

    Raises
    ------
    RosterError
        A column is not of this form or names no field.
    """
    people = {row["student"]: row for row in roster}
    out = []
    for row in table:
        fields = {**people.get(row.get("student", ""), {}), **row}
        line = {}
        for column in columns:
            header, sep, name = column.rpartition("=")
            if not sep or (name not in fields and name not in (roster[0] if roster else {})):
                known = ", ".join(sorted(set(table[0]) | set(roster[0] if roster else {})))
                raise RosterError(f"a column must be HEADER=FIELD with a field of {known}; got {column!r}")
            line[header] = fields.get(name, "")
        out.append(line)
    return as_csv(out, [column.rpartition("=")[0] for column in columns])
