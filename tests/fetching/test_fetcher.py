import gzip
import hashlib
import io
import ssl
import threading
import time
from typing import Any

import pytest

from stemsplitter.fetching import Fetcher, FetchError, FetchFailed, FetchRefused
from stemsplitter.settings import Settings

from ..deadlines import UntilTheBody, until_the_body

__all__ = ["until_the_body"]

SONG = bytes(range(256)) * 1000
LIMIT_S = 60.0  # for what takes no time


def make_fetcher(networks: str = "") -> Fetcher:
    return Fetcher(Settings(allowed_networks=networks))


@pytest.fixture(scope="module")
def closed() -> Fetcher:
    """A fetcher with the default settings."""
    return make_fetcher()


@pytest.fixture(scope="module")
def fetcher() -> Fetcher:
    """A fetcher that may connect to loopback."""
    return make_fetcher("127.0.0.0/8")


def fetch(
    fetcher: Fetcher, url: str, max_bytes: int = 1 << 20, deadline_s: float = LIMIT_S
) -> tuple[Any, bytes]:
    into = io.BytesIO()
    fetched = fetcher.download(url, into, max_bytes=max_bytes, deadline_s=deadline_s)
    return fetched, into.getvalue()


# None of these URLs may reach the server; {port} is its port.
FORMS = [
    f"http://{host}:{{port}}/"
    for host in """
    127.0.0.1 127.0.0.2 127.255.255.254 0.0.0.0 0 127.1 127.0.1 2130706433 0x7f000001 0x7f.0.0.1 0x7f.1 017700000001
    0177.0.0.1 0177.1 127.0.0.01 127.0.0.1. localhost localhost. LOCALHOST sub.localhost [::1] [::] [::ffff:127.0.0.1]
    [::ffff:7f00:1] [::127.0.0.1] [0:0:0:0:0:0:0:1] [64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::7f00:1]
    [2002:7f00:1::] [2001:0:7f00:1::] [fe80::1] [fe80::1%25lo] [fc00::1] [fd00:ec2::254] [ff02::1] 10.0.0.1 172.16.0.1
    192.168.0.1 169.254.169.254 100.64.0.1 100.100.100.200 192.0.0.192 198.18.0.1 224.0.0.1 255.255.255.255
    168.63.129.16 user@127.0.0.1 user:password@127.0.0.1 example.com@127.0.0.1 example.com%40127.0.0.1
    127.0.0.1%2523@example.com １２７.0.0.1 ①②⑦.0.0.1 127。0。0。1 ⓛocalhost 127.0.0.1%00.example.com
    private.test mixed.test loopback.test mapped.test nat64.test metadata.test
    """.split()  # noqa: SIM905
]
FORMS += [
    "https://127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_x",
    "file://127.0.0.1:{port}/etc/passwd",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}",
    "http:127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    "http:\\\\127.0.0.1:{port}\\",
    "http://example.com\\@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@example.com/",
    "http://127.0.0.1:{port}#@example.com/",
    " http://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\r\nHost: example.com/",
    "http://127.0.0.1\t:{port}/",
]
NAMES = {
    "localhost": [["127.0.0.1", "::1"]],
    "LOCALHOST": [["127.0.0.1"]],
    "sub.localhost": [["127.0.0.1"]],
    "private.test": [["10.1.2.3"]],
    "loopback.test": [["127.0.0.1"]],
    "mixed.test": [["93.184.215.14", "127.0.0.1"]],
    "mapped.test": [["::ffff:127.0.0.1"]],
    "nat64.test": [["64:ff9b::7f00:1"]],
    "metadata.test": [["169.254.169.254"]],
}


@pytest.mark.parametrize("form", FORMS)
def test_private_address_in_any_notation_is_refused(
    form: str, closed: Fetcher, server: Any, network: Any
) -> None:
    network.names |= {name: list(answers) for name, answers in NAMES.items()}
    url = form.format(port=server.server_port)
    with pytest.raises(FetchError, match=r"^(?!Port ).+\.$"):
        fetch(closed, url)
    with pytest.raises(FetchError):
        closed.post(url, b"{}", {}, LIMIT_S)
    assert network.connected == []
    assert server.seen == []


