"""The reference of the API, from its description: a page of what all requests share, and one for each group."""

import json
import re
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from markupsafe import Markup, escape
from starlette.responses import Response

from stemsplitter.api.description import files
from stemsplitter.api.description.openapi import Spec, error_response, operations
from stemsplitter.api.documentation import ERRORS, JSON
from stemsplitter.console.rendering import page, render
from stemsplitter.console.sdk_snippets import sdk_snippets
from stemsplitter.console.snippets import snippets
from stemsplitter.service_errors import NotFound

OVERVIEW = "Overview and errors"  # in English, as the titles of the groups
EVENTS = "events"  # the page of webhooks, beside those of groups

_CODE = re.compile("`([^`]+)`")

router = APIRouter()


@router.get("/docs")
def overview(request: Request) -> Response:
    """Show what all requests share: address, key, form of responses, errors."""
    return _page(request, "")


@router.get("/docs/api/{group}")
def group_page(request: Request, group: str) -> Response:
    """Show the operations of a group, or the events of webhooks."""
    if group not in _groups(request.app):
        raise NotFound("There is no such documentation page.")
    return _page(request, group)


def _page(request: Request, group: str) -> Response:
    groups = _groups(request.app)
    article = files.rendered(request.app, f"reference {group}", lambda spec: _article(spec, groups, group))
    return page(
        request,
        "reference.html",
        title=groups[group]["title"] if group else OVERVIEW,
        overview=OVERVIEW,
        group=group,
        groups=groups,
        article=article,
    )


def _groups(app: FastAPI) -> dict[str, dict[str, Any]]:
    """Return the pages of groups: name in the address → title, text, and title of each operation by its ID."""
    return files.rendered(app, "groups", _list_groups)


def _list_groups(spec: Spec) -> dict[str, dict[str, Any]]:
    groups = {
        tag["name"].lower(): {
            "title": tag["name"],
            "text": tag["description"],
            "operations": {
                operation["operationId"]: operation["summary"]
                for _, _, operation in operations(spec)
                if operation["tags"][0] == tag["name"]
            },
        }
        for tag in spec["tags"]
    }
    groups[EVENTS] = {
        "title": "Events",
        "text": "Requests to the webhook URL of a job when it has ended, and to saved webhook endpoints.",
        "operations": {name: name for name in spec["webhooks"]},
    }
    return {name: group for name, group in groups.items() if group["operations"]}


def _article(spec: Spec, groups: dict[str, dict[str, Any]], group: str) -> Markup:
    """Render the content of a page; it is in English, in all languages of the console."""
    text = render(
        "_operations.html" if group else "_overview.html",
        "en",
        spec=spec,
        group=groups.get(group),
        groups=groups,
        calls=list(_calls(spec, group)),
        errors={code: error_response(code) for code in ERRORS},
        resolve=lambda node: _resolve(spec, node),
        kind=_kind,
        prose=_prose,
        pretty=_pretty,
    )
    return Markup(text)


def _calls(spec: Spec, group: str) -> Iterator[dict[str, Any]]:
    """Yield what the template shows of each operation of a group, or of each event."""
    if group == EVENTS:
        for name, methods in spec["webhooks"].items():
            event = {"operation": methods["post"], "code": {}, "can_try": False}
            yield {"id": name, "method": "webhook", "path": name, **event}
    base_url = spec["servers"][0]["url"]
    for path, method, operation in operations(spec):
        if operation["tags"][0].lower() == group:
            yield {
                "id": operation["operationId"],
                "method": method,
                "path": path,
                "operation": operation,
                "code": snippets(base_url, path, method, operation) | sdk_snippets(operation),
                "can_try": _can_try(operation),
            }


def _can_try(operation: dict[str, Any]) -> bool:
    """Return True if the page can send the request with a key, and show the response."""
    bodies = operation.get("requestBody", {}).get("content", {JSON: {}})
    answers = operation["responses"].get("200", {}).get("content", {})
    return bool(operation.get("security")) and JSON in bodies and JSON in answers


def _resolve(spec: Spec, node: Any) -> Any:
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
