"""Create, list, cancel, retry and delete splits."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.tags import Tags
from stemsplitter.jobs.models import FREE, PAYING
from stemsplitter.service_errors import (
    Conflict,
    InsufficientCredits,
    NotFound,
    RateLimited,
    ValidationFailed,
)
from stemsplitter.services import Services
from stemsplitter.splits.models import Split
from stemsplitter.splits.schemas import CreateSplit
from stemsplitter.webhooks.models import WebhookEvent
from tests.loopback import Handler, listening
from tests.services import upload_file

from .conftest import BALANCE, Create

Ledger = Callable[[str], list[tuple[str, int]]]
Upload = Callable[[], dict[str, str]]
COST = 3


def row(services: Services, split_id: str) -> Split:
    with services.database.read() as session:
        return session.get_one(Split, split_id)


def rows(services: Services) -> int:
    with services.database.read() as session:
        return len(session.scalars(select(Split)).all())


def balance(services: Services, account: str) -> int:
    with services.database.read() as session:
        return services.credits.balance(session, account)


def files(services: Services) -> list[str]:
    return sorted(stored.key for stored in services.storage.list_prefix())


@pytest.fixture
def web(song: Path) -> Iterator[str]:
    """A web server on loopback with the song, and a text at /text."""

    class Web(Handler):
        def do_GET(self) -> None:
            self.reply(body=b"no song" if self.path == "/text" else song.read_bytes())

    with listening(Web) as url:
        yield url


def from_url(services: Services, account: str, url: str, **wanted: Any) -> str:
    body = CreateSplit.model_validate({"input": {"type": "direct_url", "url": url}, **wanted})
    return str(services.splits.create(account, body, lambda session, data: None)["id"])


def test_split_and_credit_hold_are_created_together(
    services: Services, account: str, upload: Upload, ledger: Ledger
) -> None:
    recorded: list[Any] = []
    body = CreateSplit.model_validate({"input": upload(), "metadata": {"a": "b"}})
    data = services.splits.create(account, body, lambda session, data: recorded.append(data))
    split = row(services, data["id"])
    assert recorded == [data]
    assert list(data) == ["id", "status", "creditsUsed", "createdAt"]
    assert (data["status"], data["creditsUsed"]) == ("queued", COST)
    assert (split.duration_seconds, split.credits_used, split.filename) == (COST, COST, "Lied.flac")
    assert (split.stem_model, split.model["name"], split.user_metadata) == ("6s", "tiny_6s", {"a": "b"})
    assert ledger(split.id) == [("hold", -COST)]
    assert balance(services, account) == BALANCE - COST
    assert (split.model_name, split.priority, split.turn) == ("tiny_6s", FREE, 0)


def test_account_with_purchases_has_priority(services: Services, account: str, create: Create) -> None:
    assert row(services, create()).priority == FREE
    with services.database.write() as session:
        services.credits.purchase(session, account, 10, "pay_1")
    assert row(services, create()).priority == PAYING


def test_failed_transaction_creates_nothing(
    services: Services, account: str, upload: Upload, web: str
) -> None:
    def refuse(*_: object) -> None:
        raise Conflict("no")

    for source in (upload(), {"type": "direct_url", "url": f"{web}/song.flac"}):
        with pytest.raises(Conflict):
            services.splits.create(account, CreateSplit.model_validate({"input": source}), refuse)
    assert (rows(services), balance(services, account)) == (0, BALANCE)
    assert [key.split("/")[0] for key in files(services)] == ["uploads"]


def test_song_is_downloaded_from_its_url(services: Services, account: str, web: str) -> None:
    split = row(services, from_url(services, account, f"{web}/songs/Mein%20Lied.flac"))
    assert (split.filename, split.credits_used) == ("Mein Lied.flac", COST)
    assert files(services) == [f"splits/{split.id}/source.flac"]


def test_invalid_song_is_refused_and_deleted(services: Services, account: str, web: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        from_url(services, account, f"{web}/text")
    assert refused.value.param == "input.url"
    with pytest.raises(ValidationFailed) as refused:
        from_url(services, account, "http://10.0.0.1/song.mp3")
    assert refused.value.param == "input.url"
    assert (files(services), rows(services)) == ([], 0)


def test_insufficient_credits_are_refused(services: Services, account: str, upload: Upload) -> None:
    with services.database.write() as session:
        services.credits.grant(session, account, -(BALANCE - COST + 1))
    with pytest.raises(InsufficientCredits) as refused:
        services.splits.create(account, CreateSplit.model_validate({"input": upload()}), lambda *_: None)
    assert refused.value.details == {"requiredSeconds": COST, "balance": COST - 1}
    assert rows(services) == 0


def test_h1_nothing_is_downloaded_without_credits(services: Services, account: str) -> None:
    with services.database.write() as session:
        services.credits.grant(session, account, -BALANCE)
    body = {"input": {"type": "direct_url", "url": "http://10.0.0.1/would-be-refused.mp3"}}
    with pytest.raises(InsufficientCredits):
        services.splits.create(account, CreateSplit.model_validate(body), lambda *_: None)


def test_upload_is_used_by_one_split(services: Services, account: str, upload: Upload) -> None:
    body = CreateSplit.model_validate({"input": upload()})
    services.splits.create(account, body, lambda *_: None)
    with pytest.raises(Conflict):
        services.splits.create(account, body, lambda *_: None)
    assert rows(services) == 1


def test_unfinished_splits_are_limited(create: Create) -> None:
    for _ in range(5):
        create()
    with pytest.raises(RateLimited, match="5 of your jobs are unfinished"):
        create()


@pytest.mark.parametrize(
    ("wanted", "layout", "stems"),
    [
        ({"stemModel": "htdemucs"}, "4s", ["vocals", "drums", "bass", "other"]),
        ({"stemModel": "htdemucs_ft"}, "4s", ["vocals", "drums", "bass", "other"]),
        ({"stemModel": "htdemucs_6s"}, "6s", ["vocals", "drums", "bass", "guitar", "piano", "other"]),
        ({"stemModel": "2s"}, "2s", ["vocals", "instrumental"]),
        ({"stems": ["instrumental", "vocals"]}, "6s", ["vocals", "instrumental"]),
    ],
)
def test_stems_are_those_of_the_request(
    services: Services, create: Create, wanted: dict[str, Any], layout: str, stems: list[str]
) -> None:
    split = row(services, create(**wanted))
    assert (split.stem_model, split.requested_stems) == (layout, stems)


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"outputFormat": "mp3", "bitDepth": "16"}, "bitDepth"),
        ({"outputFormat": "flac", "bitDepth": "32f"}, "bitDepth"),
        ({"stemModel": "4s", "stems": ["piano"]}, "stems"),
        ({"webhookUrl": "http://10.1.2.3/hook"}, "webhookUrl"),
        ({"webhookUrl": "ftp://example.com"}, "webhookUrl"),
    ],
)
def test_inconsistent_request_is_refused(create: Create, wanted: dict[str, Any], param: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        create(**wanted)
    assert refused.value.param == param


@pytest.mark.parametrize(("depth", "kept"), [("32f", "32f"), (16, "16"), ("24", "24")])
def test_wav_has_three_bit_depths(services: Services, create: Create, depth: Any, kept: str) -> None:
    assert row(services, create(outputFormat="wav", bitDepth=depth)).bit_depth == kept


def test_pages_contain_each_split_once_newest_first(services: Services, account: str, create: Create) -> None:
    ids = [create() for _ in range(5)]
    services.splits.cancel(account, ids[2])
    seen: list[str] = []
    cursor = None
    while True:
        views, cursor = services.splits.page(account, limit=2, cursor=cursor, status=None)
        seen += [view.id for view in views]
        if cursor is None:
            break
    assert seen == ids[::-1]
    failed, _ = services.splits.page(account, limit=2, cursor=None, status="failed")
    assert [view.id for view in failed] == [ids[2]]
    with pytest.raises(ValidationFailed):
        services.splits.page(account, limit=2, cursor="split_none", status=None)


def test_cancel_releases_credits_once_and_creates_a_webhook(
    services: Services, account: str, create: Create, ledger: Ledger
) -> None:
    split_id = create(webhookUrl="http://127.0.0.1:9/hook")
    for _ in range(2):
        view = services.splits.cancel(account, split_id)
        assert (view.status, view.error and view.error.code) == ("failed", "CANCELED")
    assert ledger(split_id) == [("hold", -COST), ("release", COST)]
    assert balance(services, account) == BALANCE
    with services.database.read() as session:
        (event,) = session.scalars(select(WebhookEvent)).all()
    assert event.kind == "audio.split.failed"


def test_delete_removes_source_and_stems(services: Services, account: str, create: Create) -> None:
    split_id = create()
    with pytest.raises(Conflict, match="cancel it first"):
        services.splits.delete(account, split_id)
    services.splits.cancel(account, split_id)
    services.storage.put_stream(f"splits/{split_id}/stems/vocals.mp3", [b"song"], "audio/mpeg")
    services.splits.delete(account, split_id)
    assert files(services) == []
    for action in (services.splits.get, services.splits.delete, services.splits.cancel):
        with pytest.raises(NotFound):
            action(account, split_id)
    assert services.splits.page(account, limit=9, cursor=None, status=None) == ([], None)


def test_song_with_tags_is_renamed_and_split_again_with_its_own_copy(
    services: Services, account: str, tmp_path: Path
) -> None:
    path = tmp_path / "01.flac"
    tags = Tags("Ode\nto  Joy " + "x" * 300, "L. v. Beethoven")
    with StemWriter(path, OutputFormat.parse("flac"), 44_100, 2, tags) as writer:
        writer.write(np.zeros((2, 90_000), "f4"))
        writer.commit()
    body = CreateSplit.model_validate({"input": upload_file(services, account, path.name, path.read_bytes())})
    first = str(services.splits.create(account, body, lambda *_: None)["id"])
    view = services.splits.get(account, first)
    assert (view.title or "").startswith("Ode to Joy x") and len(view.title or "") == 200
    assert view.artist == "L. v. Beethoven" and "title" not in view.model_dump()
    services.splits.rename(account, first, " Ode ")
    options: dict[str, Any] = {"layout": "2s", "output_format": "wav", "bit_depth": "16", "quality": "best"}
    with pytest.raises(Conflict, match="is queued"):
        services.splits.split_again(account, first, **options)
    services.splits.cancel(account, first)
    again = str(services.splits.split_again(account, first, **options)["id"])
    made = row(services, again)
    assert (made.title, made.artist, made.filename) == ("Ode", "L. v. Beethoven", "01.flac")
    assert (made.stem_model, made.output_format, made.bit_depth, made.credits_used) == (
        "2s",
        "wav",
        "16",
        COST,
    )
    assert made.source_key != row(services, first).source_key and made.source_key in files(services)
    found, after = services.splits.search(account, "BEETHOVEN", limit=1, cursor=None)
    assert [each.id for each in found] == [again] and after == again
    assert services.splits.search("acc_other", "", limit=5, cursor=None) == ([], None)


def test_retry_keeps_the_options_of_the_failed_split(
    services: Services, account: str, create: Create, ledger: Ledger
) -> None:
    failed = create(
        stemModel="4s", stems=["vocals", "drums"], outputFormat="wav", bitDepth=16, metadata={"a": "b"},
        instruments=["vocals", "bass"], quality="best", priority="low",
    )  # fmt: skip
    with pytest.raises(Conflict, match="is queued"):
        services.splits.retry(account, failed)
    services.splits.cancel(account, failed)
    again = str(services.splits.retry(account, failed)["id"])
    with services.database.read() as session:
        old, new = (session.get_one(Split, split_id) for split_id in (failed, again))
    for column in (
        "stem_model", "requested_stems", "instruments", "output_format", "bit_depth", "filename", "duration_seconds",
        "credits_used", "source_bytes", "user_metadata", "priority",
    ):  # fmt: skip
        assert getattr(old, column) == getattr(new, column)
    assert old.model["quality"] == new.model["quality"] == "best"
    assert (old.status, new.status, ledger(again)) == ("failed", "queued", [("hold", -COST)])
    services.splits.delete(account, failed)
    assert files(services) == [new.source_key]  # its own, which the old one's end leaves alone


def test_states_are_those_of_own_splits(services: Services, account: str, create: Create) -> None:
    split_id = create()
    assert services.splits.states(account, [split_id, "split_none"]) == {split_id: ("queued", 0)}
    assert services.splits.states("acc_other", [split_id]) == {}


def test_split_of_another_account_is_not_found(services: Services, create: Create) -> None:
    split_id = create()
    with services.database.write() as session:
        other = services.accounts.create_account(session, "other@example.com").id
    service = services.splits
    for action in (service.get, service.delete, service.cancel, service.retry, service.stems):
        with pytest.raises(NotFound):
            action(other, split_id)
    with pytest.raises(ValidationFailed):
        service.page(other, limit=1, cursor=split_id, status=None)


def test_archive_needs_a_succeeded_split(services: Services, account: str, create: Create) -> None:
    with pytest.raises(Conflict, match="is queued"):
        services.splits.stems(account, create())


def test_splits_are_free_without_metering(
    services: Services, account: str, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.credits, "_metering", False)
    data = services.splits.create(account, CreateSplit.model_validate({"input": upload()}), lambda *_: None)
    assert data["creditsUsed"] == 0
    assert balance(services, account) == BALANCE
