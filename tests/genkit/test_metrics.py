"""Metrics against closed forms, scipy, torchmetrics and scikit-learn; wrong formulas fail."""

import math
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from mutation import must_fail
from shared import F64, close, generator, normal
from torchmetrics.functional.text import perplexity as torchmetrics_perplexity
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import poly_mmd

import genkit.metrics as M
from genkit.data import digits
from genkit.toys import toy


def spd(d, seed):
    a = normal(d, 2 * d, seed=seed)
    return a @ a.T / (2 * d)


# Each check takes the module, so that it runs on broken ones too.


def check_frechet_gaussian(m):
    mean_r, mean_g, cov_r, cov_g = normal(5, seed=0), normal(5, seed=1), spd(5, 2), spd(5, 3)
    got = m.frechet_gaussian(mean_r, cov_r, mean_g, cov_g)
    root = scipy.linalg.sqrtm(
        (cov_r @ cov_g).numpy()
    ).real  # the usual form, of a matrix that is not symmetric
    close(got, (mean_r - mean_g).square().sum() + (cov_r + cov_g).trace() - 2 * np.trace(root), rtol=1e-8)
    close(got, _compute_fid(mean_r, cov_r, mean_g, cov_g), rtol=1e-8)
    close(m.frechet_gaussian(mean_g, cov_g, mean_r, cov_r), got, rtol=1e-8)
    close(m.frechet_gaussian(mean_r, cov_r, mean_r, cov_r), 0.0, atol=1e-10)
    close(m.frechet_gaussian(mean_r, cov_r, mean_r + 2, cov_r), 20.0)  # a shift costs its squared length
    # commuting covariances: the squared distance between the vectors of standard deviations
    a, b = torch.tensor([1.0, 2, 3], dtype=F64), torch.tensor([2.0, 2, 0.5], dtype=F64)
    zero = torch.zeros(3, dtype=F64)
    close(m.frechet_gaussian(zero, a.square().diag(), zero, b.square().diag()), (a - b).square().sum())
    close(m.frechet_gaussian(1.0, 4.0, 3.0, 9.0), 4.0 + 1.0)
    # a rotation of the features changes nothing, their scale enters squared
    turn = torch.linalg.qr(normal(5, 5, seed=4)).Q
    close(m.frechet_gaussian(turn @ mean_r, turn @ cov_r @ turn.T, turn @ mean_g, turn @ cov_g @ turn.T), got)
    close(m.frechet_gaussian(3 * mean_r, 9 * cov_r, 3 * mean_g, 9 * cov_g), 9 * got)
    # it is the optimal transport between the Gaussians: the cost of the optimal linear map
    half = torch.from_numpy(scipy.linalg.sqrtm(cov_r.numpy()).real)
    inner = torch.from_numpy(scipy.linalg.sqrtm((half @ cov_g @ half).numpy()).real)
    push = torch.linalg.solve(half, torch.linalg.solve(half, inner).T)
    close(push @ cov_r @ push.T, cov_g, rtol=1e-7, atol=1e-9)
    residual = torch.eye(5, dtype=F64) - push
    close(got, (mean_r - mean_g).square().sum() + (residual @ cov_r @ residual.T).trace(), rtol=1e-7)
    # singular covariances (fewer rows than features) are allowed
    one = torch.tensor([1.0, 0.0], dtype=F64)
    close(m.frechet_gaussian(zero[:2], one.diag(), zero[:2], one.flip(0).diag()), 2.0)
    # rank 1 in 60 dimensions: eigenvalues that are rounding must not pass through a root
    line = normal(60, 1, seed=5)
    rest = torch.eye(60, dtype=F64) - line @ line.T / line.square().sum()
    close(m.frechet_gaussian(line[:, 0] * 0, line @ line.T, line[:, 0] * 0, rest), line.square().sum() + 59)
    close(m.frechet_gaussian(0.0, 1e-50, 0.0, 4e-50), 1e-50, atol=0)


