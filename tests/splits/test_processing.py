"""Runs of splits, with a simulated separation."""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from stemsplitter.audio.formats import OutputFormat
from stemsplitter.errors import AudioError, ModelError, Stopped
from stemsplitter.jobs import processing, repository, watch
from stemsplitter.jobs.claims import Jobs
from stemsplitter.jobs.models import SPLIT
from stemsplitter.jobs.processing import Released
from stemsplitter.service_errors import Conflict, NotFound
from stemsplitter.services import Services
from stemsplitter.splits.models import Split
from stemsplitter.splits.processing import SplitProcessor
from stemsplitter.splits.sizes import previews_bytes
from stemsplitter.storage import StorageError
from stemsplitter.webhooks.models import WebhookEvent
from stemsplitter.worker.pool import OutOfMemory, Separated, SeparationFailed, SeparationRequest

from .conftest import MODEL, Create

Ledger = Callable[[str], list[tuple[str, int]]]
Step = Callable[[SeparationRequest, Callable[[float], bool]], None]
COST = 3
SETTLED = [("hold", -COST), ("settle", 0)]
RELEASED = [("hold", -COST), ("release", COST)]


class FakePool:
    """Writes fake stems after calling the next of ``steps``."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.requests: list[SeparationRequest] = []
        self.vocals_from: dict[str, str] | None = None

    def separate(self, request: SeparationRequest, on_progress: Callable[[float], bool]) -> Separated:
        self.requests.append(request)
        if self.steps:
            self.steps.pop(0)(request, on_progress)
        folder = Path(request.folder)
        folder.mkdir()
        ending = OutputFormat.parse(request.format).extension
        stems = {name: str(folder / f"{name}.{ending}") for name in request.stems}
        (folder / "masters").mkdir()
        masters = {
            name: {"path": str(folder / "masters" / f"{name}.flac"), "peak": 0.5} for name in request.stems
        }
        for path in (*stems.values(), *(str(master["path"]) for master in masters.values())):
            Path(path).write_bytes(b"a stem")
        peaks, overview = folder / "peaks.json", folder / "overview.json"
        for path in (peaks, overview):
            path.write_bytes(b"{}")
        return Separated(
            stems, masters, str(peaks), str(overview), "cpu (a fast one)", 1.0, 2.0, self.vocals_from
        )


def fails(error: Exception) -> Step:
    def step(*_: object) -> None:
        raise error

    return step


def tells(*fractions: float) -> Step:
    """Report progress like a real separation, and stop on request."""

    def step(_: SeparationRequest, on_progress: Callable[[float], bool]) -> None:
        for fraction in fractions:
            if on_progress(fraction):
                raise Stopped("stopped")

    return step


@pytest.fixture
def pool() -> FakePool:
    return FakePool()


@pytest.fixture
def processor(services: Services, pool: FakePool, monkeypatch: pytest.MonkeyPatch) -> SplitProcessor:
    monkeypatch.setattr(processing, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(watch, "WRITE_SECONDS", 0.0)
    monkeypatch.setattr(watch, "CHECK_SECONDS", 0.0)
    monkeypatch.setattr("stemsplitter.worker.retry.DELAYS", (0.01,))
    return SplitProcessor(
        services.database,
        services.settings,
        services.storage,
        services.splits.endings,
        pool,  # type: ignore[arg-type]
    )


@pytest.fixture
def jobs(services: Services, processor: SplitProcessor) -> Jobs:
    return Jobs(services.database, {SPLIT: processor}, lambda: [MODEL], 100, 5)


def row(services: Services, split_id: str) -> Split:
    with services.database.read() as session:
        return session.get_one(Split, split_id)


def events(services: Services, split_id: str) -> list[str]:
    with services.database.read() as session:
        query = select(WebhookEvent.kind).where(WebhookEvent.split_id == split_id)
        return list(session.scalars(query))


def stored(services: Services, split_id: str) -> list[str]:
    return sorted(file.key.rpartition("/")[2] for file in services.storage.list_prefix(f"splits/{split_id}"))


def run(jobs: Jobs) -> bool:
    """Run the next split; return false if there is none."""
    split = jobs.claim("wrk_1")
    if split is not None:
        jobs.run(split, threading.Event())
    return split is not None


def begin(services: Services, split_id: str, lease: str) -> bool:
    """Start a run of a split, regardless of its lease."""
    with services.database.write() as session:
        found = repository.find(session, split_id)
        assert found is not None
        return repository.start(session, split_id, found.lease, lease, "wrk_0") is not None


def test_split_succeeds(
    services: Services,
    account: str,
    create: Create,
    jobs: Jobs,
    pool: FakePool,
    ledger: Ledger,
) -> None:
    split_id = create(
        stems=["vocals", "instrumental"], outputFormat="wav", bitDepth=16, webhookUrl="http://127.0.0.1:9/"
    )
    run(jobs)
    view = services.splits.get(account, split_id)
    assert (view.status, view.progress, view.error) == ("succeeded", 100, None)
    assert list(view.stems or {}) == ["vocals", "instrumental"]
    assert view.processing and view.processing.model_dump() == {
        "device": "cpu",
        "seconds": 1,
        "realtime_factor": 0.5,
    }
    assert ledger(split_id) == SETTLED
    assert stored(services, split_id) == [
        "instrumental.flac",
        "instrumental.wav",
        "overview.json",
        "peaks.json",
        "vocals.flac",
        "vocals.wav",
    ]
    assert events(services, split_id) == ["audio.split.completed"]
    (request,) = pool.requests
    assert (request.model, request.stems, request.format) == ("tiny_6s", ("vocals", "instrumental"), "wav16")
    assert request.instruments is None
    assert not list((services.settings.data_dir / "work").iterdir())


def test_row_19_model_of_the_vocals_is_named(
    services: Services, account: str, create: Create, jobs: Jobs, pool: FakePool
) -> None:
    split_id = create()
    tiny = {"name": "tiny_6s", "licence": "unknown, added by you"}
    assert services.splits.get(account, split_id).model_dump(by_alias=True)["model"] == tiny
    pool.vocals_from = {"name": "spleeter_2s", "licence": "MIT"}
    run(jobs)
    assert services.splits.get(account, split_id).model_dump(by_alias=True)["model"] == {
        **tiny,
        "vocalsFrom": {"name": "spleeter_2s", "licence": "MIT"},
    }


@pytest.mark.parametrize(
    ("quality", "overlap"), [("best", 0.5), ("balanced", None), ("fast", None), (None, None)]
)
def test_worker_is_told_the_overlap_of_the_quality(
    services: Services,
    account: str,
    create: Create,
    jobs: Jobs,
    pool: FakePool,
    monkeypatch: pytest.MonkeyPatch,
    quality: str | None,
    overlap: float | None,
) -> None:
    monkeypatch.setattr("stemsplitter.splits.service.model_for", _tiny(services))
    split_id = create(**({} if quality is None else {"quality": quality}))
    pool.vocals_from = {"name": "spleeter_2s", "licence": "MIT"}
    run(jobs)
    (request,) = pool.requests
    assert request.overlap == overlap
    model = services.splits.get(account, split_id).model_dump(by_alias=True)["model"]
    assert model.get("quality") == quality and "vocalsFrom" in model


def _tiny(services: Services) -> Callable[..., Any]:
    """Return a selection of the tiny model for every quality."""
    return lambda *_: services.models.entry(MODEL)


def test_worker_is_told_the_instruments(
    services: Services, account: str, create: Create, jobs: Jobs, pool: FakePool
) -> None:
    split_id = create(instruments=["guitar", "vocals"])
    run(jobs)
    (request,) = pool.requests
    assert request.instruments == ["vocals", "guitar"]
    view = services.splits.get(account, split_id).model_dump(by_alias=True)
    assert view["instruments"] == {
        "vocals": 1, "drums": 0, "bass": 0, "guitar": 1, "piano": 0, "other": 0
    }  # fmt: skip
    assert list(view)[-2:] == ["instruments", "metadata"]  # after the stems, whose names it repeats


@pytest.mark.parametrize(
    ("steps", "result"),
    [
        ([], "succeeded"),
        ([AudioError("It ends early.")], "failed (VALIDATION_ERROR)"),
        ([SeparationFailed("died")], "succeeded"),
        ([OutOfMemory("killed")] * 3, "failed (OUT_OF_MEMORY)"),
    ],
)
def test_row_9_start_and_end_of_a_split_are_logged_once(
    steps: list[Exception],
    result: str,
    create: Create,
    jobs: Jobs,
    pool: FakePool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "stemsplitter")
    split_id = create()
    pool.steps = [fails(error) for error in steps]
    run(jobs)
    first, *_, last = (record for record in caplog.records if record.levelname == "INFO")
    assert len([record for record in caplog.records if record.levelname == "INFO"]) == 2
    assert (first.getMessage(), last.getMessage()) == (
        f"split {split_id} started",
        f"split {split_id} {result}",
    )
    for record in (first, last):
        assert (record.__dict__["model"], record.__dict__["audio_seconds"]) == ("tiny_6s", 3)
    assert last.__dict__["result"] == result and last.__dict__["elapsed"] >= 0


def test_row_9_end_of_a_canceled_split_is_logged(
    services: Services,
    account: str,
    create: Create,
    jobs: Jobs,
    pool: FakePool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "stemsplitter")
    split_id = create()

    def cancel(request: SeparationRequest, on_progress: Callable[[float], bool]) -> None:
        services.splits.cancel(account, split_id)
        tells(0.2)(request, on_progress)

    pool.steps = [cancel]
    run(jobs)
    assert caplog.messages[-1] == f"split {split_id} canceled or requeued"


def test_ended_split_is_not_claimed(
    services: Services, account: str, create: Create, jobs: Jobs, pool: FakePool
) -> None:
    canceled, _ = create(), create()
    services.splits.cancel(account, canceled)
    assert [run(jobs) for _ in range(3)] == [True, False, False]
    assert len(pool.requests) == 1


def test_progress_never_falls(services: Services, create: Create, jobs: Jobs, pool: FakePool) -> None:
    seen: list[int] = []
    split_id = create()

    def look(request: SeparationRequest, on_progress: Callable[[float], bool]) -> None:
        for fraction in (0.0, 0.3, 0.6, 0.999):
            on_progress(fraction)
            seen.append(row(services, split_id).progress)

    def look_and_fail(request: SeparationRequest, on_progress: Callable[[float], bool]) -> None:
        look(request, on_progress)
        raise SeparationFailed("died")

    pool.steps = [look_and_fail, look]
    run(jobs)
    assert seen == [0, 30, 60, 99, 99, 99, 99, 99]
    assert row(services, split_id).progress == 100


def test_undecodable_song_fails_in_the_first_attempt(
    services: Services, create: Create, jobs: Jobs, pool: FakePool, ledger: Ledger
) -> None:
    split_id = create(webhookUrl="http://127.0.0.1:9/")
    pool.steps = [fails(AudioError("The song ends in the middle."))]
    run(jobs)
    split = row(services, split_id)
    assert (split.status, split.error_code, split.attempts) == ("failed", "VALIDATION_ERROR", 1)
    assert split.error_message == "The song ends in the middle."
    assert ledger(split_id) == RELEASED
    assert events(services, split_id) == ["audio.split.failed"]


def test_a_error_of_the_decoder_names_the_users_file(
    services: Services, create: Create, jobs: Jobs, pool: FakePool
) -> None:
    """The worker's copy has a name of its own (fault A)."""
    split_id = create()

    def fail(request: SeparationRequest, _: Any) -> Separated:
        raise AudioError(f"{Path(request.source).name} is damaged.")

    pool.steps = [fail]
    run(jobs)
    split = row(services, split_id)
    assert split.error_message == f"{split.filename} is damaged."


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OutOfMemory("killed"), "OUT_OF_MEMORY"),
        (SeparationFailed("died"), "SERVER_ERROR"),
        (ModelError("damaged"), "SERVER_ERROR"),
        (OSError(28, "No space left on device"), "SERVER_ERROR"),
    ],
)
def test_split_fails_after_three_attempts(
    services: Services,
    create: Create,
    jobs: Jobs,
    pool: FakePool,
    ledger: Ledger,
    error: Exception,
    code: str,
) -> None:
    split_id = create()
    pool.steps = [fails(error)] * 3
    run(jobs)
    split = row(services, split_id)
    assert (split.status, split.error_code, split.attempts) == ("failed", code, 3)
    assert "credits were given back" in (split.error_message or "")
    assert split.cause is not None and split.cause.startswith(f"{type(error).__name__}: ")
    assert str(error) in split.cause and str(error) not in (split.error_message or "")
    assert ledger(split_id) == RELEASED
    assert len(pool.requests) == 3


