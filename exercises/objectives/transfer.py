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
# # Exercises: One model, three jobs

# %% ex={"role": "setup"}
import math

import torch
import torch.nn.functional as F

from genkit.checks import self_check

torch.set_default_dtype(torch.float32)


# %% [markdown] ex={"id": "transfer-estep", "role": "statement", "kind": "implement", "points": 3, "minutes": 15, "difficulty": 2, "topic": "semi-supervised"}
# #### The E-step, with labels where there are any
#
# `log_joint` $(n,K)$ holds $\log p(x_i,y=k)$, and `y` $(n,)$ the labels, $-1$ where nobody has looked. Return the responsibilities
# $r_{ik}$: the posterior of the class for unlabelled examples, the label itself for labelled ones. It must survive log-probabilities
# of $-10^4$.

# %% ex={"id": "transfer-estep", "role": "solution"}
def responsibilities(log_joint, y):
    """Responsibilities (n, K) from log p(x, y=k) (n, K) and labels (n,), -1 where
    unknown."""
    ### BEGIN SOLUTION
    r = log_joint.softmax(1)
    known = y >= 0
    r[known] = F.one_hot(y[known], log_joint.shape[1]).to(r)
    return r
    ### END SOLUTION


# %% ex={"id": "transfer-estep", "role": "check"}
def check_transfer_estep():
    g = torch.Generator().manual_seed(4)
    joint = torch.rand(6, 3, generator=g, dtype=torch.float64)
    y = torch.tensor([2, -1, 0, -1, -1, 1])
    r = responsibilities(joint.log(), y)
    assert r.shape == (6, 3) and torch.allclose(
        r.sum(1), torch.ones(6, dtype=r.dtype)
    ), "every row must sum to one"
    for i in range(6):
        for k in range(3):
            slow = (
                float(y[i] == k)
                if y[i] >= 0
                else float(joint[i, k] / sum(joint[i]))
            )
            assert abs(float(r[i, k]) - slow) < 1e-9, (
                "labelled rows keep their label, the others get Bayes' rule"
            )
    assert torch.allclose(responsibilities(joint.log() - 1e4, y), r), (
        "a common factor of p(x, y) must cancel, even a tiny one"
    )
    far = -2000.0 * torch.arange(6, dtype=torch.float64)[:, None]
    assert torch.allclose(responsibilities(joint.log() + far, y), r), (
        "one example's scale must not disturb another's"
    )


self_check("transfer-estep", check_transfer_estep)


# %% ex={"id": "transfer-estep", "role": "probe", "points": 1, "tol": 0.0001}
def probe(seed):  # nobody has looked; here and below tol is 1e-4, since a right answer may build its tensors in float32
    g = torch.Generator().manual_seed(seed)
    log_joint = 2 * torch.randn(9, 4, generator=g, dtype=torch.float64) - 3
    return responsibilities(log_joint, torch.full((9,), -1))


# %% ex={"id": "transfer-estep", "role": "probe", "points": 1, "tol": 0.0001}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    log_joint = 2 * torch.randn(12, 4, generator=g, dtype=torch.float64) - 3
    y = torch.cat([torch.full((5,), -1), torch.randint(4, (7,), generator=g)])
    return responsibilities(log_joint, y[torch.randperm(12, generator=g)])


# %% ex={"id": "transfer-estep", "role": "probe", "points": 1, "tol": 0.0001}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    far = -2000.0 * torch.randperm(10, generator=g).double() - 1000
    log_joint = 2 * torch.randn(10, 5, generator=g, dtype=torch.float64) + far[:, None]
    y = torch.cat([torch.full((6,), -1), torch.randint(5, (4,), generator=g)])
    return responsibilities(log_joint, y[torch.randperm(10, generator=g)])


# %% ex={"id": "transfer-estep", "role": "wrong", "why": "lets the model relabel the labelled examples"}
def responsibilities(log_joint, y):
    return log_joint.softmax(1)


# %% ex={"id": "transfer-estep", "role": "wrong", "why": "normalises over the examples instead of the classes"}
def responsibilities(log_joint, y):
    r = log_joint.softmax(0)
    r[y >= 0] = F.one_hot(y[y >= 0], log_joint.shape[1]).to(r)
    return r


