"""Decoding of songs, and errors for other files."""

import contextlib
import os
import socket
import struct
import threading
import time
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.tags import Tags
from stemsplitter.errors import AudioError

OPEN_FILES = Path("/proc/self/fd")


def drain(path, **options):
    """Decode the samples and warnings of a file."""
    with open_source(path, **options) as source:
        samples = np.concatenate(list(source.blocks()), axis=1)
        return samples, source.warnings


def refused(path, **options):
    """The one-sentence error message for a file."""
    with pytest.raises(AudioError) as caught:
        drain(path, **options)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".") and message.isprintable()
    return message


def wav_bytes(samples, rate=44100, *, channels=None, size=None, kind=3, bits=32):
    """Build a plain WAV file whose header can be wrong."""
    data = np.ascontiguousarray(samples.T).tobytes()
    channels = channels or samples.shape[0]
    frame = channels * bits // 8
    head = struct.pack("<HHIIHH", kind, channels, rate, rate * frame, frame, bits)
    size = len(data) if size is None else size
    riff = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", min(len(riff), 2**32 - 1)) + riff


# --- decoded formats ---


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("codec", "ending", "tolerance"),
    [
        ("pcm_u8", "wav", 2**-7),
        ("pcm_s16le", "wav", 2**-15),
        ("pcm_s24be", "aiff", 2**-23),
        ("pcm_s32le", "wav", 2**-24),
        ("pcm_f32le", "wav", 0),
        ("pcm_f64le", "wav", 0),
        ("flac", "flac", 2**-23),
        ("alac", "m4a", 2**-23),
    ],
)
def test_lossless_formats_round_trip(tmp_path, noise, mux, decode, codec, ending, tolerance, channels):
    signal = noise(3000, channels)
    stored = signal + 1 if codec == "pcm_u8" else signal
    layout = {1: "mono", 2: "stereo"}[channels]
    decoded = decode(mux(tmp_path / f"song.{ending}", stored, 44100, codec, layout))
    assert decoded.dtype == np.float32 and decoded.flags.c_contiguous
    assert decoded.shape == signal.shape
    assert np.abs(decoded - signal).max() <= tolerance


def test_info_describes_the_source(tmp_path, noise, write):
    with open_source(write(tmp_path / "song.flac", noise(22050, 1), "flac16", 22050)) as source:
        info = source.info
    assert (info.sample_rate, info.channels, info.source_channels) == (22050, 1, 1)
    assert (info.codec, info.container, info.seconds) == ("flac", "flac", 1.0)
    assert info.tags == Tags()


@pytest.mark.parametrize("rate", [8000, 96000, 192000])
def test_rates_from_8_to_192_khz_are_decoded(tmp_path, noise, write, decode, rate):
    assert decode(write(tmp_path / "song.wav", noise(1000), rate=rate)).shape == (2, 1000)


@pytest.mark.parametrize("rate", [4000, 384000])
def test_rates_outside_8_to_192_khz_are_refused(tmp_path, noise, rate):
    (tmp_path / "song.wav").write_bytes(wav_bytes(noise(1000), rate))
    assert f"{rate} Hz" in refused(tmp_path / "song.wav")


