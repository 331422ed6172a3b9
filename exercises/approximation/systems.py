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
# # Exercises: Models in the world

# %% ex={"role": "setup"}
import itertools
import math
from collections import Counter

import torch

from genkit.checks import self_check

torch.set_default_dtype(torch.float64)


# %% [markdown] ex={"id": "systems-stacking", "role": "statement", "kind": "implement", "points": 4, "minutes": 25, "difficulty": 2, "topic": "systems"}
# #### An expert for every region
#
# Stack with weights that depend on a region: example $i$ lies in region $r_i\in\{0,\dots,R-1\}$, and the model there is $\sum_kw_{r,k}\,q_k$. Return the
# weights $(R,K)$ that maximise the mean log density, by EM, started from equal weights. A region without an example keeps equal weights.

# %% ex={"id": "systems-stacking", "role": "solution"}
def stack_by_region(log_q, region, regions, steps=500):
    """log densities (n, K), region (n,) whole numbers -> weights (regions, K), rows sum to one"""
    ### BEGIN SOLUTION
    k = log_q.shape[1]
    weights = torch.full((regions, k), 1 / k)
    for r in range(regions):
        inside = log_q[region == r]
        if len(inside):
            for _ in range(steps):
                weights[r] = torch.softmax(inside + weights[r].log(), 1).mean(0)
    return weights
    ### END SOLUTION


# %% ex={"id": "systems-stacking", "role": "check"}
def check_systems_stacking():
    g = torch.Generator().manual_seed(3)
    region = torch.randint(3, (3000,), generator=g)
    truth = torch.tensor([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.05, 0.05, 0.9]])
    centres = torch.tensor([-4.0, 0.0, 4.0])
    which = torch.multinomial(truth[region], 1, generator=g)[:, 0]
    x = centres[which] + torch.randn(3000, generator=g)
    log_q = -0.5 * (x[:, None] - centres) ** 2 - 900.0  # far below what exp can represent, as real log densities are
    w = stack_by_region(log_q.clone(), region, 4)
    assert w.shape == (4, 3), f"four regions and three models give weights (4, 3), got {tuple(w.shape)}"
    assert torch.isfinite(w).all(), "some weights are not finite"
    assert torch.allclose(w.sum(1), torch.ones(4)), "the weights of a region sum to one"
    assert torch.allclose(w[3], torch.full((3,), 1 / 3)), "a region without an example keeps equal weights"
    far = (w[:3] - truth).abs().max()
    assert far < 0.06, f"data mixed with known weights per region give back weights off by {far:.2f}"
    for r in range(3):  # optimal: the gradient is one wherever a weight is positive
        rows = log_q[region == r]
        slope = torch.exp(rows - torch.logsumexp(rows + w[r].log(), 1, keepdim=True)).mean(0)
        assert (slope - 1).abs().max() < 1e-3, f"region {r}: the objective still rises, by up to {(slope - 1).abs().max():.2g}"


self_check("systems-stacking", check_systems_stacking)


# %% ex={"id": "systems-stacking", "role": "probe", "points": 2, "tol": 0.0001}
def probe(seed):  # the tolerance: EM comes near the best weights and does not reach them
    g = torch.Generator().manual_seed(seed)
    region, share = torch.arange(300) % 3, torch.rand(3, 3, generator=g) + 0.4
    owner = torch.multinomial(share[region], 1, generator=g)[:, 0]
    log_q = 0.5 * torch.randn(300, 3, generator=g)
    log_q[torch.arange(300), owner] += 1 + 2 * torch.rand(300, generator=g)
    return stack_by_region(log_q, region, 3)


# %% ex={"id": "systems-stacking", "role": "probe", "points": 1, "tol": 0.0001}
def probe(seed):  # the first and the last region are empty
    g = torch.Generator().manual_seed(seed)
    region, owner = 1 + torch.arange(200) % 2, torch.multinomial(torch.rand(2, generator=g) + 0.4, 200, True, generator=g)
    log_q = 0.5 * torch.randn(200, 2, generator=g)
    log_q[torch.arange(200), owner] += 1 + 2 * torch.rand(200, generator=g)
    return stack_by_region(log_q, region, 4)


