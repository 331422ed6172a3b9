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
# - compute where the volume, the mass and the density of a high-dimensional law lie, and say which of the three
#   statements is about your data;
# - say what structure buys, in nats per parameter, and what it costs.

# %%
import itertools
import math
from collections import Counter

import matplotlib.pyplot as plt
import torch
from scipy import stats

from genkit.checks import claim, monte_carlo, self_check
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
# {item}`S0.2` Some process, nature or people writing digits, draws examples from a law $p_{\text{data}}$ that nobody
# will ever write down. Learning means choosing, from a family of laws $\{p_\theta\}$ that we *can* write down, one that is
# close. If it is close enough we can do with it what we would have done with the law itself: draw new examples
# ({ref}`ch-generation`), notice odd ones ({ref}`ch-density`), find the few quantities that matter
# ({ref}`ch-representation`), and infer what we do not see from what we do, as further down on this page.
#
# {item}`S0.1` Lectures draw this as a cloud, a blob and an arrow. With three outcomes the picture can be exact. A law on
# $\{0,1,2\}$ is a point of a triangle, whose corners are the laws that always give the same outcome. Let the data follow
# $p=(0.45, 0.15, 0.40)$ and let the family be the number of heads in two tosses of one coin,
#
# $$
# p_\theta = \bigl((1-\theta)^2,\; 2\theta(1-\theta),\; \theta^2\bigr), \qquad 0<\theta<1,
# $$ (eq-finite-data-coin)
#
# a curve in the triangle ({numref}`fig-finite-data-simplex`). No coin gives $p$: heads and tails would have to agree more often than
# independent tosses do. What is the best coin?

# %%
def coin(theta):
    """Law of the number of heads in two tosses: (...,) -> (..., 3)"""
    return torch.stack([(1 - theta) ** 2, 2 * theta * (1 - theta), theta**2], -1)


p = torch.tensor([0.45, 0.15, 0.40])  # the data's law
theta_star = (p @ torch.arange(3.0)) / 2  # heads per toss under p

n = 30  # a small sample of it
counts = torch.bincount(
    torch.multinomial(p, n, replacement=True, generator=gen), minlength=3
)
p_hat = counts / n
theta_hat = (p_hat @ torch.arange(3.0)) / 2  # heads per toss in the sample

# %% tags=["hide-input"]
thetas = torch.linspace(1e-4, 1 - 1e-4, 20001)
fixed = p.expand(len(thetas), 3)
forward = thetas[kl_discrete(fixed, coin(thetas)).argmin()]
reverse = thetas[kl_discrete(coin(thetas), fixed).argmin()]
variation = thetas[(coin(thetas) - p).abs().sum(1).argmin()]
claim("finite-data-projection", "θ that minimises KL(p‖p_θ), searched on a grid",
      forward, theta_star, item="S0.1 S0.2", by="heads per toss under p", atol=1e-4)
claim("finite-data-best-differs",
      "θ that minimises KL(p_θ‖p), and θ that minimises total variation",
      torch.stack([reverse, variation]), torch.tensor([0.4, 1 - 0.45**0.5]),
      item="S0.5", by="stationary point: 0.8^-1.2 · 3.2^0.4 · 0.4^0.8 = 1; p_θ(0) = p(0)",
      atol=1e-4)


# %% mystnb={"figure": {"name": "fig-finite-data-simplex", "caption": "Left: the triangle of all laws on three outcomes, the family of coins, the law of the data, a sample of thirty, and three best coins. Right: the error of maximum likelihood against the sample size falls towards the family's own error and no further."}, "image": {"alt": "Left, a triangle with corners 0, 1 and 2 and a curve from corner 0 to corner 2 that bulges towards corner 1; the data law lies below the curve, the sample beside it, and three marks on the curve are the coins chosen by forward divergence, reverse divergence and total variation. Right, on logarithmic axes, a falling curve of total error that flattens out on a dashed floor, with the estimation error as a straight falling line."}} tags=["hide-input"]
def place(q):
    """Corners 0, 1, 2 at (0, 0), (1/2, √3/2), (1, 0): (..., 3) -> x, y"""
    return q[..., 2] + q[..., 1] / 2, q[..., 1] * 3**0.5 / 2


