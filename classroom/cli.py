"""The command `genkit-book`: choose exercises, hand them out, grade what comes back.

Exit status: 0 done; 1 the bank has a fault; 2 the command or a file given to it is wrong; 3 there is no
sandbox; 130 stopped.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from classroom import assign, grade, report
from classroom.bank import KINDS, BankError, Exercise, Master, read_bank
from classroom.sandbox import Limits, Sandbox, SandboxError
from classroom.submissions import RosterError, find, match, read_roster, read_table


class Usage(Exception):
    """The command was given something that it can't use; the message says what."""


def book() -> Path:
    """The folder of the book: the one we are in or below, or the one that this package lies in."""
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[1]):
        if (folder / "_config.yml").exists() and (folder / "exercises").is_dir():
            return folder
    raise Usage("run it inside a clone of the book, where the exercises and the setup cell's address are")


def bank(args: argparse.Namespace) -> list[Master]:
    folder = args.bank or book() / "exercises"
    if not folder.is_dir():
        raise Usage(f"--bank: {folder} is not a folder")
    masters = read_bank(folder)
    if not masters:
        raise Usage(f"--bank: {folder} holds no exercises (*.md)")
    return masters


def chosen(args: argparse.Namespace) -> list[tuple[Master, Exercise]]:
    """The exercises that the filters of `list` let through."""
    return [
        (master, e)
        for master in bank(args)
        for e in master.exercises
        if (not args.part or args.part in master.page)
        and (not args.topic or args.topic in e.meta["topic"])
        and (not args.kind or e.meta["kind"] == args.kind)
        and (not args.no_written or not e.written)
        and e.points <= args.max_points
        and e.meta["minutes"] <= args.max_minutes
    ]


def list_command(args: argparse.Namespace) -> int:
    found = chosen(args)
    if args.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["id", "page", "kind", "points", "minutes", "difficulty", "topic", "title"])
        for m, e in found:
            facts = [e.meta[k] for k in ("kind", "points", "minutes", "difficulty", "topic")]
            writer.writerow([e.id, m.page, *facts, e.title])
        return 0
    page = ""
    for m, e in found:
        if m.page != page:
            page = m.page
            print(f"\n{page}")
        worth = f"{e.points:>2} p {e.meta['minutes']:>3} min {'●' * e.meta['difficulty']:<5}"
        mark = "  [variants]" if e.choices else ""
        print(f"  {e.id:<28} {e.meta['kind']:<11} {worth} {e.title}{mark}")
    if not found and args.topic:
        topics = sorted({e.meta["topic"] for m in bank(args) for e in m.exercises})
        print(f"the topics are {', '.join(topics)}", file=sys.stderr)
    points, minutes = sum(e.points for _, e in found), sum(e.meta["minutes"] for _, e in found)
    print(f"\n{len(found)} exercises, {points} points, about {minutes} minutes")
    return 0


def check_command(args: argparse.Namespace) -> int:
    """The form of every master, then each solution, stub and wrong answer through the hidden probes."""
    masters = bank(args)
    known = {e.id for m in masters for e in m.exercises}
    if unknown := set(args.ids) - known:
        raise Usage(f"the bank has no exercise {', '.join(sorted(unknown))}")
    box, faults, written = Sandbox(args.python), 0, 0
    for master in masters:
        wanted = [e for e in master.exercises if not args.ids or e.id in args.ids]
        written += sum(e.written for e in wanted)
        for exercise, said in grade.trial(box, master, wanted).items():
            faults += bool(said)
            print(f"{'✗' if said else '✓'} {exercise}", flush=True)
            for line in said:
                print(f"{master.page}: exercise {exercise!r}: {line}", file=sys.stderr)
    found = f"{faults} with a fault" if faults else "no faults"
    print(f"{len(args.ids) or len(known)} exercises, {written} of them written: {found}")
    return 1 if faults else 0


