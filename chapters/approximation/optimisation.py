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
# - predict how many steps gradient descent and momentum need on a quadratic, and set both to their best in the long run;
# - write momentum, RMSprop, Adam and AMSGrad in a few lines each, and say for every line what it is for;
# - name a convex problem on which Adam with a short memory ends in the worst point, and a change of coordinates that slows it down;
# - compute the noise that stochastic gradients leave behind, and say what a noisy gradient flow must contain to get it right.

# %% tags=["hide-input"]
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
# {item}`X0.11` Whatever a generative model's loss is, an **optimiser** has to walk downhill on it. Here is the smallest loss that tells optimisers apart: a valley a
# thousand times steeper across than along,
#
# $$
# L(\theta)=\tfrac12\,\theta^\top A\,\theta,\qquad A=\operatorname{diag}(1,\kappa),\qquad \kappa=1000 .
# $$ (eq-optimisation-ravine)
#
# $\kappa$, the ratio of the largest to the smallest curvature, is the **condition number**. Three optimisers start at $(1,1)$: **gradient descent**, **momentum** (the heavy
# ball) with the $\gamma$ that the next section derives, and Adam. Which is at the bottom first, and which would notice a turn of the plane by 45
# degrees? An optimiser may pass the bottom and be thrown out again, so we count the steps after which the loss *stays* within a millionth of its first value, until step 4000;
# each takes the learning rate, of a grid in steps of five percent, for which that is soonest ({numref}`fig-optimisation-ravine`).
#
# All optimisers of this page have one form: a state, and a rule that takes the gradient and returns the step.

# %%
def descend(rule, grad, theta, steps):
    """theta <- theta - step: all points from the start, (steps + 1, ...)"""
    state, path = {}, [theta]
    for t in range(1, steps + 1):
        theta = theta - rule(grad(theta), t, state)
        path.append(theta)
    return torch.stack(path)


def stays(loss, level):
    """Step after which loss (steps + 1, ...) stays low, or steps + 1"""
    return len(loss) - (loss <= level).flip(0).cumprod(0).sum(0)


def gradient_descent(eta):
    return lambda g, t, state: eta * g


def momentum(eta, gamma):
    def rule(g, t, state):
        # v_t = γ v_{t-1} + η g_t
        state["v"] = gamma * state.get("v", 0) + eta * g
        return state["v"]

    return rule


def adam(eta, beta1=0.9, beta2=0.999, eps=1e-8):
    def rule(g, t, state):
        # running means of g and of g²
        state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
        state["s"] = beta2 * state.get("s", 0) + (1 - beta2) * g**2
        m_hat = state["m"] / (1 - beta1**t)  # both start at 0: undo that bias
        s_hat = state["s"] / (1 - beta2**t)
        return eta * m_hat / (s_hat.sqrt() + eps)

    return rule


# %% mystnb={"figure": {"name": "fig-optimisation-ravine", "caption": "Loss of three optimisers on the ravine, each at its best learning rate, as drawn (solid) and with the plane turned by 45 degrees (dashed). Only Adam depends on the turn. Dotted: a millionth of the first loss."}, "image": {"alt": "Loss against step, both on logarithmic axes. Momentum and Adam on the ravine as drawn cross the dotted level together after about a hundred steps; Adam on the turned ravine crosses it after several hundred, gradient descent after nearly two thousand."}} tags=["hide-input"]
kappa = 1000.0
A = torch.diag(torch.tensor([1.0, kappa]))
c = math.sqrt(0.5)
turn = torch.tensor([[c, -c], [c, c]])
turned = turn @ A @ turn.T
maps = torch.stack([A, turned])
starts = torch.stack([torch.ones(2), turn @ torch.ones(2)])
best_gamma = ((kappa**0.5 - 1) / (kappa**0.5 + 1)) ** 2
rates = 1.05 ** torch.arange(-140, 45)                      # 0.001 to 8.6
level = 1e-6 * (1 + kappa) / 2


def losses(rule, steps=4000, starts=starts):
    """On both maps, for every rate: (steps + 1, 2, rates)"""
    path = descend(rule(rates[:, None]), lambda x: x @ maps, starts[:, None].expand(2, len(rates), 2), steps)
    return 0.5 * ((path @ maps) * path).sum(-1)


runs = {
    "gradient descent": losses(gradient_descent),
    "momentum": losses(lambda eta: momentum(eta, best_gamma)),
    "Adam": losses(adam, 8000),
    "Adam, long memory": losses(lambda eta: adam(eta, beta2=0.9999), 8000),
}
soonest = {name: stays(loss[:4001], level).min(-1) for name, loss in runs.items()}     # for each map
_, ax = plt.subplots(figsize=(6.5, 3))
for name, colour in zip(list(runs)[:3], colors.cycle, strict=False):
    for which, dash in enumerate(("-", "--")):
        ax.loglog(runs[name][:4001, which, soonest[name].indices[which]], dash, color=colour, label=None if which else name)
