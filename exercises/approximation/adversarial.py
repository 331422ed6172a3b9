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
# # Exercises: The adversarial game

# %% ex={"role": "setup"}
import math

import torch
from torch import nn
from torch.nn.functional import logsigmoid, softplus

from genkit.checks import self_check

torch.set_default_dtype(torch.float64)


# %% [markdown] ex={"id": "adversarial-losses", "role": "statement", "kind": "implement", "points": 3, "minutes": 15, "difficulty": 1, "topic": "losses"}
# #### Three losses from logits
#
# The discriminator returns logits $\ell$, $D=\sigma(\ell)$. Write three losses, each *to be minimised* and each made of means over a batch: the
# discriminator's, $-V$; the generator's non-saturating one; the generator's saturating one, the second term of $V$. Logits of $\pm1000$ occur: no loss may be
# infinite or undefined there, and the non-saturating one must still pass on its full gradient at $-1000$.

# %% ex={"id": "adversarial-losses", "role": "solution"}
def discriminator_objective(real_logits, fake_logits):
    """-V in nats, a scalar; logits of shapes (n,) and (m,)."""
    ### BEGIN SOLUTION
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()
    ### END SOLUTION


def non_saturating_objective(fake_logits):
    """Mean of -log D at the fakes, a scalar; logits (m,)."""
    ### BEGIN SOLUTION
    return softplus(-fake_logits).mean()
    ### END SOLUTION


def saturating_objective(fake_logits):
    """Mean of log(1 - D) at the fakes, a scalar; logits (m,)."""
    ### BEGIN SOLUTION
    return -softplus(fake_logits).mean()
    ### END SOLUTION


# %% ex={"id": "adversarial-losses", "role": "check"}
def check_losses():
    g = torch.Generator().manual_seed(1)
    real, fake = torch.randn(6, generator=g), 2 * torch.randn(9, generator=g)
    loss = discriminator_objective(real, fake)
    assert loss.ndim == 0, "a loss is a scalar"
    slow = sum(-math.log(1 / (1 + math.exp(-t))) for t in real.tolist()) / 6
    slow += sum(-math.log(1 - 1 / (1 + math.exp(-t))) for t in fake.tolist()) / 9
    assert abs(loss - slow) < 1e-10, "the discriminator's loss is not -V, term by term"
    log_D = [math.log(1 / (1 + math.exp(-t))) for t in fake.tolist()]
    means = -sum(log_D) / 9, sum(a - t for a, t in zip(log_D, fake.tolist(), strict=True)) / 9
    for objective, mean in zip((non_saturating_objective, saturating_objective), means, strict=True):
        assert abs(objective(fake) - mean) < 1e-10, f"{objective.__name__} has another value on nine logits, term by term"
    zero = torch.zeros(4)
    assert discriminator_objective(zero + 3, zero - 3) < discriminator_objective(zero, zero), (
        "a discriminator that is right must have the lower loss"
    )
    for objective in (non_saturating_objective, saturating_objective):
        at = torch.tensor([-2.0, 0.0, 1.0], requires_grad=True)
        (gradient,) = torch.autograd.grad(objective(at), at)
        assert (gradient < 0).all(), "descending a generator's loss must raise the logits of its fakes"
    factors = []
    for objective in (saturating_objective, non_saturating_objective):
        at = fake.clone().requires_grad_()
        factors.append(-9 * torch.autograd.grad(objective(at), at)[0])
    assert torch.allclose(factors[0] + factors[1], torch.ones(9)), "through each fake the two gradients must add up to one"
    assert (factors[0] < factors[1])[fake < 0].all(), "on fakes that are found out the saturating loss must send less"
    deep = torch.tensor([-1000.0, -1000.0], requires_grad=True)
    low = non_saturating_objective(deep)
    assert torch.isfinite(low), "a logit of -1000 must not give infinity"
    assert torch.allclose(torch.autograd.grad(low, deep)[0], torch.full((2,), -0.5)), (
        "at a logit of -1000 the non-saturating loss must pass on its full gradient"
    )
    assert torch.isfinite(discriminator_objective(-1000 + zero, 1000 + zero)), "a hopeless discriminator has a finite loss"
    fooled = saturating_objective(1000 + zero)
    assert torch.isfinite(fooled), "a logit of 1000 must not give infinity"


self_check("adversarial-losses", check_losses)


# %% ex={"id": "adversarial-losses", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    real, fake = 1.5 + torch.randn(7, generator=g), 1 + 2 * torch.randn(12, generator=g)
    return discriminator_objective(real, fake)


# %% ex={"id": "adversarial-losses", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    fake = 1 + 2 * torch.randn(12, generator=g)
    return [non_saturating_objective(fake), saturating_objective(fake)]


# %% ex={"id": "adversarial-losses", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    far, out = 900 + 200 * torch.rand(5, generator=g), []
    for sign in (-1, 1):
        at = (sign * far).requires_grad_()
        out += [discriminator_objective(at, -at[:3]), saturating_objective(at), non_saturating_objective(at)]
        out.append(torch.autograd.grad(out[-1], at)[0])
    return out


