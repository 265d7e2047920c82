"""Recorded instruments: notes sound when and as high as they are written, and end when they must."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("soundfile")

import soundfile

from training.instruments import libraries
from training.instruments import strokes as pools
from training.instruments.kits import Kit, Piece
from training.instruments.libraries import parse
from training.instruments.loops import grid
from training.instruments.performances import Performance, spans
from training.instruments.recordings import choose
from training.score import SAMPLE_RATE, Audio, Instrument, Note

RATE = 48_000
SILENCE = 0.021  # seconds before the onset of each recording


def tone(path: Path, midi: int, seconds: float = 2.0) -> None:
    """Write a struck string: three partials that decay, with hum before the onset."""
    time = np.arange(int(seconds * RATE)) / RATE
    frequency = 440 * 2 ** ((midi - 69) / 12)
    audio = sum(np.sin(2 * np.pi * k * frequency * time) / k for k in (1, 2, 3)) * np.exp(-time) * 0.3
    hum = 0.001 * np.sin(2 * np.pi * 50 * np.arange(int(SILENCE * RATE)) / RATE)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.concatenate([hum, audio]), RATE)


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    for name, midi in (("e2", 40), ("a2", 45), ("eb3", 51), ("a3", 57), ("e4", 64)):
        tone(tmp_path / "emilyguitar/notes" / f"{name}_mf_rr1.wav", midi)
    for name, midi in (("e2", 28), ("a2", 33), ("eb3", 39)):  # an octave lower than the names say
        tone(tmp_path / "growlybass/sustain" / f"{name}_f_rr1.wav", midi)
    for name, midi in (("C3", 60), ("F#3", 66)):  # an octave higher
        tone(tmp_path / "splendid-grand-piano/Samples" / f"Mf_{name}.wav", midi)
    return tmp_path


def instrument(samples: Path, stem: str, role: str, seed: int = 0) -> Instrument:
    chosen = choose(stem, role, "pop", np.random.default_rng(seed), samples)
    assert chosen is not None
    return chosen


def pitch(audio: Audio) -> float:
    """MIDI number of the lowest strong partial."""
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 2**18))
    lowest = int(np.argmax(spectrum > 0.5 * spectrum.max()))
    top = lowest + int(np.argmax(spectrum[lowest : lowest + 40]))
    return float(69 + 12 * np.log2(top * SAMPLE_RATE / 2**18 / 440))


@pytest.mark.parametrize(
    ("stem", "role", "pitches"),
    [("guitar", "lead", (40, 47, 54, 66)), ("bass", "line", (29, 33, 41)), ("piano", "chords", (58, 62, 67))],
)
def test_notes_sound_at_their_start_and_pitch(
    samples: Path, stem: str, role: str, pitches: tuple[int, ...]
) -> None:
    notes = [Note(0.5 + 1.3 * i, 0.6, each, 0.8) for i, each in enumerate(pitches)]
    audio = instrument(samples, stem, role).play(notes, 6.0, np.random.default_rng(1))
    assert audio.shape[1] == 6 * SAMPLE_RATE and np.abs(audio).max() == pytest.approx(0.5, abs=1e-3)
    for note in notes:
        start = round(note.start * SAMPLE_RATE)
        near = np.abs(audio[0, start - 2000 : start + 4000])
        first = int(np.argmax(near > 0.1 * near.max())) - 2000
        assert abs(first) < 0.003 * SAMPLE_RATE
        assert pitch(audio[0, start + 2000 : start + 22000]) == pytest.approx(note.pitch, abs=0.45)


def test_a_string_played_anew_falls_silent_and_other_strings_ring(samples: Path) -> None:
    guitar = instrument(samples, "guitar", "lead")

    def low_e_after(second: int) -> float:
        """Level of a low E that rings on while the second note sounds."""
        audio = guitar.play(
            [Note(0.1, 2.0, 40, 0.8), Note(1.0, 1.0, second, 0.8)], 3.0, np.random.default_rng(2)
        )
        window = audio[0, int(1.2 * SAMPLE_RATE) : int(1.9 * SAMPLE_RATE)]
        time = np.arange(len(window)) / SAMPLE_RATE
        around = 82.4 * 2 ** (np.arange(-40, 41, 4) / 1200)
        return float(
            np.abs(np.exp(-2j * np.pi * around[:, None] * time) @ (window * np.hanning(len(window)))).max()
        )

    assert low_e_after(43) < 0.05 * low_e_after(57)


def test_a_muted_note_is_short(samples: Path) -> None:
    guitar = instrument(samples, "guitar", "riff")

    def played(muted: bool) -> Audio:
        return guitar.play([Note(0.1, 1.0, 45, 0.8, muted)], 1.5, np.random.default_rng(3))[0]

    later = slice(int(0.45 * SAMPLE_RATE), int(0.5 * SAMPLE_RATE))
    assert np.abs(played(True)[later]).max() < 0.1 < 0.2 < np.abs(played(False)[later]).max()


def test_a_closed_hat_ends_the_open_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "SONIC_PI", tmp_path)
    tone(tmp_path / "ringing.flac", 90)
    tone(tmp_path / "tick.flac", 90, 0.02)
    make = partial(Piece, semitones=0.0, decay=5.0, click=0.0, tone=(0.0, 0.0), gain=1.0, pan=0.0)
    pieces = {"open": make(((("ringing",), 1.0),)), "closed": make(((("tick",), 1.0),))}
    kit = Kit(pieces, power=1.0)
    audio = kit.play([Note(0.1, 0.1, 46, 0.9), Note(0.5, 0.1, 42, 0.9)], 1.5, np.random.default_rng(0))
    assert np.abs(audio[:, int(0.4 * SAMPLE_RATE) : int(0.49 * SAMPLE_RATE)]).max() > 0.2
    assert np.abs(audio[:, int(0.55 * SAMPLE_RATE) :]).max() == 0


def test_the_grid_of_humanised_notes_is_found() -> None:
    random = np.random.default_rng(4)
    steps = np.flatnonzero(random.random(300) < 0.8)
    period, phase = grid(np.sort(0.37 + 0.1234 * steps + random.normal(0, 0.006, steps.size)))
    assert period == pytest.approx(0.1234, rel=2e-4)
    assert abs((0.37 - phase + period / 2) % period - period / 2) < 0.005


def test_there_is_an_instrument_only_where_there_are_recordings(samples: Path) -> None:
    random = np.random.default_rng(5)
    assert choose("vocals", "lead", "rock", random, samples) is None
    assert choose("other", "melody", "rock", random, samples) is None
    assert choose("guitar", "strum", "rock", random, None) is None
    assert parse(Path("btb_a3_rr1.opus"), 0) is None and parse(Path("scrape_4_rr1.opus"), 0) is None


def test_the_cache_stays_within_its_bounds(samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "CACHE_BYTES", 800_000)
    for path in sorted(samples.rglob("*.wav")):
        libraries.load(path)
        assert sum(sound.audio.nbytes for sound in libraries._sounds.values()) <= 800_000


def test_more_of_a_recording_is_not_forgotten_before_it_is_used(
    samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries, "CACHE_BYTES", 770_000)
    first, second = sorted(samples.rglob("*.wav"))[:2]
    monkeypatch.setattr(libraries, "_sounds", type(libraries._sounds)())
    for path, seconds in ((first, 0.5), (second, 0.5), (first, 1.99)):
        sound = libraries.load(path, seconds)
        assert sound.whole or sound.audio.shape[1] >= seconds * RATE


@pytest.mark.parametrize(
    ("name", "octaves", "articulation", "pitch", "dynamic"),
    [
        ("twang_bb3_mf_rr2", -1, "sustain", 46, 3),
        ("C#4_s5_soft_01", 0, "sustain", 61, 1),
        ("C#4_s5_01", 0, "sustain", 61, 3),
        ("finger_D#", 0, "sustain", 39, 3),
        ("pick_E", 0, "sustain", 28, 3),
        ("pick_E2", 0, "sustain", 40, 3),
        ("A#1vH", 0, "sustain", 34, 4),
        ("fm-piano1_F#2v100", 0, "sustain", 42, 5),
        ("CP80_027-D#1-F", 0, "sustain", 27, 4),
        ("Pianet-T_29_F1_release", 0, "release", 29, 3),
        ("Wurlitzer-EP200_eb3pp", 0, "sustain", 51, 0),
        ("level3_CLOSE_48", 0, "sustain", 48, 3),
        ("det_p_2_4_m78", 0, "sustain", 78, 1),
        ("pizz_a2_fa", 0, "sustain", 45, 4),
        ("a0_s_vl3_rr1_dyn", 1, "staccato", 33, 3),
        ("stacc_Gb1_mf_1", 1, "staccato", 42, 3),
        ("killer_bass_a5_vl5", -1, "sustain", 69, 5),
        ("MartinGM2_061_Db4_1", 0, "sustain", 61, 3),
        ("Banjo_Common_-_A#4_2", -1, "sustain", 58, 3),
        ("femalevoice_oo_femalevoice_oo_A3", 0, "sustain", 57, 3),
    ],
)
def test_names_tell_the_note(name: str, octaves: int, articulation: str, pitch: int, dynamic: int) -> None:
    found = parse(Path(f"{name}.opus"), octaves)
    assert found is not None
    assert (found.articulation, found.pitch, found.dynamic) == (articulation, pitch, dynamic)


@pytest.mark.parametrize("name", ["natural_c7_fake", "olpc_scrape", "pizz_perc7_rr1", "sitar_Ssld07"])
def test_what_is_no_note_is_left_out(name: str) -> None:
    assert parse(Path(f"{name}.opus"), 0) is None


def test_rumble_below_all_notes_is_taken_out(tmp_path: Path) -> None:
    time = np.arange(2 * RATE) / RATE
    soundfile.write(
        tmp_path / "a1.wav", 0.4 * np.sin(2 * np.pi * 9 * time) + 0.1 * np.sin(2 * np.pi * 110 * time), RATE
    )
    spectrum = np.abs(
        np.fft.rfft(libraries.load(tmp_path / "a1.wav", 2.0).audio[0, RATE // 2 : RATE * 3 // 2])
    )
    assert spectrum[9] < 0.1 * spectrum[110]


def test_a_performance_sounds_where_there_are_notes(tmp_path: Path) -> None:
    tone(tmp_path / "long.wav", 60, 3.0)
    notes = [Note(0.5, 0.5, 40, 0.8), Note(1.2, 0.4, 40, 0.8), Note(4.0, 1.0, 40, 0.8)]
    assert spans(notes) == [(0.5, 1.6), (4.0, 5.0)]
    audio = Performance(tmp_path / "long.wav", 1.0).play(notes, 6.0, np.random.default_rng(0))
    assert audio.shape == (1, 6 * SAMPLE_RATE)
    sounding = np.abs(audio[0]).reshape(60, -1).max(axis=1) > 1e-3
    assert np.flatnonzero(sounding).tolist() == [*range(5, 16), *range(40, 50)]
