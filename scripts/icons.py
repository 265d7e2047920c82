"""Write the sprite of icons, ``python -m scripts.icons FOLDER``; ``FOLDER`` is the npm package lucide-static, unpacked.

A new icon is an entry of :data:`NAMES`; pages show it with the macro ``icon`` of ``_parts.html``.
"""

import re
import sys
from pathlib import Path

SPRITE = Path("src/stemsplitter/console/static/icons.svg")
NAMES = (
    "arrow-up-down",
    "audio-lines",
    "download",
    "drum",
    "fast-forward",
    "guitar",
    "hash",
    "keyboard",
    "message-square-text",
    "metronome",
    "mic-off",
    "mic-vocal",
    "monitor",
    "moon",
    "music-2",
    "pause",
    "piano",
    "play",
    "repeat",
    "skip-back",
    "speaker",
    "speech",
    "sun",
    "timer",
    "upload",
    "volume-2",
    "waves",
    "x",
    "zoom-in",
    "zoom-out",
)


def main(folder: Path) -> None:
    """Write :data:`SPRITE`."""
    symbols = [symbol(name, (folder / "icons" / f"{name}.svg").read_text("utf-8")) for name in NAMES]
    start = '<svg xmlns="http://www.w3.org/2000/svg" fill="none" stroke="currentColor" stroke-width="2" '
    start += 'stroke-linecap="round" stroke-linejoin="round">'
    SPRITE.write_text("\n".join((start, *symbols, "</svg>", "")), "utf-8")


def symbol(name: str, svg: str) -> str:
    """Return the shapes of an icon as a symbol."""
    found = re.search(r"<svg[^>]*>(.*)</svg>", svg, re.DOTALL)
    assert found, name
    shapes = "".join(line.strip() for line in found[1].splitlines()).replace(" />", "/>")
    return f'<symbol id="{name}" viewBox="0 0 24 24">{shapes}</symbol>'


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("error: name the folder of the package: python -m scripts.icons package")
    main(Path(sys.argv[1]))
