"""Description of the API in OpenAPI 3.1.

FastAPI describes the routes with their examples; this module adds the errors of each operation, the headers of every
response, and the webhooks.
"""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from stemsplitter.api.documentation import ERRORS, JSON, error_reference
from stemsplitter.api.routes import analyses, effects, speech, splits
from stemsplitter.version import __version__

Spec = dict[str, Any]

DESCRIPTION = """\
Separates songs into stems: vocals, drums, bass, guitar, piano and other.

Every JSON response is `{"success": true, "data": …}` or `{"success": false, "error": {"code", "message", …}}`. \
Send your API key as `Authorization: Bearer ast_live_…`. A body is JSON; its `Content-Type` may be missing. \
With a test key, `ast_test_…`, you get the stems of a built-in song and pay nothing: see the page Test keys. \
Every path that has `GET` also has `HEAD`. \
Times are in UTC: `2026-05-03T10:20:30.000Z`. \
One credit is one second of source audio, rounded up; of an analysis ten seconds, of speech ten characters."""

# event → summary, example of its data
WEBHOOKS: dict[str, tuple[str, Spec]] = {
    "audio.split.completed": ("A split succeeded.", splits.EXAMPLE),
    "audio.split.failed": ("A split failed or was canceled.", splits.FAILED_EXAMPLE),
    "audio.analysis.completed": ("An analysis succeeded.", analyses.EXAMPLE),
    "audio.analysis.failed": ("An analysis failed or was canceled.", analyses.FAILED_EXAMPLE),
    "audio.effect.completed": ("An effect succeeded.", effects.EXAMPLE),
    "audio.effect.failed": ("An effect failed or was canceled.", effects.FAILED_EXAMPLE),
    "audio.speech.completed": ("A speech succeeded.", speech.EXAMPLE),
    "audio.speech.failed": ("A speech failed or was canceled.", speech.FAILED_EXAMPLE),
}

# path that creates a job → its name in events
_CREATE = {
    "/v1/audio/splits": "split",
    analyses.PATH: "analysis",
    effects.PATH: "effect",
    speech.PATH: "speech",
}

_VIEWS = {
    "split": "SplitView",
    "analysis": "AnalysisJobView",
    "effect": "EffectJobView",
    "speech": "SpeechJobView",
}

TAGS = [
    {"name": "Splits", "description": "Separate a song, follow the progress, download the stems."},
    {"name": "Analyses", "description": "Find tempo, beats, key and tuning of a song."},
    {"name": "Effects", "description": "Change pitch or speed, add reverb, or isolate a voice."},
    {"name": "Speech", "description": "Speak a text."},
    {"name": "Uploads", "description": "Upload a file that has no URL."},
    {"name": "Credits", "description": "The balance of your account."},
    {"name": "Models", "description": "The models of this server."},
    {"name": "Webhooks", "description": "Notifications of ended jobs, and the log of their deliveries."},
]

_HEADERS: Spec = {
    "X-Request-Id": (
        "Identifies the request in the log of the server.",
        "string",
        "req_7f3a09c4d1e85b26a0f9c3",
    ),
    "RateLimit-Policy": (
        "Rate limit policies of your key.",
        "string",
        '"read";q=600;w=60, "create";q=60;w=60',
    ),
    "RateLimit": (
        "The policy of this request: remaining requests, seconds until the window ends.",
        "string",
        '"read";r=599;t=60',
    ),
    "X-RateLimit-Limit": ("Requests per minute of the policy.", "integer", 600),
    "X-RateLimit-Remaining": ("Remaining requests.", "integer", 599),
    "X-RateLimit-Reset": ("End of the window, in seconds since 1970.", "integer", 1777803690),
}


def describe(app: FastAPI) -> Spec:
    """Return the description of ``app``, ready for JSON."""
    spec = get_openapi(
        title="Stem Splitter API",
        version=__version__,
        openapi_version="3.1.0",
        summary="Separates songs into stems.",
        description=DESCRIPTION,
        license_info={"name": "MIT", "identifier": "MIT"},
        tags=TAGS,
        servers=[{"url": app.state.services.settings.base_url, "description": "This server"}],
        routes=app.routes,
    )
    components = spec["components"]
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["schemas"]["Error"] = _error_schema()
    components["headers"] = {name: _header(*what) for name, what in _HEADERS.items()}
    components["headers"]["Retry-After"] = _header("Seconds until a retry.", "integer", 30)
    # no described operation responds with METHOD_NOT_ALLOWED
    components["responses"] = {code: error_response(code) for code in ERRORS if code != "METHOD_NOT_ALLOWED"}
    extras = {
        route.operation_id: route.openapi_extra
        for route in app.state.routes
        if isinstance(route, APIRoute) and route.openapi_extra
    }
    for path, _, operation in operations(spec):
        _copy_examples(operation, extras.get(operation["operationId"], {}))
        if path.startswith("/v1/"):
            _add_errors(path, operation)
    spec["webhooks"] = {name: {"post": _webhook(name)} for name in WEBHOOKS}
    for path, job in _CREATE.items():
        if create := spec["paths"].get(path, {}).get("post"):
            create["callbacks"] = {
                name: {"{$request.body#/webhookUrl}": {"post": _callback(name)}}
                for name in WEBHOOKS
                if name.startswith(f"audio.{job}.")
            }
    return spec