def estimation_error(n):
    """Exact mean of KL(p_θ*‖p_θ̂) over samples of n with 0 < θ̂ < 1."""
    pmf = torch.ones(1)
    for _ in range(n):  # law of the number of heads in 2n tosses
        pmf = torch.nn.functional.conv1d(pmf[None, None], p.flip(0)[None, None], padding=2)[0, 0]
    heads = torch.arange(1, 2 * n)
    weights = pmf[1:-1] / pmf[1:-1].sum()
    fitted = coin(heads / (2 * n))
    return weights @ kl_discrete(coin(theta_star).expand(len(fitted), 3), fitted)


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
# {item}`S0.3` Two things stand between us and $p$: a finite sample, and a model that a finite computer can hold and fit. Each has its own term.
#
# :::{prf:theorem} Three sources of error
# :label: thm-finite-data-split
# Let $\theta^*$ minimise $\mathrm{KL}(p\,\Vert\,p_\theta)$ and let $\hat\theta$ be what some sample and some optimiser led to. In an exponential
# family (the coins are one) with $\theta^*$ in its interior
#
# $$
# \mathrm{KL}(p\,\Vert\,p_{\hat\theta})
# =\underbrace{\mathrm{KL}(p\,\Vert\,p_{\theta^*})}_{\text{the family's}}
# +\underbrace{\mathrm{KL}(p_{\theta^*}\,\Vert\,p_{\hat\theta})}_{\text{the sample's and the optimiser's}} .
# $$ (eq-finite-data-split)
# :::
#
# :::{prf:proof}
# The difference of the two sides is $\mathbb E_p[\log p_{\theta^*}-\log p_{\hat\theta}]-\mathbb E_{p_{\theta^*}}[\log p_{\theta^*}-\log p_{\hat\theta}]$. In an exponential
# family $\log p_{\theta^*}(x)-\log p_{\hat\theta}(x)=a\cdot T(x)+b$ with constants $a,b$. At the minimum $\mathbb E_p[T]=\mathbb E_{p_{\theta^*}}[T]$, so the
# two expectations are equal.
# :::
#
# The first term does not shrink with data, the second does: by the central limit theorem its mean approaches
# $\tfrac{1}{2n}\operatorname{Var}_p(T)/\operatorname{Var}_{p_{\theta^*}}(T)$, with $T$ the number of heads. If the truth is in the family the ratio is one, and each
# parameter costs $1/2n$ nats: remember that figure for the end of the page.

# %% tags=["hide-input"]
best, other = coin(theta_star), coin(torch.tensor([[theta_hat], [0.25]]))[:, 0]
claim("finite-data-pythagoras", "KL(p‖p_θ) for the coin of the thirty examples, and for θ = 1/4",
      kl_discrete(p.expand(2, 3), other), approximation + kl_discrete(best.expand(2, 3), other),
      item="S0.3", by="the family's term plus the sample's", rtol=1e-9, unit="nats")
outcomes = torch.arange(3.0)
var_p = p @ outcomes**2 - (p @ outcomes) ** 2
claim("finite-data-sample-term", "2n × mean error that a sample of n = 500 adds, all samples enumerated",
      2 * 500 * estimation[-1], var_p / (2 * theta_star * (1 - theta_star)),
      item="S0.3", by="ratio of variances, up to 1/n", rtol=0.01)
claim("finite-data-floor", "share of the error at n = 500 that no sample can remove",
      approximation / (approximation + estimation[-1]), item="S0.3",
      by="the family's term", at_least=0.99)

# %% [markdown]
# A slip to avoid: the split is about $\mathrm{KL}(p\,\Vert\,\cdot)$ and nothing else. With the arguments swapped the two sides differ:

# %% tags=["hide-input"]
claim("finite-data-pythagoras-swapped",
      "θ = 1/4, all divergences the other way round: how far the two sides are apart",
      (kl_discrete(other[1], p) - kl_discrete(best, p) - kl_discrete(other[1], best)).abs(),
      item="S0.3", by="the identity needs E_p T = E_θ* T", at_least=0.05, unit="nats")


# %% [markdown]
# {item}`S0.6` The words, for reference:
#
# :::{list-table}
# :header-rows: 1
# * - Term
#   - Meaning
# * - data distribution $p_{\text{data}}$
#   - the law that the examples were drawn from; known only through them
# * - generative model $p_\theta$
#   - a law with parameters $\theta$ that we can evaluate, sample or both
# * - curse of dimensionality
#   - whatever grows exponentially with the number $d$ of variables: states, cells, and the examples that methods without structure need
# :::
#
# ## Ten million examples are nothing, and enough
#
# {item}`S0.4` An image of 784 black or white pixels has $2^{784}$ states, a number with 237 digits. Ten million examples
# cover less than $10^{-229}$ of them. Seen as a table with one entry per image, the data are empty.
#
# The digits of this book let us watch that emptiness come. Cut a square of $k\times k$ pixels from the middle of each binarised digit. For small $k$ the
# training set has seen everything that will ever occur; for $k=8$ hardly any test image has occurred before ({numref}`fig-finite-data-seen`).
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
# In words: an outcome that occurs once was new when it came, wherever in the sample it stands.

# %%
def good_turing(outcomes):
    """Estimated probability of what has not been seen: list of n outcomes ->
    number"""
    counts = Counter(outcomes)
    return sum(c == 1 for c in counts.values()) / len(outcomes)


def squares(x, k):
    """The middle k×k pixels of each image as a hashable outcome: (n, 64) -> list"""
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
    once = times[1] * (1 - times[1] / len(seen)) + 2 * times[2]  # variance of n1, Good's formula
    errors.append((once / len(seen) ** 2 + fresh.var() / len(fresh)) ** 0.5)
estimate, unseen, errors = map(torch.tensor, (estimate, unseen, errors))

_, ax = plt.subplots(figsize=(5.5, 2.8))
ax.errorbar(sides, unseen, 2 * errors, fmt="o-", color=colors.data, label="test images (two standard errors)")
ax.plot(sides, estimate, "s--", color=colors.model, label="Good–Turing, from training images")
ax.set(xlabel="side $k$ of the square (pixels)", ylabel="share never seen before")
ax.legend()
plt.show()

# %% tags=["hide-input"]
claim("finite-data-good-turing", "largest gap between both curves, in standard errors",
      ((estimate - unseen).abs() / errors.clamp_min(1e-9))[2:].max(), item="S0.4",
      by="Good–Turing: 0 within chance", at_most=3.0)
