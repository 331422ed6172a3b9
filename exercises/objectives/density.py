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
# # Exercises: Density estimation

# %% ex={"role": "setup"}
import math

import torch

from genkit.checks import self_check

torch.set_default_dtype(torch.float64)


# %% [markdown] ex={"id": "density-kde", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "density"}
# #### A bandwidth for every axis
#
# Height in metres and weight in kilograms should not share a bandwidth. Give axis $j$ its own $h_j>0$:
#
# $$
# \hat p(x) = \frac{1}{n\,C}\sum_{i=1}^n \prod_{j=1}^d \varphi\!\left(\frac{x_j-x_{ij}}{h_j}\right),
# $$
#
# with $\varphi$ the standard normal density. Find the constant $C$ that makes $\hat p$ integrate to one, and return the
# *logarithm* of $\hat p$ so that a point far from all examples does not become $\log 0$.

# %% ex={"id": "density-kde", "role": "solution"}
def kde_axes_log_density(x, centres, h):
    """Log density in nats, (m,), of the kernel estimate with bandwidths h (d,); x is (m, d), centres (n, d)."""
    ### BEGIN SOLUTION
    scaled = (x[:, None] - centres) / h     # (m, n, d)
    log_kernel = -0.5 * (scaled**2).sum(-1) - 0.5 * len(h) * math.log(
        2 * math.pi
    )
    return (
        torch.logsumexp(log_kernel, 1) - math.log(len(centres)) - h.log().sum()
    )
    ### END SOLUTION


# %% ex={"id": "density-kde", "role": "check"}
def check_density_kde():
    g = torch.Generator().manual_seed(5)
    for d, bandwidths in ((1, [0.4]), (2, [0.2, 1.5]), (3, [0.3, 0.6, 2.0])):
        h, centres = torch.tensor(bandwidths), torch.randn(7, d, generator=g)
        pick = torch.randint(7, (40_000,), generator=g)
        x = centres[pick] + 1.5 * h * torch.randn(40_000, d, generator=g)
        normal = torch.distributions.Normal(centres, 1.5 * h)
        proposal = torch.logsumexp(
            normal.log_prob(x[:, None]).sum(-1), 1
        ) - math.log(7)
        answer = kde_axes_log_density(x, centres, h)
        assert answer.shape == (40_000,), (
            f"expected shape (m,), got {tuple(answer.shape)}"
        )
        weight = (answer - proposal).exp()
        error = weight.std() / 200
        assert abs(weight.mean() - 1) < 5 * error, (
            f"in {d} dimension(s) your estimate does not integrate to one"
        )
    # h is the last one, (3,), and so are the centres, (7, 3)
    alone, steps = centres[:1], torch.diag(h)
    drop = kde_axes_log_density(alone, alone, h) - kde_axes_log_density(
        alone + steps, alone, h
    )
    assert torch.allclose(drop, torch.full((3,), 0.5)), (
        "one bandwidth away from a single example, along any axis, φ has dropped by a factor e^(-1/2)"
    )
    apart = [kde_axes_log_density(x[:50], c[None], h).exp() for c in centres]
    together = kde_axes_log_density(x[:50], centres, h).exp()
    assert torch.allclose(together, sum(apart) / 7), (
        "the estimate from seven examples must be the average of seven estimates"
    )
    far = kde_axes_log_density(torch.full((1, 3), 1e3), centres, h)
    assert bool(torch.isfinite(far).all()), (
        "far from all examples the log density must stay finite"
    )
    twice = kde_axes_log_density(x[:50], torch.cat([centres, centres]), h)
    assert torch.allclose(twice, kde_axes_log_density(x[:50], centres, h)), (
        "repeating every example must change nothing"
    )

self_check("density-kde", check_density_kde)


# %% ex={"id": "density-kde", "role": "probe", "points": 3}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    h = torch.rand(3, generator=g) + 0.2
    x, centres = torch.randn(40, 3, generator=g), torch.randn(11, 3, generator=g)
    return kde_axes_log_density(x, centres, h)


# %% ex={"id": "density-kde", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    far = 200 + 100 * torch.rand(5, 2, generator=g)
    return kde_axes_log_density(far, torch.randn(6, 2, generator=g), torch.rand(2, generator=g) + 0.5)


# %% ex={"id": "density-kde", "role": "wrong", "why": "divides by the mean bandwidth once, not by the product over the axes"}
def kde_axes_log_density(x, centres, h):
    scaled = (x[:, None] - centres) / h
    log_kernel = -0.5 * (scaled**2).sum(-1) - 0.5 * len(h) * math.log(
        2 * math.pi
    )
    return (
        torch.logsumexp(log_kernel, 1) - math.log(len(centres)) - h.mean().log()
    )


