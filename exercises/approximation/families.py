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
# # Exercises: Four families on one toy

# %% ex={"role": "setup"}
import math

import torch

from genkit.checks import self_check

torch.set_default_dtype(torch.float64)


# %% [markdown] ex={"id": "families-flow", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "families"}
# #### A flow with heavy tails
#
# Let $z\sim\mathcal N(0,1)$ and $x=f(z)=\mu+s\,\sinh(az+b)$ with $s,a>0$. Return $\log p_X(x)$ in nats by {eq}`eq-families-flow`; the inverse is in closed form.

# %% ex={"id": "families-flow", "role": "solution"}
def sinh_log_density(x, mu, s, a, b):
    """x (n,), four numbers -> log density (n,)"""
    ### BEGIN SOLUTION
    y = (x - mu) / s
    z = (torch.asinh(y) - b) / a
    log_slope = -0.5 * torch.log1p(y**2) - math.log(a * s)          # of the inverse
    return -0.5 * z**2 - 0.5 * math.log(2 * math.pi) + log_slope
    ### END SOLUTION


# %% ex={"id": "families-flow", "role": "check"}
def check_families_flow():
    g = torch.Generator().manual_seed(1)
    for mu, s, a, b in ((0.0, 1.0, 1.0, 0.0), (1.0, 0.5, 0.7, 0.4), (-2.0, 2.0, 1.3, -0.5)):
        t = torch.linspace(-14, 14, 60_001)
        x = mu + s * torch.sinh(t)  # a grid that reaches into the tails
        density = sinh_log_density(x, mu, s, a, b).exp()
        mass = torch.trapezoid(density, x).item()
        assert abs(mass - 1) < 1e-3, f"μ, s, a, b = {mu, s, a, b}: the density integrates to {mass:.3g}"
        draws = mu + s * torch.sinh(a * torch.randn(200_000, generator=g) + b)
        for cut in (mu - s, mu, mu + s):
            below = torch.trapezoid(density[x <= cut], x[x <= cut]).item()
            seen = (draws <= cut).double().mean().item()
            assert abs(below - seen) < 6e-3, f"P(x < {cut:.1f}) is {below:.3f} by your density and {seen:.3f} among draws"


self_check("families-flow", check_families_flow)


# %% ex={"id": "families-flow", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    mu, b = torch.randn(2, generator=g).tolist()
    return sinh_log_density(3 * torch.randn(20, generator=g), mu, 1.0, 1.0, b)


# %% ex={"id": "families-flow", "role": "probe", "points": 3}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for scale, sign in ((0.3, 1), (1.4, -1)):
        mu, s, a, b = torch.rand(4, generator=g).tolist()
        x = 4 * torch.randn(20, generator=g)
        out.append(sinh_log_density(x, 5 * mu, scale + s, 1.5 - 0.5 * scale + a, sign * (0.4 + b)))
    return out


# %% ex={"id": "families-flow", "role": "wrong", "why": "forgets the Jacobian"}
def sinh_log_density(x, mu, s, a, b):
    z = (torch.asinh((x - mu) / s) - b) / a
    return -0.5 * z**2 - 0.5 * math.log(2 * math.pi)


# %% ex={"id": "families-flow", "role": "wrong", "why": "the Jacobian of f instead of its inverse: the sign"}
def sinh_log_density(x, mu, s, a, b):
    y = (x - mu) / s
    z = (torch.asinh(y) - b) / a
    return -0.5 * z**2 - 0.5 * math.log(2 * math.pi) + 0.5 * torch.log1p(y**2) + math.log(a * s)


# %% ex={"id": "families-flow", "role": "wrong", "why": "forgets a and s in the Jacobian"}
def sinh_log_density(x, mu, s, a, b):
    y = (x - mu) / s
    z = (torch.asinh(y) - b) / a
    return -0.5 * z**2 - 0.5 * math.log(2 * math.pi) - 0.5 * torch.log1p(y**2)


