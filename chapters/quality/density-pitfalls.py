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
# (ch-density-pitfalls)=
# # What a density does not say
#
# A density model was fitted to small pieces of two photographs. {numref}`fig-density-pitfalls-rows` shows pieces that it has never seen, the same pieces blurred, and the
# same pieces replaced by their average grey. Which row has the highest density?

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-density-pitfalls-rows", "caption": "Twelve pieces of photographs that the model has not seen (A), the same blurred (B), and the same made flat (C). Guess how the model orders the three rows."}, "image": {"alt": "Three rows of twelve small grey squares. In the first row edges, leaves and texture can be seen, in the second the same softer, in the third each square is one grey."}}
import math

import matplotlib.pyplot as plt
import torch
import torch.distributions as td
import torch.nn.functional as F
from scipy.fft import dctn
from sklearn.mixture import GaussianMixture

from genkit.claims import claim, self_check
from genkit.data import dequantise, digits, patches
from genkit.plot import image_grid, style
from genkit.train import seed_everything

style()
gen = seed_everything(0)
torch.set_default_dtype(torch.float64)
data = patches(8)  # grey levels 0..255; 8×8; no pixel of `train` in the others
train, a, b = (
    dequantise(p.x.double(), 256, generator=gen) for p in (data.train, data.validation, data.test)
)  # (4608, 64), (1536, 64), (1536, 64) in [0, 1)
held = torch.cat([a, b])[torch.randperm(3072, generator=gen)]
validation, test, others = held.split(1024)  # three samples of one source


def grey(x):  # back to 256 levels, with fresh noise in each cell
    whole = (256 * x).floor().clamp(0, 255)
    return (whole + torch.rand(x.shape, generator=gen)) / 256


def blurred(x):
    padded = F.pad(x.view(-1, 1, 8, 8), (1, 1, 1, 1), mode="replicate")
    return grey(F.avg_pool2d(padded, 3, 1).flatten(1))


def enlarged(x):
    middle = x.view(-1, 1, 8, 8)[:, :, 2:6, 2:6]
    return grey(F.interpolate(middle, size=8, mode="bilinear").flatten(1))


mean = others.mean(1, keepdim=True)
strange = {
    "other patches": others,
    "flat": grey(mean.expand(-1, 64)),
    "blurred": blurred(others),
    "enlarged": enlarged(others),
    "more contrast": grey(mean + 1.4 * (others - mean)),
    "pixels shuffled": others[:, torch.randperm(64, generator=gen)],
    "digits": dequantise(digits().test.x, generator=gen),
}
lively = others.std(1).argsort(descending=True)[60:480:35]
fig, ax = plt.subplots(figsize=(6, 1.7))
image_grid(torch.cat([others[lively], strange["blurred"][lively], strange["flat"][lively]]), ncols=12, ax=ax, vmin=0, vmax=1)
ax.set_yticks([4 + 9 * i for i in range(3)], "ABC")
plt.show()


# %% [markdown]
# After this lecture you will be able to
#
# - say why a log density may be unbounded, and bound it by dequantisation, with the gap;
# - change coordinates so that a model's ranking of examples turns around;
# - build a test for strange examples that has an alternative, and say what it can't see;
# - judge a Parzen estimate of a likelihood.
#
# One idea runs through all of it: **a density is probability per volume, and volume is not in the data.**
#
# ## Denser than the data
#
# The model is a mixture of Gaussians, fitted by scikit-learn's EM; the number of components is chosen on validation patches.

# %%
def fit_mixture(x, k):  # x (n, d) -> a function: (m, d) -> (m,) nats
    model = GaussianMixture(k, reg_covar=1e-5, max_iter=500, random_state=0)
    model.fit(x.numpy())
    return lambda y: torch.from_numpy(model.score_samples(y.numpy()))


sizes = (3, 10, 30)
models = [fit_mixture(train, k) for k in sizes]
held_out = [m(validation).mean() for m in models]
log_p = models[max(range(3), key=lambda i: held_out[i])]


# %% [markdown]
# To judge a score for strangeness one asks how often a strange example gets a higher score than an ordinary one: the **AUROC**. Half is no better than a coin; below a half
# the test prefers the strange. The plain score is $-\log p(x)$.

