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
# (ch-systems)=
# # Models in the world
#
# After this page you will be able to
#
# - build known structure into a model, and bound beforehand what it can gain;
# - combine models that have densities, and models that only have samples, by convex problems with known optima;
# - keep a model up to date without losing its past, and say why training on its own samples ruins it;
# - compare models where there is no test set.

# %% tags=["hide-input"]
import itertools
import math
from collections import Counter

import matplotlib.pyplot as plt
import torch
from sklearn.mixture import GaussianMixture
from torch.distributions import MultivariateNormal

from genkit.claims import claim, monte_carlo, self_check
from genkit.data import dequantise, digits
from genkit.plot import colors, style
from genkit.toys import toy
from genkit.train import seed_everything

style()
gen = seed_everything(0)
torch.set_default_dtype(torch.float64)
data = digits()


def grey(split):
    """Grey levels 0 to 17 with uniform noise: real numbers with a density."""
    return 17 * dequantise(split.x, generator=gen)

train, validation, test = grey(data.train), grey(data.validation), grey(data.test)
y_train, y_test = data.train.y, data.test.y


# %% [markdown]
# {item}`S0.37` The four questions of this page are asked of every model that leaves the laboratory. What do we know about the world that it need not learn? Which
# of our models should we use, or all? What happens when tomorrow's data differ? And how would we know that it is any good, if nobody can say what good is?
# These are often posed as open questions; each has a part that can be computed. Log-likelihoods are those of grey levels with uniform noise, in nats per image
# ({ref}`ch-density`).
#
# ## What we already know
#
# Faces have expression, pose and lighting; digits have a class. Suppose we know such a factor $y$ and let the model use it, $p(x\mid y)$ instead of $p(x)$. How
# much can that gain?
#
# :::{prf:theorem} The ceiling
# :label: thm-systems-ceiling
# For the true distribution and a discrete $y$, $\mathbb E[\log p(x\mid y)]-\mathbb E[\log p(x)]=I(x;y)\le H(y)$, with the **mutual information** $I$. For any model $q(x,y)=q(y)\,q(x\mid y)$ with marginal
# $q(x)$, the gain on data equals $\mathbb E[\log q(y\mid x)]-\mathbb E[\log q(y)]\le -\mathbb E[\log q(y)]$.
# :::
#
# :::{prf:proof}
# Bayes' rule, $\log q(x\mid y)-\log q(x)=\log q(y\mid x)-\log q(y)$, and $\log q(y\mid x)\le0$.
# :::
#
# Ten classes of equal share are worth at most $\log10=2.303$ nats per image over the same model without them, its own $q(x)$. What structure buys *beyond* that
# is data efficiency, and reach where there are no data. Let each digit be moved round horizontally by $s\in\{0,\dots,7\}$ columns. Class and shift are two known factors with 80 combinations, and 16 of these never occur in
# training: they ask for **compositional generalisation**. A model that *knows what a shift is*, an **equivariant** one, moves the picture back and needs ten classes only,
#
# $$
# p(x\mid y,s)=p_y\bigl(T_s^{-1}x\bigr),
# $$ (eq-systems-group)
#
# without a Jacobian, since a shift permutes pixels. A model that only knows *that* there is a factor must learn its effect: a covariance for each shift, and
# means that are additive in class and shift or stand in a table with one entry per combination.

# %%
def covariance(x):
    return torch.cov(x.T, correction=0)

def shift(x, s):
    """Move each picture round by its number of columns; x (n, 64), s (n,)."""
    column = (torch.arange(8) - s[:, None]) % 8         # where pixels come from
    column = column[:, None].expand(-1, 8, 8)
    return x.view(-1, 8, 8).gather(2, column).flatten(1)

log_share = (torch.bincount(y_train) / len(y_train)).log()   # log q(y), (10,)

def class_gaussians(x, y, keep):
    """One Gaussian per class; covariances drawn towards their mean."""
    each = [covariance(x[y == k]) for k in range(10)]
    within = sum(p * S for p, S in zip(log_share.exp(), each, strict=True))
    means = [x[y == k].mean(0) for k in range(10)]
    return [MultivariateNormal(m, keep * S + (1 - keep) * within)
            for m, S in zip(means, each, strict=True)]

def log_joint(gaussians, x):
    """log q(x, y) for all classes: (n, 64) -> (n, 10)."""
    return torch.stack([g.log_prob(x) for g in gaussians], 1) + log_share


# %%
unseen = torch.randperm(80, generator=gen).view(10, 8) < 16  # class, shift
s_train = torch.multinomial((~unseen[y_train]).double(), 1, generator=gen)[:, 0]
moved = shift(train, s_train)                            # what training shows

def on_held_out(gaussians):
    return log_joint(gaussians, validation).logsumexp(1).mean()

back = shift(moved, -s_train)
fits = [class_gaussians(back, y_train, k / 10) for k in range(1, 10)]
canonical = max(fits, key=on_held_out)

def knows_shift(x, y, s, gaussians=canonical):
    """log p(x | y, s) as in the equation above."""
    each = log_joint(gaussians, shift(x, -s)) - log_share    # (n, 10)
    return each.gather(1, y[:, None])[:, 0]


# %% tags=["hide-input"]
def one_hot(y, s, table):
    a, b = torch.nn.functional.one_hot(y, 10).double(), torch.nn.functional.one_hot(s, 8).double()
    return (a[:, :, None] * b[:, None]).flatten(1) if table else torch.cat([a, b], 1)


y_valid = data.validation.y
s_valid = torch.multinomial((~unseen[y_valid]).double(), 1, generator=gen)[:, 0]
x_valid = shift(validation, s_valid)  # at combinations that training shows


def learns_shift(table, x, y, s):
    """(y, s) -> Gaussian: means by ridge regression, a covariance for each shift (blurred), both by validation."""
    f, centre, fits = one_hot(y, s, table), x.mean(0), []
    for ridge in (0.03, 0.1, 0.3, 1, 3, 10):
        weights = torch.linalg.solve(f.T @ f + ridge * torch.eye(f.shape[1]), f.T @ (x - centre))
        rest = x - centre - f @ weights
        each = torch.stack([covariance(rest[s == k]) for k in range(8)])
        for blur in (0.01, 0.1, 0.2, 0.5, 1, 2):
            root = torch.linalg.cholesky(each + blur * torch.eye(64))
            fits.append(lambda y, s, w=weights, r=root: MultivariateNormal(centre + one_hot(y, s, table) @ w, scale_tril=r[s]))
    return max(fits, key=lambda fit: fit(y_valid, s_valid).log_prob(x_valid).mean())


