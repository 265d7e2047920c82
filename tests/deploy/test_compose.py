"""Compose files, as read by Docker Compose."""

import configparser
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from sqlalchemy.engine import make_url

from stemsplitter import __version__
from stemsplitter.processes import supervisor
from stemsplitter.settings import Settings

from ..buckets import environment, s3_server
from .settings import API_ENDS_S, seconds, settings_of, size, worker_ends_s

COMPOSE = Path(sys.executable).with_name("docker-compose")
URL = "https://stems.example.com"
ONCE = {"migrate", "bucket", "models"}


def read(folder: Path, *files: str) -> dict[str, Any]:
    options = [option for file in files for option in ("--file", str(folder / file))]
    done = subprocess.run(
        [COMPOSE, *options, "config", "--format", "json"],
        env={"PATH": os.environ["PATH"], "STEMSPLITTER_PUBLIC_URL": URL, "HOME": str(folder)},
        capture_output=True,
        timeout=60,
        check=True,
    )
    services: dict[str, Any] = json.loads(done.stdout)["services"]
    return services


@pytest.fixture(scope="module")
def fleet(deploy: Path) -> dict[str, Any]:
    return read(deploy, "compose.fleet.yaml", "compose.gpu.yaml")


@pytest.fixture(params=["api", "worker", "gpu-worker", "migrate", "models", "bucket"])
def process(request: pytest.FixtureRequest, fleet: dict[str, Any]) -> dict[str, Any]:
    """Service that runs the project's image."""
    service: dict[str, Any] = fleet[request.param]
    return service


def caddyfile(deploy: Path) -> str:
    """Read the Caddyfile without comments."""
    return re.sub(r"#.*", "", (deploy / "Caddyfile").read_text())


def test_images_are_pinned(fleet: dict[str, Any]) -> None:
    for name, service in fleet.items():
        tag = service["image"].partition(":")[2]
        assert re.match(r"\d", tag), name
        if "build" in service:
            assert tag in (__version__, f"{__version__}-gpu"), name


