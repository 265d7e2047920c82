"""One request that sends a file, or a chunk of it: counted and recognised as it comes, kept if all is right."""

import hashlib
import time
from abc import ABC, abstractmethod
from datetime import timedelta

from stemsplitter.analysis.sniffing import HEAD_BYTES, not_media
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.files.names import plain_ending
from stemsplitter.storage import Storage, StorageError
from stemsplitter.uploads import chunks, repository
from stemsplitter.uploads.errors import InProgress, LengthMismatch, TypeMismatch
from stemsplitter.uploads.models import Upload

# a request that is silent for as long is dead, and another may take its place
LEASE = timedelta(seconds=60)
_RENEW_S = 10.0


class Receiving(ABC):
    """Bytes of an upload that go into one file of the store. Not thread-safe. Either :meth:`finish` or :meth:`abandon`
    ends it.

    Args:
        upload: as it was when ``attempt`` began.
        name: of the file, in the upload's folder.
        offset: where in the upload the first byte belongs.
    """

    def __init__(
        self, database: Database, storage: Storage, upload: Upload, attempt: int, name: str, offset: int = 0
    ) -> None:
        self.key = f"uploads/{upload.id}/{name}"
        self.received = 0
        self._database = database
        self._storage = storage
        self._upload = upload
        self._attempt = attempt
        self._offset = offset
        self._head = b""
        self._recognised = offset > 0
        self._renewed = time.monotonic()
        try:
            self._file = storage.writer(self.key, upload.content_type, upload.filename)
        except StorageError:
            self._free()
            raise

    def write(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            LengthMismatch: more came than were reserved.
            TypeMismatch: this is no audio or video.
            InProgress: the request was silent for so long that another took its place.
        """
        self.received += len(data)
        if self._offset + self.received > self._upload.content_length:
            raise LengthMismatch(
                f"More came than the {self._upload.content_length} bytes that were reserved: send the file that "
                "was reserved, or reserve another upload."
            )
        if not self._recognised:
            self._head += data[: HEAD_BYTES - len(self._head)]
            if len(self._head) == HEAD_BYTES:
                self._recognise()
        self._file.write(data)
        if time.monotonic() - self._renewed > _RENEW_S:
            self._renew()

    @abstractmethod
    def finish(self) -> None:
        """Keep what came.

        Raises:
            LengthMismatch: as many bytes as came are not right.
            TypeMismatch, InProgress: as in :meth:`write`.
        """

    def abandon(self) -> None:
        """Keep nothing, and let another request send the file. Changes nothing where another one has begun."""
        self._file.discard()
        if self._free():
            self._storage.delete(self.key)

    def _undo_unless(self, mine: bool) -> None:
        """Delete the file again where another attempt has taken this one's place."""
        if not mine:
            self._storage.delete(self.key)
            raise _overtaken()

    def _free(self) -> bool:
        with self._database.write() as session:
            return repository.free(session, self._upload.id, self._attempt)

    def _recognise(self) -> None:
        if not self._recognised and (kind := not_media(self._head)):
            raise TypeMismatch(f"This is {kind}. Choose an audio or video file.")
        self._recognised = True

    def _renew(self) -> None:
        with self._database.write() as session:
            if not repository.keep(session, self._upload.id, self._attempt, now() + LEASE):
                raise _overtaken()
        self._renewed = time.monotonic()


class Incoming(Receiving):
    """The whole file, which can be used from :meth:`finish` on."""

    def __init__(self, database: Database, storage: Storage, upload: Upload, attempt: int) -> None:
        super().__init__(database, storage, upload, attempt, f"{attempt}{plain_ending(upload.filename)}")
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        super().write(data)
        self._digest.update(data)

    def finish(self) -> None:
        if self.received != self._upload.content_length:
            raise LengthMismatch(
                f"{self.received} bytes came and {self._upload.content_length} were reserved: send the whole file."
            )
        self._recognise()
        self._file.commit()
        with self._database.write() as session:
            mine = repository.finish(
                session, self._upload.id, self._attempt, self.key, self._digest.hexdigest(), now()
            )
        self._undo_unless(mine)
        if self._upload.kept:
            chunks.delete(self._storage, self._upload.id)


class IncomingChunk(Receiving):
    """The bytes from ``offset`` on, which are kept from :meth:`finish` on; all that are left where it ``is_last``."""

    def __init__(
        self, database: Database, storage: Storage, upload: Upload, attempt: int, offset: int, is_last: bool
    ) -> None:
        name = chunks.chunk_name(offset, attempt)
        super().__init__(database, storage, upload, attempt, name, offset)
        self._is_last = is_last

    @property
    def end(self) -> int:
        """How many bytes are kept with it."""
        return self._offset + self.received

    def finish(self) -> None:
        check_chunk(self._upload, self._offset, self.received, self._is_last)
        if self.received:
            self._recognise()
            self._file.commit()
        else:
            self._file.discard()
        with self._database.write() as session:
            mine = repository.keep_chunk(session, self._upload.id, self._attempt, self.end)
        self._undo_unless(mine)


def check_chunk(upload: Upload, offset: int, size: int, is_last: bool) -> None:
    """Refuse a chunk of a wrong size.

    Raises:
        LengthMismatch: it reaches over the end, is the last and does not reach it, or is too small.
    """
    end, whole = offset + size, upload.content_length
    if end > whole or (is_last and end < whole):
        raise LengthMismatch(
            f"The file would have {end} bytes with this chunk and {whole} were reserved: "
            "send what is left of the file that was reserved."
        )
    if end < whole and size < chunks.SMALLEST:
        raise LengthMismatch(
            f"A chunk has {chunks.SMALLEST} bytes or more, but for the last, and this one has {size}: "
            "send more at once."
        )


def _overtaken() -> InProgress:
    return InProgress(
        "This request was silent for too long and another sends the file now: wait for that one."
    )
