"""Stored bytes of splits: rows cover the files at any time, and equal them once they are written."""

import contextlib
import os
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from stemsplitter.audio.formats import OutputFormat, variants
from stemsplitter.clock import now
from stemsplitter.fetching.fetcher import Fetcher
from stemsplitter.jobs import repository
from stemsplitter.jobs.models import FAILED, SUCCEEDED
from stemsplitter.quotas.disk import Disk
from stemsplitter.quotas.models import StoredBytes
from stemsplitter.service_errors import Busy, Conflict, NotFound, QuotaExceeded, RateLimited, ValidationFailed
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from stemsplitter.splits.derived.models import DerivedFile
from stemsplitter.splits.maintenance import SplitMaintenance
from stemsplitter.splits.models import Split, peaks_key
from stemsplitter.splits.schemas import CreateSplit
from stemsplitter.splits.sizes import previews_bytes, stem_bytes, stems_bytes
from stemsplitter.uploads.errors import UploadError
from stemsplitter.uploads.models import RECEIVED, Upload
from tests.loopback import Handler, listening
from tests.services import file_maker

from .conftest import Create

QUOTA = 14_150_000
TOOK = {"device": "cpu", "seconds": 1.5, "realtimeFactor": 0.5}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"quota_bytes": QUOTA, "free_credits": 10_000, "max_queued_splits": 20})


@pytest.fixture
def maintenance(services: Services) -> SplitMaintenance:
    return SplitMaintenance(
        services.database, services.storage, services.splits, services.derived_files, services.quotas
    )


def used(services: Services, account: str) -> int:
    with services.database.read() as session:
        return services.quotas.used(session, account)


def on_disk(services: Services) -> dict[tuple[str, str], int]:
    """Return the bytes of stored files by owner and name of a mix; a used upload counts for its split."""
    with services.database.read() as session:
        sources = {split.source_key: split.id for split in session.scalars(select(Split))}
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    for stored in services.storage.list_prefix():
        folder, owner, *rest = stored.key.split("/")
        name = rest[1] if folder == "splits" and rest[0] == "derived" else ""
        sizes[sources.get(stored.key, owner), name] += stored.size
    return sizes


def rows(services: Services) -> dict[tuple[str, str], int]:
    with services.database.read() as session:
        return {(row.owner_id, row.name): row.bytes for row in session.scalars(select(StoredBytes))}


def check(services: Services, account: str) -> None:
    """Check the invariants after a step."""
    counted, sizes = rows(services), on_disk(services)
    assert sum(counted.values()) == used(services, account) <= QUOTA
    assert {owner: size for owner, size in sizes.items() if size > counted.get(owner, 0)} == {}
    with services.database.read() as session:
        ended = select(Split.id).where(Split.status.in_((SUCCEEDED, FAILED)), Split.deleted_at.is_(None))
        received = select(Upload.id).where(Upload.status == RECEIVED)
        made = select(DerivedFile.split_id, DerivedFile.id).where(DerivedFile.status == SUCCEEDED)
        written = {(owner, "") for query in (ended, received) for owner in session.scalars(query)}
        written |= {(split_id, file_id) for split_id, file_id in session.execute(made)}
    for owner, size in counted.items():
        if owner in written:
            assert sizes[owner] == size


