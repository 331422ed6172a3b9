"""Metrics of generative models, on feature arrays, class probabilities or negative log-likelihoods."""

from __future__ import annotations

import math
import warnings
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from genkit.divergences import Array, _moments, _same_shape, _tensors, kl_discrete

__all__ = [
    "bits_per_dim",
    "c2st",
    "frechet_distance",
    "frechet_gaussian",
    "inception_score",
    "kernel_distance",
    "linear_probe",
    "perplexity",
    "precision_recall",
]

Number = TypeVar("Number", float, Tensor)


def _features(real: Array, generated: Array, least: int) -> tuple[Tensor, Tensor]:
    real, generated = _tensors(real=real, generated=generated)
    if real.ndim != 2 or generated.ndim != 2 or real.shape[1] != generated.shape[1]:
        raise ValueError(
            "real and generated must have shapes (n, d) and (m, d), "
            f"got {tuple(real.shape)} and {tuple(generated.shape)}"
        )
    for name, x in (("real", real), ("generated", generated)):
        if len(x) < least:
            raise ValueError(f"{name} must have at least {least} rows, got {len(x)}")
        if not bool(x.isfinite().all()):
            raise ValueError(f"{name} must be finite, got {int((~x.isfinite()).sum())} values that are not")
    return real, generated


def frechet_gaussian(
    mean_r: Array | float, cov_r: Array | float, mean_g: Array | float, cov_g: Array | float
) -> Tensor:
    r"""Squared Fréchet (Wasserstein-2) distance between two Gaussians (Dowson & Landau, 1982).

    :math:`\|\mu_r-\mu_g\|^2 + \operatorname{tr}(\Sigma_r + \Sigma_g -
    2(\Sigma_r^{1/2}\Sigma_g\Sigma_r^{1/2})^{1/2})`. The roots are taken through eigenvalues of symmetric
    matrices, so that they stay real.

    Parameters
    ----------
    mean_r : mean of the real features, shape (d,), or a number.
    cov_r : their covariance (in one dimension: the variance), shape (d, d), or a number.
    mean_g : mean of the generated features, as `mean_r`.
    cov_g : their covariance, as `cov_r`.

    Returns
    -------
    A scalar tensor, in squared units of the features.

    Raises
    ------
    ValueError
        If shapes do not match or a covariance is not symmetric and positive semi-definite.
    """
    mean_r, cov_r, mean_g, cov_g = _tensors(mean_r=mean_r, cov_r=cov_r, mean_g=mean_g, cov_g=cov_g)
    mean_r, cov_r = _moments("r", mean_r, cov_r)
    mean_g, cov_g = _moments("g", mean_g, cov_g)
    _same_shape(mean_r=mean_r, mean_g=mean_g)
    root = _root("cov_r", cov_r)
    _root("cov_g", cov_g)
    cross = torch.linalg.eigvalsh(root @ cov_g @ root).clamp(min=0).sqrt().sum()
    distance = (mean_r - mean_g).square().sum() + cov_r.trace() + cov_g.trace() - 2 * cross
    return distance.clamp(min=0)  # rounding may leave -1e-13


def _root(name: str, cov: Tensor) -> Tensor:
    """Symmetric square root of a covariance, checked to be positive semi-definite."""
    values, vectors = torch.linalg.eigh(cov)
    if values[0] < -1e-5 * values[-1].abs() - 1e-12:
        raise ValueError(f"{name} must be positive semi-definite, got smallest eigenvalue {values[0]:g}")
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def frechet_distance(real: Array, generated: Array) -> Tensor:
    """Fréchet distance between Gaussians fitted to two sets of features.

    With the features of an Inception network this is the FID (Heusel et al., 2017, arXiv:1706.08500). The
    estimate is biased upwards by an amount of order 1/n that depends on the model: compare equal sample
    sizes only.

    Parameters
    ----------
    real : features of shape (n, d), n >= 2.
    generated : features of shape (m, d), m >= 2.

    Returns
    -------
    A scalar tensor, in squared units of the features.

    Raises
    ------
    ValueError
        If shapes do not match, there are too few rows, or a value is not finite.
    """
    real, generated = _features(real, generated, 2)
    d = real.shape[1]
    cov_r, cov_g = (x.T.cov().reshape(d, d) for x in (real, generated))
    return frechet_gaussian(real.mean(0), cov_r, generated.mean(0), cov_g)


