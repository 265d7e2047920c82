"""``stemsplitter doctor`` reports what the machine can run."""

import json
from pathlib import Path

from stemsplitter import __version__

from .command import MODEL, VOCALS, Command


def test_doctor_prints_report(command: Command) -> None:
    done = command("doctor")
    assert (done.code, done.err) == (0, "")
    told = {name: value.strip() for name, _, value in (line.partition(":") for line in done.out.splitlines())}
    assert list(told) == [
        "stemsplitter",
        "processor",
        "runtime",
        "gpu",
        "models in",
        "server",
        "links",
        VOCALS,
        MODEL,
    ]
    assert told["server"].startswith("provides 6s, 4s, 2s; database sqlite:////")
    assert told["stemsplitter"].startswith(__version__)
    assert ", precision " in told["processor"]
    assert told["models in"].startswith(command.environment["STEMSPLITTER_CACHE_DIR"])
    for model in (VOCALS, MODEL):
        speed, _, rest = told[model].partition("×")
        assert float(speed) > 0 and rest.startswith(" real time on cpu (")


def test_doctor_prints_json(command: Command) -> None:
    done = command("doctor", "--json")
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    assert told["version"] == __version__ and told["cores"] >= 1 and "fp32" in told["precisions"]
    assert Path(told["models_in"]).is_dir() and told["bytes_free"] > 0
    assert told["server"]["layouts"] == ["6s", "4s", "2s"] and told["server"]["problem"] is None
    assert [speed["model"] for speed in told["speeds"]] == [VOCALS, MODEL]
    for speed in told["speeds"]:
        assert speed["times_real_time"] > 0 and speed["problem"] is None and speed["notes"] == []


def test_doctor_without_downloaded_model_suggests_pull(command: Command, tmp_path: Path) -> None:
    command.environment = command.environment | {"STEMSPLITTER_CACHE_DIR": str(tmp_path / "none")}
    done = command("doctor")
    assert done.code == 0
    *_, speed, note = done.out.splitlines()
    assert speed.startswith(f"{MODEL}:") and "× real time on cpu (" in speed
    assert f"`stemsplitter models pull {VOCALS}`" in note


def test_doctor_reports_broken_model_cache(command: Command, tmp_path: Path) -> None:
    """The weights are intact, but the compiled model cannot be stored."""
    here = tmp_path / "cache" / "models" / MODEL
    here.mkdir(parents=True)
    (here / "compiled").write_text("in the way")
    command.environment = command.environment | {"STEMSPLITTER_CACHE_DIR": str(tmp_path / "cache")}
    done = command("doctor")
    assert done.code == 1 and done.err == ""
    assert done.out.splitlines()[-1].startswith(f"{MODEL}:") and "compiled" in done.out.splitlines()[-1]
