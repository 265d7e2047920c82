"""Downloads of sources and POST requests of webhooks; their URLs are untrusted."""

import hashlib
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO

import httpcore
import httpx

from stemsplitter.fetching.connections import CheckedBackend, Deadline, allowed_addresses
from stemsplitter.fetching.errors import FetchError, FetchFailed, FetchRefused
from stemsplitter.fetching.names import response_name
from stemsplitter.fetching.targets import Target, parse_url, target_of
from stemsplitter.settings import Settings
from stemsplitter.version import __version__

MAX_REDIRECTS = 3
EXCERPT_BYTES = 1024
_REDIRECTS = (301, 302, 303, 307, 308)
# Other values (aws-chunked, UTF-8, binary, none) are sent by some servers for an uncompressed body.
_COMPRESSIONS = {
    "gzip",
    "x-gzip",
    "deflate",
    "compress",
    "x-compress",
    "br",
    "zstd",
    "dcb",
    "dcz",
    "exi",
    "pack200-gzip",
}
_AGENT = f"stemsplitter/{__version__}"


@dataclass(frozen=True)
class Fetched:
    """A downloaded file: name and media type given by its server, size in bytes, SHA-256 in hex."""

    filename: str
    content_type: str
    size: int
    sha256: str


@dataclass(frozen=True)
class PostResult:
    """The response to a POST: status, headers (names in lower case), first kilobyte of the body as text."""

    status: int
    headers: dict[str, str]
    excerpt: str


class Fetcher:
    """HTTP client that connects only to public addresses and to ``settings.allowed_networks``. Thread-safe.

    Of the environment it uses only ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``: no proxies, no credentials. It stores no
    cookies.
    """

    def __init__(self, settings: Settings) -> None:
        self._networks = settings.allowed_networks

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()  # when it is needed: reading all authorities takes a while

    def check(self, url: str) -> None:
        """Check a URL without resolving its host or connecting.

        Raises:
            FetchRefused: see :func:`~stemsplitter.fetching.targets.parse_url`; also if the host is an IP address that
                is not allowed.
        """
        target = parse_url(url)
        if target.address is not None:
            allowed_addresses(str(target.address), target.port, self._networks, Deadline(1))

    def download(self, url: str, into: BinaryIO, *, max_bytes: int, deadline_s: float) -> Fetched:
        """Download ``url`` to ``into``, which may hold a part of the file after an error.

        Follows at most 3 redirects, each checked like the first URL. ``deadline_s`` limits the whole download, from
        the first DNS lookup to the last byte.

        Raises:
            FetchRefused, FetchFailed: the download is not allowed or failed.
            OSError: ``into`` cannot be written.
        """
        deadline, target = Deadline(deadline_s), parse_url(url)
        for _ in range(MAX_REDIRECTS + 1):
            with self._request("GET", target, {"Accept-Encoding": "identity"}, deadline) as response:
                if response.status not in _REDIRECTS:
                    return _save(target, response, into, max_bytes)
                target = _redirected(target, _header(response, b"location"))
        raise FetchFailed(f"The URL redirects more than {MAX_REDIRECTS} times: give the final one.")

    def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> PostResult:
        """Send ``body`` in a POST request and return the response, whatever its status. Redirects are not followed.

        ``timeout_s`` limits the whole request. Raises FetchRefused or FetchFailed.
        """
        with self._request("POST", parse_url(url), headers, Deadline(timeout_s), body) as response:
            excerpt = _excerpt(response)
            names = {
                name.decode("ascii").lower(): value.decode("latin-1") for name, value in response.headers
            }
            return PostResult(response.status, names, excerpt.decode("utf-8", "replace"))

    @contextmanager
    def _request(
        self,
        method: str,
        target: Target,
        headers: Mapping[str, str],
        deadline: Deadline,
        body: bytes | None = None,
    ) -> Iterator[httpcore.Response]:
        """Send a request on a new connection. Raises FetchFailed for network errors."""
        url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        sent = [("Host", target.host_header), ("User-Agent", _AGENT), ("Accept", "*/*"), *headers.items()]
        backend = CheckedBackend(self._networks, deadline)
        with httpcore.ConnectionPool(ssl_context=self._tls, network_backend=backend) as pool:
            try:
                with pool.stream(method, url, headers=sent, content=body) as response:
                    yield response
            except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
                raise _failure(target.host, error) from error


def _save(target: Target, response: httpcore.Response, into: BinaryIO, max_bytes: int) -> Fetched:
    if response.status != 200:
        raise FetchFailed(f"{target.host} answered with status {response.status}: check the URL.")
    encodings = {coding.strip() for coding in _header(response, b"content-encoding").lower().split(",")}
    if encodings & _COMPRESSIONS:
        raise FetchFailed(f"{target.host} sent the file compressed although asked not to: use another URL.")
    stated = _header(response, b"content-length")
    too_large = FetchRefused(f"The file is larger than {max_bytes} bytes, the limit: use a smaller one.")
    if stated.isdecimal() and int(stated) > max_bytes:
        raise too_large
    digest, size = hashlib.sha256(), 0
    for part in response.iter_stream():
        size += len(part)
        if size > max_bytes:
            raise too_large
        digest.update(part)
        into.write(part)
    if not size:
        raise FetchFailed(f"{target.host} sent an empty file: check the URL.")
    name = response_name(_header(response, b"content-disposition"), target.path)
    return Fetched(name, _header(response, b"content-type"), size, digest.hexdigest())


def _excerpt(response: httpcore.Response) -> bytes:
    excerpt = b""
    with suppress(
        httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError
    ):  # the status is known; the excerpt may be incomplete
        for part in response.iter_stream():
            excerpt += part[: EXCERPT_BYTES - len(excerpt)]
            if len(excerpt) == EXCERPT_BYTES:
                break
    return excerpt


def _redirected(target: Target, location: str) -> Target:
    if not location:
        raise FetchFailed(f"{target.host} redirects without saying where to: check the URL.")
    try:
        return target_of(target.url.join(location))
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchRefused(f"{target.host} redirects to what is not a valid URL.") from error


def _header(response: httpcore.Response, name: bytes) -> str:
    """Return the first header of that name, or an empty string; decoded as UTF-8 if valid, else as Latin-1."""
    value = next((value for key, value in response.headers if key.lower() == name), b"")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _failure(host: str, error: Exception) -> FetchError:
    if isinstance(error, httpcore.TimeoutException):
        return FetchFailed(f"{host} was too slow to answer: try again later.")
    if isinstance(error, httpcore.ConnectError):
        return FetchFailed(
            f"{host} cannot be connected to: check that it is up and its certificate is valid."
        )
    return FetchFailed(f"{host} broke the connection off or sent what is not HTTP: try again later.")
