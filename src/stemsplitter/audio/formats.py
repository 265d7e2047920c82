"""The formats stems can be written in."""

import math
import re
from dataclasses import dataclass

from stemsplitter.errors import RequestError

_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_AAC_RATES = (*_MP3_RATES, 64000, 88200, 96000)
_LOSSY_RATES = {"mp3": _MP3_RATES, "m4a": _AAC_RATES}
# ISO/IEC 11172-3 (MPEG-1 layer III)
_MP3_BITRATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_AAC_BITRATES = range(32, 513)
_MIME = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
}
_PCM = {
    "wav": ("wav", 24, False),
    "wav16": ("wav", 16, False),
    "wav24": ("wav", 24, False),
    "wav32f": ("wav", 32, True),
    "flac": ("flac", 24, False),
    "flac16": ("flac", 16, False),
    "flac24": ("flac", 24, False),
}
_DEFAULT_BITRATE = {"mp3": 320, "m4a": 256}

KNOWN = "wav (wav16, wav24, wav32f), flac (flac16, flac24), mp3 (mp3:192, …), ogg, m4a (m4a:192, …)"


@dataclass(frozen=True)
class OutputFormat:
    """A container with its sample width or bit rate. Make one with :meth:`parse`.

    ``bits`` is the sample width of wav and flac, else 0; ``bitrate`` is in kbit/s for mp3 and m4a, else 0;
    ogg is Vorbis at quality 6 (nominally 192 kbit/s for stereo at 44.1 kHz).
    """

    container: str
    bits: int = 0
    is_float: bool = False
    bitrate: int = 0

    @classmethod
    def parse(cls, text: str) -> "OutputFormat":
        """Read a format's name: ``wav``, ``wav16``, ``flac24``, ``mp3``, ``mp3:192``, ``ogg``, ``m4a:128``…

        Raises :class:`RequestError` for anything else.
        """
        name = text.strip().lower()
        if name in _PCM:
            return cls(*_PCM[name])
        if name == "ogg":
            return cls("ogg")
        match = re.fullmatch(r"(mp3|m4a)(?::([0-9]{1,4})k?)?", name)
        if match is None:
            raise RequestError(f"There is no output format {text[:40]!r}: choose one of {KNOWN}.")
        container = match[1]
        bitrate = int(match[2]) if match[2] else _DEFAULT_BITRATE[container]
        if container == "mp3" and bitrate not in _MP3_BITRATES:
            choices = ", ".join(map(str, _MP3_BITRATES))
            raise RequestError(f"mp3 has no bit rate of {bitrate} kbit/s: choose one of {choices}.")
        if container == "m4a" and bitrate not in _AAC_BITRATES:
            raise RequestError(f"m4a has no bit rate of {bitrate} kbit/s: choose one from 32 to 512.")
        return cls(container, bitrate=bitrate)

    def __str__(self) -> str:
        if self.bits:
            return f"{self.container}{self.bits}{'f' if self.is_float else ''}"
        return f"{self.container}:{self.bitrate}" if self.bitrate else self.container

    @property
    def extension(self) -> str:
        """The file name's ending, without a dot."""
        return self.container

    @property
    def mime(self) -> str:
        """The media type."""
        return _MIME[self.container]

    @property
    def is_integer(self) -> bool:
        """Whether samples are stored as integers, which clip at full scale."""
        return self.bits > 0 and not self.is_float

    @property
    def headroom(self) -> float:
        """The largest absolute sample that is kept, 1 being full scale.

        Float wav has no end. mp3 and Vorbis keep far more than full scale (measured to 64 times; at 10 000 times
        nothing sensible is left), AAC loses quality quickly above it (measured from 1.1 times on).
        """
        if self.is_float:
            return math.inf
        return 32.0 if self.container in ("mp3", "ogg") else 1.0

    @property
    def is_lossy(self) -> bool:
        """Whether decoding gives back something else than was written."""
        return self.bits == 0

    def supported_rate(self, rate: int) -> int:
        """The sample rate in Hz to write a ``rate`` Hz signal at: ``rate`` itself wherever the format has it.

        mp3 and m4a have a fixed list. Another rate goes to the next higher one, so that nothing is lost;
        above the list, to the highest one that divides it (88.2 kHz to 44.1, 96 to 48), else to the top.
        """
        rates = _LOSSY_RATES.get(self.container)
        if rates is None or rate in rates:
            return rate
        if rate < rates[-1]:
            return next(legal for legal in rates if legal > rate)
        return next((legal for legal in reversed(rates) if rate % legal == 0), rates[-1])