def kernel_distance(real: Array, generated: Array) -> Tensor:
    r"""Unbiased squared MMD with the kernel :math:`(a^\top b/d + 1)^3`.

    With the features of an Inception network this is the KID (Bińkowski et al., 2018, arXiv:1801.01401).
    Its mean is 0 for equal distributions at every sample size, so that it may be negative.

    Parameters
    ----------
    real : features of shape (n, d), n >= 2.
    generated : features of shape (m, d), m >= 2.

    Returns
    -------
    A scalar tensor.

    Raises
    ------
    ValueError
        If shapes do not match, there are too few rows, or a value is not finite.
    """
    real, generated = _features(real, generated, 2)
    (n, d), m = real.shape, len(generated)
    rr, gg, rg = (
        (a @ b.T / d + 1) ** 3 for a, b in ((real, real), (generated, generated), (real, generated))
    )
    return (rr.sum() - rr.trace()) / (n * (n - 1)) + (gg.sum() - gg.trace()) / (m * (m - 1)) - 2 * rg.mean()


def inception_score(probs: Array) -> Tensor:
    r"""Inception score: how sure a classifier is of each sample, and how evenly it uses its classes.

    :math:`\exp \tfrac1n\sum_i KL(p(y|x_i)\,\|\,\bar p(y))`, where :math:`\bar p` is the mean over the
    generated samples (Salimans et al., 2016, arXiv:1606.03498). Real data does not enter (Barratt & Sharma,
    2018, arXiv:1801.01973).

    Parameters
    ----------
    probs : class probabilities of the generated samples, shape (n, K).

    Returns
    -------
    A scalar tensor between 1 and K.

    Raises
    ------
    ValueError
        If `probs` is not of shape (n, K), n >= 1, or its rows are not distributions.
    """
    (probs,) = _tensors(probs=probs)
    if probs.ndim != 2 or len(probs) == 0:
        raise ValueError(f"probs must have shape (n, K), n >= 1, got {tuple(probs.shape)}")
    return kl_discrete(probs, probs.mean(0).expand_as(probs)).mean().exp()


