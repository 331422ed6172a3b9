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
# # Exercises: What is the best approximation?

# %% ex={"role": "setup"}
import math

import torch
from scipy import optimize

from genkit.checks import self_check

torch.set_default_dtype(torch.float64)


# %% [markdown] ex={"id": "divergences-sampled", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "divergences"}
# #### The reverse divergence from the wrong samples
#
# You have samples of $p$ and both log densities, and want $\mathrm{KL}(q\,\Vert\,p)$, which is an expectation under $q$. Weight the samples: with $r=q/p$ it is
# $\mathbb E_p[r\log r]$. Subtract $r-1$, which has mean zero. It keeps every term non-negative and, for $q$ near $p$, lowers the variance:
#
# $$
# \mathrm{KL}(q\,\Vert\,p)=\mathbb E_p\bigl[r\log r-(r-1)\bigr].
# $$
#
# Return the estimate and its standard error, estimated from the same terms. In many dimensions both log densities may lie thousands of nats below zero.

# %% ex={"id": "divergences-sampled", "role": "solution"}
def reverse_kl(log_p, log_q):
    """Log densities (n,) of p and q at samples of p -> (estimate, standard error), two numbers"""
    ### BEGIN SOLUTION
    log_r = log_q - log_p
    terms = log_r.exp() * log_r - torch.expm1(log_r)
    return terms.mean().item(), (terms.std() / math.sqrt(len(terms))).item()
    ### END SOLUTION


# %% ex={"id": "divergences-sampled", "role": "check"}
def check_divergences_sampled():
    g = torch.Generator().manual_seed(2)
    for t, s in ((0.5, 1.0), (0.3, 0.8), (-0.4, 0.9)):
        x = torch.randn(200_000, generator=g)
        log_p = -0.5 * x**2
        log_q = -0.5 * ((x - t) / s) ** 2 - math.log(s)
        value, se = reverse_kl(log_p, log_q)
        truth = 0.5 * (s**2 + t**2 - 1) - math.log(s)
        wrong_way = 0.5 * ((1 + t**2) / s**2 - 1) + math.log(s)
        assert abs(value - wrong_way) > 5 * se or abs(truth - wrong_way) < 5 * se, "this is the forward divergence, of p to q"
        assert abs(value - truth) < 5 * se + 1e-3, f"q = N({t}, {s}²): the closed form is {truth - value:+.4f} away"
        repeats = torch.tensor([reverse_kl(a, b)[0] for a, b in zip(log_p.view(200, -1), log_q.view(200, -1), strict=True)])
        assert 0.7 < se * math.sqrt(200) / repeats.std().item() < 1.4, "the standard error does not fit the spread of repeated estimates"
        few = [reverse_kl(a, b)[0] for a, b in zip(log_p[:2000].view(1000, 2), log_q[:2000].view(1000, 2), strict=True)]
        assert min(few) >= 0, "every term is at least zero, so every estimate is; some are not"
        low = reverse_kl(log_p - 3000, log_q - 3000)
        assert math.isclose(low[0], value, rel_tol=1e-6), "with both log densities 3000 nats lower the ratios are the same, the estimate is not"


self_check("divergences-sampled", check_divergences_sampled)


# %% ex={"id": "divergences-sampled", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for n in (2, 10, 400):
        x, t = torch.randn(n, generator=g), 0.3 + 0.6 * torch.rand(1, generator=g)
        out.append(float(reverse_kl(-0.5 * x**2, -0.5 * ((x - t) / 0.8) ** 2 - math.log(0.8))[0]))
    return out


# %% ex={"id": "divergences-sampled", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    log_p = -8000 + 5000 * torch.rand(60, generator=g)
    return float(reverse_kl(log_p, log_p + 0.7 * torch.randn(60, generator=g))[0])