def assign_command(args: argparse.Namespace) -> int:
    plan: dict[str, Any] = {"name": "homework", "exercises": args.what}
    if len(args.what) == 1 and args.what[0].endswith((".yml", ".yaml")):
        plan = assign.read_plan(Path(args.what[0]))
    if args.name:
        plan["name"] = args.name
    masters = bank(args)
    given = assign.choose(
        masters, plan["exercises"], str(plan["name"]), str(plan.get("title", "")), str(plan.get("intro", ""))
    )
    repository = yaml.safe_load((book() / "_config.yml").read_text(encoding="utf-8"))["repository"]
    setup = assign.setup_source(repository["url"].rstrip("/"), repository["branch"])
    name = given.name + (f"-{args.variant}" if args.variant else "")
    numbers = {"": assign.numbers_for(given, args.variant)}
    if args.roster:
        if not args.variant:
            raise Usage("--roster gives every student other numbers: say --variant SEED with it")
        students = [row["student"] for row in read_roster(args.roster)]
        if odd := [student for student in students if not re.fullmatch(r"\w[\w@.-]*", student)]:
            raise Usage(
                f"--roster: an id names a file, so it must be letters, digits and _ @ . -; got {odd[0]!r}"
            )
        numbers |= {student: assign.numbers_for(given, args.variant, student) for student in students}
    if args.variant and not any(numbers[""].values()):
        raise Usage("none of these exercises has numbers to vary (genkit-book list marks those that have)")
    out: Path = args.out
    key = {**assign.key(given, numbers, args.variant), "colab": setup}
    secret = out / "instructor" / f"{name}.key.json"
    _same_as_before(secret, key)
    written = []
    for student, own in numbers.items():
        notebook = assign.student_notebook(given, own, setup, masters)
        path = out / (f"students/{name}-{student}.ipynb" if student else f"{name}.ipynb")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(assign.dumps(notebook), encoding="utf-8")
        written.append(path)
    assign.write_private(secret, json.dumps(key, ensure_ascii=False, indent=1) + "\n")
    print("running the solutions for the answer key", file=sys.stderr)
    answers = assign.executed(assign.answer_notebook(given, numbers[""], setup))
    assign.write_private(out / "instructor" / f"{name}-answers.ipynb", assign.dumps(answers))
    print(f"{len(given.chosen)} exercises, {given.points} points")
    each = f", or to each student the file in {out / 'students'}" if len(written) > 1 else ""
    print(f"hand out     {written[0]}{each}")
    print(f"keep secret  {secret}")
    print(f"             {out / 'instructor' / (name + '-answers.ipynb')}")
    return 0


def blind(box: Sandbox, private: list[Path]) -> Sandbox:
    """The sandbox, if no student's code can read any of these files and folders from inside."""
    for path in private:
        if path.exists() and (shown := box.shows(path)):
            raise Usage(f"{path} can be read in the sandbox, which sees all of {shown}: move it out of there")
    return box


def _same_as_before(secret: Path, key: dict[str, Any]) -> None:
    """Refuse to overwrite the key of another assignment: it grades what was handed out with it."""
    if not secret.exists():
        return
    old, new = grade.read_key(secret), json.loads(json.dumps(key))
    moved = [student for student, own in old["numbers"].items() if new["numbers"].get(student) != own]
    if old["exercises"] != new["exercises"] or moved:
        raise Usage(
            f"-o: {secret} is the key of other exercises or numbers; write to another folder, or remove "
            "it if its notebook was not handed out"
        )


def _own_numbers(key: dict[str, Any], roster: list[dict[str, str]]) -> None:
    """Where each student has numbers of their own, the roster must have the ids that assign was given."""
    known = set(key["numbers"]) - {""}
    without = [row["student"] for row in roster if row["student"] not in known]
    if known and len(without) == len(roster):
        raise Usage(
            "--roster is needed, with the ids that assign was given, since each student has numbers of their "
            f"own: {', '.join(sorted(known)[:3])}, ..."
        )
    if known and without:
        some = f"such as {without[0]!r}"
        print(f"{len(without)} of the roster have no numbers of their own, {some}", file=sys.stderr)


def _late(path: Path | None, roster: list[dict[str, str]]) -> dict[str, float]:
    """Days by student, each a student of the roster."""
    people, days = {row["student"] for row in roster}, {}
    for row in read_table(path, "student", "days") if path else []:
        try:
            days[row["student"]] = float((row["days"] or "0").replace(",", "."))
        except ValueError:
            days[row["student"]] = -1.0
        if row["student"] not in people or not 0 <= days[row["student"]] < 1000:
            raise Usage(f"--late: each row must have a student of --roster and days from 0, got {row}")
    return days


