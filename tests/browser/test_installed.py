"""The installed app in Chromium: the offline page, an update, and songs shared by other apps."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.server import Server
from tests.acceptance.songs import encode, sung

from .chromium import barriers, window
from .sample import Sample

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

# true if the service worker of the newest script answers the requests of the page
_CONTROLS = """async () => {
  await navigator.serviceWorker.ready;
  if (!navigator.serviceWorker.controller) {
    await new Promise((done) => navigator.serviceWorker.addEventListener("controllerchange", done, { once: true }));
  }
  return true;
}"""
_KEPT = """async () => {
  const found = {};
  for (const name of await caches.keys()) found[name] = (await (await caches.open(name)).keys()).map(({ url }) => url);
  return found;
}"""
# posts a form with a file, as the system does when a song is shared to the app
_SHARE = """(name) => {
  const sent = { method: "POST", action: "/new/shared", enctype: "multipart/form-data" };
  const form = Object.assign(document.createElement("form"), sent);
  const input = Object.assign(document.createElement("input"), { type: "file", name });
  form.append(input);
  document.body.append(form);
  form.id = "share";
}"""


def install(page: Page) -> None:
    """Open a page, and wait for the service worker."""
    page.goto("/pricing")
    assert page.evaluate(_CONTROLS)


def share(page: Page, song: Path) -> None:
    """Share a song to the app."""
    page.evaluate(_SHARE, "song")
    page.locator("#share input").set_input_files(song)
    page.evaluate("document.getElementById('share').submit()")


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("song") / "Lied.flac", sung(22_050, rate=22_050), 22_050, "flac")


def test_offline_page_is_shown_and_nothing_private_is_kept(
    browser: Browser, filled: tuple[Server, Sample]
) -> None:
    server, sample = filled
    with window(browser, server.url, sample.sessions["member"], service_workers="allow") as (page, seen):
        install(page)
        for path in ("/splits", f"/splits/{sample.ids['player']}", "/account"):
            page.goto(path)
        ((cache, urls),) = page.evaluate(_KEPT).items()
        paths = sorted(url.removeprefix(server.url) for url in urls)
        assert cache.startswith("offline ") and paths[0] == "/offline" and len(paths) == 4
        assert all(re.fullmatch(r"/static/[0-9a-f]+/[\w.]+", path) for path in paths[1:])
        assert (seen.foreign, seen.complaints) == ([], [])
        page.context.set_offline(True)
        page.goto("/splits")
        expect(page.get_by_role("heading", level=1)).to_have_text("You are offline")
        expect(page.locator("body")).to_have_css("background-color", "rgb(247, 248, 249)")
        assert page.evaluate("document.fonts.load('16px Figtree').then((faces) => faces.length)") == 1
        assert barriers(page) == []
        page.context.set_offline(False)
        page.get_by_role("link", name="Try again").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Splits")


@pytest.mark.parametrize("who", ["member", ""])
def test_shared_song_becomes_the_draft_of_a_split(
    browser: Browser, filled: tuple[Server, Sample], song: Path, who: str
) -> None:
    server, sample = filled
    session = sample.sessions[who] if who else ""
    with window(browser, server.url, session, service_workers="allow") as (page, seen):
        install(page)
        share(page, song)
        if not who:
            page.wait_for_url("**/sign-up?next=/new")
            page.get_by_label("Email address").fill("sharing@example.org")
            page.get_by_label("Password").fill("a few words to remember")
            page.get_by_role("button", name="Create account").click()
        page.wait_for_url("**/new")
        expect(page.locator("label[for=file]")).to_contain_text("Lied.flac")
        assert (seen.foreign, seen.complaints) == ([], [])


def test_share_before_the_app_is_ready_says_what_to_do(
    browser: Browser, filled: tuple[Server, Sample], song: Path
) -> None:
    server, _ = filled
    with window(browser, server.url) as (page, _):
        page.goto("/pricing")
        share(page, song)
        expect(page.locator("[data-missed]")).to_contain_text("Share it again")
