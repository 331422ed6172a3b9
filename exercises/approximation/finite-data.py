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


# %% ex={"id": "finite-data-shell", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for d in (1, 2, 5, 30, 400):
        share = 0.02 + 0.97 * torch.rand(1, generator=g).item()
        out.append(d * float(shell_thickness(share, d)))
    return out


# %% ex={"id": "finite-data-shell", "role": "probe", "points": 1, "tol": 1e-09}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []  # nine digits, also of shares so large that their second order shows
    for exponent in (-12, -10, -6, -5):
        for d in (2, 3, 1000, 10**6):
            share = 10 ** (exponent + torch.rand(1, generator=g).item())
            out.append(d * float(shell_thickness(share, d)) / share)
    return out


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
# Good and Turing once more, for the next {{DRAWS}} examples together. Given how often each outcome occurred among $n$ draws, estimate without bias the
# probability $\sum_x p(x)^{{{DRAWS}}}(1-p(x))^{n-{{DRAWS}}}$: that {{DRAWS}} fresh draws all agree, on an outcome that $n-{{DRAWS}}$ draws before them
# did not contain. It is a multiple of the number of outcomes that occur exactly {{DRAWS}} times among the $n$; find the factor as in the proof of
# {prf:ref}`thm-finite-data-good-turing`.

# %% ex={"id": "finite-data-unseen", "role": "numbers", "choices": {"DRAWS": [2, 3]}}
DRAWS = 2


# %% ex={"id": "finite-data-unseen", "role": "solution"}
def unseen_agreement(counts):
    """counts (K,) of all outcomes, zeros included, sum n >= DRAWS -> unbiased estimate, a number"""
    ### BEGIN SOLUTION
    n = int(counts.sum())
    as_often = int((counts == DRAWS).sum())
    return as_often / math.comb(n, DRAWS)
    ### END SOLUTION


# %% ex={"id": "finite-data-unseen", "role": "check"}
def check_finite_data_unseen():
    for p, n in (([0.5, 0.3, 0.2], DRAWS + 2), ([0.7, 0.1, 0.1, 0.1], DRAWS + 3), ([0.5, 0.5], DRAWS)):
        mean = 0.0
        for draws in itertools.product(range(len(p)), repeat=n):  # every sample there is, with its probability
            counts = torch.bincount(torch.tensor(draws), minlength=len(p))
            mean += math.prod(p[x] for x in draws) * unseen_agreement(counts)
        truth = sum(q**DRAWS * (1 - q) ** (n - DRAWS) for q in p)
        assert math.isclose(mean, truth, rel_tol=1e-9), f"n = {n}: the mean over all samples is off by a factor {mean / truth:.3g}"


self_check("finite-data-unseen", check_finite_data_unseen)


# %% ex={"id": "finite-data-unseen", "role": "probe", "points": 4}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for size in (0, 40, 4000):  # size 0: as few draws as there can be; then counts of every size
        often = torch.randint(1, 5, (1,), generator=g).item() if size else 1
        rest = torch.randint(6, (size + 3,), generator=g) * (size > 0)
        counts = torch.cat([torch.full((often,), DRAWS), rest])
        counts = counts[torch.randperm(len(counts), generator=g)]
        out.append(float(unseen_agreement(counts)) * int(counts.sum()) ** DRAWS / (size + 1))
    return out


# %% ex={"id": "finite-data-unseen", "role": "wrong", "why": "divides by n as for one example"}
def unseen_agreement(counts):
    return int((counts == DRAWS).sum()) / int(counts.sum())


# %% ex={"id": "finite-data-unseen", "role": "wrong", "why": "ordered pairs or triples: n(n-1)..."}
def unseen_agreement(counts):
    return int((counts == DRAWS).sum()) / math.perm(int(counts.sum()), DRAWS)


# %% ex={"id": "finite-data-unseen", "role": "wrong", "why": "the share of draws that belong to such an outcome"}
def unseen_agreement(counts):
    return DRAWS * int((counts == DRAWS).sum()) / int(counts.sum())


# %% ex={"id": "finite-data-unseen", "role": "wrong", "why": "all draws that agree, also on what was seen before"}
def unseen_agreement(counts):
    return sum(math.comb(c, DRAWS) for c in counts.tolist()) / math.comb(int(counts.sum()), DRAWS)


# %% ex={"id": "finite-data-unseen", "role": "wrong", "why": "a power of the one-example estimate"}
def unseen_agreement(counts):
    return (int((counts == 1).sum()) / int(counts.sum())) ** DRAWS


# %% ex={"id": "finite-data-unseen", "role": "wrong", "why": "n to a power: draws with replacement from the sample"}
def unseen_agreement(counts):
    return math.factorial(DRAWS) * int((counts == DRAWS).sum()) / int(counts.sum()) ** DRAWS


