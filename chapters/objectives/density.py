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
# (ch-density)=
# # Density estimation
#
# ## How surprised should you be?
#
# {item}`S1.1` You have seen 1077 handwritten digits. Now you are shown three new images, on the right of
# {numref}`fig-density-surface`. All three have the same number of black pixels. Which one surprises you most?
#
# To rank them too, a machine needs a function that takes *any* image and returns one number: high where images like
# those it has seen lie, low elsewhere. That function is a **density**; to learn it is **density estimation**. On the left is one over the plane: each digit has been
# reduced to two numbers, and the surface stands high (hot) where many digits fall and low (cold) where few do. Further down we
# compute the surprise of A, B and C in bits.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-density-surface", "caption": "A density over the plane (left, hot where digits are common, cold where they are rare) and three images to be ranked by surprise (right)."}, "image": {"alt": "Surface plot with several rounded summits of different height above the plane of the first two principal components, beside three eight-by-eight images, namely a handwritten seven, the same image upside down, and the same pixels in random order."}}
import lzma
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.distributions as D
from scipy import optimize, special, stats
from torch.nn.functional import softplus

from genkit.claims import agree, claim, monte_carlo, self_check
from genkit.data import binarise, dequantise, digits
from genkit.divergences import kl_discrete
from genkit.live import slider_figure
from genkit.metrics import bits_per_dim
from genkit.plot import colors, density, image_grid, style
from genkit.toys import toy
from genkit.train import seed_everything

style()
gen = seed_everything(0)
# kernels and determinants live in small numbers
torch.set_default_dtype(torch.float64)
data = digits()  # levels 0..16, 8×8 pixels: 1077 / 360 / 360 images

centred = data.train.x - data.train.x.mean(0)
# (2, 64) principal directions
axes = torch.linalg.svd(centred, full_matrices=False)[2][:2]
# fix the arbitrary sign
axes = axes * axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
plane = centred @ axes.T                    # (1077, 2)

seven = binarise(data.test.x[data.test.y == 7][0])  # (64,)
shuffled = seven[torch.randperm(64, generator=gen)]
# (3, 64)
three = torch.stack([seven, seven.flip(0), shuffled])  # B: half a turn

u, v = torch.linspace(-36, 36, 91), torch.linspace(-36, 36, 91)
U, V = torch.meshgrid(u, v, indexing="xy")
spots = torch.stack([U, V], -1).reshape(-1, 2)
height = torch.exp(-(torch.cdist(spots, plane) ** 2) / (2 * 3.5**2)).mean(1) / (
    2 * math.pi * 3.5**2
)

fig = plt.figure(figsize=(7, 3.4), layout="none")
ax = fig.add_axes([0.0, 0.02, 0.58, 0.98], projection="3d")
ax.set_box_aspect((1, 1, 0.8), zoom=0.88)
ax.plot_surface(
    U.numpy(),
    V.numpy(),
    1e3 * height.reshape(U.shape).numpy(),
    cmap="coolwarm",
    rcount=60,
    ccount=60,
    linewidth=0,
    antialiased=True,
    rasterized=True,
)
ax.set(xlabel="component 1", ylabel="component 2", zlabel="density × 1000")
ax.view_init(42, -60)
ax.tick_params(labelsize=7)
for k, name in enumerate("ABC"):
    panel = fig.add_axes([0.62 + 0.127 * k, 0.33, 0.115, 0.34])
    panel.imshow(three[k].reshape(8, 8), vmin=0, vmax=1)
    panel.set(title=name, xticks=[], yticks=[])
    panel.spines[:].set_visible(True)
plt.show()


# %% [markdown]
# After this page you will be able to
#
# - say why a density is not a probability, and report it in bits per dimension;
# - build one by maximum likelihood, by kernels, by a change of variables and by the chain rule, and check that it
#   integrates to one;
# - compute how many examples a kernel estimate needs in $d$ dimensions, and why a model with structure needs fewer;
# - use a density to compress images without loss, to find anomalies and to restore damaged images, and say where each use fails.
#
# (sec-density-units)=
# ## A density is not a probability
#
# Let a random point spread evenly over the interval $[0, \tfrac12]$. Its density there is $2$: more than one, so it cannot
# be a probability. A density is probability *per unit of volume*, and only its integral is a probability,
#
# $$
# \begin{aligned}
# \Pr(x \in B) &= \int_B p(x)\,\mathrm dx, \\
# p(x) &\ge 0, \qquad \int_{\mathbb R^d} p(x)\,\mathrm dx = 1 .
# \end{aligned}
# $$ (eq-density-definition)
#
# The unit matters. Measure the same $d$ numbers on a scale $c$ times finer, $y = c\,x$, and every volume grows
# by $c^d$: $p_y(y) = p_x(y/c)\,/\,c^d$, and $\log p$ drops by $d\log c$ nats, although the data are the same. Two log-densities
# may be compared only on the same scale.
#
# This book states them in **bits per dimension** (BPD). A pixel of our digits has 17 levels; **dequantisation**, adding uniform
# noise and dividing, $x = (\text{level} + u)/17$, spreads each level evenly over a cell of width $1/17$
# ({ref}`ch-conventions`). Under a density $p$ the probability of the *integer* image is the
# integral over its cell, and Jensen's inequality bounds its code length:
#
# $$
# \begin{aligned}
# -\log_2 P(\text{levels}) &\le \mathbb E_u\big[-\log_2 p(x)\big] + d\,\log_2 17, \\
# \mathrm{BPD} &= \frac{\mathbb E[-\log p(x)]}{d\,\log 2} + \log_2 17 .
# \end{aligned}
# $$ (eq-density-bpd)
#
# The model that knows nothing, the uniform density with $\log p = 0$, costs $\log_2 17 = 4.087$ bits per pixel, as much as 17
# equally likely levels cost an ideal code.

# %%
def gaussian_log_density(x, mean, cov):
    """Log density of N(mean, cov), nats: x (n, d), (d,), (d, d) -> (n,)."""
    d = len(mean)
    L = torch.linalg.cholesky(cov)          # cov = L Lᵀ
    r = torch.linalg.solve_triangular(L, (x - mean).T, upper=False)  # (d, n)
    log_det = 2 * L.diagonal().log().sum()  # log det cov
    return -0.5 * ((r**2).sum(0) + log_det + d * math.log(2 * math.pi))

parts = data.train, data.validation, data.test
train, validation, test = (dequantise(part.x, generator=gen) for part in parts)
mean, cov = train.mean(0), torch.cov(train.T, correction=0)  # (64,), (64, 64)
# pixels in [0, 1), and the same pixels in [0, 17)
gauss_nll = -gaussian_log_density(test, mean, cov).mean()
coarse_nll = -gaussian_log_density(17 * test, 17 * mean, 17**2 * cov).mean()
gauss_bpd = float(bits_per_dim(gauss_nll, 64, levels=17))

# %% tags=["hide-input"]
claim("density-uniform-bpd", "the uniform density, bits per pixel",
      bits_per_dim(0.0, 64, levels=17), math.log2(17), by="closed form log2 17", atol=1e-12,
      unit="bits")
claim("density-units", "finer unit (factor 17): the same Gaussian's NLL changes by",
      coarse_nll - gauss_nll, 64 * math.log(17), item="E1.6", by="closed form d log c", rtol=1e-10,
      unit="nats")
claim("density-units-bpd", "bits per dimension from the finer unit", bits_per_dim(coarse_nll, 64),
      gauss_bpd, by="those from the unit cube", rtol=1e-10, unit="bits")
claim("density-units-mutant", "wrong: leave out log2(levels), and the Gaussian seems to need",
      bits_per_dim(gauss_nll, 64), by="no code has a negative length", at_most=0.0, unit="bits")
claim("density-gauss-bpd", "one full Gaussian, test digits", gauss_bpd,
      by="range over 12 other splits, 2.927 to 2.979", at_least=2.91, at_most=3.0, unit="bits")

def histogram_bits(groups):
    """Bits per pixel, test: a table of levels per pixel, one table for each group."""
    log_joint = []
    for members in groups:
        tables = [(members == v).sum(0) + 0.5 for v in range(17)]
        tables = (torch.stack(tables) / (len(members) + 8.5)).log()  # (17, 64)
        log_p = tables.gather(0, data.test.x.long()).sum(1)
        log_joint.append(log_p + math.log(len(members) / len(data.train.x)))
    return -float(torch.stack(log_joint).logsumexp(0).mean()) / (64 * math.log(2))

one_table = histogram_bits([data.train.x])
ten_tables = histogram_bits([data.train.x[data.train.y == c] for c in range(10)])
claim("density-one-histogram", "independent histograms, test digits", one_table,
      by="range over 12 other splits, 2.411 to 2.435", at_least=2.39, at_most=2.45, unit="bits")
claim("density-ten-histograms", "ten such tables, one for each class, mixed", ten_tables,
      by="range over 12 other splits, 2.213 to 2.246", at_least=2.19, at_most=2.27, unit="bits")

# %% [markdown]
# A single Gaussian with a full covariance saves a bit per pixel: {value}`density-gauss-bpd:.2f` instead of $4.09$.
# Remember that number, and the baseline: a histogram of levels for each pixel, which knows nothing of the other pixels, needs
# {value}`density-one-histogram:.2f`, and ten of them, one for each label, {value}`density-ten-histograms:.2f`. By the inequality above all four bound code lengths of the same
# levels; no smooth density here reaches the histograms, which give each pixel a shape of its own ({ref}`ch-conventions`).
#
# :::{admonition} Common mistake: A density is the probability of its example
# :class: mistake
# {item}`E1.6` It is often said that a density is “the probability of occurrence” of an example, and that a low value marks an
# anomaly. The first half fails by {eq}`eq-density-definition`: in the cell above, without $\log_2 17$, the Gaussian seems to
# need fewer than 0 bits. The second can fail completely: {ref}`ch-generation` has a counterexample, and
# {ref}`sec-density-anomaly` a relative of it.
# :::
#
# (sec-density-mle)=
# ## Maximum likelihood
#
# {item}`S1.7` **Maximum likelihood**: given examples $x_1, \dots, x_n$ and a family of densities $p_\theta$, choose the member under which
# the examples have the highest joint density, their **likelihood**:
#
# $$
# \hat\theta = \arg\max_\theta \sum_{i=1}^n \log p_\theta(x_i) .
# $$ (eq-density-mle)
#
# For independent examples it is a product, hence the sum of logarithms; minus its average is the **negative log-likelihood** (NLL). If the data come from $p$, the law of
# large numbers gives, for every fixed $\theta$ with a finite right-hand side,
#
# $$
# \begin{aligned}
# \frac1n\sum_{i=1}^n \log p_\theta(x_i) &\longrightarrow \mathbb E_{p}\big[\log p_\theta(x)\big] \\
# &= -H(p) - \mathrm{KL}(p \,\|\, p_\theta),
# \end{aligned}
# $$ (eq-density-mle-kl)
#
# where $H(p) = -\mathbb E_p \log p(x)$ is the **entropy** and $\mathrm{KL}(p\,\|\,q) = \mathbb E_p \log\frac{p(x)}{q(x)} \ge 0$ the
# **Kullback–Leibler divergence**. The entropy does not depend on $\theta$. So maximum likelihood minimises, up to
# sampling noise, the **forward divergence**, from the data to the model; {ref}`ch-divergences` is about that choice. Two cases can be solved by hand.
#
# :::{prf:theorem} Two closed forms
# :label: thm-density-mle
# (a) For $n$ coin tosses with $k$ heads, $\hat\theta = k/n$. (b) For a Gaussian in $\mathbb R^d$,
# $\hat\mu = \frac1n\sum_i x_i$ and $\hat\Sigma = \frac1n\sum_i (x_i-\hat\mu)(x_i-\hat\mu)^\top$, if that matrix is invertible, and the
# average log-likelihood reached is $-\tfrac12\big(d\log 2\pi e + \log\det\hat\Sigma\big)$.
# :::
#
# :::{prf:proof}
# (a) $k\log\theta + (n-k)\log(1-\theta)$ is concave; its derivative $k/\theta - (n-k)/(1-\theta)$ vanishes at $k/n$ if $0<k<n$.
# With $k=0$ or $k=n$ one term is left, and the maximum is at the end $\theta=k/n$.
# (b) With $S_\mu = \frac1n\sum_i (x_i-\mu)(x_i-\mu)^\top = \hat\Sigma + (\hat\mu-\mu)(\hat\mu-\mu)^\top$ the average is
# $-\frac12\big(d\log 2\pi + \log\det\Sigma + \operatorname{tr}\Sigma^{-1}S_\mu\big)$. For every $\Sigma$ it is largest at $\mu=\hat\mu$; there it is concave
# in $\Lambda=\Sigma^{-1}$, and the derivative $\frac12(\Lambda^{-1} - \hat\Sigma)$ vanishes at $\Lambda^{-1}=\hat\Sigma$, where the trace is $d$.
# :::
#
# One pixel of the binarised digits (1 from level 8 on) is a coin; all 64 grey pixels are a vector.

# %%
ink = binarise(data.train.x)                # (1077, 64) zeros and ones
tosses, heads = len(ink), int(ink[:, 20].sum())  # pixel 20: row 2, column 4
theta = torch.linspace(0.0005, 0.9995, 1000)
tails = tosses - heads
log_lik = (heads * theta.log() + tails * torch.log1p(-theta)) / tosses

def coin(t):  # (...,) -> (..., 2): probabilities of 0 and 1
    return torch.stack([1 - t, t], -1)

p_hat = torch.full_like(theta, heads / tosses)
entropy = -(coin(p_hat) * coin(p_hat).log()).sum(-1)
forward = kl_discrete(coin(p_hat), coin(theta))
reverse = kl_discrete(coin(theta), coin(p_hat))

# %% tags=["hide-input"]
claim("density-mle-bernoulli", "pixel 20: best θ on a grid of step 0.001", theta[log_lik.argmax()],
      heads / tosses, by="closed form k/n, to one step of the grid", atol=1e-3)
claim("density-mle-is-kl", "average NLL − entropy of the data − KL, the largest over all θ",
      (-log_lik - entropy - forward).abs().max(), 0.0, by="forward KL, from its definition",
      atol=1e-12, unit="nats")
claim("density-mle-not-reverse", "wrong: the reverse KL instead is off by up to",
      (-log_lik - entropy - reverse).abs().max(), by="the two directions differ", at_least=0.5,
      unit="nats")

