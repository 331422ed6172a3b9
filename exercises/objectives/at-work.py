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
# # Exercises: Putting the objectives to work

# %% ex={"role": "setup"}
import itertools
import math

import numpy as np
import torch

from genkit.checks import self_check
from genkit.metrics import frechet_distance

torch.set_default_dtype(torch.float64)


# %% [markdown] ex={"id": "at-work-gram", "role": "statement", "kind": "implement", "points": 4, "minutes": 25, "difficulty": 3, "topic": "metrics"}
# #### A Fréchet distance that never builds a covariance
#
# Inception has 2048 features, but you may have only a few hundred images. Let $X_c$ $(n,d)$ and $Y_c$ $(m,d)$ be the feature
# matrices with their means subtracted. Show that
#
# $$
# \operatorname{Tr}\big(\hat\Sigma_r^{1/2}\hat\Sigma_g\hat\Sigma_r^{1/2}\big)^{1/2}
# = \frac{\big\|X_cY_c^\top\big\|_*}{\sqrt{(n-1)(m-1)}},
# $$
#
# where $\|\cdot\|_*$ is the sum of the singular values, and use it to compute the squared Fréchet distance of two samples
# without a $d\times d$ matrix.

# %% ex={"id": "at-work-gram", "role": "solution"}
def frechet_gram(real, generated):
    """Squared Fréchet distance of features (n, d) and (m, d); a scalar."""
    ### BEGIN SOLUTION
    n, m = len(real), len(generated)
    x, y = real - real.mean(0), generated - generated.mean(0)
    cross = torch.linalg.svdvals(x @ y.T).sum() / math.sqrt((n - 1) * (m - 1))
    traces = x.square().sum() / (n - 1) + y.square().sum() / (m - 1)
    return (real.mean(0) - generated.mean(0)).square().sum() + traces - 2 * cross
    ### END SOLUTION


# %% ex={"id": "at-work-gram", "role": "check"}
def check_at_work_gram():
    g = torch.Generator().manual_seed(3)
    def draw(n, d):
        return torch.randn(n, d, generator=g, dtype=torch.float64)

    for n, m, d in ((40, 25, 7), (12, 30, 60)):
        a, b = (
            draw(n, d) * torch.linspace(0.2, 3, d, dtype=torch.float64),
            draw(m, d) + 0.5,
        )
        assert torch.allclose(
            frechet_gram(a, b), frechet_distance(a, b), rtol=1e-6, atol=1e-6
        ), "compare with covariances"
        assert torch.allclose(frechet_gram(a, b), frechet_gram(b, a)), (
            "the distance must be symmetric"
        )
        assert abs(float(frechet_gram(a, a))) < 1e-8, (
            "a sample is at distance zero from itself"
        )
        shift = torch.arange(d, dtype=torch.float64)
        gap = frechet_gram(a, a + shift) - shift.square().sum()
        assert abs(float(gap)) < 1e-6, (
            "moving a sample by t must cost exactly the squared length of t"
        )
        assert torch.allclose(frechet_gram(3 * a, 3 * b), 9 * frechet_gram(a, b)), (
            "the units are squared"
        )
    wide = frechet_gram(draw(20, 20000), draw(20, 20000))
    assert bool(torch.isfinite(wide)), "20 000 features must be no problem"


self_check("at-work-gram", check_at_work_gram)


# %% ex={"id": "at-work-gram", "role": "probe", "points": 1}
def probe(seed):  # more examples than features
    g = torch.Generator().manual_seed(seed)
    real = torch.randn(40, 6, generator=g) @ torch.randn(6, 6, generator=g) + 2 * torch.randn(6, generator=g)
    generated = torch.randn(55, 6, generator=g) @ torch.randn(6, 6, generator=g)
    return float(frechet_gram(real, generated))


# %% ex={"id": "at-work-gram", "role": "probe", "points": 3}
def probe(seed):  # a covariance would need 13 GB
    g = torch.Generator().manual_seed(seed)
    common = 2 * torch.randn(5, 40_000, generator=g)
    real = torch.randn(18, 5, generator=g) @ common + torch.randn(18, 40_000, generator=g)
    generated = torch.randn(13, 5, generator=g) @ common + torch.randn(40_000, generator=g)
    return float(frechet_gram(real, generated)) / 40_000


