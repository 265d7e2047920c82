"""Analysis of a file."""

import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stemsplitter.analysis import Analysis, Analyzer
from stemsplitter.audio.decode import open_source
from stemsplitter.audio.tags import BPM, KEY
from stemsplitter.library.results import OnProgress, Progress


def analyze_song(
    source: str | os.PathLike[str], drums: Path | None = None, progress: OnProgress | None = None
) -> Analysis:
    """Analyze key, tuning, tempo, beats and chords of a song, in memory that hardly grows with its length.

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
        return replace(analyzer.finish(), warnings=tuple(song.warnings))


def analyze_stems(stems: Mapping[str, Path]) -> Analysis:
    """Analyze the song that is the sum of ``stems``, files of one sample rate, with the help of its drums stem.

    Raises:
        AudioError: a file cannot be read.
    """
    with ExitStack() as stack:
        sources = {name: stack.enter_context(open_source(path)) for name, path in stems.items()}
        rate = next(iter(sources.values())).info.sample_rate
        harmonic = sources.keys() - {"drums", "vocals"}
        analyzer = Analyzer(rate, has_drums="drums" in sources, has_harmony=bool(harmonic))
        for blocks in zip(*(source.blocks() for source in sources.values()), strict=True):
            named = dict(zip(sources, blocks, strict=True))
            harmony = np.sum([named[name] for name in harmonic], axis=0) if harmonic else None
            analyzer.process(np.sum(blocks, axis=0), named.get("drums"), harmony)
        return analyzer.finish()


def tag_values(analysis: Analysis) -> dict[str, str]:
    """Return tempo and key, where they are clear, for :func:`~stemsplitter.audio.tagging.copy_with_tags`."""
    key, tempo = analysis.key, analysis.tempo
    values = {BPM: f"{tempo.bpm:.0f}"} if tempo is not None else {}
    return values | ({KEY: key.key.short} if key is not None and key.is_clear else {})


def to_data(analysis: Analysis) -> dict[str, Any]:
    """Return an analysis as data for JSON, with the names of the API, where it is an ``AnalysisView``."""
    key, tempo = analysis.key, analysis.tempo
    has_key = key is not None and key.is_clear
    return {
        "tuningCents": round(analysis.tuning_cents, 1) if key is not None else None,
        "tempo": None
        if tempo is None
        else {
            "bpm": round(tempo.bpm, 2),
            "confidence": round(tempo.confidence, 2),
            "alternatives": [round(other, 2) for other in tempo.alternatives],
            "beats": [round(beat, 3) for beat in analysis.beats],
        },
        "key": {
            "name": key.key.name,
            "camelot": key.key.camelot,
            "compatible": list(key.key.compatible),
            "confidence": round(key.confidence, 2),
            "alternatives": [{"name": key.second.name, "camelot": key.second.camelot}],
        }
        if key is not None and has_key
        else None,
        "chords": [
            {"start": round(chord.start, 3), "end": round(chord.end, 3), "name": chord.name}
            for chord in analysis.chords
        ],
    }
