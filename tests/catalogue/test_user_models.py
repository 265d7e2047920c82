"""Networks of Music-Source-Separation-Training are added with their YAML files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.random_weights import write_safetensors
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.checkpoints.states import open_state
from stemsplitter.errors import ModelError
from stemsplitter.library import Separator
from stemsplitter.separation.architectures.msst import MsstConfiguration, Outputs, choose_outputs
from tests.checkpoints.test_readers import GRID, SIX, write
from tests.separation.architectures.expected import load_expected

SCNET = """\
audio: {chunk_size: 44100, num_channels: 2, sample_rate: 44100, min_mean_abs: 0.0}
model:
  sources: [drums, bass, other, vocals]
  audio_channels: 2
  dims: [4, 8, 16, 32]
  nfft: 256
  hop_size: 64
  win_size: 256
  normalized: True
  band_SR: [0.175, 0.392, 0.433]
  band_stride: [1, 4, 16]
training:
  instruments: [drums, bass, other, vocals]
  target_instrument: null
  lr: 1.0
augmentations:
  mixup_probs: !!python/tuple [0.2, 0.02]
inference: {batch_size: 8, dim_t: 256, num_overlap: 4, normalize: true}
"""


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def scnet(tmp_path: Path) -> Path:
    return write_safetensors(tmp_path / "scnet.safetensors", load_expected("scnet_test").state)


def _yaml(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def test_an_scnet_with_its_configuration_separates(store: ModelStore, scnet: Path, tmp_path: Path) -> None:
    entry = store.add("mine", scnet, _yaml(tmp_path, SCNET))
    assert (entry.architecture, entry.stems) == ("scnet", ("drums", "bass", "other", "vocals"))
    assert entry.settings["segment"] == 44_100 and entry.settings["normalize"] is True
    song = np.random.default_rng(0).standard_normal((2, 100_000)).astype(np.float32) / 8
    stems = Separator("mine", store=store, device="cpu", precision="fp32").separate(song).stems
    assert set(stems) == set(entry.stems)
    np.testing.assert_allclose(sum(stems.values()), song, atol=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("  audio_channels: 2\n", "  audio_channels: 1\n", "model.audio_channels 1: only 2"),
        ("  audio_channels: 2\n", "  mystery: 7\n", r"model\.mystery, which is unknown"),
        ("sample_rate: 44100", "sample_rate: 48000", "audio.sample_rate 48000: only 44100"),
        ("normalize: true", "loudness: 3", r"inference\.loudness, which is unknown"),
        ("chunk_size: 44100", "chunk_size: 10", "chunk_size 10: it must be 1 to 60 s"),
        (
            "training:\n  instruments: [drums,",
            "training:\n  instruments: [",
            "3 instruments, but the checkpoint has 4",
        ),
        (
            "  instruments: [drums, bass, other, vocals]",
            "  instruments: [a, b, c, d]",
            "do not make up a song",
        ),
        ("target_instrument: null", "target_instrument: kazoo", "target_instrument 'kazoo'"),
        ("band_SR: [0.175, 0.392, 0.433]", "band_SR: [0.5, 0.5]", "settings of this SCNet"),
        ("normalized: True", "normalized: &a True", None),
        ("lr: 1.0", "lr: *a", "damaged or has more than plain values"),
        (
            "lr: 1.0",
            "lr: !!python/object/apply:os.system ['touch x']",
            "damaged or has more than plain values",
        ),
        ("training:", "not training:", "no section 'training'"),
        ("model:", "model: []\nother:", "no section 'model'"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_with_a_reason(
    store: ModelStore, scnet: Path, tmp_path: Path, old: str, new: str, why: str | None
) -> None:
    configuration = _yaml(tmp_path, SCNET.replace(old, new))
    if why is None:
        store.add("mine", scnet, configuration)
        return
    with pytest.raises(ModelError, match=why):
        store.add("mine", scnet, configuration)
    assert not (store.root / "mine").exists() or not any((store.root / "mine").iterdir())


@pytest.mark.parametrize(
    "text",
    ["", "just text", "- a\n- b", "a: " + "[" * 3000, "{" * 5000, "a: b: c", "\x00", "x: " + "y" * 70_000],
)
def test_a_file_that_is_no_configuration_is_refused(
    store: ModelStore, scnet: Path, tmp_path: Path, text: str
) -> None:
    with pytest.raises(ModelError, match="configuration"):
        store.add("mine", scnet, _yaml(tmp_path, text))


def test_a_missing_configuration_is_refused(store: ModelStore, scnet: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        store.add("mine", scnet, tmp_path / "none.yaml")
    with pytest.raises(ModelError, match="without --config"):
        store.add("mine", scnet)


def test_parameters_alone_ask_for_their_configuration(store: ModelStore, tmp_path: Path) -> None:
    file = write(tmp_path / "x.ckpt", {"a": GRID}, {"0": SIX})
    with pytest.raises(ModelError, match=r"with --config FILE\.yaml"):
        store.add("mine", file)


def test_a_network_of_an_unknown_architecture_is_refused(store: ModelStore, tmp_path: Path) -> None:
    other: dict[str, Any] = {"conv.weight": np.ones((2, 2), np.float32)}
    file = write_safetensors(tmp_path / "other.safetensors", other)
    with pytest.raises(ModelError, match="unknown architecture"):
        store.add("mine", file, _yaml(tmp_path, SCNET))


def test_parameters_are_read_one_by_one(scnet: Path) -> None:
    state, expected = open_state(scnet), load_expected("scnet_test").state
    assert list(state) == list(expected) and len(state) == len(expected)
    for name, value in expected.items():
        assert state.shapes[name] == value.shape
        np.testing.assert_array_equal(state[name], value)
    with pytest.raises(KeyError):
        state["none"]


MEL = """\
audio: {chunk_size: 44100, dim_f: 1024, dim_t: 256, hop_length: 441, n_fft: 2048, num_channels: 2, sample_rate: 44100}
model:
  dim: 4
  depth: 1
  stereo: true
  num_stems: 1
  time_transformer_depth: 1
  freq_transformer_depth: 1
  num_bands: 60
  dim_head: 4
  heads: 2
  attn_dropout: 0
  flash_attn: True
  sample_rate: 44100
  stft_n_fft: 2048
  stft_hop_length: 441
  stft_win_length: 2048
  mask_estimator_depth: 2
  multi_stft_resolutions_window_sizes: !!python/tuple
  - 4096
  - 2048