# %% ex={"id": "adversarial-losses", "role": "wrong", "why": "forms the probabilities, which round to 0 and 1: infinite loss, no gradient"}
def discriminator_objective(real_logits, fake_logits):
    return -torch.sigmoid(real_logits).log().mean() - (1 - torch.sigmoid(fake_logits)).log().mean()


def non_saturating_objective(fake_logits):
    return -torch.sigmoid(fake_logits).log().mean()


def saturating_objective(fake_logits):
    return (1 - torch.sigmoid(fake_logits)).log().mean()


# %% ex={"id": "adversarial-losses", "role": "wrong", "why": "clamps the probabilities: finite, but no gradient where it is needed most"}
def discriminator_objective(real_logits, fake_logits):
    real, fake = (torch.sigmoid(t).clamp(1e-7, 1 - 1e-7) for t in (real_logits, fake_logits))
    return -real.log().mean() - (1 - fake).log().mean()


def non_saturating_objective(fake_logits):
    return -torch.sigmoid(fake_logits).clamp(1e-7, 1 - 1e-7).log().mean()


def saturating_objective(fake_logits):
    return (1 - torch.sigmoid(fake_logits).clamp(1e-7, 1 - 1e-7)).log().mean()


# %% ex={"id": "adversarial-losses", "role": "wrong", "why": "halves the discriminator's loss, as a mean over all examples of both kinds does"}
def discriminator_objective(real_logits, fake_logits):
    return torch.cat([softplus(-real_logits), softplus(fake_logits)]).mean()


def non_saturating_objective(fake_logits):
    return softplus(-fake_logits).mean()


def saturating_objective(fake_logits):
    return -softplus(fake_logits).mean()


# %% ex={"id": "adversarial-losses", "role": "wrong", "why": "sign of the saturating loss: minimises -log(1-D), which helps the discriminator"}
def discriminator_objective(real_logits, fake_logits):
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


def non_saturating_objective(fake_logits):
    return softplus(-fake_logits).mean()


def saturating_objective(fake_logits):
    return softplus(fake_logits).mean()


# %% ex={"id": "adversarial-losses", "role": "wrong", "why": "uses log(1-D) for both generator losses"}
def discriminator_objective(real_logits, fake_logits):
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


def non_saturating_objective(fake_logits):
    return -softplus(fake_logits).mean()


def saturating_objective(fake_logits):
    return -softplus(fake_logits).mean()


# %% ex={"id": "adversarial-losses", "role": "wrong", "why": "labels of real and fake exchanged in the discriminator's loss"}
def discriminator_objective(real_logits, fake_logits):
    return softplus(real_logits).mean() + softplus(-fake_logits).mean()


def non_saturating_objective(fake_logits):
    return softplus(-fake_logits).mean()


def saturating_objective(fake_logits):
    return -softplus(fake_logits).mean()


# %% [markdown] ex={"id": "adversarial-below", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "divergence"}
# #### A divergence from below, honestly
#
# Turn a classifier into a lower bound on $\mathrm{JS}(p,q)$. You get samples `real` and `fake`, each $(n,d)$ with $n$ even, and a function `train(real, fake)`
# that returns a discriminator, a function from points $(m,d)$ to logits $(m,)$. Train on the first half of each sample and do not use it again. Return the
# estimate in nats; its mean, given the discriminator, must be at most $\mathrm{JS}(p,q)$. (It may come out negative. Why must you leave it so?)

# %% ex={"id": "adversarial-below", "role": "solution"}
def js_from_below(real, fake, train):
    """Estimate of JS in nats, from below, a scalar; real and fake (n, d)."""
    ### BEGIN SOLUTION
    half = len(real) // 2
    logits = train(real[:half], fake[:half])
    value = logsigmoid(logits(real[half:])).mean() + logsigmoid(-logits(fake[half:])).mean()
    return (value + math.log(4)) / 2
    ### END SOLUTION


# %% ex={"id": "adversarial-below", "role": "check"}
def check_below():
    g = torch.Generator().manual_seed(3)
    real, fake = torch.randn(4000, 1, generator=g), 2 + torch.randn(4000, 1, generator=g)
    x = torch.linspace(-9, 11, 4001)
    p, q = (torch.distributions.Normal(mean, 1.0).log_prob(x) for mean in (0.0, 2.0))
    m = torch.logaddexp(p, q) - math.log(2)
    js = torch.trapezoid(p.exp() * (p - m) + q.exp() * (q - m), x) / 2
    best = js_from_below(real, fake, lambda a, b: lambda x: 2 - 2 * x[:, 0])
    assert best.ndim == 0, "the estimate is one number"
    assert abs(best - js) < 0.03, "with the best discriminator the estimate must be near JS, in nats"
    coin = js_from_below(real, fake, lambda a, b: lambda x: 0 * x[:, 0])
    assert abs(coin) < 1e-12, "a discriminator that always answers one half has measured nothing: zero"
    inverted = js_from_below(real, fake, lambda a, b: lambda x: 2 * x[:, 0] - 2)
    assert inverted < 0, "a discriminator that is always wrong must come out negative: it is a bound, not a divergence"

    def memory(a, b):  # knows its own examples by heart and nothing else
        return lambda x: 30 * (torch.isin(x[:, 0], a[:, 0]).double() - torch.isin(x[:, 0], b[:, 0]).double())

    same = torch.randn(2000, 1, generator=g), torch.randn(2000, 1, generator=g)
    assert abs(js_from_below(*same, memory)) < 1e-9, "two samples of one law and a discriminator that memorises: the answer is 0"
    seen = []
    js_from_below(real, fake, lambda a, b: seen.extend([a, b]) or (lambda x: 0 * x[:, 0]))
    halves = len(seen) == 2 and all(torch.equal(a, b[:2000]) for a, b in zip(seen, (real, fake), strict=True))
    assert halves, "train once, on the first half of each sample"
    wide = js_from_below(torch.cat([real, fake], 1), torch.cat([fake, real], 1), lambda a, b: lambda x: 2 * x[:, 1] - 2 * x[:, 0])
    assert wide.ndim == 0 and wide > best, "in two dimensions that both tell the laws apart the estimate must be higher than in one"


