"""What a song says about itself."""

from dataclasses import dataclass

from av.audio.stream import AudioStream
from av.container import InputContainer

_LONGEST = 1000


@dataclass(frozen=True)
class Tags:
    """Title, artist, album (empty where unknown) and a JPEG or PNG cover with its media type, or None."""

    title: str = ""
    artist: str = ""
    album: str = ""
    cover: bytes | None = None
    cover_mime: str = ""


def cover_type(picture: bytes) -> str:
    """The media type of a JPEG or PNG picture, told from its first bytes; empty for anything else."""
    if picture.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    return "image/png" if picture.startswith(b"\x89PNG\r\n\x1a\n") else ""


def read_tags(container: InputContainer, stream: AudioStream, cover: bytes | None) -> Tags:
    """The tags of an opened file; Ogg keeps them with the track, other containers with the file."""
    found = {key.lower(): value for key, value in {**stream.metadata, **container.metadata}.items()}

    def text(key: str) -> str:
        return found.get(key, "").replace("\0", " ").strip()[:_LONGEST]

    mime = cover_type(cover) if cover else ""
    return Tags(text("title"), text("artist"), text("album"), cover if mime else None, mime)
