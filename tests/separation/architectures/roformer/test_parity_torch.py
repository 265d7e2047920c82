"""Parity of the RoFormers with msst on random weights, on a given spectrum and on a song."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.parity import snr
from benchmarks.peers.msst import NETWORKS, build, roformer_core
from stemsplitter.checkpoints.states import open_state
from stemsplitter.separation.architectures import ModelFiles
from stemsplitter.separation.architectures.roformer.bands import MEL_EDGES, mel_bins
from stemsplitter.separation.architectures.roformer.model import RoFormerModel
from stemsplitter.separation.architectures.roformer.network import RoFormer
from stemsplitter.separation.architectures.roformer.settings import RoFormerSettings, read_shape
from stemsplitter.separation.pipeline import separate_stream
from stemsplitter.separation.runtimes.openvino import OpenVinoRuntime
from stemsplitter.separation.runtimes.torch import TorchRuntime

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]


def _settings(name: str, segment: int) -> dict[str, Any]:
    arguments = NETWORKS[name][1]
    hop = {key: value for key, value in arguments.items() if key == "stft_hop_length"}
    return {"segment": segment, "heads": list(range(arguments.get("num_stems", 1))), **hop}


def _checkpoint(name: str, folder: Path) -> tuple[Any, Path]:
    import torch

    model = build(name)
    torch.save({"state_dict": model.state_dict()}, folder / f"{name}.ckpt")
    return model, folder / f"{name}.ckpt"


def test_the_mel_bands_are_those_of_librosa() -> None:
    from librosa import filters

    bank = filters.mel(sr=44_100, n_fft=2048, n_mels=len(MEL_EDGES) - 2) > 0
    bank[0, 0] = bank[-1, -1] = True
    np.testing.assert_array_equal(np.nonzero(bank)[1], mel_bins())


@pytest.mark.parametrize("runtime", [OpenVinoRuntime, lambda precision: TorchRuntime("cpu", precision)])
@pytest.mark.parametrize("name", ["melband_kim", "mega53", "bs_roformer_4stem", "viperx_317"])
def test_a_spectrum_agrees_with_msst(name: str, runtime: Any, tmp_path: Path) -> None:
    import torch

    model, path = _checkpoint(name, tmp_path)
    values = _settings(name, 6 * 512)
    settings, state = RoFormerSettings.parse(values), open_state(path)
    shape = read_shape(state, settings)
    x = np.random.default_rng(0).standard_normal((1, shape.frames, 4100)).astype(np.float32)
    network = runtime("fp32").compile(
        lambda: RoFormer(shape, state, settings.heads), {"x": x.shape}, tmp_path / name
    )
    (output,) = network(x)
    with torch.inference_mode():
        expected = roformer_core(model, torch.from_numpy(x.copy())).numpy()
    assert snr(expected, output) >= 110


@pytest.mark.parametrize(("name", "segment"), [("bs_tiny", 30 * 512), ("mel_tiny", 40 * 441)])
def test_a_song_agrees_with_the_demix_of_msst(
    name: str, segment: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from ml_collections import ConfigDict
    from msst.utils.model_utils import demix

    model, path = _checkpoint(name, tmp_path)
    stems = ("vocals", "instrumental")
    ours = RoFormerModel(
        OpenVinoRuntime("fp32"), ModelFiles([path], tmp_path, stems, _settings(name, segment))
    )
    song = np.random.default_rng(0).standard_normal((2, 5 * segment + 1234)).astype(np.float32) / 8
    monkeypatch.setattr(
        "stemsplitter.separation.pipeline.MixtureConsistency",
        lambda *_: SimpleNamespace(
            push=lambda _, stems: stems, flush=lambda: np.zeros((2, 2, 0), np.float32)
        ),
    )
    pieces = [piece.stems for piece in separate_stream(ours, [song], 44_100, 2, overlap=0.5)]
    outputs = stems[: NETWORKS[name][1].get("num_stems", 1)]
    config = ConfigDict(
        {
            "audio": {"chunk_size": segment},
            "inference": {"num_overlap": 2, "batch_size": 1},
            "training": {"instruments": list(outputs), "target_instrument": None, "use_amp": False},
        }
    )
    theirs = demix(config, model, song, torch.device("cpu"), NETWORKS[name][0])
    separated = np.concatenate(pieces, axis=-1)[: len(outputs)]
    assert snr(np.stack([theirs[stem] for stem in outputs]), separated) >= 60
