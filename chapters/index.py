# ---
# jupyter:
#   jupytext:
#     formats: md:myst,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# (ch-book)=
# # How Generative Models Learn
#
# A textbook that runs. It derives what generative models optimise, codes each method whole, and tests what it says:
# each claim on these pages is computed by a cell and held to a truth or a bound, or the book is not built. It is for readers who know some
# probability, linear algebra and Python, and for those who teach them.
#
# :::::{div} doors
#
# ::::{div} door
# **Read**
#
# Begin with {doc}`how to read this book <conventions>`, or go straight to
# {doc}`three objectives, one dataset <objectives/generation>`.
# <span class="zip">It all works offline: <a href="../how-generative-models-learn.zip">the site as one file</a>.</span>
# ::::
#
# ::::{div} door
# **Run**
#
# Every chapter is a notebook that runs in about a minute, without a GPU. The rocket above a page opens it in Colab:
# {colab}`try the first <objectives/generation>`.
# ::::
#
# ::::{div} door
# **Teach**
#
# {doc}`Twelve weeks <teaching/course>` are planned. {doc}`Choose exercises, hand them out, grade
# them safely <teaching/grading>`. Each claim stands in the {doc}`ledger of claims <appendix/claims>`.
# ::::
#
# :::::

# %% mystnb={"figure": {"name": "fig-book-noise", "caption": "Noise becomes digits, and nothing was trained: at every noise level, written above, the best guess of the clean picture is an average of the 1077 training digits. But each end is an exact copy of a training digit. What does it mean to learn more than that? The book begins here."}, "image": {"alt": "Five rows of small grey pictures. Each row starts as noise on the left and turns, from left to right, into a handwritten digit - a two, a four, a one, an eight and a five."}} tags=["hide-input"]
import itertools

import matplotlib.pyplot as plt
import torch

from genkit.claims import claim
from genkit.data import digits
from genkit.plot import image_grid, style
from genkit.train import seed_everything

style()
gen = seed_everything(3)
train = digits().train.x / 8 - 1  # (1077, 64), white -1 to black 1


def denoise(x, s):
    """Mean of the training digits given x = digit + s * noise, the guess of least squared error: (n, 64) -> (n, 64)"""
    weights = torch.softmax(-(torch.cdist(x, train) ** 2) / (2 * s**2), dim=1)  # (n, 1077)
    return weights @ train


levels = torch.cat([torch.logspace(0.6, -1.4, 41), torch.zeros(1)]).double()  # noise from 4 down to 0
x = levels[0] * torch.randn(5, 64, generator=gen, dtype=torch.float64)  # five pictures of pure noise
path = [x]
for s, s_next in itertools.pairwise(levels):
    x = x + (s_next - s) / s * (x - denoise(x, s))  # a step towards the guess
    path.append(x)

shown = [*range(0, 38, 3), 41]
frames = torch.stack([path[k] / (1 + levels[k] ** 2).sqrt() for k in shown], dim=1)  # (5, 14, 64)
_, ax = plt.subplots(figsize=(7.0, 2.7))
image_grid(frames.flatten(0, 1), ncols=len(shown), ax=ax, titles=[f"{levels[k]:.2g}" for k in shown], vmin=-1, vmax=1)
plt.show()

# %% tags=["remove-input"]
ends = ((x + 1) * 8).round()  # grey levels 0 to 16
copies = (ends[:, None] == digits().train.x).all(dim=2).any(dim=1).sum()
claim("book-copies", "pictures, of five, whose 64 grey levels all equal those of a training digit",
      copies, 5, item="E1.4", by="as the noise vanishes, the average is the nearest training digit")
