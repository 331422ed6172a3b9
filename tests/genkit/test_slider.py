"""Slider figures carry their own numbers, a native slider and nothing from elsewhere."""

import json
import re

import numpy as np
import pytest

from genkit.slider import slider_figure

FRAMES = [
    {"label": f"β = {b}", "note": "n", "lines": [{"x": [0, 1], "y": [0, b], "name": "rate <nats>"}]}
    for b in (1, 2)
]
TEXTS = {"slider_label": "β", "xlabel": "x", "ylabel": "y", "title": "t", "alt": "A line that tilts"}


def test_a_slider_figure_carries_its_numbers_and_a_native_slider():
    markup = slider_figure("demo", FRAMES, **TEXTS)._repr_mimebundle_()["text/html"]
    payload = json.loads(re.search(r'<script type="application/json">(.*?)</script>', markup, re.S)[1])
    assert payload["frames"][1]["lines"][0]["y"] == [0, 2] and payload["y"] == [0, 2]
    assert '<input type="range" min="0" max="1"' in markup and "<label" in markup
    assert 'aria-label="β"' in markup  # the label alone names the <output> in it, not the slider
    assert 'aria-label="A line that tilts"' in markup and "rate &lt;nats&gt;" in markup
    assert "http://www.w3.org/2000/svg" in markup and not re.search(r'src=|href="http', markup)


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
    ],
)
def test_slider_figure_refuses(frames, kw, message):
    with pytest.raises(ValueError, match=message):
        slider_figure("demo", frames, **TEXTS, **kw)


def test_slider_figures_are_the_same_every_time():
    assert slider_figure("demo", FRAMES, **TEXTS).markup == slider_figure("demo", FRAMES, **TEXTS).markup