def test_second_attempt_can_succeed(
    services: Services, create: Create, jobs: Jobs, pool: FakePool, ledger: Ledger
) -> None:
    split_id = create()
    pool.steps = [fails(SeparationFailed("died"))]
    run(jobs)
    assert (row(services, split_id).status, row(services, split_id).attempts) == ("succeeded", 2)
    assert ledger(split_id) == SETTLED


def test_split_whose_workers_died_three_times_fails(
    services: Services, create: Create, jobs: Jobs, pool: FakePool, ledger: Ledger
) -> None:
    split_id = create()
    for number in range(3):
        assert begin(services, split_id, f"run_{number}")
    with services.database.write() as session:
        assert repository.requeue(session, split_id, "run_2")
    assert not run(jobs)
    assert row(services, split_id).status == "failed"
    assert row(services, split_id).cause == "The worker died or wrote no heartbeat in every attempt."
    assert ledger(split_id) == RELEASED
    assert pool.requests == []


def test_canceled_separation_stops(
    services: Services,
    account: str,
    create: Create,
    jobs: Jobs,
    pool: FakePool,
    ledger: Ledger,
) -> None:
    split_id = create()

    def cancel(request: SeparationRequest, on_progress: Callable[[float], bool]) -> None:
        assert not on_progress(0.1)
        services.splits.cancel(account, split_id)
        tells(0.2)(request, on_progress)
        pytest.fail("it went on")

    pool.steps = [cancel]
    run(jobs)
    assert row(services, split_id).error_code == "CANCELED"
    assert ledger(split_id) == RELEASED


