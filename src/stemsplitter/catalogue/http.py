"""Downloads over HTTP(S) that survive cut connections and never leave a wrong file."""

import time
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx

from stemsplitter.errors import ModelError
from stemsplitter.files.verified import PartFile, Progress

TRIES = 5
BACKOFF_S = 0.5
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_MAX_REDIRECTS = 5


class _TryAgain(Exception):
    """The server could not just now, or stopped in the middle."""


def download(url: str, part: PartFile, progress: Progress | None = None) -> None:
    """Fetch ``url`` into ``part`` and put it in its place.

    Goes on from what the part already holds (RFC 9110, Range with If-Range) and tries again after a cut or a
    server's error, waiting longer each time. ModelError where that does not help, where the server refuses,
    or where the bytes are not the expected ones.
    """
    resumed = part.done > 0
    with httpx.Client(timeout=TIMEOUT, follow_redirects=True, max_redirects=_MAX_REDIRECTS) as client:
        _fetch(client, url, part, progress)
        if resumed and not part.is_right():
            part.restart()
            _fetch(client, url, part, progress)
    part.commit()


def _fetch(client: httpx.Client, url: str, part: PartFile, progress: Progress | None) -> None:
    entity_tag = ""
    failure: Exception | None = None
    for attempt in range(TRIES):
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
        except (httpx.TransportError, _TryAgain) as error:
            failure = error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise ModelError(
                f"{url} cannot be fetched: {_host(url)} sent it in a form that is not HTTP."
            ) from error
    if part.done < part.size:
        raise _given_up(url, part, failure) from failure


def _headers(part: PartFile, entity_tag: str) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity"}
    if part.done:
        headers["Range"] = f"bytes={part.done}-"
        if entity_tag.startswith('"'):  # a weak tag, W/"…", is no promise that the bytes are the same
            headers["If-Range"] = entity_tag
    return headers


def _start(response: httpx.Response, part: PartFile) -> None:
    status = response.status_code
    if status == HTTPStatus.PARTIAL_CONTENT:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {part.done}-"):
            part.restart()
            raise _TryAgain("the server sent another range")
    elif status == HTTPStatus.OK:
        if part.done:
            part.restart()
    elif status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        part.restart()
        raise _TryAgain("the server does not have that range")
    elif status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS) or status >= 500:
        raise _TryAgain(f"status {status}")
    else:
        raise ModelError(
            f"{response.url.host} answered with status {status} for {part.target.name}: "
            "the file is not to be had there; see docs/models.md for adding it by hand."
        )


def _given_up(url: str, part: PartFile, failure: Exception | None) -> ModelError:
    host, name = _host(url), part.target.name
    if isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        return ModelError(f"{host} cannot be reached: check the network and try again.")
    if isinstance(failure, _TryAgain) and str(failure).startswith("status"):
        return ModelError(f"{host} answered with {failure} for {name}: try again later.")
    return ModelError(
        f"The download of {name} was cut off {TRIES} times: try again, it goes on where it stopped."
    )


def _host(url: str) -> str:
    return urlsplit(url).hostname or url
