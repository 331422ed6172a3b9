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
# (ch-at-work)=
# # Putting the objectives to work
#
# After this page you will be able to
#
# - write the Fréchet distance behind FID in ten lines, and say what value two samples of *the same* distribution would get;
# - tell apart three things a score can mean: the model is good, the sample is small, the feature space is blind;
# - read a perplexity as what it is, a likelihood;
# - set up a small generative experiment on images, text, melodies or molecules so that its result means something:
#   a held-out split, a named baseline, a claim that could have failed.
#
# Samples and densities were defined in {ref}`ch-generation`; here they have to earn their living.

# %% tags=["hide-input"]
import contextlib
import io
import itertools
import math
import random
import re
from collections import Counter, defaultdict
from pydoc_data.topics import topics

import matplotlib.pyplot as plt
import numpy as np
import scipy.linalg
import torch
import torch.nn as nn
import torch.nn.functional as F

from genkit.claims import agree, claim, monte_carlo, self_check
from genkit.data import dequantise, digits
from genkit.divergences import kl_quadrature, mmd2
from genkit.metrics import c2st, frechet_distance, perplexity
from genkit.plot import colors, image_grid, style
from genkit.train import fit, seed_everything

style()
gen = seed_everything(0)
torch.set_default_dtype(torch.float64)

# %% [markdown]
# ## Which of these would you ship?
#
# Three generators have read the same 1077 training digits. The first knows how often each grey level occurs at each
# pixel, and nothing else: it is the **baseline** of this page, the thing that a model must beat to be worth anything.
# The second is the **probabilistic PCA** (pPCA) of {ref}`ch-generation` with ten components. The third keeps one Gaussian for
# each class of digit, its covariance shrunk towards the diagonal by an amount that the validation digits choose.

# %%
data = digits()


def levels(y):
    """[0,1) back to the grid 0 ... 16."""
    return (17 * y).floor().clamp(0, 16)


train_y = dequantise(data.train.x, generator=gen)  # (1077, 64) in [0, 1)
valid_y = dequantise(data.validation.x, generator=gen)


# %% tags=["hide-input"]
def independent_pixels(n):
    """Every pixel from its own histogram, (n, 64)."""
    rows = torch.randint(len(data.train.x), (n, 64), generator=gen)
    return data.train.x.gather(0, rows)                      # column by column


def ppca(n, k=10):
    """x = mean + W z + sigma eps with the closed-form W and sigma, (n, 64)."""
    lam, U = torch.linalg.eigh(train_y.T.cov())              # ascending eigenvalues
    s2 = lam[:-k].mean()
    W = U[:, -k:] * (lam[-k:] - s2).sqrt()                   # (64, k)
    z, eps = torch.randn(n, k, generator=gen), torch.randn(n, 64, generator=gen)
    return levels(train_y.mean(0) + z @ W.T + s2.sqrt() * eps)


# %%
def fit_classes(y, label, shrink):
    """Mean (10, 64) and Cholesky factor (10, 64, 64) of each class.

    The covariance is shrunk towards its diagonal.
    """
    mean = torch.stack([y[label == c].mean(0) for c in range(10)])
    cov = torch.stack([y[label == c].T.cov() for c in range(10)])
    diag = torch.diag_embed(torch.diagonal(cov, dim1=1, dim2=2))
    return mean, torch.linalg.cholesky((1 - shrink) * cov + shrink * diag)


def class_log_prob(y, model):
    """log p(y) of the ten-class mixture with equal weights, (n,)."""
    each = torch.distributions.MultivariateNormal(model[0], scale_tril=model[1])
    return torch.logsumexp(each.log_prob(y[:, None]), 1) - math.log(10)


def class_gaussians(n, label=None):
    """Draw a class (or take the one asked for), then a digit of it, (n, 64)."""
    c = torch.randint(10, (n,), generator=gen) if label is None else label
    eps = torch.randn(n, 64, generator=gen)
    return levels(model[0][c] + torch.einsum("nij,nj->ni", model[1][c], eps))


# %%
grid = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
fits = {shrink: fit_classes(train_y, data.train.y, shrink) for shrink in grid}
valid_score = {s: class_log_prob(valid_y, fits[s]).mean() for s in grid}
best = max(grid, key=valid_score.get)
model = fits[best]
generators = {
    "independent pixels": independent_pixels,
    "pPCA, k = 10": ppca,
    "class Gaussians": class_gaussians,
}

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-at-work-three", "caption": "Real test digits and three generators. The eye ranks them at once; the page asks for numbers that do the same, and for the cases in which they do not."}, "image": {"alt": "Four rows of small grey digit images. The first row shows clear digits, the second scattered grey dots, the third noisy blobs, the fourth mostly readable digits with some noise."}}
rows = [data.test.x[:12]] + [draw(12) for draw in generators.values()]
fig, ax = plt.subplots(figsize=(7, 2.2))
image_grid(torch.cat(rows), ncols=12, ax=ax, vmin=0, vmax=16)
ax.set_yticks([4, 13, 22, 31], ["test digits", *generators])
plt.show()


# %% [markdown]
# ## A distance between two clouds
#
# {item}`S1.4` Look at {numref}`fig-at-work-three` as the metric does: as two clouds of points. Summarise each cloud by
# its mean and covariance, pretend both are Gaussian, and ask how far one must be *moved* to become the other.
#
# :::{prf:definition} Fréchet distance of two Gaussians
# :label: def-at-work-frechet
#
# For feature vectors with means $\mu_r,\mu_g$ and covariances $\Sigma_r,\Sigma_g$ (*r*eal, *g*enerated),
#
# $$
# \begin{aligned}
# d^2 &= \min_{X\sim\mathcal N(\mu_r,\Sigma_r),\;Y\sim\mathcal N(\mu_g,\Sigma_g)} \mathbb E\,\|X-Y\|^2\\
#     &= \|\mu_r-\mu_g\|^2\\
#     &\quad{}+ \operatorname{Tr}\Big(\Sigma_r+\Sigma_g-2\big(\Sigma_r^{1/2}\Sigma_g\Sigma_r^{1/2}\big)^{1/2}\Big),
# \end{aligned}
# $$ (eq-at-work-frechet)
#
# the minimum over all ways to draw the pair $(X,Y)$ jointly. It is a *squared* distance, in squared units of the features.
# :::
#
# :::{prf:proof}
# The means contribute $\|\mu_r-\mu_g\|^2$ whatever the coupling, so take them to be zero. Then
# $\mathbb E\|X-Y\|^2=\operatorname{Tr}\Sigma_r+\operatorname{Tr}\Sigma_g-2\operatorname{Tr}C$ with the cross-covariance
# $C=\mathbb E\,XY^\top$. Whiten both: $K=\Sigma_r^{-1/2}C\,\Sigma_g^{-1/2}$ is the cross-covariance of two vectors with covariance $I$, and what
# can occur is exactly $|u^\top Kv|\le1$ for all unit $u,v$ (correlations), that is, operator norm at most 1. So we maximise
# $\operatorname{Tr}C=\operatorname{Tr}(K\,\Sigma_g^{1/2}\Sigma_r^{1/2})$. With the singular value decomposition
# $\Sigma_g^{1/2}\Sigma_r^{1/2}=USV^\top$ it is $\sum_is_i(V^\top KU)_{ii}\le\sum_is_i$, reached at $K=VU^\top$. (Singular
# covariances follow by continuity.) The singular values $s_i$ are the square roots of the eigenvalues of
# $\Sigma_r^{1/2}\Sigma_g\Sigma_r^{1/2}$.
# :::
#
# The formula is due to {cite:t}`dowson1982` and {cite:t}`olkin1982`. Nothing in the lower bound used that $X$ and $Y$
# are Gaussian: for *any* two distributions with these moments, {eq}`eq-at-work-frechet` is at most their squared **Wasserstein-2
# distance**. Many texts write $(\Sigma_r\Sigma_g)^{1/2}$. The trace is the same, since $\Sigma_r\Sigma_g$ and
# $\Sigma_r^{1/2}\Sigma_g\Sigma_r^{1/2}$ have the same eigenvalues, but the product is not symmetric, and its
# root is slower and, where a covariance is singular, slightly complex. The symmetric form needs only eigenvalues.

# %%
def frechet(mean_r, cov_r, mean_g, cov_g):
    """Squared Fréchet distance; means (d,), covariances (d, d)."""
    lam, U = torch.linalg.eigh(cov_r)
    root = (U * lam.clamp(min=0).sqrt()) @ U.T       # Sigma_r^{1/2}, (d, d)
    nu = torch.linalg.eigvalsh(root @ cov_g @ root)  # (d,)
    cross = nu.clamp(min=0).sqrt().sum()             # rounding may leave -1e-17
    shift = (mean_r - mean_g).square().sum()
    return shift + (cov_r + cov_g).trace() - 2 * cross


def frechet_of(real, generated):
    """The same, from feature vectors (n, d) and (m, d)."""
    return frechet(
        real.mean(0), real.T.cov(), generated.mean(0), generated.T.cov()
    )


