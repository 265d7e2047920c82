"""Making of the previews of a split's stems."""

from collections.abc import Mapping
from pathlib import Path

from stemsplitter.audio.previews import CODECS, INDEX_MIME, write_previews
from stemsplitter.splits.derived.content import Content
from stemsplitter.splits.derived.models import DerivedFile, derived_key
from stemsplitter.storage import Storage


def make_previews(storage: Storage, file: DerivedFile, masters: Mapping[str, Path], folder: Path) -> int:
    """Write the previews and store them, the index last. Return their bytes.

    Raises:
        AudioError: a master cannot be decoded.
        OutputError, StorageError: the files cannot be written.
    """
    content = Content.load(file.content)
    previews = write_previews(masters, folder, content.format, threads=1)
    files = [(path, CODECS[content.format].mime) for path in previews.files.values()]
    target = derived_key(file.split_id, file.id)
    return sum(
        storage.put_file(f"{target}/{path.name}", path, mime)
        for path, mime in (*files, (previews.index, INDEX_MIME))
    )