# %%
def auroc(ordinary, odd):  # scores (n,), (m,): higher means stranger
    return (odd[:, None] > ordinary).double().mean().item()


surprise = {name: -log_p(x) for name, x in strange.items()}  # nats
ordinary = -log_p(test)  # (1024,)
plain = {name: auroc(ordinary, s) for name, s in surprise.items()}
print(f"test patches      {ordinary.mean():8.0f} nats")
for name, s in surprise.items():
    print(f"{name:16}  {s.mean():8.0f} nats   AUROC {plain[name]:.2f}")

# %% tags=["hide-input"]
SEEDS = "6 splits and seeds"
claim("density-pitfalls-size", "components chosen on validation", float(sizes[held_out.index(max(held_out))]), 10.0,
      by="inside its grid, 6 seeds")
claim("density-pitfalls-flat", "AUROC of -log p, flat patches", plain["flat"], by=SEEDS, at_least=0.02, at_most=0.1, digits=2)
claim("density-pitfalls-blurred", "AUROC of -log p, blurred patches", plain["blurred"], by=SEEDS, at_least=0.28, at_most=0.39, digits=2)
claim("density-pitfalls-others", "AUROC of -log p, other patches", plain["other patches"], by="half: the same source; 6 splits and seeds", at_least=0.46, at_most=0.54, digits=2)
claim("density-pitfalls-digits", "AUROC of -log p, digits", plain["digits"], by=SEEDS, at_least=0.99, at_most=1.0, digits=2)
swapped = fit_mixture(held, 10)  # other parts of the photographs
fresh = train[torch.randperm(len(train), generator=gen)[:1500]]
own, soft = -swapped(fresh), -swapped(blurred(fresh))
still = -swapped(grey(fresh.mean(1, keepdim=True).expand(-1, 64)))
claim("density-pitfalls-swapped", "roles of the photographs' parts exchanged: AUROC of flat and blurred",
      [auroc(own, still), auroc(own, soft)], by="below one half", at_least=0.0, at_most=0.42, digits=2)

# %% [markdown]
# Flat patches get AUROC {value}`density-pitfalls-flat:.2f`, blurred ones {value}`density-pitfalls-blurred:.2f`: by its own density, the model likes hardly anything better than a blank wall. Digits it
# finds absurd ({value}`density-pitfalls-digits:.2f`). Deep models do the same: trained on photographs of objects, they give *house numbers* a higher likelihood than new
# photographs {cite:p}`nalisnick2019`.
#
# The seven sources are other patches of the same photographs, these made flat, blurred, enlarged, given 1.4 times the contrast, or with their pixels in another order, and digits.
#
# Is the model bad, then? Not for that: the densest point of a perfect model need not look like its draws. The mean of a Gaussian in 64 dimensions is denser than any draw that one will ever see (the
# question below has the numbers). The rest of this lecture is about the reason, volume.
#
# ## Volume can vanish: unbounded likelihood
#
# {item}`S3.4` In the digits of the earlier chapters some pixels never change. Fit one Gaussian a pixel, with a floor $s$ under the standard deviation:

# %%
images = digits()
x_train, x_test = images.train.x / 16, images.test.x / 16  # not dequantised
fixed = (images.train.x.std(0) == 0).nonzero().flatten().tolist()


def pixel_log_density(x, floor):  # x (n, 64) -> mean nats per image
    pixel = td.Normal(x_train.mean(0), x_train.std(0).clamp(min=floor))
    return pixel.log_prob(x).sum(1).mean().item()


floors = [10.0**-k for k in range(1, 9)]
on_train = [pixel_log_density(x_train, s) for s in floors]
on_test = [pixel_log_density(x_test, s) for s in floors]
print(f"{len(fixed)} pixels never change in training")
for k in (0, 3, 6):
    scores = f"training {on_train[k]:6.1f}, test {on_test[k]:.3g} nats"
    print(f"floor {floors[k]:.0e}: {scores}")

# %% tags=["hide-input"]
always = [j for j in (0, 32, 39) if j in fixed]
only = td.Normal(x_train.mean(0)[always], 1e-4).log_prob(x_test[:, always]).sum(1).mean()
less = td.Normal(x_train.mean(0)[always], 1e-6).log_prob(x_test[:, always]).sum(1).mean()
claim("density-pitfalls-slope", "training: gain for each tenfold smaller floor", on_train[7] - on_train[6], len(fixed) * math.log(10),
      item="E3.7", by="log 10 for each pixel that never changes", atol=1e-6, unit="nats")
