"""The demo of the first page."""

from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI

from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.peaks import Peaks
from stemsplitter.console.demo import Demo, store_demo
from stemsplitter.services import Services

from .conftest import Browser
from .test_pages import check

RATE = 48_000


@pytest.fixture
def demo(services: Services, tmp_path: Path) -> None:
    stems = {name: np.full((2, RATE), 0.1, np.float32) for name in ("vocals", "drums")}
    peaks = Peaks(tuple(stems), RATE)
    peaks.add(stems)
    files = {name: tmp_path / f"{name}.wav" for name in stems}
    for name, path in files.items():
        with StemWriter(path, OutputFormat.parse("wav"), RATE, 2) as writer:
            writer.write(stems[name])
            writer.commit()
    about = Demo("Harbour <lights>", "Someone", "CC0", 1.0, tuple(stems))
    store_demo(services.storage, about, files, peaks.encode())


@pytest.mark.usefixtures("demo")
def test_first_page_plays_the_demo_to_visitors(visitor: Browser, browser: Browser) -> None:
    for client in (visitor, browser):
        page = check(client, "/")
        assert {"mute-vocals", "gain-drums", "seek", "volume"} <= page.inputs
        assert "Harbour &lt;lights&gt; · Someone · CC0" in client.get("/").text
    assert set(visitor.get("/demo/overview.json").json()["stems"]) == {"vocals", "drums"}
    index = visitor.get("/demo/previews/opus/previews.json").json()
    assert index["samples"] == RATE
    part = visitor.get("/demo/previews/opus/drums.opus", headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"OggS")


def test_server_without_demo_has_a_first_page(visitor: Browser, app: FastAPI) -> None:
    assert "data-player" not in visitor.get("/").text
    for path in (
        "overview.json",
        "previews/opus/previews.json",
        "previews/opus/vocals.opus",
        "previews/exe/x",
    ):
        assert visitor.get(f"/demo/{path}").status_code == 404, path
