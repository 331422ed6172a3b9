"""Check the built site without a browser: links, hosts, images and weight. Exit 1 with page and cause.

    python -m tools.site_check [_build/html]

Faults: a link or anchor inside the site that leads nowhere; a role or directive shown as text; anything that
a page would load from another host; an image without alternative text, with the text of another image, or
with its own caption as text; a page that weighs more over the wire than 1.5 MB (its HTML, scripts, styles and
images, text compressed as servers do; fonts, which a browser fetches as needed, apart).
"""

from __future__ import annotations

import gzip
import re
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

from tools.pages import ROOT

LIMIT = 1_500_000  # bytes
TEXT = {".html", ".js", ".css", ".svg", ".json", ".txt", ".md"}
# What a browser fetches by itself: element -> attributes. A link counts by its rel.
LOADED = {
    "audio": ["src"],
    "embed": ["src"],
    "iframe": ["src"],
    "image": ["href", "xlink:href"],
    "img": ["src"],
    "input": ["src"],
    "object": ["data"],
    "script": ["src"],
    "source": ["src"],
    "track": ["src"],
    "video": ["src", "poster"],
}
RELS = {
    "stylesheet",
    "icon",
    "preload",
    "modulepreload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "manifest",
}
CSS_URL = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")
RAW = re.compile(r"\{[a-z][\w:-]*\}`|^\s*:::|```\{", re.M)  # MyST that was not understood
PAGE_URL = re.compile(r"""url=["']?([^"';]+)""", re.I)


def css_urls(css: str) -> Iterator[str]:
    """Addresses in a style sheet, comments left out."""
    for match in CSS_URL.finditer(re.sub(r"/\*.*?\*/", "", css, flags=re.S)):
        yield (match[1] or match[2]).strip()


def loads(tags: Iterable[Tag]) -> Iterator[str]:
    """Every address that a browser would fetch to show these elements."""
    for tag in tags:
        if tag.name == "style":
            yield from css_urls(tag.get_text())
        elif tag.name == "link":
            if RELS & set(tag.get("rel") or []) and tag.get("href"):
                yield str(tag["href"])
        elif tag.name in LOADED:
            yield from (str(tag[a]) for a in LOADED[tag.name] if tag.get(a))
        if tag.name in LOADED and tag.get("srcset"):
            yield from (part.split()[0] for part in str(tag["srcset"]).split(",") if part.split())
        if tag.get("style"):
            yield from css_urls(str(tag["style"]))


def is_foreign(url: str) -> bool:
    parts = urlsplit(url)
    return bool(parts.netloc) or parts.scheme not in ("", "data", "blob", "mailto", "javascript", "about")


@cache
def weight(path: Path) -> int:
    """Bytes of a file over the wire: text compressed, as a server sends it."""
    data = path.read_bytes()
    return len(gzip.compress(data, 6)) if path.suffix in TEXT else len(data)


def squeeze(text: str) -> str:
    return " ".join(text.split()).rstrip(".").casefold()


def caption_of(img: Tag) -> str:
    """The caption of the figure that an image stands in, without number and link sign; '' if it has none."""
    figure = img.find_parent("figure")
    caption = figure and figure.find("figcaption")
    if not caption:
        return ""
    text = caption.find(class_="caption-text") or caption
    return text.get_text()


class Image(NamedTuple):
    src: str
    alt: str | None
    caption: str
    shown: bool  # it stands in a figure or a cell's output, so alt="" does not make it a decoration


def image(img: Tag) -> Image:
    shown = bool(img.find_parent("figure") or img.find_parent(class_="cell"))
    alt = None if img.get("alt") is None else str(img["alt"])
    return Image(str(img.get("src", "")), alt, caption_of(img), shown)


class Page:
    """What the checks ask of a page, gathered in one pass."""

    def __init__(self, path: Path) -> None:
        soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        tags: list[Tag] = list(soup.find_all(True))
        raw = [text for text in soup.find_all(string=RAW) if not text.find_parent(["pre", "code", "script"])]
        self.raw = [" ".join(str(text)[RAW.search(str(text)).start() :].split())[:50] for text in raw]  # type: ignore[union-attr]
        self.anchors = {str(t["id"]) for t in tags if t.get("id")}
        self.anchors |= {str(t["name"]) for t in tags if t.name == "a" and t.get("name")}
        self.links = list(dict.fromkeys(str(t["href"]) for t in tags if t.name == "a" and t.has_attr("href")))
        for tag in tags:
            if tag.name == "meta" and str(tag.get("http-equiv", "")).lower() == "refresh":
                self.links += PAGE_URL.findall(str(tag.get("content", "")))
        self.loads = list(dict.fromkeys(loads(tags)))
        self.images = [image(t) for t in tags if t.name == "img"]


