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
# # Exercises: Optimisation

# %% ex={"role": "setup"}
import math

import torch

from genkit.checks import self_check

torch.set_default_dtype(torch.float64)


# %% [markdown] ex={"id": "optimisation-nesterov", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "optimisation"}
# #### Look before you roll
#
# Nesterov's momentum takes the gradient where the ball is *about to be*: with $\tilde\theta_t=\theta_{t-1}-\gamma v_{t-1}$,
#
# $$
# v_t=\gamma v_{t-1}+\eta\nabla L(\tilde\theta_t),\qquad \theta_t=\theta_{t-1}-v_t .
# $$
#
# Return all points $\theta_0,\dots,\theta_T$ for a given gradient function, with $v_0=0$.

# %% ex={"id": "optimisation-nesterov", "role": "solution"}
def nesterov(grad, theta, eta, gamma, steps):
    """grad: (d,) -> (d,); theta (d,) -> points (steps + 1, d)"""
    ### BEGIN SOLUTION
    v, path = torch.zeros_like(theta), [theta]
    for _ in range(steps):
        v = gamma * v + eta * grad(theta - gamma * v)
        theta = theta - v
        path.append(theta)
    return torch.stack(path)
    ### END SOLUTION


# %% ex={"id": "optimisation-nesterov", "role": "check"}
def check_optimisation_nesterov():
    start, steps, eta, gamma = torch.tensor([1.0, -2.0]), 40, 0.02, 0.8
    curvature = torch.tensor([1.0, 30.0])
    mine = nesterov(lambda x: curvature * x, start.clone(), eta, gamma, steps)
    assert mine.shape == (steps + 1, 2), f"{steps} steps give {steps + 1} points in the plane, got shape {tuple(mine.shape)}"
    assert torch.equal(mine[0], start), "the first point is the start"
    # with x for the point ahead, PyTorch's form: velocity from the gradient at x, then a step with both
    ahead = start.clone().requires_grad_()
    sgd = torch.optim.SGD([ahead], lr=eta, momentum=gamma, nesterov=True)
    seen = [start.clone()]
    while len(seen) <= steps:
        sgd.zero_grad()
        (0.5 * (curvature * ahead**2).sum()).backward()
        sgd.step()
        seen.append(ahead.detach().clone())
    velocity = mine[:-1] - mine[1:]
    looks = torch.cat([start[None], mine[1:] - gamma * velocity])
    far = (looks - torch.stack(seen)).abs().max()
    assert far < 1e-10, f"the points at which the gradient is taken are off by {far:.2g}"
    quartic = nesterov(lambda x: x**3, torch.tensor([1.0]), 0.1, 0.5, 2)
    v1 = 0.1
    v2 = 0.05 + 0.1 * (0.9 - 0.05) ** 3
    assert torch.isclose(quartic[2, 0], torch.tensor(1 - v1 - v2)), "two steps by hand on a quartic disagree"


self_check("optimisation-nesterov", check_optimisation_nesterov)


# %% ex={"id": "optimisation-nesterov", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=g)).Q
    H = turn @ torch.diag(torch.tensor([0.5, 3.0, 9.0]) * (1 + torch.rand(3, generator=g))) @ turn.T
    start = 3 + torch.rand(3, generator=g)
    return nesterov(lambda x: H @ x, start, 0.04, float(0.6 + 0.3 * torch.rand((), generator=g)), 30)


# %% ex={"id": "optimisation-nesterov", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    c = 1 + torch.rand(2, generator=g)

    def grad(x):  # not linear, and not the gradient of a quadratic
        return c * x**3 + torch.sin(3 * x).flip(0)

    start = 1 + torch.rand(2, generator=g)
    return [nesterov(grad, start.clone(), 0.03, 0.8, steps) for steps in (0, 1, 12)]


