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
# (ch-finite-data)=
# # Finite data in high dimension
#
# After this page you will be able to
#
# - split the error of a fitted model into what the family, the sample and the optimiser each contribute;
# - estimate how much probability your data have never visited;
# - compute where the volume, the mass and the density of a high-dimensional distribution lie, and say which of the three
#   statements is about your data;
# - estimate along how many dimensions your data vary;
# - say what structure buys, in nats per parameter, and what it costs when it is wrong.

# %% tags=["hide-input"]
import itertools
import math
from collections import Counter

import matplotlib.pyplot as plt
import torch
from scipy import stats

from genkit.claims import claim, monte_carlo, self_check
from genkit.data import binarise, digits
from genkit.divergences import kl_discrete
from genkit.plot import colors, image_grid, style
from genkit.train import seed_everything

style()
gen = seed_everything(0)
torch.set_default_dtype(torch.float64)
data = digits()  # levels 0..16, 8×8 pixels: 1077 / 360 / 360 images


# %% [markdown]
# ## The goal, drawn to scale
#
# {item}`S0.2` Some process, nature or people writing digits, draws examples from a distribution $p_{\text{data}}$ that nobody
# will ever write down. Learning means choosing, from a family of distributions $\{p_\theta\}$ that we *can* write down, one that is
# close. If it is close enough we can do with it what we would have done with the distribution itself: draw new examples
# ({ref}`ch-generation`), notice odd ones ({ref}`ch-density`), find the few quantities that matter
# ({ref}`ch-representation`), and infer what we do not see from what we do, as further down on this page.
#
# {item}`S0.1` Lectures draw this as a cloud, a blob and an arrow. With three outcomes the picture can be exact. A distribution on
# $\{0,1,2\}$ is a point of a triangle, whose corners are those that always give the same outcome. Let the data follow
# $p=(0.45, 0.15, 0.40)$ and let the family be the number of heads in two tosses of one coin,
#
# $$
# p_\theta = \bigl((1-\theta)^2,\; 2\theta(1-\theta),\; \theta^2\bigr), \qquad 0<\theta<1,
# $$ (eq-finite-data-coin)
#
# a curve in the triangle ({numref}`fig-finite-data-simplex`). No coin gives $p$: its two tosses agree in 85 cases of
# 100, and on heads nearly as often as on tails, which independent tosses cannot do. What is the best coin?

# %%
def coin(theta):
    """Probabilities of 0, 1, 2 heads in two tosses: (...,) -> (..., 3)"""
    tails = 1 - theta
    return torch.stack([tails**2, 2 * theta * tails, theta**2], -1)


p = torch.tensor([0.45, 0.15, 0.40])  # the data
theta_star = (p @ torch.arange(3.0)) / 2  # heads per toss under p

n = 30  # a small sample of it
counts = torch.bincount(
    torch.multinomial(p, n, replacement=True, generator=gen), minlength=3
)
p_hat = counts / n
theta_hat = (p_hat @ torch.arange(3.0)) / 2  # heads per toss in the sample


# %% [markdown]
# Nothing here needs chance: a sample enters its estimate only through its number of heads, whose distribution is a convolution. So every mean over samples on the
# right of the figure is exact.

# %%
def all_samples(n):
    """Probabilities of 1 ... 2n - 1 heads in n examples, and each one's θ̂"""
    heads, kernel = torch.ones(1), p.flip(0)[None, None]
    for _ in range(n):
        heads = torch.nn.functional.conv1d(heads[None], kernel, padding=2)[0]
    return heads[1:-1] / heads[1:-1].sum(), torch.arange(1, 2 * n) / (2 * n)


# %% tags=["hide-input"]
thetas = torch.linspace(1e-4, 1 - 1e-4, 20001)
fixed = p.expand(len(thetas), 3)
forward = thetas[kl_discrete(fixed, coin(thetas)).argmin()]
reverse = thetas[kl_discrete(coin(thetas), fixed).argmin()]
variation = thetas[(coin(thetas) - p).abs().sum(1).argmin()]
claim("finite-data-projection", "θ that minimises KL(p‖p_θ), searched on a grid", forward,
      theta_star, by="heads per toss under p", atol=1e-4)
claim("finite-data-best-differs",
      "θ that minimises KL(p_θ‖p), and θ that minimises total variation",
      torch.stack([reverse, variation]), torch.tensor([0.4, 1 - 0.45**0.5]),
      by="derivative -1.2 log 0.8 + 0.4 log 3.2 + 0.8 log 0.4 = 0 at 0.4; p_θ(0) = p(0)", atol=1e-4)


# %% mystnb={"figure": {"name": "fig-finite-data-simplex", "caption": "Left: the triangle of all distributions on three outcomes, the family of coins, the distribution of the data, a sample of thirty, and three best coins. Right: the mean error of maximum likelihood against the sample size falls towards the family's own error and no further."}, "image": {"alt": "Left, a triangle with corners 0, 1 and 2 and a curve from corner 0 to corner 2 that bulges towards corner 1; the data distribution lies below the curve, the sample beside it, and three marks on the curve are the coins chosen by forward divergence, reverse divergence and total variation. Right, on logarithmic axes, a falling curve of total error that flattens out on a dashed floor, with the estimation error as a straight falling line."}} tags=["hide-input"]
def place(q):
    """Corners 0, 1, 2 at (0, 0), (1/2, √3/2), (1, 0): (..., 3) -> x, y"""
    return q[..., 2] + q[..., 1] / 2, q[..., 1] * 3**0.5 / 2


def estimation_error(n):
    """Exact mean of KL(p_θ*‖p_θ̂) over samples of n with 0 < θ̂ < 1."""
    share, fits = all_samples(n)
    return share @ kl_discrete(coin(theta_star).expand(len(fits), 3), coin(fits))


sizes = [10, 20, 50, 100, 200, 500]
estimation = torch.stack([estimation_error(k) for k in sizes])
approximation = kl_discrete(p, coin(theta_star))

_, (left, right) = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
left.plot(*place(torch.eye(3)[[0, 1, 2, 0]]), color=colors.muted, lw=1)
left.plot(*place(coin(thetas)), color=colors.model, label="coins $p_\\theta$")
left.plot(*place(p), "o", color=colors.truth, label="data $p$")
left.plot(*place(p_hat), "x", color=colors.truth, label="sample of 30")
for mark, name, theta in (("^", "KL$(p\\Vert p_\\theta)$", forward), ("s", "KL$(p_\\theta\\Vert p)$", reverse),
                          ("v", "total variation", variation)):
    left.plot(*place(coin(theta)), mark, color=colors.bad, ms=5, label=f"best by {name}")
for k, (dx, dy) in enumerate([(-0.06, -0.03), (0, 0.04), (0.06, -0.03)]):
    x, y = place(torch.eye(3)[k])
    left.text(x + dx, y + dy, str(k), ha="center", va="center")
left.set(xlim=(-0.1, 1.1), ylim=(-0.08, 1.32), aspect="equal")
left.legend(fontsize=7, loc="upper left", frameon=False, ncols=2, columnspacing=0.8)
left.axis("off")
right.loglog(sizes, approximation + estimation, "o-", color=colors.model, label="whole error")
right.loglog(sizes, estimation, "o-", color=colors.cycle[2], label="from the sample")
right.axhline(approximation, ls="--", color=colors.truth, label="from the family")
right.set(xlabel="sample size $n$", ylabel="divergence (nats)")
right.legend()
plt.show()

