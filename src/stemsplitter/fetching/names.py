"""File names of downloads."""

from email.message import Message
from email.utils import collapse_rfc2231_value
from urllib.parse import unquote

from stemsplitter.files.names import plain_name

# the parser takes quadratic time; an encoded name of 200 characters is much shorter
_LONGEST_HEADER = 4096


def response_name(content_disposition: str, path: bytes) -> str:
    """Return the name in a Content-Disposition header (RFC 6266), else the last segment of the path, else ``source``.

    The result is one line of at most 200 characters, without folders, control characters or surrogates.
    """
    address = unquote(path.partition(b"?")[0].decode("ascii", "replace"))
    return plain_name(_stated(content_disposition), default="") or plain_name(address, default="source")


def _stated(content_disposition: str) -> str:
    if len(content_disposition) > _LONGEST_HEADER:
        return ""
    message = Message()
    message["Content-Disposition"] = content_disposition.replace("\r", " ").replace("\n", " ")
    values = [
        value for key, value in message.get_params([], "Content-Disposition") if key.lower() == "filename"
    ]
    # filename*, which is a tuple here, takes precedence over filename
    values.sort(key=lambda value: not isinstance(value, tuple))
    try:
        return collapse_rfc2231_value(values[0]) if values else ""
    except (LookupError, ValueError):  # an unknown charset, or bytes it cannot decode
        return ""
