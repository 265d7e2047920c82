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
    """All stems of the sample have one signal. Drums have other frames: ``stretcher.test.mjs`` measures those."""
    player.get_by_label("Speed").fill("80")
    player.get_by_label("Pitch").fill("2")
    play(player)
    wait_until(player, lambda: engine(player, "waiting") is False)
    heard = dict(zip(SIX, player.evaluate(RECORD), strict=True))
    assert np.abs(heard.pop("drums")).max() > 0.001
    assert np.abs(lags(list(heard.values()))).max() <= 1


def test_saved_mix_has_the_speed_and_pitch(player: Page) -> None:
    player.get_by_label("Speed").fill("75")
    player.get_by_label("Pitch").fill("-1")
    with player.expect_download() as waiting:
        player.locator("[data-save]").click()
    assert waiting.value.suggested_filename == "Lied (mix, 0.75x, -1).wav"


def test_waveforms_zoom_and_follow(player: Page) -> None:
    asked: list[str] = []
    player.on("request", lambda request: asked.append(request.url))
    player.get_by_label("Position").fill("2")
    player.keyboard.press("+")
    expect(player.locator("[data-zoom-text]")).to_have_text("2×")
    wait_until(player, lambda: any(url.endswith("/peaks.json") for url in asked))
    wave = player.locator("[data-wave]").first
    box = wave.bounding_box()
    assert box
    # the view is the second half of the song, moved to keep the position in place
    wave.click(position={"x": box["width"] - 1, "y": 10})
    assert float(player.get_by_label("Position").input_value()) > 2.3
    player.keyboard.press("Home")
    wave.click(position={"x": 1, "y": 10})
    assert float(player.get_by_label("Position").input_value()) < 0.1
    player.get_by_role("button", name="Zoom out").click()
    expect(player.get_by_role("button", name="Zoom out")).to_be_disabled()


_CLICKS = """() => {
  window.clicks = [];
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (when) {
    const { engine } = document.querySelector("[data-player]");
    window.clicks.push([when, engine.clockAt(0.5)]);
    start.call(this, when);
  };
}"""


def test_metronome_clicks_on_the_beats_after_the_count_in(player: Page) -> None:
    """The beats of the sample are at 0.5, 1 and 1.5 s."""
    player.evaluate(_CLICKS)
    player.keyboard.press("m")
    player.keyboard.press("i")
    for name in ("Metronome", "Count-in"):
        expect(player.get_by_role("button", name=name)).to_have_attribute("aria-pressed", "true")
    play(player)
    wait_until(player, lambda: player.evaluate("window.clicks.length") >= 7)
    found = player.evaluate("window.clicks")
    times = [when for when, _ in found]
    assert np.diff(times[:4]) == pytest.approx([0.5] * 3, abs=1e-6)
    # the song starts half a second after the last of four
    start = found[4][1] - 0.5
    assert np.array(times[:6]) - start == pytest.approx([-2, -1.5, -1, -0.5, 0.5, 1], abs=0.001)
    player.keyboard.press("m")
    expect(player.get_by_role("button", name="Metronome")).to_have_attribute("aria-pressed", "false")


def test_meters_move_while_stems_sound(player: Page) -> None:
    width = "getComputedStyle(document.querySelector('[data-meter]')).transform"
    assert player.evaluate(width) == "matrix(0, 0, 0, 1, 0, 0)"
    play(player)
    wait_until(player, lambda: player.evaluate(width) != "matrix(0, 0, 0, 1, 0, 0)")


def test_browser_without_worklets_plays_at_the_speed_of_the_song(player: Page) -> None:
    """Browsers have no audio worklets on pages without HTTPS."""
    player.evaluate("Object.defineProperty(AudioContext.prototype, 'audioWorklet', { value: undefined })")
    player.get_by_label("Speed").fill("80")
    play(player)
    expect(player.locator("[data-message]")).to_contain_text("https")
    expect(player.get_by_label("Speed")).to_be_disabled()
    wait_until(player, lambda: engine(player, "position") > 0.1)
    assert engine(player, "speed") == 1


def test_song_without_previews_has_no_practice(player: Page) -> None:
    player.keyboard.press("m")
    player.route("**/previews/**", lambda route: route.fulfill(status=204))
    player.reload()
    play(player)
    assert engine(player, "constructor.name") == "BufferEngine"
    for control in ("[data-speed]", "[data-semitones]", "[data-metronome]", "[data-count-in]"):
        expect(player.locator(control)).to_be_disabled()
    expect(player.locator("[data-metronome]")).to_have_attribute("aria-pressed", "false")
