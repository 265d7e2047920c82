"""Native Instruments Stem files of splits."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.mixing import Part, mixed, resampled
from stemsplitter.audio.nistem import EXTENSION, STEMS
from stemsplitter.audio.tags import Tags
from stemsplitter.library.outputs import StemFile, output_rate
from stemsplitter.separation.layouts import LAYOUTS

Samples = npt.NDArray[np.float32]

STEM_FILE = f"stems.{EXTENSION}"


def can_have_stem_file(layout: str, stems: Sequence[str]) -> bool:
    """Return true if ``stems`` are all stems of ``layout`` and it maps to four parts."""
    return layout in ("4s", "6s") and set(LAYOUTS[layout]) <= set(stems)


def write_stem_file(stems: Mapping[str, Path], folder: Path, tags: Tags) -> None:
    """Write ``stems``, by name, to :data:`STEM_FILE` in ``folder``; guitar and piano are mixed into other.

    Raises:
        AudioError: a stem cannot be decoded.
        OutputError: the file cannot be written.
    """
    groups = {name: [stems[name]] for name in STEMS}
    groups["other"] += [stems[name] for name in ("guitar", "piano") if name in stems]
    with ExitStack() as stack:
        opened = {
            name: [stack.enter_context(open_source(path)) for path in paths] for name, paths in groups.items()
        }
        info = opened[STEMS[0]][0].info
        rate = output_rate(EXTENSION, info.sample_rate)
        source = dataclasses.replace(info, tags=tags)
        tracks = [
            resampled(
                mixed([Part(path) for path in groups[name]], opened[name], info.channels),
                info.sample_rate,
                rate,
                info.channels,
            )
            for name in STEMS
        ]
        output = stack.enter_context(StemFile(folder / STEM_FILE, STEMS, rate, source))
        for blocks in _aligned(tracks, info.channels):
            output.write(dict(zip(STEMS, blocks, strict=True)))
        output.commit()


def _aligned(tracks: Sequence[Iterator[Samples]], channels: int) -> Iterator[list[Samples]]:
    """Yield blocks of all tracks together; a track that ends early (a damaged file) is padded with silence."""
    nothing = np.zeros((channels, 0), np.float32)
    for blocks in itertools.zip_longest(*tracks, fillvalue=nothing):
        longest = max(block.shape[1] for block in blocks)
        yield [np.pad(block, ((0, 0), (0, longest - block.shape[1]))) for block in blocks]
