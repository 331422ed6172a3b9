"""What metrics and divergences take: arguments are checked here by name, and made double precision once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "Array",
    "blocks",
    "distributions",
    "doubles",
    "gaussians",
    "magnitude",
    "permutation",
    "reals",
    "rounding",
    "same_shape",
    "samples",
]

Array = Tensor | np.ndarray | Sequence
"""A tensor, a numpy array or a list of numbers."""


def _joined(words: Iterable) -> str:
    return " and ".join(map(str, words))


def _real(name: str, value: Array | float) -> Tensor:
    if isinstance(value, Tensor):
        if value.is_complex() or value.layout != torch.strided:
            raise ValueError(f"{name} must be dense and real, got {value.dtype} with layout {value.layout}")
        return value if value.is_floating_point() else value.double()
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise TypeError
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(value).__name__
        raise ValueError(f"{name} must be a tensor or an array of real numbers, got {kind}") from error
    size = min(array.itemsize, 8) if array.dtype.kind == "f" else 8
    return torch.from_numpy(np.require(array, f"f{size}", ["C", "W"]))  # torch warns of read-only arrays


def reals(*, finite: bool = True, **arrays: Array | float) -> list[Tensor]:
    """Make tensors of all arguments, on the device of those that are tensors, each in its own precision.

    Parameters
    ----------
    finite
        Refuse infinities, as nan is always refused.
    arrays
        The arguments under the names that the caller gives them.

    Returns
    -------
    list[Tensor]
        The tensors in the given order, with their gradients; integers become float64.

    Raises
    ------
    ValueError
        If an argument is not an array of real numbers, holds nan or an infinity, or two lie on different
        devices.
    """
    homes = {name: value.device for name, value in arrays.items() if isinstance(value, Tensor) and value.ndim}
    if len(set(homes.values())) > 1:
        raise ValueError(f"{_joined(homes)} must be on one device, got {_joined(homes.values())}")
    made = [_real(name, value).to(next(iter(homes.values()), None)) for name, value in arrays.items()]
    for name, tensor in zip(arrays, made, strict=True):
        if bool(tensor.isnan().any()):
            raise ValueError(f"{name} must hold no nan, got {int(tensor.isnan().sum())}")
        if finite and bool(tensor.isinf().any()):
            raise ValueError(f"{name} must be finite, got {int(tensor.isinf().sum())} values that are not")
    return made


def doubles(*, finite: bool = True, **arrays: Array | float) -> list[Tensor]:
    """Make float64 tensors of all arguments, see `reals`; gradients flow back in the argument's precision.

    Parameters
    ----------
    finite
        Refuse infinities, as nan is always refused.
    arrays
        The arguments under the names that the caller gives them.

    Returns
    -------
    list[Tensor]
        The tensors in the given order.

    Raises
    ------
    ValueError
        As `reals`.
    """
    return [tensor.double() for tensor in reals(finite=finite, **arrays)]


def rounding(**arrays: Array | float) -> float:
    """Relative error to expect of what was computed in the coarsest precision among the arguments.

    It is 4 units in the last place, and at least 1e-5: double precision may hold numbers that were computed
    in single precision.

    Parameters
    ----------
    arrays
        The arguments under the names that the caller gives them.

    Returns
    -------
    float
        A relative tolerance.

    Raises
    ------
    ValueError
        If an argument is not an array of real numbers.
    """
    return max(1e-5, *(4 * torch.finfo(_real(name, value).dtype).eps for name, value in arrays.items()))


def same_shape(**tensors: Tensor) -> None:
    """Refuse tensors of different shapes.

    Parameters
    ----------
    tensors
        The tensors under the names that the caller gives them.

    Raises
    ------
    ValueError
        If two shapes differ.
    """
    shapes = {name: tuple(t.shape) for name, t in tensors.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"{_joined(shapes)} must have the same shape, got {_joined(shapes.values())}")


def distributions(**arrays: Array) -> list[Tensor]:
    """Check distributions over the last axis, and divide what rounding leaves beside a sum of 1.

    Parameters
    ----------
    arrays
        Probabilities of shape (..., K) under the names that the caller gives them.

    Returns
    -------
    list[Tensor]
        The distributions in float64, which sum to 1 in float64.

    Raises
    ------
    ValueError
        If a shape is not (..., K), a value is negative, or a sum differs from 1 by more than the `rounding`
        of the coarsest argument.
    """
    atol, made = rounding(**arrays), []
    for name, p in zip(arrays, doubles(finite=True, **arrays), strict=True):
        if p.ndim == 0 or p.shape[-1] == 0:
            raise ValueError(f"{name} must have shape (..., K) with K >= 1, got {tuple(p.shape)}")
        if bool((p < 0).any()):
            raise ValueError(f"{name} must be non-negative, got {p.min():g}")
        mass = p.sum(-1, keepdim=True)
        off = float((mass.detach() - 1).abs().max()) if mass.numel() else 0.0
        if off > atol:
            raise ValueError(
                f"{name} must sum to 1 over its last axis to {atol:.0e}, got a sum that is off by {off:g}"
            )
        made.append(p / mass)
    return made


def samples(*, least: int = 1, **arrays: Array) -> list[Tensor]:
    """Check samples of vectors of one length.

    Parameters
    ----------
    least
        The smallest number of rows that is allowed.
    arrays
        Samples of shapes (n, d), (m, d), ... under the names that the caller gives them.

    Returns
    -------
    list[Tensor]
        The samples as tensors, each in its own precision.

    Raises
    ------
    ValueError
        If shapes do not match, there are too few rows, no columns, or a value is not finite.
    """
    made = reals(finite=True, **arrays)
    if any(x.ndim != 2 or x.shape[1] != made[0].shape[-1] or x.shape[1] == 0 for x in made):
        raise ValueError(
            f"{_joined(arrays)} must have shapes (n, d) and (m, d), d >= 1, "
            f"got {_joined(tuple(x.shape) for x in made)}"
        )
    for name, x in zip(arrays, made, strict=True):
        if len(x) < least:
            raise ValueError(f"{name} must have at least {least} rows, got {len(x)}")
    return made


def gaussians(**arrays: Array | float) -> list[Tensor]:
    """Check means and covariances of Gaussians of one dimension d.

    Parameters
    ----------
    arrays
        A mean (d,), its covariance (d, d), the next mean, ... under the names that the caller gives
        them; or numbers, which become d = 1.

    Returns
    -------
    list[Tensor]
        The means and covariances in float64.

    Raises
    ------
    ValueError
        If shapes do not match, a value is not finite, or a covariance is not symmetric.
    """
    names, made, atol = list(arrays), doubles(finite=True, **arrays), rounding(**arrays)
    for i in range(0, len(made), 2):
        if made[i].ndim == made[i + 1].ndim == 0:
            made[i], made[i + 1] = made[i].reshape(1), made[i + 1].reshape(1, 1)
        mean, cov = made[i], made[i + 1]
        if mean.ndim != 1 or len(mean) == 0 or cov.shape != (len(mean), len(mean)):
            raise ValueError(
                f"{_joined(names[i : i + 2])} must have shapes (d,) and (d, d), d >= 1, or both be numbers, "
                f"got {tuple(mean.shape)} and {tuple(cov.shape)}"
            )
        asymmetry = (cov - cov.T).abs().max()
        if asymmetry > atol * cov.abs().max():
            raise ValueError(f"{names[i + 1]} must be symmetric, got asymmetry {asymmetry:g}")
    same_shape(**dict(zip(names[::2], made[::2], strict=True)))
    return made


def magnitude(*tensors: Tensor) -> float:
    """Find the power of two below the largest absolute value; to divide by it rounds nothing.

    Parameters
    ----------
    tensors
        Finite tensors.

    Returns
    -------
    float
        A positive number, 1 if all values are 0.
    """
    return 2.0 ** (math.frexp(max(float(t.abs().max()) for t in tensors) or 1.0)[1] - 1)


def permutation(n: int, generator: torch.Generator | None) -> Tensor:
    """Draw a random order of n rows.

    Parameters
    ----------
    n
        The number of rows.
    generator
        Source of randomness, on any device; None is torch's global one.

    Returns
    -------
    Tensor
        Indices on the CPU, shape (n,).

    Raises
    ------
    ValueError
        If `generator` is of another kind.
    """
    if generator is not None and not isinstance(generator, torch.Generator):
        raise ValueError(f"generator must be a torch.Generator or None, got {type(generator).__name__}")
    return torch.randperm(n, generator=generator, device=generator.device if generator else None).cpu()


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Cut a matrix of pairs into blocks of rows that hold 2^19 numbers, 4 MiB, or one row if that is more.

    Parameters
    ----------
    rows
        Its number of rows.
    columns
        Its number of columns.

    Yields
    ------
    Iterator[slice]
        The rows of each block, as slices.
    """
    step = max(1, 2**19 // max(1, columns))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
