"""A live server conforms to its OpenAPI description."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..loopback import Handler, listening
from .server import Server
from .songs import encode, sung

pytestmark = pytest.mark.sqlite

HERE = Path(__file__).parent
EXAMPLES = 12  # per operation and phase
LIMIT_S = 500


@pytest.fixture(scope="module")
def short_song(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a song of 0.2 seconds; it also accepts POST requests."""
    content = encode(
        tmp_path_factory.mktemp("short") / "short.flac", sung(8_820), 44_100, "flac"
    ).read_bytes()

    class Site(Handler):
        def do_GET(self) -> None:
            self.reply(body=content)

        def do_POST(self) -> None:
            self.body()
            self.reply()

    with listening(Site) as url:
        yield f"{url}/short.flac"


@pytest.mark.timeout(LIMIT_S + 100)
def test_server_conforms_to_its_description(
    make_server: Callable[..., Server], tmp_path: Path, short_song: str
) -> None:
    """Run examples, edge cases, random calls and sequences of calls with all checks and that of the envelope."""
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
