import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from stemsplitter.accounts.models import Account
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.quotas.disk import Disk
from stemsplitter.service_errors import Busy, Conflict, ValidationFailed
from stemsplitter.settings import Settings
from stemsplitter.storage import Storage
from stemsplitter.uploads.errors import TypeMismatch
from stemsplitter.uploads.models import Upload
from stemsplitter.uploads.receiving import STEP_BYTES
from stemsplitter.uploads.service import UploadService
from tests.services import quotas

SONG = b"fLaC" + bytes(5000)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage((tmp_path / "files").as_uri(), b"k" * 32, "http://localhost")


@pytest.fixture
def service(database: Database, storage: Storage) -> UploadService:
    with database.write() as session:
        session.add_all([Account(id=name, email=name) for name in ("acc_1", "acc_2")])
    settings = Settings(public_url="http://localhost")
    return UploadService(database, storage, settings, quotas(settings))


@pytest.fixture
def reserve(database: Database, service: UploadService) -> Callable[..., tuple[Upload, str]]:
    def make(filename: str = "song.flac") -> tuple[Upload, str]:
        with database.write() as session:
            return service.reserve(session, "acc_1", filename, "audio/flac", len(SONG))

    return make


@pytest.fixture
def received(
    database: Database, service: UploadService, reserve: Callable[..., tuple[Upload, str]]
) -> Upload:
    upload, token = reserve()
    incoming = service.begin(upload.id, token, None, None)
    incoming.write(SONG)
    incoming.finish()
    with database.read() as session:
        found = session.get(Upload, upload.id)
        assert found is not None
        return found


def claim(database: Database, service: UploadService, upload: Upload, **other: str) -> Upload:
    names = {
        "account_id": "acc_1",
        "upload_id": upload.id,
        "file_url": service.url(upload.id),
        "storage_key": upload.storage_key or "",
    }
    with database.write() as session:
        return service.claim_for_split(session, **{**names, **other})


