import base64
import itertools
import os
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stemsplitter.audio.cover import cover_size
from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.tags import Tags
from stemsplitter.probing import pool as probing
from stemsplitter.probing.pool import Probed, probe
from stemsplitter.service_errors import Busy, ValidationFailed
from stemsplitter.settings import Settings
from tests.audio.test_thumbnail import png

SETTINGS = Settings(max_source_seconds=60)
Pool = probing._Pool


def write_wav(path: Path, samples: int, rate: int = 44100) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(samples * 4))
    return path


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "source.wav", 66_150)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """A new pool of one process."""
    monkeypatch.setattr(probing, "PROCESSES", 1)
    pool = probing._Pool()
    monkeypatch.setattr(probing, "_pool", pool)
    yield pool
    pool.close()


def pid(pool: Pool) -> int:
    process = pool._idle[-1]
    assert process is not None
    return process.child.pid


def test_duration_is_exact_to_the_sample(song: Path) -> None:
    found = probe(song, SETTINGS)
    assert found == Probed(66_150, 44_100, 2, {}, [])
    assert (found.seconds, found.whole_seconds) == (1.5, 2)


def test_cover_is_a_small_jpeg(tmp_path: Path) -> None:
    path = tmp_path / "song.flac"
    tags = Tags(cover=png(300, 300), cover_mime="image/png")
    with StemWriter(path, OutputFormat.parse("flac"), 44_100, 1, tags) as writer:
        writer.write(np.zeros((1, 44_100), np.float32))
        writer.commit()
    found = probe(path, SETTINGS).cover
    assert found is not None
    assert cover_size(base64.b64decode(found)) == (192, 192)


@pytest.mark.parametrize(("samples", "cost"), [(1, 1), (44_099, 1), (44_100, 1), (44_101, 2), (88_200, 2)])
def test_duration_is_rounded_up_to_seconds(samples: int, cost: int, tmp_path: Path) -> None:
    assert probe(write_wav(tmp_path / "a.wav", samples), SETTINGS).whole_seconds == cost


@pytest.mark.parametrize("ending", ["mp3", "flac", "m4a", "ogg"])
def test_duration_of_encoded_files_is_exact(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    with StemWriter(path, OutputFormat.parse(ending), 44100, 2) as writer:
        writer.write(np.random.default_rng(0).uniform(-0.1, 0.1, (2, 50_000)).astype(np.float32))
        writer.commit()
    assert probe(path, SETTINGS).samples == 50_000


def test_invalid_file_is_reported_with_the_users_name_for_it(tmp_path: Path) -> None:
    for name, data in {"empty": b"", "text": b"hello", "noise": bytes(range(256)) * 100}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValidationFailed, match=r"^my song\.mp3 .*\.$") as caught:
            probe(tmp_path / name, SETTINGS, "my song.mp3")
        assert str(tmp_path) not in str(caught.value)
    with pytest.raises(ValidationFailed, match=r"^There is no file gone: check the path"):
        probe(tmp_path / "gone", SETTINGS)


