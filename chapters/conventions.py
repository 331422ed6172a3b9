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
# (ch-conventions)=
# # How to read this book
#
# This book explains how generative models learn, and it is a program: its pages were executed, and each claim on them was
# held against a truth or a bound, or this copy would not have been built. This page says how to read such statements, which
# units they are in, which data they are about, and how to run and change the code yourself. After it you will be able to
#
# - read a claim line and say what was measured, what it was held against, and how that truth is known;
# - convert nats to bits and a log-likelihood to bits per dimension, without the two mistakes that are usually made;
# - say what is in the digits on which most experiments run, and what their peculiarities will do to a model;
# - tell a deterministic result from a simulated one, and a simulated one from a trained one.
#
# You need probability at the level of a first course (densities, expectation, Gaussians, Bayes' rule), linear algebra
# up to eigenvalues, and some Python with NumPy or PyTorch. No knowledge of generative models is assumed.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.special import logsumexp
from sklearn.datasets import load_digits
from sklearn.naive_bayes import CategoricalNB

from genkit.claims import claim, monte_carlo, self_check
from genkit.data import dequantise, digits
from genkit.metrics import bits_per_dim
from genkit.plot import colors, image_grid, style
from genkit.toys import toy
from genkit.train import seed_everything

style()
gen = seed_everything(0)

# %% [markdown]
# (sec-conventions-claims)=
# ## Claims
#
# Here is a statement with a number: a fair coin carries $\log 2$ nats of information. The next cell measures it, by
# summing over the two outcomes, and holds it against the closed form.

# %%
coin = torch.tensor([0.5, 0.5], dtype=torch.float64)
entropy = -(coin * coin.log()).sum()  # nats
claim("conventions-coin", "entropy of a fair coin", entropy, math.log(2),
      by="closed form log 2", atol=1e-12, unit="nats")

# %% [markdown]
# The line under the cell is a **claim**. It reads: what was measured, the value, then what it was held against (the
# truth, with its tolerance) and by which route that truth is known. Had the value been outside, the cell would have
# failed, and with it the build of the book; so a claim that you can read has held. All of them are collected in the
# {doc}`claims ledger <appendix/claims>`.
#
# A truth comes by *another route* than the code under test: a closed form, an enumeration, a quadrature, a
# published table, somebody else's implementation. It is never the output of last week's run. Three kinds occur.
#
# | Kind | It says | Typical source of truth |
# |---|---|---|
# | two-sided | measured = truth ± tolerance | closed form, quadrature, table |
# | statistical | measured = truth within so many standard errors | the same, measured by simulation |
# | bound | measured is at least, or at most, a number | theorem; or set by hand |
#
# A *statistical* claim comes from random draws. A mean of $n$ independent draws has the **standard error**
# $s / \sqrt n$, and the mean lies within one standard error of the truth in about two cases out of three:

# %%
# 2000 experiments of 400 draws each
draws = torch.randn(2000, 400, generator=gen, dtype=torch.float64)
mean = draws.mean(1)
error = draws.std(1) / math.sqrt(400)  # each experiment's own standard error
inside, se = monte_carlo((mean.abs() < error).double())  # the true mean is 0
claim("conventions-one-se",
      "share of experiments within one standard error of the truth",
      inside, math.erf(1 / math.sqrt(2)),
      by="normal distribution, erf(1/√2)", se=se)

