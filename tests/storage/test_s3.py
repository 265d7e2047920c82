"""Lookup of a bucket: its endpoint, region, credentials and the style of its URLs."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from stemsplitter.errors import SettingsError
from stemsplitter.storage.s3 import Bucket

from ..buckets import use

MINIO = "http://minio.internal:9000"
WEST = "eu-west-1.amazonaws.com"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    use(MINIO, monkeypatch)


def shown(bucket: Bucket) -> tuple[str, str, str]:
    """Return origin, path and region of a signed URL."""
    at = urlsplit(bucket.get_url("a/b.mp3", "b.mp3", "audio/mpeg", 60))
    return f"{at.scheme}://{at.netloc}", at.path, parse_qs(at.query)["X-Amz-Credential"][0].split("/")[2]


@pytest.mark.parametrize(
    ("url", "addressing", "endpoint", "origin", "path"),
    [
        ("s3://stems", "auto", MINIO, MINIO, "/stems/a/b.mp3"),
        ("s3://stems/deep/er/", "auto", MINIO, MINIO, "/stems/deep/er/a/b.mp3"),
        ("s3://stems", "host", MINIO, "http://stems.minio.internal:9000", "/a/b.mp3"),
        ("s3://stems", "auto", None, "https://stems.s3.amazonaws.com", "/a/b.mp3"),
        ("s3://stems", "path", None, "https://s3.amazonaws.com", "/stems/a/b.mp3"),
        ("s3://st.ems", "auto", None, "https://s3.amazonaws.com", "/st.ems/a/b.mp3"),
        ("s3://stems", "auto", f"https://s3.{WEST}", f"https://stems.s3.{WEST}", "/a/b.mp3"),
    ],
)  # fmt: skip
def test_urls_have_the_style_of_the_setting(
    url: str, addressing: str, endpoint: str | None, origin: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if endpoint is None:
        monkeypatch.delenv("AWS_ENDPOINT_URL")
    else:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    bucket = Bucket(url, addressing)
    assert shown(bucket)[:2] == (origin, path)
    assert bucket.origin == origin
    # requests of the server use the same style
    config = bucket.open().config
    by_host = not path.startswith(f"/{bucket.name}/")
    assert config["virtual_hosted_style_request"] == str(by_host).lower()
    assert (config["bucket"], config["endpoint_url_s3"]) == (bucket.name, origin)


def test_aws_variables_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    assert shown(Bucket("s3://stems"))[2] == "us-east-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    assert shown(Bucket("s3://stems"))[2] == "eu-west-2"
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert shown(Bucket("s3://stems"))[2] == "eu-central-1"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://other.internal")
    bucket = Bucket("s3://stems")
    assert shown(bucket)[0] == bucket.open().config["endpoint_url_s3"] == "https://other.internal"


def test_profile_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    (tmp_path / "config").write_text(
        "[profile studio]\nregion = eu-north-1\nendpoint_url = https://ceph.internal\n"
    )
    (tmp_path / "credentials").write_text(
        "[studio]\naws_access_key_id = of-the-profile\naws_secret_access_key = s\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "studio")
    bucket = Bucket("s3://stems")
    assert shown(bucket) == ("https://ceph.internal", "/stems/a/b.mp3", "eu-north-1")
    assert bucket._credential()["access_key_id"] == "of-the-profile"
    assert bucket._credential()["expires_at"] is None
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(SettingsError, match=r"^The S3 store s3://stems cannot be used \(.*nobody.*\): .*\.$"):
        Bucket("s3://stems")


def test_credentials_of_a_role_are_refreshed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    bucket = Bucket("s3://stems")
    assert bucket.is_temporary
    assert bucket._credential()["expires_at"] is not None


def test_public_url_is_used_for_clients_only() -> None:
    bucket = Bucket("s3://stems", public_url="https://files.example.com")
    assert bucket.origin == "https://files.example.com"
    assert shown(bucket)[:2] == ("https://files.example.com", "/stems/a/b.mp3")
    assert bucket.put_url("a.mp3", "audio/mpeg", 5, 60).startswith("https://files.example.com/stems/a.mp3?")
    assert bucket.open().config["endpoint_url_s3"] == MINIO
    by_host = Bucket("s3://stems", "host", "https://files.example.com")
    assert by_host.origin == "https://stems.files.example.com"


def test_invalid_settings_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "minio:9000")
    with pytest.raises(
        SettingsError, match=r"^The S3 store s3://stems cannot be used \(.*minio:9000.*\): .*\.$"
    ):
        Bucket("s3://stems")
    monkeypatch.setenv("AWS_ENDPOINT_URL", MINIO)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(
        SettingsError, match=r"^There are no credentials for s3://stems: set AWS_ACCESS_KEY_ID .*\.$"
    ):
        Bucket("s3://stems")