# %% ex={"id": "systems-stacking", "role": "probe", "points": 1, "tol": 0.0001}
def probe(seed):  # log densities beyond what exp can represent
    g = torch.Generator().manual_seed(seed)
    owner = torch.multinomial(torch.rand(3, generator=g) + 0.4, 150, True, generator=g)
    log_q = 0.5 * torch.randn(150, 3, generator=g) - 1000 - 500 * torch.rand(150, 1, generator=g)
    log_q[torch.arange(150), owner] += 1 + 2 * torch.rand(150, generator=g)
    return stack_by_region(log_q, torch.zeros(150, dtype=torch.long), 1)


# %% ex={"id": "systems-stacking", "role": "wrong", "why": "one weight vector for all regions"}
def stack_by_region(log_q, region, regions, steps=500):
    w = torch.full((log_q.shape[1],), 1 / log_q.shape[1])
    for _ in range(steps):
        w = torch.softmax(log_q + w.log(), 1).mean(0)
    return w.repeat(regions, 1)


# %% ex={"id": "systems-stacking", "role": "wrong", "why": "softmax of the mean log densities"}
def stack_by_region(log_q, region, regions, steps=500):
    k = log_q.shape[1]
    w = torch.full((regions, k), 1 / k)
    for r in range(regions):
        if (region == r).any():
            w[r] = torch.softmax(log_q[region == r].mean(0), 0)
    return w


# %% ex={"id": "systems-stacking", "role": "wrong", "why": "forgets the current weights: one step from equal weights, for ever"}
def stack_by_region(log_q, region, regions, steps=500):
    k = log_q.shape[1]
    w = torch.full((regions, k), 1 / k)
    for r in range(regions):
        if (region == r).any():
            w[r] = torch.softmax(log_q[region == r], 1).mean(0)
    return w


# %% ex={"id": "systems-stacking", "role": "wrong", "why": "leaves the logarithm too early: everything underflows"}
def stack_by_region(log_q, region, regions, steps=500):
    k = log_q.shape[1]
    w = torch.full((regions, k), 1 / k)
    for r in range(regions):
        q = log_q[region == r].exp()
        for _ in range(steps if len(q) else 0):
            joint = q * w[r]
            w[r] = (joint / joint.sum(1, keepdim=True)).mean(0)
    return w


# %% ex={"id": "systems-stacking", "role": "wrong", "why": "averages over the examples of an empty region"}
def stack_by_region(log_q, region, regions, steps=500):
    k = log_q.shape[1]
    weights = torch.full((regions, k), 1 / k)
    for r in range(regions):
        for _ in range(steps):
            weights[r] = torch.softmax(log_q[region == r] + weights[r].log(), 1).mean(0)
    return weights


# %% ex={"id": "systems-stacking", "role": "wrong", "why": "counts which model is the most likely: hard assignments"}
def stack_by_region(log_q, region, regions, steps=500):
    k = log_q.shape[1]
    weights = torch.full((regions, k), 1 / k)
    for r in range(regions):
        best = log_q[region == r].argmax(1)
        if len(best):
            weights[r] = torch.bincount(best, minlength=k) / len(best)
    return weights


# %% [markdown] ex={"id": "systems-forgetting", "role": "statement", "kind": "implement", "points": 3, "minutes": 15, "difficulty": 1, "topic": "systems"}
# #### What a stream has cost and given
#
# Let $R_{t,s}$ be the test score of task $s$ after learning task $t$, higher being better, and $b_s$ the score of an untrained model. Return two means in the
# usual definitions: **backward transfer**, over $s<T-1$, of the final score minus the score right after learning, $R_{T-1,s}-R_{s,s}$; and **forward
# transfer**, over $s\ge1$, of the score just *before* a task is
# learned minus $b_s$, $R_{s-1,s}-b_s$. (Tasks count from 0.)

# %% ex={"id": "systems-forgetting", "role": "solution"}
def transfer(scores, untrained):
    """scores (T, T), untrained (T,), T >= 2 -> (backward, forward), two numbers"""
    ### BEGIN SOLUTION
    backward = (scores[-1] - scores.diagonal())[:-1].mean()
    forward = (scores.diagonal(1) - untrained[1:]).mean()
    return backward.item(), forward.item()
    ### END SOLUTION


