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
# # Exercises: Three objectives, one dataset

# %% ex={"role": "setup"}
import math
from itertools import combinations

import torch

from genkit.checks import self_check

standard = torch.distributions.Normal(0.0, 1.0)  # cdf, icdf, log_prob


# %% [markdown] ex={"id": "generation-mixture-log", "role": "statement", "kind": "implement", "points": 2, "minutes": 10, "difficulty": 1, "topic": "score"}
# #### A mixture of densities in the log domain
#
# Given the log densities of $K$ components at $n$ points, return $\log \sum_k w_k\, p_k(x_i)$ for each point. Log
# densities of images reach minus thousands, so the exponentials themselves must never be formed. A weight may be zero.

# %% ex={"id": "generation-mixture-log", "role": "solution"}
def mixture_log_prob(log_components, weights):
    """Log density of a mixture, nats: (n, K), (K,) -> (n,)."""
    ### BEGIN SOLUTION
    return torch.logsumexp(log_components + weights.log(), dim=1)
    ### END SOLUTION


# %% ex={"id": "generation-mixture-log", "role": "check"}
def check_mixture_log():
    g = torch.Generator().manual_seed(1)
    tables = torch.rand(3, 7, generator=g, dtype=torch.float64)
    tables = tables / tables.sum(1, keepdim=True)  # three distributions on seven states
    weights = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    answer = mixture_log_prob(tables.log().T, weights)
    assert answer.shape == (7,), f"one number per point: expected shape (7,), got {tuple(answer.shape)}"
    assert abs(answer.exp().sum() - 1) < 1e-12, "a mixture of distributions must sum to one over all states"
    assert torch.allclose(answer.exp(), weights @ tables), "the probabilities must be the weighted average"
    deep = torch.tensor([[-5000.0, -5001.0]], dtype=torch.float64)
    low = mixture_log_prob(deep, torch.tensor([0.01, 0.99], dtype=torch.float64))
    assert torch.isfinite(low).all(), "log densities of -5000 must not underflow"
    assert low[0] >= -5000 + math.log(0.01) - 1e-9, "a mixture is at least each weighted component"
    shifted = mixture_log_prob(tables.log().T - 4000, weights)
    assert torch.allclose(shifted, answer - 4000), "dividing all densities by e^4000 must lower the answer by 4000"
    high = torch.tensor([[-10.0, -5001.0]], dtype=torch.float64)
    alone = mixture_log_prob(high, torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert torch.allclose(alone, high[:, 1]), "a component of weight zero must not count, however high its density"


self_check("generation-mixture-log", check_mixture_log)


# %% ex={"id": "generation-mixture-log", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    double = {"generator": g, "dtype": torch.float64}
    weights = torch.rand(4, **double)
    weights[seed % 4] = 0.0
    return mixture_log_prob(300 * torch.randn(9, 4, **double) - 5000, weights / weights.sum())


# %% ex={"id": "generation-mixture-log", "role": "wrong", "why": "forms the exponentials, which underflow"}
def mixture_log_prob(log_components, weights):
    return (log_components.exp() @ weights).log()


# %% ex={"id": "generation-mixture-log", "role": "wrong", "why": "averages the logarithms: a geometric mean, not a mixture"}
def mixture_log_prob(log_components, weights):
    return log_components @ weights


# %% ex={"id": "generation-mixture-log", "role": "wrong", "why": "clamps the weights: a component of weight zero counts a little"}
def mixture_log_prob(log_components, weights):
    return torch.logsumexp(log_components + weights.clamp(min=1e-12).log(), dim=1)


# %% ex={"id": "generation-mixture-log", "role": "wrong", "why": "forgets the weights"}
def mixture_log_prob(log_components, weights):
    return torch.logsumexp(log_components, dim=1) - math.log(len(weights))


# %% [markdown] ex={"id": "generation-ppca-fill", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "sample"}
# #### Fill in missing pixels with pPCA
#
# Some pixels of each image are missing, the same for all images. Return the images with every missing pixel replaced by its
# expectation given the visible ones under pPCA, and with the visible pixels unchanged. Work in the latent space: the only system
# of equations to solve is $k \times k$.

# %% ex={"id": "generation-ppca-fill", "role": "solution"}
def fill_in(x, seen, mu, W, sigma2):
    """Expected images: x (n, d), unseen entries arbitrary; seen (d,) bool; mu (d,), W (d, k) -> (n, d)."""
    ### BEGIN SOLUTION
    V = W[seen]  # (m, k): what is visible is again a pPCA
    M = V.T @ V + sigma2 * torch.eye(W.shape[1], dtype=W.dtype)
    z = torch.linalg.solve(M, V.T @ (x[:, seen] - mu[seen]).T).T  # (n, k)
    return torch.where(seen, x, mu + z @ W.T)
    ### END SOLUTION


# %% ex={"id": "generation-ppca-fill", "role": "check"}
def check_ppca_fill():
    double = {"generator": torch.Generator().manual_seed(2), "dtype": torch.float64}
    d, k, n = 7, 3, 5
    W, mu, x = torch.randn(d, k, **double), torch.randn(d, **double), torch.randn(n, d, **double)
    sigma2 = torch.tensor(0.3, dtype=torch.float64)
    seen = torch.tensor([True, False, True, True, False, True, False])
    answer = fill_in(x, seen, mu, W, sigma2)
    assert answer.shape == (n, d), f"expected images of shape {(n, d)}, got {tuple(answer.shape)}"
    assert torch.allclose(answer[:, seen], x[:, seen]), "visible pixels must stay as they are"
    # the slow route: the most probable completion minimises the quadratic form of the d x d precision matrix
    P = torch.linalg.inv(W @ W.T + sigma2 * torch.eye(d, dtype=torch.float64))
    stationary = (answer - mu) @ P
    assert stationary[:, ~seen].abs().max() < 1e-8, "the completion is not the conditional expectation under N(mu, C)"
    garbage = torch.where(seen, x, torch.full_like(x, 1e6))
    assert torch.allclose(fill_in(garbage, seen, mu, W, sigma2), answer), "unseen entries of x must not be used"
    nothing = fill_in(x, torch.zeros(d, dtype=torch.bool), mu, W, sigma2)
    assert torch.allclose(nothing, mu.expand(n, d)), "with no pixel visible the answer is the mean"
    assert torch.allclose(fill_in(x, torch.ones(d, dtype=torch.bool), mu, W, sigma2), x), "with all visible, nothing changes"


self_check("generation-ppca-fill", check_ppca_fill)


# %% ex={"id": "generation-ppca-fill", "role": "probe", "points": 4}
def probe(seed):
    double = {"generator": torch.Generator().manual_seed(seed), "dtype": torch.float64}
    x, mu, W = torch.randn(5, 9, **double), torch.randn(9, **double), torch.randn(9, 3, **double)
    seen = torch.rand(9, **double) < 0.6
    return fill_in(x, seen, mu, W, torch.rand((), **double) + 0.1)


# %% ex={"id": "generation-ppca-fill", "role": "wrong", "why": "uses the posterior's matrix M of all pixels instead of the visible ones"}
def fill_in(x, seen, mu, W, sigma2):
    M = W.T @ W + sigma2 * torch.eye(W.shape[1], dtype=W.dtype)
    z = torch.linalg.solve(M, W[seen].T @ (x[:, seen] - mu[seen]).T).T
    return torch.where(seen, x, mu + z @ W.T)


# %% ex={"id": "generation-ppca-fill", "role": "wrong", "why": "least squares in the latent space: ignores the noise variance and the prior"}
def fill_in(x, seen, mu, W, sigma2):
    z = (x[:, seen] - mu[seen]) @ torch.linalg.pinv(W[seen]).T
    return torch.where(seen, x, mu + z @ W.T)


# %% ex={"id": "generation-ppca-fill", "role": "wrong", "why": "does not centre the visible pixels"}
def fill_in(x, seen, mu, W, sigma2):
    V = W[seen]
    M = V.T @ V + sigma2 * torch.eye(W.shape[1], dtype=W.dtype)
    z = torch.linalg.solve(M, V.T @ x[:, seen].T).T
    return torch.where(seen, x, mu + z @ W.T)


# %% [markdown] ex={"id": "generation-ppca-em", "role": "statement", "kind": "implement", "points": 6, "minutes": 40, "difficulty": 4, "topic": "represent"}
# #### pPCA by expectation and maximisation
#
# The closed form needs the eigenvectors of a $d \times d$ matrix. The EM algorithm needs only $k \times k$ systems. With
# $M = W^\top W + \sigma^2 I$, the expectations under the current parameters are
# $\langle z_i\rangle = M^{-1}W^\top(x_i - \mu)$ and $\langle z_i z_i^\top\rangle = \sigma^2 M^{-1} + \langle z_i\rangle\langle z_i\rangle^\top$.
# Derive and implement one full step: the new $W$ and $\sigma^2$ maximise the expected complete log-likelihood
#
# $$\sum_i \Big\langle \log \mathcal N(x_i;\, W z_i + \mu,\, \sigma^2 I) \Big\rangle .$$
#
# Keep $\mu$ at the mean of the data.

# %% ex={"id": "generation-ppca-em", "role": "solution"}
def em_step(x, W, sigma2):
    """One step of EM: x (n, d), W (d, k), sigma2 scalar tensor -> new W (d, k), new sigma2."""
    ### BEGIN SOLUTION
    n, d = x.shape
    r = x - x.mean(0)
    M = W.T @ W + sigma2 * torch.eye(W.shape[1], dtype=W.dtype)
    z = torch.linalg.solve(M, W.T @ r.T).T  # (n, k)
    second = n * sigma2 * torch.linalg.inv(M) + z.T @ z  # (k, k), summed over the examples
    W_new = torch.linalg.solve(second, z.T @ r).T
    sigma2_new = ((r**2).sum() - 2 * ((r @ W_new) * z).sum() + (second * (W_new.T @ W_new)).sum()) / (n * d)
    return W_new, sigma2_new
    ### END SOLUTION


# %% ex={"id": "generation-ppca-em", "role": "check"}
def check_ppca_em():
    double = {"generator": torch.Generator().manual_seed(3), "dtype": torch.float64}
    n, d, k = 60, 6, 2
    x = torch.randn(n, d, **double) @ torch.randn(d, d, **double) + 3.0
    r = x - x.mean(0)

    def log_likelihood(W, sigma2):
        law = torch.distributions.MultivariateNormal(x.mean(0), W @ W.T + sigma2 * torch.eye(d, dtype=torch.float64))
        return law.log_prob(x).mean().item()

    W, sigma2 = torch.randn(d, k, **double), torch.tensor(0.6, dtype=torch.float64)
    W_new, sigma2_new = em_step(x, W, sigma2)
    assert W_new.shape == W.shape, f"the new W must have shape {tuple(W.shape)}, got {tuple(W_new.shape)}"
    # the step must maximise the expected complete log-likelihood: its gradient vanishes there
    cov = torch.linalg.inv(torch.eye(k, dtype=torch.float64) + W.T @ W / sigma2)
    z = r @ W @ cov / sigma2
    a, b = W_new.clone().requires_grad_(), torch.as_tensor(sigma2_new, dtype=torch.float64).clone().requires_grad_()
    expected = ((r - z @ a.T) ** 2).sum() + n * (a @ cov @ a.T).trace()
    q = -0.5 * n * d * b.log() - 0.5 * expected / b
    for name, gradient in zip(("W", "sigma2"), torch.autograd.grad(q, (a, b)), strict=True):
        assert gradient.abs().max() < 1e-6 * n, f"{name} does not maximise the expected complete log-likelihood"
    before = log_likelihood(W, sigma2)
    for _ in range(600):
        W, sigma2 = em_step(x, W, sigma2)
        after = log_likelihood(W, sigma2)
        assert after >= before - 1e-10, "a step of EM must never lower the likelihood"
        before = after
    spectrum = torch.linalg.eigvalsh(r.T @ r / n)
    assert abs(sigma2 - spectrum[: d - k].mean()) < 1e-3 * spectrum[0], "at convergence sigma2 is the mean left-out eigenvalue"


self_check("generation-ppca-em", check_ppca_em)


# %% ex={"id": "generation-ppca-em", "role": "probe", "points": 6}
def probe(seed):
    double = {"generator": torch.Generator().manual_seed(seed), "dtype": torch.float64}
    x = torch.randn(40, 5, **double) @ torch.randn(5, 5, **double) + 2.0
    return em_step(x, torch.randn(5, 2, **double), torch.rand((), **double) + 0.2)


# %% ex={"id": "generation-ppca-em", "role": "wrong", "why": "leaves the posterior covariance out of the second moment"}
def em_step(x, W, sigma2):
    n, d = x.shape
    r = x - x.mean(0)
    M = W.T @ W + sigma2 * torch.eye(W.shape[1], dtype=W.dtype)
    z = torch.linalg.solve(M, W.T @ r.T).T
    W_new = torch.linalg.solve(z.T @ z, z.T @ r).T
    return W_new, ((r - z @ W_new.T) ** 2).sum() / (n * d)


# %% ex={"id": "generation-ppca-em", "role": "wrong", "why": "uses the old W in the update of the noise"}
def em_step(x, W, sigma2):
    n, d = x.shape
    r = x - x.mean(0)
    M = W.T @ W + sigma2 * torch.eye(W.shape[1], dtype=W.dtype)
    z = torch.linalg.solve(M, W.T @ r.T).T
    second = n * sigma2 * torch.linalg.inv(M) + z.T @ z
    W_new = torch.linalg.solve(second, z.T @ r).T
    return W_new, ((r**2).sum() - 2 * ((r @ W) * z).sum() + (second * (W.T @ W)).sum()) / (n * d)


# %% ex={"id": "generation-ppca-em", "role": "wrong", "why": "does not centre the data"}
def em_step(x, W, sigma2):
    n, d = x.shape
    M = W.T @ W + sigma2 * torch.eye(W.shape[1], dtype=W.dtype)
    z = torch.linalg.solve(M, W.T @ x.T).T
    second = n * sigma2 * torch.linalg.inv(M) + z.T @ z
    W_new = torch.linalg.solve(second, z.T @ x).T
    return W_new, ((x**2).sum() - 2 * ((x @ W_new) * z).sum() + (second * (W_new.T @ W_new)).sum()) / (n * d)


# %% [markdown] ex={"id": "generation-tweedie", "role": "statement", "kind": "implement", "points": 5, "minutes": 30, "difficulty": 3, "topic": "sample"}
# #### The expected clean image, without a score
#
# A clean $x_0$ follows a mixture $\sum_c \pi_c\,\mathcal N(\mu_c, \Sigma_c)$; you see $x = x_0 + s\,\varepsilon$ with standard normal
# $\varepsilon$. Compute $\mathbb E[x_0 \mid x]$ from Gaussian conditioning alone: what does each class expect, and how much is each
# class to be believed? (The check compares your answer with $x + s^2\nabla\log p_s(x)$, taken by automatic
# differentiation: Tweedie's formula.)

# %% ex={"id": "generation-tweedie", "role": "solution"}
def expected_clean(x, s, weight, mean, cov):
    """E[x_0 | x]: x (n, d), noise level s > 0, weight (K,), mean (K, d), cov (K, d, d) -> (n, d)."""
    ### BEGIN SOLUTION
    eye = torch.eye(x.shape[1], dtype=x.dtype)
    noisy = torch.distributions.MultivariateNormal(mean, cov + s**2 * eye)
    belief = (weight.log() + noisy.log_prob(x[:, None])).softmax(1)  # (n, K)
    gain = torch.linalg.solve(cov + s**2 * eye, cov)  # (K, d, d), the transpose of cov (cov + s^2 I)^{-1}
    by_class = mean + ((x[:, None] - mean)[:, :, None, :] @ gain)[:, :, 0]  # (n, K, d)
    return (belief[:, :, None] * by_class).sum(1)
    ### END SOLUTION


# %% ex={"id": "generation-tweedie", "role": "check"}
def check_tweedie():
    double = {"generator": torch.Generator().manual_seed(4), "dtype": torch.float64}
    n, K, d, s = 6, 3, 4, 0.8
    weight = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
    mean = 1.5 * torch.randn(K, d, **double)
    root = torch.randn(K, d, d, **double)
    cov = root @ root.mT / d + 0.1 * torch.eye(d, dtype=torch.float64)
    x = 2 * torch.randn(n, d, **double)
    answer = expected_clean(x, s, weight, mean, cov)
    assert answer.shape == (n, d), f"expected shape {(n, d)}, got {tuple(answer.shape)}"
    a = x.clone().requires_grad_()
    parts = [
        w.log() + torch.distributions.MultivariateNormal(m, C + s**2 * torch.eye(d, dtype=torch.float64)).log_prob(a)
        for w, m, C in zip(weight, mean, cov, strict=True)
    ]
    score = torch.autograd.grad(torch.stack(parts).logsumexp(0).sum(), a)[0]
    assert torch.allclose(answer, x + s**2 * score, atol=1e-8), "does not agree with Tweedie's formula"
    blind = expected_clean(x, 1e6, weight, mean, cov)
    assert torch.allclose(blind, (weight @ mean).expand(n, d), atol=1e-3), "under overwhelming noise only the mean is left"
    assert torch.allclose(expected_clean(x, 1e-6, weight, mean, cov), x, atol=1e-6), "without noise the image is its own answer"


self_check("generation-tweedie", check_tweedie)


# %% ex={"id": "generation-tweedie", "role": "probe", "points": 5}
def probe(seed):
    double = {"generator": torch.Generator().manual_seed(seed), "dtype": torch.float64}
    weight, mean, root = torch.rand(3, **double), torch.randn(3, 4, **double), torch.randn(3, 4, 4, **double)
    x, s = 2 * torch.randn(7, 4, **double), 0.3 + torch.rand((), **double).item()
    return expected_clean(x, s, weight / weight.sum(), mean, root @ root.mT + 0.1 * torch.eye(4, dtype=torch.float64))


# %% ex={"id": "generation-tweedie", "role": "wrong", "why": "believes the classes by their prior weights, not given x"}
def expected_clean(x, s, weight, mean, cov):
    gain = torch.linalg.solve(cov + s**2 * torch.eye(x.shape[1], dtype=x.dtype), cov)
    by_class = mean + ((x[:, None] - mean)[:, :, None, :] @ gain)[:, :, 0]
    return (weight[:, None] * by_class).sum(1)


# %% ex={"id": "generation-tweedie", "role": "wrong", "why": "computes the beliefs without the noise"}
def expected_clean(x, s, weight, mean, cov):
    belief = (weight.log() + torch.distributions.MultivariateNormal(mean, cov).log_prob(x[:, None])).softmax(1)
    gain = torch.linalg.solve(cov + s**2 * torch.eye(x.shape[1], dtype=x.dtype), cov)
    by_class = mean + ((x[:, None] - mean)[:, :, None, :] @ gain)[:, :, 0]
    return (belief[:, :, None] * by_class).sum(1)


# %% ex={"id": "generation-tweedie", "role": "wrong", "why": "replaces each class's expectation by its mean"}
def expected_clean(x, s, weight, mean, cov):
    noisy = torch.distributions.MultivariateNormal(mean, cov + s**2 * torch.eye(x.shape[1], dtype=x.dtype))
    belief = (weight.log() + noisy.log_prob(x[:, None])).softmax(1)
    return belief @ mean


# %% [markdown] ex={"id": "generation-copy-test", "role": "statement", "kind": "investigate", "points": 4, "minutes": 25, "difficulty": 3, "topic": "sample"}
# #### A copy test with its error bar
#
# Extend the copy statistic to a test. Return the probability that a generated point lies nearer to the training set than a fresh one (ties
# count half), and how many standard errors it lies above one half. Under exchangeability, with $n$ generated and $m$ fresh points, the
# standard error is that of the Mann–Whitney statistic, $\sqrt{(n + m + 1)/(12nm)}$. Then run it on the generators of this page with
# samples of several sizes: how many draws does it take to notice that one draw in ten is a copy?

# %% ex={"id": "generation-copy-test", "role": "solution"}
def copy_test(generated, fresh, train):
    """Statistic and z-score: (n, d), (m, d), (N, d) -> two floats."""
    ### BEGIN SOLUTION
    near = torch.cdist(generated, train).amin(1)
    far = torch.cdist(fresh, train).amin(1)
    wins = (near[:, None] < far).double() + 0.5 * (near[:, None] == far)
    n, m = wins.shape
    # If a tenth are copies and the rest fresh, the statistic is 0.9 / 2 + 0.1 = 0.55 on average. With n = m draws the
    # standard error is near 1 / sqrt(6 n): two of them fit below 0.05 from n = 267 on, so it takes some hundreds of
    # draws. If the rest lie farther off than fresh ones, as the class mixture's do, the copies stay hidden: the
    # statistic is below one half with and without them.
    statistic = wins.mean().item()
    return statistic, (statistic - 0.5) / math.sqrt((n + m + 1) / (12 * n * m))
    ### END SOLUTION


# %% ex={"id": "generation-copy-test", "role": "check"}
def check_copy_test():
    double = {"generator": torch.Generator().manual_seed(5), "dtype": torch.float64}

    def draw(n):
        return torch.randn(n, 3, **double)

    train, fresh = draw(50), draw(40)
    statistic, z = copy_test(train[:30], fresh, train)
    assert abs(statistic - 1) < 1e-12, "copies of training points are always nearer than fresh points"
    assert z > 5, "a memoriser must be many standard errors away"
    assert abs(copy_test(fresh, fresh, train)[0] - 0.5) < 1e-12, "a sample against itself gives one half: ties count half"
    a, b = draw(25), draw(40)
    there, back = copy_test(a, b, train), copy_test(b, a, train)
    assert abs(there[0] + back[0] - 1) < 1e-12, "exchanging the samples must give 1 minus the statistic"
    assert abs(there[1] + back[1]) < 1e-9, "exchanging the samples must only turn the sign of the z-score"
    grain = (draw(20) * 2).round(), (draw(30) * 2).round(), (draw(15) * 2).round()
    wins = [
        (1.0 if near < far else 0.5 if near == far else 0.0)
        for near in [min(math.dist(p, t) for t in grain[2].tolist()) for p in grain[0].tolist()]
        for far in [min(math.dist(p, t) for t in grain[2].tolist()) for p in grain[1].tolist()]
    ]
    assert abs(copy_test(*grain)[0] - sum(wins) / len(wins)) < 1e-9, "does not agree with counting the pairs one by one"
    # exchangeable: each choice of 3 of 8 points as "generated" is equally probable, so all 56 are tried
    pool, zs = draw(8), []
    for chosen in combinations(range(8), 3):
        generated = torch.zeros(8, dtype=torch.bool)
        generated[list(chosen)] = True
        zs.append(copy_test(pool[generated], pool[~generated], train)[1])
    zs = torch.tensor(zs, dtype=torch.float64)
    assert abs(zs.mean()) < 1e-9, "over all ways to split a sample in two, the z-score must be zero on average"
    assert abs(zs.square().mean() - 1) < 1e-9, "over all ways to split a sample in two, its mean square must be one"


self_check("generation-copy-test", check_copy_test)


# %% ex={"id": "generation-copy-test", "role": "probe", "points": 4}
def probe(seed):
    double = {"generator": torch.Generator().manual_seed(seed), "dtype": torch.float64}
    train, fresh, own = ((2 * torch.randn(n, 2, **double)).round() for n in (20, 30, 17))
    return copy_test(torch.cat([own, train[:6]]), fresh, train)


# %% ex={"id": "generation-copy-test", "role": "wrong", "why": "measures distances between generated and fresh points, not to the training set"}
def copy_test(generated, fresh, train):
    near = torch.cdist(generated, fresh).amin(1)
    far = torch.cdist(fresh, train).amin(1)
    statistic = ((near[:, None] < far).double() + 0.5 * (near[:, None] == far)).mean().item()
    n, m = len(generated), len(fresh)
    return statistic, (statistic - 0.5) / math.sqrt((n + m + 1) / (12 * n * m))


# %% ex={"id": "generation-copy-test", "role": "wrong", "why": "does not count ties"}
def copy_test(generated, fresh, train):
    near = torch.cdist(generated, train).amin(1)
    far = torch.cdist(fresh, train).amin(1)
    statistic = (near[:, None] < far).double().mean().item()
    n, m = len(generated), len(fresh)
    return statistic, (statistic - 0.5) / math.sqrt((n + m + 1) / (12 * n * m))


# %% ex={"id": "generation-copy-test", "role": "wrong", "why": "error bar of the generated sample alone: takes the fresh one as known exactly"}
def copy_test(generated, fresh, train):
    near = torch.cdist(generated, train).amin(1)
    far = torch.cdist(fresh, train).amin(1)
    wins = (near[:, None] < far).double() + 0.5 * (near[:, None] == far)
    return wins.mean().item(), (wins.mean().item() - 0.5) * math.sqrt(12 * len(generated))


# %% ex={"id": "generation-copy-test", "role": "wrong", "why": "treats all n m pairs as independent"}
def copy_test(generated, fresh, train):
    near = torch.cdist(generated, train).amin(1)
    far = torch.cdist(fresh, train).amin(1)
    wins = (near[:, None] < far).double() + 0.5 * (near[:, None] == far)
    return wins.mean().item(), (wins.mean().item() - 0.5) / (0.5 / math.sqrt(wins.numel()))


# %% [markdown] ex={"id": "generation-bridge-budget", "role": "statement", "kind": "investigate", "points": 3, "minutes": 20, "difficulty": 3, "topic": "sample"}
# #### How steep must a generator be?
#
# Two sets lie at distance $\Delta$, and the data visit each with probability one half. A generator with normal $z$ shall put equal
# probability on both and at most $\beta$ on the bridge between them. Use the bridge law to find the smallest Lipschitz constant that makes this
# possible. Tabulate it for $\beta = 0.1, 0.01, 0.001$ and say what a bound on the Lipschitz constant (as spectral normalisation
# imposes) costs.

# %% ex={"id": "generation-bridge-budget", "role": "solution"}
def smallest_lipschitz(distance, bridge):
    """Smallest Lipschitz constant with at most `bridge` probability between equal modes; tensors of one shape."""
    ### BEGIN SOLUTION
    # 2 Phi(D / 2L) - 1 <= beta. The table for D = 1: L = 3.98, 39.9, 399, near phi(0) / beta = 0.399 / beta for small
    # beta: a bridge ten times thinner needs a generator ten times steeper, and a bound on L sets a floor of
    # 2 Phi(D / 2L) - 1 under the junk that no training can remove.
    return distance / (2 * standard.icdf((1 + bridge) / 2))
    ### END SOLUTION


# %% ex={"id": "generation-bridge-budget", "role": "check"}
def check_bridge_budget():
    distance, bridge = torch.tensor([[2.0, 2.0, 5.0], [0.3, 0.02, 0.1]], dtype=torch.float64)
    L = smallest_lipschitz(distance, bridge)
    assert L.shape == (3,), f"expected one constant per pair, got shape {tuple(L.shape)}"
    assert (L > 0).all(), "a Lipschitz constant is positive"
    # the ramp of that slope attains the bound: count how much of its mass lies strictly between the modes
    u = (torch.arange(400_000, dtype=torch.float64) + 0.5) / 400_000
    z = math.sqrt(2) * torch.erfinv(2 * u - 1)
    for D, beta, slope in zip(distance, bridge, L, strict=True):
        ramp = (slope * z).clamp(-D / 2, D / 2)
        between = (ramp.abs() < D / 2).double().mean()
        assert abs(between - beta) < 1e-4, "the ramp with your slope puts another probability on the bridge"
        left, right = (ramp <= -D / 2).double().mean(), (ramp >= D / 2).double().mean()
        assert abs(left - right) < 1e-4, "the ramp should serve both modes equally"
    assert torch.allclose(smallest_lipschitz(3 * distance, bridge), 3 * L), "three times the distance needs three times the slope"
    assert (smallest_lipschitz(distance, bridge / 2) > L).all(), "a smaller bridge needs a steeper generator"


self_check("generation-bridge-budget", check_bridge_budget)


# %% ex={"id": "generation-bridge-budget", "role": "probe", "points": 3}
def probe(seed):
    double = {"generator": torch.Generator().manual_seed(seed), "dtype": torch.float64}
    return smallest_lipschitz(5 * torch.rand(6, **double) + 0.1, 0.5 * torch.rand(6, **double) + 0.001)


# %% ex={"id": "generation-bridge-budget", "role": "wrong", "why": "takes the whole bridge on one side: forgets that it is symmetric"}
def smallest_lipschitz(distance, bridge):
    return distance / (2 * standard.icdf(0.5 + bridge))


# %% ex={"id": "generation-bridge-budget", "role": "wrong", "why": "forgets the factor 2: uses the distance to the middle twice"}
def smallest_lipschitz(distance, bridge):
    return distance / standard.icdf((1 + bridge) / 2)


# %% ex={"id": "generation-bridge-budget", "role": "wrong", "why": "confuses the mass of a mode with the mass of the bridge"}
def smallest_lipschitz(distance, bridge):
    return distance / (2 * standard.icdf(1 - bridge / 2))

# %% [markdown] ex={"id": "generation-explain-three", "role": "statement", "kind": "explain", "points": 6, "minutes": 20, "difficulty": 2, "topic": "objectives"}
# #### One number for three jobs
#
# A colleague wants a single score with which to rank generative models for three uses: drawing new images, telling unusual images from usual ones,
# and providing features for a classifier with few labels. Give, for two *different* pairs of these uses, a model that is excellent at
# one and useless at the other, and say why no monotone function of the test log-likelihood can be that single score.

# %% [markdown] ex={"id": "generation-explain-three", "role": "solution"}
# Drawing against scoring: a sampler that shows stored training images draws perfect images and assigns probability zero to every new one.
# Conversely a mixture with one per cent of a good density and 99 per cent noise loses only $\log 100 = 4.6$ nats per image, a fraction
# of a per cent of the score of an image, and nearly all its samples are noise. Scoring against features: an autoregressive model without latent variables
# can have the best density and offers no code at all; and a model whose latent variable is ignored (posterior equal to prior) keeps its
# likelihood while its code says nothing. Since models with nearly equal likelihood can be at both ends of the other two uses, and a
# model with likelihood zero can be at the top, any monotone function of the likelihood must rank some pair wrongly for at least
# one use.

# %% [markdown] ex={"id": "generation-explain-three", "role": "rubric"}
# - 2: a valid pair with a concrete model for drawing against scoring (copies, or the mixture with noise), with the reason
# - 2: a valid pair that involves features (no code, or a code that is ignored), with the reason
# - 2: concludes from nearly equal likelihoods with opposite quality (or zero likelihood with good samples) that no monotone function serves
