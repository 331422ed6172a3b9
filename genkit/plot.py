"""One figure style for the book, a few drawings that recur, and figures that move without a kernel."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Callable, Sequence
from importlib import resources
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

__all__ = ["colors", "density", "image_grid", "scatter", "slider_figure", "style"]

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
    images : shape ``(n, h, w)``, or ``(n, d)`` with a square number of pixels ``d``.
    ncols : images in a row.
    ax : where to draw; a new figure if None.
    titles : one short text per column.
    vmin, vmax : grey levels drawn white and black; the images' own extremes if None.

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
    ax : where to draw.
    x : shape ``(n, 2)``.
    kw : goes to ``Axes.scatter``.

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
    **kw: Any,
) -> Axes:
    """Draw a density on the plane as shades.

    Parameters
    ----------
    ax : where to draw.
    log_prob : log density, maps ``(m, 2)`` to ``(m,)``.
    xlim, ylim : the window.
    n : points along each side of the grid.
    kw : goes to ``Axes.imshow``.
    """
    xs = torch.linspace(*xlim, n, dtype=torch.float64)
    ys = torch.linspace(*ylim, n, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), -1).reshape(-1, 2)
    with torch.no_grad():
        p = log_prob(grid).exp().reshape(n, n).cpu().numpy()
    ax.imshow(
        p, origin="lower", extent=(*xlim, *ylim), **{"cmap": "Blues", "interpolation": "bilinear", **kw}
    )
    ax.set_aspect("equal")
    return ax


_BOX = (52, 10, 556, 240)  # left, top, width and height of a slider figure's axes


def _ticks(low: float, high: float) -> list[float]:
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= min((m for m in (1, 2, 5, 10)), key=lambda m: abs((high - low) / (m * step) - 5))
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


class _SliderFigure:
    """HTML that draws itself in the reader's browser from numbers alone."""

    def __init__(self, markup: str, alt: str) -> None:
        self.markup, self.alt = markup, alt

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.markup, "text/plain": f"<interactive figure: {self.alt}>"}


def slider_figure(
    id: str,
    frames: Sequence[dict[str, Any]],
    *,
    slider_label: str,
    xlabel: str,
    ylabel: str,
    title: str,
    alt: str,
    start: int = 0,
    xlim: tuple[float, float] | None = None,
    ylim: tuple[float, float] | None = None,
) -> _SliderFigure:
    """Build a figure whose frames a reader moves through with a slider, by mouse, touch or keyboard.

    Parameters
    ----------
    id : name of the figure, unique in the book.
    frames : for each slider position a dict with ``label``, an optional ``note`` shown under the figure, and
        ``lines``: dicts with ``x``, ``y``, ``name`` and ``kind``, ``"line"`` (default) or ``"points"``;
        lines of one name keep one colour.
    slider_label, xlabel, ylabel, title : texts; units belong to the labels.
    alt : what the figure shows, for those who do not see it.
    start : frame shown first.
    xlim, ylim : axis limits; the extremes over all frames if None.

    Raises
    ------
    ValueError
        There is no frame, a line's `x` and `y` differ in length or are not finite, or `start` is no frame.
    """
    if not frames:
        raise ValueError("frames must hold at least one frame, got none")
    if not 0 <= start < len(frames):
        raise ValueError(f"start must be a frame from 0 to {len(frames) - 1}, got {start}")
    names: list[str] = []
    data: list[dict[str, Any]] = []
    all_x: list[np.ndarray] = []
    all_y: list[np.ndarray] = []
    for k, frame in enumerate(frames):
        lines = []
        for line in frame["lines"]:
            x, y = _numpy("x", line["x"]).astype(float), _numpy("y", line["y"]).astype(float)
            if x.ndim != 1 or x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
                raise ValueError(f"line {line['name']!r} of frame {k} needs finite x and y of one length")
            if line["name"] not in names:
                names.append(line["name"])
            all_x.append(x)
            all_y.append(y)
            short = {"x": [float(f"{v:.4g}") for v in x], "y": [float(f"{v:.4g}") for v in y]}
            extra = {key: line[key] for key in ("kind", "dashed") if key in line}
            lines.append({**short, "c": names.index(line["name"]), **extra})
        data.append({"label": frame["label"], "note": frame.get("note", ""), "lines": lines})
    if len(names) > len(colors.cycle):
        raise ValueError(f"frames may name at most {len(colors.cycle)} lines, got {names}")
    xs, ys = np.concatenate(all_x), np.concatenate(all_y)
    xlim = xlim or (float(xs.min()), float(xs.max()))
    ylim = ylim or (float(ys.min()), float(ys.max()))
    left, top, width, height = _BOX
    ticks = []
    for v in _ticks(*xlim):
        px = left + (v - xlim[0]) / (xlim[1] - xlim[0]) * width
        ticks.append(f'<line x1="{px:.1f}" x2="{px:.1f}" y1="{top + height}" y2="{top + height + 5}"/>')
        ticks.append(f'<text x="{px:.1f}" y="{top + height + 19}" text-anchor="middle">{v:g}</text>')
    for v in _ticks(*ylim):
        py = top + height - (v - ylim[0]) / (ylim[1] - ylim[0]) * height
        ticks.append(f'<line x1="{left - 5}" x2="{left}" y1="{py:.1f}" y2="{py:.1f}"/>')
        ticks.append(f'<text x="{left - 8}" y="{py + 4:.1f}" text-anchor="end">{v:g}</text>')
    payload = {"box": _BOX, "x": xlim, "y": ylim, "colors": colors.cycle, "frames": data}
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).replace("</", "<\\/")
    legend = "".join(
        f'<span class="slider-key"><svg viewBox="0 0 10 10" width="10" height="10" aria-hidden="true">'
        f'<circle cx="5" cy="5" r="5" fill="{colors.cycle[k]}"/></svg> {html.escape(name)}</span> '
        for k, name in enumerate(names)
    )
    box = f"slider-{id}"
    script = resources.files("genkit").joinpath("slider.js").read_text(encoding="utf-8")
    card = "background:#fff; color:#222; max-width:42em; padding:.6em"
    markup = f"""<div class="slider-figure" id="{box}" style="{card}">
<strong>{html.escape(title)}</strong>
<svg viewBox="0 0 620 300" role="img" aria-label="{html.escape(alt)}" style="width:100%; height:auto">
<path d="M{left} {top}V{top + height}H{left + width}" fill="none" stroke="#222"/>
<g stroke="#222" stroke-width=".6" fill="#222" style="font:12px sans-serif">{"".join(ticks)}</g>
<g class="curves"></g>
<g fill="#222" style="font:13px sans-serif" text-anchor="middle">
<text x="{left + width / 2:g}" y="294">{html.escape(xlabel)}</text>
<text transform="translate(12 {top + height / 2:g}) rotate(-90)">{html.escape(ylabel)}</text></g></svg>
<div>{legend}</div>
<label style="display:block">{html.escape(slider_label)}: <output></output>
<input type="range" min="0" max="{len(frames) - 1}" value="{start}" style="display:block; width:100%"></label>
<div class="slider-note" aria-live="polite" style="min-height:1.5em"></div>
<script type="application/json">{text}</script>
<script>{script.replace("%ID%", json.dumps(box))}</script></div>"""
    return _SliderFigure(markup, alt)
