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
# # Exercises: Evaluation and diagnosis

# %% ex={"role": "setup"}
import itertools
import math

import torch

from genkit.checks import self_check

torch.set_default_dtype(torch.float64)


# %% [markdown] ex={"id": "evaluation-cells", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "likelihood"}
# #### Exact bits from a distribution function
#
# A continuous law on the line gives the grey level $l\in\{0,\dots,L-1\}$ the probability of its cell, $F(l+\frac12)-F(l-\frac12)$, where the first and the
# last cell reach to $-\infty$ and to $+\infty$. Here every pixel has the logistic distribution function $F(t)=1/(1+e^{-(t-m)/s})$ with its own $m$ and $s$.
# Return the *exact* bits per dimension of images of integer levels: no dequantisation, no bound.

# %% ex={"id": "evaluation-cells", "role": "solution"}
def logistic_bpd(x, m, s, levels):
    """Mean bits per dimension, a scalar, of integer images x (n, d) with values 0..levels-1; m and s (d,)."""
    ### BEGIN SOLUTION
    upper = torch.where(x >= levels - 1, math.inf, (x + 0.5 - m) / s)
    lower = torch.where(x <= 0, -math.inf, (x - 0.5 - m) / s)
    cell = torch.sigmoid(upper) - torch.sigmoid(lower)
    return -cell.log2().mean()
    ### END SOLUTION


# %% ex={"id": "evaluation-cells", "role": "check"}
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


self_check("evaluation-cells", check_evaluation_cells)


# %% ex={"id": "evaluation-cells", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randint(1, 8, (7, 5), generator=g).double()  # inner cells only
    m, s = 2 + 4 * torch.rand(5, generator=g), 0.8 + 1.5 * torch.rand(5, generator=g)
    return float(logistic_bpd(x, m, s, 9))


# %% ex={"id": "evaluation-cells", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for levels in (2, 5):  # the end cells matter
        x = torch.randint(levels, (30, 3), generator=g).double()
        m, s = (levels + 1) * torch.rand(3, generator=g) - 1, 0.8 + 1.5 * torch.rand(3, generator=g)
        out.append(float(logistic_bpd(x, m, s, levels)))
    return out


# %% ex={"id": "evaluation-cells", "role": "wrong", "why": "nats: natural logarithm"}
def logistic_bpd(x, m, s, levels):
    upper = torch.where(x >= levels - 1, math.inf, (x + 0.5 - m) / s)
    lower = torch.where(x <= 0, -math.inf, (x - 0.5 - m) / s)
    return -(torch.sigmoid(upper) - torch.sigmoid(lower)).log().mean()


# %% ex={"id": "evaluation-cells", "role": "wrong", "why": "the end cells are closed: the mass outside is lost"}
def logistic_bpd(x, m, s, levels):
    return -(torch.sigmoid((x + 0.5 - m) / s) - torch.sigmoid((x - 0.5 - m) / s)).log2().mean()


# %% ex={"id": "evaluation-cells", "role": "wrong", "why": "the density at the level for the probability of its cell"}
def logistic_bpd(x, m, s, levels):
    z = (x - m) / s
    return -(torch.sigmoid(z) * torch.sigmoid(-z) / s).log2().mean()


# %% ex={"id": "evaluation-cells", "role": "wrong", "why": "bits per image, not per dimension"}
def logistic_bpd(x, m, s, levels):
    upper = torch.where(x >= levels - 1, math.inf, (x + 0.5 - m) / s)
    lower = torch.where(x <= 0, -math.inf, (x - 0.5 - m) / s)
    return -(torch.sigmoid(upper) - torch.sigmoid(lower)).log2().sum(1).mean()


# %% ex={"id": "evaluation-cells", "role": "wrong", "why": "cells from the level to the next: the half is missing"}
def logistic_bpd(x, m, s, levels):
    upper = torch.where(x >= levels - 1, math.inf, (x + 1 - m) / s)
    lower = torch.where(x <= 0, -math.inf, (x - m) / s)
    return -(torch.sigmoid(upper) - torch.sigmoid(lower)).log2().mean()


