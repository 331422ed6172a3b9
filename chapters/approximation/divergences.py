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
# (ch-divergences)=
# # What is the best approximation?
#
# After this page you will be able to
#
# - define the forward and the reverse Kullback–Leibler divergence, Jensen–Shannon, Fisher and Wasserstein-1, and compute each by
#   quadrature, in closed form or from samples;
# - say which of them maximum likelihood minimises, and prove what an exponential family then matches;
# - foretell which modes a model with too little capacity will cover, and what losing one costs;
# - solve optimal transport exactly on the line and between clouds of points, approximately for large ones, and say what a Wasserstein
#   distance buys and costs.

# %% tags=["hide-input"]
import itertools
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy import integrate, optimize

from genkit.claims import agree, claim, monte_carlo, self_check
from genkit.divergences import (
    js_discrete,
    js_quadrature,
    kl_gaussian,
    kl_quadrature,
    wasserstein_1d,
)
from genkit.live import slider_figure
from genkit.plot import colors, style
from genkit.train import seed_everything

style()
gen = seed_everything(0)
torch.set_default_dtype(torch.float64)
grid = torch.linspace(-30, 30, 6001)  # for all integrals over the line


# %% [markdown]
# ## Two hills, one Gaussian
#
# {item}`X0.1` The data come from two hills of equal weight, $p=\tfrac12\mathcal N(-3,1)+\tfrac12\mathcal N(3,1)$. Your model is a single Gaussian
# $q=\mathcal N(m,s^2)$. No setting is right. Which is best? {numref}`fig-divergences-best` shows five answers, each the optimum of a respectable
# criterion. On the left four of them stand between the hills, where hardly any data are, and one stands on a hill as if the other did not exist. On the
# right one hill weighs 0.7, and a second criterion has changed sides.

# %%
def log_normal(x, m, s):
    return -0.5 * ((x - m) / s) ** 2 - math.log(s) - 0.5 * math.log(2 * math.pi)


def hills(x, weight=0.5, a=3.0):
    """Log density of two hills at -a and a; the left one has this weight."""
    left = math.log(weight) + log_normal(x, -a, 1.0)
    right = math.log(1 - weight) + log_normal(x, a, 1.0)
    return torch.logaddexp(left, right)


def kl(log_p, log_q):  # log densities on the grid
    return torch.trapezoid(log_p.exp() * (log_p - log_q), grid)


def js(log_p, log_q):
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    return 0.5 * kl(log_p, log_m) + 0.5 * kl(log_q, log_m)


def w1(log_p, log_q):  # area between the distribution functions
    f, g = (torch.cumulative_trapezoid(d.exp(), grid) for d in (log_p, log_q))
    return torch.trapezoid((f - g).abs(), grid[1:])


# %%
def fisher(log_p, log_q):  # squared difference of the slopes
    slope_p, slope_q = (
        torch.gradient(d, spacing=(grid,))[0] for d in (log_p, log_q)
    )
    return torch.trapezoid(log_p.exp() * (slope_p - slope_q) ** 2, grid)


criteria = {
    "forward KL": kl,
    "reverse KL": lambda log_p, log_q: kl(log_q, log_p),
    "Jensen–Shannon": js,
    "Wasserstein-1": w1,
    "Fisher": fisher,
}
# starts on the right, in the middle, on the left
everywhere = ((2.5, 1.0), (0.0, 3.0), (-2.5, 1.0))


def best_gaussian(criterion, log_p, starts=everywhere):
    """Best (m, s, value) of searches over m and log s from each start"""

    def at(v):  # the criterion at m, log s
        return float(criterion(log_p, log_normal(grid, v[0], math.exp(v[1]))))

    fits = []
    for m, s in starts:
        found = optimize.minimize(
            at,
            x0=[m, math.log(s)],
            method="Nelder-Mead",
            options={"xatol": 1e-6, "fatol": 1e-11, "maxiter": 600},
        )
        fits.append((found.x[0], math.exp(found.x[1]), found.fun))
    return min(fits, key=lambda fit: round(fit[2], 6))


p, tilted = hills(grid), hills(grid, 0.7)
best = {name: best_gaussian(c, p) for name, c in criteria.items()}
best_tilted = {name: best_gaussian(c, tilted) for name, c in criteria.items()}

# %% tags=["hide-input"]
agree("divergences-kl-twin", kl(p, log_normal(grid, 1.0, 2.0)), kl_quadrature(p, log_normal(grid, 1.0, 2.0), grid))
agree("divergences-js-twin", js(p, log_normal(grid, 1.0, 2.0)), js_quadrature(p, log_normal(grid, 1.0, 2.0), grid))

# %% mystnb={"figure": {"name": "fig-divergences-best", "caption": "The best Gaussian for two hills by five criteria. Left, hills of equal weight: only the reverse divergence takes one hill and forgets the other. Right, hills of 0.7 and 0.3: Jensen\u2013Shannon has gone over to the heavier hill."}, "image": {"alt": "Two panels with a density of two hills each. On the left four nearly coinciding broad Gaussians are centred at zero, and one narrow Gaussian lies over the right hill at twice its height. On the right three broad Gaussians lean to the left, and two narrow ones coincide over the heavier left hill."}} tags=["hide-input"]
_, axes = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained", sharey=True)
near = (grid > -10) & (grid < 10)
looks = {"forward KL": ("-", 4), "reverse KL": ("-", 4), "Jensen–Shannon": ("--", 1.8), "Wasserstein-1": (":", 1.8), "Fisher": ("-.", 1.2)}
for ax, data, found, title in zip(axes, (p, tilted), (best, best_tilted), ("0.5 and 0.5", "0.7 and 0.3"), strict=True):
    ax.fill_between(grid[near], data[near].exp(), color=colors.muted, alpha=0.4, label="data")
    for (name, (m, s, _)), colour in zip(found.items(), colors.cycle, strict=False):
        dash, width = looks[name]
        ax.plot(grid[near], log_normal(grid[near], m, s).exp(), dash, lw=width, color=colour, alpha=0.5 if width == 4 else 1, label=name)
    ax.set(xlabel="$x$", title=f"hills of {title}")
axes[0].set_ylabel("density")
axes[0].get_figure().legend(*axes[0].get_legend_handles_labels(), fontsize=8, ncols=6, loc="outside lower center", columnspacing=1)
plt.show()

