"""What a process of the server is made of: every part is built here, once, from the settings."""

from functools import cached_property

from stemsplitter.database import Database
from stemsplitter.idempotency.service import IdempotencyService
from stemsplitter.settings import Settings


class Application:
    """The parts of a server, each made when it is first asked for: a command pays for what it uses.

    The API, the workers and the commands all take their parts from here.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def database(self) -> Database:
        """The database, with its folder made."""
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        return Database(self.settings.database)

    @cached_property
    def idempotency(self) -> IdempotencyService:
        """Requests that were sent with an idempotency key."""
        return IdempotencyService(self.database)

    def close(self) -> None:
        """Close what was opened."""
        if "database" in self.__dict__:
            self.database.close()
