"""Names of the service that pages show: stems, statuses, roles and keys, as filters of the templates."""

from stemsplitter.languages import gettext as _
from stemsplitter.languages import marked

# of splits, jobs, deliveries, files, accounts and processes
_WORDS = {
    "queued": marked("Queued"),
    "processing": marked("Processing"),
    "succeeded": marked("Succeeded"),
    "failed": marked("Failed"),
    "canceled": marked("Canceled"),
    "pending": marked("Pending"),
    "delivered": marked("Delivered"),
    "gone": marked("Gone"),
    "user": marked("User"),
    "operator": marked("Operator"),
    "worker": marked("Worker"),
    "supervisor": marked("Supervisor"),
    "api": "API",
    # qualities of splits
    "fast": marked("fast"),
    "balanced": marked("balanced"),
    "best": marked("best"),
}
_STEMS = {
    "vocals": marked("vocals"),
    "drums": marked("drums"),
    "bass": marked("bass"),
    "guitar": marked("guitar"),
    "piano": marked("piano"),
    "other": marked("other"),
    "instrumental": marked("instrumental"),
    "no_vocals": marked("no vocals"),
    "no_drums": marked("no drums"),
    "no_bass": marked("no bass"),
    "no_guitar": marked("no guitar"),
    "no_piano": marked("no piano"),
    "no_other": marked("no other"),
    "voice": marked("voice"),
    "noise": marked("noise"),
    "audio": marked("audio"),
}
_KEYS = {
    "C major": marked("C major"),
    "Db major": marked("Db major"),
    "D major": marked("D major"),
    "Eb major": marked("Eb major"),
    "E major": marked("E major"),
    "F major": marked("F major"),
    "F# major": marked("F# major"),
    "G major": marked("G major"),
    "Ab major": marked("Ab major"),
    "A major": marked("A major"),
    "Bb major": marked("Bb major"),
    "B major": marked("B major"),
    "C minor": marked("C minor"),
    "C# minor": marked("C# minor"),
    "D minor": marked("D minor"),
    "Eb minor": marked("Eb minor"),
    "E minor": marked("E minor"),
    "F minor": marked("F minor"),
    "F# minor": marked("F# minor"),
    "G minor": marked("G minor"),
    "G# minor": marked("G# minor"),
    "A minor": marked("A minor"),
    "Bb minor": marked("Bb minor"),
    "B minor": marked("B minor"),
}


def word(name: str) -> str:
    """Translate a status or a role, for a badge."""
    return _(_WORDS[name]) if name in _WORDS else name.capitalize()


def stem(name: str) -> str:
    """Translate the name of a stem, for the middle of a sentence."""
    return _(_STEMS[name]) if name in _STEMS else name.replace("_", " ")


def stem_title(name: str) -> str:
    """Translate the name of a stem, for a heading."""
    text = stem(name)
    return text[:1].upper() + text[1:]


def key(name: str) -> str:
    """Translate a key, such as ``A minor``."""
    return _(_KEYS.get(name, name))
