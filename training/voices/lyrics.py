"""Words to sing: they need rhyme and reason no more than they need to cover English's sounds."""

import numpy as np

_WORDS = """
love heart baby night day light fire rain road home river mountain ocean summer winter morning evening
shadow moon sun star sky heaven angel devil soul body hand eye face voice word song music dance dream
sleep wake run walk fly fall rise burn break hold touch feel know think hear see say tell ask give take
leave stay come go turn fight win lose cry laugh smile kiss pray hope fear hate need want wait try live
die shine blow ride drive roll rock shake move stop start again forever never always maybe tonight today
tomorrow yesterday alone together away around over under through inside outside beyond beneath before
after without within every only lonely lovely crazy wild free young old new true blue red black white
golden silver broken open empty frozen hungry thirsty tired ready steady happy sorry sweet bitter cold hot
warm dark bright deep high low slow fast hard soft strong weak right wrong good bad long short far near
street city town country highway engine train whiskey money power glory story memory mirror window door
floor wall garden flower thunder lightning storm wind stone steel diamond treasure poison medicine mother
father brother sister daughter friend lover stranger soldier king queen child boy girl woman people world
time life death truth lie game name blame shame pain chain flame change chance choice ground sound round
found lost kind mind blind sign line fine wine mine shoe view few beautiful wonderful dangerous mystery
jealous paradise hurricane butterfly yellow purple jungle measure vision pleasure nothing something
everything anybody nobody somebody someone believe remember surrender whisper wonder follow swallow hollow
sorrow temple candle trouble double bubble whistle struggle thing ring sing bring bridge church judge jump
joke strange stretch spring splash scream crowd cloud proud choir
"""
_SMALL_WORDS = """
I you me we he she they it my your her his our the a and but or so when if till in on to for from with of
by at up down out like just all no yes not now then here there can will would could should must is are was
were been have had do did don't can't won't I'm you're it's that's let's what who why how where
"""
_SYLLABLES = """
oh ooh ah yeah hey la na doo da ba whoa wow mama papa daddy woo ha
"""
WORDS = _WORDS.split()
SMALL_WORDS = _SMALL_WORDS.split()
SYLLABLES = _SYLLABLES.split()


def write_lines(random: np.random.Generator, count: int) -> list[str]:
    """Lines of five to nine words each; about every eighth is scat, like *la la na hey la*."""
    return [_scat(random) if number % 8 == 7 else _verse(random) for number in range(count)]


def _verse(random: np.random.Generator) -> str:
    length = int(random.integers(5, 10))
    small = random.random(length) < 0.45
    words = [random.choice(SMALL_WORDS if is_small else WORDS) for is_small in small]
    if random.random() < 0.25:
        words[int(random.choice([0, -1]))] = random.choice(SYLLABLES)
    return " ".join(words)


def _scat(random: np.random.Generator) -> str:
    few = random.choice(SYLLABLES, size=int(random.integers(1, 4)), replace=False)
    return " ".join(random.choice(few, size=int(random.integers(5, 10))))
