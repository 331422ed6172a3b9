"""Live figures carry their data, native controls and nothing from elsewhere; a browser tests them at play."""

import json
import re

import numpy as np
import pytest
import torch

from genkit.live import slider_figure, turing_game

FRAMES = [
    {"label": f"β = {b}", "note": "n", "lines": [{"x": [0, 1], "y": [0, b], "name": "rate <nats>"}]}
    for b in (1, 2)
]
TEXTS = {"slider_label": "β", "xlabel": "x", "ylabel": "y", "title": "t", "alt": "A line that tilts"}


def test_a_slider_figure_carries_its_numbers_and_a_native_slider():
    markup = slider_figure("demo", FRAMES, **TEXTS)._repr_mimebundle_()["text/html"]
    payload = json.loads(re.search(r'<script type="application/json">(.*?)</script>', markup, re.S)[1])
    assert [frame["label"] for frame in payload] == ["β = 1", "β = 2"]
    assert (
        payload[1]["curves"]
        == '<path d="M62.0 268.0L608.0 28.0" fill="none" stroke="#0072b2" stroke-width="2.2"/>'
    )
    assert payload[0]["curves"] in markup and "β = 1</output>" in markup  # the start, without scripts too
    assert '<input type="range" min="0" max="1"' in markup and "<label" in markup
    assert 'aria-label="β"' in markup  # the label alone names the <output> in it, not the slider
    assert 'aria-label="A line that tilts"' in markup and "rate &lt;nats&gt;" in markup
    assert not re.search(r'src=|href="http', markup)


def drawn(x, y, **kw):
    line = {"x": x, "y": y, "name": "n", "kind": "points"}
    markup = slider_figure("demo", [{"label": "a", "lines": [line]}], **TEXTS, **kw).markup
    picture = re.search('<g class="curves">(.*?)</g>', markup)[1]
    return [(float(a), float(b)) for a, b in re.findall('cx="(.*?)" cy="(.*?)"', picture)]


def test_numbers_far_from_zero_and_constants_are_drawn_apart_and_inside():
    assert [a for a, _ in drawn([100000, 100001, 100002], [1e-9, 2e-9, 3e-9])] == [62.0, 335.0, 608.0]
    for y in (0.0, 7.0, -1e12):
        assert [b for _, b in drawn([0, 1], [y, y])] == [148.0, 148.0]
    assert drawn([3], [4]) == [(335.0, 148.0)]
    nothing = {
        "label": "none",
        "lines": [{"x": [], "y": [], "name": name} for name in ("rate <nats>", "new")],
    }
    assert "new" in slider_figure("demo", [*FRAMES, nothing], **TEXTS).markup


@pytest.mark.parametrize(
    ("frames", "kw", "message"),
    [
        ([], {}, "at least one frame"),
        (FRAMES, {"start": 2}, "start must be a frame"),
        (
            [{"label": "a", "lines": [{"x": [0, 1], "y": [0], "name": "n"}]}],
            {},
            "finite x and y of one length",
        ),
        ([{"label": "a", "lines": [{"x": [0], "y": [np.nan], "name": "n"}]}], {}, "finite x and y"),
        ([{"label": "a", "lines": []}], {}, "a line with at least one point, got none"),
        ([{"label": "a", "lines": [{"x": [], "y": [], "name": "n"}]}], {}, "at least one point"),
        (FRAMES, {"xlim": (1, 1)}, r"xlim must be two finite numbers, the lower first, got \(1, 1\)"),
        (FRAMES, {"ylim": (0, np.inf)}, "ylim must be two finite numbers"),
    ],
)
def test_slider_figure_refuses(frames, kw, message):
    with pytest.raises(ValueError, match=message):
        slider_figure("demo", frames, **TEXTS, **kw)


def test_slider_figures_are_the_same_every_time():
    assert slider_figure("demo", FRAMES, **TEXTS).markup == slider_figure("demo", FRAMES, **TEXTS).markup


REAL = torch.tensor([[0, 16, 8, 0], [1, 2, 3, 4]])
MADE = {"noise": torch.tensor([[16, 0, 0, 16]])}
NEEDED = {0.6: 199, 0.75: 30}


def test_the_game_carries_its_pictures_and_native_controls():
    twice = torch.cat([REAL, REAL[:1]])  # a picture that comes twice would be known
    bundle = turing_game("demo", twice, MADE, needed=NEEDED)._repr_mimebundle_()
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