# %% tags=["hide-input"]
A, B = torch.randn(2, 100, 64, generator=gen)
agree("at-work-frechet-twin", frechet_of(A, B), frechet_distance(A, B))
C_A, C_B = A.T.cov(), B.T.cov()
slow = float(np.trace(scipy.linalg.sqrtm((C_A @ C_B).numpy()).real))

claim("at-work-frechet-scipy", "Fréchet distance of two 64-dimensional samples, eigenvalue form",
      frechet_of(A, B), (A.mean(0) - B.mean(0)).square().sum() + (C_A + C_B).trace() - 2 * slow,
      by="scipy's sqrtm of the product of the covariances", atol=1e-6)

lam, mu = torch.rand(2, 6, generator=gen) + 0.1
Q = torch.linalg.qr(torch.randn(6, 6, generator=gen))[0]  # common eigenvectors
zero = torch.zeros(6)
claim("at-work-frechet-commuting", "Fréchet distance of two covariances that commute",
      frechet(zero, (Q * lam) @ Q.T, zero, (Q * mu) @ Q.T), (lam.sqrt() - mu.sqrt()).square().sum(),
      by="closed form, sum of (sqrt(lambda) - sqrt(mu))^2", atol=1e-12)

# %% [markdown]
# In one dimension the formula reads $(\mu_r-\mu_g)^2+(\sigma_r-\sigma_g)^2$: the squared distance between the points
# $(\mu,\sigma)$. In general the covariances do not commute, and the order of the operations matters. Take
# $\Sigma_r=\operatorname{diag}(9,1)$ and turn it by 45° to get $\Sigma_g$. For $2\times2$ matrices
# $\operatorname{Tr}M^{1/2}=\sqrt{\operatorname{Tr}M+2\sqrt{\det M}}$, so that the distance is exactly $20-2\sqrt{68}$.
# Two slips are common: to multiply the two roots instead of taking the root of the product, and to forget the root.

# %% tags=["hide-input"]
o = torch.zeros(2)
S_r, S_g = torch.tensor([[9.0, 0], [0, 1]]), torch.tensor([[5.0, 4], [4, 5]])

claim("at-work-frechet-turned",
      "Fréchet distance of a 2-d covariance and the same turned by 45 degrees",
      frechet(o, S_r, o, S_g), 20 - 2 * math.sqrt(68), by="closed form 20 - 2 sqrt(68)", atol=1e-12)

root_r, root_g = torch.tensor([[3.0, 0], [0, 1]]), torch.tensor([[2.0, 1], [1, 2]])
claim("at-work-frechet-wrong-roots", "wrong formula, product of the two roots: too far",
      (S_r + S_g - 2 * root_r @ root_g).trace(), 4.0, by="closed form 20 - 2 · 8", atol=1e-12)
four = 4 * torch.eye(2)
claim("at-work-frechet-wrong-no-root",
      "wrong formula, root forgotten: a negative distance from 4I to itself",
      (four + four - 2 * four @ four).trace(), -48.0, by="closed form 16 - 64", atol=1e-12)


# %% [markdown]
# :::{admonition} Common mistake: FID is a Fréchet distance between embeddings
# :class: mistake
# {item}`E1.7` FID stands for **Fréchet Inception Distance** {cite:p}`heusel2017`: the features are the 2048 activations
# that the Inception-v3 classifier, trained on ImageNet, has before its last layer. A number computed with other features
# is a Fréchet distance but not an FID. And it is the *square* of a distance: shifts add up quadratically, and the triangle
# inequality fails, as the next cell shows with three Gaussians in a row. The root of the number is the metric.
# :::

# %% tags=["hide-input"]
def step(t):
    return frechet(o, torch.eye(2), torch.tensor([t, 0.0]), torch.eye(2))

claim("at-work-fid-square",
      "three Gaussians one unit apart: direct 'distance' minus the sum of the two legs",
      step(2.0) - 2 * step(1.0), 2.0, item="E1.7",
      by="closed form 4 - 2: the triangle inequality fails", atol=1e-12)
claim("at-work-fid-root", "the same with the square root of each",
      (step(2.0).sqrt() - 2 * step(1.0).sqrt()).round(decimals=9), 0.0, item="E1.7",
      by="closed form 2 - 2")


# %% [markdown]
# (sec-at-work-bias)=
# ## A perfect generator does not score zero
#
# Draw two samples of $n$ points from the *same* standard normal in 64 dimensions. The distance between the distributions is zero.
# The distance between the samples is not: each estimated mean and covariance is off by a little, and a squared distance
# only ever adds the errors up.
#
# :::{prf:theorem} The bias of a Fréchet distance
# :label: thm-at-work-bias
#
# {item}`X3.4` Let $n$ real and $m$ generated features, both well more than $d$, be independent draws of one Gaussian whose covariance has
# eigenvalues $\lambda_1,\dots,\lambda_d$. Then, to first order in $1/n$ and $1/m$,
#
# $$
# \begin{aligned}
# \mathbb E\,\hat d^2 &\approx \Big(\frac1n+\frac1m\Big)\Big[\sum_i\lambda_i\\
# &\qquad{}+ \frac12\sum_{i,j}(1+\delta_{ij})\frac{\lambda_i\lambda_j}{\lambda_i+\lambda_j}\Big].
# \end{aligned}
# $$ (eq-at-work-bias)
#
# For $\Sigma=I$ and $n=m$ this is $\big(2d+\tfrac12d(d+1)\big)/n$; for $d=64$, $2208/n$.
# :::
#
# :::{dropdown} Proof
# The means differ by a Gaussian with covariance $(1/n+1/m)\Sigma$, whose expected squared norm is the first term. For the
# covariances, work in the eigenbasis of $\Sigma$ and compare $\Lambda$ with $\Lambda+A$, $A$ small. Write the root of
# $\Lambda^2+\Lambda^{1/2}A\Lambda^{1/2}$ as $\Lambda+R_1+R_2+\dots$ and square it. At first order
# $\Lambda R_1+R_1\Lambda=\Lambda^{1/2}A\Lambda^{1/2}$, so $(R_1)_{ij}=\sqrt{\lambda_i\lambda_j}\,A_{ij}/(\lambda_i+\lambda_j)$
# and $\operatorname{Tr}R_1=\tfrac12\operatorname{Tr}A$, which cancels. At second order
# $\Lambda R_2+R_2\Lambda=-R_1^2$, so
#
# $$
# \begin{aligned}
# \operatorname{Tr}R_2&=-\frac12\sum_{i,j}\frac{\lambda_i\lambda_jA_{ij}^2}{(\lambda_i+\lambda_j)^2\lambda_i}\\
# &=-\frac14\sum_{i,j}\frac{A_{ij}^2}{\lambda_i+\lambda_j},
# \end{aligned}
# $$ (eq-at-work-bures)
#
# where the last step averages the expression with the one in which $i$ and $j$ change places. The distance is
# $-2\operatorname{Tr}R_2=\tfrac12\sum_{ij}A_{ij}^2/(\lambda_i+\lambda_j)$. With both covariances estimated, the first is $\Lambda$ plus its own
# error; putting it for $\Lambda$ in this quadratic form changes only terms of third order. $A$ is then the difference of the errors, and $\mathbb E A_{ij}^2=(1/n+1/m)(1+\delta_{ij})\lambda_i\lambda_j$.
# :::

# %%
def expected_bias(lam, n, m):
    """First-order mean for samples of sizes n, m of one Gaussian; lam (d,)."""
    pair = lam[:, None] * lam / (lam[:, None] + lam)               # (d, d)
    return (1 / n + 1 / m) * (lam.sum() + 0.5 * (pair.sum() + pair.trace()))


# %%
def scores(n, m, lam, shift=0.0, repeats=12):
    """Distances of n real and m generated Gaussian features, moved by shift."""
    d, values = len(lam), []
    for _ in range(repeats):
        real = torch.randn(n, d, generator=gen) * lam.sqrt()
        fake = torch.randn(m, d, generator=gen) * lam.sqrt()
        fake[:, 0] += shift
        values.append(frechet_of(real, fake))
    return torch.stack(values)


one = torch.ones(64)

# %% tags=["hide-input"]
claim("at-work-bias-closed", "bias times n for 64 unit eigenvalues",
      1000 * expected_bias(one, 1000, 1000), 2208, by="closed form 2d + d(d+1)/2", atol=1e-9)
sizes = [250, 500, 1000, 2500, 5000]
equal = {n: monte_carlo(scores(n, n, one)) for n in sizes}
claim("at-work-bias-identity",
      "n times the mean distance of two samples of one distribution, d = 64, n = 250 ... 5000",
      [n * equal[n][0] for n in sizes], [2208.0] * 5, by="first-order theory, 2208", rtol=0.02,
      se=[n * equal[n][1] for n in sizes])

# a spectrum more like that of real features
decay = 1 / torch.arange(1, 65, dtype=torch.float64)
mean, se = monte_carlo(scores(1000, 1000, decay, repeats=40))
claim("at-work-bias-decay", "mean distance of two samples, eigenvalues 1/i, n = 1000", mean,
      expected_bias(decay, 1000, 1000), by="first-order theory, closed form", rtol=0.02, se=se)
