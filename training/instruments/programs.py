"""General MIDI programs that suit each part, with weights."""

from typing import Final, NamedTuple

DRUMS: Final = 128
Range = tuple[int, int]  # MIDI numbers between which the middle of a part sounds natural


class Manner(NamedTuple):
    """Manner of playing a program.

    Attributes:
        pitches: where the instrument sounds like itself; a part is moved there by octaves. None: as written.
        singing: vibrato, scoops and swells suit it (winds, bowed strings, lead guitar), on single notes.
        pedal: it has a sustain pedal.
        muted: bank and program of the same instrument played with the palm of the hand on the strings.
    """

    pitches: Range | None = None
    singing: bool = False
    pedal: bool = False
    muted: tuple[int, int] | None = None


PLAIN: Final = Manner()


class Preset(NamedTuple):
    """A program and how it is played."""

    bank: int
    program: int
    manner: Manner


class Family(NamedTuple):
    """Programs of a kind.

    Attributes:
        programs: (bank, program) and how often it is taken within the family.
        roles: how often the family plays a role, relative to other families of the stem; absent: never.
        styles: how much more often, or less, it is taken in a style.
    """

    programs: dict[tuple[int, int], float]
    roles: dict[str, float]
    styles: dict[str, float]
    manner: Manner = PLAIN


def _bank0(*programs: int) -> dict[tuple[int, int], float]:
    return {(0, program): 1.0 for program in programs}


_GUITAR_CHORDS = {"strum": 1.0, "arpeggio": 1.0, "skank": 0.6, "riff": 0.5, "lead": 0.3}

