"""The chunks of an upload in the store: each a file of its own, until all of them are made into one."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from stemsplitter.storage import Storage, StorageError, StoredFile

# so that a file is no more than some thousands of them; larger than what a file is recognised by
SMALLEST = 64 << 10

_NAME = re.compile(r"chunk-([0-9]+)-([0-9]+)")


def chunk_name(offset: int, attempt: int) -> str:
    """What a chunk is called in the folder of its upload.

    The attempt is in it, as one that was overtaken may still write: it must not do so over the other's chunk.
    """
    return f"chunk-{offset}-{attempt}"


def in_order(storage: Storage, upload_id: str, kept: int) -> Sequence[StoredFile] | None:
    """The chunks that the first ``kept`` bytes are in; None where some are gone.

    Of several at one offset only the newest attempt can have been the one that counted: those before it died between
    writing the chunk and noting it.
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
    """What is in them, one after the other, in blocks."""
    for chunk in chunks:
        yield from storage.read(chunk.key)


def delete(storage: Storage, upload_id: str) -> None:
    """Delete all chunks of an upload; what cannot be deleted now is swept up with the upload."""
    with suppress(StorageError):
        for stored, *_ in list(_find(storage, upload_id)):
            storage.delete(stored.key)


def _find(storage: Storage, upload_id: str) -> Iterator[tuple[StoredFile, int, int]]:
    for stored in storage.list_prefix(f"uploads/{upload_id}"):
        if name := _NAME.fullmatch(stored.key.rpartition("/")[2]):
            yield stored, int(name[1]), int(name[2])
