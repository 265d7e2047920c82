"""Chunks of an upload: files in the storage that are joined when all have arrived."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from stemsplitter.storage import Storage, StorageError, StoredFile

# limits a file to some thousands of chunks; larger than the bytes that detect the media type
MIN_CHUNK_BYTES = 64 << 10

_NAME = re.compile(r"chunk-([0-9]+)-([0-9]+)")


def chunk_name(offset: int, attempt: int) -> str:
    """Return the file name of a chunk.

    It contains the attempt, so that a stale attempt that still writes cannot overwrite the chunk of another.
    """
    return f"chunk-{offset}-{attempt}"


def in_order(storage: Storage, upload_id: str, kept: int) -> Sequence[StoredFile] | None:
    """Return the chunks of the first ``kept`` bytes in order; None if some are missing.

    Of several chunks at one offset the latest attempt is valid: earlier ones died between writing the chunk and
    committing it.
    """
    at: dict[int, tuple[int, StoredFile]] = {}
    for stored, offset, attempt in _find(storage, upload_id):
        if offset not in at or at[offset][0] < attempt:
            at[offset] = attempt, stored
    chunks: list[StoredFile] = []
    end = 0
    while end < kept:
        chunk = at[end][1] if end in at else None
        if chunk is None or not 0 < chunk.size <= kept - end:
            return None
        chunks.append(chunk)
        end += chunk.size
    return chunks


def read(storage: Storage, chunks: Sequence[StoredFile]) -> Iterator[bytes]:
    """Yield the content of the chunks in blocks."""
    for chunk in chunks:
        yield from storage.read(chunk.key)


def delete(storage: Storage, upload_id: str) -> bool:
    """Delete all chunks of an upload. Those that cannot be deleted now, when it returns false, are deleted with the
    upload."""
    with suppress(StorageError):
        for stored, *_ in list(_find(storage, upload_id)):
            storage.delete(stored.key)
        return True
    return False


def _find(storage: Storage, upload_id: str) -> Iterator[tuple[StoredFile, int, int]]:
    for stored in storage.list_prefix(f"uploads/{upload_id}"):
        if name := _NAME.fullmatch(stored.key.rpartition("/")[2]):
            yield stored, int(name[1]), int(name[2])
