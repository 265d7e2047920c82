"""One request that sends a file: counted, recognised and hashed as it comes, and kept only if all of it is right."""

import hashlib
import time
from datetime import timedelta

from stemsplitter.analysis.sniffing import HEAD_BYTES, not_media
from stemsplitter.database import Database, now
from stemsplitter.storage import Storage, StorageError
from stemsplitter.storage.names import plain_ending
from stemsplitter.uploads import repository
from stemsplitter.uploads.errors import InProgress, LengthMismatch, TypeMismatch
from stemsplitter.uploads.models import Upload

# a request that is silent for as long is dead, and another may take its place
LEASE = timedelta(seconds=60)
_RENEW_S = 10.0


class Incoming:
    """A file that is being received. Not thread-safe. Either :meth:`finish` or :meth:`abandon` ends it."""

    def __init__(self, database: Database, storage: Storage, upload: Upload, attempt: int) -> None:
        self.key = f"uploads/{upload.id}/{attempt}{plain_ending(upload.filename)}"
        self.received = 0
        self._database = database
        self._storage = storage
        self._upload = upload
        self._attempt = attempt
        self._head = b""
        self._recognised = False
        self._digest = hashlib.sha256()
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
        if self.received > self._upload.content_length:
            raise LengthMismatch(
                f"More came than the {self._upload.content_length} bytes that were reserved: send the file that "
                "was reserved, or reserve another upload."
            )
        if not self._recognised:
            self._head += data[: HEAD_BYTES - len(self._head)]
            if len(self._head) == HEAD_BYTES:
                self._recognise()
        self._digest.update(data)
        self._file.write(data)
        if time.monotonic() - self._renewed > _RENEW_S:
            self._renew()

    def finish(self) -> None:
        """Keep the file, which from now on can be used.

        Raises:
            LengthMismatch: fewer bytes came than were reserved.
            TypeMismatch, InProgress: as in :meth:`write`.
        """
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
        if not mine:
            self._storage.delete(self.key)
            raise _overtaken()

    def abandon(self) -> None:
        """Keep nothing, and let another request send the file. Changes nothing where another one has begun."""
        self._file.discard()
        if self._free():
            self._storage.delete(self.key)

    def _free(self) -> bool:
        with self._database.write() as session:
            return repository.free(session, self._upload.id, self._attempt)

    def _recognise(self) -> None:
        if not self._recognised and (kind := not_media(self._head)):
            raise TypeMismatch(f"The file is {kind}, not audio or video: send a song.")
        self._recognised = True

    def _renew(self) -> None:
        with self._database.write() as session:
            if not repository.keep(session, self._upload.id, self._attempt, now() + LEASE):
                raise _overtaken()
        self._renewed = time.monotonic()


def _overtaken() -> InProgress:
    return InProgress(
        "This request was silent for too long and another sends the file now: wait for that one."
    )
