"""Analysis of a file."""

import os
from contextlib import ExitStack
from pathlib import Path

from stemsplitter.analysis import Analysis, Analyzer
from stemsplitter.audio.decode import open_source


def analyze_song(source: str | os.PathLike[str], drums: Path | None = None) -> Analysis:
    """Analyze key, tuning, tempo and beats of a song, in memory that hardly grows with its length.

    Args:
        source: path of a song.
        drums: its drums stem, which improves the tempo.

    Raises:
        AudioError: a file cannot be read.
    """
    with ExitStack() as stack:
        song = stack.enter_context(open_source(source))
        beats = stack.enter_context(open_source(drums)).blocks() if drums is not None else None
        analyzer = Analyzer(song.info.sample_rate, has_drums=beats is not None)
        for block in song.blocks():
            analyzer.process(block, next(beats, None) if beats is not None else None)
        return analyzer.finish()
