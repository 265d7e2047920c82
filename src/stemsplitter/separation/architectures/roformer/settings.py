"""The configuration of a RoFormer: from the shapes of its parameters as far as possible, else from settings."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from stemsplitter.checkpoints.states import LazyState
from stemsplitter.errors import ModelError
from stemsplitter.separation.architectures import ModelDescription
from stemsplitter.separation.architectures.msst import (
    SAMPLE_RATE,
    check_size,
    choose_outputs,
    count_names,
    parse_configuration,
    require,
)
from stemsplitter.separation.architectures.roformer.bands import MEL_BINS
from stemsplitter.separation.architectures.roformer.network import VALUES, RoFormerShape

# arguments of MSST's networks that the shapes of the parameters show
_SHOWN = frozenset(
    (
        *("dim", "depth", "num_stems", "time_transformer_depth", "freq_transformer_depth", "freqs_per_bands"),
        *("num_bands", "dim_head", "heads", "mask_estimator_depth", "mlp_expansion_factor", "dim_freqs_in"),
    )
)
# those of training, and those that choose another computation of the same result
_UNUSED = frozenset(
    (
        *("attn_dropout", "ff_dropout", "flash_attn", "sage_attention", "use_torch_checkpoint"),
        *("multi_stft_resolution_loss_weight", "multi_stft_resolutions_window_sizes", "multi_stft_hop_size"),
        *("multi_stft_normalized", "match_input_audio_length"),
    )
)
_USED = frozenset(("stft_n_fft", "stft_hop_length", "zero_dc"))
_FIXED: Mapping[str, Any] = {
    "stereo": True,
    "linear_transformer_depth": 0,
    "stft_normalized": False,
    "skip_connection": False,
    "use_pope": False,
    "sample_rate": SAMPLE_RATE,
}


@dataclass(frozen=True)
class RoFormerSettings:
    """The settings that the weights do not show; the names are those of MSST's configurations.

    Attributes:
        segment: samples in a segment.
        heads: see `msst.Outputs`.
        stft_hop_length: samples between the frames of the transform.
        stft_n_fft: samples in a frame.
        zero_dc: the lowest bin of the stems is 0.
    """

    segment: int
    heads: tuple[int, ...]
    stft_hop_length: int = 512
    stft_n_fft: int = 2048
    zero_dc: bool = True

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> "RoFormerSettings":
        """Check the settings; ModelError if one is wrong."""
        known: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        try:
            settings = cls(**known)
            whole = (settings.segment, settings.stft_hop_length, settings.stft_n_fft)
            if not all(type(value) is int and 0 < value < 1 << 24 for value in whole):
                raise ValueError("a size is not a positive number")
            if settings.stft_n_fft % 8 or settings.stft_hop_length > settings.stft_n_fft // 2:
                raise ValueError("the hop or the frame")
        except (TypeError, ValueError) as error:
            raise ModelError(
                f"The settings of this RoFormer cannot be used ({error}): add it again."
            ) from error
        return settings


def describe(state: LazyState, configuration: Mapping[str, Any]) -> ModelDescription | None:
    """Describe a network; see `architectures.Architecture.describe`."""
    if not is_roformer(state):
        return None
    parsed = parse_configuration(configuration, _SHOWN | _UNUSED | _USED | {*_FIXED, "stft_win_length"})
    require(parsed.model, {**_FIXED, "stft_win_length": parsed.model.get("stft_n_fft", 2048)})
    outputs = choose_outputs(parsed, count_outputs(state))
    given = {name: value for name, value in parsed.model.items() if name in _USED}
    settings = RoFormerSettings.parse({**given, "segment": parsed.segment, "heads": outputs.heads})
    read_shape(state, settings)
    return ModelDescription(outputs.stems, asdict(settings))


def is_roformer(names: Mapping[str, Any]) -> bool:
    """Return True if these are the names of a RoFormer's parameters."""
    landmarks = ("band_split.to_features.0.1.weight", "layers.0.0.layers.0.0.to_gates.weight")
    return all(name in names for name in landmarks)


def count_outputs(state: LazyState) -> int:
    """Return the number of mask estimators."""
    return count_names(state, "mask_estimators.{}.to_freqs.0.0.0.weight")


def read_shape(state: LazyState, settings: RoFormerSettings) -> RoFormerShape:
    """Read the sizes of the network from the shapes of its parameters.

    Raises:
        ModelError: the parameters are not those of a RoFormer, or do not match the settings.
    """
    if not is_roformer(state):
        raise ModelError("The checkpoint is not one of a RoFormer: choose another file.")
    count = count_names(state, "band_split.to_features.{}.1.weight")
    widths = [state.shapes[f"band_split.to_features.{band}.1.weight"][1] for band in range(count)]
    bins = tuple(width // VALUES for width in widths)
    mel = "final_norm.gamma" not in state
    n_fft = settings.stft_n_fft
    if any(width % VALUES for width in widths) or (bins != MEL_BINS if mel else sum(bins) != n_fft // 2 + 1):
        raise ModelError("The checkpoint is a RoFormer whose bands are not supported: choose another file.")
    depths = [count_names(state, f"layers.0.{axis}.layers.{{}}.0.to_qkv.weight") for axis in range(2)]
    if "layers.0.2.layers.0.0.norm.gamma" in state or not all(depths):
        raise ModelError("The checkpoint is a RoFormer with linear attention, which is not supported.")
    if not settings.heads or max(settings.heads) >= count_outputs(state):
        raise ModelError("The checkpoint has fewer stems than its settings name: choose another file.")
    check_size(state, used_names(state, settings.heads))
    return RoFormerShape(
        frames=settings.segment // settings.stft_hop_length + 1,
        bins=bins,
        mel=mel,
        layers=count_names(state, "layers.{}.0.layers.0.0.to_qkv.weight"),
        depths=(depths[0], depths[1]),
        heads=state.shapes["layers.0.0.layers.0.0.to_gates.weight"][0],
    )


def used_names(state: LazyState, heads: tuple[int, ...]) -> list[str]:
    """Return the names of the parameters that are needed for some of the heads."""
    chosen = tuple(f"mask_estimators.{head}." for head in heads)
    return [name for name in state if not name.startswith("mask_estimators.") or name.startswith(chosen)]
