"""A first visit, from sign-up to a revoked key, on a running server."""

import base64
import os
import re
import signal
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from scripts.demo_song import TARGET as DEMO_SONG
from tests.acceptance.processes import children
from tests.acceptance.server import Server
from tests.acceptance.songs import dbfs, encode, read
from tests.payments.checkout import Checkout

from . import chromium
from .chromium import Seen, drop_on, window
from .sample import SIX
from .shop import receiver

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

NAME = "Lied <img src=x onerror=alert(1)> שלום 🎸.flac"
SECONDS, RATE = 60, 44_100
TIMEOUT_MS = 120_000  # generous, for a busy machine
STEP_DB = 20 * np.log10(2.0**-23)  # of a 24-bit step
BEGIN_S = 0.05  # scheduling delay of the player

Samples = npt.NDArray[Any]

# calls heard(text) at each change of the progress
_LISTEN = """addEventListener("DOMContentLoaded", () => {
  const tell = () => {
    const shown = document.querySelector("[data-percent]");
    if (shown) heard(shown.textContent);
  };
  new MutationObserver(tell).observe(document.body, { subtree: true, childList: true, characterData: true });
  tell();
});"""

_GAINS = """() => [...document.querySelector("[data-player]").engine.strips].map(
  ([name, { gain }]) => [name, gain.gain.value])"""

