"""Splits that never change, toys that match their densities, MNIST through its real parser, offline."""

import hashlib
import io
import json
import math
from urllib.error import URLError

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import sklearn.datasets
import torch
from mutation import must_fail

import genkit.data as data

F64 = torch.float64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# --- digits


def test_digits_are_all_there_once():
    d = data.digits()
    assert (d.name, d.levels, d.shape) == ("digits", 17, (8, 8))
    splits = (d.train, d.validation, d.test)
    assert [s.x.shape for s in splits] == [(1077, 64), (360, 64), (360, 64)]
    assert [s.y.shape for s in splits] == [(1077,), (360,), (360,)]
    assert all(s.x.dtype == F64 and s.y.dtype == torch.int64 for s in splits)
    ours = np.concatenate([np.column_stack([s.x.numpy(), s.y.numpy()]) for s in splits])
    x, y = sklearn.datasets.load_digits(return_X_y=True)
    theirs = np.column_stack([x, y])
    assert (ours[np.lexsort(ours.T)] == theirs[np.lexsort(theirs.T)]).all()
    assert set(np.unique(ours[:, :-1])) == set(range(17))
    assert np.flatnonzero(ours[:, :-1].max(0) == 0).tolist() == [0, 32, 39]  # the constant pixels


def test_digits_are_stratified():
    d = data.digits()
    whole = np.bincount(sklearn.datasets.load_digits().target) / 1797
    for split in (d.train, d.validation, d.test):
        assert abs(split.y.bincount().numpy() - whole * len(split.y)).max() <= 1
    # shuffled: neighbours in the order have no more equal labels than chance
    repeats = (d.train.y[1:] == d.train.y[:-1]).double().mean()
    assert abs(repeats - 0.1) < 4 * math.sqrt(0.09 / 1076)


def test_digits_split_is_pinned():
    """The split of the printed book: if this fails, every number in it changes."""
    d = data.digits()
    assert hashlib.sha256(b"".join(s.x.numpy().astype(np.uint8).tobytes() for s in d[3:])).hexdigest() == (
        "b69f3315fa90a6496f132cdd1d3069d00b42810ad6c992470c906824c975e022"
    )


def test_digits_gives_tensors_of_ones_own():
    data.digits().train.x.zero_()
    assert data.digits().train.x.sum() > 0


# --- grey levels


def check_dequantise(m):
    x = torch.arange(17, dtype=F64).repeat_interleave(4000).reshape(17, 4000)
    z = m.dequantise(x, generator=generator())
    assert z.shape == x.shape and z.dtype == F64
    assert ((z * 17).floor() == x).all()  # the level can be read off: nothing is lost
    assert z.min() >= 0 and z.max() < 1
    u = (z * 17 - x).flatten()
    assert scipy.stats.kstest(u.numpy(), "uniform").pvalue > 1e-3
    assert torch.equal(m.dequantise(x, generator=generator()), z)
    assert not torch.equal(m.dequantise(x, generator=generator(1)), z)


def check_binarise(m):
    x = torch.arange(17, dtype=F64)
    assert m.binarise(x).tolist() == [0.0] * 8 + [1.0] * 9
    assert m.binarise(x, threshold=16).sum() == 1
    assert m.binarise(x.int()).dtype == torch.int32
    grey = data.digits().train.x
    assert set(m.binarise(grey).unique().tolist()) == {0.0, 1.0}


