"""Tools: pages with a fixed stem layout and initial mix. A new entry in :data:`TASKS` adds a tool."""

from collections.abc import Sequence
from dataclasses import dataclass

from stemsplitter.separation.layouts import INSTRUMENTAL, LAYOUTS, WITHOUT

METADATA = "task"  # key in the metadata of a split that holds the slug of its tool


@dataclass(frozen=True)
class Task:
    """A tool page.

    ``icon`` is a name of ``scripts/icons.py``, ``summary`` its line in lists, ``lead`` its first sentence,
    ``paragraphs`` the rest of its text. ``mix`` names the mix the player starts with: the stems of ``layout`` without
    ``muted``.
    """

    slug: str
    name: str
    icon: str
    summary: str
    lead: str
    paragraphs: tuple[str, ...]
    mix: str
    layout: str
    muted: tuple[str, ...]

    @property
    def path(self) -> str:
        """Path of the page."""
        return f"/{self.slug}"


TASKS = (
    Task(
        slug="vocal-remover",
        name="Vocal remover",
        icon="mic-off",
        summary="Instrumental version of a song",
        lead="Remove the vocals from a song and keep the instrumental.",
        paragraphs=(
            "You get two files, the instrumental and the vocals. Together they add up to the original song.",
            "Choirs and backing vocals are removed together with the lead vocals.",
        ),
        mix="the song without vocals",
        layout="2s",
        muted=("vocals",),
    ),
    Task(
        slug="acapella",
        name="Acapella",
        icon="mic-vocal",
        summary="Vocals without the band",
        lead="Extract the vocals from a song.",
        paragraphs=(
            "Use them for remixes, to transcribe lyrics or to study a performance. Reverb recorded with the voice "
            "mostly stays with it.",
            "In the player you can blend the band back in at any level before you download the mix.",
        ),
        mix="the vocals",
        layout="2s",
        muted=(INSTRUMENTAL,),
    ),
    Task(
        slug="karaoke",
        name="Karaoke",
        icon="music-2",
        summary="Sing along with the band",
        lead="Make a karaoke track: the band plays, you sing.",
        paragraphs=(
            "The player starts with the vocals muted. To keep a guide vocal, unmute the vocals and lower their gain to "
            "about -15 dB. Then download the mix.",
        ),
        mix="the karaoke track",
        layout="2s",
        muted=("vocals",),
    ),
    Task(
        slug="drum-remover",
        name="Drum remover",
        icon="drum",
        summary="Play along on drums",
        lead="Remove the drums from a song and play along on your own kit.",
        paragraphs=(
            "Vocals, bass and all other instruments keep their place in the mix. To learn a fill, unmute the drums and "
            "loop the passage.",
        ),
        mix="the song without drums",
        layout="4s",
        muted=("drums",),
    ),
    Task(
        slug="bass-remover",
        name="Bass remover",
        icon="speaker",
        summary="Play along on bass",
        lead="Remove the bass from a song and play the bass line yourself.",
        paragraphs=(
            "Bass guitar, upright bass and synth bass are one stem. The kick drum stays with the drums.",
            "Solo the bass to learn the line, then mute it and play.",
        ),
        mix="the song without bass",
        layout="4s",
        muted=("bass",),
    ),
    Task(
        slug="guitar-remover",
        name="Guitar remover",
        icon="guitar",
        summary="Play along on guitar",
        lead="Remove the guitars from a song and play the part yourself.",
        paragraphs=(
            "Acoustic and electric guitars, rhythm and lead, are one stem. The piano is a separate stem and stays in "
            "the mix.",
        ),
        mix="the song without guitar",
        layout="6s",
        muted=("guitar",),
    ),
    Task(
        slug="piano-remover",
        name="Piano remover",
        icon="piano",
        summary="Play along on piano",
        lead="Remove the piano from a song and play the part yourself.",
        paragraphs=(
            "Pianos and similar sounds are removed; organs and synthesizers mostly stay in the mix. Piano is the "
            "hardest of the six stems to separate: solo it to hear the result.",
        ),
        mix="the song without piano",
        layout="6s",
        muted=("piano",),
    ),
)
_BY_SLUG = {task.slug: task for task in TASKS}


def find_task(slug: str) -> Task | None:
    """Return the tool with that slug, or None."""
    return _BY_SLUG.get(slug)


def initially_muted(task: Task | None, stems: Sequence[str]) -> frozenset[str]:
    """Return the ``stems`` of a split that the player starts without, so that no part of the song plays twice."""
    if task is not None and set(LAYOUTS[task.layout]) <= set(stems):
        return frozenset(task.muted)
    wholes = {name: name.removeprefix(WITHOUT) for name in stems if name.startswith(WITHOUT)}
    wholes[INSTRUMENTAL] = "vocals"
    return frozenset(name for name, left_out in wholes.items() if {name, left_out} < set(stems))
