"""Markdown as HTML that the security policy of the pages permits: without the author's HTML and inline styles."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape


def parse(text: str) -> list[Token]:
    """Parse a text; headings get IDs. HTML in it is text."""
    tokens = _markdown.parse(text)
    _anchor(tokens)
    _tidy(tokens)
    return tokens


def render(tokens: Sequence[Token]) -> Markup:
    """Render a text as HTML."""
    return Markup(_markdown.renderer.render(tokens, _markdown.options, {}))


def _anchor(tokens: Sequence[Token]) -> None:
    """Give each heading an ID made from its text, as GitHub does; repeated ones get a number."""
    seen: Counter[str] = Counter()
    for heading, text in pairwise(tokens):
        if heading.type == "heading_open":
            name = re.sub(r"[^\w -]", "", text.content.lower()).replace(" ", "-")
            heading.attrSet("id", f"{name}-{seen[name]}" if seen[name] else name)
            seen[name] += 1


def _tidy(tokens: Sequence[Token]) -> None:
    """Replace inline styles, which the security policy forbids, with classes, and empty header cells with cells."""
    for index, token in enumerate(tokens):
        if token.type == "th_open" and not tokens[index + 1].content:
            token.tag = tokens[index + 2].tag = "td"
        style = token.attrs.pop("style", None)
        if style is not None:
            token.attrSet("class", str(style).partition(":")[2])


def _code(_: RendererHTML, tokens: Sequence[Token], index: int, options: Any, environment: Any) -> str:
    """Render code with a copy button. Of adjacent blocks with titles, the languages of one program, one is open."""
    name = f"code-{index}"
    code = (
        f'<div class="code"><pre tabindex="0"><code id="{name}">{escape(tokens[index].content.rstrip())}</code></pre>'
        f'<button class="copy quiet" type="button" data-copy="{name}">Copy</button></div>\n'
    )
    first = index
    while first and _block_title(tokens[first - 1]):
        first -= 1
    title = _block_title(tokens[index])
    if not title or (first == index and not any(map(_block_title, tokens[index + 1 : index + 2]))):
        return code
    state = " open" if first == index else ""
    return f'<details name="languages-{first}"{state}><summary>{escape(title)}</summary>\n{code}</details>\n'


def _block_title(token: Token) -> str:
    """Return the title of a code block: the second word after the fence."""
    return token.info.partition(" ")[2] if token.type == "fence" else ""


def _wide(_: RendererHTML, tokens: Sequence[Token], index: int, options: Any, environment: Any) -> str:
    """Wrap a table so that it scrolls on a narrow screen."""
    return '<div class="scroll" tabindex="0"><table>\n' if tokens[index].nesting > 0 else "</table></div>\n"


_markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
for _rule in ("fence", "code_block"):
    _markdown.add_render_rule(_rule, _code)
for _rule in ("table_open", "table_close"):
    _markdown.add_render_rule(_rule, _wide)
