# ---
# jupyter:
#   jupytext:
#     formats: md:myst,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Representation learning: exercises

# %% ex={"role": "setup"}
import math

import torch
import torch.nn.functional as F

from genkit.checks import self_check

torch.set_default_dtype(torch.float64)


# %% [markdown] ex={"id": "representation-best-linear", "role": "statement", "kind": "implement", "points": 3, "minutes": 20, "difficulty": 2, "topic": "representation"}
# #### The best linear code, without training
#
# Write `best_linear_code(x, k)` for data `x` of shape `(n, d)` that is *not* centred. Return `(mean, basis)` with `mean`
# of shape `(d,)` and `basis` of shape `(d, k)` with orthonormal columns, such that
# $\hat x=\text{mean}+\text{basis}\,\text{basis}^\top(x-\text{mean})$ has the least mean squared error of all affine codes
# of size $k$. No training, no library PCA: one eigendecomposition.

# %% ex={"id": "representation-best-linear", "role": "solution"}
def best_linear_code(x, k):
    """Mean (d,) and orthonormal basis (d, k) of the best code of x (n, d)."""
    ### BEGIN SOLUTION
    mean = x.mean(0)
    centred = x - mean
    # of eigenvalues from small to large
    vectors = torch.linalg.eigh(centred.T @ centred / len(x)).eigenvectors
    return mean, vectors[:, -k:].flip(1)
    ### END SOLUTION


# %% ex={"id": "representation-best-linear", "role": "check"}
def check_best_linear_code():
    g = torch.Generator().manual_seed(0)
    x = 3 + torch.randn(
        200, 6, generator=g, dtype=torch.float64
    ) * torch.tensor([4.0, 2.0, 1.5, 0.5, 0.3, 0.1], dtype=torch.float64)
    for k in (1, 2, 4):
        mean, basis = best_linear_code(x, k)
        assert basis.shape == (6, k), (
            f"the basis should have shape (6, {k}), not {tuple(basis.shape)}"
        )
        eye = torch.eye(k, dtype=x.dtype)
        assert torch.allclose(basis.T @ basis, eye, atol=1e-8), (
            "the basis should have orthonormal columns"
        )
        rest = x - mean - (x - mean) @ basis @ basis.T
        error = (rest**2).sum(1).mean()
        # Independent road: singular values of the centred data beyond the k-th.
        least = (torch.linalg.svdvals(x - x.mean(0))[k:] ** 2).sum() / len(x)
        assert error >= least - 1e-8, (
            "no code is better than the best: are the columns orthonormal?"
        )
        assert error <= least * (1 + 1e-8), (
            f"for k = {k} some other code has a smaller error"
        )
    shifted = best_linear_code(x + 100, 2)[1]
    same = best_linear_code(x, 2)[1]
    assert torch.allclose(shifted @ shifted.T, same @ same.T, atol=1e-6), (
        "a shift of the data must not turn the code"
    )


self_check("representation-best-linear", check_best_linear_code)


# %% ex={"id": "representation-best-linear", "role": "probe", "points": 1}
def probe(seed):  # centred already; widths far apart along random axes, so that the best space is unique
    g = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(6, 6, generator=g)).Q
    x = torch.randn(300, 6, generator=g) * torch.tensor([9.0, 5.0, 3.0, 1.5, 0.7, 0.3]) @ turn
    x = x - x.mean(0)
    out = []
    for k in (1, 2, 4):
        basis = best_linear_code(x, k)[1]
        out += [basis @ basis.T, basis.T @ basis]
    return out


# %% ex={"id": "representation-best-linear", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(6, 6, generator=g)).Q
    x = torch.randn(300, 6, generator=g) * torch.tensor([9.0, 5.0, 3.0, 1.5, 0.7, 0.3]) @ turn
    mean, basis = best_linear_code(x + 20 * torch.randn(6, generator=g), 3)
    return mean, basis @ basis.T, basis.T @ basis


# %% ex={"id": "representation-best-linear", "role": "wrong", "why": "takes the first columns of eigh, which belong to the smallest eigenvalues"}
def best_linear_code(x, k):
    mean = x.mean(0)
    centred = x - mean
    vectors = torch.linalg.eigh(centred.T @ centred / len(x)).eigenvectors
    return mean, vectors[:, :k]


