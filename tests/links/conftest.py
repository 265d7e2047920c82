from collections.abc import Iterator
from pathlib import Path

import pytest

from stemsplitter.links import Links
from stemsplitter.settings import Settings
from tests.acceptance.songs import encode, sung

from .soundcloud import SoundCloud, soundcloud


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An MP3 of two seconds."""
    return encode(tmp_path_factory.mktemp("song") / "song.mp3", sung(88_200), 44_100, "mp3").read_bytes()


@pytest.fixture
def site(song: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundCloud]:
    with soundcloud(song, tmp_path) as site:
        monkeypatch.setenv("SSL_CERT_FILE", str(site.certificate))
        yield site


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        links="soundcloud,youtube",
        max_source_seconds=60,
        max_source_bytes=100_000,
    )


@pytest.fixture
def links(settings: Settings, site: SoundCloud) -> Links:
    return Links(settings, site.connect)
