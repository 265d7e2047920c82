"""The form of a song: its sections, and which players are heard in which bars."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from training.composer.choice import chance, draw, pick
from training.composer.sheet import Section
from training.composer.styles import Style

Player = tuple[str, str]
FORMS: Final = (
    "i v v c c b v c c",
    "i v v c c",
    "i v v c c s s c c",
    "v v c c b v v c c",
    "v v c c i v v c c",
    "c c v v c c b c",
    "i v v b c c c",
    "i c c v v c c",
    "v v c b s s c c",
    "i v v c c v b c c",
    "i i v v v c c c",
    "v v v b c c c s s",
    "i v c s b v c",
    "i v c v c",
    "c v c b c",
    "i v v c c b s s v v c c",
)
KINDS: Final = {"i": "intro", "v": "verse", "c": "chorus", "b": "break", "s": "solo"}
ENERGY: Final = {
    "intro": (0.2, 0.9),
    "verse": (0.3, 0.7),
    "chorus": (0.7, 1.0),
    "break": (0.1, 0.7),
    "solo": (0.6, 1.0),
}
# How likely a player of the song plays in a section, by role.
HEARD: Final = {
    ("vocals", "lead"): {"intro": 0.08, "verse": 0.95, "chorus": 0.95, "break": 0.25, "solo": 0.05},
    ("vocals", "harmony"): {"intro": 0.1, "verse": 0.25, "chorus": 0.9, "break": 0.2, "solo": 0.15},
    ("drums", "percussion"): {"intro": 0.4, "verse": 0.6, "chorus": 0.9, "break": 0.5, "solo": 0.7},
    ("guitar", "lead"): {"intro": 0.45, "verse": 0.25, "chorus": 0.3, "break": 0.4, "solo": 1.0},
    ("guitar", "arpeggio"): {"intro": 0.7, "verse": 0.85, "chorus": 0.65, "break": 0.6, "solo": 0.6},
    ("piano", "melody"): {"intro": 0.5, "verse": 0.3, "chorus": 0.35, "break": 0.5, "solo": 0.7},
    ("other", "melody"): {"intro": 0.5, "verse": 0.35, "chorus": 0.45, "break": 0.5, "solo": 0.7},
    ("other", "pad"): {"intro": 0.7, "verse": 0.7, "chorus": 0.9, "break": 0.7, "solo": 0.8},
}
COMMON: Final = {"intro": 0.6, "verse": 0.82, "chorus": 0.95, "break": 0.5, "solo": 0.9}


def sections(bar_seconds: float, random: np.random.Generator) -> list[Section]:
    """The sections of a song of 38–47 s, each a whole number of bars."""
    fits = []
    for form in FORMS:
        letters = form.split()
        for unit in (1, 2, 4, 8):
            seconds = len(letters) * unit * bar_seconds
            if 38 <= seconds <= 47:
                fits.append((letters, unit))
    # With no form that fits, the form is cut (or the last section grows) to 43 s.
    letters, unit = pick(random, fits) if fits else (pick(random, FORMS).split(), 2)
    if not fits:
        needed = max(4, round(43 / bar_seconds / unit))
        letters = (letters + [letters[-1]] * needed)[:needed]
    out: list[Section] = []
    energies = {kind: random.uniform(*bounds) for kind, bounds in ENERGY.items()}
    for letter in letters:
        kind = KINDS[letter]
        if out and out[-1].kind == kind and out[-1].bars < 8:
            before = out.pop()
            out.append(Section(kind, before.start, before.bars + unit, before.energy))
        else:
            start = out[-1].start + out[-1].bars if out else 0
            out.append(
                Section(kind, start, unit, float(np.clip(energies[kind] + random.normal(0, 0.06), 0, 1)))
            )
    return out


def band(style: Style, random: np.random.Generator) -> list[Player]:
    """Draw the players of the song, of at least three stems."""
    while True:
        stems = [stem for stem, share in style.stems.items() if chance(random, share)]
        if len(stems) >= 3:
            return [(stem, role) for stem in stems for role in draw(random, style.roles[stem])]


def arrangement(
    players: Sequence[Player], plan: Sequence[Section], random: np.random.Generator
) -> dict[Player, list[bool]]:
    """For each player, bar by bar, whether it plays. Somebody plays in every bar."""
    bars = plan[-1].start + plan[-1].bars
    heard = {player: [False] * bars for player in players}
    habits: dict[tuple[str, Player], bool] = {}
    for section in plan:
        playing = _cast(players, section, habits, random)
        for player in playing:
            first, last = _entry(section, len(playing), random)
            heard[player][section.start + first : section.start + last] = [True] * (last - first)
    for bar in range(bars):
        if not any(heard[player][bar] for player in players):
            heard[pick(random, players)][bar] = True
    for player in players:
        if not any(heard[player]):
            section = pick(random, [s for s in plan if s.kind in ("chorus", "solo")] or list(plan))
            heard[player][section.start : section.start + section.bars] = [True] * section.bars
    return heard


def _cast(
    players: Sequence[Player],
    section: Section,
    habits: dict[tuple[str, Player], bool],
    random: np.random.Generator,
) -> list[Player]:
    """The players of a section: mostly those of the last such section; intros and breaks may be bare."""
    stems = sorted({stem for stem, _ in players})
    if section.kind in ("intro", "break") and chance(random, 0.45):
        favourites = {
            "intro": ("guitar", "piano", "drums", "other"),
            "break": ("drums", "bass", "drums", "piano"),
        }
        alone = {pick(random, favourites[section.kind])}
        if chance(random, 0.35):
            alone.add(pick(random, stems))
        cast = [player for player in players if player[0] in alone]
        if cast:
            return cast
    cast = []
    for player in players:
        known = habits.get((section.kind, player))
        if known is None or chance(random, 0.15):
            known = chance(random, HEARD.get(player, COMMON)[section.kind])
            habits[section.kind, player] = known
        if known:
            cast.append(player)
    return cast


def _entry(section: Section, count: int, random: np.random.Generator) -> tuple[int, int]:
    """Draw the bars at which a player enters and leaves a section: mostly all, else a half, or all but the last."""
    if section.bars < 2 or count < 3:
        return 0, section.bars
    kind = draw(random, {"all": 0.8, "second": 0.09, "first": 0.04, "stop": 0.07})
    half = section.bars // 2
    return {
        "all": (0, section.bars),
        "second": (half, section.bars),
        "first": (0, half),
        "stop": (0, section.bars - 1),
    }[kind]
