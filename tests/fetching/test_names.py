import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.fetching import names
from stemsplitter.fetching.names import response_name


@pytest.mark.parametrize(
    ("header", "path", "name"),
    [
        ("", b"/music/song.mp3?token=a/b.wav", "song.mp3"),
        ("", b"/a%20b%C3%A4.mp3", "a bä.mp3"),
        ("", b"/", "source"),
        ("", b"/..", "source"),
        ("", b"/a%2F..%2Fpasswd", "passwd"),
        ('attachment; filename="a.mp3"', b"/x", "a.mp3"),
        ("attachment; filename*=UTF-8''%e2%82%ac.mp3; filename=euro.mp3", b"/x", "€.mp3"),
        ('attachment; filename="../../etc/passwd"', b"/x", "passwd"),
        ('attachment; filename="C:\\\\a\\\\b.mp3"', b"/x", "b.mp3"),
        ("attachment; filename*=nonsense''%ff", b"/x.mp3", None),
        ('attachment; filename="a\x00b\x1b.mp3"', b"/x", "ab.mp3"),
        ("", b"/" + b"a" * 300 + b".mp3", "a" * 196 + ".mp3"),
    ],
)
def test_name_is_from_the_header_or_the_path(header: str, path: bytes, name: str | None) -> None:
    found = response_name(header, path)
    assert found == name if name else found


@given(st.text(max_size=80), st.binary(max_size=80))
def test_any_header_yields_a_name_without_folders(header: str, path: bytes) -> None:
    for found in (response_name(f"attachment; filename={header}", path), response_name(header, path)):
        assert 0 < len(found) <= 200
        assert found.isprintable() and "/" not in found and "\\" not in found and found not in (".", "..")


@pytest.mark.parametrize(
    "charset", ["undefined", "idna", "punycode", "hex", "a%00b", "utf-16", "x" * 500, "\0"]
)
def test_h4_any_charset_yields_a_name(charset: str) -> None:
    assert response_name(f"attachment; filename*={charset}''%ff%00%e2", b"/song.mp3")


def test_h4_header_over_4096_characters_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(names, "Message")
    assert response_name("attachment" + ";" * 95_000, b"/song.mp3") == "song.mp3"