at_best = gaussian_log_density(train, mean, cov).mean()
claim("density-mle-gaussian", "64-D Gaussian: average log-likelihood at the MLE", at_best,
      -0.5 * (64 * math.log(2 * math.pi * math.e) + torch.logdet(cov)), by="closed form",
      rtol=1e-10, unit="nats")
m, C = mean.clone().requires_grad_(), cov.clone().requires_grad_()
gaussian_log_density(train, m, C).mean().backward()
claim("density-mle-stationary", "64-D Gaussian: largest derivative by μ and Σ at the MLE",
      max(m.grad.abs().max(), C.grad.abs().max()), 0.0, by="zero at a maximum (autograd)",
      atol=1e-6, unit="nats", stable=False)
c = len(train) / (len(train) - 1)  # the "unbiased" covariance divides by n-1 instead
claim("density-mle-unbiased-is-lower",
      "wrong: dividing by n−1 lowers the training log-likelihood by",
      at_best - gaussian_log_density(train, mean, c * cov).mean(), 32 * (math.log(c) + 1 / c - 1),
      by="closed form d/2 (log c + 1/c − 1)", rtol=1e-6, unit="nats")


# %% [markdown]
# (sec-density-kde)=
# ## Kernel density estimation: one bump per example
#
# {item}`S1.8` A Gaussian has one bump; the surface of {numref}`fig-density-surface` has several. **Kernel density estimation**
# {cite:p}`rosenblatt1956,parzen1962` assumes no particular shape: put a small bump on *every* example and average.
#
# :::{prf:definition} Kernel density estimate
# :label: def-density-kde
# Let $K$ be a density on $\mathbb R^d$ (the **kernel**) and $h>0$ the **bandwidth**. Then
#
# $$
# \hat p(x) = \frac{1}{n\,h^{d}} \sum_{i=1}^n K\!\left(\frac{x-x_i}{h}\right).
# $$ (eq-density-kde)
# :::
#
# Where does $h^d$ come from? The bump at $x_i$ is $K$ stretched by $h$ along each of $d$ axes, which multiplies its volume
# by $h^d$. Formally, substitute $u=(x-x_i)/h$, $\mathrm dx = h^d\,\mathrm du$:
#
# $$
# \begin{aligned}
# \int \hat p(x)\,\mathrm dx
# &= \frac{1}{n\,h^d}\sum_{i=1}^n \int K\!\left(\frac{x-x_i}{h}\right)\mathrm dx \\
# &= \frac{1}{n\,h^d}\sum_{i=1}^n h^d \int K(u)\,\mathrm du = 1 .
# \end{aligned}
# $$ (eq-density-kde-mass)
#
# With the Gaussian kernel the whole method is five lines. Two points at distance 1 contribute $e^{-1250}$ to each other at
# $h=0.02$, which is zero to a computer, so the average is taken in logarithms (`logsumexp`).

# %%
# x (m, d), centres (n, d), h > 0 -> (m,) nats
def kde_log_density(x, centres, h):
    n, d = centres.shape
    squared = torch.cdist(x, centres) ** 2  # (m, n)  |x - x_i|²
    # log K((x - x_i)/h)
    log_kernel = -squared / (2 * h**2) - 0.5 * d * math.log(2 * math.pi)
    # log of 1/(n h^d) Σ K
    return torch.logsumexp(log_kernel, 1) - math.log(n) - d * math.log(h)


# %% [markdown]
# :::{admonition} Common mistake: A kernel estimate divides by $nh$
# :class: mistake
# {item}`E1.1` Often written, for vectors too: $p(x)=\frac{1}{nh}\sum_i K\big(\frac{x-x_i}{h}\big)$. By {eq}`eq-density-kde-mass`
# that function integrates to $h^{d}/h = h^{d-1}$, which is one only if $d=1$ (or $h=1$). In 8 dimensions with $h=\tfrac12$ it
# loses more than 99 % of the mass, as the next cells measure ({numref}`fig-density-mass`).
# :::
#
# {item}`X1.1` An integral can be measured without knowing its formula: draw points $x^{(s)}$ from a known density
# $r$ and average the weights $\hat p(x^{(s)})/r(x^{(s)})$. The mean of this **importance sampling** is right in any dimension,
# provided that $r>0$ wherever $\hat p>0$; with bumps 1.5 times as broad on the same examples, the weights stay below $1.5^d$.

# %%
def mass(log_density, centres, h, draws=20_000):
    """∫ exp(log_density) dx and its standard error, by importance sampling."""
    n, d = centres.shape
    # r: bumps 1.5 times as broad, from an implementation that is not ours
    bumps = D.Independent(D.Normal(centres, 1.5 * h), 1)
    r = D.MixtureSameFamily(D.Categorical(torch.ones(n)), bumps)
    pick = torch.randint(n, (draws,), generator=gen)
    x = centres[pick] + 1.5 * h * torch.randn(draws, d, generator=gen)
    return monte_carlo((log_density(x, centres, h) - r.log_prob(x)).exp())

def kde_divided_by_nh(x, centres, h):       # 1/(n h) instead of 1/(n h^d)
    return kde_log_density(x, centres, h) + (centres.shape[1] - 1) * math.log(h)

setting = {1: 0.3, 2: 0.3, 3: 0.3, 8: 0.5}  # dimension: bandwidth
right, wrong = [], []
for d, h in setting.items():
    centres = torch.randn(50, d, generator=gen)
    right.append(mass(kde_log_density, centres, h))
    wrong.append(mass(kde_divided_by_nh, centres, h))
# (4, 2): mean, standard error
right, wrong = torch.tensor(right), torch.tensor(wrong)

# %% tags=["hide-input"]
lost = torch.tensor([h ** (d - 1) for d, h in setting.items()])
claim("density-kde-mass", "∫ of the kernel estimate, d = 1, 2, 3, 8", right[:, 0], torch.ones(4),
      se=right[:, 1], by="a density integrates to one", digits=3)
claim("density-kde-mass-printed", "wrong: ∫ with 1/(n h) in front, d = 1, 2, 3, 8", wrong[:, 0], lost,
      se=wrong[:, 1], item="E1.1", by="closed form h^(d−1)", digits=3)

line = torch.linspace(-7, 7, 281)  # a second route: quadrature for d = 2
square, cell = torch.cartesian_prod(line, line), (line[1] - line[0]) ** 2
fifty = torch.randn(50, 2, generator=gen)
both = [f(square, fifty, 0.3).exp().sum() * cell
        for f in (kde_log_density, kde_divided_by_nh)]
claim("density-kde-mass-grid", "the same by quadrature, d = 2: right and wrong", both, [1.0, 0.3],
      item="E1.1", by="closed form 1 and h", rtol=1e-6)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-density-mass", "caption": "The right estimate keeps its mass at one in every dimension; the one divided by n h follows h to the power d \u2212 1 (black dashes)."}, "image": {"alt": "Integral on a logarithmic axis against dimension one, two, three and eight. One series stays at one, the other falls from one to eight thousandths, each point on a black dash."}}
fig, ax = plt.subplots(figsize=(5.2, 2.8))
ax.plot(list(setting), lost, "_", ms=28, color=colors.truth, label="$h^{d-1}$")
ax.errorbar(
    list(setting),
    right[:, 0],
    4 * right[:, 1],
    fmt="o",
    color=colors.model,
    label=r"$\frac{1}{n\,h^d}\sum K$ (right)",
)
ax.errorbar(
    list(setting),
    wrong[:, 0],
    4 * wrong[:, 1],
    fmt="s",
    color=colors.bad,
    label=r"$\frac{1}{n\,h}\sum K$ (wrong)",
)
ax.set(
    xlabel="dimension $d$ ($h$ = 0.3, 0.3, 0.3, 0.5)",
    ylabel=r"integral over $\mathbb{R}^d$",
    yscale="log",
    xticks=list(setting),
)
ax.legend()
plt.show()


# %% [markdown]
# ### Choosing the bandwidth
#
# A small $h$ turns every example into a needle, a large one melts the two hills into one.

# %% tags=["hide-input"]
def two_hills(x):  # ½ N(-1, 0.5²) + ½ N(1.5, 0.8²), log density
    normal = torch.distributions.Normal(
        torch.tensor([-1.0, 1.5]), torch.tensor([0.5, 0.8])
    )
    return torch.logsumexp(normal.log_prob(x), 1) - math.log(2)

def draw_hills(n):                          # (n, 1)
    right = torch.rand(n, 1, generator=gen) < 0.5
    z = torch.randn(n, 1, generator=gen)
    return torch.where(right, 1.5 + 0.8 * z, -1 + 0.5 * z)

seen, fresh = draw_hills(100), draw_hills(400)
xs = torch.linspace(-4, 5, 145)[:, None]
frames = []
for width in (0.03, 0.06, 0.12, 0.2, 0.3, 0.45, 0.7, 1.0, 1.5):
    frames.append(
        {
            "label": f"h = {width:.2f}",
            "lines": [
                {
                    "x": xs[:, 0],
                    "y": two_hills(xs).exp(),
                    "name": "true density",
                },
                {
                    "x": xs[:, 0],
                    "y": kde_log_density(xs, seen, width).exp(),
                    "name": "kernel estimate",
                },
                {
                    "x": seen[:, 0],
                    "y": torch.zeros(100),
                    "name": "the 100 examples",
                    "kind": "points",
                },
            ],
            "note": f"average log density: the 100 examples {kde_log_density(seen, seen, width).mean():.2f} nats; "
            f"400 fresh points {kde_log_density(fresh, seen, width).mean():.2f} nats",
        }
    )
slider_figure(
    "density-bandwidth",
    frames,
    slider_label="bandwidth",
    xlabel="x",
    ylabel="density",
    start=4,
    title="One hundred bumps",
    xlim=(-4, 5),
    ylim=(0, 0.9),
    alt="Two hills of the true density with a kernel estimate that is jagged at a small bandwidth, "
    "close at a medium one and a single hill at a large one",
)

# %% [markdown]
# The note under the figure shows the trap: on the examples themselves, the likelihood is best at $h \to 0$. Each example
# sits on its own needle of height proportional to $h^{-d}$, so the training log-likelihood grows *without bound*, by
# $d\log 10$ for each tenfold smaller $h$ once the needles no longer overlap. Choose $h$ on data that the bumps do not sit on: a
# **validation** set ({numref}`fig-density-bandwidth`). The test set reports and chooses nothing.

# %%
widths = torch.logspace(math.log10(0.05), math.log10(0.5), 21)

def average(x, centres, widths):            # log density of x for each width
    return torch.stack([kde_log_density(x, centres, h).mean() for h in widths])

on_train = average(train, train, widths)
on_validation = average(validation, train, widths)
best_h = widths[on_validation.argmax()]
kde_nll = -kde_log_density(test, train, best_h).mean()
kde_bpd = float(bits_per_dim(kde_nll, 64, levels=17))

# %% tags=["hide-input"]
needles = average(train, train, (0.02, 0.002))
claim("density-kde-needles", "wrong: training log-likelihood gained per tenfold smaller h",
      needles[1] - needles[0], 64 * math.log(10), by="closed form d log 10", rtol=1e-8, unit="nats")
claim("density-kde-inside", "the validation choice of h, from 0.05 to 0.5", best_h,
      by="three neighbours inside the grid", at_least=0.12, at_most=0.16, digits=2)
claim("density-kde-bpd", "kernel estimate of the digits, test", kde_bpd,
      by="range over 12 other splits, 3.360 to 3.404", at_least=3.34, at_most=3.43, unit="bits")

root = torch.linalg.cholesky(cov)           # bumps N(x_i, h² cov) instead

def whiten(x):
    return torch.linalg.solve_triangular(root, x.T, upper=False).T

white = [whiten(part) for part in (train, validation, test)]
shapes = torch.logspace(-0.6, 0.4, 21)      # 0.25 to 2.5
shape_h = shapes[average(white[1], white[0], shapes).argmax()]
shaped_nll = root.logdet() - kde_log_density(white[2], white[0], shape_h).mean()
shaped_bpd = bits_per_dim(shaped_nll, 64, levels=17)
claim("density-kde-shaped-h", "validated h of bumps shaped like the covariance", shape_h,
      by="inside the grid", at_least=0.79, at_most=1.13, digits=2)
claim("density-kde-shaped", "their bits per pixel minus those of the Gaussian",
      shaped_bpd - gauss_bpd, by="range over other splits, -0.022 to 0.016", at_least=-0.03,
      at_most=0.03, unit="bits", digits=2)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-density-bandwidth", "caption": "Choosing h for the digits: on the training images small is always better, on held-out images there is an optimum."}, "image": {"alt": "Two curves against bandwidth on a logarithmic axis. Bits per pixel of the training images fall steadily towards small bandwidths, those of the validation images have a minimum near one seventh, marked by a dot. It lies above three dotted lines, from above a single Gaussian, the histograms and ten tables of histograms."}}
fig, ax = plt.subplots(figsize=(5.6, 2.9))

def as_bpd(ll):
    return -ll / (64 * math.log(2)) + math.log2(17)

ax.semilogx(widths, as_bpd(on_train), color=colors.bad, label="training images")
ax.semilogx(
    widths, as_bpd(on_validation), color=colors.model, label="validation images"
)
ax.plot(best_h, as_bpd(on_validation.max()), "o", color=colors.model)
for level, note in ((gauss_bpd, "one Gaussian, test"), (one_table, "histograms, test"),
                    (ten_tables, "ten tables, test")):
    ax.axhline(level, color=colors.muted, ls=":")
    ax.text(0.5, level + 0.04, note, color=colors.muted, ha="right", fontsize=8)
ax.set(
    xlabel="bandwidth $h$ (pixels in [0, 1))",
    ylabel="bits per pixel",
    ylim=(1, 5),
)
ax.set_xticks([0.05, 0.1, 0.2, 0.5], ["0.05", "0.1", "0.2", "0.5"])
ax.minorticks_off()
ax.legend()
plt.show()

# %% [markdown]
# By how much does the validated $h$ miss the best one? On the book's toy, eight Gaussians on a ring, the density is known,
# and $\mathrm{KL}(p\,\|\,\hat p)$ is an integral over the plane ({numref}`fig-density-ring`). Over eight draws of 400 + 400 points it is
# {value}`density-kde-ring-kl:.2f` nats on average; at the best $h$ of the grid it would be less by not even a hundredth of a nat.

