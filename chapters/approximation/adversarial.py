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
# (ch-adversarial)=
# # The adversarial game
#
# After this page you will be able to
#
# - derive the best discriminator, and say which divergence it measures, from which side, and on which data;
# - tell the two generator losses apart by their gradients, and say when training the discriminator further helps;
# - compute, for the smallest game there is, which ways of playing converge, and at what rate;
# - say when a game has an equilibrium, and write a training loop whose result you check without looking at its losses.
#
# ## A classifier instead of a formula
#
# A **generator** turns noise into examples, $x = G(z)$, and unless $G$ is invertible its density is out of reach in general.
# Then maximum likelihood ({ref}`ch-density`) cannot train it.
# But anyone can *compare*: put its examples among real ones and ask a classifier which are which. While the classifier, the **discriminator**, does better than a coin,
# the generator has something to learn, and the discriminator's slope says in which direction ({numref}`fig-adversarial-classifier`). The discriminator learns too.
# What does such a pair, a **generative adversarial network** (GAN), converge to, and does it converge at all?

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-adversarial-classifier", "caption": "Left: the distribution of the data and that of a generator. Right: the best possible discriminator's probability that a point is real. It is undecided where the two are equally dense, and its slope tells the generator which way to move."}, "image": {"alt": "Left, two bell curves of equal width centred at zero and at two. Right, a falling S-shaped curve from one to zero that crosses one half midway between the two centres, with arrows pointing left along it."}}
import copy
import math

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import logsigmoid, softplus

from genkit.claims import claim, self_check
from genkit.divergences import (
    js_discrete,
    js_quadrature,
    kl_quadrature,
    wasserstein_1d,
)
from genkit.live import slider_figure
from genkit.plot import colors, style
from genkit.train import fit, seed_everything

style()
gen = seed_everything(0)
torch.set_default_dtype(torch.float64)
normal = torch.distributions.Normal

line = torch.linspace(-3.5, 5.5, 181)
_, (left, right) = plt.subplots(1, 2, figsize=(7, 2.6))
left.plot(line, normal(0.0, 1.0).log_prob(line).exp(), color=colors.data, label="data $p$")
left.plot(line, normal(2.0, 1.0).log_prob(line).exp(), color=colors.model, ls="--", label="generator $q$")
left.set(xlabel="$x$", ylabel="density", ylim=(0, 0.52))
left.legend(loc="upper right", ncols=2)
right.plot(line, torch.sigmoid(2 - 2 * line), color=colors.bad)
right.axhline(0.5, color=colors.muted, ls=":")
for at in (0.6, 1.2, 1.8, 2.4):
    y = float(torch.sigmoid(torch.tensor(2 - 2 * at)))
    right.annotate("", (at - 0.55, y), (at + 0.05, y), arrowprops={"arrowstyle": "->", "color": colors.model})
right.set(xlabel="$x$", ylabel="$D^*(x)$, probability of real")
plt.show()

# %% [markdown]
# (sec-adversarial-game)=
# ## The game and its best discriminator
#
# {item}`S0.18` Let $p$ be the distribution of the data and $q$ that of $G(z)$, with $z$ drawn from a fixed one. The discriminator $D$ maps a point to a probability
# that it is real. It is scored by its log-likelihood on a balanced mix (twice the mean of it),
#
# $$
# \begin{aligned}
# &\min_G\,\max_D\; V(D,G), \\
# &V(D,G) = \mathbb E_{x\sim p}\big[\log D(x)\big] + \mathbb E_{z}\big[\log\big(1-D(G(z))\big)\big],
# \end{aligned}
# $$ (eq-adversarial-value)
#
# which the discriminator maximises and the generator minimises: what one wins the other loses, a **zero-sum game**
# {cite:p}`goodfellow2014`. We write $D(x)=\sigma(\ell(x))$ with the logistic function $\sigma(t)=1/(1+e^{-t})$ and the **logit** $\ell$.
#
# :::{prf:theorem} The best discriminator and what any other one misses
# :label: thm-adversarial-optimal
# Let $p$ and $q$ have densities and let $m=\tfrac12(p+q)$. With $D^*(x) = \dfrac{p(x)}{p(x)+q(x)}$, for every $D$ with values in $[0,1]$,
#
# $$
# \begin{aligned}
# V(D,G) &= 2\,\mathrm{JS}(p,q) - \log 4 \\
# &\quad{}- 2\,\mathbb E_{x\sim m}\Big[\mathrm{kl}\big(D^*(x)\,\Vert\,D(x)\big)\Big],
# \end{aligned}
# $$ (eq-adversarial-gap)
#
# where $\mathrm{kl}(a\Vert b)=a\log\frac ab+(1-a)\log\frac{1-a}{1-b}$ and
# $\mathrm{JS}=\tfrac12\mathrm{KL}(p\Vert m)+\tfrac12\mathrm{KL}(q\Vert m)$. So the maximum over $D$ is $2\,\mathrm{JS}(p,q)-\log4$, reached by $D^*$ and, up
# to sets without mass, by no other.
# :::
#
# :::{prf:proof}
# At a point $x$ with $p+q>0$ the integrand of $V$ is
#
# $$
# \begin{aligned}
# &p\log D+q\log(1-D)\\
# &=(p+q)\big[D^*\log D+(1-D^*)\log(1-D)\big]\\
# &=p\log D^*+q\log(1-D^*)-(p+q)\,\mathrm{kl}(D^*\Vert D).
# \end{aligned}
# $$
#
# Integrate, with $p+q=2m$. The first two terms of the last line give
#
# $$
# \begin{aligned}
# &\int p\log\frac{p}{p+q}+\int q\log\frac{q}{p+q}\\
# &\qquad = \mathrm{KL}(p\Vert m)+\mathrm{KL}(q\Vert m)-2\log2 .
# \end{aligned}
# $$
#
# Since $\mathrm{kl}\ge0$ with equality only for equal arguments, the rest follows.
# :::
#
# Three consequences. The inner maximum is, up to a constant, a divergence that is zero exactly if $q=p$. So the *outer* problem has the right answer: there
# $D^*=\tfrac12$ everywhere and $V=-\log 4$. The divergence is Jensen–Shannon, bounded by $\log2$, with all that {ref}`ch-divergences` says of it. And a
# discriminator that is *not* the best one still measures it, **from below**: {eq}`eq-adversarial-gap` says by how much it falls short.

# %%
x = torch.linspace(-14, 20, 6801)     # the grid of all integrals
log_p = normal(0.0, 1.0).log_prob(x)  # the data: N(0, 1)

def log_q(theta):
    """The generator x = θ + z: log density of N(θ, 1) on the grid."""
    return normal(theta, 1.0).log_prob(x)

def value(logit, theta):
    """V in nats, by quadrature, for these logits on the grid."""
    on_real = log_p.exp() * logsigmoid(logit)
    on_fake = log_q(theta).exp() * logsigmoid(-logit)
    return torch.trapezoid(on_real + on_fake, x)

def missed(logit, theta):
    """2 E_m kl(D* ‖ D), what the discriminator falls short by."""
    best, m2 = log_p - log_q(theta), log_p.exp() + log_q(theta).exp()
    real = torch.sigmoid(best) * (logsigmoid(best) - logsigmoid(logit))
    fake = torch.sigmoid(-best) * (logsigmoid(-best) - logsigmoid(-logit))
    return torch.trapezoid(m2 * (real + fake), x)     # m2 = 2 m


# %% tags=["hide-input"]
thetas = torch.tensor([0.5, 1.0, 2.0, 4.0, 6.0])
js = torch.stack([js_quadrature(log_p, log_q(t), x) for t in thetas])
at_best = torch.stack([value(log_p - log_q(t), t) for t in thetas])
claim("adversarial-value", "V of D*, generators N(θ, 1) with θ = 0.5, 1, 2, 4, 6", at_best,
      2 * js - math.log(4), by="2 JS − log 4, JS by its definition", atol=1e-9, unit="nats")
truth = float(2 * js[2] - math.log(4))
others = 1 - x, torch.sin(3 * x), 0 * x
claim("adversarial-gap", "θ = 2, logits 1 − x, sin 3x and 0: V + what they miss",
      torch.stack([value(d, 2.0) + missed(d, 2.0) for d in others]), torch.full((3,), truth),
      by="2 JS − log 4", atol=1e-9, unit="nats")

def bernoulli_kl(a, b):
    return torch.sigmoid(a) * (logsigmoid(a) - logsigmoid(b)) + torch.sigmoid(-a) * (logsigmoid(-a) - logsigmoid(-b))

m2, best = log_p.exp() + log_q(2.0).exp(), 2 - 2 * x
turned = torch.stack([value(d, 2.0) + torch.trapezoid(m2 * bernoulli_kl(d, best), x) for d in others])
claim("adversarial-gap-mutant", "wrong: the same with kl(D ‖ D*) in place of kl(D* ‖ D), smallest error",
      (turned - truth).abs().min(), item="S0.18", by="the direction matters", at_least=0.02, unit="nats", digits=2)


