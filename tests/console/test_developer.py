"""The API keys page."""

import re
from collections.abc import Callable

import pytest

from stemsplitter.accounts.models import ApiKey
from stemsplitter.service_errors import Unauthorized
from stemsplitter.services import Services
from tests.services import authenticate

from .conftest import Browser, sign_in
from .test_pages import check

HOSTILE = "<img src=x onerror=alert(1)> \"'&\u202etxt.exe 🎸"


def keys(services: Services, account_id: str) -> list[ApiKey]:
    with services.database.read() as session:
        return list(services.accounts.list_keys(session, account_id))


def test_new_key_is_shown_once(services: Services, browser: Browser, account_id: str) -> None:
    assert "No API keys yet" in browser.get("/developer").text
    answer = browser.post("/developer/keys", data={"csrf": browser.csrf, "name": "laptop"})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    shown = re.findall(r"ast_live_[0-9A-Za-z]{32}", answer.text)
    assert len(shown) == 2 and len(set(shown)) == 1  # the key and the curl command
    assert f"Authorization: Bearer {shown[0]}" in answer.text and "/v1/audio/splits" in answer.text
    assert authenticate(services.accounts, services.database, shown[0]).account_id == account_id
    page = browser.get("/developer").text
    assert shown[0] not in page and shown[0][:12] in page and "laptop" in page
    answer = browser.get("/v1/credits", headers={"Authorization": f"Bearer {shown[0]}"})
    assert answer.status_code == 200


def test_test_key_is_marked(services: Services, browser: Browser, account_id: str) -> None:
    answer = browser.post("/developer/keys", data={"csrf": browser.csrf, "name": "tests", "kind": "test"})
    shown = re.search(r"ast_test_[0-9A-Za-z]{32}", answer.text)
    assert shown and "Your new test key" in answer.text and "pay nothing" in answer.text
    caller = authenticate(services.accounts, services.database, shown[0])
    assert (caller.account_id, caller.owner_id) == (f"test_{account_id}", account_id)
    assert '<span class="badge plain">Test</span>' in browser.get("/developer").text
    assert browser.get("/v1/credits", headers={"Authorization": f"Bearer {shown[0]}"}).json()["data"] == {
        "balance": 100_000,
        "unit": "seconds",
    }
    services.api_requests.write()
    requests = browser.get("/developer/requests").text
    assert "<code>GET /v1/credits</code>" in requests and '<span class="badge plain">Test</span>' in requests
    check(browser, "/developer")
    refused = browser.post("/developer/keys", data={"csrf": browser.csrf, "kind": "other"})
    assert refused.status_code == 422 and len(keys(services, account_id)) == 1


def test_renamed_key_is_escaped(services: Services, browser: Browser, account_id: str) -> None:
    csrf = browser.csrf
    browser.post("/developer/keys", data={"csrf": csrf, "name": "old name"})
    [key] = keys(services, account_id)
    new = HOSTILE.replace("\u202e", "")
    answer = browser.post(f"/developer/keys/{key.id}/rename", data={"csrf": csrf, "name": new})
    assert (answer.status_code, answer.headers["location"]) == (303, "/developer")
    page = browser.get("/developer").text
    assert "<img src=x" not in page and "&lt;img src=x onerror=alert(1)&gt;" in page and "🎸" in page
    assert [key.name for key in keys(services, account_id)] == [new]
    check(browser, "/developer")


@pytest.mark.parametrize("name", ["x" * 101, HOSTILE])
def test_invalid_key_name_is_rejected(
    services: Services, browser: Browser, account_id: str, name: str
) -> None:
    """Covers a bidirectional control character, which is not printable."""
    answer = browser.post("/developer/keys", data={"csrf": browser.csrf, "name": name})
    assert answer.status_code == 422 and "must be one line of at most 100 characters" in answer.text
    assert keys(services, account_id) == []


def test_revoked_key_is_rejected(services: Services, browser: Browser, account_id: str) -> None:
    csrf = browser.csrf
    shown = re.search(r"ast_live_\w{32}", browser.post("/developer/keys", data={"csrf": csrf}).text)
    assert shown
    [key] = keys(services, account_id)
    assert browser.post(f"/developer/keys/{key.id}/revoke", data={"csrf": csrf}).status_code == 303
    with pytest.raises(Unauthorized):
        authenticate(services.accounts, services.database, shown[0])
    page = browser.get("/developer").text
    assert "Revoked" in page and f"/developer/keys/{key.id}" not in page


@pytest.mark.parametrize("what", ["rename", "revoke"])
def test_keys_of_other_accounts_are_not_found(
    services: Services, browser: Browser, browsers: Callable[[], Browser], account_id: str, what: str
) -> None:
    with services.database.write() as session:
        key, _ = services.accounts.create_key(session, account_id, "mine")
        other_id = services.accounts.create_account(session, "other@example.org").id
    other = sign_in(services, browsers(), other_id)
    assert "mine" not in other.get("/developer").text
    answer = other.post(f"/developer/keys/{key.id}/{what}", data={"csrf": other.csrf, "name": "theirs"})
    assert answer.status_code == 404
    [unchanged] = keys(services, account_id)
    assert (unchanged.name, unchanged.revoked_at) == ("mine", None)


@pytest.mark.parametrize("path", ["keys", "keys/key_1/rename", "keys/key_1/revoke"])
def test_form_requires_csrf_token(services: Services, browser: Browser, account_id: str, path: str) -> None:
    assert browser.post(f"/developer/{path}", data={"name": "x"}).status_code == 403
    assert keys(services, account_id) == []


def test_requests_of_keys_are_listed(browser: Browser, services: Services, account_id: str) -> None:
    check(browser, "/developer/requests")
    with services.database.write() as session:
        keys = [services.accounts.create_key(session, account_id, f"<{name}>") for name in "ab"]
    for (_, key), path in zip(keys, ("/v1/credits", "/v1/audio/splits/split_none"), strict=True):
        browser.get(path, headers={"Authorization": f"Bearer {key}", "X-Request-Id": "mine.1"})
    browser.get("/v1/credits")  # without a key
    services.api_requests.write()
    check(browser, "/developer/requests")
    text = browser.get("/developer/requests").text
    assert "GET /v1/credits" in text and "GET /v1/audio/splits/{split_id}" in text and "&lt;a&gt;" in text
    assert text.count("mine.1") == 2 and "split_none" not in text
    one = browser.get(f"/developer/requests?key={keys[0][0].id}").text
    assert "GET /v1/credits" in one and "/v1/audio/splits" not in one
    assert browser.get("/developer/requests?cursor=rq_none").status_code == 422