# %% ex={"id": "systems-forgetting", "role": "check"}
def check_systems_forgetting():
    g = torch.Generator().manual_seed(5)
    for t in (2, 3, 6):
        scores, untrained = torch.randn(t, t, generator=g), torch.randn(t, generator=g)
        back, forth = transfer(scores.clone(), untrained.clone())
        b = sum(float(scores[t - 1, s] - scores[s, s]) for s in range(t - 1)) / (t - 1)
        f = sum(float(scores[s - 1, s] - untrained[s]) for s in range(1, t)) / (t - 1)
        assert math.isclose(back, b, rel_tol=1e-9), f"{t} tasks: backward transfer summed task by task is {b - back:+.3f} away"
        assert math.isclose(forth, f, rel_tol=1e-9), f"{t} tasks: forward transfer summed task by task is {f - forth:+.3f} away"


self_check("systems-forgetting", check_systems_forgetting)


# %% ex={"id": "systems-forgetting", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    return [transfer(torch.randn(t, t, generator=g), torch.randn(t, generator=g))[0] for t in (2, 3, 7)]


# %% ex={"id": "systems-forgetting", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    return [transfer(torch.randn(t, t, generator=g), torch.randn(t, generator=g))[1] for t in (2, 4, 6)]


# %% ex={"id": "systems-forgetting", "role": "wrong", "why": "includes the last task, whose loss is zero"}
def transfer(scores, untrained):
    return (scores[-1] - scores.diagonal()).mean().item(), (scores.diagonal(1) - untrained[1:]).mean().item()


# %% ex={"id": "systems-forgetting", "role": "wrong", "why": "reads the matrix the other way round"}
def transfer(scores, untrained):
    s = scores.T
    return (s[-1] - s.diagonal())[:-1].mean().item(), (s.diagonal(1) - untrained[1:]).mean().item()


# %% ex={"id": "systems-forgetting", "role": "wrong", "why": "forgetting instead of backward transfer: the sign"}
def transfer(scores, untrained):
    return (scores.diagonal() - scores[-1])[:-1].mean().item(), (scores.diagonal(1) - untrained[1:]).mean().item()


# %% ex={"id": "systems-forgetting", "role": "wrong", "why": "forward transfer from the score after learning"}
def transfer(scores, untrained):
    return (scores[-1] - scores.diagonal())[:-1].mean().item(), (scores.diagonal() - untrained)[1:].mean().item()


# %% [markdown] ex={"id": "systems-reservoir", "role": "statement", "kind": "implement", "points": 5, "minutes": 25, "difficulty": 3, "topic": "systems"}
# #### A buffer that is fair to the past
#
# A stream of unknown length must be rehearsed from a buffer of $m$ examples, and at every moment each example so far must be in the buffer with the same
# probability. **Reservoir sampling** does it: the first $m$ examples go in; after that the $i$-th example of the
# stream, counted from 1, replaces a random place of the buffer with probability $m/i$, and is dropped otherwise. Return the buffer, as the list of the kept
# examples, after reading the stream once. Never hold more examples than the buffer does, apart from the one just read, and use the given random generator.

# %% ex={"id": "systems-reservoir", "role": "solution"}
def reservoir(stream, m, generator):
    """stream: an iterator; m >= 1 -> list of at most m examples"""
    ### BEGIN SOLUTION
    buffer = []
    for i, example in enumerate(stream, start=1):
        if len(buffer) < m:
            buffer.append(example)
            continue
        place = int(torch.randint(i, (1,), generator=generator))
        if place < m:
            buffer[place] = example
    return buffer
    ### END SOLUTION


# %% ex={"id": "systems-reservoir", "role": "check"}
def check_systems_reservoir():
    g = torch.Generator().manual_seed(7)
    assert sorted(reservoir(iter(range(3)), 5, g)) == [0, 1, 2], "a stream shorter than the buffer is kept whole"

    class Example:
        alive = most = 0

        def __init__(self):
            Example.alive += 1
            Example.most = max(Example.most, Example.alive)

        def __del__(self):
            Example.alive -= 1

    reservoir((Example() for _ in range(200)), 5, g)
    assert Example.most <= 15, f"{Example.most} examples were held at once: a long stream would fill the memory"
    n, m, runs = 12, 4, 10_000
    seen, together = Counter(), Counter()
    for _ in range(runs):
        kept = reservoir(iter(range(n)), m, g)
        assert len(kept) == m and len(set(kept)) == m, f"a buffer of {m} holds {m} different examples, got {kept}"
        seen.update(kept)
        together.update(itertools.combinations(sorted(kept), 2))
    share = [seen[i] / runs for i in range(n)]
    off = max(abs(s - m / n) for s in share)
    assert off < 0.025, f"examples are kept with shares from {min(share):.2f} to {max(share):.2f}, not all {m / n:.2f}"
    pair = m * (m - 1) / n / (n - 1)
    worst = max(abs(together[p] / runs - pair) for p in itertools.combinations(range(n), 2))
    assert worst < 0.02, "single examples are kept fairly, but some pairs are together too often"


