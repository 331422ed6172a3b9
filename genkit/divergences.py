"""Divergences between distributions: closed forms, quadrature on a grid, and estimates from samples.

Arguments are tensors, arrays or lists of any real precision, also mixed. All is computed in float64 on the
device of the tensors (one without float64, like Apple's, needs `x.cpu()`), and results are float64 tensors
there, differentiable in the arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from genkit.arguments import positive
from genkit.arrays import Array, blocks, distributions, doubles, gaussians, magnitude, same_shape, samples

__all__ = [
    "js_discrete",
    "js_quadrature",
    "kernel_mmd2",
    "kl_discrete",
    "kl_gaussian",
    "kl_quadrature",
    "mmd2",
    "tv_discrete",
    "wasserstein_1d",
]


def _discrete(p: Array, q: Array) -> list[Tensor]:
    p, q = distributions(p=p, q=q)
    same_shape(p=p, q=q)
    return [p, q]


def _p_log_ratio(p: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
    """p (log p - log q), which is 0 where p = 0 and infinite where only q = 0; gradients stay finite."""
    used = p > 0
    return torch.where(used, p * (log_p.masked_fill(~used, 0) - log_q.masked_fill(~used, 0)), 0)


def kl_discrete(p: Array, q: Array) -> Tensor:
    r"""Kullback-Leibler divergence :math:`\sum_k p_k \log(p_k/q_k)`.

    Parameters
    ----------
    p
        Probabilities, shape (..., K).
    q
        Probabilities, shape (..., K).

    Returns
    -------
    Tensor
        Nats in float64, shape (...); infinite where q = 0 < p.

    Raises
    ------
    ValueError
        If the shapes differ, or a last axis is not a distribution to the precision of the inputs.
    """
    p, q = _discrete(p, q)
    # log of 1 where p = 0: the term is 0 there, and its gradient must not be 0 times infinity
    log_p, log_q = (r.masked_fill(p == 0, 1).log() for r in (p, q))
    return _p_log_ratio(p, log_p, log_q).sum(-1)


def js_discrete(p: Array, q: Array) -> Tensor:
    r"""Jensen-Shannon divergence :math:`\tfrac12 KL(p\|m) + \tfrac12 KL(q\|m)` with :math:`m = (p + q)/2`.

    Parameters
    ----------
    p
        Probabilities, shape (..., K).
    q
        Probabilities, shape (..., K).

    Returns
    -------
    Tensor
        Nats in float64, shape (...), at most log 2. Its square root is a metric (Endres & Schindelin, 2003);
        it is none.

    Raises
    ------
    ValueError
        If the shapes differ, or a last axis is not a distribution to the precision of the inputs.
    """
    p, q = _discrete(p, q)
    # log(p + q) - log 2, as (p + q)/2 may underflow to 0 where p does not
    log_m = (p + q).masked_fill(p + q == 0, 1).log() - math.log(2)
    terms = [_p_log_ratio(r, r.masked_fill(r == 0, 1).log(), log_m) for r in (p, q)]
    return (terms[0] + terms[1]).sum(-1) / 2


def tv_discrete(p: Array, q: Array) -> Tensor:
    r"""Total variation distance :math:`\tfrac12 \sum_k |p_k - q_k|`.

    Parameters
    ----------
    p
        Probabilities, shape (..., K).
    q
        Probabilities, shape (..., K).

    Returns
    -------
    Tensor
        In [0, 1], float64, shape (...): the largest difference between the probabilities of one event.

    Raises
    ------
    ValueError
        If the shapes differ, or a last axis is not a distribution to the precision of the inputs.
    """
    p, q = _discrete(p, q)
    return (p - q).abs().sum(-1) / 2


def _cholesky(name: str, cov: Tensor) -> Tensor:
    factor, info = torch.linalg.cholesky_ex(cov)
    if bool(info):
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
    mean_p
        Mean of p, shape (d,), or a number.
    cov_p
        Covariance of p (in one dimension: the variance), shape (d, d), or a number.
    mean_q
        Mean of q, as `mean_p`.
    cov_q
        Covariance of q, as `cov_p`.

    Returns
    -------
    Tensor
        Nats, a scalar float64 tensor.

    Raises
    ------
    ValueError
        If shapes do not match, a value is not finite, or a covariance is not symmetric and positive definite.
    """
    mean_p, cov_p, mean_q, cov_q = gaussians(mean_p=mean_p, cov_p=cov_p, mean_q=mean_q, cov_q=cov_q)
    factor_p, factor_q = _cholesky("cov_p", cov_p), _cholesky("cov_q", cov_q)
    trace = torch.linalg.solve_triangular(factor_q, factor_p, upper=False).square().sum()
    gap = torch.linalg.solve_triangular(factor_q, (mean_q - mean_p)[:, None], upper=False).square().sum()
    log_dets = 2 * (factor_q.diagonal().log().sum() - factor_p.diagonal().log().sum())
    return (trace + gap - len(mean_p) + log_dets) / 2


