"""Errors of requests to URLs. Their messages may be shown to the user who gave the URL."""

from stemsplitter.errors import StemSplitterError


class FetchError(StemSplitterError):
    """The request failed."""


class FetchRefused(FetchError):
    """The URL, its address or port is not allowed, or the file is larger than the limit."""


class FetchFailed(FetchError):
    """The server of the URL cannot be reached, is too slow, or sends an error or an invalid response."""