# %% [markdown]
# ## Forward: what maximum likelihood does
#
# {item}`S0.7` The **Kullback–Leibler divergence** of the data $p$ to the model $q$ is
#
# $$
# \begin{aligned}
# \mathrm{KL}(p\,\Vert\,q)&=\mathbb E_p\Bigl[\log\frac{p(x)}{q(x)}\Bigr]\\
# &=-H(p)-\mathbb E_p[\log q(x)]\;\ge\;0,
# \end{aligned}
# $$ (eq-divergences-kl)
#
# with equality only for $p=q$. The entropy does not depend on the model, so minimising it over $\theta$ is maximising $\mathbb E_p[\log q_\theta]$. It is
# *not* symmetric: in general $\mathrm{KL}(p\Vert q)\ne\mathrm{KL}(q\Vert p)$, though there are pairs where both agree. {item}`E0.29` (Two
# Gaussians of variance one at distance $t$ have $t^2/2$ both ways.)
#
# {item}`S0.8` Of $p$ we have a sample. Replacing the expectation by its mean gives **maximum likelihood**,
#
# $$
# \hat\theta=\arg\max_\theta\frac1n\sum_{i=1}^n\log q_\theta(x_i),
# $$ (eq-divergences-mle)
#
# which needs samples of the data and densities of the model, nothing else.
#
# :::{prf:theorem} Moment matching
# :label: thm-divergences-moments
# Let $q_\eta(x)=h(x)\exp\bigl(\eta\cdot T(x)-A(\eta)\bigr)$ be an exponential family. If $\mathrm{KL}(p\,\Vert\,q_\eta)$ has a minimum in the interior
# of the parameters, it is the one where $\mathbb E_{q_\eta}[T]=\mathbb E_p[T]$.
# :::
#
# :::{prf:proof}
# $\nabla_\eta\mathrm{KL}(p\,\Vert\,q_\eta)=-\mathbb E_p[T]+\nabla A(\eta)$, and differentiating $\int q_\eta=1$ gives
# $\nabla A(\eta)=\mathbb E_{q_\eta}[T]$. At an interior minimum the gradient vanishes. Since $A$ is convex, every point where it vanishes is a minimum.
# :::
#
# For a Gaussian $T=(x,x^2)$: the best one has the data's mean and variance, here $0$ and $1+3^2$.

# %% tags=["hide-input"]
m, s, value = best["forward KL"]
claim("divergences-forward", "best Gaussian by forward divergence: mean and standard deviation",
      torch.tensor([abs(m), s]).round(decimals=4), torch.tensor([0.0, math.sqrt(10)]),
      by="moments: 0 and 1 + 9", atol=1e-3)
entropy = -torch.trapezoid(p.exp() * p, grid)
claim("divergences-forward-value", "its divergence", value, 0.5 * math.log(2 * math.pi * math.e * 10) - entropy, item="X0.1",
      by="Gaussian entropy with the data's variance, minus the data's entropy", atol=1e-6, unit="nats")
t = 1.7
both = torch.stack([kl(log_normal(grid, 0.0, 1.0), log_normal(grid, t, 1.0)), kl(log_normal(grid, t, 1.0), log_normal(grid, 0.0, 1.0))])
claim("divergences-symmetric-case", "both divergences between N(0, 1) and N(1.7, 1)", both,
      torch.full((2,), t**2 / 2), item="E0.29", by="t²/2", atol=1e-9, unit="nats")
claim("divergences-asymmetric", "KL(N(0,1)‖N(0,4)) and the reverse",
      torch.stack([kl(log_normal(grid, 0.0, 1.0), log_normal(grid, 0.0, 2.0)), kl(log_normal(grid, 0.0, 2.0), log_normal(grid, 0.0, 1.0))]),
      torch.stack([kl_gaussian([0.0], [[1.0]], [0.0], [[4.0]]), kl_gaussian([0.0], [[4.0]], [0.0], [[1.0]])]),
      item="E0.29", by="closed form", atol=1e-6, unit="nats")
draws = torch.where(torch.rand(40_000, generator=gen) < 0.5, -3.0, 3.0) + torch.randn(40_000, generator=gen)
mean, se = monte_carlo(hills(draws) - log_normal(draws, m, s))
claim("divergences-sampled", "forward divergence from 40 000 samples of the data", mean, value, item="S0.8", by="quadrature", se=se, z=3, unit="nats")
theirs = m + s * torch.randn(40_000, generator=gen)
mean, se = monte_carlo(hills(theirs) - log_normal(theirs, m, s))
claim("divergences-sampled-wrong", "the same mean over samples of the model", mean, -kl(log_normal(grid, m, s), p), item="S0.8 Q0.1",
      by="minus the reverse divergence, by quadrature", se=se, z=3, unit="nats")


# %% [markdown]
# :::{admonition} Common mistake: Maximum likelihood minimises the divergence of the empirical distribution to the model
# :class: mistake
# {item}`E0.7` For a discrete model it does. For a density and the empirical distribution $\hat p$, $\mathrm{KL}(\hat p\,\Vert\,q)=+\infty$ for *every* $q$, since $\hat p$ sits on points that have
# probability zero, and there is nothing to compare. What is minimised is the cross-entropy $-\tfrac1n\sum\log q(x_i)$, which stays finite. In the cell
# the line is cut into bins of width $\delta$. The divergence of the points' bins to the model's grows like $\log\tfrac1\delta$. What is left without
# that growth is the cross-entropy, minus $\log n$.
# :::

# %% tags=["hide-input"]
def normal_cdf(x, m=0.0, s=1.0):
    return torch.special.ndtr((x - m) / s)


points, widths = draws[:20], torch.tensor([1e-5, 1e-7, 1e-9])
binned = []
for delta in widths:
    bins, counts = (points / delta).floor().unique(return_counts=True)
    mass = normal_cdf((bins + 1) * delta, s=3.0) - normal_cdf(bins * delta, s=3.0)  # the model's, of each bin
    share = counts / 20
    binned.append((share * (share / mass).log()).sum())
binned = torch.stack(binned)
claim("divergences-empirical", "growth of the divergence of 20 points to N(0, 9) when bins get a hundred times finer",
      binned.diff(), torch.full((2,), math.log(100)), item="E0.7 S0.8", by="log 100, for ever", atol=1e-3, unit="nats")
claim("divergences-cross-entropy", "divergence + log δ + log 20, at the three widths", binned + widths.log() + math.log(20),
      -log_normal(points, 0.0, 3.0).mean().expand(3), item="E0.7", by="minus the mean log density, up to δ", atol=1e-3, unit="nats")

# %% [markdown]
# A cousin compares slopes of log densities, the **scores**, in place of values. The **Fisher divergence** is $\mathbb E_p\bigl[\bigl((\log p)'-(\log q)'\bigr)^2\bigr]$. For a Gaussian model
# $(\log q)'=-(x-m)/s^2$, and integration by parts turns the mixed term into $2\,\mathbb E_p[(\log p)'(x-m)]/s^2=-2/s^2$. What remains,
#
# $$
# \mathbb E_p\bigl[(\log p)'^2\bigr]-\frac2{s^2}+\frac{\mathbb E_p[(x-m)^2]}{s^4},
# $$ (eq-divergences-fisher)
#
# is least at the data's mean and variance too. Integrating by parts is also how it is minimised from samples (**score matching**), since
# $(\log p)'$ has left every term that depends on the model {cite:p}`hyvarinen2005`; the normaliser of $q$ never enters. Diffusion models ({ref}`ch-families`) rest on it.

# %% tags=["hide-input"]
m, s, value = best["Fisher"]
claim("divergences-fisher", "best Gaussian by the Fisher divergence: mean and deviation", torch.tensor([abs(m), s]).round(decimals=4),
      torch.tensor([0.0, math.sqrt(10)]), item="X0.1", by="the same moments", atol=1e-3)
steep = torch.trapezoid(p.exp() * (-grid + 3 * (3 * grid).tanh()) ** 2, grid)
claim("divergences-fisher-value", "its divergence", value, steep - 1 / 10,
      by="E_p (log p)'² - 1/variance, with (log p)' = -x + 3 tanh 3x", atol=1e-4)


