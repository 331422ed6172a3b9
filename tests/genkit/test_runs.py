"""Runs: counted batches, early stopping, what is left and taken up again bit for bit; wrong runs fail."""

import io
import math
import signal
import threading

import pytest
import torch
from mutation import must_fail
from shared import F64, generator, normal, parameter

import genkit.runs as R
import genkit.train as T

# Each check takes the module of the loop, so that it runs on broken ones too.


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


def check_drop_last(m):
    """An epoch leaves out its last, smaller batch, another one each time."""
    w, seen = parameter(0.0), []

    def loss(batch):
        seen.append(batch.tolist())
        return (w * batch).sum()

    m.fit(loss, [w], torch.arange(10.0), steps=9, batch_size=4, drop_last=True, generator=generator())
    assert [len(batch) for batch in seen] == [4] * 9
    epochs = [set(seen[i] + seen[i + 1]) for i in range(0, 8, 2)]
    assert all(len(epoch) == 8 for epoch in epochs) and len(set.union(*epochs)) == 10
    seen.clear()
    m.fit(loss, [w], torch.arange(8.0), steps=2, batch_size=4, drop_last=True, generator=generator())
    assert sorted(seen[0] + seen[1]) == list(range(8))


class Net:
    """A small network with batch norm, noise in its loss and a validation; it stops itself at `stop`."""

    def __init__(self, m, stop=None, where="start", error=KeyboardInterrupt):
        torch.manual_seed(0)
        self.m, self.stop, self.where, self.error, self.calls = m, stop, where, error, 0
        linear, norm, out = torch.nn.Linear(3, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 1)
        self.net = torch.nn.Sequential(linear, norm, torch.nn.Tanh(), out)
        self.gen, self.x = generator(), normal(129, 3).float()
        self.history = m.History()

    def halt(self, where):
        if self.calls == self.stop and where == self.where:
            self.stop = None
            raise self.error

    def loss(self, x):
        self.halt("start")
        self.calls += 1
        self.net.train()
        noise = torch.randn(x.shape, generator=self.gen)
        self.halt("middle")
        return ((self.net(x + 0.1 * noise) - x[:, :1].sin()) ** 2).mean()

    def validate(self):
        noise = torch.randn(self.x.shape, generator=self.gen)
        self.halt("validation")
        self.net.eval()
        with torch.no_grad():
            return ((self.net(self.x + noise) - self.x[:, :1].sin()) ** 2).mean()

    def fit(self, steps=60, **kw):
        how = {"lr": 0.05, "batch_size": 16, "drop_last": True, "every": 7, "schedule": "cosine"} | kw
        self.m.fit(
            self.loss,
            self.net,
            self.x,
            steps=steps,
            generator=self.gen,
            validate=self.validate,
            history=self.history,
            **how,
        )
        return self

    def same(self, other):
        tensors = zip(self.net.state_dict().values(), other.net.state_dict().values(), strict=True)
        return self.history == other.history and all(torch.equal(a, b) for a, b in tensors)


def check_resume(m):
    """Two parts of a run are the whole, bit for bit: parameters, buffers, Adam, order, noise, best."""
    for kw in ({}, {"schedule": "constant", "drop_last": False, "batch_size": 20}, {"patience": 3}):
        whole = Net(m).fit(**kw)
        assert whole.history.best_step is not None
        for stop, where in (
            (0, "start"),
            (17, "start"),
            (18, "middle"),
            (21, "validation"),
            (42, "validation"),
        ):
            if stop >= len(whole.history.loss):
                continue
            parts = Net(m, stop, where)
            with pytest.raises(KeyboardInterrupt):
                parts.fit(**kw)
            assert parts.fit(**kw).same(whole), (kw, stop, where)
            assert parts.fit(**kw).same(whole)  # once more does nothing


def check_stopped(m):
    """Ctrl-C, an error in the loss or in the validation: best parameters restored, history at hand."""
    for error, where in (
        (KeyboardInterrupt, "start"),
        (RuntimeError, "middle"),
        (ZeroDivisionError, "validation"),
    ):
        net, script = (
            Net(m, 36 if where == "middle" else 35, where, error),
            iter([3.0, 1.0, 2.0, 4.0, 5.0, 6.0]),
        )
        plain, at = net.validate, []

        def validate(net=net, script=script, plain=plain, at=at):
            plain()
            at.append({k: v.clone() for k, v in net.net.state_dict().items()})
            return next(script)

        net.validate = validate
        with pytest.raises(error) as e:
            net.fit()
        history = e.value.history
        assert history is net.history and len(history.loss) == 35 and history.best_step == 14
        assert [v for _, v in history.validation] == [3.0, 1.0, 2.0, 4.0, 5.0][
            : 4 if where == "validation" else 5
        ]
        assert all(torch.equal(v, at[1][k]) for k, v in net.net.state_dict().items())  # buffers too


CHECKS = [value for name, value in sorted(globals().items()) if name.startswith("check_")]


@pytest.mark.parametrize("check", CHECKS, ids=lambda f: f.__name__)
def test_right(check):
    check(T)