# %% ex={"id": "density-kde", "role": "wrong", "why": "averages the logarithms of the kernels instead of the kernels"}
def kde_axes_log_density(x, centres, h):
    scaled = (x[:, None] - centres) / h
    log_kernel = -0.5 * (scaled**2).sum(-1) - 0.5 * len(h) * math.log(
        2 * math.pi
    )
    return log_kernel.mean(1) - h.log().sum()


# %% ex={"id": "density-kde", "role": "wrong", "why": "takes the logarithm after the kernels have underflowed to zero"}
def kde_axes_log_density(x, centres, h):
    scaled = (x[:, None] - centres) / h
    kernel = torch.exp(-0.5 * (scaled**2).sum(-1)) / (
        (2 * math.pi) ** (len(h) / 2) * h.prod()
    )
    return kernel.mean(1).log()


# %% ex={"id": "density-kde", "role": "wrong", "why": "takes the bandwidth for a variance: integrates to one, with the wrong width"}
def kde_axes_log_density(x, centres, h):
    squared = ((x[:, None] - centres) ** 2 / h).sum(-1)
    log_kernel = -0.5 * squared - 0.5 * (2 * math.pi * h).log().sum()
    return torch.logsumexp(log_kernel, 1) - math.log(len(centres))


# %% ex={"id": "density-kde", "role": "wrong", "why": "one geometric mean bandwidth for every axis: integrates to one, with the wrong shape"}
def kde_axes_log_density(x, centres, h):
    common = h.log().mean().exp()
    scaled = (x[:, None] - centres) / common
    log_kernel = -0.5 * (scaled**2).sum(-1) - len(h) * math.log(
        common * math.sqrt(2 * math.pi)
    )
    return torch.logsumexp(log_kernel, 1) - math.log(len(centres))


# %% [markdown] ex={"id": "density-loo", "role": "statement", "kind": "implement", "points": 4, "minutes": 25, "difficulty": 3, "topic": "density"}
# #### A bandwidth without a validation set
#
# With few examples one would rather not give any away. **Leave-one-out** cross-validation scores each $x_i$ under the
# isotropic Gaussian kernel estimate made from all the *others*,
#
# $$
# \ell(h) = \frac1n\sum_{i=1}^n \log \hat p_{-i}(x_i),
# $$
#
# and needs only one $n\times n$ matrix of distances. Compute $\ell(h)$, finite even when $h$ is far smaller than the distances. What must happen on the
# diagonal, and what is the factor in front of each sum of kernels?

# %% ex={"id": "density-loo", "role": "solution"}
def leave_one_out(x, h):
    """Average leave-one-out log density, a scalar in nats, of the examples x (n, d) with bandwidth h."""
    ### BEGIN SOLUTION
    n, d = x.shape
    # (n, n)
    log_kernel = -(torch.cdist(x, x) ** 2) / (2 * h**2) - d * math.log(
        h * math.sqrt(2 * math.pi)
    )
    log_kernel.fill_diagonal_(-math.inf)
    return (torch.logsumexp(log_kernel, 1) - math.log(n - 1)).mean()
    ### END SOLUTION


# %% ex={"id": "density-loo", "role": "check"}
def check_density_loo():
    g = torch.Generator().manual_seed(8)
    for n, d, h in ((2, 1, 0.7), (9, 2, 0.3), (25, 5, 0.9)):
        x = torch.randn(n, d, generator=g)
        slow = 0.0
        for i in range(n):  # n separate estimates, one kernel at a time
            others = [
                torch.distributions.Normal(x[j], h).log_prob(x[i]).sum().exp()
                for j in range(n)
                if j != i
            ]
            slow += math.log(sum(others) / len(others)) / n
        answer = float(leave_one_out(x, h))
        assert abs(answer - slow) < 1e-6, (
            f"for n = {n}, d = {d} a slow loop over n estimates disagrees"
        )
    x = torch.randn(300, 2, generator=g)
    assert math.isfinite(leave_one_out(x, 1e-3)), (
        "a bandwidth far below the distances must give a low score, not minus infinity"
    )
    assert leave_one_out(x, 1e-3) < leave_one_out(x, 0.3), (
        "needles must score badly when no point sits on its own"
    )
    assert leave_one_out(x, 30.0) < leave_one_out(x, 0.3), (
        "a bump as broad as a house must score badly"
    )

