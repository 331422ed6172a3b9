"""Seeds and the one training loop of the book."""

from __future__ import annotations

import contextlib
import copy
import math
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from genkit.arguments import integer, positive

__all__ = ["History", "fit", "seed_everything"]


def seed_everything(seed: int = 0) -> torch.Generator:
    """Seed Python, NumPy and torch, use one thread, and return a torch generator.

    One thread, because small networks are slower on two, and because sums, hence results, depend on how many
    there are.

    Parameters
    ----------
    seed
        An integer from 0 to 2**32 - 1, of Python, NumPy or torch.

    Returns
    -------
    torch.Generator
        A new CPU generator with that seed. Pass it on, so that a result does not depend on what ran before.

    Raises
    ------
    ValueError
        If `seed` is no integer from 0 to 2**32 - 1.
    """
    seed = integer("seed", seed, 0, 2**32 - 1)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    return torch.Generator().manual_seed(seed)


@dataclass
class _State:
    """Where a run stands between two steps: all that it needs to go on, and the best that it had."""

    examples: int = 0
    rest: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))  # of the epoch's order
    generator: Tensor | None = None
    waited: int = 0  # validations without improvement
    best: list[Tensor] | None = None
    last: list[Tensor] = field(default_factory=list)  # parameters, then buffers
    optimiser: dict[str, Any] = field(default_factory=dict)


@dataclass
class History:
    """What happened during `fit`, and what it takes to go on with it.

    Attributes
    ----------
    loss
        The loss of every step taken, before its update.
    validation
        Pairs (number of steps taken, validation value).
    best_step
        The number of steps after which the kept parameters stood; None without validation.
    """

    loss: list[float] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)
    best_step: int | None = None
    _state: _State | None = field(default=None, repr=False, compare=False)


def _interactive() -> bool:
    """Is someone watching: a terminal or a notebook, and not a build of the book?"""
    ipython = sys.modules.get("IPython")
    notebook = ipython is not None and ipython.get_ipython() is not None
    return not os.environ.get("GENKIT_BOOK") and (sys.stderr.isatty() or notebook)


def fit(
    loss_fn: Callable[..., Tensor],
    parameters: Iterable[Tensor] | torch.nn.Module,
    data: Tensor | tuple[Tensor, ...] | None = None,
    *,
    steps: int,
    batch_size: int = 128,
    drop_last: bool = False,
    lr: float = 1e-3,
    generator: torch.Generator | None = None,
    schedule: Literal["constant", "cosine"] = "constant",
    validate: Callable[[], float | Tensor] | None = None,
    every: int = 100,
    patience: int | None = None,
    history: History | None = None,
    progress: bool | None = None,
) -> History:
    r"""Minimise a loss with Adam (Kingma & Ba, 2015, arXiv:1412.6980).

    A step is: zero the gradients, compute the loss, backpropagate, update. With `schedule="cosine"` the
    learning rate of step t = 0, 1, ... is :math:`\tfrac12\,\mathrm{lr}\,(1 + \cos(\pi t/\mathrm{steps}))`.

    However the run ends, by its last step, by an error or by Ctrl-C (which waits for a begun update), the
    parameters of the best validation are restored, and the history holds all that was done: the one that was
    passed in, or the attribute `history` of the exception. The same call with that history goes on from the
    step where the run was left, with the parameters, Adam's moments, the rest of the epoch and the generator
    as they were; so two parts make the very run that one call would have made, if `loss_fn` and `validate`
    draw from no other source. A history can be saved with `torch.save` and loaded with `weights_only=False`.

    Parameters
    ----------
    loss_fn
        `loss_fn(batch)`, or `loss_fn()` if `data` is None, returns a scalar tensor.
    parameters
        The tensors to change, each with `requires_grad`; `model.parameters()` will do. Given a
        module, its parameters that require gradients are changed, and its buffers (averages of batch norm)
        are kept and restored with them; a plain list of parameters says nothing of buffers, which then stay
        as they are after the last step.
    data
        Examples along the first axis, or a tuple of such tensors (the batch is then a tuple). Batches are
        drawn without replacement, epoch after epoch, and moved to the device of the parameters.
    steps
        The number of updates in all, at most, those in `history` included.
    batch_size
        Examples per step; the last batch of an epoch may be smaller.
    drop_last
        Leave out a smaller last batch (batch norm fails on a single example).
    lr
        Adam's learning rate.
    generator
        Source of the order of the examples.
    schedule
        "constant" or "cosine".
    validate
        Returns a number; lower is better. It is called every `every` steps and after the last one, and
        the parameters of the lowest value are restored at the end.
    every
        Steps between two validations.
    patience
        Stop after this many validations in a row without improvement.
    history
        That of an earlier call, to go on with it, or an empty one; it is changed in place.
    progress
        Show a progress bar; None means only when someone watches and `GENKIT_BOOK` is not set.

    Returns
    -------
    History
        The losses and the validation values, in the units of `loss_fn` and `validate`.

    Raises
    ------
    ValueError
        If an argument breaks its rule, with the argument's name.
    FloatingPointError
        If a loss is not finite, with its step, or no validation gave a finite number.
    """
    trained, buffers = _tensors(parameters)
    steps, every = integer("steps", steps), integer("every", every)
    patience = None if patience is None else integer("patience", patience)
    lr = positive("lr", lr)
    if schedule not in ("constant", "cosine"):
        raise ValueError(f'schedule must be "constant" or "cosine", got {schedule!r}')
    if patience is not None and validate is None:
        raise ValueError("patience needs validate, got validate=None")
    _kinds(loss_fn, validate, generator, history)
    batches = _Batches(data, integer("batch_size", batch_size), drop_last, generator, trained[0].device)
    optimiser = torch.optim.Adam(trained, lr=lr)
    history = History() if history is None else history
    run = _Run(history, [*trained, *buffers], optimiser, batches, steps)

    def over() -> bool:
        """Validate where that is due, and say whether the run has ended."""
        taken = len(history.loss)
        due = taken > run.validated and (taken % every == 0 or taken == steps)
        if validate is not None and due:
            run.judge(_number(validate()))
        return taken == steps or (patience is not None and run.state.waited >= patience)

    show = _interactive() if progress is None else progress
    with run, tqdm(total=steps, initial=len(history.loss), leave=False, disable=not show) as bar:
        while not over():
            step = len(history.loss)
            if schedule == "cosine":
                optimiser.param_groups[0]["lr"] = lr * 0.5 * (1 + math.cos(math.pi * step / steps))
            optimiser.zero_grad()
            loss = _finite(loss_fn(*batches.draw()), step)
            loss.backward()
            with _uninterrupted():
                optimiser.step()
                history.loss.append(loss.item())
                run.mark()
            bar.update()
        if validate is not None and history.best_step is None:
            calls, last = len(history.validation), history.validation[-1][1]
            raise FloatingPointError(f"validate gave no number below infinity in {calls} calls: {last}")
    return history


