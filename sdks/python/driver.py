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
    form = {"format": c.get("format"), "bit_depth": c.get("bitDepth"), "bitrate": c.get("bitrate")}
    endpoints = getattr(client, "webhook_endpoints", None)
    match c["op"]:
        case "credits":
            return client.get_credits()
        case "models":
            return client.list_models()
        case "voices":
            return client.list_voices()
        case "create":
            return jobs.create(c["request"], idempotency_key=c.get("idempotencyKey"))
        case "get":
            return jobs.get(c["id"])
        case "chords":
            job = jobs.get(c["id"])
            return (job if kind == "analyses" else job["analysis"])["chords"]
        case "wait":
            job = jobs.wait(
                c["id"], timeout=c["timeout"], on_update=lambda each: updates.append(each.get("progress"))
            )
            return {"job": job, "updates": updates}
        case "list":
            filters = {name: c.get(name) for name in ("status", "splitId", "endpointId")}
            return [each["id"] for each in jobs.iterate(**filters)]
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
        case "cover":
            return str(client.download_cover(c["id"], c["path"]))
        case "peaks":
            return client.get_peaks(c["id"], c.get("resolution"))
        case "previews":
            return client.get_previews(c["id"], c.get("codec"))
        case "rotate":
            return client.rotate_webhook_secret()
        case "test_webhook":
            return client.send_test_webhook(c["url"])
        case "secrets":
            return client.list_webhook_secrets()
        case "replay":
            return client.replay_delivery(c["id"])
        case "create_endpoint":
            return endpoints.create(c["request"])
        case "get_endpoint":
            return endpoints.get(c["id"])
        case "list_endpoints":
            return endpoints.list()
        case "update_endpoint":
            return endpoints.update(c["id"], c["request"])
        case "delete_endpoint":
            return endpoints.delete(c["id"])
        case "rotate_endpoint":
            return endpoints.rotate_secret(c["id"])
        case "test_endpoint":
            return endpoints.send_test(c["id"])
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
