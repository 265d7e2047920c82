"""Strict parsing of URLs, done once so that no later step interprets a URL differently."""

import re
from dataclasses import dataclass

import httpx

from stemsplitter.fetching.addresses import Address, parse_address
from stemsplitter.fetching.errors import FetchRefused

PORTS = (80, 443, 8080, 8443)
LONGEST_URL = 8192

_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(
    r"(?!.{254})([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
)
# Forms that inet_aton and browsers accept as an address: 2130706433, 0x7f000001, 127.1, 0177.0.0.1
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True)
class Target:
    """The target of a request: ``host`` is a lower-case ASCII name or an IP address, ``path`` the request target.

    ``address`` is set if the host of the URL is an IP address.
    """

    url: httpx.URL
    host: str
    port: int
    address: Address | None

    @property
    def scheme(self) -> str:
        return self.url.scheme

    @property
    def path(self) -> bytes:
        return self.url.raw_path

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_url(text: str) -> Target:
    """Parse a URL, without resolving its host.

    Raises:
        FetchRefused: the URL is malformed, is not http or https, contains user information, or its host is not a plain
            name, four decimal numbers, or IPv6 in brackets (programs interpret other forms differently).
    """
    if len(text) > LONGEST_URL:
        raise FetchRefused(f"The URL has {len(text)} characters, over the limit of {LONGEST_URL}.")
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchRefused("The URL is not a valid one: check how it is written.") from error
    return target_of(url)


def target_of(url: httpx.URL) -> Target:
    """Return the target of a parsed URL. Raises like :func:`parse_url`."""
    if url.scheme not in _DEFAULT_PORTS:
        raise FetchRefused("The URL must begin with http:// or https://.")
    if url.userinfo:
        raise FetchRefused("The URL holds a user name or password: remove what is before the @.")
    host = url.raw_host.decode("ascii").lower().removesuffix(".")
    port = url.port or _DEFAULT_PORTS[url.scheme]
    if not host or not 1 <= port <= 65535 or url.port == 0:
        raise FetchRefused("The URL has no valid host and port: check how it is written.")
    return Target(url.copy_with(fragment=None), host, port, _address(host))


def _address(host: str) -> Address | None:
    if ":" not in host and not _NUMBER.fullmatch(host.rpartition(".")[2]):
        if not _NAME.fullmatch(host):
            raise FetchRefused("The URL's host is not a valid name: check how it is written.")
        return None
    try:
        return parse_address(host)
    except ValueError as error:
        raise FetchRefused(
            "The URL's host is a number that is not a plain address: write it as 203.0.113.7 or as a name."
        ) from error
