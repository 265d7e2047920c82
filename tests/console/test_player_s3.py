"""The player of a server with S3 storage: playback through the server, downloads from the bucket."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
import pytest

from stemsplitter.console.headers import POLICY
from stemsplitter.database import Database
from stemsplitter.services import Services
from stemsplitter.settings import Settings

from ..buckets import BUCKET, Proxy, s3_server, use
from .conftest import Browser
from .songs import add_finished
from .test_player import SCRIPT, decoded

pytestmark = pytest.mark.usefixtures("files_are_made")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3_server(tmp_path_factory.mktemp("s3") / "data") as url:
        yield url


@pytest.fixture
def store(s3: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy of the bucket that can fail."""
    proxy = Proxy(s3)
    use(proxy.url, monkeypatch)
    monkeypatch.setenv("NO_PROXY", "*")
    yield proxy
    proxy.close()


@pytest.fixture
def settings(tmp_path: Path, database: Database, store: Proxy) -> Settings:
    return Settings(
        data_dir=tmp_path / "data", database_url=database.url, storage_url=f"s3://{BUCKET}", packs="50"
    )


def fetched(location: str) -> tuple[bytes, str]:
    """Download a file. Return its content and Content-Disposition."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        data = client.get(location).raise_for_status().content
    return data, parse_qs(urlsplit(location).query)["response-content-disposition"][0]


def test_playback_uses_this_server_only(
    browser: Browser, services: Services, account_id: str, store: Proxy, tmp_path: Path
) -> None:
    split_id, steps = add_finished(services, account_id)
    answer = browser.get(f"/splits/{split_id}")
    form = f"form-action 'self' {store.url};"
    assert answer.headers["content-security-policy"] == POLICY.replace("form-action 'self';", form)
    path = f"/splits/{split_id}/play/drums.wav"
    assert f'data-url="{path}"' in answer.text and store.url not in answer.text
    whole = browser.get(path)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "audio/wav")
    np.testing.assert_array_equal(decoded(tmp_path, whole.content), steps["drums"])
    part = browser.get(path, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert browser.get(path, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    assert browser.get(f"/splits/{split_id}/peaks.json").status_code == 200


def test_downloads_are_redirected_to_store(
    browser: Browser, services: Services, account_id: str, store: Proxy, tmp_path: Path
) -> None:
    split_id, steps = add_finished(services, account_id, filename="Süß.mp3")
    led = browser.get(f"/splits/{split_id}/files/drums.wav")
    assert (led.status_code, led.headers["cache-control"]) == (307, "no-store")
    assert led.headers["location"].startswith(f"{store.url}/{BUCKET}/splits/{split_id}/stems/")
    data, name = fetched(led.headers["location"])
    np.testing.assert_array_equal(decoded(tmp_path, data), steps["drums"])
    assert name.endswith("filename*=UTF-8''S%C3%BC%C3%9F%20%28drums%29.wav")
    mixed = browser.post(
        f"/splits/{split_id}/mix", data={"format": "wav", "csrf": browser.csrf}, headers=SCRIPT
    ).json()
    data, name = fetched(browser.get(mixed["location"]).headers["location"])
    assert len(data) == mixed["size"]
    assert name.endswith("filename*=UTF-8''S%C3%BC%C3%9F%20%28mix%29.wav")
    assert browser.get(f"/splits/{split_id}/files/mix_0123456789abcdef").status_code == 404


def test_archive_is_read_from_store(browser: Browser, services: Services, account_id: str) -> None:
    split_id, _ = add_finished(services, account_id)
    with zipfile.ZipFile(io.BytesIO(browser.get(f"/splits/{split_id}/archive").content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["vocals.wav", "drums.wav", "bass.wav", "other.wav"]
    services.storage.delete_prefix(f"splits/{split_id}")
    assert browser.get(f"/splits/{split_id}/archive").status_code == 404
    assert browser.get(f"/splits/{split_id}/files/drums.wav").status_code == 404


def test_split_links_to_store(browser: Browser, services: Services, account_id: str, store: Proxy) -> None:
    split_id, _ = add_finished(services, account_id)
    links = services.splits.get(account_id, split_id).stems or {}
    assert set(links) == {"vocals", "drums", "bass", "other"}
    for name, link in links.items():
        data, saved_as = fetched(link)
        assert data[:4] == b"RIFF" and saved_as == f'attachment; filename="{name}.wav"'
        assert "X-Amz-Expires=86400" in link


def test_unavailable_store_is_an_error_page(
    browser: Browser, services: Services, account_id: str, store: Proxy
) -> None:
    split_id, _ = add_finished(services, account_id)
    store.fault = lambda method, path: "busy"
    for path in ("files/drums.wav", "play/drums.wav", "archive"):
        answer = browser.get(f"/splits/{split_id}/{path}")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert "file storage of the server is unavailable" in answer.text and "<h1" in answer.text
    assert browser.get(f"/splits/{split_id}").status_code == 200
    assert browser.get("/readyz").json()["checks"] == {"database": "ok", "storage": "failed", "disk": "ok"}
