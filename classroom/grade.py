"""Grade a folder of submissions: what a student's code computes against what the reference solution computes.

The student's code runs in the sandbox with fresh seeds and never sees a reference number. The reference
solution and the known wrong answers run in a sandbox of their own; only arrays of numbers meet, here, where
nothing of the student's is executed.
"""

from __future__ import annotations

import builtins
import hashlib
import json
import math
import secrets
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from classroom.assign import FORMAT, choose, numbers_for, write_private
from classroom.assign import key as make_key
from classroom.bank import BankError, Exercise, Master
from classroom.sandbox import Limits, Outcome, Sandbox
from classroom.submissions import Submission, find, harmless, read

REPEATS = 2  # seeds for each probe
OTHER = "the notebook of another assignment,"
NEAR = 1e-4  # wrong, but by no more than what single precision loses
SAID = ("timed out", "no answer", "ended without an answer", "returned None",
        "returned something else than numbers")  # fmt: skip
KNOWN = {name for name in vars(builtins) if name.endswith(("Error", "Exception", "Exit", "Interrupt"))}
Answer = list[np.ndarray] | str
Numbers = dict[str, dict[str, Any]]


class KeyFileError(Exception):
    """The key can't be used; the message says why."""


def read_key(path: Path) -> dict[str, Any]:
    """A key that `assign` wrote.

    Raises
    ------
    KeyFileError
        It can't be read or is of another kind.
    """
    try:
        key = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise KeyFileError(f"{path}: {error}") from None
    if not isinstance(key, dict) or key.get("format") != FORMAT:
        raise KeyFileError(f"{path} is not a key that this version of genkit-book assign wrote")
    return key


