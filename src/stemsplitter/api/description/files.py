"""Routes of the description: OpenAPI in JSON and YAML, and the Postman collection."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import yaml
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from stemsplitter.api.description import openapi, postman
from stemsplitter.api.documentation import JSON
from stemsplitter.api.envelope import JsonResponse

Form = TypeVar("Form")

_rendering = threading.Lock()

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
def openapi_json(request: Request) -> Response:
    """Return the description as JSON."""
    return Response(rendered(request.app, "json", _json), media_type=JSON)


@router.get("/openapi.yaml")
def openapi_yaml(request: Request) -> Response:
    """Return the description as YAML."""
    return Response(rendered(request.app, "yaml", _yaml), media_type="application/yaml")


@router.get("/postman.json")
def postman_json(request: Request) -> Response:
    """Return the description as a Postman collection."""
    body = rendered(request.app, "postman", lambda spec: _json(postman.collection(spec)))
    return Response(body, media_type=JSON)


def rendered(app: FastAPI, name: str, make: Callable[[openapi.Spec], Form]) -> Form:
    """Return a form of the description. Each is made once: it takes up to a second, and anybody may request it."""
    with _rendering:
        if not hasattr(app.state, "description"):
            app.state.description = openapi.describe(app), {}
        spec, forms = app.state.description
        if name not in forms:
            forms[name] = make(spec)
        found: Form = forms[name]
        return found


def _json(content: Any) -> bytes:
    return bytes(JsonResponse(content).body)


def _yaml(spec: openapi.Spec) -> bytes:
    text: str = yaml.safe_dump(spec, sort_keys=False, allow_unicode=True, width=110)
    return text.encode()