# %% ex={"id": "at-work-gram", "role": "wrong", "why": "forgets to subtract the means before the inner products"}
def frechet_gram(real, generated):
    n, m = len(real), len(generated)
    x, y = real - real.mean(0), generated - generated.mean(0)
    cross = torch.linalg.svdvals(real @ generated.T).sum() / math.sqrt(
        (n - 1) * (m - 1)
    )
    traces = x.square().sum() / (n - 1) + y.square().sum() / (m - 1)
    return (real.mean(0) - generated.mean(0)).square().sum() + traces - 2 * cross


# %% ex={"id": "at-work-gram", "role": "wrong", "why": "takes the Frobenius norm instead of the sum of the singular values"}
def frechet_gram(real, generated):
    n, m = len(real), len(generated)
    x, y = real - real.mean(0), generated - generated.mean(0)
    cross = torch.linalg.norm(x @ y.T) / math.sqrt((n - 1) * (m - 1))
    traces = x.square().sum() / (n - 1) + y.square().sum() / (m - 1)
    return (real.mean(0) - generated.mean(0)).square().sum() + traces - 2 * cross


# %% ex={"id": "at-work-gram", "role": "wrong", "why": "returns the distance instead of its square"}
def frechet_gram(real, generated):
    n, m = len(real), len(generated)
    x, y = real - real.mean(0), generated - generated.mean(0)
    cross = torch.linalg.svdvals(x @ y.T).sum() / math.sqrt((n - 1) * (m - 1))
    traces = x.square().sum() / (n - 1) + y.square().sum() / (m - 1)
    return (
        ((real.mean(0) - generated.mean(0)).square().sum() + traces - 2 * cross)
        .clamp(min=0)
        .sqrt()
    )


# %% [markdown] ex={"id": "at-work-extrapolate", "role": "statement", "kind": "implement", "points": 3, "minutes": 15, "difficulty": 2, "topic": "metrics"}
# #### Read the score at an infinite sample
#
# To first order a Fréchet distance from $n$ samples has the mean $d_\infty+b/n$, where $b$ depends on the model. Given scores at
# several sizes $n$, fit $d_\infty$ and $b$ by least squares and return $d_\infty$. Then think: which of two models with equal
# scores at $n=1000$ is better?

# %% ex={"id": "at-work-extrapolate", "role": "solution"}
def score_at_infinity(sizes, scores):
    """Least-squares estimate of the limit of scores (k,) measured with sizes (k,)
    samples; a float."""
    ### BEGIN SOLUTION
    inverse = 1 / np.asarray(sizes, dtype=float)
    scores = np.asarray(scores, dtype=float)
    centred = inverse - inverse.mean()
    slope = (centred * scores).sum() / (centred**2).sum()
    return float(scores.mean() - slope * inverse.mean())
    ### END SOLUTION


# %% ex={"id": "at-work-extrapolate", "role": "check"}
def check_at_work_extrapolate():
    rng = np.random.default_rng(5)
    sizes = np.array([100, 200, 350, 900])
    for limit, b in ((0.0, 12.0), (3.5, 40.0), (1.25, 0.0), (-0.5, 9.0)):
        assert abs(score_at_infinity(sizes, limit + b / sizes) - limit) < 1e-9, (
            "noiseless scores must give the limit back"
        )
    noise = rng.normal(size=4)
    mine, base = (
        score_at_infinity(sizes, 2 + noise),
        score_at_infinity(sizes, noise),
    )
    assert abs(mine - base - 2) < 1e-9, (
        "adding 2 to every score must add 2 to the limit"
    )
    a, b = np.linalg.lstsq(np.stack([np.ones(4), 1 / sizes], 1), noise, rcond=None)[
        0
    ]
    assert abs(base - a) < 1e-9, (
        "with noise the fit must be the least-squares line in 1/n"
    )
    assert abs(score_at_infinity(list(sizes), list(7 * noise)) - 7 * base) < 1e-9, (
        "the estimate is linear in the scores"
    )


