"""``python -m benchmarks.library_listing``: a run over a bucket of a million songs, from its client's point of view.

Lists a stand-in for a store with ``--keys`` keys, runs the first songs on a cluster of one worker that returns without
separating them, and prints the time to the first result and the client's peak memory. Then it goes through all keys
with a manifest that has all songs but the last one, and prints the same.
"""

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from benchmarks.library import cluster
from stemsplitter.library import (
    LibrarySettings,
    Manifest,
    SongResult,
    SongTask,
    cluster_runs,
    separate_library,
)
from tests import buckets

PAGE = 1000  # as S3
SETTINGS = LibrarySettings()
LOCATIONS = ("s3://stems/in", "s3://stems/out")
RESULTS = 500


def key(number: int) -> str:
    """Return the key of a song."""
    return f"albums/{number // 10:06}/{number:07}.flac"


def page(prefix: str, start_after: str, keys: int) -> str:
    """Return a page of ListObjectsV2 with the songs after ``start_after``."""
    first = int(re.findall(r"\d+", start_after)[-1]) + 1 if start_after else 0
    entries = "".join(
        f"<Contents><Key>{prefix}{key(number)}</Key><LastModified>2026-11-30T00:00:00.000Z</LastModified>"
        f"<ETag>&quot;{number:032x}&quot;</ETag><Size>30000000</Size></Contents>"
        for number in range(first, min(first + PAGE, keys))
    )
    more = first + PAGE < keys
    token = f"<NextContinuationToken>{first + PAGE - 1}</NextContinuationToken>" if more else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>stems</Name>'
        f"<IsTruncated>{str(more).lower()}</IsTruncated>{entries}{token}</ListBucketResult>"
    )


def serve(keys: int) -> None:
    """Serve listings on a free port, which is printed."""

    class Store(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            after = query.get("continuation-token") or query.get("start-after") or ""
            body = page(query.get("prefix", ""), after, keys).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    print(server.server_port, flush=True)
    server.serve_forever()


@contextmanager
def store(keys: int) -> Iterator[str]:
    """Run the stand-in in a process of its own; yield its URL."""
    command = [sys.executable, "-m", "benchmarks.library_listing", "--serve", str(keys)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def done(task: SongTask) -> SongResult:
    """Return the result of a song without separating it."""
    return SongResult(task.key, task.content, {"files": [f"s3://stems/out/{task.key}/vocals.flac"]})


def write_manifest(path: Path, songs: int) -> None:
    """Write the lines of ``songs`` songs."""
    settings = json.loads(json.dumps(SETTINGS.of_result()))
    with path.open("w") as file:
        for number in range(songs):
            files = [f"s3://stems/out/{key(number)}/{stem}.flac" for stem in ("vocals", "drums", "bass")]
            line = {"song": f"s3://stems/in/{key(number)}", "content": f'etag:"{number:032x}"'}
            file.write(json.dumps({**line, "settings": settings, "files": files}) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve is not None:
        serve(options.serve)
        return
    cluster_runs.run_task = done
    with tempfile.TemporaryDirectory() as name, store(options.keys) as url, access(url):
        folder = Path(name)
        with cluster(1, folder) as address:
            from distributed import Client

            with Client(scheduler_file=address) as client:
                for songs in (0, options.keys - 1):
                    path = folder / f"{songs}.jsonl"
                    write_manifest(path, songs)
                    began = time.monotonic()
                    with closing(Manifest(path, SETTINGS.of_result())) as manifest:
                        options_of_run = {"manifest": manifest, "skip_existing": True}
                        results = separate_library(
                            "s3://stems/in", "s3://stems/out", SETTINGS, client, **options_of_run
                        )
                        next(results)
                        first = time.monotonic() - began
                        count = 1 + sum(1 for _ in islice(results, RESULTS))
                        results.close()
                    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
                    print(
                        f"{options.keys:,} keys, {songs:,} of them done: first result after {first:.1f} s, {count} "
                        f"results after {time.monotonic() - began:.1f} s, peak memory {peak:.0f} MB",
                        flush=True,
                    )


@contextmanager
def access(url: str) -> Iterator[None]:
    """Use the store at ``url`` and no other."""
    import pytest

    with pytest.MonkeyPatch.context() as patch:
        buckets.use(url, patch)
        yield


if __name__ == "__main__":
    main()
