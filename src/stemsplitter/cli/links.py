"""``stemsplitter links``, and links of YouTube and SoundCloud where a song goes."""

import os
from contextlib import ExitStack
from pathlib import Path

import typer

from stemsplitter.cli.progress import status
from stemsplitter.cli.songs import url_of
from stemsplitter.errors import RequestError
from stemsplitter.files.names import file_name
from stemsplitter.files.temporary import temporary_folder

FETCH_SECONDS = 600.0

app = typer.Typer(
    help="YouTube and SoundCloud links: use only what you own or may copy; the site's terms may forbid downloading.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """Keep the only command a subcommand."""


@app.command()
def update() -> None:
    """Install the newest yt-dlp into the data folder; the environment stays as it is."""
    from stemsplitter.links import installed
    from stemsplitter.settings import load_settings

    with status("Installing the newest yt-dlp"):
        new, sha256 = installed.update(load_settings().data_dir)
    if sha256:
        print(f"yt-dlp {new.version} is installed in {new.folder} (SHA-256 {sha256}).")
    else:
        print(f"yt-dlp {new.version} is installed; there is no newer version.")


def local_song(source: Path, stack: ExitStack) -> Path:
    """Return the path of a song. The track of a link is fetched to a temporary folder first, which ``stack`` removes.

    Raises:
        RequestError: links are off.
        FetchError: the track cannot be fetched.
    """
    url = url_of(source)
    if url is None:
        return source
    from stemsplitter.links import Links, is_link
    from stemsplitter.settings import load_settings

    if not is_link(url):
        return source
    links = Links(load_settings())
    if not links.is_on:
        raise RequestError(
            "Links are off: set STEMSPLITTER_LINKS=youtube,soundcloud, and use only what you own or may copy; the "
            "site's terms may forbid downloading."
        )
    if os.environ.get("STEMSPLITTER_OFFLINE", "") not in ("", "0"):
        raise RequestError("A link cannot be fetched offline: name a file, or leave out --offline.")
    folder = stack.enter_context(temporary_folder())
    with status("Fetching the link"):
        fetched = links.fetch(url, folder, FETCH_SECONDS)
    stem, ending = os.path.splitext(fetched.filename)  # noqa: PTH122 a title may begin with a dot
    return fetched.path.rename(folder / file_name(stem, ending))
