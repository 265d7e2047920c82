"""Failures of the store: no data is lost, no file is incomplete, and every call has a timeout."""

import os
import time
from collections.abc import Iterator

import pytest

from stemsplitter.errors import SettingsError
from stemsplitter.storage import Storage, StorageError

from ..buckets import BUCKET, Proxy, use

PART = 8 << 20


@pytest.fixture
def failing(s3_storage: Storage, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """The storage behind the proxy."""
    use(proxy.url, monkeypatch)
    return Storage(f"s3://{BUCKET}", b"k" * 32, "http://127.0.0.1:8000")


def test_transient_failures_lose_no_data(failing: Storage, proxy: Proxy) -> None:
    proxy.fail_sometimes(0.05)
    expected = {}
    for number in range(40):
        key, data = f"splits/split_{number}/a.mp3", os.urandom(30_000)
        assert failing.put_stream(key, [data], "audio/mpeg") == len(data)
        assert failing.copy(key, f"copies/{number}") == len(data)
        assert b"".join(failing.read(key)) == data
        if number % 4 == 0:
            failing.delete_prefix(f"splits/split_{number}")
        else:
            expected[key] = data
    assert {stored.key for stored in failing.list_prefix("splits")} == set(expected)
    assert all(b"".join(failing.read(key)) == data for key, data in expected.items())
    assert proxy.failed > 8


def test_large_file_survives_transient_failures(failing: Storage, proxy: Proxy) -> None:
    data = [os.urandom(1 << 20) for _ in range(20)]
    kinds = iter(["busy", "lost", None, "busy", "lost", "busy"])
    proxy.fault = lambda method, path: next(kinds, None) if method == "PUT" else None
    assert failing.put_stream("a.wav", data, "audio/wav") == 20 << 20
    cuts = iter(["cut", "lost", "cut"])
    proxy.fault = lambda method, path: next(cuts, None) if method == "GET" else None
    assert b"".join(failing.read("a.wav")) == b"".join(data)
    assert proxy.failed == 8


def test_failed_write_keeps_the_previous_file(failing: Storage, proxy: Proxy) -> None:
    failing.put_stream("a.wav", [b"before"], "audio/wav")
    proxy.fault = lambda method, path: "busy" if "uploadId" in path else None
    started = time.monotonic()
    with pytest.raises(StorageError, match=r"^The file store does not answer: .*\.$"):
        failing.put_stream("a.wav", [bytes(PART)] * 3, "audio/wav")
    assert time.monotonic() - started < 60
    proxy.fault = lambda method, path: None
    assert b"".join(failing.read("a.wav")) == b"before"


def test_unavailable_store_is_reported_after_few_retries(failing: Storage, proxy: Proxy) -> None:
    proxy.fault = lambda method, path: "lost"
    with pytest.raises(StorageError):
        failing.check()
    assert proxy.failed <= 3  # health checks must be fast
    failing.verify()  # unavailability is not a wrong setting
    for use_it in (
        lambda: failing.put_stream("a", [b"x"], ""),
        lambda: failing.copy("a", "b"),
        lambda: list(failing.read("a")),
        lambda: list(failing.list_prefix()),
    ):
        with pytest.raises(StorageError):
            use_it()


def test_aborted_writer_leaves_no_parts(failing: Storage, proxy: Proxy) -> None:
    def cut() -> Iterator[bytes]:
        yield from [bytes(1 << 20)] * 20
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        failing.put_stream("a.wav", cut(), "audio/wav")
    assert failing._bucket is not None
    assert "Uploads" not in failing._bucket._api.list_multipart_uploads(Bucket=BUCKET)


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (404, "NoSuchBucket", r"There is no bucket stems at http://127\.0\.0\.1:\d+: "),
        (301, "PermanentRedirect", "The bucket stems is in another region than us-east-1: set AWS_REGION "),
        (400, "AuthorizationHeaderMalformed", "The bucket stems is in another region than us-east-1: "),
        (403, "InvalidAccessKeyId", r"The store refuses the credentials \(InvalidAccessKeyId\): "),
        (403, "ExpiredToken", r"The store refuses the credentials \(ExpiredToken\): "),
        (403, "RequestTimeTooSkewed", "The clock of this machine is wrong"),
        (403, "AccessDenied", "The credentials may not list the bucket stems: "),
    ],
)
def test_wrong_settings_are_refused(
    status: int, code: str, said: str, failing: Storage, proxy: Proxy
) -> None:
    proxy.answer = status, f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode()
    with pytest.raises(SettingsError, match=rf"^{said}[^\n]*\.$"):
        failing.verify()


def test_refusals_of_a_real_store_are_explained(
    s3_storage: Storage, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_storage.verify()
    with pytest.raises(SettingsError, match=r"^There is no bucket nowhere at "):
        Storage("s3://nowhere", b"k", "").verify()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(SettingsError, match=r"refuses the credentials \(SignatureDoesNotMatch\)"):
        Storage("s3://stems", b"k", "").verify()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    with pytest.raises(SettingsError, match=r"refuses the credentials \(InvalidAccessKeyId\)"):
        Storage("s3://stems", b"k", "").verify()
