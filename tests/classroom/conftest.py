"""A small bank, an assignment made of it, and a sandbox where there is one."""

import copy
import json

import pytest

from classroom import assign, bank, grade
from classroom.sandbox import Limits, Sandbox, SandboxError
from classroom.submissions import read_table

MASTER = '''\
# Exercises: sums

```{code-cell} ipython3
:ex: {role: setup}
import torch

from genkit.claims import self_check
```

+++ {"ex": {"id": "sum-power", "role": "statement", "kind": "implement", "points": 4, "minutes": 5, "difficulty": 1, "topic": "sums"}}

#### A mean of powers

Return the mean of $x^{{{K}}}$ with K = {{K}}, along the last axis.

```{code-cell} ipython3
:ex: {id: sum-power, role: numbers, choices: {K: [2, 3, 4, 5]}}
K = 3
```

```{code-cell} ipython3
:ex: {id: sum-power, role: solution}
def power_mean(x):
    """x (n, d) -> (n,)"""
    ### BEGIN SOLUTION
    secret_powers = x**K
    return secret_powers.mean(-1)
    ### END SOLUTION
```

```{code-cell} ipython3
:ex: {id: sum-power, role: check}
def check_power():
    assert power_mean(torch.ones(2, 3)).tolist() == [1, 1], "a mean of ones is one"


self_check("sum-power", check_power)
```

```{code-cell} ipython3
:ex: {id: sum-power, role: probe, points: 3}
def probe(seed):
    hidden_input = torch.randn(5, 4, dtype=torch.float64)
    return power_mean(hidden_input)
```

```{code-cell} ipython3
:ex: {id: sum-power, role: probe, points: 1}
def probe(seed):
    return power_mean(1e3 * torch.rand(1, 1, dtype=torch.float64)), K
```

```{code-cell} ipython3
:ex: {id: sum-power, role: wrong, why: forgets to divide}
def power_mean(x):
    return (x**K).sum(-1)
```

```{code-cell} ipython3
:ex: {id: sum-power, role: wrong, why: power of the mean}
def power_mean(x):
    return x.mean(-1) ** K
```

+++ {"ex": {"id": "sum-coin", "role": "statement", "kind": "investigate", "points": 2, "minutes": 5, "difficulty": 1, "topic": "chance"}}

#### Coins

Throw n coins that fall on 1 with probability p.

```{code-cell} ipython3
:ex: {id: sum-coin, role: solution}
def coins(n, p):
    """-> (n,) of zeros and ones"""
    ### BEGIN SOLUTION
    return (torch.rand(n) < p).double()
    ### END SOLUTION
```

```{code-cell} ipython3
:ex: {id: sum-coin, role: check}
def check_coin():
    assert coins(3, 1.0).tolist() == [1, 1, 1], "a sure thing"


self_check("sum-coin", check_coin)
```

```{code-cell} ipython3
:ex: {id: sum-coin, role: probe, points: 2}
def probe(seed):
    return coins(4000, 0.3)
```

```{code-cell} ipython3
:ex: {id: sum-coin, role: judge}
def judge(out, ref):
    x = out[0]
    return x.shape == (4000,) and set(np.unique(x)) == {0.0, 1.0} and abs(x.mean() - 0.3) < 0.04
```

```{code-cell} ipython3
:ex: {id: sum-coin, role: wrong, why: a fair coin}
def coins(n, p):
    return (torch.rand(n) < 0.5).double()
```

```{code-cell} ipython3
:ex: {id: sum-coin, role: wrong, why: the probability itself}
def coins(n, p):
    return torch.full((n,), p)
```

+++ {"ex": {"id": "sum-explain", "role": "statement", "kind": "explain", "points": 3, "minutes": 5, "difficulty": 1, "topic": "sums"}}

#### Why

Why is it so?

+++ {"ex": {"id": "sum-explain", "role": "solution"}}

Because the confidential reason is a theorem.

+++ {"ex": {"id": "sum-explain", "role": "rubric"}}

- 1: says something that is only for markers
- 2: proves it
'''
GOOD = {
    "sum-power": "def power_mean(x):\n    return (x ** K).mean(-1)",
    "sum-coin": "def coins(n, p):\n    return (torch.rand(n) < p).double()",
}
SETUP = "import sys  # the setup cell of Colab"
LIMITS = Limits(seconds=40, cell_seconds=10, probe_seconds=10)


@pytest.fixture(scope="session")
def good():
    return GOOD


@pytest.fixture(scope="session")
def masters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book") / "exercises"
    (folder / "part").mkdir(parents=True)
    (folder / "part/sums.md").write_text(MASTER)
    return bank.read_bank(folder)


@pytest.fixture(scope="session")
def assignment(masters):
    return assign.choose(masters, ["sum-power", "sum-coin", "sum-explain"], "hw", "Homework")


@pytest.fixture(scope="session")
def key(assignment):
    numbers = {"": assign.numbers_for(assignment, None)}
    return json.loads(json.dumps({**assign.key(assignment, numbers, None), "colab": SETUP}))


@pytest.fixture(scope="session")
def notebook(assignment, masters):
    return assign.student_notebook(assignment, assign.numbers_for(assignment, None), SETUP, masters)


@pytest.fixture(scope="session")
def box():
    try:
        return Sandbox()
    except SandboxError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def answered(notebook):
    """(answers by id, cells put in front) -> the text of a submission."""

    def make(answers=GOOD, before=(), written="Because."):
        nb = copy.deepcopy(notebook)
        for cell in nb.cells:
            ex = cell.metadata.get("ex", {})
            if ex.get("role") == "answer":
                if cell.cell_type == "markdown":
                    cell.source = cell.source.replace(assign.WRITE, written)
                else:
                    cell.source = answers.get(ex["id"], cell.source)
        front = [{"cell_type": "code", "metadata": {}, "source": s, "outputs": []} for s in before]
        return json.dumps({**nb, "cells": front + nb.cells})

    return make


@pytest.fixture(scope="session")
def run(key, box):
    """Grade the notebooks of a folder: their states by name, without the ending."""

    def do(folder, limits=LIMITS, students=(), jobs=2, key=key, say=str):
        grading = grade.Grading(key, folder / "out", limits)
        states = grading.run(grade.collect(folder), dict(students), lambda: box, jobs, say)
        return {state["submission"].removesuffix(".ipynb"): state for state in states}

    return do


@pytest.fixture(scope="session")
def table():
    """The rows of a folder of results, by submission or by the student who handed nothing in."""
    return lambda out: {r["submission"] or r["student"]: r for r in read_table(out / "grades.csv")}


@pytest.fixture(scope="session")
def text():
    return MASTER
