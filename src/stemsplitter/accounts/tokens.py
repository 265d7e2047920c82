"""Random tokens of sessions and links, which are stored as their SHA-256."""

import hashlib
import secrets

_BYTES = 32  # of randomness


def new_token() -> str:
    """Return a random token for a URL or a cookie."""
    return secrets.token_urlsafe(_BYTES)


def hash_token(token: str) -> str:
    """Return the SHA-256 in hex. A token has 256 random bits, so that a slow hash is not needed."""
    return hashlib.sha256(token.encode()).hexdigest()