self_check("at-work-extrapolate", check_at_work_extrapolate)


# %% ex={"id": "at-work-extrapolate", "role": "probe", "points": 2}
def probe(seed):
    rng = np.random.default_rng(seed)
    sizes = np.array([50, 130, 300, 700, 2000]) + rng.integers(0, 40, 5)
    return float(score_at_infinity(sizes, 4 + rng.random() + 60 / sizes + 0.3 * rng.normal(size=5)))


# %% ex={"id": "at-work-extrapolate", "role": "probe", "points": 1}
def probe(seed):  # the estimate is negative
    rng = np.random.default_rng(seed)
    sizes = rng.permutation([80, 150, 260, 900])
    scores = 30 / sizes - 1 - rng.random() + 0.02 * rng.normal(size=4)
    return float(score_at_infinity(sizes.tolist(), scores.tolist()))


# %% ex={"id": "at-work-extrapolate", "role": "wrong", "why": "fits a line in n and reads it off at n = 0"}
def score_at_infinity(sizes, scores):
    return float(
        np.polyfit(
            np.asarray(sizes, dtype=float), np.asarray(scores, dtype=float), 1
        )[1]
    )


# %% ex={"id": "at-work-extrapolate", "role": "wrong", "why": "returns the score of the largest sample"}
def score_at_infinity(sizes, scores):
    return float(np.asarray(scores)[int(np.argmax(np.asarray(sizes)))])


# %% ex={"id": "at-work-extrapolate", "role": "wrong", "why": "fits a line in the square root of 1/n"}
def score_at_infinity(sizes, scores):
    return float(
        np.polyfit(
            np.asarray(sizes, dtype=float) ** -0.5,
            np.asarray(scores, dtype=float),
            1,
        )[1]
    )


# %% ex={"id": "at-work-extrapolate", "role": "wrong", "why": "cuts negative estimates off at zero, which makes the estimate biased"}
def score_at_infinity(sizes, scores):
    inverse = 1 / np.asarray(sizes, dtype=float)
    return max(0.0, float(np.polyfit(inverse, np.asarray(scores, dtype=float), 1)[1]))


# %% [markdown] ex={"id": "at-work-perplexity", "role": "statement", "kind": "implement", "points": 3, "minutes": 15, "difficulty": 2, "topic": "text"}
# #### One perplexity for many texts
#
# A test set holds texts of different lengths. `log_probs` is a list of tensors, one per text, with the log-probability of
# every symbol. A toolkit wrote them down, and toolkits differ: this one takes logarithms to the base {{BASE}}. Return the perplexity of the whole set: the size of the fair die that needs as many bits for *all* symbols
# together.

# %% ex={"id": "at-work-perplexity", "role": "numbers", "choices": {"BASE": [2, 10]}}
BASE = 10


# %% ex={"id": "at-work-perplexity", "role": "solution"}
def corpus_perplexity(log_probs):
    """Perplexity of a list of log-probabilities (T_i,) to base BASE; a float."""
    ### BEGIN SOLUTION
    every = torch.cat(list(log_probs))
    return BASE ** -float(every.mean())
    ### END SOLUTION


# %% ex={"id": "at-work-perplexity", "role": "check"}
def check_at_work_perplexity():
    def flat(k, t):
        return torch.full((t,), -math.log(k, BASE), dtype=torch.float64)

    assert abs(corpus_perplexity([flat(27, 3), flat(27, 500)]) - 27) < 1e-9, (
        "a fair die of K sides has perplexity K"
    )
    mine = corpus_perplexity([flat(2, 900), flat(50, 100)])
    assert abs(math.log(mine) - 0.9 * math.log(2) - 0.1 * math.log(50)) < 1e-9, (
        "a long text must count more than a short one"
    )
    g = torch.Generator().manual_seed(1)
    p = torch.rand(40, generator=g, dtype=torch.float64).log() / math.log(BASE)
    whole = corpus_perplexity([p])
    for cut in (1, 7, 33):
        assert abs(corpus_perplexity([p[:cut], p[cut:]]) - whole) < 1e-9, (
            "cutting a text in two must not change anything"
        )
    assert whole >= 1, "a perplexity is at least 1"