def _log_densities(
    log_p: Array, log_q: Array, grid: Array, mass_atol: float
) -> tuple[Tensor, Tensor, Tensor]:
    (grid,) = doubles(grid=grid)
    mass_atol = positive("mass_atol", mass_atol)
    log_p, log_q, grid = doubles(finite=False, log_p=log_p, log_q=log_q, grid=grid)
    same_shape(log_p=log_p, log_q=log_q, grid=grid)
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
    log_p
        Log density of p at the grid's points, shape (n,).
    log_q
        Log density of q at the grid's points, shape (n,).
    grid
        Increasing points that hold the mass of both, shape (n,).
    mass_atol
        How far from 1 the two masses on the grid may be.

    Returns
    -------
    Tensor
        Nats, a scalar float64 tensor.

    Raises
    ------
    ValueError
        If the shapes differ, a value is nan, the grid does not increase, or a mass on it is not 1.
    """
    log_p, log_q, grid = _log_densities(log_p, log_q, grid, mass_atol)
    return torch.trapezoid(_p_log_ratio(log_p.exp(), log_p, log_q), grid)


def js_quadrature(log_p: Array, log_q: Array, grid: Array, *, mass_atol: float = 1e-3) -> Tensor:
    r"""Jensen-Shannon divergence on the line, by the trapezoidal rule; see `js_discrete`.

    Parameters
    ----------
    log_p
        Log density of p at the grid's points, shape (n,).
    log_q
        Log density of q at the grid's points, shape (n,).
    grid
        Increasing points that hold the mass of both, shape (n,).
    mass_atol
        How far from 1 the two masses on the grid may be.

    Returns
    -------
    Tensor
        Nats, a scalar float64 tensor, at most log 2.

    Raises
    ------
    ValueError
        If the shapes differ, a value is nan, the grid does not increase, or a mass on it is not 1.
    """
    log_p, log_q, grid = _log_densities(log_p, log_q, grid, mass_atol)
    # exp(-1000) is 0 already, and unlike that of minus infinity its logarithm has a gradient
    log_m = torch.logaddexp(log_p.clamp(min=-1000), log_q.clamp(min=-1000)) - math.log(2)
    terms = _p_log_ratio(log_p.exp(), log_p, log_m) + _p_log_ratio(log_q.exp(), log_q, log_m)
    return torch.trapezoid(terms, grid) / 2


def wasserstein_1d(x: Array, y: Array) -> Tensor:
    r"""Wasserstein-1 distance between two samples on the line.

    :math:`W_1 = \int |F_x(t) - F_y(t)|\,dt` with the empirical distribution functions; for equally many
    points the mean distance of the sorted samples.

    Parameters
    ----------
    x
        Sample of shape (n,).
    y
        Sample of shape (m,).

    Returns
    -------
    Tensor
        A scalar float64 tensor, in the units of the data.

    Raises
    ------
    ValueError
        If a sample is not one-dimensional, empty or not finite.
    """
    x, y = doubles(x=x, y=y)
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


def kernel_mmd2(
    kernel: Callable[[Tensor, Tensor], Tensor], x: Array, y: Array, *, unbiased: bool = True
) -> Tensor:
    r"""Squared maximum mean discrepancy of any kernel, in blocks (Gretton et al., 2012).

    :math:`MMD^2 = E\,k(x,x') + E\,k(y,y') - 2E\,k(x,y)`. The unbiased estimate leaves out the pairs of a
    point with itself; its mean is 0 for equal distributions, so that it is often negative then. Memory beside
    the inputs in float64 is a few times 4 MiB, unless a gradient is asked for, which keeps all pairs.

    Parameters
    ----------
    kernel
        A symmetric kernel, which takes points of shapes (a, d) and (b, d) and gives shape (a, b).
    x
        Sample of shape (n, d).
    y
        Sample of shape (m, d).
    unbiased
        U-statistic (leave out i = j) or V-statistic (keep it).

    Returns
    -------
    Tensor
        A scalar float64 tensor, in units of the kernel.

    Raises
    ------
    ValueError
        If the shapes do not match, a value is not finite, or a sample is too small: fewer than two points,
        or none if biased; or if the kernel overflows.
    """
    x, y = (z.double() for z in samples(least=2 if unbiased else 1, x=x, y=y))
    within = []
    for z in (x, y):
        # the pairs i > j only: what subtracting the diagonal from all pairs leaves may be rounding
        total = z.new_zeros(())
        for rows in blocks(len(z), len(z)):
            k = kernel(z[rows], z[: rows.stop])
            total = total + 2 * k.tril(rows.start - 1).sum()
            if not unbiased:
                total = total + k.diagonal(rows.start).sum()
        within.append(total / (len(z) * (len(z) - 1 if unbiased else len(z))))
    across = sum(kernel(x[rows], y).sum() for rows in blocks(len(x), len(y))) / (len(x) * len(y))
    mmd = within[0] + within[1] - 2 * across
    if not bool(mmd.isfinite()):
        raise ValueError(f"kernel must be finite between the given points, got {mmd:g} for their MMD")
    return mmd


def mmd2(x: Array, y: Array, *, bandwidth: float | None = None, unbiased: bool = True) -> Tensor:
    r"""Squared maximum mean discrepancy with a Gaussian kernel, see `kernel_mmd2`.

    The kernel is :math:`k(a,b) = e^{-\|a-b\|^2/(2h^2)}`. Distances are those of differences, not of products,
    which lose the digits of small distances.

    Parameters
    ----------
    x
        Sample of shape (n, d).
    y
        Sample of shape (m, d).
    bandwidth
        H; None means the median distance between two points of the pooled sample, which takes memory
        for all pairs.
    unbiased
        U-statistic (leave out i = j) or V-statistic (keep it).

    Returns
    -------
    Tensor
        A scalar float64 tensor without unit, in [0, 2] if biased.

    Raises
    ------
    ValueError
        If the shapes do not match, a value is not finite, a sample is too small, the bandwidth is not
        positive and finite, or none is given and the median distance is 0, as half of the pairs are copies.
    """
    x, y = (z.double() for z in samples(least=2 if unbiased else 1, x=x, y=y))
    if bandwidth is None:
        pooled = torch.cat([x, y]).detach()
        scale = magnitude(pooled)
        bandwidth = float(torch.pdist(pooled / scale).median()) * scale
        if bandwidth == 0:
            raise ValueError(
                "x and y must have a median distance above 0, or bandwidth be given, "
                "got copies in at least half of the pairs"
            )
    bandwidth = positive("bandwidth", bandwidth)

    def gauss(a: Tensor, b: Tensor) -> Tensor:
        distance = torch.cdist(a / bandwidth, b / bandwidth, compute_mode="donot_use_mm_for_euclid_dist")
        return distance.square().div(-2).exp()

    return kernel_mmd2(gauss, x, y, unbiased=unbiased)
