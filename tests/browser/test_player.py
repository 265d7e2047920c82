"""The player: waveforms, seeking, loops, long songs and downloads."""

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.server import Server
from tests.acceptance.songs import dbfs, read

from .chromium import window
from .conftest import RATE
from .sample import SIX, Sample

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

TIMEOUT_MS = 60_000
SECONDS = 3  # of the sample's song

# painted pixels and colors of each waveform
_PAINTED = """() => Object.fromEntries([...document.querySelectorAll("[data-stem]")].map((lane) => {
  const canvas = lane.querySelector("canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Set();
  let painted = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] < 255) continue;
    painted += 1;
    colours.add(`${data[at]},${data[at + 1]},${data[at + 2]}`);
  }
  return [lane.dataset.stem, { painted, colours: [...colours] }];
}))"""


@pytest.fixture
def page(browser: Browser, filled: tuple[Server, Sample]) -> Iterator[Page]:
    """A window with a session of the member."""
    server, sample = filled
    with window(browser, server.url, sample.sessions["member"], accept_downloads=True) as (opened, seen):
        opened.set_default_timeout(TIMEOUT_MS)
        yield opened
        assert (seen.foreign, seen.complaints) == ([], [])


@pytest.fixture
def player(page: Page, filled: tuple[Server, Sample]) -> Page:
    """The player page of the sample."""
    page.goto(f"/splits/{filled[1].ids['player']}")
    expect(page.locator("[data-play]")).to_be_visible()
    return page


def slider(page: Page) -> float:
    """Return the position shown on the page."""
    return float(page.get_by_label("Position").input_value())


def engine(page: Page, what: str) -> Any:
    return page.evaluate(f"document.querySelector('[data-player]').engine?.{what} ?? null")


def wait_until(page: Page, holds: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_MS / 1000
    while not holds():
        assert time.monotonic() < end
        page.wait_for_timeout(20)


def test_waveforms_are_drawn_before_stems_load(page: Page, filled: tuple[Server, Sample]) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"/splits/{filled[1].ids['player']}", wait_until="networkidle")
    drawn = page.evaluate(_PAINTED)
    assert list(drawn) == SIX
    # each stem of the sample is quieter than the previous one
    amounts = [drawn[name]["painted"] for name in SIX]
    assert amounts == sorted(amounts, reverse=True) and len(set(amounts)) >= 4 and amounts[-1] > 0
    assert len({drawn[name]["colours"][0] for name in SIX}) == 6
    assert any(url.endswith("/overview.json") for url in asked)
    # of the sound, only the first seconds of the previews
    assert not [url for url in asked if "/play/" in url]
    assert [url for url in asked if url.endswith("/previews/opus/vocals.opus")]


def test_keys_and_clicks_seek(player: Page) -> None:
    for key, place in (("Shift+ArrowRight", 1), ("ArrowRight", SECONDS), ("Shift+ArrowLeft", 2), ("Home", 0)):
        player.keyboard.press(key)
        assert slider(player) == pytest.approx(place, abs=0.02), key
    wave = player.locator("[data-wave]").nth(3)
    box = wave.bounding_box()
    assert box
    wave.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    assert slider(player) == pytest.approx(SECONDS / 2, abs=0.05)
    # a loop, so that playback lasts
    for place, key in (("0.5", "["), (str(SECONDS), "]"), ("0.5", "Escape")):
        player.get_by_label("Position").fill(place)
        player.keyboard.press(key)
    player.locator("[data-play]").click()
    wait_until(player, lambda: engine(player, "playing") is True)
    assert 0.5 <= engine(player, "position") < SECONDS


# Connects the stems, all of which have the same signal in the sample, to one recorder and returns what it hears.
RECORD = """async () => {
  const { engine } = document.querySelector("[data-player]");
  const names = [...engine.strips.keys()];
  const merger = new ChannelMergerNode(engine.context, { numberOfInputs: names.length });
  names.forEach((name, at) => {
    const { panner } = engine.strips.get(name);
    const splitter = new ChannelSplitterNode(engine.context, { numberOfOutputs: 2 });
    panner.connect(splitter).connect(merger, 0, at);
  });
  const recorder = engine.context.createScriptProcessor(4096, names.length, 1);
  const found = names.map(() => []);
  const heard = new Promise((resolve) => {
    recorder.onaudioprocess = ({ inputBuffer }) => {
      found.forEach((samples, at) => samples.push(...inputBuffer.getChannelData(at)));
      if (found[0].length >= 48000) resolve();
    };
  });
  merger.connect(recorder).connect(engine.context.destination);
  await heard;
  recorder.onaudioprocess = null;
  merger.disconnect();
  return found;
}"""


