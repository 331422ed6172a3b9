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
# # Exercises: Finite data in high dimension

# %% ex={"role": "setup"}
import itertools
import math

import torch

from genkit.checks import self_check

torch.set_default_dtype(torch.float64)


# %% [markdown] ex={"id": "finite-data-shell", "role": "statement", "kind": "implement", "points": 3, "minutes": 10, "difficulty": 1, "topic": "high dimension"}
# #### How thick is the skin?
#
# Turn {eq}`eq-finite-data-shell` round: return the thickness $\varepsilon$ of the outer shell of the unit ball in $\mathbb R^d$ that holds a given
# share $s\in(0,1)$ of the volume. It must be right to nine digits also for $s=10^{-12}$ and in a million dimensions.

# %% ex={"id": "finite-data-shell", "role": "solution"}
def shell_thickness(share, d):
    """Thickness of the outer shell of the unit d-ball that holds this share of its volume."""
    ### BEGIN SOLUTION
    return -math.expm1(math.log1p(-share) / d)
    ### END SOLUTION


# %% ex={"id": "finite-data-shell", "role": "check"}
def check_finite_data_shell():
    for d, share in ((1, 0.3), (2, 0.5), (10, 0.9), (784, 0.999)):
        eps = shell_thickness(share, d)
        assert 0 < eps < 1, "the shell is thinner than the ball's radius and thicker than nothing"
        assert math.isclose(1 - (1 - eps) ** d, share, rel_tol=1e-9), f"d = {d}: that shell does not hold the share {share}"
    for d in (3, 10**6):
        eps = shell_thickness(1e-12, d)
        assert math.isclose(d * eps, 1e-12, rel_tol=1e-9), "a tiny share: digits are lost in 1 - (1 - something tiny)"


self_check("finite-data-shell", check_finite_data_shell)


# %% ex={"id": "finite-data-shell", "role": "wrong", "why": "inverts the approximation 1 - exp(-d eps)"}
def shell_thickness(share, d):
    return -math.log1p(-share) / d


# %% ex={"id": "finite-data-shell", "role": "wrong", "why": "right in theory, loses its digits to cancellation"}
def shell_thickness(share, d):
    return 1 - (1 - share) ** (1 / d)


# %% ex={"id": "finite-data-shell", "role": "wrong", "why": "loses the digits before expm1 can save them"}
def shell_thickness(share, d):
    return -math.expm1(math.log(1 - share) / d)


# %% ex={"id": "finite-data-shell", "role": "wrong", "why": "first order in the thickness"}
def shell_thickness(share, d):
    return share / d


# %% ex={"id": "finite-data-shell", "role": "wrong", "why": "returns the radius of the core"}
def shell_thickness(share, d):
    return math.exp(math.log1p(-share) / d)


# %% ex={"id": "finite-data-shell", "role": "wrong", "why": "takes the share inside for the share in the shell"}
def shell_thickness(share, d):
    return -math.expm1(math.log(share) / d)


# %% [markdown] ex={"id": "finite-data-unseen", "role": "statement", "kind": "implement", "points": 4, "minutes": 15, "difficulty": 2, "topic": "high dimension"}
# #### How much is new tomorrow?
#
# Good and Turing once more, for the next *two* examples. Given how often each outcome occurred among $n$ draws, estimate without bias the probability
# $\sum_x p(x)^2(1-p(x))^{n-2}$: that two fresh draws agree, on an outcome that the $n-2$ draws before them did not contain. It is a multiple of $n_2$, the
# number of outcomes that occur exactly twice; find the factor as in the proof of {prf:ref}`thm-finite-data-good-turing`.

# %% ex={"id": "finite-data-unseen", "role": "solution"}
def unseen_twin(counts):
    """counts (K,) of all outcomes, zeros included, sum n >= 2 -> unbiased estimate, a number"""
    ### BEGIN SOLUTION
    n = int(counts.sum())
    twice = int((counts == 2).sum())
    return twice / math.comb(n, 2)
    ### END SOLUTION


# %% ex={"id": "finite-data-unseen", "role": "check"}
def check_finite_data_unseen():
    for p, n in (([0.5, 0.3, 0.2], 4), ([0.7, 0.1, 0.1, 0.1], 5), ([0.5, 0.5], 2)):
        mean = 0.0
        for draws in itertools.product(range(len(p)), repeat=n):  # every sample there is, with its probability
            counts = torch.bincount(torch.tensor(draws), minlength=len(p))
            mean += math.prod(p[x] for x in draws) * unseen_twin(counts)
        truth = sum(q**2 * (1 - q) ** (n - 2) for q in p)
        assert math.isclose(mean, truth, rel_tol=1e-9), f"n = {n}: the mean over all samples is off by a factor {mean / truth:.3g}"


self_check("finite-data-unseen", check_finite_data_unseen)


# %% ex={"id": "finite-data-unseen", "role": "wrong", "why": "divides by n as for one example"}
def unseen_twin(counts):
    return int((counts == 2).sum()) / int(counts.sum())