self_check("density-loo", check_density_loo)


# %% ex={"id": "density-loo", "role": "probe", "points": 3}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(30, 3, generator=g)
    return [leave_one_out(x, h) for h in (0.3, 0.8, 2.0)]


# %% ex={"id": "density-loo", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    return leave_one_out(torch.randn(12, 2, generator=g), 0.01)


# %% ex={"id": "density-loo", "role": "wrong", "why": "keeps the diagonal, so that every example sits on its own bump"}
def leave_one_out(x, h):
    n, d = x.shape
    log_kernel = -(torch.cdist(x, x) ** 2) / (2 * h**2) - d * math.log(
        h * math.sqrt(2 * math.pi)
    )
    return (torch.logsumexp(log_kernel, 1) - math.log(n)).mean()


# %% ex={"id": "density-loo", "role": "wrong", "why": "divides by n although n - 1 bumps are left"}
def leave_one_out(x, h):
    n, d = x.shape
    log_kernel = -(torch.cdist(x, x) ** 2) / (2 * h**2) - d * math.log(
        h * math.sqrt(2 * math.pi)
    )
    log_kernel.fill_diagonal_(-math.inf)
    return (torch.logsumexp(log_kernel, 1) - math.log(n)).mean()


# %% ex={"id": "density-loo", "role": "wrong", "why": "sets the kernel of a point with itself to one: zero in the logarithm"}
def leave_one_out(x, h):
    n, d = x.shape
    log_kernel = -(torch.cdist(x, x) ** 2) / (2 * h**2) - d * math.log(
        h * math.sqrt(2 * math.pi)
    )
    log_kernel.fill_diagonal_(0.0)
    return (torch.logsumexp(log_kernel, 1) - math.log(n - 1)).mean()


# %% ex={"id": "density-loo", "role": "wrong", "why": "adds the kernels before taking the logarithm, so that lonely examples give log 0"}
def leave_one_out(x, h):
    n, d = x.shape
    kernel = torch.exp(-(torch.cdist(x, x) ** 2) / (2 * h**2))
    kernel = kernel / (h * math.sqrt(2 * math.pi)) ** d
    kernel.fill_diagonal_(0.0)
    return (kernel.sum(1) / (n - 1)).log().mean()


# %% [markdown] ex={"id": "density-logit", "role": "statement", "kind": "implement", "points": 4, "minutes": 25, "difficulty": 2, "topic": "flows"}
# #### A flow onto the unit cube
#
# Grey levels live in $(0,1)$. Let $z\sim\mathcal N(0,I_d)$ and $x_j = \sigma(a_j z_j + b_j)$ with the logistic function
# $\sigma(t) = 1/(1+e^{-t})$ and $a_j\ne 0$, possibly negative. Write down the log density of $x$ by a change of variables. (You will need
# $\sigma'(t)=\sigma(t)(1-\sigma(t))$, and the *absolute* value of a determinant.)

# %% ex={"id": "density-logit", "role": "solution"}
def logit_normal_log_density(x, a, b):
    """Log density in nats, (n,), of x = sigmoid(a z + b) with z standard normal; x (n, d) inside (0, 1), a and b (d,)."""
    ### BEGIN SOLUTION
    z = (torch.logit(x) - b) / a            # f⁻¹(x), (n, d)
    log_base = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
    log_det = -a.abs().log() - x.log() - torch.log1p(-x)  # log |dz/dx|
    return (log_base + log_det).sum(1)
    ### END SOLUTION


# %% ex={"id": "density-logit", "role": "check"}
def check_density_logit():
    for a, b in ((0.5, 0.0), (1.3, -0.7), (-2.0, 0.4)):
        cut = torch.linspace(1e-6, 1 - 1e-6, 100_001)
        p = logit_normal_log_density(
            cut[:, None], torch.tensor([a]), torch.tensor([b])
        ).exp()
        assert p.shape == cut.shape, (
            f"expected shape (n,), got {tuple(p.shape)}"
        )
        assert abs(torch.trapezoid(p, cut) - 1) < 1e-3, (
            f"for a = {a}, b = {b} your density does not integrate to one"
        )
        # Pr(x < 1/2) = Pr(a z + b < 0)
        half = torch.trapezoid(p[:50_001], cut[:50_001])
        truth = torch.special.ndtr(torch.tensor(-b / abs(a)))
        assert abs(half - truth) < 1e-3, (
            "the mass below one half is wrong: is f⁻¹ right?"
        )
    g = torch.Generator().manual_seed(2)
    a, b, z = (
        torch.tensor([0.5, -1.5, 2.0]),
        torch.tensor([0.1, 0.0, -1.0]),
        torch.randn(6, 3, generator=g),
    )
    for point in z:
        jacobian = torch.autograd.functional.jacobian(
            lambda t: torch.sigmoid(a * t + b), point
        )
        slow = (
            torch.distributions.Normal(0.0, 1.0).log_prob(point).sum()
            - torch.linalg.slogdet(jacobian)[1]
        )
        fast = logit_normal_log_density(
            torch.sigmoid(a * point + b)[None], a, b
        )[0]
        assert abs(slow - fast) < 1e-8, (
            "in three dimensions the determinant from autograd disagrees"
        )

