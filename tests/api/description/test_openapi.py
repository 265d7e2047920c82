import json
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource

from stemsplitter.api.description import files, openapi
from stemsplitter.api.description.openapi import WEBHOOKS, operations
from stemsplitter.api.documentation import ERRORS


@pytest.fixture
def spec(client: TestClient) -> Any:
    return client.get("/openapi.json").json()


def check(spec: Any, pointer: str, example: Any) -> None:
    """Check ``example`` against the schema at ``pointer`` of the description."""
    resource = Resource.from_contents({"$schema": "https://json-schema.org/draft/2020-12/schema", **spec})
    registry = Registry().with_resource("urn:spec", resource)
    Draft202012Validator({"$ref": f"urn:spec#{pointer}"}, registry=registry).validate(example)


def test_document_is_valid_openapi(spec: Any) -> None:
    OpenAPIV31SpecValidator(spec).validate()
    assert spec["openapi"] == "3.1.0"


def test_yaml_and_json_are_equal(spec: Any, client: TestClient) -> None:
    answer = client.get("/openapi.yaml")
    assert yaml.safe_load(answer.text) == spec
    assert answer.headers["content-type"].startswith("application/yaml")
    assert "…" in answer.text  # not escaped


@pytest.mark.parametrize("path", ["/openapi.json", "/openapi.yaml", "/postman.json"])
def test_h4_description_is_rendered_once(
    client: TestClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may request it, and rendering takes up to a second of the process that serves all."""
    first = client.get(path)
    for module, name in (
        (files, "_json"),
        (yaml, "safe_dump"),
        (openapi, "describe"),
    ):
        monkeypatch.setattr(module, name, None)
    assert client.get(path).content == first.content and client.head(path).status_code == 200


def test_every_operation_has_an_example_that_matches_its_schema(spec: Any) -> None:
    for path, method, operation in operations(spec):
        name = operation["operationId"]
        at = f"/paths/{path.replace('/', '~1')}/{method}"
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body:
            check(spec, f"{at}/requestBody/content/application~1json/schema", body["example"])
        for status in {"200", "202"} & set(operation["responses"]):
            media = operation["responses"][status].get("content", {}).get("application/json")
            if media:
                check(spec, f"{at}/responses/{status}/content/application~1json/schema", media["example"])
        assert operation["summary"] and operation["description"] and operation["tags"], name


def test_links_refer_to_existing_parameters(spec: Any) -> None:
    parameters = {
        operation["operationId"]: {each["name"] for each in operation.get("parameters", [])}
        for _, _, operation in operations(spec)
    }
    links = [
        link
        for _, _, operation in operations(spec)
        for link in operation["responses"].get("200", {}).get("links", {}).values()
    ]
    assert len(links) >= 9
    for link in links:
        assert set(link["parameters"]) <= parameters[link["operationId"]]


def test_every_error_is_described_and_matches_its_schema(spec: Any) -> None:
    assert set(spec["components"]["responses"]) == set(ERRORS) - {"METHOD_NOT_ALLOWED"}
    for answer in spec["components"]["responses"].values():
        check(spec, "/components/schemas/Error", answer["content"]["application/json"]["example"])
    for _, _, operation in operations(spec):
        if operation.get("security"):
            assert {"401", "429", "500"} <= set(operation["responses"])
            assert {"200", "202"} & set(operation["responses"])


def test_webhooks_are_described(spec: Any) -> None:
    assert set(spec["webhooks"]) == set(WEBHOOKS)
    paths = ("splits", "analyses", "effects", "speech")
    callbacks = {
        name: callback
        for path in paths
        for name, callback in spec["paths"][f"/v1/audio/{path}"]["post"]["callbacks"].items()
    }
    assert set(callbacks) == set(WEBHOOKS)
    for name, methods in spec["webhooks"].items():
        names = {each["name"] for each in methods["post"]["parameters"]}
        assert {"AIStemSplitter-Signature", "webhook-id", "webhook-signature"} <= names
        media = methods["post"]["requestBody"]["content"]["application/json"]
        check(spec, f"/webhooks/{name}/post/requestBody/content/application~1json/schema", media["example"])
        callback = callbacks[name]["{$request.body#/webhookUrl}"]["post"]
        # ids of operations are unique
        assert callback | {"operationId": methods["post"]["operationId"]} == methods["post"]
        assert "operationId" not in callback


def test_postman_collection_has_every_operation(spec: Any, client: TestClient) -> None:
    collection = client.get("/postman.json").json()
    assert collection["info"]["schema"].endswith("/v2.1.0/collection.json")
    requests = [item["request"] for folder in collection["item"] for item in folder["item"]]
    assert len(requests) == len(list(operations(spec))) + 1  # and the download
    for request in requests:
        assert request["url"]["raw"].startswith(("{{baseUrl}}/", "{{stemUrl}}"))
        if "options" in request.get("body", {}):
            assert request["body"]["options"] == {"raw": {"language": "json"}}
            json.loads(request["body"]["raw"])
