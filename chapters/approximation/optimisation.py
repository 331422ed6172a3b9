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
# (ch-optimisation)=
# # Optimisation
#
# After this page you will be able to
#
# - predict how many steps gradient descent and momentum need on a quadratic, and set both to their best;
# - write momentum, RMSprop, Adam and AMSGrad in a few lines each, and say for every line what it is for;
# - name a convex problem on which Adam ends in the worst point, and a change of coordinates that slows it down;
# - compute the noise that stochastic gradients leave behind, and say what a noisy gradient flow must contain to get it right.

# %%
import math

import matplotlib.pyplot as plt
import torch

from genkit.claims import claim, monte_carlo, self_check
from genkit.data import digits
from genkit.live import slider_figure
from genkit.plot import colors, style
from genkit.train import seed_everything

style()
gen = seed_everything(0)
torch.set_default_dtype(torch.float64)


# %% [markdown]
# ## A ravine
#
# {item}`X0.11` Whatever a generative model's loss is, something has to walk downhill on it. Here is the smallest hill that tells walkers apart: a valley a
# thousand times steeper across than along,
#
# $$
# L(\theta)=\tfrac12\,\theta^\top A\,\theta,\qquad A=\operatorname{diag}(1,\kappa),\qquad \kappa=1000 .
# $$ (eq-optimisation-ravine)
#
# $\kappa$, the ratio of the largest to the smallest curvature, is the **condition number**. Three walkers start at $(1,1)$: gradient descent and momentum at
# the best settings that the next section derives, and Adam. Which is at the bottom first? And which of them would notice if somebody turned the map by 45
# degrees ({numref}`fig-optimisation-ravine`)?
#
# All walkers of this page have one form: a state, and a rule that takes the gradient and returns the step.

# %%
def descend(rule, grad, theta, steps):
    """theta <- theta - step: all points, the start included, (steps + 1, ...)"""
    state, path = {}, [theta]
    for t in range(1, steps + 1):
        theta = theta - rule(grad(theta), t, state)
        path.append(theta)
    return torch.stack(path)


def gradient_descent(eta):
    return lambda g, t, state: eta * g


def momentum(eta, gamma):
    def rule(g, t, state):
        state["v"] = gamma * state.get("v", 0) + eta * g   # v_t = γ v_{t-1} + η g_t
        return state["v"]

    return rule


def adam(eta, beta1=0.9, beta2=0.999, eps=1e-8):
    def rule(g, t, state):
        state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g       # mean of g
        state["s"] = beta2 * state.get("s", 0) + (1 - beta2) * g**2    # and of g²
        m_hat = state["m"] / (1 - beta1**t)      # both start at 0: undo that bias
        s_hat = state["s"] / (1 - beta2**t)
        return eta * m_hat / (s_hat.sqrt() + eps)

    return rule


# %% mystnb={"figure": {"name": "fig-optimisation-ravine", "caption": "Loss of three optimisers on the ravine, as drawn (solid) and with the plane turned by 45 degrees (dashed). Gradient descent and momentum do not notice the turn, their lines coincide; Adam does."}, "image": {"alt": "Logarithmic loss against step for two hundred steps. Gradient descent hardly falls; momentum rises first and then falls fast along a straight line; Adam falls fast on the aligned ravine, but on the turned one its dashed line stays several orders of magnitude higher."}} tags=["hide-input"]
kappa = 1000.0
A = torch.diag(torch.tensor([1.0, kappa]))
c = math.sqrt(0.5)
turn = torch.tensor([[c, -c], [c, c]])
turned = turn @ A @ turn.T
best_gamma = ((kappa**0.5 - 1) / (kappa**0.5 + 1)) ** 2
rules = {
    "gradient descent": gradient_descent(2 / (kappa + 1)),
    "momentum": momentum(4 / (kappa**0.5 + 1) ** 2, best_gamma),
    "Adam, η = 0.03": adam(0.03),
}
final, apart = {}, {}
_, ax = plt.subplots(figsize=(6.5, 3))
for (name, rule), colour in zip(rules.items(), colors.cycle, strict=False):
    path = descend(rule, lambda x: A @ x, torch.ones(2), 200)
    other = descend(rule, lambda x: turned @ x, turn @ torch.ones(2), 200)
    apart[name] = (other @ turn - path).abs().max()
    for points, matrix, dash in ((path, A, "-"), (other, turned, "--")):
        loss = 0.5 * ((points @ matrix) * points).sum(1)
        final[name, dash] = loss[-1]
        ax.semilogy(loss, dash, color=colour, label=name if dash == "-" else None)
ax.set(xlabel="step", ylabel="loss", ylim=(1e-10, 1e6))
ax.legend()
plt.show()

# %% tags=["hide-input"]
claim("optimisation-invariant", "gradient descent and momentum: path on the turned ravine, turned back, minus path",
      torch.stack([apart["gradient descent"], apart["momentum"]]), torch.zeros(2),
      item="X0.11 E0.16", by="both are equivariant under rotations", atol=1e-9)
claim("optimisation-adam-aligned", "Adam's loss after 200 steps, ravine along the axes",
      final["Adam, η = 0.03", "-"], item="X0.11 E0.16", by="fast: each axis has its own step", at_most=1e-5, digits=2)
claim("optimisation-adam-turned", "Adam's loss after 200 steps, same ravine turned by 45 degrees",
      final["Adam, η = 0.03", "--"], item="X0.11 E0.16", by="1/2 if it had only crossed the valley", at_least=0.45, at_most=0.5, digits=2)


def after(rate, matrix, start):
    end = descend(adam(rate), lambda x: matrix @ x, start, 200)[-1]
    return 0.5 * end @ matrix @ end


grid_of_rates = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
aligned = min(after(r, A, torch.ones(2)) for r in grid_of_rates)
across = min(after(r, turned, turn @ torch.ones(2)) for r in grid_of_rates)
claim("optimisation-adam-best", "best of six rates of Adam: loss on the turned ravine over loss on the aligned one", across / aligned,
      item="X0.11 E0.16", by="1 if Adam were equivariant", at_least=1e4, stable=False)