FAMILIES: Final[dict[str, tuple[Family, ...]]] = {
    "drums": (
        Family(
            {(DRUMS, program): 1.0 for program in (*range(8), *range(8, 16))}, {"kit": 3, "percussion": 3}, {}
        ),
        Family({(DRUMS, program): 1.0 for program in range(16, 20)}, {"kit": 1.2}, {"rock": 2, "metal": 3}),
        Family(
            {(DRUMS, 24): 1, (DRUMS, 25): 1}, {"kit": 0.5, "percussion": 0.3}, {"electronic": 5, "pop": 2}
        ),
        Family({(DRUMS, program): 1.0 for program in range(32, 37)}, {"kit": 0.8}, {"jazz": 5, "metal": 0.3}),
        Family(
            {(DRUMS, program): 1.0 for program in range(40, 43)},
            {"kit": 0.3},
            {"jazz": 5, "ballad": 3, "metal": 0},
        ),
        Family({(DRUMS, 48): 1}, {"kit": 0.1, "percussion": 0.3}, {}),
    ),
    "bass": (
        Family({(0, 33): 2, (0, 34): 2, (0, 37): 1}, {"line": 3}, {"electronic": 0.4}),
        Family({(0, 32): 1}, {"line": 0.5}, {"jazz": 8, "country": 3, "metal": 0.1, "electronic": 0.2}),
        Family({(0, 35): 1, (0, 36): 1}, {"line": 0.6}, {"funk": 4, "jazz": 2}),
        Family(
            {(0, 38): 1, (0, 39): 1, (8, 38): 1, (8, 39): 1, (0, 87): 0.5},
            {"line": 0.6},
            {"electronic": 5, "pop": 2, "metal": 0.2, "country": 0.2},
        ),
    ),
    "guitar": (
        Family(
            {(0, 24): 1.5, (0, 25): 3, (8, 25): 1, (8, 24): 0.3},
            _GUITAR_CHORDS,
            {"country": 2.5, "ballad": 2, "pop": 1.5, "metal": 0.4, "reggae": 0.6},
        ),
        Family(
            {(0, 26): 1, (0, 27): 3, (8, 28): 0.7, (0, 28): 0.7},
            {"strum": 1, "arpeggio": 1, "skank": 2, "riff": 1.5, "lead": 0.5},
            {"jazz": 2, "funk": 2, "reggae": 2},
            Manner(muted=(0, 28)),
        ),
        Family(
            {(0, 29): 1, (0, 30): 1},
            {"riff": 2, "strum": 0.7, "lead": 0.5},
            {"rock": 2, "metal": 4, "jazz": 0.1, "country": 0.4, "ballad": 0.5, "reggae": 0.2},
        ),
        Family(
            {(0, 26): 1, (0, 27): 2, (0, 29): 3, (0, 30): 3, (0, 25): 1, (8, 26): 0.4, (8, 30): 0.3},
            {"lead": 2},
            {},
            Manner(singing=True),
        ),
        Family({(0, 31): 1}, {"arpeggio": 0.08, "lead": 0.05}, {}),
    ),
    "piano": (
        Family(
            {(0, 0): 5, (0, 1): 3, (0, 2): 1, (0, 3): 0.7},
            {"chords": 4, "arpeggio": 4, "melody": 4},
            {"jazz": 1.5, "ballad": 2},
            Manner(pedal=True),
        ),
        Family(
            {(0, 4): 2, (0, 5): 1, (8, 4): 0.7, (8, 5): 0.5},
            {"chords": 0.8, "arpeggio": 0.8, "melody": 0.5},
            {"funk": 3, "jazz": 2, "pop": 1.5, "metal": 0.2},
            Manner(pedal=True),
        ),
        Family({(0, 7): 1}, {"chords": 0.2, "arpeggio": 0.2, "melody": 0.1}, {"funk": 4, "reggae": 2}),
    ),
    "other": (
        Family(  # organs
            {(0, 16): 2, (0, 17): 2, (0, 18): 3, (0, 19): 0.7, (0, 20): 0.5, (8, 16): 0.5, (8, 17): 0.5},
            {"pad": 2, "stabs": 1.5, "arpeggio": 0.4, "melody": 0.5, "riff": 1},
            {"reggae": 4, "rock": 1.5, "jazz": 1.5, "funk": 1.5, "electronic": 0.5},
        ),
        Family(  # accordions, harmonica
            {(0, 21): 1, (0, 22): 1, (0, 23): 0.7, (8, 21): 0.7},
            {"melody": 0.7, "riff": 0.2, "pad": 0.2},
            {"country": 4, "metal": 0.2},
            Manner((55, 84), singing=True),
        ),
        Family(  # solo strings
            {(0, 40): 2, (0, 41): 1, (0, 42): 1, (8, 40): 0.7},
            {"melody": 0.8, "riff": 0.2},
            {"ballad": 2, "country": 1.5},
            Manner((50, 84), singing=True),
        ),
        Family(  # string sections
            {(0, 44): 0.4, (0, 48): 2, (0, 49): 2, (0, 50): 1, (0, 51): 1, (8, 48): 0.5, (8, 50): 0.5},
            {"pad": 2.5, "stabs": 0.7, "melody": 0.6, "riff": 0.3},
            {"ballad": 2, "pop": 1.5, "metal": 1.5, "funk": 1.3},
        ),
        Family(
            {(0, 45): 2, (0, 46): 2, (0, 15): 0.5, (0, 6): 0.5},
            {"arpeggio": 1, "stabs": 0.4},
            {"electronic": 0.5},
        ),
        Family({(0, 52): 1, (0, 53): 1, (0, 54): 1}, {"pad": 0.35}, {}),
        Family(  # solo brass
            {(0, 56): 2, (0, 57): 1.5, (0, 58): 0.3, (0, 59): 0.7, (0, 60): 1},
            {"melody": 1, "riff": 0.4},
            {"jazz": 2.5, "funk": 1.5, "reggae": 1.5, "electronic": 0.4, "metal": 0.2},
            Manner((50, 79), singing=True),
        ),
        Family(  # brass sections
            {(0, 61): 3, (0, 62): 1, (0, 63): 1, (8, 61): 1, (8, 62): 0.5, (8, 63): 0.5, (0, 55): 0.2},
            {"stabs": 2.5, "pad": 0.6, "melody": 0.4, "riff": 1.2},
            {"funk": 3, "reggae": 2, "jazz": 1.5},
        ),
        Family(  # reeds
            {
                (0, 64): 1,
                (0, 65): 2.5,
                (0, 66): 2.5,
                (0, 67): 1,
                (0, 68): 0.6,
                (0, 69): 0.4,
                (0, 70): 0.4,
                (0, 71): 1,
            },
            {"melody": 1.5, "riff": 0.6, "stabs": 0.3},
            {"jazz": 3, "funk": 1.5, "ballad": 1.5, "metal": 0.2},
            Manner((50, 82), singing=True),
        ),
        Family(  # pipes
            {(0, 72): 0.4, (0, 73): 2, (0, 74): 0.6, (0, 75): 0.7, (0, 77): 0.4, (0, 78): 0.4, (0, 79): 0.5},
            {"melody": 0.8, "riff": 0.2},
            {"metal": 0.4, "funk": 0.7},
            Manner((64, 90), singing=True),
        ),
        Family(  # synthetic leads
            {
                (0, 80): 1.5,
                (0, 81): 2,
                (0, 82): 0.4,
                (0, 83): 0.4,
                (0, 84): 0.5,
                (0, 85): 0.4,
                (0, 86): 1,
                (8, 80): 1,
            },
            {"melody": 1, "arpeggio": 0.8, "riff": 1, "stabs": 0.5},
            {"electronic": 4, "pop": 2, "country": 0.1, "jazz": 0.3},
            Manner(singing=True),
        ),
        Family(  # synthetic pads
            {(0, program): 1.0 for program in (*range(88, 96), 98, 99, 100)},
            {"pad": 1.5, "arpeggio": 0.4, "stabs": 0.3},
            {"electronic": 3, "pop": 2, "ballad": 1.5, "country": 0.2, "jazz": 0.3},
        ),
        Family(  # mallets and bells
            {
                (0, 8): 0.7,
                (0, 9): 1,
                (0, 10): 0.7,
                (0, 11): 2,
                (0, 12): 1.3,
                (0, 13): 0.6,
                (0, 14): 0.4,
                (0, 114): 0.4,
            },
            {"arpeggio": 1, "melody": 0.5, "stabs": 0.2, "riff": 0.2},
            {"jazz": 2, "electronic": 1.3, "metal": 0.3},
            Manner((60, 96)),
        ),
        Family(  # plucked strings that are no guitars
            {(0, 104): 0.7, (0, 105): 2, (0, 106): 0.4, (0, 107): 0.6, (0, 108): 0.8, (16, 25): 0.7},
            {"arpeggio": 0.5, "melody": 0.3, "riff": 0.4},
            {"country": 6, "metal": 0.3, "electronic": 0.6},
        ),
        Family({(0, 110): 1}, {"melody": 0.4, "riff": 0.3}, {"country": 8}, Manner((55, 86), singing=True)),
        Family(
            {(0, 109): 1, (0, 111): 1}, {"melody": 0.08, "riff": 0.05}, {}, Manner((60, 84), singing=True)
        ),
    ),
}


