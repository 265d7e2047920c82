"""Split a song with a server and download its stems: python split_over_http.py SONG [FOLDER].

Set STEMSPLITTER_URL to the address of the server and STEMSPLITTER_KEY to an API key.
"""

import json
import mimetypes
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import httpx

URL = os.environ.get("STEMSPLITTER_URL", "http://127.0.0.1:8000")
KEY = os.environ["STEMSPLITTER_KEY"]


def call(api: httpx.Client, method: str, path: str, **options: Any) -> dict[str, Any]:
    """Call the API and return ``data`` of the response; exit with the API's message if it is an error."""
    response = api.request(method, path, **options)
    body = response.json()
    if not body["success"]:
        sys.exit(f"error: {body['error']['message']}")
    data: dict[str, Any] = body["data"]
    return data


def upload(api: httpx.Client, song: Path) -> dict[str, Any]:
    """Send the file. Return the `input` of a split."""
    kind = mimetypes.guess_type(song.name)[0] or "application/octet-stream"
    declared = {"filename": song.name, "contentType": kind, "contentLength": song.stat().st_size}
    reserved = call(api, "POST", "/v1/audio/uploads", json=declared)
    with song.open("rb") as file:
        sent = httpx.put(reserved["uploadUrl"], content=file, headers=reserved["uploadHeaders"], timeout=600)
    stored = sent.raise_for_status().json()["data"]
    return {
        "type": "uploaded_file",
        "uploadId": reserved["uploadId"],
        "fileUrl": stored["url"],
        "storageKey": stored["key"],
    }


def wait(api: httpx.Client, split_id: str) -> None:
    """Print the server-sent events of the split until the server ends the stream."""
    with api.stream("GET", f"/v1/audio/splits/{split_id}/events", timeout=60) as events:
        for line in events.iter_lines():
            if line.startswith("data:"):
                event = json.loads(line.removeprefix("data:"))
                print(event["status"], event.get("progress"))


def main() -> None:
    song = Path(sys.argv[1])
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("stems") / song.stem
    with httpx.Client(base_url=URL, headers={"Authorization": f"Bearer {KEY}"}, timeout=120) as api:
        wanted = {"input": upload(api, song), "stemModel": "6s", "outputFormat": "flac"}
        # a request that is retried with the same key does not create a second split
        key = {"Idempotency-Key": str(uuid.uuid4())}
        split = call(api, "POST", "/v1/audio/splits", json=wanted, headers=key)
        wait(api, split["id"])
        split = call(api, "GET", f"/v1/audio/splits/{split['id']}")
    if split["status"] != "succeeded":
        sys.exit(f"error: {split['error']['message']}")
    folder.mkdir(parents=True, exist_ok=True)
    for name, url in split["stems"].items():
        path = folder / f"{name}.flac"
        # the link is signed: no key is needed; it may redirect to the store
        path.write_bytes(httpx.get(url, follow_redirects=True, timeout=600).raise_for_status().content)
        print(path)


if __name__ == "__main__":
    main()
