"""How nbval compares the book's notebooks (``pytest -p tools.tolerance --nbval notebooks``).

Text and HTML must be equal but for floats, each of which may differ by one unit in its last printed place.
A claim's record must be equal but for what was measured: the claim itself holds that against the truth.
Pictures are compared at a width of 120 pixels, since the stored ones have a palette and may be smaller.
The tag `picture-varies` says that a picture shows what training, which differs between processors, led to:
then it is not compared. A code cell that was never run fails. At the end stands the share of cells with
outputs that were compared; below 95 % the run fails.
"""

from __future__ import annotations

import base64
import io
import math
import os
import re
from decimal import Decimal
from typing import Any

CLAIM = "genkit_claim"  # key of the claims' records in the metadata of a cell's output
VARIES = "picture-varies"  # tag of a cell
LEAST = 0.95
# A palette alone costs at most 0.002 and 0.001. Caught are a curve that is off by 0.5 %, a bar or points
# by 1 %, grey levels by 3 %; noise of a millionth passes.
PICTURE_MEAN, PICTURE_SHARE = 0.01, 0.003
FLOAT = re.compile(r"(?<![\w.])[-+]?(?:\d+\.\d*|\.\d+|\d+(?=[eE][-+]?\d))(?:[eE][-+]?\d+)?(?![\w.])")
IMAGE = re.compile(r"data:image/[\w.+-]+;base64,[A-Za-z0-9+/=\s]+")


def unit(text: str) -> Decimal:
    """One unit in the last printed place: 0.368 -> 0.001, 1.2e-05 -> 1e-06."""
    exponent = Decimal(text).as_tuple().exponent
    return Decimal((0, (1,), int(exponent)))


def close(ref: str, new: str) -> bool:
    """Whether two texts are equal but for floats that differ by at most one unit in the last place."""
    if str.__eq__(ref, new):
        return True
    ref, new = IMAGE.sub("", ref), IMAGE.sub("", new)
    a, b = FLOAT.findall(ref), FLOAT.findall(new)
    if len(a) != len(b) or _skeleton(ref) != _skeleton(new):
        return False
    return all(abs(Decimal(x) - Decimal(y)) <= min(unit(x), unit(y)) for x, y in zip(a, b, strict=True))


def _skeleton(text: str) -> str:
    """What stands around the floats; a changed width of a number may move the blanks beside it."""
    return re.sub(r"[ \t]+", " ", FLOAT.sub("#", text))


def same_claim(ref: Any, new: Any, key: str = "") -> bool:
    """Whether two claim records are equal, numbers to 1e-6 of themselves and `measured` only in shape."""
    if isinstance(ref, dict) and isinstance(new, dict):
        return ref.keys() == new.keys() and all(same_claim(ref[k], new[k], k) for k in ref)
    if isinstance(ref, list) and isinstance(new, list):
        return len(ref) == len(new) and all(same_claim(a, b, key) for a, b in zip(ref, new, strict=True))
    number = (int, float)
    if isinstance(ref, number) and isinstance(new, number) and type(ref) is not bool:
        return key == "measured" or math.isclose(ref, new, rel_tol=1e-6, abs_tol=1e-12)
    if isinstance(ref, str) and isinstance(new, str):
        return close(ref, new)
    return type(ref) is type(new) and ref == new


def picture_difference(ref: str, new: str) -> str | None:
    """Say by how much two pictures (PNG in base64) differ, or None when they show the same."""
    import numpy as np
    from PIL import Image

    small = []
    shape = None
    for text in (new, ref):
        image = Image.open(io.BytesIO(base64.b64decode(text))).convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
        here = image.width / image.height
        if shape and abs(here / shape - 1) > 0.02:
            return f"the picture's width is {shape:.3f} of its height, stored {here:.3f}"
        shape = shape or here
        size = (120, max(1, round(120 / shape)))
        small.append(np.asarray(image.resize(size, Image.Resampling.BOX), dtype=float) / 255)
    distance = np.abs(small[0] - small[1]).max(axis=2)
    mean, share = float(distance.mean()), float((distance > 0.1).mean())
    if mean <= PICTURE_MEAN and share <= PICTURE_SHARE:
        return None
    return (
        f"the picture differs: by {mean:.4f} on average (at most {PICTURE_MEAN}), "
        f"by more than 0.1 on {share:.2%} of it (at most {PICTURE_SHARE:.1%})"
    )