def test_video_file_decodes_to_its_audio_track(tmp_path, noise, decode):
    signal = noise(48000)
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("flac", rate=48000)
        audio.layout, audio.format = "stereo", "s16"
        for number in range(25):
            picture = av.VideoFrame.from_ndarray(np.zeros((48, 32), np.uint8), format="yuv420p")
            picture.pts = number
            container.mux(video.encode(picture))
        data = np.ascontiguousarray((signal * 2**15).astype(np.int16).T.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(data, format="s16", layout="stereo")
        frame.sample_rate, frame.pts = 48000, 0
        container.mux(audio.encode(frame))
        for stream in (audio, video):
            container.mux(stream.encode(None))
    decoded = decode(path)
    assert decoded.shape == signal.shape
    assert np.abs(decoded - signal).max() <= 2**-15


def test_track_number_selects_the_track(tmp_path):
    path = tmp_path / "two.mka"
    with av.open(str(path), "w") as container:
        tracks = [container.add_stream("pcm_s16le", rate=44100, layout="mono") for _ in range(2)]
        for value, track in enumerate(tracks, 1):
            frame = av.AudioFrame.from_ndarray(
                np.full((1, 4410), value, np.int16), format="s16", layout="mono"
            )
            frame.sample_rate, frame.pts = 44100, 0
            container.mux(track.encode(frame))
        for track in tracks:
            container.mux(track.encode(None))
    for number in range(2):
        samples, _ = drain(path, track=number)
        assert np.all(samples == np.float32(number + 1) / 2**15) and samples.shape == (1, 4410)
    assert "two.mka has no audio track with the number 2" in refused(path, track=2)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(samples=st.integers(1, 5000), block=st.integers(1, 3000))
def test_all_blocks_but_the_last_are_full_and_contiguous(tmp_path, noise, write, samples, block):
    signal = noise(samples)
    with open_source(write(tmp_path / "song.wav", signal)) as source:
        blocks = list(source.blocks(block))
    assert [b.shape[1] for b in blocks[:-1]] == [block] * (len(blocks) - 1)
    assert all(b.flags.c_contiguous for b in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), signal)


def test_surround_is_mixed_down_to_stereo(tmp_path, mux):
    channels = np.zeros((6, 1000), np.float32)
    channels[2] = 0.5  # the center channel
    path = mux(tmp_path / "song.wav", channels, 48000, "pcm_f32le", "5.1")
    with open_source(path) as source:
        assert (source.info.channels, source.info.source_channels) == (2, 6)
    samples, _ = drain(path)
    np.testing.assert_allclose(samples, 0.5 * np.sqrt(0.5), rtol=1e-6)


# --- unusual audio ---


def test_song_of_ten_milliseconds_keeps_its_length(tmp_path, noise, write, decode):
    assert decode(write(tmp_path / "song.mp3", noise(441), "mp3")).shape == (2, 441)


def test_silent_song_decodes_to_zeros(tmp_path, write, decode):
    assert not decode(write(tmp_path / "song.flac", np.zeros((2, 9000), np.float32), "flac")).any()


def test_samples_over_full_scale_and_dc_offset_are_kept(tmp_path, noise, write, decode):
    signal = noise(2000) * 8 + 0.25
    np.testing.assert_array_equal(decode(write(tmp_path / "song.wav", signal)), signal)


def test_nan_and_infinite_samples_become_zero_and_warn(tmp_path, noise):
    signal = noise(3000)
    signal[0, 10], signal[1, 20], signal[1, 2500] = np.nan, np.inf, -np.inf
    (tmp_path / "song.wav").write_bytes(wav_bytes(signal))
    samples, warnings = drain(tmp_path / "song.wav")
    np.testing.assert_array_equal(samples, np.where(np.isfinite(signal), signal, 0))
    assert len(warnings) == 1 and warnings[0].startswith("3 samples")


def test_doubles_out_of_float32_range_become_zero_and_warn(tmp_path):
    (tmp_path / "song.wav").write_bytes(wav_bytes(np.full((1, 100), 1e300), bits=64))
    samples, warnings = drain(tmp_path / "song.wav")
    assert not samples.any() and warnings[0].startswith("100 samples")


# --- files that are not songs ---


def test_missing_file_is_refused(tmp_path):
    assert "no file gone.mp3" in refused(tmp_path / "gone.mp3")


def test_folder_is_refused(tmp_path):
    assert "is a folder" in refused(tmp_path)


def test_empty_file_is_refused(tmp_path):
    (tmp_path / "song.mp3").touch()
    assert "is empty" in refused(tmp_path / "song.mp3")


def test_pipe_is_refused_without_blocking(tmp_path):
    os.mkfifo(tmp_path / "song.mp3")
    assert "not a regular file" in refused(tmp_path / "song.mp3")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_refused(tmp_path, noise, write):
    path = write(tmp_path / "song.wav", noise(100))
    path.chmod(0)
    assert "no permission" in refused(path)


