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
# - write a gradient penalty with the right sign, and compute what it does to the critic's value;
# - find the largest singular value of a matrix and of a convolution, and say what dividing by it guarantees;
# - explain why a discriminator that sees several samples at once notices lost modes, and by how much;
# - train four small games on a ring of eight modes and say what the short run shows.

# %%
import itertools
import math

import matplotlib.pyplot as plt
import torch
from torch.nn.functional import leaky_relu, softplus

from genkit.checks import claim, self_check
from genkit.divergences import js_discrete, tv_discrete
from genkit.plot import colors, style
from genkit.train import seed_everything

style()
gen = seed_everything(0)
torch.set_default_dtype(torch.float64)


# %% [markdown]
# ## A critic that cannot be trusted to stop
#
# {ref}`ch-divergences` writes the Wasserstein distance as a supremum over functions of slope at most one,
#
# $$
# W_1(p,q)=\sup_{\lVert D\rVert_{\mathrm{Lip}}\le1}\;\mathbb E_p[D(x)]-\mathbb E_q[D(x)] ,
# $$ (eq-critics-dual)
#
# and a network $D$, now called a **critic**, can be trained to climb towards it. Nothing in a network keeps its slope below one. Left alone it makes the difference as large as you like by multiplying itself. Everything on this page is a leash, and each leash changes what is measured. We take them in turn, first where the answer is a formula.
#
# ## The gradient penalty, with its sign
#
# {item}`S0.25` {cite:t}`gulrajani2017` punish slopes that differ from one, at points $\hat x$ on lines between real and generated samples. The critic **minimises**
#
# $$
# L_D=-\bigl(\mathbb E_p[D]-\mathbb E_q[D]\bigr)+\lambda\,\mathbb E_{\hat x}\bigl[(\lVert\nabla_{\hat x}D(\hat x)\rVert-1)^2\bigr] .
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
# :::{admonition} Erratum E0.3 · Sign of the gradient penalty
# :class: erratum
# {item}`E0.3 X0.9` **The notes write** $L_D=V(D,G)+\lambda\,\mathbb E(\lVert\nabla D\rVert-1)^2$ with the same $V$ that $D$ *maximises*. **What is true:** in what is maximised the penalty has a minus. As printed and maximised, violations are *rewarded* and the slope explodes; as printed and minimised, the penalty is right but the critic runs the wrong way, to $1-\Delta/2\lambda$ or, for a weak penalty, to a slope of the wrong sign. And the penalty belongs to the Wasserstein
# critic without logarithms.
# :::

# %%
def follow(
    sign_value, sign_penalty, lam=10.0, gap=2.0, w=1.05, rate=0.01, steps=60
):
    """Descend sign_value * (w * gap) + sign_penalty * lam * (|w| - 1)^2; all slopes
    w"""
    path = [w]
    for _ in range(steps):
        w = w - rate * (
            sign_value * gap
            + sign_penalty * 2 * lam * (abs(w) - 1) * math.copysign(1, w)
        )
        path.append(w)
    return path


right = follow(-1, +1, steps=400)  # minimise -value + penalty
as_printed = follow(-1, -1)  # maximise  value + penalty
other_way = follow(+1, +1, steps=400)  # minimise  value + penalty

# %% tags=["hide-input"]
claim("critics-sign", "slope with the right sign, Δ = 2, λ = 10", right[-1], 1.1, item="X0.9 E0.3 S0.25", by="1 + Δ/2λ", atol=1e-6)
growth = [(as_printed[k + 1] - 0.9) / (as_printed[k] - 0.9) for k in (10, 30, 50)]
claim("critics-sign-printed", "as printed, maximised: growth of the slope's distance from 0.9 per step", torch.tensor(growth), torch.full((3,), 1.2),
      item="X0.9 E0.3", by="1 + 2λ · rate: it diverges", atol=1e-9)
claim("critics-sign-minimised", "as printed, minimised: slope", other_way[-1], 0.9, item="X0.9 E0.3", by="1 - Δ/2λ", atol=1e-6)
weak = follow(+1, +1, lam=0.5, steps=4000)
claim("critics-sign-weak", "as printed, minimised, λ = 1/2: slope", weak[-1], -3.0, item="E0.3", by="-(1 + Δ/2λ): the wrong orientation", atol=1e-3)


