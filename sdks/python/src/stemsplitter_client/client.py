"""The client."""

from __future__ import annotations

import io
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from .downloads import download_file, download_files, stem_links
from .errors import ConfigError, Conflict, NotFound, StemSplitterError
from .transport import Http, Response, Transport
from .uploads import CHUNK_BYTES, Progress, content_type_of, send_file
from .waiting import Split, wait

Json = dict[str, Any]


class StemSplitter:
    """Client of a Stem Splitter server. Methods return the ``data`` of the API's responses.

    Args:
        api_key: ``ast_live_…``; the environment variable ``STEMSPLITTER_KEY`` by default.
        base_url: address of the server, with or without ``/v1``; ``STEMSPLITTER_URL`` by default.
        timeout: seconds that a connection may be silent.
        max_retries: repetitions of a request after a lost connection, a response 429 or an error of the server.
        chunk_bytes: size of the chunks of uploads, at least 65536.
        transport: sends requests instead of ``urllib``.
        sleep: waits a number of seconds.

    Raises:
        ConfigError: there is no key or no address.
    """

    def __init__(
        self,
        api_key: str = "",
        *,
        base_url: str = "",
        timeout: float = 60,
        max_retries: int = 4,
        chunk_bytes: int = CHUNK_BYTES,
        transport: Transport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.api_key = api_key or os.environ.get("STEMSPLITTER_KEY", "")
        address = base_url or os.environ.get("STEMSPLITTER_URL", "")
        if not self.api_key:
            raise ConfigError("Missing API key: pass api_key or set STEMSPLITTER_KEY.")
        if not address:
            raise ConfigError("Missing address of the server: pass base_url or set STEMSPLITTER_URL.")
        address = address.rstrip("/")
        self.base_url = address if address.endswith("/v1") else f"{address}/v1"
        self._chunk_bytes = chunk_bytes
        self._http = Http(timeout, max_retries, sleep, transport)

    def get_credits(self) -> Json:
        """Return ``balance``, in seconds of audio."""
        return self._get("/credits")

    def list_models(self) -> list[Json]:
        """Return the models of the server, the preferred one first."""
        models: list[Json] = self._get("/models")["items"]
        return models

    def create_upload(self, *, filename: str, content_type: str, content_length: int) -> Json:
        """Reserve an upload."""
        body = {"filename": filename, "contentType": content_type, "contentLength": content_length}
        return self._post("/audio/uploads", body, uuid.uuid4().hex)

    def upload_audio(self, data: bytes, *, filename: str, content_type: str = "") -> Json:
        """Upload a song in memory. ``input`` of the result is the input of :meth:`create_split`."""
        return self._upload(io.BytesIO(data), len(data), filename, content_type, None)

    def upload_file(
        self,
        path: str | os.PathLike[str],
        *,
        filename: str = "",
        content_type: str = "",
        on_progress: Progress | None = None,
    ) -> Json:
        """Upload a file in chunks; continues after a lost connection. ``input`` of the result is the input of
        :meth:`create_split`.

        Args:
            on_progress: called with the bytes sent and the size, after each chunk.
        """
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return self._upload(file, size, filename or Path(path).name, content_type, on_progress)

    def create_split(self, request: Mapping[str, Any], *, idempotency_key: str | None = None) -> Json:
        """Create a split, once even if the request is repeated.

        Args:
            request: ``input`` and options, such as ``{"input": upload["input"], "stemModel": "4s"}``.
            idempotency_key: random by default.
        """
        return self._post("/audio/splits", request, idempotency_key or uuid.uuid4().hex)

    def get_split(self, split_id: str) -> Split:
        """Return a split."""
        return self._get(_path(split_id))

    def list_splits(self, *, limit: int = 20, cursor: str | None = None, status: str | None = None) -> Json:
        """Return a page of splits, newest first: ``items`` and ``nextCursor``."""
        return self._get("/audio/splits", limit=limit, cursor=cursor, status=status)

    def iterate_splits(self, *, status: str | None = None, page_size: int = 100) -> Iterator[Split]:
        """Yield all splits, newest first."""
        return _pages(lambda cursor: self.list_splits(limit=page_size, cursor=cursor, status=status))

    def wait_for_split(
        self,
        split_id: str,
        *,
        timeout: float = 300,
        interval: float = 2,
        on_update: Callable[[Split], None] | None = None,
    ) -> Split:
        """Return the split when it has succeeded or failed. Uses events, and polls where they are not available.

        Args:
            timeout: seconds.
            interval: seconds between polls.
            on_update: called with the split at first and when its status or progress changes. An exception in it ends
                the wait.

        Raises:
            WaitTimeout: it has not ended in time.
        """
        events = None if self._http.transport else lambda seconds: self._events(split_id, seconds)
        return wait(
            lambda: self.get_split(split_id), events, self._http, split_id, timeout, interval, on_update
        )

    def cancel_split(self, split_id: str) -> Split:
        """Cancel a split. It fails with the code ``CANCELED``, and its credits are refunded."""
        try:
            return self._call("POST", f"{_path(split_id)}/cancel")
        except Conflict as error:
            if error.attempts > 1:  # the first response was lost
                split = self.get_split(split_id)
                if (split.get("error") or {}).get("code") == "CANCELED":
                    return split
            raise

    def delete_split(self, split_id: str) -> Json:
        """Delete an ended split with its files."""
        try:
            return self._call("DELETE", _path(split_id))
        except NotFound as error:
            if error.attempts > 1:  # the first response was lost
                return {"id": split_id, "deleted": True}
            raise

    def download_stems(
        self, split: str | Mapping[str, Any], folder: str | os.PathLike[str]
    ) -> dict[str, Path]:
        """Download all stems into a folder. The files appear together, when all are complete.

        Args:
            split: a split, or its id.

        Returns:
            The path of each stem, such as ``folder/vocals.mp3``.

        Raises:
            DownloadError: the split has not succeeded, or a file could not be downloaded completely.
        """
        found = stem_links(self.get_split(split) if isinstance(split, str) else split)
        return download_files(self._http, found["stems"], Path(folder))

    def download_archive(self, split_id: str, path: str | os.PathLike[str]) -> Path:
        """Download all stems in a ZIP archive."""
        url = f"{self.base_url}{_path(split_id)}/archive"
        return download_file(self._http, url, self._headers(), Path(path))

    def rotate_webhook_secret(self) -> str:
        """Create a signing secret. The previous one stays active for 24 hours."""
        secret: str = self._call("POST", "/webhooks/secrets/rotate", is_repeatable=False)["secret"]
        return secret

    def list_webhook_secrets(self) -> list[Json]:
        """Return the active signing secrets, without their values."""
        secrets: list[Json] = self._get("/webhooks/secrets")["items"]
        return secrets

    def send_test_webhook(self, url: str) -> Json:
        """Send a test event. Returns its delivery."""
        return self._call("POST", "/webhooks/test", {"url": url}, is_repeatable=False)

    def iterate_deliveries(self, *, status: str | None = None, split_id: str | None = None) -> Iterator[Json]:
        """Yield the deliveries of webhooks, newest first."""
        return _pages(
            lambda cursor: self._get(
                "/webhooks/deliveries", limit=100, cursor=cursor, status=status, splitId=split_id
            )
        )

    def get_delivery(self, delivery_id: str) -> Json:
        """Return a delivery with its attempts."""
        return self._get(f"/webhooks/deliveries/{quote(delivery_id, safe='')}")

    def replay_delivery(self, delivery_id: str) -> Json:
        """Deliver an event again. Returns the new delivery."""
        path = f"/webhooks/deliveries/{quote(delivery_id, safe='')}/replay"
        return self._call("POST", path, is_repeatable=False)

    def _upload(
        self, file: Any, size: int, filename: str, content_type: str, on_progress: Progress | None
    ) -> Json:
        kind = content_type or content_type_of(filename)
        reservation = self.create_upload(filename=filename, content_type=kind, content_length=size)
        sent = send_file(self._http, reservation, file, size, self._chunk_bytes, on_progress)
        found = {"uploadId": reservation["uploadId"], "fileUrl": sent["url"], "storageKey": sent["key"]}
        return {**found, "expiresAt": reservation["expiresAt"], "input": {"type": "uploaded_file", **found}}

    def _events(self, split_id: str, timeout: float) -> Response:
        headers = self._headers({"Accept": "text/event-stream"})
        return self._http.send("GET", f"{self.base_url}{_path(split_id)}/events", headers, timeout=timeout)

    def _headers(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {"Accept": "application/json", "Authorization": f"Bearer {self.api_key}", **(more or {})}

    def _get(self, path: str, **query: Any) -> Json:
        given = {name: value for name, value in query.items() if value is not None}
        return self._call("GET", f"{path}?{urlencode(given)}" if given else path)

    def _post(self, path: str, body: Mapping[str, Any], idempotency_key: str) -> Json:
        return self._call("POST", path, body, {"Idempotency-Key": idempotency_key})

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        is_repeatable: bool = True,
    ) -> Json:
        content = None
        headers = self._headers(headers)
        if body is not None:
            content = json.dumps(body, ensure_ascii=False).encode()
            headers["Content-Type"] = "application/json"
        url = f"{self.base_url}{path}"
        answer, _ = self._http.request(method, url, headers, content, is_repeatable=is_repeatable)
        if not isinstance(answer, Mapping) or "data" not in answer:
            raise StemSplitterError(
                "The response is not of the API: check base_url.", 200, "HTTP_ERROR", answer
            )
        data: Json = answer["data"]
        return data


def _path(split_id: str) -> str:
    return f"/audio/splits/{quote(split_id, safe='')}"


def _pages(get_page: Callable[[str | None], Json]) -> Iterator[Json]:
    cursor: str | None = None
    while True:
        page = get_page(cursor)
        yield from page["items"]
        cursor = page.get("nextCursor")
        if not cursor:
            return
