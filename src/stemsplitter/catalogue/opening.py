"""Opens the model of a catalogue entry on a device: a network or a chain of two."""

from dataclasses import replace
from typing import TYPE_CHECKING

from stemsplitter.catalogue.entries import TOOL_ARCHITECTURES, ModelEntry
from stemsplitter.catalogue.loading import load_model, vocals_source
from stemsplitter.catalogue.precision import open_checked_runtime
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import ModelError

OTHER = "other"

if TYPE_CHECKING:
    from stemsplitter.separation.chain import Chain
    from stemsplitter.separation.model import SegmentModel


def open_model(
    entry: ModelEntry, store: ModelStore, device: str, precision: str, threads: int | None
) -> "SegmentModel | Chain":
    """Load a model; each network has the precision that is known to be exact enough for it.

    Raises:
        RequestError: the device or precision is not available.
        ModelError: the weights are missing, damaged, or do not match the entry.
    """
    if entry.architecture in TOOL_ARCHITECTURES:
        raise ModelError(f"The model {entry.name} does not separate songs: see `stemsplitter models list`.")
    if not entry.chain:
        return load_model(entry, store, open_checked_runtime(entry, store, device, precision, threads))
    from stemsplitter.separation.chain import Chain

    first, rest = (
        load_model(part, store, open_checked_runtime(part, store, device, precision, threads))
        for part in _parts(entry, store)
    )
    return Chain(first, rest, entry.stems)


def _parts(entry: ModelEntry, store: ModelStore) -> list[ModelEntry]:
    """Return the models of a chain as it uses them: the vocals are given, and only the rest is estimated."""
    first, rest = _chain_models(entry, store)
    if rest.name == entry.rest_from:
        stems = tuple(stem for stem in rest.stems if stem not in first.stems or stem == OTHER)
        heads = dict(zip(rest.stems, rest.settings["heads"], strict=False))
        settings = {**rest.settings, "heads": [heads[stem] for stem in stems if stem in heads]}
        rest = replace(rest, stems=stems, settings=settings)
    return [replace(part, vocals_from=None) for part in (first, rest)]


def _chain_models(entry: ModelEntry, store: ModelStore) -> list[ModelEntry]:
    """Return the models of a chain, the second of them ``rest_from`` if that is installed."""
    first, rest = store.parts(entry.name)
    if entry.rest_from is not None and store.is_ready(entry.rest_from):
        rest = store.entry(entry.rest_from)
    return [first, rest]


def models_used(entry: ModelEntry, store: ModelStore) -> list[ModelEntry]:
    """Return the model, and those of its chain or the installed one that extracts the vocals for it."""
    if entry.chain:
        return [entry, *_chain_models(entry, store)]
    source = vocals_source(entry, store)
    return [entry, source] if source else [entry]