# %% ex={"id": "divergences-sampled", "role": "probe", "points": 1, "tol": 0.001}
def probe(seed):  # the tolerance lets n - 1 and n pass
    g = torch.Generator().manual_seed(seed)
    x, t = torch.randn(20_000, generator=g), 0.4 + 0.3 * torch.rand(1, generator=g)
    return 1000 * float(reverse_kl(-0.5 * x**2, -0.5 * ((x - t) / 0.9) ** 2 - math.log(0.9))[1])


# %% ex={"id": "divergences-sampled", "role": "wrong", "why": "the forward divergence"}
def reverse_kl(log_p, log_q):
    terms = log_p - log_q
    return terms.mean().item(), (terms.std() / math.sqrt(len(terms))).item()


# %% ex={"id": "divergences-sampled", "role": "wrong", "why": "minus the forward divergence: no weights"}
def reverse_kl(log_p, log_q):
    terms = log_q - log_p
    return terms.mean().item(), (terms.std() / math.sqrt(len(terms))).item()


# %% ex={"id": "divergences-sampled", "role": "wrong", "why": "right mean, without the control: terms below zero"}
def reverse_kl(log_p, log_q):
    log_r = log_q - log_p
    terms = log_r.exp() * log_r
    return terms.mean().item(), (terms.std() / math.sqrt(len(terms))).item()


# %% ex={"id": "divergences-sampled", "role": "wrong", "why": "the same trick for the other direction: r - 1 - log r"}
def reverse_kl(log_p, log_q):
    log_r = log_q - log_p
    terms = torch.expm1(log_r) - log_r
    return terms.mean().item(), (terms.std() / math.sqrt(len(terms))).item()


# %% ex={"id": "divergences-sampled", "role": "wrong", "why": "weights that are made to sum to one: biased, and below zero at times"}
def reverse_kl(log_p, log_q):
    log_r = log_q - log_p
    w = torch.softmax(log_r, 0) * len(log_r)
    terms = w * log_r
    return terms.mean().item(), (terms.std() / math.sqrt(len(terms))).item()


# %% ex={"id": "divergences-sampled", "role": "wrong", "why": "standard deviation for standard error"}
def reverse_kl(log_p, log_q):
    log_r = log_q - log_p
    terms = log_r.exp() * log_r - torch.expm1(log_r)
    return terms.mean().item(), terms.std().item()


# %% [markdown] ex={"id": "divergences-js", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "divergences"}
# #### Several laws at once
#
# The Jensen–Shannon divergence of $K$ discrete laws with weights $w$ is $\sum_kw_k\,\mathrm{KL}(p_k\,\Vert\,M)$ with $M=\sum_kw_kp_k$: the information of a
# draw on which law it came from. Compute it in nats from **log** probabilities. They may be $-\infty$, and they may be as low as $-10^4$ where the probability
# is not zero, so form $\log M$ without leaving logarithms.

# %% ex={"id": "divergences-js", "role": "solution"}
def js_many(log_p, w):
    """Log probabilities (K, states), weights (K,) > 0 that sum to one -> nats, a number"""
    ### BEGIN SOLUTION
    log_m = torch.logsumexp(log_p + w.log()[:, None], 0)
    ratio = torch.where(log_p == -math.inf, 0.0, log_p - log_m)
    return (w @ (log_p.exp() * ratio).sum(1)).item()
    ### END SOLUTION


# %% ex={"id": "divergences-js", "role": "check"}
def check_divergences_js():
    g = torch.Generator().manual_seed(4)
    for k, states in ((2, 3), (3, 5), (4, 2)):
        p = torch.rand(k, states, generator=g)
        p = p / p.sum(1, keepdim=True)
        w = torch.rand(k, generator=g) + 0.1
        w = w / w.sum()
        joint = w[:, None] * p  # information between the law's number and the draw
        truth = (joint * (joint / (w[:, None] * joint.sum(0))).log()).sum().item()
        got = float(js_many(p.log(), w))
        assert math.isclose(got, truth, rel_tol=1e-9), f"{k} laws: the mutual information is {truth / got:.4g} times that"
    apart = torch.tensor([[0.0, -math.inf, -math.inf], [-math.inf, 0.0, -math.inf]])  # no law has the last state
    got = float(js_many(apart, torch.tensor([0.25, 0.75])))
    entropy = -0.25 * math.log(0.25) - 0.75 * math.log(0.75)
    assert math.isclose(got, entropy, rel_tol=1e-9), f"laws that exclude each other: the entropy of the weights, not {got}"
    tiny = torch.log_softmax(torch.tensor([[0.0, -9000.0, -8000.0], [-9000.0, 0.0, -9500.0]]), 1)
    assert math.isclose(float(js_many(tiny, torch.tensor([0.5, 0.5]))), math.log(2), rel_tol=1e-9), "probabilities of e^-9000 give nan or inf"


