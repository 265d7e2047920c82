"""Jobs of tools in any status, created without a worker."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.clock import now
from stemsplitter.database import new_id
from stemsplitter.jobs.models import outputs_folder
from stemsplitter.services import Services
from stemsplitter.tool_jobs.models import AnalysisJob, EffectJob, SpeechJob, ToolJob

RATE = 8_000
ANALYSIS = {
    "tuning_cents": -4,
    "tempo": {"bpm": 120.0, "confidence": 0.92, "alternatives": [60.0, 240.0], "beats": [0.5, 1.0, 1.5]},
    "key": {
        "name": "A minor",
        "camelot": "8A",
        "compatible": ["7A", "9A", "8B"],
        "confidence": 0.81,
        "alternatives": [{"name": "C major", "camelot": "8B"}],
    },
    "chords": [{"start": 0.0, "end": 1.0, "name": "Am"}, {"start": 1.0, "end": 2.0, "name": "F"}],
}
PITCH = {"effect": "pitch", "parameters": {"semitones": -2, "formants": False}}
ISOLATOR = {"effect": "voice_isolator", "parameters": {}}
SPEECH = {"text": "Good morning.", "voice": "american", "speed": 1, "pitch": 0}


def add_analysis(services: Services, account_id: str, **values: Any) -> str:
    """Add a succeeded analysis. Return its ID."""
    return _add(services, account_id, AnalysisJob, (), {"parameters": {}, "analysis": ANALYSIS, **values})


def add_effect(services: Services, account_id: str, *outputs: str, **values: Any) -> str:
    """Add an effect with these outputs: succeeded, unless ``values`` say otherwise. Return its ID."""
    values = {"parameters": PITCH, "output_format": "wav", **values}
    return _add(services, account_id, EffectJob, outputs, values)


def add_speech(services: Services, account_id: str, **values: Any) -> str:
    """Add a succeeded speech. Return its ID."""
    values = {"parameters": SPEECH, "output_format": "wav", "filename": "speech.wav", **values}
    return _add(services, account_id, SpeechJob, ("audio",), values)


def _add(
    services: Services, account_id: str, kind: type[ToolJob], outputs: tuple[str, ...], values: dict[str, Any]
) -> str:
    at = now()
    job_id = new_id(kind.__name__.removesuffix("Job").lower())
    job = kind(
        **{
            "id": job_id,
            "account_id": account_id,
            "status": "succeeded",
            "filename": "Lied.wav",
            "duration_seconds": 2,
            "credits_used": 2,
            "progress": 100,
            "source_key": "" if kind is SpeechJob else f"splits/{job_id}/source.wav",
            "source_bytes": 1,
            "user_metadata": {},
            "created_at": at,
            "updated_at": at,
            "finished_at": at,
            "expires_at": at + timedelta(days=7),
            "outputs": {
                name: {"key": f"{outputs_folder(job_id)}/{name}.wav", "size": 1, "mime": "audio/wav"}
                for name in outputs
            },
            **values,
        }
    )
    keys = [stored["key"] for stored in (job.outputs or {}).values()] + [job.source_key] * bool(
        job.source_key
    )
    with TemporaryDirectory() as folder:
        path = _write_song(Path(folder) / "song.wav")
        for key in keys:
            services.storage.put_file(key, path, "audio/wav")
    with services.database.write() as session:
        session.add(job)
        session.flush()
        services.credits.hold(session, account_id, job_id, job.credits_used)
        if job.status == "succeeded":
            services.credits.settle(session, job_id)
        elif job.status == "failed":
            services.credits.release(session, job_id)
    return job_id


def _write_song(path: Path) -> Path:
    samples: npt.NDArray[np.float32] = (
        np.random.default_rng(1).uniform(-0.1, 0.1, (1, 2 * RATE)).astype(np.float32)
    )
    with StemWriter(path, OutputFormat.parse("wav16"), RATE, 1) as writer:
        writer.write(samples)
        writer.commit()
    return path