ax.axhline(level, color=colors.truth, ls=":", lw=1)
ax.set(xlabel="step", ylabel="loss", ylim=(1e-8, 1e4))
ax.legend(loc="lower left")
plt.show()

# %% tags=["hide-input"]
count = {name: best.values.double() for name, best in soonest.items()}
claim("optimisation-invariant", "gradient descent and momentum: steps on the turned ravine minus steps as drawn",
      torch.stack([count[name][1] - count[name][0] for name in ("gradient descent", "momentum")]), torch.zeros(2),
      item="X0.11 E0.16", by="both are equivariant under rotations")
chosen = torch.stack([best.indices for best in soonest.values()])
claim("optimisation-ravine-inside", "best rates inside the grid", ((chosen > 0) & (chosen < len(rates) - 1)).sum(), 8, item="X0.11 E0.16", by="all eight")
claim("optimisation-ravine-gd", "ravine: steps of gradient descent", count["gradient descent"][0],
      by="log(10³)/4 · M = 1727 just below the rate 2/M; the grid", at_least=1727, at_most=1850)
claim("optimisation-ravine-momentum", "ravine: steps of momentum", count["momentum"][0],
      by="grids in steps of 1.05 and 1.1", at_least=118, at_most=128)
claim("optimisation-ravine-adam", "ravine along the axes: steps of Adam", count["Adam"][0], item="X0.11 E0.16",
      by="that of momentum; grids in steps of 1.05 and 1.1", at_least=112, at_most=128)
claim("optimisation-adam-turned", "Adam: steps on the turned ravine over steps on the aligned one", count["Adam"][1] / count["Adam"][0],
      item="X0.11 E0.16", by="1 if Adam were equivariant", at_least=6, at_most=8, digits=1)


def until(step, name):
    """The fewest steps if the loss has to stay low until a step, on both maps."""
    return stays(runs[name][: step + 1], level).min(-1).values


for what, name, low, high in (("longer", "Adam", 17, 24), ("long-memory", "Adam, long memory", 4.3, 5.2)):
    drawn, rotated = until(8000, name)
    claim(f"optimisation-adam-{what}", f"{name}: the same if it has to stay until step 8000", rotated / drawn, item="X0.11 E0.16",
          by="the number above if it settled; grids in steps of 1.05 and 1.1", at_least=low, at_most=high, digits=2)
same_loss = torch.tensor([1.0, kappa**-0.5])
same_loss = torch.stack([same_loss, turn @ same_loss])
equal = [losses(rule, 8000, same_loss)[:, 0] for rule in (adam, lambda eta: momentum(eta, best_gamma))]
for name, step, low, high in (("optimisation-ravine-start", 2000, 0.79, 0.87), ("optimisation-ravine-start-longer", 8000, 8.2, 9.2)):
    ours, balls = [stays(loss[: step + 1], 1e-6).min() for loss in equal]
    claim(name, f"as drawn, from (1, 1/√κ), until step {step}: steps of Adam over those of momentum", ours / balls,
          item="X0.11 E0.16", by="1, as from (1, 1), if the start did not matter; grids in steps of 1.05 and 1.1", at_least=low, at_most=high, digits=2)


def one_root(eta):
    """Adam with one root for both coordinates, a rule that no rotation changes."""
    def rule(g, t, state):
        state["m"] = 0.9 * state.get("m", 0) + 0.1 * g
        state["s"] = 0.999 * state.get("s", 0) + 0.001 * (g**2).mean(-1, keepdim=True)
        return eta * state["m"] / (1 - 0.9**t) / ((state["s"] / (1 - 0.999**t)).sqrt() + 1e-8)

    return rule


reached = (losses(one_root)[:, :, soonest["Adam"].indices[1]] <= level).double().argmax(0)
claim("optimisation-one-root", "Adam with one root for both, on both maps, at the turned ravine's best rate: first step at the level over steps of Adam, turned",
      reached / count["Adam"][1], torch.ones(2), item="E0.16", by="1 if what slows Adam is that both divide by the same", atol=0.02)