self_check("divergences-js", check_divergences_js)


# %% ex={"id": "divergences-js", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for k, states in ((2, 4), (3, 7), (5, 3)):
        log_p = torch.log_softmax(1.5 * torch.randn(k, states, generator=g), 1)
        w = 0.1 + torch.rand(k, generator=g)
        out.append(float(js_many(log_p, w / w.sum())))
    return out


# %% ex={"id": "divergences-js", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    p = 0.1 + torch.rand(3, 6, generator=g)
    p[0, :2] = p[1, 2] = p[2, 1:3] = 0.0  # some states under one law only, some under two, the last under none
    p[:, 5] = 0.0
    w = 0.1 + torch.rand(3, generator=g)
    return float(js_many((p / p.sum(1, keepdim=True)).log(), w / w.sum()))


# %% ex={"id": "divergences-js", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    logits = torch.cat([torch.randn(3, 4, generator=g), -1000 - 9000 * torch.rand(3, 3, generator=g)], 1)
    logits[0, 0] -= 6000.0
    w = 0.1 + torch.rand(3, generator=g)
    return float(js_many(torch.log_softmax(logits, 1), w / w.sum()))


# %% ex={"id": "divergences-js", "role": "wrong", "why": "the mixture with equal weights"}
def js_many(log_p, w):
    log_m = torch.logsumexp(log_p, 0) - math.log(len(w))
    ratio = torch.where(log_p == -math.inf, 0.0, log_p - log_m)
    return (w @ (log_p.exp() * ratio).sum(1)).item()


# %% ex={"id": "divergences-js", "role": "wrong", "why": "0 times minus infinity"}
def js_many(log_p, w):
    log_m = torch.logsumexp(log_p + w.log()[:, None], 0)
    return (w @ (log_p.exp() * (log_p - log_m)).sum(1)).item()


# %% ex={"id": "divergences-js", "role": "wrong", "why": "leaves logarithms for the mixture: the log of a zero that is none"}
def js_many(log_p, w):
    log_m = (w[:, None] * log_p.exp()).sum(0).log()
    ratio = torch.where(log_p == -math.inf, 0.0, log_p - log_m)
    return (w @ (log_p.exp() * ratio).sum(1)).item()


# %% ex={"id": "divergences-js", "role": "wrong", "why": "in bits"}
def js_many(log_p, w):
    log_m = torch.logsumexp(log_p + w.log()[:, None], 0)
    ratio = torch.where(log_p == -math.inf, 0.0, log_p - log_m)
    return (w @ (log_p.exp() * ratio).sum(1)).item() / math.log(2)


# %% ex={"id": "divergences-js", "role": "wrong", "why": "mean over the laws, not weighted"}
def js_many(log_p, w):
    log_m = torch.logsumexp(log_p + w.log()[:, None], 0)
    ratio = torch.where(log_p == -math.inf, 0.0, log_p - log_m)
    return (log_p.exp() * ratio).sum(1).mean().item()


# %% ex={"id": "divergences-js", "role": "wrong", "why": "mixes logarithms: the geometric mean"}
def js_many(log_p, w):
    log_m = (w[:, None] * log_p.clamp_min(-1e5)).sum(0)
    ratio = torch.where(log_p == -math.inf, 0.0, log_p - log_m)
    return (w @ (log_p.exp() * ratio).sum(1)).item()


