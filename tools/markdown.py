"""Turn a page's MyST Markdown into plain Markdown that Colab and GitHub can show.

Directives become quotes, headings, tables and foldable blocks; roles become links into the built book with
the numbers that the site shows (from _build/labels.json). What is not known stops with page and line.
"""

from __future__ import annotations

import functools
import json
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from markdown_it.token import Token
from pybtex.database import BibliographyData, Entry, parse_file

from tools import myst, pages
from tools.pages import PageError

BOXES = {"note": "Note", "warning": "Warning", "tip": "Tip", "important": "Important", "seealso": "See also"}
PROOFS = ("definition", "theorem", "lemma", "proof", "algorithm", "remark", "example")
REFUSED = {  # what MyST knows and Colab does not, by the parser's names
    "amsmath": "amsmath outside $$ ... $$",
    "dl_open": "a definition list",
    "footnote_reference_open": "a footnote",
    "footnote_ref": "a footnote",
    "footnote_inline": "a footnote",
    "span": "an attribute in braces",
    "attr": "an attribute in braces",
}
OWN = {"fence", "colon_fence", "math_block", "math_block_label", "myst_target", "myst_line_comment"}
FOREIGN = re.compile(r"^(https?:|mailto:)")


@dataclass
class Book:
    """What resolving a reference needs to know of the whole book."""

    root: Path
    labels: dict[str, list[str]]
    claim: Callable[[str, str], tuple[str, dict[str, Any]]]  # (page, id) -> its page and record, or KeyError

    @classmethod
    def open(cls, root: Path, claim: Callable[[str, str], tuple[str, dict[str, Any]]]) -> Book:
        path = root / "_build" / "labels.json"
        if not path.is_file():
            raise SystemExit("there is no _build/labels.json: build the site first (make book)")
        return cls(root, json.loads(path.read_text(encoding="utf-8")), claim)

    @functools.cached_property
    def address(self) -> pages.Address:
        return pages.Address(self.root)

    @functools.cached_property
    def bibliography(self) -> BibliographyData:
        return parse_file(str(self.root / "references.bib"))

    @functools.cached_property
    def bibliography_doc(self) -> str:
        """The page that prints the list of references."""
        for path in sorted((self.root / "chapters").rglob("*.md")):
            if "{bibliography}" in path.read_text(encoding="utf-8"):
                return path.relative_to(self.root).with_suffix("").as_posix()
        raise SystemExit("no page has a {bibliography} directive")

    def text(self, doc: str) -> str:
        """A document's Markdown, with its exercises."""
        return pages.text(doc.removeprefix(f"{pages.CHAPTERS}/"), self.root)

    def title(self, doc: str) -> str:
        return pages.title(self.text(doc)) or doc.rsplit("/", 1)[-1]


def author_year(entry: Entry) -> tuple[str, str]:
    """('Heusel et al.', '2017') of a bibliography entry."""
    people = entry.persons.get("author") or entry.persons.get("editor") or []
    names = []
    for person in people:
        parts = person.rich_prelast_names + person.rich_last_names
        names.append(" ".join(str(part) for part in parts).replace("\xa0", " "))
    if len(names) > 2 or "others" in names:
        who = f"{names[0]} et al."
    else:
        who = " and ".join(names) or str(entry.fields.get("title", "?"))
    return who, str(entry.fields.get("year", "n.d."))