# %% [markdown]
# Momentum needs {value}`optimisation-ravine-momentum:.0f` steps, Adam at its defaults {value}`optimisation-ravine-adam:.0f`, gradient descent
# {value}`optimisation-ravine-gd:.0f`. As $s$ forgets the steep start, Adam's steps grow until they throw it out: from
# $(1,1/\sqrt\kappa)$, where both have the same loss, it needs {value}`optimisation-ravine-start:.1f` times momentum's steps to stay until step 2000,
# {value}`optimisation-ravine-start-longer:.0f` times until step 8000.
# On the turned ravine, from the turned $(1,1)$, Adam needs {value}`optimisation-adam-turned:.0f` times as many. Both now divide by the steep slope's root mean
# square, and the gentle one drowns: with one root for both, Adam is as slow, turned or not. A larger rate is there sooner but thrown out: until step
# 8000, Adam needs {value}`optimisation-adam-longer:.0f` times as many, with $\beta_2=0.9999$, a memory ten times longer, {value}`optimisation-adam-long-memory:.0f` times.
#
# ## How fast can it go?
#
# Gradient descent multiplies the error along the eigenvector of curvature $\lambda$ by $1-\eta\lambda$ in each step. The
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
# Momentum, $v_t=\gamma v_{t-1}+\eta\nabla L$, $\theta_t=\theta_{t-1}-v_t$, is fastest in the long run with
# $\eta=\bigl(\tfrac{2}{\sqrt M+\sqrt\mu}\bigr)^2$ and $\gamma=\rho_{\mathrm{HB}}^2$, where the error shrinks, up to a factor that grows linearly in $t$, by
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
# product $\gamma$, and the larger modulus never falls as $|1+\gamma-\eta\lambda|$ grows. So the best rate for a given $\gamma$ makes the two ends opposite,
#
# $$
# \eta=\frac{2(1+\gamma)}{M+\mu},\qquad 1+\gamma-\eta\mu=(1+\gamma)\,\rho_{\mathrm{GD}} .
# $$ (eq-optimisation-ends)
#
# Where this is below $2\sqrt\gamma$, the roots are complex with the modulus $\sqrt\gamma$ *whatever $\lambda$ is*, which grows with $\gamma$. Where it is above, the
# larger root $z$ at $\mu$ is real, $\gamma=z(\rho_{\mathrm{GD}}-z)/(1-\rho_{\mathrm{GD}}z)$, and falls as $\gamma$ grows. The best lies between,
# $(1+\gamma)\rho_{\mathrm{GD}}=2\sqrt\gamma$, that is, $\sqrt\gamma=\rho_{\mathrm{HB}}$; the root there is double, hence the factor $t$.
# :::
#
# The square root is the point: $\log\rho\approx-2/\kappa$ against $-2/\sqrt\kappa$. {item}`S0.22` From a start at which both directions have the same loss until it stays within a millionth, gradient descent takes {value}`optimisation-gain-100:.1f` times as many steps
# as momentum for $\kappa=100$ and {value}`optimisation-gain-1000:.1f` times for $\kappa=1000$, with the theorem's settings: less than $\sqrt\kappa$, as the double root
# costs momentum its factor $t$.

# %%
def tuned(kappa):
    root = math.sqrt(kappa)
    rho = (root - 1) / (root + 1)
    heavy_ball = momentum(4 / (root + 1) ** 2, rho**2)
    return gradient_descent(2 / (kappa + 1)), heavy_ball


def steps_needed(rule, kappa):
    """Steps from (1, 1/√κ), loss 1, until the loss stays within a millionth"""
    curvature = torch.tensor([1.0, kappa])
    path = descend(rule, lambda x: curvature * x, curvature**-0.5, 4000)
    return stays(0.5 * (curvature * path**2).sum(1), 1e-6)


# %% tags=["hide-input"]
needed = torch.tensor([[steps_needed(rule, k) for rule in tuned(k)] for k in (100.0, 1000.0)])
foretold = torch.tensor([math.ceil(math.log(1e3) / -math.log((k - 1) / (k + 1))) for k in (100, 1000)])
claim("optimisation-steps-gd", "steps of gradient descent, κ = 100 and 1000", needed[:, 0],
      foretold, item="E0.13", by="ceil(log 10³ / -log ρ)")


def transient(kappa):
    """The steps of momentum in closed form: a double root ρ at λ = μ, -ρ at λ = M."""
    root, t = math.sqrt(kappa), torch.arange(4001)
    rho, eta = (root - 1) / (root + 1), 4 / (root + 1) ** 2
    errors = [z**t * (1 + t * ((1 - eta * curvature) / z - 1)) for z, curvature in ((rho, 1), (-rho, kappa))]
    return 1 + int((0.5 * (errors[0] ** 2 + errors[1] ** 2) > 1e-6).nonzero().max())


claim("optimisation-steps-momentum", "steps of momentum, κ = 100 and 1000", needed[:, 1],
      torch.tensor([transient(100), transient(1000)]), item="E0.13",
      by="closed form of the recursion, (a + bt) ρ^t")
for k, (slow, fast), exact_slow in zip((100, 1000), needed.tolist(), foretold.tolist(), strict=True):
    claim(f"optimisation-gain-{k}", f"steps of gradient descent over steps of momentum, κ = {k}", slow / fast, exact_slow / transient(k),
          item="X0.11 E0.13", by="both from their closed forms", atol=1e-9, digits=3)
theirs = torch.ones(2, requires_grad=True)
sgd = torch.optim.SGD([theirs], lr=0.001, momentum=0.9)
for _ in range(50):
    sgd.zero_grad()
    (0.5 * theirs @ A @ theirs).backward()
    sgd.step()
mine = descend(momentum(0.001, 0.9), lambda x: A @ x, torch.ones(2), 50)[-1]
claim("optimisation-torch-momentum", "momentum as above minus torch.optim.SGD after 50 steps",
      (mine - theirs.detach()).abs().max(), 0.0, by="torch.optim", atol=1e-12)

