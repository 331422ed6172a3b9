"""A book of one page, built by the book's own line, for tests that plant a fault and see the line stop."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from front import FRONT

ROOT = Path(__file__).resolve().parents[2]

HEAD = (
    FRONT
    + """\
(ch-page)=
# A page

{item}`S1.8` The mass is {value}`page-mass:.3f`; see {eq}`eq-page-x`.

$$ x = 1 $$ (eq-page-x)

```{code-cell} ipython3
from genkit.claims import claim
claim("page-mass", "mass", 0.25, 0.25, item="X1.1", by="closed form")
```
"""
)


@dataclass
class TinyBook:
    root: Path

    def write(self, text: str) -> None:
        (self.root / "chapters" / "part" / "page.md").write_text(text, encoding="utf-8")

    def tool(self, *args: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "NO_COLOR": "1"}
        command = [sys.executable, *args]
        return subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, timeout=300)

    def execute(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.tool("-m", "tools.execute", *words)

    def build(self) -> subprocess.CompletedProcess[str]:
        self.execute()
        return self.tool(
            "-c", "from jupyter_book.cli.main import main; main()", "build", ".", "-W", "-n", "--keep-going"
        )


@pytest.fixture
def tiny_book(tmp_path: Path) -> TinyBook:
    root = tmp_path / "book"
    for folder in ("tools", "genkit", "classroom"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("_config.yml", "constraints.txt", "references.bib"):
        shutil.copy(ROOT / name, root / name)
    (root / "_assets").mkdir()
    for name in ("book.css", "favicon.svg"):
        (root / "_assets" / name).touch()
    (root / "chapters" / "part").mkdir(parents=True)
    (root / "exercises").mkdir()
    (root / "chapters" / "appendix").mkdir()
    (root / "chapters" / "index.md").write_text("# Book\n")
    (root / "chapters" / "appendix" / "claims.md").write_text("# Claims\n\n```{claims-ledger} part\n```\n")
    (root / "chapters" / "appendix" / "errata.md").write_text("# Errata\n\n```{errata-register}\n```\n")
    (root / "chapters" / "appendix" / "items.yml").write_text(
        "items:\n"
        "  S1.8: {part: objectives, kind: formula, title: kernel estimate}\n"
        "  E1.1: {part: objectives, kind: erratum, severity: C, says: 'a | b', truth: '$h^d$', title: t}\n"
    )
    (root / "_toc.yml").write_text(
        "format: jb-book\nroot: chapters/index\nchapters:\n"
        "- file: chapters/part/page\n- file: chapters/appendix/claims\n- file: chapters/appendix/errata\n"
    )
    book = TinyBook(root)
    book.write(HEAD)
    return book


@pytest.fixture
def head() -> str:
    """The page of the tiny book, to which a test adds its fault."""
    return HEAD
