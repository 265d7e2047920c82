"""The practice bar: speed, pitch, and what they show."""

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.server import Server

from .chromium import window
from .sample import SIX, Sample
from .test_player import RECORD, engine, lags, wait_until
from .test_player_controls import play

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

# Renders 4 s of six stems with one signal in the worklet, faster than real time.
_RENDER = """async ([speed, semitones]) => {
  const base = document.querySelector("script[src$='player.js']").src;
  const context = new OfflineAudioContext(12, 4 * 48000, 48000);
  await context.audioWorklet.addModule(new URL("stretch_worklet.js", base));
  const node = new AudioWorkletNode(context, "stretch", {
    numberOfInputs: 0, numberOfOutputs: 6, outputChannelCount: Array(6).fill(2),
    processorOptions: { drums: [false, true, false, false, false, false] },
  });
  const merger = new ChannelMergerNode(context, { numberOfInputs: 6 });
  for (let stem = 0; stem < 6; stem += 1) node.connect(merger, stem, stem);
  merger.connect(context.destination);
  const tone = Float32Array.from({ length: 6 * 48000 }, (_, at) => 0.4 * Math.sin(2 * Math.PI * 440 * at / 48000));
  node.port.postMessage({ set: { speed, semitones } });
  node.port.postMessage({ run: 1, start: 0 });
  node.port.postMessage({ run: 1, push: Array(6).fill([tone]) });
  node.port.postMessage({ run: 1, finish: true });
  let underruns = 0;
  node.port.onmessage = ({ data }) => (underruns = data.underruns);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const made = await context.startRendering();
  return [underruns, ...Array.from({ length: 6 }, (_, stem) => [...made.getChannelData(stem).subarray(96000, 144000)])];
}"""


@pytest.fixture
def player(browser: Browser, filled: tuple[Server, Sample]) -> Iterator[Page]:
    """The player page of the sample, with a loop over the whole song, so that playback lasts."""
    server, sample = filled
    with window(browser, server.url, sample.sessions["member"], accept_downloads=True) as (page, seen):
        page.goto(f"/splits/{sample.ids['player']}")
        expect(page.locator("output").first).to_have_text("100 %")
        for place, key in (("0", "["), ("3", "]"), ("0", "Escape")):
            page.get_by_label("Position").fill(place)
            page.keyboard.press(key)
        yield page
        assert seen.foreign == []
        assert [text for text in seen.complaints if "ScriptProcessorNode is deprecated" not in text] == []


@pytest.mark.parametrize(("speed", "semitones"), [(0.6, 0), (1, 7), (1.5, -12)])
def test_worklet_changes_pitch_without_gaps(player: Page, speed: float, semitones: float) -> None:
    underruns, *stems = player.evaluate(_RENDER, [speed, semitones])
    assert underruns == 0
    spectra = np.abs(np.fft.rfft(np.array(stems) * np.hanning(48_000)))
    # a second of sound: bins are 1 Hz apart
    assert np.argmax(spectra, axis=1) == pytest.approx([440 * 2 ** (semitones / 12)] * 6, abs=0.6)
    loudness = np.sqrt(np.mean(np.square(stems), axis=1))
    assert loudness == pytest.approx([0.4 / np.sqrt(2)] * 6, rel=0.05)


def test_keys_change_speed_and_pitch_while_playing(player: Page) -> None:
    play(player)
    for key, shown in (("s", "95 %"), ("s", "90 %"), ("f", "95 %"), ("u", "+1"), ("u", "+2"), ("d", "+1")):
        player.keyboard.press(key)
        expect(player.locator("[data-practice] output").filter(has_text=shown)).to_be_visible()
    wait_until(player, lambda: engine(player, "waiting") is False)
    assert (engine(player, "speed"), engine(player, "semitones")) == (0.95, 1)
    expect(player.locator("span[data-key]")).to_have_text("Bb minor · 3A")
    expect(player.locator("span[data-bpm]")).to_have_text("114 BPM")
    player.keyboard.press("r")
    wait_until(player, lambda: engine(player, "speed") == 1)
    expect(player.locator("[data-tempo-reset]")).to_be_hidden()
    expect(player.locator("span[data-key]")).to_have_text("A minor · 8A")
    wait_until(player, lambda: engine(player, "waiting") is False)
    assert engine(player, "playing") is True


def test_position_follows_the_speed_and_settings_survive_reload(player: Page) -> None:
    player.get_by_label("Speed").fill("50")
    player.get_by_label("Pitch").fill("-3")
    player.reload()
    expect(player.get_by_label("Speed")).to_have_value("50")
    expect(player.get_by_label("Pitch")).to_have_value("-3")
    play(player)
    wait_until(player, lambda: engine(player, "position") > 0)
    rate = player.evaluate("""async () => {
      const { engine } = document.querySelector("[data-player]");
      const now = () => [engine.position, engine.context.currentTime];
      const before = now();
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const after = now();
      return (after[0] - before[0]) / (after[1] - before[1]);
    }""")
    assert rate == pytest.approx(0.5, abs=0.03)
    assert engine(player, "underruns") == 0


def test_stems_are_in_step_at_another_speed(player: Page) -> None:
    """All stems of the sample have one signal; the drums are stretched in shorter frames."""
    player.get_by_label("Speed").fill("80")
    player.get_by_label("Pitch").fill("2")
    play(player)
    wait_until(player, lambda: engine(player, "waiting") is False)
    found = lags(player.evaluate(RECORD))
    assert len(found) == len(SIX) and max(np.abs(found)) < 0.005 * 48_000


def test_saved_mix_has_the_speed_and_pitch(player: Page) -> None:
    player.get_by_label("Speed").fill("75")
    player.get_by_label("Pitch").fill("-1")
    with player.expect_download() as waiting:
        player.locator("[data-save]").click()
    assert waiting.value.suggested_filename == "Lied (mix, 0.75x, -1).wav"
