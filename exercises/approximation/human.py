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
# # Exercises: Asking people

# %% ex={"role": "setup"}
import itertools
import math

import torch
from scipy import stats

from genkit.checks import self_check

torch.set_default_dtype(torch.float64)


# %% [markdown] ex={"id": "human-wilson", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "evaluation"}
# #### An interval that is short as well
#
# The exact interval is safe but long. {cite:t}`wilson1927` keeps all $p$ whose *normal* test does not reject, $|\hat p-p|\le z\sqrt{p(1-p)/n}$, with the
# variance at $p$ and not at $\hat p$. Solve that quadratic inequality and return both ends.

# %% ex={"id": "human-wilson", "role": "solution"}
def wilson_interval(k, n, z=1.959963984540054):
    """k right answers of n -> (low, high)"""
    ### BEGIN SOLUTION
    share = k / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return middle - half, middle + half
    ### END SOLUTION


# %% ex={"id": "human-wilson", "role": "check"}
def check_human_wilson():
    for k, n, z in ((7, 12, 1.959963984540054), (0, 10, 1.959963984540054), (30, 30, 1.959963984540054), (40, 50, 2.5758)):
        ends = wilson_interval(k, n, z)
        assert len(ends) == 2 and ends[0] < ends[1], "return the lower end first, then the upper"
        for p in ends:  # at both ends the test is just on the edge
            edge = (k / n - p) ** 2 - z**2 * p * (1 - p) / n
            assert abs(edge) < 1e-12, f"k = {k}, n = {n}: the end {p:.4f} is not on the edge of the test"
        assert ends[0] > -1e-12 and ends[1] < 1 + 1e-12, "the interval leaves [0, 1]"
    for k in (0, 3):
        (low, high), (other_low, other_high) = wilson_interval(k, 10), wilson_interval(10 - k, 10)
        mirrored = abs(low + other_high - 1) < 1e-9 and abs(high + other_low - 1) < 1e-9
        assert mirrored, "right and wrong answers play the same part"


self_check("human-wilson", check_human_wilson)


