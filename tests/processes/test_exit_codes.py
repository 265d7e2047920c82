"""Exit codes of the processes of a server, as systemd sees them (row 12)."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.acceptance.processes import free_port

LIMIT_S = 90


@pytest.mark.parametrize(
    ("command", "ready"), [("api", "Uvicorn running on"), ("worker", "started"), ("serve", "is running on")]
)
def test_row_12_process_exits_with_0_on_sigterm(command: str, ready: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    environment = os.environ | {
        "STEMSPLITTER_DATA_DIR": str(tmp_path / "data"),
        "STEMSPLITTER_CACHE_DIR": str(tmp_path / "cache"),
        "STEMSPLITTER_OFFLINE": "1",
        "STEMSPLITTER_PORT": str(free_port()),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "stemsplitter", command], env=environment, stdout=output, stderr=output
        )
        with process:
            try:
                deadline = time.monotonic() + LIMIT_S
                while ready not in log.read_text() and time.monotonic() < deadline:
                    time.sleep(0.1)
                assert ready in log.read_text()
                process.send_signal(signal.SIGTERM)
                assert process.wait(LIMIT_S) == 0, log.read_text()
            finally:
                process.kill()