# %% [markdown]
# ## Reverse: what variational inference does
#
# Turn the arguments round, $\mathrm{KL}(q\,\Vert\,p)=\mathbb E_q[\log q-\log p]$. Now the model is punished where *it* has mass and the data have none,
# and not at all where the data have mass that it ignores: the reverse divergence is **mode-seeking**, the forward one **mode-covering**. It needs samples of $q$ and, up to a factor, the density $p$: not a way to learn from data, but one to
# approximate a known density, which is what variational inference does. At its minimum a Gaussian satisfies two equations {cite:p}`opper2009`,
#
# $$
# \mathbb E_q[(\log p)']=0,\qquad -s^2\,\mathbb E_q[(\log p)'']=1,
# $$ (eq-divergences-reverse)
#
# slope and curvature of $\log p$ averaged *under the model*. For with $x=m+sz$, $z$ standard normal, $\mathbb E_q[\log p]$ grows with $m$ at the rate $\mathbb E_q[(\log p)']$ and with
# $s$ at the rate $\mathbb E[z\,(\log p)'(m+sz)]=s\,\mathbb E_q[(\log p)'']$ (by parts, since $z\varphi=-\varphi'$); shift $q$ and the entropy stays, stretch it and the entropy grows at the
# rate $1/s$. For the two equal
# hills $(\log p)'=-x+3\tanh3x$ and $(\log p)''=-1+9/\cosh^23x$, and three solutions of the equations are minima: one on each hill, and a
# third, worse one in the middle, $m=0$ and $s=2.74$. Where a search starts decides where it ends.
#
# Which is best depends on the distance: a lost hill costs at most $\log2$, the middle more the deeper the gap. For hills at $\pm2$ even a search from a
# hill ends in the middle, and at $\pm2.5$ the middle is still best.

# %%
def stationarity(m, s):
    """Both sides of the two equations, 0 and 1 at a stationary point"""
    q = log_normal(grid, m, s).exp()
    slope = -grid + 3 * (3 * grid).tanh()
    bend = -1 + 9 / (3 * grid).cosh() ** 2
    mean_slope = torch.trapezoid(q * slope, grid)
    return torch.stack([mean_slope, -(s**2) * torch.trapezoid(q * bend, grid)])


reverse = criteria["reverse KL"]
right, middle, left = (
    best_gaussian(reverse, p, [start]) for start in everywhere
)

# %% tags=["hide-input"]
m, s, value = best["reverse KL"]
claim("divergences-reverse-stationary", "both sides of the equations at the right, middle and left optimum",
      torch.stack([stationarity(*fit[:2]) for fit in (right, middle, left)]).round(decimals=4), torch.tensor([0.0, 1.0]).expand(3, 2),
      item="X0.1 Q0.1", by="stationarity, derived by hand", atol=1e-3)
claim("divergences-reverse", "mean and standard deviation of the best: one hill", torch.tensor([m, s]), torch.tensor([3.0, 1.0]),
      item="X0.1 Q0.1", by="the right hill, up to the pull of the other", atol=0.03)
claim("divergences-reverse-two", "the left optimum: its mean, and its divergence minus the right's",
      torch.tensor([left[0], left[2] - right[2]]).round(decimals=4), torch.tensor([-right[0], 0.0]), item="Q0.1", by="symmetry", atol=1e-3)
claim("divergences-reverse-value", "reverse divergence at either", value, math.log(2),
      by="log 2, the price of half the mass, up to the overlap", atol=0.01, unit="nats")
width = optimize.brentq(lambda s: float(stationarity(0.0, s)[1]) - 1, 2.0, 4.0)
claim("divergences-reverse-middle", "the middle optimum: mean and deviation", torch.tensor([abs(middle[0]), middle[1]]).round(decimals=4),
      torch.tensor([0.0, width]), item="X0.1 Q0.1", by="symmetry; root of the second equation at m = 0", atol=1e-3)
around = [float(reverse(p, log_normal(grid, middle[0] + da, middle[1] + db))) for da, db in itertools.product((-0.1, 0, 0.1), repeat=2) if (da, db) != (0, 0)]
claim("divergences-reverse-middle-local", "least rise of the divergence from the middle optimum to eight neighbours at 0.1",
      min(around) - middle[2], item="Q0.1", by="0.0007 sideways, half its second derivative times 0.01: a minimum, if a flat one",
      at_least=3e-4, at_most=2e-3, unit="nats", digits=2)
nodes, weights = np.polynomial.hermite_e.hermegauss(120)


def in_the_middle(a):  # reverse divergence of the best N(0, s²), hills at ±a
    def at(s):
        log_p = -((s * nodes) ** 2) / 2 - a**2 / 2 + np.logaddexp(a * s * nodes, -a * s * nodes) - math.log(2)
        return -math.log(s) - 0.5 - weights @ log_p / weights.sum()

    return optimize.minimize_scalar(at, bounds=(1, 2 * a), method="bounded", options={"xatol": 1e-8}).fun


near = {a: [best_gaussian(reverse, hills(grid, a=a), [start]) for start in ((a, 1.0), (0.0, a))] for a in (2.0, 2.5)}
claim("divergences-reverse-near", "hills at ±2 and ±2.5: best mean and divergence", torch.tensor([min(fits, key=lambda fit: fit[2])[::2] for fits in near.values()]),
      torch.tensor([[0.0, in_the_middle(a)] for a in near]), item="Q0.1", by="Gauss–Hermite quadrature at m = 0: below log 2", atol=2e-3, digits=3)
claim("divergences-reverse-near-hill", "where a search from the right hill ends, at ±2 and ±2.5", torch.tensor([fits[0][0] for fits in near.values()]).round(decimals=3),
      torch.tensor([0.0, 2.386]), item="Q0.1", by="the middle; a hill that is not the best, by another grid and search", atol=2e-3)
claim("divergences-reverse-middle-worse", "its divergence minus that on a hill", middle[2] - value,
      by="positive: only a local optimum", at_least=0.1, at_most=0.2, unit="nats", digits=3)

# %% [markdown]
# :::{admonition} Common mistake: Minimising the forward divergence collapses onto one mode
# :class: mistake
# {item}`E0.1 S0.13` It is often said that a model which minimises $\mathrm{KL}(p_{\text{data}}\,\Vert\,p_\theta)$ may put all its mass on a single
# mode, to avoid the penalty for low probability on the support of the data. The opposite is true. That penalty,
# $-\mathbb E_p\log q$, grows without limit where the model gives the data little probability, and *forces* coverage. It is
# the reverse divergence that concentrates. In the cell a Gaussian on the right hill costs more and more the narrower it is. Even with its mean
# nailed to that hill, the best width is $\sqrt{19}$: wide enough to reach over to the other.
# :::

# %% tags=["hide-input"]
narrow = torch.stack([kl(p, log_normal(grid, 3.0, width)) for width in (1.0, 0.5, 0.2, 0.1)])
closed = torch.tensor([0.5 * (2 + 36) / (2 * w**2) + math.log(w) + 0.5 * math.log(2 * math.pi) for w in (1.0, 0.5, 0.2, 0.1)]) - entropy
claim("divergences-collapse", "forward divergence of N(3, s²) for s = 1, 0.5, 0.2, 0.1", narrow,
      closed, item="E0.1", by="E_p (x - 3)² = 19: closed form", rtol=1e-6, unit="nats")
