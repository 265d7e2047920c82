"""Quality, speed and memory of the tools: ``python -m benchmarks.tools [--hour]``.

The peer of the pitch changer is Rubber Band's R3 engine, as a program (Debian: ``rubberband-cli``), in the same run.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from stemsplitter.analysis import Analyzer
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.effects import Effect, PitchShift, Reverb, Speed, Stretch, apply
from stemsplitter.isolation import VoiceIsolator
from stemsplitter.tools.isolating import MODEL, load_networks
from stemsplitter.tools.speaking import speak

RATE = 44_100
BLOCK = 1 << 16
PEER = "rubberband-r3"
SEMITONES = (-5.0, -2.5, 0.5, 2.5, 5.0)
TEXT = "She opened the window and looked at the quiet river before the sun came up. " * 25
PARTIALS = {
    220.0: 1.0,
    277.18: 0.8,
    329.63: 0.7,
    440.0: 0.5,
    554.37: 0.4,
    659.26: 0.3,
    880.0: 0.2,
    1318.5: 0.1,
}
STREAMS: dict[str, Callable[[], Effect]] = {
    "pitch +2.5": lambda: PitchShift(RATE, 2, 2.5),
    "pitch +12": lambda: PitchShift(RATE, 2, 12),
    "pitch +2.5, formants": lambda: PitchShift(RATE, 2, 2.5, formants=True),
    "pitch +2.5, drums": lambda: PitchShift(RATE, 2, 2.5, drums=True),
    "tempo 0.85": lambda: Stretch(RATE, 2, 0.85),
    "speed 1.25": lambda: Speed(RATE, 2, 1.25),
    "reverb 2.6 s": lambda: Reverb(RATE, 2),
}


def chord(seconds: float = 8.0) -> np.ndarray:
    """An A major chord of steady sines, ``[2, n]``."""
    at = np.arange(int(seconds * RATE)) / RATE
    waves = [level * np.sin(2 * np.pi * hertz * at + n) for n, (hertz, level) in enumerate(PARTIALS.items())]
    return (0.2 * np.stack([np.sum(waves, axis=0)] * 2)).astype(np.float32)


def drum_hits() -> tuple[np.ndarray, list[int]]:
    """Six hits of noise and a low tone, ``[2, n]``, and their positions."""
    random, song, positions = np.random.default_rng(0), np.zeros(4 * RATE), []
    at = np.arange(RATE // 4) / RATE
    for number in range(6):
        position = int((0.4 + 0.5 * number) * RATE) + 137 * number
        noise = 0.3 * random.standard_normal(len(at)) * np.exp(-at / 0.04)
        song[position : position + len(at)] += noise + 0.5 * np.sin(2 * np.pi * 60 * at) * np.exp(-at / 0.08)
        positions.append(position)
    return np.stack([song, song]).astype(np.float32), positions


def fit(samples: np.ndarray, ratio: float) -> tuple[float, float]:
    """SNR in dB after a fit of sines to the middle of a chord, and the largest deviation of their pitch in cents."""
    middle = samples[len(samples) // 4 : -len(samples) // 4].astype(float)
    at = np.arange(len(middle)) / RATE
    hertz = wanted = np.array(list(PARTIALS)) * ratio
    for _ in range(4):
        cosines, sines = (wave(2 * np.pi * np.outer(at, hertz)) for wave in (np.cos, np.sin))
        basis = np.concatenate([cosines, sines], axis=1)
        parts = np.linalg.lstsq(basis, middle, rcond=None)[0]
        level, count = middle - basis @ parts, len(hertz)
        slopes = 2 * np.pi * at[:, None] * (parts[count:] * cosines - parts[:count] * sines)
        steps = np.linalg.lstsq(np.concatenate([basis, slopes], axis=1), middle, rcond=None)[0][2 * count :]
        hertz = hertz + steps
    snr = 10 * np.log10(np.square(middle).sum() / np.square(level).sum())
    return float(snr), float(np.abs(1200 * np.log2(hertz / wanted)).max())


def pre_echo(samples: np.ndarray, positions: list[int]) -> float:
    """Energy of the 49 ms up to 1 ms before a hit, relative to the 50 ms after it, in dB."""
    energy, window, gap = np.square(samples.astype(float)), RATE // 20, RATE // 1000
    shares = [energy[p - window : p - gap].sum() / energy[p : p + window].sum() for p in positions]
    return float(10 * np.log10(np.mean(shares) + 1e-12))


def run(effect: Effect, song: np.ndarray) -> np.ndarray:
    blocks = (song[:, start : start + BLOCK] for start in range(0, song.shape[1], BLOCK))
    return np.concatenate(list(apply(effect, blocks)), axis=1)


def peer(song: np.ndarray, semitones: float) -> np.ndarray:
    """The song after Rubber Band R3."""
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder) / "in.wav", Path(folder) / "out.wav"
        soundfile.write(source, song.T, RATE, subtype="FLOAT")
        command = [PEER, "-q", "-p", str(semitones), str(source), str(result)]
        subprocess.run(command, check=True, capture_output=True)
        return soundfile.read(result, dtype="float32", always_2d=True)[0].T


def quality() -> None:
    song, (hits, positions) = chord(), drum_hits()
    print("| semitones | chord SNR, dB | R3 | cents off | R3 | pre-echo of a hit, dB: drums | whole | R3 |")
    print("|---|---|---|---|---|---|---|---|")
    for semitones in SEMITONES:
        ratio = 2 ** (semitones / 12)
        ours, theirs = (
            fit(made[0], ratio) for made in (run(PitchShift(RATE, 2, semitones), song), peer(song, semitones))
        )
        echoes = [
            pre_echo(made[0], positions)
            for made in (
                run(PitchShift(RATE, 2, semitones, drums=True), hits),
                run(PitchShift(RATE, 2, semitones), hits),
                peer(hits, semitones),
            )
        ]
        figures = [f"{ours[0]:.1f}", f"{theirs[0]:.1f}", f"{ours[1]:.3f}", f"{theirs[1]:.3f}"]
        print("|", " | ".join([f"{semitones:+g}", *figures, *(f"{echo:.1f}" for echo in echoes)]), "|")


def processor_seconds() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def speed(seconds: int = 60) -> None:
    song = (0.1 * np.random.default_rng(0).standard_normal((2, seconds * RATE))).astype(np.float32)
    print("\n| stereo at 44.1 kHz | seconds of audio per processor second |\n|---|---|")
    for name, make in STREAMS.items():
        started = processor_seconds()
        run(make(), song)
        print(f"| {name} | {seconds / (processor_seconds() - started):.0f} |", flush=True)
    started = processor_seconds()
    peer(song, 2.5)
    print(f"| {PEER} +2.5 | {seconds / (processor_seconds() - started):.0f} |")
    started = processor_seconds()
    analyze(song, 1)
    print(f"| analysis | {seconds / (processor_seconds() - started):.0f} |")
    store = ModelStore(offline=True)
    if store.is_ready(MODEL):
        networks = load_networks(store, threads=1)
        for name, channels in (("mono", 1), ("stereo", 2)):
            started = processor_seconds()
            run(VoiceIsolator(RATE, channels, networks), song[:channels])
            print(f"| voice isolator, {name} | {seconds / (processor_seconds() - started):.0f} |")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        speak("Load the voice.", path)
        started = processor_seconds()
        done = speak(TEXT, path)
        print(f"| speech | {done.samples / done.sample_rate / (processor_seconds() - started):.0f} |")


def analyze(song: np.ndarray, repeats: int) -> None:
    analyzer = Analyzer(RATE)
    for _ in range(repeats):
        for start in range(0, song.shape[1], BLOCK):
            analyzer.process(song[:, start : start + BLOCK])
    analyzer.finish()


def hour(name: str) -> None:
    """Process an hour and print the peak memory of this process."""
    song = (0.1 * np.random.default_rng(0).standard_normal((2, 60 * RATE))).astype(np.float32)
    if name == "analysis":
        analyze(song, 60)
    else:
        blocks = (
            song[:, start : start + BLOCK] for _ in range(60) for start in range(0, song.shape[1], BLOCK)
        )
        for _ in apply(STREAMS[name](), blocks):
            pass
    print(f"| {name} | {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--hour", action="store_true", help="measure the peak memory for an hour of audio instead"
    )
    parser.add_argument("--of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.of:
        hour(arguments.of)
    elif arguments.hour:
        print("| an hour, stereo at 44.1 kHz | peak memory of the process, MB |\n|---|---|", flush=True)
        for name in ("pitch +2.5", "tempo 0.85", "reverb 2.6 s", "analysis"):
            subprocess.run([sys.executable, "-m", "benchmarks.tools", "--of", name], check=True)
    else:
        quality()
        speed()


if __name__ == "__main__":
    main()
