"""Changes of the boxes of MP4 files."""

from pathlib import Path

import pytest

from stemsplitter.audio.mp4_boxes import box, change_last_movie, with_user_data


def test_user_data_is_inserted_into_a_last_movie_box_only(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    for movie, after in (
        (box(b"mvhd", b"x"), box(b"mvhd", b"x") + box(b"udta", box(b"test", b"abc"))),
        (
            box(b"udta", box(b"old ", b"")) + box(b"trak", b""),
            box(b"udta", box(b"old ", b"") + box(b"test", b"abc")) + box(b"trak", b""),
        ),
    ):
        path.write_bytes(box(b"ftyp", b"") + box(b"mdat", b"moov") + box(b"moov", movie))
        with path.open("r+b") as file:
            change_last_movie(file, lambda found: with_user_data(found, b"test", b"abc"))
        assert path.read_bytes() == box(b"ftyp", b"") + box(b"mdat", b"moov") + box(b"moov", after)
    for broken in (box(b"moov", b"") + box(b"mdat", b""), box(b"mdat", b""), b"\0\0\0\2moov", b""):
        path.write_bytes(broken)
        with path.open("r+b") as file, pytest.raises(ValueError, match="MP4"):
            change_last_movie(file, lambda found: found)
        assert path.read_bytes() == broken
