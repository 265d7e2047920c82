"""``stemsplitter pitch``, ``speed`` and ``slowed-reverb``: transform a song."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemsplitter.audio.formats import FORMATS, OutputFormat, known_names
from stemsplitter.cli import completion
from stemsplitter.cli.batch import standard_input, standard_output
from stemsplitter.cli.links import local_song
from stemsplitter.cli.output import AsJson, duration, print_json, print_message, printable
from stemsplitter.cli.progress import separation_progress, status
from stemsplitter.cli.songs import STANDARD_INPUT, is_same
from stemsplitter.cli.targets import refuse_existing
from stemsplitter.errors import OutputError, RequestError
from stemsplitter.files.names import file_name, shown
from stemsplitter.files.temporary import temporary_folder
from stemsplitter.spelling import unknown

if TYPE_CHECKING:
    from stemsplitter.library import Separator
    from stemsplitter.tools.transformations import Transformation
    from stemsplitter.tools.transforming import Transformed

STANDARD_OUTPUT = Path("-")

_Song = Annotated[
    Path,
    typer.Argument(
        metavar="SONG|LINK", help="The song, a link of YouTube or SoundCloud, or - for standard input."
    ),
]
_Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE|DIR",
        help="Output file or folder, or - for standard output. Default: a name made from the song's, here.",
    ),
]
_Format = Annotated[
    str | None,
    typer.Option(
        metavar="FORMAT",
        autocompletion=completion.formats,
        help=f"{known_names()}. Default: that of the output file's name, else wav.",
    ),
]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")]
_Drums = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The drums stem of the song, instead of separating it."),
]
_Whole = Annotated[
    bool, typer.Option("--whole", help="Transform the song as a whole, faster, without separating its drums.")
]


def pitch(
    song: _Song,
    semitones: Annotated[float, typer.Option(metavar="N", help="-12 to 12, such as 2.5; a cent is 0.01.")],
    formants: Annotated[
        bool, typer.Option("--formants", help="Keep the formants, so that voices keep their timbre.")
    ] = False,
    output: _Output = None,
    format: _Format = None,
    overwrite: _Overwrite = False,
    drums: _Drums = None,
    whole: _Whole = False,
    as_json: AsJson = False,
) -> None:
    """Change the pitch of a song and keep its tempo."""
    from stemsplitter.tools import transformations

    change = transformations.pitch(semitones, formants=formants)
    _run(song, change, output, format, overwrite, drums, whole, as_json)


def speed(
    song: _Song,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="nightcore (1.25), nightcore-light (1.15), daycore (0.82), sped-up (1.2)."
        ),
    ] = None,
    rate: Annotated[float | None, typer.Option(metavar="X", help="0.25 to 4; 2 is twice as fast.")] = None,
    keep_pitch: Annotated[bool, typer.Option("--keep-pitch", help="Change the tempo only.")] = False,
    output: _Output = None,
    format: _Format = None,
    overwrite: _Overwrite = False,
    drums: _Drums = None,
    whole: _Whole = False,
    as_json: AsJson = False,
) -> None:
    """Change the speed of a song: nightcore, daycore, sped-up."""
    from stemsplitter.tools import transformations

    if (preset is None) == (rate is None):
        raise RequestError("The speed is not clear: give either --preset or --rate.")
    presets = transformations.SPEED_PRESETS
    if preset is not None and preset not in presets:
        raise RequestError(unknown("preset", preset, list(presets)))
    factor = presets[preset] if preset is not None else rate
    assert factor is not None
    change = transformations.speed(factor, keep_pitch=keep_pitch)
    _run(song, change, output, format, overwrite, drums, whole, as_json)


def slowed_reverb(
    song: _Song,
    preset: Annotated[float, typer.Option(metavar="X", help="Rate: 0.8, 0.85, 0.9, or another.")] = 0.85,
    decay: Annotated[float, typer.Option(metavar="SECONDS", help="Of the reverb, 0.1 to 20.")] = 2.6,
    wet: Annotated[float, typer.Option(metavar="PERCENT", help="Share of the reverb, 0 to 100.")] = 25,
    output: _Output = None,
    format: _Format = None,
    overwrite: _Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Slow a song down with its pitch, and add reverb."""
    from stemsplitter.tools import transformations

    if not 0 <= wet <= 100:
        raise RequestError(f"A wet share of {wet:g} % is not possible: choose from 0 to 100.")
    change = transformations.slowed_reverb(preset, decay=decay, wet=wet / 100)
    _run(song, change, output, format, overwrite, None, True, as_json)