# %% ex={"id": "optimisation-nesterov", "role": "wrong", "why": "the heavy ball: gradient where the ball is"}
def nesterov(grad, theta, eta, gamma, steps):
    v, path = torch.zeros_like(theta), [theta]
    for _ in range(steps):
        v = gamma * v + eta * grad(theta)
        theta = theta - v
        path.append(theta)
    return torch.stack(path)


# %% ex={"id": "optimisation-nesterov", "role": "wrong", "why": "averages the gradient: a factor 1 - gamma too small"}
def nesterov(grad, theta, eta, gamma, steps):
    v, path = torch.zeros_like(theta), [theta]
    for _ in range(steps):
        v = gamma * v + (1 - gamma) * eta * grad(theta - gamma * v)
        theta = theta - v
        path.append(theta)
    return torch.stack(path)


# %% ex={"id": "optimisation-nesterov", "role": "wrong", "why": "returns the points ahead, where the gradient is taken"}
def nesterov(grad, theta, eta, gamma, steps):
    v, path = torch.zeros_like(theta), [theta]
    for _ in range(steps):
        v = gamma * v + eta * grad(theta - gamma * v)
        theta = theta - v
        path.append(theta - gamma * v)
    return torch.stack(path)


# %% ex={"id": "optimisation-nesterov", "role": "wrong", "why": "looks behind instead of ahead"}
def nesterov(grad, theta, eta, gamma, steps):
    v, path = torch.zeros_like(theta), [theta]
    for _ in range(steps):
        v = gamma * v + eta * grad(theta + gamma * v)
        theta = theta - v
        path.append(theta)
    return torch.stack(path)


# %% ex={"id": "optimisation-nesterov", "role": "wrong", "why": "starts the step from the point ahead, so that momentum counts twice"}
def nesterov(grad, theta, eta, gamma, steps):
    v, path = torch.zeros_like(theta), [theta]
    for _ in range(steps):
        ahead = theta - gamma * v
        v = gamma * v + eta * grad(ahead)
        theta = ahead - v
        path.append(theta)
    return torch.stack(path)


# %% [markdown] ex={"id": "optimisation-adamw", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "optimisation"}
# #### Decay that does not adapt
#
# Adding $\tfrac\lambda2\lVert\theta\rVert^2$ to the loss sends $\lambda\theta$ through Adam's division, so that parameters with large gradients are decayed
# least. AdamW {cite:p}`loshchilov2019` decays them all alike: it first replaces $\theta$ by
# $(1-\eta\lambda)\theta$ and then takes Adam's step {eq}`eq-optimisation-adam` with the gradient of the *loss alone*, evaluated before the decay. Return the
# point after all given gradients, which are fixed in advance, with $\beta_1={{BETA1}}$, $\beta_2={{BETA2}}$, $\epsilon=10^{-8}$.

# %% ex={"id": "optimisation-adamw", "role": "numbers", "choices": {"BETA1": [0.9, 0.8, 0.5], "BETA2": [0.999, 0.99, 0.95]}}
BETA1 = 0.9
BETA2 = 0.999


# %% ex={"id": "optimisation-adamw", "role": "solution"}
def adamw(theta, gradients, eta, decay):
    """theta (d,), gradients (T, d) -> theta (d,) after T steps"""
    ### BEGIN SOLUTION
    m, s = torch.zeros_like(theta), torch.zeros_like(theta)
    for t, g in enumerate(gradients, start=1):
        m = BETA1 * m + (1 - BETA1) * g
        s = BETA2 * s + (1 - BETA2) * g**2
        theta = (1 - eta * decay) * theta
        theta = theta - eta * (m / (1 - BETA1**t)) / ((s / (1 - BETA2**t)).sqrt() + 1e-8)
    return theta
    ### END SOLUTION


