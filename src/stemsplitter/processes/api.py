"""The API process: it serves HTTP requests."""

import itertools
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from stemsplitter import logs, stopping, tracing
from stemsplitter.files.temporary import remove_abandoned
from stemsplitter.migrations.upgrade import upgrade
from stemsplitter.probing import pool as probing
from stemsplitter.processes.app import create_app
from stemsplitter.processes.connections import ConnectionLimits, raise_file_limit
from stemsplitter.processes.port import cannot_listen
from stemsplitter.processes.running import published_url
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from stemsplitter.worker.membership import API

# time for running requests to finish when the process is stopped: a create takes up to 45 s
GRACE_S = 50
# longer than the keep-alive of proxies (60 s): the side that sends requests must close first
KEEP_ALIVE_S = 75


# connections that the system may queue, and that are accepted in one iteration of the event loop: a burst of them
# neither waits for as many iterations nor delays requests on connections that are already open
BACKLOG, ACCEPTED_AT_ONCE = 2048, 32


class Server(uvicorn.Server):
    """The HTTP server. A signal shuts it down, and is not raised again afterwards: the process exits with 0."""

    def __init__(self, app: ASGIApp, limits: ConnectionLimits, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http=limits.protocol,  # type: ignore[arg-type]  # anything that makes a protocol is accepted
                loop="asyncio",  # uvloop, if it is installed, accepts one connection in an iteration
                backlog=ACCEPTED_AT_ONCE,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=GRACE_S,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. asyncio has one number for the queue of the system and for what it accepts in an iteration."""
        await super().startup(sockets)
        for listener in itertools.chain.from_iterable(server.sockets for server in self.servers):
            with socket.fromfd(listener.fileno(), listener.family, listener.type) as same:
                same.listen(BACKLOG)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is threading.main_thread():
            for number in stopping.SIGNALS:
                signal.signal(number, self.handle_exit)
        yield


def run(settings: Settings) -> None:
    """Serve requests until SIGTERM or SIGINT, then finish the running ones.

    Raises:
        SettingsError, SchemaError: the settings or the database prevent a start.
    """
    logs.configure(settings.log_level)
    remove_abandoned()
    services = Services(settings)
    try:
        services.protect_files()
        upgrade(services.database)
        with services.heartbeat(API), published_url(settings):
            tracing.start(API)
            _serve(services)
    finally:
        tracing.stop()
        services.close()


def _serve(services: Services) -> None:
    settings = services.settings
    fitting = raise_file_limit()
    limits = ConnectionLimits(
        max_connections=min(settings.max_connections, fitting),
        header_seconds=settings.header_seconds,
        body_seconds=settings.body_seconds,
    )
    probing.start()  # ready for the first split
    app = create_app(services)
    server = Server(app, limits, settings.host, settings.port)
    app.state.count_connections = lambda: len(server.server_state.connections)
    app.state.is_stopping = lambda: server.should_exit  # ends streams
    try:
        server.run()
    except SystemExit as error:
        if server.started:
            raise
        raise cannot_listen(settings) from error