claim("at-work-bias-wrong",
      "wrong formula, the means' share only: part of the true bias that it explains",
      2 * decay.sum() / 1000 / expected_bias(decay, 1000, 1000),
      by="closed form; the covariances bring the rest", at_most=0.11)

# %% [markdown]
# ### The ranking flip
#
# {item}`X3.5` The bias is not a harmless constant, because people do not always use the same $n$. Give a *perfect* generator
# 500 samples, and give a generator whose mean is wrong by one unit (true distance exactly 1) 5000 samples, each against
# 5000 real ones. By {eq}`eq-at-work-bias` we expect about $1104/500+1104/5000=2.43$ for the perfect one and
# $1+2208/5000=1.44$ for the wrong one.

# %%
perfect, se_p = monte_carlo(scores(5000, 500, one))
wrong, se_w = monte_carlo(scores(5000, 5000, one, shift=1.0, repeats=6))

# %% tags=["hide-input"]
claim("at-work-flip-perfect", "score of the perfect generator with 500 samples", perfect,
      expected_bias(one, 5000, 500), by="first-order theory", rtol=0.02, se=se_p)
claim("at-work-flip", "by how much the perfect generator looks worse than the wrong one",
      perfect - wrong, expected_bias(one, 5000, 500) - 1 - expected_bias(one, 5000, 5000),
      by="first-order theory; the truth is -1", atol=0.03, se=math.hypot(se_p, se_w))

gap = []  # equal sizes, the same draws: all deviations 5 % too small
for _ in range(90):
    real, right = torch.randn(2, 250, 64, generator=gen)
    gap.append(frechet_of(real, right) - frechet_of(real, 0.95 * right))
mean, se = monte_carlo(torch.stack(gap))
claim("at-work-flip-equal",
      "n = 250 for all: perfect generator minus one with deviations 5 % too small", mean,
      (0.05 * 2080 + (1 - 0.95**2) * 64) / 250 - 0.16, atol=0.01, se=se, digits=2,
      by="first-order theory of each share; the truth is -0.16")

shifted = {
    n: monte_carlo(scores(n, n, one, shift=1.0, repeats=8))[0] for n in sizes
}
slope, intercept = np.polyfit(
    [1 / n for n in sizes[1:]], [shifted[n] for n in sizes[1:]], 1
)
claim("at-work-infinity", "straight line through the wrong generator's scores, read off at 1/n = 0",
      intercept, 1.0, by="true distance of the distributions", atol=0.06)
null = [
    float(
        mmd2(
            torch.randn(250, 64, generator=gen),
            torch.randn(250, 64, generator=gen),
            bandwidth=8.0,
        )
    )
    for _ in range(20)
]
mean, se = monte_carlo(np.array(null))
claim("at-work-mmd-null", "unbiased squared MMD of two samples of one distribution, n = 250", mean,
      0.0, by="unbiased at every n", se=se)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-at-work-bias", "caption": "Fr\u00e9chet distance against one over the sample size, 64 dimensions. Both sides have n samples. The perfect generator (true value 0) at n = 500 lies above the wrong one (true value 1) at n = 5000; the intercepts tell the truth."}, "image": {"alt": "Two rising straight rows of points over one over n; one starts at zero, the other at one. A circled point of the lower row at large one over n stands higher than a circled point of the upper row near the axis."}}
fig, ax = plt.subplots()
inv = np.array([0, 1 / 240])
ax.plot(inv, 2208 * inv, color=colors.model, lw=1, label="theory, 2208/n")
ax.plot(inv, 1 + 2208 * inv, color=colors.bad, lw=1, ls="--", label="1 + 2208/n")
ax.plot(
    [1 / n for n in sizes],
    [equal[n][0] for n in sizes],
    "o",
    color=colors.model,
    label="perfect generator",
)
ax.plot(
    [1 / n for n in sizes],
    [shifted[n] for n in sizes],
    "s",
    color=colors.bad,
    label="mean off by one",
)
for n, v in ((500, equal[500][0]), (5000, shifted[5000])):
    ax.plot(1 / n, v, "o", ms=16, mfc="none", mec=colors.truth)
ax.set(
    xlabel="1/n", ylabel="estimated distance", xlim=(-0.0001, 0.0043), ylim=(0, 11)
)
ax.legend(loc="upper left")
plt.show()

# %% [markdown]
# {numref}`fig-at-work-bias` shows both generators at all sizes: two parallel lines, and a verdict that depends on where along them one
# happens to stand. So a Fréchet distance without its two sample sizes is not a result. Report it with equal $n$ for all models, beside the
# value of a *second real sample*, and, where it matters, extrapolated to $1/n\to0$ {cite:p}`chong2020`. Kernel distances
# such as the unbiased **maximum mean discrepancy** (MMD) above have no such bias {cite:p}`binkowski2018`; they pay with values that may be negative.
#
# ## What two moments cannot see
#
# {eq}`eq-at-work-frechet` reads two moments, so any two distributions that share them are at distance zero. Put four narrow
# Gaussians at $(\pm3,\pm3)$ and compare them with the one Gaussian of equal mean and variance: a generator with four modes, and one
# that fills the hole between them (**mode-covering**).

# %% tags=["hide-input"]
x = torch.linspace(-16, 16, 6001)


def log_normal(x, m, s):
    return -0.5 * ((x - m) / s) ** 2 - math.log(s) - 0.5 * math.log(2 * math.pi)


def two_modes(x):
    return torch.logaddexp(
        log_normal(x, -3, 1.0), log_normal(x, 3, 1.0)
    ) - math.log(2)


def blob(x):
    return log_normal(x, 0, math.sqrt(10))


variance = torch.trapezoid(x**2 * two_modes(x).exp(), x)

claim("at-work-blind-moments", "variance of one coordinate of the four-mode distribution, by quadrature",
      variance.round(decimals=6), 10.0, by="closed form 1 + 3^2: that of the single Gaussian",
      atol=1e-6)
kl = 2 * kl_quadrature(two_modes(x), blob(x), x)  # two independent coordinates
corner = 3 * torch.sign(torch.randn(200_000, 2, generator=gen))
sample = corner + torch.randn(200_000, 2, generator=gen)
mean, se = monte_carlo((two_modes(sample) - blob(sample)).sum(1))
claim("at-work-blind-kl", "KL from the four-mode distribution to the Gaussian of equal moments", kl,
      mean, by="Monte Carlo over 200 000 draws", se=se, unit="nats")
claim("at-work-blind-fid", "Fréchet distance of the two distributions, from their exact moments",
      frechet(o, variance * torch.eye(2), o, 10 * torch.eye(2)).round(decimals=6), 0.0,
      by="equal moments")
fill = math.sqrt(10) * torch.randn(1000, 2, generator=gen)
claim("at-work-blind-c2st", "a classifier tells the two distributions apart: held-out accuracy",
      c2st(sample[:1000], fill, generator=gen), by="one half if it could not", at_least=0.65,
      stable=False)


# %% [markdown]
# A divergence of {value}`at-work-blind-kl:.2f` nats, and distance zero. Nor can a distance to the *data* tell a model from a copy of the
# data. A **memoriser** hands out training digits. A test for **data-copying**, in the spirit of {cite:t}`meehan2020`, asks a question that the Fréchet
# distance does not: is a generated image nearer to the training set than to fresh images, equally many of both? Fresh
# images would win half the time.

# %%
def copy_rate(generated, train, fresh):
    """Share of images (n, d) nearer to a training than to a fresh image."""

    def nearest(pool):
        return torch.cdist(generated, pool).min(1).values

    return (nearest(train) < nearest(fresh)).double().mean()


# %% tags=["hide-input"]
# 720 digits that no generator was fitted to
fresh = torch.cat([data.validation.x, data.test.x])


def memoriser(n):
    return data.train.x[torch.randint(len(data.train.x), (n,), generator=gen)]


def pixels(x):
    return x / 16


equal_train = data.train.x[: len(fresh)]
copied = equal_train[torch.randint(len(fresh), (1000,), generator=gen)]
fakes = class_gaussians(1000)

claim("at-work-copy-fid", "Fréchet distance to the test digits: memoriser minus class Gaussians",
      frechet_of(pixels(data.test.x), pixels(copied))
          - frechet_of(pixels(data.test.x), pixels(fakes)), by="the copy looks better",
      at_most=-0.03)
claim("at-work-copy-memoriser", "copy rate of the memoriser", copy_rate(copied, equal_train, fresh),
      1.0, by="a copy is at distance 0 from its original")
claim("at-work-copy-model", "copy rate of the class Gaussians",
      copy_rate(fakes, equal_train, fresh),
      by="far from 1; above 1/2 because the model has seen the training half", at_least=0.51,
      at_most=0.68)

# %% [markdown]
# (sec-at-work-features)=
# ## Change the features, change the winner
#
# The last freedom is the map from image to features. Why did {cite:t}`heusel2017` take those of a classifier? Two moments
# of *pixels* say little about what an image shows; in the last layers of a classifier, directions stand for content, so
# that blur, noise and lost classes (**mode dropping**) move the mean and the covariance. But then the network's taste becomes the metric's
# taste. Take eight "generators", half of them deliberately corrupted copies of real digits, and score them with one and the
# same function on four feature maps: the pixels; ten principal components; random convolutions whose responses are
# averaged over the image; and the hidden layer of a small classifier that we train here, our Inception network in
# miniature.