# %% ex={"id": "optimisation-adamw", "role": "check"}
def check_optimisation_adamw():
    g = torch.Generator().manual_seed(2)
    gradients = torch.randn(25, 3, generator=g) * torch.tensor([1e-3, 1.0, 50.0])
    start = torch.tensor([1.0, -2.0, 3.0])
    for decay in (0.0, 0.3):
        theirs = start.clone().requires_grad_()
        reference = torch.optim.AdamW([theirs], lr=0.02, betas=(BETA1, BETA2), weight_decay=decay)
        for row in gradients:
            theirs.grad = row.clone()
            reference.step()
        got = adamw(start.clone(), gradients.clone(), 0.02, decay)
        assert got.shape == (3,), f"expected the final parameters, shape (3,), got {tuple(got.shape)}"
        far = (got - theirs.detach()).abs().max()
        what = "without decay this should be Adam" if decay == 0 else "without decay all is well, with it"
        assert far < 1e-9, f"{what}: off by {far:.2g}"
    still = adamw(torch.tensor([4.0]), torch.zeros(10, 1), 0.1, 0.5)
    assert torch.isclose(still, torch.tensor([4 * 0.95**10])).all(), "with zero gradients only the decay acts, by 1 - ηλ each step"


self_check("optimisation-adamw", check_optimisation_adamw)


# %% ex={"id": "optimisation-adamw", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    size = torch.tensor([1e-7, 1e-3, 1.0, 50.0])  # the first no larger than ten times epsilon
    gradients = (torch.randn(20, 4, generator=g) + 0.5) * size
    return adamw(3 * torch.randn(4, generator=g), gradients, 0.05, 0.0)


# %% ex={"id": "optimisation-adamw", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    gradients = (torch.randn(20, 3, generator=g) + 0.5) * torch.tensor([1e-3, 1.0, 50.0])
    start = 3 + torch.rand(3, generator=g)
    return [adamw(start.clone(), gradients.clone(), 0.05, decay) for decay in (0.2, 1.5)]


# %% ex={"id": "optimisation-adamw", "role": "wrong", "why": "decay through the gradient: Adam with an L2 penalty"}
def adamw(theta, gradients, eta, decay):
    m, s = torch.zeros_like(theta), torch.zeros_like(theta)
    for t, g in enumerate(gradients, start=1):
        g = g + decay * theta
        m = BETA1 * m + (1 - BETA1) * g
        s = BETA2 * s + (1 - BETA2) * g**2
        theta = theta - eta * (m / (1 - BETA1**t)) / ((s / (1 - BETA2**t)).sqrt() + 1e-8)
    return theta


# %% ex={"id": "optimisation-adamw", "role": "wrong", "why": "decays by lambda, not by eta lambda"}
def adamw(theta, gradients, eta, decay):
    m, s = torch.zeros_like(theta), torch.zeros_like(theta)
    for t, g in enumerate(gradients, start=1):
        m = BETA1 * m + (1 - BETA1) * g
        s = BETA2 * s + (1 - BETA2) * g**2
        theta = (1 - decay) * theta - eta * (m / (1 - BETA1**t)) / ((s / (1 - BETA2**t)).sqrt() + 1e-8)
    return theta


# %% ex={"id": "optimisation-adamw", "role": "wrong", "why": "decays after Adam's step, and so shrinks the step as well"}
def adamw(theta, gradients, eta, decay):
    m, s = torch.zeros_like(theta), torch.zeros_like(theta)
    for t, g in enumerate(gradients, start=1):
        m = BETA1 * m + (1 - BETA1) * g
        s = BETA2 * s + (1 - BETA2) * g**2
        theta = theta - eta * (m / (1 - BETA1**t)) / ((s / (1 - BETA2**t)).sqrt() + 1e-8)
        theta = (1 - eta * decay) * theta
    return theta


# %% ex={"id": "optimisation-adamw", "role": "wrong", "why": "epsilon inside the root"}
def adamw(theta, gradients, eta, decay):
    m, s = torch.zeros_like(theta), torch.zeros_like(theta)
    for t, g in enumerate(gradients, start=1):
        m = BETA1 * m + (1 - BETA1) * g
        s = BETA2 * s + (1 - BETA2) * g**2
        theta = (1 - eta * decay) * theta
        theta = theta - eta * (m / (1 - BETA1**t)) / (s / (1 - BETA2**t) + 1e-8).sqrt()
    return theta


