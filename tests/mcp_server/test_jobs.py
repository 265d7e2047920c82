"""Jobs: progress that does not decrease, cancellation, failures; folders of songs and results."""

from pathlib import Path

import pytest

from stemsplitter.errors import AudioError, RequestError
from stemsplitter.mcp_server import jobs as jobs_module
from stemsplitter.mcp_server.folders import Folders
from stemsplitter.mcp_server.jobs import Job, Jobs, Outcome, Report
from tests.waiting import wait_until


def run(work: object, folder: Path | None = None) -> Job:
    with Jobs(1) as jobs:
        job = jobs.start("split", "Song", work, folder)  # type: ignore[arg-type]
        wait_until(lambda: job.is_ended)
    return job


def test_progress_does_not_decrease_and_is_complete_only_at_the_end() -> None:
    seen = []

    def work(report: Report) -> Outcome:
        for share in (0.5, 0.2, 1.0):
            report(share)
            seen.append(job[0].progress)
        return Outcome({"vocals": Path("/a/vocals.mp3")})

    with Jobs(1) as jobs:
        job: list[Job] = []
        job.append(Job("split", "Song", work, None))
        job[0].run()
        assert jobs.newest_first() == []
    assert seen == [0.5, 0.5, 0.99]
    assert job[0].view()["files"] == {"vocals": "/a/vocals.mp3"}
    assert (job[0].view()["status"], job[0].view()["progress"]) == ("succeeded", 1.0)


def test_canceled_job_ends_at_its_next_progress_and_leaves_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "result"
    folder.mkdir()

    def work(report: Report) -> Outcome:
        job.cancel()
        report(0.5)
        raise AssertionError

    job = Job("split", "Song", work, folder)
    job.run()
    assert job.view()["status"] == "failed"
    assert job.error == "The job was canceled."
    assert not folder.exists()


def test_errors_for_users_are_told_and_others_are_not(caplog: pytest.LogCaptureFixture) -> None:
    def unreadable(report: Report) -> Outcome:
        raise AudioError("song.mp3 is empty.")

    def broken(report: Report) -> Outcome:
        raise ValueError("a secret")

    assert run(unreadable).error == "song.mp3 is empty."
    error = run(broken).error
    assert error is not None and "secret" not in error
    assert "a secret" in caplog.text


def test_ended_jobs_are_forgotten_from_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "KEPT", 3)
    with Jobs(1) as jobs:
        for _ in range(6):
            job = jobs.start("split", "Song", lambda report: Outcome())
            wait_until(lambda job=job: job.is_ended)
        assert len(jobs.newest_first()) == 4
        assert jobs.newest_first()[0] is job


def test_folders_list_songs_and_never_reuse_a_folder(tmp_path: Path) -> None:
    music = tmp_path / "music"
    (music / "album" / ".hidden").mkdir(parents=True)
    for name in ("album/B.mp3", "album/a.txt", "album/.hidden/c.mp3", "._b.mp3", "A.flac"):
        (music / name).touch()
    folders = Folders([music, music / "album"])
    assert folders.songs() == [str(music / "A.flac"), str(music / "album" / "B.mp3")]
    assert folders.song("B.mp3") == folders.song("album/B.mp3") == music / "album" / "B.mp3"
    made = [folders.new("B", "split") for _ in range(2)]
    assert [path.name for path in made] == ["B (split)", "B (split 2)"]
    with pytest.raises(RequestError, match="is not a folder"):
        Folders([tmp_path / "none"])
