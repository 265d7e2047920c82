"""The client."""

from __future__ import annotations

import io
import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

from .downloads import download_file
from .errors import ConfigError, StemSplitterError
from .jobs import Collection, Items, Jobs, WebhookEndpoints
from .transport import Http, Response, Transport
from .uploads import CHUNK_BYTES, Progress, content_type_of, send_file
from .waiting import Json


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

    Attributes:
        splits, analyses, effects, speech: the jobs of each kind.
        webhook_endpoints: saved URLs of webhooks.
        deliveries: the deliveries of webhooks.

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
        self.http = Http(timeout, max_retries, sleep, transport)
        self.splits, self.analyses = Jobs(self, "/audio/splits"), Jobs(self, "/audio/analyses")
        self.effects, self.speech = Jobs(self, "/audio/effects"), Jobs(self, "/audio/speech")
        self.webhook_endpoints = WebhookEndpoints(self, "/webhook_endpoints")
        self.deliveries = Collection(self, "/webhooks/deliveries")

    def mixes(self, split_id: str) -> Jobs:
        """Return the mixes of a split; ``{"gains": {"vocals": -6, "drums": None}}`` is a request to create one."""
        return Jobs(self, f"{self.splits.at(split_id)}/mixes", has_events=False)

    def get_credits(self) -> Json:
        """Return ``balance``, in seconds of audio."""
        return self.request("GET", "/credits")

    def list_models(self) -> Items:
        """Return the models of the server, the preferred one first."""
        return self.items("/models")

    def list_voices(self) -> Items:
        """Return the voices of speech."""
        return self.items("/voices")

    def create_upload(self, *, filename: str, content_type: str, content_length: int) -> Json:
        """Reserve an upload."""
        body = {"filename": filename, "contentType": content_type, "contentLength": content_length}
        return self.request(
            "POST", "/audio/uploads", body=body, headers={"Idempotency-Key": uuid.uuid4().hex}
        )

    def upload_audio(self, data: bytes, *, filename: str, content_type: str = "") -> Json:
        """Upload a song in memory. ``input`` of the result is the input of a job."""
        return self._upload(io.BytesIO(data), len(data), filename, content_type, None)

    def upload_file(
        self,
        path: str | os.PathLike[str],
        *,
        filename: str = "",
        content_type: str = "",
        on_progress: Progress | None = None,
    ) -> Json:
        """Upload a file in chunks; continues after a lost connection. ``input`` of the result is the input of a job.

        Args:
            on_progress: called with the bytes sent and the size, after each chunk.
        """
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return self._upload(file, size, filename or Path(path).name, content_type, on_progress)

    def create_split(self, request: Mapping[str, Any], *, idempotency_key: str | None = None) -> Json:
        """Create a split: ``splits.create``."""
        return self.splits.create(request, idempotency_key=idempotency_key)

    def get_split(self, split_id: str) -> Json:
        """Return a split: ``splits.get``."""
        return self.splits.get(split_id)

    def wait_for_split(
        self,
        split_id: str,
        *,
        timeout: float = 300,
        interval: float = 2,
        on_update: Callable[[Json], None] | None = None,
    ) -> Json:
        """Return the split when it has ended: ``splits.wait``."""
        return self.splits.wait(split_id, timeout=timeout, interval=interval, on_update=on_update)

    def download_stem(
        self,
        split_id: str,
        name: str,
        path: str | os.PathLike[str],
        *,
        format: str | None = None,
        bit_depth: str | int | None = None,
        bitrate: int | None = None,
        timeout: float = 300,
    ) -> Path:
        """Download a stem, or ``no_`` and its name for the song without it, in any format. The file appears when it
        is complete.

        Args:
            timeout: seconds until the server has made it.
        """
        query = {"format": format, "bitDepth": bit_depth, "bitrate": bitrate}
        return self._download(split_id, f"stems/{quote(name, safe='')}", query, path, timeout)

    def download_archive(
        self,
        split_id: str,
        path: str | os.PathLike[str],
        *,
        format: str | None = None,
        bit_depth: str | int | None = None,
        bitrate: int | None = None,
        timeout: float = 300,
    ) -> Path:
        """Download all stems in a ZIP archive, or with the format ``stem.mp4`` in one Native Instruments Stem file."""
        query = {"format": format, "bitDepth": bit_depth, "bitrate": bitrate}
        return self._download(split_id, "archive", query, path, timeout)

    def download_cover(self, split_id: str, path: str | os.PathLike[str]) -> Path:
        """Download the cover of the song, a small JPEG. Raises NotFound if it has none."""
        return self._download(split_id, "cover", {}, path, 0)

    def get_peaks(self, split_id: str, resolution: str | None = None) -> Json:
        """Return the peaks of the stems, to draw waveforms: ``overview``, by default, or ``full``."""
        return self.request("GET", f"{self.splits.at(split_id)}/peaks", query={"resolution": resolution})

    def get_previews(self, split_id: str, codec: str | None = None) -> Json:
        """Return links to small files of the stems for a player, in ``opus``, by default, or ``aac``.

        There is ``status`` instead of ``stems`` while the server makes them.
        """
        return self.request("GET", f"{self.splits.at(split_id)}/previews", query={"codec": codec})

    def rotate_webhook_secret(self) -> str:
        """Create a signing secret for URLs that are part of requests. The previous one stays active for 24 hours."""
        secret: str = self.request("POST", "/webhooks/secrets/rotate", is_repeatable=False)["secret"]
        return secret

    def list_webhook_secrets(self) -> Items:
        """Return the active signing secrets, without their values."""
        return self.items("/webhooks/secrets")

    def send_test_webhook(self, url: str) -> Json:
        """Send a test event. Returns its delivery."""
        return self.request("POST", "/webhooks/test", body={"url": url}, is_repeatable=False)

    def replay_delivery(self, delivery_id: str) -> Json:
        """Deliver an event again. Returns the new delivery."""
        return self.request("POST", f"{self.deliveries.at(delivery_id)}/replay", is_repeatable=False)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        is_repeatable: bool = True,
        query: Mapping[str, Any] | None = None,
    ) -> Json:
        """Send a request to a path of the API, such as ``/credits``. Returns ``data`` of the response."""
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        url = f"{self.base_url}{path}{_query(query or {})}"
        answer = self.http.request(
            method,
            url,
            lambda: self._headers(**kind, **(headers or {})),
            content,
            is_repeatable=is_repeatable,
        )
        if not isinstance(answer, Mapping) or "data" not in answer:
            raise StemSplitterError(
                "The response is not of the API: check base_url.", 200, "HTTP_ERROR", answer
            )
        data: Json = answer["data"]
        return data

    def open_events(self, path: str, timeout: float) -> Response:
        """Open a stream of server-sent events."""
        headers = self._headers(Accept="text/event-stream")
        return self.http.send("GET", f"{self.base_url}{path}", headers, timeout=timeout)

    def items(self, path: str) -> Items:
        """Return the objects of a list without pages."""
        items: Items = self.request("GET", path)["items"]
        return items

    def _upload(
        self, file: BinaryIO, size: int, filename: str, content_type: str, on_progress: Progress | None
    ) -> Json:
        kind = content_type or content_type_of(filename)
        reservation = self.create_upload(filename=filename, content_type=kind, content_length=size)
        sent = send_file(self.http, reservation, file, size, self._chunk_bytes, on_progress)
        found = {"uploadId": reservation["uploadId"], "fileUrl": sent["url"], "storageKey": sent["key"]}
        return {**found, "expiresAt": reservation["expiresAt"], "input": {"type": "uploaded_file", **found}}

    def _download(
        self, split_id: str, what: str, query: Json, path: str | os.PathLike[str], timeout: float
    ) -> Path:
        url = f"{self.base_url}{self.splits.at(split_id)}/{what}{_query(query)}"
        return download_file(self.http, url, self._headers(), Path(path), timeout)

    def _headers(self, **more: str) -> dict[str, str]:
        return {"Accept": "application/json", "Authorization": f"Bearer {self.api_key}", **more}


def _query(values: Mapping[str, Any]) -> str:
    given = {name: value for name, value in values.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""