def test_settings_are_valid(process: dict[str, Any], deploy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(process["environment"], monkeypatch, deploy / "secrets" / "settings.toml")
    database = make_url(settings.database)
    assert (database.drivername, database.host) == ("postgresql+psycopg", "database")
    assert database.password == (deploy / "secrets" / "database_password").read_text()
    assert len(settings.secret_key) == 64 and settings.base_url == URL
    assert settings.storage_public_url == settings.base_url and settings.storage_addressing == "path"
    assert urlsplit(process["environment"]["AWS_ENDPOINT_URL"]).netloc == "store:8333"
    for name in ("STEMSPLITTER_SETTINGS", "AWS_SHARED_CREDENTIALS_FILE"):
        assert process["environment"][name] in {secret["target"] for secret in process["secrets"]}


def test_containers_have_minimal_privileges(process: dict[str, Any]) -> None:
    assert process["read_only"] and process["cap_drop"] == ["ALL"]
    assert process["security_opt"] == ["no-new-privileges:true"] and "ports" not in process


def test_services_have_limits_and_health_checks(fleet: dict[str, Any]) -> None:
    for name in fleet.keys() - ONCE:
        limits = fleet[name]["deploy"]["resources"]["limits"]
        assert limits["cpus"] and limits["memory"], name
        # the health check of the image is for the API
        assert name == "api" or fleet[name]["healthcheck"], name
    for name in ("worker", *ONCE):
        assert fleet[name]["healthcheck"] == {"disable": True}


def test_services_start_after_one_time_jobs(fleet: dict[str, Any]) -> None:
    for name in ("api", "worker", "gpu-worker"):
        waits = {key: value["condition"] for key, value in fleet[name]["depends_on"].items()}
        assert waits == dict.fromkeys(ONCE, "service_completed_successfully")


def test_stop_grace_periods_exceed_shutdown_times(
    fleet: dict[str, Any], deploy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("api", "proxy"):
        assert seconds(fleet[name]["stop_grace_period"]) > API_ENDS_S
    for name in ("worker", "gpu-worker"):
        settings = settings_of(fleet[name]["environment"], monkeypatch, deploy / "secrets" / "settings.toml")
        assert settings.stop_seconds > 60
        assert seconds(fleet[name]["stop_grace_period"]) > worker_ends_s(settings)
    alone = read(deploy.parent, "compose.yaml")["server"]
    assert seconds(alone["stop_grace_period"]) > supervisor.STOP_SECONDS


def test_threads_equal_cpu_limit(fleet: dict[str, Any]) -> None:
    worker = fleet["worker"]
    assert float(worker["environment"]["STEMSPLITTER_THREADS"]) == float(
        worker["deploy"]["resources"]["limits"]["cpus"]
    )


def test_gpu_worker_reserves_gpu(fleet: dict[str, Any]) -> None:
    worker = fleet["gpu-worker"]
    (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia" and device["capabilities"] == ["gpu"]
    assert worker["command"][:3] == ["worker", "--device", "cuda:0"]
    assert worker["build"]["args"] == {"EXTRAS": "[torch]"}


def test_proxy_routes_match_services(fleet: dict[str, Any], deploy: Path) -> None:
    proxy = caddyfile(deploy)
    assert f"port {Settings.model_fields['port'].default}\n" in proxy
    bucket = urlsplit(fleet["api"]["environment"]["STEMSPLITTER_STORAGE_URL"]).netloc
    assert (
        f"handle /{bucket}/* {{" in proxy
        and f'create_bucket(Bucket="{bucket}")' in fleet["bucket"]["command"][0]
    )
    assert size(re.findall(r"max_size (\S+)", proxy)[0]) > Settings.model_fields["max_source_bytes"].default
    assert fleet["proxy"]["environment"]["PUBLIC_URL"] == URL
    # inside a handle block: handle blocks are mutually exclusive, and a separate respond would run after them
    assert re.search(r"@internal path /metrics /readyz\s+handle @internal \{\s+respond 404\s+\}", proxy)
    store = fleet["store"]["command"]
    assert "-s3.port=8333" in store and "-s3.config=/run/secrets/store_identities" in store


def test_store_identities_match_credentials(deploy: Path) -> None:
    profile = configparser.ConfigParser()
    profile.read(deploy / "secrets" / "store_credentials")
    (identity,) = json.loads((deploy / "secrets" / "store_identities.json").read_text())["identities"]
    assert identity["credentials"] == [
        {
            "accessKey": profile["default"]["aws_access_key_id"],
            "secretKey": profile["default"]["aws_secret_access_key"],
        }
    ]


def test_secrets_are_private_and_generated_once(deploy: Path) -> None:
    secrets = deploy / "secrets"
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}
    assert secrets.stat().st_mode & 0o777 == 0o700
    # Compose mounts them with their permissions, and the users in the containers are not their owner
    assert all(path.stat().st_mode & 0o004 for path in secrets.iterdir())
    again = subprocess.run([deploy / "prepare"], capture_output=True, text=True, timeout=30, check=False)
    assert again.returncode == 1 and "existing data would be unusable" in again.stderr
    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == before


def test_bucket_job_is_idempotent(fleet: dict[str, Any], tmp_path: Path) -> None:
    """Run the command of the service against a server that verifies signatures."""
    with s3_server(tmp_path / "s3") as url:
        variables = {**environment(url), "AWS_DEFAULT_REGION": "us-east-1", "PATH": os.environ["PATH"]}
        for _ in range(2):
            subprocess.run(
                [sys.executable, "-c", fleet["bucket"]["command"][0]], env=variables, check=True, timeout=60
            )
        session = botocore.session.Session()
        session.set_credentials(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"])
        found = session.create_client("s3", endpoint_url=url, region_name="us-east-1").list_buckets()
        assert "stemsplitter" in {bucket["Name"] for bucket in found["Buckets"]}
