"""Receive the file of an upload, or a chunk of it, and check length and media type."""

import hashlib
import time
from abc import ABC, abstractmethod
from datetime import timedelta

from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.files.names import plain_ending
from stemsplitter.probing.sniffing import HEAD_BYTES, not_media
from stemsplitter.quotas.service import Quotas
from stemsplitter.storage import Storage, StorageError
from stemsplitter.uploads import chunks, repository
from stemsplitter.uploads.errors import InProgress, LengthMismatch, TypeMismatch
from stemsplitter.uploads.models import Upload

# a request that sends nothing for this long may be dead: another may replace it
LEASE = timedelta(seconds=15)
_RENEW_S = 3.0
STEP_BYTES = 16 << 20  # between two looks at the disk


class Receiving(ABC):
    """Receives bytes of an upload into one file of the storage. Not thread-safe.

    Ends with either :meth:`finish` or :meth:`abandon`.

    Args:
        upload: its row at the start of ``attempt``.
        name: file name in the upload's folder.
        offset: position of the first byte in the upload.
    """

    def __init__(
        self,
        database: Database,
        storage: Storage,
        quotas: Quotas,
        upload: Upload,
        attempt: int,
        name: str,
        offset: int = 0,
    ) -> None:
        self.key = f"uploads/{upload.id}/{name}"
        self.received = 0
        self._database = database
        self._storage = storage
        self._quotas = quotas
        self._upload = upload
        self._attempt = attempt
        self._offset = offset
        self._head = b""
        self._is_media = offset > 0
        self._renewed = time.monotonic()
        self._space_checked = -STEP_BYTES  # at the first byte, too: chunks may be small
        try:
            self._file = storage.writer(self.key, upload.content_type, upload.filename)
        except StorageError:
            self._free()
            raise

    @property
    def account_id(self) -> str:
        """The account of the upload."""
        return self._upload.account_id

    def write(self, data: bytes) -> None:
        """Write the next bytes.

        Raises:
            LengthMismatch: more bytes than were reserved.
            TypeMismatch: the content is not audio or video.
            InProgress: the lease of this request expired, and another replaced it.
            Busy: the disk is almost full.
        """
        self.received += len(data)
        if self._offset + self.received > self._upload.content_length:
            raise LengthMismatch(
                f"The request has more than the {self._upload.content_length} bytes that were reserved: send the "
                "reserved file, or reserve another upload."
            )
        if not self._is_media:
            self._head += data[: HEAD_BYTES - len(self._head)]
            if len(self._head) == HEAD_BYTES:
                self._check_media()
        if self.received - self._space_checked > STEP_BYTES:
            self._quotas.check_space()
            self._space_checked = self.received
        self._file.write(data)
        if time.monotonic() - self._renewed > _RENEW_S:
            self._renew()

    @abstractmethod
    def finish(self) -> None:
        """Commit the received bytes.

        Raises:
            LengthMismatch: the number of received bytes is wrong.
            TypeMismatch, InProgress: as in :meth:`write`.
        """

    def abandon(self) -> None:
        """Discard the received bytes and free the upload for another request, unless one has replaced this one."""
        self._file.discard()
        if self._free():
            self._storage.delete(self.key)

    def _delete_unless(self, is_current: bool) -> None:
        """Delete the file if another attempt has replaced this one."""
        if not is_current:
            self._storage.delete(self.key)
            raise _replaced()

    def _free(self) -> bool:
        with self._database.write() as session:
            return repository.free(session, self._upload.id, self._attempt)

    def _check_media(self) -> None:
        if not self._is_media and (kind := not_media(self._head)):
            raise TypeMismatch(f"This is {kind}. Choose an audio or video file.")
        self._is_media = True

    def _renew(self) -> None:
        with self._database.write() as session:
            if not repository.extend(session, self._upload.id, self._attempt, now() + LEASE):
                raise _replaced()
        self._renewed = time.monotonic()


class Incoming(Receiving):
    """Receives the whole file."""

    def __init__(
        self, database: Database, storage: Storage, quotas: Quotas, upload: Upload, attempt: int
    ) -> None:
        name = f"{attempt}{plain_ending(upload.filename)}"
        super().__init__(database, storage, quotas, upload, attempt, name)
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        super().write(data)
        self._digest.update(data)

    def finish(self) -> None:
        if self.received != self._upload.content_length:
            raise LengthMismatch(
                f"{self.received} bytes were received and {self._upload.content_length} reserved: send the whole file."
            )
        self._check_media()
        self._file.commit()
        upload = self._upload
        with self._database.write() as session:
            is_current = repository.finish(
                session, upload.id, self._attempt, self.key, self._digest.hexdigest(), now()
            )
            has_chunks = self._quotas.reserved(session, upload.id) > upload.content_length
        self._delete_unless(is_current)
        if has_chunks and chunks.delete(self._storage, upload.id):
            with self._database.write() as session:
                self._quotas.record(session, upload.id, upload.content_length)


class IncomingChunk(Receiving):
    """Receives a chunk, the bytes from ``offset``; the rest of the file if it ``is_last``."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        quotas: Quotas,
        upload: Upload,
        attempt: int,
        offset: int,
        is_last: bool,
    ) -> None:
        name = chunks.chunk_name(offset, attempt)
        super().__init__(database, storage, quotas, upload, attempt, name, offset)
        self._is_last = is_last

    @property
    def end(self) -> int:
        """Number of bytes received with this chunk."""
        return self._offset + self.received

    def finish(self) -> None:
        check_chunk(self._upload, self._offset, self.received, self._is_last)
        if self.received:
            self._check_media()
            self._file.commit()
        else:
            self._file.discard()
        with self._database.write() as session:
            is_current = repository.finish_chunk(session, self._upload.id, self._attempt, self.end)
        self._delete_unless(is_current)


def check_chunk(upload: Upload, offset: int, size: int, is_last: bool) -> None:
    """Check the size of a chunk.

    Raises:
        LengthMismatch: it exceeds the file, is the last and does not complete it, or is too small.
    """
    end, whole = offset + size, upload.content_length
    if end > whole or (is_last and end < whole):
        raise LengthMismatch(
            f"The file would have {end} bytes with this chunk and {whole} were reserved: "
            "send the rest of the reserved file."
        )
    if end < whole and size < chunks.MIN_CHUNK_BYTES:
        raise LengthMismatch(
            f"A chunk except the last must have at least {chunks.MIN_CHUNK_BYTES} bytes, and this one has {size}: "
            "send larger chunks."
        )


def _replaced() -> InProgress:
    return InProgress(
        "This request sent nothing for too long and another one replaced it: wait for that one.",
        round(LEASE.total_seconds()),
    )
