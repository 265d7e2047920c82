"""From a catalogue entry to a model that separates."""

from typing import TYPE_CHECKING

from stemsplitter.catalogue.entries import ModelEntry
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import ModelError
from stemsplitter.separation.model import SegmentModel
from stemsplitter.separation.runtimes import Runtime

if TYPE_CHECKING:
    from stemsplitter.separation.architectures.spleeter.model import VocalsMask


def load_model(entry: ModelEntry, store: ModelStore, runtime: Runtime) -> SegmentModel:
    """Load a model's weights into a runtime; what is converted for it is kept in the store.

    Raises:
        ModelError: the weights are missing, damaged, or not what the entry says.
    """
    weights, cache = store.weights(entry.name), store.cache_dir(entry.name)
    if entry.architecture == "htdemucs":
        from stemsplitter.separation.architectures.htdemucs.model import HTDemucsModel

        model: SegmentModel = HTDemucsModel(runtime, weights, cache)
    elif entry.architecture == "spleeter":
        from stemsplitter.separation.architectures.spleeter.model import SpleeterModel

        model = SpleeterModel(runtime, weights, cache)
    elif entry.architecture == "bandnet":
        from stemsplitter.separation.architectures.builtin.model import BuiltinModel

        # the file comes with the program, so that another version may bring another of the same name
        compiled = cache / f"bandnet-{entry.weights[0].sha256[:12]}"
        model = BuiltinModel(runtime, weights[0], compiled, _vocals(entry, store, runtime))
    else:
        raise ModelError(
            f"The model {entry.name} is of a kind unknown here ({entry.architecture}): update stemsplitter."
        )
    if model.stems != entry.stems:
        raise ModelError(
            f"The weights of {entry.name} give {', '.join(model.stems)}, not {', '.join(entry.stems)}: "
            f"run `stemsplitter models remove {entry.name}` and add the right ones."
        )
    return model


def _vocals(entry: ModelEntry, store: ModelStore, runtime: Runtime) -> "VocalsMask | None":
    """What finds the vocals for a model that is better with it, where it is here."""
    name = entry.vocals_from
    if name is None or not store.is_ready(name):
        return None
    from stemsplitter.separation.architectures.spleeter.model import VocalsMask

    return VocalsMask(runtime, store.weights(name), store.cache_dir(name))
