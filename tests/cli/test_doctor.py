import json
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from stemsplitter.catalogue import speeds
from stemsplitter.catalogue.speeds import MeasuredSpeed, recorded_speed
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.cli import doctor as module
from stemsplitter.cli.doctor import Machine, Server, Speed
from stemsplitter.cli.main import app
from stemsplitter.database import Database
from stemsplitter.errors import ModelError
from stemsplitter.migrations.upgrade import upgrade

MACHINE = Machine(
    version="1.0",
    python="3.11",
    platform="Linux",
    processor="A processor",
    cores=8,
    precisions=("bf16", "fp32"),
    runtime="OpenVINO 1",
    ffmpeg="8",
    gpu="not looked for",
    models_in="/models",
    bytes_free=12_345_000_000,
)
SERVER = Server("sqlite:////data/x.db", "file:///data/files", ("6s", "4s", "2s"), "off", None)
GOOD = Speed("good", "cpu (one)", 12.34, None)
BAD = Speed("bad", "", None, "It is broken.")


def run(
    monkeypatch: pytest.MonkeyPatch,
    *speeds: Speed,
    machine: Machine = MACHINE,
    server: Server = SERVER,
    arguments: tuple[str, ...] = (),
) -> Any:
    monkeypatch.setattr(module, "_machine", lambda: machine)
    monkeypatch.setattr(module, "_server", lambda: server)
    monkeypatch.setattr(module, "_ready_models", lambda: [speed.model for speed in speeds])
    found = {speed.model: speed for speed in speeds}
    monkeypatch.setattr(module, "measure", lambda name: found[name])
    return CliRunner().invoke(app, ["doctor", *arguments])


def test_text_output(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch, GOOD)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "stemsplitter: 1.0, Python 3.11, Linux",
        "processor:    A processor, 8 cores, precision bf16 or fp32",
        "runtime:      OpenVINO 1, FFmpeg 8",
        "gpu:          not looked for",
        "models in:    /models (12 GB free)",
        "server:       provides 6s, 4s, 2s; database sqlite:////data/x.db, storage file:///data/files",
        "links:        off",
        "good:         12.3× real time on cpu (one)",
    ]


def test_model_notes_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch, Speed("good", "cpu (one)", 12.34, None, ("It is alone.",)))
    assert done.stdout.splitlines()[-2:] == [
        "good:         12.3× real time on cpu (one)",
        "              It is alone.",
    ]


def test_single_core_without_bf16_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(**{**vars(MACHINE), "cores": 1, "precisions": ("fp32",)})
    done = run(monkeypatch, machine=machine)
    assert "processor:    A processor, 1 core, precision fp32\n" in done.stdout


def test_failing_model_sets_exit_code_after_all_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch, BAD, GOOD)
    assert done.exit_code == 1
    assert done.stdout.splitlines()[-2:] == [
        "bad:          It is broken.",
        "good:         12.3× real time on cpu (one)",
    ]


def test_no_installed_model_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == (
        "No model is installed, not even the built-in one: reinstall stemsplitter."
    )


def test_json_output(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch, GOOD, BAD, arguments=("--json",))
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    speeds = told.pop("speeds")
    assert told.pop("server") == {**vars(SERVER), "layouts": ["6s", "4s", "2s"]}
    assert told == {**vars(MACHINE), "precisions": ["bf16", "fp32"]}
    assert speeds == [
        {"model": "good", "device": "cpu (one)", "times_real_time": 12.34, "problem": None, "notes": []},
        {"model": "bad", "device": "", "times_real_time": None, "problem": "It is broken.", "notes": []},
    ]


def test_server_problem_sets_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch, GOOD, server=Server("", "", (), "", "STEMSPLITTER_PORT is 'x'."))
    assert done.exit_code == 1
    assert "server:       STEMSPLITTER_PORT is 'x'.\n" in done.stdout


def test_server_check_creates_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STEMSPLITTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("STEMSPLITTER_CACHE_DIR", str(tmp_path / "cache"))
    found = module._server()
    assert (found.layouts, found.links, found.problem) == (("6s", "4s", "2s"), "off", None)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "stemsplitter.db").write_bytes(b"no database at all" * 100)
    assert "is not a database, or is damaged" in (module._server().problem or "")


def test_row_15_server_check_opens_the_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STEMSPLITTER_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("STEMSPLITTER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("STEMSPLITTER_DATABASE_URL", "postgresql://me:word@127.0.0.1:1/stems")
    assert module._server().problem == (
        "Nothing listens at 127.0.0.1:1: start the database, or correct STEMSPLITTER_DATABASE_URL."
    )
    monkeypatch.delenv("STEMSPLITTER_DATABASE_URL")
    database = Database(f"sqlite:///{tmp_path}/stemsplitter.db")
    upgrade(database)
    assert module._server().problem is None
    with database.write() as session:
        session.execute(text("DROP TABLE split_totals"))
    database.close()
    assert module._server().problem == "The database lacks the table split_totals: restore a backup."
    monkeypatch.setenv("STEMSPLITTER_MODEL_6S", "unheard_of")
    assert "unheard_of" in (module._server().problem or "")


@pytest.mark.parametrize("writable", [True, False])
def test_the_speed_is_measured_and_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, writable: bool
) -> None:
    monkeypatch.setenv("STEMSPLITTER_CACHE_DIR", str(tmp_path))
    speed = MeasuredSpeed(7.89, "cpu (fake)", ("It is a fake.",))
    monkeypatch.setattr(speeds, "measure_speed", lambda *_: speed)
    if not writable:
        (tmp_path / "models").write_bytes(b"no folder")
    assert module.measure("builtin_6s") == Speed("builtin_6s", "cpu (fake)", 7.89, None, ("It is a fake.",))
    store = ModelStore()
    assert recorded_speed(store.entry("builtin_6s"), store) == (7.89 if writable else None)


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (ModelError("The model is\ndamaged."), "The model is damaged."),
        (RuntimeError("no such layer"), "RuntimeError: no such layer"),
    ],
)
def test_measure_reports_problem(monkeypatch: pytest.MonkeyPatch, error: Exception, problem: str) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(speeds, "measure_speed", fail)
    assert module.measure("builtin_6s") == Speed("builtin_6s", "", None, problem)


def test_machine_is_described() -> None:
    machine = module._machine()
    assert machine.cores >= 1 and machine.precisions[-1] == "fp32" and machine.bytes_free > 0
    assert machine.runtime.startswith("OpenVINO 20") and machine.ffmpeg and machine.processor


def test_gpu_is_not_checked_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "torch is not installed" in module._gpu()
