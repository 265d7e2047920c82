"""A server on one machine: the systemd unit, its settings, and the reverse proxies (row 12)."""

import contextlib
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from stemsplitter.processes.api import GRACE_S
from stemsplitter.processes.supervisor import STOP_SECONDS
from stemsplitter.settings import Settings
from tests.acceptance.processes import free_port

from .settings import ROOT

VM = ROOT / "deploy" / "vm"
LIMIT_S = 60


def needs(tool: str) -> str:
    """Return the path of a tool; skip the test, with its name, if it is not installed."""
    path = shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{tool} is not installed")
    return path


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def unit_values() -> dict[str, str]:
    text = (VM / "stemsplitter.service").read_text()
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


def test_row_12_systemd_accepts_the_unit(tmp_path: Path) -> None:
    systemd_analyze = needs("systemd-analyze")
    unit = tmp_path / "stemsplitter.service"
    text = (VM / "stemsplitter.service").read_text()
    unit.write_text(text.replace("/opt/stemsplitter/bin/stemsplitter", sys.executable))
    done = run(systemd_analyze, "verify", unit)
    assert (done.returncode, done.stderr) == (0, "")
    done = run(systemd_analyze, "security", "--offline=true", "--threshold=50", unit)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr


def test_row_12_unit_matches_the_program() -> None:
    values = unit_values()
    assert int(values["TimeoutStopSec"]) > STOP_SECONDS > GRACE_S
    assert values["KillMode"] == "mixed"  # the supervisor stops its own processes
    settings = tomllib.loads((VM / "stemsplitter.toml").read_text())
    assert set(settings) <= set(Settings.model_fields)
    assert settings["data_dir"] == f"/var/lib/{values['StateDirectory']}"
    assert values["Environment"].split() == [
        "STEMSPLITTER_SETTINGS=/etc/stemsplitter.toml",
        f"STEMSPLITTER_CACHE_DIR=/var/cache/{values['CacheDirectory']}",
    ]
    port = Settings.model_fields["port"].default
    for name in ("Caddyfile", "nginx.conf"):
        text = (VM / name).read_text()
        assert f" 127.0.0.1:{port}" in text and settings["public_url"].removeprefix("https://") in text


def test_row_12_caddy_accepts_its_file(tmp_path: Path) -> None:
    caddy = needs("caddy")
    done = run(caddy, "validate", "--adapter", "caddyfile", "--config", VM / "Caddyfile")
    assert done.returncode == 0, done.stderr
    done = run(caddy, "adapt", "--adapter", "caddyfile", "--config", VM / "Caddyfile")
    assert done.returncode == 0 and '"formatted"' not in done.stderr
    (server,) = json.loads(done.stdout)["apps"]["http"]["servers"].values()
    handlers = json.dumps(server["routes"])
    assert '"path": ["/metrics", "/readyz"]' in handlers and '"dial": "127.0.0.1:8000"' in handlers
    assert f'"max_size": {510 * 10**6}' in handlers


class Upstream(BaseHTTPRequestHandler):
    """Answers with the headers of the request and the length of its body."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = len(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        body = json.dumps({**self.headers, "length": length}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def upstream() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def nginx(tmp_path: Path, upstream: int) -> Iterator[tuple[int, int]]:
    """Nginx with the example, on free ports and with its own certificate; yields the ports of http and https."""
    binary, openssl = needs("nginx"), needs("openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ("-subj", "/CN=stems.example.com", "-addext", "subjectAltName=IP:127.0.0.1")
    done = run(
        *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject),
        *("-keyout", key, "-out", certificate),
    )
    assert done.returncode == 0, done.stderr
    http, https = free_port(), free_port()
    text = (VM / "nginx.conf").read_text()
    for old, new in (
        ("127.0.0.1:8000;", f"127.0.0.1:{upstream};"),
        ("listen 80;", f"listen 127.0.0.1:{http};"),
        ("listen 443 ssl", f"listen 127.0.0.1:{https} ssl"),
        ("/etc/letsencrypt/live/stems.example.com/fullchain.pem", str(certificate)),
        ("/etc/letsencrypt/live/stems.example.com/privkey.pem", str(key)),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    text = re.sub(r" +listen \[::\].*\n", "", text)
    (tmp_path / "stemsplitter.conf").write_text(text)
    folders = "".join(
        f"{name}_temp_path {tmp_path / name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = tmp_path / "nginx.conf"
    main.write_text(
        f"pid {tmp_path}/pid; daemon off; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {folders} include {tmp_path}/stemsplitter.conf; }}\n"
    )
    done = run(binary, "-t", "-q", "-e", "stderr", "-c", main)
    assert (done.returncode, done.stderr) == (0, "")
    with subprocess.Popen([binary, "-e", "stderr", "-c", main], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", https), 1):
                break
            time.sleep(0.05)
        yield http, https
        process.terminate()


def test_row_12_nginx_passes_requests_as_the_server_needs(nginx: tuple[int, int], tmp_path: Path) -> None:
    http, https = nginx
    trusted = ssl.create_default_context(cafile=str(tmp_path / "certificate.pem"))
    host = {"Host": "stems.example.com"}
    with httpx.Client(verify=trusted, timeout=LIMIT_S, trust_env=False, headers=host) as client:
        moved = client.get(f"http://127.0.0.1:{http}/docs?a=b")
        assert (moved.status_code, moved.headers["Location"]) == (301, "https://stems.example.com/docs?a=b")
        url = f"https://127.0.0.1:{https}"
        seen = client.get(f"{url}/v1/credits", headers={"X-Forwarded-For": "203.0.113.9"})
        assert seen.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert seen.json()["Host"] == "stems.example.com"
        assert seen.json()["X-Forwarded-For"] == "127.0.0.1"  # not what the client sent
        codes = [client.get(url + path).status_code for path in ("/metrics", "/readyz", "/healthz")]
        assert codes == [404, 404, 200]
        assert client.post(f"{url}/upload", content=b"0" * (20 << 20)).json()["length"] == 20 << 20
    connection = HTTPSConnection("127.0.0.1", https, context=trusted, timeout=LIMIT_S)
    with contextlib.closing(connection):
        connection.putrequest("POST", "/upload")
        connection.putheader("Content-Length", str(511 << 20))
        connection.endheaders()
        assert connection.getresponse().status == 413
