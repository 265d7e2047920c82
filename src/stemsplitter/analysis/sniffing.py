"""Recognising audio and video by their first bytes, whatever name and type they came with."""

import re

HEAD_BYTES = 4096

_MEDIA = re.compile(
    rb"""
    fLaC | OggS | ID3 | RF64....WAVE | RIFF....(WAVE|AVI[ ]) | BW64....WAVE
    | FORM....(AIFF|AIFC) | caff | \.snd | MAC[ ] | wvpk | TTA1 | FLV\x01 | ADIF
    | ....ftyp | ....(moov|mdat|wide|free|skip) | \x1a\x45\xdf\xa3      # MP4 and QuickTime, Matroska and WebM
    | riff\x2e\x91\xcf\x11                                              # Wave64
    | \x30\x26\xb2\x75\x8e\x66\xcf\x11                                  # ASF: wma, wmv
    | \x00\x00\x01\xba                                                  # MPEG program stream
    | \x47.{187}\x47.{187}\x47 | .{4}\x47.{191}\x47                     # MPEG transport stream, M2TS
    | \x0b\x77 | \x7f\xfe\x80\x01                                       # AC-3, DTS
    | \xff[\xf0\xf1\xf8\xf9]                                            # AAC in ADTS frames
    """,
    re.VERBOSE | re.DOTALL,
)
# MPEG audio: sync, a layer, a bit rate and a sample rate that exist (ISO 11172-3 §2.4.1.3). Files often begin with
# rubbish before the first frame.
_MPEG_FRAME = re.compile(rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff][\x10-\xef]", re.DOTALL)
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
    """What a file is, if it is no audio or video: ``a web page``, ``a program``, … Empty for audio and video.

    ``head`` is its first 4096 bytes, or all of it. It is recognised here, not decoded: a file that passes may still
    be none.
    """
    for kind, pattern in _OTHER.items():
        if pattern.match(head):
            return kind
    start = head.lstrip(b"\0")
    if _MEDIA.match(head) or _MEDIA.match(start) or _MPEG_FRAME.match(start):
        return ""
    if _is_text(head):
        return "a text file"
    return "" if _MPEG_FRAME.search(head) else "a file of unknown type"


def _is_text(head: bytes) -> bool:
    return not re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\xff]", head)
