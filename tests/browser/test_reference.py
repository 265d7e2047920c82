"""The reference of the API: a request is sent from its page."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.acceptance.server import Server

from .chromium import window
from .sample import Sample

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def test_requests_are_sent_with_the_readers_key(browser: Browser, filled: tuple[Server, Sample]) -> None:
    server, sample = filled
    with window(browser, server.url, sample.sessions["member"]) as (page, seen):
        page.goto("/developer")
        page.get_by_label("Key name").fill("Reference")
        page.get_by_role("button", name="Create key", exact=True).click()
        key = page.locator("#key").inner_text()

        page.goto("/docs/api/splits")
        create = page.locator("#createSplit")
        create.get_by_text("Try it").click()
        create.get_by_role("button", name="Send request").click()
        expect(create.locator("[data-response]")).to_contain_text("Enter your API key")

        page.get_by_label("API key for").fill(key)
        create.get_by_label("Body").fill("{}")
        create.get_by_role("button", name="Send request").click()
        expect(create.locator("[data-response]")).to_contain_text(
            re.compile(r"^422 .*VALIDATION_ERROR", re.DOTALL)
        )

        page.goto("/docs/api/splits#listSplits")  # the key is kept in the tab
        found = page.locator("#listSplits")
        found.get_by_text("Try it").click()
        found.get_by_label("limit").fill("1")
        found.get_by_role("button", name="Send request").click()
        expect(found.locator("[data-response]")).to_contain_text(re.compile(r"^200 .*nextCursor", re.DOTALL))

        one = page.locator("#getSplit")
        one.get_by_text("Try it").click()
        one.get_by_label("split_id").fill(sample.ids["player"])
        one.get_by_role("button", name="Send request").click()
        expect(one.locator("[data-response]")).to_contain_text(f'"id": "{sample.ids["player"]}"')
        page.wait_for_load_state("networkidle")
        assert seen.foreign == []
