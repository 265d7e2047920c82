"""Files for search engines and reporters of faults: robots.txt, the sitemap, security.txt."""

from datetime import timedelta
from xml.sax.saxutils import escape

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.clock import now
from stemsplitter.console.blog import posts
from stemsplitter.console.legal import LEGAL
from stemsplitter.console.manual import PAGES
from stemsplitter.console.tasks import TASKS
from stemsplitter.console.tools import TOOLS
from stemsplitter.service_errors import NotFound

PUBLIC = (
    "",
    "pricing",
    "status",
    "blog",
    "compare",
    "docs",
    *sorted(f"docs/{name}" for name in PAGES),
    *LEGAL,
)
PRIVATE = ("account", "credits", "developer", "new", "operator", "sign-in", "splits", "uploads", "v1")
VALID_FOR = timedelta(days=180)  # of security.txt

router = APIRouter()


@router.get("/robots.txt")
def robots(services: ServicesDep) -> Response:
    """Keep crawlers on the public pages."""
    lines = ["User-agent: *", *(f"Disallow: /{path}" for path in PRIVATE)]
    return PlainTextResponse("\n".join([*lines, f"Sitemap: {services.settings.base_url}/sitemap.xml", ""]))


@router.get("/sitemap.xml")
def sitemap(services: ServicesDep) -> Response:
    """List the public pages."""
    tools = (tool.path.removeprefix("/") for tool in (*TASKS, *TOOLS))
    paths = (*PUBLIC, *tools, *(f"blog/{name}" for name in posts(services.settings)))
    places = "".join(
        f"<url><loc>{escape(f'{services.settings.base_url}/{path}')}</loc></url>\n" for path in paths
    )
    start = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
    return Response(f"{start}{places}</urlset>\n", media_type="application/xml")


@router.get("/.well-known/security.txt")
def security(services: ServicesDep) -> Response:
    """Say where to report a vulnerability (RFC 9116)."""
    settings = services.settings
    if not settings.contact:
        raise NotFound("The operator of this server has set no contact.")
    contact = settings.contact if "://" in settings.contact else f"mailto:{settings.contact}"
    expires = (now() + VALID_FOR).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = (
        f"Contact: {contact}",
        f"Expires: {expires}",
        "Preferred-Languages: en",
        f"Canonical: {settings.base_url}/.well-known/security.txt",
        "",
    )
    return PlainTextResponse("\n".join(lines))