def check_frechet_distance(m):
    real, generated = normal(300, 4, seed=0), normal(200, 4, seed=1) @ spd(4, 2) + 0.5
    moments = [(x.mean(0), torch.from_numpy(np.cov(x.numpy(), rowvar=False))) for x in (real, generated)]
    close(m.frechet_distance(real, generated), _compute_fid(*moments[0], *moments[1]), rtol=1e-8)
    close(m.frechet_distance(real, real), 0.0, atol=1e-10)
    close(m.frechet_distance(real[:, :1], real[:, :1] + 2), 4.0)
    # two multiples of one set: |mean|² + tr cov, exactly, whatever their rank; 9000 rows are several chunks
    for n, d in ((3, 200), (50, 50), (51, 50), (9000, 3)):
        x = normal(n, d, seed=n) + 1
        close(m.frechet_distance(x, 3 * x), 4 * (x.mean(0).square().sum() + x.var(0).sum()), rtol=1e-11)
    # the bias law for equal Gaussians, item Q1.2: (2/n) tr S + (1/n) sum_ij (1 + d_ij) l_i l_j/(l_i + l_j)
    d, n, reps = 8, 400, 60
    truth = (2 * d + d * (d + 1) / 2) / n
    draws = normal(reps, 2, n, d, seed=3)
    values = torch.stack([m.frechet_distance(a, b) for a, b in draws])
    assert abs(values.mean() - truth) < 4 * values.std() / math.sqrt(reps) + 0.02 * truth  # next order in 1/n
    # monotone in the shift
    shifts = [m.frechet_distance(real, real + t) for t in (0.1, 0.5, 1.0, 2.0)]
    assert shifts == sorted(shifts)


def check_kernel_distance(m):
    real, generated = normal(60, 4, seed=0), normal(60, 4, seed=1) * 1.3 + 0.2
    k = [((a @ b.T) / 4 + 1) ** 3 for a, b in ((real, real), (generated, generated), (real, generated))]
    close(m.kernel_distance(real, generated), poly_mmd(real, generated))
    close(m.kernel_distance(generated, real), poly_mmd(real, generated))
    few = generated[:40]
    off = [(a.sum() - a.trace()) / (len(a) * (len(a) - 1)) for a in (k[0], k[1][:40, :40])]
    close(m.kernel_distance(real, few), off[0] + off[1] - 2 * k[2][:, :40].mean())
    draws = normal(300, 2, 25, 4, seed=2)
    values = torch.stack([m.kernel_distance(a, b) for a, b in draws])
    assert abs(values.mean()) < 4 * values.std() / math.sqrt(len(values))
    assert (values < 0).double().mean() > 0.25  # unbiased, hence often negative
    shifts = [m.kernel_distance(real, real + t) for t in (0.5, 1.0, 2.0)]
    assert shifts == sorted(shifts)
    # far from the origin, against the plain formula in extended precision
    for offset in (1.0, 100.0, 1e4):
        a, b = (x.numpy().astype(np.longdouble) + offset for x in (real, few))
        aa, bb, ab = ((u @ v.T / 4 + 1) ** 3 for u, v in ((a, a), (b, b), (a, b)))
        off = [(u.sum() - np.trace(u)) / (len(u) * (len(u) - 1)) for u in (aa, bb)]
        close(m.kernel_distance(a, b), float(off[0] + off[1] - 2 * ab.mean()), rtol=1e-9)


def check_kernel_distance_subsets(m):
    real, generated = normal(50, 4, seed=0), normal(40, 4, seed=1)
    gen, values = generator(5), []
    for _ in range(7):
        i = [torch.randperm(n, generator=gen)[:20] for n in (50, 40)]
        values.append(float(poly_mmd(real[i[0]], generated[i[1]])))
    got = m.kernel_distance_subsets(real, generated, subsets=7, size=20, generator=generator(5))
    close(got, (np.mean(values), np.std(values)))
    assert got.mean == got[0] and got.std == got[1]
    # subsets of everything are everything, and those of a sample have its mean
    whole = m.kernel_distance_subsets(real, generated, subsets=3, size=40, generator=generator())
    again = m.kernel_distance_subsets(real[:40], generated, subsets=3, size=40, generator=generator())
    close(again, (m.kernel_distance(real[:40], generated), 0.0), rtol=1e-7)
    assert whole.std > 0
    many = m.kernel_distance_subsets(real, generated, subsets=2000, size=10, generator=generator(1))
    assert abs(many.mean - m.kernel_distance(real, generated)) < 4 * many.std / math.sqrt(2000)


class AsIs(torch.nn.Module):
    """Hands the log-probabilities through torchmetrics' score unchanged."""

    def forward(self, x):
        return x


