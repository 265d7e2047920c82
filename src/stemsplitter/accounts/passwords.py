"""Passwords, hashed with argon2id and the parameters that argon2-cffi recommends (RFC 9106, low memory)."""

import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from stemsplitter.service_errors import ValidationFailed

SHORTEST, LONGEST = 10, 1000

_hasher = PasswordHasher()
# each takes 64 MiB while it runs: a burst of sign-ins must wait, not fill the memory
_turn = threading.BoundedSemaphore(4)


def hash_password(password: str) -> str:
    """The hash to keep; takes tens of milliseconds and 64 MiB, on purpose.

    Raises:
        ValidationFailed: the password is shorter than 10 or longer than 1000 characters.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise ValidationFailed(
            f"The password has {len(password)} characters: use {SHORTEST} to {LONGEST}.", param="password"
        )
    with _turn:
        return _hasher.hash(password)


def matches(password: str, password_hash: str | None) -> bool:
    """Whether the password is the one that was hashed. Takes as long where there is no hash to compare with."""
    try:
        with _turn:
            _hasher.verify(password_hash or _nobodys(), password)
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


@cache
def _nobodys() -> str:
    return _hasher.hash("")
