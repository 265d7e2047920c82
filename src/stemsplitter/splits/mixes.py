"""Mixes and Stem files of a split, rendered on request and cached in the storage."""

import dataclasses
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.formats import OutputFormat, known_names
from stemsplitter.audio.mixing import Mixed, Part, write_mix
from stemsplitter.audio.nistem import EXTENSION, STEMS
from stemsplitter.audio.tags import Tags
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.errors import RequestError
from stemsplitter.files.temporary import temporary_folder
from stemsplitter.library.outputs import StemFile
from stemsplitter.quotas.service import Quotas
from stemsplitter.service_errors import NotFound, RateLimited, ValidationFailed
from stemsplitter.settings import Settings
from stemsplitter.splits.models import Split, mixes_folder
from stemsplitter.splits.service import SplitService
from stemsplitter.splits.sizes import stem_bytes
from stemsplitter.splits.stem_file import STEM_FILE, can_have_stem_file, write_stem_file
from stemsplitter.storage import Storage
from stemsplitter.storage.errors import FileMissing

LOWEST_DB, HIGHEST_DB = -60.0, 12.0
RENDERED_AT_ONCE = 2
WAIT_SECONDS = 30.0
TRACKS = len(STEMS) + 1  # with the mixture

Written = TypeVar("Written")


@dataclass(frozen=True)
class Fader:
    """Settings of a stem: gain in dB, -60 to 12; pan from -1 (left) to 1 (right).

    If any stem is solo, only solo stems are audible, muted or not.
    """

    gain_db: float = 0.0
    pan: float = 0.0
    muted: bool = False
    solo: bool = False


@dataclass(frozen=True)
class Rendered:
    """A file that :meth:`Mixes.find` finds, with its size in bytes.

    ``peak`` and ``gain`` are those of :class:`~stemsplitter.audio.mixing.Mixed`; 0 and 1 for a .stem.mp4.
    """

    name: str
    size: int
    peak: float = 0.0
    gain: float = 1.0


@dataclass(frozen=True)
class Download:
    """A stored file of a split: storage key, media type, and file name for the client."""

    key: str
    mime: str
    filename: str


