import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemsplitter.separation.stft import FRAMES_PER_BLOCK, CenteredStft, Stft


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def snr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Signal-to-noise ratio in dB, at most 200."""
    energy = np.sum(np.abs(reference.astype(np.complex128)) ** 2)
    error = np.sum(np.abs(reference.astype(np.complex128) - estimate) ** 2)
    return float(10 * np.log10(energy / max(error, 1e-20 * energy)))


def direct_dft(x: np.ndarray, n_fft: int, hop: int, hann: bool = True) -> np.ndarray:
    """Compute the definition in double precision: ``[samples]`` -> ``[frames, n_fft / 2 + 1]``."""
    n = np.arange(n_fft)
    window = np.sin(np.pi * n / n_fft) ** 2 if hann else np.ones(n_fft)
    kernel = window * np.exp(-2j * np.pi * np.outer(np.arange(n_fft // 2 + 1), n) / n_fft)
    starts = range(0, len(x) - n_fft + 1, hop)
    return np.stack([kernel @ x[start : start + n_fft].astype(np.float64) for start in starts])


def spectrum_of(planes: np.ndarray) -> np.ndarray:
    """Turn planes ``[channels, 2, n_fft / 2, frames]`` into a spectrum whose Nyquist bin is zero."""
    spectrum = (planes[:, 0] + 1j * planes[:, 1]).swapaxes(1, 2)
    return np.pad(spectrum, ((0, 0), (0, 0), (0, 1))).astype(np.complex64)


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("hann", [False, True])
@pytest.mark.parametrize("hop", [None, 14, 16, 32])
def test_forward_is_the_discrete_fourier_transform(hop: int | None, hann: bool, normalized: bool) -> None:
    stft = Stft(64, hop, hann=hann, normalized=normalized)
    x = noise(2, stft.samples(FRAMES_PER_BLOCK + 5))
    expected = np.stack([direct_dft(channel, 64, stft.hop, hann) for channel in x]) / (8 if normalized else 1)
    spectrum = stft.forward(x)
    assert spectrum.dtype == np.complex64
    assert snr(expected, spectrum) > 120


@pytest.mark.parametrize("n_fft", [64, 4096])
def test_planes_are_the_spectrum_without_the_nyquist_bin(n_fft: int) -> None:
    stft = Stft(n_fft)
    x = noise(2, stft.samples(FRAMES_PER_BLOCK + 5))
    rows, planes = stft.forward(x)[..., :-1], stft.forward_planes(x)
    np.testing.assert_array_equal(planes[:, 0], rows.real.swapaxes(1, 2))
    np.testing.assert_array_equal(planes[:, 1], rows.imag.swapaxes(1, 2))


@settings(max_examples=25, deadline=None)
@given(
    n_fft=st.sampled_from([8, 64, 512]),
    divisor=st.sampled_from([2, 3, 4, 4.65]),
    hann=st.booleans(),
    channels=st.integers(1, 3),
    frames=st.integers(8, 2 * FRAMES_PER_BLOCK + 1),
    normalized=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_inverse_reconstructs_the_signal(
    n_fft: int, divisor: float, hann: bool, channels: int, frames: int, normalized: bool, seed: int
) -> None:
    stft = Stft(n_fft, int(n_fft / divisor), hann=hann, normalized=normalized)
    x = noise(channels, stft.samples(frames), seed=seed)
    y = stft.inverse(stft.forward(x))
    outer = n_fft - stft.hop
    assert y.dtype == np.float32 and y.shape == x.shape
    y[:, :outer], y[:, -outer:] = x[:, :outer], x[:, -outer:]  # where fewer than four frames overlap
    assert snr(x, y) > 120


def test_inverse_is_exact_at_full_size() -> None:
    stft = Stft(4096)
    x = noise(2, stft.samples(60))
    assert snr(x[:, 3072:-3072], stft.inverse(stft.forward(x))[:, 3072:-3072]) > 120


@pytest.mark.parametrize("n_fft", [64, 4096])
def test_inverse_ignores_the_imaginary_part_of_the_first_bin(n_fft: int) -> None:
    """A network's spectrum is not the STFT of a signal: its bin 0 has an imaginary part."""
    stft = Stft(n_fft, normalized=True)
    spectrum = spectrum_of(noise(3, 2, n_fft // 2, FRAMES_PER_BLOCK + 5))
    waveform = stft.inverse(spectrum)
    assert waveform.any()
    spectrum.imag[..., 0] = 0
    np.testing.assert_array_equal(waveform, stft.inverse(spectrum))


def test_inverse_of_generated_rows_is_that_of_the_spectrum() -> None:
    stft = Stft(64)
    spectrum = spectrum_of(noise(2, 2, 32, FRAMES_PER_BLOCK + 5))
    generated = stft.inverse_of(
        lambda channel, block: spectrum[channel, block].copy(), 2, FRAMES_PER_BLOCK + 5
    )
    np.testing.assert_array_equal(generated, stft.inverse(spectrum))


@pytest.mark.parametrize(
    ("n_fft", "hop", "hann"), [(64, 14, True), (64, 16, False), (64, 16, True), (64, 32, False)]
)
@pytest.mark.parametrize("length", [640, 649])
def test_a_centered_transform_reconstructs_the_whole_segment(
    n_fft: int, hop: int, hann: bool, length: int
) -> None:
    centered = CenteredStft(Stft(n_fft, hop, hann=hann), length)
    x = noise(2, length)
    spectrum = centered.forward(x)
    assert spectrum.shape == (2, centered.frames, n_fft // 2 + 1)
    restored = centered.inverse_of(lambda channel, block: spectrum[channel, block], 2)
    assert snr(x, restored) > 120


def test_silence_stays_silent() -> None:
    stft = Stft(64)
    silence = np.zeros((1, 640), np.float32)
    assert not stft.forward_planes(silence).any()
    assert not stft.inverse(stft.forward(silence)).any()


def test_a_partial_frame_is_rejected() -> None:
    stft = Stft(64)
    assert stft.frames(stft.samples(7)) == 7
    for samples in (0, 63, 65, 64 + 17):
        with pytest.raises(ValueError, match="whole number of frames"):
            stft.forward(noise(1, samples))
    with pytest.raises(ValueError, match="multiple of 8"):
        Stft(100)
    for hop in (0, 33):
        with pytest.raises(ValueError, match="between 1 and 32"):
            Stft(64, hop)


@pytest.mark.torch
def test_parity_with_htdemucs() -> None:
    import types

    import torch
    from demucs.htdemucs import HTDemucs

    reference = types.SimpleNamespace(hop_length=1024, nfft=4096)
    length, stft = 343_980, Stft(4096, normalized=True)
    x = noise(2, length)
    expected = torch.view_as_real(HTDemucs._spec(reference, torch.from_numpy(x)))
    padded = np.pad(x, ((0, 0), (1536, 1620)), mode="reflect")
    planes = stft.forward_planes(padded)
    assert snr(expected.permute(0, 3, 1, 2).numpy(), planes) > 120

    planes = noise(2, 2, 2048, 336)
    spectrum = torch.view_as_complex(torch.from_numpy(planes).permute(0, 2, 3, 1).contiguous())
    expected = HTDemucs._ispec(reference, spectrum, length)
    assert snr(expected.numpy(), stft.inverse(spectrum_of(planes))[:, 1536 : 1536 + length]) > 120


@pytest.mark.torch
@pytest.mark.parametrize(
    ("n_fft", "hop", "hann", "normalized", "length"),
    [
        pytest.param(2048, 441, True, False, 352_800, id="roformer 441"),
        pytest.param(2048, 512, True, False, 352_768, id="roformer 512"),
        pytest.param(4096, 1024, False, True, 353_280, id="scnet"),
    ],
)
def test_parity_with_torch(n_fft: int, hop: int, hann: bool, normalized: bool, length: int) -> None:
    import torch

    centered = CenteredStft(Stft(n_fft, hop, hann=hann, normalized=normalized), length)
    window = torch.hann_window(n_fft) if hann else torch.ones(n_fft)
    x = noise(2, length)
    expected = torch.stft(
        torch.from_numpy(x), n_fft, hop, window=window, normalized=normalized, return_complex=True
    )
    assert snr(expected.swapaxes(1, 2).numpy(), centered.forward(x)) > 120

    real, imaginary = noise(2, 2, centered.frames, n_fft // 2 + 1)
    spectrum = (real + 1j * imaginary).astype(np.complex64)
    back = torch.istft(
        torch.from_numpy(spectrum.swapaxes(1, 2)),
        n_fft,
        hop,
        window=window,
        normalized=normalized,
        length=length,
    )
    assert snr(back.numpy(), centered.inverse_of(lambda channel, block: spectrum[channel, block], 2)) > 120
