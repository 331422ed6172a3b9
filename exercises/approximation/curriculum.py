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
# # Exercises: Curricula

# %% ex={"role": "setup"}
import itertools
import math

import torch

from genkit.checks import self_check

torch.set_default_dtype(torch.float64)


# %% [markdown] ex={"id": "curriculum-pool", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 1, "topic": "curriculum"}
# #### Pool, and shift the noise
#
# (a) `pool` averages blocks of $s\times s$ pixels of images of any shape $(h, w)$ that $s$ divides. (b) A schedule was made for images
# of side $h$: at some time its $\log(\alpha^2/\sigma^2)$ is $\lambda$. Images of side $s\,h$ will be trained on instead. `shifted` returns the $\lambda$ they
# need at this time, so that their block means are destroyed as much as the small images were.

# %% ex={"id": "curriculum-pool", "role": "solution"}
def pool(x, s):
    """Means of s×s blocks: (n, h, w) -> (n, h/s, w/s)."""
    ### BEGIN SOLUTION
    n, h, w = x.shape
    return x.reshape(n, h // s, s, w // s, s).mean((2, 4))
    ### END SOLUTION


def shifted(lam, s):
    """λ for images s times larger in side, from that of the small ones."""
    ### BEGIN SOLUTION
    return lam - 2 * math.log(s)
    ### END SOLUTION


# %% ex={"id": "curriculum-pool", "role": "check"}
def check_curriculum_pool():
    g = torch.Generator().manual_seed(1)
    for s, h, w in ((2, 4, 6), (3, 6, 3), (4, 8, 8), (1, 3, 2)):
        x = torch.randn(5, h, w, generator=g)
        y = pool(x, s)
        assert y.shape == (5, h // s, w // s), f"expected shape {(5, h // s, w // s)}, got {tuple(y.shape)}"
        for i, j in itertools.product(range(h // s), range(w // s)):
            block = x[:, i * s : (i + 1) * s, j * s : (j + 1) * s]
            total = sum(block[:, a, b] for a in range(s) for b in range(s))
            assert torch.allclose(y[:, i, j] * s * s, total), "an entry is not the mean of its own block"
    for s, lam in ((2, 0.3), (3, -1.0), (4, 2.0)):
        small = torch.randn(4000, 2, 2, generator=g)
        large = small.repeat_interleave(s, 1).repeat_interleave(s, 2)
        noise = math.exp(-shifted(lam, s) / 2) * torch.randn(large.shape, generator=g)
        blocks = noise.reshape(4000, 2, s, 2, s).mean((2, 4))
        ratio = small.var() / blocks.var()
        assert abs(ratio.log() - lam) < 0.1, (
            f"at s = {s} the block means of the large image are not as noisy as the small image"
        )


self_check("curriculum-pool", check_curriculum_pool)


# %% ex={"id": "curriculum-pool", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    return pool(torch.randn(3, 6, 9, generator=g), 3), pool(torch.randn(2, 12, 4, generator=g), 2)


# %% ex={"id": "curriculum-pool", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    lams = (6 * torch.rand(4, generator=g) - 3).tolist()
    return [shifted(lam, s) for lam, s in zip(lams, (1, 2, 3, 5), strict=True)]


# %% ex={"id": "curriculum-pool", "role": "wrong", "why": "sums the block instead of averaging it"}
def pool(x, s):
    n, h, w = x.shape
    return x.reshape(n, h // s, s, w // s, s).sum((2, 4))


def shifted(lam, s):
    return lam - 2 * math.log(s)


# %% ex={"id": "curriculum-pool", "role": "wrong", "why": "shifts \u03bb up, with less noise for larger images"}
def pool(x, s):
    n, h, w = x.shape
    return x.reshape(n, h // s, s, w // s, s).mean((2, 4))


def shifted(lam, s):
    return lam + 2 * math.log(s)


# %% ex={"id": "curriculum-pool", "role": "wrong", "why": "shifts by log s: the standard deviation's logarithm, not the variance's"}
def pool(x, s):
    n, h, w = x.shape
    return x.reshape(n, h // s, s, w // s, s).mean((2, 4))


def shifted(lam, s):
    return lam - math.log(s)


# %% ex={"id": "curriculum-pool", "role": "wrong", "why": "splits the sides in the wrong order: averages pixels that lie far apart"}
def pool(x, s):
    n, h, w = x.shape
    return x.reshape(n, s, h // s, s, w // s).mean((1, 3))


def shifted(lam, s):
    return lam - 2 * math.log(s)


# %% ex={"id": "curriculum-pool", "role": "wrong", "why": "logarithm to base 2"}
def pool(x, s):
    n, h, w = x.shape
    return x.reshape(n, h // s, s, w // s, s).mean((2, 4))


def shifted(lam, s):
    return lam - 2 * math.log2(s)


# %% ex={"id": "curriculum-pool", "role": "wrong", "why": "keeps every s-th pixel"}
def pool(x, s):
    return x[:, ::s, ::s]


def shifted(lam, s):
    return lam - 2 * math.log(s)


# %% [markdown] ex={"id": "curriculum-weights", "role": "statement", "kind": "implement", "points": 5, "minutes": 25, "difficulty": 2, "topic": "curriculum"}
# #### A curriculum that changes nothing but the noise
#
# Examples $1,\dots,K$ have probabilities $p$. A teacher draws $n$ of them independently from $q$ instead, with $q_i>0$ wherever $p_i>0$. (a) From the drawn
# indices and their losses, return an estimate of $\sum_i p_i\ell_i$ whose *mean is exact for every* $n$.
# (b) Return the $q$ for which the weighted gradient of one draw has the smallest mean square, given the norms of the $K$ gradients. (At least one $p_i$ with a
# non-zero norm is positive.)

# %% ex={"id": "curriculum-weights", "role": "solution"}
def weighted_loss(losses, drawn, p, q):
    """Estimate of the mean loss under p, a scalar; losses (n,) belong to the drawn examples, drawn (n,) are indices."""
    ### BEGIN SOLUTION
    return (p[drawn] / q[drawn] * losses).mean()
    ### END SOLUTION


def best_sampler(p, norms):
    """Probabilities (K,) from which to draw; norms (K,) are those of the examples' gradients."""
    ### BEGIN SOLUTION
    q = p * norms
    return q / q.sum()
    ### END SOLUTION


# %% ex={"id": "curriculum-weights", "role": "check"}
def check_curriculum_weights():
    g = torch.Generator().manual_seed(2)
    for K, n in ((3, 1), (3, 2), (4, 3)):
        p, q = (v / v.sum() for v in torch.rand(2, K, generator=g) + 0.05)
        losses = torch.randn(K, generator=g)
        mean = 0.0
        for drawn in itertools.product(range(K), repeat=n):  # all possible samples
            i = torch.tensor(drawn)
            mean = mean + q[i].prod() * weighted_loss(losses[i], i, p, q)
        assert abs(mean - p @ losses) < 1e-10, (
            f"averaged over all samples of {n} draws, your estimate does not give the loss under p"
        )
    for K in (2, 5):
        p = torch.rand(K, generator=g)
        p, norms = p / p.sum(), torch.rand(K, generator=g) * 3
        q = best_sampler(p, norms)
        assert q.shape == (K,) and abs(q.sum() - 1) < 1e-9, "probabilities must add to one"
        noise = ((p * norms) ** 2 / q).sum()
        for _ in range(200):
            r = (q + 0.02 * torch.randn(K, generator=g)).clamp(min=1e-4)
            less = ((p * norms) ** 2 / (r / r.sum())).sum()
            assert noise <= less + 1e-12, "a sampler near yours has less noise"


self_check("curriculum-weights", check_curriculum_weights)


# %% ex={"id": "curriculum-weights", "role": "probe", "points": 3}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    means = []
    for K, n in ((6, 1), (3, 3)):
        p, q = (v / v.sum() for v in torch.rand(2, K, generator=g) + 0.05)
        p[0] = 0.0
        p, losses = p / p.sum(), 3 * torch.randn(K, generator=g)
        samples = torch.cartesian_prod(*[torch.arange(K)] * n).reshape(-1, n)  # all that can be drawn
        means.append(sum(q[i].prod() * weighted_loss(losses[i], i, p.clone(), q.clone()) for i in samples))
    return means


# %% ex={"id": "curriculum-weights", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    p, norms = torch.rand(2, 6, generator=g) + 0.1
    p[1], norms[4] = 0.0, 0.0
    return best_sampler(p / p.sum(), 4 * norms)


# %% ex={"id": "curriculum-weights", "role": "wrong", "why": "forgets the importance weight"}
def weighted_loss(losses, drawn, p, q):
    return losses.mean()


def best_sampler(p, norms):
    q = p * norms
    return q / q.sum()


# %% ex={"id": "curriculum-weights", "role": "wrong", "why": "divides by the weights' sum: biased at every finite n"}
def weighted_loss(losses, drawn, p, q):
    w = p[drawn] / q[drawn]
    return (w * losses).sum() / w.sum()


def best_sampler(p, norms):
    q = p * norms
    return q / q.sum()


# %% ex={"id": "curriculum-weights", "role": "wrong", "why": "weight upside down"}
def weighted_loss(losses, drawn, p, q):
    return (q[drawn] / p[drawn] * losses).mean()


def best_sampler(p, norms):
    q = p * norms
    return q / q.sum()


# %% ex={"id": "curriculum-weights", "role": "wrong", "why": "draws easy examples more often"}
def weighted_loss(losses, drawn, p, q):
    return (p[drawn] / q[drawn] * losses).mean()


def best_sampler(p, norms):
    q = p / norms
    return q / q.sum()


# %% ex={"id": "curriculum-weights", "role": "wrong", "why": "forgets that p weighs the gradients"}
def weighted_loss(losses, drawn, p, q):
    return (p[drawn] / q[drawn] * losses).mean()


def best_sampler(p, norms):
    return norms / norms.sum()


# %% ex={"id": "curriculum-weights", "role": "wrong", "why": "draws in proportion to the squared norms"}
def weighted_loss(losses, drawn, p, q):
    return (p[drawn] / q[drawn] * losses).mean()


def best_sampler(p, norms):
    q = p * norms**2
    return q / q.sum()


# %% [markdown] ex={"id": "curriculum-strata", "role": "statement", "kind": "implement", "points": 4, "minutes": 15, "difficulty": 1, "topic": "curriculum"}
# #### Stratified noise levels
#
# A model counts its time from $0$ to $T={{LENGTH}}$. For each of $R$ batches draw $n$ times in $[0,T)$: in batch $r$ the $i$-th time is uniform in
# $[\frac in\,T,\frac{i+1}n\,T)$, $i=0,\dots,n-1$, and all are independent. Use the generator that is handed over and nothing else.

# %% ex={"id": "curriculum-strata", "role": "numbers", "choices": {"LENGTH": [2, 5, 10, 20]}}
LENGTH = 10


# %% ex={"id": "curriculum-strata", "role": "solution"}
def stratified_times(R, n, generator):
    """Times (R, n) in [0, LENGTH), one independent draw in each of the n cells."""
    ### BEGIN SOLUTION
    return LENGTH * (torch.arange(n) + torch.rand(R, n, generator=generator)) / n
    ### END SOLUTION


# %% ex={"id": "curriculum-strata", "role": "check"}
def check_curriculum_strata():
    for n in (1, 2, 5):
        R = 20_000
        t = stratified_times(R, n, torch.Generator().manual_seed(3))
        assert t.shape == (R, n), f"expected shape {(R, n)}, got {tuple(t.shape)}"
        assert bool(((t >= 0) & (t < LENGTH)).all()), f"times must lie in [0, {LENGTH})"
        cell = (t / LENGTH * n).floor()
        assert torch.equal(cell, torch.arange(float(n)).expand(R, n)), "time i must lie in cell i, in every batch"
        inside = t / LENGTH * n - cell
        assert abs(inside.mean(0) - 0.5).max() < 0.012, "inside a cell the mean must be the middle"
        assert abs(inside.var(0) - 1 / 12).max() < 0.004, "inside a cell times must be uniform, not fixed"
        if n > 1:
            correlation = torch.corrcoef(inside.T) - torch.eye(n)
            assert abs(correlation).max() < 0.04, "times in different cells must be independent"
        again = stratified_times(R, n, torch.Generator().manual_seed(3))
        assert torch.equal(t, again), "the same generator must give the same times"


self_check("curriculum-strata", check_curriculum_strata)


# %% ex={"id": "curriculum-strata", "role": "probe", "points": 3}
def probe(seed):
    return stratified_times(3000, 4, torch.Generator().manual_seed(seed)) / LENGTH


# %% ex={"id": "curriculum-strata", "role": "judge"}
def judge(out, ref):
    if len(out) != 1 or out[0].shape != (3000, 4) or not np.isfinite(out[0]).all():
        return False
    R, n = out[0].shape
    inside = n * out[0] - np.arange(n)
    if inside.min() < -1e-6 or inside.max() > 1 + 1e-6:
        return False  # a time outside its cell
    z = np.sqrt(12) * (inside - 0.5)  # mean 0 and variance 1, of variance 0.8
    if np.abs(z.mean(0)).max() > 5.5 / np.sqrt(R) or np.abs((z**2).mean(0) - 1).max() > 5.5 * np.sqrt(0.8 / R):
        return False
    low = np.stack([(inside < c).mean(0) - c for c in (0.1, 0.25, 0.5, 0.75, 0.9)])
    if np.abs(low).max() > 5.5 * 0.5 / np.sqrt(R):
        return False
    products = [z[:, i] * z[:, j] for i in range(n) for j in range(i)]  # cells of one batch
    products += [z[1:, i] * z[:-1, j] for i in range(n) for j in range(n)]  # a batch and the next
    return max(abs(p.mean()) for p in products) < 5.5 / np.sqrt(R - 1)


# %% ex={"id": "curriculum-strata", "role": "probe", "points": 1}
def probe(seed):
    return [stratified_times(6, 3, torch.Generator().manual_seed(s)) / LENGTH for s in (seed, seed, seed + 1)]


# %% ex={"id": "curriculum-strata", "role": "judge"}
def judge(out, ref):
    if len(out) != 3 or any(t.shape != (6, 3) for t in out):
        return False
    if not all((np.floor(3 * t) == np.arange(3)).all() for t in out):
        return False
    return bool((out[0] == out[1]).all() and (out[0] != out[2]).all())


# %% ex={"id": "curriculum-strata", "role": "wrong", "why": "one shift shared by all cells of a batch"}
def stratified_times(R, n, generator):
    return LENGTH * (torch.arange(n) + torch.rand(R, 1, generator=generator)) / n


# %% ex={"id": "curriculum-strata", "role": "wrong", "why": "the middles of the cells: not random, hence biased"}
def stratified_times(R, n, generator):
    return (LENGTH * (torch.arange(n) + 0.5) / n).expand(R, n)


# %% ex={"id": "curriculum-strata", "role": "wrong", "why": "independent times, sorted: not one in each cell"}
def stratified_times(R, n, generator):
    return LENGTH * torch.rand(R, n, generator=generator).sort(1).values


# %% ex={"id": "curriculum-strata", "role": "wrong", "why": "the same times for every batch"}
def stratified_times(R, n, generator):
    return (LENGTH * (torch.arange(n) + torch.rand(1, n, generator=generator)) / n).expand(R, n)


# %% ex={"id": "curriculum-strata", "role": "wrong", "why": "uses the global random numbers instead of the generator"}
def stratified_times(R, n, generator):
    return LENGTH * (torch.arange(n) + torch.rand(R, n)) / n


# %% [markdown] ex={"id": "curriculum-match", "role": "statement", "kind": "implement", "points": 4, "minutes": 20, "difficulty": 2, "topic": "curriculum"}
# #### What the discriminator may see
#
# A GAN is at the stage of resolution $r$, a divisor of the side; its generator makes images of the full side, and the discriminator expects that side. Return
# what it is shown of real and of generated images: the means of $r\times r$ blocks in all, each written back to all pixels of its block. Two correct networks
# could still learn nothing from a wrong pair, so check yours: whose gradient must pass?

# %% ex={"id": "curriculum-match", "role": "solution"}
def discriminator_views(real, fake, r):
    """What D sees of real and of fake, both (n, side, side), at resolution r: a pair of the same shape."""
    ### BEGIN SOLUTION
    def coarse(x):
        n, side, _ = x.shape
        s = side // r
        means = x.reshape(n, r, s, r, s).mean((2, 4))
        return means.repeat_interleave(s, 1).repeat_interleave(s, 2)

    return coarse(real), coarse(fake)
    ### END SOLUTION


# %% ex={"id": "curriculum-match", "role": "check"}
def check_curriculum_match():
    g = torch.Generator().manual_seed(4)
    for side, r in ((8, 2), (8, 4), (8, 8), (6, 3), (4, 1)):
        real, fake = torch.rand(2, 50, side, side, generator=g)
        fake.requires_grad_()
        views = discriminator_views(real, fake, r)
        s = side // r
        for name, x, view in zip(("real", "fake"), (real, fake), views, strict=True):
            assert view.shape == x.shape, f"{name}: expected shape {tuple(x.shape)}, got {tuple(view.shape)}"
            corner = view[:, :s, :s]
            assert torch.allclose(corner, corner[:, :1, :1].expand_as(corner)), (
                f"{name} images must be constant on blocks of {s}×{s} pixels"
            )
            for i, j in itertools.product(range(r), range(r)):
                rows, columns = slice(i * s, (i + 1) * s), slice(j * s, (j + 1) * s)
                assert torch.allclose(view[:, rows, columns].sum((1, 2)), x[:, rows, columns].sum((1, 2))), (
                    f"{name}: a block must keep its mean"
                )
        assert views[1].requires_grad, "no gradient reaches the generator"
        (gradient,) = torch.autograd.grad(views[1].sum(), fake, allow_unused=True)
        assert gradient is not None and torch.allclose(gradient, torch.ones_like(fake)), (
            "the generator must feel every pixel through the pooling"
        )


self_check("curriculum-match", check_curriculum_match)


# %% ex={"id": "curriculum-match", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    views = []
    for side, r in ((6, 2), (6, 3), (8, 2), (5, 1), (4, 4)):
        views += discriminator_views(*torch.randn(2, 3, side, side, generator=g), r)
    return views


# %% ex={"id": "curriculum-match", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    real, fake, weights = torch.randn(3, 3, 6, 6, generator=g)
    fake.requires_grad_()
    loss = (weights * discriminator_views(real, fake, 2)[1]).sum()
    return torch.autograd.grad(loss, fake)


# %% ex={"id": "curriculum-match", "role": "wrong", "why": "leaves the real images at full resolution, as the printed loss does"}
def discriminator_views(real, fake, r):
    n, side, _ = fake.shape
    s = side // r
    means = fake.reshape(n, r, s, r, s).mean((2, 4))
    return real, means.repeat_interleave(s, 1).repeat_interleave(s, 2)


# %% ex={"id": "curriculum-match", "role": "wrong", "why": "brings the real images to size by keeping every s-th pixel"}
def discriminator_views(real, fake, r):
    n, side, _ = fake.shape
    s = side // r
    means = fake.reshape(n, r, s, r, s).mean((2, 4))
    views = [m.repeat_interleave(s, 1).repeat_interleave(s, 2) for m in (real[:, ::s, ::s], means)]
    return tuple(views)


# %% ex={"id": "curriculum-match", "role": "wrong", "why": "takes r for the size of a block"}
def discriminator_views(real, fake, r):
    def coarse(x):
        n, side, _ = x.shape
        means = x.reshape(n, side // r, r, side // r, r).mean((2, 4))
        return means.repeat_interleave(r, 1).repeat_interleave(r, 2)

    return coarse(real), coarse(fake)


# %% ex={"id": "curriculum-match", "role": "wrong", "why": "cuts the generator off: no gradient passes"}
def discriminator_views(real, fake, r):
    def coarse(x):
        n, side, _ = x.shape
        s = side // r
        means = x.reshape(n, r, s, r, s).mean((2, 4))
        return means.repeat_interleave(s, 1).repeat_interleave(s, 2)

    return coarse(real), coarse(fake.detach())


# %% ex={"id": "curriculum-match", "role": "wrong", "why": "leaves both at full resolution: no stage at all"}
def discriminator_views(real, fake, r):
    return real, fake


# %% [markdown] ex={"id": "curriculum-pace", "role": "statement", "kind": "investigate", "points": 5, "minutes": 30, "difficulty": 3, "topic": "curriculum"}
# #### What a curriculum has shown by the end
#
# Noise levels $u\in[0,1]$ are drawn uniformly from the window $[1-k,1]$. During the first fraction $b$ of the run, $0<b\le1$, $k$ grows linearly from $a$ to
# $1$, $0<a<1$; afterwards $k=1$. Find, in closed form, the density of all levels shown in the whole run,
# $\bar q(u)=\int_0^1 q_\tau(u)\,\mathrm d\tau$ with $\tau$ the fraction of the run that has passed. Then look: how often was the hardest level, $u=0$, shown,
# compared with uniform sampling? For which runs could one divide by $\bar q$ to undo the curriculum, and is an average over the run what a learner with a
# finite memory feels?

# %% ex={"id": "curriculum-pace", "role": "solution"}
def average_density(u, a, b):
    """Density (n,) of the levels u (n,) over the whole run."""
    ### BEGIN SOLUTION
    # while the window grows dτ = b dk/(1 − a), and q = 1/k once k ≥ 1 − u
    entered = (1 - u).clamp(min=a)
    return b / (1 - a) * -entered.log() + (1 - b)
    ### END SOLUTION


# %% ex={"id": "curriculum-pace", "role": "check"}
def check_curriculum_pace():
    g = torch.Generator().manual_seed(5)
    u = torch.linspace(0, 1, 100_001)
    for a, b in ((0.25, 0.5), (0.1, 1.0), (0.6, 0.3)):
        q = average_density(u, a, b)
        assert q.shape == u.shape, f"expected shape {tuple(u.shape)}, got {tuple(q.shape)}"
        assert abs(torch.trapezoid(q, u) - 1) < 1e-4, f"for a = {a}, b = {b} your density does not integrate to one"
        n = 400_000  # a run, simulated
        tau = torch.rand(n, generator=g)
        k = (a + (1 - a) * tau / b).clamp(max=1)
        shown = 1 - k + k * torch.rand(n, generator=g)
        for left in torch.arange(0, 1, 0.125):
            cell = (u >= left) & (u <= left + 0.125)
            mine = torch.trapezoid(q[cell], u[cell])
            share = ((shown >= left) & (shown < left + 0.125)).double().mean()
            assert abs(mine - share) < 5 * math.sqrt(0.25 / n), (
                f"a simulated run shows the levels from {float(left)} on at another rate"
            )


self_check("curriculum-pace", check_curriculum_pace)


# %% ex={"id": "curriculum-pace", "role": "probe", "points": 3}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    out = []
    for _ in range(3):
        a, b = (0.1 + 0.7 * torch.rand(2, generator=g)).tolist()
        out.append(average_density(torch.rand(40, generator=g), a, b))
    return out


# %% ex={"id": "curriculum-pace", "role": "probe", "points": 2}
def probe(seed):
    g = torch.Generator().manual_seed(seed)
    a, b = (0.1 + 0.7 * torch.rand(2, generator=g)).tolist()
    ends = torch.tensor([0.0, 1 - a / 2, 1.0])
    return average_density(ends, a, b), average_density(ends, a, 1.0)


# %% ex={"id": "curriculum-pace", "role": "wrong", "why": "forgets that a narrow window is dense: 1/k"}
def average_density(u, a, b):
    entered = (1 - u).clamp(min=a)
    return b / (1 - a) * (1 - entered) + (1 - b)


# %% ex={"id": "curriculum-pace", "role": "wrong", "why": "forgets the uniform end of the run"}
def average_density(u, a, b):
    entered = (1 - u).clamp(min=a)
    return b / (1 - a) * -entered.log()


# %% ex={"id": "curriculum-pace", "role": "wrong", "why": "easy first turned round: the window starts at u = 0"}
def average_density(u, a, b):
    return b / (1 - a) * -u.clamp(min=a).log() + (1 - b)


# %% ex={"id": "curriculum-pace", "role": "wrong", "why": "forgets that the window has a width from the start"}
def average_density(u, a, b):
    return b / (1 - a) * -(1 - u).clamp(min=1e-12).log() + (1 - b)


# %% ex={"id": "curriculum-pace", "role": "wrong", "why": "integrates over k instead of over time"}
def average_density(u, a, b):
    entered = (1 - u).clamp(min=a)
    return b * -entered.log() + (1 - b)

# %% [markdown] ex={"id": "curriculum-explain-loss", "role": "statement", "kind": "explain", "points": 6, "minutes": 20, "difficulty": 3, "topic": "curriculum"}
# #### Thirty per cent lower
#
# A team trains a diffusion model to predict noise, and lets the noise levels grow from easy to hard: early on only the strongest noise is drawn, later a wider
# window, and in the last five per cent of the run all levels uniformly. They report two things. "Half-way through, our training loss is thirty per cent below that
# of uniform sampling, so the curriculum learns faster. And since the run ends with uniform sampling, the target is the same and nothing can have been lost." In at
# most ten sentences: explain why the first number is no evidence, say what the second argument is worth and what it needs, and describe a comparison that
# could decide.

# %% [markdown] ex={"id": "curriculum-explain-loss", "role": "solution"}
# Half-way the two losses are averages over different levels. Strong noise is easily recognised as noise, so its loss is small for any network: one that had
# learnt equally much at every level would show a lower number under the curriculum. Before the last phase the target is another one, since levels are drawn
# with $q_k$ and not re-weighted by $p/q_k$; and for weak noise, which is not drawn at all, no weight could help. The end is trained on the right target. For a
# strongly convex loss the distance to the optimum then falls at least by a factor $(1-\eta\mu)^k$ in $k$ steps, so the detour is forgotten if the last phase is
# long enough. A network's loss is not convex: nothing is guaranteed, and five per cent may be short. A fair comparison gives both runs the
# same compute, several seeds, and scores both *on the same held-out data with uniform levels*, with an interval for the difference.

# %% [markdown] ex={"id": "curriculum-explain-loss", "role": "rubric"}
# - 2: says that the two training losses average over different noise levels and that strong noise has a small loss for any model, so a lower number needs no better learning
# - 2: says that the last phase has the right target but that the detour is forgotten only with enough steps, a guarantee that needs (strong) convexity and that a network does not have
# - 2: describes a fair comparison: one common held-out score with all levels weighted alike, equal compute, and several seeds or an interval
