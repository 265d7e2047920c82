"""``split --server`` with a live server: a folder of songs, whose command is killed and started again."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from ..waiting import wait_until
from .account import Account
from .command import COMMAND, Command
from .server import Server
from .songs import encode, sung

RATE, SONGS = 44_100, 4


@pytest.mark.sqlite
def test_library_is_separated_once_although_the_command_is_killed(
    make_server: Callable[..., Server], command: Command
) -> None:
    server = make_server(free_credits=100)
    server.start()
    try:
        with Account(server) as account:
            separate(account, command)
    finally:
        server.stop()


def separate(account: Account, command: Command) -> None:
    balance = account.balance()
    library = command.folder / "songs"
    library.mkdir()
    for number in range(SONGS):
        encode(library / f"{number}.wav", sung(RATE + number), RATE, "pcm_s16le")
    client = Path(__file__).parents[2] / "sdks/python/src"  # it is a package of its own
    environment = command.environment | {
        "STEMSPLITTER_KEY": account.headers["Authorization"].removeprefix("Bearer "),
        "PYTHONPATH": os.pathsep.join((str(client), command.environment.get("PYTHONPATH", ""))),
    }
    arguments = [
        "split",
        "songs",
        "-o",
        "stems",
        "--server",
        account.server.url,
        "--stems",
        "2s",
        "--format",
        "flac",
    ]
    arguments += ["--manifest", "stems.jsonl", "--skip-existing", "--jobs", "2"]
    with subprocess.Popen([COMMAND, *arguments], cwd=command.folder, env=environment) as first:
        wait_until(lambda: account.data("GET", "/audio/splits")["items"])
        first.kill()
    done = Command(command.folder, environment)(*arguments)
    assert done.code == 0, done.err
    lines = [json.loads(line) for line in (command.folder / "stems.jsonl").read_text().splitlines()]
    assert sorted(Path(line["song"]).name for line in lines) == [f"{number}.wav" for number in range(SONGS)]
    for line in lines:
        expected = soundfile.info(line["song"]).frames
        assert [soundfile.info(file).frames for file in line["files"]] == [expected] * 2
        assert line["stems"]["vocals"]["loudness"] is not None and "key" in line["analysis"]
    assert account.data("GET", "/audio/splits")["items"] == []
    # a song of a second and some samples costs two credits; none was charged twice
    assert balance - account.balance() == 1 + 2 * (SONGS - 1)
    assert not list((command.folder / "stems").rglob(".*"))
