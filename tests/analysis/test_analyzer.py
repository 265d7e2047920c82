"""Key, tuning, tempo and beats of synthetic songs, and of input without any."""

import numpy as np
import pytest

from stemsplitter.analysis import Analysis, Analyzer, Key
from stemsplitter.analysis.keys import estimate_key

RATE = 44_100


def analyze(
    song: np.ndarray, rate: int = RATE, block: int = 65_536, drums: np.ndarray | None = None
) -> Analysis:
    analyzer = Analyzer(rate, has_drums=drums is not None)
    for start in range(0, song.shape[1], block):
        part = slice(start, start + block)
        analyzer.process(song[:, part], None if drums is None else drums[:, part])
    return analyzer.finish()


def tone(midi: float, seconds: float) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    frequency = 440 * 2 ** ((midi - 69) / 12)
    wave = sum(np.sin(2 * np.pi * frequency * n * time) / n**1.5 for n in range(1, 6))
    return np.asarray(wave * np.exp(-time))


def cadence(tonic: int, mode: str, cents: float = 0) -> np.ndarray:
    """Chords of I, IV, V and I, each 1 s, twice."""
    third = 4 if mode == "major" else 3
    chords = [(0, third, 7), (5, 5 + third, 12), (7, 11, 14), (0, third, 7)]
    parts = [
        sum(tone(60 + tonic + note + cents / 100, 1.0) for note in (*chord, chord[0] - 12))
        for chord in chords
    ]
    return (0.1 * np.concatenate(parts * 2)).astype(np.float32)[None]


def clicks(bpm: float, seconds: float = 20.0, first: float = 0.25) -> np.ndarray:
    """Noise bursts on each beat, each second one louder."""
    song = np.zeros(int(seconds * RATE), np.float32)
    burst = np.random.default_rng(0).standard_normal(2000) * np.exp(-np.arange(2000) / 300)
    for number in range(int((seconds - first - 0.1) * bpm / 60)):
        start = int((first + number * 60 / bpm) * RATE)
        song[start : start + 2000] += burst * (0.5 if number % 2 else 0.3)
    return song[None]


