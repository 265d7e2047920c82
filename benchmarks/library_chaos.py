"""A library is separated on a cluster while workers, the scheduler and the client are killed and the store fails.

    .venv/bin/python -m benchmarks.library_chaos            # 200 songs, about ten minutes on two cores
    .venv/bin/python -m benchmarks.library_chaos --songs 12 --pause 1 2 --seed 7

Runs ``split s3://… --cluster`` with a small model with random weights: a scheduler and two workers of dask on this
machine, and an S3 server behind a proxy that fails 5 % of the requests. Workers are killed every few seconds, if a song
was finished since, and restarted; the client is killed after a third of the songs and run again with
``--skip-existing``, and the scheduler is killed and restarted after two thirds. Then each song must have one line in
the manifest, and all its stems, complete.
"""

import argparse
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import obstore
import soundfile
from obstore.store import S3Store

from stemsplitter.catalogue.store import ModelStore
from tests import buckets
from tests.acceptance.processes import free_port
from tests.acceptance.songs import sung
from tests.acceptance.tiny_model import STEMS, TINY_MODEL, write_tiny_model

RATE = 44_100
WORKERS = 2
FAILING = 0.05
LIMIT_S = 3400.0
CLIENT_AT, SCHEDULER_AT = 1 / 3, 2 / 3  # shares of the songs

Process = subprocess.Popen[bytes]


@dataclass
class Outcome:
    """Figures and problems of a run."""

    songs: int
    kills: int = 0
    failed_requests: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.songs} songs in {self.seconds:.0f} s, {self.kills} workers killed, {self.failed_requests} "
            f"requests failed, {len(self.problems)} problems"
        )


class Machines:
    """The processes of the cluster and its client, which :meth:`revive` restarts when they have ended."""

    def __init__(self, folder: Path, environment: dict[str, str], client: list[str]) -> None:
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self._folder, self._environment = folder, environment
        dask = [sys.executable, "-m", "dask"]
        local = ["--host", "127.0.0.1", "--no-dashboard"]
        port = self.address.rpartition(":")[2]
        worker = ["worker", self.address, "--nthreads", "1", "--no-nanny", "--death-timeout", "60", *local]
        self._commands = {
            "scheduler": [*dask, "scheduler", "--port", port, *local],
            **{f"worker{number}": [*dask, *worker] for number in range(WORKERS)},
            "client": [sys.executable, "-m", "stemsplitter", *client, "--cluster", self.address],
        }
        self.running: dict[str, Process] = {}

    def start(self, name: str) -> None:
        """Start a process, whose output goes to a log."""
        with (self._folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                self._commands[name], env=self._environment, cwd=self._folder, stdout=log, stderr=log
            )

    def revive(self) -> None:
        """Restart the scheduler and the workers that have ended."""
        for name, process in list(self.running.items()):
            if name != "client" and process.poll() is not None:
                self.start(name)

    def kill(self, name: str) -> None:
        """Kill a process with SIGKILL."""
        self.running[name].kill()
        self.running[name].wait()

    def stop(self) -> None:
        """Kill all processes."""
        for name in self.running:
            self.kill(name)


def run(
    folder: Path,
    songs: int,
    pause: tuple[float, float],
    seed: int,
    max_kills: int | None = None,
    limit_s: float = LIMIT_S,
) -> Outcome:
    """Run the benchmark in a folder, then audit the results, after ``limit_s`` seconds those that there are.

    At most ``max_kills`` workers are killed.
    """
    began, chance, outcome = time.monotonic(), random.Random(seed), Outcome(songs)
    with ExitStack() as stack:
        server = stack.enter_context(buckets.s3_server(folder / "s3"))
        data = folder / "s3" / buckets.BUCKET
        _put_songs(server, songs, chance)
        proxy = buckets.Proxy(server)
        stack.callback(proxy.close)
        proxy.fail_sometimes(FAILING, seed)
        manifest = folder / "stems.jsonl"
        command = ["split", f"s3://{buckets.BUCKET}/in", "-o", f"s3://{buckets.BUCKET}/out"]
        command += ["--model", TINY_MODEL, "--threads", "1", "--format", "flac"]
        command += ["--manifest", str(manifest), "--skip-existing"]
        machines = Machines(folder, _environment(folder, proxy.url), command)
        stack.callback(machines.stop)
        for name in ("scheduler", *(f"worker{number}" for number in range(WORKERS)), "client"):
            machines.start(name)
        _disturb(machines, manifest, pause, chance, outcome, max_kills, limit_s)
        outcome.failed_requests = proxy.failed
        outcome.problems += _audit(manifest, data, songs)
        outcome.problems += [f"a worker left {path.name}" for path in _abandoned(folder / "tmp", machines)]
    outcome.seconds = time.monotonic() - began
    return outcome