# %% [markdown]
# Move $\gamma$ below, each with the learning rate {eq}`eq-optimisation-ends`. The curve
# gets steeper up to the best value; beyond it the error shrinks by $\sqrt\gamma$ per step.

# %% tags=["hide-input"]
frames = []
quadratic = torch.tensor([1.0, 100.0])
rho100 = (10 - 1) / (10 + 1)
for gamma in (0.0, 0.3, 0.5, 0.6, rho100**2, 0.8, 0.9, 0.95, 0.99):
    path = descend(momentum(2 * (1 + gamma) / 101, gamma), lambda x: quadratic * x, torch.ones(2), 150)
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
# :::{admonition} Common mistake: Momentum helps to overcome shallow local minima
# :class: mistake
# {item}`E0.13` It is often said that variational autoencoders and flows are frequently trained by stochastic gradient descent with momentum, which "helps to
# overcome shallow local minima". **What is true:** in practice they are trained by Adam; what is *proved* about momentum is {eq}`eq-optimisation-hb`, a remedy
# for bad conditioning; and over the barrier below it does carry balls, as a large step without it does, but into a better minimum or a worse one. The cell starts four
# thousand balls between $-2$ and $2$ on $L(\theta)=\tfrac14\theta^4-\tfrac12\theta^2+0.15\,\theta$, which has a deep minimum on the left and a shallow one on the right.
# :::

# %%
def slope(x):
    return x**3 - x + 0.15


def ends(rule):
    return descend(rule, slope, torch.linspace(-2, 2, 4001), 2000)[-1]


# effective rate 0.05
plain, rolling = ends(gradient_descent(0.05)), ends(momentum(0.005, 0.9))
gliding = ends(momentum(0.0005, 0.99))
# ten times that
leaping, heavy = ends(gradient_descent(0.5)), ends(momentum(0.05, 0.9))


# %% tags=["hide-input"]
def share(which, of):
    return (which & of).sum() / of.sum()


roots = torch.linalg.eigvals(torch.tensor([[0.0, 1.0, -0.15], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])).real.sort().values
claim("optimisation-basin", "share of starts from which gradient descent ends in the deep minimum",
      (plain < 0).double().mean(), (roots[1] + 2) / 4, item="E0.13",
      by="everything left of the barrier, a root of the slope", atol=1 / 4001)
claim("optimisation-equal-speed", "balls that momentum with γ = 0.9 and η/(1 - γ) = 0.05 carries to the other basin", ((rolling > 0) != (plain > 0)).sum(), 0,
      item="E0.13", by="none: as gradient descent with η = 0.05")
for word, what, end, out, back in (("momentum", "momentum, γ = 0.9, η/(1 - γ) = 0.5", heavy, 0.29, 0.095), ("descent", "descent, η = 0.5", leaping, 0.19, 0.09),
                                   ("gliding", "momentum, γ = 0.99, η/(1 - γ) = 0.05", gliding, 0.29, 0.09)):
    claim(f"optimisation-escapes-{word}", f"{what}: share of the shallow basin that it carries to the deep one",
          share(end < 0, plain > 0), item="E0.13", by="0 if it never did, 1 if always", at_least=out - 0.01, at_most=out + 0.01, digits=2)
    claim(f"optimisation-falls-out-{word}", f"{what}: share of the deep basin that it carries to the shallow one",
          share(end > 0, plain < 0), item="E0.13", by="0 if it only ever helped", at_least=back - 0.005, at_most=back + 0.005, digits=2)


# %% [markdown]
# At gradient descent's **effective learning rate**, $\eta/(1-\gamma)=0.05$, momentum with $\gamma=0.9$ moves no ball to the other basin. With $\gamma=0.99$ it carries
# {value}`optimisation-escapes-gliding:.0%` of the shallow basin's balls to the better minimum and {value}`optimisation-falls-out-gliding:.0%` of the deep one's to
# the worse. At ten times the rate these are {value}`optimisation-escapes-momentum:.0%` and {value}`optimisation-falls-out-momentum:.0%` with $\gamma=0.9$,
# {value}`optimisation-escapes-descent:.0%` and {value}`optimisation-falls-out-descent:.0%` for gradient descent.
#
# ## Minima, saddles and other stationary points
#
# {item}`S0.15` The losses of neural networks are not convex, and the usual picture of that is a landscape with many valleys. In high dimension it misleads. A
# stationary point is a minimum only if *all* $d$ curvatures are positive. For a random symmetric matrix of the **Gaussian orthogonal ensemble** that is rarer than
# $d$ coin tosses that all come up heads: the eigenvalues repel each other, and the probability falls like $3^{-d^2/4}$ {cite:p}`dean2006`. The Hessian at a
# stationary point of a random *function* is not such a matrix. For an isotropic Gaussian function it is one plus a random multiple of $I$, and its distribution is weighted by
# $|\det H|$ (the **Kac–Rice formula**), which is the repulsion from one more eigenvalue, at minus the shift: a random matrix of $d+1$ dimensions gives the share of minima. In five
# dimensions it is {value}`optimisation-stationary-5:.3f`, nearly that of the coin tosses, in twenty only {value}`optimisation-stationary-20:.1f` times theirs. In high dimension a
# stationary point is a **saddle**, nearly always.

