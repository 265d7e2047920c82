"""A client that creates splits and retries through server failures, and a receiver of its webhooks."""

import http.server
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2

from stemsplitter.webhooks.signatures import InvalidSignature, verify

ANSWER_S = 0.2  # the receiver's response time: leaves time for a kill between the POST and its record
PATH = "/webhook"
SIX_STEMS = {"stemModel": "6s", "outputFormat": "flac"}


@dataclass
class Receiver:
    """Receiver of webhooks.

    Attributes:
        secrets: path → secret that signs the webhooks to that path.
        bodies: path → webhook id → received bodies.
        invalid: errors of signatures.
    """

    secrets: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, dict[str, list[bytes]]] = field(default_factory=lambda: defaultdict(dict))
    invalid: list[str] = field(default_factory=list)

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Run the receiver until the block ends. Yields its URL; longer paths are accepted, too."""
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    verify(body, dict(self.headers), receiver.secrets[self.path], datetime.now(UTC))
                except InvalidSignature as error:
                    receiver.invalid.append(str(error))
                receiver.bodies[self.path].setdefault(self.headers["webhook-id"], []).append(body)
                time.sleep(ANSWER_S)
                with suppress(OSError):  # the sender was killed
                    self.send_response(200)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
            threading.Thread(target=listening.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{listening.server_port}{PATH}"
            listening.shutdown()


class Refused(Exception):
    """The API refused a request with a client error."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Customer:
    """Client that creates splits and retries failed requests. Thread-safe.

    Args:
        servers: URLs of API processes; each request goes to a random one, as behind a load balancer.
        webhook_url: webhook URL of the splits; none if empty.
        public_url: prefix of the URLs in responses.
        wanted: options of the splits.
    """

    def __init__(
        self,
        servers: Sequence[str],
        key: str,
        songs: Sequence[bytes],
        webhook_url: str,
        deadline: float,
        public_url: str = "",
        wanted: Mapping[str, Any] = SIX_STEMS,
    ) -> None:
        self._servers, self._songs, self._deadline = servers, songs, deadline
        self._wanted = {**wanted, "webhookUrl": webhook_url} if webhook_url else dict(wanted)
        self._public_url = public_url or servers[0]
        self._client = httpx2.Client(headers={"Authorization": f"Bearer {key}"}, timeout=60)
        self._bodies: dict[int, dict[str, Any]] = {}
        self.unanswered = Counter[str]()

    def data(self, method: str, path: str, **options: Any) -> Any:
        """Send a request until it succeeds. Returns the ``data`` of the response. Raises Refused."""
        while time.monotonic() < self._deadline:
            try:
                answer = self._client.request(method, f"{random.choice(self._servers)}/v1{path}", **options)
            except httpx2.TransportError:
                self.unanswered["connection lost"] += 1
            else:
                if answer.status_code == 200:
                    return answer.json()["data"]
                # with an idempotency key: the first request is still in progress
                in_progress = answer.status_code == 409 and "Idempotency-Key" in options.get("headers", {})
                if not in_progress and answer.status_code < 500:
                    raise Refused(f"{method} {path}: {answer.status_code} {answer.text}", answer.status_code)
                self.unanswered[str(answer.status_code)] += 1
            time.sleep(0.25)
        raise AssertionError(f"{method} {path}: timed out")

    def create(self, number: int) -> str:
        """Create the split of that number, with an idempotency key. Each call returns the same id."""
        if number not in self._bodies:
            self._bodies[number] = self._wanted | {
                "input": self._upload(self._songs[number % len(self._songs)])
            }
        headers = {"Idempotency-Key": f"split number {number}"}
        return str(self.data("POST", "/audio/splits", json=self._bodies[number], headers=headers)["id"])

    def cancel(self, split_id: str) -> None:
        """Cancel a split; a split that has ended is left unchanged."""
        try:
            self.data("POST", f"/audio/splits/{split_id}/cancel")
        except Refused as error:
            if error.status != 409:
                raise

    def _upload(self, song: bytes) -> dict[str, str]:
        wanted = {"filename": "song.flac", "contentType": "audio/flac", "contentLength": len(song)}
        while time.monotonic() < self._deadline:
            reserved = self.data("POST", "/audio/uploads", json=wanted)
            with suppress(httpx2.TransportError):  # retried with a new reservation
                if file := self._send(song, reserved):
                    return {"type": "uploaded_file", "uploadId": reserved["uploadId"], **file}
            time.sleep(0.25)
        raise AssertionError("the upload timed out")

    def _send(self, song: bytes, reserved: dict[str, Any]) -> dict[str, str] | None:
        """Upload through the server or, half of the time if possible, directly to the store. None if that failed."""
        direct = reserved.get("directUpload")
        if direct and random.random() < 0.5:
            sent = httpx2.request(
                direct["method"], direct["url"], content=song, headers=direct["headers"], timeout=60
            )
            file = {"fileUrl": direct["fileUrl"], "storageKey": direct["storageKey"]}
            return file if sent.status_code == 200 else None
        headers = reserved["uploadHeaders"] | {"Content-Type": "audio/flac"}
        url = reserved["uploadUrl"].replace(self._public_url, random.choice(self._servers), 1)
        sent = httpx2.post(url, content=song, headers=headers, timeout=60)
        if sent.status_code != 200:
            return None
        data = sent.json()["data"]
        return {"fileUrl": data["url"], "storageKey": data["key"]}

    def stop_retrying(self) -> None:
        """Stop retrying requests."""
        self._deadline = 0.0

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
