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
# (ch-critics)=
# # Taming the critic
#
# After this page you will be able to
#
# - say what a critic measures when nothing, a clip, a gradient penalty or a spectral norm bounds its slope;
# - write a gradient penalty with the right sign, and compute what it does to the critic's value;
# - find the largest singular value of a matrix and of a convolution, and say what dividing by it guarantees;
# - explain why a discriminator that sees several samples at once charges more for lost modes, and how much more;
# - train four small GANs on a ring of eight modes and say what the short run shows.

# %% tags=["hide-input"]
import itertools
import math

import matplotlib.pyplot as plt
import torch
from torch.nn.functional import conv2d, leaky_relu, pad, softplus

from genkit.claims import claim, self_check
from genkit.divergences import js_discrete, tv_discrete
from genkit.plot import colors, style
from genkit.train import seed_everything

style()
gen = seed_everything(0)
torch.set_default_dtype(torch.float64)


# %% [markdown]
# ## A critic that does not stop
#
# {ref}`ch-divergences` writes the Wasserstein distance as a supremum over functions of slope at most one,
#
# $$
# W_1(p,q)=\sup_{\lVert D\rVert_{\mathrm{Lip}}\le1}\;\mathbb E_p[D(x)]-\mathbb E_q[D(x)] ,
# $$ (eq-critics-dual)
#
# and a network $D$, now called a **critic**, can be trained to climb towards it. But nothing in a network keeps its slope below one: twice the output is twice
# the value. The first cure, that of the **Wasserstein GAN**, was to **clip** every weight to $[-c,c]$ after each step {cite:p}`arjovsky2017wgan`. That bounds the slope, by a number that nobody
# chose: without biases, a network of three (leaky) ReLU layers whose weights are all $c$ times as large is $c^3$ times as large.
#
# Let us watch four critics look at two Gaussians whose means lie $W=1$ apart, so that the true distance is one. All networks of this page are trained side by
# side, as a stack of matrices with one slice per problem.

# %%
class Stack:
    """k multilayer networks at once: x (k, n, in) -> (k, n, out)"""

    def __init__(self, k, sizes):
        pairs = list(itertools.pairwise(sizes))
        self.weights = [torch.randn(k, a, b, generator=gen) * math.sqrt(2 / a)
                        for a, b in pairs]
        self.biases = [torch.zeros(k, 1, b) for _, b in pairs]
        for p in self.parameters():
            p.requires_grad_()

    def __call__(self, x, weights=None):
        weights = weights or self.weights
        for i, (w, b) in enumerate(zip(weights, self.biases, strict=True)):
            x = leaky_relu(x, 0.2) if i else x
            x = torch.baddbmm(b, x, w)      # x w + b, slice by slice
        return x

    def parameters(self):
        return self.weights + self.biases


# %%
torch.set_default_dtype(torch.float32)                      # for networks
clip = torch.tensor([math.inf, 0.3, 0.1, 0.03])[:, None, None]
critic = Stack(4, [2, 64, 64, 1])
optimiser = torch.optim.Adam(critic.parameters(), lr=2e-3)
climb = []
for _ in range(600):
    fake = torch.randn(4, 256, 2, generator=gen)
    real = torch.randn(4, 256, 2, generator=gen) + torch.tensor([1.0, 0.0])
    value = (critic(real) - critic(fake)).mean((1, 2))      # (4,)
    optimiser.zero_grad()
    (-value).sum().backward()
    optimiser.step()
    with torch.no_grad():
        for p in critic.parameters():
            p.clamp_(-clip, clip)
    climb.append(value.detach())
climb = torch.stack(climb).double()                         # (600, 4)
torch.set_default_dtype(torch.float64)

# %% mystnb={"figure": {"name": "fig-critics-climb", "caption": "What four critics report about two Gaussians at distance one (dashed), while they train. The free critic is still growing when we stop; the clipped ones settle at values that the clip decides."}, "image": {"alt": "Critic values on a logarithmic scale against training step. One line climbs steadily over all others; three lines level off at three heights, two of them above the dashed line at one and the last far below it."}} tags=["hide-input", "picture-varies"]
_, ax = plt.subplots(figsize=(6, 2.8))
names = ["no clip", "c = 0.3", "c = 0.1", "c = 0.03"]
inks = (colors.bad, colors.cycle[0], colors.cycle[2], colors.cycle[3])
for line, name, ink, dash in zip(climb.T, names, inks, ("-", "-", "-.", ":"), strict=True):
    ax.semilogy(range(1, 600, 5), line[::5].clamp_min(1e-3), dash, color=ink, label=name)
ax.axhline(1, ls="--", lw=1, color=colors.truth, label="true distance")
ax.set(xlabel="step", ylabel="critic's value", ylim=(1e-2, 1e5))
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% tags=["hide-input"]
last = climb[-50:].mean(0)
claim("critics-free", "no clip: value in the last 50 steps over value around step 300", last[0] / climb[275:325, 0].mean(), item="S0.25",
      by="1 if it stopped; the third power of 2 if all layers grow in proportion to time", at_least=3, at_most=15, stable=False)
claim("critics-clip", "value with c = 0.3 over value with c = 0.03", last[1] / last[3], item="S0.25",
      by="1 if the clip did not matter; about 10³ for three layers", at_least=300, at_most=3000, stable=False)


