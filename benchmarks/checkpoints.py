"""HTDemucs with random weights in the official format: speed, memory and parity do not depend on the weights."""

import hashlib
from fractions import Fraction
from pathlib import Path

SOURCES = ("drums", "bass", "other", "vocals", "guitar", "piano")
SIGNATURE = "random6s"


def random_checkpoint(folder: Path) -> Path:
    """Create ``folder/random6s-<hash>.th`` once, named as demucs requires, and return its path.

    Requires torch and demucs. The layer scales are between 0.05 and 0.3, as in trained networks; with their initial
    1e-4 the residual blocks would have nearly no effect on the output.
    """
    found = sorted(folder.glob(f"{SIGNATURE}-*.th"))
    if found:
        return found[0]
    import torch
    from demucs.htdemucs import HTDemucs

    torch.manual_seed(1)
    settings = {
        "sources": list(SOURCES),
        "channels": 48,
        "depth": 4,
        "dconv_mode": 3,
        "t_layers": 5,
        "t_heads": 8,
        "segment": Fraction(39, 5),
        "bottom_channels": 0,
    }
    model = HTDemucs(**settings)
    for name, parameter in model.named_parameters():
        if name.endswith("scale"):
            torch.nn.init.uniform_(parameter, 0.05, 0.3)
        elif parameter.dim() == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    state = {name: value.half() for name, value in model.state_dict().items()}
    package = {"klass": HTDemucs, "args": (), "kwargs": settings, "state": state, "training_args": {}}
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{SIGNATURE}.th"
    torch.save(package, made)
    digest = hashlib.sha256(made.read_bytes()).hexdigest()[:8]
    return made.rename(folder / f"{SIGNATURE}-{digest}.th")


def load(path: Path):  # type: ignore[no-untyped-def]
    """Load a checkpoint into demucs' own module, in float32."""
    import torch

    package = torch.load(path, weights_only=False)  # our own file
    model = package["klass"](*package["args"], **package["kwargs"])
    model.load_state_dict({name: value.float() for name, value in package["state"].items()})
    return model.eval()
