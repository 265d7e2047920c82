"""Native Instruments Stem files."""

import json

import av
import numpy as np
import pytest

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.nistem import MIXTURE, STEMS, NiStemWriter, description
from stemsplitter.audio.tags import Tags
from stemsplitter.errors import OutputError, RequestError

CONTAINERS = (b"moov", b"trak", b"udta")


def boxes(data, parent=""):
    """Yield every box of an MP4 as (path, content), recursing into ``CONTAINERS``."""
    at = 0
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        if length == 1:
            length = int.from_bytes(data[at + 8 : at + 16])
        assert 8 <= length <= len(data) - at
        path = f"{parent}/{kind.decode('latin-1')}"
        content = data[at + 8 : at + length]
        yield path, content
        if kind in CONTAINERS:
            yield from boxes(content, path)
        at += length
    assert at == len(data)


@pytest.fixture
def signals(noise):
    parts = {name: noise(50001, seed=seed) / 4 for seed, name in enumerate(STEMS)}
    return {MIXTURE: sum(parts.values()), **parts}


def write(path, signals, tags=None, rate=44100, **options):
    with NiStemWriter(path, rate, tags, **options) as writer:
        for start in range(0, 50001, 9000):
            writer.write({name: signal[:, start : start + 9000] for name, signal in signals.items()})
        writer.commit()
    assert writer.samples == 50001
    return path


def track(path, index):
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=index)]
    return np.concatenate(frames, axis=1)[:, :50001]


def test_file_has_five_tracks_and_a_description(tmp_path, signals, picture):
    tags = Tags("Song", "Singer", "Album", picture("mjpeg"), "image/jpeg", bpm="120", key="Am")
    path = write(tmp_path / "song.stem.mp4", signals, tags)
    found = list(boxes(path.read_bytes()))
    about = json.loads(dict(found)["/moov/udta/stem"])
    assert about["version"] == 1
    assert [stem["name"] for stem in about["stems"]] == ["drums", "bass", "other", "vocals"]
    assert all(len(stem["color"]) == 7 for stem in about["stems"])
    assert about["mastering_dsp"]["compressor"]["enabled"] is False
    assert about["mastering_dsp"]["limiter"]["enabled"] is False
    headers = [content for kind, content in found if kind == "/moov/trak/tkhd"]
    enabled = [content[3] & 1 for content in headers]
    assert enabled[:5] == [1, 0, 0, 0, 0]
    assert dict(found)["/ftyp"][:4] == b"M4A "
    with av.open(str(path)) as container:
        assert [stream.codec_context.name for stream in container.streams.audio] == ["aac"] * 5
        assert [stream.metadata["handler_name"] for stream in container.streams.audio] == [MIXTURE, *STEMS]
        assert all(stream.duration == 50001 for stream in container.streams.audio)
        assert container.metadata["title"] == "Song"
        assert container.metadata["initialkey"] == "Am"
    with open_source(path) as source:
        assert (source.info.tags.bpm, source.info.tags.key) == ("120", "Am")


def test_every_track_has_its_signal(tmp_path, signals, offset):
    path = write(tmp_path / "song.stem.mp4", signals)
    for index, signal in enumerate(signals.values()):
        decoded = track(path, index)
        assert offset(signal, decoded) == 0
        error = np.mean((decoded - signal) ** 2) / np.mean(signal**2)
        assert 10 * np.log10(error) < -20


def test_default_track_is_the_mixture(tmp_path, signals, decode, offset):
    decoded = decode(write(tmp_path / "song.stem.mp4", signals))
    assert decoded.shape == (2, 50001) and offset(signals[MIXTURE], decoded) == 0


def test_mono_becomes_stereo(tmp_path, signals):
    path = write(tmp_path / "song.stem.mp4", {name: signal[:1] for name, signal in signals.items()})
    decoded = track(path, 4)
    assert decoded.shape == (2, 50001)
    for channel in decoded:
        error = np.mean((channel - signals["vocals"][0]) ** 2) / np.mean(signals["vocals"][0] ** 2)
        assert 10 * np.log10(error) < -20


def test_description_has_custom_stem_names(tmp_path, signals):
    names = ("guitar", "piano", "other", "vocals")
    renamed = dict(zip((MIXTURE, *names), signals.values(), strict=True))
    found = dict(boxes(write(tmp_path / "song.stem.mp4", renamed, stems=names).read_bytes()))
    assert json.loads(found["/moov/udta/stem"]) == json.loads(description(names))


def test_uncommitted_file_is_deleted(tmp_path, signals):
    with NiStemWriter(tmp_path / "song.stem.mp4", 44100) as writer:
        writer.write(signals)
        writer.finish()
    with pytest.raises(KeyError), NiStemWriter(tmp_path / "song.stem.mp4", 44100) as writer:
        writer.write(signals)
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_full_disk_raises_and_leaves_no_file(tmp_path, signals, file_size_limit, capfd):
    with file_size_limit(20_000), pytest.raises(OutputError, match="cannot be written because"):  # noqa: SIM117
        with NiStemWriter(tmp_path / "song.stem.mp4", 44100) as writer:
            for _ in range(10):
                writer.write(signals)
            writer.commit()
    assert list(tmp_path.iterdir()) == []
    del writer
    assert capfd.readouterr() == ("", "")


def test_unsupported_stems_and_rate_are_refused(tmp_path):
    with pytest.raises(RequestError, match="four stems, not 2"):
        NiStemWriter(tmp_path / "song.stem.mp4", 44100, stems=("vocals", "instrumental"))
    with pytest.raises(RequestError, match="resample to 96000 Hz"):
        NiStemWriter(tmp_path / "song.stem.mp4", 192000)


def test_missing_stems_are_refused(tmp_path, signals):
    with (
        NiStemWriter(tmp_path / "song.stem.mp4", 44100) as writer,
        pytest.raises(ValueError, match="need a block"),
    ):
        writer.write({MIXTURE: signals[MIXTURE]})
