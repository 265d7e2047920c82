"""Alert rules: valid expressions on existing metrics."""

import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from stemsplitter.database import Database
from stemsplitter.processes.app import create_app
from stemsplitter.services import Services
from stemsplitter.settings import Settings

from .settings import ROOT

FOLDER = ROOT / "deploy" / "prometheus"
RULES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"][0]["rules"]
KEDA = ROOT / "deploy" / "kubernetes" / "components" / "keda" / "scaled-object.yaml"
METRIC = re.compile(r"stemsplitter_\w+")
ALERTS = pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))


@pytest.fixture
def metrics(tmp_path: Path, database: Database) -> dict[str, set[str]]:
    """Map the names of all metrics to those of their labels, after a request."""
    services = Services(Settings(data_dir=tmp_path / "data", database_url=database.url))
    try:
        with TestClient(create_app(services)) as client:
            client.get("/v1/audio/splits/split_1")
            families = text_string_to_metric_families(client.get("/metrics").text)
            found: dict[str, set[str]] = {}
            for family in families:
                found.setdefault(family.name, set())
                for sample in family.samples:
                    found.setdefault(sample.name, set()).update(sample.labels)
            return found
    finally:
        services.close()


@ALERTS
def test_expression_is_valid(rule: dict[str, Any]) -> None:
    promql_parser.parse(rule["expr"])


@ALERTS
def test_alert_has_severity_summary_and_action(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(rule["annotations"]) == {"summary", "action"}
    assert all(text.endswith(".") for text in rule["annotations"].values())


def test_metrics_and_labels_exist(metrics: dict[str, set[str]]) -> None:
    expressions = [rule["expr"] for rule in RULES] + [KEDA.read_text()]
    named = {name for expression in expressions for name in METRIC.findall(expression)}
    assert len(named) > 6 and named <= set(metrics)
    for rule in RULES:
        for name, filters in re.findall(r"(stemsplitter_\w+)\{([^}]*(?:\{[^}]*\}[^}]*)?)\}", rule["expr"]):
            assert set(re.findall(r"(\w+)=~?\"", filters)) <= metrics[name]


def test_alert_names_are_unique_and_tested() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    tried = yaml.safe_load((FOLDER / "rules.test.yaml").read_text())["tests"]
    assert {case["alertname"] for test in tried for case in test["alert_rule_test"]} <= set(names)
