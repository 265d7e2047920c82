"""Traits of a singer in a song, drawn before the first note."""

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from training.voices.bank import is_female

Delivery = Literal["sung", "hummed", "ooh", "aah", "rapped", "spoken", "whispered", "screamed"]


@dataclass(frozen=True)
class Singer:
    """One singer's traits in one song.

    Attributes:
        speaker: whose speech is sung with.
        delivery: what is done with the notes; rapped, spoken, whispered and screamed ones lose their pitch.
        size: random factor on the formants' frequencies, over what the voice type asks for.
        glide: natural frequency, in radians a second, of the system that smooths the melody.
        damping: the same system's; under 1 the pitch overshoots (Saitou, Unoki and Akagi 2005, "Development of
            an F0 control model based on F0 dynamic characteristics for singing-voice synthesis").
        vibrato_rate: hertz.
        vibrato_depth: semitones either side.
        vibrato_delay: seconds into a note.
        scoop: semitones by which a phrase starts flat, at most.
        fall: chance that a phrase ends in a falling pitch.
        intonation: semitones, standard deviation over notes.
        jitter: semitones, standard deviation of the fast fluctuation.
        roughness: 0…1, subharmonics and irregular pulses.
        breathiness: 0…1, noise within vowels.
        breaths: chance of a breath heard before a phrase.
        effort: dB an octave over 500 Hz on top of the speech's tilt, where it is voiced.
        consonants: dB on what is not voiced.
        presence: dB around 3 kHz, the singer's formant.
        sharpness: factor on the formants' prominence; speech synthesisers blur them.
        colour: dB at five points from 200 Hz to 10 kHz: the person, the microphone.
        melisma: chance that a note joined to the last one goes on with its vowel.
        drive: 0…1, clipping, as of a voice or a preamplifier pushed hard.
        lateness: seconds after the written time.
        asides: chance that a phrase is spoken.
        falsetto: semitones over the part's median pitch from which notes are sung in falsetto.
    """

    speaker: str
    delivery: Delivery
    size: float
    glide: float
    damping: float
    vibrato_rate: float
    vibrato_depth: float
    vibrato_delay: float
    scoop: float
    fall: float
    intonation: float
    jitter: float
    roughness: float
    breathiness: float
    breaths: float
    effort: float
    consonants: float
    presence: float
    sharpness: float
    colour: tuple[float, ...]
    melisma: float
    drive: float
    lateness: float
    asides: float
    falsetto: float

    def formant_scale(self, median_pitch: float) -> float:
        """By what to multiply the speaker's formant frequencies, for a part around this MIDI pitch.

        A bass's vocal tract is longer than a soprano's, a child's shorter still: over a bass's, formants lie up
        to a third higher.
        """
        wanted = np.interp(median_pitch, [43, 52, 60, 67, 74, 82], [0.9, 0.96, 1.03, 1.12, 1.18, 1.25])
        natural = 1.16 if is_female(self.speaker) else 1.0
        return float(np.clip(self.size * wanted / natural, 0.78, 1.34))

    def beside(self, random: np.random.Generator) -> "Singer":
        """The same singer in another take, or somebody close."""
        return replace(
            self,
            size=self.size * random.uniform(0.95, 1.05),
            vibrato_rate=self.vibrato_rate * random.uniform(0.9, 1.1),
            glide=self.glide * random.uniform(0.8, 1.25),
            intonation=max(self.intonation, random.uniform(0.04, 0.12)),
            breathiness=float(np.clip(self.breathiness + random.uniform(-0.05, 0.15), 0, 1)),
            presence=self.presence + random.uniform(-2, 2),
            lateness=random.uniform(-0.02, 0.04),
            asides=0.0,
        )


_DELIVERIES: Final[dict[str, dict[Delivery, float]]] = {
    "lead": {"sung": 0.88, "rapped": 0.05, "spoken": 0.01, "whispered": 0.02, "screamed": 0.02, "ooh": 0.02},
    "metal": {"sung": 0.6, "screamed": 0.36, "rapped": 0.03, "whispered": 0.01},
    "urban": {"sung": 0.72, "rapped": 0.22, "spoken": 0.03, "whispered": 0.03},
    "harmony": {"sung": 0.55, "ooh": 0.2, "aah": 0.2, "hummed": 0.05},
}


