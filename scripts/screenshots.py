"""Take screenshots of every page in both themes and widths: ``python -m scripts.screenshots SONG FOLDER``.

The song is separated by the built-in model; all other content is sample data. Also updates the README's pictures in
``docs/images``. `make screenshots` runs it.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page

from stemsplitter.library import Separator
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from tests.acceptance.server import Server
from tests.browser.chromium import NARROW, THEMES, WIDE, chromium, window
from tests.browser.conftest import shop
from tests.browser.pages import PLACES, Place
from tests.browser.sample import Sample, Song, fill
from tests.payments.checkout import stand_in
from tests.services import file_maker

IMAGES = Path("docs") / "images"
WIDTHS = {"wide": WIDE, "narrow": NARROW}
# file in docs/images → place, theme, viewport
README = {
    "player.webp": ("player", "dark", {"width": 1200, "height": 830}),
    "home.webp": ("home", "light", {"width": 1200, "height": 700}),
    "credits.webp": ("credits", "light", {"width": 1200, "height": 940}),
    "phone.webp": ("player", "light", {"width": 360, "height": 780}),
}


def main(song: str, folder: str) -> None:
    """Write screenshots of a server with ``song`` to ``folder``, and the README's pictures."""
    with server(separated(song)) as (running, sample), chromium() as browser:
        shots = Path(folder)
        shots.mkdir(parents=True, exist_ok=True)
        IMAGES.mkdir(exist_ok=True)
        for width, viewport in WIDTHS.items():
            for place in PLACES:
                with visit(browser, running, sample, place, viewport=viewport) as page:
                    page.evaluate("scrollTo(0, 0)")  # so that sticky elements are at the top
                    for theme in THEMES:
                        page.emulate_media(color_scheme=theme)
                        page.screenshot(path=shots / f"{place.name}-{theme}-{width}.png", full_page=True)
        print(f"{len(PLACES) * len(THEMES) * len(WIDTHS)} screenshots are in {shots}.")
        for name, (place_name, theme, viewport) in README.items():
            # the initial state: the action belongs to the screenshots
            place = replace(next(place for place in PLACES if place.name == place_name), act=None)
            with visit(browser, running, sample, place, viewport=viewport, color_scheme=theme) as page:
                picture = Image.open(BytesIO(page.screenshot()))
                picture.convert("RGB").save(IMAGES / name, quality=88, method=6)


def separated(song: str) -> Song:
    """Separate the song with the built-in model."""
    separator = Separator("builtin_6s")
    begun = time.monotonic()
    found = separator.separate(song)
    took_s = time.monotonic() - begun
    stems = {name: np.broadcast_to(stem, (2, stem.shape[1])) for name, stem in found.stems.items()}
    return Song(Path(song).name, stems, found.sample_rate, took_s)


@contextmanager
def server(song: Song) -> Iterator[tuple[Server, Sample]]:
    """Start a server without a worker, with content on every page."""
    with tempfile.TemporaryDirectory() as name, stand_in() as checkout:
        folder = Path(name)
        mail = {"smtp_url": "smtp://127.0.0.1:9", "mail_from": "stems@stems.example"}  # nothing is sent
        running = Server(folder, workers=0, lease_seconds=3600, free_credits=600, **mail, **shop(checkout))
        try:
            running.start()
            services = Services(Settings(data_dir=folder / "data"))
            maker = file_maker(services)  # of mixes, for which a server has its workers
            maker.start("wrk_1")
            try:
                yield running, fill(services, song)
            finally:
                maker.stop()
                maker.wait_idle(10)
                services.close()
        finally:
            running.stop()


@contextmanager
def visit(
    browser: Browser, running: Server, sample: Sample, place: Place, **options: object
) -> Iterator[Page]:
    """Open the page and wait until it is rendered."""
    session = sample.sessions.get(place.who, "")
    with window(browser, running.url, session, reduced_motion="reduce", **options) as (page, _):
        place.visit(page, sample.ids)
        page.wait_for_load_state("load")
        page.wait_for_timeout(400)
        yield page


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("error: name a song and a folder: python -m scripts.screenshots song.mp3 screenshots")
    main(*sys.argv[1:])