self_check("density-logit", check_density_logit)


# %% ex={"id": "density-logit", "role": "probe", "points": 4}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    x, b = torch.rand(20, 4, generator=g), torch.randn(4, generator=g)
    a = (torch.rand(4, generator=g) + 0.3) * torch.tensor([1.0, -1.0, 1.0, -1.0])
    return logit_normal_log_density(x, a, b)


# %% ex={"id": "density-logit", "role": "wrong", "why": "adds the log determinant of f instead of that of its inverse"}
def logit_normal_log_density(x, a, b):
    z = (torch.logit(x) - b) / a
    log_base = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
    log_det = a.abs().log() + x.log() + torch.log1p(-x)
    return (log_base + log_det).sum(1)


# %% ex={"id": "density-logit", "role": "wrong", "why": "forgets that a stretches too"}
def logit_normal_log_density(x, a, b):
    z = (torch.logit(x) - b) / a
    log_base = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
    return (log_base - x.log() - torch.log1p(-x)).sum(1)


# %% ex={"id": "density-logit", "role": "wrong", "why": "takes the logarithm of a negative a"}
def logit_normal_log_density(x, a, b):
    z = (torch.logit(x) - b) / a
    log_base = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
    return (log_base - a.log() - x.log() - torch.log1p(-x)).sum(1)


# %% ex={"id": "density-logit", "role": "wrong", "why": "averages over the dimensions instead of adding"}
def logit_normal_log_density(x, a, b):
    z = (torch.logit(x) - b) / a
    log_base = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
    return (log_base - a.abs().log() - x.log() - torch.log1p(-x)).mean(1)


# %% [markdown] ex={"id": "density-rans", "role": "statement", "kind": "implement", "points": 6, "minutes": 35, "difficulty": 3, "topic": "coding"}
# #### A codec for an alphabet
#
# The codec of the page knows two symbols. Write one for symbols $0,\dots,K-1$, where symbol $k$ owns `counts[k]` of the
# $M=\sum_k$ `counts[k]` slots, in order. Encode a list of symbols into one integer, starting from 1, so that `rans_decode` returns the list
# in its original order and the integer has hardly more than $\sum -\log_2(\text{counts}[x]/M)$ bits.

