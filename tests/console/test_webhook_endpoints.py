"""Pages of saved webhook endpoints."""

import re
from collections.abc import Callable

import pytest

from stemsplitter.console.webhooks import SENDS
from stemsplitter.services import Services
from tests.loopback import Site

from .conftest import Browser, sign_in
from .test_pages import check
from .test_webhooks import SPLIT, receiver, webhooks

__all__ = ["receiver", "webhooks"]

PATH = "/developer/endpoints"


@pytest.fixture
def endpoint_id(services: Services, account_id: str, receiver: Site) -> str:
    with services.database.write() as session:
        return services.webhook_endpoints.create(session, account_id, receiver.url, ["*"], "<b>A</b>")[0].id


def test_endpoint_is_added_and_its_secret_shown_once(browser: Browser, receiver: Site) -> None:
    assert "No endpoints yet" in browser.get(PATH).text
    data = {"csrf": browser.csrf, "url": receiver.url, "description": "Mine", "events": "audio.split.failed"}
    answer = browser.post(PATH, data=data)
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    [secret] = re.findall(r"whsec_[A-Za-z0-9+/]{43}=", answer.text)
    [path] = {link for link in check(browser, PATH).links if link.startswith(f"{PATH}/whe_")}
    page = browser.get(path).text
    check(browser, path)
    assert secret not in page and secret[:12] in page and "Mine" in page
    assert 'value="audio.split.failed" checked' in page and 'value="*" checked' not in page


def test_invalid_endpoint_keeps_the_form(browser: Browser) -> None:
    data = {"csrf": browser.csrf, "url": 'http://10.0.0.1/"><script>', "description": "Mine"}
    answer = browser.post(PATH, data=data)
    assert answer.status_code == 422 and 'role="alert"' in answer.text and 'value="Mine"' in answer.text
    assert '"><script>' not in answer.text


def test_endpoint_is_changed_disabled_enabled_and_deleted(
    services: Services, browser: Browser, account_id: str, endpoint_id: str, receiver: Site
) -> None:
    csrf, path = browser.csrf, f"{PATH}/{endpoint_id}"
    assert "<b>A</b>" not in browser.get(path).text
    data = {"csrf": csrf, "url": receiver.url, "description": "B", "events": ["audio.split.failed"]}
    assert browser.post(path, data=data).status_code == 303
    assert browser.post(path, data=data | {"url": "ftp://a/"}).status_code == 422
    assert browser.post(f"{path}/disable", data={"csrf": csrf}).status_code == 303
    page = browser.get(path).text
    assert "Disabled" in page and f'action="{path}/enable"' in page
    check(browser, path)
    browser.post(f"{path}/enable", data={"csrf": csrf})
    with services.database.read() as session:
        found = services.webhook_endpoints.get(session, account_id, endpoint_id)
    assert found.disabled_at is None and found.events == ["audio.split.failed"]
    shown = browser.post(f"{path}/secret", data={"csrf": csrf}).text
    assert len(re.findall(r"whsec_[A-Za-z0-9+/]{43}=", shown)) == 1
    assert browser.post(f"{path}/delete", data={"csrf": csrf}).status_code == 303
    assert browser.get(path).status_code == 404


def test_test_event_and_deliveries_are_shown(
    services: Services, browser: Browser, account_id: str, endpoint_id: str, receiver: Site
) -> None:
    path = f"{PATH}/{endpoint_id}"
    answer = browser.post(f"{path}/test", data={"csrf": browser.csrf})
    delivery = answer.headers["location"]
    assert services.webhooks.attempt(delivery.rpartition("/")[2]) is None and len(receiver.requests) == 1
    with services.database.write() as session:
        chosen = services.webhooks.endpoints_of(session, account_id, "split", "succeeded")
        services.webhooks.create_event(session, "split", SPLIT, None, account_id, chosen)
    links = check(browser, path).links
    assert delivery in links and len([link for link in links if "/webhooks/dlv_" in link]) == 2
    answers = [browser.post(f"{path}/test", data={"csrf": browser.csrf}) for _ in range(SENDS.limit)]
    assert answers[-1].status_code == 429


def test_endpoint_disabled_by_the_server_says_why(
    services: Services, browser: Browser, account_id: str, endpoint_id: str, receiver: Site
) -> None:
    receiver.answers = [410]
    with services.database.write() as session:
        chosen = services.webhooks.endpoints_of(session, account_id, "split", "succeeded")
        [delivery_id] = services.webhooks.create_event(session, "split", SPLIT, None, account_id, chosen)
    services.webhooks.attempt(delivery_id)
    page = browser.get(f"{PATH}/{endpoint_id}").text
    assert "The receiver responded with 410 Gone." in page and 'role="alert"' in page
    assert "Disabled" in browser.get(PATH).text


def test_endpoints_of_other_accounts_are_not_found(
    services: Services, browsers: Callable[[], Browser], endpoint_id: str
) -> None:
    with services.database.write() as session:
        other_id = services.accounts.create_account(session, "other@example.org").id
    other = sign_in(services, browsers(), other_id)
    data = {"csrf": other.csrf, "url": "http://127.0.0.1/", "events": "*"}
    path = f"{PATH}/{endpoint_id}"
    assert other.get(path).status_code == 404
    for rest in ("", "/enable", "/disable", "/secret", "/test", "/delete"):
        assert other.post(path + rest, data=data).status_code == 404, rest
        assert other.post(path + rest, data={}).status_code == 403, rest
