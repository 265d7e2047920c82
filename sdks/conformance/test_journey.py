"""Each SDK uploads, splits, waits, cancels, downloads and verifies a webhook, on a live server."""

import secrets
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.acceptance.server import Server
from tests.acceptance.songs import encode, sung
from tests.loopback import Handler, listening
from tests.waiting import wait_until

from .drivers import Driver

BYTES = 60_000_000
TOOLS = {
    "analyses": {},
    "effects": {"effect": "pitch", "parameters": {"semitones": -2}, "outputFormat": "wav"},
}
FOUR = {"vocals", "drums", "bass", "other"}


@pytest.fixture(scope="session")
def large_song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Song of two seconds in a WAV file of 60 MB, most of which is a chunk that decoders skip."""
    path = encode(tmp_path_factory.mktemp("song") / "Lied.wav", sung(88_200), 44_100, "pcm_s16le")
    with path.open("r+b") as file:
        file.seek(0, 2)
        size = BYTES - file.tell() - 8
        file.write(b"JUNK" + struct.pack("<I", size))
        file.truncate(BYTES)
        file.seek(4)
        file.write(struct.pack("<I", BYTES - 8))
    return path


@pytest.fixture(scope="session")
def long_song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Song of ten minutes: it can be canceled while it is separated."""
    song = np.tile(sung(60 * 8_000, 1, 8_000), 10)
    return encode(tmp_path_factory.mktemp("long") / "Long.wav", song, 8_000, "pcm_s16le")


@pytest.fixture(scope="session")
def small_song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("small") / "Small.wav", sung(88_200), 44_100, "pcm_s16le")


def test_journey(
    driver: Driver, server: Server, large_song: Path, long_song: Path, small_song: Path, tmp_path: Path
) -> None:
    received: list[tuple[dict[str, str], bytes]] = []

    class Receiver(Handler):
        def do_POST(self) -> None:
            received.append((dict(self.headers), self.body()))
            self.reply()

    key = server.new_key(f"{secrets.token_hex(8)}@example.org")
    driver.ok("new", apiKey=key, baseUrl=server.url)
    balance = driver.ok("credits")["balance"]
    secret = driver.ok("rotate")
    with listening(Receiver) as hook:
        upload = driver.ok("upload", path=str(large_song), filename="Lied é.wav")
        assert upload["progress"][-1] == BYTES
        request = {"input": upload["upload"]["input"], "stemModel": "4s", "webhookUrl": f"{hook}/hook"}
        created = driver.ok("create", request=request)

        other = driver.ok("upload", path=str(long_song))["upload"]["input"]
        doomed = driver.ok("create", request={"input": other})["id"]
        driver.ok("cancel", id=doomed)
        waited = driver.ok("wait", id=doomed, timeout=60)["job"]
        assert waited["error"]["code"] == "CANCELED"

        waited = driver.ok("wait", id=created["id"], timeout=60)
        split = waited["job"]
        assert (split["status"], split["filename"], waited["updates"][-1]) == ("succeeded", "Lied é.wav", 100)

        assert driver.ok("list", status="succeeded") == [split["id"]]
        stems = driver.ok("download", id=split["id"], folder=str(tmp_path / "stems"))
        assert set(stems) == FOUR
        assert all(Path(path).stat().st_size > 1000 for path in stems.values())
        archive = driver.ok("archive", id=split["id"], path=str(tmp_path / "all.zip"), timeout=60)
        assert len(zipfile.ZipFile(archive).namelist()) == len(FOUR)

        flac = driver.ok(
            "stem", id=split["id"], name="no_vocals", path=str(tmp_path / "a.flac"), format="flac", timeout=60
        )
        assert Path(flac).read_bytes()[:4] == b"fLaC"
        mixes = {"kind": "mixes", "split": split["id"]}
        mix = driver.ok("create", **mixes, request={"gains": {"vocals": -6, "drums": None}})["id"]
        assert driver.ok("wait", **mixes, id=mix, timeout=60)["job"]["status"] == "succeeded"
        assert Path(driver.ok("download", **mixes, id=mix, folder=str(tmp_path))["mix"]).stat().st_size > 1000

        used = split["creditsUsed"]
        for kind, request in TOOLS.items():
            song = driver.ok("upload", path=str(small_song))["upload"]["input"]
            job = driver.ok("create", kind=kind, request={"input": song, **request})["id"]
            waited = driver.ok("wait", kind=kind, id=job, timeout=60)["job"]
            assert (waited["status"], driver.ok("list", kind=kind)) == ("succeeded", [job])
            used += waited["creditsUsed"]
            if kind == "effects":
                audio = driver.ok("download", kind=kind, id=job, folder=str(tmp_path / "effect"))["audio"]
                assert Path(audio).read_bytes()[:4] == b"RIFF"
            assert driver.ok("delete", kind=kind, id=job)["deleted"] is True

        wait_until(lambda: received)
    headers, body = received[0]
    event = driver.ok("verify", body=body.decode(), headers=headers, secret=secret)
    assert (event["event"], event["data"]["id"]) == ("audio.split.completed", split["id"])
    assert driver.ok("credits")["balance"] == balance - used
    for split_id in (split["id"], doomed):
        assert driver.ok("delete", id=split_id)["deleted"] is True
    assert driver.call("get", id=split["id"])["error"]["code"] == "NOT_FOUND"
