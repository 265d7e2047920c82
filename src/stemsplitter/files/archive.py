"""ZIP archives of finished files."""

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

from stemsplitter.errors import OutputError
from stemsplitter.files.atomic import AtomicFile, output_error
from stemsplitter.files.names import shown


def write_zip(path: Path, files: Sequence[Path]) -> None:
    """Write ``files`` under their names to the ZIP archive ``path``, uncompressed and of any size.

    The archive is written atomically. Raises :class:`OutputError` if a file is missing, two files have the same name,
    or writing fails.
    """
    names = [os.fsencode(file.name).decode("utf-8", "replace") for file in files]
    if len(set(names)) != len(names):
        raise OutputError(f"{shown(path)} cannot hold two files of one name: rename one of them.")
    with AtomicFile(path) as pending:
        try:
            with zipfile.ZipFile(pending.file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
                for file, name in zip(files, names, strict=True):
                    _add(archive, file, name)
        except OSError as error:
            raise output_error(path, error) from error
        pending.commit()


def _add(archive: zipfile.ZipFile, file: Path, name: str) -> None:
    try:
        # ZIP cannot store times before 1980.
        entry = zipfile.ZipInfo.from_file(file, name, strict_timestamps=False)
        source = file.open("rb")
    except OSError as error:
        raise OutputError(f"{shown(file)} cannot be put into the zip: check that it can be read.") from error
    with source, archive.open(entry, "w", force_zip64=entry.file_size >= zipfile.ZIP64_LIMIT) as target:
        while chunk := source.read(1 << 20):
            target.write(chunk)
