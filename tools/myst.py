"""MyST as its own parser reads it: the one place where a page's Markdown is taken apart."""

from __future__ import annotations

import functools
from pathlib import Path

import yaml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

CONFIG = Path(__file__).resolve().parent.parent / "_config.yml"


@functools.cache
def config() -> MdParserConfig:
    """The book's dialect: the extensions that _config.yml enables."""
    parse = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["parse"]
    return MdParserConfig(enable_extensions=set(parse["myst_enable_extensions"]), disable_syntax=["inline"])


@functools.lru_cache(512)
def blocks(text: str) -> list[Token]:
    """Block tokens of a text, with their lines in `map`; what a directive holds is its token's content."""
    return create_md_parser(config(), RendererHTML).parse(text + "\n")


def directives(text: str) -> list[tuple[str, str, Token]]:
    """(name, argument, token) of every directive that no other block holds."""
    found = []
    for token in blocks(text):
        if token.type in ("fence", "colon_fence") and token.level == 0 and token.info.startswith("{"):
            name, _, argument = token.info[1:].partition("}")
            found.append((name, argument.strip(), token))
    return found
