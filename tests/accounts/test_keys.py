import hashlib

import pytest

from stemsplitter.accounts.keys import SHOWN, hash_key, is_key, is_test_key, new_key


@pytest.mark.parametrize(("is_test", "prefix"), [(False, "ast_live_"), (True, "ast_test_")])
def test_new_key_has_the_form_of_a_key(is_test: bool, prefix: str) -> None:
    keys = {new_key(is_test=is_test) for _ in range(100)}
    assert len(keys) == 100
    for key in keys:
        assert is_key(key) and len(key) == 41
        assert key[:SHOWN].startswith(prefix) and len(key[:SHOWN]) == 12
        assert is_test_key(key) is is_test_key(key[:SHOWN]) is is_test


def test_hash_is_sha256() -> None:
    key = new_key()
    assert hash_key(key) == hashlib.sha256(key.encode()).hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ast_live_",
        "ast_live_" + "a" * 31,
        "ast_live_" + "a" * 33,
        "ast_demo_" + "a" * 32,
        "ast_live_" + "a" * 31 + "-",
        "ast_live_" + "a" * 31 + "é",
        "ast_live_" + "a" * 31 + "٣",  # a digit, but not in ASCII
        "ast_live_" + "a" * 32 + "\n",
        " ast_live_" + "a" * 32,
    ],
)
def test_other_texts_are_not_keys(text: str) -> None:
    assert not is_key(text)
