"""Request and response schemas of derived files."""

from typing import Annotated

from pydantic import Field

from stemsplitter.jobs.schemas import Status
from stemsplitter.schemas import CamelModel, Integer, Number, RequestModel, Time
from stemsplitter.splits.derived.content import HIGHEST_DB, LOWEST_DB
from stemsplitter.splits.schemas import BitDepth, OutputFormat

_Name = Annotated[str, Field(max_length=32)]
_Gain = Annotated[Number, Field(ge=LOWEST_DB, le=HIGHEST_DB)]


class CreateMix(RequestModel):
    """A mix of the stems. A stem that is not named is unchanged; with null it is left out."""

    gains: dict[_Name, _Gain | None] = Field(
        default_factory=dict, max_length=16, description="Gains in dB by stem; null leaves a stem out."
    )
    pan: dict[_Name, Annotated[Number, Field(ge=-1, le=1)]] = Field(
        default_factory=dict, max_length=16, description="Positions by stem, from -1 (left) to 1 (right)."
    )
    format: OutputFormat | None = Field(None, description="By default that of the split.")
    bit_depth: BitDepth | None = Field(None, description="Of wav, flac, aiff and alac.")
    bitrate: Integer | None = Field(None, description="Of mp3, m4a and opus, in kbit/s.")


class FileError(CamelModel):
    """The reason why a file could not be made."""

    code: str = Field(examples=["SERVER_ERROR"])
    message: str


class FileView(CamelModel):
    """A file made from the stems of a split.

    `url` is present once it has succeeded, until `expiresAt`. `peak` is the largest absolute sample of the sum, 1 being
    full scale; `gain` is the factor that it was multiplied by, below 1 if the format cannot hold the peak.
    """

    id: str
    status: Status
    filename: str
    format: str
    size: int | None
    peak: float | None
    gain: float | None
    created_at: Time
    expires_at: Time
    url: str | None
    error: FileError | None


class MixView(FileView):
    """A mix. `gains` has every stem of the split, in dB, null for those that are left out."""

    gains: dict[str, float | None]
    pan: dict[str, float]


class MixPage(CamelModel):
    """A page of mixes, newest first; `nextCursor` is null on the last page."""

    items: list[MixView]
    next_cursor: str | None


class PeaksView(CamelModel):
    """The peaks of the stems.

    A stem is base64 of signed bytes, the minimum and the maximum of each point alternating, 127 being full scale. A
    point covers `samplesPerPoint` samples of all channels, the last one fewer.
    """

    sample_rate: int
    samples: int
    samples_per_point: int
    stems: dict[str, str]


class Preview(CamelModel):
    """The preview of a stem: `sizes` are the bytes of its pieces, which follow each other in the file."""

    url: str
    sizes: list[int]


class PreviewsView(CamelModel):
    """The previews of the stems.

    Each piece is a file of its own, of `pieceSamples` samples, the last of fewer; all stems have the same pieces. A
    decoder that ignores the header of a piece returns `delay` samples before it.
    """

    codec: str
    mime: str
    sample_rate: int
    samples: int
    piece_samples: int
    delay: int
    stems: dict[str, Preview]
