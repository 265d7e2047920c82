"""The live server does what its description says, for all that the description allows and forbids."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .server import Server
from .songs import encode, sung

HERE = Path(__file__).parent
EXAMPLES = 40  # of each operation and kind
LIMIT_S = 280


@pytest.fixture(scope="module")
def short_song(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a song of a fifth of a second, to which all posts are welcome too."""
    content = encode(
        tmp_path_factory.mktemp("short") / "short.flac", sung(8_820), 44_100, "flac"
    ).read_bytes()

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(content)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer(b"")

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/short.flac"
        listening.shutdown()


@pytest.mark.timeout(LIMIT_S + 100)
def test_schemathesis_finds_nothing(
    make_server: Callable[..., Server], tmp_path: Path, short_song: str
) -> None:
    """Examples, edge cases, random calls and sequences of calls, with every check that there is, and the envelope."""
    server = make_server()
    server.start()
    try:
        key = server.new_key("schemathesis@example.org")
        done = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"),
                f"--config-file={HERE / 'schemathesis.toml'}",
                "run",
                f"{server.url}/openapi.json",
                "--header",
                f"Authorization: Bearer {key}",
                "--checks=all",
                f"--max-examples={EXAMPLES}",
                "--phases=examples,coverage,fuzzing,stateful",
                "--continue-on-failure",
                "--request-timeout=60",
                "--output-truncate=true",
                "--seed=1",
            ],
            cwd=tmp_path,
            env=os.environ
            | {
                "SCHEMATHESIS_HOOKS": "tests.acceptance.schemathesis_hooks",
                "SCHEMATHESIS_SONG": short_song,
                "PYTHONPATH": str(HERE.parents[1]),
                "NO_COLOR": "1",
            },
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    finally:
        server.stop()
    shown = "\n".join(line[:300] for line in done.stdout.splitlines())
    assert done.returncode == 0, shown + done.stderr
    assert re.search(r"^\s*(\d+) generated, \1 passed", done.stdout, re.MULTILINE), shown
    assert '"level": "error"' not in server.log.read_text(), server.log.read_text()[-5000:]