nailed = optimize.minimize_scalar(lambda s: float(kl(p, log_normal(grid, 3.0, s))), bounds=(0.5, 10), method="bounded")
claim("divergences-collapse-best", "mean nailed to the right hill: best deviation, and its divergence over the optimum's",
      torch.tensor([nailed.x, nailed.fun / best["forward KL"][2]]), torch.tensor([math.sqrt(19), 1 + 0.5 * math.log(1.9) / best["forward KL"][2]]),
      item="E0.1", by="E_p (x - 3)² = 19; excess ½ log(19/10) nats", rtol=1e-4)
inside = {name: log_normal(grid, *best[name][:2]) for name in ("forward KL", "reverse KL")}
ratio = torch.stack([(inside[n] - p).exp()[3000] for n in inside])
claim("divergences-gap", "density at 0, between the hills, over the data's: forward fit, reverse fit", ratio,
      torch.tensor([math.exp(4.5) / math.sqrt(10), math.exp(4.5 - 0.5 * (2.98431 / 1.02337) ** 2) / 1.02337]), item="Q0.1",
      by="densities by hand: φ(3) of the data, φ(m/s)/s of N(0, 10) and N(2.984, 1.023²)", rtol=1e-3, digits=3)

# %% [markdown]
# All this is about wrong models. If $p$ is in the family, every criterion is minimised by $p$ itself, and the choice matters for the way there: examples, computation,
# and where a search gets stuck. In the cell a mixture of two Gaussians starts on one of two hills at $\pm5$: by forward divergence it finds both, by reverse it stays.

# %% tags=["hide-input"]
single = log_normal(grid, 1.0, 1.5)
found = torch.tensor([best_gaussian(c, single, [(0.0, 1.0)])[:2] for c in criteria.values()])
claim("divergences-well-specified", "mean and deviation found by all five criteria, from N(0, 1), when the data are N(1, 1.5²)", found,
      torch.tensor([1.0, 1.5]).expand(5, 2), item="Q0.1", by="the truth is in the family", atol=1e-3, digits=3)
coarse, at_five = grid[::10], hills(grid[::10], a=5.0)


def two_gaussians(v):  # log odds, means, log deviations
    weighted = torch.nn.functional.logsigmoid(torch.stack([v[0], -v[0]]))
    return torch.logaddexp(*(weighted[k] + log_normal((coarse - v[1 + k]) / v[3 + k].exp(), 0.0, 1.0) - v[3 + k] for k in (0, 1)))


both = torch.tensor([[0.0, 4.8, 5.2, 0.0, 0.1]]).repeat(2, 1).requires_grad_()
adam = torch.optim.Adam([both], lr=0.02)
for _ in range(2000):
    f, r = two_gaussians(both[0]), two_gaussians(both[1])
    values = torch.stack([torch.trapezoid(at_five.exp() * (at_five - f), coarse), torch.trapezoid(r.exp() * (r - at_five), coarse)])
    adam.zero_grad()
    values.sum().backward()
    adam.step()
claim("divergences-well-specified-stuck", "mixtures of two Gaussians, both started on the right one of hills at ±5: forward and reverse divergence after 2000 steps",
      values.detach(), torch.tensor([0.0, math.log(2)]), item="Q0.1", by="0 at the truth; log 2 with one hill lost", atol=1e-3, digits=3)

# %% [markdown]
# ## Jensen–Shannon: a compromise that saturates
#
# {item}`S0.9` Compare both distributions with their mixture $M=\tfrac12(p+q)$:
#
# $$
# \mathrm{JS}(p,q)=\tfrac12\mathrm{KL}(p\,\Vert\,M)+\tfrac12\mathrm{KL}(q\,\Vert\,M)\;\le\;\log2 .
# $$ (eq-divergences-js)
#
# It is symmetric and always finite. It is also the information that one draw gives on which of the two distributions it came from: if a fair coin chose,
# the probability that $x$ came from $p$ is $p(x)/(p(x)+q(x))=p(x)/2M(x)$, and $\mathrm{JS}$ is the mean logarithm of twice the probability of the right
# answer. So a classifier can measure it, and that is how it enters generative adversarial networks ({ref}`ch-adversarial`). The bound is also its weakness:
# distributions that hardly overlap are all about $\log2$ apart, whether near or far. Its best Gaussian is a *compromise*: for these hills it
# covers, like the forward one; make one weigh 0.7 and it jumps onto that hill, like the reverse one ({numref}`fig-divergences-best`, right). So it
# does for equal hills at $\pm5$: one lost costs $\tfrac34\log\tfrac43$ nats, covering more.

# %% tags=["hide-input"]
m, s, value = best["Jensen–Shannon"]
q = log_normal(grid, m, s)
against = q - torch.logaddexp(p, q) + math.log(2)                   # log q / M
pull = torch.stack([torch.trapezoid(q.exp() * d * against, grid) for d in ((grid - m) / s**2, (grid - m) ** 2 / s**3 - 1 / s)])
claim("divergences-js-optimum", "its best Gaussian for equal hills: derivatives by mean and deviation", pull.abs().round(decimals=4), torch.zeros(2),
      item="X0.1 S0.9", by="E_q[∇log q · log q/M] = 0 at a stationary point", atol=1e-3)
other = m + s * torch.randn(40_000, generator=gen)
logits = torch.cat([hills(draws) - log_normal(draws, m, s), log_normal(other, m, s) - hills(other)])  # log odds of the right answer
mean, se = monte_carlo(math.log(2) + torch.nn.functional.logsigmoid(logits))
claim("divergences-js-information", "its JS, as what 80 000 draws tell about the distribution they come from", mean, value, item="S0.9",
      by="quadrature of the definition", se=se, z=3, unit="nats")
claim("divergences-js-covers", "its deviation", s, item="X0.1", by="it covers: far above one hill's 1, just below the data's 3.162",
      at_least=3.0, at_most=3.162, digits=3)
on_hill = best_gaussian(js, p, [everywhere[0]])
claim("divergences-js-hill", "equal hills, its local optimum on the right hill over the covering one", on_hill[2] / value, item="X0.1",
      by="above 1: the compromise covers", at_least=1.5, at_most=1.8, digits=3)
apart = [[best_gaussian(js, hills(grid, a=a), [start]) for start in ((a, 1.0), (0.0, a))] for a in (4.0, 5.0)]
claim("divergences-js-price", "hills at ±4 and ±5: JS of its best Gaussian on a hill", torch.tensor([on[2] for on, _ in apart]),
      torch.full((2,), 0.75 * math.log(4 / 3)), item="X0.1", by="(3/4) log(4/3), up to the overlap", atol=2e-4, unit="nats")
claim("divergences-js-distance", "the same, covering: over that", torch.tensor([across[2] / on[2] for on, across in apart]), torch.tensor([0.2010 / 0.2157, 0.2554 / 0.2158]),
      item="X0.1", by="another grid and search: it covers at ±4, not at ±5", atol=2e-3, digits=3)
m, s, value = best_tilted["Jensen–Shannon"]
covering = best_gaussian(js, tilted, [everywhere[1]])
claim("divergences-js-flips", "its best Gaussian for hills of 0.7 and 0.3", torch.tensor([m, s]),
      torch.tensor([-3.0, 1.0]), by="the heavier hill", atol=0.05, digits=3)
