"""Fetching what users name by URL, without being turned against the networks the server can reach."""

from stemsplitter.fetching.errors import FetchError, FetchFailed, FetchRefused
from stemsplitter.fetching.fetcher import Fetched, Fetcher, PostResult

__all__ = ["FetchError", "FetchFailed", "FetchRefused", "Fetched", "Fetcher", "PostResult"]