claim("finite-data-small-squares", "unseen share at sides 1 and 2: estimated, and on test images",
      torch.stack([estimate[:2], unseen[:2]]), torch.zeros(2, 2), item="S0.4",
      by="2 and 16 states, each seen often")
claim("finite-data-unseen", "share of whole test images that the training images contain",
      1 - unseen[-1], item="S0.4", by="1077 examples among 2^64 states", at_most=0.05)
claim("finite-data-states", "digits of the number 2^784, and of 2^784 / 10^7 rounded down",
      torch.tensor([len(str(2**784)), len(str(2**784 // 10**7))]), torch.tensor([237, 230]),
      item="S0.4 E0.25", by="counted in exact integers; 1 + floor(784 log10 2)")


# %% [markdown]
# :::{admonition} Erratum E0.25 · Sparse coverage proves nothing about structured models
# :class: erratum
# {item}`E0.25` **The notes say** that the state space is covered so sparsely that capturing the law is practically impossible. **What is true:** it is
# impossible *for a table*. A model with structure does not visit states, it estimates parameters, and needs examples in proportion to
# their number, whatever the number of states: the law is in {ref}`sec-finite-data-structure`, with the same 784 pixels.
# :::
#
# ## Where the volume is
#
# {item}`S0.12` In high dimension volume gathers near surfaces. The ball of radius one in $\mathbb R^d$ and the ball of radius $1-\varepsilon$ have volumes in ratio
# $(1-\varepsilon)^d$, so the outer shell of thickness $\varepsilon$ holds the share
#
# $$
# s_d(\varepsilon) = 1-(1-\varepsilon)^d .
# $$ (eq-finite-data-shell)

# %%
def shell(eps, d):
    """Share of the d-ball's volume within eps of its surface, exact also for tiny
    eps."""
    return -math.expm1(d * math.log1p(-eps))


def uniform_ball(n, d):
    """n uniform draws from the unit ball: (n, d)"""
    x = torch.randn(n, d, generator=gen)
    radius = torch.rand(n, 1, generator=gen) ** (1 / d)
    return radius * x / x.norm(dim=1, keepdim=True)


# %% tags=["hide-input"]
for d in (2, 10, 100):
    outer = (uniform_ball(20_000, d).norm(dim=1) > 0.95).double()
    share, se = monte_carlo(outer)
    claim(f"finite-data-shell-{d}", f"share of uniform draws in the outer 5 % of the radius, d = {d}",
          share, shell(0.05, d), item="S0.12", by="1 - (1 - ε)^d", se=se)
claim("finite-data-half-radius", "radius that halves the volume of the ball in 784 dimensions",
      torch.quantile(uniform_ball(4000, 784).norm(dim=1), 0.5), 2 ** (-1 / 784),
      item="S0.12", by="2^(-1/d)", atol=1e-4, digits=3)


# %% [markdown]
# :::{admonition} Erratum E0.10 · The shell formula's range, and what it is about
# :class: erratum
# {item}`E0.10` **The notes say** $s_d(\varepsilon)\approx 1-e^{-d\varepsilon}$, without saying when, and read it as a statement about data. **What is
# true:** since $\log(1-\varepsilon)=-\varepsilon-\varepsilon^2/2-\dots$, the volume that is *left* is $e^{-d\varepsilon}$ times $e^{-d\varepsilon^2/2-\dots}$, so the
# approximation needs $d\varepsilon^2\ll1$; in 784 dimensions it is off by four per cent at $\varepsilon=0.01$ and by a factor of over sixty at $0.1$. And it is a
# statement about the *uniform* law in a ball. Data are not uniform in a ball: in the cell below almost no digit lies in a shell that would
# hold nearly all of them.
# :::

# %% tags=["hide-input"]
def left_over(eps, d):  # true over approximate volume inside the shell
    return (1 - eps) ** d / math.exp(-d * eps)


claim("finite-data-shell-ratio", "(1 - ε)^d / e^(-dε) in d = 784, ε = 0.01 and 0.1",
      torch.tensor([left_over(0.01, 784), left_over(0.1, 784)]),
      torch.exp(-784 * torch.tensor([0.01, 0.1]).pow(torch.arange(2, 12)[:, None])
                .div(torch.arange(2, 12)[:, None]).sum(0)),
      item="E0.10", by="exp(-d(ε²/2 + ε³/3 + ...)), ten terms", rtol=1e-6)
claim("finite-data-shell-small-d", "exact and approximate share, d = 10, ε = 0.05",
      torch.tensor([shell(0.05, 10), -math.expm1(-0.5)]), torch.tensor([0.4013, 0.3935]),
      item="E0.10 S0.12", by="1 - 0.95^10 and 1 - e^-0.5 by hand", atol=5e-5)
length = data.test.x.norm(dim=1)
claim("finite-data-digits-shell", "share of test digits in the outer 5 % of their own ball's radius",
      (length > 0.95 * length.max()).double().mean(), item="E0.10",
      by="a uniform law would give 0.96", at_most=0.05)

# %% [markdown]
# ## Where the mass is
#
# A Gaussian is not uniform either: its density is highest in the middle. Where are its draws?
#
# The squared length of $x\sim\mathcal N(0,I_d)$ is a sum of $d$ independent terms with mean 1 and variance 2, hence $d\pm\sqrt{2d}$, and the length itself is
# $\sqrt d\pm\tfrac1{\sqrt2}$: **a shell whose thickness does not grow with $d$** ({numref}`fig-finite-data-shell`). Exactly, $\lVert x\rVert$ follows the $\chi_d$ law with
#
# $$
# \mathbb E\lVert x\rVert=\sqrt2\,\frac{\Gamma\bigl(\tfrac{d+1}2\bigr)}{\Gamma\bigl(\tfrac d2\bigr)},\qquad
# \mathbb E\lVert x\rVert^2=d .
# $$ (eq-finite-data-chi)
#
# The density does what the length does. $\log p(x)=-\tfrac d2\log2\pi-\tfrac12\lVert x\rVert^2$ has mean $-H$, the negative entropy, and standard deviation
# $\sqrt{d/2}$. The mode, at the origin, lies $d/2$ nats above that mean: {value}`finite-data-mode-gap:.0f` nats in 784 dimensions, some twenty
# standard deviations. The densest point is one that no draw ever comes near. ({ref}`ch-generation` turns this into a test.) {item}`X0.3`

# %% tags=["hide-input"]
dims = (2, 20, 100, 784)
lengths = {d: torch.randn(10_000, d, generator=gen).norm(dim=1) for d in dims}
for d in (20, 784):
    mean, se = monte_carlo(lengths[d])
    exact = math.sqrt(2) * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))
    claim(f"finite-data-length-{d}", f"mean length of a standard Gaussian draw, d = {d}", mean, exact,
          item="X0.3", by="χ law: √2 Γ((d+1)/2)/Γ(d/2)", se=se, z=3)
    spread = lengths[d].std()
    claim(f"finite-data-spread-{d}", f"standard deviation of that length, d = {d}", spread,
          math.sqrt(d - exact**2), item="X0.3", by="√(d - mean²)", se=spread / math.sqrt(2 * 9_999), z=3)
log_p = -784 / 2 * math.log(2 * math.pi) - lengths[784] ** 2 / 2
gap, se = monte_carlo(-784 / 2 * math.log(2 * math.pi) - log_p)
claim("finite-data-mode-gap", "log density of the mode minus that of a draw, mean, d = 784",
      gap, 392, item="X0.3", by="d/2", se=se, z=3, unit="nats")
claim("finite-data-density-spread", "standard deviation of the log density, d = 784", log_p.std(),
      math.sqrt(392), item="X0.3", by="√(d/2)", se=log_p.std() / math.sqrt(2 * 9_999), z=3, unit="nats")

# %% mystnb={"figure": {"name": "fig-finite-data-shell", "caption": "Lengths of standard Gaussian draws in four dimensions (bars) with the \u03c7 density (lines). The bump moves right as the square root of the dimension and keeps its width."}, "image": {"alt": "Four histograms of length on one axis. In two dimensions it is broad near one and touches zero; in 20, 100 and 784 dimensions equally narrow bumps stand near 4.5, 10 and 28, far from zero."}} tags=["hide-input"]
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
# Two consequences reach every model with a Gaussian latent space. Two draws are almost orthogonal: the cosine between them has mean 0 and standard deviation
# exactly $1/\sqrt d$. And the straight line between them leaves the shell: the midpoint has the length of a draw *divided by* $\sqrt2$, where no draw lives. Whoever shows a
# path between two samples goes round instead, by spherical interpolation,
#
# $$
# \operatorname{slerp}(a,b;t)=\frac{\sin\bigl((1-t)\omega\bigr)\,a+\sin(t\omega)\,b}{\sin\omega},\qquad
# \cos\omega=\frac{a\cdot b}{\lVert a\rVert\,\lVert b\rVert}.
# $$ (eq-finite-data-slerp)

# %%
def slerp(a, b, t):
    """Spherical interpolation of rows: (n, d), (n, d), number -> (n, d)"""
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=1)
    omega = torch.arccos(cosine)[:, None]
    return (torch.sin((1 - t) * omega) * a + torch.sin(t * omega) * b) / torch.sin(
        omega
    )


# %% tags=["hide-input"]
a, b = (torch.randn(4000, 784, generator=gen) for _ in range(2))
low, high = stats.chi.ppf([0.005, 0.995], 784)  # 99 of 100 draws lie between


def inside(x):
    return ((x.norm(dim=1) > low) & (x.norm(dim=1) < high)).double().mean()


cosine = torch.nn.functional.cosine_similarity(a, b, dim=1)
claim("finite-data-cosine", "standard deviation of the cosine of two draws, d = 784", cosine.std(),
      1 / 28, item="X0.3", by="1/√d", se=cosine.std() / math.sqrt(2 * 3_999), z=3)
mean, se = monte_carlo(((a + b) / 2).norm(dim=1))
claim("finite-data-midpoint", "mean length of the midpoint of two draws, d = 784", mean,
      exact / math.sqrt(2), item="Q0.3", by="mean length of a draw / √2", se=se, z=3)
claim("finite-data-slerp", "midpoints in the shell that holds 99 % of draws: straight, spherical",
      torch.stack([inside((a + b) / 2), inside(slerp(a, b, 0.5))]), torch.tensor([0.0, 1.0]),
      item="Q0.3", by="χ law", atol=0.01)


# %% [markdown]
# ## What distances still say
#
# Take two independent points of the unit cube. Their squared distance is a sum of $d$ terms, each with mean $1/6$ and variance $7/180$: distances, too,
# concentrate, and the nearest of a thousand neighbours is hardly nearer than the farthest. A kernel estimate, which must tell near from far,
# then has nothing to go by ({ref}`sec-density-curse`).
#
# But that is the uniform law again. Real pixels depend on one another, and dependence brings neighbours back. The fair control is the digits
# with every pixel shuffled *across images*: each pixel keeps its own histogram, only the dependence is gone. How near is the nearest neighbour, relative to the
# mean distance ({numref}`fig-finite-data-neighbours`)?

# %%
def nearest_ratio(x):
    """Distance to the nearest other row over the mean distance, for every row: (n,
    d) -> (n,)"""
    away = torch.cdist(x, x)
    mean = away.sum(1) / (len(x) - 1)
    return away.fill_diagonal_(math.inf).min(1).values / mean


x = data.train.x  # (1077, 64)
order = torch.rand(x.shape, generator=gen).argsort(0)
shuffled = x.gather(0, order)  # same histograms, no dependence
cube = torch.rand(1077, 64, generator=gen)

# %% mystnb={"figure": {"name": "fig-finite-data-neighbours", "caption": "How near is the nearest neighbour? Digits have close neighbours; the same pixel values without dependence have hardly any, and uniform points of the same dimension have none. At one, all points would be equally far."}, "image": {"alt": "Three histograms of nearest over mean distance: digits spread around a third, shuffled digits are narrow around two thirds, uniform points lie still further right."}} tags=["hide-input"]
_, ax = plt.subplots(figsize=(6.5, 2.4))
bins = torch.linspace(0, 1, 61)
for points, name, colour in ((x, "digits", colors.data), (shuffled, "digits, pixels shuffled across images", colors.bad),
                             (cube, "uniform in the cube", colors.cycle[2])):
    ax.hist(nearest_ratio(points), bins=bins, color=colour, alpha=0.6, label=name)
ax.set(xlabel="nearest distance / mean distance, $d=64$", ylabel="points", xlim=(0, 1))
ax.legend(loc="upper left")
plt.show()

# %% tags=["hide-input"]
for d in (2, 784):
    square = (torch.rand(8000, d, generator=gen) - torch.rand(8000, d, generator=gen)).square().sum(1)
    mean, se = monte_carlo(square)
    claim(f"finite-data-distance-{d}", f"mean squared distance of two uniform points, d = {d}", mean, d / 6,
          item="Q0.3", by="d/6", se=se, z=3)
    wide, se = monte_carlo((square - d / 6) ** 2)
    claim(f"finite-data-distance-spread-{d}", f"variance of that squared distance, d = {d}", wide,
          7 * d / 180, item="Q0.3", by="7d/180", se=se, z=3)
claim("finite-data-neighbours", "nearest over mean distance, mean over points: digits against shuffled digits",
      nearest_ratio(x).mean() / nearest_ratio(shuffled).mean(), item="Q0.3",
      by="1 if dependence did not matter", at_most=0.65)

# %% [markdown]
# ## Inferring what is not seen
#
# A model that holds the dependence can fill in what is missing. The simplest is a Gaussian with the training digits' mean and covariance: given the upper half of
# an image, the best guess of the lower half is the conditional mean ({numref}`fig-finite-data-infer`)
#
# $$
# \mathbb E[x_{\text{low}}\mid x_{\text{up}}]=\mu_{\text{low}}+\Sigma_{\text{low},\text{up}}\Sigma_{\text{up},\text{up}}^{-1}(x_{\text{up}}-\mu_{\text{up}}) .
# $$ (eq-finite-data-infer)

# %%
mu = x.mean(0)
sigma = torch.cov(x.T) + 0.1 * torch.eye(64)  # three pixels are constant
up, low = slice(0, 32), slice(32, 64)
gain = sigma[low, up] @ torch.linalg.inv(sigma[up, up])            # (32, 32)
guess = mu[low] + (data.test.x[:, up] - mu[up]) @ gain.T           # (360, 32)

# %% mystnb={"figure": {"name": "fig-finite-data-infer", "caption": "Twelve test digits: as they are, with the lower half removed, and completed by a Gaussian from 1077 training digits."}, "image": {"alt": "Three rows of twelve small images: whole digits, the same with an empty lower half, and the same with a blurred but mostly plausible lower half."}} tags=["hide-input"]
whole = data.test.x[:12]
rows = torch.cat([whole, torch.cat([whole[:, up], torch.zeros(12, 32)], 1), torch.cat([whole[:, up], guess[:12]], 1)])
_, ax = plt.subplots(figsize=(7, 2))
image_grid(rows, ncols=12, ax=ax, vmin=0, vmax=16)
plt.show()

# %% tags=["hide-input"]
truth = data.test.x[:, low]
claim("finite-data-infer", "squared error of the completed half over that of the mean image, test digits",
      (guess - truth).square().mean() / (mu[low] - truth).square().mean(), item="S0.2",
      by="1 if the upper half said nothing", at_most=0.75)
claim("finite-data-infer-expected", "error per pixel: on test digits, over what the model itself expects",
      (guess - truth).square().mean() / (sigma[low, low] - gain @ sigma[up, low]).diagonal().mean(),
      1.0, item="S0.2", by="trace of the conditional covariance", rtol=0.1)


# %% [markdown]
# (sec-finite-data-structure)=
# ## Structure beats the curse
#
# Back to 784 black or white pixels. A table needs $2^{784}-1$ numbers. If the pixels are independent, 784 numbers suffice: $\theta_j=P(x_j=1)$, estimated by the share of
# ones $\hat\theta_j$. How far from the truth is that estimate after $m$ examples? Products split, $\mathrm{KL}(p_\theta\,\Vert\,p_{\hat\theta})=\sum_j\mathrm{KL}(\theta_j\,\Vert\,\hat\theta_j)$, and each
# term is $(\hat\theta_j-\theta_j)^2/\bigl(2\theta_j(1-\theta_j)\bigr)$ to second order, with mean $1/2m$. Hence
#
# $$
# \mathbb E\,\mathrm{KL}(p_\theta\,\Vert\,p_{\hat\theta})\approx\frac{d}{2m} .
# $$ (eq-finite-data-price)
#
# The same argument, with the Fisher information in place of $1/\theta(1-\theta)$, holds for every regular model with $P$ parameters: **$P/2m$ nats, half a nat per parameter and
# example**, however many states there are. {item}`X0.4`

# %%
def product_kl(theta, theta_hat):
    """KL between two laws of independent bits: (..., d), (..., d) -> (...,) nats"""
    ones = theta * (theta / theta_hat).log()
    zeros = (1 - theta) * ((1 - theta) / (1 - theta_hat)).log()
    return (ones + zeros).sum(-1)


theta = 0.2 + 0.6 * torch.rand(784, generator=gen)
sizes = [300, 1000, 3000, 10_000, 30_000]
fits = {
    m: torch.binomial(
        torch.full((200, 784), float(m)), theta.expand(200, 784), generator=gen
    )
    / m
    for m in sizes
}
price = {m: monte_carlo(product_kl(theta, fit)) for m, fit in fits.items()}


# %% [markdown]
# Below is the same law for twelve pixels, where a table can still be tried. The truth is a product again, so both models can represent it; the table merely does not know that
# the pixels are independent, and pays for $2^{12}-1$ parameters instead of 12 ({numref}`fig-finite-data-price`). {item}`E0.25`

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
    """KL to a table of 4096 cells, estimated from m examples (one half added to
    each count)."""
    counts = torch.bincount(
        torch.multinomial(cells, m, replacement=True, generator=gen), minlength=4096
    )
    return kl_discrete(cells, (counts + 0.5) / (m + 2048))


# %% mystnb={"figure": {"name": "fig-finite-data-price", "caption": "Price of estimation against the number of examples. Lines: half the number of parameters over the number of examples; points: measured. Twelve pixels in a table cost more than 784 pixels with structure."}, "image": {"alt": "Logarithmic axes. Two sets of points fall along straight lines of slope minus one for products of 784 and of 12 bits; the points of the 4096-cell table start below the highest line and join it from 30 000 examples on."}} tags=["hide-input"]
ms = [1000, 3000, 10_000, 30_000, 100_000, 300_000]
table_prices = torch.stack([torch.stack([table_price(m) for _ in range(4)]).mean() for m in ms])
few = [monte_carlo(product_kl(small, torch.binomial(torch.full((400, 12), float(m)), small.expand(400, 12),
                                                    generator=gen) / m))[0] for m in sizes]
_, ax = plt.subplots(figsize=(6, 3.2))
grid = torch.tensor([300.0, 300_000.0])
for number, colour, name in ((4095, colors.bad, "table, 12 pixels"), (784, colors.model, "product, 784 pixels"),
                             (12, colors.cycle[2], "product, 12 pixels")):
    ax.loglog(grid, number / (2 * grid), color=colour, lw=1)
    points = {4095: (ms, table_prices), 784: (sizes, [v[0] for v in price.values()]), 12: (sizes, few)}[number]
    ax.loglog(*points, "o", color=colour, label=name)
ax.set(xlabel="examples $m$", ylabel="divergence to the truth (nats)")
ax.legend()
plt.show()

# %% tags=["hide-input"]
claim("finite-data-price", "mean divergence of the fitted product, 784 pixels and 10⁴ examples",
      price[10_000][0], 784 / 20_000, item="X0.4 E0.25", by="d/2m", se=price[10_000][1], z=3, unit="nats", digits=3)
claim("finite-data-price-slope", "slope of its logarithm against that of m, 300 to 30 000 examples",
      math.log(price[30_000][0] / price[300][0]) / math.log(100), -1.0, item="X0.4", by="1/m", atol=0.01)
claim("finite-data-table-price", "divergence of the 4096-cell table over that of the product, 300 000 examples, 12 pixels",
      table_prices[-1] / (12 / 600_000), 4095 / 12, item="E0.25 X0.4", by="ratio of parameters", rtol=0.06)

# %% [markdown]
# Note what the law does not depend on: the number of states. Ten million examples would pin 784 independent pixels down to $784/(2\cdot10^7)$, forty millionths of a nat.
#
# The catch is the word *if*. The price of structure is the first term of {eq}`eq-finite-data-split`: if the pixels are not independent, the best product stays away from the
# truth by the **total correlation** $\sum_jH(x_j)-H(x)$, and no data will help. The digits' pixels are far from independent: in
# {ref}`ch-density` a chain of logistic regressions needs ten bits per binarised image less than independent pixels, after paying for its larger number of parameters. The art is
# to assume *true* structure: locality, hierarchy, a low-dimensional cause. Every architecture of the later parts is such an assumption.
#
# {item}`S0.16`
#
# :::{exercise-start} Q0.3 · Concentration of measure
# :label: q0-3
# :class: question
# :::
# {item}`Q0.3` How does the concentration of measure in high dimension affect a generative model's ability to capture the law of real data?
# :::{exercise-end}
# :::
#
# :::{solution-start} q0-3
# :label: q0-3-solution
# :class: dropdown
# :::
# In four ways, and for each there is an answer.
#
# **Density and typicality part.** Draws of $\mathcal N(0,I_d)$ have length $\sqrt d\pm0.7$ and log density $-H\pm\sqrt{d/2}$; the mode sits $d/2$ nats above them and is never
# drawn. Ranking by density, to find anomalies or to pick "the best" sample, fails accordingly; test typicality instead.
#
# **Distances flatten.** Between independent uniform points the relative spread of squared distances is $\sqrt{7d/180}\,/\,(d/6)=\sqrt{7/(5d)}$: in 784 dimensions about four per cent. Kernels
# and nearest neighbours see only that; with no structure the sample must grow exponentially ({ref}`sec-density-curse`).
#
# **Latent spaces are shells.** Straight paths leave them, spherical ones do not, and two random codes are orthogonal up to $1/\sqrt d$.
#
# **But concentration also helps.** An average over many coordinates or many examples hardly varies: it is why $\hat\theta$ is close to $\theta$, why the price of a parametric model is
# $P/2m$ and not $2^d/m$, and why held-out likelihoods can be trusted to a fraction of a nat. And it is a statement about laws *without* dependence. The cell repeats the digits'
# neighbour experiment as the dependence is mixed away: with each pixel taken from another image with probability $\lambda$, neighbours recede steadily.

# %%
shares = torch.tensor([0.0, 0.1, 0.25, 0.5, 1.0])
mixed = []
for share in shares:
    swap = torch.rand(x.shape, generator=gen) < share
    mixed.append(nearest_ratio(torch.where(swap, shuffled, x)).mean())
mixed = torch.stack(mixed)

# %% tags=["hide-input"]
claim("finite-data-mixing", "smallest rise of the ratio from one share of swapped pixels to the next",
      mixed.diff().min(), item="Q0.3", by="less dependence, farther neighbours", at_least=0.02)
claim("finite-data-relative-spread", "relative spread of squared distances, uniform points, d = 784",
      square.std() / square.mean(), math.sqrt(7 / (5 * 784)), item="Q0.3", by="√(7/5d)", rtol=0.03)


# %% [markdown]
# What rescues learning is therefore not more data but assumptions that are true.
# :::{solution-end}
# :::
#
# ## Exercises

# %% [markdown] ex={"id": "finite-data-shell", "role": "statement"}
# :::{exercise} How thick is the skin?
# :label: ex-finite-data-shell
#
# Turn {eq}`eq-finite-data-shell` round: return the thickness $\varepsilon$ of the outer shell of the unit ball in $\mathbb R^d$ that holds a given
# share $s\in(0,1)$ of the volume. It must be right to nine digits also for $s=10^{-12}$ and in a million dimensions.
#
# *Implement · about 10 minutes · 3 points*
# :::

# %% ex={"id": "finite-data-shell", "role": "stub"}
def shell_thickness(share, d):
    """Thickness of the outer shell of the unit d-ball that holds this share of its volume."""
    raise NotImplementedError("your code here")


# %% ex={"id": "finite-data-shell", "role": "check"} tags=["hide-input"]
def check_finite_data_shell():
    for d, share in ((1, 0.3), (2, 0.5), (10, 0.9), (784, 0.999)):
        eps = shell_thickness(share, d)
        assert 0 < eps < 1, "the shell is thinner than the ball's radius and thicker than nothing"
        assert math.isclose(1 - (1 - eps) ** d, share, rel_tol=1e-9), f"d = {d}: that shell does not hold the share {share}"
    for d in (3, 10**6):
        eps = shell_thickness(1e-12, d)
        assert math.isclose(d * eps, 1e-12, rel_tol=1e-9), "a tiny share: digits are lost in 1 - (1 - something tiny)"


_ = self_check("finite-data-shell", check_finite_data_shell)


# %% [markdown] ex={"id": "finite-data-unseen", "role": "statement"}
# :::{exercise} How much is new tomorrow?
# :label: ex-finite-data-unseen
#
# Good and Turing once more, for the next *two* examples. Given how often each outcome occurred among $n$ draws, estimate without bias the probability $\sum_x p(x)^2(1-p(x))^{n-2}$:
# that two fresh draws agree, on an outcome that the $n-2$ draws before them did not contain. It is a multiple of $n_2$, the number of outcomes that occur exactly twice; find the factor as in the proof of
# {prf:ref}`thm-finite-data-good-turing`.
#
# *Implement · about 15 minutes · 4 points*
# :::

# %% ex={"id": "finite-data-unseen", "role": "stub"}
def unseen_twin(counts):
    """counts (K,) of all outcomes, zeros included, sum n >= 2 -> unbiased estimate, a number"""
    raise NotImplementedError("your code here")


# %% ex={"id": "finite-data-unseen", "role": "check"} tags=["hide-input"]
def check_finite_data_unseen():
    for p, n in (([0.5, 0.3, 0.2], 4), ([0.7, 0.1, 0.1, 0.1], 5), ([0.5, 0.5], 2)):
        mean = 0.0
        for draws in itertools.product(range(len(p)), repeat=n):  # every sample there is, with its probability
            counts = torch.bincount(torch.tensor(draws), minlength=len(p))
            mean += math.prod(p[x] for x in draws) * unseen_twin(counts)
        truth = sum(q**2 * (1 - q) ** (n - 2) for q in p)
        assert math.isclose(mean, truth, rel_tol=1e-9), f"n = {n}: the mean over all samples is off by a factor {mean / truth:.3g}"


_ = self_check("finite-data-unseen", check_finite_data_unseen)


# %% [markdown] ex={"id": "finite-data-slerp", "role": "statement"}
# :::{exercise} Blending several codes
# :label: ex-finite-data-slerp
#
# A face generator blends the codes of $k$ people with weights $w_1,\dots,w_k\ge0$, not all zero. The codes are independent draws of $\mathcal N(0,I_d)$. Return a blend that is proportional to $\sum_iw_iz_i$ and is itself a
# draw of $\mathcal N(0,I_d)$: on the shell for every choice of weights, exactly.
#
# *Implement · about 15 minutes · 3 points*
# :::

# %% ex={"id": "finite-data-slerp", "role": "stub"}
def blend(codes, weights):
    """codes (n, k, d), weights (k,) -> (n, d)"""
    raise NotImplementedError("your code here")


# %% ex={"id": "finite-data-slerp", "role": "check"} tags=["hide-input"]
def check_finite_data_slerp():
    g = torch.Generator().manual_seed(3)
    for w in ([1.0], [0.5, 0.5], [1.0, 2.0, 2.0], [3.0, 0.0, 0.0, 0.0], [0.7, 0.2, 0.1]):
        weights = torch.tensor(w)
        z = torch.randn(4000, len(w), 16, generator=g)
        x = blend(z, weights)
        assert x.shape == (4000, 16), f"the blend of (4000, {len(w)}, 16) codes has shape {tuple(x.shape)}"
        cosine = torch.cosine_similarity(x, (weights[:, None] * z).sum(1), dim=1)
        assert (cosine > 1 - 1e-9).all(), "the blend does not point along the weighted sum"
        variance = x.var().item()
        assert abs(variance - 1) < 0.04, f"weights {w}: a coordinate has variance {variance:.2f}, not 1"
        assert x.norm(dim=1).std() > 0.5, "lengths of draws vary; these were forced to one value"


_ = self_check("finite-data-slerp", check_finite_data_slerp)


# %% [markdown] ex={"id": "finite-data-price", "role": "statement"}
# :::{exercise} The price, in logits
# :label: ex-finite-data-price
#
# Networks output logits, and logits may be large. Let bit $j$ be one with probability $\sigma(a_j)$ under the truth and $\sigma(b_j)$ under the model, with $\sigma(a)=1/(1+e^{-a})$. Return
# $\mathrm{KL}$ of the truth to the model in nats, for a batch, right for logits as large as $\pm1000$: no `nan`, no `inf`, no clipping.
#
# *Implement · about 20 minutes · 4 points*
# :::

# %% ex={"id": "finite-data-price", "role": "stub"}
def bits_kl(a, b):
    """Logits a, b (..., d) -> divergence (...,) in nats"""
    raise NotImplementedError("your code here")


# %% ex={"id": "finite-data-price", "role": "check"} tags=["hide-input"]
def check_finite_data_price():
    a, b = torch.tensor([0.0, 1.5, -2.0]), torch.tensor([0.5, -1.0, -2.0])
    states = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)))  # enumerate all eight images
    log_p = (states * a - torch.log1p(a.exp())).sum(1)
    log_q = (states * b - torch.log1p(b.exp())).sum(1)
    truth = (log_p.exp() * (log_p - log_q)).sum()
    got = bits_kl(a, b)
    assert got.shape == (), f"one pair of logit vectors gives one number, got shape {tuple(got.shape)}"
    swapped = (log_q.exp() * (log_q - log_p)).sum()
    assert not torch.isclose(got, swapped), "this is the divergence of the model to the truth"
    assert torch.isclose(got, truth, rtol=1e-10), f"enumeration of all images says {got / truth:.3g} times less"
    assert bits_kl(a.expand(5, 4, 3), b.expand(5, 4, 3)).shape == (5, 4), "leading axes are a batch"
    big = bits_kl(torch.tensor([1000.0, -1000.0]), torch.tensor([-1000.0, 1000.0]))
    assert torch.isclose(big, torch.tensor(2000.0)), f"two surprises of 1000 nats each: got {big.item()}"
    assert bits_kl(torch.tensor([1000.0, -800.0]), torch.tensor([900.0, -1000.0])).abs() < 1e-9, "sure of the same bits: 0"


_ = self_check("finite-data-price", check_finite_data_price)

# %% [markdown]
# ## What to read next
#
# - {cite:t}`good1953` is the paper behind the estimate of unseen mass; the idea is Turing's, and the proof takes one line, as here.
# - {cite:t}`vershynin2018`, chapter 3, has the concentration of Gaussian vectors with proofs; {cite:t}`beyer1999` asks when a nearest neighbour means anything.
# - {cite:t}`nalisnick2019typicality` turns the shell into a test for anomalies.
# - Next page: {ref}`ch-divergences`, on what "closest" should mean.