# %% [markdown] ex={"id": "evaluation-inception", "role": "statement", "kind": "implement", "points": 3, "minutes": 15, "difficulty": 1, "topic": "classifier scores"}
# #### An Inception score that survives its classifier
#
# Compute {eq}`eq-evaluation-is` from *logits* $(n,K)$, finite also when the classifier is so sure that probabilities underflow to zero.

# %% ex={"id": "evaluation-inception", "role": "solution"}
def inception_from_logits(logits):
    """Inception score, a scalar, of logits (n, K)."""
    ### BEGIN SOLUTION
    log_p = torch.log_softmax(logits, 1)
    log_marginal = torch.logsumexp(log_p, 0) - math.log(len(logits))
    kl = (log_p.exp() * (log_p - log_marginal)).sum(1)
    return kl.mean().exp()
    ### END SOLUTION


# %% ex={"id": "evaluation-inception", "role": "check"}
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


self_check("evaluation-inception", check_evaluation_inception)


# %% ex={"id": "evaluation-inception", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    return [float(inception_from_logits(2 * torch.randn(n, K, generator=g) + 1)) for n, K in ((30, 6), (9, 14))]


# %% ex={"id": "evaluation-inception", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(44, 30, generator=g)
    sure = torch.randint(25, (40,), generator=g)  # five classes that no certain image belongs to
    logits[torch.arange(40), sure] += 4000
    return [float(inception_from_logits(logits)), float(inception_from_logits(logits[:40]))]


# %% ex={"id": "evaluation-inception", "role": "wrong", "why": "mean of the exponentials"}
def inception_from_logits(logits):
    log_p = torch.log_softmax(logits, 1)
    log_marginal = torch.logsumexp(log_p, 0) - math.log(len(logits))
    return (log_p.exp() * (log_p - log_marginal)).sum(1).exp().mean()


# %% ex={"id": "evaluation-inception", "role": "wrong", "why": "uniform marginal over the classes"}
def inception_from_logits(logits):
    log_p = torch.log_softmax(logits, 1)
    return (log_p.exp() * (log_p + math.log(logits.shape[1]))).sum(1).mean().exp()


# %% ex={"id": "evaluation-inception", "role": "wrong", "why": "probabilities first: 0 log 0 is nan"}
def inception_from_logits(logits):
    p = torch.softmax(logits, 1)
    return (p * (p.log() - p.mean(0).log())).sum(1).mean().exp()


# %% ex={"id": "evaluation-inception", "role": "wrong", "why": "marginal is the softmax of the mean logits"}
def inception_from_logits(logits):
    log_p = torch.log_softmax(logits, 1)
    log_marginal = torch.log_softmax(log_p.mean(0), 0)
    return (log_p.exp() * (log_p - log_marginal)).sum(1).mean().exp()


# %% ex={"id": "evaluation-inception", "role": "wrong", "why": "divergence from the marginal to the image: the wrong way round"}
def inception_from_logits(logits):
    log_p = torch.log_softmax(logits, 1)
    log_marginal = torch.logsumexp(log_p, 0) - math.log(len(logits))
    return (log_marginal.exp() * (log_marginal - log_p)).sum(1).mean().exp()


# %% ex={"id": "evaluation-inception", "role": "wrong", "why": "a small number inside the logarithms: no nan, but no longer the score"}
def inception_from_logits(logits):
    p = torch.softmax(logits, 1)
    return (p * ((p + 1e-6).log() - (p.mean(0) + 1e-6).log())).sum(1).mean().exp()


# %% [markdown] ex={"id": "evaluation-plural", "role": "statement", "kind": "implement", "points": 3, "minutes": 15, "difficulty": 1, "topic": "diversity"}
# #### Neighbours within a condition
#
# A conditional generator answers each of $C$ inputs with $M$ outputs. Return $D_{\text{plural}}$ for each input, without a loop over pairs. Then try inputs
# whose answers all have a twin: which of your other diversity scores should stand beside it?

# %% ex={"id": "evaluation-plural", "role": "solution"}
def plural_by_condition(x):
    """Mean distance to the nearest other output of the same input, (C,); x (C, M, d) with M >= 2."""
    ### BEGIN SOLUTION
    distance = (x[:, :, None] - x[:, None]).norm(dim=-1)  # (C, M, M)
    own = torch.eye(x.shape[1], dtype=torch.bool)
    return distance.masked_fill(own, math.inf).amin(2).mean(1)
    ### END SOLUTION