self_check("adversarial-below", check_below)


# %% ex={"id": "adversarial-below", "role": "probe", "points": 3}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    real, fake = torch.randn(2, 300, 3, generator=g)
    fake = fake + torch.tensor([2.0, 0.0, -1.0])

    def train(a, b):  # the best linear logit for two bells of one width
        a, b = a.mean(0), b.mean(0)
        return lambda x: (x - (a + b) / 2) @ (a - b)

    return js_from_below(real, fake, train)


# %% ex={"id": "adversarial-below", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    real, fake = torch.randn(2, 200, 2, generator=g)
    near = 0.05 * torch.randn(2, generator=g)
    erratic = js_from_below(real, fake, lambda a, b: lambda x: 9 * torch.sin(40 * x[:, 0]) + 3 * (x - near) @ (a[0] - b[0]))
    return [erratic, js_from_below(real, fake + 1, lambda a, b: lambda x: (x - near).sum(1))]


# %% ex={"id": "adversarial-below", "role": "wrong", "why": "evaluates on the half that the discriminator was trained on"}
def js_from_below(real, fake, train):
    half = len(real) // 2
    logits = train(real[:half], fake[:half])
    value = logsigmoid(logits(real[:half])).mean() + logsigmoid(-logits(fake[:half])).mean()
    return (value + math.log(4)) / 2


# %% ex={"id": "adversarial-below", "role": "wrong", "why": "forgets the factor 2 in 2 JS - log 4"}
def js_from_below(real, fake, train):
    half = len(real) // 2
    logits = train(real[:half], fake[:half])
    value = logsigmoid(logits(real[half:])).mean() + logsigmoid(-logits(fake[half:])).mean()
    return value + math.log(4)


# %% ex={"id": "adversarial-below", "role": "wrong", "why": "in bits"}
def js_from_below(real, fake, train):
    half = len(real) // 2
    logits = train(real[:half], fake[:half])
    value = logsigmoid(logits(real[half:])).mean() + logsigmoid(-logits(fake[half:])).mean()
    return (value / math.log(2) + 2) / 2


# %% ex={"id": "adversarial-below", "role": "wrong", "why": "evaluates on all points, those of the training among them"}
def js_from_below(real, fake, train):
    half = len(real) // 2
    logits = train(real[:half], fake[:half])
    value = logsigmoid(logits(real)).mean() + logsigmoid(-logits(fake)).mean()
    return (value + math.log(4)) / 2


# %% ex={"id": "adversarial-below", "role": "wrong", "why": "cuts the estimate off at zero: no lower bound in the mean any more"}
def js_from_below(real, fake, train):
    half = len(real) // 2
    logits = train(real[:half], fake[:half])
    value = logsigmoid(logits(real[half:])).mean() + logsigmoid(-logits(fake[half:])).mean()
    return ((value + math.log(4)) / 2).clamp(min=0)


# %% [markdown] ex={"id": "adversarial-r1", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "penalty"}
# #### The R1 penalty
#
# Write $\tfrac\gamma2\cdot\frac1n\sum_i\lVert\nabla_x\ell(x_i)\rVert^2$ for a discriminator that maps points $(n,d)$ to logits $(n,)$ and treats each row by
# itself. The function gets real and fake points because its caller has both; it must use those that the penalty is about. The result must be differentiable in
# the parameters of the discriminator, and the caller's tensors stay as they are.

# %% ex={"id": "adversarial-r1", "role": "solution"}
def r1_penalty(discriminator, real, fake, gamma):
    """The penalty, a scalar; discriminator: (n, d) -> (n,); real, fake (n, d)."""
    ### BEGIN SOLUTION
    real = real.detach().requires_grad_()
    slope = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)[0]  # (n, d)
    return gamma / 2 * slope.square().sum(1).mean()
    ### END SOLUTION


