"""The pages of the tools: previews of effects, and the beats of an analysis."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.acceptance.server import Server
from tests.acceptance.songs import encode, sung

from .chromium import window
from .conftest import RATE
from .sample import Sample
from .test_player import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.mark.parametrize(
    ("tool", "fields", "tempo"),
    [
        ("pitch-changer", {"Semitones": "3"}, (1, 3)),
        ("nightcore", {}, (1.25, 3.863)),
        ("slowed-reverb", {"Speed": "0.8"}, (0.8, -3.863)),
    ],
)
def test_chosen_file_is_heard_with_the_values_of_the_form(
    browser: Browser,
    filled: tuple[Server, Sample],
    tmp_path: Path,
    tool: str,
    fields: dict[str, str],
    tempo: tuple[float, float],
) -> None:
    server, sample = filled
    song = encode(tmp_path / "Lied.flac", sung(3 * RATE, rate=RATE), RATE, "flac")
    with window(browser, server.url, sample.sessions["member"]) as (page, seen):
        page.goto(f"/tools/{tool}")
        preview = page.get_by_role("group", name="Preview")
        expect(preview).to_be_hidden()
        page.locator("#file").set_input_files(song)
        preview.get_by_role("button", name="Play").click()
        expect(preview.get_by_role("button", name="Pause")).to_be_visible()
        for label, value in fields.items():
            page.get_by_label(label, exact=True).fill(value)
        engine = "document.querySelector('[data-effect]').engine"
        wait_until(
            page,
            lambda: page.evaluate(f"[{engine}.speed, {engine}.semitones]") == pytest.approx(tempo, abs=0.001),
        )
        wait_until(page, lambda: page.evaluate(f"{engine}.position") > 0.2)
        wait_until(
            page, lambda: page.evaluate(f"{engine}.level()") > 0.001 or not page.evaluate(f"{engine}.playing")
        )
        assert (seen.foreign, seen.complaints) == ([], [])


def test_file_that_cannot_be_played_is_told(
    browser: Browser, filled: tuple[Server, Sample], tmp_path: Path
) -> None:
    server, sample = filled
    song = tmp_path / "song.mp3"
    song.write_bytes(b"not a song" * 100)
    with window(browser, server.url, sample.sessions["member"]) as (page, _):
        page.goto("/tools/pitch-changer")
        page.locator("#file").set_input_files(song)
        page.get_by_role("group", name="Preview").get_by_role("button", name="Play").click()
        expect(page.locator("[data-preview-message]")).to_contain_text("cannot play this file")


def test_tempo_and_beats_are_halved_and_doubled(browser: Browser, filled: tuple[Server, Sample]) -> None:
    server, sample = filled
    with window(browser, server.url, sample.sessions["member"]) as (page, seen):
        page.goto(f"/tools/key-finder/{sample.ids['analysis']}")
        wave = page.locator("[data-wave]")
        expect(wave).to_be_visible()
        shown = page.locator("[data-tempo]")
        pictures = {wave.screenshot()}
        for button, tempo in (("half", "60"), ("double", "240"), ("double", "120")):
            page.get_by_role("button", name=f"Is it {button}?").click()
            expect(shown).to_have_text(tempo)
            pictures.add(wave.screenshot())
        assert len(pictures) == 3  # at the last one, as at first
        wave.click(position={"x": 300, "y": 20})
        wait_until(page, lambda: page.evaluate("document.querySelector('audio').currentTime") > 0)
        assert (seen.foreign, seen.complaints) == ([], [])
