"""What the machine can run."""

import json
from pathlib import Path

from stemsplitter import __version__

from .conftest import MODEL, Command


def test_doctor(command: Command) -> None:
    done = command("doctor")
    assert (done.code, done.err) == (0, "")
    told = {name: value.strip() for name, _, value in (line.partition(":") for line in done.out.splitlines())}
    assert list(told) == ["stemsplitter", "processor", "runtime", "gpu", "models in", "server", MODEL]
    assert told["server"].startswith("would give 2s, on sqlite:////")
    assert told["stemsplitter"].startswith(__version__)
    assert "usable, computes in " in told["processor"]
    assert told["models in"].startswith(command.environment["STEMSPLITTER_CACHE_DIR"])
    speed, _, rest = told[MODEL].partition("×")
    assert float(speed) > 1 and rest.startswith(" real time on cpu (")


def test_doctor_for_programs(command: Command) -> None:
    done = command("doctor", "--json")
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    assert told["version"] == __version__ and told["cores"] >= 1 and "fp32" in told["precisions"]
    assert Path(told["models_in"]).is_dir() and told["bytes_free"] > 0
    assert told["server"]["layouts"] == ["2s"] and told["server"]["problem"] is None
    (speed,) = told["speeds"]
    assert speed["model"] == MODEL and speed["times_real_time"] > 1 and speed["problem"] is None


def test_doctor_without_a_model(command: Command, tmp_path: Path) -> None:
    command.environment = command.environment | {"STEMSPLITTER_CACHE_DIR": str(tmp_path / "none")}
    done = command("doctor")
    assert done.code == 0
    assert done.out.splitlines()[-1] == f"No model is here yet: run `stemsplitter models pull {MODEL}`."
    assert not (tmp_path / "none").exists()


def test_doctor_finds_what_is_broken(command: Command, tmp_path: Path) -> None:
    """A model's weights are whole, but what was made of them cannot be kept beside them."""
    here = tmp_path / "cache" / "models" / MODEL
    here.mkdir(parents=True)
    for path in (Path(command.environment["STEMSPLITTER_CACHE_DIR"]) / "models" / MODEL).iterdir():
        if path.is_file():
            (here / path.name).symlink_to(path.resolve())
    (here / "compiled").write_text("in the way")
    command.environment = command.environment | {"STEMSPLITTER_CACHE_DIR": str(tmp_path / "cache")}
    done = command("doctor")
    assert done.code == 1 and done.err == ""
    assert done.out.splitlines()[-1].startswith(f"{MODEL}:") and "compiled" in done.out.splitlines()[-1]
