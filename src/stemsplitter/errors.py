"""The failures a user can meet.

Each error's message is one clear sentence that says what is wrong and what to do; the technical cause is
chained to it (``raise ... from cause``) for the log.
"""


class StemSplitterError(Exception):
    """Base of every failure that is shown to a user as it stands."""


class AudioError(StemSplitterError):
    """The source cannot be read, decoded, or is over a limit."""


class OutputError(StemSplitterError):
    """The stems cannot be written."""


class ModelError(StemSplitterError):
    """A model is unknown, its weights are missing, damaged, or cannot be fetched."""


class RequestError(StemSplitterError):
    """What was asked for does not fit: an unknown stem, format, device, or a combination no model gives."""


class DeviceError(StemSplitterError):
    """The GPU or its driver failed while it was used; the process cannot use it again."""


class Stopped(StemSplitterError):
    """The caller asked the separation to stop; nothing was written."""


class SettingsError(StemSplitterError):
    """A setting is missing or makes no sense."""


class SchemaError(StemSplitterError):
    """The database's tables are not those of this version."""
