import re
import time

import pytest
from fastapi.testclient import TestClient

from stemsplitter.settings import Settings
from tests.api.conftest import Account


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"read_limit": 5, "create_limit": 2})


def test_every_response_reports_the_quota(client: TestClient, account: Account) -> None:
    before = time.time()
    headers = client.get("/v1/credits", headers=account.headers).headers
    assert headers["ratelimit-policy"] == '"read";q=5;w=60, "create";q=2;w=60'
    match = re.fullmatch(r'"read";r=4;t=(\d+)', headers["ratelimit"])
    assert match and 55 <= int(match[1]) <= 60
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("5", "4")
    assert before + 60 <= int(headers["x-ratelimit-reset"]) <= time.time() + 61
    assert "retry-after" not in headers
    for path in ("/v1/nothing", "/v1/credits/"):
        assert "ratelimit" in client.get(path).headers


def test_request_over_the_limit_is_refused_with_retry_after(client: TestClient, account: Account) -> None:
    for _ in range(5):
        assert client.get("/v1/credits", headers=account.headers).status_code == 200
    refused = client.get("/v1/credits", headers=account.headers)
    assert refused.status_code == 429
    error = refused.json()["error"]
    assert error["code"] == "RATE_LIMITED"
    assert re.fullmatch(r"Rate limit exceeded: 5 read requests per minute. Retry in \d+ s.", error["message"])
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["x-ratelimit-remaining"] == "0"


def test_read_requests_do_not_use_the_create_quota(client: TestClient, account: Account) -> None:
    for _ in range(6):
        client.get("/v1/credits", headers=account.headers)
    answer = client.post("/v1/nothing", headers=account.headers)
    assert answer.status_code == 404
    assert answer.headers["ratelimit"].startswith('"create";r=1;')


def test_requests_without_a_valid_key_are_counted_by_address(client: TestClient, account: Account) -> None:
    for _ in range(6):
        last = client.get("/v1/credits", headers={"Authorization": "Bearer ast_live_wrong"})
    assert last.status_code == 429
    assert client.get("/v1/credits", headers=account.headers).status_code == 200