@pytest.mark.parametrize("port", [21, 22, 25, 81, 3306, 6379, 9200, 65535])
def test_ports_of_other_services_are_refused(port: int, closed: Fetcher, network: Any) -> None:
    network.names["public.test"] = [["93.184.215.14"]]
    with pytest.raises(FetchRefused, match=f"Port {port} may not be used"):
        fetch(closed, f"http://public.test:{port}/")
    assert network.connected == []


def test_connection_uses_the_checked_address(fetcher: Fetcher, network: Any) -> None:
    """DNS rebinding: the name is public at the first lookup and private at the second."""
    public = make_fetcher("127.0.0.2/32")  # stands for the public internet, which tests do not use
    network.names["rebinds.test"] = [["127.0.0.2"], ["127.0.0.1"]]
    with pytest.raises(FetchFailed, match="cannot be connected to"):
        fetch(public, "http://rebinds.test:1/")
    assert network.asked == ["rebinds.test"]
    assert network.connected == [("127.0.0.2", 1)]
    with pytest.raises(FetchRefused):
        fetch(public, "http://rebinds.test:1/")
    assert network.connected == [("127.0.0.2", 1)]


def test_host_with_one_private_address_is_refused(network: Any) -> None:
    network.names["mixed.test"] = [["127.0.0.2", "127.0.0.1"]]
    with pytest.raises(
        FetchRefused, match=r"^mixed\.test is not at a public address: .* allow its network\.$"
    ):
        fetch(make_fetcher("127.0.0.2/32"), "http://mixed.test/")
    assert network.connected == []


def test_all_addresses_are_tried(fetcher: Fetcher, server: Any, network: Any) -> None:
    server.answers["/a"] = lambda r: r.reply(body=SONG)
    network.names["several.test"] = [["127.0.0.9", "127.0.0.1"]]  # the server listens on the second only
    assert fetch(fetcher, f"http://several.test:{server.server_port}/a")[1] == SONG
    assert [address for address, _ in network.connected] == ["127.0.0.9", "127.0.0.1"]


def test_unknown_host_is_reported(fetcher: Fetcher, network: Any) -> None:
    with pytest.raises(FetchFailed, match=r"^unknown\.test cannot be found: check the URL\.$"):
        fetch(fetcher, "http://unknown.test/")


