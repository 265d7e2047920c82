"""Comments of Vorbis, which FLAC and Ogg store as tags (RFC 9639 §8.6; RFC 7845 §5.2)."""

import base64
import struct
from collections.abc import Mapping

from stemsplitter.audio.cover import picture_block
from stemsplitter.audio.tags import BPM, KEY, Tags

NAMES = {BPM: "BPM", KEY: "INITIALKEY"}
PICTURE = "METADATA_BLOCK_PICTURE"


def comments(tags: Tags) -> dict[str, str]:
    """Return the comments of tags and cover."""
    texts = {
        "TITLE": tags.title,
        "ARTIST": tags.artist,
        "ALBUM": tags.album,
        "COMMENT": tags.comment,
        NAMES[BPM]: tags.bpm,
        NAMES[KEY]: tags.key,
    }
    if tags.cover:
        texts[PICTURE] = picture_comment(tags)
    return {name: text for name, text in texts.items() if text}


def picture_comment(tags: Tags) -> str:
    """Return the comment of a cover, which ``tags`` have."""
    return base64.b64encode(picture_block(tags.cover or b"", tags.cover_mime)).decode()


def with_comments(block: bytes, texts: Mapping[str, str]) -> bytes:
    """Return a block of comments with ``texts`` in place of earlier ones of these names; what follows them stays.

    A block is the name of the encoder, a number, and as many texts ``NAME=text``.

    Raises:
        ValueError: the block is damaged.
        struct.error: so is it.
    """
    encoder, at = _text(block, 0)
    (count,) = struct.unpack_from("<I", block, at)
    found, at = [], at + 4
    for _ in range(count):
        comment, at = _text(block, at)
        found.append(comment)
    replaced = tuple(f"{name}=".lower().encode() for name in texts)
    kept = [each for each in found if not each.lower().startswith(replaced)]
    kept += [f"{name}={text}".encode(errors="replace") for name, text in texts.items()]
    packed = [struct.pack("<I", len(each)) + each for each in (encoder, *kept)]
    return packed[0] + struct.pack("<I", len(kept)) + b"".join(packed[1:]) + block[at:]


def _text(block: bytes, at: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from("<I", block, at)
    end = at + 4 + length
    if end > len(block):
        raise ValueError("its tags are damaged")
    return block[at + 4 : end], end
