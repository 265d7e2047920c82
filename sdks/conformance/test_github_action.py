"""The step of the GitHub Action, as a runner starts it, against a live server."""

import json
import os
import re
import secrets
import subprocess
from pathlib import Path

import pytest
import yaml
from stemsplitter_client import StemSplitter

from tests.acceptance.server import Server
from tests.acceptance.songs import encode, sung

ACTION = Path(__file__).parents[2] / "integrations" / "github-action"
LIMIT_S = 120


class Step:
    """The step with a key of the server. A call runs it with inputs, and returns exit status, outputs and log."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._folder = folder
        self.key = server.new_key(f"{secrets.token_hex(8)}@example.org")
        self._common = {"api-key": self.key, "api-base-url": server.url}

    def __call__(self, **inputs: str) -> tuple[int, dict[str, str], str]:
        action = yaml.safe_load((ACTION / "action.yml").read_text())
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        assert given.keys() <= action["inputs"].keys()
        values = {name: str(entry.get("default", "")) for name, entry in action["inputs"].items()}
        values |= self._common | given
        (step,) = action["runs"]["steps"]
        environment = {
            name: re.sub(
                r"\$\{\{ (?:inputs\.([a-z-]+)|github\.action_path) \}\}",
                lambda found: values[found[1]] if found[1] else str(ACTION),
                text,
            )
            for name, text in step["env"].items()
        }
        output = self._folder / "output"
        output.write_text("")
        runner = {"GITHUB_ACTION_PATH": str(ACTION), "GITHUB_OUTPUT": str(output)}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self._folder,
            env=os.environ | environment | runner,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        found = re.findall(r"^([a-z-]+)<<(end_\w+)\n(.*?)\n\2$", output.read_text(), re.DOTALL | re.MULTILINE)
        outputs = {name: text for name, _, text in found}
        assert outputs.keys() <= action["outputs"].keys()
        return done.returncode, outputs, done.stdout


@pytest.fixture
def step(server: Server, tmp_path: Path) -> Step:
    return Step(server, tmp_path)


def test_action_splits_a_file_and_downloads(step: Step, tmp_path: Path) -> None:
    encode(tmp_path / "Lied é.wav", sung(44_100), 44_100, "pcm_s16le")
    status, before, _ = step(operation="get-credits")
    assert status == 0
    status, outputs, log = step(file="Lied é.wav", stem_model="4s", output_format="flac")
    assert status == 0, log
    assert outputs["status"] == "succeeded"
    split = json.loads(outputs["result-json"])
    assert (split["id"], split["filename"]) == (outputs["split-id"], "Lied é.wav")
    files = json.loads(outputs["files-json"])
    assert files == {name: f"stems/{name}.flac" for name in ("vocals", "drums", "bass", "other")}
    assert all((tmp_path / path).stat().st_size > 1000 for path in files.values())

    status, again, _ = step(operation="getSplit", split_id=split["id"], folder="again")
    assert (status, again["status"]) == (0, "succeeded")
    assert (tmp_path / "again" / "vocals.flac").read_bytes() == (
        tmp_path / "stems" / "vocals.flac"
    ).read_bytes()
    status, after, _ = step(operation="get-credits")
    assert int(before["credits-balance"]) - int(after["credits-balance"]) == split["creditsUsed"]


def test_action_fails_with_the_split(step: Step, server: Server, tmp_path: Path) -> None:
    encode(tmp_path / "song.wav", sung(60 * 8_000, 1, 8_000), 8_000, "pcm_s16le")
    status, outputs, _ = step(file="song.wav", wait="false", stems="vocals, no_vocals", idempotency_key="key")
    assert (status, outputs["status"]) == (0, "queued")
    StemSplitter(step.key, base_url=server.url).splits.cancel(outputs["split-id"])
    status, outputs, log = step(operation="get-split", split_id=outputs["split-id"])
    assert (status, outputs["status"]) == (1, "failed")
    assert "::error title=Stem Splitter::The split split_" in log
    assert "files-json" not in outputs


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "Give one of the inputs file, audio-url, link."),
        ({"file": "none.mp3"}, "The file none.mp3 does not exist"),
        ({"operation": "delete"}, "There is no operation delete"),
        ({"operation": "get-split"}, "needs the input split-id"),
        ({"file": "a", "timeout_seconds": "soon"}, "timeout-seconds is not a number"),
        ({"operation": "get-split", "split_id": "split_0"}, "There is no split"),
    ],
)
def test_action_tells_what_is_wrong(step: Step, inputs: dict[str, str], message: str) -> None:
    status, _, log = step(**inputs)
    assert status == 1
    assert message in log
    assert log.startswith("::error title=Stem Splitter::")
    assert len(log.splitlines()) == 1
