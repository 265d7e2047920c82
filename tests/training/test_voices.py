import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.score import SAMPLE_RATE, Audio, Note

pytest.importorskip("scipy")
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)
    pyworld = pytest.importorskip("pyworld")
pytest.importorskip("soundfile")
if shutil.which("flite") is None:
    pytest.skip("flite is not installed", allow_module_level=True)

import soundfile

from training.voices import Vocal, VoicePlayer, spoken
from training.voices.bank import FRAMES_PER_SECOND, PHONES, analyse, load_bank

PHRASE = (Note(0.4, 0.8, 55, 0.8), Note(1.2, 0.9, 62, 0.9), Note(2.1, 0.8, 59, 0.6))
NEXT_PHRASE = (Note(4.2, 1.0, 64, 0.8),)
SECONDS = 6.0


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> VoicePlayer:
    return VoicePlayer(tmp_path_factory.mktemp("bank"), speakers=("slt", "rms"), lines=16)


def sung(player: VoicePlayer, seed: int) -> Vocal:
    """A singer who sings, with a clear voice that pyworld's pitch estimate can follow."""
    random = np.random.default_rng(seed)
    singer = replace(
        player.singer(random).takes[0], delivery="sung", asides=0.0, roughness=0.0, breathiness=0.1
    )
    return Vocal((replace(singer, falsetto=99.0),), player.singer(random).bank)


def level(audio: Audio, start: float, end: float) -> float:
    return float(np.sqrt(np.mean(audio[:, round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] ** 2)))


@pytest.mark.parametrize("seed", range(4))
def test_held_notes_have_the_written_pitch(player: VoicePlayer, seed: int) -> None:
    notes = (*PHRASE, *NEXT_PHRASE)
    audio = sung(player, seed).play(notes, SECONDS, np.random.default_rng(seed))
    f0, times = pyworld.harvest(audio[0].astype(np.float64), SAMPLE_RATE, f0_floor=70, f0_ceil=800)
    for note in notes:
        held = (
            (times > note.start + 0.35 * note.duration)
            & (times < note.start + 0.7 * note.duration)
            & (f0 > 0)
        )
        assert held.any()
        pitch = 69 + 12 * np.log2(np.median(f0[held]) / 440)
        assert abs(pitch - note.pitch) < 0.5


@pytest.mark.parametrize("seed", range(4))
def test_sounds_during_phrases_and_rests_between_them(player: VoicePlayer, seed: int) -> None:
    audio = sung(player, seed).play((*PHRASE, *NEXT_PHRASE), SECONDS, np.random.default_rng(seed))
    assert audio.shape == (1, round(SECONDS * SAMPLE_RATE))
    assert np.max(np.abs(audio)) == pytest.approx(0.5, abs=1e-3)
    assert level(audio, 0.5, 2.8) > 0.01
    assert level(audio, 4.3, 5.0) > 0.01
    assert level(audio, 3.3, 3.4) < 1e-4
    assert level(audio, 5.8, 6.0) < 1e-4


def test_any_singer_of_any_style_gives_finite_sound_the_same_for_the_same_seed(player: VoicePlayer) -> None:
    crowded = [
        Note(0.02, 0.01, 40, 0.1),
        Note(0.03, 2.0, 84, 1.0),
        Note(0.5, 0.05, 60, 0.5),
        Note(0.5, 0.5, 64, 0.5),
    ]
    for seed in range(12):
        role, style = ("lead", "harmony")[seed % 2], ("metal", "pop", "funk")[seed % 3]
        first, second = (
            player.choose(random, role, style).play(crowded, 1.5, random)
            for random in (np.random.default_rng(seed), np.random.default_rng(seed))
        )
        assert first.dtype == np.float32
        assert first.shape[0] in (1, 2)
        assert first.shape[1] == round(1.5 * SAMPLE_RATE)
        assert np.all(np.isfinite(first))
        assert np.max(np.abs(first)) == pytest.approx(0.5, abs=1e-3)
        assert np.array_equal(first, second)


def test_syllables_follow_each_other_and_hold_a_vowel(tmp_path: Path) -> None:
    speaker = load_bank(tmp_path, ("slt",), lines=4)["slt"]
    onset, vowel, coda, end = speaker.syllables.T
    assert np.all((onset <= vowel) & (vowel < coda) & (coda <= end))
    assert np.all(end[:-1] <= onset[1:])
    assert end[-1] <= len(speaker.voiced) == len(speaker.phones) == len(speaker.envelopes)
    assert np.all(speaker.voiced[(vowel + coda) // 2])
    assert speaker.lines[-1] == len(speaker.syllables)
    start, stop = speaker.runs("m", "n")[0]
    assert {PHONES[phone] for phone in speaker.phones[start:stop]} <= {"m", "n"}


def test_a_bank_kept_is_the_bank_made(tmp_path: Path) -> None:
    made = load_bank(tmp_path, ("kal",), lines=2)["kal"]
    (kept,) = tmp_path.iterdir()
    before = kept.stat().st_mtime_ns
    again = load_bank(tmp_path, ("kal",), lines=2)["kal"]
    assert kept.stat().st_mtime_ns == before
    assert np.array_equal(made.envelopes, again.envelopes)


def test_syllables_of_recorded_speech_are_found(tmp_path: Path) -> None:
    rate, count = 16_000, 6
    time = np.arange(rate * 3) / rate
    rise = np.clip(np.sin(2 * np.pi * 2 * time), 0, None) ** 0.5  # a syllable each half second
    harmonics = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 20))
    hiss = np.random.default_rng(0).normal(0, 0.02, len(time)) * (rise == 0) * (time % 1 > 0.75)
    path = tmp_path / "F_1-2-3.wav"
    soundfile.write(path, 0.1 * rise * harmonics + np.diff(hiss, prepend=0) + 1e-5, rate)
    segments = spoken.segments(path)
    vowels = [phone for phone, _ in segments if phone in ("aa", "ah", "uw")]
    assert len(vowels) == count
    assert {phone for phone, _ in segments} - {"aa", "ah", "uw", "l", "m"}
    ends = [end for _, end in segments]
    assert ends == sorted(ends) and ends[-1] == pytest.approx(3.0, abs=0.02)
    speaker = analyse([(path, segments)])
    assert len(speaker.syllables) == count
    middles = speaker.syllables[:, 1:3].mean(axis=1) / FRAMES_PER_SECOND
    np.testing.assert_allclose(middles, 0.125 + 0.5 * np.arange(count), atol=0.06)
