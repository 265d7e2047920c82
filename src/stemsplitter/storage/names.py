"""File names in HTTP headers."""

from urllib.parse import quote

from stemsplitter.files.names import plain_name

_ATTRIBUTE = "!#$&+-.^_`|~"  # what RFC 5987 allows unescaped besides letters and digits


def content_disposition(name: str) -> str:
    """Format the header that makes a browser save a body under ``name`` (RFC 6266).

    A name that is not plain ASCII is sent twice: exactly (RFC 5987), and with ``_`` for each other character.
    """
    name = plain_name(name)
    simple = "".join(c if c.isascii() and c not in '"\\%' else "_" for c in name)
    exact = "" if simple == name else f"; filename*=UTF-8''{quote(name, safe=_ATTRIBUTE)}"
    return f'attachment; filename="{simple}"{exact}'
