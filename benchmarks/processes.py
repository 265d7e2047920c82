"""Running a program and measuring its time and memory."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """Wall and CPU time in seconds and peak resident memory in MB of a program and its children."""

    wall: float
    cpu: float
    peak_mb: float


def run(
    command: Sequence[str | Path], environment: Mapping[str, str] | None = None, limit: float = 3600
) -> Cost:
    """Run a program to its end.

    Raises:
        subprocess.CalledProcessError: the program fails; with its output.
        subprocess.TimeoutExpired: the program takes more than ``limit`` seconds.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        output, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    wall = time.perf_counter() - began
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output)
    cpu, peak = _usage(output)
    return Cost(wall, cpu, peak)


def timed(command: Sequence[str | Path]) -> list[str | Path]:
    """Wrap a command in ``benchmarks.watch``, which prints its usage as the last line."""
    import sys

    return [sys.executable, "-m", "benchmarks.watch", *command]


def _usage(output: bytes) -> tuple[float, float]:
    last = output.rstrip().splitlines()[-1].decode(errors="replace")
    kind, cpu, peak = last.split()
    assert kind == "usage", last
    return float(cpu), float(peak)
