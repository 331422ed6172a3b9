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
# (ch-representation)=
# # Representation learning
#
# {item}`S1.13` An image of a digit is 64 numbers. To *know* a digit is something shorter: which one it is, how it leans,
# how thick the pen was. The third objective asks a model to find such a short description by itself, without labels.
# Every short description leaves something out, and this page is about one question: **who decides what is left out?**
# Three answers follow. Each is an objective that you will write, train, and hold against what can be proved about it.
#
# After this page you can
#
# - derive the best linear code of any size, predict its error from eigenvalues, and show that a trained autoencoder finds it;
# - derive the bound that a variational autoencoder maximises, give its sign, and say which noise level your "reconstruction loss" has silently chosen;
# - read a β-VAE as a point on a rate–distortion curve that you can compute in closed form;
# - write the contrastive loss without a library, prove what it can and cannot measure, and predict from the choice of views what its code will forget;
# - judge a code by what it is for: visualisation, clustering, or learning from few labels.
#
# Units are nats, pictures are the digits of {ref}`ch-conventions`, and pixels run from 0 (paper) to 1 (full ink).

# %% tags=["hide-input"]
import math
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from sklearn.cluster import KMeans
from sklearn.manifold import trustworthiness
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from torch import nn

from genkit.claims import agree, claim, monte_carlo, self_check
from genkit.data import digits
from genkit.divergences import kl_gaussian
from genkit.live import slider_figure
from genkit.metrics import linear_probe
from genkit.plot import colors, image_grid, style
from genkit.train import fit, seed_everything

style()
gen = seed_everything(0)
torch.set_default_dtype(torch.float64)

# %%
d = digits()
mean = d.train.x.mean(0) / 16  # (64,) the average training image
x_train, x_val, x_test = (  # (n, 64) each, centred
    part.x / 16 - mean for part in (d.train, d.validation, d.test)
)
y_train, y_test = d.train.y, d.test.y
# one held-out image of every class, (10, 64)
ten = torch.stack([x_test[y_test == c][0] for c in range(10)])


# %% [markdown]
# The training mean is taken off once; from here on $x$ is a centred image, and $\mathbb E$ without further notice is the average over the 1077 training images.
#
# ## Two arrows
#
# :::{prf:definition} Encoder, decoder, code
# :label: def-representation-code
# An **encoder** is a map $E_\phi : X \to Z$ and a **decoder** a map $D_\theta : Z \to X$. The point $z = E_\phi(x)$ is
# the **code** (or representation) of $x$, and $k = \dim Z$ is the code size. The **reconstruction** of $x$ is
# $\hat x = D_\theta(E_\phi(x))$.
# :::
#
# Without a further condition the two arrows are worth nothing: with $Z = X$ both can be the identity, the reconstruction
# is perfect, and nothing has been learned. Something must make the code scarce. The first idea is the plainest, a **bottleneck**:
# make $k$ small and ask for the least squared error,
#
# $$
# L_{\mathrm{AE}}(\theta,\phi) \;=\; \mathbb E\,\lVert x - D_\theta(E_\phi(x))\rVert^2 .
# $$ (eq-representation-ae)
#
# {item}`S1.14` A pair $(E_\phi, D_\theta)$ trained on {eq}`eq-representation-ae` is an **autoencoder**. Here is one with
# a code of two numbers, small enough to be drawn. It is trained on images alone; the labels only choose the symbol that
# is printed at each point.

# %%
def mlp(*sizes):
    """Linear layers of the given widths with a ReLU between any two."""
    layers = [
        layer
        for a, b in pairwise(sizes)
        for layer in (nn.Linear(a, b), nn.ReLU())
    ]
    return nn.Sequential(*layers[:-1])


def squared_error(x, x_hat):
    """‖x − x̂‖² per example, shape (n,)."""
    return ((x - x_hat) ** 2).sum(-1)


def train_autoencoder(x, x_held_out, k, *, steps, generator, lr=4e-3):
    """Networks 64 → 128 → 128 → k and back; keeps the best held-out step."""
    encoder, decoder = mlp(64, 128, 128, k), mlp(k, 128, 128, 64)

    def loss(batch):
        return squared_error(batch, decoder(encoder(batch))).mean()

    def validate():
        with torch.no_grad():
            return loss(x_held_out).item()

    parameters = [*encoder.parameters(), *decoder.parameters()]
    options = {"steps": steps, "lr": lr, "schedule": "cosine"}
    fit(loss, parameters, x, validate=validate, generator=generator, **options)
    return encoder.requires_grad_(False), decoder.requires_grad_(False)


# %%
encoder_2, decoder_2 = train_autoencoder(
    x_train, x_val, 2, steps=600, generator=gen
)

cov = x_train.T @ x_train / len(x_train)  # (64, 64), of the training images
lam, u = torch.linalg.eigh(cov)
# eigenvalues from large to small, eigenvectors in columns
lam, u = lam.flip(0).clamp(min=0), u.flip(1)


# %% tags=["hide-input", "picture-varies"] mystnb={"figure": {"name": "fig-representation-latent", "caption": "Images that no training has seen, and where two encoders put them. Each symbol is one image, drawn as its label; neither encoder knew the labels."}, "image": {"alt": "Three panels. Left, a grid of 64 small handwritten digits. Middle, all held-out digits placed by the first two principal components, where most classes overlap in one cloud. Right, the same digits placed by the autoencoder, where most classes form patches of their own around a crowded middle."}}
def draw_codes(ax, z, y):
    """Every code z (n, 2) as the digit that it is the code of."""
    for c in range(10):
        ax.scatter(
            *z[y == c].T,
            marker=f"${c}$",
            s=22,
            linewidths=0,
            color=plt.cm.tab10(c),
        )
    ax.set_xticks([])
    ax.set_yticks([])


fig, axes = plt.subplots(1, 3, figsize=(7, 3), width_ratios=[0.75, 1, 1])
image_grid(d.test.x[:64], ncols=8, ax=axes[0])
draw_codes(axes[1], x_test @ u[:, :2], y_test)
draw_codes(axes[2], encoder_2(x_test), y_test)
axes[0].set_xlabel("64 of 360 images, $x$")
axes[1].set(xlabel="linear code $z_1$", ylabel="$z_2$")
axes[2].set(xlabel="learned code $z_1$", ylabel="$z_2$")
plt.show()


# %% [markdown]
# {item}`S1.1` {numref}`fig-representation-latent` is the picture everyone has in mind when they say *latent space*:
# high-dimensional data go in, clusters that mean something come out. Look longer and it raises the questions of this
# page. Why do the two encoders, both trained to rebuild the same pixels, show such different worlds? Is the right one *better*,
# or only prettier? And nobody asked for clusters, so why should a code that saves pixels sort digits at all?
#
# ## The linear autoencoder is PCA
#
# Take the simplest arrows, $E(x) = Ax$ with $A$ of shape $k\times 64$ and $D(z) = Wz$ with $W$ of shape $64\times k$.
# Then {eq}`eq-representation-ae` depends on the data only through the covariance matrix $S = \mathbb E\,xx^\top$,
#
# $$
# L_{\mathrm{AE}}(W, A) \;=\; \operatorname{tr}\bigl[(I - WA)\,S\,(I - WA)^\top\bigr],
# $$ (eq-representation-linear)
#
# and its minimum is known.
#
# :::{prf:theorem} The best linear code
# :label: thm-representation-pca
# Let $\lambda_1\ge\dots\ge\lambda_d$ be the eigenvalues of $S$. Among all linear codes of size $k$,
#
# $$\min_{W, A}\; \mathbb E\,\lVert x - WAx\rVert^2 \;=\; \sum_{j>k}\lambda_j ,$$
#
# and if $\lambda_k>\lambda_{k+1}$ it is reached exactly when the columns of $W$ span the first $k$ eigenvectors and $WA$
# acts on the data as the orthogonal projection onto them.
# :::
#
# :::{prf:proof}
# Fix $W$ and let $P$ be the orthogonal projection onto its columns. $Px$ is the point of that space nearest to $x$, so
# $\lVert x - WAx\rVert^2\ge\lVert x - Px\rVert^2$, and $A$ can reach it. What remains is
# $\mathbb E\lVert x-Px\rVert^2 = \operatorname{tr} S - \operatorname{tr}(PS)$. Write $P=\sum_{i\le k} q_iq_i^\top$ with
# orthonormal $q_i$; then $\operatorname{tr}(PS)=\sum_j \lambda_j\, c_j$ with weights $c_j=\sum_i (q_i^\top u_j)^2$
# between 0 and 1 that sum to at most $k$. Such a sum is at most $\lambda_1+\dots+\lambda_k$, with equality only if the
# weight lies on the first $k$ eigenvectors (up to ties).
# :::
#
# So the error of the best code is the *sum of the discarded eigenvalues*: no training is needed to know it. Training
# should find it, though, and {prf:ref}`thm-representation-pca` says what to compare with. We minimise
# {eq}`eq-representation-linear` from a random start; on a 64 × 64 matrix a quasi-Newton method does this without noise.

