"""The process that does the jobs: splits, webhooks, and what is to be done regularly."""

import signal
import threading

from stemsplitter import logs
from stemsplitter.application import Application
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.database.schema import upgrade
from stemsplitter.jobs import migrate
from stemsplitter.jobs.heartbeat import check_one_host
from stemsplitter.jobs.worker import Chore, Handlers, Worker
from stemsplitter.settings import Settings
from stemsplitter.splits.choosing import check_models
from stemsplitter.splits.chores import SplitChores
from stemsplitter.splits.processing import SplitProcessor


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
    migrate(application.database.url)
    check_one_host(application.database, settings.lease_seconds)
    check_models(settings, application.models)
    processor = SplitProcessor(
        application.database, settings, application.storage, application.splits.endings
    )
    processor.clear_work()
    handlers = Handlers(processor.process, application.webhooks.attempt, _chores(application))
    Worker(application.database, settings, handlers, _ready_models(application.models)).run(
        stop, processor.close
    )


def _chores(application: Application) -> list[Chore]:
    splits = SplitChores(application.database, application.storage, application.jobs, application.splits)

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


def _ready_models(store: ModelStore) -> list[str]:
    return [entry.name for entry in store.entries() if store.is_ready(entry.name)]
