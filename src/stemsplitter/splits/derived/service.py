"""Service of derived files: request, find, list and expire them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from stemsplitter.audio.formats import STEM_FILE, OutputFormat
from stemsplitter.audio.previews import CODECS
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.quotas.service import Quotas
from stemsplitter.rate_limits.service import RateLimits
from stemsplitter.service_errors import Busy, NotFound, RateLimited
from stemsplitter.settings import Settings
from stemsplitter.splits.derived import content, repository
from stemsplitter.splits.derived.content import (
    ARCHIVE,
    BACKGROUND,
    MIX,
    NI_STEM_FILE,
    PREVIEWS,
    Content,
    Fader,
)
from stemsplitter.splits.derived.models import FAILED, SUCCEEDED, UNFINISHED, DerivedFile, derived_key
from stemsplitter.splits.derived.schemas import FileError, FileView, MixView
from stemsplitter.splits.formats import output_format
from stemsplitter.splits.models import Split
from stemsplitter.splits.service import SplitService
from stemsplitter.splits.sizes import MAX_CHANNELS, previews_bytes, stem_bytes
from stemsplitter.storage import Storage

RETRY_SECONDS = 60  # after a file could not be made
_STEM_FILE_FORMAT = OutputFormat.parse("m4a:256")
_STEM_FILE_TRACKS = 5


@dataclass(frozen=True)
class Download:
    """A stored file: storage key, media type, file name for the client, and the seconds that links to it are valid."""

    key: str
    mime: str
    filename: str
    seconds: float


class DerivedFiles:
    """Files made from the masters of splits. A worker makes them: see :mod:`stemsplitter.splits.derived.maker`."""

    def __init__(
        self,
        database: Database,
        splits: SplitService,
        storage: Storage,
        quotas: Quotas,
        rate_limits: RateLimits,
        settings: Settings,
    ) -> None:
        self._database, self._splits, self._storage = database, splits, storage
        self._quotas, self._rate_limits, self._settings = quotas, rate_limits, settings

    def stem(
        self,
        account_id: str,
        split_id: str,
        name: str,
        format: str | None,
        bit_depth: str | None = None,
        bitrate: int | None = None,
    ) -> Download | FileView:
        """Return a stem, or the complement of one, in any format; a :class:`FileView` while it is made.

        Raises:
            NotFound: the account has no such split, or the split no such stem.
            Conflict: the split has not succeeded.
            ValidationFailed: the format does not exist.
            RateLimited: the file does not exist, and the account has created too many things in a minute, or too many
                of its files are waiting.
            QuotaExceeded, Busy: the account or the disk has too little space.
        """
        split = self._splits.succeeded(account_id, split_id)
        fmt = content.requested_format(split, format, bit_depth, bitrate)
        wanted = content.stem(split, name, fmt)
        stored = _stored(split, name, fmt)
        if stored is not None:
            key, mime = stored["key"], stored["mime"]
            return Download(key, mime, wanted.filename(split), self._settings.stem_url_seconds)
        return self._result(split, wanted)

    def archive(
        self,
        account_id: str,
        split_id: str,
        format: str | None,
        bit_depth: str | None = None,
        bitrate: int | None = None,
    ) -> Download | FileView | None:
        """Return an archive of all stems, or with the format ``stem.mp4`` a Stem file; None if the stems have that
        format. Raises like :meth:`stem`."""
        split = self._splits.succeeded(account_id, split_id)
        if format == STEM_FILE:
            return self._result(split, content.stem_file(split))
        fmt = content.requested_format(split, format, bit_depth, bitrate)
        if str(fmt) == output_format(split):
            return None
        return self._result(split, content.archive(split, fmt))

    def mix(
        self,
        account_id: str,
        split_id: str,
        faders: Mapping[str, Fader],
        fmt: OutputFormat,
        speed: float = 1.0,
        semitones: float = 0.0,
    ) -> MixView:
        """Request a mix of the split's stems; those without a fader are unchanged. Raises like :meth:`stem`."""
        split = self._splits.succeeded(account_id, split_id)
        wanted = content.mix(split, faders, fmt, speed, semitones)
        return self._mix_view(split, self._requested(split, wanted))

    def mix_levels(
        self,
        account_id: str,
        split_id: str,
        gains: Mapping[str, float | None],
        pan: Mapping[str, float],
        format: str | None,
        bit_depth: str | int | None,
        bitrate: int | None,
    ) -> MixView:
        """Request a mix by the gains in dB, null for a stem that is left out, and the pan positions. Raises like
        :meth:`stem`."""
        split = self._splits.succeeded(account_id, split_id)
        fmt = content.requested_format(split, format, bit_depth, bitrate)
        return self.mix(account_id, split_id, content.faders(split, gains, pan), fmt)

    def stem_file(self, account_id: str, split_id: str) -> FileView:
        """Request the Native Instruments Stem file. Raises like :meth:`stem`."""
        split = self._splits.succeeded(account_id, split_id)
        return self._view(split, self._requested(split, content.stem_file(split)))

    def get_mix(self, account_id: str, split_id: str, mix_id: str) -> MixView:
        """Return a mix. Raises NotFound, Conflict."""
        split = self._splits.succeeded(account_id, split_id)
        file = self._find(split, mix_id)
        if file.kind != MIX:
            raise _not_found(mix_id)
        return self._mix_view(split, file)

    def mixes(
        self, account_id: str, split_id: str, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[MixView], str | None]:
        """Return a page of the split's mixes, newest first, and the next cursor. Raises NotFound, Conflict."""
        split = self._splits.succeeded(account_id, split_id)
        with self._database.read() as session:
            found, after = repository.mixes(session, split_id, limit=limit, cursor=cursor)
        return [self._mix_view(split, file) for file in found], after

    def get(self, account_id: str, split_id: str, file_id: str) -> FileView:
        """Return a file of any kind. Raises NotFound, Conflict."""
        split = self._splits.succeeded(account_id, split_id)
        return self._view(split, self._find(split, file_id))

    def find(self, account_id: str, split_id: str, name: str) -> Download:
        """Return the split's file with that name: a stem (``vocals.mp3``) or the id of a derived file.

        Raises:
            NotFound: it does not exist, is not made yet, or was deleted.
            Conflict: the split has not succeeded.
        """
        split = self._splits.succeeded(account_id, split_id)
        for stem, stored in (split.stems or {}).items():
            if name == f"{stem}.{stored['key'].rpartition('.')[2]}":
                wanted = content.stem(split, stem, OutputFormat.parse(output_format(split)))
                seconds = self._settings.stem_url_seconds
                return Download(stored["key"], stored["mime"], wanted.filename(split), seconds)
        file = self._find(split, name)
        if file.status != SUCCEEDED:
            raise _not_found(name)
        return _download(split, file)

    def previews(self, account_id: str, split_id: str, codec: str) -> str | FileView | None:
        """Return the storage folder of the previews in a codec, which contains their index and the files that it names.

        A :class:`FileView` while they are made, None if they cannot be made. Those in another codec than the default
        are made on the first request. All are kept as long as the split.

        Raises:
            NotFound: the account has no such split, or the codec is unknown.
            Conflict: the split has not succeeded.
            RateLimited: they are new, and the account has created too many things in a minute.
            QuotaExceeded, Busy: the account or the disk has too little space.
        """
        split = self._splits.succeeded(account_id, split_id)
        if codec not in CODECS:
            raise NotFound(f"There are no previews in {codec[:20]}: choose {' or '.join(CODECS)}.")
        wanted = content.previews(split, codec)
        with self._database.read() as session:
            file = repository.of_content(session, split.id, wanted.digest)
        if file is None:
            file = self._requested(split, wanted, is_read=True)
        if file.status == FAILED:
            return None
        return derived_key(split.id, file.id) if file.status == SUCCEEDED else self._view(split, file)

    def expire(self, limit: int) -> int:
        """Remove at most ``limit`` files past their retention. Returns their number."""
        with self._database.write() as session:
            expired = [file for file in repository.expired(session, limit) if self._remove(session, file)]
        return len(expired)

    def _result(self, split: Split, wanted: Content) -> Download | FileView:
        file = self._requested(split, wanted, is_read=True)
        return _download(split, file) if file.status == SUCCEEDED else self._view(split, file)

    def _requested(self, split: Split, wanted: Content, *, is_read: bool = False) -> DerivedFile:
        """Return the file of a content; queue it if it does not exist.

        A request that ``is_read`` was counted as one that reads, so a new file is counted here.
        """
        with self._database.read() as session:
            file = repository.of_content(session, split.id, wanted.digest)
        expires_at = now() + timedelta(seconds=self._settings.derived_file_seconds)
        if file is not None and file.status == SUCCEEDED:
            if file.expires_at < now() + timedelta(seconds=self._settings.derived_file_seconds / 2):
                with self._database.write() as session:
                    repository.extend(session, file.id, expires_at)
                file.expires_at = expires_at
            return file
        if file is not None and file.status in UNFINISHED:
            return file
        if is_read:
            self._rate_limits.check(split.account_id, self._rate_limits.create)
        with self._database.write() as session:
            return self._queue(session, split, wanted)

    def _queue(self, session: Session, split: Split, wanted: Content) -> DerivedFile:
        self._quotas.lock(session, split.account_id)  # one request of an account at a time
        file = repository.of_content(session, split.id, wanted.digest)
        if file is not None and file.status != FAILED:
            return file
        if file is not None:
            if file.finished_at and now() < file.finished_at + timedelta(seconds=RETRY_SECONDS):
                raise Busy("This file could not be made: try again in a minute.", "files", RETRY_SECONDS)
            repository.remove(session, file)
        if wanted.kind != PREVIEWS:
            self._check_queue(session, split.account_id)
            self._make_room(session, split.id)
        kept_until = now() + timedelta(seconds=self._settings.derived_file_seconds)
        file = repository.add(
            session, split, wanted, split.expires_at if wanted.kind == PREVIEWS else kept_until
        )
        # while it is made there is a temporary file as well
        self._quotas.reserve(
            session, split.account_id, split.id, 2 * self._largest(split, wanted), name=file.id
        )
        return file

    def _largest(self, split: Split, wanted: Content) -> int:
        """Return the largest size of a file."""
        if wanted.kind == PREVIEWS:
            return previews_bytes(len(wanted.levels), split.duration_seconds)
        fmt = _STEM_FILE_FORMAT if wanted.kind == NI_STEM_FILE else wanted.output_format
        files = {NI_STEM_FILE: _STEM_FILE_TRACKS, ARCHIVE: len(wanted.levels)}.get(wanted.kind, 1)
        rate = self._settings.max_sample_rate
        seconds = math.ceil(split.duration_seconds / wanted.speed)
        return files * stem_bytes(fmt, rate, MAX_CHANNELS, seconds, split.source_bytes)

    def _check_queue(self, session: Session, account_id: str) -> None:
        limit = self._settings.max_queued_files
        if repository.count_unfinished(session, account_id) >= limit:
            raise RateLimited(
                f"{limit} of your files are waiting: request more when some are made.", "queued files"
            )

    def _make_room(self, session: Session, split_id: str) -> None:
        """Remove the files that expire first where the split would have too many."""
        files = repository.of_split(session, split_id)
        finished = [file for file in files if file.status not in UNFINISHED]
        excess = max(len(files) + 1 - self._settings.max_derived_files, 0)
        for file in finished[:excess]:
            self._remove(session, file)

    def _remove(self, session: Session, file: DerivedFile) -> bool:
        """Delete the row; maintenance deletes the stored file with its bytes, which count until then."""
        removed = repository.remove(session, file)
        if removed:
            self._quotas.expire(session, file.split_id, file.id)
        return removed

    def _find(self, split: Split, file_id: str) -> DerivedFile:
        with self._database.read() as session:
            file = repository.find(session, file_id)
        if file is None or file.split_id != split.id or file.kind in BACKGROUND:
            raise _not_found(file_id)
        return file

    def _view(self, split: Split, file: DerivedFile) -> FileView:
        return FileView.model_validate(self._values(split, file))

    def _mix_view(self, split: Split, file: DerivedFile) -> MixView:
        levels = Content.load(file.content).levels
        gains: dict[str, float | None] = dict.fromkeys(split.masters or {})
        gains |= {level.stem: level.gain_db for level in levels}
        pan = {level.stem: level.pan for level in levels if level.pan}
        return MixView.model_validate({**self._values(split, file), "gains": gains, "pan": pan})

    def _values(self, split: Split, file: DerivedFile) -> dict[str, object]:
        made = Content.load(file.content)
        url = None
        if file.status == SUCCEEDED:
            found = _download(split, file)
            url = self._storage.signed_url(found.key, found.filename, found.mime, found.seconds)
        failed = FileError(code="SERVER_ERROR", message="The file could not be made: try again later.")
        return {
            "id": file.id,
            "status": file.status,
            "filename": made.filename(split),
            "format": made.format or STEM_FILE,
            "size": file.size,
            "peak": file.peak,
            "gain": file.gain,
            "created_at": file.created_at,
            "expires_at": file.expires_at,
            "url": url,
            "error": failed if file.status == FAILED else None,
        }


def _stored(split: Split, name: str, fmt: OutputFormat) -> Mapping[str, str] | None:
    """Return the stem or the master of that name if it has this format."""
    own = (split.stems or {}).get(name)
    if own is not None and str(fmt) == output_format(split):
        return own
    master = (split.masters or {}).get(name)
    is_flac = master is not None and master["mime"] == "audio/flac"
    return master if is_flac and str(fmt) == "flac24" else None


def _download(split: Split, file: DerivedFile) -> Download:
    made = Content.load(file.content)
    seconds = max((file.expires_at - now()).total_seconds(), 0)
    return Download(derived_key(split.id, file.id), made.mime, made.filename(split), seconds)


def _not_found(name: str) -> NotFound:
    return NotFound(f"The split has no file {name[:40]}, or it was deleted: request it again.")
