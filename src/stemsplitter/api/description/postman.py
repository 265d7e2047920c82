"""Description of the API as a Postman collection (https://schema.postman.com/collection/json/v2.1.0/)."""

import json
from typing import Any

from stemsplitter.api.description.openapi import Spec, operations
from stemsplitter.api.description.postman_scripts import BODIES, PARAMETERS, SONG_TYPE, STEPS, VARIABLES, Step
from stemsplitter.api.documentation import JSON

_SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
_RUN = """\
A run of the collection uploads a tone of one second, splits it, polls, downloads a stem and deletes the split; it \
costs one credit. Set the variable `apiKey`. Set `webhookUrl` to send a test event as well."""


def collection(spec: Spec) -> dict[str, Any]:
    """Return the operations of ``spec`` by tag, in the order of a run, and its variables."""
    order = list(STEPS)
    folders: dict[str, list[Any]] = {}
    found = sorted(operations(spec), key=lambda each: order.index(each[2]["operationId"]))
    last = []
    for path, method, operation in found:
        items = folders.setdefault(operation["tags"][0], [])
        item = _item(path, method, operation)
        if operation["operationId"] == "deleteSplit":
            last.append(item)  # the tools use the split
            continue
        items.append(item)
        if operation["operationId"] == "getSplit":
            items.append(_DOWNLOAD)
    folders["Clean up"] = last
    variables = {"baseUrl": spec["servers"][0]["url"], "apiKey": "", **VARIABLES}
    return {
        "info": {
            "name": spec["info"]["title"],
            "description": f"{spec['info']['description']}\n\n{_RUN}",
            "schema": _SCHEMA,
        },
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{apiKey}}", "type": "string"}]},
        "variable": [{"key": key, "value": value, "type": "string"} for key, value in variables.items()],
        "item": [{"name": name, "item": items} for name, items in folders.items()],
    }


def _item(path: str, method: str, operation: Spec) -> dict[str, Any]:
    name = operation["operationId"]
    parameters = operation.get("parameters", [])
    segments = [f":{part[1:-1]}" if part.startswith("{") else part for part in path.strip("/").split("/")]
    request: dict[str, Any] = {
        "method": method.upper(),
        "description": operation.get("description", ""),
        "header": [_header(each) for each in parameters if each["in"] == "header"],
        "url": {
            "raw": "{{baseUrl}}/" + "/".join(segments),
            "host": ["{{baseUrl}}"],
            "path": segments,
            "variable": [_pair(each) for each in parameters if each["in"] == "path"],
            "query": [_pair(each) | {"disabled": True} for each in parameters if each["in"] == "query"],
        },
    }
    if operation.get("security") == []:
        request["auth"] = {"type": "noauth"}
    content = operation.get("requestBody", {}).get("content", {})
    if JSON in content:
        body = BODIES.get(name, content[JSON].get("example", {}))
        request["header"].append({"key": "Content-Type", "value": JSON})
        text = json.dumps(body, ensure_ascii=False, indent=2)
        request["body"] = {"mode": "raw", "raw": text, "options": {"raw": {"language": "json"}}}
    elif content:
        # the whole file needs its reserved type; chunks have a type of their own
        kind = SONG_TYPE if method != "patch" else next(iter(content))
        request["header"].append({"key": "Content-Type", "value": kind})
        request["body"] = {"mode": "raw", "raw": "{{song}}"}
    return {"name": operation["summary"], "request": request, "event": _events(STEPS[name])}


_DOWNLOAD: dict[str, Any] = {
    "name": "Download a stem",
    "request": {
        "method": "GET",
        "description": "Download a stem of a succeeded split. The URL needs no API key.",
        "auth": {"type": "noauth"},
        "header": [],
        "url": {"raw": "{{stemUrl}}", "host": ["{{stemUrl}}"]},
    },
}


def _events(step: Step) -> list[dict[str, Any]]:
    scripts = {"prerequest": step.before, "test": step.test}
    return [
        {"listen": when, "script": {"type": "text/javascript", "exec": script.splitlines()}}
        for when, script in scripts.items()
        if script
    ]


_DOWNLOAD["event"] = _events(STEPS["downloadStem"])


def _header(parameter: Spec) -> dict[str, Any]:
    needed = parameter["required"] or parameter["name"] in PARAMETERS
    return _pair(parameter) | {"disabled": not needed}


def _pair(parameter: Spec) -> dict[str, Any]:
    value = PARAMETERS.get(parameter["name"], parameter.get("example", ""))
    return {"key": parameter["name"], "value": str(value), "description": parameter.get("description", "")}
