"""A bank of spoken lines by several speakers, taken apart into spectral envelopes and phones.

Speech comes from flite and festival; the envelopes are WORLD's (Morise, Yokomori and Ozawa 2016, "WORLD: a
vocoder-based high-quality speech synthesis system"; CheapTrick: Morise 2015). The speakers' licenses ask for
nothing but the notice; see the model card.
"""

import subprocess
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.instruments.libraries import read
from training.score import SAMPLE_RATE
from training.voices.lyrics import write_lines

with warnings.catch_warnings():
    # Its setup asks pkg_resources for its own version.
    warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)
    import pyworld

Segments = list[tuple[str, float]]  # phone and the second at which it ends
HOP: Final = 256
FRAMES_PER_SECOND: Final = SAMPLE_RATE / HOP
LINES: Final = 120
FEMALE: Final = frozenset({"slt", "slt_hts"})
FLITE: Final = {"awb": "awb", "rms": "rms", "slt": "slt", "kal": "kal16"}
FESTIVAL: Final = {"slt_hts": "cmu_us_slt_arctic_hts", "ked": "ked_diphone"}
SPEAKERS: Final = (*FLITE, *FESTIVAL)
VOWELS: Final = (
    "aa",
    "ae",
    "ah",
    "ao",
    "aw",
    "ax",
    "axr",
    "ay",
    "eh",
    "er",
    "ey",
    "ih",
    "iy",
    "ow",
    "oy",
    "uh",
    "uw",
)
CONSONANTS: Final = ("b", "ch", "d", "dh", "dx", "el", "em", "en", "f", "g", "hh", "hv", "jh", "k", "l", "m", "n", "nx",
                     "ng", "p", "r", "s", "sh", "t", "th", "v", "w", "y", "z", "zh")  # fmt: skip
PHONES: Final = ("pau", *VOWELS, *CONSONANTS)
HISSES: Final = frozenset({"s", "sh", "z", "zh", "ch", "jh", "f", "th", "t"})

_TOP: Final = 15_500.0
_POINTS: Final = 100
GRID: Final = 700 * np.expm1(np.linspace(0, np.log1p(_TOP / 700), _POINTS))
"""Frequencies in Hz at which the envelopes are kept, evenly spaced in mel."""


@dataclass(frozen=True)
class Speaker:
    """Analysed speech of one speaker.

    Attributes:
        envelopes: ``[frames, len(GRID)]``, dB of power; 0 dB is the mean over the line's vowels.
        voiced: ``[frames]``.
        phones: ``[frames]``, indices into `PHONES`.
        syllables: ``[syllables, 4]``, frames where the onset, the vowel and the coda start and the coda ends. In
            order: within a line, one syllable starts where the last ends.
        lines: ``[lines + 1]``, the first syllable of each line.
    """

    envelopes: NDArray[np.float16]
    voiced: NDArray[np.bool_]
    phones: NDArray[np.uint8]
    syllables: NDArray[np.int64]
    lines: NDArray[np.int64]

    def runs(self, *phones: str) -> NDArray[np.int64]:
        """Stretches in which one of the phones is held, ``[runs, 2]``, start and end in frames, the longest first."""
        inside = np.isin(self.phones, [PHONES.index(phone) for phone in phones])
        edges = np.flatnonzero(np.diff(inside, prepend=False, append=False)).reshape(-1, 2)
        return edges[np.argsort(edges[:, 0] - edges[:, 1], kind="stable")]


def is_female(speaker: str) -> bool:
    """Tell if a speaker is a woman: the names of recorded ones begin with F_ or M_."""
    return speaker in FEMALE or speaker.startswith("F_")


def load_bank(folder: Path, speakers: Sequence[str] = SPEAKERS, lines: int = LINES) -> dict[str, Speaker]:
    """The bank, from `folder`, or made and kept there (under a minute, once).

    Raises:
        FileNotFoundError: flite or festival is not installed.
        RuntimeError: festival lacks a voice.
    """

    def made(name: str) -> Speaker:
        return _analyse(name, write_lines(np.random.default_rng(2016), lines))

    return {name: kept(folder / f"{name}-{lines}.npz", partial(made, name)) for name in speakers}


