"""Contents of derived files: which masters, at which levels, in which format."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from stemsplitter.audio.formats import STEM_FILE, OutputFormat, known_names
from stemsplitter.effects.speed import FASTEST, SLOWEST
from stemsplitter.effects.stretch import MOST_SEMITONES
from stemsplitter.errors import RequestError
from stemsplitter.separation.layouts import LAYOUTS, left_out
from stemsplitter.service_errors import NotFound, ValidationFailed
from stemsplitter.splits.formats import choose_format
from stemsplitter.splits.models import Split
from stemsplitter.splits.stem_file import can_have_stem_file

STEM, MIX, ARCHIVE, NI_STEM_FILE = "stem", "mix", "archive", "stem_file"
PREVIEWS, MEASUREMENT = "previews", "measurement"
BACKGROUND = (PREVIEWS, MEASUREMENT)
"""Kinds that follow every split and that no request names."""

LOWEST_DB, HIGHEST_DB = -60.0, 12.0


@dataclass(frozen=True)
class Fader:
    """Settings of a stem in a mix: gain in dB, -60 to 12; pan from -1 (left) to 1 (right).

    If any stem is solo, only solo stems are audible, muted or not.
    """

    gain_db: float = 0.0
    pan: float = 0.0
    muted: bool = False
    solo: bool = False


@dataclass(frozen=True)
class Level:
    """A master in a file: gain in dB and pan."""

    stem: str
    gain_db: float = 0.0
    pan: float = 0.0


@dataclass(frozen=True)
class Content:
    """The content of a derived file.

    ``levels`` are those of the masters that are added up, or of the stems in an archive, a Stem file or previews, or
    that are measured.
    ``format`` is an :class:`OutputFormat`, empty for a Stem file, and the codec of previews. ``name`` is the stem's.
    ``speed`` and ``semitones`` change the speed and the pitch of a mix, each without the other.
    """

    kind: str
    levels: tuple[Level, ...]
    format: str = ""
    name: str = ""
    speed: float = 1.0
    semitones: float = 0.0

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Self:
        """Return the content of a row."""
        levels = tuple(Level(**level) for level in stored["levels"])
        return cls(**{**stored, "levels": levels})

    def dump(self) -> dict[str, Any]:
        """Return the content as JSON."""
        return asdict(self) | {"levels": [asdict(level) for level in self.levels]}

    @property
    def digest(self) -> str:
        """The SHA-256 of the content, which identifies the file among those of its split."""
        return hashlib.sha256(json.dumps(self.dump(), sort_keys=True).encode()).hexdigest()

    @property
    def output_format(self) -> OutputFormat:
        """The format of the audio."""
        return OutputFormat.parse(self.format)

    @property
    def mime(self) -> str:
        """The media type of the file."""
        if self.kind == ARCHIVE:
            return "application/zip"
        return "audio/mp4" if self.kind == NI_STEM_FILE else self.output_format.mime

    def filename(self, split: Split) -> str:
        """Return the file name for the client: that of the song, with the stem's."""
        song = Path(split.filename).stem
        if self.kind == ARCHIVE:
            return f"{song}.zip"
        if self.kind == NI_STEM_FILE:
            return f"{song}.{STEM_FILE}"
        if self.kind == PREVIEWS:
            return f"{song} (previews)"
        changes = [f"{self.speed:g}x"] * (self.speed != 1) + [f"{self.semitones:+g}"] * (self.semitones != 0)
        return f"{song} ({', '.join([self.name or 'mix', *changes])}).{self.output_format.extension}"


def requested_format(
    split: Split,
    name: str | None,
    bit_depth: str | int | None = None,
    bitrate: int | None = None,
) -> OutputFormat:
    """Return the format of a request; by default that of the split. Raises ValidationFailed."""
    if name is not None:
        return choose_format(name, bit_depth, bitrate)
    return choose_format(split.output_format, split.bit_depth if bit_depth is None else bit_depth, bitrate)


def parse_format(name: str) -> OutputFormat:
    """Return the format ``name``, such as ``wav16`` or ``mp3:192``. Raises ValidationFailed."""
    try:
        return OutputFormat.parse(name)
    except RequestError as error:
        raise ValidationFailed(
            f"A mix can be {known_names()}, not {name[:40]}: choose one.", param="format"
        ) from error


def stem(split: Split, name: str, fmt: OutputFormat) -> Content:
    """Return a stem of the split, or a complement of one.

    Raises:
        NotFound: the split has no stem of that name.
    """
    return Content(STEM, tuple(map(Level, stems_of(split, name))), str(fmt), name)


