"""A stand-in for SoundCloud on loopback, with a certificate of its own."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stemsplitter.fetching.connections import Deadline
from tests.certificates import write_certificate
from tests.loopback import Handler

LINK = "https://soundcloud.com/band/song"
MEDIA = "https://cf-media.sndcdn.com/song.mp3"
_HOSTS = ("soundcloud.com", "api-v2.soundcloud.com", "a-v2.sndcdn.com", "cf-media.sndcdn.com")


@dataclass
class SoundCloud:
    """The site. Its fields change its answers.

    ``track`` holds fields of the answer about the track, ``media`` is the URL of its audio, ``protocol`` is
    ``progressive`` or ``hls``, ``status`` that of the answer about the track.
    """

    song: bytes
    certificate: Path
    port: int = 0
    track: dict[str, Any] = field(default_factory=dict)
    media: str = MEDIA
    protocol: str = "progressive"
    status: int = 200
    connected: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    release: threading.Event | None = None  # the audio waits for it

    def connect(self, host: str, _: Deadline) -> socket.socket:
        """Connect to the stand-in in place of the host."""
        self.connected.append(host)
        return socket.create_connection(("127.0.0.1", self.port), 30)

    def answer(self, request: Handler) -> None:
        """Answer a request."""
        host, path = request.headers["Host"], urlsplit(request.path).path
        self.asked.append(host + path)
        if (host, path) == ("soundcloud.com", "/"):
            request.reply(body=b'<script src="https://a-v2.sndcdn.com/assets/1.js"></script>')
        elif host == "a-v2.sndcdn.com":
            request.reply(body=b'x={client_id:"abcdefghijklmnopqrstuvwxyz012345"}')
        elif host == "api-v2.soundcloud.com":
            found = self._track(request.path) if path == "/resolve" else {"url": self.media}
            request.reply(self.status, json.dumps(found).encode(), Content_Type="application/json")
        elif host == "cf-media.sndcdn.com":
            self._send_media(request, path)
        else:
            request.reply(404)

    def _track(self, path: str) -> dict[str, Any]:
        url = parse_qs(urlsplit(path).query)["url"][0]
        kind = {"protocol": self.protocol, "mime_type": "audio/mpeg"}
        api = "https://api-v2.soundcloud.com/media/1/stream"
        return {
            "kind": "track",
            "id": 1,
            "title": "A song/with a slash",
            "duration": 2_000,
            "permalink_url": url,
            "user": {"username": "band", "id": 2},
            "media": {
                "transcodings": [{"url": f"{api}/{self.protocol}", "preset": "mp3_1_0", "format": kind}]
            },
        } | self.track

    def _send_media(self, request: Handler, path: str) -> None:
        if self.release is not None:
            self.release.wait(30)
        half = len(self.song) // 2
        if path.endswith(".m3u8"):
            lines = ("#EXTM3U", "#EXT-X-TARGETDURATION:2", "#EXTINF:1,", "1.mp3", "#EXTINF:1,", "2.mp3")
            request.reply(body="\n".join((*lines, "#EXT-X-ENDLIST", "")).encode())
        else:
            parts = {"/1.mp3": self.song[:half], "/2.mp3": self.song[half:]}
            request.reply(body=parts.get(path, self.song), Content_Type="audio/mpeg")


@contextmanager
def soundcloud(song: bytes, folder: Path) -> Iterator[SoundCloud]:
    """Serve the site until the block ends; its certificate is to be trusted (``SSL_CERT_FILE``)."""
    site = SoundCloud(song, write_certificate(folder, *_HOSTS))

    class Answers(Handler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.answer(self)

        do_HEAD = do_GET

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Ignore clients that disconnect."""

    server = Server(("127.0.0.1", 0), Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(site.certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    site.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
