"""Drivers of the SDKs, one process each."""

import json
import platform
import queue
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

SDKS = Path(__file__).parents[1]
BUILD = SDKS / "build"
LIMIT_S = 60
BUILD_S = 600


class MissingToolchain(Exception):
    """The toolchain of a language is not installed."""


def tool(name: str, package: str) -> str:
    """Return the path of a program. Raises MissingToolchain."""
    own = SDKS.parent / ".venv-sdks" / "bin" / name
    if own.exists():
        return str(own)
    if found := shutil.which(name):
        return found
    raise MissingToolchain(f"{name} is not installed: run `make test-sdks`, or install {package}.")


def build(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=BUILD_S)
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout}{done.stderr}"


def _python() -> list[str]:
    return [sys.executable, str(SDKS / "python" / "driver.py")]


def _node() -> list[str]:
    return [tool("node", "nodejs"), str(SDKS / "node" / "driver.mjs")]


def _go() -> list[str]:
    program = BUILD / "go" / "driver"
    build([tool("go", "Go 1.24 or later"), "build", "-o", str(program), "./driver"], SDKS / "go")
    return [str(program)]


def _php() -> list[str]:
    return [tool("php", "php-cli and php-curl"), str(SDKS / "php" / "driver.php")]


def _lua() -> list[str]:
    return [tool("lua5.4", "lua5.4, lua-socket, lua-sec and lua-dkjson"), str(SDKS / "lua" / "driver.lua")]


def _java() -> list[str]:
    classes, sources = BUILD / "java", (SDKS / "java").rglob("*.java")
    files = [str(path) for path in sources if "test" not in path.parts]
    javac, java = tool("javac", "default-jdk-headless"), tool("java", "default-jdk-headless")
    build([javac, "-Xlint:all", "-Werror", "--release", "17", "-d", str(classes), *files], SDKS)
    # a small heap: a JVM lets garbage grow as far as it may. No retries by the JDK: the suite counts those of the SDK
    options = [
        "-Xmx40m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Djdk.httpclient.redirects.retrylimit=1",
    ]
    return [java, *options, "-cp", str(classes), "io.github.stemsplitter.Driver"]


def swift(package: Path, product: str, scratch: Path) -> list[str]:
    """Build a program of a Swift package. Returns the command that runs it."""
    chroot = SDKS.parent / ".swift-chroot"
    if not (shutil.which("swift") or chroot.exists()):
        raise MissingToolchain("Swift is not installed: run `make test-sdk-swift`, or install Swift 6.")
    paths = ["--package-path", str(package), "--scratch-path", str(scratch)]
    relative = [each.removeprefix(f"{SDKS.parent}/") for each in paths]
    build([str(SDKS.parent / "scripts" / "swift"), "build", "--product", product, *relative], SDKS.parent)
    program = str(scratch / "debug" / product)
    if shutil.which("swift"):
        return [program]
    # with the libraries of the chroot, and the files of this system
    libraries = [f"usr/lib/{platform.machine()}-linux-gnu", "usr/libexec/swift/lib/swift/linux"]
    (loader,) = chroot.glob("usr/lib*/ld-linux-*.so.?")
    return [str(loader), "--library-path", ":".join(str(chroot / each) for each in libraries), program]


def _swift() -> list[str]:
    return swift(SDKS / "swift", "Driver", BUILD / "swift")


COMMANDS = {
    "python": _python,
    "node": _node,
    "go": _go,
    "php": _php,
    "lua": _lua,
    "java": _java,
    "swift": _swift,
}
# Swift's toolchain is 3 GB, and installing and building takes minutes: `make test-sdk-swift`
DEFAULT = [language for language in COMMANDS if language != "swift"]


class Driver:
    """A running driver. ``with`` stops it."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._process = subprocess.Popen(
            COMMANDS[language](), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Driver":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(10)  # it ends with the output
        self._process.stdout.close()

    def call(self, op: str, **fields: Any) -> dict[str, Any]:
        """Run a command. Returns the driver's result."""
        assert self._process.stdin
        limit = LIMIT_S + fields.get("timeout", 0)
        self._process.stdin.write(json.dumps({"op": op, **fields}, ensure_ascii=False) + "\n")
        self._process.stdin.flush()
        try:
            line = self._lines.get(timeout=limit)
        except queue.Empty:
            raise AssertionError(f"the {self.language} driver did not answer in {limit} s") from None
        assert line, f"the {self.language} driver ended"
        result: dict[str, Any] = json.loads(line)
        return result

    def ok(self, op: str, **fields: Any) -> Any:
        """Run a command that succeeds. Returns its value."""
        result = self.call(op, **fields)
        assert "ok" in result, result
        return result["ok"]

    def peak_bytes(self) -> int:
        """Largest resident memory of the process so far."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")