# %%
ring = toy("ring")
line = torch.linspace(-4, 4, 61)
square, cell = torch.cartesian_prod(line, line), (line[1] - line[0]) ** 2
log_p = ring.log_prob(square)
hs = torch.logspace(-1.5, 0, 13)
reached, regret = [], []
for _ in range(8):
    few, held_out = ring.sample(400, gen), ring.sample(400, gen)
    log_q = torch.stack([kde_log_density(square, few, h) for h in hs])
    exact_kl = (log_p.exp() * (log_p - log_q)).sum(1) * cell  # (13,)
    chosen = average(held_out, few, hs).argmax()
    reached.append(exact_kl[chosen])
    regret.append(exact_kl[chosen] - exact_kl.min())

# %% tags=["hide-input"]
claim("density-kde-ring-regret",
      "ring: KL of the validated h minus the smallest KL on the grid, mean of 8", sum(regret) / 8,
      by="quadrature with the exact density", at_least=0.0, at_most=0.01, unit="nats", digits=1)
# KL to the best single Gaussian
one_gaussian = math.log(2 * math.pi * math.e * (2 + 0.2**2)) - ring.entropy
claim("density-kde-ring-kl", "ring: KL from the truth to the validated estimate, mean of 8 draws",
      sum(reached) / 8, by="range over 80 draws in eights", at_least=0.09, at_most=0.125,
      unit="nats", digits=2)
claim("density-kde-ring-gaussian", "over what the best single Gaussian loses",
      max(reached) / one_gaussian, by="moment matching", at_most=0.1, digits=2)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-density-ring", "caption": "The ring: the exact density, then kernel estimates from 400 examples with h too small, chosen on validation data, and too large."}, "image": {"alt": "Four square panels. Eight round spots on a circle in the exact density, a spotty picture with speckles inside each spot, eight slightly wider spots, and a washed-out continuous annulus."}}
fig, panels = plt.subplots(1, 4, figsize=(7, 2.2), sharey=True)
estimates = {"exact": ring.log_prob}
for width, note in ((hs[1], ""), (hs[chosen], " (chosen)"), (hs[-4], "")):
    estimates[f"h = {width:.2f}{note}"] = lambda x, h=width: kde_log_density(x, few, h)
for ax, (title, f) in zip(panels, estimates.items(), strict=True):
    density(ax, f, xlim=(-3, 3), ylim=(-3, 3), n=90, cmap="coolwarm")
    ax.set(title=title, xlabel="$x_1$", xticks=[-2, 0, 2], yticks=[-2, 0, 2])
panels[0].set_ylabel("$x_2$")
plt.show()


# %% [markdown]
# (sec-density-curse)=
# ## The curse of dimensionality
#
# On the ring the kernel estimate is good. On the digits, {value}`density-kde-bpd:.2f` bits per pixel, it loses to *one*
# Gaussian, {value}`density-gauss-bpd:.2f`. Bumps shaped like the data's covariance, $h^2\hat\Sigma$, draw level with it, almost as
# wide as the data themselves: validation sets $h$ to {value}`density-kde-shaped-h:.1f`. Is the method at fault, or the dimension? (Examples needed multiply with each dimension: the **curse of dimensionality**.) Take a friendly target,
# $p = \mathcal N(0, I_d)$, and ask only for its value at the point $x=0$. With a Gaussian kernel every expectation is an integral of
# Gaussians, and the error is exact:
#
# $$
# \begin{aligned}
# \mathbb E\,\hat p(0) &= \big(2\pi(1+h^2)\big)^{-d/2}, \\
# \frac{\mathbb E\big(\hat p(0)-p(0)\big)^2}{p(0)^2}
# &= \underbrace{\frac{1}{n}\Big[h^{-d}(2+h^2)^{-d/2} - (1+h^2)^{-d}\Big]}_{\text{variance}} \\
# &\quad{}+ \underbrace{\Big[(1+h^2)^{-d/2} - 1\Big]^2}_{\text{squared bias}} .
# \end{aligned}
# $$ (eq-density-mse)
#
# :::{dropdown} Derivation
# With $K_h(u) = h^{-d}K(u/h)$ the density of $\mathcal N(0,h^2I)$, the convolution of two Gaussians gives
# $\mathbb E K_h(X) = \mathcal N(0; 0, (1+h^2)I)$, hence the first line, and the bias after dividing by $p(0) = (2\pi)^{-d/2}$.
# The square of a Gaussian is a narrower Gaussian, $K_h(u)^2 = (4\pi h^2)^{-d/2}\,\mathcal N(u;0,\tfrac{h^2}{2}I)$, so
# $\mathbb E K_h(X)^2 = (4\pi h^2)^{-d/2}\big(2\pi(1+\tfrac{h^2}{2})\big)^{-d/2}$; divided by $p(0)^2$ this is
# $h^{-d}(2+h^2)^{-d/2}$. The variance of a mean of $n$ independent terms is $\frac1n\big(\mathbb E K_h^2 - (\mathbb E K_h)^2\big)$.
# :::
#
# Ask for a relative mean squared error of 0.1, choosing the best bandwidth. Since $n$ enters only as $1/n$, each $h$ needs
# $n(h) = V(h)\,/\,(0.1 - B(h)^2)$ examples, $V$ being the first square bracket and $B$ the second, and one minimisation over $h$ gives the
# sample size. It should reproduce Table 4.2 of {cite:t}`silverman1986`.

# %%
# n · relative variance, and relative bias, at x = 0
def variance_and_bias(h, d):
    V = h**-d * (2 + h**2) ** (-d / 2) - (1 + h**2) ** -d
    B = (1 + h**2) ** (-d / 2) - 1
    return V, B

def examples_needed(d, error=0.1):
    """The smallest n whose relative MSE at 0 is `error`, and its h."""
    h_max = math.sqrt((1 - math.sqrt(error)) ** (-2 / d) - 1)  # the bias alone

    def log_n(log_h):
        V, B = variance_and_bias(math.exp(log_h), d)
        return math.log(V / (error - B**2))

    top = math.log(h_max) - 1e-6
    best = optimize.minimize_scalar(
        log_n, bounds=(top - 3, top), method="bounded", options={"xatol": 1e-10}
    )
    return math.exp(best.fun), math.exp(best.x)

dims = list(range(1, 11))
needed = torch.tensor([examples_needed(d)[0] for d in dims])

# %% tags=["hide-input"]
silverman = torch.tensor([4, 19, 67, 223, 768,
                          2790, 10_700, 43_700, 187_000, 842_000])
claim("density-silverman-small", "examples needed, d = 1, 2, 3 (rounded up)", needed[:3].ceil(),
      silverman[:3], by="Silverman 1986, Table 4.2")
claim("density-silverman", "examples needed, d = 4 … 10", needed[3:], silverman[3:],
      by="Silverman 1986, Table 4.2", rtol=0.005, digits=6)
claim("density-silverman-64", "the same for 64 dimensions, log10 n",
      math.log10(examples_needed(64)[0]), by="between two powers of ten", at_least=54.0,
      at_most=55.0, digits=3)

h_three = examples_needed(3)[1]  # is it true? 4000 estimates for d = 3, n = 67
draws = torch.randn(4000, 67, 3, generator=gen)
# relative to p(0)
at_zero = torch.exp(-(draws**2).sum(-1) / (2 * h_three**2)).mean(1) / h_three**3
V, B = variance_and_bias(h_three, 3)
value, se = monte_carlo((at_zero - 1) ** 2)
claim("density-mse", "relative MSE at 0, d = 3, n = 67, from 4000 estimates", value, V / 67 + B**2,
      se=se, by="closed form", digits=3)
claim("density-mse-mutant", "wrong: without the squared bias the formula says", V / 67,
      by="less than 0.06, when 0.1 is observed", at_most=0.06, digits=3)


# %% [markdown]
# {item}`X1.2` From $d=1$ to $10$ the number grows from 4 to 842 000, four- to fivefold per dimension at the end, and in 64 dimensions it exceeds
# $10^{54}$. The bandwidth is already the best one, so there is nothing left to tune. (That is the price for a target as broad in one direction as in
# any other; digits are not.)
#
# Now let the learner *know* that the density is a Gaussian, though not which one: fit $\hat\mu$ and $\hat\Sigma$ by maximum likelihood and ask for the
# same precision at the same point. Its error is known too, up to one quadrature.
#
# :::{dropdown} Why the Gaussian's error has a closed form
# For $n$ draws from $\mathcal N(0,I_d)$, $\hat p(0)/p(0) = \det(\hat\Sigma)^{-1/2}\exp(-\tfrac12\hat\mu^\top\hat\Sigma^{-1}\hat\mu)$. Turn the axes so that
# $\hat\mu$ points along the last one; the distribution of $n\hat\Sigma$, a Wishart matrix independent of $\hat\mu$, does not change. In its Cholesky factor the squared diagonal
# entries are independent, $\ell_i^2\sim\chi^2_{n-i}$ (Bartlett's decomposition), and $\hat\mu^\top(n\hat\Sigma)^{-1}\hat\mu = |\hat\mu|^2/\ell_d^2$. So, with $n|\hat\mu|^2\sim\chi^2_d$,
#
# $$
# \frac{\hat p(0)}{p(0)} = n^{d/2}\,\Big(\prod_{i=1}^d \ell_i^{-1}\Big)\,\exp\!\Big(\!-\frac{\chi^2_d}{2\,\ell_d^2}\Big),
# $$ (eq-density-wishart)
#
# a product whose first two moments are gamma functions times one integral over $\ell_d^2$.
# :::

# %% tags=["hide-input"]
def gaussian_mse(n, d):
    """Relative MSE at 0 of the Gaussian fit, from the moments of its distribution."""

    def moment(k):                          # E (p̂(0)/p(0))^k
        log_m = k * d / 2 * math.log(n)
        # E ℓ_i^-k, ℓ_i² ~ χ² with n - i degrees of freedom
        for i in range(1, d):
            log_m += special.gammaln((n - i - k) / 2) - special.gammaln((n - i) / 2)
            log_m -= k / 2 * math.log(2)
        u = torch.linspace(1e-9, 3 * n + 100, 20_001)  # u = ℓ_d²
        chi2 = torch.from_numpy(stats.chi2.pdf(u.numpy(), n - d))
        rest = u ** ((d - k) / 2) * (u + k) ** (-d / 2) * chi2
        return math.exp(log_m) * torch.trapezoid(rest, u).item()

    return moment(2) - 2 * moment(1) + 1

gaussian_needed = [next(n for n in range(d + 5, 1000) if gaussian_mse(n, d) <= 0.1)
                   for d in dims]
more = (needed.ceil() > torch.tensor(gaussian_needed)).tolist()
claim("density-gaussian-crossing",
      "does the kernel need more examples than the Gaussian? d = 1, 2 … 10", more,
      [False] + 9 * [True], by="two exact formulas")
nines = torch.randn(4000, 9, generator=gen)  # 4000 samples of nine, d = 1
apart = (nines[:, :, None] - nines[:, None]) ** 2 + torch.diag(torch.full((9,), math.inf))
tried = torch.logspace(-1.3, 0.7, 31)
left_one_out = [torch.logsumexp(-apart / (2 * h**2), 2).sum(1) - 9 * h.log() for h in tried]
h_each = tried[torch.stack(left_one_out).argmax(0)][:, None]
value = (torch.exp(-(nines**2) / (2 * h_each**2)) / h_each).mean(1)
claim("density-kde-loo-nine", "d = 1, n = 9, leave-one-out bandwidth: relative MSE at 0",
      ((value - 1) ** 2).mean(), by="range over 12 other seeds, 0.114 to 0.134", at_least=0.105, at_most=0.145,
      digits=2)
claim("density-gaussian-needed", "Gaussian family, d = 1, 2 and 10: examples needed",
      [gaussian_needed[j] for j in (0, 1, 9)], [9, 18, 154],
      by="exact formula, held by 3000 fits below")

enough = gaussian_needed[-1]  # check the formula by fitting 3000 Gaussians, d = 10
draws = torch.randn(3000, enough, 10, generator=gen)
m = draws.mean(1, keepdim=True)
S = (draws - m).mT @ (draws - m) / enough   # (3000, d, d)
quadratic = (m @ torch.linalg.solve(S, m.mT))[:, 0, 0]
ratio = torch.exp(-0.5 * torch.logdet(S) - 0.5 * quadratic)
value, se = monte_carlo((ratio - 1) ** 2)
claim("density-gaussian-mse", "its relative MSE there, from 3000 fits", value,
      gaussian_mse(enough, 10), se=se, by="Wishart moments", digits=2)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-density-curse", "caption": "Examples needed for a relative mean squared error of 0.1 at the centre of a Gaussian: kernels at the bandwidth that is best there (blue), and a fit that knows only that it is a Gaussian (green)."}, "image": {"alt": "Number of examples on a logarithmic axis against dimension one to ten. One curve rises almost straight from four to about a million and passes through hollow squares from a published table, the other bends and reaches about one hundred and fifty."}}
fig, ax = plt.subplots(figsize=(5.6, 3.0))
ax.semilogy(
    dims,
    needed,
    "o-",
    color=colors.cycle[0],
    label="kernel estimate, closed form",
)
ax.semilogy(
    dims,
    silverman,
    "s",
    ms=9,
    mfc="none",
    color=colors.truth,
    label="published table, 1986",
)
ax.semilogy(
    dims,
    gaussian_needed,
    "^-",
    color=colors.cycle[2],
    label="Gaussian by maximum likelihood",
)
ax.set(xlabel="dimension $d$", ylabel="examples needed $n$", xticks=dims)
ax.legend()
plt.show()