# %% ex={"id": "families-flow", "role": "wrong", "why": "inverts in the wrong order"}
def sinh_log_density(x, mu, s, a, b):
    y = (x - mu) / s
    z = torch.asinh(y) / a - b
    return -0.5 * z**2 - 0.5 * math.log(2 * math.pi) - 0.5 * torch.log1p(y**2) - math.log(a * s)


# %% [markdown] ex={"id": "families-schedule", "role": "statement", "kind": "implement", "points": 4, "minutes": 25, "difficulty": 2, "topic": "families"}
# #### One step back, given the start
#
# For the chain of {eq}`eq-families-diffusion`, in one dimension, $q(x_{t-1}\mid x_t,x_0)$ is Gaussian with mean $c_t\,x_0+d_t\,x_t$ and variance
# $\tilde\beta_t$. Return, for given $\beta_1,\dots,\beta_T$, the three sequences for $t=1,\dots,T$. (For $t=1$ the variance must be zero.)

# %% ex={"id": "families-schedule", "role": "solution"}
def one_step_back(betas):
    """betas (T,) in (0, 1) -> weights of x_0 (T,), of x_t (T,), variances (T,)"""
    ### BEGIN SOLUTION
    kept = torch.cumprod(1 - betas, 0)                              # share of x_0's variance left after t
    before = torch.cat([torch.ones(1), kept[:-1]])                  # after t - 1
    variance = betas * (1 - before) / (1 - kept)
    return before.sqrt() * betas / (1 - kept), (1 - betas).sqrt() * (1 - before) / (1 - kept), variance
    ### END SOLUTION


# %% ex={"id": "families-schedule", "role": "check"}
def check_families_schedule():
    for betas in (torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.linspace(0.01, 0.9, 7)):
        c, d, v = one_step_back(betas.clone())
        n = len(betas)
        assert c.shape == d.shape == v.shape == (n,), f"three sequences of length {n}, got {tuple(c.shape)}, {tuple(d.shape)}, {tuple(v.shape)}"
        assert torch.allclose(torch.stack([c[0], d[0], v[0]]), torch.tensor([1.0, 0.0, 0.0])), "t = 1: x_0 is given, so nothing is open"
        # joint covariance of (x_1..x_T) given x_0, built step by step; then condition
        cov, mean = torch.zeros(n + 1, n + 1), torch.zeros(n + 1)
        mean[0] = 1.0  # coefficient of x_0
        for t in range(1, n + 1):
            a = (1 - betas[t - 1]).sqrt()
            mean[t] = a * mean[t - 1]
            cov[t, :t] = cov[:t, t] = a * cov[t - 1, :t]
            cov[t, t] = a**2 * cov[t - 1, t - 1] + betas[t - 1]
        for t in range(2, n + 1):
            gain = cov[t - 1, t] / cov[t, t]
            assert torch.isclose(d[t - 1], gain), f"t = {t}: conditioning the joint Gaussian gives x_t another weight"
            assert torch.isclose(c[t - 1], mean[t - 1] - gain * mean[t]), f"t = {t}: conditioning gives x_0 another weight"
            assert torch.isclose(v[t - 1], cov[t - 1, t - 1] - gain * cov[t, t - 1]), f"t = {t}: conditioning gives another variance"


self_check("families-schedule", check_families_schedule)


# %% ex={"id": "families-schedule", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    c, d, _ = one_step_back(0.05 + 0.6 * torch.rand(9, generator=g))
    return [c, d]


# %% ex={"id": "families-schedule", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    return one_step_back(0.05 + 0.6 * torch.rand(9, generator=g))[2]


# %% ex={"id": "families-schedule", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    low, high = torch.rand(2, generator=g).tolist()
    betas = torch.linspace(0.001 + 0.001 * low, 0.02 + 0.02 * high, 150)
    c, d, v = one_step_back(betas.clone())
    return [c, d, v / betas]


