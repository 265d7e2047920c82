"""The port of the API, which ``serve`` checks without the imports of the API."""

import errno
import socket
import time

from stemsplitter.errors import SettingsError
from stemsplitter.settings import Settings

PORT_S = 5.0


def check_port(settings: Settings) -> None:
    """Raise SettingsError if the server cannot listen; wait for another one that is stopping."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    deadline = time.monotonic() + PORT_S
    while True:
        try:
            socket.create_server((settings.host, settings.port), family=family).close()
            return
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise cannot_listen(settings) from error
        time.sleep(0.2)


def cannot_listen(settings: Settings) -> SettingsError:
    """Return the error for an address or port that is in use or forbidden."""
    return SettingsError(
        f"The server cannot listen on {settings.host}:{settings.port}: choose another --port or --host, or stop the "
        "program that listens there."
    )