def _run(
    song: Path,
    change: "Transformation",
    output: Path | None,
    format: str | None,
    overwrite: bool,
    drums: Path | None,
    whole: bool,
    as_json: bool,
) -> None:
    from stemsplitter.tools.transforming import transform

    with ExitStack() as stack:
        is_input = song == STANDARD_INPUT
        source = stack.enter_context(standard_input()) if is_input else local_song(song, stack)
        is_piped = output == STANDARD_OUTPUT
        if is_piped and as_json:
            raise RequestError("Both --json and -o - write to standard output: name an output file.")
        folder = stack.enter_context(standard_output()) if is_piped else output
        path, chosen = _target(source, folder, format, change.label)
        if is_same(path, source):
            raise OutputError(f"The result would replace {shown(source)}: choose another output file.")
        refuse_existing(path, overwrite=overwrite)
        name, model = printable(source.name), ""
        if change.drums_apart and not whole and drums is None:
            from stemsplitter.tools.transforming import separate_drums

            separator = _separator()
            model = ", ".join(f"{used.name} ({used.licence})" for used in separator.models)
            with separation_progress(
                name, f"separating the drums, {model} on {separator.device}"
            ) as progress:
                drums = separate_drums(source, stack.enter_context(temporary_folder()), separator, progress)
        with separation_progress(name, change.label) as progress:
            result = transform(source, path, change, format=chosen, drums=drums, progress=progress)
        _report(source, change, result, model, as_json, is_piped)


def _target(source: Path, output: Path | None, format: str | None, label: str) -> tuple[Path, str]:
    """Return the path of the result and its format."""
    named = output is not None and not output.is_dir() and output.suffix != ""
    if format is None:
        extension = output.suffix[1:].lower() if named and output is not None else "wav"
        by_extension = {entry.extension: name for name, entry in reversed(FORMATS.items())}
        format = extension if extension in FORMATS else by_extension.get(extension, extension)
    entry = OutputFormat.parse(format)
    if named and output is not None:
        return output, format
    return (output or Path()) / file_name(f"{source.stem} ({label})", f".{entry.extension}"), format


def _separator() -> "Separator":
    from stemsplitter.library import Separator

    with status("Loading the model"):
        return Separator(stems="drums")


def _report(
    song: Path, change: "Transformation", result: "Transformed", model: str, as_json: bool, is_piped: bool
) -> None:
    if as_json:
        print_json(
            {
                "song": str(song),
                "path": str(result.path),
                "change": change.label,
                "samples": result.samples,
                "sample_rate": result.sample_rate,
                "seconds": round(result.seconds, 3),
                "elapsed": round(result.elapsed, 3),
                "drums_apart": result.drums_apart,
                "drums_model": model or None,
                "warnings": list(result.warnings),
            }
        )
        return
    say = print_message if is_piped else print
    apart = f", drums and rest apart{' by ' + model if model else ''}" if result.drums_apart else ""
    whole = ", as a whole" if change.drums_apart and not result.drums_apart else ""
    say(
        f"{printable(song.name)}: {change.label}{apart}{whole}, {duration(result.seconds)} of audio in "
        f"{duration(result.elapsed)}"
    )
    if not is_piped:
        say(f"  {printable(str(result.path))}")
    for warning in result.warnings:
        say(f"  warning: {warning}")
