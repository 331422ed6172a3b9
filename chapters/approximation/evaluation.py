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
# (ch-evaluation)=
# # Evaluation and diagnosis
#
# After this page you will be able to
#
# - write the common scores of generative models from their formulas, with their units and their null values;
# - say of each score what it sees and what it is blind to, and show the blind spot with an example;
# - tell a likelihood from a bound on it, and say when two likelihoods may be compared;
# - test "are these samples from the same law?" with a false-alarm rate that you choose;
# - report two numbers, one for what a model misses and one for what it makes up.

# %%
import itertools
import math
import warnings

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from scipy import integrate, special
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from genkit.checks import agree, claim, monte_carlo, self_check
from genkit.data import binarise, dequantise, digits, toy
from genkit.divergences import kl_quadrature, mmd2
from genkit.metrics import (
    bits_per_dim,
    c2st,
    frechet_distance,
    inception_score,
    precision_recall,
)
from genkit.plot import colors, image_grid, scatter, style
from genkit.train import seed_everything

style()
gen = seed_everything(0)
torch.set_default_dtype(torch.float64)
data = digits()  # levels 0..16, 8×8 pixels: 1077 / 360 / 360 images

# %% [markdown]
# ## Eight generators, seven of them flawed
#
# {item}`S0.14` In {numref}`fig-evaluation-flaws` eight generators show ten images each. The first is as good as a generator can be: its images are real
# digits that nobody has used yet. Each of the others has one flaw. Some flaws the eye finds at once. Others it can't find in ten images, and one it
# can't find in any number of them. Which score would?

# %%
kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])[None, None] / 16


def noisy(x):
    return (x + 2 * torch.randn(x.shape, generator=gen)).round().clamp(0, 16)


def blurred(x):
    return F.conv2d(x.view(-1, 1, 8, 8), kernel, padding=1).view(-1, 64)


