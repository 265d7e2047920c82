"""A wait survives a restart of the server: the split is queued before it and separated after it."""

import secrets
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

import httpx2
import pytest

from tests.acceptance.server import Server
from tests.acceptance.songs import encode, sung
from tests.waiting import wait_until

from .drivers import DEFAULT, Driver, MissingToolchain

WAIT_S = 240


def is_waiting(server: Server, key: str, split: str) -> bool:
    """Return True if an event stream of the account is open: it may have one."""
    url = f"{server.url}/v1/audio/splits/{split}/events"
    with httpx2.stream("GET", url, headers={"Authorization": f"Bearer {key}"}) as response:
        return response.status_code == 429


@pytest.fixture(scope="session")  # pytest groups tests by language: a module has several turns
def waits(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Any]]]:
    """Waits of all languages during one restart."""
    folder = tmp_path_factory.mktemp("restart")
    song = encode(folder / "Lied.wav", sung(88_200), 44_100, "pcm_s16le")
    server = Server(folder, workers=0, max_event_streams=1)
    found: dict[str, Future[Any]] = {}
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(16))
        server.start()
        stack.callback(server.stop)
        for language in request.config.getoption("--sdk") or DEFAULT:
            try:
                driver = stack.enter_context(Driver(language))
            except (MissingToolchain, OSError):
                continue  # its test fails
            key = server.new_key(f"{secrets.token_hex(8)}@example.org")
            driver.ok("new", apiKey=key, baseUrl=server.url)
            upload = driver.ok("upload", path=str(song))["upload"]
            split = driver.ok("create", request={"input": upload["input"], "stemModel": "4s"})["id"]
            found[language] = threads.submit(driver.ok, "wait", id=split, timeout=WAIT_S)
            wait_until(partial(is_waiting, server, key, split))
        server.stop()
        server.environment["STEMSPLITTER_WORKERS"] = "1"
        server.start()
        yield found


def test_restart(language: str, waits: dict[str, Future[Any]]) -> None:
    assert language in waits, f"the toolchain of {language} is not installed"
    waited = waits[language].result()
    assert (waited["job"]["status"], waited["updates"][0], waited["updates"][-1]) == ("succeeded", 0, 100)