# %% ex={"id": "optimisation-adamw", "role": "wrong", "why": "counts steps from one too many in the bias correction"}
def adamw(theta, gradients, eta, decay):
    m, s = torch.zeros_like(theta), torch.zeros_like(theta)
    for t, g in enumerate(gradients, start=2):
        m = BETA1 * m + (1 - BETA1) * g
        s = BETA2 * s + (1 - BETA2) * g**2
        theta = (1 - eta * decay) * theta
        theta = theta - eta * (m / (1 - BETA1**t)) / ((s / (1 - BETA2**t)).sqrt() + 1e-8)
    return theta


# %% ex={"id": "optimisation-adamw", "role": "wrong", "why": "forgets the root of the second moment"}
def adamw(theta, gradients, eta, decay):
    m, s = torch.zeros_like(theta), torch.zeros_like(theta)
    for t, g in enumerate(gradients, start=1):
        m = BETA1 * m + (1 - BETA1) * g
        s = BETA2 * s + (1 - BETA2) * g**2
        theta = (1 - eta * decay) * theta - eta * (m / (1 - BETA1**t)) / (s / (1 - BETA2**t) + 1e-8)
    return theta


# %% [markdown] ex={"id": "optimisation-lyapunov", "role": "statement", "kind": "investigate", "points": 5, "minutes": 30, "difficulty": 3, "topic": "optimisation"}
# #### Does momentum cool?
#
# Near a minimum of curvature $a$, let the gradient be $a\theta+\xi$ with independent noise of variance $\sigma^2$, and run momentum:
# $v_t=\gamma v_{t-1}+\eta(a\theta_{t-1}+\xi_t)$, $\theta_t=\theta_{t-1}-v_t$. Return the stationary variance of $\theta$. (Write the update of
# $(\theta,v)$ as a matrix $M$ plus noise; the stationary covariance solves $\Sigma=M\Sigma M^\top+Q$, which is a linear system.) Then compare with
# {eq}`eq-optimisation-stationary` for the rate $\eta/(1-\gamma)$: what does momentum do to the noise at equal speed, for a small rate and for a large one?

# %% ex={"id": "optimisation-lyapunov", "role": "solution"}
def momentum_variance(a, sigma, eta, gamma):
    """Stationary variance of theta, a number."""
    ### BEGIN SOLUTION
    # theta' = theta - v',  v' = eta a theta + gamma v + eta xi
    m = torch.tensor([[1 - eta * a, -gamma], [eta * a, gamma]])
    b = torch.tensor([-eta, eta]) * sigma
    q = torch.outer(b, b)
    vec = torch.linalg.solve(torch.eye(4) - torch.kron(m, m), q.flatten())
    return vec[0].item()
    ### END SOLUTION


# %% ex={"id": "optimisation-lyapunov", "role": "check"}
def check_optimisation_lyapunov():
    plain = momentum_variance(2.0, 3.0, 0.1, 0.0)
    # V = (1 - ηa)² V + η²σ²: put the answer back into the recursion
    assert math.isclose(plain, (1 - 0.2) ** 2 * plain + 0.09, rel_tol=1e-9), "without momentum it does not solve V = (1 - ηa)²V + η²σ²"
    g = torch.Generator().manual_seed(1)
    for a, sigma, eta, gamma in ((1.0, 1.0, 0.1, 0.5), (2.0, 0.5, 0.2, 0.8), (1.0, 2.0, 0.5, 0.2)):
        theta, v = torch.zeros(40_000), torch.zeros(40_000)
        for _ in range(150):
            v = gamma * v + eta * (a * theta + sigma * torch.randn(40_000, generator=g))
            theta = theta - v
        seen = theta.var().item()
        got = float(momentum_variance(a, sigma, eta, gamma))
        assert abs(got / seen - 1) < 0.04, f"a = {a}, γ = {gamma}: a simulation says {seen / got:.3g} times that"


