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
# (ch-human)=
# # Asking people
#
# After this page you will be able to
#
# - take, and design, a Turing test for a generative model, and say beforehand how many answers it needs;
# - report a share of right answers with a confidence interval that keeps its promise;
# - relate "real or made?" to "which of the two is real?", and separate what an observer sees from how readily they say "made";
# - rank models from pairwise preferences, and say what single pictures do not show.

# %% tags=["hide-input"]
import itertools
import math
from collections import Counter

import matplotlib.pyplot as plt
import torch
from scipy import optimize, stats

from genkit.claims import claim, monte_carlo, self_check
from genkit.data import digits
from genkit.live import turing_game
from genkit.plot import colors, style
from genkit.train import seed_everything

style()
gen = seed_everything(0)
torch.set_default_dtype(torch.float64)
data = digits()  # levels 0..16, 8×8 pixels: 1077 / 360 / 360 images

# %% [markdown]
# ## Take the test
#
# {item}`S0.34` Many a metric of {ref}`ch-evaluation` stands in for a judge who is expensive, slow and moody: a person who looks. Sometimes only the person
# will do, for pictures and above all for sound. Two protocols are common. In a **generative Turing test** one picture
# is shown at a time and the question is "real or made?". In a **side-by-side comparison** a pair is shown, and the question is which is real (**two-alternative forced choice**), or which is better (**pairwise preference**).
# What follows is the same for sounds; only the playing takes longer, and a pair is heard one after the other, in random order.
#
# Below you are the judge. The made pictures come from five models of this book, drawn in the cell: pixels drawn independently, each from its own histogram
# ({ref}`ch-conventions`); one Gaussian; ten Gaussians, one per class ({ref}`ch-generation`); a kernel estimate ({ref}`ch-density`), which is a training digit
# plus noise; and exact copies of training digits. The real ones are test digits. Left and right arrow keys work as well as the buttons.

# %%
train, labels = data.train.x, data.train.y


def levels(x):
    """The nearest digit that can be stored: whole grey levels from 0 to 16"""
    return x.round().clamp(0, 16)


def gaussian(x, n, ridge=0.5):
    """n draws of a Gaussian fitted to the rows of x: (n, 64)"""
    factor = torch.linalg.cholesky(torch.cov(x.T) + ridge * torch.eye(64))
    return x.mean(0) + torch.randn(n, 64, generator=gen) @ factor.T


def rows(x, n):
    return x[torch.randint(len(x), (n,), generator=gen)]


def by_class(n):
    ks = torch.randint(10, (n,), generator=gen)
    return torch.cat([gaussian(train[labels == k], 1) for k in ks])


models = {
    "independent pixels": lambda n: train.gather(
        0, torch.randint(len(train), (n, 64), generator=gen)
    ),
    "one Gaussian": lambda n: levels(gaussian(train, n)),
    "ten Gaussians": lambda n: levels(by_class(n)),
    "kernel estimate": lambda n: levels(
        rows(train, n) + 1.5 * torch.randn(n, 64, generator=gen)
    ),
    "copies": lambda n: train[torch.randperm(len(train), generator=gen)[:n]],
}


# %% tags=["hide-input"]

def trials_needed(share, power=0.8, level=0.05):
    """Number of answers from which on an exact two-sided test finds this share
    different from 1/2 with that power."""
    n = torch.arange(5, 1001).numpy()
    k = stats.binom.isf(level / 2, n, 0.5) + 1  # smallest significant number of right answers
    weak = stats.binom.sf(k - 1, n, share) < power
    return int(n[weak].max()) + 1


needed = {share: trials_needed(share) for share in (0.9, 0.75, 0.6)}
turing_game("human-turing", data.test.x, {name: draw(60) for name, draw in models.items()}, needed=needed)


