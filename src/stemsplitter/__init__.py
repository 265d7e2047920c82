"""Separates songs into stems: vocals, drums, bass, guitar, piano and other.

>>> from stemsplitter import Separator
>>> result = Separator().separate("song.mp3")
>>> result.stems["vocals"].shape
(2, 9413632)

The names of `stemsplitter.library` are imported at first use, so importing the package itself stays fast.
"""

import sys
from typing import TYPE_CHECKING, Any

from stemsplitter.version import __version__

if TYPE_CHECKING:
    from stemsplitter.library import ModelUsed, Progress, Separation, Separator, StemFiles, Stems

__all__ = ["ModelUsed", "Progress", "Separation", "Separator", "StemFiles", "Stems", "__version__"]

# At import, OpenVINO sends telemetry over the network from a forked process that can hang. It sends none where its
# telemetry package is missing, so the package is hidden before anything imports OpenVINO.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from stemsplitter import library

    return getattr(library, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
