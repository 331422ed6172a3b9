"""Toys match their densities: mass, entropy, samples; wrong formulas fail."""

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch
from mutation import must_fail
from shared import F64, generator

import genkit.toys as toys


def cells(log_prob, low, high, counts):
    """Centres of a grid of cells, the log density there, and the area of one: the midpoint rule."""
    edges = [torch.linspace(a, b, n + 1, dtype=F64) for a, b, n in zip(low, high, counts, strict=True)]
    grid = torch.cartesian_prod(*[(e[1:] + e[:-1]) / 2 for e in edges])
    return grid, log_prob(grid), math.prod(float(e[1] - e[0]) for e in edges)


def check_toy(m, name, whole, part):
    """Normalisation, entropy, samples; the grid `whole` holds all mass, `part` is for counting samples."""
    t = m.toy(name)
    assert t.name == name
    _, log_p, area = cells(t.log_prob, *whole)
    p = log_p.exp()
    assert abs(p.sum() * area - 1) < 1e-6
    assert abs(-torch.where(p > 0, p * log_p, 0).sum() * area - t.entropy) < 1e-6
    # the samples' mean loss is the entropy, within standard errors
    x = t.sample(20_000, generator())
    assert x.shape == (20_000, 2) and x.dtype == F64
    loss = -t.log_prob(x)
    assert abs(loss.mean() - t.entropy) <= 4 * loss.std() / math.sqrt(len(x)) + 1e-12
    assert torch.equal(t.sample(5, generator(3)), t.sample(5, generator(3)))
    # the samples follow the density cell by cell: chi-square over 8 x 8 cells and what lies outside them
    grid, log_p, area = cells(t.log_prob, *part)
    edges = [np.linspace(a, b, 9) for a, b in zip(*part[:2], strict=True)]
    mass = np.histogram2d(*grid.numpy().T, bins=edges, weights=log_p.exp().numpy() * area)[0].flatten()
    count = np.histogram2d(*x.numpy().T, bins=edges)[0].flatten()
    mass, count = np.append(mass, max(1 - mass.sum(), 0)), np.append(count, len(x) - count.sum())
    expected = mass * len(x)
    assert count[expected < 1e-9].sum() == 0
    used = expected > 5
    chi2 = ((count - expected) ** 2)[used] / expected[used]
    assert scipy.stats.chi2.sf(chi2.sum(), used.sum() - 1) > 1e-3


def check_ring(m):
    check_toy(m, "ring", ((-4, -4), (4, 4), (320, 320)), ((-2.6, -2.6), (2.6, 2.6), (320, 320)))
    # eight equal modes on a circle of radius 2: a turn by an eighth changes nothing
    t = m.toy("ring")
    peak = math.log(1 / 8) - math.log(2 * math.pi * 0.04)
    assert abs(t.log_prob(torch.tensor([2.0, 0.0], dtype=F64)) - peak) < 1e-9
    x = t.sample(50, generator())
    c = math.sqrt(0.5)
    turn = torch.tensor([[c, -c], [c, c]], dtype=F64)
    torch.testing.assert_close(t.log_prob(x @ turn.T), t.log_prob(x))


def check_banana(m):
    check_toy(m, "banana", ((-12, -8), (12, 70), (800, 400)), ((-4, -3), (4, 5), (320, 320)))
    # its ridge is the parabola x2 = (x1² - 4)/2, of constant height
    x1 = torch.linspace(-3, 3, 7, dtype=F64)
    ridge = m.toy("banana").log_prob(torch.stack([x1, (x1**2 - 4) / 2], -1)) + x1**2 / 8
    assert (ridge + math.log(2 * math.pi)).abs().max() < 1e-12


def check_checkerboard(m):
    check_toy(m, "checkerboard", ((-3, -3), (3, 3), (60, 60)), ((-2, -2), (2, 2), (80, 80)))
    assert m.toy("checkerboard").log_prob(torch.tensor([0.5, 0.5])) > -math.inf
    assert m.toy("checkerboard").log_prob(torch.tensor([-0.5, 0.5])) == -math.inf


def test_ring_entropy_by_another_quadrature():
    """In polar coordinates, over half a sector; the overlap keeps it below log 8 + log(2 pi e s²)."""
    ring = toys.toy("ring")

    def integrand(r, a):
        log_p = float(ring.log_prob(torch.tensor([r * math.cos(a), r * math.sin(a)], dtype=F64)))
        return -log_p * math.exp(log_p) * r

    value, _ = scipy.integrate.dblquad(integrand, 0, math.pi / 8, 0.4, 3.6, epsabs=1e-7, epsrel=1e-7)
    assert abs(16 * value - ring.entropy) < 1e-6
    apart = math.log(8) + math.log(2 * math.pi * math.e * 0.2**2)
    assert apart - 1e-3 < ring.entropy < apart


