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
# (ch-families)=
# # Four families on one toy
#
# After this page you will be able to
#
# - write down what a variational autoencoder (VAE), a generative adversarial network (GAN), a flow and a diffusion model each optimise, and check it by quadrature where everything is
#   exact;
# - say which direction of which divergence each of them minimises, and hence which failure each prefers, given two hills it cannot both fit;
# - derive the noise-prediction loss of diffusion from its bound, and find the term that is often left out;
# - say where blur comes from, and compare what the families can compute, and at what price.

# %% tags=["hide-input"]
import itertools
import math

import matplotlib.pyplot as plt
import torch
from scipy.fft import dctn
from torch import nn
from torch.nn.functional import logsigmoid

from genkit.claims import agree, claim, self_check
from genkit.data import digits
from genkit.divergences import js_quadrature, kl_gaussian, kl_quadrature
from genkit.plot import colors, image_grid, style
from genkit.train import fit, seed_everything

style()
gen = seed_everything(0)
torch.set_default_dtype(torch.float64)

# %% [markdown]
# ## One target for all
#
# Generative models are mostly compared as large networks on large data, where little can be checked. On the line everything can. Let the data be two narrow
# hills,
#
# $$
# p(x)=\tfrac12\mathcal N(x;-2,\tfrac14)+\tfrac12\mathcal N(x;2,\tfrac14),
# $$ (eq-families-target)
#
# and give every family little to work with: the GAN a Gaussian, two parameters, the flow three, the autoencoder five, and only diffusion a small network. A Gaussian cannot fit both hills. It can cover them, valley included (**mode-covering**), or take one and leave the other (**mode-seeking**;
# {numref}`fig-families-question`). Which of the two a family prefers is not a matter of taste: its objective decides. So we ask of each family what it minimises.

# %%
grid = torch.linspace(-12, 12, 4001)

def integrate(values):
    return torch.trapezoid(values, grid)

def log_normal(x, m, s):
    log_s = torch.log(torch.as_tensor(s))
    return -0.5 * ((x - m) / s) ** 2 - log_s - 0.5 * math.log(2 * math.pi)

def log_target(x):
    hills = log_normal(x, -2.0, 0.5), log_normal(x, 2.0, 0.5)
    return torch.logaddexp(*hills) - math.log(2)

def kl(log_p, log_q):
    return integrate(log_p.exp() * (log_p - log_q))

def js(log_p, log_q):
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    return 0.5 * kl(log_p, log_m) + 0.5 * kl(log_q, log_m)

p = log_target(grid)              # log density of the data on the grid
entropy = -integrate(p.exp() * p)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-families-question", "caption": "The data (grey) and two ways for a Gaussian to fail: cover both hills and the empty valley, or take one hill and lose half of the data."}, "image": {"alt": "A grey density with two equal narrow hills; a broad low bell over both of them, highest where the data have a gap; and a narrow bell, twice as high as the hills, on the right one."}}
near = grid.abs() < 5
_, ax = plt.subplots(figsize=(6, 2.3))
ax.fill_between(grid[near], p[near].exp(), color=colors.muted, alpha=0.4, label="data")
ax.plot(grid[near], log_normal(grid[near], 0.0, math.sqrt(4.25)).exp(), color=colors.model, label="mode-covering")
ax.plot(grid[near], log_normal(grid[near], 2.0, 0.5).exp(), color=colors.bad, ls="--", label="mode-seeking")
ax.set(xlabel="$x$", ylabel="density")
ax.legend(fontsize=9, loc="upper left")
plt.show()


# %% [markdown]
# All objectives on this page but diffusion's are smooth functions of a few numbers; `minimise` (folded) hands them to L-BFGS.

# %% tags=["hide-input"]
def minimise(loss, parameters):
    """L-BFGS on a deterministic loss; the parameters are changed in place."""
    optimiser = torch.optim.LBFGS(parameters, max_iter=400, line_search_fn="strong_wolfe", tolerance_change=1e-12)

    def closure():
        optimiser.zero_grad()
        value = loss()
        value.backward()
        return value

    optimiser.step(closure)
    return loss().item()


# %% [markdown]
# (sec-families-vae)=
# ## Variational autoencoder
#
# {item}`S0.17` A latent variable $z\sim p(z)$, a decoder $p_\theta(x\mid z)$, and an encoder $q_\phi(z\mid x)$ that stands in for the posterior, one function
# for all $x$ (**amortised inference**). Training maximises, over both, the **evidence lower bound** or ELBO ({ref}`ch-representation` derives it),
#
# $$
# \begin{aligned}
# \mathcal L(\theta,\phi;x)&=\mathbb E_{q_\phi(z\mid x)}[\log p_\theta(x\mid z)]\\
# &\quad-\mathrm{KL}\bigl(q_\phi(z\mid x)\,\Vert\,p(z)\bigr)\;\le\;\log p_\theta(x) .
# \end{aligned}
# $$ (eq-families-elbo)
#
# Average it over the data, and write both terms as one expectation of $\log\frac{p(z)\,p_\theta(x\mid z)}{q_\phi(z\mid x)}$. With $\log p(x)$ subtracted and
# added this is a divergence between two *joint* distributions, and the chain rule takes that apart:
#
# $$
# \begin{aligned}
# -\mathbb E_p[\mathcal L]-H(p)&=\mathrm{KL}\bigl(p(x)\,q_\phi(z\mid x)\,\Vert\,p(z)\,p_\theta(x\mid z)\bigr)\\
# &=\mathrm{KL}(p\,\Vert\,p_\theta)\\
# &\quad{}+ \mathbb E_p\,\mathrm{KL}\bigl(q_\phi(z\mid x)\,\Vert\,p_\theta(z\mid x)\bigr).
# \end{aligned}
# $$ (eq-families-joint)
#
# The data stand in front. A variational autoencoder minimises an upper bound of the **forward** divergence $\mathrm{KL}(p\,\Vert\,p_\theta)$. The last term is
# the price of the bound; it is a reverse divergence, but one of encoder and posterior. Our instance is linear, $p_\theta(x\mid z)=\mathcal N(az+b,\sigma^2)$
# and $q_\phi(z\mid x)=\mathcal N(c(x-b),v)$:

# %%
def mean_elbo(a, b, log_sigma, c, log_v):
    """E_p of the bound: over z in closed form, over x on the grid."""
    var, v = torch.exp(2 * log_sigma), torch.exp(log_v)
    z = c * (grid - b)                                  # encoder's means
    residual = (grid - b - a * z) ** 2 + a**2 * v       # E_q (x - az - b)²
    log_lik = -0.5 * residual / var - log_sigma - 0.5 * math.log(2 * math.pi)
    divergence = 0.5 * (z**2 + v - 1 - log_v)           # KL(q(z|x) ‖ N(0, 1))
    return integrate(p.exp() * (log_lik - divergence))

