"""Precision and recall of generative models by nearest neighbours, exact to the rounding of the features.

Arguments are tensors, arrays or lists of any real precision, also mixed; all is computed in float64.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from genkit.arguments import integer
from genkit.arrays import Array, blocks, magnitude, samples

__all__ = ["precision_recall"]


def precision_recall(real: Array, generated: Array, *, k: int = 3) -> tuple[float, float]:
    """Precision and recall by k nearest neighbours (Kynkäänniemi et al., 2019, arXiv:1904.06991).

    The support of a set is the union of the balls around its points that reach to the k-th nearest other
    point. Precision is the share of generated points in the support of the real ones; recall, the other way
    round. Equal distributions do not score 1: print the value of a second real sample beside it. Distances
    of the given numbers that differ only by the rounding of their computation count as equal, and a ball
    holds its surface; a point with k copies has a ball that holds its copies only.

    Parameters
    ----------
    real
        Features of shape (n, d), n > k.
    generated
        Features of shape (m, d), m > k.
    k
        The neighbour that sets a ball's radius.

    Returns
    -------
    tuple[float, float]
        Precision and recall as floats, each in [0, 1].

    Raises
    ------
    ValueError
        If shapes do not match, k < 1, there are too few rows, or a value is not finite.
    """
    k = integer("k", k)
    real, generated = (x.detach() for x in samples(least=k + 1, real=real, generated=generated))
    scale = magnitude(real, generated)
    origin = (real.double() / scale).mean(0)
    r, g = (_points(x, scale, origin) for x in (real, generated))
    reach_r, reach_g = _square_radii(r, k), _square_radii(g, k)
    # which points of g lie in the support of r, and of r in that of g
    in_r, in_g = (torch.zeros_like(reach, dtype=torch.bool) for reach in (reach_g, reach_r))
    for rows in blocks(len(r.rows), len(g.rows)):
        low, high = _bounds(r, g, rows)
        in_r |= (high <= reach_r[rows, None]).any(0)
        in_g[rows] |= (high <= reach_g).any(1)
        unsure = (low <= reach_r[rows, None]) & ~in_r | (low <= reach_g) & ~in_g[rows, None]
        i, j, square = _direct(r, g, rows, unsure)
        in_r[j[square <= reach_r[i]]] = True
        in_g[i[square <= reach_g[j]]] = True
    precision, recall = (inside[x.copy_of].double().mean() for inside, x in ((in_r, g), (in_g, r)))
    return float(precision), float(recall)


class _Points(NamedTuple):
    """The distinct rows of a sample: u of n."""

    rows: Tensor  # (u, d), in the sample's own precision
    scale: float
    centred: Tensor  # (u, d), of the rows over the scale, in float64
    norms: Tensor  # (u,), squared lengths of these
    counts: Tensor  # (u,), how often each row occurs
    copy_of: Tensor  # (n,), which of the rows each of the sample is


def _points(x: Tensor, scale: float, origin: Tensor) -> _Points:
    rows, copy_of, counts = x.unique(dim=0, return_inverse=True, return_counts=True)
    centred = rows.double() / scale - origin
    return _Points(rows, scale, centred, centred.square().sum(1), counts, copy_of)


def _rounding(d: int) -> float:
    """Relative error of a sum of d squares or products in float64, from above."""
    return (d + 8) * torch.finfo(torch.float64).eps


def _bounds(a: _Points, b: _Points, rows: slice) -> tuple[Tensor, Tensor]:
    """Bounds of the squared distances between some rows of a and those of b: fast, through products."""
    error = _rounding(a.centred.shape[1])  # times the sum of both squared lengths
    low = torch.addmm(b.norms * (1 - error), a.centred[rows], b.centred.T, alpha=-2)
    low += a.norms[rows, None] * (1 - error)
    high = low + a.norms[rows, None] * (2 * error)
    high += b.norms * (2 * error)
    return low, high


def _direct(a: _Points, b: _Points, rows: slice, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of the chosen pairs and their squared distances, through differences: without cancellation."""
    i, j = chosen.nonzero(as_tuple=True)
    i = i + rows.start
    square = a.norms.new_empty(len(i))
    for part in blocks(len(i), a.rows.shape[1]):
        gap = a.rows[i[part]].double() - b.rows[j[part]].double()
        square[part] = (gap / a.scale).square().sum(1)
    return i, j, square


def _square_radii(x: _Points, k: int) -> Tensor:
    """Squared distance of each distinct row to its k-th nearest other row, rounded up."""
    radii = torch.empty_like(x.norms)
    for rows in blocks(len(radii), len(radii)):
        low, high = _bounds(x, x, rows)
        near = low <= _kth_smallest(high, x.counts, rows, k)
        i, j, square = _direct(x, x, rows, near)
        exact = torch.full_like(low, math.inf)
        exact[i - rows.start, j] = square
        radii[rows] = _kth_smallest(exact, x.counts, rows, k).squeeze(1)
    return radii * (1 + _rounding(x.rows.shape[1]))


def _kth_smallest(square: Tensor, counts: Tensor, rows: slice, k: int) -> Tensor:
    """The k-th smallest of each row, shape (rows, 1), where columns count as often as they occur, without
    the point itself."""
    values, j = square.topk(min(k + 1, len(counts)), largest=False)
    itself = torch.arange(rows.start, rows.stop, device=j.device)[:, None]
    seen = (counts[j] - (j == itself).long()).cumsum(1)
    return values.gather(1, (seen < k).sum(1, keepdim=True))