# %% ex={"id": "density-rans", "role": "solution"}
def rans_encode(symbols, counts):
    """One integer that holds the list of symbols; counts is a list of K positive integers."""
    ### BEGIN SOLUTION
    total, starts = sum(counts), [sum(counts[:k]) for k in range(len(counts))]
    s = 1
    for k in reversed(symbols):
        s = (s // counts[k]) * total + starts[k] + s % counts[k]
    return s
    ### END SOLUTION

def rans_decode(s, n, counts):
    """The n symbols that rans_encode put into the integer s, as a list, first symbol first."""
    ### BEGIN SOLUTION
    total, starts = sum(counts), [sum(counts[:k]) for k in range(len(counts))]
    # slot -> symbol
    owner = [k for k, c in enumerate(counts) for _ in range(c)]
    symbols = []
    for _ in range(n):
        k = owner[s % total]
        s = counts[k] * (s // total) + s % total - starts[k]
        symbols.append(k)
    return symbols
    ### END SOLUTION


# %% ex={"id": "density-rans", "role": "check"}
def check_density_rans():
    g = torch.Generator().manual_seed(4)
    for counts in ([3, 1], [1, 1, 1, 1], [100, 20, 7, 1], [1, 499, 12]):
        total = sum(counts)
        weights = torch.tensor(counts, dtype=torch.float64)
        symbols = torch.multinomial(
            weights, 2000, replacement=True, generator=g
        ).tolist()
        s = rans_encode(list(symbols), list(counts))
        assert isinstance(s, int), "the message must be one Python integer"
        assert rans_decode(s, 2000, list(counts)) == symbols, (
            "decoding must give the symbols back, in their order"
        )
        ideal = sum(-math.log2(counts[k] / total) for k in symbols)
        assert s.bit_length() <= 1.01 * ideal + math.log2(total) + 2, (
            "the message is much longer than the ideal code"
        )
        for i in range(25):  # the slot on top belongs to the first symbol
            slot = rans_encode(symbols[i:25], list(counts)) % total
            owner = sum(slot >= sum(counts[: k + 1]) for k in range(len(counts)))
            assert owner == symbols[i], (
                "symbol k must own counts[k] slots, in order, and the first symbol must lie on top"
            )
    assert rans_encode([], [2, 3]) == 1, "nothing to say is the integer 1"

self_check("density-rans", check_density_rans)


# %% ex={"id": "density-rans", "role": "probe", "points": 3}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    counts = (torch.randint(1, 9, (4,), generator=g)).tolist()
    symbols = torch.randint(4, (60,), generator=g).tolist()
    s = int(rans_encode(symbols, counts))
    return [s.bit_length(), *(s >> shift & 0xFFFF for shift in range(0, 240, 16))]


# %% ex={"id": "density-rans", "role": "probe", "points": 3}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    counts = (torch.randint(1, 9, (5,), generator=g)).tolist()
    message = 0
    for word in torch.randint(2**31, (6,), generator=g).tolist():
        message = message << 31 | word
    return torch.tensor(rans_decode(message, 40, counts))


# %% ex={"id": "density-rans", "role": "wrong", "why": "pushes the first symbol first, so that it comes out last"}
def rans_encode(symbols, counts):
    total, starts = sum(counts), [sum(counts[:k]) for k in range(len(counts))]
    s = 1
    for k in symbols:
        s = (s // counts[k]) * total + starts[k] + s % counts[k]
    return s

def rans_decode(s, n, counts):
    total, starts = sum(counts), [sum(counts[:k]) for k in range(len(counts))]
    owner = [k for k, c in enumerate(counts) for _ in range(c)]
    symbols = []
    for _ in range(n):
        k = owner[s % total]
        s = counts[k] * (s // total) + s % total - starts[k]
        symbols.append(k)
    return symbols


# %% ex={"id": "density-rans", "role": "wrong", "why": "a number in base K: comes back, but ignores the probabilities"}
def rans_encode(symbols, counts):
    s = 1
    for k in reversed(symbols):
        s = s * len(counts) + k
    return s

def rans_decode(s, n, counts):
    symbols = []
    for _ in range(n):
        s, k = divmod(s, len(counts))
        symbols.append(k)
    return symbols


# %% ex={"id": "density-rans", "role": "wrong", "why": "forgets the first slot of the symbol, so that symbols collide"}
def rans_encode(symbols, counts):
    total = sum(counts)
    s = 1
    for k in reversed(symbols):
        s = (s // counts[k]) * total + s % counts[k]
    return s

def rans_decode(s, n, counts):
    total, starts = sum(counts), [sum(counts[:k]) for k in range(len(counts))]
    owner = [k for k, c in enumerate(counts) for _ in range(c)]
    symbols = []
    for _ in range(n):
        k = owner[s % total]
        s = counts[k] * (s // total) + s % total - starts[k]
        symbols.append(k)
    return symbols


# %% ex={"id": "density-rans", "role": "wrong", "why": "starts from 0, so that leading symbols 0 leave no trace, and lays the slots out from the last symbol"}
def rans_encode(symbols, counts):
    total, starts = sum(counts), [sum(counts[k + 1 :]) for k in range(len(counts))]
    s = 0
    for k in reversed(symbols):
        s = (s // counts[k]) * total + starts[k] + s % counts[k]
    return s

def rans_decode(s, n, counts):
    total, starts = sum(counts), [sum(counts[k + 1 :]) for k in range(len(counts))]
    owner = [k for k in reversed(range(len(counts))) for _ in range(counts[k])]
    symbols = []
    for _ in range(n):
        k = owner[s % total]
        s = counts[k] * (s // total) + s % total - starts[k]
        symbols.append(k)
    return symbols


# %% [markdown] ex={"id": "density-rate", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "information"}
# #### How many nats is a symbol of weather worth?
#
# A stationary Markov chain on $K$ states has the transition matrix $P$, $P_{ij} = \Pr(x_{t+1}=j\mid x_t=i)$. Compute its
# entropy rate in nats, $\bar H = -\sum_i \pi_i \sum_j P_{ij}\log P_{ij}$, where $\pi P=\pi$. Zeros in $P$ are allowed; the chain is irreducible, but it may be periodic,
# so that iterating $\pi\leftarrow\pi P$ need not converge.

# %% ex={"id": "density-rate", "role": "solution"}
def entropy_rate(P):
    """Entropy rate in nats per symbol, a scalar, of the irreducible transition matrix P (K, K) with rows adding to one."""
    ### BEGIN SOLUTION
    K = len(P)
    # π P = π and Σ π = 1
    equations = torch.cat([P.T - torch.eye(K), torch.ones(1, K)])
    right = torch.cat([torch.zeros(K), torch.ones(1)])
    pi = torch.linalg.lstsq(equations, right[:, None]).solution[:, 0]  # (K,)
    return -(pi @ torch.special.xlogy(P, P)).sum()
    ### END SOLUTION


# %% ex={"id": "density-rate", "role": "check"}
def check_density_rate():
    g = torch.Generator().manual_seed(6)
    ring = torch.roll(torch.eye(4), 1, 1)
    assert abs(float(entropy_rate(ring))) < 1e-9, (
        "a chain that walks in a circle is perfectly predictable"
    )
    star = torch.tensor([[0.0, 0.2, 0.8], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    every_other = torch.distributions.Bernoulli(0.2).entropy() / 2
    assert abs(entropy_rate(star) - every_other) < 1e-8, (
        "a periodic chain whose every second step is certain is worth half a coin per step"
    )
    row = torch.rand(5, generator=g)
    row = row / row.sum()
    memoryless = torch.distributions.Categorical(row).entropy()
    assert abs(entropy_rate(row.repeat(5, 1)) - memoryless) < 1e-9, (
        "equal rows: the rate is the entropy of a row"
    )
    for K in (2, 3):
        P = torch.rand(K, K, generator=g) ** 2
        P = P / P.sum(1, keepdim=True)
        start = torch.linalg.matrix_power(P, 200)[0]
        # all sequences of length T, T + 1: difference of their entropies
        p = start
        entropies = []
        for _ in range(8):
            entropies.append(-torch.special.xlogy(p, p).sum())
            p = (p.reshape(-1, K, 1) * P).reshape(-1)
        assert abs(entropy_rate(P) - (entropies[-1] - entropies[-2])) < 1e-8, (
            "enumeration of all sequences disagrees"
        )
        # two copies that alternate: periodic, with the same rate
        bigger = torch.block_diag(P, P).roll(K, 1)
        assert abs(entropy_rate(bigger) - entropy_rate(P)) < 1e-8, (
            "a periodic chain: find π by solving, not by iterating"
        )

self_check("density-rate", check_density_rate)


# %% ex={"id": "density-rate", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    P = torch.rand(5, 5, generator=g) ** 3
    return entropy_rate(P / P.sum(1, keepdim=True))


# %% ex={"id": "density-rate", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    P = torch.zeros(5, 5)  # states 0 and 1 lead to 2, 3, 4 and back: a chain of period two
    P[:2, 2:] = torch.rand(2, 3, generator=g)
    P[2:, :2] = torch.rand(3, 2, generator=g)
    return entropy_rate(P / P.sum(1, keepdim=True))


# %% ex={"id": "density-rate", "role": "wrong", "why": "gives every state the same weight"}
def entropy_rate(P):
    return -torch.special.xlogy(P, P).sum(1).mean()


# %% ex={"id": "density-rate", "role": "wrong", "why": "returns the entropy of the stationary distribution"}
def entropy_rate(P):
    K = len(P)
    equations = torch.cat([P.T - torch.eye(K), torch.ones(1, K)])
    pi = torch.linalg.lstsq(
        equations, torch.cat([torch.zeros(K), torch.ones(1)])[:, None]
    ).solution[:, 0]
    return -torch.special.xlogy(pi, pi).sum()


# %% ex={"id": "density-rate", "role": "wrong", "why": "0 log 0 becomes nan when a transition is impossible"}
def entropy_rate(P):
    K = len(P)
    equations = torch.cat([P.T - torch.eye(K), torch.ones(1, K)])
    pi = torch.linalg.lstsq(
        equations, torch.cat([torch.zeros(K), torch.ones(1)])[:, None]
    ).solution[:, 0]
    return -(pi @ (P * P.log())).sum()


# %% ex={"id": "density-rate", "role": "wrong", "why": "bits, where nats were asked for"}
def entropy_rate(P):
    K = len(P)
    equations = torch.cat([P.T - torch.eye(K), torch.ones(1, K)])
    pi = torch.linalg.lstsq(
        equations, torch.cat([torch.zeros(K), torch.ones(1)])[:, None]
    ).solution[:, 0]
    return -(pi @ torch.special.xlogy(P, P)).sum() / math.log(2)


# %% ex={"id": "density-rate", "role": "wrong", "why": "iterates from equal weights, which never settles if the chain is periodic"}
def entropy_rate(P):
    pi = torch.full((len(P),), 1 / len(P))
    for _ in range(1000):
        pi = pi @ P
    return -(pi @ torch.special.xlogy(P, P)).sum()


# %% [markdown] ex={"id": "density-posterior", "role": "statement", "kind": "investigate", "points": 5, "minutes": 30, "difficulty": 3, "topic": "inference"}
# #### Which pixels should one measure?
#
# A Gaussian prior $\mathcal N(\mu,\Sigma)$ is known, and $y=Ax+\sigma\varepsilon$ will be measured. The expected squared error of
# the posterior mean, $\operatorname{tr}(\Sigma - \Sigma A^\top(A\Sigma A^\top+\sigma^2I)^{-1}A\Sigma)$, does not depend on $y$: an experiment can be
# judged before it is made. Write `expected_error`, then use it in `best_pixels`: choose $k$ pixels to measure *greedily*, at each step the
# one that brings the expected error down most. Are the best pixels those that vary most? Try it with the digits' covariance.

# %% ex={"id": "density-posterior", "role": "solution"}
def expected_error(S, A, sigma):
    """Expected squared error, summed over pixels, after measuring A x + sigma noise; S (d, d), A (m, d). A scalar."""
    ### BEGIN SOLUTION
    C = A @ S @ A.T + sigma**2 * torch.eye(len(A))
    return torch.trace(S - S @ A.T @ torch.linalg.solve(C, A @ S))
    ### END SOLUTION

def best_pixels(S, sigma, k):
    """List of k different pixel numbers, in the order in which the greedy rule chooses them."""
    ### BEGIN SOLUTION
    chosen, eye = [], torch.eye(len(S))
    for _ in range(k):
        rest = [j for j in range(len(S)) if j not in chosen]
        chosen.append(
            min(
                rest,
                key=lambda j: float(
                    expected_error(S, eye[chosen + [j]], sigma)
                ),
            )
        )
    return chosen
    # The best pixels are not those that vary most. With the digits' covariance and sigma = 1, the ten largest
    # variances sit side by side and repeat each other; the greedy ten are spread out and leave a smaller error.
    ### END SOLUTION


# %% ex={"id": "density-posterior", "role": "check"}
def check_density_posterior():
    g = torch.Generator().manual_seed(9)
    for d, m, sigma in ((1, 1, 0.5), (4, 2, 0.3), (5, 7, 2.0)):
        root, A = torch.randn(d, d, generator=g), torch.randn(m, d, generator=g)
        S = root @ root.T + 0.1 * torch.eye(d)
        # precisions add
        slow = torch.trace(
            torch.linalg.inv(torch.linalg.inv(S) + A.T @ A / sigma**2)
        )
        assert abs(expected_error(S, A, sigma) - slow) < 1e-6, (
            "compare with the inverse of the sum of the precisions"
        )
    answer = expected_error(S, A, 1e6)
    assert abs(answer - torch.trace(S)) < 1e-3, (
        "a measurement drowned in noise leaves the prior variance"
    )
    # Pixel 0 varies most but stands alone; pixels 1, 2 and 3 vary less and go together.
    S = torch.zeros(5, 5)
    S[1:4, 1:4] = 0.9 * 0.8
    S = S + torch.diag(torch.tensor([1.0, 0.08, 0.08, 0.08, 0.5]))
    first = best_pixels(S, 0.1, 1)
    assert first[0] in (1, 2, 3), (
        "the first pixel should tell something about its neighbours too"
    )
    chosen = best_pixels(S, 0.1, 5)
    assert sorted(chosen) == [0, 1, 2, 3, 4], (
        "every pixel may be chosen once, and each call returns a list of k numbers"
    )
    eye = torch.eye(5)
    for step in range(5):
        options = [
            float(expected_error(S, eye[chosen[:step] + [j]], 0.1))
            for j in range(5)
            if j not in chosen[:step]
        ]
        taken = float(expected_error(S, eye[chosen[: step + 1]], 0.1))
        assert taken <= min(options) + 1e-12, (
            "some other pixel would have lowered the expected error more"
        )

self_check("density-posterior", check_density_posterior)


# %% ex={"id": "density-posterior", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    root, A = torch.randn(6, 6, generator=g), torch.randn(4, 6, generator=g)
    return [expected_error(root @ root.T, A, sigma) for sigma in (0.3, 1.7)]


# %% ex={"id": "density-posterior", "role": "probe", "points": 3}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    root = torch.randn(12, 4, generator=g)
    S = root @ root.T + torch.diag(torch.rand(12, generator=g))
    return torch.tensor(best_pixels(S, 0.4, 8))


# %% ex={"id": "density-posterior", "role": "wrong", "why": "adds sigma instead of sigma squared"}
def expected_error(S, A, sigma):
    C = A @ S @ A.T + sigma * torch.eye(len(A))
    return torch.trace(S - S @ A.T @ torch.linalg.solve(C, A @ S))

def best_pixels(S, sigma, k):
    chosen, eye = [], torch.eye(len(S))
    for _ in range(k):
        rest = [j for j in range(len(S)) if j not in chosen]
        chosen.append(
            min(
                rest,
                key=lambda j: float(
                    expected_error(S, eye[chosen + [j]], sigma)
                ),
            )
        )
    return chosen


# %% ex={"id": "density-posterior", "role": "wrong", "why": "takes the pixels with the largest variance"}
def expected_error(S, A, sigma):
    C = A @ S @ A.T + sigma**2 * torch.eye(len(A))
    return torch.trace(S - S @ A.T @ torch.linalg.solve(C, A @ S))

def best_pixels(S, sigma, k):
    return S.diagonal().argsort(descending=True)[:k].tolist()


# %% ex={"id": "density-posterior", "role": "wrong", "why": "takes the pixel that is most uncertain, not the one that says most about the others"}
def expected_error(S, A, sigma):
    C = A @ S @ A.T + sigma**2 * torch.eye(len(A))
    return torch.trace(S - S @ A.T @ torch.linalg.solve(C, A @ S))

def best_pixels(S, sigma, k):
    chosen = []
    for _ in range(k):
        left = S.diagonal().clone()
        left[chosen] = -1.0
        j = int(left.argmax())
        S = S - torch.outer(S[:, j], S[j]) / (S[j, j] + sigma**2)
        chosen.append(j)
    return chosen


# %% ex={"id": "density-posterior", "role": "wrong", "why": "judges every pixel alone, as if nothing had been measured before"}
def expected_error(S, A, sigma):
    C = A @ S @ A.T + sigma**2 * torch.eye(len(A))
    return torch.trace(S - S @ A.T @ torch.linalg.solve(C, A @ S))

def best_pixels(S, sigma, k):
    eye = torch.eye(len(S))
    return sorted(
        range(len(S)), key=lambda j: float(expected_error(S, eye[[j]], sigma))
    )[:k]

# %% [markdown] ex={"id": "density-explain-floor", "role": "statement", "kind": "explain", "points": 6, "minutes": 20, "difficulty": 3, "topic": "density"}
# #### A score that only goes up
#
# A classmate fits a Gaussian with a free covariance to images of handwritten digits, and each time the smallest eigenvalue that is
# allowed is lowered, the log density of the *test* images goes up, without end. "So the model keeps getting better at digits", is the
# conclusion. In at most ten sentences: say what is going on, why test data do not catch it, and name one change of the score or of the data that
# makes such scores comparable again.

# %% [markdown] ex={"id": "density-explain-floor", "role": "solution"}
# Some pixels are constant in all images, test images included. Along such a direction the data have no density with respect to Lebesgue
# measure: all mass sits on a hyperplane. A Gaussian that becomes narrower there by a factor $c$ gains $\log(1/c)$ nats for *every* image,
# test or training, and there is no smallest width, so the score has no upper end. The test set does not catch it since this is not
# overfitting: the constant pixels of new images are just as constant. Nothing is learnt about the pixels that do vary. Remedies: score
# integers (a probability, which is at most one), or add uniform noise of one grey level before scoring, after which no density can beat
# $-\log$ of one level's width per pixel; or drop the constant pixels and say so.

# %% [markdown] ex={"id": "density-explain-floor", "role": "rubric"}
# - 2: says that constant or deterministic pixels (a hyperplane) let a density rise without bound, by log of the narrowing
# - 2: explains that test images share those pixels, so the gain is no overfitting and a held-out set can't reveal it
# - 2: names a valid remedy (dequantise, score integers, drop constant directions) and why it gives the score an upper end
