"""``stemsplitter backup`` and ``restore``: a server's data in a folder, and back."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from stemsplitter.cli.service import DataDir


def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")],
    data_dir: DataDir = None,
) -> None:
    """Copy a server's database, files and secret key into a new folder. The server may run. Prints the folder."""
    from stemsplitter.backup import back_up
    from stemsplitter.settings import load_settings

    copied = back_up(load_settings(data_dir=data_dir), folder)
    print(folder)
    print(f"The database and {copied.files} files, {copied.size / 1e6:.1f} MB.", file=sys.stderr)
    if not copied.has_secret:
        print(
            "The secret key is not among them, as it is not in a file: keep STEMSPLITTER_SECRET_KEY, too.",
            file=sys.stderr,
        )


def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `backup` made.")],
    data_dir: DataDir = None,
) -> None:
    """Make a server's data from a backup. The server is stopped, and its old data moved away."""
    from stemsplitter.backup import restore as restore_from
    from stemsplitter.settings import load_settings

    settings = load_settings(data_dir=data_dir)
    copied = restore_from(settings, folder)
    print(settings.data_dir)
    print(f"The database and {copied.files} files, {copied.size / 1e6:.1f} MB.", file=sys.stderr)
