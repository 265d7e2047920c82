"""The source of a split: a song that is downloaded, uploaded or copied, then stored and probed."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, cast

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.fetching import Fetcher, FetchError
from stemsplitter.files.names import plain_ending
from stemsplitter.files.temporary import temporary_folder
from stemsplitter.links import Links
from stemsplitter.probing.pool import Probed, probe
from stemsplitter.probing.sniffing import HEAD_BYTES, not_media
from stemsplitter.quotas.service import Quotas
from stemsplitter.service_errors import ValidationFailed
from stemsplitter.settings import Settings
from stemsplitter.splits.schemas import DirectUrl, Link, UploadedFile
from stemsplitter.storage import Storage
from stemsplitter.storage.errors import FileMissing, StorageError
from stemsplitter.uploads.models import Upload
from stemsplitter.uploads.service import UploadService, is_direct, not_received

# plus at most 30 s of probing, so creating a split takes less than the 60 s that clients wait
DOWNLOAD_SECONDS = 15.0
LINK_SECONDS = 25.0  # a link needs several requests before its download
CREATING = timedelta(hours=1)  # far longer than that
# a download reserves at most this much in advance, in a transaction of a few milliseconds
STEP_BYTES = 16 << 20


@dataclass(frozen=True)
class ClaimedUpload:
    """An upload as a request names it; ``sha256`` of the copy if the file was sent directly to the storage."""

    given: UploadedFile
    sha256: str | None


@dataclass(frozen=True)
class Source:
    """A song in the storage, with its measurements."""

    key: str
    size: int
    filename: str
    probed: Probed
    upload: ClaimedUpload | None

    @property
    def seconds(self) -> int:
        """Duration rounded up, at least 1."""
        return max(1, self.probed.whole_seconds)


@dataclass(frozen=True)
class Stored:
    """The song of another split: storage key, file name and size in bytes."""

    key: str
    filename: str
    size: int


class Sources:
    """Obtains the songs of splits."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        fetcher: Fetcher,
        links: Links,
        uploads: UploadService,
        quotas: Quotas,
        settings: Settings,
    ) -> None:
        self._database, self._storage, self._fetcher = database, storage, fetcher
        self._links, self._uploads, self._quotas, self._settings = links, uploads, quotas, settings

    @contextmanager
    def obtain(
        self, account_id: str, split_id: str, given: DirectUrl | Link | UploadedFile | Stored
    ) -> Iterator[Source]:
        """Yield the song that a request names. A downloaded or copied file is deleted if the block raises.

        Its bytes are reserved for the split while it is downloaded, and released if the block raises.

        Raises:
            ValidationFailed: it cannot be downloaded, was not uploaded, cannot be decoded, or exceeds a limit.
            Conflict: another split uses the upload.
            QuotaExceeded: the account has too little space for it.
            Busy: too many other songs are being measured, or the disk is almost full.
        """
        if isinstance(given, DirectUrl):
            with self._deleted_on_failure(split_id):
                yield self._download(account_id, split_id, given)
        elif isinstance(given, Link):
            with self._deleted_on_failure(split_id):
                yield self._fetch(account_id, split_id, given)
        elif isinstance(given, Stored):
            with self._deleted_on_failure(split_id):
                self._reserve(account_id, split_id, given.size)
                yield self._copy(account_id, _source_key(split_id, given.filename), given)
        elif is_direct(upload := self._find(account_id, given)):
            key = _source_key(split_id, upload.filename)
            with self._deleted_on_failure(split_id):
                self._reserve(account_id, split_id, upload.content_length)
                yield self._copy_direct(key, upload, given)
            self._uploads.delete_direct(given.storage_key)
        else:
            yield self._received(upload, given)

    def claim(self, session: Session, account_id: str, upload: ClaimedUpload) -> None:
        """Mark the upload as used in the transaction that creates the split. Raises like :meth:`obtain`."""
        given = upload.given
        self._uploads.claim_for_split(
            session, account_id, given.upload_id, given.file_url, given.storage_key, upload.sha256
        )

    def _download(self, account_id: str, split_id: str, given: DirectUrl) -> Source:
        limit = self._settings.max_source_bytes
        with temporary_folder() as folder, (folder / "source").open("w+b") as file:
            counted = _CountedFile(file, self._reservation(account_id, split_id))
            try:
                fetched = self._fetcher.download(
                    given.url, cast(BinaryIO, counted), max_bytes=limit, deadline_s=DOWNLOAD_SECONDS
                )
            except FetchError as error:
                raise ValidationFailed(str(error), param="input.url") from error
            file.flush()
            return self._keep(account_id, split_id, Path(file.name), fetched.filename)

    def _fetch(self, account_id: str, split_id: str, given: Link) -> Source:
        with temporary_folder() as folder:
            reserve = self._reservation(account_id, split_id)
            try:
                fetched = self._links.fetch(given.url, folder, LINK_SECONDS, reserve)
            except FetchError as error:
                raise ValidationFailed(str(error), param="input.url") from error
            return self._keep(account_id, split_id, fetched.path, fetched.filename)

    def _keep(self, account_id: str, split_id: str, path: Path, filename: str) -> Source:
        """Probe and store a temporary file."""
        size = path.stat().st_size
        probed = self._probe(account_id, path, filename, "input.url")
        self._reserve(account_id, split_id, 2 * size)  # until the temporary file is deleted
        key = _source_key(split_id, filename)
        self._storage.put_file(key, path, "application/octet-stream")
        return Source(key, size, filename, probed, None)

    def _reservation(self, account_id: str, split_id: str) -> Callable[[int], None]:
        """Return a function that reserves growing sizes in steps, to be called before or while they are written."""
        reserved = 0

        def reserve(size: int) -> None:
            nonlocal reserved
            if size > reserved:
                reserved = size + min(size, STEP_BYTES)
                self._reserve(account_id, split_id, reserved)

        return reserve

    def _copy(self, account_id: str, key: str, given: Stored) -> Source:
        size = self._storage.copy(given.key, key)
        with self._storage.local_file(key) as path:
            probed = self._probe(account_id, path, given.filename, "input")
        return Source(key, size, given.filename, probed, None)

    def _received(self, upload: Upload, given: UploadedFile) -> Source:
        assert upload.storage_key is not None
        with self._storage.local_file(upload.storage_key) as path:
            probed = self._probe(upload.account_id, path, upload.filename, "input.uploadId")
        return Source(
            upload.storage_key, upload.content_length, upload.filename, probed, ClaimedUpload(given, None)
        )

    def _copy_direct(self, key: str, upload: Upload, given: UploadedFile) -> Source:
        """Check a file that was sent directly to the storage. It is copied first, because the client can overwrite the
        original, and the checked file must be the one that is separated."""
        try:
            size = self._storage.copy(given.storage_key, key)
        except FileMissing as error:
            raise not_received(upload.id) from error
        if size != upload.content_length:
            raise ValidationFailed(
                f"The file has {size} bytes and {upload.content_length} were reserved: reserve another upload.",
                param="input.uploadId",
            )
        if kind := not_media(b"".join(self._storage.read(key, 0, HEAD_BYTES))):
            raise ValidationFailed(f"This is {kind}. Choose an audio or video file.", param="input.uploadId")
        with self._storage.local_file(key) as path:
            probed = self._probe(upload.account_id, path, upload.filename, "input.uploadId")
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return Source(key, size, upload.filename, probed, ClaimedUpload(given, sha256))

    def _find(self, account_id: str, given: UploadedFile) -> Upload:
        with self._database.read() as session:
            return self._uploads.find_for_split(
                session, account_id, given.upload_id, given.file_url, given.storage_key
            )

    def _reserve(self, account_id: str, split_id: str, size: int) -> None:
        """Reserve the bytes of a source. They expire if this process dies before the split is created."""
        with self._database.write() as session:
            expires_at = now() + CREATING
            self._quotas.reserve(session, account_id, split_id, size, expires_at=expires_at)

    @contextmanager
    def _deleted_on_failure(self, split_id: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            with contextlib.suppress(StorageError, SQLAlchemyError):  # maintenance does it otherwise
                with self._database.read() as session:
                    is_reserved = self._quotas.reserved(session, split_id) > 0
                if is_reserved:
                    self._storage.delete_prefix(f"splits/{split_id}")
                    with self._database.write() as session:
                        self._quotas.release(session, split_id)
            raise

    def _probe(self, account_id: str, path: Path, name: str, param: str) -> Probed:
        try:
            return probe(path, self._settings, name, account_id)
        except ValidationFailed as error:
            details: dict[str, Any] = error.details
            raise ValidationFailed(str(error), param=error.param or param, details=details) from error


class _CountedFile:
    """A file whose bytes are reserved before they are written."""

    def __init__(self, file: BinaryIO, reserve: Callable[[int], None]) -> None:
        self._file, self._reserve = file, reserve
        self._written = 0

    def write(self, data: bytes) -> int:
        self._written += len(data)
        self._reserve(self._written)
        return self._file.write(data)


def _source_key(split_id: str, filename: str) -> str:
    return f"splits/{split_id}/source{plain_ending(filename)}"