# %% ex={"id": "evaluation-plural", "role": "check"}
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


self_check("evaluation-plural", check_evaluation_plural)


# %% ex={"id": "evaluation-plural", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    return plural_by_condition(torch.randn(5, 8, 3, generator=g))


# %% ex={"id": "evaluation-plural", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(3, 9, 2, generator=g)
    x[0, 4:8] = x[0, :4]  # twins of some outputs
    x[2, 1] = x[2, 0]
    return plural_by_condition(x)


# %% ex={"id": "evaluation-plural", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    return plural_by_condition(torch.rand(15, 600, 2, generator=g))  # a loop over pairs would not end in time


# %% ex={"id": "evaluation-plural", "role": "wrong", "why": "each output is its own nearest neighbour"}
def plural_by_condition(x):
    return (x[:, :, None] - x[:, None]).norm(dim=-1).amin(2).mean(1)


# %% ex={"id": "evaluation-plural", "role": "wrong", "why": "neighbours from other inputs count"}
def plural_by_condition(x):
    C, M, d = x.shape
    flat = x.reshape(C * M, d)
    distance = (flat[:, None] - flat[None]).norm(dim=-1).fill_diagonal_(math.inf)
    return distance.amin(1).reshape(C, M).mean(1)


# %% ex={"id": "evaluation-plural", "role": "wrong", "why": "drops zero distances, and with them the twins"}
def plural_by_condition(x):
    distance = (x[:, :, None] - x[:, None]).norm(dim=-1)
    return distance.masked_fill(distance == 0, 1e9).amin(2).mean(1)


# %% ex={"id": "evaluation-plural", "role": "wrong", "why": "squared distances"}
def plural_by_condition(x):
    distance = (x[:, :, None] - x[:, None]).square().sum(-1)
    own = torch.eye(x.shape[1], dtype=torch.bool)
    return distance.masked_fill(own, math.inf).amin(2).mean(1)


# %% [markdown] ex={"id": "evaluation-repeat", "role": "statement", "kind": "implement", "points": 5, "minutes": 30, "difficulty": 3, "topic": "diversity"}
# #### A repetition among n draws, exactly
#
# Return the probability that $n$ independent draws from $p=(p_1,\dots,p_K)$ contain *some* outcome twice. Without a repetition the draws are an ordered
# choice of $n$ different outcomes: the sum over all of them is $n!\,e_n(p)$, with the $n$-th elementary symmetric polynomial, the coefficient of $t^n$ in
# $\prod_i(1+p_it)$. Multiply one factor at a time; 1000 outcomes must be no trouble.

# %% ex={"id": "evaluation-repeat", "role": "solution"}
def prob_repeat(p, n):
    """Probability of at least one repetition among n >= 1 draws from p (K,); a float."""
    ### BEGIN SOLUTION
    e = torch.zeros(n + 1)
    e[0] = 1.0
    for p_i in p:  # multiply by (1 + p_i t); scaled: e[k] holds k! times the coefficient
        e[1:] = e[1:] + torch.arange(1, n + 1) * p_i * e[:-1]
    return float(1 - e[n])
    ### END SOLUTION


# %% ex={"id": "evaluation-repeat", "role": "check"}
def check_evaluation_repeat():
    for p, n in (([0.5, 0.3, 0.2], 2), ([0.5, 0.3, 0.2], 3), ([0.4, 0.3, 0.2, 0.1], 3), ([0.7, 0.1, 0.1, 0.1], 5)):
        truth = sum(math.prod(p[i] for i in draws) for draws in itertools.product(range(len(p)), repeat=n) if len(set(draws)) < n)
        assert abs(prob_repeat(torch.tensor(p), n) - truth) < 1e-9, f"n = {n}: the sum over all sequences disagrees"
    assert abs(prob_repeat(torch.tensor([0.2, 0.8]), 1)) < 1e-12, "one draw can't repeat anything"
    same = torch.full((1000,), 1e-3)
    for n in (23, 60):
        truth = 1 - math.prod(1 - i / 1000 for i in range(n))
        assert abs(prob_repeat(same, n) - truth) < 1e-9, "equal outcomes: compare with the product for birthdays"


