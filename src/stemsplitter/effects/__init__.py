"""Effects on streams: each takes blocks of float32 ``[C, n]``, in bounded memory.

>>> from stemsplitter.effects import PitchShift, apply
>>> effect = PitchShift(44_100, channels=2, semitones=2.5)
>>> shifted = np.concatenate(list(apply(effect, blocks)), axis=1)
"""

from stemsplitter.effects.chain import Chain
from stemsplitter.effects.effect import Effect, apply
from stemsplitter.effects.limiter import Limiter
from stemsplitter.effects.reverb import Reverb
from stemsplitter.effects.speed import Speed
from stemsplitter.effects.stretch import PitchShift, Stretch

__all__ = ["Chain", "Effect", "Limiter", "PitchShift", "Reverb", "Speed", "Stretch", "apply"]