# %% [markdown]
# The book allows four standard errors unless it says otherwise. By the same distribution a true statement then fails about six
# times in a hundred thousand, and since seeds are fixed it either always fails or never does.
#
# Where nobody knows the truth, *bounds* are set by hand: around what other seeds and other splits of the data gave, or far
# from what a useless model would reach. Results of stochastic training get nothing better; the reason is at the end of
# {ref}`sec-conventions-seeds`. A claim that need not hold under another split or seed says so (`depends_on="split"`),
# and `make stability` reruns the claims under other splits and seeds.
#
# :::{note}
# A passed claim shows that this number, in this set-up and with this seed, came out as the theory says. It does not
# prove the theorem, and it does not show that the effect survives at another scale. Where a page says more than its
# claims show, it says so.
# :::
#
# (sec-conventions-units)=
# ## Nats, bits and bits per dimension
#
# $\log$ is the natural logarithm, and information is in **nats** unless a unit is named. A nat is $1/\log 2 = 1.443$ bits.
#
# For a discrete random variable with probabilities $P$, $-\log_2 P(x)$ is the length in bits of an ideal code word
# for $x$. An image of $d$ pixels with $L$ grey levels thus has a **bits per dimension** of
#
# $$
# \mathrm{BPD}(x) = \frac{-\log P(x)}{d \,\log 2},
# $$ (eq-conventions-bpd)
#
# and the code that knows nothing, giving each level the same probability $1/L$, needs $\log_2 L$ bits per dimension.
# A model that needs more than that has learned less than nothing.
#
# Many models have a *density* instead, and a density is not a probability. Two steps lead from one to the other.
#
# **Dequantisation.** Levels are integers $0, \dots, L - 1$. Add independent noise $u \sim U[0, 1)$ to every pixel and
# divide by $L$, so that $y = (x + u)/L$ fills the unit cube. A density $q$ on the cube assigns each image
# the probability of its cell, $P(x) = L^{-d}\int_{[0,1)^d} q\big(\tfrac{x+u}{L}\big)\, du$, and by Jensen's inequality
#
# $$
# \log P(x) \;\ge\; \mathbb E_u\Big[\log q\Big(\frac{x + u}{L}\Big)\Big] - d \log L .
# $$ (eq-conventions-dequantisation)
#
# The right side is what one can compute, and it is a lower bound: a density never gets more credit than the
# probabilities that it stands for.
#
# **Change of unit.** The term $d \log L$ is easily forgotten. Without it the score depends on the scale on which the
# data happen to be stored, and one can make it as small as one likes. In bits per dimension it is $\log_2 L$:
#
# $$
# \mathrm{BPD}(x) \;\le\; \frac{-\mathbb E_u[\log q((x+u)/L)]}{d \log 2} + \log_2 L .
# $$ (eq-conventions-bpd-density)
#
# `bits_per_dim(nll, d)` computes {eq}`eq-conventions-bpd`, and with `levels=L` it computes
# {eq}`eq-conventions-bpd-density`. The uniform density on the cube is the test: its log is $0$, and it is the code that
# knows nothing. The second claim is what one gets *without* the unit, for the same model on data stored in $[0, 1)$ and in
# $[0, 17)$: two scores, the first free storage. Such wrong formulas stand all over the book: a check which the wrong formula
# passes as well checks nothing.

# %%
d, L = 64, 17
uniform_nll = 0.0  # nats: -log q(y) of the uniform density on the unit cube
claim("conventions-uniform", "uniform density, in bits per dimension",
      bits_per_dim(uniform_nll, d, levels=L), math.log2(17),
      by="log2 of 17 levels", atol=1e-12, unit="bits", digits=5)
# uniform on a cube of side 1 and of side 17
stored = torch.tensor([0.0, d * math.log(L)])
claim("conventions-uniform-unitless",
      "without the unit, stored in [0, 1) and in [0, 17)",
      bits_per_dim(stored, d), [0.0, math.log2(17)], item="E0.18",
      by="wrong formula: off by log2 of the scale", atol=1e-6, unit="bits")

# %% [markdown]
# The inequality {eq}`eq-conventions-dequantisation` can be checked by hand on the smallest case: one pixel, two
# levels ($L = 2$), and the density $q(y) = 3y^2$. The cells $[0, \frac12)$ and $[\frac12, 1)$ have probabilities $1/8$ and
# $7/8$. With $\int_0^1 \log u\,du = -1$ and $\int_0^1 \log(1+u)\,du = 2\log 2 - 1$ the right side of
# {eq}`eq-conventions-dequantisation` is $\log 3 - 2 - 3\log 2$ at level $0$ and $\log 3 - 2 + \log 2$ at level $1$.

# %%
# (n, 2): both levels
levels = torch.tensor([0.0, 1.0], dtype=torch.float64).repeat(200_000, 1)
y = dequantise(levels, levels=2, generator=gen)
log_q = torch.log(3 * y**2) - math.log(2)  # minus log L: the unit is in
bound = log_q.mean(0)
se = log_q.std(0) / math.sqrt(len(y))
claim("conventions-dequantised", "expected log density of the levels 0 and 1",
      bound, [math.log(3 / 8) - 2, math.log(6) - 2],
      by="integrated by hand", se=se, unit="nats")
