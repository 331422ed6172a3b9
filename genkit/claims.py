"""Claims: a statement of the book, the number that was measured, and the truth it is held against.

Every claim is executed where it stands, fails loudly outside its tolerance, and leaves a record in the
notebook's output from which the book's ledger of claims is built. A cell shows how many it holds.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from genkit.checks import Line, fold, show

__all__ = ["ClaimError", "agree", "claim", "monte_carlo", "self_check"]


class ClaimError(AssertionError):
    """A measured value lies outside the tolerance that the claim states."""


def _array(name: str, value: Any) -> np.ndarray:
    """`value` as a float64 array; booleans count as 0 and 1."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    try:
        out = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a number or an array of numbers, got {value!r}") from error
    if out.size == 0:
        raise ValueError(f"{name} must not be empty")
    return out


def _number(x: float, digits: int) -> str:
    """`x` at `digits` significant digits, zeros kept; what is whole up to rounding, as a whole number."""
    if math.isfinite(x) and abs(x) < 1e6 and abs(x - round(x)) <= 1e-9 * max(1.0, abs(x)):
        return f"{round(x)}"
    return f"{x:#.{digits}g}".rstrip(".")


def _numbers(a: np.ndarray, digits: int) -> str:
    if a.ndim == 0:
        return _number(float(a), digits)
    if a.size > 8:
        return f"{a.size} values, {_number(float(a.min()), digits)} to {_number(float(a.max()), digits)}"
    return ", ".join(_number(float(x), digits) for x in a.ravel())


def _check_words(name: str, statement: str, by: str, depends_on: str) -> None:
    if not name or not all((w.isalnum() and w.islower()) or w.isdigit() for w in name.split("-")):
        raise ValueError(f"name must be lower-case words joined by hyphens, got {name!r}")
    if not statement or not by:
        raise ValueError(f"statement and by must say something, got {statement!r} and {by!r} in {name!r}")
    if not set(depends_on.split()) <= {"split", "seed"}:
        raise ValueError(f'depends_on must name "split", "seed" or both, got {depends_on!r} in {name!r}')


