"""The published Python and Node clients work unmodified, except for their base URL; ours, of sdks/, runs the tools."""

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from aistemsplitter import AIStemSplitter, AIStemSplitterError

from stemsplitter.audio.decode import open_source
from stemsplitter.test_mode.song import SECONDS as BUILT_IN_SECONDS

from .server import Server

NODE = Path(__file__).with_name("node")
REPOSITORY = Path(__file__).parents[2]
SECONDS = 2
SIX = ["vocals", "drums", "bass", "guitar", "piano", "other"]
FOUR = ["vocals", "drums", "bass", "other"]
LIMIT_S = 120


def length_of(path: Path) -> int:
    """Decode a file at 44.1 kHz and count its samples."""
    with open_source(path) as source:
        assert source.info.sample_rate == 44_100
        return sum(block.shape[1] for block in source.blocks())


@pytest.fixture
def client(server: Server, key: str) -> AIStemSplitter:
    return AIStemSplitter(key, base_url=f"{server.url}/v1")


def test_python_client_uploads_splits_and_downloads(
    client: AIStemSplitter, song: Path, tmp_path: Path
) -> None:
    before = client.get_credits()
    assert before["unit"] == "seconds"
    uploaded = client.upload_audio(song.read_bytes(), filename="Lied.flac", content_type="audio/flac")
    created = client.create_split({"input": uploaded["input"]}, idempotency_key="python-1")
    assert list(created) == ["id", "status", "creditsUsed", "createdAt"]
    assert (created["status"], created["creditsUsed"]) == ("queued", SECONDS)
    split = client.wait_for_split(created["id"], timeout=LIMIT_S, interval=0.2)
    assert split["status"] == "succeeded", split
    assert (split["durationSeconds"], split["creditsUsed"], split["progress"]) == (SECONDS, SECONDS, 100)
    assert list(split["stems"]) == SIX
    for stem, url in split["stems"].items():
        with urllib.request.urlopen(url, timeout=LIMIT_S) as response:
            assert response.headers["Content-Type"] == "audio/mpeg"
            assert f"{stem}.mp3" in response.headers["Content-Disposition"]
            file = tmp_path / f"{stem}.mp3"
            file.write_bytes(response.read())
        assert length_of(file) == SECONDS * 44_100
    assert client.get_credits()["balance"] == before["balance"] - SECONDS


def test_python_client_works_with_a_test_key(
    client: AIStemSplitter, server: Server, email: str, song: Path, tmp_path: Path
) -> None:
    test_key = server.command("keys", "create", email, "--test").strip()
    tests = AIStemSplitter(test_key, base_url=f"{server.url}/v1")
    before = client.get_credits()["balance"]
    uploaded = tests.upload_audio(song.read_bytes(), filename="Lied.flac", content_type="audio/flac")
    created = tests.create_split({"input": uploaded["input"], "stemModel": "4s", "outputFormat": "flac"})
    assert created["creditsUsed"] == SECONDS
    split = tests.wait_for_split(created["id"], timeout=LIMIT_S, interval=0.2)
    assert (split["status"], split["test"], list(split["stems"])) == ("succeeded", True, FOUR), split
    for stem, url in split["stems"].items():
        with urllib.request.urlopen(url, timeout=LIMIT_S) as response:
            (tmp_path / stem).write_bytes(response.read())
        assert length_of(tmp_path / stem) == BUILT_IN_SECONDS * 44_100
    failing = tests.upload_audio(song.read_bytes(), filename="test-failed.flac", content_type="audio/flac")
    failed = tests.create_split({"input": failing["input"]})
    assert tests.wait_for_split(failed["id"], timeout=LIMIT_S, interval=0.2)["status"] == "failed"
    assert tests.get_credits()["balance"] == 100_000 and client.get_credits()["balance"] == before
    with pytest.raises(AIStemSplitterError) as raised:
        client.get_split(created["id"])
    assert raised.value.status_code == 404