# %% ex={"id": "representation-best-linear", "role": "wrong", "why": "does not centre the data before the eigendecomposition"}
def best_linear_code(x, k):
    vectors = torch.linalg.eigh(x.T @ x / len(x)).eigenvectors
    return torch.zeros_like(x[0]), vectors[:, -k:]


# %% ex={"id": "representation-best-linear", "role": "wrong", "why": "standardises the columns, so that it solves another problem"}
def best_linear_code(x, k):
    mean = x.mean(0)
    scaled = (x - mean) / x.std(0)
    vectors = torch.linalg.eigh(scaled.T @ scaled / len(x)).eigenvectors
    return mean, vectors[:, -k:]


# %% [markdown] ex={"id": "representation-elbo", "role": "statement", "kind": "implement", "points": 4, "minutes": 25, "difficulty": 2, "topic": "representation"}
# #### An ELBO that stays below the evidence
#
# For a linear decoder $p(x\mid z)=\mathcal N(Wz,\sigma^2I)$, a prior that is wider than the page's,
# $\mathcal N(0,\,{{PRIOR}}\,I)$, and encoder $q(z\mid x)=\mathcal N(m,\operatorname{diag}(e^{\ell}))$, with `log_s`
# for $\ell$, write
# `linear_elbo(x, m, log_s, w, sigma2)`, the ELBO of every example, in nats, in closed form (no sampling), constants
# included. Shapes: `x` is `(n, d)`, `m` and `log_s` are `(n, k)`, `w` is `(d, k)`; the result is `(n,)`.

# %% ex={"id": "representation-elbo", "role": "numbers", "choices": {"PRIOR": [2, 3, 4, 5]}}
PRIOR = 3


# %% ex={"id": "representation-elbo", "role": "solution"}
def linear_elbo(x, m, log_s, w, sigma2):
    """ELBO per example in nats, shape (n,)."""
    ### BEGIN SOLUTION
    s = log_s.exp()  # (n, k) variances
    # E_q‖x − Wz‖²
    error = ((x - m @ w.T) ** 2).sum(1) + (s * (w**2).sum(0)).sum(1)
    fit_term = -error / (2 * sigma2) - x.shape[1] / 2 * math.log(
        2 * math.pi * sigma2
    )
    log_ratio = math.log(PRIOR) - log_s
    kl = 0.5 * ((m**2 + s) / PRIOR - 1 + log_ratio).sum(1)
    return fit_term - kl
    ### END SOLUTION


# %% ex={"id": "representation-elbo", "role": "check"}
def check_linear_elbo():
    g = torch.Generator().manual_seed(0)
    w = (
        torch.linalg.qr(torch.randn(7, 3, generator=g, dtype=torch.float64)).Q
        * 1.5
    )
    x, sigma2 = torch.randn(20, 7, generator=g, dtype=torch.float64), 0.3
    eye = torch.eye(7, dtype=x.dtype)
    log_px = torch.distributions.MultivariateNormal(
        x[0] * 0, PRIOR * w @ w.T + sigma2 * eye
    ).log_prob(x)
    # The columns of w are orthogonal, so the true posterior is diagonal.
    s = 1 / (1 / PRIOR + 1.5**2 / sigma2)
    m = x @ w * s / sigma2
    log_s = torch.full_like(m, math.log(s))
    best = linear_elbo(x, m, log_s, w, sigma2)
    assert best.shape == (20,), (
        f"one number per example: shape (20,), not {tuple(best.shape)}"
    )
    assert (best <= log_px + 1e-9).all(), (
        "the bound lies above log p(x) somewhere: look at signs and constants"
    )
    assert torch.allclose(best, log_px, atol=1e-8), (
        "at the true posterior the bound should equal log p(x)"
    )
    # Elsewhere it must lie strictly below, and agree with plain sampling.
    for _ in range(3):
        m2 = m + 0.3 * torch.randn(m.shape, generator=g, dtype=x.dtype)
        log_s2 = log_s + 0.5 * torch.randn(m.shape, generator=g, dtype=x.dtype)
        value = linear_elbo(x, m2, log_s2, w, sigma2)
        assert (value < log_px).all(), (
            "away from the true posterior the bound should lie below log p(x)"
        )
        std = (log_s2 / 2).exp()
        z = m2 + std * torch.randn(4000, *m.shape, generator=g, dtype=x.dtype)
        normal = torch.distributions.Normal
        log_w = normal(z @ w.T, math.sqrt(sigma2)).log_prob(x).sum(
            -1
        ) + normal(0.0, math.sqrt(PRIOR)).log_prob(z).sum(-1)
        log_w = log_w - normal(m2, std).log_prob(z).sum(-1)
        slack = 5 * log_w.std(0) / 4000**0.5
        assert ((value - log_w.mean(0)).abs() < slack + 1e-9).all(), (
            "sampling gives another value"
        )


