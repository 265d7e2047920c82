"""Options and services that the administration commands share.

SQLAlchemy and the modules that need it are imported when a command runs, so that `--help` and `split` start fast.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stemsplitter.services import Services

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Data folder of the server (STEMSPLITTER_DATA_DIR)."),
]
AccountName = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Email address or ID of the account.")]


@contextmanager
def open_services(data_dir: Path | None) -> Iterator["Services"]:
    """Open the services on a migrated database."""
    from stemsplitter.migrations.upgrade import upgrade
    from stemsplitter.services import Services
    from stemsplitter.settings import load_settings

    services = Services(load_settings(data_dir=data_dir))
    try:
        services.protect_files()
        upgrade(services.database)
        yield services
    finally:
        services.close()
