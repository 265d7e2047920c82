"""Recorded speakers, taken apart as `bank` does synthetic ones: phones are guessed from the sound.

Which vowel it is does not matter to a network that separates; where syllables begin, what hisses and what rings does.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

from training.instruments.catalogue import Split
from training.instruments.libraries import read
from training.voices.bank import FRAMES_PER_SECOND, Segments, pyworld

FOLDERS: Final = ("librispeech-voices", "speech")
# of the speakers without F_ or M_ in their files' names: by the median of their pitch, above 165 Hz or not
WOMEN: Final = frozenset(
    {"cmu_arctic_us_axb", "librispeech_198", "librispeech_3575", "librispeech_6829", "vctk_p240"}
)
HELD_OUT_EACH: Final = 9  # of LibriSpeech's speakers, those whose number is a multiple
QUIET: Final = -38.0  # dB below the loudest syllables that counts as a pause


def speakers(samples: Path, split: Split) -> dict[str, tuple[Path, ...]]:
    """The files of each speaker; a name begins with F_ or M_."""
    found: dict[str, list[Path]] = defaultdict(list)
    for folder in FOLDERS:
        for path in sorted((samples / folder).glob("*.*")):
            if (name := speaker_of(path.stem)) and held_out(name) == (split == "held-out"):
                found[name].append(path)
    return {name: tuple(paths) for name, paths in found.items()}


def speaker_of(stem: str) -> str | None:
    """The speaker's name from that of a file: ``F_103`` from ``F_103-1240-0000``."""
    if match := re.match(r"([FM])_(\d+)-", stem):
        return f"{match[1]}_{match[2]}"
    if match := re.match(r"(cmu_arctic_us_\w{3}|librispeech_\d+|vctk_p\d+)", stem):
        return f"{'F' if match[1] in WOMEN else 'M'}_{match[1]}"
    return None


def held_out(speaker: str) -> bool:
    """Tell if a speaker is kept from training."""
    number = re.fullmatch(r"[FM]_(\d+)", speaker)
    return bool(number) and int(number[1]) % HELD_OUT_EACH == 0


def segments(path: Path) -> Segments:
    """Phones, guessed, and the second at which each ends."""
    frames, rate = read(path)
    audio = frames.mean(axis=1, dtype=np.float64)
    period = 1000 / FRAMES_PER_SECOND
    f0, times = pyworld.dio(audio, rate, f0_floor=65.0, f0_ceil=420.0, frame_period=period)
    bands = _bands(audio, rate, times)
    labels = _labels(f0 > 0, bands)
    ends = np.append(np.flatnonzero(labels[1:] != labels[:-1]) + 1, len(labels))
    return [(str(labels[end - 1]), end / FRAMES_PER_SECOND) for end in ends]


def _bands(audio: NDArray, rate: int, times: NDArray) -> Mapping[str, NDArray[np.float64]]:
    """Smoothed power in dB of what is voiced, open, closed, and of hiss, and of all."""
    size = 512 if rate <= 16_000 else 1024
    padded = np.pad(audio, size)
    starts = (times * rate).astype(int) + size // 2
    frames = np.stack([padded[start : start + size] for start in starts]) * np.hanning(size)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    kernel = np.hanning(9) / np.hanning(9).sum()

    def level(low: float, high: float) -> NDArray[np.float64]:
        inside = power[:, (frequencies >= low) & (frequencies < high)].sum(axis=1)
        return np.asarray(10 * np.log10(np.convolve(inside, kernel, "same") + 1e-12))

    return {
        "sonority": level(250, 3000),
        "closed": level(150, 500),
        "open": level(600, 1300),
        "hiss": level(3500, 8000),
        "all": level(60, 8000),
    }


def _labels(voiced: NDArray[np.bool_], bands: Mapping[str, NDArray[np.float64]]) -> NDArray[np.str_]:
    loud = float(np.quantile(bands["all"], 0.95))
    noise = float(np.quantile(bands["all"], 0.03))
    sounding = bands["all"] > max(loud + QUIET, min(noise + 8, loud - 15))
    hissing = bands["hiss"] > bands["sonority"]
    labels = np.where(
        ~sounding,
        "pau",
        np.where(
            voiced,
            np.where(bands["closed"] > bands["open"] + 12, "m", "l"),
            np.where(hissing, np.where(bands["all"] > loud - 22, "s", "hh"), "t"),
        ),
    ).astype("U3")
    sonority = np.where(voiced & sounding, bands["sonority"], -200.0)
    peaks, _ = find_peaks(sonority, prominence=1.5, distance=round(0.07 * FRAMES_PER_SECOND))
    vowels = []
    for peak, before, after in zip(peaks, [-1, *peaks], [*peaks[1:], len(sonority)], strict=False):
        first = last = int(peak)
        while first - 1 > (before + peak) // 2 and sonority[first - 1] > sonority[peak] - 7:
            first -= 1
        while last + 1 < (peak + after) // 2 and sonority[last + 1] > sonority[peak] - 7:
            last += 1
        vowels.append((first, last + 1))
    openness = [float(np.mean((bands["open"] - bands["closed"])[first:last])) for first, last in vowels]
    low, high = np.quantile(openness, [0.25, 0.75]) if vowels else (0.0, 0.0)
    for (first, last), value in zip(vowels, openness, strict=True):
        labels[first:last] = "uw" if value <= low else "aa" if value >= high else "ah"
    return labels
