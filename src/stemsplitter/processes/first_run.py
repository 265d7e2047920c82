"""What a new server says: where it is, how to sign in, its first key, and a line to try it with."""

import json
import tempfile
from pathlib import Path

import numpy as np

from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.tags import Tags
from stemsplitter.services import Services
from stemsplitter.splits.model_selection import ready_layouts

EMAIL = "owner@example.com"
RATE, SECONDS = 44_100, 8


def first_account(services: Services) -> tuple[str, str] | None:
    """Make the first account, and return its id and its API key; None where there are accounts."""
    with services.database.write() as session:
        if services.accounts.has_accounts(session):
            return None
        account = services.accounts.create_account(session, EMAIL, name="Owner", role="operator")
        _, key = services.accounts.create_key(session, account.id, "first key")
        return account.id, key


def sign_in_link(services: Services, account_id: str) -> str:
    """The URL that signs a browser in to the account, once, within an hour."""
    with services.database.write() as session:
        token = services.sessions.make_link(session, account_id)
    return f"{services.settings.base_url}/sign-in/link/{token}"


def first_request(services: Services, account_id: str) -> str:
    """The body of a request that splits a short song, which is uploaded here and now."""
    with tempfile.TemporaryDirectory(prefix="stemsplitter-") as folder:
        song = _write_song(Path(folder) / "demo.flac")
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


def welcome(services: Services) -> str:
    """What to print when the server answers; makes the first account where there is none."""
    url = services.settings.base_url
    made = first_account(services)
    lines = [f"Stem Splitter is running on {url}"]
    if made is not None:
        account_id, key = made
        header = f"-H 'Authorization: Bearer {key}'"
        body = first_request(services, account_id)
        lines += [
            "",
            "Sign in, with this link, within an hour and once; then set a password:",
            sign_in_link(services, account_id),
            "",
            f"Your API key, shown this once: {key}",
            "",
            "Split a short song that is here already:",
            f"curl {url}/v1/audio/splits {header} -H 'Content-Type: application/json' -d '{body}'",
            "",
            "See what becomes of it:",
            f"curl {url}/v1/audio/splits {header}",
        ]
    return "\n".join(lines)


def _write_song(path: Path) -> Path:
    """Some seconds of a sung vowel over a bass and drums, so that there is something to separate."""
    time = np.arange(RATE * SECONDS) / RATE
    pitch = np.repeat([220.0, 246.9, 261.6, 293.7], len(time) // 4)
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.01 * np.sin(2 * np.pi * 5 * time))) / RATE
    voice = sum(np.sin(harmonic * phase) / harmonic**1.5 for harmonic in range(1, 12))
    drums = np.random.default_rng(0).standard_normal(len(time)) * np.exp(-(time % 0.5) / 0.03)
    bass = np.sin(2 * np.pi * 55 * time)
    mixture = (0.2 * voice + 0.2 * drums + 0.2 * bass).astype(np.float32)
    song = np.stack([mixture, np.roll(mixture, 20)])
    song *= np.float32(0.8) / np.abs(song).max()
    with StemWriter(path, OutputFormat.parse("flac16"), RATE, 2, Tags(title="Demo")) as writer:
        writer.write(song)
        writer.commit()
    return path
