import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.fetching.errors import FetchRefused
from stemsplitter.fetching.targets import LONGEST_URL, parse_url

MALFORMED = [
    "",
    "song.mp3",
    "//example.com/a",
    "http:example.com",
    "http:///a",
    "http://",
    "http://:80/",
    "http://exa mple.com/",
    "http://example.com:99999/",
    "http://example.com:0/",
    "http://example.com:8x/",
    "http://example..com/",
    "http://.example.com/",
    "http://example.com../",
    "http://-a.com/",
    "http://a-.com/",
    "http://*.com/",
    f"http://{'a' * 64}.com/",
    f"http://{'a.' * 130}com/",
    "http://%6c%6fcalhost/",
    "http://127.0.0.1%00.example.com/",
    "http://good.example%40127.0.0.1/",
    "http://[::1/",
    "http://[::1]x/",
    "http://[fe80::1%25eth0]/",
    "http://[::ffff:127.1]/",
    "http://[0x7f.1]/",
    "http://a\tb.com/",
    "http://a.com/\r\nX: y",
    "http://a\0.com/",
    "http://a.com/" + "a" * LONGEST_URL,
]
OTHER_SCHEMES = [
    "file:///etc/passwd",
    "ftp://example.com/a",
    "gopher://127.0.0.1:6379/_x",
    "data:audio/mpeg;base64,AAAA",
    "concat:http://example.com/a",
    "unix:/run/socket",
    "httpx://example.com/",
    "javascript:1",
]
WITH_A_USER = [
    "http://user:password@example.com/",
    "http://example.com@127.0.0.1/",
    "http://example.com:80@127.0.0.1/",
    "http://example.com\\@127.0.0.1/",
    "http://[::1]@example.com/",
    "http://@127.0.0.1:a@example.com/",
]
ODD_NUMBERS = """
2130706433 0x7f000001 017700000001 127.1 127.0.1 0177.1 0177.0.0.1 0x7f.1 0x7f.0.0.1 127.0.0.01 0x 1.2.3.4.5
256.0.0.1 1.2.3.256 4294967296 127.0.0.1.0x0 169.254.43518 0xA9FEA9FE 0 00000000
""".split()  # noqa: SIM905


@pytest.mark.parametrize("url", MALFORMED + OTHER_SCHEMES + WITH_A_USER)
def test_invalid_urls_are_refused(url: str) -> None:
    with pytest.raises(FetchRefused, match=r"^(?!.*password@).*\.$"):
        parse_url(url)


@pytest.mark.parametrize("host", [*ODD_NUMBERS, "１２７.1", "１２７.０.０.１", "ⓛocalhost", "127。1"])
def test_hosts_in_unusual_numeric_notation_are_refused(host: str) -> None:
    with pytest.raises(FetchRefused):
        parse_url(f"http://{host}/")


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "path", "header"),
    [
        ("http://Example.COM", "http", "example.com", 80, b"/", "example.com"),
        ("HTTPS://example.com.:443/a?b=c#d", "https", "example.com", 443, b"/a?b=c", "example.com"),
        ("https://example.com:80/", "https", "example.com", 80, b"/", "example.com:80"),
        ("http://bücher.example/ä b", "http", "xn--bcher-kva.example", 80, b"/%C3%A4%20b", None),
        ("http://a_b.example:8080/", "http", "a_b.example", 8080, b"/", "a_b.example:8080"),
        ("http://[2001:db8::1]:81/", "http", "2001:db8::1", 81, b"/", "[2001:db8::1]:81"),
        ("http://1.2.3.4/x", "http", "1.2.3.4", 80, b"/x", "1.2.3.4"),
        ("http://127。0。0。1/", "http", "127.0.0.1", 80, b"/", "127.0.0.1"),
    ],
)
def test_urls_are_parsed(
    url: str, scheme: str, host: str, port: int, path: bytes, header: str | None
) -> None:
    target = parse_url(url)
    assert (target.scheme, target.host, target.port, target.path) == (scheme, host, port, path)
    assert target.host_header == (header or host)


def test_address_is_set_for_an_ip_address_only() -> None:
    assert str(parse_url("http://[::ffff:10.0.0.1]/").address) == "10.0.0.1"
    assert parse_url("http://example.com/").address is None


@given(st.text(max_size=60), st.sampled_from(["", "http://", "https://", "http://127.0.0.1"]))
def test_any_text_is_parsed_or_refused(text: str, start: str) -> None:
    try:
        target = parse_url(start + text)
    except FetchRefused:
        return
    assert target.scheme in ("http", "https")
    assert target.host.isascii() and not set(target.host) & set("@%/\\? #")