def band(bpm: float, seconds: float = 20.0) -> np.ndarray:
    """Kick on the first and third beat, snare on the second and fourth, hi-hat on every eighth."""
    random, time = np.random.default_rng(1), np.arange(RATE // 4) / RATE
    noise = random.standard_normal(len(time))
    kick = np.sin(2 * np.pi * 55 * time) * np.exp(-time / 0.08)
    snare = 0.4 * noise * np.exp(-time / 0.06) + 0.4 * np.sin(2 * np.pi * 190 * time) * np.exp(-time / 0.05)
    hat = 0.2 * np.diff(noise, prepend=0.0) * np.exp(-time / 0.02)
    song = np.zeros(int((seconds + 1) * RATE))
    for eighth in range(int(seconds * bpm / 30)):
        start = int(eighth * 30 / bpm * RATE)
        beat = hat + (0 if eighth % 2 else kick if eighth % 4 == 0 else snare)
        song[start : start + len(time)] += beat
    return song.astype(np.float32)[None]


@pytest.mark.parametrize("bpm", [92, 110, 128, 152, 174])
def test_kick_snare_and_hats_tell_the_tempo_from_its_half_and_double(bpm: float) -> None:
    tempo = analyze(band(bpm)).tempo
    assert tempo is not None and tempo.bpm == pytest.approx(bpm, rel=0.01)
    assert tempo.confidence > 0.3


@pytest.mark.parametrize("mode", ["major", "minor"])
@pytest.mark.parametrize("tonic", [0, 3, 6, 9])
def test_key_of_a_cadence(tonic: int, mode: str) -> None:
    key = analyze(cadence(tonic, mode)).key
    assert key is not None and key.is_clear
    assert key.key == Key(tonic, mode)
    assert key.second != key.key
    assert 0 <= key.confidence <= 1


@pytest.mark.parametrize("cents", [-35, 0, 20])
def test_tuning_is_found_and_does_not_change_the_key(cents: float) -> None:
    analysis = analyze(cadence(2, "major", cents))
    assert analysis.tuning_cents == pytest.approx(cents, abs=4)
    assert analysis.key is not None and analysis.key.key == Key(2, "major")


@pytest.mark.parametrize(
    ("key", "name", "camelot"),
    [
        (Key(0, "major"), "C major", "8B"),
        (Key(9, "minor"), "A minor", "8A"),
        (Key(11, "major"), "B major", "1B"),
        (Key(8, "minor"), "G# minor", "1A"),
        (Key(4, "major"), "E major", "12B"),
        (Key(5, "minor"), "F minor", "4A"),
    ],
)
def test_names_and_camelot_codes(key: Key, name: str, camelot: str) -> None:
    assert (key.name, key.camelot) == (name, camelot)


def test_compatible_keys_are_the_neighbors_on_the_wheel() -> None:
    assert Key(4, "major").compatible == ("11B", "1B", "12A")
    assert Key(8, "minor").compatible == ("12A", "2A", "1B")


@pytest.mark.parametrize("bpm", [84, 120, 133.3])
def test_tempo_and_beats_of_clicks(bpm: float) -> None:
    analysis = analyze(clicks(bpm))
    assert analysis.tempo is not None
    assert analysis.tempo.bpm == pytest.approx(bpm, rel=0.01)
    assert {round(other / bpm, 1) for other in analysis.tempo.alternatives} <= {0.5, 2.0}
    distance = (np.array(analysis.beats) - 0.25 + 30 / bpm) % (60 / bpm) - 30 / bpm
    assert len(analysis.beats) > 0.9 * 19 * bpm / 60
    assert np.abs(distance).max() < 0.035


def test_drums_beside_the_song_give_its_tempo() -> None:
    song = np.tile(cadence(0, "major"), 3)
    drums = clicks(128, seconds=song.shape[1] / RATE)
    tempo = analyze(song + drums * 0.05, drums=drums).tempo
    assert tempo is not None and tempo.bpm == pytest.approx(128, rel=0.01)


def test_size_of_blocks_does_not_affect_the_result() -> None:
    song = cadence(0, "minor") + clicks(120, seconds=8)
    assert analyze(song) == analyze(song, block=1234)


@pytest.mark.parametrize("samples", [1, 100, 50_000])
def test_silence_has_neither_key_nor_tempo(samples: int) -> None:
    analysis = analyze(np.zeros((2, samples), np.float32))
    assert (analysis.key, analysis.tempo, analysis.beats) == (None, None, ())
    assert analysis.seconds == samples / RATE


def test_noise_has_no_clear_key_and_no_tempo() -> None:
    analysis = analyze(np.random.default_rng(0).standard_normal((1, 8000 * 6)).astype(np.float32), rate=8000)
    assert analysis.key is not None and not analysis.key.is_clear
    assert analysis.tempo is None


def test_drums_have_no_clear_key() -> None:
    key = analyze(band(110)).key
    assert key is not None and not key.is_clear


def test_transposed_song_has_the_transposed_key() -> None:
    random = np.random.default_rng(2)
    classes = random.random((80, 24))
    first = estimate_key(classes)
    for steps in range(1, 12):
        turned = np.concatenate(
            [np.roll(half, steps, axis=1) for half in np.split(classes, 2, axis=1)], axis=1
        )
        found = estimate_key(turned)
        assert first is not None and found is not None
        assert found.key == Key((first.key.tonic + steps) % 12, first.key.mode)
        assert found.confidence == pytest.approx(first.confidence)


def test_an_empty_stream_has_nothing() -> None:
    assert Analyzer(RATE).finish() == Analysis(0.0, None, 0.0, None, (), ())


def test_constant_has_no_key() -> None:
    analyzer = Analyzer(44_100)
    analyzer.process(np.full((2, 44_100), 0.25, np.float32))
    assert analyzer.finish().key is None
