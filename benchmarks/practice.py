"""Dropouts of the player at another speed and pitch, in a minute of real playback of six stems.

    .venv/bin/python -m benchmarks.practice           # needs Chromium and the extra `browser`

Counts the blocks of 128 frames that the audio worklet could not fill in time, in headless Chromium.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.songs import song
from stemsplitter.audio.decode import open_source
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from tests.acceptance.server import Server
from tests.browser.chromium import chromium, window
from tests.browser.sample import SIX, Song, fill

PLAY = """async ([speed, semitones, seconds]) => {
  const form = document.querySelector("[data-player]");
  const pause = () => new Promise((done) => setTimeout(done, 50));
  while (!form.classList.contains("ready")) await pause();
  for (const [name, value] of [["[data-speed]", speed], ["[data-semitones]", semitones]]) {
    const input = form.querySelector(name);
    input.value = value;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }
  form.querySelector("[data-play]").click();
  while (!(form.engine?.level() > 0)) await pause();
  const { engine } = form;
  const [began, place, before] = [engine.context.currentTime, engine.position, engine.underruns];
  while (engine.context.currentTime < began + seconds) await pause();
  return [engine.underruns - before, (engine.position - place) / (engine.context.currentTime - began)];
}"""


def main() -> None:
    """Run the benchmark and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--speed", type=float, default=80, help="percent")
    parser.add_argument("--semitones", type=float, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder, workers=0, lease_seconds=3600)
        server.start()
        try:
            services = Services(Settings(data_dir=folder / "data"))
            sample = fill(services, _stems(folder, 2 * options.seconds))
            services.close()
            _measure(server.url, sample.sessions["member"], f"/splits/{sample.ids['player']}", options)
        finally:
            server.stop()


def _stems(folder: Path, seconds: float) -> Song:
    """Return a song with a sixth of the demo song as each of its stems."""
    with open_source(song(folder, seconds, "flac")) as source:
        rate = source.info.sample_rate
        whole = np.concatenate(list(source.blocks()), axis=1) / len(SIX)
    return Song("song.flac", dict.fromkeys(SIX, whole.astype(np.float32)), rate, 1.0)


def _measure(url: str, token: str, path: str, options: argparse.Namespace) -> None:
    print("| speed, semitones | dropouts in seconds | speed reached | load |\n|---|---|---|---|")
    with chromium() as browser, window(browser, url, token) as (page, _):
        page.goto(path)
        page.set_default_timeout(0)
        dropouts, speed = page.evaluate(PLAY, [options.speed, options.semitones, options.seconds])
        row = (
            f"{options.speed:g} %, {options.semitones:+g}",
            f"{dropouts} in {options.seconds:g}",
            f"{100 * speed:.1f} %",
            f"{os.getloadavg()[0]:.1f}",
        )
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
