"""The look of the pages: typeface, themes and forced colors."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.server import Server

from .chromium import window
from .sample import Sample

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

DARK, LIGHT = "rgb(18, 22, 27)", "rgb(247, 248, 249)"


def ground(page: Page) -> str:
    """Return the background color of the page."""
    found: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return found


@pytest.mark.parametrize("scripts", [True, False])
def test_theme_is_kept(browser: Browser, filled: tuple[Server, Sample], scripts: bool) -> None:
    server, _ = filled
    with window(browser, server.url, java_script_enabled=scripts, color_scheme="light") as (page, seen):
        page.goto("/pricing")
        page.get_by_role("button", name="Dark").click()
        expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
        expect(page.locator("body")).to_have_css("background-color", DARK)
        page.wait_for_load_state("networkidle")
        page.goto("/status")
        expect(page.locator("body")).to_have_css("background-color", DARK)
        page.get_by_role("button", name="System").click()
        expect(page.locator("body")).to_have_css("background-color", LIGHT)
        page.emulate_media(color_scheme="dark")
        expect(page.locator("body")).to_have_css("background-color", DARK)
        assert (seen.foreign, seen.complaints) == ([], [])


def test_typeface_is_loaded_once(browser: Browser, filled: tuple[Server, Sample]) -> None:
    server, _ = filled
    with window(browser, server.url) as (page, seen):
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
        page.goto("/", wait_until="networkidle")
        assert page.evaluate("document.fonts.check('16px Figtree')")
        assert [name for name in asked if name.endswith(".woff2")] == ["figtree.woff2"]
        scripts = [name for name in asked if name.endswith(".js")]
        assert len(scripts) == len(set(scripts)) >= 2  # a script under two URLs runs twice
        assert seen.complaints == []


def test_pressed_buttons_differ_in_forced_colors(browser: Browser, filled: tuple[Server, Sample]) -> None:
    server, _ = filled
    with window(browser, server.url, forced_colors="active") as (page, _):
        page.goto("/")
        colors = {
            page.get_by_role("button", name=name).evaluate("part => getComputedStyle(part).backgroundColor")
            for name in ("System", "Dark")
        }
        assert len(colors) == 2
