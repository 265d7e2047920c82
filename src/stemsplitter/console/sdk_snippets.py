"""Code that calls an operation of the API with the client libraries of ``sdks/``, for the reference."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

# operation → the object of a client and its method, in the names of the PHP library
CALLS = {
    **{
        operation: (objects, method)
        for objects, one, many in (
            ("splits", "Split", "Splits"),
            ("analyses", "Analysis", "Analyses"),
            ("effects", "Effect", "Effects"),
            ("speech", "Speech", "Speech"),
        )
        for operation, method in (
            (f"create{one}", "create"),
            (f"list{many}", "list"),
            (f"get{one}", "get"),
            (f"cancel{one}", "cancel"),
            (f"delete{one}", "delete"),
            (f"stream{one}Events", "wait"),
        )
    },
    "createMix": ("mixes", "create"),
    "listMixes": ("mixes", "list"),
    "getMix": ("mixes", "get"),
    "getStem": ("", "downloadStem"),
    "getSplitArchive": ("", "downloadArchive"),
    "getSplitCover": ("", "downloadCover"),
    "getSplitPeaks": ("", "getPeaks"),
    "getSplitPreviews": ("", "getPreviews"),
    "createUpload": ("", "uploadFile"),
    "getCredits": ("", "getCredits"),
    "listModels": ("", "listModels"),
    "listVoices": ("", "listVoices"),
    "listWebhookDeliveries": ("deliveries", "list"),
    "getWebhookDelivery": ("deliveries", "get"),
    "replayWebhookDelivery": ("", "replayDelivery"),
    "sendWebhookTest": ("", "sendTestWebhook"),
    "listWebhookSecrets": ("", "listWebhookSecrets"),
    "rotateWebhookSecret": ("", "rotateWebhookSecret"),
    "createWebhookEndpoint": ("webhookEndpoints", "create"),
    "listWebhookEndpoints": ("webhookEndpoints", "list"),
    "getWebhookEndpoint": ("webhookEndpoints", "get"),
    "updateWebhookEndpoint": ("webhookEndpoints", "update"),
    "deleteWebhookEndpoint": ("webhookEndpoints", "delete"),
    "rotateWebhookEndpointSecret": ("webhookEndpoints", "rotateSecret"),
    "testWebhookEndpoint": ("webhookEndpoints", "sendTest"),
}
# names without a verb, in the libraries that have them
_SHORT = {
    "getCredits": "credits",
    "listModels": "models",
    "listVoices": "voices",
    "getPeaks": "peaks",
    "getPreviews": "previews",
    "listWebhookSecrets": "webhookSecrets",
}
# file that a download writes
_FILES = {"downloadStem": "vocals.mp3", "downloadArchive": "stems.zip", "downloadCover": "cover.jpg"}
# form that Java and Go ask for
_FORMS = {"getPeaks": "overview", "getPreviews": "opus"}
# type of the request of each kind, in Swift
_REQUESTS = {
    "splits": "SplitRequest",
    "mixes": "MixRequest",
    "analyses": "AnalysisRequest",
    "effects": "EffectRequest",
    "speech": "SpeechRequest",
}
_MAPS = {"gains": "*float64", "pan": "float64", "metadata": "string", "parameters": "any"}  # of Go
_SONG = "song.mp3"
_WIDTH = 72


def method_name(language: str, operation_id: str) -> str:
    """Return the name that a method has in a library."""
    objects, name = CALLS[operation_id]
    return _NAMES[language](objects, name)


def sdk_snippets(operation: Mapping[str, Any]) -> dict[str, str]:
    """Return the code that calls an operation: language → code; empty for what the libraries do by themselves."""
    operation_id = operation["operationId"]
    if operation_id not in CALLS:
        return {}
    objects, name = CALLS[operation_id]
    ids = [_id(each) for each in operation.get("parameters", ()) if each["in"] == "path"]
    content = operation.get("requestBody", {}).get("content", {})
    body = content["application/json"]["example"] if content else None
    return {
        language: write(objects, name, method_name(language, operation_id), ids, body)
        for language, write in _WRITERS.items()
    }


def _id(parameter: Mapping[str, Any]) -> str:
    return str((parameter["schema"].get("examples") or [parameter["name"].upper()])[0])


def _snake(name: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", name).lower()


def _capital(name: str) -> str:
    name = name[:1].upper() + name[1:]
    return re.sub(r"(Id|Url)$", lambda found: found[1].upper(), name)


def _go_name(objects: str, name: str) -> str:
    if name == "list":
        return "List" if objects == "webhookEndpoints" else "Page"
    return _capital(_SHORT.get(name, name))


def _java_name(objects: str, name: str) -> str:
    return {"wait": "await", "uploadFile": "upload"}.get(name, _SHORT.get(name, name))


def _swift_name(objects: str, name: str) -> str:
    return "upload" if name == "uploadFile" else _SHORT.get(name, name)


def _split(ids: list[str], objects: str, quote: Callable[[str], str] = json.dumps) -> tuple[str, list[str]]:
    """Return the object with the split that it belongs to, and the other ids, both as code."""
    quoted = [quote(each) for each in ids]
    return (f"{objects}({quoted[0]})", quoted[1:]) if objects == "mixes" else (objects, quoted)


def _arguments(name: str, ids: list[str], body: Any, literal: Callable[[Any], str]) -> list[str]:
    """Return the arguments that the libraries of dynamic languages, and Java, have in common."""
    if name == "uploadFile":
        return [literal(_SONG)]
    if name == "sendTestWebhook":
        return [literal(body["url"])]
    if name in _FILES:
        return [*ids, literal(_FILES[name])]
    return ids if body is None else [*ids, literal(body)]


def _joined(joint: str, *names: str) -> str:
    """Return the names that are not empty, joined."""
    return joint.join(filter(None, names))


def _call(receiver: str, arguments: list[str]) -> str:
    return f"{receiver}({', '.join(arguments)})"


def _enclosed(opening: str, items: Iterable[str], closing: str, end: str = "") -> str:
    """Return the items of a literal or a call on one line, or each on its own if it is long; then with ``end``."""
    parts = list(items)
    text = f"{opening}{', '.join(parts)}{closing}"
    if len(text) <= _WIDTH:
        return text
    lines = ",\n".join(parts).replace("\n", "\n  ")
    return f"{opening.rstrip()}\n  {lines}{end}\n{closing.lstrip()}"


def _php_value(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{_php_value(key)} => {_php_value(each)}" for key, each in value.items())
        return _enclosed("[", pairs, "]", end=",")
    if isinstance(value, list):
        return f"[{', '.join(map(_php_value, value))}]"
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)


def _php(objects: str, name: str, method: str, ids: list[str], body: Any) -> str:
    owner, left = _split(ids, objects, _php_value)
    call = _call(_joined("->", "$client", owner, method), _arguments(name, left, body, _php_value))
    return f"$client = new StemSplitter\\Client();\nprint_r({call});"


def _lua_value(value: Any) -> str:
    if isinstance(value, dict):
        return _enclosed("{ ", (f"{key} = {_lua_value(each)}" for key, each in value.items()), " }", end=",")
    if isinstance(value, list):
        return f"{{ {', '.join(map(_lua_value, value))} }}"
    if value is None:
        return "stemsplitter.null"  # nil would be no value of a table
    return json.dumps(value, ensure_ascii=False)


def _lua(objects: str, name: str, method: str, ids: list[str], body: Any) -> str:
    owner, left = _split(ids, _snake(objects))
    receiver = "client:" + owner if objects == "mixes" else _joined(".", "client", owner)
    call = _call(f"{receiver}:{method}", _arguments(name, left, body, _lua_value))
    return "\n".join(
        (
            'local stemsplitter = require("stemsplitter")',
            "local client = assert(stemsplitter.new())",
            f"local result = assert({call})",
        )
    )


def _has_null(value: Any) -> bool:
    return isinstance(value, dict) and None in value.values()


def _java_maps(body: Any) -> list[str]:
    """Return the lines that make the maps of a body with null, which ``Map.of`` does not take."""
    lines = []
    for name, value in (body or {}).items():
        if _has_null(value):
            known = {key: each for key, each in value.items() if each is not None}
            lines.append(f"var {name} = new HashMap<String, Object>({_java_value(known)});")
            lines += [f"{name}.put({json.dumps(key)}, null);" for key in value if key not in known]
    return lines


def _java_value(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (
            f"{json.dumps(key)}, {key if _has_null(each) else _java_value(each)}"
            for key, each in value.items()
        )
        return _enclosed("Map.of(", pairs, ")")
    if isinstance(value, list):
        return f"List.of({', '.join(map(_java_value, value))})"
    return json.dumps(value, ensure_ascii=False)


def _java(objects: str, name: str, method: str, ids: list[str], body: Any) -> str:
    owner, left = _split(ids, objects)
    if owner and objects != "mixes":
        owner += "()"
    arguments = _arguments(name, left, body, _java_value)
    if name == "uploadFile" or name in _FILES:
        arguments[-1] = f"Path.of({arguments[-1]})"
    if name in ("downloadStem", "downloadArchive"):
        arguments += ["StemSplitter.Form.OF_SPLIT", "Duration.ofMinutes(5)"]
    if name in _FORMS:
        arguments.append(json.dumps(_FORMS[name]))
    if name == "list" and objects != "webhookEndpoints":
        arguments = ["20", "null", "Map.of()"]
    call = _call(_joined(".", "client", owner, method), arguments)
    code = "\n".join(("var client = new StemSplitter();", *_java_maps(body), f"System.out.println({call});"))
    imports = ["io.github.stemsplitter.StemSplitter"]
    for text, module in (
        ("Path.of", "nio.file.Path"),
        ("Duration.of", "time.Duration"),
        ("HashMap<", "util.HashMap"),
        ("List.of", "util.List"),
        ("Map.of", "util.Map"),
    ):
        if text in code:
            imports.append(f"java.{module}")
    lines = [f"import {each};" for each in imports]
    return "\n".join((*lines, "", code))


def _swift_value(value: Any) -> str:
    if isinstance(value, dict):
        return f"[{', '.join(f'{json.dumps(key)}: {_swift_value(each)}' for key, each in value.items())}]"
    if isinstance(value, list):
        return f"[{', '.join(map(_swift_value, value))}]"
    if value is None:
        return "nil"
    return json.dumps(value, ensure_ascii=False)


def _swift_body(objects: str, body: Mapping[str, Any]) -> str:
    fields = [
        f"{key}: .directURL({json.dumps(value['url'])})"
        if key == "input"
        else f"{key}: {_swift_value(value)}"
        for key, value in body.items()
    ]
    return _enclosed(f"{_REQUESTS.get(objects, 'WebhookSettings')}(", fields, ")")


def _swift(objects: str, name: str, method: str, ids: list[str], body: Any) -> str:
    owner, left = _split(ids, objects)
    if name == "uploadFile":
        arguments = [f'file: URL(fileURLWithPath: "{_SONG}")']
    elif name == "sendTestWebhook":
        arguments = [json.dumps(body["url"])]
    elif name in _FILES:
        arguments = [*left, f'to: URL(fileURLWithPath: "{_FILES[name]}")']
    else:
        arguments = [*left, *([] if body is None else [_swift_body(objects, body)])]
    call = f"try await {_call(_joined('.', 'client', owner, method), arguments)}"
    is_silent = name in _FILES or name == "delete"
    imports = ["import Foundation"] if "URL(file" in call else []
    lines = (*imports, "import StemSplitter", "", "let client = try StemSplitter()")
    return "\n".join((*lines, call if is_silent else f"print({call})"))


def _go_value(value: Any, key: str) -> str:
    if key == "input":
        return f"&stemsplitter.Input{_go_fields(value)}"
    if isinstance(value, dict):
        # a gain is a pointer, so that it can be left out: to a variable with the name of the stem
        pairs = [
            f"{json.dumps(name)}: {_go_value(each, '') if key != 'gains' or each is None else f'&{name}'}"
            for name, each in value.items()
        ]
        return f"map[string]{_MAPS[key]}{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[]string{{{', '.join(map(json.dumps, value))}}}"
    if value is None:
        return "nil"
    return json.dumps(value, ensure_ascii=False)


def _go_fields(body: Mapping[str, Any]) -> str:
    fields = (f"{_capital(key)}: {_go_value(value, key)}" for key, value in body.items())
    return _enclosed("{", fields, "}", end=",")


def _go(objects: str, name: str, method: str, ids: list[str], body: Any) -> str:
    owner, left = _split(ids, objects)
    arguments = ["ctx", *left]
    if name == "uploadFile":
        arguments += [json.dumps(_SONG), "stemsplitter.UploadOptions{}"]
    elif name == "sendTestWebhook":
        arguments.append(json.dumps(body["url"]))
    elif name in _FILES:
        arguments.append(json.dumps(_FILES[name]))
        arguments += [] if name == "downloadCover" else ["stemsplitter.FileOptions{}"]
    elif name in _FORMS:
        arguments.append(json.dumps(_FORMS[name]))
    elif name == "wait":
        arguments.append("stemsplitter.WaitOptions{}")
    elif method == "Page":
        arguments += ["20", '""', "stemsplitter.Filter{}"]
    elif body is not None:
        kind = "WebhookSettings" if objects == "webhookEndpoints" else "Request"
        arguments.append(f"stemsplitter.{kind}{_go_fields(body)}")
    gains = (body or {}).get("gains", {})
    call = _call(_joined(".", "client", _capital(owner), method), arguments)
    lines = ["ctx := context.Background()", "client, err := stemsplitter.New(stemsplitter.Options{})"]
    lines += ["if err != nil {", "\tlog.Fatal(err)", "}"]
    lines += [f"{stem} := {float(gain)}" for stem, gain in gains.items() if gain is not None]
    if name in _FILES or name == "delete":
        return "\n".join((*lines, f"if err := {call}; err != nil {{", "\tlog.Fatal(err)", "}"))
    lines += [f"result, err := {call}", "if err != nil {", "\tlog.Fatal(err)", "}"]
    return "\n".join((*lines, "fmt.Println(result)"))


_WRITERS = {"PHP": _php, "Go": _go, "Java": _java, "Swift": _swift, "Lua": _lua}
_NAMES: dict[str, Callable[[str, str], str]] = {
    "PHP": lambda objects, name: name,
    "Go": _go_name,
    "Java": _java_name,
    "Swift": _swift_name,
    "Lua": lambda objects, name: _snake(name),
}
