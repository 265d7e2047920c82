"""The step of the action: reads its inputs from the environment, writes its outputs to the file GITHUB_OUTPUT."""

import json
import os
import secrets
import signal
import sys
from pathlib import Path
from typing import Any

from stemsplitter_client import StemSplitter, StemSplitterError

Json = dict[str, Any]
OPERATIONS = {
    "split": "split",
    "createsplit": "split",
    "getsplit": "get",
    "getcredits": "credits",
    "credits": "credits",
}
INPUT = {"SONG_FILE": "file", "AUDIO_URL": "audio-url", "LINK": "link"}


class StepError(Exception):
    """An input of the action is missing or invalid, or the split failed."""


def value(name: str) -> str:
    return os.environ.get(name, "").strip()


def write_output(name: str, text: str) -> None:
    """Set an output. The delimiter is random, so that the text cannot set others."""
    delimiter = f"end_{secrets.token_hex(16)}"
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        file.write(f"{name}<<{delimiter}\n{text}\n{delimiter}\n")


def write_split(split: Json) -> None:
    write_output("split-id", split["id"])
    write_output("status", split["status"])
    write_output("result-json", json.dumps(split, ensure_ascii=False))


def source(client: StemSplitter) -> Json:
    given = [name for name in INPUT if value(name)]
    if len(given) != 1:
        raise StepError(f"Give one of the inputs {', '.join(INPUT.values())}.")
    if given == ["SONG_FILE"]:
        path = Path(value("SONG_FILE"))
        if not path.is_file():
            raise StepError(
                f"The file {path} does not exist: check the input file, and check out the repository."
            )
        print(f"Uploading {path}", flush=True)
        found: Json = client.upload_file(path)["input"]
        return found
    kind = "direct_url" if given == ["AUDIO_URL"] else "link"
    return {"type": kind, "url": value(given[0])}


def create(client: StemSplitter) -> Json:
    request: Json = {
        "input": source(client),
        "stemModel": value("STEM_MODEL") or "6s",
        "outputFormat": value("OUTPUT_FORMAT") or "mp3",
    }
    if value("QUALITY"):
        request["quality"] = value("QUALITY")
    if stems := [name.strip() for name in value("STEMS").split(",") if name.strip()]:
        request["stems"] = stems
    return client.create_split(request, idempotency_key=value("IDEMPOTENCY_KEY") or None)


def wait(client: StemSplitter, split_id: str, timeout: float) -> Json:
    """Return the ended split; a workflow that is canceled meanwhile cancels it."""
    try:
        return client.wait_for_split(
            split_id,
            timeout=timeout,
            on_update=lambda now: print(f"{now['status']}, {now['progress']} %", flush=True),
        )
    except KeyboardInterrupt:
        client.splits.cancel(split_id)
        raise


def run() -> None:
    """Run the operation.

    Raises:
        StepError: an input is missing or invalid, or the split failed.
        StemSplitterError: the server refused a request, or cannot be reached.
    """
    name = value("OPERATION") or "split"
    operation = OPERATIONS.get(name.replace("-", "").replace("_", "").lower())
    if operation is None:
        raise StepError(f"There is no operation {name}: use split, get-split or get-credits.")
    try:
        timeout = float(value("TIMEOUT_SECONDS") or 3600)
    except ValueError:
        raise StepError("timeout-seconds is not a number.") from None
    client = StemSplitter(value("API_KEY"), base_url=value("BASE_URL"))
    if operation == "credits":
        credits = client.get_credits()
        write_output("credits-balance", str(credits["balance"]))
        write_output("result-json", json.dumps(credits))
        return
    if operation == "get" and not value("SPLIT_ID"):
        raise StepError("get-split needs the input split-id.")
    split = client.get_split(value("SPLIT_ID")) if operation == "get" else create(client)
    write_split(split)
    if (value("WAIT") or "true").lower() != "true":
        return
    split = wait(client, split["id"], timeout)
    write_split(split)
    if split["status"] == "failed":
        raise StepError(f"The split {split['id']} failed: {split['error']['message']}")
    if value("FOLDER"):
        files = client.splits.download(split, value("FOLDER"))
        write_output("files-json", json.dumps({name: str(path) for name, path in files.items()}))
        print("\n".join(map(str, files.values())))


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run()
    except (StepError, StemSplitterError, OSError) as error:
        text = str(error).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        print(f"::error title=Stem Splitter::{text}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


main()