# %% ex={"id": "families-schedule", "role": "wrong", "why": "off by one: the products at t and t + 1"}
def one_step_back(betas):
    kept = torch.cumprod(1 - betas, 0)
    variance = betas * (1 - kept) / (1 - kept * (1 - betas))
    return kept.sqrt() * betas / (1 - kept), (1 - betas).sqrt() * (1 - kept) / (1 - kept * (1 - betas)), variance


# %% ex={"id": "families-schedule", "role": "wrong", "why": "the variance of the forward step"}
def one_step_back(betas):
    kept = torch.cumprod(1 - betas, 0)
    before = torch.cat([torch.ones(1), kept[:-1]])
    variance = betas.clone()
    variance[0] = 0.0
    return before.sqrt() * betas / (1 - kept), (1 - betas).sqrt() * (1 - before) / (1 - kept), variance


# %% ex={"id": "families-schedule", "role": "wrong", "why": "forgets the roots"}
def one_step_back(betas):
    kept = torch.cumprod(1 - betas, 0)
    before = torch.cat([torch.ones(1), kept[:-1]])
    variance = betas * (1 - before) / (1 - kept)
    return before * betas / (1 - kept), (1 - betas) * (1 - before) / (1 - kept), variance


# %% ex={"id": "families-schedule", "role": "wrong", "why": "swaps the two weights"}
def one_step_back(betas):
    kept = torch.cumprod(1 - betas, 0)
    before = torch.cat([torch.ones(1), kept[:-1]])
    variance = betas * (1 - before) / (1 - kept)
    return (1 - betas).sqrt() * (1 - before) / (1 - kept), before.sqrt() * betas / (1 - kept), variance


# %% [markdown] ex={"id": "families-elbo", "role": "statement", "kind": "implement", "points": 4, "minutes": 25, "difficulty": 2, "topic": "families"}
# #### The bound, point by point
#
# Let $p(z)=\mathcal N(0,1)$, $p(x\mid z)=\mathcal N(az+b,\sigma^2)$ and $q(z\mid x)=\mathcal N(m,v)$ for a given $x$. Return $\mathcal L(x)$ of
# {eq}`eq-families-elbo` in closed form.

# %% ex={"id": "families-elbo", "role": "solution"}
def elbo(x, m, v, a, b, sigma):
    """x (n,), encoder's means m (n,), variances v (n,) -> bound (n,) in nats"""
    ### BEGIN SOLUTION
    error = (x - a * m - b) ** 2 + a**2 * v
    reconstruction = -0.5 * error / sigma**2 - 0.5 * math.log(2 * math.pi * sigma**2)
    divergence = 0.5 * (m**2 + v - 1 - v.log())
    return reconstruction - divergence
    ### END SOLUTION


# %% ex={"id": "families-elbo", "role": "check"}
def check_families_elbo():
    g = torch.Generator().manual_seed(5)
    for a, b, sigma in ((1.0, 0.0, 1.0), (2.0, -1.0, 0.5), (0.3, 0.5, 1.5)):
        x = torch.randn(6, generator=g) * 2
        total = a**2 + sigma**2
        best_m, best_v = a * (x - b) / total, torch.full((6,), sigma**2 / total)
        evidence = -0.5 * (x - b) ** 2 / total - 0.5 * math.log(2 * math.pi * total)
        assert torch.allclose(elbo(x, best_m, best_v, a, b, sigma), evidence), "with the exact posterior the bound is the log-likelihood"
        m, v = torch.randn(6, generator=g), torch.rand(6, generator=g) + 0.2
        gap = 0.5 * ((m - best_m) ** 2 / best_v + v / best_v - 1 - (v / best_v).log())
        got = elbo(x, m, v, a, b, sigma)
        assert (got <= evidence + 1e-9).all(), "a bound never exceeds the log-likelihood"
        assert torch.allclose(got, evidence - gap), "with another encoder it is less by the divergence to the posterior; yours is not"


