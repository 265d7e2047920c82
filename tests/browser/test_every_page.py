"""Rules for every page: accessible, self-contained, free of errors, usable on a phone."""

import time

import pytest
from fastapi.routing import APIRoute
from playwright.sync_api import Browser, CDPSession

from stemsplitter.console import routers
from stemsplitter.console.language import LANGUAGE_COOKIE
from tests.acceptance.server import Server

from .chromium import COLOR_RULES, NARROW, THEMES, TIMEOUT_MS, WIDE, barriers, too_wide, window
from .pages import NOT_PAGES, PLACES, Place
from .sample import Sample

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

MAX_BYTES = 150_000  # bytes, with headers


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_page_is_accessible_and_self_contained(
    browser: Browser, filled: tuple[Server, Sample], place: Place
) -> None:
    server, sample = filled
    session = sample.sessions.get(place.who, "")
    # no transition between the themes
    with window(browser, server.url, session, reduced_motion="reduce") as (page, seen):
        for size in (WIDE, NARROW):
            page.set_viewport_size(size)
            place.visit(page, sample.ids)
            assert too_wide(page) == []
            # colors do not depend on the width
            for theme in THEMES if size == WIDE else THEMES[:1]:
                page.emulate_media(color_scheme=theme)
                assert barriers(page) == [], (theme, size)
            if size == WIDE:
                # axe reads colors of text before they are forced, so this finds what opts out of forced colors
                page.emulate_media(color_scheme="light", forced_colors="active")
                assert barriers(page, COLOR_RULES) == []
                page.emulate_media(forced_colors="none")
        # German words are long
        page.context.add_cookies([{"name": LANGUAGE_COOKIE, "value": "de", "url": server.url}])
        page.goto(place.path.format(**sample.ids))
        assert too_wide(page) == []
        assert (seen.foreign, seen.complaints) == ([], [])


def test_checks_detect_faults(browser: Browser, filled: tuple[Server, Sample]) -> None:
    server, _ = filled
    # so that the policy does not block the request
    with window(browser, server.url, bypass_csp=True) as (page, seen):
        page.goto("/")
        page.evaluate("document.body.append(Object.assign(new Image(), { src: 'http://192.0.2.1/x.png' }))")
        page.wait_for_load_state("networkidle")
        assert seen.foreign == ["http://192.0.2.1/x.png"]
        assert any(text.startswith("image-alt: ") for text in barriers(page))
    with window(browser, server.url, viewport=NARROW) as (page, seen):
        page.goto("/")
        assert too_wide(page) == seen.complaints == []
        page.evaluate("""() => {
          const wide = document.createElement("div");
          wide.setAttribute("style", "color: red");
          wide.style.width = "400px";
          wide.textContent = "what has no height is not seen to overflow";
          document.querySelector("main").append(wide);
        }""")
        assert any("what has no height" in part for part in too_wide(page))
        end = time.monotonic() + TIMEOUT_MS / 1000
        while not seen.complaints:
            assert time.monotonic() < end
            page.wait_for_timeout(50)
        assert len(seen.complaints) == 1 and "Content Security Policy" in seen.complaints[0]


def test_every_page_is_visited() -> None:
    routes = [route for router in routers.PAGES for route in router.routes if isinstance(route, APIRoute)]
    pages = [route for route in routes if "GET" in route.methods and route.path not in NOT_PAGES]
    assert len(pages) > 20 and {route.path for route in routes} > NOT_PAGES
    visited = [place.path.partition("?")[0].format_map(_Any()) for place in PLACES]
    assert [route.path for route in pages if not any(route.path_regex.match(path) for path in visited)] == []


class _Any(dict[str, str]):
    """An ID for every key."""

    def __missing__(self, _: str) -> str:
        return "x"


@pytest.mark.parametrize("who", ["visitor", "newcomer"])
def test_home_page_is_small(browser: Browser, filled: tuple[Server, Sample], who: str) -> None:
    server, sample = filled
    with window(browser, server.url, sample.sessions.get(who, "")) as (page, _):
        sizes = watch_sizes(page.context.new_cdp_session(page))
        page.goto("/", wait_until="networkidle")
        assert len(sizes) >= 5 and 10_000 < sum(sizes) < MAX_BYTES


def watch_sizes(protocol: CDPSession) -> list[int]:
    """Record the transferred bytes of each file."""
    sizes: list[int] = []
    protocol.on("Network.loadingFinished", lambda told: sizes.append(int(told["encodedDataLength"])))
    protocol.send("Network.enable")
    protocol.send("Network.setCacheDisabled", {"cacheDisabled": True})
    return sizes