claim("density-pitfalls-three", "test, the three pixels that are constant in all digits: gain from floor 1e-4 to 1e-6",
      less - only, 6 * math.log(10), item="E3.7", by="2 log 10 a pixel", atol=1e-6, unit="nats")
claim("density-pitfalls-crash", "test: log-likelihood at floor 1e-8 over that at 1e-7", on_test[7] / on_test[6], 100.0,
      by="the square of ten: a test digit has ink where no training digit has", rtol=0.01, depends_on="split")
spread, spread_test = (dequantise(part.x, generator=gen) for part in (images.train, images.test))
bounded = [td.Normal(spread.mean(0), spread.std(0).clamp(min=s)).log_prob(spread_test).sum(1).mean() for s in (1e-4, 1e-8)]
claim("density-pitfalls-dequantised", "the same after dequantisation: change from floor 1e-4 to 1e-8", bounded[1] - bounded[0], 0.0,
      item="E3.7", by="no deviation comes near the floors, so they never act", atol=1e-9, unit="nats")

# %% [markdown]
# Each tenfold narrower floor gains $\log10$ nats for each of those pixels, without end, on the training images. On test images the reward turns into a crash
# as soon as one of them has ink in such a pixel (in this split some have, and the score falls a hundredfold with each step).
#
# :::{admonition} Common mistake: In high dimension a likelihood can be made arbitrarily high
# :class: mistake
# {item}`E3.7 X3.3` Dimension has nothing to do with it. A *continuous* density on data that take *discrete* or constant values has no upper bound in any dimension: the mass of a point may sit on
# a spike as thin as one likes. Spread each level over its cell, and the *mean over fresh noise* is bounded again; on noise that is drawn once and stored, a lookup table still rises without end
# ({ref}`ch-likelihood-and-samples`).
# :::
#
# ### Dequantisation is a bound, and it can be learned
#
# Let $P(x)=\int_{[0,1)^d}q(x+u)\,\mathrm du$ be the probability that the density $q$ gives to the *cell* of the integers $x$. For any density $r(u\mid x)$ on the cell, Jensen's inequality
# gives
#
# $$
# \log P(x)=\log\mathbb E_{r}\,\frac{q(x+u)}{r(u\mid x)}\;\ge\;\mathbb E_{r}\log\frac{q(x+u)}{r(u\mid x)} ,
# $$ (eq-density-pitfalls-dequantisation)
#
# with equality if $r(u\mid x)=q(x+u)/P(x)$; the gap is $\mathrm{KL}\big(r(\cdot\mid x)\,\|\,q(x+\cdot)/P(x)\big)$. And $P(x)\le1$: in units of a level, the right-hand side is at most 0. (On
# $[0,1)$ it is at most $d\log L$ with $L$ levels.) **Uniform** dequantisation takes $r=1$; **variational** dequantisation {cite:p}`ho2019` learns $r$.
# How much is lost? For $q=\mathcal N(3.2,1.5^2)$ everything can be integrated; the simplest learned $r$ is a slope, $r(u\mid x)=1+c_x(u-\frac12)$.

# %%
q = td.Normal(3.2, 1.5)
u = (torch.arange(2000) + 0.5) / 2000  # midpoints of the cell
log_q = q.log_prob(torch.arange(-8.0, 15.0)[:, None] + u)  # (23, 2000)
log_P = log_q.exp().mean(1).log()  # of each integer


def gap(c):  # slopes (23,), |c| < 2 -> () nats: E log P - bound
    r = 1 + c[:, None] * (u - 0.5)
    bound = (r * (log_q - r.log())).mean(1)
    return (log_P.exp() * (log_P - bound)).sum()


uniform_gap = gap(torch.zeros(23))
raw = torch.zeros(23, requires_grad=True)
optimiser = torch.optim.LBFGS([raw], max_iter=200)


def closure():
    optimiser.zero_grad()
    loss = gap(1.99 * raw.tanh())
    loss.backward()
    return loss