# %% ex={"id": "adversarial-r1", "role": "check"}
def check_r1():
    g = torch.Generator().manual_seed(5)
    real, fake = torch.randn(7, 3, generator=g), 4 + torch.randn(7, 3, generator=g)
    w = torch.tensor([1.0, -2.0, 0.5], requires_grad=True)
    linear = r1_penalty(lambda x: x @ w + 3, real, fake, 0.8)
    assert linear.ndim == 0, "the penalty is one number"
    assert not real.requires_grad and not fake.requires_grad, "the caller's points must not start to ask for gradients"
    assert abs(linear.item() - 0.4 * float(w.detach() @ w.detach())) < 1e-10, "for a linear discriminator it is γ/2 |w|²"
    (by_w,) = torch.autograd.grad(linear, w)
    assert torch.allclose(by_w, 0.8 * w.detach()), "the penalty must pass a gradient on to the discriminator's parameters"
    # ℓ = |x|²: slopes 2x
    square = r1_penalty(lambda x: w.sum() * 0 + (x**2).sum(1), real, fake, 1.0)
    assert abs(square.item() - 2 * float((real**2).sum(1).mean())) < 1e-9, (
        "the slope is taken at the real points, of the logit, squared before the mean"
    )
    twice = r1_penalty(lambda x: (x**2).sum(1), torch.cat([real, real]), torch.cat([fake, fake]), 1.0)
    assert abs(twice.item() - square.item()) < 1e-9, "seeing every point twice must change nothing"
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    answer = r1_penalty(lambda x: net(x)[:, 0], real, fake, 2.0).item()
    slow = 0.0
    for point in real:
        for k in range(3):
            e = 1e-5 * torch.eye(3)[k]
            slow += ((net(point + e) - net(point - e)).item() / 2e-5) ** 2 / 7
    assert abs(answer - slow) < 1e-6, "finite differences at the real points disagree"


self_check("adversarial-r1", check_r1)


# %% ex={"id": "adversarial-r1", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    real, fake = torch.randn(2, 9, 4, generator=g)
    v, w = torch.randn(4, 6, generator=g), 3 * torch.randn(6, generator=g)
    return r1_penalty(lambda x: torch.tanh(x @ v + 0.3) @ w, real, 2 * fake + 1, 1.7)


# %% ex={"id": "adversarial-r1", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    real, fake = torch.randn(2, 9, 4, generator=g)
    v, w = torch.randn(4, 6, generator=g).requires_grad_(), (3 * torch.randn(6, generator=g)).requires_grad_()
    penalty = r1_penalty(lambda x: torch.sin(x @ v + 0.3) @ w, real, 2 * fake + 1, 1.7)
    return list(torch.autograd.grad(penalty, (v, w)))


# %% ex={"id": "adversarial-r1", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    real, fake = torch.randn(2, 5, 3, generator=g)
    w = torch.randn(3, generator=g)
    penalty = r1_penalty(lambda x: (x**3) @ w, real, fake, 0.4)
    return [penalty, real, fake, real.requires_grad, fake.requires_grad, real.grad is None, fake.grad is None]


# %% ex={"id": "adversarial-r1", "role": "wrong", "why": "takes the slope at the fakes: that is R2"}
def r1_penalty(discriminator, real, fake, gamma):
    fake = fake.detach().requires_grad_()
    slope = torch.autograd.grad(discriminator(fake).sum(), fake, create_graph=True)[0]
    return gamma / 2 * slope.square().sum(1).mean()


# %% ex={"id": "adversarial-r1", "role": "wrong", "why": "no create_graph: a number without influence on the discriminator"}
def r1_penalty(discriminator, real, fake, gamma):
    real = real.detach().requires_grad_()
    slope = torch.autograd.grad(discriminator(real).sum(), real, retain_graph=True)[0]
    return (gamma / 2 * slope.square().sum(1).mean()).requires_grad_()


# %% ex={"id": "adversarial-r1", "role": "wrong", "why": "slope of the batch mean: too small by the square of the batch size"}
def r1_penalty(discriminator, real, fake, gamma):
    real = real.detach().requires_grad_()
    slope = torch.autograd.grad(discriminator(real).mean(), real, create_graph=True)[0]
    return gamma / 2 * slope.square().sum(1).mean()


# %% ex={"id": "adversarial-r1", "role": "wrong", "why": "averages over the coordinates as well: too small by the dimension"}
def r1_penalty(discriminator, real, fake, gamma):
    real = real.detach().requires_grad_()
    slope = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)[0]
    return gamma / 2 * slope.square().mean()


# %% ex={"id": "adversarial-r1", "role": "wrong", "why": "forgets the square: the mean length of the slope"}
def r1_penalty(discriminator, real, fake, gamma):
    real = real.detach().requires_grad_()
    slope = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)[0]
    return gamma / 2 * slope.norm(dim=1).mean()


# %% ex={"id": "adversarial-r1", "role": "wrong", "why": "slope of the probability instead of the logit"}
def r1_penalty(discriminator, real, fake, gamma):
    real = real.detach().requires_grad_()
    slope = torch.autograd.grad(torch.sigmoid(discriminator(real)).sum(), real, create_graph=True)[0]
    return gamma / 2 * slope.square().sum(1).mean()


# %% [markdown] ex={"id": "adversarial-round", "role": "statement", "kind": "implement", "points": 5, "minutes": 25, "difficulty": 3, "topic": "algorithm"}
# #### One round of the game
#
# Write one round of alternating play with plain gradient descent: first a step of the discriminator, which descends $-V$ on real points and fakes $G(z_1)$; then
# a step of the generator, which descends the non-saturating loss on $G(z_2)$ against the *new* discriminator. Losses are made of means over the batch. Both
# networks are modules; change their parameters in place, by $-\eta$ times the gradient (`lr` is $\eta$). Each player's step changes that player only.

