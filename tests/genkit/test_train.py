"""The training loop against Adam by hand and closed-form optima; wrong loops fail."""

import math
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mutation import must_fail
from shared import F64, generator, normal, parameter
from torch.utils.data import DataLoader, TensorDataset

import genkit.train as T

W = parameter(1.0)

# Each check takes the module, so that it runs on broken ones too.


def check_seed_everything(m):
    def draws():
        return random.random(), np.random.rand(), torch.rand(()).item()

    gen = m.seed_everything(3)
    first, own = draws(), torch.rand((), generator=gen).item()
    assert torch.get_num_threads() == 1
    assert draws() != first
    gen = m.seed_everything(3)
    assert (draws(), torch.rand((), generator=gen).item()) == (first, own)
    gen = m.seed_everything(4)
    assert (
        all(a != b for a, b in zip(draws(), first, strict=True))
        and torch.rand((), generator=gen).item() != own
    )


def adam_by_hand(w, gradient, rates, beta1=0.9, beta2=0.999, eps=1e-8):
    """Algorithm 1 of Kingma & Ba (2015)."""
    first = second = 0.0
    for t, lr in enumerate(rates, start=1):
        g = gradient(w)
        first = beta1 * first + (1 - beta1) * g
        second = beta2 * second + (1 - beta2) * g**2
        w = w - lr * (first / (1 - beta1**t)) / (math.sqrt(second / (1 - beta2**t)) + eps)
    return w


def check_steps(m):
    """The updates are Adam's, at the promised learning rates, and the losses those before each update."""
    for schedule in ("constant", "cosine"):
        rates = [
            0.1 if schedule == "constant" else 0.05 * (1 + math.cos(math.pi * t / 20)) for t in range(20)
        ]
        w = parameter(2.0)
        history = m.fit(lambda w=w: (w**4).sum(), [w], steps=20, lr=0.1, schedule=schedule)
        assert abs(w.item() - adam_by_hand(2.0, lambda v: 4 * v**3, rates)) < 1e-12
        before = [adam_by_hand(2.0, lambda v: 4 * v**3, rates[:t]) ** 4 for t in range(20)]
        np.testing.assert_allclose(history.loss, before, rtol=1e-10)
        assert history.validation == [] and history.best_step is None


def check_optimum(m):
    """Least squares, by mini-batches with a decaying rate, ends at the normal equations."""
    x = normal(400, 3)
    y = x @ torch.tensor([1.0, -2.0, 0.5], dtype=F64) + 0.1 * normal(400, seed=1)
    exact = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
    w = parameter(0.0, 0.0, 0.0)
    history = m.fit(
        lambda batch: ((batch[0] @ w - batch[1]) ** 2).mean(),
        [w],
        (x, y),
        steps=600,
        batch_size=64,
        lr=0.3,
        schedule="cosine",
        generator=generator(),
    )
    assert (w.detach() - exact).abs().max() < 2e-3
    assert len(history.loss) == 600 and history.loss[-1] < 0.1 * history.loss[0]


CHECKS = [value for name, value in sorted(globals().items()) if name.startswith("check_")]


@pytest.mark.parametrize("check", CHECKS, ids=lambda f: f.__name__)
def test_right(check):
    check(T)


MUTANTS = [
    (check_seed_everything, "    np.random.seed(seed)\n", ""),
    (check_seed_everything, "    random.seed(seed)\n", "    random.seed()\n"),
    (check_seed_everything, "torch.Generator().manual_seed(seed)", "torch.Generator().manual_seed(0)"),
    (check_steps, "optimiser.zero_grad()", "pass"),
    (check_steps, "0.5 * (1 + math.cos(", "0.5 * (1 - math.cos("),
    (check_steps, "math.pi * step / steps", "2 * math.pi * step / steps"),
    (check_steps, "torch.optim.Adam(trained, lr=lr)", "torch.optim.SGD(trained, lr=lr)"),
    (check_optimum, 'optimiser.param_groups[0]["lr"] = lr *', "_ = lr *"),
    (check_optimum, "loss.backward()", "(-loss).backward()"),
]


@pytest.mark.parametrize(("check", "old", "new"), MUTANTS, ids=lambda v: getattr(v, "__name__", None))
def test_wrong_loop_is_noticed(check, old, new):
    must_fail(check, T, old, new)


def test_a_module_in_single_precision():
    T.seed_everything(0)
    net = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    x = normal(200, 2).float()
    y = (x[:, :1] * x[:, 1:]).tanh()
    history = T.fit(
        lambda b: ((net(b[0]) - b[1]) ** 2).mean(),
        net.parameters(),
        (x, y),
        steps=400,
        lr=0.02,
        generator=generator(),
    )
    assert np.mean(history.loss[-20:]) < 0.2 * np.mean(history.loss[:5])
    assert {p.dtype for p in net.parameters()} == {torch.float32}


def test_a_loss_that_is_not_finite_stops_at_its_step():
    w, values = parameter(0.3), iter([2.0, 1.0, 5.0, 5.0])
    with pytest.raises(FloatingPointError, match="the loss is nan at step 4") as e:
        T.fit(lambda: w.log().sum(), [w], steps=10, lr=0.1, validate=lambda: next(values), every=1)
    assert len(e.value.history.loss) == 4 and e.value.history.best_step == 2
    assert abs(w.item() - 0.1) < 0.02  # not the negative one that had no logarithm


@pytest.mark.parametrize("value", [math.nan, math.inf, torch.tensor(math.nan)])
def test_a_validation_that_is_never_a_number_is_not_silent(value):
    w = parameter(1.0)
    with pytest.raises(
        FloatingPointError, match=r"validate gave no number below infinity in 2 calls: (nan|inf)"
    ) as e:
        T.fit(lambda: (w**2).sum(), [w], steps=4, every=2, validate=lambda: value)
    assert len(e.value.history.loss) == 4 and w.item() < 1  # trained all the same