# %% [markdown]
# (sec-adversarial-instrument)=
# ## A discriminator is a measuring instrument
#
# {item}`X0.5` Now without knowing $p$ and $q$. A network sees only draws, fresh ones at each step, and climbs $V$. For $p=\mathcal N(0,1)$ and
# $q=\mathcal N(2,1)$ the ceiling is $2\,\mathrm{JS}-\log4=-0.712633$, and the best logit is $\log p-\log q=2-2x$.

# %%
def mlp(width=32):
    hidden = [nn.Linear(1, width), nn.LeakyReLU(0.2),
              nn.Linear(width, width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*hidden, nn.Linear(width, 1))

def sample_value(D, real, fake):
    """V estimated from two samples, (n, 1) each; D returns logits."""
    return logsigmoid(D(real)).mean() + logsigmoid(-D(fake)).mean()

def draw(n, g=gen):
    real, z = torch.randn(2, n, 1, generator=g)
    return real, 2 + z

def on_grid(D):
    with torch.no_grad():
        return D(x[:, None])[:, 0]

D = mlp(64)
history = fit(lambda: -sample_value(D, *draw(256)), D.parameters(),
              steps=1000, lr=1e-2, schedule="cosine")
logit = on_grid(D)


# %% [markdown]
# Fresh draws are a luxury. Next, the same with a fixed sample of twenty points from each side, seen 1000 times.

# %%
def overfit(seed):
    """A network, its V on its own points, and its V on all others."""
    real, fake = draw(20, seed_everything(seed))
    D = mlp(64)
    fit(lambda: -sample_value(D, real, fake), D.parameters(),
        steps=1000, lr=1e-2, schedule="cosine")
    return D, sample_value(D, real, fake).item(), value(on_grid(D), 2.0).item()

over, on_own, on_others = zip(*map(overfit, range(3)), strict=True)

# %% tags=["hide-input"]
claim("adversarial-ceiling", "the ceiling, 2 JS − log 4 at separation 2", truth, -0.712633,
      by="the text's value, from another quadrature", atol=5e-7, unit="nats", digits=6)
claim("adversarial-trained-value", "V of a network trained on fresh draws, by quadrature",
      value(logit, 2.0), by="the theorem: below the ceiling; at most 0.001 below, with any seed",
      at_least=truth - 0.001, at_most=truth, unit="nats", stable=False)
middle = (x > -1.5) & (x < 3.5)
claim("adversarial-trained-d", "the network's D(x) against p/(p+q) on −1.5 < x < 3.5: largest error",
      (torch.sigmoid(logit) - torch.sigmoid(2 - 2 * x))[middle].abs().max(), item="X0.5",
      by="closed form σ(2 − 2x)", at_most=0.03, stable=False)
own, held_out = torch.tensor(on_own), torch.tensor(on_others)
claim("adversarial-own-sample", "twenty points a side: V on them, above the ceiling by, 3 seeds",
      own - truth, item="E0.14", by="the theorem bounds the expectation, not the training value",
      at_least=0.1, unit="nats", stable=False)
def bound_critic(apart):
    """E_q f - E_p f, by quadrature, of the worst among the best f of slope at most one for twenty points a side."""
    real, fake = torch.randn(2, 20, generator=gen).sort().values
    below = [torch.searchsorted(points, x, right=True) for points in (real, fake + apart)]
    slope = torch.where(below[0] > below[1], 1.0, -1.0)  # the sign of F_p - F_q; where they are equal f is free
    cdf = torch.special.ndtr(x) - torch.special.ndtr(x - apart)
    return torch.trapezoid(slope * cdf, x)


claim("adversarial-bound-critic", "twenty points a side, 2 apart: value of their best 1-Lipschitz critic on all others, worst choice, mean of 400",
      torch.stack([bound_critic(2.0) for _ in range(400)]).mean(), item="E0.14", by="2 for the best of all; other seeds", at_least=1.9,
      at_most=1.94, digits=3)
claim("adversarial-bound-near", "the same, 0.5 apart", torch.stack([bound_critic(0.5) for _ in range(400)]).mean(), item="E0.14",
      by="0.5 for the best of all; other seeds", at_least=0.24, at_most=0.33, digits=2)
claim("adversarial-held-out", "the same networks on all other points, below the ceiling by, median of 3 seeds",
      (truth - held_out).median(), item="X0.5 E0.14", by="worse than always answering ½, which is 0.67 below",
      at_least=math.log(4) + truth, unit="nats", stable=False)

# %% tags=["hide-input", "picture-varies"] mystnb={"figure": {"name": "fig-adversarial-instrument", "caption": "Left: the value of a network that sees fresh draws rises to the ceiling; what is above is the noise of the batches. Right: that network has found the ratio of the densities, while one that saw the same twenty points again and again has not."}, "image": {"alt": "Left, a curve that rises within a few hundred steps to a dashed horizontal line and then scatters closely around it. Right, a dashed S-shaped curve with a solid one lying on it, and an erratic third curve that jumps between zero and one."}}
_, (left, right) = plt.subplots(1, 2, figsize=(7, 2.8))
climb = -torch.tensor(history.loss).reshape(-1, 25).mean(1)  # every batch is fresh: unbiased
left.plot(range(13, 1001, 25), climb, color=colors.model, label="trained network, 25 steps' mean")
left.axhline(truth, color=colors.truth, ls="--", label=r"$2\,\mathrm{JS}-\log 4$")
left.set(xlabel="steps", ylabel="value $V$ (nats)")
left.legend()
window = (x > -3.5) & (x < 5.5)
right.plot(x[window], torch.sigmoid(on_grid(over[-1]))[window], color=colors.bad, lw=1.2, label="twenty points")
right.plot(x[window], torch.sigmoid(logit)[window], color=colors.model, label="fresh draws")
right.plot(x[window], torch.sigmoid(2 - 2 * x)[window], color=colors.truth, ls="--", label="$p/(p+q)$")
right.set(xlabel="$x$", ylabel="$D(x)$")
right.legend(fontsize=8, loc="upper right")
plt.show()


# %% [markdown]
# On fresh draws the network comes up to the ceiling, and its $D$ to $p/(p+q)$ ({numref}`fig-adversarial-instrument`). On its own twenty points the over-fitted
# network reports a value *above* the ceiling, which no discriminator has on average; on new points it is, in the median of three runs, worse than one that always
# answers $\tfrac12$. The theorem bounds an expectation. **A divergence read off a discriminator is a lower bound only on data that it was not trained
# on.** A network that separates its own sample with certainty reads $V\approx0$ there, that is $\mathrm{JS}\approx\log2$, whatever the two distributions are.
#
# (sec-adversarial-gradients)=
# ## Two losses for the generator
#
# With $V$ as it stands the generator minimises $\mathbb E\log(1-D(G(z)))$, the **saturating** loss. In practice it mostly minimises
# $-\mathbb E\log D(G(z))$, the **non-saturating** one. Both want $D(G(z))$ to be large. They are not the same game.
#
# :::{prf:theorem} What the two losses descend
# :label: thm-adversarial-gradients
# Let $q_\theta$ be the distribution of the generator, with densities smooth enough to differentiate under the integral, and let $D$ be held at the best discriminator
# for the current $\theta$ while the generator's loss is differentiated. Then
#
# $$
# \begin{aligned}
# \nabla_\theta\,\mathbb E_{q_\theta}\big[\log(1-D)\big] &= \nabla_\theta\, 2\,\mathrm{JS}(p,q_\theta),\\
# \nabla_\theta\,\mathbb E_{q_\theta}\big[-\log D\big] &= \nabla_\theta\big[\mathrm{KL}(q_\theta\Vert p)\\
# &\qquad\quad{}- 2\,\mathrm{JS}(p,q_\theta)\big].
# \end{aligned}
# $$ (eq-adversarial-gradients)
# :::
#
# :::{prf:proof}
# On the left only $q_\theta$ is differentiated: $\int\nabla q\,\log\frac{q}{p+q}$ and $\int\nabla q\,\log\frac{p+q}{p}$. On the right,
# $2\,\mathrm{JS}=\int p\log\frac{p}{m}+\int q\log\frac qm$ has the gradient
#
# $$
# \int\nabla q\,\log\frac qm+\int\nabla q\,\Big(1-\frac{p+q}{2m}\Big)=\int\nabla q\,\log\frac{q}{p+q},
# $$
#
# since $p+q=2m$ and $\int\nabla q=0$. Likewise $\nabla\mathrm{KL}(q\Vert p)=\int\nabla q\log\frac qp$. Subtract:
# $\log\frac qp-\log\frac q{p+q}=\log\frac{p+q}p$.
# :::
#
# The second line is due to {cite:t}`arjovsky2017`: the non-saturating loss descends a *reverse* divergence **minus** a Jensen–Shannon one. Neither line contains the
# forward divergence of maximum likelihood; {ref}`ch-families` compares what follows from that. Through a single fake $x$ the difference is plain. The gradients
# of the two losses by $x$ are
#
# $$
# -D(x)\,\nabla\ell(x) \qquad\text{and}\qquad -\big(1-D(x)\big)\,\nabla\ell(x),
# $$ (eq-adversarial-factors)
#
# the same direction with factors that add up to one. Where the discriminator is sure of a fake, $D(x)\approx0$, the saturating loss gives hardly any signal, just
# when it is needed most; the other one gives all of it. For $p=\mathcal N(0,1)$, $q_\theta=\mathcal N(\theta,1)$ the best logit has the slope $-\theta$, so the
# gradients by $\theta$ are
#
# $$
# \begin{aligned}
# \text{saturating: }&\theta\,\mathbb E_{q_\theta}[D^*] \;\le\; \tfrac{\theta}{2}\,e^{-\theta^2/8},\\
# \text{non-saturating: }&\theta\,\big(1-\mathbb E_{q_\theta}[D^*]\big),
# \end{aligned}
# $$ (eq-adversarial-gauss)
#
# where the bound is $\frac{p}{p+q}\le\frac12\sqrt{p/q}$, integrated against $q$. {item}`X0.6` We check {eq}`eq-adversarial-gradients` with the best
# discriminator frozen as in training (`detach`), against finite differences of the divergences.

# %%
def generator_gradients(log_p, log_q, theta):
    """d/dθ of E log(1-D) and of -E log D, with D frozen at the best one."""
    theta = torch.tensor(theta, requires_grad=True)
    q = log_q(theta).exp()
    logit = (log_p - log_q(theta)).detach()             # frozen
    saturating = torch.trapezoid(q * logsigmoid(-logit), x)
    non_saturating = torch.trapezoid(-q * logsigmoid(logit), x)
    return [torch.autograd.grad(loss, theta, retain_graph=True)[0]
            for loss in (saturating, non_saturating)]

def slope(divergence, theta, step=1e-3):
    """Derivative by a central difference of fourth order."""
    f = [divergence(theta + k * step) for k in (-2, -1, 1, 2)]
    return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step)

