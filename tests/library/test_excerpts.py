"""Excerpts, file names and the options of quality (row 18 and row 6)."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.errors import AudioError, RequestError
from stemsplitter.library import Separator
from stemsplitter.library.verification import verify_files
from tests.separation.toy_model import ToyModel

Waveform = NDArray[np.float32]
Make = Callable[..., Separator]


@pytest.fixture
def mixture(noise: Callable[..., Waveform]) -> Waveform:
    return noise(44_100)


@pytest.mark.parametrize(
    ("start", "duration", "first", "last"),
    [
        (0.25, None, 11_025, 44_100),
        (0, 0.5, 0, 22_050),
        (0.1, 0.2, 4_410, 13_230),
        (Fraction(1, 44_100), Fraction(3, 44_100), 1, 4),
        (0.9, 5, 39_690, 44_100),
        (0, 1e-9, 0, 1),
    ],
)
def test_row_18_excerpt_is_exact_to_the_sample(
    start: Any,
    duration: Any,
    first: int,
    last: int,
    make: Make,
    song: Path,
    mixture: Waveform,
    tmp_path: Path,
) -> None:
    for source in (song, mixture):
        result = make().separate(source, start=start, duration=duration)
        np.testing.assert_allclose(sum(result.stems.values()), mixture[:, first:last], atol=1e-5)
    reports: list[float] = []
    files = make().separate_to(
        song,
        tmp_path / "out",
        format="wav32f",
        start=start,
        duration=duration,
        progress=lambda now: reports.append(now.fraction),
    )
    assert files.samples == last - first == files.files[0].samples
    assert reports == sorted(reports) and reports[-1] == 1
    assert verify_files(song, files).residual_dbfs < -100


def test_row_18_excerpt_after_the_end_is_an_error(make: Make, song: Path, mixture: Waveform) -> None:
    with pytest.raises(AudioError, match=r"^Ein Lied\.wav ends before 2 s: choose an earlier start\.$"):
        make().separate(song, start=2)
    with pytest.raises(AudioError, match=r"^The array ends before 1 s"):
        make().separate(mixture, start=1)


@pytest.mark.parametrize(
    "options", [{"start": -1}, {"duration": 0}, {"duration": -2}, {"start": float("nan")}]
)
def test_row_18_impossible_excerpt_is_rejected(options: Any, make: Make, song: Path) -> None:
    with pytest.raises(RequestError, match=r"^An excerpt cannot "):
        make().separate(song, **options)


def test_row_18_warnings_of_an_excerpt_are_kept(make: Make, tmp_path: Path, mixture: Waveform) -> None:
    mixture[:, 100] = 1e25
    path = tmp_path / "nan.wav"
    with StemWriter(path, OutputFormat.parse("wav32f"), 44_100, 2) as writer:
        writer.write(mixture)
        writer.commit()
    (warning,) = make().separate(path, duration=0.1).warnings
    assert warning.startswith("2 samples were not numbers")
    assert make().separate(path, start=0.1).warnings == ()


@pytest.mark.parametrize("reflect", [False, True])
@pytest.mark.parametrize("options", [{"overlap": 0}, {"overlap": 0.9}, {"shifts": 3}, {"shifts": 0}])
def test_row_18_stems_sum_to_the_song_at_any_quality(
    options: dict[str, Any], reflect: bool, make: Make, mixture: Waveform, toy_model: ToyModel
) -> None:
    toy_model.reflect = reflect
    plain = make().separate(mixture)
    calls = toy_model.calls
    result = make(**options).separate(mixture)
    assert result.samples == 44_100 and result.residual_dbfs < -100
    for name, stem in result.stems.items():
        np.testing.assert_allclose(stem, plain.stems[name], atol=1e-5)
    more = {
        "overlap": {0: 1, 0.9: 7}.get(options.get("overlap", -1), 1),
        "shifts": options.get("shifts", 1) or 1,
    }
    assert toy_model.calls - calls >= calls * more["shifts"] * more["overlap"] * 0.7


def test_row_18_shifts_average_the_predictions(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stem of a network that depends on the position in the segment gets closer to its mean."""
    ramp = np.linspace(0, 0.9, ToyModel.segment, dtype=np.float32)
    monkeypatch.setattr(
        ToyModel,
        "separate",
        lambda self, mixture: np.stack([mixture * ramp, *[mixture * (1 - ramp) / 3] * 3]),
    )
    ones = np.full((2, 60_000), 0.5, np.float32)
    deviations = [
        float(make(shifts=shifts).separate(ones).stems["drums"][:, 24_000:36_000].std()) for shifts in (1, 4)
    ]
    assert deviations[1] < deviations[0] * 0.7


