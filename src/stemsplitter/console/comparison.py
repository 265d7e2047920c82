"""A comparison with other programs and services. Only what a source says is in it; a cell without one is empty."""

from dataclasses import dataclass
from datetime import date

from fastapi import APIRouter, Request
from starlette.responses import Response

from stemsplitter.console.rendering import page
from stemsplitter.languages import marked

PATH = "/compare"
COLUMNS = ("Stem Splitter", "AI Stem Splitter", "Moises, LALAL.AI", "demucs 4.1.0", "audio-separator 0.47.1")

router = APIRouter()


@dataclass(frozen=True)
class Source:
    """The base of a claim, and the day on which it was read or measured."""

    text: str
    day: date
    path: str = ""  # of a page of this server


@dataclass(frozen=True)
class Row:
    """A row: a cell for each of :data:`COLUMNS`, empty if unknown; the columns that do better; keys of sources."""

    topic: str
    cells: tuple[str, str, str, str, str]
    better: tuple[int, ...]
    sources: tuple[str, ...]


SOURCES = {
    "clients": Source(
        marked("Its published clients: aistemsplitter 0.1.1 on PyPI, @aistemsplitter/sdk 0.1.0 on npm"),
        date(2026, 11, 29),
    ),
    "visit": Source(marked("Their web pages, visited together with others"), date(2026, 11, 29)),
    "demucs": Source(marked("README and metadata of the package demucs 4.1.0 on PyPI"), date(2026, 11, 30)),
    "separator": Source(
        marked("README and metadata of the package audio-separator 0.47.1 on PyPI"), date(2026, 11, 30)
    ),
    "speed": Source(
        marked("Our measurement: python -m benchmarks.speed, in benchmarks/README.md of the source code"),
        date(2026, 11, 22),
    ),
    "card": Source(marked("Our measurement, in the model card"), date(2026, 11, 22), "/docs/model-card"),
    "models": Source(marked("The documentation of the models"), date(2026, 11, 30), "/docs/models"),
    "formats": Source(marked("The documentation of the formats"), date(2026, 11, 30), "/docs/formats"),
}
_OWN = marked("On your own machine")
_THEIRS = marked("On the machines of the service")
_NONE = marked("None: a command and a library")

ROWS = (
    Row(
        marked("Where songs are processed"),
        (_OWN, _THEIRS, _THEIRS, _OWN, _OWN),
        (),
        ("clients", "visit", "demucs", "separator"),
    ),
    Row(
        marked("To begin"),
        (
            marked("Install it, or use the server of somebody"),
            marked("Nothing to install"),
            marked("Nothing to install"),
            "pip install demucs",
            marked("pip install, or an image for Docker"),
        ),
        (1, 2),
        ("clients", "visit", "demucs", "separator"),
    ),
    Row(marked("License of the program"), ("MIT", "", "", "MIT", "MIT"), (), ("demucs", "separator")),
    Row(
        marked("Quality"),
        (
            marked("Built-in model, on ten excerpts: vocals 2.4 dB, drums 4.0 dB, bass 3.8 dB"),
            "",
            "",
            marked(
                "9.00 dB in the mean of four stems, by its authors, on other songs: expect more than from ours"
            ),
            marked("Depends on the model"),
        ),
        (3,),
        ("demucs", "separator", "card"),
    ),
    Row(
        marked("Models"),
        (
            marked("Ten in the catalog, and your own files"),
            "",
            "",
            marked("Its own"),
            marked("Those of Ultimate Vocal Remover: MDX-Net, VR, Demucs, MDXC, RoFormer"),
        ),
        (4,),
        ("demucs", "separator", "models"),
    ),
    Row(
        marked("Three minutes in six stems with the same network, two CPU cores"),
        (marked("27.1 s, 1,273 MB of memory"), "", "", marked("126.6 s, 2,192 MB of memory"), ""),
        (0,),
        ("speed",),
    ),
    Row(
        marked("Graphics cards"),
        (
            marked("CUDA and Apple, not measured by us"),
            marked("Not your concern"),
            marked("Not your concern"),
            "CUDA",
            marked("CUDA and Apple; DirectML as an experiment"),
        ),
        (1, 2, 4),
        ("demucs", "separator"),
    ),
    Row(
        marked("Sum of the stems"),
        (marked("The song, exactly, in lossless formats"), "", "", "", ""),
        (),
        ("formats",),
    ),
    Row(
        marked("Practicing in the browser"),
        (
            marked("Speed, pitch, loops, metronome, count-in, key and tempo"),
            "",
            marked("The same in at least one of them, and sections of the song"),
            _NONE,
            _NONE,
        ),
        (2,),
        ("visit", "demucs", "separator"),
    ),
    Row(
        marked("Stems dragged into other programs"),
        (marked("No: they are downloaded"), "", marked("At least one of them"), "", ""),
        (2,),
        ("visit",),
    ),
    Row(
        marked("For developers"),
        (
            marked("The API of AI Stem Splitter with events, mixes and tools; a command and a library"),
            marked("An API with clients for balance, uploads and splits"),
            "",
            marked("A command and a library"),
            marked("A command and a library"),
        ),
        (),
        ("clients", "demucs", "separator"),
    ),
)


@router.get(PATH)
def comparison(request: Request) -> Response:
    """Show the comparison."""
    numbers = {key: number for number, key in enumerate(SOURCES, 1)}
    return page(
        request, "comparison.html", columns=COLUMNS, rows=ROWS, sources=SOURCES.items(), numbers=numbers
    )