self_check("systems-reservoir", check_systems_reservoir)


# %% ex={"id": "systems-reservoir", "role": "probe", "points": 3}
def probe(seed):
    def keep(runs):
        g = torch.Generator().manual_seed(seed)
        return torch.tensor([reservoir(iter(range(7)), 3, g) for _ in range(runs)])

    return keep(6000), keep(20)


# %% ex={"id": "systems-reservoir", "role": "judge"}
def judge(out, ref):
    if len(out) != 2 or out[0].shape != (6000, 3) or out[1].shape != (20, 3) or (out[0][:20] != out[1]).any():
        return False  # the same generator gives the same buffers
    inside = (out[0][:, :, None] == np.arange(7)).sum(1).astype(float)
    if inside.max() > 1 or (inside.sum(1) != 3).any():
        return False
    pairs, lag = inside.T @ inside / 6000, inside[1:].T @ inside[:-1] / 5999
    one, two = 3 / 7, 3 / 7 * 2 / 6
    if np.abs(np.diag(pairs) - one).max() > 6 * np.sqrt(one * (1 - one) / 6000):
        return False
    if np.abs(pairs[np.triu_indices(7, 1)] - two).max() > 6 * np.sqrt(two * (1 - two) / 6000):
        return False
    return np.abs(lag - one**2).max() < 6 * np.sqrt(one**2 * (1 - one**2) / 5999)  # runs are independent


# %% ex={"id": "systems-reservoir", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    kept = []
    for n, m in ((3, 7), (5, 5), (1, 2)):  # whole numbers that may repeat
        stream = torch.randint(4, (n,), generator=g).tolist()
        kept.append(sorted(reservoir(iter(stream), m, g)))
    return kept


# %% ex={"id": "systems-reservoir", "role": "probe", "points": 1}
def probe(seed):
    class Example:
        alive = most = 0

        def __init__(self):
            Example.alive += 1
            Example.most = max(Example.most, Example.alive)

        def __del__(self):
            Example.alive -= 1

    kept = reservoir((Example() for _ in range(500)), 5, torch.Generator().manual_seed(seed))
    return [len(kept), len({id(one) for one in kept}), sum(isinstance(one, Example) for one in kept), Example.most]


# %% ex={"id": "systems-reservoir", "role": "judge"}
def judge(out, ref):
    return len(out) == 1 and out[0].shape == (4,) and (out[0][:3] == 5).all() and 5 <= out[0][3] <= 15


# %% ex={"id": "systems-reservoir", "role": "wrong", "why": "keeps the last m"}
def reservoir(stream, m, generator):
    return list(stream)[-m:]


# %% ex={"id": "systems-reservoir", "role": "wrong", "why": "stores the whole stream and draws from it at the end"}
def reservoir(stream, m, generator):
    everything = list(stream)
    return [everything[i] for i in torch.randperm(len(everything), generator=generator)[:m].tolist()]


# %% ex={"id": "systems-reservoir", "role": "wrong", "why": "replaces with a fixed probability: the past fades"}
def reservoir(stream, m, generator):
    buffer = []
    for example in stream:
        if len(buffer) < m:
            buffer.append(example)
        elif torch.rand((), generator=generator) < 0.5:
            buffer[int(torch.randint(m, (1,), generator=generator))] = example
    return buffer


# %% ex={"id": "systems-reservoir", "role": "wrong", "why": "always replaces"}
def reservoir(stream, m, generator):
    buffer = []
    for example in stream:
        if len(buffer) < m:
            buffer.append(example)
        else:
            buffer[int(torch.randint(m, (1,), generator=generator))] = example
    return buffer


