"""The blog: posts of this project, and those of the operator, as pages and an Atom feed."""

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import FileResponse, Response

from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.console.markdown import parse, render
from stemsplitter.console.rendering import page
from stemsplitter.service_errors import NotFound
from stemsplitter.settings import Settings

SHIPPED = Path(__file__).parent / "posts"
PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
FEED = "feed.xml"
ATOM = "http://www.w3.org/2005/Atom"

_NAME = re.compile("[a-z0-9]+(-[a-z0-9]+)*")
_FIELDS = ("title", "date", "description", "author", "language")
_CONTROL = re.compile(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # not allowed in XML 1.0

_log = logging.getLogger(__name__)
router = APIRouter()


@dataclass(frozen=True, slots=True)
class Post:
    """A post. ``name`` is its part of the URL; ``html`` its text."""

    name: str
    title: str
    date: date
    description: str
    author: str
    language: str
    html: Markup


def posts(settings: Settings) -> Mapping[str, Post]:
    """Return the posts by name, the newest first. The operator's replace those of this project of the same name.

    A post that cannot be read is left out; its error is logged when it is found.
    """
    return _read(tuple(_files(SHIPPED)), tuple(_files(settings.blog_dir)) if settings.blog_dir else ())


@router.get("/blog")
def blog(request: Request, services: ServicesDep) -> Response:
    """List the posts."""
    return page(request, "blog.html", posts=posts(services.settings).values())


@router.get(f"/blog/{FEED}")
def feed(services: ServicesDep) -> Response:
    """Return the posts as an Atom feed (RFC 4287)."""
    settings = services.settings
    found = posts(settings)
    root = ElementTree.Element("feed", {"xmlns": ATOM})
    _add(root, "title", "Stem Splitter")
    _add(root, "id", f"{settings.base_url}/blog")
    _add(root, "updated", _instant(max((post.date for post in found.values()), default=date.min)))
    _add(root, "link", rel="self", href=f"{settings.base_url}/blog/{FEED}", type="application/atom+xml")
    _add(root, "link", rel="alternate", href=f"{settings.base_url}/blog", type="text/html")
    _add(_add(root, "author"), "name", settings.operator_name or "Stem Splitter")
    for post in found.values():
        url = f"{settings.base_url}/blog/{post.name}"
        entry = _add(root, "entry")
        _add(entry, "title", post.title)
        _add(entry, "id", url)
        _add(entry, "updated", _instant(post.date))
        _add(entry, "link", rel="alternate", href=url, type="text/html")
        if post.author:
            _add(_add(entry, "author"), "name", post.author)
        _add(entry, "summary", post.description)
        # relative links of the text begin at its page
        content = _add(entry, "content", post.html, type="html")
        content.set("{http://www.w3.org/XML/1998/namespace}base", url)
    body = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return Response(body, media_type="application/atom+xml", headers={"Cache-Control": "no-cache"})


@router.get("/blog/{name}")
def blog_post(request: Request, services: ServicesDep, name: str) -> Response:
    """Show a post, or return a picture of the operator's folder."""
    found = posts(services.settings).get(name)
    if found is not None:
        return page(request, "post.html", post=found)
    stem, dot, suffix = name.rpartition(".")
    folder, mime = services.settings.blog_dir, PICTURES.get(dot + suffix)
    if folder and mime and re.fullmatch(r"[\w-]+", stem) and (folder / name).is_file():
        return FileResponse(folder / name, media_type=mime, headers={"Cache-Control": "no-cache"})
    raise NotFound("There is no such post.")


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the sources of posts in a folder with the time of their last change."""
    try:
        for path in sorted(folder.glob("*.md")):
            yield path, path.stat().st_mtime_ns
    except OSError as error:
        _log.warning("cannot list the blog's posts: %s", error)


@lru_cache(maxsize=2)
def _read(shipped: tuple[tuple[Path, int], ...], own: tuple[tuple[Path, int], ...]) -> Mapping[str, Post]:
    """Read the posts; their times make it read them again after a change."""
    found = {}
    for path, _ in (*shipped, *own):
        try:
            found[path.stem] = read_post(path)
        except (OSError, ValueError) as error:
            _log.warning("skipped the blog's post %s: %s", path, error)
    newest_first = sorted(found.values(), key=lambda post: (post.date, post.name), reverse=True)
    return {post.name: post for post in newest_first}


def read_post(path: Path) -> Post:
    """Read a Markdown file with front matter: lines ``name: value`` between two lines ``---``.

    Raises:
        OSError: the file cannot be read.
        ValueError: the name, a field or the text is invalid; the message says which.
    """
    if not _NAME.fullmatch(path.stem):
        raise ValueError("name the file with a-z, 0-9 and hyphens, such as new-studio.md")
    text = path.read_text(encoding="utf-8-sig")
    if _CONTROL.search(text):
        raise ValueError("it contains control characters")
    head, rule, body = text.removeprefix("---\n").partition("\n---\n")
    if not text.startswith("---\n") or not rule:
        raise ValueError("begin it with front matter: title, date and description between two lines ---")
    fields = dict.fromkeys(("author",), "") | {"language": "en"}
    for line in filter(str.strip, head.split("\n")):
        name, _, value = line.partition(":")
        if name.strip() not in _FIELDS:
            raise ValueError(f"the front matter has {name.strip()!r}; known are {', '.join(_FIELDS)}")
        fields[name.strip()] = re.sub(r"^(['\"])(.*)\1$", r"\2", value.strip())
    for name in ("title", "date", "description"):
        if not fields.get(name):
            raise ValueError(f"the front matter has no {name}")
    try:
        at = date.fromisoformat(fields.pop("date"))
    except ValueError as error:
        raise ValueError("write its date as 2026-11-30") from error
    return Post(name=path.stem, date=at, html=render(parse(body)), **fields)


def _add(parent: ElementTree.Element, name: str, text: str = "", **attributes: str) -> ElementTree.Element:
    made = ElementTree.SubElement(parent, name, attributes)
    made.text = str(text) or None
    return made


def _instant(at: date) -> str:
    return f"{at.isoformat()}T00:00:00Z"