# %% [markdown]
# In one dimension the kernel, told its best bandwidth, needs fewer examples than the Gaussian fit (4 against 9; with $h$ by leave-one-out its error at 9 is still about {value}`density-kde-loo-nine:.2f`), from $d=2$ on (19 against 18) more, and in
# ten 154 examples do what 842 000 did ({numref}`fig-density-curse`). *Structure* is how the models of this book get around the curse, those of the next two sections among them; the price is bias, if the
# structure is wrong. Which method to choose therefore depends on what is known about the data ({ref}`q1-3` compares the rates).
#
# (sec-density-flow)=
# ## Normalising flows: bending a simple density
#
# {item}`S1.9` A **normalising flow** starts with a density that is easy, $z\sim p_z$, and bends space by a map $x=f(z)$ that is invertible, and differentiable in both directions. The mass in a small piece around $z$
# arrives in the image of that piece. Where $f$ stretches, the density drops ({numref}`fig-density-flow`), by the **change of variables**. In one dimension, $p(x)\,|\mathrm dx| = p_z(z)\,|\mathrm dz|$; in $d$,
#
# $$
# \begin{aligned}
# p(x) &= p_z\big(f^{-1}(x)\big)\,\left|\det\frac{\partial f^{-1}(x)}{\partial x}\right| \\
# &= p_z(z)\,\left|\det\frac{\partial f(z)}{\partial z}\right|^{-1}, \qquad z=f^{-1}(x).
# \end{aligned}
# $$ (eq-density-flow)
#
# The determinant belongs to the *inverse* map; the common slips are to multiply by that of $f$, or to forget it. One example has exact integrals for
# all three: let $z\sim\mathcal N(0,1)$ and $x=f(z)=e^z$, so $f^{-1}(x)=\log x$ and $\partial f^{-1}/\partial x = 1/x$. Then
#
# $$
# \begin{aligned}
# \int_0^\infty p_z(\log x)\,\frac1x\,\mathrm dx &= 1 && \text{right}, \\
# \int_0^\infty p_z(\log x)\,\mathrm dx &= \mathbb E\,e^{z} = e^{1/2} && \text{forgotten}, \\
# \int_0^\infty p_z(\log x)\,x\,\mathrm dx &= \mathbb E\,e^{2z} = e^{2} && \text{that of } f .
# \end{aligned}
# $$ (eq-density-flow-signs)

# %%
# sign -1: the wrong one; 0: determinant forgotten
def flow_log_density(x, sign=1):
    z = x.log()                             # f⁻¹(x)
    log_det = -x.log()                      # log |∂f⁻¹/∂x| = log(1/x)
    return -0.5 * z**2 - 0.5 * math.log(2 * math.pi) + sign * log_det

x = torch.logspace(-5, 6, 20_001)           # crowded at 0, far out at the right
integral = [
    torch.trapezoid(flow_log_density(x, sign).exp(), x) for sign in (1, 0, -1)
]

# %% tags=["hide-input"]
claim("density-flow-mass", "∫ with the determinant of f⁻¹", integral[0], 1.0,
      by="a density integrates to one", atol=1e-5)
claim("density-flow-forgotten", "wrong: ∫ without any determinant", integral[1], math.exp(0.5),
      by="closed form e^(1/2)", rtol=1e-5)
claim("density-flow-wrong-sign", "wrong: ∫ with the determinant of f", integral[2], math.exp(2),
      by="closed form e²", rtol=1e-5)

def couple(z):                              # (2,) -> (2,), invertible
    return torch.stack([z[0], z[1] * torch.exp(0.7 * z[0]) + z[0] ** 2])

z = torch.tensor([0.8, -1.3])
jacobian = torch.autograd.functional.jacobian(couple, z)
claim("density-flow-logdet", "a coupling layer: log |det ∂f/∂z| by autograd",
      torch.linalg.slogdet(jacobian)[1], 0.7 * 0.8, by="triangular Jacobian: s z₁", atol=1e-12,
      unit="nats")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-density-flow", "caption": "The map x = exp(z) carries ten slices of equal probability from z (left) to x (right): a stretched slice is lower, and its area is the same."}, "image": {"alt": "Left, a bell curve cut into ten coloured vertical slices of equal area. Right, the same ten slices under a skewed curve with a tall peak at small x and a long low tail."}}
cut = torch.tensor(stats.norm.ppf(torch.linspace(0, 1, 11).numpy())).clamp(
    -3, 3
)
fig, (left, right_) = plt.subplots(1, 2, figsize=(7, 2.5))
for k in range(10):
    zs = torch.linspace(cut[k], cut[k + 1], 40)
    shade = plt.get_cmap("coolwarm")(k / 9)
    left.fill_between(
        zs, torch.exp(-0.5 * zs**2) / math.sqrt(2 * math.pi), color=shade, lw=0
    )
    right_.fill_between(
        zs.exp(), flow_log_density(zs.exp()).exp(), color=shade, lw=0
    )
left.set(xlabel="$z$", ylabel="density $p_z(z)$", ylim=(0, 0.72))
right_.set(
    xlabel="$x = e^z$", ylabel="density $p(x)$", xlim=(0, 8), ylim=(0, 0.72)
)
plt.show()


# %% [markdown]
# A **coupling layer**, such as $(z_1,z_2)\mapsto(z_1,\;z_2e^{0.7z_1}+z_1^2)$, changes half of the coordinates by an amount that depends on the other half. Its Jacobian is triangular, the determinant
# the product of the diagonal, and stacks of such maps give densities that can be evaluated *and* sampled. Part V builds them ({cite:t}`papamakarios2021` survey them).
#
# (sec-density-ar)=
# ## Autoregressive models: one variable at a time
#
# {item}`S1.10` Any joint distribution, in any order of its variables, is a product of conditionals:
#
# $$
# p(x) = \prod_{i=1}^{d} p(x_i \mid x_{<i}), \qquad x_{<i} = (x_1,\dots,x_{i-1}).
# $$ (eq-density-ar)
#
# This **chain rule** is no approximation. An **autoregressive model** replaces each factor by a learned $q_\theta(x_i\mid x_{<i})$. If each factor sums to one, so does the product: the
# model is normalised by construction. And its error is a sum.
#
# :::{prf:theorem} Chain rule of the Kullback–Leibler divergence
# :label: thm-density-chain
# $$
# \begin{aligned}
# &\mathrm{KL}(p\,\|\,q) \\
# &\quad= \sum_{i=1}^d \mathbb E_{x_{<i}\sim p}\,\mathrm{KL}\big(p(\cdot\mid x_{<i})\,\big\|\,q(\cdot\mid x_{<i})\big).
# \end{aligned}
# $$ (eq-density-chain)
# :::
#
# :::{prf:proof}
# $\log\frac{p(x)}{q(x)} = \sum_i \log\frac{p(x_i\mid x_{<i})}{q(x_i\mid x_{<i})}$; take the expectation under $p$, first over $x_i$ given $x_{<i}$.
# :::
#
# The prefixes $x_{<i}$ are drawn from $p$, the data, which is why the model can be trained on real prefixes (**teacher forcing**). Random distributions over the 32 strings of five bits check the theorem, and show that it fails if the prefixes are drawn from the model.

# %%
def kl_of(p, q):                            # (..., k), (..., k) -> (...) nats
    return (p * (p / q).log()).sum(-1)

def chain_terms(p, q, prefixes):
    """For each i the average of KL(p(·|x_<i) ‖ q(·|x_<i)) over x_<i ~ prefixes.

    p, q, prefixes: (2**d,), probabilities of the strings in counting order.
    """
    d, terms = int(math.log2(len(p))), []
    for i in range(1, d + 1):
        # p(x_<i, x_i), then p(x_i | x_<i), both (2^(i-1), 2)
        joint = [t.reshape(-1, 2, 2 ** (d - i)).sum(2) for t in (p, q)]
        cond_p, cond_q = (t / t.sum(1, keepdim=True) for t in joint)
        weight = prefixes.reshape(2 ** (i - 1), -1).sum(1)  # of each x_<i
        terms.append((weight * kl_of(cond_p, cond_q)).sum())
    return torch.stack(terms)

pairs = torch.rand(20, 2, 32, generator=gen) ** 2
pairs = pairs / pairs.sum(-1, keepdim=True)  # twenty p, twenty q
kl = kl_of(pairs[:, 0], pairs[:, 1])        # by enumeration of all strings
sums = torch.tensor([[chain_terms(p, q, p).sum(), chain_terms(p, q, q).sum()]
                     for p, q in pairs])
claim("density-chain",
      "KL of 20 pairs of distributions over 5 bits, as sums of five terms",
      sums[:, 0], kl, by="enumeration", atol=1e-12, unit="nats")
off = (sums[:, 1] - kl).abs().mean()
claim("density-chain-mutant",
      "wrong: prefixes drawn from the model; the sums are off by, on average",
      off, by="enumeration", at_least=0.05, unit="nats", digits=2)
agree("density-chain-twin", kl, kl_discrete(pairs[:, 0], pairs[:, 1]))


# %% [markdown]
# ### Sixty-four logistic regressions
#
# From here on pixels are black or white, and $q(x)$ *is* a probability: its bits per image of 64 two-level pixels do not compare with bits per pixel of seventeen levels.
#
# The simplest model of this kind for binary pixels is a logistic regression per pixel, a *fully visible sigmoid belief network* (FVSBN) {cite:p}`frey1998`:
#
# $$
# q(x_i = 1\mid x_{<i}) = \sigma\Big(b_i + \sum_{j<i} W_{ij}\,(x_j - \bar x_j)\Big),
# $$ (eq-density-fvsbn)
#
# with $W$ strictly lower triangular and $\bar x$ the mean image. Each of the 64 fits is a convex problem. A penalty $\frac\lambda2\big(\|W_i\|^2 + (b_i-o_i)^2\big)$
# pulls pixel $i$ towards its own frequency, $o_i = \log\frac{k_i+1/2}{n-k_i+1/2}$, independent of all others (the halves keep pixels that never change finite), and makes the optimum unique; Newton's method finds it. At $\lambda\to\infty$ the model *is* the
# independent one, the baseline. The validation set chooses $\lambda$.

# %%
def logistic_newton(A, y, offset, penalty):
    """Weights w (k,) of the penalised regression of y (n,) on A (n, k)."""

    def loss(w):                            # -log σ(t) = softplus(-t)
        nll = softplus((1 - 2 * y) * (offset + A @ w)).sum()
        return nll + penalty / 2 * w @ w

    w = torch.zeros(A.shape[1])
    for _ in range(50):
        p = torch.sigmoid(offset + A @ w)   # (n,)
        gradient = A.T @ (p - y) + penalty * w
        hessian = (A.T * (p * (1 - p))) @ A + penalty * torch.eye(len(w))
        step = torch.linalg.solve(hessian, gradient)
        while loss(w - step) > loss(w) + 1e-9:  # damp, if Newton overshoots
            step = step / 2
        w = w - step
        if step.abs().max() < 1e-9:
            break
    return w

def fit_fvsbn(x, penalty):  # x (n, d) of 0/1 -> centre (d,), b (d,), W (d, d)
    n, d = x.shape
    centre, k = x.mean(0), x.sum(0)
    # o_i: each pixel on its own
    b, W = ((k + 0.5) / (n - k + 0.5)).log(), torch.zeros(d, d)
    for i in range(d):
        A = torch.cat([torch.ones(n, 1), x[:, :i] - centre[:i]], 1)
        w = logistic_newton(A, x[:, i], b[i], penalty)
        W[i, :i] = w[1:]
        b[i] = b[i] + w[0]
    return centre, b, W

def fvsbn_logits(model, x):                 # all conditionals in one product
    centre, b, W = model
    return b + (x - centre) @ W.T           # (n, d)

def pixel_bits(model, x):                   # (n, d): -log2 q(x_i | x_<i)
    return softplus((1 - 2 * x) * fvsbn_logits(model, x)) / math.log(2)

ink_validation, ink_test = binarise(data.validation.x), binarise(data.test.x)
models = {lam: fit_fvsbn(ink, lam) for lam in (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)}
bits = {lam: pixel_bits(m, ink_validation).sum() for lam, m in models.items()}
penalty = min(bits, key=bits.get)
fvsbn, independent = models[penalty], fit_fvsbn(ink, 1e12)
print("penalty chosen on validation images:", penalty)

# %% [markdown]
# Is it a distribution, is it the optimum, and is it better than the baseline?

# %% tags=["hide-input"]
# 12 pixels: all 4096 images can be listed
first = fit_fvsbn(ink[:, 18:30], 4.0)
every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 12)
claim("density-fvsbn-sums", "probabilities of all 4096 images of 12 pixels add up to",
      torch.exp2(-pixel_bits(first, every).sum(1)).sum(), 1.0, by="normalised by construction",
      atol=1e-10)

mean_ink, b, W = fvsbn
b_leaf, W_leaf = b.clone().requires_grad_(), W.clone().requires_grad_()
k = ink.sum(0)
offset = ((k + 0.5) / (len(ink) - k + 0.5)).log()
nll = pixel_bits((mean_ink, b_leaf, W_leaf), ink).sum() * math.log(2)
size_of = (W_leaf**2).sum() + ((b_leaf - offset) ** 2).sum()
(nll + penalty / 2 * size_of).backward()
claim("density-fvsbn-optimum", "largest derivative of the penalised likelihood at the fit",
      max(b_leaf.grad.abs().max(), W_leaf.grad.tril(-1).abs().max()), 0.0,
      by="zero at the optimum (autograd)", atol=1e-5, stable=False)

frequency = (k + 0.5) / (len(ink) + 1)
probability = torch.where(ink_test == 1, frequency, 1 - frequency)  # (360, 64)
alone = -probability.log2().sum(1)          # (360,) bits per image
claim("density-fvsbn-limit", "λ → ∞: the largest difference from independent pixels",
      (pixel_bits(independent, ink_test).sum(1) - alone).abs().max(), 0.0,
      by="closed form of independent pixels", atol=1e-6, unit="bits", stable=False)

ideal = pixel_bits(fvsbn, ink_test).sum(1)  # (360,) bits per image
saved = (alone - ideal).mean()
claim("density-ar-bits", "autoregressive model, test images", ideal.mean(),
      by="range over 12 other splits, 25.8 to 26.7", at_least=25.4, at_most=27.1,
      unit="bits per image")
claim("density-alone-bits", "independent pixels, test images", alone.mean(),
      by="range over 12 other splits, 35.6 to 36.8", at_least=35.2, at_most=37.2,
      unit="bits per image")
claim("density-ar-gain", "saved by knowing the pixels before", saved,
      by="range over 12 other splits, 9.3 to 10.4", at_least=9.0, at_most=10.8,
      unit="bits per image", digits=3)
claim("density-ar-penalty", "penalty chosen on validation images", penalty,
      by="inside the grid from 0.25 to 8", at_least=0.5, at_most=4.0)

log_joint = []                              # labels, and ten tables of frequencies
for c in range(10):
    members = ink[data.train.y == c]
    share = (members.sum(0) + 0.5) / (len(members) + 1)
    log_given_c = torch.where(ink_test == 1, share, 1 - share).log2().sum(1)
    log_joint.append(log_given_c + math.log2(len(members) / len(ink)))