claim("divergences-js-flips-value", "there, its covering local optimum over the hill's", covering[2] / value, item="X0.1",
      by="above 1: the compromise gives up a hill", at_least=1.05, at_most=1.2, digits=3)
claim("divergences-forward-tilted", "while forward divergence and Fisher keep the moments",
      torch.tensor([best_tilted[n][:2] for n in ("forward KL", "Fisher")]), torch.tensor([-1.2, math.sqrt(1 + 9 - 1.44)]).expand(2, 2),
      item="X0.1", by="mean and variance of the mixture", atol=1e-3)

# %% [markdown]
# :::{admonition} Common mistake: The Jensen–Shannon divergence is a metric
# :class: mistake
# {item}`E0.8` It is symmetric, but it breaks the triangle inequality.
# Its *square root* is a metric {cite:p}`endres2003`. (The symmetrised divergence proper, $\mathrm{KL}(p\Vert q)+\mathrm{KL}(q\Vert p)$, is Jeffreys'; it is
# unbounded.) In the cell three coins suffice: one that never shows heads, a fair one, one that always does.
# :::

# %% tags=["hide-input"]
never, fair, always = (torch.tensor([1 - h, h]) for h in (0.0, 0.5, 1.0))
long, first, second = js_discrete(never, always), js_discrete(never, fair), js_discrete(fair, always)
claim("divergences-triangle", "JS from never to always, and by way of the fair coin", torch.stack([long, first + second]),
      torch.tensor([math.log(2), 1.5 * math.log(4 / 3)]), item="E0.8", by="log 2 and (3/2) log(4/3): shorter", atol=1e-9)
claim("divergences-root", "the same for the square roots: detour minus direct way", first.sqrt() + second.sqrt() - long.sqrt(),
      2 * math.sqrt(0.75 * math.log(4 / 3)) - math.sqrt(math.log(2)), item="E0.8", by="positive: the detour is longer", atol=1e-9)

# %% [markdown]
# ## Wasserstein: how far the mass must go
#
# {item}`S0.10` The divergences so far compare densities (Kullback–Leibler and Jensen–Shannon, two **f-divergences**) or their slopes (Fisher) point by point; none measures how far apart points are. Transport does. A **coupling**
# $\gamma\in\Pi(p,q)$ is a joint distribution with marginals $p$ and $q$, a plan that says where each bit of mass goes, and the **Wasserstein-1**
# or **earth mover's distance** is
#
# $$
# \begin{aligned}
# W_1(p,q)&=\inf_{\gamma\in\Pi(p,q)}\mathbb E_{(x,y)\sim\gamma}\lVert x-y\rVert\\
# &=\sup_{\lVert f\rVert_{\mathrm{Lip}}\le1}\mathbb E_p[f]-\mathbb E_q[f] .
# \end{aligned}
# $$ (eq-divergences-w1)
#
# The second form is the duality of Kantorovich and Rubinstein. One half is immediate: for any coupling and any $f$ of slope at most one,
# $\mathbb E_p f-\mathbb E_qf=\mathbb E_\gamma[f(x)-f(y)]$, which is at most $\mathbb E_\gamma\lVert x-y\rVert$. The other half, that nothing is lost, is the
# duality of linear programmes {cite:p}`peyre2019`. It is the ground of every critic in {ref}`ch-critics`.
#
# :::{prf:theorem} Transport on the line
# :label: thm-divergences-line
# For distributions on the line with finite means and distribution functions $F$ and $G$
#
# $$
# \begin{aligned}
# W_1&=\int_0^1|F^{-1}(u)-G^{-1}(u)|\,du\\
# &=\int|F-G|\,dx,
# \end{aligned}
# $$ (eq-divergences-line)
#
# and the plan that keeps the order, each quantile to the same quantile, is a best one.
# :::
#
# :::{prf:proof}
# The two integrals are the area between the same two graphs ({numref}`fig-divergences-line`); the first is the cost of the plan that keeps the order.
# For the function $f$ with slope $f'=\operatorname{sign}(G-F)$, integration by parts gives
#
# $$
# \mathbb E_p[f]-\mathbb E_q[f]=\int f'\,(G-F)\,dx=\int|F-G|\,dx .
# $$
#
# No plan costs less than any such $f$ earns. Here a plan and an $f$ have the same value, so neither can be improved.
# :::

# %% mystnb={"figure": {"name": "fig-divergences-line", "caption": "Wasserstein-1 on the line is the area between the distribution functions. Read across, it is the mean length of the arrows, each of which moves a quantile of the data to the same quantile of the model."}, "image": {"alt": "Two rising curves from zero to one, the data with two ramps and the model with one, the area between them shaded, with horizontal arrows from the first curve to the second."}} tags=["hide-input"]
across = torch.linspace(-7, 7, 701)
data_cdf = 0.5 * (normal_cdf(across, -3.0) + normal_cdf(across, 3.0))
model_cdf = normal_cdf(across, 1.0, 2.0)
_, ax = plt.subplots(figsize=(6, 2.8))
ax.fill_between(across, data_cdf, model_cdf, color=colors.muted, alpha=0.3, label="area $W_1$")
ax.plot(across, data_cdf, color=colors.data, label="$F$, two hills")
ax.plot(across, model_cdf, color=colors.model, label="$G$, a Gaussian")
for u in torch.linspace(0.05, 0.95, 11):
    x0, x1 = (float(across[torch.searchsorted(cdf, u)]) for cdf in (data_cdf, model_cdf))
    if abs(x1 - x0) > 0.25:
        ax.annotate("", (x1, u), (x0, u), arrowprops={"arrowstyle": "->", "color": colors.bad})
ax.set(xlabel="$x$", ylabel="share below $x$")
ax.legend(loc="upper left")
plt.show()


# %% [markdown]
# For two samples of equal size the rule is: sort both and average the distances. Between two clouds of $n$ points in any dimension a best plan is a
# permutation, found exactly by the assignment algorithm in $O(n^3)$ operations.

# %%
def w1_line(x, y):
    """Exact distance of two samples of equal size on the line."""
    return (x.sort().values - y.sort().values).abs().mean()


def w1_points(x, y):
    """Exact distance of two clouds of n points: (n, d), (n, d) -> number"""
    cost = torch.cdist(x, y)
    rows, columns = optimize.linear_sum_assignment(cost.numpy())
    return cost[rows, columns].mean()


def sinkhorn(cost, eps, rounds=2000):
    """Plan (n, m), uniform marginals, of least <plan, cost> - eps H(plan)"""
    n, m = cost.shape
    f, g = torch.zeros(n), torch.zeros(m)
    for _ in range(rounds):  # in logarithms: exp(-cost/eps) would underflow
        f = -eps * (torch.logsumexp((g - cost) / eps, 1) + math.log(n))
        g = -eps * (torch.logsumexp((f[:, None] - cost) / eps, 0) + math.log(m))
    return torch.exp((f[:, None] + g - cost) / eps)