# %% ex={"id": "divergences-js", "role": "wrong", "why": "divergence of the mixture to the laws"}
def js_many(log_p, w):
    log_m = torch.logsumexp(log_p + w.log()[:, None], 0)
    ratio = torch.where(log_p == -math.inf, 0.0, log_m - log_p)
    return (w @ (log_m.exp() * ratio).sum(1)).item()


# %% [markdown] ex={"id": "divergences-w1", "role": "statement", "kind": "implement", "points": 4, "minutes": 25, "difficulty": 2, "topic": "divergences"}
# #### Unequal samples on the line
#
# Return $W_1$ between two samples of *different* sizes $n$ and $m$ on the line, exactly, as $\int|F-G|\,dx$: both distribution functions are steps that
# change at the points of either sample only.

# %% ex={"id": "divergences-w1", "role": "solution"}
def w1_unequal(x, y):
    """x (n,), y (m,) -> number"""
    ### BEGIN SOLUTION
    points = torch.cat([x, y]).sort().values
    f = torch.searchsorted(x.sort().values, points[:-1], right=True) / len(x)
    g = torch.searchsorted(y.sort().values, points[:-1], right=True) / len(y)
    return ((f - g).abs() * points.diff()).sum().item()
    ### END SOLUTION


# %% ex={"id": "divergences-w1", "role": "check"}
def check_divergences_w1():
    g = torch.Generator().manual_seed(6)
    for n, m in ((3, 5), (4, 4), (1, 7), (6, 2)):
        x, y = torch.randn(n, generator=g), torch.randn(m, generator=g) * 2 + 1
        # the same by splitting every point into equal parts and assigning them
        cost = (x.repeat_interleave(m)[:, None] - y.repeat_interleave(n)).abs()
        rows, columns = optimize.linear_sum_assignment(cost.numpy())
        truth = cost[rows, columns].mean().item()
        got = float(w1_unequal(x.clone(), y.clone()))
        assert math.isclose(got, truth, rel_tol=1e-9), f"{n} and {m} points: assignment of equal parts says {truth / max(got, 1e-12):.4g} times that"
    same = torch.tensor([1.0, 1.0, 2.0])
    assert abs(float(w1_unequal(same, torch.tensor([1.0, 2.0, 1.0])))) < 1e-12, "the same points in another order are at distance 0"
    assert math.isclose(float(w1_unequal(torch.zeros(2), torch.tensor([0.0, 0.0, 3.0]))), 1.0), "a third of the mass at distance 3"


self_check("divergences-w1", check_divergences_w1)


# %% ex={"id": "divergences-w1", "role": "probe", "points": 3}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for n, m in ((9, 14), (15, 8), (1, 12), (40, 33)):
        x, y = torch.randn(n, generator=g), 3 * torch.randn(m, generator=g) + 0.5
        out.append(float(w1_unequal(x, y)))
    return out


# %% ex={"id": "divergences-w1", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for n, m in ((12, 17), (30, 7), (16, 25)):  # points that occur several times, in one sample and in both
        x, y = torch.randint(5, (n,), generator=g), torch.randint(-2, 8, (m,), generator=g)
        out.append(float(w1_unequal(x.double(), y.double())))
    return out


# %% ex={"id": "divergences-w1", "role": "wrong", "why": "cuts the longer sample"}
def w1_unequal(x, y):
    n = min(len(x), len(y))
    return (x.sort().values[:n] - y.sort().values[:n]).abs().mean().item()


# %% ex={"id": "divergences-w1", "role": "wrong", "why": "interpolates the quantiles of the shorter sample"}
def w1_unequal(x, y):
    n = max(len(x), len(y))
    u = (torch.arange(n) + 0.5) / n
    return (torch.quantile(x, u) - torch.quantile(y, u)).abs().mean().item()