def check_inception_score(m):
    probs = torch.from_numpy(np.random.default_rng(0).dirichlet(np.full(10, 0.2), 200))
    got = m.inception_score(probs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of its memory, and of the spread of one split
        oracle = InceptionScore(feature=AsIs(), splits=1)
        oracle.update(probs.log())
        close(got, oracle.compute()[0])
    kl = scipy.stats.entropy(probs.numpy(), probs.mean(0).numpy()[None], axis=1)
    close(got, math.exp(kl.mean()))
    # exp of the mutual information: H(mean) - mean H
    information = (
        scipy.stats.entropy(probs.mean(0).numpy()) - scipy.stats.entropy(probs.numpy(), axis=1).mean()
    )
    close(got, math.exp(information))
    close(m.inception_score(torch.eye(10, dtype=F64)), 10.0)  # sure and even: the maximum
    close(m.inception_score(torch.eye(10, dtype=F64)[[0, 0, 0]]), 1.0)  # sure, always the same
    close(m.inception_score(torch.full((7, 10), 0.1, dtype=F64)), 1.0)  # never sure
    close(
        m.inception_score(torch.eye(10, dtype=F64)[[0, 0, 0, 1]]), math.exp(scipy.stats.entropy([0.75, 0.25]))
    )
    close(m.inception_score(probs.repeat(3, 1)), got)  # it counts no copies
    assert 1 <= got <= 10
    # a mean that underflows where a probability does not
    for tiny in (torch.tensor([1.0, 1e-45]), torch.tensor([1.0, 5e-324], dtype=F64)):
        close(m.inception_score(torch.stack([tiny, tiny.new_tensor([1.0, 0.0])])), 1.0)


def check_inception_score_splits(m):
    probs = torch.from_numpy(np.random.default_rng(0).dirichlet(np.full(10, 0.2), 203))
    order = torch.randperm(203, generator=generator(3))
    parts = [m.inception_score(torch.from_numpy(part)) for part in np.array_split(probs[order].numpy(), 10)]
    got = m.inception_score_splits(probs, generator=generator(3))
    close(got, (np.mean(parts), np.std(parts)))
    close(m.inception_score_splits(probs, splits=1, generator=generator()), (m.inception_score(probs), 0.0))
    # sorted by class, which splits in the order of the rows would score as 1
    assert m.inception_score_splits(torch.eye(10).repeat_interleave(50, 0), generator=generator()).mean > 8


def check_bits_per_dim(m):
    close(m.bits_per_dim(64 * math.log(17), 64), math.log2(17))  # the trivial code of the digits: 4.0875
    close(m.bits_per_dim(0.0, 64, levels=17), math.log2(17))  # uniform density on [0, 1)^64: the same code
    close(m.bits_per_dim(math.log(2), 1), 1.0)
    nll = normal(5)
    close(m.bits_per_dim(nll, 4, levels=8), nll / math.log(2) / 4 + 3)
    assert isinstance(m.bits_per_dim(1.0, 2), float)


def check_perplexity(m):
    close(m.perplexity(7 * math.log(5), 7), 5.0)
    logits, target = normal(1, 12, 9), torch.randint(9, (1, 12), generator=generator(1))
    nll = torch.nn.functional.cross_entropy(logits[0], target[0], reduction="sum")
    close(m.perplexity(nll, 12), torchmetrics_perplexity(logits, target), rtol=1e-6)
    close(m.perplexity(nll.item(), 12), m.perplexity(nll, 12))
    close(m.perplexity(torch.tensor([0.0, 3.0], dtype=F64), 3), [1.0, math.e])
    # 99 % of rubbish costs log 100 nats a sequence, however long: 1.585 for T = 10, 1.047 for T = 100
    for length, factor in ((10, 1.585), (100, 1.047), (1000, 1.0046)):
        close(m.perplexity(math.log(100), length), factor, rtol=0, atol=5e-4)


def check_c2st(m):
    ring = toy("ring")
    a, b, c = (ring.sample(800, generator(s)) for s in (0, 1, 2))
    null = [m.c2st(a, b, generator=generator(s)) for s in range(3)]
    assert all(abs(value - 0.5) < 4 * 0.5 / math.sqrt(800) for value in null)
    assert m.c2st(a, b, generator=generator(0)) == null[0]
    far = m.c2st(a, c + 100, generator=generator(3))
    assert far == 1.0
    # two laws with equal means and covariances: beyond the reach of any linear classifier
    gauss = normal(800, 2, seed=4) * math.sqrt(2.04)
    assert m.c2st(a, gauss, generator=generator(5)) > 0.6
    # bounded above by the best classifier: N(0,1) against N(2,1), Phi(1) = .841
    x, y = normal(1500, 1, seed=6), normal(1500, 1, seed=7) + 2
    best = scipy.stats.norm.cdf(1)
    assert abs(m.c2st(x, y, generator=generator(8)) - best) < 4 * math.sqrt(best * (1 - best) / 1500)
    # memorising its training half does not help: pure noise in many dimensions is still told by a coin
    assert m.c2st(normal(100, 50, seed=9), normal(100, 50, seed=10), generator=generator(11)) < 0.5 + 4 * 0.05
    copied = normal(400, 3, seed=12)
    assert m.c2st(copied, copied, generator=generator(13)) < 0.6


def check_linear_probe(m):
    d = digits()
    got = m.linear_probe(d.train.x, d.train.y, d.test.x, d.test.y)
    assert 0.93 < got < 0.99
    # standardised: neither scale nor shift of a feature matters (up to the solver's tolerance)
    scale = torch.logspace(-3, 3, 64, dtype=F64)
    moved = m.linear_probe(d.train.x * scale + 5, d.train.y, d.test.x * scale + 5, d.test.y)
    assert abs(moved - got) <= 2 / 360
    # features without labels in them: chance
    z = normal(2000, 5)
    y = torch.randint(2, (2000,), generator=generator(1))
    assert abs(m.linear_probe(z[:1000], y[:1000], z[1000:], y[1000:]) - 0.5) < 4 * 0.5 / math.sqrt(1000)
    # a linear rule is found; the exclusive or is not
    y = (z[:, 0] + z[:, 1] > 0).long()
    assert m.linear_probe(z[:1000], y[:1000], z[1000:], y[1000:]) > 0.97
    y = (z[:, 0] * z[:, 1] > 0).long()
    assert m.linear_probe(z[:1000], y[:1000], z[1000:], y[1000:]) < 0.6
    # C: an infinitely strong penalty forgets the features
    assert (
        m.linear_probe(z[:1000], (z[:1000, 0] > 1).long(), z[1000:], (z[1000:, 0] > 1).long(), C=1e-6) < 0.9
    )


CHECKS = [value for name, value in sorted(globals().items()) if name.startswith("check_")]


@pytest.mark.parametrize("check", CHECKS, ids=lambda f: f.__name__)
def test_right(check):
    check(M)


MUTANTS = [
    (check_frechet_gaussian, "squares - 2 * torch.linalg.svdvals(cross).sum()", "squares"),
    (check_frechet_gaussian, "squares - 2 * torch.linalg", "squares - torch.linalg"),
    (check_frechet_gaussian, "gap.square().sum() + traces", "gap.norm() + traces"),
    (check_frechet_gaussian, "torch.linalg.svdvals(cross).sum()", "cross.trace()"),
    (check_frechet_gaussian, "torch.linalg.svdvals(cross).sum()", "(cross @ cross.T).trace()"),
    (check_frechet_gaussian, "return distance.clamp(min=0)", "return distance.clamp(min=0).sqrt()"),
    (check_frechet_gaussian, "torch.finfo(cov.dtype).eps * values[-1]", "0"),  # rounding under a root
    (check_frechet_distance, "math.sqrt(len(x) - 1)", "math.sqrt(len(x))"),
    (check_frechet_distance, "means[0] - means[1], a", "means[0] * 0, a"),
    (check_frechet_distance, "        return x.double() - mean", "        return x.double()"),
    (check_frechet_distance, "torch.cat([r, chunk.double() - mean])", "chunk.double() - mean"),
    (check_kernel_distance, "inner = a @ b.T / d", "inner = a @ b.T"),
    (check_kernel_distance, "3 * constant.square() * inner", "3 * constant * inner"),
    (check_kernel_distance, "square().sum() / d + 1", "square().sum() / d"),
    (check_kernel_distance, "(a @ origin / d)[:, None] + b @ origin / d + inner", "inner"),
    (check_kernel_distance, "(x.detach().mean(0, dtype=torch.float64) for", "(0 * x[0].double() for"),
    (check_kernel_distance_subsets, "[:size]", "[-size:]"),
    (check_kernel_distance_subsets, "correction=0", "correction=1"),
    (check_inception_score_splits, "correction=0", "correction=1"),
    (check_inception_score_splits, "probs[order].tensor_split", "probs.tensor_split"),
    (check_inception_score, "probs.sum(0).clamp(min=1e-300)", "len(probs) * probs.shape[1]"),
    (check_inception_score, "len(probs) * probs / probs.sum(0).clamp(min=1e-300)", "probs / probs.mean(0)"),
    (check_inception_score, "(probs * ratio", "(-probs.mean(0) * ratio"),
    (check_inception_score, ".mean().exp()", ".exp().mean()"),
    (check_inception_score, ".mean().exp()", ".mean()"),
    (check_bits_per_dim, '(integer("dims", dims) * math.log(2))', 'integer("dims", dims)'),
    (check_bits_per_dim, "math.log2(integer", "math.log(integer"),
    (check_bits_per_dim, " + extra)", " - extra)"),
    (check_perplexity, 'nats / integer("length", length)', "nats"),
    (check_perplexity, "length)).exp()", "length)).exp2()"),
    (
        check_c2st,
        "net.score((test - mean) / std, label_test)",
        "net.score((train - mean) / std, label_train)",
    ),
    (check_c2st, "MLPClassifier((64,)", "MLPClassifier(()"),  # a linear classifier
    (check_linear_probe, "score(*arrays[2:])", "score(*arrays[:2])"),
    (
        check_linear_probe,
        "make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=5000))",
        "LogisticRegression(C=C, max_iter=50)",
    ),
]


@pytest.mark.parametrize(("check", "old", "new"), MUTANTS, ids=lambda v: getattr(v, "__name__", None))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_wrong_formula_is_noticed(check, old, new):
    must_fail(check, M, old, new)


def test_frechet_is_blind_beyond_two_moments():
    """A mixture at -3 and 3 against the Gaussian of its moments: distance near 0, though KL is .46 nats."""
    z = normal(2000, 1)
    mixture = z + 3 * (torch.randint(2, (2000, 1), generator=generator(1), dtype=F64) * 2 - 1)
    gauss = normal(2000, 1, seed=2) * math.sqrt(10)
    assert M.frechet_distance(mixture, gauss) < 0.03
    assert M.c2st(mixture, gauss, generator=generator(3)) > 0.6


def test_gradients():
    x = normal(12, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: M.kernel_distance(normal(10, 3, seed=1), x), x)
    mean = torch.tensor([1.0, 2.0], dtype=F64, requires_grad=True)
    zero, eye = torch.zeros(2, dtype=F64), torch.eye(2, dtype=F64)
    M.frechet_gaussian(zero, eye, mean, eye).backward()
    close(mean.grad, [2.0, 4.0])
    for n, m, d in ((5, 6, 20), (20, 30, 4), (6, 20, 8)):  # fewer rows than features, more, and one of each
        x, y = normal(n, d).requires_grad_(), (normal(m, d, seed=1) * 2 + 1).requires_grad_()
        assert torch.autograd.gradcheck(M.frechet_distance, (x, y))
    factor = normal(3, 3, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda f: M.frechet_gaussian(zero.new_zeros(3), f @ f.T, normal(3), spd(3, 4)), factor
    )
    # equal eigenvalues, where eigh has no gradient: the distance is 2 (sqrt(scale) - 2)²
    scale = torch.tensor(9.0, dtype=F64, requires_grad=True)
    M.frechet_gaussian(zero, scale * eye, zero, 4 * eye).backward()
    close(scale.grad, 2 * (1 - 2 / 3))
    constant = torch.cat([normal(20, 2), torch.ones(20, 1, dtype=F64)], 1).requires_grad_()
    M.frechet_distance(constant, normal(20, 3, seed=1)).backward()
    assert bool(constant.grad.isfinite().all())


SETS = {
    "500 points of rank 5 in 512 dimensions": lambda: normal(500, 5) @ normal(5, 512, seed=1),
    "3 points in 1024 dimensions": lambda: normal(3, 1024),
    "2 points": lambda: normal(2, 2),
    "more points than features": lambda: normal(70, 6),
    "constant": lambda: torch.full((30, 4), 0.1, dtype=F64),
    "one constant feature": lambda: torch.cat([normal(30, 3), torch.full((30, 1), 7.0, dtype=F64)], 1),
    "copies": lambda: normal(4, 3).repeat(10, 1),
    "features that are sums of others": lambda: normal(40, 4)[:, [0, 0, 1, 2, 3, 3]].cumsum(1),
    "mean 100": lambda: normal(60, 5) + 100,
    "mean 1e4": lambda: normal(60, 5) + 1e4,
    "scales from 1e-8 to 1e8": lambda: normal(60, 9) * torch.logspace(-8, 8, 9, dtype=F64),
    "1e20": lambda: 1e20 * normal(60, 5),
    "1e-25": lambda: 1e-25 * normal(60, 5),
}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", SETS)
def test_frechet_of_difficult_sets(name, dtype):
    """Closed forms: a set against its double |mean|² + tr cov, against itself 0."""
    x = SETS[name]().to(dtype)
    if not x.isfinite().all() or not x.any():
        pytest.skip("beyond the range of the precision")
    x = x.double() if dtype == torch.float64 else x  # twice a number is exact in every precision
    d = x.double()
    traces = d.mean(0).square().sum() + d.var(0).sum()
    if (2 * x).isfinite().all():
        close(M.frechet_distance(x, 2 * x), traces, rtol=1e-9, atol=0)
        close(
            M.frechet_distance((2 * x).numpy() if dtype != torch.bfloat16 else 2 * x, x),
            traces,
            rtol=1e-9,
            atol=0,
        )
    close(M.frechet_distance(x, x), 0.0, atol=1e-12 * float(d.var(0).sum() + d.mean(0).square().sum()))


def test_frechet_of_few_dimensions_in_many():
    """The rows of W span 5 of 512 dimensions, so that the distance is that of 5 coordinates, by scipy."""
    torch.manual_seed(0)
    w, z = torch.randn(5, 512), [torch.randn(500, 5), torch.randn(500, 5)]
    root = torch.linalg.cholesky(w.double() @ w.double().T)
    a, b = ((x.double() @ root).numpy() for x in z)
    cov_a, cov_b = (np.cov(x, rowvar=False) for x in (a, b))
    cross = np.trace(scipy.linalg.sqrtm(cov_a @ cov_b).real)
    exact = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a + cov_b) - 2 * cross
    close(exact, 36.43355, rtol=1e-6)
    close(M.frechet_distance(z[0] @ w, z[1] @ w), exact, rtol=1e-6)  # rounded to single precision on the way
    close(M.frechet_distance(z[0].double() @ w.double(), z[1].double() @ w.double()), exact, rtol=1e-11)
    # the covariances in place of the features cost digits, but not the result
    moments = [
        f(x)
        for x in (z[0].double() @ w.double(), z[1].double() @ w.double())
        for f in (lambda x: x.mean(0), lambda x: x.T.cov())
    ]
    close(M.frechet_gaussian(*moments), exact, rtol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, 30.0, 1e4])
