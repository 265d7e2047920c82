"""Measurement of the stems of a split: levels, and key and tempo of the song."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.levels import Levels
from stemsplitter.library.analyzing import analyze_stems, to_data
from stemsplitter.separation.layouts import LAYOUTS


def measure(layout: str, masters: Mapping[str, Path]) -> dict[str, Any]:
    """Return columns of a split: ``levels`` of the masters, and ``analysis`` if these are all stems of its layout.

    Raises:
        AudioError: a master cannot be decoded.
    """
    song = {name: masters[name] for name in LAYOUTS[layout] if name in masters}
    is_whole = len(song) == len(LAYOUTS[layout])
    return {
        "levels": {name: _level(name, path) for name, path in masters.items()},
        "analysis": to_data(analyze_stems(song)) if is_whole else None,
    }


def _level(name: str, path: Path) -> dict[str, Any]:
    with open_source(path) as source:
        levels = Levels([name], source.info.sample_rate, source.info.channels)
        for block in source.blocks():
            levels.add({name: block})
    return levels.result()[name].dump()