# %% [markdown]
# {numref}`fig-critics-climb` is the problem of this page. A critic's slope, its **Lipschitz constant**, must be bounded, and how it is bounded decides what the
# critic measures. Two ways are in use, a penalty on the slope and a normalisation of the weights; for each we first look where the answer is a formula. A last
# section changes not the slope of the critic but its input.
#
# ## The gradient penalty, with its sign
#
# {item}`S0.25` {cite:t}`gulrajani2017` punish slopes that differ from one, at points $\hat x$ on lines between real and generated samples. The critic
# **minimises**
#
# $$
# \begin{aligned}
# L_D={}&-\bigl(\mathbb E_p[D]-\mathbb E_q[D]\bigr)\\
# &+\lambda\,\mathbb E_{\hat x}\bigl[(\lVert\nabla_{\hat x}D(\hat x)\rVert-1)^2\bigr] .
# \end{aligned}
# $$ (eq-critics-penalty)
#
# Take $D(x)=wx$ on the line, with means $\Delta$ apart. Then $L_D=-w\Delta+\lambda(|w|-1)^2$ and the best slope is
#
# $$
# w^*=1+\frac{\Delta}{2\lambda} ,
# $$ (eq-critics-slope)
#
# more than one: the penalty is a compromise, not a constraint.
#
# :::{admonition} Common mistake: The gradient penalty is added to what the critic maximises
# :class: mistake
# {item}`E0.3 X0.9` One finds $L_D=V(D,G)+\lambda\,\mathbb E(\lVert\nabla D\rVert-1)^2$ with the same $V$ that $D$ *maximises*. But the penalty belongs
# to what is minimised, or with a minus to what is maximised. In the cell this $L_D$ is maximised: violations are *rewarded* and the slope explodes. Minimised, the
# penalty is right but the critic runs backwards: from a slope near one it falls into a local minimum at $1-\Delta/2\lambda$ if
# $\lambda>\Delta/2$, and the global minimum is at $-(1+\Delta/2\lambda)$, the right critic with the wrong sign. To be read as a
# distance, $V$ must be the Wasserstein value; with logarithms the penalty can be used too {cite:p}`kodali2017,fedus2018`, as a regulariser.
# :::

# %%
def follow(value, penalty, lam=10.0, gap=2.0, w=1.05, rate=0.01, steps=60):
    """Descend value * (w gap) + penalty * lam (|w| - 1)²: all slopes w"""
    path = [w]
    for _ in range(steps):
        of_penalty = 2 * lam * (abs(w) - 1) * math.copysign(1, w)
        w = w - rate * (value * gap + penalty * of_penalty)
        path.append(w)
    return path


right = follow(-1, +1, steps=400)       # minimise -value + penalty
rewarded = follow(-1, -1)               # maximise  value + penalty
backwards = follow(+1, +1, steps=400)   # minimise  value + penalty
weak = follow(+1, +1, lam=0.5, steps=4000)

# %% tags=["hide-input"]
claim("critics-sign", "slope with the right sign, Δ = 2, λ = 10", right[-1], 1.1, item="X0.9 E0.3 S0.25", by="1 + Δ/2λ", atol=1e-6)
claim("critics-sign-printed", "value + penalty, maximised: slope after 20, 40 and 60 steps from 1.05", torch.tensor(rewarded[20::20]),
      torch.tensor([0.9 + 0.15 * 1.2**k for k in (20, 40, 60)]), item="X0.9 E0.3", by="0.9 + 0.15 (1 + 2λ · rate)^k: it diverges", rtol=1e-9)
claim("critics-sign-minimised", "value + penalty, minimised, from 1.05: slope", backwards[-1], 0.9, item="X0.9 E0.3", by="1 - Δ/2λ", atol=1e-6)
grid_w = torch.linspace(-5, 5, 100_001)
global_w = torch.stack([grid_w[(grid_w * 2 + v * (grid_w.abs() - 1) ** 2).argmin()] for v in (10.0, 0.5)])
claim("critics-sign-global", "value + penalty, minimised over all slopes, λ = 10 and 1/2: best slope", global_w, torch.tensor([-1.1, -3.0]), item="E0.3",
      by="-(1 + Δ/2λ): the wrong orientation", atol=1e-4)
claim("critics-sign-weak", "value + penalty, minimised by descent from 1.05, λ = 1/2: slope", weak[-1], -3.0, item="E0.3", by="below λ = Δ/2 no other minimum", atol=1e-6)


# %% [markdown]
# What does the critic's value $\mathbb E_p[D]-\mathbb E_q[D]$ then say about the distance?
#
# :::{prf:theorem} A penalised critic over-estimates
# :label: thm-critics-bias
# Let $q$ be $p$ moved by a vector of length $W$, and let $\hat x$ be uniform on the path of a random point of $p$. The minimum of $L_D$ over all critics is
# reached by a linear one of slope $1+W/2\lambda$ along the motion, and its value is $W\,(1+W/2\lambda)$ instead of $W$.
# :::
#
# :::{prf:proof}
# The difference of $D$ between the ends of a path is the integral of its slope along the path, so
# $\mathbb E_p[D]-\mathbb E_q[D]\le W\,\mathbb E\lVert\nabla D(\hat x)\rVert$. With $c$ for the norm,
#
# $$
# -L_D\le\mathbb E\bigl[Wc-\lambda(c-1)^2\bigr]\le\max_c\,\bigl\{Wc-\lambda(c-1)^2\bigr\} ,
# $$
#
# a parabola with its top at $c=1+W/2\lambda$. A linear critic with that slope in the direction of the motion makes both inequalities equalities.
# :::
#
# The theorem needs both conditions: a translation, and *matched* pairs, each point with its own moved copy. In practice real and generated points are drawn
# independently of each other. On the line the answer is then known for any two distributions. Let $F_p,F_q$ be their distribution functions and $h$ the density of
# $\hat x$. By parts $\mathbb E_p[D]-\mathbb E_q[D]=\int D'\,(F_q-F_p)\,\mathrm dx$, so that $-L_D$ can be maximised at each $x$ alone, by
# $|D'|=1+|F_q-F_p|/2\lambda h$, and the value is
#
# $$
# W+\frac1{2\lambda}\int\frac{(F_q-F_p)^2}{h}\,\mathrm dx\;\ge\;W\Bigl(1+\frac W{2\lambda}\Bigr) ,
# $$ (eq-critics-line)
#
# by Cauchy–Schwarz, since $W=\int|F_q-F_p|$ and $\int h=1$; equality needs $h\propto|F_q-F_p|$, as for matched pairs.