def test_song_over_the_limit_is_refused(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", 8_000 * 61, 8_000)
    with pytest.raises(ValidationFailed, match=r"over the limit of 1 min 0 s"):
        probe(path, SETTINGS)


def test_process_is_reused(pool: Pool, song: Path, tmp_path: Path) -> None:
    probe(song, SETTINGS)
    first = pid(pool)
    with pytest.raises(ValidationFailed):
        probe(tmp_path / "gone", SETTINGS)
    probe(song, SETTINGS)
    assert pid(pool) == first


def test_process_is_replaced_after_its_maximum_of_files(
    pool: Pool, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "_FILES_PER_PROCESS", 2)
    pids = []
    for _ in range(4):
        probe(song, SETTINGS)
        pids.append(pid(pool))
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_start_does_not_wait(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is silent for a minute."""
    (silent := tmp_path / "silent").write_text("#!/bin/sh\nexec sleep 60\n")
    silent.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(silent))
    probing.start()
    (process,) = pool._idle
    assert process is not None and process.child.is_alive


def test_process_started_in_advance_is_used(pool: Pool, song: Path) -> None:
    probing.start()
    first = pid(pool)
    probe(song, SETTINGS)
    assert pid(pool) == first


def test_file_that_exceeds_the_timeout_is_refused(
    pool: Pool, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe(song, SETTINGS)
    stuck = pid(pool)
    os.kill(stuck, signal.SIGSTOP)  # like a decoder in an endless loop
    monkeypatch.setattr(probing, "WALL_SECONDS", 0.3)
    with pytest.raises(ValidationFailed, match=r"^source\.wav takes too long to decode: .*\.$"):
        probe(song, SETTINGS)
    with pytest.raises(ProcessLookupError):
        os.kill(stuck, 0)
    monkeypatch.setattr(probing, "WALL_SECONDS", 30)
    assert probe(song, SETTINGS).samples == 66_150


@pytest.mark.parametrize(
    ("number", "message"), [(signal.SIGSEGV, "cannot be decoded"), (signal.SIGXCPU, "takes too long")]
)
def test_crash_and_exceeded_cpu_time_are_reported_in_one_sentence(
    number: signal.Signals, message: str, pool: Pool, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send_and_kill(request: dict[str, Any]) -> None:
        """The child does not handle the request: it is stopped until the signal arrives."""
        os.kill(process.child.pid, signal.SIGSTOP)
        send(request)
        os.kill(process.child.pid, number)
        os.kill(process.child.pid, signal.SIGCONT)

    probe(song, SETTINGS)
    (process,) = pool._idle
    send = process.child.send
    monkeypatch.setattr(process.child, "send", send_and_kill)
    with pytest.raises(ValidationFailed, match=rf"^source\.wav {message}.*\.$"):
        probe(song, SETTINGS)
    assert probe(song, SETTINGS).samples == 66_150


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the address space")
def test_exceeded_memory_is_reported_in_one_sentence(
    pool: Pool, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "MEMORY_BYTES", 60 << 20)  # less than the process has already
    with pytest.raises(ValidationFailed, match=r"^source\.wav cannot be decoded: .* needs too much memory"):
        probe(song, SETTINGS)
    monkeypatch.setattr(probing, "MEMORY_BYTES", 1 << 30)
    pool.close()
    assert probe(song, SETTINGS).samples == 66_150


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_process_has_limits_and_no_secrets(pool: Pool, song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMSPLITTER_SECRET_KEY", "a secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    probe(song, SETTINGS)
    proc = Path(f"/proc/{pid(pool)}")
    assert b"secret" not in (proc / "environ").read_bytes().lower()
    limits = {line[:26].strip(): line[26:].split()[0] for line in (proc / "limits").read_text().splitlines()}
    assert limits["Max address space"] == str(1 << 30)
    assert limits["Max file size"] == limits["Max core file size"] == "0"
    assert int(limits["Max cpu time"]) <= 60
    assert int(limits["Max open files"]) == 32


def test_h1_account_has_one_process_and_does_not_delay_others(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(account_id: str) -> None:
        with pool.process(account_id):
            pass

    monkeypatch.setattr(probing, "PROCESSES", 3)
    monkeypatch.setattr(probing, "QUEUE_SECONDS", 120.0)
    with ThreadPoolExecutor(4) as threads:
        with pool.process("attacker"):
            waiting = [threads.submit(measure, "attacker") for _ in range(4)]
            with pool.process("honest"), pool.process("other"):
                pass
            assert not any(each.done() for each in waiting)
        for each in waiting:
            each.result(60)


def test_h1_accounts_with_slow_files_leave_a_process_to_others(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can have several accounts; two would otherwise take both processes for as long as a file may take."""

    def measure(account_id: str) -> None:
        with pool.process(account_id):
            pass

    monkeypatch.setattr(probing, "PROCESSES", 2)
    monkeypatch.setattr(probing, "HEAVY_SECONDS", 600.0)  # on a busy machine, a process takes long to start
    monkeypatch.setattr(probing, "QUEUE_SECONDS", 120.0)
    attackers = [f"attacker {number}" for number in range(4)]
    for account in attackers:
        pool._add_use(account, 2 * probing.HEAVY_SECONDS)
    with ThreadPoolExecutor(4) as threads:
        with pool.process(attackers[0]):
            waiting = [threads.submit(measure, account) for account in attackers[1:]]
            for _ in range(3):
                measure("honest")
            assert not any(each.done() for each in waiting)
        for each in waiting:
            each.result(60)


def test_h1_waiting_accounts_agree_which_is_next(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each compares in its own thread and at its own time; if all thought another was next, all would wait."""
    for number, account in enumerate(("first", "second")):
        monkeypatch.setattr(probing.time, "monotonic", lambda at=number / 1000: at)
        pool._add_use(account, 1.0)
    seconds = itertools.count(1)
    monkeypatch.setattr(probing.time, "monotonic", lambda: float(next(seconds)))
    pool._waiting = ["first", "second"]
    in_order = pool._next()
    pool._waiting = ["second", "first"]
    assert pool._next() == in_order == "first"


def test_h1_account_that_used_least_is_next_and_use_is_forgotten(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(probing.time, "monotonic", lambda: now[0])
    for account, seconds in (("much", 9.0), ("little", 1.0)):
        pool._add_use(account, seconds)
    pool._waiting = ["much", "little", "new"]
    assert pool._next() == "new"
    pool._running["new"] = False
    assert pool._next() == "little"
    now[0] += probing.HALF_LIFE_SECONDS
    assert pool._use("much") == 4.5


def test_h1_wait_for_a_process_has_its_own_timeout(
    pool: Pool, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe(song, SETTINGS)
    monkeypatch.setattr(probing, "QUEUE_SECONDS", 0.05)
    with (
        pool.process("attacker"),
        pytest.raises(Busy, match=r"^The server is measuring other songs: send the request again later\.$"),
    ):
        probe(song, SETTINGS, "song.wav", "honest")
    assert probe(song, SETTINGS, "song.wav", "honest").samples == 66_150


def test_h1_samples_of_all_channels_are_limited(tmp_path: Path) -> None:
    path = tmp_path / "wide.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(8)
        file.setsampwidth(2)
        file.setframerate(192_000)
        file.writeframes(bytes(192_000 * 8 * 2))
    with pytest.raises(
        ValidationFailed,
        match=r"^wide\.wav has too many samples, 8 channels at 192000 Hz: convert it to stereo",
    ):
        probe(path, Settings(max_source_seconds=4))
    assert probe(path, Settings(max_source_seconds=60)).samples == 192_000


def test_processes_exit_with_the_server(song: Path) -> None:
    program = """if True:
        import sys
        from stemsplitter.probing import pool as probing
        from stemsplitter.settings import Settings
        probing.probe(sys.argv[1], Settings())
        print(probing._pool._idle[0].child.pid, flush=True)
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", program, str(song)], capture_output=True, timeout=60)
    child = int(done.stdout)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{child}/stat").exists() and " Z " in Path(f"/proc/{child}/stat").read_text():
            return  # a zombie: it has exited
        time.sleep(0.05)
    pytest.fail("the child outlives the server")


def test_concurrent_files_are_probed(song: Path, tmp_path: Path) -> None:
    songs = [write_wav(tmp_path / f"{n}.wav", 1000 + n) for n in range(12)]
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda path: probe(path, SETTINGS).samples, songs))
    assert found == [1000 + n for n in range(12)]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 43), noise=st.binary(min_size=1, max_size=40))
def test_damaged_file_is_measured_or_refused(at: int, noise: bytes, song: Path) -> None:
    data = song.read_bytes()
    damaged = song.with_name("damaged.wav")
    damaged.write_bytes(data[:at] + noise + data[at + len(noise) :])
    try:
        assert probe(damaged, SETTINGS).samples > 0
    except ValidationFailed as error:
        assert str(error).endswith(".")