self_check("families-elbo", check_families_elbo)


# %% ex={"id": "families-elbo", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    x, m = 2 * torch.randn(2, 8, generator=g)
    a, b, sigma = (0.5 + torch.rand(3, generator=g)).tolist()
    return elbo(x, m, torch.ones(8), a, b, sigma)


# %% ex={"id": "families-elbo", "role": "probe", "points": 3}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for factor in (-1.0, 3.0):
        x, m = torch.randn(2, 8, generator=g)
        v = 0.1 + 0.6 * torch.rand(8, generator=g)
        a, b, sigma = (0.3 + torch.rand(3, generator=g)).tolist()
        out.append(elbo(2 * x, m, v, factor * a, -b, sigma))
    return out


# %% ex={"id": "families-elbo", "role": "wrong", "why": "reconstructs from the encoder's mean only"}
def elbo(x, m, v, a, b, sigma):
    reconstruction = -0.5 * (x - a * m - b) ** 2 / sigma**2 - 0.5 * math.log(2 * math.pi * sigma**2)
    return reconstruction - 0.5 * (m**2 + v - 1 - v.log())


# %% ex={"id": "families-elbo", "role": "wrong", "why": "takes v for a standard deviation"}
def elbo(x, m, v, a, b, sigma):
    error = (x - a * m - b) ** 2 + a**2 * v**2
    reconstruction = -0.5 * error / sigma**2 - 0.5 * math.log(2 * math.pi * sigma**2)
    return reconstruction - 0.5 * (m**2 + v**2 - 1 - 2 * v.log())


# %% ex={"id": "families-elbo", "role": "wrong", "why": "adds the divergence"}
def elbo(x, m, v, a, b, sigma):
    error = (x - a * m - b) ** 2 + a**2 * v
    reconstruction = -0.5 * error / sigma**2 - 0.5 * math.log(2 * math.pi * sigma**2)
    return reconstruction + 0.5 * (m**2 + v - 1 - v.log())


# %% ex={"id": "families-elbo", "role": "wrong", "why": "the divergence the other way round"}
def elbo(x, m, v, a, b, sigma):
    error = (x - a * m - b) ** 2 + a**2 * v
    reconstruction = -0.5 * error / sigma**2 - 0.5 * math.log(2 * math.pi * sigma**2)
    return reconstruction - 0.5 * ((m**2 + 1) / v - 1 + v.log())


# %% ex={"id": "families-elbo", "role": "wrong", "why": "squared error without the noise level or the constant"}
def elbo(x, m, v, a, b, sigma):
    error = (x - a * m - b) ** 2 + a**2 * v
    return -error - 0.5 * (m**2 + v - 1 - v.log())


# %% [markdown] ex={"id": "families-referee", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "families"}
# #### A referee who sees more data than fakes
#
# In a batch a share $\pi$ of the examples is real. The discriminator maximises $\pi\,\mathbb E_p[\log D]+(1-\pi)\,\mathbb E_q[\log(1-D)]$. From log densities
# on a grid return the best discriminator's **logit** at every point, and the value it reaches in nats, by the trapezoidal rule. Stay in logarithms: densities
# may be $e^{-2000}$.

# %% ex={"id": "families-referee", "role": "solution"}
def best_referee(log_p, log_q, share, grid):
    """log densities (n,) on the grid (n,), share in (0, 1) -> logit (n,), value"""
    ### BEGIN SOLUTION
    log = torch.nn.functional.logsigmoid
    logit = log_p - log_q + math.log(share) - math.log(1 - share)
    real = torch.trapezoid(log_p.exp() * log(logit), grid)
    fake = torch.trapezoid(log_q.exp() * log(-logit), grid)
    return logit, share * real + (1 - share) * fake
    ### END SOLUTION


