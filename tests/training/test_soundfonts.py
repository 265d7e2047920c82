import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("fluidsynth")

from training.instruments.programs import FAMILIES, Manner
from training.instruments.soundfonts import SOUNDFONTS, SoundFontPlayer, choose
from training.score import SAMPLE_RATE, Note

pytestmark = pytest.mark.skipif(not all(path.exists() for path in SOUNDFONTS), reason="no soundfonts")

NOTES = (Note(0.5, 0.4, 45, 0.9), Note(1.2, 0.4, 57, 0.7))


@pytest.fixture(params=SOUNDFONTS, ids=lambda path: path.stem)
def piano(request: pytest.FixtureRequest) -> SoundFontPlayer:
    return SoundFontPlayer(request.param, 0, 0)


def test_sounds_when_and_at_the_pitch_that_is_written(piano: SoundFontPlayer) -> None:
    audio = piano.play(NOTES, 2.0, np.random.default_rng(0))
    assert audio.shape == (2, 2 * SAMPLE_RATE)
    assert audio.dtype == np.float32
    assert np.abs(audio).max() == pytest.approx(0.5, abs=1e-3)
    loud = np.abs(audio).max(axis=0) > 0.02
    assert np.argmax(loud) / SAMPLE_RATE == pytest.approx(0.5, abs=0.03)
    second = audio[0, round(1.25 * SAMPLE_RATE) : round(1.6 * SAMPLE_RATE)]
    spectrum = np.abs(np.fft.rfft(second * np.hanning(second.size), 1 << 17))
    frequencies = np.fft.rfftfreq(1 << 17, 1 / SAMPLE_RATE)
    near = (frequencies > 150) & (frequencies < 300)
    cents = 1200 * np.log2(frequencies[near][np.argmax(spectrum[near])] / 220)
    assert abs(cents) < 25


def test_what_was_played_before_leaves_no_trace(piano: SoundFontPlayer) -> None:
    first = piano.play(NOTES, 2.0, np.random.default_rng(7))
    for program in (40, 0, 30):
        other = SoundFontPlayer(piano.path, 0, program, Manner(singing=True, pedal=True))
        other.play((Note(0.0, 9.0, 50, 1.0, muted=program == 30),), 0.5, np.random.default_rng(program))
    np.testing.assert_array_equal(piano.play(NOTES, 2.0, np.random.default_rng(7)), first)


def test_muted_notes_are_shorter() -> None:
    guitar = SoundFontPlayer(SOUNDFONTS[0], 0, 30)
    tails = []
    for muted in (False, True):
        audio = guitar.play((Note(0, 0.9, 45, 0.8, muted),), 1.0, np.random.default_rng(1))
        tails.append(float(np.square(audio[:, SAMPLE_RATE // 2 :]).sum() / np.square(audio).sum()))
    assert tails[1] < 0.2 * tails[0]


def test_every_program_that_can_be_chosen_sounds() -> None:
    """Of the cheaper soundfont: both follow General MIDI."""
    silent = set()
    for stem, families in FAMILIES.items():
        pitch = {"bass": 33, "drums": 38}.get(stem, 64)
        for family in families:
            for bank, program in family.programs:
                player = SoundFontPlayer(SOUNDFONTS[0], bank, program, family.manner)
                if not player.play((Note(0, 0.2, pitch, 0.8),), 0.2, np.random.default_rng(0)).any():
                    silent.add((bank, program))
    assert not silent


def test_styles_decide_and_vocals_are_refused() -> None:
    random = np.random.default_rng(0)
    brushes = dict.fromkeys(("jazz", "metal"), 0)
    for style in brushes:
        kits = [choose("drums", "kit", style, random).program for _ in range(100)]
        brushes[style] = sum(40 <= kit < 48 for kit in kits)
    assert brushes["metal"] == 0 < brushes["jazz"]
    with pytest.raises(ValueError, match="vocals"):
        choose("vocals", "lead", "pop", random)