def test_h2_upload_stops_when_others_have_filled_the_disk(
    database: Database, storage: Storage, service: UploadService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many accounts can reserve the same free space, as nothing is written then."""
    free = 10_000_000_000
    disk = Disk([Path("files")], 1_000_000_000, lambda _: free)
    monkeypatch.setattr(service._quotas, "_disk", disk)
    block = SONG[:4] + bytes(STEP_BYTES)
    with database.write() as session:
        upload, token = service.reserve(session, "acc_1", "song.flac", "audio/flac", 3 * len(block))
    for receive in (
        lambda: service.begin(upload.id, token, None, None),
        lambda: service.begin_chunk(upload.id, token, 0, False, None),
    ):
        free = 10_000_000_000
        incoming = receive()
        incoming.write(block)
        free = 999_999_999
        with pytest.raises(Busy, match="disk of the server is almost full"):
            incoming.write(block)
        incoming.abandon()
    assert not list(storage.list_prefix(f"uploads/{upload.id}"))


def test_split_uses_a_received_file(
    database: Database, service: UploadService, storage: Storage, received: Upload
) -> None:
    taken = claim(database, service, received)
    assert taken.storage_key == received.storage_key
    assert storage.size(taken.storage_key or "") == len(SONG)
    assert (taken.filename, taken.content_length) == ("song.flac", len(SONG))


def test_find_does_not_mark_the_upload_as_used(
    database: Database, service: UploadService, received: Upload
) -> None:
    names = ("acc_1", received.id, service.url(received.id), received.storage_key or "")
    for _ in range(2):
        with database.read() as session:
            assert service.find_for_split(session, *names).filename == "song.flac"
    claim(database, service, received)
    with database.read() as session, pytest.raises(Conflict):
        service.find_for_split(session, *names)


def test_only_one_split_uses_it(database: Database, service: UploadService, received: Upload) -> None:
    claim(database, service, received)
    with pytest.raises(Conflict, match=r"^Another split uses the file of upl_\w+: .*\.$"):
        claim(database, service, received)


def test_one_of_concurrent_splits_uses_it(
    database: Database, service: UploadService, received: Upload
) -> None:
    taken: list[bool] = []

    def take() -> None:
        try:
            claim(database, service, received)
            taken.append(True)
        except Conflict:
            taken.append(False)

    threads = [threading.Thread(target=take) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(taken) == [False] * 4 + [True]


def test_failed_split_leaves_the_upload_unused(
    database: Database, service: UploadService, received: Upload
) -> None:
    with pytest.raises(RuntimeError), database.write() as session:
        service.claim_for_split(
            session, "acc_1", received.id, service.url(received.id), received.storage_key or ""
        )
        raise RuntimeError("no credits")
    claim(database, service, received)


@pytest.mark.parametrize(
    ("other", "param"),
    [
        ({"account_id": "acc_2"}, "input.uploadId"),
        ({"upload_id": "upl_unknown"}, "input.uploadId"),
        ({"upload_id": "a\0b"}, "input.uploadId"),
        ({"file_url": "http://localhost/uploads/upl_other"}, "input.fileUrl"),
        ({"file_url": "http://169.254.169.254/"}, "input.fileUrl"),
        ({"file_url": ""}, "input.fileUrl"),
        ({"storage_key": "uploads/upl_other/1.mp3"}, "input.storageKey"),
        ({"storage_key": "../secret.key"}, "input.storageKey"),
        ({"storage_key": ""}, "input.storageKey"),
    ],
)
def test_wrong_url_or_key_is_refused(
    other: dict[str, str], param: str, database: Database, service: UploadService, received: Upload
) -> None:
    with pytest.raises(ValidationFailed) as caught:
        claim(database, service, received, **other)
    assert caught.value.param == param
    claim(database, service, received)


def test_unreceived_file_is_refused(
    database: Database, service: UploadService, reserve: Callable[..., tuple[Upload, str]]
) -> None:
    upload, token = reserve()
    with pytest.raises(ValidationFailed, match="was not received"):
        claim(database, service, upload)
    incoming = service.begin(upload.id, token, None, None)
    with pytest.raises(ValidationFailed, match="was not received"):
        claim(database, service, upload, storage_key=incoming.key)
    incoming.abandon()


@pytest.mark.parametrize(
    ("filename", "ending"),
    [
        ("Song.FLAC", ".flac"),
        ("a.tar.mp3", ".mp3"),
        ("song", ""),
        ("song.", ""),
        (".mp3", ".mp3"),
        ("a.mp3/../../b", ""),
        ("a.p h p", ""),
        ("ä.müsik", ""),
        ("a.waytoolong", ""),
    ],
)
def test_extension_of_the_key_is_sanitized(
    filename: str, ending: str, service: UploadService, reserve: Callable[..., tuple[Upload, str]]
) -> None:
    upload, token = reserve(filename)
    incoming = service.begin(upload.id, token, None, None)
    assert incoming.key == f"uploads/{upload.id}/1{ending}"
    incoming.abandon()


def test_media_type_is_detected_byte_by_byte(
    service: UploadService, storage: Storage, reserve: Callable[..., tuple[Upload, str]]
) -> None:
    upload, token = reserve()
    incoming = service.begin(upload.id, token, None, None)
    for at in range(len(SONG)):
        incoming.write(SONG[at : at + 1])
    incoming.finish()
    assert b"".join(storage.read(incoming.key)) == SONG
    upload, token = reserve()
    incoming = service.begin(upload.id, token, None, None)
    with pytest.raises(TypeMismatch, match="a web page"):
        for byte in b"<html>".ljust(5000):
            incoming.write(bytes([byte]))
    incoming.abandon()


def test_expired_uploads_are_deleted(
    database: Database,
    service: UploadService,
    storage: Storage,
    reserve: Callable[..., tuple[Upload, str]],
    received: Upload,
) -> None:
    used, token = reserve()
    incoming = service.begin(used.id, token, None, None)
    incoming.write(SONG)
    incoming.finish()
    claim(database, service, used, storage_key=incoming.key)
    fresh = reserve()[0]
    assert service.delete_expired() == 0
    with database.write() as session:
        old = (
            update(Upload)
            .where(Upload.id.in_([received.id, used.id]))
            .values(expires_at=now() - timedelta(days=2))
        )
        session.execute(old)
    assert service.delete_expired() == 2
    assert service.delete_expired() == 0
    assert [file.key for file in storage.list_prefix()] == [incoming.key]  # which is its split's now
    with database.read() as session:
        assert session.get(Upload, fresh.id) is not None
        assert session.get(Upload, received.id) is None


def test_interrupted_deletion_is_completed(
    database: Database,
    service: UploadService,
    storage: Storage,
    received: Upload,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with database.write() as session:
        session.execute(update(Upload).values(expires_at=now() - timedelta(days=2)))
    with monkeypatch.context() as patched:
        patched.setattr(storage, "delete", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            service.delete_expired()
    with pytest.raises(ValidationFailed):
        claim(database, service, received)
    assert service.delete_expired() == 1
    assert list(storage.list_prefix()) == []
