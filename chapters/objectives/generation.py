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
# (ch-generation)=
# # Three objectives, one dataset
#
# Here are about a thousand small pictures of digits. What could it mean to *learn* them, when nobody tells us
# what to predict? There are three good answers, and this page is about all three:
#
# * **sample**: draw a new digit that nobody has written;
# * **score**: say how probable a given picture is;
# * **represent**: describe a picture by a few numbers that say what matters about it.
#
# After this page you will be able to
#
# * tell a generative from a discriminative model, build both for the same task, and name what only one of them
#   can do;
# * fit one small model in closed form and read it three ways: as a sampler, a density and a code;
# * say precisely what a generator $G: Z \to X$ is, when its distribution has a density and when it can't;
# * construct, for each pair of objectives, a model that is good at one and useless at the other;
# * turn noise into a digit by following an exact score, with no network at all.

# %% tags=["hide-input"]
import math
from itertools import combinations, pairwise

import matplotlib.pyplot as plt
import torch
from sklearn.decomposition import FactorAnalysis
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import PolynomialFeatures
from torch import nn

from genkit.claims import claim, monte_carlo, self_check
from genkit.data import dequantise, digits
from genkit.live import slider_figure
from genkit.metrics import bits_per_dim, c2st, frechet_gaussian, linear_probe
from genkit.plot import colors, image_grid, scatter, style
from genkit.toys import toy
from genkit.train import fit, seed_everything

style()
gen = seed_everything(0)
# identities are tested to rounding below
torch.set_default_dtype(torch.float64)

# %% [markdown]
# Each picture has $8 \times 8$ pixels with grey levels $0, 1, \dots, 16$. A density lives on a continuum, so we
# spread every level over its own interval: $x = (\text{level} + u)/17$ with $u$ uniform on $[0, 1)$. From here on
# an image is a point $x \in [0,1)^{64}$, and a log density in nats refers to this scale ({ref}`ch-conventions`
# says why this is fair: the result bounds the probability of the grey levels themselves).

# %%
data = digits()
x, x_val, x_test = (
    dequantise(s.x, generator=gen)
    for s in (data.train, data.validation, data.test)
)
y, y_val, y_test = data.train.y, data.validation.y, data.test.y
n, d = x.shape  # 1077 images, 64 pixels

# %% [markdown]
# {numref}`fig-generation-questions` puts the three questions to this dataset. Make a guess for the second row
# before you read on: which of the seven pictures has the highest probability density, and which the lowest?
# We come back to exactly these seven.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-generation-questions", "caption": "Three questions to one dataset: draw another one, say how probable each of these is, say what these have in common."}, "image": {"alt": "Three rows of small grey images. The first shows eight digits and an empty place with a question mark, the second a digit and six distorted versions of it, the third nine sevens in different handwriting."}}
mean_image = x.mean(0)
one = x_test[(y_test == 3).nonzero()[2, 0]]
suspects = {
    "a digit": one,
    "half contrast": mean_image + 0.5 * (one - mean_image),
    "mean image": mean_image,
    "mirrored": one.reshape(8, 8).flip(1).reshape(-1),
    "inverted": 1 - one,
    "shuffled": one[torch.randperm(d, generator=gen)],
    "noise": torch.rand(d, generator=gen),
}

fig, axes = plt.subplots(3, 1, figsize=(7, 4.1))
empty = torch.full((1, d), math.nan)
image_grid(torch.cat([x[:8], empty]), ncols=9, ax=axes[0], vmin=0, vmax=1)
axes[0].text(
    8 * 9 + 3.5,
    3.5,
    "?",
    ha="center",
    va="center",
    fontsize=24,
    color=colors.bad,
)
axes[0].set_title("sample: draw another one", loc="left")
image_grid(
    torch.stack(list(suspects.values())),
    ncols=7,
    ax=axes[1],
    vmin=0,
    vmax=1,
    titles=list(suspects),
)
axes[1].tick_params(labelsize=8)
axes[1].set_title("score: how probable is each of these?", loc="left")
image_grid(x[y == 7][:9], ncols=9, ax=axes[2], vmin=0, vmax=1)
axes[2].set_title("represent: what have these in common?", loc="left")
plt.show()


# %% [markdown]
# ## Two ways to model a label
#
# {item}`S1.2`
#
# Start where supervised learning starts: images $x$ with labels $y$.
#
# :::{prf:definition} Discriminative and generative models
# :label: def-generation-models
#
# A **discriminative** model is a family $p_\theta(y \mid x)$: a distribution of the label for each input, and no statement
# about inputs. A **generative** model is a family $p_\theta(x)$, or $p_\theta(x, y)$: a distribution of the data
# themselves.
# :::
#
# Bayes' rule turns a generative model of $(x, y)$ into a classifier at no cost:
#
# $$
# p_\theta(y \mid x) = \frac{p_\theta(y)\,p_\theta(x \mid y)}{\sum_{c} p_\theta(c)\,p_\theta(x \mid c)} .
# $$ (eq-generation-bayes)
#
# There is no way back: $p(y \mid x)$ does not determine $p(x)$.
#
# ### A generative classifier by hand
#
# Take one Gaussian per class (**quadratic discriminant analysis**). Summed over the classes this is a **class mixture**, a density of images:
#
# $$
# \begin{aligned}
# p(x) &= \sum_{c=0}^{9} \pi_c\,\mathcal N(x;\, \mu_c, \Sigma_c), \\
# \hat\pi_c &= \frac{n_c}{n}, \qquad
# \hat\mu_c = \frac1{n_c}\sum_{i:\,y_i=c} x_i, \\
# S_c &= \frac1{n_c}\sum_{i:\,y_i=c} (x_i - \hat\mu_c)(x_i - \hat\mu_c)^{\!\top} .
# \end{aligned}
# $$ (eq-generation-gmm)
#
# These are the maximum likelihood estimates. But a class has only about $1077/10 \approx 108$ images to estimate the
# $64 \cdot 65/2 = 2080$ entries of $S_c$, so we lean on what the classes share: with
# $\bar S = \sum_c \hat\pi_c S_c$,
#
# $$
# \Sigma_c = (1 - \lambda)\, S_c + \lambda\, \bar S, \qquad 0 \le \lambda \le 1,
# $$ (eq-generation-shrink)
#
# and $\lambda$ is chosen by the likelihood of the *validation* images. This is one form of
# {cite:t}`friedman1989`'s **regularised discriminant analysis**.

# %%
def gaussian_log_prob(x, mean, cov):
    """log N(x; mean, cov) in nats: (n, d), (d,), (d, d) -> (n,)."""
    L = torch.linalg.cholesky(cov)
    # whitened differences, (d, n)
    u = torch.linalg.solve_triangular(L, (x - mean).T, upper=False)
    return (
        -0.5 * (u**2).sum(0)
        - L.diagonal().log().sum()
        - 0.5 * len(mean) * math.log(2 * math.pi)
    )


def fit_class_gmm(x, y, *, shrink, classes=10):
    """Weights (K,), means (K, d) and shrunk covariances (K, d, d)."""
    weight = torch.bincount(y, minlength=classes) / len(y)
    mean = torch.stack([x[y == c].mean(0) for c in range(classes)])
    cov = torch.stack(
        [torch.cov(x[y == c].T, correction=0) for c in range(classes)]
    )
    shared = (weight[:, None, None] * cov).sum(0)
    return weight, mean, (1 - shrink) * cov + shrink * shared


def log_joint(x, model):
    """log p(x, c) for every class: (n, d) -> (n, K)."""
    return torch.stack(
        [
            w.log() + gaussian_log_prob(x, m, C)
            for w, m, C in zip(*model, strict=True)
        ],
        dim=1,
    )


def log_prob(x, model):
    """log p(x), the classes summed out: (n, d) -> (n,)."""
    return log_joint(x, model).logsumexp(1)


validation = {
    s: log_prob(x_val, fit_class_gmm(x, y, shrink=s)).mean().item()
    for s in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
}
shrink = max(validation, key=validation.get)
gmm = fit_class_gmm(x, y, shrink=shrink)
print("lambda =", shrink)


# %% [markdown]
# Bayes' rule {eq}`eq-generation-bayes` makes it a classifier. The discriminative opponent is logistic regression,
# $p(y = c \mid x) \propto \exp(a_c^\top f(x) + b_c)$, fitted to the same images, its penalty chosen on the same validation
# images: first on the pixels, $f(x) = x$, then with their products too, since the mixture's $\log p(x, c)$ is quadratic in $x$.

# %%
def logistic_regression(features):
    """1 where right on x_test, penalty chosen on x_val: f -> (m,)."""
    models = [
        LogisticRegression(C=C, max_iter=3000).fit(features(x), y)
        for C in (0.1, 1.0, 10.0, 100.0, 1000.0)
    ]
    best = max(models, key=lambda m: m.score(features(x_val), y_val))
    return torch.tensor(best.predict(features(x_test)) == y_test.numpy())


right_generative = (log_joint(x_test, gmm).argmax(1) == y_test).double()
right_linear = logistic_regression(torch.Tensor.numpy).double()

# %% tags=["hide-input"]
library = torch.distributions.MixtureSameFamily(
    torch.distributions.Categorical(gmm[0]),
    torch.distributions.MultivariateNormal(gmm[1], gmm[2]),
)
claim("generation-gmm-oracle", "mean log density of the test images under the class mixture",
      log_prob(x_test, gmm).mean(), library.log_prob(x_test).mean(), by="torch.distributions",
      rtol=1e-10, unit="nats")
claim("generation-accuracy-gmm", "test accuracy of the class mixture by Bayes' rule",
      right_generative.mean(), by="other splits; the commonest class has 0.1", at_least=0.95,
      at_most=0.995)
claim("generation-accuracy-logistic", "test accuracy of logistic regression on the pixels",
      right_linear.mean(), by="other splits; the commonest class has 0.1", at_least=0.94,
      at_most=0.985)
products = PolynomialFeatures(2, include_bias=False)
right_quadratic = logistic_regression(
    lambda a: products.fit_transform((a - mean_image).numpy())
).double()
claim("generation-accuracy-quadratic", "test accuracy of logistic regression with products of pixels",
      right_quadratic.mean(), by="other seeds and splits; the commonest class has 0.1",
      at_least=0.97, at_most=0.999)
claim("generation-accuracy-gain", "accuracy that this gains over the generative classifier",
      (right_quadratic - right_generative).mean(), by="other seeds and splits",
      at_least=-0.01, at_most=0.03)

# %% [markdown]
# Here modelling the images costs little accuracy: the mixture gets
# {value}`generation-accuracy-gmm:.1%` of the test images right, logistic regression
# {value}`generation-accuracy-logistic:.1%` on pixels and {value}`generation-accuracy-quadratic:.1%` with products, the
# mixture's own family. {cite:t}`ng2002` show the usual pattern: the
# generative classifier approaches its best error with fewer examples, but if its assumptions are wrong that best
# error is the larger one.
#
# The two are closer relatives than they look. With one shared covariance ($\lambda = 1$, **linear discriminant analysis**) the quadratic terms in
# {eq}`eq-generation-bayes` cancel and the posterior *is* a softmax of linear functions,
#
# $$
# \begin{aligned}
# \log \frac{p(c \mid x)}{p(c' \mid x)} &= (a_c - a_{c'})^\top x + b_c - b_{c'}, \\
# a_c &= \Sigma^{-1}\mu_c, \qquad b_c = \log \pi_c - \tfrac12 \mu_c^\top \Sigma^{-1} \mu_c ,
# \end{aligned}
# $$ (eq-generation-lda)
#
# that is, logistic regression's own family, fitted by another criterion.

# %% tags=["hide-input"]
lda = fit_class_gmm(x, y, shrink=1.0)
a = torch.linalg.solve(lda[2][0], lda[1].T)  # (d, K)
b_lda = lda[0].log() - 0.5 * (lda[1].T * a).sum(0)  # (K,)
linear = x_test[:5] @ a + b_lda
joint = log_joint(x_test[:5], lda)
claim("generation-lda-linear", "log odds of 3 against 8 for five test images, by Bayes' rule",
      joint[:, 3] - joint[:, 8], linear[:, 3] - linear[:, 8], by="linear function of x", atol=1e-8,
      unit="nats")


# %% [markdown]
# ### What only the generative model can do
#
# Both models classify. Only one of them can
#
# * **sample**: draw $c \sim \pi$, then $x \sim \mathcal N(\mu_c, \Sigma_c)$;
# * **score**: evaluate $\log p(x)$ for any picture, with no label;
# * **complete** (inpainting): given any part $x_o$ of a picture, give the distribution of the missing part $x_u$.
#
# The third follows from the Gaussian conditional. Split the coordinates of one Gaussian into observed $o$ and
# unobserved $u$; then $x_u \mid x_o$ is Gaussian with
#
# $$
# \begin{aligned}
# \mu_{u\mid o} &= \mu_u + \Sigma_{uo}\Sigma_{oo}^{-1}(x_o - \mu_o), \\
# \Sigma_{u\mid o} &= \Sigma_{uu} - \Sigma_{uo}\Sigma_{oo}^{-1}\Sigma_{ou} .
# \end{aligned}
# $$ (eq-generation-conditional)
#
# For a mixture, each component answers for itself, and the visible part says which component to believe:
#
# $$
# p(x_u \mid x_o) = \sum_c p(c \mid x_o)\,\mathcal N\big(x_u;\, \mu_{u \mid o}^{(c)},\, \Sigma_{u \mid o}^{(c)}\big).
# $$ (eq-generation-complete)

# %%
def conditional_gaussian(mean, cov, seen, x_seen):
    """The rest given x_seen (n, d - u): mean (n, u), covariance (u, u)."""
    # the regression coefficients, (d - u, u)
    A = torch.linalg.solve(cov[seen][:, seen], cov[seen][:, ~seen])
    covariance = cov[~seen][:, ~seen] - cov[~seen][:, seen] @ A
    return mean[~seen] + (x_seen - mean[seen]) @ A, covariance


