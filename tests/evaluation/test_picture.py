import av
import numpy as np
import pytest

from evaluation.comparison import compare
from evaluation.datasets import SAMPLE_RATE, Song
from evaluation.picture import BANDS, COLUMNS, HIGHEST, LOWEST, draw, spectrogram


def tone(frequency: float, seconds: float = 1) -> np.ndarray:
    wave = 0.3 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE)
    return np.stack([wave, wave]).astype(np.float32)


@pytest.mark.parametrize("frequency", [60, 440, 9000])
def test_tone_is_a_line_at_its_frequency(frequency):
    brightest = spectrogram(tone(frequency)).mean(axis=1).argmax()
    octave_share = np.log(frequency / LOWEST) / np.log(HIGHEST / LOWEST)
    assert (
        abs(brightest - octave_share * BANDS) <= 8 * 60 / frequency + 1
    )  # a bin is wide below, a band above


def test_time_axis_is_horizontal_and_limited():
    late = np.concatenate([0 * tone(440, 7), tone(440, 7)], axis=1)
    picture = spectrogram(late)
    assert picture.shape == (BANDS, COLUMNS)
    assert picture[:, COLUMNS * 6 // 10 :].max() > picture[:, : COLUMNS * 4 // 10].max() + 60


def test_silence_is_finite():
    assert np.isfinite(spectrogram(0 * tone(440))).all()


def test_picture_has_column_per_model_and_row_per_stem(tmp_path):
    song = Song("song", {"vocals": tone(440), "other": tone(100)})
    sizes = []
    for models in (1, 2):
        estimates = {f"m{n}": {"vocals": tone(440), "instrumental": tone(100)} for n in range(models)}
        draw(compare(song, estimates, ()), tmp_path / "song.png")
        with av.open(tmp_path / "song.png") as picture:
            sizes.append((picture.streams.video[0].width, picture.streams.video[0].height))
    (one, height), (two, same) = sizes
    assert two * 2 == one * 3
    assert height == same == 3 * 190  # the mixture, the vocals, the instrumental
