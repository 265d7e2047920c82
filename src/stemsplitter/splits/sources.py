"""Where a split's song comes from: fetched or uploaded, put into the store, and measured."""

import contextlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from sqlalchemy.orm import Session

from stemsplitter.analysis.probing import Probed, probe
from stemsplitter.database import Database
from stemsplitter.fetching import Fetcher, FetchError
from stemsplitter.service_errors import ValidationFailed
from stemsplitter.settings import Settings
from stemsplitter.splits.schemas import DirectUrl, UploadedFile
from stemsplitter.storage import Storage
from stemsplitter.storage.errors import StorageError
from stemsplitter.uploads.service import UploadService

DOWNLOAD_SECONDS = 15.0  # with as long for measuring as that takes at most, creating takes no more than 45 s
_ENDINGS = 5


@dataclass(frozen=True)
class Source:
    """A song in the store, measured."""

    key: str
    size: int
    filename: str
    probed: Probed
    upload: UploadedFile | None

    @property
    def seconds(self) -> int:
        """Its length, rounded up; what is not even one sample long is no song."""
        return max(1, self.probed.whole_seconds)


@dataclass(frozen=True)
class Stored:
    """Another split's song, and its file name."""

    key: str
    filename: str


class Sources:
    """Gets songs."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        fetcher: Fetcher,
        uploads: UploadService,
        settings: Settings,
    ) -> None:
        self._database, self._storage, self._fetcher = database, storage, fetcher
        self._uploads, self._settings = uploads, settings

    @contextmanager
    def obtain(
        self, account_id: str, split_id: str, given: DirectUrl | UploadedFile | Stored
    ) -> Iterator[Source]:
        """The song that a request names. What was fetched or copied for it is deleted where the block
        raises.

        Raises:
            ValidationFailed: it cannot be fetched, was not uploaded, cannot be decoded, or is over a limit.
            Conflict: another split has taken the upload.
        """
        if isinstance(given, UploadedFile):
            yield self._uploaded(account_id, given)
            return
        source = (
            self._copied(split_id, given) if isinstance(given, Stored) else self._fetched(split_id, given)
        )
        try:
            yield source
        except BaseException:
            with contextlib.suppress(StorageError):  # else the sweep finds it
                self._storage.delete(source.key)
            raise

    def claim(self, session: Session, account_id: str, upload: UploadedFile) -> None:
        """Take the upload for the split that the transaction makes. Raises as :meth:`obtain` does."""
        self._uploads.claim_for_split(
            session, account_id, upload.upload_id, upload.file_url, upload.storage_key
        )

    def _fetched(self, split_id: str, given: DirectUrl) -> Source:
        limit = self._settings.max_source_bytes
        with tempfile.NamedTemporaryFile(prefix="stemsplitter-") as file:
            try:
                fetched = self._fetcher.download(
                    given.url, cast(BinaryIO, file), max_bytes=limit, deadline_s=DOWNLOAD_SECONDS
                )
            except FetchError as error:
                raise ValidationFailed(str(error), param="input.url") from error
            file.flush()
            probed = self._probe(Path(file.name), fetched.filename, "input.url")
            key = f"splits/{split_id}/source{_ending(fetched.filename)}"
            self._storage.put_file(key, file.name, "application/octet-stream")
        return Source(key, fetched.size, fetched.filename, probed, None)

    def _copied(self, split_id: str, given: Stored) -> Source:
        with self._storage.local_file(given.key) as path:
            probed = self._probe(path, given.filename, "input")
            key = f"splits/{split_id}/source{_ending(given.filename)}"
            size = self._storage.put_file(key, path, "application/octet-stream")
        return Source(key, size, given.filename, probed, None)

    def _uploaded(self, account_id: str, given: UploadedFile) -> Source:
        with self._database.read() as session:
            upload = self._uploads.find_for_split(
                session, account_id, given.upload_id, given.file_url, given.storage_key
            )
            key, size, filename = upload.storage_key, upload.content_length, upload.filename
        assert key is not None
        with self._storage.local_file(key) as path:
            probed = self._probe(path, filename, "input.uploadId")
        return Source(key, size, filename, probed, given)

    def _probe(self, path: Path, name: str, param: str) -> Probed:
        try:
            return probe(path, self._settings, name)
        except ValidationFailed as error:
            details: dict[str, Any] = error.details
            raise ValidationFailed(str(error), param=error.param or param, details=details) from error


def _ending(filename: str) -> str:
    """The file name's ending, where it is a plain one: decoders make use of it."""
    ending = Path(filename).suffix.lower()
    plain = 1 < len(ending) <= _ENDINGS + 1 and ending[1:].isascii() and ending[1:].isalnum()
    return ending if plain else ""
