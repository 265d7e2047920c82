"""The form and the hash of API keys."""

import hashlib
import re
import secrets
import string

PREFIX = "ast_live_"
SHOWN = 12  # characters of a key that are stored in plain text, to tell keys apart

_ALPHABET = string.digits + string.ascii_letters
_RANDOM = 32  # characters of base62: 190 bits
_FORM = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_RANDOM}}}", re.ASCII)


def new_key() -> str:
    """Return a new random key."""
    return PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))


def is_key(text: str) -> bool:
    """True if the text has the form of a key."""
    return _FORM.fullmatch(text) is not None


def hash_key(key: str) -> str:
    """Return the SHA-256 in hex. A key has 190 random bits, so that a slow hash is not needed."""
    return hashlib.sha256(key.encode()).hexdigest()