def kept(path: Path, make: Callable[[], Speaker]) -> Speaker:
    """A speaker from a file, made and written there first where it is missing."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as part:
            np.savez_compressed(part, **vars(make()))
        Path(part.name).replace(path)
    with np.load(path) as arrays:
        return Speaker(**arrays)


def _analyse(name: str, lines: Sequence[str]) -> Speaker:
    with tempfile.TemporaryDirectory() as folder:
        spoken = (
            _flite(FLITE[name], lines, Path(folder))
            if name in FLITE
            else _festival(name, lines, Path(folder))
        )
        return analyse(spoken)


def analyse(spoken: Sequence[tuple[Path, Segments]]) -> Speaker:
    """A speaker from files and what is said in them."""
    parts = [_analyse_line(path, segments) for path, segments in spoken]
    offsets = np.cumsum([0, *(len(voiced) for _, voiced, _, _ in parts)])
    counts = [len(syllables) for *_, syllables in parts]
    return Speaker(
        envelopes=np.concatenate([envelopes for envelopes, _, _, _ in parts]),
        voiced=np.concatenate([voiced for _, voiced, _, _ in parts]),
        phones=np.concatenate([phones for _, _, phones, _ in parts]),
        syllables=np.concatenate(
            [part[3] + offset for part, offset in zip(parts, offsets[:-1], strict=True)]
        ),
        lines=np.cumsum([0, *counts]),
    )


def _flite(voice: str, lines: Sequence[str], folder: Path) -> list[tuple[Path, Segments]]:
    spoken = []
    for number, line in enumerate(lines):
        path = folder / f"{number}.wav"
        command = ["flite", "-voice", voice, "-psdur", "-t", line, "-o", str(path)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
        pairs = (item.rsplit(":", 1) for item in printed.split())
        spoken.append((path, [(phone, float(end)) for phone, end in pairs]))
    return spoken


def _festival(name: str, lines: Sequence[str], folder: Path) -> list[tuple[Path, Segments]]:
    script = [f"(voice_{FESTIVAL[name]})"]
    for number, line in enumerate(lines):
        stem = folder / str(number)
        script.append(f'(set! spoken (SynthText "{line}"))')
        script.append(f'(utt.save.wave spoken "{stem}.wav" (quote riff))')
        script.append(f'(utt.save.segs spoken "{stem}.segments")')
    (folder / "lines.scm").write_text("\n".join(script))
    done = subprocess.run(
        ["festival", "-b", "lines.scm"], cwd=folder, capture_output=True, text=True, timeout=300
    )
    if done.returncode or not (folder / f"{len(lines) - 1}.segments").exists():
        raise RuntimeError(
            f"festival cannot speak with {FESTIVAL[name]}; is the voice installed? {done.stderr[-200:]}"
        )
    return [
        (folder / f"{number}.wav", _read_segments(folder / f"{number}.segments"))
        for number in range(len(lines))
    ]


def _read_segments(path: Path) -> Segments:
    rows = (row.split() for row in path.read_text().splitlines())
    return [(row[2], float(row[0])) for row in rows if len(row) == 3]


def _analyse_line(path: Path, segments: Segments) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    frames, rate = read(path)
    audio = frames.mean(axis=1, dtype=np.float64)
    period = 1000 / FRAMES_PER_SECOND
    rough, times = pyworld.dio(audio, rate, f0_floor=60.0, f0_ceil=400.0, frame_period=period)
    f0 = pyworld.stonemask(audio, rough, times, rate)
    ends = np.array([end for _, end in segments])
    which = np.minimum(np.searchsorted(ends, times, side="right"), len(ends) - 1)
    phones = np.array([PHONES.index(phone) if phone in PHONES else 0 for phone, _ in segments], np.uint8)[
        which
    ]
    is_vowel = (phones >= 1) & (phones <= len(VOWELS))
    voiced = (f0 > 0) | is_vowel
    if np.any(f0 > 0):
        known = np.flatnonzero(f0 > 0)
        f0 = np.where(voiced, np.interp(np.arange(len(f0)), known, f0[known]), 0.0)
    power = pyworld.cheaptrick(audio, f0, times, rate, f0_floor=71.0)
    envelopes = _on_grid(10 * np.log10(power + 1e-12), rate, phones)
    vowels = is_vowel if is_vowel.any() else voiced
    envelopes -= 10 * np.log10(np.mean(10 ** (envelopes[vowels] / 10)))
    return np.maximum(envelopes, -90).astype(np.float16), voiced, phones, _syllables(segments, len(times))


def _on_grid(envelopes: NDArray, rate: int, phones: NDArray) -> NDArray:
    """The envelopes at `GRID`; what a low sampling rate cut off is continued, hisses nearly flat."""
    frequencies = np.linspace(0, rate / 2, envelopes.shape[1])
    gridded = np.stack([np.interp(GRID, frequencies, row) for row in envelopes])
    edge = 0.45 * rate
    if edge > _TOP:
        return gridded
    near = (0.8 * edge < GRID) & (edge >= GRID)
    octaves = np.log2(GRID[edge < GRID] / edge)
    hissing = np.isin(phones, [PHONES.index(phone) for phone in HISSES])
    fall = np.where(
        hissing[:, None], HISS_FALL * octaves + 12 * np.maximum(octaves - 0.6, 0), VOWEL_FALL * octaves
    )
    gridded[:, edge < GRID] = gridded[:, near].mean(axis=1, keepdims=True) - fall
    return gridded


HISS_FALL: Final = 4.0
VOWEL_FALL: Final = 12.0


def _syllables(segments: Segments, frames: int) -> NDArray[np.int64]:
    """One row a vowel; consonants between two vowels are shared out, the later half to the next."""
    starts = [0.0, *(end for _, end in segments[:-1])]
    bounds = [min(round(second * FRAMES_PER_SECOND), frames - 1) for second in (*starts, segments[-1][1])]
    kinds = ["V" if phone in VOWELS else "C" if phone in CONSONANTS else " " for phone, _ in segments]
    rows = []
    taken = 0
    for index in (place for place, kind in enumerate(kinds) if kind == "V"):
        onset = index
        while onset > taken and kinds[onset - 1] == "C":
            onset -= 1
        after = index + 1
        while after < len(kinds) and kinds[after] == "C":
            after += 1
        run = after - index - 1
        coda = index + 1 + (run // 2 if after < len(kinds) and kinds[after] == "V" else run)
        rows.append((bounds[onset], bounds[index], bounds[index + 1], bounds[coda]))
        taken = coda
    return np.array([row for row in rows if row[2] - row[1] >= 3], np.int64).reshape(-1, 4)
