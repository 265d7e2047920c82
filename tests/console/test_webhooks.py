"""The webhooks pages."""

import json
import re
from collections.abc import Callable, Iterator

import pytest

from stemsplitter.console.webhooks import SENDS
from stemsplitter.fetching import Fetcher
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from stemsplitter.webhooks.service import WebhookService
from tests.loopback import Site

from .conftest import Browser, sign_in
from .test_pages import check

SPLIT = {"id": "split_1", "status": "succeeded", "filename": "<script>alert(1)</script>\u202eexe.🎸 \ud83c"}
PATH = "/developer/webhooks"


@pytest.fixture(autouse=True)
def webhooks(services: Services) -> WebhookService:
    """A service that may deliver to this machine."""
    fetcher = Fetcher(Settings(allowed_networks="127.0.0.0/8"))
    made = WebhookService(services.database, fetcher, services.webhook_secrets, services.settings)
    services.__dict__["webhooks"] = made
    return made


@pytest.fixture
def receiver() -> Iterator[Site]:
    with Site("/hook?tenant=7") as made:
        yield made


@pytest.fixture
def delivery_id(services: Services, account_id: str, receiver: Site) -> str:
    with services.database.write() as session:
        return services.webhooks.create_event(session, "split", SPLIT, receiver.url, account_id)[0]


def test_secret_is_shown_once_and_rotated(services: Services, browser: Browser, account_id: str) -> None:
    assert "sent unsigned" in browser.get(PATH).text
    csrf, shown = browser.csrf, []
    for _ in range(2):
        answer = browser.post(f"{PATH}/secret", data={"csrf": csrf})
        assert answer.headers["cache-control"] == "no-store"
        shown += re.findall(r"whsec_[A-Za-z0-9+/]{43}=", answer.text)
    assert len(set(shown)) == 2
    with services.database.read() as session:
        active = services.webhook_secrets.active_secrets(session, account_id)
    assert active == shown[::-1]
    page = browser.get(PATH).text
    assert not any(secret in page for secret in shown)
    assert all(secret[:12] in page for secret in shown) and "valid until" in page


def test_test_event_is_sent_and_response_shown(services: Services, browser: Browser, receiver: Site) -> None:
    answer = browser.post(f"{PATH}/test", data={"csrf": browser.csrf, "url": receiver.url})
    assert answer.status_code == 303
    path = answer.headers["location"]
    waiting = browser.get(path).text
    assert "Pending" in waiting and f'hx-get="{path}?polls=1"' in waiting
    assert "hx-get" not in browser.get(f"{path}?polls=1000").text  # polling ends
    assert services.webhooks.attempt(path.rpartition("/")[2]) is None
    [(headers, body)] = receiver.requests
    assert json.loads(body)["event"] == "webhook.test"
    page = browser.get(path).text
    assert "Delivered" in page and "hx-get" not in page and headers["webhook-id"] in page
    check(browser, path)
    assert path in browser.get(PATH).text


def test_delivery_payload_is_escaped(services: Services, browser: Browser, delivery_id: str) -> None:
    path = f"{PATH}/{delivery_id}"
    check(browser, path)
    page = browser.get(path).text
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "🎸" in page
    assert "audio.split.completed" in page and 'href="/splits/split_1"' in page


def test_attempts_and_responses_are_shown(
    services: Services, browser: Browser, delivery_id: str, receiver: Site
) -> None:
    receiver.answers = [503]
    assert services.webhooks.attempt(delivery_id) is not None
    page = browser.get(f"{PATH}/{delivery_id}").text
    assert "503" in page and "must respond with 2xx" in page and "Next attempt" in page
    check(browser, f"{PATH}/{delivery_id}")


def test_event_is_redelivered_with_same_id(
    services: Services, browser: Browser, delivery_id: str, receiver: Site
) -> None:
    services.webhooks.attempt(delivery_id)
    answer = browser.post(f"{PATH}/{delivery_id}/replay", data={"csrf": browser.csrf})
    again = answer.headers["location"].rpartition("/")[2]
    assert answer.status_code == 303 and again != delivery_id
    services.webhooks.attempt(again)
    (first, body), (second, same) = receiver.requests
    assert body == same and first["webhook-id"] == second["webhook-id"]


