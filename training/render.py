"""Render the songs that the built-in model is trained on.

``python -m training.render --songs 420 --seed 1 --out data --samples samples`` writes one folder for each song,
``song_00012``, with a FLAC file (16 bit, stereo, 22.05 kHz) for each stem that sounds, and ``song.json``. A song
depends on nothing but the seed, its number and the split; one that is there already is left alone, so that a run
that was stopped goes on, and several runs may share the work: each claims a song before it renders it. With
``--split held-out`` all is played by instruments and sung by people that no song of training has.

Needs Debian's libfluidsynth3, fluid-soundfont-gm, musescore-general-soundfont, hydrogen-drumkits,
sonic-pi-samples, flite and festival, and from PyPI scipy, pyfluidsynth and pyworld.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
import soxr

from stemsplitter.analysis import Key
from training.composer import compose
from training.effects import master, mp3_round_trip, process
from training.effects.dynamics import active_level, amplitude
from training.instruments import choice
from training.instruments.catalogue import SPLITS, Split
from training.score import SAMPLE_RATE, STEMS, Audio, Instrument, Song
from training.voices import VoicePlayer

RATE: Final = 22_050
# Where a stem stands in the mix, in decibels beside −20 dBFS while it sounds, give or take four.
BALANCE: Final = {"vocals": 1.5, "drums": 1.0, "bass": 0.0, "guitar": 0.5, "piano": -1.0, "other": -1.0}
SPREAD: Final = 4.0
MASTERED: Final = 0.6
COMPRESSED: Final = 0.15
STALE: Final = 900  # seconds after which the claim of a process that ended in the middle of a song is void
CEILING: Final = 0.97  # resampling and MP3 overshoot a little


@dataclass(frozen=True)
class Job:
    """A song to be rendered.

    Attributes:
        seed: of the whole run.
        number: of the song.
        out: folder in which the song's is made.
        samples: folder of instrument recordings, if there is one.
        split: who may play.
    """

    seed: int
    number: int
    out: Path
    samples: Path | None
    split: Split = "training"

    @property
    def folder(self) -> Path:
        return self.out / f"song_{self.number:05}"

    @property
    def random(self) -> np.random.Generator:
        return np.random.default_rng((self.seed, self.number, SPLITS.index(self.split)))


def render(job: Job) -> Path:
    """Write the song; its folder appears when it is whole.

    Raises:
        RuntimeError: it could not be rendered; the message names it, the cause says why.
    """
    try:
        random = job.random
        song = compose(random)
        stems, players = play(song, job, random)
        stems, treatment = mix(stems, random)
        about = {
            "style": song.style,
            "tempo": song.tempo,
            "key": Key(song.tonic, song.mode).name,
            "seconds": song.seconds,
            "seed": [job.seed, job.number],
            "split": job.split,
            "players": players,
            **treatment,
        }
        return write(job.folder, stems, about)
    except Exception as error:
        raise RuntimeError(f"Song {job.number} of seed {job.seed} cannot be rendered: {error}") from error


def play(song: Song, job: Job, random: np.random.Generator) -> tuple[dict[str, Audio], list[dict[str, str]]]:
    """The stems that sound, ``[2, n]`` each, and who plays in them."""
    stems: dict[str, Audio] = {}
    players = []
    for part in song.parts:
        instrument = player(part.stem, part.role, song.style, job, random)
        dry = instrument.play(part.notes, song.seconds, random)
        amplifier = getattr(instrument, "amplifier", True)
        wet = process(dry, part.stem, part.role, song.style, random, amplifier)
        stems[part.stem] = stems[part.stem] + wet if part.stem in stems else wet
        players.append({"stem": part.stem, "role": part.role, "instrument": describe(instrument)})
    return {stem: stems[stem] for stem in STEMS if stem in stems and stems[stem].any()}, players


def player(stem: str, role: str, style: str, job: Job, random: np.random.Generator) -> Instrument:
    """Choose a player for the part."""
    if stem != "vocals":
        return choice.choose(stem, role, style, random, job.samples, job.split)
    return _voices(job.samples, job.split).choose(random, role, style)


@cache
def _voices(samples: Path | None, split: Split) -> VoicePlayer:
    return VoicePlayer(samples=samples, split=split)


def describe(instrument: Instrument) -> str:
    """An instrument's name or kind, and its parameters as far as they make a line."""
    if name := getattr(instrument, "name", ""):
        return str(name)
    words = repr(instrument)
    return words if len(words) < 250 else type(instrument).__name__


