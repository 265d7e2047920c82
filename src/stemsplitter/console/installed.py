"""The pages as an installed app: manifest, service worker, offline page, and songs shared to the app."""

import hashlib
import json
from functools import cache

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from stemsplitter.console import assets
from stemsplitter.console.access import see_other
from stemsplitter.console.language import language_of
from stemsplitter.console.rendering import page, render
from stemsplitter.languages import LANGUAGES, using
from stemsplitter.languages import gettext as _

OFFLINE = "/offline"
SHARED = "/new/shared"
# of the offline page
_FILES = ("app.css", "figtree.woff2", "icon.svg")
_ICONS = (
    ("icon.svg", "image/svg+xml", "any", "any"),
    ("icon-192.png", "image/png", "192x192", "any"),
    ("icon-512.png", "image/png", "512x512", "any"),
    ("icon-maskable.png", "image/png", "512x512", "maskable"),
)
# types of which systems offer the app; by extension, those that they do not know
_SONGS = ("audio/*", "video/*", ".flac", ".opus", ".mka", ".mkv", ".aiff", ".aif", ".wv", ".ape")

router = APIRouter()
# without a session: the service worker keeps the offline page, and a share has no CSRF token
open_router = APIRouter()


@router.get("/manifest.webmanifest")
def manifest(request: Request) -> Response:
    """Describe the app."""
    language = language_of(request)
    with using(language):
        described = {
            "name": "Stem Splitter",
            "short_name": "Stems",
            "description": _("Separate songs into stems"),
            "lang": language,
            "id": "/",
            "start_url": "/splits",
            "scope": "/",
            "display": "standalone",
            "background_color": "#12161b",
            "theme_color": "#0f766e",
            "categories": ["music", "utilities"],
            "icons": [
                {"src": assets.url(name), "type": mime, "sizes": sizes, "purpose": purpose}
                for name, mime, sizes, purpose in _ICONS
            ],
            "shortcuts": [
                {"name": _("New split"), "url": "/new"},
                {"name": _("Splits"), "url": "/splits"},
                {"name": _("Key finder"), "url": "/tools/key-finder"},
            ],
            "share_target": {
                "action": SHARED,
                "method": "POST",
                "enctype": "multipart/form-data",
                "params": {"files": [{"name": "song", "accept": list(_SONGS)}]},
            },
        }
    headers = {"Vary": "Cookie, Accept-Language", "Cache-Control": "no-cache"}
    return JSONResponse(described, media_type="application/manifest+json", headers=headers)


@open_router.get("/service-worker.js")
def service_worker() -> Response:
    """Return the script of the service worker, which changes with the offline page and its files."""
    values = {
        "VERSION": _version(),
        "OFFLINE": OFFLINE,
        "SHARED": SHARED,
        "FILES": [assets.url(name) for name in _FILES],
    }
    head = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in values.items())
    body = head.encode() + assets.content("service_worker.js")
    return Response(body, media_type="text/javascript", headers={"Cache-Control": "no-cache"})


@open_router.get(OFFLINE)
def offline(request: Request) -> Response:
    """Show the page for when the server cannot be reached."""
    return page(request, "offline.html", indexed=False)


@router.get(SHARED)
def shared_song(request: Request) -> Response:
    """Continue with the songs that another app has shared, which the service worker has received."""
    return page(request, "shared_song.html", indexed=False)


@open_router.post(SHARED)
def receive_missed() -> Response:
    """Answer a share that the service worker has not received, without reading it. The page says what to do."""
    return see_other(SHARED)


@cache
def _version() -> str:
    """Return a version that changes with the offline page, in any language, and with the static files."""
    pages = [render("offline.html", language, theme="") for language in LANGUAGES]
    return hashlib.sha256("".join((assets.VERSION, *pages)).encode()).hexdigest()[:16]
