"""What a notebook shows of checks: all those of a cell behind one line that counts them and opens."""

from __future__ import annotations

import html
import sys
from dataclasses import dataclass
from typing import Any

__all__ = ["Checks", "Line", "fold", "show"]

CLAIM = "genkit_claim"  # key of the claims' records in the metadata of a cell's output


@dataclass
class Line:
    """One check as text and as HTML, with a record for the book's ledger if it is a claim."""

    text: str
    markup: str
    record: dict[str, Any] | None = None

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": self.text, "text/html": self.markup}


@dataclass
class Checks:
    """The checks of one cell, folded."""

    lines: list[Line]

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        head = f"✓ {len(self.lines)} check{'s' * (len(self.lines) > 1)}"
        markup = "".join(line.markup for line in self.lines)
        bundle = {
            "text/plain": "\n".join([head, *(f"  {line.text}" for line in self.lines)]),
            "text/html": f'<details class="claims"><summary>{html.escape(head)}</summary>{markup}</details>',
        }
        return bundle, {CLAIM: [line.record for line in self.lines if line.record is not None]}


_waiting: list[Line] = []


def _kernel() -> Any:
    """The notebook's shell; None in a script or a plain interpreter."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell if hasattr(shell, "kernel") else None


def _show_waiting(*_: Any) -> None:
    from IPython.display import display

    if _waiting:
        lines = _waiting.copy()
        _waiting.clear()
        display(Checks(lines))


def show(line: Line) -> None:
    """Display `line` in a notebook, print it anywhere else."""
    if _kernel() is None:
        print(line.text)
    else:
        from IPython.display import display

        display(line)


def fold(line: Line) -> None:
    """Show `line` behind the one line that counts the checks of its cell; print it outside a notebook."""
    shell = _kernel()
    if shell is None:
        print(line.text)
        return
    if _show_waiting not in shell.events.callbacks["post_run_cell"]:
        shell.events.register("post_run_cell", _show_waiting)
    _waiting.append(line)