# %% ex={"id": "families-referee", "role": "check"}
def check_families_referee():
    grid = torch.linspace(-30, 30, 12_001)
    normal = torch.distributions.Normal
    log_p = normal(0.0, 1.0).log_prob(grid)
    for t, share in ((2.0, 0.5), (1.0, 0.8), (0.0, 0.3)):
        log_q = normal(t, 1.0).log_prob(grid)
        logit, value = best_referee(log_p, log_q, share, grid)
        # generalised Jensen-Shannon minus the entropy of the shares
        log_m = torch.logaddexp(math.log(share) + log_p, math.log(1 - share) + log_q)
        kl = [torch.trapezoid(a.exp() * (a - log_m), grid) for a in (log_p, log_q)]
        truth = share * kl[0] + (1 - share) * kl[1] + share * math.log(share) + (1 - share) * math.log(1 - share)
        assert torch.isclose(torch.as_tensor(value), truth, atol=1e-6), f"share {share}: the value is off by {float(value - truth):+.4f}"
        posterior = torch.exp(math.log(share) + log_p - log_m)
        assert torch.allclose(torch.sigmoid(logit), posterior, atol=1e-9), f"share {share}: the logit is not that of P(real | x)"
        bend = torch.as_tensor(logit).diff().diff().abs().max()
        assert bend < 1e-9, f"share {share}: for two bells of one width the logit is a straight line, however far out; yours bends"
    far = best_referee(normal(0.0, 0.3).log_prob(grid), normal(20.0, 0.3).log_prob(grid), 0.5, grid)
    assert torch.isfinite(far[0]).all() and abs(float(far[1])) < 1e-6, "laws that exclude each other: a perfect referee reaches 0, without nan or inf"


self_check("families-referee", check_families_referee)


# %% ex={"id": "families-referee", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    t, r = torch.rand(2, generator=g).tolist()
    grid = torch.linspace(-8, 10, 1001)
    log_p, log_q = (-0.5 * (grid - m) ** 2 - 0.5 * math.log(2 * math.pi) for m in (0.0, 1 + t))
    return best_referee(log_p, log_q, 0.1 + 0.3 * r, grid)[0]


# %% ex={"id": "families-referee", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    grid = torch.linspace(-8, 10, 1001)
    out = []
    for t, r in torch.rand(3, 2, generator=g).tolist():
        log_p, log_q = (-0.5 * (grid - m) ** 2 - 0.5 * math.log(2 * math.pi) for m in (0.0, 1 + t))
        out.append(best_referee(log_p, log_q, 0.6 + 0.3 * r, grid)[1])
    return out


# %% ex={"id": "families-referee", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    t, r = torch.rand(2, generator=g).tolist()
    grid = torch.linspace(-36, 36, 6001)
    log_p, log_q = (-0.5 * ((grid - m) / 0.5) ** 2 - 0.5 * math.log(2 * math.pi * 0.25) for m in (0.0, 0.7 + t))
    logit, value = best_referee(log_p, log_q, 0.1 + 0.3 * r, grid)
    return [logit[::50], value]


# %% ex={"id": "families-referee", "role": "wrong", "why": "forgets the share in the discriminator"}
def best_referee(log_p, log_q, share, grid):
    log = torch.nn.functional.logsigmoid
    logit = log_p - log_q
    real = torch.trapezoid(log_p.exp() * log(logit), grid)
    fake = torch.trapezoid(log_q.exp() * log(-logit), grid)
    return logit, share * real + (1 - share) * fake


# %% ex={"id": "families-referee", "role": "wrong", "why": "forgets the share in the value"}
def best_referee(log_p, log_q, share, grid):
    log = torch.nn.functional.logsigmoid
    logit = log_p - log_q + math.log(share) - math.log(1 - share)
    return logit, torch.trapezoid(log_p.exp() * log(logit), grid) + torch.trapezoid(log_q.exp() * log(-logit), grid)