# %% ex={"id": "divergences-w1", "role": "wrong", "why": "distribution functions that miss the point itself"}
def w1_unequal(x, y):
    points = torch.cat([x, y]).sort().values
    f = torch.searchsorted(x.sort().values, points[:-1], right=False) / len(x)
    g = torch.searchsorted(y.sort().values, points[:-1], right=False) / len(y)
    return ((f - g).abs() * points.diff()).sum().item()


# %% ex={"id": "divergences-w1", "role": "wrong", "why": "the squared difference of the distribution functions"}
def w1_unequal(x, y):
    points = torch.cat([x, y]).sort().values
    f = torch.searchsorted(x.sort().values, points[:-1], right=True) / len(x)
    g = torch.searchsorted(y.sort().values, points[:-1], right=True) / len(y)
    return ((f - g) ** 2 * points.diff()).sum().item()


# %% ex={"id": "divergences-w1", "role": "wrong", "why": "signed: the difference of the means"}
def w1_unequal(x, y):
    return abs(x.mean() - y.mean()).item()


# %% ex={"id": "divergences-w1", "role": "wrong", "why": "searches in samples that are not sorted"}
def w1_unequal(x, y):
    points = torch.cat([x, y]).sort().values
    f = torch.searchsorted(x, points[:-1], right=True) / len(x)
    g = torch.searchsorted(y, points[:-1], right=True) / len(y)
    return ((f - g).abs() * points.diff()).sum().item()


# %% ex={"id": "divergences-w1", "role": "wrong", "why": "mean distance of all pairs"}
def w1_unequal(x, y):
    return (x[:, None] - y).abs().mean().item()


# %% [markdown] ex={"id": "divergences-sinkhorn", "role": "statement", "kind": "implement", "points": 5, "minutes": 30, "difficulty": 3, "topic": "divergences"}
# #### Transport between unequal heaps
#
# Extend Sinkhorn's algorithm to marginals $a\in\mathbb R^n$ and $b\in\mathbb R^m$ of positive weights that sum to one. Return the plan that minimises
# $\langle P,C\rangle-\varepsilon H(P)$ with those marginals, where $H(P)=-\sum P_{ij}\log P_{ij}$. Work in logarithms: $\varepsilon$ may be a thousandth of
# the costs.

# %% ex={"id": "divergences-sinkhorn", "role": "solution"}
def transport(cost, a, b, eps, rounds=3000):
    """cost (n, m), a (n,), b (m,) -> plan (n, m)"""
    ### BEGIN SOLUTION
    f, g = torch.zeros_like(a), torch.zeros_like(b)
    for _ in range(rounds):
        f = eps * (a.log() - torch.logsumexp((g - cost) / eps, 1))
        g = eps * (b.log() - torch.logsumexp((f[:, None] - cost) / eps, 0))
    return torch.exp((f[:, None] + g - cost) / eps)
    ### END SOLUTION


# %% ex={"id": "divergences-sinkhorn", "role": "check"}
def check_divergences_sinkhorn():
    g = torch.Generator().manual_seed(8)
    n, m = 4, 6
    cost = torch.cdist(torch.randn(n, 2, generator=g), torch.randn(m, 2, generator=g))
    a, b = torch.rand(n, generator=g) + 0.2, torch.rand(m, generator=g) + 0.2
    a, b = a / a.sum(), b / b.sum()
    for eps in (1.0, 0.2):
        plan = transport(cost.clone(), a.clone(), b.clone(), eps)
        assert plan.shape == (n, m), f"the plan has the shape of the costs, got {tuple(plan.shape)}"
        off = max((plan.sum(1) - a).abs().max().item(), (plan.sum(0) - b).abs().max().item())
        assert off < 1e-6, f"ε = {eps}: the marginals are off by {off:.2g}"
        # optimal: eps log P + C is a sum of a row term and a column term
        kernel = eps * plan.log() + cost
        mixed = kernel[:-1, :-1] - kernel[1:, :-1] - kernel[:-1, 1:] + kernel[1:, 1:]
        assert mixed.abs().max() < 1e-8, f"ε = {eps}: the plan has the right marginals but is not the optimal one"
    plan = transport(1000 * cost, a, b, 1.0)
    assert torch.isfinite(plan).all(), "with ε much smaller than the costs the plan is not finite: stay in logarithms"
    rows = [torch.eye(n)[i].repeat_interleave(m) for i in range(n)] + [torch.eye(m)[j].repeat(n) for j in range(m)]
    exact = optimize.linprog(1000 * cost.flatten().numpy(), A_eq=torch.stack(rows).numpy(), b_eq=torch.cat([a, b]).numpy()).fun
    got = (plan * 1000 * cost).sum().item()
    assert exact - 1e-3 <= got + 1e-2 and got < exact + math.log(n * m), f"small ε: cost {got:.1f}, the linear programme says {exact:.1f}"


