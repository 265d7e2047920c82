"""The networks of PyPI's msst with random weights: the peers of SCNet and the RoFormers."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Spectrum = NDArray[np.complex64]

_SCNET: Final = {"dims": [4, 64, 128, 256], "band_SR": [0.225, 0.372, 0.403]}
_ROFORMER: Final = {
    "stereo": True,
    "time_transformer_depth": 1,
    "freq_transformer_depth": 1,
    "dim_head": 64,
    "heads": 8,
    "attn_dropout": 0.0,
    "ff_dropout": 0.0,
    "mask_estimator_depth": 2,
}
# constructor arguments as in the published configurations, by the name of the model here
NETWORKS: Final[Mapping[str, tuple[str, dict[str, Any]]]] = MappingProxyType(
    {
        "scnet": ("scnet", {"dims": [4, 32, 64, 128], "band_SR": [0.175, 0.392, 0.433]}),
        "scnet_large": ("scnet", _SCNET),
        "scnet_xl": ("scnet", {**_SCNET, "band_SR": [0.23, 0.37, 0.4], "num_dplayer": 8}),
        "scnet_xl_ihf": (
            "scnet",
            {
                **_SCNET,
                "band_SR": [0.23, 0.37, 0.4],
                "band_stride": [1, 4, 4],
                "band_kernel": [3, 4, 4],
                "conv_depths": [3, 3, 3],
                "num_dplayer": 8,
            },
        ),
        "scnet_tiny": ("scnet", {"dims": [4, 8, 16, 32], "band_SR": [0.175, 0.392, 0.433], "num_dplayer": 2}),
        "melband_kim": (
            "mel_band_roformer",
            {**_ROFORMER, "dim": 384, "depth": 6, "stft_hop_length": 441, "num_bands": 60},
        ),
        "mega53": (
            "bs_roformer",
            {**_ROFORMER, "dim": 256, "depth": 12, "num_stems": 5, "mlp_expansion_factor": 2},
        ),
        "bs_roformer_4stem": (
            "bs_roformer",
            {
                **_ROFORMER,
                "dim": 384,
                "depth": 8,
                "num_stems": 4,
                "stft_hop_length": 441,
                "mlp_expansion_factor": 2,
            },
        ),
        "viperx_317": (
            "bs_roformer",
            {**_ROFORMER, "dim": 512, "depth": 12, "stft_hop_length": 441},
        ),
        "bs_tiny": ("bs_roformer", {**_ROFORMER, "dim": 32, "depth": 2, "heads": 2, "num_stems": 2}),
        "mel_tiny": (
            "mel_band_roformer",
            {**_ROFORMER, "dim": 32, "depth": 2, "heads": 2, "stft_hop_length": 441, "num_bands": 60},
        ),
    }
)


def build(name: str, seed: int = 0) -> Any:
    """Build a network with random weights, gains of norms included."""
    import torch
    from msst.models.bs_roformer import BSRoformer, MelBandRoformer
    from msst.models.scnet import SCNet

    kind, arguments = NETWORKS[name]
    classes = {"scnet": SCNet, "bs_roformer": BSRoformer, "mel_band_roformer": MelBandRoformer}
    torch.manual_seed(seed)
    model = classes[kind](**arguments)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if parameter.ndim == 1 and ("gamma" in parameter_name or bool((parameter == 1).all())):
                parameter.mul_(1 + 0.2 * torch.randn_like(parameter))
    return model.eval()


def scnet_core(model: Any, planes: Any) -> Any:
    """Run SCNet from the spectrogram ``[1, 4, bins, frames]`` to those of the stems, without its transforms."""
    x, skips = planes, []
    for block in model.encoder:
        x, skip, lengths, originals = block(x)
        skips.append((skip, lengths, originals))
    x = model.separation_net(x)
    for fusion, expand in model.decoder:
        skip, lengths, originals = skips.pop()
        x = expand(fusion(x, skip), lengths, originals)
    return x