# %% [markdown]
# {item}`S0.5` "Best" is not a property of $p$ and the family alone: {numref}`fig-finite-data-simplex` shows three coins, each best by a respectable
# measure of distance. As long as the truth lies outside the family, **the objective decides what is learned**, and choosing it is the
# subject of {ref}`ch-divergences`. For now take the forward divergence $\mathrm{KL}(p\,\Vert\,p_\theta)$, whose minimiser over the sample is
# maximum likelihood.
#
# {item}`S0.3` Two things stand between us and $p$: finite data, and a finite computer, which holds a limited model and fits it for a limited time. Each has its
# own term: the family's **approximation error**, the sample's **estimation error** and the **optimisation error**.
#
# :::{prf:theorem} The family's error and the rest
# :label: thm-finite-data-split
# Let $p_\eta(x)=h(x)\,e^{\eta\cdot T(x)-A(\eta)}$ be an exponential family, $\eta$ ranging over an open set (for the coins $T$ is the number of heads and
# $\eta\in\mathbb R$ the log odds), and $\mathbb E_p\lVert T\rVert<\infty$. Let $\eta^*$ minimise $\mathrm{KL}(p\,\Vert\,p_\eta)$, finite there, and let $\eta$ be
# any other parameter, wherever it came from. Then
#
# $$
# \mathrm{KL}(p\,\Vert\,p_{\eta})
# =\underbrace{\mathrm{KL}(p\,\Vert\,p_{\eta^*})}_{\text{the family's}}
# +\;\mathrm{KL}(p_{\eta^*}\,\Vert\,p_{\eta}) .
# $$ (eq-finite-data-split)
# :::
#
# :::{prf:proof}
# Let $g=\log p_{\eta^*}-\log p_{\eta}$. The left side minus the first term on the right is $\mathbb E_p[g]$; the second term is
# $\mathbb E_{p_{\eta^*}}[g]$. Here $h$ cancels, so that $g(x)=a\cdot T(x)+b$ with constants $a,b$. At a minimum in an open set the gradient vanishes, which
# says $\mathbb E_p[T]=\mathbb E_{p_{\eta^*}}[T]$ (proved in {ref}`ch-divergences`). So the two expectations are equal. (On a curve through the $\eta$, such as
# $\mathcal N(t,t^2)$, only the derivative along the curve vanishes, and there is no such split.)
# :::
#
# Take for $\theta$ the maximum-likelihood estimate $\hat\theta$ of $n$ examples. The first term does not shrink with $n$. The second does: to second
# order it is $\tfrac12(\bar T-\mathbb E_p[T])^2/\operatorname{Var}_{p_{\theta^*}}(T)$, where $T$ is the number of heads and $\bar T$ its mean over the
# sample. Its expectation is therefore
#
# $$
# \frac{1}{2n}\,\frac{\operatorname{Var}_p(T)}{\operatorname{Var}_{p_{\theta^*}}(T)} .
# $$ (eq-finite-data-sample)
#
# (Strictly: given $0<\hat\theta<1$. A sample of zeros only or of twos only, of probability $0.45^n+0.40^n$, would cost an infinite divergence.)
# If the truth is in the family the ratio is one, and the parameter costs $1/2n$ nats: remember that figure for the end of the page.

# %% tags=["hide-input"]
best, other = coin(theta_star), coin(torch.tensor([[theta_hat], [0.25]]))[:, 0]
claim("finite-data-pythagoras", "KL(p‖p_θ) for the coin of the thirty examples, and for θ = 1/4",
      kl_discrete(p.expand(2, 3), other), approximation + kl_discrete(best.expand(2, 3), other),
      by="the family's term plus KL(p_θ*‖p_θ)", rtol=1e-9, unit="nats")
outcomes = torch.arange(3.0)
var_p = p @ outcomes**2 - (p @ outcomes) ** 2
claim("finite-data-sample-term", "2n × mean error that a sample of n = 500 adds, all counts of heads but none and all",
      2 * 500 * estimation[-1], var_p / (2 * theta_star * (1 - theta_star)),
      item="S0.3", by="ratio of variances, up to 1/n", rtol=0.01)
claim("finite-data-floor", "the family's term, which no sample can remove", approximation,
      (p * p.log()).sum() - 0.15 * math.log(2) - 0.95 * math.log(0.475) - 1.05 * math.log(0.525),
      by="-H(p) - 0.15 log 2 - 0.95 log θ* - 1.05 log(1 - θ*) by hand", atol=1e-9, unit="nats")

# %% [markdown]
# The split belongs to this direction of the divergence. With all arguments swapped, and the best coin chosen so, the two sides differ:

# %% tags=["hide-input"]
swapped = coin(torch.tensor(0.4))  # minimises KL(p_θ‖p)
claim("finite-data-pythagoras-swapped",
      "θ = 1/4, all divergences the other way round: left side minus right side",
      kl_discrete(other[1], p) - kl_discrete(swapped, p) - kl_discrete(other[1], swapped),
      0.2025 * math.log(0.8) - 0.105 * math.log(3.2) - 0.0975 * math.log(0.4),
      by="Σ (p_θ - q) log(q/p) by hand, q the coin of 0.4", rtol=1e-9, unit="nats")


# %% [markdown]
# In any other family, a network's say, the sample's part is $\mathrm{KL}(p\,\Vert\,p_{\hat\theta})-\mathrm{KL}(p\,\Vert\,p_{\theta^*})\ge0$, though in
# general no divergence.
#
# And the optimiser? It stops at some $\tilde\theta$, on its way to $\hat\theta$. Its part is what that changes,
#
# $$
# \mathrm{KL}(p\,\Vert\,p_{\tilde\theta})-\mathrm{KL}(p\,\Vert\,p_{\hat\theta}),
# $$ (eq-finite-data-optimiser)
#
# and it is the only one of the three that can be *negative*: the path towards the sample's optimum may pass nearer to $\theta^*$ than where it ends. In
# the cell, gradient ascent climbs the mean log-likelihood of an example, $2\hat\theta\eta-2\log(1+e^\eta)$ up to a constant, in the log odds $\eta$ of a
# head, for all samples of thirty at once ({numref}`fig-finite-data-stop`).

# %%
def climb(theta_hat, steps, start, rate=0.5):
    """θ after these gradient steps on the log odds, for each θ̂ (k,)"""
    eta = torch.full_like(theta_hat, start).logit()
    for _ in range(steps):
        eta = eta + rate * 2 * (theta_hat - torch.sigmoid(eta))
    return torch.sigmoid(eta)


share, fits = all_samples(30)


def mean_error(theta):
    """Mean of KL(p‖p_θ) over all samples, a θ for each: (59,) -> number"""
    return share @ kl_discrete(p.expand(len(theta), 3), coin(theta))


paths = {
    start: torch.stack([mean_error(climb(fits, k, start)) for k in range(81)])
    for start in (0.4, 0.35, 0.25, 0.1)
}

# %% mystnb={"figure": {"name": "fig-finite-data-stop", "caption": "Mean error over all samples of thirty against the steps of the optimiser, from two starts. Before it settles at the error of maximum likelihood it lies below: by much from a start near the best coin, by little from afar."}, "image": {"alt": "Two curves against the number of steps, over a dashed floor. The one that starts at a quarter falls from far above, dips slightly under a dotted line at step nine and rises to it; the one that starts at 0.4 begins just under the dotted line, dips to half way between it and the floor, and rises to it."}} tags=["hide-input"]
_, ax = plt.subplots(figsize=(6, 2.8))
for start, colour in ((0.25, colors.model), (0.4, colors.bad)):
    path = paths[start]
    ax.plot(range(31), path[:31], "o-", ms=3, color=colour, label=f"start at $\\theta={start}$")
