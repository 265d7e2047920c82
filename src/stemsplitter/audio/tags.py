"""Title, artist, album, comment and cover of a song."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from av.audio.stream import AudioStream
from av.container import InputContainer

from stemsplitter.audio.cover import cover_type

_LONGEST = 1000


@dataclass(frozen=True)
class Tags:
    """Title, artist, album, comment (empty where unknown) and a JPEG or PNG cover with its type, or None."""

    title: str = ""
    artist: str = ""
    album: str = ""
    cover: bytes | None = None
    cover_mime: str = ""
    comment: str = ""

    def for_stem(self, stem: str) -> Tags:
        """Derive the tags of a stem: title ``Title (vocals)``, comment ``stem: vocals``."""
        title = f"{self.title} ({stem})" if self.title else stem
        return dataclasses.replace(self, title=title, comment=f"stem: {stem}")


def read_tags(container: InputContainer, stream: AudioStream, cover: bytes | None) -> Tags:
    """Read the tags of an opened file; Ogg stores them in the track, other containers in the file."""
    found = {key.lower(): value for key, value in {**stream.metadata, **container.metadata}.items()}

    def text(key: str) -> str:
        return found.get(key, "").replace("\0", " ").strip()[:_LONGEST]

    mime = cover_type(cover) if cover else ""
    return Tags(text("title"), text("artist"), text("album"), cover if mime else None, mime)
