"""The form and the hash of API keys."""

import hashlib
import re
import secrets
import string

LIVE, TEST = "ast_live_", "ast_test_"
SHOWN = 12  # characters of a key that are stored in plain text, to tell keys apart

_ALPHABET = string.digits + string.ascii_letters
_RANDOM = 32  # characters of base62: 190 bits
_FORM = re.compile(rf"({LIVE}|{TEST})[0-9A-Za-z]{{{_RANDOM}}}", re.ASCII)


def new_key(*, is_test: bool = False) -> str:
    """Return a new random key, live or for tests."""
    return (TEST if is_test else LIVE) + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))


def is_key(text: str) -> bool:
    """True if the text has the form of a key."""
    return _FORM.fullmatch(text) is not None


def is_test_key(key: str) -> bool:
    """True if a key, or its stored beginning, is that of a test key."""
    return key.startswith(TEST)


def hash_key(key: str) -> str:
    """Return the SHA-256 in hex. A key has 190 random bits, so that a slow hash is not needed."""
    return hashlib.sha256(key.encode()).hexdigest()