@dataclass
class Converter:
    """Turns the Markdown of one page, 'objectives/density', into plain Markdown."""

    book: Book
    page: str
    _line: str = field(default="", init=False)  # of the source, to say where an error stands

    @property
    def doc(self) -> str:
        return f"chapters/{self.page}"

    def error(self, message: str, line: str = "") -> PageError:
        """The error, with the number of the first line of the page that reads like `line`."""
        wanted = (line or self._line).strip()
        lines = pages.source(self.page, self.book.root).read_text(encoding="utf-8").split("\n")
        number = next((n for n, one in enumerate(lines, start=1) if wanted and wanted in one), 1)
        return PageError(f"{self.doc}.md, line {number}: {message}")

    # ---------- blocks ----------

    def text(self, source: str, quoted: bool = False) -> str:
        """Plain Markdown of some MyST; in a quote, display maths stands on one line."""
        lines = source.split("\n")
        out: list[str] = []
        at = 0  # lines that are dealt with
        for token in myst.blocks(source):
            if token.type in REFUSED or (token.nesting == 1 and token.attrs.get("class")):
                what = REFUSED.get(token.type, "an attribute in braces")
                line = max(lines[slice(*token.map or [])], key=len)
                raise self.error(f"{what} cannot be shown in Colab: {line.strip()!r}", line)
            if token.type not in OWN or token.map is None or token.map[0] < at:
                continue
            start, end = token.map
            out += self._plain(lines[at:start])
            self._line = lines[start]
            block = self._block(token, lines[start:end], quoted)
            if block is not None:
                out.append(textwrap.indent(block, lines[start][: _indent(lines[start])]))
            at = end
        out += self._plain(lines[at:])
        return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip("\n")

    def _plain(self, lines: list[str]) -> list[str]:
        """Paragraphs, lists, headings, tables: everything that only its roles and links must leave."""
        if not lines:
            return []
        paragraphs = re.split(r"(\n\s*\n)", "\n".join(lines))
        return ["".join(p if p.isspace() else self.inline(p) for p in paragraphs)]

    def _block(self, token: Token, lines: list[str], quoted: bool) -> str | None:
        """What a block of MyST's own becomes; None if nothing of it is shown."""
        if token.type in ("math_block", "math_block_label"):
            return self._math(token.content, token.info or None, quoted)
        if token.type not in ("fence", "colon_fence"):
            return None  # targets and comments
        last = lines[-1].strip(" >")
        if len(lines) < 2 or last.strip(token.markup[0]) or not last.startswith(token.markup):
            raise self.error(f"{lines[0].strip()!r} is not closed")
        one = myst.directive(token)
        if one:
            return self._directive(one, quoted)
        if token.type == "colon_fence":
            raise self.error(f"a fence of colons without a directive: {lines[0].strip()!r}")
        return "\n".join([f"{token.markup}{token.info}", token.content.rstrip("\n"), token.markup])

    def _math(self, body: str, label: str | None, quoted: bool) -> str:
        tag = f" \\tag{{{self._number('equation-' + label, f'no equation {label!r}')}}}" if label else ""
        lines = [line.rstrip() for line in textwrap.dedent(body).strip("\n").split("\n")]
        lines = [line for line in lines if line.strip() and not line.lstrip().startswith("%")]
        if quoted:
            return "$$" + " ".join(line.strip() for line in lines) + tag + "$$"
        return "$$\n" + "\n".join(lines) + tag + "\n$$"

    def _directive(self, one: myst.Directive, quoted: bool) -> str:
        name, arg, body = one.name, one.argument, textwrap.dedent(one.body).strip("\n")
        label = one.options.get("label") or one.options.get("name") or ""
        kind = name.removeprefix("prf:")
        if name == "math":
            return self._math(body, label or None, quoted)
        if name in BOXES:
            return self._box(f"**{BOXES[name]}**", f"{arg}\n\n{body}" if arg else body)
        if name == "admonition":
            return self._box(f"**{self.inline(arg)}**", body)
        if name.startswith("prf:") and kind in PROOFS:
            head = f"**{self.counted(kind, label)}**" + (f" ({self.inline(arg)})" if arg else "")
            return self._box(head, body)
        if name == "dropdown":
            return f"<details><summary>{self.inline(arg)}</summary>\n\n{self.text(body)}\n\n</details>"
        if name in ("exercise-start", "exercise"):
            head = f"### {self.counted('exercise', label)}" + (f" ({self.inline(arg)})" if arg else "")
            return f"\n{head}\n\n{self.text(body)}\n" if body else f"\n{head}\n"
        if name == "solution-start":
            asked = self._labelled(self.doc, arg)
            title = f" ({self.inline(asked.argument)})" if asked and asked.argument else ""
            return f"\n#### Solution to {self.counted('exercise', arg)}{title}\n"
        if name in ("exercise-end", "solution-end"):
            return ""
        if name == "tab-set":
            return self.text(body, quoted)
        if name == "tab-item":
            return f"**{self.inline(arg)}**\n\n{self.text(body, quoted)}\n"
        if name == "list-table":
            return self._table(arg, label, body, int(one.options.get("header-rows", "0")))
        raise self.error(f"unknown directive {{{name}}}: the notebooks cannot show it")

    def _box(self, head: str, body: str) -> str:
        inner = f"{head}\n\n{self.text(body, quoted=True)}".rstrip()
        return "\n" + "\n".join(f"> {line}".rstrip() for line in inner.split("\n")) + "\n"

    def _table(self, caption: str, label: str, body: str, header_rows: int) -> str:
        rows: list[list[str]] = []
        for line in body.split("\n"):
            if new := re.match(r"^(\*| ) -(?: (.*))?$", line):
                if new[1] == "*":
                    rows.append([])
                if not rows:
                    raise self.error("a list-table must begin with '* - '", line)
                rows[-1].append(new[2] or "")
            elif line.strip():
                if not rows or not line.startswith("    "):
                    raise self.error("a line of a list-table that belongs to no cell", line)
                rows[-1][-1] += " " + line.strip()
        if not rows or len({len(row) for row in rows}) != 1:
            raise self.error("the rows of a list-table differ in length")
        if header_rows == 0:
            rows.insert(0, [""] * len(rows[0]))
        lines = [
            "| " + " | ".join(_in_table(self.inline(cell.strip())) for cell in row) + " |" for row in rows
        ]
        lines.insert(1, "|" + " --- |" * len(rows[0]))
        number = f"{self.counted('table', label)}. " if label else ""
        head = f"*{number}{self.inline(caption)}*\n\n" if caption or number else ""
        return "\n" + head + "\n".join(lines) + "\n"

    # ---------- references ----------

    def _number(self, key: str, missing: str) -> str:
        hit = self.book.labels.get(f"num:{key}")
        if not hit:
            raise self.error(f"unresolved reference: {missing}")
        return hit[2].split(" ")[-1]

    def counted(self, kind: str, label: str) -> str:
        """'Theorem 3.1', or the bare kind for what has no label."""
        word = kind.capitalize()
        return f"{word} {self._number(label, f'no {kind} {label!r}')}" if label else word

    def inline(self, source: str) -> str:
        """Resolve roles and links of a stretch of text without blocks."""
        found = myst.spans(source)
        for span in found:
            if span.rule in REFUSED:
                line = source[span.start : span.end].split("\n")[0]
                raise self.error(f"{REFUSED[span.rule]} cannot be shown in Colab: {line!r}", line)
        text = self._replaced(source, found, 0, len(source))
        return re.sub(r"\x01\s*", "", text)

    def _replaced(self, source: str, found: list[myst.Span], start: int, end: int) -> str:
        """source[start:end] with what its spans become; a link's text holds spans of its own."""
        out, at = [], start
        for span in found:
            if span.start < at or span.end > end:
                continue
            self._free(source[at : span.start])
            out += [source[at : span.start], self._span(source, found, span)]
            at = span.end
        self._free(source[at:end])
        return "".join(out) + source[at:end]

    def _free(self, text: str) -> None:
        for mark, what in (("$$", "a $$ is not closed"), ("[^", "a footnote cannot be shown in Colab")):
            if mark in text:
                line = next(one for one in text.split("\n") if mark in one)
                raise self.error(f"{what}: {line.strip()!r}", line)

    def _span(self, source: str, found: list[myst.Span], span: myst.Span) -> str:
        written = source[span.start : span.end]
        if span.rule == "myst_role":
            self._line = written.split("\n")[0]
            return self._role(span.name, re.sub(r"\s+", " ", span.content).strip())
        if span.rule == "math_inline":  # a line break would, in a quote, put a > into it
            return re.sub(r"\s*\n\s*", " ", written)
        if span.rule == "image":
            raise self.error(
                f"an image in the text would be a foreign or relative file: {written!r}", written
            )
        if span.rule == "link" and not FOREIGN.match(span.name):
            middle = span.start + written.rindex("](")
            text = self._replaced(source, found, span.start + 1, middle)
            return f"[{text}]({self._address(span.name, written)})"
        return written

    def _address(self, link: str, written: str) -> str:
        """A link to another page of the book, as an address on the site."""
        target, _, anchor = link.partition("#")
        doc = self._doc(target.removesuffix(".md")) if target else self.doc
        if (target and not target.endswith(".md")) or doc is None:
            raise self.error(f"a relative link that leads to no page: {written!r}", written)
        return self.book.address.page(doc, anchor)

    def _doc(self, target: str) -> str | None:
        """The document that a path means, seen from this page; None if there is none."""
        if target.startswith("/"):
            path = target.lstrip("/")
        else:
            parts: list[str] = []
            for part in (PurePosixPath(self.doc).parent / target).parts:
                if part == "..":
                    parts = parts[:-1]
                else:
                    parts.append(part)
            path = "/".join(parts)
        return path if (self.book.root / f"{path}.md").is_file() else None

    def _role(self, name: str, body: str) -> str:
        if name == "item":  # an anchor of the site: nothing here, nor the blank after it
            return "\x01"
        if name == "value":
            id, _, spec = body.partition(":")
            try:
                home, record = self.book.claim(self.page, id)
            except KeyError:
                raise self.error(f"unresolved reference: no executed claim {id!r}") from None
            held = f"{record['statement']}; wanted: {record['wanted']} ({record['by']})"
            held = held.replace('"', "”").replace("|", "∣").replace("`", "")
            address = self.book.address.page(f"{pages.CHAPTERS}/{home}", f"claim-{id}")
            return f'[{pages.show(record, spec)}]({address} "{held}")'
        if name in ("cite:t", "cite:p", "cite"):
            return self._cite(name, [key.strip() for key in body.split(",")])
        titled = re.fullmatch(r"(.*?)\s*<([^<>]+)>", body)
        text, target = (titled[1], titled[2]) if titled else ("", body)
        if name == "doc":
            doc = self._doc(target)
            if doc is None:
                raise self.error(f"unresolved reference: no document {target!r}")
            return f"[{text or self.book.title(doc)}]({self.book.address.page(doc)})"
        if name == "colab":
            if not (self.book.root / "chapters" / f"{target}.md").is_file():
                raise self.error(f"unresolved reference: no page {target!r}")
            return f"[{text}]({self.book.address.colab(target)})"
        if name == "eq":
            doc, anchor, _ = self._label(f"eq:{target}")
            number = f"({self._number(anchor, f'no equation {target!r}')})"
            return number if doc == self.doc else f"[{number}]({self.book.address.page(doc, anchor)})"
        if name in ("ref", "numref", "prf:ref"):
            return self._reference(name, text, target)
        raise self.error(f"unknown role {{{name}}}: the notebooks cannot show it")

    def _label(self, *keys: str) -> list[str]:
        for key in keys:
            if key in self.book.labels:
                return self.book.labels[key]
        raise self.error(f"unresolved reference: no label {keys[0].partition(':')[2]!r}")

    def _reference(self, name: str, text: str, label: str) -> str:
        keys = (f"num:{label}", f"ref:{label}") if name != "ref" else (f"ref:{label}", f"num:{label}")
        doc, anchor, said = self._label(*keys)
        if f"num:{label}" in self.book.labels:  # the site says 'Fig. 3.1', 'Exercise 3.2', 'Theorem 3.1'
            kind, number = self.book.labels[f"num:{label}"][2].rsplit(" ", 1)
            said = f"{ {'figure': 'Fig.'}.get(kind, kind.capitalize()) } {number}"
            text = text.replace("%s", number).replace("{number}", number)
        elif said == "Solution to":
            solution = self._labelled(doc, label)
            said = f"Solution to {self.counted('exercise', solution.argument)}" if solution else "Solution"
        if not (text or said):
            raise self.error(f"unresolved reference: label {label!r} has no title")
        return f"[{text or said}]({self.book.address.page(doc, anchor)})"

    def _labelled(self, doc: str, label: str) -> myst.Directive | None:
        """The directive of a document that bears a label."""
        found = [one for one, _ in myst.directives(self.book.text(doc)) if one.options.get("label") == label]
        return found[0] if found else None

    def _cite(self, role: str, keys: list[str]) -> str:
        address = self.book.address.page(self.book.bibliography_doc)
        out = []
        for key in keys:
            if key not in self.book.bibliography.entries:
                raise self.error(f"unresolved reference: {key!r} is not in references.bib")
            who, year = author_year(self.book.bibliography.entries[key])
            out.append(f"[{who} ({year})]({address})" if role == "cite:t" else f"[{who}, {year}]({address})")
        return ", ".join(out) if role == "cite:t" else f"({'; '.join(out)})"


