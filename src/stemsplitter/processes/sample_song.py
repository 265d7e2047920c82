"""A synthesized sample song, uploaded for a first split."""

import json
from pathlib import Path

import numpy as np

from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.tags import Tags
from stemsplitter.files.temporary import temporary_folder
from stemsplitter.services import Services
from stemsplitter.splits.model_selection import ready_layouts

SAMPLE_RATE, SECONDS = 44_100, 8


def sample_request(services: Services, account_id: str) -> str:
    """Upload the sample song for the account, and return the body of a request that splits it."""
    with temporary_folder() as folder:
        song = _write_song(folder / "demo.flac")
        data = song.read_bytes()
    with services.database.write() as session:
        upload, token = services.uploads.reserve(session, account_id, song.name, "audio/flac", len(data))
    incoming = services.uploads.begin(upload.id, token, "audio/flac", len(data))
    try:
        incoming.write(data)
        incoming.finish()
    except BaseException:
        incoming.abandon()
        raise
    source = {
        "type": "uploaded_file",
        "uploadId": upload.id,
        "fileUrl": services.uploads.url(upload.id),
        "storageKey": incoming.key,
    }
    layouts = ready_layouts(services.settings, services.models)
    return json.dumps({"input": source, "stemModel": layouts[0] if layouts else "6s"})


def _write_song(path: Path) -> Path:
    """Write a sung vowel with bass and drums, 8 s of stereo."""
    time = np.arange(SAMPLE_RATE * SECONDS) / SAMPLE_RATE
    pitch = np.repeat([220.0, 246.9, 261.6, 293.7], len(time) // 4)
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.01 * np.sin(2 * np.pi * 5 * time))) / SAMPLE_RATE
    voice = sum(np.sin(harmonic * phase) / harmonic**1.5 for harmonic in range(1, 12))
    drums = np.random.default_rng(0).standard_normal(len(time)) * np.exp(-(time % 0.5) / 0.03)
    bass = np.sin(2 * np.pi * 55 * time)
    mixture = (0.2 * voice + 0.2 * drums + 0.2 * bass).astype(np.float32)
    song = np.stack([mixture, np.roll(mixture, 20)])
    song *= np.float32(0.8) / np.abs(song).max()
    with StemWriter(path, OutputFormat.parse("flac16"), SAMPLE_RATE, 2, Tags(title="Demo")) as writer:
        writer.write(song)
        writer.commit()
    return path