training:
  instruments: [vocals, other]
  target_instrument: vocals
inference: {batch_size: 4, dim_t: 256, num_overlap: 2}
"""


@pytest.mark.parametrize(
    ("target", "stems"), [("vocals", ("vocals", "instrumental")), ("other", ("instrumental", "vocals"))]
)
def test_the_rest_of_a_roformer_with_one_output_is_the_other_stem(
    store: ModelStore, tmp_path: Path, target: str, stems: tuple[str, ...]
) -> None:
    file = write_safetensors(tmp_path / "mel.safetensors", load_expected("mel_test").state)
    entry = store.add(
        "mine",
        file,
        _yaml(tmp_path, MEL.replace("target_instrument: vocals", f"target_instrument: {target}")),
    )
    assert (entry.architecture, entry.stems) == ("roformer", stems)
    assert (entry.settings["stft_hop_length"], entry.settings["heads"]) == (441, (0,))
    song = np.random.default_rng(0).standard_normal((2, 50_000)).astype(np.float32) / 8
    separated = Separator("mine", store=store, device="cpu", precision="fp32").separate(song).stems
    np.testing.assert_allclose(separated["vocals"] + separated["instrumental"], song, atol=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("stereo: true", "stereo: false", "model.stereo False: only True"),
        ("depth: 1\n  stereo", "linear_transformer_depth: 1\n  stereo", "linear_transformer_depth 1: only 0"),
        ("num_bands: 60", "use_pope: true", "use_pope True: only False"),
        ("num_bands: 60", "new_trick: true", r"model\.new_trick, which is unknown"),
        ("stft_hop_length: 441", "stft_hop_length: 0", "settings of this RoFormer"),
        ("instruments: [vocals, other]\n  target_instrument: vocals", "instruments: [a, b]", "2 instruments"),
    ],
)
def test_a_roformer_that_is_not_supported_is_refused(
    store: ModelStore, tmp_path: Path, old: str, new: str, why: str
) -> None:
    file = write_safetensors(tmp_path / "mel.safetensors", load_expected("mel_test").state)
    with pytest.raises(ModelError, match=why):
        store.add("mine", file, _yaml(tmp_path, MEL.replace(old, new)))


def test_the_outputs_that_are_stems_are_chosen_among_many() -> None:
    names = ("accordion", "bass", "drums", "guitar", "kick", "piano", "vocal")
    outputs = choose_outputs(MsstConfiguration({}, 44_100, False, names, None), len(names))
    assert outputs == Outputs(("vocals", "drums", "bass", "guitar", "piano", "other"), (6, 2, 1, 3, 5))
