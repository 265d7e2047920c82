"""``stemsplitter split --cluster``: a library of songs on the workers of a dask scheduler."""

import re
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from stemsplitter.audio.formats import STEM_FILE
from stemsplitter.cli.batch import OutputOptions
from stemsplitter.cli.output import duration, print_event, print_message, printable
from stemsplitter.errors import RequestError

if TYPE_CHECKING:
    from stemsplitter.cluster import LibrarySettings, SongResult

_BUCKET = re.compile(r"s3:/+(.+)")  # a Path has one slash for several


def check_options(options: OutputOptions, filename: str | None, jobs: str, manifest: Path | None) -> None:
    """Raise RequestError for options that a cluster does not have."""
    others = {
        "--filename": filename is not None,
        "--zip": options.zip,
        "--verify": options.verify,
        "--start": bool(options.excerpt.start),
        "--duration": options.excerpt.duration is not None,
        "--jobs": jobs != "1",
        "--format stem.mp4": options.format == STEM_FILE,
    }
    if given := [name for name, is_given in others.items() if is_given]:
        raise RequestError(
            f"A cluster does not take {', '.join(given)}: leave it out, or leave out --cluster."
        )
    if options.skip_existing and manifest is None:
        raise RequestError("On a cluster, --skip-existing reads the manifest: add --manifest FILE.")


def separate_on_cluster(
    address: str,
    sources: Sequence[Path],
    output: Path,
    settings: "LibrarySettings",
    options: OutputOptions,
    manifest: Path | None,
    parquet: bool,
    as_json: bool,
) -> bool:
    """Separate libraries, folders or prefixes of buckets, on a cluster. Returns True unless a song failed.

    Raises:
        RequestError: a source is not a folder, or no scheduler answers.
    """
    from stemsplitter.cluster import connected, separate_library
    from stemsplitter.library.manifest import Manifest

    libraries = [_location(source) for source in sources]
    for library in libraries:
        if not library.startswith("s3://") and not Path(library).is_dir():
            raise RequestError(f"{printable(library)} is not a folder: name folders or s3://BUCKET/PREFIX.")
    done = failed = 0
    seconds = 0.0
    with ExitStack() as stack:
        lines = None
        if manifest is not None:
            lines = stack.enter_context(closing(Manifest(manifest, settings.of_result(), parquet=parquet)))
        client = stack.enter_context(connected(address))
        for library in libraries:
            results = separate_library(
                library,
                _location(output),
                settings,
                client,
                manifest=lines,
                skip_existing=options.skip_existing,
            )
            for result in stack.enter_context(closing(results)):
                done, failed = done + (result.error is None), failed + (result.error is not None)
                seconds += result.fields.get("seconds", 0.0)
                _report(result, as_json)
    if as_json:
        print_event("finished", separated=done, failed=failed)
    else:
        others = f", {failed} failed" if failed else ""
        print(f"{done} songs, {duration(seconds)} of audio, separated{others}.")
    return not failed


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