# %% ex={"id": "finite-data-unseen", "role": "wrong", "why": "ordered pairs: n(n-1)"}
def unseen_twin(counts):
    n = int(counts.sum())
    return int((counts == 2).sum()) / (n * (n - 1))


# %% ex={"id": "finite-data-unseen", "role": "wrong", "why": "the share of draws that belong to pairs"}
def unseen_twin(counts):
    return 2 * int((counts == 2).sum()) / int(counts.sum())


# %% ex={"id": "finite-data-unseen", "role": "wrong", "why": "all pairs that agree, also those seen before"}
def unseen_twin(counts):
    n = int(counts.sum())
    return (counts * (counts - 1)).sum().item() / (n * (n - 1))


# %% ex={"id": "finite-data-unseen", "role": "wrong", "why": "squares the one-example estimate"}
def unseen_twin(counts):
    n = int(counts.sum())
    return (int((counts == 1).sum()) / n) ** 2


# %% ex={"id": "finite-data-unseen", "role": "wrong", "why": "counts outcomes that occur at least twice"}
def unseen_twin(counts):
    n = int(counts.sum())
    return int((counts >= 2).sum()) / math.comb(n, 2)


# %% [markdown] ex={"id": "finite-data-slerp", "role": "statement", "kind": "implement", "points": 3, "minutes": 15, "difficulty": 2, "topic": "high dimension"}
# #### Blending several codes
#
# A face generator blends the codes of $k$ people with weights $w_1,\dots,w_k\ge0$, not all zero. The codes are independent draws of $\mathcal N(0,I_d)$.
# Return a blend that is proportional to $\sum_iw_iz_i$ and is itself a draw of $\mathcal N(0,I_d)$, for every choice of weights, exactly. The rows of a batch are
# separate blends: none depends on another.

# %% ex={"id": "finite-data-slerp", "role": "solution"}
def blend(codes, weights):
    """codes (n, k, d), weights (k,) -> (n, d)"""
    ### BEGIN SOLUTION
    return (weights[:, None] * codes).sum(1) / weights.norm()
    ### END SOLUTION


# %% ex={"id": "finite-data-slerp", "role": "check"}
def check_finite_data_slerp():
    g = torch.Generator().manual_seed(3)
    for w in ([1.0], [0.5, 0.5], [1.0, 2.0, 2.0], [3.0, 0.0, 0.0, 0.0], [0.7, 0.2, 0.1]):
        weights = torch.tensor(w)
        z = torch.randn(4000, len(w), 16, generator=g)
        x = blend(z, weights)
        assert x.shape == (4000, 16), f"the blend of (4000, {len(w)}, 16) codes has shape {tuple(x.shape)}"
        cosine = torch.cosine_similarity(x, (weights[:, None] * z).sum(1), dim=1)
        assert (cosine > 1 - 1e-9).all(), "the blend does not point along the weighted sum"
        variance = x.var().item()
        assert abs(variance - 1) < 0.04, f"weights {w}: a coordinate has variance {variance:.2f}, not 1"
        assert x.norm(dim=1).std() > 0.5, "lengths of draws vary; these were forced to one value"
        assert torch.allclose(blend(z[:3], weights), x[:3]), "a row's blend changes with the other rows of its batch"


self_check("finite-data-slerp", check_finite_data_slerp)


# %% ex={"id": "finite-data-slerp", "role": "wrong", "why": "a weighted mean: falls inside the shell"}
def blend(codes, weights):
    return (weights[:, None] * codes).sum(1) / weights.sum()


# %% ex={"id": "finite-data-slerp", "role": "wrong", "why": "divides by the root of the number of codes"}
def blend(codes, weights):
    return (weights[:, None] * codes).sum(1) / math.sqrt(len(weights))


# %% ex={"id": "finite-data-slerp", "role": "wrong", "why": "divides by the squared norm of the weights"}
def blend(codes, weights):
    return (weights[:, None] * codes).sum(1) / weights.norm() ** 2


# %% ex={"id": "finite-data-slerp", "role": "wrong", "why": "roots of the weights: a draw, but of another direction"}
def blend(codes, weights):
    return ((weights / weights.sum()).sqrt()[:, None] * codes).sum(1)


# %% ex={"id": "finite-data-slerp", "role": "wrong", "why": "divides by the standard deviation of the batch"}
def blend(codes, weights):
    total = (weights[:, None] * codes).sum(1)
    return total / total.std()


# %% ex={"id": "finite-data-slerp", "role": "wrong", "why": "forces every length to the root of d"}
def blend(codes, weights):
    total = (weights[:, None] * codes).sum(1)
    return total / total.norm(dim=1, keepdim=True) * math.sqrt(codes.shape[2])