ten_alone = -torch.stack(log_joint).mul(math.log(2)).logsumexp(0).mean() / math.log(2)
claim("density-ten-alone", "independent pixels, one table a class, mixed", ten_alone,
      by="range over 12 other splits, 28.0 to 29.3", at_least=27.6, at_most=29.7,
      unit="bits per image")


# %% [markdown]
# Pixel frequencies bring the cost of an unseen image from 64 bits down to {value}`density-alone-bits:.1f`, and to {value}`density-ten-alone:.1f` if labels sort the training images into
# ten tables; the pixels before, without labels, bring it to {value}`density-ar-bits:.1f`, which saves {value}`density-ar-gain:.1f` on the independent pixels. Now the three images of {numref}`fig-density-surface` can be ranked.

# %%
def conditional(model, i, past):  # past (n, i) -> (n,): q(x_i = 1 | x_<i)
    centre, b, W = model
    return torch.sigmoid(b[i] + ((past - centre[:i]) * W[i, :i]).sum(1))

bits_a, bits_b, bits_c = pixel_bits(fvsbn, three).sum(1).tolist()

# %% tags=["hide-input"]
claim("density-three", "A (a seven), B (upside down), C (shuffled), in this order",
      bits_a < bits_b < bits_c, True, by="your ranking", depends_on="split")

def by_hand(image):                         # one factor at a time, one image
    factors = [conditional(fvsbn, i, image[None, :i])[0] for i in range(64)]
    return -sum(math.log2(q if ink_i else 1 - q)
                for q, ink_i in zip(factors, image.tolist(), strict=True))

for letter, measured, image in zip("abc", (bits_a, bits_b, bits_c), three,
                                   strict=True):
    claim(f"density-image-{letter}", f"image {letter.upper()}", measured, by_hand(image),
          by="64 factors, one at a time", atol=1e-8, unit="bits", digits=3)

mixed_up = ink_test.gather(1, torch.rand(360, 64, generator=gen).argsort(1))
upright, down, mixed_up = (pixel_bits(fvsbn, x).sum(1)
                           for x in (ink_test, ink_test.flip(1), mixed_up))
claim("density-upright", "test digits that cost less than upside down",
      (upright < down).double().mean(), by="range over 12 other splits, 0.90 to 0.93",
      at_least=0.88, at_most=0.96, digits=2)
claim("density-shuffled", "shuffled test digits that cost more than 64 bits",
      (mixed_up > 64).double().mean(), by="a coin per pixel", at_least=0.99, digits=3)


# %% [markdown]
# Presumably your ranking too: A, B and C cost {value}`density-image-a:.0f`, {value}`density-image-b:.0f` and {value}`density-image-c:.0f` bits. The last is more than the 64 bits of a fair coin per pixel: the model bets against such images.
# A single image need not obey: of the test digits, {value}`density-upright:.0%` cost less upright than upside down.
#
# To sample, the factors of {eq}`eq-density-ar` are used one after the other (**ancestral sampling**); each pixel waits for the ones before.

# %%
def sample(model, n, generator):
    x = torch.zeros(n, 64)
    for i in range(64):                     # 64 calls, one after the other
        coin = torch.rand(n, generator=generator)
        x[:, i] = (coin < conditional(model, i, x[:, :i])).double()
    return x

drawn = sample(fvsbn, 20_000, gen)

# %% tags=["hide-input"]
# the first two rows can be listed: all 2^16 beginnings and their probabilities
mean_ink, b, W = fvsbn
top = mean_ink[:16], b[:16], W[:16, :16]
openings = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 16)
exact_ink = torch.exp2(-pixel_bits(top, openings).sum(1)) @ openings.sum(1)
value, se = monte_carlo(drawn[:, :16].sum(1))
claim("density-sample-ink", "black pixels in the first two rows, mean of 20 000 samples", value,
      exact_ink, by="enumeration of all 2^16 beginnings", se=se, digits=3)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-density-samples", "caption": "Test digits (top two rows), samples of the autoregressive model (middle) and of independent pixels (bottom)."}, "image": {"alt": "Six rows of fourteen black-and-white eight-by-eight images. The first two show legible digits, the next two digit-like strokes with some broken ones, the last two scattered dots in the shape of a blurred disc."}}
rows = torch.cat([ink_test[:28], drawn[:28], sample(independent, 28, gen)])
ax = image_grid(rows, ncols=14, vmin=0, vmax=1)
ax.set_yticks(
    [8, 26, 44],
    ["test", "autoregressive", "independent"],
    rotation=90,
    va="center",
    fontsize=8,
)
for y in (17.0, 35.0):
    ax.axhline(y, color=colors.bad, lw=1)
plt.show()

# %% [markdown]
# The samples in {numref}`fig-density-samples` have strokes; some are digits, many are not. Networks can take the place of the logistic regressions
# {cite:p}`larochelle2011,germain2015,vandenoord2016`; large language models are {eq}`eq-density-ar` with a transformer.
#
# (sec-density-codec)=
# ### A density is a compressor
#
# So far “bits” was a figure of speech for $-\log_2 q$. By Shannon's **source coding theorem** {cite:p}`shannon1948` a code exists whose length is $-\log_2 q(x)$, rounded up to a whole bit; and when the
# data come from $q$, no uniquely decodable code is on average shorter than the entropy, $\mathbb E[-\log_2 q(x)]$. A code that follows $q$ is an **entropy coder**. Rounding costs up to one bit a *message*, which hurts if every symbol is one: with $q=(0.9,\,0.1)$ the
# lengths are 1 and 4 bits, 1.3 on average, where one bit each would do and the entropy is 0.47. So we code all 360 test images as one message.
#
# **Range asymmetric numeral systems** (rANS) {cite:p}`duda2013` keep the whole message in a single integer $s$. Divide $M=2^{14}$ slots among the symbols in proportion to their probabilities: symbol $x$ owns $f_x$ slots from $c_x$ on. To push $x$,
#
# $$
# s \;\leftarrow\; M\,\Big\lfloor \frac{s}{f_x}\Big\rfloor + c_x + (s \bmod f_x) .
# $$ (eq-density-rans)
#
# Once $s\gg f_x$, the integer grows by a factor of about $M/f_x = 1/q(x)$, that is by $-\log_2 q(x)$ bits. To pop, look at the slot $s \bmod M$: it belongs to exactly one symbol, and the step can be undone. With $M=4$ slots, symbol 1 owning
# 0, 1, 2 and symbol 0 owning slot 3, pushing a 1 turns $s=5$ into $4\cdot1+0+2=6$, pushing a 0 turns it into $4\cdot5+3+0=23$; and 6 has slot $2$, a 1, and goes back to $3\cdot1+2-0=5$.
# The last symbol in is the first out, so the encoder goes *backwards*, and the decoder meets the pixels in the order that the model needs.

# %%
M = 1 << 14                                 # slots

def slots(q):  # q(1) -> slots of a one, never 0 or M
    return (q * M).round().long().clamp(1, M - 1).tolist()

