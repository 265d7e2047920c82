"""The Python library: separates songs into stems without a server or a database.

>>> from stemsplitter import Separator
>>> separator = Separator()
>>> result = separator.separate("song.mp3")
>>> result.stems["vocals"]
"""

from stemsplitter.library.results import ModelUsed, Progress, Separation, StemFiles, Stems
from stemsplitter.library.separator import Separator

__all__ = ["ModelUsed", "Progress", "Separation", "Separator", "StemFiles", "Stems"]