self_check("representation-elbo", check_linear_elbo)


# %% ex={"id": "representation-elbo", "role": "probe", "points": 2}
def probe(seed):  # without what is common to all examples
    g = torch.Generator().manual_seed(seed)
    x, m = torch.randn(12, 6, generator=g), torch.randn(12, 3, generator=g)
    log_s, w = torch.randn(12, 3, generator=g) - 1, torch.randn(6, 3, generator=g)
    value = linear_elbo(x, m, log_s, w, 0.2 + torch.rand((), generator=g).item())
    return value - value.mean()


# %% ex={"id": "representation-elbo", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    x, m = torch.randn(12, 7, generator=g), torch.randn(12, 4, generator=g)
    log_s, w = torch.randn(12, 4, generator=g) - 1, torch.randn(7, 4, generator=g)
    return linear_elbo(x, m, log_s, w, 0.2 + torch.rand((), generator=g).item())


# %% ex={"id": "representation-elbo", "role": "wrong", "why": "adds the divergence instead of subtracting it"}
def linear_elbo(x, m, log_s, w, sigma2):
    s = log_s.exp()
    error = ((x - m @ w.T) ** 2).sum(1) + (s * (w**2).sum(0)).sum(1)
    fit_term = -error / (2 * sigma2) - x.shape[1] / 2 * math.log(
        2 * math.pi * sigma2
    )
    kl = 0.5 * ((m**2 + s) / PRIOR - 1 + math.log(PRIOR) - log_s).sum(1)
    return fit_term + kl


# %% ex={"id": "representation-elbo", "role": "wrong", "why": "reconstructs from the mean only and forgets the encoder's variance"}
def linear_elbo(x, m, log_s, w, sigma2):
    error = ((x - m @ w.T) ** 2).sum(1)
    fit_term = -error / (2 * sigma2) - x.shape[1] / 2 * math.log(
        2 * math.pi * sigma2
    )
    rest = math.log(PRIOR) - 1 - log_s
    return fit_term - 0.5 * ((m**2 + log_s.exp()) / PRIOR + rest).sum(1)


# %% ex={"id": "representation-elbo", "role": "wrong", "why": "reads log_s as the logarithm of the standard deviation"}
def linear_elbo(x, m, log_s, w, sigma2):
    s = (2 * log_s).exp()
    error = ((x - m @ w.T) ** 2).sum(1) + (s * (w**2).sum(0)).sum(1)
    fit_term = -error / (2 * sigma2) - x.shape[1] / 2 * math.log(
        2 * math.pi * sigma2
    )
    rest = math.log(PRIOR) - 1 - 2 * log_s
    return fit_term - 0.5 * ((m**2 + s) / PRIOR + rest).sum(1)


# %% ex={"id": "representation-elbo", "role": "wrong", "why": "copies the divergence to a standard normal prior from the page"}
def linear_elbo(x, m, log_s, w, sigma2):
    s = log_s.exp()
    error = ((x - m @ w.T) ** 2).sum(1) + (s * (w**2).sum(0)).sum(1)
    fit_term = -error / (2 * sigma2) - x.shape[1] / 2 * math.log(
        2 * math.pi * sigma2
    )
    return fit_term - 0.5 * (m**2 + s - 1 - log_s).sum(1)


# %% ex={"id": "representation-elbo", "role": "wrong", "why": "leaves out the constants of the decoder's density"}
def linear_elbo(x, m, log_s, w, sigma2):
    s = log_s.exp()
    error = ((x - m @ w.T) ** 2).sum(1) + (s * (w**2).sum(0)).sum(1)
    kl = 0.5 * ((m**2 + s) / PRIOR - 1 + math.log(PRIOR) - log_s).sum(1)
    return -error / (2 * sigma2) - kl


