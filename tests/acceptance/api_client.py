"""A client of the API that checks every envelope."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx2

from .fleet import Fleet
from .server import Server

REQUEST_S = 120
SPLIT_S = 240
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
MEDIA_TYPES = {".flac": "audio/flac", ".wav": "audio/wav"}


class ApiClient:
    """Calls ``/v1`` of a server with an API key."""

    def __init__(self, server: Server, key: str) -> None:
        self.server = server
        self.headers = {"Authorization": f"Bearer {key}"}
        # one connection per request: a balancer sends each to another API, and tests kill processes
        self._client = httpx2.Client(
            base_url=server.url,
            headers=self.headers,
            timeout=REQUEST_S,
            limits=httpx2.Limits(max_keepalive_connections=0),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, method: str, path: str, **options: Any) -> httpx2.Response:
        return self._client.request(method, f"/v1{path}", **options)

    def data(self, method: str, path: str, **options: Any) -> Any:
        """Data of a successful response; any other response fails the test."""
        answer = self(method, path, **options)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        body = answer.json()
        assert list(body) == ["success", "data"] and body["success"] is True
        return body["data"]

    def error(self, status: int, code: str, method: str, path: str, **options: Any) -> Any:
        """Error of a response, which must have this status and code."""
        answer = self(method, path, **options)
        assert answer.status_code == status, answer.text
        body = answer.json()
        assert list(body) == ["success", "error"] and body["success"] is False
        assert list(body["error"])[:2] == ["code", "message"]
        assert body["error"]["code"] == code
        return body["error"]

    def upload(self, song: Path, method: str = "POST") -> dict[str, Any]:
        """Upload a song. Returns the ``input`` of a split of it."""
        content, media_type = song.read_bytes(), MEDIA_TYPES[song.suffix]
        reservation = self.data(
            "POST",
            "/audio/uploads",
            json={"filename": song.name, "contentType": media_type, "contentLength": len(content)},
        )
        in_s3 = ["directUpload"] if isinstance(self.server, Fleet) else []
        assert list(reservation) == ["uploadId", "uploadUrl", "uploadHeaders", "expiresAt", *in_s3]
        assert reservation["uploadId"].startswith("upl_")
        assert list(reservation["uploadHeaders"]) == ["X-Upload-Token", "Content-Type"]
        assert TIME.fullmatch(reservation["expiresAt"])
        assert reservation["uploadHeaders"]["Content-Type"] == media_type
        headers = reservation["uploadHeaders"]
        sent = httpx2.request(
            method, reservation["uploadUrl"], content=content, headers=headers, timeout=REQUEST_S
        )
        assert sent.status_code == 200, sent.text
        assert list(sent.json()) == ["success", "data"] and list(sent.json()["data"]) == ["url", "key"]
        return {
            "type": "uploaded_file",
            "uploadId": reservation["uploadId"],
            "fileUrl": sent.json()["data"]["url"],
            "storageKey": sent.json()["data"]["key"],
        }

    def create_split(self, song: Path, **options: Any) -> Any:
        """Upload a song and create a split of it."""
        return self.data("POST", "/audio/splits", json={"input": self.upload(song)} | options)

    def wait_for_split(self, split_id: str, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Poll a split until ``until(split)`` is true. Its progress must never decrease."""
        deadline, progress = time.monotonic() + SPLIT_S, 0
        while time.monotonic() < deadline:
            split: dict[str, Any] = self.data("GET", f"/audio/splits/{split_id}")
            assert split["progress"] >= progress
            progress = split["progress"]
            if until(split):
                return split
            time.sleep(0.1)
        raise AssertionError(f"timed out: {split}\n{self.server.log.read_text()[-5000:]}")

    def wait_for_progress(self, split_id: str) -> None:
        """Wait until a part of the song is separated."""
        self.wait_for_split(split_id, lambda split: split["progress"] > 0)

    def wait_for_end(self, split_id: str) -> dict[str, Any]:
        """Wait until a split has succeeded or failed."""
        return self.wait_for_split(split_id, lambda split: split["status"] in ("succeeded", "failed"))

    def close(self) -> None:
        self._client.close()
