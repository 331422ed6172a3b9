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
# # Exercises: Taming the critic

# %% ex={"role": "setup"}
import itertools
import math

import torch

from genkit.checks import self_check

torch.set_default_dtype(torch.float64)


# %% [markdown] ex={"id": "critics-penalty", "role": "statement", "kind": "implement", "points": 5, "minutes": 25, "difficulty": 2, "topic": "adversarial"}
# #### The whole critic's loss
#
# Return what a Wasserstein critic *minimises*, {eq}`eq-critics-penalty`, for one batch: real and generated points, a mixing weight $u\in[0,1]$ for each pair,
# $\hat x=u\,x_{\text{real}}+(1-u)\,x_{\text{fake}}$. It must be differentiable in the critic's parameters.

# %% ex={"id": "critics-penalty", "role": "solution"}
def critic_loss(critic, real, fake, u, lam):
    """critic: (n, d) -> (n, 1); real, fake (n, d); u (n,) -> scalar tensor"""
    ### BEGIN SOLUTION
    mixed = (u[:, None] * real + (1 - u[:, None]) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    penalty = ((slope.norm(dim=1) - 1) ** 2).mean()
    return critic(fake).mean() - critic(real).mean() + lam * penalty
    ### END SOLUTION


# %% ex={"id": "critics-penalty", "role": "check"}
def check_critics_penalty():
    g = torch.Generator().manual_seed(3)
    real, fake = torch.randn(50, 2, generator=g) + 2, torch.randn(50, 2, generator=g)
    u = torch.rand(50, generator=g)
    w = torch.tensor([[0.6], [-1.1]], requires_grad=True)

    def flat(x):
        return x @ w

    gap = (real.mean(0) - fake.mean(0)) @ w[:, 0]
    for lam in (0.0, 3.0):
        truth = -gap + lam * (w.norm() - 1) ** 2  # a linear critic has one slope
        got = critic_loss(flat, real, fake, u, lam)
        assert torch.isclose(got, truth), f"linear critic, λ = {lam}: by hand {truth.item():.4f}, got {got.item():.4f}"
    (mine,) = torch.autograd.grad(critic_loss(flat, real, fake, u, 3.0), w)
    (theirs,) = torch.autograd.grad(-(real.mean(0) - fake.mean(0)) @ w[:, 0] + 3.0 * (w.norm() - 1) ** 2, w)
    assert torch.allclose(mine, theirs), "the loss is right but its gradient by the parameters is not: is the penalty differentiable?"

    def bowl(x):
        return 0.5 * w[0] * (x**2).sum(1, keepdim=True)

    at = u[:, None] * real + (1 - u[:, None]) * fake
    slopes = (w[0] * at).norm(dim=1)
    truth = bowl(fake).mean() - bowl(real).mean() + 2.0 * ((slopes - 1) ** 2).mean()
    got = critic_loss(bowl, real, fake, u, 2.0)
    assert torch.isclose(got, truth), "a critic whose slope varies: is the slope taken at the mixed points, one by one, and u the share of the real point?"


self_check("critics-penalty", check_critics_penalty)


# %% ex={"id": "critics-penalty", "role": "probe", "points": 3}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    real, fake = torch.randn(30, 3, generator=g) + 1, torch.randn(30, 3, generator=g)
    u = torch.rand(30, generator=g)
    a, b = torch.randn(3, 8, generator=g), torch.randn(8, 1, generator=g)

    def critic(x):
        return torch.tanh(x @ a) @ b + 0.5 * x[:, :1]

    return [float(critic_loss(critic, real.clone(), fake.clone(), u.clone(), lam)) for lam in (0.0, 0.7, 6.0)]


# %% ex={"id": "critics-penalty", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    real, fake = torch.randn(30, 2, generator=g) + 1, torch.randn(30, 2, generator=g)
    u = torch.rand(30, generator=g)
    a = torch.randn(2, 6, generator=g).requires_grad_()
    b = torch.randn(6, 1, generator=g).requires_grad_()

    def critic(x):
        return torch.tanh(x @ a) @ b

    return list(torch.autograd.grad(critic_loss(critic, real, fake, u, 4.0), (a, b)))


# %% ex={"id": "critics-penalty", "role": "wrong", "why": "the penalty with the sign of the notes"}
def critic_loss(critic, real, fake, u, lam):
    mixed = (u[:, None] * real + (1 - u[:, None]) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    return critic(fake).mean() - critic(real).mean() - lam * ((slope.norm(dim=1) - 1) ** 2).mean()


# %% ex={"id": "critics-penalty", "role": "wrong", "why": "squared norm minus one, without the root"}
def critic_loss(critic, real, fake, u, lam):
    mixed = (u[:, None] * real + (1 - u[:, None]) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    return critic(fake).mean() - critic(real).mean() + lam * (((slope**2).sum(1) - 1) ** 2).mean()


# %% ex={"id": "critics-penalty", "role": "wrong", "why": "the penalty at real points"}
def critic_loss(critic, real, fake, u, lam):
    at = real.detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(at).sum(), at, create_graph=True)
    return critic(fake).mean() - critic(real).mean() + lam * ((slope.norm(dim=1) - 1) ** 2).mean()


# %% ex={"id": "critics-penalty", "role": "wrong", "why": "a penalty without a graph: no gradient reaches the parameters"}
def critic_loss(critic, real, fake, u, lam):
    mixed = (u[:, None] * real + (1 - u[:, None]) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed)
    return critic(fake).mean() - critic(real).mean() + lam * ((slope.norm(dim=1) - 1) ** 2).mean()


# %% ex={"id": "critics-penalty", "role": "wrong", "why": "u taken for the share of the generated point"}
def critic_loss(critic, real, fake, u, lam):
    mixed = (u[:, None] * fake + (1 - u[:, None]) * real).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    return critic(fake).mean() - critic(real).mean() + lam * ((slope.norm(dim=1) - 1) ** 2).mean()


# %% ex={"id": "critics-penalty", "role": "wrong", "why": "punishes only slopes above one"}
def critic_loss(critic, real, fake, u, lam):
    mixed = (u[:, None] * real + (1 - u[:, None]) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    return critic(fake).mean() - critic(real).mean() + lam * ((slope.norm(dim=1) - 1).clamp_min(0) ** 2).mean()


# %% ex={"id": "critics-penalty", "role": "wrong", "why": "slope of the mean: every gradient divided by n"}
def critic_loss(critic, real, fake, u, lam):
    mixed = (u[:, None] * real + (1 - u[:, None]) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(mixed).mean(), mixed, create_graph=True)
    return critic(fake).mean() - critic(real).mean() + lam * ((slope.norm(dim=1) - 1) ** 2).mean()


# %% ex={"id": "critics-penalty", "role": "wrong", "why": "maximises: the value's sign"}
def critic_loss(critic, real, fake, u, lam):
    mixed = (u[:, None] * real + (1 - u[:, None]) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    return critic(real).mean() - critic(fake).mean() + lam * ((slope.norm(dim=1) - 1) ** 2).mean()


# %% ex={"id": "critics-penalty", "role": "wrong", "why": "norm of the mean slope instead of mean over points"}
def critic_loss(critic, real, fake, u, lam):
    mixed = (u[:, None] * real + (1 - u[:, None]) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    return critic(fake).mean() - critic(real).mean() + lam * (slope.mean(0).norm() - 1) ** 2


# %% [markdown] ex={"id": "critics-power", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "adversarial"}
# #### The norm of a map you only have as a function
#
# Find the largest singular value of a linear map that is given as a function, by power iteration. The transpose is free: $W^\top u$ is the gradient of
# $u\cdot Wx$ with respect to $x$. Start from the given vector.

# %% ex={"id": "critics-power", "role": "solution"}
def map_norm(linear, x, rounds=300):
    """linear: tensor like x -> tensor of any shape; x: a start, not zero -> largest singular value, a number"""
    ### BEGIN SOLUTION
    v = x / x.norm()
    for _ in range(rounds):
        v = v.detach().requires_grad_()
        y = linear(v)
        u = (y / y.norm()).detach()
        (back,) = torch.autograd.grad((u * y).sum(), v)
        v = back / back.norm()
    return linear(v).norm().item()
    ### END SOLUTION


# %% ex={"id": "critics-power", "role": "check"}
def check_critics_power():
    g = torch.Generator().manual_seed(5)
    for shape in ((5, 5), (3, 7), (8, 2)):
        w = torch.randn(shape, generator=g)
        truth = torch.linalg.matrix_norm(w, 2).item()
        got = float(map_norm(lambda x, w=w: w @ x, torch.randn(shape[1], generator=g)))
        assert math.isclose(got, truth, rel_tol=1e-6), f"a {shape[0]}×{shape[1]} matrix: the singular value is {truth:.4f}, got {got:.4f}"
    skew = torch.tensor([[0.0, 3.0], [-1.0, 0.0]])  # eigenvalues ±i√3: not its norm
    got = float(map_norm(lambda x: skew @ x, torch.tensor([0.6, 0.8])))
    assert math.isclose(got, 3.0, rel_tol=1e-6), f"a turning map has norm 3; its eigenvalues are something else; got {got:.4f}"
    kernel = torch.randn(3, 2, 3, 3, generator=g)

    def convolve(x):
        return torch.nn.functional.conv2d(torch.nn.functional.pad(x[None], (1, 1, 1, 1), mode="circular"), kernel)[0]

    spectrum = torch.fft.fft2(kernel, s=(6, 6)).permute(2, 3, 0, 1)
    truth = torch.linalg.matrix_norm(spectrum, 2).max().item()
    got = float(map_norm(convolve, torch.randn(2, 6, 6, generator=g), 2000))
    assert math.isclose(got, truth, rel_tol=1e-3), f"a periodic convolution: its spectrum says {truth:.4f}, got {got:.4f}"


self_check("critics-power", check_critics_power)


# %% ex={"id": "critics-power", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for m, n in ((5, 5), (3, 7), (8, 4)):  # singular values near one, the second well below the first
        left = torch.linalg.qr(torch.randn(m, m, generator=g)).Q
        right = torch.linalg.qr(torch.randn(n, n, generator=g)).Q
        k = min(m, n)
        values = 0.75 * torch.rand(k, generator=g)
        values[0] = 0.9 + 0.2 * torch.rand((), generator=g)
        w = left[:, :k] @ torch.diag(values) @ right[:, :k].T
        out.append(float(map_norm(lambda x, w=w: w @ x, torch.randn(n, generator=g))))
    return out


# %% ex={"id": "critics-power", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    a, b = (torch.linalg.qr(torch.randn(k, k, generator=g)).Q for k in (3, 4))
    a, b = a * torch.tensor([1.0, 0.6, 0.3]), b * torch.tensor([0.7, 0.2, 1.0, 0.4])
    mix = 0.5 + 0.5 * torch.rand(2, generator=g)

    def linear(x):  # (2, 3, 4) -> (2, 6)
        return (a @ (mix[0] * x[0] - mix[1] * x[1]) @ b).reshape(2, 6)

    return float(map_norm(linear, torch.randn(2, 3, 4, generator=g)))


# %% ex={"id": "critics-power", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for scale in (30.0, 1000.0):
        q = torch.linalg.qr(torch.randn(4, 4, generator=g)).Q
        w = scale * (1 + torch.rand((), generator=g)) * q * torch.tensor([1.0, 0.7, 0.5, 0.1])
        out.append(float(map_norm(lambda x, w=w: w @ x, torch.randn(4, generator=g))))
    return out


# %% ex={"id": "critics-power", "role": "wrong", "why": "one application to the start"}
def map_norm(linear, x, rounds=300):
    return (linear(x).norm() / x.norm()).item()


# %% ex={"id": "critics-power", "role": "wrong", "why": "applies the map again and again: eigenvalues, and square maps only"}
def map_norm(linear, x, rounds=300):
    v = x / x.norm()
    for _ in range(rounds):
        y = linear(v)
        v = y / y.norm()
    return linear(v).norm().item()


# %% ex={"id": "critics-power", "role": "wrong", "why": "never normalises: overflows"}
def map_norm(linear, x, rounds=300):
    v = x
    for _ in range(rounds):
        v = v.detach().requires_grad_()
        y = linear(v)
        (v,) = torch.autograd.grad((y.detach() * y).sum(), v)
    return (linear(v).norm() / v.norm()).item()


# %% ex={"id": "critics-power", "role": "wrong", "why": "returns the squared singular value"}
def map_norm(linear, x, rounds=300):
    v = x / x.norm()
    for _ in range(rounds):
        v = v.detach().requires_grad_()
        y = linear(v)
        (back,) = torch.autograd.grad((y.detach() * y).sum(), v)
        v = back / back.norm()
    return back.norm().item()


# %% [markdown] ex={"id": "critics-packing", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "adversarial"}
# #### Packing an unbalanced model
#
# {eq}`eq-critics-packing` treats a model that drops modes. Now let it have all of them with the wrong weights: laws $p$ and $q$ on $K$ modes. Return the
# total variation between $m$ draws of each. It depends on an outcome only through how often each mode occurs, so sum over *counts*, with multinomial
# coefficients in logarithms: $K^m$ outcomes are far too many for $K=3$, $m=60$.

# %% ex={"id": "critics-packing", "role": "solution"}
def packed_variation(p, q, m):
    """p, q (K,) positive, m draws -> total variation, a number"""
    ### BEGIN SOLUTION
    def compositions(total, parts):
        if parts == 1:
            yield (total,)
            return
        for first in range(total + 1):
            for rest in compositions(total - first, parts - 1):
                yield (first, *rest)

    counts = torch.tensor(list(compositions(m, len(p)))).double()
    ways = math.lgamma(m + 1) - torch.lgamma(counts + 1).sum(1)
    log_p, log_q = ways + counts @ p.log(), ways + counts @ q.log()
    return 0.5 * (log_p.exp() - log_q.exp()).abs().sum().item()
    ### END SOLUTION


# %% ex={"id": "critics-packing", "role": "check"}
def check_critics_packing():
    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.3, 0.5])
    for a, b in ((p, q), (torch.tensor([0.6, 0.4]), torch.tensor([0.5, 0.5]))):
        for m in (1, 2, 5):
            truth = 0.0
            for outcome in itertools.product(range(len(a)), repeat=m):
                truth += abs(math.prod(float(a[i]) for i in outcome) - math.prod(float(b[i]) for i in outcome)) / 2
            got = float(packed_variation(a.clone(), b.clone(), m))
            assert math.isclose(got, truth, rel_tol=1e-9), f"{m} draws of {len(a)} modes: all outcomes enumerated give {truth:.5f}, got {got:.5f}"
    assert abs(float(packed_variation(p, p.clone(), 6))) < 1e-12, "a law and itself: 0"
    # p and q swap two modes: a set of draws tells them apart by n1 - n3 alone, which is a walk with steps +1, 0, -1
    walk = torch.ones(1)
    for _ in range(60):
        walk = torch.nn.functional.conv1d(walk.view(1, 1, -1), torch.tensor([[[0.5, 0.3, 0.2]]]), padding=2).flatten()
    truth = (walk - walk.flip(0)).abs().sum().item() / 2
    many = float(packed_variation(p, q, 60))
    assert math.isclose(many, truth, rel_tol=1e-9), f"sixty draws: a walk of the difference of two counts gives {truth:.5f}, got {many:.5f}"


self_check("critics-packing", check_critics_packing)


# %% ex={"id": "critics-packing", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for K, m in ((3, 1), (2, 5), (3, 4), (4, 6)):
        p, q = (torch.softmax(torch.randn(K, generator=g), 0) for _ in range(2))
        out.append(float(packed_variation(p, q, m)))
    return out


# %% ex={"id": "critics-packing", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    level = torch.randn(3, generator=g)
    p, q = torch.softmax(level, 0), torch.softmax(level + 0.3 * torch.randn(3, generator=g), 0)
    return float(packed_variation(p, q, 60))


# %% ex={"id": "critics-packing", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    share = 0.45 + 0.1 * torch.rand((), generator=g)
    other = share + 0.01 + 0.02 * torch.rand((), generator=g)
    p, q = torch.stack([share, 1 - share]), torch.stack([other, 1 - other])
    return float(packed_variation(p, q, 1060))


# %% ex={"id": "critics-packing", "role": "wrong", "why": "m times the single-draw variation"}
def packed_variation(p, q, m):
    return min(1.0, m * 0.5 * (p - q).abs().sum().item())


# %% ex={"id": "critics-packing", "role": "wrong", "why": "as if draws missed independently: 1 - (1 - TV)^m"}
def packed_variation(p, q, m):
    return 1 - (1 - 0.5 * (p - q).abs().sum().item()) ** m


# %% ex={"id": "critics-packing", "role": "wrong", "why": "counts without the number of orders"}
def packed_variation(p, q, m):
    seen = set(tuple(sorted(o)) for o in itertools.product(range(len(p)), repeat=min(m, 9)))
    return sum(abs(math.prod(float(p[i]) for i in o) - math.prod(float(q[i]) for i in o)) for o in seen) / 2


# %% ex={"id": "critics-packing", "role": "wrong", "why": "the count of the first mode alone"}
def packed_variation(p, q, m):
    total = 0.0
    for k in range(m + 1):
        one, other = (math.comb(m, k) * float(w[0]) ** k * float(1 - w[0]) ** (m - k) for w in (p, q))
        total += abs(one - other) / 2
    return total


# %% ex={"id": "critics-packing", "role": "wrong", "why": "forgets the half"}
def packed_variation(p, q, m):
    import itertools as it

    total = 0.0
    for c in it.product(range(m + 1), repeat=len(p)):
        if sum(c) == m:
            ways = math.exp(math.lgamma(m + 1) - sum(math.lgamma(k + 1) for k in c))
            total += ways * abs(math.prod(float(a) ** k for a, k in zip(p, c, strict=True)) - math.prod(float(b) ** k for b, k in zip(q, c, strict=True)))
    return total


# %% [markdown] ex={"id": "critics-r1", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "adversarial"}
# #### The logistic discriminator, leashed
#
# Return what a logistic discriminator *minimises* with the zero-centred penalty:
#
# $$
# \begin{aligned}
# &-\mathbb E[\log\sigma(\ell(x_{\text{real}}))]-\mathbb E[\log(1-\sigma(\ell(x_{\text{fake}})))]\\
# &\qquad+\tfrac\gamma2\,\mathbb E\lVert\nabla\ell(x_{\text{real}})\rVert^2,
# \end{aligned}
# $$
#
# for a network of logits $\ell$, differentiable in its parameters and right for logits of $\pm1000$.

# %% ex={"id": "critics-r1", "role": "solution"}
def leashed_loss(logits, real, fake, gamma):
    """logits: (n, d) -> (n, 1); real, fake (n, d) -> scalar tensor"""
    ### BEGIN SOLUTION
    softplus = torch.nn.functional.softplus
    at = real.detach().requires_grad_()
    (slope,) = torch.autograd.grad(logits(at).sum(), at, create_graph=True)
    penalty = 0.5 * gamma * (slope**2).sum(1).mean()
    return softplus(-logits(real)).mean() + softplus(logits(fake)).mean() + penalty
    ### END SOLUTION


# %% ex={"id": "critics-r1", "role": "check"}
def check_critics_r1():
    g = torch.Generator().manual_seed(7)
    real, fake = torch.randn(40, 3, generator=g) + 1, torch.randn(40, 3, generator=g)
    w = torch.tensor([[0.5], [-0.2], [0.8]], requires_grad=True)

    def bowl(x):
        return x @ w + 0.1 * (x**2).sum(1, keepdim=True) * w[0]

    def by_hand(gamma):
        a, b = bowl(real), bowl(fake)
        slope = w[:, 0] + 0.2 * real * w[0]
        return (1 + (-a).exp()).log().mean() + (1 + b.exp()).log().mean() + gamma / 2 * (slope**2).sum(1).mean()

    for gamma in (0.0, 2.0):
        got = leashed_loss(bowl, real, fake, gamma)
        assert torch.isclose(got, by_hand(gamma)), f"γ = {gamma}: by hand {by_hand(gamma).item():.4f}, got {got.item():.4f}"
    (mine,) = torch.autograd.grad(leashed_loss(bowl, real, fake, 2.0), w)
    (theirs,) = torch.autograd.grad(by_hand(2.0), w)
    assert torch.allclose(mine, theirs), "the loss is right but its gradient by the parameters is not"
    big = leashed_loss(lambda x: 1000 * x[:, :1], -torch.ones(4, 1), torch.ones(4, 1), 0.0)
    assert torch.isclose(big, torch.tensor(2000.0)), f"logits of ±1000 on the wrong side: 2000 nats, got {big.item()}"


self_check("critics-r1", check_critics_r1)


# %% ex={"id": "critics-r1", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    real, fake = torch.randn(30, 3, generator=g) + 1, torch.randn(30, 3, generator=g)
    a, b = torch.randn(3, 8, generator=g), torch.randn(8, 1, generator=g)

    def logits(x):
        return torch.tanh(x @ a) @ b + 0.5 * x[:, :1]

    return [float(leashed_loss(logits, real.clone(), fake.clone(), gamma)) for gamma in (0.0, 0.5, 3.0)]


# %% ex={"id": "critics-r1", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    real, fake = torch.randn(30, 2, generator=g) + 1, torch.randn(30, 2, generator=g)
    a = torch.randn(2, 6, generator=g).requires_grad_()
    b = torch.randn(6, 1, generator=g).requires_grad_()

    def logits(x):
        return torch.tanh(x @ a) @ b

    return list(torch.autograd.grad(leashed_loss(logits, real, fake, 2.0), (a, b)))


# %% ex={"id": "critics-r1", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    real, fake = 0.8 + 0.4 * torch.rand(2, 6, 2, generator=g)
    scale = torch.tensor(1000.0, requires_grad=True)
    out = []
    for side in (-1, 1):  # all points on the wrong side, then half of them
        flip = torch.where(torch.arange(6) < 3, -1, side)[:, None]
        loss = leashed_loss(lambda x: scale * x[:, :1], flip * real, -flip * fake, 0.0)
        out += [float(loss), *torch.autograd.grad(loss, scale)]
    return out


# %% ex={"id": "critics-r1", "role": "wrong", "why": "the penalty on generated points"}
def leashed_loss(logits, real, fake, gamma):
    softplus = torch.nn.functional.softplus
    at = fake.detach().requires_grad_()
    (slope,) = torch.autograd.grad(logits(at).sum(), at, create_graph=True)
    return softplus(-logits(real)).mean() + softplus(logits(fake)).mean() + 0.5 * gamma * (slope**2).sum(1).mean()


# %% ex={"id": "critics-r1", "role": "wrong", "why": "mean over coordinates as well: divided by d"}
def leashed_loss(logits, real, fake, gamma):
    softplus = torch.nn.functional.softplus
    at = real.detach().requires_grad_()
    (slope,) = torch.autograd.grad(logits(at).sum(), at, create_graph=True)
    return softplus(-logits(real)).mean() + softplus(logits(fake)).mean() + 0.5 * gamma * (slope**2).mean()


# %% ex={"id": "critics-r1", "role": "wrong", "why": "a penalty without a graph"}
def leashed_loss(logits, real, fake, gamma):
    softplus = torch.nn.functional.softplus
    at = real.detach().requires_grad_()
    (slope,) = torch.autograd.grad(logits(at).sum(), at)
    return softplus(-logits(real)).mean() + softplus(logits(fake)).mean() + 0.5 * gamma * (slope**2).sum(1).mean()


# %% ex={"id": "critics-r1", "role": "wrong", "why": "centred at one"}
def leashed_loss(logits, real, fake, gamma):
    softplus = torch.nn.functional.softplus
    at = real.detach().requires_grad_()
    (slope,) = torch.autograd.grad(logits(at).sum(), at, create_graph=True)
    return softplus(-logits(real)).mean() + softplus(logits(fake)).mean() + 0.5 * gamma * ((slope.norm(dim=1) - 1) ** 2).mean()


# %% ex={"id": "critics-r1", "role": "wrong", "why": "slope of the probability instead of the logit"}
def leashed_loss(logits, real, fake, gamma):
    softplus = torch.nn.functional.softplus
    at = real.detach().requires_grad_()
    (slope,) = torch.autograd.grad(torch.sigmoid(logits(at)).sum(), at, create_graph=True)
    return softplus(-logits(real)).mean() + softplus(logits(fake)).mean() + 0.5 * gamma * (slope**2).sum(1).mean()


# %% ex={"id": "critics-r1", "role": "wrong", "why": "forgets the half"}
def leashed_loss(logits, real, fake, gamma):
    softplus = torch.nn.functional.softplus
    at = real.detach().requires_grad_()
    (slope,) = torch.autograd.grad(logits(at).sum(), at, create_graph=True)
    return softplus(-logits(real)).mean() + softplus(logits(fake)).mean() + gamma * (slope**2).sum(1).mean()


# %% ex={"id": "critics-r1", "role": "wrong", "why": "logarithms of sigmoids: infinite for large logits"}
def leashed_loss(logits, real, fake, gamma):
    at = real.detach().requires_grad_()
    (slope,) = torch.autograd.grad(logits(at).sum(), at, create_graph=True)
    value = torch.log(torch.sigmoid(logits(real))).mean() + torch.log(1 - torch.sigmoid(logits(fake))).mean()
    return -value + 0.5 * gamma * (slope**2).sum(1).mean()

# %% [markdown] ex={"id": "critics-explain-logs", "role": "statement", "kind": "explain", "points": 6, "minutes": 25, "difficulty": 3, "topic": "adversarial"}
# #### Four logs, one word
#
# Four groups train generators of the same data. Each log has a column called "Wasserstein distance": the value $\mathbb E_p[D]-\mathbb E_q[D]$ of a critic
# that was trained to the end, taken on many fresh samples. Group A clips all weights of its three layers to $[-0.1,0.1]$ and reads 6.0. Groups B and C use a
# gradient penalty, B with $\lambda=1$, who reads 3.0, and C with $\lambda=10$, who reads 2.2. Group D normalises all layers spectrally, with activations of
# slope at most one, and reads 1.9. "D's generator is the best, and A's is nearly three times as far from the data as C's", says the summary. In at most
# twelve sentences: say what each of the four numbers tells about the true distance $W_1$ of that group's generator, with a value or a bound where there is
# one; say for which pairs of generators it is settled who is nearer; and say how to arrange a fair comparison. For B and C assume that the generator's law is
# the data's law moved by a vector, as in the theorem about penalised critics; of A and D nothing of the kind is known.

# %% [markdown] ex={"id": "critics-explain-logs", "role": "solution"}
# A: nothing in absolute terms. The clip bounds the slope by a number that nobody knows; without biases, twice the clip allows eight times the value. B and C:
# a penalised critic reads $W(1+W/2\lambda)$, which is more than $W$. For B, $W+W^2/2=3$ gives $W=\sqrt7-1\approx1.65$; for C, $W+W^2/20=2.2$ gives $W=2.0$. So
# B's generator is *nearer* than C's, although it reads more. D: a product of maps of slope at most one has slope at most one, so the critic is a feasible point
# of the dual and its reading a lower bound, $W\ge1.9$. Hence D's generator, with the smallest number of all, is certainly farther than B's; between D and C
# nothing is settled, and nothing about A. Fair: train the same critic with the same leash (one $\lambda$, one architecture, equally long) against each of the
# four generators and compare on fresh samples; better, estimate $W_1$ from samples directly where the dimension allows it.

# %% [markdown] ex={"id": "critics-explain-logs", "role": "rubric"}
# - 2: says that B's and C's readings are too large by the factor 1 + W/2λ and solves for W, about 1.65 and 2.0 (1); concludes that B's generator is nearer than C's, against the order of the readings (1)
# - 2: says that D's reading is a lower bound, W ≥ 1.9, since a normalised critic has slope at most one (1); concludes that D's generator is farther than B's, and that D against C stays open (1)
# - 1: says that A's reading is in units which the clip and the network decide (such as c³ for three layers), so that it can't be compared with any of the others
# - 1: proposes a fair comparison: the same critic, leash and training against every generator, or a reading divided by the critic's largest slope and used as a bound only, or a direct estimate of the distance from samples
