"""Background downloads of models in a running server, and the checks after them."""

import logging
import threading
from contextlib import closing
from dataclasses import dataclass

from stemsplitter.catalogue.store import ModelStore
from stemsplitter.child_processes import ChildProcess
from stemsplitter.errors import ModelError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pull:
    """The state of a pull.

    Attributes:
        done: bytes downloaded.
        total: bytes to download; None until it is known.
        error: reason why the pull failed; None while it runs.
    """

    done: int = 0
    total: int | None = None
    error: str | None = None


class Pulls:
    """Pulls of this process, each in its own thread; a pull that ends with the process can be resumed.

    Afterwards, a child process measures the model (see `checks`) on the ``device``, one model at a time.
    """

    def __init__(self, store: ModelStore, device: str = "auto") -> None:
        self._store, self._device = store, device
        self._lock, self._checking = threading.Lock(), threading.Lock()
        self._pulls: dict[str, Pull] = {}

    def start(self, name: str) -> None:
        """Start a pull unless it runs already.

        Raises:
            ModelError: there is no such model.
        """
        self._store.entry(name)
        with self._lock:
            found = self._pulls.get(name)
            if found is not None and found.error is None:
                return
            self._pulls[name] = Pull()
        threading.Thread(target=self._pull, args=(name,), name=f"pull {name}", daemon=True).start()

    def find(self, name: str) -> Pull | None:
        """Return the pull that runs or failed; None after success or without a pull."""
        with self._lock:
            return self._pulls.get(name)

    def _pull(self, name: str) -> None:
        try:
            self._store.pull(name, lambda done, total: self._set(name, Pull(done, total)))
        except ModelError as error:
            _log.warning("the model %s could not be downloaded: %s", name, error)
            self._set(name, Pull(error=str(error)))
        except Exception:
            _log.exception("the model %s could not be downloaded", name)
            self._set(name, Pull(error="The download failed: see the log of the server."))
        else:
            with self._lock:
                del self._pulls[name]
            self._check(name)

    def _check(self, name: str) -> None:
        """Measure a model; splits use it meanwhile, in single precision and where its quality is named."""
        root = str(self._store.root.absolute())
        with (
            self._checking,
            closing(ChildProcess("stemsplitter.catalogue.checks", root, name, self._device)) as child,
        ):
            death = child.wait()
        if death.code:
            _log.warning(
                "the model %s could not be measured (%s): run `stemsplitter models verify %s --precision "
                "--speed`",
                name,
                death,
                name,
            )

    def _set(self, name: str, pull: Pull) -> None:
        with self._lock:
            self._pulls[name] = pull
