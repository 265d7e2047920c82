"""Ready-made tasks: a split with stems chosen, and which of them the mix leaves out at the beginning."""

from collections.abc import Sequence
from dataclasses import dataclass

from stemsplitter.separation.layouts import INSTRUMENTAL, LAYOUTS

# in a split's metadata: by which page it was made
METADATA = "task"


@dataclass(frozen=True)
class Task:
    """A page of its own. What is ``muted`` of the stems of ``layout`` is not in the mix that the player begins with.

    ``mix`` names that mix; ``lead`` is the page's first sentence, ``words`` say more.
    """

    slug: str
    name: str
    short: str
    lead: str
    words: tuple[str, ...]
    mix: str
    layout: str
    muted: tuple[str, ...]


TASKS = (
    Task(
        "vocal-remover",
        "Vocal remover",
        "the band without its singer",
        "Take the singing out of a song and keep the band.",
        (
            "You get two files: everything but the voice, and the voice. Together they are exactly the song, so "
            "nothing of the band is lost that was not taken for singing.",
            "Choirs and backing vocals go with the lead voice.",
        ),
        "the song without its vocals",
        "2s",
        ("vocals",),
    ),
    Task(
        "acapella",
        "Acapella",
        "the singer without the band",
        "Keep the voices of a song and nothing else.",
        (
            "For remixes, for transcribing a lyric, or to hear what a singer really does. Reverb that was recorded "
            "with the voice mostly stays with it.",
            "In the player you can bring the band back in, as quietly as you like, before you save the mix.",
        ),
        "the vocals alone",
        "2s",
        (INSTRUMENTAL,),
    ),
    Task(
        "karaoke",
        "Karaoke",
        "sing it yourself",
        "Sing it yourself: the band plays, the singer is silent.",
        (
            "The mix begins without vocals. If you want a voice to hold on to, unmute it in the player and turn it "
            "down: at -15 dB it guides without being heard much. Then save the mix as you have set it.",
        ),
        "the song to sing to",
        "2s",
        ("vocals",),
    ),
    Task(
        "drum-remover",
        "Drum remover",
        "play along on your kit",
        "Play along on your own kit: the song without its drums.",
        (
            "Vocals, bass and the rest stay as they were mixed. Turn the drums back up in the player to learn a fill, "
            "and loop it.",
        ),
        "the song without its drums",
        "4s",
        ("drums",),
    ),
    Task(
        "bass-remover",
        "Bass remover",
        "take the low end over",
        "Take the low end over: the song without its bass.",
        (
            "Bass guitar, upright and synth bass go into a stem of their own; the kick drum stays with the drums.",
            "Solo the bass first to learn the line, then mute it and play.",
        ),
        "the song without its bass",
        "4s",
        ("bass",),
    ),
    Task(
        "guitar-remover",
        "Guitar remover",
        "the solo is yours",
        "The solo is yours: the song without its guitars.",
        (
            "Acoustic and electric guitars, rhythm and lead, come out together. Six stems are separated, so the piano "
            "stays where it is.",
        ),
        "the song without its guitars",
        "6s",
        ("guitar",),
    ),
    Task(
        "piano-remover",
        "Piano remover",
        "the keys are yours",
        "The keys are yours: the song without its piano.",
        (
            "Pianos and what sounds like them come out; organs and synthesizers mostly stay with the rest. Of the six "
            "stems the piano is the hardest to tell from others: listen to it alone to hear what was found.",
        ),
        "the song without its piano",
        "6s",
        ("piano",),
    ),
)
_BY_SLUG = {task.slug: task for task in TASKS}


def find_task(slug: str) -> Task | None:
    """The task of that name."""
    return _BY_SLUG.get(slug)


def muted_at_first(task: Task | None, stems: Sequence[str]) -> frozenset[str]:
    """Which of a split's ``stems`` the player begins without, so that it plays each part of the song once at most."""
    if task is not None and set(LAYOUTS[task.layout]) <= set(stems):
        return frozenset(task.muted)
    return frozenset({INSTRUMENTAL} if {"vocals", INSTRUMENTAL} < set(stems) else ())
