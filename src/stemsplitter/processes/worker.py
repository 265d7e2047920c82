"""The process that does the jobs: splits, webhooks, and what is to be done regularly."""

import signal
import threading

from stemsplitter import logs, tracing
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import ModelError, SettingsError
from stemsplitter.migrations.upgrade import upgrade
from stemsplitter.processes.loop import Worker
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from stemsplitter.splits.jobs import SplitWork
from stemsplitter.splits.maintenance import SplitChores
from stemsplitter.splits.model_selection import check_models
from stemsplitter.splits.processing import SplitProcessor
from stemsplitter.webhooks.deliveries import Deliveries
from stemsplitter.worker.membership import WORKER
from stemsplitter.worker.pool import SeparationPool
from stemsplitter.worker.tasks import Chore


def run(settings: Settings) -> None:
    """Take jobs until SIGTERM or SIGINT, then finish or hand back what runs, and end the process.

    Raises:
        SettingsError, SchemaError: the settings or the database do not allow a start.
    """
    logs.configure(settings.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    services = Services(settings)
    upgrade(services.database)
    check_models(settings, services.models)
    runnable_models(settings, services.models)
    pool = SeparationPool(settings.concurrency, settings.device, settings.threads)
    pool.open()
    processor = SplitProcessor(services.database, settings, services.storage, services.splits.endings, pool)
    processor.clear_work()
    work = SplitWork(
        services.database,
        processor,
        lambda: runnable_models(settings, services.models),
        settings.max_running_splits,
    )
    worker = Worker(
        services.heartbeat(WORKER, work.models(), pool.device),
        settings,
        work,
        Deliveries(services.database, services.webhooks),
        chores=_chores(services),
        concurrency=pool.concurrency,
    )
    tracing.start(WORKER)

    def close() -> None:
        pool.close()
        tracing.stop()

    worker.run(stop, close)


def runnable_models(settings: Settings, store: ModelStore) -> list[str]:
    """The models whose splits a worker takes: those that the settings name, or all, as far as they are here.

    Raises:
        SettingsError: the settings name a model that there is not.
    """
    if not settings.worker_models:
        return [entry.name for entry in store.entries() if store.is_ready(entry.name)]
    try:
        return [name for name in settings.worker_models if store.is_ready(store.entry(name).name)]
    except ModelError as error:
        raise SettingsError(f"STEMSPLITTER_WORKER_MODELS cannot be used: {error}") from error


def _chores(services: Services) -> list[Chore]:
    splits = SplitChores(services.database, services.storage, services.splits)

    def forget_webhooks() -> None:
        with services.database.write() as session:
            services.webhooks.delete_old(session)

    return [
        *splits.all(),
        Chore("remove ended uploads", 300, services.uploads.remove_ended),
        Chore("forget old webhooks", 3600, forget_webhooks),
        Chore("note how the service is", 60, services.health.check),
        Chore("forget ended sessions", 3600, services.sessions.delete_expired),
    ]
