"""The credits page and purchases."""

import re
from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient

from stemsplitter.api.routes.stripe import PATH as STRIPE
from stemsplitter.console.credits import PURCHASES
from stemsplitter.console.headers import POLICY
from stemsplitter.payments.service import PaymentService
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from tests.payments.checkout import KEY, SECRET, Checkout, event, signature, stand_in

from .conftest import Browser, sign_in
from .songs import add_split
from .test_pages import check


@pytest.fixture
def checkout() -> Iterator[Checkout]:
    with stand_in() as made:
        yield made


@pytest.fixture
def shop(settings: Settings, checkout: Checkout) -> Settings:
    """Settings of a server that sells a pack."""
    return settings.model_copy(
        update={
            "packs": "50=5.00, 150",
            "stripe_secret_key": KEY,
            "stripe_webhook_secret": SECRET,
            "stripe_api_base": checkout.url,
        }
    )


@pytest.fixture
def selling(services: Services, shop: Settings) -> Services:
    services.settings = shop
    services.__dict__["payments"] = PaymentService(services.database, shop, services.credits)
    return services


def pay(client: TestClient, payment: str) -> int:
    body = event(payment)
    headers = {"Stripe-Signature": signature(body), "Origin": "https://stripe.example"}
    return client.post(STRIPE, content=body, headers=headers).status_code


def test_balance_and_ledger_are_shown(services: Services, browser: Browser, account_id: str) -> None:
    with services.database.write() as session:
        services.credits.grant(session, account_id, -100, 'because <b>of</b> "it"')
        services.credits.hold(session, account_id, "split_1", 214)
        services.credits.release(session, "split_1")
    check(browser, "/credits")
    page = browser.get("/credits").text
    assert "<dd>500</dd>" in page and "0:08:20" not in page and "8:20" in page
    assert "−214" in page and "+214" in page and "+600" in page and "−100" in page
    assert "because &lt;b&gt;of&lt;/b&gt;" in page
    assert page.index("Refunded") < page.index("Reserved") < page.index("Deducted") < page.index("Granted")


def test_ledger_links_to_existing_splits(services: Services, browser: Browser, account_id: str) -> None:
    kept = add_split(services, account_id, "succeeded")
    gone = add_split(services, account_id, "failed")
    services.splits.delete(account_id, gone)
    page = check(browser, "/credits")
    assert f"/splits/{kept}" in page.links and f"/splits/{gone}" not in page.links
    assert browser.get("/credits").text.count("Deleted split") == 1


def test_ledger_is_paginated(services: Services, browser: Browser, account_id: str) -> None:
    with services.database.write() as session:
        for number in range(26):
            services.credits.grant(session, account_id, 1000 + number, f"note {number}.")
    first = check(browser, "/credits")
    [older] = [link for link in first.links if "cursor=" in link]
    assert "note 25." in browser.get("/credits").text and "note 0." not in browser.get("/credits").text
    check(browser, older)
    assert "note 0." in browser.get(older).text and "note 25." not in browser.get(older).text
    assert browser.get("/credits?cursor=led_1").status_code == 422


def test_usage_is_shown_as_plot_and_table(services: Services, browser: Browser, account_id: str) -> None:
    assert "No credits used." in browser.get("/credits").text
    with services.database.write() as session:
        services.credits.hold(session, account_id, "split_1", 214)
        services.credits.settle(session, "split_1")
    page = browser.get("/credits").text
    drawing = page[page.index("<svg") : page.index("</svg>")]
    assert drawing.count("<rect") == 1 and 'role="img"' in drawing and "214 in total" in drawing
    table = page[page.index("Show as table") :]
    days = re.findall(r"<td>\d{4}-\d\d-\d\d</td><td class=\"number\">([\d,]+)</td>", table)
    assert days == ["214"] + ["0"] * 29


def test_server_without_payments_names_operator(browser: Browser) -> None:
    answer = browser.get("/credits")
    assert (
        "This server does not sell credits. Ask its operator" in answer.text
        and "someone@example.org" in answer.text
    )
    assert "/credits/buy" not in answer.text and "Buy" not in answer.text
    assert answer.headers["content-security-policy"] == POLICY
    refused = browser.post("/credits/buy", data={"csrf": browser.csrf, "minutes": "50"})
    assert refused.status_code == 404


