"""A Turing test for pictures that a reader plays: on the site with no kernel and no network, and in Colab."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

import torch

from genkit.slider import _SliderFigure

__all__ = ["turing_game"]

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def _coded(name: str, pictures: Any, levels: int) -> list[str]:
    """One string per picture, one character per pixel."""
    x = torch.as_tensor(pictures)
    if x.ndim != 2 or len(x) == 0:
        raise ValueError(f"{name} must hold pictures as rows (n, pixels), n >= 1, got shape {tuple(x.shape)}")
    if not torch.equal(x, x.round()) or x.min() < 0 or x.max() >= levels:
        raise ValueError(f"{name} must hold whole grey levels from 0 to {levels - 1}")
    return ["".join(_DIGITS[v] for v in row) for row in x.long().tolist()]


def turing_game(
    id: str,
    real: torch.Tensor,
    made: Mapping[str, torch.Tensor],
    *,
    needed: Mapping[float, int],
    levels: int = 17,
) -> _SliderFigure:
    """Build a game in which a reader tells real pictures from made ones, by mouse, touch or keyboard.

    The reader sees one picture ("real or made?") or two side by side ("which is real?"), half of the
    pictures real, and is told after each answer what it was; the tally shows the share of right answers
    and every model's share of pictures caught. Since the reader watches and stops at will, the interval is
    one that contains the true share at all times at once with probability 95 %: all p with
    P(k | n, p) >= 0.05/(n + 1) (Robbins, 1970, doi:10.1214/aoms/1177696786).

    Parameters
    ----------
    id
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
    coded |= {name: _coded(f"made[{name!r}]", x, levels) for name, x in made.items()}
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
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).replace("</", "<\\/")
    script = resources.files("genkit").joinpath("game.js").read_text(encoding="utf-8")
    box = f"game-{id}"
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
<script type="application/json">{text}</script>
<script>{script.replace("%ID%", json.dumps(box))}</script></div>"""
    names = ", ".join(html.escape(name) for name in made)
    return _SliderFigure(markup, f"a game: real pictures against those of {names}")