# %%
def spectra_of(d, n=200_000):
    """Eigenvalues, in order, of random symmetric d×d matrices: (n, d)"""
    m = torch.randn(n, d, d, generator=gen)
    return torch.linalg.eigvalsh((m + m.transpose(1, 2)) / math.sqrt(2))


def share_minima(d):
    """Share of random symmetric d×d Hessians with positive curvatures only."""
    return monte_carlo((spectra_of(d)[:, 0] > 0).double())


def share_stationary(d, n=200_000):
    """The same at stationary points of an isotropic Gaussian function."""
    weight = torch.exp(-(spectra_of(d + 1, n) ** 2) / 4)  # eigenvalue = -shift
    total, least = weight.sum(1), weight[:, 0]  # the least: all others above it
    share = least.mean() / total.mean()
    return share, (least - share * total).std() / total.mean() / math.sqrt(n)


# %% tags=["hide-input"]
exact = {2: (2 - math.sqrt(2)) / 4, 3: (math.pi - 2 * math.sqrt(2)) / (4 * math.pi)}
stationary = {2: 1 / 4, 3: (29 - 6 * math.sqrt(6)) / 116}
for d in (2, 3):
    mean, se = share_minima(d)
    claim(f"optimisation-saddles-{d}", f"share of random symmetric matrices with positive eigenvalues only, d = {d}", mean, exact[d],
          item="S0.15 E0.12", by="integral over the Gaussian orthogonal ensemble", se=se)
    mean, se = share_stationary(d)
    claim(f"optimisation-stationary-{d}", f"share of minima among stationary points of an isotropic Gaussian function, d = {d}", mean, stationary[d],
          item="S0.15", by="closed form; in the plane there are as many extrema as saddles", se=se)
share_five, _ = share_stationary(5)
claim("optimisation-stationary-5", "the same, d = 5", share_five,
      by="coin tosses: 1/32 = 0.031; other seeds", at_least=0.028, at_most=0.0293, digits=2)
share_twenty, _ = share_stationary(20, 20_000)
claim("optimisation-stationary-20", "the same for d = 20, over what coin tosses would give", share_twenty * 2**20, item="S0.15", by="1 for coin tosses; other seeds",
      at_least=0.15, at_most=0.21, digits=1)


# %% [markdown]
# Real losses are no random matrices. {cite:t}`dauphin2014` looked at stationary points of small networks: those with many negative curvatures lie high up.
#
# A saddle slows more than it holds. Along a direction of curvature $-\lambda$ the distance from the ridge grows by the factor $1+\eta\lambda$ per step, so
# gradient descent from $\varepsilon$ beside it has come to distance one after
#
# $$
# t=\Bigl\lceil\frac{\log(1/\varepsilon)}{\log(1+\eta\lambda)}\Bigr\rceil
# $$ (eq-optimisation-saddle)
#
# steps, which grows only with the logarithm. Exactly on the ridge it stays for ever; a little noise is all it needs.

# %%
def leaves(epsilon, noise=0.0, eta=0.05, steps=2000):
    """First step with |y| >= 1 on L = (x² - y²)/2, from y = epsilon"""
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
claim("optimisation-woken", "started on the ridge, noise of size 10⁻⁶ in the gradient: steps of the slowest of twenty runs", max(woken), item="S0.15 E0.12",
      by="never without noise; y_t/1.05^t tends to a normal distribution of deviation 1.6e-7: median 329", at_least=330, at_most=500)


# %% [markdown]
# ## Noise has a size
#
# **Stochastic gradient descent** takes its gradients from batches. What is their noise, and what does it leave behind?
#
# Near a minimum with curvature $a$ let the batch gradient be $a\theta+\xi$ with variance $\sigma^2$ for $\xi$. The step
# $\theta\leftarrow\theta-\eta(a\theta+\xi)$ has a stationary variance that solves $V=(1-\eta a)^2V+\eta^2\sigma^2$:
#
# $$
# V=\frac{\eta\,\sigma^2}{2a-\eta a^2}\;\approx\;\frac{\eta\,\sigma^2}{2a} .
# $$ (eq-optimisation-stationary)
#
# For small rates it is proportional to the learning rate. A **stochastic differential equation** that reproduces this to first order must carry $\eta$ in its noise,
#
# $$
# d\theta=-\nabla L\,dt+\sqrt{\eta\,C(\theta)}\;dW,
# $$ (eq-optimisation-sde)
#
# where a step takes the time $\eta$, $W$ is a standard Brownian motion and $C$ is the covariance of the batch gradient {cite:p}`mandt2017`: on the parabola its stationary variance is $\eta\sigma^2/2a$.

