"""The process that does the jobs: splits, webhooks, and what is to be done regularly."""

import signal
import threading

from stemsplitter import logs, tracing
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import ModelError, SettingsError
from stemsplitter.migrations.upgrade import upgrade
from stemsplitter.services import Application
from stemsplitter.settings import Settings
from stemsplitter.splits.jobs import SplitWork
from stemsplitter.splits.maintenance import SplitChores
from stemsplitter.splits.model_selection import check_models
from stemsplitter.splits.processing import SplitProcessor
from stemsplitter.webhooks.deliveries import Deliveries
from stemsplitter.worker.loop import Chore, Worker
from stemsplitter.worker.membership import WORKER
from stemsplitter.worker.pool import SeparationPool


def run(settings: Settings) -> None:
    """Take jobs until SIGTERM or SIGINT, then finish or hand back what runs, and end the process.

    Raises:
        SettingsError, SchemaError: the settings or the database do not allow a start.
    """
    logs.configure(settings.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    application = Application(settings)
    upgrade(application.database)
    check_models(settings, application.models)
    runnable_models(settings, application.models)
    pool = SeparationPool(settings.concurrency, settings.device, settings.threads)
    pool.open()
    processor = SplitProcessor(
        application.database, settings, application.storage, application.splits.endings, pool
    )
    processor.clear_work()
    work = SplitWork(
        application.database,
        processor,
        lambda: runnable_models(settings, application.models),
        settings.max_running_splits,
    )
    worker = Worker(
        application.heartbeat(WORKER, work.models(), pool.device),
        settings,
        work,
        Deliveries(application.database, application.webhooks),
        chores=_chores(application),
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


def _chores(application: Application) -> list[Chore]:
    splits = SplitChores(application.database, application.storage, application.splits)

    def forget_webhooks() -> None:
        with application.database.write() as session:
            application.webhooks.forget_old(session)

    return [
        *splits.all(),
        Chore("remove ended uploads", 300, application.uploads.remove_ended),
        Chore("forget old webhooks", 3600, forget_webhooks),
        Chore("note how the service is", 60, application.health.look),
        Chore("forget ended sessions", 3600, application.sessions.forget_ended),
    ]