# %%
def value_on_line(m, sd, lam):
    """W and the best penalised critic's value, N(0, 1) against N(m, sd²),
    independent pairs"""
    x = torch.linspace(-30, 30, 12_001)
    normal = torch.distributions.Normal
    gap = (normal(0.0, 1.0).cdf(x) - normal(m, sd).cdf(x)).abs()
    u = (torch.arange(200)[:, None] + 0.5) / 200  # x̂ = u real + (1 - u) fake
    deviation = ((u * sd) ** 2 + (1 - u) ** 2).sqrt()
    h = normal(u * m, deviation).log_prob(x).exp().mean(0)
    W = torch.trapezoid(gap, x)
    extra = torch.where(gap > 1e-12, gap**2 / h.clamp_min(1e-99), 0.0)
    return W, W + torch.trapezoid(extra, x) / (2 * lam)


pairs = (4.0, 1.0, 1.0), (1.0, 1.0, 1.0), (0.0, 3.0, 1.0), (0.0, 3.0, 10.0)
on_line = {pair: value_on_line(*pair) for pair in pairs}

# %% tags=["hide-input"]
excess = torch.stack([v / (W * (1 + W / (2 * k[2]))) for k, (W, v) in on_line.items()])
claim("critics-line-moved", "λ = 1, N(0, 1) moved by 4 and by 1, independent pairs: value over W (1 + W/2λ)", excess[:2], item="X0.8 S0.25",
      by="1 for matched pairs, above 1 by Cauchy–Schwarz", at_least=1.005, at_most=1.035)
claim("critics-line-wide", "N(0, 1) against N(0, 9), λ = 1: value of the best penalised critic", on_line[0.0, 3.0, 1.0][1], item="X0.8 S0.25",
      by="quadrature; W = 2√(2/π) = 1.596", at_least=4.0, at_most=4.01, digits=3)
claim("critics-line-wide-formula", "the same by the formula for translations", torch.tensor(1.5957691) * (1 + 1.5957691 / 2),
      on_line[0.0, 3.0, 1.0][0] * (1 + on_line[0.0, 3.0, 1.0][0] / 2), item="X0.8 S0.25", by="W(1 + W/2λ), W by quadrature", rtol=1e-5, digits=3)


# %% [markdown]
# A translation by 1 or 4 at $\lambda=1$ reads at most 4 % above $W(1+W/2\lambda)$, but $\mathcal N(0,1)$ against $\mathcal N(0,9)$ reads
# {value}`critics-line-wide:.2f` where that formula has {value}`critics-line-wide-formula:.2f` and the distance is $2\sqrt{2/\pi}=1.60$. So the estimate is too large by *at
# least* $1+W/2\lambda$, worst when the distance is large and the penalty weak. Do networks in the plane, with independent pairs, agree for translations? Three
# networks each for four cases, with the loss {eq}`eq-critics-penalty` as it stands: {item}`X0.8`

# %%
def gradient_norm(D, x):
    """‖∇D‖ at each point, itself differentiable: (k, n, d) -> (k, n)"""
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
    return slope.norm(dim=2)


def interpolate(real, fake):
    u = torch.rand(*real.shape[:2], 1, generator=gen, dtype=real.dtype)
    return u * real + (1 - u) * fake


# %%
torch.set_default_dtype(torch.float32)
apart = torch.tensor([1.0, 1.0, 4.0, 4.0]).repeat(3)  # three networks each
lam = torch.tensor([10.0, 1.0, 10.0, 1.0]).repeat(3)
shift = torch.stack([apart, torch.zeros(12)], 1)[:, None]   # (12, 1, 2)
critic = Stack(12, [2, 64, 64, 1])
optimiser = torch.optim.Adam(critic.parameters(), lr=1e-2, betas=(0.5, 0.9))
rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 600)
for _ in range(600):
    real = torch.randn(12, 128, 2, generator=gen) + shift
    fake = torch.randn(12, 128, 2, generator=gen)
    value = (critic(real) - critic(fake)).mean((1, 2))
    slope = gradient_norm(critic, interpolate(real, fake))
    penalty = ((slope - 1) ** 2).mean(1)
    optimiser.zero_grad()
    (-value + lam * penalty).sum().backward()
    optimiser.step()
    rate.step()
with torch.no_grad():
    real = torch.randn(12, 20_000, 2, generator=gen)
    measured = (critic(real + shift) - critic(real)).mean((1, 2)).double()
torch.set_default_dtype(torch.float64)