def test_split_canceled_during_storing_keeps_no_stems(
    services: Services,
    account: str,
    create: Create,
    jobs: Jobs,
    monkeypatch: pytest.MonkeyPatch,
    ledger: Ledger,
) -> None:
    split_id = create()
    put = services.storage.put_file

    def put_and_cancel(*arguments: Any) -> int:
        services.splits.cancel(account, split_id)
        return put(*arguments)

    monkeypatch.setattr(services.storage, "put_file", put_and_cancel)
    run(jobs)
    assert row(services, split_id).error_code == "CANCELED"
    assert (ledger(split_id), stored(services, split_id)) == (RELEASED, [])


def test_run_that_lost_its_lease_changes_nothing(
    services: Services, create: Create, jobs: Jobs, pool: FakePool, ledger: Ledger
) -> None:
    split_id = create(webhookUrl="http://127.0.0.1:9/")

    def sleep_until_another_has_done_it(*_: object) -> None:
        jobs.requeue_dead(list)  # no worker is live
        assert run(jobs)

    pool.steps = [sleep_until_another_has_done_it]
    run(jobs)
    split = row(services, split_id)
    assert (split.status, split.attempts) == ("succeeded", 2)
    assert ledger(split_id) == SETTLED
    assert events(services, split_id) == ["audio.split.completed"]
    assert len(stored(services, split_id)) == 14  # the other run's stems are still there


