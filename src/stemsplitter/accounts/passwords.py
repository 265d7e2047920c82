"""Password hashes with argon2id and the default parameters of argon2-cffi (RFC 9106, low memory)."""

import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from stemsplitter.service_errors import ValidationFailed

MIN_LENGTH, MAX_LENGTH = 10, 1000

_hasher = PasswordHasher()
# each hash takes 64 MiB while it runs: a burst of sign-ins waits and does not fill the memory
_slots = threading.BoundedSemaphore(4)


def hash_password(password: str) -> str:
    """Return the hash to store. Takes tens of milliseconds and 64 MiB, by design.

    Raises:
        ValidationFailed: the password is shorter than 10 or longer than 1000 characters.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise ValidationFailed(
            f"The password has {len(password)} characters: use {MIN_LENGTH} to {MAX_LENGTH}.",
            param="password",
        )
    with _slots:
        return _hasher.hash(password)


def matches(password: str, password_hash: str | None) -> bool:
    """True if the password has this hash. Takes the same time if there is no hash."""
    try:
        with _slots:
            _hasher.verify(password_hash or _dummy_hash(), password)
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


@cache
def _dummy_hash() -> str:
    return _hasher.hash("")
