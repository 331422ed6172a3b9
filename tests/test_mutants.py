"""A claim that cannot fail is none: put a wrong formula into a page's own code and see its claim stop.

One mutant at least for each kind of claim: absolute, relative and statistical tolerance, either bound,
arrays, yes or no, agreement with genkit.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import pages

ROOT = Path(__file__).resolve().parents[1]

# (page, what the page computes, a wrong formula, the claim that must stop)
MUTANTS = [
    # absolute: the densities of two units compared without the factor
    ("objectives/density", "64 * math.log(17), item", "63 * math.log(17), item", "density-units"),
    # bound from below: the reverse divergence taken for the forward one
    (
        "objectives/density",
        "(-log_lik - entropy - reverse)",
        "(-log_lik - entropy - forward)",
        "density-mle-not-reverse",
    ),
    # statistical, array: the kernel estimate divided by h instead of h^d
    ("objectives/density", "- d * math.log(h)", "- math.log(h)", "density-kde-mass"),
    # relative: a covariance that divides by n - 1
    (
        "objectives/density",
        "torch.cov(train.T, correction=0)",
        "torch.cov(train.T, correction=1)",
        "density-mle-gaussian",
    ),
    # absolute, two-sided: the noise of probabilistic PCA averaged over all directions, not the discarded ones
    (
        "objectives/generation",
        "sigma2 = lam[k:].mean()",
        "sigma2 = lam[k:].sum() / len(lam)",
        "generation-ppca-maximum",
    ),
    # against autograd: a score that adds the noise's deviation, not its variance
    (
        "objectives/generation",
        "v = (eigenvalues + s**2)[:, None]",
        "v = (eigenvalues + s)[:, None]",
        "generation-score-autograd",
    ),
    # yes or no: a codec that pushes the pixels in the order in which they will be popped
    (
        "objectives/density",
        "    for symbol, ones in reversed(in_order(model, x)):",
        "    for symbol, ones in in_order(model, x):",
        "density-codec-exact",
    ),
    # enumeration: a tail that leaves out the result itself
    (
        "approximation/evaluation",
        "stats.hypergeom.sf(r - 1, 2 * h, s, h)",
        "stats.hypergeom.sf(r, 2 * h, s, h)",
        "evaluation-c2st-exact",
    ),
    # the point itself counted among its neighbours
    ("approximation/evaluation", "kthvalue(k + 1, dim=1)", "kthvalue(k, dim=1)", "evaluation-pr-twin"),
    # agreement with genkit: the Fréchet distance without its cross term
    ("objectives/at-work", ".trace() - 2 * cross", ".trace()", "at-work-frechet-twin"),
    # array, relative: a rate in which the factor one half is forgotten
    (
        "objectives/representation",
        "rate = 0.5 * (top / theta).log()",
        "rate = (top / theta).log()",
        "representation-rate",
    ),
    # agreement with genkit: the two directions of the divergence swapped
    (
        "approximation/divergences",
        "log_p.exp() * (log_p - log_q), grid",
        "log_q.exp() * (log_q - log_p), grid",
        "divergences-kl-twin",
    ),
    # absolute: the variance of a diffusion step back without its denominator
    (
        "approximation/families",
        "posterior = v * beta / after",
        "posterior = v * beta",
        "families-sum",
    ),
    # array, by enumeration: m draws taken for m times the share
    ("approximation/critics", "s = kept**m", "s = kept / m", "critics-packing"),
    # array, by hand: the exponential approximation in place of the shell's volume
    (
        "approximation/finite-data",
        "math.expm1(d * math.log1p(-eps))",
        "math.expm1(-d * eps)",
        "finite-data-shell-small-d",
    ),
    # ratio, between bounds: Adam without bias correction
    (
        "approximation/optimisation",
        'm_hat = state["m"] / (1 - beta1**t)',
        'm_hat = state["m"]',
        "optimisation-ravine-start",
    ),
    # array, against scipy: an exact interval off by one
    (
        "approximation/human",
        "tail(k - 1, n, p) - 0.975",
        "tail(k, n, p) - 0.975",
        "human-exact",
    ),
]

RUN = """
import sys, matplotlib
matplotlib.use("Agg")
from genkit.claims import ClaimError
try:
    exec(compile(sys.stdin.read(), "page", "exec"), {"__name__": "__main__"})
except ClaimError as error:
    print("STOPPED", error)
"""


@pytest.mark.parametrize(("page", "right", "wrong", "claim"), MUTANTS, ids=[m[3] for m in MUTANTS])
def test_a_wrong_formula_stops_its_claim(page, right, wrong, claim):
    cells = [cell.source for cell in pages.code_cells(pages.notebook(page))]
    code = "\n".join(cells)
    assert code.count(right) == 1, f"{page} has {right!r} {code.count(right)} times: the mutant needs mending"
    last = next(k for k, cell in enumerate(cells) if f'"{claim}"' in cell)
    code = "\n".join(cells[: last + 1]).replace(right, wrong)
    env = {**os.environ, "OMP_NUM_THREADS": "1", "GENKIT_BOOK": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", RUN], input=code, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"STOPPED claim '{claim}' fails" in done.stdout or f"STOPPED '{claim}'" in done.stdout, (
        done.stdout[-2000:]
    )
