import json
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile

from evaluation.datasets import SAMPLE_RATE, Song
from evaluation.page import Gallery
from evaluation.scores import score

PLAYER = Path(__file__).with_name("page_player.js")


def noise(seed: int, level: float = 0.1) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((2, 8000)) * level).astype(np.float32)


class Page(HTMLParser):
    """Tags of a page with their attributes, and the text of its script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.script = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script" and not self.script:
            self.script = data

    def addresses(self) -> list[str]:
        return [
            attrs[key] for _, attrs in self.tags for key in ("src", "href", "data-sound") if attrs.get(key)
        ]


@pytest.fixture
def song() -> Song:
    return Song("R&B <50% #1", {"vocals": noise(0), "other": noise(1, 0.5)})


@pytest.fixture
def page(song, tmp_path) -> Page:
    gallery = Gallery(tmp_path)
    estimates = {"two": {"vocals": noise(0) * 0.5, "instrumental": noise(1, 0.5)}}
    gallery.add(song, estimates, list(score(song, estimates)))
    return Page(gallery.write().read_text(encoding="utf-8"))


def test_page_files_are_in_its_folder(page, tmp_path):
    addresses = [address for address in page.addresses() if address != "data:,"]
    assert addresses
    for address in addresses:
        assert (tmp_path / unquote(address)).is_file(), address
    assert len(list(tmp_path.rglob("*.flac"))) == len(set(addresses)) - 1  # and one picture


def test_sounds_match_their_names_with_one_gain(page, song, tmp_path):
    buttons = {attrs["data-name"]: attrs for tag, attrs in page.tags if "data-sound" in attrs}
    names = {"mixture", "vocals, truth", "vocals, two", "instrumental, truth", "instrumental, two"}
    assert set(buttons) == names
    sounds = {
        name: soundfile.read(tmp_path / unquote(attrs["data-sound"])) for name, attrs in buttons.items()
    }
    assert {rate for _, rate in sounds.values()} == {SAMPLE_RATE}
    gain = 0.999 / np.abs(song.mixture).max()
    assert gain < 1
    np.testing.assert_allclose(sounds["mixture"][0].T, gain * song.mixture, atol=1e-4)
    np.testing.assert_allclose(sounds["vocals, two"][0].T, gain * 0.5 * noise(0), atol=1e-4)
    assert buttons["vocals, two"]["aria-label"] == "vocals, two: 6.0 dB"


def test_song_names_are_escaped(page):
    (section,) = (attrs for tag, attrs in page.tags if tag == "section")
    assert section["aria-label"] == "R&B <50% #1"


def test_switch_keeps_position_and_plays_one_sound(page, tmp_path):
    (tmp_path / "script.js").write_text(page.script, encoding="utf-8")
    keys = [" ", "ArrowDown", "ArrowRight", "x", "m", ".", "ArrowLeft", " "]
    command = ["node", str(PLAYER), str(tmp_path / "script.js"), *keys]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [
        ["mixture", ["mixture"], 0],
        ["truth", ["truth"], 1],
        ["estimate", ["estimate"], 2],
        ["truth", ["truth"], 3],
        ["mixture", ["mixture"], 4],
        ["mixture", ["mixture"], 9],  # the end of the song
        ["mixture", ["mixture"], 10],  # no adjacent sound
        ["mixture", [], 11],
    ]
