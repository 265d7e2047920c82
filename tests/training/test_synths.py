import numpy as np
import pytest

pytest.importorskip("scipy")

from training.instruments import synths
from training.instruments.machines import DrumMachine
from training.instruments.synths import Synth
from training.instruments.timbres import Analogue
from training.score import SAMPLE_RATE, STEMS, Note

ROLES = {
    "drums": ("kit", "percussion"),
    "bass": ("line",),
    "guitar": ("strum", "lead"),
    "piano": ("chords",),
    "other": ("pad", "stabs", "melody"),
}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("stem", ROLES)
def test_every_sound_is_finite_repeatable_and_ends_in_silence(stem: str, seed: int) -> None:
    role = ROLES[stem][seed % len(ROLES[stem])]
    pitches = {"drums": (36, 42, 46, 39), "bass": (33, 40, 28, 35)}.get(stem, (60, 64, 52, 95))
    notes = [Note(0.25 * n, 0.2, pitch, 0.3 + 0.2 * n, n == 2) for n, pitch in enumerate(pitches)]
    takes = []
    for _ in range(2):
        random = np.random.default_rng(seed)
        instrument = synths.choose(stem, role, "pop", random)
        assert instrument
        takes.append(instrument.play(notes, 1.1, random))
    first, second = takes
    np.testing.assert_array_equal(first, second)
    assert first.shape in ((1, round(1.1 * SAMPLE_RATE)), (2, round(1.1 * SAMPLE_RATE)))
    assert np.abs(first).max() == pytest.approx(0.5, abs=1e-3)
    assert np.abs(first[:, -5:]).max() < 0.01


@pytest.mark.parametrize("pitch", [28, 45, 69, 100])
def test_sawtooth_is_in_tune_and_does_not_alias(pitch: int) -> None:
    saw = Analogue(1, 0, 0, 0.5, 18_000, 1, 0, 1, 0.7, 2)
    audio = Synth(saw, 0.001, 1, 1, 0.01).play((Note(0, 1, pitch, 1),), 1, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(audio[0] * np.blackman(SAMPLE_RATE)))
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    assert np.argmax(spectrum) == pytest.approx(hertz, abs=1)
    frequencies = np.arange(spectrum.size)
    away = np.abs(frequencies / hertz - np.round(frequencies / hertz)) * hertz > 4
    assert spectrum[away].max() < 3e-3 * spectrum.max()


def test_closed_hat_ends_the_open_one() -> None:
    alone, choked = (
        DrumMachine(np.random.default_rng(3)).play(notes, 0.5, np.random.default_rng(0))
        for notes in ([Note(0, 0.1, 46, 1)], [Note(0, 0.1, 46, 1), Note(0.1, 0.1, 42, 0.01)])
    )
    late = slice(round(0.2 * SAMPLE_RATE), None)
    assert np.square(choked[:, late]).sum() < 0.05 * np.square(alone[:, late]).sum()


def test_nobody_sings() -> None:
    assert set(ROLES) == set(STEMS) - {"vocals"}
    assert synths.choose("vocals", "lead", "pop", np.random.default_rng(0)) is None