self_check("evaluation-repeat", check_evaluation_repeat)


# %% ex={"id": "evaluation-repeat", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    p = torch.rand(7, generator=g) + 0.1
    return [float(prob_repeat(p / p.sum(), n)) for n in (2, 3, 5)]


# %% ex={"id": "evaluation-repeat", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    p = torch.rand(1000, generator=g) ** 2
    return [float(prob_repeat(p / p.sum(), n)) for n in (20, 35)]


# %% ex={"id": "evaluation-repeat", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    p = torch.rand(4, generator=g) + 0.2
    p[seed % 4] = 0.0  # three outcomes are left
    return [float(prob_repeat(p / p.sum(), n)) for n in (1, 3, 4, 6)]


# %% ex={"id": "evaluation-repeat", "role": "wrong", "why": "off by one: the product has n factors beyond the first"}
def prob_repeat(p, n):
    e = torch.zeros(n + 2)
    e[0] = 1.0
    for p_i in p:
        e[1:] = e[1:] + torch.arange(1, n + 2) * p_i * e[:-1]
    return float(1 - e[n + 1])


# %% ex={"id": "evaluation-repeat", "role": "wrong", "why": "treats p as uniform over 1/sum p\u00b2 outcomes"}
def prob_repeat(p, n):
    N = 1 / float((p**2).sum())
    return 1 - math.prod(max(0.0, 1 - i / N) for i in range(n))


# %% ex={"id": "evaluation-repeat", "role": "wrong", "why": "forgets the n! orders"}
def prob_repeat(p, n):
    e = torch.zeros(n + 1)
    e[0] = 1.0
    for p_i in p:
        e[1:] = e[1:] + p_i * e[:-1]
    return float(1 - e[n])


# %% ex={"id": "evaluation-repeat", "role": "wrong", "why": "expected number of coinciding pairs, not a probability"}
def prob_repeat(p, n):
    return math.comb(n, 2) * float((p**2).sum())


# %% [markdown] ex={"id": "evaluation-permutation", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "two-sample tests"}
# #### A p-value that keeps its promise
#
# Write a permutation test for any statistic `stat(x, y)` that is large when the samples differ: relabel the pooled sample `permutations` times, and return
# the $p$-value. It must satisfy $\Pr(p\le\alpha)\le\alpha$ under the null *exactly*, also with ties. Then find out how often a test raises a false alarm that
# returns the share of relabellings alone, without the observed labelling.

# %% ex={"id": "evaluation-permutation", "role": "solution"}
def permutation_p(stat, x, y, permutations, generator):
    """p-value, a float, of the samples x (n, d) and y (m, d)."""
    ### BEGIN SOLUTION
    both, observed = torch.cat([x, y]), stat(x, y)
    reached = 1  # the labelling that was observed is one of them
    for _ in range(permutations):
        order = torch.randperm(len(both), generator=generator)
        reached += int(stat(both[order[: len(x)]], both[order[len(x) :]]) >= observed)
    return reached / (permutations + 1)
    ### END SOLUTION


# %% ex={"id": "evaluation-permutation", "role": "check"}
def check_evaluation_permutation():
    def gap(x, y):
        return float((x.mean(0) - y.mean(0)).abs().sum())

    g = torch.Generator().manual_seed(11)
    constant = permutation_p(gap, torch.ones(4, 1), torch.ones(3, 1), 9, g)
    assert constant == 1, "all observations equal: every relabelling ties, and nothing was found"
    far = permutation_p(gap, torch.randn(30, 2, generator=g), 50 + torch.randn(20, 2, generator=g), 19, g)
    assert abs(far - 1 / 20) < 1e-9, "two distant clouds, 19 relabellings: the observed labelling is the most extreme of 20, and p can't be smaller"
    calls = []

    def spy(x, y):
        calls.append((x, y))
        return 0.0

    mine, theirs = torch.randn(6, 1, generator=g), torch.randn(2, 1, generator=g)
    permutation_p(spy, mine, theirs, 30, g)
    assert {(len(x), len(y)) for x, y in calls} == {(6, 2)}, "a relabelling keeps the two sizes"
    pool = torch.cat([mine, theirs]).sort(0).values
    assert all(torch.equal(torch.cat(c).sort(0).values, pool) for c in calls), "a relabelling uses every observation once"
    second = {tuple(sorted(y.flatten().tolist())) for _, y in calls}
    assert len(second) > 10, f"thirty relabellings of 6 and 2 should give more than {len(second)} different second samples"
    alarms = [permutation_p(gap, torch.randn(5, 1, generator=g), torch.randn(5, 1, generator=g), 4, g) <= 0.2 for _ in range(1500)]
    rate = sum(alarms) / len(alarms)
    assert abs(rate - 0.2) < 0.045, f"with 4 relabellings a level of 1/5 must be kept exactly; yours gives {rate:.2f}"


