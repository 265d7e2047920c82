"""Loads the model of a catalogue entry."""

from typing import TYPE_CHECKING

from stemsplitter.catalogue.entries import ModelEntry
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import ModelError
from stemsplitter.separation.architectures import ARCHITECTURES, ModelFiles

if TYPE_CHECKING:
    from stemsplitter.separation.architectures.spectral import VocalsMask
    from stemsplitter.separation.model import SegmentModel
    from stemsplitter.separation.runtimes import Runtime


def load_model(entry: ModelEntry, store: ModelStore, runtime: "Runtime") -> "SegmentModel":
    """Load a model's weights on a runtime; files derived from them are kept in the store.

    Raises:
        ModelError: the weights are missing, damaged, or do not match the entry.
    """
    files = _files(entry, store)
    model = ARCHITECTURES[entry.architecture].load(runtime, files, _vocals_mask(entry, store, runtime))
    if model.stems != entry.stems:
        raise ModelError(
            f"The weights of {entry.name} give {', '.join(model.stems)}, not {', '.join(entry.stems)}: "
            f"run `stemsplitter models remove {entry.name}` and add the right ones."
        )
    return model


def _files(entry: ModelEntry, store: ModelStore) -> ModelFiles:
    return ModelFiles(store.weights(entry.name), store.cache_dir(entry.name), entry.stems, entry.settings)


def vocals_source(entry: ModelEntry, store: ModelStore) -> ModelEntry | None:
    """Return the installed model that extracts the vocals for another one, if any."""
    if entry.vocals_from is None or not store.is_ready(entry.vocals_from):
        return None
    source = store.entry(entry.vocals_from)
    return source if ARCHITECTURES[source.architecture].load_vocals_mask else None


def _vocals_mask(entry: ModelEntry, store: ModelStore, runtime: "Runtime") -> "VocalsMask | None":
    source = vocals_source(entry, store)
    load = ARCHITECTURES[source.architecture].load_vocals_mask if source else None
    return load(runtime, _files(source, store)) if source and load else None