# %% ex={"id": "transfer-estep", "role": "wrong", "why": "exponentiates before normalising, so that small probabilities underflow to 0/0"}
def responsibilities(log_joint, y):
    p = log_joint.exp()
    r = p / p.sum(1, keepdim=True)
    r[y >= 0] = F.one_hot(y[y >= 0], log_joint.shape[1]).to(r)
    return r


# %% ex={"id": "transfer-estep", "role": "wrong", "why": "subtracts one maximum for all examples, so that unlikely examples underflow"}
def responsibilities(log_joint, y):
    p = (log_joint - log_joint.max()).exp()
    r = p / p.sum(1, keepdim=True)
    r[y >= 0] = F.one_hot(y[y >= 0], log_joint.shape[1]).to(r)
    return r


# %% [markdown] ex={"id": "transfer-mstep", "role": "statement", "kind": "implement", "points": 4, "minutes": 25, "difficulty": 3, "topic": "semi-supervised"}
# #### The M-step, checked by its gradient
#
# Given features `z` $(n,d)$ and weights `r` $(n,)$ of *one* class, return the mean $m$ and the covariance $S$ that maximise
# $\sum_ir_i\log\mathcal N(z_i;m,S)-\tfrac\nu2\log|S|-\tfrac\nu2\operatorname{Tr}(S^{-1}\Psi)$. The check differentiates this
# objective at your answer; a maximum has no slope.

# %% ex={"id": "transfer-mstep", "role": "solution"}
def weighted_gaussian(z, r, nu, Psi):
    """MAP mean (d,) and covariance (d, d) of features (n, d) with weights (n,) and
    prior strength nu, matrix Psi (d, d)."""
    ### BEGIN SOLUTION
    N = r.sum()
    m = r @ z / N
    dev = z - m
    return m, ((r[:, None] * dev).T @ dev + nu * Psi) / (N + nu)
    ### END SOLUTION


# %% ex={"id": "transfer-mstep", "role": "check"}
def check_transfer_mstep():
    g = torch.Generator().manual_seed(6)
    z, r = (
        torch.randn(30, 3, generator=g, dtype=torch.float64) + 2,
        torch.rand(30, generator=g, dtype=torch.float64),
    )
    Psi = torch.diag(torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64))
    for nu in (0.0, 4.0):
        m, S = (
            t.detach().clone().requires_grad_()
            for t in weighted_gaussian(z, r, nu, Psi)
        )
        normal = torch.distributions.MultivariateNormal(m, (S + S.T) / 2)
        value = (r * normal.log_prob(z)).sum() - 0.5 * nu * (
            torch.logdet(S) + torch.trace(torch.linalg.solve(S, Psi))
        )
        slope_m, slope_S = torch.autograd.grad(value, (m, S))
        assert slope_m.abs().max() < 1e-8, (
            "the objective still rises if the mean is moved"
        )
        assert (slope_S + slope_S.T).abs().max() < 1e-8, (
            f"the objective still rises if the covariance is changed (nu = {nu})"
        )
    m, S = weighted_gaussian(z, r, 1e9, Psi)
    assert torch.allclose(S, Psi, atol=1e-5), "an overwhelming prior must win"


self_check("transfer-mstep", check_transfer_mstep)


# %% ex={"id": "transfer-mstep", "role": "probe", "points": 2, "tol": 0.0001}
def probe(seed):  # no prior: weighted moments; tol for right answers that build their tensors in float32
    double = {"generator": torch.Generator().manual_seed(seed), "dtype": torch.float64}
    z = torch.randn(40, 4, **double) @ torch.randn(4, 4, **double) + torch.randn(4, **double)
    m, S = weighted_gaussian(z, torch.rand(40, **double) ** 2, 0.0, torch.eye(4, dtype=torch.float64))
    return m, S


# %% ex={"id": "transfer-mstep", "role": "probe", "points": 2, "tol": 0.0001}
def probe(seed):
    double = {"generator": torch.Generator().manual_seed(seed), "dtype": torch.float64}
    z, root = torch.randn(25, 3, **double) + 2 * torch.randn(3, **double), torch.randn(3, 3, **double)
    r, nu = torch.rand(25, **double), 2 + 10 * torch.rand((), **double).item()
    m, S = weighted_gaussian(z, r, nu, root @ root.T + torch.eye(3, dtype=torch.float64))
    return m, S


