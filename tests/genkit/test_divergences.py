"""Divergences against closed forms, scipy, POT, scikit-learn and torch.distributions; wrong ones fail."""

import itertools
import math

import numpy as np
import ot
import pytest
import scipy.spatial.distance
import scipy.stats
import sklearn.metrics.pairwise
import torch
from mutation import must_fail
from shared import F64, close

import genkit.divergences as D


def simplex(n, k, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).dirichlet(np.full(k, 0.5), n))


def normal(grid, mean=0.0, std=1.0):
    return -(((grid - mean) / std) ** 2) / 2 - math.log(std) - math.log(2 * math.pi) / 2


GRID = torch.linspace(-30, 30, 6001, dtype=F64)


def spd(d, seed):
    a = torch.from_numpy(np.random.default_rng(seed).standard_normal((d, 2 * d)))
    return a @ a.T / (2 * d)


# Each check takes the module, so that it runs on broken ones too.


def check_kl_discrete(m):
    p, q = simplex(6, 5, 0), simplex(6, 5, 1)
    close(m.kl_discrete(p, q), scipy.stats.entropy(p.numpy(), q.numpy(), axis=-1))
    close(
        m.kl_discrete(torch.tensor([0.5, 0.5]).double(), torch.tensor([0.25, 0.75]).double()),
        math.log(4 / 3) / 2,
    )
    close(m.kl_discrete(p, p), torch.zeros(6))
    assert (m.kl_discrete(p, q) > 0).all()
    assert (m.kl_discrete(p, q) - m.kl_discrete(q, p)).abs().min() > 1e-3  # not symmetric
    # zeros: harmless in p, infinite in q
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])
    close(m.kl_discrete(a, b), math.log(2), rtol=1e-6)
    assert m.kl_discrete(b, a) == math.inf
    # the chain rule: KL of a joint law is that of the first variable plus the mean of the conditionals
    joint_p, joint_q = simplex(1, 12, 2).reshape(3, 4), simplex(1, 12, 3).reshape(3, 4)
    first_p, first_q = joint_p.sum(1), joint_q.sum(1)
    conditional = m.kl_discrete(joint_p / first_p[:, None], joint_q / first_q[:, None])
    chain = m.kl_discrete(first_p, first_q) + (first_p * conditional).sum()
    close(m.kl_discrete(joint_p.flatten(), joint_q.flatten()), chain)


def check_js_discrete(m):
    p, q = simplex(6, 5, 0), simplex(6, 5, 1)
    oracle = [
        scipy.spatial.distance.jensenshannon(a, b) ** 2 for a, b in zip(p.numpy(), q.numpy(), strict=True)
    ]
    close(m.js_discrete(p, q), np.array(oracle))
    close(m.js_discrete(p, q), m.js_discrete(q, p))
    close(m.js_discrete(p, p), torch.zeros(6))
    far = torch.tensor([1.0, 0.0], dtype=F64)
    close(m.js_discrete(far, far.flip(0)), math.log(2))
    # the mean of two tiny probabilities underflows where one of them does not
    tiny = torch.tensor([1.0, 5e-324], dtype=F64)
    close(m.js_discrete(tiny, far), 0.0)
    # half the mass lost: item Q0.4
    half = torch.tensor([1.0, 0.0], dtype=F64)
    close(m.js_discrete(torch.tensor([0.5, 0.5], dtype=F64), half), 0.2157615543388357)
    # its root obeys the triangle inequality, it does not (Bernoulli 0, 1/2, 1)
    zero, mid, one = (torch.tensor([1 - t, t], dtype=F64) for t in (0.0, 0.5, 1.0))
    assert m.js_discrete(zero, one) > m.js_discrete(zero, mid) + m.js_discrete(mid, one)
    assert m.js_discrete(zero, one) ** 0.5 <= m.js_discrete(zero, mid) ** 0.5 + m.js_discrete(mid, one) ** 0.5


