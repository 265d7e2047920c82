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
_STEMS = frozenset(
    {
        marked("vocals"),
        marked("drums"),
        marked("bass"),
        marked("guitar"),
        marked("piano"),
        marked("other"),
        marked("instrumental"),
        marked("no vocals"),
        marked("no drums"),
        marked("no bass"),
        marked("no guitar"),
        marked("no piano"),
        marked("no other"),
        marked("voice"),
        marked("noise"),
        marked("audio"),
    }
)
_KEYS = frozenset(
    {
        marked("C major"),
        marked("Db major"),
        marked("D major"),
        marked("Eb major"),
        marked("E major"),
        marked("F major"),
        marked("F# major"),
        marked("G major"),
        marked("Ab major"),
        marked("A major"),
        marked("Bb major"),
        marked("B major"),
        marked("C minor"),
        marked("C# minor"),
        marked("D minor"),
        marked("Eb minor"),
        marked("E minor"),
        marked("F minor"),
        marked("F# minor"),
        marked("G minor"),
        marked("G# minor"),
        marked("A minor"),
        marked("Bb minor"),
        marked("B minor"),
    }
)


def word(name: str) -> str:
    """Translate a status or a role, for a badge."""
    return _(_WORDS[name]) if name in _WORDS else name.capitalize()


def stem(name: str) -> str:
    """Translate the name of a stem, for the middle of a sentence."""
    text = name.replace("_", " ")
    return _(text) if text in _STEMS else text


def stem_title(name: str) -> str:
    """Translate the name of a stem, for a heading."""
    text = stem(name)
    return text[:1].upper() + text[1:]


def key(name: str) -> str:
    """Translate a key, such as ``A minor``."""
    return _(name) if name in _KEYS else name