additive, table = (learns_shift(kind, moved, y_train, s_train) for kind in (False, True))
able = unseen[y_test].any(1)                                        # test digits of classes with unseen shifts
x_able, y_able = test[able], y_test[able]
s_seen = torch.multinomial((~unseen[y_able]).double(), 1, generator=gen)[:, 0]
s_new = torch.multinomial(unseen[y_able].double(), 1, generator=gen)[:, 0]
x_seen, x_new = shift(x_able, s_seen), shift(x_able, s_new)
lost = knows_shift(x_seen, y_able, s_seen) - knows_shift(x_new, y_able, s_new)
claim("systems-known", "log-likelihood lost by moving a test digit to an unseen combination, model that knows shifts: largest",
      lost.abs().max(), 0.0, item="Q0.11 S0.37", by="equivariance: nothing, for every image", atol=1e-9, unit="nats",
      stable=False)
for name, model in (("additive", additive), ("table", table)):
    loss = model(y_able, s_seen).log_prob(x_seen) - model(y_able, s_new).log_prob(x_new)
    low, high = {"additive": (40, 80), "table": (250, 550)}[name]
    claim(f"systems-learned-{name}", f"the same, mean over digits, model with {name} means", loss.mean(), item="Q0.11",
          by="0 if it had learned what a shift is; other splits", at_least=low, at_most=high, unit="nats", digits=2)
one_covariance = class_gaussians(shift(moved, -s_train), y_train, 0.0)
fair = knows_shift(x_seen, y_able, s_seen, one_covariance)
claim("systems-knows-best", "at seen combinations, one covariance for all classes: model that knows minus table, median test digit",
      (fair - table(y_able, s_seen).log_prob(x_seen)).median(), item="Q0.11", by="about 0 with endless data; other splits and seeds",
      at_least=9.5, at_most=17.0, unit="nats", digits=2)
i, s_all = (~unseen[y_train]).nonzero().T                           # every training digit at every shift seen of its class
table_all = learns_shift(True, shift(train[i], s_all), y_train[i], s_all)
claim("systems-knows-data", "the same, when the table sees each training digit at all seen shifts of its class",
      (fair - table_all(y_able, s_seen).log_prob(x_seen)).median(), item="Q0.11", by="about 0 with endless data; other splits and seeds",
      at_least=-1.5, at_most=1.5, unit="nats", digits=2)
off = table_all(y_able, s_seen).log_prob(x_seen) - table_all(y_able, s_new).log_prob(x_new)
claim("systems-learned-all", "log-likelihood lost by moving a digit to an unseen combination, that table, mean over digits", off.mean(),
      item="Q0.11", by="0 if it had learned what a shift is; other splits and seeds", at_least=600, at_most=3000, unit="nats", digits=2)
spread = MultivariateNormal(torch.zeros(64), covariance(shift(moved - table(y_train, s_train).mean, -s_train)))
told = spread.log_prob(shift(x_seen - table(y_able, s_seen).mean, -s_seen))
claim("systems-knows-spread", "the same, when the table keeps its means and is told how the covariance moves", (fair - told).median(),
      item="Q0.11", by="other splits and seeds", at_least=1.0, at_most=2.7, unit="nats", digits=2)

# %% [markdown]
# Moving a digit to an unseen combination costs the model that knows shifts nothing, additive means {value}`systems-learned-additive:.0f` nats and the table
# {value}`systems-learned-table:.0f`. Even where it has seen the combination, the table is {value}`systems-knows-best:.0f` nats behind the model that knows, for the
# median digit and with one covariance for all classes in both. That is data efficiency: shown each digit at every seen shift, it draws level there (a gap of
# {value}`systems-knows-data:.1f`), though not at unseen ones, which now cost {value}`systems-learned-all:.0f`. And most of the gap is *spread*: told only how the covariance moves, it is {value}`systems-knows-spread:.1f` behind.
#
# :::{exercise-start} Known hierarchical structure
# :label: q0-11
# :class: question
# :::
# {item}`Q0.11` The data have known factors, such as expression, pose and lighting of a face. How can architecture and training use them, for better samples and a
# latent space that one can interpret?
# :::{exercise-end}
# :::
#
# :::{solution-start} q0-11
# :label: q0-11-solution
# :class: dropdown
# :::
# **Put the factors into the graph.** $p(x\mid y,z)\,p(z)\,p(y)$ with the known factors $y$ and a rest $z$: conditional autoencoders, class-conditional diffusion.
# Where the *action* of a factor is known (pose is a rotation, lighting is multiplicative), build the action in, as {eq}`eq-systems-group` does. Where only its
# existence is known, learn it and expect trouble off the seen combinations. Identity before detail suggests a hierarchy of scales in $z$.
#
# **Labels make latents interpretable.** Without them, independent Gaussian factors can be rotated into each other at no loss ({ref}`ch-representation`). With labels
# for some examples they are pinned, and missing ones are summed out, as in {ref}`ch-transfer`. Do not force independence on factors that are dependent in the data.
#
# **Test by intervention.** Hold an image's rest fixed, change $y$, and ask an independent classifier whether $y$, and nothing else, has changed. The cell asks only for
# $y$. It draws *at combinations that training never showed* from the model that knows shifts and from the table, and from the table where it has seen them. A classifier,
# trained on unmoved real digits, reads the class after moving back. Then it computes what class labels add to the log-likelihood of each test digit, which
# {prf:ref}`thm-systems-ceiling` bounds.

# %%
y_ask, s_ask = unseen.nonzero().repeat(25, 1).T          # (400,) class and shift each
drawn = torch.stack([canonical[k].sample() for k in y_ask.tolist()])
pictures = shift(drawn, s_ask)                           # (400, 64)
s_shown = torch.multinomial((~unseen[y_ask]).double(), 1, generator=gen)[:, 0]
at_unseen, at_seen = table(y_ask, s_ask).sample(), table(y_ask, s_shown).sample()

joint, at = log_joint(canonical, test), y_test[:, None]  # log q(x, y) of test digits
gain = joint.gather(1, at)[:, 0] - log_share[y_test] - joint.logsumexp(1)