vae = [torch.tensor(x, requires_grad=True) for x in (0.5, 0.3, 0.0, 0.5, 0.0)]
bound = -minimise(lambda: -mean_elbo(*vae), vae)
a, b, log_sigma, c, log_v = (x.detach() for x in vae)
vae_sd = torch.sqrt(a**2 + torch.exp(2 * log_sigma))    # of its marginal
vae_density = log_normal(grid, b, vae_sd)

# %% tags=["hide-input"]
z_grid = torch.linspace(-9, 9, 721)
joint_data = p[:, None] + log_normal(z_grid, c * (grid[:, None] - b), torch.exp(0.5 * log_v))
joint_model = log_normal(z_grid, 0.0, 1.0) + log_normal(grid[:, None], a * z_grid + b, torch.exp(log_sigma))
joint = integrate(torch.trapezoid(joint_data.exp() * (joint_data - joint_model), z_grid, dim=1))
claim("families-joint", "mean bound of the trained autoencoder", bound, -joint - entropy, item="S0.17 Q0.5",
      by="minus the joint divergence minus the entropy, by quadrature over x and z", atol=1e-5, unit="nats")
claim("families-vae-forward", "divergence of the data to the autoencoder's marginal",
      kl(p, vae_density), 0.5 * math.log(2 * math.pi * math.e * 4.25) - entropy, item="E0.2",
      by="the best Gaussian by forward divergence: data's variance 4.25", atol=1e-4, unit="nats")
claim("families-vae-covers", "its mean and standard deviation", torch.stack([b.abs(), vae_sd]).round(decimals=4),
      torch.tensor([0.0, math.sqrt(4.25)]), item="E0.2", by="moments of the data: it covers both hills", atol=2e-3)
claim("families-vae-tight", "price of the bound with the trained encoder", (-bound - entropy - kl(p, vae_density)).abs().round(decimals=4),
      0.0, item="S0.17", by="a linear Gaussian posterior is exact", atol=1e-4, unit="nats", digits=1)
worse = mean_elbo(a, b, log_sigma, 0.5 * c, log_v)
claim("families-vae-gap", "with half the encoder's slope: price of the bound", -worse - entropy - kl(p, vae_density),
      integrate(p.exp() * 0.5 * (0.5 * c * (grid - b)) ** 2 / torch.exp(log_v)), item="S0.17",
      by="mean KL(q(z|x) ‖ p(z|x)), closed form", rtol=1e-3, unit="nats")


# %% [markdown]
# Our autoencoder is mode-covering: its marginal is the Gaussian with the data's mean and variance.
#
# (sec-families-game)=
# ## Generative adversarial network
#
# {item}`S0.18` A **generator** draws $x=G(z)$, in general with a density that nobody can evaluate. A **discriminator** $D$ tries to tell its draws from data, and the two play
#
# $$
# \min_G\,\max_D\; \mathbb E_p[\log D(x)]+\mathbb E_z[\log(1-D(G(z)))] .
# $$ (eq-families-game)
#
# With the best discriminator, $D^*=p/(p+q)$, the value is $2\,\mathrm{JS}(p,q)-\log4$ ({ref}`ch-adversarial` proves it). In practice the generator follows
# the **non-saturating** loss $-\log D$ instead. Its gradient, with $D$ held fixed at $D^*$, is that of $\mathrm{KL}(q\,\Vert\,p)-2\,\mathrm{JS}(p,q)$: the **reverse** divergence, less twice a bounded one. (With
# $m=\tfrac12(p+q)$, $\nabla\mathrm{KL}(q\Vert p)=\int\nabla q\,\log\frac qp$ and $\nabla\,2\,\mathrm{JS}=\int\nabla q\,\log\frac qm$; the difference is
# $\int\nabla q\,\log\frac mp=\int\nabla q\,(-\log D^*)$, since $\int\nabla q\log2=0$.)
# Our generator is $G(z)=m+sz$, the discriminator is always the best. We start both games from either way to fail.

# %%
def minimax_value(log_q):
    """V with the best discriminator for this generator, in nats."""
    logit = p - log_q                                   # of D* = p / (p + q)
    on_real = integrate(p.exp() * logsigmoid(logit))
    return on_real + integrate(log_q.exp() * logsigmoid(-logit))

def non_saturating(log_q):
    """What the non-saturating loss descends, in nats."""
    return kl(log_q, p) - 2 * js(p, log_q)

def settle(objective, m, log_s):
    """(m, s) where a generator that starts at (m, log s) ends; the value."""
    w = torch.tensor([m, log_s], requires_grad=True)
    value = minimise(lambda: objective(log_normal(grid, w[0], w[1].exp())), [w])
    return w[0].item(), w[1].exp().item(), value

covering, single = (0.0, 0.7), (2.0, -0.7)              # two starts
minimax = [settle(minimax_value, *start) for start in (covering, single)]
practice = [settle(non_saturating, *start) for start in (covering, single)]

# %% tags=["hide-input"]
q = log_normal(grid, 0.7, 1.3)
agree("families-kl-twin", kl(p, q), kl_quadrature(p, q, grid))
agree("families-js-twin", js(p, q), js_quadrature(p, q, grid))
claim("families-game", "value of the game at the best discriminator, for a generator N(0.7, 1.3²)",
      minimax_value(q), 2 * js(p, q) - math.log(4), by="2 JS − log 4", atol=1e-9, unit="nats")

def frozen_gradient(theta, eps=1e-5):
    """Slope of −E_q log D with D held at its best for θ: what the generator is given."""
    logit = p - log_normal(grid, theta, 1.0)
    up, down = (integrate(log_normal(grid, theta + e, 1.0).exp() * -logsigmoid(logit)) for e in (eps, -eps))
    return (up - down) / (2 * eps)

def slope(objective, theta, eps=1e-5):
    up, down = (objective(log_normal(grid, theta + e, 1.0)) for e in (eps, -eps))
    return (up - down) / (2 * eps)

places = (-1.0, 0.5, 1.5, 3.0)
given = torch.stack([frozen_gradient(t) for t in places])
claim("families-non-saturating", "slope that the non-saturating loss gives N(θ, 1), θ = −1, 0.5, 1.5, 3", given,
      torch.stack([slope(non_saturating, t) for t in places]), item="Q0.5 E0.2", by="slope of KL(q‖p) − 2 JS", atol=1e-6)
claim("families-not-reverse", "the same minus the slope of KL(q‖p) alone, largest",
      (given - torch.stack([slope(lambda q: kl(q, p), t) for t in places])).abs().max(),
      by="0 if it were the reverse divergence", at_least=0.1, digits=2)