def arrives(rule):
    """Steps on the turned ravine until the distance to 0 has shrunk to a millionth."""
    path = descend(rule, lambda x: turned @ x, turn @ torch.ones(2), 8000)
    return int((path.norm(dim=1) <= 1e-6 * math.sqrt(2)).nonzero()[0])


claim("optimisation-adam-patient", "turned ravine: steps of Adam with the rate 1 to a millionth",
      arrives(adam(1.0)), item="X0.11 E0.16", by="fewer than gradient descent needs", at_least=775, at_most=790)
claim("optimisation-gd-patient", "turned ravine: steps of gradient descent to a millionth", arrives(rules["gradient descent"]),
      math.ceil(math.log(1e6) / -math.log((kappa - 1) / (kappa + 1))), item="X0.11 E0.16", by="ceil(log 10⁶ / -log ρ)")


# %% [markdown]
# Adam on the turned ravine crosses the valley and then stands: its loss is what the start has *along* the valley, one half. Both coordinates now see the steep
# slope, both divide by its root mean square, and the gentle one drowns. No learning rate in a grid of six mends it within these two hundred steps, which are
# fewer than the memory of $s$, $1/(1-\beta_2)=1000$. Given longer it arrives: with the rate 1 it comes to a millionth of the starting distance in
# {value}`optimisation-adam-patient:.0f` steps, ahead of gradient descent at its best ({value}`optimisation-gd-patient:.0f`).
#
# ## How fast can it go?
#
# On a quadratic everything is known. Gradient descent multiplies the error along the eigenvector of curvature $\lambda$ by $1-\eta\lambda$ in each step. The
# worst factor over $[\mu,M]$ is smallest when both ends are equally bad.
#
# :::{prf:theorem} Rates on a quadratic
# :label: thm-optimisation-rates
# Let the curvatures lie in $[\mu,M]$ and $\kappa=M/\mu$. Gradient descent is fastest with $\eta=2/(M+\mu)$, where the error shrinks per step by
#
# $$
# \rho_{\mathrm{GD}}=\frac{\kappa-1}{\kappa+1} .
# $$ (eq-optimisation-gd)
#
# Momentum, $v_t=\gamma v_{t-1}+\eta\nabla L$, $\theta_t=\theta_{t-1}-v_t$, with $\eta=\bigl(\tfrac{2}{\sqrt M+\sqrt\mu}\bigr)^2$ and
# $\gamma=\rho_{\mathrm{HB}}^2$ shrinks it, up to a factor that grows linearly in $t$, by
#
# $$
# \rho_{\mathrm{HB}}=\frac{\sqrt\kappa-1}{\sqrt\kappa+1} .
# $$ (eq-optimisation-hb)
# :::
#
# :::{prf:proof}
# *Gradient descent:* $\max_\lambda|1-\eta\lambda|=\max(|1-\eta\mu|,|1-\eta M|)$, smallest where $1-\eta\mu=\eta M-1$.
#
# *Momentum:* eliminate $v$: $\theta_{t+1}=(1+\gamma-\eta\lambda)\theta_t-\gamma\theta_{t-1}$. The roots of $z^2-(1+\gamma-\eta\lambda)z+\gamma$ have the
# product $\gamma$. Where they are complex, that is, where $(1-\sqrt\gamma)^2\le\eta\lambda\le(1+\sqrt\gamma)^2$, both have the modulus $\sqrt\gamma$ *whatever
# $\lambda$ is*. The settings put $\mu$ and $M$ exactly on the two ends. There the root is double, hence the factor $t$.
# :::
#
# The square root is the point: $\log\rho\approx-2/\kappa$ against $-2/\sqrt\kappa$. {item}`S0.22` To a millionth of the starting distance, gradient descent takes
# {value}`optimisation-gain-100:.1f` times as many steps as momentum for $\kappa=100$ and {value}`optimisation-gain-1000:.1f` times for $\kappa=1000$: less than $\sqrt\kappa$, as
# the double root costs momentum its factor $t$.

# %%
def steps_needed(rule, kappa, tolerance=1e-6):
    """Steps from (1, 1) until the distance to 0 has shrunk by the tolerance"""
    grad = torch.tensor([1.0, kappa])
    path = descend(rule, lambda x: grad * x, torch.ones(2), 8000)
    return int((path.norm(dim=1) <= tolerance * math.sqrt(2)).nonzero()[0])


def tuned(kappa):
    root = math.sqrt(kappa)
    rho = (root - 1) / (root + 1)
    return gradient_descent(2 / (kappa + 1)), momentum(4 / (root + 1) ** 2, rho**2)


# %% tags=["hide-input"]
needed = torch.tensor([[steps_needed(rule, k) for rule in tuned(k)] for k in (100.0, 1000.0)])
foretold = torch.tensor([math.ceil(math.log(1e6) / -math.log((k - 1) / (k + 1))) for k in (100, 1000)])
claim("optimisation-steps-gd", "steps of gradient descent to a millionth, κ = 100 and 1000", needed[:, 0],
      foretold, item="X0.11 E0.13", by="ceil(log 10⁶ / -log ρ)")


def transient(kappa):
    """First t with |error| <= 1e-6 in closed form: a double root ρ at λ = μ, -ρ at
    λ = L."""
    root = math.sqrt(kappa)
    rho, eta = (root - 1) / (root + 1), 4 / (root + 1) ** 2
    for t in range(1, 2000):
        error = []
        for z, curvature in ((rho, 1), (-rho, kappa)):
            first = 1 - eta * curvature                 # θ_1 / θ_0
            error.append(z**t * (1 + t * (first / z - 1)))
        if math.hypot(*error) <= 1e-6 * math.sqrt(2):
            return t
    raise ValueError("not reached")


claim("optimisation-steps-momentum", "steps of momentum to a millionth, κ = 100 and 1000", needed[:, 1],
      torch.tensor([transient(100), transient(1000)]), item="X0.11 E0.13 S0.22",
      by="closed form of the recursion, (a + bt) ρ^t")
