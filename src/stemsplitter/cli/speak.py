"""``stemsplitter speak``: text to speech."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from stemsplitter.audio.formats import known_names
from stemsplitter.cli import completion
from stemsplitter.cli.output import AsJson, duration, print_json, print_rows, printable
from stemsplitter.cli.progress import status
from stemsplitter.cli.targets import refuse_existing
from stemsplitter.errors import RequestError


def speak(
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="The text, or - for standard input.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Output file.")] = Path(
        "speech.wav"
    ),
    voice: Annotated[str, typer.Option(metavar="NAME", help="Voice; see --list-voices.")] = "american",
    speed: Annotated[float, typer.Option(metavar="X", help="0.5 to 2.")] = 1.0,
    semitones: Annotated[float, typer.Option(metavar="N", help="Change of the pitch, -12 to 12.")] = 0.0,
    format: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            autocompletion=completion.formats,
            help=f"{known_names()}. Default: that of the output file's name.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    list_voices: Annotated[bool, typer.Option("--list-voices", help="List the voices and exit.")] = False,
    as_json: AsJson = False,
) -> None:
    """Speak a text in English. Say that the voice is synthetic where listeners may not expect it."""
    from stemsplitter.catalogue.store import ModelStore
    from stemsplitter.tools import speaking

    if list_voices:
        usable = speaking.usable_voices(ModelStore())
        rows = [
            (each.name, each.description, "yes" if each in usable else f"no: models pull {speaking.MODEL}")
            for each in speaking.VOICES
        ]
        print_rows(("name", "voice", "ready"), rows, as_json)
        return
    if text is None:
        raise RequestError("There is no text: give one in quotation marks, or - for standard input.")
    if text == "-":
        try:
            text = sys.stdin.buffer.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise RequestError("The text on standard input is not UTF-8: convert it.") from error
    refuse_existing(output, overwrite=overwrite)
    with status("Speaking"):
        done = speaking.speak(
            text,
            output,
            voice=voice,
            speed=speed,
            semitones=semitones,
            format=format or output.suffix[1:].lower() or "wav",
        )
    seconds = done.samples / done.sample_rate
    if as_json:
        print_json(
            {
                "path": str(done.path),
                "voice": voice,
                "samples": done.samples,
                "sample_rate": done.sample_rate,
                "seconds": round(seconds, 3),
                "elapsed": round(done.elapsed, 3),
            }
        )
    else:
        print(f"{duration(seconds)} of speech in {duration(done.elapsed)}")
        print(f"  {printable(str(done.path))}")
