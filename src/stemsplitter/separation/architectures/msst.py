"""The configurations of Music-Source-Separation-Training (MSST), for the architectures that it trains.

Only settings that change the result of a network are used: the sections ``audio``, ``model`` and ``inference``, and
the stems in ``training``. In the first three an unknown setting is refused, as it may change the result, too.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stemsplitter.checkpoints.readers import MAX_VALUES
from stemsplitter.checkpoints.states import LazyState
from stemsplitter.errors import ModelError
from stemsplitter.separation.layouts import INSTRUMENTAL, SIX_STEMS

SAMPLE_RATE: Final = 44_100
OVERLAP: Final = 0.25
"""Overlap of two segments, as a share of a segment."""
_AUDIO: Final = frozenset(
    ("chunk_size", "dim_f", "dim_t", "hop_length", "n_fft", "num_channels", "sample_rate", "min_mean_abs")
)
_INFERENCE: Final = frozenset(("batch_size", "chunk_size", "dim_t", "num_overlap", "normalize"))
_ALIASES: Final = {
    "vocal": "vocals",
    "inst": INSTRUMENTAL,
    "instrum": INSTRUMENTAL,
    "no_vocals": INSTRUMENTAL,
}


@dataclass(frozen=True)
class MsstConfiguration:
    """The settings that all architectures have.

    Attributes:
        model: arguments of the network.
        segment: samples in a segment.
        normalize: the network expects audio with a standard deviation of 1.
        instruments: names of the network's outputs, or those of the target and the rest.
        target: name of the only output; None if each instrument has one.
    """

    model: Mapping[str, Any]
    segment: int
    normalize: bool
    instruments: tuple[str, ...]
    target: str | None


@dataclass(frozen=True)
class Outputs:
    """The stems of a model, and the outputs of its network that give them.

    Attributes:
        stems: names of the stems.
        heads: index of the network's output for each stem; the last stem has none if it is the rest of the mixture.
    """

    stems: tuple[str, ...]
    heads: tuple[int, ...]


def parse_configuration(values: Mapping[str, Any], model_keys: frozenset[str]) -> MsstConfiguration:
    """Parse a configuration whose network has the arguments ``model_keys``.

    Raises:
        ModelError: a setting is missing, unknown, or has another value than the supported one; it is named.
    """
    audio, inference = _section(values, "audio", _AUDIO), _section(values, "inference", _INFERENCE)
    model, training = _section(values, "model", model_keys), _section(values, "training", None)
    for name, value, supported in (
        ("audio.sample_rate", audio.get("sample_rate", SAMPLE_RATE), SAMPLE_RATE),
        ("audio.num_channels", audio.get("num_channels", 2), 2),
    ):
        if value != supported:
            raise ModelError(f"The configuration has {name} {value!r}: only {supported} is supported.")
    segment = inference.get("chunk_size", audio.get("chunk_size"))
    if type(segment) is not int or not SAMPLE_RATE <= segment <= 60 * SAMPLE_RATE:
        raise ModelError(f"The configuration has chunk_size {segment!r}: it must be 1 to 60 s, in samples.")
    instruments = training.get("instruments")
    if not isinstance(instruments, list | tuple) or not all(isinstance(name, str) for name in instruments):
        raise ModelError("The configuration has no list training.instruments: choose another file.")
    target = training.get("target_instrument")
    if target is not None and target not in instruments:
        raise ModelError(
            f"The configuration has target_instrument {target!r}, which is not one of its instruments."
        )
    return MsstConfiguration(model, segment, inference.get("normalize") is True, tuple(instruments), target)


def choose_outputs(configuration: MsstConfiguration, count: int) -> Outputs:
    """Choose the stems that make up a song among the ``count`` outputs of a network.

    If they lack only the rest of a song, that is the mixture minus the others.

    Raises:
        ModelError: the outputs do not make up a song.
    """
    target = configuration.target
    if target is not None and count == 1:
        names: Sequence[str] = (target,)
    else:
        names = configuration.instruments
    if len(names) != count:
        raise ModelError(
            f"The configuration has {len(names)} instruments, but the checkpoint has {count}: choose matching files."
        )
    heads = {_ALIASES.get(name.lower(), name.lower()): head for head, name in enumerate(names)}
    if target is not None and count > 1:
        heads = {target: configuration.instruments.index(target)}
    if set(configuration.instruments) == {"vocals", "other"} and "other" in heads:
        heads[INSTRUMENTAL] = heads.pop("other")
    parts = {"vocals", "drums", "bass"}
    if parts | {"other"} <= heads.keys() <= set(SIX_STEMS) or heads.keys() == {"vocals", INSTRUMENTAL}:
        return Outputs(tuple(heads), tuple(heads.values()))
    known = [name for name in SIX_STEMS if name in heads and name != "other"]
    if parts <= set(known):
        return Outputs((*known, "other"), tuple(heads[name] for name in known))
    for stem, rest in (("vocals", INSTRUMENTAL), (INSTRUMENTAL, "vocals")):
        if stem in heads:
            return Outputs((stem, rest), (heads[stem],))
    raise ModelError(
        f"The stems of this model ({', '.join(heads)}) do not make up a song, nor do they with the rest of the "
        "mixture: only models with vocals, or with vocals, drums and bass, can be added."
    )


def add_rest(stems: NDArray[np.float32], mixture: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Append the rest of the mixture ``[2, n]`` to stems ``[S, 2, n]`` if ``count`` is more than S."""
    if len(stems) == count:
        return stems
    return np.concatenate([stems, (mixture - stems.sum(axis=0))[None]])


def check_size(state: LazyState, names: Iterable[str]) -> None:
    """Check that the parameters ``names`` fit in memory; ModelError if they are too large."""
    if sum(math.prod(state.shapes[name]) for name in names) > MAX_VALUES:
        raise ModelError(f"The checkpoint has more than {MAX_VALUES} values: choose another file.")


def count_names(state: LazyState, pattern: str) -> int:
    """Return how many parameters there are whose names have the numbers 0, 1, … in this pattern."""
    count = 0
    while pattern.format(count) in state:
        count += 1
    return count


def require(model: Mapping[str, Any], fixed: Mapping[str, Any]) -> None:
    """Check that the arguments of a network have the supported values; ModelError names the one that has not."""
    for name, supported in fixed.items():
        if model.get(name, supported) != supported:
            raise ModelError(
                f"The configuration has model.{name} {model[name]!r}: only {supported!r} is supported."
            )


def _section(values: Mapping[str, Any], name: str, known: frozenset[str] | None) -> Mapping[str, Any]:
    section = values.get(name)
    if not isinstance(section, dict):
        raise ModelError(
            f"The configuration has no section {name!r}: choose the one that belongs to the checkpoint."
        )
    if known is not None and (unknown := [str(key) for key in section if key not in known]):
        raise ModelError(
            f"The configuration has {name}.{unknown[0]}, which is unknown here and may change the result: "
            "this model cannot be added."
        )
    return section