# %%
lam_p, U_p = torch.linalg.eigh(data.train.x.T.cov())
filters = torch.randn(32, 1, 3, 3, generator=gen) / 3
net = nn.Sequential(
    nn.Linear(64, 64), nn.ReLU(),
    nn.Linear(64, 16), nn.ReLU(),
    nn.Linear(16, 10),
)
fit(
    lambda batch: F.cross_entropy(net(batch[0] / 16), batch[1]),
    net.parameters(), (data.train.x, data.train.y),
    steps=800, lr=2e-3, generator=gen,
)


def convolve(x, kernels):
    around = F.pad(x.view(-1, 1, 8, 8), (1, 1, 1, 1), mode="circular")
    return F.conv2d(around, kernels)


feature_maps = {
    "pixels": pixels,
    "10 principal components": lambda x: pixels(x) @ U_p[:, -10:],
    "random convolutions": lambda x: (
        convolve(pixels(x), filters).relu().mean((2, 3))
    ),
    "classifier's hidden layer": lambda x: net[:4](pixels(x)).detach(),
}


# %% tags=["hide-input"]
def corrupt(x):
    return (x + 2 * torch.randn(x.shape, generator=gen)).round().clamp(0, 16)


small = data.train.x[data.train.y < 7]
blur = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])[None, None] / 16
candidates = {
    "memoriser": memoriser,
    "+ pixel noise": lambda n: corrupt(memoriser(n)),
    "7, 8, 9 missing": lambda n: small[
        torch.randint(len(small), (n,), generator=gen)
    ],
    "moved by 1 pixel": lambda n: memoriser(n).view(-1, 8, 8).roll(1, 2).flatten(1),
    "blurred": lambda n: convolve(memoriser(n), blur).flatten(1),
    **generators,
}

# %%
drawn = {name: draw(1000) for name, draw in candidates.items()}
table = {
    f: {
        name: float(frechet_of(phi(fresh), phi(x)))
        for name, x in drawn.items()
    }
    for f, phi in feature_maps.items()
}

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-at-work-features", "caption": "The same generators, the same function, four feature maps. Each column is a ranking from best (top) to worst; lines that cross are verdicts that change with the features."}, "image": {"alt": "Bump chart with eight lines crossing each other between four columns of ranks. The line of moved digits climbs from the last rank under pixels to the top under averaged convolutions; the line of missing digits rises to third place there and falls back under the classifier."}}
fig, ax = plt.subplots(figsize=(7, 3.8))
ranking = {f: sorted(t, key=t.get) for f, t in table.items()}
strong = {
    "moved by 1 pixel": colors.bad,
    "7, 8, 9 missing": colors.cycle[2],
    "+ pixel noise": colors.cycle[3],
    "class Gaussians": colors.model,
}
for name in candidates:
    ranks = [ranking[f].index(name) + 1 for f in ranking]
    ax.plot(
        range(4),
        ranks,
        "-o",
        color=strong.get(name, colors.muted),
        lw=2.4 if name in strong else 1.2,
    )
    ax.text(
        -0.08,
        ranks[0],
        name,
        ha="right",
        va="center",
        fontsize=9,
        color=strong.get(name, colors.data),
    )
ax.set_xticks(
    range(4),
    [
        "pixels",
        "10 principal\ncomponents",
        "random convolutions,\naveraged",
        "classifier's\nhidden layer",
    ],
)
ax.set_yticks(range(1, 9))
ax.set(ylabel="rank (1 is best)", ylim=(8.4, 0.6), xlim=(-1.1, 3.2))
ax.yaxis.set_label_position("right")
ax.yaxis.tick_right()
ax.spines[["left", "bottom"]].set_visible(False)
plt.show()

# %% tags=["hide-input"]
pix, pca, conv, cls = table.values()

claim("at-work-features-noise",
      "does pixel noise beat the class Gaussians? Under pixels, 10 components",
      [t["+ pixel noise"] < t["class Gaussians"] for t in (pix, pca)], [0, 1],
      by="noise spreads over 64 directions, of which 10 are looked at")
claim("at-work-features-moved",
      "are moved digits farther than noisy ones? Under pixels, averaged convolutions",
      [t["moved by 1 pixel"] > t["+ pixel noise"] for t in (pix, conv)], [1, 0],
      by="an average over the image does not notice a shift")
claim("at-work-features-missing",
      "do digits without 7, 8, 9 beat class Gaussians? Under convolutions, classifier",
      [t["7, 8, 9 missing"] < t["class Gaussians"] for t in (conv, cls)], [1, 0],
      by="the mix of strokes stays nearly the same, the mix of classes does not")
claim("at-work-features-units", "features multiplied by 10: factor on every distance",
      frechet_of(10 * pixels(fresh), 10 * pixels(drawn["blurred"])) / pix["blurred"], 100.0,
      item="E1.7", by="closed form, squared units", rtol=1e-6, digits=3)

# %% [markdown]
# The rankings of {numref}`fig-at-work-features` cross even on $8\times8$ digits, and three of the crossings stand in the claims with their reasons. Ten principal components look at the ten
# directions of largest variance and miss noise in the other 54. Averaged convolutions ask *how much* of a texture there
# is, not *where*. A classifier's features exaggerate what separates classes. Inception's features are of this last kind,
# for the classes of ImageNet; {cite:t}`stein2023` show that for modern image models FID on them no longer agrees with people, and
# that features learned without labels do better. "Which FID?" is a question about features first.
#
# :::{exercise-start} What FID is good for
# :label: q1-2
# :class: question
# :::
# {item}`Q1.2 S1.6` Discuss the advantages and disadvantages of FID as a metric for generated images.
# :::{exercise-end}
# :::
#
# :::{solution-start} q1-2
# :label: q1-2-solution
# :class: dropdown
# :::
# **For it.** One number, computed in seconds from 2048 features, that looks at real data (the Inception score does not), and
# that grows with noise, blur, artefacts and foreign images {cite:p}`heusel2017`. It needs no density, so it can be computed for
# any sampler.
#
# **Against it**, each with the claim that shows it on this page:
#
# 1. *Two moments.* Distributions with equal mean and covariance are at distance {value}`at-work-blind-fid:.0f`, though their KL divergence
#    is {value}`at-work-blind-kl:.2f` nats.
# 2. *Bias.* A perfect model with $n$ samples a side scores $2208/n$ in 64 dimensions if $\Sigma=I$. With unequal $n$ rankings flip: the perfect
#    generator scored {value}`at-work-flip:.2f` *more* than one whose mean is wrong. The bias also depends on the model's spectrum, so that they may flip at
#    equal $n$: with 250 samples each, the perfect one scored {value}`at-work-flip-equal:.2f` more than one whose deviations are 5 % too small.
# 3. *Memorisation.* The copy of the training set beats the fitted model; the copy rate gives it away.
# 4. *Features.* Noise, shifts and missing classes exchange ranks with the feature map.
# 5. *Units.* Multiply the features by 10 and every score is multiplied by {value}`at-work-features-units:.0f`.
#
# **So:** equal sample sizes, stated; the score of a second real sample next to it; an unbiased companion (kernel distance, or the
# intercept at $1/n\to0$); precision and recall for *what* is wrong; a copy test; the features named. The cell below computes
# the second of these for the digits, and finds it where {eq}`eq-at-work-bias` puts it.

# %% tags=["hide-input"]
orders = [torch.randperm(720, generator=gen) for _ in range(40)]
second = torch.stack(
    [frechet_of(pixels(fresh[i[:360]]), pixels(fresh[i[360:]])) for i in orders]
).mean()
spectrum = torch.linalg.eigvalsh(pixels(fresh).T.cov()).clamp(min=1e-12)

claim("at-work-second-sample",
      "Fréchet distance, pixels, between two halves of 720 real digits, 40 splits", second,
      expected_bias(spectrum, 360, 360),
      by="first-order theory for a Gaussian with the digits' spectrum", rtol=0.15)

# %% [markdown]
# :::{solution-end}
# :::
#
# ## Perplexity is a likelihood
#
# For text the usual number is the **perplexity** of a sequence $w_1,\dots,w_T$ under a model $q$,
#
# $$
# \mathrm{PPL} = \exp\Big(-\frac1T\sum_{t=1}^T\log q(w_t\mid w_{<t})\Big),
# $$ (eq-at-work-ppl)
#
# the exponential of the held-out negative log-likelihood per symbol in nats {cite:p}`jelinek1977`. It is the size of a fair die that
# would be as hard to predict: a model that spreads its bets evenly over $K$ symbols has perplexity $K$. Mind the base: bits go
# with $2^{(\cdot)}$, nats with $e^{(\cdot)}$. And mind the symbol: a perplexity per word is the perplexity per character
# raised to the mean number of characters per word, so convert to the same symbol before you compare.