self_check("divergences-sinkhorn", check_divergences_sinkhorn)


# %% ex={"id": "divergences-sinkhorn", "role": "probe", "points": 3}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    cost, eps = 2 * torch.rand(4, 6, generator=g), 0.4 + 0.3 * torch.rand(1, generator=g).item()
    a, b = 0.2 + torch.rand(4, generator=g), 0.2 + torch.rand(6, generator=g)
    return 24 * transport(cost, a / a.sum(), b / b.sum(), eps)


# %% ex={"id": "divergences-sinkhorn", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    cost, eps = 2 * torch.rand(5, 3, generator=g), 0.5 + 0.3 * torch.rand(1, generator=g).item()
    a, b = 0.2 + torch.rand(5, generator=g), 0.2 + torch.rand(3, generator=g)
    # a toll for every row and every column changes no plan, but makes the costs a thousand times ε
    rows, columns = 1000 * torch.rand(5, 1, generator=g), 1000 * torch.randperm(3, generator=g)
    return 15 * transport(cost + rows + columns, a / a.sum(), b / b.sum(), eps)


# %% ex={"id": "divergences-sinkhorn", "role": "wrong", "why": "without logarithms: underflows"}
def transport(cost, a, b, eps, rounds=3000):
    kernel = torch.exp(-cost / eps)
    u, v = torch.ones_like(a), torch.ones_like(b)
    for _ in range(rounds):
        u = a / (kernel @ v)
        v = b / (kernel.T @ u)
    return u[:, None] * kernel * v


# %% ex={"id": "divergences-sinkhorn", "role": "wrong", "why": "uniform marginals"}
def transport(cost, a, b, eps, rounds=3000):
    f, g = torch.zeros_like(a), torch.zeros_like(b)
    for _ in range(rounds):
        f = -eps * (torch.logsumexp((g - cost) / eps, 1) + math.log(len(a)))
        g = -eps * (torch.logsumexp((f[:, None] - cost) / eps, 0) + math.log(len(b)))
    return torch.exp((f[:, None] + g - cost) / eps)


# %% ex={"id": "divergences-sinkhorn", "role": "wrong", "why": "forgets epsilon before the logarithms of the marginals"}
def transport(cost, a, b, eps, rounds=3000):
    f, g = torch.zeros_like(a), torch.zeros_like(b)
    for _ in range(rounds):
        f = a.log() - eps * torch.logsumexp((g - cost) / eps, 1)
        g = b.log() - eps * torch.logsumexp((f[:, None] - cost) / eps, 0)
    return torch.exp((f[:, None] + g - cost) / eps)


# %% ex={"id": "divergences-sinkhorn", "role": "wrong", "why": "adjusts the columns only"}
def transport(cost, a, b, eps, rounds=3000):
    f, g = torch.zeros_like(a), torch.zeros_like(b)
    for _ in range(rounds):
        g = eps * (b.log() - torch.logsumexp((f[:, None] - cost) / eps, 0))
    return torch.exp((f[:, None] + g - cost) / eps)


# %% ex={"id": "divergences-sinkhorn", "role": "wrong", "why": "the product of the marginals"}
def transport(cost, a, b, eps, rounds=3000):
    return a[:, None] * b