optimiser.step(closure)
learned_gap = gap(1.99 * raw.detach().tanh())

# %% tags=["hide-input"]
edges = torch.arange(-8.0, 16.0)
claim("density-pitfalls-cells", "probability of each cell", log_P.exp(), q.cdf(edges[1:]) - q.cdf(edges[:-1]),
      by="difference of distribution functions", atol=1e-7)
draws = 3.2 + 1.5 * torch.randn(200_000, generator=gen)
cell = draws.floor()
log_cell = (q.cdf(cell + 1) - q.cdf(cell)).log()
noisy = q.log_prob(cell + torch.rand(200_000, generator=gen))
missing = log_cell - noisy
claim("density-pitfalls-uniform-gap", "uniform dequantisation: mean gap", uniform_gap, missing.mean(),
      by="simulation of 200 000 integers", se=missing.std() / math.sqrt(200_000), unit="nats", digits=3)
claim("density-pitfalls-learned-gap", "with a learned slope, over the uniform gap", learned_gap / uniform_gap, by="quadrature", at_least=0.01, at_most=0.02, digits=2)


# %% [markdown]
# Uniform noise loses {value}`density-pitfalls-uniform-gap:.4f` nats; the slope wins all but {value}`density-pitfalls-learned-gap:.1%` of that back. The gap is a property of $q$ and $r$, and does not
# go away with more data.
#
# ## Volume depends on the coordinates
#
# {item}`S3.6` An invertible change of variables $y=g(x)$ changes no probability of any event. It changes every density:
#
# $$
# \log p_y(y)=\log p_x(x)-\log\left|\det\frac{\partial g}{\partial x}\right| .
# $$ (eq-density-pitfalls-change)
#
# The extra term differs from example to example, so the *ranking* by density is a property of the coordinates. Photographs are often described by their cosine coefficients $c=Dx$, with
# $D$ orthogonal, hence $|\det D|=1$ (JPEG does); so take $y_j=\operatorname{sign}(c_j)\,|c_j|^{\alpha}$ for all $j$ but the mean. Then $\log|\partial y_j/\partial c_j|=\log\alpha+(\alpha-1)\log|c_j|$: for $\alpha<1$ the map stretches most near $c_j=0$, where flat patches have all their coefficients, and so thins their density.

# %%
def cosines(x):  # (n, 64) -> (n, 64); the first is the patch's mean
    c = dctn(x.view(-1, 8, 8).numpy(), axes=(1, 2), norm="ortho")
    return torch.from_numpy(c).flatten(1)


def log_density_in(alpha, log_x, c):  # (n,), (n, 64) -> (n,) nats
    log_slope = math.log(alpha) + (alpha - 1) * c[:, 1:].abs().log()
    return log_x - log_slope.sum(1)


c_test, c_odd = cosines(test), {k: cosines(x) for k, x in strange.items()}
alphas = (1.0, 0.8, 0.6, 0.4, 0.2, 0.05)
ranking = {
    name: [
        auroc(
            -log_density_in(a, -ordinary, c_test),
            -log_density_in(a, -surprise[name], c_odd[name]),
        )
        for a in alphas
    ]
    for name in strange
}

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-density-pitfalls-coordinates", "caption": "The same model and the same data in coordinates that stretch small cosine coefficients more and more, to the right. Flat patches go from the densest of all to the far side of ordinary ones, patches with more contrast the other way. Digits stay strange."}, "image": {"alt": "Lines of AUROC against the exponent alpha from 1 down to 0.05. Flat rises from below 0.1 to nearly 0.9, blurred and enlarged rise past one half; more contrast falls from 0.7 to 0.3 and shuffled pixels fall too; digits stay near 1 and other patches at one half."}}
fig, ax = plt.subplots(figsize=(5.8, 3.5))
for (which, values), dash in zip(ranking.items(), ("-", "-", "--", ":", "-.", "--", ":"), strict=True):
    ax.plot(alphas, values, dash, marker="o", ms=3, label=which)
ax.axhline(0.5, color="0.6", lw=0.8)
ax.set(xlabel="exponent α (1: pixels)", ylabel="AUROC of -log density", xlim=(1.02, 0.03), ylim=(0, 1.04))
ax.legend(fontsize=7, ncol=2)
plt.show()