for k, (slow, fast), exact_slow in zip((100, 1000), needed.tolist(), foretold.tolist(), strict=True):
    claim(f"optimisation-gain-{k}", f"steps of gradient descent over steps of momentum, κ = {k}", slow / fast, exact_slow / transient(k),
          item="X0.11 E0.13", by="both from their closed forms", atol=1e-9, digits=3)
eta, rho = 4 / (math.sqrt(1000) + 1) ** 2, (math.sqrt(1000) - 1) / (math.sqrt(1000) + 1)
moduli = [torch.linalg.eigvals(torch.tensor([[1 + rho**2 - eta * k, -(rho**2)], [1.0, 0.0]])).abs().max()
          for k in (1.0, 10.0, 500.0, 1000.0)]
claim("optimisation-moduli", "modulus of the recursion's roots at curvatures 1, 10, 500, 1000",
      torch.stack(moduli), torch.full((4,), rho), item="S0.22", by="√γ at every curvature", atol=1e-6)
theirs = torch.ones(2, requires_grad=True)
sgd = torch.optim.SGD([theirs], lr=0.001, momentum=0.9)
for _ in range(50):
    sgd.zero_grad()
    (0.5 * theirs @ A @ theirs).backward()
    sgd.step()
mine = descend(momentum(0.001, 0.9), lambda x: A @ x, torch.ones(2), 50)[-1]
claim("optimisation-torch-momentum", "momentum as above minus torch.optim.SGD after 50 steps",
      (mine - theirs.detach()).abs().max(), 0.0, item="S0.22", by="torch.optim", atol=1e-12)

# %% [markdown]
# Too little momentum wastes the root, too much rings like a bell. Move $\gamma$ below, each with the largest rate that keeps the steep direction oscillating,
# $\eta=(1+\sqrt\gamma)^2/M$. On the way to the best value the curve gets steeper; beyond it the error shrinks by $\sqrt\gamma$ per step and the curve gets
# flatter again.

# %% tags=["hide-input"]
frames = []
quadratic = torch.tensor([1.0, 100.0])
rho100 = (10 - 1) / (10 + 1)
for gamma in (0.0, 0.3, 0.5, 0.6, rho100**2, 0.8, 0.9, 0.95, 0.99):
    step = (1 + math.sqrt(gamma)) ** 2 / 100 * (200 / 101 if gamma == 0 else 1)
    path = descend(momentum(step, gamma), lambda x: quadratic * x, torch.ones(2), 150)
    far = path.norm(dim=1).clamp_min(1e-9).log10()
    ends = torch.tensor([0.0, 150.0])
    frames.append({
        "label": f"γ = {gamma:.2f}",
        "lines": [
            {"x": torch.arange(151.0), "y": far, "name": "distance to the minimum"},
            {"x": ends, "y": ends * math.log10(rho100), "name": "best possible slope", "dashed": True},
        ],
        "note": "the best value" if gamma == rho100**2 else ("too little" if gamma < rho100**2 else "too much"),
    })
slider_figure(
    "optimisation-momentum", frames, slider_label="momentum γ", xlabel="step",
    ylabel="log₁₀ distance", title="Momentum on a ravine, condition number 100", start=0, ylim=(-9, 1),
    alt="Distance to the minimum, on a logarithmic scale, against the step. As gamma grows from zero the line gets steeper until it is parallel to the best possible slope at 0.67; for larger gamma it oscillates and flattens.",
)


# %% [markdown]
# :::{admonition} Common mistake: What momentum is for
# :class: mistake
# {item}`E0.13` **The notes say** that variational autoencoders and flows are frequently trained by stochastic gradient descent with momentum, which "helps to
# overcome shallow local minima". **What is true:** in practice they are trained by Adam; what is *proved* about momentum is {eq}`eq-optimisation-hb`, a remedy
# for bad conditioning; and rolling through a shallow minimum is a thing that may happen, in either direction. The cell starts four thousand balls on
# $L(\theta)=\tfrac14\theta^4-\tfrac12\theta^2+0.15\,\theta$, which has a deep minimum on the left and a shallow one on the right.
# :::

# %%
def slope(x):
    return x**3 - x + 0.15


starts = torch.linspace(-2, 2, 4001)
plain = descend(gradient_descent(0.05), slope, starts, 2000)[-1]
heavy = descend(momentum(0.05, 0.9), slope, starts, 2000)[-1]


# %% tags=["hide-input"]
def share(which, of):
    return (which & of).sum() / of.sum()


roots = torch.linalg.eigvals(torch.tensor([[0.0, 1.0, -0.15], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])).real.sort().values
claim("optimisation-basin", "share of starts from which gradient descent ends in the deep minimum",
      (plain < 0).double().mean(), (roots[1] + 2) / 4, item="E0.13", by="everything left of the barrier, a root of the slope",
      atol=1 / 4001)
claim("optimisation-escapes", "of those in the shallow basin: share that momentum carries to the deep one",
      share(heavy < 0, plain > 0), item="E0.13", by="0 if it never did, 1 if always", at_least=0.28, at_most=0.295, digits=2)
claim("optimisation-falls-out", "of those in the deep basin: share that momentum carries to the shallow one",
      share(heavy > 0, plain < 0), item="E0.13", by="0 if momentum only ever helped", at_least=0.09, at_most=0.1, digits=2)


# %% [markdown]
# Momentum moved {value}`optimisation-escapes:.0%` of the balls in the shallow basin to the better minimum, and {value}`optimisation-falls-out:.0%` of those in
# the deep basin to the worse one.
#
# ## Minima, saddles and other stationary points
#
# {item}`S0.15` The losses of neural networks are not convex, and the usual picture of that is a landscape with many valleys. In high dimension it misleads. A
# stationary point is a minimum only if *all* $d$ curvatures are positive. For a random symmetric Gaussian matrix (the orthogonal ensemble) that is rarer than
# $d$ coin tosses that all come up heads: the eigenvalues repel each other, and the probability falls like $3^{-d^2/4}$ {cite:p}`dean2006`. The Hessian at a
# stationary point of a random *function* is not such a matrix. For an isotropic Gaussian function it is one plus a random multiple of $I$, and its law is weighted by
# $|\det H|$ (the Kac–Rice formula); then minima are about as rare as the coin tosses, {value}`optimisation-stationary-5:.3f` in five dimensions. In high dimension a
# stationary point is a **saddle**, nearly always.