# %% mystnb={"figure": {"name": "fig-critics-bias", "caption": "The value of a penalised critic over the true distance, for two distances and two weights of the penalty: means of three networks (bars) and what the theorem foretells (lines)."}, "image": {"alt": "Four bars with a short line at the top of each: near one for the small distance and strong penalty, about one and a half, about one and a fifth, and about three for the large distance and weak penalty."}} tags=["hide-input", "picture-varies"]
foretold = (1 + apart / (2 * lam)).double()
bars = (measured / apart).view(3, 4).mean(0)
_, ax = plt.subplots(figsize=(5.5, 2.6))
names = [f"W = {t:.0f}, λ = {v:.0f}" for t, v in zip(apart[:4], lam[:4], strict=True)]
ax.bar(names, bars, color=colors.model, alpha=0.7, label="network")
ax.plot(names, foretold[:4], "_", ms=40, color=colors.truth, label="1 + W/2λ")
ax.axhline(1, ls="--", lw=1, color=colors.muted)
ax.set_ylabel("critic's value / distance")
ax.legend(markerscale=0.4)
plt.show()

# %% tags=["hide-input"]
survives = (measured / (apart * foretold)).view(3, 4)
claim("critics-bias", "critic's value over W (1 + W/2λ), means of three networks for each of four cases", survives.mean(0), item="X0.8",
      by="the theorem, up to random interpolates, samples and training", at_least=0.97, at_most=1.03, stable=False)
claim("critics-bias-each", "the same, least and largest of all twelve", torch.stack([survives.min(), survives.max()]), item="X0.8",
      by="1, up to the spread of single networks", at_least=0.94, at_most=1.06, stable=False)
grid_c = torch.linspace(0, 6, 60_001)
best_c = torch.stack([grid_c[(grid_c * w - v * (grid_c - 1) ** 2).argmax()] for w, v in zip(apart[:4].double(), lam[:4].double(), strict=True)])
claim("critics-bias-slope", "slope that maximises Wc - λ(c - 1)², searched", best_c, foretold[:4], item="X0.8", by="1 + W/2λ", atol=1e-4)


# %% [markdown]
# They do ({numref}`fig-critics-bias`): only a strong penalty on a small distance reads nearly the distance. What a training log shows as "the Wasserstein
# distance" is this value.
#
# **The zero-centred penalty** {cite:p}`mescheder2018`, $R_1=\tfrac\gamma2\,\mathbb E_p\lVert\nabla D\rVert^2$, is taken on real data only and asks for slope
# zero. For the linear critic $-w\Delta+\tfrac\gamma2w^2$ gives $w^*=\Delta/\gamma$: the push on the generator *fades as it arrives*, while a slope near one
# pushes with full force until the last step and beyond. So $R_1$ can converge where the other penalty keeps circling.
#
# Let a generator of one point $g$ in the plane follow a linear critic $w\cdot x$ towards data at $0$, with $K$ critic steps to one of its own. In continuous
# time $\dot g=w$ and
#
# $$
# \dot w=K\Bigl(-g-2\lambda(\lVert w\rVert-1)\frac{w}{\lVert w\rVert}\Bigr) .
# $$ (eq-critics-chase)
#
# A circle solves it: on a circle of angular speed $\omega$ the velocity $w$ is perpendicular to $g$, and $\dot w=-\omega^2g$. So $\omega^2=K$, the penalty must
# vanish, $\lVert w\rVert=1$, and the distance stays $\lVert g\rVert=1/\sqrt K$ for ever. (A start with $w$ parallel to $g$ stays on its line instead, since both
# derivatives do; the cell starts at sixteen random places.) With $R_1$ the bracket is $-g-\gamma w$, a damped spring
# ({ref}`ch-adversarial` has its eigenvalues).

# %%
def chase(penalty, steps=6000, rate=0.02, K=10):
    """Points g (16, 2) follow linear critics w·x towards data at 0:
    all |g| (steps, 16)"""
    path = []
    g, w = torch.randn(2, 16, 2, generator=torch.Generator().manual_seed(6))
    for _ in range(steps):
        for _ in range(K):                       # ascend w·(0 - g) - penalty
            if penalty == "zero":
                back = w                                   # of |w|²/2
            else:
                norm = w.norm(dim=1, keepdim=True)
                back = 20 * (norm - 1) * w / norm          # of 10 (|w| - 1)²
            w = w + rate * (-g - back)
        g = g + rate * w
        path.append(g.norm(dim=1))
    return torch.stack(path)


to_zero, to_one = chase("zero", steps=1500), chase("one")

# %% tags=["hide-input"]
claim("critics-fades", "largest distance left after 1500 steps from sixteen starts, zero-centred penalty", to_zero[-1].max(), 0.0, item="S0.25 Q0.4", by="a damped spring", atol=1e-9)
late, before = to_one[-500:], to_one[2500:3000]       # five turns each
claim("critics-circles", "one-centred penalty: mean distance over the last five turns, least and largest of sixteen starts",
      torch.stack([late.mean(0).min(), late.mean(0).max()]), torch.full((2,), 1 / math.sqrt(10)), item="S0.25 Q0.4", by="1/√K", rtol=0.01, digits=2)
claim("critics-circles-attracts", "range of the distance in the last five turns over that at half-time, least and largest of the starts",
      torch.stack([f((late.amax(0) - late.amin(0)) / (before.amax(0) - before.amin(0))) for f in (torch.min, torch.max)]), item="S0.25",
      by="1 if starts kept their own orbits", at_least=0.02, at_most=0.15)


# %% [markdown]
# ## Spectral normalisation
#
# {item}`S0.24` The other bound is built into the network. A linear map's slope is its largest singular value $\sigma(W)$, so divide:
# $W_{\mathrm{SN}}=W/\sigma(W)$ {cite:p}`miyato2018`. If the activations have slope at most one as well, so has the whole network, since slopes multiply. To
# find $\sigma(W)$ repeat
#
# $$
# v\leftarrow\frac{W^\top u}{\lVert W^\top u\rVert},\qquad u\leftarrow\frac{Wv}{\lVert Wv\rVert},\qquad \sigma\approx u^\top Wv .
# $$ (eq-critics-power)
#
# ($W$ is out × in, $u$ has the size of the output, $v$ of the input; the code of the stack below stores $w=W^\top$.)
# In each round the share of the second singular direction shrinks by $(\sigma_2/\sigma_1)^2$, and the error of $\sigma$, which is quadratic in it, by
# $(\sigma_2/\sigma_1)^4$. {item}`X0.10`