def test_dns_lookup_has_a_timeout(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    over, answered = threading.Event(), threading.Event()

    def hang(*_: Any, **__: Any) -> list[Any]:
        over.wait(LIMIT_S)
        answered.set()
        return []

    monkeypatch.setattr("socket.getaddrinfo", hang)
    # the second message is for a late start of this thread
    with pytest.raises(FetchFailed, match=r"could not be looked up in time|was too slow to answer"):
        fetch(fetcher, "http://hangs.test/", deadline_s=0.2)
    assert not answered.is_set()
    over.set()


def test_ip_address_is_not_resolved(fetcher: Fetcher, server: Any, network: Any) -> None:
    """So checks of IP addresses do not wait."""
    server.answers["/a"] = lambda r: r.reply(body=SONG)
    fetch(fetcher, server.url + "/a")
    fetcher.check(server.url)
    assert network.looked_up == [] and network.connected == [("127.0.0.1", server.server_port)]


def test_check_neither_connects_nor_resolves(closed: Fetcher, network: Any) -> None:
    network.names["public.test"] = [["127.0.0.1"]]
    for url in ("http://127.0.0.1/", "ftp://public.test/", "http://[::1]/", "http://1.1.1.1:22/", "x"):
        with pytest.raises(FetchRefused):
            closed.check(url)
    closed.check("https://public.test/hook")
    closed.check("https://1.1.1.1/hook")
    assert network.asked == [] and network.connected == []


# Downloads from a server in an allowed network


def test_file_is_downloaded_completely(fetcher: Fetcher, server: Any) -> None:
    server.answers["/music/song.mp3?key=1"] = lambda r: r.reply(body=SONG, Content_Type="audio/mpeg")
    fetched, data = fetch(fetcher, server.url + "/music/song.mp3?key=1#t=3")
    assert data == SONG
    assert (fetched.filename, fetched.content_type) == ("song.mp3", "audio/mpeg")
    assert (fetched.size, fetched.sha256) == (len(SONG), hashlib.sha256(SONG).hexdigest())


def test_request_sends_only_required_headers(
    fetcher: Fetcher, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://user:password@127.0.0.1:1")
    server.answers["/a"] = lambda r: r.reply(302, Location="/b", Set_Cookie="a=b")
    server.answers["/b"] = lambda r: r.reply(body=SONG)
    fetch(fetcher, server.url + "/a")
    for _, _, headers in server.seen:
        assert headers.keys() == {"Host", "User-Agent", "Accept", "Accept-Encoding"}
        assert headers["Host"] == f"127.0.0.1:{server.server_port}"
        assert headers["Accept-Encoding"] == "identity"


def test_name_of_the_content_disposition_is_used(fetcher: Fetcher, server: Any) -> None:
    server.answers["/a"] = lambda r: r.reply(
        body=SONG, Content_Disposition="inline; filename*=UTF-8''h%C3%A9.mp3"
    )
    assert fetch(fetcher, server.url + "/a")[0].filename == "hé.mp3"


def test_chunked_body_is_decoded(fetcher: Fetcher, server: Any) -> None:
    server.answers["/a"] = lambda r: r.raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    )
    assert fetch(fetcher, server.url + "/a")[1] == b"hello world"


def test_body_without_length_ends_with_the_connection(fetcher: Fetcher, server: Any) -> None:
    server.answers["/a"] = lambda r: r.raw(b"HTTP/1.0 200 OK\r\n\r\nhello")
    assert fetch(fetcher, server.url + "/a")[1] == b"hello"


def test_bytes_after_the_content_length_are_ignored(fetcher: Fetcher, server: Any) -> None:
    server.answers["/a"] = lambda r: r.reply(body=b"hello world", Content_Length="5")
    assert fetch(fetcher, server.url + "/a")[1] == b"hello"


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000,
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"",
    ],
)
def test_incomplete_and_invalid_responses_fail(data: bytes, fetcher: Fetcher, server: Any) -> None:
    server.answers["/a"] = lambda r: r.raw(data)
    with pytest.raises(FetchFailed, match=r"^127\.0\.0\.1 broke the connection off .*\.$"):
        fetch(fetcher, server.url + "/a")


@pytest.mark.parametrize("status", [204, 206, 304, 400, 401, 404, 500, 503])
def test_status_other_than_200_fails(status: int, fetcher: Fetcher, server: Any) -> None:
    server.answers["/a"] = lambda r: r.reply(status)
    with pytest.raises(FetchFailed, match=f"status {status}"):
        fetch(fetcher, server.url + "/a")


def test_empty_or_compressed_body_fails(fetcher: Fetcher, server: Any) -> None:
    server.answers["/empty"] = lambda r: r.reply()
    server.answers["/gzip"] = lambda r: r.reply(body=gzip.compress(SONG), Content_Encoding="gzip")
    with pytest.raises(FetchFailed, match="empty"):
        fetch(fetcher, server.url + "/empty")
    with pytest.raises(FetchFailed, match="compressed"):
        fetch(fetcher, server.url + "/gzip")


@pytest.mark.parametrize(
    "coding", ["aws-chunked", "UTF-8", "binary", "none", "identity", "aws-chunked, identity"]
)
def test_w_content_encoding_without_compression_is_ignored(
    coding: str, fetcher: Fetcher, server: Any
) -> None:
    server.answers["/a"] = lambda r: r.reply(body=SONG, Content_Encoding=coding)
    assert fetch(fetcher, server.url + "/a")[1] == SONG


@pytest.mark.parametrize("coding", ["GZIP", "br", "zstd", "aws-chunked, gzip", "deflate"])
def test_w_compressed_body_is_refused(coding: str, fetcher: Fetcher, server: Any) -> None:
    server.answers["/a"] = lambda r: r.reply(body=SONG, Content_Encoding=coding)
    with pytest.raises(FetchFailed, match="compressed"):
        fetch(fetcher, server.url + "/a")