# %% ex={"id": "transfer-mstep", "role": "wrong", "why": "divides by the number of examples instead of the sum of the weights"}
def weighted_gaussian(z, r, nu, Psi):
    m = r @ z / len(z)
    dev = z - m
    return m, ((r[:, None] * dev).T @ dev + nu * Psi) / (len(z) + nu)


# %% ex={"id": "transfer-mstep", "role": "wrong", "why": "adds the prior after dividing, so that it does not fade with more data"}
def weighted_gaussian(z, r, nu, Psi):
    m = r @ z / r.sum()
    dev = z - m
    return m, (r[:, None] * dev).T @ dev / r.sum() + nu * Psi


# %% ex={"id": "transfer-mstep", "role": "wrong", "why": "weights the mean but not the covariance"}
def weighted_gaussian(z, r, nu, Psi):
    m = r @ z / r.sum()
    dev = z - m
    return m, (dev.T @ dev + nu * Psi) / (len(z) + nu)


# %% [markdown] ex={"id": "transfer-iw", "role": "statement", "kind": "implement", "points": 3, "minutes": 15, "difficulty": 2, "topic": "density"}
# #### From the ELBO to the likelihood
#
# `log_w` $(K,n)$ holds $K$ log-weights $\log p(x,z_k)-\log q(z_k\mid x)$ for each of $n$ examples. Return the importance-weighted bound
# $\log\frac1K\sum_kw_k$, $(n,)$. Then investigate: draw weights whose logarithm is $\mathcal N(-\tfrac12s^2,s^2)$, so that $\mathbb E\,w=1$ and the
# true value is 0, and watch how slowly the bound rises with $K$ when $s=3$.

# %% ex={"id": "transfer-iw", "role": "solution"}
def importance_bound(log_w):
    """log (1/K sum_k w_k) over the first axis: (K, n) gives (n,)."""
    ### BEGIN SOLUTION
    return log_w.logsumexp(0) - math.log(len(log_w))
    ### END SOLUTION


# %% ex={"id": "transfer-iw", "role": "check"}
def check_transfer_iw():
    g = torch.Generator().manual_seed(8)
    log_w = torch.randn(12, 5, generator=g, dtype=torch.float64)
    bound = importance_bound(log_w)
    assert bound.shape == (5,), "one value per example"
    slow = torch.tensor(
        [
            math.log(sum(math.exp(float(v)) for v in log_w[:, i]) / 12)
            for i in range(5)
        ],
        dtype=torch.float64,
    )
    assert torch.allclose(bound, slow), "compare with the sum written out"
    assert torch.allclose(
        importance_bound(torch.full((7, 2), -3.0)), torch.full((2,), -3.0)
    ), "equal weights: nothing to average"
    assert bool((bound >= log_w.mean(0)).all()), (
        "the bound must not lie below the ELBO"
    )
    assert torch.allclose(importance_bound(log_w - 5000), bound - 5000), (
        "log-weights of -5000 are common; no underflow"
    )
    far = -2000.0 * torch.arange(5, dtype=torch.float64)
    assert torch.allclose(importance_bound(log_w + far), bound + far), (
        "one example's scale must not disturb another's"
    )


self_check("transfer-iw", check_transfer_iw)


# %% ex={"id": "transfer-iw", "role": "probe", "points": 2, "tol": 0.0001}
def probe(seed):  # tol for right answers that build their tensors in float32
    g = torch.Generator().manual_seed(seed)
    return importance_bound(3 * torch.randn(20, 6, generator=g, dtype=torch.float64))


# %% ex={"id": "transfer-iw", "role": "probe", "points": 1, "tol": 1e-05}
def probe(seed):  # thousands of nats, so a smaller relative tol, which float32 still meets
    g = torch.Generator().manual_seed(seed)
    far = -1500.0 * torch.randperm(5, generator=g).double() - 900
    return importance_bound(4 * torch.randn(9, 5, generator=g, dtype=torch.float64) + far)


# %% ex={"id": "transfer-iw", "role": "wrong", "why": "averages the logarithms: that is the ELBO"}
def importance_bound(log_w):
    return log_w.mean(0)


