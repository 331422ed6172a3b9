"""Densities on the plane that are known exactly: each has a sampler, a log density and an entropy."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Toy", "toy"]


class Toy(NamedTuple):
    """A density on the plane that is known exactly.

    Attributes
    ----------
    name
        Which one.
    sample
        `sample(n, generator=None)` draws (n, 2), float64, on the device of the generator.
    log_prob
        `log_prob(x)` of (..., 2) gives (...), in nats.
    entropy
        The differential entropy in nats: no model has a lower expected negative log-likelihood.
    """

    name: str
    sample: Callable[..., Tensor]
    log_prob: Callable[[Tensor], Tensor]
    entropy: float


def _noise(
    sampler: Callable[..., Tensor], shape: tuple[int, ...], generator: torch.Generator | None
) -> Tensor:
    if shape[0] < 1:
        raise ValueError(f"n must be at least 1, got {shape[0]}")
    device = generator.device if generator is not None else None
    return sampler(shape, generator=generator, dtype=torch.float64, device=device)


def _plane(x: Tensor) -> tuple[Tensor, Tensor]:
    if x.ndim == 0 or x.shape[-1] != 2:
        raise ValueError(f"x must have shape (..., 2), got {tuple(x.shape)}")
    return x[..., 0], x[..., 1]


RADIUS, WIDTH = 2.0, 0.2


def _ring_centres(like: Tensor) -> Tensor:
    angle = torch.arange(8, dtype=like.dtype, device=like.device) * (math.pi / 4)
    return RADIUS * torch.stack([angle.cos(), angle.sin()], dim=-1)  # (8, 2)


def _ring_sample(n: int, generator: torch.Generator | None = None) -> Tensor:
    z = _noise(torch.randn, (n, 2), generator)
    k = (8 * _noise(torch.rand, (n,), generator)).long()
    return _ring_centres(z)[k] + WIDTH * z


def _ring_log_prob(x: Tensor) -> Tensor:
    _plane(x)
    square = ((x[..., None, :] - _ring_centres(x)) ** 2).sum(-1)  # (..., 8)
    return torch.logsumexp(-square / (2 * WIDTH**2), dim=-1) - math.log(8 * 2 * math.pi * WIDTH**2)


def _ring_entropy() -> float:
    # The trapezoidal rule converges faster than any power for a smooth function that vanishes at the borders.
    grid = torch.linspace(-4, 4, 401, dtype=torch.float64)
    log_p = _ring_log_prob(torch.cartesian_prod(grid, grid))
    return float(-(log_p.exp() * log_p).sum() * (grid[1] - grid[0]) ** 2)


def _banana_sample(n: int, generator: torch.Generator | None = None) -> Tensor:
    z = _noise(torch.randn, (n, 2), generator)
    x1 = 2 * z[:, 0]
    return torch.stack([x1, z[:, 1] / 2 + (x1**2 - 4) / 2], dim=-1)


def _banana_log_prob(x: Tensor) -> Tensor:
    x1, x2 = _plane(x)
    z1, z2 = x1 / 2, 2 * (x2 - (x1**2 - 4) / 2)  # |det dz/dx| = 1
    return -(z1**2 + z2**2) / 2 - math.log(2 * math.pi)


def _checkerboard_sample(n: int, generator: torch.Generator | None = None) -> Tensor:
    u = _noise(torch.rand, (n, 2), generator)
    k = (8 * _noise(torch.rand, (n,), generator)).long()
    row, column = k // 2, 2 * (k % 2) + (k // 2) % 2
    return torch.stack([column, row], dim=-1) - 2 + u


def _checkerboard_log_prob(x: Tensor) -> Tensor:
    x1, x2 = _plane(x)
    inside = (x1.abs() < 2) & (x2.abs() < 2) & ((x1.floor() + x2.floor()) % 2 == 0)
    return torch.full_like(x1, -math.log(8)).masked_fill(~inside, -math.inf)


@cache
def toy(name: str) -> Toy:
    """One of three densities on the plane; "ring" is the one that the whole book shares.

    "ring": eight Gaussians of standard deviation 0.2, equally weighted, on a circle of radius 2.
    "banana": x1 = 2 z1, x2 = z2/2 + (x1² - 4)/2 with z standard normal; the map preserves area, so that the
    entropy is log(2 pi e).
    "checkerboard": uniform on eight unit squares of [-2, 2]²; entropy log 8.

    Parameters
    ----------
    name
        "ring", "banana" or "checkerboard".

    Returns
    -------
    Toy
        Its sampler, log density and entropy (nats).

    Raises
    ------
    ValueError
        If there is no such density.
    """
    if name == "ring":
        return Toy(name, _ring_sample, _ring_log_prob, _ring_entropy())
    if name == "banana":
        return Toy(name, _banana_sample, _banana_log_prob, math.log(2 * math.pi * math.e))
    if name == "checkerboard":
        return Toy(name, _checkerboard_sample, _checkerboard_log_prob, math.log(8))
    raise ValueError(f'name must be "ring", "banana" or "checkerboard", got {name!r}')
