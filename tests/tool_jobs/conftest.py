"""A server in this process, with a worker that runs the tools in it."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from stemsplitter.audio.decode import open_source
from stemsplitter.jobs.claims import Jobs
from stemsplitter.jobs.models import ANALYSIS, EFFECT, SPEECH
from stemsplitter.processes.app import create_app
from stemsplitter.services import Services
from stemsplitter.tool_jobs.models import ANALYSIS_QUEUE, EFFECT_QUEUE, ISOLATOR_QUEUE, SPEECH_QUEUE
from stemsplitter.tool_jobs.processing import ToolProcessor
from stemsplitter.worker.process import ToolRequest, ToolResult
from stemsplitter.worker.tool_runs import run_tool
from tests.acceptance.songs import encode
from tests.services import run_all, upload_file
from tests.splits.conftest import (
    Create,
    account,
    create,
    ledger,
    services,
    settings,
    song,
    tiny_store,
    upload,
)

__all__ = ["Create", "account", "create", "ledger", "services", "settings", "song", "tiny_store", "upload"]

RATE = 44_100


class HerePool:
    """Runs tools in this process."""

    def __init__(self) -> None:
        self.requests: list[ToolRequest] = []

    def run_tool(self, request: ToolRequest, on_progress: Callable[[float], bool]) -> ToolResult:
        self.requests.append(request)
        is_stopped = threading.Event()

        def send(fraction: float) -> None:
            if on_progress(fraction):
                is_stopped.set()

        return ToolResult(**run_tool(asdict(request), send, is_stopped.is_set))


@pytest.fixture
def pool() -> HerePool:
    return HerePool()


@pytest.fixture
def work(services: Services, pool: HerePool) -> Callable[[], int]:
    """Return a function that runs all queued jobs and returns their number."""
    processor = ToolProcessor(
        services.database,
        services.settings,
        services.storage,
        services.analyses.endings,
        pool,  # type: ignore[arg-type]
    )
    queues = [ANALYSIS_QUEUE, EFFECT_QUEUE, ISOLATOR_QUEUE, SPEECH_QUEUE]
    processors = dict.fromkeys((ANALYSIS, EFFECT, SPEECH), processor)
    jobs = Jobs(services.database, processors, list, 100, 5, tools=lambda: queues)

    return lambda: run_all(jobs, jobs.claim_tool)


@pytest.fixture
def client(services: Services, account: str) -> Iterator[TestClient]:
    with services.database.write() as session:
        _, key = services.accounts.create_key(session, account, "test")
    with TestClient(create_app(services), headers={"Authorization": f"Bearer {key}"}) as opened:
        yield opened


@pytest.fixture
def balance(services: Services, account: str) -> Callable[[], int]:
    def read() -> int:
        with services.database.read() as session:
            return services.credits.balance(session, account)

    return read


Send = Callable[[np.ndarray, int], dict[str, str]]


@pytest.fixture
def send(services: Services, account: str, tmp_path: Path) -> Send:
    """Return a function that uploads samples ``[C, n]`` and returns the `input` of a request."""

    def upload(samples: np.ndarray, rate: int = RATE) -> dict[str, str]:
        path = encode(tmp_path / "sent.flac", samples, rate, "flac")
        return upload_file(services, account, "Lied.flac", path.read_bytes())

    return upload


def data(response: Any) -> Any:
    assert response.status_code == 200, response.text
    return response.json()["data"]


def refusal(response: Any) -> tuple[int, str, str]:
    error = response.json()["error"]
    return response.status_code, error["code"], error["message"]


def fetched(services: Services, key: str) -> tuple[np.ndarray, int]:
    """Return the samples of a stored file, and their rate."""
    with services.storage.local_file(key) as path, open_source(path) as source:
        return np.concatenate(list(source.blocks()), axis=1), source.info.sample_rate


def sine(hertz: float, seconds: float, rate: int = RATE) -> np.ndarray:
    """Return a stereo tone ``[2, n]``."""
    tone = 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.stack([tone, tone]).astype(np.float32)


def loudest_hertz(samples: np.ndarray, rate: int) -> float:
    mono = samples.mean(axis=0)
    spectrum = np.abs(np.fft.rfft(mono * np.hanning(len(mono))))
    return float(spectrum.argmax() * rate / len(mono))