# %%
def power_iteration(w, rounds, u=None):
    """w (out, in) -> estimate of its norm in each round (rounds,), last u"""
    u = torch.ones(len(w)) / math.sqrt(len(w)) if u is None else u
    found = []
    for _ in range(rounds):
        v = w.T @ u
        v = v / v.norm()
        u = w @ v
        found.append(u.norm())                   # u'Wv before u is scaled
        u = u / u.norm()
    return torch.stack(found), u


# %% tags=["hide-input"]
left, right_v = (torch.linalg.qr(torch.randn(12, 12, generator=gen)).Q for _ in range(2))
tail = 0.3 * torch.rand(10, generator=gen)
w = left @ torch.diag(torch.cat([torch.tensor([2.0, 1.8]), tail])) @ right_v.T  # singular values 2, 1.8 and small ones
found, u = power_iteration(w, 200)
errors = 2.0 - found
claim("critics-power", "power iteration after 200 rounds", found[-1], torch.linalg.matrix_norm(w, 2), item="X0.10 S0.24", by="singular value decomposition", atol=1e-9)
claim("critics-power-rate", "factor of the error from round to round, σ₂/σ₁ = 0.9, rounds 25 to 50",
      (errors[50] / errors[25]) ** (1 / 25), 0.9**4, by="(σ₂/σ₁)⁴", rtol=0.03, digits=3)
claim("critics-power-loose", "slope of the layer after division by the estimate of 1, 3 and 10 rounds", 2.0 / found[[0, 2, 9]], item="X0.10",
      by="at least 1: u'Wv of unit vectors never exceeds the norm", at_least=1.0, digits=3)


# %% [markdown]
# An estimate by power iteration is never too large, so the bound is never too tight and, in the first rounds, a little too loose. In training one round per step
# is enough, *if $u$ is kept from step to step*: the weights hardly move, and the rounds add up. This is the whole layer, for a stack of critics; the gradient
# passes through the division, while $u$ and $v$ count as constants.

# %%
def unit(x):
    return x / x.norm(dim=1, keepdim=True)


def normalise(weights, us):
    """A round of power iteration on w (k, in, out) with u (k, out, 1), kept"""
    normal = []
    for w, u in zip(weights, us, strict=True):
        with torch.no_grad():
            v = unit(w @ u)
            u.copy_(unit(w.mT @ v))
        normal.append(w / (v.mT @ w @ u))        # (k, 1, 1): each its own σ
    return normal


# %%
torch.set_default_dtype(torch.float32)
apart = torch.tensor([1.0, 4.0]).repeat(3)              # three networks each
shift = torch.stack([apart, torch.zeros(6)], 1)[:, None]    # (6, 1, 2)
critic = Stack(6, [2, 64, 64, 1])
us = [unit(torch.ones(6, w.shape[2], 1)) for w in critic.weights]
optimiser = torch.optim.Adam(critic.parameters(), lr=5e-3)
for _ in range(600):
    real = torch.randn(6, 128, 2, generator=gen) + shift
    fake = torch.randn(6, 128, 2, generator=gen)
    w = normalise(critic.weights, us)
    value = (critic(real, w) - critic(fake, w)).mean((1, 2))
    optimiser.zero_grad()
    (-value).sum().backward()
    optimiser.step()
w = [m.detach() for m in normalise(critic.weights, us)]     # as used
with torch.no_grad():
    real = torch.randn(6, 20_000, 2, generator=gen)
    spectral = (critic(real + shift, w) - critic(real, w)).mean((1, 2))
torch.set_default_dtype(torch.float64)

# %% tags=["hide-input"]
norms = torch.stack([torch.linalg.matrix_norm(m, 2) for m in w])
claim("critics-sn-tracks", "true norms of the eighteen layers in use, one round per step: least and largest", torch.stack([norms.min(), norms.max()]),
      torch.ones(2), item="S0.24 X0.10", by="1, up to what a step moves", atol=0.01, stable=False)
cold = [unit(torch.ones(6, m.shape[2], 1, dtype=m.dtype)) for m in critic.weights]
loose = torch.linalg.matrix_norm(normalise(critic.weights, cold)[1], 2)
claim("critics-sn-cold", "the same with u started afresh: largest norm of a middle layer",
      loose.max().detach(), by="1 if keeping u did not matter", at_least=1.05, stable=False)
ratio = (spectral / apart).double()
claim("critics-sn-value", "value of the normalised critic over the true distance, least and largest of six networks", torch.stack([ratio.min(), ratio.max()]),
      item="S0.24", by="at most 1: a feasible point of the dual; here a linear critic is best, and found", at_least=0.97, at_most=1.01, stable=False)


