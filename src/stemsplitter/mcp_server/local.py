"""Tools that run on this machine, with the library."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from stemsplitter.catalogue.entries import ModelEntry
from stemsplitter.catalogue.qualities import better_model_for
from stemsplitter.catalogue.selection import ModelDownloader, candidates_for
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.library import Progress, Separator
from stemsplitter.library.analyzing import analyze_song, to_data
from stemsplitter.mcp_server.jobs import Outcome, Report
from stemsplitter.separation.layouts import parse_stems
from stemsplitter.tools import isolating, transformations
from stemsplitter.tools.transformations import Transformation
from stemsplitter.tools.transforming import transform


class Local:
    """Tools on this machine. Calls must not overlap; the last model stays loaded."""

    concurrent = 1
    is_remote = False

    def __init__(self, store: ModelStore | None = None) -> None:
        self._store = store or ModelStore()
        self._separator: Separator | None = None

    def split(
        self, song: str, folder: Path, stems: str, format: str, quality: str | None, report: Report
    ) -> Outcome:
        """Separate a song into ``folder``.

        Raises:
            StemSplitterError: the request is invalid, the song cannot be read, or the stems cannot be written.
        """
        done = self._loaded(stems, quality).separate_to(
            song, folder, format=format, progress=_fractions(report)
        )
        details = {
            "seconds": round(done.seconds, 3),
            "model": done.model,
            "licences": {used.name: used.licence for used in done.models},
            "sumToTheSong": done.complete,
            "warnings": list(done.warnings),
        }
        return Outcome({file.name: file.path for file in done.files}, details)

    def analyze(self, song: str, report: Report) -> Outcome:
        """Analyze key, tuning and tempo of a song."""
        analysis = analyze_song(song)
        details = {"seconds": round(analysis.seconds, 3), **to_data(analysis)}
        return Outcome(details={**details, "warnings": list(analysis.warnings)})

    def transform(
        self, song: str, folder: Path, effect: str, parameters: dict[str, Any], format: str, report: Report
    ) -> Outcome:
        """Change pitch or speed of a song, or isolate its voice: ``pitch``, ``speed``, ``slowed_reverb`` or
        ``voice_isolator``, with the parameters of the API."""
        name = Path(song).stem
        if effect == "voice_isolator":
            return self._isolate(song, folder, format, report)
        change = _transformation(effect, parameters)
        path = folder / f"{name}.{format}"
        done = transform(song, path, change, format=format, progress=_fractions(report))
        return Outcome(
            {effect: done.path}, {"seconds": round(done.seconds, 3), "warnings": list(done.warnings)}
        )

    def _isolate(self, song: str, folder: Path, format: str, report: Report) -> Outcome:
        self._downloader().first_available([self._store.entry(isolating.MODEL)])
        networks = isolating.load_networks(self._store)
        voice, noise = folder / f"voice.{format}", folder / f"noise.{format}"
        done = isolating.isolate_voice(
            song, voice, noise, networks, format=format, progress=_fractions(report)
        )
        return Outcome({"voice": done.voice, "noise": done.noise}, {"warnings": list(done.warnings)})

    def _loaded(self, stems: str, quality: str | None) -> Separator:
        requested = parse_stems(stems)
        if quality in (None, "fast"):
            entry = self._downloader().first_available(candidates_for(requested, self._store.entries()))
        else:
            found = better_model_for(requested, self._store, quality)
            entry = found or self._downloader().first_available(
                candidates_for(requested, self._store.entries())
            )
        if self._separator is None or self._separator.entry.name != entry.name or quality == "best":
            name = entry.name if quality is None else None
            self._separator = Separator(name, quality=quality, stems=requested, store=self._store)
        return self._separator.with_stems(requested)

    def _downloader(self) -> ModelDownloader:
        return ModelDownloader(self._store, _announce)


def _transformation(effect: str, parameters: dict[str, Any]) -> Transformation:
    if effect == "pitch":
        return transformations.pitch(parameters["semitones"], formants=parameters["formants"])
    if effect == "speed":
        return transformations.speed(parameters["rate"], keep_pitch=parameters["keepPitch"])
    return transformations.slowed_reverb(parameters["rate"], decay=parameters["decay"], wet=parameters["wet"])


def _fractions(report: Report) -> Any:
    def progress(now: Progress) -> None:
        report(now.fraction)

    return progress


def _announce(entry: ModelEntry) -> Any:
    return nullcontext(lambda done, total: None)
