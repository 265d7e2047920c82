"""Masters of splits: read in either form, and raw ones replaced by FLAC.

A worker that stores in a folder writes raw masters, WAV with 32-bit floats, so that a song is separated without the
processor time of FLAC. Once the previews are made and the stems measured, FLAC replaces them. The row changes in one
transaction; the raw files stay for some time for runs that have begun to read them, and count until they are deleted.
"""

from collections.abc import Collection, Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from stemsplitter.audio import masters
from stemsplitter.audio.decode import open_source
from stemsplitter.audio.formats import media_type
from stemsplitter.audio.masters import Masters
from stemsplitter.audio.tags import Tags
from stemsplitter.splits.models import Split, masters_folder
from stemsplitter.storage import Storage
from stemsplitter.storage.errors import FileMissing

RAW = "raw masters"
"""Name of the counted bytes of raw masters that FLAC has replaced."""

RAW_KEPT = timedelta(minutes=10)

_WAV, _FLAC = ".wav", ".flac"


def is_raw(key: str) -> bool:
    """Return true if a storage key is that of a raw master."""
    return key.endswith(_WAV)


def raw(split: Split) -> dict[str, dict[str, Any]]:
    """Return the masters that FLAC can replace: all or none. Those that are the split's stems as well stay."""
    found = split.masters or {}
    stems = {stem["key"] for stem in (split.stems or {}).values()}
    can_replace = all(is_raw(each["key"]) and each["key"] not in stems for each in found.values())
    return found if can_replace and max((each["peak"] for each in found.values()), default=2) <= 1 else {}


def current_key(storage: Storage, key: str) -> str:
    """Return the storage key of a master. ``key`` may be that of a raw one which FLAC has replaced: the row was read
    before, or is that of a backup."""
    if is_raw(key):
        try:
            storage.size(key)
        except FileMissing:
            return key.removesuffix(_WAV) + _FLAC
    return key


def write_flac(paths: Mapping[str, Path], tags: Tags, folder: Path) -> dict[str, Path]:
    """Write raw masters as FLAC to a folder. Returns the files, none if a sample exceeds full scale.

    Args:
        tags: those of the song.

    Raises:
        AudioError: a master cannot be decoded.
        OutputError: the files cannot be written.
    """
    with ExitStack() as stack:
        sources = [stack.enter_context(open_source(path)) for path in paths.values()]
        info = sources[0].info
        writer = stack.enter_context(
            Masters(folder, tuple(paths), info.sample_rate, info.channels, tags, threads=1)
        )
        for blocks in zip(*(source.blocks() for source in sources), strict=True):
            writer.write(dict(zip(paths, blocks, strict=True)))
            if writer.format != masters.FORMAT:
                return {}
        return {written.name: written.path for written in writer.commit()}


def store_flac(storage: Storage, split: Split, files: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """Store the FLAC files beside the raw ones. Returns the new ``masters`` of the row."""
    found = {}
    for name, path in files.items():
        key, mime = f"{masters_folder(split.id)}/{path.name}", media_type(path.suffix[1:])
        size = storage.put_file(key, path, mime, path.name)
        found[name] = {**(split.masters or {})[name], "key": key, "size": size, "mime": mime}
    return found


def unnamed(named: Collection[str], stored: Collection[str]) -> list[str]:
    """Return those of the ``stored`` keys of a split's masters that its row does not name.

    None if one that it names is missing: the row is that of a backup, and the others are what is left of the masters.
    """
    return [key for key in stored if key not in named] if set(named) <= set(stored) else []
