"""Train the built-in model: ``python -m training.train --examples DIR --out DIR [--device cuda]``.

Resumes from the last checkpoint in ``--out``; SIGTERM writes one after the current step and ends the run. The
learning rate is constant, then falls to nothing over the last part of the steps, so a run may be given more or
fewer steps while it is in its first part (Hägele et al., "Scaling laws and compute-optimal training beyond
fixed training durations", 2024). What is kept is the moving average of the weights that did best on songs held
out of the same kind; the songs that the model is judged on in the end are not looked at here. Examples that are
made while the run goes on are used as they come.
"""

import argparse
import json
import math
import signal
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from training import loss
from training.examples import load
from training.given import WAYS, Inputs, Way, batch, draw, known
from training.network import BandNet
from training.optimisers import Optimisers
from training.score import STEMS
from training.shipped import begin_with

LOOK_AGAIN: Final = 300.0  # seconds after which new examples are looked for
SAVE_EVERY: Final = 600.0  # seconds
WARM_UP: Final = 100  # steps
DECAY: Final = 0.4  # last share of the steps
LEVELS: Final = [0, 1, *range(5, 13)]  # of the features, see `training.given.features`
AVERAGE: Final = 0.998
CLIP: Final = 5.0
LOG_EVERY: Final = 20
BEGINNING: Final = 4  # batches on which batch normalisation is taken out of the shipped weights
RECENT: Final = 24  # batches from which the averaged weights get their batch normalisation