def mix(stems: dict[str, Audio], random: np.random.Generator) -> tuple[dict[str, Audio], dict[str, object]]:
    """The stems as they leave the studio, each and all together within full scale, and what was done to them."""
    for stem, audio in stems.items():
        level = -20 + BALANCE[stem] + random.uniform(-SPREAD, SPREAD)
        stems[stem] = audio * np.float32(amplitude(level - active_level(audio)))
    mastered = bool(random.random() < MASTERED)
    if mastered:
        stems = master(stems, random)
        # Songs are mixed with each other in training: however loud the master, the stems are as loud as elsewhere.
        typical = float(np.median([active_level(audio) for audio in stems.values()]))
        stems = {stem: audio * np.float32(amplitude(-20 - typical)) for stem, audio in stems.items()}
    loudest = max(float(np.abs(audio).max()) for audio in (sum(stems.values()), *stems.values()))
    if loudest > CEILING:
        stems = {stem: audio * np.float32(CEILING / loudest) for stem, audio in stems.items()}
    bitrate = int(random.choice([96, 128, 160, 192, 256])) if random.random() < COMPRESSED else None
    if bitrate:
        stems = {stem: mp3_round_trip(audio, bitrate, random) for stem, audio in stems.items()}
    return stems, {"mastered": mastered, "mp3": bitrate}


def write(folder: Path, stems: dict[str, Audio], about: dict[str, object]) -> Path:
    """One FLAC file for each stem, and what the song is; nothing is there until all is."""
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    for stem, audio in stems.items():
        resampled = soxr.resample(audio.T, SAMPLE_RATE, RATE, quality="HQ")
        if not np.isfinite(resampled).all():
            raise ValueError(f"The {stem} are not finite.")
        samples = np.clip(np.round(resampled * 32_768), -32_768, 32_767).astype(np.int16)
        soundfile.write(partial / f"{stem}.flac", samples, RATE, "PCM_16")
    (partial / "song.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return partial.rename(folder)


def attempt(job: Job) -> Path | RuntimeError | None:
    """`render`, for a run of hundreds of songs that is not to stop at one; None if another process has the song."""
    claim = job.folder.with_name(f"{job.folder.name}.partial")
    try:
        claim.mkdir(parents=True)
    except FileExistsError:
        if time.time() - claim.stat().st_mtime < STALE:
            return None
        claim.touch()
    if job.folder.exists():
        claim.rmdir()
        return None
    try:
        return render(job)
    except RuntimeError as error:
        traceback.print_exception(error)
        shutil.rmtree(claim, ignore_errors=True)
        return error


def render_all(jobs: list[Job], workers: int) -> Iterator[Path | RuntimeError | None]:
    """Render the songs that are not there yet, in processes of their own, and name each as it is done."""
    missing = [job for job in jobs if not job.folder.exists()]
    if any(part.stem == "vocals" for job in missing[:20] for part in compose(job.random).parts):
        # what the singers say is analysed once, before there are several processes
        _voices(missing[0].samples, missing[0].split)
    # A process for each core is enough; the libraries' own threads would only get in each other's way.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(attempt, missing)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--songs", type=int, required=True, help="how many songs there shall be")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other songs")
    parser.add_argument("--out", type=Path, required=True, help="folder for the songs")
    parser.add_argument("--samples", type=Path, help="folder of instrument recordings")
    parser.add_argument("--split", choices=SPLITS, default="training", help="whose instruments play")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    options = parser.parse_args()
    jobs = [
        Job(options.seed, number, options.out, options.samples, options.split)
        for number in range(options.songs)
    ]
    failed = rendered = 0
    began = time.monotonic()
    for outcome in render_all(jobs, options.workers):
        if outcome is None:
            continue
        failed += isinstance(outcome, RuntimeError)
        rendered += 1
        pace = (time.monotonic() - began) / rendered
        what = outcome if isinstance(outcome, RuntimeError) else outcome.name
        sys.stdout.write(f"{what}: {pace:.1f} s a song, {failed} failed\n")
        sys.stdout.flush()
    if failed:
        raise SystemExit(
            f"{failed} songs are missing: each error is above; the same command tries them again."
        )


if __name__ == "__main__":
    main()