def check_tv_discrete(m):
    p, q = simplex(1, 6, 0)[0], simplex(1, 6, 1)[0]
    events = itertools.product([0.0, 1.0], repeat=6)
    largest = max(abs(float((torch.tensor(e, dtype=F64) * (p - q)).sum())) for e in events)
    close(m.tv_discrete(p, q), largest)
    close(m.tv_discrete(q, p), largest)
    close(m.tv_discrete(p, p), 0.0)
    far = torch.tensor([1.0, 0.0], dtype=F64)
    close(m.tv_discrete(far, far.flip(0)), 1.0)
    a, b = simplex(50, 4, 2), simplex(50, 4, 3)
    assert (m.tv_discrete(a, b) <= (m.kl_discrete(a, b) / 2).sqrt()).all()  # Pinsker


def check_kl_gaussian(m):
    mean_p, mean_q = torch.tensor([0.3, -1.0, 2.0], dtype=F64), torch.tensor([0.0, 0.5, 1.0], dtype=F64)
    cov_p, cov_q = spd(3, 0), spd(3, 1)
    p, q = (torch.distributions.MultivariateNormal(a, b) for a, b in ((mean_p, cov_p), (mean_q, cov_q)))
    got = m.kl_gaussian(mean_p, cov_p, mean_q, cov_q)
    close(got, torch.distributions.kl_divergence(p, q))
    close(m.kl_gaussian(mean_p, cov_p, mean_p, cov_p), 0.0)
    assert abs(got - m.kl_gaussian(mean_q, cov_q, mean_p, cov_p)) > 1e-2  # not symmetric
    # in one dimension: a variance, not a standard deviation
    close(m.kl_gaussian(0.0, 4.0, 1.0, 9.0), math.log(3 / 2) + (4 + 1) / 18 - 0.5)
    # unchanged by an invertible linear map
    a = torch.tensor([[1.0, 2, 0], [0, 1, 1], [1, 0, 3]], dtype=F64)
    close(m.kl_gaussian(a @ mean_p, a @ cov_p @ a.T, a @ mean_q, a @ cov_q @ a.T), got)
    # the definition, by Monte Carlo: E_p[log p - log q]
    x = (
        mean_p
        + torch.randn(20000, 3, dtype=F64, generator=torch.Generator().manual_seed(0))
        @ torch.linalg.cholesky(cov_p).T
    )
    ratio = p.log_prob(x) - q.log_prob(x)
    assert abs(ratio.mean() - got) < 4 * ratio.std() / math.sqrt(len(x))


def check_kl_quadrature(m):
    p, q = normal(GRID, 0, 1), normal(GRID, 1, 2)
    exact = math.log(2) + 2 / 8 - 0.5
    close(m.kl_quadrature(p, q, GRID), exact, rtol=1e-9)
    close(m.kl_quadrature(q, p, GRID), -math.log(2) + 5 / 2 - 0.5, rtol=1e-9)
    close(m.kl_quadrature(p, p, GRID), 0.0)
    # q underflows to 0 where p has mass: the log densities still know
    wide = torch.linspace(-10, 60, 7001, dtype=F64)
    close(m.kl_quadrature(normal(wide, 0), normal(wide, 45), wide), 45**2 / 2, rtol=1e-9)
    # an uneven grid
    bent = torch.sinh(torch.linspace(-3, 3, 4001, dtype=F64)) * 2
    close(m.kl_quadrature(normal(bent, 0, 1), normal(bent, 1, 2), bent), exact, rtol=1e-5)
    # one-sided supports: log densities of minus infinity
    unit = torch.linspace(0, 2, 2001, dtype=F64)
    box = torch.full_like(unit, -math.inf).masked_fill(unit <= 1, 0.0)
    wider = torch.full_like(unit, -math.log(2))
    close(m.kl_quadrature(box, wider, unit), math.log(2), rtol=2e-3)
    assert m.kl_quadrature(wider, box, unit) == math.inf