def _handed_in(args: argparse.Namespace, roster: list[dict[str, str]]) -> tuple[list[Any], dict[str, str]]:
    """(submissions, student by name): a file that is no notebook counts if its student sent no notebook."""
    if not args.submissions.exists():
        raise Usage(f"{args.submissions} does not exist")
    if args.out.resolve().is_relative_to(args.submissions.resolve()):
        raise Usage(f"-o: {args.out} must not lie in {args.submissions}, where submissions are looked for")
    found = list(find(args.submissions))
    students = {name: row["student"] for name, row in match(found, roster).items()}
    sent = {students.get(one.name) for one in found if not one.other}
    taken = [one for one in found if not one.other or students.get(one.name, None) not in {None, *sent}]
    if not taken:
        raise Usage(f"{args.submissions} holds no notebooks (*.ipynb), in zip files or out of them")
    if others := [one.name for one in found if one not in taken]:
        some = f"such as {others[0]!r}"
        print(f"{len(others)} files that are no notebooks are passed over, {some}", file=sys.stderr)
    for row in roster:
        if row.get("submission") and row["student"] not in students.values():
            named = f"named for {row['student']!r}"
            print(f"--roster: there is no {row['submission']!r}, {named}", file=sys.stderr)
    return taken, students


def grade_command(args: argparse.Namespace) -> int:
    for name in ("jobs", "timeout", "cell_timeout", "memory"):
        if not getattr(args, name) > 0:
            raise Usage(f"--{name.replace('_', '-')} must be above 0, got {getattr(args, name):g}")
    if not 0 <= args.penalty <= 100:
        raise Usage(f"--penalty must be from 0 to 100, got {args.penalty:g}")
    key = grade.read_key(args.key)
    roster = read_roster(args.roster) if args.roster else []
    _own_numbers(key, roster)
    late = _late(args.late, roster)
    submissions, students = _handed_in(args, roster)
    each = min(args.cell_timeout, args.timeout)
    grading = grade.Grading(key, args.out, Limits(args.timeout, each, each, args.memory))
    for word in args.regrade or []:
        if not any(word in one.name for one in submissions):
            raise Usage(f"--regrade: no submission has {word!r} in its name")
    if args.regrade is not None:
        for one in submissions:
            if not args.regrade or any(word in one.name for word in args.regrade):
                grading.path(one).unlink(missing_ok=True)
    private = [args.key, args.submissions, args.out, Path(__file__).resolve().parents[1] / "exercises"]
    states = grading.run(submissions, students, lambda: blind(Sandbox(args.python), private), args.jobs)
    options = {"key": str(args.key.resolve()), "order": [s["slug"] for s in states], "roster": roster,
               "late": late, "penalty": args.penalty}  # fmt: skip
    assign.write_private(args.out / "state/options.json", json.dumps(options))
    table = report.write_results(key, states, args.out, roster, late, args.penalty)
    return _told(table, args.out)


def _told(table: list[report.Row], out: Path) -> int:
    look = ("submissions of this student", report.NOBODY, grade.OTHER)
    statuses = [row["status"] for row in table]
    bad = sum(not one.startswith("ok") or any(words in one for words in look) for one in statuses)
    print(f"{len(table)} rows in {out / 'grades.csv'}" + (f"; {bad} with a status to look at" if bad else ""))
    to_mark = any(one.endswith("written answers to mark") for one in statuses)
    if to_mark and (out / "written.csv").exists():
        print(f"mark the answers of written.md in {out / 'written.csv'}, then: genkit-book marks {out}")
    return 0


def marks_command(args: argparse.Namespace) -> int:
    def saved(name: str) -> Any:
        return json.loads((args.results / f"state/{name}.json").read_text())

    try:
        options, graded = saved("options"), saved("run")["key"]
        states = [saved(slug) for slug in options["order"]]
    except (OSError, ValueError, KeyError):
        raise Usage(f"{args.results} is not a folder that genkit-book grade wrote") from None
    key = grade.read_key(Path(options["key"]))
    if grade.fingerprint(key) != graded:
        raise Usage(f"{options['key']} has changed since {args.results} was graded: grade again")
    given = [options[name] for name in ("roster", "late", "penalty")]
    return _told(report.write_results(key, states, args.results, *given), args.results)


def export_command(args: argparse.Namespace) -> int:
    table = read_table(args.results / "grades.csv", "submission", "student", "status")
    roster = read_roster(args.roster) if args.roster else []
    if roster:
        table = [row for row in table if row["student"]]
    sys.stdout.write(report.export(table, roster, args.columns))
    for words, what in (("written answers to mark", "without them"), ("submissions of this student", "each")):
        if rows := sum(words in row["status"] for row in table):
            print(f"{rows} rows have the status '{words}': exported {what}", file=sys.stderr)
    return 0


