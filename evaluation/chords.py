"""Measure the chords of rendered songs: `python -m evaluation.chords FOLDER [--songs N]`.

FOLDER contains songs that `python -m training.render` made with this version of the composer. Their chords are known:
they are composed again from their seeds. The score is the share of time at which the triad is right, where the chord is
one with a major or minor third and a perfect fifth (the vocabulary "majmin" of MIREX Audio Chord Estimation).
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import numpy.typing as npt

from stemsplitter.analysis import Analyzer, Chord
from stemsplitter.audio.decode import open_source
from training.composer import song as composer
from training.composer.theory import Chord as Written

Samples = npt.NDArray[np.float32]
Reference = Sequence[tuple[float, float, str]]

_SPLITS = ("training", "held-out")  # as training.instruments.catalogue, whose import needs SciPy
_NAMES = {
    4: ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"),
    3: ("Cm", "C#m", "Dm", "Ebm", "Em", "Fm", "F#m", "Gm", "G#m", "Am", "Bbm", "Bm"),
}


def triad(chord: Written) -> str | None:
    """Return the name of a chord's triad; None if it has no third or no perfect fifth."""
    if 7 not in chord.intervals:
        return None
    third = next((third for third in (3, 4) if third in chord.intervals), None)
    return None if third is None else _NAMES[third][chord.root % 12]


def reference(folder: Path) -> Reference:
    """Compose a rendered song again, and return start, end and name of its chords that have a triad, in seconds."""
    about = json.loads((folder / "song.json").read_text())
    sheets, clocks = [], []

    def kept(function: object, kept: list[object]) -> mock.MagicMock:
        def call(*arguments: object) -> object:
            kept.append(function(*arguments))  # type: ignore[operator]
            return kept[-1]

        return mock.MagicMock(side_effect=call)

    with (
        mock.patch.object(composer, "_sheet", kept(composer._sheet, sheets)),
        mock.patch.object(composer, "clock", kept(composer.clock, clocks)),
    ):
        song = composer.compose(np.random.default_rng((*about["seed"], _SPLITS.index(about["split"]))))
    if abs(song.seconds - about["seconds"]) > 1e-6:
        raise SystemExit(f"{folder} was rendered by another version of the composer: render it again.")
    (sheet,), (clock,) = sheets, clocks
    spans = [span for bar in sheet.bars for span in bar.spans]
    times = clock.seconds(np.array([[span.start, span.end] for span in spans]))
    return [
        (float(start), float(end), name)
        for span, (start, end) in zip(spans, times, strict=True)
        if (name := triad(span.chord)) is not None
    ]


def right_seconds(found: Sequence[Chord], known: Reference) -> float:
    """Return the time at which the chords found are those known."""
    return sum(
        max(0.0, min(chord.end, end) - max(chord.start, start))
        for start, end, name in known
        for chord in found
        if chord.name == name
    )


def estimate(stems: Mapping[str, Samples], rate: int) -> tuple[Sequence[Chord], Sequence[Chord]]:
    """Return the chords found with the stems, and in the mixture alone."""
    mixture = np.sum(list(stems.values()), axis=0)
    harmony = np.sum([stem for name, stem in stems.items() if name not in ("drums", "vocals")], axis=0)
    found = []
    for options in ({"drums": stems.get("drums"), "harmony": harmony}, {}):
        given = {name: samples for name, samples in options.items() if samples is not None}
        analyzer = Analyzer(rate, has_drums="drums" in given, has_harmony="harmony" in given)
        analyzer.process(mixture, **given)
        found.append(analyzer.finish().chords)
    return found[0], found[1]


def main() -> None:
    """Print the scores with stems and without, over all songs."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.chords", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--songs", type=int, default=100, help="number of songs")
    parser.add_argument("--skip", type=int, default=0, help="number of songs to leave out first")
    options = parser.parse_args()
    total, right = 0.0, np.zeros(2)
    folders = sorted(path.parent for path in options.folder.glob("*/song.json"))
    folders = folders[options.skip : options.skip + options.songs]
    for folder in folders:
        stems = {path.stem: _read(path) for path in sorted(folder.glob("*.flac"))}
        known = reference(folder)
        rate = next(iter(stems.values()))[1]
        length = min(samples.shape[1] for samples, _ in stems.values())
        found = estimate({name: samples[:, :length] for name, (samples, _) in stems.items()}, rate)
        total += sum(end - start for start, end, _ in known)
        right += [right_seconds(chords, known) for chords in found]
    with_stems, alone = right / total
    print(f"{len(folders)} songs, {total:.0f} s: with stems {with_stems:.3f}, mixture alone {alone:.3f}")


def _read(path: Path) -> tuple[Samples, int]:
    with open_source(path) as song:
        return np.concatenate(list(song.blocks()), axis=1), song.info.sample_rate


if __name__ == "__main__":
    main()