# %% [markdown]
# What does the critic's value $\mathbb E_p[D]-\mathbb E_q[D]$ then say about the distance?
#
# :::{prf:theorem} A penalised critic over-estimates
# :label: thm-critics-bias
# Let $q$ be $p$ moved by a vector of length $W$, and let the penalty be taken on the paths of that motion. The minimum of $L_D$ is reached by a critic of constant slope $1+W/2\lambda$ along the motion, and its value is $W\,(1+W/2\lambda)$ instead of $W$.
# :::
#
# :::{prf:proof}
# Along each path the value gains at most the integral of $\lVert\nabla D\rVert$, so $\mathbb E_p[D]-\mathbb E_q[D]\le W\,\mathbb E\lVert\nabla D\rVert$, and $-L_D\le\mathbb E[W\lVert\nabla D\rVert-\lambda(\lVert\nabla D\rVert-1)^2]\le\max_c\,cW-\lambda(c-1)^2$, reached at $c=1+W/2\lambda$ by a linear critic.
# :::
#
# So the estimate is worst exactly when the distance is large and the penalty weak. A network with random interpolates, as in practice, does as the theorem says ({numref}`fig-critics-bias`). All networks of this page are trained side by side as a stack of matrices, one slice per problem or seed. {item}`X0.8`

# %%
class Stack:
    """k multilayer networks at once: x (k, n, in) -> (k, n, out)"""

    def __init__(self, k, sizes):
        self.weights = [
            (
                torch.randn(k, a, b, generator=gen) * math.sqrt(2 / a)
            ).requires_grad_()
            for a, b in itertools.pairwise(sizes)
        ]
        self.biases = [torch.zeros(k, 1, b, requires_grad=True) for b in sizes[1:]]

    def __call__(self, x):
        last = len(self.weights) - 1
        for i, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(b, x, w)
            x = x if i == last else leaky_relu(x, 0.2)
        return x

    def parameters(self):
        return self.weights + self.biases


def gradient_norm(D, x):
    """Slope of each network at each point: (k, n, d) -> (k, n); differentiable in
    the parameters"""
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
    return slope.norm(dim=2)


def interpolate(real, fake):
    mix = torch.rand(*real.shape[:2], 1, generator=gen, dtype=real.dtype)
    return mix * real + (1 - mix) * fake


# %%
torch.set_default_dtype(torch.float32)
apart = torch.tensor([1.0, 1.0, 4.0, 4.0])
lam = torch.tensor([10.0, 1.0, 10.0, 1.0])
shift = torch.stack([apart, torch.zeros(4)], 1)[:, None]              # (4, 1, 2)
critic = Stack(4, [2, 64, 64, 1])
optimiser = torch.optim.Adam(critic.parameters(), lr=2e-3, betas=(0.5, 0.9))
rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 1200)
for _ in range(1200):
    real = torch.randn(4, 256, 2, generator=gen) + shift
    fake = torch.randn(4, 256, 2, generator=gen)
    value = (critic(real) - critic(fake)).mean((1, 2))
    penalty = ((gradient_norm(critic, interpolate(real, fake)) - 1) ** 2).mean(1)
    loss = (-value + lam * penalty).sum()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    rate.step()
with torch.no_grad():
    real = torch.randn(4, 20_000, 2, generator=gen)
    measured = (critic(real + shift) - critic(real)).mean((1, 2)).double()

# %% mystnb={"figure": {"name": "fig-critics-bias", "caption": "The value of a penalised critic over the true distance, for two distances and two weights of the penalty: measured with a network (bars) and foretold (lines). Only a strong penalty on a small distance is nearly right."}, "image": {"alt": "Four bars with a short line at the top of each: near one for the small distance and strong penalty, about one and a half, about one and a fifth, and about three for the large distance and weak penalty."}} tags=["hide-input", "picture-varies"]
torch.set_default_dtype(torch.float64)
foretold = (1 + apart / (2 * lam)).double()
_, ax = plt.subplots(figsize=(5.5, 2.6))
names = [f"W = {t:.0f}, λ = {v:.0f}" for t, v in zip(apart, lam, strict=True)]
ax.bar(names, measured / apart, color=colors.model, alpha=0.7, label="network")
ax.plot(names, foretold, "_", ms=40, color=colors.truth, label="1 + W/2λ")
ax.axhline(1, ls="--", lw=1, color=colors.muted)
ax.set_ylabel("critic's value / distance")
ax.legend(markerscale=0.4)
plt.show()

# %% tags=["hide-input"]
claim("critics-bias", "critic's value over W (1 + W/2λ), four cases", measured / (apart * foretold), item="X0.8", by="1, up to what random interpolates and sampling add",
      at_least=0.92, at_most=1.1, stable=False)
claim("critics-bias-order", "W = 4, λ = 1: critic's value over the distance", measured[3] / 4, item="X0.8", by="3 by theorem; 1 if the penalty were a constraint",
      at_least=2.6, at_most=3.4, stable=False)