exact = [math.log(1 / 8), math.log(7 / 8)]
claim("conventions-bound-gap",
      "log probability of the two levels above the bound",
      [e - b for e, b in zip(exact, bound.tolist(), strict=True)],
      at_least=0.0, by="Jensen's inequality", unit="nats", digits=3)

# %% [markdown]
# (sec-conventions-digits)=
# ## The digits
#
# Most experiments use one small data set, so that everything runs in seconds and all families of models can be
# compared: scikit-learn's handwritten digits {cite:p}`alpaydin1998,pedregosa2011`, images of $8 \times 8$ pixels. They
# come in three parts. A model is fitted on the **training** part; whatever is chosen (a bandwidth, a stopping time, a
# number of components) is chosen on the **validation** part; the **test** part is for the numbers that are reported, and
# nothing is chosen on it. The split is the same on every machine.

# %%
data = digits()
parts = {"train": data.train, "validation": data.validation, "test": data.test}
for name, part in parts.items():
    classes = torch.bincount(part.y).tolist()
    print(f"{name:<11} x {tuple(part.x.shape)}  images of each class {classes}")

# %% mystnb={"figure": {"name": "fig-conventions-digits", "caption": "Thirty training digits, and how often each of the 17 grey levels occurs. Two levels dominate; the rest is truly grey."}, "image": {"alt": "Left, a grid of five rows of handwritten digits at a resolution of eight by eight pixels. Right, a bar chart of the share of pixels at each grey level from 0 to 16. Level 0 takes almost half of all pixels, level 16 about a tenth, and each level between them a few per cent."}}
everything = torch.cat([part.x for part in parts.values()])  # (1797, 64)
counts = torch.bincount(everything.long().flatten(), minlength=17)
share = counts / everything.numel()
fig, (left, right) = plt.subplots(
    1, 2, figsize=(7.0, 2.8), width_ratios=[1, 1.25]
)
image_grid(data.train.x[:30], ncols=6, ax=left)
right.bar(range(17), share, color=colors.model)
right.set(xlabel="grey level", ylabel="share of pixels", xticks=range(0, 17, 4))
plt.show()

# %% [markdown]
# {numref}`fig-conventions-digits` shows some of them. Four facts about these images will matter again and again. The
# truths below are counted from scikit-learn's own array with other functions.

# %%
raw = load_digits().data  # (1797, 64)
claim("conventions-size", "number of images and of pixels",
      list(everything.shape), [1797, 64], by="scikit-learn's documentation")
sums, raw_sums = (
    np.sort(a @ np.arange(1, 65)) for a in (everything.numpy(), raw)
)
claim("conventions-same", "the three parts together are scikit-learn's digits",
      bool((sums == raw_sums).all()), True, by="sorted checksums of the rows")
claim("conventions-levels", "grey levels that occur",
      everything.unique(), np.arange(17), by="integers 0 to 16")
claim("conventions-constant", "pixels that are the same in all images",
      (everything.std(0) == 0).nonzero().flatten(),
      np.flatnonzero(np.ptp(raw, axis=0) == 0), by="range of each pixel")
claim("conventions-grey", "share of pixels that are strictly grey",
      1 - share[0] - share[16], np.isin(raw, range(1, 16)).mean(),
      by="counted in the raw array", atol=1e-6)


# %% [markdown]
# - They are **discrete**: 17 levels. The code that knows nothing costs $\log_2 17 = 4.087$ bits per dimension.
# - **Three pixels are constant** ({value}`conventions-constant:.0f` in reading order from 0; in the training part alone
#   there are more). A continuous density can
#   be made arbitrarily high there, which is why dequantisation is not optional.
# - {value}`conventions-grey:.1%` of all pixels are **strictly grey**, so the images are not binary data. Where a page
#   needs binary images it says so and thresholds at level 8 (`binarise`).
# - They are **few**: 1077 images to train on. Large networks over-fit within seconds, and validation is compulsory.
#
# Whether a result on images of this size carries over to photographs is a question of its own. Where it is known not
# to, the page says so.
#
# ### A first model, and a baseline
#
# As a **baseline** for every later model, take the simplest one that learns anything: all pixels independent, each with
# the histogram of its levels. With $c_{jv}$ the number of training images whose pixel $j$ has level $v$, and one
# added to each count so that no level is impossible (**Laplace smoothing**),
#
# $$
# P(x) = \prod_{j=1}^{d} \frac{c_{j x_j} + 1}{n + L} .
# $$ (eq-conventions-histogram)