self_check("optimisation-lyapunov", check_optimisation_lyapunov)


# %% ex={"id": "optimisation-lyapunov", "role": "probe", "points": 4}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for low, high in ((0.05, 0.15), (0.3, 0.6), (0.7, 1.3)):  # ηa over 1 + γ, stable below 2
        a, sigma = (1 + torch.rand(2, generator=g)).tolist()
        gamma = float(0.3 + 0.5 * torch.rand((), generator=g))
        eta = (1 + gamma) * float(low + (high - low) * torch.rand((), generator=g)) / a
        out.append(float(momentum_variance(a, sigma, eta, gamma)))
    return out


# %% ex={"id": "optimisation-lyapunov", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    a, sigma = (1 + torch.rand(2, generator=g)).tolist()
    return [float(momentum_variance(a, sigma, speed / a, 0.0)) for speed in (0.1, 1.0, 1.6)]


# %% ex={"id": "optimisation-lyapunov", "role": "wrong", "why": "plain descent with the rate eta/(1-gamma)"}
def momentum_variance(a, sigma, eta, gamma):
    rate = eta / (1 - gamma)
    return rate * sigma**2 / (2 * a - rate * a**2)


# %% ex={"id": "optimisation-lyapunov", "role": "wrong", "why": "forgets that the noise enters theta in the same step"}
def momentum_variance(a, sigma, eta, gamma):
    m = torch.tensor([[1 - eta * a, -gamma], [eta * a, gamma]])
    q = torch.tensor([[0.0, 0.0], [0.0, (eta * sigma) ** 2]])
    return torch.linalg.solve(torch.eye(4) - torch.kron(m, m), q.flatten())[0].item()


# %% ex={"id": "optimisation-lyapunov", "role": "wrong", "why": "noise of theta and v with the same sign"}
def momentum_variance(a, sigma, eta, gamma):
    m = torch.tensor([[1 - eta * a, -gamma], [eta * a, gamma]])
    b = torch.tensor([eta, eta]) * sigma
    return torch.linalg.solve(torch.eye(4) - torch.kron(m, m), torch.outer(b, b).flatten())[0].item()


# %% ex={"id": "optimisation-lyapunov", "role": "wrong", "why": "the variance of the velocity"}
def momentum_variance(a, sigma, eta, gamma):
    m = torch.tensor([[1 - eta * a, -gamma], [eta * a, gamma]])
    b = torch.tensor([-eta, eta]) * sigma
    return torch.linalg.solve(torch.eye(4) - torch.kron(m, m), torch.outer(b, b).flatten())[3].item()


# %% ex={"id": "optimisation-lyapunov", "role": "wrong", "why": "returns a standard deviation"}
def momentum_variance(a, sigma, eta, gamma):
    m = torch.tensor([[1 - eta * a, -gamma], [eta * a, gamma]])
    b = torch.tensor([-eta, eta]) * sigma
    return math.sqrt(torch.linalg.solve(torch.eye(4) - torch.kron(m, m), torch.outer(b, b).flatten())[0].item())


# %% ex={"id": "optimisation-lyapunov", "role": "wrong", "why": "ignores momentum"}
def momentum_variance(a, sigma, eta, gamma):
    return eta * sigma**2 / (2 * a - eta * a**2)


# %% [markdown] ex={"id": "optimisation-curvature", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "optimisation"}
# #### The largest stable rate
#
# Near a point where the largest curvature of the loss is $M$, gradient descent is stable for $\eta<2/M$. Find $M$ without the Hessian $H$: its product with a
# vector $u$ is the gradient of $\nabla L(\theta)\cdot u$,
# which costs two backward passes. Iterate $u\leftarrow Hu/\lVert Hu\rVert$ from a random start and return $2/M$. All curvatures are non-negative here.

