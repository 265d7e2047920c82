"""Splits in any status, created without a worker."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.peaks import Peaks, overview
from stemsplitter.audio.previews import CODECS
from stemsplitter.clock import now
from stemsplitter.database import new_id
from stemsplitter.services import Services
from stemsplitter.splits.models import Split, overview_key, peaks_key, stems_folder
from tests.services import file_maker

FULL = 1 << 23
RATE, SAMPLES = 8_000, 4_000


def add_split(services: Services, account_id: str, status: str = "queued", **values: Any) -> str:
    """Add a split without files."""
    split = Split(
        **{
            "id": new_id("split"),
            "account_id": account_id,
            "status": status,
            "stem_model": "4s",
            "requested_stems": ["vocals", "drums", "bass", "other"],
            "output_format": "wav",
            "bit_depth": "24",
            "filename": "Lied.flac",
            "duration_seconds": 214,
            "credits_used": 3,
            "progress": 0,
            "source_key": "",
            "source_bytes": 1,
            "model": {"name": "tiny", "licence": "MIT"},
            "user_metadata": {},
            "created_at": now(),
            "updated_at": now(),
            "expires_at": now() + timedelta(days=7),
            **values,
        }
    )
    split.source_key = f"splits/{split.id}/source.flac"
    if split.status in ("succeeded", "failed"):
        split.finished_at = split.updated_at
    with services.database.write() as session:
        session.add(split)
        session.flush()
        services.credits.hold(session, account_id, split.id, split.credits_used)
    return split.id


def add_finished(
    services: Services,
    account_id: str,
    names: tuple[str, ...] = ("vocals", "drums", "bass", "other"),
    **values: Any,
) -> tuple[str, dict[str, npt.NDArray[np.int64]]]:
    """Add a succeeded split. Return its ID and the samples of its stems as 24-bit integers."""
    steps = {
        name: np.random.default_rng(seed).integers(-FULL // 8, FULL // 8, (2, SAMPLES))
        for seed, name in enumerate(names)
    }
    stems = {name: waveform(value) for name, value in steps.items()}
    return add_song(services, account_id, stems, RATE, **values), steps


def add_song(
    services: Services,
    account_id: str,
    waveforms: Mapping[str, npt.NDArray[np.float32]],
    rate: int,
    *,
    previews: bool = False,
    **values: Any,
) -> str:
    """Add a succeeded split with these stems, `[2, samples]`, and their previews."""
    split_id = new_id("split")
    stems, masters = {}, {}
    for name, samples in waveforms.items():
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.wav"
            with StemWriter(path, OutputFormat.parse("wav"), rate, 2) as writer:
                writer.write(samples)
                writer.commit()
            key = f"{stems_folder(split_id)}/{path.name}"
            size = services.storage.put_file(key, path, "audio/wav")
        stems[name] = {"key": key, "size": size, "mime": "audio/wav"}
        masters[name] = stems[name] | {"peak": float(np.abs(samples).max())}
    peaks = Peaks(tuple(waveforms), rate)
    peaks.add(waveforms)
    encoded = peaks.encode()
    for key, data in ((peaks_key(split_id), encoded), (overview_key(split_id), overview(encoded))):
        services.storage.put_stream(key, [data], "application/json")
    values = {"requested_stems": list(waveforms), **values}
    add_split(
        services,
        account_id,
        "succeeded",
        id=split_id,
        stems=stems,
        masters=masters,
        progress=100,
        **values,
    )
    if previews:
        _add_previews(services, account_id, split_id)
    return split_id


def _add_previews(services: Services, account_id: str, split_id: str) -> None:
    for codec in CODECS:
        services.derived_files.previews(account_id, split_id, codec)
        assert file_maker(services).make_next("wrk_1", background=True)


def waveform(steps: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Convert 24-bit integers to float samples."""
    return (steps / FULL).astype(np.float32)
