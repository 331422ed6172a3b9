"""Metrics of generative models, on feature arrays, class probabilities or negative log-likelihoods.

Arguments are tensors, arrays or lists of any real precision, also mixed. All is computed in float64: a metric
is either a float64 tensor on the device of the inputs (one without float64, like Apple's, needs `x.cpu()`),
differentiable in them, or, where a count or a classifier makes it piecewise constant, a Python float.
"""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from genkit.arguments import integer, positive
from genkit.arrays import Array, distributions, doubles, gaussians, permutation, rounding, same_shape, samples
from genkit.divergences import kernel_mmd2

__all__ = [
    "Spread",
    "bits_per_dim",
    "c2st",
    "frechet_distance",
    "frechet_gaussian",
    "inception_score",
    "inception_score_splits",
    "kernel_distance",
    "kernel_distance_subsets",
    "linear_probe",
    "perplexity",
]

Number = TypeVar("Number", float, Tensor)


class Spread(NamedTuple):
    """What a metric gives on parts of its sample: two float64 tensors."""

    mean: Tensor
    std: Tensor  #: deviation between the parts (of that many numbers, not a standard error of the mean)


def frechet_gaussian(
    mean_r: Array | float, cov_r: Array | float, mean_g: Array | float, cov_g: Array | float
) -> Tensor:
    r"""Squared Fréchet (Wasserstein-2) distance between two Gaussians (Dowson & Landau, 1982).

    :math:`\|\mu_r-\mu_g\|^2 + \operatorname{tr}(\Sigma_r + \Sigma_g -
    2(\Sigma_r^{1/2}\Sigma_g\Sigma_r^{1/2})^{1/2})`. A covariance may be singular, but it is known only to the
    rounding of its largest entries: of features, `frechet_distance` keeps more digits.

    Parameters
    ----------
    mean_r
        Mean of the real features, shape (d,), or a number.
    cov_r
        Their covariance (in one dimension: the variance), shape (d, d), or a number.
    mean_g
        Mean of the generated features, as `mean_r`.
    cov_g
        Their covariance, as `cov_r`.

    Returns
    -------
    Tensor
        A scalar float64 tensor, in squared units of the features.

    Raises
    ------
    ValueError
        If shapes do not match, a value is not finite, or a covariance is not symmetric and positive
        semi-definite.
    """
    tolerance = rounding(cov_r=cov_r, cov_g=cov_g)
    mean_r, cov_r, mean_g, cov_g = gaussians(mean_r=mean_r, cov_r=cov_r, mean_g=mean_g, cov_g=cov_g)
    root_r, root_g = _root("cov_r", cov_r, tolerance), _root("cov_g", cov_g, tolerance)
    return _frechet(mean_r - mean_g, cov_r.trace() + cov_g.trace(), root_r.T @ root_g)


def _frechet(gap: Tensor, traces: Tensor, cross: Tensor) -> Tensor:
    """The distance from any roots: tr (S_r^½ S_g S_r^½)^½ is the sum of the singular values of R_r^T R_g,
    where S = R R^T. The eigenvalues of a product would have to pass through a root, which makes 1e-8 of a
    rounding error of 1e-16."""
    squares = gap.square().sum() + traces
    if not bool(squares.isfinite()):
        raise ValueError(f"features must have squares that fit double precision, got a sum of {squares:g}")
    distance = squares - 2 * torch.linalg.svdvals(cross).sum()
    return distance.clamp(min=0)  # rounding may leave -1e-13


def _root(name: str, cov: Tensor, tolerance: float) -> Tensor:
    """R of shape (d, rank) with R R^T = cov, checked to be positive semi-definite."""
    values, vectors = torch.linalg.eigh(cov.detach())
    if values[0] < -tolerance * values[-1].abs():
        raise ValueError(f"{name} must be positive semi-definite, got smallest eigenvalue {values[0]:g}")
    kept = values > len(cov) * torch.finfo(cov.dtype).eps * values[-1]  # the others are rounding, or 0
    scale, vectors = values[kept].sqrt(), vectors[:, kept]
    # the difference is 0, and its derivative that of a root: finite for equal eigenvalues, unlike eigh's
    return vectors * scale + (cov - cov.detach()) @ (vectors / scale) / 2