def _in_table(cell: str) -> str:
    """Keep bars of formulas and text from being read as the bars of the table."""
    parts = re.split(r"(\$[^$]+\$)", cell)
    for n, part in enumerate(parts):
        if n % 2:
            parts[n] = part.replace(r"\|", r"\Vert ").replace("|", r"\vert ")
        else:
            parts[n] = re.sub(r"(?<!\\)\|", r"\\|", part)
    return "".join(parts)


# ---------- what must not be left ----------


def leftovers(markdown: str) -> list[str]:
    """What of MyST, or of links that lead nowhere, is left in plain Markdown: a list of complaints."""
    lines = markdown.split("\n")
    out = []
    for token in myst.blocks(markdown):
        line = lines[token.map[0]].strip() if token.map else ""
        if token.type == "colon_fence" or (token.type == "fence" and token.info.startswith("{")):
            out.append(f"raw {'directive' if token.info else 'fence'}: {line!r}")
        elif token.type == "myst_target":
            out.append(f"raw target: {line!r}")
        elif token.type == "math_block_label":
            out.append(f"raw equation label: ({token.info})")
        elif token.type == "inline":
            out += _inline_leftovers(token.content)
        if token.type in ("inline", "html_block"):
            out += [f"relative link: {hit!r}" for hit in relative_in_html(token.content)]
    return out


def _inline_leftovers(text: str) -> list[str]:
    out, words = [], text
    for span in myst.spans(text):
        written = text[span.start : span.end]
        words = words.replace(written, "") if span.rule != "link" else words
        if span.rule == "myst_role":
            out.append(f"raw role: {written!r}")
        elif span.rule == "image" or (span.rule == "link" and not FOREIGN.match(span.name)):
            out.append(f"{'image' if span.rule == 'image' else 'relative link'}: {written!r}")
    return out + [f"unresolved reference: {hit!r}" for hit in re.findall(r"\[\?+\]|\?\?", words)]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def relative_in_html(markup: str) -> list[str]:
    """Attributes of HTML that point to a file which a notebook does not have."""
    found = re.findall(r"<[^<>]*?\b((?:src|href)\s*=\s*[\"']([^\"']*)[\"'])", markup)
    return [whole for whole, target in found if not re.match(r"https?:|mailto:|data:|#", target)]