class Tolerant(str):
    """nbval compares strings with `!=`: these compare with the tolerance."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and close(str(self), str(other))

    def __ne__(self, other: object) -> bool:
        return not self == other


class Records(list):
    """nbval compares records with `!=`: these compare as claims."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and same_claim(list(self), list(other))

    def __ne__(self, other: object) -> bool:
        return not self == other


def compared(cell: Any) -> str:
    """'none' if a cell has no outputs, else whether anything of them is compared: 'yes' or 'no'."""
    if not cell.outputs:
        return "none"
    varies = VARIES in cell.metadata.get("tags", [])
    for output in cell.outputs:
        kinds = set(output.get("data", {})) - ({"image/png"} if varies else set())
        if output.output_type == "stream" or "image/png" in kinds or CLAIM in output.get("metadata", {}):
            return "yes"
        if kinds and not any(kind.startswith("image/") for kind in output.data):
            return "yes"
    return "no"


def pytest_configure(config: Any) -> None:
    if not getattr(config.option, "nbval", False):
        return
    import nbval.plugin

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # sums and small networks depend on the number of threads
    os.environ.setdefault("GENKIT_BOOK", "1")  # no progress bars
    os.environ.setdefault("PYTHONHASHSEED", "0")
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    config.option.nbval_current_env = not config.option.nbval_kernel_name
    cell_class = nbval.plugin.IPyNbCell
    if cell_class.sanitize is not _sanitize:
        for name, ours in (("sanitize", _sanitize), ("compare_outputs", _compare), ("runtest", _runtest)):
            _plain[name] = getattr(cell_class, name)
            setattr(cell_class, name, ours)
    if not hasattr(config, "workerinput"):  # one count, in the process that hears of all workers
        config.pluginmanager.register(Share(), "nbval-share")


_plain: dict[str, Any] = {}


def _sanitize(self: Any, value: Any) -> Any:
    out = _plain["sanitize"](self, value)
    if isinstance(out, str):
        return Tolerant(out)
    return Records(out) if isinstance(out, list) else out


def _compare(self: Any, test: Any, ref: Any, skip_compare: Any = None) -> bool:
    if not _plain["compare_outputs"](self, _with_records(test), _with_records(ref), skip_compare):
        return False
    if VARIES in self.cell.metadata.get("tags", []):
        return True
    old, new = (
        [o["data"]["image/png"] for o in outs if "image/png" in o.get("data", {})] for outs in (ref, test)
    )
    said = [picture_difference(*pair) for pair in zip(old, new, strict=False)]
    if len(old) != len(new):
        said.append(f"{len(new)} pictures, stored {len(old)}")
    self.comparison_traceback = [words for words in said if words]
    return not self.comparison_traceback


def _with_records(outputs: Any) -> list[Any]:
    """The outputs with claim records among their data, since nbval compares no metadata."""
    out = []
    for output in outputs:
        records = output.get("metadata", {}).get(CLAIM)
        if records:
            output = type(output)(output, data={**output["data"], CLAIM: records})
        out.append(output)
    return out


def _runtest(self: Any) -> None:
    if self.cell.execution_count is None and self.cell.source.strip() and not self.options["skip"]:
        self.raise_cell_error("never executed: there is nothing to compare with")
    how = compared(self.cell)
    self.user_properties.append(("compared", "no" if how == "yes" and not self.options["check"] else how))
    _plain["runtest"](self)


class Share:
    """Counts the cells that have outputs and those that were compared."""

    def __init__(self) -> None:
        self.counts = {"yes": 0, "no": 0, "none": 0}
        self.blind: list[str] = []

    @property
    def share(self) -> float | None:
        total = self.counts["yes"] + self.counts["no"]
        return self.counts["yes"] / total if total else None

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call":
            for name, how in report.user_properties:
                if name == "compared":
                    self.counts[how] += 1
                    if how == "no":
                        self.blind.append(report.nodeid)

    def pytest_sessionfinish(self, session: Any) -> None:
        if self.share is not None and self.share < LEAST and session.exitstatus == 0:
            session.exitstatus = 1

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.share is None:
            return
        total = self.counts["yes"] + self.counts["no"]
        line = f"{self.counts['yes']} of {total} cells with outputs compared ({self.share:.1%})"
        if self.share >= LEAST:
            terminalreporter.write_line(line)
            return
        terminalreporter.write_line(f"{line}: fewer than {LEAST:.0%}. Not compared:", red=True)
        for name in self.blind:
            terminalreporter.write_line(f"  {name}")