apart = 1.5 * math.log(4 / 3)  # 2 JS of two disjoint hills and one of them
claim("families-one-hill", "one hill: value of the minimax game and of the non-saturating loss", torch.tensor([minimax[1][2], practice[1][2]]),
      torch.tensor([apart - math.log(4), math.log(2) - apart]), item="E0.2 Q0.5", by="closed form for hills that do not overlap",
      atol=5e-4, unit="nats")
bells = [log_normal(grid, 0.0, s) for s in torch.linspace(1.5, 2.5, 201)]  # all that cover, both hills alike
by_js = min(2 * js_quadrature(p, q, grid) for q in bells)
by_kl = min(kl_quadrature(q, p, grid) - 2 * js_quadrature(p, q, grid) for q in bells)
claim("families-minimax-covers", "minimax: value of one hill minus value of covering", minimax[1][2] - minimax[0][2], apart - by_js,
      item="E0.2 Q0.5", by="closed form, and the best of 201 centred bells", atol=5e-4, unit="nats", digits=2)
far_hills = torch.logaddexp(log_normal(grid, -2.5, 0.5), log_normal(grid, 2.5, 0.5)) - math.log(2)
far = [settle(lambda log_q: 2 * js(far_hills, log_q), *start)[2] for start in ((0.0, 0.9), (2.5, -0.7))]
claim("families-minimax-turns", "minimax, hills at −2.5 and 2.5: value of covering minus value of one hill", far[0] - far[1],
      min(2 * js_quadrature(far_hills, log_normal(grid, 0.0, s), grid) for s in torch.linspace(2.0, 3.0, 201)) - apart,
      item="E0.2 Q0.5", by="the best of 201 centred bells, and closed form", atol=5e-4, unit="nats", digits=2)
claim("families-practice-one", "non-saturating loss: value of covering minus value of one hill", practice[0][2] - practice[1][2],
      by_kl - (math.log(2) - apart), item="E0.2 Q0.5", by="the best of 201 centred bells, and closed form", atol=1e-3, unit="nats", digits=2)
claim("families-ends", "means at the ends: both games from the covering start, both from one hill",
      torch.tensor([w[0] for w in (minimax[0], practice[0], minimax[1], practice[1])]),
      torch.tensor([0.0, 0.0, 2.0, 2.0]), by="symmetry; that hill's mean", atol=2e-3, digits=3)
claim("families-practice-fit", "non-saturating loss, one hill: mean and deviation", torch.tensor(practice[1][:2]), torch.tensor([2.0, 0.5]),
      item="E0.2 Q0.5", by="that hill, fitted exactly", atol=2e-3, digits=3)

def least_curvature(objective, m, s, _):
    at = torch.tensor([m, math.log(s)])
    hessian = torch.autograd.functional.hessian(lambda w: objective(log_normal(grid, w[0], w[1].exp())), at)
    return torch.linalg.eigvalsh(hessian).min()

claim("families-local", "smallest curvature at the four places where the generators end, minimax and non-saturating loss",
      torch.stack([least_curvature(minimax_value, *w) for w in minimax] + [least_curvature(non_saturating, *w) for w in practice]),
      item="Q0.5", by="positive at a local minimum", at_least=0.05, digits=2)
values = [[f(log_normal(grid, m, s)) for m in torch.linspace(0, 3, 31) for s in torch.logspace(-0.7, 0.6, 27)]
          for f in (minimax_value, non_saturating)]
claim("families-global", "least value on a grid of generators minus the better of the two, minimax and non-saturating loss",
      torch.tensor(values).min(1).values - torch.tensor([minimax[0][2], practice[1][2]]), item="Q0.5",
      by="0, up to the grid, if the better of the two is the best of all", at_least=0.0, at_most=0.01, unit="nats", digits=1, stable=False)

# %% [markdown]
# The minimax game prefers to cover, though by little: {value}`families-minimax-covers:.3f` nats; with the hills at ±2.5 it prefers one, by
# {value}`families-minimax-turns:.2f`. The non-saturating loss prefers one hill, by {value}`families-practice-one:.1f` nats. But all four places are local minima. The divergence decides which end is best; the start decides which one a run
# finds.
#
# (sec-families-flow)=
# ## Flow
#
# {item}`S0.19` An increasing map $f$ on the line, in general an invertible one, carries $z\sim p_Z$ to $x=f(z)$, and
#
# $$
# \log p_X(x)=\log p_Z\bigl(f^{-1}(x)\bigr)+\log\left|\det\frac{\partial f^{-1}}{\partial x}\right| .
# $$ (eq-families-flow)
#
# The likelihood is exact, so training is maximum likelihood: the **forward** divergence itself, no bound. Three parameters here,
# $f(z)=\alpha z+\beta\tanh(z/\tau)$: a stretched Gaussian with a tear in the middle. Integrals over $x$ become integrals over $z$ (its grid, mapped,
# must reach past the data), so the inverse is needed only at the end, by bisection.

# %%
z = torch.linspace(-8, 8, 8001)

def flow(alpha, beta, tau, z):
    """x = f(z) and log f'(z)."""
    t = torch.tanh(z / tau)
    return alpha * z + beta * t, torch.log(alpha + beta / tau * (1 - t**2))

def flow_divergence(alpha, beta, tau):
    """KL(p ‖ flow) = ∫ p(x) f'(z) [log p(x) - log N(z) + log f'(z)] dz."""
    x, log_slope = flow(alpha, beta, tau, z)
    log_ratio = log_target(x) - log_normal(z, 0.0, 1.0) + log_slope
    return torch.trapezoid((log_target(x) + log_slope).exp() * log_ratio, z)

raw = torch.tensor([-0.7, 0.7, -1.5], requires_grad=True)  # logarithms
flow_kl = minimise(lambda: flow_divergence(*raw.exp()), [raw])
alpha, beta, tau = raw.detach().exp()

def invert(x):
    """z with f(z) = x, by bisection."""
    low, high = torch.full_like(x, -60.0), torch.full_like(x, 60.0)
    for _ in range(80):
        middle = (low + high) / 2
        above = flow(alpha, beta, tau, middle)[0] > x
        low = torch.where(above, low, middle)
        high = torch.where(above, middle, high)
    return (low + high) / 2

back = invert(grid)                                     # z of every x
flow_density = log_normal(back, 0.0, 1.0) - flow(alpha, beta, tau, back)[1]

# %% tags=["hide-input"]
claim("families-flow-mass", "integral of the flow's density", integrate(flow_density.exp()), 1.0, item="S0.19", by="a density", atol=1e-3, digits=3)
claim("families-flow-inverse", "largest error of x → z → x",
      (flow(alpha, beta, tau, back)[0] - grid).abs().max(), 0.0, by="invertible", atol=1e-9)
