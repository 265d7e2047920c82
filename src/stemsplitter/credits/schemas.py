"""What the API says about credits."""

from typing import Literal

from pydantic import Field

from stemsplitter.schemas import CamelModel


class Credits(CamelModel):
    """The balance of the account that asks."""

    balance: int = Field(ge=0, description="Seconds of audio that can still be separated.", examples=[6200])
    unit: Literal["seconds"] = "seconds"
