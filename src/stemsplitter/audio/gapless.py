"""Where a track really ends, and the Ogg Vorbis positions FFmpeg misreads.

FFmpeg cuts the start of every track and the end of most, but leaves two things to be done here (each
measured with FFmpeg 8):

- MP4: the last packet is decoded whole although its duration, or the edit list, ends inside it.
- Ogg Vorbis: files that begin at position 0 (as FFmpeg writes them) and files of a single page are cut at the
  wrong sample. Its own cutting is switched off and the last page's position used.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import IO

import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream
from av.codec.context import Flags2
from av.packet import Packet

Samples = npt.NDArray[np.float32]

# An ID3 tag's header, and where in the first MPEG frame an Xing or Info header can end.
_ID3_HEADER = 10
_XING_END = 4 + 2 + 32 + 4

# More than one packet decodes to: 8192 for Vorbis, 4096 and less for the lossy codecs in MP4 (lossless ones
# have no padding). A greater excess is no padding but a wrong header, or several songs in a row.
_MOST_PADDING = 8192


def mp3_states_length(file: IO[bytes]) -> bool:
    """Whether an MP3 file has the Xing or Info header that tells its length. The file is left at its start."""
    file.seek(0)
    head = file.read(_ID3_HEADER)
    at = 0
    if head.startswith(b"ID3") and len(head) == _ID3_HEADER:
        at = _ID3_HEADER + sum(
            (byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True)
        )
    file.seek(at)
    frame = file.read(_XING_END)
    file.seek(0)
    return b"Xing" in frame or b"Info" in frame


class EndTrim:
    """Cuts what a decoder gives after the end that the container states.

    Tell it every packet (:meth:`see`) before decoding it, pass what it decodes to through :meth:`hold`, and
    end with :meth:`release`.
    """

    def __init__(self, container: str, stream: AudioStream) -> None:
        self._is_mp4 = container.startswith("mov,")
        self._is_vorbis = container == "ogg" and stream.codec_context.name == "vorbis"
        self._primed = not self._is_vorbis
        self._stream = stream
        self._end = stream.duration if self._is_vorbis else None
        self._held: deque[Samples] = deque()
        self._held_samples = 0
        self._total = 0
        if self._is_vorbis:
            stream.codec_context.flags2 |= Flags2.skip_manual

    def see(self, packet: Packet[AudioStream]) -> None:
        """Note what the packet says about its place."""
        if self._is_mp4 and packet.pts is not None and packet.duration:
            self._end = self._mp4_end(packet.pts + packet.duration)

    def _mp4_end(self, packets_end: int) -> int | None:
        """The end in samples: where the last packet ends, or the edit list if that is earlier.

        Most writers round an edit's length to a millisecond; then the packets know better.
        """
        stream = self._stream
        rate = stream.codec_context.sample_rate
        if stream.time_base is None or stream.time_base * rate != 1:
            return None
        if stream.duration is None:
            return packets_end
        return packets_end if packets_end - stream.duration <= rate // 1000 else stream.duration

    def hold(self, samples: Samples) -> Iterator[Samples]:
        """Take ``[channels, n]`` samples; give those that are certainly before the end."""
        if not self._primed:
            # The first packet gives no sound, it only primes the overlap (Vorbis I specification, 4.3.8).
            self._primed = True
            return
        self._total += samples.shape[1]
        if not (self._is_mp4 or self._is_vorbis):
            yield samples
            return
        self._held.append(samples)
        self._held_samples += samples.shape[1]
        while self._held_samples - self._held[0].shape[1] >= _MOST_PADDING:
            self._held_samples -= self._held[0].shape[1]
            yield self._held.popleft()

    def release(self) -> Iterator[Samples]:
        """The rest, up to the end."""
        excess = self._total - self._end if self._end is not None else 0
        keep = self._held_samples - (excess if 0 < excess <= _MOST_PADDING else 0)
        while self._held and keep > 0:
            samples = self._held.popleft()
            yield samples[:, :keep]
            keep -= samples.shape[1]
