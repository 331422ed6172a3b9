"""Seeds and the one training loop of the book."""

from __future__ import annotations

import math
import os
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

__all__ = ["History", "fit", "seed_everything"]


def seed_everything(seed: int = 0) -> torch.Generator:
    """Seed Python, NumPy and torch, use one thread, and return a torch generator.

    One thread, because small networks are slower on two, and because sums, hence results, depend on how many
    there are.

    Parameters
    ----------
    seed : an integer in [0, 2**32).

    Returns
    -------
    A new CPU generator with that seed. Pass it on, so that a result does not depend on what ran before.

    Raises
    ------
    ValueError
        If `seed` is outside [0, 2**32).
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be in [0, 2**32), got {seed}")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    return torch.Generator().manual_seed(seed)


@dataclass
class History:
    """What happened during `fit`.

    Attributes
    ----------
    loss : the loss of every step taken, before its update.
    validation : pairs (number of steps taken, validation value).
    best_step : the number of steps after which the kept parameters stood; None without validation.
    """

    loss: list[float] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)
    best_step: int | None = None


def _batches(
    data: Tensor | tuple[Tensor, ...],
    batch_size: int,
    generator: torch.Generator | None,
    device: torch.device,
) -> Iterator[Any]:
    """Yield mini-batches for ever: each epoch visits every example once, in a new order."""
    tensors = data if isinstance(data, tuple) else (data,)
    while True:
        order = torch.randperm(
            len(tensors[0]), generator=generator, device=None if generator is None else generator.device
        )
        for index in order.split(batch_size):
            batch = tuple(t[index.to(t.device)].to(device) for t in tensors)
            yield batch if isinstance(data, tuple) else batch[0]


def _interactive() -> bool:
    """Is someone watching: a terminal or a notebook, and not a build of the book?"""
    ipython = sys.modules.get("IPython")
    notebook = ipython is not None and ipython.get_ipython() is not None
    return not os.environ.get("GENKIT_BOOK") and (sys.stderr.isatty() or notebook)


def _positive(**counts: int | None) -> None:
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")


def fit(
    loss_fn: Callable[..., Tensor],
    parameters: Iterable[Tensor],
    data: Tensor | tuple[Tensor, ...] | None = None,
    *,
    steps: int,
    batch_size: int = 128,
    lr: float = 1e-3,
    generator: torch.Generator | None = None,
    schedule: Literal["constant", "cosine"] = "constant",
    validate: Callable[[], float | Tensor] | None = None,
    every: int = 100,
    patience: int | None = None,
    progress: bool | None = None,
) -> History:
    r"""Minimise a loss with Adam (Kingma & Ba, 2015, arXiv:1412.6980).

    A step is: zero the gradients, compute the loss, backpropagate, update. With `schedule="cosine"` the
    learning rate of step t = 0, 1, ... is :math:`\tfrac12\,\mathrm{lr}\,(1 + \cos(\pi t/\mathrm{steps}))`.

    Parameters
    ----------
    loss_fn : `loss_fn(batch)`, or `loss_fn()` if `data` is None, returns a scalar tensor.
    parameters : the tensors to change, each with `requires_grad`; `model.parameters()` will do.
    data : examples along the first axis, or a tuple of such tensors (the batch is then a tuple). Batches are
        drawn without replacement, epoch after epoch, and moved to the device of the parameters.
    steps : the number of updates, at most.
    batch_size : examples per step; the last batch of an epoch may be smaller.
    lr : Adam's learning rate.
    generator : source of the order of the examples.
    schedule : "constant" or "cosine".
    validate : returns a number; lower is better. It is called every `every` steps and after the last one, and
        the parameters of the lowest value are restored at the end; buffers (averages of batch norm) are not.
    every : steps between two validations.
    patience : stop after this many validations in a row without improvement.
    progress : show a progress bar; None means only when someone watches and `GENKIT_BOOK` is not set.

    Returns
    -------
    The losses and the validation values, in the units of `loss_fn` and `validate`.

    Raises
    ------
    ValueError
        If an argument breaks its rule, with the argument's name.
    FloatingPointError
        If a loss is not finite, with its step.
    """
    parameters = list(parameters)
    if not parameters or not all(p.requires_grad for p in parameters):
        raise ValueError("parameters must be tensors with requires_grad=True, and at least one of them")
    _positive(steps=steps, batch_size=batch_size, every=every, patience=patience)
    if not lr > 0:
        raise ValueError(f"lr must be positive, got {lr}")
    if schedule not in ("constant", "cosine"):
        raise ValueError(f'schedule must be "constant" or "cosine", got {schedule!r}')
    if patience is not None and validate is None:
        raise ValueError("patience needs validate, got validate=None")
    lengths = [len(t) for t in (data if isinstance(data, tuple) else () if data is None else (data,))]
    if data is not None and (len(set(lengths)) != 1 or lengths[0] == 0):
        raise ValueError(
            f"data must hold at least one example, equally many in each tensor, got lengths {lengths}"
        )

    optimiser = torch.optim.Adam(parameters, lr=lr)
    batches = None if data is None else _batches(data, batch_size, generator, parameters[0].device)
    history, best, best_value, waited = History(), None, math.inf, 0
    for step in _bar(steps, _interactive() if progress is None else progress):
        if schedule == "cosine":
            optimiser.param_groups[0]["lr"] = lr * 0.5 * (1 + math.cos(math.pi * step / steps))
        optimiser.zero_grad()
        loss = loss_fn() if batches is None else loss_fn(next(batches))
        if loss.ndim != 0:
            raise ValueError(f"loss_fn must return a scalar tensor, got shape {tuple(loss.shape)}")
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at step {step}")
        loss.backward()
        optimiser.step()
        history.loss.append(loss.item())

        if validate is not None and ((step + 1) % every == 0 or step + 1 == steps):
            value = _number(validate())
            history.validation.append((step + 1, value))
            if value < best_value:
                best, best_value, history.best_step, waited = (
                    [p.detach().clone() for p in parameters],
                    value,
                    step + 1,
                    0,
                )
            else:
                waited += 1
                if patience is not None and waited >= patience:
                    break
    if best is not None:
        with torch.no_grad():
            for p, b in zip(parameters, best, strict=True):
                p.copy_(b)
    return history


def _bar(steps: int, show: bool) -> Iterable[int]:
    if not show:
        return range(steps)
    from tqdm import tqdm

    return tqdm(range(steps), leave=False)


def _number(value: float | Tensor) -> float:
    return value.item() if isinstance(value, Tensor) else float(value)