# %% [markdown] ex={"id": "representation-implied-noise", "role": "statement", "kind": "investigate", "points": 3, "minutes": 15, "difficulty": 2, "topic": "representation"}
# #### Which noise did this program choose?
#
# A program minimises `weight * reduce(‖x − x̂‖²) + beta * KL`, where `reduce` is `"sum"` or `"mean"` over the `d` pixels
# of an image and the pixels have been multiplied by `scale` beforehand; KL is summed over the code, per image, in nats.
# Write `implied_noise(weight, reduction, dims, scale, beta)`: the variance $\sigma^2$, *in the units of the unscaled
# pixels*, of the ordinary VAE ($\beta=1$, weight $1/(2\sigma^2)$) with the same minimiser. Then write
# `active_directions(lam, sigma2)`: how many directions its linear version uses if the unscaled data have the eigenvalues
# `lam` (and the code is large enough).

# %% ex={"id": "representation-implied-noise", "role": "solution"}
def implied_noise(weight, reduction, dims, scale, beta):
    """σ² in squared units of the unscaled pixels."""
    ### BEGIN SOLUTION
    # weight of the summed square of scaled pixels
    per_sum = weight / dims if reduction == "mean" else weight
    return beta / (2 * per_sum * scale**2)
    ### END SOLUTION


def active_directions(lam, sigma2):
    """Number of code directions in use, an int."""
    ### BEGIN SOLUTION
    return int((lam > sigma2).sum())
    ### END SOLUTION


# %% ex={"id": "representation-implied-noise", "role": "check"}
def check_implied_noise():
    lam = torch.tensor([4.0, 1.0, 0.2, 0.05, 0.01], dtype=torch.float64)

    def gain(w2, weight, reduction, dims, scale, beta, lam_j):
        """Loss of using a direction (decoder weight² w2) minus that of not."""
        c = weight / dims if reduction == "mean" else weight
        v = lam_j * scale**2
        s = 1 / (1 + 2 * c * w2 / beta)  # best variance
        a = 2 * c / beta * w2**0.5 * s  # best mean: a · x
        error = (1 - a * w2**0.5) ** 2 * v + s * w2
        rate = 0.5 * (a**2 * v + s - 1 - math.log(s))
        return c * error + beta * rate - c * v

    for weight, reduction, dims, scale, beta in (
        (1.0, "sum", 5, 1.0, 1.0),
        (0.5, "sum", 5, 2.0, 1.0),
        (3.0, "mean", 5, 1.0, 0.5),
        (1.0, "mean", 64, 16.0, 4.0),
        (1.0, "sum", 5, 0.5, 0.01),
    ):
        sigma2 = implied_noise(weight, reduction, dims, scale, beta)
        assert sigma2 > 0, "a variance is positive"
        # A direction pays if its variance exceeds sigma2: try all decoders.
        for factor, pays in ((1.05, True), (0.95, False)):
            values = [
                gain(
                    10.0**e,
                    weight,
                    reduction,
                    dims,
                    scale,
                    beta,
                    sigma2 * factor,
                )
                for e in torch.linspace(-6, 6, 1500).tolist()
            ]
            assert (min(values) < -1e-15 * abs(max(values))) == pays or (
                not pays and min(values) > -1e-12
            ), (
                f"a direction of variance {factor} σ² should {'' if pays else 'not '}be used"
            )
        worth = [
            min(
                gain(10.0**e, weight, reduction, dims, scale, beta, v)
                for e in torch.linspace(-6, 6, 1500).tolist()
            )
            < -1e-9
            for v in lam.tolist()
        ]
        assert active_directions(lam, sigma2) == sum(worth), (
            "the number of directions that pay is another"
        )


self_check("representation-implied-noise", check_implied_noise)


# %% ex={"id": "representation-implied-noise", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for reduction, dims in (("sum", 12), ("mean", 64), ("sum", 784), ("mean", 9)):
        weight, scale, beta = (0.3 + 2 * torch.rand(3, generator=g)).tolist()
        out.append(float(implied_noise(weight, reduction, dims, scale, beta)))
    return out


# %% ex={"id": "representation-implied-noise", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    lam = 3 * torch.rand(40, generator=g) ** 2
    return [float(active_directions(lam, sigma2)) for sigma2 in (2 * torch.rand(8, generator=g)).tolist()]


