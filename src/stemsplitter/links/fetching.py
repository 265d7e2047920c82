"""Fetching of links."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemsplitter.child_processes import ChildDied, ChildProcess
from stemsplitter.fetching.connections import Deadline
from stemsplitter.files.names import plain_name
from stemsplitter.languages import marked
from stemsplitter.links import installed
from stemsplitter.links.errors import LinkError
from stemsplitter.links.proxy import Connect, Proxy, connect_publicly
from stemsplitter.links.sites import SITES, Link, parse_link
from stemsplitter.service_errors import Busy
from stemsplitter.settings import Settings

PROCESSES = 4  # links fetched at once
QUEUE_SECONDS = 5.0
# pages, scripts and playlists of segments that are no part of the file
_PAGE_BYTES = 64 << 20

_log = logging.getLogger(__name__)

OnBytes = Callable[[int], None]


@dataclass(frozen=True)
class FetchedLink:
    """The audio of a track: its file, and a file name made of its title."""

    path: Path
    filename: str


class Links:
    """Fetches tracks of the sites that ``settings.links`` allows. Thread-safe.

    Args:
        connect: opens the connections of the proxy.
    """

    def __init__(self, settings: Settings, connect: Connect = connect_publicly) -> None:
        self._settings, self._connect = settings, connect
        self._free = threading.BoundedSemaphore(PROCESSES)

    @property
    def is_on(self) -> bool:
        """True if links of some site are allowed."""
        return bool(self._settings.links)

    def state(self) -> str:
        """Describe the links of this server in a few words, with the version of yt-dlp."""
        if not self.is_on:
            return marked("off")
        titles = ", ".join(SITES[name].title for name in self._settings.links)
        found = installed.find(self._settings.data_dir)
        return f"{titles}, yt-dlp {found.version if found else 'not installed'}"

    def fetch(
        self, url: str, folder: Path, deadline_s: float, on_bytes: OnBytes = lambda _: None
    ) -> FetchedLink:
        """Download the audio of a track to ``folder``.

        Args:
            url: a link of a YouTube video or a SoundCloud track.
            folder: an empty folder.
            deadline_s: limit of the whole.
            on_bytes: called with the bytes of the file from time to time, before it exceeds them by much.

        Raises:
            FetchError: the link is refused, its site does not provide the track, or the track is over a limit.
            Busy: too many other links are being fetched.
        """
        link = parse_link(url, self._settings.links)
        found = installed.find(self._settings.data_dir)
        if found is None:
            raise LinkError(installed.MISSING)
        with self._turn():
            return self._fetch(link, found, folder, deadline_s, on_bytes)

    def _fetch(
        self, link: Link, found: installed.Installed, folder: Path, deadline_s: float, on_bytes: OnBytes
    ) -> FetchedLink:
        limit = self._settings.max_source_bytes
        ends = time.monotonic() + deadline_s
        address, home, files = folder / "proxy", folder / "home", folder / "files"
        home.mkdir()
        files.mkdir()
        request = {
            "url": link.url,
            "site": link.site.name,
            "proxy": str(address),
            "folder": str(files),
            "max_seconds": self._settings.max_source_seconds,
        }
        with (
            Proxy(address, link.site.has, limit + _PAGE_BYTES, Deadline(deadline_s), self._connect) as proxy,
            _child(limit, found, home) as child,
        ):
            try:
                child.send(request)
                answer = child.receive(ends - time.monotonic())
                while "bytes" in answer:
                    on_bytes(answer["bytes"])
                    answer = child.receive(ends - time.monotonic())
            except TimeoutError as error:
                raise LinkError(
                    f"{link.site.title} took longer than {deadline_s:.0f} s to send the track: try again later, or "
                    "download the file and upload it."
                ) from error
            except ChildDied as error:
                raise LinkError(
                    f"The link of {link.site.title} could not be read: try again later, or download the file and "
                    "upload it."
                ) from error
        if "refused" in answer:
            _log.info("link %s refused: %s: %s", link.url, answer["refused"], answer["message"])
            raise self._refused(link, answer, proxy.refused)
        path = files / Path(answer["file"]).name
        return FetchedLink(
            path, plain_name(f"{answer['title'].replace('/', '-')}{path.suffix}", f"song{path.suffix}")
        )

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._free.acquire(timeout=QUEUE_SECONDS):
            raise Busy("The server is fetching other links: send the request again later.", "links")
        try:
            yield
        finally:
            self._free.release()

    def _large(self) -> str:
        return (
            f"The track is larger than {self._settings.max_source_bytes} bytes, the limit: use a shorter one."
        )

    def _refused(self, link: Link, answer: dict[str, Any], hosts: list[str]) -> LinkError:
        site = link.site.title
        other = next((host for host in hosts if not link.site.has(host)), None)
        if other is not None:
            return LinkError(
                f"{site} leads to {other}, which links may not use: download the file and upload it."
            )
        sentences = {
            "live": "This is a live stream: send the link of a finished recording.",
            "long": f"The track is longer than {self._settings.max_source_seconds} s, the limit: use a shorter one.",
            "large": self._large(),
            "private": f"{site} shows this track only to some of its users: send the link of a public one.",
            "missing": f"{site} has no such track: check the link.",
            "preview": f"{site} offers no complete audio of this track: download the file and upload it.",
            "several": "This link leads to a playlist or a channel: send the link of one track.",
            "unsupported": "This is not a link of a YouTube video or a SoundCloud track: send one, or upload the file.",
        }
        refused = f"{site} refused the request: try again later, or download the file and upload it."
        return LinkError(sentences.get(answer["refused"], refused))


@contextmanager
def _child(max_bytes: int, found: installed.Installed, home: Path) -> Iterator[ChildProcess]:
    own = {name: str(home) for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "TMPDIR")}
    own |= {name: os.environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ}
    child = ChildProcess(
        "stemsplitter.links.child",
        str(max_bytes),
        str(found.folder or ""),
        environment={**own, "YTDLP_NO_PLUGINS": "1"},
        is_quiet=True,
    )
    with contextlib.closing(child):
        yield child