# %% [markdown]
# **Sinkhorn's algorithm** subtracts $\varepsilon$ times the plan's entropy $H(P)=-\sum P_{ij}\log P_{ij}$ from the cost. With multipliers $f_i$ and $g_j$ for the two marginals the
# derivative by $P_{ij}$ vanishes where $C_{ij}+\varepsilon(\log P_{ij}+1)=f_i+g_j$. So the best plan has the form $P_{ij}=e^{(f_i+g_j-C_{ij})/\varepsilon}$ (the constant goes into $f$). For
# given $g$ the rows sum to $1/n$ if $f_i=-\varepsilon\log\bigl(n\sum_je^{(g_j-C_{ij})/\varepsilon}\bigr)$, likewise the columns for given $f$; doing this in turn finds the plan: a pair of alternating normalisations,
# differentiable and parallel {cite:p}`cuturi2013`. Its plan is at most $\varepsilon\log n$ more expensive than the best one: by optimality
# $\langle P_\varepsilon,C\rangle-\varepsilon H(P_\varepsilon)$ is at most $\langle P^*,C\rangle-\varepsilon H(P^*)$, and entropies of plans lie between
# $\log n$ and $2\log n$.

# %% tags=["hide-input"]
a, b = torch.randn(200, generator=gen), torch.randn(200, generator=gen) * 2 + 1
agree("divergences-w1-twin", w1_line(a, b), wasserstein_1d(a, b))
claim("divergences-line-points", "sorting and assignment on the line", w1_line(a, b),
      w1_points(a[:, None], b[:, None]), by="the order-keeping plan is the best", atol=1e-9)
u, v = torch.randn(7, 2, generator=gen), torch.randn(7, 2, generator=gen) + 1
cost = torch.cdist(u, v)
brute = min(cost[range(7), list(order)].mean() for order in itertools.permutations(range(7)))
claim("divergences-assignment", "assignment of seven points in the plane", w1_points(u, v), brute, item="S0.10", by="all 5040 permutations", atol=1e-12)
pool = torch.cat([a, b]).sort().values
below_a, below_b = (torch.searchsorted(v.sort().values, pool[:-1], right=True) / 200 for v in (a, b))
rise = torch.sign(below_b - below_a) * pool.diff()  # f' = sign(G - F) between neighbouring points
f = torch.cat([torch.zeros(1), rise.cumsum(0)])
earned = f[torch.searchsorted(pool, a)].mean() - f[torch.searchsorted(pool, b)].mean()
claim("divergences-dual-line", "what the function of the proof earns on the same samples", earned,
      w1_line(a, b), by="duality on the line", atol=1e-9)
u, v = torch.randn(12, 2, generator=gen), torch.randn(12, 2, generator=gen) + 1
everyone = torch.cat([u, v])
pairs = list(itertools.permutations(range(24), 2))
limits = torch.stack([torch.eye(24)[i] - torch.eye(24)[j] for i, j in pairs])
earns = torch.cat([torch.full((12,), 1 / 12), torch.full((12,), -1 / 12)])
dual = optimize.linprog(-earns.numpy(), A_ub=limits.numpy(), b_ub=[float((everyone[i] - everyone[j]).norm()) for i, j in pairs], bounds=(-10, 10))
claim("divergences-dual", "two clouds of 12 points in the plane: the most that a function of slope at most one earns", -dual.fun, w1_points(u, v),
      item="S0.10", by="assignment: the other side of the duality", atol=1e-7)
unsorted = (a - b).abs().mean()
claim("divergences-unsorted", "pairing in order of arrival instead: over the distance",
      unsorted / w1_line(a, b), by="1 if the pairing did not matter; 1.68 for large samples", at_least=1.2, at_most=2.6)
x, y = torch.randn(60, 2, generator=gen), torch.randn(60, 2, generator=gen) * 0.7 + 1.5
cost = torch.cdist(x, y)
exact = w1_points(x, y)
plans = {eps: sinkhorn(cost, eps, rounds=6000 if eps < 0.05 else 1500) for eps in (1.0, 0.1, 0.02)}
extra = torch.stack([(plan * cost).sum() - exact for plan in plans.values()])
claim("divergences-sinkhorn", "Sinkhorn's cost minus the exact cost, over ε log n, for ε = 1, 0.1, 0.02",
      extra / (torch.tensor(list(plans)) * math.log(60)), item="S0.10", by="proved above", at_least=0.0, at_most=1.0, digits=2)
claim("divergences-sinkhorn-limit", "its cost for ε = 0.02", (plans[0.02] * cost).sum(), exact, item="S0.10", by="assignment", rtol=0.01, digits=3)
off = torch.cat([plans[0.1].sum(0) - 1 / 60, plans[0.1].sum(1) - 1 / 60]).abs().max()
claim("divergences-sinkhorn-marginals", "largest error of its marginals, ε = 0.1", off.round(decimals=7), 0.0, item="S0.10", by="uniform", atol=1e-6)


# %% [markdown]
# {item}`X0.2` This pays when distributions do not overlap. Move $\mathcal N(t,1)$ away from $\mathcal N(0,1)$: the transport is $t$, with slope one at any
# distance, while Jensen–Shannon runs into its ceiling and its slope dies like $e^{-t^2/8}$ ({numref}`fig-divergences-apart`).

# %% mystnb={"figure": {"name": "fig-divergences-apart", "caption": "Two unit Gaussians moving apart. Left: Wasserstein-1 grows, Jensen\u2013Shannon saturates at log 2. Right: the slope that a generator would follow, on a logarithmic scale."}, "image": {"alt": "Left, a straight rising line and a curve that flattens at a dashed level. Right, on a logarithmic axis, a constant line at one and a curve that rises, then plunges by many orders of magnitude between distances 4 and 12."}} tags=["hide-input"]
def js_apart(t):
    return js(log_normal(grid, 0.0, 1.0), log_normal(grid, t, 1.0))


ts = torch.linspace(0.05, 12, 120)
values = torch.stack([js_apart(t) for t in ts])
_, (left_ax, right_ax) = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
left_ax.plot(ts, ts, label="$W_1$")
left_ax.plot(ts, values, label="JS (nats)")
left_ax.axhline(math.log(2), ls="--", lw=1, color=colors.truth)
left_ax.set(xlabel="distance $t$", ylabel="value", ylim=(0, 3))
left_ax.legend()
right_ax.semilogy(ts, torch.ones_like(ts), label="$W_1$")
right_ax.semilogy(ts[1:-1], (values[2:] - values[:-2]) / (ts[2:] - ts[:-2]), label="JS")
right_ax.set(xlabel="distance $t$", ylabel="slope", ylim=(1e-9, 3))
plt.show()


# %% tags=["hide-input"]
def missing(t):
    """log 2 - JS, adaptively: the mean of log(1 + e^(tx - t²/2)) under N(0, 1), by symmetry the same under N(t, 1)"""
    return integrate.quad(lambda x: math.exp(-x * x / 2) / math.sqrt(2 * math.pi) * np.logaddexp(0, t * x - t * t / 2), -12, 14, epsabs=1e-15, limit=400)[0]


at = (0.5, 1.0, 2.0, 4.0, 8.0)
claim("divergences-js-values", "JS of N(0, 1) and N(t, 1), t = 0.5, 1, 2, 4, 8", torch.stack([js_apart(t) for t in at]),
      math.log(2) - torch.tensor([missing(t) for t in at]), item="X0.2 Q0.2", by="adaptive quadrature of one integral", atol=1e-9, digits=7, unit="nats")
