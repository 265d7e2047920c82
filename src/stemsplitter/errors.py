"""Errors that are shown to users.

Each message is one sentence that says what is wrong and what to do. The technical cause is chained to the error
(``raise … from cause``) for the log.
"""


class StemSplitterError(Exception):
    """Base of all errors whose message is shown to users."""


class AudioError(StemSplitterError):
    """The source cannot be read or decoded, or is over a limit."""


class OutputError(StemSplitterError):
    """The stems cannot be written."""


class ModelError(StemSplitterError):
    """A model is unknown, or its weights are missing, damaged or cannot be downloaded."""


class RequestError(StemSplitterError):
    """The request is invalid: an unknown stem, format or device, or a combination that no model supports."""


class DeviceError(StemSplitterError):
    """The GPU or its driver failed; the process cannot use it again."""


class Stopped(StemSplitterError):
    """The caller stopped the separation; nothing was written."""


class SettingsError(StemSplitterError):
    """A setting is missing or invalid."""


class SchemaError(StemSplitterError):
    """The schema of the database is not that of this version."""
