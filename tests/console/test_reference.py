"""The reference of the API: its pages, and the code that it shows."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from stemsplitter.api.description import openapi
from stemsplitter.api.description.openapi import WEBHOOKS, operations
from stemsplitter.api.documentation import ERRORS
from stemsplitter.console import reference
from stemsplitter.console.sdk_snippets import CALLS, method_name, sdk_snippets
from stemsplitter.console.snippets import snippets

from .conftest import Browser
from .test_pages import check

GROUPS = [tag["name"].lower() for tag in openapi.TAGS]
SONG = b"some samples"


def spec(visitor: Browser) -> Any:
    return visitor.get("/openapi.json").json()


def test_pages_have_each_operation_event_and_error(visitor: Browser) -> None:
    pages = {name: check(visitor, f"/docs/api/{name}") for name in (*GROUPS, reference.EVENTS)}
    for _, _, operation in operations(spec(visitor)):
        assert operation["operationId"] in pages[operation["tags"][0].lower()].ids
    assert set(WEBHOOKS) <= set(pages[reference.EVENTS].ids)
    overview = check(visitor, "/docs")
    assert set(ERRORS) <= set(overview.ids)
    for link in {
        link for page in (overview, *pages.values()) for link in page.hrefs if link.startswith("/docs")
    }:
        path, _, anchor = link.partition("#")
        assert not anchor or anchor in overview.ids, link
        assert visitor.get(path).status_code == 200, link


def test_unknown_group_is_not_found(visitor: Browser) -> None:
    assert visitor.get("/docs/api/nothing").status_code == 404


def test_types_and_code_are_shown(visitor: Browser) -> None:
    text = visitor.get("/docs/api/splits").text
    assert "&#34;32f&#34; or 16 | 24" in text  # bitDepth: strings and numbers
    assert "curl -X POST" in text and "urllib.request" in text and "await fetch(" in text
    assert 'data-path="/v1/audio/splits/{split_id}/cancel"' in text
    assert 'data-path="/v1/audio/splits/{split_id}/events"' not in text  # a stream


def test_h4_reference_is_rendered_once(visitor: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may request it, and rendering takes up to a second of the process that serves all."""
    first = visitor.get("/docs/api/splits")
    for module, name in ((reference, "_article"), (reference, "_list_groups"), (openapi, "describe")):
        monkeypatch.setattr(module, name, None)
    assert visitor.get("/docs/api/splits").content == first.content


@contextmanager
def receiver() -> Iterator[tuple[str, list[Any]]]:
    """Yield the address of a server, and a list of the requests that it gets."""
    requests: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            names = ("Authorization", "Content-Type", "X-Upload-Token")
            requests.append((self.command, self.path, {name: self.headers[name] for name in names}, body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_PUT = do_DELETE = do_POST

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/v1/audio/splits", "post"),
        ("/v1/audio/splits/{split_id}/stems/{name}", "get"),
        ("/uploads/{upload_id}", "put"),
    ],
)
def test_code_sends_the_same_request_in_each_language(
    visitor: Browser, tmp_path: Path, path: str, method: str
) -> None:
    operation = spec(visitor)["paths"][path][method]
    (tmp_path / "song.mp3").write_bytes(SONG)
    with receiver() as (url, requests):
        code = snippets(url, path, method, operation)
        for name, command in {
            "curl": ["sh", "-c", code["curl"]],
            "Python": [sys.executable, "-c", code["Python"]],
            "Node.js": ["node", "--input-type=module", "--eval", code["Node.js"]],
        }.items():
            done = subprocess.run(
                command,
                cwd=tmp_path,
                env={"PATH": "/usr/local/bin:/usr/bin:/bin", "STEMSPLITTER_KEY": "ast_live_x"},
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert (done.returncode, done.stdout.strip()) == (0, "{}"), f"{name}: {done.stderr}"
    _, sent_path, headers, body = requests[0]
    has_key = path.startswith("/v1/")
    assert headers["Authorization"] == ("Bearer ast_live_x" if has_key else None)
    assert "{" not in sent_path
    if method == "put":
        assert body == SONG and headers["X-Upload-Token"] == "X_UPLOAD_TOKEN"
    bodies = {body.translate(None, b" \n") for *_, body in requests}
    assert len(bodies) == 1
    assert all(each[:3] == requests[0][:3] for each in requests) and len(requests) == 3


# how the source of each client library declares a method
DECLARED = {
    "PHP": ("php/src", r"public function {}\("),
    "Go": ("go", r"^func \([^)]+\) {}\("),
    "Java": ("java/src/main", r"public [\w<>, ]+ {}\("),
    "Swift": ("swift/Sources/StemSplitter", r"public func {}\("),
    "Lua": ("lua/src", r"^function \w+:{}\("),
}
SDKS = Path(__file__).parents[2] / "sdks"


def test_each_operation_has_code_for_the_client_libraries(visitor: Browser) -> None:
    for path, _, operation in operations(spec(visitor)):
        code = sdk_snippets(operation)
        assert set(code) == (set(DECLARED) if path.startswith("/v1/") else set()), operation["operationId"]
        assert all("None" not in each and "undefined" not in each for each in code.values())


@pytest.mark.parametrize("language", DECLARED)
def test_methods_of_client_libraries_exist(language: str) -> None:
    folder, pattern = DECLARED[language]
    files = [path for path in (SDKS / folder).rglob("*.*") if path.is_file()]
    source = "\n".join(path.read_text("utf-8") for path in files)
    names = {method_name(language, operation_id) for operation_id in CALLS}
    assert {name for name in names if not re.search(pattern.format(name), source, re.MULTILINE)} == set()


def test_code_for_client_libraries_has_the_literals_of_the_language(visitor: Browser) -> None:
    found = {operation["operationId"]: sdk_snippets(operation) for *_, operation in operations(spec(visitor))}
    mix = found["createMix"]
    assert (
        "$client->mixes('SPLIT_ID')->create([\n  'gains' => ['vocals' => -6, 'drums' => null]," in mix["PHP"]
    )
    assert "vocals := -6.0\n" in mix["Go"]
    assert 'Gains: map[string]*float64{"vocals": &vocals, "drums": nil}' in mix["Go"]
    assert 'client.mixes("SPLIT_ID").create(Map.of("gains", gains, ' in mix["Java"]
    assert 'new HashMap<String, Object>(Map.of("vocals", -6));\ngains.put("drums", null);' in mix["Java"]
    assert (
        'client.mixes("SPLIT_ID").create(MixRequest(\n  gains: ["vocals": -6, "drums": nil],' in mix["Swift"]
    )
    assert "create({\n  gains = { vocals = -6, drums = stemsplitter.null }," in mix["Lua"]
    assert 'WebhookURL: "https://' in found["createSplit"]["Go"]
    assert (
        'client.webhook_endpoints:update("ENDPOINT_ID", { status = "disabled" })'
        in (found["updateWebhookEndpoint"]["Lua"])
    )
