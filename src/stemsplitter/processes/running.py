"""URL of the API that runs on this machine, which the options of its command may set."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stemsplitter.settings import Settings


@contextmanager
def published_url(settings: Settings) -> Iterator[None]:
    """Keep the URL of this API in a file of the data folder while it runs."""
    file = _file(settings)
    with suppress(OSError):  # the folder of a container can be read-only
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(settings.base_url)
    try:
        yield
    finally:
        with suppress(OSError):
            file.unlink()


def server_url(settings: Settings) -> str:
    """Return the URL of the server: the public one, else that of the running API, else that of the settings."""
    if settings.public_url:
        return settings.public_url
    try:
        return _file(settings).read_text()
    except OSError:
        return settings.base_url


def _file(settings: Settings) -> Path:
    return settings.data_dir / "api.url"