class Guest:
    """An account that does what it likes."""

    def __init__(
        self, services: Services, account: str, maintenance: SplitMaintenance, song: bytes, url: str
    ) -> None:
        self.services, self.account, self.maintenance = services, account, maintenance
        self.song, self.url = song, url
        self.uploads: list[tuple[Upload, str]] = []
        self.received: list[dict[str, str]] = []
        self.splits: list[str] = []

    def do(self, action: str, number: int) -> None:
        refusals = (QuotaExceeded, Conflict, NotFound, ValidationFailed, RateLimited, UploadError)
        with contextlib.suppress(*refusals):
            getattr(self, action)(number)

    def reserve(self, number: int) -> None:
        with self.services.database.write() as session:
            size = len(self.song) if number % 2 else 400_000 * number
            self.uploads.append(
                self.services.uploads.reserve(session, self.account, "song.flac", "audio/flac", size)
            )

    def send(self, number: int) -> None:
        upload, token = self._pick(self.uploads, number)
        incoming = self.services.uploads.begin(upload.id, token, None, None)
        self._receive(incoming, self.song)
        self._remember(upload, incoming.key)

    def send_chunks(self, number: int) -> None:
        upload, token = self._pick(self.uploads, number)
        half = len(self.song) // 2
        for offset, data in ((0, self.song[:half]), (half, self.song[half:])):
            is_last = offset > 0
            chunk = self.services.uploads.begin_chunk(upload.id, token, offset, is_last, None)
            self._receive(chunk, data)
            if number % 3 == 0:
                return  # the client goes away
        incoming, blocks = self.services.uploads.begin_joining(upload.id, token)
        self._receive(incoming, b"".join(blocks))
        self._remember(upload, incoming.key)

    def create(self, number: int) -> None:
        self._create(self._pick(self.received, number), number)

    def create_from_url(self, number: int) -> None:
        self._create({"type": "direct_url", "url": f"{self.url}/{number}"}, number)

    def retry(self, number: int) -> None:
        created = self.services.splits.retry(self.account, self._pick(self.splits, number))
        self.splits.append(str(created["id"]))

    def cancel(self, number: int) -> None:
        self.services.splits.cancel(self.account, self._pick(self.splits, number))

    def succeed(self, number: int) -> None:
        split_id = self._pick(self.splits, number)
        services, storage = self.services, self.services.storage
        with services.database.write() as session:
            split = repository.start(session, split_id, None, "run_1", "wrk_1")
        if split is None:
            return
        assert isinstance(split, Split)
        stems, masters = {}, {}
        for name in split.requested_stems:
            key = f"splits/{split_id}/stems/{name}.mp3"
            size = storage.put_stream(key, [bytes(50_000 + 1000 * number)], "audio/mpeg")
            stems[name] = {"key": key, "size": size, "mime": "audio/mpeg"}
            key = f"splits/{split_id}/masters/{name}.flac"
            size = storage.put_stream(key, [self.song], "audio/flac")
            masters[name] = {"key": key, "size": size, "mime": "audio/flac", "peak": 0.5}
        size = sum(file["size"] for file in (*stems.values(), *masters.values()))
        size += storage.put_stream(peaks_key(split_id), [bytes(1234)], "application/json")
        with services.database.write() as session:
            assert services.splits.endings.succeed(
                session, split_id, "run_1", {"stems": stems, "masters": masters, "processing": TOOK}, size
            )

    def mix(self, number: int) -> None:
        gains = {"vocals": None if number % 2 else -number}
        split_id = self._pick(self.splits, number)
        self.services.derived_files.mix_levels(self.account, split_id, gains, {}, "mp3", None, 32)

    def archive(self, number: int) -> None:
        self.services.derived_files.archive(self.account, self._pick(self.splits, number), "ogg")

    def preview(self, number: int) -> None:
        codec = "aac" if number % 2 else "opus"
        self.services.derived_files.previews(self.account, self._pick(self.splits, number), codec)

    def make(self, number: int) -> None:
        file_maker(self.services).make_next("wrk_1", background=number % 2 == 0)

    def delete(self, number: int) -> None:
        self.services.splits.delete(self.account, self._pick(self.splits, number))

    def expire(self, number: int) -> None:
        past = now() - timedelta(days=2)
        with self.services.database.write() as session:
            if number % 4 == 0:
                session.execute(update(Upload).values(expires_at=past))
            elif number % 4 == 1:
                session.execute(update(Split).values(expires_at=past))
            elif number % 4 == 2:
                session.execute(update(DerivedFile).values(expires_at=past))
            else:
                renewable = update(StoredBytes).where(StoredBytes.expires_at.is_not(None))
                session.execute(renewable.values(expires_at=past))
        self.services.uploads.delete_expired()
        self.maintenance.delete_expired()
        self.maintenance.delete_expired_files()

    def _create(self, given: dict[str, str], number: int) -> None:
        body = CreateSplit.model_validate({"input": given, "stemModel": ("4s", "6s")[number % 2]})
        created = self.services.splits.create(self.account, body, lambda *_: None)
        self.splits.append(str(created["id"]))

    def _receive(self, incoming: Any, data: bytes) -> None:
        try:
            incoming.write(data)
            incoming.finish()
        except UploadError:
            incoming.abandon()
            raise

    def _remember(self, upload: Upload, key: str) -> None:
        self.received.append(
            {
                "type": "uploaded_file",
                "uploadId": upload.id,
                "fileUrl": self.services.uploads.url(upload.id),
                "storageKey": key,
            }
        )

    def _pick(self, of: list[Any], number: int) -> Any:
        if not of:
            raise NotFound("There is none.")
        return of[number % len(of)]


ACTIONS = (
    "reserve", "reserve", "send", "send", "send_chunks", "create", "create", "create_from_url", "retry", "cancel",
    "succeed", "succeed", "mix", "archive", "preview", "make", "make", "delete", "expire",
)  # fmt: skip


@pytest.fixture
def site(song: Path) -> Iterator[str]:
    """A web server on loopback with the song, and with a text at every third path."""

    class Site(Handler):
        def do_GET(self) -> None:
            self.reply(body=b"no song" if int(self.path[1:]) % 3 == 0 else song.read_bytes())

    with listening(Site) as url:
        yield url


@given(steps=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 7)), max_size=25))
@hypothesis_settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_h2_rows_cover_the_files_after_any_sequence(
    services: Services, maintenance: SplitMaintenance, song: Path, site: str, steps: list[tuple[str, int]]
) -> None:
    with services.database.write() as session:
        account = services.accounts.create_account(session, f"{uuid.uuid4()}@example.org").id
    guest = Guest(services, account, maintenance, song.read_bytes(), site)
    for action, number in steps:
        guest.do(action, number)
        check(services, account)
    for split_id in guest.splits:
        guest.do("cancel", guest.splits.index(split_id))
        guest.do("delete", guest.splits.index(split_id))
    for kind in range(4):
        guest.expire(kind)
    assert used(services, account) == 0
    assert list(services.storage.list_prefix()) == []