# %% ex={"id": "representation-implied-noise", "role": "wrong", "why": "forgets the factor 2 of the Gaussian exponent"}
def implied_noise(weight, reduction, dims, scale, beta):
    per_sum = weight / dims if reduction == "mean" else weight
    return beta / (per_sum * scale**2)


def active_directions(lam, sigma2):
    return int((lam > sigma2).sum())


# %% ex={"id": "representation-implied-noise", "role": "wrong", "why": "forgets that scaled pixels have scaled squares"}
def implied_noise(weight, reduction, dims, scale, beta):
    per_sum = weight / dims if reduction == "mean" else weight
    return beta / (2 * per_sum)


def active_directions(lam, sigma2):
    return int((lam > sigma2).sum())


# %% ex={"id": "representation-implied-noise", "role": "wrong", "why": "divides by the number of pixels where it should multiply"}
def implied_noise(weight, reduction, dims, scale, beta):
    per_sum = weight * dims if reduction == "mean" else weight
    return beta / (2 * per_sum * scale**2)


def active_directions(lam, sigma2):
    return int((lam > sigma2).sum())


# %% ex={"id": "representation-implied-noise", "role": "wrong", "why": "compares standard deviations with a variance"}
def implied_noise(weight, reduction, dims, scale, beta):
    per_sum = weight / dims if reduction == "mean" else weight
    return beta / (2 * per_sum * scale**2)


def active_directions(lam, sigma2):
    return int((lam.sqrt() > sigma2).sum())


# %% [markdown] ex={"id": "representation-rate-distortion", "role": "statement", "kind": "implement", "points": 4, "minutes": 25, "difficulty": 3, "topic": "representation"}
# #### The rate that a given error needs
#
# On the page the water level $\theta$ was given and error and rate followed. In practice the error is given. Write
# `rate_for(distortion, lam)`: the least rate, in nats, with which a Gaussian vector with variances `lam` (shape `(d,)`,
# any order, all positive) can be described with total squared error at most `distortion`. Find the water level yourself;
# for a distortion of at least $\sum_i\lambda_i$ the rate is 0.

# %% ex={"id": "representation-rate-distortion", "role": "solution"}
def rate_for(distortion, lam):
    """R(Δ) of a Gaussian with variances lam (d,), in nats."""
    ### BEGIN SOLUTION
    if distortion >= lam.sum():
        return torch.zeros((), dtype=lam.dtype)
    # the error Σ min(λ, θ) grows with θ: bisect
    low, high = (
        0.0,
        float(lam.max()),
    )
    for _ in range(200):
        theta = (low + high) / 2
        if lam.clamp(max=theta).sum() < distortion:
            low = theta
        else:
            high = theta
    return 0.5 * (lam / high).log().clamp(min=0).sum()
    ### END SOLUTION


# %% ex={"id": "representation-rate-distortion", "role": "check"}
def check_rate_for():
    lam = torch.tensor([0.3, 2.0, 1.0, 0.05], dtype=torch.float64)
    total = float(lam.sum())
    for big in (total, total + 1):
        assert abs(float(rate_for(big, lam))) < 1e-9, (
            "an error of the whole variance needs no code"
        )
    one = torch.tensor([1.0], dtype=torch.float64)
    for bits in (1, 2, 5):
        rate = float(rate_for(4.0**-bits, one)) / math.log(2)
        assert abs(rate - bits) < 1e-6, (
            "one Gaussian number: each factor 4 in squared error costs one bit"
        )
    grid = torch.linspace(0.05, 0.95 * total, 40, dtype=torch.float64).tolist()
    rates = [float(rate_for(t, lam)) for t in grid]
    assert all(rates[i] > rates[i + 1] for i in range(39)), (
        "a larger error must need fewer nats"
    )
    second = [rates[i - 1] - 2 * rates[i] + rates[i + 1] for i in range(1, 39)]
    assert min(second) > -1e-8, "the curve should be convex"
    # Slow road: no way of sharing out the error may need less.
    g = torch.Generator().manual_seed(0)
    # errors of the directions
    shares = torch.rand(20000, 4, generator=g, dtype=torch.float64) ** 2 * lam
    needed = 0.5 * (lam / shares).log().clamp(min=0).sum(1)
    for t in (0.2, 0.8, 2.0):
        fair = shares.sum(1) <= t
        scaled = shares[fair] * (t / shares[fair].sum(1, keepdim=True))
        best = 0.5 * (lam / scaled).log().clamp(min=0).sum(1).min()
        mine = float(rate_for(t, lam))
        assert mine <= min(float(needed[fair].min()), float(best)) + 1e-9, (
            "a random division needs fewer nats"
        )
    # The other way round, as on the page: a water level gives error and rate.
    for level in (0.01, 0.2, 0.35, 0.5, 1.5):
        error = sum(min(v, level) for v in lam.tolist())
        nats = sum(math.log(v / level) for v in lam.tolist() if v > level) / 2
        assert abs(float(rate_for(error, lam)) - nats) < 1e-6, (
            "the rate differs from that of the water level with this error"
        )


