"""Latency of the API with eight concurrent clients: polls while a split runs, and creates; and its memory.

    .venv/bin/python -m benchmarks.service            # starts a server on SQLite with one worker

Times are measured by the client, over persistent connections.
"""

import argparse
import http.client
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.acceptance.server import Server
from tests.acceptance.songs import encode, sung

CLIENTS = 8
SONG_S = 90


class Client:
    """Client with one persistent connection and an API key."""

    def __init__(self, url: str, key: str) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def __call__(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Any:
        self._connection.request(method, path, body, headers or self._headers)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {data!r}")
        return json.loads(data)["data"]

    def upload(self, song: bytes, mime: str) -> dict[str, str]:
        """Upload a song. Returns the ``input`` of a split of it."""
        wanted = {"filename": "song", "contentType": mime, "contentLength": len(song)}
        reserved = self("POST", "/v1/audio/uploads", json.dumps(wanted).encode())
        path = "/" + reserved["uploadUrl"].split("/", 3)[3]
        sent = self("POST", path, song, reserved["uploadHeaders"] | {"Content-Type": mime})
        source = {"type": "uploaded_file", "uploadId": reserved["uploadId"]}
        return source | {"fileUrl": sent["url"], "storageKey": sent["key"]}

    def split(self, source: dict[str, str]) -> str:
        """Create a split. Returns its id."""
        return str(self("POST", "/v1/audio/splits", json.dumps({"input": source}).encode())["id"])


def timed(clients: list[Client], times: int, pause_s: float, call: Callable[[Client], Any]) -> list[float]:
    """Time ``times`` calls by every client, concurrently. Returns the sorted seconds of all calls."""
    seconds: list[float] = []

    def work(client: Client) -> None:
        for _ in range(times):
            began = time.perf_counter()
            call(client)
            seconds.append(time.perf_counter() - began)
            time.sleep(pause_s)

    threads = [threading.Thread(target=work, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(seconds)


def show(what: str, seconds: list[float]) -> None:
    """Print a row of the table."""
    p99 = seconds[int(len(seconds) * 0.99)]
    median = statistics.median(seconds)
    print(f"| {what} | {len(seconds)} | {median * 1e3:.1f} | {p99 * 1e3:.1f} | {seconds[-1] * 1e3:.1f} |")


def api_memory(server: Server) -> float:
    """Resident memory of the API process in MB."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        ours = f"STEMSPLITTER_PORT={server.environment['STEMSPLITTER_PORT']}".encode() in environment.split(
            b"\0"
        )
        if ours and b"api" in words:
            pages = int((entry / "statm").read_text().split()[1])
            return pages * 4096 / 1e6
    raise RuntimeError("the API process does not run")


def wait(client: Client, split_id: str) -> float:
    """Wait until a split ends. Returns the seconds of its separation."""
    while True:
        split = client("GET", f"/v1/audio/splits/{split_id}")
        if split["status"] in ("succeeded", "failed"):
            return float(split["processing"]["seconds"])
        time.sleep(1)


def measure(server: Server, folder: Path, polls: int, pause_s: float, creates: int) -> None:
    """Print the table."""
    song = encode(folder / "long.flac", sung(SONG_S * 44_100), 44_100, "flac").read_bytes()
    clip = encode(folder / "clip.flac", sung(44_100), 44_100, "flac").read_bytes()
    clients = [Client(server.url, server.new_key(f"{number}@example.org")) for number in range(CLIENTS)]
    first = clients[0]
    quiet_s = wait(first, first.split(first.upload(song, "audio/flac")))
    before = api_memory(server)
    own = {client: client.split(client.upload(clip, "audio/flac")) for client in clients}
    for client, split_id in own.items():
        wait(client, split_id)
    split_id = first.split(first.upload(song, "audio/flac"))
    polled = timed(clients, polls, pause_s, lambda each: each("GET", f"/v1/audio/splits/{own[each]}"))
    running = first("GET", f"/v1/audio/splits/{split_id}")["status"]
    busy_s = wait(first, split_id)
    created = timed(clients, creates, 0, lambda each: each.split(each.upload(clip, "audio/flac")))
    print("| | calls | median ms | p99 ms | maximum ms |\n|---|---|---|---|---|")
    show("poll, while a split runs", polled)
    show("create from a clip of 1 s: reserve, upload, create", created)
    print(
        f"\nThe split was {running} at the last poll. It took {busy_s:.1f} s, and {quiet_s:.1f} s without polls."
    )
    print(f"API process: {before:.0f} MB before, {api_memory(server):.0f} MB after.")


def main() -> None:
    """Start a server, run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--polls", type=int, default=60, help="polls per client")
    parser.add_argument("--pause", type=float, default=0.25, help="seconds between polls of a client")
    parser.add_argument("--creates", type=int, default=12, help="creates per client")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder, max_queued_splits=10_000)
        server.start()
        try:
            measure(server, folder, options.polls, options.pause, options.creates)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
