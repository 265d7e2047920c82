"""The file name that a response gives its body."""

from email.message import Message
from email.utils import collapse_rfc2231_value
from urllib.parse import unquote

from stemsplitter.files.names import plain_name

# the parser's time grows with the square of what it reads; a name of 200 characters, encoded, is far below
_LONGEST_HEADER = 4096


def response_name(content_disposition: str, path: bytes) -> str:
    """The name in a Content-Disposition header (RFC 6266), else the last part of the URL's path, else ``source``.

    One line without folders, control characters or surrogates, of at most 200 characters.
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
    # filename*, which can be any language, comes as a tuple and goes before filename
    values.sort(key=lambda value: not isinstance(value, tuple))
    try:
        return collapse_rfc2231_value(values[0]) if values else ""
    except (LookupError, ValueError):  # a charset that is none, or that does not decode what is there
        return ""
