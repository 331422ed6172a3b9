"""Seeds and the one training loop of the book."""

from __future__ import annotations

import math
import os
import random
import sys
from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from genkit.arguments import integer, positive
from genkit.runs import Batches, History, Run

__all__ = ["fit", "seed_everything"]


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
    batches = Batches(data, integer("batch_size", batch_size), drop_last, generator, trained[0].device)
    optimiser = torch.optim.Adam(trained, lr=lr)
    history = History() if history is None else history
    run = Run(history, [*trained, *buffers], optimiser, batches, steps)
    show = _interactive() if progress is None else progress
    with run, tqdm(total=steps, initial=len(history.loss), leave=False, disable=not show) as bar:
        while not _over(run, steps, validate, every, patience):
            step = len(history.loss)
            decay = 0.5 * (1 + math.cos(math.pi * step / steps)) if schedule == "cosine" else 1.0
            optimiser.param_groups[0]["lr"] = lr * decay
            optimiser.zero_grad()
            loss = _finite(loss_fn(*batches.draw()), step)
            loss.backward()
            run.update(loss)
            bar.update()
    return history


def _over(run: Run, steps: int, validate: Any, every: int, patience: int | None) -> bool:
    """Validate where that is due, and say whether the run has ended."""
    taken, history = len(run.history.loss), run.history
    if validate is not None and taken > run.validated and (taken % every == 0 or taken == steps):
        run.judge(_number(validate()))
    ended = taken == steps or (patience is not None and run.state.waited >= patience)
    if ended and validate is not None and history.best_step is None:
        calls, last = len(history.validation), history.validation[-1][1]
        raise FloatingPointError(f"validate gave no number below infinity in {calls} calls: {last}")
    return ended


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