def operations(spec: Spec) -> Iterator[tuple[str, str, Spec]]:
    """Yield path, method and operation of every operation in ``spec``."""
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            if isinstance(operation, dict) and "responses" in operation:
                yield path, method, operation


def _copy_examples(described: Spec, declared: Spec) -> None:
    """Copy the examples that a route declares again, as ``get_openapi`` drops nulls."""
    for key, value in declared.items():
        if key == "example":
            described[key] = value
        elif isinstance(value, dict):
            _copy_examples(described[key], value)


def _add_errors(path: str, operation: Spec) -> None:
    responses = operation["responses"]
    for status in {"200", "202", "302"} & set(responses):
        success = responses[status]
        success["headers"] = _references("headers", _HEADERS) | success.get("headers", {})
    responses |= {str(ERRORS[code][0]): error_reference(code) for code in _errors(path, operation)}
    operation["responses"] = dict(sorted(responses.items()))


def _errors(path: str, operation: Spec) -> list[str]:
    """Return the codes of errors that follow from an operation's form."""
    codes = ["UNAUTHORIZED", "RATE_LIMITED", "SERVER_ERROR", "UNAVAILABLE"]
    if "requestBody" in operation:
        codes += ["VALIDATION_ERROR", "PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"]
    elif operation.get("parameters"):
        codes.append("VALIDATION_ERROR")
    if "{" in path:
        codes.append("NOT_FOUND")
    return codes


def _error_schema() -> Spec:
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "An error.",
        "required": ["success", "error"],
        "properties": {
            "success": {"const": False},
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {
                    "code": {
                        "type": "string",
                        "description": "Code for programs.",
                        "enum": list(ERRORS),
                    },
                    "message": text | {"description": "What is wrong and what to do, for people."},
                    "param": text | {"description": "The invalid part of the request."},
                    "details": {"type": "object", "description": "More data about the error."},
                    "requestId": text,
                    "docUrl": text | {"format": "uri"},
                    "requiredSeconds": {"type": "integer", "description": "With INSUFFICIENT_CREDITS."},
                    "balance": {"type": "integer", "description": "With INSUFFICIENT_CREDITS."},
                },
            },
        },
    }


def error_response(code: str) -> Spec:
    """Return the response with the error ``code``."""
    status, when, error = ERRORS[code]
    headers = _references("headers", _HEADERS)
    if status in (409, 429):
        headers |= _references("headers", ["Retry-After"])
    content = {
        "schema": {"$ref": "#/components/schemas/Error"},
        "example": {"success": False, "error": {"code": code, **error}},
    }
    return {"description": when, "headers": headers, "content": {JSON: content}}


def _webhook(event: str) -> Spec:
    summary, data = WEBHOOKS[event]
    view = {"$ref": f"#/components/schemas/{_VIEWS[event.split('.')[1]]}"}
    body = {
        "type": "object",
        "required": ["event", "data"],
        "properties": {"event": {"const": event}, "data": view},
    }
    return {
        "operationId": "on" + "".join(part.capitalize() for part in event.split(".")),
        "summary": summary,
        "description": "Verify the signature and respond with 2xx within 15 seconds. Events may arrive more than once.",
        "tags": ["Webhooks"],
        "security": [],
        "parameters": [_header_parameter(*each) for each in _SIGNATURES],
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": body, "example": {"event": event, "data": data}}},
        },
        "responses": {
            "2XX": {"description": "Delivered."},
            "410": {"description": "Stop: the event is not delivered again."},
        },
    }


def _callback(event: str) -> Spec:
    """Return the webhook without its id, as ids are unique."""
    return {key: value for key, value in _webhook(event).items() if key != "operationId"}


_SIGNATURES = (
    (
        "AIStemSplitter-Signature",
        '`t=<seconds since 1970>,v1=<hex HMAC-SHA256 of "<t>.<raw body>">`, keyed with the signing secret '
        "as shown; one v1 for each active secret.",
        "t=1760000000,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd",
    ),
    ("webhook-id", "The id of the event, the same in every delivery.", "evt_0Yx3kQpAb2Jd7MfTn5Rv8W"),
    ("webhook-timestamp", "Seconds since 1970.", "1760000000"),
    (
        "webhook-signature",
        "Signature of the Standard Webhooks specification 1.0.0.",
        "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    ),
)


def _header(description: str, kind: str, example: Any) -> Spec:
    return {"description": description, "schema": {"type": kind}, "example": example}


def _header_parameter(name: str, description: str, example: str) -> Spec:
    return {"name": name, "in": "header", "required": True, **_header(description, "string", example)}


def _references(kind: str, names: Any) -> Spec:
    return {name: {"$ref": f"#/components/{kind}/{name}"} for name in names}
