"""``stemsplitter migrate``, ``backup`` and ``restore``: the data of a server."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemsplitter.cli.admin import DataDir, open_services
from stemsplitter.cli.output import print_message

if TYPE_CHECKING:
    from stemsplitter.backup import Copied


def migrate(data_dir: DataDir = None) -> None:
    """Migrate the database to this version. A server does this at its start, too."""
    from stemsplitter.migrations.upgrade import upgrade

    with open_services(data_dir) as services:
        print(f"The database is at revision {upgrade(services.database)}.")


def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New folder for the backup.")],
    data_dir: DataDir = None,
) -> None:
    """Back up database, files and secret key to a new folder. The server can keep running."""
    from stemsplitter.backup import back_up
    from stemsplitter.settings import load_settings

    copied = back_up(load_settings(data_dir=data_dir), folder)
    print(folder)
    print_message(_summary(copied))
    if not copied.has_secret:
        print_message(
            "The backup does not contain the secret key, which is not stored in a file: also save "
            "STEMSPLITTER_SECRET_KEY."
        )


def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder created by `backup`.")],
    data_dir: DataDir = None,
) -> None:
    """Restore a backup. Stop the server first; its current data is moved aside."""
    from stemsplitter.backup import restore as restore_backup
    from stemsplitter.settings import load_settings

    settings = load_settings(data_dir=data_dir)
    copied = restore_backup(settings, folder)
    print(settings.data_dir)
    print_message(_summary(copied))


def _summary(copied: "Copied") -> str:
    return f"Database and {copied.files} files, {copied.size / 1e6:.1f} MB."