def generators(x, y, n):
    """Eight samples (n, 64) from fresh digits x (m, 64), y (m,) in random order."""
    low, high = x[y < 5], x[y >= 5]
    root = torch.linalg.cholesky(data.train.x.T.cov() + 1e-6 * torch.eye(64))
    return {
        "fresh digits": x[:n],
        "one class lost": x[y != 4][:n],
        "wrong balance": torch.cat([low[: 3 * n // 4], high[: n // 4]]),
        "noise": noisy(x[:n]),
        "blur": blurred(x[:n]),
        "memorised": data.train.x[torch.randperm(1077, generator=gen)[:n]],
        "twins": x[: n // 2].repeat(2, 1),
        "two moments": data.train.x.mean(0)
        + torch.randn(n, 64, generator=gen) @ root.T,
    }


pool_x = torch.cat(
    [data.validation.x, data.test.x]
)  # (720, 64), used by no generator
pool_y = torch.cat([data.validation.y, data.test.y])

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-evaluation-flaws", "caption": "Ten images from each of eight generators. The first is perfect, the others have one flaw each. A lost class, a wrong balance, memorised images and twins leave every single image a real digit."}, "image": {"alt": "Eight rows of ten small grey digits. Rows named noise, blur and two moments look damaged; the rows named one class lost, wrong balance, memorised and twins look like the first row of real digits."}}
shuffled = torch.randperm(720, generator=gen)[:200]
shown = generators(pool_x[shuffled], pool_y[shuffled], 120)
fig, ax = plt.subplots(figsize=(6, 4.6))
image_grid(torch.cat([x[torch.arange(0, 120, 12)] for x in shown.values()]), ncols=10, ax=ax, vmin=0, vmax=16)
ax.set_yticks([4 + 9 * i for i in range(8)], shown)
plt.show()


# %% [markdown]
# Evaluation is hard because we compare two laws, and have a finite sample of one and a program for the other. Every score replaces the laws by something smaller, and what it leaves
# out is its blind spot. The map of this page:
#
# | score | needs | sees | is blind to |
# |---|---|---|---|
# | NLL, bits per dimension | density, test data | missed mass | junk; units, if not stated |
# | bound (ELBO) | encoder | the same, minus its own gap | how large the gap is |
# | Inception score | classifier | unsure or one-sided labels | the data; all within a class |
# | Fréchet distance | features | two moments of the features | all else; sample size shifts it |
# | birthday test | samples | few outcomes, repeated | a long tail, and the data |
# | nearest neighbours | samples | twins | everything beyond the nearest point; rewards noise |
# | precision, recall, coverage | samples, both | junk and gaps near the data | memorising; weights of the modes |
# | mode count | known modes | lost modes | their weights |
# | principal components | samples, both | two moments | all else |
# | C2ST, MMD | samples, both | any difference, if large enough | copies of the training set |
#
# People are one more score, with a page of their own: {ref}`ch-human`.
#
# ## Likelihood, and its units
#
# {item}`S0.29` The average negative log-likelihood of $N$ test images with $d$ pixels, and the same in bits per dimension,
#
# $$
# \mathrm{NLL} = -\frac1N\sum_{i=1}^N \log p_\theta(x_i), \qquad \mathrm{BPD} = \frac{\mathrm{NLL}}{d\log 2},
# $$ (eq-evaluation-nll)
#
# is a code length if $p_\theta$ is a probability of the integer pixels. If it is a density, it has the unit of the pixels: {ref}`ch-conventions` proves the bound that
# dequantisation buys, and {ref}`ch-density` uses it. What happens without?

# %%
def gaussian_nll(x, mean, cov):  # (n, d) -> nats per image, averaged
    law = torch.distributions.MultivariateNormal(mean, cov)
    return -law.log_prob(x).mean()


cube, cube_test = (
    dequantise(part.x, generator=gen) for part in (data.train, data.test)
)
m, C = cube.mean(0), cube.T.cov()
nll = gaussian_nll(cube_test, m, C)
nll_255 = gaussian_nll(
    255 * cube_test, 255 * m, 255**2 * C
)  # the same images, 0..255


def floor_bpd(s):  # no dequantisation: one Gaussian per pixel, deviation at least s
    x = data.train.x / 16
    return bits_per_dim(
        -torch.distributions.Normal(x.mean(0), x.std(0).clamp(min=s))
        .log_prob(x)
        .sum(1)
        .mean(),
        64,
    )


constant = int((data.train.x.std(0) == 0).sum())  # pixels that never change

# %% tags=["hide-input"]
agree("evaluation-bpd-twin", nll / (64 * math.log(2)), bits_per_dim(nll, 64))
claim("evaluation-bpd-units", "one Gaussian, pixels stored as 0..255 instead of 0..1: bits per pixel move by",
      bits_per_dim(nll_255 - nll, 64), math.log2(255), item="E0.18", by="closed form log2 255", atol=1e-9, unit="bits")
claim("evaluation-bpd-negative", "bits per pixel of the Gaussian on the unit cube, unit left out", bits_per_dim(nll, 64),
      item="E0.18", by="a code length can't be negative", at_most=-0.5, unit="bits")
claim("evaluation-bpd-floor", "no dequantisation: each factor 1/1024 on the smallest deviation changes the score by",
      floor_bpd(2.0**-40) - floor_bpd(2.0**-30), -10 * constant / 64, item="E0.18",
      by="closed form: -10 bits for each constant pixel, over 64", atol=1e-9, unit="bits")


# %% [markdown]
# :::{admonition} Erratum E0.18 · Bits per dimension of what?
# :class: erratum
# {item}`E0.18` **The notes** write $-\frac1{N D}\sum_i\log_2 p_\theta(x_i)$ and say nothing of the unit. **What is true:** for a density the number moves by $\log_2 255=7.994$ when pixels are
# stored as bytes, it may be negative ({value}`evaluation-bpd-negative:.2f` here), and with {value}`evaluation-bpd-floor:.2f` bits per ten halvings of the narrowest deviation it has no lower end,
# since some pixels never change. Score integers, or dequantise and add $\log_2$ of the number of levels.
# :::
#
# **What may be compared?** Code lengths of the *same integers*, whatever made them. The next cell writes one Gaussian in two architectures: as a
# covariance, and as 64 linear regressions, each pixel on those before it.

# %%
def chain_nll(train, test):
    """Pixel j by least squares on pixels < j; nats per image."""
    total = 0.0
    for j in range(64):
        A = torch.cat([torch.ones(len(train), 1), train[:, :j]], 1)  # (n, 1 + j)
        w = torch.linalg.lstsq(A, train[:, j : j + 1]).solution
        s2 = (train[:, j] - (A @ w)[:, 0]).square().mean()
        r = test[:, j] - w[0, 0] - test[:, :j] @ w[1:, 0]
        total += 0.5 * (r.square().mean() / s2 + (2 * math.pi * s2).log())
    return total


as_chain, as_joint = (
    chain_nll(cube, cube_test),
    gaussian_nll(cube_test, m, cube.T.cov(correction=0)),
)
ink, ink_test = binarise(data.train.x), binarise(data.test.x)
rate = (ink.sum(0) + 1) / (len(ink) + 2)
black_and_white = (
    -(ink_test * rate.log() + (1 - ink_test) * (1 - rate).log()).sum(1).mean()
)

# %% tags=["hide-input"]
claim("evaluation-architectures", "one Gaussian as 64 regressions: bits per pixel", bits_per_dim(as_chain, 64, levels=17),
      bits_per_dim(as_joint, 64, levels=17), item="E0.19", by="the same law as a covariance matrix", atol=1e-8, unit="bits")
claim("evaluation-preprocessing", "independent pixels on binarised digits minus the full Gaussian on 17 levels",
      bits_per_dim(black_and_white, 64) - bits_per_dim(as_joint, 64, levels=17), item="E0.19",
      by="it would seem better by over two bits: other data, less entropy", at_most=-2.0, unit="bits")


# %% [markdown]
# :::{admonition} Erratum E0.19 · Different architectures may be compared
# :class: erratum
# {item}`E0.19` **The notes warn** that the likelihood "can be misleading" between *architectures* or domains. **What is true:** between architectures the comparison is the very point of a likelihood, as the two
# writings of one law show, equal to eight digits. It misleads between domains, preprocessings and units (a model that is blind to all correlation appears {value}`evaluation-preprocessing:.1f` bits "better" once the data are
# binarised), and between an exact value and a bound.
# :::
#
# ### A bound is not a likelihood
#
# Which brings us to the variational autoencoder. Its likelihood is an integral over $z$ that nobody can do; {ref}`ch-representation` derives
# $\mathrm{ELBO}(x)=\log p(x)-\mathrm{KL}(q(z|x)\,\|\,p(z|x))$. With $K$ draws $z_k\sim q$ a better bound is the **importance-weighted** one {cite:p}`burda2016`,
#
# $$
# \mathcal L_K(x) = \mathbb E\log\frac1K\sum_{k=1}^K \frac{p(x, z_k)}{q(z_k|x)}, \qquad \mathrm{ELBO}=\mathcal L_1\le\mathcal L_K\le\log p(x).
# $$ (eq-evaluation-iw)
#
# How large is the error? Take a decoder for which the truth is known: probabilistic PCA, $x=\mu+Wz+\sigma\varepsilon$, with any orthogonal $R$ in $W=W_0R$. The law of $x$ does
# not depend on $R$. The posterior has the precision $\Lambda=I+W^\top W/\sigma^2$; the best encoder with independent codes has the right mean and the variances $1/\Lambda_{jj}$, and its gap is
# $\frac12(\sum_j\log\Lambda_{jj}-\log\det\Lambda)$ for every $x$.

# %%
def linear_vae(k):
    """Closed-form W0 (64, k) and sigma² of probabilistic PCA."""
    lam, U = torch.linalg.eigh(C)
    s2 = lam[:-k].mean()
    return U[:, -k:] * (lam[-k:] - s2).sqrt(), s2


def bounds(x, W, s2, K):
    """IW-K estimate per image, (n,), with the best factorised encoder."""
    k = W.shape[1]
    precision = torch.eye(k) + W.T @ W / s2
    mean = torch.linalg.solve(precision, W.T @ (x - m).T / s2).T  # (n, k)
    q = torch.distributions.Normal(mean, precision.diagonal().rsqrt())
    z = q.rsample((K,))  # (K, n, k)
    log_w = (
        torch.distributions.Normal(m + z @ W.T, s2.sqrt()).log_prob(x).sum(-1)
        + torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)
        - q.log_prob(z).sum(-1)
    )
    return torch.logsumexp(log_w, 0) - math.log(K)


W0, s2 = linear_vae(20)
R = torch.linalg.qr(torch.randn(20, 20, generator=gen))[0]
W = W0 @ R
exact = -gaussian_nll(cube_test, m, W @ W.T + s2 * torch.eye(64))
precision = torch.eye(20) + W.T @ W / s2
gap = 0.5 * (precision.diagonal().log().sum() - torch.logdet(precision))
iw = {K: bounds(cube_test, W, s2, K) for K in (1, 10, 100, 1000)}

# %% tags=["hide-input"]
V0, v2 = linear_vae(18)
smaller = -gaussian_nll(cube_test, m, V0 @ V0.T + v2 * torch.eye(64))
mean, se = monte_carlo(torch.stack([bounds(cube_test, W, s2, 1).mean() for _ in range(40)]))
claim("evaluation-elbo-gap", "exact log-likelihood minus ELBO, linear VAE with rotated codes", exact - mean, gap, item="E0.6",
      by="closed form of the KL between encoder and posterior", se=se, unit="nats")
means = torch.stack([v.mean() for v in iw.values()])
claim("evaluation-iw-order", "IW bounds with K = 1, 10, 100, 1000: smallest rise from one to the next",
      (means[1:] - means[:-1]).min(), item="E0.6", by="the bound rises with K (Burda et al. 2016)", at_least=0.1, unit="nats", digits=2)
claim("evaluation-iw-close", "log-likelihood minus the bound with K = 1000", exact - means[-1], item="E0.6",
      by="below the likelihood, and nearer than a quarter of the ELBO's gap", at_least=0.1, at_most=float(gap) / 4, unit="nats", digits=2)
aligned = -0.5 * torch.logdet(torch.eye(20) + W0.T @ W0 / s2) + 0.5 * (1 + (W0.T @ W0 / s2).diagonal()).log().sum()
claim("evaluation-elbo-aligned", "the same law with uncorrelated codes: gap of the ELBO", aligned, 0.0, item="E0.6",
      by="the posterior factorises", atol=1e-9, unit="nats")
claim("evaluation-elbo-reversal-exact", "18 codes minus 20 codes, exact log-likelihood", smaller - exact, item="E0.6",
      by="the smaller model is worse", at_most=-0.3, unit="nats")
claim("evaluation-elbo-reversal", "the same difference in ELBO, codes rotated in the larger model only", smaller - (exact - gap),
      item="E0.6", by="the smaller model seems better", at_least=0.5, unit="nats")


# %% [markdown]
# :::{admonition} Erratum E0.6 · A VAE does not compute its likelihood
# :class: erratum
# {item}`E0.6` **The notes** name VAEs, beside flows, among models "that allow direct calculation of the likelihood". **What is true:** they give a bound. Here it lies {value}`evaluation-elbo-gap:.2f` nats
# low; the *same law* with unrotated codes has no gap at all; and a smaller, worse model overtakes if one compares ELBOs ({value}`evaluation-elbo-reversal:.2f` nats ahead, when in truth it is
# {value}`evaluation-elbo-reversal-exact:.2f`). Report the bound as a bound, with its $K$.
# :::
#
# ## Scores through a classifier
#
# {item}`S0.30` A classifier trained on ImageNet stands behind the two scores that are printed most often. Ours is logistic regression on the training digits: ten classes, and its logits are the features.
#
# $$
# \mathrm{IS} = \exp\Big(\frac1n\sum_{i=1}^n \mathrm{KL}\big(p(y|x_i)\,\big\|\,\bar p(y)\big)\Big), \qquad \bar p(y)=\frac1n\sum_{i=1}^n p(y|x_i).
# $$ (eq-evaluation-is)
#
# The exponent is the mutual information between image and label under the *generated* samples {cite:p}`salimans2016`. So $1\le\mathrm{IS}\le K$ for $K$ classes.

# %%
def inception(probs):
    """Inception score of class probabilities (n, K)."""
    marginal = probs.mean(0)  # over the generated samples
    kl = special.rel_entr(probs.numpy(), marginal.numpy()).sum(1)  # (n,) nats
    return float(math.exp(kl.mean()))


classifier = LogisticRegression(C=10, max_iter=5000, tol=1e-8).fit(
    data.train.x.numpy() / 16, data.train.y.numpy()
)
A, b = torch.tensor(classifier.coef_), torch.tensor(classifier.intercept_)


def logits(x):  # (n, 64) -> (n, 10)
    return x / 16 @ A.T + b


def probs(x):
    return torch.softmax(logits(x), 1)


agree(
    "evaluation-is-twin",
    inception(probs(data.test.x)),
    inception_score(probs(data.test.x)),
)
surest = probs(data.train.x).argmax(0)  # one training image per class
ten = data.train.x[surest].repeat(100, 1)  # a generator that knows ten images
nonsense = 16 * (A > 0).double()  # each class's weights, as black and white

# %% tags=["hide-input"]
real_is = inception(probs(data.test.x))
claim("evaluation-is-real", "Inception score of 360 real test digits", real_is, item="S0.14 S0.30", by="ten classes; some doubt",
      at_least=8.0, at_most=9.5, digits=3)
claim("evaluation-is-memoriser", "of ten training images, a hundred times each", inception(probs(ten)), item="E0.11",
      by="above the real digits, below ten classes", at_least=9.9, at_most=10.0, digits=4)
claim("evaluation-is-nonsense", "of ten images of the classifier's own weights", inception(probs(nonsense)), item="E0.11",
      by="above ten real images, below ten classes", at_least=9.99, at_most=10.0, digits=5)
claim("evaluation-is-certain", "of one hot label per image, ten classes equally often", inception(torch.eye(10).repeat(7, 1)), 10.0,
      item="S0.14", by="closed form K", atol=1e-12)
q = probs(data.test.x)
def H(p):
    return -torch.special.xlogy(p, p).sum(-1)

claim("evaluation-is-information", "log of the score of the real digits", math.log(real_is), H(q.mean(0)) - H(q).mean(), item="S0.14",
      by="mutual information H(y) - H(y|x)", atol=1e-10, unit="nats")
single = torch.eye(10)[:1].repeat(50, 1)
claim("evaluation-is-one-class", "one image for ever", inception(single), 1.0, item="E0.11", by="no information", atol=1e-12)
claim("evaluation-is-wrong-marginal", "wrong: uniform 'marginal over classes'; one image for ever",
      special.rel_entr(single.numpy(), 0.1).sum(1).mean(), math.log(10), item="E0.11", by="closed form: the best score, log 10", atol=1e-12, unit="nats")
kls = special.rel_entr(q.numpy(), q.mean(0).numpy()).sum(1)
claim("evaluation-is-wrong-mean", "wrong: mean of the exponentials instead of the exponential of the mean; real digits gain",
      torch.tensor(kls).exp().mean() - real_is, item="S0.14", by="Jensen's inequality", at_least=0.05, digits=2)

# %% [markdown]
# :::{admonition} Erratum E0.11 · The Inception score never looks at the data
# :class: erratum
# {item}`E0.11` **The notes** call $p(y)$ "the marginal over the classes". **What is true:** it is the average over *generated* samples; with the class frequencies of the data a collapsed generator would score
# best. And no real image enters {eq}`eq-evaluation-is`: ten memorised digits score {value}`evaluation-is-memoriser:.3f`, ten images that are no digits {value}`evaluation-is-nonsense:.4f`, the real ones
# {value}`evaluation-is-real:.2f` {cite:p}`barratt2018`.
# :::

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-evaluation-nonsense", "caption": "Ten images that the Inception score prefers to real digits."}, "image": {"alt": "A row of ten black-and-white eight-by-eight patterns without resemblance to digits."}}
fig, ax = plt.subplots(figsize=(7, 0.9))
image_grid(nonsense, ncols=10, ax=ax, vmin=0, vmax=16)
plt.show()

# %% [markdown]
# The Fréchet distance of {ref}`ch-at-work` does look at the data, and so sees the patterns of {numref}`fig-evaluation-nonsense` at once. What it does not see: whatever the features drop, and whatever two moments drop.

# %%
reference = logits(data.validation.x)
null_space = torch.linalg.svd(A)[2][10:]  # (54, 64): directions that A ignores
static = data.test.x + 8 * torch.randn(360, 54, generator=gen) @ null_space
score = {
    name: frechet_distance(reference, logits(x))
    for name, x in {
        "real": data.test.x,
        "static": static,
        "nonsense": nonsense,
        "ten": ten,
    }.items()
}
halves = [
    frechet_distance(logits(pool_x[i[:n]]), logits(pool_x[i[n : 2 * n]]))
    for n in (45, 360)
    for _ in range(10)
    for i in [torch.randperm(720, generator=gen)]
]
small, large = torch.stack(halves).view(2, 10).mean(1)

# %% tags=["hide-input"]
claim("evaluation-frechet-nonsense", "Fréchet distance of the ten patterns over that of real digits", score["nonsense"] / score["real"],
      item="S0.30", by="the patterns are noticed", at_least=10, digits=2)
claim("evaluation-frechet-ten", "of the ten memorised digits, over that of real digits", score["ten"] / score["real"],
      item="S0.30", by="the memorised ten are noticed", at_least=5, digits=2)
claim("evaluation-frechet-static", "digits under static that the features drop: change of the Fréchet distance", score["static"] - score["real"],
      0.0, item="E0.20", by="exactly zero: the logits are unchanged", atol=1e-5, stable=False)
claim("evaluation-frechet-static-is", "the same static: Inception score", inception(probs(static)), real_is, item="E0.20",
      by="that of the clean digits", atol=1e-9)
claim("evaluation-frechet-bias", "two halves of one set of real digits: distance with 45 images over that with 360", small / large, 8.0,
      item="E0.20", by="the law 1/n of the bias, to first order", rtol=0.35, digits=2)


# %% [markdown]
# :::{admonition} Erratum E0.20 · "More robust", for what?
# :class: erratum
# {item}`E0.20` **The notes** call FID more robust than IS and closer to human judgement. **What is true:** it sees more, because it looks at the data. But with 45 images instead of 360, a perfect generator scores
# {value}`evaluation-frechet-bias:.1f` times as badly ({ref}`sec-at-work-bias` has the law); static that the features drop is free; and against people it does poorly for diffusion models, whose quality it underrates
# {cite:p}`stein2023`.
# :::
#
# ## Diversity: birthdays and neighbours
#
# {item}`S0.31` A generator that knows only $N$ images must repeat itself, and sooner than one thinks: among 23 people two share a birthday more often than not. {cite:t}`arora2017` turned this into a test: draw until the
# first repetition, and conclude $N$.
#
# :::{prf:theorem} The first collision
# :label: thm-evaluation-birthday
# {item}`X3.10` Let outcomes have the probabilities $p_i$, and let $T$ be the number of draws up to and including the first repetition. Then
#
# $$
# \mathbb E\,T = \int_0^\infty \prod_i (1+p_i t)\,e^{-p_i t}\,\mathrm dt, \qquad
# \mathbb E\,T = \sum_{k\ge0}\frac{N!}{(N-k)!\,N^k} = \sqrt{\frac{\pi N}2}+\frac23+O(N^{-1/2}) \text{ if uniform.}
# $$ (eq-evaluation-birthday)
# :::
#
# :::{prf:proof}
# Let the draws arrive at the times of a Poisson process of rate 1. Then the counts of the outcomes are independent Poisson variables, and no outcome has come twice by time $t$ with the probability in the integral; so the integral is the expected time of
# the first repetition. Waiting times between draws have mean 1 and don't depend on what is drawn, so that the expected time equals $\mathbb E T$ (Wald). The sum is $\sum_k\Pr(T>k)$; the expansion is Ramanujan's, see {cite:t}`flajolet1995`.
# :::
#
# To second order $\log(1+pt)-pt\approx-p^2t^2/2$, so $\mathbb E T\approx\sqrt{\pi/(2\sum_i p_i^2)}$: the test measures $1/\sum_ip_i^2$, the exponential of the **Rényi entropy of order 2**, and not the number of outcomes.

# %%
def first_collision(p, count):
    """E[T] when count[i] outcomes have probability p[i] each, (K,) and (K,)."""

    def alive(t):
        return math.exp((count * (torch.log1p(p * t) - p * t)).sum())

    scale = float((count * p**2).sum()) ** -0.5
    return integrate.quad(
        alive, 0, 12 * scale, epsabs=1e-10, epsrel=1e-10, limit=200
    )[0]


def uniform_collision(N):
    """The same for N equal outcomes, by the sum."""
    k = torch.arange(1, N + 1)
    return 1 + float(torch.cumprod((N - k + 1) / N, 0).sum())


def birthdays(n_outcomes, runs):  # simulate (runs,) first collisions
    draws = torch.randint(n_outcomes, (runs, 400), generator=gen)
    order = draws.sort(dim=1, stable=True)
    again = order.values[:, 1:] == order.values[:, :-1]
    return torch.where(again, order.indices[:, 1:], 10**6).min(1).values + 1


tail_p, tail_n = (
    torch.tensor([0.05, 0.5e-6]),
    torch.tensor([10.0, 1e6]),
)  # ten outcomes hold half the mass
tail = first_collision(tail_p, tail_n)
runs = birthdays(1000, 4000)

# %% tags=["hide-input"]
# sum over k of P(no repetition among k draws): j of them on the ten, k - j on the million
by_hand = sum(math.comb(k, j) / 2**k * math.perm(10, j) / 10**j * math.prod(1 - i / 1e6 for i in range(k - j))
              for k in range(120) for j in range(min(k, 10) + 1))

claim("evaluation-birthday-1000", "expected first collision, 1000 equal outcomes", uniform_collision(1000),
      first_collision(torch.tensor([1e-3]), torch.tensor([1000.0])), item="X3.10 S0.31", by="the integral, by quadrature", atol=1e-6, digits=5)
claim("evaluation-birthday-law", "the same for 1000 and 10 000 outcomes, and the law",
      [uniform_collision(1000), uniform_collision(10_000)], [math.sqrt(math.pi * N / 2) + 2 / 3 for N in (1000, 10_000)], item="X3.10",
      by="sqrt(pi N / 2) + 2/3", atol=5e-3, digits=6)
mean, se = monte_carlo(runs.double())
claim("evaluation-birthday-simulated", "mean of 4000 simulated first collisions, 1000 outcomes", mean, uniform_collision(1000), item="X3.10",
      by="the exact sum", se=se, z=3.5)
claim("evaluation-birthday-tail", "ten outcomes with half the mass, a million with the rest: expected first collision", tail, by_hand,
      item="X3.10 E0.21", by="enumeration: sum over k of P(T > k), over how many of k draws fall on the ten", atol=1e-6)
claim("evaluation-birthday-renyi", "1/sum p² of that law", 1 / float((tail_n * tail_p**2).sum()), 40.0, item="E0.21", by="closed form 1/(10/400 + 1/(4 10^6))",
      rtol=2e-5, digits=4)
claim("evaluation-birthday-estimate", "number of outcomes that the birthday test reads off, 2T²/pi", 2 * tail**2 / math.pi, item="E0.21",
      by="of 1 000 010, a few dozen", at_least=30, at_most=80, digits=2)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-evaluation-birthday", "caption": "First collisions of 4000 simulated generators with 1000 equally likely outcomes (bars) and the exact probabilities (line). One run says little: the spread is half the mean."}, "image": {"alt": "Histogram of the number of draws until the first repetition, rising from zero to a broad summit near thirty and falling slowly to about one hundred; a smooth curve runs along the tops of the bars."}}
t = torch.arange(1, 131)
survive = torch.cumprod(1 - (t - 1) / 1000, 0)       # P(T > t)
mass = torch.cat([torch.ones(1), survive[:-1]]) - survive
fig, ax = plt.subplots(figsize=(7, 2.8))
ax.hist(runs.numpy(), bins=range(1, 131, 4), color=colors.muted, density=True, label="simulated")
ax.plot(t, mass, color=colors.truth, label="exact")
ax.axvline(uniform_collision(1000), color=colors.bad, ls="--", lw=1, label="mean")
ax.set(xlabel="draws until the first repetition", ylabel="probability per draw", xlim=(0, 130))
ax.legend()
plt.show()


# %% [markdown]
# {numref}`fig-evaluation-birthday` warns against single runs. It is better to count *all* coinciding pairs among $n$ draws and divide by $\binom n2$: an unbiased estimate of $\sum_ip_i^2$ itself.
#
# :::{admonition} Erratum E0.21 · A duplicate says nothing about the tail
# :class: erratum
# {item}`E0.21` **The notes** say that the number of draws needed for a duplicate is "indicative of diversity". **What is true:** of $1/\sum p_i^2$. With half the mass on ten images and the rest on a million, the first
# duplicate comes after {value}`evaluation-birthday-tail:.2f` draws, and the test reads some {value}`evaluation-birthday-estimate:.0f` outcomes where there are 1 000 010. And a continuous law never repeats itself: one
# needs a detector of *near* duplicates.
# :::
#
# For images that is a radius. We take half of the smallest distance between two real validation digits, and try it on a generator that owns 50 test digits and adds a little noise to hide it.

# %%
def pairs_within(x, r):
    """Share of the pairs of x (n, d) that are nearer than r."""
    return (torch.pdist(x) < r).double().mean()


radius = 0.5 * torch.pdist(data.validation.x).min()
fifty = data.test.x[:50]
hidden = fifty[torch.randint(50, (400,), generator=gen)] + 0.2 * torch.randn(
    400, 64, generator=gen
)
collisions = pairs_within(hidden, radius)  # estimates sum p² = 1/50

# %% tags=["hide-input"]
claim("evaluation-near-duplicates", "50 hidden images with noise: estimate of sum p² from near duplicates", collisions, 0.02, item="E0.21 S0.31",
      by="1/50; standard error for 400 draws by the variance of a U-statistic", se=math.sqrt(2 * 0.02 * 0.98 / (400 * 399)))
claim("evaluation-exact-duplicates", "the same with exact duplicates only", pairs_within(hidden, 1e-12), 0.0, item="E0.21",
      by="noise hides them all")
claim("evaluation-real-duplicates", "real test digits within that radius", pairs_within(data.test.x, radius), 0.0, item="S0.31",
      by="no false alarm")


# %% [markdown]
# ### How far is the nearest sample?
#
# {item}`S0.32` For many outputs of *one* input, a caption or a prompt, the notes propose the mean distance to the nearest other sample,
# $D_{\text{plural}}=\frac1M\sum_i\min_{j\ne i}d(x_i,x_j)$. Three alternatives stand beside it in the cell: the mean over all pairs; the **Vendi score** {cite:p}`friedman2023`, the exponential of the
# entropy of the eigenvalues of $K/M$ with a kernel matrix $K$, which counts distinct samples; and coverage, in the next section.

# %%
def plural(x):
    """Mean distance to the nearest other sample, x (M, d)."""
    distance = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    return distance.fill_diagonal_(math.inf).min(1).values.mean()


def vendi(x, h):
    """Effective number of different samples, Gaussian kernel of width h."""
    K = torch.exp(
        -torch.cdist(x, x).square() / (2 * h**2)
    )  # (M, M), ones on the diagonal
    lam = torch.linalg.eigvalsh(K / len(x)).clamp(min=0)
    return torch.exp(-torch.special.xlogy(lam, lam).sum())


def square(M):
    return torch.rand(M, 2, generator=gen)


twice = square(500).repeat(2, 1)
scaled = torch.stack([plural(square(M)) * math.sqrt(M) for M in (100, 1000, 4000)])
mean_nn = monte_carlo(
    torch.stack([plural(square(1000)) * math.sqrt(1000) for _ in range(20)])
)
far = 100 * torch.eye(7).repeat(9, 1)  # seven images, nine copies of each

# %% tags=["hide-input"]
claim("evaluation-plural-twins", "500 points of the unit square, each with a twin: D_plural", plural(twice), 0.0, item="E0.22", by="the twin is the neighbour")
edge = (2 + math.sqrt(2) + 5 * math.asinh(1)) / 15
claim("evaluation-pairs", "the same points: mean distance of all pairs", torch.pdist(twice).mean(), edge,
      item="E0.22", by="closed form (2 + sqrt 2 + 5 asinh 1)/15 for the square", atol=0.03)
claim("evaluation-plural-scaling", "D_plural times sqrt(M) for M = 100, 1000, 4000", scaled, [0.5] * 3, item="E0.22",
      by="Poisson points: 1/(2 sqrt M); the border adds some per cent", rtol=0.12, digits=3)
claim("evaluation-plural-noise", "real digits with noise over clean ones: D_plural", plural(noisy(data.test.x)) / plural(data.test.x), item="E0.22",
      by="damage is rewarded", at_least=1.15, digits=3)
claim("evaluation-vendi", "seven distant images, nine copies each: Vendi score", vendi(far, 1.0), 7.0, item="S0.32", by="closed form: 7 equal eigenvalues", atol=1e-9)
claim("evaluation-vendi-twins", "Vendi score of 500 points with twins over that of the 500 alone", vendi(twice, 0.1) / vendi(twice[:500], 0.1), 1.0, item="S0.32",
      by="copies change no eigenvalue of K/M", atol=1e-6)


# %% [markdown]
# :::{admonition} Erratum E0.22 · Nearest neighbours do not measure diversity
# :class: erratum
# {item}`E0.22` **The notes** take $D_{\text{plural}}$ as a measure of diversity. **What is true:** give every sample a twin and it is zero, however varied the samples; it shrinks like $M^{-1/d}$, so that it
# compares nothing at different $M$; and noise raises it, here by the factor {value}`evaluation-plural-noise:.2f`.
# :::
#
# ## Precision, recall, coverage
#
# One number can't say *which* way a model errs. Put a ball around each real point that reaches to its $k$-th neighbour: **precision** is the share of generated points in some ball, **recall** the same with the roles exchanged
# {cite:p}`kynkaanniemi2019`, **coverage** the share of real balls that hold a generated point {cite:p}`naeem2020`.

# %%
def balls(real, fake, k=3):
    """Precision, recall and coverage of fake (m, d) for real (n, d)."""
    exact = {"compute_mode": "donot_use_mm_for_euclid_dist"}

    def radius(x):
        return (
            torch.cdist(x, x, **exact).kthvalue(k + 1, 1).values
        )  # the point itself is first

    cross = torch.cdist(real, fake, **exact)  # (n, m)
    inside = cross <= radius(real)[:, None]  # real ball i holds fake j
    return (
        inside.any(0).double().mean(),
        (cross <= radius(fake)).any(1).double().mean(),
        inside.any(1).double().mean(),
    )


x, y = torch.randn(2, 200, 5, generator=gen)
agree(
    "evaluation-pr-twin",
    torch.stack(balls(x, y)[:2]),
    torch.tensor(precision_recall(x, y)),
)
null = torch.stack(
    [torch.stack(balls(*torch.randn(2, 100, 5, generator=gen))) for _ in range(150)]
)
covered = 1 - math.prod(
    (99 - i) / (199 - i) for i in range(3)
)  # n = m = 100, k = 3

# %% [markdown]
# A perfect generator does not score one. For coverage its value is exact: a real ball stays empty if the three nearest of the 199 other points, which are exchangeable, are all real.

# %% tags=["hide-input"]
claim("evaluation-coverage-null", "coverage of two samples of one law, n = 100, k = 3", null[:, 2].mean(), covered, item="S0.30",
      by="closed form 1 - (99/199)(98/198)(97/197), near 1 - 2^-3", se=null[:, 2].std() / math.sqrt(150))
claim("evaluation-precision-null", "precision of two samples of one law, n = 100, k = 3, five dimensions", null[:, 0].mean(), null[:, 1].mean(),
      item="S0.30", by="recall, by symmetry; neither is one", se=math.sqrt(2) * null[:, :2].std() / math.sqrt(150))
claim("evaluation-coverage-wrong", "wrong: the point itself counts as first neighbour; null value of coverage",
      torch.stack([balls(*torch.randn(2, 100, 5, generator=gen), k=2)[2] for _ in range(100)]).mean(), 1 - 99 * 98 / (199 * 198),
      item="S0.30", by="closed form with k = 2", se=float(null[:, 2].std()) * 1.3 / 10)

# %% [markdown]
# ## Lost modes
#
# {item}`S0.13` **Mode collapse** is the failure to produce some part of the data; in the extreme, all but one mode. The notes explain it by the forward divergence $\mathrm{KL}(p_{\text{data}}\|p_\theta)$, under which a model "may
# concentrate all its mass on one mode". It is the other way round ({ref}`ch-divergences`): forward, a missing mode is very dear; reverse, it costs the logarithm of the mass that was kept.

# %%
grid = torch.linspace(-16, 16, 6001)
def normal(mean, s):
    return torch.distributions.Normal(mean, s).log_prob(grid)

two = torch.logaddexp(normal(-3.0, 1.0), normal(3.0, 1.0)) - math.log(2)
one, broad = normal(3.0, 1.0), normal(0.0, math.sqrt(10))

# %% tags=["hide-input"]
claim("evaluation-collapse-forward", "forward KL of the model that keeps one of two modes, over that of one broad Gaussian",
      kl_quadrature(two, one, grid) / kl_quadrature(two, broad, grid), item="S0.13", by="the notes' example would have it below one", at_least=10, digits=3)
inner = 3 * torch.sign(torch.randn(200_000, generator=gen)) + torch.randn(200_000, generator=gen)
mean, se = monte_carlo(torch.logaddexp(torch.distributions.Normal(-3.0, 1.0).log_prob(inner), torch.distributions.Normal(3.0, 1.0).log_prob(inner)) - math.log(2))
claim("evaluation-four-modes", "four modes at (±3, ±3) against the Gaussian with their moments, Fréchet distance 0: KL", 2 * kl_quadrature(two, broad, grid),
      math.log(2 * math.pi * math.e * 10) + 2 * mean, item="E0.23", by="closed-form cross-entropy less entropy by Monte Carlo", se=2 * se, unit="nats")
claim("evaluation-collapse-reverse", "reverse KL of the model that keeps one mode", kl_quadrature(one, two, grid), math.log(2), item="S0.13",
      by="log 2, up to the overlap", atol=5e-3, unit="nats")

# %% [markdown]
# {item}`S0.33` On synthetic data the modes are known, and can be counted. Three samplers for the shared ring of eight Gaussians: one true, one that knows five modes, one that knows all eight but draws the $i$-th with weight $2^{-i}$.

# %%
ring = toy("ring")
angle = torch.arange(8) * math.pi / 4
centres = 2 * torch.stack([angle.cos(), angle.sin()], 1)      # (8, 2)

def sampler(weights, n):
    pick = torch.multinomial(weights, n, True, generator=gen)
    return centres[pick] + 0.2 * torch.randn(n, 2, generator=gen)

def occupancy(x):
    """Share of the samples within three deviations of each centre, (8,)."""
    distance, mode = torch.cdist(x, centres).min(1)
    return torch.bincount(mode[distance < 0.6], minlength=8) / len(x)

weights = {"true": torch.ones(8) / 8, "five modes": (torch.arange(8) < 5) / 5.0,
           "lopsided": 2.0 ** -torch.arange(8) / (2.0 ** -torch.arange(8)).sum()}
rings = {name: sampler(w, 2000) for name, w in weights.items()}
counts = {name: int((occupancy(x) > 0).sum()) for name, x in rings.items()}

# %% tags=["hide-input"]
claim("evaluation-modes", "modes found in 2000 samples: true, five modes, lopsided", list(counts.values()), [8, 5, 8], item="S0.33",
      by="known: the lopsided sampler looks complete")
w = weights["lopsided"]
mass = occupancy(rings["lopsided"])
mass = mass / mass.sum()
claim("evaluation-modes-entropy", "effective number of modes of the lopsided sampler, exp of the entropy of the occupancy", H(mass).exp(), H(w).exp(),
      item="S0.33", by="closed form from its weights", rtol=0.05)
claim("evaluation-modes-inside", "share of true samples within three deviations of a centre", occupancy(ring.sample(20_000, gen)).sum(), 1 - math.exp(-4.5),
      item="S0.33", by="closed form 1 - exp(-9/2)", se=math.sqrt(math.exp(-4.5) / 20_000))
claim("evaluation-modes-recall", "five modes: precision minus recall", (lambda p, r, c: p - r)(*balls(ring.sample(1000, gen), rings["five modes"][:1000])),
      item="S0.33", by="recall falls by 3/8, precision does not", at_least=0.3, at_most=0.45, digits=2)
c = torch.stack([x.mean(0).norm() for x in rings.values()])
claim("evaluation-modes-mean", "distance of the mean from the origin: five modes over true", c[1] / c[0], item="S0.33", by="two moments see this loss", at_least=5, stable=False)


# %% [markdown]
# A count says nothing of the weights: the lopsided sampler has all eight modes, and effectively {value}`evaluation-modes-entropy:.1f`. Principal components are the second diagnosis of the notes. Compare the digits with *one Gaussian* whose mean and
# covariance are, to rounding, those of the very sample it is compared with.

# %%
def same_moments(x, n):
    """n Gaussian draws (n, d), moved so that mean and covariance equal those of
    x."""
    z = torch.randn(n, x.shape[1], generator=gen)
    L = torch.linalg.cholesky(z.T.cov())
    lam, U = torch.linalg.eigh(x.T.cov())
    white = torch.linalg.solve_triangular(L, (z - z.mean(0)).T, upper=False).T
    return x.mean(0) + white @ (U * lam.clamp(min=0).sqrt()).T


copy = same_moments(data.test.x, 360)
lam_r, U_r = torch.linalg.eigh(data.test.x.T.cov())
lam_g, U_g = torch.linalg.eigh(copy.T.cov())
agreement = (
    (U_r[:, -2:] * U_g[:, -2:]).sum(0).abs()
)  # cosines of the first two axes
told = c2st(data.test.x, copy, generator=gen)

# %% tags=["hide-input"]
claim("evaluation-pca-variances", "largest difference of the 64 variances along the principal components", (lam_r - lam_g).abs().max(), 0.0, item="S0.33 E0.23",
      by="equal covariances", atol=1e-9, stable=False)
claim("evaluation-pca-axes", "cosine of the angles between the first two axes", agreement, [1.0, 1.0], item="E0.23", by="equal covariances", atol=1e-9)
claim("evaluation-pca-frechet", "Fréchet distance of the pixels", frechet_distance(data.test.x, copy).round(decimals=5), 0.0, item="E0.23", by="equal moments", atol=1e-4)
claim("evaluation-pca-c2st", "a classifier tells the two apart: held-out accuracy", told, item="E0.23", by="one half if it could not", at_least=0.7, stable=False)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-evaluation-pca", "caption": "Left: real test digits and the Gaussian with the same moments on their two common principal axes. Right: ten images of the Gaussian."}, "image": {"alt": "Two overlapping clouds of points of the same extent on the left, the real one with several lobes, and on the right two rows of five grey noisy shapes that are no digits."}}
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 2.9))
for cloud, color, label in ((data.test.x, colors.data, "digits"), (copy, colors.model, "Gaussian")):
    scatter(left, (cloud - data.test.x.mean(0)) @ U_r[:, -2:].flip(1), color=color, s=7, label=label)
left.set(xlabel="component 1 (grey levels)", ylabel="component 2 (grey levels)")
left.legend()
image_grid(copy[:10], ncols=5, ax=right, vmin=0, vmax=16)
plt.show()


# %% [markdown]
# :::{admonition} Erratum E0.23 · Principal components see two moments
# :class: erratum
# {item}`E0.23` **The notes** offer PCA for the diagnosis of mode collapse. **What is true:** comparing variances and axes compares covariances. In {numref}`fig-evaluation-pca` all 64 variances and axes agree, and yet a classifier tells the images apart (claim `evaluation-pca-c2st`). The
# four-mode law of {ref}`ch-at-work`, which differs from a Gaussian of equal moments by {value}`evaluation-four-modes:.3f` nats, is another case. It works for collapse that moves the moments.
# :::
#
# ## Tests that see every difference
#
# Instead of choosing what to compare, one can let a machine look for any difference. A **classifier two-sample test** (C2ST) trains a classifier on half of the samples and reports its accuracy on the other half {cite:p}`lopezpaz2017`; the **maximum
# mean discrepancy** compares mean kernel values {cite:p}`gretton2012`, $\mathrm{MMD}^2=\mathbb E\,k(x,x')+\mathbb E\,k(y,y')-2\,\mathbb E\,k(x,y)$.

# %%
def two_sample_accuracy(real, fake, g):
    """Held-out accuracy of a small network, real and fake (n, d)."""
    orders = [torch.randperm(len(real), generator=g) for _ in range(2)]
    seed = int(torch.randint(2**31, (), generator=g))
    half = len(real) // 2
    train, test = (
        torch.cat([real[orders[0]][part], fake[orders[1]][part]]).numpy()
        for part in (slice(half), slice(half, None))
    )
    mean, std = train.mean(0), train.std(0)
    label = torch.arange(2).repeat_interleave(half).numpy()  # 0 real, 1 fake
    net = MLPClassifier(
        (64,),
        alpha=0.1,
        batch_size=min(128, 2 * half),
        max_iter=100,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 100 epochs are the rule here, not a failure
        net.fit((train - mean) / std, label)
    return float(net.score((test - mean) / std, label))


def permutation_test(x, y, h, permutations=199):
    """MMD², and the share of relabellings (itself included) that reach it."""
    both, n, m = torch.cat([x, y]), len(x), len(y)
    K = torch.exp(-torch.cdist(both, both).square() / (2 * h**2)).fill_diagonal_(0)
    order = torch.stack(
        [torch.arange(n + m)]
        + [torch.randperm(n + m, generator=gen) for _ in range(permutations)]
    )
    s = (order < n).double()  # (1 + B, n + m): 1 for "x"
    xx, yy, xy = (
        ((a @ K) * b).sum(1) for a, b in ((s, s), (1 - s, 1 - s), (s, 1 - s))
    )
    value = xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)
    return value[0], (value >= value[0] - 1e-12).double().mean()


x, y = ring.sample(60, gen), sampler(weights["five modes"], 60)
agree(
    "evaluation-mmd-twin", permutation_test(x, y, 0.5)[0], mmd2(x, y, bandwidth=0.5)
)
agree(
    "evaluation-c2st-twin",
    two_sample_accuracy(x, y, torch.Generator().manual_seed(7)),
    c2st(x, y, generator=torch.Generator().manual_seed(7)),
)

# %% [markdown]
# The $p$-value counts relabellings of the pooled sample. If both samples come from one law, the observed labelling is one among equals, and $\Pr(p\le\alpha)\le\alpha$ *exactly*, with no asymptotics; with 199 permutations $\Pr(p\le0.05)=0.05$. A level that is not checked is not known:

# %%
under_null = torch.stack(
    [
        permutation_test(ring.sample(40, gen), ring.sample(40, gen), 0.5)[1]
        for _ in range(400)
    ]
)
lost_one = torch.ones(8)
lost_one[0] = 0
power = {
    n: torch.stack(
        [
            permutation_test(ring.sample(n, gen), sampler(lost_one, n), 0.5)[1]
            <= 0.05
            for _ in range(60)
        ]
    )
    .double()
    .mean()
    for n in (40, 400)
}

# %% tags=["hide-input"]
for level in (0.05, 0.5):
    claim(f"evaluation-level-{int(100 * level)}", f"one law twice: share of the permutation p-values up to {level}", (under_null <= level).double().mean(),
          level, item="S0.33", by="the level, exact for 199 permutations", se=math.sqrt(level * (1 - level) / 400))
naive = torch.stack([mmd2(ring.sample(40, gen), ring.sample(40, gen), bandwidth=0.5) > 0 for _ in range(200)]).double().mean()
claim("evaluation-level-naive", "wrong: 'MMD² above zero' as an alarm; false alarms", naive, item="S0.33", by="its mean is zero: near one half", at_least=0.3, at_most=0.6, digits=2)
claim("evaluation-power", "one of eight modes lost, 400 samples: share of alarms at level 0.05", power[400], item="S0.33", by="noticed as a rule", at_least=0.8, digits=2)
claim("evaluation-power-small", "the same with 40 samples", power[40], item="S0.33", by="mostly missed", at_most=0.5, digits=2)


# %% [markdown]
# A test is only as sharp as its sample. The ring without one mode is caught in {value}`evaluation-power:.0%` of the cases with 400 samples, and in {value}`evaluation-power-small:.0%` with 40. "No difference found" is a statement about $n$.
#
# ## Two numbers: what is missed, what is made up
#
# :::{exercise-start} Q0.10 · A metric that joins likelihood and samples
# :label: q0-10
# :class: question
# :::
# {item}`Q0.10` {item}`S0.35` Propose a metric that combines evaluation by likelihood with evaluation by samples.
# :::{exercise-end}
# :::
#
# :::{solution-start} q0-10
# :label: q0-10-solution
# :class: dropdown
# :::
# Report the **two-sided information gap** between data $p$ and model $q$,
#
# $$
# \mathcal A = \mathbb E_p\Big[\log\frac{p}{q}\Big], \qquad \mathcal B = \mathbb E_q\Big[\log\frac{q}{p}\Big], \qquad J = \mathcal A+\mathcal B .
# $$ (eq-evaluation-gap)
#
# $\mathcal A$ needs the model's density at data: it is the held-out NLL less that of the best reference, and finds *missing* mass. $\mathcal B$ needs samples of the model, and the log-ratio at them, from a calibrated classifier or a strong reference density: it finds *junk*.
# Both are zero only if $p=q$, and neither changes with the unit, since Jacobians cancel in the ratio. For $p=\mathcal N(0,1)$, $q=\mathcal N(t,1)$ one has $\mathcal A=\mathcal B=t^2/2$ and $J=t^2$.
#
# Without densities, a classifier trained to tell equally many real ($c=1$) from generated samples has the optimal logit $\log p/q$. So
# $J$ is the difference between its mean logit on real and on generated data, on *held-out* samples.

# %%
def jeffreys(real, fake):
    """J in nats from a logistic classifier with quadratic features, fitted on the
    first halves."""
    half = len(real) // 2

    def features(x):
        return torch.stack([x, x**2], 1).numpy()

    label = torch.arange(2).repeat_interleave(half).numpy() == 0  # True for real
    logistic = LogisticRegression(C=1e6, tol=1e-8).fit(
        features(torch.cat([real[:half], fake[:half]])), label
    )
    return (
        logistic.decision_function(features(real[half:])).mean()
        - logistic.decision_function(features(fake[half:])).mean()
    )


shift = (0.5, 1.0, 2.0)
J = [
    jeffreys(
        torch.randn(100_000, generator=gen), t + torch.randn(100_000, generator=gen)
    )
    for t in shift
]
small_J = jeffreys(
    torch.randn(200, generator=gen), 10 + torch.randn(200, generator=gen)
)

# %% [markdown]
# Now the trap of {cite:t}`theis2016`, first met in {ref}`ch-generation`: a model that draws from the ten class Gaussians $p$ in one case out of a hundred, and uniform noise otherwise. As both densities are known, both numbers are exact up to sampling error.

# %%
shrunk = [
    0.7 * c + 0.3 * torch.diag(c.diagonal())
    for c in (cube[data.train.y == k].T.cov() for k in range(10))
]
law = torch.distributions.MixtureSameFamily(
    torch.distributions.Categorical(torch.ones(10)),
    torch.distributions.MultivariateNormal(
        torch.stack([cube[data.train.y == k].mean(0) for k in range(10)]),
        torch.stack(shrunk),
    ),
)


def log_q(x):  # 1 % of the law, 99 % uniform noise on the cube
    noise = torch.where(((x >= 0) & (x < 1)).all(1), math.log(0.99), -math.inf)
    return torch.logaddexp(math.log(0.01) + law.log_prob(x), noise)


good, junk = law.sample((4000,)), torch.rand(4000, 64, generator=gen)
missed = monte_carlo(law.log_prob(good) - log_q(good))  # A
invented = (
    0.01 * (log_q(good) - law.log_prob(good)).mean()
    + 0.99 * (log_q(junk) - law.log_prob(junk)).mean()
)  # B
on_test = (
    law.log_prob(cube_test) - log_q(cube_test)
).mean()  # what the test set sees

# %% tags=["hide-input"]
claim("evaluation-gap-gaussian", "J of N(0,1) and N(t,1) from a classifier, over t², for t = 0.5, 1, 2", [j / t**2 for j, t in zip(J, shift, strict=True)], [1.0] * 3,
      item="Q0.10", by="closed form J = t²", rtol=0.05, digits=3)
claim("evaluation-gap-one-side", "forward KL of N(0,1) and N(1,1), by quadrature", kl_quadrature(normal(0.0, 1.0), normal(1.0, 1.0), grid), 0.5, item="Q0.10",
      by="closed form t²/2", atol=1e-6, unit="nats")
claim("evaluation-gap-missed", "1 % good, 99 % noise: A", missed[0], math.log(100), item="Q0.10", by="log 100, where noise has no density to speak of", atol=0.02, unit="nats")
claim("evaluation-gap-test", "the same on test digits: nats lost per image", on_test, item="Q0.10", by="at most log 100", at_least=3.0, at_most=math.log(100), unit="nats")
claim("evaluation-gap-bits", "in bits per pixel", on_test / (64 * math.log(2)), item="Q0.10", by="at most log2(100)/64", at_most=math.log2(100) / 64, at_least=0.05, unit="bits", digits=2)
claim("evaluation-gap-invented", "1 % good, 99 % noise: B", invented, item="Q0.10", by="hundreds of times A", at_least=100 * math.log(100), unit="nats", digits=3)
claim("evaluation-gap-saturates", "classifier's J at t = 10 from 200 samples a side, over its truth 100", small_J / 100, item="Q0.10",
      by="no overlap: the estimate is arbitrary", at_most=0.9, stable=False)


# %% [markdown]
# $\mathcal A$ is {value}`evaluation-gap-test:.2f` nats on the test digits, {value}`evaluation-gap-bits:.2f` bits per pixel: harmless to look at. $\mathcal B$ is {value}`evaluation-gap-invented:.0f` nats. **Limits:** ratios learnt from $N$ samples can't be trusted where
# the laws do not overlap, a weak classifier sees too little, and a copy of the *training* set passes unless $p$ stands for fresh data. Relatives: precision and recall above, and the C2ST, which bounds the same ratio.
# :::{solution-end}
# :::
#
# ## The verdict: scores against flaws
#
# Back to {numref}`fig-evaluation-flaws`. We split the 720 fresh digits into a reference (360) and the raw material of the eight generators (200 images each), and compute ten scores. We repeat this for 40 random splits. A flaw counts as *noticed* in a split if the score
# leaves the range of the 40 scores of the fresh digits. A further perfect sample would do so by chance in two of 41 cases, one at either end: 5 % false alarms. The row "perfect" checks this with 200 other fresh digits. The splits
# share images, so that the shares describe these digits and sizes; they are no law.

# %%
def nn_accuracy(x, y):
    """C2ST with one nearest neighbour, leave one out; x, y (n, d)."""
    both, label = torch.cat([x, y]), torch.arange(2).repeat_interleave(len(x))
    nearest = torch.cdist(both, both).fill_diagonal_(math.inf).argmin(1)
    return (label[nearest] == label).double().mean()


width = float(torch.pdist(data.train.x[:300]).median())


def score_card(ref, x):
    p, r, c = balls(ref, x)
    q = probs(x)
    from_train, from_ref = (
        torch.cdist(x, s).min(1).values for s in (data.train.x, ref)
    )
    return {
        "Inception score": inception(q),
        "Fréchet, logits": frechet_distance(logits(ref), logits(x)),
        "Fréchet, pixels": frechet_distance(ref, x),
        "precision": p,
        "recall": r,
        "coverage": c,
        "nearest neighbour": plural(x),
        "near duplicates": pairs_within(x, radius),
        "MMD²": mmd2(ref, x, bandwidth=width),
        "C2ST, 1 neighbour": nn_accuracy(ref[:200], x),
        "label frequencies": (q.mean(0) - probs(ref).mean(0)).abs().sum() / 2,
        "nearer to training": (from_train < from_ref).double().mean(),
    }


cards = {}
for _ in range(40):
    i = torch.randperm(720, generator=gen)
    ref, x, y = pool_x[i[:360]], pool_x[i[360:]], pool_y[i[360:]]
    for name, fake in {"perfect": x[-200:], **generators(x, y, 200)}.items():
        cards.setdefault(name, []).append(score_card(ref, fake))
scores = list(cards["noise"][0])
value = torch.tensor(
    [[[float(card[s]) for s in scores] for card in cards[name]] for name in cards]
)  # (9, 40, 12)
null = value[1]  # "fresh digits" set the range
noticed = (
    ((value < null.amin(0) - 1e-9) | (value > null.amax(0) + 1e-9)).double().mean(1)
)
table = torch.cat([noticed[:1], noticed[2:]])  # (8, 12), "perfect" comes first
rows = [name for name in cards if name != "fresh digits"]

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-evaluation-verdict", "caption": "Share of 40 splits in which a score notices a flaw. The row of the perfect generator holds the false alarms. No column is dark all the way down."}, "image": {"alt": "Table of shades with eight generators as rows and twelve scores as columns. Noise, blur and two moments are dark in many columns; memorised is dark in very few and twins in few; the first row is pale throughout."}}
fig, ax = plt.subplots(figsize=(7, 3.9))
ax.imshow(table, cmap="Blues", vmin=0, vmax=1.3, aspect="auto")
for i in range(8):
    for j in range(len(scores)):
        ax.text(j, i, f"{100 * table[i, j]:.0f}", ha="center", va="center", fontsize=7)
ax.set_xticks(range(len(scores)), scores, rotation=40, ha="right")
ax.set_yticks(range(8), rows)
ax.set(xlabel="score", ylabel="generator; entries in per cent of 40 splits")
plt.show()


# %% tags=["hide-input"]
def hit(row, column):
    return table[rows.index(row), scores.index(column)]

claim("evaluation-table-null", "false alarms of the perfect generator, mean of twelve scores", table[0].mean(), item="S0.33", by="2/41 for exchangeable samples",
      at_most=0.12, stable=False)
claim("evaluation-table-column", "scores that notice every flaw in at least half of the splits", float((table[1:] >= 0.5).all(0).sum()), 0.0, item="S0.14 S0.33", by="there is none")
claim("evaluation-table-copies", "memorised: how often the Fréchet distances, precision, recall, coverage, MMD and C2ST notice",
      max(hit("memorised", c) for c in ("Fréchet, logits", "Fréchet, pixels", "precision", "recall", "coverage", "MMD²", "C2ST, 1 neighbour")),
      item="S0.14", by="the copies are real digits: hardly more than the false alarms", at_most=0.35, stable=False)
claim("evaluation-table-copy-test", "memorised: nearer to the training set than to the reference", hit("memorised", "nearer to training"), 1.0, item="S0.14", by="copies are at distance zero")
claim("evaluation-table-copy-is", "memorised: Inception score over that of fresh digits", value[list(cards).index("memorised"), :, 0].mean() / null[:, 0].mean(),
      item="E0.11", by="the classifier has seen these images too", at_least=1.01, stable=False)
claim("evaluation-table-moments", "two moments: how often the two Fréchet distances and the label frequencies notice",
      max(hit("two moments", c) for c in ("Fréchet, logits", "Fréchet, pixels", "label frequencies")), item="E0.23", by="equal moments", at_most=0.3, stable=False)
claim("evaluation-table-moments-precision", "two moments: how often precision and C2ST notice", min(hit("two moments", c) for c in ("precision", "C2ST, 1 neighbour")),
      item="E0.23", by="always", at_least=0.95, stable=False)
claim("evaluation-table-twins", "twins: how often near duplicates, nearest neighbour and C2ST notice", min(hit("twins", c) for c in ("near duplicates", "nearest neighbour", "C2ST, 1 neighbour")),
      item="S0.31 S0.32", by="always", at_least=0.95, stable=False)
claim("evaluation-table-noise", "noise raises the mean nearest-neighbour distance by the factor", value[list(cards).index("noise"), :, 6].mean() / null[:, 6].mean(), item="E0.22",
      by="damage looks like diversity", at_least=1.1, stable=False)
claim("evaluation-table-lost", "one class lost: recall notices minus precision notices", hit("one class lost", "recall") - hit("one class lost", "precision"), item="S0.13",
      by="a gap, no junk", at_least=0.4, stable=False)
claim("evaluation-table-balance", "wrong balance: how often label frequencies notice", hit("wrong balance", "label frequencies"), item="S0.13", by="always", at_least=0.9, stable=False)
claim("evaluation-table-balance-recall", "wrong balance: how often precision and recall notice", max(hit("wrong balance", c) for c in ("precision", "recall")), item="S0.13",
      by="every digit still has its neighbours", at_most=0.4, stable=False)
claim("evaluation-table-c2st", "C2ST of two perfect samples: mean accuracy over the splits", value[0, :, scores.index("C2ST, 1 neighbour")].mean(), 0.5, item="S0.33",
      by="one half", atol=0.03)
for j, s in enumerate(scores):
    print(f"null value of {s:20}: {null[:, j].mean():9.2g}, standard deviation {null[:, j].std():8.1g}")


# %% [markdown]
# Read {numref}`fig-evaluation-verdict` by columns, then by rows.
#
# - **No score notices everything.** Each flaw is noticed by some, and none of the twelve columns has every flaw in at least half of the splits.
# - **Memorising escapes the scores that compare with data**: at most {value}`evaluation-table-copies:.0%`, where {value}`evaluation-table-null:.0%` are false alarms. The Inception score even rises, since the classifier trained on those very images; only the
#   distance to the training set gives them away. It must be asked for.
# - **Two moments are nothing to a Fréchet distance** ({value}`evaluation-table-moments:.0%`), and obvious to precision and to a nearest neighbour.
# - **Noise raises "diversity"**, by the factor {value}`evaluation-table-noise:.2f`, and twins lower it to zero. A nearest-neighbour distance that is far from its null value in *either* direction is an alarm.
# - **A lost class is a matter of recall**, a wrong balance of neither precision nor recall (at most {value}`evaluation-table-balance-recall:.0%`): balls have no weights. A classifier's label frequencies show it.
#
# So a report needs a density score where there is a density, with unit and bound named; precision and recall, or $\mathcal A$ and $\mathcal B$; a two-sample test with its size; a copy test; and for each the value of a second real sample.
#
# ## Exercises

# %% [markdown] ex={"id": "evaluation-cells", "role": "statement"}
# :::{exercise} Exact bits from a distribution function
# :label: ex-evaluation-cells
#
# A continuous law on the line gives the grey level $l\in\{0,\dots,L-1\}$ the probability of its cell, $F(l+\frac12)-F(l-\frac12)$, where the first and the last cell reach to $-\infty$ and to $+\infty$. Here every pixel has the logistic
# distribution function $F(t)=1/(1+e^{-(t-m)/s})$ with its own $m$ and $s$. Return the *exact* bits per dimension of images of integer levels: no dequantisation, no bound.
#
# *Implement · about 20 minutes · 4 points*
# :::

# %% ex={"id": "evaluation-cells", "role": "stub"}
def logistic_bpd(x, m, s, levels):
    """Mean bits per dimension, a scalar, of integer images x (n, d) with values 0..levels-1; m and s (d,)."""
    raise NotImplementedError("your code here")


# %% ex={"id": "evaluation-cells", "role": "check"} tags=["hide-input"]
def check_evaluation_cells():
    for m, s, levels in (([2.0], [1.5], 5), ([-1.0, 6.0], [0.7, 3.0], 4), ([0.5, 0.5], [4.0, 4.0], 2)):
        m, s = torch.tensor(m), torch.tensor(s)
        grid = torch.tensor(list(itertools.product(range(levels), repeat=len(m))), dtype=torch.float64)
        bits = torch.stack([logistic_bpd(x[None], m, s, levels) for x in grid]) * len(m)
        assert abs((2.0**-bits).sum() - 1) < 1e-9, "the probabilities of all images, two to the power of minus the bits, must add up to one"
        assert abs(logistic_bpd(grid, m, s, levels) * len(m) - bits.mean()) < 1e-9, "several images: take the mean"
    flat = logistic_bpd(torch.tensor([[0.0], [1.0]]), torch.tensor([0.5]), torch.tensor([4.0]), 2)
    assert abs(flat - 1) < 1e-9, "two levels that are equally likely need one bit"
    inner = torch.arange(1.0, 4.0)[:, None]
    seen = 2 ** -torch.stack([logistic_bpd(x[None], torch.tensor([1.2]), torch.tensor([0.8]), 5) for x in inner])
    u = torch.linspace(-0.5, 0.5, 20_001)
    z = (inner + u - 1.2) / 0.8
    density = torch.sigmoid(z) * torch.sigmoid(-z) / 0.8
    assert torch.allclose(seen, torch.trapezoid(density, u), atol=1e-6), "integrate the density over a cell and compare"


_ = self_check("evaluation-cells", check_evaluation_cells)


# %% [markdown] ex={"id": "evaluation-inception", "role": "statement"}
# :::{exercise} An Inception score that survives its classifier
# :label: ex-evaluation-inception
#
# Compute {eq}`eq-evaluation-is` from *logits* $(n,K)$, finite also when the classifier is so sure that probabilities underflow to zero.
#
# *Implement · about 15 minutes · 3 points*
# :::

# %% ex={"id": "evaluation-inception", "role": "stub"}
def inception_from_logits(logits):
    """Inception score, a scalar, of logits (n, K)."""
    raise NotImplementedError("your code here")


# %% ex={"id": "evaluation-inception", "role": "check"} tags=["hide-input"]
def check_evaluation_inception():
    g = torch.Generator().manual_seed(3)
    for n, K in ((6, 3), (40, 10)):
        x = 3 * torch.randn(n, K, generator=g)
        score = inception_from_logits(x)
        p = torch.softmax(x, 1)
        H = torch.distributions.Categorical(p.mean(0)).entropy() - torch.distributions.Categorical(p).entropy().mean()
        assert abs(math.log(score) - H) < 1e-9, "its logarithm is the mutual information H(y) - H(y|x) of the generated samples"
        assert abs(inception_from_logits(x.repeat(3, 1)) - score) < 1e-9, "a sample repeated three times has the same score"
        assert abs(inception_from_logits(x + 7 * torch.rand(n, 1, generator=g)) - score) < 1e-9, "logits are defined up to a constant per image"
    assert abs(inception_from_logits(torch.randn(1, 5, generator=g)) - 1) < 1e-9, "one image has the score 1"
    sure = inception_from_logits(5000 * torch.eye(8))
    assert abs(sure - 8) < 1e-9, "eight certain classes: the score is 8, not nan"


_ = self_check("evaluation-inception", check_evaluation_inception)


# %% [markdown] ex={"id": "evaluation-plural", "role": "statement"}
# :::{exercise} Neighbours within a condition
# :label: ex-evaluation-plural
#
# A conditional generator answers each of $C$ inputs with $M$ outputs. Return $D_{\text{plural}}$ for each input, without a loop over pairs. Then try inputs whose answers all have a twin: which of your other diversity scores should stand beside it?
#
# *Implement · about 15 minutes · 3 points*
# :::

# %% ex={"id": "evaluation-plural", "role": "stub"}
def plural_by_condition(x):
    """Mean distance to the nearest other output of the same input, (C,); x (C, M, d) with M >= 2."""
    raise NotImplementedError("your code here")


# %% ex={"id": "evaluation-plural", "role": "check"} tags=["hide-input"]
def check_evaluation_plural():
    g = torch.Generator().manual_seed(5)
    for C, M, d in ((1, 2, 1), (4, 7, 3)):
        x = torch.randn(C, M, d, generator=g)
        answer = plural_by_condition(x)
        assert answer.shape == (C,), f"one number per input: expected shape ({C},), got {tuple(answer.shape)}"
        for c in range(C):
            slow = sum(min(math.dist(x[c, i], x[c, j]) for j in range(M) if j != i) for i in range(M)) / M
            assert abs(answer[c] - slow) < 1e-9, "a slow loop over all pairs of one input disagrees"
    x = torch.randn(3, 5, 2, generator=g)
    assert torch.allclose(plural_by_condition(-2 * x), 2 * plural_by_condition(x)), "twice as large is twice as far"
    assert plural_by_condition(x.repeat(1, 2, 1)).abs().max() < 1e-9, "with a twin for every output the score is zero"


_ = self_check("evaluation-plural", check_evaluation_plural)


# %% [markdown] ex={"id": "evaluation-repeat", "role": "statement"}
# :::{exercise} A repetition among n draws, exactly
# :label: ex-evaluation-repeat
#
# Return the probability that $n$ independent draws from $p=(p_1,\dots,p_K)$ contain *some* outcome twice. Without a repetition the draws are an ordered choice of $n$ different outcomes: the sum over all of them is $n!\,e_n(p)$, with the $n$-th elementary
# symmetric polynomial, the coefficient of $t^n$ in $\prod_i(1+p_it)$. Multiply one factor at a time; 1000 outcomes must be no trouble.
#
# *Implement · about 30 minutes · 5 points*
# :::

# %% ex={"id": "evaluation-repeat", "role": "stub"}
def prob_repeat(p, n):
    """Probability of at least one repetition among n >= 1 draws from p (K,); a float."""
    raise NotImplementedError("your code here")


# %% ex={"id": "evaluation-repeat", "role": "check"} tags=["hide-input"]
def check_evaluation_repeat():
    for p, n in (([0.5, 0.3, 0.2], 2), ([0.5, 0.3, 0.2], 3), ([0.4, 0.3, 0.2, 0.1], 3), ([0.7, 0.1, 0.1, 0.1], 5)):
        truth = sum(math.prod(p[i] for i in draws) for draws in itertools.product(range(len(p)), repeat=n) if len(set(draws)) < n)
        assert abs(prob_repeat(torch.tensor(p), n) - truth) < 1e-9, f"n = {n}: the sum over all sequences disagrees"
    assert abs(prob_repeat(torch.tensor([0.2, 0.8]), 1)) < 1e-12, "one draw can't repeat anything"
    same = torch.full((1000,), 1e-3)
    for n in (23, 60):
        truth = 1 - math.prod(1 - i / 1000 for i in range(n))
        assert abs(prob_repeat(same, n) - truth) < 1e-9, "equal outcomes: compare with the product for birthdays"


_ = self_check("evaluation-repeat", check_evaluation_repeat)


# %% [markdown] ex={"id": "evaluation-permutation", "role": "statement"}
# :::{exercise} A p-value that keeps its promise
# :label: ex-evaluation-permutation
#
# Write a permutation test for any statistic `stat(x, y)` that is large when the samples differ: relabel the pooled sample `permutations` times, and return the $p$-value. It must satisfy $\Pr(p\le\alpha)\le\alpha$ under the null *exactly*, also with ties. Then find
# out how often a test goes wrong that returns the share of relabellings alone.
#
# *Implement · about 20 minutes · 4 points*
# :::

# %% ex={"id": "evaluation-permutation", "role": "stub"}
def permutation_p(stat, x, y, permutations, generator):
    """p-value, a float, of the samples x (n, d) and y (m, d)."""
    raise NotImplementedError("your code here")


# %% ex={"id": "evaluation-permutation", "role": "check"} tags=["hide-input"]
def check_evaluation_permutation():
    def gap(x, y):
        return float((x.mean(0) - y.mean(0)).abs().sum())

    g = torch.Generator().manual_seed(11)
    constant = permutation_p(gap, torch.ones(4, 1), torch.ones(3, 1), 9, g)
    assert constant == 1, "all observations equal: every relabelling ties, and nothing was found"
    far = permutation_p(gap, torch.randn(30, 2, generator=g), 50 + torch.randn(20, 2, generator=g), 19, g)
    assert abs(far - 1 / 20) < 1e-9, "two distant clouds, 19 relabellings: the observed labelling is the most extreme of 20, and p can't be smaller"
    sizes = []

    def spy(x, y):
        sizes.append((len(x), len(y)))
        return 0.0

    permutation_p(spy, torch.randn(6, 1, generator=g), torch.randn(2, 1, generator=g), 3, g)
    assert set(sizes) == {(6, 2)}, "a relabelling keeps the two sizes"
    alarms = [permutation_p(gap, torch.randn(5, 1, generator=g), torch.randn(5, 1, generator=g), 4, g) <= 0.2 for _ in range(1500)]
    rate = sum(alarms) / len(alarms)
    assert abs(rate - 0.2) < 0.045, f"with 4 relabellings a level of 1/5 must be kept exactly; yours gives {rate:.2f}"


_ = self_check("evaluation-permutation", check_evaluation_permutation)

# %% [markdown]
# ## What to read next
#
# - {cite:t}`theis2016` on why likelihood, samples and usefulness are different goals: short, and still the best start.
# - {cite:t}`barratt2018` take the Inception score apart; {cite:t}`stein2023` hold all the usual scores against human judges.
# - {cite:t}`kynkaanniemi2019` and {cite:t}`naeem2020` for precision, recall and coverage; {cite:t}`lopezpaz2017` and {cite:t}`gretton2012` for the two tests.
# - {cite:t}`arora2017` for birthdays, {cite:t}`friedman2023` for the Vendi score, {cite:t}`burda2016` for the importance-weighted bound.
#
# In this book: {ref}`ch-human` asks people instead; {ref}`ch-at-work` has the Fréchet distance with its proof and its bias; {ref}`ch-divergences` says what each divergence forgives.