def archive(split: Split, fmt: OutputFormat) -> Content:
    """Return the archive of all stems."""
    return Content(ARCHIVE, tuple(map(Level, split.masters or {})), str(fmt))


def stem_file(split: Split) -> Content:
    """Return the Native Instruments Stem file. Raises ValidationFailed if stems are missing."""
    if not can_have_stem_file(split.stem_model, list(split.masters or {})):
        raise ValidationFailed(
            "A .stem.mp4 needs all stems of 4s or 6s: split the song with one of these.", param="format"
        )
    return Content(NI_STEM_FILE, tuple(map(Level, LAYOUTS[split.stem_model])))


def previews(split: Split, codec: str) -> Content:
    """Return the previews of all stems."""
    return Content(PREVIEWS, tuple(map(Level, split.masters or {})), codec)


def measurement(split: Split) -> Content:
    """Return the measurement of all stems, which makes no file: it sets the split's levels and analysis."""
    return Content(MEASUREMENT, tuple(map(Level, split.masters or {})))


def mix(
    split: Split, faders: Mapping[str, Fader], fmt: OutputFormat, speed: float = 1.0, semitones: float = 0.0
) -> Content:
    """Return a mix of the stems that are audible; those without a fader are unchanged.

    Raises:
        ValidationFailed: a stem does not exist, a setting is out of range, or every stem is muted.
    """
    if not SLOWEST <= speed <= FASTEST or not abs(semitones) <= MOST_SEMITONES:
        raise ValidationFailed(
            f"The speed must be {SLOWEST:g} to {FASTEST:g} times that of the song, and the pitch "
            f"-{MOST_SEMITONES:g} to {MOST_SEMITONES:g} semitones: correct them.",
            param="speed",
        )
    names = split.masters or {}
    for name, fader in faders.items():
        if name not in names:
            raise ValidationFailed(f"The split has no stem {name}: it has {', '.join(names)}.", param=name)
        if not LOWEST_DB <= fader.gain_db <= HIGHEST_DB or not -1 <= fader.pan <= 1:
            raise ValidationFailed(
                f"Gain must be {LOWEST_DB:g} to {HIGHEST_DB:g} dB and pan -1 to 1: correct those of {name}.",
                param=name,
            )
    settings = {name: faders.get(name, Fader()) for name in names}
    any_solo = any(fader.solo for fader in settings.values())
    levels = tuple(
        # -0.0 is 0.0, so that both are one file
        Level(name, fader.gain_db + 0.0, fader.pan + 0.0)
        for name, fader in settings.items()
        if (fader.solo if any_solo else not fader.muted)
    )
    if not levels:
        raise ValidationFailed("Every stem is muted: unmute one.", param="gains")
    return Content(MIX, levels, str(fmt), speed=speed, semitones=semitones + 0.0)


def faders(split: Split, gains: Mapping[str, float | None], pan: Mapping[str, float]) -> dict[str, Fader]:
    """Return the settings of a request: gains in dB, null for a stem that is left out, and pan positions.

    A complement stands for its stems. Raises ValidationFailed if a stem is named twice or does not exist.
    """
    found: dict[str, Fader] = {}
    for name, gain in _expanded(split, gains, "gains").items():
        found[name] = Fader(0.0 if gain is None else gain, muted=gain is None)
    for name, position in _expanded(split, pan, "pan").items():
        fader = found.get(name, Fader())
        found[name] = Fader(fader.gain_db, position, fader.muted)
    return found


def stems_of(split: Split, name: str) -> Sequence[str]:
    """Return the masters that add up to a stem or a complement.

    Raises:
        NotFound: the split has no stem of that name.
    """
    masters = split.masters or {}
    if name in masters:
        return [name]
    layout, without = LAYOUTS[split.stem_model], left_out(name)
    if without not in layout or not set(layout) <= set(masters):
        raise NotFound(f"The split has no stem {name[:40]}: it has {', '.join(masters)}.")
    return [each for each in layout if each != without]


def _expanded(split: Split, named: Mapping[str, Any], param: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in named.items():
        try:
            stems = stems_of(split, name)
        except NotFound as error:
            raise ValidationFailed(str(error), param=param) from error
        for each in stems:
            if each in found:
                raise ValidationFailed(f"{each} is named twice: name each stem once.", param=param)
            found[each] = value
    return found
