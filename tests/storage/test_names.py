from email.message import Message
from email.utils import collapse_rfc2231_value

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.files.names import plain_name
from stemsplitter.storage.names import content_disposition


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("vocals.mp3", 'attachment; filename="vocals.mp3"'),
        ("my song (vocals).mp3", 'attachment; filename="my song (vocals).mp3"'),
        ("Köln €.mp3", "attachment; filename=\"K_ln _.mp3\"; filename*=UTF-8''K%C3%B6ln%20%E2%82%AC.mp3"),
        ('a"b\\c.mp3', 'attachment; filename="c.mp3"'),
        ('a"b.mp3', "attachment; filename=\"a_b.mp3\"; filename*=UTF-8''a%22b.mp3"),
        ("a%41.mp3", "attachment; filename=\"a_41.mp3\"; filename*=UTF-8''a%2541.mp3"),
        ("../../x\r\nSet-Cookie: a=b", 'attachment; filename="xSet-Cookie: a=b"'),
        ("", 'attachment; filename="file"'),
        ("..", 'attachment; filename="file"'),
    ],
)
def test_header_contains_the_name(name: str, header: str) -> None:
    assert content_disposition(name) == header


@given(st.text(max_size=300))
def test_any_name_round_trips_through_the_header(name: str) -> None:
    header = content_disposition(name)
    assert header.isascii() and header.isprintable()
    message = Message()
    message["Content-Disposition"] = header.replace("; filename*", "; exact*")
    stated = message.get_param("exact", header="Content-Disposition")
    assert (collapse_rfc2231_value(stated) if stated else message.get_filename()) == plain_name(name)