# %%
def fit_histogram(x, levels, add=1.0):
    """Log probability of each level at each pixel: x (n, d) -> (d, levels)."""
    counts = torch.stack([(x == v).sum(0) for v in range(levels)], 1)
    return ((counts + add) / (len(x) + add * levels)).log()


def log_prob(x, table):
    """Log probability of each image (nats), shape (n,)."""
    return table.gather(1, x.long().T).sum(0)  # (d, n) summed over the pixels


table = fit_histogram(data.train.x, L)
nll = -log_prob(data.test.x, table)  # (360,) nats
bpd, se = monte_carlo(bits_per_dim(nll, d))
print(f"independent pixels: {nll.mean():#.4g} nats per image, "
      f"{bpd:#.4g} ± {se:.2g} bits per dimension")

# %%
claim("conventions-normalised", "probabilities of each pixel's levels sum to",
      table.exp().sum(1), np.ones(64), by="axiom", atol=1e-6)
one_class = CategoricalNB(min_categories=L).fit(data.train.x, 0 * data.train.y)
claim("conventions-yardstick", "independent pixels, test bits per dimension",
      bpd,
      bits_per_dim(-one_class.predict_joint_log_proba(data.test.x).mean(), d),
      by="scikit-learn's categorical naive Bayes", atol=1e-6, unit="bits")


def ten_tables(x, add):
    """Bits per dimension of images x (n, d) under a table for each class."""
    joint = []
    for c in range(10):
        members = data.train.y == c
        members_table = fit_histogram(data.train.x[members], L, add)
        weight = members.double().mean().log()
        joint.append(weight + log_prob(x, members_table))
    return bits_per_dim(-torch.stack(joint).logsumexp(0).mean(), d)


add = min((0.01, 0.03, 0.1, 0.3, 1.0),
          key=lambda a: ten_tables(data.validation.x, a))
by_class = CategoricalNB(alpha=add, min_categories=L)
by_class.fit(data.train.x, data.train.y)
reference = logsumexp(by_class.predict_joint_log_proba(data.test.x), 1)
claim("conventions-yardstick-classes",
      "ten tables, one a class, test bits per dimension",
      ten_tables(data.test.x, add), bits_per_dim(-reference.mean(), d),
      by="scikit-learn's categorical naive Bayes", atol=1e-6, unit="bits")
# each training image scored by the table of the others
n = len(data.train.x)
own = table.exp().gather(1, data.train.x.long().T) * (n + L)  # counts + 1
alone = -((own - 1) / (n + L - 1)).log().sum(0)
counted_in = log_prob(data.train.x, table)
claim("conventions-train-test",
      "training bits per dimension, left out minus counted in",
      bits_per_dim(alone.mean() + counted_in.mean(), d),
      at_least=0.014, at_most=0.019, by="other splits", unit="bits", digits=2)

# %% [markdown]
# Independent pixels need {value}`conventions-yardstick:.2f` bits per dimension on test images, and ten such tables, one for
# each class (a **naive Bayes** model; the number added to each count chosen on validation), {value}`conventions-yardstick-classes:.2f`. (Scored by the
# table of the *other* training images, a training image costs {value}`conventions-train-test:.3f` bits more than by its own: so much a table of counts over-fits. One test part
# hardly shows it, as the standard error printed above is nearly as large.) A page that reports a
# model's bits per dimension on the digits means this: levels, all 64 pixels, test part, and for densities the bound
# {eq}`eq-conventions-bpd-density`.
#
# The baseline is harder to beat than it looks. Take Gaussians of the dequantised pixels: first independent ones,
# which make the same assumption as the histograms, then one with the full covariance, which knows how all pairs
# of pixels vary together.