def test_python_client_reads_errors(client: AIStemSplitter, server: Server) -> None:
    for call, status, code in (
        (lambda: client.get_split("split_unknown"), 404, "NOT_FOUND"),
        (lambda: client.create_split({"input": {"type": "direct_url"}}), 422, "VALIDATION_ERROR"),
        (
            lambda: AIStemSplitter("ast_live_x", base_url=f"{server.url}/v1").get_credits(),
            401,
            "UNAUTHORIZED",
        ),
    ):
        with pytest.raises(AIStemSplitterError) as raised:
            call()
        assert (raised.value.status_code, raised.value.code) == (status, code)


def test_python_client_reads_upload_errors(client: AIStemSplitter) -> None:
    class OversizedClient(AIStemSplitter):
        """Client that sends one byte more than it has reserved."""

        def create_upload(self, **what: Any) -> dict[str, Any]:
            return super().create_upload(**(what | {"content_length": what["content_length"] - 1}))

    late = OversizedClient(client.api_key, base_url=client.base_url)
    with pytest.raises(AIStemSplitterError) as raised:
        late.upload_audio(b"fLaC", filename="a.flac", content_type="audio/flac")
    assert (raised.value.status_code, raised.value.code) == (422, "UPLOAD_LENGTH_MISMATCH")


def test_node_client_uploads_splits_and_downloads(
    server: Server, key: str, song: Path, tmp_path: Path
) -> None:
    node = shutil.which("node")
    if node is None or not (NODE / "node_modules").is_dir():
        pytest.fail("The Node client is not installed: run `make test`, which installs it.", pytrace=False)
    done = subprocess.run(
        [node, NODE / "drive.mjs", f"{server.url}/v1", key, song, tmp_path],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["split"]["status"] == "succeeded"
    assert list(told["split"]["stems"]) == FOUR
    assert told["refused"] == {"name": "AIStemSplitterError", "status": 404, "code": "NOT_FOUND"}
    assert told["before"]["balance"] - told["after"]["balance"] == SECONDS
    for stem in FOUR:
        assert length_of(tmp_path / f"{stem}.flac") == SECONDS * 44_100


def test_our_client_runs_the_tools(
    server: Server, key: str, song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "sdks" / "python" / "src")
    from stemsplitter_client import StemSplitter, ValidationError

    client = StemSplitter(key, base_url=f"{server.url}/v1")
    before = client.get_credits()["balance"]
    upload = client.upload_file(song)["input"]
    analysis = client.analyses.create({"input": upload}, idempotency_key="once")
    assert client.analyses.create({"input": upload}, idempotency_key="once") == analysis
    effect = client.effects.create(
        {"input": client.upload_file(song)["input"], "effect": "nightcore", "outputFormat": "flac"}
    )
    speech = client.speech.create({"text": "Good morning. Here is the news.", "outputFormat": "wav"})
    done = client.analyses.wait(analysis["id"], timeout=LIMIT_S)
    assert (done["status"], done["creditsUsed"], done["durationSeconds"]) == ("succeeded", 1, SECONDS)
    assert {"tuningCents", "tempo", "key"} <= done.keys()
    faster = client.effects.download(client.effects.wait(effect["id"], timeout=LIMIT_S), tmp_path / "effect")
    assert length_of(faster["audio"]) == SECONDS * 44_100 / 1.25
    spoken = client.speech.download(client.speech.wait(speech["id"], timeout=LIMIT_S), tmp_path / "speech")
    with open_source(spoken["audio"]) as source:
        assert source.info.seconds is not None and 1 < source.info.seconds < 5
    assert client.get_credits()["balance"] == before - 1 - SECONDS - 4
    with pytest.raises(ValidationError, match="Unknown effect nightcor: did you mean nightcore"):
        client.effects.create({"input": upload, "effect": "nightcor"})
    for jobs, job in ((client.analyses, analysis), (client.effects, effect), (client.speech, speech)):
        assert [each["id"] for each in jobs.list()["items"]] == [job["id"]]
        assert jobs.delete(job["id"])["deleted"] is True
        assert jobs.list()["items"] == []
    metrics = urllib.request.urlopen(f"{server.url}/metrics", timeout=LIMIT_S).read().decode()
    for kind in ("analysis", "effect", "speech"):
        assert f'stemsplitter_tool_queue_depth{{kind="{kind}"}} 0.0' in metrics