self_check("at-work-perplexity", check_at_work_perplexity)


# %% ex={"id": "at-work-perplexity", "role": "probe", "points": 1}
def probe(seed):  # texts of one length, each of another difficulty
    g = torch.Generator().manual_seed(seed)
    hard = 0.2 + 2 * torch.rand(5, generator=g)
    return float(corpus_perplexity([-h * (0.1 + torch.rand(30, generator=g)) for h in hard]))


# %% ex={"id": "at-work-perplexity", "role": "probe", "points": 2}
def probe(seed):  # a short text is harder than a long one
    g = torch.Generator().manual_seed(seed)
    lengths = (1, 4, 30, 200)
    return float(corpus_perplexity([-(0.2 + torch.rand(t, generator=g)) * (1 + 20 / (t + 5)) for t in lengths]))


# %% ex={"id": "at-work-perplexity", "role": "wrong", "why": "averages the perplexities of the texts"}
def corpus_perplexity(log_probs):
    return sum(BASE ** -float(lp.mean()) for lp in log_probs) / len(log_probs)


# %% ex={"id": "at-work-perplexity", "role": "wrong", "why": "gives every text the same weight, whatever its length"}
def corpus_perplexity(log_probs):
    return BASE ** (-sum(float(lp.mean()) for lp in log_probs) / len(log_probs))


# %% ex={"id": "at-work-perplexity", "role": "wrong", "why": "takes the logarithms for nats"}
def corpus_perplexity(log_probs):
    return math.exp(-float(torch.cat(list(log_probs)).mean()))


# %% [markdown] ex={"id": "at-work-dyck", "role": "statement", "kind": "implement", "points": 4, "minutes": 25, "difficulty": 3, "topic": "molecules"}
# #### The perfect bracket generator
#
# Draw valid bracket strings *uniformly*, one symbol at a time and from left to right. If $h$ brackets are open and $r$ symbols remain, let
# $W(h,r)$ be the number of ways to finish. Find a recursion for $W$ and return the probability of opening a bracket next.
# (This is the law that the counter model of the page tries to learn.)

# %% ex={"id": "at-work-dyck", "role": "solution"}
def prob_open(h, r):
    """P(next opens | h open, r remain), uniform over valid strings; a float."""
    ### BEGIN SOLUTION
    def ways(h, r):
        if h < 0 or h > r:
            return 0
        return 1 if r == 0 else ways(h + 1, r - 1) + ways(h - 1, r - 1)

    return ways(h + 1, r - 1) / ways(h, r)
    ### END SOLUTION


# %% ex={"id": "at-work-dyck", "role": "check"}
def check_at_work_dyck():
    for length in (2, 6, 8):
        total, probabilities = 0.0, []
        for s in itertools.product((0, 1), repeat=length):
            depths = list(itertools.accumulate(2 * c - 1 for c in s))
            if min(depths) < 0 or depths[-1]:
                continue
            q, h = 1.0, 0
            for t, c in enumerate(s):
                p = prob_open(h, length - t)
                assert -1e-12 <= p <= 1 + 1e-12, (
                    "a probability lies between 0 and 1"
                )
                q, h = q * (p if c else 1 - p), h + 2 * c - 1
            total += q
            probabilities.append(q)
        assert abs(total - 1) < 1e-9, "all mass must lie on the valid strings"
        assert max(probabilities) - min(probabilities) < 1e-9, (
            "every valid string must be equally likely"
        )
    assert prob_open(3, 3) == 0 and prob_open(0, 6) == 1, (
        "sometimes there is no choice"
    )


self_check("at-work-dyck", check_at_work_dyck)


# %% ex={"id": "at-work-dyck", "role": "probe", "points": 3}
def probe(seed):  # both symbols are possible
    g = torch.Generator().manual_seed(seed)
    cases = [(h, r) for r in range(3, 13) for h in range(1, r - 1) if (r - h) % 2 == 0]
    return [float(prob_open(*cases[i])) for i in torch.randperm(len(cases), generator=g)[:14].tolist()]


