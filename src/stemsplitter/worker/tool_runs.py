"""A job of a tool in the child process: files to files, or to an analysis."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.child_processes import Message
from stemsplitter.errors import Stopped
from stemsplitter.library import Progress
from stemsplitter.library.analyzing import analyze_song, to_data
from stemsplitter.tools.isolating import isolate_voice, load_networks
from stemsplitter.tools.speaking import speak
from stemsplitter.tools.transformations import Transformation, pitch, slowed_reverb, speed
from stemsplitter.tools.transforming import transform

OnProgress = Callable[[Progress], None]


def run_tool(request: Message, send_progress: Callable[[float], None], stop: Callable[[], bool]) -> Message:
    """Run a :class:`~stemsplitter.worker.process.ToolRequest`, and return the fields of its result.

    Raises:
        Stopped: ``stop`` returned true, which is looked at after each block of audio.
        StemSplitterError: the source or a parameter cannot be used.
    """

    def on_progress(progress: Progress) -> None:
        if stop():
            raise Stopped("The job was stopped.")
        send_progress(progress.fraction)

    started = time.perf_counter()
    result = _TOOLS[request["tool"]](request, on_progress)
    return {"seconds": round(time.perf_counter() - started, 3), **result}


def _analyze(request: Message, on_progress: OnProgress) -> Message:
    source, drums = request["source"], request["drums"]
    # drums of a song whose sample rate was limited are not used
    beats = Path(drums) if drums and _rate(source) == _rate(drums) else None
    found = analyze_song(source, beats, progress=on_progress)
    return {"outputs": {}, "analysis": to_data(found), "warnings": found.warnings}


def _effect(request: Message, on_progress: OnProgress) -> Message:
    effect, given = request["parameters"]["effect"], request["parameters"]["parameters"]
    if effect == "voice_isolator":
        paths = {name: _path(request, name) for name in ("voice", "noise")}
        networks = load_networks(ModelStore(), threads=1)  # two are hardly faster and use a quarter more
        isolated = isolate_voice(
            request["source"],
            paths["voice"],
            paths["noise"],
            networks,
            format=request["format"],
            progress=on_progress,
        )
        return {
            "outputs": {name: str(path) for name, path in paths.items()},
            "warnings": isolated.warnings,
        }
    change = _transformation(effect, given)
    path = _path(request, "audio")
    drums = Path(request["drums"]) if request["drums"] and change.drums_apart else None
    if drums is not None and _shape(request["source"]) != _shape(str(drums)):
        drums = None  # of a song whose sample rate was limited
    made = transform(
        request["source"], path, change, format=request["format"], drums=drums, progress=on_progress
    )
    return {
        "outputs": {"audio": str(path)},
        "audio_seconds": made.seconds,
        "drums_apart": made.drums_apart,
        "warnings": made.warnings,
    }


def _transformation(effect: str, given: dict[str, Any]) -> Transformation:
    if effect == "pitch":
        return pitch(given["semitones"], formants=given["formants"])
    if effect == "slowed_reverb":
        return slowed_reverb(given["rate"], decay=given["decay"], wet=given["wet"] / 100)
    return speed(given["rate"], keep_pitch=given.get("keepPitch", False))


def _speak(request: Message, on_progress: OnProgress) -> Message:
    asked, path = request["parameters"], _path(request, "audio")
    made = speak(
        asked["text"],
        path,
        voice=asked["voice"],
        speed=asked["speed"],
        semitones=asked["pitch"],
        format=request["format"],
        progress=on_progress,
    )
    return {"outputs": {"audio": str(path)}, "audio_seconds": made.samples / made.sample_rate}


def _path(request: Message, name: str) -> Path:
    return Path(request["folder"]) / f"{name}.{OutputFormat.parse(request['format']).extension}"


def _shape(path: str) -> tuple[int, int]:
    with open_source(path) as source:
        return source.info.sample_rate, source.info.channels


def _rate(path: str) -> int:
    return _shape(path)[0]


_TOOLS: dict[str, Callable[[Message, OnProgress], Message]] = {
    "analysis": _analyze,
    "effect": _effect,
    "speech": _speak,
}
