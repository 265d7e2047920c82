"""The scripts of vectors.json cover the API: each operation, parameter and field that the server describes.

Every SDK passes every script, so what is new in the API fails here by name until there is a script of it, and then in
each SDK that does not have it.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from tests.acceptance.server import Server

from .drivers import SDKS

Json = dict[str, Any]

_VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="utf-8"))
_SENT = [exchange["expect"] for vector in _VECTORS["exchanges"] for exchange in vector["exchanges"]]
# names of whose the caller chooses the keys, and parameters of an effect: the SDKs pass these objects on
_OPEN = {"gains", "pan", "metadata", "parameters"}


@pytest.fixture(scope="module")
def spec(server: Server) -> Json:
    found: Json = httpx2.get(f"{server.url}/openapi.json").json()
    return found


def operations(spec: Json) -> Iterator[tuple[str, str, Json]]:
    """Yield path, method and description of each operation of /v1."""
    for path, methods in spec["paths"].items():
        if path.startswith("/v1/"):
            for method, operation in methods.items():
                if method in ("get", "post", "put", "patch", "delete"):
                    yield path, method.upper(), operation


def resolved(spec: Json, schema: Json) -> Json:
    while "$ref" in schema:
        found: Json = spec
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def fields(spec: Json, schema: Json) -> set[str]:
    """Return the names of the properties of a schema, at any depth."""
    schema = resolved(spec, schema)
    names = set[str]()
    for name, value in schema.get("properties", {}).items():
        names.add(name)
        if name not in _OPEN:
            names |= fields(spec, value)
    for key in ("anyOf", "oneOf", "allOf"):
        for each in schema.get(key, ()):
            names |= fields(spec, each)
    if "items" in schema:
        names |= fields(spec, schema["items"])
    return names


def keys(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(keys, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    return value.keys() | set().union(*(keys(each) for each in value.values()), set())


def sent_by(path: str, method: str) -> list[Json]:
    """Return the requests of all scripts that an operation has."""
    pattern = re.compile(re.sub(r"\{\w+\}", "[^/?]+", path) + r"(\?.*)?")
    return [each for each in _SENT if each["method"] == method and pattern.fullmatch(each["path"])]


def test_each_operation_has_a_script(spec: Json) -> None:
    missing = [
        f"{operation['operationId']}: {method} {path}"
        for path, method, operation in operations(spec)
        if not sent_by(path, method)
    ]
    assert missing == []


def test_each_request_is_of_an_operation(spec: Json) -> None:
    known = [id(each) for path, method, _ in operations(spec) for each in sent_by(path, method)]
    unknown = {
        f"{each['method']} {each['path']}"
        for each in _SENT
        if each["path"].startswith("/v1/") and id(each) not in known
    }
    assert unknown == set()


def test_each_parameter_is_sent(spec: Json) -> None:
    """A parameter of several operations, such as ``cursor``, is sent by one of them."""
    sent = {name for each in _SENT for name, _ in parse_qsl(urlsplit(each["path"]).query)}
    described = {
        parameter["name"]
        for _, _, operation in operations(spec)
        for parameter in (resolved(spec, each) for each in operation.get("parameters", ()))
        if parameter["in"] == "query"
    }
    assert described - sent == set()


def test_each_field_of_a_request_is_sent(spec: Json) -> None:
    missing = []
    for path, method, operation in operations(spec):
        content = resolved(spec, operation.get("requestBody", {})).get("content", {})
        if "application/json" in content:
            sent = set().union(*(keys(each.get("json")) for each in sent_by(path, method)))
            described = fields(spec, content["application/json"]["schema"])
            missing += [f"{operation['operationId']}: {name}" for name in sorted(described - sent)]
    assert missing == []


def test_types_of_node_have_each_field_of_a_response(spec: Json) -> None:
    types = (SDKS / "node" / "src" / "index.d.ts").read_text(encoding="utf-8")
    declared = set(re.findall(r"\b(\w+)\??:", types)) | set(re.findall(r"'(\w+)'", types))
    missing = []
    for _, _, operation in operations(spec):
        content = resolved(spec, operation["responses"].get("200", {})).get("content", {})
        if "application/json" in content:
            described = fields(spec, content["application/json"]["schema"]) - {"success", "data"}
            missing += [f"{operation['operationId']}: {name}" for name in sorted(described - declared)]
    assert missing == []
