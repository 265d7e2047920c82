"""The worker process: splits, webhooks and maintenance."""

import signal
import threading

from stemsplitter import logs, stopping, tracing
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import ModelError, SettingsError
from stemsplitter.files.temporary import remove_abandoned
from stemsplitter.jobs.claims import Jobs
from stemsplitter.jobs.models import ANALYSIS, EFFECT, SPEECH, SPLIT
from stemsplitter.jobs.processing import clear_work_folder
from stemsplitter.migrations.upgrade import upgrade
from stemsplitter.processes.loop import Worker
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from stemsplitter.splits.derived.maker import FileMaker
from stemsplitter.splits.maintenance import SplitMaintenance
from stemsplitter.splits.model_selection import check_models
from stemsplitter.splits.processing import ClusterSplitProcessor, SplitProcessor
from stemsplitter.splits.remote import ClusterRuns
from stemsplitter.test_mode.processing import BuiltInSplitProcessor, BuiltInToolProcessor
from stemsplitter.tool_jobs.processing import ToolProcessor
from stemsplitter.tool_jobs.service import tool_queues
from stemsplitter.webhooks.deliveries import Deliveries
from stemsplitter.worker.maintenance import MaintenanceTask
from stemsplitter.worker.membership import WORKER
from stemsplitter.worker.pool import SeparationPool

CLEANUP_SECONDS = 60


def run(settings: Settings, cluster: str | None = None) -> None:
    """Work until SIGTERM or SIGINT, then finish or release the running splits and end the process.

    With ``cluster``, the address of a scheduler of dask, its workers run the splits instead of this machine.

    Raises:
        SettingsError, SchemaError: the settings or the database prevent a start.
        RequestError: the cluster cannot be reached.
    """
    logs.configure(settings.log_level)
    stop = threading.Event()
    for number in stopping.SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    services = Services(settings)
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # with PostgreSQL only splits are in it
    services.protect_files()
    upgrade(services.database)
    check_models(settings, services.models)
    runnable_models(settings, services.models)
    pool = SeparationPool(settings.concurrency, settings.device, settings.threads)
    parts = services.database, settings, services.storage, services.splits.endings, pool
    if cluster is None:
        pool.open()
        processor, runs = SplitProcessor(*parts), None
    else:
        runs = ClusterRuns(cluster)
        processor = ClusterSplitProcessor(*parts, runs)
    tool_pool = SeparationPool(1, "cpu", settings.threads)
    tools = ToolProcessor(services.database, settings, services.storage, services.analyses.endings, tool_pool)
    built_in = BuiltInToolProcessor(
        services.database, settings, services.storage, services.analyses.endings, tool_pool
    )
    tests = {SPLIT: BuiltInSplitProcessor(*parts), **dict.fromkeys((ANALYSIS, EFFECT, SPEECH), built_in)}
    jobs = Jobs(
        services.database,
        {SPLIT: processor, **dict.fromkeys((ANALYSIS, EFFECT, SPEECH), tools)},
        lambda: runnable_models(settings, services.models),
        settings.max_running_splits,
        settings.free_turn_every,
        services.disk.problem,
        lambda: tool_queues(services.models),
        tests,
    )

    def clear() -> None:
        clear_work_folder(services.database, settings)

    worker = Worker(
        services.heartbeat(WORKER, jobs.models(), pool.device),
        settings,
        jobs,
        Deliveries(services.database, services.webhooks),
        FileMaker(services.database, services.storage, services.quotas, settings),
        maintenance=_maintenance(services),
        cleanup=[
            MaintenanceTask(
                "delete files of dead runs",
                CLEANUP_SECONDS,
                lambda: clear_work_folder(services.database, settings),
            ),
            MaintenanceTask("delete abandoned temporary folders", CLEANUP_SECONDS, remove_abandoned),
        ],
        concurrency=pool.concurrency,
    )
    tracing.start(WORKER)

    def close() -> None:
        pool.close()
        tool_pool.close()
        if runs is not None:
            runs.close()
        tracing.stop()

    worker.run(stop, close)


def runnable_models(settings: Settings, store: ModelStore) -> list[str]:
    """Return the models whose splits the worker claims: those of the settings, or all, that are installed.

    Raises:
        SettingsError: the settings name an unknown model.
    """
    if not settings.worker_models:
        return [entry.name for entry in store.entries() if store.is_ready(entry.name)]
    try:
        return [name for name in settings.worker_models if store.is_ready(store.entry(name).name)]
    except ModelError as error:
        raise SettingsError(f"STEMSPLITTER_WORKER_MODELS cannot be used: {error}") from error


def _maintenance(services: Services) -> list[MaintenanceTask]:
    splits = SplitMaintenance(
        services.database, services.storage, services.splits, services.derived_files, services.quotas
    )

    def delete_webhooks() -> None:
        with services.database.write() as session:
            services.webhooks.delete_old(session)

    def delete_address_links() -> None:
        with services.database.write() as session:
            services.address_proofs.delete_expired(session)

    return [
        *splits.tasks(),
        MaintenanceTask("delete expired uploads", 300, services.uploads.delete_expired),
        MaintenanceTask("delete old webhooks", 3600, delete_webhooks),
        MaintenanceTask("record health", 60, services.health.check),
        MaintenanceTask("send notices", 10, services.notices.send_due_later),
        MaintenanceTask("delete old requests of API keys", 3600, services.api_requests.delete_old),
        MaintenanceTask("delete expired share links", 3600, services.shares.delete_expired),
        MaintenanceTask("delete expired address links", 3600, delete_address_links),
        MaintenanceTask("delete expired sessions", 3600, services.sessions.delete_expired),
    ]