def precision_recall(real: Array, generated: Array, *, k: int = 3) -> tuple[float, float]:
    """Precision and recall by k nearest neighbours (Kynkäänniemi et al., 2019, arXiv:1904.06991).

    The support of a set is the union of the balls around its points that reach to the k-th nearest other
    point. Precision is the share of generated points in the support of the real ones; recall, the other way
    round. Equal distributions do not score 1: print the value of a second real sample beside it.

    Parameters
    ----------
    real : features of shape (n, d), n > k.
    generated : features of shape (m, d), m > k.
    k : the neighbour that sets a ball's radius.

    Returns
    -------
    Precision and recall, each in [0, 1].

    Raises
    ------
    ValueError
        If shapes do not match, k < 1, there are too few rows, or a value is not finite.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    real, generated = _features(real, generated, k + 1)
    mode = "donot_use_mm_for_euclid_dist"
    # the 1st smallest distance is that of a point to itself
    radius_real, radius_generated = (
        torch.cdist(x, x, compute_mode=mode).kthvalue(k + 1, dim=1).values for x in (real, generated)
    )
    cross = torch.cdist(real, generated, compute_mode=mode)  # (n, m)
    precision = (cross <= radius_real[:, None]).any(0).double().mean()
    recall = (cross <= radius_generated[None, :]).any(1).double().mean()
    return float(precision), float(recall)


def bits_per_dim(nll_nats: Number, dims: int, *, levels: int | None = None) -> Number:
    r"""Negative log-likelihood in bits per dimension.

    :math:`\text{nll}/(d \log 2)`, and :math:`\log_2 \text{levels}` more if the density is one of grey levels
    that were scaled to [0, 1).

    Parameters
    ----------
    nll_nats : negative log-likelihood of an example in nats, any shape.
    dims : the number of dimensions d.
    levels : if the density is one of grey levels scaled to [0, 1) (`data.dequantise`), how many there are;
        the result then bounds the bits of the levels themselves.

    Returns
    -------
    Bits per dimension, in the form of `nll_nats`.

    Raises
    ------
    ValueError
        If `dims` or `levels` is below 1.
    """
    if dims < 1:
        raise ValueError(f"dims must be at least 1, got {dims}")
    if levels is not None and levels < 1:
        raise ValueError(f"levels must be at least 1, got {levels}")
    return nll_nats / (dims * math.log(2)) + (math.log2(levels) if levels else 0.0)


def perplexity(nll_nats: Number, length: int) -> Number:
    r"""Perplexity :math:`\exp(\text{nll}/\text{length})`: so many equally likely symbols have the same loss.

    Parameters
    ----------
    nll_nats : negative log-likelihood of a sequence in nats, any shape.
    length : its number of symbols.

    Returns
    -------
    At least 1 for a discrete distribution, in the form of `nll_nats`.

    Raises
    ------
    ValueError
        If `length` is below 1.
    """
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")
    mean = nll_nats / length
    return mean.exp() if isinstance(mean, Tensor) else math.exp(mean)


def c2st(real: Array, generated: Array, *, generator: torch.Generator | None = None) -> float:
    """Classifier two-sample test (Lopez-Paz & Oquab, 2017, arXiv:1610.06545).

    A network with one hidden layer of 64 units learns, on a random half of each set, to tell real from
    generated; the accuracy is that on the other half. For equal distributions it is 1/2 with standard error
    1/(2 sqrt(n)).

    Parameters
    ----------
    real : features of shape (n, d), n >= 4.
    generated : features of shape (n, d).
    generator : source of the halves and of the network's first weights.

    Returns
    -------
    Held-out accuracy, in [0, 1].

    Raises
    ------
    ValueError
        If the shapes differ, there are too few rows, or a value is not finite.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    real, generated = _features(real, generated, 4)
    _same_shape(real=real, generated=generated)
    device = generator.device if generator is not None else None
    orders = [torch.randperm(len(x), generator=generator, device=device).cpu() for x in (real, generated)]
    seed = int(torch.randint(2**31, (), generator=generator, device=device))
    shuffled = [x.detach().cpu()[order] for x, order in zip((real, generated), orders, strict=True)]
    half = len(real) // 2
    train, test = (
        torch.cat([x[part] for x in shuffled]).numpy() for part in (slice(half), slice(half, None))
    )
    label_train, label_test = (np.repeat([0, 1], n) for n in (half, len(real) - half))
    mean, std = train.mean(0), train.std(0)
    std[std == 0] = 1
    net = MLPClassifier((64,), alpha=0.1, batch_size=min(128, len(train)), max_iter=100, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 100 epochs are the rule here, not a failure
        net.fit((train - mean) / std, label_train)
    return float(net.score((test - mean) / std, label_test))


def linear_probe(z_train: Array, y_train: Array, z_test: Array, y_test: Array, *, C: float = 1.0) -> float:
    """Accuracy of logistic regression on standardised features: how much a linear reader finds in them.

    Parameters
    ----------
    z_train : features of shape (n, d).
    y_train : integer labels of shape (n,), at least two classes.
    z_test : features of shape (m, d).
    y_test : integer labels of shape (m,).
    C : inverse strength of the L2 penalty, as in scikit-learn.

    Returns
    -------
    Accuracy on the test examples, in [0, 1].

    Raises
    ------
    ValueError
        If shapes do not match, C is not positive, or there is only one class.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if not C > 0:
        raise ValueError(f"C must be positive, got {C}")
    z_train, z_test = _tensors(z_train=z_train, z_test=z_test)
    y_train, y_test = torch.as_tensor(y_train), torch.as_tensor(y_test)
    if z_train.ndim != 2 or z_test.ndim != 2 or z_train.shape[1] != z_test.shape[1]:
        raise ValueError(
            "z_train and z_test must have shapes (n, d) and (m, d), "
            f"got {tuple(z_train.shape)} and {tuple(z_test.shape)}"
        )
    for name, z, y in (("train", z_train, y_train), ("test", z_test, y_test)):
        if y.shape != z.shape[:1]:
            raise ValueError(f"y_{name} must have shape ({len(z)},) like z_{name}, got {tuple(y.shape)}")
    if len(y_train.unique()) < 2:
        raise ValueError(f"y_train must hold at least two classes, got {len(y_train.unique())}")
    arrays = [t.detach().cpu().numpy() for t in (z_train, y_train, z_test, y_test)]
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=5000))
    return float(probe.fit(*arrays[:2]).score(*arrays[2:]))