# %% ex={"id": "adversarial-round", "role": "solution"}
def play_round(G, D, real, z1, z2, lr):
    """One round in place; real (n, d), z1, z2 (n, k), D(x) logits (n, 1)."""
    ### BEGIN SOLUTION
    loss_D = softplus(-D(real)).mean() + softplus(D(G(z1).detach())).mean()
    step = torch.autograd.grad(loss_D, list(D.parameters()))
    with torch.no_grad():
        for weight, gradient in zip(D.parameters(), step, strict=True):
            weight -= lr * gradient
    loss_G = softplus(-D(G(z2))).mean()
    step = torch.autograd.grad(loss_G, list(G.parameters()))
    with torch.no_grad():
        for weight, gradient in zip(G.parameters(), step, strict=True):
            weight -= lr * gradient
    ### END SOLUTION


# %% ex={"id": "adversarial-round", "role": "check"}
def check_round():
    class Shift(nn.Module):  # G(z) = θ + z
        def __init__(self, theta):
            super().__init__()
            self.theta = nn.Parameter(torch.tensor(theta))

        def forward(self, z):
            return self.theta + z

    class Slope(nn.Module):  # logit ψ x
        def __init__(self, psi):
            super().__init__()
            self.psi = nn.Parameter(torch.tensor(psi))

        def forward(self, x):
            return self.psi * x

    def sigma(t):
        return 1 / (1 + math.exp(-t))

    # one point each, so that every gradient can be written down
    lr, theta, psi, x, a, b = 0.3, 0.9, -0.4, 0.5, 0.2, -0.6
    new_psi = psi + lr * ((1 - sigma(psi * x)) * x - sigma(psi * (theta + a)) * (theta + a))
    new_theta = theta + lr * (1 - sigma(new_psi * (theta + b))) * new_psi
    G, D = Shift(theta), Slope(psi)
    play_round(G, D, *(torch.tensor([[v]]) for v in (x, a, b)), lr)
    assert abs(D.psi.item() - new_psi) < 1e-12, "the discriminator's step is wrong: sign, data, or a step taken twice"
    assert abs(G.theta.item() - new_theta) < 1e-12, (
        "the generator's step is wrong: it descends -log D at G(z2), against the discriminator after its step, and moves once"
    )
    G, D = Shift(theta), Slope(psi)
    play_round(G, D, *(torch.full((5, 1), v) for v in (x, a, b)), lr)
    assert abs(D.psi.item() - new_psi) < 1e-12 and abs(G.theta.item() - new_theta) < 1e-12, (
        "every point five times: a mean over the batch must not change"
    )
    # a second round must not remember anything of the first
    G, D = Shift(theta), Slope(psi)
    play_round(G, D, *(torch.tensor([[v]]) for v in (x, a, b)), lr)
    old_psi, old_theta = D.psi.item(), G.theta.item()
    play_round(G, D, *(torch.tensor([[v]]) for v in (x, a, b)), lr)
    fresh_G, fresh_D = Shift(old_theta), Slope(old_psi)
    play_round(fresh_G, fresh_D, *(torch.tensor([[v]]) for v in (x, a, b)), lr)
    assert abs(D.psi.item() - fresh_D.psi.item()) < 1e-12 and abs(G.theta.item() - fresh_G.theta.item()) < 1e-12, (
        "gradients of an earlier round must not leak into the next"
    )


self_check("adversarial-round", check_round)


# %% ex={"id": "adversarial-round", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    G, D = nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1))
    for weight in [*G.parameters(), *D.parameters()]:
        weight.data = torch.randn(weight.shape, generator=g)
    play_round(G, D, 1 + torch.randn(6, 3, generator=g), *torch.randn(2, 6, 2, generator=g), 0.3)
    return list(D.parameters())


# %% ex={"id": "adversarial-round", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    G, D = nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1))
    for weight in [*G.parameters(), *D.parameters()]:
        weight.data = torch.randn(weight.shape, generator=g)
    play_round(G, D, 1 + torch.randn(6, 3, generator=g), *torch.randn(2, 6, 2, generator=g), 0.3)
    return list(G.parameters())


# %% ex={"id": "adversarial-round", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    G = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 2))
    D = nn.Sequential(nn.Linear(2, 4), nn.Softplus(), nn.Linear(4, 1))
    for weight in [*G.parameters(), *D.parameters()]:
        weight.data = torch.randn(weight.shape, generator=g)
    for _ in range(4):
        play_round(G, D, 1 + torch.randn(8, 2, generator=g), *torch.randn(2, 8, 1, generator=g), 0.2)
    return [*G.parameters(), *D.parameters()]


# %% ex={"id": "adversarial-round", "role": "wrong", "why": "simultaneous: the generator answers the old discriminator"}
def play_round(G, D, real, z1, z2, lr):
    loss_D = softplus(-D(real)).mean() + softplus(D(G(z1).detach())).mean()
    loss_G = softplus(-D(G(z2))).mean()
    moves = [(D, torch.autograd.grad(loss_D, list(D.parameters()))), (G, torch.autograd.grad(loss_G, list(G.parameters())))]
    with torch.no_grad():
        for net, step in moves:
            for weight, gradient in zip(net.parameters(), step, strict=True):
                weight -= lr * gradient