def test_permission_error_has_a_message(tmp_path, noise, write, monkeypatch):
    path = write(tmp_path / "song.wav", noise(100))

    def deny(*_args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", deny)
    assert "no permission" in refused(path)


@pytest.mark.parametrize("ending", ["mp3", "wav", "txt", "aac"])
def test_text_file_is_refused(tmp_path, ending):
    path = tmp_path / f"song.{ending}"
    path.write_text("This is not music. " * 500)
    assert path.name in refused(path)


def test_path_with_a_null_byte_is_refused():
    assert "cannot be opened" in refused("song\0.mp3")


def test_video_without_audio_is_refused(tmp_path):
    with av.open(str(tmp_path / "film.mp4"), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        container.mux(video.encode(av.VideoFrame(32, 32, "yuv420p")))
        container.mux(video.encode(None))
    assert "no audio track" in refused(tmp_path / "film.mp4")


@pytest.mark.parametrize("keep", [4, 20, 43])
def test_file_cut_in_the_header_is_refused(tmp_path, noise, keep):
    (tmp_path / "song.wav").write_bytes(wav_bytes(noise(1000))[:keep])
    assert "song.wav" in refused(tmp_path / "song.wav")


def test_file_without_samples_is_refused(tmp_path):
    (tmp_path / "song.wav").write_bytes(wav_bytes(np.zeros((2, 0), np.float32)))
    assert "song.wav" in refused(tmp_path / "song.wav")


@pytest.mark.parametrize(("fmt", "ending"), [("wav32f", "wav"), ("flac", "flac"), ("ogg", "ogg")])
def test_cut_file_decodes_up_to_the_cut(tmp_path, noise, write, fmt, ending):
    signal = noise(200_000)
    path = write(tmp_path / f"song.{ending}", signal, fmt)
    whole, _ = drain(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    samples, warnings = drain(path)
    assert 80_000 < samples.shape[1] < 150_000
    # The last packet of a cut file may be incomplete.
    same = samples.shape[1] - 8192
    np.testing.assert_array_equal(samples[:, :same], whole[:, :same])
    if fmt != "ogg":  # An Ogg file cut between pages has no incomplete packet.
        assert warnings


def test_cut_mp3_decodes_up_to_the_cut_and_warns(tmp_path, noise, write):
    path = write(tmp_path / "song.mp3", noise(200_000), "mp3")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    samples, warnings = drain(path)
    assert 90_000 < samples.shape[1] < 110_000
    assert any("cut short" in warning for warning in warnings)


def test_cut_m4a_is_refused(tmp_path, noise, write):
    """The movie box is at the end of the file, so nothing can be decoded."""
    path = write(tmp_path / "song.m4a", noise(100_000), "m4a")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "song.m4a" in refused(path)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), ending=st.sampled_from(["wav", "flac", "mp3", "ogg", "m4a"]))
def test_damaged_file_is_decoded_or_refused(tmp_path, noise, write, seed, ending):
    path = tmp_path / f"song.{ending}"
    good = tmp_path / f"good.{ending}"
    if not good.exists():
        write(good, noise(8000), ending)
    data = bytearray(good.read_bytes())
    random = np.random.default_rng(seed)
    for at in random.integers(0, len(data), 30):
        data[at] = random.integers(256)
    path.write_bytes(data)
    try:
        samples, _ = drain(path, max_seconds=60)
    except AudioError as error:
        assert "\n" not in str(error)
    else:
        assert np.isfinite(samples).all()


# --- wrong headers, and limits ---


def test_header_stating_more_samples_warns(tmp_path, noise):
    (tmp_path / "song.wav").write_bytes(wav_bytes(noise(3000), size=2**31))
    samples, warnings = drain(tmp_path / "song.wav")
    assert samples.shape == (2, 3000)
    assert len(warnings) == 1 and "cut short" in warnings[0]


def test_header_of_unknown_length_decodes_to_the_end(tmp_path, noise):
    """Programs that write to a pipe leave such headers."""
    (tmp_path / "song.wav").write_bytes(wav_bytes(noise(3000), size=2**32 - 1))
    samples, _ = drain(tmp_path / "song.wav", max_seconds=1)
    assert samples.shape == (2, 3000)


def test_header_stating_fewer_samples_limits_the_length(tmp_path, noise):
    (tmp_path / "song.wav").write_bytes(wav_bytes(noise(3000), size=1000 * 8))
    samples, _ = drain(tmp_path / "song.wav")
    assert samples.shape == (2, 1000)


def test_sample_rate_of_the_header_is_used(tmp_path, noise):
    """The file has no other source of the rate."""
    (tmp_path / "song.wav").write_bytes(wav_bytes(noise(3000), 48000))
    with open_source(tmp_path / "song.wav") as source:
        assert source.info.sample_rate == 48000


def test_song_of_one_day_is_refused_without_decoding(tmp_path):
    path = tmp_path / "song.wav"
    frames = 24 * 3600 * 8000
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(b"")
    head = bytearray(path.read_bytes())
    head[4:8], head[40:44] = struct.pack("<I", frames + 36), struct.pack("<I", frames)
    path.write_bytes(head)
    os.truncate(path, frames + 44)  # sparse: uses no disk space
    start = time.process_time()  # excludes the load of other processes
    message = refused(path, max_seconds=3600)
    assert time.process_time() - start < 2
    assert "24 h 0 min" in message and "1 h 0 min" in message


def test_limit_applies_to_decoded_samples_over_the_header(tmp_path, noise, write):
    path = write(tmp_path / "song.flac", noise(44100 * 2), "flac16")
    data = bytearray(path.read_bytes())
    at = data.index(b"fLaC") + 8 + 14  # the number of samples in STREAMINFO: 0 is unknown
    assert struct.unpack(">I", data[at : at + 4])[0] == 44100 * 2
    data[at : at + 4] = bytes(4)
    path.write_bytes(data)
    assert "over the limit of 1 s" in refused(path, max_seconds=1)


def test_estimated_length_over_the_limit_is_not_refused(tmp_path, noise, mux, decode):
    """FFmpeg estimates the length of raw AAC from the first frames, which are silent here."""
    signal = np.concatenate([np.zeros((2, 44100), np.float32), noise(44100)], axis=1)
    assert decode(mux(tmp_path / "song.aac", signal, 44100, "aac"), max_seconds=3).shape[1] >= 88200


def test_song_of_exactly_the_limit_is_decoded(tmp_path, noise, write, decode):
    assert decode(write(tmp_path / "song.wav", noise(44100)), max_seconds=1).shape == (2, 44100)


@pytest.mark.parametrize("channels", [9, 500])
def test_more_than_eight_channels_are_refused(tmp_path, channels):
    data = wav_bytes(np.zeros((channels, 64), np.int16), kind=1, bits=16)
    (tmp_path / "song.wav").write_bytes(data)
    assert f"{channels} channels" in refused(tmp_path / "song.wav")


def test_highly_compressed_silence_is_streamed(tmp_path, write):
    """A few kilobytes of FLAC decode to many samples, which are yielded block by block."""
    path = write(tmp_path / "song.flac", np.zeros((2, 44100 * 20), np.float32), "flac16")
    assert path.stat().st_size < 20_000
    with open_source(path) as source:
        first = next(source.blocks(1000))
        assert first.shape == (2, 1000) and source.samples == 1000


def test_f1_changing_sample_rate_is_resampled_and_warns(tmp_path, noise, mux):
    parts = [mux(tmp_path / f"{rate}.aac", noise(40000), rate, "aac").read_bytes() for rate in (44100, 22050)]
    path = tmp_path / "song.aac"
    path.write_bytes(b"".join(parts))
    samples, warnings = drain(path)
    assert 120_000 <= samples.shape[1] < 120_000 + 4 * 2048
    assert len(warnings) == 1 and "changes from 44100 to 22050 Hz" in warnings[0]


def test_changing_channel_count_is_converted(tmp_path, noise, mux, decode):
    parts = [
        mux(tmp_path / "stereo.aac", noise(40000), 44100, "aac").read_bytes(),
        mux(tmp_path / "mono.aac", noise(40000, 1), 44100, "aac", "mono").read_bytes(),
    ]
    path = tmp_path / "song.aac"
    path.write_bytes(b"".join(parts))
    samples = decode(path)
    assert samples.shape[0] == 2 and samples.shape[1] >= 80000
    np.testing.assert_array_equal(samples[0, -20000:], samples[1, -20000:])
    assert samples[0, -20000:].any()


# --- references to other files and hosts ---

REFERENCES = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n",
    "list.m3u": "#EXTM3U\n{url}\n",
    "list.mp3": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile '{file}'\n",
    "list.wav": "ffconcat version 1.0\nfile '{file}'\n",
    "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n",
    "list.mpd": (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
        '<AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1"><BaseURL>{url}</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>"
    ),
    "list.pls": "[playlist]\nFile1={url}\nNumberOfEntries=1\n",
    "film.smil": '<smil><body><audio src="{url}"/></body></smil>',
}


