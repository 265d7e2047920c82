import asyncio
import logging
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from stemsplitter.api.routes.metrics import LATENCY
from stemsplitter.clock import now
from stemsplitter.database import new_id
from stemsplitter.processes.app import create_app
from stemsplitter.services import Services
from stemsplitter.splits.models import Split
from tests.api.conftest import Account

ROUTE = "/v1/audio/splits/{split_id}"


def add_split(services: Services, account_id: str, **values: Any) -> str:
    at, split_id = now(), new_id("split")
    row = {
        "stem_model": "2s", "requested_stems": ["vocals", "other"], "output_format": "mp3",
        "filename": "Träume.mp3", "duration_seconds": 3, "credits_used": 3, "source_key": "splits/s/source.mp3",
        "source_bytes": 10, "model": {"name": "tiny", "licence": "MIT"}, "user_metadata": {"a": "b"},
        "created_at": at, "updated_at": at, "expires_at": at + timedelta(days=1), "status": "queued",
    }  # fmt: skip
    with services.database.write() as session:
        session.add(Split(id=split_id, account_id=account_id, **(row | values)))
    return split_id


def observed() -> float:
    value = LATENCY.labels("GET", ROUTE, 200)._sum.get()
    return float(value)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"status": "processing", "progress": 40},
        {"status": "failed", "error_code": "CANCELED", "error_message": "No."},
        {
            "status": "succeeded",
            "progress": 100,
            "stems": {"vocals": {"key": "splits/s/stems/vocals.mp3", "size": 3, "mime": "audio/mpeg"}},
            "processing": {"device": "cpu", "seconds": 1.0, "realtimeFactor": 0.3},
        },
    ],
)
def test_poll_and_list_return_the_same_split(
    services: Services, client: TestClient, account: Account, values: dict[str, Any]
) -> None:
    split_id = add_split(services, account.id, **values)
    polled = client.get(f"/v1/audio/splits/{split_id}", headers=account.headers)
    listed = client.get("/v1/audio/splits", headers=account.headers).json()["data"]["items"][0]
    said = polled.json()
    for each in (listed, said["data"]):  # links differ, as they contain their expiry
        assert set(each.pop("stems", {})) == set(values.get("stems", {}))
    assert said == {"success": True, "data": listed}
    assert list(said["data"]) == list(listed)
    assert polled.headers["content-type"] == "application/json"


def test_poll_is_counted_once_logged_and_timed(
    services: Services, client: TestClient, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    split_id = add_split(services, account.id)
    before = observed()
    with caplog.at_level(logging.DEBUG, "stemsplitter.access"):
        answer = client.get(
            f"/v1/audio/splits/{split_id}", headers={**account.headers, "X-Request-Id": "poll-1"}
        )
    limit = services.settings.read_limit
    assert answer.headers["x-ratelimit-remaining"] == str(limit - 1)
    assert answer.headers["x-request-id"] == "poll-1"
    (record,) = [each for each in caplog.records if each.message == "request"]
    fields = vars(record)
    assert record.levelno == logging.DEBUG  # refused polls are logged at INFO
    assert (fields["method"], fields["route"], fields["status"]) == ("GET", ROUTE, 200)
    assert (fields["account_id"], fields["split_id"]) == (account.id, split_id)
    assert observed() > before


def test_poll_of_a_foreign_split_is_refused_and_counted_once(
    services: Services, client: TestClient, account: Account
) -> None:
    with services.database.write() as session:
        other = services.accounts.create_account(session, "other@example.org")
    theirs = add_split(services, other.id)
    gone = add_split(services, account.id, deleted_at=now())
    for number, (split_id, status) in enumerate(
        ((theirs, 404), (gone, 404), (new_id("split"), 404), ("no-id", 422)), start=1
    ):
        answer = client.get(f"/v1/audio/splits/{split_id}", headers=account.headers)
        assert answer.status_code == status
        assert answer.headers["x-ratelimit-remaining"] == str(services.settings.read_limit - number)


def test_revoked_key_or_disabled_account_cannot_poll(
    services: Services, client: TestClient, account: Account
) -> None:
    path = f"/v1/audio/splits/{add_split(services, account.id)}"
    assert client.get(path, headers=account.headers).status_code == 200
    with services.database.write() as session:
        services.accounts.disable_account(session, account.id)
    assert client.get(path, headers=account.headers).status_code == 401
    with services.database.write() as session:
        services.accounts.enable_account(session, account.id)
    assert client.get(path, headers=account.headers).status_code == 200
    with services.database.write() as session:
        (key,) = services.accounts.list_keys(session, account.id)
        services.accounts.revoke_key(session, account.id, key.id)
    assert client.get(path, headers=account.headers).status_code == 401
    assert client.get(path).status_code == 401


def test_concurrent_polls_get_their_own_splits(services: Services) -> None:
    callers = []
    for number in range(12):
        with services.database.write() as session:
            made = services.accounts.create_account(session, f"{number}@example.org")
            key = services.accounts.create_key(session, made.id, "test")[1]
        callers.append((key, add_split(services, made.id, filename=f"{number}.mp3")))

    async def poll() -> list[httpx2.Response]:
        transport = httpx2.ASGITransport(create_app(services))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            return await asyncio.gather(
                *(
                    client.get(f"/v1/audio/splits/{split_id}", headers={"Authorization": f"Bearer {key}"})
                    for key, split_id in callers * 3
                )
            )

    answers = asyncio.run(poll())
    assert [answer.json()["data"]["filename"] for answer in answers] == [f"{n}.mp3" for n in range(12)] * 3
    limit = services.settings.read_limit
    for number in range(12):
        left = sorted(int(answer.headers["x-ratelimit-remaining"]) for answer in answers[number::12])
        assert left == [limit - 3, limit - 2, limit - 1]
