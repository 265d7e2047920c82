"""Stem sets: all files or none, and one gain for all stems."""

import os
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.stemset import StemSet
from stemsplitter.audio.tags import Tags
from stemsplitter.errors import OutputError, RequestError

NAMES = ("vocals", "drums", "bass")


def stem_set(folder, fmt="wav24", names=NAMES, **options):
    format = OutputFormat.parse(fmt)
    paths = {name: folder / f"{name}.{format.extension}" for name in names}
    return StemSet(paths, format, 44100, 2, Tags(title="Song"), **options)


def write_all(stems, signals, block=9999):
    for start in range(0, next(iter(signals.values())).shape[1], block):
        stems.write({name: signal[:, start : start + block] for name, signal in signals.items()})


@pytest.fixture
def signals(noise):
    return {name: noise(40000, seed=seed) for seed, name in enumerate(NAMES)}


@pytest.mark.parametrize("fmt", ["wav16", "wav24", "wav32f", "flac", "mp3", "ogg", "m4a"])
def test_all_stems_are_written(tmp_path, signals, decode, offset, fmt):
    with stem_set(tmp_path / "out", fmt) as stems:
        write_all(stems, signals)
        written = stems.commit()
    extension = OutputFormat.parse(fmt).extension
    assert [stem.path for stem in written] == [tmp_path / "out" / f"{name}.{extension}" for name in NAMES]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        stem.path.name for stem in written
    )
    assert (stems.gain, stems.peak) == (1.0, 0.5)
    for stem in written:
        decoded = decode(stem.path)
        assert stem.samples == 40000 and stem.peak == pytest.approx(np.abs(signals[stem.name]).max())
        assert decoded.shape == (2, 40000) and offset(signals[stem.name], decoded) == 0
        with open_source(stem.path) as source:
            assert source.info.tags.title == f"Song ({stem.name})"


@pytest.mark.parametrize("fmt", ["wav16", "wav24", "flac16", "flac24"])
@pytest.mark.parametrize("loud_from", [0, 15000, 39999])
def test_one_gain_for_all_stems_prevents_integer_clipping(tmp_path, signals, decode, fmt, loud_from):
    signals["drums"][0, loud_from] = -2.0
    with stem_set(tmp_path, fmt) as stems:
        write_all(stems, signals)
        written = stems.commit()
    assert stems.gain == 0.5 and stems.peak == 2.0
    step = 2.0 ** (1 - int(fmt[-2:]))
    for stem in written:
        # Rounded before and after the gain.
        np.testing.assert_allclose(decode(stem.path), signals[stem.name] * 0.5, atol=step)
    assert max(stem.peak for stem in written) == 1.0
    assert len(list(tmp_path.iterdir())) == len(NAMES)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4999), st.floats(-9, 9, width=32)), max_size=6),
    st.integers(500, 5000),
)
def test_integer_stems_sum_to_the_scaled_mixture(tmp_path, noise, decode, peaks, block):
    signals = {name: noise(5000, seed=seed) for seed, name in enumerate(NAMES)}
    for stem, at, value in peaks:
        signals[NAMES[stem]][1, at] = value
    with stem_set(tmp_path, "wav16") as stems:
        write_all(stems, signals, block)
        written = stems.commit()
    total = sum(decode(stem.path).astype(np.float64) for stem in written)
    mixture = sum(signal.astype(np.float64) for signal in signals.values())
    # Full scale (+1) is one step above the largest integer.
    assert np.abs(total - mixture * stems.gain).max() <= 2 * len(NAMES) * 2.0**-15
    high, low = max(map(np.max, signals.values())), min(map(np.min, signals.values()))
    assert (stems.gain < 1) == (high > 1 - 2.0**-16 or low < -1 - 2.0**-16)  # rounding removes half a step


def test_aac_over_full_scale_gets_a_gain(tmp_path, signals, decode):
    signals["drums"] *= 4
    with stem_set(tmp_path, "m4a") as stems:
        write_all(stems, signals)
        written = stems.commit()
    assert stems.gain == pytest.approx(0.5)
    for stem in written:
        target = signals[stem.name] * stems.gain
        error = np.mean((decode(stem.path) - target) ** 2) / np.mean(target**2)
        assert 10 * np.log10(error) < -15


@pytest.mark.parametrize("fmt", ["wav32f", "mp3", "ogg"])
def test_formats_with_headroom_keep_the_level(tmp_path, signals, decode, fmt):
    signals["drums"] *= 6
    with stem_set(tmp_path, fmt) as stems:
        write_all(stems, signals)
        stems.commit()
    assert stems.gain == 1.0 and stems.peak == 3.0
    assert np.abs(decode(tmp_path / f"drums.{OutputFormat.parse(fmt).extension}")).max() > 2.5


