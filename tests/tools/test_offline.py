"""The zip of the site: whole, in one folder, the same bytes for the same site, without itself."""

import zipfile

from tools.offline import NAME, bundle


def test_bundle(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "page.html").write_text("x")
    (tmp_path / "index.html").write_text("y")
    first = bundle(tmp_path).read_bytes()
    assert bundle(tmp_path).read_bytes() == first
    with zipfile.ZipFile(tmp_path / f"{NAME}.zip") as z:
        assert z.namelist() == [f"{NAME}/a/page.html", f"{NAME}/index.html"] and z.testzip() is None
