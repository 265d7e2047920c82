"""Train the built-in model: ``python -m training.train --data DIR --out DIR [--device cuda]``.

Resumes from the last checkpoint in ``--out``. The learning rate is constant, then falls to nothing over the
last part of the steps, so a run may be given more or fewer steps while it is in its first part (Hägele et al.,
"Scaling laws and compute-optimal training beyond fixed training durations", 2024). What is kept is the moving
average of the weights that did best on songs held out of the same kind; the songs that the model is judged on
in the end are not looked at here.
"""

import argparse
import json
import math
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from training import loss
from training.data import Mixtures, Songs, Spleeter, VocalsFinder, batch, example, no_vocals
from training.network import BandNet
from training.optimisers import Optimisers
from training.score import STEMS

HELD_OUT: Final = 24  # songs
WARM_UP: Final = 200  # steps
DECAY: Final = 0.4  # last share of the steps
AVERAGE: Final = 0.998
CLIP: Final = 5.0
LOG_EVERY: Final = 50
RECENT: Final = 24  # batches from which the averaged weights get their batch normalisation


class Run:
    """A training run: network, optimiser, moving average, and where it stands."""

    def __init__(self, out: Path, device: str, rate: float, seed: int) -> None:
        torch.manual_seed(seed)
        self.out, self.device, self.rate = out, torch.device(device), rate
        self.network = BandNet().to(self.device, memory_format=torch.channels_last)
        with torch.no_grad():  # features are powers' logarithms around -4
            self.network.offset[[0, 1, 5, 6]] = 4.0
            self.network.scale[[0, 1, 5, 6]] = 0.5
        self.average = torch.optim.swa_utils.AveragedModel(
            self.network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGE)
        )
        self.optimisers = Optimisers(self.network)
        self.recent: deque[Tensor] = deque(maxlen=RECENT)
        self.step, self.seconds, self.best = 0, 0.0, -math.inf

    def _parts(self) -> dict[str, Any]:
        return {"network": self.network, "average": self.average, "optimisers": self.optimisers}

    def save(self, name: str) -> None:
        """Write a checkpoint, all or nothing."""
        state: dict[str, Any] = {key: part.state_dict() for key, part in self._parts().items()}
        state |= {"step": self.step, "seconds": self.seconds, "best": self.best}
        torch.save(state, self.out / f"{name}.part")
        (self.out / f"{name}.part").replace(self.out / f"{name}.pt")

    def resume(self, file: Path) -> None:
        """Go on from a checkpoint."""
        state = torch.load(file, map_location=self.device, weights_only=True)
        for key, part in self._parts().items():
            part.load_state_dict(state[key])
        self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]

    def begin_with(self, file: Path) -> None:
        """Take over the averaged weights of another run."""
        state = torch.load(file, map_location=self.device, weights_only=True)["average"]
        del state["n_averaged"]
        self.network.load_state_dict({name.removeprefix("module."): value for name, value in state.items()})
        self.average.module.load_state_dict(self.network.state_dict())

    def learn(self, tensors: list[Tensor], steps: int) -> tuple[float, float]:
        """One step on one batch; returns the loss and the norm of its gradient."""
        left = (steps - self.step) / (DECAY * steps)
        rate = self.rate * min(1.0, (self.step + 1) / WARM_UP, max(left, 0.0))
        features, *truth = (tensor.to(self.device) for tensor in tensors)
        self.recent.append(features)
        with torch.autocast(self.device.type, torch.bfloat16):
            logits = self.network(features.contiguous(memory_format=torch.channels_last))
        value = loss.loss(logits, *truth)
        self.network.zero_grad()
        value.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        if torch.isfinite(norm):
            self.optimisers.step(rate)
            self.average.update_parameters(self.network)
        self.step += 1
        return value.item(), norm.item()

    @torch.no_grad()
    def validate(self, batches: list[list[Tensor]]) -> list[float]:
        """Median SDR of each stem, in dB, of the averaged weights."""
        torch.optim.swa_utils.update_bn(self.recent, self.average)
        self.average.eval()
        found = []
        for tensors in batches:
            features, *truth = (tensor.to(self.device) for tensor in tensors)
            with torch.autocast(self.device.type, torch.bfloat16):
                logits = self.average(features.contiguous(memory_format=torch.channels_last))
            found.append(loss.sdr(loss.masks(logits), *truth).cpu())
        return torch.cat(found).nanmedian(dim=0).values.tolist()