# %% ex={"id": "transfer-iw", "role": "wrong", "why": "forgets to divide by K, so the value exceeds the likelihood"}
def importance_bound(log_w):
    return log_w.logsumexp(0)


# %% ex={"id": "transfer-iw", "role": "wrong", "why": "exponentiates first and underflows"}
def importance_bound(log_w):
    return log_w.exp().mean(0).log()


# %% ex={"id": "transfer-iw", "role": "wrong", "why": "subtracts one maximum for all examples, so that unlikely examples underflow"}
def importance_bound(log_w):
    top = log_w.max()
    return (log_w - top).exp().mean(0).log() + top


# %% [markdown] ex={"id": "transfer-bpd", "role": "statement", "kind": "implement", "points": 3, "minutes": 15, "difficulty": 2, "topic": "density"}
# #### One scale for densities and probabilities
#
# Write one function for all rows of a scoreboard. `log_p` $(n,)$ are log-likelihoods in nats: of levels, if `width` is None, or else of data that were
# dequantised so that one level has the given width (1 for $x+u$, $1/17$ for digits in $[0,1)$, $1/256$ for bytes). Return the mean number of bits per dimension
# that codes the *levels*.

# %% ex={"id": "transfer-bpd", "role": "solution"}
def code_length(log_p, dims, width=None):
    """Bits per dimension of the levels from log-likelihoods (n,), nats; a float."""
    ### BEGIN SOLUTION
    per_dim = -float(log_p.mean()) / (dims * math.log(2))
    return per_dim if width is None else per_dim - math.log2(width)
    ### END SOLUTION


# %% ex={"id": "transfer-bpd", "role": "check"}
def check_transfer_bpd():
    for levels in (2, 17, 256):
        # the uniform density on the unit cube
        flat = torch.zeros(4, dtype=torch.float64)
        assert (
            abs(code_length(flat, 9, width=1 / levels) - math.log2(levels)) < 1e-9
        ), "uniform: log2 of the number of levels"
        pmf = torch.full((4,), -9 * math.log(levels), dtype=torch.float64)
        assert abs(code_length(pmf, 9) - math.log2(levels)) < 1e-9, (
            "the same law as a probability of levels"
        )
    g = torch.Generator().manual_seed(1)
    log_p = torch.randn(50, generator=g, dtype=torch.float64) - 40
    wide = code_length(log_p, 16, width=1.0)
    # the density of the same data, divided by 17
    squeezed = code_length(log_p + 16 * math.log(17), 16, width=1 / 17)
    assert abs(wide - squeezed) < 1e-9, "a change of units must not change the code"
    assert abs(code_length(log_p, 16, width=1.0) - code_length(log_p, 16)) < 1e-9, (
        "cells of volume one: density is probability"
    )
    assert code_length(log_p - 1, 16) > code_length(log_p, 16), (
        "a less likely image costs more bits"
    )
    parts = 10 * code_length(log_p[:10], 16) + 40 * code_length(log_p[10:], 16)
    assert abs(parts - 50 * code_length(log_p, 16)) < 1e-9, (
        "code lengths of images must add up"
    )


self_check("transfer-bpd", check_transfer_bpd)


# %% ex={"id": "transfer-bpd", "role": "probe", "points": 1, "tol": 0.0001}
def probe(seed):  # probabilities of levels; tol for right answers that build their tensors in float32
    g = torch.Generator().manual_seed(seed)
    log_p = 12 * torch.randn(30, generator=g, dtype=torch.float64) - 150
    return [float(code_length(log_p, dims)) for dims in (16, 49)]


# %% ex={"id": "transfer-bpd", "role": "probe", "points": 2, "tol": 0.0001}
def probe(seed):  # densities, for cells of four widths
    g = torch.Generator().manual_seed(seed)
    log_p = 12 * torch.randn(30, generator=g, dtype=torch.float64) + 40
    return [float(code_length(log_p, 25, width=w)) for w in (1.0, 1 / 17, 1 / 256, 0.01 + torch.rand((), generator=g).item())]


# %% ex={"id": "transfer-bpd", "role": "wrong", "why": "forgets the width of the cells"}
def code_length(log_p, dims, width=None):
    return -float(log_p.mean()) / (dims * math.log(2))