def parser() -> argparse.ArgumentParser:
    says = "Choose exercises, hand them out, grade what comes back."
    top = argparse.ArgumentParser(prog="genkit-book", description=says, epilog=__doc__.split("\n\n")[1])
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    table: dict[str, Any] = {"type": Path, "metavar": "CSV"}
    banked, boxed, graded = (argparse.ArgumentParser(add_help=False) for _ in range(3))
    banked.add_argument(
        "--bank", type=Path, metavar="PATH", help="a bank of your own (default: the book's exercises/)"
    )
    boxed.add_argument("--python", metavar="FILE", help="interpreter to use in the sandbox (default: found)")
    graded.add_argument("results", type=Path, metavar="RESULTS", help="folder that grade wrote")

    def add(run: Any, what: str, example: str, *shared: argparse.ArgumentParser) -> Callable[..., Any]:
        """A command; what comes back adds an argument to it."""
        name = run.__name__.removesuffix("_command")
        example = f"Example: genkit-book {name} {example}"
        says = what[0].upper() + what[1:] + "."
        one = commands.add_parser(name, parents=shared, help=what, description=says, epilog=example)
        one.set_defaults(run=run)
        return one.add_argument

    take = add(list_command, "list the exercises", "--part objectives/density", banked)
    take("--part", metavar="WORD", help="only pages whose path contains this, such as objectives/density")
    take("--topic", metavar="WORD", help="only topics that contain this")
    take("--kind", choices=KINDS, help="only this kind")
    take("--no-written", action="store_true", help="without those that a person must mark")
    take("--max-points", type=int, default=99, metavar="N", help="worth at most N points")
    take("--max-minutes", type=int, default=999, metavar="N", help="at most N minutes")
    take("--csv", action="store_true", help="as a table for a spreadsheet")

    what = "check the bank: form, and what solutions, stubs and wrong answers score"
    take = add(check_command, what, "--bank my-bank", banked, boxed)
    take("ids", nargs="*", metavar="ID", help="only these exercises")

    what = "make a student's notebook, its secret key and an answer key"
    take = add(assign_command, what, "hw1.yml -o hw1", banked)
    take("what", nargs="+", metavar="PLAN.yml | ID", help="a plan, or ids of exercises")
    take("-o", "--out", type=Path, default=".", metavar="FOLDER", help="where to write (default: here)")
    take("--name", help="name of the files (default: the plan's, or 'homework')")
    take("--variant", metavar="SEED", help="draw the numbers that may vary with this seed")
    take("--roster", **table, help="other numbers for each student (column: student)")

    what = "grade a folder or zip of submissions into a table, in a sandbox"
    example = "hw1/instructor/hw1.key.json submissions.zip -o results --roster roster.csv"
    take = add(grade_command, what, example, boxed)
    take("key", type=Path, metavar="KEY", help="the key that assign wrote")
    take("submissions", type=Path, metavar="SUBMISSIONS", help="a folder or a zip file")
    results = "folder of results; taken up again if it exists"
    take("-o", "--out", type=Path, required=True, metavar="RESULTS", help=results)
    take("--roster", **table, help="columns: student, and where needed submission (a file or folder)")
    take("--late", **table, help="columns: student, days")
    penalty = "what a day costs, in per cent of the total (default 10)"
    take("--penalty", type=float, default=10.0, metavar="PERCENT", help=penalty)
    words = "grade again: all, or those whose name contains a word"
    take("--regrade", nargs="*", metavar="WORD", help=words)
    take("-j", "--jobs", type=int, default=2, metavar="N", help="submissions at once (default 2)")
    take("--timeout", type=float, default=120.0, metavar="S", help="seconds for a submission (default 120)")
    take(
        "--cell-timeout",
        type=float,
        default=30.0,
        metavar="S",
        help="seconds for a cell or probe (default 30)",
    )
    take("--memory", type=float, default=4.0, metavar="GIB", help="memory for a submission (default 4)")

    add(marks_command, "take the points of written.csv into grades.csv and the feedback", "results", graded)

    what = "print the grades as a learning platform wants them"
    example = 'results --roster roster.csv "Email address=email" "Homework 1=total" > grades-to-import.csv'
    take = add(export_command, what, example, graded)
    take("columns", nargs="+", metavar="HEADER=FIELD", help="columns to print, of grades.csv or the roster")
    take("--roster", **table, help="a table with the platform's own columns for each student")
    return top


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    try:
        return int(args.run(args))
    except (BankError, SandboxError, Usage, assign.AssignError, grade.KeyFileError, RosterError) as error:
        print(f"genkit-book {args.command}: {error}", file=sys.stderr)
        return {BankError: 1, SandboxError: 3}.get(type(error), 2)
    except BrokenPipeError:  # into head, say
        sys.stdout = None
        return 0
    except OSError as error:  # a folder that can't be written, a full disk
        print(f"genkit-book {args.command}: {error.filename or ''}: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"genkit-book {args.command}: stopped; say the same again to go on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
