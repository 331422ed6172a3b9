"""Divergences between distributions: closed forms, quadrature on a grid, and estimates from samples."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "js_discrete",
    "js_quadrature",
    "kl_discrete",
    "kl_gaussian",
    "kl_quadrature",
    "mmd2",
    "tv_discrete",
    "tv_quadrature",
    "wasserstein_1d",
]

Array = Tensor | np.ndarray


def _tensors(**arrays: Array | float) -> list[Tensor]:
    """Make floating tensors of one dtype on one device; Python numbers and integers become float64."""
    made = []
    for name, value in arrays.items():
        try:
            tensor = value if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} must be a tensor or an array, got {type(value).__name__}") from error
        made.append(tensor if tensor.is_floating_point() else tensor.double())
        if bool(tensor.isnan().any()):
            raise ValueError(f"{name} must hold no nan, got {int(tensor.isnan().sum())}")
    dtype = reduce(torch.promote_types, [t.dtype for t in made])
    return [t.to(dtype) for t in made]


def _same_shape(**tensors: Tensor) -> None:
    shapes = {name: tuple(t.shape) for name, t in tensors.items()}
    if len(set(shapes.values())) != 1:
        raise ValueError(
            f"{' and '.join(shapes)} must have the same shape, got {' and '.join(map(str, shapes.values()))}"
        )


def _distributions(p: Array, q: Array) -> tuple[Tensor, Tensor]:
    p, q = _tensors(p=p, q=q)
    _same_shape(p=p, q=q)
    for name, r in (("p", p), ("q", q)):
        if r.ndim == 0 or r.shape[-1] == 0:
            raise ValueError(f"{name} must have shape (..., K) with K >= 1, got {tuple(r.shape)}")
        if bool((r < 0).any()):
            raise ValueError(f"{name} must be non-negative, got {r.min():g}")
        off = (r.sum(-1) - 1).abs().max() if r.numel() else torch.zeros(())
        if off > 1e-5 if r.dtype == torch.float32 else off > 1e-9:
            raise ValueError(f"{name} must sum to 1 over its last axis, got a sum that is off by {off:g}")
    return p, q


def _p_log_ratio(p: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
    """p (log p - log q), which is 0 where p = 0 and infinite where only q = 0; gradients stay finite."""
    used = p > 0
    return torch.where(used, p * (log_p.masked_fill(~used, 0) - log_q.masked_fill(~used, 0)), 0)


def kl_discrete(p: Array, q: Array) -> Tensor:
    r"""Kullback-Leibler divergence :math:`\sum_k p_k \log(p_k/q_k)`.

    Parameters
    ----------
    p : probabilities, shape (..., K).
    q : probabilities, shape (..., K).

    Returns
    -------
    Nats, shape (...); infinite where q = 0 < p.

    Raises
    ------
    ValueError
        If the shapes differ or a last axis is not a distribution.
    """
    p, q = _distributions(p, q)
    # log of 1 where p = 0: the term is 0 there, and its gradient must not be 0 times infinity
    log_p, log_q = (r.masked_fill(p == 0, 1).log() for r in (p, q))
    return _p_log_ratio(p, log_p, log_q).sum(-1)


def js_discrete(p: Array, q: Array) -> Tensor:
    r"""Jensen-Shannon divergence :math:`\tfrac12 KL(p\|m) + \tfrac12 KL(q\|m)` with :math:`m = (p + q)/2`.

    Parameters
    ----------
    p : probabilities, shape (..., K).
    q : probabilities, shape (..., K).

    Returns
    -------
    Nats, shape (...), at most log 2. Its square root is a metric (Endres & Schindelin, 2003); it is none.

    Raises
    ------
    ValueError
        If the shapes differ or a last axis is not a distribution.
    """
    p, q = _distributions(p, q)
    m = (p + q) / 2
    return (kl_discrete(p, m) + kl_discrete(q, m)) / 2


def tv_discrete(p: Array, q: Array) -> Tensor:
    r"""Total variation distance :math:`\tfrac12 \sum_k |p_k - q_k|`.

    Parameters
    ----------
    p : probabilities, shape (..., K).
    q : probabilities, shape (..., K).

    Returns
    -------
    A number in [0, 1], shape (...): the largest difference between the probabilities of one event.

    Raises
    ------
    ValueError
        If the shapes differ or a last axis is not a distribution.
    """
    p, q = _distributions(p, q)
    return (p - q).abs().sum(-1) / 2


def _moments(name: str, mean: Tensor, cov: Tensor) -> tuple[Tensor, Tensor]:
    """Check a mean (d,) and a symmetric covariance (d, d), or two numbers, which become d = 1."""
    if mean.ndim == 0 and cov.ndim == 0:
        mean, cov = mean.reshape(1), cov.reshape(1, 1)
    if mean.ndim != 1 or cov.shape != (len(mean), len(mean)):
        raise ValueError(
            f"mean_{name} and cov_{name} must have shapes (d,) and (d, d), or both be numbers, "
            f"got {tuple(mean.shape)} and {tuple(cov.shape)}"
        )
    asymmetry = (cov - cov.T).abs().max()
    if not asymmetry <= 1e-5 * cov.abs().max():
        raise ValueError(f"cov_{name} must be symmetric, got asymmetry {asymmetry:g}")
    return mean, cov


def _cholesky(name: str, cov: Tensor) -> Tensor:
    factor, info = torch.linalg.cholesky_ex(cov)
    if info:
        least = torch.linalg.eigvalsh(cov)[0]
        raise ValueError(f"{name} must be positive definite, got smallest eigenvalue {least:g}")
    return factor


def kl_gaussian(
    mean_p: Array | float, cov_p: Array | float, mean_q: Array | float, cov_q: Array | float
) -> Tensor:
    r"""Kullback-Leibler divergence between two Gaussians.

    :math:`KL(p\|q) = \tfrac12[\operatorname{tr}(\Sigma_q^{-1}\Sigma_p) - d
    + (\mu_q-\mu_p)^\top\Sigma_q^{-1}(\mu_q-\mu_p) + \log\det\Sigma_q - \log\det\Sigma_p]`.

    Parameters
    ----------
    mean_p : mean of p, shape (d,), or a number.
    cov_p : covariance of p (in one dimension: the variance), shape (d, d), or a number.
    mean_q : mean of q, as `mean_p`.
    cov_q : covariance of q, as `cov_p`.

    Returns
    -------
    Nats, a scalar tensor.

    Raises
    ------
    ValueError
        If shapes do not match or a covariance is not symmetric and positive definite.
    """
    mean_p, cov_p, mean_q, cov_q = _tensors(mean_p=mean_p, cov_p=cov_p, mean_q=mean_q, cov_q=cov_q)
    mean_p, cov_p = _moments("p", mean_p, cov_p)
    mean_q, cov_q = _moments("q", mean_q, cov_q)
    _same_shape(mean_p=mean_p, mean_q=mean_q)
    factor_p, factor_q = _cholesky("cov_p", cov_p), _cholesky("cov_q", cov_q)
    trace = torch.linalg.solve_triangular(factor_q, factor_p, upper=False).square().sum()
    gap = torch.linalg.solve_triangular(factor_q, (mean_q - mean_p)[:, None], upper=False).square().sum()
    log_dets = 2 * (factor_q.diagonal().log().sum() - factor_p.diagonal().log().sum())
    return (trace + gap - len(mean_p) + log_dets) / 2


def _log_densities(
    log_p: Array, log_q: Array, grid: Array, mass_atol: float
) -> tuple[Tensor, Tensor, Tensor]:
    log_p, log_q, grid = _tensors(log_p=log_p, log_q=log_q, grid=grid)
    _same_shape(log_p=log_p, log_q=log_q, grid=grid)
    if grid.ndim != 1 or len(grid) < 2 or not bool((grid.diff() > 0).all()):
        raise ValueError(f"grid must be increasing with shape (n,), n >= 2, got shape {tuple(grid.shape)}")
    for name, log_r in (("log_p", log_p), ("log_q", log_q)):
        mass = torch.trapezoid(log_r.exp(), grid)
        if not abs(mass - 1) <= mass_atol:
            raise ValueError(f"{name} must be a log density with mass 1 on the grid, got mass {mass:g}")
    return log_p, log_q, grid


def kl_quadrature(log_p: Array, log_q: Array, grid: Array, *, mass_atol: float = 1e-3) -> Tensor:
    r"""Kullback-Leibler divergence :math:`\int p \log(p/q)\,dx` on the line, by the trapezoidal rule.

    Parameters
    ----------
    log_p : log density of p at the grid's points, shape (n,).
    log_q : log density of q at the grid's points, shape (n,).
    grid : increasing points that hold the mass of both, shape (n,).
    mass_atol : how far from 1 the two masses on the grid may be.

    Returns
    -------
    Nats, a scalar tensor.

    Raises
    ------
    ValueError
        If the shapes differ, the grid does not increase, or a mass on it is not 1.
    """
    log_p, log_q, grid = _log_densities(log_p, log_q, grid, mass_atol)
    return torch.trapezoid(_p_log_ratio(log_p.exp(), log_p, log_q), grid)


def js_quadrature(log_p: Array, log_q: Array, grid: Array, *, mass_atol: float = 1e-3) -> Tensor:
    r"""Jensen-Shannon divergence on the line, by the trapezoidal rule; see `js_discrete`.

    Parameters
    ----------
    log_p : log density of p at the grid's points, shape (n,).
    log_q : log density of q at the grid's points, shape (n,).
    grid : increasing points that hold the mass of both, shape (n,).
    mass_atol : how far from 1 the two masses on the grid may be.

    Returns
    -------
    Nats, a scalar tensor, at most log 2.

    Raises
    ------
    ValueError
        If the shapes differ, the grid does not increase, or a mass on it is not 1.
    """
    log_p, log_q, grid = _log_densities(log_p, log_q, grid, mass_atol)
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    terms = _p_log_ratio(log_p.exp(), log_p, log_m) + _p_log_ratio(log_q.exp(), log_q, log_m)
    return torch.trapezoid(terms, grid) / 2


def tv_quadrature(log_p: Array, log_q: Array, grid: Array, *, mass_atol: float = 1e-3) -> Tensor:
    r"""Total variation distance :math:`\tfrac12\int |p - q|\,dx` on the line, by the trapezoidal rule.

    Parameters
    ----------
    log_p : log density of p at the grid's points, shape (n,).
    log_q : log density of q at the grid's points, shape (n,).
    grid : increasing points that hold the mass of both, shape (n,).
    mass_atol : how far from 1 the two masses on the grid may be.

    Returns
    -------
    A number in [0, 1], a scalar tensor.

    Raises
    ------
    ValueError
        If the shapes differ, the grid does not increase, or a mass on it is not 1.
    """
    log_p, log_q, grid = _log_densities(log_p, log_q, grid, mass_atol)
    return torch.trapezoid((log_p.exp() - log_q.exp()).abs(), grid) / 2


def wasserstein_1d(x: Array, y: Array) -> Tensor:
    r"""Wasserstein-1 distance between two samples on the line.

    :math:`W_1 = \int |F_x(t) - F_y(t)|\,dt` with the empirical distribution functions; for equally many
    points the mean distance of the sorted samples.

    Parameters
    ----------
    x : sample of shape (n,).
    y : sample of shape (m,).

    Returns
    -------
    A scalar tensor, in the units of the data.

    Raises
    ------
    ValueError
        If a sample is not one-dimensional, or empty.
    """
    x, y = _tensors(x=x, y=y)
    for name, sample in (("x", x), ("y", y)):
        if sample.ndim != 1 or len(sample) == 0:
            raise ValueError(f"{name} must have shape (n,), n >= 1, got {tuple(sample.shape)}")
    x, y = x.sort().values, y.sort().values
    if len(x) == len(y):
        return (x - y).abs().mean()
    both = torch.cat([x, y]).sort().values
    below_x, below_y = (
        torch.searchsorted(s, both[:-1].contiguous(), right=True).to(s.dtype) / len(s) for s in (x, y)
    )
    return ((below_x - below_y).abs() * both.diff()).sum()


def mmd2(x: Array, y: Array, *, bandwidth: float | None = None, unbiased: bool = True) -> Tensor:
    r"""Squared maximum mean discrepancy (Gretton et al., 2012) with a Gaussian kernel.

    :math:`MMD^2 = E\,k(x,x') + E\,k(y,y') - 2E\,k(x,y)` with :math:`k(a,b) = e^{-\|a-b\|^2/(2h^2)}`. The
    unbiased estimate leaves out the pairs of a point with itself; its mean is 0 for equal distributions, so
    that it is often negative then.

    Parameters
    ----------
    x : sample of shape (n, d).
    y : sample of shape (m, d).
    bandwidth : h; None means the median distance between two points of the pooled sample.
    unbiased : U-statistic (leave out i = j) or V-statistic (keep it).

    Returns
    -------
    A scalar tensor without unit, in [0, 2] if biased.

    Raises
    ------
    ValueError
        If the shapes do not match, a sample is too small, or the bandwidth is not positive.
    """
    x, y = _tensors(x=x, y=y)
    least = 2 if unbiased else 1
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < least:
        raise ValueError(
            f"x and y must have shapes (n, d) and (m, d) with n, m >= {least}, "
            f"got {tuple(x.shape)} and {tuple(y.shape)}"
        )
    if bandwidth is None:
        bandwidth = float(torch.pdist(torch.cat([x, y]).detach()).median())
    if not bandwidth > 0:
        raise ValueError(f"bandwidth must be positive, got {bandwidth:g}")
    n, m = len(x), len(y)
    xx, yy, xy = (
        _square_distances(a, b).div(-2 * bandwidth**2).exp().sum() for a, b in ((x, x), (y, y), (x, y))
    )
    if unbiased:
        return (xx - n) / (n * (n - 1)) + (yy - m) / (m * (m - 1)) - 2 * xy / (n * m)
    return xx / n**2 + yy / m**2 - 2 * xy / (n * m)


def _square_distances(a: Tensor, b: Tensor) -> Tensor:
    # not through |a|² - 2ab + |b|², which loses the digits of small distances
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()
