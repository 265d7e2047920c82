"""The documentation, rendered from Markdown files of the package."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from markdown_it.token import Token
from markupsafe import Markup
from starlette.responses import Response

from stemsplitter.console.markdown import parse, render
from stemsplitter.console.rendering import page
from stemsplitter.languages import marked
from stemsplitter.service_errors import NotFound

_HERE = Path(__file__).parent

# section → pages; the source of a page is docs/PAGE.md
SECTIONS = {
    marked("Use the server"): ("getting-started", "stems", "uploads", "sdks", "webhooks", "test-keys"),
    marked("Run the server"): (
        "operating",
        "settings",
        "blog",
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
    marked("Command and library"): ("cli", "mcp", "library", "clusters", "formats"),
    marked("About"): ("architecture", "changelog"),
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
    tokens = parse(_source(name).read_text(encoding="utf-8"))
    for token in tokens:
        _relink(token.children or ())
    return Guide(tokens[1].content, render(tokens))


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
