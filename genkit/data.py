"""Data that need no network: digits, MNIST, patches of photographs; and what is done to grey levels."""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import socket
import tempfile
import threading
import warnings
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from genkit.arguments import integer, positive

__all__ = [
    "DataUnavailable",
    "ImageData",
    "Split",
    "binarise",
    "dequantise",
    "digits",
    "mnist",
    "patches",
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
    """The data could not be had from the network, or a file of them is damaged."""


SPLIT_KEY = 20240  # tools/stability.py draws other splits


def _split(y: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """Indices of parts of these sizes, stratified by `y`, each in a shuffled order; the same for ever."""
    # Raw bits of PCG64: the one random stream that NumPy promises never to change.
    key = np.random.PCG64(SPLIT_KEY).random_raw(len(y))
    place = np.empty(len(y))
    for c in np.unique(y):
        members = np.flatnonzero(y == c)
        members = members[np.argsort(key[members], kind="stable")]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    order = np.argsort(place, kind="stable")  # every prefix holds the classes in equal proportion
    parts = np.split(order, np.cumsum(sizes)[:-1])
    return [part[np.argsort(key[part], kind="stable")] for part in parts]


def _splits(x: np.ndarray, y: np.ndarray, parts: Sequence[np.ndarray | slice]) -> list[Split]:
    """New tensors of each part; bytes become float32."""
    kind = np.float32 if x.dtype == np.uint8 else x.dtype
    return [
        Split(torch.from_numpy(np.array(x[part], kind)), torch.from_numpy(np.array(y[part], np.int64)))
        for part in parts
    ]


@cache
def _digits_split() -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return x, y, _split(y, [1077, 360, 360])


def digits() -> ImageData:
    """Handwritten digits of 8 x 8 pixels, split once and for all.

    1797 images with 17 grey levels 0, 1, ..., 16 (Alpaydin & Kaynak, 1998), as scikit-learn ships them: 1077
    to train, 360 to validate, 360 to test, stratified by class. The split is the same on every machine and
    with every version of the libraries.

    Returns
    -------
    ImageData
        Splits with `x` of shape (n, 64), float64, and `y` of shape (n,), int64. New tensors at each call.
    """
    return ImageData("digits", 17, (8, 8), *_splits(*_digits_split()))


PACKED_SHA256 = "f62794c19f3de970b1bd63a8f2a01634ad0bc65e683482c9714c58e6a2be152c"


@cache
def _mnist_packed() -> tuple[np.ndarray, np.ndarray]:
    """The 10 000 images and labels that lie beside this file; mnist-10000.txt says how they were packed."""
    import lzma  # some builds of Python lack it

    packed = resources.files("genkit").joinpath("mnist-10000.xz").read_bytes()
    if hashlib.sha256(packed).hexdigest() != PACKED_SHA256:
        raise DataUnavailable("genkit/mnist-10000.xz is damaged: install genkit-book again")
    values = np.frombuffer(lzma.decompress(packed), dtype=np.uint8)
    return values[10_000:].reshape(10_000, 784), values[:10_000]


def mnist(
    *, full: bool = False, cache_dir: str | os.PathLike[str] | None = None, timeout: float = 300
) -> ImageData:
    """MNIST (LeCun et al., 1998): handwritten digits of 28 x 28 pixels with 256 grey levels, 0 to 255.

    Ten thousand of them, the first of MNIST's training set, come with the package and need no network: 6000
    to train, 2000 to validate, 2000 to test, stratified by class, the same on every machine and with every
    version of the libraries. With `full=True` all 70 000 are fetched from OpenML: 15 MB, read in a minute or
    two, and kept in a file that later calls take.

    Parameters
    ----------
    full
        Fetch all images. Then the splits hold 50 000, 10 000 and 10 000, in MNIST's order, and the last
        is its own test set.
    cache_dir
        Where to keep all images; None means scikit-learn's data folder. Where nothing can be written
        a warning says so, and the data are returned all the same.
    timeout
        Seconds that fetching may take in all.

    Returns
    -------
    ImageData
        Splits with `x` of shape (n, 784), float32, and `y` of shape (n,), int64, in new tensors at each call.
        The field `name` is "mnist", or "mnist-full".

    Raises
    ------
    DataUnavailable
        If all images are asked for, are not in the cache and can't be fetched in time, or what comes is not
        MNIST; or if the package's own file is damaged.
    ValueError
        If `timeout` is not positive.
    """
    timeout = positive("timeout", timeout)
    if not full:
        x, y = _mnist_packed()
        return ImageData("mnist", 256, (28, 28), *_splits(x, y, _split(y, [6000, 2000, 2000])))
    home = os.environ.get("SCIKIT_LEARN_DATA", "~/scikit_learn_data") if cache_dir is None else cache_dir
    kept = Path(home).expanduser() / "genkit-mnist.npz"
    x, y = _read_mnist(kept) or _keep_mnist(kept, *_fetch_mnist(timeout))
    parts = [slice(0, 50_000), slice(50_000, 60_000), slice(60_000, 70_000)]
    return ImageData("mnist-full", 256, (28, 28), *_splits(x, y, parts))


MNIST_COUNTS = (6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958)  # how often each digit is there
SILENCE = 10  # seconds after which a server that says nothing is given up


def _checked_mnist(pixels: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = np.asarray(pixels), np.asarray(labels).astype(np.int64)
    if pixels.shape != (sum(MNIST_COUNTS), 784) or tuple(np.bincount(labels)) != MNIST_COUNTS:
        raise ValueError(f"what came is not MNIST: images of shape {pixels.shape}, {len(labels)} labels")
    with np.errstate(invalid="ignore"):
        grey = pixels.astype(np.uint8)
    if not (grey == pixels).all():
        raise ValueError("what came is not MNIST: grey levels are not whole numbers from 0 to 255")
    return grey, labels


def _read_mnist(kept: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """What the cache holds; a file that does not hold MNIST is removed."""
    try:
        with np.load(kept) as f:
            return _checked_mnist(f["pixels"], f["labels"])
    except FileNotFoundError:
        return None
    except Exception:  # empty, cut off, garbage, other keys, too few: each raises something else
        with contextlib.suppress(OSError):
            kept.unlink()
        return None


def _fetch_mnist(timeout: float) -> tuple[np.ndarray, np.ndarray]:
    """All of MNIST from OpenML. The thread of a fetch that took too long ends with the process."""
    from sklearn.datasets import fetch_openml

    answer: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def fetch() -> None:
        try:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
                how = {"as_frame": False, "parser": "liac-arff", "n_retries": 1}
                raw = fetch_openml("mnist_784", version=1, data_home=scratch, **how)
            answer.put(_checked_mnist(raw.data, raw.target))
        except Exception as error:  # whatever the parser makes of what a server says
            answer.put(error)

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(min(timeout, SILENCE))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            threading.Thread(target=fetch, daemon=True).start()
            got = answer.get(timeout=timeout)
    except queue.Empty:
        got = TimeoutError(f"not done after {timeout:g} s")
    finally:
        socket.setdefaulttimeout(before)
    if isinstance(got, Exception):
        why = " ".join(f"{type(got).__name__}: {got}".split())
        raise DataUnavailable(
            f"MNIST could not be fetched from OpenML ({why}); mnist() without full=True needs no network"
        ) from got
    return got


def _keep_mnist(kept: Path, pixels: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Write the cache's file, whole or not at all; return what was given."""
    partial = kept.with_name(f"{kept.stem}-{os.getpid()}.npz")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(partial, pixels=pixels, labels=labels)
        partial.replace(kept)
    except OSError as error:
        warnings.warn(f"MNIST could not be kept, the next call fetches it again: {error}", stacklevel=3)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return pixels, labels


TILE = 64


def patches(size: int = 8, *, stride: int | None = None) -> ImageData:
    """Small squares of natural images: two photographs, a temple and a flower, in grey levels 0 to 255.

    They are cut from the photographs of 427 x 640 pixels that scikit-learn ships (`load_sample_images`; by
    Flickr's danielbuechele and vultilion, CC BY 2.0). Grey is the luminance of ITU-R BT.601, 0.299 R +
    0.587 G + 0.114 B, rounded. Each photograph gives 60 tiles of 64 x 64 pixels (its lowest 43 rows are left
    out): 36 for training, 12 for validation, 12 for the test. No patch reaches over the edge of its tile, so
    that no two splits share a pixel. Which tile is for what, and the order, are the same everywhere.

    Parameters
    ----------
    size
        Side of a patch in pixels, 1 to 64.
    stride
        Pixels from one patch of a tile to the next, down and across; None means `size`, and then no two
        patches share a pixel.

    Returns
    -------
    ImageData
        Splits with `x` of shape (n, size * size), float32, and `y` of shape (n,), int64, the photograph:
        0 the temple, 1 the flower. There are ((64 - size) // stride + 1)² patches to a tile; with size 8
        these are 4608, 1536 and 1536. New tensors at each call.

    Raises
    ------
    ValueError
        If `size` or `stride` is not an integer in its range.
    ImportError
        If Pillow is missing, which scikit-learn reads photographs with. Matplotlib installs it.
    """
    size = integer("size", size, 1, TILE)
    stride = size if stride is None else integer("stride", stride)
    from sklearn.datasets import load_sample_images

    tiles = []  # each (64, 64)
    for photograph in load_sample_images().images:
        grey = ((photograph.astype(np.int64) @ [299, 587, 114] + 500) // 1000).astype(np.uint8)  # (427, 640)
        rows, columns = grey.shape[0] // TILE, grey.shape[1] // TILE
        whole = grey[: rows * TILE, : columns * TILE].reshape(rows, TILE, columns, TILE)
        tiles += list(whole.swapaxes(1, 2).reshape(-1, TILE, TILE))
    half = len(tiles) // 2
    which = np.repeat([0, 1], half)
    windows = np.lib.stride_tricks.sliding_window_view(np.stack(tiles), (size, size), axis=(1, 2))
    cut = windows[:, ::stride, ::stride].reshape(len(tiles), -1, size * size)  # (120, patches, pixels)
    splits = []
    for part in _split(which, [72, 24, 24]):
        x, y = cut[part].reshape(-1, size * size), np.repeat(which[part], cut.shape[1])
        splits += _splits(x, y, _split(y, [len(y)]))
    return ImageData("patches", 256, (size, size), *splits)


def dequantise(x: Tensor, levels: int = 17, generator: torch.Generator | None = None) -> Tensor:
    r"""Spread each grey level over its own interval: :math:`(x + u)/\text{levels}`, :math:`u \sim U[0, 1)`.

    A density q of x + u bounds the probability of the levels that it implies, :math:`E_u \log q(x + u) \le
    \log P(x)` with :math:`P(x) = \int_0^1 q(x + u)\,du` (Theis et al., 2016, arXiv:1511.01844).

    Parameters
    ----------
    x
        Integer levels 0, 1, ..., levels - 1, any shape.
    levels
        The number of levels.
    generator
        Source of the noise.

    Returns
    -------
    Tensor
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
    x
        Grey levels, any shape.
    threshold
        The lowest level that becomes 1.

    Returns
    -------
    Tensor
        Zeros and ones.
    """
    return (x >= threshold).to(x.dtype)
