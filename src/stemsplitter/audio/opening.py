"""Opening of a song in FFmpeg, restricted to one file and to allowed demuxers and decoders.

FFmpeg opens no file itself: it reads one file through a Python object and may use only the demuxers and decoders listed
here, so that playlists and references such as ``concat:`` or ``http:`` are not followed.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import IO, NoReturn

import av
import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer

from stemsplitter.audio import mpeg
from stemsplitter.audio.chunks import chunks_end
from stemsplitter.audio.mpeg_tags import tags_end, tags_start
from stemsplitter.audio.views import FileView, file_size, read_at
from stemsplitter.errors import AudioError
from stemsplitter.files.names import shown

READABLE = "choose a wav, flac, mp3, ogg, opus, m4a, aiff, mp4, webm or mkv file"
MAX_CHANNELS = 8

_CONTAINERS = (
    "aac,ac3,aiff,ape,asf,au,avi,caf,eac3,flac,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpeg,mpegts,ogg,"
    "tta,w64,wav,wv"
)
_DECODERS = frozenset(
    [
        *("aac", "ac3", "adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms", "alac", "ape", "dca", "eac3", "flac"),
        *("mp1float", "mp2float", "mp3float", "mp3", "opus", "tta", "vorbis", "wavpack", "wmapro", "wmav1"),
        *("wmav2", "wmalossless"),
        *(name for name in av.codecs_available if name.startswith("pcm_")),
    ]
)
_AC3 = b"\x0b\x77"
_RAW_FRAMES = {".aac", ".ac3", ".mp3"}
_SEARCHED = 1 << 16
# Signatures to search for after garbage and unsupported tags. mpeg.py finds MPEG frames.
_STARTS = re.compile(
    rb"fLaC\0\0\0\x22|riff\x2e\x91\xcf\x11|OggS\0"
    rb"|RIFF....WAVE|RF64....WAVE|BW64....WAVE|FORM....AIF[FC]|wvpk|TTA1|MAC \x96"
    rb"|RIFF....AVI |FLV\x01[\x01\x04\x05]\0\0\0\x09|\x30\x26\xb2\x75\x8e\x66\xcf\x11"
    rb"|caff\x00\x01|\.snd\0\0|\0\0\0[\x10-\x40]ftyp|\x1a\x45\xdf\xa3",
    re.DOTALL,
)
_OTHER_STARTS = re.compile(
    rb"""
    \.snd | FLV\x01 | ADIF | MAC[ ] | riff\x2e\x91 | \x30\x26\xb2\x75 | \x00\x00\x01\xba | RIFF....AVI[ ] | RIFX
    | ....(moov|mdat|wide|free|skip|styp|uuid|pnot) | \x47.{187}\x47 | .{4}\x47.{191}\x47 | \x0b\x77 | \x7f\xfe\x80\x01
    """,
    re.VERBOSE | re.DOTALL,
)
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|body|script|\?xml)", re.IGNORECASE)


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file that is not empty. Raises AudioError otherwise."""
    name = shown(path)
    try:
        # Nonblocking: the path may be a pipe without a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise AudioError(f"There is no file {name}: check the path.") from error
    except PermissionError as error:
        raise AudioError(f"{name} cannot be read: you have no permission to open it.") from error
    except (OSError, ValueError) as error:
        raise AudioError(f"{name} cannot be opened: {getattr(error, 'strerror', None) or error}.") from error
    kind = os.fstat(descriptor)
    if stat.S_ISREG(kind.st_mode) and kind.st_size:
        return os.fdopen(descriptor, "rb", buffering=0)
    os.close(descriptor)
    if stat.S_ISDIR(kind.st_mode):
        raise AudioError(f"{name} is a folder: name a file in it.")
    if stat.S_ISREG(kind.st_mode):
        raise AudioError(f"{name} is empty (0 bytes): copy or download it again.")
    raise AudioError(f"{name} is not a regular file: {READABLE}.")


