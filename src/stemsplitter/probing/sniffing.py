"""Detection of files that are neither audio nor video by their first bytes; names and media types are ignored."""

import re

from stemsplitter.languages import marked

HEAD_BYTES = 4096

_OTHER = {
    "a web page": re.compile(
        rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body|script|title|meta|!--)", re.I
    ),
    "an XML file": re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml|svg|rss|smil)", re.I),
    "a program": re.compile(
        rb"MZ|\x7fELF|\xfe\xed\xfa[\xce\xcf]|[\xce\xcf]\xfa\xed\xfe|\xca\xfe\xba\xbe|#!|\0asm"
    ),
    "an archive": re.compile(rb"PK[\x03\x05\x07]|\x1f\x8b|BZh|7z\xbc\xaf|Rar!|\xfd7zXZ|\x28\xb5\x2f\xfd"),
    "a picture": re.compile(rb"\x89PNG|GIF8|\xff\xd8\xff|BM.{4}\0{4}|II\*\0|MM\0\*|RIFF....WEBP", re.DOTALL),
    "a document": re.compile(rb"%PDF|\xd0\xcf\x11\xe0|\{\\rtf"),
    "a playlist": re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\#EXTM3U|\[playlist\])", re.I),
}


def not_media(head: bytes) -> str:
    """Return the kind of a file that is neither audio nor video (``a web page``, ``a program``, …), else ``""``.

    ``head`` is the first ``HEAD_BYTES`` bytes of the file, or all of it. Any other file must be decoded to tell.
    """
    for kind, pattern in _OTHER.items():
        if pattern.match(head):
            return kind
    return marked("a text file") if _is_text(head) else ""


def _is_text(head: bytes) -> bool:
    return not re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\xff]", head)
