"""Selects the model for a request without a model, and downloads it.

The command, the library and the server use the first model of the catalogue that provides the stems, has an
unrestricted license and is installed. The command and the server first download the models before it.
"""

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

from stemsplitter.catalogue.entries import ModelEntry, provides
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import ModelError, RequestError
from stemsplitter.files.verified import Progress

Announce = Callable[[ModelEntry], AbstractContextManager[Progress]]

_log = logging.getLogger(__name__)


def candidates_for(stems: Iterable[str], entries: Iterable[ModelEntry]) -> list[ModelEntry]:
    """Return the models that provide these stems and have an unrestricted license, in their order.

    Raises:
        RequestError: there is none; it lists the models that have to be named.
    """
    requested = tuple(stems)
    providing = [entry for entry in entries if provides(entry, requested)]
    if candidates := [entry for entry in providing if entry.permissive]:
        return candidates
    if not providing:
        raise RequestError(f"No model provides {', '.join(requested)} in one run: request other stems.")
    names = [entry.name for entry in sorted(providing, key=lambda entry: len(entry.stems))]
    raise RequestError(
        f"For {', '.join(requested)} choose the model yourself, {' or '.join(names)}, as the terms of its weights "
        f"are unclear: run `stemsplitter models pull {names[0]}`, read its note, and add --model {names[0]}."
    )


def default_model_for(stems: Iterable[str], store: ModelStore) -> ModelEntry:
    """Return the first candidate for these stems that is installed, else the first, whose use raises an error.

    Raises:
        RequestError: there is no candidate.
    """
    candidates = candidates_for(stems, store.entries())
    return next((entry for entry in candidates if store.is_ready(entry.name)), candidates[0])


class ModelDownloader:
    """Downloads models, trying each once; ``failed`` has the errors by the name of the model.

    ``announce`` returns a context manager around the download of a model, whose value reports its progress.
    """

    def __init__(self, store: ModelStore, announce: Announce) -> None:
        self._store, self._announce = store, announce
        self.failed: dict[str, ModelError] = {}

    def first_available(self, candidates: Iterable[ModelEntry]) -> ModelEntry:
        """Return the first model that is installed or can be downloaded, and download its ``vocals_from`` if possible.

        Raises:
            ModelError: no model is available; it is the error of the first.
        """
        entries = list(candidates)
        for entry in entries:
            if self._is_available(entry):
                if entry.vocals_from is not None:
                    self._is_available(self._store.entry(entry.vocals_from))
                return entry
        raise self.failed[entries[0].name]

    def _is_available(self, entry: ModelEntry) -> bool:
        if self._store.is_ready(entry.name):
            return True
        for name in entry.chain:
            if not self._is_available(self._store.entry(name)):
                self.failed[entry.name] = self.failed[name]
                return False
        if entry.chain:
            return True
        if entry.name not in self.failed:
            try:
                silent = self._store.offline or entry.built_in
                with nullcontext() if silent else self._announce(entry) as progress:
                    self._store.pull(entry.name, progress)
            except ModelError as error:
                _log.debug("the model %s is not available:", entry.name, exc_info=error)
                self.failed[entry.name] = error
        return entry.name not in self.failed
