"""Code that sends a request of the API, for the reference: with curl, Python and Node.js, without a library."""

import json
import pprint
import re
import shlex
from dataclasses import dataclass
from typing import Any

FILE = "song.mp3"  # sent where the body is not JSON
KEY = "STEMSPLITTER_KEY"  # environment variable of the API key


@dataclass(frozen=True)
class Call:
    """A request: names in the URL are in capitals, and a body is JSON or, if it is :data:`FILE`, this file."""

    method: str
    url: str
    headers: dict[str, str]
    has_key: bool
    body: Any = None


def snippets(base_url: str, path: str, method: str, operation: dict[str, Any]) -> dict[str, str]:
    """Return the code that calls an operation: language → code. The key is read from the environment."""
    call = _call(base_url, path, method, operation)
    return {"curl": _curl(call), "Python": _python(call), "Node.js": _node(call)}


def _call(base_url: str, path: str, method: str, operation: dict[str, Any]) -> Call:
    headers = {}
    for each in operation.get("parameters", ()):
        if each["in"] == "path":
            examples = each["schema"].get("examples") or [each["name"].upper()]
            path = path.replace(f"{{{each['name']}}}", str(examples[0]))
        if each["in"] == "header" and (each.get("required") or each["name"] == "x-upload-token"):
            headers[each["name"]] = str(each.get("example", re.sub(r"\W", "_", each["name"]).upper()))
    body = None
    for kind, media in operation.get("requestBody", {}).get("content", {}).items():
        headers["Content-Type"] = kind
        body = media["example"] if kind == "application/json" else FILE
    return Call(method.upper(), base_url + path, headers, bool(operation.get("security")), body)


def _curl(call: Call) -> str:
    if call.method == "HEAD":
        lines = [f"curl --head {shlex.quote(call.url)}"]
    elif call.method == "GET":
        lines = [f"curl {shlex.quote(call.url)}"]
    else:
        lines = [f"curl -X {call.method} {shlex.quote(call.url)}"]
    if call.has_key:
        lines.append(f'-H "Authorization: Bearer ${KEY}"')
    lines += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in call.headers.items()]
    if call.body == FILE:
        lines.append(f"--data-binary @{FILE}")
    elif call.body is not None:
        lines.append(f"-d {shlex.quote(json.dumps(call.body, ensure_ascii=False, indent=2))}")
    return " \\\n  ".join(lines)


def _python(call: Call) -> str:
    headers = [f"        {json.dumps(name)}: {json.dumps(value)}," for name, value in call.headers.items()]
    imports = ["import urllib.request"]
    if call.has_key:
        imports.insert(0, "import os")
        headers.insert(0, f'        "Authorization": f"Bearer {{os.environ[\'{KEY}\']}}",')
    lines = [f'    "{call.url}",', f'    method="{call.method}",']
    if headers:
        lines += ["    headers={", *headers, "    },"]
    before = []
    if call.body == FILE:
        lines.append(f'    data=open("{FILE}", "rb").read(),')
    elif call.body is not None:
        imports.insert(0, "import json")
        before = [f"body = {pprint.pformat(call.body, sort_dicts=False)}"]
        lines.append("    data=json.dumps(body).encode(),")
    return "\n".join(
        (
            *imports,
            "",
            *before,
            "request = urllib.request.Request(",
            *lines,
            ")",
            "with urllib.request.urlopen(request) as response:",
            "    print(response.read().decode())",
        )
    )


def _node(call: Call) -> str:
    headers = [f'    "{name}": {json.dumps(value)},' for name, value in call.headers.items()]
    if call.has_key:
        headers.insert(0, f"    Authorization: `Bearer ${{process.env.{KEY}}}`,")
    lines = [f'  method: "{call.method}",']
    if headers:
        lines += ["  headers: {", *headers, "  },"]
    before = []
    if call.body == FILE:
        before = ['import { readFile } from "node:fs/promises";', ""]
        lines.append(f'  body: await readFile("{FILE}"),')
    elif call.body is not None:
        body = json.dumps(call.body, ensure_ascii=False, indent=2).replace("\n", "\n  ")
        lines.append(f"  body: JSON.stringify({body}),")
    return "\n".join(
        (
            *before,
            f'const response = await fetch("{call.url}", {{',
            *lines,
            "});",
            "console.log(await response.text());",
        )
    )
