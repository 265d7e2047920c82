"""An upload from a path and a download into a folder keep the memory small."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .drivers import Driver
from .stub import DOWNLOAD_SIZE, SIZE, Sink

LIMIT_BYTES = 50_000_000
DOWNLOAD_LIMIT_BYTES = (
    DOWNLOAD_SIZE // 2
)  # what was received stays until a garbage collection, in Node for up to 62 MB


@pytest.fixture
def sink() -> Iterator[Sink]:
    started = Sink()
    yield started
    started.close()


@pytest.fixture(scope="session")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "song.wav"
    with path.open("wb") as file:
        file.truncate(SIZE)  # sparse: occupies no disk
    return path


def test_memory(language: str, sink: Sink, large_file: Path, tmp_path: Path) -> None:
    with Driver(language) as driver:
        driver.ok("new", apiKey="k", baseUrl=sink.url)
        driver.ok("credits")
        idle = driver.peak_bytes()
        upload = driver.ok("upload", path=str(large_file))
        above = driver.peak_bytes() - idle
        assert sink.received == SIZE
        assert upload["progress"][-1] == SIZE
        print(f"{language}: {above / 1e6:.1f} MB above idle while uploading {SIZE / 1e6:.0f} MB")
        assert above < LIMIT_BYTES

        found = Path(driver.ok("download", id="s", folder=str(tmp_path))["vocals"])
        above = driver.peak_bytes() - idle
    assert found.stat().st_size == DOWNLOAD_SIZE
    found.unlink()  # pytest keeps the folders of its last runs
    print(f"{language}: {above / 1e6:.1f} MB above idle after downloading {DOWNLOAD_SIZE / 1e6:.0f} MB")
    assert above < DOWNLOAD_LIMIT_BYTES