@pytest.mark.parametrize("fmt", ["wav24", "mp3"])
@pytest.mark.parametrize("loud", [False, True])
def test_uncommitted_files_are_deleted(tmp_path, signals, fmt, loud):
    signals["bass"] *= 4 if loud else 1
    with pytest.raises(KeyError), stem_set(tmp_path / "a" / "b", fmt) as stems:
        write_all(stems, signals)
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_existing_files_are_kept_until_commit(tmp_path, signals):
    (tmp_path / "vocals.wav").write_text("old")
    with stem_set(tmp_path) as stems:
        write_all(stems, signals)
    assert [path.name for path in tmp_path.iterdir()] == ["vocals.wav"]
    assert (tmp_path / "vocals.wav").read_text() == "old"


def test_failed_commit_leaves_no_stem(tmp_path, signals, monkeypatch):
    commit = StemWriter.commit

    def fail(writer):
        if writer.path.stem == "bass":
            raise OutputError("no.")
        commit(writer)

    monkeypatch.setattr(StemWriter, "commit", fail)
    with pytest.raises(OutputError), stem_set(tmp_path / "out") as stems:
        write_all(stems, signals)
        stems.commit()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("loud", [False, True])
def test_full_disk_raises_and_leaves_no_file(tmp_path, signals, file_size_limit, loud):
    signals["vocals"] *= 4 if loud else 1
    with file_size_limit(50_000), pytest.raises(OutputError, match="cannot be written because"):  # noqa: SIM117
        with stem_set(tmp_path / "out") as stems:
            for _ in range(20):
                write_all(stems, signals)
            stems.commit()
    assert list(tmp_path.iterdir()) == []


def test_second_run_into_one_folder_is_refused(tmp_path, signals):
    with stem_set(tmp_path / "out") as first:
        with pytest.raises(OutputError, match="Another run is writing into out"):
            stem_set(tmp_path / "out")
        write_all(first, signals)
        first.commit()
    assert len(list((tmp_path / "out").iterdir())) == len(NAMES)
    stem_set(tmp_path / "out").discard()


def test_folder_of_a_stem_name_is_refused_when_opened(tmp_path):
    (tmp_path / "drums.wav").mkdir()
    with pytest.raises(OutputError, match=r"drums\.wav cannot be written because a folder"):
        stem_set(tmp_path)


def test_unsupported_sample_rate_is_refused(tmp_path):
    with pytest.raises(RequestError, match="resample to 48000 Hz"):
        StemSet({"vocals": tmp_path / "out" / "vocals.mp3"}, OutputFormat.parse("mp3"), 96000, 2)
    assert list(tmp_path.iterdir()) == []


def test_blocks_are_copied(tmp_path, decode):
    """The caller may reuse its buffer immediately."""
    block = np.full((2, 5000), 0.5, np.float32)
    with stem_set(tmp_path, names=("vocals",)) as stems:
        for value in (0.1, 0.2, 0.3):
            block[:] = value
            stems.write({"vocals": block})
        block[:] = 0.9
        stems.commit()
    decoded = decode(tmp_path / "vocals.wav")[0]
    np.testing.assert_allclose(decoded, np.repeat([0.1, 0.2, 0.3], 5000), atol=1e-6)


@pytest.mark.parametrize("blocks", [{"vocals": 10}, {"vocals": 10, "drums": 10, "bass": 9}])
def test_missing_or_unequal_blocks_are_refused(tmp_path, blocks):
    with stem_set(tmp_path) as stems, pytest.raises(ValueError, match="every stem needs a block"):
        stems.write({name: np.zeros((2, n), np.float32) for name, n in blocks.items()})


def test_empty_blocks_are_accepted(tmp_path, decode):
    with stem_set(tmp_path) as stems:
        stems.write({name: np.zeros((2, 0), np.float32) for name in NAMES})
        stems.write({name: np.ones((2, 1), np.float32) / 2 for name in NAMES})
        stems.commit()
    assert decode(tmp_path / "bass.wav").shape == (2, 1)


def test_stem_set_leaves_no_thread_or_open_file(tmp_path, signals):
    def files():
        return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH112, PTH208

    before = threading.active_count(), files()
    for number in range(4):
        with stem_set(tmp_path / str(number), threads=3) as stems:
            write_all(stems, {name: signal * number for name, signal in signals.items()})
            if number % 2:
                stems.commit()
    assert (threading.active_count(), files()) == before
