"""Manifests, as built by kustomize; `make check` validates them with the Kubernetes schemas."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from dockerfile_parse import DockerfileParser

from stemsplitter.settings import Settings

from .settings import API_ENDS_S, ROOT, ours, seconds, settings_of, size, worker_ends_s

KUBECTL = Path(sys.executable).with_name("kubectl")
OVERLAY = ROOT / "deploy" / "kubernetes" / "overlays" / "example"
IMAGE = {
    line["instruction"]: line["value"]
    for line in DockerfileParser(str(ROOT / "Dockerfile"), cache_content=True).structure
}
Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    built = subprocess.run([KUBECTL, "kustomize", OVERLAY], capture_output=True, timeout=60, check=True)
    return list(yaml.safe_load_all(built.stdout))


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    (found,) = [each for each in manifests if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Map the names of deployments and jobs to their pod templates."""
    kinds = ("Deployment", "Job")
    return {each["metadata"]["name"]: each["spec"]["template"] for each in manifests if each["kind"] in kinds}


def containers(pod: Manifest) -> Iterator[Manifest]:
    yield from (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])


def variables(manifests: list[Manifest], container: Manifest) -> dict[str, str]:
    found: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        found |= named(manifests, "ConfigMap", source["configMapRef"]["name"])["data"]
    return found | {each["name"]: each["value"] for each in container.get("env", ())}


def selected(manifests: list[Manifest], labels: dict[str, str]) -> list[str]:
    """List the pods with these labels."""
    return [
        name for name, pod in pods(manifests).items() if labels.items() <= pod["metadata"]["labels"].items()
    ]


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text('secret_key = "%s"\ndatabase_url = "postgresql+psycopg://u:p@h/stems"\n' % ("k" * 64))
    return file


def test_overlay_has_all_resources(manifests: list[Manifest]) -> None:
    assert set(pods(manifests)) == {"api", "worker", "worker-gpu", "migrate"}
    kinds = {each["kind"] for each in manifests}
    assert kinds >= {"Ingress", "NetworkPolicy", "PodDisruptionBudget", "HorizontalPodAutoscaler"}
    assert "Secret" not in kinds


def test_containers_have_minimal_privileges(manifests: list[Manifest]) -> None:
    for name, pod in pods(manifests).items():
        security = pod["spec"]["securityContext"]
        assert security["runAsNonRoot"] and security["runAsUser"] == int(IMAGE["USER"]), name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["spec"]["automountServiceAccountToken"] is False, name
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"]
            assert re.search(r":\d", container["image"])


