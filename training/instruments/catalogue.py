"""The libraries of recorded notes: where each lies, how it is played, and which are kept from training.

An instrument is either for training or held out: songs that the network is judged on are played by libraries,
soundfont programs, drum kits and speakers that no song of training has.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

Split = Literal["training", "held-out"]
SPLITS: Final[tuple[Split, ...]] = ("training", "held-out")
GUITAR_STRINGS: Final = (40, 45, 50, 55, 59, 64)
BASS_STRINGS: Final = (28, 33, 38, 43)


@dataclass(frozen=True)
class Library:
    """Recorded notes of one instrument.

    Attributes:
        folder: below the folder of all recordings.
        stem: the stem that it belongs to.
        octaves: added to the octave in the names, with C4 = 60. Measured: the octave at which the autocorrelation
            of each note is highest.
        only: regular expression that the start of a file's name, in small letters, must match.
        strings: open strings as MIDI numbers, if it is fretted.
        microphones: last parts of the names of which one is kept for a player, where there are several.
        weight: how often it is chosen, relative to others that fit.
        roles: parts that it plays; empty: all of its stem's.
        styles: factor on `weight` in a style.
        single: it plays one note at a time.
        pedal: it has a sustain pedal.
        amplifier: whether it may be played through an amplifier; a wooden guitar, or one that was, is not.
        held_out: kept from training.
    """

    folder: str
    stem: str
    octaves: int = 0
    only: str = ""
    strings: tuple[int, ...] = ()
    microphones: tuple[str, ...] = ()
    weight: float = 1.0
    roles: tuple[str, ...] = ()
    styles: Mapping[str, float] = field(default_factory=dict)
    single: bool = False
    pedal: bool = False
    amplifier: bool = True
    held_out: bool = False


def _guitar(folder: str, octaves: int = 0, weight: float = 1.0, **rest: object) -> Library:
    return Library(folder, "guitar", octaves, strings=GUITAR_STRINGS, weight=weight, **rest)  # type: ignore[arg-type]


def _bass(folder: str, octaves: int = 0, weight: float = 1.0, **rest: object) -> Library:
    return Library(folder, "bass", octaves, weight=weight, single=True, **({"strings": BASS_STRINGS} | rest))  # type: ignore[arg-type]


def _keys(folder: str, octaves: int = 0, weight: float = 1.0, **rest: object) -> Library:
    return Library(folder, "piano", octaves, weight=weight, **({"pedal": True} | rest))  # type: ignore[arg-type]


def _wind(folder: str, octaves: int = 0, weight: float = 1.0, **rest: object) -> Library:
    return Library(folder, "other", octaves, weight=weight, **({"single": True, "roles": LINES} | rest))  # type: ignore[arg-type]


def _synth(folder: str, octaves: int = 0, weight: float = 1.0, **rest: object) -> Library:
    styles = {"electronic": 2.5, "pop": 1.5, "country": 0.1, "jazz": 0.2}
    return Library(folder, "other", octaves, weight=weight, **({"styles": styles} | rest))  # type: ignore[arg-type]


LINES: Final = ("melody", "riff", "stabs")
# steel or nylon strings on a wooden body suit some music only, and only chords and picking
_WOODEN: Final = {
    "amplifier": False,
    "roles": ("strum", "arpeggio"),
    "styles": {
        "country": 2.5, "ballad": 2.5, "pop": 1.5, "rock": 0.6, "jazz": 0.5, "reggae": 0.3, "metal": 0.1, "funk": 0.1,
        "electronic": 0.3,
    },
}  # fmt: skip
_DOUBLE_BASS: Final = {
    "styles": {"jazz": 6.0, "country": 2.0, "ballad": 1.0, "electronic": 0.1, "metal": 0.02, "rock": 0.2},
}
_SYNTH_BASS: Final = {
    "strings": (),
    "styles": {
        "electronic": 6.0,
        "pop": 1.5,
        "funk": 0.6,
        "reggae": 0.2,
        "ballad": 0.2,
        "rock": 0.1,
        "metal": 0.1,
        "jazz": 0.1,
        "country": 0.05,
    },
}
_DRIVEN: Final = {
    "amplifier": False,
    "roles": ("riff", "strum", "lead"),
    "styles": {
        "metal": 3.0,
        "rock": 2.5,
        "pop": 0.7,
        "country": 0.3,
        "jazz": 0.05,
        "reggae": 0.1,
        "funk": 0.3,
    },
}

LIBRARIES: Final[Mapping[str, Library]] = MappingProxyType(
    {
        # electric guitars, straight from the pickup or through a clean amplifier
        "emily": _guitar("emilyguitar"),
        "electric": _guitar("shinyguitar/Samples/electric"),
        "black": _guitar("black-and-green-guitars/Samples/black", -1),
        "green": _guitar("black-and-green-guitars/Samples/green", -1, held_out=True),
        "fsbs clean": _guitar("fsbs-guitar-clean", amplifier=False),
        "fsbs distorted": _guitar("fsbs-guitar-distorted", weight=1.2, **_DRIVEN),
        # wooden ones
        "acoustic": _guitar("shinyguitar/Samples/acoustic", **_WOODEN),
        "nylon": _guitar("spanish-classical-guitar", **_WOODEN),
        "martin": _guitar("martin-hd28", held_out=True, **_WOODEN),
        "ganjo": _guitar("ganjo", -1, 0.15, amplifier=False, roles=("arpeggio", "lead"), styles={"country": 5.0}),
        # basses
        "growlybass": _bass("growlybass", -1),
        "fashionbass": _bass("fashionbass"),
        "swagbass": _bass("swagbass", -1, held_out=True),
        "sneakybass finger": _bass("sneakybass", -1, 0.4, only=r".*_(finger|mute)"),
        "sneakybass pluck": _bass("sneakybass", -1, 0.3, only=r".*_(pluck|mute)"),
        "pastabass round": _bass("pastabass", -1, 0.5, only="spaghetti"),
        "pastabass flat": _bass("pastabass", -1, 0.5, only="linguine"),
        "pastabass muted": _bass("pastabass", -1, 0.4, only="tagliatelle"),
        "pastabass finger": _bass("pastabass", -1, 0.4, only="fetuccine"),
        "meatbass": _bass("meatbass", only="pizz", **_DOUBLE_BASS),
        "dsmolken": _bass("dsmolken-double-bass", only="pizz", held_out=True, **_DOUBLE_BASS),
        "yamaha finger": _bass("electric-bass-yr", weight=0.7, only="finger"),
        "yamaha pick": _bass("electric-bass-yr", weight=0.7, only="pick"),
        "killer bass": _bass("killer-bass", -1),
        "lately bass": _bass("freepats-synth-basses", -1, only="lately", **_SYNTH_BASS),
        "synth bass 1": _bass("freepats-synth-basses", only="synth-bass-1", **_SYNTH_BASS),
        "synth bass 2": _bass("freepats-synth-basses", -1, only="synth-bass-2", held_out=True, **_SYNTH_BASS),
        "caveman bass": _bass("caveman-cosmonaut", -1, 0.6, only="bass", **_SYNTH_BASS),
        # pianos and electric pianos
        "piano": _keys("splendid-grand-piano/Samples", 1),
        "headroom": _keys("headroom-piano"),
        "salamander": _keys("salamander-grand"),
        "upright": _keys("upright-piano-kw", held_out=True),
        "player piano": _keys("old-piano-fb", weight=0.5),
        "cp80": _keys("greg-sullivan-e-pianos", weight=0.7, only="cp80"),
        "pianet": _keys("greg-sullivan-e-pianos", weight=0.6, only="pianet", pedal=False),
        "wurlitzer": _keys("greg-sullivan-e-pianos", weight=0.7, only="wurlitzer", held_out=True),
        "fm piano 1": _keys("freepats-fm-pianos", weight=0.5, only="fm-piano1"),
        "fm piano 2": _keys("freepats-fm-pianos", weight=0.5, only="fm-piano2"),
        # winds and strings
        "saxophone": _wind("weresax/Samples/alto", 1, 2.0, microphones=("cnd", "dnm")),
        "bear sax": _wind("bear-sax", 1),
        "mtg soprano": _wind("mtg-solo-sax", only="sop", weight=0.6),
        "mtg alto": _wind("mtg-solo-sax", only="alt", held_out=True),
        "mtg tenor": _wind("mtg-solo-sax", only="ten"),
        "mtg baritone": _wind("mtg-solo-sax", only="bar", weight=0.6),
        "tuba": _wind("war-tuba", 1, 0.4),
        "flute": _wind("ixox-flute", held_out=True),
        "shanai": _wind("raikar-sitar-shanai", 2, 0.2, only="shanai"),
        "sitar": _wind("raikar-sitar-shanai", 0, 0.4, only="sitar", single=False, roles=("melody", "riff", "arpeggio")),
        "cello": _wind("bigcat-cello", 1, roles=("melody", "riff", "pad"), single=False, only="(sus|stacc)"),
        "cello pizzicato": _wind("bigcat-cello", 1, 0.3, only="pizz", roles=("arpeggio", "stabs"), single=False),
        "bowed bass": _wind("meatbass", only="arco", weight=0.3, roles=("pad", "melody")),
        "string section": Library("versilian-strings", "other", 1, only="tremolo", roles=("pad", "stabs")),
        "string pizzicato": Library("versilian-strings", "other", 1, only="pizz", roles=("arpeggio", "stabs", "riff")),
        # synthesizers
        "caveman": _synth("caveman-cosmonaut", only="(all|clarinet|flutes|tremolo|tromb|tromp|violin)"),
        "string cyborgs": _synth("string-cyborgs", -1, 0.6, only="full"),
        "cowsynth": _synth("cowsynth", 1, 0.3, only=r"tuned_|natural_[a-g][3-9]\.?(?!.*trill)"),
        "synth brass": _synth("freepats-synths", only="synth-brass", roles=("stabs", "pad", "melody")),
        "synth strings": _synth("freepats-synths", only="synth-strings", roles=("pad",), held_out=True),
        # sung vowels
        "women aa": Library("olpc-berklee-voices", "vocals", only="femalevoices_aa"),
        "women oo": Library("olpc-berklee-voices", "vocals", only="femalevoices_oo"),
        "men aa": Library("olpc-berklee-voices", "vocals", only="malevoices_aa"),
        "men oo": Library("olpc-berklee-voices", "vocals", only="malevoices_oo", held_out=True),
        "woman aa": Library("olpc-berklee-voices", "vocals", only="femalevoice_aa"),
        "woman oo": Library("olpc-berklee-voices", "vocals", only="femalevoice_oo", held_out=True),
        "man aa": Library("olpc-berklee-voices", "vocals", only="malevoice_aa"),
        "man oo": Library("olpc-berklee-voices", "vocals", only="malevoice_oo"),
    }
)  # fmt: skip
