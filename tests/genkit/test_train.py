"""The training loop against Adam by hand, closed-form optima and counted batches; wrong loops fail."""

import math
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mutation import must_fail

import genkit.train as T

F64 = torch.float64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=generator(seed))


def parameter(*values):
    return torch.tensor(values, dtype=F64, requires_grad=True)


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


def check_batches(m):
    """Every epoch visits each example once, in a new order, with its label."""
    x = torch.arange(10, dtype=F64)
    w, seen = parameter(0.0), []

    def loss(batch):
        a, b = batch
        assert torch.equal(b, -a)
        seen.append(a.tolist())
        return (w * a).sum()

    m.fit(loss, [w], (x, -x), steps=9, batch_size=4, generator=generator())
    assert [len(batch) for batch in seen] == [4, 4, 2] * 3
    epochs = [[*seen[i], *seen[i + 1], *seen[i + 2]] for i in (0, 3, 6)]
    assert all(sorted(epoch) == x.tolist() for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != x.tolist()
    first, seen[:] = list(seen), []
    m.fit(loss, [w], (x, -x), steps=9, batch_size=4, generator=generator())
    assert seen == first  # the order is the generator's
    seen.clear()
    m.fit(loss, [w], (x, -x), steps=2, batch_size=100, generator=generator(1))
    assert [sorted(batch) for batch in seen] == [x.tolist()] * 2


def check_early_stopping(m):
    """The parameters of the best validation come back; patience counts those without improvement."""
    for patience, stop in ((None, 100), (2, 40), (3, 50)):
        w, script = parameter(0.0), iter([5.0, 2.0, 3.0, 2.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0])
        at = []

        def value(w=w, script=script, at=at):
            at.append(w.item())
            return next(script)

        history = m.fit(
            lambda w=w: -w.sum(), [w], steps=100, lr=0.1, validate=value, every=10, patience=patience
        )
        assert len(history.loss) == stop
        assert [step for step, _ in history.validation] == list(range(10, stop + 1, 10))
        assert [v for _, v in history.validation][:4] == [5.0, 2.0, 3.0, 2.0]
        assert history.best_step == 20  # the first of two equal values
        assert w.item() == at[1] and w.item() < at[2]
    # the last step is validated, also between two multiples of `every`
    w = parameter(0.0)
    history = m.fit(
        lambda: ((w - 1) ** 2).sum(), [w], steps=25, lr=0.01, validate=lambda: (w - 1) ** 2, every=10
    )
    assert [step for step, _ in history.validation] == [10, 20, 25] and history.best_step == 25
    # a validation that is not a number is no improvement
    w, script = parameter(0.0), iter([1.0, math.nan, math.nan])
    history = m.fit(lambda: -w.sum(), [w], steps=3, lr=0.1, validate=lambda: next(script), every=1)
    assert history.best_step == 1 and abs(w.item() - 0.1) < 1e-6


def check_overfitting(m):
    """A polynomial of degree 11 through 15 noisy points: the kept parameters beat the last ones."""
    x = torch.linspace(-1, 1, 15, dtype=F64)
    powers = torch.arange(12)
    y, y_new = (torch.sin(3 * x) + 0.4 * normal(15, seed=s) for s in (0, 1))
    losses = {}
    for kept in (True, False):
        w = parameter(*[0.0] * 12)

        def loss(target, w=w):
            return ((x[:, None] ** powers @ w - target) ** 2).mean()

        validate = (lambda w=w, f=loss: f(y_new)) if kept else None
        history = m.fit(lambda f=loss: f(y), [w], steps=800, lr=0.1, validate=validate, every=20)
        losses[kept] = loss(y_new).item()
    assert losses[True] < losses[False] - 1e-3
    assert history.loss[-1] < history.loss[50]


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
    (check_steps, "torch.optim.Adam(parameters, lr=lr)", "torch.optim.SGD(parameters, lr=lr)"),
    (check_optimum, 'optimiser.param_groups[0]["lr"] = lr *', "_ = lr *"),
    (check_optimum, "loss.backward()", "(-loss).backward()"),
    (
        check_batches,
        "torch.randperm(",
        "torch.randint(len(tensors[0]), (len(tensors[0]),)) + 0 * torch.randperm(",
    ),
    (check_batches, "torch.randperm(", "torch.arange(len(tensors[0])) + 0 * torch.randperm("),
    (check_batches, "for index in order.split(batch_size)", "for index in order.split(batch_size)[:1]"),
    (check_early_stopping, "p.copy_(b)", "p.copy_(p)"),
    (check_early_stopping, "p.detach().clone() for p", "p.detach() for p"),  # an alias, not a snapshot
    (check_early_stopping, "value < best_value", "value > -best_value"),
    (check_early_stopping, "value < best_value", "value <= best_value"),
    (check_early_stopping, "waited >= patience", "waited > patience"),
    (check_early_stopping, "or step + 1 == steps", ""),
    (check_overfitting, "p.copy_(b)", "p.copy_(p)"),
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
    w = parameter(0.3)
    with pytest.raises(FloatingPointError, match="the loss is nan at step 4"):
        T.fit(lambda: w.log().sum(), [w], steps=10, lr=0.1)


W = parameter(1.0)


def run(**changes):
    arguments = {"loss_fn": lambda *batch: (W**2).sum(), "parameters": [W], "steps": 1} | changes
    return T.fit(**arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parameters": []}, "parameters must be tensors with requires_grad=True, and at least one"),
        ({"parameters": [torch.ones(1)]}, "parameters must be tensors with requires_grad=True"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"every": -1}, "every must be at least 1, got -1"),
        ({"patience": 0, "validate": lambda: 0.0}, "patience must be at least 1, got 0"),
        ({"patience": 3}, "patience needs validate, got validate=None"),
        ({"lr": 0.0}, "lr must be positive, got 0.0"),
        ({"lr": math.nan}, "lr must be positive, got nan"),
        ({"schedule": "linear"}, 'schedule must be "constant" or "cosine", got \'linear\''),
        ({"data": torch.zeros(0, 2)}, r"data must hold at least one example, .* got lengths \[0\]"),
        ({"data": (torch.zeros(3), torch.zeros(4))}, r"equally many in each tensor, got lengths \[3, 4\]"),
        ({"data": ()}, r"got lengths \[\]"),
        ({"loss_fn": lambda: W**2}, r"loss_fn must return a scalar tensor, got shape \(1,\)"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(ValueError, match=message):
        run(**changes)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_bad_seed(seed):
    with pytest.raises(ValueError, match=rf"seed must be in \[0, 2\*\*32\), got {seed}"):
        T.seed_everything(seed)


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
