"""What a run of `train.fit` consists of: its batches, its history, and what it takes to go on with it."""

from __future__ import annotations

import contextlib
import copy
import math
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

__all__ = ["Batches", "History", "Run"]


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


class Batches:
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


class Run:
    """Takes a run up where its history left it; at the end keeps where it stands, and restores the best."""

    def __init__(
        self,
        history: History,
        tensors: list[Tensor],
        optimiser: torch.optim.Optimizer,
        batches: Batches,
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
        optimiser.load_state_dict(copy.deepcopy(self.state.optimiser))
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

    def update(self, loss: Tensor) -> None:
        """Take the step of this loss, whole or not at all, and enter it."""
        with _uninterrupted():
            self.optimiser.step()
            self.history.loss.append(loss.item())
            self.mark()

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