def frechet_distance(real: Array, generated: Array) -> Tensor:
    r"""Fréchet distance between Gaussians fitted to two sets of features.

    With the features of an Inception network this is the FID (Heusel et al., 2017, arXiv:1706.08500). The
    estimate is biased upwards by an amount of order 1/n that depends on the model: compare equal sample
    sizes only. With :math:`A` and :math:`B` the centred sets over :math:`\sqrt{n-1}` and :math:`\sqrt{m-1}`
    it is :math:`\|\mu_r-\mu_g\|^2 + \|A\|_F^2 + \|B\|_F^2 - 2\|AB^\top\|_*`, where the last norm sums
    singular values. No covariance is formed, so that fewer examples than features, constant features and
    copies cost no digits.

    Parameters
    ----------
    real
        Features of shape (n, d), n >= 2.
    generated
        Features of shape (m, d), m >= 2.

    Returns
    -------
    Tensor
        A scalar float64 tensor, in squared units of the features. Its gradient is that of the distance where
        that has one, for instance not where a feature is constant in one set only.

    Raises
    ------
    ValueError
        If shapes do not match, there are too few rows, or a value is not finite.
    """
    real, generated = samples(least=2, real=real, generated=generated)
    means = [x.mean(0, dtype=torch.float64) for x in (real, generated)]
    a, b = (
        _factor(x, mean) / math.sqrt(len(x) - 1) for x, mean in zip((real, generated), means, strict=True)
    )
    return _frechet(means[0] - means[1], a.square().sum() + b.square().sum(), a @ b.T)


def _factor(x: Tensor, mean: Tensor) -> Tensor:
    """R of shape (min(n, d), d) with R^T R = X^T X for the centred x: from QR, chunk by chunk."""
    n, d = x.shape
    if n <= d:
        return x.double() - mean
    if x.requires_grad:  # X = QR: Q may be held constant, while the derivative of QR would need full rank
        centred = x.double() - mean
        return torch.linalg.qr(centred.detach()).Q.T @ centred
    r = mean.new_zeros(0, d)
    for chunk in x.split(max(2 * d, 4096)):
        r = torch.linalg.qr(torch.cat([r, chunk.double() - mean]), mode="r").R
    return r


def kernel_distance(real: Array, generated: Array) -> Tensor:
    r"""Unbiased squared MMD with the kernel :math:`(a^\top b/d + 1)^3`.

    With the features of an Inception network this is the KID (Bińkowski et al., 2018, arXiv:1801.01401).
    Its mean is 0 for equal distributions at every sample size, so that it may be negative. The kernel has an
    origin and a unit: features that are shifted or scaled have another distance. See `kernel_mmd2` for the
    memory that it takes.

    Parameters
    ----------
    real
        Features of shape (n, d), n >= 2.
    generated
        Features of shape (m, d), m >= 2.

    Returns
    -------
    Tensor
        A scalar float64 tensor, without unit.

    Raises
    ------
    ValueError
        If shapes do not match, there are too few rows, or a value is not finite.
    """
    real, generated = samples(least=2, real=real, generated=generated)
    d = real.shape[1]
    mean_r, mean_g = (x.detach().mean(0, dtype=torch.float64) for x in (real, generated))
    origin = (mean_r + mean_g) / 2
    constant = origin.square().sum() / d + 1

    # With a = origin + a' the kernel is (c + s)^3, s = (origin.a' + origin.b' + a'.b')/d. What depends on one
    # argument only, c^3 and 3c^2 (origin.a' + origin.b')/d, drops out of every MMD. With features far from 0
    # it is nearly all of the kernel, and would leave only its rounding errors.
    def cubic(a: Tensor, b: Tensor) -> Tensor:
        inner = a @ b.T / d
        s = (a @ origin / d)[:, None] + b @ origin / d + inner
        return s.square() * (3 * constant + s) + 3 * constant.square() * inner

    return kernel_mmd2(cubic, real.double() - origin, generated.double() - origin)


