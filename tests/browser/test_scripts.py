"""The script of all pages, and pages without scripts."""

import json
import urllib.request

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from stemsplitter.console.developer import curl_command
from tests.acceptance.server import Server

from .chromium import window
from .sample import Sample

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_new_key_and_curl_command_are_copied(browser: Browser, filled: tuple[Server, Sample]) -> None:
    server, sample = filled
    with window(browser, server.url, sample.sessions["newcomer"]) as (page, seen):
        page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
        page.goto("/developer")
        page.get_by_role("button", name="Create key").click()
        page.get_by_role("button", name="Copy key").click()
        expect(page.locator("#toasts")).to_contain_text("Copied.")
        key = page.evaluate("navigator.clipboard.readText()")
        assert key.startswith("ast_live_") and page.locator("#key").inner_text() == key
        page.get_by_role("button", name="Copy", exact=True).click()
        expect(page.locator("#toasts").get_by_text("Copied.")).to_have_count(2)
        assert page.evaluate("navigator.clipboard.readText()") == curl_command(server.url, key)
        assert (seen.foreign, seen.complaints) == ([], [])


def test_test_key_is_made_beside_live_keys(browser: Browser, filled: tuple[Server, Sample]) -> None:
    """The label and the prefix say which it is; its requests are listed with it, and its webhooks in test mode."""
    server, sample = filled
    with window(browser, server.url, sample.sessions["newcomer"]) as (page, seen):
        page.goto("/developer")
        page.get_by_label("Key name").fill("for the tests")
        page.get_by_label("Type").select_option("Test")
        page.get_by_role("button", name="Create key").click()
        expect(page.get_by_role("heading", name="Your new test key")).to_be_visible()
        key = page.locator("#key").inner_text()
        row = page.get_by_role("row").filter(has_text="for the tests")
        expect(row.locator(".badge")).to_have_text("Test")
        expect(row).to_contain_text(key[: len("ast_test_abc")])
        request = urllib.request.Request(
            f"{server.url}/v1/credits", headers={"Authorization": f"Bearer {key}"}
        )
        assert json.load(urllib.request.urlopen(request))["data"]["balance"] == 100_000
        expect(_requests(page)).to_contain_text("GET /v1/credits")
        page.goto("/developer/webhooks")
        page.get_by_role("link", name="Test", exact=True).click()
        page.get_by_role("button", name="Create secret").click()
        expect(page.get_by_role("button", name="Copy secret")).to_be_visible()
        expect(page.get_by_role("link", name="Test", exact=True)).to_have_attribute("aria-current", "true")
        page.get_by_role("link", name="Live", exact=True).click()
        expect(page.get_by_role("button", name="Create secret")).to_be_visible()
        assert (seen.foreign, seen.complaints) == ([], [])


def _requests(page: Page) -> Locator:
    """Return the row of the request of the test key, which is written within some seconds."""
    row = page.get_by_role("row").filter(has_text="for the tests").filter(has=page.locator(".badge.plain"))
    for _ in range(20):
        page.goto("/developer/requests")
        if row.count():
            break
        page.wait_for_timeout(500)
    return row


def test_text_is_selected_without_clipboard(browser: Browser, filled: tuple[Server, Sample]) -> None:
    server, _ = filled
    with window(browser, server.url) as (page, seen):
        page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
        page.goto("/")
        page.get_by_role("button", name="Copy", exact=True).click()
        expect(page.locator("#toasts")).to_contain_text("Press Ctrl+C to copy.")
        assert page.evaluate("getSelection().toString()").strip() == curl_command(server.url)
        assert (seen.foreign, seen.complaints) == ([], [])


def test_times_are_in_readers_time_zone(browser: Browser, filled: tuple[Server, Sample]) -> None:
    server, sample = filled
    with window(
        browser, server.url, sample.sessions["member"], timezone_id="Asia/Kathmandu", locale="en-GB"
    ) as (page, _):
        page.goto("/account")
        time = page.locator("main time")
        at = time.get_attribute("datetime")
        shown = page.evaluate(
            "at => new Date(at).toLocaleString('en-GB', "
            "{ dateStyle: 'medium', timeStyle: 'short', timeZone: 'Asia/Kathmandu' })",
            at,
        )
        expect(time).to_have_text(shown)
        assert (time.get_attribute("title") or "").endswith(" UTC")


def test_pages_work_without_scripts(browser: Browser, filled: tuple[Server, Sample]) -> None:
    """A mix is downloaded, a key is created and revoked; features that need scripts are hidden or explained."""
    server, sample = filled
    with window(
        browser, server.url, sample.sessions["member"], java_script_enabled=False, accept_downloads=True
    ) as (page, seen):
        page.goto("/new")
        expect(page.get_by_label("Choose a song")).to_be_hidden()
        expect(page.locator("noscript .hint")).to_be_visible()
        page.get_by_label("Song URL").fill("http://192.0.2.1/song.mp3")
        page.get_by_role("button", name="Split", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("192.0.2.1")

        page.goto(f"/splits/{sample.ids['player']}")
        expect(page.locator("[data-play]")).to_be_hidden()
        page.get_by_label("Mute vocals").check(force=True)
        with page.expect_download() as waiting:
            page.locator("[data-save]").click()
        assert waiting.value.suggested_filename.endswith(".wav")

        page.goto("/developer")
        page.get_by_label("Key name").fill("scriptless")
        page.get_by_role("button", name="Create key").click()
        expect(page.get_by_role("heading", name="Your new API key")).to_be_visible()
        row = page.get_by_role("row").filter(has_text="scriptless")
        row.get_by_role("button", name="Revoke").click()
        expect(row).to_contain_text("Revoked")
        assert (seen.foreign, seen.complaints) == ([], [])
