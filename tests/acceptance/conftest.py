"""The command as a user has it: installed, in a process of its own, with real weights, offline."""

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stemsplitter.catalogue.store import ModelStore
from stemsplitter.cli.main import EXIT_STOPPED

from ..buckets import environment as variables_of
from ..buckets import s3_server
from ..conftest import new_database
from ..loopback import Handler, listening
from .fleet import Fleet
from .server import Server
from .songs import encode, sung

MODEL = "builtin_6s"  # what is taken where none is named
VOCALS = "spleeter_2s"  # what finds the vocals for it, and is fetched
LIMIT_S = 120
COMMAND = Path(sys.executable).with_name("stemsplitter")

Event = dict[str, Any]


@dataclass(frozen=True)
class Done:
    """A run that is over."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[Event]:
        """What `--json` printed; every line must be JSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    def named(self, event: str) -> dict[str, Event]:
        """The events of one kind, by the name of the song."""
        return {Path(e["song"]).name: e for e in self.events if e["event"] == event}


class Command:
    """Runs `stemsplitter` in a folder."""

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
        """A run that goes on; it is killed at the end if it still does."""
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


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The user's, offline, with one model that was fetched: whatever others there are, the tests see the same."""
    store = ModelStore()
    if not store.is_ready(VOCALS):
        pytest.fail(
            f"The model {VOCALS} is not here: run `stemsplitter models pull {VOCALS}`.", pytrace=False
        )
    cache = tmp_path_factory.mktemp("cache")
    (cache / "models").mkdir()
    (cache / "models" / VOCALS).symlink_to((store.root / VOCALS).absolute())
    ours = {"STEMSPLITTER_CACHE_DIR": str(cache), "STEMSPLITTER_OFFLINE": "1", "PYTHONWARNINGS": "error"}
    others = {"STEMSPLITTER_LOG", "COLUMNS", "NO_COLOR", "FORCE_COLOR", "PYTHONIOENCODING"}
    return {name: value for name, value in os.environ.items() if name not in others} | ours


@pytest.fixture
def command(tmp_path: Path, environment: dict[str, str]) -> Command:
    return Command(tmp_path, environment)


@pytest.fixture(scope="session")
def command_in(environment: dict[str, str]) -> Callable[[Path], Command]:
    """The command in a folder that tests share."""
    return lambda folder: Command(folder, environment)


@pytest.fixture(scope="session")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds, stereo, 44.1 kHz."""
    return encode(tmp_path_factory.mktemp("song") / "Lied.flac", sung(88_200), 44_100, "flac")


@pytest.fixture(scope="session")
def long_song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten minutes, mono, 8 kHz: on any machine time enough to do something in the middle."""
    song = np.tile(sung(60 * 8_000, 1, 8_000), 10)
    return encode(tmp_path_factory.mktemp("long") / "Long.wav", song, 8_000, "pcm_s16le")


def files_in(folder: Path) -> list[str]:
    """All files and folders under a folder, hidden ones too; none where it does not exist."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture(scope="session")
def make_server(
    request: pytest.FixtureRequest, postgres_url: str | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Server]]:
    """Call it, with settings, for a server that does not run yet: a laptop's, or with ``--fleet`` a fleet."""
    with ExitStack() as stack:
        if not request.config.getoption("--fleet"):
            yield lambda **settings: Server(tmp_path_factory.mktemp("server"), **settings)
            return
        assert postgres_url is not None
        buckets = tmp_path_factory.mktemp("s3") / "buckets"
        variables = variables_of(stack.enter_context(s3_server(buckets)))

        def make(**settings: Any) -> Fleet:
            folder = tmp_path_factory.mktemp("fleet")
            (buckets / folder.name).mkdir()
            database = stack.enter_context(new_database(postgres_url))
            fleet = Fleet(folder, database, f"s3://{folder.name}", variables, **settings)
            stack.callback(fleet.kill)
            return fleet

        yield make


@pytest.fixture(scope="session")
def server(make_server: Callable[..., Server]) -> Iterator[Server]:
    """A server that all tests share; each takes an account of its own."""
    started = make_server()
    started.start()
    yield started
    assert started.stop() in (0, EXIT_STOPPED), started.log.read_text()


@pytest.fixture
def key(server: Server) -> str:
    """The API key of a new account."""
    return server.new_key(f"{secrets.token_hex(8)}@example.org")


@pytest.fixture(scope="session")
def site(song: Path) -> Iterator[str]:
    """A web site on loopback that has a song at any path but /missing, and no song at /page."""

    class Site(Handler):
        def do_GET(self) -> None:
            if self.path.startswith("/missing"):
                self.send_error(404)
            else:
                self.reply(
                    body=b"<html></html>" * 100 if self.path.startswith("/page") else song.read_bytes()
                )

    with listening(Site) as url:
        yield url
