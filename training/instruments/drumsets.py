"""Drum kits, drum machines and percussion in the folder of recordings: which file is which piece."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from training.instruments.catalogue import Split
from training.instruments.strokes import Strokes

Sort = Literal["acoustic", "electronic", "percussion", "snares"]


@dataclass(frozen=True)
class DrumSet:
    """Pieces recorded together: for each, what there is to choose from, each from soft to loud."""

    name: str
    sort: Sort
    pieces: Mapping[str, tuple[Strokes, ...]]


@dataclass(frozen=True)
class Source:
    """A folder of sets.

    Attributes:
        folder: below the folder of all recordings.
        sort: of the sets in it.
        names: regular expression of a file's name with the groups `set`, `piece` and, where there are several
            degrees of loudness, `hit`. Without the group `set` the folder is one set.
        held_out: regular expression of the sets that are kept from training.
    """

    folder: str
    sort: Sort
    names: str
    held_out: str = "(?!)"


_HIT: Final = r"(?P<piece>.+?)(?P<hit>(_v\d+|_vl\d+)?(_rr\d+|_\d+)*)$"
SOURCES: Final = (
    Source("muldjordkit", "acoustic", r"(?P<piece>[^_]+)_[^_]+?\d?(?P<hit>_v\d+)$"),
    Source("gogodze-phu-ii", "acoustic", _HIT),
    Source("pearl-master-studio", "acoustic", r"(?P<piece>tom-\d+|.+?)(-\d+)?$", held_out=""),
    Source("frankensnare", "snares", _HIT),
    Source("world-percussion", "percussion", r"(?P<piece>[A-Za-z]+(_v|_[a-z]+)?).*$"),
    Source("body-percussion", "percussion", _HIT),
    Source("drum-machines", "electronic", r"(?P<set>[^_]+)_(?P<piece>.+)$"),
    Source("uzu-drumkit", "electronic", r"(?P<piece>[a-z]+)_\d+.*$"),
    Source("garden", "electronic", r"garden_(?P<piece>[a-z]+)_.*$"),
    Source(
        "web-audio-drums",
        "electronic",
        r"(?P<set>[^_]+)_(?P<piece>.+)$",
        held_out="R8|Stark|Techno|TheCheeba|breakbeat|Kit|KPR77",
    ),
)
# The first that is found in a file's name, in small letters, tells the piece; what none is found in is not used.
PIECES: Final[Mapping[str, str]] = MappingProxyType(
    {
        r"^st$|snarerest|guiro|brush|^misc|^brk|^tb$|castanet|belly|cheek|chest|shoulder|head|heel|^hf$|^hl$": "",
        r"kick|kdrum|^bd|^ks$": "kick",
        r"clap|^cp": "clap",
        r"snap|^sn$": "clap",
        r"rim|stick|^ss$": "stick",
        r"snare|univox-sd|shortsn|^sd|^sc$|^se$|_sn$": "snare",
        r"open|ohihat|univox-oh|^oh|^ho$": "open",
        r"pedal": "pedal",
        r"hi-?hat|hithat|hhclosed|closedhat|chihat|univox-ch|^hh|shorthi|^hc$": "closed",
        r"cowb|^cb": "cowbell",
        r"bell$": "bell",
        r"ride|^rd": "ride",
        r"crash|cymb|splash|china|^cr": "crash",
        r"tamb": "tambourine",
        r"cabasa|maraca|shaker|^sh$": "shaker",
        r"clave|block": "block",
        r"(conga|bongo)-h|highconga|timbal|bongos|darbuka_tak|darbuka_pa": "hand high",
        r"conga|bongo|darbuka|cajon|stomp": "hand low",
        r"tom-?(h|0?1)|hi-?tom|^th$": "tom high",
        r"tom-?(m|0?2)|mid-?tom|^tm$|^mt": "tom middle",
        r"tom|^tl$|^lt": "tom low",
    }
)
# where a set's own words mean something else
_OWN: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {"uzu-drumkit": {"ht": "tom high"}, "gogodze-phu-ii": {"hh": "closed", "ht": "closed"}}
)


def piece_of(folder: str, word: str) -> str:
    """The piece that a word in a file's name stands for, as in `training.instruments.kits.KEYS`; or nothing."""
    own = _OWN.get(folder, {}).get(word.lower())
    return own or next((piece for key, piece in PIECES.items() if re.search(key, word.lower())), "")


@cache
def drum_sets(samples: Path, split: Split) -> tuple[DrumSet, ...]:
    """The sets of a split; empty where the folders are missing."""
    return tuple(each for source in SOURCES for each in _sets(samples, source, split))


def _sets(samples: Path, source: Source, split: Split) -> list[DrumSet]:
    found: dict[str, dict[str, dict[str, list[tuple[int, str]]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for path in sorted((samples / source.folder).glob("*")):
        match = re.match(source.names, path.stem)
        if match is None:
            continue
        words = match.groupdict()
        piece = piece_of(source.folder, words["piece"])
        if piece:
            hit = re.search(r"v?(\d+)", words.get("hit") or "")
            # without degrees of loudness each file is a drum of its own
            drum = words["piece"] if words.get("hit") else path.stem
            found[words.get("set") or source.folder][piece][drum].append(
                (int(hit[1]) if hit else 0, str(path))
            )
    held_out = re.compile(source.held_out)
    return [
        DrumSet(
            name,
            source.sort,
            {
                piece: tuple(tuple(path for _, path in sorted(drum)) for drum in drums.values())
                for piece, drums in pieces.items()
            },
        )
        for name, pieces in found.items()
        if bool(held_out.match(name)) == (split == "held-out")
    ]
