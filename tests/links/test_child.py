"""The reasons for which yt-dlp refuses a track, and what is refused before its audio is downloaded."""

from typing import Any, cast

import pytest

from stemsplitter.child_processes import Parent
from stemsplitter.links import child


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Private video. Sign in if you've been granted access to this video", "private"),
        ("Video unavailable. This video is private", "private"),
        ("Join this channel to get access to members-only content like this video", "private"),
        ("Sign in to confirm your age. This video may be inappropriate for some users.", "private"),
        ("This track is only available for registered users. Use --cookies", "private"),
        ("Sign in to confirm you’re not a bot. Use --cookies-from-browser", "refused"),
        ("This live event will begin in 3 hours.", "live"),
        ("Premieres in 20 minutes", "live"),
        ("Unable to download JSON metadata: HTTP Error 404: Not Found", "missing"),
        ("Video unavailable. This video has been removed by the uploader", "missing"),
        ("Unable to download API page: HTTP Error 429: Too Many Requests", "refused"),
    ],
)
def test_reason_of_a_message_of_the_site(message: str, reason: str) -> None:
    assert child._reason(f"[youtube] dQw4w9WgXcQ: {message}") == reason


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        ({"is_live": True}, "live"),
        ({"live_status": "is_upcoming"}, "live"),
        ({"duration": 61}, "long"),
        ({"filesize_approx": 1001}, "large"),
        ({"_type": "playlist"}, "several"),
    ],
)
def test_track_is_refused_before_its_audio_is_downloaded(
    info: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    yt_dlp = pytest.importorskip("yt_dlp")

    class Downloader:
        def __init__(self, options: dict[str, Any]) -> None:
            self.options = options

        def __enter__(self) -> "Downloader":
            return self

        def __exit__(self, *_: object) -> None:
            """Do nothing."""

        def extract_info(self, url: str, download: bool) -> dict[str, Any]:
            self.options["match_filter"](info)
            return info

    monkeypatch.setattr(yt_dlp, "YoutubeDL", Downloader)
    with pytest.raises(child.Refused) as refused:
        child.fetch(cast("Parent", None), url="", site="youtube", folder="", max_seconds=60, max_bytes=1000)
    assert refused.value.args == (reason,)