# %% tags=["hide-input"]
from sklearn.linear_model import LogisticRegression

classifier = LogisticRegression(max_iter=2000, C=0.01).fit(train.numpy(), y_train.numpy())


def read_right(pictures, s=s_ask):
    return (torch.as_tensor(classifier.predict(shift(pictures, -s).numpy())) == y_ask).double().mean()


claim("systems-intervention", "share of pictures asked for at unseen combinations whose class a classifier reads right, model that knows",
      read_right(pictures), item="Q0.11", by="0.1 by chance", at_least=0.95, digits=2, stable=False)
claim("systems-intervention-table", "the same, table", read_right(at_unseen),
      by="0.1 by chance; other splits", at_least=0.02, at_most=0.3, digits=2, stable=False)
claim("systems-intervention-seen", "the same, table, at seen combinations", read_right(at_seen, s_shown), item="Q0.11",
      by="0.1 by chance; other splits", at_least=0.9, digits=2, stable=False)
claim("systems-ceiling", "what class labels add to the log-likelihood of a test digit, median", gain.median(), item="Q0.11",
      by="just below log 10 = 2.303, for most digits are easy to read", at_least=2.2, at_most=2.34, unit="nats", digits=3)
claim("systems-ceiling-each", "test digits, of 360, whose gain exceeds -log q(y)",
      (gain > -log_share[y_test] + 1e-9).sum(), 0, by="log q(y|x) is at most 0")
claim("systems-ceiling-mean", "mean gain over all test digits", gain.mean(), by="below the ceiling",
      at_least=0.3, at_most=0.7, unit="nats", digits=2, depends_on="split")
claim("systems-ceiling-worst", "mean gain without the two worst digits", gain.sort().values[2:].mean(), item="Q0.11",
      by="close to the ceiling; other splits", at_least=1.9, at_most=math.log(10), unit="nats", digits=2)


# %% [markdown]
# The classifier reads nearly all pictures of the model that knows; of the table's, nearly all at seen combinations and few at the others. The median digit almost
# reaches the ceiling. The *mean* is far lower in this split, {value}`systems-ceiling-mean:.1f` nats, and two digits are the reason: without them it is {value}`systems-ceiling-worst:.1f`. There the model is sure
# of a wrong class, and a density pays for false certainty without limit. (Another split may have one such digit, or none.)
# :::{solution-end}
# :::
#
# ## Several models insure one another
#
# You have a Gaussian, a mixture of class Gaussians and a kernel estimate ({ref}`ch-density`). Instead of choosing one, use the **ensemble**: mix their densities,
# $q_w=\sum_kw_kq_k$. Since the logarithm is concave and increasing,
#
# $$
# \begin{aligned}
# \mathbb E\log q_w&\ge\sum_kw_k\,\mathbb E\log q_k,\\
# \mathbb E\log q_w&\ge\max_k\bigl(\mathbb E\log q_k+\log w_k\bigr).
# \end{aligned}
# $$ (eq-systems-mixture)
#
# The second says that mixing costs at most $\log1/w_k$ nats against member $k$. The objective $\mathbb E\log q_w$ is concave in the weights, so EM, which here
# only re-estimates shares, finds the best: this is **stacking** {cite:p}`smyth1999`.

# %%
def stack(log_q, steps=2000):
    """Weights with the largest mean log of the mixture: (n, K) -> (K,)."""
    w = torch.full((log_q.shape[1],), 1 / log_q.shape[1])
    for _ in range(steps):
        responsibility = torch.softmax(log_q + w.log(), 1)  # who made it
        w = responsibility.mean(0)
    return w

one = MultivariateNormal(train.mean(0), covariance(train))

def kernel(x, h):
    log_k = -(torch.cdist(x, train) ** 2) / (2 * h**2)
    log_norm = math.log(len(train)) + 32 * math.log(2 * math.pi * h**2)
    return log_k.logsumexp(1) - log_norm

widths = (1.5, 2.0, 2.5, 3.0, 3.5)
best_h = max(widths, key=lambda h: kernel(validation, h).mean())

def members(x):
    """Log densities of the three: (n, 64) -> (n, 3)."""
    classes = log_joint(canonical, x).logsumexp(1)
    return torch.stack([one.log_prob(x), classes, kernel(x, best_h)], 1)

on_validation, on_test = members(validation), members(test)
w = stack(on_validation)


# %% [markdown]
# :::{exercise-start} Ensembles of families
# :label: q0-12
# :class: question
# :::
# {item}`Q0.12` How would you combine different generative models, say a variational autoencoder, a GAN and a diffusion model, and what makes it
# hard to train them together?
# :::{exercise-end}
# :::
#
# :::{solution-start} q0-12
# :label: q0-12-solution
# :class: dropdown
# :::
# **With densities: mix, and stack the weights** on held-out data. There the result is at least as good as the best member.

# %% tags=["hide-input"]
def mixed(log_q, w):
    return torch.logsumexp(log_q + w.log(), 1).mean()


slope = (on_validation - torch.logsumexp(on_validation + w.log(), 1)[:, None]).exp().mean(0)
claim("systems-stacked-optimal", "gradient of the objective at the weights found", slope,
      torch.ones(3), by="Karush–Kuhn–Tucker: 1 where the weight is positive", atol=1e-3, digits=3)
k = int(w.argmax())
claim("systems-stacked-test", "test log-likelihood of the stack minus that of the best member", mixed(on_test, w) - on_test[:, k].mean(),
      item="Q0.12", by="at least log of its weight; other splits", at_least=0.14, at_most=0.9, unit="nats", digits=2)
claim("systems-equal", "the same for equal weights", mixed(on_test, torch.ones(3) / 3) - on_test[:, k].mean(),
      item="Q0.12", by="at least -log 3; other splits", at_least=-0.9, at_most=0.0, unit="nats", digits=2)
gains = torch.logsumexp(on_test + w.log(), 1) - on_test[:, k]
claim("systems-stacked-share", "share of test digits to which the stack gives more than its best member", (gains > 0).double().mean(),
      item="Q0.12", by="other splits", at_least=0.03, at_most=0.12, digits=1)
claim("systems-stacked-few", "mean gain without the five digits that gain most", gains.sort().values[:-5].mean(), item="Q0.12",
      by="other splits", at_least=-0.1, at_most=0.25, unit="nats", digits=2)

