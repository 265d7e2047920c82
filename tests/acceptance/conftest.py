"""Fixtures: the installed command with real weights, offline; live servers; songs."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
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
from .command import VOCALS, Command
from .fleet import Fleet
from .server import Server
from .songs import encode, sung


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of a user who is offline and has one downloaded model and no server, whatever the machine has."""
    store = ModelStore()
    if not store.is_ready(VOCALS):
        pytest.fail(
            f"The model {VOCALS} is not installed: run `stemsplitter models pull {VOCALS}`.", pytrace=False
        )
    cache = tmp_path_factory.mktemp("cache")
    (cache / "models").mkdir()
    (cache / "models" / VOCALS).symlink_to((store.root / VOCALS).absolute())
    ours = {
        "STEMSPLITTER_CACHE_DIR": str(cache),
        "STEMSPLITTER_DATA_DIR": str(tmp_path_factory.mktemp("data") / "server"),
        "STEMSPLITTER_OFFLINE": "1",
        "PYTHONWARNINGS": "error",
    }
    others = {"STEMSPLITTER_LOG", "COLUMNS", "NO_COLOR", "FORCE_COLOR", "PYTHONIOENCODING"}
    return {name: value for name, value in os.environ.items() if name not in others} | ours


@pytest.fixture
def command(tmp_path: Path, environment: dict[str, str]) -> Command:
    return Command(tmp_path, environment)


@pytest.fixture(scope="session")
def command_in(environment: dict[str, str]) -> Callable[[Path], Command]:
    """Factory of the command in a given folder."""
    return lambda folder: Command(folder, environment)


@pytest.fixture(scope="session")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Song of two seconds, stereo, 44.1 kHz."""
    return encode(tmp_path_factory.mktemp("song") / "Lied.flac", sung(88_200), 44_100, "flac")


@pytest.fixture(scope="session")
def long_song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Song of ten minutes, mono, 8 kHz: a test can act while it is separated on any machine."""
    song = np.tile(sung(60 * 8_000, 1, 8_000), 10)
    return encode(tmp_path_factory.mktemp("long") / "Long.wav", song, 8_000, "pcm_s16le")


@pytest.fixture(scope="session")
def make_server(
    request: pytest.FixtureRequest, postgres_url: str | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Server]]:
    """Factory of servers with settings, not started; with ``--fleet``, of fleets."""
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
    """Running server that all tests share; each test uses a new account."""
    started = make_server()
    started.start()
    yield started
    assert started.stop() in (0, EXIT_STOPPED), started.log.read_text()


@pytest.fixture
def email() -> str:
    """Address of a new account."""
    return f"{secrets.token_hex(8)}@example.org"


@pytest.fixture
def key(server: Server, email: str) -> str:
    """API key of a new account."""
    return server.new_key(email)


@pytest.fixture(scope="session")
def site(song: Path) -> Iterator[str]:
    """URL of a website on loopback: 404 at /missing, HTML at /page, and a song at any other path."""

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