def push(s, symbol, ones):  # ones: slots of symbol 1, which come first
    f, c = (ones, 0) if symbol else (M - ones, ones)
    return (s // f) * M + c + s % f

def pop(s, ones):
    slot = s % M
    symbol, f, c = (1, ones, 0) if slot < ones else (0, M - ones, ones)
    return f * (s // M) + slot - c, symbol

def in_order(model, x):  # x (n, 64) -> list of (symbol, slots of a one)
    stream = []
    for i in range(64):                     # pixel by pixel, all images at each
        ones = slots(conditional(model, i, x[:, :i]))
        stream += zip(x[:, i].int().tolist(), ones, strict=True)
    return stream

def encode(model, x):                       # x (n, 64) -> one integer
    s = 1
    for symbol, ones in reversed(in_order(model, x)):
        s = push(s, symbol, ones)
    return s

def decode(model, s, n):                    # one integer -> x (n, 64)
    x = torch.zeros(n, 64)
    for i in range(64):
        for j, ones in enumerate(slots(conditional(model, i, x[:, :i]))):
            s, x[j, i] = pop(s, ones)
    return x

message = encode(fvsbn, ink_test)
size = message.bit_length()

# %% tags=["hide-input"]
claim("density-codec-exact", "the 360 images come back, every pixel",
      bool((decode(fvsbn, message, 360) == ink_test).all()), True, by="lossless")
claim("density-codec-excess", "size of the message minus Σ −log2 q", size - ideal.sum(),
      by="range over other splits, 9.7 to 13.7", at_least=8.0, at_most=16.0,
      unit="bits", digits=3)
s, paid = 1, 0.0                            # ideal bits when s first reaches M
for symbol, ones in reversed(in_order(fvsbn, ink_test)):
    if s >= M:
        break
    s, paid = push(s, symbol, ones), paid - math.log2((ones if symbol else M - ones) / M)
claim("density-codec-start", "of them, before the integer first reaches M", math.log2(s) - paid,
      math.log2(message) - ideal.sum(), by="the whole excess", atol=0.5, unit="bits", digits=3)
single = [encode(fvsbn, image[None]).bit_length() for image in ink_test]
claim("density-codec-apart", "wrong: a fresh integer for each image wastes, per image",
      sum(single) / 360 - ideal.mean(), by="range over other splits, 10.8 to 11.3", at_least=10.5,
      at_most=11.7, unit="bits", digits=3)
claim("density-codec-bits", "size of the message", size, ideal.sum(),
      by="Σ −log2 q, within the excess above", atol=16.0, unit="bits")


# %% [markdown]
# {item}`X1.3` {value}`density-codec-bits:.0f` bits for 23 040 pixels. The general-purpose compressor LZMA receives them packed eight to a byte, image by image or pixel by pixel, alone or after the training images (not counted), whichever is best on the test images themselves ({numref}`fig-density-codec`).

# %% tags=["hide-input"]
def packed(x):                              # (n, 64) of 0/1 -> n * 8 bytes
    return np.packbits(x.numpy().astype(bool)).tobytes()

def lzma_size(x, before):                   # bytes that x adds to those before
    return len(lzma.compress(before + packed(x), preset=9)) - len(lzma.compress(before, preset=9))

lzma_bits = 8 * min(lzma_size(part, known) for part, y in ((ink_test, ink), (ink_test.T, ink.T))
                    for known in (b"", packed(y)))
without = pixel_bits(fvsbn, 1 - ink_test).sum(1).mean()
claim("density-lzma-bits", "LZMA, level 9", lzma_bits / 360,
      by="range over 12 other splits, 31.6 to 32.7", at_least=31.0, at_most=33.5,
      unit="bits per image")
claim("density-codec-below-alone", "our message, bits per image", size / 360,
      by="range over 12 other splits, 25.8 to 26.7", at_least=25.4, at_most=27.1,
      unit="bits per image")
claim("density-codec-mutant", "wrong: a model that is told the negatives needs", without,
      by="more than no model at all", at_least=64.0, unit="bits per image", digits=3)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-density-codec", "caption": "Left: bits per test image. Right: where they go, as the average of \u2212log2 q over test images, and for image A."}, "image": {"alt": "Horizontal bars, sixty-four for raw pixels, about half of that for LZMA, slightly more for independent pixels, shorter ones for ten tables and for the autoregressive ideal, and the actual codec, equal to the last to the eye. Two eight-by-eight heat maps with dark edges of the digits' strokes and blank outer columns."}}
fig, (bars, mean_map, one_map) = plt.subplots(
    1, 3, figsize=(7, 2.6), width_ratios=[1.9, 1, 1]
)
names = [
    "raw pixels",
    "LZMA",
    "independent (ideal)",
    "ten tables (ideal)",
    "autoregressive (ideal)",
    "rANS, decoded exactly",
]
lengths = [64.0, lzma_bits / 360, alone.mean(), ten_alone, ideal.mean(), size / 360]
bars.barh(
    names[::-1],
    lengths[::-1],
    color=[colors.model, colors.cycle[2]] + 4 * [colors.muted],
)
bars.set(xlabel="bits per image", xlim=(0, 70))
for y, length in enumerate(lengths[::-1]):
    bars.text(length + 1, y, f"{length:.1f}", va="center", fontsize=8)
for ax, images, title in (
    (mean_map, ink_test, "average"),
    (one_map, three[:1], "image A"),
):
    each = pixel_bits(fvsbn, images).mean(0)
    shown = ax.imshow(each.reshape(8, 8), cmap="magma_r", vmin=0)
    ax.set(title=title, xticks=[], yticks=[])
    fig.colorbar(
        shown,
        ax=ax,
        orientation="horizontal",
        label="bits",
        pad=0.05,
        aspect=12,
    )
    ax.spines[:].set_visible(True)
plt.show()


# %% [markdown]
# Three cautions:
#
# - The decoder must compute the *same* probabilities, to the last binary digit: both sides call `conditional` on arrays of the same shape, because another order of summation
# could move one slot and derail everything after it.
# - The small excess, {value}`density-codec-excess:.0f` bits in all, is the price of starting: while $s$ is small the floor in {eq}`eq-density-rans` makes pushes cost too much, and {value}`density-codec-start:.1f` of those bits, all but a fraction of one, arise before $s$ first reaches $M$. A fresh integer for every image would pay {value}`density-codec-apart:.0f` bits each time.
# - The comparison gives the model away for free: 2080 numbers
# at 16 bits are 33 280 bits, more than the message. A model pays for itself when there are many images, or when both sides learn it on the fly from the images already decoded.
#
# (sec-density-entropy-rate)=
# ### The limit: entropy rate
#
# For a sequence, the number that matters is the entropy *per symbol*, the **entropy rate**. Take two-state weather: from state 0 it switches with probability $a=0.1$, from state 1 with $b=0.3$. In the long run it is in state 0 for the fraction
# $\pi_0 = b/(a+b) = \tfrac34$ of the time. Each symbol costs the entropy of its transition,
#
# $$
# \begin{aligned}
# \bar H &= \pi_0\,H_2(a) + \pi_1\,H_2(b), \\
# H(x_{1:T}) &= H_2(\pi_1) + (T-1)\,\bar H ,
# \end{aligned}
# $$ (eq-density-rate)
#
# with $H_2(t) = -t\log t-(1-t)\log(1-t)$. Two checks: listing all $2^{20}$ sequences, and *learning* the chain with autoregressive models that see the last $k$ symbols.

# %%
def H2(t):                                  # entropy of a coin, nats
    return -t * math.log(t) - (1 - t) * math.log(1 - t)

switch = torch.tensor([0.1, 0.3])           # a, b
start = torch.tensor([0.75, 0.25])          # stationary
rate = 0.75 * H2(0.1) + 0.25 * H2(0.3)

def all_sequences(start, switch, T):        # (2**T,) log-probabilities
    step = torch.stack([1 - switch, switch], 1).log()
    step[1] = step[1].flip(0)               # (2, 2): [state, next state]
    log_p, last = start.log(), torch.tensor([0, 1])
    for _ in range(T - 1):                  # append a 0 and a 1 to each
        log_p = (log_p[:, None] + step[last]).reshape(-1)
        last = torch.tensor([0, 1]).repeat(len(last))
    return log_p

log_p = all_sequences(start, switch, 20)
claim("density-chain-entropy", "entropy of 20 symbols, over all 2^20 sequences",
      -(log_p.exp() * log_p).sum(), H2(0.25) + 19 * rate,
      by="closed form", atol=1e-9, unit="nats", digits=7)

def weather(n, T):  # (n, T) sequences of the stationary chain
    x = torch.zeros(n, T, dtype=torch.long)
    x[:, 0] = torch.rand(n, generator=gen) < 0.25
    for t in range(1, T):
        switches = torch.rand(n, generator=gen) < switch[x[:, t - 1]]
        x[:, t] = x[:, t - 1] ^ switches
    return x

def context_table(x, k):                    # log q(symbol | last k), (2^k, 2)
    T = x.shape[1]                          # x (n, T)
    code = torch.zeros(len(x), T - k, dtype=torch.long)
    for j in range(k):  # the latest symbol is the lowest bit
        code += x[:, k - 1 - j : T - 1 - j] << j
    gram = (2 * code + x[:, k:]).reshape(-1)
    counts = gram.bincount(minlength=2 ** (k + 1)).reshape(-1, 2) + 0.5
    return (counts / counts.sum(1, keepdim=True)).log()

history = weather(100, 200)                 # 20 000 symbols to learn from
expected_cost = []  # exact: -Σ p(gram) log q(last symbol | others)
for k in range(9):
    grams = all_sequences(start, switch, k + 1).exp().reshape(-1, 2)
    expected_cost.append(-(grams * context_table(history, k)).sum().item())

# %% tags=["hide-input"]
claim("density-rate", "learned with one symbol of context, expected cost per symbol",
      expected_cost[1], rate, atol=0.0005, by="entropy rate; excess of order 2 parameters / 2n",
      unit="nats")
claim("density-rate-blind", "wrong: without context, expected cost per symbol", expected_cost[0],
      H2(0.25), atol=0.001, by="entropy of one symbol, not the rate", unit="nats")
claim("density-rate-floor", "contexts of 1 to 8 symbols: smallest cost above the rate",
      min(expected_cost[1:]) - rate, by="no model beats the entropy rate", at_least=0.0,
      unit="nats", digits=2)
claim("density-rate-price", "8 symbols: cost above the rate, over 2^8 parameters / 2n",
      (expected_cost[8] - rate) * 2 * history[:, 8:].numel() / 2**8,
      by="formula p/2n; less, as rare contexts fill slowly", at_least=0.5, at_most=1.1, digits=2)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-density-rate", "caption": "Expected cost per symbol (cross-entropy) against the length of the context: it drops once, to the entropy rate (black), since the chain has a memory of one; the slow rise is the price of estimating ever larger tables."}, "image": {"alt": "Points at context lengths zero to eight. The first lies at fifty-six hundredths of a nat, the second at two fifths on a horizontal line, the following ones on or slightly above that line."}}
fig, ax = plt.subplots(figsize=(5.6, 2.7))
ax.axhline(rate, color=colors.truth, lw=1, label="entropy rate")
ax.axhline(H2(0.25), color=colors.muted, ls=":", label="entropy of one symbol")
ax.plot(range(9), expected_cost, "o", color=colors.model, label="learned table")
ax.set(xlabel="symbols of context $k$", ylabel="nats per symbol")
ax.legend()
plt.show()


# %% [markdown]
# {item}`X1.4` In {numref}`fig-density-rate` one symbol of context reaches the floor; a Markov chain has nothing more to tell.
#
# (sec-density-applications)=
# ## What a density is good for
#
# {item}`S1.11` Three uses, each with a named baseline. Compression is done: {value}`density-codec-below-alone:.1f` bits per image against LZMA's {value}`density-lzma-bits:.1f`.
#
# (sec-density-anomaly)=
# ### Anomaly detection
#
# An anomaly should be surprising, so score by $-\log q(x)$ and flag the highest. A score is judged by its **AUROC**, the probability that a random anomaly scores higher than a random normal image; a coin toss has ½. We damage test images by
# flipping $k$ random pixels. The baselines: the distance to the average digit, and independent pixels ({numref}`fig-density-anomaly`, left).

# %%
def auroc(normal, anomalous):  # scores (n,), (m,): higher means more anomalous
    a, b = anomalous[:, None], normal[None]
    return ((a > b).double() + 0.5 * (a == b).double()).mean().item()

def flip(x, k):                             # k random pixels of every image
    where = torch.rand(x.shape, generator=gen).argsort(1)[:, :k]
    return x.scatter(1, where, 1 - x.gather(1, where))

scores = {
    "autoregressive": lambda x: pixel_bits(fvsbn, x).sum(1),
    "independent pixels": lambda x: pixel_bits(independent, x).sum(1),
    "distance to the mean": lambda x: ((x - ink.mean(0)) ** 2).sum(1),
}
flips = (1, 2, 3, 5, 8)
damaged = {k: flip(ink_test, k) for k in flips}
table = {
    name: [auroc(score(ink_test), score(damaged[k])) for k in flips]
    for name, score in scores.items()
}

# %% tags=["hide-input"]
claim("density-anomaly-flips", "three flipped pixels: AUROC of the autoregressive score",
      table["autoregressive"][2], by="range over other splits and seeds, 0.926 to 0.953",
      at_least=0.915, at_most=0.965, digits=3)
ours = torch.tensor(table["autoregressive"])
theirs = torch.tensor(table["distance to the mean"])
claim("density-anomaly-gap", "AUROC gained over the distance to the mean, smallest over k",
      (ours - theirs).min(), by="the baseline", at_least=0.02, digits=2)

# %% [markdown]
# With three flips the autoregressive score has {value}`density-anomaly-flips:.2f`. A second test, **out-of-distribution detection**: leave one class out of training and validation, and look for it. The anomalies are digits too now. We use grey pixels, and average over the ten classes.

# %%
detectors = {
    "kernel estimate": lambda x, known, h: -kde_log_density(x, known, h),
    "Gaussian": lambda x, known, h: (
        -gaussian_log_density(x, known.mean(0), known.T.cov(correction=0))
    ),
    "distance to the mean": lambda x, known, h: (
        ((x - known.mean(0)) ** 2).sum(1)
    ),
}
left_out = {name: [] for name in detectors}
for c in range(10):
    known, unusual = train[data.train.y != c], data.test.y == c
    held_back = validation[data.validation.y != c]
    h_nine = widths[average(held_back, known, widths).argmax()]
    for name, score in detectors.items():
        surprise = score(test, known, h_nine)
        left_out[name].append(auroc(surprise[~unusual], surprise[unusual]))
mean_auroc = {name: sum(values) / 10 for name, values in left_out.items()}

# %% tags=["hide-input"]
claim("density-anomaly-kde", "a class never seen: AUROC of the kernel estimate, mean of ten",
      mean_auroc["kernel estimate"], by="range over other splits, 0.986 to 0.989", at_least=0.98,
      at_most=0.995, digits=3)
claim("density-anomaly-gauss", "the same with one Gaussian", mean_auroc["Gaussian"],
      by="range over other splits, 0.80 to 0.83", at_least=0.77, at_most=0.85, digits=3)
claim("density-anomaly-mean", "the same with the distance to the mean",
      mean_auroc["distance to the mean"], by="the kernel estimate, less 0.2",
      at_most=mean_auroc["kernel estimate"] - 0.2, digits=3)

# %% [markdown]
# The kernel estimate needs {value}`density-kde-bpd:.2f` bits per pixel where the Gaussian needs {value}`density-gauss-bpd:.2f`, and yet it is the better detector, AUROC {value}`density-anomaly-kde:.2f` against {value}`density-anomaly-gauss:.2f`. A better likelihood
# is not always a better detector. Worse: which image does the autoregressive model find *least* surprising? We search pixel by pixel, keeping the 500 cheapest beginnings (**beam search**; {numref}`fig-density-anomaly`, right).

# %%
# candidates (m, 64) and their bits so far (m,)
beam, cost = torch.zeros(1, 64), torch.zeros(1)
for i in range(64):
    q = conditional(fvsbn, i, beam[:, :i])
    both = torch.cat([cost - (1 - q).log2(), cost - q.log2()])
    beam = torch.cat([beam, beam])          # a 0, or a 1, at pixel i
    beam[len(q) :, i] = 1
    cost, best = both.topk(min(500, len(both)), largest=False)
    beam = beam[best]

# %% tags=["hide-input"]
mode, mode_bits = beam[0], cost[0].item()
real_bits = pixel_bits(fvsbn, ink_test).sum(1)
claim("density-mode", "the most probable image found", mode_bits, item="E1.6",
      by="range over 12 other splits, 13.1 to 14.0", at_least=12.8, at_most=14.4, unit="bits",
      digits=3)
claim("density-mode-least", "its bits minus those of the cheapest test image",
      mode_bits - real_bits.min(), item="E1.6", by="0 if a test image is the mode", at_least=-1.5,
      at_most=1e-9, unit="bits", digits=2)
claim("density-mode-auroc", "as an anomaly among test images, its AUROC",
      auroc(real_bits, torch.tensor([mode_bits])), 0.0, item="E1.6",
      by="every test image costs more", atol=1e-12, depends_on="split")
claim("density-mode-typical",
      "ten copies: standard errors by which their mean surprise is too small",
      (real_bits.mean() - mode_bits) / (real_bits.std() / math.sqrt(10)), item="E1.6",
      by="range over other splits, 6.4 to 7.3", at_least=5.7, at_most=7.9, digits=3)
claim("density-mode-never", "of 20 000 samples, those that are at most as surprising",
      (pixel_bits(fvsbn, drawn).sum(1) <= mode_bits).double().mean(), item="E1.6",
      by="the mode is not typical", at_most=0.01, digits=2)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-density-anomaly", "caption": "Left: AUROC against the number of flipped pixels. Right: surprise of test images and of damaged ones; arrow and inset: the least surprising image that was found."}, "image": {"alt": "Left, three rising curves, the autoregressive one highest and near one at five flips. Right, two overlapping histograms of bits per image, with an arrow to the left of both, at the cost of the image in the inset, a plain upright stroke."}}
fig, (left, right_) = plt.subplots(1, 2, figsize=(7, 2.7))
for (score_name, values), marker in zip(table.items(), "o^s", strict=True):
    left.plot(flips, values, marker + "-", label=score_name)
left.set(
    xlabel="flipped pixels $k$", ylabel="AUROC", ylim=(0.5, 1.02), xticks=flips
)
left.legend(fontsize=8, loc="lower right")
bins = torch.linspace(0, 90, 46).numpy()
right_.hist(
    real_bits.numpy(), bins, color=colors.data, alpha=0.8, label="test digits"
)
damaged_bits = pixel_bits(fvsbn, damaged[3]).sum(1)
right_.hist(
    damaged_bits.numpy(),
    bins,
    color=colors.bad,
    alpha=0.6,
    label="three pixels flipped",
)
right_.set(xlabel="$-\\log_2 q(x)$ (bits)", ylabel="images")
right_.legend(fontsize=8)
right_.annotate(
    "", (mode_bits, 0), (mode_bits, 22), arrowprops={"arrowstyle": "->"}
)
inset = right_.inset_axes([0.015, 0.56, 0.17, 0.34])
inset.imshow(mode.reshape(8, 8), vmin=0, vmax=1)
inset.set(xticks=[], yticks=[])
inset.spines[:].set_visible(True)
plt.show()


# %% [markdown]
# It looks like a numeral 1 and costs {value}`density-mode:.1f` bits; none of the 360 test images costs less (in other splits one of them can be this very image), and their average is {value}`density-ar-bits:.0f`. So it is with a coin that shows heads nine times in ten: the likeliest sequence of a hundred tosses is “always heads”, and its probability is $0.9^{100}\approx 3\cdot10^{-5}$. Imagine a scanner that is
# stuck and delivers this image again and again. A detector that asks “is the density low?” finds nothing. One that asks whether the average surprise of ten images is *as large as it should be* finds it too small by {value}`density-mode-typical:.0f` standard errors. {ref}`ch-generation` shows the same effect with a
# Gaussian, and that remedy, the **typicality test** {cite:p}`nalisnick2019,nalisnick2019typicality`. {cite:t}`lelan2021` show that even the true density does not escape: a change of variables, which changes nothing about the data, can reorder which points are dense.
#
# (sec-density-prior)=
# ### Inverse problems: a prior for damaged images
#
# In an **inverse problem** we observe $y = Ax + \sigma\varepsilon$ with $\varepsilon\sim\mathcal N(0,I)$: an image with noise, or blurred, or with its lower rows missing ($A$ keeps the rest). Many $x$ explain $y$. Bayes' rule weighs them by a density learned from clean digits, $p(x\mid y)\propto p(y\mid x)\,p(x)$, and the estimate with the least
# expected squared error is the posterior mean. With a mixture of Gaussians as the prior, $\sum_c w_c\,\mathcal N(\mu_c,\Sigma_c)$, it is exact:
#
# $$
# \begin{aligned}
# \mathbb E[x\mid y] &= \sum_c r_c(y)\,\big(\mu_c + G_c\,(y - A\mu_c)\big), \\
# G_c &= \Sigma_c A^\top\big(A\Sigma_c A^\top + \sigma^2 I\big)^{-1},
# \end{aligned}
# $$ (eq-density-posterior)
#
# where $r_c(y)\propto w_c\,\mathcal N(y;\,A\mu_c,\,A\Sigma_cA^\top+\sigma^2I)$ is the posterior probability of component $c$. If the images really came from a single Gaussian, the expected squared error would be
# $\operatorname{tr}(\Sigma - G A\Sigma)$, known before any image is seen.

# %%
def posterior_mean(y, A, sigma, prior):     # y (n, m), A (m, d) -> (n, d)
    w, mu, S = prior                        # (c,), (c, d), (c, d, d)
    C = A @ S @ A.T + sigma**2 * torch.eye(len(A))  # (c, m, m): covariance of y
    G = S @ A.T @ torch.linalg.inv(C)       # (c, d, m)
    residual = y[:, None] - mu @ A.T        # (n, c, m)
    means = mu + torch.einsum("cdm,ncm->ncd", G, residual)
    evidence = [gaussian_log_density(y, A @ mu[k], C[k]) for k in range(len(w))]
    r = torch.softmax(torch.stack(evidence, 1) + w.log(), 1)  # (n, c)
    return (r[..., None] * means).sum(1)

def fit_prior(x, y, ridge):                 # one Gaussian per value of y
    groups = [x[y == c] for c in y.unique()]
    w = torch.tensor([len(g) / len(x) for g in groups])
    mu = torch.stack([g.mean(0) for g in groups])
    S = torch.stack([g.T.cov(correction=0) for g in groups])
    return w, mu, S + ridge * torch.eye(x.shape[1])

def smoother(width):  # (64, 64): Gaussian average over neighbouring pixels
    r = torch.arange(8.0)
    line = torch.exp(-((r[:, None] - r) ** 2) / (2 * width**2))
    line = line / line.sum(1, keepdim=True)
    return torch.kron(line, line)

clean, labels = data.train.x, data.train.y  # levels 0..16
one = fit_prior(clean, torch.zeros_like(labels), 0.1)
eye = torch.eye(64)
tasks = {
    "noise": (eye, 4.0),
    "blur": (smoother(1.0), 1.0),
    "rows missing": (eye[:40], 1.0),
}

def observe(x, A, sigma):
    return x @ A.T + sigma * torch.randn(len(x), len(A), generator=gen)

def error(estimate, x):                     # (n,): mean squared error per pixel
    return ((estimate - x) ** 2).mean(1)


# %% tags=["hide-input"]
w, mu, S = one  # images drawn from the prior: is the formula exact?
S = S[0]
imagined = mu + torch.randn(4000, 64, generator=gen) @ torch.linalg.cholesky(S).T
found, expected = [], []
for A, sigma in tasks.values():
    y = observe(imagined, A, sigma)
    found.append(monte_carlo(error(posterior_mean(y, A, sigma, one), imagined)))
    G = S @ A.T @ torch.linalg.inv(A @ S @ A.T + sigma**2 * torch.eye(len(A)))
    expected.append(torch.trace(S - G @ A @ S) / 64)
found = torch.tensor(found)
claim("density-prior-exact", "images drawn from a Gaussian prior: error per pixel, three tasks",
      found[:, 0], torch.stack(expected), se=found[:, 1], by="closed form tr(Σ − GAΣ)/64", digits=3)


# %% [markdown]
# Now real test digits ({numref}`fig-density-prior`). The baselines: a **flat prior** (least squares, what the observation alone says) and a filter: smoothing for noise, **unsharp masking** ($y + \alpha(y - \text{blurred } y)$) for blur, the average digit for missing rows. The two learned priors: one Gaussian, and one per class of the labelled training digits, mixed.
# Filters and ridges (a multiple of $I$ added to each covariance) are tuned on validation images.

# %% tags=["hide-input"]
def filtered(task, y, setting):
    if task == "noise":
        return y @ smoother(setting).T
    if task == "blur":
        return y + setting * (y - y @ smoother(1.0).T)
    return torch.cat([y, clean.mean(0)[40:].expand(len(y), 24)], 1)

settings = {
    "noise": (0.4, 0.5, 0.6, 0.7, 0.8, 1.0),
    "blur": (0.0, 0.5, 1.0, 1.5, 2.0),
    "rows missing": (None,),
}
ridges, nobody = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0), torch.zeros_like(labels)
singles = {ridge: fit_prior(clean, nobody, ridge) for ridge in ridges}
priors = {ridge: fit_prior(clean, labels, ridge) for ridge in ridges}

def best_of(options):                       # option: estimate of validation images
    return min(options, key=lambda o: error(options[o], data.validation.x).mean())

restored, errors = {}, {}
for task, (A, sigma) in tasks.items():
    seen = observe(data.validation.x, A, sigma)
    tuned = best_of({o: filtered(task, seen, o) for o in settings[task]})
    single = best_of({o: posterior_mean(seen, A, sigma, singles[o]) for o in ridges})
    ridge = best_of({o: posterior_mean(seen, A, sigma, priors[o]) for o in ridges})
    y = observe(data.test.x, A, sigma)
    estimates = {
        "flat prior": y @ torch.linalg.pinv(A).T,
        "filter": filtered(task, y, tuned),
        "Gaussian prior": posterior_mean(y, A, sigma, singles[single]),
        "class mixture": posterior_mean(y, A, sigma, priors[ridge]),
    }
    restored[task] = (y @ A if len(A) < 64 else y, estimates)
    errors[task] = {name: error(x, data.test.x) for name, x in estimates.items()}

A = tasks["blur"][0]
flat = [errors["noise"]["flat prior"], errors["blur"]["flat prior"]]
claim("density-prior-flat", "flat prior: error per pixel for noise and blur",
      [f.mean() for f in flat], [16.0, torch.trace(torch.linalg.inv(A.T @ A)) / 64],
      se=[monte_carlo(f)[1] for f in flat], by="closed form σ² tr((AᵀA)⁻¹)/64", digits=3)
for task in tasks:
    e, word = errors[task], task.split()[0]
    for better, worse in (
        ("Gaussian prior", "filter"),
        ("class mixture", "Gaussian prior"),
    ):
        drop, se = monte_carlo(e[worse] - e[better])
        claim(f"density-prior-{word}-{better.split()[0].lower()}",
              f"{task}: error that the {better} saves on the {worse}", drop - 4 * se,
              by="paired, less 4 standard errors", at_least=0.0, digits=2)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-density-prior", "caption": "Restoring test digits. Above each estimate stands its mean squared error per pixel over all 360 test images (grey levels squared)."}, "image": {"alt": "Three rows, for noise, blur and missing rows, of six columns of two digits each, showing the truth, the observation, a flat-prior estimate that is noisy or garbage, a filtered one, a Gaussian estimate and a sharp and legible mixture estimate."}}
fig, panels = plt.subplots(3, 6, figsize=(7, 3.0))
for row, (task, (seen, estimates)) in zip(
    panels, restored.items(), strict=True
):
    columns = {"truth": data.test.x, "observed": seen, **estimates}
    for ax, (title, images) in zip(row, columns.items(), strict=True):
        image_grid(images[[2, 5]], ncols=2, ax=ax, vmin=0, vmax=16)
        e = errors[task][title].mean().item() if title in errors[task] else None
        label = "" if e is None else f"{e:.3g}" if e < 100 else f"{e:,.0f}"
        ax.set_title(
            (title + "\n" if task == "noise" else "") + label, fontsize=8
        )
    row[0].set_ylabel(task, fontsize=8)
plt.show()

# %% [markdown]
# With a flat prior, deblurring is hopeless: the inverse of the blur amplifies the noise until the error per pixel reaches tens of thousands, as $\sigma^2\operatorname{tr}\big((A^\top A)^{-1}\big)/64$ predicts. The prior knows nothing about *this* image; it says what images are like,
# and fills in rows that nobody observed. A wrong prior fills in wrongly, and its error bar warns of nothing: for one Gaussian, $\Sigma-GA\Sigma$ does not contain $y$.
#
# (sec-density-practice)=
# ## In practice
#
# :::{list-table} What to call on an array of your own, shape $(n,d)$, columns standardised
# :header-rows: 1
# :name: tab-density-practice
#
# * - data
#   - call
#   - settings
#   - sign that it fails
# * - continuous, $d\le5$; to rank anomalies also more
#   - `KernelDensity`
#   - `bandwidth` from 0.05 to 2 standard deviations by cross-validation, rows *shuffled*; least $n$: {numref}`fig-density-curse`
#   - best bandwidth at an end of the grid; held-out mean below one Gaussian's
# * - continuous, $d$ up to about 100
#   - `GaussianMixture`
#   - `n_components` and `covariance_type` on held-out data: `"full"` has $d^2/2$ numbers a component, `"diag"` $2d$
#   - training far above held-out; held-out that rises without end as `reg_covar` falls: the columns repeat values, treat them as counts
# * - counts, grey levels, categories
#   - a table of counts a column, then `HistGradientBoostingClassifier` for each column given those before
#   - ½ added to each count; `max_iter` on held-out data; one part in a hundred of the table mixed into each `predict_proba`
#   - more bits than the table
# :::
#
# In scikit-learn `score_samples` is the log density of each example in nats; compare its mean, since `score` is a sum for one of the two and a mean for the
# other. On the two hills the kernel estimate is the page's, and two components suffice. Rounded to halves, the same points show the mixture's second sign: eight components
# put needles on the repeated values, and a hundredfold smaller floor buys {value}`density-practice-sign:.1f` nats on *held-out* points.

# %%
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KernelDensity

hills, held_out = draw_hills(200), draw_hills(400)           # (n, 1)
folds = KFold(5, shuffle=True, random_state=0)
grid = {"bandwidth": np.geomspace(0.05, 2, 25)}
search = GridSearchCV(KernelDensity(), grid, cv=folds).fit(hills.numpy())
kernel = search.best_estimator_.score_samples(held_out)      # (400,) nats


def mixture_score(k, x, x_new, floor=1e-6):  # mean log density of x_new, nats
    model = GaussianMixture(k, reg_covar=floor, n_init=3, random_state=0)
    return model.fit(x).score_samples(x_new).mean()


by_size = [mixture_score(k, hills, held_out) for k in range(1, 6)]
halves, new_halves = (2 * hills).round() / 2, (2 * held_out).round() / 2
by_floor = [mixture_score(8, halves, new_halves, f) for f in (1e-4, 1e-6, 1e-8)]
print("kernel", kernel.mean().round(2), "by size", np.round(by_size, 2))
print("rounded, by floor", np.round(by_floor, 2))

# %% tags=["hide-input"]
chosen_h = search.best_params_["bandwidth"]
claim("density-practice-kde", "KernelDensity minus kde_log_density, largest on 400 points",
      np.abs(kernel - kde_log_density(held_out, hills, chosen_h).numpy()).max(),
      by="the same formula", at_most=1e-9, stable=False, unit="nats")
claim("density-practice-inside", "bandwidth by cross-validation, from 0.05 to 2", chosen_h,
      by="other seeds: inside the grid", at_least=0.1, at_most=0.6, digits=1)
claim("density-practice-size", "two components above one", by_size[1] - by_size[0],
      by="range over other seeds, 0.13 to 0.26", at_least=0.08, at_most=0.32, unit="nats", digits=1)
claim("density-practice-more", "the best of five above two", max(by_size) - by_size[1],
      by="range over other seeds, 0 to 0.006", at_least=0.0, at_most=0.02, unit="nats", digits=1)
claim("density-practice-sign", "rounded points: least gain for a hundredfold smaller floor",
      np.diff(by_floor).min(), by="range over 20 other seeds, 1.01 to 1.57; log 10 if all points were on needles", at_least=0.9,
      at_most=1.7, unit="nats", digits=1)

from sklearn.ensemble import HistGradientBoostingClassifier

level = data.train.x[:, 20].long()          # pixel 20 given the 20 before it, on grey levels
level_table = (level.bincount(minlength=17) + 0.5) / (len(level) + 8.5)
boost = HistGradientBoostingClassifier(random_state=0).fit(data.train.x[:, :20], level)

def boosted_bits(part):                     # (100,) after each round
    stages = []
    for q in boost.staged_predict_proba(part.x[:, :20]):
        mixed = 0.01 * level_table.repeat(len(q), 1)
        mixed[:, boost.classes_] += 0.99 * torch.from_numpy(q)
        stages.append(-mixed.gather(1, part.x[:, 20:21].long()).log2().mean())
    return torch.stack(stages)

table_bits = -level_table[data.test.x[:, 20].long()].log2().mean()
rounds, boosted = boosted_bits(data.validation).argmin(), boosted_bits(data.test)
claim("density-practice-boost", "pixel 20, boosting stopped on validation images: saved on the table",
      table_bits - boosted[rounds], by="range over other splits, 0.39 to 0.64", at_least=0.3, at_most=0.75,
      unit="bits", digits=2)
claim("density-practice-rounds", "wrong: all 100 rounds lose to the table, by", boosted[-1] - table_bits,
      by="range over other splits, 0.60 to 1.20", at_least=0.4, unit="bits", digits=2)


# %% [markdown]
# (sec-density-questions)=
# ## Questions
#
# {item}`S1.12`
#
# :::{exercise-start} The curse of dimensionality
# :label: q1-3
# :class: question
# :::
# {item}`Q1.3` How does the curse of dimensionality affect the different methods of density estimation?
# :::{exercise-end}
# :::
#
# :::{solution-start} q1-3
# :label: q1-3-solution
# :class: dropdown
# :::
# It depends on what the method leaves open.
#
# - **Kernels and histograms** assume only smoothness. The variance is of order $1/(nh^d)$ and the squared bias of order $h^4$ (histogram: $h^2$); balancing the two gives a mean squared error of order
#   $n^{-4/(4+d)}$ (histogram: $n^{-2/(2+d)}$). At $d=64$, halving a *small* error takes $2^{68/4}=2^{17}$ times as many examples; from 0.1, by {eq}`eq-density-mse`, even $2^{20}$. The cell below reads the exponent off the same formula at huge $n$.
# - **Parametric models** with $p$ free parameters cost about $p/(2n)$ nats of held-out log-likelihood, if the truth is in the family. The dimension enters only through $p$. For a Gaussian, $p=d+\tfrac12d(d+1)$, and the cell compares the formula with the exact expectation. What is not in the family stays as a bias, however large $n$.
# - **Autoregressive models** turn one problem in $d$ dimensions into $d$ problems in one, conditional on up to $d-1$ values. A table for the last factor alone has $2^{d-1}$ entries; sharing meets the curse (logistic regression: $d(d+1)/2$ parameters in all).
# - **Flows** pay no integral and no table, but must bend the whole space by an invertible map; targets with holes or separate parts require extreme stretching. **Latent-variable models** bend less and pay with an integral over $z$, which is only bounded.
# - **Distances between samples** suffer too: the Wasserstein distance $W_1$ between an empirical measure and its source, if that has a density, falls only like $n^{-1/d}$ for $d\ge3$.
#
# What rescues a method is low *effective* dimension: locality, symmetry, dependence on few factors.

# %%
def best_mse(n, d):  # smallest relative MSE at 0 over h; stable for tiny h
    def log_mse(log_h):
        h = math.exp(log_h)
        V = math.exp(-d * log_h - d / 2 * math.log(2 + h * h)) - (1 + h * h) ** -d
        B = math.expm1(-d / 2 * math.log1p(h * h))
        return math.log(V / n + B * B)

    guess = -math.log(n) / (4 + d)
    best = optimize.minimize_scalar(log_mse, bounds=(guess - 3, guess + 1),
                                    method="bounded", options={"xatol": 1e-9})
    return best.fun                         # log of the MSE

gain = [best_mse(1e41, d) - best_mse(1e40, d) for d in (1, 2, 4, 8)]
slopes = [g / math.log(10) for g in gain]
claim("density-kde-rate", "exponent of n in the kernel's error, d = 1, 2, 4, 8", slopes,
      [-4 / (4 + d) for d in (1, 2, 4, 8)], by="rate −4/(4+d)", rtol=0.01)
claim("density-kde-halving", "64 dimensions: log2 of the factor in n from an error of 0.1 to 0.05",
      math.log2(examples_needed(64, 0.05)[0] / examples_needed(64)[0]),
      by="asymptotic rate, 17; more at such errors", at_least=19.5, at_most=20.4, digits=3)

def expected_kl(n, d):  # E KL(N(0, I) ‖ N(μ̂, Σ̂)), exact: Wishart moments
    log_det = sum(special.digamma((n - i) / 2) for i in range(1, d + 1))
    log_det += d * math.log(2 / n)
    return 0.5 * (n * d / (n - d - 2) * (1 + 1 / n) - d + log_det)

draws = torch.randn(800, 500, 10, generator=gen)
m = draws.mean(1)
S = (draws - m[:, None]).mT @ (draws - m[:, None]) / 500
P = torch.linalg.inv(S)
quadratic = (m[:, None] @ P @ m[..., None])[:, 0, 0]
kls = 0.5 * (P.diagonal(dim1=1, dim2=2).sum(1) + quadratic - 10 + torch.logdet(S))
value, se = monte_carlo(kls)
parameters = 10 + 10 * 11 // 2
claim("density-parametric-exact", "Gaussian, d = 10, n = 500: mean KL of 800 fits", value,
      expected_kl(500, 10), se=se, by="Wishart moments", unit="nats", digits=3)
claim("density-parametric-rate", "n times the expected KL, n = 10 000 and d = 10",
      10_000 * expected_kl(10_000, 10), parameters / 2, by="p/2 with p = 65 parameters", rtol=0.01,
      unit="nats")


# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise-start} Autoregressive models of sequences
# :label: q1-4
# :class: question
# :::
# {item}`Q1.4` Discuss the advantages and disadvantages of autoregressive models for the density of sequential data.
# :::{exercise-end}
# :::
#
# :::{solution-start} q1-4
# :label: q1-4-solution
# :class: dropdown
# :::
# **For.** The factorisation {eq}`eq-density-ar` is exact, for any order; the likelihood is exact and normalised; all factors of a sequence can be trained at once, by maximum likelihood (teacher forcing); conditioning on the past is free; code lengths are real (the codec above); errors *add* in KL ({prf:ref}`thm-density-chain`).
#
# **Against.** Sampling is sequential: one call per symbol, while scoring takes one call for all.

# %%
class Counted(tuple):
    """A model that counts its calls: each one unpacks it once."""

    calls = 0

    def __iter__(self):
        self.calls += 1
        return super().__iter__()

scoring, sampling = Counted(fvsbn), Counted(fvsbn)
pixel_bits(scoring, ink_test)
sample(sampling, 5, gen)
claim("density-calls", "calls of the model: to score 360 images, to draw 5",
      [scoring.calls, sampling.calls], [1, 64], by="counting")

# %% [markdown]
# The **order** is a choice, free for the truth but not for a model family. Let a hidden cause $z$ be a fair coin and five effects agree with it with probability 0.8, independently. With $z$ first, each effect needs only $z$, which a logistic regression expresses exactly. With $z$ last, the effects come as a mixture, whose conditionals are *not* logistic.
# The dataset below contains each string exactly in proportion to its probability, so the fit is the family's optimum and the gap is a true KL. On the digits we refit in five orders; the worst costs only {value}`density-order-digits:.1f` bits per image more than the best.

# %%
# all (64, 6) strings of z and five effects; each 4^k times, as 0.8^k 0.2^(5-k)
strings = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 6)
agreeing = (strings[:, 1:] == strings[:, :1]).sum(1)
population = strings.repeat_interleave(4**agreeing, 0)  # (6250, 6)
entropy_bits = 1 + 5 * H2(0.2) / math.log(2)

