"""Downloads over HTTP(S) that resume after interruptions and verify the file."""

import time
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx

from stemsplitter.errors import ModelError
from stemsplitter.files.verified import PartFile, Progress

TRIES = 5
BACKOFF_S = 0.5
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
ONCE_TIMEOUT = httpx.Timeout(30.0, connect=4.0)
_MAX_REDIRECTS = 5


class _Retry(Exception):
    """The server failed temporarily."""


def download(url: str, part: PartFile, progress: Progress | None = None, *, once: bool = False) -> None:
    """Download ``url`` to ``part`` and commit it.

    Resumes after the bytes that the part contains (RFC 9110, Range with If-Range), and retries with exponential backoff
    after interruptions and server errors; with ``once``, it tries once and waits seconds for a connection.

    Raises:
        ModelError: all tries failed, the server refused the request, or the file is not the expected one.
    """
    resumed, tries = part.done > 0, 1 if once else TRIES
    timeout = ONCE_TIMEOUT if once else TIMEOUT
    with httpx.Client(timeout=timeout, follow_redirects=True, max_redirects=_MAX_REDIRECTS) as client:
        _fetch(client, url, part, progress, tries)
        if resumed and not part.is_right():
            part.restart()
            _fetch(client, url, part, progress, tries)
    part.commit()


def _fetch(client: httpx.Client, url: str, part: PartFile, progress: Progress | None, tries: int) -> None:
    entity_tag = ""
    failure: Exception | None = None
    for attempt in range(tries):
        if part.done == part.size:
            return
        if attempt:
            time.sleep(BACKOFF_S * 2 ** (attempt - 1))
        try:
            with client.stream("GET", url, headers=_headers(part, entity_tag)) as response:
                _start(response, part)
                entity_tag = response.headers.get("ETag", "")
                for block in response.iter_raw():
                    part.write(block)
                    if progress is not None:
                        progress(part.done, part.size)
        except (httpx.TransportError, _Retry) as error:
            failure = error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise ModelError(
                f"{url} cannot be downloaded: {_host(url)} sent an invalid HTTP response."
            ) from error
    if part.done < part.size:
        raise _failure(url, part, failure, tries) from failure


def _headers(part: PartFile, entity_tag: str) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity"}
    if part.done:
        headers["Range"] = f"bytes={part.done}-"
        if entity_tag.startswith('"'):  # a weak tag, W/"…", does not guarantee equal bytes
            headers["If-Range"] = entity_tag
    return headers


def _start(response: httpx.Response, part: PartFile) -> None:
    status = response.status_code
    if status == HTTPStatus.PARTIAL_CONTENT:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {part.done}-"):
            part.restart()
            raise _Retry("the server sent another range")
    elif status == HTTPStatus.OK:
        if part.done:
            part.restart()
    elif status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        part.restart()
        raise _Retry("the server does not have that range")
    elif status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS) or status >= 500:
        raise _Retry(f"status {status}")
    else:
        raise ModelError(
            f"{response.url.host} answered with status {status} for {part.target.name}: "
            "the file is not available there; see docs/models.md to add it manually."
        )


def _failure(url: str, part: PartFile, failure: Exception | None, tries: int) -> ModelError:
    host, name = _host(url), part.target.name
    if isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        return ModelError(f"{host} cannot be reached: check the network and try again.")
    if isinstance(failure, _Retry) and str(failure).startswith("status"):
        return ModelError(f"{host} answered with {failure} for {name}: try again later.")
    times = "" if tries == 1 else f" {tries} times"
    return ModelError(f"The download of {name} was interrupted{times}: try again to resume it.")


def _host(url: str) -> str:
    return urlsplit(url).hostname or url