def _errors(se: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The standard errors of a measured value of this shape; 0 if it has none."""
    errors = np.zeros(()) if se is None else _array("se", se)
    if not (np.isfinite(errors).all() and (errors >= 0).all()):
        raise ValueError(f"se must be finite and not negative, got {se!r}")
    if errors.ndim and errors.shape != shape:
        raise ValueError(f"se must be a number or have measured's shape {shape}, got {errors.shape}")
    return errors


def _near(t: np.ndarray, tolerance: np.ndarray, rtol: float, digits: int) -> str:
    """What is wanted of a measured value that has a truth."""
    text, width = _numbers(t, digits), float(np.max(tolerance))
    if width == 0:
        return text
    if t.ndim == 0:
        return f"{text} ± {width:.2g}"
    return f"{text}, each within {rtol:.2g} of itself" if rtol else f"{text}, each within {width:.2g}"


def _between(low: float | None, high: float | None, slack: np.ndarray, z: float) -> str:
    """What is wanted of a measured value that has bounds."""
    text = f"at most {high:.4g}" if low is None else f"at least {low:.4g}"
    if low is not None and high is not None:
        text = f"between {low:.4g} and {high:.4g}"
    return f"{text}, give or take {z:g} standard errors" if np.any(slack) else text


def claim(
    name: str,
    statement: str,
    measured: ArrayLike | torch.Tensor,
    truth: ArrayLike | torch.Tensor | None = None,
    *,
    item: str = "",
    by: str,
    atol: float = 0.0,
    rtol: float = 0.0,
    se: ArrayLike | torch.Tensor | None = None,
    z: float = 4.0,
    at_least: float | None = None,
    at_most: float | None = None,
    unit: str = "",
    digits: int = 4,
    stable: bool = True,
    depends_on: str = "",
) -> None:
    r"""Hold a measured number against a truth that was found by another route.

    Two-sided, with a truth :math:`t`: :math:`|m - t| \le a + r|t| + z\,s` elementwise, where `a`, `r` are
    `atol`, `rtol` and `s` is the standard error `se` of a Monte Carlo estimate. One-sided, with bounds:
    :math:`l - z s \le m \le u + z s`.

    Parameters
    ----------
    name
        The claim's name, lower case words joined by hyphens, unique in the book.
    statement
        What is measured, in a few words.
    measured, truth
        Numbers, booleans or arrays of equal shape (an array is one claim, held elementwise).
    item
        The entries of the register of mistakes that the claim shows, such as ``"E1.1"``.
    by
        Where the truth comes from: a closed form, quadrature, enumeration, a published table.
    atol, rtol, se, z
        The tolerance: absolute, relative to the truth, and `z` standard errors.
    at_least, at_most
        Bounds, instead of a truth; either or both.
    unit
        Unit of the measured number, such as ``"nats"``.
    digits
        Significant digits shown.
    stable
        False for what comes out of stochastic training: no digit of it is printed, since processors
        differ in the last places and training enlarges the difference.
    depends_on
        ``"split"``, ``"seed"`` or both, for what need not hold under another split of the data or
        another seed. The book's ledger says so, and ``make stability`` expects it.

    Raises
    ------
    ClaimError
        The measured value is outside the tolerance (or not a number).
    ValueError
        The claim itself is ill-formed.
    """
    _check_words(name, statement, by, depends_on)
    if (truth is None) == (at_least is None and at_most is None):
        raise ValueError(f"claim {name!r} needs either truth or at_least/at_most, got both or neither")
    if not all(math.isfinite(x) and x >= 0 for x in (atol, rtol, z)):
        raise ValueError(f"atol, rtol and z must be finite and not negative, got {atol}, {rtol}, {z}")
    m = _array("measured", measured)
    t = None if truth is None else _array("truth", truth)
    errors = _errors(se, m.shape)
    tolerance = slack = z * errors
    if t is None:
        low, high = (-math.inf if at_least is None else at_least), (math.inf if at_most is None else at_most)
        ok = np.isfinite(m).all() and (low - slack <= m).all() and (m <= high + slack).all()
        wanted = _between(at_least, at_most, slack, z)
    else:
        if t.shape != m.shape:
            raise ValueError(f"truth must have measured's shape {m.shape}, got {t.shape}")
        tolerance = atol + rtol * np.abs(t) + slack
        ok = (np.abs(m - t) <= tolerance).all()
        wanted = _near(t, tolerance, rtol, digits)
    shown = _numbers(m, digits)
    if m.ndim == 0 and not isinstance(measured, torch.Tensor) and np.asarray(measured).dtype == bool:
        shown = "yes" if m else "no"
        wanted = wanted if t is None else "yes" if t else "no"
    units = f" {unit}" if unit else ""
    if not ok:
        raise ClaimError(f"claim {name!r} fails: {statement}: measured {shown}{units}, {wanted} ({by})")

    record = {
        "id": name,
        "statement": statement,
        "item": item.split(),
        "by": by,
        "measured": m.tolist(),
        "truth": None if t is None else t.tolist(),
        "tolerance": tolerance.tolist(),
        "at_least": at_least,
        "at_most": at_most,
        "se": None if se is None else errors.tolist(),
        "unit": unit,
        "wanted": wanted,
        "stable": stable,
        "depends_on": depends_on,
    }
    value = f"{shown}{units}" if stable else "inside"
    text = f"✓ {statement}: {value} [{wanted}; {by}]"
    markup = (
        f'<div class="claim" id="claim-{name}"><span class="claim-mark" aria-hidden="true">✓</span> '
        f'<span class="claim-text">{html.escape(statement)}:</span> '
        f'<strong class="claim-value">{html.escape(value)}</strong> '
        f'<span class="claim-truth">[{html.escape(wanted)}; {html.escape(by)}]</span></div>'
    )
    fold(Line(text, markup, record))


def agree(
    name: str,
    mine: ArrayLike | torch.Tensor,
    theirs: ArrayLike | torch.Tensor,
    *,
    atol: float = 1e-12,
    rtol: float = 1e-9,
) -> None:
    """Assert that the page's own code and its twin in `genkit` give the same numbers.

    Parameters
    ----------
    name
        What agrees, in lower-case words joined by hyphens.
    mine, theirs
        The two results, of equal shape.
    atol, rtol
        The tolerance, ``atol + rtol * |theirs|`` elementwise.

    Raises
    ------
    ClaimError
        They differ by more than ``atol + rtol * |theirs|``, or have different shapes.
    ValueError
        `mine` or `theirs` is not numeric.
    """
    a, b = _array("mine", mine), _array("theirs", theirs)
    if a.shape != b.shape:
        raise ClaimError(f"{name!r}: shapes differ, {a.shape} on the page and {b.shape} in genkit")
    worst = float(np.max(np.abs(a - b)))
    if not bool((np.abs(a - b) <= atol + rtol * np.abs(b)).all()):
        raise ClaimError(f"{name!r}: the page and genkit differ by {worst:.3g}")
    text = f"✓ {name}: the code above and genkit agree"
    fold(Line(text, f'<div class="claim claim-agree"><span aria-hidden="true">✓</span> {text[2:]}</div>'))


def monte_carlo(values: ArrayLike | torch.Tensor) -> tuple[float, float]:
    r"""Mean and standard error of independent draws, :math:`\bar v` and :math:`s/\sqrt n`.

    Parameters
    ----------
    values
        Shape ``(n,)``, ``n >= 2``.

    Raises
    ------
    ValueError
        `values` is not one-dimensional or has fewer than two entries.
    """
    v = _array("values", values)
    if v.ndim != 1 or v.size < 2:
        raise ValueError(f"values must have shape (n,) with n >= 2, got {v.shape}")
    return float(v.mean()), float(v.std(ddof=1) / math.sqrt(v.size))


def self_check(name: str, check: Callable[[], None]) -> bool:
    """Run an exercise's check and say in one line how it went; never let an exception out.

    Parameters
    ----------
    name
        The exercise's name.
    check
        Asserts properties of the reader's answer; if the answer still raises ``NotImplementedError``,
        the exercise counts as not attempted.

    Returns
    -------
    bool
        Whether every assertion held.
    """
    try:
        check()
    except NotImplementedError:
        ok, mark, text = False, "·", "not attempted yet"
    except AssertionError as error:
        ok, mark, text = False, "✗", str(error) or "a property that must hold does not"
    except Exception as error:
        ok, mark, text = False, "✗", f"{type(error).__name__}: {error}"
    else:
        ok, mark, text = True, "✓", "your answer passes its checks"
    text = f"{name}: {text}"
    markup = f'<div class="self-check"><span aria-hidden="true">{mark}</span> {html.escape(text)}</div>'
    show(Line(f"{mark} {text}", markup))
    return ok
