"""The registry of network architectures.

Each architecture is a folder: `network.py` describes the network on the operations of `separation.ops`; `model.py`
reads its checkpoints, converts waveforms to the network's input and its output to stems. An entry in `ARCHITECTURES`
registers it. Importing this module imports neither NumPy nor a runtime, so listing models stays fast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from stemsplitter.checkpoints.states import LazyState
    from stemsplitter.separation.architectures.spectral import VocalsMask
    from stemsplitter.separation.model import SegmentModel
    from stemsplitter.separation.runtimes import Runtime


@dataclass(frozen=True)
class ModelFiles:
    """The files of one model.

    Attributes:
        weights: checkpoints, in the order of the catalogue entry.
        cache: folder for files that a runtime derives from the checkpoints.
        stems: names of the stems, in the order of the catalogue entry.
        settings: what the weights do not show about the network; the names depend on the architecture.
    """

    weights: Sequence[Path]
    cache: Path
    stems: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelDescription:
    """The part of a catalogue entry that is read from a checkpoint and its configuration."""

    stems: tuple[str, ...]
    settings: Mapping[str, Any]


Load = Callable[["Runtime", ModelFiles, "VocalsMask | None"], "SegmentModel"]
LoadVocalsMask = Callable[["Runtime", ModelFiles], "VocalsMask"]
DescribeModel = Callable[["LazyState", Mapping[str, Any]], "ModelDescription | None"]


@dataclass(frozen=True)
class Architecture:
    """A kind of network that models of the catalogue and models of users are loaded with.

    Attributes:
        name: value of ``architecture`` in a catalogue entry.
        load: builds a model from its files on a runtime; the mask of another model, which extracts the vocals, is
            given where the entry has ``vocals_from`` and that model's files are present.
        load_vocals_mask: builds the mask for other models; None where the architecture offers none.
        checkpoint_class: class named in the Demucs checkpoints that a user can add; None where none can be added.
        describe: describes a network from its parameters and its MSST configuration, or returns None if it is one of
            another architecture; None where no such network can be added.
        layers: names of the network's layers (`separation.ops.Ops.layer`), in order, that can stay in single precision
            where others are computed in half. Where it has any, half precision is used only after a comparison; see
            `catalogue.precision`.
    """

    name: str
    load: Load
    load_vocals_mask: LoadVocalsMask | None = None
    checkpoint_class: str | None = None
    describe: DescribeModel | None = None
    layers: tuple[str, ...] = ()


def _bandnet(runtime: Runtime, files: ModelFiles, vocals: VocalsMask | None) -> SegmentModel:
    from stemsplitter.separation.architectures.bandnet.model import BandNetModel

    return BandNetModel(runtime, files.weights[0], files.cache, vocals)


def _htdemucs(runtime: Runtime, files: ModelFiles, _: VocalsMask | None) -> SegmentModel:
    from stemsplitter.separation.architectures.htdemucs.model import HTDemucsModel

    return HTDemucsModel(runtime, files.weights, files.cache)


def _roformer(runtime: Runtime, files: ModelFiles, _: VocalsMask | None) -> SegmentModel:
    from stemsplitter.separation.architectures.roformer.model import RoFormerModel

    return RoFormerModel(runtime, files)


def _describe_roformer(state: LazyState, configuration: Mapping[str, Any]) -> ModelDescription | None:
    from stemsplitter.separation.architectures.roformer.settings import describe

    return describe(state, configuration)


def _scnet(runtime: Runtime, files: ModelFiles, _: VocalsMask | None) -> SegmentModel:
    from stemsplitter.separation.architectures.scnet.model import SCNetModel

    return SCNetModel(runtime, files)


def _describe_scnet(state: LazyState, configuration: Mapping[str, Any]) -> ModelDescription | None:
    from stemsplitter.separation.architectures.scnet.settings import describe

    return describe(state, configuration)


def _spleeter(runtime: Runtime, files: ModelFiles, _: VocalsMask | None) -> SegmentModel:
    from stemsplitter.separation.architectures.spleeter.model import SpleeterModel

    return SpleeterModel(runtime, files.weights, files.cache)


def _spleeter_mask(runtime: Runtime, files: ModelFiles) -> VocalsMask:
    from stemsplitter.separation.architectures.spleeter.model import SpleeterMask

    return SpleeterMask(runtime, files.weights, files.cache)


ARCHITECTURES: Final = {
    architecture.name: architecture
    for architecture in (
        Architecture("bandnet", _bandnet),
        Architecture("htdemucs", _htdemucs, checkpoint_class="HTDemucs"),
        Architecture(
            "roformer",
            _roformer,
            describe=_describe_roformer,
            layers=("bands", "early", "late", "masks"),
        ),
        Architecture("scnet", _scnet, describe=_describe_scnet, layers=("encoder", "separation", "decoder")),
        Architecture("spleeter", _spleeter, load_vocals_mask=_spleeter_mask),
    )
}