# %% ex={"id": "systems-reservoir", "role": "wrong", "why": "replaces places in turn: neighbours in the stream push each other out"}
def reservoir(stream, m, generator):
    buffer, turn = [], 0
    for i, example in enumerate(stream, start=1):
        if len(buffer) < m:
            buffer.append(example)
        elif torch.rand((), generator=generator) < m / i:
            buffer[turn % m] = example
            turn += 1
    return buffer


# %% ex={"id": "systems-reservoir", "role": "wrong", "why": "counts from 0: the first after the buffer is full always goes in"}
def reservoir(stream, m, generator):
    buffer = []
    for i, example in enumerate(stream):
        if len(buffer) < m:
            buffer.append(example)
        elif torch.rand((), generator=generator) < m / i:
            buffer[int(torch.randint(m, (1,), generator=generator))] = example
    return buffer


# %% ex={"id": "systems-reservoir", "role": "wrong", "why": "replaces with probability 1/i instead of m/i"}
def reservoir(stream, m, generator):
    buffer = []
    for i, example in enumerate(stream, start=1):
        if len(buffer) < m:
            buffer.append(example)
        elif torch.rand((), generator=generator) < 1 / i:
            buffer[int(torch.randint(m, (1,), generator=generator))] = example
    return buffer


# %% [markdown] ex={"id": "systems-prequential", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "systems"}
# #### The price of not knowing
#
# Code a sequence of symbols from $\{0,\dots,K-1\}$ prequentially with the estimate $p(x_{i+1}=k\mid x_1,\dots,x_i)=\dfrac{n_k+{{ADDED}}}{i+{{ADDED}}\,K}$, where
# $n_k$ counts symbol $k$ among the first $i$. Return the whole length in bits.

# %% ex={"id": "systems-prequential", "role": "numbers", "choices": {"ADDED": [0.25, 0.5, 0.75, 1.5]}}
ADDED = 0.5


# %% ex={"id": "systems-prequential", "role": "solution"}
def code_length(symbols, kinds):
    """symbols (n,) whole numbers from 0 to kinds - 1 -> bits, a number"""
    ### BEGIN SOLUTION
    counts = torch.zeros(kinds)
    bits = 0.0
    for i, k in enumerate(symbols.tolist()):
        bits -= math.log2((counts[k] + ADDED) / (i + ADDED * kinds))
        counts[k] += 1
    return bits
    ### END SOLUTION


# %% ex={"id": "systems-prequential", "role": "check"}
def check_systems_prequential():
    for kinds in (2, 3):  # the lengths of all sequences belong to a code: probabilities that sum to one
        total = sum(2 ** -float(code_length(torch.tensor(s), kinds)) for s in itertools.product(range(kinds), repeat=5))
        assert math.isclose(total, 1.0, rel_tol=1e-9), f"the probabilities of all sequences of {kinds} symbols sum to {total:.4f}"
    a, b = torch.tensor([0, 0, 1, 2, 0, 1]), torch.tensor([2, 0, 1, 0, 0, 1])
    same = float(code_length(a, 3)), float(code_length(b, 3))
    assert math.isclose(*same, rel_tol=1e-9), "only the counts matter, not their order: two orders of the same symbols differ"
    # in closed form by gamma functions
    closed = math.lgamma(6 + 3 * ADDED) - math.lgamma(3 * ADDED)
    closed -= sum(math.lgamma(n + ADDED) - math.lgamma(ADDED) for n in (3, 2, 1))
    assert math.isclose(same[0], closed / math.log(2), rel_tol=1e-9), (
        f"the closed form by gamma functions disagrees: is it in bits, with {ADDED} for every symbol?"
    )
    assert float(code_length(torch.zeros(0, dtype=torch.long), 4)) == 0, "nothing to say takes no bits"


self_check("systems-prequential", check_systems_prequential)


# %% ex={"id": "systems-prequential", "role": "probe", "points": 3}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    return [code_length(torch.randint(kinds, (n,), generator=g), kinds) for kinds, n in ((3, 30), (5, 60), (8, 25))]


# %% ex={"id": "systems-prequential", "role": "probe", "points": 1}
def probe(seed):  # nothing to code, and an alphabet larger than the message
    g = torch.Generator().manual_seed(seed)
    kinds = int(torch.randint(80, 120, (1,), generator=g))
    rare = 20 + torch.randperm(60, generator=g)[:4]
    return code_length(rare[:0], kinds), code_length(rare, kinds), code_length(rare[[0, 0, 1, 0, 2]], kinds)