grid_c = torch.linspace(0, 6, 60_001)
best_c = torch.stack([grid_c[(grid_c * w - v * (grid_c - 1) ** 2).argmax()] for w, v in zip(apart.double(), lam.double(), strict=True)])
claim("critics-bias-slope", "slope that maximises cW - λ(c - 1)², searched", best_c, foretold, item="X0.8", by="1 + W/2λ", atol=1e-3)


# %% [markdown]
# **The zero-centred penalty** {cite:p}`mescheder2018`, $R_1=\tfrac\gamma2\mathbb E_p\lVert\nabla D\rVert^2$, is taken on real data only and asks for slope zero. For the linear critic $-w\Delta+\tfrac\gamma2w^2$ gives $w^*=\Delta/\gamma$: the push on the generator *fades as it arrives*, while a slope near one pushes with full force until the last step and beyond. That is why $R_1$ converges where the other penalty keeps circling
# ({ref}`ch-adversarial` has the eigenvalues).

# %%
def chase(penalty, steps=3000, rate=0.02, critic_steps=10):
    """A point g in the plane follows a linear critic w·x towards data at 0; |g|
    after each step"""
    g, w, path = torch.tensor([1.0, 0.0]), torch.tensor([-0.9, 0.3]), []
    for _ in range(steps):
        for _ in range(critic_steps):  # ascend w·(0 - g) minus the penalty
            if penalty == "zero":
                back = w  # slope of |w|²/2
            else:
                back = 20 * (w.norm() - 1) * w / w.norm()  # slope of 10 (|w| - 1)²
            w = w + rate * (-g - back)
        g = g + rate * w
        path.append(g.norm())
    return torch.stack(path)


to_zero, to_one = chase("zero"), chase("one")

# %% tags=["hide-input"]
claim("critics-fades", "distance left after 3000 steps, zero-centred penalty", to_zero[-1], 0.0, item="S0.25 Q0.4", by="converges", atol=1e-9)
claim("critics-circles", "distances in the last 500 steps, one-centred penalty: least and largest", torch.stack([to_one[-500:].min(), to_one[-500:].max()]),
      item="S0.25 Q0.4", by="0 if it converged; a push of length one keeps it circling", at_least=0.05, at_most=1.0, digits=2)


# %% [markdown]
# ## Spectral normalisation
#
# {item}`S0.24` The other leash is built in. A linear map's slope is its largest singular value $\sigma(W)$, so divide: $W_{\mathrm{SN}}=W/\sigma(W)$ {cite:p}`miyato2018`. A composition of maps of slope at most one has slope at most one. To find $\sigma(W)$ repeat
#
# $$
# v\leftarrow\frac{W^\top u}{\lVert W^\top u\rVert},\qquad u\leftarrow\frac{Wv}{\lVert Wv\rVert},\qquad \sigma\approx u^\top Wv .
# $$ (eq-critics-power)
#
# In each round the share of the second singular direction shrinks by $(\sigma_2/\sigma_1)^2$, and the error of $\sigma$, which is quadratic in it, by $(\sigma_2/\sigma_1)^4$. In training one round per step is enough, since $W$ hardly moves in between. {item}`X0.10`

# %%
def power_iteration(w, rounds):
    """Estimates of the largest singular value after each round: (out, in) ->
    (rounds,)"""
    u = torch.ones(w.shape[0]) / math.sqrt(w.shape[0])
    found = []
    for _ in range(rounds):
        v = w.T @ u
        v = v / v.norm()
        u = w @ v
        found.append(u.norm())  # u'Wv before u is scaled
        u = u / u.norm()
    return torch.stack(found)


def spectrum_matrix(values, n=12):
    """A random n×n matrix with given leading singular values"""
    left = torch.linalg.qr(torch.randn(n, n, generator=gen)).Q
    right = torch.linalg.qr(torch.randn(n, n, generator=gen)).Q
    s = torch.cat(
        [torch.tensor(values), 0.3 * torch.rand(n - len(values), generator=gen)]
    )
    return left @ torch.diag(s) @ right.T


# %% tags=["hide-input"]
w = spectrum_matrix([2.0, 1.8])
errors = 2.0 - power_iteration(w, 30)
claim("critics-power", "power iteration after 200 rounds", power_iteration(w, 200)[-1], torch.linalg.matrix_norm(w, 2), item="X0.10 S0.24", by="singular value decomposition", atol=1e-9)
claim("critics-power-rate", "factor of the error from round to round, σ₂/σ₁ = 0.9, rounds 10 to 25", (errors[25] / errors[10]) ** (1 / 15), 0.9**4,
      item="X0.10", by="(σ₂/σ₁)⁴", rtol=0.03, digits=3)