# %% ex={"id": "at-work-dyck", "role": "probe", "points": 1}
def probe(seed):  # only one is
    g = torch.Generator().manual_seed(seed)
    cases = [(0, r) for r in range(2, 13, 2)] + [(r, r) for r in range(1, 10)]
    return [float(prob_open(*cases[i])) for i in torch.randperm(len(cases), generator=g).tolist()]


# %% ex={"id": "at-work-dyck", "role": "wrong", "why": "a fair coin wherever both symbols are allowed: valid but not uniform"}
def prob_open(h, r):
    return 1.0 if h == 0 else 0.0 if h == r else 0.5


# %% ex={"id": "at-work-dyck", "role": "wrong", "why": "the share of openings among the remaining symbols"}
def prob_open(h, r):
    return 1.0 if h == 0 else (r - h) / 2 / r


# %% [markdown] ex={"id": "at-work-validity", "role": "statement", "kind": "investigate", "points": 4, "minutes": 25, "difficulty": 3, "topic": "music"}
# #### How fast does validity decay?
#
# A Markov chain with start law `start` $(K,)$ and transitions `P` $(K,K)$ writes sequences of $T$ symbols; `allowed` $(K,K)$ says which
# steps obey the rules. Return the exact probability that *every* step of a sequence is allowed. Then investigate: plot its logarithm
# against $T$ for the order-1 model of the page. Why does it become a straight line, and what is the slope?

# %% ex={"id": "at-work-validity", "role": "solution"}
def prob_valid(start, P, allowed, T):
    """P(all T - 1 steps are allowed); allowed (K, K) holds 0 and 1; a float."""
    ### BEGIN SOLUTION
    mass = start
    for _ in range(T - 1):
        # (K,): probability of being here with no fault so far
        mass = mass @ (P * allowed)
    return float(mass.sum())
    ### END SOLUTION


# %% ex={"id": "at-work-validity", "role": "check"}
def check_at_work_validity():
    g = torch.Generator().manual_seed(2)
    P = torch.rand(3, 3, generator=g, dtype=torch.float64)
    P, start = (
        P / P.sum(1, keepdim=True),
        torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64),
    )
    allowed = torch.tensor([[0, 1, 1], [1, 0, 0], [1, 1, 1]], dtype=torch.float64)
    for T in (1, 2, 5):
        slow = 0.0
        for s in itertools.product(range(3), repeat=T):
            steps = list(itertools.pairwise(s))
            if all(allowed[a, b] for a, b in steps):
                slow += float(start[s[0]]) * math.prod(
                    float(P[a, b]) for a, b in steps
                )
        assert abs(prob_valid(start, P, allowed, T) - slow) < 1e-9, (
            f"enumeration disagrees for T = {T}"
        )
    assert (
        abs(prob_valid(start, P, torch.ones(3, 3, dtype=torch.float64), 40) - 1)
        < 1e-9
    ), "without rules all is valid"
    ratio = prob_valid(start, P, allowed, 81) / prob_valid(start, P, allowed, 80)
    top = float(torch.linalg.eigvals(P * allowed).abs().max())
    assert abs(ratio - top) < 1e-6, (
        "in the long run each step must cost the same factor"
    )


self_check("at-work-validity", check_at_work_validity)


# %% ex={"id": "at-work-validity", "role": "probe", "points": 2}
def probe(seed):  # state 0 may not return to itself, and 0 to 1 is allowed where 1 to 0 is not
    g = torch.Generator().manual_seed(seed)
    P, start = torch.rand(4, 4, generator=g) + 0.05, torch.rand(4, generator=g) + 0.05
    allowed = (torch.rand(4, 4, generator=g) < 0.7).double()
    allowed[0, :2], allowed[1, :2] = torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0])
    P, start = P / P.sum(1, keepdim=True), start / start.sum()
    return [float(prob_valid(start, P, allowed, T)) for T in (1, 2, 3, 4, 6)]


