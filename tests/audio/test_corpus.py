"""Every container with every kind of damage: exact length, no noise, a warning (faults A, E, L, O)."""

from pathlib import Path

import numpy as np
import pytest

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.flac import split_frames
from stemsplitter.errors import AudioError
from stemsplitter.probing.child import measure

from . import corpus
from .corpus import KINDS, Kind, Samples

# Allows a codec's overshoot; decoded noise would be several times as loud as the song.
LOUDEST = 1.1 * corpus.PEAK
SAMPLES = corpus.SECONDS * corpus.RATE
# Codecs and containers in which 50 zeros are detected: by a checksum, or because entropy-coded data has no such run.
CHECKED = [name for name in KINDS if name not in corpus.UNDETECTED]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corpus")


def read(folder: Path, kind: Kind, data: bytes) -> tuple[Samples, list[str]]:
    """Read samples and warnings of a file; the server's measurement must agree."""
    path = folder / f"song.{kind.name}"
    path.write_bytes(data)
    measured = measure(str(path), 3600)
    try:
        with open_source(path) as source:
            samples = np.concatenate(list(source.blocks()), axis=1)
    except AudioError as error:
        assert measured == {"error": str(error)}
        raise
    assert (measured["samples"], measured["warnings"]) == (samples.shape[1], source.warnings)
    assert np.abs(samples).max() <= LOUDEST
    return samples, source.warnings


@pytest.mark.parametrize("name", KINDS)
def test_undamaged_file_has_exact_length_and_no_warning(folder: Path, name: str) -> None:
    kind = KINDS[name]
    samples, warnings = read(folder, kind, corpus.encoded(kind, folder))
    assert warnings == []
    # ADTS and AC-3 frames state no padding.
    assert 0 <= samples.shape[1] - SAMPLES <= (0 if kind.states_length else 2 * kind.frame)


@pytest.mark.parametrize("name", KINDS)
def test_cut_file_decodes_up_to_the_cut_and_warns(folder: Path, name: str) -> None:
    kind = KINDS[name]
    whole = corpus.encoded(kind, folder)
    song, _ = read(folder, kind, whole)
    lengths = []
    for _, data in corpus.cuts(whole):
        try:
            samples, warnings = read(folder, kind, data)
        except AudioError:
            # Before the first whole packet, or without the index of an MP4 file.
            assert not lengths
            continue
        lengths.append(samples.shape[1])
        assert warnings
        # The decoded part equals the start of the song, except for the cut packet.
        same = samples.shape[1] - 4 * kind.frame - 4096
        if same > 0:
            np.testing.assert_allclose(samples[:, :same], song[:, :same], atol=1e-6)
    assert lengths == sorted(lengths)
    assert len(lengths) >= (0 if name == "m4a" else 5)


@pytest.mark.parametrize("name", CHECKED)
def test_e_hole_becomes_silence_of_its_length_and_warns(folder: Path, name: str) -> None:
    kind = KINDS[name]
    whole = corpus.encoded(kind, folder)
    song, _ = read(folder, kind, whole)
    silent_without_warning = 0
    # Only holes in packets, except the last two; headers are tested elsewhere.
    first, last = len(whole) // 5, len(whole) - len(whole) // 8
    if kind.name in ("flac", "av.flac", "wv", "tta", "ac3"):
        last = len(whole)
    elif kind.codec in ("vorbis", "opus"):
        last = len(whole) - len(whole) // 3  # one page
    for at, data in corpus.holes(whole):
        if not first < at < last:
            continue
        samples, warnings = read(folder, kind, data)
        assert abs(samples.shape[1] - song.shape[1]) <= kind.frame, at
        if np.array_equal(samples, song):
            continue
        silent_without_warning += not warnings
        # The rest of the song is aligned. Opus recovers slowly, and frames of TTA and WavPack have one second.
        is_last = at > len(whole) - len(whole) // 8
        assert (
            is_last
            or name in ("opus", "tta", "wv")
            or np.mean(np.abs(samples[:, -2048:] - song[:, -2048:])) < 0.02
        ), at
    assert silent_without_warning <= corpus.UNDETECTED_AT_MOST.get(kind.codec, 0)