separations = [0.5, 1.0, 2.0, 4.0, 6.0]
saturating, non_saturating = torch.tensor(
    [generator_gradients(log_p, log_q, t) for t in separations]).T

# %% tags=["hide-input"]
js_slope = torch.stack([slope(lambda t: js_quadrature(log_p, log_q(t), x), t) for t in separations])
kl_slope = torch.stack([slope(lambda t: kl_quadrature(log_q(t), log_p, x), t) for t in separations])
fooled = torch.stack([torch.trapezoid(torch.exp(log_q(t) + logsigmoid(log_p - log_q(t))), x) for t in separations])
at = torch.tensor(separations)
claim("adversarial-saturating", "saturating gradient, θ = 0.5, 1, 2, 4, 6", saturating,
      2 * js_slope, by="finite difference of 2 JS", rtol=1e-6)
claim("adversarial-non-saturating", "non-saturating gradient, θ = 0.5, 1, 2, 4, 6", non_saturating,
      kl_slope - 2 * js_slope, by="finite difference of KL(q‖p) − 2 JS", rtol=1e-6, digits=7)
claim("adversarial-factors", "both gradients from the factors θ E D* and θ (1 − E D*)",
      torch.cat([saturating, non_saturating]), torch.cat([at * fooled, at * (1 - fooled)]),
      by="slope −θ of the best logit, quadrature of E D*", rtol=1e-9)
claim("adversarial-saturating-bound", "saturating gradient over its bound ½ θ e^(−θ²/8)",
      saturating / (at / 2 * torch.exp(-(at**2) / 8)), item="X0.6", by="D* ≤ ½ √(p/q)", at_least=0.3, at_most=1.0)

def log_hills(y):
    """½ N(-1, 0.5²) + ½ N(1.5, 0.8²), the target at the end of this page."""
    return torch.logaddexp(normal(-1.0, 0.5).log_prob(y), normal(1.5, 0.8).log_prob(y)) - math.log(2)

hills = log_hills(x)
on_hills = generator_gradients(hills, log_q, 3.0)[1]
reverse, forward = (slope(f, 3.0) for f in (lambda t: kl_quadrature(log_q(t), hills, x),
                                             lambda t: kl_quadrature(hills, log_q(t), x)))
js_hills = slope(lambda t: js_quadrature(hills, log_q(t), x), 3.0)
claim("adversarial-hills", "two hills for data, θ = 3: the non-saturating gradient", on_hills,
      reverse - 2 * js_hills, by="finite difference of KL(q‖p) − 2 JS", rtol=1e-6)
claim("adversarial-forward-mutant", "wrong: with the forward divergence instead, off by",
      (on_hills - (forward - 2 * js_hills)).abs(), by="the direction matters", at_least=0.1)
claim("adversarial-reverse-mutant", "wrong: without the −2 JS the gradient at θ = 0.5 is too large by a factor",
      kl_slope[0] / non_saturating[0], 0.5 / 0.264736, item="X0.6", by="θ over the gradient of KL − 2 JS", rtol=1e-5)


# %% [markdown]
# (sec-adversarial-how-well)=
# ### How well should the discriminator be trained?
#
# Take the separation 6 and train the discriminator $\sigma(a+bx)$, a family that contains the best one, by plain gradient ascent on the exact $V$. Watch what it
# would send to the generator.

# %%
def train_discriminator(theta, steps, lr=0.1):
    """Gradients sent after each step, (steps, 2), by both losses."""
    p, q = log_p.exp(), log_q(theta).exp()
    a, b, sent = torch.zeros(()), torch.zeros(()), []
    for _ in range(steps):
        D = torch.sigmoid(a + b * x)
        fooled = torch.trapezoid(q * D, x)             # E_q D
        sent.append(torch.stack([-b * fooled, -b * (1 - fooled)]))
        residual = p * (1 - D) - q * D                 # dV/dlogit
        a = a + lr * torch.trapezoid(residual, x)
        b = b + lr * torch.trapezoid(residual * x, x)
    return torch.stack(sent)

sent = train_discriminator(6.0, 3001)
nearer = train_discriminator(4.0, 3001)


# %% [markdown]
# How long does the generator then need? With a discriminator that is always the best, and gradient descent in small steps, the way from $\theta=6$ to
# $\theta=1$ takes the time $\int_1^6 \mathrm d\theta/g(\theta)$, where $g$ is the gradient sent.

# %% tags=["hide-input"]
def travel(g, h=0.02):
    theta, steps = torch.tensor(6.0), 0
    while theta > 1:
        theta, steps = theta - h * g(theta), steps + 1
    return steps * h

def fool(t):
    return torch.trapezoid(torch.exp(log_q(t) + logsigmoid(log_p - log_q(t))), x)

way = torch.linspace(1, 6, 401)
drift = way * torch.stack([fool(t) for t in way])  # the saturating gradient on the way
times = torch.stack([torch.trapezoid(1 / drift, way), torch.trapezoid(1 / (way - drift), way)])
walked = torch.tensor([travel(lambda t: t * fool(t)), travel(lambda t: t * (1 - fool(t)))])
claim("adversarial-travel-saturating", "time with the saturating loss", walked[0], times[0],
      item="E0.14", by="∫ dθ/g", atol=0.08, digits=3)
claim("adversarial-travel-ns", "time with the non-saturating loss", walked[1], times[1],
      item="E0.14", by="∫ dθ/g", atol=0.04, digits=3)
claim("adversarial-more-steps", "separation 6, saturating gradient after 3000 steps of D over the largest on the way",
      sent[3000, 0] / sent[:, 0].max(), item="E0.14", by="falls towards the limit 0.01245/0.0437",
      at_least=float(saturating[4] / sent[:, 0].max()), at_most=0.4)
claim("adversarial-more-steps-near", "separation 4: the largest is the last", nearer[:, 0].argmax(), 3000, item="E0.14",
      by="rises towards the limit 0.1372")
claim("adversarial-more-steps-rise", "non-saturating gradient, separations 6 and 4: smallest growth in a step",
      torch.stack([s[1:, 1].diff().min() for s in (sent, nearer)]), item="E0.14", by="rises at every step", at_least=0.0)
claim("adversarial-more-steps-ns", "the same for the non-saturating gradient", sent[3000, 1] / sent[1, 1],
      item="E0.14", by="grows towards the limit 5.988/0.256", at_least=5.0, at_most=float(non_saturating[4] / sent[1, 1]))

