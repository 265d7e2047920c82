"""The process that fetches one track with yt-dlp. It reads a request, sends messages, and ends.

It has an empty home, no settings, cookies, plugins or secrets, and limits on memory, CPU time and files. All its
connections go to the proxy: names are not looked up, and on Linux the kernel refuses it Internet sockets and programs.
"""

import os
import re
import resource
import socket
import sys
from pathlib import Path
from typing import Any

from stemsplitter import sandbox
from stemsplitter.child_processes import Parent

MEMORY_BYTES = 1 << 30
CPU_SECONDS = 60
PROXY = "http://proxy.invalid:80"  # every name leads to the proxy
SOCKET_SECONDS = 10
_REPORT_BYTES = 1 << 20
# of messages of yt-dlp's extractors, which have no codes; the first match counts
_REASONS = (
    ("refused", re.compile(r"not a bot", re.I)),
    ("large", re.compile(r"file too large", re.I)),
    ("live", re.compile(r"\blive\b|premiere|will begin", re.I)),
    ("private", re.compile(r"private|sign in|log ?in|members|registered users|confirm your age", re.I)),
    ("missing", re.compile(r"HTTP Error 404|unavailable|not exist|removed|terminated", re.I)),
    ("preview", re.compile(r"requested format is not available|no video formats|DRM", re.I)),
    ("unsupported", re.compile(r"unsupported url|no suitable extractor", re.I)),
)


class Refused(Exception):
    """The track cannot be fetched; the first argument is the reason."""


def main() -> None:
    """Serve one request. Arguments: bytes of the largest file, folder of yt-dlp or an empty string."""
    max_bytes, package = int(sys.argv[1]), sys.argv[2]
    parent = Parent()
    if package:
        sys.path.insert(0, package)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    sandbox.restrict(memory_bytes=MEMORY_BYTES, file_bytes=max_bytes, open_files=128)
    for request in parent.requests():
        try:
            connect_to_proxy(request.pop("proxy"))
            parent.send(fetch(parent, max_bytes=max_bytes, **request))
        except Refused as error:
            parent.send({"refused": error.args[0], "message": str(error.__cause__ or "")})
        return


def connect_to_proxy(path: str) -> None:
    """Let all connections of this process go to the Unix socket at ``path``."""

    class ProxySocket(socket.socket):
        def setsockopt(self, *arguments: Any) -> None:
            """Ignore options of TCP, which http.client sets."""
            if arguments[0] != socket.IPPROTO_TCP:
                super().setsockopt(*arguments)

    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_UNIX, socket.SOCK_STREAM, 0, "", path)]

    socket.socket = ProxySocket  # type: ignore[misc]
    socket.getaddrinfo = getaddrinfo


def fetch(
    parent: Parent, *, url: str, site: str, folder: str, max_seconds: int, max_bytes: int
) -> dict[str, Any]:
    """Download the audio of a track to ``folder``; return its file name and title. Raises Refused."""
    import yt_dlp
    from yt_dlp.utils import DownloadCancelled, YoutubeDLError

    reported, refusals = 0, list[str]()

    def check(info: dict[str, Any], *, incomplete: bool = False) -> str | None:
        """Refuse a track before its audio is downloaded; yt-dlp then skips it without an error."""
        if info.get("is_live") or info.get("live_status") in ("is_live", "is_upcoming", "post_live"):
            refusals.append("live")
        elif (info.get("duration") or 0) > max_seconds:
            refusals.append("long")
        elif (info.get("filesize") or info.get("filesize_approx") or 0) > max_bytes:
            refusals.append("large")
        return refusals[-1] if refusals else None

    def count(state: dict[str, Any]) -> None:
        nonlocal reported
        done = state.get("downloaded_bytes") or 0
        if done > max_bytes:
            raise DownloadCancelled("large")
        if done >= reported + _REPORT_BYTES:
            reported = done
            parent.send({"bytes": done})

    options: dict[str, Any] = {
        "allowed_extractors": [f"^{site}$"],
        "cachedir": False,
        "check_formats": False,
        "color": "never",
        "compat_opts": _own_certificates(),
        "concurrent_fragment_downloads": 4,
        "enable_file_urls": False,
        "extractor_retries": 1,
        "fixup": "never",
        "format": "bestaudio[format_id!$=preview]/best[format_id!$=preview]",
        "fragment_retries": 2,
        "hls_prefer_native": True,
        "js_runtimes": {},
        "logger": _Silent(),
        "match_filter": check,
        "max_filesize": max_bytes,
        "noplaylist": True,
        "noprogress": True,
        "outtmpl": {"default": "source.%(ext)s"},
        "paths": {"home": folder},
        "playlist_items": "1",
        "progress_hooks": [count],
        "proxy": PROXY,
        "quiet": True,
        "remote_components": set(),
        "restrictfilenames": True,
        "retries": 2,
        "skip_unavailable_fragments": False,
        "socket_timeout": SOCKET_SECONDS,
        "updatetime": False,
        "usenetrc": False,
    }
    try:
        with yt_dlp.YoutubeDL(options) as downloader:
            info = downloader.extract_info(url, download=True) or {}
    except DownloadCancelled as error:
        raise Refused(str(error)) from error
    except YoutubeDLError as error:
        raise Refused(_reason(str(error))) from error
    if refusals:
        raise Refused(refusals[0])
    if info.get("_type", "video") != "video":
        raise Refused("several")
    saved = [Path(each["filepath"]) for each in info.get("requested_downloads") or () if "filepath" in each]
    if (
        len(saved) != 1 or not saved[0].is_file()
    ):  # a file that states its size is skipped without an error, too
        raise Refused("large")
    return {"file": saved[0].name, "title": str(info.get("title") or info.get("id") or "")}


def _own_certificates() -> set[str]:
    """Return the option that lets yt-dlp use the certificates of the environment, if it names some."""
    return {"no-certifi"} if os.environ.keys() & {"SSL_CERT_FILE", "SSL_CERT_DIR"} else set()


def _reason(message: str) -> str:
    return next((reason for reason, pattern in _REASONS if pattern.search(message)), "refused")


class _Silent:
    """The logger of yt-dlp."""

    def debug(self, _: str) -> None: ...

    info = warning = error = debug


if __name__ == "__main__":
    main()