# %%
def share_minima(d, n=200_000):
    """Share of random symmetric d×d Hessians with positive curvatures only."""
    m = torch.randn(n, d, d, generator=gen)
    hessians = (m + m.transpose(1, 2)) / 2
    return monte_carlo((torch.linalg.eigvalsh(hessians)[:, 0] > 0).double())


def share_stationary(d, n=400_000):
    """Share of minima among stationary points of an isotropic Gaussian function."""
    m = torch.randn(n, d, d, generator=gen)
    shift = torch.randn(n, generator=gen)[:, None, None] * torch.eye(d)
    curvatures = torch.linalg.eigvalsh((m + m.transpose(1, 2)) / math.sqrt(2) + shift)
    weight = curvatures.prod(1).abs()  # |det H|
    share = (weight * (curvatures[:, 0] > 0)).mean() / weight.mean()
    off = weight * ((curvatures[:, 0] > 0).double() - share) / weight.mean()
    return share, off.std() / math.sqrt(n)


# %% tags=["hide-input"]
exact = {2: (2 - math.sqrt(2)) / 4, 3: (math.pi - 2 * math.sqrt(2)) / (4 * math.pi)}
for d in (2, 3):
    mean, se = share_minima(d)
    claim(f"optimisation-saddles-{d}", f"share of random symmetric matrices with positive eigenvalues only, d = {d}", mean, exact[d],
          item="S0.15 E0.12", by="integral over the Gaussian orthogonal ensemble", se=se)
mean, se = share_minima(5)
claim("optimisation-saddles-5", "the same for d = 5, over what independent signs would give (1/32)", mean * 32,
      item="S0.15 E0.12", by="eigenvalues repel: far below 1", at_least=0.002, at_most=0.01, stable=False)
share_two, se = share_stationary(2)
claim("optimisation-stationary-2", "share of minima among stationary points of an isotropic Gaussian function, d = 2", share_two, 0.25,
      item="S0.15", by="a quarter minima, a quarter maxima, half saddles: on the plane as many extrema as saddles", se=se)
share_five, se = share_stationary(5)
claim("optimisation-stationary-5", "the same, d = 5", share_five, item="S0.15", by="1/32 = 0.031 for coin tosses; other seeds", at_least=0.025,
      at_most=0.031, digits=2)


# %% [markdown]
# Real losses are no random matrices. {cite:t}`dauphin2014` looked at stationary points of small networks: those with many negative curvatures lie high up.
#
# A saddle slows more than it holds. Along a direction of curvature $-\lambda$ the distance from the ridge grows by the factor $1+\eta\lambda$ per step, so a
# walker that starts $\varepsilon$ beside it has come to distance one after
#
# $$
# t=\Bigl\lceil\frac{\log(1/\varepsilon)}{\log(1+\eta\lambda)}\Bigr\rceil
# $$ (eq-optimisation-saddle)
#
# steps, which grows only with the logarithm. Exactly on the ridge it stays for ever; a little noise is all it needs.

# %%
def leaves(epsilon, noise=0.0, eta=0.05, steps=2000):
    """First step at which |y| >= 1 on L = (x² - y²)/2, from y = epsilon; or steps"""
    x, y = torch.ones(()), torch.tensor(epsilon)
    for t in range(1, steps + 1):
        x = x - eta * (x + noise * torch.randn((), generator=gen))
        y = y + eta * (y + noise * torch.randn((), generator=gen))
        if y.abs() >= 1:
            return t
    return steps


# %% tags=["hide-input"]
beside = (1e-2, 1e-4, 1e-8)
claim("optimisation-saddle", "steps to leave a saddle of curvature -1, η = 0.05, from 10⁻², 10⁻⁴ and 10⁻⁸ beside the ridge", torch.tensor([leaves(e) for e in beside]),
      torch.tensor([math.ceil(-math.log(e) / math.log(1.05)) for e in beside]), item="S0.15", by="log(1/ε) / log(1 + ηλ), rounded up")
woken = [leaves(0.0, noise=1e-6) for _ in range(20)]
claim("optimisation-woken", "started on the ridge, noise of size 10⁻⁶ in the gradient: steps of the slowest of twenty walkers", max(woken), item="S0.15 E0.12",
      by="never without noise; about log(10⁶)/log(1.05) = 283 and some luck", at_least=250, at_most=500)


# %% [markdown]
# ## Noise has a size
#
# Gradients come from batches. The notes write the result as $\dot\theta=-\nabla L+\eta(t)$ with a noise $\eta$ that is left open, and whose letter clashes with
# the learning rate's. What is the noise, and what does it leave behind?
#
# Near a minimum with curvature $a$ let the batch gradient be $a\theta+\xi$ with variance $\sigma^2$ for $\xi$. The step
# $\theta\leftarrow\theta-\eta(a\theta+\xi)$ has a stationary variance that solves $V=(1-\eta a)^2V+\eta^2\sigma^2$:
#
# $$
# V=\frac{\eta\,\sigma^2}{2a-\eta a^2}\;\approx\;\frac{\eta\,\sigma^2}{2a} .
# $$ (eq-optimisation-stationary)
#
# It does not go to zero; for small rates it is proportional to the learning rate. A flow that reproduces this to first order must carry $\eta$ in its noise,
#
# $$
# d\theta=-\nabla L\,dt+\sqrt{\eta\,C(\theta)}\;dW,
# $$ (eq-optimisation-sde)
#
# where a step takes the time $\eta$, $W$ is a standard Brownian motion and $C$ is the covariance of the batch gradient {cite:p}`mandt2017`: on the parabola its stationary variance is $\eta\sigma^2/2a$.

