"""Adding an architecture takes one registration."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stemsplitter.catalogue.store import ModelStore
from stemsplitter.checkpoints.readers import read_checkpoint
from stemsplitter.errors import ModelError
from stemsplitter.library import Separator
from stemsplitter.separation.architectures import ARCHITECTURES, Architecture, ModelFiles
from stemsplitter.separation.runtimes import Runtime
from stemsplitter.separation.segments import triangle

SEGMENT = 4_096


class ShareModel:
    """Multiplies the mixture by a trained share for each of two stems."""

    stems = ("vocals", "instrumental")
    sample_rate, segment, hop, reflect = 44_100, SEGMENT, 3 * SEGMENT // 4, False
    window = triangle(SEGMENT)
    notes: tuple[str, ...] = ()

    def __init__(self, runtime: Runtime, files: ModelFiles) -> None:
        self.concurrency, self.device = runtime.concurrency, runtime.device
        shares = read_checkpoint(files.weights[0]).state["shares"].reshape(1, 2, 1, 1)

        def network(ops: Any, x: Any) -> tuple[Any]:
            return (ops.multiply(x, ops.constant(shares)),)

        self._network = runtime.compile(lambda: network, {"x": (1, 1, 2, SEGMENT)}, files.cache / "share")

    def separate(self, mixture: np.ndarray) -> np.ndarray:
        (stems,) = self._network(mixture[None, None])
        return stems[0].copy()


def write_checkpoint(path: Path) -> Path:
    """Write a safetensors file with the metadata of Demucs."""
    metadata = {"klass": "toys.Share", "args": "[]", "kwargs": json.dumps({"sources": ShareModel.stems})}
    header = {
        "__metadata__": metadata,
        "shares": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
    }
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + np.array([0.25, 0.75], "<f4").tobytes())
    return path


def test_one_registration_makes_an_architecture_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, store = write_checkpoint(tmp_path / "share.safetensors"), ModelStore(tmp_path / "models")
    with pytest.raises(
        ModelError, match=r"class toys\.Share: only checkpoints of HTDemucs can be added without --config"
    ):
        store.add("mine", file)
    toy = Architecture(
        "share", lambda runtime, files, _: ShareModel(runtime, files), checkpoint_class="Share"
    )
    monkeypatch.setitem(ARCHITECTURES, toy.name, toy)

    assert store.add("mine", file).architecture == "share"
    separator = Separator("mine", store=store, device="cpu", precision="fp32", threads=1)
    mixture = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 10_000)).astype(np.float32)
    stems = separator.separate(mixture).stems
    np.testing.assert_allclose(stems["vocals"], 0.25 * mixture, atol=1e-5)
    np.testing.assert_allclose(stems["instrumental"], 0.75 * mixture, atol=1e-5)


def test_an_unregistered_architecture_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ModelStore(tmp_path / "models")
    toy = Architecture(
        "share", lambda runtime, files, _: ShareModel(runtime, files), checkpoint_class="Share"
    )
    with monkeypatch.context() as registered:
        registered.setitem(ARCHITECTURES, toy.name, toy)
        store.add("mine", write_checkpoint(tmp_path / "share.safetensors"))
    with pytest.raises(ModelError, match="models remove mine"):
        store.entry("mine")