# %%
y = dequantise(data.train.x, generator=gen)  # (1077, 64) in [0, 1)
y_test = dequantise(data.test.x, generator=gen)
mean, cov = y.mean(0), torch.cov(y.T)
diagonal = torch.distributions.Normal(mean, cov.diag().sqrt())
full = torch.distributions.MultivariateNormal(mean, cov)
# (360,) each
diagonal_bpd = bits_per_dim(-diagonal.log_prob(y_test).sum(1), d, levels=L)
full_bpd = bits_per_dim(-full.log_prob(y_test), d, levels=L)
histogram_bpd = bits_per_dim(nll, d)
gaps = {
    "diagonal": diagonal_bpd - histogram_bpd,
    "full": full_bpd - histogram_bpd,
}
seen = {"diagonal": (0.9, 1.0), "full": (0.48, 0.59)}  # over splits
for name, gap in gaps.items():  # the same images under both models
    claim(f"conventions-{name}-gaussian",
          f"{name} Gaussian minus independent histograms, "
          "test bits per dimension",
          gap.mean(), at_least=seen[name][0], at_most=seen[name][1],
          by="other splits", unit="bits", digits=3)


# %% [markdown]
# Both lose: by {value}`conventions-diagonal-gaussian:.2f` and by {value}`conventions-full-gaussian:.2f` bits per
# dimension. The suspect is the shape of one pixel's distribution: half of all pixels are exactly at level 0, which a histogram
# can say and a Gaussian cannot. So remove it: send each pixel through the distribution function of its own histogram and then
# through the normal quantile function, and give the full Gaussian the result $z$. With independent standard normal $z$ this
# is the table of histograms again; with the covariance of $z$ it is a **Gaussian copula**, and the gain is the difference of
# the two log densities of $z$.

# %%
def through_histogram(y):
    """Each pixel of y (n, d) in [0, 1) as a normal number: (n, d)."""
    level = (y * L).long()
    p = table.exp().T.gather(0, level)  # (n, d)
    below = table.exp().cumsum(1).T.gather(0, level) - p
    return torch.special.ndtri(below + (y * L - level) * p)


z, z_test = through_histogram(y), through_histogram(y_test)
independent = torch.distributions.Normal(0, torch.ones(d))
copula = torch.distributions.MultivariateNormal(torch.zeros(d), torch.cov(z.T))
# (360,) nats
gain = copula.log_prob(z_test) - independent.log_prob(z_test).sum(1)
claim("conventions-copula", "Gaussian copula, test bits per dimension",
      bpd - bits_per_dim(gain.mean(), d), at_least=2.12, at_most=2.18,
      by="other splits", unit="bits")

# %% [markdown]
# It needs {value}`conventions-copula:.2f`: the shape was the cause. Two lessons follow. Bits per dimension measure the fit of a *density to discrete
# data*, not how much of the images' structure a model has understood; and densities are best compared with densities,
# with this baseline kept in view.
#
# ## The ring
#
# Where a picture says more than an image model can, the book uses densities on the plane that are known exactly. The
# one that every family is tried on is the **ring**: eight Gaussians of equal weight on a circle. Its entropy, computed
# by quadrature, is the floor under every model's negative log-likelihood.

# %%
ring = toy("ring")
points = ring.sample(20_000, gen)  # (20000, 2)
mean, se = monte_carlo(-ring.log_prob(points))
claim("conventions-ring", "mean negative log density of draws from the ring",
      mean, ring.entropy, by="quadrature on a grid", se=se, unit="nats")

# %% [markdown]
# (sec-conventions-seeds)=
# ## Seeds, threads, and what can be reproduced
#
# Every page fixes its seeds, most by `gen = seed_everything(0)` at the start. This seeds Python, NumPy and PyTorch, returns a generator that the
# page's own draws come from, and limits PyTorch to **one thread**: sums then have one order, and small networks run
# faster, since threads that wait for each other cost more than they bring.

# %%
first = torch.randn(5, generator=seed_everything(0))
again = torch.randn(5, generator=seed_everything(0))
other = torch.randn(5, generator=seed_everything(1))
gen = seed_everything(0)
claim("conventions-same-seed", "draws with the same seed are equal",
      bool((first == again).all()), True, by="definition of a seed")
