"""``stemsplitter mcp`` over HTTP, with tools on a live server, driven by the official client."""

import os
import secrets
import subprocess
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from stemsplitter.mcp_server.remote import Remote, ServerError
from tests.acceptance.command import COMMAND
from tests.acceptance.processes import free_port
from tests.acceptance.server import Server
from tests.acceptance.songs import encode, sung
from tests.mcp_server.calls import called, refused
from tests.waiting import wait_until

from .stub import Stub

SDK = Path(__file__).parents[1] / "python" / "src"


def test_http_with_a_server(server: Server, tmp_path: Path) -> None:
    songs = tmp_path / "songs"
    songs.mkdir()
    encode(songs / "Lied.wav", sung(44_100), 44_100, "pcm_s16le")
    encode(tmp_path / "private.wav", sung(8_000, 1, 8_000), 8_000, "pcm_s16le")
    port, token = free_port(), secrets.token_hex(16)
    key = server.new_key(f"{secrets.token_hex(8)}@example.org")
    ours = {
        "PYTHONPATH": str(SDK),
        "STEMSPLITTER_KEY": key,
        "STEMSPLITTER_MCP_TOKEN": token,
    }
    command = [
        COMMAND,
        "mcp",
        songs,
        "--url",
        server.url,
        "--http",
        "--port",
        str(port),
        "-o",
        tmp_path / "out",
    ]
    url = f"http://127.0.0.1:{port}/mcp"

    def is_listening() -> bool:
        try:
            return httpx2.get(url).status_code == 401
        except httpx2.TransportError:
            return False

    async def main() -> None:
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=120) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            steps: list[float] = []

            async def on_progress(progress: float, total: float | None, message: str | None) -> None:
                steps.append(progress)

            result = await client.call_tool(
                "split",
                {"song": "Lied.wav", "stems": "4s", "wait_seconds": 120},
                progress_callback=on_progress,
            )
            done = result.structured_content
            assert done["status"] == "succeeded", done
            assert steps and steps == sorted(steps)
            assert set(done["files"]) == {"vocals", "drums", "bass", "other"}
            assert {Path(path).parent for path in done["files"].values()} == {
                tmp_path / "out" / "Lied (split)"
            }
            (split,) = await called(client, "list_splits")
            assert (split["filename"], split["status"]) == ("Lied.wav", "succeeded")
            fetched = await called(client, "fetch_split", split_id=split["id"])
            assert {Path(path).read_bytes() for path in fetched["files"].values()} == {
                Path(path).read_bytes() for path in done["files"].values()
            }
            assert "split" in await refused(client, "fetch_split", split_id="split_0")
            assert "is not a file in the folders" in await refused(client, "split", song="../private.wav")

    with subprocess.Popen(command, env=os.environ | ours) as process:
        try:
            wait_until(is_listening)
            assert httpx2.post(url, headers={"Authorization": "Bearer wrong"}).status_code == 401
            anyio.run(main)
        finally:
            process.terminate()
        assert process.wait(30) in (0, -15, 130)


def exchange(call: str, status: int, data: Any = None, **expect: Any) -> dict[str, Any]:
    method, path = call.split()
    answer = {"success": True, "data": data} if status == 200 else {"success": False, "error": data}
    return {
        "expect": {"method": method, "path": path, **expect},
        "respond": {"status": status, "json": answer},
    }


def test_tools_of_a_server(stub: Stub, tmp_path: Path) -> None:
    remote, song, steps = Remote("k", stub.url), "https://example.com/song.mp3", list[float]()
    no_events = {"code": "NOT_FOUND", "message": "There are no events."}
    source = {"type": "direct_url", "url": song}
    analysis = {"id": "ana_1", "status": "succeeded", "progress": 100, "tempo": {"bpm": 120.0}}
    stub.play(
        [
            exchange("POST /v1/audio/analyses", 200, {"id": "ana_1"}, json={"input": source}),
            exchange("GET /v1/audio/analyses/ana_1/events", 404, no_events),
            exchange("GET /v1/audio/analyses/ana_1", 200, analysis),
        ]
    )
    done = remote.analyze(song, steps.append)
    assert stub.differences() == []
    assert (done.files, done.details) == ({}, {"id": "ana_1", "tempo": {"bpm": 120.0}})
    assert steps == [1]

    request = {"input": source, "effect": "pitch", "parameters": {"semitones": 2}, "outputFormat": "mp3"}
    effect = {"id": "eff_1", "status": "succeeded", "outputs": {"audio": f"{stub.url}/files/a.mp3"}}
    stub.play(
        [
            exchange("POST /v1/audio/effects", 200, {"id": "eff_1"}, json=request),
            exchange("GET /v1/audio/effects/eff_1/events", 404, no_events),
            exchange("GET /v1/audio/effects/eff_1", 200, effect),
            exchange("GET /files/a.mp3", 200, headers={"authorization": None}),
        ]
    )
    done = remote.transform(song, tmp_path, "pitch", {"semitones": 2}, "mp3", steps.append)
    assert stub.differences() == []
    assert done.files == {"audio": tmp_path / "audio.mp3"}

    stub.play(
        [exchange("POST /v1/audio/analyses", 422, {"code": "VALIDATION_ERROR", "message": "Too long."})]
    )
    with pytest.raises(ServerError, match="Too long"):
        remote.analyze(song, steps.append)