def test_dequantise_stays_below_one_in_low_precision():
    x = torch.full((200_000,), 255, dtype=torch.float32)
    z = data.dequantise(x, levels=256, generator=generator())
    assert z.dtype == torch.float32 and z.max() < 1
    assert data.dequantise(torch.tensor([3], dtype=torch.uint8)).dtype == F64
    assert data.dequantise(torch.zeros(0, 4)).shape == (0, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: data.dequantise(torch.tensor([0.5])),
            r"x must hold integers from 0 to 16, got values in \[0.5, 0.5\]",
        ),
        (lambda: data.dequantise(torch.tensor([17.0])), "x must hold integers from 0 to 16"),
        (lambda: data.dequantise(torch.tensor([-1.0])), "x must hold integers from 0 to 16"),
        (lambda: data.dequantise(torch.tensor([math.nan])), "x must hold integers from 0 to 16"),
        (lambda: data.dequantise(torch.zeros(1), levels=0), "levels must be at least 1, got 0"),
        (lambda: data.toy("spiral"), 'name must be "ring", "banana" or "checkerboard", got \'spiral\''),
        (lambda: data.toy("ring").log_prob(torch.zeros(3)), r"x must have shape \(..., 2\), got \(3,\)"),
        (lambda: data.toy("banana").log_prob(torch.zeros(())), r"x must have shape \(..., 2\), got \(\)"),
        (lambda: data.toy("checkerboard").sample(0), "n must be at least 1, got 0"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- toys


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
    ring = data.toy("ring")

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
        t = data.toy(name)
        x = t.sample(40_000, generator(1))
        assert (x.mean(0).abs() < 4 * x.std(0) / 200).all()
        products = torch.stack([x[:, 0] ** 2, x[:, 1] ** 2, x[:, 0] * x[:, 1]], 1)
        truth = torch.stack([cov[0, 0], cov[1, 1], cov[0, 1]]).double()
        assert ((products.mean(0) - truth).abs() < 4 * products.std(0) / 200).all()
        entropy = math.log(2 * math.pi * math.e) + torch.logdet(cov.double()) / 2
        assert abs(entropy - t.entropy - gap) < 5e-3


def test_banana_is_a_shear_of_a_gaussian():
    """Change of variables with autograd's Jacobian."""
    x = data.toy("banana").sample(5, generator())

    def to_noise(x):
        return torch.stack([x[0] / 2, 2 * (x[1] - x[0] ** 2 / 2 + 2)])

    for point in x:
        jacobian = torch.autograd.functional.jacobian(to_noise, point)
        exact = (
            torch.distributions.Normal(0.0, 1.0).log_prob(to_noise(point)).sum() + jacobian.det().abs().log()
        )
        torch.testing.assert_close(data.toy("banana").log_prob(point), exact)


@pytest.mark.parametrize("name", ["ring", "banana", "checkerboard"])
def test_toy_follows_dtype_and_shape(name):
    t = data.toy(name)
    x = t.sample(6, generator()).reshape(2, 3, 2)
    assert t.log_prob(x).shape == (2, 3)
    single = t.log_prob(x.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), t.log_prob(x), rtol=1e-4, atol=1e-4)
    assert t.log_prob(torch.tensor([50.0, 50.0])) < -100  # finite or not, never nan
    if name != "checkerboard":
        assert torch.autograd.gradcheck(t.log_prob, x.requires_grad_())