def test_best_gaussian_of_each_toy():
    """How far the Gaussian of equal moments is, item X2.3: ring 1.85, banana 1.75, checkerboard 1.03 nats."""
    for name, cov, gap in (
        ("ring", torch.eye(2) * 2.04, 1.85),
        ("banana", torch.diag(torch.tensor([4.0, 8.25])), 1.748),
        ("checkerboard", torch.tensor([[4 / 3, 0.25], [0.25, 4 / 3]]), 1.03),
    ):
        t = toys.toy(name)
        x = t.sample(40_000, generator(1))
        assert (x.mean(0).abs() < 4 * x.std(0) / 200).all()
        products = torch.stack([x[:, 0] ** 2, x[:, 1] ** 2, x[:, 0] * x[:, 1]], 1)
        truth = torch.stack([cov[0, 0], cov[1, 1], cov[0, 1]]).double()
        assert ((products.mean(0) - truth).abs() < 4 * products.std(0) / 200).all()
        entropy = math.log(2 * math.pi * math.e) + torch.logdet(cov.double()) / 2
        assert abs(entropy - t.entropy - gap) < 5e-3


def test_banana_is_a_shear_of_a_gaussian():
    """Change of variables with autograd's Jacobian."""
    x = toys.toy("banana").sample(5, generator())

    def to_noise(x):
        return torch.stack([x[0] / 2, 2 * (x[1] - x[0] ** 2 / 2 + 2)])

    for point in x:
        jacobian = torch.autograd.functional.jacobian(to_noise, point)
        exact = (
            torch.distributions.Normal(0.0, 1.0).log_prob(to_noise(point)).sum() + jacobian.det().abs().log()
        )
        torch.testing.assert_close(toys.toy("banana").log_prob(point), exact)


@pytest.mark.parametrize("name", ["ring", "banana", "checkerboard"])
def test_toy_follows_dtype_and_shape(name):
    t = toys.toy(name)
    x = t.sample(6, generator()).reshape(2, 3, 2)
    assert t.log_prob(x).shape == (2, 3)
    single = t.log_prob(x.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), t.log_prob(x), rtol=1e-4, atol=1e-4)
    assert t.log_prob(torch.tensor([50.0, 50.0])) < -100  # finite or not, never nan
    if name != "checkerboard":
        assert torch.autograd.gradcheck(t.log_prob, x.requires_grad_())


MUTANTS = [
    (check_ring, "math.log(8 * 2 * math.pi * WIDTH**2)", "math.log(8 * 2 * math.pi * WIDTH)"),
    (check_ring, "math.log(8 * 2 * math.pi * WIDTH**2)", "math.log(2 * math.pi * WIDTH**2)"),
    (check_ring, "-square / (2 * WIDTH**2)", "-square / WIDTH**2"),
    (check_ring, "_ring_centres(z)[k] + WIDTH * z", "_ring_centres(z)[k] + WIDTH**2 * z"),
    (check_ring, "math.pi / 4", "math.pi / 8"),
    (
        check_banana,
        "x1 / 2, 2 * (x2 - (x1**2 - 4) / 2)",
        "x1 / 2, x2 - (x1**2 - 4) / 2",
    ),  # no longer area-preserving
    (check_banana, "math.log(2 * math.pi * math.e))", "math.log(2 * math.pi))"),
    (check_checkerboard, "2 * (k % 2) + (k // 2) % 2", "2 * (k % 2) + 1 - (k // 2) % 2"),  # the other colour
    (check_checkerboard, "_checkerboard_log_prob, math.log(8))", "_checkerboard_log_prob, math.log(16))"),
    (check_checkerboard, "torch.full_like(x1, -math.log(8))", "torch.full_like(x1, -math.log(16))"),
]


@pytest.mark.parametrize("check", [check_ring, check_banana, check_checkerboard], ids=lambda f: f.__name__)
def test_right(check):
    check(toys)


@pytest.mark.parametrize(("check", "old", "new"), MUTANTS, ids=lambda v: getattr(v, "__name__", None))
def test_wrong_formula_is_noticed(check, old, new):
    must_fail(check, toys, old, new)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: toys.toy("spiral"), 'name must be "ring", "banana" or "checkerboard", got \'spiral\''),
        (lambda: toys.toy("ring").log_prob(torch.zeros(3)), r"x must have shape \(..., 2\), got \(3,\)"),
        (lambda: toys.toy("banana").log_prob(torch.zeros(())), r"x must have shape \(..., 2\), got \(\)"),
        (lambda: toys.toy("checkerboard").sample(0), "n must be at least 1, got 0"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
