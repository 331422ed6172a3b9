"""What every metric and divergence takes, and what it refuses: all public functions, all kinds of arrays."""

import inspect
import math
import re
import warnings

import numpy as np
import pytest
import torch
from shared import F64, generator, normal

import genkit.arrays as A
import genkit.divergences as D
import genkit.metrics as M
import genkit.neighbours as N

FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


X, Y = normal(40, 3), normal(40, 3, seed=1) * 1.5 + 0.5
P, Q = normal(6, 5).softmax(1), normal(6, 5, seed=1).softmax(1)
GRID = torch.linspace(-8, 8, 161, dtype=F64)
LOG_P, LOG_Q = (-((GRID - t) ** 2) / 2 - math.log(2 * math.pi) / 2 for t in (0.0, 1.0))
MEAN, COV = normal(3, seed=2), torch.eye(3, dtype=F64) + 0.25
LABELS = torch.arange(40) % 2


def gauss(a, b):
    return torch.cdist(a, b).square().neg().exp()


# function -> its array arguments, its other arguments
CASES = {
    D.js_discrete: ({"p": P, "q": Q}, {}),
    D.js_quadrature: ({"log_p": LOG_P, "log_q": LOG_Q, "grid": GRID}, {"mass_atol": 0.1}),
    D.kernel_mmd2: ({"x": X, "y": Y}, {"kernel": gauss}),
    D.kl_discrete: ({"p": P, "q": Q}, {}),
    D.kl_gaussian: ({"mean_p": MEAN, "cov_p": COV, "mean_q": MEAN * 0, "cov_q": 2 * COV}, {}),
    D.kl_quadrature: ({"log_p": LOG_P, "log_q": LOG_Q, "grid": GRID}, {"mass_atol": 0.1}),
    D.mmd2: ({"x": X, "y": Y}, {}),
    D.tv_discrete: ({"p": P, "q": Q}, {}),
    D.wasserstein_1d: ({"x": X[:, 0], "y": Y[:30, 0]}, {}),
    M.bits_per_dim: ({"nll_nats": X.abs()}, {"dims": 3, "levels": 17}),
    M.c2st: ({"real": X, "generated": Y}, {"generator": 0}),
    M.frechet_distance: ({"real": X, "generated": Y}, {}),
    M.frechet_gaussian: ({"mean_r": MEAN, "cov_r": COV, "mean_g": MEAN * 0, "cov_g": 2 * COV}, {}),
    M.inception_score: ({"probs": P}, {}),
    M.inception_score_splits: ({"probs": P}, {"splits": 2, "generator": 0}),
    M.kernel_distance: ({"real": X, "generated": Y}, {}),
    M.kernel_distance_subsets: ({"real": X, "generated": Y}, {"subsets": 3, "size": 20, "generator": 0}),
    M.linear_probe: ({"z_train": X, "y_train": LABELS, "z_test": Y, "y_test": LABELS}, {}),
    M.perplexity: ({"nll_nats": X.abs()}, {"length": 3}),
    N.precision_recall: ({"real": X, "generated": Y}, {}),
}
# these count or train a classifier: floats without a gradient
COUNTS = {M.c2st, M.linear_probe, N.precision_recall}
EVERY = [pytest.param(f, id=f.__name__) for f in CASES]


def call(function, arrays):
    others = dict(CASES[function][1])
    if "generator" in others:
        others["generator"] = generator(others["generator"])
    return function(**arrays, **others)


def numbers(result):
    return (
        torch.stack([torch.as_tensor(r, dtype=F64) for r in result]) if isinstance(result, tuple) else result
    )


def test_no_function_is_forgotten():
    public = {f for m in (D, M, N) for n in m.__all__ if inspect.isfunction(f := getattr(m, n))}
    assert public == set(CASES)


