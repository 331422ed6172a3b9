"""Leave only the icons that the site shows in the theme's icon script: 0.54 MB over the wire become 0.05."""

from __future__ import annotations

import re
from pathlib import Path

import pydata_sphinx_theme

SCRIPT = "scripts/fontawesome.js"
STATIC = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
# An icon in the script: name:[width,height,[other names],"code point","outline"]
ICON = re.compile(r'("?)([\w-]+)\1:\[(\d+),(\d+),\[([^\]]*)\],"([0-9a-f]+)","[^"]*"\],?')


def used(site: Path) -> set[str]:
    """Names of the icons that pages and the theme's other scripts ask for."""
    files = [*site.rglob("*.html"), *(p for p in site.rglob("*.js") if p.name != Path(SCRIPT).name)]
    return {name for p in files for name in re.findall(r"\bfa-([a-z0-9-]+)", p.read_text(encoding="utf-8"))}


def slim(script: str, names: set[str]) -> str:
    """`script` without the icons that have none of `names`, as name or other name."""

    def keep(icon: re.Match[str]) -> str:
        return icon[0] if names & {icon[2], *re.findall(r'"([^"]+)"', icon[5])} else ""

    return ICON.sub(keep, script)


def slim_site(site: Path) -> None:
    """Write the script of a built site anew, from the theme's."""
    script = (STATIC / SCRIPT).read_text(encoding="utf-8")
    (site / "_static" / SCRIPT).write_text(slim(script, used(site)), encoding="utf-8")
