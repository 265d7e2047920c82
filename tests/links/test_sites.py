import pytest

from stemsplitter.fetching import FetchError
from stemsplitter.links import LinkError
from stemsplitter.links.sites import SITES, parse_link

BOTH = ("youtube", "soundcloud")
ID = "dQw4w9WgXcQ"


@pytest.mark.parametrize(
    "text",
    [
        f"https://www.youtube.com/watch?v={ID}",
        f"http://youtube.com/watch?v={ID}&list=PL0123456789&index=3#t=10",
        f"https://m.youtube.com/watch?list=PL0123456789&v={ID}",
        f"https://music.youtube.com/watch?v={ID}",
        f"  https://youtu.be/{ID}?si=abc\n",
        f"https://www.youtube.com/shorts/{ID}",
        f"https://www.youtube.com/live/{ID}",
        f"https://www.youtube.com/embed/{ID}/",
    ],
)
def test_links_of_a_video_lead_to_the_same_address(text: str) -> None:
    link = parse_link(text, BOTH)
    assert (link.site.name, link.url) == ("youtube", f"https://www.youtube.com/watch?v={ID}")


@pytest.mark.parametrize(
    ("text", "track"),
    [
        ("https://soundcloud.com/band/song", "band/song"),
        ("https://m.soundcloud.com/band/song/?in=band/sets/album", "band/song"),
        ("https://www.soundcloud.com/band/song/s-AbC12?si=1", "band/song/s-AbC12"),
    ],
)
def test_links_of_a_track_lead_to_its_page(text: str, track: str) -> None:
    link = parse_link(text, BOTH)
    assert (link.site.name, link.url) == ("soundcloud", f"https://soundcloud.com/{track}")


@pytest.mark.parametrize(
    "text",
    [
        "https://www.youtube.com/playlist?list=PL0123456789",
        "https://www.youtube.com/watch?list=PL0123456789",
        "https://www.youtube.com/@somebody",
        "https://www.youtube.com/channel/UC0123456789",
        "https://soundcloud.com/band",
        "https://soundcloud.com/band/sets/album",
        "https://soundcloud.com/band/likes",
    ],
)
def test_playlists_and_channels_are_refused(text: str) -> None:
    with pytest.raises(LinkError, match="playlist or a channel"):
        parse_link(text, BOTH)


@pytest.mark.parametrize(
    "text",
    [
        "https://vimeo.com/76979871",
        "https://example.com/song.mp3",
        "https://youtube.com.evil.test/watch?v=dQw4w9WgXcQ",
        "https://evil-youtube.com/watch?v=dQw4w9WgXcQ",
        "https://soundcloud.com:8443/band/song",
        "https://soundcloud.com/band/song%2f..%2f..",
        "https://soundcloud.com/",
        "https://www.youtube.com/results?search_query=song",
        "https://www.youtube.com/watch?v=short",
        "http://127.0.0.1/watch?v=dQw4w9WgXcQ",
        "http://169.254.169.254/latest/meta-data",
        "https://localhost/band/song",
    ],
)
def test_links_elsewhere_are_refused(text: str) -> None:
    with pytest.raises(LinkError, match="not a link of a YouTube video or a SoundCloud track"):
        parse_link(text, BOTH)


@pytest.mark.parametrize(
    "text",
    ["file:///etc/passwd", "ytsearch:song", "ytsearch10:song", "scsearch:song", "ftp://soundcloud.com/a/b", ":ytfav",
     "https://user@soundcloud.com/band/song", "dQw4w9WgXcQ", "", "https://2130706433/band/song"],
)  # fmt: skip
def test_text_that_is_no_web_address_is_refused(text: str) -> None:
    with pytest.raises(FetchError, match=r"\.$"):
        parse_link(text, BOTH)


def test_short_link_says_what_to_send() -> None:
    with pytest.raises(LinkError, match="open it in a browser"):
        parse_link("https://on.soundcloud.com/AbCdE", BOTH)


def test_sites_are_allowed_one_by_one() -> None:
    assert parse_link("https://soundcloud.com/band/song", ("soundcloud",))
    with pytest.raises(LinkError, match="YouTube are off on this server: only those of SoundCloud are on"):
        parse_link(f"https://youtu.be/{ID}", ("soundcloud",))
    with pytest.raises(LinkError, match="Links are off on this server"):
        parse_link(f"https://youtu.be/{ID}", ())


def test_hosts_of_a_site_are_its_domains_and_their_subdomains() -> None:
    site = SITES["youtube"]
    assert site.has("rr3---sn-abc.googlevideo.com")
    assert site.has("youtube.com")
    assert not site.has("googlevideo.com.evil.test")
    assert not site.has("notyoutube.com")