def test_h2_split_is_refused_where_its_stems_have_no_room(
    services: Services, account: str, upload: Callable[[], dict[str, str]]
) -> None:
    given = upload()
    before = rows(services)
    body = CreateSplit.model_validate({"input": given, "outputFormat": "wav"})
    with pytest.raises(QuotaExceeded, match="delete splits"):
        services.splits.create(account, body, lambda *_: None)
    assert rows(services) == before
    smaller = CreateSplit.model_validate({"input": given, "stems": ["vocals"]})
    services.splits.create(account, smaller, lambda *_: None)


def test_h2_download_stops_at_the_quota(
    services: Services, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def download(self: Fetcher, url: str, into: Any, **_: Any) -> None:
        for _number in range(1000):
            into.write(bytes(100_000))
            read.append(100_000)

    monkeypatch.setattr(Fetcher, "download", download)
    body = CreateSplit.model_validate({"input": {"type": "direct_url", "url": "http://127.0.0.1/a"}})
    with pytest.raises(QuotaExceeded):
        services.splits.create(account, body, lambda *_: None)
    assert sum(read) <= QUOTA
    assert rows(services) == {}


def test_h2_nothing_is_downloaded_when_the_quota_is_used_up(services: Services, account: str) -> None:
    with services.database.write() as session:
        services.quotas.reserve(session, account, "split_1", QUOTA)
    body = CreateSplit.model_validate({"input": {"type": "direct_url", "url": "http://127.0.0.1:9/a"}})
    with pytest.raises(QuotaExceeded):
        services.splits.create(account, body, lambda *_: None)


def test_h2_reservation_of_an_interrupted_create_expires(
    services: Services, account: str, maintenance: SplitMaintenance
) -> None:
    past = now() - timedelta(seconds=1)
    with services.database.write() as session:
        services.quotas.reserve(session, account, "split_killed", 100, expires_at=past)
    services.storage.put_stream("splits/split_killed/source.mp3", [bytes(100)], "audio/mpeg")
    assert maintenance.delete_expired_files() == 1
    assert (rows(services), list(services.storage.list_prefix())) == ({}, [])


def test_h2_stems_of_failed_splits_are_swept(
    services: Services, account: str, create: Create, maintenance: SplitMaintenance
) -> None:
    split_id = create()
    services.splits.cancel(account, split_id)
    key = f"splits/{split_id}/stems/vocals.mp3"
    services.storage.put_stream(key, [bytes(100)], "audio/mpeg")
    path, _ = services.storage.path_of(key)
    os.utime(path, (0, 0))
    assert maintenance.delete_orphans() == 1
    assert sum(rows(services).values()) == sum(on_disk(services).values())


def test_h2_creates_are_refused_on_a_full_disk_and_the_rest_works(
    services: Services, account: str, create: Create, upload: Callable[[], dict[str, str]]
) -> None:
    split_id, given = create(), upload()
    services.quotas._disk = Disk([services.settings.data_dir], 10**9, lambda folder: 10**9)
    with pytest.raises(Busy, match="disk"):
        upload()
    body = CreateSplit.model_validate({"input": given})
    with pytest.raises(Busy, match="disk"):
        services.splits.create(account, body, lambda *_: None)
    assert services.splits.get(account, split_id).status == "queued"
    services.splits.cancel(account, split_id)
    with pytest.raises(Busy, match="disk"):
        services.splits.retry(account, split_id)
    services.splits.delete(account, split_id)


@pytest.mark.parametrize(
    "fmt", [*variants(), OutputFormat.parse("mp3:64"), OutputFormat.parse("m4a:96")], ids=str
)
@pytest.mark.parametrize("rate", [8000, 48_000])
def test_h2_no_file_exceeds_its_upper_bound(fmt: OutputFormat, rate: int, tmp_path: Path) -> None:
    from stemsplitter.audio.encode import StemWriter
    from stemsplitter.audio.tags import Tags

    rate = fmt.supported_rate(rate)
    noise = np.sign(np.random.default_rng(0).uniform(-1, 1, (2, 3 * rate))).astype(np.float32)
    path = tmp_path / f"noise.{fmt.extension}"
    with StemWriter(path, fmt, rate, 2, Tags(title="x" * 1000)) as writer:
        writer.write(noise * np.float32(0.99))
        writer.commit()
    assert path.stat().st_size <= stem_bytes(fmt, rate, 2, 3, 0)


def test_h2_high_sample_rates_are_counted_as_written() -> None:
    at_48, at_192 = (
        stems_bytes(["vocals"], "wav32f", 192_000, 8, 60, 11_000, highest) for highest in (48_000, 192_000)
    )
    others = previews_bytes(1, 60)
    assert 0.25 * (at_192 - others) < at_48 - others < 0.26 * (at_192 - others)
