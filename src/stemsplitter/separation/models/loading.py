"""From a catalogue entry to a model that separates."""

from stemsplitter.catalogue.entries import ModelEntry
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import ModelError
from stemsplitter.separation.models import SegmentModel
from stemsplitter.separation.runtimes import Runtime


def load_model(entry: ModelEntry, store: ModelStore, runtime: Runtime) -> SegmentModel:
    """Load a model's weights into a runtime; what is converted for it is kept in the store.

    Raises:
        ModelError: the weights are missing, damaged, or not what the entry says.
    """
    weights, cache = store.weights(entry.name), store.cache_dir(entry.name)
    if entry.architecture == "htdemucs":
        from stemsplitter.separation.models.htdemucs import HTDemucsModel

        model: SegmentModel = HTDemucsModel(runtime, weights, cache)
    elif entry.architecture == "spleeter":
        from stemsplitter.separation.models.spleeter import SpleeterModel

        model = SpleeterModel(runtime, weights, cache)
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