claim("critics-power-below", "largest estimate minus the true value", (power_iteration(w, 200) - 2.0).max().clamp_min(0).round(decimals=9), 0.0, item="X0.10",
      by="never above: u'Wv of unit vectors", atol=1e-9)
one_multiplication = (w @ (torch.ones(12) / math.sqrt(12))).norm()
claim("critics-power-once", "slope that a single multiplication finds, over the true one", one_multiplication / 2, item="X0.10",
      by="1 if one were enough", at_most=0.9, digits=2)


# %% [markdown]
# :::{admonition} Erratum E0.15 · Spectral normalisation bounds, it does not control
# :class: erratum
# {item}`E0.15` **The notes say** that $W/\sigma(W)$ controls the discriminator's Lipschitz constant. **What is true:** it bounds the slope of each *layer*. The network's own slope may be far below the product of the bounds, so that it is leashed harder than intended. And for convolutions the usual recipe takes the norm of the kernel *reshaped* to a matrix $(c_{\text{out}},\,c_{\text{in}}k_hk_w)$, which is not the operator's: that can be larger by up to
# $\sqrt{k_hk_w}$.
# :::
#
# A convolution with periodic boundary is diagonal in frequency: at each frequency it multiplies the channels by a small matrix, the Fourier transform of the kernel. Its norm is the largest singular value of any of them {cite:p}`sedghi2019`.

# %%
def conv_norm(kernel, n):
    """Exact norm of a periodic convolution on n×n images: kernel (c_out, c_in, h,
    w) -> number"""
    frequencies = torch.fft.fft2(kernel, s=(n, n))  # (c_out, c_in, n, n)
    return torch.linalg.matrix_norm(frequencies.permute(2, 3, 0, 1), 2).max()


def reshaped_norm(kernel):
    return torch.linalg.matrix_norm(kernel.flatten(1), 2)


def conv_matrix(kernel, n):
    """The same convolution as one big matrix, column by column"""
    columns = []
    for basis in torch.eye(kernel.shape[1] * n * n):
        padded = torch.nn.functional.pad(
            basis.view(1, -1, n, n), (1, 1, 1, 1), mode="circular"
        )
        columns.append(torch.nn.functional.conv2d(padded, kernel).flatten())
    return torch.stack(columns, 1)


# %% tags=["hide-input"]
kernel = torch.randn(8, 4, 3, 3, generator=gen)
claim("critics-conv", "norm of a random 3×3 convolution from 4 to 8 channels, on 6×6 images", conv_norm(kernel, 6),
      torch.linalg.matrix_norm(conv_matrix(kernel, 6), 2), item="X0.10 E0.15", by="the whole 288 × 144 matrix", rtol=1e-9)
ratio = conv_norm(kernel, 6) / reshaped_norm(kernel)
claim("critics-conv-reshaped", "its norm over that of the reshaped kernel", ratio, item="X0.10 E0.15", by="between 1 and √9 = 3", at_least=1.2, at_most=3.0, digits=3)
box = torch.ones(1, 1, 3, 3)
claim("critics-conv-box", "box kernel: norm of the reshaped kernel, and of the convolution", torch.stack([reshaped_norm(box), conv_norm(box, 8)]),
      torch.tensor([3.0, 9.0]), item="X0.10 E0.15", by="√9, and 9 at frequency zero: the worst case", atol=1e-9)
net = [torch.randn(a, b, generator=gen) / math.sqrt(a) * 1.4 for a, b in ((2, 32), (32, 32), (32, 1))]
points = torch.cartesian_prod(torch.linspace(-4, 4, 81), torch.linspace(-4, 4, 81)).requires_grad_()
hidden = points
for i, layer in enumerate(net):
    hidden = hidden @ layer
    hidden = hidden if i == 2 else hidden.relu()
(slopes,) = torch.autograd.grad(hidden.sum(), points)
bound = math.prod(torch.linalg.matrix_norm(layer, 2) for layer in net)
claim("critics-product", "largest slope of a random three-layer network over the product of its layers' norms", slopes.norm(dim=1).max() / bound,
      item="E0.15", by="1 if the bound were reached", at_least=0.05, at_most=0.7, digits=2)


