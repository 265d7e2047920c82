"""The controls of the player: Back and reload, keys after a click, loops by dragging, forced colors, layout shifts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.server import Server

from .chromium import NARROW, window
from .sample import Sample
from .test_keyboard import tab_to
from .test_player import SECONDS, engine, slider, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

_SHIFTS = """new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.shifts = (window.shifts ?? 0) + entry.value;
}).observe({ type: "layout-shift", buffered: true });"""


@pytest.fixture
def player(browser: Browser, filled: tuple[Server, Sample]) -> Iterator[Page]:
    """The player page of the sample."""
    server, sample = filled
    with window(browser, server.url, sample.sessions["member"], accept_downloads=True) as (page, seen):
        page.goto(f"/splits/{sample.ids['player']}")
        expect(page.locator("[data-lanes] output").first).to_have_text("0 dB")
        yield page
        assert (seen.foreign, seen.complaints) == ([], [])


def drag(page: Page, start: float, end: float) -> None:
    """Drag over the first waveform, from and to shares of its width."""
    box = page.locator("[data-wave]").first.bounding_box()
    assert box
    page.mouse.move(box["x"] + start * box["width"], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], box["y"] + 20, steps=4)
    page.mouse.up()


def loop(page: Page) -> list[float]:
    """Return start and end of the loop in the engine."""
    found = engine(page, "loop")
    return [found["start"], found["end"]]


def play(page: Page) -> None:
    page.locator("[data-play]").click()
    wait_until(page, lambda: engine(page, "playing") is True)


@pytest.mark.parametrize("back", [True, False])
def test_settings_survive_back_and_reload(player: Page, back: bool) -> None:
    player.keyboard.press("2")
    player.get_by_label("Gain of bass").fill("-6")
    drag(player, 0.25, 0.75)
    if back:
        player.get_by_role("link", name="All splits").click()
        player.wait_for_url("**/splits")
        player.go_back()
    else:
        player.reload()
    expect(player.get_by_label("Mute drums")).to_be_checked()
    expect(player.get_by_label("Gain of bass")).to_have_value("-6")
    expect(player.locator("[data-stem=bass] output")).to_have_text("-6 dB")
    play(player)
    gains = "Object.fromEntries([...document.querySelector('[data-player]').engine.strips]" + (
        ".map(([name, { gain }]) => [name, gain.gain.value]))"
    )
    wait_until(player, lambda: player.evaluate(gains)["drums"] < 0.001)
    assert player.evaluate(gains)["bass"] == pytest.approx(10 ** (-6 / 20), abs=0.001)
    assert loop(player) == pytest.approx([SECONDS / 4, 3 * SECONDS / 4], abs=0.05)


def test_space_plays_after_a_click_on_any_control(player: Page) -> None:
    for control in ("[data-gain]", "[data-seek]", "[data-loop-start]", "[data-pan-text]"):
        player.locator(control).first.click()
        player.keyboard.press("Space")
        wait_until(player, lambda: engine(player, "playing") is True)
        player.keyboard.press("Space")
        wait_until(player, lambda: engine(player, "playing") is False)


def test_seek_bar_moves_by_seconds_with_keys(player: Page) -> None:
    player.get_by_label("Position").focus()
    player.keyboard.press("Shift+ArrowRight")
    assert slider(player) == pytest.approx(1, abs=0.02)
    player.keyboard.press("Shift+ArrowLeft")
    assert slider(player) == pytest.approx(0, abs=0.02)


def test_loop_is_selected_changed_and_cleared_by_dragging(player: Page) -> None:
    drag(player, 0.2, 0.6)
    expect(player.locator("[data-loop]")).to_have_attribute("aria-pressed", "true")
    drag(player, 0.6, 0.8)  # its end
    play(player)
    assert loop(player) == pytest.approx([0.2 * SECONDS, 0.8 * SECONDS], abs=0.05)
    player.keyboard.press("c")
    expect(player.locator("[data-loop]")).to_be_disabled()
    assert engine(player, "loop") is None


def test_help_lists_keys_and_volume_changes_the_output(player: Page) -> None:
    player.keyboard.press("?")
    expect(player.get_by_role("dialog")).to_contain_text("Clear the loop")
    player.keyboard.press("Escape")
    play(player)
    player.get_by_label("Volume").fill("25")
    wait_until(player, lambda: abs(engine(player, "volume.gain.value") - 0.25) < 0.01)
    state = "[navigator.mediaSession.metadata.title, navigator.mediaSession.playbackState]"
    assert player.evaluate(state) == ["Lied.flac", "playing"]


def test_part_is_saved_in_the_chosen_format(player: Page, tmp_path: Path) -> None:
    player.get_by_label("Save").select_option("without-vocals")
    player.get_by_label("Format").select_option("mp3")
    with player.expect_download() as waiting:
        player.locator("[data-save]").click()
    assert waiting.value.suggested_filename.endswith(".mp3")


def test_states_differ_in_forced_colors(browser: Browser, filled: tuple[Server, Sample]) -> None:
    server, sample = filled
    with window(browser, server.url, sample.sessions["member"], forced_colors="active") as (page, _):
        page.goto(f"/splits/{sample.ids['player']}")
        page.keyboard.press("1")
        look = "part => getComputedStyle(part).backgroundColor"
        mute, other = (page.locator(f"#mute-{name} + label").evaluate(look) for name in ("vocals", "drums"))
        assert mute != other
        assert page.locator(".head").first.evaluate(look) != page.locator(".wave").first.evaluate(look)


def test_practice_bar_is_used_by_keyboard_in_forced_colors(
    browser: Browser, filled: tuple[Server, Sample]
) -> None:
    server, sample = filled
    with window(browser, server.url, sample.sessions["member"], forced_colors="active") as (page, seen):
        page.goto(f"/splits/{sample.ids['player']}")
        expect(page.locator("[data-play]")).to_be_visible()
        tab_to(page, "#speed")  # every stop shows its focus
        page.keyboard.press("ArrowLeft")
        expect(page.locator("output[for=speed]")).to_have_text("99 %")
        tab_to(page, "#semitones")
        page.keyboard.press("ArrowRight")
        expect(page.locator("output[for=semitones]")).not_to_have_text("0")
        tab_to(page, "[data-metronome]")
        look = "part => getComputedStyle(part).backgroundColor"
        before = page.locator("[data-metronome]").evaluate(look)
        page.keyboard.press("Enter")
        expect(page.locator("[data-metronome]")).to_have_attribute("aria-pressed", "true")
        assert page.locator("[data-metronome]").evaluate(look) != before
        tab_to(page, "[data-zoom-in]")
        page.keyboard.press("Enter")
        expect(page.locator("[data-zoom-text]")).to_have_text("2×")
        assert (seen.foreign, seen.complaints) == ([], [])


@pytest.mark.parametrize("path", ["/", "/splits/{player}"])
def test_page_does_not_shift(browser: Browser, filled: tuple[Server, Sample], path: str) -> None:
    server, sample = filled
    for viewport in (NARROW, {"width": 1440, "height": 900}):
        with window(browser, server.url, sample.sessions["member"], viewport=viewport) as (page, _):
            page.add_init_script(_SHIFTS)
            page.goto(path.format(**sample.ids), wait_until="networkidle")
            assert page.evaluate("window.shifts ?? 0") < 0.05


def test_play_is_in_reach_on_a_phone(browser: Browser, filled: tuple[Server, Sample]) -> None:
    server, sample = filled
    with window(browser, server.url, sample.sessions["member"], viewport=NARROW) as (page, _):
        page.goto(f"/splits/{sample.ids['player']}")
        for _ in range(2):
            expect(page.locator("[data-play]")).to_be_in_viewport(ratio=1)
            page.evaluate("scrollTo(0, 600)")
        box = page.locator("[data-gain]").first.bounding_box()
        assert box and box["height"] >= 40


def test_demo_plays_to_visitors(browser: Browser, filled: tuple[Server, Sample]) -> None:
    server, _ = filled
    with window(browser, server.url) as (page, seen):
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto("/", wait_until="networkidle")
        assert {url for url in asked if "/previews/" in url} <= {
            f"{server.url}/demo/previews/opus/previews.json"
        }
        play(page)
        wait_until(page, lambda: engine(page, "position") > 0.1)
        page.keyboard.press("Shift+Digit1")
        expect(page.get_by_label("Solo vocals")).to_be_checked()
        assert (seen.foreign, seen.complaints) == ([], [])
