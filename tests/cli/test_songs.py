import os
from pathlib import Path

import pytest

from stemsplitter.cli.songs import find_songs
from stemsplitter.cli.targets import Naming, Target
from stemsplitter.errors import RequestError
from stemsplitter.separation.layouts import SIX_STEMS

STEMS = Path("stems")


def naming(output: Path = STEMS, template: str | None = None, extension: str = "wav") -> Naming:
    return Naming(output, template, SIX_STEMS, extension)


def paths(sources: list[Path], output: Path, template: str | None = None) -> list[Path]:
    return [song.path for song in find_songs(sources, output, naming(output, template).possible_files)]


def targets(sources: list[Path], output: Path, template: str | None = None) -> list[Target]:
    names = naming(output, template)
    return list(names.targets(find_songs(sources, output, names.possible_files)).values())


def folders(sources: list[str], output: Path = STEMS) -> list[str]:
    found = targets([Path(source) for source in sources], output)
    return [str(target.folder.relative_to(output)) for target in found]


def touch(*paths: str | Path) -> None:
    for name in paths:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_songs_of_folders_are_sorted_and_unique(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch("a/2.flac", "a/1.MP3", "a/cover.jpg", "a/b/3.webm", "z.txt", "x.wav")
    found = paths([Path("x.wav"), Path("a"), Path("a/1.MP3"), Path("z.txt"), Path("gone.mp3")], STEMS)
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
    assert [str(path) for path in paths([Path("a")], Path("a/stems"))] == ["a/2.mp3", "a/b/stems/4.mp3"]
    assert paths([tmp_path / "a"], Path("a/stems")) == [
        tmp_path / "a/2.mp3",
        tmp_path / "a/b/stems/4.mp3",
    ]
    assert paths([Path("a/stems")], Path("a/stems")) == [Path("a/stems/x/vocals.wav")]


def test_folder_search_skips_non_files(tmp_path: Path) -> None:
    (tmp_path / "folder.mp3").mkdir()
    os.mkfifo(tmp_path / "pipe.mp3")
    (tmp_path / "nowhere.mp3").symlink_to(tmp_path / "gone")
    (tmp_path / "round").symlink_to(tmp_path)
    assert paths([tmp_path], STEMS) == [tmp_path]


def test_invalid_file_names_are_kept_for_error_report(tmp_path: Path) -> None:
    names = [tmp_path / ("n" * 300), tmp_path / "x" / "y.mp3"]
    assert paths(names, STEMS) == names


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
@pytest.mark.parametrize("template", [None, "{track}/{stem}.{ext}", "{track} {stem}.{ext}"])
def test_s_stems_of_earlier_run_are_skipped_by_any_path(
    music: Path, source: str, output: str, template: str | None
) -> None:
    """Fault S: the output folder is compared by file, not by path."""
    songs = paths([Path(source)], Path(output), template)
    (music / "stems").mkdir()
    written = targets([Path(source)], Path(output), template)
    for target in written:
        touch(*target.files, *(path.with_suffix(".flac") for path in target.files))
        if template is None:
            touch(target.folder / f"{target.folder.name}.stem.mp4")
    assert paths([Path(source)], Path(output), template) == songs
    again = targets([Path(source)], Path(output), template)
    assert [target.files for target in again] == [target.files for target in written]


def test_s_songs_beside_stems_of_earlier_run_are_found(music: Path) -> None:
    touch("Lied/vocals.wav", "Lied/demo.wav", "multitrack/vocals.wav")
    found = [str(path) for path in paths([Path()], Path())]
    assert found == [
        "Lied.mp3",
        "Lied/demo.wav",
        "album/Lied.flac",
        "album/vocals.mp3",
        "multitrack/vocals.wav",
    ]
    assert paths([Path("Lied.mp3"), Path("Lied/vocals.wav")], Path()) == [
        Path("Lied.mp3"),
        Path("Lied/vocals.wav"),
    ]


@pytest.mark.parametrize("url", ["https://example.com/Lied.mp3", "s3://bucket/Lied.mp3"])
def test_row_17_url_is_rejected_with_remedy(url: str) -> None:
    with pytest.raises(RequestError, match=f"^{url} is a URL: download the file"):
        paths([Path(url)], STEMS)


@pytest.mark.parametrize(
    ("songs", "expected"),
    [
        (["a.mp3", "b.mp3"], ["a", "b"]),
        (["a.mp3", "a.flac", "x/a.mp3", "x/a.flac"], ["a", "a.flac", "a.mp3", "a 2"]),
        (["Ä.mp3", "ä.flac", "A\u0308.wav"], ["Ä", "ä.flac", "A\u0308.wav"]),
        (["a 2.mp3", "a.mp3", "x/a.mp3", "y/a.mp3"], ["a 2", "a", "a.mp3", "a 3"]),
        (["..mp3", "...mp3", ".mp3"], ["..mp3", "...mp3", ".mp3"]),
        (["a", "x/a", "y/a"], ["a", "a 2", "a 3"]),
        (["{stem}.mp3", "{}.mp3"], ["{stem}", "{}"]),
    ],
)
def test_each_song_has_its_own_output_folder(songs: list[str], expected: list[str]) -> None:
    assert folders(songs) == expected


def test_row_6_folders_of_searched_folder_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(
        "music/1.mp3", "music/1.flac", "music/a/1.mp3", "music/a/b/1.mp3", "music/{stem}/1.mp3", "other/1.mp3"
    )
    assert folders(["music"]) == ["1", "1.mp3", "a/1", "a/b/1", "{stem}/1"]
    assert folders(["music/a", "other"]) == ["1", "b/1", "1.mp3"]
    assert folders(["other/1.mp3", "music/a"]) == ["1", "1.mp3", "b/1"]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{track}/{stem}.{ext}", ["1/vocals.wav", "1.flac/vocals.wav"]),
        ("{folder}/{track} {stem}.{ext}", ["1 vocals.wav", "a/1 vocals.wav"]),
        ("{stem}/{track}.{trackext}.{ext}", ["vocals/1.mp3.wav", "vocals/1.flac.wav"]),
    ],
)
def test_row_6_template_names_files(
    template: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    touch("music/1.mp3", "music/a/1.flac")
    found = targets([Path("music")], STEMS, template)
    assert [str(target.files[0].relative_to(STEMS)) for target in found] == expected


@pytest.mark.parametrize(
    ("template", "extension", "message"),
    [
        ("{stem}.{ext}", "wav", "is the same for several songs: add {track} or {folder}"),
        ("{track}.{ext}", "wav", "is the same for several stems: add {stem}"),
        ("{track}/{stem}.{ext}", "zip", "leave {stem} out"),
        ("{artist}/{stem}.{ext}", "wav", "has an unknown field {artist}: use {folder}, {track}, {trackext}"),
        ("../{track}/{stem}.{ext}", "wav", "leads out of the output folder"),
    ],
)
def test_row_6_unusable_template_is_rejected(template: str, extension: str, message: str) -> None:
    songs = [Path("a/1.mp3"), Path("b/1.mp3")]
    with pytest.raises(RequestError) as caught:
        naming(template=template, extension=extension).targets(
            find_songs(songs, STEMS, naming().possible_files)
        )
    assert message in str(caught.value)