def excess(order):                          # KL from the truth to the best fit
    x = population[:, order]
    return pixel_bits(fit_fvsbn(x, 1e-3), x).sum(1).mean() - entropy_bits

claim("density-order-first", "cause first: KL from the truth to the best model",
      excess([0, 1, 2, 3, 4, 5]), 0.0, by="the truth is in the family", atol=1e-5, unit="bits",
      stable=False)
claim("density-order-last", "cause last: KL from the truth to the best model",
      excess([1, 2, 3, 4, 5, 0]), by="it is not", at_least=0.001, unit="bits", digits=3)

raster = torch.arange(64)
checker = (raster // 8 + raster % 8) % 2
orders = {
    "rows": raster,
    "rows, from the end": raster.flip(0),
    "columns": raster.reshape(8, 8).T.reshape(-1),
    "checkerboard": checker.argsort(stable=True),
    "random": torch.randperm(64, generator=gen),
}
costs = {}
for order, o in orders.items():
    refit = fit_fvsbn(ink[:, o], penalty)
    costs[order] = pixel_bits(refit, ink_test[:, o]).sum(1).mean()
spread = max(costs.values()) - min(costs.values())
claim("density-order-digits",
      "digits: bits per image between the best and the worst of five orders", spread,
      by="range over other splits and seeds, 0.06 to 0.24", at_least=0.03, at_most=0.3,
      unit="bits", digits=2)

# %% [markdown]
# **Exposure bias.** In training, prefixes come from the data; in sampling, from the model. How much harm can that do? If each step costs a conditional KL of $\varepsilon$ on average, the chain rule gives $\mathrm{KL}=T\varepsilon$ for the whole sequence: linear, with no explosion. But a classifier that looks at whole *sequences* sees the **total variation** distance, the best possible advantage in telling the two apart. By Pinsker's inequality it is at most $\sqrt{T\varepsilon/2}$, and when
# the log-likelihood ratio is nearly Gaussian it follows $\mathrm{TV}\approx\operatorname{erf}\big(\tfrac12\sqrt{T\varepsilon}\big)$: growth like $\sqrt T$, then saturation at one. So a small error per step becomes visible after about $1/\varepsilon$ steps. We compute it exactly: for the chain of {eq}`eq-density-rate` with $a$ misjudged, by listing all sequences; and for a chain with $a=b$, where only the number of switches matters, up to 100 000 steps ({numref}`fig-density-exposure`).

# %%
guess = torch.tensor([0.12, 0.30])          # the model misjudges a = 0.1
# ε, nats per step
step_kl = 0.75 * (0.1 * math.log(0.1 / 0.12) + 0.9 * math.log(0.9 / 0.88))
lengths = torch.arange(2, 19)
kls, tvs = [], []
for T in lengths.tolist():
    lp, lq = all_sequences(start, switch, T), all_sequences(start, guess, T)
    kls.append((lp.exp() * (lp - lq)).sum())
    tvs.append(0.5 * (lp.exp() - lq.exp()).abs().sum())
kls, tvs = torch.stack(kls), torch.stack(tvs)
claim("density-exposure-kl", "KL of sequences of 2 to 18 steps", kls, (lengths - 1.0) * step_kl,
      by="chain rule: (T − 1) ε", atol=1e-12, unit="nats")
claim("density-exposure-pinsker", "largest TV / sqrt(KL/2)", (tvs / (kls / 2).sqrt()).max(),
      by="Pinsker's inequality", at_most=1.0)

# steps T; switches ~ Binomial(T, 0.1), model: 0.105
long = torch.logspace(1, 5, 25).round().long()
flip_kl = 0.1 * math.log(0.1 / 0.105) + 0.9 * math.log(0.9 / 0.895)

def switches(T, a):  # probabilities of 0, 1, ... T switches
    return torch.from_numpy(stats.binom.pmf(range(T + 1), T, a))

flip_tv = torch.stack([0.5 * (switches(T, 0.1) - switches(T, 0.105)).abs().sum()
                       for T in long.tolist()])
limit_tv = torch.erf(0.5 * (long * flip_kl).sqrt())
many = long >= 300
first, last = (long >= 300).int().argmax(), (long >= 3000).int().argmax()
slope = (flip_tv[last] / flip_tv[first]).log() / (long[last] / long[first]).log()
claim("density-exposure-law", "TV after 300 to 100 000 steps, over the formula erf(½ sqrt(T ε))",
      flip_tv[many] / limit_tv[many], torch.ones(int(many.sum())), by="central limit theorem", atol=0.03)
claim("density-exposure-slope", "exponent of T in the TV, 300 to 3000 steps", slope, 0.5,
      by="square-root law", atol=0.06)
claim("density-exposure-mutant", "wrong: growth proportional to T would give, at 3000 steps, TV",
      flip_tv[first] * long[last] / long[first], by="impossible: a TV is at most 1", at_least=1.0)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-density-exposure", "caption": "A small error per step, seen over whole sequences: exact total variation (dots), the square-root law (line) and the bound of Pinsker (dashed)."}, "image": {"alt": "Log-log plot of total variation against the number of steps from ten to one hundred thousand. Dots follow a line of slope one half that bends to a plateau at one, below a dashed straight line."}}
fig, ax = plt.subplots(figsize=(5.4, 2.9))
ax.loglog(
    long,
    flip_tv,
    "o",
    color=colors.model,
    label="exact (switches, 0.105 for 0.1)",
)
ax.loglog(
    long,
    limit_tv,
    color=colors.truth,
    lw=1,
    label=r"erf$\left(\frac{1}{2}\sqrt{T\varepsilon}\right)$",
)
ax.loglog(
    long,
    (long * flip_kl / 2).sqrt(),
    "--",
    color=colors.muted,
    label=r"$\sqrt{T\varepsilon/2}$",
)
ax.set(xlabel="steps $T$", ylabel="total variation", ylim=(0.01, 2))
ax.legend()
plt.show()

# %% [markdown]
# Further against: most bits, and so most of the likelihood, are spent on local detail; there is no global latent variable to use as a representation ({ref}`ch-representation`); filling a gap in the *middle* requires conditioning on the future, which the factorisation does not offer; and attention over the whole past costs operations quadratic in its length. **Scheduled sampling** {cite:p}`bengio2015` trains on the model's own prefixes against exposure bias,
# and its objective is no longer a likelihood: see the wrong sum after {prf:ref}`thm-density-chain`.
# :::{solution-end}
# :::
#
# ## Exercises
#
# ### To practise
#
# :::{exercise-start} Hours and minutes
# :label: practice-density-units
# :class: question
# :::
# The waiting time for a bus has the density $p(t)=2e^{-2t}$, $t$ in hours. What is the density per *minute* of a wait of 30 minutes? By how many nats does
# the negative log-likelihood of the same waits change when minutes replace hours?
# :::{exercise-end}
# :::
#
# :::{solution-start} practice-density-units
# :label: practice-density-units-solution
# :class: dropdown
# :::
# The probability of a short stretch is the same in both units, so $p_{\min}=p_{\text{hour}}/60=2e^{-1}/60$ per minute. Every wait's NLL
# grows by $\log60$, whatever the model. SciPy agrees: a mean of half an hour is a mean of 30 minutes.

# %%
per_minute = 2 * math.exp(-2 * 0.5) / 60
print(per_minute, stats.expon(scale=30).pdf(30))


# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise-start} From memory
# :label: practice-density-kde
# :class: question
# :::
# Close the page and write the kernel estimate of one-dimensional data in four lines: points `t` $(m,)$, examples `x` $(n,)$, bandwidth `h`, result the log
# density $(m,)$. Check it against `scipy.stats.gaussian_kde`, whose `bw_method` is the bandwidth divided by the examples' standard deviation (with $n-1$).
# :::{exercise-end}
# :::
#
# :::{solution-start} practice-density-kde
# :label: practice-density-kde-solution
# :class: dropdown
# :::

# %%
def log_kde(t, x, h):  # (m,), (n,), h -> (m,) nats
    z = (t[:, None] - x) / h
    log_kernel = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
    return torch.logsumexp(log_kernel, 1) - math.log(len(x) * h)


one_d, at = hills[:, 0], torch.linspace(-3, 4, 50)
scipys = stats.gaussian_kde(one_d, bw_method=0.3 / float(one_d.std()))
difference = log_kde(at, one_d, 0.3).numpy() - scipys.logpdf(at)
print("equal" if np.abs(difference).max() < 1e-9 else "different")

# %% [markdown]
# :::{solution-end}
# :::
#
# ### From the bank
#
# :::{bank} density-kde
# :::
#
# :::{bank} density-loo
# :::
#
# :::{bank} density-logit
# :::
#
# :::{bank} density-rans
# :::
#
# :::{bank} density-rate
# :::
#
# :::{bank} density-posterior
# :::
#
# :::{bank} density-explain-floor
# :::
#
# ## What to read next
#
# {cite:t}`silverman1986` is a short and clear book on kernel estimates; {cite:t}`bishop2006`, chapter 2, has maximum likelihood and non-parametric densities side by side; {cite:t}`cover2006`, chapters 2 to 5, entropy, the chain rules and source coding with proofs. For autoregressive models, read {cite:t}`larochelle2011`, {cite:t}`germain2015` and {cite:t}`vandenoord2016` in that order.
#
# In this book: {ref}`ch-generation` samples where this page scores; {ref}`ch-representation` asks for features instead; {ref}`ch-at-work` puts the three objectives into one design.