self_check("representation-rate-distortion", check_rate_for)


# %% ex={"id": "representation-rate-distortion", "role": "probe", "points": 1}
def probe(seed):  # every direction is coded
    g = torch.Generator().manual_seed(seed)
    lam = 0.5 + 2 * torch.rand(6, generator=g)
    return [float(rate_for(share * 6 * 0.5, lam)) for share in (0.01, 0.3, 0.9)]


# %% ex={"id": "representation-rate-distortion", "role": "probe", "points": 2}
def probe(seed):  # some directions are below the water, and at first it looks as if fewer were
    g = torch.Generator().manual_seed(seed)
    lam = 3.0 ** torch.arange(-6, 4) * (0.9 + 0.2 * torch.rand(10, generator=g))
    lam = lam[torch.randperm(10, generator=g)]
    return [float(rate_for(share * lam.sum().item(), lam)) for share in (0.02, 0.1, 0.3, 0.6)]


# %% ex={"id": "representation-rate-distortion", "role": "probe", "points": 1}
def probe(seed):  # the ends of the curve: one direction left, and none
    g = torch.Generator().manual_seed(seed)
    lam = torch.cat([0.2 + torch.rand(5, generator=g), 4 + torch.rand(1, generator=g)])
    total = lam.sum().item()
    return [float(rate_for(t, lam)) for t in (total - 1, 1.01 * total, 2 * total + 30)]


# %% ex={"id": "representation-rate-distortion", "role": "wrong", "why": "gives every direction the same error, even those with less variance"}
def rate_for(distortion, lam):
    theta = distortion / len(lam)
    return 0.5 * (lam / theta).log().clamp(min=0).sum()


# %% ex={"id": "representation-rate-distortion", "role": "wrong", "why": "drops the directions below the mean error once and does not look again"}
def rate_for(distortion, lam):
    if distortion >= lam.sum():
        return torch.zeros(())
    kept = lam[lam > distortion / len(lam)]
    theta = (distortion - (lam.sum() - kept.sum())) / len(kept)
    return 0.5 * (kept / theta).log().clamp(min=0).sum()


# %% ex={"id": "representation-rate-distortion", "role": "wrong", "why": "forgets the factor one half"}
def rate_for(distortion, lam):
    low, high = 0.0, float(lam.max())
    for _ in range(200):
        theta = (low + high) / 2
        if lam.clamp(max=theta).sum() < distortion:
            low = theta
        else:
            high = theta
    return (lam / high).log().clamp(min=0).sum()


# %% ex={"id": "representation-rate-distortion", "role": "wrong", "why": "drops small directions whole and codes the rest in proportion, as in PCA"}
def rate_for(distortion, lam):
    if distortion >= lam.sum():
        return torch.zeros(())
    return 0.5 * len(lam) * torch.log(lam.sum() / distortion)


# %% [markdown] ex={"id": "representation-nt-xent", "role": "statement", "kind": "implement", "points": 4, "minutes": 25, "difficulty": 3, "topic": "representation"}
# #### NT-Xent for more than two views
#
# Some methods draw $v$ views of every image. Write `many_view_loss(z, tau)` for codes `z` of shape `(v, n, k)`, where
# `z[a, i]` is view `a` of image `i`: for every *ordered pair of different views of the same image* the loss is $-\log$ of
# $\exp(\mathrm{sim}/\tau)$ of that pair over the sum of $\exp(\mathrm{sim}/\tau)$ of the anchor with that positive and
# with **all views of all other images** (other views of the same image are neither positive nor negative in that term).
# Return the mean over all pairs. For $v=2$ this is NT-Xent. It must stand temperatures so small that $\exp(1/\tau)$ overflows.

