"""The Separator: loads a model and separates songs."""

import copy
import os
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from stemsplitter.audio.exact import snapped
from stemsplitter.audio.excerpt import Excerpt, Seconds
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.levels import Levels
from stemsplitter.audio.masters import FLOAT_FORMAT
from stemsplitter.audio.masters import FORMAT as MASTER
from stemsplitter.audio.mixing import resampled
from stemsplitter.audio.peaks import Peaks
from stemsplitter.catalogue.entries import ModelEntry
from stemsplitter.catalogue.opening import models_used, open_model
from stemsplitter.catalogue.qualities import (
    better_model_for,
    check_quality_choice,
    overlap_of,
    quality_notes,
)
from stemsplitter.catalogue.selection import default_model_for
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import RequestError, Stopped
from stemsplitter.library.inputs import ArrayLike, Data, FilePath, is_file, open_song, read_array, song_name
from stemsplitter.library.mastering import MasteredOutput
from stemsplitter.library.outputs import Output, integer_bits, limited_rate, open_output, output_rate
from stemsplitter.library.results import ModelUsed, OnProgress, Progress, ShouldStop, StemFiles, Stems
from stemsplitter.separation.chain import Chain, separate_chain
from stemsplitter.separation.layouts import SIX_STEMS, parse_instruments, parse_stems, plan_stems
from stemsplitter.separation.pipeline import separate_stream

Waveform = NDArray[np.float32]

BLOCK = 1 << 16  # samples of an array in a block