def kernel_distance_subsets(
    real: Array,
    generated: Array,
    *,
    subsets: int = 100,
    size: int = 1000,
    generator: torch.Generator | None = None,
) -> Spread:
    """Mean and deviation of `kernel_distance` over random subsets, as the KID is commonly reported.

    The deviation is that of one subset of this size. It does not shrink with the sample, and is no standard
    error of the mean, since subsets overlap.

    Parameters
    ----------
    real
        Features of shape (n, d), n >= size.
    generated
        Features of shape (m, d), m >= size.
    subsets
        How many pairs of subsets are drawn.
    size
        Rows in a subset, drawn without replacement, at least 2.
    generator
        Source of the subsets.

    Returns
    -------
    Spread
        The mean and the deviation (of variance over `subsets`, not one less), two scalar float64 tensors.

    Raises
    ------
    ValueError
        If shapes do not match, there are too few rows, a value is not finite, `subsets` < 1 or `size` < 2.
    """
    subsets, size = integer("subsets", subsets), integer("size", size, 2)
    real, generated = samples(least=size, real=real, generated=generated)
    values = []
    for _ in range(subsets):
        a, b = (x[permutation(len(x), generator)[:size].to(x.device)] for x in (real, generated))
        values.append(kernel_distance(a, b))
    return _spread(values)


def _spread(values: list[Tensor]) -> Spread:
    stacked = torch.stack(values)
    return Spread(stacked.mean(), stacked.std(correction=0))


def inception_score(probs: Array) -> Tensor:
    r"""Inception score: how sure a classifier is of each sample, and how evenly it uses its classes.

    :math:`\exp \tfrac1n\sum_i KL(p(y|x_i)\,\|\,\bar p(y))`, where :math:`\bar p` is the mean over the
    generated samples (Salimans et al., 2016, arXiv:1606.03498). Real data does not enter (Barratt & Sharma,
    2018, arXiv:1801.01973).

    Parameters
    ----------
    probs
        Class probabilities of the generated samples, shape (n, K).

    Returns
    -------
    Tensor
        A scalar float64 tensor between 1 and K.

    Raises
    ------
    ValueError
        If `probs` is not of shape (n, K), n >= 1, or its rows are not distributions to their precision.
    """
    (probs,) = distributions(probs=probs)
    if probs.ndim != 2 or len(probs) == 0:
        raise ValueError(f"probs must have shape (n, K), n >= 1, got {tuple(probs.shape)}")
    # p/mean as n p/sum, since the mean of tiny numbers may underflow; where p = 0 the term is 0
    ratio = len(probs) * probs / probs.sum(0).clamp(min=1e-300)
    return (probs * ratio.masked_fill(probs == 0, 1).log()).sum(1).mean().exp()


def inception_score_splits(
    probs: Array, *, splits: int = 10, generator: torch.Generator | None = None
) -> Spread:
    """Mean and deviation of `inception_score` over random splits, as it is commonly reported.

    Rows are shuffled, since samples are often sorted by class, and a split of one class scores 1. Smaller
    splits score lower: compare equal numbers of splits and samples only.

    Parameters
    ----------
    probs
        Class probabilities of the generated samples, shape (n, K), n >= splits.
    splits
        Into how many parts, equal up to one row, the sample is cut.
    generator
        Source of the order.

    Returns
    -------
    Spread
        The mean and the deviation (of variance over `splits`, not one less), two scalar float64 tensors.

    Raises
    ------
    ValueError
        If `probs` is not of shape (n, K), n >= splits, its rows are not distributions, or `splits` < 1.
    """
    splits = integer("splits", splits)
    (probs,) = samples(least=splits, probs=probs)
    order = permutation(len(probs), generator).to(probs.device)
    return _spread([inception_score(part) for part in probs[order].tensor_split(splits)])


def _like(value: Number, result: Tensor) -> Number:
    """Numbers give floats, arrays float64 tensors."""
    return float(result) if isinstance(value, int | float | np.number) else result  # type: ignore[return-value]


def bits_per_dim(nll_nats: Number, dims: int, *, levels: int | None = None) -> Number:
    r"""Negative log-likelihood in bits per dimension.

    :math:`\text{nll}/(d \log 2)`, and :math:`\log_2 \text{levels}` more if the density is one of grey levels
    that were scaled to [0, 1).

    Parameters
    ----------
    nll_nats
        Negative log-likelihood of an example in nats: a number, or a tensor or array of any shape.
    dims
        The number of dimensions d.
    levels
        If the density is one of grey levels scaled to [0, 1) (`data.dequantise`), how many there are;
        the result then bounds the bits of the levels themselves.

    Returns
    -------
    Number
        Bits per dimension: a float of a number, otherwise a float64 tensor of the same shape.

    Raises
    ------
    ValueError
        If `dims` or `levels` is no integer or below 1, or `nll_nats` is no real number or nan.
    """
    extra = 0.0 if levels is None else math.log2(integer("levels", levels))
    (nats,) = doubles(finite=False, nll_nats=nll_nats)
    return _like(nll_nats, nats / (integer("dims", dims) * math.log(2)) + extra)


