"""Importing the package starts no process and opens no connection."""

import subprocess
import sys

import pytest

import stemsplitter

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


def test_importing_the_package_imports_neither_numpy_nor_openvino() -> None:
    heavy = "{'numpy', 'openvino', 'av', 'httpx', 'sqlalchemy', 'fastapi'}"
    code = f"import stemsplitter, sys; print(sorted({heavy} & set(sys.modules)), stemsplitter.__version__)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"[] {stemsplitter.__version__}\n"


def test_the_library_is_importable_from_the_package() -> None:
    from stemsplitter import Separator, library

    assert Separator is library.Separator
    assert set(stemsplitter.__all__) - {"__version__"} < set(library.__all__)
    assert all(hasattr(library, name) for name in library.__all__) and "Separator" in dir(stemsplitter)
    assert library.separate_library.__module__ == "stemsplitter.library.cluster_runs"
    with pytest.raises(AttributeError, match="has no attribute 'Splitter'"):
        _ = stemsplitter.Splitter
