"""Description of the API as a Postman collection (https://schema.postman.com/collection/json/v2.1.0/)."""

import json
from typing import Any

from stemsplitter.api.description.openapi import Spec, operations
from stemsplitter.api.documentation import JSON

_SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"


def collection(spec: Spec) -> dict[str, Any]:
    """Return the operations of ``spec`` by tag, with the variables ``baseUrl`` and ``apiKey``."""
    folders: dict[str, list[Any]] = {tag["name"]: [] for tag in spec["tags"]}
    for path, method, operation in operations(spec):
        folders.setdefault(operation["tags"][0], []).append(_item(path, method, operation))
    return {
        "info": {
            "name": spec["info"]["title"],
            "description": spec["info"]["description"],
            "schema": _SCHEMA,
        },
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{apiKey}}", "type": "string"}]},
        "variable": [
            {"key": "baseUrl", "value": spec["servers"][0]["url"]},
            {"key": "apiKey", "value": "", "type": "string"},
        ],
        "item": [{"name": name, "item": items} for name, items in folders.items() if items],
    }


def _item(path: str, method: str, operation: Spec) -> dict[str, Any]:
    parameters = operation.get("parameters", [])
    segments = [f":{part[1:-1]}" if part.startswith("{") else part for part in path.strip("/").split("/")]
    request: dict[str, Any] = {
        "method": method.upper(),
        "description": operation.get("description", ""),
        "header": [
            _pair(each) | {"disabled": not each["required"]} for each in parameters if each["in"] == "header"
        ],
        "url": {
            "raw": "{{baseUrl}}/" + "/".join(segments),
            "host": ["{{baseUrl}}"],
            "path": segments,
            "variable": [_pair(each) for each in parameters if each["in"] == "path"],
            "query": [_pair(each) | {"disabled": True} for each in parameters if each["in"] == "query"],
        },
    }
    content = operation.get("requestBody", {}).get("content", {})
    if JSON in content:
        request["header"].append({"key": "Content-Type", "value": JSON})
        text = json.dumps(content[JSON].get("example", {}), ensure_ascii=False, indent=2)
        request["body"] = {"mode": "raw", "raw": text, "options": {"raw": {"language": "json"}}}
    elif content:
        request["body"] = {"mode": "file"}
    return {"name": operation["summary"], "request": request}


def _pair(parameter: Spec) -> dict[str, Any]:
    value = parameter.get("example", "")
    return {"key": parameter["name"], "value": str(value), "description": parameter.get("description", "")}