# %% tags=["hide-input"]
nats = 50 * math.log(27)  # 50 characters, 27 equally likely symbols

claim("at-work-ppl-uniform",
      "perplexity of 50 characters under the uniform distribution on 27 symbols",
      perplexity(nats, 50), 27.0, by="closed form, number of symbols", rtol=1e-12)
claim("at-work-ppl-wrong-base", "wrong formula, 2 to the power of nats", 2 ** (nats / 50),
      27 ** math.log(2), by="closed form 27^(log 2)", rtol=1e-12)


# %% [markdown]
# ### A model of English in two functions
#
# {item}`S1.5` The corpus is real: the reference manual that ships with Python (`pydoc_data.topics`), reduced to the 27
# symbols that {cite:t}`shannon1951` used, letters and space. (Stories, poems and programs would differ in the corpus, not
# in the method.) One trap comes first, **data leakage**. The manual repeats whole paragraphs in several topics. A random split would put
# copies of training paragraphs into the test set, so copies are removed *before* the split. With them in the training
# text, the perplexity of the copied test paragraphs would fall to {value}`at-work-text-copied:.2f` of its value without.

# %%
def clean(s):
    return re.sub("[^a-z]+", " ", s.lower()).strip()


paragraphs = [
    p
    for k in sorted(topics)
    for p in map(clean, topics[k].split("\n\n"))
    if len(p) >= 40
]
count = Counter(paragraphs)
unique = sorted(count)
random.Random(0).shuffle(unique)
tenth = len(unique) // 10
test_text, valid_text, train_text = (
    " ".join(part) + " "
    for part in (unique[:tenth], unique[tenth : 2 * tenth], unique[2 * tenth :])
)
# test paragraphs of which the manual has copies
copies = " ".join(p for p in unique[:tenth] if count[p] > 1) + " "

# %% tags=["hide-input"]
claim("at-work-text-copies", "share of the manual's paragraphs that occur more than once",
      sum(c for c in count.values() if c > 1) / len(paragraphs),
      by="count; other versions of Python", at_least=0.3, at_most=0.45, stable=False)

# %% [markdown]
# An **n-gram** model predicts the next character from the last $k$. Long contexts are informative and rare, short ones frequent and
# vague; so mix them (**interpolated smoothing**): the estimate of order $j$ starts from that of order $j-1$ as if it had been seen $\alpha$ times,
#
# $$
# \begin{aligned}
# q_j(c\mid h_j)&=\frac{N(h_jc)+\alpha\,q_{j-1}(c\mid h_{j-1})}{N(h_j)+\alpha},\\
# q_{-1}(c)&=\tfrac1{27},
# \end{aligned}
# $$ (eq-at-work-ngram)
#
# with $h_j$ the last $j$ characters and $N$ the counts in the training text {cite:p}`mackay1995`.

# %%
ALPHABET = "abcdefghijklmnopqrstuvwxyz "


def count_contexts(text, order):
    """N[j][h][c]: how often character c follows the j characters h."""
    N = [defaultdict(Counter) for _ in range(order + 1)]
    for i, c in enumerate(text):
        for j in range(min(i, order) + 1):
            N[j][text[i - j : i]][c] += 1
    return [{h: (cs, cs.total()) for h, cs in level.items()} for level in N]


def prob(c, h, N, order, alpha):
    """q(c | h), from the uniform 1/27 through contexts of 0 ... order."""
    q = 1 / 27
    for j in range(min(order, len(h)) + 1):
        cs, total = N[j].get(h[len(h) - j :], (None, 0))
        if not total:
            break  # an unseen context leaves the estimate as it is
        q = (cs[c] + alpha * q) / (total + alpha)
    return q


# %%
def log_probs(text, N, order, alpha):
    """log q(w_t | w_<t) of every character, (T,)."""
    return torch.tensor(
        [
            math.log(prob(c, text[max(0, t - order) : t], N, order, alpha))
            for t, c in enumerate(text)
        ]
    )


order = 7  # the longest that we care to count
N = count_contexts(train_text, order)


def ppl(text, N, order, alpha):
    return perplexity(float(-log_probs(text, N, order, alpha).sum()), len(text))


# validation chooses
alpha = min(
    (5.0, 10.0, 20.0, 40.0, 80.0),
    key=lambda a: ppl(valid_text[:6000], N, order, a),
)
ladder = [27.0] + [ppl(test_text, N, k, alpha) for k in (0, 1, 2, 3, order)]

# %% tags=["hide-input"]
every = sum(prob(c, "the numb", N, order, alpha) for c in ALPHABET)

claim("at-work-text-sums", "sum of q(c | 'the numb') over the 27 symbols", round(every, 9), 1.0,
      by="a distribution sums to one")
claim("at-work-text-unigram", "held-out perplexity of letter frequencies alone (the baseline)",
      ladder[1], by="below the 27 of the uniform distribution", at_least=12.0, at_most=22.0, stable=False)
claim("at-work-text-model", "held-out perplexity of the n-gram model, over that of the baseline",
      ladder[-1] / ladder[1], by="less than a third; below a tenth, suspect a leak", at_least=0.1,
      at_most=1 / 3, stable=False)
claim("at-work-text-ladder",
      "a longer context lowers the perplexity: largest ratio of neighbours, orders 0 to 3",
      max(b / a for a, b in itertools.pairwise(ladder[:5])), by="each step saves at least three tenths",
      at_most=0.7, stable=False)
leaky = count_contexts(train_text + copies, order)
claim("at-work-text-copied",
      "perplexity of repeated test paragraphs, a copy in the training text, over that without",
      ppl(copies, leaky, order, alpha) / ppl(copies, N, order, alpha), by="other shuffles",
      at_least=0.68, at_most=0.82, digits=2, stable=False)
with contextlib.redirect_stdout(io.StringIO()):
    import this
poem = clean("".join(this.d.get(c, c) for c in this.s)) + " "
claim("at-work-text-poem",
      "perplexity of a poem, the Zen of Python, over that of the manual's test text",
      ppl(poem, N, order, alpha) / ladder[-1], by="another distribution, a higher code length",
      at_least=1.6, stable=False)
seen = {train_text[i : i + 30] for i in range(len(train_text) - 29)}
again = torch.zeros(len(test_text), dtype=torch.bool)  # inside a passage of 30 that training has
for i in range(len(test_text) - 29):
    if test_text[i : i + 30] in seen:
        again[i : i + 30] = True
each = log_probs(test_text, N, order, alpha)
claim("at-work-text-again", "share of test characters in 30 that stand in the training text too",
      again.double().mean(), by="count; seven other shuffles", at_least=0.1, at_most=0.19,
      digits=2, stable=False)
claim("at-work-text-fresh", "perplexity of the other test characters over that of all",
      (-each[~again].mean()).exp() / ladder[-1], by="a little above 1", at_least=1.02, at_most=1.1,
      digits=2, stable=False)

# %% tags=["hide-input", "picture-varies"] mystnb={"figure": {"name": "fig-at-work-text", "caption": "Shannon's ladder, climbed with Python's manual. Left, held-out perplexity falls with the length of the context; right, what each model writes."}, "image": {"alt": "Bar chart of perplexity falling from twenty-seven for uniform letters to about three for the longest context, beside four lines of generated text that turn from random letters into almost English words."}}
writer = random.Random(1)


def write(order, length=108):
    text = ""
    while len(text) < length:
        h = text[max(0, len(text) - order) :]
        text += (
            writer.choices(
                ALPHABET, [prob(c, h, N, order, alpha) for c in ALPHABET]
            )[0]
            if order >= 0
            else writer.choice(ALPHABET)
        )
    return text.strip()


fig, (ax, tx) = plt.subplots(1, 2, figsize=(7, 2.7), width_ratios=(1, 2.1))
names = ["uniform", "order 0", "order 1", "order 2", "order 3", f"order {order}"]
ax.barh(names, ladder, color=[colors.muted, colors.bad] + [colors.model] * 4)
ax.invert_yaxis()
ax.set(xlabel="held-out perplexity", xlim=(0, 29))
tx.axis("off")
for i, k in enumerate((-1, 0, 2, order)):
    line = write(k)
    tx.text(
        0,
        0.93 - 0.26 * i,
        ("uniform" if k < 0 else f"order {k}"),
        fontsize=9,
        color=colors.bad if k < 1 else colors.model,
        weight="bold",
        transform=tx.transAxes,
    )
    tx.text(
        0,
        0.81 - 0.26 * i,
        line[:54] + "\n" + line[54:],
        fontsize=7.6,
        family="monospace",
        va="center",
        transform=tx.transAxes,
        linespacing=1.1,
    )
plt.show()

