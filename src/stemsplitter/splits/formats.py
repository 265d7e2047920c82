"""Output formats of splits and of the files made from them."""

from stemsplitter.audio.formats import OutputFormat
from stemsplitter.errors import RequestError
from stemsplitter.service_errors import ValidationFailed
from stemsplitter.splits.models import Split


def choose_format(
    name: str,
    bit_depth: str | int | None = None,
    bitrate: int | None = None,
    *,
    param: str = "format",
) -> OutputFormat:
    """Return the format ``name``; None means the default. ``param`` is the name's field in the request.

    Raises:
        ValidationFailed: the format is unknown, or does not have this bit depth or bit rate.
    """
    try:
        OutputFormat.choose(name)
        param = "bitDepth"
        OutputFormat.choose(name, bit_depth)
        param = "bitrate"
        return OutputFormat.choose(name, bit_depth, bitrate)
    except RequestError as error:
        raise ValidationFailed(str(error), param=param) from error


def output_format(split: Split) -> str:
    """Return the format of a split in the notation of :class:`OutputFormat`."""
    return str(OutputFormat.choose(split.output_format, split.bit_depth))