def _disturb(
    machines: Machines,
    manifest: Path,
    pause: tuple[float, float],
    chance: random.Random,
    outcome: Outcome,
    max_kills: int | None,
    limit_s: float,
) -> None:
    """Kill processes until the client has separated all songs."""
    client_at, scheduler_at = int(outcome.songs * CLIENT_AT), int(outcome.songs * SCHEDULER_AT)
    deadline, kill_at, done_at = time.monotonic() + limit_s, time.monotonic() + pause[0], 0
    while (code := machines.running["client"].poll()) is None:
        if time.monotonic() > deadline:
            outcome.problems.append("the client did not end")
            return
        time.sleep(0.1)
        done = manifest.read_bytes().count(b"\n") if manifest.exists() else 0
        if client_at and done >= client_at:
            client_at = 0
            machines.kill("client")
            machines.start("client")
        if scheduler_at and done >= scheduler_at:
            scheduler_at = 0
            machines.kill("scheduler")
        if time.monotonic() > kill_at and done > done_at and outcome.kills != max_kills:
            machines.kill(f"worker{chance.randrange(WORKERS)}")
            done_at = done
            outcome.kills += 1
            kill_at = time.monotonic() + chance.uniform(*pause)
        machines.revive()
    if code:
        outcome.problems.append(f"the client exited with status {code}")
    if client_at or scheduler_at:
        outcome.problems.append("the client or the scheduler was not killed")


def _put_songs(server: str, songs: int, chance: random.Random) -> None:
    """Store songs of 0.5 to 1.5 s, all with other content."""
    store = S3Store(
        buckets.BUCKET,
        prefix="in",
        endpoint=server,
        region=buckets.CREDENTIALS["AWS_REGION"],
        access_key_id=buckets.CREDENTIALS["AWS_ACCESS_KEY_ID"],
        secret_access_key=buckets.CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        client_options={"allow_http": True},
    )
    for number, more in enumerate(chance.sample(range(RATE), songs)):
        file = io.BytesIO()
        soundfile.write(file, sung(RATE // 2 + more).T, RATE, "PCM_16", format="WAV")
        obstore.put(store, f"{number:04}.wav", file.getvalue())


def _environment(folder: Path, store: str) -> dict[str, str]:
    cache = folder / "cache"
    ModelStore(cache / "models").add(TINY_MODEL, write_tiny_model(folder / "tiny.safetensors"))
    (folder / "tmp").mkdir()
    others = {name: value for name, value in os.environ.items() if name not in buckets.OTHERS}
    ours = {
        "STEMSPLITTER_CACHE_DIR": str(cache),
        "STEMSPLITTER_OFFLINE": "1",
        "TMPDIR": str(folder / "tmp"),
        "OMP_NUM_THREADS": "1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    return others | buckets.environment(store) | ours


def _audit(manifest: Path, data: Path, songs: int) -> list[str]:
    """Return what is wrong with the manifest and the stems."""
    problems: list[str] = []
    lines: dict[str, list[dict[str, Any]]] = {}
    for text in manifest.read_text().splitlines():
        line = json.loads(text)
        lines.setdefault(line["song"].rpartition("/")[2], []).append(line)
    names = {f"{number:04}.wav" for number in range(songs)}
    problems += [f"{name} has no line" for name in sorted(names - set(lines))]
    expected = set()
    for name, found in lines.items():
        if len(found) != 1 or name not in names:
            problems.append(f"{name} has {len(found)} lines")
        line = found[-1]
        if "error" in line:
            problems.append(f"{name}: {line['error']}")
            continue
        files = [data / file.removeprefix(f"s3://{buckets.BUCKET}/") for file in line["files"]]
        expected |= set(files)
        if set(line["stems"]) != set(STEMS) or not all(file.is_file() for file in files):
            problems.append(f"{name} lacks stems")
            continue
        if line["samples"] != soundfile.info(data / "in" / name).frames or not _sums(
            data / "in" / name, files
        ):
            problems.append(f"{name} has stems that do not sum to it")
    others = {path for path in (data / "out").rglob("*") if path.is_file()} - expected
    problems += [f"{path.name} belongs to no song" for path in sorted(others)]
    return problems


def _sums(song: Path, stems: list[Path]) -> bool:
    mixture, _ = soundfile.read(song, dtype="float64")
    parts = [soundfile.read(stem, dtype="float64")[0] for stem in stems]
    if any(part.shape != mixture.shape for part in parts):
        return False
    return bool(np.abs(np.sum(parts, axis=0) - mixture).max() < 1e-4)


def _abandoned(folder: Path, machines: Machines) -> list[Path]:
    """Return temporary folders of songs that no process uses and that the next worker would not remove."""
    machines.stop()
    before = os.environ.get("TMPDIR")
    program = "from stemsplitter.files import temporary; temporary._YOUNG_SECONDS = -1; temporary.remove_abandoned()"
    environment = {**os.environ, "TMPDIR": str(folder)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    assert os.environ.get("TMPDIR") == before
    return [path for path in folder.glob("stemsplitter-*") if path.exists()]


def main() -> None:
    """Run the benchmark and print its figures and problems; exit with status 1 if there are problems."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--songs", type=int, default=200)
    parser.add_argument("--pause", type=float, nargs=2, default=(3.0, 8.0), metavar=("FROM", "TO"))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 16))
    parser.add_argument("--limit", type=float, default=LIMIT_S, metavar="SECONDS", help="of the run")
    parser.add_argument("--keep", type=Path, help="folder of the logs and files, which is kept")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the processes are stopped, too
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        outcome = run(folder, options.songs, tuple(options.pause), options.seed, limit_s=options.limit)
    print(f"seed {options.seed}: {outcome}")
    for problem in outcome.problems:
        print(problem)
    sys.exit(bool(outcome.problems))


if __name__ == "__main__":
    main()