# %% [markdown]
# After normalising each layer, this network's slope would be at most {value}`critics-product:.0%` of what is allowed.
#
# ## Packing: show the discriminator several at once
#
# {item}`S0.16` Why do games lose modes at all? With the best discriminator the minimax loss is Jensen–Shannon ({ref}`ch-adversarial`), which is bounded: losing half of the modes costs only part of $\log2$, and a discriminator that sees one picture at a time has nothing to object to a good picture. Show it $m$ pictures from the same source at once {cite:p}`lin2018`. Then it compares $p^{\otimes m}$ with $q^{\otimes m}$, and a set of $m$ draws from half the modes is
# a rare event under the data. If $q$ is $p$ restricted to a share $s_1$ of its mass and $s=s_1^m$,
#
# $$
# \mathrm{JS}_m=\tfrac12\Bigl[s\log\frac{2s}{1+s}+(1-s)\log2+\log\frac{2}{1+s}\Bigr],\qquad \mathrm{TV}_m=1-s .
# $$ (eq-critics-packing)

# %%
def packed_js(kept, m):
    """Jensen–Shannon between m draws of p and m draws of p restricted to a share
    `kept` of its mass"""
    s = kept**m
    first = s * math.log(2 * s / (1 + s)) if s else 0.0
    return 0.5 * (first + (1 - s) * math.log(2) + math.log(2 / (1 + s)))


def product(p, m):
    """Law of m independent draws, all outcomes enumerated: (K,) -> (K^m,)"""
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
claim("critics-packing-small", "a mode of 1 % lost: Jensen–Shannon of 4 draws over that of one", packed_js(0.99, 4) / packed_js(0.99, 1), item="Q0.4",
      by="about m for a small loss", at_least=3.9, at_most=4.0, digits=3)

# %% [markdown]
# ## Four games on a ring
#
# Eight narrow Gaussians on a circle of radius two are the classic trap: a generator finds some, and hops. Four games, five seeds each, all with the non-saturating or the Wasserstein loss, the same small networks and the same number of generator steps. The whole training loop: {item}`X0.13`

# %%
angles = 2 * math.pi * torch.arange(8) / 8
centres = 2 * torch.stack([angles.cos(), angles.sin()], 1).float()  # (8, 2)
SIGMA = 0.05


def ring(k, n):
    which = torch.randint(8, (k, n), generator=gen)
    return centres[which] + SIGMA * torch.randn(k, n, 2, generator=gen)


def play(kind, k=5, steps=2000, batch=128):
    pack = 2 if kind == "packed" else 1
    G, D = Stack(k, [4, 64, 64, 2]), Stack(k, [2 * pack, 64, 64, 1])
    for_g, for_d = (
        torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.9))
        for net in (G, D)
    )

    def together(x):  # (k, n, 2) -> (k, n / pack, 2 pack)
        return x.reshape(k, -1, 2 * pack)

    for _ in range(steps):
        for _ in range(2 if kind == "wasserstein" else 1):
            real = together(ring(k, batch))
            fake = together(G(torch.randn(k, batch, 4, generator=gen)).detach())
            if kind == "wasserstein":
                loss = (D(fake) - D(real)).mean((1, 2))
                loss = loss + (
                    (gradient_norm(D, interpolate(real, fake)) - 1) ** 2
                ).mean(1)
            else:  # -log D(x) - log(1 - D(G(z))) in logits
                loss = (softplus(-D(real)) + softplus(D(fake))).mean((1, 2))
            if kind == "R1":
                loss = loss + 0.5 * (gradient_norm(D, real) ** 2).mean(1)
            for_d.zero_grad()
            loss.sum().backward()
            for_d.step()
        verdict = D(together(G(torch.randn(k, batch, 4, generator=gen))))
        loss = -verdict if kind == "wasserstein" else softplus(-verdict)
        for_g.zero_grad()
        loss.mean((1, 2)).sum().backward()
        for_g.step()
    with torch.no_grad():
        return G(torch.randn(k, 2000, 4, generator=gen))


def covered(x):
    """Modes with more than 1 % of the samples within four standard deviations, and
    the share that is: (k, n, 2) -> (k,), (k,)"""
    distance, mode = torch.cdist(x, centres.expand(len(x), 8, 2)).min(2)
    near = distance < 4 * SIGMA
    count = torch.stack(
        [((mode == c) & near).double().mean(1) > 0.01 for c in range(8)]
    ).sum(0)
    return count, near.double().mean(1)


# %%
torch.set_default_dtype(torch.float32)
drawn = {kind: play(kind) for kind in ("plain", "R1", "packed", "wasserstein")}
torch.set_default_dtype(torch.float64)
results = {kind: covered(x) for kind, x in drawn.items()}

