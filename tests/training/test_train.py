"""A run goes on where it was stopped."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytestmark = pytest.mark.torch

soundfile = pytest.importorskip("soundfile")


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from training import data
    from training.examples import make

    folder = tmp_path_factory.mktemp("examples")
    random = np.random.default_rng(0)
    for number in range(2):
        stems = {
            stem: random.normal(0, 0.05, (data.SAMPLES, 2)).astype(np.float32) for stem in ("drums", "bass")
        }
        make(stems, lambda mixture: mixture / 4).save(folder / f"song_{number}.npz")
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """One convolution in place of the network."""
    import torch

    from stemsplitter.separation.architectures.bandnet.bands import BANDS
    from training import train
    from training.given import FEATURES
    from training.network import MASKS

    class Small(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.offset = torch.nn.Parameter(torch.zeros(FEATURES, 1, BANDS))
            self.scale = torch.nn.Parameter(torch.ones(FEATURES, 1, BANDS))
            self.leave = torch.nn.Conv2d(FEATURES, MASKS, 1)
            self.presence = torch.nn.Linear(BANDS, 6)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            x = (x + self.offset) * self.scale
            return self.leave(x), self.presence(x[:, 0, ::8])

    monkeypatch.setattr(train, "BandNet", Small)


def options(steps: int) -> SimpleNamespace:
    return SimpleNamespace(steps=steps, validate_every=2)


def drawn(folder: Path):
    from training.given import batch
    from training.train import Examples

    examples = iter(Examples(folder, 1))
    while True:
        yield batch([next(examples)])


def test_a_run_goes_on_where_it_was_stopped(examples: Path, tmp_path: Path) -> None:
    import torch

    from training.given import WAYS
    from training.train import Run, train, validation

    held_out = {way: validation(examples, way, 1) for way in WAYS}
    first = Run(tmp_path, "cpu", 1e-3, 1, half=False)
    train(first, drawn(examples), held_out, options(2))
    again = Run(tmp_path, "cpu", 1e-3, 2, half=False)
    again.resume(tmp_path / "last.pt")
    assert again.step == 2 and again.seconds == first.seconds
    for one, other in zip(first.average.parameters(), again.average.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    train(again, drawn(examples), held_out, options(3))
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 3]
    assert set(WAYS) < set(rows[-1]) and rows[-1]["three"]["drums"] > 0
    assert (tmp_path / "best.pt").exists()


def test_a_run_that_is_ended_writes_a_checkpoint_after_its_step(examples: Path, tmp_path: Path) -> None:
    from training.train import Run, train

    run = Run(tmp_path, "cpu", 1e-3, 1, half=False)
    normalized: list[int] = []
    run.normalize = lambda: normalized.append(run.step)  # type: ignore[method-assign]

    def ended():
        for batch in drawn(examples):
            if run.step == 2:
                run.end()
            yield batch

    train(run, ended(), {}, SimpleNamespace(steps=100, validate_every=100))
    again = Run(tmp_path, "cpu", 1e-3, 2, half=False)
    again.resume(tmp_path / "last.pt")
    assert (again.step, normalized) == (3, [3])


def test_a_new_run_begins_with_the_weights_of_another(examples: Path, tmp_path: Path) -> None:
    import torch

    from training.train import Run

    first = Run(tmp_path / "first", "cpu", 1e-3, 1, half=False)
    (tmp_path / "first").mkdir()
    first.learn(next(drawn(examples)), 10)
    first.save("best")
    second = Run(tmp_path, "cpu", 1e-3, 2, half=False)
    second.begin_with(tmp_path / "first" / "best.pt", torch.zeros(0))
    assert second.step == 0
    torch.testing.assert_close(second.network.leave.weight, first.average.module.leave.weight)


def test_examples_are_asked_for_where_there_are_none(tmp_path: Path) -> None:
    from training.train import Examples

    with pytest.raises(FileNotFoundError, match=r"training\.examples"):
        next(iter(Examples(tmp_path, 1)))


def test_the_average_moves_faster_at_first() -> None:
    import torch

    from training.train import AVERAGE, _averaged

    averages, weights = [torch.zeros(1)], [torch.ones(1)]
    _averaged(averages, weights, 1)
    assert averages[0] > 0.5
    averages = [torch.zeros(1)]
    _averaged(averages, weights, 100_000)
    assert averages[0] == pytest.approx(1 - AVERAGE, rel=1e-3)