claim("conventions-other-seed", "draws with another seed are equal",
      bool((first == other).any()), False,
      by="continuous draws coincide with probability 0")
claim("conventions-threads", "threads that PyTorch uses",
      torch.get_num_threads(), 1, by="set by seed_everything")


# %% [markdown]
# Three degrees of reproducibility follow. *Exact* results (closed forms, counting, linear algebra) are the same
# everywhere to many digits. *Simulated* results are the same with the same seed and library, and otherwise agree within
# their standard errors. *Trained* results can differ between processors: a difference in the last bit of one
# product grows with every step of training. The book therefore claims only bounds for trained results, and in place of
# their digits such a claim says *inside*; figures show the run of the machine that built the page.
#
# Everything on the pages runs **without a network**. Only `genkit.data.mnist(full=True)`, for readers who want all of
# MNIST, fetches something, and no page depends on it.
#
# ## What else stands on a page
#
# **Algorithms** stand whole, in the symbols of their equation, with the shape of every array in a comment. When a
# second page needs one, it moves to the package `genkit` and the page shows that its own version and the package's
# agree.
#
# **Common mistakes** stand in boxes. The title is the mistake as people make it; the box says what is
# true, and which cell shows it. The {doc}`register <appendix/errata>` lists them with their severity.
#
# **Questions** are asked where the page has the means to answer them, each followed by a
# folded worked solution. The {doc}`question map <appendix/questions>` says where each one is.
#
# **Exercises** at the end of a page ask for code. Replace the line that raises `NotImplementedError` and run the cell
# below it. The check tries properties that every right answer has: identities, special cases, agreement with a slow
# computation by another route; it names the property that fails, not the right answer. Before you start, it says this:

# %%
def double(x):
    """Twice x: an exercise that nobody has done yet."""
    raise NotImplementedError("your code here")


def check_double():
    assert double(3) / 2 == 3, "half of the double must be the number itself"


_ = self_check("conventions-double", check_double)

# %% [markdown]
# ## Running the pages
#
# **In the browser.** The rocket at the top of a page opens it in Colab. The first cell there installs this
# book's package, `genkit-book`, which is imported as `genkit`; it leaves what Colab has installed as it is. No page
# needs an accelerator.
#
# **On your machine.** In a copy of the repository and a virtual environment, `make book` executes the pages that
# changed and builds this site, and `make test` runs all checks. Every page takes less than a minute; the
# {doc}`measured times <appendix/times>` are in the appendix.
#
# **Changing things** is the point. Break a formula and see which claim notices. If none does, that is worth an issue.
#
# ## Where the book comes from
#
# The book reworks five sets of Portuguese lecture notes on deep generative models, in part after the Stanford course
# CS236. All that they name is treated, in this book's own words, and what they lack is added, in another order. In the
# question map and the register of mistakes, codes lead back to them: Q numbers their questions and E what is mistaken in them. The
# first digit is their chapter.
#
# | Part | Lecture notes |
# |---|---|
# | I Objectives | *Objetivos do Aprendizado de Modelos Generativos* |
# | II Approximating distributions | *Aprendizagem de Modelos Generativos: Aproximando Distribuições de Dados* |
# | III Likelihood and quality | *Relação entre Log-Verossimilhança e Qualidade das Amostras em Modelos Generativos* |
# | IV The evidence lower bound | *Otimização Conjunta de Parâmetros do Modelo e Variacionais em Modelos Generativos Profundos* |
# | V Flows | *Propriedades Desejáveis de Distribuições de Modelo em Modelagem Generativa* |
# | VI Beyond | new: score matching, flow matching, energy-based models |
#
# This edition holds Parts I and II. Terms and symbols are listed in the {doc}`notation and glossary <appendix/glossary>`, which also
# gives the Portuguese terms.
#
# ## What to read next
#
# Start with {doc}`objectives/index`. For the mathematics used throughout, {cite:t}`cover2006` is the reference on
# entropy and codes, {cite:t}`bishop2006` on Gaussians and latent variables. {cite:t}`bishop2024`,
# {cite:t}`murphy2023` and {cite:t}`goodfellow2016` are textbooks on deep learning that cover generative models, each
# from another side. {cite:t}`theis2016` is the short paper to read on what numbers such as these can and cannot say.
