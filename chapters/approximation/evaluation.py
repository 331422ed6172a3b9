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
# - test "are these samples from the same distribution?" with a false-alarm rate that you choose;
# - report two numbers, one for what a model misses and one for what it makes up.

# %% tags=["hide-input"]
import itertools
import math
import warnings

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from scipy import integrate, stats
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from genkit.claims import agree, claim, monte_carlo, self_check
from genkit.data import binarise, dequantise, digits
from genkit.divergences import kl_quadrature, mmd2
from genkit.metrics import bits_per_dim, c2st, frechet_distance, inception_score
from genkit.neighbours import precision_recall
from genkit.plot import colors, image_grid, scatter, style
from genkit.toys import toy
from genkit.train import seed_everything

style()
gen = seed_everything(0)
torch.set_default_dtype(torch.float64)
data = digits()  # levels 0..16, 8×8 pixels: 1077 / 360 / 360 images

# %% [markdown]
# ## Eight generators, seven of them flawed
#
# {item}`S0.14` In {numref}`fig-evaluation-flaws` eight generators show ten images each. The first is as good as a generator can be: its images are real
# digits that nobody has used yet. Each of the others has one flaw. Some flaws the eye finds at once. Others it can't find in ten images, and one it can't
# find without the training set. Which score would?

# %% tags=["hide-input"]
kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])[None, None] / 16


def noisy(x):
    return (x + 2 * torch.randn(x.shape, generator=gen)).round().clamp(0, 16)


def blurred(x):
    return F.conv2d(x.view(-1, 1, 8, 8), kernel, padding=1).view(-1, 64)