ax.axhline(mean_error(fits), ls=":", color=colors.truth, label="maximum likelihood")
ax.axhline(approximation, ls="--", color=colors.truth, label="the family's part")
ax.set(xlabel="steps of the optimiser", ylabel="mean divergence (nats)", ylim=(0.26, 0.36))
ax.legend(ncols=2, fontsize=8)
plt.show()

# %% tags=["hide-input"]
of_sample = mean_error(fits) - approximation
part = {start: (path - mean_error(fits)) / of_sample for start, path in paths.items()}  # optimiser's over sample's
v = var_p / 30 / (2 * theta_star * (1 - theta_star)) ** 2
formula = {start: v / (v + (theta_star.logit() - torch.tensor(start).logit()) ** 2) for start in paths}
claim("finite-data-optimiser-best", "optimiser's part over the sample's at the best step, starts at 0.4 and 0.35",
      torch.stack([part[0.4].min(), part[0.35].min()]), -torch.stack([formula[0.4], formula[0.35]]),
      item="S0.3", by="second order: -v/(v + b²), v the variance of θ̂, b the distance of the start from θ*, in log odds", rtol=0.05, digits=2)
claim("finite-data-optimiser-far", "share gained at the best step from 0.1", -part[0.1].min().round(decimals=4), 0.0, item="S0.3",
      by=f"nothing, where second order would have {formula[0.1]:.3f}", atol=1e-3)
claim("finite-data-optimiser-done", "the part after 80 steps, start at 1/4 and at 0.4",
      torch.stack([part[0.25][80], part[0.4][80]]).round(decimals=5), torch.zeros(2), item="S0.3", by="converged", atol=1e-5)


# %% [markdown]
# How much **early stopping** gains is a matter of where the climb starts. Let $b$ be the distance from the start to $\theta^*$ and $v$ the variance of $\hat\theta$, both
# in log odds. After a share $s$ of the way the mean squared error is $(1-s)^2b^2+s^2v$; its minimum over $s$ is $vb^2/(v+b^2)$, so that a share $v/(v+b^2)$ of the sample's
# part is saved. That is second order: it holds for near starts, and from $\theta=0.1$ nothing is gained at all. The start acts as a prior belief. When to stop must be read off a validation set;
# {ref}`ch-optimisation` follows optimisers in earnest.
#
# {item}`S0.6` The words, for reference:
#
# :::{list-table}
# :header-rows: 1
# * - Term
#   - Meaning
# * - data distribution $p_{\text{data}}$
#   - the distribution that the examples were drawn from; known only through them
# * - generative model $p_\theta$
#   - a distribution with parameters $\theta$ that we can evaluate, sample or both
# * - curse of dimensionality
#   - whatever grows exponentially with the number $d$ of variables: states, cells, and the examples that methods without structure need
# :::
#
# ## Ten million examples are nothing, and enough
#
# {item}`S0.4` An image of 784 black or white pixels has $2^{784}$ states, a number with 237 digits. Ten million examples
# cover less than $10^{-229}$ of them. Seen as a table with one entry per image, the data fill nothing. Sound and language are no better: a second of
# audio, 16 000 samples of 8 bits, has $2^{128\,000}$ states, and a hundred words out of ten thousand can be put in a row in $10^{400}$ ways.
#
# The digits of this book let us watch that emptiness come. Cut a square of $k\times k$ pixels from the middle of each binarised digit. For $k\le2$ the
# training set has seen every square of the test set; for $k=8$ hardly any test image has occurred before ({numref}`fig-finite-data-seen`).
#
# How much probability have your data *not* seen? It sounds like a question that the data cannot answer, and yet they do. Let $n_1$ be the number of
# outcomes that occur exactly once among $n$ draws. The **Good–Turing estimate** of the unseen mass is $n_1/n$ {cite:p}`good1953`.
#
# :::{prf:theorem} Good and Turing
# :label: thm-finite-data-good-turing
# Let $M_n=\sum_x p(x)\,[x\text{ not among }x_1,\dots,x_n]$. Then $\mathbb E[n_1]/n=\mathbb E[M_{n-1}]$.
# :::
#
# :::{prf:proof}
# $\mathbb E[n_1]=\sum_x n\,p(x)(1-p(x))^{n-1}$, and $\mathbb E[M_{n-1}]=\sum_x p(x)(1-p(x))^{n-1}$.
# :::
#
# In words: $n_1$ counts the draws that are unlike all others, and each draw is unlike the $n-1$ others with the probability that an outcome is new after
# $n-1$ draws.

# %%
def good_turing(outcomes):
    """Estimated mass of the unseen: list of n outcomes -> number"""
    counts = Counter(outcomes)
    return sum(c == 1 for c in counts.values()) / len(outcomes)


def squares(x, k):
    """The middle k×k pixels of each image, hashable: (n, 64) -> list"""
    first = (8 - k) // 2
    cut = x.reshape(-1, 8, 8)[:, first : first + k, first : first + k]
    return [tuple(row) for row in cut.flatten(1).int().tolist()]


black_train, black_test = binarise(data.train.x), binarise(data.test.x)

# %% mystnb={"figure": {"name": "fig-finite-data-seen", "caption": "Share of test squares that no training image contains, against the side of the square, and the share that Good and Turing foretell from the training images alone. The table runs empty between sides two and six."}, "image": {"alt": "A curve with error bars that stays at zero for squares of side one and two, rises steeply from side three and ends just below one at side eight; a second curve from the training images alone follows it closely."}} tags=["hide-input"]
sides = range(1, 9)
estimate, unseen, errors = [], [], []
for k in sides:
    seen = squares(black_train, k)
    known, times = set(seen), Counter(Counter(seen).values())
    fresh = torch.tensor([s not in known for s in squares(black_test, k)]).double()
    estimate.append(good_turing(seen))
    unseen.append(fresh.mean())
    once = times[1] * (1 - times[1] / len(seen)) + 2 * times[2]  # n² × squared error of n1/n (Esty 1983)
    errors.append((once / len(seen) ** 2 + fresh.var() / len(fresh)) ** 0.5)
estimate, unseen, errors = map(torch.tensor, (estimate, unseen, errors))

_, ax = plt.subplots(figsize=(5.5, 2.8))
ax.errorbar(sides, unseen, 2 * errors, fmt="o-", color=colors.data, label="test images (two s.e. of the gap)")
ax.plot(sides, estimate, "s--", color=colors.model, label="Good–Turing, from training images")
ax.set(xlabel="side $k$ of the square (pixels)", ylabel="share never seen before")
ax.legend()
plt.show()

# %% tags=["hide-input"]
claim("finite-data-good-turing", "largest gap between both curves, in standard errors",
      ((estimate - unseen).abs() / errors.clamp_min(1e-9))[2:].max(),
      by="Good–Turing: 0 within chance", at_most=3.0)
tens = squares(black_train, 3)
naive = sum(c == 1 for c in Counter(tens).values()) / len(set(tens))
claim("finite-data-good-turing-naive", "side 3, n1 over the number of different squares instead: gap in standard errors",
      (naive - unseen[2]).abs() / errors[2], item="S0.4", by="n1 must be divided by n", at_least=8.0)
claim("finite-data-small-squares", "unseen share at sides 1 and 2: estimated, and on test images",
      torch.stack([estimate[:2], unseen[:2]]), torch.zeros(2, 2),
      by="2 and 16 states, nearly all seen often", atol=0.004)
