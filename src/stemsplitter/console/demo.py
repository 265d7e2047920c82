"""The demo: a short song that the first page plays to everybody, and what is stored of it.

``stemsplitter demo`` writes it; without one, the first page shows a picture.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.api.downloads import file_response
from stemsplitter.audio.opus_pieces import encode_piece
from stemsplitter.audio.peaks import MIME, overview
from stemsplitter.audio.previews import CODECS, INDEX, INDEX_MIME, write_previews
from stemsplitter.files.temporary import temporary_folder
from stemsplitter.service_errors import NotFound
from stemsplitter.storage.errors import FileMissing
from stemsplitter.storage.storage import Storage

FOLDER = "demo"
KNOWN_FOR_S = 60.0  # what a process knows of the demo, so that the first page reads no file
_CACHING = "public, max-age=3600"
# six stems at the rate of other previews need a second more until the first sound on slow 4G
_PREVIEWS = CODECS | {"opus": replace(CODECS["opus"], encode=partial(encode_piece, kbits=64))}

router = APIRouter()


@dataclass(frozen=True)
class Demo:
    """The demo: its title, artist and license, its length in seconds, and its stems."""

    title: str
    artist: str
    license: str
    seconds: float
    stems: tuple[str, ...]


def store_demo(storage: Storage, demo: Demo, stems: Mapping[str, Path], peaks: bytes) -> None:
    """Store the demo with the previews of its ``stems``, and replace the previous one."""
    for name, codec in _PREVIEWS.items():
        with temporary_folder() as folder:
            written = write_previews(stems, folder, codec)
            for path in (*written.files.values(), written.index):
                storage.put_file(f"{FOLDER}/previews/{name}/{path.name}", path, "")
    storage.put_stream(f"{FOLDER}/overview.json", [overview(peaks)], MIME)
    storage.put_stream(f"{FOLDER}/about.json", [json.dumps(asdict(demo)).encode()], MIME)


def find_demo(request: Request) -> Demo | None:
    """Return the demo, or None if there is none."""
    state = request.app.state
    known, until = getattr(state, "demo", (None, 0.0))
    if time.monotonic() < until:
        found: Demo | None = known
        return found
    try:
        values = json.loads(b"".join(state.services.storage.read(f"{FOLDER}/about.json")))
        found = Demo(**{**values, "stems": tuple(values["stems"])})
    except FileMissing:
        found = None
    state.demo = found, time.monotonic() + KNOWN_FOR_S
    return found


@router.get("/demo/overview.json")
def waveforms(request: Request, services: ServicesDep) -> Response:
    """Return the peaks of the demo."""
    return _file(request, services.storage, "overview.json", MIME)


@router.get("/demo/previews/{codec}/{name}")
def previews(request: Request, services: ServicesDep, codec: str, name: str) -> Response:
    """Return the index of the previews in a codec, or the preview of a stem, whole or a range of it."""
    demo = find_demo(request)
    known = CODECS.get(codec)
    mimes = {INDEX: INDEX_MIME}
    if known is not None and demo is not None:
        mimes |= {f"{stem}.{known.extension}": known.mime for stem in demo.stems}
    if known is None or name not in mimes:
        raise NotFound("There is no such preview.")
    return _file(request, services.storage, f"previews/{codec}/{name}", mimes[name])


def _file(request: Request, storage: Storage, path: str, mime: str) -> Response:
    try:
        return file_response(
            request, storage, f"{FOLDER}/{path}", mime, path.rpartition("/")[2], caching=_CACHING
        )
    except FileMissing as error:
        raise NotFound("This server has no demo.") from error