# %% ex={"id": "adversarial-round", "role": "wrong", "why": "fakes not cut off: the discriminator's loss moves the generator as well"}
def play_round(G, D, real, z1, z2, lr):
    G.zero_grad()
    D.zero_grad()
    (softplus(-D(real)).mean() + softplus(D(G(z1))).mean()).backward()
    with torch.no_grad():
        for weight in D.parameters():
            weight -= lr * weight.grad
    softplus(-D(G(z2))).mean().backward()
    with torch.no_grad():
        for weight in G.parameters():
            weight -= lr * weight.grad


# %% ex={"id": "adversarial-round", "role": "wrong", "why": "never clears the discriminator's gradients, which gather those of the generator's step"}
def play_round(G, D, real, z1, z2, lr):
    (softplus(-D(real)).mean() + softplus(D(G(z1).detach())).mean()).backward()
    with torch.no_grad():
        for weight in D.parameters():
            weight -= lr * weight.grad
    G.zero_grad()
    softplus(-D(G(z2))).mean().backward()
    with torch.no_grad():
        for weight in G.parameters():
            weight -= lr * weight.grad


# %% ex={"id": "adversarial-round", "role": "wrong", "why": "the generator's stale fakes of the first half are used again"}
def play_round(G, D, real, z1, z2, lr):
    fake = G(z1)
    loss_D = softplus(-D(real)).mean() + softplus(D(fake.detach())).mean()
    step = torch.autograd.grad(loss_D, list(D.parameters()))
    with torch.no_grad():
        for weight, gradient in zip(D.parameters(), step, strict=True):
            weight -= lr * gradient
    step = torch.autograd.grad(softplus(-D(fake)).mean(), list(G.parameters()))
    with torch.no_grad():
        for weight, gradient in zip(G.parameters(), step, strict=True):
            weight -= lr * gradient


# %% ex={"id": "adversarial-round", "role": "wrong", "why": "sums over the batch instead of means"}
def play_round(G, D, real, z1, z2, lr):
    loss_D = softplus(-D(real)).sum() + softplus(D(G(z1).detach())).sum()
    step = torch.autograd.grad(loss_D, list(D.parameters()))
    with torch.no_grad():
        for weight, gradient in zip(D.parameters(), step, strict=True):
            weight -= lr * gradient
    step = torch.autograd.grad(softplus(-D(G(z2))).sum(), list(G.parameters()))
    with torch.no_grad():
        for weight, gradient in zip(G.parameters(), step, strict=True):
            weight -= lr * gradient


# %% ex={"id": "adversarial-round", "role": "wrong", "why": "the generator descends the saturating loss"}
def play_round(G, D, real, z1, z2, lr):
    loss_D = softplus(-D(real)).mean() + softplus(D(G(z1).detach())).mean()
    step = torch.autograd.grad(loss_D, list(D.parameters()))
    with torch.no_grad():
        for weight, gradient in zip(D.parameters(), step, strict=True):
            weight -= lr * gradient
    step = torch.autograd.grad(-softplus(D(G(z2))).mean(), list(G.parameters()))
    with torch.no_grad():
        for weight, gradient in zip(G.parameters(), step, strict=True):
            weight -= lr * gradient


# %% ex={"id": "adversarial-round", "role": "wrong", "why": "the generator descends log D: it helps the discriminator"}
def play_round(G, D, real, z1, z2, lr):
    loss_D = softplus(-D(real)).mean() + softplus(D(G(z1).detach())).mean()
    step = torch.autograd.grad(loss_D, list(D.parameters()))
    with torch.no_grad():
        for weight, gradient in zip(D.parameters(), step, strict=True):
            weight -= lr * gradient
    step = torch.autograd.grad(-softplus(-D(G(z2))).mean(), list(G.parameters()))
    with torch.no_grad():
        for weight, gradient in zip(G.parameters(), step, strict=True):
            weight -= lr * gradient


# %% [markdown] ex={"id": "adversarial-modulus", "role": "statement", "kind": "investigate", "points": 5, "minutes": 30, "difficulty": 3, "topic": "convergence"}
# #### Does it converge? Ask the eigenvalues
#
# Near an equilibrium the players follow $\dot u=Ju$, with any real square matrix $J$. Return the factor by which an error shrinks or grows per step in the long
# run, the largest modulus of an eigenvalue, for three ways to take a step of length $h$:
#
# - `"simultaneous"`: $u_{t+1}=u_t+hJu_t$;
# - `"extragradient"`: $u_{t+1}=u_t+hJ(u_t+hJu_t)$;
# - `"optimistic"`: $u_{t+1}=u_t+2hJu_t-hJu_{t-1}$, which needs one gradient per step. (It remembers; make its state twice as long.)
#
# Then return the largest step up to which a rule converges on the rotation by $\begin{pmatrix}0&{{SPEED}}\\-{{SPEED}}&0\end{pmatrix}$ (the entry is `SPEED`), to three
# digits, and 0 if it never does. Find it with your first function, by bisection or on a grid.

