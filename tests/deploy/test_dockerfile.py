"""The Docker image: user, port, folders and health check."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

from stemsplitter.settings import Settings

from .settings import KNOWN, ROOT, ours

LINES = DockerfileParser(str(ROOT / "Dockerfile"), cache_content=True).structure
LAST = max(number for number, line in enumerate(LINES) if line["instruction"] == "FROM")
VARIABLE = re.compile(r"STEMSPLITTER_[A-Z0-9_]+\b")


def value(instruction: str) -> str:
    """Return the value of an instruction of the last stage."""
    (found,) = [line["value"] for line in LINES[LAST:] if line["instruction"] == instruction]
    return str(found)


def test_row_20_copied_sources_exist_and_its_command_is_that_of_the_manual() -> None:
    copied = [line["value"].split()[:-1] for line in LINES if line["instruction"] == "COPY"]
    sources = {name for names in copied if not names[0].startswith("--from") for name in names}
    assert all((ROOT / name).exists() for name in sources)
    sent = (ROOT / ".dockerignore").read_text().split()
    assert sent[0] == "*" and {f"!{name.removeprefix('./')}" for name in sources} <= set(sent)
    assert value("CMD") == '["serve"]'


def test_row_20_what_the_package_is_built_from_is_copied() -> None:
    copied = {
        word.removeprefix("./")
        for line in LINES
        if line["instruction"] == "COPY"
        for word in line["value"].split()
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {project["readme"], *project["license-files"]}
    links = [path for path in (ROOT / "src").rglob("*") if path.is_symlink()]
    needed |= {str(path.resolve().relative_to(ROOT)) for path in links}
    assert links and {name.split("/")[0] for name in needed} <= copied


@pytest.mark.image
@pytest.mark.timeout(3600)
@pytest.mark.skipif(
    not (shutil.which("buildah") and shutil.which("mmdebstrap")), reason="needs buildah and mmdebstrap"
)
def test_row_20_server_in_the_image_becomes_ready() -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "test_image"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    assert "The server in the image is ready" in done.stdout


def test_variables_are_settings() -> None:
    variables = ours(dict(pair.split("=", 1) for pair in value("ENV").split()))
    assert variables["STEMSPLITTER_DATA_DIR"] == value("VOLUME")
    # a volume for the models must be mounted on a folder that the user owns
    assert any(f"{variables['STEMSPLITTER_CACHE_DIR']} " in f"{line['value']} " for line in LINES[LAST:])


def test_port_and_health_check_match_settings() -> None:
    port = str(Settings.model_fields["port"].default)
    assert value("EXPOSE") == port
    assert f"http://127.0.0.1:{port}/healthz" in value("HEALTHCHECK")


def test_user_is_not_root_and_process_receives_signals() -> None:
    assert int(value("USER")) >= 1000
    assert value("ENTRYPOINT") == '["stemsplitter"]' and value("STOPSIGNAL") == "SIGTERM"


def test_base_images_are_pinned() -> None:
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
def test_every_mentioned_variable_exists(path: Path) -> None:
    assert set(VARIABLE.findall(path.read_text())) <= KNOWN


def test_torch_version_is_tested() -> None:
    versions = [
        set(re.findall(r"torch==[\d.]+", (ROOT / name).read_text())) for name in ("Dockerfile", "Makefile")
    ]
    assert versions[0] == versions[1] and len(versions[0]) == 1