self_check("evaluation-permutation", check_evaluation_permutation)


# %% ex={"id": "evaluation-permutation", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)

    def gap(x, y):
        return float((x.mean(0) - y.mean(0)).abs().sum())

    permutations = 10 + seed % 30
    equal = permutation_p(gap, torch.ones(5, 1), torch.ones(3, 1), permutations, g)
    x, y = torch.randn(15, 2, generator=g), 40 + torch.randn(12, 2, generator=g)
    return [float(equal), float(permutation_p(gap, x, y, permutations, g))]


# %% ex={"id": "evaluation-permutation", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)

    def nearest(x, y):
        return float((x - y.T).abs().min())

    def total(x, y):
        return float(y.sum())

    permutations = 10 + seed % 30
    pool = torch.randperm(12, generator=g)[:, None].double()  # neighbours part in every relabelling
    x, y = 1 + 0.5 * torch.rand(40, 1, generator=g), 2 + 0.5 * torch.rand(8, 1, generator=g)
    parted = permutation_p(nearest, pool[:9], pool[9:], permutations, g)
    return [float(parted), float(permutation_p(total, x, y, permutations, g))]


# %% ex={"id": "evaluation-permutation", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)

    def nearest(x, y):
        return float((x - y.T).abs().min())

    def gap(x, y):
        return float((x.mean() - y.mean()).abs())

    out = []
    for i in range(1600):  # two statistics, without ties and with, each for equal and for different laws
        x, y = 12 * torch.rand(22, 1, generator=g), 12 * torch.rand(2, 1, generator=g) + (6 if i % 4 > 1 else 0)
        if i % 2:
            x, y = (x / 6).floor(), (y / 6).floor()
        out.append(float(permutation_p(gap if i % 2 else nearest, x, y, 4, g)))
    return out


# %% ex={"id": "evaluation-permutation", "role": "judge"}
def judge(out, ref):
    mine, theirs = 5 * out[0], 5 * ref[0]
    if len(out) != 1 or mine.shape != theirs.shape or np.abs(mine - mine.round()).max() > 1e-6:
        return False
    if mine.min() < 0.5 or mine.max() > 5.5:
        return False  # of five labellings, the observed one among them, 1 to 5 reach the statistic
    for group in range(4):  # each value of p as often as in the reference, within five standard errors
        a, b = (np.bincount(p[group::4].round().astype(int), minlength=6) for p in (mine, theirs))
        if np.any(np.abs(a - b) > 5 * np.sqrt(a + b + 1)):
            return False
    return True


# %% ex={"id": "evaluation-permutation", "role": "wrong", "why": "forgets the observed labelling: p can be zero"}
def permutation_p(stat, x, y, permutations, generator):
    both, observed = torch.cat([x, y]), stat(x, y)
    reached = 0
    for _ in range(permutations):
        order = torch.randperm(len(both), generator=generator)
        reached += int(stat(both[order[: len(x)]], both[order[len(x) :]]) >= observed)
    return reached / permutations


# %% ex={"id": "evaluation-permutation", "role": "wrong", "why": "strict inequality: ties count as discoveries"}
def permutation_p(stat, x, y, permutations, generator):
    both, observed = torch.cat([x, y]), stat(x, y)
    reached = 1
    for _ in range(permutations):
        order = torch.randperm(len(both), generator=generator)
        reached += int(stat(both[order[: len(x)]], both[order[len(x) :]]) > observed)
    return reached / (permutations + 1)


