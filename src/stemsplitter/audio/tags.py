"""Title, artist, album, comment, tempo, key and cover of a song."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from av.audio.stream import AudioStream
from av.container import InputContainer

from stemsplitter.audio.cover import cover_type

BPM, KEY = "TBPM", "TKEY"
"""Names of tempo and key in ID3v2: beats per minute, and a key such as ``Am`` or ``F#``."""
_LONGEST = 1000
_FASTEST = 1000
# FFmpeg's names, of ID3, Vorbis comments and MP4
_BPM_NAMES, _KEY_NAMES = ("tbpm", "bpm"), ("tkey", "initialkey", "key")


@dataclass(frozen=True)
class Tags:
    """Texts (empty where unknown), and a JPEG or PNG cover with its type, or None.

    ``bpm`` is a number of beats per minute; ``key`` is as in ID3: ``Am``, ``F#``.
    """

    title: str = ""
    artist: str = ""
    album: str = ""
    cover: bytes | None = None
    cover_mime: str = ""
    comment: str = ""
    bpm: str = ""
    key: str = ""

    def for_stem(self, stem: str) -> Tags:
        """Derive the tags of a stem: title ``Title (vocals)``, comment ``stem: vocals``."""
        title = f"{self.title} ({stem})" if self.title else stem
        return dataclasses.replace(self, title=title, comment=f"stem: {stem}")


def read_tags(container: InputContainer, stream: AudioStream, cover: bytes | None) -> Tags:
    """Read the tags of an opened file; Ogg stores them in the track, other containers in the file."""
    found = {key.lower(): value for key, value in {**stream.metadata, **container.metadata}.items()}

    def text(*names: str) -> str:
        return (
            next((found[name] for name in names if name in found), "").replace("\0", " ").strip()[:_LONGEST]
        )

    mime = cover_type(cover) if cover else ""
    return Tags(
        text("title"),
        text("artist"),
        text("album"),
        cover if mime else None,
        mime,
        bpm=_number(text(*_BPM_NAMES)),
        key=text(*_KEY_NAMES),
    )


def _number(text: str) -> str:
    """Return the text of a tempo, or nothing if it is none."""
    try:
        return text if 0 < float(text) < _FASTEST else ""
    except ValueError:
        return ""
