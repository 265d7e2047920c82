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
        "scnet_test": (
            "scnet",
            {
                "dims": [4, 8, 16, 32],
                "band_SR": [0.175, 0.392, 0.433],
                "nfft": 256,
                "win_size": 256,
                "hop_size": 64,
                "conv_depths": [2, 1, 1],
                "num_dplayer": 2,
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
        "bs_test": (
            "bs_roformer",
            {
                **_ROFORMER,
                "dim": 8,
                "depth": 2,
                "time_transformer_depth": 2,
                "heads": 2,
                "dim_head": 8,
                "num_stems": 2,
                "freqs_per_bands": (2, 2, 2, 4, 4, 12, 39),
                "dim_freqs_in": 65,
                "stft_n_fft": 128,
                "stft_win_length": 128,
                "stft_hop_length": 32,
                "mlp_expansion_factor": 2,
            },
        ),
        "mel_test": (
            "mel_band_roformer",
            {**_ROFORMER, "dim": 4, "depth": 1, "heads": 2, "dim_head": 4, "mlp_expansion_factor": 1},
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


def roformer_core(model: Any, values: Any) -> Any:
    """Run a RoFormer from the spectrogram ``[1, frames, values]`` to the masks ``[1, stems, frames, values]``.

    The values are frequency-major: real and imaginary part of left, then right, of each bin.
    """
    import torch

    mel = hasattr(model, "freq_indices")
    places = (
        torch.stack((2 * model.freq_indices, 2 * model.freq_indices + 1), -1).reshape(-1) if mel else None
    )
    x = values if places is None else values[..., places]
    x = model.band_split(x)
    for along_time, along_bands in model.layers:
        batch, frames, bands, size = x.shape
        x = along_time(x.transpose(1, 2).reshape(batch * bands, frames, size))
        x = x.reshape(batch, bands, frames, size).transpose(1, 2).reshape(batch * frames, bands, size)
        x = along_bands(x).reshape(batch, frames, bands, size)
    if not mel:
        x = model.final_norm(x)
    masks = torch.stack([estimator(x) for estimator in model.mask_estimators], 1)
    if places is None:
        return masks
    summed = torch.zeros(*masks.shape[:-1], values.shape[-1]).index_add_(-1, places, masks)
    return summed / model.num_bands_per_freq.repeat_interleave(4)


def core(model: Any, x: Any) -> Any:
    """Run a network without its transforms."""
    return scnet_core(model, x) if hasattr(model, "separation_net") else roformer_core(model, x)