def test_constant_features_are_at_distance_zero(value, dtype):
    x, y = torch.full((30, 5), value, dtype=dtype), torch.full((20, 5), value, dtype=dtype)
    kernel = (float(x[0, 0]) ** 2 + 1) ** 3
    close(M.kernel_distance(x, y) / kernel, 0.0, atol=1e-14)
    close(M.frechet_distance(x, y), 0.0, atol=0)


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="reads the peak from /proc")
@pytest.mark.parametrize(
    "metric", ["metrics.frechet_distance", "metrics.kernel_distance", "neighbours.precision_recall"]
)
def test_memory_at_the_size_people_have(metric):
    """Less than 100 MiB beside the inputs at 10 000 x 64, where all pairs take 763 MiB."""
    done = subprocess.run([sys.executable, "-c", PEAK, metric], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 100


PEAK = """
import pkgutil, sys, torch
torch.set_num_threads(1)
metric = pkgutil.resolve_name("genkit." + sys.argv[1])
real, generated = torch.randn(2, 10_000, 64)
metric(real[:50], generated[:50])
status = lambda key: [int(l.split()[1]) / 1024 for l in open("/proc/self/status") if l.startswith(key)][0]
open("/proc/self/clear_refs", "w").write("5")
before = status("VmRSS")
metric(real, generated)
print(status("VmHWM") - before)
"""


def test_the_callers_random_state_is_left_alone():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    M.c2st(normal(20, 2), normal(20, 2, seed=1), generator=generator())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()


X = torch.zeros(5, 2)
BAD = [
    (
        lambda: M.frechet_distance(X, X[:, :1]),
        r"real and generated must have shapes \(n, d\) and \(m, d\), d >= 1, got \(5, 2\) and \(5, 1\)",
    ),
    (lambda: M.frechet_distance(X[:1], X), "real must have at least 2 rows, got 1"),
    (lambda: M.kernel_distance(X, X[:1]), "generated must have at least 2 rows, got 1"),
    (lambda: M.kernel_distance(X, X / 0), "generated must hold no nan, got 10"),
    (lambda: M.kernel_distance(X, X + math.inf), "generated must be finite, got 10 values that are not"),
    (
        lambda: M.frechet_gaussian(X[0], torch.eye(2), X[0], -torch.eye(2)),
        "cov_g must be positive semi-definite, got smallest eigenvalue -1",
    ),
    (
        lambda: M.frechet_gaussian(X[0], torch.eye(3), X[0], torch.eye(2)),
        r"mean_r and cov_r must have shapes \(d,\) and \(d, d\)",
    ),
    (lambda: M.inception_score(torch.ones(3) / 3), r"probs must have shape \(n, K\), n >= 1, got \(3,\)"),
    (lambda: M.inception_score(torch.ones(2, 3)), "probs must sum to 1 over its last axis"),
    (
        lambda: M.inception_score_splits(torch.ones(2, 2) / 2, splits=3),
        "probs must have at least 3 rows, got 2",
    ),
    (lambda: M.inception_score_splits(torch.ones(2, 2), splits=2), "probs must sum to 1"),
    (lambda: M.inception_score_splits(torch.ones(2, 2) / 2, splits=0), "splits must be at least 1, got 0"),
    (lambda: M.kernel_distance_subsets(X, X, size=6), "real must have at least 6 rows, got 5"),
    (lambda: M.kernel_distance_subsets(X, X, size=1), "size must be at least 2, got 1"),
    (lambda: M.kernel_distance_subsets(X, X, subsets=0.5), "subsets must be an integer, got 0.5"),
    (
        lambda: M.kernel_distance_subsets(X, X, size=3, generator=0),
        "generator must be a torch.Generator or None",
    ),
    (lambda: M.c2st(X, X, generator=0), "generator must be a torch.Generator or None, got int"),
    (
        lambda: M.frechet_distance(X.double() + 1e200, X),
        "features must have squares that fit double precision",
    ),
    (lambda: M.kernel_distance(torch.eye(3).double() * 1e80, torch.eye(3)), "kernel must be finite"),
    (lambda: M.bits_per_dim("nats", 3), "nll_nats must be a tensor or an array of real numbers, got str"),
    (lambda: M.bits_per_dim(1.0, 2.5), "dims must be an integer, got 2.5"),
    (lambda: M.perplexity(math.nan, 2), "nll_nats must hold no nan, got 1"),
    (lambda: M.bits_per_dim(1.0, 0), "dims must be at least 1, got 0"),
    (lambda: M.bits_per_dim(1.0, 1, levels=0), "levels must be at least 1, got 0"),
    (lambda: M.perplexity(1.0, 0), "length must be at least 1, got 0"),
    (lambda: M.c2st(X, X[:4]), r"real and generated must have the same shape, got \(5, 2\) and \(4, 2\)"),
    (lambda: M.c2st(X[:2], X[:2]), "real must have at least 4 rows, got 2"),
    (lambda: M.linear_probe(X, X[:, 0], X, X[:, 0]), "y_train must hold at least two classes, got 1"),
    (
        lambda: M.linear_probe(X, X[:3, 0], X, X[:, 0]),
        r"y_train must have shape \(5,\) like z_train, got \(3,\)",
    ),
    (
        lambda: M.linear_probe(X, X[:, 0], X[:, :1], X[:, 0]),
        r"z_train and z_test must have shapes \(n, d\) and \(m, d\)",
    ),
    (lambda: M.linear_probe(X, X[:, 0], X, X[:, 0], C=0.0), "C must be positive and finite, got 0"),
    (lambda: M.linear_probe(X, torch.arange(5) / 2, X, X[:, 0]), "y_train must hold whole numbers, got 0.5"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[m for _, m in BAD])
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