# %% tags=["hide-input"]
line = torch.randn(100_000, generator=gen)
y = line.sign() * line.abs() ** 0.5
edge = torch.tensor([0.25, 0.26])  # the density of y there, by counting
counted = ((y > edge[0]) & (y < edge[1])).double().mean() / 0.01
predicted = (td.Normal(0.0, 1.0).log_prob(torch.tensor(0.255**2)) - math.log(0.5) + 0.5 * math.log(0.255**2)).exp()
claim("density-pitfalls-change-law", "density of sign(c)·√|c| at 0.255, c ~ N(0, 1), by counting", counted, predicted,
      by="change of variables", se=math.sqrt(float(predicted) / 0.01 / 100_000))
claim("density-pitfalls-turned", "AUROC of flat patches at α = 0.05", ranking["flat"][-1], by=SEEDS, at_least=0.78, at_most=0.95, digits=2)
claim("density-pitfalls-contrast", "AUROC of more contrast at α = 1 and at 0.05", [ranking["more contrast"][0], ranking["more contrast"][-1]],
      by=SEEDS, at_least=0.22, at_most=0.8, digits=2)
claim("density-pitfalls-contrast-turned", "and the fall between them", ranking["more contrast"][0] - ranking["more contrast"][-1],
      by=SEEDS, at_least=0.2, at_most=0.5, digits=1)

# %% [markdown]
# At $\alpha=0.05$ flat patches have AUROC {value}`density-pitfalls-turned:.2f` ({numref}`fig-density-pitfalls-coordinates`). Nothing about the model has changed. On the line one can go all the way: in the coordinate $y=F(x)$, the
# distribution function, every continuous density is 1 everywhere. So “$x$ is improbable, since its density is low” needs a statement of coordinates, and {cite:t}`lelan2021` show that not
# even a *perfect* model helps.
#
# ## A test needs an alternative
#
# What then makes an example strange? That something *else* explains it better. The **Neyman–Pearson lemma** says it in full: among all tests of $p$ against a given alternative $b$ with the same false alarms, the one that
# thresholds $\log b(x)-\log p(x)$ finds most. In that ratio the Jacobian of {eq}`eq-density-pitfalls-change` cancels. The plain density is the special case of an alternative that is *uniform in the coordinates
# one happens to use*. Three tests ({numref}`fig-density-pitfalls-tests`):
#
# - the plain score, $-\log p(x)$;
# - the **likelihood ratio** against a background model, here the same mixture fitted to *blurred* training patches ({cite:t}`ren2019`, who proposed it, fit theirs to images with noise in some pixels);
# - **typicality**: by the law of large numbers the mean of $-\log p(x_i)$ over a batch of $m$ *independent* ordinary examples is near its expectation, neither above nor *below*; so score $\big|\frac1m\sum_i-\log p(x_i)-\hat H\big|$, with $\hat H$ the mean on
#   held-out data, for one example and for a batch of 50 of one source {cite:p}`nalisnick2019typicality`. Its alternative is whatever shifts that mean.

# %%
log_b = fit_mixture(blurred(train), 10)  # background: smooth patches
H = -log_p(validation).mean()


def batch_typicality(s, m=50, batches=400):
    """Surprises (n,) -> (batches,): distance of m-means from H, nats."""
    chosen = torch.randint(len(s), (batches, m), generator=gen)
    return (s[chosen].mean(1) - H).abs()


def ratio(x, s):  # (n, 64), surprises (n,) -> (n,) nats, log b - log p
    return log_b(x) + s


test_ratio = ratio(test, ordinary)
tests = {
    name: (
        plain[name],
        auroc(test_ratio, ratio(x, surprise[name])),
        auroc((ordinary - H).abs(), (surprise[name] - H).abs()),
        auroc(batch_typicality(ordinary), batch_typicality(surprise[name])),
    )
    for name, x in strange.items()
}

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-density-pitfalls-tests", "caption": "AUROC of four tests on seven sources. Each test finds what its alternative describes, and the first three are far below one half on some source."}, "image": {"alt": "Table with seven rows and four columns of numbers between 0 and 1. The ratio is near 1 for flat, blurred and enlarged patches and near 0 for digits; typicality of batches of fifty is high for flat, digits, enlarged and shuffled and lower for others; the plain density is near 1 only for digits."}}
shown = torch.tensor(list(tests.values()))
fig, ax = plt.subplots(figsize=(5.8, 3.4))
ax.imshow(shown, cmap="RdBu", vmin=-0.1, vmax=1.1, aspect="auto")
for i in range(7):
    for j in range(4):
        ax.text(j, i, f"{shown[i, j]:.2f}", ha="center", va="center", fontsize=8, color="k" if 0.15 < shown[i, j] < 0.85 else "w")