def test_deliveries_are_paginated_and_filtered(
    services: Services, browser: Browser, account_id: str, delivery_id: str
) -> None:
    services.webhooks.attempt(delivery_id)
    with services.database.write() as session:
        tests = [services.webhooks.send_test(session, account_id, "http://127.0.0.1/").id for _ in range(26)]
    page = check(browser, PATH)
    [older] = [link for link in page.links if "cursor=" in link]
    assert {f"{PATH}/{each}" for each in tests[1:]} <= page.links
    assert {f"{PATH}/{tests[0]}", f"{PATH}/{delivery_id}"} <= check(browser, older).links
    assert f"{PATH}/{delivery_id}" in check(browser, f"{PATH}?status=delivered").links
    pending = check(browser, f"{PATH}?status=pending")
    [older] = [link for link in pending.links if "cursor=" in link]
    assert "status=pending" in older
    links = check(browser, older).links
    assert f"{PATH}/{tests[0]}" in links and f"{PATH}/{delivery_id}" not in links


@pytest.mark.parametrize("url", ["ftp://example.com/", "http://10.0.0.1/", '"><script>', "http://"])
def test_invalid_test_url_is_rejected(browser: Browser, url: str) -> None:
    answer = browser.post(f"{PATH}/test", data={"csrf": browser.csrf, "url": url})
    assert answer.status_code == 422 and 'role="alert"' in answer.text
    assert '"><script>' not in answer.text


def test_test_events_are_rate_limited(browser: Browser) -> None:
    csrf = browser.csrf
    data = {"csrf": csrf, "url": "http://127.0.0.1/"}
    answers = [browser.post(f"{PATH}/test", data=data).status_code for _ in range(SENDS.limit + 1)]
    assert answers == [303] * SENDS.limit + [429]
    assert browser.post(f"{PATH}/dlv_1/replay", data=data).status_code == 429


def test_resources_of_other_accounts_are_not_found(
    services: Services, browsers: Callable[[], Browser], delivery_id: str
) -> None:
    with services.database.write() as session:
        other_id = services.accounts.create_account(session, "other@example.org").id
    other = sign_in(services, browsers(), other_id)
    csrf = other.csrf
    assert other.get(f"{PATH}/{delivery_id}").status_code == 404
    assert other.post(f"{PATH}/{delivery_id}/replay", data={"csrf": csrf}).status_code == 404
    assert delivery_id not in other.get(PATH).text
    assert other.get(f"{PATH}?cursor={delivery_id}").status_code == 422


@pytest.mark.parametrize("path", ["secret", "test", "dlv_1/replay"])
def test_form_requires_csrf_token(browser: Browser, path: str) -> None:
    answer = browser.post(f"{PATH}/{path}", data={"url": "http://127.0.0.1/"})
    assert answer.status_code == 403


def test_test_mode_shows_what_test_keys_have(
    services: Services, browser: Browser, account_id: str, receiver: Site
) -> None:
    """Pages of either mode have the secret, the endpoints and the deliveries of its keys, and links that stay in it."""
    csrf = browser.csrf
    shown = browser.post("/developer/webhooks/secret?mode=test", data={"csrf": csrf}).text
    assert re.search("whsec_[^<]+", shown)
    made = browser.post(
        "/developer/endpoints?mode=test", data={"csrf": csrf, "url": receiver.url, "events": ["*"]}
    )
    endpoint = re.search("/developer/endpoints/(whe_[0-9A-Za-z]+)/test\\?mode=test", made.text)
    assert endpoint
    sent = browser.post(f"/developer/endpoints/{endpoint[1]}/test?mode=test", data={"csrf": csrf})
    delivery = sent.headers["location"]
    assert re.fullmatch("/developer/webhooks/dlv_[0-9A-Za-z]+\\?mode=test", delivery)
    for path in ("/developer/webhooks", "/developer/endpoints"):
        check(browser, f"{path}?mode=test")
        listed, live = browser.get(f"{path}?mode=test").text, browser.get(path).text
        assert receiver.url in listed and receiver.url not in live
        for target in re.findall(r'(?:action|href)="(/developer/(?:webhooks|endpoints)/[^"]+)"', listed):
            assert target.endswith("mode=test"), target
    for url in (delivery, f"/developer/endpoints/{endpoint[1]}?mode=test"):
        check(browser, url)
        assert browser.get(url).status_code == 200
        assert browser.get(url.removesuffix("?mode=test")).status_code == 404
    with services.database.read() as session:
        assert services.webhook_secrets.list_secrets(session, account_id) == []
    assert browser.get("/developer/webhooks?mode=other").status_code == 422