# %% [markdown]
# {numref}`fig-at-work-text` climbs the ladder on which {cite:t}`shannon1948` first showed what a statistical model of English is: up to order 3 every longer
# context lowers the perplexity by three tenths at least, and what the model writes comes nearer to words. (Paragraphs that differ still share sentences: between a ninth and a sixth of
# the test characters, by the shuffle, stand in passages of thirty that training has too; without them the perplexity is a few per cent higher.) Whether the two must go together is the next question.
#
# :::{admonition} Common mistake: Perplexity measures the quality of generated text
# :class: mistake
# {item}`E1.5` It is often said that perplexity is for text what FID is for images. But it never looks at a generated text. It is
# the likelihood of *held-out* text, and likelihood hardly notices off-support samples: mix a fraction $\varepsilon$ of a
# good model $p$ with garbage $r$, $q=\varepsilon p+(1-\varepsilon)\,r$. Then
# $-\log q(w)\le-\log p(w)-\log\varepsilon$ for *every* text $w$, and the perplexity of $T$ symbols rises at most by the factor
# $\varepsilon^{-1/T}$. With $\varepsilon=1\,\%$ and $T=1000$ that is $100^{1/1000}=1.0046$: nobody would notice in the table,
# and 99 of 100 samples are garbage. The next cell does it to the model above.
# :::

# %%
lp = log_probs(test_text, N, order, alpha)                     # (T,)
lengths = [10, 100, 1000]
ratio = []
for T in lengths:
    good = float(lp[:T].sum())             # log p of the first T characters
    garbage = -T * math.log(27)            # log r: letters at random
    mixed = np.logaddexp(math.log(0.01) + good, math.log(0.99) + garbage)
    ratio.append(math.exp((good - mixed) / T))

# %% tags=["hide-input"]
claim("at-work-garbage",
      "factor on the perplexity of 10, 100, 1000 symbols if 99 % of samples are garbage", ratio,
      [100 ** (1 / T) for T in lengths], item="E1.5",
      by="closed form 100^(1/T), where garbage cannot write the text", rtol=1e-5)
