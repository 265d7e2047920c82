"""Separation: songs in, stems out. Usable without any service.

>>> from stemsplitter.library import Separator
>>> separator = Separator()
>>> result = separator.separate("song.mp3")
>>> result.stems["vocals"]
"""

from stemsplitter.library.results import Progress, Separation, StemFiles, Stems
from stemsplitter.library.separator import Separator

__all__ = ["Progress", "Separation", "Separator", "StemFiles", "Stems"]