class Trap:
    """A local port and a pipe: ``sprung`` is set when the port gets a connection or the pipe a reader."""

    def __init__(self, folder):
        self.sprung = threading.Event()
        self.pipe = folder / "secret.wav"
        os.mkfifo(self.pipe)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._serve, self._feed)]
        for thread in self._threads:
            thread.start()

    def _serve(self):
        with contextlib.suppress(OSError):
            self._server.accept()[0].close()
            self.sprung.set()

    def _feed(self):
        os.close(os.open(self.pipe, os.O_WRONLY))  # waits for a reader
        self.sprung.set()

    def close(self):
        """End the threads without changing ``sprung``."""
        seen, self.sprung = self.sprung, threading.Event()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        os.close(os.open(self.pipe, os.O_RDONLY | os.O_NONBLOCK))
        for thread in self._threads:
            thread.join(60)
        self.sprung = seen


@pytest.fixture
def trap(tmp_path):
    trap = Trap(tmp_path)
    yield trap
    trap.close()


def references(name, trap):
    url = f"http://127.0.0.1:{trap.port}/a.mp3"
    return REFERENCES[name].format(url=url, file=trap.pipe.name, port=trap.port)


@pytest.mark.parametrize("name", REFERENCES)
def test_playlists_are_refused_and_nothing_is_opened(tmp_path, trap, name):
    (tmp_path / name).write_text(references(name, trap))
    assert name in refused(tmp_path / name)
    assert not trap.sprung.wait(0.05)


