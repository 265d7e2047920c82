"""Parity of HTDemucs with demucs on the same random weights, as in benchmarks/README.md."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.checkpoints import load, random_checkpoint
from benchmarks.parity import demucs_reference, snr
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.library import Separator
from stemsplitter.separation.architectures.htdemucs.model import HTDemucsModel
from stemsplitter.separation.runtimes.openvino import OpenVinoRuntime

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]
Waveform = NDArray[np.float32]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def mixture() -> Waveform:
    random = np.random.default_rng(0)
    time = np.arange(343_980) / 44_100
    tone = 0.3 * np.sin(2 * np.pi * 220 * time) * (1 + np.sin(5 * time))
    return (tone + 0.1 * random.standard_normal((2, 343_980))).astype(np.float32)


@pytest.fixture(scope="module")
def reference(checkpoint: Path, mixture: Waveform) -> Waveform:
    return demucs_reference(checkpoint, mixture)


def _runtimes() -> list[Any]:
    from stemsplitter.separation.runtimes.torch import TorchRuntime

    runtimes = [
        pytest.param(lambda: OpenVinoRuntime("fp32"), 90, id="openvino fp32"),
        pytest.param(lambda: TorchRuntime("cpu", "fp32"), 90, id="torch fp32"),
    ]
    if "bf16" in OpenVinoRuntime().device:
        runtimes.append(pytest.param(lambda: OpenVinoRuntime("bf16"), 40, id="openvino bf16"))
    return runtimes


@pytest.mark.parametrize(("runtime", "least"), _runtimes())
def test_a_segment_agrees_with_demucs(
    runtime: Any, least: float, checkpoint: Path, mixture: Waveform, reference: Waveform, tmp_path: Path
) -> None:
    model = HTDemucsModel(runtime(), [checkpoint], tmp_path)
    assert snr(reference, model.separate(mixture)) >= least


def test_a_bag_computes_one_stem_with_each_network(
    checkpoint: Path, mixture: Waveform, reference: Waveform, tmp_path: Path
) -> None:
    bag = HTDemucsModel(OpenVinoRuntime("fp32"), [checkpoint] * 6, tmp_path)
    assert snr(reference, bag.separate(mixture)) >= 90


def test_a_song_agrees_with_demucs(checkpoint: Path, tmp_path: Path) -> None:
    import torch
    from demucs.apply import apply_model

    song = np.random.default_rng(1).standard_normal((2, 600_000)).astype(np.float32) / 8
    song -= song.mean()  # demucs adds the mean to every stem
    store = ModelStore(tmp_path)
    store.add("random6s", checkpoint)
    ours = Separator("random6s", store=store, device="cpu", precision="fp32").separate(song).stems
    whole = torch.from_numpy(song)[None]
    deviation = whole.mean(1).std()
    with torch.inference_mode():
        theirs = (
            apply_model(load(checkpoint), whole / deviation, shifts=0, overlap=0.25)[0] * deviation
        ).numpy()
    from stemsplitter.separation.consistency import MixtureConsistency

    summing = MixtureConsistency(6, 2, 2)  # theirs do not sum to the song; ours do
    theirs = np.concatenate((summing.push(song, theirs), summing.flush()), axis=-1)
    assert snr(theirs, np.stack(list(ours.values()))) >= 90
