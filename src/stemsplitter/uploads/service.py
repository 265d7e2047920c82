"""The rules of uploads: reserved by an account, received once and exactly as reserved, used by one split."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.files.names import plain_ending
from stemsplitter.service_errors import Conflict, ValidationFailed
from stemsplitter.settings import Settings
from stemsplitter.storage import Storage, StorageError
from stemsplitter.uploads import chunks, repository
from stemsplitter.uploads.errors import (
    Expired,
    Incomplete,
    InProgress,
    LengthMismatch,
    OffsetMismatch,
    TokenInvalid,
    TypeMismatch,
    Used,
)
from stemsplitter.uploads.models import RECEIVED, RECEIVING, RESERVED, USED, Upload
from stemsplitter.uploads.receiving import LEASE, Incoming, IncomingChunk, check_chunk
from stemsplitter.uploads.schemas import DirectUpload

# how long a received file waits for its split, counted from the end of its reservation
KEPT = timedelta(days=1)

_TYPE = re.compile(
    r"(audio|video)/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}|application/(octet-stream|ogg|mp4|x-flac|mxf)"
)
_ID = re.compile(r"[0-9A-Za-z_]{1,32}")


@dataclass(frozen=True)
class Progress:
    """How far an upload is: of ``length`` bytes ``kept`` are here; ``key`` is that of a file that no split has taken
    yet, and ``left_s`` the seconds within which another chunk has to begin."""

    kept: int
    length: int
    is_complete: bool
    key: str | None
    left_s: int


class UploadService:
    """Reserves uploads, receives their files, and hands them to splits."""

    def __init__(self, database: Database, storage: Storage, settings: Settings) -> None:
        self._database = database
        self._storage = storage
        self._settings = settings

    def reserve(
        self, session: Session, account_id: str, filename: str, content_type: str, content_length: int
    ) -> tuple[Upload, str]:
        """A new upload and its token, which is not kept.

        Raises:
            ValidationFailed: the type is not audio or video, or the length is over the limit.
        """
        essence = media_type(content_type)
        if not _TYPE.fullmatch(essence):
            raise ValidationFailed(
                f"{content_type} is not a type of audio or video: name the file's, as audio/mpeg.",
                param="contentType",
            )
        if not 0 < content_length <= self._settings.max_source_bytes:
            raise ValidationFailed(
                f"A file has 1 to {self._settings.max_source_bytes} bytes here, not {content_length}: "
                "send a compressed one.",
                param="contentLength",
            )
        token = secrets.token_urlsafe(32)
        upload = Upload(
            account_id=account_id,
            filename=filename,
            content_type=essence,
            content_length=content_length,
            token_hash=_hash(token),
            expires_at=now() + timedelta(seconds=self._settings.upload_seconds),
        )
        session.add(upload)
        session.flush()
        return upload, token

    def direct(self, upload: Upload) -> DirectUpload | None:
        """How the file can be sent to the store itself, where it is one that takes files from clients."""
        url = self._storage.upload_url(
            direct_key(upload), upload.content_type, upload.content_length, self._settings.upload_seconds
        )
        if url is None:
            return None
        return DirectUpload(
            url=url,
            headers={"Content-Type": upload.content_type},
            file_url=self.url(upload.id),
            storage_key=direct_key(upload),
        )

    def url(self, upload_id: str) -> str:
        """Where the file is sent to; also what its split names it by."""
        return f"{self._settings.base_url}/uploads/{upload_id}"

    def begin(
        self, upload_id: str, token: str, content_type: str | None, content_length: int | None
    ) -> Incoming:
        """Begin to receive a file; type and length are what the request says, where it does.

        Raises:
            UploadError: see its subclasses; nothing has changed then.
        """
        with self._database.write() as session:
            upload = _find(session, upload_id, token)
            _check(upload, content_type, content_length)
            attempt = _attempt(session, upload_id)
        return Incoming(self._database, self._storage, upload, attempt)

    def progress(self, upload_id: str, token: str) -> Progress:
        """How much of the file is kept.

        Raises:
            TokenInvalid: there is no such upload, or its token is another.
            Expired: it is over, without a file.
        """
        with self._database.read() as session:
            upload = _find(session, upload_id, token)
        is_complete = upload.status in (RECEIVED, USED)
        if not is_complete:
            _check(upload, None, None)
        return Progress(
            kept=upload.content_length if is_complete else upload.kept,
            length=upload.content_length,
            is_complete=is_complete,
            key=upload.storage_key if upload.status == RECEIVED else None,
            left_s=max(0, int((upload.expires_at - now()).total_seconds())),
        )

    def begin_chunk(
        self, upload_id: str, token: str, offset: int, is_last: bool, size: int | None
    ) -> IncomingChunk:
        """Begin to receive the bytes from ``offset`` on, ``size`` of them where the request says so.

        Raises:
            UploadError: see its subclasses; nothing has changed then.
        """
        with self._database.write() as session:
            upload = _find(session, upload_id, token)
            _check(upload, None, None)
            if upload.status == RESERVED and upload.kept == offset and size is not None:
                check_chunk(upload, offset, size, is_last)
            attempt = repository.begin(session, upload_id, now(), now() + LEASE, kept=offset)
            if attempt is None:
                session.refresh(upload)
                if upload.kept != offset and upload.status == RESERVED:
                    raise OffsetMismatch(offset, upload.kept)
                raise _in_progress()
        return IncomingChunk(self._database, self._storage, upload, attempt, offset, is_last)

    def begin_joining(self, upload_id: str, token: str) -> tuple[Incoming, Iterator[bytes]]:
        """Begin to make one file of the chunks, all of which are kept: what takes it, and what is in them.

        The latter raises Incomplete where chunks are gone; then none are kept any more.

        Raises:
            TokenInvalid: there is no such upload any more.
            InProgress: another request does so, or has.
        """
        with self._database.write() as session:
            upload = _find(session, upload_id, token)
            attempt = _attempt(session, upload_id, kept=upload.content_length)
        incoming = Incoming(self._database, self._storage, upload, attempt)
        return incoming, self._joined(upload, attempt)

    def _joined(self, upload: Upload, attempt: int) -> Iterator[bytes]:
        found = chunks.in_order(self._storage, upload.id, upload.content_length)
        if found is None:
            with self._database.write() as session:
                repository.lose_chunks(session, upload.id, attempt)
            raise Incomplete("Chunks of this file are gone from the store: send it again from its beginning.")
        yield from chunks.read(self._storage, found)

    def claim_for_split(
        self,
        session: Session,
        account_id: str,
        upload_id: str,
        file_url: str,
        storage_key: str,
        sha256: str | None = None,
    ) -> Upload:
        """Take a file for a split, in the transaction that makes it.

        Where it was sent to the store itself, ``sha256`` is that of the copy which is the split's source.

        Raises what :meth:`find_for_split` does.
        """
        upload = self.find_for_split(session, account_id, upload_id, file_url, storage_key)
        used = (
            repository.use(session, upload_id)
            if sha256 is None
            else repository.use_direct(session, upload_id, sha256)
        )
        if not used:
            raise _taken(upload_id)
        return upload

    def find_for_split(
        self, session: Session, account_id: str, upload_id: str, file_url: str, storage_key: str
    ) -> Upload:
        """A file that a split may take: received, or maybe sent to the store itself (:func:`is_direct`), where nobody
        has looked yet.

        Raises:
            ValidationFailed: the account has no such upload, nothing was sent to it, or URL and key are not its own.
            Conflict: another split has taken it.
        """
        upload = repository.find(session, upload_id) if _ID.fullmatch(upload_id) else None
        if upload is None or upload.account_id != account_id:
            raise ValidationFailed(
                "There is no such upload: reserve one and send the file first.", param="input.uploadId"
            )
        if upload.status == USED:
            raise _taken(upload_id)
        may_be_direct = is_direct(upload) and not self._storage.is_folder and now() < upload.expires_at + KEPT
        if upload.status != RECEIVED and not (may_be_direct and storage_key == direct_key(upload)):
            raise not_received(upload_id)
        for param, given, right in (
            ("fileUrl", file_url, self.url(upload_id)),
            ("storageKey", storage_key, direct_key(upload) if is_direct(upload) else upload.storage_key),
        ):
            if given != right:
                raise ValidationFailed(
                    f"{param} is not that of {upload_id}: give it as the upload answered.",
                    param=f"input.{param}",
                )
        return upload

    def remove_ended(self, limit: int = 100) -> int:
        """Forget uploads a day after they expired, with the files that no split took, and what was cut off while it was
        written. How many uploads they were.

        Where it is interrupted, the next call does the rest.
        """
        with self._database.write() as session:
            ended = repository.lock_ended(session, now() - KEPT, limit)
            for upload in ended:
                if upload.status != USED:
                    upload.status = RESERVED  # so that no split takes what is being deleted
            taken = {upload.id: upload.storage_key for upload in ended if upload.status == USED}
        for upload in ended:
            for stored in list(self._storage.list_prefix(f"uploads/{upload.id}")):
                if stored.key != taken.get(upload.id):
                    self._storage.delete(stored.key)
        with self._database.write() as session:
            repository.remove(session, [upload.id for upload in ended])
        self._storage.abort_writes()
        return len(ended)

    def forget_direct(self, upload_key: str) -> None:
        """Delete a file that was sent to the store itself, of which a split has its copy; else it is swept up later."""
        with suppress(StorageError):
            self._storage.delete(upload_key)


def direct_key(upload: Upload) -> str:
    """Where in the store a client puts the file that it sends there itself."""
    return f"uploads/{upload.id}/direct{plain_ending(upload.filename)}"


def is_direct(upload: Upload) -> bool:
    """Whether the file, if there is one, was sent to the store itself."""
    return upload.status == RESERVED


def not_received(upload_id: str) -> ValidationFailed:
    """The failure of a split whose file is not there."""
    return ValidationFailed(
        f"The file of {upload_id} was not received: send it to its uploadUrl first, or as its directUpload says.",
        param="input.uploadId",
    )


def _find(session: Session, upload_id: str, token: str) -> Upload:
    upload = repository.find(session, upload_id) if _ID.fullmatch(upload_id) else None
    if upload is None or not hmac.compare_digest(upload.token_hash, _hash(token)):
        raise TokenInvalid("The upload token is not the one of this upload: send X-Upload-Token as given.")
    return upload


def _attempt(session: Session, upload_id: str, kept: int | None = None) -> int:
    attempt = repository.begin(session, upload_id, now(), now() + LEASE, kept)
    if attempt is None:
        raise _in_progress()
    return attempt


def _in_progress() -> InProgress:
    return InProgress("Another request is sending this file: wait for it, or reserve another upload.")


def _check(upload: Upload, content_type: str | None, content_length: int | None) -> None:
    if upload.status in (RECEIVED, USED):
        raise Used("This file was received already: reserve another upload for another file.")
    if upload.expires_at <= now() and upload.status != RECEIVING:
        raise Expired("The time to send this file is over: reserve another upload.")
    if content_length is not None and content_length != upload.content_length:
        raise LengthMismatch(
            f"The request has {content_length} bytes and {upload.content_length} were reserved: send the file "
            "that was reserved, or reserve another upload."
        )
    if content_type and media_type(content_type) != upload.content_type:
        raise TypeMismatch(
            f"The request's type is {content_type} and {upload.content_type} was reserved: send the same."
        )


def media_type(content_type: str) -> str:
    """A media type without its parameters (RFC 9110 §8.3.1)."""
    return content_type.partition(";")[0].strip().lower()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _taken(upload_id: str) -> Conflict:
    return Conflict(f"Another split has taken the file of {upload_id}: upload it again for another split.")
