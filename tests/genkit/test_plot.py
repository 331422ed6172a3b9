"""Drawings: right pixels in the right place, honest errors, and figures that carry their own numbers."""

import json
import re

import matplotlib
import numpy as np
import pytest
import torch

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from genkit.plot import colors, density, image_grid, scatter, slider_figure, style


def luminance(color):
    rgb = np.array(matplotlib.colors.to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_every_line_colour_stands_out_from_the_white_card():
    for color in colors.cycle:
        assert 1.05 / (luminance(color) + 0.05) >= 3, color


def test_style_is_complete():
    style()
    assert plt.rcParams["figure.dpi"] == 144 and plt.rcParams["figure.facecolor"] == "white"


def test_image_grid_lays_images_row_by_row():
    images = torch.arange(3.0)[:, None].expand(3, 4)  # three 2 × 2 images, constant 0, 1, 2
    canvas = image_grid(images, ncols=2).images[0].get_array()
    assert canvas.shape == (5, 5)
    assert (canvas[0, 0], canvas[1, 4], canvas[4, 1]) == (0, 1, 2)
    assert np.ma.is_masked(canvas[0, 2]) or np.isnan(canvas[0, 2])


@pytest.mark.parametrize(
    ("x", "kw", "message"),
    [
        (np.zeros((2, 3)), {"ncols": 2}, "square d"),
        (np.zeros(4), {"ncols": 2}, r"\(n, h, w\) or \(n, d\)"),
        (np.zeros((0, 2, 2)), {"ncols": 2}, "n >= 1"),
        (np.zeros((2, 4)), {"ncols": 0}, "ncols must be at least 1"),
        (np.zeros((2, 4)), {"ncols": 2, "titles": ["a"]}, "one text per column"),
        (np.array([["a"]]), {"ncols": 1}, "must be numeric"),
    ],
)
def test_image_grid_refuses(x, kw, message):
    with pytest.raises(ValueError, match=message):
        image_grid(x, **kw)


def test_scatter_and_density_return_their_axes():
    _, ax = plt.subplots()
    assert scatter(ax, torch.zeros(5, 2)) is ax
    assert density(ax, lambda x: -x.square().sum(-1), xlim=(-1, 1), ylim=(-2, 2), n=21) is ax
    shades = ax.images[0].get_array()
    assert shades.argmax() == 10 * 21 + 10  # the mode is in the middle
    with pytest.raises(ValueError, match=r"\(n, 2\)"):
        scatter(ax, torch.zeros(5, 3))


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
