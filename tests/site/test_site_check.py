"""tools/site_check.py finds each fault when it is planted, names page and cause, and passes a sound site."""

# ruff: noqa: E501 (the planted markup stands on one line)
from __future__ import annotations

import random
from pathlib import Path

import pytest

from tools import icons, site_check

SOUND = """<!DOCTYPE html><html><head><link rel="stylesheet" href="_static/book.css?v=1">
<link rel="canonical" href="https://example.org/a.html"><script src="_static/book.js"></script></head><body id="top">
<a href="b.html#there">b</a> <a href="#top">up</a> <a href="https://example.org/elsewhere">away</a> <a href="sub/">s</a>
<figure><img src="_images/a.png" alt="A curve that falls."><figcaption><span class="caption-number">Fig. 1</span>
<span class="caption-text">What to see.</span></figcaption></figure><img src="_static/logo.svg" alt=""><!-- more -->
</body></html>"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    files = {
        "a.html": SOUND,
        "b.html": '<h1 id="there">B</h1><img src="_images/b.png" alt="A curve that rises.">',
        "sub/index.html": '<meta http-equiv="refresh" content="0; url=../a.html">',
        "_static/book.css": '/* url(https://example.org/x.woff) */ p { background: url("logo.svg") }',
        "_static/book.js": "'https://example.org is only text here'",
        "_static/logo.svg": "<svg/>",
        "_images/a.png": "a",
        "_images/b.png": "b",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def problems(site: Path) -> list[str]:
    site_check.weight.cache_clear()
    return site_check.Site(site).problems()


def test_a_sound_site_passes(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert problems(site) == []
    assert site_check.main([str(site)]) == 0
    assert "3 pages, 0 problems" in capsys.readouterr().out


FAULTS = {
    "link": ('<a href="gone.html">x</a>', "link to gone.html: there is no such file"),
    "link out of the site": ('<a href="../../secret.txt">x</a>', "link to ../../secret.txt: there is no such"),
    "anchor": ('<a href="b.html#gone">x</a>', "link to b.html#gone: b.html has no anchor 'gone'"),
    "own anchor": ('<a href="#gone">x</a>', "link to #gone: a.html has no anchor 'gone'"),
    "redirect": ('<meta http-equiv="Refresh" content="0; url=gone.html">', "link to gone.html"),
    "script": ('<script src="https://cdn.example.org/x.js"></script>', "loads https://cdn.example.org/x.js from"),
    "scheme-less": ('<script src="//cdn.example.org/x.js"></script>', "loads //cdn.example.org/x.js from another"),
    "style": ('<link rel="stylesheet" href="https://fonts.example.org/f.css">', "https://fonts.example.org/f.css"),
    "preconnect": ('<link rel="preconnect" href="https://fonts.example.org">', "loads https://fonts.example.org"),
    "image": ('<img src="http://example.org/i.png" alt="Here">', "loads http://example.org/i.png from another host"),
    "srcset": ('<img srcset="https://example.org/i.png 2x" alt="Here">', "loads https://example.org/i.png"),
    "frame": ('<iframe src="https://example.org/"></iframe>', "loads https://example.org/ from another host"),
    "inline style": ("<p style=\"background: url('https://example.org/i.png')\">", "loads https://example.org/i.png"),
    "style element": ("<style>@import 'https://example.org/f.css';</style>", "loads https://example.org/f.css"),
    "missing script": ('<script src="_static/gone.js"></script>', "loads _static/gone.js: there is no such file"),
    "raw role": ("<p>that is {value}`a-claim:.2f} nats</p>", "shows raw markup: {value}`a-claim:.2f} nats"),
    "raw directive": ("<p>:::{note} Look</p>", "shows raw markup: :::{note} Look"),
    "no alt": ('<img src="_images/b.png">', "image _images/b.png has no alternative text"),
    "empty alt": ('<figure><img src="_images/b.png" alt=" "></figure>', "_images/b.png has no alternative text"),
    "repeated alt": ('<img src="_images/b.png" alt="A curve that falls">', "alternative text of an image on a.html"),
    "caption as alt": (
        '<figure><img src="_images/b.png" alt="What  to look at."><figcaption><span class="caption-number">Fig. 2'
        '</span><span class="caption-text">What to look at</span></figcaption></figure>',
        "has its caption as alternative text: 'What  to look at.'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(site: Path, fault: str) -> None:
    markup, cause = FAULTS[fault]
    (site / "a.html").write_text(SOUND.replace("<!-- more -->", markup), encoding="utf-8")
    found = problems(site)
    assert len(found) == 1, found
    assert found[0].startswith("a.html: ") and cause in found[0]


def test_a_style_sheet_that_calls_another_host_is_found(site: Path) -> None:
    (site / "_static" / "book.css").write_text(
        "p { background: url(https://example.org/i.png) }", encoding="utf-8"
    )
    assert problems(site) == [
        "a.html: loads https://example.org/i.png from another host (in _static/book.css)"
    ]


def test_a_page_that_weighs_too_much_is_found(site: Path) -> None:
    (site / "_images" / "a.png").write_bytes(b"0" * (site_check.LIMIT + 1))  # a picture counts as it is
    (found,) = problems(site)
    assert found.startswith("a.html: weighs 1.50 MB over the wire") and "_images/a.png 1.50" in found


def test_text_counts_compressed(site: Path) -> None:
    script = site / "_static" / "book.js"
    script.write_text("0" * (site_check.LIMIT + 1), encoding="utf-8")
    assert problems(site) == []
    noise = random.Random(0).randbytes(site_check.LIMIT)
    script.write_text(noise.hex(), encoding="utf-8")
    assert "_static/book.js" in problems(site)[0]


def test_the_exit_status_tells(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "b.html").unlink()
    assert site_check.main([str(site)]) == 1
    assert "a.html: link to b.html#there: there is no such file in the site" in capsys.readouterr().err
    assert site_check.main([str(site / "nowhere")]) == 1
    assert "build the site first" in capsys.readouterr().err


def test_only_the_icons_in_use_stay(tmp_path: Path) -> None:
    script = 'x={bars:[448,512,["navicon"],"f0c9","M0 9z"],"arrow-up":[1,2,[],"f062","M1"],sun:[1,2,[9728],"f185","M2"]}'
    assert icons.slim(script, {"navicon", "sun"}) == (
        'x={bars:[448,512,["navicon"],"f0c9","M0 9z"],sun:[1,2,[9728],"f185","M2"]}'
    )
    (tmp_path / "_static" / "scripts").mkdir(parents=True)
    (tmp_path / "p.html").write_text('<i class="fa-solid fa-bars"></i>', encoding="utf-8")
    icons.slim_site(tmp_path)
    slimmed = (tmp_path / "_static" / icons.SCRIPT).read_text(encoding="utf-8")
    whole = (icons.STATIC / icons.SCRIPT).read_text(encoding="utf-8")
    assert "bars:[448,512," in slimmed and "expand:[448,512," not in slimmed
    assert "expand:[448,512," in whole and len(slimmed) < 0.1 * len(whole)