# %%
def stationary_variance(eta, a=1.0, sigma=1.0, chains=20_000, steps=400):
    """SGD on a parabola: mean of theta² over chains, standard error"""
    theta = torch.zeros(chains)
    for _ in range(steps):
        g = a * theta + sigma * torch.randn(chains, generator=gen)
        theta = theta - eta * g
    return monte_carlo(theta**2)


# %% [markdown]
# :::{admonition} Common mistake: Training is a gradient flow with noise
# :class: mistake
# {item}`E0.12` It is often said that training follows $\dot\theta=-\nabla L(\theta)+\xi(t)$, with a noise $\xi$ that is left open, and that the trouble is
# many local minima. **What is true:** the noise must scale with the square root of the learning rate, or the stationary variance is wrong: in the cell, a noise that does not know the learning rate predicts one variance for all
# of them. It must have the gradient's covariance, which is no multiple of $I$. And the update of an adversarial game is no gradient of anything, so that no such flow
# describes it ({ref}`ch-adversarial`). How bad the local minima of a training loss are is a matter of fact for each, which random functions do not settle.
# :::

# %% tags=["hide-input"]
rates = (0.02, 0.1, 0.5)
got = [stationary_variance(eta, steps=round(8 / eta)) for eta in rates]
for eta, (mean, se) in zip(rates, got, strict=True):
    claim(f"optimisation-variance-{int(100 * eta)}", f"stationary variance of stochastic gradient descent, η = {eta}", mean,
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
# What is $C$? For a model that is fitted by maximum likelihood and *contains the truth* (is **well specified**), the covariance of one example's gradient at the optimum is the **Fisher
# information**, which is the Hessian of the expected loss: noise is large exactly where the valley is steep. The cell checks it on a logistic regression that
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
# the stationary spread through $\eta/B$ only (the number of steps to get there depends on $\eta$). To end *at* a minimum where noise remains, the rate must fall
# towards zero; neither too fast nor too slowly, say the **Robbins–Monro conditions** {cite:p}`robbins1951`: like $c/t$ (the variance falls like $1/t$ if $c>1/2a$). With $\eta_t=1/t$ on the
# parabola with $a=1$, the point is minus the mean of all noise so far, and its variance is $\sigma^2/t$.
#
# ## Adaptive steps
#
# {item}`S0.26` If steep and flat directions lie along the axes, each axis can have its own step. **RMSprop** divides by a running root mean square of the
# gradient; **Adam** {cite:p}`kingma2015` averages the gradient as well and undoes the bias of both averages (**bias correction**),
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
# all elementwise. (The literature writes $v_t$ both for this **second moment** and for momentum's velocity; here the second moment is $s_t$.) Why the
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
claim("optimisation-torch", "RMSprop, Adam and AMSGrad as above minus torch.optim, after 60 steps",
      gaps, torch.zeros(3), by="torch.optim", atol=1e-10)
g = torch.tensor([1e-3, -50.0])
first = adam(0.01)(g, 1, {})
claim("optimisation-first-step", "Adam's first step over the learning rate, gradients 0.001 and -50", first / 0.01,
      torch.tensor([1.0, -1.0]), item="S0.26", by="sign of the gradient", atol=1e-4)
raw = (0.1 * g) / ((0.001 * g**2).sqrt() + 1e-8)
claim("optimisation-no-hats", "the same without bias correction", raw,
      torch.tensor([1.0, -1.0]) * 0.1 / math.sqrt(0.001), by="(1 - β1)/√(1 - β2)", rtol=1e-3)


# %% [markdown]
# :::{admonition} Common mistake: Adam adapts to the loss landscape
# :class: mistake
# {item}`E0.16` It is often said that Adam adapts its rates to the complex landscapes of generative models. **What is true:** it adapts to the *coordinates* and, unlike
# gradient descent, is not **equivariant** under rotations: turned by 45 degrees, the ravine of {numref}`fig-optimisation-ravine` costs it many times the steps. Nor is convergence implied:
# on the convex problem below, from {cite:t}`reddi2018`, Adam with a short memory walks to the *worst* point. With a constant rate it need not settle at all. And for adversarial
# games its $\beta_1$ is turned down, to between 0 and 0.5, since momentum feeds their rotation: the last claim below adds momentum to the game of
# {ref}`sec-adversarial-dirac`.
# :::
#
# The problem: on $[-1,1]$ the loss is $3\theta$ in every third round and $-\theta$ in the others. On average it is $\theta/3$, best at $-1$. With a short
# memory ($\beta_1=0$, $\beta_2=0.1$) Adam divides the rare large gradient by a large root and the frequent small ones by a small root, and so follows the majority.
# AMSGrad never forgets the large one ({numref}`fig-optimisation-reddi`). With the default memory Adam solves this problem; the paper has a harder one for every $\beta_1<\sqrt{\beta_2}<1$.

# %%
def reddi(rule, rounds=6000):
    """All points, in [-1, 1], of rounds with gradients 3, -1, -1, 3, ..."""
    theta, state, path = torch.zeros(()), {}, []
    for t in range(1, rounds + 1):
        g = torch.tensor(3.0 if t % 3 == 1 else -1.0)
        step = rule(g, t, state) / math.sqrt(t)  # rate η/√t
        theta = (theta - step).clamp(-1, 1)
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
claim("optimisation-reddi-default", "the same with β1 = 0.9 and β2 = 0.999", reddi(adam(0.5))[-1], -1.0, item="E0.16", by="the optimum", atol=0.02)
claim("optimisation-reddi-amsgrad", "AMSGrad's place after 6000 rounds", right_way[-1], -1.0,
      item="E0.16", by="the optimum", atol=0.02)
restless = descend(adam(0.1, beta2=0.99), lambda x: turned @ x, turn @ torch.ones(2), 6000)
late = 0.5 * ((restless[4000:] @ turned) * restless[4000:]).sum(1)
claim("optimisation-restless", "Adam on the turned ravine with a constant rate, β2 = 0.99: largest loss after step 4000", late.max(),
      item="E0.16", by="0 if it settled", at_least=0.01, stable=False)


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
# finds to ten digits. Nothing about it says that its valleys lie along the pixels. So let every optimiser work in three kinds of coordinates, $w=Tu$ with $T$
# the identity, a random rotation, or a diagonal matrix that stretches the axes by up to a hundred (two draws of each). Only what the optimiser
# sees differs. Each gets four hundred full gradients and the best learning rate of a grid in steps of 25 percent
# ({numref}`fig-optimisation-digits`). We count the steps, in fives, after which the loss stays within $10^{-3}$ nats of the optimum; where it never does, the best
# rate has the lowest ceiling over the last fifty steps.

# %%
data = digits()
n = len(data.train.x)
x = torch.cat([data.train.x / 16, torch.ones(n, 1)], 1)     # (1077, 65)
one_hot = torch.nn.functional.one_hot(data.train.y, 10).double()[..., None]


def value(w):                                               # w (65, 10, rates)
    log_p = torch.log_softmax(torch.tensordot(x, w, 1), 1)
    return -(one_hot * log_p).sum(1).mean(0) + 0.0005 * w.square().sum((0, 1))


def gradient(w):
    p = torch.softmax(torch.tensordot(x, w, 1), 1)
    return torch.tensordot(x.T, p - one_hot, 1) / n + 0.001 * w


def rotation():
    return torch.linalg.qr(torch.randn(65, 65, generator=gen)).Q


def stretched():
    return torch.diag(10 ** (-2 * torch.rand(65, generator=gen)))


coordinates = {
    "as it is": [torch.eye(65)],
    "turned": [rotation(), rotation()],
    "stretched": [stretched(), stretched()],
}
large = 1.25 ** torch.arange(27)                            # 1 to 331
optimisers = {  # rule of a rate, and its grid
    "gradient descent": (gradient_descent, large),
    "momentum, γ = 0.9": (lambda rate: momentum(rate, 0.9), large),
    "Adam": (adam, large / 16),
}


def best_run(rule, rates, T):
    """Best rate's excess loss every five steps, its count, ceiling and place"""

    def grad(u):
        return torch.tensordot(T.T, gradient(torch.tensordot(T, u, 1)), 1)

    path = descend(rule(rates), grad, torch.zeros(65, 10, len(rates)), 400)
    values = torch.stack([value(torch.tensordot(T, u, 1)) for u in path[::5]])
    excess = values - optimum
    count = 5 * stays(excess, 1e-3)
    ceiling = excess[-11:].nan_to_num(math.inf).amax(0)
    k = min(range(len(rates)), key=lambda k: (count[k], ceiling[k]))
    inner = 0 < k < len(rates) - 1
    return excess[:, k], float(count[k]), float(ceiling[k]), inner


# %% mystnb={"figure": {"name": "fig-optimisation-digits", "caption": "Loss above the optimum for softmax regression of the digits, each optimiser at its best learning rate, in three coordinate systems. Momentum and Adam reach the dotted level nearly together, turned or not; stretched coordinates (first of two draws) ruin momentum, and hurt Adam far less."}, "image": {"alt": "Three panels of excess loss against step on a logarithmic axis. In the first two, momentum and Adam fall fast and nearly together below the dotted level, gradient descent three times as slowly. In the third, only Adam crosses the level, after more than two hundred steps."}} tags=["hide-input"]
w = torch.zeros(65, 10, 1, requires_grad=True)
newton = torch.optim.LBFGS([w], max_iter=2000, tolerance_grad=1e-10, tolerance_change=0, history_size=50,
                           line_search_fn="strong_wolfe")


def closure():
    newton.zero_grad()
    loss = value(w).sum()
    loss.backward()
    return loss


newton.step(closure)
optimum = value(w.detach())

left, took, inside = {}, {}, []
_, axes = plt.subplots(1, 3, figsize=(7, 2.8), sharey=True, layout="constrained")
for ax, (system, kinds) in zip(axes, coordinates.items(), strict=True):
    for (name, (rule, grid)), colour in zip(optimisers.items(), colors.cycle, strict=False):
        curves, counts, ceilings, within = zip(*[best_run(rule, grid, m) for m in kinds], strict=True)
        took[name, system], left[name, system] = torch.tensor(counts), torch.tensor(ceilings)
        inside += within
        ax.semilogy(range(0, 401, 5), curves[0].clamp_min(1e-12), color=colour, label=name)
    ax.axhline(1e-3, color=colors.truth, ls=":", lw=1)
    ax.set(title=system, xlabel="step", ylim=(1e-7, 5))
axes[0].set_ylabel("loss above the optimum (nats)")
axes[2].legend(loc="lower left")
plt.show()

# %% tags=["hide-input"]
plain_gd, with_momentum, adaptive = optimisers
hessian_at = torch.autograd.functional.hessian(lambda u: value(u[..., None]).sum(), w.detach()[..., 0], vectorize=True).reshape(650, 650)
conditions = [torch.linalg.cond(k.T @ hessian_at @ k) for k in (torch.kron(m, torch.eye(10)) for m in (torch.eye(65), *coordinates["stretched"]))]
claim("optimisation-digits-optimum", "norm of the gradient at the optimum found", gradient(w.detach()).norm(), 0.0,
      item="X0.11", by="a stationary point; the gap is at most ‖g‖²/0.002", atol=1e-7, stable=False)
claim("optimisation-digits-grid", "best rates, of 15, that lie inside their grid", sum(inside), 15, item="X0.11", by="all")
claim("optimisation-digits-condition", "condition number at the optimum, as it is", conditions[0], item="X0.11", by="at least 1; other splits", at_least=400, at_most=520, digits=2)
claim("optimisation-digits-conditions", "condition numbers at the optimum, stretched", torch.stack(conditions[1:]), item="X0.11",
      by="at most 10⁴ times that; other seeds", at_least=1e5, at_most=2e6, digits=1)
claim("optimisation-digits-gd", "as it is: steps of gradient descent over those of momentum", took[plain_gd, "as it is"] / took[with_momentum, "as it is"],
      item="E0.13 X0.11", by="√κ against κ; other splits", at_least=2.5, at_most=4.5, digits=1, stable=False)
claim("optimisation-digits-adam", "as it is: steps of Adam over those of momentum", took[adaptive, "as it is"] / took[with_momentum, "as it is"],
      item="E0.13 E0.16", by="1 if both were equally good; other splits", at_least=0.9, at_most=1.3, digits=1, stable=False)
claim("optimisation-digits-turned", "turned over as it is: steps of gradient descent and momentum",
      torch.stack([took[name, "turned"] / took[name, "as it is"] for name in (plain_gd, with_momentum)]), torch.ones(2, 2), item="E0.16", by="equivariance", atol=1e-9)
claim("optimisation-digits-adam-turned", "two turns: steps of Adam over those as it is", took[adaptive, "turned"] / took[adaptive, "as it is"],
      item="E0.16", by="1 if no ravine lay along the pixels; other splits", at_least=0.8, at_most=1.2, digits=1, stable=False)
claim("optimisation-digits-adam-stretched", "stretched, two draws: steps of Adam over those as it is", took[adaptive, "stretched"] / took[adaptive, "as it is"],
      item="E0.16", by="1 if the stretch did no harm, above 5 if it never arrived; other splits and seeds", at_least=2, at_most=5, digits=1, stable=False)
claim("optimisation-digits-stretched", "stretched: what is above the optimum at some time in the last fifty steps, gradient descent and momentum, two draws",
      torch.stack([left[name, "stretched"] for name in (plain_gd, with_momentum)]), item="E0.16", by="0.001 if they arrived", at_least=0.01, at_most=1, stable=False)
faster = torch.tensor([best_run(lambda rate: momentum(rate, 0.98), large, m)[2] for m in coordinates["stretched"]])
claim("optimisation-digits-faster", "the same for momentum with γ = 0.98", faster, item="E0.16 E0.13", by="0.001 if it arrived", at_least=0.005, at_most=1, stable=False)

# %% [markdown]
# As it is, where the condition number at the optimum is about {value}`optimisation-digits-condition:.0f`, Adam has no edge: momentum comes as
# close in about as many steps, and turning the pixels changes Adam's count little. What Adam is good for is the third panel: coordinates of very different scale.
# A stretch by $d$ multiplies the length of gradient descent's steps in $w$ by $d^2$, of Adam's only by $d$: it undoes half. There the condition number is above $10^5$, and momentum does not arrive, with $\gamma=0.9$ or $0.98$. How much of Adam's success
# with large networks that explains is not settled {cite:p}`kunstner2023`.
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