def fingerprint(key: dict[str, Any]) -> str:
    """What tells one key from another."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


# ---------- comparing ----------


def score(probe: dict[str, Any], answer: Answer, reference: Answer) -> tuple[float, str]:
    """(share of the probe's points, what to say) for one answer with one seed."""
    if isinstance(reference, str):
        raise BankError(f"the reference solution gives no answer: {reference}")
    if isinstance(answer, str):
        return 0.0, _reason(answer)
    if [a.shape for a in answer] != [r.shape for r in reference] and not probe["judge"]:
        return 0.0, _misshapen(answer, reference)
    if probe["judge"]:
        space: dict[str, Any] = {"np": np}
        exec(compile(probe["judge"], "<judge>", "exec"), space)  # the instructor's own code
        try:
            with np.errstate(all="ignore"):
                share = float(space["judge"](answer, reference))
        except Exception:  # a judge need not foresee every shape
            share = 0.0
        share = min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0
        return share, "" if share == 1 else "the judge is not satisfied"
    if _close(answer, reference, probe["tol"], probe["tol"]):
        return 1.0, ""
    near = probe["tol"] < NEAR and _close(answer, reference, NEAR, NEAR)
    return 0.0, "wrong numbers" + (f", but close: to {NEAR:g}, not to {probe['tol']:g}" if near else "")


def _close(answer: list[np.ndarray], reference: list[np.ndarray], rtol: float, atol: float) -> bool:
    with np.errstate(all="ignore"):
        pairs = zip(answer, reference, strict=True)
        return all(np.allclose(a, r, rtol, atol, equal_nan=True) for a, r in pairs)


def _misshapen(answer: list[np.ndarray], reference: list[np.ndarray]) -> str:
    if len(answer) != len(reference):
        return "wrong number of results"
    same = [a.squeeze().shape for a in answer] == [r.squeeze().shape for r in reference]
    return "wrong shape" + (": an axis of length 1 too many or too few" if same else "")


def _reason(error: str) -> str:
    """What a student is told of a hidden probe that gave no numbers: of a closed list, so nothing leaks."""
    if error == "NotImplementedError":
        return "not attempted"
    if error in SAID:
        return error
    if error == "NameError":
        return "raised NameError: your function, or something that it uses, is not defined"
    return f"raised {error}" if error in KNOWN else "raised an exception"


@dataclass
class Jobs:
    """The probes of a key, each with its seeds, in the order in which a sandbox runs them."""

    key: dict[str, Any]
    seed: int

    def probes(self, numbers: Numbers) -> list[dict[str, Any]]:
        return [
            {"setup": e["setup"], "numbers": numbers.get(e["id"], {}), "code": p["code"], "seed": seed}
            for e, p, seed in self.each()
        ]

    def each(self) -> list[tuple[dict[str, Any], dict[str, Any], int]]:
        """(exercise, probe, seed), fresh for each grading and the same for every student of it."""
        return [
            (e, p, int(hashlib.sha256(f"{self.seed}/{e['id']}/{i}/{k}".encode()).hexdigest()[:8], 16) >> 1)
            for e in self.key["exercises"]
            for i, p in enumerate(e["probes"])
            for k in range(REPEATS)
        ]

    def setups(self) -> list[str]:
        return list(dict.fromkeys(e["setup"] for e in self.key["exercises"]))


def constants(numbers: Numbers) -> list[str]:
    """Cells that bind the numbers of each exercise."""
    return [f"globals().update({own!r})" for own in numbers.values() if own]


@dataclass
class Reference:
    """What the solution and each known wrong answer give, for one set of numbers."""

    answers: list[Answer]
    wrong: dict[str, list[tuple[str, list[Answer]]]]  # exercise -> (why, its answers)


def reference(box: Sandbox, jobs: Jobs, numbers: Numbers) -> Reference:
    """Run the key's own answers.

    Raises
    ------
    BankError
        A reference solution gives no numbers, or stops.
    """
    coded = [e for e in jobs.key["exercises"] if e["probes"]]
    groups = [[*jobs.setups(), *(e["solution"] for e in coded)]]
    wanted = [jobs.probes(numbers)]
    for e in coded:
        groups += [[e["setup"], code] for _, code in e["wrong"]]
        own = [p for p, (which, _, _) in zip(wanted[0], jobs.each(), strict=True) if which is e]
        wanted += [own] * len(e["wrong"])
    groups = [constants(numbers) + cells for cells in groups]
    limits = Limits(seconds=600, cell_seconds=120, probe_seconds=60)
    first, *rest = box.run(groups, wanted, limits, 1200).outcomes
    _must_answer(jobs, first)
    left = iter(rest)
    return Reference(
        first.answers, {e["id"]: [(why, next(left).answers) for why, _ in e["wrong"]] for e in coded}
    )


def _must_answer(jobs: Jobs, solutions: Outcome) -> None:
    """Raise BankError unless every probe of the solutions gave numbers."""
    if stopped := list(filter(None, solutions.cells or [])):
        raise BankError(f"a reference solution stops: {stopped[0]}")
    for (e, _, _), answer in zip(jobs.each(), solutions.answers, strict=True):
        if isinstance(answer, str):
            said = f"the reference solution gives no numbers: {answer} ({solutions.status})"
            raise BankError(f"exercise {e['id']!r}: {said}")


@dataclass
class Mark:
    """What one exercise earned, and why."""

    points: float
    notes: list[str] = field(default_factory=list)


def marks(jobs: Jobs, answers: list[Answer], ref: Reference) -> dict[str, Mark]:
    """Points of each coded exercise: a probe counts by the worst of its seeds."""
    out: dict[str, Mark] = {}
    shares: dict[tuple[str, int], list[tuple[float, str]]] = {}
    mine: dict[str, list[Answer]] = {}
    for (e, p, _), answer, right in zip(jobs.each(), answers, ref.answers, strict=True):
        shares.setdefault((e["id"], e["probes"].index(p)), []).append(score(p, answer, right))
        mine.setdefault(e["id"], []).append(answer)
    for e in jobs.key["exercises"]:
        if not e["probes"]:
            continue
        mark = out[e["id"]] = Mark(0.0)
        for i, p in enumerate(e["probes"]):
            share, note = min(shares[e["id"], i])
            mark.points += share * p["points"]
            if share < 1:
                mark.notes.append(f"probe {i + 1} of {len(e['probes'])} ({p['points']} p): {note}")
        if mark.points < e["points"]:
            same = [why for why, theirs in ref.wrong[e["id"]] if _alike(mine[e["id"]], theirs)]
            mark.notes += [f"your numbers are those of a common mistake: {why}" for why in same[:1]]
    return out


def _alike(mine: list[Answer], theirs: list[Answer]) -> bool:
    """The same numbers throughout, and numbers at all."""
    for a, b in zip(mine, theirs, strict=True):
        if isinstance(a, str) or isinstance(b, str) or [x.shape for x in a] != [x.shape for x in b]:
            return False
        if not _close(a, b, 1e-6, 1e-9):
            return False
    return True


# ---------- the bank itself ----------


def trial(box: Sandbox, master: Master, exercises: list[Exercise]) -> dict[str, list[str]]:
    """What is wrong with the probes of a master's exercises, by id; those that a person marks have none.

    Nothing, if the solution scores full twice, the stub nothing and no known wrong answer full.
    """
    tried: list[tuple[Exercise, Jobs, int]] = []  # with the number of its first group
    groups: list[list[str]] = []
    probes: list[list[dict[str, Any]]] = []
    for exercise in (e for e in exercises if not e.written):
        given = choose([master], [exercise.id], "trial")
        numbers = numbers_for(given, None)
        jobs = Jobs(make_key(given, {"": numbers}, None), secrets.randbelow(2**31))
        tried.append((exercise, jobs, len(groups)))
        answers = [exercise.solution, exercise.solution, exercise.stub, *(code for _, code in exercise.wrong)]
        groups += [[master.setup, *constants(numbers), code] for code in answers]
        probes += [jobs.probes(numbers)] * len(answers)
    limits = Limits(cell_seconds=60, probe_seconds=60)
    outcomes = box.run(groups, probes, limits, 1800).outcomes if groups else []
    return {e.id: _faults(e, jobs, outcomes[at : at + 3 + len(e.wrong)]) for e, jobs, at in tried}


def _faults(exercise: Exercise, jobs: Jobs, outcomes: list[Outcome]) -> list[str]:
    first = outcomes[0]
    stopped = [said for said in first.cells or [first.status] if said]
    stopped += [answer for answer in first.answers if isinstance(answer, str)]
    if stopped or not first.answers:
        return [f"the solution gives no numbers: {(stopped or ['it has no probes'])[0]}"]
    ref = Reference(first.answers, {exercise.id: []})
    again, stub, *wrong = (marks(jobs, outcome.answers, ref)[exercise.id] for outcome in outcomes[1:])
    full, out = exercise.points, []
    if again.points < full:
        out.append(f"the solution, run again, scores {again.points:g} of {full}: {'; '.join(again.notes)}")
    if stub.points > 0:
        out.append(f"the stub scores {stub.points:g} of {full}")
    for (why, _), mark in zip(exercise.wrong, wrong, strict=True):
        if mark.points >= full:
            out.append(f"the wrong answer ({why}) scores full")
    return out


# ---------- a folder ----------


def _saved(path: Path) -> dict[str, Any]:
    """What an earlier run left; nothing, if it can't be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


@dataclass
class Grading:
    """One folder of results: its seed, and a state for each submission, so that it can be taken up again."""

    key: dict[str, Any]
    out: Path
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        state, key = self.out / "state/run.json", fingerprint(self.key)
        run = _saved(state)
        if run.get("key") != key:  # another key: nothing of before holds
            run = {"key": key, "seed": secrets.randbelow(2**31)}
            for old in (self.out / "state").glob("*.json"):
                old.unlink()
            write_private(state, json.dumps(run))
        self.jobs = Jobs(self.key, run["seed"])

    def path(self, submission: Submission) -> Path:
        return self.out / "state" / f"{submission.slug}.json"

    def given(self) -> set[str]:
        """Sources of the cells that came with the assignment and need not run again."""
        cells = [e[role] for e in self.key["exercises"] for role in ("setup", "check")]
        return {cell.strip() for cell in (*cells, self.key.get("colab", ""))} - {""}

    def numbers(self, student: str) -> Numbers:
        return self.key["numbers"].get(student) or self.key["numbers"].get("") or {}

    def run(
        self,
        submissions: list[Submission],
        students: dict[str, str],
        make_box: Callable[[], Sandbox],
        workers: int = 2,
        say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
    ) -> list[dict[str, Any]]:
        """Grade what is not graded yet; the states of all, in the order given.

        A stub that was left as it was runs first: it undoes no answer that stands above it.
        """
        stubs = {e["stub"].strip() for e in self.key["exercises"]}
        states: dict[str, dict[str, Any]] = {}
        todo = []
        written = [e["id"] for e in self.key["exercises"] if not e["probes"]]
        for one in submissions:
            old, student = _saved(self.path(one)), students.get(one.name, "")
            if (old.get("digest"), old.get("student")) == (one.digest, student):  # the very same file
                states[one.name] = old
                continue
            read(one, self.given(), written)
            one.code.sort(key=lambda cell: cell[1].strip() not in stubs)
            todo.append(one)
        if todo:
            self._run(todo, states, students, make_box, workers, say)
        return [states[one.name] for one in submissions]

    def _run(self, todo: Any, states: Any, students: Any, make_box: Any, workers: int, say: Any) -> None:
        box = make_box()
        references: dict[str, Reference] = {}
        for numbers in (self.numbers(students.get(one.name, "")) for one in todo if one.code):
            at = json.dumps(numbers, sort_keys=True)
            if at not in references:
                say(f"running the reference solutions ({len(self.jobs.each())} probes)")
                references[at] = reference(box, self.jobs, numbers)
        lock, done, again = threading.Lock(), [0], []

        def one(submission: Submission) -> None:
            student = students.get(submission.name, "")
            state, crowded = self._grade(box, submission, student, references)
            with lock:
                if crowded and workers > 1:
                    again.append(submission)
                    return
                states[submission.name] = state
                write_private(self.path(submission), json.dumps(state, ensure_ascii=True))
                done[0] += 1
                took = f", {state['seconds']:.1f} s" if "seconds" in state else ""
                say(f"[{done[0]}/{len(todo)}] {submission.name}: {state['status']}{took}")

        with ThreadPoolExecutor(max(workers, 1)) as pool:
            try:
                list(pool.map(one, todo))
            except BaseException:  # Ctrl-C: finish what runs, begin nothing new
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        workers = 1  # one at a time, whoever was stopped while memory or processors were short
        for submission in again:
            one(submission)

    def _grade(
        self, box: Sandbox, submission: Submission, student: str, references: dict[str, Reference]
    ) -> tuple[dict[str, Any], bool]:
        state: dict[str, Any] = {
            "submission": submission.name, "slug": submission.slug, "digest": submission.digest,
            "student": student, "written": submission.written, "cells": [],
            "marks": {e["id"]: 0 for e in self.key["exercises"] if e["probes"]},
            "notes": {},
        }  # fmt: skip
        if submission.fault:
            return {**state, "status": submission.fault}, False
        if not submission.code:
            return {**state, "status": "ok"}, False
        numbers = self.numbers(student)
        preset = self.jobs.setups() + constants(numbers)
        cells = preset + [source for _, source in submission.code]
        run = box.run([cells], [self.jobs.probes(numbers)], self.limits)
        outcome = run.outcomes[0]
        found = marks(self.jobs, outcome.answers, references[json.dumps(numbers, sort_keys=True)])
        said = (outcome.cells or [])[len(preset) :]
        told = [(n, what) for (n, _), what in zip(submission.code, said, strict=False) if what]
        failed = [(n, " ".join(harmless(what).split())) for n, what in told]
        status = outcome.status
        if status == "ok" and failed:
            status = f"ok, {len(failed)} cell{'s' * (len(failed) > 1)} failed"
        if status.startswith("ok") and submission.assignment not in ("", self.key["name"]):
            status += f"; {OTHER} {submission.assignment!r}"
        state |= {
            "status": status, "seconds": round(run.seconds, 2), "cpu": round(run.cpu, 2), "cells": failed,
            "marks": {exercise: round(mark.points, 2) for exercise, mark in found.items()},
            "notes": {exercise: mark.notes for exercise, mark in found.items()},
        }  # fmt: skip
        return state, run.crowded


def collect(path: Path) -> list[Submission]:
    """All notebooks below a folder or in a zip."""
    return [one for one in find(path) if not one.other]
