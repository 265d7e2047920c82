"""The ID3v2.4 tag at the head of an MP3 file (https://id3.org/id3v2.4.0-structure, id3v2.4.0-frames)."""

from stemsplitter.audio.tags import BPM, KEY, Tags

_UTF8 = b"\x03"
_FRONT_COVER = b"\x03"


def _size(count: int) -> bytes:
    """Encode a 28-bit number in four bytes of seven bits each."""
    return bytes(count >> shift & 0x7F for shift in (21, 14, 7, 0))


def _frame(name: str, body: bytes) -> bytes:
    return name.encode("ascii") + _size(len(body)) + b"\0\0" + body


def _text(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def tag(tags: Tags) -> bytes:
    """Encode the tag; empty if no field is set."""
    texts = {"TIT2": tags.title, "TPE1": tags.artist, "TALB": tags.album, BPM: tags.bpm, KEY: tags.key}
    frames = b"".join(_frame(name, _UTF8 + _text(text)) for name, text in texts.items() if text)
    if tags.comment:
        frames += _frame("COMM", _UTF8 + b"eng" + b"\0" + _text(tags.comment))
    if tags.cover:
        head = _UTF8 + tags.cover_mime.encode("ascii") + b"\0" + _FRONT_COVER + b"\0"
        frames += _frame("APIC", head + tags.cover)
    return b"ID3\x04\0\0" + _size(len(frames)) + frames if frames else b""
