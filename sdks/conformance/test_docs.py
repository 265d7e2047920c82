"""The code of docs/sdks.md works: the blocks of a language are one program, which runs on a live server."""

import hashlib
import hmac
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.acceptance.server import Server
from tests.acceptance.songs import encode, sung

from .drivers import BUILD, COMMANDS, SDKS, MissingToolchain, build, swift, tool

PAGE = SDKS.parent / "docs" / "sdks.md"
LIMIT_S = 240
BLOCK = re.compile(r"^```\w+ (\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IMPORT = re.compile(r"^import .*\n", re.MULTILINE)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
BODY = '{"event":"audio.split.completed","data":{"id":"split_123"}}'
FILES = {"stems/vocals.mp3", "stems/other.mp3", "stems.zip", "karaoke.flac", "mix/mix.mp3", "lower/audio.mp3"}

# program around the blocks; `body`, `headers` and `secret` are those of a webhook that was received
PROGRAMS = {
    "python": (
        "docs.py",
        "import os\nbody, secret = os.environ['BODY'].encode(), os.environ['SECRET']\n"
        "headers = {'AIStemSplitter-Signature': os.environ['SIGNATURE']}\n{code}",
    ),
    "node": (
        "docs.mjs",
        "const { BODY: body, SECRET: secret, SIGNATURE } = process.env;\n"
        "const headers = { 'aistemsplitter-signature': SIGNATURE };\n{code}",
    ),
    "go": (
        "docs.go",
        'package main\nimport ("context"; "errors"; "fmt"; "net/http"; "os"; "time"\n'
        'stemsplitter "github.com/stemsplitter/stemsplitter-go")\n'
        "func check(err error) { if err != nil { panic(err) } }\n"
        'func main() {\nbody, secret, headers := []byte(os.Getenv("BODY")), os.Getenv("SECRET"), http.Header{}\n'
        'headers.Set("AIStemSplitter-Signature", os.Getenv("SIGNATURE"))\n{code}}',
    ),
    "php": (
        "docs.php",
        "<?php require '{sdks}/php/tests/autoload.php';\n[$body, $secret] = [getenv('BODY'), getenv('SECRET')];\n"
        "$headers = ['AIStemSplitter-Signature' => getenv('SIGNATURE')];\n{code}",
    ),
    "lua": (
        "docs.lua",
        "package.path = '{sdks}/lua/src/?.lua;{sdks}/lua/src/?/init.lua;' .. package.path\n"
        "local body, secret = os.getenv('BODY'), os.getenv('SECRET')\n"
        "local headers = { ['AIStemSplitter-Signature'] = os.getenv('SIGNATURE') }\n{code}",
    ),
    "java": (
        "Docs.java",
        "{imports}public class Docs { public static void main(String[] arguments) {\n"
        'byte[] body = System.getenv("BODY").getBytes(java.nio.charset.StandardCharsets.UTF_8);\n'
        'String secret = System.getenv("SECRET");\n'
        'var headers = Map.of("AIStemSplitter-Signature", System.getenv("SIGNATURE"));\n{code}}}',
    ),
    "swift": (
        "main.swift",
        "{imports}let given = ProcessInfo.processInfo.environment\n"
        'let (body, secret) = (Data(given["BODY"]!.utf8), given["SECRET"]!)\n'
        'let headers = ["AIStemSplitter-Signature": given["SIGNATURE"]!]\n{code}',
    ),
}


SWIFT_PACKAGE = """// swift-tools-version: 6.0
import PackageDescription
let sdk = Target.Dependency.product(name: "StemSplitter", package: "swift")
let package = Package(
    name: "Docs", platforms: [.macOS(.v12)], dependencies: [.package(path: "../../swift")],
    targets: [.executableTarget(name: "Docs", dependencies: [sdk])])
"""


def blocks() -> dict[str, list[list[tuple[str, str]]]]:
    """Return the blocks of each task: its title → language and code."""
    tasks = PAGE.read_text(encoding="utf-8").split("\n## Tasks\n")[1].split("\n## ")[0].split("\n### ")[1:]
    return {task.split("\n", 1)[0]: BLOCK.findall(task) for task in tasks}


def command_of(language: str, program: Path) -> list[str]:
    """Build a program if its language needs that. Returns the command that runs it."""
    folder = program.parent
    match language:
        case "python":
            return [sys.executable, str(program)]
        case "node":
            (folder / "node_modules" / "@stemsplitter").mkdir(parents=True)
            (folder / "node_modules" / "@stemsplitter" / "sdk").symlink_to(SDKS / "node")
            return [tool("node", "nodejs"), str(program)]
        case "go":
            module = "github.com/stemsplitter/stemsplitter-go"
            uses = f"require {module} v0.0.0\nreplace {module} => {SDKS / 'go'}\n"
            (folder / "go.mod").write_text(f"module docs\ngo 1.24\n{uses}")
            build([tool("go", "Go 1.24 or later"), "build", "-o", "docs", "."], folder)
            return [str(folder / "docs")]
        case "java":
            sources = SDKS / "java" / "src" / "main" / "java"
            javac = tool("javac", "default-jdk-headless")
            build([javac, "-d", str(folder), "-sourcepath", str(sources), str(program)], folder)
            return [tool("java", "default-jdk-headless"), "-cp", str(folder), "Docs"]
        case "swift":
            package = BUILD / "swift-docs"
            (package / "Sources" / "Docs").mkdir(parents=True, exist_ok=True)
            shutil.copy(program, package / "Sources" / "Docs" / "main.swift")
            (package / "Package.swift").write_text(SWIFT_PACKAGE)
            return swift(package, "Docs", package / ".build")
        case _:
            return [tool({"php": "php", "lua": "lua5.4"}[language], language), str(program)]


def test_every_task_has_every_language() -> None:
    for title, found in blocks().items():
        assert sorted(label.lower() for label, _ in found) == sorted(COMMANDS), title


def test_docs(language: str, server: Server, tmp_path: Path) -> None:
    code = "".join(text for task in blocks().values() for label, text in task if label.lower() == language)
    name, around = PROGRAMS[language]
    imports = ""
    if "{imports}" in around:
        imports, code = "".join(IMPORT.findall(code)), IMPORT.sub("", code)
    for field, value in {"{imports}": imports, "{sdks}": str(SDKS), "{code}": code}.items():
        around = around.replace(field, value)
    encode(tmp_path / "song.mp3", sung(88_200), 44_100, "libmp3lame")
    program = tmp_path / name
    program.write_text(around, encoding="utf-8")
    try:
        command = command_of(language, program)
    except MissingToolchain as error:
        pytest.fail(f"{language}: {error}", pytrace=False)

    now = str(int(time.time()))
    digest = hmac.new(SECRET.encode(), f"{now}.{BODY}".encode(), hashlib.sha256).hexdigest()
    ours = {
        "STEMSPLITTER_URL": server.url,
        "STEMSPLITTER_KEY": server.new_key(f"{secrets.token_hex(8)}@example.org"),
        "BODY": BODY,
        "SECRET": SECRET,
        "SIGNATURE": f"t={now},v1={digest}",
        "PYTHONPATH": str(SDKS / "python" / "src"),
    }
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | ours,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert made >= FILES
    for word in ("bytes", "split_123", "NOT_FOUND"):
        assert word in done.stdout, done.stdout
    assert "Respond" not in done.stdout
