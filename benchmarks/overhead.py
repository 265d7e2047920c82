"""``python -m benchmarks.overhead``: one song through the service and through the command, alternating.

The service is timed from the response to the create request until a poll returns `succeeded`, MP3 in and out; the
command is timed as a whole program. The upload and the first load of the model, which a server does once, are excluded.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.checkpoints import SIGNATURE, random_checkpoint
from benchmarks.processes import run, timed
from benchmarks.service import Client
from benchmarks.songs import song
from stemsplitter.catalogue.store import ModelStore
from tests.acceptance.server import Server

LIMIT_S = 600


def main() -> None:
    """Run the benchmark and print the overhead."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    options = parser.parse_args()
    folder = options.folder.resolve()
    cache = folder / "store"
    if not (cache / "models" / SIGNATURE).exists():
        ModelStore(cache / "models", offline=True).add(SIGNATURE, random_checkpoint(folder / "weights"))
    source = song(folder, options.seconds, "mp3")
    environment = {"STEMSPLITTER_CACHE_DIR": str(cache), "STEMSPLITTER_OFFLINE": "1"}
    command = [
        sys.executable,
        "-m",
        "stemsplitter",
        "split",
        source,
        "-o",
        folder / "out",
        "--device",
        "cpu",
        "--overwrite",
    ]
    command += ["--model", SIGNATURE, "--format", "mp3:320"]
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        settings = {"model_6s": SIGNATURE, "model_4s": SIGNATURE, "cache_dir": cache, "threads": 2}
        server = Server(Path(name), **settings)
        server.start()
        try:
            client = Client(server.url, server.new_key("overhead@example.org"))
            for number in range(options.rounds + 1):
                service = through_service(client, source.read_bytes())
                bare = run(timed(command), environment).wall
                shutil.rmtree(folder / "out")
                if number:  # the first loads the model
                    ratios.append(service / bare)
                    print(f"round {number}: service {service:.2f} s, command {bare:.2f} s", flush=True)
        finally:
            server.stop()
    print(f"The service takes {statistics.median(ratios) - 1:+.1%} of the command's time.")


def through_service(client: Client, data: bytes) -> float:
    """Measure the seconds from the response to the create request until the split has succeeded."""
    body = json.dumps({"input": client.upload(data, "audio/mpeg"), "outputFormat": "mp3"}).encode()
    split_id = client("POST", "/v1/audio/splits", body)["id"]
    began = time.perf_counter()
    while time.perf_counter() - began < LIMIT_S:
        split = client("GET", f"/v1/audio/splits/{split_id}")
        if split["status"] == "failed":
            raise RuntimeError(split["error"])
        if split["status"] == "succeeded":
            return time.perf_counter() - began
        time.sleep(0.1)
    raise RuntimeError("the split did not end")


if __name__ == "__main__":
    main()
