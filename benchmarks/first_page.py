"""Bytes, paint and first sound of the home page, for a visitor on slow 4G.

    .venv/bin/python -m benchmarks.first_page         # needs Chromium and the extra `browser`

Starts a server with the demo, and opens its home page in headless Chromium with an empty cache. Chromium adds the
latency to each request; the time to connect is that of loopback.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Page

from benchmarks.player import limit_network
from benchmarks.songs import DEMO
from tests.acceptance.server import Server
from tests.browser.chromium import NARROW, WIDE, chromium, window

# what each figure must not exceed: issue 17's table
MUST = {"bytes, kB": 150, "LCP, s": 1.5, "CLS": 0.05, "first sound, s": 1.0, "of it network, s": 1.0}
QUIET_MS = 3000  # without requests, after which nothing more is loaded
HEARD_S = 30
# collects the paints and shifts from the start of the document
OBSERVE = """
window.seen = { paint: 0, shift: 0, part: "" };
new PerformanceObserver((list) => {
  const last = list.getEntries().at(-1);
  seen.paint = last.startTime;
  seen.part = last.element?.outerHTML.slice(0, 60) ?? "";
}).observe({ type: "largest-contentful-paint", buffered: true });
new PerformanceObserver((list) => {
  for (const { value, hadRecentInput } of list.getEntries()) if (!hadRecentInput) seen.shift += value;
}).observe({ type: "layout-shift", buffered: true });
"""
# presses Play without moving the pointer there before; null if nothing is heard. Returns milliseconds until the sound,
# and until the last file that came before it had arrived: the rest is the time of this machine.
PLAY = """async (seconds) => {
  const form = document.querySelector("[data-player]");
  const start = performance.now();
  form.querySelector("[data-play]").click();
  while (!(form.engine?.level() > 0)) {
    if (performance.now() - start > 1000 * seconds) return null;
    await new Promise((done) => setTimeout(done, 5));
  }
  const heard = performance.now();
  const ends = performance.getEntriesByType("resource").map(({ responseEnd }) => responseEnd);
  return [heard - start, Math.max(...ends.filter((end) => end <= heard)) - start];
}"""


def main() -> None:
    """Run the benchmark and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabits", type=float, default=1.6)
    parser.add_argument("--latency", type=float, default=150, help="milliseconds")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        server = Server(Path(name), workers=0)
        print(server.command("demo", str(DEMO), "--start", "20", "--license", "MIT"))
        server.start()
        try:
            _measure(server, options)
        finally:
            server.stop()


def _measure(server: Server, options: Any) -> None:
    heads = [f"{name} (must: {most:g})" for name, most in MUST.items()]
    print(f"| window | {' | '.join(heads)} | largest part |\n|{'---|' * (len(MUST) + 2)}")
    with chromium() as browser:
        for width, viewport in {"wide": WIDE, "narrow": NARROW}.items():
            rounds = []
            for _ in range(options.rounds):
                with window(browser, server.url, viewport=viewport) as (page, _):
                    rounds.append(_visit(page, server.url, options))
            figures = [_spread([found[index] for found, _ in rounds]) for index in range(len(MUST))]
            print(f"| {width} | {' | '.join(figures)} | `{rounds[-1][1]}` |", flush=True)


def _visit(page: Page, url: str, options: Any) -> tuple[tuple[float, ...], str]:
    """Return the figures of :data:`MUST` for a visit, and the largest part of the first view."""
    tools = page.context.new_cdp_session(page)
    limit_network(tools, options.megabits, options.latency)
    sizes = _sizes(tools)
    page.add_init_script(OBSERVE)
    page.goto(url, wait_until="networkidle")
    page.wait_for_timeout(QUIET_MS)
    seen = page.evaluate("window.seen")
    total = sum(sizes)
    found = page.evaluate(PLAY, HEARD_S)
    assert found is not None, f"no sound in {HEARD_S} s: {page.inner_text('main')}"
    heard, arrived = found
    return (total / 1000, seen["paint"] / 1000, seen["shift"], heard / 1000, arrived / 1000), seen["part"]


def _sizes(tools: CDPSession) -> list[int]:
    """Record the received bytes of each file, with headers."""
    sizes: list[int] = []
    tools.on("Network.loadingFinished", lambda told: sizes.append(int(told["encodedDataLength"])))
    return sizes


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3g} (at most {max(values):.3g})"


if __name__ == "__main__":
    main()