# %% mystnb={"figure": {"name": "fig-critics-ring", "caption": "What four games draw after two thousand steps, first seed of five. The plain game misses modes and fills the spaces between; the others find them all, or nearly, and are still far from sharp."}, "image": {"alt": "Four scatter plots around a ring of eight small circles. In the first several circles are nearly empty; in the other three every circle holds a cluster, with points in between."}} tags=["hide-input", "picture-varies"]
_, axes = plt.subplots(1, 4, figsize=(7, 2.1), sharex=True, sharey=True, layout="constrained")
for ax, (kind, x) in zip(axes, drawn.items(), strict=True):
    ax.plot(*x[0, :400].T, ".", ms=2, color=colors.model)
    ax.plot(*centres.T, "o", ms=9, mfc="none", color=colors.truth, lw=0.5)
    ax.set(title=f"{kind}: {int(results[kind][0][0])} of 8", xlim=(-2.8, 2.8), ylim=(-2.8, 2.8), aspect="equal")
    ax.set_xlabel("$x_1$")
axes[0].set_ylabel("$x_2$")
plt.show()

# %% tags=["hide-input"]
for kind in ("R1", "packed", "wasserstein"):
    claim(f"critics-ring-{kind.lower()}", f"modes covered, median of five seeds: {kind}", results[kind][0].double().median(), item="X0.13 Q0.4",
          by="8 is all", at_least=7, stable=False)
best = torch.stack([results[k][0].double().mean() for k in ("R1", "packed", "wasserstein")])
claim("critics-ring-gain", "mean modes of the least of these three minus mean modes of the plain game", best.min() - results["plain"][0].double().mean(),
      item="X0.13 Q0.4", by="0 if the leash made no difference", at_least=0.5, stable=False)
claim("critics-ring-sharp", "share of samples within four standard deviations of a mode, best of the four games", max(float(r[1].mean()) for r in results.values()),
      item="X0.13", by="0.9997 for the data: the short run settles coverage, not sharpness", at_most=0.8, stable=False)


# %% [markdown]
# The run is short, and says what it says: it suffices to see which games *find* the modes ({numref}`fig-critics-ring`), not which would be sharpest in the end. That the plain game loses some here is a fact on these networks and steps, not a law; with other settings it finds them all.
#
# :::{exercise-start} Q0.4 · Against mode collapse
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
# **What the divergence says.** It is bounded by $\log2$ and saturates: a lost mode of weight $w$ costs at most a share of it, and its *slope* vanishes once supports part. The usual non-saturating loss has the gradient of $\mathrm{KL}(q\Vert p)-2\,\mathrm{JS}$, whose first part seeks modes and whose second even rewards distance ({ref}`ch-families`). And a discriminator of single pictures cannot see variety.
#
# **So, three parts.** (1) The non-saturating loss, for its slope. (2) $R_1$ on real data, for convergence near the solution. (3) Packing, so that the price of a lost mode is paid $m$ times over, {eq}`eq-critics-packing`. Other ways to the same ends: noise on both inputs, a Wasserstein critic with a penalty, statistics of the batch as an input, a likelihood term.
#
# The cell computes what packing buys for a *rare* mode, where it matters most: the number of draws at once that make losing it as expensive as losing half of the modes is for single draws.

# %%
def draws_needed(weight, price=None):
    price = packed_js(0.5, 1) if price is None else price
    return next(m for m in itertools.count(1) if packed_js(1 - weight, m) >= price)


rare = [0.5, 0.1, 0.05, 0.01]
needed = [draws_needed(w) for w in rare]

# %% tags=["hide-input"]
claim("critics-needed", "draws at once that price a mode of weight 0.5, 0.1, 0.05, 0.01 like half of all modes", torch.tensor(needed),
      torch.tensor([math.ceil(math.log(0.5) / math.log(1 - w) - 1e-9) for w in rare]), item="Q0.4", by="(1 - w)^m = 1/2, rounded up")


# %% [markdown]
# For a mode of one per cent it takes 69: packing helps against the loss of many modes, not of one rare mode; for that, a likelihood is better.
# :::{solution-end}
# :::
#
# ## Exercises

# %% [markdown] ex={"id": "critics-penalty", "role": "statement"}
# :::{exercise} The whole critic's loss
# :label: ex-critics-penalty
#
# Return what a Wasserstein critic *minimises*, {eq}`eq-critics-penalty`, for one batch: real and generated points, a mixing weight $u\in[0,1]$ for each pair, $\hat x=u\,x_{\text{real}}+(1-u)\,x_{\text{fake}}$. It must be differentiable in the critic's parameters.
#
# *Implement · about 25 minutes · 5 points*
# :::

# %% ex={"id": "critics-penalty", "role": "stub"}
def critic_loss(critic, real, fake, u, lam):
    """critic: (n, d) -> (n, 1); real, fake (n, d); u (n,) -> scalar tensor"""
    raise NotImplementedError("your code here")


