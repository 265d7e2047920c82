"""The built-in song, uploaded for a first split."""

import json

from stemsplitter.files.temporary import temporary_folder
from stemsplitter.services import Services
from stemsplitter.splits.model_selection import ready_layouts
from stemsplitter.test_mode.song import write_song


def sample_request(services: Services, account_id: str) -> str:
    """Upload the sample song for the account, and return the body of a request that splits it."""
    with temporary_folder() as folder:
        song = write_song(folder / "demo.flac")
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