# %% ex={"id": "optimisation-curvature", "role": "solution"}
def largest_rate(loss, theta, iterations=200):
    """loss: (d,) -> scalar, twice differentiable; theta (d,) -> largest stable learning rate, a number"""
    ### BEGIN SOLUTION
    theta = theta.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(theta), theta, create_graph=True)
    u = torch.randn(theta.shape, generator=torch.Generator().manual_seed(0))
    u = u / u.norm()
    for _ in range(iterations):
        (hu,) = torch.autograd.grad(g @ u, theta, retain_graph=True)
        curvature = (u @ hu).item()
        u = hu / hu.norm()
    return 2 / curvature
    ### END SOLUTION


# %% ex={"id": "optimisation-curvature", "role": "check"}
def check_optimisation_curvature():
    g = torch.Generator().manual_seed(4)
    b = torch.randn(30, 8, generator=g)
    targets = (torch.rand(30, generator=g) > 0.5).double()

    def loss(w):  # a logistic loss: its curvature depends on where one stands
        return torch.nn.functional.binary_cross_entropy_with_logits(b @ w, targets)

    for theta in (torch.zeros(8), torch.full((8,), 0.7)):
        hessian = torch.autograd.functional.hessian(loss, theta)
        truth = 2 / torch.linalg.eigvalsh(hessian)[-1].item()
        got = float(largest_rate(loss, theta))
        assert math.isclose(got, truth, rel_tol=1e-3), f"the whole Hessian gives {truth / got:.4g} times that rate"
    along = float(largest_rate(lambda w: 50 * w[0] ** 2 + w[1] ** 2, torch.tensor([0.0, 1.0])))
    assert math.isclose(along, 0.02, rel_tol=1e-6), "the gradient here does not see the steep direction, the Hessian does"


self_check("optimisation-curvature", check_optimisation_curvature)


# %% ex={"id": "optimisation-curvature", "role": "probe", "points": 3}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for d in (4, 9):
        V = torch.linalg.qr(torch.randn(d, d, generator=g)).Q
        s = 2 * torch.rand(d, generator=g) - 1
        curvatures = 0.1 + 0.6 * torch.rand(d, generator=g)
        curvatures[0] = 1 + torch.rand((), generator=g)  # here, and not elsewhere
        weights = curvatures * torch.cosh(s) ** 2

        def loss(theta, V=V, weights=weights):
            return (weights * torch.log(torch.cosh(theta @ V))).sum()

        out.append(float(largest_rate(loss, V @ s)))
    return out


# %% ex={"id": "optimisation-curvature", "role": "probe", "points": 1}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    steep = seed % 3
    half = 0.2 + 0.5 * torch.rand(3, generator=g)
    half[steep] = 2 + 5 * torch.rand((), generator=g)
    theta = 1 + torch.rand(3, generator=g)
    theta[steep] = 0.0  # the gradient here has nothing of the steep direction
    return float(largest_rate(lambda w: (half * w**2).sum(), theta))


# %% ex={"id": "optimisation-curvature", "role": "wrong", "why": "one over M: the fastest on one direction, not the limit"}
def largest_rate(loss, theta, iterations=200):
    return 1 / torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, theta))[-1].item()


# %% ex={"id": "optimisation-curvature", "role": "wrong", "why": "uses the gradient as the direction and never iterates"}
def largest_rate(loss, theta, iterations=200):
    theta = theta.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(theta), theta, create_graph=True)
    u = g.detach() / g.detach().norm()
    (hu,) = torch.autograd.grad(g @ u, theta)
    return 2 / (u @ hu).item()