MUTANTS = [
    (check_resume, "batches.rest = self.state.rest", "pass"),
    (check_resume, "batches.generator.set_state(self.state.generator)", "pass"),
    (check_resume, "optimiser.load_state_dict(copy.deepcopy(self.state.optimiser))", "pass"),
    (check_resume, "self._put(self.state.last)", "pass"),
    (
        check_resume,
        "self.history.loss.append(loss.item())\n            self.mark()",
        "self.history.loss.append(loss.item())",
    ),
    (check_stopped, "self._put(self.state.best)", "pass"),
    (
        check_batches,
        "torch.randperm(",
        "torch.randint(self.examples, (self.examples,)) + 0 * torch.randperm(",
    ),
    (check_batches, "torch.randperm(", "torch.arange(self.examples) + 0 * torch.randperm("),
    (check_batches, "self.rest[self.size :]", "self.rest[:0]"),
    (
        check_batches,
        "self.size, self.least = isinstance(data, tuple), size, size if drop_last else 1",
        "self.size, self.least = isinstance(data, tuple), size, size",
    ),
    (check_drop_last, "size if drop_last else 1", "1"),
    (check_early_stopping, "t.copy_(value)", "t.copy_(t)"),
    (check_early_stopping, "t.detach().clone() for t", "t.detach() for t"),  # an alias, not a snapshot
    (check_early_stopping, "value < lowest", "value > -lowest"),
    (check_early_stopping, "value < lowest", "value <= lowest"),
    (check_early_stopping, "state.waited += 1\n", "state.waited = 1\n"),
    (check_overfitting, "t.copy_(value)", "t.copy_(t)"),
]


@pytest.mark.parametrize(("check", "old", "new"), MUTANTS, ids=lambda v: getattr(v, "__name__", None))
def test_wrong_run_is_noticed(check, old, new, monkeypatch):
    def in_the_loop(broken):
        for name in R.__all__:
            monkeypatch.setattr(T, name, getattr(broken, name))
        check(T)

    must_fail(in_the_loop, R, old, new)


MUTANTS_OF_THE_LOOP = [
    (check_resume, "taken > run.validated and", "taken and"),
    (check_stopped, "buffers = list(parameters.buffers())", "buffers = []"),
    (check_early_stopping, "run.state.waited >= patience", "run.state.waited > patience"),
    (check_early_stopping, "or taken == steps)", ")"),
]


@pytest.mark.parametrize(
    ("check", "old", "new"), MUTANTS_OF_THE_LOOP, ids=lambda v: getattr(v, "__name__", None)
)
def test_wrong_loop_is_noticed(check, old, new):
    must_fail(check, T, old, new)


def test_planned_halves():
    """The second from a file, for another copy of the network and of the generator."""
    whole, first, second = Net(T).fit(70, schedule="constant"), Net(T).fit(35, schedule="constant"), Net(T)
    file = io.BytesIO()
    torch.save({"history": first.history}, file)
    file.seek(0)
    second.history = torch.load(file, weights_only=False)["history"]
    second.gen.manual_seed(5)
    assert second.fit(70, schedule="constant").same(whole)
    assert first.fit(70, schedule="constant").same(whole)


def test_ctrl_c_waits_for_an_update():
    """A real signal at a random time, often: no update is half made, and the run ends as it would have."""
    whole = Net(T).fit(steps=100)
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    for delay in range(1, 60, 4):
        parts = Net(T)
        before = signal.getsignal(signal.SIGINT)
        for _ in range(1000):
            signal.setitimer(signal.ITIMER_REAL, delay / 1000)
            try:
                parts.fit(steps=100)
                break
            except KeyboardInterrupt:
                pass
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            delay *= 1.3
        assert signal.getsignal(signal.SIGINT) is before
        assert parts.same(whole)


def test_in_a_thread():
    w, done = parameter(1.0), []
    thread = threading.Thread(target=lambda: done.append(T.fit(lambda: (w**2).sum(), [w], steps=3)))
    thread.start()
    thread.join()
    assert len(done[0].loss) == 3


def test_batch_norm_and_a_single_example():
    net = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.BatchNorm1d(4))
    x = normal(129, 2).float()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        T.fit(lambda b: net(b).square().mean(), net, x, steps=3)
    assert len(T.fit(lambda b: net(b).square().mean(), net, x, steps=3, drop_last=True).loss) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 5}, r"history must be that of an earlier fit with at most steps=5, got 60"),
        ({"parameters": [parameter(1.0)]}, r"history belongs to parameters of shapes .*, got \[\(1,\)\]"),
        ({"data": torch.zeros(7, 3)}, "history belongs to 129 examples, got 7"),
        ({"generator": None}, "history belongs to a run with a generator, got generator=None"),
        ({"history": R.History(loss=[1.0])}, "history must be that of an earlier fit"),
        ({"history": [1.0]}, "history must be a History, got list"),
    ],
)
def test_a_history_of_another_run(change, message):
    run = Net(T).fit()
    how = {"parameters": run.net, "data": run.x, "steps": 61, "generator": run.gen, "history": run.history}
    with pytest.raises(ValueError, match=message):
        T.fit(run.loss, **(how | change))
