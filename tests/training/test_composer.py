"""Songs that the composer writes."""

from collections import Counter

import numpy as np
import pytest

from training.composer import compose
from training.composer.performance import Clock, perform
from training.composer.sheet import Event
from training.composer.theory import STRINGS, fret, read_chord, voice
from training.score import STEMS, Song

ROLES = {
    "drums": {"kit", "percussion"},
    "bass": {"line"},
    "guitar": {"strum", "riff", "arpeggio", "lead", "skank"},
    "piano": {"chords", "arpeggio", "melody"},
    "other": {"pad", "stabs", "arpeggio", "melody", "riff"},
    "vocals": {"lead", "harmony"},
}
SONGS = 150


@pytest.fixture(scope="module")
def songs() -> list[Song]:
    return [compose(np.random.default_rng(seed)) for seed in range(SONGS)]


def test_a_seed_gives_one_song():
    assert compose(np.random.default_rng(7)) == compose(np.random.default_rng(7))
    assert compose(np.random.default_rng(7)) != compose(np.random.default_rng(8))


def test_parts_keep_to_the_score(songs: list[Song]):
    for song in songs:
        assert 38 <= song.seconds <= 52
        players = [(part.stem, part.role) for part in song.parts]
        assert len(set(players)) == len(players)
        for part in song.parts:
            assert part.role in ROLES[part.stem]
            starts = [note.start for note in part.notes]
            assert starts == sorted(starts) and starts[0] >= 0
            assert all(note.start + note.duration < song.seconds for note in part.notes)
            assert all(0 < note.velocity <= 1 and note.duration >= 0.02 for note in part.notes)


def test_instruments_are_played_where_they_can_be(songs: list[Song]):
    ranges = {"vocals": (45, 76), "bass": (23, 60), "guitar": (33, 91), "piano": (21, 108), "drums": (35, 82)}
    for part in (part for song in songs for part in song.parts if part.stem in ranges):
        low, high = ranges[part.stem]
        assert all(low <= note.pitch <= high for note in part.notes), part.role


def test_singer_and_bass_sound_one_note_at_a_time_and_no_key_is_struck_while_held(songs: list[Song]):
    for part in (part for song in songs for part in song.parts):
        free: dict[int, float] = {}
        for note in part.notes:
            voice_of = 0 if part.stem in ("vocals", "bass") else note.pitch
            assert note.start >= free.get(voice_of, 0.0) - 1e-9
            free[voice_of] = note.start + note.duration


def test_every_style_occurs_and_stems_are_missing_or_silent_often_enough(songs: list[Song]):
    assert len({song.style for song in songs}) == 9
    present = Counter(stem for song in songs for stem in {part.stem for part in song.parts})
    assert all(0.6 * SONGS < present[stem] < 0.97 * SONGS for stem in STEMS)
    assert all(len({part.stem for part in song.parts}) >= 3 for song in songs)
    for stem in STEMS:
        resting = 0
        for song in songs:
            notes = sorted(
                (n.start, n.start + n.duration) for p in song.parts if p.stem == stem for n in p.notes
            )
            ends = np.maximum.accumulate([0.0, *(end for _, end in notes)])
            starts = np.array([*(start for start, _ in notes), song.seconds - 3])
            resting += bool(notes) and float((starts - ends).max()) > 3.0
        assert resting > 0.3 * present[stem], stem


def test_swing_bends_eighths_but_neither_beats_nor_triplets():
    bars = np.arange(3) * 4.0
    time = Clock(bars, bars * 0.5, swing=0.6, pair=1.0)
    assert np.allclose(time.seconds(np.array([0, 0.5, 1, 4 / 3, 1.5, 8])), [0, 0.3, 0.5, 2 / 3, 0.8, 4])
    events = [Event(beat / 2, 0.5, 60, 0.7) for beat in range(8)]
    notes = perform(events, time, 0.005, 10.0, np.random.default_rng(0))
    off = np.array([note.start for note in notes]) - time.seconds(np.arange(8) / 2)
    assert 0 < np.abs(off).max() < 0.04


@pytest.mark.parametrize(
    "numeral", ["I", "iv", "bVII7", "iim7b5", "V7sus4", "IVmaj7", "#idim7", "i5", "VI7b9"]
)
def test_hands_hold_the_chord_and_move_little(numeral: str):
    chord = read_chord(numeral, 4)
    tonic = voice(read_chord("I", 4), 60)
    hand = voice(chord, 60, tonic)
    assert {note % 12 for note in hand} <= set(chord.tones) and list(hand) == sorted(hand)
    assert all(min(abs(note - old) for old in tonic) <= 4 for note in hand)
    for position in (0, 5, 8):
        strings = fret(chord, position)
        assert {note % 12 for note in strings} <= set(chord.tones) and strings[0] % 12 == chord.root
        assert STRINGS[0] <= strings[0] and 2 <= len(strings) <= 6 and list(strings) == sorted(set(strings))