class _Batches:
    """What is passed to loss_fn: each epoch visits every example once, in a new order."""

    def __init__(
        self, data: Any, size: int, drop_last: bool, generator: torch.Generator | None, device: torch.device
    ) -> None:
        self.tensors = data if isinstance(data, tuple) else () if data is None else (data,)
        if not all(isinstance(t, Tensor) for t in self.tensors):
            kinds = ", ".join(type(t).__name__ for t in self.tensors)
            raise ValueError(f"data must be a tensor or a tuple of tensors, got {kinds}")
        lengths = [len(t) if t.ndim else 0 for t in self.tensors]
        if data is not None and (len(set(lengths)) != 1 or lengths[0] == 0):
            raise ValueError(
                f"data must hold at least one example, equally many in each tensor, got lengths {lengths}"
            )
        self.examples = lengths[0] if lengths else 0
        if drop_last and 0 < self.examples < size:
            raise ValueError(f"batch_size must be at most {self.examples} with drop_last, got {size}")
        self.tuple, self.size, self.least = isinstance(data, tuple), size, size if drop_last else 1
        self.generator, self.device = generator, device
        self.rest = torch.empty(0, dtype=torch.int64)  # of the epoch's order

    def draw(self) -> tuple[Any, ...]:
        """The arguments of loss_fn for one step."""
        if not self.tensors:
            return ()
        if len(self.rest) < self.least:
            home = None if self.generator is None else self.generator.device
            self.rest = torch.randperm(self.examples, generator=self.generator, device=home)
        index, self.rest = self.rest[: self.size], self.rest[self.size :]
        batch = tuple(t[index.to(t.device)].to(self.device) for t in self.tensors)
        return (batch if self.tuple else batch[0],)


