"""Collections of the API: the jobs of one kind, deliveries and webhook endpoints."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .downloads import download_files
from .errors import Conflict, DownloadError, NotFound
from .transport import Response
from .waiting import Json, wait

if TYPE_CHECKING:
    from .client import StemSplitter

Items = list[Json]


class Objects:
    """Objects of one kind."""

    def __init__(self, client: StemSplitter, path: str) -> None:
        self._client, self._path = client, path

    def get(self, object_id: str) -> Json:
        """Return an object."""
        return self._client.request("GET", self.at(object_id))

    def at(self, object_id: str) -> str:
        """Return the path of an object."""
        return f"{self._path}/{quote(object_id, safe='')}"

    def _delete(self, object_id: str) -> Json:
        try:
            return self._client.request("DELETE", self.at(object_id))
        except NotFound as error:
            if error.attempts > 1:  # the first response was lost
                return {"id": object_id, "deleted": True}
            raise


class Collection(Objects):
    """Objects of one kind that are listed in pages."""

    def list(self, /, *, limit: int = 20, cursor: str | None = None, **filters: str | None) -> Json:
        """Return a page, newest first: ``items`` and ``nextCursor``.

        ``status`` is a filter; of deliveries, ``splitId`` and ``endpointId`` are too.
        """
        return self._client.request("GET", self._path, query={"limit": limit, "cursor": cursor, **filters})

    def iterate(self, /, **filters: str | None) -> Iterator[Json]:
        """Yield all objects, newest first."""
        cursor: str | None = None
        while True:
            page = self.list(limit=100, cursor=cursor, **filters)
            yield from page["items"]
            cursor = page.get("nextCursor")
            if not cursor:
                return


class Jobs(Collection):
    """Jobs of one kind. All kinds have the same life: queued, processing, then succeeded or failed.

    Mixes can be neither canceled nor deleted: they end with their split.
    """

    def __init__(self, client: StemSplitter, path: str, *, has_events: bool = True) -> None:
        super().__init__(client, path)
        self._has_events = has_events

    def create(self, request: Mapping[str, Any], *, idempotency_key: str | None = None) -> Json:
        """Create a job, once even if the request is repeated.

        Args:
            request: such as ``{"input": upload["input"], "stemModel": "4s"}``.
            idempotency_key: random by default.
        """
        key = idempotency_key or uuid.uuid4().hex
        return self._client.request("POST", self._path, body=request, headers={"Idempotency-Key": key})

    def wait(
        self,
        job_id: str,
        *,
        timeout: float = 300,
        interval: float = 2,
        on_update: Callable[[Json], None] | None = None,
    ) -> Json:
        """Return the job when it has succeeded or failed. Uses events, and polls where they are not available.

        Args:
            timeout: seconds.
            interval: seconds between polls.
            on_update: called with the job at first and when its status or progress changes. An exception in it ends
                the wait.

        Raises:
            WaitTimeout: it has not ended in time.
        """

        def open_events(seconds: float) -> Response:
            return self._client.open_events(f"{self.at(job_id)}/events", seconds)

        events = open_events if self._has_events and not self._client.http.transport else None
        return wait(lambda: self.get(job_id), events, self._client.http, timeout, interval, on_update)

    def cancel(self, job_id: str) -> Json:
        """Cancel a job. It fails with the code ``CANCELED``, and its credits are refunded."""
        try:
            return self._client.request("POST", f"{self.at(job_id)}/cancel")
        except Conflict as error:
            if error.attempts > 1:  # the first response was lost
                job = self.get(job_id)
                if (job.get("error") or {}).get("code") == "CANCELED":
                    return job
            raise

    def delete(self, job_id: str) -> Json:
        """Delete an ended job with its files."""
        return self._delete(job_id)

    def download(self, job: str | Mapping[str, Any], folder: str | os.PathLike[str]) -> dict[str, Path]:
        """Download all files of a succeeded job into a folder. They appear together, when all are complete.

        Args:
            job: the job, or its id.

        Returns:
            The path of each file by its name, such as ``folder/vocals.mp3``.

        Raises:
            DownloadError: the job has no files, or one could not be downloaded completely.
        """
        job = self.get(job) if isinstance(job, str) else job
        mix = {"mix": job["url"]} if job.get("url") else {}
        links = job.get("stems") or job.get("outputs") or mix
        if job.get("status") != "succeeded" or not links:
            reason = (job.get("error") or {}).get("message") or f"its status is {job.get('status')}"
            raise DownloadError(f"{job.get('id')} has no files: {reason}")
        return download_files(self._client.http, links, Path(folder))


class WebhookEndpoints(Objects):
    """Saved URLs, which get the webhooks of all jobs. The server disables those that fail for days."""

    def create(self, request: Mapping[str, Any]) -> Json:
        """Save an endpoint. Its signing secret, ``secret``, is in this response only.

        Args:
            request: such as ``{"url": "https://example.com/hook", "events": ["audio.split.completed"]}``; the event
                ``*`` means all.
        """
        return self._client.request("POST", self._path, body=request, is_repeatable=False)

    def list(self) -> Items:
        """Return all endpoints, newest first."""
        return self._client.items(self._path)

    def update(self, endpoint_id: str, changes: Mapping[str, Any]) -> Json:
        """Change an endpoint: ``url``, ``events``, ``description``, or ``status``, ``enabled`` or ``disabled``."""
        return self._client.request("POST", self.at(endpoint_id), body=changes)

    def delete(self, endpoint_id: str) -> Json:
        """Delete an endpoint. Its pending deliveries end as failed."""
        return self._delete(endpoint_id)

    def rotate_secret(self, endpoint_id: str) -> str:
        """Create a signing secret of the endpoint. The previous one stays active for 24 hours."""
        secret: str = self._client.request("POST", f"{self.at(endpoint_id)}/rotate", is_repeatable=False)[
            "secret"
        ]
        return secret

    def send_test(self, endpoint_id: str) -> Json:
        """Send a test event to the endpoint. Returns its delivery."""
        return self._client.request("POST", f"{self.at(endpoint_id)}/test", is_repeatable=False)
