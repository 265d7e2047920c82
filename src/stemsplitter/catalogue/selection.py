"""Which model is taken where none is named, and bringing it here.

The rule, in the command, the library and the server: the first model in the catalogue's order that gives the stems,
may be used for anything, and is here; those before it that are not here are fetched first where that may be done.
"""

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

from stemsplitter.catalogue.entries import ModelEntry, can_give
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import ModelError, RequestError
from stemsplitter.files.verified import Progress

Fetching = Callable[[ModelEntry], AbstractContextManager[Progress]]

_log = logging.getLogger(__name__)


def candidates_for(stems: Iterable[str], entries: Iterable[ModelEntry]) -> list[ModelEntry]:
    """Those of the models that give these stems and may be used for anything, in their order.

    RequestError where there is none: it names the models that do give them, which have to be asked for.
    """
    wanted = tuple(stems)
    giving = [entry for entry in entries if can_give(entry, wanted)]
    if candidates := [entry for entry in giving if entry.permissive]:
        return candidates
    if not giving:
        raise RequestError(f"No model gives {', '.join(wanted)} in one run: ask for other stems.")
    names = [entry.name for entry in sorted(giving, key=lambda entry: len(entry.stems))]
    raise RequestError(
        f"For {', '.join(wanted)} name the model yourself, {' or '.join(names)}, as the terms of its weights "
        f"are unclear: run `stemsplitter models pull {names[0]}`, read its note, and add --model {names[0]}."
    )


def default_model_for(stems: Iterable[str], store: ModelStore) -> ModelEntry:
    """The model to use for these stems when none was named: the first candidate that is here.

    Where none is here it is the first of all, which says how to get it when it is used.

    Raises:
        RequestError: there is no candidate.
    """
    candidates = candidates_for(stems, store.entries())
    return next((entry for entry in candidates if store.is_ready(entry.name)), candidates[0])


class Fetcher:
    """Brings models here. What cannot be had is tried once, and told in ``failed`` by the model's name.

    ``fetching`` announces a model that is about to be fetched and shows the progress.
    """

    def __init__(self, store: ModelStore, fetching: Fetching) -> None:
        self._store, self._fetching = store, fetching
        self.failed: dict[str, ModelError] = {}

    def bring(self, candidates: Iterable[ModelEntry]) -> ModelEntry:
        """The first of them that is here or can be fetched; with it what finds its vocals, if that can be had.

        Raises:
            ModelError: none can be had; it says why the first cannot.
        """
        entries = list(candidates)
        for entry in entries:
            if self._bring(entry):
                if entry.vocals_from is not None:
                    self._bring(self._store.entry(entry.vocals_from))
                return entry
        raise self.failed[entries[0].name]

    def _bring(self, entry: ModelEntry) -> bool:
        if self._store.is_ready(entry.name):
            return True
        if entry.name not in self.failed:
            try:
                unfetched = self._store.offline or entry.built_in
                with nullcontext() if unfetched else self._fetching(entry) as progress:
                    self._store.pull(entry.name, progress)
            except ModelError as error:
                _log.debug("%s cannot be had:", entry.name, exc_info=error)
                self.failed[entry.name] = error
        return entry.name not in self.failed