KINDS = {
    **{str(dtype): lambda t, dtype=dtype: t.to(dtype) for dtype in FLOATS},
    **{
        f"numpy {dtype}": lambda t, dtype=dtype: t.numpy().astype(dtype)
        for dtype in ("float16", "float32", ">f4", "longdouble")
    },
    "list": lambda t: t.tolist(),
    "read-only": lambda t: np.broadcast_to(t.numpy(), t.shape),
    "reversed": lambda t: t.numpy()[::-1].copy()[::-1],
    "a view": lambda t: torch.stack([t, t], -1)[..., 0],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", EVERY)
def test_computes_in_double_precision_whatever_comes(function, kind):
    """The result is that of the same numbers in float64, and a float64 tensor or a float."""
    given = {n: KINDS[kind](t) if n != "grid" else t for n, t in CASES[function][0].items()}
    same = {
        n: torch.from_numpy(np.array(t, "f8")) if isinstance(t, np.ndarray) else torch.as_tensor(t, dtype=F64)
        for n, t in given.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module="sklearn")
        got = call(function, given)
    same = {n: t / t.sum(-1, keepdim=True) if n in ("p", "q", "probs") else t for n, t in same.items()}
    torch.testing.assert_close(numbers(got), numbers(call(function, same)), rtol=1e-12, atol=1e-12)
    if function in COUNTS:
        assert all(isinstance(r, float) for r in (got if isinstance(got, tuple) else (got,)))
    else:
        assert numbers(got).dtype == F64 and bool(numbers(got).isfinite().all())


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64, torch.bool])
@pytest.mark.parametrize(
    "function", [f for f in CASES if "real" in CASES[f][0] or f in (D.mmd2, D.wasserstein_1d)]
)
def test_integers_are_numbers(function, dtype):
    given = {n: (t.abs() * 4).long().to(dtype) for n, t in CASES[function][0].items()}
    close = torch.testing.assert_close
    close(numbers(call(function, given)), numbers(call(function, {n: t.double() for n, t in given.items()})))


@pytest.mark.parametrize("function", EVERY)
def test_precisions_and_libraries_may_be_mixed(function):
    """One argument after the other in single precision, or a numpy array, beside float64 tensors."""
    arrays = CASES[function][0]
    for name, t in arrays.items():
        for kind in ("torch.float32", "numpy float32"):
            given = {**arrays, name: KINDS[kind](t)}
            same = {**arrays, name: t.float().double()}
            torch.testing.assert_close(
                numbers(call(function, given)), numbers(call(function, same)), rtol=1e-12, atol=1e-12
            )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("function", [p for p in EVERY if p.values[0] not in COUNTS])
def test_gradients_flow_to_any_precision(function, dtype):
    copies = {n: t.clone().to(dtype) for n, t in CASES[function][0].items()}
    arrays = {n: t.requires_grad_(n != "grid") for n, t in copies.items()}
    numbers(call(function, arrays)).sum().backward()
    for name, t in arrays.items():
        if name != "grid":
            assert t.grad is not None and t.grad.dtype == dtype and bool(t.grad.isfinite().all()), name
            assert function is M.kernel_distance or bool((t.grad != 0).any()), name


@pytest.mark.parametrize("function", [p for p in EVERY if p.values[0] in COUNTS])
def test_counts_take_tensors_with_gradients(function):
    call(function, {n: t.double().clone().requires_grad_() for n, t in CASES[function][0].items()})