claim("families-flow-kl", "divergence of the data to the flow, over x", kl(p, flow_density),
      flow_kl, by="the same integral over z", atol=1e-3, digits=2, unit="nats")
claim("families-flow-better", "divergence to the best Gaussian over that to the flow",
      kl(p, vae_density) / flow_kl, by="1 if the tear did not help", at_least=5.0, digits=2)
claim("families-flow-no-jacobian", "wrong: integral without the Jacobian", integrate(log_normal(back, 0.0, 1.0).exp()),
      torch.trapezoid(log_normal(z, 0.0, 1.0).exp() * flow(alpha, beta, tau, z)[1].exp(), z), item="S0.19",
      by="mean slope of f, and not one", rtol=1e-2, digits=2)
claim("families-flow-wrong-sign", "wrong: integral with the Jacobian's sign turned",
      integrate((log_normal(back, 0.0, 1.0) + flow(alpha, beta, tau, back)[1]).exp()),
      torch.trapezoid(log_normal(z, 0.0, 1.0).exp() * (2 * flow(alpha, beta, tau, z)[1]).exp(), z),
      by="mean squared slope of f", rtol=2e-2, digits=2)


# %% [markdown]
# (sec-families-diffusion)=
# ## Diffusion
#
# {item}`S0.20` Destroy the data with noise in $T$ small steps, $q(x_t\mid x_{t-1})=\mathcal N\bigl(\sqrt{1-\beta_t}\,x_{t-1},\beta_t I\bigr)$, and learn the way
# back, $p_\theta(x_{t-1}\mid x_t)$. With $\bar\alpha_t=\prod_{s\le t}(1-\beta_s)$ the noised data are
#
# $$
# x_t=\sqrt{\bar\alpha_t}\,x_0+\sqrt{1-\bar\alpha_t}\,\varepsilon,\qquad \varepsilon\sim\mathcal N(0,I).
# $$ (eq-families-noised)
#
# The objective is once more a bound,
#
# $$
# \begin{aligned}
# \log p_\theta(x_0)\;\ge\;&\mathbb E_{q(x_{1:T}\mid x_0)}\Bigl[\log p(x_T)\\
# &+\sum_{t\ge1}\log\frac{p_\theta(x_{t-1}\mid x_t)}{q(x_t\mid x_{t-1})}\Bigr],
# \end{aligned}
# $$ (eq-families-diffusion)
#
# that of an autoencoder with $x_{1:T}$ as the latent and a fixed encoder: again **forward**.
#
# :::{admonition} Common mistake: The sum in the bound of diffusion runs over t > 1
# :class: mistake
# {item}`E0.4 X0.12` The sum runs over $t\ge1$ {cite:p}`ho2020`. Without its first term,
# $\log p_\theta(x_0\mid x_1)/q(x_1\mid x_0)$, the data do not occur, and the rest is the bound for the *once noised* data $x_1$. In the cell, for a Gaussian with variance
# 4, ten steps of $\beta=0.05$ and the exact reverse, both sums are exact, and the wrong one exceeds the log-likelihood that it should bound.
# :::

# %%
def diffusion_sum(variance, betas, first):
    """The bound in nats for N(0, variance) with the exact reverse chain;
    the sum starts at t = first."""

    def half_log(v):
        return 0.5 * math.log(2 * math.pi * math.e * v)  # entropy of a Gaussian

    total, v = 0.0, variance
    for t, beta in enumerate(betas, start=1):
        after = (1 - beta) * v + beta  # variance of x_t
        posterior = v * beta / after  # of x_{t-1} given x_t
        if t >= first:
            total += -half_log(posterior) + half_log(beta)
        v = after
    return total - half_log(v)  # E log p(x_T)


# %% tags=["hide-input"]
right, wrong = (diffusion_sum(4.0, [0.05] * 10, first) for first in (1, 2))
claim("families-sum", "sum from t = 1", right, -0.5 * math.log(2 * math.pi * math.e * 4),
      item="E0.4", by="E log p(x_0): the bound is tight", atol=1e-9, digits=7, unit="nats")
claim("families-sum-wrong", "wrong: sum from t = 2", wrong, -0.5 * math.log(2 * math.pi * math.e * 3.85), item="X0.12 E0.4",
      by="E log p(x_1), variance 0.95 · 4 + 0.05", atol=1e-9, digits=7, unit="nats")
claim("families-sum-excess", "by how much the wrong sum exceeds E log p(x_0)", wrong - right,
      0.5 * math.log(4 / 3.85), item="E0.4", by="closed form", atol=1e-9, unit="nats")

# %% [markdown]
# ### From the bound to a regression on noise
#
# By Bayes' rule, given $x_0$ and for $t\ge2$,
#
# $$
# q(x_t\mid x_{t-1})=q(x_{t-1}\mid x_t,x_0)\,\frac{q(x_t\mid x_0)}{q(x_{t-1}\mid x_0)} .
# $$
#
# Insert this. The quotients cancel along the chain, and the bound becomes
#
# $$
# \begin{aligned}
# &\mathbb E\log p_\theta(x_0\mid x_1)-\mathrm{KL}\bigl(q(x_T\mid x_0)\,\Vert\,p(x_T)\bigr)\\
# &-\sum_{t\ge2}\mathbb E\,\mathrm{KL}\bigl(q(x_{t-1}\mid x_t,x_0)\,\Vert\,p_\theta(x_{t-1}\mid x_t)\bigr).
# \end{aligned}
# $$
#
# The distribution $q(x_{t-1}\mid x_t,x_0)$ is Gaussian, with a variance $\tilde\beta_t$ and a mean that is linear in $x_t$ and $x_0$ (an exercise below derives them).
# Solve {eq}`eq-families-noised` for $x_0$, and let the model have the same form with a guess $\hat\varepsilon(x_t,t)$ in place of the noise. The guess moves the mean by
# $\frac{\beta_t}{\sqrt{(1-\beta_t)(1-\bar\alpha_t)}}(\varepsilon-\hat\varepsilon)$, the variances are equal, and the divergence of two such Gaussians is the squared distance of their means over
# $2\tilde\beta_t$. So each divergence of the sum is
#
# $$
# \mathrm{KL}=\frac{\beta_t^2}{2\tilde\beta_t(1-\beta_t)(1-\bar\alpha_t)}\,\lVert\varepsilon-\hat\varepsilon(x_t,t)\rVert^2 .
# $$ (eq-families-weight)