# %% [markdown]
# Play thirty rounds, then read on. You will have caught the independent pixels at once and the copies by luck only, for there is nothing to catch. Two
# questions are left: what may you conclude from your score, and what from a model's? (No picture comes twice until its pile, 360 real ones or sixty of a
# model, is used up; whoever plays on learns the pictures, and has no longer *one* share.)
#
# ## An interval that keeps its promise
#
# Your $n$ answers are coin tosses with an unknown share $p$ of right ones, of which you saw $k$. The textbook **confidence interval** (Wald's)
# $\hat p\pm1.96\sqrt{\hat p(1-\hat p)/n}$ promises a **coverage** of 95 %: to contain $p$ in 95 of 100 studies. It does not keep the promise. The
# **exact** or **Clopper–Pearson interval** {cite:p}`clopper1934` consists of all $p$ that a test at 5 % would not reject
# (from 0 on for $k=0$, up to 1 for $k=n$),
#
# $$
# \begin{aligned}
# \sum_{j\ge k}\binom nj p_{\text{low}}^j(1-p_{\text{low}})^{n-j}&=0.025,\\
# \sum_{j\le k}\binom nj p_{\text{high}}^j(1-p_{\text{high}})^{n-j}&=0.025 .
# \end{aligned}
# $$ (eq-human-exact)
#
# Whatever $p$ is, it contains $p$ with probability *at least* 95 %, since each tail misses with at most 2.5 %. Bisection finds its ends.

# %%
def log_mass(k, n, p):
    """log P(X = k) for X binomial(n, p); as a number, C(n, k) may overflow"""
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return ways + k * math.log(p) + (n - k) * math.log1p(-p)


def tail(k, n, p):
    """P(X <= k)"""
    return sum(math.exp(log_mass(j, n, p)) for j in range(k + 1))


def crossing(falling):
    """Where a falling function on [0, 1] crosses zero"""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return low


def exact_interval(k, n):
    low = 0.0 if k == 0 else crossing(lambda p: tail(k - 1, n, p) - 0.975)
    high = 1.0 if k == n else crossing(lambda p: tail(k, n, p) - 0.025)
    return low, high


def interval_at_any_time(k, n):
    """All p with P(k | n, p) >= 0.05/(n + 1), see below"""

    def inside(p):
        return log_mass(k, n, p) - math.log(0.05 / (n + 1))

    share, low, high = k / n, 0.0, 1.0
    if k > 0:
        low = share - share * crossing(lambda t: inside((1 - t) * share))
    if k < n:
        rest = 1 - share
        high = share + rest * crossing(lambda t: inside(share + t * rest))
    return low, high


def textbook_interval(k, n):
    share = k / n
    half = 1.96 * math.sqrt(share * (1 - share) / n)
    return share - half, share + half


# %% mystnb={"figure": {"name": "fig-human-coverage", "caption": "How often an interval from twenty answers contains the true share, computed by summing over all outcomes. The textbook interval falls far short of its promise for good observers; the exact one never falls short."}, "image": {"alt": "Coverage against the true share of right answers. One jagged line stays above a dashed line at 95 per cent throughout; the other drops below it almost everywhere and plunges near one."}} tags=["hide-input"]
grid = torch.linspace(0.5, 0.99, 99)
n = 20
coverage = {}
for interval in (textbook_interval, exact_interval):
    ends = [interval(k, n) for k in range(n + 1)]
    coverage[interval] = torch.tensor(
        [sum(stats.binom.pmf(k, n, p) for k, (low, high) in enumerate(ends) if low <= p <= high) for p in grid.tolist()]
    )
_, ax = plt.subplots(figsize=(6, 2.8))
ax.plot(grid, coverage[exact_interval], color=colors.model, label="exact (Clopper–Pearson)")
ax.plot(grid, coverage[textbook_interval], color=colors.bad, label="textbook")
ax.axhline(0.95, color=colors.truth, ls="--", lw=1, label="promised")
ax.set(xlabel="true share of right answers", ylabel="coverage, $n=20$", ylim=(0.15, 1.02))
ax.legend(loc="lower left")
plt.show()

# %% tags=["hide-input"]
seen = [(k, n) for k in range(n + 1)] + [(1100, 2000)]
theirs = [stats.binomtest(*of).proportion_ci(0.95, method="exact") for of in seen]
claim("human-exact", "both ends of the exact interval for k = 0 to 20 of 20, and for 1100 of 2000",
      torch.tensor([exact_interval(*of) for of in seen]), torch.tensor([[c.low, c.high] for c in theirs]),
      item="S0.34", by="scipy.stats.binomtest, by beta quantiles", atol=1e-9, digits=2)
claim("human-coverage-exact", "smallest coverage of the exact interval, n = 20, over 99 true shares",
      coverage[exact_interval].min(), item="S0.34", by="at least 95 % by construction", at_least=0.95, at_most=0.97)
claim("human-coverage-textbook", "coverage of the textbook interval, n = 20, true share 0.95",
      sum(stats.binom.pmf(k, n, 0.95) for k in range(n + 1) if textbook_interval(k, n)[0] <= 0.95 <= textbook_interval(k, n)[1]),
      1 - 0.95**20 - stats.binom.cdf(15, 20, 0.95),
      by="k = 20 gives width zero, and k < 16 ends below 0.95", atol=1e-9, digits=3)


