"""Importing the package starts no process and opens no connection."""

import subprocess
import sys

PROGRAM = """
import sys, time
sys.addaudithook(lambda event, _: seen.append(event) if event in WATCHED else None)
WATCHED, seen = ("os.fork", "subprocess.Popen", "os.posix_spawn", "socket.connect", "socket.getaddrinfo"), []
import stemsplitter.separation.runtimes.openvino as runtime
runtime.OpenVinoRuntime()
time.sleep(0.5)
print(seen)
"""


def test_openvino_sends_no_telemetry() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"