claim("finite-data-unseen", "share of whole test images that the training images contain",
      1 - unseen[-1], by="1077 examples among 2^64 states", at_most=0.05)
log10 = 784 * math.log10(2)
claim("finite-data-states", "digits of the number 2^784, and of 2^784 / 10^7 rounded down, counted in exact integers",
      torch.tensor([len(str(2**784)), len(str(2**784 // 10**7))]), torch.tensor([1 + int(log10), 1 + int(log10 - 7)]),
      item="S0.4 E0.25", by="1 + floor(784 log10 2), seven fewer")


# %% [markdown]
# :::{admonition} Common mistake: The states are covered too sparsely to capture the distribution
# :class: mistake
# {item}`E0.25` That is so *for a table*. A model with structure does not visit states, it estimates parameters, and if its structure is true it needs examples
# in proportion to their number, whatever the number of states: {ref}`sec-finite-data-structure` shows it with the same 784 pixels.
# :::
#
# ## Where the volume is
#
# {item}`S0.12` In high dimension volume gathers near surfaces. The ball of radius one in $\mathbb R^d$ and the ball of radius $1-\varepsilon$ have
# volumes in ratio $(1-\varepsilon)^d$, so the outer shell of thickness $\varepsilon$ holds the share
#
# $$
# s_d(\varepsilon) = 1-(1-\varepsilon)^d .
# $$ (eq-finite-data-shell)
#
# In 784 dimensions half of the volume lies within $1-2^{-1/784}=0.0009$ of the surface.

# %%
def shell(eps, d):
    """Share of the unit d-ball's volume within eps of its surface"""
    return -math.expm1(d * math.log1p(-eps))  # exact also for tiny eps


def uniform_ball(n, d):
    """n uniform draws from the unit ball: (n, d)"""
    x = torch.randn(n, d, generator=gen)
    radius = torch.rand(n, 1, generator=gen) ** (1 / d)
    return radius * x / x.norm(dim=1, keepdim=True)


# %% tags=["hide-input"]
for d in (2, 10, 100):
    outer = (uniform_ball(20_000, d).norm(dim=1) > 0.95).double()
    outside, se = monte_carlo(outer)
    claim(f"finite-data-shell-{d}", f"share of uniform draws in the outer 5 % of the radius, d = {d}",
          outside, shell(0.05, d), item="S0.12", by="1 - (1 - ε)^d", se=se)
thickness = 1 - torch.quantile(uniform_ball(20_000, 784).norm(dim=1), 0.5)
claim("finite-data-half-radius", "thickness of the shell that holds half the volume, 784 dimensions, median of uniform draws",
      thickness, 1 - 2 ** (-1 / 784), item="S0.12", by="1 - 2^(-1/d)",
      se=0.5 / math.sqrt(20_000) / (784 * 2 ** (-783 / 784)), digits=3)


# %% [markdown]
# :::{admonition} Common mistake: In high dimension the data lie in the outer shell, a share 1 − exp(−dε) of them
# :class: mistake
# {item}`E0.10` $s_d(\varepsilon)\approx 1-e^{-d\varepsilon}$ is often written without saying when, and read as a statement about data.
# Since $\log(1-\varepsilon)=-\varepsilon-\varepsilon^2/2-\dots$, the volume that is *left* is $e^{-d\varepsilon}$ times
# $e^{-d\varepsilon^2/2-\dots}$. In proportion the approximation is right only for $d\varepsilon^2\ll1$: in 784 dimensions what is left is off by four per
# cent at $\varepsilon=0.01$ and by a factor of over sixty at $0.1$. In absolute terms the share is off by at most about $2e^{-2}/d$, which is nothing
# in high dimension and visible in ten. And it is a statement about the *uniform* distribution in a ball, whose draws have lengths of relative spread
# $1/\sqrt{d(d+2)}$: in 64 dimensions under two per cent. Data are not uniform in a ball: the test digits' distances from the mean digit have a spread of
# {value}`finite-data-digits-shell:.0%`.
# :::

# %% tags=["hide-input"]
def left_over(eps, d):  # true over approximate volume inside the shell
    return (1 - eps) ** d / math.exp(-d * eps)


claim("finite-data-shell-ratio", "(1 - ε)^d / e^(-dε) in d = 784, ε = 0.01 and 0.1",
      torch.tensor([left_over(0.01, 784), left_over(0.1, 784)]),
      torch.exp(-784 * torch.tensor([0.01, 0.1]).pow(torch.arange(2, 12)[:, None])
          .div(torch.arange(2, 12)[:, None]).sum(0)), item="E0.10",
      by="exp(-d(ε²/2 + ε³/3 + ...)), ten terms", rtol=1e-6)
claim("finite-data-shell-small-d", "exact and approximate share, d = 10, ε = 0.05",
      torch.tensor([shell(0.05, 10), -math.expm1(-0.5)]), torch.tensor([0.4013, 0.3935]),
      item="E0.10", by="1 - 0.95^10 and 1 - e^-0.5 by hand", atol=5e-5)
claim("finite-data-shell-absolute", "largest error of the approximate share over all ε, times d, d = 784",
      784 * max(shell(eps, 784) + math.expm1(-784 * eps) for eps in torch.linspace(1e-5, 0.02, 2000).tolist()),
      2 * math.exp(-2), item="E0.10", by="maximum of u²e^(-u)/2 at u = dε = 2, up to 1/d", rtol=0.01)
length = (data.test.x - data.train.x.mean(0)).norm(dim=1)
claim("finite-data-digits-shell", "spread of the test digits' distances from the mean digit, over their mean", length.std() / length.mean(),
      item="E0.10", by="a uniform distribution would give 1/√(64·66) = 0.015; other splits", at_least=0.09, at_most=0.12, digits=2)

# %% [markdown]
# ## Where the mass is
#
# A Gaussian is not uniform either: its density is highest in the middle. Where are its draws?
#
# The squared length of $x\sim\mathcal N(0,I_d)$ is a sum of $d$ independent terms with mean 1 and variance 2, hence $d\pm\sqrt{2d}$. The root divides a
# small deviation by $2\sqrt d$, so the length itself is $\sqrt d\pm\tfrac1{\sqrt2}$: **a shell whose thickness does not grow with $d$**
# ({numref}`fig-finite-data-shell`). Exactly, $\lVert x\rVert$ follows the $\chi_d$ distribution with
#
# $$
# \mathbb E\lVert x\rVert=\sqrt2\,\frac{\Gamma\bigl(\tfrac{d+1}2\bigr)}{\Gamma\bigl(\tfrac d2\bigr)},\qquad
# \mathbb E\lVert x\rVert^2=d .
# $$ (eq-finite-data-chi)
#
# The density does what the length does. $\log p(x)=-\tfrac d2\log2\pi-\tfrac12\lVert x\rVert^2$ has mean $-H$, the negative entropy, and standard deviation
# $\sqrt{d/2}$. The mode, at the origin, lies $d/2$ nats above that mean: {value}`finite-data-mode-gap:.0f` nats in 784 dimensions, some twenty
# standard deviations. No draw ever comes near the densest point: a Chernoff bound gives
# $P(\lVert x\rVert\le\tfrac12\sqrt d)\le e^{-0.318\,d}$, here $e^{-249}$, for coming half way. ({ref}`ch-generation` turns this into a test.) {item}`X0.3`

# %% tags=["hide-input"]
dims = (2, 20, 100, 784)
lengths = {d: torch.randn(20_000, d, generator=gen).norm(dim=1) for d in dims}
for d in (20, 784):
    mean, se = monte_carlo(lengths[d])
    exact = math.sqrt(2) * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))
    claim(f"finite-data-length-{d}", f"mean length of a standard Gaussian draw, d = {d}", mean,
          exact, by="χ distribution: √2 Γ((d+1)/2)/Γ(d/2)", se=se)
    spread = lengths[d].std()
    claim(f"finite-data-spread-{d}", f"standard deviation of that length, d = {d}", spread,
          math.sqrt(d - exact**2), by="√(d - mean²)", se=spread / math.sqrt(2 * 19_999))
log_p = -784 / 2 * math.log(2 * math.pi) - lengths[784] ** 2 / 2
gap, se = monte_carlo(-784 / 2 * math.log(2 * math.pi) - log_p)
claim("finite-data-mode-gap", "log density of the mode minus that of a draw, mean, d = 784", gap,
      392, by="d/2", se=se, unit="nats")
claim("finite-data-near-mode", "minus log probability that a draw is at most half as long as typical, d = 784",
      -stats.chi2.logcdf(784 / 4, 784), item="X0.3", by="Chernoff: at least (d/2)(1/4 - 1 + log 4) = 249.4; the bound is sharp to a factor",
      at_least=392 * (0.25 - 1 + math.log(4)), at_most=255.0, unit="nats")
claim("finite-data-density-spread", "standard deviation of the log density, d = 784", log_p.std(),
      math.sqrt(392), by="√(d/2)", se=log_p.std() / math.sqrt(2 * 19_999), unit="nats")

# %% mystnb={"figure": {"name": "fig-finite-data-shell", "caption": "Lengths of standard Gaussian draws (bars) with the \u03c7 density (lines) for four values of $d$. The bump moves right as the square root of the dimension and keeps its width."}, "image": {"alt": "Four histograms of length on one axis, all about equally broad. In two dimensions it stands near one and touches zero; in 20, 100 and 784 dimensions the bumps stand near 4.5, 10 and 28, far from zero."}} tags=["hide-input"]
_, ax = plt.subplots(figsize=(6.5, 2.6))
grid = torch.linspace(0, 32, 1601)
for d, colour in zip(dims, colors.cycle, strict=False):
    ax.hist(lengths[d], bins=40, density=True, color=colour, alpha=0.35)
    ax.plot(grid, stats.chi.pdf(grid, d), color=colour, label=f"$d={d}$")
ax.set(xlabel="length $\\Vert x\\Vert$", ylabel="density", xlim=(0, 32))
ax.legend(ncols=4, loc="upper center")
ax.set_ylim(0, 0.85)
plt.show()


# %% [markdown]
# Two consequences reach every model with a high-dimensional Gaussian latent space. Two draws are almost orthogonal: the cosine between them has mean 0 and
# standard deviation exactly $1/\sqrt d$. And the straight line between them leaves the shell: the midpoint has the length of a draw *divided by* $\sqrt2$,
# where no draw lives. (In eight dimensions the shell is thick in proportion: {value}`finite-data-midpoint-inside:.0%` of the midpoints stay in the range of 99 % of
# draws.) Whoever shows a path between two samples goes round instead, by spherical interpolation,
#
# $$
# \begin{aligned}
# \operatorname{slerp}(a,b;t)&=\frac{\sin\bigl((1-t)\omega\bigr)\,a+\sin(t\omega)\,b}{\sin\omega},\\
# \cos\omega&=\frac{a\cdot b}{\lVert a\rVert\,\lVert b\rVert}.
# \end{aligned}
# $$ (eq-finite-data-slerp)

# %%
def slerp(a, b, t):
    """Spherical interpolation of rows: (n, d), (n, d), number -> (n, d)"""
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=1)
    omega = torch.arccos(cosine)[:, None]  # (n, 1)
    path = torch.sin((1 - t) * omega) * a + torch.sin(t * omega) * b
    return path / torch.sin(omega)


# %% tags=["hide-input"]
a, b = torch.randn(2, 8000, 784, generator=gen)


def inside(x):
    low, high = stats.chi.ppf([0.005, 0.995], x.shape[1])  # 99 of 100 draws lie between
    return ((x.norm(dim=1) > low) & (x.norm(dim=1) < high)).double().mean()


cosine = torch.nn.functional.cosine_similarity(a, b, dim=1)
claim("finite-data-cosine", "standard deviation of the cosine of two draws, d = 784", cosine.std(),
      1 / 28, by="1/√d", se=cosine.std() / math.sqrt(2 * 7_999))
mean, se = monte_carlo(((a + b) / 2).norm(dim=1))
claim("finite-data-midpoint", "mean length of the midpoint of two draws, d = 784", mean,
      exact / math.sqrt(2), by="mean length of a draw / √2", se=se)
claim("finite-data-slerp", "midpoints in the shell that holds 99 % of draws: straight, spherical",
      torch.stack([inside((a + b) / 2), inside(slerp(a, b, 0.5))]), torch.tensor([0.0, 1.0]),
      by="χ distribution", atol=0.01)
pairs = torch.randn(2, 40_000, 8, generator=gen)
claim("finite-data-midpoint-inside", "straight midpoints in that shell, d = 8", inside(pairs.mean(0)),
      stats.chi.cdf(2**0.5 * stats.chi.ppf([0.005, 0.995], 8), 8) @ [-1, 1], item="Q0.3", by="χ distribution", atol=0.005, digits=2)


# %% [markdown]
# ## What distances still say
#
# Take two independent uniform points of the unit cube. Their squared distance is a sum of $d$ terms, each with mean $1/6$ and variance $7/180$. So
# distances concentrate, too {cite:p}`beyer1999`: of a thousand uniform points in 784 dimensions the farthest from one more is only {value}`finite-data-contrast:.0%`
# farther away than the nearest. A kernel estimate, which must tell near from far, then has little to go by ({ref}`sec-density-curse`).
#
# But that is the uniform distribution again. Real pixels depend on one another, and dependence brings neighbours back. The fair control is the digits
# with every pixel shuffled *across images*: each pixel keeps its own histogram, only the dependence is gone. How near is the nearest neighbour,
# relative to the mean distance ({numref}`fig-finite-data-neighbours`)?

# %%
def nearest_ratio(x):
    """Nearest over mean distance to the other rows: (n, d) -> (n,)"""
    away = torch.cdist(x, x)
    mean = away.sum(1) / (len(x) - 1)
    return away.fill_diagonal_(math.inf).min(1).values / mean


x = data.train.x  # (1077, 64)
order = torch.rand(x.shape, generator=gen).argsort(0)
shuffled = x.gather(0, order)  # same histograms, no dependence
cube = torch.rand(1077, 64, generator=gen)

# %% mystnb={"figure": {"name": "fig-finite-data-neighbours", "caption": "How near is the nearest neighbour? Digits have close neighbours; for the same pixel values without dependence, and for uniform points of the same dimension, the nearest is at seven to eight tenths of the mean."}, "image": {"alt": "Three histograms of nearest over mean distance: digits spread around a third, shuffled digits are narrow around seven tenths, uniform points lie still further right."}} tags=["hide-input"]
_, ax = plt.subplots(figsize=(6.5, 2.4))
bins = torch.linspace(0, 1, 61)
for points, name, colour in ((x, "digits", colors.data), (shuffled, "digits, pixels shuffled across images", colors.bad),
                             (cube, "uniform in the cube", colors.cycle[2])):
    ax.hist(nearest_ratio(points), bins=bins, color=colour, alpha=0.6, label=name)
ax.set(xlabel="nearest distance / mean distance, $d=64$", ylabel="points", xlim=(0, 1))
ax.legend(loc="upper left")
plt.show()

# %% tags=["hide-input"]
square = (torch.rand(8000, 784, generator=gen) - torch.rand(8000, 784, generator=gen)).square().sum(1)
mean, se = monte_carlo(square)
claim("finite-data-distance-784", "mean squared distance of two uniform points, d = 784", mean, 784 / 6, item="Q0.3", by="d/6", se=se)
wide, se = monte_carlo((square - 784 / 6) ** 2)
claim("finite-data-distance-spread-784", "variance of that squared distance, d = 784", wide, 7 * 784 / 180, item="Q0.3", by="7d/180", se=se)
away = torch.cdist(torch.rand(100, 784, generator=gen), torch.rand(1000, 784, generator=gen))
contrast, se = monte_carlo(away.max(1).values / away.min(1).values - 1)
extreme = 3.2414 * math.sqrt(784 / 30)  # mean of the largest of 1000 normals; d/30: variance given one of the points
claim("finite-data-contrast", "farthest over nearest of 1000 uniform points, minus one, d = 784",
      contrast, math.sqrt((784 / 6 + extreme) / (784 / 6 - extreme)) - 1,
      by="normal approximation of the squared distances", se=se, atol=0.003)
claim("finite-data-neighbours", "nearest over mean distance, mean over points: digits against shuffled digits",
      nearest_ratio(x).mean() / nearest_ratio(shuffled).mean(), item="Q0.3",
      by="1 if dependence did not matter; other splits", at_least=0.49, at_most=0.55)


# %% [markdown]
# Near neighbours also say along how many dimensions the data vary, their **intrinsic dimension**. If points fill a smooth surface of
# dimension $k$ evenly, the number of points within distance $r$ of a given one is Poisson with mean proportional to $r^k$, as long as $r$ is small.
# Then the ratio $\mu=r_2/r_1$ of the distances to the second and the first neighbour has
#
# $$
# P(\mu>u)=u^{-k}\quad(u\ge1),\qquad \hat k=\frac{n}{\sum_i\log\mu_i} ,
# $$ (eq-finite-data-two-nn)
#
# whatever the density of points, and whatever the number of coordinates: given $r_2$, the nearer point is uniform in a ball of that
# radius, so it is within $r_2/u$ with probability $u^{-k}$, and $\log\mu$ is exponential with mean $1/k$. ({cite:t}`facco2017` fit a line to this formula; $\hat k$ is maximum
# likelihood.)

# %%
def intrinsic_dimension(x):
    """Maximum likelihood from two neighbours' distances: (n, d) -> number"""
    away = torch.cdist(x, x).fill_diagonal_(math.inf)
    first, second = away.topk(2, largest=False).values.unbind(1)
    return 1 / (second / first).log().mean()


frame, _ = torch.linalg.qr(torch.randn(64, 3, generator=gen))
sheet = torch.rand(1077, 3, generator=gen) @ frame.T  # (1077, 64)
turn = 2 * math.pi * torch.rand(1077, generator=gen)
circle = torch.stack([turn.cos(), turn.sin()], 1) @ frame.T[:2]  # one dimension

# %% tags=["hide-input"]
claim("finite-data-sheet", "dimension of a flat piece of three-space that is turned into 64 coordinates", intrinsic_dimension(sheet),
      3.0, item="S0.12 E0.10", by="3, less a little at the edges", se=3 / math.sqrt(1077), atol=0.15, z=3, digits=3)
claim("finite-data-dimension", "dimension of the training digits", intrinsic_dimension(x),
      item="E0.10", by="64 coordinates; other splits", at_least=7.7, at_most=9.7, digits=2)
part = torch.stack([intrinsic_dimension(x[torch.randperm(1077, generator=gen)[:200]]) for _ in range(20)]).mean()
claim("finite-data-dimension-part", "the same from 200 of them, mean of 20 choices", part,
      by="other splits", at_least=6.3, at_most=7.9, digits=2)
every = torch.cat([data.train.x, data.validation.x, data.test.x])
claim("finite-data-dimension-all", "the same from all 1797 digits", intrinsic_dimension(every),
      by="the same images in every split", at_least=9.0, at_most=9.1, digits=2)
noisy = circle + 0.01 * torch.randn(1077, 64, generator=gen)
claim("finite-data-dimension-circle", "dimension of a circle in 64 coordinates",
      intrinsic_dimension(circle), 1.0, by="1; other seeds", atol=0.15, digits=2)
claim("finite-data-dimension-noisy", "the same with noise of 1 % of the radius in each coordinate", intrinsic_dimension(noisy),
      item="S0.12", by="64, seen closely enough; other seeds", at_least=21.0, at_most=27.0, digits=2)
gauss = torch.randn(1077, 64, generator=gen) @ torch.linalg.cholesky(torch.cov(x.T) + 1e-6 * torch.eye(64)).T
others = torch.stack([intrinsic_dimension(shuffled), intrinsic_dimension(gauss)])
claim("finite-data-dimension-others", "dimension over that of the digits: shuffled; draws of a Gaussian with the digits' covariance",
      others / intrinsic_dimension(x), item="S0.12 E0.10", by="1 if means, or covariances, were all", at_least=2.0, digits=2)
claim("finite-data-dimension-bias", "dimension of as many uniform points in the 64-dimensional cube", intrinsic_dimension(cube), item="S0.12",
      by="64, but a thousand points have no near neighbours there; other seeds", at_least=32.0, at_most=41.0, digits=2)

# %% [markdown]
# By this measure the training digits vary along {value}`finite-data-dimension:.1f` dimensions. Read it as a number at the scale of the nearest neighbours,
# which may err either way. It moves with $n$: 200 of the digits give {value}`finite-data-dimension-part:.0f`, all 1797 give
# {value}`finite-data-dimension-all:.0f`. With too few points it is too low, as for the cube; but noise that is small against the surface and not against the
# neighbours' distance pushes it up: a circle scores {value}`finite-data-dimension-circle:.0f`, with noise of 1 % of its radius
# in each coordinate {value}`finite-data-dimension-noisy:.0f`. Under the same handicaps the shuffled digits score more than twice as high as the digits, and so do draws of a
# Gaussian with the digits' covariance. The low-dimensional structure of data is mostly dependence, and much of it is beyond covariances.
#
# ## Inferring what is not seen
#
# A model that holds dependence can fill in what is missing. A Gaussian with the training digits' mean and covariance holds the linear part: given the upper
# half of an image, the guess of the lower half with the least expected squared error is the conditional mean ({numref}`fig-finite-data-infer`)
#
# $$
# \mathbb E[x_{\text{low}}\mid x_{\text{up}}]=\mu_{\text{low}}+\Sigma_{\text{low},\text{up}}\Sigma_{\text{up},\text{up}}^{-1}(x_{\text{up}}-\mu_{\text{up}}) .
# $$ (eq-finite-data-infer)

# %%
up, low = slice(0, 32), slice(32, 64)


def complete(x, upper):
    """Lower halves given upper: training images (n, 64), (m, 32) -> (m, 32)"""
    mu = x.mean(0)
    sigma = torch.cov(x.T) + 0.1 * torch.eye(64)  # some pixels are constant
    gain = sigma[low, up] @ torch.linalg.inv(sigma[up, up])  # (32, 32)
    return mu[low] + (upper - mu[up]) @ gain.T


guess = complete(x, data.test.x[:, up])

# %% mystnb={"figure": {"name": "fig-finite-data-infer", "caption": "Twelve test digits: as they are, with the lower half removed, and completed by a Gaussian from 1077 training digits."}, "image": {"alt": "Three rows of twelve small images: whole digits, the same with an empty lower half, and the same with a blurred but mostly plausible lower half."}} tags=["hide-input"]
whole = data.test.x[:12]
rows = torch.cat([whole, torch.cat([whole[:, up], torch.zeros(12, 32)], 1), torch.cat([whole[:, up], guess[:12]], 1)])
_, ax = plt.subplots(figsize=(7, 2))
image_grid(rows, ncols=12, ax=ax, vmin=0, vmax=16)
plt.show()

# %% tags=["hide-input"]
lower = data.test.x[:, low]
baseline = (x[:, low].mean(0) - lower).square().mean()
nearest = torch.cdist(data.test.x[:, up], x[:, up]).topk(10, largest=False).indices  # (360, 10)
claim("finite-data-infer-linear", "squared error of the completed half over that of the mean image, test digits",
      (guess - lower).square().mean() / baseline, item="S0.2",
      by="1 if the upper half said nothing; other splits", at_least=0.6, at_most=0.75, digits=2)
claim("finite-data-infer-nearest", "the same for the mean lower half of the ten training digits with the nearest upper halves",
      (x[nearest][:, :, low].mean(1) - lower).square().mean() / baseline, item="S0.2",
      by="other splits", at_least=0.4, at_most=0.53, digits=2)
claim("finite-data-infer-shuffled", "the same for the Gaussian fitted to shuffled digits",
      (complete(shuffled, data.test.x[:, up]) - lower).square().mean() / baseline, 1 + 32 / 1077, item="S0.2",
      by="no dependence, no gain: 1 + the noise of 32 coefficients from 1077 images; four s.d. over shuffles and splits", atol=0.05, digits=3)


# %% [markdown]
# On test digits this leaves {value}`finite-data-infer-linear:.2f` of the mean image's squared error; fitted to the shuffled digits it gains nothing. The mean lower half
# of the ten training digits with the nearest upper halves leaves {value}`finite-data-infer-nearest:.2f`: much of the dependence is not linear.
#
# (sec-finite-data-structure)=
# ## Structure beats the curse
#
# Back to 784 black or white pixels. A table needs $2^{784}-1$ numbers. If the pixels are independent, 784 numbers suffice: $\theta_j=P(x_j=1)$, estimated
# by the share of ones $\hat\theta_j$. How far from the truth is that estimate after $m$ examples? Divergences of products split,
# $\mathrm{KL}(p_\theta\,\Vert\,p_{\hat\theta})=\sum_j\mathrm{KL}(\theta_j\,\Vert\,\hat\theta_j)$. To second order each term is
# $(\hat\theta_j-\theta_j)^2/\bigl(2\theta_j(1-\theta_j)\bigr)$; since $\hat\theta_j$ has variance $\theta_j(1-\theta_j)/m$, its mean is $1/2m$
# (given $0<\hat\theta_j<1$, as with the coins). Hence
#
# $$
# \mathbb E\,\mathrm{KL}(p_\theta\,\Vert\,p_{\hat\theta})\approx\frac{d}{2m} .
# $$ (eq-finite-data-price)
#
# With the Fisher information in place of $1/\theta(1-\theta)$ the same argument holds for every regular model with $P$ parameters that contains the
# truth, once $m$ is large: **$P/2m$ nats, half a nat per parameter divided by the number of examples**, however many states there are. {item}`X0.4`

# %%
def product_kl(theta, theta_hat):
    """KL of independent bits: (..., d), (..., d) -> (...,) nats"""
    ones = theta * (theta / theta_hat).log()
    zeros = (1 - theta) * ((1 - theta) / (1 - theta_hat)).log()
    return (ones + zeros).sum(-1)


def estimates(theta, m, repeats=200):
    """Shares of ones among m examples, many times over: (d,) -> (repeats, d)"""
    trials = torch.full((repeats, len(theta)), float(m))
    return torch.binomial(trials, theta.expand_as(trials), generator=gen) / m


theta = 0.2 + 0.6 * torch.rand(784, generator=gen)
sizes = [300, 1000, 3000, 10_000, 30_000, 10_000_000]
price = {m: monte_carlo(product_kl(theta, estimates(theta, m))) for m in sizes}


# %% [markdown]
# Below is the same formula for twelve pixels, where a table can still be tried. The truth is a product again, so both models can represent it; the table merely
# does not know that the pixels are independent, and pays for $2^{12}-1$ parameters instead of 12 ({numref}`fig-finite-data-price`). {item}`E0.25` (Half a
# count is added to every cell, or a cell that was never seen would cost an infinite divergence. With few examples per cell this addend, not the
# formula, decides the price: the first points lie below their line.)

# %%
def table_of(theta):
    """All 2^d probabilities of independent bits, enumerated: (d,) -> (2^d,)"""
    table = torch.ones(1)
    for t in theta:
        table = torch.cat([table * (1 - t), table * t])
    return table


small = theta[:12]
cells = table_of(small)  # (4096,)


def table_price(m):
    """KL to a table of 4096 cells from m examples, each plus half a count"""
    drawn = torch.multinomial(cells, m, replacement=True, generator=gen)
    counts = torch.bincount(drawn, minlength=4096)
    return kl_discrete(cells, (counts + 0.5) / (m + 2048))


# %% mystnb={"figure": {"name": "fig-finite-data-price", "caption": "Price of estimation against the number of examples. Lines: half the number of parameters over the number of examples; points: measured. Where the formula holds, the table of twelve pixels costs five times as much as 784 pixels with structure."}, "image": {"alt": "Logarithmic axes. Two sets of points fall along straight lines of slope minus one for products of 784 and of 12 bits; the points of the 4096-cell table start far below the highest line, near the middle one, and come close to the highest from 30 000 examples on."}} tags=["hide-input"]
ms = [1000, 3000, 10_000, 30_000, 100_000, 300_000]
table_prices = torch.stack([torch.stack([table_price(m) for _ in range(4)]).mean() for m in ms])
few = {m: monte_carlo(product_kl(small, estimates(small, m, 4000)))[0] for m in ms}
_, ax = plt.subplots(figsize=(6, 3.2))
grid = torch.tensor([300.0, 300_000.0])
for number, colour, name in ((4095, colors.bad, "table, 12 pixels"), (784, colors.model, "product, 784 pixels"),
                             (12, colors.cycle[2], "product, 12 pixels")):
    ax.loglog(grid, number / (2 * grid), color=colour, lw=1)
    points = {4095: (ms, table_prices), 784: (sizes[:5], [price[m][0] for m in sizes[:5]]), 12: (ms, few.values())}[number]
    ax.loglog(*points, "o", color=colour, label=name)
ax.set(xlabel="examples $m$", ylabel="divergence to the truth (nats)")
ax.legend()
plt.show()

# %% tags=["hide-input"]
for m, name in ((10_000, "10⁴"), (10_000_000, "10⁷")):
    claim(f"finite-data-price-{m}", f"mean divergence of the fitted product, 784 pixels and {name} examples",
          price[m][0], 784 / (2 * m), item="X0.4 E0.25", by="d/2m", se=price[m][1], unit="nats", digits=3)
claim("finite-data-table-price", "divergence of the 4096-cell table over that of the product, 300 000 examples, 12 pixels",
      table_prices[-1] / few[300_000], 4095 / 12, item="E0.25 X0.4", by="ratio of parameters, up to the half count", rtol=0.06, digits=3)
count = torch.arange(400.0)  # a cell's count; more than 400 do not occur
pmf = torch.as_tensor(stats.binom.pmf(count[None], 1000, cells[:, None]))
mean_log = pmf @ ((count + 0.5) / (1000 + 2048)).log()
claim("finite-data-table-1000", "divergence of the table, 1000 examples", table_prices[0], cells @ (cells.log() - mean_log),
      item="E0.25", by="exact mean, all counts of every cell enumerated; four standard errors", rtol=0.05, unit="nats", digits=3)

# %% [markdown]
# The number of states does not occur in the formula. Ten million examples pin 784 independent pixels down to $784/(2\cdot10^7)$, forty millionths of a nat.
#
# The catch is the word *if*. If the pixels are not independent, the best product stays away from the truth by the first term of
# {eq}`eq-finite-data-split`, which for products is the **total correlation**
#
# $$
# \min_q\mathrm{KL}\Bigl(p\,\Big\Vert\,\prod_jq_j\Bigr)=\sum_jH(x_j)-H(x),
# $$ (eq-finite-data-total)
#
# attained at $q_j=p(x_j)$, since $\mathrm{KL}(p\Vert\prod q_j)$ exceeds it by $\sum_j\mathrm{KL}(p(x_j)\Vert q_j)$. No data will remove it. Take twelve
# fair pixels in a row, each differing from its left neighbour with probability $0.2$. Their total correlation is
# $11\,(\log2-h(0.2))=2.12$ nats, with $h$ the entropy of a coin. A *Markov chain* has the right structure: one probability for the first pixel, and two,
# given its left neighbour, for each of the others, $P=23$ parameters.

# %%
states = (torch.arange(4096)[:, None] >> torch.arange(12)) & 1  # (4096, 12)
flips = (states.diff(dim=1) != 0).sum(1)
row = 0.5 * 0.2**flips * 0.8 ** (11 - flips)  # the truth, (4096,)


def two_structures(m):
    """KL of the truth to a fitted product and to a fitted chain, m examples"""
    seen = states[torch.multinomial(row, m, replacement=True, generator=gen)]
    ones = seen.double().mean(0)  # (12,)
    bits = torch.where(states == 1, ones, 1 - ones)  # (4096, 12)
    chain = bits[:, 0].clone()
    for j in range(1, 12):
        left = seen[:, j - 1]
        after = torch.stack(
            [seen[left == v, j].double().mean() for v in (0, 1)]
        )
        one = after[states[:, j - 1]]  # P(x_j = 1 | left neighbour), (4096,)
        chain = chain * torch.where(states[:, j] == 1, one, 1 - one)
    product = bits.prod(1)
    return torch.stack([kl_discrete(row, product), kl_discrete(row, chain)])


runs = torch.stack([two_structures(1000) for _ in range(100)])  # (100, 2)

# %% tags=["hide-input"]
correlation = 11 * (math.log(2) + 0.2 * math.log(0.2) + 0.8 * math.log(0.8))
mean, se = monte_carlo(runs[:, 0])
claim("finite-data-wrong-structure", "a product fitted to 1000 rows of twelve dependent pixels", mean, correlation + 12 / 2000,
      item="E0.25 S0.3", by="total correlation + d/2m", se=se, unit="nats")
mean, se = monte_carlo(runs[:, 1])
claim("finite-data-right-structure", "a Markov chain fitted to the same rows", mean, 23 / 2000,
      item="E0.25", by="P/2m with P = 23", se=se, unit="nats", digits=3)

# %% [markdown]
# With a thousand examples the wrong structure costs {value}`finite-data-wrong-structure:.2f` nats, all but a trace of them for ever; the right one costs
# {value}`finite-data-right-structure:.3f`, and by the formula ten times less with ten times the data. The digits' pixels are far from independent, too: in
# {ref}`ch-density` a chain of logistic regressions needs {value}`density-ar-gain:.1f` bits per binarised test image less than independent pixels. The art is to assume *true*
# structure: locality, hierarchy, a low-dimensional cause. Every architecture of the later pages is such an assumption.
#
# :::{exercise-start} Concentration of measure
# :label: q0-3
# :class: question
# :::
# {item}`Q0.3 S0.16` How does the concentration of measure in high dimension affect a generative model's ability to capture the distribution of real data?
# :::{exercise-end}
# :::
#
# :::{solution-start} q0-3
# :label: q0-3-solution
# :class: dropdown
# :::
# In four ways.
#
# **Dense is not typical.** Draws of $\mathcal N(0,I_d)$ have length $\sqrt d\pm0.7$ and log density $-H\pm\sqrt{d/2}$; the mode sits $d/2$ nats above
# them and is never drawn. Ranking by density, to find anomalies or to pick "the best" sample, fails accordingly; test typicality instead.
#
# **Distances flatten.** Between independent uniform points the relative spread of squared distances is
# $\sqrt{7d/180}\,/\,(d/6)=\sqrt{7/(5d)}$: in 784 dimensions about four per cent. Kernels and nearest neighbours see only that; with no structure the
# sample must grow exponentially ({ref}`sec-density-curse`).
#
# **Gaussian latent spaces of many dimensions are shells.** Straight paths leave them, spherical ones do not, and the cosine of two random codes is $0\pm1/\sqrt d$.
#
# **But concentration also helps.** The log density of a draw, *per dimension*, varies by $1/\sqrt{2d}$ only: few draws tell the entropy per dimension.
# (The price $P/2m$ owes it nothing: a parameter costs $1/2m$ in any dimension, and structure makes $P$ small.)
#
# Moreover, all four are stated for *independent* coordinates. The cell repeats the digits' neighbour experiment as the
# dependence is mixed away: with each pixel taken from another image with probability $\lambda$, neighbours recede steadily.

# %%
shares = torch.tensor([0.0, 0.1, 0.25, 0.5, 1.0])
mixed = []
for lam in shares:
    swap = torch.rand(x.shape, generator=gen) < lam
    mixed.append(nearest_ratio(torch.where(swap, shuffled, x)).mean())
mixed = torch.stack(mixed)

# %% tags=["hide-input"]
claim("finite-data-mixing", "smallest rise of the ratio from one share of swapped pixels to the next",
      mixed.diff().min(), item="Q0.3", by="less dependence, farther neighbours", at_least=0.01, digits=2)

# %% [markdown]
# What rescues learning in high dimension is therefore not more data alone but assumptions that are true: {ref}`sec-finite-data-structure`.
# :::{solution-end}
# :::
#
# ## Exercises
#
# :::{bank} finite-data-shell
# :::
#
# :::{bank} finite-data-unseen
# :::
#
# :::{bank} finite-data-slerp
# :::
#
# :::{bank} finite-data-price
# :::
#
# :::{bank} finite-data-explain-purchase
# :::
#
# ## What to read next
#
# - {cite:t}`good1953` is the paper behind the estimate of unseen mass; the idea, as it says, is Turing's.
# - {cite:t}`vershynin2018`, chapter 3, has the concentration of Gaussian vectors with proofs; {cite:t}`beyer1999` asks when a nearest neighbour means
#   anything; {cite:t}`facco2017` counts dimensions by two neighbours.
# - {cite:t}`nalisnick2019typicality` turns the shell into a test for anomalies.
# - Next page: {ref}`ch-divergences`, on what "closest" should mean.