# %% [markdown]
# Where the free critic's reading grows with training and the penalised one's is too large, by $1+W/2\lambda$ for a translation, the normalised one, with exact $\sigma$, cannot read more than $W_1$:
# it is a feasible point of {eq}`eq-critics-dual`. Here, where a linear critic is best, it finds it. In general it reads less.
#
# :::{admonition} Common mistake: Spectral normalisation controls the discriminator's Lipschitz constant
# :class: mistake
# {item}`E0.15` Dividing $W$ by $\sigma(W)$ bounds the slope of each *layer*. The
# network's own slope may be far below the product of the bounds, so that it is held tighter than intended. And for convolutions the usual recipe takes the
# norm of the kernel *reshaped* to a matrix $(c_{\text{out}},\,c_{\text{in}}k_hk_w)$, which is not the operator's: that can be larger by up to $\sqrt{k_hk_w}$.
# :::
#
# A convolution with periodic boundary is diagonal in frequency: at each frequency $f$ it multiplies the channels by a small matrix $\hat K(f)$, the Fourier
# transform of the kernel. Its norm is the largest singular value of any of them {cite:p}`sedghi2019`. On images at least as large as the kernel the reshaped
# kernel $R$ gives bounds on both sides,
#
# $$
# \lVert R\rVert\le\lVert\mathrm{conv}\rVert\le\sqrt{k_hk_w}\,\lVert R\rVert .
# $$ (eq-critics-reshaped)
#
# On the left: the mean of $\hat K\hat K^*$ over the frequencies is $RR^\top$, and a mean of matrices has no larger norm than its largest term. On the right:
# the output at a place is $R$ times a patch, and every pixel lies in $k_hk_w$ patches. (On smaller images entries of the kernel wrap onto the same pixel: with
# $n=2$ the row $(1,0,-1)$ is the zero map, while $\lVert R\rVert=\sqrt2$.)

# %%
def conv_norm(kernel, n):
    """Norm of a periodic convolution on n×n images, kernel (out, in, h, w)"""
    if n < max(kernel.shape[2:]):
        raise ValueError(f"the kernel does not fit on {n}×{n} images")
    frequencies = torch.fft.fft2(kernel, s=(n, n))          # (out, in, n, n)
    return torch.linalg.matrix_norm(frequencies.permute(2, 3, 0, 1), 2).max()


def reshaped_norm(kernel):
    return torch.linalg.matrix_norm(kernel.flatten(1), 2)


def conv_matrix(kernel, n):
    """The same 3×3 convolution as one big matrix, column by column"""
    basis = torch.eye(kernel.shape[1] * n * n).view(-1, kernel.shape[1], n, n)
    padded = pad(basis, (1, 1, 1, 1), mode="circular")
    return conv2d(padded, kernel).flatten(1).T


# %% tags=["hide-input"]
kernel = torch.randn(8, 4, 3, 3, generator=gen)
claim("critics-conv", "norm of a random 3×3 convolution from 4 to 8 channels, on 6×6 images", conv_norm(kernel, 6),
      torch.linalg.matrix_norm(conv_matrix(kernel, 6), 2), item="X0.10 E0.15", by="the whole 288 × 144 matrix", rtol=1e-9)
ratios = torch.stack([conv_norm(k, 6) / reshaped_norm(k) for k in torch.randn(200, 8, 4, 3, 3, generator=gen)])
claim("critics-conv-reshaped", "norm over that of the reshaped kernel, mean of 200 random convolutions", ratios.mean(), item="X0.10 E0.15",
      by="1 if the recipe were exact, 3 at most", at_least=1.6, at_most=1.9, digits=3)
box = torch.ones(1, 1, 3, 3)
claim("critics-conv-box", "box kernel: norm of the reshaped kernel, and of the convolution", torch.stack([reshaped_norm(box), conv_norm(box, 8)]),
      torch.tensor([3.0, 9.0]), item="X0.10 E0.15", by="√9, and 9 at frequency zero: the worst case", atol=1e-9)
one = torch.zeros(1, 1, 3, 3)
one[0, 0, 0, 0] = 1
claim("critics-conv-shift", "kernel with a single one: both norms", torch.stack([reshaped_norm(one), conv_norm(one, 8)]), torch.ones(2),
      item="E0.15", by="a shift is an isometry: the best case", atol=1e-9)

points = torch.cartesian_prod(torch.linspace(-4, 4, 81), torch.linspace(-4, 4, 81))
shares = []
for _ in range(20):
    net = [torch.randn(a, b, generator=gen) for a, b in ((2, 32), (32, 32), (32, 1))]
    net = [m / torch.linalg.matrix_norm(m, 2) for m in net]
    hidden = points.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(((((hidden @ net[0]).relu() @ net[1]).relu()) @ net[2]).sum(), hidden)
    shares.append(slopes.norm(dim=1).max())
shares = torch.stack(shares)
claim("critics-product", "random network of three normalised layers: largest slope, mean of 20 networks", shares.mean(), item="E0.15",
      by="1 if the bound were reached", at_least=0.05, at_most=0.2, digits=2)


# %% [markdown]
# From 4 to 8 channels a reshaped kernel understates a random convolution's norm by a factor of {value}`critics-conv-reshaped:.1f` on average. And the slope of a random network
# whose three layers are all exactly normalised reaches only {value}`critics-product:.0%` of what the bound allows.
#
# ## Packing: show the discriminator several at once
#
# {item}`S0.16` Why do GANs lose modes at all (**mode collapse**)? With the best discriminator the minimax loss is Jensen–Shannon ({ref}`ch-adversarial`), which is bounded: a
# model that has lost half of the modes pays only part of $\log2$. And on the modes that it has kept, the best discriminator of single pictures says
# $p/(p+q)=\tfrac13$ everywhere: it is flat, and no slope leads away.
#
# Show it $m$ pictures from the same source at once {cite:p}`lin2018`. Then it compares $p^{\otimes m}$ with $q^{\otimes m}$, and $m$ draws that all come from
# half of the modes are a rare event under the data. If $q$ is $p$ restricted to a share $s_1$ of its mass, then $q^{\otimes m}$ is $p^{\otimes m}$ restricted
# to a share $s=s_1^m$: there it has the density $p^{\otimes m}/s$, and the mixture has $\tfrac{1+s}{2s}\,p^{\otimes m}$. Hence
#
# $$
# \begin{aligned}
# \mathrm{JS}_m&=\tfrac12\Bigl[s\log\tfrac{2s}{1+s}+(1-s)\log2+\log\tfrac{2}{1+s}\Bigr],\\
# \mathrm{TV}_m&=1-s .
# \end{aligned}
# $$ (eq-critics-packing)

