"""Links where a song goes, from a stand-in for SoundCloud, and `links update`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stemsplitter.cli.main import app
from stemsplitter.errors import RequestError
from stemsplitter.links import LinkError, Links, fetching, installed
from stemsplitter.links.installed import Installed
from tests.acceptance.songs import encode, sung
from tests.links.soundcloud import LINK, SoundCloud, soundcloud


@pytest.fixture(autouse=True)
def _settings(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMSPLITTER_LINKS", "soundcloud")
    monkeypatch.delenv("STEMSPLITTER_OFFLINE", raising=False)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundCloud]:
    song = encode(tmp_path / "song.mp3", sung(88_200), 44_100, "mp3").read_bytes()
    with soundcloud(song, tmp_path) as site:
        monkeypatch.setenv("SSL_CERT_FILE", str(site.certificate))
        monkeypatch.setattr(Links.__init__, "__defaults__", (site.connect,))
        yield site


def test_link_stands_where_a_song_goes(site: SoundCloud, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["speed", LINK, "--rate", "2", "-o", f"{tmp_path}", "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert Path(result["path"]).name.startswith("A song-with a slash (")
    assert result["samples"] == 44_100


def test_links_are_off_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEMSPLITTER_LINKS")
    for command in (["split", LINK], ["analyze", LINK], ["isolate-voice", LINK]):
        done = CliRunner().invoke(app, command)
        assert isinstance(done.exception, RequestError)
        assert str(done.exception).startswith("Links are off: set STEMSPLITTER_LINKS=youtube,soundcloud")


@pytest.mark.parametrize(
    ("link", "error", "message"),
    [
        ("https://soundcloud.com/band/sets/album", LinkError, "playlist or a channel"),
        ("https://youtu.be/dQw4w9WgXcQ", LinkError, "only those of SoundCloud are on"),
        ("https://example.com/song.mp3", RequestError, "https://example.com/song.mp3 is a URL: download"),
    ],
)
def test_other_links_are_refused(link: str, error: type[Exception], message: str) -> None:
    done = CliRunner().invoke(app, ["split", link])
    assert isinstance(done.exception, error)
    assert message in str(done.exception)


def test_link_is_not_fetched_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "ChildProcess", None)
    monkeypatch.setenv("STEMSPLITTER_OFFLINE", "1")
    done = CliRunner().invoke(app, ["split", LINK])
    assert "cannot be fetched offline" in str(done.exception)


@pytest.mark.parametrize(
    ("sha256", "printed"),
    [
        ("abc", "yt-dlp 2999.1.2 is installed in /data/yt-dlp/2999.1.2 (SHA-256 abc).\n"),
        ("", "yt-dlp 2999.1.2 is installed; there is no newer version.\n"),
    ],
)
def test_update_prints_the_version(sha256: str, printed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def update(data_dir: Path) -> Any:
        return Installed("2999.1.2", Path("/data/yt-dlp/2999.1.2")), sha256

    monkeypatch.setattr(installed, "update", update)
    done = CliRunner().invoke(app, ["links", "update"])
    assert (done.exit_code, done.stdout) == (0, printed)
