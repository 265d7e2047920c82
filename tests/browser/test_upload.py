"""Uploads: from the home page through sign-up, progress, lost connections and rejected files."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from stemsplitter.services import Services
from stemsplitter.settings import Settings
from tests.acceptance.server import Server
from tests.acceptance.songs import encode

from .chromium import drop_on, window
from .sample import Sample

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

RATE = 44_100
TIMEOUT_MS = 60_000
NAME = "<b>Lied &amp; 🎸.flac"

# calls heard(percent, text) at each change of the status
_LISTEN = """() => {
  const told = document.querySelector("[data-upload-status]");
  new MutationObserver(() => heard(document.querySelector("[data-upload] progress").value, told.textContent))
    .observe(told, { childList: true });
}"""


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About 2 MB of noise."""
    noise = 0.3 * np.random.default_rng(2).uniform(-1, 1, (2, 14 * RATE)).astype("f4")
    return encode(tmp_path_factory.mktemp("song") / NAME, noise, RATE, "flac")


@pytest.fixture
def page(browser: Browser, filled: tuple[Server, Sample]) -> Iterator[Page]:
    """A window without a session."""
    with window(browser, filled[0].url) as (opened, seen):
        opened.set_default_timeout(TIMEOUT_MS)
        yield opened
        assert (seen.foreign, seen.complaints) == ([], [])


def sign_up(page: Page, email: str) -> None:
    page.get_by_label("Email address").fill(email)
    page.get_by_label("Password").fill("a few words to remember")
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url("**/new")


@pytest.fixture
def verify(filled: tuple[Server, Sample]) -> Iterator[Callable[[str], str]]:
    """A function that verifies an address, which grants the free credits."""
    services = Services(Settings(data_dir=filled[0].database.parent))

    def use_link(email: str) -> str:
        with services.database.write() as session:
            account = services.accounts.find_account(session, email)
            return services.address_proofs.use(
                session, services.address_proofs.make_link(session, account.id, email)
            )

    yield use_link
    services.close()


def test_song_dropped_on_home_page_is_kept_through_sign_up(
    page: Page, song: Path, verify: Callable[[str], str]
) -> None:
    page.goto("/")
    drop_on(page, "[data-welcome]", song)
    page.wait_for_url("**/sign-up?next=/new")
    sign_up(page, "dropped@example.org")
    verify("dropped@example.org")
    zone = page.locator("[data-drop]")
    expect(zone.locator("label")).to_have_text(NAME)
    page.get_by_role("button", name="Split", exact=True).click()
    page.wait_for_url(re.compile("/splits/split_"))
    expect(page.get_by_role("heading", level=1)).to_have_text(NAME)
    # used up
    page.goto("/new")
    expect(zone.locator("label")).to_have_text("Choose a song")


def test_kept_song_is_available_in_its_tab_only(page: Page, song: Path) -> None:
    page.goto("/")
    page.get_by_label("Choose a song").set_input_files(song)
    page.wait_for_url("**/sign-up?next=/new")
    with page.context.new_page() as other:
        other.goto("/sign-up?next=/new")
        sign_up(other, "another@example.org")
        expect(other.locator("[data-drop]")).to_be_visible()
        other.wait_for_timeout(300)
        expect(other.locator("[data-drop] label")).to_have_text("Choose a song")
    # the file is deleted
    page.goto("/new")
    page.wait_for_timeout(300)
    expect(page.locator("[data-drop] label")).to_have_text("Choose a song")


def test_too_large_song_is_rejected_in_browser(page: Page, song: Path) -> None:
    page.goto("/")
    page.evaluate("document.querySelector('[data-welcome]').dataset.most = 1000")
    drop_on(page, "[data-welcome]", song)
    expect(page.get_by_role("alert")).to_contain_text("over the limit of 1.00 kB")
    assert page.url.endswith("/")


def test_upload_progress_is_shown(page: Page, song: Path, verify: Callable[[str], str]) -> None:
    page.goto("/sign-up?next=/new")
    sign_up(page, "slow@example.org")
    verify("slow@example.org")
    told: list[tuple[float, str]] = []
    page.expose_function("heard", lambda percent, text: told.append((percent, text)))
    page.evaluate(_LISTEN)
    drop_on(page, "[data-drop]", song)
    protocol = page.context.new_cdp_session(page)
    protocol.send("Network.enable")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 500_000}
    protocol.send("Network.emulateNetworkConditions", slow)
    page.get_by_role("button", name="Split", exact=True).click()
    page.wait_for_url(re.compile("/splits/split_"))
    between = [percent for percent, text in told if "Keep this page open" in text]
    assert len(set(between)) >= 3 and between == sorted(between), told
    assert 0 < between[0] < 50 and between[-1] < 100
    assert any(text == "Checking the file …" and percent == 100 for percent, text in told), told