@pytest.mark.parametrize("name", ["list.m3u8", "list.ffconcat"])
def test_trap_detects_a_followed_reference(tmp_path, trap, name):
    """FFmpeg follows these files if allowed, so the test above can fail."""
    (tmp_path / name).write_text(references(name, trap))
    options = {"protocol_whitelist": "file,http,tcp"}
    with contextlib.suppress(av.error.FFmpegError), av.open(str(tmp_path / name), options=options):
        pass
    assert trap.sprung.wait(60)


@pytest.mark.parametrize(
    "path",
    [
        "concat:{0}|{0}",
        "file:{0}",
        "http://127.0.0.1:9/a.mp3",
        "subfile,,start,0,end,0,,:{0}",
        "async:{0}",
        "crypto:{0}",
        "data:audio/wav;base64,UklGRg==",
        "pipe:0",
        "-",
        "fd:0",
        "lavfi:sine",
    ],
)
def test_urls_are_file_names(tmp_path, noise, write, path):
    song = write(tmp_path / "song.wav", noise(1000))
    assert "There is no file" in refused(path.format(song))


def test_movie_data_reference_is_not_followed(tmp_path, noise, mux, trap):
    """QuickTime data references to other files are a known way to read files without permission."""
    path = mux(tmp_path / "song.mov", noise(20000), 44100, "pcm_s16le")
    path.write_bytes(with_data_reference(path.read_bytes(), f"file://{trap.pipe}"))
    with contextlib.suppress(AudioError):
        drain(path)
    assert not trap.sprung.wait(0.05)