# %% ex={"id": "critics-penalty", "role": "check"} tags=["hide-input"]
def check_critics_penalty():
    g = torch.Generator().manual_seed(3)
    real, fake = torch.randn(50, 2, generator=g) + 2, torch.randn(50, 2, generator=g)
    u = torch.rand(50, generator=g)
    w = torch.tensor([[0.6], [-1.1]], requires_grad=True)

    def flat(x):
        return x @ w

    gap = (real.mean(0) - fake.mean(0)) @ w[:, 0]
    for lam in (0.0, 3.0):
        truth = -gap + lam * (w.norm() - 1) ** 2  # a linear critic has one slope
        got = critic_loss(flat, real, fake, u, lam)
        assert torch.isclose(got, truth), f"linear critic, λ = {lam}: by hand {truth.item():.4f}, got {got.item():.4f}"
    (mine,) = torch.autograd.grad(critic_loss(flat, real, fake, u, 3.0), w)
    (theirs,) = torch.autograd.grad(-(real.mean(0) - fake.mean(0)) @ w[:, 0] + 3.0 * (w.norm() - 1) ** 2, w)
    assert torch.allclose(mine, theirs), "the loss is right but its gradient by the parameters is not: is the penalty differentiable?"

    def bowl(x):
        return 0.5 * w[0] * (x**2).sum(1, keepdim=True)

    at = u[:, None] * real + (1 - u[:, None]) * fake
    slopes = (w[0] * at).norm(dim=1)
    truth = bowl(fake).mean() - bowl(real).mean() + 2.0 * ((slopes - 1) ** 2).mean()
    got = critic_loss(bowl, real, fake, u, 2.0)
    assert torch.isclose(got, truth), "a critic whose slope varies: is the slope taken at the mixed points, one by one, and u the share of the real point?"


_ = self_check("critics-penalty", check_critics_penalty)


# %% [markdown] ex={"id": "critics-power", "role": "statement"}
# :::{exercise} The norm of a map you only have as a function
# :label: ex-critics-power
#
# Find the largest singular value of a linear map that is given as a function, by power iteration. The transpose is free: $W^\top u$ is the gradient of $u\cdot Wx$ with respect to $x$. Start from the given vector.
#
# *Implement · about 20 minutes · 4 points*
# :::

# %% ex={"id": "critics-power", "role": "stub"}
def map_norm(linear, x, rounds=300):
    """linear: tensor like x -> tensor of any shape; x: a start, not zero -> largest singular value, a number"""
    raise NotImplementedError("your code here")


# %% ex={"id": "critics-power", "role": "check"} tags=["hide-input"]
def check_critics_power():
    g = torch.Generator().manual_seed(5)
    for shape in ((5, 5), (3, 7), (8, 2)):
        w = torch.randn(shape, generator=g)
        truth = torch.linalg.matrix_norm(w, 2).item()
        got = float(map_norm(lambda x, w=w: w @ x, torch.randn(shape[1], generator=g)))
        assert math.isclose(got, truth, rel_tol=1e-6), f"a {shape[0]}×{shape[1]} matrix: the singular value is {truth:.4f}, got {got:.4f}"
    skew = torch.tensor([[0.0, 3.0], [-1.0, 0.0]])  # eigenvalues ±i√3: not its norm
    got = float(map_norm(lambda x: skew @ x, torch.tensor([0.6, 0.8])))
    assert math.isclose(got, 3.0, rel_tol=1e-6), f"a turning map has norm 3; its eigenvalues are something else; got {got:.4f}"
    kernel = torch.randn(3, 2, 3, 3, generator=g)

    def convolve(x):
        return torch.nn.functional.conv2d(torch.nn.functional.pad(x[None], (1, 1, 1, 1), mode="circular"), kernel)[0]

    spectrum = torch.fft.fft2(kernel, s=(6, 6)).permute(2, 3, 0, 1)
    truth = torch.linalg.matrix_norm(spectrum, 2).max().item()
    got = float(map_norm(convolve, torch.randn(2, 6, 6, generator=g), 2000))
    assert math.isclose(got, truth, rel_tol=1e-3), f"a periodic convolution: its spectrum says {truth:.4f}, got {got:.4f}"


_ = self_check("critics-power", check_critics_power)


