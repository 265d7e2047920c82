"""The package in n8n's node loader; its operations run against a live server, and its trigger receives a webhook."""

import base64
import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.acceptance.server import Server
from tests.acceptance.songs import encode, sung
from tests.loopback import Handler, listening
from tests.waiting import wait_until

FOUR = {"vocals", "drums", "bass", "other"}
Json = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("server"))
    started.start()
    yield started
    started.stop()


class Loader:
    """n8n's loader with the package."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("run.cjs")
        self.process = subprocess.Popen(
            ["node", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def call(self, **command: Any) -> Json:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("result "):
                result: Json = json.loads(line.removeprefix("result "))
                return result
        raise AssertionError("the loader ended")


@pytest.fixture(scope="module")
def loader() -> Iterator[Loader]:
    started = Loader()
    yield started
    assert started.process.stdin and started.process.stdout
    started.process.stdin.close()
    started.process.wait(30)
    started.process.stdout.close()


class Node:
    """The node with a credential of an account. ``run`` returns the items of an operation."""

    def __init__(self, loader: Loader, server: Server) -> None:
        key = server.new_key(f"{secrets.token_hex(8)}@example.org")
        self.credentials = {"baseUrl": f"{server.url}/", "apiKey": key}
        self._loader = loader

    def call(self, items: list[Json] | None = None, **parameters: Any) -> Json:
        return self._loader.call(
            node="stemSplitter",
            parameters=parameters,
            credentials=self.credentials,
            items=items or [{"json": {}}],
        )

    def run(self, items: list[Json] | None = None, **parameters: Any) -> list[Json]:
        result = self.call(items, **parameters)
        assert "ok" in result, result
        (found,) = result["ok"]
        assert all(each["pairedItem"] == {"item": 0} for each in found)
        return list(found)


@pytest.fixture
def node(loader: Loader, server: Server) -> Node:
    return Node(loader, server)


@pytest.fixture
def song(tmp_path: Path) -> Json:
    path = encode(tmp_path / "Lied.wav", sung(44_100), 44_100, "pcm_s16le")
    data = base64.b64encode(path.read_bytes()).decode()
    return {"json": {}, "binary": {"data": {"data": data, "fileName": "Lied é.wav", "mimeType": "audio/wav"}}}


def test_loader_finds_nodes_and_credential(loader: Loader) -> None:
    found = loader.call(describe=True)["ok"]
    assert set(found["known"]["nodes"]) == {"stemSplitter", "stemSplitterTrigger"}
    assert set(found["known"]["credentials"]) == {"stemSplitterApi"}
    (credential,) = found["types"]["credentials"]
    assert credential["test"]["request"]["url"] == "/v1/credits"
    assert all("iconUrl" in each for each in found["types"]["nodes"])


def test_binary_data_is_split_and_its_stems_are_binary_data(node: Node, song: Json) -> None:
    before = node.run(operation="getCredits")[0]["json"]["balance"]
    (split,) = node.run(
        [song],
        operation="createSplit",
        source="binary",
        binaryField="data",
        stemModel="4s",
        download=True,
        options={"outputFormat": "flac"},
    )
    assert (split["json"]["status"], split["json"]["filename"]) == ("succeeded", "Lied é.wav")
    assert set(split["binary"]) == FOUR
    vocals = split["binary"]["vocals"]
    assert (vocals["fileName"], vocals["mimeType"]) == ("vocals.flac", "audio/flac")
    assert base64.b64decode(vocals["data"])[:4] == b"fLaC"
    used = split["json"]["creditsUsed"]
    assert node.run(operation="getCredits")[0]["json"]["balance"] == before - used

    split_id = split["json"]["id"]
    assert [each["json"]["id"] for each in node.run(operation="getManySplits", limit=5)] == [split_id]
    (again,) = node.run(operation="downloadStems", splitId=split_id)
    assert again["binary"] == split["binary"]
    assert node.run(operation="deleteSplit", splitId=split_id)[0]["json"]["deleted"] is True
    error = node.call(operation="getSplit", splitId=split_id)["error"]
    assert (error["name"], error["httpCode"]) == ("NodeApiError", "404")


def test_upload_is_the_input_of_a_split_that_is_canceled(node: Node, song: Json) -> None:
    (upload,) = node.run([song], operation="upload", binaryField="data")
    (split,) = node.run(
        operation="createSplit",
        source="upload",
        upload=json.dumps(upload["json"]["input"]),
        wait=False,
        options={"stems": "vocals, no_vocals"},
    )
    assert split["json"]["status"] == "queued"
    node.call(operation="cancelSplit", splitId=split["json"]["id"])
    (ended,) = node.run(operation="getSplit", splitId=split["json"]["id"])
    assert ended["json"]["status"] in ("failed", "processing", "succeeded")


def test_song_is_analyzed(node: Node, song: Json) -> None:
    before = node.run(operation="getCredits")[0]["json"]["balance"]
    (analysis,) = node.run([song], operation="analyze", source="binary", binaryField="data")
    found = analysis["json"]
    assert (found["status"], found["filename"]) == ("succeeded", "Lied é.wav")
    assert {"tempo", "key", "tuningCents", "chords"} <= found.keys()
    assert node.run(operation="getCredits")[0]["json"]["balance"] == before - found["creditsUsed"]
    (queued,) = node.run([song], operation="analyze", source="binary", binaryField="data", wait=False)
    assert queued["json"]["id"] != found["id"] and "tempo" not in queued["json"]


def test_trigger_has_an_endpoint_while_its_workflow_is_active(
    node: Node, loader: Loader, server: Server, song: Json
) -> None:
    received: list[tuple[Json, str]] = []

    class Receiver(Handler):
        def do_POST(self) -> None:
            body = self.body().decode()
            received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.reply()

    def endpoints() -> list[Json]:
        headers = {"Authorization": f"Bearer {node.credentials['apiKey']}"}
        found: list[Json] = httpx2.get(f"{server.url}/v1/webhook_endpoints", headers=headers).json()["data"][
            "items"
        ]
        return found

    events = ["audio.split.completed", "audio.analysis.completed"]
    with listening(Receiver) as host:
        parameters = {"events": events}

        def hook(method: str) -> bool:
            result = loader.call(
                node="stemSplitterTrigger",
                hook=method,
                url=f"{host}/hook",
                parameters=parameters,
                credentials=node.credentials,
            )
            assert "ok" in result, result
            return bool(result["ok"])

        assert (hook("checkExists"), hook("create"), hook("checkExists")) == (False, True, True)
        (endpoint,) = endpoints()
        assert (endpoint["url"], set(endpoint["events"])) == (f"{host}/hook", set(events))
        parameters = {"events": ["audio.split.completed"]}
        assert (hook("checkExists"), hook("create"), hook("checkExists")) == (False, True, True)
        (endpoint,) = endpoints()
        assert endpoint["events"] == ["audio.split.completed"]

        node.run([song], operation="createSplit", source="binary", binaryField="data", stemModel="4s")
        wait_until(lambda: received)
        headers, body = received[0]

        def trigger(body: str) -> Json:
            result: Json = loader.call(
                node="stemSplitterTrigger",
                parameters=parameters,
                credentials=node.credentials,
                headers=headers,
                body=body,
            )["ok"]
            return result

        started = trigger(body)
        assert started["workflowData"][0][0]["json"]["event"] == "audio.split.completed"
        assert trigger(body + " ") == {"noWebhookResponse": True, "status": 401}
        assert (hook("delete"), endpoints(), hook("checkExists")) == (True, [], False)
        assert trigger(body) == {"noWebhookResponse": True, "status": 401}


def test_error_says_what_the_server_says(node: Node) -> None:
    error = node.call(operation="createSplit", source="url", audioUrl="https://a.test/none.mp3")["error"]
    assert (error["name"], error["httpCode"]) == ("NodeApiError", "422")
    assert "a.test" in error["message"]
