"""``stemsplitter migrate``: the database's tables, apart from a start of the server."""

from stemsplitter.cli.service import DataDir, server


def migrate(data_dir: DataDir = None) -> None:
    """Bring the database's tables to this version. The server does it too, when it starts."""
    with server(data_dir) as services:  # which brings them there
        from stemsplitter.migrations.upgrade import upgrade

        print(f"The tables are those of revision {upgrade(services.database)}.")