class Site:
    """The pages of a built site, parsed once."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        found = [
            p for p in sorted(self.root.rglob("*.html")) if "_static" not in p.relative_to(self.root).parts
        ]
        with ProcessPoolExecutor(2) as pool:
            self.pages = dict(zip(found, pool.map(Page, found), strict=True))

    def name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def target(self, page: Path, url: str) -> Path:
        """The file that an address on a page of the site means."""
        path = unquote(urlsplit(url).path)
        out = (page.parent / path).resolve() if path else page
        return out / "index.html" if out.is_dir() else out

    def links(self, path: Path) -> Iterator[str]:
        """Links that lead nowhere: no such file, or no such anchor on that page."""
        for url in self.pages[path].links:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = self.target(path, url)
            anchor = unquote(parts.fragment)
            if not target.exists() or not target.is_relative_to(self.root):
                yield f"link to {url}: there is no such file in the site"
            elif anchor and target in self.pages and anchor not in self.pages[target].anchors:
                yield f"link to {url}: {self.name(target)} has no anchor {anchor!r}"

    def resources(self, path: Path) -> Iterator[str]:
        """Resources that come from another host or that are missing, style sheets looked into."""
        for url in self.pages[path].loads:
            if is_foreign(url):
                yield f"loads {url} from another host"
            elif urlsplit(url).path and not urlsplit(url).scheme and not self.target(path, url).is_file():
                yield f"loads {url}: there is no such file in the site"
        for sheet in self.files(path):
            if sheet.suffix == ".css":
                for url in css_urls(sheet.read_text(encoding="utf-8")):
                    if is_foreign(url):
                        yield f"loads {url} from another host (in {self.name(sheet)})"

    def files(self, path: Path) -> list[Path]:
        """The page's own file and the files of the site that it loads."""
        urls = [u for u in self.pages[path].loads if not is_foreign(u) and not urlsplit(u).scheme]
        found = [self.target(path, u) for u in urls if urlsplit(u).path]
        return [path, *dict.fromkeys(f for f in found if f.is_file())]

    def images(self, path: Path, seen: dict[str, tuple[str, str]]) -> Iterator[str]:
        """Images whose text is missing, repeats another image's, or repeats the caption."""
        for src, text, caption, shown in self.pages[path].images:
            name = src if len(src) < 80 else src[:77] + "..."
            alt = squeeze(text or "")
            if not alt:
                if text is None or shown:
                    yield f"image {name} has no alternative text"
                continue  # alt="" marks a decoration
            target = self.target(path, src)
            file = self.name(target) if not urlsplit(src).scheme and target.is_relative_to(self.root) else src
            page, first = seen.setdefault(alt, (self.name(path), file))
            if first != file:
                yield f"image {name} has the alternative text of an image on {page}: {text!r}"
            if alt == squeeze(caption):
                yield f"image {name} has its caption as alternative text: {text!r}"

    def too_heavy(self, path: Path) -> Iterator[str]:
        files = sorted(((weight(f), self.name(f)) for f in self.files(path)), reverse=True)
        total = sum(size for size, _ in files)
        if total > LIMIT:
            worst = ", ".join(f"{name} {size / 1e6:.2f}" for size, name in files[:3])
            yield f"weighs {total / 1e6:.2f} MB over the wire, over the limit of {LIMIT / 1e6:g} ({worst})"

    def problems(self) -> list[str]:
        """All faults as 'page: cause'."""
        seen: dict[str, tuple[str, str]] = {}
        out = []
        for path in self.pages:
            faults = [
                *(f"shows raw markup: {text}" for text in self.pages[path].raw),
                *self.links(path),
                *self.resources(path),
                *self.images(path, seen),
                *self.too_heavy(path),
            ]
            out += [f"{self.name(path)}: {fault}" for fault in faults]
        return out


def main(argv: list[str]) -> int:
    root = Path(argv[0]) if argv else ROOT / "_build" / "html"
    if not root.is_dir():
        print(f"{root}: no such folder; build the site first (make site)", file=sys.stderr)
        return 1
    site = Site(root)
    if not site.pages:
        print(f"{root}: no page in it", file=sys.stderr)
        return 1
    problems = site.problems()
    for problem in problems:
        print(problem, file=sys.stderr)
    heaviest = max(sum(weight(f) for f in site.files(p)) for p in site.pages) / 1e6
    print(f"{len(site.pages)} pages, {len(problems)} problems, heaviest page {heaviest:.2f} MB over the wire")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