# %% [markdown]
# :::{admonition} Common mistake: Updating the discriminator too often over-fits
# :class: mistake
# {item}`E0.14` What more steps do depends on the loss and on the data.
#
# - *Saturating loss.* The trouble is another one, and it is there with infinite data: far from the data a well-trained $D$ sends hardly any gradient
#   ({numref}`fig-adversarial-gradients`), at separation 6 after 3000 steps
#   {value}`adversarial-more-steps:.2f` of its largest; at 4 it still rises all the way. The whole way with the best $D$ takes
#   {value}`adversarial-travel-saturating:.0f` units of time; with the non-saturating loss it takes {value}`adversarial-travel-ns:.1f`.
# - *Non-saturating loss.* Here more steps enlarge the gradient at both separations.
# - *Wasserstein critic* ({ref}`ch-critics`). It maximises $\mathbb E_qf-\mathbb E_pf$ over functions of slope at most one. For our two distributions the best is
#   $f(x)=x$, and it sends the gradient 1 from any distance: train it as near to its best as you can afford.
# - *Few data.* With the logistic loss, which $D$ has whatever $G$ uses, over-fitting is what happens in {ref}`sec-adversarial-instrument`. One remedy is to augment
#   what $D$ sees {cite:p}`karras2020ada`; another is to bind it: a best critic of slope at most one for twenty points a side keeps
#   at least {value}`adversarial-bound-critic:.2f` of the true distance 2 on all other points, in the mean; of a distance $\tfrac12$,
#   {value}`adversarial-bound-near:.1f`.
# :::

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-adversarial-gradients", "caption": "The gradient that reaches the generator. Left: with the best discriminator, against the separation. Right: at separation six, against the number of steps the discriminator has been trained for."}, "image": {"alt": "Left, three curves against the separation: one rises, bends and falls back to nearly nothing, one grows without limit, one is constant at one. Right, on logarithmic axes, one curve falls, pauses and falls again, one climbs steadily, one is flat."}}
span = torch.linspace(0.05, 6, 60)
sat = span * torch.stack([fool(t) for t in span])
_, (left, right) = plt.subplots(1, 2, figsize=(7, 2.8))
for ax, across, curves in ((left, span, (sat, span - sat)), (right, range(1, 3001), sent[1:].T)):
    for curve, name, color in zip(curves, ("saturating", "non-saturating"), (colors.bad, colors.model), strict=True):
        ax.plot(across, curve, color=color, label=name)
    ax.axhline(1, color=colors.cycle[2], ls="--", label="best Wasserstein critic")
left.set(xlabel=r"separation $\theta$", ylabel=r"gradient by $\theta$", ylim=(0, 3))
right.set(xlabel="steps of the discriminator", ylabel=r"gradient by $\theta$", xscale="log", yscale="log")
left.legend(fontsize=8)
plt.show()


# %% [markdown]
# (sec-adversarial-dirac)=
# ## The smallest game, and why it turns
#
# {item}`X0.7` Take away everything that can be taken away {cite:p}`mescheder2018`. The data are one point, $0$; the generator is one point, $\theta$; the
# discriminator has one parameter, $\ell(x)=\psi x$. Let both move by their gradients, the generator down and the discriminator up, in continuous time:
#
# $$
# \begin{aligned}
# V(\theta,\psi)&=\log\sigma(0)+\log\sigma(-\psi\theta),\\
# \dot\theta&=-\frac{\partial V}{\partial\theta}=\sigma(\psi\theta)\,\psi,\\
# \dot\psi&=+\frac{\partial V}{\partial\psi}=-\sigma(\psi\theta)\,\theta .
# \end{aligned}
# $$ (eq-adversarial-dirac)
#
# The velocity $\sigma\cdot(\psi,-\theta)$ is perpendicular to the position, so both players walk round the equilibrium $(0,0)$ in a circle, for ever. Since they
# come back to where they were, *nothing* falls all along the way, not $V$ and no other function: there is no loss to watch. Nor is the velocity a gradient of
# anything: along a circle of radius $r$ it has the circulation $-\pi r^2$, where every gradient field has zero.

# %%
def field(theta, psi, gamma=0.0):
    """(dθ/dt, dψ/dt): G descends V, D ascends V - γ/2 ψ²."""
    D = torch.sigmoid(psi * theta)            # D at the generator's point
    return D * psi, -D * theta - gamma * psi

def simultaneous(theta, psi, h, gamma=0.0):
    d_theta, d_psi = field(theta, psi, gamma)
    return theta + h * d_theta, psi + h * d_psi

def alternating(theta, psi, h, gamma=0.0):
    psi = psi + h * field(theta, psi, gamma)[1]          # D moves first,
    return theta + h * field(theta, psi, gamma)[0], psi  # G answers it

def extragradient(theta, psi, h):
    d_theta, d_psi = field(*simultaneous(theta, psi, h))  # velocity ahead,
    return theta + h * d_theta, psi + h * d_psi           # used from here

def play(rule, steps, start=(1.0, 0.0), **options):
    """The trajectory, (steps + 1, 2)."""
    theta, psi = torch.tensor(start)
    path = [(theta, psi)]
    for _ in range(steps):
        theta, psi = rule(theta, psi, **options)
        path.append((theta, psi))
    return torch.tensor(path)


# %% [markdown]
# Computers take steps of a length $h$, and how they take them decides everything. The term with $\gamma$ is the **R1 penalty**
# $\tfrac\gamma2\,\mathbb E_p\lVert\nabla_x\ell\rVert^2$, here $\tfrac\gamma2\psi^2$. It charges the discriminator for a slope at the *data*, where in
# equilibrium it has none.
#
# :::{prf:theorem} Five ways to play a linear game
# :label: thm-adversarial-linear
# Let $\dot\theta=c\psi$, $\dot\psi=-c\theta-\gamma\psi$ with $c>0$, and $a=hc$. The largest modulus $\rho$ of an eigenvalue of one step is
#
# 1. simultaneous, $\gamma=0$: $\rho=\sqrt{1+a^2}>1$ for every $h$, and every step multiplies the radius by exactly that;
# 2. alternating, $\gamma=0$: $\rho=1$ for $a<2$, and $\theta^2+\psi^2-a\,\theta\psi$ keeps its value for ever;
# 3. simultaneous with $0<\gamma\le2c$: $\rho=\sqrt{1-h\gamma+a^2}$, below one exactly if $\gamma>hc^2$;
# 4. extragradient, $\gamma=0$: $\rho=\sqrt{1-a^2+a^4}$, below one exactly if $a<1$;
# 5. simultaneous with steps $h$ for $G$ and $\tau h$ for $D$, $\gamma=0$: $\rho=\sqrt{1+\tau a^2}>1$ for every $\tau>0$.
# :::
#
# :::{prf:proof}
# The field's matrix $J=\begin{pmatrix}0&c\\-c&-\gamma\end{pmatrix}$ has the eigenvalues $-\tfrac\gamma2\pm\sqrt{\tfrac{\gamma^2}4-c^2}$, which are
# $\pm ic$ if $\gamma=0$.
#
# (1) $I+hJ$ is $\sqrt{1+a^2}$ times a rotation. (3) For $\gamma\le2c$ the two eigenvalues are conjugate (or equal), so $\rho^2=\det(I+hJ)=1-h\gamma+a^2$.
# (5) The same with the second row of $J$ times $\tau$: $\det=1+\tau a^2$. (4) The step is $I+hJ+h^2J^2$, and $|1\pm ia-a^2|^2=1-2a^2+a^4+a^2$.
#
# (2) $\psi'=\psi-a\theta$ and $\theta'=\theta+a\psi'$ are two shears. So the product has determinant one, and its trace is $2-a^2$: conjugate eigenvalues, of
# modulus one, while $|2-a^2|<2$. For the invariant put $\psi=\psi'+a\theta$: both $\theta'^2+\psi'^2-a\theta'\psi'$ and $\theta^2+\psi^2-a\theta\psi$ become
# $\theta^2+\psi'^2+a\theta\psi'$.
# :::
#
# The game {eq}`eq-adversarial-dirac` is linear only near the equilibrium, with $c=\tfrac12$; with a Wasserstein critic, $V=-\psi\theta$, it is linear
# everywhere, with $c=1$. Some statements survive away from the equilibrium: a simultaneous step multiplies the squared radius by exactly
# $1+h^2\sigma(\psi\theta)^2$. Others don't. On the linear game alternation stays for ever on an ellipse with axes in the ratio $\sqrt{(2+a)/(2-a)}$; on
# {eq}`eq-adversarial-dirac` nothing guarantees that: from radius 1 with $h=1$, for instance, it drifts out, slowly, to radius 2 in {value}`adversarial-drift-steps:.0f` steps, far
# beyond the thirty units of time of the slider below.

# %% tags=["hide-input"]
rules = {"simultaneous": (simultaneous, {}), "alternating": (alternating, {}),
         "simultaneous, R1": (simultaneous, {"gamma": 0.5}), "extragradient": (extragradient, {})}