def test_settings_are_valid(
    manifests: list[Manifest], secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pod in pods(manifests).values():
        for container in containers(pod):
            with monkeypatch.context() as context:
                settings = settings_of(variables(manifests, container), context, secrets)
            host = named(manifests, "Ingress", "stemsplitter")["spec"]["rules"][0]["host"]
            assert settings.base_url == f"https://{host}" and settings.storage.startswith("s3://")


def test_written_folders_are_volumes(manifests: list[Manifest]) -> None:
    image = ours(dict(pair.split("=", 1) for pair in IMAGE["ENV"].split()))
    for name, pod in pods(manifests).items():
        there = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        for container in containers(pod):
            mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
            places = [image["STEMSPLITTER_DATA_DIR"], variables(manifests, container)["TMPDIR"]]
            if name != "migrate":
                places.append(image["STEMSPLITTER_CACHE_DIR"])
            assert all(there[mounts[place]]["emptyDir"]["sizeLimit"] for place in places)


def test_secrets_are_mounted_at_configured_paths(manifests: list[Manifest]) -> None:
    page = (ROOT / "docs" / "deployment.md").read_text()
    (made,) = re.findall(r"kubectl .*create secret generic (\w+) ((?:\\\n[^\\\n]*)+)", page)
    keys = set(re.findall(r"--from-file=(\w+(?:\.\w+)?)", made[1]))
    for pod in pods(manifests).values():
        for container in containers(pod):
            (mount,) = [each for each in container["volumeMounts"] if each["name"] == "secrets"]
            environment = variables(manifests, container)
            for name in ("STEMSPLITTER_SETTINGS", "AWS_SHARED_CREDENTIALS_FILE"):
                assert environment[name].removeprefix(f"{mount['mountPath']}/") in keys
        (volume,) = [each for each in pod["spec"]["volumes"] if each["name"] == "secrets"]
        assert volume["secret"]["secretName"] == made[0]


def test_probes_match_api(manifests: list[Manifest]) -> None:
    (container,) = pods(manifests)["api"]["spec"]["containers"]
    (port,) = container["ports"]
    assert port["containerPort"] == int(IMAGE["EXPOSE"]) == Settings.model_fields["port"].default
    paths = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {get["port"] for get in paths.values()} == {port["name"]}
    assert [get["path"] for get in paths.values()] == ["/healthz", "/healthz", "/readyz"]
    assert IMAGE["HEALTHCHECK"].count("/healthz")
    for policy in (each for each in manifests if each["kind"] == "NetworkPolicy"):
        if policy["metadata"]["name"] == "api":
            assert policy["spec"]["ingress"][0]["ports"] == [
                {"protocol": "TCP", "port": port["containerPort"]}
            ]


def test_grace_periods_exceed_shutdown_times(
    manifests: list[Manifest], secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = pods(manifests)["api"]["spec"]
    pause = api["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert api["terminationGracePeriodSeconds"] > pause + API_ENDS_S
    for name in ("worker", "worker-gpu"):
        pod = pods(manifests)[name]["spec"]
        with monkeypatch.context() as context:
            settings = settings_of(variables(manifests, pod["containers"][0]), context, secrets)
        assert settings.stop_seconds > 60
        assert pod["terminationGracePeriodSeconds"] > worker_ends_s(settings)


def test_threads_equal_cpu_limit(manifests: list[Manifest]) -> None:
    (container,) = pods(manifests)["worker"]["spec"]["containers"]
    assert variables(manifests, container)["STEMSPLITTER_THREADS"] == container["resources"]["limits"]["cpu"]


def test_selectors_match_pods(manifests: list[Manifest]) -> None:
    assert selected(manifests, named(manifests, "Service", "api")["spec"]["selector"]) == ["api"]
    assert selected(manifests, named(manifests, "Service", "closed")["spec"]["selector"]) == []
    for name in ("api", "worker", "worker-gpu"):
        budget = named(manifests, "PodDisruptionBudget", name)["spec"]
        assert selected(manifests, budget["selector"]["matchLabels"]) == [name]
        assert selected(
            manifests, named(manifests, "Deployment", name)["spec"]["selector"]["matchLabels"]
        ) == [name]
    for policy in (each["spec"] for each in manifests if each["kind"] == "NetworkPolicy"):
        chosen = selected(manifests, policy["podSelector"]["matchLabels"])
        assert chosen == (["api"] if "ingress" in policy else list(pods(manifests)))


def test_ingress_allows_uploads_and_hides_metrics(manifests: list[Manifest]) -> None:
    ingress = named(manifests, "Ingress", "stemsplitter")
    notes = ingress["metadata"]["annotations"]
    largest = Settings.model_fields["max_source_bytes"].default
    assert size(notes["nginx.org/client-max-body-size"]) > largest
    assert seconds(notes["nginx.org/proxy-read-timeout"]) > API_ENDS_S
    (rule,) = ingress["spec"]["rules"]
    leads = {path["path"]: path["backend"]["service"]["name"] for path in rule["http"]["paths"]}
    assert leads == {"/metrics": "closed", "/readyz": "closed", "/": "api"}
    assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]


def test_autoscaler_follows_queue(manifests: list[Manifest]) -> None:
    scaled = named(manifests, "ScaledObject", "worker")["spec"]
    target = named(manifests, "Deployment", scaled["scaleTargetRef"]["name"])
    # `kubectl apply` must not reset replicas that an autoscaler sets; no autoscaler sets those of the GPU workers
    assert (
        "replicas" not in target["spec"] and "replicas" not in named(manifests, "Deployment", "api")["spec"]
    )
    assert named(manifests, "Deployment", "worker-gpu")["spec"]["replicas"] == 1
    metrics = []
    for trigger in scaled["triggers"]:
        assert trigger["type"] == "prometheus" and float(trigger["metadata"]["threshold"]) > 0
        metrics += re.findall(r"stemsplitter_\w+", trigger["metadata"]["query"])
        promql_parser.parse(trigger["metadata"]["query"])
    assert metrics == ["stemsplitter_queue_depth_seconds", "stemsplitter_running_splits"]
