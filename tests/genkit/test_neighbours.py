"""Precision and recall against scikit-learn and counts of integers; wrong formulas fail."""

import numpy as np
import pytest
import sklearn.neighbors
import torch
from mutation import must_fail
from shared import close, generator, normal

import genkit.neighbours as N
from genkit.toys import toy

# It takes the module, so that it runs on broken ones too.


def check_precision_recall(m):
    real, generated = normal(150, 2, seed=0), normal(120, 2, seed=1) * 1.5 + 0.5
    for k in (1, 3, 5):
        share = {}
        for name, a, b in (("precision", real, generated), ("recall", generated, real)):
            near = sklearn.neighbors.NearestNeighbors(n_neighbors=k + 1).fit(a.numpy())
            radius = near.kneighbors(a.numpy())[0][:, -1]
            hit = [any(np.linalg.norm(a.numpy() - point, axis=1) <= radius) for point in b.numpy()]
            share[name] = float(np.mean(hit))
        close(m.precision_recall(real, generated, k=k), (share["precision"], share["recall"]))
    assert m.precision_recall(generated, real) == m.precision_recall(real, generated)[::-1]
    assert m.precision_recall(real, real) == (1.0, 1.0)
    assert m.precision_recall(real, real + 100) == (0.0, 0.0)
    # integers have ties, each of which counts as inside; more rows than a block holds, and copies
    for n, low, high in ((1300, 0, 8), (1300, 0, 50), (60, 0, 12), (60, 0, 3), (60, 0, 1)):
        a, b = (torch.randint(low, high, (n - i, 2), generator=generator(i)) for i in (0, 1))
        for k in (1, 4):
            near = [(x[:, None] - x).square().sum(2).kthvalue(k + 1).values for x in (a, b)]
            cross = (a[:, None] - b).square().sum(2)
            want = ((cross <= near[0][:, None]).any(0), (cross <= near[1]).any(1))
            for power, shift in ((0, 0), (-3, 0), (66, 0), (-80, 0), (660, 0), (-1000, 0), (0, 1e6)):
                moved = [x.double() * 2.0**power + shift for x in (a, b)]
                close(m.precision_recall(*moved, k=k), [w.double().mean() for w in want])
    # tight clusters, whose inner distances the products |a|² - 2ab + |b|² cannot see
    spread = 1e-7 * normal(240, 3, seed=8) + normal(6, 3, seed=9).repeat(40, 1)
    a, b = spread[:120], spread[120:]
    near = [(x[:, None] - x).square().sum(2).kthvalue(4).values for x in (a, b)]
    cross = (a[:, None] - b).square().sum(2)
    want = ((cross <= near[0][:, None]).any(0), (cross <= near[1]).any(1))
    close(m.precision_recall(a, b), [w.double().mean() for w in want])
    assert 0.2 < want[0].double().mean() < 0.95
    # half of the modes: all that is generated is right, and only half of what is real is found
    ring = toy("ring")
    a, b = ring.sample(1000, generator(2)), ring.sample(2000, generator(3))
    precision, recall = m.precision_recall(a, b[b[:, 0] > 0][:1000])
    assert precision > 0.9 and 0.4 < recall < 0.6
    # the null is below 1 (item X3.7: .974 and .973 on a ring of ten, k = 3)
    precision, recall = m.precision_recall(a, b[:1000])
    assert 0.95 < precision < 0.995 and 0.95 < recall < 0.995


def test_right():
    check_precision_recall(N)


MUTANTS = [
    ("(seen < k)", "(seen < k - 1)"),
    ("(seen < k)", "(seen <= k)"),
    ("- (j == itself).long()", "- 0"),
    ("counts[j] - (j", "1 - (j"),  # a copy is no neighbour
    ("return radii * (1 + _rounding(x.rows.shape[1]))", "return radii * (1 - 1e-12)"),
    ("    return (d + 8) *", "    return 0 *"),  # products taken at their word
    ("i = i + rows.start", "pass"),
    ("(gap / a.scale)", "gap"),
    ("inside[x.copy_of]", "inside"),
    ("in_r[j[square <= reach_r[i]]]", "in_r[j[square < reach_r[i]]]"),
    ("(high <= reach_r[rows, None]).any(0)", "(high <= reach_r[rows, None]).any(0) | True"),
    ("return float(precision), float(recall)", "return float(recall), float(precision)"),
    ("in_g[rows] |= (high <= reach_g)", "in_g[rows] |= (high <= reach_r[rows, None])"),
]


@pytest.mark.parametrize(("old", "new"), MUTANTS)
def test_wrong_formula_is_noticed(old, new):
    must_fail(check_precision_recall, N, old, new)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, 30.0, 1e4])
def test_a_ball_without_extent_holds_its_own_point_only(value, dtype):
    x, y = torch.full((30, 5), value, dtype=dtype), torch.full((20, 5), value, dtype=dtype)
    assert N.precision_recall(x, y) == (1.0, 1.0)
    apart = float(value == 1e4 and dtype in (torch.float16, torch.bfloat16))  # where 1e4 + 1 is 1e4
    assert N.precision_recall(x, y + 1) == (apart, apart)


def test_a_generator_that_repeats_itself():
    """One real example, over and over, beside all the others: right, but nearly nothing is found."""
    real = normal(400, 8)
    precision, recall = N.precision_recall(real, real[:1].repeat(400, 1))
    assert (precision, recall) == (1.0, 1 / 400)


X = torch.zeros(5, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: N.precision_recall(X, X, k=1.5), "k must be an integer, got 1.5"),
        (lambda: N.precision_recall(X, X, k=0), "k must be at least 1, got 0"),
        (lambda: N.precision_recall(X, X, k=5), "real must have at least 6 rows, got 5"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
