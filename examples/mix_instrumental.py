"""Write a song without its vocals: python mix_instrumental.py SONG OUTPUT.

The stems sum to the song, so the sum of all others is the song without the vocals. To keep a quiet guide vocal, add the
vocals with a small gain instead of leaving them out.
"""

import sys

import numpy as np
import soundfile

from stemsplitter import Separator

GAINS = {"vocals": 0.0}  # all other stems keep their level


def main() -> None:
    song, output = sys.argv[1:]
    result = Separator().separate(song)
    mix = sum(GAINS.get(name, 1.0) * stem for name, stem in result.stems.items())
    # one gain for the whole mix, only if it would clip
    peak = float(np.abs(mix).max())
    soundfile.write(output, (mix / max(peak, 1.0)).T, result.sample_rate)
    print(f"{output}: {result.seconds:.1f} s, peak {peak:.3f}")


if __name__ == "__main__":
    main()