# %% ex={"id": "adversarial-modulus", "role": "numbers", "choices": {"SPEED": [0.5, 1, 2]}}
SPEED = 1


# %% ex={"id": "adversarial-modulus", "role": "solution"}
def growth(J, h, rule):
    """Largest modulus of an eigenvalue of one step, a scalar; J (n, n)."""
    ### BEGIN SOLUTION
    eye = torch.eye(len(J))
    if rule == "simultaneous":
        step = eye + h * J
    elif rule == "extragradient":
        step = eye + h * J @ (eye + h * J)
    else:  # state (u_t, u_{t-1})
        step = torch.cat([torch.cat([eye + 2 * h * J, -h * J], 1), torch.cat([eye, 0 * eye], 1)])
    return torch.linalg.eigvals(step).abs().max()
    ### END SOLUTION


def largest_step(rule):
    """Largest h up to which the rule converges on the rotation, or 0."""
    ### BEGIN SOLUTION
    rotation = SPEED * torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    low, high = 0.0, 3.0
    while high - low > 1e-5:
        middle = (low + high) / 2
        if growth(rotation, middle, rule) < 1:
            low = middle
        else:
            high = middle
    return low if low > 1e-4 else 0.0
    ### END SOLUTION


# %% ex={"id": "adversarial-modulus", "role": "check"}
def check_modulus():
    play = {
        "simultaneous": lambda J, u, before, h: J @ u,
        "extragradient": lambda J, u, before, h: J @ (u + h * (J @ u)),
        "optimistic": lambda J, u, before, h: J @ (2 * u - before),
    }
    g = torch.Generator().manual_seed(7)
    for trial in range(4):
        n = 2 + trial
        J = torch.randn(n, n, generator=g) - 1.5 * torch.eye(n)
        for rule in play:
            h, logs = 0.2, []
            u = before = torch.randn(n, generator=g)
            for _ in range(2000):  # simply play, and watch the length
                new = u + h * play[rule](J, u, before, h)
                size = new.norm()
                logs.append(size.log())
                before, u = u / size, new / size
            slow = torch.stack(logs[500:]).mean().exp()
            answer = growth(J, h, rule)
            assert abs(answer - slow) < 2e-3, f"{rule}: 2000 steps of play on a {n} by {n} matrix give another rate"
    turn = SPEED * torch.tensor([[0.0, 1.0], [-1.0, 0.0]])

    def length(rule, h):  # after 4000 steps of play from length one
        u = before = torch.tensor([1.0, 0.0])
        for _ in range(4000):
            before, u = u, u + h * play[rule](turn, u, before, h)
        return float(u.norm())

    for rule in play:
        edge = float(largest_step(rule))
        if edge == 0:
            assert length(rule, 0.01) > 1, f"{rule}: there are steps short enough to converge"
        else:
            assert length(rule, 0.995 * edge) < 1, f"{rule}: just below your largest step the players still run away"
            assert length(rule, 1.005 * edge) > 1, f"{rule}: just above your largest step the players still come nearer"


self_check("adversarial-modulus", check_modulus)


# %% ex={"id": "adversarial-modulus", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for n in (2, 3, 4):
        J, h = torch.randn(n, n, generator=g), 0.2 + 0.3 * torch.rand(1, generator=g).item()
        J = J + 2 * torch.ones(n, n).triu(1) - 2 * torch.ones(n, n).tril(-1)
        out += [growth(J, h, "simultaneous"), growth(J, h, "extragradient")]
    return out


# %% ex={"id": "adversarial-modulus", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for n in (2, 3, 4):
        J, h = torch.randn(n, n, generator=g), 0.2 + 0.3 * torch.rand(1, generator=g).item()
        J = J + 2 * torch.ones(n, n).triu(1) - 2 * torch.ones(n, n).tril(-1)
        out.append(growth(J, h, "optimistic"))
    return out


# %% ex={"id": "adversarial-modulus", "role": "probe", "points": 2, "tol": 0.001}
def probe(seed):  # "to three digits": 0.999 and 1 are both right
    return [float(largest_step(rule)) for rule in ("simultaneous", "extragradient", "optimistic")]


# %% ex={"id": "adversarial-modulus", "role": "wrong", "why": "largest real part instead of the modulus"}
def growth(J, h, rule):
    eye = torch.eye(len(J))
    if rule == "simultaneous":
        step = eye + h * J
    elif rule == "extragradient":
        step = eye + h * J @ (eye + h * J)
    else:
        step = torch.cat([torch.cat([eye + 2 * h * J, -h * J], 1), torch.cat([eye, 0 * eye], 1)])
    return torch.linalg.eigvals(step).real.max()


def largest_step(rule):
    turn = SPEED * torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    steps = [h for h in torch.arange(0.001, 3.0, 0.001).tolist() if growth(turn, h, rule) < 1]
    return max(steps, default=0.0)


