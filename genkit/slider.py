"""Figures that a reader moves with a slider: on the site with no kernel and no network, and in Colab."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np
import torch

from genkit.plot import colors

__all__ = ["slider_figure"]

_BOX = (62, 28, 546, 240)  # left, top, width and height of a slider figure's axes


def _ticks(low: float, high: float) -> list[float]:
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= min((m for m in (1, 2, 5, 10)), key=lambda m: abs((high - low) / (m * step) - 5))
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _limits(name: str, limits: tuple[float, float] | None, values: list[np.ndarray]) -> tuple[float, float]:
    """The limits of an axis; a constant gets room around it."""
    if limits is None:
        low, high = (float(f(np.concatenate(values))) for f in (np.min, np.max))
        room = max(abs(low), 1.0) / 2 if high - low <= 1e-9 * max(abs(low), abs(high)) else 0.0
        return low - room, high + room
    low, high = (float(v) for v in limits)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"{name} must be two finite numbers, the lower first, got {limits}")
    return low, high


def _values(x: Any) -> np.ndarray:
    return np.asarray(x.detach().cpu() if isinstance(x, torch.Tensor) else x, dtype=float)


class _SliderFigure:
    """A picture of every frame; a script puts the chosen one in place, and without it the start stays."""

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
    id
        Name of the figure, unique in the book.
    frames
        For each slider position a dict with ``label``, an optional ``note`` shown under the figure, and
        ``lines``: dicts with ``x``, ``y``, ``name`` and ``kind``, ``"line"`` (the default, ``dashed``
        if true) or ``"points"`` (of radius ``r``); lines of one name keep one colour.
    slider_label, xlabel, ylabel, title
        Texts; units belong to the labels.
    alt
        What the figure shows, for those who do not see it.
    start
        Frame shown first.
    xlim, ylim
        Axis limits; the extremes over all frames if None.

    Raises
    ------
    ValueError
        There is no frame or no line, a line's `x` and `y` differ in length or are not finite, limits are no
        interval, or `start` is no frame.
    """
    if not frames:
        raise ValueError("frames must hold at least one frame, got none")
    if not 0 <= start < len(frames):
        raise ValueError(f"start must be a frame from 0 to {len(frames) - 1}, got {start}")
    curves: list[list[tuple[dict[str, Any], np.ndarray, np.ndarray]]] = []
    for k, frame in enumerate(frames):
        curves.append([])
        for line in frame["lines"]:
            x, y = _values(line["x"]), _values(line["y"])
            if x.ndim != 1 or x.shape != y.shape or not np.isfinite([x, y]).all():
                raise ValueError(f"line {line['name']!r} of frame {k} needs finite x and y of one length")
            curves[k].append((line, x, y))
    names = list(dict.fromkeys(line["name"] for lines in curves for line, _, _ in lines))
    if len(names) > len(colors.cycle):
        raise ValueError(f"frames may name at most {len(colors.cycle)} lines, got {names}")
    if not any(x.size for lines in curves for _, x, _ in lines):
        raise ValueError("frames must hold a line with at least one point, got none")
    left, top, width, height = _BOX
    xlim = _limits("xlim", xlim, [x for lines in curves for _, x, _ in lines])
    ylim = _limits("ylim", ylim, [y for lines in curves for _, _, y in lines])
    ticks = []
    for v in _ticks(*xlim):
        px = left + (v - xlim[0]) / (xlim[1] - xlim[0]) * width
        ticks.append(f'<line x1="{px:.1f}" x2="{px:.1f}" y1="{top + height}" y2="{top + height + 5}"/>')
        ticks.append(f'<text x="{px:.1f}" y="{top + height + 22}" text-anchor="middle">{v:g}</text>')
    for v in _ticks(*ylim):
        py = top + height - (v - ylim[0]) / (ylim[1] - ylim[0]) * height
        ticks.append(f'<line x1="{left - 5}" x2="{left}" y1="{py:.1f}" y2="{py:.1f}"/>')
        ticks.append(f'<text x="{left - 8}" y="{py + 4:.1f}" text-anchor="end">{v:g}</text>')

    def drawn(line: dict[str, Any], x: np.ndarray, y: np.ndarray) -> str:
        """A curve in the picture's own units, to a tenth of them."""
        px = left + (x - xlim[0]) / (xlim[1] - xlim[0]) * width
        py = top + height - (y - ylim[0]) / (ylim[1] - ylim[0]) * height
        at = [(f"{a:.1f}", f"{b:.1f}") for a, b in zip(px, py, strict=True)]
        color = colors.cycle[names.index(line["name"])]
        if line.get("kind") == "points":
            r = line.get("r", 5)
            return "".join(f'<circle cx="{a}" cy="{b}" r="{r:g}" fill="{color}"/>' for a, b in at)
        path = "M" * bool(at) + "L".join(f"{a} {b}" for a, b in at)
        dashes = ' stroke-dasharray="6 4"' if line.get("dashed") else ""
        return f'<path d="{path}" fill="none" stroke="{color}" stroke-width="2.2"{dashes}/>'

    shown = [
        {"label": f["label"], "note": f.get("note", ""), "curves": "".join(drawn(*line) for line in lines)}
        for f, lines in zip(frames, curves, strict=True)
    ]
    first = shown[start]
    text = json.dumps(shown, separators=(",", ":"), ensure_ascii=False).replace("</", "<\\/")
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
<svg viewBox="0 0 620 320" role="img" aria-label="{html.escape(alt)}" style="width:100%; height:auto">
<path d="M{left} {top}V{top + height}H{left + width}" fill="none" stroke="#222"/>
<g stroke="#222" stroke-width=".6" fill="#222" style="font:12px sans-serif">{"".join(ticks)}</g>
<g class="curves">{first["curves"]}</g>
<g fill="#222" style="font:13px sans-serif">
<text x="{left + width / 2:g}" y="314" text-anchor="middle">{html.escape(xlabel)}</text>
<text x="4" y="17">↑ {html.escape(ylabel)}</text></g></svg>
<div>{legend}</div>
<label style="display:block">{html.escape(slider_label)}: <output>{html.escape(first["label"])}</output>
<input type="range" min="0" max="{len(frames) - 1}" value="{start}" aria-label="{html.escape(slider_label)}"
style="display:block; width:100%"></label>
<div class="slider-note" aria-live="polite" style="min-height:1.5em">{html.escape(first["note"])}</div>
<script type="application/json">{text}</script>
<script>{script.replace("%ID%", json.dumps(box))}</script></div>"""
    return _SliderFigure(markup, alt)