ax.set_xticks(range(4), ["density", "ratio to blurred", "typicality, one", "typicality, 50"])
ax.set_yticks(range(7), list(tests))
ax.set(xlabel="test", ylabel="source")
plt.show()

# %% tags=["hide-input"]
claim("density-pitfalls-ratio", "ratio: AUROC of blurred patches", tests["blurred"][1], by=SEEDS, at_least=0.88, at_most=0.97, digits=2)
claim("density-pitfalls-ratio-enlarged", "ratio: AUROC of enlarged patches", tests["enlarged"][1], by=SEEDS, at_least=0.85, at_most=0.97, digits=2)
claim("density-pitfalls-ratio-digits", "ratio: AUROC of digits", tests["digits"][1], by=SEEDS, at_least=0.0, at_most=0.1, digits=2)
claim("density-pitfalls-batch", "typicality of 50: AUROC of flat patches", tests["flat"][3], by=SEEDS, at_least=0.99, at_most=1.0, digits=2)
claim("density-pitfalls-batch-contrast", "typicality of 50: AUROC of more contrast", tests["more contrast"][3], by="8 splits and seeds", at_least=0.5, at_most=0.9, digits=1)
claim("density-pitfalls-batch-one", "typicality of one: AUROC of blurred patches", tests["blurred"][2], by=SEEDS, at_least=0.32, at_most=0.6, digits=1)
claim("density-pitfalls-batch-others", "typicality of 50: AUROC of other patches", tests["other patches"][3], by="half: the same source; 6 splits and seeds", at_least=0.42, at_most=0.6, digits=2)
half = torch.rand(1024, generator=gen) < 0.5
mixed = torch.where(half[:, None], strange["blurred"], strange["more contrast"])
claim("density-pitfalls-mixed", "typicality of 50: blurred and contrasted patches in one source", auroc(batch_typicality(ordinary), batch_typicality(-log_p(mixed))),
      by="their surprises nearly cancel; 8 splits and seeds", at_least=0.4, at_most=0.72, digits=2)


# %% [markdown]
# The ratio finds blurred patches ({value}`density-pitfalls-ratio:.2f`), and enlarged ones, which are smooth as well, but calls *digits* ordinary
# ({value}`density-pitfalls-ratio-digits:.2f`): the background gives them a still lower density than the model does. Typicality on single patches is no better than a coin
# for blur ({value}`density-pitfalls-batch-one:.1f`), on batches of fifty it is sure of flat patches. A source in which
# surprises cancel, half blurred and half contrasted, it misses ({value}`density-pitfalls-mixed:.2f`). Use several tests, name the alternative of each, and try each on a source that you made yourself. The threshold comes from *held-out* ordinary examples: the
# $k$-th largest of $n$ such scores is passed by a new ordinary one with probability $k/(n+1)$ at most, whatever their distribution, if all are exchangeable.
#
# ## Parzen estimates of a likelihood
#
# {item}`X3.8` A model that only draws samples has no density to report. A common way out was to put Gaussian bumps on its samples and to report the test log-likelihood
# of *that* (**Parzen window estimate**). The kernel's width is chosen on validation data. Try it where the truth is known, $\mathcal N(0,I_{64})$:

# %%
def parzen(centres, new, width):  # (k, d), (m, d) -> mean nats
    squared = torch.cdist(new, centres) ** 2
    log_bumps = -squared / (2 * width**2) - math.log(len(centres))
    normaliser = new.shape[1] / 2 * math.log(2 * math.pi * width**2)
    return (log_bumps.logsumexp(1) - normaliser).mean().item()


def scored(centres, tuning, new, widths):  # (k, d), (n, d), (m, d) -> nats
    best = max(widths, key=lambda h: parzen(centres, tuning, h))
    return parzen(centres, new, best)


