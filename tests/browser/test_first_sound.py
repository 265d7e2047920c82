"""The first sound of the player, although the first requests fail or the browser does not start the sound."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.acceptance.server import Server

from .chromium import window
from .sample import Sample

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

# shortens the pauses and deadlines of the page's scripts
_FAST = "const later = setTimeout; window.setTimeout = (run, ms, ...rest) => later(run, ms / 20, ...rest);"
# the first audio contexts never start, or their clock stands still
_SUSPENDED = """let made = 0;
window.AudioContext = class extends AudioContext {
  #isBroken = (made += 1) <= %d;
  get state() { return this.#isBroken ? "suspended" : super.state; }
  resume() { return this.#isBroken ? new Promise(() => {}) : super.resume(); }
};"""
_STOPPED = """let made = 0;
window.AudioContext = class extends AudioContext {
  #isBroken = (made += 1) <= 1;
  get currentTime() { return this.#isBroken ? 1 : super.currentTime; }
};"""
_HEARD = "() => document.querySelector('[data-player]').engine?.level() > 0"


@pytest.fixture
def page(browser: Browser, filled: tuple[Server, Sample]) -> Iterator[Page]:
    server, sample = filled
    with window(browser, server.url, sample.sessions["member"]) as (opened, _):
        opened.add_init_script(_FAST)
        yield opened


def play(page: Page, sample: Sample) -> None:
    page.goto(f"/splits/{sample.ids['player']}")
    expect(page.locator("[data-player].ready")).to_be_visible()
    page.locator("[data-play]").click()


def fail(page: Page, times: int, how: Callable[[Route], object]) -> None:
    """Let the first ``times`` requests of each file of the previews fail."""
    asked: Counter[str] = Counter()

    def answer(route: Route) -> None:
        asked[route.request.url] += 1
        if asked[route.request.url] <= times:
            how(route)
        else:
            route.continue_()

    page.route("**/previews/opus/*", answer)


FAULTS: dict[str, Callable[[Route], object]] = {
    "fails": lambda route: route.abort("connectionfailed"),
    "is refused": lambda route: route.fulfill(status=503, headers={"Retry-After": "1"}),
    "waits": lambda route: route.fulfill(status=202, headers={"Retry-After": "1"}),
    "stalls": lambda route: None,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_sound_comes_although_first_request_fails(
    page: Page, filled: tuple[Server, Sample], fault: str
) -> None:
    fail(page, 2, FAULTS[fault])
    play(page, filled[1])
    page.wait_for_function(_HEARD)
    assert page.evaluate("document.querySelector('[data-player]').engine.constructor.name") == "PieceEngine"
    expect(page.locator("[data-message]")).to_be_hidden()


def test_play_works_again_once_server_is_back(page: Page, filled: tuple[Server, Sample]) -> None:
    page.route("**/previews/**", lambda route: route.abort("connectionfailed"))
    play(page, filled[1])
    expect(page.locator("[data-message]")).to_contain_text("press Play again")
    page.unroute("**/previews/**")
    page.locator("[data-play]").click()
    page.wait_for_function(_HEARD)
    expect(page.locator("[data-message]")).to_be_hidden()


@pytest.mark.parametrize("broken", [_SUSPENDED % 1, _STOPPED], ids=["suspended", "stopped clock"])
def test_sound_that_does_not_start_is_started_again(
    page: Page, filled: tuple[Server, Sample], broken: str
) -> None:
    page.add_init_script(broken)
    play(page, filled[1])
    page.wait_for_function(_HEARD)
    expect(page.locator("[data-message]")).to_be_hidden()


def test_sound_that_never_starts_is_told(page: Page, filled: tuple[Server, Sample]) -> None:
    page.add_init_script(_SUSPENDED % 3)
    play(page, filled[1])
    expect(page.locator("[data-message]")).to_contain_text("has not started the sound")
    page.locator("[data-play]").click()  # the fourth context works
    page.wait_for_function(_HEARD)