# %% ex={"id": "optimisation-curvature", "role": "wrong", "why": "starts the iteration at the gradient, which may not see the steep direction"}
def largest_rate(loss, theta, iterations=200):
    theta = theta.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(theta), theta, create_graph=True)
    u = g.detach() / g.detach().norm()
    for _ in range(iterations):
        (hu,) = torch.autograd.grad(g @ u, theta, retain_graph=True)
        curvature, u = (u @ hu).item(), hu / hu.norm()
    return 2 / curvature


# %% ex={"id": "optimisation-curvature", "role": "wrong", "why": "differentiates g\u00b7g instead of g\u00b7u"}
def largest_rate(loss, theta, iterations=200):
    theta = theta.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(theta), theta, create_graph=True)
    (hg,) = torch.autograd.grad(g @ g, theta)
    return 2 / (hg.norm() / g.norm()).item()


# %% ex={"id": "optimisation-curvature", "role": "wrong", "why": "the mean curvature instead of the largest"}
def largest_rate(loss, theta, iterations=200):
    return 2 / torch.autograd.functional.hessian(loss, theta).diagonal().mean().item()


# %% ex={"id": "optimisation-curvature", "role": "wrong", "why": "the norm of the whole Hessian"}
def largest_rate(loss, theta, iterations=200):
    return 2 / torch.autograd.functional.hessian(loss, theta).norm().item()

# %% [markdown] ex={"id": "optimisation-explain-plateau", "role": "statement", "kind": "explain", "points": 6, "minutes": 20, "difficulty": 2, "topic": "optimisation"}
# #### Stuck, or only shaking?
#
# A convex loss with a known optimum is minimised by plain stochastic gradient descent, with the rate 0.01 and batches of 32. The loss falls fast and then
# stays 0.004 nats above the optimum on average, for as long as one cares to wait. The same run with the rate 0.005 stays at 0.002. Four people propose one change
# each to the first run. (a) "It is caught in a local minimum: add momentum 0.9 at the same rate, and it will roll out." (b) "Batches of 128." (c) "Adam at a constant
# rate: it adapts its rates, so it will converge." (d) "From now on, let the rate fall like $1/t$." In at most twelve sentences: say what holds the loss up and
# how the text above rules out (a)'s diagnosis; predict for each proposal what the loss will do, with a number for (a) and (b); and say what (b) and a rate
# ten times smaller would cost. You may take the loss for a parabola near its optimum, and all rates for small.

# %% [markdown] ex={"id": "optimisation-explain-plateau", "role": "solution"}
# The noise of the batch gradients holds it up. On a parabola it leaves the variance $\eta\sigma^2/2a$, hence the excess loss $\tfrac a2V=\eta\sigma^2/4$ per
# direction: proportional to $\eta/B$, which fits the two runs. A convex loss has no other local minima, and the height of one would not halve with the rate.
# (a) Momentum adds up about $1/(1-\gamma)=10$ steps, so it acts like the rate 0.1: it ends ten times *higher*, at about 0.04. (b) Four times the batch, a quarter of the noise:
# 0.001. (c) Adam divides by the root mean square of the gradient, so its steps keep the size of the rate however near the optimum is; at a constant rate it
# shakes as well, on a level of its own. (d) The noise is averaged away and the loss goes to the optimum. Costs: (b) four times the
# gradients per step; a rate ten times smaller needs about ten times as many steps to come down.

# %% [markdown] ex={"id": "optimisation-explain-plateau", "role": "rubric"}
# - 2: names the noise of batch gradients at a constant rate as the cause, with a level in proportion to η/B or ησ² (1); rules out a local minimum because the loss is convex, or because the level halves with the rate (1)
# - 1: (a) predicts about ten times more, 0.04, since momentum 0.9 acts like the rate η/(1 - γ)
# - 1: (b) predicts a quarter, 0.001, since the variance of a batch's gradient is divided by its size
# - 1: (c) says that Adam at a constant rate need not settle, because its steps do not shrink with the gradient, and (d) that a falling rate lets the loss approach the optimum
# - 1: names the costs: four times the gradients per step for (b), and about ten times as many steps for the small rate
