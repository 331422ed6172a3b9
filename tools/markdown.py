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

from pybtex.database import BibliographyData, Entry, parse_file

from tools import pages
from tools.pages import PageError

BOXES = {"note": "Note", "warning": "Warning", "tip": "Tip", "important": "Important", "seealso": "See also"}
PROOFS = ("definition", "theorem", "lemma", "proof", "algorithm", "remark", "example")
FENCE = re.compile(r"^(?P<indent> *)(?P<mark>:{3,}|`{3,}|~{3,})(?:\{(?P<name>[\w:-]+)\})?[ \t]*(?P<arg>.*)$")
TARGET = re.compile(r"^\([\w:.-]+\)=\s*$")
DOLLARS = re.compile(r"\$\$[ \t]*(?:\((?P<label>[\w:.-]+)\))?[ \t]*$")
# A role, or a code span in which nothing is a role.
SPAN = re.compile(
    r"(?:\{(?P<role>[\w:.-]+)\})?(?P<ticks>`+)(?P<body>(?:[^`]|(?!(?P=ticks)(?!`))`)+?)(?P=ticks)(?!`)"
)
FORMULA = re.compile(r"(?<!\\)\$\$.*?\$\$|(?<![\\$])\$(?!\$)(?:\\.|[^$\\])+\$", re.S)
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)(?P<rest>[^)]*)\)")
FOREIGN = re.compile(r"^(https?:|mailto:)")