overlap = torch.tensor([math.log(2) - js_apart(8.0), math.erfc(4 / math.sqrt(2))])
claim("divergences-js-saturates", "t = 8: log 2 minus JS, over the mass that overlaps", overlap[0] / overlap[1], item="X0.2 Q0.2",
      by="of the order of the overlap, 2Φ(-4)", at_least=1.0, at_most=2.0, digits=3)
means = torch.stack([w1(log_normal(grid, 0.0, 1.0), log_normal(grid, t, 1.0)) for t in (1.0, 4.0, 8.0)])
claim("divergences-w1-translation", "W1 of the same for t = 1, 4, 8", means, torch.tensor([1.0, 4.0, 8.0]), item="X0.2", by="translation by t", atol=1e-6)
slope4, slope8 = ((js_apart(t + 1e-3) - js_apart(t - 1e-3)) / 2e-3 for t in (4.0, 8.0))


def slope_under_integral(t):
    p0, q0 = log_normal(grid, 0.0, 1.0), log_normal(grid, t, 1.0)
    return 0.5 * torch.trapezoid(q0.exp() * (grid - t) * (q0 - torch.logaddexp(p0, q0)), grid)


claim("divergences-js-slope", "slope of JS at t = 4 and at t = 8, by differences", torch.stack([slope4, slope8]),
      torch.stack([slope_under_integral(4.0), slope_under_integral(8.0)]), item="X0.2 Q0.2", by="derivative under the integral", rtol=1e-3, digits=3)
claim("divergences-js-slope-rate", "t = 4, 8, 12: its slope over φ(t/2)", torch.stack([slope_under_integral(t) * math.sqrt(2 * math.pi) * math.exp(t * t / 8) for t in (4.0, 8.0, 12.0)]),
      item="X0.2 Q0.2", by="π/2 in the limit", at_least=1.25, at_most=math.pi / 2, digits=3)

# %% [markdown]
# :::{admonition} Common mistake: The Wasserstein distance is robust
# :class: mistake
# {item}`E0.9` It is robust to *disjoint supports*. To outliers it is the opposite: a share $\varepsilon$ of points at distance $R$ (in the cell, one in a
# hundred) costs $\varepsilon R$, without limit, where Jensen–Shannon pays a bounded price. Nor is it robust
# to dimension: $n$ samples of a density in $d\ge3$ dimensions are about $n^{-1/d}$ away from it (the second question below).
# :::

# %% tags=["hide-input"]
share = 0.01
for_outliers = []
for far in (10.0, 100.0, 1000.0):
    clean = torch.zeros(1000)
    spoiled = clean.clone()
    spoiled[: int(share * 1000)] = far
    for_outliers.append(w1_line(clean, spoiled))
levels = normal_cdf(grid[2000:4001], -3.0) / 2 + normal_cdf(grid[2000:4001], 3.0) / 2  # F on [-10, 10]
z = torch.special.ndtri(levels)


def pull(s):  # derivative of W1 by s at m = 0, up to sign: E[z sign(F⁻¹ - s z)]
    return float(torch.trapezoid(z * torch.sign(grid[2000:4001] - s * z), levels))


claim("divergences-w1-best", "best Gaussian by W1: its distance from the middle, and its deviation",
      torch.tensor([abs(best["Wasserstein-1"][0]), best["Wasserstein-1"][1]]).round(decimals=3), torch.tensor([0.0, optimize.brentq(pull, 3.0, 3.4)]),
      item="X0.1", by="symmetry; where the derivative changes sign", atol=5e-3, digits=3)
claim("divergences-outliers", "W1 to the same data with one point in a hundred at distance 10, 100, 1000", torch.stack(for_outliers),
      torch.tensor([0.1, 1.0, 10.0]), item="E0.9", by="εR", atol=1e-9)
claim("divergences-outliers-js", "JS of the same, at any distance", js_discrete(torch.tensor([1.0, 0.0]), torch.tensor([1 - share, share])),
      0.5 * (-math.log(1 - share / 2) + (1 - share) * math.log((1 - share) / (1 - share / 2)) + share * math.log(2)), item="E0.9",
      by="closed form; below 0.0035", atol=1e-9, digits=3, unit="nats")

# %% [markdown]
# Move the Gaussian over the hills. For this narrow one forward divergence and Wasserstein (nearly flat there) are least in the middle,
# reverse divergence and Jensen–Shannon on either hill. Beyond them Jensen–Shannon stays below $\log2$, the others grow without limit.

# %% tags=["hide-input"]
short = torch.linspace(-9, 9, 73)
places = [k / 2 for k in range(-12, 13)]
table = {name: [float(criteria[name](p, log_normal(grid, m, 1.3))) for m in places] for name in list(criteria)[:4]}
frames = []
for k, m in enumerate(places):
    numbers = "; ".join(f"{name} {table[name][k]:.2f}" for name in table)
    frames.append({
        "label": f"m = {m:g}",
        "lines": [
            {"x": short, "y": hills(short).exp(), "name": "data"},
            {"x": short, "y": log_normal(short, m, 1.3).exp(), "name": "Gaussian, s = 1.3"},
        ],
        "note": numbers,
    })
slider_figure("divergences-drag", frames, slider_label="mean m of the Gaussian", xlabel="x", ylabel="density", start=12,
              title="One Gaussian over two hills", alt="A density with two hills and a movable Gaussian; below it the forward and reverse divergence, Jensen–Shannon and Wasserstein-1 for the chosen mean. Forward and Wasserstein are least at zero, reverse and Jensen–Shannon at plus and minus three.")

# %% tags=["hide-input"]
least = torch.tensor([abs(places[min(range(25), key=lambda k, n=name: table[n][k])]) for name in table])
claim("divergences-drag", "distance from 0 of the best place in the figure: forward, reverse, JS, W1", least, torch.tensor([0.0, 3.0, 3.0, 0.0]),
      item="X0.1 Q0.1", by="middle, hill, hill, middle")
claim("divergences-drag-bounded", "Jensen–Shannon at its worst place in the figure", max(table["Jensen–Shannon"]), item="S0.9", by="log 2",
      at_least=0.5, at_most=math.log(2), unit="nats", digits=3)
claim("divergences-drag-unbounded", "the others at m = -6 over the same at m = -3: the least", min(table[n][0] / table[n][6] for n in table if n != "Jensen–Shannon"),
      item="S0.9", by="W1, which is |m| out there: 2", at_least=1.9, at_most=2.1, digits=3)


# %% [markdown]
# ## The price of a lost mode
#
# {item}`X3.9` How much does it cost to forget a hill? Let $p=(1-w)\,\mathcal N(0,1)+w\,\mathcal N(2a,1)$ with hills far apart, and let the model drop the second
# hill, $q=\mathcal N(0,1)$. Where the hills do not overlap, $p/q$ is $1-w$ on the first and $w\,\mathcal N(x;2a,1)/\mathcal N(x;0,1)$ on the second, where the
# mean logarithm is $\log w+2a^2$. With the binary entropy $h(w)$,
#
# $$
# \begin{aligned}
# \mathrm{KL}(p\,\Vert\,q)&\approx 2a^2w-h(w),\\
# \mathrm{KL}(q\,\Vert\,p)&\approx-\log(1-w) .
# \end{aligned}
# $$ (eq-divergences-lost)
#
# The forward price grows with the *square of the distance* of what is lost. The reverse price does not know the distance at all, and for a mode of one
# per cent it is one hundredth of a nat.

