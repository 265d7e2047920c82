"""Availability for honest clients while one guest attacks: creates, polls and pages beside each known attack.

    .venv/bin/python -m benchmarks.guests             # starts a server on SQLite with one worker; 9 minutes
    .venv/bin/python -m benchmarks.guests --only H5 M4 --seconds 20

Eight honest clients poll, open pages and create splits from uploads. The attacker has one free account. All of it
runs on this machine, on the same cores. The last column is the most that the attacker had on disk, beside its quota.
"""

import argparse
import http.server
import itertools
import json
import random
import resource
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from benchmarks.service import CLIENTS, Client
from tests.acceptance.server import Server
from tests.acceptance.songs import encode, sung
from tests.loopback import listening

ATTACKER = "attacker@example.org"
UPLOAD_BYTES = 100 << 20
PAUSE_S = 0.5
HALF_SENT = 1150
STREAMS = 1100

Attack = Callable[["Scene"], None]


@dataclass
class Scene:
    """Server under attack, a folder, sites on loopback, the attacker's keys and account, and an event that ends it."""

    server: Server
    folder: Path
    hanging: str
    semicolons: str
    keys: list[str]
    account: str
    stop: threading.Event = field(default_factory=threading.Event)

    def repeat(self, threads: int, call: Callable[[int], Any]) -> None:
        """Call ``call`` with the number of the thread in ``threads`` threads until the attack ends."""

        def work(number: int) -> None:
            while not self.stop.is_set():
                with suppress(Exception):
                    call(number)
                self.stop.wait(0.05)

        running = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(threads)]
        for thread in running:
            thread.start()
        self.stop.wait()
        for thread in running:
            thread.join(30)

    def silence(self, channels: int, seconds: int) -> bytes:
        """Return a flac of silence at 192 kHz, from a file that is made once."""
        path = self.folder / f"silence-{channels}.flac"
        if not path.exists():
            samples = np.zeros((channels, 192_000 * seconds), np.float32)
            encode(path, samples, 192_000, "flac", layout={2: "stereo", 8: "7.1"}[channels])
        return path.read_bytes()

    def browser_link(self) -> str:
        """Return the path of a new sign-in link of the attacker."""
        link = self.server.command("accounts", "sign-in-link", ATTACKER).split()[-1]
        return "/" + link.split("/", 3)[3]

    def held(self) -> int:
        """Return the bytes of the attacker's files on disk."""
        files = self.folder / "data" / "files"
        owners = (
            "SELECT id FROM jobs WHERE account_id = :id UNION SELECT id FROM uploads WHERE account_id = :id"
        )
        total = 0
        for (owner,) in self.server.query(owners, id=self.account):
            for kind in ("splits", "uploads"):
                for path in (files / kind / owner).rglob("*"):
                    with suppress(OSError):
                        total += path.stat().st_size if path.is_file() else 0
        return total

    def post(self, path: str, body: Any) -> Any:
        """Send a request of the attacker. Returns its data; raises for an error."""
        return Client(self.server.url, self.keys[0])("POST", path, json.dumps(body).encode())

    def split_of_clip(self, **options: Any) -> str:
        """Create a split of a short song as the attacker. Returns its id."""
        clip = (self.folder / "clip.flac").read_bytes()
        source = Client(self.server.url, self.keys[0]).upload(clip, "audio/flac")
        return str(self.post("/v1/audio/splits", {"input": source, **options})["id"])

    def cancel(self, split_id: str) -> None:
        """Cancel a split of the attacker."""
        self.post(f"/v1/audio/splits/{split_id}/cancel", {})

    def create(self, key: str, url: str) -> int:
        """Create a split of a URL. Returns the status of the response."""
        body = {"input": {"type": "direct_url", "url": url}}
        headers = {"Authorization": f"Bearer {key}"}
        response = httpx2.post(f"{self.server.url}/v1/audio/splits", json=body, headers=headers, timeout=60)
        return response.status_code


def signed_in(scene: Scene, link: Callable[[], str]) -> tuple[httpx2.Client, str]:
    """Return a browser in which the attacker is signed in, and its CSRF token."""
    browser = httpx2.Client(base_url=scene.server.url, headers={"Origin": scene.server.url}, timeout=60)
    browser.post(link())
    page = browser.get("/account").text
    return browser, page.split('<meta name="csrf" content="', 1)[1].split('"', 1)[0]


