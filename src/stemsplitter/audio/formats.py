"""Output formats: :data:`FORMATS` is the only registry of them."""

import math
import pkgutil
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from stemsplitter.errors import RequestError

if TYPE_CHECKING:
    from stemsplitter.audio.encoders import OpenEncoder

STEM_FILE = "stem.mp4"
"""Extension of a Native Instruments Stem file, which contains all stems."""

_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_AAC_RATES = (*_MP3_RATES, 64000, 88200, 96000)
# Opus works at 48 kHz; the other rates of RFC 6716 are its internal bandwidths.
_OPUS_RATES = (48000,)
# ISO/IEC 11172-3 (MPEG-1 layer III)
_MP3_BITRATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_NAME = re.compile(r"([a-z0-9]+?)(?:(16|24|32f)|:([0-9]{1,4})k?)?")


@dataclass(frozen=True)
class Format:
    """A registered output format.

    ``label`` is its display name. ``encoder`` names an :class:`~stemsplitter.audio.encoders.OpenEncoder` as
    ``module:function``, imported on first use. ``depths`` are bit depths, the default first; ``bitrates`` are in
    kbit/s, as numbers or a range. ``rates`` are sample rates in Hz, ascending; empty means any. ``headroom`` is the
    largest absolute sample that survives encoding, 1 being full scale. ``suffix`` is the file name extension if that is
    not ``name``.
    """

    name: str
    label: str
    media_type: str
    encoder: str
    is_lossless: bool
    depths: tuple[str, ...] = ()
    bitrates: Sequence[int] = ()
    default_bitrate: int = 0
    rates: tuple[int, ...] = ()
    headroom: float = 1.0
    suffix: str = ""

    @property
    def extension(self) -> str:
        """The file name extension, without a dot."""
        return self.suffix or self.name

    @property
    def names(self) -> str:
        """The names that :meth:`OutputFormat.parse` accepts: ``wav (wav16, wav24, wav32f)``."""
        if self.depths:
            return f"{self.name} ({', '.join(self.name + depth for depth in sorted(self.depths))})"
        return f"{self.name} ({self.name}:192, …)" if self.bitrates else self.name


# MP3, Vorbis and Opus keep samples far above full scale (measured up to 64 times; at 10,000 times the signal is lost).
# AAC loses quality quickly above it (measured from 1.1 times on).
_LOUD = 32.0
# Vorbis needs up to 5.1 bits for a sample of noise at full scale; flac up to 4 % more bits than the samples have
_VORBIS_BITS, _CONTAINER = 6, 1.06
_HEADER_BYTES = 64 << 10
# The API lists formats in this order.
FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format(
            name="mp3",
            label="MP3",
            media_type="audio/mpeg",
            encoder="stemsplitter.audio.encoders:open_mp3",
            is_lossless=False,
            bitrates=_MP3_BITRATES,
            default_bitrate=320,
            rates=_MP3_RATES,
            headroom=_LOUD,
        ),
        Format(
            name="wav",
            label="WAV",
            media_type="audio/wav",
            encoder="stemsplitter.audio.encoders:open_wav",
            is_lossless=True,
            depths=("24", "16", "32f"),
        ),
        Format(
            name="flac",
            label="FLAC",
            media_type="audio/flac",
            encoder="stemsplitter.audio.encoders:open_flac",
            is_lossless=True,
            depths=("24", "16"),
        ),
        Format(
            name="ogg",
            label="Ogg Vorbis",
            media_type="audio/ogg",
            encoder="stemsplitter.audio.encoders:open_vorbis",
            is_lossless=False,
            headroom=_LOUD,
        ),
        Format(
            name="m4a",
            label="M4A (AAC)",
            media_type="audio/mp4",
            encoder="stemsplitter.audio.encoders:open_m4a",
            is_lossless=False,
            bitrates=range(32, 513),
            default_bitrate=256,
            rates=_AAC_RATES,
        ),
        Format(
            name="opus",
            label="Opus",
            media_type="audio/ogg",
            encoder="stemsplitter.audio.encoders:open_opus",
            is_lossless=False,
            bitrates=range(32, 257),
            default_bitrate=160,
            rates=_OPUS_RATES,
            headroom=_LOUD,
        ),
        Format(
            name="aiff",
            label="AIFF",
            media_type="audio/aiff",
            encoder="stemsplitter.audio.encoders:open_aiff",
            is_lossless=True,
            depths=("24", "16"),
        ),
        Format(
            name="alac",
            label="Apple Lossless",
            media_type="audio/mp4",
            encoder="stemsplitter.audio.encoders:open_alac",
            is_lossless=True,
            depths=("24", "16"),
            suffix="m4a",
        ),
    )
}


def known_names() -> str:
    """The accepted names of all formats, for messages: ``mp3 (mp3:192, …), wav (wav16, …), …``."""
    return ", ".join(entry.names for entry in FORMATS.values())


def media_type(extension: str) -> str:
    """Return the media type of the files of a format by their extension, without a dot. Raises KeyError."""
    return {entry.extension: entry.media_type for entry in FORMATS.values()}[extension]


def bit_depths() -> tuple[str, ...]:
    """The bit depths that at least one format has: ``16``, ``24``, ``32f``."""
    return tuple(sorted({depth for entry in FORMATS.values() for depth in entry.depths}))


