"""The envelope, errors and headers of every response."""

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import Field
from sqlalchemy.exc import DataError, OperationalError

from stemsplitter.api.envelope import success
from stemsplitter.api.middleware import admission, places
from stemsplitter.api.middleware.admission import MAX_BODY_BYTES
from stemsplitter.errors import AudioError, ModelError
from stemsplitter.processes.app import create_app
from stemsplitter.schemas import RequestModel
from stemsplitter.service_errors import Conflict, InsufficientCredits, NotFound, ValidationFailed
from stemsplitter.services import Services

from .conftest import Account

LIMIT_S = 60.0  # for operations that are fast


class Inner(RequestModel):
    url: str
    size: int = 1


class Body(RequestModel):
    input: Inner
    tags: list[Inner] = Field(default_factory=list)


FAILURES: dict[str, Exception] = {
    "credits": InsufficientCredits(214, 100),
    "conflict": Conflict("It has ended."),
    "missing": NotFound("There is no such split."),
    "param": ValidationFailed("Too long.", param="input.url", details={"limitSeconds": 3600}),
    "audio": AudioError("This is no audio."),
    "model": ModelError("secret path /srv/models"),
    "bug": RuntimeError("secret of the house"),
    "away": OperationalError("SELECT secret", None, Exception("no connection")),
    "value": DataError("INSERT secret", None, Exception("text cannot contain NUL")),
}


@pytest.fixture
def app(services: Services) -> FastAPI:
    made = create_app(services)

    @made.post("/v1/echo")
    def echo(body: Body) -> Any:
        return success({"z": body.input.url, "a": body.input.size})

    @made.get("/v1/fail/{what}")
    def fail(what: str) -> Any:
        raise FAILURES[what]

    return made


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app, raise_server_exceptions=False)


def error_of(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert list(body) == ["success", "error"] and body["success"] is False
    assert list(body["error"])[:2] == ["code", "message"]
    assert body["error"]["code"] == code
    assert body["error"]["requestId"] == response.headers["x-request-id"]
    assert body["error"]["docUrl"].endswith(f"/docs#{code}")
    assert "ratelimit" in response.headers
    found: dict[str, Any] = body["error"]
    return found


def test_success_is_unescaped_and_keeps_the_order_of_fields(client: TestClient) -> None:
    response = client.post("/v1/echo", json={"input": {"url": "https://é.example/ü/ス?a=\U0001f3b5"}})
    assert response.content == (
        '{"success":true,"data":{"z":"https://é.example/ü/ス?a=\U0001f3b5","a":1}}'.encode()
    )


@pytest.mark.parametrize(
    ("what", "status", "code"),
    [
        ("credits", 402, "INSUFFICIENT_CREDITS"),
        ("conflict", 409, "CONFLICT"),
        ("missing", 404, "NOT_FOUND"),
        ("param", 422, "VALIDATION_ERROR"),
        ("audio", 422, "VALIDATION_ERROR"),
    ],
)
def test_service_errors_have_their_status_and_code(
    client: TestClient, what: str, status: int, code: str
) -> None:
    assert error_of(client.get(f"/v1/fail/{what}"), status, code)["message"] == str(FAILURES[what])


def test_insufficient_credits_report_required_seconds_and_balance(client: TestClient) -> None:
    error = error_of(client.get("/v1/fail/credits"), 402, "INSUFFICIENT_CREDITS")
    assert (error["requiredSeconds"], error["balance"]) == (214, 100)


def test_error_has_param_and_details(client: TestClient) -> None:
    error = error_of(client.get("/v1/fail/param"), 422, "VALIDATION_ERROR")
    assert (error["param"], error["details"]) == ("input.url", {"limitSeconds": 3600})


@pytest.mark.parametrize(
    ("what", "status", "code"), [("away", 503, "UNAVAILABLE"), ("value", 422, "VALIDATION_ERROR")]
)
def test_database_errors_do_not_expose_values(client: TestClient, what: str, status: int, code: str) -> None:
    answer = client.get(f"/v1/fail/{what}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "secret" not in answer.text and ("retry-after" in answer.headers) == (status == 503)


@pytest.mark.parametrize("what", ["bug", "model"])
def test_unexpected_errors_report_the_request_id_and_no_internals(
    client: TestClient, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    response = client.get(f"/v1/fail/{what}")
    error = error_of(response, 500, "SERVER_ERROR")
    assert error["requestId"] in error["message"]
    assert "secret" not in response.text
    assert "secret" in caplog.text  # logged with a traceback


@pytest.mark.parametrize(
    "key", [None, "Bearer", "Bearer ast_live_wrong", "Basic ast_live_wrong", "ast_live_wrong"]
)
def test_request_without_a_valid_key_is_unauthorized(client: TestClient, key: str | None) -> None:
    response = client.get("/v1/credits", headers={"Authorization": key} if key else {})
    error = error_of(response, 401, "UNAUTHORIZED")
    assert error["message"] == "Missing or invalid API key"
    assert response.headers["www-authenticate"] == "Bearer"


def test_framework_errors_use_the_envelope(client: TestClient) -> None:
    error_of(client.get("/v1/nothing"), 404, "NOT_FOUND")
    error_of(client.get("/v1/echo/"), 404, "NOT_FOUND")
    wrong = client.delete("/v1/echo")
    error_of(wrong, 405, "METHOD_NOT_ALLOWED")
    assert wrong.headers["allow"] == "POST"
    assert wrong.json()["error"]["message"] == "Method not allowed. Allowed: POST."
    assert client.patch("/v1/audio/splits").headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b'{"input": {"url": "\xff"}}', None),
        (b'{"input": ' + b"[" * 20_000, None),
        (b'{"input": {"url": "\\ud800"}}', "input.url"),
        (b"[]", None),
        (b'{"input": {}}', "input.url"),
        (b'{"input": {"url": 1}}', "input.url"),
        (b'{"input": {"url": "a"}, "tags": [{"url": "a"}, {"url": "a", "size": "x"}]}', "tags.1.size"),
    ],
)
def test_invalid_body_is_refused_with_its_param(client: TestClient, body: bytes, param: str | None) -> None:
    response = client.post("/v1/echo", content=body, headers={"Content-Type": "application/json"})
    error = error_of(response, 422, "VALIDATION_ERROR")
    assert error.get("param") == param
    assert error["message"].endswith(".")


