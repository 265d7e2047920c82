"""The description of the API is clean, and generators and Postman make working clients of it (rows 3 and 10)."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ..loopback import Handler, listening
from .server import Server

pytestmark = pytest.mark.sqlite

CLIENTS = Path(__file__).with_name("clients")
MODULES = CLIENTS / "node_modules"
PROGRAMS = Path(__file__).parents[2] / ".venv-clients" / "bin"
SECONDS = 2
FOUR = ["vocals", "drums", "bass", "other"]
LIMIT_S = 120


def run(program: Path | str, *arguments: Any, cwd: Path = CLIENTS, **variables: str) -> str:
    """Run a program of the clients. Returns its output; a failure fails the test."""
    if not MODULES.is_dir() or not PROGRAMS.is_dir():
        pytest.fail("The generators are not installed: run `make test`, which installs them.", pytrace=False)
    quiet = {"NO_COLOR": "1", "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    path = {"PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [program, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | quiet | path | variables,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def node(name: str, *arguments: Any, **options: Any) -> str:
    return run(MODULES / ".bin" / name, *arguments, **options)


@pytest.fixture(scope="module")
def description(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("description") / "openapi.json"
    path.write_bytes(httpx2.get(f"{server.url}/openapi.json").content)
    return path


@pytest.fixture
def operations(description: Path) -> set[str]:
    paths = json.loads(description.read_text())["paths"]
    return {operation["operationId"] for methods in paths.values() for operation in methods.values()}


def test_row_3_linter_reports_nothing(description: Path) -> None:
    found = json.loads(node("redocly", "lint", "--format=json", description))
    assert found["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}, found["problems"]


def test_row_3_generated_python_client_has_every_operation_and_works(
    description: Path, operations: set[str], server: Server, key: str, tmp_path: Path
) -> None:
    config = CLIENTS / "openapi-python-client.yaml"
    package = tmp_path / "stem_splitter"
    to = ("--meta", "none", "--output-path", package, "--config", config)
    run("openapi-python-client", "generate", "--fail-on-warning", "--path", description, *to)
    snake = {re.sub("(?<=[a-z])[A-Z]", lambda found: f"_{found[0]}", name).lower() for name in operations}
    assert {path.stem for path in package.glob("api/*/*.py")} - {"__init__"} == snake
    drive = (CLIENTS / "drive.py", server.url, key, SECONDS)
    told = json.loads(run(PROGRAMS / "python", *drive, PYTHONPATH=str(tmp_path)))
    assert told.pop("offset") == told.pop("songBytes")
    check(told)


def test_row_3_generated_typescript_client_has_every_operation_and_works(
    description: Path, operations: set[str], server: Server, key: str, tmp_path: Path
) -> None:
    (tmp_path / "node_modules").symlink_to(MODULES)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for name in ("drive.mts", "tsconfig.json"):
        (tmp_path / name).write_bytes((CLIENTS / name).read_bytes())
    types = tmp_path / "api.d.ts"
    node("openapi-typescript", description, "--output", types)
    for name in operations:
        assert re.search(rf'operations\["{name}"\]', types.read_text()), name
    node("tsc", "--project", tmp_path)
    check(json.loads(run("node", tmp_path / "drive.mjs", server.url, key, SECONDS)))


def check(told: dict[str, Any]) -> None:
    """Check what a generated client reports about its split."""
    assert told.pop("archiveBytes") > told.pop("stemBytes") > SECONDS * 8_000
    assert told == {"status": "succeeded", "stems": FOUR, "refused": "NOT_FOUND", "spent": SECONDS}


def test_row_10_run_of_the_collection_splits_a_song_and_keeps_the_secret(
    operations: set[str], server: Server, key: str, tmp_path: Path
) -> None:
    class Receiver(Handler):
        def do_POST(self) -> None:
            self.body()
            self.reply()

    def secrets() -> Any:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx2.get(f"{server.url}/v1/webhooks/secrets", headers=headers).json()["data"]["items"]

    before = secrets()
    report = tmp_path / "report.json"
    with listening(Receiver) as url:
        node(
            "newman",
            "run",
            f"{server.url}/postman.json",
            *("--env-var", f"apiKey={key}", "--env-var", f"webhookUrl={url}/hook", "--env-var", "tools=yes"),
            *(
                "--reporters",
                "cli,json",
                "--reporter-cli-no-success-assertions",
                "--reporter-json-export",
                report,
            ),
        )
    ran = json.loads(report.read_text())["run"]
    assert ran["failures"] == []
    sent = [each for each in ran["executions"] if "response" in each]
    # neither the alternatives to sending the file in one request, nor the rotation
    assert len({each["item"]["id"] for each in sent}) == len(operations) + 1 - 3
    assert not [each for each in sent if "secrets/rotate" in "/".join(each["request"]["url"]["path"])]
    assert {each["item"]["name"] for each in sent if not each.get("assertions")} == set()
    assert secrets() == before
