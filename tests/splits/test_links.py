"""Splits of a link, fetched from a stand-in for SoundCloud."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stemsplitter.links import Links
from stemsplitter.service_errors import QuotaExceeded, ValidationFailed
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from stemsplitter.splits.schemas import CreateSplit
from tests.links.soundcloud import LINK, SoundCloud, soundcloud

from .conftest import BALANCE


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"links": ("soundcloud",), "quota_bytes": 30_000_000})


@pytest.fixture
def site(
    services: Services, song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SoundCloud]:
    with soundcloud(song.read_bytes(), tmp_path) as site:
        monkeypatch.setenv("SSL_CERT_FILE", str(site.certificate))
        services.__dict__["links"] = Links(services.settings, site.connect)
        yield site


def create(services: Services, account: str, url: str = LINK) -> dict[str, Any]:
    body = CreateSplit.model_validate({"input": {"type": "link", "url": url}})
    return dict(services.splits.create(account, body, lambda session, data: None))


def stored(services: Services, account: str) -> tuple[int, int]:
    """Return the balance and the stored bytes of the account."""
    with services.database.read() as session:
        return services.credits.balance(session, account), services.quotas.used(session, account)


def test_link_is_a_source_of_the_account(services: Services, account: str, site: SoundCloud) -> None:
    created = create(services, account)
    split = services.splits.get(account, created["id"])
    assert (split.filename, split.duration_seconds, split.credits_used) == ("A song-with a slash.mp3", 3, 3)
    balance, used = stored(services, account)
    assert balance == BALANCE - 3
    assert used >= len(site.song)


@pytest.mark.parametrize(
    ("duration", "size", "refused", "message"),
    [(10**8, 1, ValidationFailed, "longer than"), (2000, 40_000_000, QuotaExceeded, "Your files use")],
)
def test_refused_link_is_not_charged_or_stored(
    services: Services,
    account: str,
    site: SoundCloud,
    duration: int,
    size: int,
    refused: type[Exception],
    message: str,
) -> None:
    site.track["duration"], site.song = duration, bytes(size)
    with pytest.raises(refused, match=message):
        create(services, account)
    assert stored(services, account) == (BALANCE, 0)


def test_links_are_off_by_default(services: Services, account: str) -> None:
    services.__dict__["links"] = Links(services.settings.model_copy(update={"links": ()}))
    with pytest.raises(ValidationFailed, match="Links are off on this server") as refused:
        create(services, account)
    assert refused.value.param == "input.url"


def test_missing_extra_says_how_to_install_it(
    services: Services, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stemsplitter.links.installed.find", lambda _: None)
    with pytest.raises(ValidationFailed, match=r"pip install 'stemsplitter\[links\]'"):
        create(services, account)
