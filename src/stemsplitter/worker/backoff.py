"""How long to wait for what does not answer, before it is asked again."""

from typing import Final

SECONDS: Final = (0.5, 1.0, 2.0, 5.0, 10.0)  # before each next try; the last for all that follow


def pause(failures: int) -> float:
    """Seconds to wait after so many failures before this one."""
    return SECONDS[min(failures, len(SECONDS) - 1)]
