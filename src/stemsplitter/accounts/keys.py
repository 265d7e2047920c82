"""What API keys look like, and what is kept of them."""

import hashlib
import re
import secrets
import string

PREFIX = "ast_live_"
SHOWN = 12  # characters of a key that are kept readable, to tell keys apart

_ALPHABET = string.digits + string.ascii_letters
_RANDOM = 32  # characters of base62: 190 bits
_FORM = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_RANDOM}}}", re.ASCII)


def new_key() -> str:
    """A key that nobody can guess."""
    return PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))


def is_key(text: str) -> bool:
    """Whether it has the form of a key."""
    return _FORM.fullmatch(text) is not None


def hash_key(key: str) -> str:
    """SHA-256 in hex. A slow hash would protect what can be guessed, which 190 random bits cannot."""
    return hashlib.sha256(key.encode()).hexdigest()
