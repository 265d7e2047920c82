"""Examples made ahead: ``python -m training.examples --songs data --out examples --count 6000``.

Mixing, transforms and Spleeter cost as much as a large part of a step of training, and what they find in an example
does not change when another part of the truth is given to the network. So examples are stored as what everything
else can be computed from in bands: the products of all pairs of its signals, which are the stems that sound and
the vocals that Spleeter finds, 2 to 5 MB each. What a mixture of signals with masks that are constant in a band
has in common with any other is a sum of those (see `training.given`), exactly.

An example depends on nothing but the seed, its number and the songs; one that is there already is left alone, so
that a run that was stopped goes on. With ``--plain`` the examples are three stretches of each song, as they are.
"""

import argparse
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from stemsplitter.separation.architectures.bandnet import bands
from training.data import SAMPLES, Audio, Songs, Spectra, Spleeter, VocalsFinder, equalised, transformed
from training.score import STEMS

RATE: Final = 22_050
PLAIN_STARTS: Final = (0.25, 0.5, 0.75)
_TOP: Final = (
    3e4  # of what is stored in half precision, which ends at 65,504 below and keeps 87 dB above 6e-5
)

Maps = NDArray[np.float32]


@dataclass(frozen=True)
class Example:
    """Products in bands of the signals of a mixture.

    Attributes:
        stems: numbers, in `STEMS`, of the stems that sound; their sum is the mixture.
        listed: whether the song has each of the six stems, here or elsewhere, ``[6]``.
        pairs: real part of one signal times the conjugate of another, summed over each band, for all pairs of
            the stems that sound and, as the last signal, the vocals that another model found;
            ``[pairs, 2, FRAMES, BANDS]``, pairs in the order of `combinations_with_replacement`.
        flatness: logarithm of the mixture's geometric mean over its mean in each band, ``[2, FRAMES, BANDS]``.
        panning: real part of the mixture's middle times its side, over half the sum of their powers,
            ``[FRAMES, BANDS]``.
        name: of the song it is from, if it is a stretch of one.
    """

    stems: tuple[int, ...]
    listed: NDArray[np.bool_]
    pairs: Maps
    flatness: Maps
    panning: Maps
    name: str = ""

    @cached_property
    def products(self) -> Maps:
        """The pairs as a symmetric matrix ``[signals, signals, 2, FRAMES, BANDS]``."""
        count = len(self.stems) + 1
        out = np.empty((count, count, *self.pairs.shape[1:]), np.float32)
        for pair, (one, other) in zip(self.pairs, _pairs(count), strict=True):
            out[one, other] = out[other, one] = pair
        return out

    def save(self, path: Path) -> None:
        """Write it in half precision, scaled band by band; nothing is there until all is."""
        scale = np.maximum(np.abs(self.pairs).max(axis=(0, 2)), 1e-12) / _TOP
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        with part.open("wb") as file:
            np.savez(
                file,
                stems=np.array(self.stems, np.uint8),
                listed=self.listed,
                pairs=(self.pairs / scale[None, :, None]).astype(np.float16),
                scale=scale.astype(np.float32),
                flatness=self.flatness.astype(np.float16),
                panning=self.panning.astype(np.float16),
                name=self.name,
            )
        part.replace(path)


def load(path: Path) -> Example:
    """Read what `Example.save` wrote."""
    with np.load(path) as arrays:
        return Example(
            stems=tuple(int(each) for each in arrays["stems"]),
            listed=arrays["listed"],
            pairs=arrays["pairs"].astype(np.float32) * arrays["scale"][None, :, None],
            flatness=arrays["flatness"].astype(np.float32),
            panning=arrays["panning"].astype(np.float32),
            name=str(arrays["name"]),
        )


