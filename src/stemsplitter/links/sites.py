"""Sites whose links are fetched, and the forms of their links.

A link is reduced to the address of one track before yt-dlp sees it: yt-dlp also understands searches, files, playlists
and other sites.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

import httpx

from stemsplitter.fetching import FetchRefused
from stemsplitter.fetching.targets import parse_url
from stemsplitter.links.errors import LinkError


@dataclass(frozen=True)
class Site:
    """A site: ``name`` is that of its extractor in yt-dlp; the proxy connects to ``domains`` and their subdomains."""

    name: str
    title: str
    domains: tuple[str, ...]

    def has(self, host: str) -> bool:
        """True if ``host`` belongs to the site."""
        return any(host == domain or host.endswith(f".{domain}") for domain in self.domains)


SITES = {
    site.name: site
    for site in (
        Site("youtube", "YouTube", ("youtube.com", "youtu.be", "googlevideo.com", "youtubei.googleapis.com")),
        Site("soundcloud", "SoundCloud", ("soundcloud.com", "sndcdn.com", "soundcloud.cloud")),
    )
}

_VIDEO = re.compile(r"[0-9A-Za-z_-]{11}")
_YOUTUBE = ("youtube.com", "www.youtube.com", "m.youtube.com", "music.youtube.com")
_SOUNDCLOUD = ("soundcloud.com", "www.soundcloud.com", "m.soundcloud.com")
_SHORT = "on.soundcloud.com"
_WORD = re.compile(r"[\w-]{1,255}", re.ASCII)
_LISTS = {"tracks", "albums", "sets", "reposts", "likes", "spotlight", "comments", "popular-tracks"}

_SEVERAL = "This link leads to a playlist or a channel: send the link of one track."
_UNKNOWN = "This is not a link of a YouTube video or a SoundCloud track: send one, or upload the file."


@dataclass(frozen=True)
class Link:
    """The address of one track."""

    site: Site
    url: str


def parse_link(text: str, allowed: Collection[str]) -> Link:
    """Return the track that a link names.

    Args:
        text: the link as it was given.
        allowed: names of the sites that may be used.

    Raises:
        LinkError: links are off here, or this one is none of a track of an allowed site.
        FetchRefused: it is no valid http or https URL.
    """
    if not allowed:
        raise LinkError("Links are off on this server: upload the file, or send a direct URL of it.")
    target = parse_url(text.strip())
    url = target.url
    if url.port is not None:
        raise LinkError(_UNKNOWN)
    if target.host == "youtu.be" or target.host in _YOUTUBE:
        link = Link(SITES["youtube"], f"https://www.youtube.com/watch?v={_video(target.host, url)}")
    elif target.host == _SHORT:
        raise LinkError("This is a short link: open it in a browser and send the address of the page.")
    elif target.host in _SOUNDCLOUD:
        link = Link(SITES["soundcloud"], f"https://soundcloud.com/{_track(url)}")
    else:
        raise LinkError(_UNKNOWN)
    if link.site.name not in allowed:
        titles = " and ".join(SITES[name].title for name in allowed)
        raise LinkError(f"Links of {link.site.title} are off on this server: only those of {titles} are on.")
    return link


def is_link(text: str) -> bool:
    """True if a text is a URL of one of the sites, whether or not of a track."""
    try:
        host = parse_url(text.strip()).host
    except FetchRefused:
        return False
    return any(site.has(host) for site in SITES.values())


def _video(host: str, url: httpx.URL) -> str:
    kind, _, rest = url.path.strip("/").partition("/")
    if host == "youtu.be":
        found = kind
    elif kind == "watch":
        found = url.params.get("v", "")
    elif kind in ("shorts", "live", "embed", "v"):
        found = rest
    else:
        found = ""
    if _VIDEO.fullmatch(found):
        return found
    if url.params.get("list") or kind in ("playlist", "channel", "c", "user") or kind.startswith("@"):
        raise LinkError(_SEVERAL)
    raise LinkError(_UNKNOWN)


def _track(url: httpx.URL) -> str:
    """Return ``user/title`` or, of a track that only those with the link can hear, ``user/title/s-token``."""
    words = url.path.strip("/").split("/")
    if (len(words) >= 2 and words[1] in _LISTS) or (len(words) == 1 and words[0]):
        raise LinkError(_SEVERAL)
    is_token = len(words) == 3 and words[2].startswith("s-")
    if not all(_WORD.fullmatch(word) for word in words) or not (len(words) == 2 or is_token):
        raise LinkError(_UNKNOWN)
    return "/".join(words)