def lags(channels: list[list[float]]) -> list[int]:
    """Return the delay in samples of each channel after the first."""
    signals = np.array(channels)
    assert np.abs(signals).max(axis=1).min() > 0.001, "a stem is silent"
    spectra = np.fft.rfft(signals, 2 * signals.shape[1])
    found = np.argmax(np.fft.irfft(spectra * np.conj(spectra[0])), axis=1)
    return [int(lag) if lag < signals.shape[1] else int(lag) - 2 * signals.shape[1] for lag in found]


@pytest.mark.parametrize("seeks", [[], ["ArrowLeft", "Shift+ArrowRight"], ["Shift+ArrowRight", "Home"]])
def test_previews_are_in_step_to_the_sample(
    browser: Browser, filled: tuple[Server, Sample], seeks: list[str]
) -> None:
    """All stems of the sample have one signal, at different levels."""
    server, sample = filled
    with window(browser, server.url, sample.sessions["member"]) as (player, seen):
        player.goto(f"/splits/{sample.ids['player']}")
        for place, key in (
            ("0", "["),
            (str(SECONDS), "]"),
            ("0", "Escape"),
        ):  # a loop, so that playback lasts
            player.get_by_label("Position").fill(place)
            player.keyboard.press(key)
        player.locator("[data-play]").click()
        wait_until(player, lambda: engine(player, "waiting") is False)
        assert engine(player, "constructor.name") == "PieceEngine"
        for key in seeks:
            player.keyboard.press(key)
        wait_until(player, lambda: engine(player, "waiting") is False)
        assert lags(player.evaluate(RECORD)) == [0] * len(SIX)
        assert seen.foreign == []
        # a worklet needs a script of its own
        assert [text for text in seen.complaints if "ScriptProcessorNode is deprecated" not in text] == []


def test_loop_repeats_until_turned_off(player: Page) -> None:
    """The loop is set by keys while paused."""
    for key in ("Shift+ArrowRight", "[", "Shift+ArrowRight", "]"):
        player.keyboard.press(key)
    loop = player.locator("[data-loop]")
    expect(loop).to_have_attribute("aria-pressed", "true")
    expect(loop).to_contain_text("0:01.0–0:02.0")
    expect(player.locator(".region").first).to_be_visible()
    player.keyboard.press("Space")
    wait_until(player, lambda: engine(player, "playing") is True)
    places: list[float] = []

    def has_gone_round_twice() -> bool:
        places.append(engine(player, "position"))
        apart = engine(player, "positions()").values()
        assert max(apart) - min(apart) <= 0.005
        return sum(after < before for before, after in pairwise(places)) >= 2

    wait_until(player, has_gone_round_twice)
    assert min(places) >= 1 and max(places) < 2
    player.keyboard.press("l")
    expect(loop).to_have_attribute("aria-pressed", "false")
    expect(player.locator("[data-play-label]")).to_have_text("Play")  # reached the end
    assert engine(player, "position") == 0


def test_long_song_plays_from_stream(page: Page, filled: tuple[Server, Sample]) -> None:
    page.goto(f"/splits/{filled[1].ids['long']}")
    expect(page.locator("main")).to_contain_text("longer than 15 minutes")
    expect(page.locator("[data-play]")).to_be_visible()
    heard = page.evaluate("""async () => {
      document.querySelector("[data-play]").click();
      const form = document.querySelector("[data-player]");
      const most = { position: 0, level: 0 };
      const end = performance.now() + 60000;
      while (performance.now() < end && (most.position < 0.2 || most.level === 0)) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        if (!form.engine) continue;
        most.position = Math.max(most.position, form.engine.position);
        most.level = Math.max(most.level, form.engine.level());
      }
      return most;
    }""")
    assert heard["position"] >= 0.2 and heard["level"] > 0.01
    assert sorted(engine(page, "positions()")) == sorted(SIX)


def test_stem_and_stem_file_are_downloaded(player: Page, tmp_path: Path) -> None:
    def save(name: str) -> Path:
        path = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(path)
        assert path.name.endswith(name)
        return path

    with player.expect_download() as waiting:
        player.get_by_title("Download drums").click()
    drums, rate = read(save("(drums).wav"))
    assert (rate, drums.shape) == (RATE, (2, SECONDS * RATE))
    assert -20 < dbfs(drums) < 0
    with player.expect_download() as waiting:
        player.get_by_role("button", name=".stem.mp4").click()
    with av.open(str(save(".stem.mp4"))) as container:
        # the mix and four stems
        assert [stream.type for stream in container.streams if stream.type == "audio"] == ["audio"] * 5


def test_clipping_mix_is_reported(player: Page) -> None:
    player.get_by_label("Gain of vocals").fill("6")
    player.get_by_label("Gain of drums").fill("6")
    with player.expect_download():
        player.locator("[data-save]").click()
    expect(player.locator("[data-mix-message]")).to_contain_text("full scale")
