"""A stand-in for a server: the part of its API that a run over a library uses, with failures on demand."""

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import soundfile

STEMS = ("vocals", "drums")
KEY = "ast_live_test"


class Api:
    """The splits of an account, and what was asked for.

    Attributes:
        failures: statuses of the next requests to create a split.
        is_held: splits stay in the queue.
        server_errors: number of splits that the server is going to fail.
        credits: number of splits that the account can still pay.
    """

    def __init__(self) -> None:
        self.url = ""
        self.splits: dict[str, dict[str, Any]] = {}
        self.requests: list[dict[str, Any]] = []
        self.by_key: dict[str, str] = {}
        self.filenames: dict[str, str] = {}
        self.deleted: list[str] = []
        self.canceled: list[str] = []
        self.failures: list[int] = []
        self.is_held = False
        self.server_errors = 0
        self.credits = 1000
        self.lock = threading.Lock()

    def create(self, body: dict[str, Any], key: str) -> tuple[int, Any]:
        """Create a split, once for each idempotency key."""
        if self.failures:
            return error(self.failures.pop(0), "SERVER_ERROR", "Not now.", usedBytes="1")
        if key in self.by_key:
            return 200, self.splits[self.by_key[key]]
        filename = self.filenames[body["input"]["uploadId"]]
        if filename.startswith("bad"):
            return error(422, "VALIDATION_ERROR", f"{filename} is not audio.", param="input.uploadId")
        if len(self.requests) >= self.credits:
            return error(402, "INSUFFICIENT_CREDITS", "The balance is 0: add credits first.")
        split_id = f"split_{len(self.requests)}"
        self.requests.append(body)
        self.by_key[key] = split_id
        self.splits[split_id] = {
            "id": split_id,
            "status": "queued",
            "durationSeconds": 1,
            "createdAt": "2026-11-30T00:00:00.000Z",
            "metadata": body["metadata"],
            "model": {"name": "tiny_6s", "licence": "MIT"},
            "error": None,
        }
        return 200, self.splits[split_id]

    def advance(self, split: dict[str, Any]) -> None:
        """End a queued split."""
        if self.is_held or split["status"] != "queued":
            return
        if self.server_errors:
            self.server_errors -= 1
            split |= {"status": "failed", "error": {"code": "SERVER_ERROR", "message": "It failed."}}
            return
        split |= {
            "status": "succeeded",
            "stems": {name: f"{self.url}/files/{name}.wav" for name in STEMS},
            "processing": {"device": "cpu", "seconds": 0.5, "realtimeFactor": 0.5},
            "levels": {name: {"loudness": -20.0, "truePeak": -3.0, "silent": False} for name in STEMS},
            "analysis": {"tempo": {"bpm": 120.0}, "key": {"name": "A minor"}},
        }


def error(status: int, code: str, message: str, **more: str) -> tuple[int, Any]:
    return status, {"code": code, "message": message, **more}


def stem() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.full((22_050, 2), 0.1, np.float32), 44_100, "PCM_16", format="WAV")
    return file.getvalue()


@contextmanager
def stand_in() -> Iterator[Api]:
    """Serve the API on a free port."""
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            url = urlsplit(self.path)
            size = int(self.headers.get("Content-Length") or 0)
            content = self.rfile.read(size)
            with api.lock:
                self._answer(
                    url.path, {name: found[0] for name, found in parse_qs(url.query).items()}, content
                )

        do_GET = do_POST = do_PATCH = do_DELETE = answer

        def _answer(self, path: str, query: dict[str, str], content: bytes) -> None:
            *_, folder, name = ("", *path.split("/"))
            if folder == "files":
                self._send(200, "audio/wav", stem())
            elif folder == "uploads" and self.command == "PATCH":
                self._json(200, {"url": f"{api.url}{path}", "key": name})
            elif self.headers["Authorization"] != f"Bearer {KEY}":
                self._json(*error(401, "UNAUTHORIZED", "Missing or invalid API key"))
            elif name == "credits":
                self._json(200, {"balance": api.credits, "unit": "seconds"})
            elif name == "uploads":
                upload = f"upl_{len(api.filenames)}"
                api.filenames[upload] = json.loads(content)["filename"]
                self._json(
                    200,
                    {
                        "uploadId": upload,
                        "uploadUrl": f"{api.url}/uploads/{upload}",
                        "uploadHeaders": {"X-Upload-Token": "token"},
                        "expiresAt": "2026-11-30T00:00:00.000Z",
                    },
                )
            elif name == "splits" and self.command == "POST":
                self._json(*api.create(json.loads(content), self.headers["Idempotency-Key"]))
            elif name == "splits":
                items = [split for split in api.splits.values() if split["status"] == query["status"]]
                self._json(200, {"items": items, "nextCursor": None})
            else:
                self._split(folder if name in ("events", "cancel") else name, name)

        def _split(self, split_id: str, what: str) -> None:
            if (split := api.splits.get(split_id)) is None:
                self._json(*error(404, "NOT_FOUND", "There is no such split."))
            elif what == "cancel":
                api.canceled.append(split_id)
                split |= {"status": "failed", "error": {"code": "CANCELED", "message": "It was canceled."}}
                self._json(200, split)
            elif self.command == "DELETE":
                api.deleted.append(split_id)
                del api.splits[split_id]
                self._json(200, {"id": split_id, "deleted": True})
            else:
                api.advance(split)
                if what == "events":
                    self._send(200, "text/event-stream", b"data: " + json.dumps(split).encode() + b"\n\n")
                else:
                    self._json(200, split)

        def _json(self, status: int, data: Any) -> None:
            body = {"success": True, "data": data} if status < 400 else {"success": False, "error": data}
            self._send(status, "application/json", json.dumps(body).encode())

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if status in (429, 503):
                self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield api
        server.shutdown()
        thread.join()
