"""Client of the Stem Splitter API."""

from .aio import AsyncStemSplitter
from .client import StemSplitter
from .errors import (
    AuthenticationError,
    ConfigError,
    Conflict,
    ConnectionFailed,
    DownloadError,
    InsufficientCredits,
    InvalidSignature,
    NotFound,
    RateLimited,
    ServerError,
    StemSplitterError,
    ValidationError,
    WaitTimeout,
)
from .transport import VERSION as __version__
from .webhooks import verify_webhook

# the names of the package aistemsplitter
AIStemSplitter = StemSplitter
AIStemSplitterError = StemSplitterError

__all__ = [
    "AIStemSplitter",
    "AIStemSplitterError",
    "AsyncStemSplitter",
    "AuthenticationError",
    "ConfigError",
    "Conflict",
    "ConnectionFailed",
    "DownloadError",
    "InsufficientCredits",
    "InvalidSignature",
    "NotFound",
    "RateLimited",
    "ServerError",
    "StemSplitter",
    "StemSplitterError",
    "ValidationError",
    "WaitTimeout",
    "__version__",
    "verify_webhook",
]
