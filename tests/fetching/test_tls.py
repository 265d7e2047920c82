"""HTTPS to a checked address, with a certificate for the host name of the URL."""

import io
import ssl
from pathlib import Path
from typing import Any

import pytest

from stemsplitter.fetching import Fetcher, FetchFailed
from stemsplitter.settings import Settings
from tests.certificates import write_certificate


@pytest.fixture
def tls_server(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The server with a trusted certificate for ``songs.test``."""
    certificate = write_certificate(tmp_path, "songs.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.answers["/a.mp3"] = lambda r: r.reply(body=b"a song")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return server


def test_certificate_is_verified_against_the_host_name(tls_server: Any, network: Any) -> None:
    fetcher = Fetcher(Settings(allowed_networks="127.0.0.0/8"))
    network.names |= {"songs.test": [["127.0.0.1"]], "other.test": [["127.0.0.1"]]}
    into = io.BytesIO()
    fetcher.download(f"https://songs.test:{tls_server.server_port}/a.mp3", into, max_bytes=100, deadline_s=60)
    assert into.getvalue() == b"a song"
    assert tls_server.seen[0][2]["Host"] == f"songs.test:{tls_server.server_port}"
    for host in ("other.test", "127.0.0.1"):
        with pytest.raises(FetchFailed, match="certificate is valid"):
            url = f"https://{host}:{tls_server.server_port}/a.mp3"
            fetcher.download(url, io.BytesIO(), max_bytes=100, deadline_s=60)
    assert len(tls_server.seen) == 1


def test_untrusted_certificate_is_refused(
    tls_server: Any, network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    fetcher = Fetcher(Settings(allowed_networks="127.0.0.0/8"))
    network.names["songs.test"] = [["127.0.0.1"]]
    with pytest.raises(FetchFailed, match="certificate is valid"):
        url = f"https://songs.test:{tls_server.server_port}/a.mp3"
        fetcher.download(url, io.BytesIO(), max_bytes=100, deadline_s=60)
    assert tls_server.seen == []
