"""Claims: what passes, what fails, what they print and what they leave for the ledger."""

import math

import numpy as np
import pytest
import torch

from genkit.checks import Line
from genkit.claims import ClaimError, agree, claim, monte_carlo, self_check

ITEM = {"item": "X1.1", "by": "closed form"}


def record(monkeypatch, *args, **kw):
    lines: list[Line] = []
    monkeypatch.setattr("genkit.claims.fold", lines.append)
    claim(*args, **{**ITEM, **kw})
    return lines[0]


def test_inside_the_tolerance_prints_one_line(capsys):
    claim("page-mass", "mass of the estimate", 0.30021, 0.3, atol=1e-3, unit="nats", **ITEM)
    assert capsys.readouterr().out == "✓ mass of the estimate: 0.3002 nats [0.3000 ± 0.001; closed form]\n"


@pytest.mark.parametrize(
    ("measured", "kw"),
    [
        (0.302, {"truth": 0.3, "atol": 1e-3}),
        (0.302, {"truth": 0.3}),
        (1.02, {"truth": 1.0, "rtol": 0.01}),
        (1.5, {"truth": 1.0, "se": 0.1, "z": 4}),
        (0.4, {"at_least": 0.5}),
        (0.6, {"at_most": 0.5}),
        (0.4, {"at_least": 0.5, "se": 0.01}),
        (math.nan, {"truth": 0.0, "atol": 1e9}),
        (math.nan, {"at_most": 1.0}),
        (math.inf, {"at_least": 1.0}),
        ([1.0, 2.1], {"truth": [1.0, 2.0], "atol": 0.05}),
        (False, {"truth": True}),
    ],
)
def test_outside_the_tolerance_fails_by_name(measured, kw):
    with pytest.raises(ClaimError, match="claim 'page-x' fails: the thing"):
        claim("page-x", "the thing", measured, **kw, **ITEM)


def test_what_a_claim_depends_on_is_recorded(monkeypatch):
    line = record(monkeypatch, "page-x", "the thing", 1.0, 1.0, depends_on="split seed")
    assert line.record["depends_on"] == "split seed"
    with pytest.raises(ValueError, match='depends_on must name "split", "seed" or both, got \'weather\''):
        claim("page-x", "the thing", 1.0, 1.0, depends_on="weather", **ITEM)


@pytest.mark.parametrize(
    ("measured", "kw"),
    [
        (0.301, {"truth": 0.3, "atol": 2e-3}),
        (1.3, {"truth": 1.0, "se": 0.1, "z": 4}),
        (0.47, {"at_least": 0.5, "se": 0.01}),
        (torch.tensor([1.0, 2.0]), {"truth": [1.0, 2.0]}),
        (np.float32(0.5), {"at_least": 0.0, "at_most": 1.0}),
        (True, {"truth": True}),
    ],
)
def test_inside(measured, kw):
    claim("page-x", "the thing", measured, **kw, **ITEM)


@pytest.mark.parametrize(
    ("kw", "message"),
    [
        ({"name": "Page_x"}, "name must be lower-case words"),
        ({"by": ""}, "by must say something"),
        ({"truth": None}, "needs either truth or at_least/at_most"),
        ({"at_least": 0.0}, "needs either truth or at_least/at_most"),
        ({"atol": -1.0}, "must be finite and not negative"),
        ({"truth": [1.0, 2.0]}, "truth must have measured's shape"),
        ({"measured": "many"}, "measured must be a number"),
        ({"measured": []}, "measured must not be empty"),
        ({"se": -1.0}, "se must be finite"),
    ],
)
def test_ill_formed_claims_are_refused(kw, message):
    args = {"name": "page-x", "statement": "s", "measured": 1.0, "truth": 1.0, **ITEM, **kw}
    with pytest.raises(ValueError, match=message):
        claim(**args)


def test_a_claim_leaves_a_record(monkeypatch):
    line = record(monkeypatch, "page-x", "the thing", 0.25, 0.2, atol=0.1, unit="bits", item="X1.1 E1.1")
    kept = line.record
    assert (kept["id"], kept["item"]) == ("page-x", ["X1.1", "E1.1"])
    assert (kept["measured"], kept["truth"], kept["tolerance"]) == (0.25, 0.2, 0.1)


def test_unstable_claims_print_no_measured_digit(monkeypatch):
    line = record(monkeypatch, "page-x", "loss", 0.123456, at_most=1.0, stable=False)
    assert "0.12" not in line.text + line.markup
    assert line.record is not None and line.record["measured"] == 0.123456


def test_a_whole_number_prints_the_same_on_every_processor(monkeypatch):
    texts = {record(monkeypatch, "page-x", "n", 32 + e, 32.0, atol=0.1).text for e in (0.0, 1e-13, -1e-13)}
    assert texts == {"✓ n: 32 [32 ± 0.1; closed form]"}
    assert "1.000" in record(monkeypatch, "page-x", "n", 0.9999999, 1.0, atol=0.1).text


def test_markup_is_escaped(monkeypatch):
    assert "<b>" not in record(monkeypatch, "page-x", "a <b> c", 1.0, 1.0).markup


def test_agree():
    agree("page and genkit", torch.ones(3), np.ones(3))
    with pytest.raises(ClaimError, match=r"differ by 0\.1"):
        agree("page and genkit", 1.1, 1.0)
    with pytest.raises(ClaimError, match="shapes differ"):
        agree("page and genkit", [1.0], 1.0)


def test_monte_carlo_covers_the_mean_as_often_as_it_should():
    rng = np.random.default_rng(0)
    z = [(m - 2.0) / se for m, se in (monte_carlo(rng.exponential(2.0, 400)) for _ in range(500))]
    assert abs(np.std(z) - 1) < 0.1 and np.mean(np.abs(z) > 4) < 0.01
    with pytest.raises(ValueError, match="n >= 2"):
        monte_carlo([1.0])


def test_self_check_never_raises_and_says_how_it_went(capsys):
    def todo():
        raise NotImplementedError

    def wrong():
        raise AssertionError("the mass is not 1")

    def broken():
        return 1 / 0

    assert [self_check("x", f) for f in (todo, wrong, broken, lambda: None)] == [False, False, False, True]
    out = capsys.readouterr().out.splitlines()
    assert out == [
        "· x: not attempted yet",
        "✗ x: the mass is not 1",
        "✗ x: ZeroDivisionError: division by zero",
        "✓ x: your answer passes its checks",
    ]