# %% ex={"id": "representation-nt-xent", "role": "solution"}
def many_view_loss(z, tau):
    """Mean loss over ordered pairs of views, in nats; z (v, n, k)."""
    ### BEGIN SOLUTION
    v, n, _ = z.shape
    # row a·n + i is view a of image i
    flat = F.normalize(z, dim=-1).reshape(v * n, -1)
    sim = flat @ flat.T / tau  # (vn, vn)
    image = torch.arange(v * n) % n
    same = image[:, None] == image[None, :]
    # (vn,) views of other images
    negatives = sim.masked_fill(same, -math.inf).logsumexp(1)
    # every pair as if positive
    loss = torch.logaddexp(sim, negatives[:, None].expand_as(sim)) - sim
    pairs = same & ~torch.eye(v * n, dtype=torch.bool)
    return loss[pairs].mean()
    ### END SOLUTION


# %% ex={"id": "representation-nt-xent", "role": "check"}
def check_many_view_loss():
    g = torch.Generator().manual_seed(0)
    z = torch.randn(3, 5, 4, generator=g, dtype=torch.float64)

    def slow(z, tau):
        v, n, _ = z.shape

        def sim(p, q):
            return float(F.cosine_similarity(z[p], z[q], dim=0)) / tau

        total = []
        for a in range(v):
            for b in range(v):
                for i in range(n):
                    if a != b:
                        others = [
                            (c, j)
                            for c in range(v)
                            for j in range(n)
                            if j != i
                        ]
                        scores = [
                            sim((a, i), (b, i)),
                            *(sim((a, i), o) for o in others),
                        ]
                        total.append(
                            math.log(sum(map(math.exp, scores))) - scores[0]
                        )
        return sum(total) / len(total)

    for views in (z, z[:2]):
        for tau in (0.2, 1.0):
            loss = float(many_view_loss(views, tau))
            assert abs(loss - slow(views, tau)) < 1e-8, (
                f"the sums of the definition give another value (τ = {tau})"
            )
    assert (
        abs(float(many_view_loss(7 * z, 0.5)) - float(many_view_loss(z, 0.5)))
        < 1e-9
    ), "the length of a code should not matter"
    constant = float(
        many_view_loss(torch.ones(2, 8, 4, dtype=torch.float64), 0.5)
    )
    assert abs(math.exp(constant) - 15) < 1e-6, (
        "with a constant encoder all candidates are equally likely"
    )
    assert math.isfinite(float(many_view_loss(z, 0.0005))), (
        "small temperatures should not overflow"
    )


self_check("representation-nt-xent", check_many_view_loss)


# %% ex={"id": "representation-nt-xent", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    return float(many_view_loss(3 * torch.randn(2, 7, 5, generator=g), 0.3))


# %% ex={"id": "representation-nt-xent", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    sizes = ((3, 5, 4), (4, 6, 3), (5, 2, 6))
    return [float(many_view_loss(3 * torch.randn(*size, generator=g), 0.4)) for size in sizes]


# %% ex={"id": "representation-nt-xent", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    return float(many_view_loss(torch.randn(3, 6, 4, generator=g), 0.0004))


# %% ex={"id": "representation-nt-xent", "role": "wrong", "why": "leaves the anchor itself in the sum"}
def many_view_loss(z, tau):
    v, n, _ = z.shape
    flat = F.normalize(z, dim=-1).reshape(v * n, -1)
    sim = flat @ flat.T / tau
    image = torch.arange(v * n) % n
    same = image[:, None] == image[None, :]
    pairs = same & ~torch.eye(v * n, dtype=torch.bool)
    return (sim.logsumexp(1)[:, None] - sim)[pairs].mean()


# %% ex={"id": "representation-nt-xent", "role": "wrong", "why": "does not normalise the codes"}
def many_view_loss(z, tau):
    v, n, _ = z.shape
    flat = z.reshape(v * n, -1)
    sim = flat @ flat.T / tau
    image = torch.arange(v * n) % n
    same = image[:, None] == image[None, :]
    negatives = sim.masked_fill(same, -math.inf).logsumexp(1)
    loss = torch.logaddexp(sim, negatives[:, None].expand_as(sim)) - sim
    return loss[same & ~torch.eye(v * n, dtype=torch.bool)].mean()