@pytest.mark.parametrize("options", [{"overlap": 1}, {"overlap": -0.1}, {"shifts": -1}])
def test_row_18_quality_out_of_range_is_rejected(options: dict[str, Any], make: Make) -> None:
    with pytest.raises(RequestError, match=r"choose an? "):
        make(**options)


@pytest.mark.parametrize(
    ("filename", "paths"),
    [
        ("{track}/{stem}.{ext}", ["Ein Lied/vocals.wav", "Ein Lied/drums.wav"]),
        ("{stem}/{track}.{ext}", ["vocals/Ein Lied.wav", "drums/Ein Lied.wav"]),
        ("{track} ({stem}) {{1}}.{ext}", ["Ein Lied (vocals) {1}.wav", "Ein Lied (drums) {1}.wav"]),
    ],
)
def test_row_6_files_are_named_by_template(
    filename: str, paths: list[str], make: Make, song: Path, tmp_path: Path
) -> None:
    result = make(stems="vocals,drums").separate_to(song, tmp_path / "out", filename=filename)
    assert [str(file.path.relative_to(tmp_path / "out")) for file in result.files] == paths
    assert all(file.path.is_file() for file in result.files)


@pytest.mark.parametrize(
    ("filename", "message"),
    [
        ("{track}.{ext}", "is the same for several stems: add {stem}"),
        ("{song}/{stem}.{ext}", "has an unknown field {song}"),
        ("{stem.__class__}.{ext}", "has an unknown field"),
        ("{stem!r}.{ext}", "has an unknown field"),
        ("{}/{stem}", "has an unknown field"),
        ("{stem", "has an unmatched brace"),
        ("../{stem}.{ext}", "leads out of the output folder"),
        ("/tmp/{stem}.{ext}", "leads out of the output folder"),
    ],
)
def test_row_6_invalid_template_is_rejected(
    filename: str, message: str, make: Make, song: Path, tmp_path: Path
) -> None:
    with pytest.raises(RequestError) as caught:
        make().separate_to(song, tmp_path / "out", filename=filename)
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_row_6_stem_file_is_named_by_template(make: Make, song: Path, tmp_path: Path) -> None:
    result = make(stems="4s").separate_to(song, tmp_path, format="stem.mp4", filename="a/{track}.{ext}")
    assert {file.path for file in result.files} == {tmp_path / "a/Ein Lied.stem.mp4"}
    with pytest.raises(RequestError, match=r"unknown field \{stem\}"):
        make(stems="4s").separate_to(song, tmp_path, format="stem.mp4", filename="{stem}.{ext}")


def test_row_6_long_names_are_cut(make: Make, song: Path, tmp_path: Path) -> None:
    song = song.rename(tmp_path / ("ü" * 125 + ".wav"))
    result = make(stems="vocals,drums").separate_to(song, tmp_path / "out", filename="{track} {stem}.{ext}")
    assert [file.path.name for file in result.files] == ["ü" * 122 + " vocals.wav", "ü" * 122 + " drums.wav"]


def test_row_6_failed_song_leaves_no_folders(
    make: Make, song: Path, tmp_path: Path, toy_model: ToyModel
) -> None:
    toy_model.fail_at = 3
    with pytest.raises(RuntimeError):
        make().separate_to(song, tmp_path / "out", filename="{stem}/{track}.{ext}")
    assert not (tmp_path / "out").exists()
