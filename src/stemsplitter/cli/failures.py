"""The songs of a run that failed: their share, which the exit code depends on, and their list at the end."""

from dataclasses import dataclass

from stemsplitter.cli.output import print_message

LISTED = 50
FEW = 10
"""Songs of a run whose failures are still in sight at its end."""


@dataclass
class Tally:
    """Numbers of songs that were separated, failed and were skipped."""

    separated: int = 0
    failed: int = 0
    skipped: int = 0

    def count(self, result: str) -> None:
        """Count a song with this result: ``separated``, ``failed`` or ``skipped``."""
        setattr(self, result, getattr(self, result) + 1)

    @property
    def songs(self) -> int:
        """Number of songs that were not skipped."""
        return self.separated + self.failed

    def has_failed(self, allowed_percent: float) -> bool:
        """Return True if more than this share of the songs that were not skipped failed."""
        return self.failed > self.songs * allowed_percent / 100


class Failures:
    """Errors of songs, of which the first are kept."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._count = 0

    def add(self, song: str, error: str) -> None:
        """Add the error of a song; both are one line."""
        self._count += 1
        if len(self._lines) < LISTED:
            self._lines.append(error if song in error else f"{song}: {error}")

    def print(self, songs: int, has_manifest: bool) -> None:
        """List the failures of a run of so many songs on standard error, if they are no longer in sight."""
        if not self._count or songs <= FEW:
            return
        print_message("Failed:")
        for line in self._lines:
            print_message(f"  {line}")
        if more := self._count - len(self._lines):
            print_message(f"  and {more} more{', which are in the manifest' if has_manifest else ''}.")