# %%
def lost(w, a):
    kept, dropped = log_normal(grid, 0.0, 1.0), log_normal(grid, 2 * a, 1.0)
    both = torch.logaddexp(math.log(1 - w) + kept, math.log(w) + dropped)
    return torch.stack([kl(both, kept), kl(kept, both)])


# %% tags=["hide-input"]
for w in (0.5, 0.1, 0.01):
    h = -w * math.log(w) - (1 - w) * math.log(1 - w)
    claim(f"divergences-lost-{round(100 * w)}", f"price of losing a mode of weight {w} at distance 10: forward, reverse", lost(w, 5.0),
          torch.tensor([50 * w - h, -math.log(1 - w)]), item="X3.9", by="2a²w - h(w) and -log(1 - w)", atol=1e-3, unit="nats")
nearer, farther = lost(0.1, 5.0), lost(0.1, 7.0)
claim("divergences-lost-distance", "weight 0.1, distance 14 over distance 10: forward price + h(w), reverse price",
      torch.stack([(farther[0] + 0.3250830) / (nearer[0] + 0.3250830), farther[1] / nearer[1]]), torch.tensor([1.96, 1.0]), item="X3.9",
      by="1.4² and 1; h(0.1) = 0.325083", rtol=1e-3)

# %% [markdown]
# {item}`S0.11`
#
# :::{exercise-start} Forward against reverse
# :label: q0-1
# :class: question
# :::
# {item}`Q0.1` How does minimising $\mathrm{KL}(p_{\text{data}}\Vert p_\theta)$ rather than $\mathrm{KL}(p_\theta\Vert p_{\text{data}})$ affect the
# learned model, above all where data are rare?
# :::{exercise-end}
# :::
#
# :::{solution-start} q0-1
# :label: q0-1-solution
# :class: dropdown
# :::
# **Forward** is infinite if the model excludes anything that occurs: it is mode-covering. Where data are rare its integrand is weighted by a small $p$, so that
# nothing but normalisation restrains the model: it may put mass into gaps, and does when it lacks the capacity for two hills. It needs samples of the
# data only.
#
# **Reverse** is infinite if the model allows what never occurs: it is mode-seeking, free to ignore. It needs the data's density, which we do not have.
# What implicit models minimise instead is in {ref}`ch-families`. If the family contains the truth, both are least there.
#
# In numbers, for the two fits of {numref}`fig-divergences-best`: the mass between the hills and the density on the hill that the reverse fit lost.

# %%
gap = slice(2900, 3101)  # the grid from -1 to 1
fits = [p] + [log_normal(grid, *best[n][:2]) for n in ("forward KL", "reverse KL")]
mass = torch.stack([torch.trapezoid(f[gap].exp(), grid[gap]) for f in fits])
at_lost = torch.stack([f[2700] for f in fits])  # log density at x = -3

# %% tags=["hide-input"]
one, tails = torch.tensor(1.0), normal_cdf(torch.tensor([-2.0, -4.0]))
truth = [tails[0] - tails[1]] + [normal_cdf(one, m, s) - normal_cdf(-one, m, s) for m, s, _ in (best["forward KL"], best["reverse KL"])]
claim("divergences-between", "mass between -1 and 1: data, forward fit, reverse fit", mass,
      torch.stack(truth), by="normal distribution function", atol=1e-5, digits=3)
claim("divergences-ignored", "log density of the reverse fit at the lost hill minus the data's", at_lost[2] - at_lost[0],
      math.log(2) - 0.5 * (5.98431 / 1.02337) ** 2 - math.log(1.02337), item="Q0.1",
      by="by hand, from N(2.984, 1.023²): it does not see that hill", atol=1e-3, unit="nats", digits=3)


# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise-start} KL or Wasserstein for images
# :label: q0-2
# :class: question
# :::
# {item}`Q0.2` You train a generative model of images. How would you justify the divergence, or the Wasserstein distance, as objective?
# :::{exercise-end}
# :::
#
# :::{solution-start} q0-2
# :label: q0-2-solution
# :class: dropdown
# :::
# **The divergence**, if the model has a density: it needs no critic, covers, gives code lengths, and probabilities that are calibrated if the model is right (the forward fit above is not), is the same in every
# coordinate system (the Jacobians cancel), and is statistically efficient ($P/2n$ nats, {ref}`ch-finite-data`).
#
# **Wasserstein**, if the model is a generator from a low-dimensional space: its images fill a surface that the data almost surely miss, the divergence
# is infinite and Jensen–Shannon is $\log2$ without a slope: so it is for two points, two parallel lines, at any distance but 0 {cite:p}`arjovsky2017,arjovsky2017wgan`. Its price:
# somebody has to choose the distance between images, and the pixel distance is a poor one; it is pulled by outliers; and in $d\ge3$ dimensions the
# distance between a density and $n$ samples of it shrinks as slowly as $n^{-1/d}$ {cite:p}`fournier2015`. In the cell, the distance between
# two samples of the *same* uniform distribution: at these $n$ it still shrinks faster, but less than twice as fast.
#
# **A third way** is to add noise to the data at many levels and use the divergence there, where supports overlap: diffusion models ({ref}`ch-families`).

# %%
def rate(d, sizes=(50, 100, 200, 400), repeats=6):
    """Slope of log mean W1 between two uniform samples on the cube, by log n"""
    means = []
    for n in sizes:
        clouds = torch.rand(repeats * 400 // n, 2, n, d, generator=gen)
        means.append(torch.stack([w1_points(x, y) for x, y in clouds]).mean())
    logs = torch.tensor(sizes).double().log()
    centred = logs - logs.mean()
    return (centred @ torch.stack(means).log()) / (centred @ centred)


rates = torch.stack([rate(1, repeats=40)] + [rate(d) for d in (5, 10, 50)])

# %% tags=["hide-input"]
claim("divergences-rate-1", "rate on the line", rates[0], -0.5, item="Q0.2 E0.9", by="n^(-1/2); three times the spread over seeds", atol=0.1, digits=2)
claim("divergences-rates", "rates in 5, 10 and 50 dimensions times the dimension", rates[1:] * torch.tensor([5.0, 10.0, 50.0]),
      item="Q0.2 E0.9", by="-1 asymptotically; steeper at these n, by less than a factor 2", at_least=-2.0, at_most=-1.05, digits=2)
claim("divergences-rate-eightfold", "what eight times the data take off the distance in 50 dimensions", 1 - 8 ** rates[3],
      item="Q0.2 E0.9", by="65 % on the line", at_least=0.065, at_most=0.08, digits=2)

# %% [markdown]
# In 50 dimensions eight times the data take {value}`divergences-rate-eightfold:.0%` off the distance: two samples of one distribution are nearly as far apart as before.
# :::{solution-end}
# :::
#
# ## Exercises
#
# :::{bank} divergences-sampled
# :::
#
# :::{bank} divergences-js
# :::
#
# :::{bank} divergences-w1
# :::
#
# :::{bank} divergences-sinkhorn
# :::
#
# :::{bank} divergences-explain-buses
# :::
#
# ## What to read next
#
# - {cite:t}`peyre2019` is the textbook of computational transport; {cite:t}`cuturi2013` brought Sinkhorn's algorithm to machine learning.
# - Next: {ref}`ch-families`, on which of these criteria each family of models uses.