def test_missing_body_is_refused(client: TestClient) -> None:
    error_of(client.post("/v1/echo", headers={"Content-Type": "application/json"}), 422, "VALIDATION_ERROR")


def test_all_invalid_fields_are_reported(client: TestClient) -> None:
    error = error_of(client.post("/v1/echo", json={"tags": 1}), 422, "VALIDATION_ERROR")
    assert [each["param"] for each in error["details"]["errors"]] == ["input", "tags"]


@pytest.mark.parametrize(
    "content_type",
    [None, "", "application/x-www-form-urlencoded", "Application/X-WWW-Form-URLencoded; charset=UTF-8"],
)
def test_n1_json_is_read_without_a_content_type_and_with_that_of_curl(
    client: TestClient, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    response = client.post("/v1/echo", content=b'{"input": {"url": "a"}}', headers=headers)
    assert (response.status_code, response.json()["data"]["z"]) == (200, "a"), response.text
    no_json = client.post("/v1/echo", content=b"url=a", headers=headers)
    assert error_of(no_json, 422, "VALIDATION_ERROR")["message"] == "The body is not valid JSON."


@pytest.mark.parametrize("content_type", ["text/plain", "text/xml", "multipart/form-data"])
def test_other_content_types_are_refused(client: TestClient, content_type: str) -> None:
    response = client.post(
        "/v1/echo", content=b'{"input": {"url": "a"}}', headers={"Content-Type": content_type}
    )
    error_of(response, 415, "UNSUPPORTED_MEDIA_TYPE")


def test_body_over_the_limit_is_refused_with_or_without_content_length(client: TestClient) -> None:
    body = json.dumps({"input": {"url": "a" * MAX_BODY_BYTES}}).encode()
    error_of(client.post("/v1/echo", content=body), 413, "PAYLOAD_TOO_LARGE")
    chunks = (body[at : at + 1000] for at in range(0, len(body), 1000))
    headers = {"Content-Type": "application/json"}
    error_of(client.post("/v1/echo", content=chunks, headers=headers), 413, "PAYLOAD_TOO_LARGE")


def test_valid_request_id_of_the_client_is_used(client: TestClient) -> None:
    assert client.get("/v1/credits", headers={"X-Request-Id": "job-7.a"}).headers["x-request-id"] == "job-7.a"
    for odd in ("", "a b", "x" * 65, 'a"b'):
        made = client.get("/v1/credits", headers={"X-Request-Id": odd}).headers["x-request-id"]
        assert made.startswith("req_")


def test_slow_body_times_out(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "BODY_SECONDS", 0.1)
    sent: list[dict[str, Any]] = []

    async def drip() -> dict[str, Any]:
        await asyncio.sleep(0.03)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/echo", "query_string": b"", "headers": []}
    asyncio.run(asyncio.wait_for(app(scope, drip, send), LIMIT_S))  # type: ignore[arg-type]
    assert sent[0]["status"] == 422 and b"did not arrive" in sent[1]["body"]


@pytest.mark.parametrize("path", ["/v1/slow", "/slow"])
def test_h3_concurrent_creates_of_one_caller_do_not_block_others(
    path: str, app: FastAPI, account: Account, services: Services
) -> None:
    """While slow creates use all places of a caller, other requests are served."""
    running, most, go = 0, 0, threading.Event()
    lock = threading.Lock()

    @app.post(path)
    def slow() -> Any:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        assert go.wait(2 * LIMIT_S)
        with lock:
            running -= 1
        return success({})

    with services.database.write() as session:
        other = services.accounts.create_account(session, "other@example.org")
        key = services.accounts.create_key(session, other.id, "")[1]
    with TestClient(app) as client, ThreadPoolExecutor(13) as pool:
        waiting = [pool.submit(client.post, path, headers=account.headers) for _ in range(12)]
        try:
            until = time.monotonic() + LIMIT_S
            while running < places.PLACES_PER_ACCOUNT and time.monotonic() < until:
                time.sleep(0.01)
            assert client.get("/v1/credits", headers=account.headers).status_code == 200
            body = {"input": {"url": "a"}}
            assert (
                client.post("/v1/echo", json=body, headers={"Authorization": f"Bearer {key}"}).status_code
                == 200
            )
            assert running == most == places.PLACES_PER_ACCOUNT
        finally:
            go.set()
        assert [each.result(LIMIT_S).status_code for each in waiting] == [200] * 12
    assert most == places.PLACES_PER_ACCOUNT


def test_unavailable_database_during_admission_is_503(
    client: TestClient, services: Services, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise OperationalError("SELECT secret", None, Exception("no connection"))

    monkeypatch.setattr(services.database, "read", refuse)
    answer = client.get("/v1/credits", headers=account.headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "UNAVAILABLE")
    assert answer.headers["retry-after"] == "10" and "secret" not in answer.text