def generators(x, y, train, n):
    """Eight samples (n, 64) from fresh digits x (m, 64), y (m,) in random order and training digits."""
    low, high = x[y < 5], x[y >= 5]
    root = torch.linalg.cholesky(train.T.cov() + 1e-6 * torch.eye(64))
    return {
        "fresh digits": x[:n],
        "one class lost": x[y != 4][:n],
        "wrong balance": torch.cat([low[: 3 * n // 4], high[: n // 4]]),
        "noise": noisy(x[:n]),
        "blur": blurred(x[:n]),
        "memorised": train[torch.randperm(len(train), generator=gen)[:n]],  # none twice
        "twins": x[: n // 2].repeat(2, 1),
        "two moments": train.mean(0) + torch.randn(n, 64, generator=gen) @ root.T,
    }


pool_x = torch.cat([data.validation.x, data.test.x])  # (720, 64), used by no generator
pool_y = torch.cat([data.validation.y, data.test.y])

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-evaluation-flaws", "caption": "Ten images from each of eight generators. The first is perfect, the others have one flaw each. A lost class, a wrong balance, memorised images and twins leave every single image a real digit."}, "image": {"alt": "Eight rows of ten small grey digits. Rows named noise, blur and two moments look damaged; the rows named one class lost, wrong balance, memorised and twins look like the first row of real digits."}}
shuffled = torch.randperm(720, generator=gen)[:200]
shown = generators(pool_x[shuffled], pool_y[shuffled], data.train.x, 120)
fig, ax = plt.subplots(figsize=(6, 4.6))
image_grid(torch.cat([x[torch.arange(0, 120, 12)] for x in shown.values()]), ncols=10, ax=ax, vmin=0, vmax=16)
ax.set_yticks([4 + 9 * i for i in range(8)], shown)
plt.show()


# %% [markdown]
# Evaluation is hard because we compare two distributions, and have a finite sample of one and a program for the other. Every score replaces them by
# something smaller, and what it leaves out is its blind spot. The map of this page:
#
# | score | needs | sees | is blind to |
# |---|---|---|---|
# | NLL, bits per dimension | density, test data | missed mass | off-support samples; units, if not stated |
# | bound (ELBO) | encoder | the same, plus its own gap | how large the gap is |
# | Inception score | classifier | unsure or one-sided labels | the data; all within a class |
# | Fréchet distance | features | two moments of the features | all else; sample size shifts it |
# | birthday test | samples | few outcomes, repeated | a long tail, and the data |
# | nearest neighbours | samples | twins | everything beyond the nearest point; rewards noise |
# | precision, recall, coverage | samples, both | off-support samples, gaps near the data | memorising; weights of the modes (but coverage sees some) |
# | mode count | known modes | lost modes | their weights |
# | principal components | samples, both | two moments | all else |
# | C2ST, MMD | samples, both | any difference, given enough samples | what their classifier or kernel hardly weighs; memorising |
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
# is a code length if $p_\theta$ is a probability of the integer pixels. If it is a density, the number depends on the pixels' unit. {ref}`ch-conventions` proves that
# after dequantisation of $L$ levels to $[0,1)$, BPD $+\log_2L$ bounds the code length from above, and {ref}`ch-density` uses it. What happens without?

# %%
def gaussian_nll(x, mean, cov):  # x (n, d) -> nats per image, averaged
    gaussian = torch.distributions.MultivariateNormal(mean, cov)
    return -gaussian.log_prob(x).mean()


cube = dequantise(data.train.x, generator=gen)  # (1077, 64) in [0, 1)
cube_test = dequantise(data.test.x, generator=gen)  # (360, 64)
m, C = cube.mean(0), cube.T.cov()
nll = gaussian_nll(cube_test, m, C)
bpd = nll / (64 * math.log(2))  # a density: moves with the unit of x
bpd_levels = bpd + math.log2(17)  # bounds the code length of the 17 levels


# %% tags=["hide-input"]
def floor_bpd(s, x):
    """No dequantisation: one Gaussian for each training pixel, of deviation s or more."""
    t = data.train.x / 16
    return bits_per_dim(-torch.distributions.Normal(t.mean(0), t.std(0).clamp(min=s)).log_prob(x / 16).sum(1).mean(), 64)


constant = int((data.train.x.std(0) == 0).sum())  # pixels that never change
nll_255 = gaussian_nll(255 * cube_test, 255 * m, 255**2 * C)  # the same images, 0..255
agree("evaluation-bpd-twin", torch.stack([bpd, bpd_levels]), torch.stack([bits_per_dim(nll, 64), bits_per_dim(nll, 64, levels=17)]))
claim("evaluation-bpd-units", "one Gaussian, pixels stored as 0..255 instead of 0..1: bits per pixel move by",
      bits_per_dim(nll_255 - nll, 64), math.log2(255), item="E0.18", by="closed form log2 255", atol=1e-9, unit="bits")
claim("evaluation-bpd-negative", "bits per pixel of the Gaussian on the unit cube, unit left out", bpd,
      item="E0.18", by="a code length can't be negative", at_least=-1.3, at_most=-0.95, unit="bits")
claim("evaluation-bpd-floor", "no dequantisation: factor 1/1024 on the smallest deviation changes the score of training images by",
      floor_bpd(2.0**-40, data.train.x) - floor_bpd(2.0**-30, data.train.x), -10 * constant / 64, item="E0.18",
      by="closed form: -10 bits for each constant pixel, over 64", atol=1e-9, unit="bits")
claim("evaluation-bpd-floor-test", "and multiplies that of test images by 2 to the power of",
      (floor_bpd(2.0**-40, data.test.x) / floor_bpd(2.0**-30, data.test.x)).log2(), 20.0, item="E0.18",
      by="the square of 1024: a test digit has ink where no training digit has", atol=1e-3, depends_on="split")


# %% [markdown]
# :::{admonition} Common mistake: Bits per dimension need no unit
# :class: mistake
# {item}`E0.18` A formula often printed, $-\frac1{N D}\sum_i\log_2 p_\theta(x_i)$, names none. But for a density the number moves by
# $\log_2 255=7.994$ when pixels are stored as bytes, and it may be negative ({value}`evaluation-bpd-negative:.2f` here). Without dequantisation it has no lower
# end on the training images: some pixels never change there, and every ten halvings of the narrowest deviation change it by
# {value}`evaluation-bpd-floor:.2f` bits. On test images it has no upper end, as soon as one of them has ink in such a pixel (in this split some have). Score
# integers, or dequantise and add $\log_2$ of the number of levels.
# :::
#
# **What may be compared?** Code lengths of the *same integers*, whatever made them. The next cell writes a Gaussian in a second architecture: not as a
# covariance, but as 64 linear regressions, each pixel on those before it.

# %%
def chain_nll(train, test):
    """Pixel j by least squares on pixels < j; nats per image."""
    total = 0.0
    for j in range(64):
        past = torch.ones(len(train), 1)
        past = torch.cat([past, train[:, :j]], 1)  # (n, 1 + j)
        w = torch.linalg.lstsq(past, train[:, j]).solution  # (1 + j,)
        s2 = (train[:, j] - past @ w).square().mean()  # residual variance
        r = test[:, j] - w[0] - test[:, :j] @ w[1:]
        total += 0.5 * (r.square().mean() / s2 + (2 * math.pi * s2).log())
    return total


# %% tags=["hide-input"]
as_chain, as_joint = chain_nll(cube, cube_test), gaussian_nll(cube_test, m, cube.T.cov(correction=0))
ink, ink_test = binarise(data.train.x), binarise(data.test.x)
rate = (ink.sum(0) + 1) / (len(ink) + 2)
black_and_white = -(ink_test * rate.log() + (1 - ink_test) * (1 - rate).log()).sum(1).mean()
table = torch.stack([column.bincount(minlength=17) for column in data.train.x.long().T]) + 0.5
histograms = -(table / table.sum(1, keepdim=True)).log()[torch.arange(64), data.test.x.long()].sum(1).mean()
claim("evaluation-architectures", "one Gaussian as 64 regressions: bits per pixel", bits_per_dim(as_chain, 64, levels=17),
      bits_per_dim(as_joint, 64, levels=17), item="E0.19", by="the same distribution as a covariance matrix", atol=1e-8, unit="bits")
claim("evaluation-histograms", "independent pixel histograms on 17 levels", bits_per_dim(histograms, 64), item="E0.19",
      by="other splits", at_least=2.38, at_most=2.45, unit="bits", digits=3)
claim("evaluation-one-gaussian", "the full Gaussian on 17 levels", bits_per_dim(as_joint, 64, levels=17), item="E0.19",
      by="other splits", at_least=2.91, at_most=2.99, unit="bits", digits=3)
claim("evaluation-preprocessing", "independent pixels on 17 levels minus the same on binarised digits",
      bits_per_dim(histograms - black_and_white, 64), item="E0.19",
      by="other data, less entropy; other splits", at_least=1.7, at_most=1.95, unit="bits")

# %% [markdown]
# :::{admonition} Common mistake: Likelihoods of different architectures cannot be compared
# :class: mistake
# {item}`E0.19` Between architectures the comparison is the very point of a likelihood: one distribution, written in two ways, scores the same to eight digits. It
# misleads between domains, preprocessings and units, and between an exact value and a bound. Independent pixels, which need
# {value}`evaluation-histograms:.2f` bits (the full Gaussian {value}`evaluation-one-gaussian:.2f`: {ref}`ch-conventions` says why), appear
# {value}`evaluation-preprocessing:.1f` bits "better" once the data are binarised.
# :::
#
# ### A bound is not a likelihood
#
# The likelihood of a variational autoencoder is an integral over $z$, without a closed form once the decoder is a network. {ref}`ch-representation` derives the bound
# $\mathrm{ELBO}(x)=\log p(x)-\mathrm{KL}(q(z|x)\,\|\,p(z|x))$. With $K$ draws $z_k\sim q$ the **importance-weighted** bound {cite:p}`burda2016` is tighter,
#
# $$
# \begin{aligned}
# \mathcal L_K(x) &= \mathbb E\log\frac1K\sum_{k=1}^K \frac{p(x, z_k)}{q(z_k|x)}, \\
# \mathrm{ELBO} &= \mathcal L_1\le\mathcal L_K\le\log p(x).
# \end{aligned}
# $$ (eq-evaluation-iw)
#
# Take a decoder for which the truth is known: probabilistic PCA, $x=\mu+Wz+\sigma\varepsilon$ with $W=W_0R$. The columns of $W_0$ are
# orthogonal, and $R$ may be any rotation, since the distribution of $x$ depends on $WW^\top=W_0W_0^\top$ only. The posterior has
# the precision $\Lambda=I+W^\top W/\sigma^2$. An encoder with the right mean and independent codes of variances $d_j$ has the gap
# $\mathrm{KL}=\frac12\sum_j(\Lambda_{jj}d_j-1-\log d_j)-\frac12\log\det\Lambda$ for every $x$; the best one has $d_j=1/\Lambda_{jj}$, and the gap
# $\frac12(\sum_j\log\Lambda_{jj}-\log\det\Lambda)$.

# %%
Normal = torch.distributions.Normal


def linear_vae(k):
    """Closed-form W0 (64, k) and sigma² of probabilistic PCA."""
    lam, U = torch.linalg.eigh(C)
    s2 = lam[:-k].mean()
    return U[:, -k:] * (lam[-k:] - s2).sqrt(), s2


def bounds(x, W, s2, K):
    """One draw of the IW-K estimate for each image, (n,), with the best q."""
    precision = torch.eye(W.shape[1]) + W.T @ W / s2  # Λ, (k, k)
    mean = torch.linalg.solve(precision, W.T @ (x - m).T / s2).T  # (n, k)
    q = Normal(mean, precision.diagonal().rsqrt())
    z = q.sample((K,))  # (K, n, k)
    log_p = Normal(m + z @ W.T, s2.sqrt()).log_prob(x).sum(-1)  # log p(x|z)
    log_p = log_p + Normal(0.0, 1.0).log_prob(z).sum(-1)  # log p(x, z)
    log_w = log_p - q.log_prob(z).sum(-1)  # (K, n)
    return torch.logsumexp(log_w, 0) - math.log(K)


# %% tags=["hide-input"]
def exact_log_prob(x, W, s2):
    return torch.distributions.MultivariateNormal(m, W @ W.T + s2 * torch.eye(64)).log_prob(x)


def rotated(W):
    return W @ torch.linalg.qr(torch.randn(W.shape[1], W.shape[1], generator=gen))[0]


def best_gap(W, s2):
    precision = torch.eye(W.shape[1]) + W.T @ W / s2
    return 0.5 * (precision.diagonal().log().sum() - torch.logdet(precision))


W0, s2 = linear_vae(20)
W = rotated(W0)
gap = best_gap(W, s2)
exact = exact_log_prob(cube_test, W, s2).mean()
smaller = exact_log_prob(cube_test, *linear_vae(18)).mean()
mean, se = monte_carlo(torch.stack([bounds(cube_test, W, s2, 1).mean() for _ in range(40)]))
iw = torch.stack([bounds(cube_test, W, s2, K).mean() for K in (1, 10, 100, 1000)])
claim("evaluation-elbo-gap", "exact log-likelihood minus ELBO, linear VAE with rotated codes", exact - mean, gap, item="E0.6",
      by="closed form of the KL between encoder and posterior", se=se, unit="nats")
claim("evaluation-elbo-aligned", "the same distribution with unrotated codes: largest error of single draws of the bound",
      (bounds(cube_test, W0, s2, 1) - exact_log_prob(cube_test, W, s2)).abs().max().round(decimals=7), 0.0, item="E0.6",
      by="the encoder is the posterior, and p(x,z)/q(z|x) = p(x) for every z", atol=1e-6, unit="nats")
claim("evaluation-iw-order", "IW bounds with K = 1, 10, 100, 1000: smallest rise from one to the next",
      (iw[1:] - iw[:-1]).min(), item="E0.6", by="the bound rises with K (Burda et al. 2016)", at_least=0.1, unit="nats", digits=2)
claim("evaluation-iw-close", "log-likelihood minus the bound with K = 1000", exact - iw[-1], item="E0.6",
      by="below the likelihood, and nearer than a sixth of the ELBO's gap; other splits and seeds", at_least=0.25, at_most=float(gap) / 6, unit="nats", digits=2)
claim("evaluation-elbo-reversal-exact", "18 codes minus 20 codes, exact log-likelihood", smaller - exact, item="E0.6",
      by="the smaller model is worse", at_least=-1.8, at_most=-0.9, unit="nats")
V0, t2 = linear_vae(18)
both = torch.stack([smaller - best_gap(rotated(V0), t2) - exact + best_gap(rotated(W0), s2) for _ in range(200)])
claim("evaluation-elbo-rotated", "the same difference in ELBO, codes rotated in both models, mean of 200 pairs", both.mean(), item="E0.6",
      by="the right order: rotation costs both models about as much", at_least=-0.9, at_most=-0.2, unit="nats", digits=2)
claim("evaluation-elbo-reversal", "the same difference in ELBO, codes rotated in the larger model only", smaller - mean,
      item="E0.6", by="the smaller model seems better", at_least=1.6, at_most=2.7, se=se, unit="nats")


# %% [markdown]
# :::{admonition} Common mistake: A VAE computes its likelihood directly
# :class: mistake
# {item}`E0.6` It computes a bound. Here the bound lies {value}`evaluation-elbo-gap:.2f` nats low, and with $K=1000$ still {value}`evaluation-iw-close:.2f`. The *same
# distribution* with unrotated codes has no gap at all. So ELBOs may order models by their encoders: with 18 unrotated codes, a worse model seems
# {value}`evaluation-elbo-reversal:.2f` nats ahead of ours, when the true difference is {value}`evaluation-elbo-reversal-exact:.2f`. (With rotated codes in both
# it is {value}`evaluation-elbo-rotated:.2f` in ELBO, the right order.) Report the bound as a bound, with its $K$.
# :::
#
# ## Scores through a classifier
#
# {item}`S0.30` A classifier trained on ImageNet stands behind the two scores that are printed most often. Ours is logistic regression on the training digits:
# ten classes, and its logits are the features. The **Inception score** {cite:p}`salimans2016` of $n$ generated images is
#
# $$
# \begin{aligned}
# \mathrm{IS} &= \exp\Big(\frac1n\sum_{i=1}^n \mathrm{KL}\big(p(y|x_i)\,\big\|\,\bar p(y)\big)\Big), \\
# \bar p(y) &= \frac1n\sum_{i=1}^n p(y|x_i).
# \end{aligned}
# $$ (eq-evaluation-is)
#
# The exponent is $H(\bar p)-\frac1n\sum_iH(p(\cdot|x_i))$, the mutual information between image and label under the *generated* samples. So
# $1\le\mathrm{IS}\le K$ for $K$ classes.

# %%
def inception(probs):
    """Inception score of class probabilities (n, K)."""
    marginal = probs.mean(0)  # over the generated samples, (K,)
    cross = torch.xlogy(probs, marginal)  # (n, K)
    log_ratio = torch.xlogy(probs, probs) - cross  # 0 log 0 is 0
    return log_ratio.sum(1).mean().exp()


# %% tags=["hide-input"]
def fit(x, y, tol=1e-4):  # weights (10, 64) and intercepts (10,)
    model = LogisticRegression(C=10, max_iter=5000, tol=tol).fit(x.numpy() / 16, y.numpy())
    return torch.tensor(model.coef_), torch.tensor(model.intercept_)


A, b = fit(data.train.x, data.train.y, tol=1e-8)


def logits(x, A=A, b=b):  # (n, 64) -> (n, 10)
    return x / 16 @ A.T + b


def probs(x):
    return torch.softmax(logits(x), 1)


def H(p):  # entropy of each row, nats
    return torch.special.entr(p).sum(-1)


q = probs(data.test.x)
real_is = inception(q)
ten = data.train.x[probs(data.train.x).argmax(0)].repeat(100, 1)  # a generator that knows one image of each class
nonsense = 16 * (A > 0).double()  # each class's weights, as black and white
single = torch.eye(10)[:1].repeat(50, 1)  # one image for ever, of which the classifier is certain
agree("evaluation-is-twin", real_is, inception_score(q))
claim("evaluation-is-information", "log of the Inception score of 360 real test digits",
      real_is.log(), H(q.mean(0)) - H(q).mean(), by="mutual information H(y) - H(y|x)", atol=1e-10,
      unit="nats")
claim("evaluation-is-real", "Inception score of 360 real test digits", real_is,
      by="ten classes; some doubt", at_least=8.0, at_most=9.5, digits=3)
claim("evaluation-is-memoriser", "of ten training images, a hundred times each", inception(probs(ten)), item="E0.11",
      by="above the real digits, below ten classes", at_least=9.9, at_most=10.0, digits=4)
claim("evaluation-is-nonsense", "of ten images of the classifier's own weights", inception(probs(nonsense)), item="E0.11",
      by="above ten real images, below ten classes", at_least=9.99, at_most=10.0, digits=5)
claim("evaluation-is-one-class", "of one image for ever, and wrongly with uniform class frequencies for the marginal",
      [inception(single), (torch.xlogy(single, single) - torch.xlogy(single, 0.1 * torch.ones(10))).sum(1).mean().exp()], [1.0, 10.0],
      item="E0.11",
      by="no information; the wrong marginal gives the best score", atol=1e-12)

# %% [markdown]
# :::{admonition} Common mistake: A high Inception score means samples like the data
# :class: mistake
# {item}`E0.11` No real image enters {eq}`eq-evaluation-is`: ten memorised digits score {value}`evaluation-is-memoriser:.3f`, ten images that are no digits
# {value}`evaluation-is-nonsense:.4f`, the real ones {value}`evaluation-is-real:.2f` {cite:p}`barratt2018`. Nor is $\bar p(y)$, as often said, "the marginal over
# the classes": it is the average over *generated* samples; with uniform class frequencies in its place a collapsed generator would score best.
# :::

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-evaluation-nonsense", "caption": "Ten images that the Inception score prefers to real digits."}, "image": {"alt": "A row of ten black-and-white eight-by-eight patterns without resemblance to digits."}}
fig, ax = plt.subplots(figsize=(7, 0.9))
image_grid(nonsense, ncols=10, ax=ax, vmin=0, vmax=16)
plt.show()

# %% [markdown]
# The **Fréchet distance** compares means and covariances of the features of real and generated images,
#
# $$
# \mathrm{FD} = \|\mu_r-\mu_g\|^2+\operatorname{tr}\big(\Sigma_r+\Sigma_g-2(\Sigma_r^{1/2}\Sigma_g\Sigma_r^{1/2})^{1/2}\big),
# $$ (eq-evaluation-frechet)
#
# and {ref}`ch-at-work` has its code, its proof and its bias. With Inception features it is called FID. It looks at the data, and so sees the patterns of
# {numref}`fig-evaluation-nonsense` at once. What does it not see? Whatever the features drop, and whatever two moments drop. For the first, add to each digit
# strong static in the directions of pixel space that our logits ignore: 55 of 64, for the ten rows of weights add up to zero (no matter that grey levels then
# leave their range).

# %% tags=["hide-input"]
reference = logits(data.validation.x)
null_space = torch.linalg.svd(A)[2][9:]  # (55, 64): directions that A, of rank 9, ignores
static = data.test.x + 8 * torch.randn(360, 55, generator=gen) @ null_space
score = {name: frechet_distance(reference, logits(x))
         for name, x in {"real": data.test.x, "static": static, "nonsense": nonsense}.items()}
ten_real = torch.stack([frechet_distance(reference, logits(data.test.x[torch.randperm(360, generator=gen)[:10]])) for _ in range(50)]).mean()
orders = [torch.randperm(720, generator=gen) for _ in range(400)]
halves = torch.stack([frechet_distance(logits(pool_x[i[:360]]), logits(pool_x[i[360 : 360 + n]])) for n in (45, 360) for i in orders])
small, large = halves.view(2, 400).mean(1)
claim("evaluation-frechet-nonsense", "Fréchet distance of the ten patterns over the mean of ten real digits", score["nonsense"] / ten_real,
      item="S0.30", by="the patterns are noticed, at equal sample sizes; other splits", at_least=4, digits=2)
claim("evaluation-frechet-static", "digits under static that the features drop: change of the Fréchet distance", score["static"] - score["real"],
      0.0, item="E0.20", by="exactly zero: the logits are unchanged", atol=1e-5, stable=False)
claim("evaluation-frechet-static-pixels", "the same static in pixel space: distance over that of real digits",
      frechet_distance(data.validation.x, static) / frechet_distance(data.validation.x, data.test.x), item="E0.20",
      by="other features see it", at_least=40, at_most=70, digits=2)
claim("evaluation-frechet-rank", "rank of the ten logits' weights", torch.linalg.matrix_rank(A), 9,
      item="E0.20", by="the penalty makes the ten rows add up to zero")
claim("evaluation-frechet-bias", "360 real digits against 45 others: distance over that against 360 others", small / large, item="E0.20",
      by="1/n + 1/m of the bias gives 4.5 to first order; other splits", at_least=4.4, at_most=5.0, digits=2)


# %% [markdown]
# :::{admonition} Common mistake: FID is robust and agrees with people
# :class: mistake
# {item}`E0.20` It sees more than the Inception score, because it looks at the data. But against 360 real digits a perfect generator scores
# {value}`evaluation-frechet-bias:.1f` times as badly with 45 images as with 360 ({ref}`sec-at-work-bias` has the formula). Static that the features drop is
# free, though it multiplies the same distance between pixels by {value}`evaluation-frechet-static-pixels:.0f`. And against people FID does poorly for diffusion
# models, whose quality it underrates {cite:p}`stein2023`.
# :::
#
# ## Diversity: birthdays and neighbours
#
# {item}`S0.31` A generator that knows only $N$ images must repeat itself, and sooner than one thinks: among 23 people two share a birthday more often than
# not (the **birthday paradox**). {cite:t}`arora2017` turned this into a test: draw batches of $s$ images, look through the most similar pairs, and if half of
# the batches hold a duplicate, conclude $N\approx s^2$. Its simplest form draws until the first repetition.
#
# :::{prf:theorem} The first collision
# :label: thm-evaluation-birthday
# {item}`X3.10` Let outcomes have the probabilities $p_i$, and let $T$ be the number of draws up to and including the first repetition. Then
#
# $$
# \mathbb E\,T = \int_0^\infty \prod_i (1+p_i t)\,e^{-p_i t}\,\mathrm dt ,
# $$ (eq-evaluation-birthday)
#
# and for $N$ equally likely outcomes
#
# $$
# \begin{aligned}
# \mathbb E\,T &= \sum_{k=0}^N\frac{N!}{(N-k)!\,N^k} \\
# &= \sqrt{\frac{\pi N}2}+\frac23+O(N^{-1/2}).
# \end{aligned}
# $$ (eq-evaluation-birthday-uniform)
# :::
#
# :::{prf:proof}
# Let the draws arrive at the times of a Poisson process of rate 1. Then the counts of the outcomes are independent Poisson variables, and no outcome has come
# twice by time $t$ with the probability in the integral; so the integral is the expected time of the first repetition. Waiting times between draws have mean 1
# and don't depend on what is drawn, so that the expected time equals $\mathbb E T$ (Wald). The sum is $\sum_k\Pr(T>k)$; the expansion is Ramanujan's, see
# {cite:t}`flajolet1995`.
# :::
#
# If all $p_i$ are small against $\sqrt{\sum_jp_j^2}$, then $\log(1+p_it)-p_it\approx-p_i^2t^2/2$ where it counts, and
# $\mathbb E T\approx\sqrt{\pi/(2\sum_i p_i^2)}$: the test measures $1/\sum_ip_i^2$, the exponential of the **Rényi entropy of order 2**, and not the number
# of outcomes.

# %%
def first_collision(p, count):
    """E[T]; count[i] outcomes have the probability p[i] each; (K,), (K,)."""

    def alive(t):  # no repetition up to time t
        return math.exp((count * (torch.log1p(p * t) - p * t)).sum())

    # alive(far) < e^-50 in our cases
    far = 24 / math.sqrt((count * p**2).sum())
    return integrate.quad(alive, 0, far, epsabs=1e-10, limit=200)[0]


def uniform_collision(N):
    """The same for N equally likely outcomes, by the sum."""
    k = torch.arange(1, N + 1)
    return 1 + float(torch.cumprod((N - k + 1) / N, 0).sum())


# %% tags=["hide-input"]
def birthdays(n_outcomes, runs):
    """Simulated first collisions, (runs,)."""
    draws = torch.randint(n_outcomes, (runs, 400), generator=gen)
    order = draws.sort(dim=1, stable=True)
    again = order.values[:, 1:] == order.values[:, :-1]
    return torch.where(again, order.indices[:, 1:], 10**6).min(1).values + 1


runs = birthdays(1000, 4000)
tail_p, tail_n = torch.tensor([0.05, 0.5e-6]), torch.tensor([10.0, 1e6])  # ten outcomes hold half the mass
tail = first_collision(tail_p, tail_n)
# sum over k of P(no repetition among k draws): j of them on the ten, k - j on the million
by_hand = sum(math.comb(k, j) / 2**k * math.perm(10, j) / 10**j * math.prod(1 - i / 1e6 for i in range(k - j))
              for k in range(120) for j in range(min(k, 10) + 1))

claim("evaluation-birthday-1000", "expected first collision, 1000 equal outcomes",
      uniform_collision(1000), first_collision(torch.tensor([1e-3]), torch.tensor([1000.0])),
      by="the integral, by quadrature", atol=1e-6, digits=5)
claim("evaluation-birthday-law", "the same for 1000 and 10 000 outcomes, and the formula",
      [uniform_collision(1000), uniform_collision(10_000)], [math.sqrt(math.pi * N / 2) + 2 / 3 for N in (1000, 10_000)], item="X3.10",
      by="sqrt(pi N / 2) + 2/3", atol=5e-3, digits=6)
mean, se = monte_carlo(runs.double())
claim("evaluation-birthday-simulated", "mean of 4000 simulated first collisions, 1000 outcomes",
      mean, uniform_collision(1000), by="the exact sum", se=se)
claim("evaluation-birthday-spread", "their standard deviation over their mean",
      runs.double().std() / mean, math.sqrt(4 / math.pi - 1),
      by="sqrt(4/pi - 1), that of a Rayleigh distribution, the limit of many outcomes", atol=0.03, digits=2)
claim("evaluation-birthday-tail", "ten outcomes with half the mass, a million with the rest: expected first collision", tail, by_hand,
      item="X3.10 E0.21", by="enumeration: sum over k of P(T > k), over how many of k draws fall on the ten", atol=1e-6)
claim("evaluation-birthday-estimate", "number of outcomes that the birthday test reads off, 2T²/pi", 2 * tail**2 / math.pi,
      2 * by_hand**2 / math.pi, item="E0.21", by="the enumeration; not 1 000 010, and 1/sum p² = 40 to first order only", atol=1e-4, digits=2)

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
# {numref}`fig-evaluation-birthday` warns against single runs. It is better to count *all* coinciding pairs among $n$ draws and divide by $\binom n2$: an
# unbiased estimate of $\sum_ip_i^2$ itself.
#
# :::{admonition} Common mistake: The first duplicate tells the diversity
# :class: mistake
# {item}`E0.21` It tells $1/\sum_ip_i^2$. With half the mass on ten images and the rest on a million this is
# $1/(10\cdot0.05^2+10^6\cdot(5\cdot10^{-7})^2)=40.0$. The first duplicate comes after {value}`evaluation-birthday-tail:.2f` draws on average, and the test reads
# $2T^2/\pi=$ {value}`evaluation-birthday-estimate:.0f` outcomes (ten are too few for the approximation to be close) where there are $1\,000\,010$. And a
# continuous distribution never repeats itself: one needs a detector of *near* duplicates.
# :::
#
# For images that is a radius. We take half of the smallest distance between two real validation digits, and try it on a generator that owns 50 test digits and
# adds a little noise to hide it.

# %%
def pairs_within(x, r):
    """Share of the pairs of x (n, d) that are nearer than r: estimates Σ p²."""
    return (torch.pdist(x) < r).double().mean()


# %% tags=["hide-input"]
radius = 0.5 * torch.pdist(data.validation.x).min()
pick = torch.randint(50, (400,), generator=gen)
hidden = data.test.x[:50][pick] + 0.2 * torch.randn(400, 64, generator=gen)
claim("evaluation-near-duplicates", "50 hidden images with noise: estimate of sum p² from near duplicates", pairs_within(hidden, radius), 0.02,
      item="E0.21 S0.31", by="1/50; for equal outcomes the pairs are uncorrelated", se=math.sqrt(2 * 0.02 * 0.98 / (400 * 399)))
claim("evaluation-real-duplicates", "real test digits within that radius",
      pairs_within(data.test.x, radius), 0.0, by="no false alarm")


# %% [markdown]
# ### How far is the nearest sample?
#
# {item}`S0.32` For $M$ outputs of *one* input, a caption or a prompt, one proposed score is the mean distance to the nearest other sample,
#
# $$
# D_{\text{plural}}=\frac1M\sum_{i=1}^M\min_{j\ne i}\,d(x_i,x_j).
# $$ (eq-evaluation-plural)
#
# Alternatives are the mean distance of *all* pairs and the **Vendi score** {cite:p}`friedman2023`, $\exp\big(-\sum_i\lambda_i\log\lambda_i\big)$ with the
# eigenvalues $\lambda_i$ of $K/M$ for a kernel matrix $K_{ij}=k(x_i,x_j)$ with $k(x,x)=1$, which is an effective number of different samples.

# %%
def distances(x, y):  # exact also for identical points
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def plural(x):
    """Mean distance to the nearest other sample, x (M, d)."""
    return distances(x, x).fill_diagonal_(math.inf).amin(1).mean()


def vendi(x, h):
    """Effective number of different samples, Gaussian kernel of width h."""
    K = torch.exp(-torch.cdist(x, x).square() / (2 * h**2))  # (M, M)
    lam = torch.linalg.eigvalsh(K / len(x)).clamp(min=0)
    return torch.special.entr(lam).sum().exp()


# %% tags=["hide-input"]
def square(M):
    return torch.rand(M, 2, generator=gen)


def donnelly(M):  # sqrt(M) times the mean distance to the nearest of M points in the unit square
    return 0.5 + 4 * (0.0514 / math.sqrt(M) + 0.041 / M)


once = square(500)
twice = once.repeat(2, 1)
sizes = (100, 1000, 4000)
scaled = torch.stack([plural(square(M)) * math.sqrt(M) for M in sizes])
far = 100 * torch.eye(7).repeat(9, 1)  # seven images, nine copies of each
claim("evaluation-plural-twins", "D_plural of 500 points of the unit square, and of the same points with a twin each",
      [plural(once), plural(twice)],
      [donnelly(500) / math.sqrt(500), 0.0], item="E0.22",
      by="Donnelly: 1/(2 sqrt M), and 0.0004 for the border; the twin is the neighbour", se=[0.28 / 500, 0.0])
edge = (2 + math.sqrt(2) + 5 * math.asinh(1)) / 15
claim("evaluation-pairs", "the points with twins: mean distance of all pairs", torch.pdist(twice).mean(), edge * 998 / 999,
      item="E0.22", by="closed form (2 + sqrt 2 + 5 asinh 1)/15 for the square; s.e. of 500 points 0.008", se=0.008)
claim("evaluation-plural-scaling", "D_plural times sqrt(M) for M = 100, 1000, 4000", scaled, [donnelly(M) for M in sizes], item="E0.22",
      by="Poisson points: 1/(2 sqrt M), and Donnelly's correction for the border", se=[0.28 / math.sqrt(M) for M in sizes], digits=3)
claim("evaluation-plural-noise", "real digits with noise over clean ones: D_plural",
      plural(noisy(data.test.x)) / plural(data.test.x), item="E0.22", by="damage is rewarded",
      at_least=1.17, at_most=1.27, digits=3)
claim("evaluation-vendi", "seven distant images, nine copies each: Vendi score", vendi(far, 1.0),
      7.0, by="closed form: 7 equal eigenvalues", atol=1e-9)


# %% [markdown]
# :::{admonition} Common mistake: The distance to the nearest sample measures diversity
# :class: mistake
# {item}`E0.22` Give every sample a twin and $D_{\text{plural}}$ is zero, however varied the samples. In $d$ dimensions it shrinks like $M^{-1/d}$, so that it compares nothing
# at different $M$. And noise raises it, here by the factor {value}`evaluation-plural-noise:.2f`. Twins leave the Vendi score as it is, and the mean over all pairs
# nearly so.
# :::
#
# ## Precision, recall, coverage
#
# One number can't say *which* way a model errs. Around each real point $r_i$, $i\le n$, put a ball $B_i$ that reaches to its $k$-th nearest real neighbour,
# and around each generated point $g_j$, $j\le m$, a ball $B'_j$ in the same way. **Precision** and **recall** {cite:p}`kynkaanniemi2019` are the shares of
# points inside a ball of the other kind, **coverage** {cite:p}`naeem2020` is the share of real balls that hold a generated point:
#
# $$
# \begin{aligned}
# P&=\frac1m\sum_j\mathbf 1\big[g_j\in\textstyle\bigcup_iB_i\big],\\
# R&=\frac1n\sum_i\mathbf 1\big[r_i\in\textstyle\bigcup_jB'_j\big],\\
# \mathrm{Cov}&=\frac1n\sum_i\mathbf 1\big[B_i\text{ holds some }g_j\big].
# \end{aligned}
# $$ (eq-evaluation-balls)

# %%
def reach(x, k):  # the nearest point, at distance zero, is the point itself
    return distances(x, x).kthvalue(k + 1, dim=1).values


def balls(real, fake, k=3):
    """Precision, recall, coverage of fake (m, d) for real (n, d), a (3,)."""
    cross = distances(real, fake)  # (n, m)
    inside = cross <= reach(real, k)[:, None]  # real ball i holds fake j
    within = cross <= reach(fake, k)  # fake ball j holds real i
    hits = inside.any(0), within.any(1), inside.any(1)
    return torch.stack([h.double().mean() for h in hits])


# %% [markdown]
# A perfect generator does not score one. For coverage its value is exact: the ball of a real point stays empty if its three nearest among the other
# $n-1$ real and $m$ generated points, which are exchangeable, are all real. With $n=m=100$ that has the probability
# $\frac{99}{199}\cdot\frac{98}{198}\cdot\frac{97}{197}$.

# %% tags=["hide-input"]
x, y = torch.randn(2, 200, 5, generator=gen)
null = torch.stack([balls(*torch.randn(2, 100, 5, generator=gen)) for _ in range(150)])  # (150, 3)
agree("evaluation-pr-twin", balls(x, y)[:2], torch.tensor(precision_recall(x, y)))
claim("evaluation-coverage-null", "coverage of two samples of one distribution, n = 100, k = 3", null[:, 2].mean(),
      1 - math.prod((99 - i) / (199 - i) for i in range(3)),
      item="S0.30", by="closed form 1 - (99/199)(98/198)(97/197), near 1 - 2^-3", se=null[:, 2].std() / math.sqrt(150))
claim("evaluation-precision-null", "precision of two samples of one distribution, n = 100, k = 3, five dimensions", null[:, 0].mean(), null[:, 1].mean(),
      item="S0.30", by="recall, by symmetry; neither is one", se=math.sqrt(2) * null[:, :2].std() / math.sqrt(150))
claim("evaluation-coverage-wrong", "wrong: the point itself counts as first neighbour; null value of coverage",
      torch.stack([balls(*torch.randn(2, 100, 5, generator=gen), k=2)[2] for _ in range(100)]).mean(), 1 - 99 * 98 / (199 * 198),
      item="S0.30", by="closed form with k = 2", se=float(null[:, 2].std()) * 1.3 / 10)

# %% [markdown]
# ## Lost modes
#
# {item}`S0.13` **Mode collapse** is the failure to produce some part of the data; in the extreme, all but one mode. It is often blamed on the
# forward divergence $\mathrm{KL}(p_{\text{data}}\|p_\theta)$, as if that let a model put all its mass on one mode. It is the other way round
# ({ref}`ch-divergences`): forward (**mode-covering**), a missing mode is very dear; reverse (**mode-seeking**), it costs $-\log$ of the share of the data's mass
# that is kept (for modes far apart).

# %% tags=["hide-input"]
grid = torch.linspace(-16, 16, 6001)


def normal(mean, s):
    return Normal(mean, s).log_prob(grid)


two = torch.logaddexp(normal(-3.0, 1.0), normal(3.0, 1.0)) - math.log(2)
one, broad = normal(3.0, 1.0), normal(0.0, math.sqrt(10))
entropy = integrate.quad(lambda x: -(f := (stats.norm.pdf(x, -3) + stats.norm.pdf(x, 3)) / 2) * math.log(f), -16, 16, points=[0])[0]
claim("evaluation-collapse-forward", "modes at ±3: forward KL of the model that keeps one of them, over that of one broad Gaussian",
      kl_quadrature(two, one, grid) / kl_quadrature(two, broad, grid),
      (0.5 * math.log(2 * math.pi) + 19 / 2 - entropy) / (0.5 * math.log(20 * math.pi) + 1 / 2 - entropy), item="S0.13",
      by="second moments 19 and 10, entropy by adaptive quadrature; below one if it favoured collapse", rtol=1e-4, digits=3)
claim("evaluation-collapse-reverse", "reverse KL of the model that keeps one mode",
      kl_quadrature(one, two, grid), math.log(2), by="log 2, up to the overlap", atol=5e-3,
      unit="nats")

# %% [markdown]
# With two modes at $\pm3$ of deviation 1, the model that keeps one is {value}`evaluation-collapse-forward:.0f` times as far from the data in the forward
# direction as a single broad Gaussian, and {value}`evaluation-collapse-reverse:.2f` nats away in the reverse one, nearly $\log2$.
#
# {item}`S0.33` On synthetic data the modes are known, and can be counted. Three samplers for the shared ring of eight Gaussians: one true, one that knows five
# neighbouring modes, one that knows all eight but draws the $i$-th with weight $2^{-i}$.

# %%
angle = torch.arange(8) * math.pi / 4
centres = 2 * torch.stack([angle.cos(), angle.sin()], 1)  # (8, 2)


def occupancy(x):
    """Share of x (n, 2) within three deviations of each centre, (8,)."""
    distance, mode = torch.cdist(x, centres).min(1)
    return torch.bincount(mode[distance < 0.6], minlength=8) / len(x)


# %% tags=["hide-input"]
ring = toy("ring")


def sampler(weights, n):
    pick = torch.multinomial(weights, n, True, generator=gen)
    return centres[pick] + 0.2 * torch.randn(n, 2, generator=gen)


weights = {"true": torch.ones(8) / 8, "five modes": (torch.arange(8) < 5) / 5.0,
           "lopsided": 2.0 ** -torch.arange(8) / (2.0 ** -torch.arange(8)).sum()}
rings = {name: sampler(w, 2000) for name, w in weights.items()}
claim("evaluation-modes-inside", "share of the ring's own samples within three deviations of a centre",
      occupancy(ring.sample(20_000, gen)).sum(), 1 - math.exp(-4.5),
      item="S0.33", by="closed form 1 - exp(-9/2)", se=math.sqrt(math.exp(-4.5) / 20_000))
claim("evaluation-modes", "modes found in 2000 samples: true, five modes, lopsided",
      [int((occupancy(x) > 0).sum()) for x in rings.values()], [8, 5, 8],
      by="known: the lopsided sampler looks complete")
mass = occupancy(rings["lopsided"])
claim("evaluation-modes-entropy", "effective number of modes of the lopsided sampler, exp of the entropy of the occupancy",
      H(mass / mass.sum()).exp(),
      H(weights["lopsided"]).exp(), item="S0.33", by="closed form from its weights", rtol=0.05, digits=2)
claim("evaluation-modes-recall", "five modes: precision minus recall",
      balls(ring.sample(1000, gen), rings["five modes"][:1000]) @ torch.tensor([1.0, -1.0, 0.0]),
      by="recall falls by about 3/8, precision does not", at_least=0.3, at_most=0.45, digits=2)
claim("evaluation-modes-variance", "five modes: smaller principal variance over that of the ring",
      torch.linalg.eigvalsh(rings["five modes"].T.cov())[0] / 2.04, (1.64 - (2 * (1 + math.sqrt(2)) / 5) ** 2) / 2.04, item="E0.23",
      by="closed form from the centres: 1.6 + 0.04 less the square of their mean, over 2 + 0.04", se=0.008, digits=2)


# %% [markdown]
# A count says nothing of the weights: the lopsided sampler has all eight modes, and effectively {value}`evaluation-modes-entropy:.1f`. Principal components
# are another common diagnosis. They compare variances along the principal axes of real and generated data. Compare the digits, then, with *one
# Gaussian* whose mean and covariance are, to rounding, those of the very sample it is compared with.

# %% tags=["hide-input"]
def same_moments(x, n):
    """n Gaussian draws (n, d), moved so that mean and covariance equal those of x."""
    z = torch.randn(n, x.shape[1], generator=gen)
    L = torch.linalg.cholesky(z.T.cov())
    lam, U = torch.linalg.eigh(x.T.cov())
    white = torch.linalg.solve_triangular(L, (z - z.mean(0)).T, upper=False).T
    return x.mean(0) + white @ (U * lam.clamp(min=0).sqrt()).T


copy = same_moments(data.test.x, 360)
claim("evaluation-pca-covariance", "largest difference of the two covariance matrices",
      (data.test.x.T.cov() - copy.T.cov()).abs().max(), 0.0, item="E0.23", by="equal covariances",
      atol=1e-9, stable=False)
claim("evaluation-pca-frechet", "Fréchet distance of the pixels", frechet_distance(data.test.x, copy).round(decimals=5), 0.0, item="E0.23",
      by="equal moments", atol=1e-4)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-evaluation-pca", "caption": "Left: real test digits and the Gaussian with the same moments on their two common principal axes. Right: ten images of the Gaussian."}, "image": {"alt": "Two overlapping clouds of points of the same extent on the left, the real one with several lobes, and on the right two rows of five grey noisy shapes that are no digits."}}
axes = torch.linalg.eigh(data.test.x.T.cov())[1][:, -2:].flip(1)  # (64, 2), the first two
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.1))
for cloud, color, label in ((data.test.x, colors.data, "digits"), (copy, colors.model, "Gaussian")):
    scatter(left, (cloud - data.test.x.mean(0)) @ axes, color=color, s=7, label=label)
left.set(xlabel="component 1 (grey levels)", ylabel="component 2 (grey levels)")
left.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, markerscale=2)
image_grid(copy[:10], ncols=5, ax=right, vmin=0, vmax=16)
plt.show()


# %% [markdown]
# :::{admonition} Common mistake: Principal components reveal mode collapse
# :class: mistake
# {item}`E0.23` Comparing variances and axes compares covariances. In {numref}`fig-evaluation-pca` the covariances agree to rounding, and with them all axes and variances;
# yet the right half shows no digits, and the classifier of the next section is not fooled. The four modes of {ref}`ch-at-work`,
# {value}`at-work-blind-kl:.2f` nats from the Gaussian of equal moments, are another case. PCA works for a collapse that moves the variances: without three of
# its modes, the ring's smaller one falls to {value}`evaluation-modes-variance:.0%`.
# :::
#
# ## Two-sample tests: any difference
#
# The **maximum mean discrepancy** (MMD) {cite:p}`gretton2012` compares mean kernel values,
#
# $$
# \mathrm{MMD}^2=\mathbb E\,k(x,x')+\mathbb E\,k(y,y')-2\,\mathbb E\,k(x,y) .
# $$ (eq-evaluation-mmd)
#
# Its value means nothing alone; the $p$-value counts how many relabellings of the pooled sample reach it. If both samples come from one distribution, the observed
# labelling is one among equals, and $\Pr(p\le\alpha)\le\alpha$ *exactly*, with no asymptotics. With 199 permutations and no ties, $\Pr(p\le0.05)=0.05$.

# %%
def permutation_test(x, y, h, permutations=199):
    """MMD² of x (n, d), y (m, d); share of labellings, its own included, that
    reach it."""
    both, n, m = torch.cat([x, y]), len(x), len(y)
    K = torch.exp(-torch.cdist(both, both).square() / (2 * h**2))
    K.fill_diagonal_(0)  # (n + m, n + m)
    orders = [torch.randperm(n + m, generator=gen) for _ in range(permutations)]
    order = torch.stack([torch.arange(n + m), *orders])  # (1 + B, n + m)
    s = (order < n).double()  # 1 for "x", 0 for "y"
    xx = ((s @ K) * s).sum(1) / (n * (n - 1))
    yy = (((1 - s) @ K) * (1 - s)).sum(1) / (m * (m - 1))
    xy = ((s @ K) * (1 - s)).sum(1) / (n * m)
    value = xx + yy - 2 * xy  # (1 + B,)
    return value[0], (value >= value[0] - 1e-12).double().mean()


# %% [markdown]
# A **classifier two-sample test** (C2ST) trains a classifier on one half of the samples and tests it on the other {cite:p}`lopezpaz2017`; at best it is right
# in a share $\frac12+\frac12\mathrm{TV}$ of cases ({ref}`ch-human`). Its $p$-value needs no second training. Of $h$ real and $h$ generated held-out examples the
# classifier calls $s$ "real", $r$ of them rightly. Under the null the held-out labels are a random choice of $h$ out of $2h$, whatever the classifier has
# learnt. So $r$ is hypergeometric:
#
# $$
# p=\Pr(R\ge r)=\sum_{j\ge r}\binom sj\binom{2h-s}{h-j}\Big/\binom{2h}{h} .
# $$ (eq-evaluation-fisher)
#
# This is the permutation test over *all* relabellings of the held-out half, known as Fisher's exact test. The accuracy is $(2r+h-s)/2h$, so for given $s$ it
# is the same to rank by $r$.

# %%
def verdicts(real, fake, g):
    """Which examples a small network calls real, on the half of real and fake
    (n, d) that it learns from and on the other: two (2h,), real ones first."""
    h = len(real) // 2
    real, fake = (x[torch.randperm(len(x), generator=g)] for x in (real, fake))
    seed = int(torch.randint(2**31, (), generator=g))
    train, test = (
        torch.cat([real[i], fake[i]]) for i in (slice(h), slice(h, 2 * h))
    )
    mean, std = train.mean(0), train.std(0, correction=0)
    std = torch.where(std == 0, 1.0, std)
    size = min(128, 2 * h)
    net = MLPClassifier(
        64, alpha=0.1, batch_size=size, max_iter=100, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 100 epochs are the rule
        net.fit((train - mean) / std, [0] * h + [1] * h)  # 0 is real
    return tuple(
        torch.tensor(net.predict((x - mean) / std) == 0) for x in (train, test)
    )


def accuracy(said):  # (2h,) -> share of right verdicts
    h = len(said) // 2
    return float(torch.cat([said[:h], ~said[h:]]).double().mean())


def classifier_p(said):  # (2h,) held-out verdicts -> p-value
    h, s = len(said) // 2, int(said.sum())
    r = int(said[:h].sum())
    return stats.hypergeom.sf(r - 1, 2 * h, s, h)


# %% [markdown]
# A level must be checked. Both tests are run on pairs of samples of one distribution, the ring.

# %% tags=["hide-input"]
x, y = ring.sample(60, gen), sampler(weights["five modes"], 60)
agree("evaluation-mmd-twin", permutation_test(x, y, 0.5)[0], mmd2(x, y, bandwidth=0.5))
agree("evaluation-c2st-twin", accuracy(verdicts(x, y, torch.Generator().manual_seed(7))[1]), c2st(x, y, generator=torch.Generator().manual_seed(7)))
under_null = torch.stack([permutation_test(ring.sample(40, gen), ring.sample(40, gen), 0.5)[1] for _ in range(800)])
for level in (0.05, 0.5):
    claim(f"evaluation-level-{int(100 * level)}", f"one distribution twice: share of the permutation p-values up to {level}",
          (under_null <= level).double().mean(),
          level, item="S0.33", by="the level, exact for 199 permutations", se=math.sqrt(level * (1 - level) / 800))
naive = torch.stack([mmd2(ring.sample(40, gen), ring.sample(40, gen), bandwidth=0.5) > 0 for _ in range(200)]).double().mean()
claim("evaluation-level-naive", "wrong: 'MMD² above zero' as an alarm; false alarms", naive,
      by="its mean is zero: near one half", at_least=0.3, at_most=0.6, digits=2)
few = torch.tensor([True, True, True, False, True, False, False, False])  # h = 4: three and one called real
relabelled = [few[list(i)].sum() >= few[:4].sum() for i in itertools.combinations(range(8), 4)]
claim("evaluation-c2st-exact",
      "C2ST with four held-out examples a side, six verdicts right: p-value", classifier_p(few),
      sum(relabelled).item() / len(relabelled), by="all 70 relabellings counted", atol=1e-12)
halves = [verdicts(ring.sample(40, gen), ring.sample(40, gen), gen) for _ in range(200)]
p_seen, p_unseen = torch.tensor([[classifier_p(said) for said in pair] for pair in halves]).T
for level in (0.05, 0.5):
    claim(f"evaluation-c2st-level-{int(100 * level)}", f"one distribution twice: share of the C2ST's p-values up to {level}",
          (p_unseen <= level).double().mean(), item="S0.33",
          by="at most the level, by exchangeability", at_most=level, se=math.sqrt(level * (1 - level) / 200), stable=False)
claim("evaluation-c2st-train", "wrong: verdicts on the training half; false alarms at level 0.05",
      (p_seen <= 0.05).double().mean(), by="a network of 64 units learns 40 points partly by heart",
      at_least=0.25, at_most=0.5, stable=False)
told = [verdicts(data.test.x, same_moments(data.test.x, 360), gen)[1] for _ in range(20)]
shares = torch.tensor([accuracy(said) for said in told])
claim("evaluation-pca-c2st", "C2ST of test digits and a Gaussian with their moments: accuracy, mean of 20 samples and trainings", shares.mean(), item="E0.23",
      by="one half if they were alike; other splits", at_least=0.75, at_most=0.87, stable=False)
claim("evaluation-pca-c2st-lowest", "the lowest of the 20", shares.min(), item="E0.23", by="a single training says little; other splits",
      at_least=0.6, at_most=0.84, stable=False)
claim("evaluation-pca-c2st-p", "largest p-value of the 20", max(classifier_p(said) for said in told), item="E0.23",
      by="216 right of 360 would give 1e-4", at_most=1e-3, stable=False)
lost_one = torch.ones(8)
lost_one[0] = 0
power = {n: torch.stack([permutation_test(ring.sample(n, gen), sampler(lost_one, n), 0.5)[1] <= 0.05
                         for _ in range(runs)]).double().mean() for n, runs in ((40, 400), (400, 60))}
claim("evaluation-power", "one of eight modes lost, 400 samples: share of MMD's alarms at level 0.05", power[400], item="S0.33",
      by="noticed as a rule", at_least=0.9, at_most=1.0, digits=2)
claim("evaluation-power-small", "the same with 40 samples", power[40], item="S0.33", by="mostly missed; other seeds", at_least=0.1, at_most=0.22, digits=2)
width = float(torch.pdist(data.train.x[:300]).median())
fitted = torch.distributions.MultivariateNormal(data.train.x.mean(0), data.train.x.T.cov() + 1e-6 * torch.eye(64))
p_wide, p_narrow = torch.tensor([[permutation_test(data.test.x, x, h)[1] for h in (width, width / 4)]
                                 for x in fitted.sample((60, 360))]).T
claim("evaluation-mmd-wide", "MMD of test digits and a Gaussian with the training digits' moments, kernel as wide as the median distance: alarms in 60 draws",
      (p_wide <= 0.05).double().mean(), item="E0.23 S0.33", by="about the level or less; other splits", at_least=0.0, at_most=0.13, digits=2)
claim("evaluation-mmd-narrow", "the same with a quarter of that width", (p_narrow <= 0.05).double().mean(), 1.0, item="E0.23 S0.33", by="always noticed")
claim("evaluation-mmd-close", "p-value with the wide kernel and the Gaussian that has the test digits' own moments",
      permutation_test(data.test.x, copy, width)[1], 1.0, item="E0.23 S0.33", by="nearer than relabelled samples of one distribution", atol=0.05, digits=2)
powers = (torch.pdist(data.test.x[:200]) / width).square()[:, None] ** torch.arange(3)  # of the squared distance
unexplained = []
for h in (1, 0.25):
    k = torch.exp(-powers[:, 1] / (2 * h**2))
    unexplained.append((k - powers @ torch.linalg.lstsq(powers, k[:, None]).solution[:, 0]).var() / k.var())
claim("evaluation-mmd-polynomial", "variance of the wide kernel's values that a parabola in the squared distance leaves", unexplained[0], item="E0.23 S0.33",
      by="next to none: such a kernel sees two moments", at_most=0.005, digits=2)
claim("evaluation-mmd-polynomial-narrow", "the same of the narrow kernel", unexplained[1], item="E0.23 S0.33", by="most", at_least=0.3, digits=2)


# %% [markdown]
# The C2ST keeps its level on held-out verdicts; on the training half it would cry wolf in {value}`evaluation-c2st-train:.0%` of the cases. Gaussians
# like that of {numref}`fig-evaluation-pca`, which no comparison of two moments can see, are told from the digits with an accuracy of
# {value}`evaluation-pca-c2st:.0%`, the mean of 20 trainings (the worst: {value}`evaluation-pca-c2st-lowest:.0%`).
#
# "Any difference" is a promise for infinite samples. The ring without one mode is caught by the MMD in {value}`evaluation-power:.0%` of the cases with 400
# samples, and in {value}`evaluation-power-small:.0%` with 40. And the kernel matters. As wide as the median distance of the digits, a common choice, it alarms
# for {value}`evaluation-mmd-wide:.0%` of the samples of a Gaussian with the moments of the training digits. Over the range of the distances such a kernel is
# nearly a parabola in the squared distance, whose MMD is zero for distributions of equal mean and covariance (expand it). A quarter as wide it is not, and alarms
# always. (The Gaussian of {numref}`fig-evaluation-pca` even has $p$ = {value}`evaluation-mmd-close:.2f` with the wide one: its moments were set to those of the
# other sample, so that labels are not exchangeable, and $p$ near one says *too* close.) "No difference found" is a statement about $n$ and about the test.
#
# ## Two numbers: what is missed, what is made up
#
# :::{exercise-start} A metric that joins likelihood and samples
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
# Report the two divergences between data $p$ and model $q$, and their sum $J$, the **Jeffreys divergence**,
#
# $$
# \begin{aligned}
# \mathcal A &= \mathbb E_p\Big[\log\frac{p}{q}\Big], \qquad \mathcal B = \mathbb E_q\Big[\log\frac{q}{p}\Big], \\
# J &= \mathcal A+\mathcal B .
# \end{aligned}
# $$ (eq-evaluation-gap)
#
# $\mathcal A=\mathrm{KL}(p\|q)$ needs the model's density at data: it is the held-out NLL less the entropy of the data. The NLL of the best reference model may
# stand in for that; it is no smaller, so that $\mathcal A$ is then underestimated. $\mathcal A$ finds *missing* mass. $\mathcal B=\mathrm{KL}(q\|p)$ needs
# samples of the model, and the log-ratio at them, from a calibrated classifier or a strong reference density. It finds *off-support samples*.
# Both are zero only if $p=q$, and neither changes with the unit, since Jacobians cancel in the ratio. For $p=\mathcal N(0,1)$, $q=\mathcal N(t,1)$ one has $\mathcal A=\mathcal B=t^2/2$ and
# $J=t^2$.
#
# Without densities, a classifier trained to tell equally many real ($c=1$) from generated samples has the optimal logit $\log p/q$. So $J$ is the difference
# between its mean logit on real and on generated data, on *held-out* samples.

# %%
def jeffreys(real, fake, C=1e6):
    """J in nats, real and fake (n,): logistic classifier on (x, x²), fitted on the
    first halves."""
    h = len(real) // 2

    def features(x):
        return torch.stack([x, x**2], 1).numpy()  # (n, 2)

    train, is_real = torch.cat([real[:h], fake[:h]]), [True] * h + [False] * h
    fitted = LogisticRegression(C=C, tol=1e-8).fit(features(train), is_real)
    logit = fitted.decision_function
    return logit(features(real[h:])).mean() - logit(features(fake[h:])).mean()


# %% tags=["hide-input"]
shift = (0.5, 1.0, 2.0)
J = [jeffreys(torch.randn(100_000, generator=gen), t + torch.randn(100_000, generator=gen)) for t in shift]
claim("evaluation-gap-gaussian", "J of N(0,1) and N(t,1) from a classifier, over t², for t = 0.5, 1, 2",
      [j / t**2 for j, t in zip(J, shift, strict=True)], [1.0] * 3,
      item="Q0.10", by="closed form J = t²", rtol=0.05, digits=3)
near, far = (t + torch.randn(200, generator=gen) for t in (0.0, 10.0))
claim("evaluation-gap-saturates", "classifier's J at t = 10 from 200 samples a side: with C = 10^6 over with C = 1", jeffreys(near, far) / jeffreys(near, far, C=1),
      item="Q0.10", by="no overlap: the penalty decides, not the data", at_least=1.5, stable=False)


# %% [markdown]
# Now the trap of {cite:t}`theis2016`, first met in {ref}`ch-generation`: a model $q$ that draws from the ten class Gaussians $p$ in one case out of a
# hundred, and uniform noise otherwise. As both densities are known, both numbers are exact up to sampling error.

# %%
def log_q(x):  # 1 % of the mixture p, 99 % uniform noise on the cube
    inside = ((x >= 0) & (x < 1)).all(1)
    noise = torch.where(inside, math.log(0.99), -math.inf)
    return torch.logaddexp(math.log(0.01) + mixture.log_prob(x), noise)


def gaps(good, noise):  # draws of p, of the noise: A and B
    A = (mixture.log_prob(good) - log_q(good)).mean()
    b_good, b_noise = (
        (log_q(x) - mixture.log_prob(x)).mean() for x in (good, noise)
    )
    return A, 0.01 * b_good + 0.99 * b_noise


# %% tags=["hide-input"]
parts = [cube[data.train.y == k] for k in range(10)]
shrunk = torch.stack([0.7 * x.T.cov() + 0.3 * torch.diag(x.var(0)) for x in parts])
mixture = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(torch.ones(10)),
    torch.distributions.MultivariateNormal(torch.stack([x.mean(0) for x in parts]), shrunk))
missed, invented = gaps(mixture.sample((4000,)), torch.rand(4000, 64, generator=gen))
on_test = (mixture.log_prob(cube_test) - log_q(cube_test)).mean()  # what the test set sees
claim("evaluation-gap-missed", "1 % good, 99 % noise: A", missed, math.log(100),
      by="log 100, where noise has no density to speak of", atol=0.02, unit="nats")
claim("evaluation-gap-test", "the same on test digits: nats lost per image", on_test,
      by="at most log 100", at_least=3.5, at_most=math.log(100), unit="nats")
claim("evaluation-gap-bits", "in bits per pixel", on_test / (64 * math.log(2)),
      by="at most log2(100)/64", at_most=math.log2(100) / 64, at_least=0.08, unit="bits", digits=2)
claim("evaluation-gap-invented", "1 % good, 99 % noise: B", invented.round(decimals=-2), item="Q0.10",
      by="over a thousand times A; other splits and seeds", at_least=7500, at_most=9200, unit="nats", digits=3)


# %% [markdown]
# $\mathcal A$ is {value}`evaluation-gap-missed:.3f` nats, $\log100$, and its plug-in on real test digits, for which $p$ is a model too,
# {value}`evaluation-gap-test:.2f`, or {value}`evaluation-gap-bits:.2f` bits per pixel: harmless to look at. $\mathcal B$ is
# {value}`evaluation-gap-invented:.0f` nats. **Limits:** ratios learnt from $N$ samples can't be trusted where the distributions do not overlap (at $t=10$ the
# estimate is set by the classifier's penalty, claim `evaluation-gap-saturates`), a weak classifier sees too little, and a copy of the *training* set passes
# unless $p$ stands for fresh data. Relatives: precision and recall as a pair of numbers, and the C2ST as another use of the classifier.
# :::{solution-end}
# :::
#
# ## The verdict: scores against flaws
#
# Back to {numref}`fig-evaluation-flaws`. We split all 1797 digits into a training set (1077), a reference (320) and the raw material of the eight generators
# (200 images each), and compute twelve scores. We repeat this for 80 random splits. A flaw counts as *noticed* in a split if at most one of the 80 scores of
# the fresh digits lies as far out on that side. A further perfect sample would do so in about four cases of 81: 5 % false alarms. The row "perfect" checks
# this with 200 other fresh digits. The splits share images, so that the shares describe these digits and sizes, no others.

# %%
def neighbour_accuracy(x, y):
    """C2ST with one nearest neighbour, leave one out; x, y (n, d)."""
    both, label = torch.cat([x, y]), torch.arange(2).repeat_interleave(len(x))
    nearest = distances(both, both).fill_diagonal_(math.inf).argmin(1)
    return (label[nearest] == label).double().mean()


def score_card(ref, x, train, linear):  # (320, 64), (200, 64), (1077, 64)
    P, R, coverage = balls(ref, x)
    z_ref, z = (logits(s, *linear) for s in (ref, x))  # (320, 10), (200, 10)
    q_ref, q = z_ref.softmax(1), z.softmax(1)
    to_train, to_ref = (torch.cdist(x, s).amin(1) for s in (train, ref))
    return {
        "Inception score": inception(q),
        "Fréchet, logits": frechet_distance(z_ref, z),
        "Fréchet, pixels": frechet_distance(ref, x),
        "precision": P,
        "recall": R,
        "coverage": coverage,
        "nearest neighbour": plural(x),
        "near duplicates": pairs_within(x, radius),
        "MMD²": mmd2(ref, x, bandwidth=width),
        "C2ST, 1 neighbour": neighbour_accuracy(ref[:200], x),
        "label frequencies": (q.mean(0) - q_ref.mean(0)).abs().sum() / 2,
        "nearer to training": (to_train < to_ref).double().mean(),
    }


# %% tags=["hide-input"]
cards = {}
all_x, all_y = torch.cat([data.train.x, pool_x]), torch.cat([data.train.y, pool_y])
for _ in range(80):
    order = torch.randperm(1797, generator=gen)
    train, ref, x = all_x[order].split([1077, 320, 400])
    linear, y = fit(train, all_y[order[:1077]]), all_y[order[1397:]]
    for name, fake in {"perfect": x[200:], **generators(x, y, train, 200)}.items():
        cards.setdefault(name, []).append(score_card(ref, fake, train, linear))
scores = list(cards["noise"][0])
value = torch.tensor([[[float(card[s]) for s in scores] for card in cards[name]] for name in cards])  # (9, 80, 12)
null = value[1]  # "fresh digits" set the range
low, high = null.sort(0).values[[1, -2]]  # one beyond at either end
noticed = ((value < low - 1e-9) | (value > high + 1e-9)).double().mean(1)
table = torch.cat([noticed[:1], noticed[2:]])  # (8, 12), "perfect" comes first
rows = [name for name in cards if name != "fresh digits"]
for j, s in enumerate(scores):
    print(f"null value of {s:20}: {null[:, j].mean():9.2g}, standard deviation {null[:, j].std():8.1g}")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-evaluation-verdict", "caption": "Share of 80 splits in which a score notices a flaw. The row of the perfect generator holds the false alarms. No column is dark all the way down."}, "image": {"alt": "Table of shades with eight generators as rows and twelve scores as columns. Blur is dark in most columns, noise and two moments in many; memorised is pale but for the last column and a middling first one; the first row is pale throughout."}}
fig, ax = plt.subplots(figsize=(7, 3.9))
ax.imshow(table, cmap="Blues", vmin=0, vmax=1.3, aspect="auto")
for i in range(8):
    for j in range(len(scores)):
        ax.text(j, i, f"{100 * table[i, j]:.0f}", ha="center", va="center", fontsize=7)
ax.set_xticks(range(len(scores)), scores, rotation=40, ha="right")
ax.set_yticks(range(8), rows)
ax.set(xlabel="score", ylabel="generator; entries in per cent")
plt.show()


# %% tags=["hide-input"]
def hit(row, *columns):  # one share, or one for each column
    return table[rows.index(row), [scores.index(c) for c in columns]].squeeze()


def ratio(name, column):
    j = scores.index(column)
    return value[list(cards).index(name), :, j].mean() / null[:, j].mean()


own = ("Fréchet, pixels", "precision", "recall", "coverage", "MMD²", "C2ST, 1 neighbour")  # these don't know the training set
claim("evaluation-table-null", "false alarms of the perfect generator, mean of six scores that don't know the training set",
      hit("perfect", *own).mean(), by="about 4/81, less for ties; other seeds", at_least=0.005, at_most=0.12, stable=False)
claim("evaluation-table-column", "scores that notice every flaw in at least half of the splits",
      float((table[1:] >= 0.5).all(0).sum()), 0.0, by="there is none")
claim("evaluation-table-row", "flaws that no score notices in at least 90 % of the splits",
      float((table[1:] < 0.9).all(1).sum()), 0.0, by="each is noticed by some")
claim("evaluation-table-copies", "memorised: how often the same six notice, mean", hit("memorised", *own).mean(),
      item="S0.14", by="to them the copies are fresh digits: false alarms, about 4/81; other seeds", at_least=0.005, at_most=0.12, stable=False)
again = torch.stack([pairs_within(data.train.x[torch.randint(1077, (200,), generator=gen)], radius) for _ in range(80)])
claim("evaluation-table-copies-repeat", "memorised, drawn with repetition: how often near duplicates notice",
      (again > high[scores.index("near duplicates")]).double().mean(), 1.0, item="S0.31", by="200 draws of 1077 hold 18 pairs on average")
claim("evaluation-table-copy-test",
      "memorised: how often the share that is nearer to the training set than to the reference notices",
      hit("memorised", "nearer to training"), 1.0, by="copies are at distance zero")
claim("evaluation-table-copy-is", "memorised: Inception score over that of fresh digits", ratio("memorised", "Inception score"),
      item="E0.11", by="the classifier has seen these images too", at_least=1.02, at_most=1.05, stable=False)
claim("evaluation-table-moments", "two moments: how often the two Fréchet distances and the MMD notice, mean",
      hit("two moments", "Fréchet, logits", "Fréchet, pixels", "MMD²").mean(), item="E0.23",
      by="nearly equal moments; other seeds", at_least=0.0, at_most=0.2, stable=False)
claim("evaluation-table-moments-precision", "two moments: how often precision, nearest neighbour and C2ST notice",
      hit("two moments", "precision", "nearest neighbour", "C2ST, 1 neighbour").min(), item="E0.23", by="always", at_least=0.95,
      stable=False)
claim("evaluation-table-twins", "twins: how often near duplicates, nearest neighbour and C2ST notice",
      hit("twins", "near duplicates", "nearest neighbour", "C2ST, 1 neighbour").min(),
      item="S0.31 S0.32", by="always", at_least=0.95, stable=False)
claim("evaluation-table-noise", "noise raises the mean nearest-neighbour distance by the factor",
      ratio("noise", "nearest neighbour"), item="E0.22", by="damage looks like diversity",
      at_least=1.17, at_most=1.21, stable=False)
own_over_other = []
for _ in range(5):  # two classifiers, each of one half of the training digits, score both halves
    parts = torch.randperm(1077, generator=gen).split([538, 539])
    halves = [(data.train.x[i], data.train.y[i]) for i in parts]
    classifiers = [fit(*half) for half in halves]
    seen, unseen = ([inception(torch.softmax(logits(x, *j), 1)) for (x, _), j in zip(halves, order, strict=True)]
                    for order in (classifiers, classifiers[::-1]))
    own_over_other += [a / b for a, b in zip(seen, unseen, strict=True)]
claim("evaluation-table-copy-is-learnt", "Inception score of the same digits by a classifier that has seen them over that by one that has not",
      torch.stack(own_over_other).mean(), item="E0.11", by="it is surer of what it has seen", at_least=1.05, at_most=1.09, digits=3)
claim("evaluation-table-lost", "one class lost: recall notices minus precision notices",
      hit("one class lost", "recall") - hit("one class lost", "precision"), by="a gap, no off-support samples; other seeds",
      at_least=0.3, at_most=1.0, stable=False)
claim("evaluation-table-lost-is", "one class lost: how often the Inception score notices", hit("one class lost", "Inception score"),
      by="nine classes for ten; other seeds", at_least=0.9, at_most=1.0, stable=False)
claim("evaluation-table-balance", "wrong balance: how often label frequencies notice",
      hit("wrong balance", "label frequencies"), by="always", at_least=0.9, stable=False)
claim("evaluation-table-balance-recall", "wrong balance: how often precision and recall notice",
      hit("wrong balance", "precision", "recall").max(),
      by="every digit still has its neighbours; other seeds", at_least=0.0, at_most=0.15, stable=False)
j = scores.index("coverage")
claim("evaluation-table-balance-coverage", "wrong balance: fall of mean coverage, in standard deviations of that of fresh digits",
      (null[:, j].mean() - value[list(cards).index("wrong balance"), :, j].mean()) / null[:, j].std(),
      by="balls of a rare class are oftener empty; other seeds", at_least=1.0, at_most=2.2, stable=False, digits=2)

# %% [markdown]
# What {numref}`fig-evaluation-verdict` says:
#
# - **No score notices everything.** Each flaw is noticed by some, and none of the twelve columns has every flaw in at least half of the splits.
# - **Memorising escapes the scores that compare with data**: without repetition, copies are fresh digits to a score that does not know the training set. Six
#   such scores notice them in {value}`evaluation-table-copies:.0%` of the splits on average, a perfect generator in {value}`evaluation-table-null:.0%`: false
#   alarms both. The Inception score even rises, and so mistakes the flaw for a merit, since its classifier has seen those very images: between two
#   classifiers of equally many digits, the one that has seen an image gives {value}`evaluation-table-copy-is-learnt:.2f` times the score. Only the distance to
#   the training set gives such copies away. (Drawn with repetition, they are near duplicates of each other as well.)
# - **Two moments are nothing to a Fréchet distance, nor to an MMD with a wide kernel** ({value}`evaluation-table-moments:.0%` on average), and obvious to precision
#   and to a nearest neighbour.
# - **Noise raises "diversity"**, by the factor {value}`evaluation-table-noise:.2f`, and twins lower it to zero. A nearest-neighbour distance that is far from its
#   null value in *either* direction is an alarm.
# - **Of precision and recall, recall alone sees a lost class**; the Inception score sees it too ({value}`evaluation-table-lost-is:.0%`). A wrong balance is a
#   matter of neither precision nor recall (at most {value}`evaluation-table-balance-recall:.0%`): balls have no weights. It lowers coverage a little: balls of
#   a rare class stay empty oftener. A classifier's label frequencies show it.
#
# So a report needs a density score where there is a density, with unit and bound named; precision and recall, or $\mathcal A$ and $\mathcal B$; a two-sample test
# with its $p$-value and its $n$; a copy test; and for each score the value of a second real sample.
#
# ## Exercises
#
# :::{bank} evaluation-cells
# :::
#
# :::{bank} evaluation-inception
# :::
#
# :::{bank} evaluation-plural
# :::
#
# :::{bank} evaluation-repeat
# :::
#
# :::{bank} evaluation-permutation
# :::
#
# :::{bank} evaluation-explain-surpassed
# :::
#
# ## What to read next
#
# - {cite:t}`theis2016` on why likelihood, samples and usefulness are different goals: short, and still the best start.
# - {cite:t}`barratt2018` take the Inception score apart; {cite:t}`stein2023` hold all the usual scores against human judges.
# - {cite:t}`kynkaanniemi2019` and {cite:t}`naeem2020` for precision, recall and coverage; {cite:t}`lopezpaz2017` and {cite:t}`gretton2012` for the two tests.
# - {cite:t}`arora2017` for birthdays, {cite:t}`friedman2023` for the Vendi score, {cite:t}`burda2016` for the importance-weighted bound.
#
# In this book: {ref}`ch-human` asks people instead; {ref}`ch-at-work` has the Fréchet distance with its proof and its bias; {ref}`ch-divergences` says what
# each divergence forgives.
