"""Tools with jobs of their own: pages with a form and a result. A new entry in :data:`TOOLS` adds a tool."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from stemsplitter.languages import gettext as _
from stemsplitter.languages import marked
from stemsplitter.languages.formats import short
from stemsplitter.service_errors import ValidationFailed
from stemsplitter.tools.transformations import DECAY_S, SPEED_PRESETS

Kind = Literal["analyses", "effects", "speech"]
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Number:
    """A field of the form: a number from ``low`` to ``high``."""

    name: str
    label: str
    default: float
    low: float
    high: float
    step: float
    hint: str = ""

    def read(self, text: str | None) -> float:
        """Return the value of the field. Raises ValidationFailed."""
        try:
            value = self.default if text is None else float(text)
        except ValueError:
            value = self.high + 1
        if not self.low <= value <= self.high:  # also not a number
            raise ValidationFailed(
                _("%(field)s must be a number from %(low)s to %(high)s.")
                % {"field": _(self.label), "low": short(self.low), "high": short(self.high)},
                param=self.name,
            )
        return value


@dataclass(frozen=True)
class Check:
    """A field of the form: a box to check."""

    name: str
    label: str

    def read(self, text: str | None) -> bool:
        """Return true if the box is checked."""
        return text is not None


@dataclass(frozen=True)
class Choice:
    """A field of the form: one of ``options``, value → label. The first is the default."""

    name: str
    label: str
    options: Mapping[str, str]

    def read(self, text: str | None) -> str:
        """Return the chosen value. Raises ValidationFailed."""
        value = next(iter(self.options)) if text is None else text
        if value not in self.options:
            raise ValidationFailed(
                _("%(field)s: choose from the list.") % {"field": _(self.label)}, param=self.name
            )
        return value


Field = Number | Check | Choice


@dataclass(frozen=True)
class Tool:
    """A tool page.

    ``icon`` is a name of ``scripts/icons.py``, ``summary`` its line in lists, ``lead`` its first sentence,
    ``paragraphs`` the rest of its text. ``kind`` names the service of its jobs; ``request`` makes their request from
    the values of ``fields``, without source and format. ``button`` creates the job. ``preview`` names the effect that
    ``tool_preview.js`` plays in the browser.
    """

    slug: str
    name: str
    icon: str
    summary: str
    lead: str
    paragraphs: tuple[str, ...]
    button: str
    kind: Kind
    fields: Sequence[Field] = ()
    request: Callable[[Values], dict[str, Any]] = dict
    preview: str = ""

    @property
    def path(self) -> str:
        """Path of the page."""
        return f"/tools/{self.slug}"


def _effect(name: str) -> Callable[[Values], dict[str, Any]]:
    return lambda values: {"effect": name, "parameters": dict(values)}


def _speed(values: Values) -> dict[str, Any]:
    preset = values["preset"]
    rate = SPEED_PRESETS[preset] if preset in SPEED_PRESETS else values["rate"]
    return {"effect": "speed", "parameters": {"rate": rate, "keepPitch": values["keepPitch"]}}


_PRESETS = {
    "nightcore": marked("Nightcore"),
    "nightcore-light": marked("Light nightcore"),
    "sped-up": marked("Sped up"),
    "daycore": marked("Daycore"),
}

TOOLS = (
    Tool(
        slug="key-finder",
        name=marked("Key finder"),
        icon="hash",
        summary=marked("Key, tempo and tuning of a song"),
        lead=marked("Find the key, the Camelot code, the tempo and the tuning of a song."),
        paragraphs=(
            marked(
                "The tempo may be half or double of what you count: both are shown. Where no key stands out, as in "
                "drums, the result says so."
            ),
        ),
        button=marked("Find key and tempo"),
        kind="analyses",
    ),
    Tool(
        slug="pitch-changer",
        name=marked("Pitch changer"),
        icon="arrow-up-down",
        summary=marked("Higher or lower, at the same tempo"),
        lead=marked("Transpose a song by up to an octave, and keep its tempo."),
        paragraphs=(marked("A hundredth of a semitone is a cent: -0.32 turns A4 = 440 Hz into 432 Hz."),),
        button=marked("Change pitch"),
        kind="effects",
        fields=(
            Number(
                "semitones",
                marked("Semitones"),
                -2,
                -12,
                12,
                0.01,
                marked("-12 to 12; a fraction is possible."),
            ),
            Check("formants", marked("Keep the timbre of voices")),
        ),
        request=_effect("pitch"),
        preview="pitch",
    ),
    Tool(
        slug="nightcore",
        name=marked("Nightcore and speed"),
        icon="fast-forward",
        summary=marked("Nightcore, daycore, sped up"),
        lead=marked("Play a song faster or slower: nightcore, daycore, sped up, or any speed."),
        paragraphs=(marked("The pitch follows the speed, as on a record, unless you keep it."),),
        button=marked("Change speed"),
        kind="effects",
        fields=(
            Choice(
                "preset",
                marked("Speed"),
                _PRESETS | {"other": marked("Other")},
            ),
            Number(
                "rate",
                marked("Other speed"),
                1.25,
                0.25,
                4,
                0.01,
                marked("0.25 to 4; 2 is twice as fast. Choose “Other” above."),
            ),
            Check("keepPitch", marked("Keep the pitch")),
        ),
        request=_speed,
        preview="speed",
    ),
    Tool(
        slug="slowed-reverb",
        name=marked("Slowed and reverb"),
        icon="waves",
        summary=marked("Slow and deep, in a large room"),
        lead=marked("Slow a song down with its pitch, and add reverb."),
        paragraphs=(
            marked("The result is longer than the song by its reverb, which is limited, not clipped."),
        ),
        button=marked("Slow down"),
        kind="effects",
        fields=(
            Number(
                "rate",
                marked("Speed"),
                0.85,
                0.25,
                1,
                0.01,
                marked("0.25 to 1; 0.8, 0.85 and 0.9 are usual."),
            ),
            Number("decay", marked("Reverb in seconds"), DECAY_S, 0.1, 20, 0.1),
            Number("wet", marked("Share of the reverb in percent"), 25, 0, 100, 1),
        ),
        request=_effect("slowed_reverb"),
        preview="slowed_reverb",
    ),
    Tool(
        slug="voice-isolator",
        name=marked("Voice isolator"),
        icon="speech",
        summary=marked("Speech without noise"),
        lead=marked("Separate the speech of a recording from its noise."),
        paragraphs=(
            marked("You get two files, the voice and the noise. Together they add up to the recording."),
            marked("It is made for speech. For singing, use the vocal remover."),
        ),
        button=marked("Isolate voice"),
        kind="effects",
        request=_effect("voice_isolator"),
    ),
    Tool(
        slug="voice-over",
        name=marked("Voice-over"),
        icon="message-square-text",
        summary=marked("A text, spoken"),
        lead=marked("Let a synthetic voice speak your text."),
        paragraphs=(marked("Say that the voice is synthetic where listeners may not expect it."),),
        button=marked("Speak"),
        kind="speech",
        fields=(
            Number("speed", marked("Speed"), 1, 0.5, 2, 0.05, marked("0.5 to 2.")),
            Number("pitch", marked("Pitch in semitones"), 0, -12, 12, 0.5, marked("-12 to 12.")),
        ),
    ),
)
_BY_SLUG = {tool.slug: tool for tool in TOOLS}


def find_tool(slug: str) -> Tool | None:
    """Return the tool with that slug, or None."""
    return _BY_SLUG.get(slug)
