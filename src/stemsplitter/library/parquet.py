"""The manifest as Parquet, for analytics: one row per line, with typed columns."""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stemsplitter.errors import RequestError
from stemsplitter.files.atomic import AtomicFile

if TYPE_CHECKING:
    import pyarrow

ROWS = 1000  # in memory at a time


def check_installed() -> None:
    """Raise RequestError if the extra is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise RequestError(
            "Parquet needs pyarrow: run `pip install stemsplitter[parquet]`, or leave out --parquet."
        ) from error


def parquet_path(manifest: Path) -> Path:
    """Return the path of the Parquet file beside a manifest."""
    return manifest.with_suffix(".parquet")


def write_parquet(manifest: Path) -> None:
    """Write the complete lines of ``manifest`` to the Parquet file beside it, in memory that does not grow with it.

    Raises:
        OutputError: the file cannot be written.
    """
    from pyarrow import RecordBatch
    from pyarrow.parquet import ParquetWriter

    schema = _schema()
    with AtomicFile(parquet_path(manifest)) as output, manifest.open("rb") as lines:
        rows = (_row(json.loads(line)) for line in lines if line.endswith(b"\n"))
        with ParquetWriter(output.file, schema, compression="zstd") as writer:
            while batch := list(islice(rows, ROWS)):
                writer.write_batch(RecordBatch.from_pylist(batch, schema))
        output.commit()


def _schema() -> "pyarrow.Schema":
    import pyarrow as pa

    stem = [("name", pa.string()), ("path", pa.string()), ("etag", pa.string())]
    stem += [(name, pa.float64()) for name in ("peak", "loudness", "true_peak")]
    return pa.schema(
        [
            ("song", pa.string()),
            ("content", pa.string()),
            ("model", pa.string()),
            ("settings", pa.string()),  # JSON, as in the line
            ("files", pa.list_(pa.string())),
            ("stems", pa.list_(pa.struct(stem))),
            ("sample_rate", pa.int32()),
            ("samples", pa.int64()),
            ("seconds", pa.float64()),
            ("elapsed", pa.float64()),
            ("key", pa.string()),
            ("tempo", pa.float64()),
            ("residual_dbfs", pa.float64()),
            ("gain", pa.float64()),
            ("device", pa.string()),
            ("warnings", pa.list_(pa.string())),
            ("error", pa.string()),
        ]
    )


def _row(line: Mapping[str, Any]) -> dict[str, Any]:
    analysis = line.get("analysis") or {}
    return {
        **line,  # columns that have no field of this name are null, and fields without a column are left out
        "settings": json.dumps(line["settings"]),
        "stems": list(_stems(line.get("stems", {}))),
        "key": (analysis.get("key") or {}).get("name"),
        "tempo": (analysis.get("tempo") or {}).get("bpm"),
    }


def _stems(stems: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for name, stem in stems.items():
        yield {"name": name, **stem}