def test_a_module_with_frozen_parts():
    net = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Linear(4, 1))
    net[0].requires_grad_(False)
    before = [p.clone() for p in net.parameters()]
    T.fit(lambda: net(torch.ones(1, 2)).square().sum(), net, steps=2)
    changed = [not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True)]
    assert changed == [False, False, True, True]


def run(**changes):
    arguments = {"loss_fn": lambda *batch: (W**2).sum(), "parameters": [W], "steps": 1} | changes
    return T.fit(**arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parameters": []}, "parameters must be a module or tensors with requires_grad=True, at least one"),
        ({"parameters": [torch.ones(1)]}, "parameters must be a module or tensors with requires_grad=True"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"every": -1}, "every must be at least 1, got -1"),
        ({"patience": 0, "validate": lambda: 0.0}, "patience must be at least 1, got 0"),
        ({"patience": 3}, "patience needs validate, got validate=None"),
        ({"lr": 0.0}, "lr must be positive and finite, got 0"),
        ({"lr": math.nan}, "lr must be positive and finite, got nan"),
        ({"schedule": "linear"}, 'schedule must be "constant" or "cosine", got \'linear\''),
        ({"data": torch.zeros(0, 2)}, r"data must hold at least one example, .* got lengths \[0\]"),
        ({"data": (torch.zeros(3), torch.zeros(4))}, r"equally many in each tensor, got lengths \[3, 4\]"),
        ({"data": ()}, r"got lengths \[\]"),
        ({"parameters": W}, "parameters must be a module or tensors with requires_grad=True"),
        ({"parameters": 3}, "parameters must be a module or tensors .* got int"),
        ({"parameters": [W * 2]}, "parameters must be a module or tensors .* got list"),
        ({"parameters": torch.nn.Linear(2, 2).named_parameters()}, "parameters must be a module or tensors"),
        ({"parameters": torch.nn.ReLU()}, "parameters must be a module .* got ReLU"),
        ({"steps": 1.5}, "steps must be an integer, got 1.5"),
        ({"steps": True}, "steps must be an integer, got True"),
        ({"batch_size": "8"}, "batch_size must be an integer, got '8'"),
        ({"lr": math.inf}, "lr must be positive and finite, got inf"),
        ({"lr": "0.1"}, "lr must be a positive number, got '0.1'"),
        ({"lr": True}, "lr must be a positive number, got True"),
        ({"lr": [0.1, 0.2]}, "lr must be a positive number, got list"),
        ({"loss_fn": 1.0}, "loss_fn must be a function, got float"),
        ({"validate": 1.0}, "validate must be a function, got float"),
        ({"validate": lambda: None}, "validate must return a number, got NoneType"),
        ({"validate": lambda: torch.zeros(2)}, r"validate must return a number, got shape \(2,\)"),
        ({"generator": 0}, "generator must be a Generator, got int"),
        ({"data": [[1.0]]}, "data must be a tensor or a tuple of tensors, got list"),
        ({"data": [torch.zeros(3)]}, "data must be a tensor or a tuple of tensors, got list"),
        ({"data": np.zeros(3)}, "data must be a tensor or a tuple of tensors, got ndarray"),
        ({"data": (torch.zeros(3), np.zeros(3))}, "got Tensor, ndarray"),
        ({"data": TensorDataset(torch.zeros(3))}, "got TensorDataset"),
        ({"data": DataLoader(TensorDataset(torch.zeros(3)))}, "got DataLoader"),
        ({"data": torch.tensor(1.0)}, r"data must hold at least one example, .* got lengths \[0\]"),
        ({"data": torch.zeros(3), "drop_last": True}, "batch_size must be at most 3 with drop_last, got 128"),
        ({"loss_fn": lambda: 1.0}, "loss_fn must return a scalar tensor, got float"),
        (
            {"loss_fn": lambda: torch.tensor(1.0)},
            "loss_fn must return a tensor that depends on the parameters",
        ),
        ({"loss_fn": lambda: W**2}, r"loss_fn must return a scalar tensor, got shape \(1,\)"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(ValueError, match=message):
        run(**changes)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_bad_seed(seed):
    with pytest.raises(ValueError, match=f"seed must be from 0 to 4294967295, got {seed}"):
        T.seed_everything(seed)


@pytest.mark.parametrize("seed", [True, 1.0, "1", None, np.True_, torch.tensor([1, 2])])
def test_seeds_of_another_kind(seed):
    with pytest.raises(ValueError, match="seed must be an integer"):
        T.seed_everything(seed)


@pytest.mark.parametrize("seed", [np.int64(3), np.uint8(3), torch.tensor(3), np.array(3)])
def test_integers_of_other_libraries_are_seeds(seed):
    drawn = torch.rand((), generator=T.seed_everything(seed))
    assert drawn == torch.rand((), generator=T.seed_everything(3))
    assert len(T.fit(lambda: (W**2).sum(), [W], steps=seed).loss) == 3


def test_progress_is_for_those_who_watch(monkeypatch, capsys):
    run()
    assert capsys.readouterr() == ("", "")
    run(progress=True)
    assert "0/1" in capsys.readouterr().err
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.delenv("GENKIT_BOOK", raising=False)
    run()
    assert "0/1" in capsys.readouterr().err
    monkeypatch.setenv("GENKIT_BOOK", "1")
    run()
    assert capsys.readouterr() == ("", "")


def test_nothing_is_written():
    """In a fresh process, as a build runs it."""
    code = (
        "import torch, genkit.train as t; w = torch.ones(1, requires_grad=True); "
        "t.fit(lambda: (w**2).sum(), [w], steps=3)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
