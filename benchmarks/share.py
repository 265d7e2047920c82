"""``python -m benchmarks.share``: share of a run that is not spent in the model, MP3 in and six MP3 files out.

Alternates between the model alone on the segments of a song, with as many threads as in a run, and whole runs. The
difference is the share of everything else: decoding, resampling, overlap-add and encoding.
"""

import argparse
import shutil
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.checkpoints import SIGNATURE, random_checkpoint
from benchmarks.songs import song
from stemsplitter.audio.decode import open_source
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.library import Separator
from stemsplitter.separation.segments import Segmenter


def main() -> None:
    """Run the benchmark and print the share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=SIGNATURE)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    options = parser.parse_args()
    folder = options.folder.resolve()
    store = ModelStore()
    if options.model == SIGNATURE:
        store = ModelStore(folder / "store/models", offline=True)
        if not (store.root / SIGNATURE).exists():
            store.add(SIGNATURE, random_checkpoint(folder / "weights"))
    separator = Separator(options.model, device="cpu", store=store)
    source = song(folder, options.seconds, "mp3")
    model = separator._model
    with open_source(source) as file:
        segmenter = Segmenter(2, model.segment, model.hop)
        whole = np.concatenate(list(file.blocks()), axis=1)
    segments = [segment.audio for segment in (*segmenter.push(whole), *segmenter.flush())]
    runs, models = [], []
    for number in range(options.rounds + 1):
        began = time.perf_counter()
        with ThreadPoolExecutor(model.concurrency) as pool:
            for _ in pool.map(model.separate, segments):
                pass
        alone = time.perf_counter() - began
        elapsed = separator.separate_to(source, folder / "out", format="mp3:320").elapsed
        shutil.rmtree(folder / "out")
        if number:
            models.append(alone)
            runs.append(elapsed)
            print(f"round {number}: model {alone:.2f} s, whole {elapsed:.2f} s", flush=True)
    share = statistics.median(1 - alone / elapsed for alone, elapsed in zip(models, runs, strict=True))
    print(f"{options.model}: {share:.1%} of the run is not spent in the model")


if __name__ == "__main__":
    main()