def check_js_quadrature(m):
    p = normal(GRID, 0)
    close(m.js_quadrature(p, p, GRID), 0.0)
    for t, value in ((1, 0.1114), (2, 0.3368), (4, 0.6327)):  # item Q0.2
        close(m.js_quadrature(p, normal(GRID, t), GRID), value, rtol=0, atol=5e-5)
    gap = math.log(2) - m.js_quadrature(p, normal(GRID, 8), GRID)
    close(gap, 9.35e-5, rtol=1e-3)
    q = normal(GRID, 1, 2)
    close(m.js_quadrature(p, q, GRID), m.js_quadrature(q, p, GRID))
    mix = torch.logaddexp(p, q) - math.log(2)
    close(m.js_quadrature(p, q, GRID), (m.kl_quadrature(p, mix, GRID) + m.kl_quadrature(q, mix, GRID)) / 2)
    # by Monte Carlo, from the definition
    x = torch.randn(20000, dtype=F64, generator=torch.Generator().manual_seed(0))
    y = 1 + 2 * torch.randn(20000, dtype=F64, generator=torch.Generator().manual_seed(1))
    terms = [
        normal(s, *a) - torch.logaddexp(normal(s), normal(s, 1, 2)) + math.log(2)
        for s, a in ((x, (0, 1)), (y, (1, 2)))
    ]
    estimate = (terms[0] + terms[1]) / 2
    assert abs(estimate.mean() - m.js_quadrature(p, q, GRID)) < 4 * estimate.std() / math.sqrt(len(x))


def check_wasserstein(m):
    r = np.random.default_rng(0)
    x, y, z = r.standard_normal(40), r.exponential(size=40), r.standard_normal(27) * 3
    close(m.wasserstein_1d(x, y), ot.wasserstein_1d(x, y, p=1))
    close(m.wasserstein_1d(x, y), scipy.stats.wasserstein_distance(x, y))
    close(m.wasserstein_1d(x, z), scipy.stats.wasserstein_distance(x, z))
    close(m.wasserstein_1d(z, x), scipy.stats.wasserstein_distance(x, z))
    close(m.wasserstein_1d(x, x), 0.0)
    close(m.wasserstein_1d(x, x[::-1].copy() + 0.7), 0.7)  # a shift costs its length, whatever the order
    close(m.wasserstein_1d(x, np.repeat(x, 3)), 0.0)  # the same law, at another size
    close(m.wasserstein_1d(5 * x, 5 * z), 5 * m.wasserstein_1d(x, z))
    assert m.wasserstein_1d(x, z) <= m.wasserstein_1d(x, y) + m.wasserstein_1d(y, z)


