"""Time and bytes until the first sound of the player, on a slow connection, after opening a finished split.

    .venv/bin/python -m benchmarks.player             # needs Chromium and the extra `browser`

Starts a server, splits a song into six stems, and opens its page in headless Chromium with an empty cache.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, CDPSession, Page

from benchmarks.songs import song
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from tests.acceptance.account import Account
from tests.acceptance.server import Server
from tests.browser.chromium import chromium, window

READY_S = 600.0
HEARD_S = 60
TRIES = 4  # of a load during which Chromium stops reading
# Presses Play as soon as its keys work, and waits for the first sample that is not silent; null if none comes.
LISTEN = """async ([skipped, seconds]) => {
  const form = document.querySelector("[data-player]");
  const until = async (holds) => {
    while (!holds() && performance.now() < 1000 * seconds) await new Promise((done) => setTimeout(done, 5));
    return holds();
  };
  if (!await until(() => form.classList.contains("ready"))) return null;
  if (skipped) {
    const slider = form.querySelector("[data-seek]");
    slider.value = skipped;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  }
  form.querySelector("[data-play]").click();
  return await until(() => form.engine?.level() > 0) ? performance.now() : null;
}"""
# what the page has reached
STATE = """() => {
  const form = document.querySelector("[data-player]");
  const resources = performance.getEntriesByType("resource").map(({ name }) => name.split("/").at(-1));
  const message = document.querySelector("[data-message]")?.textContent;
  return { isReady: form.classList.contains("ready"), state: form.engine?.context.state ?? null, message, resources };
}"""


def main() -> None:
    """Run the benchmark and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--megabits", type=float, default=3)
    parser.add_argument("--latency", type=float, default=40, help="milliseconds")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder, model_6s="builtin_6s", threads=2)
        server.start()
        try:
            _measure(server, folder, options)
        finally:
            server.stop()


def _measure(server: Server, folder: Path, options: Any) -> None:
    services = Services(Settings(data_dir=folder / "data"))
    with Account(server) as account:
        split_id = account.create_split(song(folder, options.seconds, "flac"))["id"]
        ended = account.wait_for_end(split_id)
        assert ended["status"] == "succeeded", ended
        began = time.monotonic()
        while account("GET", f"/audio/splits/{split_id}/previews").status_code == 202:
            assert time.monotonic() < began + READY_S, server.log.read_text()
            time.sleep(0.2)
    print(f"previews written {time.monotonic() - began:.1f} s after the split had succeeded")
    ((account_id,),) = server.query("SELECT account_id FROM jobs WHERE id = :id", id=split_id)
    with services.database.write() as session:
        token = services.sessions.begin(session, account_id)
    services.close()
    print("| start at | first sound, s | bytes before it, kB |\n|---|---|---|")
    with chromium() as browser:
        for skipped in (0, options.seconds / 2):
            seconds, sizes = [], []
            for _ in range(options.rounds):
                heard, size = _measured_load(
                    browser, server.url, token, f"/splits/{split_id}", skipped, options
                )
                seconds.append(heard)
                sizes.append(size / 1000)
            print(f"| {skipped:g} s | {_spread(seconds, 2)} | {_spread(sizes, 0)} |", flush=True)


def _measured_load(
    browser: Browser, origin: str, token: str, path: str, skipped: float, options: Any
) -> tuple[float, int]:
    """Return the seconds to the first sound and the bytes before it.

    Chromium at times stops reading from all connections while it emulates a slow one; such a load is repeated.
    """
    for _ in range(TRIES):
        with window(browser, origin, token) as (page, _):
            try:
                return _first_sound(page, f"{origin}{path}", skipped, options)
            except Silent as error:
                unread = _unread_bytes(origin)
                if not unread:
                    raise
                print(f"repeated a load: Chromium left {unread} received bytes unread ({error})", flush=True)
    raise Silent(f"no sound in {TRIES} loads")


def _unread_bytes(origin: str) -> int:
    """Return the bytes in the receive buffers of the clients of a local server."""
    port = f":{urlsplit(origin).port:04X}"
    connections = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(fields[4].partition(":")[2], 16) for fields in connections if fields[2].endswith(port))


class Silent(Exception):
    """No sound came."""


def _first_sound(page: Page, url: str, skipped: float, options: Any) -> tuple[float, int]:
    """Return the seconds from the navigation to the first sound, and the bytes received by then. Raises Silent."""
    tools = page.context.new_cdp_session(page)
    limit_network(tools, options.megabits, options.latency)
    tools.send("Network.setCacheDisabled", {"cacheDisabled": True})
    received = [0]

    def count(event: dict[str, Any]) -> None:
        received[0] += event.get("encodedDataLength") or 0

    tools.on("Network.dataReceived", count)
    page.goto(url, wait_until="commit")
    page.wait_for_selector("[data-play]", state="attached")
    milliseconds = page.evaluate(LISTEN, [skipped, HEARD_S])
    if milliseconds is None:
        raise Silent(f"no sound in {HEARD_S} s: {page.evaluate(STATE)}")
    return milliseconds / 1000, received[0]


def limit_network(tools: CDPSession, megabits: float, latency: float) -> None:
    """Limit the network of a page to ``megabits`` a second and ``latency`` milliseconds."""
    tools.send("Network.enable")
    speed = megabits * 1e6 / 8
    conditions = {
        "offline": False,
        "latency": latency,
        "downloadThroughput": speed,
        "uploadThroughput": speed,
    }
    tools.send("Network.emulateNetworkConditions", conditions)


def _spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} (at most {max(values):.{digits}f})"


if __name__ == "__main__":
    main()