def make(
    stems: dict[str, Audio], find: VocalsFinder, random: np.random.Generator | None = None, name: str = ""
) -> Example:
    """An example from the stems ``[SAMPLES, 2]`` of a mixture, through random equalisers where ``random`` is given."""
    sounding = [stem for stem in STEMS if stem in stems and stems[stem].any()]
    spectra = transformed(np.stack([stems[stem] for stem in sounding]))
    if random is not None:
        spectra = equalised(spectra, random)
    mixture = spectra.sum(axis=0)
    signals = [*spectra, find(mixture)]
    power = mixture.real**2 + mixture.imag**2
    level = bands.summed(power) / bands.WIDTHS
    flatness = bands.summed(np.log10(power + bands.FLOOR)) / bands.WIDTHS - np.log10(level + bands.FLOOR)
    cross = bands.summed(_product(*mixture)) / bands.WIDTHS
    return Example(
        stems=tuple(STEMS.index(stem) for stem in sounding),
        listed=np.array([stem in stems for stem in STEMS]),
        pairs=np.stack([bands.summed(_product(signals[a], signals[b])) for a, b in _pairs(len(signals))]),
        flatness=flatness,
        panning=2 * cross / (level.sum(axis=0) + bands.FLOOR),
        name=name,
    )


def _pairs(count: int) -> Iterator[tuple[int, int]]:
    return combinations_with_replacement(range(count), 2)


def _product(one: Spectra, other: Spectra) -> Maps:
    """Real part of the one times the conjugate of the other."""
    return one.real * other.real + one.imag * other.imag


def songs_in(folder: Path) -> list[Path]:
    """The rendered songs in a folder, in order."""
    return sorted(each for each in folder.iterdir() if re.fullmatch(r"song_\d+", each.name))


def write_plain(folders: Sequence[Path], out: Path, find: VocalsFinder) -> None:
    """Three stretches of each song, without equalisers."""
    for folder in folders:
        song = Songs([folder])
        for number, start in enumerate(PLAIN_STARTS if len(song) else ()):
            path = out / f"{folder.name}_{number}.npz"
            if path.exists():
                continue
            stems = song.plain(0, start)
            if any(audio.any() for audio in stems.values()):
                make(stems, find, name=folder.name).save(path)


def write_mixed(folder: Path, out: Path, count: int, seed: int, find: VocalsFinder) -> None:
    """Examples up to ``count``, of the songs that are there; songs rendered meanwhile are used from the next on."""
    songs, known, asked = Songs([]), 0, 0.0
    began, made = time.monotonic(), 0
    for number in range(count):
        path = out / f"example_{number:06}.npz"
        if path.exists():
            continue
        if time.monotonic() > asked:
            folders = songs_in(folder)
            if len(folders) != known:
                songs, known = Songs(folders), len(folders)
            asked = time.monotonic() + 120
        random = np.random.default_rng((seed, number))
        make(songs.mixed(random), find, random).save(path)
        made += 1
        if made % 50 == 0:
            print(f"{path.name}: {(time.monotonic() - began) / made:.2f} s each, {known} songs", flush=True)


def write_stems(folder: Path, out: Path, find: VocalsFinder) -> None:
    """All of each song in a folder of real ones, stretch after stretch; a song is a folder of FLAC files."""
    for song in sorted(each for each in folder.iterdir() if each.is_dir()):
        stems = {}
        for path in (song / f"{stem}.flac" for stem in STEMS):
            if path.exists():
                audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
                stems[path.stem] = np.asarray(soxr.resample(audio, rate, RATE, quality="VHQ"), np.float32)
        for number in range(min(map(len, stems.values()), default=0) // SAMPLES):
            path = out / f"{song.name}_{number:02}.npz"
            if path.exists():
                continue
            cut = {stem: audio[number * SAMPLES :][:SAMPLES] for stem, audio in stems.items()}
            example = make(cut, find, name=song.name)
            if "other" in stems and "bass" not in stems:  # anything may be in it
                example = replace(example, listed=np.ones(len(STEMS), bool))
            example.save(path)


def main() -> None:
    """Read the options and write."""
    parser = argparse.ArgumentParser(
        prog="python -m training.examples", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--songs", type=Path, required=True, help="songs from training.render")
    parser.add_argument("--out", type=Path, required=True, help="folder for the examples")
    parser.add_argument("--count", type=int, default=6000, help="how many there shall be")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--real", action="store_true", help="all of real songs, to judge by; folders of FLAC files"
    )
    parser.add_argument("--plain", action="store_true", help="three stretches of each song, as they are")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.real:
        write_stems(options.songs, options.out, Spleeter())
    elif options.plain:
        write_plain(songs_in(options.songs), options.out, Spleeter())
    else:
        write_mixed(options.songs, options.out, options.count, options.seed, Spleeter())


if __name__ == "__main__":
    main()