# %% [markdown]
# At a true share of 95 % the textbook interval contains it in {value}`human-coverage-textbook:.0%` of studies instead of 95 % ({numref}`fig-human-coverage`):
# whenever all twenty answers are right, it says that there is no doubt at all.
#
# **May you look while you play?** The promise is for a number of answers that was fixed beforehand. Somebody who guesses and watches the exact
# interval after each answer (**optional stopping**) is told at some time within a hundred that they are "not guessing" with probability {value}`human-peeking:.0%`. The
# game above shows an interval that may be watched (a **confidence sequence**, {cite:t}`robbins1970`): all $p$ with
#
# $$
# \binom nk p^k(1-p)^{n-k}\ge\frac{0.05}{n+1} .
# $$ (eq-human-anytime)
#
# The right-hand side without the 0.05 is the probability of $k$ right answers if every share were equally likely. Its ratio to the left-hand side is a likelihood ratio:
# while the answers come in with share $p$ it is a non-negative martingale of mean 1, and such a process ever exceeds 20 with probability at most 1/20 (Ville's
# inequality). The guesser is now wrongly told so with probability {value}`human-watching:.1%`. The price is length: for 20 right of 20 the lower end is
# {value}`human-anytime-low:.2f` instead of {value}`human-exact-low:.2f`. (The promise is for one run of answers with one share: whoever
# starts again until the result is pleasant has spent it.)

# %%
def ever_told(interval, answers=100):
    """Chance that a guesser's interval excludes 1/2 after some answer."""
    prob, told = {0: 1.0}, 0.0  # prob[k]: k right answers and not told so far
    for n in range(1, answers + 1):
        step = Counter()
        for k, mass in prob.items():
            step[k] += mass / 2
            step[k + 1] += mass / 2
        prob = {}
        for k, mass in step.items():
            low, high = interval(k, n)
            if low <= 0.5 <= high:
                prob[k] = mass
            else:
                told += mass
    return told

# %% tags=["hide-input"]


def told_in_games(excludes, games=100_000):
    """Simulated guessers: share told so within 100 answers, and its standard error."""
    bad = torch.tensor([[k <= n and bool(excludes(k, n)) for k in range(101)] for n in range(1, 101)])
    right = torch.randint(2, (games, 100), generator=gen).cumsum(1)  # among the first n
    return monte_carlo(bad[torch.arange(100), right].any(1).double())


guesser = told_in_games(lambda k, n: 2 * stats.binom.cdf(min(k, n - k), n, 0.5) < 0.05)
claim("human-peeking", "guesser told so by the exact interval, within 100 answers; 0.05 if it could be watched", ever_told(exact_interval),
      guesser[0], item="S0.34", by="100 000 simulated guessers, scipy's tails", se=guesser[1], digits=2)
guesser = told_in_games(lambda k, n: stats.binom.pmf(k, n, 0.5) < 0.05 / (n + 1))
claim("human-watching", "the same for the interval that may be watched; at most 0.05 by Ville's inequality", ever_told(interval_at_any_time),
      guesser[0], item="S0.34", by="100 000 simulated guessers, scipy's densities", se=guesser[1], digits=2)
claim("human-anytime-low", "its lower end for 20 right of 20", interval_at_any_time(20, 20)[0],
      (0.05 / 21) ** (1 / 20), by="p^20 = 0.05/21", atol=1e-9, digits=2)
claim("human-exact-low", "lower end of the exact interval for 20 right of 20",
      exact_interval(20, 20)[0], 0.025 ** (1 / 20), by="p^20 = 0.025", atol=1e-9, digits=2)
worst = max(abs(stats.binom.logpmf(k, n, p) - math.log(0.05 / (n + 1)))
            for k, n in ((1, 30), (11, 30), (29, 30), (1100, 2000)) for p in interval_at_any_time(k, n))
claim("human-anytime-ends", "log of the ratio of the two sides at both ends, largest of 1, 11, 29 of 30 and 1100 of 2000", worst, 0.0, item="S0.34",
      by="equality holds there", atol=1e-9, stable=False)


