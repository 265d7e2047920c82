"""The public pages: home, pricing, status."""

import re
from datetime import timedelta

import pytest

from stemsplitter.clock import now
from stemsplitter.console.tasks import TASKS
from stemsplitter.console.tools import TOOLS
from stemsplitter.health.models import HealthCheck
from stemsplitter.services import Services
from stemsplitter.settings import Settings

from .conftest import Browser
from .songs import add_split
from .test_pages import check


def test_home_links_to_main_pages(visitor: Browser, services: Services) -> None:
    page = check(visitor, "/")
    assert {"/new", "/pricing", "/docs", "/docs/getting-started", "/status", "/sign-in"} <= page.links
    assert f"curl {services.settings.base_url}/v1/audio/splits" in visitor.get("/").text


def test_each_tool_is_a_card_with_an_icon_of_its_own(visitor: Browser, browser: Browser) -> None:
    paths = [tool.path for tool in (*TASKS, *TOOLS)]
    for text, general in ((visitor.get("/").text, ["/new"]), (browser.get("/new").text, [])):
        cards = re.findall(r'<li><a href="([^"]+)"><svg[^>]*><use href="[^"]+#([a-z0-9-]+)"', text)
        assert [path for path, _ in cards] == general + paths
        assert len({icon for _, icon in cards}) == len(cards)


def test_links_of_public_pages_resolve(visitor: Browser) -> None:
    links = set().union(*(check(visitor, path).links for path in ("/", "/pricing", "/status", "/sign-in")))
    for link in links - {"/credits"}:
        assert visitor.get(link).status_code in (200, 303), link


def test_pricing_without_payments_offers_no_packs(visitor: Browser) -> None:
    text = visitor.get("/pricing").text
    for told in ("10 minutes", "600 credits", "does not sell credits", "ask its operator"):
        assert told in text
    assert "Buy" not in text and "30,000" not in text


class TestPrices:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(
            update={
                "packs": "50=1234.50, 150",
                "currency": "eur",
                "free_credits": 0,
                "stripe_secret_key": "sk_test_1",
                "stripe_webhook_secret": "whsec_dGVzdA==",
            }
        )

    def test_packs_with_prices_show_price(self, visitor: Browser) -> None:
        text = visitor.get("/pricing").text
        assert "€1,234.50" in text and text.count("Buy credits") == 1 and "Free" not in text


class TestUnmetered:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"metering": False})

    def test_unmetered_server_shows_no_prices(self, visitor: Browser) -> None:
        text = visitor.get("/pricing").text
        assert "Splits are free" in text and "credits" not in text
        assert "free credits" not in visitor.get("/sign-up").text


def test_status_shows_problems_and_incidents(visitor: Browser, services: Services) -> None:
    with services.database.write() as session:
        for minutes in (60, 20):
            at = now() - timedelta(minutes=minutes)
            session.add(HealthCheck(at=at, storage=True, queued=0, waited_s=0, workers=1, faults=0))
    text = visitor.get("/status").text
    assert "No worker is running. Splits stay queued until one starts." in text
    assert text.count("<td>No worker was running</td>") == 2 and text.count("Ongoing") == 1
    check(visitor, "/status")


def test_status_shows_wait_and_speed(visitor: Browser, services: Services, account_id: str) -> None:
    text = visitor.get("/status").text
    assert text.count("<dd>–</dd>") == 2 and "0 splits succeeded" in text
    at = now() - timedelta(minutes=5)
    for waited_s, work_s in ((1, 20), (2.5, 100), (70, 50)):
        add_split(
            services,
            account_id,
            "succeeded",
            created_at=at,
            started_at=at + timedelta(seconds=waited_s),
            duration_seconds=200,
            processing={"seconds": work_s},
        )
    add_split(services, account_id)
    add_split(services, account_id, "processing")
    services.__dict__.pop("health")  # it caches for ten seconds
    text = visitor.get("/status").text
    for told in (
        "<dd>2.5 s</dd>",
        "<dd>4.0×</dd>",
        "3 splits succeeded",
        "Splits in progress</dt><dd>1</dd>",
    ):
        assert told in text