# %% ex={"id": "finite-data-unseen", "role": "wrong", "why": "counts outcomes that occur at least that often"}
def unseen_agreement(counts):
    return int((counts >= DRAWS).sum()) / math.comb(int(counts.sum()), DRAWS)


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


# %% ex={"id": "finite-data-slerp", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    codes = torch.randn(6, 5, 9, generator=g)
    return blend(codes, 0.2 + 3 * torch.rand(5, generator=g))


# %% ex={"id": "finite-data-slerp", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for scale in (0.01, 1.0, 100.0):  # weights of any size, some of them zero, for one blend alone
        weights = scale * (0.2 + torch.rand(6, generator=g)) * torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 1.0])
        out.append(blend(torch.randn(1, 6, 4, generator=g), weights))
    return out


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
# $\sigma(b_j)$ under the model, with $\sigma(a)=1/(1+e^{-a})$. Return $\mathrm{KL}$ of the truth to the model in nats, for a batch, right to six digits
# for logits as large as $\pm1000$, also for bits that are hardly ever one: no `nan`, no `inf`, no clipping.

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


# %% ex={"id": "finite-data-price", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    a, b = 1.5 * torch.randn(3, 4, 6, generator=g), 1.5 * torch.randn(3, 4, 6, generator=g)
    return bits_kl(a, b)


# %% ex={"id": "finite-data-price", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    size = 100 + 900 * torch.rand(2, 5, 4, generator=g)  # logits of either sign, large in either or both
    sign_a, sign_b = torch.tensor([1.0, 1.0, -1.0, -1.0]), torch.tensor([1.0, -1.0, 1.0, -1.0])
    few = torch.randn(2, 5, 3, generator=g)
    a = torch.cat([sign_a * size[0], few[0], 20 * few[1]], -1)
    b = torch.cat([sign_b * size[1], few[1], 20 * few[0]], -1)
    return bits_kl(a, b)


# %% ex={"id": "finite-data-price", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    b = -35 + 13 * torch.rand(6, 1, generator=g) + 2 * torch.rand(6, 2, generator=g)  # bits that are hardly ever one
    a = b + torch.tensor([[1.0, -1.0], [2.0, -2.0], [3.0, -3.0]]).repeat(2, 1) * (0.5 + torch.rand(6, 2, generator=g))
    return bits_kl(a, b) * torch.exp(-b[:, 0])  # relative to the probability of a one


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

# %% [markdown] ex={"id": "finite-data-explain-purchase", "role": "statement", "kind": "explain", "points": 6, "minutes": 20, "difficulty": 2, "topic": "high dimension"}
# #### Ten million images, please
#
# Black-and-white images of 784 pixels come from a simulator whose law $p$ is known, so that $\mathrm{KL}(p\,\Vert\,p_{\hat\theta})$ can be computed. Two
# models were fitted by maximum likelihood, each to its optimum. Model A has independent pixels; model B predicts each pixel from a few pixels before it. Mean
# divergences, in nats per image:
#
# | model | 10 000 images | 100 000 images |
# |---|---|---|
# | A | $60.039$ | $60.004$ |
# | B | $5.20$ | $5.02$ |
#
# A colleague concludes: "There are $2^{784}$ possible images and we have seen next to none of them. No model can know a law from that. Buy ten million
# images and both models will get better and better." In at most twelve sentences: say what is wrong with the argument about the $2^{784}$ images, estimate the
# divergences of A and of B with ten million images and say how, and recommend how to spend the money.

# %% [markdown] ex={"id": "finite-data-explain-purchase", "role": "solution"}
# Coverage matters for a table, which has one free number per image and learns nothing about images it has not seen. A and B estimate parameters, and each image
# informs many of them: their price, about half the number of parameters over $m$, doesn't depend on the number of possible images.
#
# The divergence is the family's own error plus a term $c/m$. For A the columns differ by $0.035=c\,(10^{-4}-10^{-5})$, so $c\approx390$ (half of 784), and the
# family's part is $60.00$. For B the difference $0.18$ gives $c\approx2000$ and $5.00$. With $m=10^7$, $c/m$ is below $0.001$: A stays at $60.00$, B at
# $5.00$.
#
# So what is left is dependence between pixels that the family can't express, and no data remove it. Spend the money on structure instead: let each pixel
# depend on more, or better chosen, pixels.

# %% [markdown] ex={"id": "finite-data-explain-purchase", "role": "rubric"}
# - 2: coverage of the states concerns a table with a free number per image; models with structure estimate parameters, whose price does not depend on the number of states (one point if only "models generalise")
# - 1: splits the divergence into a constant of the family and a part that falls like one over the number of images
# - 1: predicts 60.00 for A and 5.00 for B (within 0.01), with a reason from that law
# - 1: says that what remains is the family's error (dependence that it can't express) and that no data remove it
# - 1: recommends better structure and not images, naming a kind of it (neighbours, convolution, hidden causes, more context)