def check_mmd2(m):
    r = np.random.default_rng(0)
    x, y = r.standard_normal((30, 3)), r.standard_normal((40, 3)) + 0.5
    h = 0.8
    k = [sklearn.metrics.pairwise.rbf_kernel(a, b, gamma=1 / (2 * h**2)) for a, b in ((x, x), (y, y), (x, y))]
    close(m.mmd2(x, y, bandwidth=h, unbiased=False), k[0].mean() + k[1].mean() - 2 * k[2].mean())
    off = [(a.sum() - np.trace(a)) / (len(a) * (len(a) - 1)) for a in k[:2]]
    close(m.mmd2(x, y, bandwidth=h), sum(off) - 2 * k[2].mean())
    close(m.mmd2(y, x, bandwidth=h), m.mmd2(x, y, bandwidth=h))
    close(m.mmd2(x, x, bandwidth=h, unbiased=False), 0.0)
    # the default bandwidth: the median of all distances between two different points
    both = np.concatenate([x, y])
    middle = sorted(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(both, 2))
    close(m.mmd2(x, y), m.mmd2(x, y, bandwidth=middle[(len(middle) - 1) // 2]))
    # N(0,1) against N(t,1): E k = h/sqrt(h²+2) exp(-t²/(2(h²+2))), and 0 for t = 0 at any size
    gen = torch.Generator().manual_seed(0)
    for t in (0.0, 1.0):
        truth = 2 * h / math.sqrt(h**2 + 2) * (1 - math.exp(-(t**2) / (2 * (h**2 + 2))))
        draws = torch.randn(400, 2, 20, 1, dtype=F64, generator=gen)
        values = torch.stack([m.mmd2(a, b + t, bandwidth=h) for a, b in draws])
        assert abs(values.mean() - truth) < 4 * values.std() / math.sqrt(len(values))
        assert t > 0 or 0.2 < (values < 0).double().mean() < 0.8  # unbiased, hence often negative


def check_kernel_mmd2(m):
    # through features: 1500 rows are several blocks, so that each block's place in the whole counts
    r = np.random.default_rng(0)
    x, y = r.standard_normal((1500, 2)), r.standard_normal((900, 2)) + 0.3
    k = [(a @ b.T + 1) ** 2 for a, b in ((x, x), (y, y), (x, y))]

    def kernel(a, b):
        return (a @ b.T + 1).square()

    close(m.kernel_mmd2(kernel, x, y, unbiased=False), k[0].mean() + k[1].mean() - 2 * k[2].mean(), rtol=1e-8)
    off = [(a.sum() - np.trace(a)) / (len(a) * (len(a) - 1)) for a in k[:2]]
    close(m.kernel_mmd2(kernel, x, y), sum(off) - 2 * k[2].mean(), rtol=1e-8)
    # a point far out: its own kernel, 1e24, would hide all pairs if it were subtracted from their sum
    far, near = torch.tensor([[1e6], [0.0], [0.0]], dtype=F64), torch.zeros(3, 1, dtype=F64)
    close(m.kernel_mmd2(kernel, far, near), 0.0)  # k = 1 for all pairs but that of the point with itself


CHECKS = [value for name, value in sorted(globals().items()) if name.startswith("check_")]


@pytest.mark.parametrize("check", CHECKS, ids=lambda f: f.__name__)
def test_right(check):
    check(D)


MUTANTS = [
    (check_kl_discrete, "_p_log_ratio(p, log_p, log_q).sum(-1)", "_p_log_ratio(q, log_q, log_p).sum(-1)"),
    (check_kl_discrete, "_p_log_ratio(p, log_p, log_q).sum(-1)", "-(p * log_q).sum(-1)"),  # cross-entropy
    (check_kl_discrete, "_p_log_ratio(p, log_p, log_q).sum(-1)", "_p_log_ratio(p, log_p, log_q).mean(-1)"),
    (
        check_kl_discrete,
        "_p_log_ratio(p, log_p, log_q).sum(-1)",
        "_p_log_ratio(p, log_p, log_q).sum(-1) / math.log(2)",
    ),
    (check_js_discrete, "(terms[0] + terms[1]).sum(-1) / 2", "(terms[0] + terms[1]).sum(-1)"),
    (
        check_js_discrete,
        "(terms[0] + terms[1]).sum(-1) / 2",
        "(kl_discrete((p + q) / 2, p) + kl_discrete((p + q) / 2, q)) / 2",
    ),
    (check_js_discrete, "(terms[0] + terms[1]).sum(-1) / 2", "(kl_discrete(p, q) + kl_discrete(q, p)) / 2"),
    (check_js_discrete, "(p + q).masked_fill(p + q == 0, 1).log() - math.log(2)", "((p + q) / 2).log()"),
    (check_tv_discrete, "(p - q).abs().sum(-1) / 2", "(p - q).abs().sum(-1)"),
    (check_tv_discrete, "(p - q).abs().sum(-1) / 2", "(p - q).square().sum(-1).sqrt() / 2"),
    (
        check_kl_gaussian,
        "(trace + gap - len(mean_p) + log_dets) / 2",
        "(trace + gap - len(mean_p) - log_dets) / 2",
    ),
    (check_kl_gaussian, "(trace + gap - len(mean_p) + log_dets) / 2", "(trace + gap + log_dets) / 2"),
    (check_kl_gaussian, "log_dets = 2 * (", "log_dets = ("),
    (check_kl_gaussian, "factor_q, factor_p, upper=False", "factor_p, factor_q, upper=False"),
    (
        check_kl_quadrature,
        "_p_log_ratio(log_p.exp(), log_p, log_q), grid)",
        "log_p.exp() * (log_p.exp() / log_q.exp()).log(), grid)",
    ),
    (
        check_kl_quadrature,
        "_p_log_ratio(log_p.exp(), log_p, log_q), grid)",
        "_p_log_ratio(log_q.exp(), log_q, log_p), grid)",
    ),
    (check_js_quadrature, "torch.trapezoid(terms, grid) / 2", "torch.trapezoid(terms, grid)"),
    (
        check_js_quadrature,
        "torch.logaddexp(log_p.clamp(min=-1000), log_q.clamp(min=-1000)) - math.log(2)",
        "(log_p + log_q) / 2",
    ),  # the wrong mean
    (check_js_quadrature, "log_q.clamp(min=-1000)) - math.log(2)", "log_q.clamp(min=-1000))"),
    (check_wasserstein, "return (x - y).abs().mean()", "return (x - y).square().mean().sqrt()"),  # W2
    (check_wasserstein, "x, y = x.sort().values, y.sort().values", "pass"),
    (check_wasserstein, "* both.diff()", "* both[1:]"),
    (check_wasserstein, "right=True", "right=False"),
    (check_mmd2, "cdist(a / bandwidth, b / bandwidth", "cdist(a / bandwidth**2, b / bandwidth**2"),
    (check_mmd2, "square().div(-2)", "square().neg()"),
    (check_mmd2, "float(torch.pdist(pooled / scale).median()) * scale", "float(pooled.std())"),
    (check_kernel_mmd2, "tril(rows.start - 1)", "tril(rows.start)"),  # the point itself
    (check_kernel_mmd2, "tril(rows.start - 1)", "tril(-1)"),  # right in the first block only
    (check_kernel_mmd2, "z[: rows.stop]", "z[: rows.start + 1]"),
    (check_kernel_mmd2, "k.diagonal(rows.start)", "k.diagonal()"),
    (check_kernel_mmd2, "len(z) - 1 if unbiased else len(z)", "len(z)"),
    (check_kernel_mmd2, "+ within[1] - 2 * across", "+ within[1] - across"),
]


@pytest.mark.parametrize(("check", "old", "new"), MUTANTS, ids=lambda v: getattr(v, "__name__", None))
def test_wrong_formula_is_noticed(check, old, new):
    must_fail(check, D, old, new)


def test_gradients():
    shift = torch.tensor(0.7, dtype=F64, requires_grad=True)
    for f, exact in (
        (lambda t: D.kl_quadrature(normal(GRID), normal(GRID, t), GRID), 0.7),
        (lambda t: D.kl_gaussian(0.0, torch.ones(()).double(), t, 4.0), 0.7 / 4),
        (lambda t: D.wasserstein_1d(torch.arange(9.0).double(), torch.arange(9.0).double() + t), 1.0),
        (lambda t: D.wasserstein_1d(torch.arange(9.0).double(), torch.arange(3.0).double() + 20 + t), 1.0),
    ):
        (got,) = torch.autograd.grad(f(shift), shift)
        close(got, exact, rtol=2e-3)
    h = 1.3
    assert torch.autograd.gradcheck(lambda t: D.js_quadrature(normal(GRID), normal(GRID, t), GRID), shift)
    x, y = (
        torch.randn(5, 2, dtype=F64, generator=torch.Generator().manual_seed(s), requires_grad=True)
        for s in (0, 1)
    )
    assert torch.autograd.gradcheck(lambda x, y: D.mmd2(x, y, bandwidth=h), (x, y))


def test_tiny_probabilities_are_no_zeros():
    """The mean of two distributions underflows where one of them does not: finite all the same."""
    for p in (torch.tensor([1.0, 1e-45]), torch.tensor([1.0, 5e-324], dtype=F64)):
        close(D.js_discrete(p, torch.tensor([1.0, 0.0])), 0.0, atol=1e-40)
        assert D.kl_discrete(p, torch.tensor([1.0, 0.0])) == math.inf
    # single precision ends at 1e-45, double at 5e-324: q is what was given
    close(
        D.kl_discrete(torch.tensor([0.5, 0.5]), np.array([1.0, 1e-300])), math.log(0.5) - math.log(1e-300) / 2
    )


@pytest.mark.parametrize("scale", [1e-200, 1e-25, 1.0, 1e20, 1e200])
def test_mmd2_has_no_unit(scale):
    x, y = (torch.randn(30, 3, dtype=F64, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    close(D.mmd2(x * scale, y * scale), D.mmd2(x, y), rtol=1e-9)
    close(D.mmd2(x * scale, y * scale, bandwidth=scale), D.mmd2(x, y, bandwidth=1.0), rtol=1e-9)


def test_mmd2_far_from_the_origin():
    x, y = (torch.randn(30, 3, dtype=F64, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    close(D.mmd2(x + 1e6, y + 1e6), D.mmd2(x, y), rtol=1e-7)
    same = torch.full((20, 3), 0.1)
    close(D.mmd2(same, same, bandwidth=1.0), 0.0)  # copies, if the bandwidth is given
    close(D.mmd2(x, x.repeat(3, 1), bandwidth=1.0, unbiased=False), 0.0)


def test_gradients_stay_finite_at_zero_probability():
    logits = torch.tensor([0.0, 1.0, 2.0], dtype=F64, requires_grad=True)
    p = torch.tensor([0.0, 0.5, 0.5], dtype=F64)
    D.kl_discrete(p, logits.softmax(0)).backward()
    close(logits.grad, logits.detach().softmax(0) - p)
    hard = torch.tensor([0.0, 0.4, 0.6], dtype=F64, requires_grad=True)
    D.js_discrete(hard, p).backward()
    assert bool(hard.grad.isfinite().all())
    unit = torch.linspace(0, 3, 301, dtype=F64)
    box = torch.full_like(unit, -math.inf).masked_fill(unit < 1, 0.0).requires_grad_()
    D.js_quadrature(box, box.detach(), unit, mass_atol=0.1).backward()  # both are 0 beyond 1
    assert bool(box.grad.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_results_are_in_double_precision(dtype):
    p, q = simplex(3, 4, 0).to(dtype), simplex(3, 4, 1).to(dtype)
    log_p, log_q, grid = normal(GRID).to(dtype), normal(GRID, 1).to(dtype), GRID.to(dtype)
    x = torch.randn(10, 2, dtype=dtype, generator=torch.Generator().manual_seed(0))
    results = [
        *(f(p, q) for f in (D.kl_discrete, D.js_discrete, D.tv_discrete)),
        *(f(log_p, log_q, grid) for f in (D.kl_quadrature, D.js_quadrature)),
        D.kl_gaussian(x[0], torch.eye(2, dtype=dtype), x[1], torch.eye(2, dtype=dtype)),
        D.wasserstein_1d(x[:, 0], x[:, 1]),
        D.wasserstein_1d(x[:, 0], x[:7, 1]),
        D.mmd2(x[:5], x[5:]),
    ]
    assert {r.dtype for r in results} == {F64}
    assert results[0].shape == results[1].shape == results[2].shape == (3,)


def test_arrays_and_numbers_are_taken_as_double():
    assert D.kl_discrete([0.5, 0.5], np.array([0.25, 0.75])).dtype == F64
    close(D.kl_gaussian(0, 1, 1, 1), 0.5)
    close(D.wasserstein_1d(np.array([0, 1]), np.array([1, 2])), 1.0)


HALF = torch.tensor([0.5, 0.5])
BAD = [
    (
        lambda: D.kl_discrete(torch.ones(2, 3) / 3, torch.ones(3) / 3),
        r"p and q must have the same shape, got \(2, 3\) and \(3,\)",
    ),
    (lambda: D.kl_discrete(HALF, HALF * 2), "q must sum to 1 over its last axis to 1e-05, got .* off by 1"),
    (lambda: D.js_discrete(torch.tensor([1.5, -0.5]), HALF), "p must be non-negative, got -0.5"),
    (lambda: D.tv_discrete(torch.tensor(1.0), torch.tensor(1.0)), r"p must have shape \(..., K\)"),
    (lambda: D.tv_discrete(HALF, torch.tensor([math.nan, 1])), "q must hold no nan, got 1"),
    (lambda: D.kl_discrete("half", HALF), "p must be a tensor or an array of real numbers, got str"),
    (lambda: D.kl_quadrature(normal, normal(GRID), GRID), "log_p must be a tensor .* got function"),
    (
        lambda: D.kl_gaussian(torch.zeros(2), torch.ones(2), torch.zeros(2), torch.eye(2)),
        r"mean_p and cov_p must have shapes \(d,\) and \(d, d\), .* got \(2,\) and \(2,\)",
    ),
    (
        lambda: D.kl_gaussian(torch.zeros(2), torch.eye(2), torch.zeros(3), torch.eye(3)),
        "mean_p and mean_q must have the same shape",
    ),
    (
        lambda: D.kl_gaussian(0.0, 1.0, 0.0, -1.0),
        "cov_q must be positive definite, got smallest eigenvalue -1",
    ),
    (
        lambda: D.kl_gaussian(
            torch.zeros(2), torch.tensor([[1.0, 0.5], [0.0, 1.0]]), torch.zeros(2), torch.eye(2)
        ),
        "cov_p must be symmetric, got asymmetry 0.5",
    ),
    (
        lambda: D.kl_quadrature(normal(GRID), normal(GRID) + 1, GRID),
        "log_q must be a log density with mass 1 on the grid, got mass 2.718",
    ),
    (
        lambda: D.js_quadrature(normal(GRID, 30), normal(GRID), GRID),
        "log_p must be a log density with mass 1 on the grid, got mass 0.5",
    ),
    (
        lambda: D.js_quadrature(normal(GRID), normal(GRID), GRID.flip(0)),
        r"grid must be increasing with shape \(n,\)",
    ),
    (
        lambda: D.js_quadrature(normal(GRID), normal(GRID)[:1], GRID),
        "log_p and log_q and grid must have the same shape",
    ),
    (
        lambda: D.wasserstein_1d(torch.zeros(3, 2), torch.zeros(3)),
        r"x must have shape \(n,\), n >= 1, got \(3, 2\)",
    ),
    (
        lambda: D.wasserstein_1d(torch.zeros(3), torch.zeros(0)),
        r"y must have shape \(n,\), n >= 1, got \(0,\)",
    ),
    (
        lambda: D.mmd2(torch.zeros(3), torch.zeros(3)),
        r"x and y must have shapes \(n, d\) and \(m, d\), d >= 1, got \(3,\) and \(3,\)",
    ),
    (lambda: D.mmd2(torch.zeros(1, 2), torch.zeros(3, 2)), "x must have at least 2 rows, got 1"),
    (
        lambda: D.mmd2(torch.zeros(3, 2), torch.zeros(3, 2)),
        "x and y must have a median distance above 0, or bandwidth be given, got copies in at least half",
    ),
    (
        lambda: D.mmd2(torch.eye(3), torch.eye(3), bandwidth=-1.0),
        "bandwidth must be positive and finite, got -1",
    ),
    (lambda: D.mmd2(torch.eye(3), torch.eye(3), bandwidth=math.inf), "bandwidth must be positive and finite"),
    (lambda: D.mmd2(torch.eye(3), torch.eye(3), bandwidth="rule"), "bandwidth must be a positive number"),
    (
        lambda: D.kernel_mmd2(lambda a, b: (a @ b.T).exp(), 1e3 * torch.eye(3), torch.eye(3)),
        "kernel must be finite between the given points",
    ),
    (lambda: D.kernel_mmd2(lambda a, b: a @ b.T, torch.eye(3), torch.eye(2)), "x and y must have shapes"),
    (
        lambda: D.js_quadrature(normal(GRID), normal(GRID), GRID, mass_atol=math.nan),
        "mass_atol must be positive and finite, got nan",
    ),
    (lambda: D.kl_quadrature(normal(GRID), normal(GRID), GRID * math.inf), "grid must be finite, got 6001"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[m for _, m in BAD])
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
