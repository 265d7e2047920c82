"""``stemsplitter demo``: the song that the first page of a server plays."""

from pathlib import Path
from typing import Annotated

import typer

from stemsplitter.cli.admin import DataDir, open_services
from stemsplitter.cli.output import print_message


def demo(
    song: Annotated[Path, typer.Argument(metavar="SONG", help="A song that you may publish.")],
    title: Annotated[str, typer.Option("--title", help="By default from the tags of the song.")] = "",
    artist: Annotated[str, typer.Option("--artist", help="By default from the tags of the song.")] = "",
    license: Annotated[str, typer.Option("--license", help="License of the song, shown beside it.")] = "",
    start: Annotated[float, typer.Option("--start", help="Start of the excerpt in seconds.")] = 0,
    duration: Annotated[float, typer.Option("--duration", help="Seconds of the excerpt.")] = 40,
    data_dir: DataDir = None,
) -> None:
    """Separate a song and play it on the first page, in the place of the previous one."""
    from stemsplitter.console.demo import Demo, store_demo
    from stemsplitter.files.temporary import temporary_folder
    from stemsplitter.library import Separator
    from stemsplitter.separation.layouts import LAYOUTS

    with open_services(data_dir) as services, temporary_folder() as folder:
        separator = Separator("builtin_6s")
        made = separator.separate_to(song, folder, start=start, duration=duration, peaks=True)
        assert made.peaks is not None
        stems = {name: folder / f"{name}.wav" for name in LAYOUTS["6s"]}
        tags = made.source.tags
        about = Demo(
            title or tags.title or song.stem,
            artist or tags.artist,
            license,
            made.samples / made.sample_rate,
            tuple(stems),
        )
        store_demo(services.storage, about, stems, made.peaks.encode(made.gain))
    print_message(f"The first page plays {about.title}. A running server shows it within a minute.")