def with_data_reference(movie, url):
    """Replace the data reference of the movie's track, which refers to the movie itself, by ``url``."""
    entry = b"url " + bytes(4) + url.encode() + b"\0"
    entry = struct.pack(">I", 4 + len(entry)) + entry
    new = b"dref" + bytes(4) + struct.pack(">I", 1) + entry
    new = struct.pack(">I", 4 + len(new)) + new
    at = movie.index(b"dref") - 4
    old = struct.unpack(">I", movie[at : at + 4])[0]
    data = bytearray(movie[:at] + new + movie[at + old :])
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):  # update the sizes of the enclosing boxes
        start = movie.index(box) - 4
        size = struct.unpack(">I", movie[start : start + 4])[0]
        data[start : start + 4] = struct.pack(">I", size + len(new) - old)
    return bytes(data)


# --- names ---


@pytest.mark.parametrize(
    "name",
    ["Größe 🎸 音楽.wav", "two\nlines.wav", "a" * 251 + ".wav", "-rf.wav", "100%.wav", "a:b|c.wav"],
)
def test_unusual_file_names_are_decoded_and_shown(tmp_path, noise, write, decode, name):
    path = write(tmp_path / name, noise(100))
    assert decode(path).shape == (2, 100)
    path.write_bytes(b"no music")
    assert "\n" not in refused(path)


def test_file_name_that_is_not_utf8_is_decoded_and_shown(tmp_path, noise, write, decode):
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    try:
        path.touch()
    except OSError:
        pytest.skip("this file system accepts UTF-8 names only")
    assert decode(write(path, noise(100))).shape == (2, 100)
    path.write_bytes(b"no music")
    assert "caf\ufffd.wav" in refused(path)


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="the system does not list open files")
def test_source_leaves_no_open_file(tmp_path, noise, write):
    before = len(list(OPEN_FILES.iterdir()))
    path = write(tmp_path / "song.wav", noise(100))
    for _ in range(5):
        drain(path)
        (tmp_path / "bad.wav").write_bytes(b"no music")
        refused(tmp_path / "bad.wav")
    assert len(list(OPEN_FILES.iterdir())) <= before


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_mp3_header_states_the_length(tmp_path, noise, write, rate):
    path = write(tmp_path / "song.mp3", noise(rate * 2), "mp3", rate)
    with open_source(path) as source:
        assert source.info.seconds == pytest.approx(2, abs=0.2)
        assert sum(block.shape[1] for block in source.blocks()) == rate * 2
        assert source.warnings == []
    assert "over the limit of 1 s" in refused(path, max_seconds=1)


# --- aborted reads ---


def test_c_close_aborts_a_read_in_another_thread(tmp_path, noise, write):
    """A decoder may search a file for minutes; close does not wait for it."""
    path = write(tmp_path / "song.flac", noise(44100 * 20), "flac16")
    source = open_source(path)
    slow, entered = threading.Event(), threading.Event()
    read = source._views[0]._file.read

    class Slow:
        seek = source._views[0]._file.seek

        def read(self, size):
            entered.set()
            slow.wait(0.05)
            return read(min(size, 4096))

    source._views[0]._file = Slow()
    failed = []

    def drain_it():
        try:
            for _ in source.blocks():
                pass
        except (AudioError, OSError, ValueError) as error:
            failed.append(error)

    thread = threading.Thread(target=drain_it)
    thread.start()
    assert entered.wait(60)
    source.close()
    thread.join(60)
    assert not thread.is_alive() and source.samples < 44100 * 20


def test_a_limit_counts_decoded_samples(tmp_path, noise, write):
    """Fault A: a file whose header states too many samples is not refused."""
    path = write(tmp_path / "song.flac", noise(44100 * 4), "flac16")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    samples, warnings = drain(path, max_seconds=3)
    assert 44100 < samples.shape[1] < 44100 * 3 and any("cut short" in warning for warning in warnings)