wide = torch.logspace(-0.5, 0.3, 17).tolist()
normal = torch.randn(3, 2000, 64, generator=gen)
truth = -32 * math.log(2 * math.pi * math.e)  # mean log density of N(0, I)
true_draws = scored(normal[0, :500], normal[1], normal[2], wide)
origin = scored(torch.zeros(1, 64), normal[1], normal[2], wide)
print(f"N(0, I): {truth:.1f}, 500 draws {true_draws:.1f}, origin {origin:.1f}")

# %% tags=["hide-input"]
claim("density-pitfalls-parzen-truth", "500 draws from the truth, Parzen estimate", true_draws, by="6 seeds", at_least=-103.5, at_most=-100.5, unit="nats")
claim("density-pitfalls-parzen-origin", "one bump at the origin", origin, truth, by="a bump of width 1 at 0 is the truth; grid of widths, test noise", atol=0.5, unit="nats")
halved = scored(0.5 * normal[0, :500], normal[1], normal[2], wide)
claim("density-pitfalls-parzen-halved", "the same draws shrunk to half, minus the draws themselves", halved - true_draws, by="6 seeds", at_least=8.5, at_most=11.5, unit="nats", digits=2)

# %% [markdown]
# With 500 draws from the *true* distribution the estimate is {value}`density-pitfalls-parzen-truth:.1f` nats, {value}`density-pitfalls-parzen-short:.0f` below the truth. And it ranks wrongly: a single bump at
# the origin ({value}`density-pitfalls-parzen-origin:.0f`) does better than they, and so do the same draws shrunk to half their length, by {value}`density-pitfalls-parzen-halved:.0f` nats, with not one typical draw
# among them. Such numbers measure how well a set of points covers space with round bumps {cite:p}`theis2016`. They are no likelihoods of the model.
#
# ## In practice
#
# :::{list-table} Before you act on a density
# :header-rows: 1
# :name: tab-density-pitfalls-practice
#
# * - check
#   - call
#   - sign that it fails
# * - are values repeated or rounded?
#   - `np.unique(x[:, j]).size` far below $n$
#   - held-out score rises without end, or crashes, as `reg_covar` falls
# * - do the scores of anomalies that you *made* lie above those of data?
#   - `roc_auc_score` on blurred, flat, shuffled, rescaled copies
#   - below one half for any of them
# * - is there an alternative?
#   - `log_b - log_p`, the background fitted to augmented data
#   - an obvious stranger with a low ratio: keep the plain score beside it
# * - one example or a batch?
#   - typicality needs tens of examples of one source
#   - false alarms above the level on held-out batches
# :::
#
# scikit-learn's `roc_auc_score` gives the share of pairs that `auroc` counts:

# %%
from sklearn.metrics import roc_auc_score

labels = torch.cat([torch.zeros(1024), torch.ones(1024)])
scores = torch.cat([ordinary, surprise["blurred"]])
print(f"{roc_auc_score(labels, scores):.3f} {plain['blurred']:.3f}")

# %% tags=["hide-input"]
claim("density-pitfalls-practice", "AUROC of blurred patches by scikit-learn", roc_auc_score(labels, scores), plain["blurred"],
      by="the share of pairs", atol=1e-9, digits=3)
claim("density-pitfalls-parzen-short", "truth minus the Parzen estimate of 500 true draws", truth - true_draws, by="6 seeds", at_least=9.7, at_most=12.7, unit="nats", digits=2)

# %% [markdown]
# ## Questions
#
# :::{exercise-start} Likelihood in high dimension
# :label: q3-1
# :::
# {item}`Q3.1` How does the curse of dimensionality affect the reading of a log-likelihood of a generative model in high dimension?
# :::{exercise-end}
# :::
#
# :::{solution-start} q3-1
# :class: dropdown
# :::
# Four ways, one of them only a rumour. **Extensive:** differences grow with $d$ while the price of noise does not ({ref}`ch-likelihood-and-samples`), so that a lead in nats says ever less about samples. **Volume:** mass and
# density part. Draws of $\mathcal N(0,I_d)$ lie at radius $\sqrt d$ and have log density $-\frac d2\log2\pi e\pm\sqrt{d/2}$; the mode, $\frac d2$ nats denser, is never drawn. So a density is no measure of typicality.
# **Estimation:** kernel and Parzen estimates need examples exponential in $d$ ({ref}`ch-density`). The rumour: *arbitrarily high* likelihood belongs to continuous densities on discrete data, in any $d$.

