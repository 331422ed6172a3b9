"""Numbers that functions take, checked by name."""

from __future__ import annotations

import math
import operator
from typing import Any

__all__ = ["integer", "positive"]


def integer(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """Check an integer argument; those of NumPy and torch will do, True and False will not.

    Parameters
    ----------
    name
        What the caller calls the argument.
    value
        An integer of any library.
    least, most
        The range that is allowed; no upper limit if None.

    Returns
    -------
    int
        The value as an int.

    Raises
    ------
    ValueError
        If it is no integer, or out of range.
    """
    boolean = isinstance(value, bool) or "bool" in str(getattr(value, "dtype", ""))
    try:
        number = operator.index(value)
    except TypeError:
        boolean = True
    if boolean:
        raise ValueError(f"{name} must be an integer, got {value!r}")
    if most is not None and not least <= number <= most:
        raise ValueError(f"{name} must be from {least} to {most}, got {number}")
    if number < least:
        raise ValueError(f"{name} must be at least {least}, got {number}")
    return number


def positive(name: str, value: Any) -> float:
    """Check a positive finite number.

    Parameters
    ----------
    name
        What the caller calls the argument.
    value
        A number of any library.

    Returns
    -------
    float
        The value as a float.

    Raises
    ------
    ValueError
        If it is no number, not positive or not finite.
    """
    if isinstance(value, (bool, str)):
        raise ValueError(f"{name} must be a positive number, got {value!r}")
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} must be a positive number, got {type(value).__name__}") from error
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be positive and finite, got {number:g}")
    return number