# %% [markdown]
# **How many answers?** To fix a share to five points either way takes $1.96^2\cdot\tfrac14/0.05^2\approx384$ answers in the worst case by the textbook,
# {value}`human-margin:.0f` by the exact interval. To *find* that somebody is not guessing takes fewer if they are good. With four studies in five succeeding (a **power** of 80 %), an exact test at 5 % finds an observer who is right nine times
# in ten from {value}`human-trials-90:.0f` answers on, and one right six times in ten from {value}`human-trials-60:.0f` on. With twenty answers that second observer is found in {value}`human-power:.0%` of studies. A study with twenty answers
# per model that reports "indistinguishable from real" cannot tell that observer from guessing; ten right of twenty only exclude shares above
# {value}`human-ten:.2f`.

# %% tags=["hide-input"]
def length(k, n):
    low, high = exact_interval(k, n)
    return high - low


def their_lengths(n):
    k = torch.arange(1, n).numpy()
    return stats.beta.ppf(0.975, k + 1, n - k) - stats.beta.ppf(0.025, k, n - k + 1)


claim("human-margin", "answers from which on the exact interval is never longer than 0.1", next(n for n in range(384, 520) if length(n // 2, n) <= 0.1),
      max(n for n in range(384, 520) if their_lengths(n).max() > 0.1) + 1, item="S0.34", by="beta quantiles, all numbers of right answers", digits=3)


def power(n, share):
    """Probability that the exact two-sided test rejects guessing at 5 %, outcomes
    counted in whole numbers."""
    ways = [math.comb(n, k) for k in range(n + 1)]
    tails = list(itertools.accumulate(ways))
    return sum(ways[k] * share**k * (1 - share) ** (n - k) for k in range(n + 1) if 40 * tails[min(k, n - k)] <= 2**n)


for share, n_needed in needed.items():
    claim(f"human-trials-{100 * share:.0f}", f"answers from which on a share of {share} is found", n_needed,
          max(n for n in range(5, 260) if power(n, share) < 0.8) + 1, item="S0.34", by="all outcomes counted in whole numbers", digits=3)
claim("human-power", "chance that twenty answers find an observer with a share of 0.6",
      power(20, 0.6), stats.binom.sf(14, 20, 0.6) + stats.binom.cdf(5, 20, 0.6),
      by="15 of 20 are significant, and 5", atol=1e-12)
claim("human-ten", "upper end of the exact interval for ten right of twenty", exact_interval(10, 20)[1], stats.beta.ppf(0.975, 11, 10), item="S0.34",
      by="beta quantile", atol=1e-9, digits=2)


# %% [markdown]
# ## One picture or two?
#
# What is the best any observer can do? Let real pictures have density $p$, made ones $q$, and let both questions be asked in fair halves.
#
# :::{prf:theorem} Real or made; which is real
# :label: thm-human-forced-choice
# The best share of right answers to "real or made?" is $\tfrac12+\tfrac12\mathrm{TV}(p,q)$. The best for "which of the two is real?" is
#
# $$
# \begin{aligned}
# &\mathrm{P}\bigl(s(x)>s(y)\bigr)+\tfrac12\mathrm P\bigl(s(x)=s(y)\bigr),\\
# &\qquad x\sim p,\quad y\sim q,\quad s=p/q .
# \end{aligned}
# $$ (eq-human-pairs)
#
# It is the area under the **ROC curve** (AUC), which draws $\mathrm P(s(x)>t)$ against $\mathrm P(s(y)>t)$ as $t$ falls, and never smaller than the first.
# :::
#
# :::{prf:proof}
# A fair choice between two distributions $P$ and $Q$ is best made by the larger density, with success $\tfrac12\int\max(P,Q)=\tfrac12+\tfrac12\mathrm{TV}(P,Q)$. For
# one picture $P=p$ and $Q=q$. For a pair, $P=p\otimes q$ if the real one is shown first, and $Q=q\otimes p$ if not. The larger density is decided by
# $p(x)q(y)>q(x)p(y)$, that is $s(x)>s(y)$; ties are guessed. The area adds up the curve's height over the false alarms, that is over thresholds $t=s(y)$ with
# $y\sim q$: the mean of $\mathrm P(s(x)>s(y))$, with half of a tie where a straight piece joins two points. Forgetting the second picture turns $P,Q$ into $p,q$ and cannot increase the total variation.
# :::
#
# So the pair is the easier question. Suppose that a picture leaves an impression, Gaussian with variance 1, and that the means of real and made pictures lie
# $d'$ apart. Then the shares are $\Phi(d'/2)$ and $\Phi(d'/\sqrt2)$. With $d'=1$, {value}`human-pairs:.0%` on pairs is the same eye as
# {value}`human-single-fair:.0%` on single pictures: studies that asked different questions must not be compared by share. In **signal detection theory** {cite:p}`green1966` $d'$ is the
# **sensitivity**.
#
# Single pictures have a second trap: the observer's **criterion**. A suspicious person says "made" too often. They are more often right on made pictures, less often on
# real ones, and their share of right answers falls ({value}`human-single-suspicious:.0%` instead of {value}`human-single-fair:.0%` below)
# although they see as well as before. The two rates give the sensitivity back,
#
# $$
# d'=\Phi^{-1}(\text{hits})-\Phi^{-1}(\text{false alarms}),
# $$ (eq-human-dprime)
#
# where a hit is a made picture called made and a false alarm a real one called made (the observer scores *made*, the theorem *real*; the area is the same). It
# takes impressions of equal variance, otherwise the result moves with the criterion; and rates off 0 and 1, so for $k$ of $n$ pictures one enters
# $(k+\tfrac12)/(n+1)$. A model's row in the game's tally is its rate of hits: who always says "made" catches all of every model, so it means nothing without
# the row of the real ones (and after thirty rounds it rests on about three pictures).

# %%
def answers(d_prime, criterion, n=200_000):
    """Simulated answers to single pictures: 'made' if a noisy impression
    exceeds the criterion."""
    real = torch.randn(n, generator=gen) - d_prime / 2
    made = torch.randn(n, generator=gen) + d_prime / 2
    return (made > criterion).double(), (real > criterion).double(), real, made


def sensitivity(hits, false_alarms):
    return stats.norm.ppf(hits) - stats.norm.ppf(false_alarms)


# %% tags=["hide-input"]
for name, criterion in (("fair", 0.0), ("suspicious", -1.0)):
    hit, alarm, real, made = answers(1.0, criterion)
    share, se = monte_carlo((hit + 1 - alarm) / 2)
    truth = (stats.norm.cdf(0.5 - criterion) + stats.norm.cdf(0.5 + criterion)) / 2
    claim(f"human-single-{name}", f"share of right answers on single pictures, d' = 1, {name} observer", share, truth,
          item="S0.34", by="[Φ(d'/2 - c) + Φ(d'/2 + c)]/2", se=se)
    claim(f"human-sensitivity-{name}", f"sensitivity recovered from the rates of the {name} observer",
          sensitivity(hit.mean(), alarm.mean()), 1.0, item="S0.34", by="d' = 1", atol=0.02, digits=2)
pairs, se = monte_carlo((made > real).double())
claim("human-pairs", "share of right answers on pairs, d' = 1", pairs,
      stats.norm.cdf(1 / math.sqrt(2)), by="Φ(d'/√2)", se=se)


# %% [markdown]
# ## People differ
#
# Ten people who answer forty times each are not four hundred independent answers. Let person $r$ have a share $p_r$ of their own, with mean $p$, and let
# $\rho=\operatorname{Var}(p_r)/p(1-p)$, the correlation of two answers of one person (**intraclass correlation**). The sum of one person's $k$ answers has $k$ variances $p(1-p)$ and $k(k-1)$
# covariances $\rho\,p(1-p)$, so the mean over $R$ people has the variance
#
# $$
# \frac{p(1-p)}{Rk}\,\bigl[1+(k-1)\rho\bigr] .
# $$ (eq-human-design)
#
# The bracket is the **design effect**. With $\rho=0.05$, when the people's own shares have a deviation of 0.11 around $p=0.6$, forty answers per person count
# for $40/2.95\approx14$. More people beat more answers per person. The cure is to take the person as the unit: with the mean $\bar p$ and the standard
# deviation $s$ of the $R$ personal shares, the interval is $\bar p\pm t\,s/\sqrt R$, with the quantile $t$ of Student's $t$ distribution with $R-1$ degrees of freedom.

# %%
def study(people, answers_each, p=0.6, rho=0.05, studies=40_000):
    """Personal shares of right answers in simulated studies:
    (studies, people)"""
    strength = 1 / rho - 1  # Beta(p s, (1-p) s) has correlation ρ
    beta = torch.distributions.Beta(p * strength, (1 - p) * strength)
    skill = beta.sample((studies, people))
    right = torch.binomial(
        torch.full_like(skill, answers_each), skill, generator=gen
    )
    return right / answers_each


def person_interval(shares, confidence=0.95):
    """Ends of the interval from personal shares (..., R): (...), (...)"""
    R = shares.shape[-1]
    t = stats.t.ppf((1 + confidence) / 2, R - 1)
    half = t * shares.std(-1) / math.sqrt(R)
    return shares.mean(-1) - half, shares.mean(-1) + half


# %% tags=["hide-input"]
personal = study(10, 40)
shares = personal.mean(1)
effect = 1 + 39 * 0.05
claim("human-design", "variance of a study of 10 people × 40 answers over that of 400 independent answers",
      shares.var() / (0.6 * 0.4 / 400), effect, item="S0.34", by="design effect 1 + (k - 1)ρ; s.e. of a variance of 40 000: 0.7 %", rtol=0.04, digits=3)
inside = ((shares - 0.6).abs() < 1.96 * torch.sqrt(shares * (1 - shares) / 400)).double().mean()
claim("human-naive-coverage", "coverage of the 95 % interval that takes all 400 answers for independent", inside,
      math.erf(1.96 / math.sqrt(2 * effect)), item="S0.34", by="Φ(±1.96/√effect), shares nearly Gaussian", atol=0.015, digits=2)
low, high = person_interval(personal)
claim("human-person-coverage", "coverage of the interval from ten personal shares", ((low <= 0.6) & (0.6 <= high)).double().mean(), 0.95, item="S0.34",
      by="exact for Gaussian personal shares; these are nearly so", atol=0.01, digits=2)
low, high = person_interval(study(10, 20, p=0.98))
claim("human-person-edge", "the same for ten people × 20 answers, p = 0.98, ρ = 0.05", ((low <= 0.98) & (0.98 <= high)).double().mean(), item="S0.34",
      by="well below 0.95: right answers are bounded by all; s.e. 0.002", at_least=0.808, at_most=0.826, digits=2)
chances = 0.6 + 0.11 * torch.randn(2000, 50, 1, generator=gen) + 0.11 * torch.randn(2000, 1, 40, generator=gen)
low, high = person_interval(torch.bernoulli(chances.clamp(0, 1), generator=gen).mean(2))
rest = 0.24 - 2 * 0.11**2
ratio = (0.11**2 + rest / 40) / (0.11**2 + rest / 40 + 50 * 0.11**2 / 40)  # of the variance that personal shares show
inside, se = monte_carlo(((low <= 0.6) & (0.6 <= high)).double())
claim("human-same-pictures", "its coverage when fifty people judge the same forty pictures, both deviations 0.11: Student's distribution, ±t √ratio",
      2 * stats.t.cdf(stats.t.ppf(0.975, 49) * math.sqrt(ratio), 49) - 1, inside, item="S0.34", by="2000 simulated studies", se=se, digits=2)
claim("human-more-people", "the design effect for 100 people × 4 answers",
      study(100, 4).mean(1).var() / (0.6 * 0.4 / 400), 1.15, by="1 + 3ρ", rtol=0.04, digits=3)


# %% [markdown]
# The naive interval contains the truth in {value}`human-naive-coverage:.0%` of studies; the one from personal shares in {value}`human-person-coverage:.0%`.
# Near $p=1$ it inherits the fault of the textbook interval: {value}`human-person-edge:.0%` for ten people with $p=0.98$, $\rho=0.05$ and twenty answers each.
#
# The same caution holds for pictures that are shown to many people: if all $R$ people judge the same $m$ pictures and effects add up, the variance is
# $\sigma^2_{\text{person}}/R+\sigma^2_{\text{picture}}/m+\sigma^2_{\text{rest}}/(Rm)$, and no number of people makes up for few pictures. Personal shares do
# not show it: for fifty people, forty pictures and both deviations 0.11 their interval contains the truth in {value}`human-same-pictures:.0%` of studies, and
# more people make it worse. So draw fresh pictures for every person, randomise their order, since people tire and learn, and throw nobody out after
# seeing the results.
#
# ## Ranking models by preference
#
# Side by side with no real picture, "which is better?" gives wins and losses between models. The **Bradley–Terry model** {cite:p}`bradley1952` gives each a strength
# $\pi_i>0$ with
#
# $$
# P(i\text{ beats }j)=\frac{\pi_i}{\pi_i+\pi_j} .
# $$ (eq-human-bt)
#
# With $w_i$ the wins of $i$ and $n_{ij}$ the meetings of $i$ and $j$, the likelihood is maximised by iterating
#
# $$
# \begin{aligned}
# &\pi_i\leftarrow\frac{w_i}{\sum_{j\ne i} n_{ij}/(\pi_i+\pi_j)},\\
# &\text{then scaling }\pi\text{ to sum to one,}
# \end{aligned}
# $$ (eq-human-mm)
#
# whose fixed point has as many expected wins as observed ones for every model (an **MM algorithm**, {cite:t}`hunter2004`). No step lowers the likelihood: replace each
# $-\log(\pi_i+\pi_j)$, which is convex in the sum, by its tangent at the present sum; that bound separates into one term for each $\pi_i$, and the update is its
# maximum. There is one maximum exactly if in every division of the models into two groups each has beaten the other at least once. Otherwise the strengths of one
# group run to zero, or, where two groups never met, they cannot be compared.

# %%
def bradley_terry(wins, iterations=2000):
    """wins[i, j]: how often i was preferred to j -> strengths (K,), summing to
    one"""
    meetings, K = wins + wins.T, len(wins)
    paths = torch.linalg.matrix_power(torch.eye(K) + (meetings > 0), K)
    if (paths == 0).any():
        raise ValueError("two groups of models never met")
    strength = torch.full((K,), 1 / K)
    for _ in range(iterations):
        both = (strength[:, None] + strength).clamp(min=1e-300)  # not 0/0
        strength = wins.sum(1) / (meetings / both).sum(1)
        strength = strength / strength.sum()
    return strength


true_strength = torch.tensor([0.4, 0.25, 0.2, 0.1, 0.05])
chance = true_strength[:, None] / (true_strength[:, None] + true_strength)


def tournament():
    """wins (5, 5) when every pair meets sixty times"""
    draws = torch.binomial(torch.full((5, 5), 60.0), chance, generator=gen)
    upper = torch.triu(draws, 1)
    return upper + torch.tril(60 - upper.T, -1)


wins = tournament()
strength = bradley_terry(wins)


# %% tags=["hide-input"]
def minus_log_likelihood(u):
    gap = torch.as_tensor(u)[:, None] - torch.as_tensor(u)
    return -(wins * torch.nn.functional.logsigmoid(gap)).sum().item() + 1e-9 * (u**2).sum()


best = torch.softmax(torch.as_tensor(optimize.minimize(minus_log_likelihood, [0.0] * 5, tol=1e-10).x), 0)
claim("human-bt", "strengths by the iteration", strength, best, item="S0.34", by="direct maximisation of the likelihood", atol=1e-4, digits=3)
again = torch.stack([bradley_terry(tournament(), 30) for _ in range(1600)])
claim("human-bt-spread", "deviation of the strongest model's strength over 1600 tournaments", again[:, 0].std(), item="S0.34",
      by="0.037 by the inverse information; other tournaments, s.e. 0.0007", at_least=0.0345, at_most=0.04, digits=2)
ordered, se = monte_carlo((again.diff(dim=1) < 0).all(1).double())
many = torch.triu(torch.binomial(torch.full((40_000, 5, 5), 60.0), chance.expand(40_000, 5, 5), generator=gen), 1)
won = many.sum(2) + torch.arange(5) * 60 - many.sum(1)
claim("human-bt-order", "of 40 000 tournaments, those whose wins fall in the true order, as do the strengths if all pairs meet equally often",
      (won.diff(dim=1) < 0).all(1).double().mean(), ordered, item="S0.34", by="strengths in 1600 tournaments", se=se, digits=2)
claim("human-bt-never", "strengths if the third model never wins and the first beats the second 8 to 2",
      bradley_terry(torch.tensor([[0.0, 8.0, 9.0], [2.0, 0.0, 7.0], [0.0, 0.0, 0.0]])), [0.8, 0.2, 0.0], item="S0.34", by="only the first two compete",
      atol=1e-9)
try:
    apart = bradley_terry(torch.block_diag(*[torch.tensor([[0.0, 8.0], [2.0, 0.0]])] * 2)) is None
except ValueError:
    apart = True
claim("human-bt-apart", "two pairs that never met are refused", apart, True, item="S0.34", by="no table of wins compares them")
circle = torch.tensor([[0.0, 80.0, 20.0], [20.0, 0.0, 80.0], [80.0, 20.0, 0.0]])
claim("human-bt-circle", "strengths of three models that beat each other in a circle, 80 to 20",
      bradley_terry(circle), torch.full((3,), 1 / 3), by="symmetry", atol=1e-9)


# %% [markdown]
# Sixty meetings of each pair leave the strongest model's 0.4 a deviation of {value}`human-bt-spread:.2f`, and rank all five rightly in
# {value}`human-bt-order:.0%` of tournaments. Print strengths with their errors, in a study from a bootstrap over people. Preferences
# may run in a circle, if judges look at different things in different pairs. In the last claim every pair is decided four
# to one, and the ranking says that all are equal. Look at the table of wins before the strengths.
#
# ## What single pictures do not show
#
# A judge who sees one picture judges that picture. A model that returns copies of training digits passes, and so does one that returns *the same thirty* copies
# for ever: each is a real digit, chosen fairly among real digits, and a judge who does not know *which* thirty, and forgets each picture before the next, can
# only guess. What is wrong with the second model shows only in a set ({ref}`ch-evaluation`). One who remembers a run of pictures judges a set: each of
# the rounds before round $t$ showed this one of $m$ copies with probability $1/2m$, so "made if it came before" is right with probability
# $1-\tfrac12(1-\tfrac1{2m})^{t-1}$ if no real one comes twice. That is {value}`human-remembers-thirty:.0%` in round 100, {value}`human-remembers-all:.0%` for copies of all digits
# ({numref}`fig-human-memory`).

# %%
def remembering(m, rounds=100, runs=4000):
    """Share of right answers in each round of a judge who says 'made' if the
    picture came before; half are real, the others copies of m digits."""
    made = torch.rand(runs, rounds, generator=gen) < 0.5
    copy = torch.randint(m, (runs, rounds), generator=gen)
    fresh = -1 - torch.arange(rounds)  # real ones differ
    shown = torch.where(made, copy, fresh)
    before = (shown[:, :, None] == shown[:, None]).tril(-1).any(2)
    return (before == made).double().mean(0)


# %% mystnb={"figure": {"name": "fig-human-memory", "caption": "A judge who says \"made\" if the picture came before in this run: share of right answers in each round (points) and in closed form (lines)."}, "image": {"alt": "Share of right answers against the round from 1 to 100. For thirty copies it rises from one half to nine tenths; for copies of all 1077 digits it hardly leaves one half."}} tags=["hide-input"]
_, ax = plt.subplots(figsize=(6, 2.6))
rounds = torch.arange(1, 101)
share, formula = {}, {}
for m, color in ((30, colors.bad), (1077, colors.model)):
    share[m], formula[m] = remembering(m), 1 - (1 - 1 / (2 * m)) ** (rounds - 1) / 2
    ax.plot(rounds, share[m], ".", ms=3, color=color)
    ax.plot(rounds, formula[m], color=color, label=f"copies of {m} digits")
ax.set(xlabel="round", ylabel="share of right answers", ylim=(0.4, 1))
ax.legend(loc="upper left")
plt.show()

# %% tags=["hide-input"]
for id, m in (("thirty", 30), ("all", 1077)):
    right = formula[m][-1]
    claim(f"human-remembers-{id}", f"right hundredth answers of a judge who remembers, copies of {m} digits: 1 - (1 - 1/2m)^99 / 2", right, share[m][-1],
          item="S0.34", by="4000 simulated runs", se=torch.sqrt(right * (1 - right) / 4000), digits=2)
claim("human-different", "different pictures among the 360 test and the 1077 training digits together",
      len(torch.cat([data.test.x, train]).unique(dim=0)), 360 + 1077, by="no two are equal")

# %% [markdown]
# Nor do single pictures show a wrong balance, too little variety or a missing class (**mode dropping**) to a judge who does not know of it. One who knows
# is, by the theorem, right in 55 % if one class in ten is missing ($\mathrm{TV}=0.1$), in 95 % if nine are. A study of single pictures
# or pairs measures the **precision** of a model. It says next to nothing on its **recall**, so it is never the only evaluation. And its result belongs to the people, the
# pictures, the size and the time limit of that study: {cite:t}`zhou2019` vary the time for which a picture is seen, and describe how such a study is set up.
#
# ## Exercises
#
# :::{bank} human-wilson
# :::
#
# :::{bank} human-lapses
# :::
#
# :::{bank} human-auc
# :::
#
# :::{bank} human-kappa
# :::
#
# :::{bank} human-explain-release
# :::
#
# ## What to read next
#
# - {cite:t}`green1966` is the source of signal detection theory; everything on criteria and forced choice is there.
# - {cite:t}`zhou2019` is a carefully designed human evaluation of generative models, with its costs.
# - {cite:t}`hunter2004` derives the iteration for preferences and its relatives.
# - Next: {ref}`ch-systems`.
