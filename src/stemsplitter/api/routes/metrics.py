"""Metrics for Prometheus at ``/metrics``.

Metrics of the service are read from the database, so that every process reports the same. Request times are those of
this process; a scraper adds up those of all.
"""

from collections.abc import Iterator, Mapping

from fastapi import APIRouter, Request, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.datastructures import State

from stemsplitter import refusals
from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.clock import now
from stemsplitter.health import statistics
from stemsplitter.health.statistics import Load, ToolLoad
from stemsplitter.probing import pool as probing
from stemsplitter.services import Services

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for every counter
REQUESTS = CollectorRegistry()
LATENCY = Histogram(
    "stemsplitter_request_seconds",
    "Duration of requests in seconds.",
    ("method", "route", "status"),
    registry=REQUESTS,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
def metrics(request: Request, services: ServicesDep) -> Response:
    """Return all metrics in the text format of Prometheus."""
    service = CollectorRegistry()
    service.register(_Service(services))
    service.register(_Limits(request.app.state))
    return Response(
        generate_latest(service) + generate_latest(REQUESTS), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )


class _Service(Collector):
    def __init__(self, services: Services) -> None:
        self._services = services

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        with self._services.database.read() as session:
            figures = statistics.read(session, now(), self._services.settings.lease_seconds)
            stored = self._services.quotas.used_by_all(session)
        splits = GaugeMetricFamily("stemsplitter_splits", "Splits by status.", labels=["status"])
        for status, count in figures.splits.items():
            splits.add_metric([status], count)
        yield splits
        yield GaugeMetricFamily("stemsplitter_queue_depth", "Queued splits.", value=figures.splits["queued"])
        yield GaugeMetricFamily(
            "stemsplitter_queue_oldest_seconds",
            "Age of the oldest queued split without a low priority.",
            value=figures.oldest_queued_s,
        )
        yield from _loads(figures.loads)
        yield from _tools(figures.tools)
        yield CounterMetricFamily(
            "stemsplitter_separated_seconds", "Seconds of audio separated.", value=figures.separated_s
        )
        deliveries = GaugeMetricFamily(
            "stemsplitter_webhook_deliveries", "Webhook deliveries by status.", labels=["status"]
        )
        for status, count in figures.deliveries.items():
            deliveries.add_metric([status], count)
        yield deliveries
        yield GaugeMetricFamily("stemsplitter_workers", "Running workers.", value=figures.workers)
        yield GaugeMetricFamily(
            "stemsplitter_stored_bytes",
            "Bytes of the files of all accounts, with reserved ones.",
            value=stored,
        )
        yield GaugeMetricFamily(
            "stemsplitter_free_bytes", "Free bytes on the disk.", value=self._services.disk.free()
        )


class _Limits(Collector):
    """Limits of this process."""

    def __init__(self, state: State) -> None:
        self._state = state

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        refused = CounterMetricFamily(
            "stemsplitter_refusals", "Requests refused by a limit.", labels=["limit"]
        )
        for limit, count in refusals.counts().items():
            refused.add_metric([limit], count)
        yield refused
        in_use = GaugeMetricFamily(
            "stemsplitter_in_use", "Places of a limit that are in use.", labels=["limit"]
        )
        state = self._state
        in_use.add_metric(["create"], state.places.in_use)
        in_use.add_metric(["measuring"], probing.in_use())
        in_use.add_metric(["event streams"], state.open_streams.count())
        in_use.add_metric(["uploads"], state.open_uploads.count())
        in_use.add_metric(["connections"], getattr(state, "count_connections", lambda: 0)())
        yield in_use


def _loads(loads: Mapping[str, Load]) -> Iterator[Metric]:
    """Yield the load of each model; a model without queued splits has a 0, so that its workers can be scaled down."""
    queued = GaugeMetricFamily(
        "stemsplitter_queue_depth_seconds", "Seconds of queued audio, by model.", labels=["model"]
    )
    running = GaugeMetricFamily("stemsplitter_running_splits", "Running splits, by model.", labels=["model"])
    workers = GaugeMetricFamily("stemsplitter_model_workers", "Running workers, by model.", labels=["model"])
    for name, load in loads.items():
        queued.add_metric([name], load.queued_s)
        running.add_metric([name], load.running)
        workers.add_metric([name], load.workers)
    yield from (queued, running, workers)


def _tools(loads: Mapping[str, ToolLoad]) -> Iterator[Metric]:
    """Yield the load of each kind of tool."""
    queued = GaugeMetricFamily("stemsplitter_tool_queue_depth", "Queued jobs of the tools.", labels=["kind"])
    oldest = GaugeMetricFamily(
        "stemsplitter_tool_queue_oldest_seconds", "Age of the oldest queued job of a tool.", labels=["kind"]
    )
    running = GaugeMetricFamily("stemsplitter_running_tools", "Running jobs of the tools.", labels=["kind"])
    for kind, load in loads.items():
        queued.add_metric([kind], load.queued)
        oldest.add_metric([kind], load.oldest_s)
        running.add_metric([kind], load.running)
    yield from (queued, oldest, running)