def fails_first(times: int, error: Exception, real: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that raises ``times`` times before it calls ``real``."""
    left = [error] * times

    def call(*arguments: Any, **options: Any) -> Any:
        if left:
            raise left.pop()
        return real(*arguments, **options)

    return call


@pytest.mark.parametrize("method", ["put_file", "local_file"])
def test_storage_outage_counts_no_attempt(
    services: Services,
    create: Create,
    jobs: Jobs,
    pool: FakePool,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    split_id, storage = create(), services.storage
    away = fails_first(20, StorageError("The store does not answer."), getattr(storage, method))
    monkeypatch.setattr(storage, method, away)
    run(jobs)
    assert (row(services, split_id).status, row(services, split_id).attempts) == ("succeeded", 1)
    assert (len(pool.requests), ledger(split_id)) == (1, SETTLED)


def test_exhausted_retries_count_an_attempt(
    services: Services,
    create: Create,
    jobs: Jobs,
    pool: FakePool,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stemsplitter.worker.retry.RETRY_SECONDS", 0.05)
    split_id, storage = create(), services.storage
    error = StorageError("The store refuses this file.")
    monkeypatch.setattr(storage, "put_file", fails_first(1000, error, storage.put_file))
    run(jobs)
    split = row(services, split_id)
    assert (split.status, split.error_code, split.attempts) == ("failed", "SERVER_ERROR", 3)
    assert (len(pool.requests), ledger(split_id)) == (3, RELEASED)


def test_missing_source_is_not_retried(
    services: Services, create: Create, jobs: Jobs, ledger: Ledger
) -> None:
    split_id = create()
    services.storage.delete(row(services, split_id).source_key)
    run(jobs)
    assert row(services, split_id).error_code == "SERVER_ERROR"
    assert ledger(split_id) == RELEASED


def test_worker_stopped_during_a_storage_outage_releases_its_split(
    services: Services, create: Create, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    split_id, abort, storage = create(), threading.Event(), services.storage

    def put(*_: Any) -> int:
        abort.set()
        raise StorageError("The store does not answer.")

    monkeypatch.setattr(storage, "put_file", put)
    taken = jobs.claim("wrk_1")
    assert taken is not None
    with pytest.raises(Released):
        jobs.run(taken, abort)
    assert (row(services, split_id).status, row(services, split_id).attempts) == ("queued", 0)


def test_database_outage_stops_no_separation_and_counts_no_attempt(
    services: Services,
    create: Create,
    jobs: Jobs,
    pool: FakePool,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    split_id, database = create(), services.database
    away = OperationalError("BEGIN", {}, Exception("the database is starting up"))

    def vanish(request: SeparationRequest, on_progress: Callable[[float], bool]) -> None:
        for method in ("read", "write"):
            monkeypatch.setattr(database, method, fails_first(4, away, getattr(database, method)))
        assert [on_progress(fraction) for fraction in (0.1, 0.2, 0.2, 0.3)] == [False] * 4

    pool.steps = [vanish]
    run(jobs)
    split = row(services, split_id)
    assert (split.status, split.attempts, split.progress) == ("succeeded", 1, 100)
    assert (len(pool.requests), ledger(split_id)) == (1, SETTLED)


def test_stopped_worker_releases_its_split(
    services: Services, create: Create, jobs: Jobs, pool: FakePool
) -> None:
    split_id, abort = create(), threading.Event()

    def stop(request: SeparationRequest, on_progress: Callable[[float], bool]) -> None:
        on_progress(0.4)
        abort.set()
        tells(0.5)(request, on_progress)

    pool.steps = [stop]
    taken = jobs.claim("wrk_1")
    assert taken is not None and (taken.id, taken.worker_id) == (split_id, "wrk_1")
    with pytest.raises(Released):
        jobs.run(taken, abort)
    split = row(services, split_id)
    assert (split.status, split.attempts, split.progress) == ("queued", 0, 50)
    assert (split.lease, split.worker_id) == (None, None)
    run(jobs)
    assert row(services, split_id).status == "succeeded"


def test_files_of_dead_runs_are_deleted(services: Services, create: Create) -> None:
    work = services.settings.data_dir / "work"
    split_id = create()
    assert begin(services, split_id, "run_alive")
    for name in ("run_alive", "run_dead"):
        (work / name).mkdir(parents=True)
        (work / name / "vocals.wav").touch()
    processing.clear_work_folder(services.database, services.settings)
    assert [folder.name for folder in work.iterdir()] == ["run_alive"]


ACTIONS = st.lists(
    st.sampled_from(
        ["begin", "succeed", "fail", "late succeed", "late fail", "cancel", "hand back", "delete"]
    ),
    max_size=12,
)


@given(actions=ACTIONS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_credits_are_settled_or_released_once_in_any_order(
    services: Services, account: str, create: Create, ledger: Ledger, actions: list[str]
) -> None:
    split_id = create(webhookUrl="http://127.0.0.1:9/")
    endings, leases = services.splits.endings, ["run_none"]
    stems = {"vocals": {"key": "splits/x/stems/vocals.mp3", "size": 1, "mime": "audio/mpeg"}}
    took = {"device": "cpu", "seconds": 1.0, "realtimeFactor": 1.0}
    for number, action in enumerate(actions):
        lease = leases[0] if action.startswith("late") else leases[-1]
        if action == "begin" and begin(services, split_id, f"run_{number}"):
            leases.append(f"run_{number}")
        with services.database.write() as session:
            match action.removeprefix("late "):
                case "succeed":
                    values = {"stems": stems, "masters": {}, "processing": took}
                    endings.succeed(session, split_id, lease, values, 1)
                case "fail":
                    endings.fail(session, split_id, lease, "SERVER_ERROR", "It failed.")
                case "hand back":
                    repository.release(session, split_id, lease)
        with contextlib.suppress(Conflict, NotFound):
            match action:
                case "cancel":
                    services.splits.cancel(account, split_id)
                case "delete":
                    services.splits.delete(account, split_id)
    split = row(services, split_id)
    expected = {"succeeded": SETTLED, "failed": RELEASED}.get(split.status, [("hold", -COST)])
    assert ledger(split_id) == expected
    assert len(events(services, split_id)) == (split.status in ("succeeded", "failed"))
    with services.database.write() as session:
        assert services.credits.audit(session) == []
        endings.fail(session, split_id, None, "CANCELED", "Make room for the next.")
        services.credits.grant(session, account, COST)


def test_cause_includes_chained_exceptions() -> None:
    try:
        try:
            raise OSError(28, "No space\0 left")
        except OSError as error:
            raise SeparationFailed("The stems could not be written.") from error
    except SeparationFailed as error:
        told = processing._describe(error)
    assert told == "SeparationFailed: The stems could not be written.\nOSError: [Errno 28] No space� left"
    assert len(processing._describe(ModelError("x" * 5000))) == processing.LONGEST_CAUSE


def test_h2_run_limits_the_sample_rate_and_records_the_stored_bytes(
    services: Services, account: str, jobs: Jobs, pool: FakePool, create: Create
) -> None:
    split_id = create()
    reserved = _stored_bytes(services, account)
    assert run(jobs)
    assert [request.max_sample_rate for request in pool.requests] == [48_000]
    files = sum(file.size for file in services.storage.list_prefix())
    split = row(services, split_id)
    previews = previews_bytes(6, split.duration_seconds)  # to be made
    assert _stored_bytes(services, account) == files + previews < reserved
    assert split.status == "succeeded"


def test_h2_stems_are_not_kept_twice(
    services: Services, jobs: Jobs, pool: FakePool, create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(stems=["vocals", "drums"])
    left: list[list[str]] = []
    put = services.storage.put_file

    def spy(key: str, path: Path, *more: str) -> int:
        left.append(sorted(each.name for each in Path(pool.requests[0].folder).rglob("*.[fm]*")))
        return put(key, path, *more)

    monkeypatch.setattr(services.storage, "put_file", spy)
    assert run(jobs)
    assert left == [
        ["drums.flac", "drums.mp3", "vocals.flac", "vocals.mp3"],
        ["drums.flac", "drums.mp3", "vocals.mp3"],
        ["drums.flac", "drums.mp3"],
        ["drums.mp3"],
        [],  # the peaks
        [],
    ]


def _stored_bytes(services: Services, account: str) -> int:
    with services.database.read() as session:
        return services.quotas.used(session, account)