def costly_probes(scene: Scene) -> None:
    """Create splits of 8 channels of silence at 192 kHz: small to send, slow to decode."""
    song = scene.silence(channels=8, seconds=240)

    def attack(number: int) -> None:
        client = Client(scene.server.url, scene.keys[0])
        client.split(client.upload(song, "audio/flac"))

    scene.repeat(8, attack)


def bytes_on_disk(scene: Scene) -> None:
    """Fill the disk: large uploads that no split uses, wav32f stems of silence at 192 kHz, and mixes of one song."""
    song = scene.silence(channels=2, seconds=60)
    browser, csrf = signed_in(scene, scene.browser_link)
    block = bytes(1 << 20)

    def upload(client: Client) -> None:
        wanted = {"filename": "a.wav", "contentType": "audio/wav", "contentLength": UPLOAD_BYTES}
        reserved = client("POST", "/v1/audio/uploads", json.dumps(wanted).encode())
        head = b"RIFF\xff\xff\xff\xffWAVEfmt "
        body = itertools.chain(
            [head + block[len(head) :]], itertools.repeat(block, UPLOAD_BYTES // len(block) - 1)
        )
        httpx2.post(reserved["uploadUrl"], content=body, headers=reserved["uploadHeaders"], timeout=60)

    def attack(number: int) -> None:
        client = Client(scene.server.url, scene.keys[0])
        if number < 2:
            upload(client)
        elif number < 4:
            wanted = {"input": client.upload(song, "audio/flac"), "outputFormat": "wav", "bitDepth": "32f"}
            client("POST", "/v1/audio/splits", json.dumps(wanted).encode())
        else:
            splits = client("GET", "/v1/audio/splits?status=succeeded")["items"]
            form = {"format": "wav32f", "gain-vocals": str(random.uniform(-60, 12)), "csrf": csrf}
            browser.post(f"/splits/{random.choice(splits)['id']}/mix", data=form)

    scene.repeat(8, attack)


def hanging_pages(scene: Scene) -> None:
    """Submit the form for a new split with URLs that never answer, from 55 connections of one session."""
    browser, csrf = signed_in(scene, scene.browser_link)
    scene.repeat(55, lambda _: browser.post("/new", data={"url": scene.hanging, "csrf": csrf}))


def semicolons(scene: Scene) -> None:
    """Create splits of a URL whose Content-Disposition has 95,000 semicolons."""
    scene.repeat(8, lambda _: scene.create(scene.keys[0], scene.semicolons))


def half_sent_requests(scene: Scene) -> None:
    """Open 1,150 connections, send half a request on each, and open those that are closed again."""
    host, port = scene.server.url.removeprefix("http://").split(":")
    connections: list[socket.socket] = []
    while not scene.stop.is_set():
        with suppress(OSError):
            connection = socket.create_connection((host, int(port)), timeout=5)
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
            connections.append(connection)
        if len(connections) >= HALF_SENT:
            scene.stop.wait(0.2)
            for old in connections[:50]:
                old.close()
            del connections[:50]
    for connection in connections:
        connection.close()


def many_keys(scene: Scene) -> None:
    """Create splits of URLs that never answer, with four keys of one account, 32 at a time."""
    scene.repeat(32, lambda number: scene.create(scene.keys[number % 4], scene.hanging))


def sign_ups(scene: Scene) -> None:
    """Create accounts."""
    names = iter(range(10**9))

    def attack(number: int) -> None:
        data = {"email": f"{number}-{next(names)}@example.com", "password": "a long password"}
        httpx2.post(
            f"{scene.server.url}/sign-up", data=data, headers={"Origin": scene.server.url}, timeout=60
        )

    scene.repeat(8, attack)


def event_streams(scene: Scene) -> None:
    """Open 1,100 event streams of one split."""
    client = Client(scene.server.url, scene.keys[0])
    clip = encode(scene.folder / "events.flac", sung(44_100), 44_100, "flac").read_bytes()
    split_id = client.split(client.upload(clip, "audio/flac"))
    host, port = scene.server.url.removeprefix("http://").split(":")
    path = f"/v1/audio/splits/{split_id}/events"
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {scene.keys[0]}\r\n\r\n"
    connections: list[socket.socket] = []
    while not scene.stop.is_set():
        if len(connections) >= STREAMS:
            scene.stop.wait(0.2)
            for old in connections[:50]:
                old.close()
            del connections[:50]
            continue
        with suppress(OSError):
            connection = socket.create_connection((host, int(port)), timeout=5)
            connection.sendall(request.encode())
            connections.append(connection)
    for connection in connections:
        connection.close()


def retries(scene: Scene) -> None:
    """Cancel a split, and retry it and cancel the retry, from 8 connections of one session."""
    browser, csrf = signed_in(scene, scene.browser_link)
    first = scene.split_of_clip()
    scene.cancel(first)

    def attack(number: int) -> None:
        made = browser.post(f"/splits/{first}/retry", data={"csrf": csrf})
        scene.cancel(made.headers["location"].rpartition("/")[2])

    scene.repeat(8, attack)


def slow_webhooks(scene: Scene) -> None:
    """Cancel splits whose webhooks go to a receiver that never answers, and send test events to it."""

    def attack(number: int) -> None:
        if number < 4:
            scene.cancel(scene.split_of_clip(webhookUrl=scene.hanging))
        else:
            scene.post("/v1/webhooks/test", {"url": scene.hanging})

    scene.repeat(8, attack)


def tools(scene: Scene) -> None:
    """Analyze a split, which is free, slow it down with the longest reverb, and mix it in all formats."""
    split_id = scene.split_of_clip()
    client = Client(scene.server.url, scene.keys[0])
    while client("GET", f"/v1/audio/splits/{split_id}")["status"] != "succeeded" and not scene.stop.wait(0.5):
        pass
    source = {"type": "split", "id": split_id}
    slow = {"effect": "slowed_reverb", "parameters": {"rate": 0.25, "decay": 20}, "outputFormat": "wav"}
    formats = itertools.cycle(["wav", "flac", "opus", "alac", "m4a", "aiff"])

    def attack(number: int) -> None:
        if number < 3:
            scene.post("/v1/audio/analyses", {"input": source})
        elif number < 6:
            scene.post("/v1/audio/effects", {"input": source, **slow})
        else:
            gains = {"vocals": random.uniform(-60, 12)}
            scene.post(f"/v1/audio/splits/{split_id}/mixes", {"gains": gains, "format": next(formats)})

    scene.repeat(8, attack)


def descriptions(scene: Scene) -> None:
    """Get the largest public documents, without an account."""
    paths = ("/openapi.yaml", "/docs", "/postman.json", "/metrics")
    scene.repeat(16, lambda number: httpx2.get(f"{scene.server.url}{paths[number % 4]}", timeout=60))


ATTACKS: dict[str, Attack] = {
    "H1": costly_probes,
    "H2": bytes_on_disk,
    "H3": hanging_pages,
    "H4": semicolons,
    "H5": half_sent_requests,
    "M2": many_keys,
    "M3": sign_ups,
    "M4": event_streams,
    "retries": retries,
    "webhooks": slow_webhooks,
    "tools": tools,
    "documents": descriptions,
}


@dataclass
class Honest:
    """Seconds and failures of the honest clients."""

    polls: list[float] = field(default_factory=list)
    pages: list[float] = field(default_factory=list)
    creates: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def row(self, name: str, held: int) -> str:
        """Return the row of the table; ``held`` are the bytes of the attacker."""
        total = len(self.creates) + sum(each.startswith("create") for each in self.failures)
        cells = [name, f"{len(self.creates)} of {total}"]
        cells += [
            _p99(self.creates),
            _p99(self.polls),
            _p99(self.pages),
            str(len(self.failures)),
            f"{held / 1e6:.0f}",
        ]
        return "| " + " | ".join(cells) + " |"


class Held(threading.Thread):
    """Measures the bytes of the attacker every few seconds."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(daemon=True)
        self._scene = scene
        self.most = 0

    def run(self) -> None:
        while not self._scene.stop.wait(2):
            self.most = max(self.most, self._scene.held())


def _p99(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"{ordered[int(len(ordered) * 0.99)]:.2f}" if ordered else "none"


def honest_clients(server: Server, keys: list[str], clip: bytes, seconds: float) -> Honest:
    """Run the honest clients for ``seconds``."""
    met, until = Honest(), time.monotonic() + seconds

    def timed(into: list[float], what: str, call: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        try:
            result = call()
        except Exception as error:
            met.failures.append(f"{what}: {error}")
            return None
        into.append(time.perf_counter() - began)
        return result

    def work(key: str) -> None:
        split_id = None
        while time.monotonic() < until:
            client = Client(server.url, key)  # as clients that come and go
            made = timed(met.creates, "create", lambda: client.split(client.upload(clip, "audio/flac")))  # noqa: B023
            split_id = made or split_id
            for _ in range(4):
                client = Client(server.url, key)
                if split_id:
                    path = f"/v1/audio/splits/{split_id}"
                    timed(met.polls, "poll", lambda: client("GET", path))  # noqa: B023
                timed(met.pages, "page", lambda: httpx2.get(server.url, timeout=60).raise_for_status())
                time.sleep(PAUSE_S)

    threads = [threading.Thread(target=work, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return met


class Hanging(http.server.BaseHTTPRequestHandler):
    """A site that accepts a request and never answers."""

    def do_GET(self) -> None:
        time.sleep(60)

    do_POST = do_GET


class Semicolons(http.server.BaseHTTPRequestHandler):
    """A site with a long Content-Disposition."""

    def do_GET(self) -> None:
        self.send_response(200)
        value = "attachment" + ";" * 60_000
        self.send_header("Content-Disposition", value)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"fLaC ")

    def log_message(self, *_: Any) -> None:
        pass


def main() -> None:
    """Start a server, run the attacks one after the other, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="+", choices=list(ATTACKS), default=list(ATTACKS), help="attacks to run"
    )
    parser.add_argument("--seconds", type=float, default=15, help="seconds of each attack")
    parser.add_argument("--failures", action="store_true", help="print what failed")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with (
        tempfile.TemporaryDirectory() as name,
        listening(Hanging) as hanging,
        listening(Semicolons) as semicolons_site,
    ):
        folder = Path(name)
        # the read limit is the default; the clients create more often than the default allows
        server = Server(folder, max_queued_splits=10_000, read_limit=600)
        server.start()
        try:
            keys = [server.new_key(f"honest-{number}@example.org") for number in range(CLIENTS)]
            attacker = [server.new_key(ATTACKER)]
            attacker += [server.command("keys", "create", ATTACKER) for _ in range(3)]
            attacker = [key.split()[-1] for key in attacker]
            ((account,),) = server.query("SELECT id FROM accounts WHERE email = :email", email=ATTACKER)
            clip = encode(folder / "clip.flac", sung(44_100), 44_100, "flac").read_bytes()
            failures: list[str] = []
            print(
                "| attack | creates | create p99 s | poll p99 s | page p99 s | failures | attacker's MB |\n"
                "|---|---|---|---|---|---|---|"
            )
            for attack in ["none", *options.only]:
                scene = Scene(
                    server, folder, f"{hanging}/a.mp3", f"{semicolons_site}/a.flac", attacker, account
                )
                if attack in ("H1", "H2"):  # not while the honest clients run
                    scene.silence(*{"H1": (8, 240), "H2": (2, 60)}[attack])
                held = Held(scene)
                held.start()
                if attack == "none":
                    met = honest_clients(server, keys, clip, options.seconds)
                    scene.stop.set()
                else:
                    thread = threading.Thread(target=ATTACKS[attack], args=(scene,), daemon=True)
                    thread.start()
                    time.sleep(3)
                    met = honest_clients(server, keys, clip, options.seconds)
                    scene.stop.set()
                    thread.join(60)
                print(met.row(attack, max(held.most, scene.held())), flush=True)
                failures += [f"- {attack}: {each}" for each in sorted(set(met.failures))[:10]]
            if options.failures and failures:
                print("", *failures, sep="\n")  # below the table
        finally:
            server.stop()


if __name__ == "__main__":
    main()