# %% ex={"id": "systems-prequential", "role": "wrong", "why": "peeks: estimates from the whole sequence"}
def code_length(symbols, kinds):
    if len(symbols) == 0:
        return 0.0
    counts = torch.bincount(symbols, minlength=kinds)
    p = (counts + ADDED) / (len(symbols) + ADDED * kinds)
    return -torch.log2(p[symbols]).sum().item()


# %% ex={"id": "systems-prequential", "role": "wrong", "why": "counts the symbol before coding it"}
def code_length(symbols, kinds):
    counts = torch.zeros(kinds)
    bits = 0.0
    for i, k in enumerate(symbols.tolist()):
        counts[k] += 1
        bits -= math.log2((counts[k] + ADDED) / (i + 1 + ADDED * kinds))
    return bits


# %% ex={"id": "systems-prequential", "role": "wrong", "why": "adds one to each count: Laplace's rule"}
def code_length(symbols, kinds):
    counts = torch.zeros(kinds)
    bits = 0.0
    for i, k in enumerate(symbols.tolist()):
        bits -= math.log2((counts[k] + 1) / (i + kinds))
        counts[k] += 1
    return bits


# %% ex={"id": "systems-prequential", "role": "wrong", "why": "nats"}
def code_length(symbols, kinds):
    counts = torch.zeros(kinds)
    total = 0.0
    for i, k in enumerate(symbols.tolist()):
        total -= math.log((counts[k] + ADDED) / (i + ADDED * kinds))
        counts[k] += 1
    return total


# %% ex={"id": "systems-prequential", "role": "wrong", "why": "adds for two symbols to the denominator, whatever the alphabet"}
def code_length(symbols, kinds):
    counts = torch.zeros(kinds)
    bits = 0.0
    for i, k in enumerate(symbols.tolist()):
        bits -= math.log2((counts[k] + ADDED) / (i + 2 * ADDED))
        counts[k] += 1
    return bits

# %% [markdown] ex={"id": "systems-explain-collapse", "role": "statement", "kind": "explain", "points": 6, "minutes": 25, "difficulty": 3, "topic": "systems"}
# #### Unbiased, and gone
#
# A service refits its model every night to $n=101$ draws from last night's model; no real data are kept. The model is a Gaussian. A colleague has read that
# maximum likelihood shrinks the variance by $1-\frac1n$ in each round, and proposes to divide by $n-1$ instead of $n$. "Then $\mathbb E[\sigma_g^2]=\sigma_0^2$
# for every $g$. Nothing is lost, and the nightly test confirms it: each model fits fresh draws from its predecessor well." In at most ten sentences:
# explain what becomes of the service's model over several hundred nights although the equation is right, why the nightly test cannot see it, and what would help.

# %% [markdown] ex={"id": "systems-explain-collapse", "role": "solution"}
# Each night multiplies the variance by an independent factor $\chi^2_{n-1}/(n-1)$ of mean one, so the equation holds. But logarithms add, and by Jensen's
# inequality the logarithm of the factor has a negative mean, about $-\frac1{n-1}=-0.01$. By the law of large numbers the log variance falls without end: after
# $400$ nights a typical variance is near $e^{-4}=0.02$ of the first. The mean stays because ever fewer runs have an ever larger
# variance; the service has a single run, and it will most likely collapse. The test compares each model with its predecessor, which is nearly right every night: one night
# costs about one per cent, less than the noise of 101 draws. The distance to the real data, which grows, is not measured. What helps: mix
# real data into each round, which stops the drift, and test on a fixed set of *real* data. More draws per night only slow it down.

# %% [markdown] ex={"id": "systems-explain-collapse", "role": "rubric"}
# - 2: says that the variance is a product of random factors of mean one whose logarithms have a negative mean (Jensen), so that a typical run shrinks towards zero, at about $1/(n-1)$ a night
# - 1: reconciles this with the constant mean: few runs with a large variance carry it, and the service has a single run
# - 2: says that a test on the predecessor's own draws measures one small step, not the distance to the real data, which adds up
# - 1: names a remedy that works (real data in each round, or kept from the start; a fixed real test set shows the drift)
