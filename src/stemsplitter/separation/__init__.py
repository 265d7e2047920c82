"""Separation: songs in, stems out. Usable without any service.

>>> from stemsplitter.separation import Separator
>>> separator = Separator()
>>> result = separator.separate("song.mp3")
>>> result.stems["vocals"]
"""

from stemsplitter.separation.results import Progress, Separation, StemFiles, Stems
from stemsplitter.separation.separator import Separator

__all__ = ["Progress", "Separation", "Separator", "StemFiles", "Stems"]
