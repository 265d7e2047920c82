"""Routes of the description: OpenAPI in JSON and YAML, the Postman collection, and the reference page ``/docs``."""

import hashlib
import json
import re
import threading
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from fastapi import APIRouter, FastAPI, Request
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

from stemsplitter.api.compression import compress
from stemsplitter.api.description import openapi, postman
from stemsplitter.api.documentation import ERRORS, JSON
from stemsplitter.api.envelope import JsonResponse

_PAGES = Path(__file__).parent / "pages"
_STYLE = (_PAGES / "reference.css").read_text(encoding="utf-8")
_STYLE_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_CODE = re.compile("`([^`]+)`")
_rendering = threading.Lock()

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
def openapi_json(request: Request) -> Response:
    """Return the description as JSON."""
    return Response(_rendered(request.app, "json", _json), media_type=JSON)


@router.get("/openapi.yaml")
def openapi_yaml(request: Request) -> Response:
    """Return the description as YAML."""
    return Response(_rendered(request.app, "yaml", _yaml), media_type="application/yaml")


@router.get("/postman.json")
def postman_json(request: Request) -> Response:
    """Return the description as a Postman collection."""
    body = _rendered(request.app, "postman", lambda spec: _json(postman.collection(spec)))
    return Response(body, media_type=JSON)


@router.get("/docs")
def docs(request: Request) -> Response:
    """Return the description as a page."""
    response = HTMLResponse(
        _rendered(request.app, "page", lambda spec: render(spec).encode()),
        headers={"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"},
    )
    return compress(request, response)


def render(spec: openapi.Spec) -> str:
    """Render the reference page of ``spec``, without scripts or external resources."""
    pages = Environment(
        loader=FileSystemLoader(_PAGES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["resolve"] = lambda node: _resolve(spec, node)
    pages.filters |= {"kind": _kind, "prose": _prose, "pretty": _pretty}
    by_tag: dict[str, list[Any]] = {tag["name"]: [] for tag in spec["tags"]}
    for path, method, operation in openapi.operations(spec):
        by_tag.setdefault(operation["tags"][0], []).append((path, method, operation))
    errors = {code: openapi.error_response(code) for code in ERRORS}
    return pages.get_template("reference.html").render(spec=spec, by_tag=by_tag, errors=errors, style=_STYLE)


def _rendered(app: FastAPI, name: str, make: Callable[[openapi.Spec], bytes]) -> bytes:
    """Return a form of the description. Each is made once: it takes up to a second, and anybody may request it."""
    with _rendering:
        if not hasattr(app.state, "description"):
            app.state.description = openapi.describe(app), {}
        spec, forms = app.state.description
        if name not in forms:
            forms[name] = make(spec)
        found: bytes = forms[name]
        return found


def _json(content: Any) -> bytes:
    return bytes(JsonResponse(content).body)


def _yaml(spec: openapi.Spec) -> bytes:
    text: str = yaml.safe_dump(spec, sort_keys=False, allow_unicode=True, width=110)
    return text.encode()


def _resolve(spec: openapi.Spec, node: Any) -> Any:
    """Resolve a node that is a ``$ref`` of the description; return other nodes unchanged."""
    while "$ref" in node:
        target = node["$ref"]
        node = spec
        for part in target.removeprefix("#/").split("/"):
            node = node[part]
    return node


def _prose(text: str) -> Markup:
    """Escape text and mark the parts between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


def _pretty(example: Any) -> str:
    return json.dumps(example, ensure_ascii=False, indent=2)


def _kind(schema: Any) -> str:
    """Return the type of a schema in a few words: ``"a" | "b"``, ``list of Split``, ``integer or null``."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return json.dumps(schema["const"])
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return " or ".join(_kind(each) for each in schema[union])
    if "enum" in schema:
        return " | ".join(json.dumps(each) for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_kind(schema['additionalProperties'])}"
    return str(schema.get("type", "any"))
