"""Photograph every page in both themes and widths: ``python -m scripts.screenshots SONG FOLDER``.

`make screenshots` does it. The song is really separated, by the built-in model; the rest of what is on the pages is
made up. The README's pictures are written anew, too, into ``docs/images``.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page

from stemsplitter.application import Application
from stemsplitter.separation import Separator
from stemsplitter.settings import Settings
from tests.acceptance.server import Server
from tests.browser.chromium import NARROW, THEMES, WIDE, chromium, window
from tests.browser.conftest import shop
from tests.browser.pages import PLACES, Place
from tests.browser.sample import Sample, Song, fill
from tests.payments.checkout import stand_in

IMAGES = Path("docs") / "images"
WIDTHS = {"wide": WIDE, "narrow": NARROW}
# file of docs/images → place, theme, width, and how much of its height is shown
README = {
    "player.png": ("player-set", "dark", {"width": 1200, "height": 760}),
    "home.png": ("home", "light", {"width": 1200, "height": 620}),
    "credits.png": ("credits", "light", {"width": 1200, "height": 760}),
    "phone.png": ("player", "light", {"width": 390, "height": 760}),
}
COLOURS = 128  # of a picture in the README: few enough for some tens of kilobytes


def main(song: str, folder: str) -> None:
    """Separate the song, fill a server with it, and photograph its pages into ``folder``."""
    with server(separated(song)) as (running, sample), chromium() as browser:
        shots = Path(folder)
        shots.mkdir(parents=True, exist_ok=True)
        for theme in THEMES:
            for width, viewport in WIDTHS.items():
                for place in PLACES:
                    options = {"color_scheme": theme, "viewport": viewport}
                    with visit(browser, running, sample, place, options) as page:
                        page.screenshot(path=shots / f"{place.name}-{theme}-{width}.png", full_page=True)
        print(f"{len(PLACES) * len(THEMES) * len(WIDTHS)} pictures are in {shots}.")
        for name, (place_name, theme, viewport) in README.items():
            place = next(place for place in PLACES if place.name == place_name)
            options = {"color_scheme": theme, "viewport": viewport}
            with visit(browser, running, sample, place, options) as page:
                page.screenshot(path=shots / name)
            shrink(shots / name, IMAGES / name)


def separated(song: str) -> Song:
    """The song's stems, found by the built-in model."""
    found = Separator("builtin_6s").separate(song)
    stems = {name: np.broadcast_to(stem, (2, stem.shape[1])) for name, stem in found.stems.items()}
    return Song(Path(song).name, stems, found.sample_rate)


@contextmanager
def server(song: Song) -> Iterator[tuple[Server, Sample]]:
    """A server that does nothing by itself, with something on every page."""
    with tempfile.TemporaryDirectory() as name, stand_in() as checkout:
        folder = Path(name)
        running = Server(folder, workers=0, lease_seconds=3600, free_credits=600, **shop(checkout))
        running.start()
        application = Application(Settings(data_dir=folder / "data"))
        try:
            yield running, fill(application, song)
        finally:
            application.close()
            running.stop()


@contextmanager
def visit(
    browser: Browser, running: Server, sample: Sample, place: Place, options: dict[str, object]
) -> Iterator[Page]:
    """The page of that place, with everything on it drawn."""
    session = sample.sessions.get(place.who, "")
    with window(browser, running.url, session, **options) as (page, _):
        place.visit(page, sample.ids)
        page.wait_for_load_state("load")
        page.wait_for_timeout(400)
        yield page


def shrink(picture: Path, smaller: Path) -> None:
    """Keep a picture with few colours, of which pages have few."""
    smaller.parent.mkdir(exist_ok=True)
    with Image.open(picture) as image:
        few = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        few.save(smaller, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("error: name a song and a folder: python -m scripts.screenshots song.mp3 screenshots")
    main(*sys.argv[1:])