@dataclass
class Book:
    """What resolving a reference needs to know of the whole book."""

    root: Path
    labels: dict[str, list[str]]
    value: Callable[[str, str, str], str]  # (page, claim id, format) -> text; KeyError if there is none

    @classmethod
    def open(cls, root: Path, value: Callable[[str, str, str], str]) -> Book:
        path = root / "_build" / "labels.json"
        if not path.is_file():
            raise SystemExit("there is no _build/labels.json: build the site first (make book)")
        return cls(root, json.loads(path.read_text(encoding="utf-8")), value)

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
        out: list[str] = []
        plain: list[str] = []

        def flush() -> None:
            paragraphs = re.split(r"(\n\s*\n)", "\n".join(plain))
            out.append("".join(p if p.isspace() else self.inline(p) for p in paragraphs))
            plain.clear()

        lines = source.split("\n")
        i = 0
        while i < len(lines):
            line = lines[i]
            fence = FENCE.match(line)
            if fence and not (fence["mark"][0] == "`" and "`" in fence["arg"]):
                flush()
                self._line = line
                close = self._close(lines, i, fence["mark"])
                inner = textwrap.dedent("\n".join(lines[i + 1 : close]))
                if fence["name"]:
                    block = self._directive(fence["name"], fence["arg"].strip(), inner, quoted)
                elif fence["mark"][0] == ":":
                    raise self.error(f"a fence of colons without a directive: {line.strip()!r}")
                else:
                    block = "\n".join([f"{fence['mark']}{fence['arg']}", inner, fence["mark"]])
                out.append(textwrap.indent(block, fence["indent"]))
                i = close + 1
            elif line.lstrip().startswith("$$"):
                flush()
                self._line = line
                close = i
                while not DOLLARS.search(lines[close].lstrip()[2:] if close == i else lines[close]):
                    close += 1
                    if close == len(lines):
                        raise self.error("a $$ is not closed")
                indent = line[: len(line) - len(line.lstrip())]
                whole = "\n".join(part.removeprefix(indent) for part in lines[i : close + 1])
                end = DOLLARS.search(whole[2:])
                assert end is not None
                out.append(
                    textwrap.indent(self._math(whole[2 : 2 + end.start()], end["label"], quoted), indent)
                )
                i = close + 1
            else:
                if not TARGET.match(line) and not line.startswith("%"):
                    self._refuse(line)
                    plain.append(line)
                i += 1
        flush()
        return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip("\n")

    def _close(self, lines: list[str], start: int, mark: str) -> int:
        end = re.compile(rf"^ *{re.escape(mark[0])}{{{len(mark)},}}\s*$")
        for n in range(start + 1, len(lines)):
            if end.match(lines[n]):
                return n
        raise self.error(f"{lines[start].strip()!r} is not closed")

    def _refuse(self, line: str) -> None:
        """Markdown that MyST knows and Colab does not."""
        faults = {
            r"^\s*\\begin\{": "amsmath outside $$ ... $$",
            r"^\s*\[\^[\w-]+\]:|\[\^[\w-]+\]": "a footnote",
            r"^:\s+\S": "a definition list",
            r"^\s*\{[.#][\w-]+[^}]*\}\s*$|\]\{[.#]": "an attribute in braces",
        }
        for pattern, what in faults.items():
            if re.search(pattern, re.sub(r"`[^`]*`", "``", line)):
                raise self.error(f"{what} cannot be shown in Colab: {line.strip()!r}", line)

    def _math(self, body: str, label: str | None, quoted: bool) -> str:
        tag = f" \\tag{{{self._number('equation-' + label, f'no equation {label!r}')}}}" if label else ""
        lines = [line.rstrip() for line in textwrap.dedent(body).strip("\n").split("\n")]
        lines = [line for line in lines if line.strip() and not line.lstrip().startswith("%")]
        if quoted:
            return "$$" + " ".join(line.strip() for line in lines) + tag + "$$"
        return "$$\n" + "\n".join(lines) + tag + "\n$$"

    def _directive(self, name: str, arg: str, body: str, quoted: bool) -> str:
        options: dict[str, str] = {}
        lines = body.split("\n")
        while lines and (option := re.match(r"^:([\w-]+):\s*(.*)$", lines[0])):
            options[option[1]] = option[2].strip()
            lines.pop(0)
        body = "\n".join(lines).strip("\n")
        label = options.get("label") or options.get("name") or ""
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
            found = re.search(
                rf"\{{exercise(?:-start)?\}}[ \t]*(.*)\n:label: {re.escape(arg)}\s", self.book.text(self.doc)
            )
            head = f"#### Solution to {self.counted('exercise', arg)}"
            return (
                "\n"
                + head
                + (f" ({self.inline(found[1].strip())})" if found and found[1].strip() else "")
                + "\n"
            )
        if name in ("exercise-end", "solution-end"):
            return ""
        if name == "tab-set":
            return self.text(body, quoted)
        if name == "tab-item":
            return f"**{self.inline(arg)}**\n\n{self.text(body, quoted)}\n"
        if name == "list-table":
            return self._table(arg, label, body, int(options.get("header-rows", "0")))
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
        kept: list[str] = []

        def keep(text: str) -> str:
            kept.append(text)
            return f"\x00{len(kept) - 1}\x00"

        def span(match: re.Match[str]) -> str:
            if match["role"] is None:
                return keep(match[0])
            self._line = match[0].split("\n")[0]
            return keep(self._role(match["role"], re.sub(r"\s+", " ", match["body"]).strip()))

        def link(match: re.Match[str]) -> str:
            if FOREIGN.match(match["target"]) and not match["image"]:
                return match[0]
            return f"[{match['text']}]({self._address(match)}{match['rest']})"

        text = SPAN.sub(span, source)
        # f[x](y) in a formula is no link; a line break in one would, in a quote, put a > into it
        text = FORMULA.sub(lambda m: keep(re.sub(r"\s*\n\s*", " ", m[0])), text)
        text = LINK.sub(link, text)
        while "\x00" in text:
            text = re.sub(r"\x00(\d+)\x00", lambda m: kept[int(m[1])], text)
        return re.sub(r"\x01\s*", "", text)

    def _address(self, link: re.Match[str]) -> str:
        """A link to another page of the book, as an address on the site."""
        target, _, anchor = link["target"].partition("#")
        if link["image"]:
            raise self.error(
                f"an image in the text would be a foreign or relative file: {link[0]!r}", link[0]
            )
        doc = self._doc(target.removesuffix(".md")) if target else self.doc
        if (target and not target.endswith(".md")) or doc is None:
            raise self.error(f"a relative link that leads to no page: {link[0]!r}", link[0])
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
                return self.book.value(self.page, id, spec)
            except KeyError:
                raise self.error(f"unresolved reference: no executed claim {id!r}") from None
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
            found = re.search(
                rf"\{{solution-start\}}[ \t]*(\S+)\n:label: {re.escape(label)}\s", self.book.text(doc)
            )
            said = f"Solution to {self.counted('exercise', found[1])}" if found else "Solution"
        if not (text or said):
            raise self.error(f"unresolved reference: label {label!r} has no title")
        return f"[{text or said}]({self.book.address.page(doc, anchor)})"

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
    out = []
    fence = ""
    kept = []
    for line in markdown.split("\n"):
        bare = re.sub(r"^[> ]+", "", line)
        mark = re.match(r"(`{3,}|~{3,})", bare)
        if not fence and re.match(r"(:{3,}|`{3,}|~{3,})\s*\{", bare):
            out.append(f"raw directive: {bare!r}")
        elif not fence and re.match(r":{3,}\s*$", bare):
            out.append(f"raw fence: {bare!r}")
        elif mark:
            fence = "" if fence and bare.startswith(fence) and not bare.strip("`~ ") else fence or mark[1]
        elif not fence:
            kept.append(bare)
    text = "\n".join(kept)
    raw_roles = [m[0] for m in SPAN.finditer(text) if m["role"]]
    labels = re.findall(r"\$\$ *\([\w:.-]+\)\s*$", text, re.M)
    text = FORMULA.sub("", SPAN.sub("", text))
    checks = {
        "raw role": raw_roles,
        "raw target": re.findall(r"^\([\w:.-]+\)=\s*$", text, re.M),
        "raw equation label": labels,
        "unresolved reference": re.findall(r"\[\?+\]|\?\?", text),
        "relative link": [m[0] for m in LINK.finditer(text) if not FOREIGN.match(m["target"])],
        "image": [m[0] for m in LINK.finditer(text) if m["image"]],
    }
    out += [f"{what}: {hit!r}" for what, hits in checks.items() for hit in hits]
    return out + [f"relative link: {hit!r}" for hit in relative_in_html(text)]


def relative_in_html(markup: str) -> list[str]:
    """Attributes of HTML that point to a file which a notebook does not have."""
    found = re.findall(r"<[^<>]*?\b((?:src|href)\s*=\s*[\"']([^\"']*)[\"'])", markup)
    return [whole for whole, target in found if not re.match(r"https?:|mailto:|data:|#", target)]
