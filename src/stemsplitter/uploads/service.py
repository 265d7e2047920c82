"""Service of uploads: reserve, receive, and use by one split."""

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
from stemsplitter.quotas.service import Quotas
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

# a received file is kept for this long after its reservation expired
RETENTION = timedelta(days=1)

_TYPE = re.compile(
    r"(audio|video)/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}|application/(octet-stream|ogg|mp4|x-flac|mxf)"
)
_ID = re.compile(r"[0-9A-Za-z_]{1,32}")


@dataclass(frozen=True)
class Progress:
    """Progress of an upload: ``kept`` of ``length`` bytes are received. ``key`` is the storage key of a received file
    that no split uses, and ``left_s`` the seconds until the reservation expires."""

    kept: int
    length: int
    is_complete: bool
    key: str | None
    left_s: int


class UploadService:
    """Reserves uploads, receives their files, and marks them as used by splits."""

    def __init__(self, database: Database, storage: Storage, settings: Settings, quotas: Quotas) -> None:
        self._database = database
        self._storage = storage
        self._settings = settings
        self._quotas = quotas

    def reserve(
        self, session: Session, account_id: str, filename: str, content_type: str, content_length: int
    ) -> tuple[Upload, str]:
        """Create an upload and return it with its token, which is stored as a hash.

        Raises:
            ValidationFailed: the type is not audio or video, or the length exceeds the limit.
            QuotaExceeded, Busy: the account or the disk has too little space.
        """
        essence = media_type(content_type)
        if not _TYPE.fullmatch(essence):
            raise ValidationFailed(
                f"{content_type} is not a media type of audio or video: send the file's type, such as audio/mpeg.",
                param="contentType",
            )
        if not 0 < content_length <= self._settings.max_source_bytes:
            raise ValidationFailed(
                f"A file must have 1 to {self._settings.max_source_bytes} bytes, not {content_length}: "
                "send a compressed file.",
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
        self._quotas.reserve(session, account_id, upload.id, content_length)
        return upload, token

    def direct(self, upload: Upload) -> DirectUpload | None:
        """Return how to send the file directly to the storage; None if the storage does not support it."""
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
        """Return the upload URL, which is also the `fileUrl` of a split."""
        return f"{self._settings.base_url}/uploads/{upload_id}"

    def begin(
        self, upload_id: str, token: str, content_type: str | None, content_length: int | None
    ) -> Incoming:
        """Start to receive a file; ``content_type`` and ``content_length`` are those of the request, if it has them.

        Raises:
            UploadError: one of its subclasses; nothing was changed.
        """
        with self._database.write() as session:
            upload = _find(session, upload_id, token)
            _check(upload, content_type, content_length)
            attempt = _attempt(session, upload)
        return self._incoming(upload, attempt)

    def progress(self, upload_id: str, token: str) -> Progress:
        """Return the progress of the upload.

        Raises:
            TokenInvalid: the upload does not exist, or the token is wrong.
            Expired: the reservation expired before the file was received.
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
        """Start to receive a chunk, the bytes from ``offset``; ``size`` is that of the request, if it has one.

        Raises:
            UploadError: one of its subclasses; nothing was changed.
            QuotaExceeded, Busy: as in :meth:`reserve`.
        """
        with self._database.write() as session:
            upload = _find(session, upload_id, token)
            _check(upload, None, None)
            if upload.status == RESERVED and upload.kept == offset and size is not None:
                check_chunk(upload, offset, size, is_last)
            attempt = repository.start(session, upload_id, now(), now() + LEASE, kept=offset)
            if attempt is None:
                session.refresh(upload)
                if upload.kept != offset and upload.status == RESERVED:
                    raise OffsetMismatch(offset, upload.kept)
                raise _in_progress(upload)
            if offset == 0:
                # while chunks are joined, they are stored beside the file
                self._quotas.reserve(session, upload.account_id, upload_id, 2 * upload.content_length)
        return IncomingChunk(self._database, self._storage, self._quotas, upload, attempt, offset, is_last)

    def begin_joining(self, upload_id: str, token: str) -> tuple[Incoming, Iterator[bytes]]:
        """Start to join the chunks to one file. Returns its receiver, and the content of the chunks.

        Iterating over the content raises Incomplete if chunks are missing; all are discarded then.

        Raises:
            TokenInvalid: the upload no longer exists.
            InProgress: another request joins the chunks, or has joined them.
        """
        with self._database.write() as session:
            upload = _find(session, upload_id, token)
            attempt = _attempt(session, upload, kept=upload.content_length)
        return self._incoming(upload, attempt), self._joined(upload, attempt)

    def _incoming(self, upload: Upload, attempt: int) -> Incoming:
        return Incoming(self._database, self._storage, self._quotas, upload, attempt)

    def _joined(self, upload: Upload, attempt: int) -> Iterator[bytes]:
        found = chunks.in_order(self._storage, upload.id, upload.content_length)
        if found is None:
            with self._database.write() as session:
                repository.lose_chunks(session, upload.id, attempt)
            chunks.delete(self._storage, upload.id)
            raise Incomplete("Chunks of this file are missing in the storage: send it again from the start.")
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
        """Mark a file as used by a split, in the transaction that creates it.

        If it was sent directly to the storage, ``sha256`` is that of the copy that is the split's source.

        Raises like :meth:`find_for_split`.
        """
        upload = self.find_for_split(session, account_id, upload_id, file_url, storage_key)
        used = (
            repository.use(session, upload_id)
            if sha256 is None
            else repository.use_direct(session, upload_id, sha256)
        )
        if not used:
            raise _used(upload_id)
        if sha256 is None:
            # its bytes are those of the split now; a client can overwrite a file that it sent directly
            self._quotas.release(session, upload_id)
        return upload

    def find_for_split(
        self, session: Session, account_id: str, upload_id: str, file_url: str, storage_key: str
    ) -> Upload:
        """Return an upload that a split may use: received, or possibly sent directly to the storage
        (:func:`is_direct`), which is not checked yet.

        Raises:
            ValidationFailed: the account has no such upload, its file was not received, or URL or key are wrong.
            Conflict: another split uses it.
        """
        upload = repository.find(session, upload_id) if _ID.fullmatch(upload_id) else None
        if upload is None or upload.account_id != account_id:
            raise ValidationFailed(
                "This upload does not exist: reserve one and send the file first.", param="input.uploadId"
            )
        if upload.status == USED:
            raise _used(upload_id)
        may_be_direct = (
            is_direct(upload) and not self._storage.is_folder and now() < upload.expires_at + RETENTION
        )
        if upload.status != RECEIVED and not (may_be_direct and storage_key == direct_key(upload)):
            raise not_received(upload_id)
        for param, value, expected in (
            ("fileUrl", file_url, self.url(upload_id)),
            ("storageKey", storage_key, direct_key(upload) if is_direct(upload) else upload.storage_key),
        ):
            if value != expected:
                raise ValidationFailed(
                    f"{param} does not belong to {upload_id}: send the value of the upload's response.",
                    param=f"input.{param}",
                )
        return upload

    def delete_expired(self, limit: int = 100) -> int:
        """Delete uploads a day after they expired, with unused files and interrupted writes. Returns their number.

        An upload to a folder that was not received is deleted as soon as no request can send it any more.

        If it is interrupted, the next call completes it.
        """
        before = unsent_before = now() - RETENTION
        if self._storage.is_folder:
            # a request that began in time may send for as long as the reservation was valid
            unsent_before = max(before, now() - timedelta(seconds=self._settings.upload_seconds) - LEASE)
        with self._database.write() as session:
            expired = repository.lock_expired(session, before, unsent_before, limit)
            for upload in expired:
                if upload.status != USED:
                    upload.status = RESERVED  # so that no split can use it
            used = {upload.id: upload.storage_key for upload in expired if upload.status == USED}
        for upload in expired:
            for stored in list(self._storage.list_prefix(f"uploads/{upload.id}")):
                if stored.key != used.get(upload.id):
                    self._storage.delete(stored.key)
        with self._database.write() as session:
            repository.remove(session, [upload.id for upload in expired])
            self._quotas.release(session, *(upload.id for upload in expired))
        self._storage.abort_writes()
        return len(expired)

    def delete_direct(self, upload_key: str) -> None:
        """Delete a file sent directly to the storage after a split has copied it; on failure, maintenance does."""
        with suppress(StorageError):
            self._storage.delete(upload_key)


def direct_key(upload: Upload) -> str:
    """Return the storage key of a file that the client sends directly to the storage."""
    return f"uploads/{upload.id}/direct{plain_ending(upload.filename)}"


def is_direct(upload: Upload) -> bool:
    """Return true if the file, if it exists, was sent directly to the storage."""
    return upload.status == RESERVED


def not_received(upload_id: str) -> ValidationFailed:
    """Return the error of a split whose file was not received."""
    return ValidationFailed(
        f"The file of {upload_id} was not received: send it to its uploadUrl first, or as its directUpload says.",
        param="input.uploadId",
    )


def _find(session: Session, upload_id: str, token: str) -> Upload:
    upload = repository.find(session, upload_id) if _ID.fullmatch(upload_id) else None
    if upload is None or not hmac.compare_digest(upload.token_hash, _hash(token)):
        raise TokenInvalid("The upload token is wrong: send the X-Upload-Token of the reservation.")
    return upload


def _attempt(session: Session, upload: Upload, kept: int | None = None) -> int:
    attempt = repository.start(session, upload.id, now(), now() + LEASE, kept)
    if attempt is None:
        raise _in_progress(upload)
    return attempt


def _in_progress(upload: Upload) -> InProgress:
    left = (upload.receiving_until or now()) - now()
    return InProgress(
        "Another request is sending this file: wait for it, or reserve another upload.",
        max(1, round(left.total_seconds())),
    )


def _check(upload: Upload, content_type: str | None, content_length: int | None) -> None:
    if upload.status in (RECEIVED, USED):
        raise Used("This file has already been received: reserve another upload for another file.")
    if upload.expires_at <= now() and upload.status != RECEIVING:
        raise Expired("This upload has expired: reserve another upload.")
    if content_length is not None and content_length != upload.content_length:
        raise LengthMismatch(
            f"The request has {content_length} bytes and {upload.content_length} were reserved: send the "
            "reserved file, or reserve another upload."
        )
    if content_type and media_type(content_type) != upload.content_type:
        raise TypeMismatch(
            f"The request's type is {content_type} and {upload.content_type} was reserved: send the reserved type."
        )


def media_type(content_type: str) -> str:
    """Return a media type without its parameters (RFC 9110 §8.3.1)."""
    # a client that sends the header twice may join both values with a comma
    return re.split("[;,]", content_type, maxsplit=1)[0].strip().lower()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _used(upload_id: str) -> Conflict:
    return Conflict(f"Another split uses the file of {upload_id}: upload it again for another split.")