# %%
def stationary_variance(eta, a=1.0, sigma=1.0, chains=20_000, steps=400):
    """Noisy descent on a parabola: mean of theta² over chains, standard error"""
    theta = torch.zeros(chains)
    for _ in range(steps):
        g = a * theta + sigma * torch.randn(chains, generator=gen)
        theta = theta - eta * g
    return monte_carlo(theta**2)


# %% [markdown]
# :::{admonition} Common mistake: Gradient flow with noise
# :class: mistake
# {item}`E0.12` **The notes say** that training follows $\dot\theta=-\nabla L(\theta)+\eta(t)$ and that the trouble is many local minima. **What is true:** the
# noise must scale with the square root of the learning rate, or the stationary variance is wrong: in the cell, a noise that does not know the learning rate foretells one variance for all
# of them. It must have the gradient's covariance, which is no multiple of $I$ (next cell but one). And the update of an adversarial game is no gradient of anything, so that no such flow
# describes it ({ref}`ch-adversarial`). How bad the local minima of a training loss are is a matter of fact for each, which random functions do not settle.
# :::

# %% tags=["hide-input"]
rates = (0.02, 0.1, 0.5)
got = [stationary_variance(eta, steps=round(8 / eta)) for eta in rates]
for eta, (mean, se) in zip(rates, got, strict=True):
    claim(f"optimisation-variance-{int(100 * eta)}", f"stationary variance of noisy descent, η = {eta}", mean,
          eta / (2 - eta), item="E0.12 S0.15", by="ησ²/(2a - ηa²)", se=se)
batches = [stationary_variance(eta, sigma=1 / math.sqrt(size), steps=round(8 / eta)) for eta, size in ((0.1, 4), (0.025, 1))]
spread = batches[0][0] / batches[1][0] * math.sqrt(sum((se / mean) ** 2 for mean, se in batches))
claim("optimisation-batch-rate", "variance with η = 0.1 and batches of 4 over variance with η = 0.025 and single examples", batches[0][0] / batches[1][0],
      (2 - 0.025) / (2 - 0.1), item="E0.12", by="(2 - 0.025) / (2 - 0.1): η/B up to first order; 4 if batches did nothing", se=spread, digits=3)
theta = torch.zeros(20_000)
for t in range(1, 401):
    theta = theta - (theta + torch.randn(20_000, generator=gen)) / t
mean, se = monte_carlo(theta**2)
claim("optimisation-robbins", "variance after 400 steps with the falling rate η = 1/t", mean, 1 / 400, item="E0.12", by="the point is the mean of the noise: σ²/t", se=se)

# %% [markdown]
# What is $C$? For a model that is fitted by maximum likelihood and *contains the truth*, the covariance of one example's gradient at the optimum is the Fisher
# information, which is the Hessian of the expected loss: noise is large exactly where the valley is steep. The cell checks it on a logistic regression that
# draws its own labels.

# %%
scales = torch.tensor([3.0, 1.0, 0.5, 0.2])
features = torch.randn(40_000, 4, generator=gen) * scales
weights = torch.tensor([0.5, -1.0, 1.0, 2.0])
prob = torch.sigmoid(features @ weights)
labels = torch.bernoulli(prob, generator=gen)

per_example = (prob - labels)[:, None] * features  # (n, 4) gradients of -log p
noise = per_example.T @ per_example / len(features)  # covariance C
hessian = (features * (prob * (1 - prob))[:, None]).T @ features / len(features)

# %% tags=["hide-input"]
ratio = torch.linalg.eigvals(torch.linalg.solve(hessian, noise)).real
claim("optimisation-fisher", "eigenvalues of H⁻¹C, gradient covariance against Hessian", ratio.sort().values,
      torch.ones(4), item="E0.12", by="information identity, up to 40 000 examples", atol=0.08, digits=2)
spectra = [torch.linalg.eigvalsh(m) for m in (noise, hessian)]
claim("optimisation-anisotropy", "largest over smallest eigenvalue of the noise", spectra[0][-1] / spectra[0][0], spectra[1][-1] / spectra[1][0],
      item="E0.12", by="that of the Hessian; 1 if the noise were isotropic", rtol=0.1, digits=2)
residual = 2 * torch.randn(40_000, generator=gen)[:, None]      # a linear model that believes in variance 1
wrong = torch.linalg.solve(features.T @ features, (residual * features).T @ (residual * features))
claim("optimisation-fisher-wrong", "the same for least squares when the noise has variance 4 and the model says 1", torch.linalg.eigvals(wrong).real.sort().values,
      torch.full((4,), 4.0), item="E0.12", by="σ²: the identity needs the truth in the model", rtol=0.1, digits=2)