@dataclass(frozen=True)
class OutputFormat:
    """A registered format with a bit depth or a bit rate. Create one with :meth:`parse`.

    ``depth`` is the bit depth (``32f`` is float) of a format that has several, else empty; ``bitrate`` is in kbit/s for
    a format that has several, else 0.
    """

    container: str
    depth: str = ""
    bitrate: int = 0

    @classmethod
    def parse(cls, text: str) -> "OutputFormat":
        """Read a format's name: ``wav``, ``wav16``, ``flac24``, ``mp3``, ``mp3:192``, ``ogg``, ``m4a:128``…

        Raises :class:`RequestError` for anything else.
        """
        name = text.strip().lower()
        if name in FORMATS:
            return cls.choose(name)
        match = _NAME.fullmatch(name)
        found = FORMATS.get(match[1]) if match else None
        if match is None or found is None or (match[2] and match[2] not in found.depths):
            raise _unknown(text)
        if match[2]:
            return cls.choose(found.name, match[2])
        if not found.bitrates:
            raise _unknown(text)
        return cls.choose(found.name, bitrate=int(match[3]))

    @classmethod
    def choose(cls, name: str, depth: str | int | None = None, bitrate: int | None = None) -> "OutputFormat":
        """Return the format ``name`` with a bit depth (16, 24, ``32f``) or a bit rate in kbit/s; None is the default.

        Raises:
            RequestError: the format is unknown, or does not have this bit depth or bit rate.
        """
        entry = FORMATS.get(name)
        if entry is None:
            raise _unknown(name)
        if depth is not None and str(depth) not in entry.depths:
            available = f"choose {_alternatives(sorted(entry.depths))}" if entry.depths else "leave it out"
            raise RequestError(f"{name} has no bit depth of {str(depth)[:10]}: {available}.")
        if bitrate is not None and not entry.bitrates:
            raise RequestError(f"{name} has no bit rate to choose: leave it out.")
        if bitrate is not None and bitrate not in entry.bitrates:
            raise RequestError(
                f"{name} has no bit rate of {bitrate} kbit/s: choose one {_listed(entry.bitrates)}."
            )
        return cls(name, str(depth or (*entry.depths, "")[0]), bitrate or entry.default_bitrate)

    def __str__(self) -> str:
        return f"{self.container}:{self.bitrate}" if self.bitrate else f"{self.container}{self.depth}"

    @property
    def choice(self) -> str:
        """The name of the format at its default bit rate: ``wav24``, ``mp3``."""
        return f"{self.container}{self.depth}"

    @property
    def entry(self) -> Format:
        """The registered format."""
        return FORMATS[self.container]

    @property
    def label(self) -> str:
        """The display name: ``WAV, 24-bit``, ``MP3, 320 kbit/s``."""
        if self.bitrate:
            return f"{self.entry.label}, {self.bitrate} kbit/s"
        if self.is_float:
            return f"{self.entry.label}, {self.bits}-bit float"
        return f"{self.entry.label}, {self.bits}-bit" if self.bits else self.entry.label

    @property
    def extension(self) -> str:
        """The file name extension, without a dot."""
        return self.entry.extension

    @property
    def mime(self) -> str:
        """The media type."""
        return self.entry.media_type

    @property
    def bits(self) -> int:
        """Bits of a sample, or 0 for a format without bit depths."""
        return int(self.depth.rstrip("f") or 0)

    @property
    def is_float(self) -> bool:
        """True if samples are stored as floating-point numbers."""
        return self.depth.endswith("f")

    @property
    def is_integer(self) -> bool:
        """True if samples are stored as integers, which clip at full scale."""
        return self.bits > 0 and not self.is_float

    @property
    def headroom(self) -> float:
        """The largest absolute sample that survives encoding, 1 being full scale; infinite for float."""
        return math.inf if self.is_float else self.entry.headroom

    def open_encoder(self) -> "OpenEncoder":
        """The function that opens this format's encoder."""
        return cast("OpenEncoder", pkgutil.resolve_name(self.entry.encoder))

    def max_bytes(self, rate: int, channels: int, seconds: float) -> int:
        """The largest size of a file, without a cover: measured on noise, with room to spare."""
        bits_per_second = self.bitrate * 1000 or rate * channels * (self.bits or _VORBIS_BITS)
        return round(bits_per_second / 8 * seconds * _CONTAINER) + _HEADER_BYTES

    def supported_rate(self, rate: int) -> int:
        """The sample rate in Hz to write a ``rate`` Hz signal at: ``rate`` itself if the format supports it.

        An unsupported rate is converted to the next higher one, so that nothing is lost. A rate above the highest is
        converted to the highest one that divides it (88.2 kHz to 44.1, 96 to 48), else to the highest.
        """
        rates = self.entry.rates
        if not rates or rate in rates:
            return rate
        if rate < rates[-1]:
            return next(legal for legal in rates if legal > rate)
        return next((legal for legal in reversed(rates) if rate % legal == 0), rates[-1])


def variants() -> Iterator[OutputFormat]:
    """Yield every format at every bit depth, the default first, and at its default bit rate."""
    for entry in FORMATS.values():
        for depth in entry.depths or ("",):
            yield OutputFormat(entry.name, depth, entry.default_bitrate)


def _unknown(text: str) -> RequestError:
    return RequestError(f"Unknown output format {text[:40]!r}: choose one of {known_names()}.")


def _alternatives(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]


def _listed(bitrates: Sequence[int]) -> str:
    if isinstance(bitrates, range):
        return f"from {bitrates[0]} to {bitrates[-1]}"
    return f"of {', '.join(map(str, bitrates))}"
