"""An account on a server: a client of the API that also queries the database."""

from pathlib import Path
from typing import Any

from .api_client import ApiClient
from .processes import is_running
from .server import Server

EMAIL = "someone@example.com"


class Account(ApiClient):
    """New account with an API key, its splits and ledger, and the server's workers."""

    def __init__(self, server: Server) -> None:
        super().__init__(server, server.new_key(EMAIL))

    def start_split(self, song: Path, **options: Any) -> str:
        """Create a split with two stems, unless ``options`` select others. Returns its id."""
        return str(self.create_split(song, **{"stems": ["vocals", "drums"], **options})["id"])

    def balance(self) -> int:
        return int(self.data("GET", "/credits")["balance"])

    def row(self, split_id: str, columns: str) -> tuple[Any, ...]:
        """Select columns of a split from the database."""
        (row,) = self.server.query(f"SELECT {columns} FROM jobs WHERE id = :id", id=split_id)
        return row

    def ledger_entries(self, split_id: str) -> list[tuple[str, int]]:
        entries = "SELECT kind, amount FROM ledger_entries WHERE split_id = :id ORDER BY kind"
        return self.server.query(entries, id=split_id)

    def workers(self) -> set[int]:
        """Process ids of the running workers."""
        newest = "SELECT pid FROM workers WHERE role = 'worker' AND state = 'working' ORDER BY started_at DESC LIMIT 8"
        return {pid for (pid,) in self.server.query(newest) if is_running(pid)}

    def worker_of(self, split_id: str) -> int:
        """Process id of the worker that runs a split."""
        its = "SELECT pid FROM workers JOIN jobs ON worker_id = workers.id WHERE jobs.id = :id"
        ((pid,),) = self.server.query(its, id=split_id)
        return int(pid)
