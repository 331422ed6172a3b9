"""Figures that answer to the reader: on the site with no kernel and no network, and in Colab."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np
import torch

from genkit.plot import colors

__all__ = ["slider_figure", "turing_game"]


class _Live:
    """A figure with its data and its script; without scripts a slider figure stays at its start."""

    def __init__(self, markup: str, alt: str) -> None:
        self.markup, self.alt = markup, alt

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.markup, "text/plain": f"<interactive figure: {self.alt}>"}


def _scripts(name: str, box: str, data: Any) -> str:
    """What ends a figure: its data, and the script `name` that works in the figure's box."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("</", "<\\/")
    code = resources.files("genkit").joinpath(f"{name}.js").read_text(encoding="utf-8")
    return f"""<script type="application/json">{text}</script>
<script>{code.replace("%ID%", json.dumps(box))}</script></div>"""


_LEFT, _TOP, _WIDTH, _HEIGHT = 62, 28, 546, 240  # of a slider figure's axes


def _across(x: Any, low: float, high: float) -> Any:
    return _LEFT + (x - low) / (high - low) * _WIDTH


def _down(y: Any, low: float, high: float) -> Any:
    return _TOP + _HEIGHT - (y - low) / (high - low) * _HEIGHT


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


def _curve(line: dict[str, Any], k: int) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """A line of frame k with its values."""
    x, y = _values(line["x"]), _values(line["y"])
    if x.ndim != 1 or x.shape != y.shape or not np.isfinite([x, y]).all():
        raise ValueError(f"line {line['name']!r} of frame {k} needs finite x and y of one length")
    return line, x, y


def _axes(xlim: tuple[float, float], ylim: tuple[float, float]) -> str:
    """The ticks of both axes and their numbers."""
    ticks, foot = [], _TOP + _HEIGHT
    for v in _ticks(*xlim):
        x = _across(v, *xlim)
        ticks.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{foot}" y2="{foot + 5}"/>')
        ticks.append(f'<text x="{x:.1f}" y="{foot + 22}" text-anchor="middle">{v:g}</text>')
    for v in _ticks(*ylim):
        y = _down(v, *ylim)
        ticks.append(f'<line x1="{_LEFT - 5}" x2="{_LEFT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        ticks.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{v:g}</text>')
    return "".join(ticks)


def _drawn(line: dict[str, Any], x: np.ndarray, y: np.ndarray, color: str) -> str:
    """A curve in the picture's own units, to a tenth of them."""
    at = [(f"{a:.1f}", f"{b:.1f}") for a, b in zip(x, y, strict=True)]
    if line.get("kind") == "points":
        r = line.get("r", 5)
        return "".join(f'<circle cx="{a}" cy="{b}" r="{r:g}" fill="{color}"/>' for a, b in at)
    path = "M" * bool(at) + "L".join(f"{a} {b}" for a, b in at)
    dashes = ' stroke-dasharray="6 4"' if line.get("dashed") else ""
    return f'<path d="{path}" fill="none" stroke="{color}" stroke-width="2.2"{dashes}/>'


def slider_figure(
    name: str,
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
) -> _Live:
    """Build a figure whose frames a reader moves through with a slider, by mouse, touch or keyboard.

    Parameters
    ----------
    name
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
    curves = [[_curve(line, k) for line in frame["lines"]] for k, frame in enumerate(frames)]
    names = list(dict.fromkeys(line["name"] for lines in curves for line, _, _ in lines))
    if len(names) > len(colors.cycle):
        raise ValueError(f"frames may name at most {len(colors.cycle)} lines, got {names}")
    if not any(x.size for lines in curves for _, x, _ in lines):
        raise ValueError("frames must hold a line with at least one point, got none")
    color = dict(zip(names, colors.cycle, strict=False))
    xlim = _limits("xlim", xlim, [x for lines in curves for _, x, _ in lines])
    ylim = _limits("ylim", ylim, [y for lines in curves for _, _, y in lines])
    shown = []
    for frame, lines in zip(frames, curves, strict=True):
        drawn = [_drawn(of, _across(x, *xlim), _down(y, *ylim), color[of["name"]]) for of, x, y in lines]
        shown.append({"label": frame["label"], "note": frame.get("note", ""), "curves": "".join(drawn)})
    legend = "".join(
        f'<span class="slider-key"><svg viewBox="0 0 10 10" width="10" height="10" aria-hidden="true">'
        f'<circle cx="5" cy="5" r="5" fill="{fill}"/></svg> {html.escape(key)}</span> '
        for key, fill in color.items()
    )
    first, box = shown[start], f"slider-{name}"
    markup = f"""<div class="slider-figure" id="{box}"
