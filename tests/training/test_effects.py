"""Effects: what leaves a channel strip, the master and the MP3 round trip."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from training.effects import master, mp3_round_trip, process
from training.effects.amplifiers import guitar_amplifier
from training.effects.dynamics import compress, limit
from training.effects.filters import convolve, equalise, peak
from training.score import SAMPLE_RATE, STEMS, Audio

STYLES = ("rock", "pop", "metal", "funk", "electronic", "ballad", "jazz", "reggae", "country")
LENGTH = SAMPLE_RATE + 1234


def plucked(frequency: float = 196.0, length: int = LENGTH) -> Audio:
    """A chord of saw-tooths, struck four times a second."""
    time = np.arange(length) / SAMPLE_RATE
    saws = sum(2 * (time * frequency * ratio % 1) - 1 for ratio in (1, 1.26, 1.5))
    return (0.2 * saws * np.exp(-8 * (time % 0.25)))[None].astype(np.float32)


def level(audio: Audio) -> float:
    return float(10 * np.log10(np.mean(np.square(audio))))


@pytest.mark.parametrize("stem", STEMS)
def test_every_strip_gives_clean_stereo_of_the_same_length(stem: str) -> None:
    mono = plucked()
    for seed in range(18):
        part = mono if seed % 2 else np.concatenate([mono, np.roll(mono, 50)])
        out = process(part, stem, "lead", STYLES[seed % 9], np.random.default_rng(seed))
        assert out.shape == (2, LENGTH) and out.dtype == np.float32
        assert np.isfinite(out).all() and np.abs(out).max() <= 0.9001
        assert -40 < level(out) < -12
        assert np.abs(out.mean(axis=1)).max() < 2e-3
        assert np.abs(out[:, -2:]).max() < 1e-3


def test_a_strip_is_its_seed_and_keeps_silence() -> None:
    part = plucked()
    first, again, another = (
        process(part, "guitar", "riff", "rock", np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert np.abs(first - another).max() > 0.01
    assert not process(
        np.zeros((1, 999), np.float32), "drums", "kit", "metal", np.random.default_rng(1)
    ).any()


def test_filters_and_dynamics_do_what_they_say() -> None:
    random = np.random.default_rng(0)
    audio, response = (random.standard_normal((2, n)).astype(np.float32) for n in (40_000, 700))
    exact = np.stack([np.convolve(a, r)[:40_000] for a, r in zip(audio, response, strict=True)])
    assert np.allclose(convolve(audio, response), exact, atol=1e-3)

    tone = np.sin(2 * np.pi * 1000 / SAMPLE_RATE * np.arange(LENGTH, dtype=np.float32))[None]
    assert level(equalise(tone, peak(1000, 6))[:, 5000:]) == pytest.approx(level(tone) + 6, abs=0.1)

    quiet_then_loud = tone * np.where(np.arange(LENGTH) < LENGTH // 2, 0.1, 1).astype(np.float32)
    halves = np.array_split(compress(quiet_then_loud, -10, 4, 0.001, 0.05)[0, 2000:], 2)
    assert level(halves[1][4000:]) - level(halves[0][:15_000]) < 14  # of 20 dB
    assert np.abs(limit(5 * audio, 0.5)).max() <= 0.5001


def test_an_amplifier_distorts_and_its_loudspeaker_is_dark() -> None:
    time = np.arange(LENGTH) / SAMPLE_RATE
    tone = (0.3 * np.sin(2 * np.pi * 440 * time))[None].astype(np.float32)

    def partials(kind: str, seed: int) -> tuple[float, float]:
        out = guitar_amplifier(tone, kind, np.random.default_rng(seed))[0, 8192 : 8192 + 32_768]
        power = np.square(np.abs(np.fft.rfft(out * np.hanning(len(out)))))
        frequencies = np.fft.rfftfreq(len(out), 1 / SAMPLE_RATE)
        overtones = power[frequencies > 600].sum() / power.sum()
        return float(overtones), float(power[frequencies > 11_000].sum() / power.sum())

    clean, driven = (
        np.array([partials(kind, seed) for seed in range(12)]) for kind in ("clean", "high gain")
    )
    assert np.median(driven[:, 0]) > 10 * np.median(clean[:, 0])
    assert max(clean[:, 1].max(), driven[:, 1].max()) < 1e-3


def test_mastered_stems_still_sum_to_a_limited_mix() -> None:
    kick = 3 * plucked(60).repeat(2, axis=0)
    singer = plucked(440).repeat(2, axis=0)
    for seed in range(8):
        both = master({"drums": kick, "vocals": singer}, np.random.default_rng(seed))
        summed = master({"mix": kick + singer}, np.random.default_rng(seed))["mix"]
        assert np.allclose(both["drums"] + both["vocals"], summed, atol=1e-4)
        assert np.abs(summed).max() <= 0.9701


@pytest.mark.parametrize("bitrate", [64, 128, 320])
def test_mp3_keeps_every_sample_in_its_place(bitrate: int) -> None:
    random = np.random.default_rng(bitrate)
    song = np.concatenate([plucked(110), plucked(165)]) + np.float32(0.01) * random.standard_normal(
        (2, LENGTH)
    )
    song = song.astype(np.float32)
    out = mp3_round_trip(song, bitrate, random)
    assert out.shape == song.shape and out.dtype == np.float32
    correlation = np.fft.irfft(np.fft.rfft(out[0]) * np.conj(np.fft.rfft(song[0])))
    assert np.argmax(correlation) == 0
    assert level(song) - level(out - song) > {64: 8, 128: 11, 320: 14}[bitrate]
    # The end is not lost in the codec's delay.
    assert level(out[:, -2000:]) == pytest.approx(level(song[:, -2000:]), abs=1.5)
