"""The configuration of an SCNet: from the shapes of its parameters as far as possible, else from settings."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from stemsplitter.checkpoints.states import LazyState
from stemsplitter.errors import ModelError
from stemsplitter.separation.architectures import ModelDescription
from stemsplitter.separation.architectures.msst import (
    check_size,
    choose_outputs,
    count_names,
    parse_configuration,
    require,
)
from stemsplitter.separation.architectures.scnet.network import BANDS, PLANES, SCNetShape

# arguments of MSST's SCNet that the shapes of the parameters show
_SHOWN = frozenset(
    ("sources", "dims", "band_kernel", "conv_depths", "compress", "conv_kernel", "num_dplayer", "expand")
)
_USED = frozenset(("band_SR", "band_stride", "nfft", "hop_size", "normalized"))


@dataclass(frozen=True)
class SCNetSettings:
    """The settings that the weights do not show; the names are those of MSST's configurations.

    Attributes:
        segment: samples in a segment.
        band_SR: shares of the bins in the low, the middle and the high band.
        band_stride: strides along frequency in each band.
        nfft: samples in a frame of the transform.
        hop_size: samples between frames.
        normalized: the spectrum is divided by ``sqrt(nfft)``.
        normalize: the network expects audio with a standard deviation of 1.
        heads: see `msst.Outputs`; by default each output is a stem.
    """

    segment: int
    band_SR: tuple[float, ...]
    band_stride: tuple[int, ...] = (1, 4, 16)
    nfft: int = 4096
    hop_size: int = 1024
    normalized: bool = True
    normalize: bool = False
    heads: tuple[int, ...] | None = None

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> "SCNetSettings":
        """Check the settings; ModelError names the one that is wrong."""
        known: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        try:
            options = cls(**known)
            whole = (options.segment, options.nfft, options.hop_size, *options.band_stride)
            if not all(type(value) is int and 0 < value < 1 << 24 for value in whole):
                raise ValueError("a size")
            if len(options.band_SR) != BANDS or len(options.band_stride) != BANDS or options.nfft % 8:
                raise ValueError("the bands")
            if not all(0 < share < 1 for share in options.band_SR) or options.hop_size > options.nfft // 2:
                raise ValueError("a share")
        except (TypeError, ValueError) as error:
            raise ModelError(f"The settings of this SCNet cannot be used ({error}): add it again.") from error
        return options


def describe(state: LazyState, configuration: Mapping[str, Any]) -> ModelDescription | None:
    """Describe a network; see `architectures.Architecture.describe`."""
    if not is_scnet(state):
        return None
    parsed = parse_configuration(configuration, _SHOWN | _USED | {"audio_channels", "win_size"})
    require(parsed.model, {"audio_channels": 2, "win_size": parsed.model.get("nfft", 4096)})
    outputs = choose_outputs(parsed, count_outputs(state))
    given = {name: value for name, value in parsed.model.items() if name in _USED}
    common = {"segment": parsed.segment, "normalize": parsed.normalize, "heads": outputs.heads}
    settings = SCNetSettings.parse({**given, **common})
    read_shape(state, settings, frames=2)
    return ModelDescription(outputs.stems, asdict(settings))


def is_scnet(names: Mapping[str, Any]) -> bool:
    """Return True if these are the names of an SCNet's parameters."""
    landmarks = ("encoder.0.SDlayer.convs.0.weight", "separation_net.dp_modules.0.lstm_layers.0.weight_hh_l0")
    return all(name in names for name in landmarks) and "mask_layer.0.weight" not in names


def count_outputs(state: LazyState) -> int:
    """Return the number of outputs, from the shape of the last layer."""
    levels = count_names(state, "decoder.{}.0.conv.weight")
    return state.shapes[f"decoder.{levels - 1}.1.convtrs.0.weight"][1] // PLANES


def read_shape(state: LazyState, settings: SCNetSettings, frames: int) -> SCNetShape:
    """Read the sizes of the network from the shapes of its parameters; ModelError if they are not an SCNet's."""
    if not is_scnet(state):
        raise ModelError("The checkpoint is not one of SCNet: choose another file.")
    depths = [
        count_names(state, f"encoder.0.conv_modules.{band}.layers.{{}}.0.weight") for band in range(BANDS)
    ]
    layers = count_names(state, "separation_net.dp_modules.{}.linear_layers.0.bias")
    first = state.shapes["encoder.0.SDlayer.convs.0.weight"]
    if first[1] != PLANES or layers % 2:
        raise ModelError(
            "The checkpoint is an SCNet of another kind (not stereo, or with an odd number of layers)."
        )
    check_size(state, state)
    low, middle, _ = settings.band_SR
    return SCNetShape(
        bins=settings.nfft // 2 + 1,
        frames=frames,
        shares=(low, middle),
        strides=(settings.band_stride[0], settings.band_stride[1], settings.band_stride[2]),
        levels=count_names(state, "encoder.{}.globalconv.weight"),
        depths=(depths[0], depths[1], depths[2]),
        layers=layers,
    )
