"""Errors of fetching a URL. Their messages may be shown to the user who gave the URL."""

from stemsplitter.errors import StemSplitterError


class FetchError(StemSplitterError):
    """The URL was not fetched."""


class FetchRefused(FetchError):
    """The URL's form, address or port is one this server does not connect to; nothing was connected to."""


class FetchFailed(FetchError):
    """The server behind the URL cannot be reached, refused, was too slow, or sent what was not asked for."""
