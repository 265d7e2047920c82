"""Analysis of a file."""

import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from stemsplitter.analysis import Analysis, Analyzer
from stemsplitter.audio.decode import open_source
from stemsplitter.library import Progress
from stemsplitter.library.results import OnProgress


def analyze_song(
    source: str | os.PathLike[str], drums: Path | None = None, progress: OnProgress | None = None
) -> Analysis:
    """Analyze key, tuning, tempo and beats of a song, in memory that hardly grows with its length.

    Args:
        source: path of a song.
        drums: its drums stem, which improves the tempo.
        progress: called after each block.

    Raises:
        AudioError: a file cannot be read.
    """
    started = time.perf_counter()
    with ExitStack() as stack:
        song = stack.enter_context(open_source(source))
        beats = stack.enter_context(open_source(drums)).blocks() if drums is not None else None
        analyzer = Analyzer(song.info.sample_rate, has_drums=beats is not None)
        for block in song.blocks():
            analyzer.process(block, next(beats, None) if beats is not None else None)
            if progress is not None:
                progress(Progress.so_far(song.samples / song.info.sample_rate, song.info.seconds, started))
        return analyzer.finish()


def analysis_fields(analysis: Analysis) -> dict[str, Any]:
    """Return an analysis as a JSON object."""
    key, tempo = analysis.key, analysis.tempo
    return {
        "seconds": round(analysis.seconds, 3),
        "key": None
        if key is None
        else {
            "name": key.key.name,
            "mode": key.key.mode,
            "camelot": key.key.camelot,
            "compatible": list(key.key.compatible),
            "second": key.second.name,
            "confidence": round(key.confidence, 2),
            "is_clear": key.is_clear,
        },
        "tuning_cents": round(analysis.tuning_cents, 1),
        "tempo": None
        if tempo is None
        else {
            "bpm": round(tempo.bpm, 2),
            "confidence": round(tempo.confidence, 2),
            "alternatives": [round(other, 2) for other in tempo.alternatives],
        },
        "beats": [round(beat, 3) for beat in analysis.beats],
    }
