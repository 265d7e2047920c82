"""File names as HTTP and URLs carry them."""

import re
from urllib.parse import quote

_LONGEST = 200
_ENDING = re.compile(r"\.[a-z0-9]{1,5}$")
_ATTRIBUTE = "!#$&+-.^_`|~"  # besides letters and digits, what RFC 5987 takes as it is


def plain_name(name: str) -> str:
    """``name`` as a file can have it anywhere: one line of printable characters, without folders; never empty."""
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(character for character in last if character.isprintable()).strip()[-_LONGEST:]
    return "file" if kept.strip(". ") == "" else kept


def plain_ending(name: str) -> str:
    """The name's ending in small letters, with its dot, where it is a plain one: decoders make use of it."""
    found = _ENDING.search(name.lower())
    return found[0] if found else ""


def content_disposition(name: str) -> str:
    """The header that makes a browser save a body under ``name`` (RFC 6266).

    A name that is not plain ASCII is given twice: exactly (RFC 5987), and with ``_`` for what old clients cannot read.
    """
    name = plain_name(name)
    simple = "".join(c if c.isascii() and c not in '"\\%' else "_" for c in name)
    exact = "" if simple == name else f"; filename*=UTF-8''{quote(name, safe=_ATTRIBUTE)}"
    return f'attachment; filename="{simple}"{exact}'
