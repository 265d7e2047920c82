"""Driver of the conformance suite: see sdks/conformance/PROTOCOL.md."""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "src"))

from stemsplitter_client import StemSplitter, StemSplitterError, verify_webhook

slept: list[float] = []


def new(c):
    def sleep(seconds):
        slept.append(seconds)
        if not c.get("isFast"):
            time.sleep(seconds)

    options = {"chunk_bytes": c["chunkBytes"]} if "chunkBytes" in c else {}
    return StemSplitter(c["apiKey"], base_url=c["baseUrl"], sleep=sleep, **options)


def run(client, c):
    updates = []
    kind = c.get("kind", "splits")
    jobs = client.mixes(c["split"]) if kind == "mixes" else getattr(client, kind, None)
    form = {name: c.get(given) for name, given in (("format", "format"), ("bit_depth", "bitDepth"))}
    match c["op"]:
        case "credits":
            return client.get_credits()
        case "voices":
            return client.list_voices()
        case "create":
            return jobs.create(c["request"], idempotency_key=c.get("idempotencyKey"))
        case "get":
            return jobs.get(c["id"])
        case "wait":
            job = jobs.wait(
                c["id"], timeout=c["timeout"], on_update=lambda each: updates.append(each.get("progress"))
            )
            return {"job": job, "updates": updates}
        case "list":
            return [each["id"] for each in jobs.iterate(status=c.get("status"))]
        case "cancel":
            return jobs.cancel(c["id"])
        case "delete":
            return jobs.delete(c["id"])
        case "upload":
            upload = client.upload_file(
                c["path"], filename=c.get("filename", ""), on_progress=lambda sent, _: updates.append(sent)
            )
            return {"upload": upload, "progress": updates}
        case "download":
            return {name: str(path) for name, path in jobs.download(c["id"], c["folder"]).items()}
        case "stem":
            return str(client.download_stem(c["id"], c["name"], c["path"], timeout=c["timeout"], **form))
        case "archive":
            return str(client.download_archive(c["id"], c["path"], timeout=c["timeout"], **form))
        case "peaks":
            return client.get_peaks(c["id"], c.get("resolution"))
        case "previews":
            return client.get_previews(c["id"], c.get("codec"))
        case "rotate":
            return client.rotate_webhook_secret()
        case "test_webhook":
            return client.send_test_webhook(c["url"])
        case "verify":
            body = c["body"].encode()
            return verify_webhook(body, c["headers"], c["secret"], c.get("tolerance", 300), now=c.get("now"))


def told(error):
    names = {
        "requestId": "request_id",
        "docUrl": "doc_url",
        "param": "param",
        "retryAfter": "retry_after",
        "requiredSeconds": "required_seconds",
        "balance": "balance",
    }
    found = {name: getattr(error, attribute) for name, attribute in names.items()}
    return {"code": error.code, "status": error.status_code, "message": error.message, **found}


def main():
    client = None
    for line in sys.stdin:
        command = json.loads(line)
        slept.clear()
        try:
            if command["op"] == "new":
                client, result = new(command), {"ok": None}
            else:
                result = {"ok": run(client, command)}
        except StemSplitterError as error:
            result = {"error": told(error)}
        print(json.dumps({**result, "slept": slept}), flush=True)


main()