class Examples(IterableDataset[Inputs]):
    """The examples in a folder without end, each time with something else given."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._seed = folder, seed

    def __iter__(self) -> Iterator[Inputs]:
        torch.set_num_threads(1)
        info = torch.utils.data.get_worker_info()
        random = np.random.default_rng((self._seed, info.id if info else 0))
        while True:
            files = sorted(self._folder.glob("*.npz"))
            if not files:
                raise FileNotFoundError(f"{self._folder} has no examples; make some with training.examples.")
            again = time.monotonic() + LOOK_AGAIN
            while time.monotonic() < again:
                yield draw(load(files[random.integers(len(files))]), random)


@torch.no_grad()
def _averaged(averages: Any, weights: Any, count: Tensor | int) -> None:
    """Move the averages towards the weights; the faster, the fewer steps there were."""
    keep = min(AVERAGE, (1 + float(count)) / (10 + float(count)))
    torch._foreach_lerp_(averages, weights, 1 - keep)


class Run:
    """A training run: network, optimiser, moving average, and where it stands."""

    def __init__(self, out: Path, device: str, rate: float, seed: int, half: bool) -> None:
        torch.manual_seed(seed)
        self.half = half
        self.out, self.device, self.rate = out, torch.device(device), rate
        # in single precision on a CPU convolutions are a third faster with channels first
        first = self.device.type == "cpu" and not half
        self.format = torch.contiguous_format if first else torch.channels_last
        self.network = BandNet().to(self.device, memory_format=self.format)
        with torch.no_grad():  # features are powers' logarithms around -4
            self.network.offset[LEVELS] = 4.0
            self.network.scale[LEVELS] = 0.5
        self.average = torch.optim.swa_utils.AveragedModel(self.network, multi_avg_fn=_averaged)
        self.optimisers = Optimisers(self.network)
        self.recent: deque[Tensor] = deque(maxlen=RECENT)
        self.step, self.seconds, self.best = 0, 0.0, -math.inf
        self.ended = False

    def end(self, *_: object) -> None:
        """End the run after the current step; a signal handler."""
        self.ended = True

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

    def begin_with(self, file: Path, features: Tensor) -> None:
        """Take over the averaged weights of another run, or those of the file that ships."""
        if file.suffix == ".safetensors":
            begin_with(self.network, file, features)
            self.average.module.load_state_dict(self.network.state_dict())
            return
        state = torch.load(file, map_location=self.device, weights_only=True)["average"]
        del state["n_averaged"]
        self.network.load_state_dict({name.removeprefix("module."): value for name, value in state.items()})
        self.average.module.load_state_dict(self.network.state_dict())

    def learn(self, tensors: list[Tensor], steps: int) -> tuple[float, float]:
        """One step on one batch; returns the losses of the masks and of presence."""
        left = (steps - self.step) / (DECAY * steps)
        rate = self.rate * min(1.0, (self.step + 1) / WARM_UP, max(left, 0.0))
        features, inputs, products, energies, allowed = (tensor.to(self.device) for tensor in tensors)
        self.recent.append(features)
        with self._autocast():
            logits, presence = self.network(features.contiguous(memory_format=self.format))
        value = loss.loss(logits, inputs, products, energies, allowed)
        heard = loss.presence_loss(presence, inputs, energies)
        self.network.zero_grad()
        (value + loss.PRESENCE_WEIGHT * heard).backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        if torch.isfinite(norm):
            self.optimisers.step(rate)
            self.average.update_parameters(self.network)
        self.step += 1
        return value.item(), heard.item()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.half)

    def normalize(self) -> None:
        """Set the statistics of batch normalization of the averaged weights."""
        if self.recent:
            torch.optim.swa_utils.update_bn(self.recent, self.average)

    @torch.no_grad()
    def validate(self, batches: list[list[Tensor]]) -> list[float]:
        """Median SDR of each stem, in dB, of the averaged weights; see `normalize`."""
        self.average.eval()
        found = []
        for tensors in batches:
            features, *truth, allowed = (tensor.to(self.device) for tensor in tensors)
            with self._autocast():
                logits, _ = self.average(features.contiguous(memory_format=self.format))
            found.append(loss.sdr(loss.masks(logits, allowed), *truth).cpu())
        return torch.cat(found).nanmedian(dim=0).values.tolist()


def validation(folder: Path, way: Way, most: int) -> list[list[Tensor]]:
    """The held-out examples, with so much given; of many, ``most`` at even distances."""
    files = sorted(folder.glob("*.npz"))
    files = files[:: max(1, len(files) // most)][:most]
    examples = [known(load(file), way) for file in files]
    return [list(batch(examples[at : at + 4])) for at in range(0, len(examples), 4)]


def train(
    run: Run, batches: Iterator[list[Tensor]], held_out: dict[str, list[list[Tensor]]], options: Any
) -> None:
    """Step until the end; log, validate and save on the way."""
    losses: list[tuple[float, float]] = []
    started = saved = time.monotonic() - run.seconds
    while run.step < options.steps and not run.ended:
        losses.append(run.learn(next(batches), options.steps))
        run.seconds = time.monotonic() - started
        checked = run.step % options.validate_every == 0 or run.step == options.steps
        if time.monotonic() - saved > SAVE_EVERY and not checked:
            run.save("last")
            saved = time.monotonic()
        if not checked and run.step % LOG_EVERY:
            continue
        row: dict[str, Any] = {
            "step": run.step,
            "seconds": round(run.seconds),
            "loss": float(np.mean([masks for masks, _ in losses])),
            "presence": float(np.mean([presence for _, presence in losses])),
        }
        losses.clear()
        if checked:
            run.normalize()
            for name, examples in held_out.items():
                row[name] = dict(zip(STEMS, run.validate(examples), strict=True))
            mean = float(np.nanmean([value for name in held_out for value in row[name].values()]))
            if mean > run.best:
                run.best = mean
                run.save("best")
            run.save("last")
            saved = time.monotonic()
        with (run.out / "log.jsonl").open("a") as log:
            print(json.dumps(row), file=log)
        print(_told(row), flush=True)
    run.normalize()
    run.save("last")


def _told(row: dict[str, Any]) -> str:
    text = f"step {row['step']:6d}  {row['seconds']:6d} s  loss {row['loss']:6.2f}  presence {row['presence']:.3f}"
    for name in WAYS:
        if name in row:
            text += f"\n  {name:8s} " + "  ".join(f"{stem} {value:5.2f}" for stem, value in row[name].items())
    return text


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("--examples", type=Path, required=True, help="from training.examples")
    parser.add_argument("--held-out", type=Path, required=True, help="the same, of songs held out")
    parser.add_argument("--out", type=Path, required=True, help="checkpoints and log")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--start", type=Path, help="a checkpoint of another run, or the file that ships")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate")
    parser.add_argument(
        "--half", action="store_true", help="bfloat16: on GPUs, and on CPUs with AMX or AVX512-BF16"
    )
    parser.add_argument("--threads", type=int, help="of the network, on a CPU; by default all cores")
    parser.add_argument("--loaders", type=int, default=1, help="processes that read examples")
    parser.add_argument("--validate-every", type=int, default=500)
    parser.add_argument("--validate-on", type=int, default=72, help="held-out examples")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    run = Run(options.out, options.device, options.rate, options.seed, options.half)
    last = options.out / "last.pt"
    if last.exists():
        run.resume(last)
    loader = DataLoader(
        Examples(options.examples, options.seed + run.step),
        options.batch,
        num_workers=options.loaders,
        collate_fn=batch,
        prefetch_factor=8,
        persistent_workers=True,
    )
    batches = iter(loader)  # its processes are forked before this one has threads
    if options.start and not last.exists():
        run.begin_with(options.start, torch.cat([next(batches)[0] for _ in range(BEGINNING)]))
    held_out = {way: validation(options.held_out, way, options.validate_on) for way in WAYS}
    signal.signal(signal.SIGTERM, run.end)
    train(run, batches, held_out, options)


if __name__ == "__main__":
    main()
