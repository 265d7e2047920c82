"""Files that start a cluster of dask: for Kubernetes, SLURM and machines with ssh."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from .settings import ROOT

CLUSTERS = ROOT / "deploy" / "clusters"
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def kubernetes() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((CLUSTERS / "kubernetes.yaml").read_text())
    return loaded


def test_pods_and_service_of_the_kubernetes_cluster_fit_the_schemas(
    kubernetes: dict[str, Any], tmp_path: Path
) -> None:
    assert (kubernetes["apiVersion"], kubernetes["kind"]) == ("kubernetes.dask.org/v1", "DaskCluster")
    spec = kubernetes["spec"]
    assert set(spec) == {"worker", "scheduler"} and set(spec["worker"]) == {"replicas", "spec"}
    parts = [
        {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}, "spec": found}
        for kind, found in (
            ("Pod", spec["worker"]["spec"]),
            ("Pod", spec["scheduler"]["spec"]),
            ("Service", spec["scheduler"]["service"]),
        )
    ]
    file = tmp_path / "parts.yaml"
    file.write_text(yaml.safe_dump_all(parts))
    subprocess.run(
        [BIN / "kubernetes-validate", "--strict", "--quiet", "--no-warn", file], check=True, timeout=60
    )


def test_kubernetes_cluster_has_minimal_privileges_and_one_song_per_worker(
    kubernetes: dict[str, Any],
) -> None:
    pods = {name: kubernetes["spec"][name]["spec"] for name in ("worker", "scheduler")}
    for pod in pods.values():
        assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
        (container,) = pod["containers"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["resources"]["limits"]["memory"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {
            volume["name"] for volume in pod["volumes"]
        }
    command = pods["worker"]["containers"][0]["command"]
    assert command[:2] == ["dask", "worker"] and command[command.index("--nthreads") + 1] == "1"
    service = kubernetes["spec"]["scheduler"]["service"]
    ports = {port["name"] for port in pods["scheduler"]["containers"][0]["ports"]}
    assert {port["targetPort"] for port in service["ports"]} == ports
    assert service["selector"]["dask.org/cluster-name"] == kubernetes["metadata"]["name"]


def test_slurm_job_starts_a_worker_for_each_core(tmp_path: Path) -> None:
    command = [sys.executable, CLUSTERS / "slurm.py", "--dry-run", "--per-job", "4", "--queue", "compute"]
    script = subprocess.run(
        [*command, "--time", "02:00:00"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    for line in (
        "#SBATCH -p compute",
        "#SBATCH --cpus-per-task=4",
        "#SBATCH --mem=8G",
        "#SBATCH -t 02:00:00",
    ):
        assert line in script.splitlines()
    assert "--nthreads 1" in script and "--nworkers 4" in script


def test_ssh_script_starts_a_scheduler_and_the_workers_of_each_machine(tmp_path: Path) -> None:
    for name in ("dask", "ssh"):  # what they are called with, in a line each
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> "{tmp_path}/log"\n')
        program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "HOST": "head",
        "BIN": str(tmp_path),
    }
    done = subprocess.run(
        [CLUSTERS / "ssh.sh", "node1", "me@node2"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,  # it ends its process group
        check=False,
    )
    assert "--cluster tcp://head:8786" in done.stdout
    lines = sorted((tmp_path / "log").read_text().splitlines())
    assert lines[0] == "dask scheduler --host head --port 8786"
    assert [line.split()[2] for line in lines[1:]] == ["me@node2", "node1"]
    assert all("worker 'tcp://head:8786' --nworkers 'auto' --nthreads 1" in line for line in lines[1:])
    usage = subprocess.run([CLUSTERS / "ssh.sh"], capture_output=True, text=True, timeout=60, check=False)
    assert usage.returncode == 2 and "usage" in usage.stderr
