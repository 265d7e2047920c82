"""Client of the Stem Splitter API."""

from .aio import AsyncJobs, AsyncStemSplitter, AsyncWebhookEndpoints
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
from .jobs import Jobs, WebhookEndpoints
from .transport import VERSION as __version__
from .webhooks import verify_webhook

# the names of the package aistemsplitter
AIStemSplitter = StemSplitter
AIStemSplitterError = StemSplitterError

__all__ = [
    "AIStemSplitter",
    "AIStemSplitterError",
    "AsyncJobs",
    "AsyncStemSplitter",
    "AsyncWebhookEndpoints",
    "AuthenticationError",
    "ConfigError",
    "Conflict",
    "ConnectionFailed",
    "DownloadError",
    "InsufficientCredits",
    "InvalidSignature",
    "Jobs",
    "NotFound",
    "RateLimited",
    "ServerError",
    "StemSplitter",
    "StemSplitterError",
    "ValidationError",
    "WaitTimeout",
    "WebhookEndpoints",
    "__version__",
    "verify_webhook",
]