style="background:#fff; color:#222; max-width:42em; padding:.6em">
<strong>{html.escape(title)}</strong>
<svg viewBox="0 0 620 320" role="img" aria-label="{html.escape(alt)}" style="width:100%; height:auto">
<path d="M{_LEFT} {_TOP}V{_TOP + _HEIGHT}H{_LEFT + _WIDTH}" fill="none" stroke="#222"/>
<g stroke="#222" stroke-width=".6" fill="#222" style="font:12px sans-serif">{_axes(xlim, ylim)}</g>
<g class="curves">{first["curves"]}</g>
<g fill="#222" style="font:13px sans-serif">
<text x="{_LEFT + _WIDTH / 2:g}" y="314" text-anchor="middle">{html.escape(xlabel)}</text>
<text x="4" y="17">↑ {html.escape(ylabel)}</text></g></svg>
<div>{legend}</div>
<label style="display:block">{html.escape(slider_label)}: <output>{html.escape(first["label"])}</output>
<input type="range" min="0" max="{len(frames) - 1}" value="{start}" aria-label="{html.escape(slider_label)}"
style="display:block; width:100%"></label>
<div class="slider-note" aria-live="polite" style="min-height:1.5em">{html.escape(first["note"])}</div>
{_scripts("slider", box, shown)}"""
    return _Live(markup, alt)


_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def _coded(name: str, pictures: Any, levels: int) -> list[str]:
    """One string per picture, one character per pixel; equal pictures once."""
    x = torch.as_tensor(pictures)
    if x.ndim != 2 or len(x) == 0:
        raise ValueError(f"{name} must hold pictures as rows (n, pixels), n >= 1, got shape {tuple(x.shape)}")
    if not torch.equal(x, x.round()) or x.min() < 0 or x.max() >= levels:
        raise ValueError(f"{name} must hold whole grey levels from 0 to {levels - 1}")
    return list(dict.fromkeys("".join(_DIGITS[v] for v in row) for row in x.long().tolist()))


def turing_game(
    name: str,
    real: torch.Tensor,
    made: Mapping[str, torch.Tensor],
    *,
    needed: Mapping[float, int],
    levels: int = 17,
) -> _Live:
    """Build a game in which a reader tells real pictures from made ones, by mouse, touch or keyboard.

    The reader sees one picture ("real or made?") or two side by side ("which is real?"), half of the
    pictures real, and is told after each answer what it was; no picture comes twice before all of its
    source were shown. The tally shows the share of right answers and every model's share of pictures
    caught. Since the reader watches and stops at will, the interval is
    one that contains the true share at all times at once with probability 95 %: all p with
    P(k | n, p) >= 0.05/(n + 1) (Robbins, 1970, doi:10.1214/aoms/1177696786).

    Parameters
    ----------
    name
        Name of the game, unique in the book.
    real
        (n, side * side) grey levels 0 to ``levels - 1``, whole numbers.
    made
        Name of a model -> its pictures, in the same form.
    needed
        Share of right answers above one half -> answers with which a study planned for them tells it from
        guessing; shown while the interval still contains one half.
    levels
        Grey levels, 2 to 36; level 0 is shown white.

    Raises
    ------
    ValueError
        Pictures are not square, not whole grey levels within range, or differ in size; or there is no model.
    """
    if not 2 <= levels <= len(_DIGITS):
        raise ValueError(f"levels must be from 2 to {len(_DIGITS)}, got {levels}")
    if not made:
        raise ValueError("made must name at least one model, got none")
    coded = {"real": _coded("real", real, levels)}
    coded |= {model: _coded(f"made[{model!r}]", x, levels) for model, x in made.items()}
    sizes = {len(picture) for pictures in coded.values() for picture in pictures}
    side = round(min(sizes) ** 0.5)
    if sizes != {side * side}:
        raise ValueError(f"pictures must be square and of one size, got pixels {sorted(sizes)}")
    payload = {
        "side": side,
        "levels": levels,
        "digits": _DIGITS,
        "pictures": coded,
        "needed": [[share, n] for share, n in sorted(needed.items(), reverse=True)],
    }
    box = f"game-{name}"
    button = (
        "min-height:44px; min-width:9em; margin:.2em; font-size:1em; border:1px solid #555; "
        "border-radius:4px; background:#fff; color:#222; cursor:pointer"
    )
    canvas = (
        f'<canvas width="{side}" height="{side}" role="img" style="width:128px; height:128px; '
        'image-rendering:pixelated; border:1px solid #999; margin:.3em"></canvas>'
    )
    markup = f"""<div class="turing-game" id="{box}" role="group" aria-label="Real or made? A game"
style="background:#fff; color:#222; max-width:42em; padding:.6em; text-align:center">
<fieldset style="border:0; margin:0; padding:0">
<legend style="font-weight:bold; width:100%">Real or made?</legend>
<label style="margin:.5em"><input type="radio" name="{box}" value="one" checked> one picture at a time</label>
<label style="margin:.5em"><input type="radio" name="{box}" value="two"> two side by side</label></fieldset>
<div class="game-pictures">{canvas}{canvas}</div>
<div><button type="button" class="game-a" style="{button}"></button>
<button type="button" class="game-b" style="{button}"></button></div>
<div class="game-said" aria-live="polite" style="min-height:1.6em; font-weight:bold"></div>
<div class="game-score" style="min-height:3.2em"></div>
<table style="margin:.4em auto; border-collapse:collapse"><caption style="caption-side:top; color:#222">
Right answers by what was shown</caption><tbody class="game-tally"></tbody></table>
<button type="button" class="game-again" style="{button}">Start again</button>
<noscript>The game needs JavaScript.</noscript>
{_scripts("game", box, payload)}"""
    return _Live(markup, "a game: real pictures against those of " + ", ".join(map(html.escape, made)))
