"""Tools: pages with a fixed stem layout and initial mix. A new entry in :data:`TASKS` adds a tool."""

from collections.abc import Sequence
from dataclasses import dataclass

from stemsplitter.languages import marked
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
        name=marked("Vocal remover"),
        icon="mic-off",
        summary=marked("Instrumental version of a song"),
        lead=marked("Remove the vocals from a song and keep the instrumental."),
        paragraphs=(
            marked(
                "You get two files, the instrumental and the vocals. Together they add up to the original song."
            ),
            marked("Choirs and backing vocals are removed together with the lead vocals."),
        ),
        mix=marked("the song without vocals"),
        layout="2s",
        muted=("vocals",),
    ),
    Task(
        slug="acapella",
        name=marked("Acapella"),
        icon="mic-vocal",
        summary=marked("Vocals without the band"),
        lead=marked("Extract the vocals from a song."),
        paragraphs=(
            marked(
                "Use them for remixes, to transcribe lyrics or to study a performance. Reverb recorded with the voice "
                "mostly stays with it."
            ),
            marked("In the player you can blend the band back in at any level before you download the mix."),
        ),
        mix=marked("the vocals"),
        layout="2s",
        muted=(INSTRUMENTAL,),
    ),
    Task(
        slug="karaoke",
        name=marked("Karaoke"),
        icon="music-2",
        summary=marked("Sing along with the band"),
        lead=marked("Make a karaoke track: the band plays, you sing."),
        paragraphs=(
            marked(
                "The player starts with the vocals muted. To keep a guide vocal, unmute the vocals and lower their "
                "gain to about -15 dB. Then download the mix."
            ),
        ),
        mix=marked("the karaoke track"),
        layout="2s",
        muted=("vocals",),
    ),
    Task(
        slug="drum-remover",
        name=marked("Drum remover"),
        icon="drum",
        summary=marked("Play along on drums"),
        lead=marked("Remove the drums from a song and play along on your own kit."),
        paragraphs=(
            marked(
                "Vocals, bass and all other instruments keep their place in the mix. To learn a fill, unmute the drums "
                "and loop the passage."
            ),
        ),
        mix=marked("the song without drums"),
        layout="4s",
        muted=("drums",),
    ),
    Task(
        slug="bass-remover",
        name=marked("Bass remover"),
        icon="speaker",
        summary=marked("Play along on bass"),
        lead=marked("Remove the bass from a song and play the bass line yourself."),
        paragraphs=(
            marked(
                "Bass guitar, upright bass and synth bass are one stem. The kick drum stays with the drums."
            ),
            marked("Solo the bass to learn the line, then mute it and play."),
        ),
        mix=marked("the song without bass"),
        layout="4s",
        muted=("bass",),
    ),
    Task(
        slug="guitar-remover",
        name=marked("Guitar remover"),
        icon="guitar",
        summary=marked("Play along on guitar"),
        lead=marked("Remove the guitars from a song and play the part yourself."),
        paragraphs=(
            marked(
                "Acoustic and electric guitars, rhythm and lead, are one stem. The piano is a separate stem and stays "
                "in the mix."
            ),
        ),
        mix=marked("the song without guitar"),
        layout="6s",
        muted=("guitar",),
    ),
    Task(
        slug="piano-remover",
        name=marked("Piano remover"),
        icon="piano",
        summary=marked("Play along on piano"),
        lead=marked("Remove the piano from a song and play the part yourself."),
        paragraphs=(
            marked(
                "Pianos and similar sounds are removed; organs and synthesizers mostly stay in the mix. Piano is the "
                "hardest of the six stems to separate: solo it to hear the result."
            ),
        ),
        mix=marked("the song without piano"),
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