# the first seconds of the engine's output, as float32 in base64, left then right
_RENDER = """async ([seconds, rate]) => {
  const { BufferEngine, decodeStems } = await import("/static/engine.js");
  const { Faders } = await import("/static/faders.js");
  const lanes = [...document.querySelectorAll("[data-stem]")];
  const urls = new Map(lanes.map((lane) => [lane.dataset.stem, lane.dataset.url]));
  const context = new OfflineAudioContext(2, seconds * rate, rate);
  const buffers = await decodeStems(context, urls, () => {});
  await new BufferEngine(context, buffers, new Faders([...urls.keys()])).play();
  const heard = await context.startRendering();
  const bytes = [0, 1].flatMap((side) => [...new Uint8Array(heard.getChannelData(side).buffer)]);
  return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ""));
}"""


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first minute of a real song."""
    assert DEMO_SONG.exists(), f"{DEMO_SONG} is not there: run `make test-browser`, which fetches it."
    whole, rate = read(DEMO_SONG)
    assert rate == RATE
    return encode(tmp_path_factory.mktemp("song") / NAME, whole[:, : SECONDS * RATE], RATE, "flac")


@pytest.fixture
def opened(browser: Browser, server: Server) -> Iterator[tuple[Page, Seen]]:
    with window(browser, server.url, accept_downloads=True) as (page, seen):
        page.set_default_timeout(TIMEOUT_MS)
        expect.set_options(timeout=TIMEOUT_MS)
        yield page, seen
        expect.set_options(timeout=chromium.TIMEOUT_MS)


def test_first_visit(
    opened: tuple[Page, Seen], server: Server, checkout: Checkout, song: Path, tmp_path: Path
) -> None:
    page, seen = opened
    sign_up(page)
    key = create_key(page)
    assert credits(server, key) == (200, 100_000)
    told = listen(page)
    with receiver() as (hook, came):
        drop(page, song, hook)
        watch_progress(page, told, server)
        play(page)
        assert_in_step(page, song)
        assert_mixes(page, song, tmp_path)
        split_id = page.url.rpartition("/")[2]
        look_at_webhook(page, hook, split_id)
    assert [body["data"]["id"] for body in came] == [split_id]
    assert (seen.foreign, seen.complaints) == ([], [])
    buy(page, checkout)
    assert credits(server, key) == (200, 100_000 - SECONDS + 3000)
    revoke(page)
    assert credits(server, key)[0] == 401
    # only the checkout page
    assert {url.removeprefix(checkout.url) for url in seen.foreign} == {"/pay/cs_test_1"}
    assert seen.complaints == []


def credits(server: Server, key: str) -> tuple[int, int | None]:
    """Request the balance with a key."""
    answer = httpx2.get(f"{server.url}/v1/credits", headers={"Authorization": f"Bearer {key}"}, timeout=60)
    return answer.status_code, answer.json().get("data", {}).get("balance")


def sign_up(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Sign up").first.click()
    page.get_by_label("Email address").fill("first@example.org")
    page.get_by_label("Password").fill("a few words to remember")
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", name="New split")).to_be_visible()


def create_key(page: Page) -> str:
    page.get_by_role("link", name="Developer").click()
    page.get_by_label("Key name").fill("the story's")
    page.get_by_role("button", name="Create key").click()
    key = page.locator("#key").inner_text()
    assert key in page.locator("#curl").inner_text()
    page.get_by_role("link", name="Developer").click()
    expect(page.get_by_role("rowheader", name="the story's")).to_be_visible()
    assert key not in page.content()
    return key


def drop(page: Page, song: Path, hook: str) -> None:
    """Drop the song on the form and submit it."""
    page.get_by_role("link", name="New split").click()
    drop_on(page, "[data-drop]", song)
    expect(page.locator("[data-drop]")).to_contain_text(song.name)
    page.get_by_label("6 stems").check()
    page.get_by_label("Format", exact=True).select_option("wav24")
    page.get_by_text("Webhook", exact=True).click()
    page.get_by_label("Webhook URL").fill(hook)
    page.get_by_role("button", name="Split", exact=True).click()


def listen(page: Page) -> list[int]:
    """Record the percentages that pages show."""
    told: list[int] = []
    page.expose_function("heard", lambda text: told.append(int(text.removesuffix(" %"))))
    page.add_init_script(_LISTEN)
    return told


def watch_progress(page: Page, told: list[int], server: Server) -> None:
    """Wait for progress and the player without interaction."""
    with held(page, server, above=0):
        page.wait_for_url(re.compile("/splits/split_"))
        expect(page.get_by_role("heading", level=1)).to_have_text(NAME)
        first = catch_up(page, told, server)
    with held(page, server, above=first):
        assert first < catch_up(page, told, server) < 100
    expect(page.locator("[data-player]")).to_be_visible()
    assert told == sorted(told), told


def progress_of(server: Server) -> int:
    """Read the progress of the only split; 0 without one."""
    return next((progress for (progress,) in server.query("SELECT progress FROM jobs")), 0)


def catch_up(page: Page, told: list[int], server: Server) -> int:
    """Wait until the page shows the progress in the database."""
    end = time.monotonic() + TIMEOUT_MS / 1000
    while (progress := progress_of(server)) != (told[-1] if told else None):
        assert time.monotonic() < end, (progress, told)
        page.wait_for_timeout(50)
    return progress


@contextmanager
def held(page: Page, server: Server, above: int) -> Iterator[None]:
    """Suspend the separation while the block runs, once it exceeds a progress."""
    end = time.monotonic() + TIMEOUT_MS / 1000
    while progress_of(server) <= above:
        assert time.monotonic() < end
        page.wait_for_timeout(10)
    ((worker,),) = server.query("SELECT pid FROM workers WHERE role = 'worker'")
    separating = children(worker)
    for child in separating:
        os.kill(child, signal.SIGSTOP)
    try:
        yield
    finally:
        for child in separating:
            os.kill(child, signal.SIGCONT)


def engine(page: Page, what: str) -> Any:
    """Read a property of the player's engine; None before it exists."""
    return page.evaluate(f"document.querySelector('[data-player]').engine?.{what} ?? null")


def wait_for(page: Page, what: str) -> None:
    """Wait until a property is true. The pages' policy prevents waiting in the page."""
    end = time.monotonic() + TIMEOUT_MS / 1000
    while not engine(page, what):
        assert time.monotonic() < end, what
        page.wait_for_timeout(50)


def play(page: Page) -> None:
    """Play, and solo a stem. All stems stay in sync to 5 ms."""
    expect(page.locator("[data-play]")).to_be_visible()
    page.keyboard.press("Space")
    wait_for(page, "playing")
    wait_for(page, "position > 0")
    first = engine(page, "position")
    for _ in range(10):
        page.wait_for_timeout(100)
        places = engine(page, "positions()")
        assert sorted(places) == sorted(SIX)
        assert max(places.values()) - min(places.values()) <= 0.005
    assert engine(page, "position") > first + 0.5
    expect(page.locator("[data-now]")).not_to_have_text("0:00")
    page.keyboard.press("Shift+Digit1")
    expect(page.get_by_label("Solo vocals")).to_be_checked()
    end = time.monotonic() + TIMEOUT_MS / 1000
    while not is_alone(dict(page.evaluate(_GAINS)), "vocals"):
        assert time.monotonic() < end
        page.wait_for_timeout(50)
    page.keyboard.press("Shift+Digit1")
    page.keyboard.press("Space")
    assert engine(page, "playing") is False
    rests = engine(page, "position")
    page.wait_for_timeout(200)
    assert engine(page, "position") == rests > 1