def perplexity(nll_nats: Number, length: int) -> Number:
    r"""Perplexity :math:`\exp(\text{nll}/\text{length})`: so many equally likely symbols have the same loss.

    Parameters
    ----------
    nll_nats
        Negative log-likelihood of a sequence in nats: a number, or a tensor or array of any shape.
    length
        Its number of symbols.

    Returns
    -------
    Number
        At least 1 for a discrete distribution: a float of a number, else a float64 tensor of the same shape.

    Raises
    ------
    ValueError
        If `length` is no integer or below 1, or `nll_nats` is no real number or nan.
    """
    (nats,) = doubles(finite=False, nll_nats=nll_nats)
    return _like(nll_nats, (nats / integer("length", length)).exp())


def c2st(real: Array, generated: Array, *, generator: torch.Generator | None = None) -> float:
    """Classifier two-sample test (Lopez-Paz & Oquab, 2017, arXiv:1610.06545).

    A network with one hidden layer of 64 units learns, on a random half of each set, to tell real from
    generated; the accuracy is that on the other half. For equal distributions it is 1/2 with standard error
    1/(2 sqrt(n)).

    Parameters
    ----------
    real
        Features of shape (n, d), n >= 4.
    generated
        Features of shape (n, d).
    generator
        Source of the halves and of the network's first weights.

    Returns
    -------
    float
        Held-out accuracy as a float, in [0, 1].

    Raises
    ------
    ValueError
        If the shapes differ, there are too few rows, or a value is not finite.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    real, generated = samples(least=4, real=real, generated=generated)
    same_shape(real=real, generated=generated)
    shuffled = [
        x.detach().cpu().double()[order]
        for x, order in [(x, permutation(len(x), generator)) for x in (real, generated)]
    ]
    device = generator.device if generator is not None else None
    seed = int(torch.randint(2**31, (), generator=generator, device=device))
    half = len(real) // 2
    train, test = (
        torch.cat([x[part] for x in shuffled]).numpy() for part in (slice(half), slice(half, None))
    )
    label_train, label_test = (np.repeat([0, 1], n) for n in (half, len(real) - half))
    mean, std = train.mean(0), train.std(0)
    std[std <= len(train) * np.finfo(float).eps * np.abs(mean)] = 1  # constant, up to rounding
    net = MLPClassifier((64,), alpha=0.1, batch_size=min(128, len(train)), max_iter=100, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 100 epochs are the rule here, not a failure
        net.fit((train - mean) / std, label_train)
    return float(net.score((test - mean) / std, label_test))


def linear_probe(z_train: Array, y_train: Array, z_test: Array, y_test: Array, *, C: float = 1.0) -> float:
    """Accuracy of logistic regression on standardised features: how much a linear reader finds in them.

    Parameters
    ----------
    z_train
        Features of shape (n, d).
    y_train
        Whole numbers as labels, shape (n,), at least two classes.
    z_test
        Features of shape (m, d).
    y_test
        Whole numbers as labels, shape (m,).
    C
        Inverse strength of the L2 penalty, as in scikit-learn.

    Returns
    -------
    float
        Accuracy on the test examples as a float, in [0, 1].

    Raises
    ------
    ValueError
        If shapes do not match, a value is not finite, C is not positive, labels are not whole numbers, or
        there is only one class.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    C = positive("C", C)
    z_train, z_test = samples(z_train=z_train, z_test=z_test)
    y_train, y_test = doubles(y_train=y_train, y_test=y_test)
    for name, z, y in (("train", z_train, y_train), ("test", z_test, y_test)):
        if y.shape != z.shape[:1]:
            raise ValueError(f"y_{name} must have shape ({len(z)},) like z_{name}, got {tuple(y.shape)}")
        if bool((y != y.round()).any()):
            raise ValueError(f"y_{name} must hold whole numbers, got {y[y != y.round()][0]:g}")
    if len(y_train.unique()) < 2:
        raise ValueError(f"y_train must hold at least two classes, got {len(y_train.unique())}")
    arrays = [t.detach().cpu().double().numpy() for t in (z_train, y_train, z_test, y_test)]
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=5000))
    return float(probe.fit(*arrays[:2]).score(*arrays[2:]))
