"""One figure style for the book and the few drawings that recur."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

__all__ = ["colors", "density", "image_grid", "scatter", "style"]

# Okabe and Ito's palette, which colour-blind readers can tell apart; every entry has 3:1 contrast on white
# except the sky blue and the yellow, which are left out.
colors = SimpleNamespace(
    data="#4d4d4d",
    model="#0072b2",
    truth="#000000",
    bad="#d55e00",
    muted="#9a9a9a",
    cycle=["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#b8860b"],
)


def style() -> None:
    """Set the book's figure style: a white card that reads well on light and dark pages."""
    plt.style.use("default")  # another style, such as a dark one, would set the colours that are not set here
    plt.rcParams.update(
        {
            "figure.figsize": (7.0, 3.2),
            "figure.dpi": 144,
            "figure.facecolor": "white",
            "figure.constrained_layout.use": True,
            "savefig.facecolor": "white",
            "axes.prop_cycle": plt.cycler(color=colors.cycle),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 10,
            "axes.labelsize": 10,
            "axes.grid": False,
            "legend.frameon": False,
            "legend.fontsize": 9,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
            "font.size": 10,
            "lines.linewidth": 1.8,
            "image.cmap": "gray_r",
            "image.interpolation": "nearest",
        }
    )


def _numpy(name: str, x: ArrayLike | torch.Tensor) -> np.ndarray:
    out = x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)
    if not np.issubdtype(out.dtype, np.number) and out.dtype != bool:
        raise ValueError(f"{name} must be numeric, got dtype {out.dtype}")
    return out


def image_grid(
    images: ArrayLike | torch.Tensor,
    *,
    ncols: int,
    ax: Axes | None = None,
    titles: Sequence[str] | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
) -> Axes:
    """Draw grey images side by side, row by row, as one picture.

    Parameters
    ----------
    images
        Shape ``(n, h, w)``, or ``(n, d)`` with a square number of pixels ``d``. A single image of shape
        ``(h, w)`` is ``image[None]``.
    ncols
        Images in a row.
    ax
        Where to draw; a new figure if None.
    titles
        One short text per column.
    vmin, vmax
        Grey levels drawn white and black; the images' own extremes if None.

    Raises
    ------
    ValueError
        The shape fits neither form, or `titles` has not one text per column.
    """
    x = _numpy("images", images)
    if x.ndim == 2:
        side = math.isqrt(x.shape[1])
        if side * side != x.shape[1]:
            raise ValueError(f"images of shape (n, d) need a square d, got {x.shape}")
        x = x.reshape(len(x), side, side)
    if x.ndim != 3 or len(x) == 0:
        raise ValueError(f"images must have shape (n, h, w) or (n, d) with n >= 1, got {x.shape}")
    if ncols < 1:
        raise ValueError(f"ncols must be at least 1, got {ncols}")
    if titles is not None and len(titles) != ncols:
        raise ValueError(f"titles must have one text per column ({ncols}), got {len(titles)}")
    n, h, w = x.shape
    nrows = math.ceil(n / ncols)
    canvas = np.full((nrows * (h + 1) - 1, ncols * (w + 1) - 1), np.nan)
    for k, image in enumerate(x):
        r, c = divmod(k, ncols)
        canvas[r * (h + 1) : r * (h + 1) + h, c * (w + 1) : c * (w + 1) + w] = image
    if ax is None:
        _, ax = plt.subplots(figsize=(min(7.0, 0.7 * ncols), min(7.0, 0.7 * ncols) * nrows * h / (ncols * w)))
    ax.imshow(canvas, vmin=vmin, vmax=vmax)
    ax.set_xticks([] if titles is None else [c * (w + 1) + (w - 1) / 2 for c in range(ncols)])
    ax.set_yticks([])
    if titles is not None:
        ax.set_xticklabels(titles)
        ax.xaxis.tick_top()
    ax.tick_params(length=0)
    for side_name in ("left", "bottom", "top", "right"):
        ax.spines[side_name].set_visible(False)
    return ax


def scatter(ax: Axes, x: ArrayLike | torch.Tensor, **kw: Any) -> Axes:
    """Draw points in the plane on equal axes.

    Parameters
    ----------
    ax
        Where to draw.
    x
        Shape ``(n, 2)``.
    kw
        Goes to ``Axes.scatter``.

    Raises
    ------
    ValueError
        `x` has not the shape ``(n, 2)``.
    """
    points = _numpy("x", x)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"x must have shape (n, 2), got {points.shape}")
    ax.scatter(
        points[:, 0], points[:, 1], **{"s": 4, "alpha": 0.6, "linewidths": 0, "rasterized": True, **kw}
    )
    ax.set_aspect("equal")
    return ax


def density(
    ax: Axes,
    log_prob: Callable[[torch.Tensor], torch.Tensor],
    *,
    xlim: tuple[float, float],
    ylim: tuple[float, float],
    n: int = 120,
    dtype: torch.dtype = torch.float64,
    **kw: Any,
) -> Axes:
    """Draw a density on the plane as shades.

    Parameters
    ----------
    ax
        Where to draw.
    log_prob
        Log density, maps ``(m, 2)`` to ``(m,)``.
    xlim, ylim
        The window.
    n
        Points along each side of the grid.
    dtype
        Of the points, such as ``torch.float32`` for a network in single precision.
    kw
        Goes to ``Axes.imshow``.
    """
    xs = torch.linspace(*xlim, n, dtype=dtype)
    ys = torch.linspace(*ylim, n, dtype=dtype)
    grid = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), -1).reshape(-1, 2)
    with torch.no_grad():
        p = log_prob(grid).double().exp().reshape(n, n).cpu().numpy()
    ax.imshow(
        p, origin="lower", extent=(*xlim, *ylim), **{"cmap": "Blues", "interpolation": "bilinear", **kw}
    )
    ax.set_aspect("equal")
    return ax