def test_file_over_the_limit_is_refused_by_its_content_length(fetcher: Fetcher, server: Any) -> None:
    server.answers["/a"] = lambda r: r.reply(body=b"x" * 10, Content_Length="1001")
    into = io.BytesIO()
    with pytest.raises(FetchRefused, match=r"larger than 1000 bytes"):
        fetcher.download(server.url + "/a", into, max_bytes=1000, deadline_s=LIMIT_S)
    assert into.getvalue() == b""


def test_endless_body_is_aborted_at_the_limit(fetcher: Fetcher, server: Any) -> None:
    def endless(reply: Any) -> None:
        reply.raw(b"HTTP/1.1 200 OK\r\n\r\n")
        while not server.stop.is_set():
            reply.raw(SONG)

    server.answers["/a"] = endless
    into = io.BytesIO()
    with pytest.raises(FetchRefused, match="larger than"):
        fetcher.download(server.url + "/a", into, max_bytes=1_000_000, deadline_s=LIMIT_S)
    assert len(into.getvalue()) <= 1_000_000


def test_file_of_exactly_the_limit_is_accepted(fetcher: Fetcher, server: Any) -> None:
    server.answers["/a"] = lambda r: r.reply(body=SONG)
    assert fetch(fetcher, server.url + "/a", max_bytes=len(SONG))[1] == SONG


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_slow_response_is_aborted_at_the_deadline(start: bytes, fetcher: Fetcher, server: Any) -> None:
    def drip(reply: Any) -> None:
        reply.raw(start)
        while not server.stop.wait(0.05):
            reply.raw(b"H")

    server.answers["/a"] = drip
    began = time.monotonic()
    with pytest.raises(FetchFailed, match=r"^127\.0\.0\.1 was too slow to answer: try again later\.$"):
        fetch(fetcher, server.url + "/a", deadline_s=0.5)
    assert 0.4 < time.monotonic() - began < LIMIT_S


def test_endless_100_continue_is_aborted_at_the_deadline(fetcher: Fetcher, server: Any) -> None:
    def stall(reply: Any) -> None:
        while not server.stop.wait(0.01):
            reply.raw(b"HTTP/1.1 100 Continue\r\n\r\n")

    server.answers["/a"] = stall
    with pytest.raises(FetchFailed):
        fetch(fetcher, server.url + "/a", deadline_s=0.5)


def test_full_disk_is_not_a_fetch_error(fetcher: Fetcher, server: Any) -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    server.answers["/a"] = lambda r: r.reply(body=SONG)
    with pytest.raises(OSError, match="No space left"):
        fetcher.download(server.url + "/a", Full(), max_bytes=1 << 20, deadline_s=LIMIT_S)


def test_tls_verifies_the_host_name(fetcher: Fetcher, server: Any) -> None:
    """A server without TLS, or without a certificate for the name, is refused."""
    server.answers["/a"] = lambda r: r.reply(body=SONG)
    with pytest.raises(FetchFailed, match="certificate"):
        fetch(fetcher, server.url.replace("http:", "https:") + "/a")
    assert fetcher._tls.check_hostname and fetcher._tls.verify_mode is ssl.CERT_REQUIRED


# Redirects


def chain(server: Any, length: int, status: int = 302) -> str:
    for hop in range(length):
        server.answers[f"/{hop}"] = lambda r, hop=hop: r.reply(status, Location=f"/{hop + 1}")
    server.answers[f"/{length}"] = lambda r: r.reply(body=SONG)
    return str(server.url) + "/0"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_three_redirects_are_followed(status: int, fetcher: Fetcher, server: Any) -> None:
    fetched, data = fetch(fetcher, chain(server, 3, status))
    assert data == SONG
    assert fetched.filename == "3"