# %%
def packed_js(kept, m):
    """JS of m draws of p against m of p restricted to a share `kept`"""
    s = kept**m
    first = s * math.log(2 * s / (1 + s)) if s else 0.0
    return 0.5 * (first + (1 - s) * math.log(2) + math.log(2 / (1 + s)))


def product(p, m):
    """Probabilities of all outcomes of m independent draws: (K,) -> (K^m,)"""
    out = torch.ones(1)
    for _ in range(m):
        out = torch.outer(out, p).flatten()
    return out


whole, half = torch.ones(8) / 8, torch.tensor([0.25] * 4 + [0.0] * 4)

# %% tags=["hide-input"]
sizes = (1, 2, 4)
claim("critics-packing", "Jensen–Shannon when half the modes are lost, 1, 2 and 4 draws at once", torch.tensor([packed_js(0.5, m) for m in sizes]),
      torch.stack([js_discrete(product(whole, m), product(half, m)) for m in sizes]), item="Q0.4 S0.16", by="all outcomes of eight modes enumerated", atol=1e-9, digits=5, unit="nats")
claim("critics-packing-tv", "total variation of the same", torch.stack([tv_discrete(product(whole, m), product(half, m)) for m in sizes]),
      torch.tensor([0.5, 0.75, 0.9375]), item="Q0.4", by="1 - 2^-m", atol=1e-12)
claim("critics-packing-small", "a mode of 0.1 % lost: Jensen–Shannon of 4 draws over that of one", packed_js(0.999, 4) / packed_js(0.999, 1), 4.0, item="Q0.4",
      by="m to first order, since JS = ½ (1 - s) log 2 + O((1 - s)²)", rtol=2e-3, digits=3)

# %% [markdown]
# Packing raises the *price* of a lost mode, about $m$-fold for a small one. It does not change that the best discriminator is flat on what was kept: a way back,
# if there is one, is shown by discriminators that are not at their best.
#
# ## Four GANs on a ring
#
# Eight narrow Gaussians on a circle of radius two, with $\sigma=0.05$ instead of the 0.2 of this book's other rings, are the classic trap: a generator finds
# some and hops between them. Four GANs, three seeds each: the non-saturating one as it is, with $R_1$ ($\gamma=1$), with pairs of points packed together, and
# a Wasserstein GAN with gradient penalty ($\lambda=1$) whose critic takes two steps to the generator's one. All have the same networks (pairs widen the input), rates and number of
# generator steps. The training loop: {item}`X0.13`

# %%
angles = 2 * math.pi * torch.arange(8) / 8
centres = 2 * torch.stack([angles.cos(), angles.sin()], 1).float()  # (8, 2)
SIGMA = 0.05


def ring(k, n):
    which = torch.randint(8, (k, n), generator=gen)
    return centres[which] + SIGMA * torch.randn(k, n, 2, generator=gen)


def loss_of_critic(kind, D, real, fake):
    """(k, n, d) twice -> (k,)"""
    if kind == "wasserstein":
        slope = gradient_norm(D, interpolate(real, fake))
        return (D(fake) - D(real)).mean((1, 2)) + ((slope - 1) ** 2).mean(1)
    loss = (softplus(-D(real)) + softplus(D(fake))).mean((1, 2))  # logits
    if kind == "R1":
        loss = loss + 0.5 * (gradient_norm(D, real) ** 2).mean(1)
    return loss


# %%
def play(kind, k=3, steps=1500, n=128):
    m = 2 if kind == "packed" else 1
    G, D = Stack(k, [4, 64, 64, 2]), Stack(k, [2 * m, 64, 64, 1])
    for_g, for_d = (
        torch.optim.Adam(net.parameters(), lr=4e-3, betas=(0.5, 0.9))
        for net in (G, D))

    def pack(x):                                 # (k, n, 2) -> (k, n / m, 2 m)
        return x.reshape(k, -1, 2 * m)

    for t in range(steps):
        for optimiser in (for_g, for_d):
            optimiser.param_groups[0]["lr"] = 4e-3 * (1 - t / steps)
        for _ in range(2 if kind == "wasserstein" else 1):
            fake = G(torch.randn(k, n, 4, generator=gen)).detach()
            loss = loss_of_critic(kind, D, pack(ring(k, n)), pack(fake))
            for_d.zero_grad()
            loss.sum().backward()
            for_d.step()
        verdict = D(pack(G(torch.randn(k, n, 4, generator=gen))))
        loss = -verdict if kind == "wasserstein" else softplus(-verdict)
        for_g.zero_grad()
        loss.mean((1, 2)).sum().backward()
        for_g.step()
    with torch.no_grad():
        return G(torch.randn(k, 2000, 4, generator=gen))


def covered(x):
    """x (k, n, 2) -> modes with over 1 % of the samples within 4 σ (k,),
    and the share of samples within 4 σ of any (k,)"""
    distance, mode = torch.cdist(x, centres.expand(len(x), 8, 2)).min(2)
    near = distance < 4 * SIGMA
    hits = torch.stack([((mode == c) & near).double().mean(1)
                        for c in range(8)])
    return (hits > 0.01).sum(0), near.double().mean(1)


