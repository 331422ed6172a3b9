"""Put a zip of the whole site into the site, for reading offline."""

import sys
import zipfile
from pathlib import Path

from tools.pages import ROOT

NAME = "how-generative-models-learn"


def bundle(site: Path) -> Path:
    """Write `site`/NAME.zip with every file of `site` under one folder; same site, same bytes."""
    out = site / f"{NAME}.zip"
    files = sorted(p for p in site.rglob("*") if p.is_file() and p != out and p.name != ".buildinfo")
    part = out.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as z:
        for path in files:
            if path == part:
                continue
            info = zipfile.ZipInfo(f"{NAME}/{path.relative_to(site).as_posix()}", (2026, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            z.writestr(info, path.read_bytes())
    part.replace(out)
    return out


if __name__ == "__main__":
    print(bundle(ROOT / "_build" / "html" if len(sys.argv) < 2 else Path(sys.argv[1])))
