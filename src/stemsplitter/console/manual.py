"""The documentation, rendered from Markdown files of the package."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape
from starlette.responses import Response

from stemsplitter.console.rendering import page
from stemsplitter.service_errors import NotFound

_HERE = Path(__file__).parent

# section → pages; the source of a page is docs/PAGE.md
SECTIONS = {
    "Use the server": ("getting-started", "stems", "uploads", "sdks", "webhooks"),
    "Run the server": (
        "operating",
        "settings",
        "deployment",
        "storage",
        "backup",
        "capacity",
        "gpu",
        "models",
        "model-card",
        "fetching",
        "links",
    ),
    "Command and library": ("cli", "mcp", "library", "clusters", "formats"),
    "About": ("architecture", "changelog"),
}
PAGES = {name for section in SECTIONS.values() for name in section}

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Guide:
    """A documentation page: title and body as HTML."""

    title: str
    html: Markup


@router.get("/docs/{name}")
def guide_page(request: Request, name: str) -> Response:
    """Show a documentation page."""
    if name not in PAGES:
        raise NotFound("There is no such documentation page.")
    return page(request, "guide.html", guide=guide(name), name=name, sections=_contents())


@cache
def guide(name: str) -> Guide:
    """Render the page of that name. Raises KeyError for a link to a page that does not exist."""
    tokens = _markdown.parse(_source(name).read_text(encoding="utf-8"))
    _anchor(tokens)
    for token in tokens:
        _relink(token.children or ())
    _tidy(tokens)
    title = tokens[1].content
    return Guide(title, Markup(_markdown.renderer.render(tokens, _markdown.options, {})))


@cache
def _contents() -> dict[str, dict[str, str]]:
    """Return the titles of the pages: section → page → title."""
    return {section: {name: _title(name) for name in names} for section, names in SECTIONS.items()}


def _title(name: str) -> str:
    """Return the text of the first heading of a page."""
    with _source(name).open(encoding="utf-8") as source:
        return source.readline().removeprefix("# ").replace("`", "").strip()


def _source(name: str) -> Path:
    return _HERE / "CHANGELOG.md" if name == "changelog" else _HERE / "guides" / f"{name}.md"


def _anchor(tokens: Sequence[Token]) -> None:
    """Give each heading an ID made from its text, as GitHub does; repeated ones get a number."""
    seen: Counter[str] = Counter()
    for heading, text in pairwise(tokens):
        if heading.type == "heading_open":
            name = re.sub(r"[^\w -]", "", text.content.lower()).replace(" ", "-")
            heading.attrSet("id", f"{name}-{seen[name]}" if seen[name] else name)
            seen[name] += 1


def _relink(tokens: Sequence[Token]) -> None:
    """Rewrite links to pages. Links to files outside the documentation become plain text."""
    tag = "a"
    for token in tokens:
        if token.type == "link_open":
            href = str(token.attrs.pop("href"))
            tag = "span" if href.startswith("../") else "a"
            if tag == "a":
                token.attrSet("href", _target(href))
        if token.type in ("link_open", "link_close"):
            token.tag = tag


def _target(href: str) -> str:
    """Return the target of a link: a page of the console, or the link itself."""
    if href.startswith(("#", "https://")):
        return href
    name, _, anchor = href.partition("#")
    name = name.removesuffix(".md")
    if name not in PAGES:
        raise KeyError(f"the documentation has no page {href}")
    return f"/docs/{name}" + (f"#{anchor}" if anchor else "")


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
