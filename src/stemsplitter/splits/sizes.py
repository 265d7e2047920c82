"""Upper bounds of the files of a split, reserved before they are written."""

from collections.abc import Collection

from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.masters import FLOAT_FORMAT
from stemsplitter.audio.peaks import POINTS_PER_SECOND
from stemsplitter.audio.pieces import MAX_COVER
from stemsplitter.library.outputs import limited_rate

MAX_CHANNELS = 2
# a decoder of another process may find some more samples
SLACK_SECONDS = 1
# base64 of two bytes for each point
_PEAK_BYTES_PER_SECOND = POINTS_PER_SECOND * 2 * 4 / 3 * 1.1
_PEAKS_HEADER = 1024


def stem_bytes(fmt: OutputFormat, sample_rate: int, channels: int, seconds: float, source_bytes: int) -> int:
    """Return the largest size of a stem or a mix of a song. ``source_bytes`` bounds the cover that it copies."""
    rate = fmt.supported_rate(sample_rate)
    size = fmt.max_bytes(rate, min(channels, MAX_CHANNELS), seconds + SLACK_SECONDS)
    return size + min(source_bytes, MAX_COVER)


def stems_bytes(
    stems: Collection[str],
    format: str,
    sample_rate: int,
    channels: int,
    seconds: float,
    source_bytes: int,
    max_sample_rate: int,
) -> int:
    """Return the largest size of the stems of a song, of their masters and of the peaks of their waveforms."""
    rate = limited_rate(sample_rate, max_sample_rate)
    fmt = OutputFormat.parse(format)
    each = stem_bytes(FLOAT_FORMAT, rate, channels, seconds, source_bytes)
    if fmt != FLOAT_FORMAT:
        each += stem_bytes(fmt, rate, channels, seconds, source_bytes)
    peaks = (seconds + SLACK_SECONDS) * _PEAK_BYTES_PER_SECOND
    return round(len(stems) * (each + peaks)) + _PEAKS_HEADER
