"""Edit lists and other tables of MP4 files (faults J, K, O)."""

import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from stemsplitter.audio.decode import open_source
from stemsplitter.errors import AudioError

RATE, SAMPLES = 44_100, 50_000
PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I", 8 + len(body)) + kind + body


def full(kind: bytes, *content: bytes) -> bytes:
    return box(kind, bytes(4), *content)


def edits(*entries: tuple[int, int]) -> bytes:
    """An edit list of pairs of a length in movie units and a start in track units."""
    listed = b"".join(struct.pack(">iiI", length, start, 65536) for length, start in entries)
    return box(b"edts", full(b"elst", struct.pack(">I", len(entries)), listed))


def replace(data: bytes, path: tuple[bytes, ...], new: bytes) -> bytes:
    """Replace a box of a file whose ``moov`` is last."""
    start, end, parents = 0, len(data), []
    for kind in path:
        at = start
        while at < end:
            size, name = struct.unpack_from(">I4s", data, at)
            if name == kind:
                break
            at += size
        assert at < end, kind
        parents.append(at)
        start, end = at + 8, at + size
    at = parents.pop()
    size = struct.unpack_from(">I", data, at)[0]
    out = bytearray(data[:at] + new + data[at + size :])
    for parent in parents:
        length = struct.unpack_from(">I", out, parent)[0]
        struct.pack_into(">I", out, parent, length + len(new) - size)
    return bytes(out)


EDTS, STTS = (b"moov", b"trak", b"edts"), (*PARENTS, b"stts")


@pytest.fixture
def song(tmp_path, noise, mux):
    """An M4A of 50,000 samples after 1,024 priming samples, with a movie timescale of milliseconds."""
    return mux(tmp_path / "song.m4a", noise(SAMPLES), RATE, "aac").read_bytes()


def length(tmp_path, data: bytes) -> int:
    (tmp_path / "edited.m4a").write_bytes(data)
    with open_source(tmp_path / "edited.m4a") as source:
        samples = sum(block.shape[1] for block in source.blocks())
    assert source.warnings == []
    return samples


def test_j1_durations_shorter_than_frames_do_not_shorten_the_song(tmp_path, song):
    packets = -(-(SAMPLES + 1024) // 1024)
    assert length(
        tmp_path, replace(song, STTS, full(b"stts", struct.pack(">III", 1, packets, 1000)))
    ) == pytest.approx(SAMPLES, abs=RATE // 1000)


def smpb(delay: int, padding: int, samples: int) -> bytes:
    text = f" 00000000 {delay:08X} {padding:08X} {samples:016X}" + " 00000000" * 8
    item = box(
        b"----",
        full(b"mean", b"com.apple.iTunes"),
        full(b"name", b"iTunSMPB"),
        box(b"data", struct.pack(">II", 1, 0), text.encode()),
    )
    meta = full(b"meta", full(b"hdlr", bytes(4), b"mdirappl", bytes(9)), box(b"ilst", item))
    return box(b"udta", meta)


def test_j2_itunsmpb_without_an_edit_list_trims_both_ends(tmp_path, song, noise, offset):
    data = replace(replace(song, EDTS, box(b"free")), (b"moov", b"udta"), smpb(1024, 176, SAMPLES))
    assert length(tmp_path, data) == SAMPLES
    with open_source(tmp_path / "edited.m4a") as source:
        decoded = np.concatenate(list(source.blocks()), axis=1)
    assert offset(noise(SAMPLES), decoded) == 0


@pytest.mark.parametrize(
    ("entries", "samples"),
    [
        ([(1000, 1024)], 44_100),
        ([(500, 1024 + 4410)], 22_050),
        ([(250, -1), (1000, 1024)], 44_100),  # silence at the start is dropped
        ([(500, 1024), (500, 1024 + 22_050)], 44_100),
        ([(200, 1024), (300, 1024 + 22_050)], 22_050),
        ([(200, 1024), (100, -1), (200, 1024 + 22_050)], 22_050),
        ([(0, 1024)], SAMPLES),  # to the end, as in fragmented files
    ],
)
def test_j_edit_lists_are_exact(tmp_path, song, entries, samples):
    assert length(tmp_path, replace(song, EDTS, edits(*entries))) == samples


def test_j_empty_edit_between_edits_is_silent(tmp_path, song):
    (tmp_path / "song.m4a").write_bytes(
        replace(song, EDTS, edits((200, 1024), (100, -1), (200, 1024 + 22_050)))
    )
    with open_source(tmp_path / "song.m4a") as source:
        decoded = np.concatenate(list(source.blocks()), axis=1)
    assert not decoded[:, 8820:13230].any() and decoded[:, :8820].any() and decoded[:, 13230:].any()


@pytest.mark.parametrize("kind", [b"styp", b"uuid", b"free"])
def test_k1_boxes_before_the_file_type_are_skipped(tmp_path, song, kind):
    extra = box(kind, b"msdh", bytes(12))
    at = song.index(b"stco")
    count = struct.unpack_from(">I", song, at + 8)[0]
    moved = bytearray(song)
    for number in range(count):
        place = at + 12 + 4 * number
        struct.pack_into(">I", moved, place, struct.unpack_from(">I", song, place)[0] + len(extra))
    assert length(tmp_path, extra + bytes(moved)) == SAMPLES


@pytest.mark.parametrize("kind", [b"enca", b"drms"])
def test_o_encrypted_song_is_refused_with_the_reason(tmp_path, song, kind):
    (tmp_path / "song.m4a").write_bytes(song.replace(b"mp4a", kind))
    with pytest.raises(AudioError, match=r"song\.m4a is encrypted \(DRM\)"):
        open_source(tmp_path / "song.m4a")


def test_x_codec_outside_the_allowlist_is_refused(tmp_path):
    path = tmp_path / "song.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("g722", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 3200), np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16_000, 0, Fraction(1, 16_000)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(AudioError, match=r"is encoded as (adpcm_)?g722, which is not supported"):
        open_source(path)


@pytest.mark.parametrize("codec", ["aac", "alac"])
def test_l_padding_inside_packets_does_not_warn(tmp_path, mux, codec):
    """AAC at a constant bit rate fills packets of tones and silence with zeros."""
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(SAMPLES) / RATE)
    for samples in (np.stack([tone, tone * 0.9]), np.stack([tone, tone * 0]) * 1e-3, np.zeros((2, SAMPLES))):
        assert (
            length(tmp_path, mux(tmp_path / "tone.m4a", samples.astype(np.float32), RATE, codec).read_bytes())
            == SAMPLES
        )