def test_fourth_redirect_is_refused(fetcher: Fetcher, server: Any) -> None:
    with pytest.raises(FetchFailed, match="more than 3 times"):
        fetch(fetcher, chain(server, 4))
    assert "/4" not in [path for _, path, _ in server.seen]


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("http://10.0.0.1/", FetchRefused),
        ("http://[::1]:80/", FetchRefused),
        ("http://169.254.169.254/latest/meta-data/", FetchRefused),
        ("http://2130706433/", FetchRefused),
        ("//private.test/", FetchRefused),
        ("http://user:password@127.0.0.1/", FetchRefused),
        ("file:///etc/passwd", FetchRefused),
        ("ftp://127.0.0.1/", FetchRefused),
        ("http://a b/", FetchRefused),
        ("http://unknown.test/", FetchFailed),
        ("", FetchFailed),
    ],
)
def test_redirect_is_checked_like_the_first_url(
    location: str, error: type[FetchError], fetcher: Fetcher, server: Any, network: Any
) -> None:
    network.names["private.test"] = [["192.168.1.1"]]
    server.answers["/a"] = lambda r: r.reply(302, Location=location)
    with pytest.raises(error):
        fetch(fetcher, server.url + "/a")
    assert {address for address, _ in network.connected} == {"127.0.0.1"}
    assert len(server.seen) == 1


def test_deadline_covers_all_redirects(fetcher: Fetcher, server: Any) -> None:
    def later(reply: Any) -> None:
        time.sleep(0.2)
        reply.reply(302, Location="/a")

    server.answers["/a"] = later
    with pytest.raises(FetchFailed, match="too slow"):
        fetch(fetcher, server.url + "/a", deadline_s=0.5)


# Posts


def test_post_sends_the_body_unchanged(fetcher: Fetcher, server: Any) -> None:
    bodies: list[bytes] = []

    def receive(reply: Any) -> None:
        bodies.append(reply.rfile.read(int(reply.headers["Content-Length"])))
        reply.reply(202, b"\xff thanks", X_Answer="1")

    server.answers["/hook"] = receive
    result = fetcher.post(
        server.url + "/hook", b'{"a":"\xc3\xa4"}', {"Content-Type": "application/json"}, LIMIT_S
    )
    assert bodies == [b'{"a":"\xc3\xa4"}']
    assert server.seen[0][2]["Content-Type"] == "application/json"
    assert (result.status, result.headers["x-answer"], result.excerpt) == (202, "1", "\ufffd thanks")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_post_does_not_follow_redirects(status: int, fetcher: Fetcher, server: Any) -> None:
    server.answers["/hook"] = lambda r: r.reply(status, Location="/other")
    server.answers["/other"] = lambda r: r.reply()
    assert fetcher.post(server.url + "/hook", b"{}", {}, LIMIT_S).status == status
    assert len(server.seen) == 1


def test_post_reads_at_most_one_kilobyte(fetcher: Fetcher, server: Any) -> None:
    def endless(reply: Any) -> None:
        reply.raw(b"HTTP/1.1 200 OK\r\n\r\n")
        while not server.stop.is_set():
            reply.raw(b"a")

    server.answers["/hook"] = endless
    result = fetcher.post(server.url + "/hook", b"{}", {}, LIMIT_S)
    assert (result.status, result.excerpt) == (200, "a" * 1024)


def test_post_reads_a_slow_body_until_its_deadline(
    fetcher: Fetcher, server: Any, until_the_body: UntilTheBody
) -> None:
    def drip(reply: Any) -> None:
        reply.raw(b"HTTP/1.1 200 OK\r\n\r\n")
        while not server.stop.wait(0.05):
            reply.raw(b"a")

    server.answers["/hook"] = drip
    until_the_body(0.5)
    began = time.monotonic()
    result = fetcher.post(server.url + "/hook", b"{}", {}, LIMIT_S)
    assert result.status == 200 and set(result.excerpt) <= {"a"} and len(result.excerpt) < 1024
    assert time.monotonic() - began < LIMIT_S


def test_post_to_a_silent_server_times_out(fetcher: Fetcher, server: Any) -> None:
    server.answers["/hook"] = lambda r: server.stop.wait(LIMIT_S)
    with pytest.raises(FetchFailed, match="too slow"):
        fetcher.post(server.url + "/hook", b"{}", {}, 0.3)
