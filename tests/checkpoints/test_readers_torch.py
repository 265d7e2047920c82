"""The readers on files written by torch and demucs, array by array."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stemsplitter.checkpoints.readers import read_checkpoint, read_numpy_pickle, read_torch_checkpoint
from stemsplitter.errors import ModelError

pytestmark = [
    pytest.mark.torch,
    # torch warns about the layers without values of a network this small
    pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning"),
    pytest.mark.filterwarnings("ignore:std():UserWarning"),
]


def package(half: bool) -> dict[str, object]:
    """Return the package of a small HTDemucs as ``demucs.states.serialize_model`` writes it."""
    from demucs.htdemucs import HTDemucs
    from demucs.states import get_state

    model = HTDemucs(
        ["vocals", "instrumental"], channels=8, t_layers=1, t_heads=2, nfft=512, segment=Fraction(39, 5)
    )
    args, kwargs = model._init_args_kwargs
    training = {"dset": {"sources": ["vocals"], "segment": 11.0}, "seed": 42, "none": None}
    state = get_state(model, None, half)
    return {"klass": HTDemucs, "args": args, "kwargs": kwargs, "state": state, "training_args": training}


@pytest.mark.parametrize("half", [True, False])
def test_a_file_of_demucs_is_read(tmp_path: Path, half: bool) -> None:
    from demucs.states import save_with_checksum

    content = package(half)
    save_with_checksum(content, tmp_path / "tiny.th")
    checkpoint = read_checkpoint(next(tmp_path.glob("tiny-*.th")))
    assert checkpoint.class_name == "demucs.htdemucs.HTDemucs"
    assert checkpoint.args == content["args"] and checkpoint.kwargs == content["kwargs"]
    state = content["state"]
    assert isinstance(state, dict) and checkpoint.state.keys() == state.keys()
    for name, tensor in state.items():
        assert checkpoint.state[name].dtype == np.float32
        assert np.array_equal(checkpoint.state[name], tensor.float().numpy(), equal_nan=True), name


def test_tensors_in_all_forms_are_read(tmp_path: Path) -> None:
    import torch

    whole = torch.arange(24.0).reshape(2, 3, 4)
    state = {
        "transposed": whole.permute(2, 0, 1),
        "sliced": whole[:, 1:, ::2],
        "shared": whole[1],
        "parameter": torch.nn.Parameter(whole.clone()),
        "bfloat16": whole.bfloat16(),
        "double": whole.double(),
        "long": whole.long(),
        "bool": whole > 3,
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
    }
    torch.save(package(True) | {"state": state}, tmp_path / "x.th")
    read = read_torch_checkpoint(tmp_path / "x.th").state
    assert read.keys() == state.keys()
    for name, tensor in state.items():
        assert read[name].shape == tuple(tensor.shape), name
        assert np.array_equal(read[name], tensor.detach().float().numpy()), name


def test_arguments_of_other_classes_are_ignored(tmp_path: Path) -> None:
    import argparse
    import datetime

    import torch

    training = argparse.Namespace(when=datetime.datetime(2022, 11, 1), where=tmp_path, kind=torch.float16)
    torch.save(package(True) | {"training_args": training}, tmp_path / "x.th")
    assert read_torch_checkpoint(tmp_path / "x.th").kwargs["channels"] == 8


def test_numpy_arrays_saved_by_torch_are_read(tmp_path: Path) -> None:
    import torch

    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.float64([[1, 2], [3, 4]]).T}
    torch.save(arrays, tmp_path / "x.ckpt")
    read = read_numpy_pickle(tmp_path / "x.ckpt")
    assert all(np.array_equal(read[name], array) for name, array in arrays.items())


def test_the_format_before_torch_1_6_is_rejected(tmp_path: Path) -> None:
    import torch

    torch.save(package(True), tmp_path / "x.th", _use_new_zipfile_serialization=False)
    with pytest.raises(ModelError, match=r"torch\.save \(1\.6 or later\)"):
        read_checkpoint(tmp_path / "x.th")
