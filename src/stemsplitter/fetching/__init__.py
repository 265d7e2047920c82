"""Requests to URLs given by users, protected against server-side request forgery (SSRF)."""

from stemsplitter.fetching.errors import FetchError, FetchFailed, FetchRefused
from stemsplitter.fetching.fetcher import Fetched, Fetcher, PostResult

__all__ = ["FetchError", "FetchFailed", "FetchRefused", "Fetched", "Fetcher", "PostResult"]