# %% [markdown]
# On test digits the stack gains {value}`systems-stacked-test:.2f` nats over its best member $k$; equal weights gain nothing. It is an insurance:
# {value}`systems-stacked-share:.0%` of the digits gain, the others pay up to $\log1/w_k$. Without the five that gain most,
# {value}`systems-stacked-few:.2f` nats are left. Most other splits leave less.
#
# **Averaging is not mixing.** The mean of two models' *scores* $\nabla\log q$ is the score of $\sqrt{q_1q_2}$, normalised: a **product of experts**. For
# $\mathcal N(\pm a,1)$ that is $\mathcal N(0,1)$, a mode that neither has. The mixture's score is the average weighted by responsibility. **Langevin** steps of size
# $\epsilon$ turn a score into samples:

# %%
a, eps = 3.0, 0.05

def average_score(x):
    return (-(x + a) - (x - a)) / 2

def mixture_score(x):
    right = torch.sigmoid(2 * a * x)                     # posterior of the right expert
    return -(1 - right) * (x + a) - right * (x - a)

def langevin(score, start=None, chains=20_000, steps=400):
    x = a * torch.randn(chains, generator=gen) if start is None else torch.full((chains,), start)
    for _ in range(steps):
        x = x + eps * score(x) + math.sqrt(2 * eps) * torch.randn(chains, generator=gen)
    return x

averaged, blended = langevin(average_score), langevin(mixture_score)

# %% [markdown]
# The chains start on both sides alike, and that is where the mixture's weights come from: few cross over. Started at $a$,
# {value}`systems-score-stays:.0%` are still on that side at the end.

# %% tags=["hide-input"]
line = torch.linspace(-6, 6, 241).requires_grad_()
log_mixture = torch.logaddexp(-((line + a) ** 2) / 2, -((line - a) ** 2) / 2)
(exact_score,) = torch.autograd.grad(log_mixture.sum(), line)
claim("systems-score", "largest error of the responsibility-weighted score",
      (mixture_score(line.detach()) - exact_score).abs().max(), 0.0,
      by="derivative of the mixture's log density", atol=1e-9, stable=False)
for name, x, truth, by in (
    ("average", averaged, 1 / (1 - eps / 2), "N(0, 1) with steps of finite size: 1/(1 - eps/2)"),
    ("mixture", blended, a**2 + 1 / (1 - eps / 2), "modes at -a and a: a^2 + 1/(1 - eps/2)"),
):
    m, se = monte_carlo(x**2)
    claim(f"systems-score-{name}", f"mean square of samples by the score of the {name}", m, truth,
          by=by, se=se, rtol=0.002)
claim("systems-score-stays", "share on the right after 400 steps, all started at a", (langevin(mixture_score, a) > 0).double().mean(),
      item="Q0.12", by="1/2 at equilibrium; other seeds", at_least=0.86, at_most=0.90, digits=2)


# %% [markdown]
# **With samples only** (a **GAN** gives no density) mix the *samples*, and choose the weights so that the pool resembles the data. The squared **maximum
# mean discrepancy** is a quadratic form in them, $w^\top Kw-2k^\top w+\text{const}$, with mean kernels $K_{ij}$ between samplers and $k_i$ to the data: a convex
# problem on the simplex. On the ring of eight Gaussians, one sampler has the upper half, one the lower, one is a blob; the right weights are
# $(\tfrac12,\tfrac12,0)$.

# %%
def mean_kernel(u, v, h=0.5):
    return torch.exp(-(torch.cdist(u, v) ** 2) / (2 * h**2)).mean()

def sample_weights(samplers, target, steps=3000):
    """Weights of the pool closest to the target, by exponentiated gradient."""
    n = len(samplers[0])
    K = torch.stack([mean_kernel(u, v) for u in samplers for v in samplers])
    K = K.view(len(samplers), -1)
    K = K + torch.diag((K.diagonal() - 1) / (n - 1))     # no point against itself
    k = torch.stack([mean_kernel(u, target) for u in samplers])
    w = torch.full((len(samplers),), 1 / len(samplers))
    for _ in range(steps):
        w = torch.softmax(w.log() - 2 * (K @ w - k), 0)
    return w


# %% tags=["hide-input"]
ring = toy("ring")


def half(upper, n):
    x = ring.sample(4 * n, gen)
    angle = torch.remainder(torch.atan2(x[:, 1], x[:, 0]) + torch.pi / 8, 2 * torch.pi)
    return x[(angle < torch.pi) == upper][:n]


def one_run():
    samplers = [half(True, 1000), half(False, 1000), 1.5 * torch.randn(1000, 2, generator=gen)]
    return sample_weights(samplers, ring.sample(1000, gen))


runs = torch.stack([one_run() for _ in range(8)])
claim("systems-samples", "weights of the two halves of the ring, mean of eight runs", runs[:, :2].mean(0), torch.tensor([0.5, 0.5]),
      item="Q0.12", by="half the modes each; the blob keeps what sampling noise leaves it", atol=0.03, digits=2)

# %% [markdown]
# **What is hard:** members on one scale (a variational bound is not a likelihood, and dequantisation must agree); flaws that all share, which no weights remove;
# cost; and joint training, where gradients through the mixture go to whichever member already explains an example. Boosting avoids joint training: it
# fits each next member to what the pool misses {cite:p}`tolstikhin2017`.
# :::{solution-end}
# :::
#
# ## Learning on
#
# The world changes; following it is called **continual learning**. Let the digits arrive as a stream: first zeros and ones, then twos and threes, up to eights and nines. A model that is refitted to each
# arrival has the past overwritten: **catastrophic forgetting**. Three remedies: keep all data (the reference); keep a small buffer of real examples of each task, repeated
# to the size of the arrival, and mix it in (**rehearsal**); keep no data and mix in *samples of the old model* (**generative replay**, {cite:p}`shin2017`).
#
# All fit a mixture of Gaussians by EM to twenty principal components (of all training digits: a fixed map). Each fit adds a *floor* to every variance, lest
# components shrink onto a few images. Since the remedies leave different numbers of images to fit, each gets the floor that is best for it on validation digits of all
# tasks (which a real stream would have to keep). The score is the log-likelihood of these twenty numbers at the end, mean over the tasks.

