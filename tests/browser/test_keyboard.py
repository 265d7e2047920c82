"""Keyboard operation: sign-in, upload, keys, player and sign-out."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FileChooser, Page, expect

from stemsplitter.accounts.passwords import hash_password
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from tests.acceptance.server import Server
from tests.acceptance.songs import encode, sung

from .chromium import TIMEOUT_MS, window
from .sample import Sample

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PASSWORD = "a few words to remember"
MAX_STOPS = 60

# true if the focus is visible on the focused element or the label beside it
_SHOWS = """() => {
  const focused = document.activeElement;
  return focused.matches(":focus-visible") && [focused, focused.nextElementSibling].some((part) => {
    const style = part && getComputedStyle(part);
    return style && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  });
}"""


@pytest.fixture
def email(filled: tuple[Server, Sample]) -> Iterator[str]:
    """Email address of the member, with a password set."""
    server, sample = filled
    services = Services(Settings(data_dir=server.database.parent))
    with services.database.write() as session:
        services.accounts.set_password(session, sample.ids["account"], hash_password(PASSWORD))
        found = services.accounts.find_account(session, sample.ids["account"]).email
    yield found
    services.close()


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until ``selector`` has the focus. Every stop must show its focus."""
    for _ in range(MAX_STOPS):
        page.keyboard.press("Tab")
        assert page.evaluate(_SHOWS), page.evaluate("document.activeElement.outerHTML")
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} is not reached by Tab")


def test_keyboard_reaches_everything(
    browser: Browser, filled: tuple[Server, Sample], email: str, tmp_path: Path
) -> None:
    server, sample = filled
    with window(browser, server.url) as (page, seen):
        sign_in(page, email)
        skip_to_content(page)
        tab_to(page, f"a[href='/splits/{sample.ids['player']}']")
        page.keyboard.press("Enter")
        play(page)
        set_faders(page)
        set_tempo(page)
        set_loop(page)
        delete_and_undo(page)
        song = encode(tmp_path / "Lied.flac", sung(22_050, rate=22_050), 22_050, "flac")
        send(page, song)
        make_and_revoke_key(page)
        page.goto("/splits")
        tab_to(page, "form[action='/sign-out'] button")
        page.keyboard.press("Enter")
        expect(page.get_by_role("link", name="Sign in").first).to_be_visible()
        assert (seen.foreign, seen.complaints) == ([], [])


def sign_in(page: Page, email: str) -> None:
    page.goto("/")
    tab_to(page, "a[href='/sign-in']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sign-in")
    expect(page.locator("#email")).to_be_focused()  # autofocus, shortly after loading
    page.keyboard.type(email)
    tab_to(page, "#password")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/splits")


def skip_to_content(page: Page) -> None:
    """Use the skip link."""
    tab_to(page, "a.skip")
    page.keyboard.press("Enter")
    tab_to(page, "main a[href='/new']")


def play(page: Page) -> None:
    expect(page.locator("[data-play]")).to_be_visible()
    for key in ("Shift+ArrowRight", "[", "Shift+ArrowRight", "]"):
        page.keyboard.press(key)  # a loop, so that playback does not end
    tab_to(page, "[data-play]")
    page.keyboard.press("Enter")
    expect(page.locator("[data-play-label]")).to_have_text("Pause", timeout=TIMEOUT_MS)
    page.keyboard.press("Space")
    expect(page.locator("[data-play-label]")).to_have_text("Play")


def set_faders(page: Page) -> None:
    """Use the shortcuts, then each control."""
    page.keyboard.press("2")
    expect(page.get_by_label("Mute drums")).to_be_checked()
    page.keyboard.press("Shift+Digit3")
    expect(page.get_by_label("Solo bass")).to_be_checked()
    tab_to(page, "#mute-vocals")
    page.keyboard.press("Space")
    expect(page.get_by_label("Mute vocals")).to_be_checked()
    tab_to(page, "#gain-vocals")
    page.keyboard.press("ArrowRight")
    assert float(page.get_by_label("Gain of vocals").input_value()) == 0.5
    tab_to(page, "[data-stem=vocals] summary")
    page.keyboard.press("Enter")
    tab_to(page, "#pan-vocals")
    page.keyboard.press("Home")
    assert float(page.get_by_label("Pan of vocals").input_value()) == -1
    tab_to(page, "[data-save]")


def set_tempo(page: Page) -> None:
    """Use every control of the practice bar."""
    page.reload()
    for control, key in (
        ("#speed", "ArrowLeft"),
        ("#semitones", "ArrowRight"),
        ("[data-metronome]", "Enter"),
    ):
        tab_to(page, control)
        page.keyboard.press(key)
    expect(page.get_by_label("Speed")).to_have_value("99")
    expect(page.get_by_label("Pitch")).to_have_value("1")
    expect(page.locator("[data-metronome]")).to_have_attribute("aria-pressed", "true")
    tab_to(page, "[data-zoom-in]")
    page.keyboard.press("Enter")
    expect(page.locator("[data-zoom-text]")).to_have_text("2×")


def delete_and_undo(page: Page) -> None:
    """Delete the split and restore it; return to its page."""
    page.reload()
    url = page.url
    tab_to(page, "form[action$='/delete'] button")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 split deleted.")).to_be_visible()
    tab_to(page, "form[action$='/restore'] button")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 split restored.")).to_be_visible()
    page.goto(url)


def dismiss_confirmation(page: Page) -> None:
    """Dismiss a confirmation, which keeps the focus until then."""
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate("document.activeElement.closest('dialog') !== null")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).not_to_be_visible()
    assert page.evaluate("document.activeElement.closest('form').action.endsWith('/revoke')")


def set_loop(page: Page) -> None:
    """Loop from 1 s to 2 s with the buttons."""
    page.reload()
    expect(page.locator("[data-play]")).to_be_visible()
    page.keyboard.press("Shift+ArrowRight")
    tab_to(page, "[data-loop-start]")
    page.keyboard.press("Enter")
    tab_to(page, "[data-loop-end]")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("[data-loop]")).to_have_attribute("aria-pressed", "true")


def send(page: Page, song: Path) -> None:
    """Upload a song for 4 stems, then cancel the split."""
    choosers: list[FileChooser] = []
    # before the page loads, so that Chromium reports the file dialog
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    page.goto("/new")
    tab_to(page, "#file")
    end = time.monotonic() + TIMEOUT_MS / 1000
    while not choosers:
        assert time.monotonic() < end
        page.keyboard.press("Enter")
        page.wait_for_timeout(1000)
    choosers[0].set_files(song)
    tab_to(page, "input[name=layout]")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("4 stems")).to_be_checked()
    tab_to(page, "form[data-new-split] button")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/splits/split_"))
    tab_to(page, "form[action$='/cancel'] button")
    page.keyboard.press("Enter")
    confirm(page)
    expect(page.get_by_role("button", name="Retry")).to_be_visible()


def make_and_revoke_key(page: Page) -> None:
    page.goto("/developer")
    tab_to(page, "#name")
    page.keyboard.type("by keyboard")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your new API key")).to_be_visible()
    tab_to(page, "button[data-copy=key]")
    tab_to(page, "form[action$='/revoke'] button")
    dismiss_confirmation(page)
    page.keyboard.press("Enter")
    confirm(page)
    expect(page.get_by_role("rowheader", name="by keyboard")).to_contain_text("Revoked")


def confirm(page: Page) -> None:
    """Confirm a dialog; the confirming button does not have the focus at first."""
    expect(page.get_by_role("dialog")).to_be_visible()
    tab_to(page, "[data-confirm-yes]")
    page.keyboard.press("Enter")
