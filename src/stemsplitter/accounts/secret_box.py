"""The secret key of the server, keys derived from it, and encryption of stored secrets."""

import base64
import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from stemsplitter.errors import SettingsError
from stemsplitter.settings import Settings

FILE = "secret.key"
MIN_LENGTH = 32  # characters; `openssl rand -hex 32` gives 64


def load_secret(settings: Settings) -> bytes:
    """Return the secret key: the setting, else the file ``secret.key`` of the data folder, created if missing.

    Processes that start together get the same key.

    Raises:
        SettingsError: the key is too short, or its file can neither be read nor created.
    """
    if settings.secret_key:
        return _checked(settings.secret_key, "STEMSPLITTER_SECRET_KEY")
    path = settings.data_dir / FILE
    try:
        if not path.exists():
            _make(path)
        return _checked(path.read_text().strip(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The secret key in {path} cannot be read or created: make the folder readable and writable, or set "
            "STEMSPLITTER_SECRET_KEY."
        ) from error


def derive_key(secret: bytes, purpose: str) -> bytes:
    """Return a key of 32 bytes for one purpose (HKDF-SHA256, RFC 5869). It reveals nothing about other keys."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"stemsplitter {purpose}".encode()).derive(
        secret
    )


class SecretBox:
    """Encrypts short texts (Fernet: AES-128-CBC and HMAC-SHA256) with a key derived from the secret key."""

    def __init__(self, secret: bytes) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(derive_key(secret, "secret box")))

    def encrypt(self, text: str) -> str:
        """Return the encrypted text, which differs each time."""
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, token: str) -> str:
        """Return the decrypted text.

        Raises:
            SettingsError: it was encrypted with another secret key, or altered.
        """
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except InvalidToken as error:
            raise SettingsError(
                "A secret in the database was encrypted with another secret key: set STEMSPLITTER_SECRET_KEY, "
                f"or restore the file {FILE}."
            ) from error

    def opens(self, token: str) -> bool:
        """True if :meth:`decrypt` would succeed."""
        try:
            self.decrypt(token)
        except SettingsError:
            return False
        return True


def _checked(secret: str, where: str) -> bytes:
    if len(secret) < MIN_LENGTH:
        raise SettingsError(
            f"The secret key in {where} is shorter than {MIN_LENGTH} characters: use the "
            "output of `openssl rand -hex 32`."
        )
    return secret.encode()


def _make(path: Path) -> None:
    """Write a new secret atomically, unless another process was faster."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{FILE}-", dir=path.parent)  # of mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(temporary)
    finally:
        Path(temporary).unlink()