# %% tags=["hide-input"]
axes20 = torch.linalg.svd(train - train.mean(0), full_matrices=False)[2][:20]


def task(x, y, t):
    return (x[(y == 2 * t) | (y == 2 * t + 1)] - train.mean(0)) @ axes20.T


stream = [task(train, y_train, t) for t in range(5)]
exams = [[task(x, y, t) for t in range(5)] for x, y in ((validation, y_valid), (test, y_test))]


def fit_mixture(x, components, seed, floor):
    return GaussianMixture(components, reg_covar=floor, random_state=seed, max_iter=500).fit(x.numpy())


# %%
def learn(remember, seed, floor):
    """Fit each arrival plus what is remembered; validation and test: (2,)."""
    model = None
    for t in range(5):
        old = remember(model, t) if t else None
        x = stream[t] if old is None else torch.cat([stream[t], old])
        model = fit_mixture(x, 2 if old is None else 2 * (t + 1), seed, floor)
    scores = [[model.score(x.numpy()) for x in exam] for exam in exams]
    return torch.tensor(scores).mean(1)

def nothing(model, t):
    return None

def everything(model, t):
    return torch.cat(stream[:t])

def replay(model, t):  # as many per past task as arrive now
    return torch.as_tensor(model.sample(t * len(stream[t]))[0])

