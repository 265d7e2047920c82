"""Uploads a song in one request and another in chunks, splits one, polls, and downloads with the generated client."""

import io
import json
import math
import struct
import sys
import time
from typing import Any

import httpx
from stem_splitter import AuthenticatedClient, models, types
from stem_splitter.api.credits_ import get_credits
from stem_splitter.api.splits import create_split, get_split, get_split_archive
from stem_splitter.api.uploads import create_upload, get_upload_offset, send_chunk, send_file

base_url, key, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3])
client = AuthenticatedClient(base_url, key, raise_on_unexpected_status=True, timeout=httpx.Timeout(60))
samples = bytes(128 + round(60 * math.sin(i / 3)) for i in range(8_000 * seconds))
form = struct.pack("<HHIIHH", 1, 1, 8_000, 8_000, 1, 8)
song = b"RIFF" + struct.pack("<I", 36 + len(samples)) + b"WAVEfmt " + struct.pack("<I", 16) + form
song += b"data" + struct.pack("<I", len(samples)) + samples


def data(answer: Any) -> Any:
    assert not isinstance(answer, models.Error | models.UploadFailure), answer
    return answer.data


def reserve() -> tuple[str, str]:
    # the generated client sends files as application/octet-stream, so it reserves this type
    wanted = models.UploadRequest("tone.wav", "application/octet-stream", len(song))
    reserved = data(create_upload.sync(client=client, body=wanted))
    return reserved.upload_id, reserved.upload_headers["X-Upload-Token"]


before = data(get_credits.sync(client=client)).balance
chunked, token = reserve()
chunk = types.File(io.BytesIO(song))
data(
    send_chunk.sync(
        chunked,
        client=client,
        body=chunk,
        x_upload_token=token,
        upload_offset=0,
        upload_complete=models.SendChunkUploadComplete("?1"),
    )
)
offset = get_upload_offset.sync_detailed(chunked, client=client, x_upload_token=token).headers[
    "Upload-Offset"
]

upload_id, token = reserve()
received = data(
    send_file.sync(upload_id, client=client, body=types.File(io.BytesIO(song)), x_upload_token=token)
)
given = models.UploadedFile("uploaded_file", upload_id, received.url, received.key)
options = models.CreateSplit(
    given,
    stem_model=models.CreateSplitStemmodel("4s"),
    output_format=models.CreateSplitOutputformat("wav"),
    bit_depth=16,
)
created = data(create_split.sync(client=client, body=options, idempotency_key="generated-1"))
split = data(get_split.sync(created.id, client=client))
while split.status in ("queued", "processing"):
    time.sleep(0.2)
    split = data(get_split.sync(created.id, client=client))
stems = split.stems.to_dict()
stem = httpx.get(stems["vocals"], timeout=60).raise_for_status().content
archive = get_split_archive.sync(created.id, client=client)
missing = get_split.sync("split_unknown", client=client)
after = data(get_credits.sync(client=client)).balance
print(
    json.dumps(
        {
            "status": split.status,
            "stems": list(stems),
            "stemBytes": len(stem),
            "archiveBytes": len(archive.payload.read()),
            "refused": missing.error.code,
            "spent": before - after,
            "offset": int(offset),
            "songBytes": len(song),
        }
    )
)
