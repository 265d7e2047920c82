"""Credits in the API."""

from typing import Literal

from pydantic import Field

from stemsplitter.schemas import CamelModel


class Credits(CamelModel):
    """The balance of your account."""

    balance: int = Field(
        ge=0,
        description="Seconds of audio that you can still separate; with a test key always 100000.",
        examples=[6200],
    )
    unit: Literal["seconds"] = "seconds"