class Mixes:
    """Renders mixes, at most two at a time: each uses a core for some seconds."""

    def __init__(
        self,
        database: Database,
        splits: SplitService,
        storage: Storage,
        quotas: Quotas,
        settings: Settings,
    ) -> None:
        self._database, self._splits, self._storage = database, splits, storage
        self._quotas, self._settings = quotas, settings
        self._slots = threading.BoundedSemaphore(RENDERED_AT_ONCE)

    def render(self, account_id: str, split_id: str, faders: Mapping[str, Fader], format: str) -> Rendered:
        """Mix the split's stems as ``faders`` say, those without one as they are, into any output format.

        Raises:
            NotFound: the account has no such split.
            Conflict: it has not succeeded.
            ValidationFailed: a stem, a setting or the format does not exist, or every stem is muted.
            RateLimited: too many mixes are being rendered.
            QuotaExceeded, Busy: the account or the disk has too little space.
        """
        split = self._splits.succeeded(account_id, split_id)
        audible = _audible(split, faders)
        fmt = _output_format(format)
        digest = hashlib.sha256(
            json.dumps([audible, format], default=asdict, sort_keys=True).encode()
        ).hexdigest()
        name = f"mix-{digest[:16]}.{fmt.extension}"

        def write(stems: Mapping[str, Path], folder: Path, tags: Tags) -> Mixed:
            parts = [Part(stems[stem], fader.gain_db, fader.pan) for stem, fader in audible.items()]
            return write_mix(parts, folder / name, fmt, tags)

        mixed, size = self._made(split, list(audible), name, fmt, write)
        return Rendered(name, size, mixed.peak, mixed.gain)

    def render_stem_file(self, account_id: str, split_id: str) -> Rendered:
        """Write the stems to one Native Instruments Stem file, for DJ software.

        Raises:
            NotFound: the account has no such split.
            Conflict: it has not succeeded.
            ValidationFailed: it does not have all stems of 4s or 6s.
            RateLimited: too many mixes are being rendered.
            QuotaExceeded, Busy: the account or the disk has too little space.
        """
        split = self._splits.succeeded(account_id, split_id)
        if not can_have_stem_file(split.stem_model, split.requested_stems):
            raise ValidationFailed(
                "A .stem.mp4 needs all stems of 4s or 6s: split the song with one of these.", param="format"
            )
        fmt = OutputFormat.parse(f"m4a:{StemFile.BITRATE}")
        _, size = self._made(split, split.requested_stems, STEM_FILE, fmt, write_stem_file, TRACKS)
        return Rendered(STEM_FILE, size)

    def find(self, account_id: str, split_id: str, name: str) -> Download:
        """Return the split's file with that name: a stem (``vocals.mp3``), a mix or a Stem file.

        Raises:
            NotFound: it does not exist, or was deleted.
            Conflict: the split has not succeeded.
        """
        split = self._splits.succeeded(account_id, split_id)
        song = Path(split.filename).stem
        for stem, stored in (split.stems or {}).items():
            ending = stored["key"].rpartition(".")[2]
            if name == f"{stem}.{ending}":
                return Download(stored["key"], stored["mime"], f"{song} ({stem}).{ending}")
        key = f"{mixes_folder(split_id)}/{name}"
        try:
            self._storage.size(key)
        except (FileMissing, ValueError) as error:
            raise NotFound("This file does not exist or was deleted: mix it again.") from error
        if name.endswith(EXTENSION):
            return Download(key, "audio/mp4", f"{song}.{EXTENSION}")
        fmt = OutputFormat.parse(name.rpartition(".")[2])
        return Download(key, fmt.mime, f"{song} (mix).{fmt.extension}")

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(timeout=WAIT_SECONDS):
            raise RateLimited("Too many mixes are being rendered: try again in a minute.", "mixes")
        try:
            yield
        finally:
            self._slots.release()

    @contextmanager
    def _stems(self, split: Split, names: Sequence[str]) -> Iterator[dict[str, Path]]:
        with ExitStack() as stack:
            stored = split.stems or {}
            yield {name: stack.enter_context(self._storage.local_file(stored[name]["key"])) for name in names}

    def _made(
        self,
        split: Split,
        stems: Sequence[str],
        name: str,
        fmt: OutputFormat,
        write: Callable[[Mapping[str, Path], Path, Tags], Written],
        tracks: int = 1,
    ) -> tuple[Written, int]:
        """Write a file called ``name`` and store it within the account's quota. Returns the result of ``write`` and the
        size in bytes."""
        key = f"{mixes_folder(split.id)}/{name}"
        with self._slot(), self._stems(split, stems) as paths:
            first = next(iter(paths.items()))
            with open_source(first[1]) as source:
                info = source.info
            largest = tracks * stem_bytes(
                fmt, info.sample_rate, info.channels, split.duration_seconds, split.source_bytes
            )
            self._reserve(split, name, 2 * largest)  # the temporary file and its copy
            try:
                with temporary_folder() as folder:
                    written = write(paths, folder, _song_tags(first[0], info.tags))
                    size = self._storage.put_file(key, folder / name, fmt.mime, name)
                with self._database.write() as session:
                    is_kept = self._quotas.record(session, split.id, size, name=name)
                if not is_kept:
                    raise NotFound(f"The split {split.id} was deleted: create another one.")
            except BaseException:
                self._storage.delete(key)
                with self._database.write() as session:
                    self._quotas.release_name(session, split.id, name)
                raise
        return written, size

    def _reserve(self, split: Split, name: str, size: int) -> None:
        """Reserve the bytes of a mix, and delete the mixes that expire first where the split would have too many."""
        with self._database.read() as session:
            others = [other for other in self._quotas.names(session, split.id) if other != name]
        excess = others[: max(len(others) + 1 - self._settings.max_mixes, 0)]
        for other in excess:
            self._storage.delete(f"{mixes_folder(split.id)}/{other}")
        expires_at = now() + timedelta(seconds=self._settings.mix_seconds)
        with self._database.write() as session:
            for other in excess:
                self._quotas.release_name(session, split.id, other)
            self._quotas.reserve(session, split.account_id, split.id, size, name=name, expires_at=expires_at)


def _output_format(name: str) -> OutputFormat:
    try:
        return OutputFormat.parse(name)
    except RequestError as error:
        raise ValidationFailed(
            f"A mix can be {known_names()}, not {name[:40]}: choose one.", param="format"
        ) from error


def _audible(split: Split, faders: Mapping[str, Fader]) -> dict[str, Fader]:
    """Return the stems that the mix contains, with their settings."""
    stems = split.stems or {}
    for name, fader in faders.items():
        if name not in stems:
            raise ValidationFailed(f"The split has no stem {name}: it has {', '.join(stems)}.", param=name)
        if not LOWEST_DB <= fader.gain_db <= HIGHEST_DB or not -1 <= fader.pan <= 1:
            raise ValidationFailed(
                f"Gain must be {LOWEST_DB:g} to {HIGHEST_DB:g} dB and pan -1 to 1: correct those of {name}.",
                param=name,
            )
    settings = {name: faders.get(name, Fader()) for name in stems}
    any_solo = any(fader.solo for fader in settings.values())
    audible = {
        name: fader for name, fader in settings.items() if (fader.solo if any_solo else not fader.muted)
    }
    if not audible:
        raise ValidationFailed("Every stem is muted: unmute one.", param="muted")
    return audible


def _song_tags(name: str, tags: Tags) -> Tags:
    """Return the tags of the song, derived from those of the stem ``name``."""
    title = "" if tags.title == name else tags.title.removesuffix(f" ({name})")
    return dataclasses.replace(tags, title=title, comment="")
