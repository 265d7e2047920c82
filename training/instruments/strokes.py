"""Recorded strokes of each drum, cymbal and percussion instrument.

They are those of the Debian packages sonic-pi-samples and hydrogen-drumkits (its kit Audiophob), all CC0. The other
kits of the latter are under the GPL or ShareAlike, or under a license that asks for attribution; none is used.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

SONIC_PI: Final = Path("/usr/share/sonic-pi/samples")
AUDIOPHOB: Final = Path("/usr/share/hydrogen/data/drumkits/Audiophob")

Strokes = tuple[str, ...]  # files of one thing struck, from soft to loud: a name in the packages, or a path

ACOUSTIC: Final[Mapping[str, tuple[Strokes, ...]]] = MappingProxyType(
    {
        "kick": (
            ("drum_bass_soft", "drum_bass_hard"),
            ("drum_heavy_kick",),
            ("bd_ada",),
            ("bd_sone",),
            ("bd_mehackit",),
            ("bd_tek",),
            ("bd_gas",),
            ("bd_klub",),
        ),
        "snare": (
            ("drum_snare_soft", "drum_snare_hard"),
            ("sn_dolf",),
            ("sn_generic",),
            ("sn_zome",),
            ("elec_lo_snare",),
            ("elec_mid_snare",),
            ("25671__walter-odington__garage-city-snare-snappy",),
        ),
        "stick": (("16336__sstokes__ss-ht-crunchtime",), ("elec_wood",), ("perc_snap2",), ("elec_tick",)),
        "clap": (("29800__stomachache__3",), ("perc_snap",), ("perc_snap2",)),
        "closed": (("drum_cymbal_closed",), ("116973__cbeeching__hat-light",)),
        "pedal": (("drum_cymbal_pedal",),),
        "open": (("drum_cymbal_open",), ("104227__minorr__hhat-paiste-302-14-open-p",)),
        "ride": (("drum_cymbal_soft",), ("drum_cymbal_soft", "drum_cymbal_hard"), ("15590__lewis__sabmute",)),
        "bell": (("drum_cowbell",), ("elec_triangle",), ("drum_cymbal_soft",)),
        "crash": (
            ("drum_cymbal_soft", "drum_cymbal_hard"),
            ("drum_splash_soft", "drum_splash_hard"),
        ),
        "tom high": (("drum_tom_hi_soft", "drum_tom_hi_hard"),),
        "tom middle": (("drum_tom_mid_soft", "drum_tom_mid_hard"),),
        "tom low": (("drum_tom_lo_soft", "drum_tom_lo_hard"),),
        "shaker": (
            ("156272__dayvonjersen__fxshake5",),
            ("drum_cymbal_closed",),
            ("116973__cbeeching__hat-light",),
        ),
        "tambourine": (("elec_triangle",), ("drum_cymbal_pedal",), ("elec_chime",)),
        "cowbell": (("drum_cowbell",),),
        "block": (
            ("elec_wood",),
            ("elec_tick",),
            ("elec_pop",),
            ("elec_ping",),
            ("elec_blip2",),
            ("tabla_ke1",),
        ),
        "triangle": (("elec_triangle",), ("perc_bell",), ("elec_chime",)),
        "hand high": (
            ("tabla_na",),
            ("tabla_na_o",),
            ("tabla_tun1",),
            ("tabla_tun3",),
            ("tabla_tas1",),
            ("elec_bong",),
        ),
        "hand low": (
            ("tabla_ghe1",),
            ("tabla_ghe4",),
            ("tabla_ghe7",),
            ("tabla_ghe8",),
            ("drum_tom_mid_soft",),
        ),
        "hand slap": (
            ("tabla_te1",),
            ("tabla_te2",),
            ("tabla_te_m",),
            ("tabla_te_ne",),
            ("tabla_na_s",),
            ("tabla_re",),
        ),
    }
)
ELECTRONIC: Final[Mapping[str, tuple[Strokes, ...]]] = MappingProxyType(
    {
        "kick": (
            ("bd_808",),
            ("bd_boom",),
            ("bd_fat",),
            ("bd_gas",),
            ("bd_haus",),
            ("bd_klub",),
            ("bd_pure",),
            ("bd_tek",),
            ("bd_zome",),
            ("bd_zum",),
            ("elec_hollow_kick",),
            ("elec_soft_kick",),
            ("86335__zgump__tom-0105",),
        ),
        "snare": (
            ("sn_dub",),
            ("elec_snare",),
            ("elec_hi_snare",),
            ("elec_mid_snare",),
            ("elec_filt_snare",),
            ("124382__cubix__8bit-snare",),
            ("sn_generic",),
        ),
        "closed": (("drum_cymbal_closed",), ("116973__cbeeching__hat-light",), ("elec_triangle",)),
        "open": (("elec_cymbal",), ("104227__minorr__hhat-paiste-302-14-open-p",)),
        "crash": (("elec_cymbal",), ("124101__connersaw8__crash",), ("drum_splash_hard",)),
        "tom high": (("101450__menegass__tomh",), ("elec_fuzz_tom",)),
        "tom middle": (("99931__menegass__noise-tom1",), ("elec_fuzz_tom",)),
        "tom low": (("99930__menegass__noise-tom0",), ("elec_fuzz_tom",)),
        "block": (
            ("elec_blip",),
            ("elec_plip",),
            ("elec_twip",),
            ("elec_beep",),
            ("elec_flip",),
            ("elec_blup",),
        ),
    }
)


def find(name: str) -> Path:
    """The file of a stroke or loop: hydrogen's names hold the author, sonic-pi's do not; paths are themselves."""
    if "/" in name:
        return Path(name)
    return AUDIOPHOB / f"{name}.wav" if "__" in name else SONIC_PI / f"{name}.flac"


def strokes(name: str, machine: bool) -> tuple[Strokes, ...]:
    """Strokes to choose from for a piece, of the packages that are installed."""
    pool = ELECTRONIC.get(name, ACOUSTIC[name]) if machine else ACOUSTIC[name]
    return tuple(each for each in pool if all(find(file).is_file() for file in each))
