import base64
import time
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.files.names import plain_name
from stemsplitter.service_errors import NotFound
from stemsplitter.storage.links import LinkSigner

SIGNER = LinkSigner(b"k" * 32)


def parts(path: str) -> tuple[str, str]:
    _, files, token, name = path.split("/")
    assert files == "files"
    return token, unquote(name)


@given(st.text(max_size=100))
def test_link_returns_its_target(filename: str) -> None:
    before = time.time()
    path = SIGNER.path("splits/split_1/vocals.mp3", filename, "audio/mpeg", 60)
    after = time.time()
    assert path.isascii() and path.isprintable()
    token, name = parts(path)
    link = SIGNER.open(token, name)
    assert (link.key, link.mime, name) == ("splits/split_1/vocals.mp3", "audio/mpeg", plain_name(filename))
    assert int(before) + 60 <= link.expires <= after + 60


def test_link_expires() -> None:
    token, name = parts(SIGNER.path("a", "a.mp3", "audio/mpeg", 0))
    with pytest.raises(NotFound, match="has expired"):
        SIGNER.open(token, name)


@given(st.integers(0, 1000), st.integers(1, 255))
def test_modified_link_is_refused(at: int, flip: int) -> None:
    token, name = parts(SIGNER.path("a/b", "a.mp3", "audio/mpeg", 60))
    data = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    data[at % len(data)] ^= flip
    with pytest.raises(NotFound, match="is not valid"):
        SIGNER.open(base64.urlsafe_b64encode(data).decode().rstrip("="), name)


@given(st.text(max_size=80), st.text(max_size=20))
def test_invalid_link_is_refused(token: str, name: str) -> None:
    with pytest.raises(NotFound):
        SIGNER.open(token, name)


def test_signature_covers_name_and_secret() -> None:
    token, name = parts(SIGNER.path("a/b", "a.mp3", "audio/mpeg", 60))
    with pytest.raises(NotFound):
        SIGNER.open(token, "a.html")
    with pytest.raises(NotFound):
        LinkSigner(b"other" * 8).open(token, name)