def complete(x_seen, seen, model):
    """Its mixture: weights (n, K), means (n, K, u), covariances (K, u, u)."""
    weight, mean, cov = model
    visible = (weight, mean[:, seen], cov[:, seen][:, :, seen])
    parts = [
        conditional_gaussian(m, C, seen, x_seen)
        for m, C in zip(mean, cov, strict=True)
    ]
    means = torch.stack([m for m, _ in parts], dim=1)
    covs = torch.stack([C for _, C in parts])
    return log_joint(x_seen, visible).softmax(1), means, covs


seen = torch.arange(d) < d // 2  # the upper half
top, bottom = x_test[:, seen], x_test[:, ~seen]
w, means, covs = complete(top, seen, gmm)
expected = (w[:, :, None] * means).sum(1)  # (n, 32)

# %% tags=["hide-input"]
log_visible = log_prob(
    top, (gmm[0], gmm[1][:, seen], gmm[2][:, seen][:, :, seen])
)
zero = torch.zeros(d // 2)
by_class = [
    w[:, c].log() + gaussian_log_prob(bottom - means[:, c], zero, covs[c])
    for c in range(10)
]
log_hidden = torch.stack(by_class, 1).logsumexp(1)  # log p(bottom | top)
claim("generation-completion-chain-rule",
      "mean of log p(top) + log p(bottom | top) over the test images",
      (log_visible + log_hidden).mean(), log_prob(x_test, gmm).mean(),
      by="chain rule: equals log p(whole image)", rtol=1e-10, unit="nats")



def lower_half_error(predict, a):
    """Root mean square error in grey levels of lower halves: (n, d) -> ()."""
    return 17 * (predict(a[:, seen]) - a[:, ~seen]).square().mean().sqrt()


def kernel_ridge(alpha, gamma):
    offset = mean_image[~seen]
    model = KernelRidge(alpha=alpha, kernel="rbf", gamma=gamma)
    model.fit(x[:, seen].numpy(), (x[:, ~seen] - offset).numpy())
    return lambda a: offset + torch.from_numpy(model.predict(a.numpy()))


regression = min(
    (kernel_ridge(a, g) for a in (0.03, 0.1, 0.3, 1.0) for g in (0.1, 0.3, 1.0, 3.0)),
    key=lambda predict: lower_half_error(predict, x_val),
)
error = lower_half_error(lambda a: expected, x_test)
claim("generation-completion-error", "error of the completed lower half, root mean square", error,
      by="other seeds and splits", at_least=2.85, at_most=3.25, unit="grey levels")
claim("generation-completion-mean-image", "the same of the mean image",
      lower_half_error(lambda a: mean_image[~seen], x_test), by="other seeds and splits",
      at_least=4.35, at_most=4.6, unit="grey levels")
claim("generation-completion-regression", "the same of kernel ridge regression of lower on upper halves",
      lower_half_error(regression, x_test), by="other seeds and splits",
      at_least=2.75, at_most=3.06, unit="grey levels")
claim("generation-completion-price", "by how much the mixture errs more than the regression",
      error - lower_half_error(regression, x_test), by="other seeds and splits", at_least=0.03,
      unit="grey levels")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-generation-completion", "caption": "Given the upper half of an unseen digit: the lower half that the class mixture expects, and two draws of it."}, "image": {"alt": "Five rows of ten digits, one column per class. The lower half is hidden in the second row and filled in plausibly in the rows below it, smoothly for the expectation and with more texture for the two draws."}}
pick = torch.stack([(y_test == c).nonzero()[2, 0] for c in range(10)])


def draw_completion():
    c = torch.multinomial(w[pick], 1, generator=gen)[:, 0]  # (10,)
    eps = torch.randn(10, d // 2, generator=gen)
    return (
        means[pick, c]
        + (torch.linalg.cholesky(covs)[c] @ eps[:, :, None])[:, :, 0]
    )


nothing = torch.full((10, d // 2), math.nan)
rows = [
    bottom[pick],
    nothing,
    expected[pick],
    draw_completion(),
    draw_completion(),
]
fig, ax = plt.subplots(figsize=(7, 3.7))
image_grid(
    torch.cat([torch.cat([top[pick], r], 1) for r in rows]),
    ncols=10,
    ax=ax,
    vmin=0,
    vmax=1,
)
ax.set_yticks(
    [9 * r + 3.5 for r in range(5)],
    ["test digit", "seen", "expected", "draw 1", "draw 2"],
)
plt.show()


# %% [markdown]
# The completions in {numref}`fig-generation-completion` miss the true lower half by
# {value}`generation-completion-error:.2g` grey levels on average (root mean square), the mean image by
# {value}`generation-completion-mean-image:.2g`. A kernel regression fitted to this one question errs less,
# {value}`generation-completion-regression:.2g`; the mixture answers for any part.
#
# ## The three objectives
#
# {item}`S1.17`
# {item}`E1.11` Forget the labels now. The programme is that of a lecture slide of Stanford's CS236,
# *Deep Generative Models*: learn a distribution $p(x)$ over pictures of dogs such that a draw looks like a dog, $p(x)$ is high
# on dogs and low elsewhere, and the model finds what dogs share, say ears and a tail. In symbols:
#
# | objective | what the model must provide | what one does with it |
# |---|---|---|
# | **sample** (generation) | a procedure $x = G(z)$, $z \sim p_Z$, whose draws follow a distribution $p_\theta$ close to $p$ | synthesis, simulation, augmentation |
# | **score** (density estimation) | the number $\log p_\theta(x)$ for any $x$ | comparison of models, coding, anomaly detection, Bayes' rule |
# | **represent** (representation learning) | maps $E: X \to Z$ and $F: Z \to X$ so that $z = E(x)$ keeps what matters | visualisation, clustering, learning from few labels |
#
# The data enter all three in the same way: as independent draws $x_1, \dots, x_n$ from an unknown distribution $p$. Fitting
# $p_\theta \approx p$ by **maximum likelihood**, $\max_\theta \sum_i \log p_\theta(x_i)$, is the subject of
# {ref}`ch-density`, codes are that of {ref}`ch-representation`, and {ref}`ch-at-work` measures and applies all three.
#
# ## One model, all three in closed form
#
# One small model does all three, exactly and without any iteration. **Probabilistic principal component analysis**
# (pPCA, {cite:t}`tipping1999`; {cite:t}`roweis1999` reviews its relatives) says that an image is a linear function
# of $k < d$ hidden numbers (**latent variables**), plus noise; with $W \in \mathbb R^{d \times k}$,
#
# $$
# \begin{aligned}
# z &\sim \mathcal N(0, I_k), \\
# x &= W z + \mu + \varepsilon, \qquad
# \varepsilon \sim \mathcal N(0, \sigma^2 I_d) .
# \end{aligned}
# $$ (eq-generation-ppca)
#
# **Sampling** is {eq}`eq-generation-ppca` itself. **Scoring**: sums of Gaussians are Gaussian, so
#
# $$
# p(x) = \mathcal N(x;\, \mu, C), \qquad C = W W^\top + \sigma^2 I_d .
# $$ (eq-generation-ppca-marginal)
#
# **Representing**: with $M = W^\top W + \sigma^2 I_k$, the code of an image is its posterior,
#
# $$
# p(z \mid x) = \mathcal N\big(z;\; M^{-1} W^\top (x - \mu),\; \sigma^2 M^{-1}\big).
# $$ (eq-generation-ppca-posterior)
#
# The matrix $M$ is only $k \times k$, and it also makes scoring cheap. By the identities of Woodbury and
# Sylvester,
#
# $$
# \begin{aligned}
# C^{-1} &= \sigma^{-2}\big(I_d - W M^{-1} W^\top\big), \\
# \log\lvert C\rvert &= (d - k)\log\sigma^2 + \log\lvert M\rvert ,
# \end{aligned}
# $$ (eq-generation-woodbury)
#
# so that, once $M$ is factorised, an image costs of the order of $dk$ operations and no $d \times d$ matrix is ever
# factorised.
#
# :::{prf:theorem} Maximum likelihood of pPCA
# :label: thm-generation-ppca
#
# Let $S = \frac1n\sum_i (x_i - \bar x)(x_i - \bar x)^\top$ have eigenvalues $\lambda_1 \ge \dots \ge \lambda_d > 0$
# with unit eigenvectors $u_1, \dots, u_d$. The likelihood of {eq}`eq-generation-ppca` is maximal at
# $\hat\mu = \bar x$ and
#
# $$
# \begin{aligned}
# \hat\sigma^2 &= \frac1{d-k}\sum_{j=k+1}^d \lambda_j, \\
# \hat W &= U_k\,(\Lambda_k - \hat\sigma^2 I_k)^{1/2}\, R,
# \end{aligned}
# $$ (eq-generation-ppca-mle)
#
# with $U_k = (u_1, \dots, u_k)$, $\Lambda_k = \operatorname{diag}(\lambda_1, \dots, \lambda_k)$ and any orthogonal
# $R \in \mathbb R^{k \times k}$. The maximum, per example, is
#
# $$
# \begin{aligned}
# -\tfrac12\Big( d\log 2\pi &+ \sum_{j \le k}\log\lambda_j \\
# &+ (d - k)\log\hat\sigma^2 + d \Big).
# \end{aligned}
# $$ (eq-generation-ppca-max)
# :::
#
# ::::{dropdown} Proof
# For any $C$ the likelihood is a Gaussian's, so $\mu = \bar x$ is best, and per example the log-likelihood there is
# $\ell = -\tfrac12\big(d\log 2\pi + \log\lvert C\rvert + \operatorname{tr}(C^{-1}S)\big)$.
#
# Let $\gamma_1 \ge \dots \ge \gamma_d$ be the eigenvalues of $C$. Since $WW^\top$ has rank at most $k$, the last $d - k$ of them equal
# $\sigma^2$ and the others are at least $\sigma^2$; apart from that, $W$ can give them any value and $C$ any eigenvectors.
#
# *Eigenvectors.* By von Neumann's trace inequality $\operatorname{tr}(C^{-1}S) \ge \sum_j \lambda_j/\gamma_j$ with both sequences in
# decreasing order, and equality holds if and only if $C$ and $S$ share eigenvectors in that order. Hence
#
# $$
# \begin{aligned}
# -2\ell - d\log 2\pi &\ge \sum_{j \le k}\Big(\log\gamma_j + \frac{\lambda_j}{\gamma_j}\Big) \\
# &\;{}+ (d-k)\log\sigma^2 + \frac1{\sigma^2}\sum_{j>k}\lambda_j .
# \end{aligned}
# $$ (eq-generation-ppca-bound)
#
# *Eigenvalues.* The function $\log\gamma + \lambda/\gamma$ is smallest at $\gamma = \lambda$, so $\gamma_j = \lambda_j$; in the same way the rest is
# smallest when $\sigma^2$ is the mean of $\lambda_{k+1}, \dots, \lambda_d$. Each $\lambda_j$ with $j \le k$ is at least this mean, so the
# constraint $\gamma_j \ge \sigma^2$ holds. Then $\hat W\hat W^\top = C - \hat\sigma^2 I = U_k(\Lambda_k - \hat\sigma^2 I)U_k^\top$, which
# determines $\hat W$ up to $R$. The right side of {eq}`eq-generation-ppca-bound` becomes
# $\sum_{j\le k}\log\lambda_j + k + (d-k)\log\hat\sigma^2 + (d-k)$. $\square$
# ::::
#
# Here is the whole model, each function one of the equations.

# %%
def fit_ppca(x, k):
    """Closed-form maximum likelihood: (n, d) -> mean (d,), W (d, k), sigma2."""
    mu = x.mean(0)
    lam, U = torch.linalg.eigh((x - mu).T @ (x - mu) / len(x))
    lam, U = lam.flip(0), U.flip(1)  # decreasing
    sigma2 = lam[k:].mean()
    return mu, U[:, :k] * (lam[:k] - sigma2).sqrt(), sigma2


def ppca_sample(n, mu, W, sigma2):
    """n draws of x: (n, d)."""
    z = torch.randn(n, W.shape[1], generator=gen)
    return z @ W.T + mu + sigma2.sqrt() * torch.randn(n, len(mu), generator=gen)


def ppca_posterior(x, mu, W, sigma2):
    """Posterior of the code: means (n, k), covariance (k, k)."""
    M = W.T @ W + sigma2 * torch.eye(W.shape[1])
    mean = torch.linalg.solve(M, W.T @ (x - mu).T).T
    return mean, sigma2 * torch.linalg.inv(M)


def ppca_log_prob(x, mu, W, sigma2):
    """log p(x) in nats without any d x d matrix: (n, d) -> (n,)."""
    (d, k), r = W.shape, x - mu
    M = W.T @ W + sigma2 * torch.eye(k)
    z, _ = ppca_posterior(x, mu, W, sigma2)
    quadratic = ((r**2).sum(1) - ((r @ W) * z).sum(1)) / sigma2
    return -0.5 * (
        d * math.log(2 * math.pi)
        + (d - k) * sigma2.log()
        + torch.logdet(M)
        + quadratic
    )


k = 20
mu, W, sigma2 = ppca = fit_ppca(x, k)

# %% [markdown]
# Short code deserves long tests: the density against a library, the maximum against the theorem's value and an automatic
# gradient, the posterior against the conditional {eq}`eq-generation-conditional` of the joint distribution of $(z, x)$.

# %% tags=["hide-input"]
library = torch.distributions.LowRankMultivariateNormal(mu, W, sigma2.expand(d))
claim("generation-ppca-oracle", "mean log density of the test images under pPCA with 20 directions",
      ppca_log_prob(x_test, *ppca).mean(), library.log_prob(x_test).mean(),
      by="torch.distributions", rtol=1e-10, unit="nats")

lam = torch.linalg.eigvalsh(torch.cov(x.T, correction=0)).flip(0)
maximum = -0.5 * (
    d * math.log(2 * math.pi)
    + lam[:k].log().sum()
    + (d - k) * lam[k:].mean().log()
    + d
)
claim("generation-ppca-maximum", "mean log density of the training images at the closed-form fit",
      ppca_log_prob(x, *ppca).mean(), maximum, by="closed form from the eigenvalues alone",
      rtol=1e-10, unit="nats")

free = [t.clone().requires_grad_() for t in ppca]
gradient = torch.autograd.grad(ppca_log_prob(x, *free).mean(), free)
claim("generation-ppca-stationary", "largest entry of the gradient in mean, W and noise variance",
      max(g.abs().max() for g in gradient), by="automatic differentiation: zero at a maximum",
      at_most=1e-8, stable=False)

joint_mean = torch.cat([torch.zeros(k), mu])
joint_cov = torch.cat(
    [
        torch.cat([torch.eye(k), W.T], 1),
        torch.cat([W, W @ W.T + sigma2 * torch.eye(d)], 1),
    ]
)
by_joint, cov_by_joint = conditional_gaussian(
    joint_mean, joint_cov, torch.arange(k + d) >= k, x_test[:1]
)
code, code_cov = ppca_posterior(x_test[:1], *ppca)
# squared: the sign of an eigenvector is nobody's choice
claim("generation-ppca-posterior", "squares of the 20 numbers of an image's code", code[0] ** 2,
      by_joint[0] ** 2, by="conditional of the joint Gaussian", atol=1e-8)
claim("generation-ppca-posterior-variance", "posterior variances of the 20 numbers",
      code_cov.diagonal(), cov_by_joint.diagonal(), by="conditional of the joint Gaussian",
      rtol=1e-8)

# %% [markdown]
# And the test must be able to fail. An easy slip is to average the left-out variance over all $d$ pixels,
# $\sigma'^2 = \frac1d\sum_{j>k}\lambda_j$. Everything still runs, but the likelihood is
# lower by exactly $\frac{d-k}{2}\big(\frac{k}{d-k} - \log\frac{d}{d-k}\big)$ nats per image:

# %% tags=["hide-input"]
lam_, U_ = torch.linalg.eigh(torch.cov(x.T, correction=0))
slip = lam_[: d - k].sum() / d
W_slip = U_.flip(1)[:, :k] * (lam_.flip(0)[:k] - slip).sqrt()
claim("generation-ppca-slip", "training nats per image lost by dividing by d, not d - k",
      maximum - ppca_log_prob(x, mu, W_slip, slip).mean(),
      torch.tensor((d - k) / 2 * (k / (d - k) - math.log(d / (d - k)))),
      by="closed form of the wrong estimate", rtol=1e-8, unit="nats")

# %% [markdown]
# ### One model, three readings
#
# {item}`S1.1`
# {numref}`fig-generation-three-readings` reads the three ways from
# the same three arrays $\hat\mu, \hat W, \hat\sigma^2$.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-generation-three-readings", "caption": "One fitted pPCA with 20 directions, read three ways: draws from it, the log densities it gives to unseen digits and to noise, and the first two numbers of its code for unseen digits."}, "image": {"alt": "Left, twenty-five blurred samples some of which resemble digits. Middle, two histograms of log density, unseen digits on the right and noise images far to the left. Right, a scatter of two code coordinates in which several digit classes form their own clouds."}}
fig, axes = plt.subplots(1, 3, figsize=(7, 2.75))
image_grid(ppca_sample(25, *ppca), ncols=5, ax=axes[0], vmin=0, vmax=1)
axes[0].set_title("sample")
noise = torch.rand(360, d, generator=gen)
axes[1].hist(
    ppca_log_prob(noise, *ppca),
    bins=40,
    color=colors.bad,
    alpha=0.8,
    label="noise",
)
axes[1].hist(
    ppca_log_prob(x_test, *ppca),
    bins=10,
    color=colors.model,
    alpha=0.8,
    label="unseen digits",
)
axes[1].set(title="score", xlabel="log density (nats)", ylabel="images")
axes[1].legend(loc="upper left")
codes = ppca_posterior(x_test, *ppca)[0]
for c in range(10):
    axes[2].scatter(
        *codes[y_test == c, :2].T,
        s=16,
        color=plt.cm.tab10(c),
        marker=f"${c}$",
        linewidths=0.2,
    )
axes[2].set(title="represent", xlabel="$z_1$", ylabel="$z_2$")
plt.show()


# %% [markdown]
# The three readings are not equally good. The scores separate digits from noise without a single error, the code
# puts several classes apart although no label was used, but the samples are poor: the model has one noise for all
# pixels, even for those that digits leave empty. Give each pixel a noise of its own and keep the 20 directions (**factor
# analysis**), and the draws are much harder to tell from digits ({numref}`fig-generation-scoreboard` measures it). That such differences can go in any
# direction is the subject of the rest of this page. The first two statements, measured, the code by a **linear probe**:

# %%
def auroc(high, low):
    """Probability that `high` exceeds `low`, ties counting half."""
    difference = high[:, None] - low[None]
    return ((difference > 0).double() + 0.5 * (difference == 0)).mean()


detected = auroc(ppca_log_prob(x_test, *ppca), ppca_log_prob(noise, *ppca))
claim("generation-noise-detected",
      "probability that an unseen digit scores above a noise image",
      detected, 1.0, by="all pairs counted")
claim("generation-code-probe",
      "test accuracy of a linear classifier on the 20 numbers of the code",
      linear_probe(ppca_posterior(x, *ppca)[0], y, codes, y_test),
      by="other splits; the commonest class has 0.1",
      at_least=0.92, at_most=0.985)

# %% [markdown]
# ## Generation
#
# ### What a generator is
#
# {item}`S1.3`
#
# :::{prf:definition} Generator
# :label: def-generation-generator
#
# A **generator** is a map $G: Z \to X$ together with a distribution $p_Z$ on $Z$ that is easy to draw from. Its
# **distribution** is that of $G(z)$ for $z \sim p_Z$, the **pushforward** of $p_Z$. The space $Z$ is called **latent** when $z$ is thought of
# as a hidden cause of $x$; nothing in the definition limits its dimension.
# :::
#
# Every sampler on a computer has this form: in the end $z$ is a string of random numbers. What differs between
# families is the dimension of $Z$ and the shape of $G$, and these two decide whether the generator's distribution has a
# density at all.
#
# | family | $Z$ | $G$ | density of $G(z)$ on $\mathbb R^d$ |
# |---|---|---|---|
# | **generative adversarial network** (GAN); the decoder's mean in a **variational autoencoder** (VAE) or in pPCA | $\mathbb R^k$, usually $k \ll d$ | any locally Lipschitz map, as networks are | none if $k < d$ ({prf:ref}`thm-generation-null`) |
# | VAE, pPCA with their noise | $\mathbb R^k \times \mathbb R^d$ | $F(z) + \sigma\varepsilon$ | yes, an integral over $z$ |
# | **normalising flow** | $\mathbb R^d$ | bijection, smooth both ways | yes, by the change of variables |
# | **diffusion model** | $\mathbb R^d$ (its probability flow) | solution of a differential equation | yes |
# | **autoregressive model** | $[0,1]^d$: one uniform number per pixel | one conditional quantile after another | yes, if each conditional has one: their product |
#
# :::{prf:theorem} A low-dimensional latent space leaves no density
# :label: thm-generation-null
#
# Let $G: \mathbb R^k \to \mathbb R^d$ be locally Lipschitz (every continuously differentiable map is) with $k < d$.
# Then the image $G(\mathbb R^k)$ has volume zero in $\mathbb R^d$, and the distribution of $G(z)$ has no density there,
# whatever the distribution of $z$.
# :::
#
# :::{prf:proof}
# Cut a unit cube of $\mathbb R^k$ into $m^k$ cubes of side $1/m$. If $\kappa$ is a Lipschitz constant of $G$ on the unit cube,
# the image of each small cube lies in a ball of radius $\kappa\sqrt k/m$, whose volume is $c\,m^{-d}$ with $c$ independent
# of $m$. All images together have volume at most $m^k \cdot c\,m^{-d} \to 0$ as $m \to \infty$. Countably many unit cubes
# cover $\mathbb R^k$, and countably many null sets make a null set. It carries all the probability of $G(z)$, while a
# density would give it probability zero.
# :::
#
# The rank of the Jacobian shows the dimension of the image at a point. We compare four generators of 64-pixel images:
# the pPCA decoder, a random neural network with two latent numbers, and two generators of the
# *full* Gaussian $\mathcal N(\bar x, S)$: as a flow, $G(e) = \bar x + Le$ with $S = LL^\top$, and as an autoregressive model that
# draws pixel after pixel from its conditional given the pixels before it, {eq}`eq-generation-conditional` again.

# %%
S = torch.cov(x.T, correction=0)
L = torch.linalg.cholesky(S)
standard = torch.distributions.Normal(0.0, 1.0)

conditionals = []  # pixel i given those before it: coefficients (i,), variance
for i in range(d):
    b = torch.linalg.solve(S[:i, :i], S[:i, i]) if i else torch.zeros(0)
    conditionals.append((b, S[i, i] - S[i, :i] @ b))


def flow(e):
    """Full Gaussian as a flow: (d,) standard normals -> (d,) pixels."""
    return mean_image + L @ e


def autoregressive(u):
    """Full Gaussian, pixel after pixel: (d,) uniforms -> (d,) pixels."""
    r = torch.zeros(0)  # pixels so far, minus their means
    for (b, v), u_i in zip(conditionals, u, strict=True):
        r = torch.cat([r, (b @ r + v.sqrt() * standard.icdf(u_i))[None]])
    return mean_image + r


def autoregressive_log_prob(x):
    """Sum over pixels of log p(x_i | x_1 ... x_{i-1}): (n, d) -> (n,)."""
    r = x - mean_image
    total = torch.zeros(len(x))
    for i, (b, v) in enumerate(conditionals):
        total += torch.distributions.Normal(r[:, :i] @ b, v.sqrt()).log_prob(
            r[:, i]
        )
    return total


# %% tags=["hide-input"]
network = nn.Sequential(
    nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, d)
)
jacobian = torch.autograd.functional.jacobian
u = torch.rand(d, generator=gen)
J = [
    jacobian(lambda z: mu + W @ z, torch.randn(k, generator=gen)),
    jacobian(network, torch.randn(2, generator=gen)),
    jacobian(flow, torch.randn(d, generator=gen)),
    jacobian(autoregressive, u),
]
claim("generation-jacobian-rank",
      "rank of the Jacobian: pPCA decoder, random network, flow, autoregressive",
      torch.tensor([torch.linalg.matrix_rank(j, rtol=1e-9) for j in J]), torch.tensor([k, 2, d, d]),
      item="E1.3", by="dimension of the latent space")
claim("generation-autoregressive-density",
      "log density of an autoregressive draw, from its conditionals",
      autoregressive_log_prob(autoregressive(u)[None])[0], -torch.linalg.slogdet(J[3])[1],
      item="E1.3", by="change of variables: minus log |det J| of the generator", rtol=1e-8,
      unit="nats")
claim("generation-autoregressive-is-gaussian",
      "mean log density of the test images, pixel after pixel",
      autoregressive_log_prob(x_test).mean(), gaussian_log_prob(x_test, mean_image, S).mean(),
      item="E1.3", by="joint Gaussian density", rtol=1e-9, unit="nats")

# %% [markdown]
# The last two have no low-dimensional latent space, and both have an exact density. What goes
# wrong without a density shows when we let the noise of pPCA vanish, $\sigma \to 0$, which leaves the decoder $Wz + \mu$
# alone. On its plane the density grows without bound, by $(d-k)\log 10$ nats per decade of $\sigma$;
# off the plane, where every real image lies, it falls like $-\lVert r\rVert^2/2\sigma^2$ with the distance
# $\lVert r \rVert$ to the plane ({numref}`fig-generation-no-density`).

# %% tags=["hide-input"]
on_plane = torch.randn(200, k, generator=gen) @ W.T + mu
sigmas = torch.logspace(0, -5, 51)
on = torch.stack([ppca_log_prob(on_plane, mu, W, s**2).mean() for s in sigmas])
off = torch.stack([ppca_log_prob(x_test, mu, W, s**2).mean() for s in sigmas])

claim("generation-no-density-slope",
      "growth of the log density on the plane per decade of the noise level", on[-1] - on[-11],
      torch.tensor((d - k) * math.log(10)), item="E1.3", by="closed form (d - k) log 10", rtol=1e-3,
      unit="nats")
Q = torch.linalg.qr(W).Q
residual = (((x_test - mu) - (x_test - mu) @ Q @ Q.T) ** 2).sum(1).mean()
claim("generation-no-density-residual",
      "mean squared distance of test images to the plane, from the density",
      -2 * sigmas[-1] ** 2 * off[-1], residual, item="E1.3", by="orthogonal projection", rtol=1e-3)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-generation-no-density", "caption": "A decoder without noise has no density: as the noise vanishes, log density explodes on the plane and collapses off it. The vertical line is the maximum likelihood noise."}, "image": {"alt": "Two curves of log density against the noise level on a logarithmic axis. One rises steadily as the noise falls, the other peaks near the vertical line and then drops out of the picture."}}
fig, ax = plt.subplots(figsize=(6, 2.7))
ax.semilogx(sigmas, on, color=colors.bad, label="points on the plane")
ax.semilogx(sigmas, off, color=colors.model, label="unseen digits")
ax.axvline(sigma2.sqrt(), color=colors.muted, lw=1)
ax.set(
    xlabel=r"noise level $\sigma$",
    ylabel="mean log density (nats)",
    ylim=(-250, 500),
    xlim=(1, 1e-5),
)
ax.legend()
plt.show()

# %% [markdown]
# :::{admonition} Common mistake: Generative models map a low-dimensional latent space to the data
# :class: mistake
# {item}`E1.3` GANs and the decoders of VAEs usually do. Autoregressive models have no latent space (or
# one number per pixel), flows and diffusions have one of the data's own dimension (rank $64$ above). The difference matters:
# by {prf:ref}`thm-generation-null` no model can both be a smooth generator with $\dim Z < \dim X$ and assign likelihoods on $X$.
# VAEs escape by adding noise.
# :::
#
# ### From noise to a digit
#
# A sequence from pure noise to a finished picture can be run exactly, without a network. Add Gaussian noise of level $s$ to the class mixture; a sum of independent Gaussians is Gaussian, so the
# noisy density is again a mixture, and its **score** is elementary. (A homonym: elsewhere on this page to score is to evaluate
# $\log p$; *the* score is its gradient in $x$.)
#
# $$
# \begin{aligned}
# p_s(x) &= \sum_c \pi_c\,\mathcal N(x;\, \mu_c, \Sigma_c + s^2 I), \\
# \nabla \log p_s(x) &= -\sum_c p_s(c \mid x)\,(\Sigma_c + s^2 I)^{-1}(x - \mu_c).
# \end{aligned}
# $$ (eq-generation-score)
#
# At large $s$, $p_s$ is nearly $\mathcal N(0, s^2 I)$, from which we can draw. {cite:t}`song2021` show that the ordinary differential
# equation
#
# $$
# \frac{\mathrm dx}{\mathrm ds} = -s\,\nabla\log p_s(x)
# $$ (eq-generation-flow)
#
# (the **probability flow**) carries draws of $p_s$ to draws of $p_{s'}$ for all levels, so following it from a large $s$ down to $0$ turns noise into
# draws of $p$. (Why: the densities satisfy the heat equation $\partial_s p_s = s\,\Delta p_s$, which is the continuity
# equation $\partial_s p_s = -\nabla\!\cdot(p_s v)$ for the velocity $v = -s\nabla\log p_s$.) On the way
# $x + s^2\nabla\log p_s(x)$ is the expected clean image given the noisy one (Tweedie's formula, {cite:t}`efron2011`).
#
# :::{prf:algorithm} Noise to digit by the probability flow
# :label: alg-generation-flow
#
# **Input** noise levels $s_0 > s_1 > \dots > s_{T-1} > s_T = 0$; the score {eq}`eq-generation-score`.
#
# 1. Draw $x \sim \mathcal N(0, s_0^2 I)$.
# 2. For $t = 0, \dots, T-1$:
#    1. $v \leftarrow -s_t\,\nabla\log p_{s_t}(x)$, and the Euler guess $x' \leftarrow x + (s_{t+1} - s_t)\,v$.
#    2. If $s_{t+1} = 0$, set $x \leftarrow x'$. Else $v' \leftarrow -s_{t+1}\nabla\log p_{s_{t+1}}(x')$ and
#       $x \leftarrow x + (s_{t+1} - s_t)(v + v')/2$ (Heun's rule, the choice of {cite:t}`karras2022`).
#
# **Output** $x$.
# :::

# %%
weight, mean, cov = gmm
# one decomposition serves every noise level: (K, d), (K, d, d)
eigenvalues, V = torch.linalg.eigh(cov)


def noisy_score(x, s):
    """Gradient of log p_s at x: (n, d) -> (n, d)."""
    r = (x - mean[:, None]) @ V  # (K, n, d), in each class's eigenbasis
    v = (eigenvalues + s**2)[:, None]  # (K, 1, d)
    twice = (r**2 / v + v.log()).sum(-1)  # (K, n)
    posterior = (weight.log()[:, None] - twice / 2).softmax(0)  # p_s(c | x)
    return -(posterior[:, :, None] * ((r / v) @ V.mT)).sum(0)


def probability_flow(x, levels):
    """Carry x (n, d) from levels[0] to noise 0: all states, (T + 1, n, d)."""
    states = [x]
    for s, s_next in pairwise(levels):
        v = -s * noisy_score(x, s)
        guess = x + (s_next - s) * v
        if s_next > 0:
            v_next = -s_next * noisy_score(guess, s_next)
            guess = x + (s_next - s) * (v + v_next) / 2
        x = guess
        states.append(x)
    return torch.stack(states)


levels = torch.cat([torch.logspace(2, -3.5, 72), torch.zeros(1)])
states = probability_flow(
    levels[0] * torch.randn(500, d, generator=gen), levels
)
drawn = states[-1]

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-generation-noise-to-digit", "caption": "From noise to digits along the exact probability flow. Upper row of each pair: the state, with its grey scale stretched to the noise. Lower row: the clean image expected from it."}, "image": {"alt": "Three pairs of rows of small images under falling noise levels. Each upper row changes from static into a clear digit, each lower row from the mean image over an ambiguous blur to the same digit."}}
nominal = [100, 3, 1.5, 0.7, 0.4, 0.2, 0.1, 0.03, 0]
shown = [(levels - s).abs().argmin().item() for s in nominal]
pictures = []
chosen = [
    int((log_joint(drawn, gmm).argmax(1) == c).nonzero()[0, 0])
    for c in (2, 5, 8)
]
for j in chosen:
    state = states[shown, j]
    clean = [
        states[t, [j]] + levels[t] ** 2 * noisy_score(states[t, [j]], levels[t])
        for t in shown
    ]
    pictures += [
        0.5 + (state - 0.5) / (1 + 4 * levels[shown, None]),
        torch.cat(clean),
    ]
fig, ax = plt.subplots(figsize=(7, 4.9))
titles = [f"s = {s:g}" for s in nominal]
image_grid(
    torch.cat(pictures), ncols=len(shown), ax=ax, vmin=0, vmax=1, titles=titles
)
ax.tick_params(labelsize=8)
plt.show()


# %% [markdown]
# {numref}`fig-generation-noise-to-digit` follows three draws. The first guess is the mean image: from so much noise nothing
# better can be told. The flow has no randomness of its own, so the start already fixes the digit, but the state shows it late:
# over a single decade, from $s \approx 3$ to $s \approx 0.3$, the belief $p_s(c \mid x)$ in the class $c$ that will
# appear rises on average from {value}`generation-flow-belief-early:.2f` to {value}`generation-flow-belief-late:.2f`.
#
# A pretty sequence proves nothing, so we test it: the score against automatic differentiation, and the end of the flow
# against the mixture itself by its mean log density, its classes, and the Fréchet distance of the draws' first two moments
# from the mixture's own (defined in {ref}`ch-at-work`; it is positive even for a finite sample of true draws, so the
# comparison is with 20 direct samples of the same size).

# %%
def gmm_sample(n, model=gmm):
    """Direct draws of the mixture: class, then Gaussian."""
    weight, mean, cov = model
    c = torch.multinomial(weight, n, replacement=True, generator=gen)
    eps = torch.randn(n, mean.shape[1], generator=gen)
    return mean[c] + (torch.linalg.cholesky(cov)[c] @ eps[:, :, None])[:, :, 0]


# %% tags=["hide-input"]
s = 0.3
at = (gmm_sample(4) + s * torch.randn(4, d, generator=gen)).requires_grad_()
automatic = torch.autograd.grad(
    log_prob(at, (weight, mean, cov + s**2 * torch.eye(d))).sum(), at
)[0]
claim("generation-score-autograd", "score at four noisy images, every pixel",
      noisy_score(at.detach(), s), automatic, by="automatic differentiation", atol=1e-8)

direct = gmm_sample(4000)
truth, truth_se = monte_carlo(log_prob(direct, gmm))
measured, measured_se = monte_carlo(log_prob(drawn, gmm))
claim("generation-flow-entropy", "mean log density at the end of the flow", measured, truth,
      by="4000 direct draws of the same mixture", se=math.hypot(measured_se, truth_se), unit="nats")
# over draws of p, the mean of p(c | x) is the weight of c
share = log_joint(drawn, gmm).softmax(1).mean(0)
claim("generation-flow-classes", "share of each class at the end of the flow", share, weight,
      by="mixture weights", se=(weight * (1 - weight) / len(drawn)).sqrt())


def belief(s):
    """Mean of p_s(c | x) for the class c in which the flow will end."""
    t = (levels - s).abs().argmin()
    noisy = (weight, mean, cov + levels[t] ** 2 * torch.eye(d))
    final = log_joint(drawn, gmm).argmax(1, keepdim=True)
    return log_joint(states[t], noisy).softmax(1).gather(1, final).mean()


claim("generation-flow-belief-early", "belief in the final class near s = 3", belief(3.0),
      by="other splits; knowing nothing gives 0.1", at_least=0.17, at_most=0.21)
claim("generation-flow-belief-late", "belief in the final class near s = 0.3", belief(0.3),
      by="other splits; certainty gives 1", at_least=0.92, at_most=0.97)

total_mean = weight @ mean
offset = mean - total_mean
total_cov = (weight[:, None, None] * cov).sum(0) + (weight * offset.T) @ offset


def frechet_to_mixture(sample):
    return frechet_gaussian(
        total_mean, total_cov, sample.mean(0), torch.cov(sample.T, correction=0)
    )


reference = torch.stack(
    [frechet_to_mixture(gmm_sample(len(drawn))) for _ in range(20)]
)
claim("generation-flow-frechet", "Fréchet distance of 500 flow draws to the mixture's moments",
      frechet_to_mixture(drawn), reference.mean(), by="20 samples of 500 direct draws",
      se=reference.std(), digits=3)


# %% [markdown]
# This is the sampler of a diffusion model with everything known. There $p$ is unknown, and a network must learn the
# score from data (**score matching**): a later part of the book.
#
# ### Fresh draws, not copies
#
# {item}`E1.4`
# When has generation succeeded? "When the samples are indistinguishable from the training data" sounds
# right and is wrong: a **memoriser**, which returns a random training image, passes that test. We want **fresh draws of
# $p$**, as different from the training images as new real images are.
#
# This can be tested (**data-copying**). Let $\delta(x)$ be the distance from $x$ to the nearest training image. If the generated
# images are fresh draws, then $\delta$ of a generated and $\delta$ of a held-out image are exchangeable, and
#
# $$
# \Pr\big(\delta(x_{\text{gen}}) < \delta(x_{\text{test}})\big) = \tfrac12
# $$ (eq-generation-copy)
#
# (ties counting half). Copies push it to $1$. This is {cite:t}`meehan2020`'s test without their partition into cells. The validation
# set, which *is* a sample of fresh draws, shows that the test can be passed. It is a test for copies only: poor pictures can pass it.

# %%
def distance_to_training(a):
    """Distance to the nearest training image: (n, d) -> (n,)."""
    return torch.cdist(a, x).amin(1)


def copy_statistic(generated, fresh):
    """Probability that a draw is nearer to training than a fresh image."""
    return auroc(distance_to_training(fresh), distance_to_training(generated))


def memoriser_sample(n):
    """A training image drawn at random, its grey levels spread anew."""
    i = torch.randint(len(data.train.x), (n,), generator=gen)
    return dequantise(data.train.x[i], generator=gen)


copies, ours = memoriser_sample(360), gmm_sample(360)

# %% tags=["hide-input"]
# Mann and Whitney's statistic under exchangeability
null_se = math.sqrt((360 + 360 + 1) / (12 * 360 * 360))
claim("generation-copy-null", "copy statistic of the validation images",
      copy_statistic(x_val, x_test), 0.5, item="E1.4", by="exchangeability of fresh draws",
      se=null_se)
claim("generation-copy-memoriser", "copy statistic of the memoriser",
      copy_statistic(copies, x_test), 1.0, item="E1.4", by="its draws are training images")
claim("generation-copy-gmm", "copy statistic of the class mixture", copy_statistic(ours, x_test),
      item="E1.4", by="other splits; one half for fresh draws, less if farther off", at_least=0.08,
      at_most=0.2)
in_table = (torch.cdist(data.test.x, data.train.x).amin(1) == 0).sum()
claim("generation-copy-lookup", "test images to which the memoriser gives any probability",
      in_table, 0, item="E1.4", by="a lookup table knows no unseen image")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-generation-copies", "caption": "Left: draws of the memoriser and of the class mixture. Right: how far each image lies from the nearest training image."}, "image": {"alt": "Two small grids of digits, sharp ones from the memoriser and slightly grainy ones from the mixture, beside three histograms of distance. The memoriser's is a spike near zero, unseen digits lie in the middle, and the mixture's draws lie farthest right."}}
fig, axes = plt.subplots(1, 3, figsize=(7, 2.6), width_ratios=[1, 1, 1.5])
for ax, images_, title in (
    (axes[0], copies, "memoriser"),
    (axes[1], ours, "class mixture"),
):
    image_grid(images_[:25], ncols=5, ax=ax, vmin=0, vmax=1)
    ax.set_title(title)
sets = {
    "memoriser": (copies, colors.bad),
    "unseen digits": (x_test, colors.data),
    "class mixture": (ours, colors.model),
}
for label, (a, color) in sets.items():
    axes[2].hist(
        distance_to_training(a),
        bins=torch.linspace(0, 3, 46),
        color=color,
        alpha=0.7,
        label=label,
    )
axes[2].set(
    xlabel="distance to the nearest training image",
    ylabel="images",
    ylim=(0, 90),
)
axes[2].legend(fontsize=8)
plt.show()

# %% [markdown]
# :::{admonition} Common mistake: Good samples cannot be told from the training set
# :class: mistake
# They should be indistinguishable from *fresh* draws of $p$. No test tells the memoriser from random
# training images, for it returns random training images; yet its copy statistic is {value}`generation-copy-memoriser:.0f` where fresh images have
# {value}`generation-copy-null:.2f`, and it gives unseen images probability zero. The class mixture errs
# to the other side ({value}`generation-copy-gmm:.2f`): its draws lie farther from the training images than new digits do.
# :::
#
# ### What the latent space decides
#
# It also decides how *diverse* the draws can be, by its dimension and its shape.
#
# **Dimension.** Keep $k$ directions in pPCA and draw noise-free images $Wz + \mu$. Their total variance is
# $\operatorname{tr} WW^\top = \sum_{j \le k}(\lambda_j - \hat\sigma^2)$, so compared with the data
#
# $$
# \begin{aligned}
# \operatorname{tr} S - \operatorname{tr} \hat W\hat W^\top &= \sum_{j>k}\lambda_j + k\hat\sigma^2 \\
# &= (d-k)\hat\sigma^2 + k\hat\sigma^2 = d\,\hat\sigma^2 .
# \end{aligned}
# $$ (eq-generation-lost-variance)
#
# Exactly $d$ times the fitted noise is missing from the clean draws
# ({numref}`fig-generation-dimension`; bits per pixel are the score in the units of {ref}`ch-conventions`).

# %% tags=["hide-input"]
ks = list(range(1, 61))
fits = [fit_ppca(x, j) for j in ks]
total = S.trace()
lost = torch.stack([total - f[1].square().sum() for f in fits])
picked = [2, 10, 20, 40]
claim("generation-lost-variance",
      "variance missing from noise-free draws with 2, 10, 20, 40 directions",
      lost[[j - 1 for j in picked]], torch.stack([d * fits[j - 1][2] for j in picked]),
      by="closed form: d times the noise variance", rtol=1e-9)
bits_train, bits_val = (
    torch.stack(
        [bits_per_dim(-ppca_log_prob(a, *f).mean(), d, levels=17) for f in fits]
    )
    for a in (x, x_val)
)
one_hot = nn.functional.one_hot
levels_seen = one_hot(data.train.x.long(), 17).double()  # (n, d, 17)


def counted(labels, classes, add):
    """Log shares (K, d, 17) of the levels at each pixel, class by class."""
    member = one_hot(labels, classes).double()
    counts = torch.einsum("nk,ndv->kdv", member, levels_seen) + add
    return (counts / counts.sum(2, keepdim=True)).log()


def counted_joint(levels, labels, classes, add):
    """log P(levels, class) under one table a class: (n, d) -> (n, K) nats."""
    tables = counted(labels, classes, add)
    share = torch.bincount(labels, minlength=classes) / len(labels)
    seen_levels = one_hot(levels.long(), 17).double()
    return torch.einsum("ndv,kdv->nk", seen_levels, tables) + share.log()


def counted_log_prob(*levels_and_how):
    return counted_joint(*levels_and_how).logsumexp(1)


single = torch.zeros_like(y)  # one class: a single table
added = {  # chosen on validation
    name: max(
        (0.01, 0.03, 0.1, 0.3, 1.0),
        key=lambda a: counted_log_prob(data.validation.x, *how, a).mean(),
    )
    for name, how in {"one": (single, 1), "ten": (y, 10)}.items()
}
bits_counted = [
    bits_per_dim(-counted_log_prob(data.validation.x, *how).mean(), d)
    for how in ((single, 1, added["one"]), (y, 10, added["ten"]))
]

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-generation-dimension", "caption": "More latent directions: the share of the data's variance in noise-free draws (left) and the score in bits per pixel (right, smaller is better). Dotted: the cost of knowing nothing; dashed: counted grey levels, pixel by pixel, once and in each class."}, "image": {"alt": "Two panels against the number of latent directions. The share of variance rises steeply and levels off near one. The bits per pixel of training and validation images fall together from the dotted line and part slightly at the right end, far above two dashed lines."}}
fig, axes = plt.subplots(1, 2, figsize=(7, 2.6))
axes[0].plot(ks, 1 - lost / total)
axes[0].set(
    xlabel="latent directions $k$",
    ylabel="share of the variance",
    ylim=(0, 1.02),
)
axes[1].plot(ks, bits_train, color=colors.data, label="training")
axes[1].plot(ks, bits_val, color=colors.model, label="validation")
axes[1].axhline(math.log2(17), color=colors.muted, ls=":")
for cost in bits_counted:
    axes[1].axhline(cost, color=colors.muted, ls="--")
axes[1].set(xlabel="latent directions $k$", ylabel="bits per pixel")
axes[1].legend(loc=(0.55, 0.7))
plt.show()

# %% [markdown]
# **Shape.** A normal distribution is one connected cloud; digits come in separate classes. A continuous generator cannot
# tear the cloud: between two classes it must pass through pictures that are neither, and its Lipschitz constant
# sets a floor under the probability that lands there.
#
# :::{prf:theorem} The bridge bound
# :label: thm-generation-bridge
#
# Let $z \sim \mathcal N(0, I_k)$, let $G$ have Lipschitz constant $\kappa$, and let the Borel sets $A, B \subset \mathbb R^d$ lie at distance
# $\Delta > 0$ from each other. With $p = \Pr(G(z) \in A)$ and $q = \Pr(G(z) \in B)$, both positive, and $\Phi$ the normal distribution function,
#
# $$
# \Phi^{-1}(p) + \Phi^{-1}(q) \le -\frac\Delta\kappa .
# $$ (eq-generation-bridge)
#
# In particular, if $p = q$, at least $2\,\Phi\!\big(\tfrac{\Delta}{2\kappa}\big) - 1$ of the probability lies on neither. The ramp
# $G(z) = \max(-\tfrac\Delta2, \min(\tfrac\Delta2, \kappa z_1))$ attains this bound.
# :::
#
# :::{prf:proof}
# Points of $G^{-1}(A)$ and $G^{-1}(B)$ are at least $\Delta/\kappa$ apart. By the Gaussian isoperimetric inequality {cite:p}`borell1975`,
# the points within distance less than $r$ of a set of normal probability $p$ have probability at least $\Phi(\Phi^{-1}(p) + r)$:
# half-spaces spread least. With $r = \Delta/\kappa$ this neighbourhood of $G^{-1}(A)$ misses $G^{-1}(B)$, so
# $q \le 1 - \Phi(\Phi^{-1}(p) + \Delta/\kappa) = \Phi(-\Phi^{-1}(p) - \Delta/\kappa)$. Apply $\Phi^{-1}$. For the ramp, $A = \{x \le -\Delta/2\}$ is reached when
# $z_1 \le -\Delta/2\kappa$, so that $p = q = \Phi(-\Delta/2\kappa)$.
# :::
#
# {cite:t}`salmona2022` draw the consequences for GANs and VAEs. We check the bound on 300 random networks and the equality on the ramp.

# %% tags=["hide-input"]
z = torch.randn(20_000, 2, generator=gen)
slack, gap_width = [], 2.0
for _ in range(300):
    W1, b1 = (
        2 * torch.randn(16, 2, generator=gen),
        torch.randn(16, generator=gen),
    )
    W2 = torch.randn(1, 16, generator=gen)
    # tanh has slope at most 1
    lipschitz = torch.linalg.matrix_norm(W2, 2) * torch.linalg.matrix_norm(
        W1, 2
    )
    out = torch.tanh(z @ W1.T + b1) @ W2[0]
    p, q = (out <= -1).double().mean(), (out >= 1).double().mean()
    if 0 < p and 0 < q:
        slack.append(standard.icdf(p) + standard.icdf(q) + gap_width / lipschitz)
claim("generation-bridge-law",
      "largest left side minus right side of the bridge bound, random networks", max(slack),
      by="theorem: never positive", at_most=0.0, digits=2)
steepness = torch.tensor([1.0, 2.0, 4.0, 8.0])
ramp = [((z[:, 0] * s).abs() < gap_width / 2).double() for s in steepness]
claim("generation-bridge-ramp",
      "bridge mass of ramps of slope 1, 2, 4, 8 between modes at distance 2",
      torch.stack([r.mean() for r in ramp]), 2 * standard.cdf(gap_width / 2 / steepness) - 1,
      by="closed form 2 Phi(distance / 2 slope) - 1",
      se=torch.stack([r.std() / math.sqrt(len(z)) for r in ramp]))

# %% [markdown]
# Move the slider to make a generator steeper. The target has two modes; the generator is the smooth ramp
# $G(z) = 2\tanh(\kappa z/2)$, drawn with a little decoder noise; the percentages are those of $G$ alone.

# %% tags=["hide-input"]
t = torch.linspace(-3.2, 3.2, 161)
nodes = torch.linspace(-6, 6, 1201)
node_weight = standard.log_prob(nodes).exp() * (nodes[1] - nodes[0])
bell = torch.distributions.Normal(0.0, 0.3)
target = 0.5 * (bell.log_prob(t - 2).exp() + bell.log_prob(t + 2).exp())
frames = []
for slope in (0.5, 1, 2, 4, 8, 16, 32):
    model = (
        node_weight
        * bell.log_prob(t[:, None] - 2 * torch.tanh(slope * nodes / 2)).exp()
    ).sum(1)
    bridge = 2 * standard.cdf(torch.tensor(2 * math.atanh(0.5) / slope)) - 1
    # distance 2 between x <= -1 and x >= 1
    bound = 2 * standard.cdf(torch.tensor(1 / slope)) - 1
    frames.append(
        {
            "label": f"κ = {slope:g}",
            "lines": [
                {"x": t, "y": target, "name": "target"},
                {"x": t, "y": model, "name": "generator"},
            ],
            "note": f"Between -1 and 1: {bridge:.1%}; the theorem asks {bound:.1%}.",
        }
    )
slider_figure(
    "generation-bridge",
    frames,
    slider_label="Lipschitz constant of the generator",
    xlabel="x",
    ylabel="density",
    title="A connected latent space builds bridges",
    alt="Density of a generator with one latent number against a target with two modes. A flat generator fills the gap between the modes; a steep one leaves little there.",
    start=2,
)


# %% [markdown]
# ## Scoring: density is not typicality
#
# {item}`X1.8 E1.6`
# Now the second question of {numref}`fig-generation-questions`: which picture has the highest density? We ask the full
# Gaussian $\mathcal N(\bar x, S)$, a decent density for these data: it beats pPCA with 20 directions by {value}`generation-gaussian-gain:.1f`
# nats per unseen image.

# %%
def score(a):
    """Log density under the full Gaussian, nats: (n, d) -> (n,)."""
    return gaussian_log_prob(a, mean_image, S)


score_train, score_val, score_test = score(x), score(x_val), score(x_test)

# %% tags=["hide-input"]
gain = (score_test - ppca_log_prob(x_test, *ppca)).mean()
claim("generation-gaussian-gain",
      "log density of the full Gaussian minus that of pPCA on test images", gain, by="other splits",
      at_least=19, at_most=22.5, unit="nats")

top_score = score(mean_image[None])[0]
claim("generation-mean-image-excess", "log density of the mean image minus the training average",
      top_score - score_train.mean(), d / 2, item="E1.6",
      by="closed form d/2: mean squared whitened length is d", atol=1e-8, unit="nats")
c = 0.5
claim("generation-contrast-shift",
      "gain in log density when the training images' contrast is halved",
      (score(mean_image + c * (x - mean_image)) - score_train).mean(), d / 2 * (1 - c**2),
      item="E1.6", by="closed form d/2 (1 - c^2)", atol=1e-8, unit="nats")
claim("generation-mean-image-auroc", "probability that the mean image scores below an unseen digit",
      auroc(score_test, top_score[None]), 0.0, item="E1.6", by="the mean is the mode of a Gaussian")
faded = score(mean_image + c * (x_test - mean_image))
claim("generation-contrast-auroc", "probability that a faded digit scores below an unseen digit",
      auroc(score_test, faded), item="E1.6", by="other splits; chance is one half", at_least=0.001,
      at_most=0.03)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-generation-suspects", "caption": "The second row of the first figure, sorted by log density under a Gaussian fitted to the digits. The numbers are in nats; the average unseen digit is marked in the histogram."}, "image": {"alt": "Seven pictures in decreasing order of log density, the grey mean image first, the faded digit second, the digit itself third and the inverted digit last. Below, a histogram of the scores of unseen digits with the mean image's score beyond its right end."}}
scores = dict(
    zip(suspects, score(torch.stack(list(suspects.values()))), strict=True)
)
ranked = sorted(suspects, key=scores.get, reverse=True)
fig, axes = plt.subplots(2, 1, figsize=(7, 3.9), height_ratios=[1, 1.3])
image_grid(
    torch.stack([suspects[s] for s in ranked]),
    ncols=7,
    ax=axes[0],
    vmin=0,
    vmax=1,
    titles=[f"{s}\n{scores[s]:.0f}" for s in ranked],
)
axes[0].tick_params(labelsize=8)
axes[1].hist(score_test, bins=60, color=colors.model, alpha=0.8)
axes[1].axvline(top_score, color=colors.bad)
axes[1].annotate(
    "mean image", (top_score + 2, 30), color=colors.bad, fontsize=9
)
axes[1].axvline(score_test.mean(), color=colors.data)
axes[1].annotate(
    "average unseen digit",
    (score_test.mean() - 20, 30),
    ha="right",
    color=colors.data,
    fontsize=9,
)
axes[1].set(
    xlabel="log density (nats)", ylabel="unseen digits", xlim=(-100, 115)
)
plt.show()


# %% [markdown]
# {numref}`fig-generation-suspects` gives the answer. The most probable picture is no digit at all: it is the grey average that
# nobody ever wrote, and fading *any* digit towards it raises the score. A detector that calls low density unusual ranks the mean
# image as the most ordinary picture of all: its area under the ROC curve (the probability that `auroc` counts) is exactly zero.
#
# There is no paradox. The density is largest at the mode, but there is very little volume near it: in $d$ dimensions, with
# $S = LL^\top$ as before, the squared whitened length $\lVert L^{-1}(x - \mu)\rVert^2$ of a draw is close to $d$, so draws live in a thin shell at log density about
# $d/2$ below the top. So a score speaks against a picture when it is *unlike the scores of draws*, on either
# side. The **typicality test** {cite:p}`nalisnick2019typicality` therefore measures
# $\big\lvert \log p(x) - \mathbb E \log p \big\rvert$; we take the mean over validation images.

# %%
def atypicality(scores):
    """Distance of a log density from the one expected of unseen digits."""
    return (scores - score_val.mean()).abs()


of_digits = atypicality(score_test)
claim("generation-typicality-mean",
      "probability that the mean image is less typical than a digit",
      auroc(atypicality(top_score[None]), of_digits), item="E1.6",
      by="other splits; chance is one half", at_least=0.94, at_most=0.99)
claim("generation-typicality-faded",
      "probability that a faded digit is less typical than a digit",
      auroc(atypicality(faded), of_digits), item="E1.6",
      by="other splits; chance is one half", at_least=0.93, at_most=0.98)

# %% [markdown]
# It repairs both: {value}`generation-typicality-mean:.2f` for the mean image, {value}`generation-typicality-faded:.2f` for faded digits. But a
# score is one number, and one number is easily faked (an **adversarial example**). Move the mean image along the direction of least variance, just far
# enough to bring its score down to the expected one:

# %%
spectrum, axes_of_S = torch.linalg.eigh(S)
# the log density falls by step^2 / (2 lambda)
step = (2 * (top_score - score_val.mean()) * spectrum[0]).sqrt()
forged = mean_image + step * axes_of_S[:, 0]
claim("generation-typicality-forged",
      "probability that the forgery is less typical than a digit",
      auroc(atypicality(score(forged[None])), of_digits), 0.0, item="E1.6",
      by="its score is the expected one")
claim("generation-typicality-forgery-size",
      "largest change of a pixel by the forgery",
      17 * (forged - mean_image).abs().max(), item="E1.6",
      by="other seeds and splits; a picture's grain is as large",
      at_least=0.8, at_most=2.2, unit="grey levels")

# %% [markdown]
# The forgery changes no pixel by more than {value}`generation-typicality-forgery-size:.1f` grey levels and is still grey fog, but its score is as
# ordinary as can be.
#
# **A density is not a probability.** The log density of the mean image is {value}`generation-density-above-one:.0f`: a density of
# $e$ to that power. Probabilities belong to sets: the log probability of the most probable picture in grey levels is at most
# {value}`generation-probability-below-one:.0f`.
#
# **A density depends on the coordinates.** Let $h$ be an invertible smooth map and $y = h(x)$, say a change of contrast curve.
# Then $\log p_Y(h(x)) = \log p_X(x) - \log\lvert\det \partial h/\partial x\rvert$: every picture can be recovered, and yet
# all scores move, each by its own amount. {cite:t}`lelan2021` push this to its end: take $h(x) = \Phi(L^{-1}(x - \mu))$ with $\Phi$ applied
# to each coordinate. It maps the model to the uniform distribution on the cube $(0,1)^d$, where *every* picture has log density zero.

# %% tags=["hide-input"]
claim("generation-density-above-one", "log density at the mean image", top_score,
      -(d * math.log(2 * math.pi) + spectrum.log().sum()) / 2, item="E1.6", by="eigenvalues of S",
      rtol=1e-9, unit="nats")
claim("generation-probability-below-one",
      "log of the largest probability that any cell of grey levels can have",
      top_score - d * math.log(17), -torch.logdet(2 * math.pi * 17**2 * S) / 2, item="E1.6",
      by="the density of grey levels, not of x", rtol=1e-9, unit="nats")


def flatten(a):
    """A smooth invertible map of images to the open unit cube: (d,) -> (d,)."""
    return standard.cdf(
        torch.linalg.solve_triangular(
            L, (a - mean_image)[:, None], upper=False
        )[:, 0]
    )


three = torch.stack(
    [suspects[s] for s in ("mean image", "half contrast", "a digit")]
)
log_det = torch.stack(
    [torch.linalg.slogdet(jacobian(flatten, a))[1] for a in three]
)
claim("generation-density-flattened",
      "log densities of mean image, faded digit and digit in new coordinates",
      score(three) - log_det, torch.zeros(3), item="E1.6", by="the model becomes the uniform distribution",
      atol=1e-6, unit="nats", stable=False)


# %% [markdown]
# :::{admonition} Common mistake: Low density marks an anomaly
# :class: mistake
# It is often said that a density quantifies how probable a specific sample is, and that a low value marks an anomaly. But a single continuous sample has probability zero; its density may exceed one, depends on the
# coordinates, and can be *higher* on pictures that never occur: as a detector it has, in the cells above, an area under the ROC curve of
# {value}`generation-mean-image-auroc:.0f` on the mean image and of {value}`generation-contrast-auroc:.2f` on faded digits. Deep models can do the same on
# natural images {cite:p}`nalisnick2019`. A *ratio* of two densities of the same picture does not
# depend on the coordinates: the Jacobian cancels.
# :::
#
# ## Representing: the likelihood does not choose the code
#
# {item}`E1.10`
# pPCA finds a useful code without labels: a linear classifier reads {value}`generation-code-probe:.1%` of the digits from its 20 numbers.
# Is that the merit of maximum likelihood? The factor $R$ in {prf:ref}`thm-generation-ppca` is a warning: $\hat W$ and $\hat W R$ have the same
# $C$, so no data whatsoever can tell them apart. Rotations are harmless to a linear classifier, but any map $T$ of the latent space that preserves $\mathcal N(0, I_k)$ will do. Take the
# coordinates in pairs and turn each pair by an angle that grows with its own squared radius $\rho^2 = z_1^2 + z_2^2$:
#
# $$
# T(z)_{1,2} = \begin{pmatrix}\cos\alpha\rho^2 & -\sin\alpha\rho^2\\ \sin\alpha\rho^2 & \cos\alpha\rho^2\end{pmatrix}
# \begin{pmatrix} z_1 \\ z_2\end{pmatrix} .
# $$ (eq-generation-twist)
#
# It keeps every radius and every volume ($\lvert\det \partial T/\partial z\rvert = 1$), so $T(z)$ is standard normal again, and $T^{-1}$ is the same map with
# $-\alpha$. The model $z' \sim \mathcal N(0, I)$, $x \mid z' \sim \mathcal N(W T^{-1}(z') + \mu, \sigma^2 I)$ therefore has *the same* density of images,
# the same distribution of samples, and a code $z' = T(z)$ in which the classes are stirred like milk into coffee. We read both codes
# as a draw from their posteriors: if $z \sim p(z \mid x)$, then $T(z)$ is a draw of the twisted model's.

# %%
def twist(z, alpha):
    """Turn pairs by alpha times their squared radius: (..., k) -> (..., k)."""
    z1, z2 = z[..., 0::2], z[..., 1::2]
    angle = alpha * (z1**2 + z2**2)
    c, s = angle.cos(), angle.sin()
    return torch.stack([c * z1 - s * z2, s * z1 + c * z2], -1).flatten(-2)


def draw_code(a):
    """One draw from the posterior of the code: (n, d) -> (n, k)."""
    m, C = ppca_posterior(a, *ppca)
    eps = torch.randn(m.shape, generator=gen)
    return m + eps @ torch.linalg.cholesky(C).T


codes_train, codes_test = draw_code(x), draw_code(x_test)
alpha = 8.0

# %% tags=["hide-input"]
R = torch.linalg.qr(torch.randn(k, k, generator=gen)).Q
claim("generation-rotation-invariance",
      "mean log density of the test images when W is replaced by W R",
      ppca_log_prob(x_test, mu, W @ R, sigma2).mean(), ppca_log_prob(x_test, *ppca).mean(),
      item="E1.10", by="W R (W R)^T = W W^T: no difference", rtol=1e-12, unit="nats")
volume = [
    torch.linalg.slogdet(jacobian(lambda z: twist(z, alpha), z))[1]
    for z in codes_test[:5]
]
prior = torch.distributions.Normal(0.0, 1.0)
claim("generation-twist-prior", "log density of five twisted codes under the distribution of T(z)",
      prior.log_prob(codes_test[:5]).sum(1) - torch.stack(volume),
      prior.log_prob(twist(codes_test[:5], alpha)).sum(1), item="E1.10",
      by="standard normal: T preserves it", atol=1e-8, unit="nats")
back = twist(twist(codes_test, alpha), -alpha)
claim("generation-twist-invertible", "largest error of a test code, twisted and untwisted again",
      (back - codes_test).abs().max(), item="E1.10", by="the inverse turns back", at_most=1e-10,
      stable=False)
probe = linear_probe(codes_train, y, codes_test, y_test)
probe_rotated = linear_probe(codes_train @ R, y, codes_test @ R, y_test)
probe_twisted = linear_probe(
    twist(codes_train, alpha), y, twist(codes_test, alpha), y_test
)
claim("generation-probe-rotated", "change of the linear probe's accuracy under the rotation",
      probe_rotated - probe, item="E1.10", by="linear classifiers barely see rotations",
      at_least=-0.02, at_most=0.02, stable=False)
claim("generation-probe-drawn", "accuracy of the linear probe on the code", probe, item="E1.10",
      by="other seeds and splits", at_least=0.89, at_most=0.985)
claim("generation-probe-twisted", "accuracy of the linear probe on the twisted code", probe_twisted,
      item="E1.10", by="other seeds and splits; the commonest class has 0.1", at_least=0.05,
      at_most=0.2)
posterior_mean = [
    sum(twist(draw_code(a), alpha) for _ in range(200)) / 200 for a in (x, x_test)
]
claim("generation-probe-twisted-mean", "the same on the mean of 200 draws of the twisted code",
      linear_probe(posterior_mean[0], y, posterior_mean[1], y_test), item="E1.10",
      by="averaging does not untwist", at_most=0.3)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-generation-twist", "caption": "Two codes of the same unseen digits under two models with the same density of images: before and after the twist."}, "image": {"alt": "Two scatter plots of the first two code coordinates, coloured by digit. On the left zeros, fours and threes form separate clouds, on the right the same points are spread around the circle and mixed."}}
fig, axes = plt.subplots(1, 2, figsize=(6.4, 3))
for ax, z, title in (
    (axes[0], codes_test, "code $z$"),
    (axes[1], twist(codes_test, alpha), "code $T(z)$"),
):
    for c, color in (
        (0, colors.cycle[0]),
        (3, colors.cycle[1]),
        (4, colors.cycle[2]),
    ):
        scatter(
            ax,
            z[y_test == c, :2],
            s=12,
            color=color,
            label=f"digit {c}",
            alpha=0.9,
        )
    ax.set(title=title, xlabel="first coordinate", ylabel="second coordinate")
    ax.set(xlim=(-2.6, 2.6), ylim=(-2.6, 2.6))
axes[0].legend(loc="upper left", fontsize=8)
plt.show()

# %% [markdown]
# Nothing is lost, for $T$ can be undone, but in {numref}`fig-generation-twist` the classes are mixed, and the linear
# probe falls from {value}`generation-probe-drawn:.2f` to
# {value}`generation-probe-twisted:.2f`. Maximum likelihood is indifferent between the two codes.
#
# :::{admonition} Common mistake: A good fit reveals the meaning of the data
# :class: mistake
# It is often said that generative learning reveals the semantic structure of the data. It may, but the objective
# does not ask for it. Two models with equal likelihood on *every* data set can have a code that a linear probe can use and one that it
# cannot (the twist above), and a model may ignore $z$ altogether (**posterior collapse**). {cite:t}`locatello2019` prove the general statement: without assumptions on model and data, unsupervised learning
# cannot identify the factors behind them. The fit makes a code useful only together with the *choice of model* (here linearity).
# :::
#
# (sec-generation-none-implies)=
# ## None of the three implies another
#
# {item}`X1.9`
# For every ordered pair of objectives there is a model that is good in one respect and useless in the other.
#
# | good at | useless at | model | where |
# |---|---|---|---|
# | score (better than the full Gaussian) | sample | one percent class mixture, 99 percent noise | below |
# | score | represent | the same, or pPCA with a twisted code | below; {numref}`fig-generation-twist` |
# | sample | score | a good generator with $\dim Z < \dim X$; to the eye, the memoriser | {prf:ref}`thm-generation-null`; {numref}`fig-generation-copies` |
# | sample | represent | any good sampler, its $z$ scrambled by a map that preserves $p_Z$ | {numref}`fig-generation-twist` |
# | represent | score, sample | the ten numbers $a_c^\top x$ inside logistic regression | no distribution of $x$ anywhere |
#
# The first line deserves its own computation. {cite:t}`theis2016` mix a good density $p$ with **off-support samples** from a density $r$:
# $q = \varepsilon p + (1-\varepsilon) r$. Since $q \ge \varepsilon p$,
#
# $$
# \log q(x) \ge \log p(x) - \log\tfrac1\varepsilon \qquad\text{for every single } x .
# $$ (eq-generation-theis)
#
# With $\varepsilon = 0.01$, at most $\log 100 = 4.605$ nats are lost while 99 of 100 samples are noise. Our $r$ is uniform noise,
# whose log density on $[0,1)^{64}$ is zero.

# %%
eps = 0.01


def mostly_noise_log_prob(a):
    """log of eps p + (1 - eps) uniform, in the log domain: (n, d) -> (n,)."""
    good = math.log(eps) + log_prob(a, gmm)
    return torch.logaddexp(good, torch.full_like(good, math.log(1 - eps)))


mostly_noise = mostly_noise_log_prob(x_test)
loss = log_prob(x_test, gmm) - mostly_noise
claim("generation-theis-bound", "largest loss of any single test image",
      loss.max(), by="bound log 100, plus rounding",
      at_most=math.log(100) + 1e-9, unit="nats")
claim("generation-theis-bits", "mean loss in bits per pixel",
      bits_per_dim(loss.mean(), d), by="other splits; bound log2(100)/64",
      at_least=0.085, at_most=math.log2(100) / 64 + 1e-9, unit="bits")
claim("generation-theis-beats-gaussian",
      "log density of the 99 % noise model minus that of the full Gaussian",
      (mostly_noise - score_test).mean(), by="the noise model still wins",
      at_least=6.0, unit="nats")
# weights outside the logarithm (that of the uniform density is 0)
mutant = eps * log_prob(x_test, gmm)
claim("generation-theis-mutant",
      "largest loss if the weights are put outside the logarithm",
      (log_prob(x_test, gmm) - mutant).max(), by="breaks the bound log 100",
      at_least=math.log(100), unit="nats")

# %% [markdown]
# {numref}`fig-generation-scoreboard` holds nine models to three numbers: bits per pixel on unseen digits (score; smaller is better), how well a network
# tells draws from unseen digits (sample: the accuracy of a **classifier two-sample test**, C2ST; one half is perfect), and a linear
# probe's accuracy on the code (represent).

# %% tags=["hide-input"]
m = len(x_test)
uniform = torch.rand(m, d, generator=gen)
normal = mean_image + torch.randn(m, d, generator=gen) @ L.T
mixed = torch.where(
    torch.rand(m, 1, generator=gen) < eps,
    gmm_sample(m),
    torch.rand(m, d, generator=gen),
)
whiten = [
    torch.linalg.solve_triangular(L, (a - mean_image).T, upper=False).T
    for a in (x, x_test)
]
chance = torch.bincount(y_test).max() / len(y_test)
# the noise model's own code: which of its two components is more probable
is_digit = [
    (math.log(eps) + log_prob(a, gmm) > math.log(1 - eps)).double()[:, None]
    for a in (x, x_test)
]
probe_noise = linear_probe(is_digit[0], y, is_digit[1], y_test)


def posterior_probe(log_joints):
    """Probe on the posterior over classes, from log p(x, c) of x and x_test."""
    return linear_probe(
        log_joints[0].softmax(1), y, log_joints[1].softmax(1), y_test
    )


def counted_sample(tables, c):
    """Draw the levels of each image from the table of its class c (m,)."""
    p = tables.exp()[c].flatten(0, 1)
    drawn_levels = torch.multinomial(p, 1, generator=gen).reshape(len(c), d)
    return dequantise(drawn_levels.double(), generator=gen)


# scikit-learn's factor analysis: pPCA with a noise for each pixel
factors = FactorAnalysis(k, max_iter=500).fit(x.numpy())
factor_cov = torch.from_numpy(factors.get_covariance())
factor_draws = (
    mean_image
    + torch.randn(m, d, generator=gen) @ torch.linalg.cholesky(factor_cov).T
)
factor_codes = [
    torch.from_numpy(factors.transform(a.numpy())) for a in (x, x_test)
]
bits_one, bits_ten = (
    bits_per_dim(-counted_log_prob(data.test.x, *how).mean(), d).item()
    for how in ((single, 1, added["one"]), (y, 10, added["ten"]))
)


def bits(log_density):
    """Mean bits per pixel of unseen images from their log densities in nats."""
    return bits_per_dim(-log_density.mean(), d, levels=17).item()


scoreboard = {  # bits per pixel, draws, probe
    "uniform noise": (math.log2(17), uniform, None),
    "counted levels": (
        bits_one,
        counted_sample(counted(single, 1, added["one"]), torch.zeros(m).long()),
        None,
    ),
    "counted, each class": (
        bits_ten,
        counted_sample(
            counted(y, 10, added["ten"]),
            y[torch.randint(n, (m,), generator=gen)],
        ),
        posterior_probe(
            [
                counted_joint(s.x, y, 10, added["ten"])
                for s in (data.train, data.test)
            ]
        ),
    ),
    "pPCA, 20 directions": (
        bits(ppca_log_prob(x_test, *ppca)),
        ppca_sample(m, *ppca),
        linear_probe(ppca_posterior(x, *ppca)[0], y, codes, y_test),
    ),
    "factor analysis, 20": (
        bits(gaussian_log_prob(x_test, mean_image, factor_cov)),
        factor_draws,
        linear_probe(factor_codes[0], y, factor_codes[1], y_test),
    ),
    "full Gaussian": (
        bits(score_test),
        normal,
        linear_probe(whiten[0], y, whiten[1], y_test),
    ),
    "class mixture": (
        bits(log_prob(x_test, gmm)),
        gmm_sample(m),
        posterior_probe([log_joint(a, gmm) for a in (x, x_test)]),
    ),
    "1 % mixture, 99 % noise": (
        bits(mostly_noise),
        mixed,
        probe_noise,
    ),
    "memoriser": (math.inf, memoriser_sample(m), None),
}
told_apart = {
    name: c2st(x_test, draws, generator=gen)
    for name, (_, draws, _) in scoreboard.items()
}

best_first = [
    "counted, each class",
    "counted levels",
    "class mixture",
    "1 % mixture, 99 % noise",
    "full Gaussian",
    "pPCA, 20 directions",
    "uniform noise",
]
order = [scoreboard[name][0] for name in best_first]
claim("generation-scoreboard-bits",
      "bits per pixel: counted levels (ten tables, one), mixture, 99 % noise, "
          "full Gaussian, pPCA", torch.tensor(order[:6]),
      by="knowing nothing costs log2 17 = 4.087", at_most=math.log2(17), unit="bits")
claim("generation-scoreboard-order", "is that their order, best first, with uniform noise last?",
      order == sorted(order), True, by="Theis bound for the 99 % noise, comparison for the rest")
claim("generation-scoreboard-samples",
      "how much easier 99 % noise is told from digits than the memoriser is",
      told_apart["1 % mixture, 99 % noise"] - told_apart["memoriser"],
      by="order reversed: better score, worse samples", at_least=0.3, stable=False)
claim("generation-scoreboard-noise-shape",
      "how much easier draws of pPCA are told than those of factor analysis, "
          "the mixture, the full Gaussian",
      [
              told_apart["pPCA, 20 directions"] - told_apart[name]
              for name in ("factor analysis, 20", "class mixture", "full Gaussian")
      ], by="one noise for all pixels against one for each", at_least=0.1, stable=False)
claim("generation-scoreboard-counting",
      "how much easier draws of both tables of counts are told than the mixture's",
      [
              told_apart[name] - told_apart["class mixture"]
              for name in ("counted levels", "counted, each class")
      ], by="order reversed: better score, worse samples", at_least=0.05, stable=False)
claim("generation-scoreboard-code",
      "accuracy of a probe on the noise model's own code, digit or noise", probe_noise,
      by="no better than the commonest class", at_most=float(chance))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-generation-scoreboard", "caption": "Nine models, three objectives, three different orders. Bars that point to a good value are short in the first two panels and long in the third; a hatched bar means infinitely bad, a missing one that the model has no code."}, "image": {"alt": "Three bar charts over the same nine models. Two tables of counts need the fewest bits per pixel. The noise model needs fewer than the full Gaussian, but its draws are nearly always recognised and its code is at chance; the memoriser has infinite bits, but draws that are hardly recognised."}}
names = list(scoreboard)
fig, axes = plt.subplots(1, 3, figsize=(7, 3.3), sharey=True)
for bar, name in enumerate(names):
    bpd, _, code_accuracy = scoreboard[name]
    axes[0].barh(
        bar,
        min(bpd, 6),
        color=colors.model,
        hatch="///" if math.isinf(bpd) else None,
        edgecolor="white",
    )
    axes[1].barh(bar, told_apart[name], color=colors.model)
    axes[2].barh(bar, code_accuracy or 0, color=colors.model)
axes[0].set(
    title="score",
    xlabel="bits per pixel",
    yticks=range(len(names)),
    yticklabels=names,
    xlim=(0, 6),
)
axes[1].set(
    title="sample", xlabel="told from digits", xlim=(0, 1), xticks=[0, 0.5, 1]
)
axes[2].set(
    title="represent", xlabel="probe accuracy", xlim=(0, 1), xticks=[0, 0.5, 1]
)
axes[1].axvline(0.5, color=colors.muted, ls=":")
axes[0].invert_yaxis()
for ax in axes:
    ax.tick_params(axis="y", labelsize=8, length=0)
plt.show()


# %% [markdown]
# No column of {numref}`fig-generation-scoreboard` fixes the order of another: whoever reports one number has said one thing.
# (The codes of the class mixture and of the counts in each class are posteriors over classes. These two, and the noise model that contains
# the mixture, have seen labels.) In bits all these *densities* lose to counting grey levels, independently in every pixel, though draws
# of tables are easily told from digits; {ref}`ch-conventions` finds the cause.
#
# ## What each objective shows
#
# {item}`S1.17`
# Three sentences are often heard, one per objective. After this page they read as follows.
#
# 1. *Sampling shows that the model has captured the structure of the data.* Only if the draws are compared with fresh data: a
#    memoriser has captured nothing beyond its training images ({numref}`fig-generation-copies`).
# 2. *A density states precisely how probable data are.* It ranks **models** on the same data, up to the error of a
#    finite test set. It does not rank **pictures** by how usual they are ({numref}`fig-generation-suspects`).
# 3. *A representation reveals the meaningful features.* It reveals those that the model's form singles out; the likelihood is silent
#    about the rest ({numref}`fig-generation-twist`).
#
# What the objectives do share is the one thing to be learned, $p$. With $p_\theta = p$ samples and scores are perfect; their conflicts begin where
# models are imperfect, which is everywhere.
#
# ## Questions
#
# {item}`S1.6`
#
# :::{exercise-start} The latent space and the diversity of samples
# :label: q1-1
# :class: question
# :::
# {item}`Q1.1` How does the latent space of a generative model influence the diversity of its samples? Think of its dimension, of its shape, of how
# one draws from it, and of whether the model ever saw the latent points one draws.
# :::{exercise-end}
# :::
#
# :::{solution-start} q1-1
# :label: q1-1-solution
# :class: dropdown
# :::
# Five mechanisms, each with its formula.
#
# **Dimension.** A smooth generator with $k$ latent numbers has an image of dimension at most $k$ ({prf:ref}`thm-generation-null`); for pPCA the
# lost diversity is $d\hat\sigma^2$ exactly, {eq}`eq-generation-lost-variance`. Latent directions that the decoder ignores add nothing (posterior
# collapse; in pPCA, columns of $W$ with $\lambda_j = \sigma^2$).
#
# **Connectedness.** A continuous generator turns a connected latent space into connected samples. It pays for separate modes with
# bridges or with steepness, {eq}`eq-generation-bridge`.
#
# **Truncation.** Drawing $z$ only from $\lvert z_j\rvert < c$ trades diversity for cleaner pictures. Each coordinate then has variance
#
# $$
# v(c) = 1 - \frac{2c\,\varphi(c)}{2\Phi(c) - 1},
# $$ (eq-generation-truncation)
#
# (integrate $z^2\varphi(z)$ by parts over $(-c, c)$ and divide by the probability $2\Phi(c)-1$), and the clean images of a linear
# generator have $v(c)$ times their full variance; {numref}`fig-generation-truncation` shows what the eye sees of it.

# %%
def truncated_normal(shape, c):
    """Standard normals given |z| < c, through the quantile function."""
    low = standard.cdf(torch.tensor(-float(c)))
    return standard.icdf(low + (1 - 2 * low) * torch.rand(shape, generator=gen))


cut = torch.tensor([0.5, 1.0, 2.0])
share_kept = 1 - 2 * cut * standard.log_prob(cut).exp() / (2 * standard.cdf(cut) - 1)
squares = [truncated_normal((20_000,), c) ** 2 for c in cut]
claim("generation-truncation-law", "variance of a latent coordinate truncated at 0.5, 1, 2",
      torch.stack([s.mean() for s in squares]), share_kept,
      by="closed form 1 - 2 c phi(c) / (2 Phi(c) - 1)",
      se=torch.stack([s.std() / math.sqrt(len(s)) for s in squares]))
energy = [(truncated_normal((4000, k), c) @ W.T).square().sum(1) for c in cut]
claim("generation-truncation-images", "total variance of clean images truncated at 0.5, 1, 2",
      torch.stack([e.mean() for e in energy]), share_kept * W.square().sum(),
      by="that variance times tr(W W^T)",
      se=torch.stack([e.std() / math.sqrt(len(e)) for e in energy]))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-generation-truncation", "caption": "Truncation of the class mixture's noise: cleaner and more alike at the top, grainier and more diverse at the bottom."}, "image": {"alt": "Three rows of ten digits from zero to nine. The first row shows smooth average digits, the last row sharper but irregular ones with more contrast between them."}}
chol = torch.linalg.cholesky(cov)
fig, ax = plt.subplots(figsize=(7, 2.3))
pictures = [
    mean + (chol @ truncated_normal((10, d, 1), c))[:, :, 0]
    for c in (0.3, 1.0, 4.0)
]
image_grid(torch.cat(pictures), ncols=10, ax=ax, vmin=0, vmax=1)
ax.set_yticks([3.5, 12.5, 21.5], ["c = 0.3", "c = 1", "c = 4"])
plt.show()

# %% [markdown]
# **Mismatch with the prior.** The decoder is trained where the codes of the data lie, on the **aggregated posterior**
# $q(z) = \frac1n\sum_i p(z \mid x_i)$, but samples start from $p_Z$. Where $p_Z$ has mass and $q$ has none, there are *holes*, and
# what is decoded there was never constrained. For pPCA the first two moments agree exactly: mean zero and covariance
# $(I - \sigma^2\Lambda_k^{-1}) + \sigma^2\Lambda_k^{-1} = I$. The shape does not: in two
# dimensions, {value}`generation-aggregate-holes:.0%` of the prior's draws land where the codes of the data are less than half
# as dense as the prior ({numref}`fig-generation-holes`), {value}`generation-aggregate-holes-control:.1%` if the model itself drew the data.

# %%
flat = fit_ppca(x, 2)
axis = torch.linspace(-4.5, 4.5, 121)
grid = torch.cartesian_prod(axis, axis)


def aggregated_log_prob(centres, covariance):
    """log q on the grid from the posteriors: (n, 2), (2, 2) -> (121 * 121,)."""
    std = covariance.diagonal().sqrt()  # it is diagonal here
    sq = torch.cdist(grid / std, centres / std) ** 2
    normaliser = math.log(len(centres)) + std.log().sum() + math.log(2 * math.pi)
    return torch.logsumexp(-sq / 2, 1) - normaliser


log_q = aggregated_log_prob(*ppca_posterior(x, *flat))

# %% tags=["hide-input"]
log_p = standard.log_prob(grid).sum(1)
cell = (axis[1] - axis[0]) ** 2


def hole_share(log_q):
    return (log_p.exp() * (log_q < log_p - math.log(2))).sum() * cell


def kl_to_prior(log_q):
    return (log_q.exp() * (log_q - log_p)).sum() * cell


centres, spread = ppca_posterior(x, *flat)
claim("generation-aggregate-moments", "covariance of the aggregated posterior",
      torch.cov(centres.T, correction=0) + spread, torch.eye(2), by="identity matrix", atol=1e-9,
      stable=False)
claim("generation-aggregate-mass", "total mass of the aggregated posterior on the grid",
      log_q.exp().sum() * cell, 1.0, by="a density integrates to one", atol=1e-3)
drawn_images = ppca_sample(n, *flat)  # refitted: as many images, drawn from the model itself
control = aggregated_log_prob(*ppca_posterior(drawn_images, *fit_ppca(drawn_images, 2)))
claim("generation-aggregate-kl",
      "KL of the aggregated posterior from the prior, two latent numbers", kl_to_prior(log_q),
      by="other splits; a sample of the model itself stays below 0.04", at_least=0.14, unit="nats")
claim("generation-aggregate-kl-control", "the same for a sample of the model itself",
      kl_to_prior(control), by="other seeds and splits", at_least=0.0, at_most=0.04, unit="nats")
claim("generation-aggregate-holes",
      "share of prior draws where the data's codes are less than half as dense",
      hole_share(log_q), by="other splits; zero if q = p", at_least=0.14, at_most=0.24)
claim("generation-aggregate-holes-control", "the same for a sample of the model itself",
      hole_share(control), by="other seeds and splits", at_least=0.0, at_most=0.025)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-generation-holes", "caption": "Left: where the codes of the digits lie (shaded) and where samples start (circles hold 50, 90 and 99 percent of the prior): equal mean and covariance, unequal shape. Right: what two latent numbers can draw."}, "image": {"alt": "On the left a shaded plane with separate dark spots and three concentric circles, inside which light gaps remain. On the right a grid of blurred digits that change smoothly, some of them between two digits."}}
fig, axes = plt.subplots(1, 2, figsize=(7, 3.3))
shade = {"origin": "lower", "extent": (-4.5, 4.5, -4.5, 4.5), "cmap": "Blues"}
axes[0].imshow(
    log_q.exp().reshape(121, 121).T, interpolation="bilinear", **shade
)
for mass in (0.5, 0.9, 0.99):
    radius = math.sqrt(-2 * math.log(1 - mass))
    axes[0].add_patch(plt.Circle((0, 0), radius, fill=False, color=colors.bad))
axes[0].set(xlabel="$z_1$", ylabel="$z_2$", xlim=(-3.3, 3.3), ylim=(-3.3, 3.3))
places = torch.linspace(-2.4, 2.4, 7)
z1, z2 = torch.meshgrid(places, places.flip(0), indexing="xy")
decoded = flat[0] + torch.stack([z1.flatten(), z2.flatten()], 1) @ flat[1].T
image_grid(decoded, ncols=7, ax=axes[1], vmin=0, vmax=1)
axes[1].set_title("decoded on a grid of $z$")
plt.show()

# %% [markdown]
# **Geometry.** In $k$ dimensions draws have squared length about $k$. The midpoint of two draws has squared length about $k/2$: it is not a typical
# point, and what a linear decoder makes of it has, in the mean square, half the contrast of either end. Following the arc instead of the
# chord avoids this.

# %%
one_end, other_end = torch.randn(2, 20_000, k, generator=gen)
half = ((one_end + other_end) / 2).square().sum(1)
claim("generation-midpoint", "mean squared length of the midpoint of two draws, 20 latent numbers",
      half.mean(), k / 2, by="closed form k/2; the draws have k",
      se=half.std() / math.sqrt(len(half)))

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise-start} Sampling and scoring in GANs and VAEs
# :label: q1-7
# :class: question
# :::
# {item}`Q1.7` How do sampling and density estimation complement or contradict each other in models such as generative adversarial
# networks (GANs) and variational autoencoders (VAEs)? Discuss the trade-offs.
# :::{exercise-end}
# :::
#
# :::{solution-start} q1-7
# :label: q1-7-solution
# :class: dropdown
# :::
# **In principle they agree**: if $p_\theta = p$, both are perfect. **In practice neither implies
# the other.** Off-support samples of probability $1-\varepsilon$ cost at most $\log\frac1\varepsilon$ nats, {eq}`eq-generation-theis`: on the digits
# 99 % of them cost {value}`generation-theis-bits:.2f` bits per pixel, and per pixel the bound vanishes as the dimension grows. A memoriser's pictures are flawless, and
# its likelihood is zero. The errors of the two kinds are weighed by opposite divergences: likelihood charges for missing data,
# $\mathrm{KL}(p\,\|\,p_\theta)$, and hardly for off-support samples; the eye charges for these and hardly notices what is missing.
#
# The book's shared toy, eight Gaussians on a ring, shows the cost of a lost mode (**mode dropping**) in numbers. A generator that keeps every second
# mode draws perfectly plausible points. Seen from its own draws (reverse divergence, $\mathrm{KL}(p_\theta\,\|\,p)$, **mode-seeking**) it
# pays $\log 2$; seen from the data (forward, $\mathrm{KL}(p\,\|\,p_\theta)$, **mode-covering**; {ref}`ch-density` defines both) it pays dearly.

# %%
ring = toy("ring")
corner = torch.arange(8) * math.pi / 4
# (8, 2), each with standard deviation 0.2
modes = 2 * torch.stack([corner.cos(), corner.sin()], 1)


def half_ring_log_prob(a):
    """Every second mode of the ring, equally weighted."""
    return torch.logsumexp(
        -(torch.cdist(a, modes[::2]) ** 2) / 0.08, 1
    ) - math.log(4 * 2 * math.pi * 0.04)


def quality(a):
    """Share of points within 3 deviations of a mode; least share at one mode."""
    nearest, which = torch.cdist(a.double(), modes).min(1)
    at_mode = torch.bincount(which[nearest < 0.6], minlength=8) / len(a)
    return at_mode.sum().item(), at_mode.min().item()


real = ring.sample(4000, gen)
kept = modes[::2][torch.randint(4, (4000,), generator=gen)] + 0.2 * torch.randn(
    4000, 2, generator=gen
)
claim("generation-ring-quality", "share of real points within three standard deviations of a mode",
      quality(real)[0], 1 - math.exp(-4.5), by="closed form 1 - exp(-9/2)",
      se=math.sqrt(math.exp(-4.5) / 4000))
reverse, reverse_se = monte_carlo(
    half_ring_log_prob(kept) - ring.log_prob(kept)
)
claim("generation-ring-reverse-kl", "reverse KL of the half ring", reverse, math.log(2),
      by="closed form log 2", atol=1e-3, se=reverse_se, unit="nats")
forward, forward_se = monte_carlo(
    ring.log_prob(real) - half_ring_log_prob(real)
)
claim("generation-ring-forward-kl", "forward KL of the half ring", forward,
      by="ten times the reverse one and more", at_least=10 * math.log(2), unit="nats", digits=3)


# %% [markdown]
# **A GAN** trains only the sampler: generator $G$ against a **discriminator** $D$, a classifier that tells its draws from data. There is no density to evaluate (none
# exists if $\dim Z < d$; with $\dim Z = d$ there is one where $G$ is locally invertible, but its value needs every preimage), and
# data that it never visits cost it a bounded amount only (against the best
# discriminator the minimax loss measures a **Jensen–Shannon divergence**, at most $\log 2$; {ref}`ch-adversarial` shows it). **A VAE**
# trains a bound on the density, the **evidence lower bound** (ELBO), Jensen's inequality for $\log p_\theta(x) = \log\mathbb E_{q_\phi(z\mid x)}[p(z)\,p_\theta(x \mid z)/q_\phi(z \mid x)]$,
#
# $$
# \begin{aligned}
# \log p_\theta(x) &\ge \mathbb E_{q_\phi(z \mid x)}\big[\log p_\theta(x \mid z)\big] \\
# &\quad{}- \mathrm{KL}\big(q_\phi(z \mid x)\,\|\,p(z)\big),
# \end{aligned}
# $$ (eq-generation-elbo)
#
# so it must cover all data, and here it pays with draws between the modes.
# Both are trained here on the same points, with networks of the same size.

# %%
def mlp(inputs, outputs):
    hidden = [nn.Linear(inputs, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU()]
    return nn.Sequential(*hidden, nn.Linear(64, outputs))


points = ring.sample(5000, gen)

# GAN: discriminator logits D(x); the generator maximises log sigmoid(D(G(z)))
G, D = mlp(2, 2), mlp(2, 1)
adam = {"lr": 2e-3, "betas": (0.5, 0.9)}
optimise_G, optimise_D = (
    torch.optim.Adam(G.parameters(), **adam),
    torch.optim.Adam(D.parameters(), **adam),
)
for _ in range(2500):
    batch = points[torch.randint(len(points), (128,), generator=gen)]
    fake = G(torch.randn(128, 2, generator=gen))
    loss_D = (
        nn.functional.softplus(-D(batch)).mean()
        + nn.functional.softplus(D(fake.detach())).mean()
    )
    optimise_D.zero_grad()
    loss_D.backward()
    optimise_D.step()
    loss_G = nn.functional.softplus(-D(fake)).mean()
    optimise_G.zero_grad()
    loss_G.backward()
    optimise_G.step()

# VAE: encoder to mean and log variance, decoder to a mean, one noise level
encoder, decoder, log_noise = (
    mlp(2, 4),
    mlp(2, 2),
    torch.zeros((), requires_grad=True),
)


def log_normal(squared_distance):
    """log p(x | z) on the plane, from squared distance to the decoder's mean."""
    return (
        -squared_distance / (2 * (2 * log_noise).exp())
        - 2 * log_noise
        - math.log(2 * math.pi)
    )


def negative_elbo(a):
    """Minus the bound, one draw of z per point, nats: (n, 2) -> (n,)."""
    m, log_v = encoder(a).chunk(2, 1)
    # reparameterisation trick
    z = m + (log_v / 2).exp() * torch.randn(m.shape, generator=gen)
    reconstruction = -log_normal(((a - decoder(z)) ** 2).sum(1))
    rate = 0.5 * (m**2 + log_v.exp() - log_v - 1).sum(1)  # KL(q || p)
    return reconstruction + rate


everything = [*encoder.parameters(), *decoder.parameters(), log_noise]
fit(
    lambda batch: negative_elbo(batch).mean(),
    everything,
    points,
    steps=2000,
    lr=3e-3,
    schedule="cosine",
    generator=gen,
)

with torch.no_grad():
    latent = torch.randn(2000, 2, generator=gen)
    from_gan = G(latent)
    from_vae = decoder(latent) + log_noise.exp() * torch.randn(
        2000, 2, generator=gen
    )
    # the latent space is a plane: integrate p(x) on a grid
    axis = torch.linspace(-5, 5, 101)
    nodes = torch.cartesian_prod(axis, axis)
    log_w = (
        -(nodes**2).sum(1) / 2
        - math.log(2 * math.pi)
        + 2 * math.log(axis[1] - axis[0])
    )
    held_out = real[:2000]
    nll = -torch.logsumexp(
        log_w + log_normal(torch.cdist(held_out, decoder(nodes)) ** 2), 1
    )
    bound = negative_elbo(held_out)

# %% [markdown]
# Three numbers must stand in order, whatever the training did: entropy, exact negative log-likelihood, negative bound.

# %%
# mean of log p - log p_theta
gap, gap_se = monte_carlo(nll + ring.log_prob(held_out))
claim("generation-vae-kl", "KL of the VAE from the ring: negative log-likelihood minus entropy",
      gap, by="Gibbs' inequality", se=gap_se, at_least=0.0, unit="nats", stable=False)
slack, slack_se = monte_carlo(bound - nll)
claim("generation-vae-bound", "negative bound minus exact negative log-likelihood", slack,
      by="the bound is a bound", se=slack_se, at_least=0.0, unit="nats", stable=False)
# the best single Gaussian has covariance (r^2/2 + 0.2^2) I
gaussian_nll = math.log(2 * math.pi * math.e) + math.log(2 + 0.04)
claim("generation-vae-baseline", "what the VAE gains over the best single Gaussian",
      gaussian_nll - nll.mean(), by="baseline in closed form", at_least=0.0, unit="nats",
      stable=False)
# the best single Gaussian is round: the same share at each of the eight modes
one_gaussian = math.sqrt(2.04) * torch.randn(20_000, 2, generator=gen)
claim("generation-vae-covers", "least share of the VAE's draws at a mode over a single Gaussian's",
      quality(from_vae)[1] / (quality(one_gaussian)[0] / 8),
      by="coverage: 1 is no better than one Gaussian", at_least=1.2, stable=False)
claim("generation-gan-quality", "share of good draws: GAN minus VAE, data minus GAN",
      [quality(from_gan)[0] - quality(from_vae)[0], quality(real)[0] - quality(from_gan)[0],],
      by="fidelity first, but not that of the data", at_least=0.02, stable=False)

# %% tags=["hide-input", "picture-varies"] mystnb={"figure": {"name": "fig-generation-ring", "caption": "The same data through two objectives: the GAN stays nearer to the modes, though not as near as the data, and has no density to report; the VAE bounds a density and draws more between the modes."}, "image": {"alt": "Three scatter plots. Data form eight round spots on a circle, the GAN's draws clumps joined by thin threads, the VAE's draws a broad fuzzy ring with some points inside."}}
fig, axes = plt.subplots(1, 3, figsize=(7, 2.5), sharex=True, sharey=True)
panels = {
    "data": (real, colors.data),
    "GAN": (from_gan, colors.bad),
    "VAE": (from_vae, colors.model),
}
for ax, (title, (a, color)) in zip(axes, panels.items(), strict=True):
    scatter(ax, a[:1500], color=color, s=3)
    ax.set(title=title, xlabel="$x_1$", xlim=(-3.3, 3.3), ylim=(-3.3, 3.3))
axes[0].set_ylabel("$x_2$")
plt.show()

# %% [markdown]
# The threads between the GAN's clumps in {numref}`fig-generation-ring` are the bridges of {prf:ref}`thm-generation-bridge`. **Ways to have both**: train a flow with an adversarial
# *and* a likelihood term {cite:p}`grover2018`; share a decoder between VAE and GAN {cite:p}`larsen2016`; keep the autoencoder for perception
# and put the expressive density in its latent space {cite:p}`rombach2022`. And report two numbers, one for each
# direction of error: one alone can always be bought at the other's expense.
# :::{solution-end}
# :::
#
# The merits of the Fréchet distance are weighed in {ref}`ch-at-work`, together with the
# measures of quality themselves (Fréchet distance for images, perplexity for text) and the applications: images, text, music and molecules.
#
# ## Exercises
#
# :::{bank} generation-mixture-log
# :::
#
# :::{bank} generation-ppca-fill
# :::
#
# :::{bank} generation-ppca-em
# :::
#
# :::{bank} generation-tweedie
# :::
#
# :::{bank} generation-copy-test
# :::
#
# :::{bank} generation-bridge-budget
# :::
#
# :::{bank} generation-explain-three
# :::
#
# ## What to read next
#
# * {cite:t}`tipping1999` for pPCA, its posterior and its mixtures; {cite:t}`bishop2006`, chapter 12, for a slower path.
# * {cite:t}`theis2016`: eight pages that should be read before any table of likelihoods or samples.
# * {cite:t}`ng2002` on generative against discriminative classifiers.
# * {cite:t}`nalisnick2019` and {cite:t}`lelan2021` on what densities do not say about single pictures.
# * {cite:t}`salmona2022` on separate modes and connected latent spaces; {cite:t}`song2021` on the probability flow.
# * {cite:t}`murphy2023` places all families of this book on one map.
#
# Next, {ref}`ch-density` takes the second objective by itself, {ref}`ch-representation` the third.