frames = []
for h in (0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 1.9, 2.3):
    a, lines = h / 2, []
    for name, (rule, options) in rules.items():
        path = play(rule, round(30 / h), h=h, **options)
        gone = (path.abs() > torch.tensor([5.1, 2.2])).any(1).nonzero()
        path = path[: int(gone[0])] if len(gone) else path
        path = path[:: max(1, len(path) // 120)]
        lines.append({"x": path[:, 0], "y": path[:, 1], "name": name})
    lines.append({"x": [0.0], "y": [0.0], "name": "equilibrium", "kind": "points", "r": 4})
    rho = (1 + a * a) ** 0.5, 1.0, (1 - h / 2 + a * a) ** 0.5, (1 - a * a + a**4) ** 0.5
    frames.append({"label": f"h = {h:g}", "lines": lines,
                   "note": "factor per step near the equilibrium: simultaneous {:.4f}, alternating {:.4f}, "
                           "R1 (γ = 0.5) {:.4f}, extragradient {:.4f}".format(*rho)})
slider_figure("adversarial-dirac", frames, slider_label="step size", start=3, xlim=(-5.1, 5.1), ylim=(-2.2, 2.2),
              xlabel="generator θ (the data are at 0)", ylabel="discriminator ψ", title="The smallest game, thirty units of time from (1, 0)",
              alt="Trajectories in the plane of generator and discriminator. Simultaneous steps spiral out, alternating steps circle, R1 and extragradient spiral into the centre unless the step is long")


# %% tags=["hide-input"]
def steps_matrix(rule, **options):
    """Matrix of one step at the equilibrium, from the code itself by autograd."""
    zero = torch.zeros(())
    rows = torch.autograd.functional.jacobian(lambda t, s: torch.stack(rule(t, s, **options)), (zero, zero))
    return torch.stack(rows, 1)

def modulus(matrix):
    return torch.linalg.eigvals(matrix).abs().max()

def two_scales(theta, psi, h, tau):
    d_theta, d_psi = field(theta, psi)
    return theta + h * d_theta, psi + tau * h * d_psi

here = torch.tensor([0.7, -1.3], requires_grad=True)
slopes = torch.autograd.grad(logsigmoid(torch.zeros(())) + logsigmoid(-here[0] * here[1]), here)[0]
claim("adversarial-field", "the field at (0.7, −1.3)", torch.stack(field(*here.detach())),
      slopes * torch.tensor([-1.0, 1.0]), by="autograd of V, with the two signs", rtol=1e-12)
turn = torch.linspace(0, 2 * math.pi, 721)
around = torch.stack(field(1.5 * turn.cos(), 1.5 * turn.sin()))
claim("adversarial-circulation", "circulation of the field along the circle of radius 1.5",
      torch.trapezoid((around * 1.5 * torch.stack([-turn.sin(), turn.cos()])).sum(0), turn),
      -math.pi * 1.5**2, item="E0.12", by="closed form −π r², a gradient field has 0", rtol=1e-9)
h = 0.3
a = h / 2
moduli = [steps_matrix(simultaneous, h=h), steps_matrix(alternating, h=h), steps_matrix(simultaneous, h=h, gamma=0.4),
          steps_matrix(extragradient, h=h), steps_matrix(two_scales, h=h, tau=5.0)]
claim("adversarial-moduli", "h = 0.3: modulus of one step, simultaneous, alternating, R1 γ = 0.4, extragradient, τ = 5",
      torch.stack([modulus(m) for m in moduli]),
      torch.tensor([1 + a**2, 1, 1 - 0.4 * h + a**2, 1 - a**2 + a**4, 1 + 5 * a**2]).sqrt(), item="X0.7 Q0.7",
      by="the theorem, c = ½; matrices by autograd", atol=1e-9, digits=6)
edge = [modulus(steps_matrix(simultaneous, h=t, gamma=0.5)) - 1 for t in (1.98, 2.02)]
edge += [modulus(steps_matrix(extragradient, h=t)) - 1 for t in (1.98, 2.02)]
claim("adversarial-trace", "the same for the alternating step: trace and determinant",
      torch.stack([torch.trace(moduli[1]), torch.linalg.det(moduli[1])]),
      torch.tensor([2 - a**2, 1.0]), by="the proof: two shears, 2 − a² and 1", atol=1e-9, digits=6)
claim("adversarial-thresholds", "R1 (γ = 0.5) and extragradient converge at h = 1.98 but not at 2.02",
      torch.stack(edge) > 0, torch.tensor([False, True, False, True]), item="X0.7", by="γ > hc² and hc < 1 with c = ½")
claim("adversarial-r1-sign", "wrong: R1 with the other sign, γ = −0.4, grows per step by",
      modulus(steps_matrix(simultaneous, h=h, gamma=-0.4)), (1 + 0.4 * h + a**2) ** 0.5,
      by="√(1 + h|γ| + h²c²)", atol=1e-9)


# %% tags=["hide-input"]
def radius(path):
    return path.norm(dim=1)

out = play(simultaneous, 1000, start=(0.1, 0.1), h=0.1)
squared = radius(out) ** 2
claim("adversarial-simultaneous", "1000 simultaneous steps, h = 0.1: r² after each over r² before, largest deviation",
      (squared[1:] / squared[:-1] - 1 - 0.01 * torch.sigmoid(out[:-1].prod(1)) ** 2).abs().max(), 0.0,
      item="X0.7", by="closed form 1 + h² σ(ψθ)²", atol=1e-12)
claim("adversarial-growth", "the same: growth of the radius per step", (radius(out)[-1] / radius(out)[0]) ** 0.001,
      math.sqrt(1 + 0.01 / 4), item="X0.7", by="√(1 + h²/4) near the equilibrium", atol=1e-5, digits=7)

def linear(theta, psi, h):  # V = -ψθ, alternating
    psi = psi - h * theta
    return theta + h * psi, psi

ellipse = play(linear, 20_000, start=(0.1, 0.1), h=0.1)
kept = (ellipse**2).sum(1) - 0.1 * ellipse.prod(1)
claim("adversarial-invariant", "linear game, 20 000 alternating steps: θ² + ψ² − hc θψ, last over first",
      kept[-1] / kept[0], 1.0, item="X0.7", by="exact invariant", atol=1e-10, digits=8)
claim("adversarial-ellipse", "the same: largest radius over smallest",
      radius(ellipse).max() / radius(ellipse).min(), math.sqrt(2.1 / 1.9),
      by="√((2+a)/(2−a)); a circle would have 1", rtol=1e-4)
small = play(alternating, 20_000, start=(0.1, 0.1), h=0.1)
claim("adversarial-bounded", "sigmoid game, 20 000 alternating steps, h = 0.1: largest radius over smallest",
      radius(small).max() / radius(small).min(), math.sqrt(2.05 / 1.95), item="X0.7",
      by="the linear game's ellipse, c = ½", atol=2e-3)
outwards = radius(play(alternating, 5000, h=1.0))
claim("adversarial-drifts", "sigmoid game from radius 1 with h = 1, 5000 alternating steps: radius reached",
      outwards.max(), item="X0.7", by="twice the start or more: no invariant here", at_least=2.0, stable=False)
claim("adversarial-drift-steps", "first step at radius 2", int((outwards >= 2).nonzero()[0]),
      by="no randomness here", at_least=1300, at_most=1360)
calm = radius(play(simultaneous, 600, start=(0.1, 0.1), h=0.1, gamma=1.0))
claim("adversarial-r1", "R1, γ = 1, h = 0.1: log10 of the radius after 600 steps", calm[-1].log10(), item="X0.7",
      by="600 log10 0.95 plus a logarithm of time", at_least=600 * math.log10(0.95), at_most=-10.0, digits=3)
claim("adversarial-r1-rate", "the same: contraction per step from step 300 to 600", (calm[-1] / calm[300]) ** (1 / 300),
      0.95 * 2 ** (1 / 300), item="X0.7", by="0.95, and the double eigenvalue's factor t: (600/300)^(1/300)", atol=1e-4)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-adversarial-radius", "caption": "Distance from the equilibrium along the way, step size 0.4, on a logarithmic scale; black dashes: the rate of the linear theory."}, "image": {"alt": "Four curves against the step number on a logarithmic axis. One rises as a straight line, one stays level with small ripples, two fall as straight lines of different slope; dashed black lines lie along them."}}
_, ax = plt.subplots(figsize=(6, 2.9))
h, a = 0.4, 0.2
rates = (1 + a**2) ** 0.5, 1.0, (1 - 0.5 * h + a**2) ** 0.5, (1 - a**2 + a**4) ** 0.5
for (name, (rule, options)), rate, color in zip(rules.items(), rates, colors.cycle, strict=False):
    ax.semilogy(radius(play(rule, 120, start=(0.1, 0.0), h=h, **options)), color=color, label=name)
    ax.semilogy(0.1 * rate ** torch.arange(121), color=colors.truth, ls="--", lw=0.8)
ax.set(xlabel="steps", ylabel="distance from equilibrium")
ax.legend(ncols=2, loc="lower left")
plt.show()


# %% [markdown]
# {numref}`fig-adversarial-radius` shows the rates. The two remedies work differently. R1 changes the *game*: it adds friction. Extragradient changes the
# *step*: it looks ahead {cite:p}`gidel2019`. Both fail if the step is too long. A third remedy is to blur data and fakes with Gaussian noise of the same variance
# $s^2$ {cite:p}`arjovsky2017`. Then, at the equilibrium, the second derivatives of the exact $V$ are
#
# $$
# \begin{aligned}
# \frac{\partial^2V}{\partial\theta^2}&=0,\qquad \frac{\partial^2V}{\partial\theta\,\partial\psi}=-\tfrac12,\\
# \frac{\partial^2V}{\partial\psi^2}&=-\tfrac14\big(\mathbb E_px^2+\mathbb E_qx^2\big)=-\tfrac{s^2}2,
# \end{aligned}
# $$ (eq-adversarial-noise)
#
# which near the equilibrium is the game with R1 and $\gamma=s^2/2$: **instance noise is friction as well**. The middle term of the last line says where friction
# comes from: from data and fakes that are spread out. A game between two points at $0$ has none.

# %% tags=["hide-input"]
def blurred(v, s):
    grid = torch.linspace(-8, 8, 3201)
    real = torch.exp(normal(0.0, s).log_prob(grid)) * logsigmoid(v[1] * grid)
    fake = torch.exp(normal(0.0, s).log_prob(grid - v[0])) * logsigmoid(-v[1] * grid)
    return torch.trapezoid(real + fake, grid)

curvature = torch.stack([torch.autograd.functional.hessian(lambda v, s=s: blurred(v, s), torch.zeros(2)) for s in (0.5, 1.0)])
claim("adversarial-noise", "V with noise s = 0.5 and 1: second derivatives at the equilibrium",
      curvature, torch.tensor([[[0.0, -0.5], [-0.5, -0.125]], [[0.0, -0.5], [-0.5, -0.5]]]),
      by="closed form 0, −½, −s²/2", atol=1e-8)

# %% [markdown]
# (sec-adversarial-nash)=
# ## What is, and what is not, an equilibrium
#
# A **Nash equilibrium** is a pair from which neither player gains by moving alone. If the generator *can* produce $p$, then $q=p$ with $D=\tfrac12$ is one:
# against $q=p$ the constant $\tfrac12$ is best by {prf:ref}`thm-adversarial-optimal`, and against a constant every generator is equally good. Note the second
# half. The generator is *indifferent* there: it has no curvature of its own, the zero in {eq}`eq-adversarial-noise`.
#
# If the generator cannot produce $p$, there may be none. Take data on two points, $p=\tfrac12\delta_{-1}+\tfrac12\delta_{+1}$, and a generator that is one
# point, $\delta_\theta$.
#
# :::{prf:theorem} A game without an equilibrium
# :label: thm-adversarial-no-nash
# Let $D:\mathbb R\to[0,1]$ be arbitrary and
#
# $$
# \begin{aligned}
# V(D,\theta)&=\tfrac12\log D(-1)+\tfrac12\log D(1)\\
# &\quad{}+ \log\big(1-D(\theta)\big)\in[-\infty,0].
# \end{aligned}
# $$
#
# Then no pair $(D,\theta)$ is a Nash equilibrium, and
#
# $$
# \begin{aligned}
# \min_\theta\,\max_D\, V&=\tfrac12\log\tfrac13+\log\tfrac23=-0.955, \\
# \max_D\,\inf_\theta\, V&=-\log4=-1.386 .
# \end{aligned}
# $$ (eq-adversarial-gap-game)
# :::
#
# :::{prf:proof}
# An equilibrium's $D$ is best against its $\theta$. If $\theta\ne\pm1$, that means $D(\pm1)=1$ and $D(\theta)=0$. Moving to $\theta=1$ then takes $V$ from $0$
# to $-\infty$, so the generator moves. If $\theta=1$, it means $D(-1)=1$ and $D(1)=\frac{1/2}{1/2+1}=\frac13$; moving to $-1$ again gives $-\infty$. The same for
# $\theta=-1$. Hence there is none.
#
# The values: the maxima just named are $0$, or the first number in {eq}`eq-adversarial-gap-game` for $\theta=\pm1$. For fixed $D$ write
# $d=\max(D(-1),D(1))$. Going to the point where it is reached brings the generator $V\le\log d+\log(1-d)\le-\log4$, and $D=\tfrac12$ everywhere reaches that.
# :::
#
# So the mutual best responses chase each other, from mode to mode, for ever. Give the generator randomness enough to mix,
# $q=w\,\delta_{1}+(1-w)\,\delta_{-1}$, and the gap closes.

# %%
d = torch.linspace(0.001, 0.999, 999)  # values of D, then D(-1) and D(+1)
D_minus, D_plus = torch.meshgrid(d, d, indexing="ij")
on_data = 0.5 * D_minus.log() + 0.5 * D_plus.log()

def payoff(w):
    """V for every D and the generator that is at +1 with probability w."""
    on_fake = w * torch.log(1 - D_plus) + (1 - w) * torch.log(1 - D_minus)
    return on_data + on_fake

points = torch.stack([payoff(0.0), payoff(1.0)])  # generator at -1, or +1
minimax = points.flatten(1).max(1).values.min()
maximin = points.min(0).values.max()
position, visited = 1, []                         # best responses in turn
for _ in range(8):
    best = payoff((position + 1) / 2).argmax()    # D's
    at_minus, at_plus = (v.flatten()[best] for v in (D_minus, D_plus))
    position = 1 if at_plus > at_minus else -1    # G's: where D is larger
    visited.append(position)

# %% tags=["hide-input"]
claim("adversarial-no-nash", "two points against one: min max V and max min V", torch.stack([minimax, maximin]),
      torch.tensor([0.5 * math.log(1 / 3) + math.log(2 / 3), -math.log(4)]), item="E0.24",
      by="closed form; enumeration on a grid that ends at D = 0.999", atol=1e-3, unit="nats")
claim("adversarial-hopping", "where mutual best responses lead the generator, from +1", torch.tensor(visited),
      torch.tensor([-1, 1] * 4), item="E0.24", by="the proof: always to the other point")
mixed = torch.stack([payoff(w) for w in torch.linspace(0, 1, 41)])
claim("adversarial-mixed", "a generator that may mix: min max V, max min V, and the best w",
      torch.stack([mixed.flatten(1).max(1).values.min(), mixed.min(0).values.max(),
                   torch.linspace(0, 1, 41)[mixed.flatten(1).max(1).values.argmin()]]),
      torch.tensor([-math.log(4), -math.log(4), 0.5]), item="E0.24", by="q = p and D = ½ is an equilibrium", atol=1e-9)


# %% [markdown]
# {cite:t}`farnia2020` give adversarial games that have no equilibrium, not even a local one. There is a second reason to be careful with the word.
#
# :::{admonition} Common mistake: A GAN is a zero-sum game, and training seeks its Nash equilibrium
# :class: mistake
# {item}`E0.24` An equilibrium need not exist
# ({prf:ref}`thm-adversarial-no-nash`), and the game that is mostly played is not zero-sum. With the non-saturating loss the two players have *different*
# objectives. That game has an equilibrium where the generator can hit the data: $q=p$ and $D\equiv\tfrac12$, since against $D\equiv\tfrac12$ all generators are equally good, and
# against $q=p$ no $D$ is better. Whether training finds it is another matter. The cell shows the difference in the smallest game. With
# $\dot\theta=\sigma(-\psi\theta)\psi$ instead of $\sigma(\psi\theta)\psi$,
#
# $$
# \frac{\mathrm d}{\mathrm dt}\big(\theta^2+\psi^2\big)=-2\,\psi\theta\,\tanh\frac{\psi\theta}2\;\le\;0 ,
# $$ (eq-adversarial-ns)
#
# so the circles of the zero-sum game become a spiral inwards. But a slow one. Averaged over a turn the right side is $-r^4/8$ for small $r$, so $1/r^2$ grows by
# $t/8$: no exponential rate. And simultaneous steps, which add $h^2/4$ of $r^2$ each, balance it at $r=\sqrt{2h}$, where the players circle for ever.
# :::

# %% tags=["hide-input"]
def non_saturating_step(theta, psi, h):
    return theta + h * torch.sigmoid(-psi * theta) * psi, psi - h * torch.sigmoid(psi * theta) * theta

def non_saturating_alternating(theta, psi, h):
    psi = psi - h * torch.sigmoid(psi * theta) * theta
    return theta + h * torch.sigmoid(-psi * theta) * psi, psi

hover = torch.stack([radius(play(non_saturating_step, round(600 / h), h=h))[-round(100 / h):].mean() for h in (0.05, 0.1)])
claim("adversarial-hover", "non-saturating, simultaneous, h = 0.05 and 0.1: the radius at which it circles", hover,
      torch.tensor([0.1, 0.2]).sqrt(), item="E0.24 X0.7", by="averaging: √(2h), higher orders neglected", rtol=0.02)
path = play(non_saturating_alternating, 4000, h=0.1)
level = (path**2).sum(1) - 0.05 * path.prod(1)  # r², less the ripple of the ellipse of alternating steps
claim("adversarial-slow", "non-saturating, alternating, h = 0.1: 1/r² gained from time 100 to 400",
      1 / level[4000] - 1 / level[1000], 300 / 8, item="E0.24",
      by="averaging: t/8, higher orders neglected", rtol=0.005)


# %% [markdown]
# (sec-adversarial-algorithm)=
# ## The algorithm whole
#
# {item}`S0.23` Everything is now in place for {prf:ref}`alg-adversarial`. The two moves alternate, one step each. The discriminator moves first, and the
# generator answers the *new* one.
#
# :::{prf:algorithm} Adversarial training, alternating, with R1
# :label: alg-adversarial
# **Repeat**
#
# 1. *Discriminator.* Draw real $x_{1..n}$ and noise $z_{1..n}$. Make fakes $G(z_i)$ and **cut them off** from $G$. Descend, in the parameters of $D$,
#
#    $$
#    \begin{aligned}
#    \frac1n\sum_i\Big[&-\log\sigma(\ell(x_i))-\log\sigma(-\ell(G(z_i)))\\
#    &+\frac\gamma2\lVert\nabla_x\ell(x_i)\rVert^2\Big].
#    \end{aligned}
#    $$
#
# 2. *Generator.* Draw new noise. Descend $\frac1n\sum_i-\log\sigma(\ell(G(z_i)))$ in the parameters of $G$, through the discriminator of step 1.
# 3. *Average.* $\bar G\leftarrow(1-\alpha)\,\bar G+\alpha\,G$, parameter by parameter. Return $\bar G$.
# :::
#
# The third line is an answer to the rotation: what circles round a point has its average near that point. The target is known: two hills,
# $\tfrac12\mathcal N(-1,0.5^2)+\tfrac12\mathcal N(1.5,0.8^2)$.

# %%
def hills_sample(n, g):
    """(n, 1) draws from the two hills."""
    right = torch.rand(n, 1, generator=g) < 0.5
    z = torch.randn(n, 1, generator=g)
    return torch.where(right, 1.5 + 0.8 * z, -1 + 0.5 * z)

# softplus(-t) = -log σ(t) and softplus(t) = -log σ(-t), without overflow
def discriminator_loss(D, real, fake, gamma):
    real = real.requires_grad_()
    at_real = D(real)                                    # logits, (n, 1)
    slope, = torch.autograd.grad(at_real.sum(), real, create_graph=True)
    loss = softplus(-at_real).mean() + softplus(D(fake)).mean()  # -V
    return loss, gamma / 2 * slope.square().sum(1).mean()        # and R1

def generator_loss(D, fake):
    return softplus(-D(fake)).mean()                     # non-saturating


# %% [markdown]
# How good is a generator? On the line that is a question with an exact answer. The true quantiles come from the distribution function, the generator is evaluated
# at the quantiles of its noise, and their distance is the Wasserstein distance up to the grid. The baseline is the Gaussian with the mean and variance of the
# hills, the best Gaussian by likelihood.

# %%
# 4000 midpoints of probability: noise at its quantiles, data at theirs
levels = (torch.arange(4000) + 0.5) / 4000
z_grid = normal(0.0, 1.0).icdf(levels)
cdf = (normal(-1.0, 0.5).cdf(x) + normal(1.5, 0.8).cdf(x)) / 2
above = torch.searchsorted(cdf, levels)
share = (levels - cdf[above - 1]) / (cdf[above] - cdf[above - 1])
quantiles = torch.lerp(x[above - 1], x[above], share)

def distance(G):
    """Wasserstein distance from the generator to the two hills."""
    with torch.no_grad():
        return wasserstein_1d(G(z_grid[:, None])[:, 0], quantiles)


# %% [markdown]
# The loop follows the algorithm line by line. Two options serve comparisons below.

# %%
def adam(net):
    return torch.optim.Adam(net.parameters(), lr=2e-3, betas=(0.0, 0.99))

def descend(optimiser, loss):
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


# %%
def train_gan(seed, steps=1000, n=128, gamma=0.1, alpha=0.005,
              simultaneous=False, loss_of_G=generator_loss):
    """Averaged generator, both losses, and its distance every 50 steps."""
    g = seed_everything(seed)
    G, D = mlp(), mlp()
    G_bar, adam_G, adam_D = copy.deepcopy(G), adam(G), adam(D)
    losses, checks = [], []
    for step in range(steps):
        if step % 50 == 0:
            checks.append((distance(G), distance(G_bar)))
        # 1. discriminator: its fakes are cut off from G
        real, z = hills_sample(n, g), torch.randn(n, 1, generator=g)
        loss_D, penalty = discriminator_loss(D, real, G(z).detach(), gamma)
        faced = copy.deepcopy(D) if simultaneous else D  # old or new D
        descend(adam_D, loss_D + penalty)
        # 2. generator: new noise, gradient through D, step of G only
        loss_G = loss_of_G(faced, G(torch.randn(n, 1, generator=g)))
        descend(adam_G, loss_G)
        # 3. average
        with torch.no_grad():
            pairs = zip(G_bar.parameters(), G.parameters(), strict=True)
            for mean, weight in pairs:
                mean.lerp_(weight, alpha)
        losses.append((loss_D.item(), loss_G.item()))
    return G_bar, torch.tensor(losses), torch.tensor(checks)

runs = [train_gan(seed) for seed in range(3)]


# %% tags=["hide-input"]
def js_bins(sample):
    """JS from a sample's histogram to the exact distribution on 40 bins, nats."""
    edges = torch.linspace(-3, 4.5, 39)
    at = (normal(-1.0, 0.5).cdf(edges) + normal(1.5, 0.8).cdf(edges)) / 2
    exact = torch.diff(torch.cat([torch.zeros(1), at, torch.ones(1)]))
    counts = torch.bincount(torch.bucketize(sample, edges), minlength=40).double()
    return js_discrete(counts / counts.sum(), exact / exact.sum())

gaussian = 0.25 + math.sqrt(2.0075) * z_grid         # moments of the hills
gauss_w1, gauss_js = wasserstein_1d(gaussian, quantiles), js_bins(gaussian)
checks = torch.stack([run[2] for run in runs])       # (3, 20, 2): seeds, steps 0, 50, ..., (last, average)
final = torch.stack([distance(run[0]) for run in runs])
losses = torch.stack([run[1] for run in runs])       # (3, 1000, 2): seeds, steps, (D, G)
with torch.no_grad():
    js_gan = torch.stack([js_bins(run[0](z_grid[:, None])[:, 0]) for run in runs])
claim("adversarial-gauss-moments", "mean and variance of the two hills, from their quantiles",
      torch.stack([quantiles.mean(), quantiles.var()]), torch.tensor([0.25, 2.0075]),
      by="closed form: mixture of two Gaussians", atol=3e-3)
claim("adversarial-gan-w1", "Wasserstein distance of the averaged generator, median of 3 seeds, over the fitted Gaussian's",
      final.median() / gauss_w1, item="S0.23", by="less than a quarter of the baseline, with any seed", at_most=0.25, stable=False)
claim("adversarial-gan-js", "Jensen–Shannon divergence, 40 bins, median of 3 seeds, over the fitted Gaussian's",
      js_gan.median() / gauss_js, item="S0.23", by="less than half of the baseline; over seeds 0.03 to 0.31", at_most=0.5, stable=False)
claim("adversarial-gan-average", "last iterate's distance over the average's, mean of the last 5 checks and 3 seeds",
      checks[:, -5:, 0].mean() / checks[:, -5:, 1].mean(), item="S0.23 Q0.7", by="twice as large or more",
      at_least=2.0, stable=False)
halves = losses[:, :, 0].reshape(3, -1, 200).mean(2)  # discriminator's loss, means of 200 steps
claim("adversarial-loss-flat", "discriminator's loss in steps 200–400 minus in the last 200, largest of 3 seeds",
      (halves[:, 1] - halves[:, -1]).abs().max(), item="Q0.7", by="unchanged: below 0.01", at_most=0.01,
      unit="nats", stable=False)
claim("adversarial-loss-log4", "and the last 200 against log 4", halves[:, -1], by="log 4 ± 0.01",
      at_least=math.log(4) - 0.01, at_most=math.log(4) + 0.01, unit="nats", stable=False)
claim("adversarial-loss-start", "the same loss before the first step, largest difference from log 4 in 3 seeds",
      (losses[:, 0, 0] - math.log(4)).abs().max(), item="Q0.7", by="an untrained discriminator is undecided too", at_most=0.15,
      unit="nats", stable=False)
claim("adversarial-start-bad", "when the generator's distance is, over the fitted Gaussian's, smallest of 3 seeds",
      (checks[:, 0, 0] / gauss_w1).min(), item="Q0.7", by="at least 2: no generator at all", at_least=2.0, stable=False)
claim("adversarial-loss-swing", "last iterate, last 8 checks: largest over smallest distance, median of 3 seeds",
      (checks[:, -8:, 0].max(1).values / checks[:, -8:, 0].min(1).values).median(), item="Q0.7",
      by="at least a factor 2 at the same loss", at_least=2.0, stable=False)

# %% tags=["hide-input", "picture-varies"] mystnb={"figure": {"name": "fig-adversarial-gan", "caption": "Left: the losses of one run settle at the values of the equilibrium within a few hundred steps. Middle: the distance to the truth in three runs, of the last iterate (thin) and of the average (thick). Right: draws of one averaged generator and the true density."}, "image": {"alt": "Left, two noisy flat lines at log 4 and log 2. Middle, on a logarithmic axis, thin lines that jump up and down around one level and thick lines that fall far below them and below a dotted baseline. Right, a histogram with two hills, the left one higher and narrower, under a black curve."}}
_, (left, middle, right) = plt.subplots(1, 3, figsize=(7, 2.7), layout="constrained")
for k, (name, color) in enumerate((("$D$", colors.bad), ("$G$", colors.model))):
    left.plot(range(10, 1000, 20), losses[0, :, k].reshape(-1, 20).mean(1), color=color, lw=1.2, label=f"loss of {name}")
    left.axhline(math.log(4 / (1 + k)), color=colors.truth, ls=":", lw=1)
left.set(xlabel="steps", ylabel="loss (nats)", ylim=(0, 2))
left.legend(fontsize=7, loc="lower left")
for run in range(3):
    middle.semilogy(range(0, 1000, 50), checks[run, :, 0], color=colors.muted, lw=0.8, label="last" if run == 0 else None)
    middle.semilogy(range(0, 1000, 50), checks[run, :, 1], color=colors.model, label="average" if run == 0 else None)
middle.axhline(gauss_w1, color=colors.truth, ls=":", label="fitted Gaussian")
middle.set(xlabel="steps", ylabel="Wasserstein distance")
middle.legend(fontsize=7)
with torch.no_grad():
    right.hist(runs[0][0](z_grid[:, None])[:, 0], bins=50, density=True, color=colors.model, alpha=0.5)
window = (x > -3.5) & (x < 4.5)
right.plot(x[window], log_hills(x[window]).exp(), color=colors.truth, lw=1.2)
right.set(xlabel="$x$", ylabel="density")
plt.show()


# %% [markdown]
# **The losses are no measure of progress** ({numref}`fig-adversarial-gan`). The discriminator's loss starts near $\log4$, when there is no generator worth the
# name, and within some two hundred steps it is at $\log4$ to stay. At that constant loss the last iterate's distance to the truth swings by a factor of two
# and more in the median of three runs. A loss is measured against an opponent who moves as well: $\log4$ is what a discriminator pays that is undecided, be it because nothing is left
# to decide or, by {eq}`eq-adversarial-gap`, because it is weak or a little behind; and so may one that is sure and often wrong. Judge by something outside the game: a distance where the truth is known, or on real data the metrics
# of {ref}`ch-evaluation`. The average, meanwhile, has left both the last iterate and the fitted Gaussian behind.
#
# And the saturating loss? Three more runs with it, everything else equal, end about as near to the truth; no advantage of either loss shows. It shows if the generator
# starts six to the right and takes plain gradient steps: after 100 rounds the saturating loss leaves it
# {value}`adversarial-far-plain:.1f` times as far from the truth. With Adam, which rescales small gradients, that too is gone.

# %% tags=["hide-input"]
def saturating_loss(D, fake):
    return -softplus(D(fake)).mean()  # log(1 - D)

other = torch.stack([distance(train_gan(seed, loss_of_G=saturating_loss)[0]) for seed in range(3)])
claim("adversarial-gan-saturating", "averaged generator: distance with the saturating loss over the other's, means of 3 seeds",
      other.mean() / final.mean(), item="E0.14 S0.23", by="no large difference: within a third, with any seed", at_least=0.7,
      at_most=1.5, stable=False)

def race(seed, loss_of_G, offset, plain):
    """Distance after 100 rounds from a generator moved by offset, which takes plain gradient steps or Adam's."""
    g = seed_everything(seed)
    G, D = mlp(), mlp()
    with torch.no_grad():
        G[-1].bias += offset
    step_G, step_D = torch.optim.SGD(G.parameters(), lr=0.02) if plain else adam(G), adam(D)
    for _ in range(100):
        real, z = hills_sample(128, g), torch.randn(128, 1, generator=g)
        descend(step_D, sum(discriminator_loss(D, real, G(z).detach(), 0.1)))
        descend(step_G, loss_of_G(D, G(torch.randn(128, 1, generator=g))))
    return distance(G)

for name, plain, bounds in (("plain", True, (4.0, 12.0)), ("adam", False, (0.7, 1.4))):
    ends = [sum(race(seed, loss, 6.0, plain) for seed in range(3)) for loss in (saturating_loss, generator_loss)]
    claim(f"adversarial-far-{name}", f"start moved by 6, G by {name} steps: distance after 100 rounds, saturating over the other, means of 3 seeds",
          ends[0] / ends[1], item="E0.14", by="with any seed", at_least=bounds[0], at_most=bounds[1], stable=False)

# %% [markdown]
# ## Simultaneous or alternating?
#
# :::{exercise-start} Simultaneous and alternating optimisation
# :label: q0-7
# :class: question
# :::
# {item}`S0.28 Q0.7` How does the choice between simultaneous and alternating optimisation affect convergence in adversarial models? Discuss theory and practice.
# :::{exercise-end}
# :::
#
# :::{solution-start} q0-7
# :label: q0-7-solution
# :class: dropdown
# :::
# **Theory.** Near an equilibrium the players see a linear game. If its matrix is a rotation, {prf:ref}`thm-adversarial-linear` answers: simultaneous steps multiply
# the radius by $\sqrt{1+h^2c^2}$ and leave for every $h$; alternating steps have modulus one while $hc<2$ and circle. **Alternation cures the divergence and does
# not give convergence.** Any of these does:
#
# - *friction*, from R1 or instance noise, enough of it: $\gamma>hc^2$ for simultaneous steps (and $\gamma\le2c$);
# - *looking ahead*: extragradient, or optimism, which reuses the last gradient {cite:p}`daskalakis2018`;
# - *averaging*, for the mean: if one alternating step is $u'=Mu$, the mean of $u_0,\dots,u_{N-1}$ is $\frac1N(I-M)^{-1}(I-M^N)u_0$, of the order $1/N$ as the powers of $M$
#   stay bounded.
#
# *Two time-scales*, a faster discriminator {cite:p}`heusel2017`, is **not** on the list by itself: it changes $c$ to $c\sqrt\tau$, and $\sqrt{1+\tau h^2c^2}>1$.
# It pays together with friction: a $D$ that is fast and has friction stays at $\psi\approx-c\theta/\gamma$, and the generator sees
# $\dot\theta=-(c^2/\gamma)\,\theta$, a descent.

# %% tags=["hide-input"]
M, N = torch.tensor([[1 - 0.1**2, 0.1], [-0.1, 1.0]]), 5000  # an alternating step of the linear game, hc = 0.1
eye, start = torch.eye(2), torch.tensor([1.0, 0.0])
claim("adversarial-mean-iterate", "linear game, alternating, from (1, 0): mean of 5000 positions",
      play(linear, N - 1, start=(1.0, 0.0), h=0.1).mean(0),
      torch.linalg.solve(eye - M, (eye - torch.linalg.matrix_power(M, N)) @ start) / N,
      by="closed form (I − M)⁻¹(I − M^N)u/N", atol=1e-12)
tau, gamma, c = 50.0, 1.0, 0.5
J = torch.tensor([[0.0, c], [-tau * c, -tau * gamma]])
claim("adversarial-two-scales", "D fifty times faster, with friction γ = 1: slowest rate", torch.linalg.eigvals(J).real.max(),
      -(c**2) / gamma, item="Q0.7", by="descent at −c²/γ, up to order 1/τ", rtol=2 / tau)
claim("adversarial-two-scales-alone", "the same without friction", torch.linalg.eigvals(
      torch.tensor([[0.0, c], [-tau * c, 0.0]])).real.max(), 0.0, item="Q0.7", by="eigenvalues ± ic√τ", atol=1e-12)

# %% [markdown]
# **Practice.** The network game has friction (R1, and data that are spread out), so both ways may converge. We repeat the three runs with simultaneous moves,
# everything else equal.

# %% tags=["hide-input"]
together = sum(distance(train_gan(seed, simultaneous=True)[0]) for seed in range(3)) / 3
claim("adversarial-gan-simultaneous", "averaged generator: distance with simultaneous over with alternating moves, means of 3 seeds",
      together / final.mean(), item="Q0.7", by="worse by a factor 1.8 or more at this step size, with any seed",
      at_least=1.8, stable=False)

# %% [markdown]
# At this step size simultaneous moves end further from the truth, in the mean of three seeds. That is one problem and one step size. What carries over is the
# theory: alternate, add friction, average, and never judge by the losses.
# :::{solution-end}
# :::
#
# ## Exercises
#
# :::{bank} adversarial-losses
# :::
#
# :::{bank} adversarial-below
# :::
#
# :::{bank} adversarial-r1
# :::
#
# :::{bank} adversarial-round
# :::
#
# :::{bank} adversarial-modulus
# :::
#
# :::{bank} adversarial-explain-readings
# :::
#
# ## What to read next
#
# {cite:t}`goodfellow2014` define the game and prove {prf:ref}`thm-adversarial-optimal`; {cite:t}`arjovsky2017` explain both gradients; {cite:t}`mescheder2018`
# are the source of the smallest game and of R1; {cite:t}`gidel2019` treat averaging and extragradient as methods for variational inequalities;
# {cite:t}`farnia2020` ask whether there is anything to converge to.
#
# In this book: {ref}`ch-critics` turns the discriminator into a critic and treats lost modes; {ref}`ch-families` compares what adversarial networks and
# likelihood models learn; {ref}`ch-divergences` is about the Jensen–Shannon divergence itself.