def is_alone(gains: dict[str, float], name: str) -> bool:
    """Return True if only one stem is audible, at its full level."""
    one = gains.pop(name)
    return one == pytest.approx(1, abs=0.01) and len(gains) == 5 and max(gains.values()) < 0.001


def assert_in_step(page: Page, song: Path) -> None:
    """The engine's output equals the song, so the stems are in sync."""
    seconds = 2
    heard = np.frombuffer(base64.b64decode(page.evaluate(_RENDER, [seconds, RATE])), "<f4").reshape(2, -1)
    begin = round(BEGIN_S * RATE)
    original = read(song)[0][:, : seconds * RATE - begin]
    assert not heard[:, :begin].any()
    # six stems, each rounded to one step
    assert dbfs(heard[:, begin:] - original) <= STEP_DB + 20 * np.log10(6)


def save(page: Page, button: Locator, folder: Path) -> Path:
    with page.expect_download() as waiting:
        button.click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def assert_mixes(page: Page, song: Path, folder: Path) -> None:
    """A mix equals the stems with its settings applied; without settings, the song."""
    button = page.locator("[data-save]")
    archive = save(page, page.get_by_role("link", name="Download all stems (ZIP)"), folder)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder / "stems")
    stems = {name: read(next((folder / "stems").rglob(f"{name}.wav")))[0] for name in SIX}
    untouched = read(save(page, button, folder))[0]
    assert dbfs(untouched - read(song)[0]) <= STEP_DB + 20 * np.log10(7)
    page.get_by_label("Solo vocals").check(force=True)
    page.get_by_label("Solo bass").check(force=True)
    page.get_by_label("Gain of vocals").fill("-6")
    page.locator("[data-stem=bass] .pan summary").click()
    page.get_by_label("Pan of bass").fill("0.5")
    mixed = read(save(page, button, folder))[0]
    expected = stems["vocals"] * 10 ** (-6 / 20) + panned_right(stems["bass"], 0.5)
    assert dbfs(mixed - expected) <= STEP_DB
    assert dbfs(mixed - untouched) > -40


def panned_right(stereo: Samples, pan: float) -> Samples:
    """Pan with equal power, https://www.w3.org/TR/webaudio/#stereopanner-algorithm."""
    left, right = stereo.astype(np.float64)
    return np.stack([left * np.cos(pan * np.pi / 2), right + left * np.sin(pan * np.pi / 2)])


def look_at_webhook(page: Page, hook: str, split_id: str) -> None:
    """Find the delivered webhook in the list."""
    page.get_by_role("link", name="Developer").click()
    page.locator("main").get_by_role("link", name="Webhooks").click()
    row = page.get_by_role("row").filter(has_text="audio.split.completed")
    expect(row).to_have_count(1)
    expect(row).to_contain_text(hook)
    row.get_by_role("link").click()
    expect(page.locator("#delivery")).to_contain_text("Delivered")
    expect(page.locator("#delivery")).to_contain_text("thanks")
    expect(page.get_by_role("link", name=split_id)).to_be_visible()


def buy(page: Page, checkout: Checkout) -> None:
    page.get_by_role("link", name="Credits").click()
    page.get_by_role("button", name="Buy 50 minutes").click()
    page.wait_for_url(f"{checkout.url}/pay/**")
    page.get_by_role("button", name="Pay").click()
    expect(page.locator("#payment")).to_contain_text("3,000 credits were added")
    expect(page.locator("main")).to_contain_text("50 minutes, bought through Stripe")
    assert [asked["line_items[0][price_data][unit_amount]"] for asked in checkout.asked] == ["500"]


def revoke(page: Page) -> None:
    page.get_by_role("link", name="Developer").click()
    page.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("rowheader", name="the story's")).to_contain_text("Revoked")
