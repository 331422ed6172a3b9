"""The game carries its pictures and nothing from elsewhere; how it plays is tested in a browser."""

from __future__ import annotations

import json
import re

import pytest
import torch

from genkit.game import turing_game

REAL = torch.tensor([[0, 16, 8, 0], [1, 2, 3, 4]])
MADE = {"noise": torch.tensor([[16, 0, 0, 16]])}
NEEDED = {0.6: 199, 0.75: 30}


def test_the_game_carries_its_pictures_and_native_controls():
    bundle = turing_game("demo", REAL, MADE, needed=NEEDED)._repr_mimebundle_()
    markup = bundle["text/html"]
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', markup, re.S)[1])
    assert data["pictures"] == {"real": ["0g80", "1234"], "noise": ["g00g"]}
    assert data["side"] == 2
    assert data["needed"] == [[0.75, 30], [0.6, 199]]
    assert markup.count("<button") == 3 and markup.count('type="radio"') == 2
    assert not re.search(r"""(src|href)\s*=|https?://""", markup)
    assert "%ID%" not in markup and 'id="game-demo"' in markup
    assert "noise" in bundle["text/plain"]


def test_a_model_cannot_close_the_script():
    assert "</script><b>" not in turing_game("x", REAL, {"</script><b>": REAL}, needed={}).markup


@pytest.mark.parametrize(
    ("real", "made", "kw", "message"),
    [
        (REAL, {}, {}, "made must name at least one model"),
        (REAL + 0.5, MADE, {}, "real must hold whole grey levels from 0 to 16"),
        (REAL * 5, MADE, {}, "real must hold whole grey levels"),
        (REAL - 1, MADE, {}, "real must hold whole grey levels"),
        (REAL[0], MADE, {}, r"real must hold pictures as rows .* got shape \(4,\)"),
        (REAL[:0], MADE, {}, "n >= 1"),
        (REAL, {"a": torch.zeros(1, 9)}, {}, r"one size, got pixels \[4, 9\]"),
        (REAL[:, :3], {"a": torch.zeros(1, 3)}, {}, "must be square"),
        (REAL, MADE, {"levels": 40}, "levels must be from 2 to 36, got 40"),
    ],
)
def test_turing_game_refuses(real, made, kw, message):
    with pytest.raises(ValueError, match=message):
        turing_game("demo", real, made, needed=NEEDED, **kw)
