"""Writing of derived files."""

import dataclasses
import math
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.mixing import MakeEffect, Mixed, Part, write_mix
from stemsplitter.audio.tags import Tags
from stemsplitter.effects import Chain, Effect
from stemsplitter.splits.derived.content import ARCHIVE, MIX, NI_STEM_FILE, Content, Level
from stemsplitter.splits.stem_file import STEM_FILE, write_stem_file
from stemsplitter.tools.transformations import Transformation, pitch, speed


@dataclasses.dataclass(frozen=True)
class Rendered:
    """A written file. ``peak`` and ``gain`` are those of a mix or a stem."""

    path: Path
    peak: float | None = None
    gain: float | None = None


def render(content: Content, masters: Mapping[str, Path], peak: float, folder: Path, tags: Tags) -> Rendered:
    """Write a file to ``folder``, which is empty.

    Args:
        masters: the files of the stems.
        peak: the largest absolute sample of any master of the split. If the format has less headroom, all stems are
            multiplied by one gain, so that they keep their relative levels.
        tags: those of the song.

    Raises:
        AudioError: a master cannot be decoded.
        OutputError: the file cannot be written.
    """
    if content.kind == NI_STEM_FILE:
        write_stem_file({level.stem: masters[level.stem] for level in content.levels}, folder, tags)
        return Rendered(folder / STEM_FILE)
    fmt = content.output_format
    if content.kind == ARCHIVE:
        return Rendered(_write_archive(content, masters, peak, folder, tags))
    gain_db = 0.0 if content.kind == MIX else _common_gain_db(fmt, peak)
    if content.name:
        tags = tags.for_stem(content.name)
    path = folder / f"{content.name or 'mix'}.{fmt.extension}"
    changes = _changes(content)
    for change in changes:
        tags = change.retagged(tags)
    mixed = _write(content.levels, masters, gain_db, path, fmt, tags, _effects(changes))
    return Rendered(path, mixed.peak / 10 ** (gain_db / 20), mixed.gain * 10 ** (gain_db / 20))


def song_tags(tags: Tags, stem: str) -> Tags:
    """Return the tags of the song, derived from those of the master ``stem``."""
    title = "" if tags.title == stem else tags.title.removesuffix(f" ({stem})")
    return dataclasses.replace(tags, title=title, comment="")


def _write_archive(
    content: Content, masters: Mapping[str, Path], peak: float, folder: Path, tags: Tags
) -> Path:
    fmt, path = content.output_format, folder / "stems.zip"
    gain_db = _common_gain_db(fmt, peak)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for level in content.levels:
            file = folder / f"{level.stem}.{fmt.extension}"
            _write([level], masters, gain_db, file, fmt, tags.for_stem(level.stem))
            archive.write(file, file.name)
            file.unlink()
    return path


def _write(
    levels: "tuple[Level, ...] | list[Level]",
    masters: Mapping[str, Path],
    gain_db: float,
    path: Path,
    fmt: OutputFormat,
    tags: Tags,
    effects: "tuple[MakeEffect | None, MakeEffect | None]" = (None, None),
) -> Mixed:
    parts = [
        Part(masters[level.stem], level.gain_db + gain_db, level.pan, effects[level.stem == "drums"])
        for level in levels
    ]
    return write_mix(parts, path, fmt, tags)


def _changes(content: Content) -> list[Transformation]:
    """Return the changes of speed and pitch of a mix."""
    changes = []
    if content.speed != 1:
        changes.append(speed(content.speed, keep_pitch=True))
    if content.semitones:
        changes.append(pitch(content.semitones))
    return changes


def _effects(changes: list[Transformation]) -> "tuple[MakeEffect | None, MakeEffect | None]":
    """Return the effects of a mix, on its stems except the drums and on the drums."""
    if not changes:
        return None, None

    def make(rate: int, channels: int, drums: bool) -> Effect:
        return Chain(*(change.make(rate, channels, drums) for change in changes))

    return partial(make, drums=False), partial(make, drums=True)


def _common_gain_db(fmt: OutputFormat, peak: float) -> float:
    # the margin covers the rounding of the gain
    return 20 * math.log10(fmt.headroom / peak * (1 - 1e-6)) if peak > fmt.headroom else 0.0
