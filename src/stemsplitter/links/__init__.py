"""Songs from links to YouTube and SoundCloud, fetched by yt-dlp in a child process behind a proxy of ours."""

from stemsplitter.links.errors import LinkError
from stemsplitter.links.fetching import FetchedLink, Links
from stemsplitter.links.sites import is_link

__all__ = ["FetchedLink", "LinkError", "Links", "is_link"]