# %% tags=["hide-input"]
betas = torch.full((10,), 0.05)
kept = torch.cumprod(1 - betas, 0)                                               # ᾱ_1, ..., ᾱ_10
spread = kept * 4.0 + 1 - kept                                                   # variances of x_1, ..., x_10
before = torch.cat([torch.tensor([4.0]), spread[:-1]])
gain, back_var = (1 - betas).sqrt() * before / spread, before * betas / spread   # exact p(x_{t-1} | x_t)
c0 = kept[:-1].sqrt() * betas[1:] / (1 - kept[1:])                               # q(x_{t-1} | x_t, x_0), t = 2, ..., 10
dt = (1 - betas[1:]).sqrt() * (1 - kept[:-1]) / (1 - kept[1:])
tilde = betas[1:] * (1 - kept[:-1]) / (1 - kept[1:])
offset = dt - gain[1:]
moved = c0**2 * 4 + 2 * c0 * offset * kept[1:].sqrt() * 4 + offset**2 * spread[1:]  # E of the squared distance of means
inner = 0.5 * (tilde / back_var[1:] - 1 + (back_var[1:] / tilde).log() + moved / back_var[1:])
last = 0.5 * ((1 - kept[-1]) / spread[-1] - 1 + (spread[-1] / (1 - kept[-1])).log() + kept[-1] * 4 / spread[-1])
claim("families-decomposition", "the bound from its three parts, N(0, 4), ten steps of β = 0.05, exact reverse",
      -0.5 * (2 * math.pi * math.e * back_var[0]).log() - last - inner.sum(), right, item="S0.20",
      by="the sum from t = 1 in the cell above", atol=1e-9, digits=7, unit="nats")
claim("families-decomposition-mutant", "wrong: without the part of x_T it exceeds E log p(x_0) by", last, 0.5 * math.log(1 / (1 - kept[-1] * 4 / spread[-1])),
      item="S0.20", by="what x_T tells of x_0: −½ log(1 − ρ²)", atol=1e-9, unit="nats")


# %% [markdown]
# Training is regression. In practice the weights are dropped {cite:p}`ho2020`: what is minimised is then no longer the bound, but the best guess at each $t$
# is the same: the conditional mean, for a network that can represent it,
#
# $$
# \varepsilon^*(x,t)=\mathbb E[\varepsilon\mid x_t=x]=-\sqrt{1-\bar\alpha_t}\;\nabla\log p_t(x).
# $$ (eq-families-tweedie)
#
# (Proof: $\nabla p_t(x)=\int\nabla_x q(x\mid x_0)\,p(x_0)\,\mathrm dx_0$, and $\nabla_x\log q(x\mid x_0)=-\varepsilon/\sqrt{1-\bar\alpha_t}$. Divide by
# $p_t$.) For our hills every $p_t$ is again two hills, so its **score** $\nabla\log p_t$ is a formula.
#
# ### From noise to data
#
# In continuous time take $\mathrm dx=-\tfrac12x\,\mathrm dt+\mathrm dW$, so that $\bar\alpha_t=e^{-t}$. The drift carries density along and the noise spreads it like heat (the
# Fokker–Planck equation); with $\nabla p_t=p_t\nabla\log p_t$ both are one transport,
# $\partial_tp_t=\tfrac12\nabla\!\cdot(x\,p_t)+\tfrac12\Delta p_t=-\nabla\!\cdot(p_tu_t)$ with the velocity $u_t=-\tfrac12(x+\nabla\log p_t)$. That is also the
# continuity equation of points which move *without noise*, by the **probability-flow** equation {cite:p}`song2021`
#
# $$
# \dot x=-\tfrac12\bigl(x+\nabla\log p_t(x)\bigr).
# $$ (eq-families-pf)
#
# Followed from $t=T$ down to 0 it turns noise into data. On the line its exact map keeps the order, so pushing the quantiles of the noise through a sampler shows
# the sampler's error without any chance.

# %%
def score(x, t):
    """∇ log p_t for the two hills."""
    keep = math.exp(-t)                                 # ᾱ_t
    var, m = keep * 0.25 + 1 - keep, 2 * math.sqrt(keep)
    right = torch.sigmoid(2 * m * x / var)              # P(right hill | x)
    return (m * (2 * right - 1) - x) / var

def generate(x, steps, T=10.0, score=score):
    """Heun's method from T to 0, fine where t is small; two scores a step."""
    times = [T * (1 - k / steps) ** 3 for k in range(steps + 1)]
    for t, s in itertools.pairwise(times):
        first = -0.5 * (x + score(x, t))
        guess = x + (s - t) * first
        x = x + (s - t) / 2 * (first - 0.5 * (guess + score(guess, s)))
    return x


# %%
u = (torch.arange(4000) + 0.5) / 4000
noise = torch.distributions.Normal(0.0, 1.0).icdf(u)    # its quantiles
cdf = torch.cumulative_trapezoid(p.exp(), grid)         # at grid[1:]
k = torch.searchsorted(cdf, u)
part = (u - cdf[k - 1]) / (cdf[k] - cdf[k - 1])
truth = torch.lerp(grid[k], grid[k + 1], part)          # the data's quantiles

def distance(x):
    """W1 between equally likely points x (4000,) and the data."""
    return (x.sort().values - truth).abs().mean().item()

error = {n: distance(generate(noise, n)) for n in (4, 8, 16, 32, 64)}

# %% [markdown]
# When the score is not known it is learned, by regression on noise (**denoising score matching**). A small network:

