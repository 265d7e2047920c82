import os
from pathlib import Path

import pytest

from stemsplitter.cli.songs import find_songs, output_folders
from stemsplitter.errors import RequestError

STEMS = Path("stems")


def touch(*paths: str) -> None:
    for name in paths:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_songs_of_folders_are_sorted_and_unique(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch("a/2.flac", "a/1.MP3", "a/cover.jpg", "a/b/3.webm", "z.txt", "x.wav")
    found = find_songs([Path("x.wav"), Path("a"), Path("a/1.MP3"), Path("z.txt"), Path("gone.mp3")], STEMS)
    assert [str(path) for path in found] == [
        "x.wav",
        "a/1.MP3",
        "a/2.flac",
        "a/b/3.webm",
        "z.txt",
        "gone.mp3",
    ]


def test_hidden_files_and_outputs_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch("a/.1.mp3", "a/._2.mp3", "a/.trash/3.mp3", "a/stems/x/vocals.wav", "a/2.mp3", "a/b/stems/4.mp3")
    assert [str(path) for path in find_songs([Path("a")], Path("a/stems"))] == ["a/2.mp3", "a/b/stems/4.mp3"]
    assert find_songs([tmp_path / "a"], Path("a/stems")) == [
        tmp_path / "a/2.mp3",
        tmp_path / "a/b/stems/4.mp3",
    ]
    assert find_songs([Path("a/stems")], Path("a/stems")) == [Path("a/stems/x/vocals.wav")]


def test_folder_search_skips_non_files(tmp_path: Path) -> None:
    (tmp_path / "folder.mp3").mkdir()
    os.mkfifo(tmp_path / "pipe.mp3")
    (tmp_path / "nowhere.mp3").symlink_to(tmp_path / "gone")
    (tmp_path / "round").symlink_to(tmp_path)
    assert find_songs([tmp_path], STEMS) == [tmp_path]


def test_invalid_file_names_are_kept_for_error_report(tmp_path: Path) -> None:
    names = [tmp_path / ("n" * 300), tmp_path / "x" / "y.mp3"]
    assert find_songs(names, STEMS) == names


@pytest.fixture
def music(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of songs, as the working directory."""
    monkeypatch.chdir(tmp_path)
    touch("music/Lied.mp3", "music/album/Lied.flac", "music/album/vocals.mp3")
    monkeypatch.chdir(tmp_path / "music")
    (tmp_path / "link").symlink_to(tmp_path / "music" / "stems")
    (tmp_path / "music" / "here").symlink_to(".")
    return tmp_path / "music"


@pytest.mark.parametrize("source", [".", "../music", "here"])
@pytest.mark.parametrize(
    "output", ["stems", "../music/stems", "../link", ".", "here", "../music/../music", "album"]
)
def test_stems_of_earlier_run_are_skipped_by_any_path(music: Path, source: str, output: str) -> None:
    """Fault S: the output folder is compared by file, not by path."""
    songs = find_songs([Path(source)], Path(output))
    (music / "stems").mkdir()
    written = output_folders(songs, Path(output))
    for folder in written.values():
        touch(f"{folder}/vocals.wav", f"{folder}/drums.flac", f"{folder}/{folder.name}.stem.mp4")
    again = find_songs([Path(source)], Path(output))
    assert again == songs
    assert output_folders(again, Path(output)) == written


def test_songs_beside_stems_of_earlier_run_are_found(music: Path) -> None:
    touch("Lied/vocals.wav", "Lied/demo.wav", "multitrack/vocals.wav")
    found = [str(path) for path in find_songs([Path()], Path())]
    assert found == [
        "Lied.mp3",
        "Lied/demo.wav",
        "album/Lied.flac",
        "album/vocals.mp3",
        "multitrack/vocals.wav",
    ]
    assert find_songs([Path("Lied.mp3"), Path("Lied/vocals.wav")], Path()) == [
        Path("Lied.mp3"),
        Path("Lied/vocals.wav"),
    ]


@pytest.mark.parametrize("url", ["https://example.com/Lied.mp3", "s3://bucket/Lied.mp3"])
def test_url_is_rejected_with_remedy(url: str) -> None:
    with pytest.raises(RequestError, match=f"^{url} is a URL: download the file"):
        find_songs([Path(url)], STEMS)


@pytest.mark.parametrize(
    ("songs", "folders"),
    [
        (["a.mp3", "b.mp3"], ["a", "b"]),
        (["a.mp3", "a.flac", "x/a.mp3", "x/a.flac"], ["a", "a.flac", "a.mp3", "a 2"]),
        (["Ä.mp3", "ä.flac", "A\u0308.wav"], ["Ä", "ä.flac", "A\u0308.wav"]),
        (["a 2.mp3", "a.mp3", "x/a.mp3", "y/a.mp3"], ["a 2", "a", "a.mp3", "a 3"]),
        (["..mp3", "...mp3", ".mp3"], ["..mp3", "...mp3", ".mp3"]),
        (["a", "x/a", "y/a"], ["a", "a 2", "a 3"]),
    ],
)
def test_each_song_has_its_own_output_folder(songs: list[str], folders: list[str]) -> None:
    given = output_folders([Path(song) for song in songs], STEMS)
    assert [str(given[Path(song)].relative_to(STEMS)) for song in songs] == folders