WRONG = {
    "nan": lambda t: t.double().masked_fill(t == t.flatten()[0], math.nan),
    "a string": lambda t: "features.npy",
    "None": lambda t: None,
    "a dict": lambda t: {"features": t},
    "ragged lists": lambda t: [[1.0, 2.0], [3.0]],
    "numbers as text": lambda t: t.numpy().astype(str),
    "complex": lambda t: t * 1j,
    "complex array": lambda t: t.numpy() * 1j,
    "sparse": lambda t: t.to_sparse(),
    "a list of differentiable tensors": lambda t: [torch.tensor(1.0, requires_grad=True)] * 2,
    "infinity": lambda t: t.double().masked_fill(t == t.flatten()[0], math.inf),
    "empty": lambda t: t[:0],
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("function", EVERY)
def test_refuses_what_is_no_array_of_numbers(function, wrong):
    """Each array argument in turn; the message names it, and says what came."""
    if (function in (M.bits_per_dim, M.perplexity)) and wrong in ("infinity", "empty"):
        pytest.skip("an event of probability 0 costs infinitely many bits; no examples give none")
    for name, t in CASES[function][0].items():
        with pytest.raises(ValueError, match=rf"(?s)\b{name}\b.* must .*got "):
            call(function, {**CASES[function][0], name: WRONG[wrong](t)})


@pytest.mark.parametrize("function", [p for p in EVERY if len(CASES[p.values[0]][0]) > 1])
def test_refuses_two_devices(function):
    arrays = dict(CASES[function][0])
    first = next(iter(arrays))
    arrays[first] = arrays[first].to("meta")
    with pytest.raises(ValueError, match=rf"{first} and .* must be on one device, got meta and cpu"):
        call(function, arrays)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no second device")
@pytest.mark.parametrize("function", EVERY)
def test_results_lie_on_the_device_of_the_inputs(function):
    got = call(function, {n: t.cuda() for n, t in CASES[function][0].items()})
    want = call(function, CASES[function][0])
    if function not in COUNTS:
        assert all(r.is_cuda for r in (got if isinstance(got, tuple) else (got,)))
    torch.testing.assert_close(numbers(got).cpu(), numbers(want), rtol=1e-9, atol=1e-12)


def test_distributions_sum_to_one_in_double_precision():
    """Rounded to any precision, a softmax is taken as the distribution that it was rounded from."""
    p = (4 * normal(200, 1000)).softmax(1)
    for dtype in FLOATS:
        (got,) = A.distributions(p=p.to(dtype))
        torch.testing.assert_close(got.sum(1), torch.ones(200, dtype=F64), rtol=0, atol=1e-13)
        torch.testing.assert_close(got, p, rtol=2 * torch.finfo(dtype).eps + 1e-12, atol=1e-7)
    # single precision that was made double on the way, as numpy does
    A.distributions(p=p.float().double())


def test_the_coarsest_argument_sets_the_tolerance():
    p, q = torch.tensor([0.1, 0.2, 0.7]), np.array([0.2, 0.3, 0.5])
    exact = 0.1 * math.log(0.5) + 0.2 * math.log(2 / 3) + 0.7 * math.log(1.4)
    assert abs(D.kl_discrete(p, q) - exact) < 1e-7
    assert abs(D.kl_discrete(p.half(), q) - exact) < 1e-3
    off = torch.tensor([0.1, 0.2, 0.702])
    A.distributions(p=off.half())
    with pytest.raises(ValueError, match=r"p must sum to 1 over its last axis to 1e-05, got .* off by 0.002"):
        A.distributions(p=off)
    assert A.rounding(p=q) == 1e-5 and A.rounding(p=q, q=p.bfloat16()) == 4 * 2**-7


def test_blocks_cover_every_row_once():
    for rows, columns in ((10_000, 10_000), (3, 10**9), (0, 5), (5, 0), (1, 1)):
        cut = list(A.blocks(rows, columns))
        assert [i for s in cut for i in range(s.start, s.stop)] == list(range(rows))
        assert all((s.stop - s.start) * columns <= 2**19 or s.stop - s.start == 1 for s in cut)


@pytest.mark.parametrize("value", [1.0, -3e38, 1e308, 5e-324, 1e-310, 0.1, 0.0, 2.0**-100])
def test_magnitude(value):
    unit = A.magnitude(torch.tensor([0.0, value], dtype=F64), torch.zeros(2))
    assert math.frexp(unit)[0] == 0.5 and (value == 0 or 1 <= abs(value) / unit < 2)


def test_permutation_is_that_of_the_generator():
    assert sorted(A.permutation(7, generator(1)).tolist()) == list(range(7))
    assert torch.equal(A.permutation(7, generator(1)), A.permutation(7, generator(1)))


BAD = [
    (lambda: A.reals(x=[[1], [2, 3]]), "x must be a tensor or an array of real numbers, got list"),
    (lambda: A.doubles(x=[1, math.inf]), "x must be finite, got 1 values that are not"),
    (lambda: A.rounding(x="a"), "x must be a tensor or an array of real numbers, got str"),
    (lambda: A.same_shape(x=X, y=X[0]), r"x and y must have the same shape, got \(40, 3\) and \(3,\)"),
    (lambda: A.distributions(p=[1.5, -0.5]), "p must be non-negative, got -0.5"),
    (lambda: A.distributions(p=1.0), r"p must have shape \(..., K\) with K >= 1, got \(\)"),
    (lambda: A.samples(x=X, y=X[:, :0]), r"x and y must have shapes \(n, d\) and \(m, d\), d >= 1"),
    (lambda: A.samples(least=41, x=X), "x must have at least 41 rows, got 40"),
    (lambda: A.gaussians(mean=[0.0], cov=[1.0]), r"mean and cov must have shapes \(d,\) and \(d, d\)"),
    (lambda: A.gaussians(mean=[0, 0], cov=[[1, 2], [0, 1]]), "cov must be symmetric, got asymmetry 2"),
    (lambda: A.permutation(3, 0), "generator must be a torch.Generator or None, got int"),
]


@pytest.mark.parametrize(("bad", "message"), BAD, ids=[re.sub(r"\W+", " ", m) for _, m in BAD])
def test_bad_input(bad, message):
    with pytest.raises(ValueError, match=message):
        bad()
