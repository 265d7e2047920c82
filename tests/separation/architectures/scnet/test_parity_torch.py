"""Parity of SCNet with msst on random weights, on a given spectrum and on a song."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.parity import snr
from benchmarks.peers.msst import NETWORKS, build, scnet_core
from stemsplitter.checkpoints.states import open_state
from stemsplitter.separation.architectures import ModelFiles
from stemsplitter.separation.architectures.scnet.model import SCNetModel
from stemsplitter.separation.architectures.scnet.network import SCNet
from stemsplitter.separation.architectures.scnet.settings import SCNetSettings, read_shape
from stemsplitter.separation.pipeline import separate_stream
from stemsplitter.separation.runtimes.openvino import OpenVinoRuntime
from stemsplitter.separation.runtimes.torch import TorchRuntime

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]
SEGMENT = 66_150  # 1.5 s


def _settings(name: str) -> dict[str, Any]:
    arguments = NETWORKS[name][1]
    known = {key: value for key, value in arguments.items() if key in ("band_SR", "band_stride")}
    return {"segment": SEGMENT, **known}


def _checkpoint(name: str, folder: Path) -> tuple[Any, Path]:
    import torch

    model = build(name)
    torch.save(model.state_dict(), folder / f"{name}.ckpt")
    return model, folder / f"{name}.ckpt"


@pytest.mark.parametrize("runtime", [OpenVinoRuntime, lambda precision: TorchRuntime("cpu", precision)])
@pytest.mark.parametrize("name", ["scnet", "scnet_large", "scnet_xl", "scnet_xl_ihf"])
def test_a_spectrum_agrees_with_msst(name: str, runtime: Any, tmp_path: Path) -> None:
    import torch

    model, path = _checkpoint(name, tmp_path)
    settings, state, frames = SCNetSettings.parse(_settings(name)), open_state(path), 12
    shape = read_shape(state, settings, frames)
    x = np.random.default_rng(0).standard_normal((1, 4, 2049, frames)).astype(np.float32)
    network = runtime("fp32").compile(lambda: SCNet(shape, state), {"x": x.shape}, tmp_path / "scnet")
    (output,) = network(x)
    with torch.inference_mode():
        expected = scnet_core(model, torch.from_numpy(x.copy())).numpy()
    assert snr(expected, output) >= 110


def test_a_song_agrees_with_the_demix_of_msst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from ml_collections import ConfigDict
    from msst.utils.model_utils import demix

    model, path = _checkpoint("scnet_tiny", tmp_path)
    stems = ("drums", "bass", "other", "vocals")
    files = ModelFiles([path], tmp_path, stems, _settings("scnet_tiny"))
    ours = SCNetModel(OpenVinoRuntime("fp32"), files)
    song = np.random.default_rng(0).standard_normal((2, 5 * SEGMENT + 1234)).astype(np.float32) / 8
    monkeypatch.setattr(
        "stemsplitter.separation.pipeline.MixtureConsistency",
        lambda *_: SimpleNamespace(
            push=lambda _, stems: stems, flush=lambda: np.zeros((4, 2, 0), np.float32)
        ),
    )
    pieces = [piece.stems for piece in separate_stream(ours, [song], 44_100, 2, overlap=0.5)]
    config = ConfigDict(
        {
            "audio": {"chunk_size": SEGMENT},
            "inference": {"num_overlap": 2, "batch_size": 1},
            "training": {"instruments": list(stems), "target_instrument": None, "use_amp": False},
        }
    )
    theirs = demix(config, model, song, torch.device("cpu"), "scnet")
    assert snr(np.stack([theirs[stem] for stem in stems]), np.concatenate(pieces, axis=-1)) >= 60