# %% ex={"id": "evaluation-permutation", "role": "wrong", "why": "shuffles within the samples only"}
def permutation_p(stat, x, y, permutations, generator):
    observed = stat(x, y)
    reached = 1
    for _ in range(permutations):
        a = x[torch.randperm(len(x), generator=generator)]
        b = y[torch.randperm(len(y), generator=generator)]
        reached += int(stat(a, b) >= observed - 1e-12)
    return reached / (permutations + 1)


# %% ex={"id": "evaluation-permutation", "role": "wrong", "why": "splits the pool in halves whatever the sizes"}
def permutation_p(stat, x, y, permutations, generator):
    both, observed = torch.cat([x, y]), stat(x, y)
    reached, half = 1, (len(x) + len(y)) // 2
    for _ in range(permutations):
        order = torch.randperm(len(both), generator=generator)
        reached += int(stat(both[order[:half]], both[order[half:]]) >= observed)
    return reached / (permutations + 1)


# %% ex={"id": "evaluation-permutation", "role": "wrong", "why": "a bootstrap: draws from the pool with replacement"}
def permutation_p(stat, x, y, permutations, generator):
    both, observed = torch.cat([x, y]), stat(x, y)
    reached = 1
    for _ in range(permutations):
        order = torch.randint(len(both), (len(both),), generator=generator)
        reached += int(stat(both[order[: len(x)]], both[order[len(x) :]]) >= observed)
    return reached / (permutations + 1)


# %% ex={"id": "evaluation-permutation", "role": "wrong", "why": "counts the observed labelling in the denominator only"}
def permutation_p(stat, x, y, permutations, generator):
    both, observed = torch.cat([x, y]), stat(x, y)
    reached = 0
    for _ in range(permutations):
        order = torch.randperm(len(both), generator=generator)
        reached += int(stat(both[order[: len(x)]], both[order[len(x) :]]) >= observed)
    return reached / (permutations + 1)

# %% [markdown] ex={"id": "evaluation-explain-surpassed", "role": "statement", "kind": "explain", "points": 6, "minutes": 20, "difficulty": 2, "topic": "evaluation"}
# #### Better than real
#
# A generator of small animal photographs was trained on 50 000 images of ten species. Its authors report, for 10 000 generated images and for 10 000 fresh
# photographs that were never trained on: a higher Inception score than the photographs (the classifier had been trained on the same 50 000 images); a smaller
# Fréchet distance to the training images than the photographs have; a precision of 100 % against the training images, where the photographs reach 93 %; and an MMD
# permutation test against the training images that finds no difference. "By every score our generator has surpassed real data", they write. In at most twelve
# sentences: say which single flaw would produce all four results, and why for each of two of them; say what value of a score a perfect generator should have;
# and describe a measurement on the same three sets of images that would settle the matter, with the result you expect if the flaw is there and if it is not.

# %% [markdown] ex={"id": "evaluation-explain-surpassed", "role": "solution"}
# Memorising: the generator returns training images, or nearly. Copies drawn from the training set follow its empirical law, so the MMD finds nothing, and the
# Fréchet distance is spared the deviation of the training set itself from fresh photographs. Each copy sits at the centre of a real ball, so precision is one.
# The classifier is surer of images it was trained on, which raises the Inception score. A perfect generator draws fresh photographs: its target is the value
# that *they* score, up to sampling noise, and a value beyond it, in either direction, is an alarm and no triumph. To settle it, compare the distances to the
# nearest training image, of generated images and of fresh photographs. Copies lie much nearer, mostly at distance about zero. A perfect generator's distances
# are distributed like those of the fresh photographs: of a generated and a fresh image, drawn at random, the generated one is the nearer in half of the cases.

# %% [markdown] ex={"id": "evaluation-explain-surpassed", "role": "rubric"}
# - 2: names memorising (copies or near copies of training images) and explains by it two of the four results, one point each (copies follow the training set's empirical law, so MMD and Fréchet distance see no difference; a copy lies inside a real ball; the classifier is surer of images that it was trained on)
# - 2: says that the target of a score is the value of a second real sample, not the best end of its scale (1), so that a value clearly beyond it is evidence of a flaw (1)
# - 2: describes a test of distances to the training set in which fresh photographs (or a fresh reference set of equal size) serve as the comparison (1), and states the expected result with and without copying (1)
