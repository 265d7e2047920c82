"""Layouts of a six-stem model with random weights: six stems, four, two and selections."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from .command import Command, Done, files_in
from .songs import Samples, dbfs, encode, read, sung
from .tiny_model import STEMS, write_tiny_model

SAMPLES = 60_001


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("layouts")
    encode(folder / "Lied.wav", sung(SAMPLES, 1), 44_100, "pcm_f32le", title="Ein Lied")
    write_tiny_model(folder / "tiny.safetensors")
    return folder


@pytest.fixture(scope="module")
def command(folder: Path, environment: dict[str, str]) -> Command:
    """Command with the model added by `models add`."""
    command = Command(folder, environment | {"STEMSPLITTER_CACHE_DIR": str(folder / "cache")})
    done = command("models", "add", "tiny", "tiny.safetensors")
    assert (done.code, done.out) == (0, f"tiny is ready. Stems: {', '.join(STEMS)}.\n")
    return command


@pytest.fixture(scope="module")
def split(command: Command) -> Callable[..., Done]:
    def run(output: str, *options: str) -> Done:
        done = command("split", "Lied.wav", "--model", "tiny", "-o", output, "--verify", "--json", *options)
        assert (done.code, done.err) == (0, "")
        return done

    return run


@pytest.fixture(scope="module")
def six(split: Callable[..., Done], folder: Path) -> dict[str, Samples]:
    """Samples of the six stems."""
    told = split("six", "--format", "wav32f").named("separated")["Lied.wav"]
    return {name: read(folder / stem["path"])[0] for name, stem in told["stems"].items()}


def test_default_layout_has_all_stems(six: dict[str, Samples]) -> None:
    assert tuple(six) == STEMS
    assert all(stem.shape == (1, SAMPLES) and dbfs(stem) > -40 for stem in six.values())
    assert dbfs(sum(six.values()) - sung(SAMPLES, 1)) <= -90


@pytest.mark.parametrize(
    ("layout", "parts"),
    [
        ("6s", {name: [name] for name in ("vocals", "drums", "bass", "guitar", "piano", "other")}),
        (
            "4s",
            {
                "vocals": ["vocals"],
                "drums": ["drums"],
                "bass": ["bass"],
                "other": ["guitar", "piano", "other"],
            },
        ),
        ("2s", {"vocals": ["vocals"], "instrumental": ["drums", "bass", "guitar", "piano", "other"]}),
        ("piano,other", {"piano": ["piano"], "other": ["guitar", "other"]}),
    ],
)
def test_layout_sums_the_models_stems(
    layout: str,
    parts: dict[str, list[str]],
    split: Callable[..., Done],
    six: dict[str, Samples],
    folder: Path,
) -> None:
    told = split(layout, "--stems", layout, "--format", "wav32f").named("separated")["Lied.wav"]
    assert list(told["stems"]) == list(parts)
    for name, names in parts.items():
        samples, _ = read(folder / told["stems"][name]["path"])
        np.testing.assert_allclose(samples, sum(six[part] for part in names), atol=1e-6)
    if layout == "piano,other":
        assert told["encoded_residual_dbfs"] is None
    else:
        assert told["encoded_residual_dbfs"] <= -90


def test_stem_mp4_contains_mixture_and_four_stems(split: Callable[..., Done], folder: Path) -> None:
    done = split("ni", "--stems", "4s", "--format", "stem.mp4")
    assert files_in(folder / "ni") == ["Lied", "Lied/Lied.stem.mp4"]
    path = folder / "ni" / "Lied" / "Lied.stem.mp4"
    with av.open(str(path)) as file:
        assert file.metadata["title"] == "Ein Lied"
        assert [stream.codec_context.name for stream in file.streams] == ["aac"] * 5
    tracks = [read(path, track=number)[0] for number in range(5)]
    assert {track.shape for track in tracks} == {(2, SAMPLES)}
    mixture = sung(SAMPLES, 1)
    for heard in (tracks[0], sum(tracks[1:])):
        assert 10 * np.log10(np.square(heard - mixture).mean()) < -30
    told = done.named("separated")["Lied.wav"]
    assert -80 < told["encoded_residual_dbfs"] < -30
    assert {stem["path"] for stem in told["stems"].values()} == {"ni/Lied/Lied.stem.mp4"}