@pytest.mark.parametrize("name", [name for name in corpus.UNDETECTED if name != "alac.m4a"])
def test_e_hole_without_checksums_stays_below_the_peak(folder: Path, name: str) -> None:
    kind = KINDS[name]
    whole = corpus.encoded(kind, folder)
    for at, data in corpus.holes(whole):
        if at > len(whole) // 5:
            read(folder, kind, data)


@pytest.mark.parametrize("name", ["aac", "m4a"])
def test_e_flipped_bits_are_never_far_louder_than_full_scale(folder: Path, name: str) -> None:
    """AAC has no checksum: damaged bits decode to samples of up to a hundred thousand times full scale."""
    whole, path = corpus.encoded(KINDS[name], folder), folder / f"flipped.{name.rpartition('.')[2]}"
    for seed in range(12):
        random, data = np.random.default_rng(seed), bytearray(whole)
        for at in random.integers(len(whole) // 10, len(whole) * 7 // 10, 20):
            data[at] ^= 1 << int(random.integers(8))
        path.write_bytes(data)
        with open_source(path) as source:
            assert max(np.abs(block).max() for block in source.blocks()) <= 8


def test_e_most_holes_in_alac_warn_and_keep_the_length(folder: Path) -> None:
    kind = KINDS["alac.m4a"]
    whole = corpus.encoded(kind, folder)
    path, without_warning = folder / "hole.m4a", 0
    for at, data in corpus.holes(whole):
        if at < len(whole) // 20:  # the index
            continue
        path.write_bytes(data)
        with open_source(path) as source:
            assert sum(block.shape[1] for block in source.blocks()) == SAMPLES
        without_warning += not source.warnings
    assert without_warning <= 4


def test_e_flac_data_without_a_valid_frame_has_no_frames() -> None:
    assert list(split_frames(bytes(100), 4096)) == []


def test_e_hole_in_the_first_wavpack_header_is_told_and_keeps_the_length(folder: Path) -> None:
    kind = KINDS["wv"]
    whole = corpus.encoded(kind, folder)
    song, _ = read(folder, kind, whole)
    samples, warnings = read(folder, kind, bytes(50) + whole[50:])
    assert warnings == ["The file is damaged (bad packets: 1); 0.5 s of it are silent."]
    lost = corpus.RATE // 2
    assert not samples[:, :lost].any()
    np.testing.assert_array_equal(samples[:, lost:], song[:, lost:])


ID3V1 = b"TAG" + b"Title".ljust(125, b"\0")
ID3V2 = b"ID3\3\0\0\0\0\0\x14" + b"TIT2\0\0\0\x0a\0\0" + b"\0A title!!"
APE_ITEM = (8).to_bytes(4, "little") + bytes(4) + b"Title\0A title!"
APE_VERSION = (2000).to_bytes(4, "little")
APE = b"".join(
    b"APETAGEX"
    + APE_VERSION
    + (32 + len(APE_ITEM)).to_bytes(4, "little")
    + b"\1\0\0\0"
    + flags
    + bytes(8)
    + item
    for flags, item in ((b"\0\0\0\xa0", APE_ITEM), (b"\0\0\0\x80", b""))
)
LYRICS3 = b"LYRICSBEGININD0000200LYR00005la la000034LYRICS200"
MPEG_TAGS = {
    "ID3v1": (b"", ID3V1),
    "ID3v2": (ID3V2, b""),
    "two ID3v2": (ID3V2 * 2, b""),
    "APE": (b"", APE),
    "APE and ID3v1": (b"", APE + ID3V1),
    "Lyrics3 and ID3v1": (b"", LYRICS3 + ID3V1),
    "all": (ID3V2, APE + LYRICS3 + ID3V1),
    "zeros": (bytes(10_000), bytes(5_000)),
    "zeros and tags": (ID3V2 + bytes(3_000), bytes(300) + APE + ID3V1),
}


@pytest.mark.parametrize("name", ["mp3", "av.mp3", "aac"])
@pytest.mark.parametrize("tags", MPEG_TAGS)
def test_l_tags_and_padding_around_frames_do_not_warn(folder: Path, name: str, tags: str) -> None:
    kind = KINDS[name]
    whole = corpus.encoded(kind, folder)
    song, _ = read(folder, kind, whole)
    before, after = MPEG_TAGS[tags]
    samples, warnings = read(folder, kind, before + whole + after)
    assert warnings == []
    np.testing.assert_array_equal(samples, song)


@pytest.mark.parametrize("name", KINDS)
def test_l_id3_tags_around_any_file_do_not_warn(folder: Path, name: str) -> None:
    kind = KINDS[name]
    whole = corpus.encoded(kind, folder)
    song, _ = read(folder, kind, whole)
    for before, after in ((ID3V2, b""), (b"", ID3V1)):
        samples, warnings = read(folder, kind, before + whole + after)
        assert warnings == []
        np.testing.assert_array_equal(samples, song)


@pytest.mark.parametrize("name", [name for name in KINDS if name not in ("ac3",)])
def test_o_garbage_before_and_after_the_audio_is_skipped(folder: Path, name: str) -> None:
    kind = KINDS[name]
    whole = corpus.encoded(kind, folder)
    song, _ = read(folder, kind, whole)
    for data in (corpus.garbage(1000) + whole, whole + corpus.garbage(1000, 1)):
        samples, warnings = read(folder, kind, data)
        np.testing.assert_array_equal(samples, song)
        assert not any("cut short" in warning for warning in warnings)


@pytest.mark.parametrize("name", KINDS)
def test_c_zeros_after_the_audio_are_neither_samples_nor_a_length(folder: Path, name: str) -> None:
    kind = KINDS[name]
    whole = corpus.encoded(kind, folder)
    song, _ = read(folder, kind, whole)
    samples, warnings = read(folder, kind, whole + bytes(1 << 20))
    assert warnings == []
    np.testing.assert_array_equal(samples, song)


@pytest.mark.parametrize("name", KINDS)
def test_f_a_second_song_in_the_file_is_read_or_told(folder: Path, name: str) -> None:
    kind = KINDS[name]
    whole = corpus.encoded(kind, folder)
    song, _ = read(folder, kind, whole)
    samples, warnings = read(folder, kind, whole + whole)
    np.testing.assert_array_equal(samples[:, : SAMPLES - 4 * kind.frame], song[:, : SAMPLES - 4 * kind.frame])
    is_told = any("bytes follow the audio that the header states" in warning for warning in warnings)
    assert is_told or samples.shape[1] >= 2 * SAMPLES - 2 * kind.frame
    assert len(warnings) <= 1


@pytest.mark.parametrize("name", ["wav", "aiff", "flac", "av.flac", "mp3"])
@pytest.mark.parametrize("factor", [2, 1000])
def test_stated_length_over_the_limit_is_not_refused(folder: Path, name: str, factor: int) -> None:
    """The limit applies to decoded samples, in the server as in the command."""
    kind = KINDS[name]
    data = bytearray(corpus.encoded(kind, folder))
    if name == "wav":
        data[40:44] = (len(data) * factor & 0xFFFFFFF0).to_bytes(4, "little")
    elif name == "aiff":
        at = data.index(b"SSND")
        data[at + 4 : at + 8] = (len(data) * factor).to_bytes(4)
    elif name == "mp3":
        at = data.index(b"Info")
        data[at + 8 : at + 12] = (int.from_bytes(data[at + 8 : at + 12]) * factor).to_bytes(4)
    else:
        at = 4 + 4 + 14
        data[at : at + 4] = (SAMPLES * factor).to_bytes(4)
    path = folder / f"wrong.{kind.name}"
    path.write_bytes(data)
    with open_source(path, max_seconds=corpus.SECONDS + 0.1) as source:
        samples = sum(block.shape[1] for block in source.blocks())
    assert abs(samples - SAMPLES) <= 2 * kind.frame and source.warnings
    assert measure(str(path), corpus.SECONDS + 0.1)["samples"] == samples
