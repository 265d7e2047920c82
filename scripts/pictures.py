"""Draw the preview of shared links and the icons of the installed app: ``python -m scripts.pictures SONG``.

The preview shows the waveforms of the six stems of the song, as the built-in model separates it. Needs Chromium and the
extra `browser`.
"""

import base64
import re
import sys
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from playwright.sync_api import Page

from scripts.screenshots import separated
from tests.browser.chromium import chromium

STATIC = Path("src/stemsplitter/console/static")
PREVIEW = {"width": 1200, "height": 630}  # as Open Graph and Twitter show it
BARS, GAP = 96, 10  # of a lane, and pixels from one to the next
LANE = 78  # pixels
SIZES = {"icon-192.png": 192, "icon-512.png": 512}
MASKABLE, MASKABLE_SIZE = "icon-maskable.png", 512
SAFE = 0.8  # share of a maskable icon that every system shows
COLORS = 64
# of the dark theme, in app.css
STEMS = {
    "vocals": "#fb923c",
    "drums": "#b794f6",
    "bass": "#7aa7f8",
    "guitar": "#eab308",
    "piano": "#f472b6",
    "other": "#4fd1c0",
}
STYLE = """
@font-face { font-family: Figtree; font-weight: 300 900; src: url(data:font/woff2;base64,FONT); }
body { margin: 0; background: #12161b; color: #e7eaee; font-family: Figtree; }
header { display: flex; align-items: center; gap: 20px; padding: 44px 60px 20px; }
header { font-size: 44px; font-weight: 700; letter-spacing: -.02em; }
header span { margin-left: auto; font-size: 28px; font-weight: 500; color: #9fa9b5; letter-spacing: 0; }
svg.waves { display: block; margin-left: 60px; }
text { font: 600 26px Figtree; }
"""

Peaks = npt.NDArray[np.float32]


def main(song: str) -> None:
    """Write the pictures."""
    stems = {name: waveform(stem) for name, stem in separated(song).stems.items()}
    icon = (STATIC / "icon.svg").read_text("utf-8")
    with chromium() as browser:
        page = browser.new_page(viewport=PREVIEW)
        page.set_content(preview(stems, icon))
        page.evaluate("document.fonts.ready")
        save(page, "preview.png", transparent=False)
        for name, size in SIZES.items():
            draw_icon(page, name, icon, size)
        draw_icon(page, MASKABLE, maskable(icon), MASKABLE_SIZE)


def waveform(stem: npt.NDArray[np.float32]) -> Peaks:
    """Return the largest amplitude of each of :data:`BARS` equal parts, in ``[BARS]``."""
    mono = np.abs(stem).max(axis=0)
    length = mono.size // BARS * BARS
    return mono[:length].reshape(BARS, -1).max(axis=1)


def preview(stems: Mapping[str, Peaks], icon: str) -> str:
    """Return the picture as a page."""
    font = base64.b64encode((STATIC / "figtree.woff2").read_bytes()).decode()
    loudest = max(float(peaks.max()) for peaks in stems.values())
    lanes = "".join(
        lane(name, stems[name] / loudest, LANE * (index + 0.5)) for index, name in enumerate(STEMS)
    )
    image = f"data:image/svg+xml;base64,{base64.b64encode(icon.encode()).decode()}"
    return (
        f"<style>{STYLE.replace('FONT', font)}</style>"
        f'<header><img src="{image}" width="68" height="68">Stem Splitter'
        "<span>Separate songs into stems</span></header>"
        f'<svg class="waves" width="1140" height="{LANE * len(STEMS)}">{lanes}</svg>'
    )


def lane(name: str, peaks: Peaks, middle: float) -> str:
    """Return the waveform of a stem around a height."""
    reach = np.maximum(peaks * (LANE / 2 - 4), 1.5)
    bars = "".join(
        f"M{120 + GAP * index} {middle - up:.1f}v{2 * up:.1f}" for index, up in enumerate(reach.tolist())
    )
    return (
        f'<text x="0" y="{middle + 9}" fill="{STEMS[name]}">{name.capitalize()}</text>'
        f'<path d="{bars}" stroke="{STEMS[name]}" stroke-width="5" stroke-linecap="round"/>'
    )


def maskable(icon: str) -> str:
    """Return the icon without its corners; its drawing lies in the part that every system shows."""
    plain = re.sub(r' rx="\d+"', "", icon)
    shrunk = f'<g transform="translate({16 * (1 - SAFE)} {16 * (1 - SAFE)}) scale({SAFE})"'
    return plain.replace("<g ", f"{shrunk} ", 1)


def draw_icon(page: Page, name: str, svg: str, size: int) -> None:
    """Write an icon."""
    page.set_viewport_size({"width": size, "height": size})
    scaled = svg.replace("<svg ", f'<svg width="{size}" height="{size}" ', 1)
    page.set_content(f"<style>body {{ margin: 0; line-height: 0 }}</style>{scaled}")
    save(page, name, transparent=True)


def save(page: Page, name: str, *, transparent: bool) -> None:
    """Write what the page shows, with few colors."""
    picture = Image.open(BytesIO(page.screenshot(omit_background=transparent)))
    if transparent:
        few = picture.convert("RGBA").quantize(COLORS, method=Image.Quantize.FASTOCTREE)
    else:
        few = picture.convert("RGB").quantize(COLORS)
    few.save(STATIC / name, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("error: name a song: python -m scripts.pictures song.flac")
    main(sys.argv[1])
