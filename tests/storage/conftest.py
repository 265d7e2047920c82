"""Both kinds of storage: a folder, and a bucket of a small S3 server on loopback."""

from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest

from stemsplitter.clock import now
from stemsplitter.storage import Storage

from ..buckets import BUCKET, Proxy, s3_server, use


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an S3 server with an empty bucket."""
    with s3_server(tmp_path_factory.mktemp("s3") / "data") as url:
        yield url


@pytest.fixture
def folder_storage(tmp_path: Path) -> Storage:
    return Storage((tmp_path / "files").as_uri(), b"k" * 32, "http://127.0.0.1:8000/")


@cache
def _opened(s3: str) -> Storage:
    """The storage in the bucket of a server, opened once: the clients of S3 take a third of a second."""
    with pytest.MonkeyPatch.context() as patched:
        use(s3, patched)
        return Storage(f"s3://{BUCKET}", b"k" * 32, "http://127.0.0.1:8000")


@pytest.fixture
def s3_storage(s3: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    use(s3, monkeypatch)
    storage = _opened(s3)
    yield storage
    for stored in list(storage.list_prefix()):
        storage.delete(stored.key)
    assert storage._bucket is not None
    storage._bucket.abort_writes(now() + timedelta(minutes=1))  # left by tests of failures


@pytest.fixture
def proxy(s3: str) -> Iterator[Proxy]:
    """A proxy of the S3 server that injects failures."""
    proxy = Proxy(s3)
    yield proxy
    proxy.close()


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest) -> Storage:
    found = request.getfixturevalue(f"{request.param}_storage")
    assert isinstance(found, Storage)
    return found