# %% ex={"id": "transfer-bpd", "role": "wrong", "why": "corrects with the wrong sign"}
def code_length(log_p, dims, width=None):
    per_dim = -float(log_p.mean()) / (dims * math.log(2))
    return per_dim if width is None else per_dim + math.log2(width)


# %% ex={"id": "transfer-bpd", "role": "wrong", "why": "adds the correction once per image instead of once per dimension"}
def code_length(log_p, dims, width=None):
    nats = -float(log_p.mean())
    return (
        nats / (dims * math.log(2))
        if width is None
        else (nats - math.log(width)) / (dims * math.log(2))
    )


# %% ex={"id": "transfer-bpd", "role": "wrong", "why": "averages the probabilities of the images before taking the logarithm"}
def code_length(log_p, dims, width=None):
    mean = float(log_p.logsumexp(0)) - math.log(len(log_p))
    per_dim = -mean / (dims * math.log(2))
    return per_dim if width is None else per_dim - math.log2(width)


# %% [markdown] ex={"id": "transfer-subclasses", "role": "statement", "kind": "investigate", "points": 4, "minutes": 30, "difficulty": 3, "topic": "semi-supervised"}
# #### Repair the harmful model
#
# One Gaussian for all odd digits was the mistake. Let every *cluster* $c$ belong to one class, `owner[c]`, and return
# $\log p(y\mid x)$ from $\log p(x,c)$. Then investigate: fit ten clusters with `semi_supervised_em`, using digits as the labels of 50 images, and let the owner
# of a cluster be its digit modulo 2. Do the unlabelled images still hurt?

# %% ex={"id": "transfer-subclasses", "role": "solution"}
def class_log_posterior(log_joint, owner, classes):
    """log p(y | x) (n, classes) from log p(x, c) (n, C) and the class owner (C,) of
    every cluster."""
    ### BEGIN SOLUTION
    per_class = torch.stack(
        [log_joint[:, owner == k].logsumexp(1) for k in range(classes)], 1
    )
    return per_class.log_softmax(1)
    ### END SOLUTION


# %% ex={"id": "transfer-subclasses", "role": "check"}
def check_transfer_subclasses():
    g = torch.Generator().manual_seed(9)
    joint = torch.rand(8, 5, generator=g, dtype=torch.float64)
    owner = torch.tensor([0, 1, 1, 0, 1])
    out = class_log_posterior(joint.log(), owner, 2)
    assert out.shape == (8, 2) and torch.allclose(
        out.exp().sum(1), torch.ones(8, dtype=out.dtype)
    ), "p(y | x) must sum to one"
    for i in range(8):
        slow = sum(float(joint[i, c]) for c in range(5) if owner[c] == 1) / float(
            joint[i].sum()
        )
        assert abs(float(out[i, 1].exp()) - slow) < 1e-9, (
            "a class has the probability of all its clusters together"
        )
    same = class_log_posterior(joint.log(), torch.arange(5), 5)
    assert torch.allclose(same, joint.log().log_softmax(1)), (
        "one cluster per class is the usual posterior"
    )
    assert torch.allclose(class_log_posterior(joint.log() - 3000, owner, 2), out), (
        "tiny probabilities must not underflow"
    )
    far = -2000.0 * torch.arange(8, dtype=torch.float64)[:, None]
    assert torch.allclose(class_log_posterior(joint.log() + far, owner, 2), out), (
        "one example's scale must not disturb another's"
    )


self_check("transfer-subclasses", check_transfer_subclasses)


# %% ex={"id": "transfer-subclasses", "role": "probe", "points": 3, "tol": 0.0001}
def probe(seed):  # every class has a cluster, no two numbers of clusters are alike; tol for float32 tensors
    g = torch.Generator().manual_seed(seed)
    log_joint = 1.5 * torch.randn(10, 6, generator=g, dtype=torch.float64) - 4
    owner = torch.tensor([0, 1, 1, 2, 2, 2])[torch.randperm(6, generator=g)]
    return class_log_posterior(log_joint, owner, 3)


