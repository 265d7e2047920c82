"""Access to the models, through the public library."""

from collections.abc import Callable, Iterable, Iterator

from evaluation.datasets import SAMPLE_RATE, Audio
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.library import Separator

Separate = Callable[[Audio], dict[str, Audio]]
"""Turns a mixture [2, n] at 44.1 kHz into the model's own stems, each [2, n]."""


def ready_models() -> list[str]:
    """Names of the installed models."""
    store = ModelStore()
    return [entry.name for entry in store.entries() if store.is_ready(entry.name)]


def load(names: Iterable[str]) -> Iterator[tuple[str, Separate]]:
    """Each model by name, loaded when it is needed."""
    for name in names:
        yield name, _separate_with(Separator(name, device="cpu"))


def _separate_with(separator: Separator) -> Separate:
    return lambda mixture: separator.separate(mixture, sample_rate=SAMPLE_RATE).stems