# %% [markdown] ex={"id": "finite-data-price", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "high dimension"}
# #### The price, in logits
#
# Networks output logits, and logits may be large. Let the bits be independent, bit $j$ one with probability $\sigma(a_j)$ under the truth and
# $\sigma(b_j)$ under the model, with $\sigma(a)=1/(1+e^{-a})$. Return $\mathrm{KL}$ of the truth to the model in nats, for a batch, right for logits as
# large as $\pm1000$: no `nan`, no `inf`, no clipping.

# %% ex={"id": "finite-data-price", "role": "solution"}
def bits_kl(a, b):
    """Logits a, b (..., d) -> divergence (...,) in nats"""
    ### BEGIN SOLUTION
    log = torch.nn.functional.logsigmoid
    ones = torch.sigmoid(a) * (log(a) - log(b))
    zeros = torch.sigmoid(-a) * (log(-a) - log(-b))
    return (ones + zeros).sum(-1)
    ### END SOLUTION


# %% ex={"id": "finite-data-price", "role": "check"}
def check_finite_data_price():
    a, b = torch.tensor([0.0, 1.5, -2.0]), torch.tensor([0.5, -1.0, -2.0])
    states = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)))  # enumerate all eight images
    log_p = (states * a - torch.log1p(a.exp())).sum(1)
    log_q = (states * b - torch.log1p(b.exp())).sum(1)
    truth = (log_p.exp() * (log_p - log_q)).sum()
    got = bits_kl(a, b)
    assert got.shape == (), f"one pair of logit vectors gives one number, got shape {tuple(got.shape)}"
    swapped = (log_q.exp() * (log_q - log_p)).sum()
    assert not torch.isclose(got, swapped), "this is the divergence of the model to the truth"
    assert torch.isclose(got, truth, rtol=1e-10), f"the enumeration of all images gives {truth / got:.3g} times that"
    assert bits_kl(a.expand(5, 4, 3), b.expand(5, 4, 3)).shape == (5, 4), "leading axes are a batch"
    big = bits_kl(torch.tensor([1000.0, -1000.0]), torch.tensor([-1000.0, 1000.0]))
    assert torch.isclose(big, torch.tensor(2000.0)), f"two surprises of 1000 nats each: got {big.item()}"
    assert bits_kl(torch.tensor([1000.0, -800.0]), torch.tensor([900.0, -1000.0])).abs() < 1e-9, "sure of the same bits: 0"
    near, far = torch.tensor([-30.0]), torch.tensor([-20.0])  # p = 9e-14: log((1 - p)/(1 - q)) is about q - p
    small = (-20 * torch.ones(())).exp() - 11 * (-30 * torch.ones(())).exp()
    assert torch.isclose(bits_kl(near, far), small, rtol=1e-6), "a bit that is almost never one: digits are lost in 1 - p"


self_check("finite-data-price", check_finite_data_price)


# %% ex={"id": "finite-data-price", "role": "wrong", "why": "through probabilities: 0 log 0"}
def bits_kl(a, b):
    p, q = torch.sigmoid(a), torch.sigmoid(b)
    return (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).sum(-1)


# %% ex={"id": "finite-data-price", "role": "wrong", "why": "both directions added: Jeffreys"}
def bits_kl(a, b):
    return ((torch.sigmoid(a) - torch.sigmoid(b)) * (a - b)).sum(-1)


# %% ex={"id": "finite-data-price", "role": "wrong", "why": "log of 1 - p instead of the other logarithm"}
def bits_kl(a, b):
    log = torch.nn.functional.logsigmoid
    p, q = torch.sigmoid(a), torch.sigmoid(b)
    ones = p * (log(a) - log(b))
    zeros = torch.where(p < 1, (1 - p) * (torch.log1p(-p) - torch.log1p(-q).clamp_min(-1e4)), 0.0)
    return (ones + zeros).sum(-1)


# %% ex={"id": "finite-data-price", "role": "wrong", "why": "swapped"}
def bits_kl(a, b):
    log = torch.nn.functional.logsigmoid
    return (torch.sigmoid(b) * (log(b) - log(a)) + torch.sigmoid(-b) * (log(-b) - log(-a))).sum(-1)


# %% ex={"id": "finite-data-price", "role": "wrong", "why": "averages over the bits"}
def bits_kl(a, b):
    log = torch.nn.functional.logsigmoid
    return (torch.sigmoid(a) * (log(a) - log(b)) + torch.sigmoid(-a) * (log(-a) - log(-b))).mean(-1)


# %% ex={"id": "finite-data-price", "role": "wrong", "why": "the cross-entropy, without the entropy"}
def bits_kl(a, b):
    log = torch.nn.functional.logsigmoid
    return -(torch.sigmoid(a) * log(b) + torch.sigmoid(-a) * log(-b)).sum(-1)


# %% ex={"id": "finite-data-price", "role": "wrong", "why": "clips the probabilities"}
def bits_kl(a, b):
    p, q = torch.sigmoid(a).clamp(1e-7, 1 - 1e-7), torch.sigmoid(b).clamp(1e-7, 1 - 1e-7)
    return (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).sum(-1)