# %%
torch.set_default_dtype(torch.float32)
drawn = {kind: play(kind) for kind in ("plain", "R1", "packed", "wasserstein")}
torch.set_default_dtype(torch.float64)
results = {kind: covered(x) for kind, x in drawn.items()}

# %% mystnb={"figure": {"name": "fig-critics-ring", "caption": "What four GANs draw after a short run, first of three seeds. The plain one misses modes; the others find them all, or nearly, and are still far from sharp."}, "image": {"alt": "Four scatter plots around a ring of eight small circles. In the first several circles are nearly empty; in the other three every circle holds a cluster, with points in between."}} tags=["hide-input", "picture-varies"]
_, axes = plt.subplots(1, 4, figsize=(7, 2.1), sharex=True, sharey=True, layout="constrained")
for ax, (kind, x) in zip(axes, drawn.items(), strict=True):
    ax.plot(*x[0, :400].T, ".", ms=2, color=colors.model)
    ax.plot(*centres.T, "o", ms=9, mfc="none", color=colors.truth, lw=0.5)
    name = {"R1": "$R_1$", "wasserstein": "Wasserstein"}.get(kind, kind)
    ax.set(title=f"{name}: {int(results[kind][0][0])} of 8", xlim=(-2.8, 2.8), ylim=(-2.8, 2.8), aspect="equal")
    ax.set_xlabel("$x_1$")
axes[0].set_ylabel("$x_2$")
plt.show()

# %% tags=["hide-input"]
for kind in ("R1", "packed", "wasserstein"):
    claim(f"critics-ring-{kind.lower()}", f"modes covered, median of three seeds: {kind}",
          results[kind][0].double().median(), by="8 is all", at_least=7, stable=False)
best = torch.stack([results[k][0].double().mean() for k in ("R1", "packed", "wasserstein")])
claim("critics-ring-gain", "mean modes of the least of these three minus mean modes of the plain GAN", best.min() - results["plain"][0].double().mean(),
      item="X0.13 Q0.4", by="0 if the change made no difference", at_least=0.6, stable=False)
claim("critics-ring-sharp", "share of samples within four standard deviations of a mode, best of the four GANs", max(float(r[1].mean()) for r in results.values()),
      item="X0.13", by="0.9997 for the data: the short run settles coverage, not sharpness", at_most=0.8, stable=False)


# %% [markdown]
# The run is short, and says what it says: it suffices to see which GANs *find* the modes ({numref}`fig-critics-ring`), not which would be sharpest in the end.
# That the plain GAN loses some here is a fact about these networks, rates and steps, not a rule.
#
# :::{exercise-start} Against mode collapse
# :label: q0-4
# :class: question
# :::
# {item}`Q0.4` Propose a way to mitigate mode collapse in an adversarial network, considering the properties of the Jensen–Shannon divergence.
# :::{exercise-end}
# :::
#
# :::{solution-start} q0-4
# :label: q0-4-solution
# :class: dropdown
# :::
# **What the divergence says.** It is bounded by $\log2$ and saturates: losing a mode of weight $w$ costs {eq}`eq-critics-packing` with $s=1-w$, about
# $\tfrac12w\log2$, whatever the distance of the mode, and the *slope* of the divergence vanishes once supports part. The non-saturating loss has the
# gradient of $\mathrm{KL}(q\Vert p)-2\,\mathrm{JS}$, whose first part is mode-seeking and whose second even rewards distance ({ref}`ch-families`). And a
# discriminator of single pictures cannot see variety.
#
# **So, three parts.** (1) The non-saturating loss, for its slope. (2) $R_1$ on real data, for convergence near the solution. (3) Packing, so that the price of
# a lost mode is paid about $m$ times over, {eq}`eq-critics-packing`. The ring above tests (2) and (3) one at a time. Other ways to the same ends: noise on both
# inputs, a Wasserstein critic with a penalty, statistics of the batch as an input, a likelihood term.
#
# The cell computes what packing buys for a *rare* mode, where it matters most: the number of draws at once that make losing it as expensive as losing half of
# the modes is for single draws.

# %%
def draws_needed(weight):
    price = packed_js(0.5, 1)
    return next(m for m in itertools.count(1) if packed_js(1 - weight, m) >= price)


rare = [0.5, 0.1, 0.05, 0.01]
needed = [draws_needed(w) for w in rare]

# %% tags=["hide-input"]
claim("critics-needed", "draws at once that price a mode of weight 0.5, 0.1, 0.05, 0.01 like half of all modes", torch.tensor(needed),
      torch.tensor([math.ceil(math.log(0.5) / math.log(1 - w) - 1e-9) for w in rare]), item="Q0.4", by="(1 - w)^m = 1/2, rounded up")

# %% [markdown]
# For a mode of one per cent it takes $\lceil\log\tfrac12/\log0.99\rceil=69$: packing helps against the loss of many modes, not of one rare mode. There a
# likelihood does better, since its price {eq}`eq-divergences-lost` grows with the square of the distance.
# :::{solution-end}
# :::
#
# ## Exercises
#
# :::{bank} critics-penalty
# :::
#
# :::{bank} critics-power
# :::
#
# :::{bank} critics-packing
# :::
#
# :::{bank} critics-r1
# :::
#
# :::{bank} critics-explain-logs
# :::
#
# ## What to read next
#
# - {cite:t}`gulrajani2017` and {cite:t}`miyato2018` introduced the two ways to bound the slope; {cite:t}`mescheder2018` shows which games converge.
# - {cite:t}`sedghi2019` has the spectrum of a convolution, {cite:t}`lin2018` the theory of packing.
# - Next: {ref}`ch-optimisation`, on the steps that all families share.