# %% ex={"id": "divergences-sinkhorn", "role": "wrong", "why": "updates both potentials from old values"}
def transport(cost, a, b, eps, rounds=3000):
    f, g = torch.zeros_like(a), torch.zeros_like(b)
    for _ in range(rounds):
        f, g = (
            eps * (a.log() - torch.logsumexp((g - cost) / eps, 1)),
            eps * (b.log() - torch.logsumexp((f[:, None] - cost) / eps, 0)),
        )
    return torch.exp((f[:, None] + g - cost) / eps)


# %% ex={"id": "divergences-sinkhorn", "role": "wrong", "why": "the wrong epsilon in the kernel: eps squared"}
def transport(cost, a, b, eps, rounds=3000):
    eps = eps**2
    f, g = torch.zeros_like(a), torch.zeros_like(b)
    for _ in range(rounds):
        f = eps * (a.log() - torch.logsumexp((g - cost) / eps, 1))
        g = eps * (b.log() - torch.logsumexp((f[:, None] - cost) / eps, 0))
    return torch.exp((f[:, None] + g - cost) / eps)

# %% [markdown] ex={"id": "divergences-explain-buses", "role": "statement", "kind": "explain", "points": 6, "minutes": 20, "difficulty": 2, "topic": "divergences"}
# #### Two fits of the same buses
#
# Half of a city's bus trips take the tunnel and last $20\pm5$ minutes, half take the bridge and last $50\pm5$, both Gaussian; call the density $p$. Ann fits one
# Gaussian $q$ to a million recorded trips by maximum likelihood and gets $35\pm15.8$; her $\mathrm{KL}(p\,\Vert\,q)$ is $0.46$ nats. Ben, who knows the
# density $p$, minimises $\mathrm{KL}(q\,\Vert\,p)$ and gets about $20\pm5$; his divergence is $0.69$ nats. A referee writes three remarks:
#
# 1. "Maximum likelihood avoids giving the data a low probability, so it settles on one mode. Ann's fit sits where there are no trips: her optimiser has failed."
# 2. "Ann's divergence is smaller than Ben's, so her Gaussian is the closer one to $p$ by $0.23$ nats."
# 3. "With more recorded trips both would arrive at the same Gaussian."
#
# Say of each remark what is wrong with it and why, in at most four sentences each.

# %% [markdown] ex={"id": "divergences-explain-buses", "role": "solution"}
# 1. The premise is right and forces the opposite. Maximum likelihood minimises $-\mathbb E_p[\log q]$, which punishes a low $q$ wherever there are trips, so $q$
# must cover both roads. The optimum has the moments of $p$: mean $35$, variance $15^2+5^2=15.8^2$. Mass in the gap costs only what it takes from elsewhere.
#
# 2. The numbers are values of different functionals, averages under different laws; their difference means nothing. By one criterion for both, the order depends
# on which: $\mathrm{KL}(p\,\Vert\,q)$ of Ben's fit is about 8 nats, as it gives bridge trips hardly any probability; $\mathrm{KL}(q\,\Vert\,p)$ of Ann's,
# 0.94, exceeds his.
#
# 3. Sample size is not the reason: a million trips are nearly the law itself, and Ben used no sample. No Gaussian equals $p$, and then the criterion decides.
# In a family that contains $p$, mixtures of two Gaussians, both would find $p$.

# %% [markdown] ex={"id": "divergences-explain-buses", "role": "rubric"}
# - 1: remark 1: a penalty under p for low q forces q to cover both modes (settling on one mode is what the reverse divergence does)
# - 1: remark 1: confirms Ann's fit as the optimum, by the moments 35 and 225 + 25 or by an equally complete argument
# - 1: remark 2: the numbers are values of different criteria (averages under p and under q) and can't be compared
# - 1: remark 2: evaluated by one criterion each fit wins by its own: Ben's forward divergence is far larger, or Ann's reverse one is larger
# - 1: remark 3: the sample is not what separates them; both are what the criteria choose for the law itself
# - 1: remark 3: the family lacks p (too little capacity); with a family that holds p, such as a mixture of two, they would agree