# %% ex={"id": "human-wilson", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for n in torch.randint(12, 80, (4,), generator=g).tolist():
        k = int(torch.randint(1, n // 4 + 1, (1,), generator=g))
        for right in (k, n - k):
            low, high = wilson_interval(right, n)
            out += [float(low), float(high)]
    return out


# %% ex={"id": "human-wilson", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for z in (1 + 0.8 * torch.rand(3, generator=g)).tolist():  # other confidences, and observers who are never or always right
        n = int(torch.randint(8, 40, (1,), generator=g))
        for right in (0, n // 4, n):
            low, high = wilson_interval(right, n, z)
            out += [float(low), float(high)]
    return out


# %% ex={"id": "human-wilson", "role": "wrong", "why": "the textbook interval"}
def wilson_interval(k, n, z=1.959963984540054):
    share = k / n
    half = z * math.sqrt(share * (1 - share) / n)
    return share - half, share + half


# %% ex={"id": "human-wilson", "role": "wrong", "why": "right centre, forgets the second term under the root"}
def wilson_interval(k, n, z=1.959963984540054):
    share = k / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n)
    return middle - half, middle + half


# %% ex={"id": "human-wilson", "role": "wrong", "why": "the exact interval"}
def wilson_interval(k, n, z=1.959963984540054):
    tail = stats.norm.sf(z)
    low = stats.beta.ppf(tail, k, n - k + 1) if k else 0.0
    high = stats.beta.ppf(1 - tail, k + 1, n - k) if k < n else 1.0
    return low, high


# %% ex={"id": "human-wilson", "role": "wrong", "why": "always takes z = 1.96"}
def wilson_interval(k, n, z=1.959963984540054):
    z = 1.959963984540054
    share = k / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return middle - half, middle + half


# %% ex={"id": "human-wilson", "role": "wrong", "why": "right centre, but the textbook width at that centre (Agresti and Coull)"}
def wilson_interval(k, n, z=1.959963984540054):
    middle = (k + z**2 / 2) / (n + z**2)
    half = z * math.sqrt(middle * (1 - middle) / (n + z**2))
    return middle - half, middle + half


# %% [markdown] ex={"id": "human-lapses", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "evaluation"}
# #### When attention lapses
#
# An observer of sensitivity $d'$ answers pairs ("which is real?"). With probability $\lambda$ they were not looking and guess. Return the sensitivity that
# explains an observed share of right answers, given $\lambda$: the inverse of $\text{share}=\tfrac\lambda2+(1-\lambda)\Phi(d'/\sqrt2)$. A share that no
# finite $d'$ can explain raises a `ValueError`.

# %% ex={"id": "human-lapses", "role": "solution"}
def sensitivity_from_pairs(share, lapse):
    """share of right answers on pairs, lapse rate in [0, 1) -> d', a number"""
    ### BEGIN SOLUTION
    attentive = (share - lapse / 2) / (1 - lapse)
    if not 0 < attentive < 1:
        raise ValueError(f"a share of {share} cannot be explained with a lapse rate of {lapse}")
    return math.sqrt(2) * stats.norm.ppf(attentive)
    ### END SOLUTION


# %% ex={"id": "human-lapses", "role": "check"}
def check_human_lapses():
    g = torch.Generator().manual_seed(6)
    for d, lapse in ((1.0, 0.0), (0.5, 0.2), (2.0, 0.1), (-1.0, 0.3)):
        n = 400_000
        real, made = torch.randn(n, generator=g) + d, torch.randn(n, generator=g)
        looked = torch.rand(n, generator=g) >= lapse
        right = torch.where(looked, real > made, torch.rand(n, generator=g) < 0.5)
        got = float(sensitivity_from_pairs(right.double().mean().item(), lapse))
        assert abs(got - d) < 0.03, f"observers with d' = {d} and lapses {lapse} give back d' = {got:.3f}"
    assert abs(float(sensitivity_from_pairs(0.5, 0.4))) < 1e-12, "half right means nothing was seen"
    for share, lapse in ((0.97, 0.1), (0.02, 0.1), (1.0, 0.0), (0.0, 0.0)):
        try:
            got = sensitivity_from_pairs(share, lapse)
        except ValueError:
            continue
        raise AssertionError(f"with lapses of {lapse} nobody reaches a share of {share}, but got {got}")


self_check("human-lapses", check_human_lapses)


# %% ex={"id": "human-lapses", "role": "probe", "points": 3}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    lapse = 0.05 + 0.6 * torch.rand(6, generator=g)
    share = lapse / 2 + (1 - lapse) * (0.05 + 0.9 * torch.rand(6, generator=g))
    return [float(sensitivity_from_pairs(s, r)) for s, r in zip(share.tolist(), lapse.tolist(), strict=True)]


# %% ex={"id": "human-lapses", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    lapse = (0.1 + 0.4 * torch.rand(6, generator=g)).tolist()
    # inside, above and below what can be explained, and exactly on the edge, where d' would be infinite
    cases = [(0.5 + 0.2 * (1 - r), r) for r in lapse[:2]] + [(1 - 0.4 * r, r) for r in lapse[2:4]] + [(0.4 * r, r) for r in lapse[4:]]
    cases += [(0.0, 0.0), (1.0, 0.0), (0.25, 0.5), (0.875, 0.25), (0.8, 0.25)]
    out = []
    for i in torch.randperm(len(cases), generator=g).tolist():
        try:
            out.append(float(sensitivity_from_pairs(*cases[i])))
        except ValueError:
            out.append(-99.0)
    return out


# %% ex={"id": "human-lapses", "role": "wrong", "why": "single pictures: a factor 2 instead of the root of 2"}
def sensitivity_from_pairs(share, lapse):
    attentive = (share - lapse / 2) / (1 - lapse)
    if not 0 < attentive < 1:
        raise ValueError("no such observer")
    return 2 * stats.norm.ppf(attentive)


# %% ex={"id": "human-lapses", "role": "wrong", "why": "a lapse counts as wrong"}
def sensitivity_from_pairs(share, lapse):
    attentive = share / (1 - lapse)
    if not 0 < attentive < 1:
        raise ValueError("no such observer")
    return math.sqrt(2) * stats.norm.ppf(attentive)


# %% ex={"id": "human-lapses", "role": "wrong", "why": "clips what cannot be explained"}
def sensitivity_from_pairs(share, lapse):
    attentive = min(max((share - lapse / 2) / (1 - lapse), 1e-6), 1 - 1e-6)
    return math.sqrt(2) * stats.norm.ppf(attentive)


# %% ex={"id": "human-lapses", "role": "wrong", "why": "ignores the lapses"}
def sensitivity_from_pairs(share, lapse):
    if not lapse / 2 < share < 1 - lapse / 2:
        raise ValueError("no such observer")
    return math.sqrt(2) * stats.norm.ppf(share)


# %% ex={"id": "human-lapses", "role": "wrong", "why": "answers infinity for an observer who is never wrong"}
def sensitivity_from_pairs(share, lapse):
    attentive = (share - lapse / 2) / (1 - lapse)
    if not 0 <= attentive <= 1:
        raise ValueError("no such observer")
    return math.sqrt(2) * stats.norm.ppf(attentive)


# %% [markdown] ex={"id": "human-auc", "role": "statement", "kind": "implement", "points": 4, "minutes": 25, "difficulty": 2, "topic": "evaluation"}
# #### All pairs at once
#
# Judges rate single pictures on a scale from 1 to 7. Estimate from the ratings what {prf:ref}`thm-human-forced-choice` calls the best share on pairs:
# $P(a>b)+\tfrac12P(a=b)$ for a real rating $a$ and a made one $b$, over all pairs. Ties are the rule here. It must take three hundred thousand ratings of
# each kind without a table of all pairs.

# %% ex={"id": "human-auc", "role": "solution"}
def pairs_share(real, made):
    """ratings real (n,), made (m,) -> share, a number"""
    ### BEGIN SOLUTION
    ordered = made.sort().values
    below = torch.searchsorted(ordered, real, right=False)
    up_to = torch.searchsorted(ordered, real, right=True)
    return ((below + up_to).double().mean() / (2 * len(made))).item()
    ### END SOLUTION


# %% ex={"id": "human-auc", "role": "check"}
def check_human_auc():
    g = torch.Generator().manual_seed(8)
    for n, m, top in ((7, 5, 3), (40, 61, 7), (30, 30, 1000)):
        real = torch.randint(1, top + 1, (n,), generator=g).double()
        made = torch.randint(1, top, (m,), generator=g).double()
        points = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in itertools.product(real.tolist(), made.tolist())]
        truth = sum(points) / len(points)
        got = float(pairs_share(real.clone(), made.clone()))
        assert math.isclose(got, truth, rel_tol=1e-9), f"{n} real and {m} made ratings: the table of all pairs says {truth - got:+.3f}"
    big = torch.randint(1, 8, (300_000,), generator=g).double()
    assert math.isclose(float(pairs_share(big, big.clone())), 0.5, abs_tol=1e-9), "ratings against themselves share evenly"


self_check("human-auc", check_human_auc)


# %% ex={"id": "human-auc", "role": "probe", "points": 3}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for n, m in ((20, 33), (51, 14), (40, 40)):
        real = torch.multinomial(torch.arange(1.0, 8.0), n, replacement=True, generator=g).double() + 1
        made = torch.randint(1, 8, (m,), generator=g).double()
        out.append(float(pairs_share(real, made)))
    return out


# %% ex={"id": "human-auc", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    real = torch.multinomial(torch.rand(7, generator=g) + torch.arange(7) / 4, 300_000, replacement=True, generator=g).double() + 1
    made = torch.randint(1, 8, (300_000,), generator=g).double()
    return float(pairs_share(real, made))


# %% ex={"id": "human-auc", "role": "wrong", "why": "ties count as lost"}
def pairs_share(real, made):
    below = torch.searchsorted(made.sort().values, real, right=False)
    return (below.double().mean() / len(made)).item()


# %% ex={"id": "human-auc", "role": "wrong", "why": "ties count as won"}
def pairs_share(real, made):
    below = torch.searchsorted(made.sort().values, real, right=True)
    return (below.double().mean() / len(made)).item()


# %% ex={"id": "human-auc", "role": "wrong", "why": "the made ones win"}
def pairs_share(real, made):
    ordered = real.sort().values
    both = torch.searchsorted(ordered, made, right=False) + torch.searchsorted(ordered, made, right=True)
    return (both.double().mean() / (2 * len(real))).item()


# %% ex={"id": "human-auc", "role": "wrong", "why": "pairs the ratings in order of arrival"}
def pairs_share(real, made):
    n = min(len(real), len(made))
    a, b = real[:n], made[:n]
    return ((a > b).double() + 0.5 * (a == b).double()).mean().item()


# %% [markdown] ex={"id": "human-kappa", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "evaluation"}
# #### Agreement beyond chance
#
# Two judges sort the same $n$ pictures into $K$ kinds. They agree on a share $o$ of them, but judges who assign kinds at random with their own frequencies
# would agree on $e=\sum_cf_1(c)f_2(c)$. Return Cohen's $\kappa=(o-e)/(1-e)$. If both judges use one and the same kind for all pictures, agreement by chance
# is certain and $\kappa$ is not defined: raise a `ValueError`.

# %% ex={"id": "human-kappa", "role": "solution"}
def kappa(first, second, kinds):
    """first, second (n,) whole numbers from 0 to kinds - 1 -> a number"""
    ### BEGIN SOLUTION
    observed = (first == second).double().mean()
    f1 = torch.bincount(first, minlength=kinds) / len(first)
    f2 = torch.bincount(second, minlength=kinds) / len(second)
    expected = (f1 * f2).sum()
    if expected == 1:
        raise ValueError("both judges use one kind only: agreement by chance is certain")
    return ((observed - expected) / (1 - expected)).item()
    ### END SOLUTION


# %% ex={"id": "human-kappa", "role": "check"}
def check_human_kappa():
    g = torch.Generator().manual_seed(9)
    a = torch.multinomial(torch.tensor([0.7, 0.2, 0.1]), 60_000, replacement=True, generator=g)
    b = torch.multinomial(torch.tensor([0.1, 0.3, 0.6]), 60_000, replacement=True, generator=g)
    assert abs(float(kappa(a, b, 3))) < 0.02, "judges who do not look at the pictures agree by chance only: 0"
    assert math.isclose(float(kappa(a, a.clone(), 3)), 1.0), "a judge agrees with themselves: 1"
    x, y = torch.tensor([0, 0, 1, 1, 1, 0, 1, 0, 1, 1]), torch.tensor([0, 1, 1, 1, 0, 0, 1, 0, 1, 1])
    # 8 of 10 agree; frequencies 4/10, 6/10 for both: chance 0.52
    assert math.isclose(float(kappa(x, y, 2)) * 12, 7.0), "a table of ten by hand disagrees"
    assert math.isclose(float(kappa(x, y, 5)) * 12, 7.0), "kinds that nobody uses change nothing"
    opposite = float(kappa(torch.tensor([0, 1, 0, 1]), torch.tensor([1, 0, 1, 0]), 2))
    assert math.isclose(opposite, -1.0), f"judges who always contradict each other: -1, got {opposite:.3f}"
    try:
        got = kappa(torch.zeros(5, dtype=torch.long), torch.zeros(5, dtype=torch.long), 2)
    except ValueError:
        return
    raise AssertionError(f"one kind only: kappa is not defined, but got {got}")


self_check("human-kappa", check_human_kappa)


# %% ex={"id": "human-kappa", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for n, kinds in ((60, 4), (200, 3)):
        first = torch.multinomial(torch.rand(kinds, generator=g) + torch.arange(kinds), n, replacement=True, generator=g)
        other = torch.multinomial(torch.rand(kinds, generator=g) + torch.arange(kinds).flip(0), n, replacement=True, generator=g)
        second = torch.where(torch.rand(n, generator=g) < 0.5, first, other)
        out.append(float(kappa(first, second, kinds)))
    return out


# %% ex={"id": "human-kappa", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    only = torch.full((12,), seed % 5)
    mixed = torch.multinomial(torch.tensor([0.6, 0.3, 0.1]), 12, replacement=True, generator=g)
    mixed[0] = 1
    noisy = torch.where(torch.rand(12, generator=g) < 0.4, 0, mixed)
    # one kind only, two judges of one kind each, one stubborn judge, and kinds that nobody uses
    pairs = [(only, only.clone()), (only, (only + 1) % 5), (torch.zeros(12, dtype=torch.long), mixed), (mixed, noisy)]
    out = []
    for i in torch.randperm(4, generator=g).tolist():
        try:
            out.append(float(kappa(*pairs[i], 5)))
        except ValueError:
            out.append(-99.0)
    return out


# %% ex={"id": "human-kappa", "role": "wrong", "why": "raw agreement"}
def kappa(first, second, kinds):
    if len(set(first.tolist()) | set(second.tolist())) == 1:
        raise ValueError("one kind only")
    return (first == second).double().mean().item()


# %% ex={"id": "human-kappa", "role": "wrong", "why": "chance is one over the number of kinds"}
def kappa(first, second, kinds):
    if len(set(first.tolist()) | set(second.tolist())) == 1:
        raise ValueError("one kind only")
    observed = (first == second).double().mean().item()
    return (observed - 1 / kinds) / (1 - 1 / kinds)


# %% ex={"id": "human-kappa", "role": "wrong", "why": "returns nan where it is not defined"}
def kappa(first, second, kinds):
    observed = (first == second).double().mean()
    f1 = torch.bincount(first, minlength=kinds) / len(first)
    f2 = torch.bincount(second, minlength=kinds) / len(second)
    expected = (f1 * f2).sum()
    return ((observed - expected) / (1 - expected)).item()


# %% ex={"id": "human-kappa", "role": "wrong", "why": "pools the frequencies of both judges"}
def kappa(first, second, kinds):
    observed = (first == second).double().mean()
    f = torch.bincount(torch.cat([first, second]), minlength=kinds) / (2 * len(first))
    expected = (f**2).sum()
    if expected == 1:
        raise ValueError("one kind only")
    return ((observed - expected) / (1 - expected)).item()

# %% [markdown] ex={"id": "human-explain-release", "role": "statement", "kind": "explain", "points": 6, "minutes": 20, "difficulty": 2, "topic": "evaluation"}
# #### Indistinguishable, says the press release
#
# "Fifteen people saw twenty pictures each, one at a time, half of them made by our generator, and answered *real or made?* Of the 300 answers 165 were right.
# An exact test against guessing gives $p=0.09$: our pictures are **indistinguishable** from real ones. A rival, who showed pairs and asked *which of the two is
# real?*, reports 56 % right answers, we have 55 %: ours are **harder to detect**. People cannot tell our pictures from the data, so the generator has **learnt
# the distribution** of the data." Take the three conclusions in bold apart. Say for each why it does not follow, with a number where the text allows one and a
# counterexample where it does not, and what one would have to do instead.

# %% [markdown] ex={"id": "human-explain-release", "role": "solution"}
# *Indistinguishable:* a test that does not reject has not shown equality. The exact interval for 165 of 300 runs from 0.49 to 0.61, and is too short even so,
# since fifteen people do not give 300 independent answers: with $\rho=0.05$ the design effect is $1+19\rho=1.95$. Fix beforehand which share would matter, ask
# more people, report the interval from personal shares. *Harder to detect:* pairs are the easier question. For an unbiased observer the shares are $\Phi(d'/2)$
# on single pictures and $\Phi(d'/\sqrt2)$ on pairs, which gives $d'=0.25$ here and $0.21$ for the rival: if anything, the other way round, and neither
# difference exceeds the error. Ask the same question about both generators. *Learnt the distribution:* whoever sees single pictures can't see a set. A
# generator that returns the same thirty training photographs for ever leaves guessing whoever does not know which thirty. Add measures of recall, repeats and copies.

# %% [markdown] ex={"id": "human-explain-release", "role": "rubric"}
# - 2: says that failing to reject is no evidence of equality and gives a range of shares that fit, about 0.49 to 0.61 or 0.55 ± 0.06 (1); says that the answers of one person are dependent, so that the truth is less certain still, or takes the person as the unit (1)
# - 2: says that the shares of the two questions can't be compared, since the same sensitivity gives a higher share on pairs (1); converts both to sensitivities, about 0.25 and 0.21, or finds in another way that the order may be the reverse (1)
# - 2: says that judgements of single pictures measure precision and miss what shows only in a set, such as lost classes, repeats or copies (1); gives a counterexample such as a few stored photographs, or a measurement of recall or copying that would be needed (1)
