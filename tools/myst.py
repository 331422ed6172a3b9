"""MyST as its own parser reads it: the one place where a page's Markdown is taken apart."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

CONFIG = Path(__file__).resolve().parent.parent / "_config.yml"
# What a stretch of text may hold; the rules of the parser's that find it.
INLINE = {"myst_role", "backticks", "math_inline", "link", "image", "autolink", "html_inline"}
INLINE |= {"footnote_ref", "footnote_inline", "span", "attr"}


@functools.cache
def config() -> MdParserConfig:
    """The book's dialect, read into blocks: the extensions that _config.yml enables."""
    parse = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["parse"]
    return MdParserConfig(enable_extensions=set(parse["myst_enable_extensions"]), disable_syntax=["inline"])


# ---------- blocks ----------


@functools.lru_cache(512)
def blocks(text: str) -> list[Token]:
    """Block tokens of a text, with their lines in `map`; what a directive holds is its token's content."""
    return create_md_parser(config(), RendererHTML).parse(text + "\n")


class Directive(NamedTuple):
    """A directive as it is written; `start` is the line of its body in the text, counted from 0."""

    name: str
    argument: str
    options: dict[str, str]
    body: str
    start: int


def directive(token: Token) -> Directive | None:
    """What a block token says as a directive; None if it is something else, such as a listing."""
    named = re.match(r"\{([\w:-]+)\}\s*(.*)", token.info)
    if token.type not in ("fence", "colon_fence") or not named:
        return None
    assert token.map is not None  # block tokens have one
    lines, options = token.content.split("\n"), {}
    while lines and (option := re.match(r":([\w-]+):\s*(.*)$", lines[0])):
        options[option[1]] = option[2].strip()
        lines.pop(0)
    start = token.map[0] + 1 + len(options)
    return Directive(named[1], named[2].strip(), options, "\n".join(lines), start)


def directives(text: str) -> list[tuple[Directive, Token]]:
    """The directives of a text that no other block holds, in order."""
    found = [(directive(token), token) for token in blocks(text) if token.level == 0]
    return [(one, token) for one, token in found if one]


# ---------- inline ----------


class Span(NamedTuple):
    """What one rule of the parser found in a stretch of text, at text[start:end]."""

    rule: str
    start: int
    end: int
    name: str  # of a role; the target of a link or image
    content: str


@functools.cache
def _inline() -> tuple[MarkdownIt, list[Span]]:
    """A parser of inline text, and the list to which its rules add what they find."""
    md = create_md_parser(dataclasses.replace(config(), disable_syntax=[]), RendererHTML)
    found: list[Span] = []

    def watched(rule: str, plain: Callable[[Any, bool], bool]) -> Callable[[Any, bool], bool]:
        def run(state: Any, silent: bool) -> bool:
            start, count = state.pos, len(state.tokens)
            if not plain(state, silent):
                return False
            made = state.tokens[count:]
            if not silent and made:
                token: Token = next((t for t in made if t.type != "text"), made[0])
                name = token.meta.get("name") or token.attrGet("href") or token.attrGet("src") or ""
                found.append(Span(rule, start, state.pos, str(name), token.content))
            return True

        return run

    for rule in md.inline.ruler.__rules__:
        if rule.name in INLINE:
            rule.fn = watched(rule.name, rule.fn)
    md.inline.ruler.__cache__ = None
    return md, found


def spans(text: str) -> list[Span]:
    """What a stretch of text without blocks holds besides plain words, in order; links may hold others."""
    md, found = _inline()
    found.clear()
    md.inline.parse(text, md, {}, [])
    return sorted(found, key=lambda span: (span.start, -span.end))


# ---------- prose ----------

# Directives whose body is read by everybody; others hold code, formulas or lists made by the build.
READ = {"note", "warning", "tip", "important", "seealso", "admonition", "dropdown", "list-table", "exercise"}


def prose(text: str, first: int = 0) -> Iterator[tuple[int, str]]:
    """(line, words) of all running text: no code, no formula, no role, no address; lines count from 1."""
    for token in blocks(text):
        if token.type == "inline" and token.map is not None:
            for number, line in enumerate(_words(token.content).split("\n")):
                yield first + token.map[0] + 1 + number, line
        elif (one := directive(token)) and (one.name in READ or one.name.startswith("prf:")):
            assert token.map is not None
            yield first + token.map[0] + 1, _words(one.argument)
            yield from prose(one.body, first + one.start)


def _words(text: str) -> str:
    """`text` with all that is not words blanked; the lines stay."""
    out, at = [], 0
    for span in spans(text):
        if span.start < at:
            continue
        inside = text[span.start : span.end]
        shown = text[span.start + 1 : span.start + 1 + _label(inside)] if span.rule == "link" else ""
        out += [text[at : span.start], shown or " ", "\n" * (inside.count("\n") - shown.count("\n"))]
        at = span.end
    return "".join(out) + text[at:]


def _label(link: str) -> int:
    """Length of the text of a link [text](target)."""
    return link.rindex("](") - 1 if "](" in link else 0
