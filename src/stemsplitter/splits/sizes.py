"""Upper bounds of the files of a split, reserved before they are written."""

from collections.abc import Collection

from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.masters import FLOAT_FORMAT
from stemsplitter.audio.peaks import OVERVIEW_POINTS, POINTS_PER_SECOND
from stemsplitter.audio.pieces import MAX_COVER
from stemsplitter.library.outputs import limited_rate

MAX_CHANNELS = 2
# a decoder of another process may find some more samples
SLACK_SECONDS = 1
# base64 of two bytes for each point
_PEAK_BYTES_PER_SECOND = POINTS_PER_SECOND * 2 * 4 / 3 * 1.1
_PEAKS_HEADER = 1024
_OVERVIEW_BYTES = round(OVERVIEW_POINTS * 2 * 4 / 3 * 1.1)  # of a stem
# measured: 98 kbit/s for noise, up to 194 for clicks
_PREVIEW_BITS = 256_000
_PREVIEW_BYTES = 8192  # of a stem: header and index


def stem_bytes(fmt: OutputFormat, sample_rate: int, channels: int, seconds: float, source_bytes: int) -> int:
    """Return the largest size of a stem or a mix of a song. ``source_bytes`` bounds the cover that it copies."""
    rate = fmt.supported_rate(sample_rate)
    size = fmt.max_bytes(rate, min(channels, MAX_CHANNELS), seconds + SLACK_SECONDS)
    return size + min(source_bytes, MAX_COVER)


def previews_bytes(stems: int, seconds: float) -> int:
    """Return the largest size of the previews of a song in a codec."""
    return stems * (round((seconds + SLACK_SECONDS) * _PREVIEW_BITS / 8) + _PREVIEW_BYTES)


def stems_bytes(
    stems: Collection[str],
    format: str,
    sample_rate: int,
    channels: int,
    seconds: float,
    source_bytes: int,
    max_sample_rate: int,
) -> int:
    """Return the largest size of the stems of a song, of their masters, of the peaks of their waveforms and of their
    previews."""
    rate = limited_rate(sample_rate, max_sample_rate)
    fmt = OutputFormat.parse(format)
    each = stem_bytes(FLOAT_FORMAT, rate, channels, seconds, source_bytes)
    if fmt != FLOAT_FORMAT:
        each += stem_bytes(fmt, rate, channels, seconds, source_bytes)
    peaks = (seconds + SLACK_SECONDS) * _PEAK_BYTES_PER_SECOND
    files = round(len(stems) * (each + peaks + _OVERVIEW_BYTES)) + 2 * _PEAKS_HEADER
    return files + previews_bytes(len(stems), seconds)
