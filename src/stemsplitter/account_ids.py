"""Ids of accounts and of their test accounts.

Each account that has a test key has a test account: whatever a test key creates belongs to it, so that no query for one
account ever finds an object of the other. Limits count both together, as those of the owner.
"""

from typing import Final

TEST_PREFIX: Final = "test_"  # no other id of an account begins with it


def of_tests(account_id: str) -> str:
    """Return the id of the account's test account."""
    return TEST_PREFIX + owner(account_id)


def is_test(account_id: str) -> bool:
    """Return true for the id of a test account."""
    return account_id.startswith(TEST_PREFIX)


def owner(account_id: str) -> str:
    """Return the id of the account that a test account belongs to; any other id is returned as it is."""
    return account_id.removeprefix(TEST_PREFIX)


def both(account_id: str) -> tuple[str, str]:
    """Return the ids of the owner and of its test account."""
    return owner(account_id), of_tests(account_id)