class Separator:
    """A loaded model that separates songs into the requested stems. Load it once and use it for many songs.

    Examples:
        >>> separator = Separator()
        >>> result = separator.separate("song.mp3")
        >>> result.stems["vocals"].shape
        (2, 9413632)
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        quality: str | None = None,
        stems: str | Sequence[str] | None = None,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        overlap: float | None = None,
        shifts: int = 1,
        store: ModelStore | None = None,
    ) -> None:
        """Load a model.

        Args:
            model: name of a model; by default the best installed one that has an unrestricted license and separates
                at least 1.5 s of audio in a second here, as measured when it was installed, otherwise that of ``fast``.
            quality: instead of a model, ``fast``: the built-in model or Spleeter; ``balanced``: the best installed
                model with an unrestricted license; or ``best``: the same with an ``overlap`` of 0.5.
            stems: a layout (``6s``, ``4s``, ``2s``) or stem names; by default all stems of the model, or ``6s``
                without a model.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
            precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
            threads: limit of CPU threads; by default the cores that this process may use.
            overlap: share of a segment that overlaps with the next, 0 to 0.95; by default that of the model.
            shifts: number of predictions, each of the song shifted by another part of 0.5 s, that are averaged, as in
                demucs; the time grows in proportion.
            store: the models on this machine; by default the user's cache.

        Raises:
            RequestError: the model cannot provide the stems, the device or precision is not available, ``overlap``
                or ``shifts`` is out of range, or the quality is unknown or given together with a model.
            ModelError: the model is unknown, or its weights are missing or damaged.
        """
        check_quality(overlap, shifts)
        check_quality_choice(quality, model)
        self._overlap, self._shifts = overlap_of(quality) if overlap is None else overlap, shifts
        store = store or ModelStore()
        requested = _requested(stems)
        self._notes: tuple[str, ...] = ()
        if model is None:
            requested = requested or parse_stems("6s")
            better = better_model_for(requested, store, quality, device)
            self.entry: ModelEntry = better or default_model_for(requested, store)
            self._notes = quality_notes(requested, store, quality)
        else:
            self.entry = store.entry(model)
        self._plan = plan_stems(self.entry.stems, requested or self.entry.stems)
        self._models = models_used(self.entry, store)
        self._model = open_model(self.entry, store, device, precision, threads)

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the requested stems."""
        return self._plan.requested

    @property
    def device(self) -> str:
        """Name of the device in use."""
        return self._model.device

    @property
    def models(self) -> tuple[ModelUsed, ...]:
        """The model, and those of its chain or the one that extracts the vocals for it, with their licenses."""
        return tuple(ModelUsed(entry.name, entry.licence) for entry in self._models)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the model that users should read; each result has them among its warnings."""
        return (*self._notes, *self._model.notes)

    @property
    def segment(self) -> int:
        """Samples in a segment, at :attr:`sample_rate`."""
        return self._model.segment

    @property
    def sample_rate(self) -> int:
        """Sample rate of the model in hertz; songs at other rates are converted to it and back."""
        return self._model.sample_rate

    def with_stems(self, stems: str | Sequence[str], *, overlap: float | None = None) -> "Separator":
        """Return a Separator of other stems that shares the loaded model; ``overlap`` is by default unchanged.

        Raises:
            RequestError: the model cannot provide the stems, or ``overlap`` is out of range.
        """
        check_quality(overlap, self._shifts)
        other = copy.copy(self)
        other._overlap = self._overlap if overlap is None else overlap
        other._plan = plan_stems(self.entry.stems, _requested(stems) or self.entry.stems)
        return other

    def separate(
        self,
        source: FilePath | Data | ArrayLike,
        *,
        sample_rate: int | None = None,
        instruments: str | Sequence[str] | None = None,
        start: Seconds = 0,
        duration: Seconds | None = None,
        progress: OnProgress | None = None,
        stop: ShouldStop | None = None,
    ) -> Stems:
        """Separate a file or an array, in memory.

        Args:
            source: a path, the bytes of a file, a binary file object, or an array ``[C, n]``, ``[n]`` or ``[n, C]``
                (if n is above 2) of NumPy, torch or another library, C being 1 or 2: floats, full scale being ±1, or
                integers of 16 or 32 bits.
            sample_rate: of the array in hertz, 8,000 to 192,000; by default 44,100.
            instruments: those of the six stems that the song has, by default all; the others are silent, and what
                sounds like them goes to the instruments that the song has.
            start: seconds; only the part from there on is separated, exact to the sample.
            duration: seconds of that part; by default to the end.
            progress: called after each segment.
            stop: called after each segment; the separation stops when it returns true.

        Raises:
            AudioError: the source cannot be read, ends before ``start``, or the array has another shape or type.
            RequestError: an instrument is unknown, or ``start`` or ``duration`` is out of range.
            Stopped: ``stop`` returned true.
        """
        excerpt, known = Excerpt(start, duration), _instruments(instruments)
        if is_file(source):
            with open_song(cast("FilePath | Data", source)) as file:
                info = file.info
                expected = excerpt.seconds(info.seconds)
                run = _Run(self, info.sample_rate, info.channels, expected, known, progress, stop)
                pieces = list(run.pieces(file.blocks(excerpt=excerpt)))
                return self._collect(run, pieces, tuple(file.warnings))
        rate = 44_100 if sample_rate is None else sample_rate
        array, warnings = read_array(cast("ArrayLike", source), rate)
        run = _Run(self, rate, len(array), excerpt.seconds(array.shape[1] / rate), known, progress, stop)
        blocks = (array[:, first : first + BLOCK] for first in range(0, array.shape[1], BLOCK))
        return self._collect(run, list(run.pieces(excerpt.cut(blocks, rate, "The array"))), warnings)

    def separate_to(
        self,
        source: FilePath | Data,
        folder: str | os.PathLike[str],
        *,
        format: str = "wav",
        filename: str | None = None,
        sample_rate: int | None = None,
        instruments: str | Sequence[str] | None = None,
        max_sample_rate: int | None = None,
        start: Seconds = 0,
        duration: Seconds | None = None,
        max_seconds: float | None = None,
        peaks: bool = False,
        levels: bool = False,
        masters: str | os.PathLike[str] | None = None,
        raw_masters: bool = False,
        progress: OnProgress | None = None,
        stop: ShouldStop | None = None,
    ) -> StemFiles:
        """Separate a file into ``folder/<stem>.<extension>``, in memory that does not grow with its length.

        Either all files appear, complete, or none. Files of the same names are replaced.

        Args:
            source: a path, the bytes of a file, or a binary file object.
            folder: created if it does not exist.
            format: an output format, see ``docs/formats.md``. ``stem.mp4`` is one Native Instruments Stem file, named
                after the song, and needs the stems ``4s``.
            filename: path of a stem's file in ``folder``, with the fields ``{track}`` (the name of the source without
                its extension), ``{stem}`` and ``{ext}``; by default ``{stem}.{ext}``, or ``{track}.{ext}`` for
                ``stem.mp4``.
            sample_rate: of the stems in hertz, 8,000 to 192,000, or the nearest that the format supports; by default
                that of the source.
            instruments: those of the six stems that the song has, by default all; the others are silent, and what
                sounds like them goes to the instruments that the song has.
            max_sample_rate: limit of the default of ``sample_rate``.
            start: seconds; only the part from there on is separated, exact to the sample.
            duration: seconds of that part; by default to the end.
            max_seconds: limit of the length of the source.
            peaks: measure the peaks of the stems, to draw their waveforms.
            levels: measure the loudness and the true peak of the stems.
            masters: folder of the stems' masters: FLAC with 24 bits, or WAV with 32-bit floats if a sample exceeds full
                scale, at the sample rate of the song. They sum to the song, rounded to 24 bits. If ``format`` is
                lossless with 24 bits or more, the stems are the masters and are written only there.
            raw_masters: write them as WAV in any case, in a fifth of the processor time of FLAC and three times the
                space.
            progress: called after each segment.
            stop: called after each segment; the separation stops when it returns true.

        Raises:
            RequestError: an instrument or the format is unknown, the format cannot contain the stems, ``filename`` has
                another field or no ``{stem}``, or ``start`` or ``duration`` is out of range.
            AudioError: the source cannot be read, ends before ``start``, or is longer than ``max_seconds``.
            OutputError: the stems cannot be written.
            Stopped: ``stop`` returned true.
        """
        excerpt, known = Excerpt(start, duration), _instruments(instruments)
        with open_song(source, max_seconds) as file:
            info = file.info
            if sample_rate is None:
                sample_rate = limited_rate(info.sample_rate, max_sample_rate or info.sample_rate)
            rate = sample_rate if masters is not None else output_rate(format, sample_rate)
            run = _Run(self, rate, info.channels, excerpt.seconds(info.seconds), known, progress, stop)
            blocks = resampled(file.blocks(excerpt=excerpt), info.sample_rate, rate, info.channels)
            song = Path(song_name(source)).stem
            measured = Peaks(self.stems, rate) if peaks else None
            meter = Levels(self.stems, rate, info.channels) if levels else None
            output: Output
            if masters is None:
                output = open_output(Path(folder), filename, song, self.stems, format, rate, info)
            else:
                fmt = OutputFormat.parse(format)
                form = FLOAT_FORMAT if raw_masters else MASTER
                output = MasteredOutput(Path(folder), Path(masters), self.stems, fmt, rate, info, form)
            with output:
                for piece in run.pieces(blocks, integer_bits(format) if masters is None else MASTER.bits):
                    stems = dict(zip(self.stems, piece, strict=True))
                    output.write(stems)
                    if measured is not None:
                        measured.add(stems)
                    if meter is not None:
                        meter.add(stems)
                files = tuple(output.commit())
            summary = run.summary(tuple(file.warnings))
            return StemFiles(
                **summary,
                source=info,
                files=files,
                gain=output.gain,
                excerpt=excerpt,
                peaks=measured,
                masters=output.masters if isinstance(output, MasteredOutput) else (),
                levels=meter.result(output.gain) if meter is not None else None,
            )

    def _collect(self, run: "_Run", pieces: list[Waveform], warnings: tuple[str, ...]) -> Stems:
        whole = np.concatenate(pieces, axis=-1)
        return Stems(**run.summary(warnings), stems=dict(zip(self.stems, whole, strict=True)))


class _Run:
    """The separation of one song: counts samples, reports progress and checks for a stop."""

    def __init__(
        self,
        separator: Separator,
        sample_rate: int,
        channels: int,
        expected: float | None,
        instruments: tuple[str, ...],
        progress: OnProgress | None,
        stop: ShouldStop | None,
    ) -> None:
        self._separator = separator
        self._rate, self._channels = sample_rate, channels
        self._expected, self._instruments = expected, instruments
        self._progress, self._stop = progress, stop
        self._samples = 0
        self._residual = 0.0
        self._started = time.perf_counter()

    def pieces(self, blocks: Iterable[Waveform], bits: int = 0) -> Generator[Waveform, None, None]:
        """Yield the requested stems ``[R, C, n]`` piece by piece.

        With ``bits``, the samples are integers of so many bits, of which stems that sum to the mixture do so exactly.
        """
        separator, model = self._separator, self._separator._model
        arguments = blocks, self._rate, self._channels, self._instruments
        options: dict[str, Any] = {"overlap": separator._overlap, "shifts": separator._shifts}
        if isinstance(model, Chain):
            stream = separate_chain(model, *arguments, **options)
        else:
            stream = separate_stream(model, *arguments, **options)
        with closing(stream) as pieces:
            for piece in pieces:
                if self._stop is not None and self._stop():
                    raise Stopped("The separation was stopped; nothing was written.")
                stems = snapped(piece.stems, piece.mixture, bits) if bits else piece.stems
                yield separator._plan.apply(stems)
                self._samples += piece.stems.shape[2]
                self._residual = max(self._residual, piece.residual)
                self._report(done=False)
        self._report(done=True)

    def _report(self, done: bool) -> None:
        if self._progress is None:
            return
        seconds = self._samples / self._rate
        progress = Progress.so_far(seconds, self._expected, self._started)
        self._progress(replace(progress, fraction=1.0) if done else progress)

    def summary(self, warnings: tuple[str, ...]) -> dict[str, Any]:
        return {
            "model": self._separator.entry.name,
            "models": self._separator.models,
            "device": self._separator.device,
            "sample_rate": self._rate,
            "samples": self._samples,
            "residual_dbfs": 20 * float(np.log10(max(self._residual, 1e-10))),
            "complete": self._separator._plan.sums_to_mixture,
            "elapsed": time.perf_counter() - self._started,
            "warnings": (*self._separator.notes, *warnings),
        }


def check_quality(overlap: float | None, shifts: int) -> None:
    """Raise RequestError if ``overlap`` or ``shifts`` is out of range."""
    if overlap is not None and not 0 <= overlap <= 0.95:
        raise RequestError(f"Segments cannot overlap by {overlap:g}: choose an overlap from 0 to 0.95.")
    if shifts < 0:
        raise RequestError(f"There cannot be {shifts} shifts: choose a number from 0 on.")


def _requested(stems: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if stems is None:
        return None
    return parse_stems(stems if isinstance(stems, str) else ",".join(stems))


def _instruments(names: str | Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        return SIX_STEMS
    return parse_instruments(names if isinstance(names, str) else ",".join(names))
