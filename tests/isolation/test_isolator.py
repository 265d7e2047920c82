"""Isolation of speech, with networks in place of the real ones; the real ones where they are installed."""

from typing import Any

import numpy as np
import pytest

from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import ModelError
from stemsplitter.isolation import Networks, VoiceIsolator
from stemsplitter.isolation.features import BAND_OF_BIN, analyze, erb_widths, synthesize

RATE = 48_000


class Identity:
    """Networks that leave the signal as it is; they check the context that they get."""

    def initial(self) -> dict[str, Any]:
        return {}

    def run(self, bands: Any, bins: Any, states: dict[str, Any]) -> tuple[Any, Any]:
        channels, frames = len(bands), bands.shape[2] - 2
        assert bands.shape == (channels, 1, frames + 2, 32) and bins.shape == (channels, 2, frames + 2, 96)
        filters = np.zeros((channels, frames, 96, 5, 2), np.float32)
        filters[..., 2, 0] = 1  # the frame itself, without its past and future
        return np.ones((channels, 1, frames, 32), np.float32), filters.reshape(channels, frames, 96, 10)


def run(networks: Any, song: np.ndarray, rate: int = RATE, block: int = 65_536) -> np.ndarray:
    isolator = VoiceIsolator(rate, len(song), networks)
    blocks = [isolator.process(song[:, start : start + block]) for start in range(0, song.shape[1], block)]
    return np.concatenate([*blocks, isolator.flush()], axis=1)


def noise(samples: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((channels, samples)).astype(np.float32) * 0.1


@pytest.mark.parametrize("samples", [1, 479, 480, 481, 959, 960, 145_000, 300_123])
def test_unchanged_spectra_give_the_recording_aligned_and_of_its_length(samples: int) -> None:
    song = noise(samples, 2)
    result = run(Identity(), song)
    assert result.shape == song.shape
    assert np.abs(result - song).max() < 1e-5


def test_other_sample_rates_keep_length_and_alignment() -> None:
    at = np.arange(44_100) / 44_100
    song = (0.3 * np.sin(2 * np.pi * 440 * at)).astype(np.float32)[None]
    result = run(Identity(), song, rate=44_100)
    assert result.shape == song.shape
    assert np.abs(result - song)[:, 2000:-2000].max() < 1e-4


def test_bands_cover_all_bins() -> None:
    assert erb_widths().sum() == len(BAND_OF_BIN) == 481
    assert erb_widths().min() >= 2


def test_synthesis_inverts_analysis() -> None:
    song = noise(9600)[0]
    frames = synthesize(
        analyze(np.stack([song[start : start + 960] for start in range(0, 8640, 480)])[None])
    )[0]
    middle = frames[1:, :480] + frames[:-1, 480:]
    assert np.abs(middle.reshape(-1) - song[480 : 480 + middle.size]).max() < 1e-6


def test_damaged_archive_is_refused(tmp_path: Any) -> None:
    (tmp_path / "weights.tar.gz").write_bytes(b"damaged")
    with pytest.raises(
        ModelError, match=r"weights\.tar\.gz cannot be loaded as DeepFilterNet3: pull it again\."
    ):
        Networks(tmp_path / "weights.tar.gz")


@pytest.fixture(scope="module")
def networks() -> Networks:
    store = ModelStore(offline=True)
    if not store.is_ready("deepfilternet3"):
        pytest.skip("the weights are not installed: stemsplitter models pull deepfilternet3")
    return Networks(store.weights("deepfilternet3")[0], threads=1)


def test_real_networks_give_the_same_in_blocks_of_any_size(networks: Networks) -> None:
    song = noise(5 * RATE)
    whole = run(networks, song)
    assert np.abs(run(networks, song, block=12_345) - whole).max() < 1e-6
    assert np.square(whole[:, RATE:]).sum() < 0.01 * np.square(song[:, RATE:]).sum()  # it is all noise


def test_real_networks_process_each_channel_on_its_own(networks: Networks) -> None:
    at = np.arange(4 * RATE) / RATE
    voice = (
        sum(np.sin(2 * np.pi * 150 * n * at) / n for n in range(1, 20))
        * (np.sin(2 * np.pi * 3 * at) > 0)
        * 0.1
    )
    one, other = (voice + noise(4 * RATE)[0] * 0.1).astype(np.float32), noise(4 * RATE)[0]
    other[: 3 * RATE // 2] = one[: 3 * RATE // 2]  # the channels differ from the middle of a chunk on
    song = np.stack([one, other, one])
    each = np.concatenate([run(networks, channel[None]) for channel in song])
    assert np.abs(each[0]).max() > 0.01
    assert np.abs(run(networks, song) - each).max() < 1e-5
    assert np.array_equal(run(networks, song[[0, 2]]), each[[0, 2]])


def test_streams_of_other_lengths_follow_on_the_same_networks(networks: Networks) -> None:
    """A request with another shape than a dropped one would end the process."""
    lengths = [run(networks, noise(samples)).shape[1] for samples in (RATE, 50_000, 700, 120_000)]
    assert lengths == [RATE, 50_000, 700, 120_000]
