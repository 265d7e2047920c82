"""The console in German, on a phone and a desktop: from sign-up to signing out."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.server import Server
from tests.acceptance.songs import encode, sung

from .chromium import NARROW, WIDE, barriers, drop_on, too_wide, window

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

RATE = 22_050
TIMEOUT_MS = 120_000  # of a split


def look(page: Page) -> None:
    """Check the page that is shown: it fits the window and is accessible."""
    assert page.locator("html").get_attribute("lang") == "de"
    assert too_wide(page) == []
    assert barriers(page) == []


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["phone", "desktop"])
def test_german_story(browser: Browser, server: Server, size: dict[str, int], tmp_path: Path) -> None:
    song = encode(tmp_path / "Lied.flac", sung(3 * RATE, rate=RATE), RATE, "flac")
    with window(browser, server.url, viewport=size, locale="de-DE") as (page, seen):
        sign_up(page, f"phone-{size['width']}@example.org")
        split(page, song)
        play(page)
        use_tool(page)
        change_language(page)
        page.get_by_role("button", name="Abmelden").click()
        expect(page.get_by_role("link", name="Anmelden").first).to_be_visible()
        assert (seen.foreign, seen.complaints) == ([], [])


def sign_up(page: Page, email: str) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", name="Songs in Spuren aufteilen")).to_be_visible()
    look(page)
    page.get_by_role("link", name="Registrieren").first.click()
    page.get_by_label("E-Mail-Adresse").fill(email)
    page.get_by_label("Passwort").fill("kurz gedacht")
    look(page)
    page.get_by_role("button", name="Konto erstellen").click()
    expect(page.get_by_role("heading", name="Song aufteilen")).to_be_visible()


def split(page: Page, song: Path) -> None:
    drop_on(page, "[data-drop]", song)
    expect(page.locator("[data-cost]")).to_contain_text(re.compile(r"Das kostet 3 von [\d.]+ Credits\."))
    page.get_by_label("4 Spuren").check()
    page.get_by_role("button", name="Aufteilen", exact=True).click()
    page.wait_for_url(re.compile("/splits/split_"), timeout=TIMEOUT_MS)
    expect(page.locator("[data-player]")).to_be_visible(timeout=TIMEOUT_MS)


def play(page: Page) -> None:
    for stem in ("Gesang", "Schlagzeug", "Bass", "Rest"):
        expect(page.get_by_role("heading", name=stem, exact=True)).to_be_visible()
    look(page)
    page.get_by_role("button", name="Abspielen", exact=True).click()
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    page.keyboard.press("Space")
    page.keyboard.press("1")
    expect(page.locator("#toasts")).to_contain_text("Gesang: Stummschaltung an")
    page.get_by_label("Pegel: Bass").fill("-1.5")
    expect(page.locator("output[for=gain-bass]")).to_have_text("-1,5 dB")


def use_tool(page: Page) -> None:
    page.get_by_role("link", name="Tonart finden").last.click()
    expect(page.get_by_role("heading", name="Tonart finden", level=1)).to_be_visible()
    page.get_by_role("button", name="Tonart und Tempo finden").click()
    expect(page.get_by_role("alert")).to_have_text("Eine Datei wählen oder eine URL eingeben.")
    look(page)


def change_language(page: Page) -> None:
    """Read the account in English, and return to German."""
    page.goto("/account")
    expect(page.get_by_role("heading", name="Konto", exact=True)).to_be_visible()
    look(page)
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Account", exact=True)).to_be_visible()
    page.get_by_role("button", name="Deutsch").click()
    expect(page.get_by_role("heading", name="Konto", exact=True)).to_be_visible()
