import re
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.accounts.secret_box import SecretBox, derive_key, load_secret
from stemsplitter.errors import SettingsError
from stemsplitter.settings import Settings

SECRET = b"0123456789abcdef0123456789abcdef"


@given(st.text())
def test_decryption_reverses_encryption(text: str) -> None:
    box = SecretBox(SECRET)
    token = box.encrypt(text)
    assert box.decrypt(token) == text
    assert box.encrypt(text) != token


def test_other_secret_does_not_decrypt() -> None:
    token = SecretBox(SECRET).encrypt("whsec_x")
    with pytest.raises(SettingsError, match="another secret key"):
        SecretBox(SECRET[::-1]).decrypt(token)
    with pytest.raises(SettingsError, match="another secret key"):
        SecretBox(SECRET).decrypt(token[:-4] + "AAA=")


def test_derived_keys_differ_by_purpose() -> None:
    keys = {derive_key(SECRET, "one"), derive_key(SECRET, "two"), derive_key(SECRET[::-1], "one")}
    assert len(keys) == 3 and all(len(key) == 32 for key in keys)
    # computed separately with HMAC (RFC 5869, 2.2 and 2.3)
    assert derive_key(SECRET, "one").hex() == (
        "0356ae15f250886ff77c74ca0101946552928b2d8bc3f146505c1768f6793689"
    )


def test_file_is_created_once_for_its_owner_only(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new" / "folder")
    secret = load_secret(settings)
    file = settings.data_dir / "secret.key"
    assert re.fullmatch(rb"[0-9a-f]{64}", secret)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_secret(settings) == secret
    assert [each.name for each in settings.data_dir.iterdir()] == ["secret.key"]


def test_concurrent_processes_get_the_same_secret(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    together = threading.Barrier(8)
    found: list[bytes] = []

    def start() -> None:
        together.wait(timeout=30)
        found.append(load_secret(settings))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(found) == 8 and len(set(found)) == 1


def test_setting_overrides_the_file(tmp_path: Path) -> None:
    assert load_secret(Settings(data_dir=tmp_path, secret_key=SECRET.decode())) == SECRET
    assert list(tmp_path.iterdir()) == []


def test_short_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="STEMSPLITTER_SECRET_KEY is shorter than 32"):
        load_secret(Settings(data_dir=tmp_path, secret_key="secret"))
    (tmp_path / "secret.key").write_text("")
    with pytest.raises(SettingsError, match=r"secret\.key is shorter than 32"):
        load_secret(Settings(data_dir=tmp_path))


def test_unreadable_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "secret.key").mkdir()
    with pytest.raises(SettingsError, match="cannot be read or created"):
        load_secret(Settings(data_dir=tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be read or created"):
        load_secret(Settings(data_dir=tmp_path / "file" / "below"))
