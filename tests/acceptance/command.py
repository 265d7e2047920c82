"""The installed ``stemsplitter`` command, run in a process of its own."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODEL = "builtin_6s"  # the default model
VOCALS = "spleeter_2s"  # the default model's source of vocals, which is downloaded
LIMIT_S = 120
COMMAND = Path(sys.executable).with_name("stemsplitter")

Event = dict[str, Any]


@dataclass(frozen=True)
class Done:
    """Result of a run."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[Event]:
        """Events that `--json` has printed; every line must be JSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    def named(self, event: str) -> dict[str, Event]:
        """Events of one kind by the file name of the song."""
        return {Path(e["song"]).name: e for e in self.events if e["event"] == event}


class Command:
    """Runs `stemsplitter` in a folder, with an environment."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment

    def __call__(self, *arguments: str | Path, **options: Any) -> Done:
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
            **options,
        )
        assert b"Traceback" not in done.stderr
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    @contextmanager
    def started(
        self, *arguments: str | Path, stdout: int | socket.socket = subprocess.PIPE
    ) -> Iterator[subprocess.Popen[str]]:
        """Start a run; it is killed at the end of the block unless it has ended."""
        with subprocess.Popen(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def files_in(folder: Path) -> list[str]:
    """List all files and folders under a folder, including hidden ones; empty if it does not exist."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