# %% tags=["hide-input"]
def minimise(loss_fn, parameters, *, steps):
    """L-BFGS, a minimiser without randomness; it changes the parameters."""
    optimiser = torch.optim.LBFGS(
        parameters,
        max_iter=steps,
        history_size=20,
        tolerance_grad=1e-9,
        tolerance_change=1e-13,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimiser.zero_grad()
        loss = loss_fn()
        loss.backward()
        return loss

    optimiser.step(closure)


# %%
def linear_error(w, a, s):
    """Equation's trace: w (d, k), a (k, d), covariance s (d, d) -> scalar."""
    rest = torch.eye(len(s)) - w @ a
    return ((rest @ s) * rest).sum()


k = 8
w = (torch.randn(64, k, generator=gen) / 8).requires_grad_()
a = (torch.randn(k, 64, generator=gen) / 8).requires_grad_()
minimise(lambda: linear_error(w, a, cov), [w, a], steps=1000)
w, a = w.detach(), a.detach()

# %% tags=["hide-input"]
claim("representation-linear-minimum", "squared error of the trained linear autoencoder, 8 codes",
      linear_error(w, a, cov), lam[k:].sum(), by="sum of the discarded eigenvalues", rtol=1e-4)
claim("representation-principal-angles",
      "smallest cosine, decoder's space to the first 8 eigenvectors",
      torch.linalg.svdvals(torch.linalg.qr(w).Q.T @ u[:, :k]).min().round(decimals=4), 1.0,
      by="same space", atol=1e-4)

# %% [markdown]
# The space is found; the axes are not. If $(A, W)$ is a solution, so is $(TA, WT^{-1})$ for every invertible $T$: the
# code may be turned, stretched and sheared, and the loss can't tell. A representation that one loss calls perfect is thus
# a whole family of representations, and whoever clusters the code or measures distances in it uses something that the
# loss never fixed. (The same happens for likelihoods: {ref}`ch-generation`{item}`E1.10`.)

# %%
# (k, k) invertible: turn, then stretch by factors from 1 to 100
turn = torch.linalg.qr(torch.randn(k, k, generator=gen)).Q
t = torch.diag(torch.logspace(0, 2, k)) @ turn
other = linear_error(w @ torch.linalg.inv(t), t @ a, cov)


# %% tags=["hide-input"]
def clustering_score(z_fit, z_new, y_new):
    """Adjusted Rand index of labels and 10-means found on z_fit (1: perfect)."""
    means = KMeans(10, n_init=5, random_state=0).fit(z_fit.numpy())
    return adjusted_rand_score(y_new, means.predict(z_new.numpy()))


z_train, z_test = x_train @ u[:, :k], x_test @ u[:, :k]
upright = clustering_score(z_train, z_test, y_test)
stretched = clustering_score(z_train @ t.T, z_test @ t.T, y_test)

claim("representation-invertible-code",
      "change of the loss when the code is turned and stretched 100-fold",
      (other - linear_error(w, a, cov)).abs().round(decimals=10), 0.0, item="E1.10",
      by="WT⁻¹TA = WA", atol=1e-9)
claim("representation-stretched-clusters",
      "agreement of 10-means with the labels: PCA's axes minus stretched code", upright - stretched,
      item="E1.10", by="same loss, other distances", at_least=0.25, stable=False)

# %% [markdown]
# :::{warning}
# The mean matters. A linear map without bias, fitted to raw pixels, spends part of its code on the average image. With
# $\nu_j$ the eigenvalues of $\mathbb E\,xx^\top$ of the *uncentred* data, its error is $\sum_{j>k}\nu_j$, and because
# $\mu\mu^\top$ adds one direction, interlacing gives $\sum_{j>k}\lambda_j\le\sum_{j>k}\nu_j\le\sum_{j>k-1}\lambda_j$:
# forgetting to centre can cost up to one code number, and never gains anything.
# :::

# %%
raw = x_train + mean  # what one gets without centring
# best rank-8 fit of the raw pixels
raw_error = (torch.linalg.svdvals(raw)[k:] ** 2).sum() / len(raw)

# %% tags=["hide-input"]
claim("representation-uncentred", "best 8-number linear code of uncentred pixels: squared error",
      raw_error, by="interlacing: between the centred errors of 8 and of 7 numbers",
      at_least=float(lam[k:].sum()), at_most=float(lam[k - 1 :].sum()))

# %% [markdown]
# ## A non-linear autoencoder
#
# With ReLU layers on either side of the code the reconstructions may lie on a curved $k$-dimensional surface instead of a
# flat one. Is that worth anything? The comparison has to be fair: same code size, images that neither method saw, and
# PCA, the best of all linear codes, as the named baseline.

# %%
sizes = [2, 8, 16, 24, 32]
networks = {2: (encoder_2, decoder_2)}
for k in sizes[1:]:
    networks[k] = train_autoencoder(x_train, x_val, k, steps=600, generator=gen)


# %% tags=["hide-input"]
def pca_error(x, k):
    """Mean squared error of the k-number PCA of the training images, on x."""
    return squared_error(x, x @ u[:, :k] @ u[:, :k].T).mean()


def network_error(x, k):
    """The same for the non-linear autoencoder with k code numbers."""
    encoder, decoder = networks[k]
    return squared_error(x, decoder(encoder(x))).mean()


pca_held_out = torch.stack([pca_error(x_test, k) for k in sizes])
network_held_out = torch.stack([network_error(x_test, k) for k in sizes])
network_training = torch.stack([network_error(x_train, k) for k in sizes])

claim("representation-pca-held-out",
      "PCA's error, held-out over training images, k = 2, 8, 16, 24, 32",
      pca_held_out / torch.stack([lam[k:].sum() for k in sizes]),
      by="a linear code hardly over-fits", at_least=0.95, at_most=1.15)
ratio = network_held_out / pca_held_out
claim("representation-curved-gain", "held-out error, non-linear autoencoder over PCA, k = 2, 8, 16",
      ratio[:3], by="PCA with the same code size", at_least=0.45, at_most=0.9, stable=False)
claim("representation-curved-loss", "the same ratio at k = 24", ratio[3],
      by="PCA with the same code size", at_least=1.2, at_most=1.6, stable=False)
encoder, decoder = train_autoencoder(x_train, x_val, 24, steps=4000, lr=1e-3,
                                     generator=torch.Generator().manual_seed(0))
claim("representation-curved-longer",
      "the same ratio at k = 24 after 4000 steps with a quarter of the learning rate",
      squared_error(x_test, decoder(encoder(x_test))).mean() / pca_held_out[3],
      by="PCA with the same code size", at_least=0.8, at_most=0.97, stable=False)
claim("representation-curved-untrained",
      "error on *training* images, non-linear autoencoder over PCA, k = 32",
      network_training[4] / lam[32:].sum(), by="at most 1 at the minimum: the network contains PCA",
      at_least=1.5, at_most=2.3, stable=False)
claim("representation-curved-over-fit",
      "the autoencoder's error, held-out over training images, k = 8 to 32",
      (network_held_out / network_training)[1:], by="1 if it did not over-fit", at_least=1.3,
      at_most=1.9, stable=False)

# %% mystnb={"figure": {"name": "fig-representation-curved", "caption": "Left: squared error against code size; the line is a sum of eigenvalues, the diamond is training. Right: ten held-out digits and their reconstructions from eight numbers."}, "image": {"alt": "Left, error curves falling with the code size: the held-out points of the non-linear autoencoder lie below those of PCA at 2, 8 and 16 numbers, and above them at 24 and 32; its training points lie lower than its held-out ones. Right, three rows of digits: originals, smeared PCA reconstructions, and crisper autoencoder reconstructions."}} tags=["hide-input"]
fig, (ax, grid) = plt.subplots(1, 2, figsize=(7, 2.8), width_ratios=[1, 1.25])
# tail[k] = sum of the eigenvalues after the first k
tail = lam.flip(0).cumsum(0).flip(0)
ax.plot(
    range(33),
    tail[:33],
    color=colors.truth,
    label="PCA, training: closed form",
)
ax.plot(
    [8],
    [linear_error(w, a, cov)],
    "D",
    color=colors.bad,
    label="linear autoencoder, trained",
)
ax.plot(sizes, pca_held_out, "o", color=colors.muted, label="PCA, held out")
ax.plot(
    sizes,
    network_held_out,
    "s",
    color=colors.model,
    label="non-linear, held out",
)
ax.plot(
    sizes,
    network_training,
    "s",
    mfc="none",
    color=colors.model,
    label="non-linear, training",
)
ax.set(xlabel="code size $k$", ylabel="squared error per image", ylim=(0, 5.8))
ax.legend(fontsize=8)
flat = ten @ u[:, :8] @ u[:, :8].T
bent = networks[8][1](networks[8][0](ten))
image_grid(
    torch.cat([ten, flat, bent]) + mean, ncols=10, ax=grid, vmin=0, vmax=1
)
grid.set_yticks([3.5, 12.5, 21.5], ["digit", "PCA", "network"])
plt.show()


# %% [markdown]
# On these digits the non-linear code pays when it is short; at 24 numbers PCA is ahead
# ({numref}`fig-representation-curved`), and at 32 even on training images. That is the training, not the code: the network contains PCA, for
# $t=\operatorname{relu}(t)-\operatorname{relu}(-t)$ passes any number through two units, and longer training at a lower
# rate puts it ahead at 24 too (claim `representation-curved-longer`). The hollow squares show another price: the linear code
# hardly over-fits, the non-linear one does; hence scores from test images. A smaller pixel error is, however, all that {eq}`eq-representation-ae`
# promises. It does not say that the code is smooth, that the space between two codes means anything, or that a random $z$
# decodes to a digit: $L_{\mathrm{AE}}$ never looks anywhere but at the codes of the data.
#
# ## The variational autoencoder: a code with a price
#
# An autoencoder counts the *numbers* in its code. One real number, though, can hold an arbitrary amount of information,
# so the honest count is in nats. A variational autoencoder {cite:p}`kingma2014,rezende2014` makes the code random and
# pays for it in nats.
#
# Let the code have a prior $p(z)=\mathcal N(0,I)$ and let the decoder define a distribution,
# $p_\theta(x\mid z)=\mathcal N(D_\theta(z),\sigma^2I)$. The model's density is
# $p_\theta(x)=\int p_\theta(x\mid z)\,p(z)\,dz$, an integral that nobody can do for a network. The encoder now returns a
# distribution too, the **approximate posterior**
# $q_\phi(z\mid x)=\mathcal N\bigl(m_\phi(x),\operatorname{diag} s_\phi(x)\bigr)$; that one network gives it for every $x$ is
# called **amortised inference**. For *any* $q_\phi$,
#
# $$
# \begin{aligned}
# \log p_\theta(x)
# &= \mathbb E_{q_\phi(z\mid x)}\Bigl[\log\frac{p_\theta(x,z)}{p_\theta(z\mid x)}\Bigr]\\
# &= \mathbb E_{q_\phi}\Bigl[\log\frac{p_\theta(x\mid z)\,p(z)}{q_\phi(z\mid x)}\Bigr]\\
# &\qquad{}+ \mathbb E_{q_\phi}\Bigl[\log\frac{q_\phi(z\mid x)}{p_\theta(z\mid x)}\Bigr]\\
# &= \underbrace{\mathbb E_{q_\phi}[\log p_\theta(x\mid z)] - \mathrm{KL}\bigl(q_\phi(z\mid x)\,\Vert\,p(z)\bigr)}_{\mathrm{ELBO}(x;\,\theta,\,\phi)}\\
# &\qquad{}+ \mathrm{KL}\bigl(q_\phi(z\mid x)\,\Vert\,p_\theta(z\mid x)\bigr).
# \end{aligned}
# $$ (eq-representation-elbo)
#
# The last term is not negative, so $\mathrm{ELBO}\le\log p_\theta(x)$: the **evidence lower bound**, which is to be
# **maximised**, on average over the data. For two Gaussians the divergence to the prior is elementary,
#
# $$
# \begin{aligned}
# &\mathrm{KL}\bigl(\mathcal N(m,\operatorname{diag}s)\,\Vert\,\mathcal N(0,I)\bigr)\\
# &\qquad=\tfrac12\sum_{j=1}^k\bigl(m_j^2+s_j-1-\log s_j\bigr).
# \end{aligned}
# $$ (eq-representation-kl)
#
# Identities are there to be tested. If the decoder is linear, $D_\theta(z)=Wz$, then everything in
# {eq}`eq-representation-elbo` is Gaussian and can be computed by another road: $\log p_\theta(x)$ from the covariance
# $WW^\top+\sigma^2I$, the true posterior from Bayes' rule. We take a random decoder and a deliberately poor encoder.

# %%
def kl_to_prior(m, s):
    """KL(N(m, diag s) ‖ N(0, I)) in nats: m and s (n, k) -> (n,)."""
    return 0.5 * (m**2 + s - 1 - s.log()).sum(-1)


def expected_log_likelihood(x, m, s, w, sigma2):
    """E log N(x; Wz, σ²I) over z ~ N(m, diag s), nats: x (n, d) -> (n,)."""
    spread = (s * (w**2).sum(0)).sum(-1)  # E‖W(z − m)‖²
    error = squared_error(x, m @ w.T) + spread  # E‖x − Wz‖²
    log_volume = x.shape[-1] * math.log(2 * math.pi * sigma2)
    return -0.5 * (error / sigma2 + log_volume)


# %% tags=["hide-input"]
size, sigma2 = 3, 0.1
decoder_w = torch.randn(64, size, generator=gen) / 8
x = x_train[:50]
m = x @ torch.randn(64, size, generator=gen) / 4  # (50, 3) a poor encoder's means
s = torch.rand(50, size, generator=gen) + 0.1  # (50, 3) its variances
elbo = expected_log_likelihood(x, m, s, decoder_w, sigma2) - kl_to_prior(m, s)

# The other road: the marginal and the posterior of a linear Gaussian model.
log_px = torch.distributions.MultivariateNormal(
    torch.zeros(64), decoder_w @ decoder_w.T + sigma2 * torch.eye(64)
).log_prob(x)
post_cov = torch.linalg.inv(torch.eye(size) + decoder_w.T @ decoder_w / sigma2)  # (size, size)
post_mean = x @ decoder_w @ post_cov / sigma2  # (50, size)


def kl_from_encoder(mean, cov):
    """KL of q(z | x) from the Gaussians N(mean[i], cov), by genkit, (50,)."""
    pairs = zip(m, s, mean, strict=True)
    return torch.stack([kl_gaussian(a, b.diag(), c, cov) for a, b, c in pairs])


gap = kl_from_encoder(post_mean, post_cov)
prior = kl_from_encoder(torch.zeros(50, size), torch.eye(size))

agree("representation-kl", kl_to_prior(m, s), prior)
claim("representation-elbo-identity", "largest |log p(x) − ELBO − KL(q‖posterior)| over 50 images",
      (log_px - elbo - gap).abs().max().round(decimals=9), 0.0,
      by="linear Gaussian model in closed form", atol=1e-8, unit="nats")

# %% [markdown]
# What if the sign of the divergence is wrong, as in many a first program? Then at the *exact* posterior the supposed
# lower bound lies above $\log p_\theta(x)$ by twice the divergence to the prior.

# %% tags=["hide-input"]
kl_post = torch.stack(
    [kl_gaussian(c, post_cov, torch.zeros(size), torch.eye(size)) for c in post_mean]
)
error = squared_error(x, post_mean @ decoder_w.T) + torch.trace(decoder_w @ post_cov @ decoder_w.T)
fit_term = -error / (2 * sigma2) - 32 * math.log(2 * math.pi * sigma2)

claim("representation-elbo-wrong-sign", "wrong sign: (fit + KL − log p(x)) / KL, mean over images",
      ((fit_term + kl_post - log_px) / kl_post).mean(), 2.0, item="E1.2",
      by="log p = fit − KL at the exact posterior", atol=1e-8)


# %% [markdown]
# ### Which way is down
#
# :::{admonition} Common mistake: A VAE minimises its ELBO
# :class: mistake
# {item}`E1.2` One often finds $L=\mathbb E\lVert x-D(E(x))\rVert^2$ for the autoencoder and
# $L=\mathbb E_q[\log p_\theta(x\mid z)]-\mathrm{KL}(q_\phi\Vert p)$ for the VAE, under the same name $L$. The second is the
# ELBO of {eq}`eq-representation-elbo`, which goes *up*; the loss is $-\mathrm{ELBO}$, averaged over the data. The gradient
# descent below follows both signs from the same start: the ELBO has no minimum and falls without end
# ({numref}`fig-representation-sign`).
# :::
#
# For the linear VAE the average over the data can again be done once and for all. With encoder means $Ax$, encoder
# variances $s$ and decoder $W$, two numbers say everything: the **distortion** $\Delta$ and the **rate** $R$,
#
# $$
# \begin{aligned}
# \Delta &= \mathbb E\,\mathbb E_q\lVert x-Wz\rVert^2\\
# &= \operatorname{tr}\bigl[(I-WA)S(I-WA)^\top\bigr]\\
# &\qquad{}+ \textstyle\sum_j s_j\lVert w_j\rVert^2,\\
# R &= \mathbb E\,\mathrm{KL}\bigl(q_\phi(z\mid x)\,\Vert\, p(z)\bigr)\\
# &=\tfrac12\bigl[\operatorname{tr}(ASA^\top)+\textstyle\sum_j(s_j-1-\log s_j)\bigr],\\
# -\mathbb E\,\mathrm{ELBO} &= \frac{\Delta}{2\sigma^2}+R+\frac d2\log(2\pi\sigma^2).
# \end{aligned}
# $$ (eq-representation-rd)

# %%
def distortion_and_rate(w, a, log_s, cov):
    """Squared error Δ and rate R (nats), both averaged over the data."""
    s = log_s.exp()  # (k,) encoder variances
    distortion = linear_error(w, a, cov) + (s * (w**2).sum(0)).sum()
    rate = 0.5 * (((a @ cov) * a).sum() + (s - 1 - log_s).sum())
    return distortion, rate


def weighted_loss(parameters, cov, sigma2, beta=1.0):
    """Δ/(2σ²) + βR in nats per image."""
    distortion, rate = distortion_and_rate(*parameters, cov)
    return distortion / (2 * sigma2) + beta * rate


def negative_elbo(parameters, cov, sigma2):
    """−ELBO in nats per image, averaged over the data."""
    log_volume = torch.log(2 * math.pi * torch.as_tensor(sigma2))
    return weighted_loss(parameters, cov, sigma2) + len(cov) / 2 * log_volume


# %%
def start(k, generator, dims=64):
    """Small random parameters w (d, k), a (k, d), log_s (k,)."""
    w = torch.randn(dims, k, generator=generator) / 8
    a = torch.randn(k, dims, generator=generator) / 8
    return [p.requires_grad_() for p in (w, a, torch.zeros(k))]


sigma2, runs = 0.05, {}
for sign, name in ((1, "−ELBO"), (-1, "+ELBO")):
    parameters = start(2, torch.Generator().manual_seed(1))
    runs[name] = []
    for _ in range(2000):
        loss = sign * negative_elbo(parameters, cov, sigma2)
        runs[name].append(loss.item())
        if loss < -1e9:
            break
        grads = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for p, g in zip(parameters, grads, strict=True):
                p -= 0.01 * g  # plain gradient descent

# %% tags=["hide-input"]
used, unused = lam[:2], lam[2:]  # λ > σ² holds for more directions than codes
lowest = 0.5 * (1 + (used / sigma2).log()).sum() + unused.sum() / (2 * sigma2)
claim("representation-descent", "where 2000 steps of gradient descent on −ELBO end, 2 codes",
      runs["−ELBO"][-1], lowest + 32 * math.log(2 * math.pi * sigma2), item="E1.2",
      by="its minimum, by water-filling, proved below", atol=0.005, unit="nats", digits=2)
claim("representation-runaway", "steps until gradient descent on the ELBO is below −10⁹",
      len(runs["+ELBO"]), item="E1.2", by="it has no minimum", at_most=10, stable=False)
c = 1000.0  # a path down: encoder = prior (rate 0), decoder scaled by c
any_w = torch.randn(64, 2, generator=gen)
blown_up = -negative_elbo(
    [c * any_w, torch.zeros(2, 64), torch.zeros(2)], cov, sigma2
)
claim("representation-no-minimum", "ELBO for a decoder cW, c = 1000, over −c²‖W‖²/(2σ²)",
      blown_up / (-(c**2) * (any_w**2).sum() / (2 * sigma2)), 1.0, item="E1.2",
      by="leading term; the rest is of order 1/c²", atol=1e-6)

# %% mystnb={"figure": {"name": "fig-representation-sign", "caption": "Gradient descent from one start on the two signs of the ELBO. Only one of them is a loss."}, "image": {"alt": "Two curves against the step of gradient descent, on a symmetric logarithmic axis. One decreases and levels off. The other plunges below minus ten to the ninth within about ten steps and ends there."}} tags=["hide-input"]
fig, ax = plt.subplots(figsize=(5.4, 2.6))
for (label, values), color in zip(
    runs.items(), (colors.model, colors.bad), strict=True
):
    ax.plot(
        range(1, len(values) + 1),
        np.maximum(values, -1e10),
        color=color,
        label=f"descending {label}",
    )
ax.set_yscale("symlog", linthresh=10)
ax.set_xscale("log")
ax.set(
    xlabel="step of gradient descent",
    ylabel="value that is descended, nats",
    yticks=[-1e9, -1e6, -1e3, 0],
)
ax.set_ylim(bottom=-1e10)
ax.legend(loc="center right")
plt.show()


# %% [markdown]
# ### The noise level that you chose without knowing
#
# A first VAE is easily written with the loss $\lVert x-\hat x\rVert^2+\mathrm{KL}$. Nothing in it is called $\sigma$. But
# {eq}`eq-representation-rd` says that $\Delta$ is weighted by $1/(2\sigma^2)$; weight one *means* $\sigma^2=\tfrac12$.
# And $\sigma^2$ decides which directions of the data the code will carry, by a rule that can be proved.
#
# :::{prf:theorem} Water-filling
# :label: thm-representation-water
# Fix $\theta>0$, let $\lambda_1\ge\dots\ge\lambda_d$ be the eigenvalues of $S$ and let the code have size $k$. The linear VAE's minimum of $\Delta+2\theta R$ has
#
# $$
# \begin{aligned}
# \Delta(\theta)&=\sum_{i\le k}\min(\lambda_i,\theta)+\sum_{i>k}\lambda_i,\\
# R(\theta)&=\tfrac12\sum_{i\le k}\Bigl[\log\frac{\lambda_i}{\theta}\Bigr]_+ .
# \end{aligned}
# $$ (eq-representation-water)
#
# Only directions with $\lambda_i>\theta$ are used; the others are switched off: their encoder returns the prior.
# :::
#
# :::{prf:proof}
# *Reached.* Let code number $i$ read eigen-direction $i$. If $\lambda_i>\theta$, take decoder weight
# $w_i=\sqrt{\lambda_i-\theta}$, encoder weight $a_i=w_i/\lambda_i$ and variance $s_i=\theta/\lambda_i$; else all zero and
# $s_i=1$. Then $a_i^2\lambda_i+s_i=1$, so the direction costs the rate $-\tfrac12\log s_i=\tfrac12\log(\lambda_i/\theta)$
# and leaves the error $(1-w_ia_i)^2\lambda_i+s_iw_i^2=\theta^2/\lambda_i+\theta(\lambda_i-\theta)/\lambda_i=\theta$.
#
# *Not beaten.* (1) $\Delta$ and $R$ depend on the data through $S$ only, so take $x$ Gaussian. (2) With
# $q(z)=\mathbb E\,q(z\mid x)$ the rate is $R=\mathbb E\,\mathbb E_q\log\frac{q(z\mid x)}{q(z)}+\mathrm{KL}(q(z)\Vert
# p(z))\ge I(x;z)$. Let $P$ project onto the columns of $W$: what is computed from $x$ and from $z$ shares no more
# information than they do (data processing), so $R\ge I(Px;Wz)$. (3) Split the error into
# $\mathbb E\lVert x-Px\rVert^2=\operatorname{tr}S-\sum_i\mu_i$, with $\mu_1\ge\dots\ge\mu_k$ the eigenvalues of
# $PSP$ on that space, and $\Delta_P=\mathbb E\lVert Px-Wz\rVert^2$. A Gaussian with variances $\mu_i$ is described with
# error $\Delta_P$ by no fewer nats than $\tfrac12\sum_i[\log(\mu_i/t)]_+$ where $\sum_i\min(\mu_i,t)=\Delta_P$ (reverse
# water-filling {cite:p}`cover2006`). This is convex in $\Delta_P$ with slope $-1/(2t)$, so $\Delta_P+2\theta R$ is least
# at $t=\theta$: at least $\sum_i\bigl[\min(\mu_i,\theta)+\theta[\log(\mu_i/\theta)]_+\bigr]$. (4) Together
# $\Delta+2\theta R\ge\operatorname{tr}S-\sum_{i\le k}g(\mu_i)$ with $g(\mu)=\mu-\theta-\theta\log(\mu/\theta)$ for
# $\mu>\theta$, else 0. $g$ increases, and the eigenvalues of $S$ within a subspace are at most its largest ones,
# $\mu_i\le\lambda_i$ (Cauchy interlacing): the bound is lowest for the first $k$ eigenvectors, where the construction
# above reaches it.
# :::
#
# For the plain VAE, $-\mathrm{ELBO}$ is $\Delta+2\sigma^2R$ up to a factor and a constant, so $\theta=\sigma^2$: **a
# large enough linear code has $\#\{i:\lambda_i>\sigma^2\}$ active dimensions** {cite:p}`lucas2019`. That turns innocent
# conventions into design decisions. All of the following programs "minimise reconstruction plus KL" on the same digits;
# {numref}`fig-representation-water` shows what is left of their codes.

# %%
def water_filling(theta, lam, k=None):
    """Distortion, rate (nats) and number of active directions."""
    top, rest = lam[:k], lam[k:] if k else lam[:0]
    distortion = top.clamp(max=theta).sum() + rest.sum()
    rate = 0.5 * (top / theta).log().clamp(min=0).sum()
    return distortion, rate, int((top > theta).sum())


def optimum(theta, lam, u):
    """The parameters of the proof: w (d, d), a (d, d), log_s (d,)."""
    w = u * (lam - theta).clamp(min=0).sqrt()  # column i is wᵢuᵢ
    a = (w / lam.clamp(min=1e-300)).T
    return w, a, (theta / lam.clamp(min=theta)).log()


# %%
# name: (factor on pixels in [0, 1], implied sigma2 in squares of those units)
conventions = {
    "sum of squares": (1, 1 / 2),
    "half the sum of squares": (1, 1.0),
    "mean over pixels": (1, 64 / 2),
    "grey levels 0–16, sum": (16, 1 / 2),
    "grey levels 0–16, mean": (16, 64 / 2),
}
active = []
for name, (factor, s2) in conventions.items():
    active.append(water_filling(s2, factor**2 * lam)[2])
    print(f"{name:24} σ² = {s2 / factor**2:#.3g}, {active[-1]:2} active")

# %% tags=["hide-input"]
slope = []
for scale, noise in conventions.values():
    best = [p.requires_grad_() for p in optimum(noise, scale**2 * lam, u)]
    gradient = torch.autograd.grad(negative_elbo(best, scale**2 * cov, noise), best)
    slope.append(max(g.abs().max() for g in gradient))  # 0 at a stationary point
claim("representation-stationary",
      "largest slope of −ELBO at the theorem's parameters, five conventions",
      torch.stack(slope).max().round(decimals=9), 0.0, item="E1.8", by="a minimum is flat",
      atol=1e-7)

trained = []
for noise in (1 / 2, 1.0, 64 / 2):  # the first three, trained from a random start
    free = start(20, gen)
    minimise(lambda p=free, s2=noise: negative_elbo(p, cov, s2), free, steps=500)
    strengths = torch.linalg.svdvals(free[0].detach())  # of the decoder
    trained.append(int((strengths > 1e-2).sum()))
claim("representation-active",
      "active directions of the trained VAE: sum, half sum, mean of squares", torch.tensor(trained),
      torch.tensor(active[:3]), item="E1.8", by="#{λ > σ²}")

# %% mystnb={"figure": {"name": "fig-representation-water", "caption": "The eigenvalues of the digits and five \"water levels\" that conventions of the reconstruction loss silently set. What lies under water is not encoded."}, "image": {"alt": "Eigenvalues of the digits on a logarithmic axis, falling steadily, crossed by five horizontal lines. The two highest pass above all eigenvalues, the lowest leaves most directions above it."}} tags=["hide-input"]
fig, ax = plt.subplots(figsize=(7, 3.2))
ax.plot(range(1, 62), lam[:61], "o", ms=3.5, color=colors.data)
for (label, (scale, noise)), count, color in zip(
    conventions.items(), active, colors.cycle[:5], strict=True
):
    level = noise / scale**2
    ax.axhline(level, lw=1.2, color=color)
    at, ha = (62, "right") if level > 0.01 else (1, "left")
    va = "top" if 0.01 < level < 0.2 else "bottom"
    ax.text(
        at, level, f"{label}: {count}", color=color, ha=ha, va=va, fontsize=9
    )
ax.set_yscale("log")
ax.set(
    xlabel="eigen-direction",
    ylabel="variance (full ink squared)",
    ylim=(1e-4, 120),
    xlim=(0, 63),
)
plt.show()

# %% [markdown]
# :::{admonition} Common mistake: A VAE's loss is squared error plus KL
# :class: mistake
# {item}`E1.8` With weight one that fixes $\sigma^2=\tfrac12$, whatever the data. On digits with pixels in $[0,1]$ the
# linear VAE's code then carries {value}`representation-active:.0f` directions for the sum, the half sum and the mean of
# squares in turn: averaging over pixels, a common default, switches *everything* off, and the mean image is decoded for
# every input. The remedy is one more parameter: let the data choose $\sigma^2$ (claim `representation-learned-noise`).
# :::
#
# The likelihood has an opinion on $\sigma^2$. Setting the derivative of $-\mathrm{ELBO}$ to zero gives
# $\sigma^2=\Delta/d$, and with a code of $k$ numbers the optimum is the mean of the discarded eigenvalues, the
# maximum-likelihood solution of probabilistic PCA {cite:p}`tipping1999`. There the bound is tight: the best linear ELBO *is*
# the best log-likelihood of a Gaussian with covariance $WW^\top+\sigma^2I$.

# %%
k = 20
parameters = start(k, gen)
log_noise = torch.tensor(math.log(0.05)).requires_grad_()  # log σ²
minimise(
    lambda: negative_elbo(parameters, cov, log_noise.exp()),
    [*parameters, log_noise],
    steps=800,
)


def ppca_log_likelihood(x, k):
    """Mean log-likelihood (nats) of x under the best PCA with k codes."""
    noise = lam[k:].mean()  # maximum likelihood in closed form
    code = u[:, :k] * (lam[:k] - noise) @ u[:, :k].T
    model = torch.distributions.MultivariateNormal(
        torch.zeros(64), code + noise * torch.eye(64)
    )
    return model.log_prob(x).mean()


# %% tags=["hide-input"]
claim("representation-learned-noise", "σ² that the trained linear VAE with 20 codes learns",
      log_noise.exp(), lam[k:].mean(), item="E1.8", by="mean of the discarded eigenvalues",
      rtol=0.01, digits=2)
claim("representation-tight", "its ELBO, and the log-likelihood of probabilistic PCA",
      -negative_elbo(parameters, cov, log_noise.exp()), ppca_log_likelihood(x_train, k),
      item="E1.8", by="closed form, evaluated image by image", atol=0.025, digits=3, unit="nats")

# %% [markdown]
# ## Rate and distortion: the β-VAE
#
# Put a weight $\beta$ on the rate {cite:p}`higgins2017`,
#
# $$
# L_\beta(\theta,\phi)=\frac{\Delta}{2\sigma^2}+\beta R ,
# $$ (eq-representation-beta)
#
# and {prf:ref}`thm-representation-water` answers at once what it does: minimising $L_\beta$ is minimising
# $\Delta+2\theta R$ with $\theta=\beta\sigma^2$. Only the product matters. A β-VAE with a fixed decoder noise is an
# ordinary VAE with another noise, and turning β is moving a point along the curve $(R(\theta),\Delta(\theta))$: the **rate–distortion
# curve** {cite:p}`alemi2018`. It is the least error that a *linear* code of so many nats can leave, and for Gaussian data
# with $k=d$ the least of any code at all; digits are not Gaussian, so a non-linear code may do better. {item}`X1.5`
#
# Fifteen values of β, each trained from where the last one stopped, are held against the closed form ({numref}`fig-representation-rate`).

# %%
k, sigma2 = 20, 0.05
betas = [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 8, 10, 12, 15]
parameters, models, learned = start(k, gen), {}, []
for beta in betas:
    minimise(
        lambda beta=beta: weighted_loss(parameters, cov, sigma2, beta),
        parameters,
        steps=800 if beta == betas[0] else 200,
    )
    models[beta] = [p.detach().clone() for p in parameters]
    learned.append(torch.stack(distortion_and_rate(*models[beta], cov)))
learned = torch.stack(learned)  # (15, 2) distortion and rate as trained
exact = torch.tensor(  # (15, 2) the same in closed form
    [water_filling(beta * sigma2, lam, k)[:2] for beta in betas]
)

# %% tags=["hide-input"]
five = [betas.index(beta) for beta in (0.1, 0.3, 1, 3, 6)]
claim("representation-rate", "rate of the trained linear β-VAE, β = 0.1, 0.3, 1, 3, 6",
      learned[five, 1], exact[five, 1], by="reverse water-filling at θ = βσ²", rtol=0.01,
      unit="nats", digits=2)
claim("representation-distortion", "its distortion (squared error), same β", learned[five, 0],
      exact[five, 0], by="reverse water-filling at θ = βσ²", rtol=0.02, digits=2)
off = (learned - exact).abs()
claim("representation-slider-frames",
      "trained models, of 15, on the closed form (rate 1 %, error 2 %)",
      int((off <= exact * torch.tensor([0.02, 0.01]) + 1e-3).all(1).sum()), len(betas),
      by="reverse water-filling")

# %% mystnb={"figure": {"name": "fig-representation-rate", "caption": "Left: the rate\u2013distortion curve of linear codes of the digits with the trained \u03b2-VAEs on it. Right: what a rate buys: ten held-out digits decoded at four values of \u03b2."}, "image": {"alt": "Left, a convex curve of squared error against rate falling with the rate, with fifteen trained models lying on it. Right, a grid of digits: as beta grows from the top row down, strokes blur until every picture is close to the same average blob."}} tags=["hide-input"]
fig, (ax, grid) = plt.subplots(1, 2, figsize=(7, 2.9), width_ratios=[1, 1.25])
levels = torch.logspace(math.log10(0.004), math.log10(0.75), 150)
curve = torch.tensor(
    [water_filling(theta, lam, k)[:2] for theta in levels.tolist()]
)
ax.plot(curve[:, 1], curve[:, 0], color=colors.truth, label="closed form")
ax.plot(
    learned[:, 1],
    learned[:, 0],
    "o",
    color=colors.model,
    label="trained linear β-VAE",
)
rows = [0.1, 1, 4, 12]
for row in rows:
    at = learned[betas.index(row)]
    ax.annotate(
        f"β = {row}",
        (at[1], at[0]),
        xytext=(4, 6),
        textcoords="offset points",
        fontsize=9,
    )
ax.set(
    xlabel="rate $R$, nats per image",
    ylabel="distortion $\\Delta$, squared error",
    xlim=(-1, 41),
)
ax.legend()
decoded = [ten @ models[beta][1].T @ models[beta][0].T for beta in rows]
image_grid(
    torch.cat([ten, *decoded]) + mean, ncols=10, ax=grid, vmin=0, vmax=1
)
grid.set_yticks(
    [3.5 + 9 * i for i in range(5)],
    ["digit", *(f"β = {beta}" for beta in rows)],
)
plt.show()

# %% [markdown]
# Move β yourself in the figure below, where the point is the closed form. It is often said that β trades reconstruction
# against regularity. On this curve it does so one direction at a time: each eigen-direction fades out continuously, its
# decoder weight $\sqrt{\lambda_i-\theta}$ falling to 0, and is off from its own switching point on; only the *number* of
# directions in use jumps.

# %% tags=["hide-input"]
# where each one goes on
switches = torch.tensor(
    [water_filling(float(level), lam, k)[:2] for level in lam[:k]]
)
frames = []
for weight, (distortion, rate) in zip(betas, exact.tolist(), strict=True):
    theta = weight * sigma2
    on = lam[:k] > theta
    # a piece of the line Δ + 2θR = constant
    reach = torch.tensor([max(rate - 5, 0), min(rate + 5, 34.5)])
    lines = [
        {"x": curve[:, 1], "y": curve[:, 0], "name": "rate–distortion curve"},
        {
            "x": reach,
            "y": distortion - 2 * theta * (reach - rate),
            "name": "slope −2βσ²",
            "dashed": True,
        },
        {
            "x": switches[on, 1],
            "y": switches[on, 0],
            "name": "direction in use",
            "kind": "points",
            "r": 3,
        },
        {
            "x": switches[~on, 1],
            "y": switches[~on, 0],
            "name": "switched off",
            "kind": "points",
            "r": 3,
        },
        {
            "x": [rate],
            "y": [distortion],
            "name": "β-VAE",
            "kind": "points",
        },
    ]
    frames.append(
        {
            "label": f"{weight:g}",
            "note": f"Rate {rate:.1f} nats, squared error {distortion:.2f}; "
            f"{int(on.sum())} of 20 directions in use.",
            "lines": lines,
        }
    )

slider_figure(
    "representation-beta",
    frames,
    slider_label="β",
    xlabel="rate, nats per image",
    ylabel="distortion, squared error",
    title="A β-VAE on its way along the rate–distortion curve",
    alt="A convex falling curve of distortion against rate. A point moves along "
    "it with the slider; twenty small points mark where each eigen-direction "
    "switches on, and those at rates beyond the moving point are switched off.",
    start=betas.index(1),
    xlim=(0, 35),
    ylim=(0, 5),
)

# %% [markdown]
# ## A variational autoencoder on digits
#
# With networks for $D_\theta$, $m_\phi$ and $s_\phi$ no closed form is left, and the average over $q_\phi$ must be
# sampled. Writing $z=m_\phi(x)+\sqrt{s_\phi(x)}\,\varepsilon$ with $\varepsilon\sim\mathcal N(0,I)$ keeps the sample
# differentiable in $\phi$: the **reparameterisation trick**. And $\sigma^2$ is learned.
#
# :::{prf:algorithm} Variational autoencoder
# :label: alg-representation-vae
# **Repeat** for a batch $x$ of shape $(n, d)$:
#
# 1. $m, \log s \leftarrow$ encoder$(x)$, both of shape $(n, k)$.
# 2. $\varepsilon\sim\mathcal N(0,I)$, $\;z\leftarrow m+\sqrt s\,\varepsilon$.
# 3. $\mathrm{ELBO}\leftarrow-\lVert x-D_\theta(z)\rVert^2/(2\sigma^2)-\tfrac d2\log(2\pi\sigma^2)-\mathrm{KL}$ with {eq}`eq-representation-kl`.
# 4. Take a step on $\theta,\phi,\sigma^2$ that makes $-\mathrm{ELBO}$ smaller.
# :::

# %%
torch.manual_seed(0)
k = 16
vae_encoder, vae_decoder = mlp(64, 128, 128, 2 * k), mlp(k, 128, 128, 64)
log_noise = nn.Parameter(torch.tensor(math.log(0.05)))  # log σ²


def log_likelihood(x, z):
    """log N(x; D(z), σ²I) in nats, x (n, 64), z (..., n, k) -> (..., n)."""
    log_volume = 64 * (math.log(2 * math.pi) + log_noise)
    error = squared_error(x, vae_decoder(z))
    return -0.5 * (error / log_noise.exp() + log_volume)


def vae_elbo(x, generator):
    """One-sample ELBO per image (n,), and its KL per code dimension (n, k)."""
    m, log_s = vae_encoder(x).chunk(2, -1)  # (n, k) each
    eps = torch.randn(m.shape, generator=generator)
    z = m + (log_s / 2).exp() * eps
    kl = 0.5 * (m**2 + log_s.exp() - 1 - log_s)
    return log_likelihood(x, z) - kl.sum(-1), kl


# %%
def importance_weighted(x, draws, generator):
    """log of the mean of `draws` weights p(x, z)/q(z | x), per image (n,)."""
    m, log_s = vae_encoder(x).chunk(2, -1)
    eps = torch.randn(draws, *m.shape, generator=generator)
    z = m + (log_s / 2).exp() * eps  # (draws, n, k)
    log_prior_over_q = 0.5 * (eps**2 + log_s - z**2).sum(-1)
    log_w = log_likelihood(x, z) + log_prior_over_q  # (draws, n)
    return log_w.logsumexp(0) - math.log(draws)


# %%
def loss(x):
    return -vae_elbo(x, gen)[0].mean()


def validate():
    same_noise = torch.Generator().manual_seed(0)  # every time
    with torch.no_grad():
        return -vae_elbo(x_val.repeat(4, 1), same_noise)[0].mean()


parameters = [*vae_encoder.parameters(), *vae_decoder.parameters(), log_noise]
fit(loss, parameters, x_train, steps=1000, lr=2e-3, schedule="cosine",
    validate=validate, generator=gen)
with torch.no_grad():
    elbo_test, kl_test = vae_elbo(x_test, gen)
    elbo_train, _ = vae_elbo(x_train, gen)
    iw_test = importance_weighted(x_test, 100, gen)
    used = kl_test.mean(0) > 0.05

# %% [markdown]
# What may be said of such a run without running it again? Bounds. With $K$ draws $z_i\sim q_\phi(z\mid x)$ the
# importance-weighted estimate {cite:p}`burda2016` is
#
# $$
# \mathrm{IW}_K=\log\frac1K\sum_{i=1}^K\frac{p_\theta(x\mid z_i)\,p(z_i)}{q_\phi(z_i\mid x)} .
# $$
#
# Each weight has mean $p_\theta(x)$, so by Jensen's inequality $\mathbb E\,\mathrm{IW}_K\le\log p_\theta(x)$, and
# $\mathrm{IW}_1$ is the one-sample ELBO; more draws make the bound tighter:
# $\mathbb E\,\mathrm{ELBO}\le\mathbb E\,\mathrm{IW}_{100}\le\log p_\theta(x)$. The named baseline is
# probabilistic PCA with as many code numbers as the VAE turns out to use; its log-likelihood is exact, and the VAE has to
# beat it with no more than its *bound*.

# %% tags=["hide-input"]
claim("representation-vae-bound", "importance-weighted estimate minus ELBO, held-out images",
      (iw_test - elbo_test).mean(), by="Jensen: a tighter lower bound, here by a nat at least",
      at_least=1.0, at_most=4.0, unit="nats", stable=False)

claim("representation-vae-active", "code dimensions, of 16, that carry more than 0.05 nats",
      int(used.sum()), by="a dimension that returns the prior is free", at_least=4, at_most=10,
      stable=False)
claim("representation-vae-linear-theory",
      "eigenvalues of the digits above the noise variance that this VAE learned",
      int((lam > log_noise.exp()).sum()), by="more than 16: a linear VAE would use its whole code",
      at_least=24, at_most=31, stable=False)
claim("representation-vae-against-ppca",
      "held-out ELBO minus log-likelihood of PCA with as many codes",
      elbo_test.mean() - ppca_log_likelihood(x_test, int(used.sum())),
      by="the baseline's exact log-likelihood", at_least=6.0, unit="nats", stable=False)
claim("representation-ppca-overtakes",
      "log-likelihood of PCA with 40 codes minus the VAE's IW estimate",
      ppca_log_likelihood(x_test, 40) - iw_test.mean(),
      by="a density may be better with a duller code", at_least=8.0, unit="nats", stable=False)
claim("representation-vae-over-fit", "its ELBO on training images minus that on held-out images",
      elbo_train.mean() - elbo_test.mean(), by="0 without over-fitting", at_least=0.7, at_most=6.0,
      unit="nats", stable=False)

# %% tags=["hide-input", "picture-varies"] mystnb={"figure": {"name": "fig-representation-vae", "caption": "The trained VAE: nats per code dimension, largest first; held-out digits above their reconstructions; and images decoded from random codes."}, "image": {"alt": "Three panels. A bar chart where about half of the sixteen code dimensions carry nats and the others none. Ten digits above reconstructions that keep the shape but smooth the pen stroke. Twenty digit-like images decoded from prior samples, some of them ambiguous."}}
fig, axes = plt.subplots(1, 3, figsize=(7, 2.3), width_ratios=[1, 1, 1])
axes[0].bar(
    range(1, k + 1),
    kl_test.mean(0).sort(descending=True).values,
    color=colors.model,
)
axes[0].set(xlabel="code dimension, sorted", ylabel="rate, nats")
with torch.no_grad():
    rebuilt = vae_decoder(vae_encoder(ten)[:, :k])  # from the encoder's means
    drawn = vae_decoder(torch.randn(20, k, generator=gen))
pairs = torch.cat([ten[:5], rebuilt[:5], ten[5:], rebuilt[5:]])
image_grid(pairs + mean, ncols=5, ax=axes[1], vmin=0, vmax=1)
image_grid(drawn + mean, ncols=5, ax=axes[2], vmin=0, vmax=1)
axes[1].set_xlabel("digit, reconstruction")
axes[2].set_xlabel("decoded from random $z$")
plt.show()


# %% [markdown]
# With the same number of codes the non-linear decoder beats the linear one by its bound alone, and it uses only part of what it
# was given ({numref}`fig-representation-vae`): the other dimensions return the prior (**posterior collapse**).
# {prf:ref}`thm-representation-water` does not predict that. By its count a linear VAE with this $\sigma^2$ would use all
# 16 (claim `representation-vae-linear-theory`); curvature, or its training, switches them off. Keep the sense of proportion, though: as a *density*, forty principal components overtake
# this VAE by far more than the importance weights added to its bound. A good density and a good code are two different
# purchases. (Log densities of scaled grey levels may be compared with each other only; {ref}`ch-density` turns such
# numbers into bits.) Notice also what the objective never asked for. Nothing in {eq}`eq-representation-elbo` mentions
# classes, style or meaning, and a decoder that could model the pixels without $z$ would leave all 16 bars at zero, at no
# loss.
#
# ## Contrastive learning: keep what two views share
#
# The first two objectives keep what costs *pixels*. The third, **contrastive learning**, asks for something else. Show the
# encoder two **views** $x,x'$ of one thing, say a photograph cropped twice, and ask only that the code of one can pick out
# the code of the other among many. There is no decoder, and no label: such learning is called **self-supervised**.
#
# Take $n$ images with two views each and number the $2n$ codes $z_1,\dots,z_{2n}$, so that $j(i)$ is the other view of
# $i$. With the cosine $\mathrm{sim}(u,v)=u^\top v/(\lVert u\rVert\lVert v\rVert)$ and a temperature $\tau>0$, the **NT-Xent**
# loss of **SimCLR** {cite:p}`chen2020` is
#
# $$
# L_{\mathrm{NT}}=\frac1{2n}\sum_{i=1}^{2n}-\log\frac{\exp\bigl(\mathrm{sim}(z_i,z_{j(i)})/\tau\bigr)}{\sum_{m\ne i}\exp\bigl(\mathrm{sim}(z_i,z_m)/\tau\bigr)} .
# $$ (eq-representation-ntxent)
#
# The sum in the denominator runs over **all $2n-1$ other codes**: the **positive** one, and $2n-2$ **negatives**.

# %%
def nt_xent(z1, z2, tau):
    """Loss of every anchor: z1, z2 (n, k), two views of n images -> (2n,)."""
    n = len(z1)
    z = F.normalize(torch.cat([z1, z2]), dim=1)  # (2n, k) on the unit sphere
    sim = z @ z.T / tau  # (2n, 2n) cosines over temperature
    partner = torch.arange(2 * n).roll(n)  # j(i)
    positive = sim[torch.arange(2 * n), partner]  # (2n,)
    itself = torch.eye(2 * n, dtype=torch.bool)
    others = sim.masked_fill(itself, -math.inf)  # m ≠ i
    return others.logsumexp(1) - positive


# %% tags=["hide-input"]
z1, z2 = torch.randn(2, 6, 4, generator=gen)
z = torch.cat([z1, z2])
slow = []  # the equation, term by term
for i in range(12):
    cosines = [float(F.cosine_similarity(z[i], z[m], dim=0)) for m in range(12)]
    e = [math.exp(cosine / 0.5) for cosine in cosines]
    slow.append(-math.log(e[(i + 6) % 12] / (sum(e) - e[i])))
off = nt_xent(z1, z2, 0.5) - torch.tensor(slow)
claim("representation-ntxent-loop",
      "largest difference between the matrix form and the sums of the equation",
      off.abs().max().round(decimals=10), 0.0, item="E1.9", by="term by term", atol=1e-9)

n, tau = 8, 0.5
corners = torch.eye(n)  # views coincide, different images are orthogonal
claim("representation-ntxent-orthogonal",
      "loss when views coincide and images are orthogonal, n = 8, τ = 1/2",
      nt_xent(corners, corners, tau).mean(), math.log(math.exp(1 / tau) + 2 * n - 2) - 1 / tau,
      by="log(e^{1/τ} + 2n − 2) − 1/τ", atol=1e-12, unit="nats")
z = torch.cat([corners, corners])
sim = z @ z.T / tau
positive = sim[torch.arange(16), torch.arange(16).roll(8)]
with_self = (sim.logsumexp(1) - positive).mean()  # forgets m ≠ i
claim("representation-ntxent-self",
      "the same codes when the anchor itself is left in the sum (wrong)", with_self,
      math.log(2 * math.exp(1 / tau) + 2 * n - 2) - 1 / tau, item="E1.9",
      by="log(2e^{1/τ} + 2n − 2) − 1/τ", atol=1e-12, unit="nats")


# %% [markdown]
# ### Similarity alone: collapse
#
# :::{admonition} Common mistake: Contrastive learning maximises the similarity of two views
# :class: mistake
# {item}`E1.9` Similarity alone is maximised by the constant encoder, which keeps nothing, as the cells below show. The
# negatives in the denominator are half of the method: they push codes apart and make them spread over the sphere
# {cite:p}`wang2020`. (Other guards do too: BYOL's slowly moving target {cite:p}`grill2020`, Barlow Twins' decorrelated code
# {cite:p}`zbontar2021`.) How many there are bounds what the loss can measure (claim `representation-infonce-cap`), and
# since there is neither decoder nor density, the result is no generative model.
# :::
#
# To see it, train an encoder on $-\mathrm{sim}(z,z')$ alone. As views we use small random distortions of the kind a hand
# makes: up to 11 degrees of rotation, a little shear, a tenth of a change in size, a shift by up to half a pixel or so,
# and some noise. (Their size was chosen on validation images: claim `representation-view-size`.)

# %%
def handwriting_view(x, generator, size=1.0):
    """Rotate, shear, scale and shift images (n, 64) at random; add noise."""
    n = len(x)
    r = size * (2 * torch.rand(n, 6, generator=generator) - 1)  # uniform, ±size
    angle, shear = 0.2 * r[:, 0], 0.2 * r[:, 1]
    (wide, high), (right, down) = 1 + 0.1 * r[:, 2:4].T, 0.15 * r[:, 4:].T
    entries = [wide * angle.cos(), shear - angle.sin(), right,
               angle.sin(), high * angle.cos(), down]  # fmt: skip
    affine = torch.stack(entries, 1).view(n, 2, 3)  # new pixel -> old place
    images = (x + mean).view(n, 1, 8, 8)
    places = F.affine_grid(affine, images.shape, align_corners=False)
    moved = F.grid_sample(images, places, align_corners=False).view(n, 64)
    return moved - mean + 0.15 * size * torch.randn(n, 64, generator=generator)


# %%
def train_contrastive(loss_of_views, view, *, steps, generator, seed=0):
    """An encoder 64 → 128 → 128 → 16 trained on two views of each image."""
    torch.manual_seed(seed)
    encoder = mlp(64, 128, 128, 16)

    def loss(x):
        first, second = view(x, generator), view(x, generator)
        return loss_of_views(encoder(first), encoder(second))

    fit(loss, encoder.parameters(), x_train, steps=steps, lr=2e-3,
        schedule="cosine", generator=generator)
    return encoder.requires_grad_(False)


def similarity_only(z1, z2):
    return -F.cosine_similarity(z1, z2).mean()


def with_negatives(z1, z2):
    return nt_xent(z1, z2, 0.2).mean()


collapsed = train_contrastive(similarity_only, handwriting_view,
                              steps=200, generator=gen)
handwriting = train_contrastive(with_negatives, handwriting_view,
                                steps=600, generator=gen)


# %% tags=["hide-input"]
def spread(encoder):
    """Mean cosine of the codes of different images: 1 if all are the same."""
    z = F.normalize(encoder(x_test), dim=1)
    return ((z @ z.T).sum() - len(z)) / (len(z) * (len(z) - 1))


claim("representation-collapse",
      "mean cosine of different images' codes, trained without negatives", spread(collapsed),
      item="E1.9", by="1 is total collapse", at_least=0.99, stable=False)
claim("representation-no-collapse", "the same with negatives", spread(handwriting), item="E1.9",
      by="0 is a uniform spread", at_most=0.1, stable=False)
same = torch.ones(8, 16), torch.ones(8, 16)  # a constant encoder's codes
claim("representation-constant", "constant encoder, 8 images: loss without negatives, and NT-Xent",
      torch.stack([similarity_only(*same), with_negatives(*same)]), [-1.0, math.log(15)],
      item="E1.9", by="−1 is the minimum; log(2n − 1) is blind guessing", atol=1e-9)


# %% [markdown]
# ### What the loss can measure
#
# Behind {eq}`eq-representation-ntxent` stands a bound on the mutual information, **InfoNCE** {cite:p}`oord2018,poole2019`.
# Draw a pair $(x,y)$ from $p(x,y)$, hide $y$ among $K-1$ independent draws from $p(y)$, and let a **critic** $f(x,y)$ score
# all $K$ candidates.
#
# :::{prf:theorem} InfoNCE
# :label: thm-representation-infonce
# Let $C$, uniform on $1,\dots,K$, be the position of the true partner and
# $L=-\mathbb E\log\dfrac{e^{f(x,y_C)}}{\sum_{j=1}^K e^{f(x,y_j)}}$. Then for every critic
#
# $$\log K-L\;\le\;\min\bigl(I(X;Y),\,\log K\bigr).$$
# :::
#
# :::{prf:proof}
# $L$ is minus the mean logarithm of a probability, so $L\ge0$: that is the second bound. It is also a cross-entropy for
# guessing $C$, so $L\ge H(C\mid x,y_{1:K})=\log K-I(C;x,y_{1:K})$. The candidates alone say nothing about $C$, hence
# $I(C;x,y_{1:K})=I(C;x\mid y_{1:K})\le I(C,y_{1:K};x)$. And $x$ depends on $(C,y_{1:K})$ only through $y_C$, so the last
# term is $I(Y;X)$.
# :::
#
# (NT-Xent's negatives come in pairs, two views of each other image, so the theorem is about its idealisation with independent ones.)
#
# The best critic is $f=\log p(y\mid x)-\log p(y)$. Two correlated Gaussian vectors with correlation $\rho$ in each of $m$
# coordinates have it in closed form, with $I=-\tfrac m2\log(1-\rho^2)$, so that no training can blur the picture.
# {item}`X1.6`

# %%
def critic(x, y, rho):
    """log p(y | x) − log p(y) for every pair: x, y (b, K, m) -> (b, K, K)."""
    dims = x.shape[-1]
    xx, yy = (x**2).sum(-1)[:, :, None], (y**2).sum(-1)[:, None, :]
    quadratic = rho**2 * (xx + yy) - 2 * rho * x @ y.transpose(1, 2)
    return -quadratic / (2 * (1 - rho**2)) - dims / 2 * math.log(1 - rho**2)


def infonce(scores):
    """log K − L: scores (b, K, K), true partners on the diagonal -> (b,)."""
    positive = scores.diagonal(dim1=1, dim2=2)  # (b, K)
    loss = (scores.logsumexp(2) - positive).mean(1)
    return math.log(scores.shape[-1]) - loss


# %% [markdown]
# The sum must contain the true partner. Leave it out, and what is left is no lower bound: with the best critic
# $\mathbb E\,f(x,y_C)=I$, and the mean of $e^{f(x,y_j)}$ over the $K-1$ negatives, whose expectation is 1, has by
# Jensen's inequality a logarithm of at most 0 on average, so that $\log(K-1)-L\ge I$ for every $K$.

# %%
def infonce_without_positive(scores):
    """The same with the true partner left out of the sum (wrong)."""
    positive = scores.diagonal(dim1=1, dim2=2)
    diagonal = torch.eye(scores.shape[-1], dtype=torch.bool)
    negatives = scores.masked_fill(diagonal, -math.inf)
    loss = (negatives.logsumexp(2) - positive).mean(1)
    return math.log(scores.shape[-1] - 1) - loss


# %%
counts, cases = [2, 8, 64, 512], [(4, 0.9), (10, 0.95)]
estimate, error, wrong, wrong_error = torch.zeros(4, 2, 4)
info = torch.tensor([-m / 2 * math.log(1 - rho**2) for m, rho in cases])  # nats
for i, (m, rho) in enumerate(cases):
    for j, size in enumerate(counts):
        x = torch.randn(max(8, 8192 // size), size, m, generator=gen)
        noise = torch.randn(x.shape, generator=gen)
        scores = critic(x, rho * x + math.sqrt(1 - rho**2) * noise, rho)
        estimate[i, j], error[i, j] = monte_carlo(infonce(scores))
        mutant = infonce_without_positive(scores)
        wrong[i, j], wrong_error[i, j] = monte_carlo(mutant)

# %% tags=["hide-input"]
ceiling = torch.minimum(info[:, None], torch.tensor(counts).log())  # (2, 4)
claim("representation-infonce-cap",
      "best critic: estimate minus min(I, log K), both I, K = 2, 8, 64, 512", estimate - ceiling,
      item="E1.9", by="the theorem's bound", at_most=0.0, se=error, z=3.0, unit="nats")
claim("representation-infonce-blind", "its values at I = 11.6 nats, K = 2, 8, 64, 512", estimate[1],
      torch.tensor(counts).log(), by="log K: the loss sees no further", atol=0.05, digits=3,
      unit="nats")
claim("representation-infonce-no-positive",
      "wrong: positive left out of the sum; estimate minus I, both I, all K", wrong - info[:, None],
      by="never below I (Jensen): no lower bound", at_least=0.0, se=wrong_error, digits=3,
      unit="nats")

# %% mystnb={"figure": {"name": "fig-representation-infonce", "caption": "InfoNCE with the best possible critic (dots) under its two ceilings: the mutual information (dashed) and log K (line)."}, "image": {"alt": "Estimates against the number of candidates K from 2 to 512. For mutual information 3.3 nats the dots rise and bend below the dashed level; for nearly 12 nats they lie on the line log K and end at about half of the dashed level."}} tags=["hide-input"]
fig, ax = plt.subplots(figsize=(5.4, 2.8))
ax.plot(counts, np.log(counts), color=colors.truth, label="log K")
for case, color in enumerate((colors.model, colors.bad)):
    ax.axhline(info[case], ls="--", lw=1.2, color=color)
    ax.plot(
        counts,
        estimate[case],
        "o",
        color=color,
        label=f"estimate, $I$ = {info[case]:.2f} nats",
    )
ax.set_xscale("log", base=2)
ax.set(xlabel="number of candidates $K$", ylabel="nats", ylim=(0, 12.5))
ax.legend(loc="center left", bbox_to_anchor=(0, 0.68))
plt.show()

# %% [markdown]
# A critic that knows everything about the pair still reports no more than $\log K$
# ({numref}`fig-representation-infonce`). That is one reason why contrastive methods want large batches, and why a loss at
# its floor does not say how much the code knows.
#
# ### The views decide
#
# {item}`X1.7` Now the experiment that the three objectives were waiting for. Add to every digit a nuisance: a random
# pattern from a fixed 16-dimensional space, drawn anew for each picture, with 31 times the variance of the digits. Think
# of lighting, or of the hum in a recording. The pictures below contain the digits, but no eye will find them.
#
# Four encoders with 16 numbers each look at these pictures, and a **linear probe**, logistic regression with 5 or 20
# labelled images per class, shows what they kept. Three of the encoders are *linear*: the principal components, a contrastive
# encoder whose two views of a digit carry **different nuisances**, and one with the views chosen the other way round, **same
# nuisance, different digit**. They have the same form and the same size. Only the objective differs.

# %%
basis = torch.linalg.qr(torch.randn(64, 16, generator=gen)).Q  # orthonormal
strength = (31 * lam.sum() / 16).sqrt()


def with_nuisance(x, generator):
    """Add a fresh nuisance pattern to every image."""
    pattern = torch.randn(len(x), 16, generator=generator) @ basis.T
    return x + strength * pattern


def right_views(x, generator):
    """Same digit, two nuisances."""
    return with_nuisance(x, generator), with_nuisance(x, generator)


def wrong_views(x, generator):
    """Same nuisance, two digits."""
    pattern = strength * torch.randn(len(x), 16, generator=generator) @ basis.T
    other = x[torch.randperm(len(x), generator=generator)]
    return x + pattern, other + pattern


# %%
def train_linear_contrastive(views, *, steps=300):
    """z = xW with W (64, 16), trained with NT-Xent."""
    weight = (torch.randn(64, 16, generator=gen) / 20).requires_grad_()

    def loss(x):
        first, second = views(x, gen)
        return nt_xent(first @ weight, second @ weight, 0.5).mean()

    fit(loss, [weight], x_train, steps=steps, batch_size=256, lr=3e-3,
        generator=gen)
    return weight.detach()


# %%
noisy_train = with_nuisance(x_train, gen)
noisy_test = with_nuisance(x_test, gen)
# fresh nuisances, enough for every training step of the autoencoder
many = with_nuisance(x_train.repeat(48, 1), gen)
w_right = train_linear_contrastive(right_views)
w_wrong = train_linear_contrastive(wrong_views)
# PCA of infinitely many such pictures
noisy_cov = cov + strength**2 * basis @ basis.T
w_pca = torch.linalg.eigh(noisy_cov).eigenvectors[:, -16:]
ae_encoder, _ = train_autoencoder(
    many, with_nuisance(x_val, gen), 16, steps=400, generator=gen
)
clean = torch.eye(64) - basis @ basis.T  # for somebody who knows the nuisance


# %% tags=["hide-input"]
def few_labels(per_class, seed):
    """Indices of `per_class` training images of every class, at random."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(y_train), generator=generator)
    return torch.cat([order[y_train[order] == c][:per_class] for c in range(10)])


def few_label_accuracy(z_fit, z_new, per_class, seeds=range(5), y_new=y_test):
    """Accuracy of a linear probe from `per_class` labels, mean over draws."""
    scores = []
    for seed in seeds:
        i = few_labels(per_class, seed)
        scores.append(linear_probe(z_fit[i], y_train[i], z_new, y_new))
    return sum(scores) / len(scores)


codes = {
    "contrastive, right views": (noisy_train @ w_right, noisy_test @ w_right),
    "all 64 pixels": (noisy_train, noisy_test),
    "non-linear autoencoder": (ae_encoder(noisy_train), ae_encoder(noisy_test)),
    "PCA": (noisy_train @ w_pca, noisy_test @ w_pca),
    "contrastive, wrong views": (noisy_train @ w_wrong, noisy_test @ w_wrong),
    "nuisance removed by hand": (noisy_train @ clean, noisy_test @ clean),
}
score = {
    name: [few_label_accuracy(*z, per_class) for per_class in (5, 20)]
    for name, z in codes.items()
}

right = torch.tensor(score["contrastive, right views"])
names = "PCA", "non-linear autoencoder"
claim("representation-views-gap",
      "5 labels per class: contrastive minus PCA, and minus autoencoder",
      right[0] - torch.tensor([score[n][0] for n in names]), by="same code size, same probe",
      at_least=0.5, stable=False)
claim("representation-views-pixels", "5 labels per class: contrastive minus all pixels",
      right[0] - score["all 64 pixels"][0], by="same probe", at_least=0.45, stable=False)
claim("representation-views-wrong", "accuracy with the wrong views, 5 and 20 labels per class",
      torch.tensor(score["contrastive, wrong views"]), by="chance is 1/10", at_most=0.14,
      stable=False)
w_inside = basis @ basis.T @ w_wrong  # its weights in the nuisance's space alone
clean_accuracy = [few_label_accuracy(x_train @ w, x_test @ w, 20)
                  for w in (w_wrong, w_inside)]
claim("representation-views-cancelled",
      "clean digits, 20 labels per class: what the wrong views' code gains without these weights",
      clean_accuracy[1] - clean_accuracy[0], by="with and without the weights outside",
      at_least=0.4, stable=False)
claim("representation-views-cancelled-variance",
      "variance of clean digits in the code of the wrong views, with over without them",
      torch.trace(w_wrong.T @ cov @ w_wrong) / torch.trace(w_inside.T @ cov @ w_inside),
      by="below 1: the weights outside subtract", at_most=0.35, stable=False)


# %% [markdown]
# Because the encoders are linear one can also look inside. The share of an encoder's weight that lies in the nuisance's
# space, $\lVert B^\top W\rVert^2/\lVert W\rVert^2$ with $B$ the basis of that space, is $16/64=1/4$ for weights without a
# preference.

# %%
def nuisance_share(weight):
    """Share of the squared weight that reads the nuisance's 16 directions."""
    return ((basis.T @ weight) ** 2).sum() / (weight**2).sum()


# %% tags=["hide-input"]
claim("representation-share-none", "share of random weights in the nuisance's space",
      nuisance_share(torch.randn(64, 4000, generator=gen)), 16 / 64, by="dimensions: 16 of 64",
      atol=0.01, digits=2)
claim("representation-share-pca", "share of PCA's weights in it", nuisance_share(w_pca),
      by="PCA follows variance", at_least=0.995, stable=False)
claim("representation-share-right", "share of the contrastive weights in it, right views",
      nuisance_share(w_right), by="the views differ there, so nothing may be kept", at_most=0.001,
      stable=False)
claim("representation-share-wrong", "share of the contrastive weights in it, wrong views",
      nuisance_share(w_wrong), by="more than 1/4, less than all", at_least=0.55, at_most=0.7,
      stable=False)

# %% mystnb={"figure": {"name": "fig-representation-views", "caption": "Left: six digits and two views of each. Right: accuracy of a linear probe with 5 (light) or 20 (dark) labels per class; the dotted line is chance."}, "image": {"alt": "Left, a row of clean digits above two rows of pictures that look like pure noise. Right, horizontal bars: the contrastive code with right views comes close to the pictures whose nuisance was removed by hand; all pixels do far worse at 5 labels, and the autoencoder, PCA and the wrong views stay near chance."}} tags=["hide-input"]
fig, (grid, ax) = plt.subplots(1, 2, figsize=(7, 2.9), width_ratios=[1, 0.9])
some = ten[[0, 2, 3, 5, 7, 8]]
first, second = right_views(some, gen)
largest = torch.cat([first, second]).abs().max()
image_grid(
    torch.cat([2 * (some + mean) - 1, first / largest, second / largest]),
    ncols=6,
    ax=grid,
    vmin=-1,
    vmax=1,
)
grid.set_yticks([3.5, 12.5, 21.5], ["digit", "view 1", "view 2"])
names = list(score)[::-1]
for column, (offset, alpha) in enumerate(((0.2, 0.45), (-0.2, 1.0))):
    values = [score[name][column] for name in names]
    bars = ax.barh(
        np.arange(6) + offset,
        values,
        height=0.38,
        color=colors.model,
        alpha=alpha,
    )
    ax.bar_label(bars, fmt="%.2f", fontsize=8, padding=2)
ax.axvline(0.1, ls=":", color=colors.truth, lw=1)
ax.set_yticks(range(6), names)
ax.set(xlabel="accuracy, held-out pictures", xlim=(0, 1.08))
plt.show()


# %% [markdown]
# PCA and the autoencoder ({numref}`fig-representation-views`) did what they were asked: keep what costs pixels, and the
# nuisance costs the most. The contrastive encoder threw the same directions away because the two views *disagree* there;
# with the views exchanged it kept them and threw the digits away. More than a quarter of its weights lie outside the
# nuisance's space, where they *subtract* what a digit adds inside it: without them clean digits are easily told apart
# (claim `representation-views-cancelled`), with them little is left, and under the nuisance nothing.
# Nobody gave any of them a label. The choice of views was the
# supervision: who decides what is left out is **whoever chooses what counts as the same**.
#
# ## What a code is for
#
# {item}`S1.15` A representation is good *for* something. Three uses, each with a held-out score and a named baseline.
#
# **Visualisation.** Two numbers per image, drawn as in {numref}`fig-representation-latent`. How much of the data survives in
# the drawing can be scored: with labels, by how often the 5 nearest training codes name a held-out image's class; without
# them, by *trustworthiness*, which falls when images become neighbours in the drawing that were none in pixels (1 is
# perfect). The baseline is the usual first drawing, two principal components. The autoencoder's drawing is better by both
# scores, not only prettier. And the clusters that nobody asked for are in the pixels already: the 5 nearest *images* name
# nearly every held-out digit (claim `representation-look-pixels`), so that a drawing which keeps neighbours keeps classes.
# Take that away, as the nuisance did above, and the same objective sorts nothing.

# %% tags=["hide-input"]
def neighbour_accuracy(z_fit, z_new):
    """Accuracy of 5 nearest neighbours."""
    reader = KNeighborsClassifier(5).fit(z_fit.numpy(), y_train.numpy())
    return reader.score(z_new.numpy(), y_test.numpy())


flat = (x_train @ u[:, :2], x_test @ u[:, :2])
bent = (encoder_2(x_train), encoder_2(x_test))

claim("representation-look-labels",
      "5 neighbours in the plane: autoencoder minus principal components",
      neighbour_accuracy(*bent) - neighbour_accuracy(*flat), by="held-out digits, same size",
      at_least=0.08, at_most=0.3, stable=False)
claim("representation-look-pixels", "5 neighbours among all 64 pixels: accuracy",
      neighbour_accuracy(x_train, x_test), by="held-out digits", at_least=0.96, at_most=1.0)
trust = [trustworthiness(x_test.numpy(), z[1].numpy()) for z in (flat, bent)]
claim("representation-look-trust", "trustworthiness: autoencoder minus principal components",
      trust[1] - trust[0], by="held-out digits, same size", at_least=0.04, at_most=0.13,
      stable=False)

# %% [markdown]
# **Clustering.** Let 10-means find clusters in the training codes and ask how far the clusters of held-out images agree
# with their labels (adjusted Rand index: 0 chance, 1 perfect). Baseline: the same algorithm on pixels. Saving pixels is
# not sorting, so don't expect much of the autoencoder's 8 numbers; the code trained to recognise a digit under small
# distortions is another matter.
#
# **Transfer.** A code learned from all 1077 images without labels, a linear probe from 5 labels per class. Baseline:
# the same probe on the pixels, which is *linear in the pixels* while the code is not; the second question below lets a
# non-linear classifier compete. Here too it depends on the code ({numref}`fig-representation-uses`). (The full story, with
# other ways to use the unlabelled images, is told in {ref}`ch-transfer`.)

# %% tags=["hide-input"]
encoders = [handwriting] + [
    train_contrastive(with_negatives, handwriting_view, steps=600,
                      generator=gen, seed=seed)
    for seed in (1,)
]
spheres = [[F.normalize(encoder(x), dim=1) for x in (x_train, x_test)]
           for encoder in encoders]
ae_codes = [networks[8][0](x) for x in (x_train, x_test)]
grouping = {
    "pixels": clustering_score(x_train, x_test, y_test),
    "autoencoder": clustering_score(*ae_codes, y_test),
    "contrastive": np.mean([clustering_score(*z, y_test) for z in spheres]),
}
transfer = {
    "pixels": few_label_accuracy(x_train, x_test, 5),
    "autoencoder": few_label_accuracy(*ae_codes, 5),
    "contrastive": np.mean([few_label_accuracy(*z, 5) for z in spheres]),
}

claim("representation-group-contrastive",
      "10-means, adjusted Rand index: contrastive code minus pixels",
      grouping["contrastive"] - grouping["pixels"], by="10-means on pixels", at_least=0.05,
      at_most=0.4, stable=False)
claim("representation-group-autoencoder",
      "10-means, adjusted Rand index: contrastive minus autoencoder",
      grouping["contrastive"] - grouping["autoencoder"], by="10-means on the autoencoder's code",
      at_least=0.12, stable=False)
claim("representation-transfer", "accuracy with 5 labels per class: contrastive code minus pixels",
      transfer["contrastive"] - transfer["pixels"], by="linear probe on pixels", at_least=0.05,
      stable=False)

by_size = []  # accuracy on validation images when the views are half or twice as large
for times in (1.0, 0.5, 2.0):
    encoder = train_contrastive(
        with_negatives, lambda x, g, size=times: handwriting_view(x, g, size),
        steps=200, generator=torch.Generator().manual_seed(0))
    z = [F.normalize(encoder(x), dim=1) for x in (x_train, x_val)]
    by_size.append(few_label_accuracy(*z, 5, y_new=d.validation.y))
claim("representation-view-size",
      "validation images, 5 labels: distortions half, twice as large, minus ours",
      torch.tensor(by_size[1:]) - by_size[0], by="ours were chosen so", at_most=-0.01, stable=False)

# %% mystnb={"figure": {"name": "fig-representation-uses", "caption": "Two uses of three descriptions of the same held-out digits. Light: clustering by 10-means (adjusted Rand index). Dark: transfer from 5 labels per class (accuracy)."}, "image": {"alt": "Grouped bars for pixels, the autoencoder with eight numbers and the contrastive code. The contrastive code is clearly highest in clustering and also highest in accuracy; the autoencoder gains little or nothing over pixels at transfer."}} tags=["hide-input"]
fig, ax = plt.subplots(figsize=(6.4, 2.3))
names = list(grouping)[::-1]
for values, offset, alpha in ((grouping, 0.2, 0.45), (transfer, -0.2, 1.0)):
    bars = ax.barh(
        np.arange(3) + offset,
        [values[n] for n in names],
        height=0.38,
        color=colors.model,
        alpha=alpha,
    )
    ax.bar_label(bars, fmt="%.2f", fontsize=8, padding=2)
ax.set_yticks(range(3), names)
ax.set(xlabel="adjusted Rand index (light), accuracy (dark)", xlim=(0, 1.05))
plt.show()

# %% [markdown]
# ## Questions
#
# {item}`S1.16` Two questions close this objective; harder ones are answered in {ref}`ch-generation` and
# {ref}`ch-transfer`.
#
# :::{exercise-start} Reconstruction against regularisation
# :label: q1-5
# :class: question
# :::
# {item}`Q1.5` How does the trade-off between faithful reconstruction and a regular latent space shape what a VAE's code represents?
# :::{exercise-end}
# :::
#
# :::{solution-start} q1-5
# :label: q1-5-solution
# :class: dropdown
# :::
# **It is a position on one curve.** By {eq}`eq-representation-rd`, $-\mathrm{ELBO}=\Delta/(2\sigma^2)+R$ up to a
# constant, and a weight $\beta$ on the rate only changes $\theta=\beta\sigma^2$. At the optimum the curve $\Delta(R)$ has
# slope $-2\theta$: one more nat of code buys $2\beta\sigma^2$ of squared error, and the model buys until the price is
# that. Along the curve, directions leave one by one, smallest variance first ({numref}`fig-representation-rate`): low
# $\theta$ keeps fine strokes, high $\theta$ only the coarse shape, and above $\lambda_1$ the code is empty.
#
# **What "regularisation" regularises.** Averaged over the data the rate splits exactly {cite:p}`hoffman2016`,
#
# $$
# \begin{aligned}
# R&=I_q(x;z)+\mathrm{KL}\bigl(q(z)\,\Vert\, p(z)\bigr),\\
# q(z)&=\mathbb E\,q(z\mid x):
# \end{aligned}
# $$ (eq-representation-surgery)
#
# information about the image, plus the mismatch between the codes that occur and the prior that one samples from. Only
# the second is a defect (holes: prior samples that no image uses). Pressing on $R$ presses on both.
#
# **It need not be tuned by taste.** With $\beta=1$ and a *learned* $\sigma^2$, the likelihood itself chooses the point
# (claim `representation-learned-noise`). And β does not disentangle by itself: the linear optimum picks the eigenvectors
# because a diagonal $q$ rewards aligned axes (where eigenvalues differ), not because β is large
# {cite:p}`lucas2019,locatello2019`.
#
# The cells check the slope between neighbouring trained models, and the split on a linear encoder far from optimal. For
# the split they take Gaussian data with the digits' covariance, where all three terms are formulas: the rate depends on
# the data through the covariance only, its two parts do not. With such data the best linear VAE has no holes. On the
# digits themselves it has some: $q(z)$ is then a finite mixture of Gaussians that are narrower than the prior, and no
# such mixture is $\mathcal N(0,I)$.

# %%
neighbours = []
for nudge in (0.97, 1.03):  # β a little below and a little above 1
    near = [p.clone().requires_grad_() for p in models[1]]
    minimise(lambda p=near, beta=nudge: weighted_loss(p, cov, sigma2, beta),
             near, steps=300)
    neighbours.append(torch.stack(distortion_and_rate(*near, cov)).detach())
rise, run = neighbours[1] - neighbours[0]

# %% tags=["hide-input"]
claim("representation-slope", "price of a nat at β = 1, −dΔ/dR over βσ², from trained neighbours",
      -rise / run / sigma2, 2.0, by="slope −2βσ² (a forgotten factor would give 1)", rtol=0.02,
      digits=2)

# %%
any_a = torch.randn(5, 64, generator=gen)  # any encoder, far from optimal
any_log_s = torch.randn(5, generator=gen)
s = torch.diag(any_log_s.exp())
agg = any_a @ cov @ any_a.T + s  # covariance of q(z)
information = 0.5 * (torch.logdet(agg) - any_log_s.sum())  # I(x; z)
mismatch = kl_gaussian(torch.zeros(5), agg, torch.zeros(5), torch.eye(5))
rate = distortion_and_rate(torch.zeros(64, 5), any_a, any_log_s, cov)[1]

# %% tags=["hide-input"]
claim("representation-split",
      "Gaussian data, random linear encoder: rate, and information + mismatch", rate,
      information + mismatch, by="Gaussian closed forms", atol=1e-9, unit="nats")
best_a, best_log_s = models[1][1:]
agg = best_a @ cov @ best_a.T + torch.diag(best_log_s.exp())
claim("representation-no-holes",
      "Gaussian data: mismatch KL(q(z)‖p(z)) at the trained optimum, β = 1",
      kl_gaussian(torch.zeros(20), agg, torch.zeros(20), torch.eye(20)),
      by="0: a² λ + s = 1 in every direction", at_most=0.005, unit="nats", stable=False)


# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise-start} Contrastive learning against autoencoders
# :label: q1-6
# :class: question
# :::
# {item}`Q1.6` What are the advantages of contrastive learning over ordinary autoencoders in computer vision?
# :::{exercise-end}
# :::
#
# :::{solution-start} q1-6
# :label: q1-6-solution
# :class: dropdown
# :::
# **For.** An autoencoder spends its code where the pixels vary, nuisances included ({prf:ref}`thm-representation-pca`). A
# contrastive code keeps what two views share and drops the rest, so that its invariances are *chosen*; it needs no
# decoder, hence no model of every pixel; what it keeps tends to be easy to read off linearly; and a loss of its kind
# bounds an information ({prf:ref}`thm-representation-infonce`). The nuisance experiment
# ({numref}`fig-representation-views`) is the clean case: same architecture, same code size, from useless to useful.
#
# **Against.** The views are supervision by other means: with the wrong ones the digits disappear. The bound stops at
# $\log K$, so that seeing much takes large batches. Without negatives or another guard the code collapses. There is no density and nothing
# can be generated. And invariance may delete what the next task needs: an encoder taught to ignore rotation can't tell a
# 6 from a 9.
#
# **Without a nuisance the views decide how much is gained.** On *clean* digits, views made by adding pixel noise gain something over the
# pixels; views that imitate handwriting gain more. Is that merely data augmentation? Here nearly so.
# Let the same 50 labelled images, each distorted 20 times, train a classifier on pixels. If it is linear, the contrastive
# code is ahead; but that code is read through a non-linear encoder. A non-linear classifier (SVM with a Gaussian kernel, its
# $C$ chosen on validation images), which sees the distortions but none of the unlabelled images, comes within a few
# hundredths of it, on average over ten draws of labels (claim `representation-clean-curved`). It needs both: without
# the distortions it is behind as well (claim `representation-clean-undistorted`).

# %% tags=["hide-input"]
def noise_view(x, generator):
    """Add noise to every pixel; size: best of four on validation images."""
    return x + 0.4 * torch.randn(x.shape, generator=generator)


noise_only = train_contrastive(with_negatives, noise_view,
                               steps=500, generator=gen)
noise_codes = [F.normalize(noise_only(x), dim=1) for x in (x_train, x_test)]
augmented = []  # linear classifier and SVM, with distorted copies; SVM without


def curved(x, y):
    """Test accuracy of an SVM, C chosen on validation images."""
    bent = [SVC(C=c).fit(x, y) for c in (0.1, 1.0, 10.0, 100.0)]
    best = max(bent, key=lambda m: m.score(x_val, d.validation.y))
    return best.score(x_test, y_test)


for seed in range(10):
    chosen = few_labels(5, seed).repeat(20)
    distorted, names = handwriting_view(x_train[chosen], gen), y_train[chosen]
    straight = linear_probe(distorted, names, x_test, y_test, C=0.1)
    plain = curved(x_train[chosen[:50]], names[:50])
    augmented.append([straight, curved(distorted, names), plain])
contrastive = sum(
    torch.tensor([few_label_accuracy(*z, 5, seeds=[s]) for s in range(10)])
    for z in spheres) / len(spheres)  # (10,) the same draws of labels
ahead = contrastive[:, None] - torch.tensor(augmented)  # (10, 3)

claim("representation-clean-noise", "clean digits, 5 labels: noise views minus pixels",
      few_label_accuracy(*noise_codes, 5) - transfer["pixels"], by="linear probe on pixels",
      at_least=0.01, at_most=0.08, stable=False)
claim("representation-clean-handwriting", "the same: handwriting views minus noise views",
      transfer["contrastive"] - few_label_accuracy(*noise_codes, 5), at_least=0.01, at_most=0.07,
      by="same loss, other views", stable=False)
claim("representation-clean-augmented",
      "clean digits, 5 labels: handwriting views minus augmented pixels, linear",
      ahead[:, 0].mean(), at_least=0.03, at_most=0.09,
      by="linear probe on pixels with the same distortions", stable=False)
claim("representation-clean-curved", "the same, minus augmented pixels, SVM", ahead[:, 1].mean(),
      at_least=-0.015, at_most=0.03, by="kernel classifier on pixels with the same distortions",
      stable=False)
claim("representation-clean-undistorted", "the same, minus the SVM without distortions",
      ahead[:, 2].mean(), at_least=0.025, at_most=0.08, by="kernel classifier on the 50 images",
      stable=False)

# %% [markdown]
# :::{solution-end}
# :::
#
# ## Exercises
#
# :::{bank} representation-best-linear
# :::
#
# :::{bank} representation-elbo
# :::
#
# :::{bank} representation-implied-noise
# :::
#
# :::{bank} representation-rate-distortion
# :::
#
# :::{bank} representation-nt-xent
# :::
#
# :::{bank} representation-explain-crack
# :::
#
# ## What to read next
#
# - That linear autoencoders are PCA is {cite:t}`bourlard1988` and {cite:t}`baldi1989`; the second also shows that the
#   loss has no bad local minima. Deep ones that work begin with {cite:t}`hinton2006`. {cite:t}`bengio2013` asks what a
#   good representation is in the first place.
# - {cite:t}`kingma2014` and {cite:t}`rezende2014` are the two sources of the variational autoencoder;
#   {cite:t}`tipping1999` is its linear case, solved, and {cite:t}`lucas2019` shows that the linear case already
#   collapses. {cite:t}`alemi2018` draws the rate–distortion plane for deep models and says where the ELBO is blind.
# - {cite:t}`oord2018` introduces InfoNCE, {cite:t}`chen2020` the loss and the views that made it work on photographs,
#   {cite:t}`wang2020` splits it into alignment and uniformity, {cite:t}`poole2019` compares bounds on information, and
#   {cite:t}`tschannen2020` argues that information is not what makes the codes good.
# - {cite:t}`locatello2019` proves that nothing in the data alone names the axes of a code.
# - On to {ref}`ch-at-work`, where the objectives are judged, and {ref}`ch-transfer`, where one model has to serve all three.
