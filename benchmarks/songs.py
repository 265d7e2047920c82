"""Songs of any duration: repetitions of the demo song."""

from pathlib import Path

import numpy as np

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat

ROOT = Path(__file__).parent.parent
DEMO = ROOT / ".demo" / "Metal madness.flac"  # downloaded by scripts/demo_song.py


def song(folder: Path, seconds: float, format: str) -> Path:
    """Create ``folder/song-<seconds>.<format>`` unless it exists. Returns its path."""
    fmt = OutputFormat.parse(format)
    path = folder / f"song-{seconds:g}.{fmt.extension}"
    if path.exists():
        return path
    with open_source(DEMO) as source:
        rate = source.info.sample_rate
        whole = np.concatenate(list(source.blocks()), axis=1)
    left = round(seconds * rate)
    with StemWriter(path, fmt, rate, 2) as writer:
        while left > 0:
            writer.write(whole[:, :left])
            left -= min(left, whole.shape[1])
        writer.commit()
    return path
