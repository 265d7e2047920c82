"""Errors of links. Their messages are shown to the user who gave the link."""

from stemsplitter.fetching import FetchError


class LinkError(FetchError):
    """The link is not one of a single track, its site refuses it, or this server does not fetch it."""