def test_upload_resumes_after_lost_connection(
    browser: Browser, filled: tuple[Server, Sample], tmp_path: Path, verify: Callable[[str], str]
) -> None:
    """The second slice is lost, then the server does not respond once."""
    noise = 0.3 * np.random.default_rng(3).uniform(-1, 1, (2, 60 * RATE)).astype("f4")
    long = encode(tmp_path / "Lang.wav", noise, RATE, "pcm_s16le")
    assert long.stat().st_size > 8 << 20
    slices: list[tuple[int, str]] = []
    asked: list[int] = []

    def meddle(route: Route) -> None:
        request = route.request
        if request.method == "HEAD":
            asked.append(len(slices))
            lost = len(asked) == 2
        else:
            slices.append((int(request.headers["upload-offset"]), request.headers["upload-complete"]))
            lost = len(slices) == 2
        if lost:
            route.abort("connectionreset")
        else:
            route.continue_()

    with window(browser, filled[0].url) as (page, seen):
        page.set_default_timeout(TIMEOUT_MS)
        page.goto("/sign-up?next=/new")
        sign_up(page, "broken@example.org")
        verify("broken@example.org")
        told: list[tuple[float, str]] = []
        page.expose_function("heard", lambda percent, text: told.append((percent, text)))
        page.evaluate(_LISTEN)
        page.route("**/uploads/*", meddle)
        page.get_by_label("Choose a song").set_input_files(long)
        page.get_by_role("button", name="Split", exact=True).click()
        page.wait_for_url(re.compile("/splits/split_"))
        expect(page.get_by_role("heading", level=1)).to_have_text("Lang.wav")
        assert seen.foreign == []
    kept = 8 << 20
    assert slices == [(0, "?0"), (kept, "?1"), (kept, "?1")], slices
    assert asked == [0, 2, 2]
    broken = [percent for percent, text in told if text == "Connection lost. Retrying …"]
    assert broken and all(abs(percent - 100 * kept / long.stat().st_size) < 1 for percent in broken), told
    assert told[-1] == (100, "Checking the file …"), told


def test_text_file_is_rejected_in_form(
    browser: Browser, filled: tuple[Server, Sample], tmp_path: Path
) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear listener, " * 100)
    with window(browser, filled[0].url) as (page, seen):
        page.set_default_timeout(TIMEOUT_MS)
        page.goto("/sign-up?next=/new")
        sign_up(page, "nosong@example.org")
        page.get_by_label("Choose a song").set_input_files(letter)
        page.get_by_role("button", name="Split", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text(
            "This is a text file. Choose an audio or video file."
        )
        expect(page.get_by_role("button", name="Split", exact=True)).to_be_enabled()
        expect(page.locator("[data-upload]")).to_be_hidden()
        assert page.url.endswith("/new") and seen.foreign == []


def test_several_songs_are_sent_with_one_progress(
    browser: Browser, filled: tuple[Server, Sample], tmp_path: Path
) -> None:
    noise = np.random.default_rng(5).uniform(-0.2, 0.2, (2, RATE)).astype("f4")
    songs = [encode(tmp_path / f"{number}.flac", noise, RATE, "flac") for number in (1, 2)]
    server, sample = filled
    with window(browser, server.url, sample.sessions["newcomer"]) as (page, seen):
        page.goto("/new")
        page.locator("#file").set_input_files(songs)
        expect(page.locator("[data-drop] label")).to_have_text("2 songs")
        expect(page.locator("[data-cost]")).to_contain_text("This costs 2 of your")
        page.get_by_role("button", name="Split", exact=True).click()
        page.wait_for_url("**/splits")
        for song in songs:
            expect(page.get_by_role("link", name=song.name)).to_be_visible()
        assert seen.complaints == []


def test_cost_is_told_before_the_upload(browser: Browser, filled: tuple[Server, Sample], song: Path) -> None:
    server, sample = filled
    with window(browser, server.url, sample.sessions["newcomer"]) as (page, _):
        page.goto("/new")
        page.evaluate("document.querySelector('[data-balance]').dataset.balance = 3")
        page.locator("#file").set_input_files(song)
        expect(page.get_by_role("alert")).to_contain_text("This needs 14 credits, and you have 3.")
        expect(page.get_by_role("alert").get_by_role("link")).to_have_attribute("href", "/credits#buy")


def test_tool_page_accepts_songs_of_visitors(page: Page, tmp_path: Path, song: Path) -> None:
    page.goto("/karaoke")
    empty = tmp_path / "empty.mp3"
    empty.touch()
    page.locator("#file").set_input_files(empty)
    expect(page.get_by_role("alert")).to_have_text("empty.mp3 is empty. Choose another file.")
    drop_on(page, "[data-welcome]", song)
    page.wait_for_url("**/sign-up?next=/karaoke")
    page.get_by_label("Email address").fill("singer@example.org")
    page.get_by_label("Password").fill("a few words to remember")
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url("**/karaoke")
    expect(page.locator("[data-drop] label")).to_have_text(NAME)
