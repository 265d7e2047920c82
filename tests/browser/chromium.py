"""Chromium, and checks of the pages it shows."""

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from stemsplitter.console.cookies import COOKIE

TIMEOUT_MS = 60_000  # generous, for a busy machine
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 360, "height": 780}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
COLOR_RULES = ("color-contrast", "link-in-text-block")  # of axe: the others find the same in all colors
BLOCKED = "Service Worker registration blocked by Playwright"
AXE = Path(__file__).parent / "node" / "node_modules" / "axe-core" / "axe.min.js"

# elements that exceed the window, except scrollable ones
_TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll("body *")]
    .filter((part) => part.getBoundingClientRect().right > innerWidth + 1)
    .map((part) => part.outerHTML.slice(0, 120)).slice(-5)"""

# dispatches the events of a file dropped from the desktop
_DROP = """([selector, name, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name, { type: "audio/flac" }));
  const zone = document.querySelector(selector);
  for (const kind of ["dragover", "drop"]) {
    zone.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer }));
  }
}"""

_BARRIERS = """async (rules) => {
  const only = rules.length ? { runOnly: rules } : {};
  const { violations } = await axe.run(document, { resultTypes: ["violations"], ...only });
  return violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`));
}"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start headless Chromium, which resolves no host but this machine."""
    path = shutil.which("chromium")
    assert path, "Chromium is not installed: run `make chromium`."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        )
        yield browser
        browser.close()


@dataclass
class Seen:
    """Faults of pages: requests to other origins, and errors in the browser's console.

    The console reports violations of the Content-Security-Policy, failing scripts and missing files. The status of an
    error page itself is no fault.
    """

    origin: str
    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        """Record the faults of the pages of ``context``."""
        context.on("request", self._request)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def _request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.origin}/", "data:", f"blob:{self.origin}/")):
            self.foreign.append(request.url)

    def _console(self, message: ConsoleMessage) -> None:
        url = message.location.get("url")
        is_the_page = message.page is not None and url == message.page.url
        if is_the_page and message.text.startswith("Failed to load resource: the server responded with"):
            return
        if message.type in ("error", "warning") and message.text != BLOCKED:
            self.complaints.append(f"{url}: {message.text}")


@contextmanager
def window(browser: Browser, origin: str, session: str = "", **options: Any) -> Iterator[tuple[Page, Seen]]:
    """Open a page in a new context, signed in with ``session``, and record its faults."""
    # service workers would answer requests of the tests that follow in the context
    defaults = {"base_url": origin, "viewport": WIDE, "service_workers": "block"}
    with browser.new_context(**(defaults | options)) as context:
        if session:
            context.add_cookies([{"name": COOKIE, "value": session, "url": origin}])
        context.set_default_timeout(TIMEOUT_MS)
        seen = Seen(origin)
        seen.watch(context)
        yield context.new_page(), seen


def drop_on(page: Page, selector: str, song: Path) -> None:
    """Drop a file on the element of ``selector``."""
    page.evaluate(_DROP, [selector, song.name, base64.b64encode(song.read_bytes()).decode()])


def too_wide(page: Page) -> list[str]:
    """Return the elements that make the page wider than the window."""
    found: list[str] = page.evaluate(_TOO_WIDE)
    return found


def barriers(page: Page, rules: tuple[str, ...] = ()) -> list[str]:
    """Return the serious and critical findings of axe, of all or of some rules."""
    page.evaluate(AXE.read_text())
    found: list[str] = page.evaluate(_BARRIERS, list(rules))
    return found