# %% ex={"id": "families-referee", "role": "wrong", "why": "upside down: the probability of being made"}
def best_referee(log_p, log_q, share, grid):
    log = torch.nn.functional.logsigmoid
    logit = log_q - log_p + math.log(1 - share) - math.log(share)
    real = torch.trapezoid(log_p.exp() * log(logit), grid)
    fake = torch.trapezoid(log_q.exp() * log(-logit), grid)
    return logit, share * real + (1 - share) * fake


# %% ex={"id": "families-referee", "role": "wrong", "why": "through densities, kept off 0 and 1: finite, but wrong where it is sure"}
def best_referee(log_p, log_q, share, grid):
    p, q = share * log_p.exp(), (1 - share) * log_q.exp()
    d = ((p + 1e-300) / (p + q + 2e-300)).clamp(1e-15, 1 - 1e-15)
    return torch.logit(d), torch.trapezoid(p * d.log() + q * (1 - d).log(), grid)


# %% ex={"id": "families-referee", "role": "wrong", "why": "through densities: 0/0"}
def best_referee(log_p, log_q, share, grid):
    p, q = share * log_p.exp(), (1 - share) * log_q.exp()
    d = p / (p + q)
    return torch.logit(d), torch.trapezoid(p * d.log() + q * (1 - d).log(), grid)

# %% [markdown] ex={"id": "families-explain-gap", "role": "statement", "kind": "explain", "points": 6, "minutes": 20, "difficulty": 2, "topic": "families"}
# #### One fills the gap, the other loses a half
#
# A set of pictures holds two kinds, equally often and very different. Two models are trained on it, each too small to fit both kinds. A variational autoencoder
# (its pixel noise included in the samples) makes many pictures that look like neither kind but like something in between. An adversarial network with the usual,
# non-saturating loss makes flawless pictures of the first kind and none of the second. A colleague reports: "Just as theory says. The autoencoder minimises the
# reverse divergence, so it blurs; the adversarial network minimises the forward one, so it is sharp. Our judges accept all of its pictures, so it has the
# better model of the data, and the second kind will come if we train longer." In at most twelve sentences: put the two divergences right, and explain from the averages that define
# them why each model fails as it does. Then judge the last sentence: what do the judges not measure, what would, and is the hope for longer training founded?

# %% [markdown] ex={"id": "families-explain-gap", "role": "solution"}
# It is the other way round. The autoencoder minimises, up to a constant, a bound of the forward divergence $\mathbb E_p\log(p/p_\theta)$. That average runs
# over the data: a kind without model mass costs without limit, mass in the gap only what it takes away elsewhere. So a small model covers both, gap included. At
# the best discriminator the usual adversarial loss descends $\mathbb E_q\log(q/p)-2\,\mathrm{JS}$. This average runs over the model's own pictures: those in
# the gap, where $p\approx0$, cost without limit; a kind never made costs about $\log2$, less what the bounded second term takes off. The judges too see only the
# model's pictures: precision. Coverage starts from the data, say the share of held-out pictures with a near sample, or from a count of the kinds. Training longer
# is no remedy: to hold one kind is a local minimum, and for kinds this far apart and a model too small for both it is the best one.

# %% [markdown] ex={"id": "families-explain-gap", "role": "rubric"}
# - 2: autoencoder: (a bound of) the forward divergence, data in front (1); usual adversarial loss: the reverse divergence, up to a Jensen–Shannon term or "at the best discriminator" (1)
# - 2: forward is an average over the data, so missing a kind costs without limit and mass in the gap little (1); reverse is an average over the model's pictures, so those in the gap cost without limit and the missing kind is hardly charged (1)
# - 1: judges see the model's pictures only (precision), and a measurement that starts from the data or counts the kinds (recall, share of held-out pictures with a near sample, classifier on samples) would show the loss
# - 1: longer training is no remedy as such: holding one kind is a (local) minimum of what is descended, or the network is too small for both