def find_start(file: IO[bytes]) -> int:
    """Find the start of the song: 0, or the position after tags and garbage that FFmpeg does not skip."""
    head = read_at(file, 0, _SEARCHED)
    if _STARTS.match(head) or not _is_garbage(head):
        return 0
    for tags in (tags_end(file, zeros=False), tags_end(file)):
        if tags and (_STARTS.match(begin := read_at(file, tags, 16)) or begin[:2] == _AC3):
            # FFmpeg reads the ID3 tag of a FLAC file.
            return 0 if head[:3] == b"ID3" and begin[:4] == b"fLaC" else tags
    if head[:3] == b"ID3":
        return 0
    found = _STARTS.search(head)
    return found.start() if found else 0


def find_end(file: IO[bytes], start: int) -> int:
    """Find the end of the song: before ID3v1 tags and zeros that FFmpeg would decode, else the file's end."""
    end = chunks_end(file, start, file_size(file))
    if read_at(file, start, 4) not in (b"TTA1", b"wvpk", b"fLaC") and read_at(file, start, 2) != _AC3:
        return end
    tail = read_at(file, max(start, end - 128), 128)
    if tail[:3] == b"TAG":
        return end - 128
    # A few zeros may be audio; this many are padding.
    is_padded = not tail.strip(b"\0") and read_at(file, start, 4) != b"wvpk"
    return tags_start(file, start) if is_padded else end


def _is_garbage(head: bytes) -> bool:
    """True if ``head`` has no signature of a container that FFmpeg recognizes."""
    return not _OTHER_STARTS.match(head)


def open_container(view: FileView, name: str) -> InputContainer:
    """Open FFmpeg's demuxer for a file. Raises AudioError with the reason if there is none."""
    options = {
        "format_whitelist": _CONTAINERS,
        "codec_whitelist": ",".join(sorted(_DECODERS)),
        "protocol_whitelist": "none",
        # mp4.py applies edit lists, exact to the sample.
        "ignore_editlist": "1",
    }
    try:
        return av.open(
            view,
            mode="r",
            options=options,
            io_open=_refuse_to_open,
            metadata_errors="replace",
            buffer_size=1 << 18,
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise AudioError(f"{name} {_reason(view)}.") from error


def begins_song(head: bytes) -> bool:
    """True if ``head`` (24 bytes) is the start of a song; a WavPack block without samples belongs to the one before."""
    return bool(_STARTS.match(head)) and (head[:4] != b"wvpk" or any(head[20:24]))


def suffix_for(path: Path) -> str:
    """The extension to pass to FFmpeg, with its dot; empty if FFmpeg does not need it."""
    suffix = path.suffix.lower()
    return suffix if suffix in _RAW_FRAMES else ""


def find_stream(container: InputContainer, name: str, track: int | None) -> AudioStream:
    """Find the audio track with that number, from 0, or the default one. Raises AudioError if it is unsupported."""
    tracks = container.streams.audio[track or 0 :]
    if not tracks:
        number = "" if track is None else f" with the number {track}"
        raise AudioError(f"{name} has no audio track{number}: {READABLE}.")
    best = container.streams.best("audio") if track is None else None
    stream = best if isinstance(best, AudioStream) else tracks[0]
    try:
        context = stream.codec_context
        codec, channels = context.codec.name, context.channels
    except (AttributeError, av.error.FFmpegError) as error:
        raise AudioError(f"{name} has an audio track in an unknown format: {READABLE}.") from error
    if codec not in _DECODERS:
        raise AudioError(f"{name} is encoded as {codec}, which is not supported: {READABLE}.")
    if channels > MAX_CHANNELS:
        raise AudioError(
            f"{name} has {channels} channels, more than the {MAX_CHANNELS} that can be read: mix it down first."
        )
    return stream


def _refuse_to_open(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError("a source may not refer to other files")


def _reason(view: FileView) -> str:
    view.seek(0)
    head = view.read(1 << 12)
    if _PAGE.match(head):
        return "is a web page, not a song: download the file itself"
    if mpeg.is_free_format(head.lstrip(b"\0")):
        return "is a free-format MP3, which is not supported: convert it to another bit rate or format"
    return f"is not audio that can be read: {READABLE}"