# %%
for d in (1, 64, 3072):
    z = torch.randn(2000, d, generator=gen)
    log_density = -0.5 * (z**2).sum(1) - d / 2 * math.log(2 * math.pi)
    below_mode = -d / 2 * math.log(2 * math.pi) - log_density
    print(f"d = {d:4}: draws lie {below_mode.mean():7.1f} ± {below_mode.std():5.1f} nats below the mode")

# %% tags=["hide-input"]
claim("density-pitfalls-mode", "d = 3072: mean distance of draws below the mode", below_mode.mean(), 1536.0, by="d/2", se=math.sqrt(1536 / 2000), unit="nats")
claim("density-pitfalls-mode-spread", "and its standard deviation", below_mode.std(), math.sqrt(1536), by="square root of d/2", rtol=0.08, unit="nats")

# %% [markdown]
# :::{solution-end}
# :::
#
# ## Exercises
#
# ### To practise
#
# :::{exercise-start} Where is the most probable income?
# :label: practice-density-pitfalls-units
# :::
# Incomes $x$ have $\log x\sim\mathcal N(1,1)$. Where is the density of $x$ highest? Where is that of $\log x$, as an income? Which interval $[m/2,2m)$ has most *mass*?
# :::{exercise-end}
# :::
#
# :::{solution-start} practice-density-pitfalls-units
# :class: dropdown
# :::
# With $y=\log x$ the density of $x$ is $\frac1x\varphi(\log x-1)$, and its logarithm $-y-\frac12(y-1)^2$ is largest at $y=0$: an income of 1. That of $\log x$ is largest at $y=1$: an
# income of $e$. The interval is $|\log x-\log m|\le\log2$, a symmetric one in $y$, so most mass lies around $m=e$; no coordinate changes that answer.

# %%
incomes = torch.exp(1 + torch.randn(200_000, generator=gen))
for middle in (1.0, math.e, 5.0):
    inside = (incomes >= middle / 2) & (incomes < 2 * middle)
    print(f"around {middle:.2f}: {inside.double().mean():.3f} of the incomes")

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise-start} A test against a named alternative
# :label: practice-density-pitfalls-ratio
# :::
# $p=\mathcal N(0,1)$. Write the Neyman–Pearson score against (a) $\mathcal N(0,\frac14)$, (b) $\mathcal N(0,4)$, (c) $\mathcal N(2,1)$, and say which $x$ each calls strange. Which of them agrees with $-\log p$?
# :::{exercise-end}
# :::
#
# :::{solution-start} practice-density-pitfalls-ratio
# :class: dropdown
# :::
# $\log b-\log p$ is (a) $\log2-\frac32x^2$: strange is what lies *near zero*; (b) $-\log2+\frac38x^2$: what lies far out, the order of $-\log p$; (c) $2x-2$: what lies to the right.

# %%
p, at = td.Normal(0.0, 1.0), torch.tensor([-2.0, 0.0, 2.0])
for other in (td.Normal(0.0, 0.5), td.Normal(0.0, 2.0), td.Normal(2.0, 1.0)):
    print([round(float(v), 2) for v in other.log_prob(at) - p.log_prob(at)])

# %% [markdown]
# :::{solution-end}
# :::
#
# ### From the bank
#
# :::{bank} density-pitfalls-cell
# :::
#
# :::{bank} density-pitfalls-dequantise
# :::
#
# :::{bank} density-pitfalls-coordinates
# :::
#
# :::{bank} density-pitfalls-ratio
# :::
#
# :::{bank} density-pitfalls-explain-anomaly
# :::
#
# ## What to read next
#
# - {cite:t}`nalisnick2019` for deep models that find strangers more probable; {cite:t}`lelan2021` for why no density can be expected not to.
# - {cite:t}`theis2016` on dequantisation and Parzen windows; {cite:t}`ho2019` for learned dequantisation.
# - {ref}`ch-likelihood-and-samples` for the other half: samples. {ref}`ch-density` uses densities where they serve well.