# %% ex={"id": "transfer-subclasses", "role": "probe", "points": 1, "tol": 0.0001}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    far = -2000.0 * torch.randperm(8, generator=g).double() - 1000
    log_joint = 1.5 * torch.randn(8, 5, generator=g, dtype=torch.float64) + far[:, None]
    owner = torch.tensor([0, 0, 1, 1, 1])[torch.randperm(5, generator=g)]
    return class_log_posterior(log_joint, owner, 2)


# %% ex={"id": "transfer-subclasses", "role": "wrong", "why": "takes the best cluster of each class instead of their sum"}
def class_log_posterior(log_joint, owner, classes):
    per_class = torch.stack(
        [log_joint[:, owner == k].max(1).values for k in range(classes)], 1
    )
    return per_class.log_softmax(1)


# %% ex={"id": "transfer-subclasses", "role": "wrong", "why": "averages over the clusters, so that a class with many clusters loses weight"}
def class_log_posterior(log_joint, owner, classes):
    per_class = torch.stack(
        [log_joint[:, owner == k].exp().mean(1).log() for k in range(classes)], 1
    )
    return per_class.log_softmax(1)


# %% ex={"id": "transfer-subclasses", "role": "wrong", "why": "adds the logarithms of the clusters"}
def class_log_posterior(log_joint, owner, classes):
    per_class = torch.stack(
        [log_joint[:, owner == k].sum(1) for k in range(classes)], 1
    )
    return per_class.log_softmax(1)


# %% ex={"id": "transfer-subclasses", "role": "wrong", "why": "subtracts one maximum for all examples, so that unlikely examples underflow"}
def class_log_posterior(log_joint, owner, classes):
    p = (log_joint - log_joint.max()).exp()
    p = p / p.sum(1, keepdim=True)
    return torch.stack([p[:, owner == k].sum(1) for k in range(classes)], 1).log()

# %% [markdown] ex={"id": "transfer-explain-crowd", "role": "statement", "kind": "explain", "points": 6, "minutes": 20, "difficulty": 3, "topic": "semi-supervised"}
# #### Every number rises except the one that matters
#
# A hospital has 120 X-ray images with a diagnosis (ill or healthy) and 50 000 without. A classifier with one Gaussian per diagnosis, fitted to the features of the 120 alone, is
# right on 86 % of the labelled test images. Semi-supervised EM with all images ($w=1$) raises its objective in every round, and the log-density of the unlabelled
# *test* images rises by 30 nats per image; the accuracy falls to 71 %. Somebody then finds that the images come from two machines with very different contrast. "Either
# the code has a bug or we overfit", says one colleague; "we need more unlabelled images", says another. Explain what has happened and why neither colleague is right. Propose
# a change of the model and a change of the procedure, and say which data decide whether they helped.

# %% [markdown] ex={"id": "transfer-explain-crowd", "role": "solution"}
# The objective is nearly all $p(x)$: 50 000 unlabelled images against 120 labels. Two Gaussians describe the images best with one for each machine, so that is where
# EM moves them, whatever they are called; 120 labels are too few to hold them. Then $p(y\mid x)$ reports mostly the machine. No bug is needed: EM
# raises *this* objective and promises no accuracy. Nor is it overfitting: the density of *new* images rose too. The model is wrong, its classes are not the
# clusters of $p(x)$, and more images of the same kind would pull it more surely to the same wrong place. Model: several components for each diagnosis, such as one for each
# machine and diagnosis (or remove the contrast from the features). Procedure: a weight $w$ for the unlabelled part, 0 among the candidates, and the
# supervised classifier kept as baseline. The accuracy on labelled *validation* images chooses; labelled test images, used once, give the verdict.

# %% [markdown] ex={"id": "transfer-explain-crowd", "role": "rubric"}
# - 2: says that the unlabelled images dominate the objective and pull the two Gaussians to the clusters of p(x) (1), which are the machines and not the diagnoses, so that a better p(x) goes with a worse p(y | x) (1)
# - 2: refutes a bug or overfitting: a rising objective is no promise of accuracy, and the density of unseen images rose (1); refutes more unlabelled data: under a wrong model they pull to the same wrong optimum (1)
# - 2: proposes a model whose clusters can match, such as one component per machine and diagnosis or features without the contrast (1), and a weight w that includes 0, or the supervised baseline, chosen by labelled validation images and not by likelihood or test images (1)
