"""Honest students: what notebooks look like after Colab, VS Code and a long night, and what they must still earn."""

import json

import pytest

from classroom.sandbox import Limits

FULL = {"sum-power": 4, "sum-coin": 2}
BODY = "    return (x ** K).mean(-1)"
POWER = "def power_mean(x):\n" + BODY

# What stands in the cell of sum-power; the other answer is right.
FULL_MARKS = {
    "numpy": "import numpy as np\ndef power_mean(x):\n    return (x.numpy() ** K).mean(-1)",
    "a list of floats": "def power_mean(x):\n    return [float(v) for v in (x ** K).mean(-1)]",
    "a tuple of tensors": "def power_mean(x):\n    return tuple((x ** K).mean(-1))",
    "with a gradient": "def power_mean(x):\n    x = x.clone().requires_grad_()\n    return (x ** K).mean(-1)",
    "in place": "def power_mean(x):\n    x **= K\n    return x.mean(-1)",
    "form": '#@title Your answer { display-mode: "form" }\n' + POWER,
    "capture": "%%capture out\n" + POWER,
    "time": "%%time\n" + POWER,
    "magics": "%matplotlib inline\n!pip install -q \\\n   tqdm\nfiles = !ls\n" + POWER,
    "a question in a docstring": '!ls\ndef power_mean(x):\n    """Is it so?\n    yes"""\n' + BODY,
    "timed line": "%time P = K\ndef power_mean(x):\n    return (x ** P).mean(-1)",
    "colab": "from google.colab import drive\ndrive.mount('/content/drive')\n" + POWER,
    "a package that is not here": "import pandas as pd\nimport seaborn as sns\n" + POWER,
    "stops in front": "print(undefined_name)\n" + POWER,
    "stops behind": POWER + "\nprint(power_mean(3))",
    "asks": "n = int(input('n? '))\n" + POWER,
    "prints, plots, bars": "import matplotlib.pyplot as plt\nfrom tqdm.auto import tqdm\ndef power_mean(x):\n    print(x)\n    plt.plot([1]); plt.show()\n    for _ in tqdm(range(3)): pass\n"
    + BODY,
    "await": "import asyncio\nawait asyncio.sleep(0)\n" + POWER,
    "a bar for notebooks": "from tqdm.notebook import tqdm\ndef power_mean(x):\n    for _ in tqdm(range(3)):\n        pass\n"
    + BODY,
    "async": "import asyncio\nasync def f(x): return (x ** K).mean(-1)\ndef power_mean(x):\n    return asyncio.run(f(x))",
    "pool": "from multiprocessing import Pool\ndef one(row): return sum(v ** K for v in row) / len(row)\ndef power_mean(x):\n    with Pool(2) as pool: return torch.tensor(pool.map(one, x.tolist()))",
    "pickle": "import pickle\nclass P:\n    def __init__(self, k): self.k = k\ndef power_mean(x):\n    p = pickle.loads(pickle.dumps(P(K)))\n    return (x ** p.k).mean(-1)",
    "dataclass": "from __future__ import annotations\nfrom dataclasses import dataclass, field\n@dataclass\nclass P:\n    k: int = K\n    l: list[int] = field(default_factory=list)\ndef power_mean(x):\n    return (x ** P().k).mean(-1)",
    "script": "@torch.jit.script\ndef power_mean(x):\n    return (x * x * x).mean(-1)",
    "source": "import inspect\ndef power_mean(x):\n    assert 'mean' in inspect.getsource(power_mean)\n"
    + BODY,
    "ipython": "from IPython.display import clear_output, display\nclear_output()\ndisplay(3)\n" + POWER,
    "get_ipython": "get_ipython().run_line_magic('matplotlib', 'inline')\n" + POWER,
    "global state": "calls = 0\ndef power_mean(x):\n    global calls\n    calls += 1\n" + BODY,
    "exits": POWER + "\nraise SystemExit",
    "quits": POWER + "\nquit()",
    "a class with a call": "class M(torch.nn.Module):\n    def forward(self, x): return (x ** K).mean(-1)\npower_mean = M()",
    "crlf": POWER.replace("\n", "\r\n"),
    "slow": "import time\ndef power_mean(x):\n    time.sleep(1)\n" + BODY,
    "numpy ints": "import numpy as np\ndef power_mean(x):\n    return np.mean(np.asarray(x) ** K, axis=-1)",
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory, run, answered, good):
    folder = tmp_path_factory.mktemp("honest")
    for name, source in FULL_MARKS.items():
        (folder / f"{name}.ipynb").write_text(answered({**good, "sum-power": source}))
    return run(folder, Limits(seconds=60, cell_seconds=20, probe_seconds=20))


@pytest.mark.parametrize("name", FULL_MARKS)
def test_a_right_answer_has_full_marks(graded, name):
    state = graded[name]
    assert state["marks"] == FULL, json.dumps(state, indent=1)


NO_NAME = "raised NameError: your function, or something that it uses, is not defined"
TOLD = {  # a wrong answer -> what the student is told of the first probe
    "forgot": ("def power_mean(x):\n    (x ** K).mean(-1)", "returned None"),
    "words": ("def power_mean(x):\n    return 'three'", "returned something else than numbers"),
    "imprecise": (POWER + " * (1 + 2e-5)", "wrong numbers, but close: to 0.0001, not to 1e-06"),
    "column": (POWER[:-1] + ", keepdim=True)", "wrong shape: an axis of length 1 too many or too few"),
    "renamed": ("def mean_power(x): pass", NO_NAME),
    "unfinished": ("def power_mean(x:\n", NO_NAME),
    "untouched": ("", "not attempted"),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory, run, answered):
    folder = tmp_path_factory.mktemp("told")
    for name, (source, _) in TOLD.items():
        answers = {"sum-power": source} if source else {}
        (folder / f"{name}.ipynb").write_text(answered(answers, written=""))
    return run(folder, Limits())


@pytest.mark.parametrize("name", TOLD)
def test_a_student_is_told_what_was_wrong(told, name):
    assert told[name]["marks"] == {"sum-power": 0, "sum-coin": 0}
    assert told[name]["notes"]["sum-power"][0] == f"probe 1 of 2 (3 p): {TOLD[name][1]}"
    assert "<cell" not in json.dumps(told[name])


def test_long_experiments_leave_time_for_the_probes(tmp_path, run, answered):
    (tmp_path / "a.ipynb").write_text(answered(before=["import time\ntime.sleep(9)"] * 5))
    (state,) = run(tmp_path, Limits(seconds=20, cell_seconds=4, probe_seconds=4), jobs=1).values()
    assert state["marks"] == FULL and len(state["cells"]) == 5 and state["status"] == "ok, 5 cells failed"