def test_purchase_adds_credits_once(
    selling: Services, browser: Browser, visitor: Browser, checkout: Checkout
) -> None:
    page = browser.get("/credits")
    assert "$5.00" in page.text and page.text.count('action="/credits/buy"') == 1
    policy = page.headers["content-security-policy"]
    assert f"form-action 'self' {checkout.url};" in policy and "unsafe" not in policy
    check(browser, "/credits")

    answer = browser.post("/credits/buy", data={"csrf": browser.csrf, "minutes": "50"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{checkout.url}/pay/cs_test_1")
    back = checkout.asked[0]["success_url"].removeprefix("http://127.0.0.1:8000")
    payment = checkout.asked[0]["metadata[payment]"]
    assert "being confirmed" in browser.get(back).text
    part = f"/credits/payments/{payment}"
    assert f'hx-get="{part}?polls=1"' in browser.get(back).text
    assert f'hx-get="{part}?polls=6"' in browser.get(f"{part}?polls=5").text
    assert "hx-get" not in browser.get(f"{part}?polls=1000").text
    assert "hx-refresh" not in browser.get(part).headers

    assert [pay(visitor, payment), pay(visitor, payment)] == [200, 200]
    assert browser.get(part).headers["hx-refresh"] == "true"
    page = browser.get(back)
    assert "3,000 credits were added" in page.text and "<dd>3,600</dd>" in page.text
    assert page.text.count("bought through Stripe") == 1 and "hx-get" not in page.text
    check(browser, back)


def test_default_checkout_origin_is_stripe(services: Services, settings: Settings) -> None:
    service = PaymentService(services.database, settings, services.credits)
    assert service.origin == "https://checkout.stripe.com"


def test_stripe_error_is_shown(selling: Services, browser: Browser, checkout: Checkout) -> None:
    checkout.status = 400
    answer = browser.post("/credits/buy", data={"csrf": browser.csrf, "minutes": "50"})
    assert answer.status_code == 503 and "nothing was charged" in answer.text
    assert "<dd>600</dd>" in answer.text


def test_unknown_pack_is_rejected(selling: Services, browser: Browser, checkout: Checkout) -> None:
    csrf = browser.csrf
    for minutes in ("150", "7"):
        assert browser.post("/credits/buy", data={"csrf": csrf, "minutes": minutes}).status_code == 404
    assert browser.post("/credits/buy", data={"csrf": csrf, "minutes": "lots"}).status_code == 422
    assert checkout.asked == []


def test_purchases_are_rate_limited(selling: Services, browser: Browser, checkout: Checkout) -> None:
    data = {"csrf": browser.csrf, "minutes": "50"}
    answers = [browser.post("/credits/buy", data=data).status_code for _ in range(PURCHASES.limit + 1)]
    assert answers == [303] * PURCHASES.limit + [429]


def test_form_requires_csrf_token(selling: Services, browser: Browser, checkout: Checkout) -> None:
    assert browser.post("/credits/buy", data={"minutes": "50"}).status_code == 403
    assert checkout.asked == []


def test_resources_of_other_accounts_are_not_found(
    selling: Services,
    browser: Browser,
    browsers: Callable[[], Browser],
    checkout: Checkout,
    account_id: str,
) -> None:
    browser.post("/credits/buy", data={"csrf": browser.csrf, "minutes": "50"})
    payment = checkout.asked[0]["metadata[payment]"]
    with selling.database.write() as session:
        other_id = selling.accounts.create_account(session, "other@example.org").id
        entry = selling.credits.grant(session, account_id, 1).id
    other = sign_in(selling, browsers(), other_id)
    assert other.get(f"/credits/payments/{payment}").status_code == 404
    assert other.get(f"/credits?payment={payment}").status_code == 404
    assert other.get(f"/credits?cursor={entry}").status_code == 422


def test_unmetered_server_sells_nothing(selling: Services, shop: Settings, browser: Browser) -> None:
    selling.settings = shop.model_copy(update={"metering": False})
    selling.__dict__["payments"] = PaymentService(selling.database, selling.settings, selling.credits)
    page = browser.get("/credits").text
    assert "Splits are free on this server" in page and "<svg viewBox" not in page and "Buy" not in page
    check(browser, "/credits")