# %% [markdown] ex={"id": "critics-packing", "role": "statement"}
# :::{exercise} Packing an unbalanced model
# :label: ex-critics-packing
#
# {eq}`eq-critics-packing` treats a model that drops modes. Now let it have all of them with the wrong weights: laws $p$ and $q$ on $K$ modes. Return the total variation between $m$ draws of each. It depends on an outcome only through how often each mode occurs, so sum over *counts*, with multinomial coefficients in logarithms: $K^m$ outcomes are far too many for $K=3$, $m=60$.
#
# *Implement · about 20 minutes · 4 points*
# :::

# %% ex={"id": "critics-packing", "role": "stub"}
def packed_variation(p, q, m):
    """p, q (K,) positive, m draws -> total variation, a number"""
    raise NotImplementedError("your code here")


# %% ex={"id": "critics-packing", "role": "check"} tags=["hide-input"]
def check_critics_packing():
    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.3, 0.5])
    for a, b in ((p, q), (torch.tensor([0.6, 0.4]), torch.tensor([0.5, 0.5]))):
        for m in (1, 2, 5):
            truth = 0.0
            for outcome in itertools.product(range(len(a)), repeat=m):
                truth += abs(math.prod(float(a[i]) for i in outcome) - math.prod(float(b[i]) for i in outcome)) / 2
            got = float(packed_variation(a.clone(), b.clone(), m))
            assert math.isclose(got, truth, rel_tol=1e-9), f"{m} draws of {len(a)} modes: all outcomes enumerated give {truth:.5f}, got {got:.5f}"
    assert abs(float(packed_variation(p, p.clone(), 6))) < 1e-12, "a law and itself: 0"
    many = float(packed_variation(p, q, 60))
    assert 0.99 < many <= 1.0 + 1e-12, f"sixty draws tell these two apart almost surely; got {many:.4f}"


_ = self_check("critics-packing", check_critics_packing)


# %% [markdown] ex={"id": "critics-r1", "role": "statement"}
# :::{exercise} The logistic discriminator, leashed
# :label: ex-critics-r1
#
# Return what a logistic discriminator *minimises* with the zero-centred penalty: $-\mathbb E[\log\sigma(\ell(x_{\text{real}}))]-\mathbb E[\log(1-\sigma(\ell(x_{\text{fake}})))]+\tfrac\gamma2\,\mathbb E\lVert\nabla\ell(x_{\text{real}})\rVert^2$, for a network of logits $\ell$, differentiable in its parameters and right for logits of $\pm1000$.
#
# *Implement · about 20 minutes · 4 points*
# :::

# %% ex={"id": "critics-r1", "role": "stub"}
def leashed_loss(logits, real, fake, gamma):
    """logits: (n, d) -> (n, 1); real, fake (n, d) -> scalar tensor"""
    raise NotImplementedError("your code here")


# %% ex={"id": "critics-r1", "role": "check"} tags=["hide-input"]
def check_critics_r1():
    g = torch.Generator().manual_seed(7)
    real, fake = torch.randn(40, 3, generator=g) + 1, torch.randn(40, 3, generator=g)
    w = torch.tensor([[0.5], [-0.2], [0.8]], requires_grad=True)

    def bowl(x):
        return x @ w + 0.1 * (x**2).sum(1, keepdim=True) * w[0]

    def by_hand(gamma):
        a, b = bowl(real), bowl(fake)
        slope = w[:, 0] + 0.2 * real * w[0]
        return (1 + (-a).exp()).log().mean() + (1 + b.exp()).log().mean() + gamma / 2 * (slope**2).sum(1).mean()

    for gamma in (0.0, 2.0):
        got = leashed_loss(bowl, real, fake, gamma)
        assert torch.isclose(got, by_hand(gamma)), f"γ = {gamma}: by hand {by_hand(gamma).item():.4f}, got {got.item():.4f}"
    (mine,) = torch.autograd.grad(leashed_loss(bowl, real, fake, 2.0), w)
    (theirs,) = torch.autograd.grad(by_hand(2.0), w)
    assert torch.allclose(mine, theirs), "the loss is right but its gradient by the parameters is not"
    big = leashed_loss(lambda x: 1000 * x[:, :1], -torch.ones(4, 1), torch.ones(4, 1), 0.0)
    assert torch.isclose(big, torch.tensor(2000.0)), f"logits of ±1000 on the wrong side: 2000 nats, got {big.item()}"


_ = self_check("critics-r1", check_critics_r1)

# %% [markdown]
# ## What to read next
#
# - {cite:t}`gulrajani2017` and {cite:t}`miyato2018` introduced the two leashes; {cite:t}`mescheder2018` shows which games converge.
# - {cite:t}`sedghi2019` has the spectrum of a convolution, {cite:t}`lin2018` the theory of packing.
# - Next: {ref}`ch-optimisation`, on the steps that all families share.