def validation(songs: Songs, find: VocalsFinder) -> list[list[Tensor]]:
    """Three stretches of each held-out song as they are."""
    random = np.random.default_rng(0)
    stretches = [songs.plain(number, start) for number in range(len(songs)) for start in (0.25, 0.5, 0.75)]
    examples = [example(stems, random, find, augment=False) for stems in stretches if stems.any()]
    return [list(batch(examples[at : at + 4])) for at in range(0, len(examples), 4)]


def train(
    run: Run, batches: Iterator[list[Tensor]], held_out: dict[str, list[list[Tensor]]], options: Any
) -> None:
    """Step until the end; log, validate and save on the way."""
    log = (run.out / "log.jsonl").open("a")
    losses: list[float] = []
    started = time.monotonic() - run.seconds
    while run.step < options.steps:
        value, norm = run.learn(next(batches), options.steps)
        losses.append(value)
        run.seconds = time.monotonic() - started
        checked = run.step % options.validate_every == 0 or run.step == options.steps
        if not checked and run.step % LOG_EVERY:
            continue
        row: dict[str, Any] = {
            "step": run.step,
            "seconds": round(run.seconds),
            "loss": float(np.mean(losses)),
            "norm": norm,
        }
        losses.clear()
        if checked:
            for name, examples in held_out.items():
                row[name] = dict(zip(STEMS, run.validate(examples), strict=True))
            mean = float(np.nanmean([value for name in held_out for value in row[name].values()]))
            if mean > run.best:
                run.best = mean
                run.save("best")
            run.save("last")
        print(json.dumps(row), file=log, flush=True)
        print(_told(row), flush=True)


def _told(row: dict[str, Any]) -> str:
    text = (
        f"step {row['step']:6d}  {row['seconds']:6d} s  loss {row['loss']:6.2f}  gradient {row['norm']:.2f}"
    )
    for name in ("joined", "alone"):
        if name in row:
            text += f"\n  {name:6s} " + "  ".join(f"{stem} {value:5.2f}" for stem, value in row[name].items())
    return text


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="songs from training.render")
    parser.add_argument("--out", type=Path, required=True, help="checkpoints and log")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--start", type=Path, help="a checkpoint of another run to begin with")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate")
    parser.add_argument("--threads", type=int, help="of the network, on a CPU; by default all cores")
    parser.add_argument("--loaders", type=int, default=1, help="processes that mix examples")
    parser.add_argument("--validate-every", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    run = Run(options.out, options.device, options.rate, options.seed)
    if (options.out / "last.pt").exists():
        run.resume(options.out / "last.pt")
    elif options.start:
        run.begin_with(options.start)
    folders = sorted(folder for folder in options.data.glob("song_*") if folder.is_dir())
    mixtures = Mixtures(Songs(folders[HELD_OUT:]), options.seed + run.step)
    loader = DataLoader(
        mixtures,
        options.batch,
        num_workers=options.loaders,
        collate_fn=batch,
        prefetch_factor=8,
        persistent_workers=True,
    )
    batches = iter(loader)  # its processes are forked before this one has threads
    first = Songs(folders[:HELD_OUT])
    held_out = {"joined": validation(first, Spleeter()), "alone": validation(first, no_vocals)}
    train(run, batches, held_out, options)


if __name__ == "__main__":
    main()
