"""Fetching by yt-dlp itself, from a stand-in for SoundCloud behind the proxy."""

from pathlib import Path
from typing import Any

import pytest

from stemsplitter.links import FetchedLink, LinkError, Links
from stemsplitter.links.proxy import connect_publicly
from stemsplitter.settings import Settings

from .soundcloud import LINK, SoundCloud

LIMIT_S = 60.0


@pytest.fixture
def fetch(links: Links, tmp_path: Path) -> Any:
    folder = tmp_path / "fetched"
    folder.mkdir()

    def run(url: str = LINK) -> FetchedLink:
        return links.fetch(url, folder, LIMIT_S)

    return run


@pytest.mark.parametrize(("protocol", "ending"), [("progressive", "song.mp3"), ("hls", "list.m3u8")])
def test_track_is_fetched_through_the_proxy(
    fetch: Any, site: SoundCloud, song: bytes, protocol: str, ending: str
) -> None:
    site.protocol, site.media = protocol, f"https://cf-media.sndcdn.com/{ending}"
    fetched = fetch(f"{LINK}?utm_source=mail")
    assert fetched.path.read_bytes() == song
    assert fetched.filename == "A song-with a slash.mp3"
    assert set(site.connected) <= {
        "soundcloud.com",
        "api-v2.soundcloud.com",
        "a-v2.sndcdn.com",
        "cf-media.sndcdn.com",
    }


@pytest.mark.parametrize(
    ("media", "message"),
    [
        ("https://169.254.169.254/latest/meta-data", r"leads to 169\.254\.169\.254,"),
        ("http://169.254.169.254/latest/meta-data", "leads to a host without TLS,"),
        ("https://cf-media.sndcdn.com.evil.test/song.mp3", r"leads to cf-media\.sndcdn\.com\.evil\.test,"),
        ("file:///etc/passwd", "no complete audio"),
    ],
)
def test_media_elsewhere_is_not_fetched(fetch: Any, site: SoundCloud, media: str, message: str) -> None:
    site.media = media
    with pytest.raises(LinkError, match=message):
        fetch()
    assert set(site.connected) == {"soundcloud.com", "api-v2.soundcloud.com", "a-v2.sndcdn.com"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"track": {"duration": 61_000}}, "longer than 60 s"),
        ({"status": 404}, "no such track"),
        ({"track": {"media": {"transcodings": []}}}, "no complete audio"),
        ({"song": bytes(200_000)}, "larger than 100000 bytes"),
    ],
)
def test_track_that_cannot_be_fetched_is_one_sentence(
    fetch: Any, site: SoundCloud, changes: dict[str, Any], message: str
) -> None:
    for name, value in changes.items():
        setattr(site, name, value)
    with pytest.raises(LinkError, match=message) as refused:
        fetch()
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)
    if "duration" in changes.get("track", {}):
        assert not any("song.mp3" in path for path in site.asked)  # refused before any audio


def test_site_at_a_private_address_is_not_connected_to(
    settings: Settings, site: SoundCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    def loopback(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", loopback)
    with pytest.raises(LinkError, match="SoundCloud"):
        Links(settings, connect_publicly).fetch(LINK, tmp_path, LIMIT_S)
    assert not site.asked


def test_slow_site_is_given_up(settings: Settings, site: SoundCloud, tmp_path: Path) -> None:
    import threading

    site.release = threading.Event()
    folder = tmp_path / "fetched"
    folder.mkdir()
    with pytest.raises(LinkError, match="took longer"):
        Links(settings, site.connect).fetch(LINK, folder, 4)
    site.release.set()


def test_bytes_are_reported_and_may_be_refused(settings: Settings, site: SoundCloud, tmp_path: Path) -> None:
    class Full(Exception):
        pass

    def refuse(size: int) -> None:
        raise Full

    site.song = bytes(4 << 20)
    folder = tmp_path / "fetched"
    folder.mkdir()
    links = Links(settings.model_copy(update={"max_source_bytes": 8 << 20}), site.connect)
    with pytest.raises(Full):
        links.fetch(LINK, folder, LIMIT_S, refuse)
