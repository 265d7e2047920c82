"""Signed links to stored files that expire."""

import base64
import binascii
import hmac
import json
import time
from dataclasses import dataclass
from urllib.parse import quote

from stemsplitter.files.names import plain_name
from stemsplitter.service_errors import NotFound

_DIGEST_BYTES = 32


@dataclass(frozen=True)
class Link:
    """The target of a link: key and media type of the file, and the expiry of the link (Unix time)."""

    key: str
    mime: str
    expires: int


class LinkSigner:
    """Creates and verifies links ``/files/TOKEN/NAME``. The HMAC-SHA256 covers key, media type, expiry and name."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def path(self, key: str, filename: str, mime: str, seconds: float) -> str:
        """Return the path of a link that expires in ``seconds``."""
        name = plain_name(filename)
        stated = json.dumps([key, mime, int(time.time() + seconds)], separators=(",", ":")).encode()
        token = base64.urlsafe_b64encode(self._digest(stated, name) + stated).decode().rstrip("=")
        return f"/files/{token}/{quote(name, safe='')}"

    def open(self, token: str, name: str) -> Link:
        """Verify a link with this token and name and return its target.

        Raises:
            NotFound: the link has expired, or its signature is invalid.
        """
        try:
            data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            given, stated = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
            if not hmac.compare_digest(given, self._digest(stated, name)):
                raise ValueError("the signature does not fit")
        except (binascii.Error, ValueError) as error:
            raise NotFound("This link is not valid: take it from the split as it stands there.") from error
        link = Link(*json.loads(stated))
        if link.expires <= time.time():
            raise NotFound("This link has expired: read the split again for a new one.")
        return link

    def _digest(self, stated: bytes, name: str) -> bytes:
        return hmac.digest(self._secret, stated + b"\0" + name.encode("utf-8", "surrogatepass"), "sha256")
