import time

import pytest

from stemsplitter.accounts.passwords import hash_password, matches
from stemsplitter.service_errors import ValidationFailed


def test_only_the_password_matches() -> None:
    hashed = hash_password("correct horse")
    assert "correct horse" not in hashed
    assert matches("correct horse", hashed)
    assert not matches("Correct horse", hashed)
    assert not matches("", hashed)
    assert hash_password("correct horse") != hashed


@pytest.mark.usefixtures("slow_passwords")
def test_hash_is_argon2id() -> None:
    assert hash_password("correct horse").startswith("$argon2id$v=19$m=65536,t=3,p=4$")


@pytest.mark.usefixtures("slow_passwords")
def test_verification_takes_the_same_time_without_a_hash() -> None:
    """The time must not reveal which addresses have an account; measured as the minimum of several,
    in time that this process computes, whatever else the machine does."""
    hashed = hash_password("correct horse")
    matches("warm up", None)

    def seconds(password_hash: str | None) -> float:
        took = []
        for _ in range(4):
            begun = time.process_time()
            assert not matches("wrong password", password_hash)
            took.append(time.process_time() - begun)
        return min(took)

    assert seconds(None) > seconds(hashed) / 3


@pytest.mark.parametrize("password", ["", "ninechars", "x" * 1001])
def test_password_length_is_limited(password: str) -> None:
    with pytest.raises(ValidationFailed, match=rf"has {len(password)} characters: use 10 to 1000"):
        hash_password(password)


def test_damaged_hash_matches_nothing() -> None:
    assert not matches("correct horse", "not a hash")