# %% ex={"id": "representation-nt-xent", "role": "wrong", "why": "counts the other views of the same image as negatives"}
def many_view_loss(z, tau):
    v, n, _ = z.shape
    flat = F.normalize(z, dim=-1).reshape(v * n, -1)
    sim = flat @ flat.T / tau
    image = torch.arange(v * n) % n
    eye = torch.eye(v * n, dtype=torch.bool)
    pairs = (image[:, None] == image[None, :]) & ~eye
    return (sim.masked_fill(eye, -math.inf).logsumexp(1)[:, None] - sim)[
        pairs
    ].mean()


# %% ex={"id": "representation-nt-xent", "role": "wrong", "why": "sums only over the negatives and leaves the positive out"}
def many_view_loss(z, tau):
    v, n, _ = z.shape
    flat = F.normalize(z, dim=-1).reshape(v * n, -1)
    sim = flat @ flat.T / tau
    image = torch.arange(v * n) % n
    same = image[:, None] == image[None, :]
    negatives = sim.masked_fill(same, -math.inf).logsumexp(1)
    pairs = same & ~torch.eye(v * n, dtype=torch.bool)
    return (negatives[:, None] - sim)[pairs].mean()


# %% ex={"id": "representation-nt-xent", "role": "wrong", "why": "forms the exponentials, which overflow at small temperatures"}
def many_view_loss(z, tau):
    v, n, _ = z.shape
    flat = F.normalize(z, dim=-1).reshape(v * n, -1)
    e = (flat @ flat.T / tau).exp()
    image = torch.arange(v * n) % n
    same = image[:, None] == image[None, :]
    negatives = (e * ~same).sum(1, keepdim=True)
    pairs = same & ~torch.eye(v * n, dtype=torch.bool)
    return ((e + negatives) / e).log()[pairs].mean()

# %% [markdown] ex={"id": "representation-explain-crack", "role": "statement", "kind": "explain", "points": 6, "minutes": 20, "difficulty": 3, "topic": "representation"}
# #### Three codes and a hairline crack
#
# Photographs of machine parts differ in lighting, which makes up nearly all the variance of the pixels. Some parts have a hairline crack, which adds a tiny
# variance along a few directions that no lighting touches. Three codes of four numbers are learned without labels: (a) PCA; (b) a linear VAE
# with a fixed $\sigma^2$ that is above the crack's variance and far below that of the lighting; (c) a contrastive encoder whose two views show the
# *same part, each under a lighting of its own* that is drawn at random. Lighting alone fills more than four directions. Predict for each code whether a linear probe with plenty
# of labels can find cracked parts, and say why. A colleague wants to train (a) and (b) for longer, "until the loss is low enough for the crack to show", and to
# give (b) forty numbers instead of four. What would each of these achieve, what *one* further change would then make (b) keep the crack, and is it certain that
# (c) keeps it?

# %% [markdown] ex={"id": "representation-explain-crack", "role": "solution"}
# (a) No. PCA keeps the directions of largest variance, all four are lighting, and the crack lies among those left out. (b) No. A direction is used only if its
# variance exceeds $\sigma^2$; elsewhere the encoder returns the prior. (c) It can: the views disagree about lighting, so a code that reads it
# matches pairs worse, whereas the crack is the same in both views and helps to pick the partner, however few pixels it costs. Longer training changes nothing:
# (a) and the optimum of (b) are known in closed form, and at their minimum the crack is absent. Nor do forty numbers help in (b): a direction below
# $\sigma^2$ stays off however large the code. With forty numbers and $\sigma^2$ (or $\beta\sigma^2$) below the crack's variance it is
# kept. (c) is no guarantee: the loss rewards whatever views share, and four numbers may be spent on other things that tell parts apart.

# %% [markdown] ex={"id": "representation-explain-crack", "role": "rubric"}
# - 2: says no for PCA because it keeps the largest variances (1), and no for the VAE because a direction with variance below the noise variance carries no code (1)
# - 2: says that the contrastive code can keep the crack because both views share it and that the lighting is dropped because the views disagree about it (1); adds that this is no guarantee, since other things that the views share compete for the code (1)
# - 2: says that longer training changes nothing because the optimum itself leaves the crack out, and that forty numbers do not help (b) either (1); names the change that does, a noise variance (or β times it) below the crack's variance (1)