# %% ex={"id": "at-work-validity", "role": "probe", "points": 2}
def probe(seed):  # long sequences, on the scale of the logarithm
    g = torch.Generator().manual_seed(seed)
    P, start = torch.rand(6, 6, generator=g) + 0.05, torch.rand(6, generator=g) + 0.05
    allowed = torch.ones(6, 6)
    allowed[torch.arange(5), torch.arange(1, 6)] = 0.0
    allowed[3, 3] = 0.0
    P, start = P / P.sum(1, keepdim=True), start / start.sum()
    return [math.log(prob_valid(start, P, allowed, T)) for T in (30, 100)]


# %% ex={"id": "at-work-validity", "role": "wrong", "why": "treats the steps as independent"}
def prob_valid(start, P, allowed, T):
    return float((start[:, None] * P * allowed).sum()) ** (T - 1)


# %% ex={"id": "at-work-validity", "role": "wrong", "why": "reads the rules from the new symbol to the old one"}
def prob_valid(start, P, allowed, T):
    mass = start
    for _ in range(T - 1):
        mass = mass @ (P * allowed.T)
    return float(mass.sum())


# %% ex={"id": "at-work-validity", "role": "wrong", "why": "takes T steps instead of T - 1"}
def prob_valid(start, P, allowed, T):
    mass = start
    for _ in range(T):
        mass = mass @ (P * allowed)
    return float(mass.sum())


# %% ex={"id": "at-work-validity", "role": "wrong", "why": "renormalises the rows, so that nothing is ever invalid"}
def prob_valid(start, P, allowed, T):
    Q = P * allowed
    Q = Q / Q.sum(1, keepdim=True)
    mass = start
    for _ in range(T - 1):
        mass = mass @ Q
    return float(mass.sum())

# %% [markdown] ex={"id": "at-work-explain-same-n", "role": "statement", "kind": "explain", "points": 6, "minutes": 20, "difficulty": 3, "topic": "metrics"}
# #### The same number of samples, so it is fair
#
# Two image generators are scored by their Fréchet distance to one fixed, very large set of held-out images, in the same features, with the same number $n$ of generated images.
# Averages over many repetitions, error bars negligible:
#
# | $n$ | generator A | generator B |
# |---|---|---|
# | $1000$ | $12.0$ | $10.0$ |
# | $2000$ | $7.0$ | $8.0$ |
# | $4000$ | $4.5$ | $7.0$ |
#
# "I compare at $n=1000$, as everybody in our field does", says an author of B; "both get the same $n$, so the bias is the same and cancels." Which generator
# is nearer to the data in this distance, and by how much? Why does the bias not cancel, and what do the numbers suggest about how varied the outputs of A and B are?
# A second author concludes that the generator which wins makes the better images. Name two different ways in which that can still be false and, for each, a measurement that would show it.

# %% [markdown] ex={"id": "at-work-explain-same-n", "role": "solution"}
# Fit $d_\infty+b/n$: A has $b=10\,000$ and $d_\infty=2$, B has $b=4000$ and $d_\infty=6$, and both lines meet the third score, $4.5$ and $7$. So A is nearer, 2 against 6; the
# curves cross at $n=1500$. The bias comes from estimating mean and covariance of the *generated* features, and its size grows with their spread: $b$ belongs to the generator, and
# equal $n$ cancels only equal $b$. The larger $b$ of A hints that its outputs vary more; B may have lost part of the variety, and a small $n$ favours such a model. (A hint, no proof: $b$
# also depends on the shape of the law.) Still open: the distance reads two moments of these features. A may match them with bad images (filled gaps between
# modes: a classifier two-sample test, precision); it may hand out training images (copy test: nearer to training than to fresh images?); or its faults may be
# invisible in these features (score in other features, or ask people).

# %% [markdown] ex={"id": "at-work-explain-same-n", "role": "rubric"}
# - 2: extrapolates in 1/n to about 2 for A and 6 for B (1) and concludes that A is nearer by about 4, although B looks better at n = 1000 (1)
# - 2: says that the bias comes from estimating the moments of the generated features from n samples and that its coefficient differs between generators, so that equal n does not cancel it (1); reads the larger coefficient of A as a sign of more varied outputs, or the smaller one of B as lost variety (1)
# - 2: names two different ways in which the conclusion can fail, each with a measurement that shows it, one point each (only two moments are read: two-sample test, precision and recall; copies of training images: distances to training against fresh images; blind features: other features or people)
