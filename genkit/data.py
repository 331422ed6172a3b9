"""Data: digits that need no network, MNIST for readers who have one, toy densities that are known exactly."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from functools import cache
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "DataUnavailable",
    "ImageData",
    "Split",
    "Toy",
    "binarise",
    "dequantise",
    "digits",
    "images",
    "mnist",
    "toy",
]


class Split(NamedTuple):
    """Examples `x` of shape (n, d) with integer grey levels, and labels `y` of shape (n,), int64."""

    x: Tensor
    y: Tensor


class ImageData(NamedTuple):
    """Images in three splits: `levels` grey levels from 0 on, `shape` (height, width), rows flattened."""

    name: str
    levels: int
    shape: tuple[int, int]
    train: Split
    validation: Split
    test: Split


class DataUnavailable(RuntimeError):
    """The data could not be had from the network."""


SPLIT_KEY = 20240  # tools/stability.py draws other splits


@cache
def _digits_split() -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    # Raw bits of PCG64: the one random stream that NumPy promises never to change.
    key = np.random.PCG64(SPLIT_KEY).random_raw(len(y))
    place = np.empty(len(y))
    for c in range(10):
        members = np.flatnonzero(y == c)
        members = members[np.argsort(key[members], kind="stable")]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    order = np.argsort(place, kind="stable")  # every prefix holds the classes in equal proportion
    parts = np.split(order, [1077, 1437])
    return x, y.astype(np.int64), [part[np.argsort(key[part], kind="stable")] for part in parts]


def digits() -> ImageData:
    """Handwritten digits of 8 x 8 pixels, split once and for all.

    1797 images with 17 grey levels 0, 1, ..., 16 (Alpaydin & Kaynak, 1998), as scikit-learn ships them: 1077
    to train, 360 to validate, 360 to test, stratified by class. The split is the same on every machine and
    with every version of the libraries.

    Returns
    -------
    Splits with `x` of shape (n, 64), float64, and `y` of shape (n,), int64. New tensors at each call.
    """
    x, y, parts = _digits_split()
    train, validation, test = (Split(torch.from_numpy(x[part]), torch.from_numpy(y[part])) for part in parts)
    return ImageData("digits", 17, (8, 8), train, validation, test)


def mnist(*, cache_dir: str | os.PathLike[str] | None = None) -> ImageData:
    """MNIST (LeCun et al., 1998): 70 000 digits of 28 x 28 pixels with 256 grey levels, from OpenML.

    The first call downloads 15 MB and reads them in a minute or two; later ones take a file in the cache.

    Parameters
    ----------
    cache_dir : where to keep the data; None means scikit-learn's data folder.

    Returns
    -------
    Splits of 50 000, 10 000 and 10 000 (the last is MNIST's own test set) with `x` of shape (n, 784),
    float32, and `y` of shape (n,), int64.

    Raises
    ------
    DataUnavailable
        If the data is not in the cache and can't be downloaded.
    """
    from sklearn.datasets import fetch_openml, get_data_home

    home = Path(get_data_home(cache_dir))
    kept = home / "genkit-mnist.npz"
    if kept.exists():
        with np.load(kept) as f:
            pixels, labels = f["pixels"], f["labels"]
    else:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it announces each new attempt
                raw = fetch_openml(
                    "mnist_784",
                    version=1,
                    as_frame=False,
                    parser="liac-arff",
                    data_home=str(home),
                    n_retries=1,
                )
        except (OSError, HTTPException, ValueError) as error:
            raise DataUnavailable(
                f"MNIST could not be fetched from OpenML ({type(error).__name__}: {error}); "
                "use genkit.data.digits(), which needs no network, or images(), which takes what there is"
            ) from error
        if raw.data.shape[1] != 784:
            raise DataUnavailable(
                f"what OpenML sent is not MNIST: images of shape {raw.data.shape}, not (n, 784)"
            )
        pixels, labels = np.asarray(raw.data).astype(np.uint8), np.asarray(raw.target).astype(np.int64)
        partial = home / f"genkit-mnist-{os.getpid()}.npz"
        np.savez_compressed(partial, pixels=pixels, labels=labels)
        partial.replace(kept)
    x, y = torch.from_numpy(pixels).float(), torch.from_numpy(labels)
    sizes = [len(y) * 5 // 7, len(y) // 7, len(y) - len(y) * 5 // 7 - len(y) // 7]
    train, validation, test = (Split(a, b) for a, b in zip(x.split(sizes), y.split(sizes), strict=True))
    return ImageData("mnist", 256, (28, 28), train, validation, test)


def images(*, cache_dir: str | os.PathLike[str] | None = None) -> ImageData:
    """MNIST if it can be had, else digits; the field `name` of the result says which.

    Parameters
    ----------
    cache_dir : as for `mnist`.

    Returns
    -------
    What `mnist()` or `digits()` returns.
    """
    try:
        return mnist(cache_dir=cache_dir)
    except DataUnavailable:
        return digits()


def dequantise(x: Tensor, levels: int = 17, generator: torch.Generator | None = None) -> Tensor:
    r"""Spread each grey level over its own interval: :math:`(x + u)/\text{levels}`, :math:`u \sim U[0, 1)`.

    A density q of x + u bounds the probability of the levels that it implies, :math:`E_u \log q(x + u) \le
    \log P(x)` with :math:`P(x) = \int_0^1 q(x + u)\,du` (Theis et al., 2016, arXiv:1511.01844).

    Parameters
    ----------
    x : integer levels 0, 1, ..., levels - 1, any shape.
    levels : the number of levels.
    generator : source of the noise.

    Returns
    -------
    Values in [0, 1), the shape and device of `x`, and its dtype (float64 for integer types).

    Raises
    ------
    ValueError
        If `levels` is below 1 or `x` holds anything but the levels.
    """
    if levels < 1:
        raise ValueError(f"levels must be at least 1, got {levels}")
    if not x.is_floating_point():
        x = x.double()
    if x.numel() and not bool(((x == x.floor()) & (x >= 0) & (x < levels)).all()):
        raise ValueError(
            f"x must hold integers from 0 to {levels - 1}, got values in [{x.min():g}, {x.max():g}]"
        )
    u = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return ((x + u) / levels).clamp(
        max=1 - torch.finfo(x.dtype).eps / 2
    )  # the sum may round up to the next level


def binarise(x: Tensor, threshold: float = 8) -> Tensor:
    """1 where `x >= threshold`, else 0, in the shape, device and dtype of `x`.

    Parameters
    ----------
    x : grey levels, any shape.
    threshold : the lowest level that becomes 1.

    Returns
    -------
    Zeros and ones.
    """
    return (x >= threshold).to(x.dtype)


class Toy(NamedTuple):
    """A density on the plane that is known exactly.

    Attributes
    ----------
    name : which one.
    sample : `sample(n, generator=None)` draws (n, 2), float64, on the device of the generator.
    log_prob : `log_prob(x)` of (..., 2) gives (...), in nats.
    entropy : the differential entropy in nats: no model has a lower expected negative log-likelihood.
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
    name : "ring", "banana" or "checkerboard".

    Returns
    -------
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