# (bank, program) kept from training. Kits share their drums, and held-out songs have recorded ones.
HELD_OUT: Final[dict[str, frozenset[tuple[int, int]]]] = {
    "bass": frozenset({(0, 34), (0, 36), (8, 39)}),
    "guitar": frozenset({(0, 24), (0, 26), (8, 26), (8, 24), (0, 30), (8, 30)}),
    "piano": frozenset({(0, 1), (0, 5), (8, 5)}),
    "other": frozenset(
        {(0, 17), (8, 17), (0, 22), (0, 40), (8, 40), (0, 49), (0, 50), (8, 50), (0, 46), (0, 56), (0, 62), (8, 62)}
        | {(0, 66), (0, 74), (0, 81), (8, 80), (0, 89), (0, 95), (0, 11), (0, 105)}
    ),
}  # fmt: skip


def presets(stem: str, role: str, style: str) -> list[tuple[Preset, float]]:
    """The presets that suit a part, with weights above zero that need not sum to one.

    Raises:
        ValueError: General MIDI has nothing for the stem (vocals), or no such role is known.
    """
    chosen: list[tuple[Preset, float]] = []
    for family in FAMILIES.get(stem, ()):
        weight = family.roles.get(role, 0) * family.styles.get(style, 1)
        total = sum(family.programs.values())
        chosen.extend(
            (Preset(bank, program, family.manner), weight * share / total)
            for (bank, program), share in family.programs.items()
            if weight > 0
        )
    if not chosen:
        raise ValueError(f"General MIDI has no instrument for {stem}, {role}; use one of another module.")
    return chosen