def draw_singer(
    random: np.random.Generator, speakers: list[str], role: str = "lead", style: str = "pop"
) -> Singer:
    """A singer for a part. Every second speaker drawn is a woman where there is one, whatever the bank holds."""
    women = [name for name in speakers if is_female(name)]
    men = [name for name in speakers if not is_female(name)]
    pool = (women if random.random() < 0.45 else men) or speakers
    genre = {"metal": "metal", "funk": "urban", "electronic": "urban", "reggae": "urban"}.get(style, "lead")
    odds = _DELIVERIES["harmony" if role == "harmony" else genre]
    tuned = random.random() < (0.3 if style in ("pop", "electronic") else 0.06)
    rough = random.random() < {"metal": 0.6, "rock": 0.4}.get(style, 0.15)
    trained = random.random() < 0.3
    singer = Singer(
        speaker=str(random.choice(pool)),
        delivery=list(odds)[random.choice(len(odds), p=list(odds.values()))],
        size=float(np.exp(random.normal(0, 0.06))),
        glide=random.uniform(28, 75) if random.random() < 0.85 else random.uniform(18, 28),
        damping=random.uniform(0.6, 1.0),
        vibrato_rate=random.uniform(4.5, 6.5),
        vibrato_depth=random.choice(
            [0.0, random.uniform(0.1, 0.4), random.uniform(0.3, 0.9)], p=[0.15, 0.5, 0.35]
        ),
        vibrato_delay=random.uniform(0.1, 0.6),
        scoop=random.choice([random.uniform(0, 0.6), random.uniform(0.5, 3.0)]),
        fall=random.choice([0.0, random.uniform(0, 0.4)]),
        intonation=random.uniform(0.02, 0.16),
        jitter=random.uniform(0.02, 0.09),
        roughness=random.uniform(0.25, 0.8) if rough else random.choice([0.0, random.uniform(0, 0.15)]),
        breathiness=random.beta(1.3, 3.5),
        breaths=random.choice([0.0, random.uniform(0.2, 0.9)]),
        effort=random.uniform(-1.0, 5.0),
        consonants=random.uniform(-8, 2),
        presence=random.uniform(4, 12) if trained else random.uniform(0, 5),
        sharpness=random.uniform(1.0, 1.6),
        colour=tuple(random.normal(0, 2.5, 5)),
        melisma=random.choice([random.uniform(0, 0.15), random.uniform(0.1, 0.5)]),
        drive=random.uniform(0.2, 1.0)
        if rough
        else random.choice([0.0, random.uniform(0, 0.3)], p=[0.7, 0.3]),
        lateness=random.normal(0, 0.012),
        asides=random.choice([0.0, random.uniform(0, 0.12)], p=[0.7, 0.3]),
        falsetto=random.uniform(-3, 9) if random.random() < 0.25 else 99.0,
    )
    if tuned:  # by a machine: steps, and no vibrato but what is left of it
        singer = replace(
            singer,
            glide=random.uniform(90, 200),
            damping=1.0,
            intonation=0.0,
            jitter=0.004,
            scoop=0.0,
            vibrato_depth=singer.vibrato_depth * 0.2,
        )
    return _adapt(singer, random)


def _adapt(singer: Singer, random: np.random.Generator) -> Singer:
    """Adapt the voice to the delivery."""
    if singer.delivery == "screamed":
        return replace(
            singer,
            roughness=random.uniform(0.8, 1.0),
            drive=random.uniform(0.6, 1.0),
            effort=random.uniform(4, 8),
            breathiness=random.uniform(0.5, 1.0),
            vibrato_depth=0.0,
            size=singer.size * random.uniform(0.88, 1.1),
        )
    if singer.delivery == "whispered":
        return replace(singer, effort=random.uniform(2, 6))
    if singer.delivery in ("hummed", "ooh", "aah"):
        dulled = {"hummed": 4.5, "ooh": 2.0, "aah": 0.5}[singer.delivery]
        return replace(singer, roughness=0.0, drive=0.0, presence=0.0, effort=singer.effort - dulled)
    return singer
