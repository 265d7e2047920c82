"""Models that are fetched while a server runs, without anybody waiting for the end."""

import logging
import threading
from dataclasses import dataclass

from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import ModelError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pull:
    """How far a model's pull is: bytes ``done`` of ``total``, which is None until it is known.

    ``error`` tells why it ended without the model; it is None while it goes on.
    """

    done: int = 0
    total: int | None = None
    error: str | None = None


class Pulls:
    """Pulls of this process, each in a thread of its own; one that the process's end cuts off can be begun again."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._turn = threading.Lock()
        self._pulls: dict[str, Pull] = {}

    def begin(self, name: str) -> None:
        """Fetch a model from now on; nothing is begun where that is under way already.

        Raises:
            ModelError: there is no such model.
        """
        self._store.entry(name)
        with self._turn:
            found = self._pulls.get(name)
            if found is not None and found.error is None:
                return
            self._pulls[name] = Pull()
        threading.Thread(target=self._pull, args=(name,), name=f"pull {name}", daemon=True).start()

    def find(self, name: str) -> Pull | None:
        """The pull that is under way, or that failed; None where the model was fetched, or never asked for."""
        with self._turn:
            return self._pulls.get(name)

    def _pull(self, name: str) -> None:
        try:
            self._store.pull(name, lambda done, total: self._note(name, Pull(done, total)))
        except ModelError as error:
            _log.warning("the model %s cannot be had: %s", name, error)
            self._note(name, Pull(error=str(error)))
        except Exception:
            _log.exception("the model %s cannot be had", name)
            self._note(name, Pull(error="It cannot be fetched, for a reason that the server's log tells."))
        else:
            with self._turn:
                del self._pulls[name]

    def _note(self, name: str, pull: Pull) -> None:
        with self._turn:
            self._pulls[name] = pull
