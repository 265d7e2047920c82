"""The image: nobody's root, with the port, the folders and the check that everything else counts on."""

import re
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

from stemsplitter.settings import Settings

from .settings import KNOWN, ROOT, ours

LINES = DockerfileParser(str(ROOT / "Dockerfile"), cache_content=True).structure
LAST = max(number for number, line in enumerate(LINES) if line["instruction"] == "FROM")
VARIABLE = re.compile(r"STEMSPLITTER_[A-Z0-9_]+\b")


def value(instruction: str) -> str:
    """What an instruction of the last stage says."""
    (found,) = [line["value"] for line in LINES[LAST:] if line["instruction"] == instruction]
    return str(found)


def test_the_variables_are_settings() -> None:
    variables = ours(dict(pair.split("=", 1) for pair in value("ENV").split()))
    assert variables["STEMSPLITTER_DATA_DIR"] == value("VOLUME")
    # a volume that is mounted for the models must find a folder of the user's
    assert any(f"{variables['STEMSPLITTER_CACHE_DIR']} " in f"{line['value']} " for line in LINES[LAST:])


def test_port_and_check_are_the_servers() -> None:
    port = str(Settings.model_fields["port"].default)
    assert value("EXPOSE") == port
    assert f"http://127.0.0.1:{port}/healthz" in value("HEALTHCHECK")


def test_nobody_is_root_and_signals_arrive() -> None:
    assert int(value("USER")) >= 1000
    assert value("ENTRYPOINT") == '["stemsplitter"]' and value("STOPSIGNAL") == "SIGTERM"


def test_images_have_versions() -> None:
    images = [line["value"].split()[0] for line in LINES if line["instruction"] == "FROM"]
    assert images and all(re.fullmatch(r"[a-z]+:\d[\w.-]+", image) for image in images)


@pytest.mark.parametrize(
    "path",
    [
        ROOT / "Dockerfile",
        ROOT / "compose.yaml",
        *(path for path in (ROOT / "deploy").rglob("*") if path.is_file() and "secrets" not in path.parts),
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_every_variable_named_anywhere_is_one(path: Path) -> None:
    assert set(VARIABLE.findall(path.read_text())) <= KNOWN


def test_torch_is_the_version_that_is_tested() -> None:
    versions = [
        set(re.findall(r"torch==[\d.]+", (ROOT / name).read_text())) for name in ("Dockerfile", "Makefile")
    ]
    assert versions[0] == versions[1] and len(versions[0]) == 1