class _Run:
    """Takes a run up where its history left it; at the end keeps where it stands, and restores the best."""

    def __init__(
        self,
        history: History,
        tensors: list[Tensor],
        optimiser: torch.optim.Optimizer,
        batches: _Batches,
        steps: int,
    ) -> None:
        self.history, self.tensors, self.optimiser, self.batches = history, tensors, optimiser, batches
        self.buffers = tensors[len(optimiser.param_groups[0]["params"]) :]
        if history._state is None and not history.loss:
            self.state = history._state = _State(batches.examples)
            self.mark()
            return
        if history._state is None or len(history.loss) > steps:
            raise ValueError(
                f"history must be that of an earlier fit with at most steps={steps}, got {len(history.loss)}"
            )
        self.state = history._state
        here, there = ([tuple(t.shape) for t in kept] for kept in (tensors, self.state.last))
        if here != there:
            raise ValueError(f"history belongs to parameters of shapes {there}, got {here}")
        if self.state.examples != batches.examples:
            raise ValueError(f"history belongs to {self.state.examples} examples, got {batches.examples}")
        if self.state.generator is not None:
            if batches.generator is None:
                raise ValueError("history belongs to a run with a generator, got generator=None")
            batches.generator.set_state(self.state.generator)
        batches.rest = self.state.rest
        lr = optimiser.param_groups[0]["lr"]
        optimiser.load_state_dict(copy.deepcopy(self.state.optimiser))
        optimiser.param_groups[0]["lr"] = lr
        self._put(self.state.last)
        self.mark()

    @property
    def validated(self) -> int:
        """After how many steps the last validation was."""
        return self.history.validation[-1][0] if self.history.validation else 0

    def mark(self) -> None:
        """From here the run can go on: what a half made step may already have changed is kept."""
        generator = self.batches.generator
        self.kept = [t.clone() for t in self.buffers]
        self.state.rest = self.batches.rest
        self.state.generator = None if generator is None else generator.get_state()

    def judge(self, value: float) -> None:
        """Enter a validation value, and keep the parameters if it is the lowest."""
        history, state = self.history, self.state
        with _uninterrupted():
            lowest = min((v for _, v in history.validation if not math.isnan(v)), default=math.inf)
            history.validation.append((len(history.loss), value))
            state.waited += 1
            if value < lowest:
                state.best, state.waited, history.best_step = self._copies(), 0, len(history.loss)
            self.mark()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        with _uninterrupted():
            parameters = self._copies()[: len(self.tensors) - len(self.kept)]
            self.state.last, self.state.optimiser = [*parameters, *self.kept], self.optimiser.state_dict()
            if self.state.best is not None:
                self._put(self.state.best)
        if error is not None:
            error.history = self.history  # type: ignore[attr-defined]

    def _copies(self) -> list[Tensor]:
        return [t.detach().clone() for t in self.tensors]

    def _put(self, values: list[Tensor]) -> None:
        with torch.no_grad():
            for t, value in zip(self.tensors, values, strict=True):
                t.copy_(value)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block, so that no update is left half made."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    waiting: list[Any] = []
    signal.signal(signal.SIGINT, lambda *what: waiting.append(what))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if waiting:
        before(*waiting[0])


def _tensors(parameters: Any) -> tuple[list[Tensor], list[Tensor]]:
    """What is trained, and the buffers that go with it."""
    trained: list[Tensor] = []
    buffers: list[Tensor] = []
    try:
        if isinstance(parameters, torch.nn.Module):
            trained = [p for p in parameters.parameters() if p.requires_grad]
            buffers = list(parameters.buffers())
        elif not isinstance(parameters, Tensor):  # whose rows are no leaves
            trained = list(parameters)
    except TypeError:  # not iterable
        pass
    if not trained or not all(isinstance(p, Tensor) and p.requires_grad and p.is_leaf for p in trained):
        raise ValueError(
            "parameters must be a module or tensors with requires_grad=True, at least one of them, "
            f"got {type(parameters).__name__}"
        )
    return trained, buffers


def _kinds(loss_fn: Any, validate: Any, generator: Any, history: Any) -> None:
    for name, function in (("loss_fn", loss_fn), ("validate", validate)):
        if not callable(function) and not (name == "validate" and function is None):
            raise ValueError(f"{name} must be a function, got {type(function).__name__}")
    for name, value, kind in (("generator", generator, torch.Generator), ("history", history, History)):
        if value is not None and not isinstance(value, kind):
            raise ValueError(f"{name} must be a {kind.__name__}, got {type(value).__name__}")


def _finite(loss: Any, step: int) -> Tensor:
    if not isinstance(loss, Tensor) or loss.ndim != 0:
        what = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"loss_fn must return a scalar tensor, got {what}")
    if not torch.isfinite(loss):
        raise FloatingPointError(f"the loss is {loss.item()} at step {step}")
    if not loss.requires_grad:
        raise ValueError(
            "loss_fn must return a tensor that depends on the parameters, got one without gradient"
        )
    return loss


def _number(value: Any) -> float:
    try:
        return float(value.item() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, RuntimeError) as error:
        what = f"shape {tuple(value.shape)}" if hasattr(value, "shape") else type(value).__name__
        raise ValueError(f"validate must return a number, got {what}") from error