batch = per_example[: 40_000 // 50 * 50].reshape(-1, 50, 4).mean(1)
claim("optimisation-batch", "trace of the covariance of a batch of 50 over that of one example",
      batch.var(0).sum() / per_example.var(0).sum() * 50, 1.0, item="E0.12", by="C/B", atol=0.15, digits=2)


# %% [markdown]
# Averaging more examples divides $C$, lowering $\eta$ divides its effect; near a minimum and to first order, a batch $B$ and a rate $\eta$ matter for
# the stationary spread through $\eta/B$ only (the number of steps to get there depends on $\eta$). To end *at* the minimum, the rate must fall towards zero, neither too fast nor too slowly {cite:p}`robbins1951`; with $\eta_t=1/t$ on the
# parabola with $a=1$, the point is minus the mean of all noise so far, and its variance is $\sigma^2/t$.
#
# ## Adaptive steps
#
# {item}`S0.26` If steep and flat directions lie along the axes, each axis can have its own step. **RMSprop** divides by a running root mean square of the
# gradient; **Adam** {cite:p}`kingma2015` averages the gradient as well and undoes the bias of both averages,
#
# $$
# \begin{aligned}
# m_t&=\beta_1m_{t-1}+(1-\beta_1)g_t,\\
# s_t&=\beta_2s_{t-1}+(1-\beta_2)g_t^2,\\
# \hat m_t&=\frac{m_t}{1-\beta_1^t},\qquad \hat s_t=\frac{s_t}{1-\beta_2^t},\\
# \theta_t&=\theta_{t-1}-\eta\,\frac{\hat m_t}{\sqrt{\hat s_t}+\epsilon},
# \end{aligned}
# $$ (eq-optimisation-adam)
#
# all elementwise. (The literature and the notes write $v_t$ both for this second moment and for momentum's velocity; here the second moment is $s_t$.) Why the
# hats? After the first step $m_1=(1-\beta_1)g_1$ and $s_1=(1-\beta_2)g_1^2$, so that the step would be $\tfrac{1-\beta_1}{\sqrt{1-\beta_2}}\approx3.2$ times
# the learning rate; with them it is $\eta\operatorname{sign}(g_1)$. **AMSGrad** {cite:p}`reddi2018` divides by the *largest* $s$ so far; as in PyTorch, we keep
# the hats.

# %%
def rmsprop(eta, alpha=0.99, eps=1e-8):
    def rule(g, t, state):
        state["s"] = alpha * state.get("s", 0) + (1 - alpha) * g**2
        return eta * g / (state["s"].sqrt() + eps)

    return rule


def amsgrad(eta, beta1=0.9, beta2=0.999, eps=1e-8):
    def rule(g, t, state):
        state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
        state["s"] = beta2 * state.get("s", 0) + (1 - beta2) * g**2
        largest = state.get("max", torch.zeros_like(g))
        state["max"] = torch.maximum(largest, state["s"])
        mean = state["m"] / (1 - beta1**t)       # the hats, as in Adam
        square = state["max"] / (1 - beta2**t)
        return eta * mean / (square.sqrt() + eps)

    return rule


# %% tags=["hide-input"]
def theirs(optimiser, steps=60):
    x = torch.tensor([1.0, -1.0, 0.5], requires_grad=True)
    chosen = optimiser([x])
    for _ in range(steps):
        chosen.zero_grad()
        (x.pow(4).sum() + (x * torch.tensor([1.0, 10.0, 100.0]) * x).sum()).backward()
        chosen.step()
    return x.detach()


def bowl(x):
    return 4 * x**3 + 2 * torch.tensor([1.0, 10.0, 100.0]) * x


start = torch.tensor([1.0, -1.0, 0.5])
pairs = [
    (rmsprop(0.01), lambda p: torch.optim.RMSprop(p, lr=0.01)),
    (adam(0.05), lambda p: torch.optim.Adam(p, lr=0.05)),
    (amsgrad(0.05), lambda p: torch.optim.Adam(p, lr=0.05, amsgrad=True)),
]
gaps = torch.stack([(descend(rule, bowl, start, 60)[-1] - theirs(make)).abs().max() for rule, make in pairs])
claim("optimisation-torch", "RMSprop, Adam and AMSGrad as above minus torch.optim, after 60 steps", gaps,
      torch.zeros(3), item="S0.26", by="torch.optim", atol=1e-10)
g = torch.tensor([1e-3, -50.0])
first = adam(0.01)(g, 1, {})
claim("optimisation-first-step", "Adam's first step over the learning rate, gradients 0.001 and -50", first / 0.01,
      torch.tensor([1.0, -1.0]), item="S0.26", by="sign of the gradient", atol=1e-4)
raw = (0.1 * g) / ((0.001 * g**2).sqrt() + 1e-8)
claim("optimisation-no-hats", "the same without bias correction", raw, torch.tensor([1.0, -1.0]) * 0.1 / math.sqrt(0.001),
      item="S0.26", by="(1 - β1)/√(1 - β2)", rtol=1e-3)


# %% [markdown]
# :::{admonition} Common mistake: Adam adapts to the axes, and may fail
# :class: mistake
# {item}`E0.16` **The notes say** that Adam adapts its rates to the complex landscapes of generative models. **What is true:** it adapts to the *coordinates*.
# Turned by 45 degrees, the ravine of {numref}`fig-optimisation-ravine` costs it orders of magnitude within two hundred steps, and gradient descent nothing. Nor is convergence implied:
# on the convex problem below, from {cite:t}`reddi2018`, Adam walks to the *worst* point. With a constant rate it need not settle at all. And for adversarial
# games its $\beta_1$ is turned down, to between 0 and 0.5, since momentum feeds their rotation: the last claim below adds momentum to the game of
# {ref}`sec-adversarial-dirac`.
# :::
#
# The problem: on $[-1,1]$ the loss is $3\theta$ in every third round and $-\theta$ in the others. On average it is $\theta/3$, best at $-1$. With a short
# memory Adam divides the rare large gradient by a large root and the frequent small ones by a small root, and so follows the majority. AMSGrad never forgets
# the large one ({numref}`fig-optimisation-reddi`).

# %%
def reddi(rule, rounds=6000):
    """Rounds with gradients 3, -1, -1, 3, ..., projected to [-1, 1]: all points"""
    theta, state, path = torch.zeros(()), {}, []
    for t in range(1, rounds + 1):
        g = torch.tensor(3.0 if t % 3 == 1 else -1.0)
        theta = (theta - rule(g, t, state) / math.sqrt(t)).clamp(-1, 1)  # rate η/√t
        path.append(theta)
    return torch.stack(path)


short_memory = {"beta1": 0.0, "beta2": 0.1}
wrong_way = reddi(adam(0.5, **short_memory))
right_way = reddi(amsgrad(0.5, **short_memory))

# %% mystnb={"figure": {"name": "fig-optimisation-reddi", "caption": "The same convex problem, best at minus one. Adam with a short memory walks to the opposite end and stays; AMSGrad reaches the optimum."}, "image": {"alt": "Position against round on a logarithmic axis: one line climbs to plus one and remains there, the other falls steadily to nearly minus one."}} tags=["hide-input"]
_, ax = plt.subplots(figsize=(6, 2.4))
rounds = torch.arange(1, 6001)
shown = torch.unique(torch.logspace(0, math.log10(6000), 300).long()) - 1
ax.semilogx(rounds[shown], wrong_way[shown], color=colors.bad, label="Adam")
ax.semilogx(rounds[shown], right_way[shown], color=colors.model, label="AMSGrad")
ax.axhline(-1, color=colors.truth, ls="--", lw=1, label="optimum")
ax.set(xlabel="round", ylabel="$\\theta$")
ax.legend(loc="center right")
plt.show()

# %% tags=["hide-input"]
claim("optimisation-reddi-adam", "Adam's place after 6000 rounds", wrong_way[-1], 1.0, item="E0.16",
      by="Reddi et al. 2018, theorem 1: the worst point", atol=1e-6)
claim("optimisation-reddi-amsgrad", "AMSGrad's place after 6000 rounds", right_way[-1], -1.0, item="E0.16",
      by="the optimum", atol=0.02)
restless = descend(adam(0.1, beta2=0.99), lambda x: turned @ x, turn @ torch.ones(2), 6000)
late = 0.5 * ((restless[4000:] @ turned) * restless[4000:]).sum(1)
claim("optimisation-restless", "Adam on the turned ravine with a constant rate: largest loss after step 4000", late.max(),
      item="E0.16", by="0 if it settled", at_least=0.01, stable=False)


constant = adam(0.1, beta2=0.99)


def lowered(g, t, state):
    return constant(g, t, state) * (1 - t / 6001)


settled = descend(lowered, lambda x: turned @ x, turn @ torch.ones(2), 6000)[-1]
claim("optimisation-settled", "the same with a rate that falls to zero: final loss", 0.5 * settled @ turned @ settled,
      item="E0.16", by="it settles", at_most=1e-9, stable=False)


def growth(h, gamma):
    """Growth of the linear game min_θ max_ψ -θψ per alternating round: D moves first, G answers. A round maps
    (θ, ψ and their velocities) linearly; the rows are the images of the four unit vectors."""
    rows = []
    for theta, psi, of_theta, of_psi in torch.eye(4):
        of_psi = gamma * of_psi - h * theta
        psi = psi + of_psi
        of_theta = gamma * of_theta + h * psi
        rows.append(torch.stack([theta + of_theta, psi, of_theta, of_psi]))
    return torch.linalg.eigvals(torch.stack(rows)).abs().max()


claim("optimisation-game", "linear game, alternating: growth per round without momentum", growth(0.1, 0.0), 1.0, item="E0.16", by="a closed orbit", atol=1e-9)
claim("optimisation-game-momentum", "the same with γ = 0.9 and a tenth of the rate", growth(0.01, 0.9), item="E0.16", by="1 if momentum did no harm: it spirals out",
      at_least=1.02, at_most=1.04, digits=3)

# %% [markdown]
# ## On real data
#
# A convex problem of real size: softmax regression of the digits' classes with a small quadratic penalty, 650 parameters, whose optimum a quasi-Newton method
# finds to ten digits. Nothing about it says that its valleys lie along the pixels. So let every optimiser work in three kinds of coordinates, $W=TU$ with $T$
# the identity, a random rotation, or a diagonal matrix that stretches the axes by up to a hundred (two draws of each). The model, the loss and the optimum are
# the same; only what the optimiser sees differs. Each gets three hundred full gradients and the best learning rate of a grid that is refined around its best point
# ({numref}`fig-optimisation-digits`). We count the steps until the loss lies within $10^{-8}$ of the optimum: how far a constant rate gets beyond that is chance.

# %%
data = digits()
n = len(data.train.x)
x = torch.cat([data.train.x / 16, torch.ones(n, 1)], 1)     # (1077, 65)
one_hot = torch.nn.functional.one_hot(data.train.y, 10).double()


def value(w):                                               # w (..., 65, 10)
    log_p = torch.log_softmax(x @ w, -1)
    return -(one_hot * log_p).sum(-1).mean(-1) + 0.0005 * w.square().sum((-2, -1))


def gradient(w):
    return x.T @ (torch.softmax(x @ w, -1) - one_hot) / n + 0.001 * w


def stretched():
    return torch.diag(10 ** (-2 * torch.rand(65, generator=gen)))


coordinates = {
    "as it is": [torch.eye(65)],
    "turned": [torch.linalg.qr(torch.randn(65, 65, generator=gen)).Q for _ in range(2)],
    "stretched": [stretched(), stretched()],
}
walkers = {  # rule of a rate, and the coarse grid of rates
    "gradient descent": (gradient_descent, 4.0 ** torch.arange(6)),
    "momentum, γ = 0.9": (lambda rate: momentum(rate, 0.9), 4.0 ** torch.arange(6)),
    "Adam": (adam, 0.05 * 4.0 ** torch.arange(6)),
}


def excess_of(rule, m, rates, steps=300):
    """Loss above the optimum every five steps, one row for each rate: (rates, 61)"""
    start = torch.zeros(len(rates), 65, 10)
    path = descend(rule(rates[:, None, None]), lambda u: m.T @ gradient(m @ u), start, steps)
    return torch.stack([value(m @ u) - optimum for u in path[::5]], 1).nan_to_num(nan=1e9, posinf=1e9)


def arrival(curve):
    """Steps to 1e-8, and then what is left: to be compared in this order"""
    there = (curve <= 1e-8).nonzero()
    return (5 * int(there[0]) if len(there) else 10**4, float(curve[-1].clamp_min(1e-8)))


def best_run(rule, m, rates):
    """The best rate's curve, its arrival, and whether the best rate lies inside the grid."""
    tried = {}
    for factors in ((0.5, 2.0), (0.7, 1.4), ()):  # a coarse grid, then twice around its best point
        tried |= {float(r): curve for r, curve in zip(rates, excess_of(rule, m, rates), strict=True)}
        best = min(tried, key=lambda r: arrival(tried[r]))
        rates = torch.tensor([best * f for f in factors])
    return tried[best], arrival(tried[best]), min(tried) < best < max(tried)


# %% mystnb={"figure": {"name": "fig-optimisation-digits", "caption": "Loss above the optimum for softmax regression of the digits, each optimiser at its best learning rate, in three coordinate systems. In decent coordinates momentum and Adam arrive nearly together, turned or not; stretched ones (first of two draws) ruin momentum, and hurt Adam far less."}, "image": {"alt": "Three panels of excess loss against step on a logarithmic axis. In the first two, momentum and Adam fall fast and nearly together, gradient descent slowly. In the third, gradient descent and momentum hardly fall while Adam falls by orders of magnitude."}} tags=["hide-input"]
w = torch.zeros(65, 10, requires_grad=True)
newton = torch.optim.LBFGS([w], max_iter=2000, tolerance_grad=1e-10, tolerance_change=0, history_size=50,
                           line_search_fn="strong_wolfe")


def closure():
    newton.zero_grad()
    loss = value(w)
    loss.backward()
    return loss


newton.step(closure)
optimum = value(w.detach())

left, took, inside = {}, {}, []
_, axes = plt.subplots(1, 3, figsize=(7, 2.8), sharey=True, layout="constrained")
for ax, (system, maps) in zip(axes, coordinates.items(), strict=True):
    for (name, (rule, rates)), colour in zip(walkers.items(), colors.cycle, strict=False):
        runs = [best_run(rule, m, rates) for m in maps]
        took[name, system] = torch.tensor([float(steps) for _, (steps, _), _ in runs])
        left[name, system] = torch.tensor([rest for _, (_, rest), _ in runs])
        inside += [within for *_, within in runs]
        ax.semilogy(range(0, 301, 5), runs[0][0].clamp_min(1e-12), color=colour, label=name)
    ax.set(title=system, xlabel="step", ylim=(1e-10, 5))
axes[0].set_ylabel("loss above the optimum (nats)")
axes[2].legend(loc="lower left")
plt.show()

# %% tags=["hide-input"]
plain_gd, heavy, adaptive = walkers
claim("optimisation-digits-optimum", "norm of the gradient at the optimum found", gradient(w.detach()).norm(), 0.0,
      item="X0.11", by="a stationary point; the gap is at most ‖g‖²/0.002", atol=1e-7, stable=False)
claim("optimisation-digits-grid", "best rates, of 15, that lie inside their grid", sum(inside), 15, item="X0.11", by="all")
claim("optimisation-digits-momentum", "as it is: steps of momentum to 1e-8", took[heavy, "as it is"], item="E0.13 X0.11", by="other splits",
      at_least=120, at_most=240, stable=False)
claim("optimisation-digits-gd", "as it is: what gradient descent leaves after 300 steps", left[plain_gd, "as it is"], item="E0.13 X0.11",
      by="√κ against κ: far from 1e-8", at_least=1e-4, stable=False)
claim("optimisation-digits-adam", "as it is: steps of Adam to 1e-8 over those of momentum", took[adaptive, "as it is"] / took[heavy, "as it is"],
      item="E0.13 E0.16", by="1 if both were equally good; other splits", at_least=0.85, at_most=1.4, digits=1, stable=False)
claim("optimisation-digits-turned", "turned over as it is: what gradient descent leaves",
      left[plain_gd, "turned"] / left[plain_gd, "as it is"], torch.ones(2), item="E0.16", by="equivariance", atol=1e-3, digits=2)
claim("optimisation-digits-adam-turned", "two turns: steps of Adam to 1e-8 over those as it is", took[adaptive, "turned"] / took[adaptive, "as it is"],
      item="E0.16", by="1 if no ravine lay along the pixels", at_least=0.7, at_most=1.5, digits=1, stable=False, depends_on="split")
claim("optimisation-digits-stretched", "stretched: what momentum leaves over what Adam leaves, geometric mean of two draws",
      (left[heavy, "stretched"] / left[adaptive, "stretched"]).log().mean().exp(), item="E0.16", by="1 if Adam did not adapt", at_least=10, stable=False)
ranges = []
for seed in range(3):
    torch.manual_seed(seed)
    layers = [torch.nn.Linear(a, b) for a, b in ((64, 128), (128, 128), (128, 128), (128, 10))]
    net = torch.nn.Sequential(*[part for layer in layers for part in (layer, torch.nn.ReLU())][:-1])
    torch.nn.functional.cross_entropy(net(data.train.x / 16), data.train.y).backward()
    sizes = torch.stack([p.grad.square().mean().sqrt() for p in net.parameters()])
    ranges.append(sizes.max() / sizes.min())
claim("optimisation-layers", "a ReLU network of four layers, before training: largest over smallest root-mean-square gradient of its eight arrays, least of three seeds",
      min(ranges), item="E0.16", by="1 if all parameters had one scale", at_least=10, stable=False)

# %% [markdown]
# Two lessons, one of them against folklore. On this well-scaled problem Adam has no edge: with its rate tuned as finely, momentum comes within $10^{-8}$ of the optimum in about as many
# steps, and turning the pixels changes Adam's count little (of other splits of the digits one had a turn that kept it from arriving within three hundred steps). What Adam is good for is the third panel: coordinates of very
# different scale, which it undoes one by one. The weights and biases of a small deep network are such coordinates, already before training: the sizes of their
# gradients differ tenfold and more. How much of Adam's success with large networks that explains is not settled {cite:p}`kunstner2023`.
#
# ## Exercises
#
# :::{bank} optimisation-nesterov
# :::
#
# :::{bank} optimisation-adamw
# :::
#
# :::{bank} optimisation-lyapunov
# :::
#
# :::{bank} optimisation-curvature
# :::
#
# :::{bank} optimisation-explain-plateau
# :::
#
# ## What to read next
#
# - {cite:t}`polyak1964` introduced the heavy ball and its rate; {cite:t}`goh2017` makes one see it.
# - {cite:t}`kingma2015` is Adam, {cite:t}`reddi2018` its counterexample.
# - {cite:t}`mandt2017` reads stochastic gradient descent with a constant rate as approximate Bayesian inference.
# - Next: {ref}`ch-curriculum`, on the order in which things are learned.