# %%
net = nn.Sequential(nn.Linear(2, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(),
                    nn.Linear(64, 1))

def predict(x, t):
    """Guess of the noise in points x (n,) at times t (n,)."""
    return net(torch.stack([x, torch.log(t)], 1))[:, 0]

def noise_loss(n=512):
    t = 0.01 * 1000 ** torch.rand(n, generator=gen)     # 0.01 to 10
    hill = torch.where(torch.rand(n, generator=gen) < 0.5, -2.0, 2.0)
    x0 = hill + 0.5 * torch.randn(n, generator=gen)
    eps, keep = torch.randn(n, generator=gen), torch.exp(-t)
    xt = keep.sqrt() * x0 + (1 - keep).sqrt() * eps
    return (eps - predict(xt, t)).square().mean()

fit(noise_loss, net.parameters(), steps=2500, lr=3e-3, schedule="cosine")

def learned_score(x, t):
    t = max(t, 0.01)
    with torch.no_grad():
        return -predict(x, torch.full_like(x, t)) / math.sqrt(1 - math.exp(-t))

diffused = generate(noise, 64, score=learned_score)

# %% tags=["hide-input"]
x = torch.linspace(-4, 4, 401)
mistakes, guesses, formulas = [], [], []
for t in (0.05, 0.5, 2.0):
    keep = math.exp(-t)
    var = keep * 0.25 + 1 - keep
    xr = x.clone().requires_grad_()
    log_pt = torch.logaddexp(log_normal(xr, -2 * math.sqrt(keep), math.sqrt(var)), log_normal(xr, 2 * math.sqrt(keep), math.sqrt(var)))
    (exact,) = torch.autograd.grad(log_pt.sum(), xr)
    mistakes.append((score(x, t) - exact).abs().max())
    at = torch.tensor([-1.5, -0.2, 0.7, 2.5])
    eps = (at[:, None] - math.sqrt(keep) * grid) / math.sqrt(1 - keep)          # the noise that leads from x_0 to x
    weight = (p - 0.5 * eps**2).exp()
    guesses.append(torch.trapezoid(weight * eps, grid) / torch.trapezoid(weight, grid))
    formulas.append(-math.sqrt(1 - keep) * score(at, t))
claim("families-score", "score of the noised hills at t = 0.05, 0.5, 2: largest error",
      torch.stack(mistakes), torch.zeros(3), by="autograd on the log density", atol=1e-9)
claim("families-tweedie", "mean noise given x, at four x and t = 0.05, 0.5, 2", torch.cat(guesses), torch.cat(formulas), item="S0.20",
      by="−√(1 − ᾱ) times the score; the mean by quadrature over x₀", atol=1e-7)
betas = torch.tensor([0.1, 0.2, 0.3, 0.4])
kept = torch.cumprod(1 - betas, 0)
beta_3, kept_2, kept_3 = betas[2], kept[1], kept[2]
drawn, guessed = torch.tensor([-0.6]), torch.tensor([1.1])
x3 = kept_3.sqrt() * 0.8 + (1 - kept_3).sqrt() * drawn                           # x_0 = 0.8
variance = (beta_3 * (1 - kept_2) / (1 - kept_3)).view(1, 1)
true_mean, model_mean = (
    kept_2.sqrt() * beta_3 / (1 - kept_3) * (x3 - (1 - kept_3).sqrt() * e) / kept_3.sqrt()
    + (1 - beta_3).sqrt() * (1 - kept_2) / (1 - kept_3) * x3
    for e in (drawn, guessed)
)
claim("families-weight", "divergence of one step back, t = 3 of β = 0.1, 0.2, 0.3, 0.4, noise −0.6 guessed as 1.1",
      kl_gaussian(true_mean, variance, model_mean, variance),
      beta_3**2 / (2 * variance.squeeze() * (1 - beta_3) * (1 - kept_3)) * (drawn - guessed).square().sum(), item="S0.20",
      by="weight times squared error of the noise", rtol=1e-9, unit="nats")
claim("families-steps", "W1 to the data with the exact score, 4 steps over 64 steps", error[4] / error[64], item="E0.26 S0.20",
      by="1 if few steps were enough; no randomness here", at_least=375.0, at_most=385.0, digits=3)
claim("families-order", "factor of the error from 16 to 32 and from 32 to 64 steps", torch.tensor([error[16] / error[32], error[32] / error[64]]),
      torch.tensor([4.0, 4.0]), item="S0.20", by="Heun's method is of second order: 4, in the limit", rtol=0.15, digits=2)
excess = []
for t in (0.05, 0.3, 1.0, 3.0):
    keep = math.exp(-t)
    xs = (math.sqrt(keep) * truth[:, None] + math.sqrt(1 - keep) * noise[::40]).flatten()  # pairs of quantiles
    with torch.no_grad():
        excess.append((predict(xs, torch.full_like(xs, t)) + math.sqrt(1 - keep) * score(xs, t)).square().mean())
claim("families-learned", "mean squared error of the learned noise against the exact one, t = 0.05, 0.3, 1, 3", torch.stack(excess), item="S0.20",
      by="0 for a perfect network; the noise itself has variance 1", at_most=0.02, stable=False)
claim("families-learned-samples", "W1 of what the network generates", distance(diffused),
      by="0 for a perfect network and sampler; the hills are 4 apart", at_most=0.15, stable=False)

# %% mystnb={"figure": {"name": "fig-families-four", "caption": "Two hills and what four families make of them. Top: the small models, each GAN from the start that leads to its better end. Bottom: diffusion with a small network, and the error of its sampler against the number of steps with the exact score."}, "image": {"alt": "Top panel, a density with two hills and four models: two broad bumps over the middle that coincide, a narrow one on the right hill, and a two-hilled curve. Bottom left, a histogram of generated values that matches the hills. Bottom right, transport distance falling by orders of magnitude with the number of steps on logarithmic axes."}} tags=["hide-input", "picture-varies"]
_, axes = plt.subplot_mosaic([["top", "top"], ["left", "right"]], figsize=(7, 5), layout="constrained")
top, left, right_ax = axes["top"], axes["left"], axes["right"]
top.fill_between(grid[near], p[near].exp(), color=colors.muted, alpha=0.4, label="data")
for name, density, dash in (("autoencoder", vae_density, "-"), ("GAN, minimax", log_normal(grid, *minimax[0][:2]), "--"),
                            ("GAN, non-saturating", log_normal(grid, *practice[1][:2]), "-"), ("flow", flow_density, "-")):
    top.plot(grid[near], density[near].exp(), dash, label=name)
top.set(xlabel="$x$", ylabel="density")
top.legend(fontsize=8)
left.hist(diffused, bins=60, range=(-5, 5), density=True, color=colors.model, alpha=0.6, label="diffusion")
left.plot(grid[near], p[near].exp(), color=colors.truth, lw=1, label="data")
left.set(xlabel="$x$", ylabel="density", ylim=(0, 0.56))
left.legend(fontsize=8, loc="upper center", ncols=2)
right_ax.loglog(list(error), list(error.values()), "o-", color=colors.model)
right_ax.set(xlabel="steps of the sampler", ylabel="$W_1$ to the data")
right_ax.set_xticks(list(error), [str(k) for k in error])
right_ax.minorticks_off()
plt.show()

# %% [markdown]
# {numref}`fig-families-four` puts the better ends side by side: autoencoder and minimax GAN cover, the non-saturating GAN takes a hill, the flow tears. (From one start the two GANs
# end alike: both cover, or both take the hill.) Diffusion, given a network and many steps, has both hills.
#
# :::{admonition} Common mistake: Diffusion combines the tractability of autoencoders with the quality of GANs
# :class: mistake
# {item}`E0.26` The
# likelihood of diffusion is bounded, or obtained by solving {eq}`eq-families-pf`, not evaluated in one pass; and a sample takes many evaluations of the network where the
# other three take one. With the exact score and this sampler, four steps leave {value}`families-steps:.0f` times the error of sixty-four. Quality is another
# question, to be measured ({ref}`ch-evaluation`).
# :::
#
# ## Where blur comes from
#
# :::{admonition} Common mistake: Autoencoders' samples are blurred because of the divergence in the latent space
# :class: mistake
# {item}`E0.5` What is shown is the *mean* of a Gaussian over pixels, with its noise left out, and that noise has to stand for all that the code cannot hold, most of the fine detail included. The divergence adds to it. For
# the linear model every part is a formula (for networks the parts must be measured). With $D$ pixels, $k$ codes and eigenvalues $\lambda_i$ of the data's covariance, the shown means lack the variance
# $D\sigma^2=\frac{D}{D-k}\sum_{i>k}\lambda_i$. What an autoencoder *without any divergence*, which is principal component analysis, reconstructs lacks
# $\sum_{i>k}\lambda_i$ already. The divergence adds the share $k/D$, small while codes are few ({numref}`fig-families-blur`). And what is missing is detail: with ten codes the shown means keep
# {value}`families-blur-coarse:.0%` of the data's variance at low spatial frequencies and {value}`families-blur-fine:.0%` at the highest. That is blur.
# :::
#
# For a linear decoder the best encoder is exact ({ref}`sec-families-vae`), so the best linear autoencoder is probabilistic principal component analysis by
# maximum likelihood, which {prf:ref}`thm-generation-ppca` gives in closed form: $\sigma^2=\frac1{D-k}\sum_{i>k}\lambda_i$, and the loadings keep
# $\sum_{i\le k}(\lambda_i-\sigma^2)$ of the variance. The rest, $\sum_{i>k}\lambda_i+k\sigma^2=D\sigma^2$, is missing from the means.

# %%
data = digits()
x = data.train.x / 16                                   # (1077, 64)
mean, D = x.mean(0), 64
lam, vectors = torch.linalg.eigh(torch.cov(x.T, correction=0))
lam, vectors = lam.flip(0), vectors.flip(1)             # in falling order

def best_linear_vae(k):
    """Loadings (D, k) and noise variance of the best linear autoencoder."""
    sigma2 = lam[k:].mean()
    return vectors[:, :k] * (lam[:k] - sigma2).clamp_min(0).sqrt(), sigma2


# %% mystnb={"figure": {"name": "fig-families-blur", "caption": "Top: digits. Middle: means decoded from random codes of a linear autoencoder with ten codes, as usually shown: blurred. Bottom: the same with the model's own pixel noise, which restores the variance that was missing, as noise."}, "image": {"alt": "Three rows of twelve small images: crisp digits, smooth grey blobs that resemble digits, and the same blobs under grain."}} tags=["hide-input"]
loadings, sigma2 = best_linear_vae(10)
codes = torch.randn(12, 10, generator=gen)
shown = mean + codes @ loadings.T
full = shown + sigma2.sqrt() * torch.randn(12, D, generator=gen)
_, ax = plt.subplots(figsize=(7, 2))
image_grid(torch.cat([x[:12], shown, full]), ncols=12, ax=ax, vmin=0, vmax=1)
plt.show()

# %% tags=["hide-input"]
lost, without, share = [], [], []
for n_codes in (2, 10, 20):
    w, s2 = best_linear_vae(n_codes)
    lost.append(lam.sum() - torch.trace(w @ w.T))
    without.append(lam[n_codes:].sum())
    share.append((lost[-1] - without[-1]) / lost[-1])
claim("families-blur", "variance missing from decoded means, k = 2, 10, 20", torch.stack(lost),
      torch.stack([D / (D - k) * lam[k:].sum() for k in (2, 10, 20)]), item="E0.5", by="D/(D − k) times the discarded eigenvalues", rtol=1e-9)
claim("families-blur-share", "share of it that is due to the divergence", torch.stack(share),
      torch.tensor([2.0, 10.0, 20.0]) / 64, item="E0.5", by="k/D", atol=1e-9)
w, _ = best_linear_vae(10)
spectrum = {name: torch.as_tensor(dctn(a.T.reshape(-1, 8, 8).numpy(), axes=(1, 2), norm="ortho")).square().sum(0)
            for name, a in (("shown", w), ("data", vectors * lam.clamp_min(0).sqrt()))}  # variance of each frequency, (8, 8)
frequency = torch.arange(8)[:, None] + torch.arange(8)
for name, which, (low, high) in (("coarse", (1 <= frequency) & (frequency <= 3), (0.84, 0.87)), ("fine", frequency >= 10, (0.22, 0.28))):
    claim(f"families-blur-{name}", f"variance that decoded means keep at {name} frequencies, ten codes",
          spectrum["shown"][which].sum() / spectrum["data"][which].sum(), item="E0.5", by="other splits", at_least=low, at_most=high, digits=2)
few = x[torch.randint(len(x), (60_000,), generator=gen)]
decoded = mean + (few - mean) @ vectors[:, :10] @ vectors[:, :10].T
claim("families-blur-pca", "variance missing from reconstructions by ten principal components, over that of the autoencoder's samples",
      (few.var(0).sum() - decoded.var(0).sum()) / lost[1], 54 / 64, item="E0.5", by="(D − k)/D", rtol=0.01, digits=2)
draws = mean + torch.randn(40_000, 10, generator=gen) @ loadings.T + sigma2.sqrt() * torch.randn(40_000, D, generator=gen)
claim("families-noise-restores", "total variance of samples with the pixel noise",
      draws.var(0).sum(), lam.sum(), item="E0.5", by="variance of the data", rtol=0.01, digits=2)

# %% [markdown]
# ## Questions
#
# :::{exercise-start} Which divergence does each family minimise?
# :label: q0-5
# :class: question
# :::
# {item}`Q0.5 S0.21 E0.28` It is often said that variational autoencoders minimise the reverse divergence and many adversarial networks, implicitly, the
# forward one. Is that so, and how do the choices act where data are rare?
# :::{exercise-end}
# :::
#
# :::{solution-start} q0-5
# :label: q0-5-solution
# :class: dropdown
# :::
# :::{admonition} Common mistake: VAEs minimise the reverse divergence, GANs the forward one
# :class: mistake
# {item}`E0.2` It is the other way round. The autoencoder's bound is the *forward* divergence of joint distributions,
# {eq}`eq-families-joint`; the reverse one occurs only for the posterior, inside the bound. The GAN's objective is Jensen–Shannon with the minimax loss and reverse minus
# twice Jensen–Shannon with the non-saturating one; the claims above test these. Flows and autoregressive models maximise a likelihood and diffusion, its weights kept, a bound on one, so these are
# forward by definition.
# :::
#
# Where data are rare, a forward divergence charges next to nothing for too *much* model mass, a reverse one charges without limit. So an autoencoder of this size
# fills the gap between the hills; the GAN with the non-saturating loss leaves as much there as the data have, at the price of a hill:

# %%
gap, left_side = (grid.abs() < 0.5).double(), (grid < -1).double()
fitted = {
    "data": p,
    "autoencoder": vae_density,
    "minimax": log_normal(grid, *minimax[0][:2]),
    "non-saturating": log_normal(grid, *practice[1][:2]),
    "flow": flow_density,
}
in_gap = {name: integrate(d.exp() * gap) for name, d in fitted.items()}
on_left = {name: integrate(d.exp() * left_side) for name, d in fitted.items()}

# %% tags=["hide-input"]
phi = torch.distributions.Normal(0.0, 1.0).cdf
sd = torch.tensor(4.25).sqrt()
claim("families-gap-data", "mass within 0.5 of the middle: data", in_gap["data"], phi(torch.tensor(-3.0)) - phi(torch.tensor(-5.0)), item="Q0.5",
      by="normal distribution function", atol=5e-5, digits=1)
claim("families-gap", "the same: autoencoder", in_gap["autoencoder"], phi(0.5 / sd) - phi(-0.5 / sd), item="Q0.5 E0.2",
      by="normal distribution function", atol=2e-3, digits=2)
claim("families-gap-game", "the same for the GAN with the non-saturating loss, over the data's", in_gap["non-saturating"] / in_gap["data"], 1.0, item="Q0.5",
      by="twice the density of one hill, half of the two", rtol=0.05, digits=2)
claim("families-left", "mass left of −1: autoencoder, minimax, non-saturating, flow, where the data have nearly one half",
      torch.stack([on_left[n] for n in ("autoencoder", "minimax", "non-saturating", "flow")]).round(decimals=4),
      torch.stack([phi(-1 / sd), phi(torch.tensor(-1 / minimax[0][1])), torch.tensor(0.0), phi(invert(torch.tensor([-1.0])))[0]]),
      item="Q0.5 E0.2", by="distribution functions; for the flow, of its inverse", atol=3e-3, digits=2)


# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise-start} Flows meet diffusion
# :label: q0-6
# :class: question
# :::
# {item}`Q0.6` How could flows and diffusion models be combined to have the advantages of both?
# :::{exercise-end}
# :::
#
# :::{solution-start} q0-6
# :label: q0-6-solution
# :class: dropdown
# :::
# They are two views of one model.
#
# - Every diffusion has, with the exact score, the flow {eq}`eq-families-pf` with the same marginals. It is invertible, and its likelihood is *exact*: by the continuity equation
#   $\tfrac{\mathrm d}{\mathrm dt}\log p_t(x_t)=-\nabla\!\cdot\dot x$ along a path {cite:p}`song2021`.
# - A flow in continuous time can be trained as diffusion is, by regression on a known velocity instead of by simulation {cite:p}`lipman2023`.
# - Its paths can be straightened, so that few steps suffice {cite:p}`liu2023`.
# - The whole can be moved into the latent space of an autoencoder {cite:p}`rombach2022`.
#
# Here is the first, for the hills: follow data to noise and add up the divergence. The only error left, apart from the integrator's, is that $p_T$ is not quite
# normal. For centred data its variance is off by the order $e^{-T}$, and so is $\log p$.

# %%
def log_likelihood_by_flow(x, T, steps=1500):
    """log p_0(x) of the probability flow that ends in N(0, 1) at T, by RK4."""

    def rates(x, t):
        x = x.detach().requires_grad_()
        velocity = -0.5 * (x + score(x, t))
        (divergence,) = torch.autograd.grad(velocity.sum(), x)
        return velocity.detach(), divergence

    total = torch.zeros_like(x)
    times = [T * (k / steps) ** 2 for k in range(steps + 1)]
    for t, s in itertools.pairwise(times):
        h = s - t
        k1, d1 = rates(x, t)
        k2, d2 = rates(x + h / 2 * k1, t + h / 2)
        k3, d3 = rates(x + h / 2 * k2, t + h / 2)
        k4, d4 = rates(x + h * k3, s)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        total = total + h / 6 * (d1 + 2 * d2 + 2 * d3 + d4)
    return log_normal(x, 0.0, 1.0) + total

at = torch.linspace(-3.5, 3.5, 57)
worst = {T: (log_likelihood_by_flow(at, T) - log_target(at)).abs().max()
         for T in (6.0, 10.0, 14.0)}

# %% tags=["hide-input"]
claim("families-pf", "largest error of log p by the probability flow, T = 14", worst[14.0], item="Q0.6",
      by="½ (z² − 1) times the excess variance 3.25 e^(−14), for z up to 5", at_most=12 * 3.25 * math.exp(-14), unit="nats", digits=2)
claim("families-pf-rate", "error at T = 10 over T = 6, and at 14 over 10", torch.stack([worst[10.0] / worst[6.0], worst[14.0] / worst[10.0]]),
      torch.full((2,), math.exp(-4)), item="Q0.6", by="e^(−ΔT)", rtol=0.15, digits=2)

# %% [markdown]
# :::{solution-end}
# :::
#
# ## What each can do
#
# :::{list-table}
# :header-rows: 1
# * - Family
#   - Minimises
#   - Density of a point
#   - A sample
#   - A code
# * - variational autoencoder
#   - bound of forward KL
#   - bounded below
#   - one pass
#   - yes, an approximate posterior
# * - generative adversarial network
#   - JS, or reverse KL − 2 JS, at the best discriminator
#   - none
#   - one pass
#   - none without an encoder
# * - flow
#   - forward KL
#   - exact, one pass and a determinant
#   - one pass (if both directions are cheap)
#   - yes, exact and of full size
# * - diffusion
#   - bound of forward KL, reweighted
#   - bounded, or by solving an equation
#   - many passes
#   - by the probability flow, of full size
# :::
#
# Autoregressive models ({ref}`ch-density`) are the fifth: forward, exact, and one pass *per pixel* to sample.
#
# ## Exercises
#
# :::{bank} families-flow
# :::
#
# :::{bank} families-schedule
# :::
#
# :::{bank} families-elbo
# :::
#
# :::{bank} families-discriminator
# :::
#
# :::{bank} families-explain-gap
# :::
#
# ## What to read next
#
# - {cite:t}`kingma2014`, {cite:t}`goodfellow2014`, {cite:t}`dinh2017` and {cite:t}`ho2020` are sources of the four families in the form used here. In {cite:t}`rezende2015` the flow is the encoder, so its divergence is the reverse one.
# - {cite:t}`song2021` unite diffusion and flows in continuous time.
# - Next: {ref}`ch-adversarial`, on the family that is a game.
