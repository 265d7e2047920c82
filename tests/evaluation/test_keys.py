"""Scores of estimated keys."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from evaluation.keys import measure, weighted
from stemsplitter.analysis.keys import Key, parse_key


@pytest.mark.parametrize(
    ("true", "found", "score"),
    [
        ("C major", "C major", 1.0),
        ("C major", "G major", 0.5),
        ("C major", "F major", 0.5),
        ("C major", "A minor", 0.3),
        ("A minor", "C major", 0.3),
        ("C major", "C minor", 0.2),
        ("C major", "E minor", 0.0),
        ("C minor", "A minor", 0.0),
    ],
)
def test_score_of_a_wrong_key_says_how_near_it_is(true: str, found: str, score: float) -> None:
    assert weighted(parse_key(true), parse_key(found)) == score


def test_silence_scores_nothing() -> None:
    assert weighted(Key(0, "major"), None) == 0


@pytest.mark.parametrize(("name", "key"), [("F# minor", Key(6, "minor")), ("Bb major", Key(10, "major"))])
def test_name_of_a_key_is_read(name: str, key: Key) -> None:
    assert parse_key(name) == key and parse_key(key.name) == key


def test_stems_of_a_song_are_added(tmp_path: Path) -> None:
    rate, folder = 22_050, tmp_path / "song"
    folder.mkdir()
    time = np.arange(3 * rate) / rate
    for name, notes in (("other", (57, 61, 64)), ("bass", (45,))):
        tones = sum(np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * time) for note in notes)
        soundfile.write(folder / f"{name}.flac", 0.1 * np.stack([tones, tones], axis=1), rate)
    (folder / "song.json").write_text(json.dumps({"key": "A major"}), encoding="utf-8")
    [figures] = measure(tmp_path)
    assert figures.found is not None and (figures.true, figures.found.key) == (Key(9, "major"),) * 2