def buffer(size):
    kept = [x[torch.randperm(len(x), generator=gen)[:size]] for x in stream]
    def remember(model, t):
        n = len(stream[t])
        old = [rows.repeat(n // size + 1, 1)[:n] for rows in kept[:t]]
        return torch.cat(old)
    return remember


# %% mystnb={"figure": {"name": "fig-systems-forgetting", "caption": "Test log-likelihood at the end of the stream, mean of the five tasks and of three seeds, against the floor; filled: the floor that is best on validation digits. The smaller the buffer, the higher the floor that it needs. Each at its best, replay loses least, and even ten images per task help."}, "image": {"alt": "Five curves over floors from 0.5 to 64, each with a peak: highest for all data, then replay, both at a low floor; then a buffer of thirty at a middle floor and of ten at a high one; far below, refitting alone. At the lowest floor the buffer of ten is lowest; at the highest, all but replay are close."}} tags=["hide-input", "picture-varies"]
floors = [0.5, 1, 2, 4, 8, 16, 32, 64]
remedies = {"all data": lambda: everything, "replay": lambda: replay, "buffer of 30": lambda: buffer(30),
            "buffer of 10": lambda: buffer(10), "nothing": lambda: nothing}
final = {name: torch.stack([torch.stack([learn(new(), seed, f) for f in floors]) for seed in range(3)]).mean(0)
         for name, new in remedies.items()}  # (8 floors, validation and test)
chosen = {name: int(scores[:, 0].argmax()) for name, scores in final.items()}
_, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
for k, ((name, scores), mark) in enumerate(zip(final.items(), "osD^v", strict=True)):
    ax.semilogx(floors, scores[:, 1], mark + "-", color=colors.cycle[k], label=name, ms=6, lw=1.2, mfc="white")
    ax.plot(floors[chosen[name]], scores[chosen[name], 1], mark, color=colors.cycle[k], ms=7)
ax.set(xlabel="floor (squared grey levels)", ylabel="test log-likelihood (nats)", xticks=floors, xticklabels=floors)
ax.minorticks_off()
ax.legend(ncols=1, fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
plt.show()

# %% tags=["hide-input"]
at_best = {name: scores[chosen[name], 1] for name, scores in final.items()}
short = at_best["all data"] - at_best["nothing"]
claim("systems-forgetting", "test log-likelihood of all data minus that of refitting alone, each at its floor", short,
      item="Q0.13 S0.37", by="0 without forgetting; other splits and seeds", at_least=9, at_most=15, unit="nats", stable=False)
for name, slug, low, high in (("replay", "replay", 0.08, 0.25), ("buffer of 30", "buffer-thirty", 0.2, 0.4),
                              ("buffer of 10", "buffer-ten", 0.4, 0.65)):
    claim(f"systems-{slug}", f"share of that lost with {name}, at its floor", (at_best["all data"] - at_best[name]) / short, item="Q0.13",
          by="0 without forgetting, 1 without memory; other splits and seeds", at_least=low, at_most=high, stable=False)
low = {name: scores[0, 1] for name, scores in final.items()}
claim("systems-floor-low", "share lost with buffer of 10, all at the lowest floor",
      (low["all data"] - low["buffer of 10"]) / (low["all data"] - low["nothing"]), item="Q0.13",
      by="0 without forgetting, 1 without memory; other splits and seeds", at_least=0.9, at_most=1.8, stable=False)


# %% [markdown]
# Each at its floor, replay loses less than a quarter of what refitting alone loses, thirty images per task less than two fifths, ten about a half. At the
# lowest floor, which costs all data almost nothing, ten images save nothing: the components shrink onto them.
#
# :::{exercise-start} Learning on without forgetting
# :label: q0-13
# :class: question
# :::
# {item}`Q0.13` New data keep arriving. How does one adapt a generative model so that it can still sample from earlier "versions" of the distribution, and does
# not forget?
# :::{exercise-end}
# :::
#
# :::{solution-start} q0-13
# :label: q0-13-solution
# :class: dropdown
# :::
# **Make the version a variable:** $p(x\mid v)$. There are three ways:
#
# - *Exact, cheap in parameters per version:* keep the parameters, or the sufficient statistics, of each version. An exponential family updates by adding
#   statistics. The mixture of {numref}`fig-systems-forgetting`, with each task's two components kept as first fitted,
#   does as well as with all data and stores no image. Deep models keep a frozen trunk and a small adapter per version.
# - *Rehearsal:* a buffer of real data, as good as its size if the floor suits it.
# - *Replay:* no data kept, but the model's errors are learned again at every round. {numref}`fig-systems-forgetting` shows it working over four rounds. Over many
#   it fails: twenty refits to its own draws cost the mixture more than nine nats. The floor, which every fit adds again, is not to blame: drawn without it,
#   they cost more still. It is the sampling. A Gaussian without a floor provably shrinks. Fit it to $n$ draws of itself, again
#   and again: each maximum-likelihood fit multiplies the variance by $\chi^2_{n-1}/n$, so that after $g$ rounds
#
# $$
# \begin{aligned}
# \mathbb E[\sigma_g^2]&=\Bigl(1-\frac1n\Bigr)^{g}\sigma_0^2 ,\\
# \mathbb E[\log\sigma_g^2]&=\log\sigma_0^2+g\Bigl(\psi\bigl(\tfrac{n-1}2\bigr)+\log\tfrac2n\Bigr),
# \end{aligned}
# $$ (eq-systems-collapse)
#
# with the digamma function $\psi$. The second is near $-2g/n$: typical runs shrink twice as fast as the mean. This is **model collapse**
# {cite:p}`shumailov2024`. Fresh real data in each round stop it. If each draw is with probability $\alpha$ a real one from $\mathcal N(0,1)$, the moments
# $V=\mathbb E[\sigma^2]$ and $M=\mathbb E[\mu^2]$ follow a linear recursion with the total variance $T=\alpha+(1-\alpha)V+\alpha(1-\alpha)M$,
#
# $$
# V\leftarrow\Bigl(1-\frac1n\Bigr)T,\qquad M\leftarrow(1-\alpha)^2M+\frac{T}{n} ,
# $$ (eq-systems-fresh)
#
# whose fixed point is not zero: one real draw in ten keeps on average {value}`systems-fresh-fixed:.2f` of the variance for $n=20$ (the median run
# {value}`systems-fresh-median:.2f`). Report the whole matrix of scores, the
# storage, and the drift of the data, so that a fall can be told from a change of task.

# %%
def generations(n, rounds, fresh=0.0, runs=6000):
    """Refit a Gaussian to n draws, each real with probability fresh: (runs,)."""
    mean, var = torch.zeros(runs), torch.ones(runs)
    for _ in range(rounds):
        noise = torch.randn(runs, n, generator=gen)
        x = mean[:, None] + var.sqrt()[:, None] * noise  # draws of the last fit
        real = torch.rand(runs, n, generator=gen) < fresh
        x = torch.where(real, torch.randn(runs, n, generator=gen), x)
        mean, var = x.mean(1), x.var(1, correction=0)
    return var

def recursion(n, rounds, fresh):
    v, m = 1.0, 0.0
    for _ in range(rounds):
        total = fresh + (1 - fresh) * v + fresh * (1 - fresh) * m
        v, m = (1 - 1 / n) * total, (1 - fresh) ** 2 * m + total / n
    return v

alone, mixed_in = generations(100, 50), generations(20, 60, fresh=0.1)

# %% tags=["hide-input"]
mean, se = monte_carlo(alone)
claim("systems-collapse", "mean variance after 50 rounds of fitting 100 own draws", mean, 0.99**50,
      by="(1 - 1/n)^g", se=se)
mean, se = monte_carlo(alone.log())
claim("systems-collapse-typical", "mean log variance after 50 rounds; by the rate of the mean it would be -0.50", mean,
      50 * (torch.digamma(torch.tensor(49.5)) + math.log(2 / 100)), item="Q0.13", by="g (digamma((n-1)/2) + log(2/n))", se=se)
mean, se = monte_carlo(mixed_in)
claim("systems-fresh", "mean variance after 60 rounds of 20 draws, one in ten of them real", mean,
      recursion(20, 60, 0.1), by="linear recursion of two moments", se=se)
rest = 1 / (20 * (1 - 0.9**2))  # M over T at rest
claim("systems-fresh-fixed", "that recursion after 500 rounds", recursion(20, 500, 0.1), 0.95 * 0.1 / (1 - 0.9 * 0.95 - 0.09 * rest),
      item="Q0.13", by="its fixed point, from two linear equations", rtol=1e-9)
claim("systems-fresh-median", "median variance after 60 rounds of 20 draws, one in ten of them real", mixed_in.median(), item="Q0.13",
      by="below the mean: few runs are wide; other seeds", at_least=0.57, at_most=0.68, digits=2)

fitted = [fit_mixture(x, 2, 0, floors[chosen["all data"]]) for x in stream]
log_each = [torch.stack([torch.as_tensor(m.score_samples(x.numpy()) + math.log(len(old) / len(train))) for m, old in zip(fitted, stream, strict=True)])
            for x in exams[1]]
claim("systems-kept", "test log-likelihood of components kept task by task minus that of all data", sum(x.logsumexp(0).mean() for x in log_each) / 5
      - at_best["all data"], item="Q0.13", by="the same ten components; other splits and seeds", at_least=-0.3, at_most=1.2, unit="nats", stable=False)


def refits(floor, drawn_with):
    """Test log-likelihood that twenty refits to own draws cost; the draws keep a share of the floor."""
    model, score = fit_mixture(torch.cat(stream), 10, 0, floor), []
    for _ in range(21):
        score.append(sum(model.score(x.numpy()) for x in exams[1]) / 5)
        model.covariances_ -= (1 - drawn_with) * floor * torch.eye(20).numpy()
        model = fit_mixture(torch.as_tensor(model.sample(len(train))[0]), 10, 0, floor)
    return score[0] - score[-1]


cost, cost_without = refits(1.0, 1), refits(1.0, 0)
claim("systems-replay-many", "test log-likelihood that 20 refits of ten components to their own draws cost, floor 1", cost,
      item="Q0.13", by="0 if its samples were as good as data; other splits and seeds", at_least=9, at_most=20, unit="nats", stable=False)
claim("systems-replay-floor", "the same without the floor in the draws, minus that", cost_without - cost,
      item="Q0.13", by="below 0 if the floor were to blame; other splits and seeds", at_least=3, at_most=40, unit="nats", stable=False)


# %% [markdown]
# :::{solution-end}
# :::
#
# ## When there is no test set
#
# {item}`S0.35` Drug discovery has no held-out list of the molecules that should exist. {ref}`ch-at-work` set up a miniature: valid strings of twelve brackets,
# $C_6=132$ in all, some known, the others to be discovered; validity, novelty and coverage each flatter some useless model. Here the known ones arrive as a stream
# of 120 uniform draws, about eighty of them different. A harder opponent than the memoriser is an **editor**, which takes a known string and swaps two neighbouring
# brackets wherever an oracle calls the result valid. What tells it from a **grammar**, which opens a bracket with a probability that depends on how many are open?
# Since the strings can be enumerated, the measures of a model are exact; only the stream is random, so we average over 24. (The first two models mix in 1 % of uniform
# strings, so that no code is infinitely long.)

# %% tags=["hide-input"]
def is_valid(w):
    heights = list(itertools.accumulate(1 if c == "(" else -1 for c in w))
    return min(heights) >= 0 and heights[-1] == 0


every = ["".join(w) for w in itertools.product("()", repeat=12)]  # 4096
valid = [w for w in every if is_valid(w)]  # 132
valid_set = set(valid)
FLOOR = 0.01 / len(every)


def memoriser(seen):
    p = Counter(seen)
    return lambda w: math.log(0.99 * p[w] / len(seen) + FLOOR) if seen else -12 * math.log(2)


def uniform(seen):
    return lambda w: -math.log(132) if w in valid_set else -math.inf


def choices(w):
    """(number of open brackets, next bracket) wherever both brackets are possible"""
    heights = itertools.accumulate((1 if c == "(" else -1 for c in w), initial=0)
    return [(h, c) for i, (h, c) in enumerate(zip(heights, w, strict=False)) if 0 < h < 12 - i]


# %%
def editor(seen, blank=0.01, of=every):
    """log p: a valid swap of a known string; else (`blank`) any `of` a list."""
    p = Counter()
    for w in seen:
        swaps = [w[:i] + w[i + 1] + w[i] + w[i + 2 :] for i in range(11)]
        swaps = [v for v in swaps if v in valid_set and v != w]
        for v in swaps:
            p[v] += 1 / len(seen) / len(swaps)
    blank = blank if seen else 1.0
    return lambda w: math.log((1 - blank) * p[w] + blank / len(of))

def grammar(seen):
    """log p: open or close, by counts for each number of open brackets."""
    count = Counter(choice for w in seen for choice in choices(w))
    def log_p(w):
        if w not in valid_set:
            return -math.inf
        total = 0.0
        for h, c in choices(w):
            both = count[h, "("] + count[h, ")"]
            total += math.log((count[h, c] + 0.5) / (both + 1))
        return total
    return log_p


# %% [markdown]
# Where a likelihood exists there *is* a criterion without a test set: the **prequential** {cite:p}`dawid1984` **code length** {cite:p}`rissanen1986`. Let the known strings arrive one by
# one, predict each with the model fitted to those before it, and add up the bits, $-\sum_i\log_2p(x_i\mid x_1,\dots,x_{i-1})$. Every string is a test example
# before it is a training example.

# %%
def prequential(family, known):
    """Bits per string, each coded by the model of the strings before it."""
    nats = -sum(family(known[:i])(w) for i, w in enumerate(known))
    return nats / len(known) / math.log(2)


# %% tags=["hide-input"]
families = {"memoriser": memoriser, "editor": editor, "grammar": grammar, "uniform (truth)": uniform}


def measure(family, known, secret):
    log_p = family(known)
    p = {w: math.exp(log_p(w)) for w in valid}
    return [
        sum(p.values()),  # valid
        sum(p[w] for w in secret),  # novel
        sum(1 - (1 - p[w]) ** 500 for w in secret) / len(secret),  # covered by 500 draws
        -sum(log_p(w) for w in valid) / 132 - math.log(132),  # divergence of the truth to the model
        prequential(family, known),  # bits, from known strings alone
    ]


def world():
    known = [valid[i] for i in torch.randint(132, (120,), generator=gen).tolist()]
    return known, sorted(valid_set - set(known))


splits = [world() for _ in range(24)]  # streams, and what they leave secret
reports = torch.tensor([[measure(f, *s) for f in families.values()] for s in splits])  # (24, 4 models, 5 measures)
known, secret = splits[0]

# %% mystnb={"figure": {"name": "fig-systems-strings", "caption": "Four models of bracket strings under five measures, means over 24 streams of known strings; darker is better within a column. By validity, novelty and coverage the editor is nearly as good as the grammar. The code length, computed from the known strings alone, tells them apart; its order is that of the true divergence."}, "image": {"alt": "A table drawn as shaded cells: rows memoriser, editor, grammar and uniform; columns share valid, share novel, share of secret strings covered, divergence from the truth in nats, and bits per known string. Editor and grammar are close in the first three and differ in the last two."}} tags=["hide-input"]
values = reports.mean(0)
worst, best = values.min(0).values, values.max(0).values
good = (values - worst) / (best - worst)
good[:, 3:] = 1 - good[:, 3:]                # less is better
good[:, 0] = 1.0                             # all are valid
_, ax = plt.subplots(figsize=(6.5, 2.4))
ax.imshow(good, cmap="Blues", vmin=0, vmax=1.6, aspect="auto")
for i, j in itertools.product(range(4), range(5)):
    ax.text(j, i, f"{values[i, j] + 0.0:.2f}", ha="center", va="center")
ax.set_xticks(range(5), ["valid", "novel", "secret ones\ncovered", "KL(truth‖model)\n(nats)", "bits per\nknown string"])
ax.set_yticks(range(4), list(families))
ax.tick_params(length=0)
plt.show()

# %% tags=["hide-input"]
edit, gram = 1, 2
claim("systems-editor", "editor minus grammar, mean of 24 streams: share valid, share novel, share of secret strings covered",
      (values[edit, :3] - values[gram, :3]).round(decimals=3), torch.zeros(3), item="Q0.9 S0.37",
      by="the usual measures hardly tell", atol=0.05, digits=2)
claim("systems-editor-kl", "mean divergence of the truth to the editor over that to the grammar", values[edit, 3] / values[gram, 3],
      item="Q0.9", by="1 if the editor were as good; other seeds", at_least=2.4, at_most=3.6, digits=2)
claim("systems-code-ranks", "streams, of 24, in which code length and divergence put the four models in one order",
      (reports[:, :, 3].argsort(1) == reports[:, :, 4].argsort(1)).all(1).sum(),
      item="Q0.9", by="the divergence needs the truth, the code does not; other seeds", at_least=22, at_most=24)


def brave(seen):
    """An editor that draws any of the 132 valid strings one time in four."""
    return editor(seen, 0.25, valid)


other = torch.tensor([[measure(f, *s)[3:] for f in (brave, grammar)] for s in splits])  # (24, 2, 2)
better = other[:, 0] < other[:, 1]  # is the editor's divergence lower, and its code shorter?
claim("systems-brave-divergence", "streams, of 24, in which the brave editor is nearer to the truth than the grammar",
      better[:, 0].sum(), item="Q0.9", by="other seeds", at_least=13, at_most=24)
claim("systems-brave-code", "streams, of 24, in which its code is shorter", better[:, 1].sum(),
      by="other seeds", at_least=0, at_most=6)
claim("systems-sum", "total probability of memoriser, editor and grammar over all 4096 strings",
      torch.tensor([sum(math.exp(families[n](known)(w)) for w in every) for n in ("memoriser", "editor", "grammar")]),
      torch.ones(3), by="they are probabilities", atol=1e-9)

# %% [markdown]
# In {numref}`fig-systems-strings` the first three measures hardly tell the editor from the grammar; its divergence from the truth is
# {value}`systems-editor-kl:.1f` times as large, with this floor. The code length needs neither the truth nor a test set, and puts all four models in the order
# of the divergence in {value}`systems-code-ranks:.0f` of the 24 streams. For independent draws its mean is the entropy plus the divergence (in bits), averaged over
# all numbers of known strings from none on: it ranks *ways to learn*, not the models that they end with. An editor that draws any valid string one time in four
# learns slowly and ends well: at the end it is nearer to the truth than the grammar in {value}`systems-brave-divergence:.0f` of the streams, and its code is
# shorter in {value}`systems-brave-code:.0f`.
#
# :::{exercise-start} Evaluation without a test set
# :label: q0-9
# :class: question
# :::
# {item}`Q0.9` How would you evaluate a generative model in a domain with no well-defined test set, such as molecules for drug discovery?
# :::{exercise-end}
# :::
#
# :::{solution-start} q0-9
# :label: q0-9-solution
# :class: dropdown
# :::
# Ask several questions, and give each its trivial baseline.
#
# 1. **Is it valid?** An oracle (syntax, physics) decides. Necessary; a memoriser has it.
# 2. **Is it new, and not one string over and over?** Novelty and uniqueness. Necessary; the editor has them.
# 3. **Does it cover?** Hold out what *is* known, split by scaffold or by time rather than at random, since random neighbours leak. Measure the share recovered
#    by $N$ draws against that of the true distribution, here $1-(1-\tfrac1{132})^N$ (a model that skips the known strings recovers more).
# 4. **Is the distribution right?** Distances between distributions of descriptors, with their null values. In the cell: the number of peaks `()` of a uniform valid
#    string of length 12 follows the Narayana numbers $1,15,50,50,15,1$. The memoriser's distance is the null value, that of 120 true draws, and the grammar's
#    {value}`systems-peaks-grammar:.1f` of it: so coarse a descriptor unmasks a memoriser reliably only by a reference much larger than what it was shown.
# 5. **How short is the code?** Where there is a likelihood, the prequential code length of {numref}`fig-systems-strings`: no test set needed, and a ranking of
#    ways to learn.
# 6. **Is it useful?** Hits per call of an expensive oracle, with the oracle's own error, and in the end blinded experts or the laboratory.

# %%
narayana = torch.tensor([1, 15, 50, 50, 15, 1])

def peaks(log_p):
    """Distribution of the number of peaks among valid strings: (6,)."""
    mass = torch.zeros(6)
    for w in valid:
        mass[w.count("()") - 1] += math.exp(log_p(w))
    return mass / mass.sum()

away = torch.tensor([[0.5 * (peaks(f(known)) - narayana / 132).abs().sum()
                      for f in (memoriser, grammar)] for known, _ in splits])  # (24, 2)

# %% tags=["hide-input"]
from scipy.stats import binom

claim("systems-narayana", "valid strings of length 12 with 1 to 6 peaks", torch.tensor([sum(w.count("()") == k for w in valid) for k in range(1, 7)]),
      torch.tensor([math.comb(6, k) * math.comb(6, k - 1) // 6 for k in range(1, 7)]), item="Q0.9", by="Narayana numbers")
null = sum(0.5 * abs(x / 120 - k / 132) * binom.pmf(x, 120, k / 132) for k in narayana.tolist() for x in range(121))
m, se = monte_carlo(away[:, 0])
claim("systems-peaks-null", "total variation of the number of peaks, memoriser, mean of 24 streams",
      m, null * 0.99 / (0.99 + 132 * FLOOR), by="120 true draws: binomial counts", se=se)
claim("systems-peaks-grammar", "the same of the grammar, over that", away[:, 1].mean() / away[:, 0].mean(), item="Q0.9",
      by="1 if the descriptor could not tell; other seeds", at_least=0.35, at_most=0.7, digits=1)

# %% [markdown]
# :::{solution-end}
# :::
#
# ## What this part has shown
#
# {item}`S0.36` Five points sum up this part:
#
# 1. What is "best" must be chosen, and the choice decides what is learned when the truth is out of reach ({ref}`ch-divergences`); maximum likelihood is one of
#    the choices, not a further one.
# 2. High dimension is an obstacle to tables, not to structure ({ref}`ch-finite-data`); modes are lost by games and reverse divergences, not by maximum
#    likelihood.
# 3. The four families differ in what they optimise and in what they can compute ({ref}`ch-families`).
# 4. Rates, noise and regularisers have formulas ({ref}`ch-optimisation`, {ref}`ch-adversarial`, {ref}`ch-critics`, {ref}`ch-curriculum`), and some folklore about
#    them is false.
# 5. Every metric has a blind spot that can be constructed ({ref}`ch-evaluation`, {ref}`ch-human`).
#
# :::{admonition} Common mistake: A source on a neighbouring subject will do
# :class: mistake
# {item}`E0.27` One finds lecture slides on limited data, on counting images and on the question what is best cited for optimisation strategies, mode collapse
# and evaluation. Those slides are about other subjects; the pages above cite papers on these.
# :::
#
# ## Exercises
#
# :::{bank} systems-stacking
# :::
#
# :::{bank} systems-forgetting
# :::
#
# :::{bank} systems-reservoir
# :::
#
# :::{bank} systems-prequential
# :::
#
# :::{bank} systems-explain-collapse
# :::
#
# ## What to read next
#
# - {cite:t}`smyth1999` stacks density estimators; {cite:t}`tolstikhin2017` boosts generators.
# - {cite:t}`shin2017` introduced generative replay; {cite:t}`shumailov2024` is the paper on model collapse.
# - {cite:t}`dawid1984` argues that a model should be judged by its predictions in sequence.
