"""MP3 coding and decoding of a song."""

import io

import av
import lameenc
import numpy as np

from training.score import SAMPLE_RATE, Audio

# LAME's encoder is late by 576 samples and a polyphase decoder by 529 (LAME, "Technical FAQ").
_LATE = 576 + 529


def mp3_round_trip(stereo: Audio, bitrate: int, random: np.random.Generator) -> Audio:
    """``[2, n]`` through LAME at ``bitrate`` kbit/s and back, aligned to the sample, what exceeds ±1 clipped."""
    encoder = lameenc.Encoder()
    encoder.set_bit_rate(bitrate)
    encoder.set_in_sample_rate(SAMPLE_RATE)
    encoder.set_out_sample_rate(SAMPLE_RATE)
    encoder.set_channels(2)
    encoder.set_quality(int(random.choice([5, 7])))
    encoder.silence()
    length = stereo.shape[-1]
    padded = np.pad(np.clip(stereo, -1, 1), ((0, 0), (0, 4 * 1152)))
    dithered = padded * 32_767 + random.uniform(-0.5, 0.5, padded.shape)
    stream = (
        encoder.encode(np.clip(np.round(dithered), -32_768, 32_767).astype(np.int16).T.tobytes())
        + encoder.flush()
    )
    with av.open(io.BytesIO(stream), format="mp3") as container:
        decoded = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=-1)
    return decoded[:, _LATE : _LATE + length].astype(np.float32)