MUTANTS = [
    (check_dequantise, "((x + u) / levels)", "((x + u) / (levels - 1))"),
    (check_dequantise, "((x + u) / levels)", "((x + u - 0.5) / levels)"),
    (check_dequantise, "((x + u) / levels)", "(x / levels + u)"),
    (check_binarise, "(x >= threshold)", "(x > threshold)"),
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


@pytest.mark.parametrize(
    "check",
    [check_dequantise, check_binarise, check_ring, check_banana, check_checkerboard],
    ids=lambda f: f.__name__,
)
def test_right(check):
    check(data)


@pytest.mark.parametrize(("check", "old", "new"), MUTANTS, ids=lambda v: getattr(v, "__name__", None))
def test_wrong_formula_is_noticed(check, old, new):
    must_fail(check, data, old, new)


# --- MNIST: scikit-learn's real reader and parser on a small file; no test touches the network


class Answer(io.BytesIO):
    def info(self):
        return {}


def openml(rows=70, columns=784):
    """A stand-in for the OpenML server with a small data set of the same form; counts its calls."""
    r = np.random.default_rng(0)
    pixels, labels = r.integers(0, 256, (rows, columns)), r.integers(0, 10, rows)
    names = [f"pixel{i + 1}" for i in range(columns)]
    lines = ["@RELATION mnist_784", *(f"@ATTRIBUTE {n} real" for n in names)]
    lines += ["@ATTRIBUTE class {0,1,2,3,4,5,6,7,8,9}", "@DATA"]
    lines += [",".join(map(str, [*row, label])) for row, label in zip(pixels, labels, strict=True)]
    arff = "\n".join(lines).encode()
    flags = {"is_ignore": "false", "is_row_identifier": "false", "number_of_missing_values": "0"}
    features = [
        {"index": str(i), "name": n, "data_type": "numeric", "is_target": "false", **flags}
        for i, n in enumerate(names)
    ]
    features.append(
        {"index": str(columns), "name": "class", "data_type": "nominal", "is_target": "true", **flags}
    )
    url = "https://www.openml.org/data/v1/download/1/mnist_784.arff"
    description = {"name": "mnist_784", "version": "1", "status": "active", "format": "ARFF", "url": url}
    description["description"] = "A stand-in"
    description["md5_checksum"] = hashlib.md5(arff).hexdigest()
    answers = {
        "/list/": {"data": {"dataset": [{"did": "554", "status": "active", "version": "1"}]}},
        "/features/": {"data_features": {"feature": features}},
        "/qualities/": {"data_qualities": {"quality": [{"name": "NumberOfInstances", "value": f"{rows}.0"}]}},
        "/json/data/554": {"data_set_description": description},
    }
    calls = []

    def urlopen(request, *args, **kwargs):
        calls.append(request.full_url)
        for part, answer in answers.items():
            if part in request.full_url:
                return Answer(json.dumps(answer).encode())
        assert request.full_url == url
        return Answer(arff)

    return urlopen, calls, pixels, labels


@pytest.fixture
def network(monkeypatch):
    """Put `urlopen` in place of the one that scikit-learn downloads with."""
    monkeypatch.setattr("sklearn.datasets._openml.time.sleep", lambda seconds: None)
    return lambda urlopen: monkeypatch.setattr("sklearn.datasets._openml.urlopen", urlopen)


def offline(request, *args, **kwargs):
    raise URLError("Name or service not known")


def test_mnist_is_read_once_and_then_kept(network, tmp_path):
    urlopen, calls, pixels, labels = openml()
    network(urlopen)
    d = data.mnist(cache_dir=tmp_path)
    assert (d.name, d.levels, d.shape) == ("mnist", 256, (28, 28))
    assert [len(s.y) for s in d[3:]] == [50, 10, 10]
    assert all(s.x.dtype == torch.float32 and s.y.dtype == torch.int64 for s in d[3:])
    assert (torch.cat([s.x for s in d[3:]]).numpy() == pixels).all()  # levels, not scaled, in their order
    assert (torch.cat([s.y for s in d[3:]]).numpy() == labels).all()
    assert len(calls) == 5
    network(offline)  # from now on the cache must do
    again = data.mnist(cache_dir=tmp_path)
    assert all(torch.equal(a.x, b.x) and torch.equal(a.y, b.y) for a, b in zip(d[3:], again[3:], strict=True))
    assert data.images(cache_dir=tmp_path).name == "mnist"
    assert not list(tmp_path.glob("*-*-*.npz"))  # no partial file is left


def test_mnist_offline_says_what_to_do(network, tmp_path, recwarn):
    network(offline)
    with pytest.raises(
        data.DataUnavailable, match=r"could not be fetched .*Name or service not known.*digits\(\)"
    ) as e:
        data.mnist(cache_dir=tmp_path)
    assert isinstance(e.value, RuntimeError) and "\n" not in str(e.value)
    assert not recwarn.list
    assert data.images(cache_dir=tmp_path).name == "digits"
    assert not list(tmp_path.glob("*.npz"))


def test_mnist_damaged_on_the_way(network, tmp_path):
    urlopen, *_ = openml()

    def damaged(request, *args, **kwargs):
        answer = urlopen(request)
        return Answer(answer.read()[:-9]) if request.full_url.endswith(".arff") else answer

    network(damaged)
    with pytest.raises(data.DataUnavailable, match="checksum"):
        data.mnist(cache_dir=tmp_path)
    assert data.images(cache_dir=tmp_path).name == "digits"


def test_mnist_of_another_size(network, tmp_path):
    network(openml(columns=64)[0])
    with pytest.raises(data.DataUnavailable, match=r"is not MNIST: images of shape \(70, 64\)"):
        data.mnist(cache_dir=tmp_path)