# log p of every window of 100 characters
windows = lp[: len(lp) // 100 * 100].view(-1, 100).sum(1)
mixed_windows = torch.logaddexp(
    math.log(0.01) + windows, torch.tensor(math.log(0.99) - 100 * math.log(27))
)
claim("at-work-garbage-worst",
      "the worst window of 100 characters, garbage uniform over the alphabet",
      ((windows - mixed_windows) / 100).exp().max(), item="E1.5", by="bound 100^(1/100), nearly reached",
      at_least=1.047, at_most=100 ** (1 / 100) + 1e-12, stable=False)

# %% [markdown]
# ## Images: sampling on demand
#
# Back to {numref}`fig-at-work-three`. Drawing faces, works of art or medical images on demand differs from our digits in
# scale, not in kind: there is a training set, a sampler, a question of quality, and a baseline that must be beaten. The class
# Gaussians' shrinkage was chosen on the validation digits; pPCA keeps the ten components of {ref}`ch-generation`, a choice that will matter; every generator hands in as many images as there are
# test digits. Two numbers per generator: the Fréchet distance on pixels, less that of a second real sample of the same size, and the accuracy of a **classifier two-sample test**
# (C2ST) {cite:p}`lopezpaz2017`, for which one half is perfect.

# %% tags=["hide-input"]
n = len(data.test.x)
test_sets = {name: draw(n) for name, draw in generators.items()}


def excess(draw):
    """Mean Fréchet distance of n images to n fresh digits, less that of n other fresh ones."""
    far = [frechet_of(pixels(fresh[i[:n]]), pixels(draw(n))) for i in orders]
    return torch.stack(far).mean() - second


far_pixels, far_ppca, far_classes = map(excess, generators.values())
two_sample = {
    name: np.mean(
        [c2st(pixels(data.test.x), pixels(x), generator=gen) for _ in range(5)]
    )
    for name, x in test_sets.items()
}

claim("at-work-images-null",
      "Fréchet distance of the class Gaussians less that of a second real sample", far_classes,
      by="19 splits and seeds; 0 would be perfect", at_least=0.08, at_most=0.18, digits=2)
claim("at-work-images-order", "the same of pPCA over it, and of independent pixels over that",
      [far_ppca / far_classes, far_pixels / far_ppca], by="other splits", at_least=3.0)
told = list(two_sample.values())
claim("at-work-images-c2st", "two-sample accuracy: class Gaussians minus independent pixels",
      told[2] - told[0], by="the better generator is harder to tell from real digits",
      at_most=-0.09, stable=False)
claim("at-work-images-c2st-ppca", "two-sample accuracy: pPCA minus independent pixels",
      told[1] - told[0], by="pPCA is nearer in Fréchet distance, but easier to tell", at_least=0.03,
      stable=False)

def accuracy_of(x, keep):
    """Two-sample accuracy on the pixels `keep`, mean of five splits."""
    pair = pixels(data.test.x)[:, keep], pixels(x)[:, keep]
    return np.mean([c2st(*pair, generator=gen) for _ in range(5)])


inner = (data.train.x == 0).double().mean(0) < 0.95      # pixels that are often inked
told_inner = [accuracy_of(test_sets[name], inner) for name in ("pPCA, k = 10", "independent pixels")]
claim("at-work-images-margin", "pixels that are 0 in 95 % of the training digits", (~inner).sum(),
      by="other splits", at_least=12, at_most=16)
claim("at-work-images-inner", "without them: two-sample accuracy of pPCA minus independent pixels",
      told_inner[0] - told_inner[1], by="other splits and seeds", at_least=-0.14, at_most=-0.01,
      digits=2, stable=False)
lam, U = torch.linalg.eigh(train_y.T.cov())


def validation_bits(k):
    s2 = lam[:-k].mean()
    W = U[:, -k:] * (lam[-k:] - s2).sqrt()
    pixel_model = torch.distributions.MultivariateNormal(train_y.mean(0), W @ W.T + s2 * torch.eye(64))
    return -pixel_model.log_prob(valid_y).mean()


k_best = min(range(2, 64), key=validation_bits)
claim("at-work-images-k", "components of pPCA that the validation digits choose", k_best,
      by="other splits", at_least=50, at_most=62)
claim("at-work-images-validated",
      "two-sample accuracy of pPCA with so many minus independent pixels",
      accuracy_of(ppca(n, k_best), inner | ~inner) - told[0], by="other splits and seeds",
      at_least=-0.16, at_most=-0.03, digits=2, stable=False)
claim("at-work-images-tuned", "its Fréchet distance less that of the class Gaussians",
      excess(lambda n: ppca(n, k_best)) - far_classes, by="19 splits and seeds", at_least=-0.02,
      at_most=0.07, digits=2)


def read(x, label):
    """Share of images that the classifier of the training digits reads as their label."""
    return (net(x / 16).argmax(1) == label).double().mean()


asked = torch.arange(10).repeat_interleave(200)
shuffled = [data.train.x[data.train.y == c] for c in range(10)]
shuffled = torch.cat([x.gather(0, torch.randint(len(x), (200, 64), generator=gen)) for x in shuffled])
claim("at-work-images-shuffled",
      "share that a classifier reads as the digit asked for: independent pixels within each class",
      read(shuffled, asked), by="other splits and seeds", at_least=0.92, at_most=0.98, stable=False)
claim("at-work-images-ordered", "share so read of class Gaussians, less that of real test digits",
      read(class_gaussians(2000, asked), asked) - read(data.test.x, data.test.y),
      by="other splits and seeds", at_least=-0.01, at_most=0.08, digits=2, stable=False)

# %% [markdown]
# The class Gaussians win on both scores, though a second set of real digits scores {value}`at-work-images-null:.2f` less. Digits
# ordered by class are read as such, but that shows little: a classifier reads them as well as real test digits or better, and it reads
# {value}`at-work-images-shuffled:.0%` of images whose pixels are independent within the class. The scores quarrel over the other two.
# By Fréchet distance pPCA is clearly better than independent pixels; the classifier finds pPCA *easier* to unmask. Look at the
# margins in {numref}`fig-at-work-three`: pPCA breathes a little grey onto pixels that are blank in nearly every real digit. That adds little to two moments, and is what
# the classifier sees: without the {value}`at-work-images-margin:.0f` pixels that are 0 in 95 % of the training digits it finds pPCA the harder one. So it
# does with the {value}`at-work-images-k:.0f` components that the validation digits choose, whose noise is fainter and whose Fréchet distance comes within {value}`at-work-images-tuned:.2f` of the class Gaussians'. A table with one score, or with one $k$, hides it.
#
# ## Melodies: a distribution we know
#
# For music we make the distribution ourselves, so that everything has a truth. A tune walks over the eight degrees of a scale (1 to 8)
# under three rules of counterpoint: never repeat a note; move by a step, or leap by a third or fourth; **answer a leap by a
# step back**. Steps like to go on in their direction. The next note thus depends on the last *two*: the tune is a **Markov chain** of
# order two.

# %%
D = 8


def legal(a, b, c):
    """May note c follow a, b? A leap is answered by a step the other way."""
    first, second = b - a, c - b
    if not (1 <= abs(first) <= 3 and 1 <= abs(second) <= 3):
        return False
    return abs(first) == 1 or second == (-1 if first > 0 else 1)


rule, weight = torch.zeros(2, D, D, D)
for a, b, c in itertools.product(range(D), repeat=3):
    rule[a, b, c] = legal(a, b, c)
    step_weight = 3.0 if c - b == b - a else 2.0    # steps like to go on
    weight[a, b, c] = {1: step_weight, 2: 1.0, 3: 0.5}.get(abs(c - b), 0.0)
chain = rule * weight  # p(c | a, b), (8, 8, 8)
chain = chain / chain.sum(2, keepdim=True).clamp(min=1e-300)

# %%
move = torch.zeros(D, D, D, D)  # pair (a, b) -> pair (b, c)
for b in range(D):
    move[:, b, b, :] = chain[:, b, :]
move = move.view(D * D, D * D)
pair = torch.zeros(D * D)
pair[1] = 1.0  # any legal start; half steps make the chain aperiodic
for _ in range(3000):
    pair = 0.5 * pair + 0.5 * pair @ move
pair = pair.view(D, D)  # stationary, two neighbouring notes


def entropy(p):
    """-sum p log p over the last axis, nats."""
    return -torch.xlogy(p, p).sum(-1)


single = pair.sum(0)  # stationary, one note
H0 = entropy(single)
H1 = (single * entropy(pair / single[:, None])).sum()
H2 = (pair * entropy(chain)).sum()
H = torch.stack([H0, H1, H2])


# %% [markdown]
# The **entropy rate** $H_2=-\sum p(a,b)\,p(c\mid a,b)\log p(c\mid a,b)$ is the least cross-entropy that *any* model can
# reach. A model that sees one note can reach $H_1=H(X_t\mid X_{t-1})$, and the baseline that draws independent notes
# $H_0=H(X_t)$. (A second voice, as in an arrangement, would enlarge the state, not change the method.) Now fit all three
# by counting in 200 tunes of 32 notes and test on 500 new ones. Validity, the share of tunes that obey every rule, needs
# no sampling: push the distribution of pairs through the model, keep only legal moves, and add up what is left.

# %%
def tunes(n, T, model):
    """n tunes of T notes under p(c | a, b), from stationary pairs, (n, T)."""
    first = torch.multinomial(pair.flatten(), n, True, generator=gen)
    notes = [first // D, first % D]
    for _ in range(T - 2):
        probs = model[notes[-2], notes[-1]]                    # (n, 8)
        notes.append(torch.multinomial(probs, 1, generator=gen)[:, 0])
    return torch.stack(notes, 1)


# %%
def fit_notes(x, order):
    """Counts of three notes, turned into p(c | the last `order`), (8, 8, 8)."""
    places = x[:, :-2].flatten(), x[:, 1:-1].flatten(), x[:, 2:].flatten()
    one_each = torch.ones(places[0].shape)
    N = torch.zeros(D, D, D).index_put(places, one_each, accumulate=True)
    for axis in range(2 - order):
        N = N.sum(axis, keepdim=True)  # forget the older notes
    N = N.expand(D, D, D)
    total = N.sum(2, keepdim=True)
    return torch.where(total > 0, N / total.clamp(min=1), 1 / D)


def loss_per_tune(x, model):
    """Cross-entropy in nats per note of each tune, (n,)."""
    return -model[x[:, :-2], x[:, 1:-1], x[:, 2:]].log().mean(1)


def validity(model, T):
    """P(all rules hold in a tune of T notes), exactly."""
    mass = pair
    for _ in range(T - 2):
        mass = torch.einsum("ab,abc->bc", mass, model * rule)
    return mass.sum()


# %%
train_tunes, test_tunes = tunes(200, 32, chain), tunes(500, 32, chain)
models = [fit_notes(train_tunes, k) for k in (0, 1, 2)]
held_out = [monte_carlo(loss_per_tune(test_tunes, m)) for m in models]
true_loss, true_se = monte_carlo(loss_per_tune(test_tunes, chain))

# %% tags=["hide-input"]
claim("at-work-music-rate", "cross-entropy of the true chain on 500 tunes", true_loss, float(H[2]),
      by="entropy rate, closed form", se=true_se, unit="nats/note")
claim("at-work-music-models", "held-out cross-entropy of the models that see 0, 1, 2 notes",
      [m for m, _ in held_out], H.tolist(), by="exact conditional entropies H0, H1, H2", atol=0.01,
      se=[s for _, s in held_out], unit="nats/note")
gaps = [loss_per_tune(test_tunes, m) for m in models[1:]]
mean, se = monte_carlo(gaps[0] - gaps[1])
claim("at-work-music-gap", "what the second note of memory saves", mean, float(H[1] - H[2]),
      by="exact entropies, H1 - H2", atol=0.01, se=se, unit="nats/note", digits=2)
odds = chain / models[2].clamp(min=1e-12)
kl_rate = (pair[..., None] * torch.xlogy(chain, odds)).sum()
free = float(((chain > 0).sum(2) - 1).clamp(min=0).sum())        # free parameters
claim("at-work-music-excess", "exact KL rate of the fitted order-2 model", kl_rate,
      free / (2 * 6000),
      by="theory: chi-squared with one degree per free parameter, over 2 · notes",
      se=math.sqrt(2 * free) / (2 * 6000), unit="nats/note")
exact = [float(validity(m, 32)) for m in models]
claim("at-work-music-valid", "share of valid tunes, order-2 model", round(exact[2], 9), 1.0,
      by="it only makes moves that it has heard")
new = tunes(2000, 32, models[1])
obey_moves = rule[new[:, :-2], new[:, 1:-1], new[:, 2:]]
obey = obey_moves.prod(1)
claim("at-work-music-valid-one",
      "share of valid tunes of the order-1 model, by the transfer matrix", exact[1], obey.mean(),
      by="2000 of its tunes", se=float((exact[1] * (1 - exact[1]) / 2000) ** 0.5))
broken = 1 - obey_moves
claim("at-work-music-illegal", "share of the order-1 model's moves that break a rule",
      (pair[..., None] * models[1] * (1 - rule)).sum(), broken.mean(), by="2000 of its tunes",
      atol=0.005, se=broken.mean(1).std() / 2000**0.5)
claim("at-work-music-valid-baseline", "valid tunes of the baseline, independent notes", exact[0],
      by="transfer matrix", at_most=1e-8)
noisy = 0.95 * models[2] + 0.05 / D  # one note in twenty at random
claim("at-work-music-noisy", "extra loss of order 2 with one note in twenty at random",
      (loss_per_tune(test_tunes, noisy) - loss_per_tune(test_tunes, models[2])).mean(),
      by="other seeds", at_least=0.024, at_most=0.028, unit="nats/note", digits=2)
claim("at-work-music-noisy-valid", "its share of valid tunes", validity(noisy, 32),
      by="transfer matrix; other seeds", at_least=0.445, at_most=0.475, digits=2)
taste = rule / weight.clamp(min=0.1)  # the same rules, but leaps before steps
taste = taste / taste.sum(2, keepdim=True).clamp(min=1e-300)
mean, se = monte_carlo(loss_per_tune(test_tunes, taste) - loss_per_tune(test_tunes, models[1]))
claim("at-work-music-taste",
      "exact loss of a model that obeys the rules but prefers leaps, less H1",
      -(pair[..., None] * torch.xlogy(chain, taste.clamp(min=1e-300))).sum() - H[1], mean,
      by="500 tunes, less order 1's loss", atol=0.01, se=se, unit="nats/note", digits=2)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-at-work-music", "caption": "One tune of each model as a piano roll; crosses mark notes that break a rule. With one note of memory the steps sound right but many leaps go unanswered; with two the rules hold."}, "image": {"alt": "Four piano rolls of thirty-two notes. The roll of independent notes jumps everywhere and is full of orange crosses, the one of order one has a few crosses, the order two model and the true chain have none."}}
fig, axes = plt.subplots(4, 1, figsize=(7, 5), sharex=True, sharey=True)
rolls = zip(
    ["independent notes", "order 1", "order 2", "the true chain"],
    [*models, chain],
    strict=True,
)
for ax, (name, m) in zip(axes, rolls, strict=True):
    tune = tunes(1, 32, m)[0]
    broken = [t for t in range(2, 32) if not legal(*tune[t - 2 : t + 1].tolist())]
    ax.barh(
        tune + 1,
        0.92,
        left=torch.arange(32),
        height=0.8,
        color=colors.model if name != "the true chain" else colors.data,
    )
    ax.plot(
        [t + 0.46 for t in broken],
        tune[broken] + 1,
        "x",
        color=colors.bad,
        ms=6,
        mew=2,
    )
    ax.set_ylabel("degree")
    ax.set_yticks([1, 3, 5, 8])
    ax.set_title(name, loc="left")
axes[-1].set_xlabel("time (notes)")
plt.show()

# %% [markdown]
# {numref}`fig-at-work-music` shows a tune of each model. The held-out losses are {value}`at-work-music-models:.2f` nats
# per note from no memory to two notes of it. The order-1 model is only {value}`at-work-music-gap:.2f` nats per note worse
# than the order-2 model, and yet {value}`at-work-music-valid-one:.1%` of its tunes are valid: {value}`at-work-music-illegal:.0%` of its moves break a
# rule, and a tune makes thirty. The loss does not measure this: a model that obeys the rules but prefers leaps loses {value}`at-work-music-taste:.2f` nats
# *more*, and all of its tunes are valid; order 2 with one note in twenty at random loses {value}`at-work-music-noisy:.2f` more than order 2, and only
# {value}`at-work-music-noisy-valid:.0%` are. Likelihood per symbol and validity per sequence are different questions, again.
#
# ## Molecules: what to count when there is no test set
#
# Chemists write molecules as strings in which brackets open and close branches. Reduce such strings to their brackets and validity
# has an exact meaning: a string of length 12 is *valid* if every bracket is closed in order. There are
# $C_6=\frac1{7}\binom{12}{6}=132$ of them among $2^{12}$ strings, and we let 80 be "known molecules". The 52 others stand for what a discovery
# programme hopes to find. Every model below is a distribution over all 4096 strings, so that nothing needs to be estimated.

# %%
L = 12
# 1 opens, 0 closes, (4096, 12)
strings = torch.tensor(list(itertools.product((0, 1), repeat=L)))
depth = (2 * strings - 1).cumsum(1)
valid = (depth.min(1).values >= 0) & (depth[:, -1] == 0)

# %% tags=["hide-input"]
claim("at-work-catalan", "valid strings among the 4096", valid.sum(), math.comb(12, 6) // 7,
      by="Catalan number C6")

# %%
shuffle = torch.randperm(132, generator=gen)
known, unknown = valid.nonzero()[:, 0][shuffle].split((80, 52))


def fit_strings(context):
    """Count what follows each context in the known strings; p (4096,)."""
    N = defaultdict(lambda: [0, 0])
    for s in strings[known].tolist():
        for t, c in enumerate(s):
            N[context(s[:t])][c] += 1
    p = []
    for s in strings.tolist():
        q = 1.0
        for t, c in enumerate(s):
            # an unseen context: a fair coin
            n0, n1 = N.get(context(s[:t]), (1, 1))
            q *= (n0, n1)[c] / (n0 + n1)
        p.append(q)
    return torch.tensor(p)


# %%
def gram(n):
    """The last n - 1 symbols, 2 before the start."""
    return lambda past: tuple(([2] * (n - 1) + past)[1 - n :])


def depth_of(past):
    return sum(2 * c - 1 for c in past)


memory = torch.zeros(4096)
memory[known] = 1 / 80
grams = {n: fit_strings(gram(n)) for n in range(3, 13)}
string_models = {
    "memoriser": memory,
    "3-gram": grams[3],
    "8-gram": grams[8],
    "depth": fit_strings(depth_of),
    "depth and position": fit_strings(lambda past: (depth_of(past), len(past))),
    "uniform over valid (truth)": valid / 132,
}

# %%
draws = 500


def gauge(p):
    """Validity, novelty of what is valid, coverage of the unknown."""
    ok = p[valid].sum()
    new, found = 1 - p[known].sum() / ok, (1 - (1 - p[unknown]) ** draws).mean()
    return [round(float(v), 9) for v in (ok, new, found)]


report = {name: gauge(p) for name, p in string_models.items()}

# %% tags=["hide-input"]
claim("at-work-dyck-memoriser", "memoriser: validity, novelty, coverage of the unknown",
      report["memoriser"], [1.0, 0.0, 0.0], by="enumeration", atol=1e-12)
claim("at-work-dyck-truth", "truth: novelty, and coverage of the unknown by 500 draws",
      report["uniform over valid (truth)"][1:], [52 / 132, 1 - (1 - 1 / 132) ** 500],
      by="closed forms 52/132 and 1 - (1 - 1/132)^500", atol=1e-8)
claim("at-work-dyck-ngram", "validity of the 3-gram model", report["3-gram"][0],
      by="two symbols cannot count", at_most=0.12)
claim("at-work-dyck-counter", "validity of the model that knows depth and position",
      report["depth and position"][0], 1.0, by="no known string ever leaves the valid states")
claim("at-work-dyck-coverage", "its coverage of the unknown strings in 500 draws",
      report["depth and position"][2],
      by="other choices of 80; below the truth's, which only what avoids the known can pass",
      at_least=0.82, at_most=1 - (1 - 1 / 132) ** 500)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-at-work-molecules", "caption": "Validity, novelty (share of valid strings that are new) and coverage (share of the unknown strings found in 500 draws), all exact. No column alone can name the best model."}, "image": {"alt": "Dot plot of six models in three panels. The memoriser is at one for validity and at zero for novelty and coverage; the n-gram models are low in validity; depth and position lies close to the truth in all three."}}
fig, axes = plt.subplots(1, 3, figsize=(7, 2.5), sharey=True)
heads = ("validity", "novelty", "coverage in 500 draws")
for i, (ax, title) in enumerate(zip(axes, heads, strict=True)):
    values = [r[i] for r in report.values()]
    ax.hlines(range(6), 0, values, color=colors.muted, lw=1)
    ax.plot(values, range(6), "o", color=colors.model)
    ax.axvline(values[-1], color=colors.truth, lw=1, ls=":")
    ax.set(title=title, xlim=(-0.04, 1.04), xlabel="share")
axes[0].set_yticks(range(6), list(report))
axes[0].invert_yaxis()
plt.show()

# %% [markdown]
# Read {numref}`fig-at-work-molecules` by rows. The memoriser is perfectly valid and discovers nothing. The 3-gram invents
# freely, and almost all of it is broken. A longer n-gram is no remedy: with every symbol more of it is valid, but the 12-gram *is* the
# memoriser, and the best on the way covers {value}`at-work-dyck-longer:.2f` of what depth and position cover. The model with the
# right *state*, depth and position, is valid by construction, since it only makes moves that some valid string makes in
# that state, and it recombines what it has seen.

# %% tags=["hide-input"]
longer = torch.tensor([gauge(p) for p in grams.values()])      # (10, 3)
claim("at-work-dyck-twelve", "largest difference of the 12-gram from the memoriser",
      (grams[12] - memory).abs().max(), 0.0, by="its context is all that was written", atol=1e-12)
claim("at-work-dyck-rising", "least rise of an n-gram's validity per symbol, n = 3 to 12",
      longer[:, 0].diff().min(), by="other choices of 80", at_least=0.005)
claim("at-work-dyck-longer",
      "best coverage of an n-gram, n = 3 to 12, over that of depth and position",
      longer[:, 2].max() / report["depth and position"][2], by="176 other choices of 80", at_least=0.33,
      at_most=0.51, digits=2)
p = string_models["uniform over valid (truth)"]
campaigns = torch.multinomial(p, 200 * 132, True, generator=gen).view(200, 132)
different = torch.tensor([len(set(campaign)) / 132 for campaign in campaigns.tolist()])
mean, se = monte_carlo(different)
claim("at-work-dyck-unique", "uniqueness: share of different strings among 132 draws of the truth",
      1 - (1 - 1 / 132) ** 132, mean, by="200 simulated campaigns", se=se)

# %% [markdown]
# Even the true distribution repeats itself: of 132 draws only {value}`at-work-dyck-unique:.0%` are different strings, so a
# uniqueness below one is no fault by itself. Real chemistry has no list of the unknown. What remains is what this toy
# shows to be necessary and gameable: validity, uniqueness and novelty {cite:p}`polykovskiy2020`, distances between
# distributions of properties, splits by scaffold or by date so that "new" means something, and trivial baselines such as
# the memoriser in every table. {ref}`ch-systems` takes the question up: evaluation where no test set exists. For
# continuous latent spaces over such strings see {cite:t}`gomezbombarelli2018`.
#
# ## Four domains, one table
#
# | domain | held-out truth | baseline | score that sees the failure | score that does not |
# |---|---|---|---|---|
# | images | digits kept aside | independent pixels | two-sample test, copy rate | Fréchet distance on features blind to the flaw |
# | text | unseen paragraphs, copies removed | letter frequencies | samples, read | perplexity (99 % garbage) |
# | melodies | exact entropy rate | independent notes | validity of whole tunes | loss per note (one random note in twenty) |
# | molecules | enumeration | memoriser | novelty *and* coverage | validity alone |
#
# Every row needs at least two numbers: one that worsens if the model makes off-support samples, and one that worsens if it misses modes.
#
# ## Exercises
#
# :::{bank} at-work-gram
# :::
#
# :::{bank} at-work-extrapolate
# :::
#
# :::{bank} at-work-perplexity
# :::
#
# :::{bank} at-work-dyck
# :::
#
# :::{bank} at-work-validity
# :::
#
# :::{bank} at-work-explain-same-n
# :::
#
# ## What to read next
#
# - {cite:t}`heusel2017` introduce FID; {cite:t}`chong2020` remove most of its bias; {cite:t}`stein2023` test it, and what else one could
#   use, against people.
# - {cite:t}`binkowski2018` for kernel distances, {cite:t}`kynkaanniemi2019` for precision and recall: what is wrong, not only how much.
# - {cite:t}`shannon1951` estimates the entropy of English with human predictors: still the clearest paper on perplexity, which it does not call so.
# - {cite:t}`theis2016` on why likelihood, samples and usefulness are different goals.
# - The next page, {ref}`ch-transfer`, puts the third objective to work, representation, and holds one model to all three.
