"""``stemsplitter split`` with ``--cluster`` or ``--server``: libraries of songs, separated elsewhere."""

import os
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stemsplitter.audio.formats import STEM_FILE
from stemsplitter.cli.batch import OutputOptions, parse_jobs
from stemsplitter.cli.failures import Failures, Tally
from stemsplitter.cli.output import duration, print_event, print_message, printable
from stemsplitter.errors import RequestError

if TYPE_CHECKING:
    from stemsplitter.library import LibrarySettings, Manifest, SongResult

    # separates a library into an output, and adds the results to a manifest
    Separate = Callable[[str, str, Manifest | None], Generator[SongResult, None, None]]

KEY = "STEMSPLITTER_KEY"
_BUCKET = re.compile(r"s3:/+(.+)")  # a Path has one slash for several


def check_options(
    sources: Sequence[Path],
    options: OutputOptions,
    filename: str | None,
    output: Path,
    manifest: Path | None,
) -> None:
    """Raise RequestError for options that neither a cluster nor a server has, and sources that are no libraries."""
    others = {
        "--filename": filename is not None,
        "--zip": options.zip,
        "--start": bool(options.excerpt.start),
        "--duration": options.excerpt.duration is not None,
        "--format stem.mp4": options.format == STEM_FILE,
        "--output -": output == Path("-"),
    }
    _refuse(others, "A library")
    if options.skip_existing and manifest is None:
        raise RequestError("For a library, --skip-existing reads the manifest: add --manifest FILE.")
    for library in map(_location, sources):
        if not library.startswith("s3://") and not Path(library).is_dir():
            raise RequestError(f"{printable(library)} is not a folder: name folders or s3://BUCKET/PREFIX.")


@contextmanager
def on_cluster(
    address: str, settings: "LibrarySettings", jobs: str | None, skip_existing: bool
) -> Iterator["Separate"]:
    """Connect to the scheduler of a cluster; yields what separates a library.

    Raises:
        RequestError: an option is not one of a cluster, no scheduler answers, or the extra is missing.
    """
    _refuse({"--jobs": jobs is not None}, "A cluster")
    from stemsplitter.cluster import connected
    from stemsplitter.library import separate_library

    with connected(address) as client:
        yield lambda source, output, manifest: separate_library(
            source, output, settings, client, manifest=manifest, skip_existing=skip_existing
        )


@contextmanager
def on_server(
    url: str, settings: "LibrarySettings", jobs: str | None, skip_existing: bool
) -> Iterator["Separate"]:
    """Yield what separates a library on a server, with the API key of the environment.

    Raises:
        RequestError: an option is not one of a server, there is no key, or the client library is missing.
    """
    from stemsplitter.library.server import refused_settings
    from stemsplitter.library.server_runs import AT_ONCE, MOST_AT_ONCE, separate_library_on_server

    _refuse(dict.fromkeys((f"--{name}" for name in refused_settings(settings)), True), "A server")
    if not (key := os.environ.get(KEY, "")):
        raise RequestError(f"Set {KEY} to an API key of {url}.")
    at_once = AT_ONCE if jobs is None or jobs == "auto" else parse_jobs(jobs, MOST_AT_ONCE)
    yield lambda source, output, manifest: separate_library_on_server(
        source, output, settings, url, key, at_once=at_once, manifest=manifest, skip_existing=skip_existing
    )


def separate_libraries(
    separate: "Separate",
    sources: Sequence[Path],
    output: Path,
    manifest: "Manifest | None",
    as_json: bool,
) -> Tally:
    """Separate libraries, folders or prefixes of buckets, and report the songs.

    Raises:
        RequestError: no song can be separated.
    """
    tally, failures, seconds = Tally(), Failures(), 0.0
    with ExitStack() as stack:
        for library in map(_location, sources):
            results = stack.enter_context(closing(separate(library, _location(output), manifest)))
            for result in results:
                _report(result, as_json)
                tally.count("separated" if result.error is None else "failed")
                seconds += result.fields.get("seconds", 0.0)
                if result.error is not None:
                    failures.add(printable(result.song), result.error)
    if as_json:
        print_event("finished", separated=tally.separated, failed=tally.failed)
    else:
        failures.print(tally.songs, manifest is not None)
        others = f", {tally.failed} failed" if tally.failed else ""
        print(f"{tally.separated} songs, {duration(seconds)} of audio, separated{others}.")
    return tally


def _refuse(options: dict[str, bool], engine: str) -> None:
    if given := [name for name, is_given in options.items() if is_given]:
        raise RequestError(f"{engine} does not take {', '.join(given)}: leave it out.")


def _report(result: "SongResult", as_json: bool) -> None:
    if as_json and result.error is None:
        print_event("separated", song=result.song, **result.fields)
    elif as_json:
        print_event("failed", song=result.song, error=result.error)
    elif result.error is None:
        fields = result.fields
        length, speed = duration(fields["seconds"]), fields["speed"]
        print(f"{printable(result.song)}: {length} of audio, {speed:.1f}× real time", flush=True)
    else:
        print_message(f"error: {printable(result.song)}: {result.error}")


def _location(path: Path) -> str:
    match = _BUCKET.fullmatch(str(path))
    return f"s3://{match[1]}" if match else str(path.absolute())
