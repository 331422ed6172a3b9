"""Drawings: right pixels in the right place, and honest errors."""

import matplotlib
import numpy as np
import pytest
import torch

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from genkit.plot import colors, density, image_grid, scatter, style


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


def test_style_takes_back_what_another_style_set():
    with plt.style.context("dark_background"):
        style()
        for name in ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "lines.color"):
            color = plt.rcParams[name]
            assert 1.05 / (luminance(color) + 0.05) >= 3, (name, color)


def test_density_of_a_network_in_single_precision():
    _, ax = plt.subplots()
    net = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))
    density(ax, net, xlim=(0, 1), ylim=(0, 1), n=3, dtype=torch.float32)
    corner = net(torch.zeros(1, 2)).exp().item()
    assert ax.images[0].get_array()[0, 0] == pytest.approx(corner, rel=1e-6)


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