# %% ex={"id": "adversarial-modulus", "role": "wrong", "why": "half a step ahead, as in the midpoint rule: grows on a rotation"}
def growth(J, h, rule):
    eye = torch.eye(len(J))
    if rule == "simultaneous":
        step = eye + h * J
    elif rule == "extragradient":
        step = eye + h * J @ (eye + h / 2 * J)
    else:
        step = torch.cat([torch.cat([eye + 2 * h * J, -h * J], 1), torch.cat([eye, 0 * eye], 1)])
    return torch.linalg.eigvals(step).abs().max()


def largest_step(rule):
    turn = SPEED * torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    steps = [h for h in torch.arange(0.001, 3.0, 0.001).tolist() if growth(turn, h, rule) < 1]
    return max(steps, default=0.0)


# %% ex={"id": "adversarial-modulus", "role": "wrong", "why": "largest singular value: what one step can do, not what many do"}
def growth(J, h, rule):
    eye = torch.eye(len(J))
    if rule == "simultaneous":
        step = eye + h * J
    elif rule == "extragradient":
        step = eye + h * J @ (eye + h * J)
    else:
        step = torch.cat([torch.cat([eye + 2 * h * J, -h * J], 1), torch.cat([eye, 0 * eye], 1)])
    return torch.linalg.svdvals(step).max()


def largest_step(rule):
    turn = SPEED * torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    steps = [h for h in torch.arange(0.001, 3.0, 0.001).tolist() if growth(turn, h, rule) < 1]
    return max(steps, default=0.0)


# %% ex={"id": "adversarial-modulus", "role": "wrong", "why": "optimism without memory: treats the last gradient as the current one"}
def growth(J, h, rule):
    eye = torch.eye(len(J))
    if rule == "extragradient":
        step = eye + h * J @ (eye + h * J)
    else:
        step = eye + h * J
    return torch.linalg.eigvals(step).abs().max()


def largest_step(rule):
    turn = SPEED * torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    steps = [h for h in torch.arange(0.001, 3.0, 0.001).tolist() if growth(turn, h, rule) < 1]
    return max(steps, default=0.0)


# %% ex={"id": "adversarial-modulus", "role": "wrong", "why": "right rates, but takes the bound of extragradient for all rules"}
def growth(J, h, rule):
    eye = torch.eye(len(J))
    if rule == "simultaneous":
        step = eye + h * J
    elif rule == "extragradient":
        step = eye + h * J @ (eye + h * J)
    else:
        step = torch.cat([torch.cat([eye + 2 * h * J, -h * J], 1), torch.cat([eye, 0 * eye], 1)])
    return torch.linalg.eigvals(step).abs().max()


def largest_step(rule):
    return 0.0 if rule == "simultaneous" else 1.0 / SPEED

# %% [markdown] ex={"id": "adversarial-explain-readings", "role": "statement", "kind": "explain", "points": 6, "minutes": 20, "difficulty": 3, "topic": "divergence"}
# #### Two readings of a referee
#
# Two students train adversarial networks and read them through $\max_DV=2\,\mathrm{JS}(p,q)-\log4$. Ana, with plenty of data: "After 300 steps the
# discriminator's loss $-V$ was $1.39$, which is $\log4$, and stayed there. So $\mathrm{JS}(p,q)=0$: the generator is perfect, and I stopped." Ben has 500
# photographs and a large discriminator: "On my training batches its loss is $0.02$. So $\mathrm{JS}(p,q)$ is at least $0.68$, nearly the largest value there
# is: the generator is hopeless." In at most twelve sentences: what do the readings tell about $\mathrm{JS}(p,q)$, and what not? Describe for each student a
# generator that contradicts the conclusion. Then give each one measurement that would be evidence, with the data it has to be made on.

# %% [markdown] ex={"id": "adversarial-explain-readings", "role": "solution"}
# A given discriminator has the mean value $2\,\mathrm{JS}-\log4$ minus what it misses, so a reading on new data bounds $\mathrm{JS}$ from below. Ana's says
# $\mathrm{JS}\ge0$: nothing. A discriminator that is weak, or lags behind a generator that keeps moving, is undecided too, and an untrained one stands near
# $\log4$ against any generator, however bad. She should freeze the generator, train a fresh discriminator to the end and read it on held-out photographs and new
# fakes, or measure a distance outside the game. Ben reads an average over photographs that the discriminator was trained on, and that is no bound. If it knows
# the 500 by heart and calls everything else made, its loss is near zero for *every* generator, one with $q=p$ included. He should read it on photographs that it
# never saw, with new fakes. If $V$ falls to $-\log4$ there, the $0.02$ was memory, and $\mathrm{JS}$ is still open.

# %% [markdown] ex={"id": "adversarial-explain-readings", "role": "rubric"}
# - 2: Ana: only the best discriminator turns the loss into JS; any other bounds it from below, so log 4 says no more than JS ≥ 0 (1); a counterexample: a bad generator with a weak, untrained or lagging discriminator (1)
# - 2: Ben: the bound holds for the expectation, on data that the discriminator was not trained on (1); a counterexample: a discriminator that knows the 500 photographs by heart has a loss near 0 even if q = p (1)
# - 1: Ana: a fresh or stronger discriminator trained to the end against the frozen generator and evaluated on held-out data, or a distance from outside the game
# - 1: Ben: the same discriminator, or one trained anew, evaluated on held-out photographs and new fakes
