"""The programs of docs/webhooks.md, run against real deliveries. Needs node in the PATH."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest

from stemsplitter.clock import now
from stemsplitter.webhooks.attempts import DELAYS_S
from stemsplitter.webhooks.signatures import HEADER, signed_headers
from tests.webhooks.world import SPLIT, World

PAGE = Path(__file__).parents[2] / "docs" / "webhooks.md"
PROGRAMS = dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL))
RUN = {".py": [sys.executable, "-W", "error"], ".mjs": ["node"]}
SECONDS = 60

DONE = {**SPLIT, "stems": {"vocals": "https://example.com/v.mp3", "drums": "https://example.com/d.mp3"}}
BODY = b'{"event":"webhook.test","data":{"id":"evt_1"}}'


class Running:
    """A receiver of the page in a separate process."""

    def __init__(self, program: str, folder: Path, secret: str) -> None:
        path, self._output = folder / program, folder / f"{program}.out"
        path.write_text(PROGRAMS[program], "utf-8")
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*RUN[path.suffix], str(path)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"STEMSPLITTER_WEBHOOK_SECRET": secret, "PORT": "0"},
            )
        self.port = int(self.lines(1)[0].rpartition(" ")[2])
        self.url = f"http://127.0.0.1:{self.port}/hooks/stems"

    def lines(self, count: int) -> list[str]:
        """Wait for ``count`` lines of output and return all."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            lines = self._output.read_text("utf-8").splitlines()
            if len(lines) >= count:
                return lines
            time.sleep(0.02)
        raise AssertionError(self._output.read_text("utf-8"))

    def post(self, body: bytes, headers: dict[str, str]) -> int:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request("POST", "/", body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(timeout=SECONDS)


@pytest.fixture(params=["receiver.py", "receiver.mjs"])
def program(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def secret(world: World) -> str:
    return world.rotate()


@pytest.fixture
def running(program: str, tmp_path: Path, secret: str) -> Iterator[Running]:
    receiver = Running(program, tmp_path, secret)
    yield receiver
    receiver.stop()


def test_documentation_has_the_retry_schedule() -> None:
    [told] = re.findall(r"at once and then (.*?) after the one before", PAGE.read_text("utf-8"), re.DOTALL)
    units = {"s": 1, "min": 60, "h": 3600}
    assert tuple(int(n) * units[unit] for n, unit in re.findall(r"(\d+) (s|min|h)\b", told)) == DELAYS_S


def deliver(world: World, delivery_id: str) -> str:
    world.service.attempt(delivery_id)
    return world.delivery(delivery_id).status


def test_receiver_accepts_a_genuine_delivery_once(world: World, running: Running) -> None:
    completed = world.create(running.url, DONE)
    error = {"code": "CANCELED", "message": "You canceled it."}
    failed = world.create(running.url, {**SPLIT, "id": "split_2", "status": "failed", "error": error})
    with world.database.write() as session:
        again = world.service.replay(session, "acc_1", completed).id
        test = world.service.send_test(session, "acc_1", running.url).id
    for each in (completed, again, failed, test):
        assert deliver(world, each) == "delivered"
    assert running.lines(4)[1:] == [
        "split_1 is ready: vocals, drums",
        "split_2 has failed: You canceled it.",
        "the test has arrived",
    ]


def test_receiver_accepts_deliveries_during_a_rotation(world: World, running: Running) -> None:
    world.rotate()
    assert deliver(world, world.create(running.url, DONE)) == "delivered"


def test_receiver_refuses_deliveries_of_another_account(world: World, running: Running) -> None:
    world.rotate("acc_2")
    with world.database.write() as session:
        delivery = world.service.send_test(session, "acc_2", running.url)
    world.service.attempt(delivery.id)
    assert world.delivery(delivery.id, "acc_2").last_status == 401


def test_receiver_refuses_forged_deliveries(running: Running, secret: str) -> None:
    def status(at: datetime, body: bytes = BODY, **changed: str) -> int:
        return running.post(body, signed_headers("evt_1", BODY, [secret], at) | changed)

    at = now()
    signature = signed_headers("evt_1", BODY, [secret], at)[HEADER]
    assert status(at, BODY.replace(b"evt_1", b"evt_2")) == 401
    assert status(at - timedelta(seconds=330)) == status(at + timedelta(seconds=330)) == 401
    for header in (
        "",
        ",",
        "t=1",
        "v1=00",
        signature.partition(",")[0],
        signature.replace("v1=", "v0="),
        signature[:-1],
        signature + "0",
        signature.partition(",")[0] + ",v1=é",
        "t=" + "9" * 5000 + ",v1=00",
        "t=NaN,v1=00",
    ):
        assert status(at, **{HEADER: header}) == 401, header
    assert running.post(BODY, {}) == 401
    assert status(at) == 204
    assert running.lines(2)[1:] == ["the test has arrived"]


def test_receiver_survives_malformed_requests(world: World, running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.port), timeout=SECONDS) as broken:
        broken.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
    with socket.create_connection(("127.0.0.1", running.port), timeout=SECONDS) as huge:
        huge.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
        assert b" 413 " in huge.recv(100)
    assert deliver(world, world.create(running.url, DONE)) == "delivered"


def test_receiver_does_not_start_without_a_secret(program: str, tmp_path: Path) -> None:
    (tmp_path / program).write_text(PROGRAMS[program], "utf-8")
    done = subprocess.run(
        [*RUN[(tmp_path / program).suffix], str(tmp_path / program)],
        env=os.environ | {"STEMSPLITTER_WEBHOOK_SECRET": "", "PORT": "0"},
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 1 and b"anybody could sign" in done.stderr


def standard_python(folder: Path, secret: str, headers: dict[str, str], body: bytes) -> bool:
    scope: dict[str, object] = {}
    exec(PROGRAMS["standard.py"], scope)
    event = scope["event_of"](secret, headers, body)  # type: ignore[operator]
    assert event is None or event == json.loads(body)
    return event is not None


def standard_node(folder: Path, secret: str, headers: dict[str, str], body: bytes) -> bool:
    (folder / "standard.mjs").write_text(PROGRAMS["standard.mjs"], "utf-8")
    (folder / "main.mjs").write_text(
        'import { isGenuine } from "./standard.mjs"; import { readFileSync } from "node:fs";'
        "const { secret, headers, body } = JSON.parse(readFileSync(0));"
        "console.log(isGenuine(secret, headers, Buffer.from(body)));",
        "utf-8",
    )
    lower = {name.lower(): value for name, value in headers.items()}
    asked = json.dumps({"secret": secret, "headers": lower, "body": body.decode()})
    done = subprocess.run(
        ["node", "main.mjs"],
        cwd=folder,
        input=asked,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    return {"true\n": True, "false\n": False}[done.stdout]


@pytest.mark.parametrize("check", [standard_python, standard_node])
def test_standard_webhooks_receiver_verifies(
    world: World, secret: str, tmp_path: Path, check: Callable[[Path, str, dict[str, str], bytes], bool]
) -> None:
    new = world.rotate()
    at = now()
    headers = signed_headers("evt_1", BODY, [new, secret], at)
    assert check(tmp_path, secret, headers, BODY) and check(tmp_path, new, headers, BODY)
    assert not check(tmp_path, world.rotate("acc_2"), headers, BODY)
    assert not check(tmp_path, new, headers, BODY.replace(b"evt_1", b"evt_2"))
    assert not check(tmp_path, new, headers | {"webhook-id": "evt_2"}, BODY)
    assert not check(tmp_path, new, signed_headers("e", BODY, [new], at - timedelta(seconds=330)), BODY)
    assert not check(tmp_path, new, {}, BODY)
