"""The binding to LAME."""

import subprocess
import sys

import numpy as np
import pytest

from stemsplitter.audio import lame

pytestmark = pytest.mark.skipif(not lame.available(), reason="lameenc does not export LAME's functions here")


def encode(signal, rate=44100, bitrate=320):
    encoder = lame.Lame(rate, len(signal), bitrate)
    try:
        data = bytearray(encoder.encode(signal) + encoder.flush())
        info = encoder.info_frame()
    finally:
        encoder.close()
        encoder.close()
    return data, info


def test_info_frame_states_delay_and_padding(noise):
    data, info = encode(noise(50001))
    assert b"Info" in info and b"LAME" in info
    gap = info[info.index(b"LAME") + 21 :][:3]  # 12 bits of delay, 12 of padding
    delay, padding = gap[0] << 4 | gap[1] >> 4, (gap[1] & 15) << 8 | gap[2]
    frames = int.from_bytes(info[info.index(b"Info") + 8 :][:4])
    assert frames * 1152 == delay + 50001 + padding
    assert data[:2] == info[:2] == b"\xff\xfb"


def test_unsupported_settings_raise_value_error():
    with pytest.raises(ValueError, match="LAME cannot write"):
        lame.Lame(12345, 2, 320)


def test_lame_prints_nothing_and_does_not_abort():
    """LAME writes messages to the process's standard error, so the test runs a child process."""
    program = (
        "import numpy as np; from stemsplitter.audio.lame import Lame\n"
        "try: Lame(12345, 2, 320)\n"
        "except ValueError: pass\n"
        "e = Lame(44100, 2, 320); e.encode(np.full((2, 9999), 1e30, np.float32)); e.flush(); e.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_silent_and_empty_blocks_are_encoded():
    data, info = encode(np.zeros((1, 0), np.float32))
    assert info and data
    assert len(encode(np.zeros((2, 44100), np.float32))[0]) > 1000


def test_missing_lameenc_makes_lame_unavailable(monkeypatch, tmp_path):
    monkeypatch.setattr(lame.importlib.util, "find_spec", lambda _name: None)
    lame._library.cache_clear()
    try:
        assert not lame.available()
        with pytest.raises(RuntimeError, match="does not export"):
            lame.Lame(44100, 2, 320)
    finally:
        monkeypatch.undo()
        lame._library.cache_clear()
    assert lame.available()
