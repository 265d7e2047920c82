"""Routes of models."""

from fastapi import APIRouter
from pydantic import Field

from stemsplitter.api.dependencies import CallerDep, ServicesDep
from stemsplitter.api.documentation import documented
from stemsplitter.api.envelope import Envelope, JsonResponse, success
from stemsplitter.catalogue.entries import ModelEntry
from stemsplitter.catalogue.speeds import recorded_speed
from stemsplitter.schemas import CamelModel
from stemsplitter.services import Services

router = APIRouter(tags=["Models"])

EXAMPLE = {
    "name": "builtin_6s",
    "title": "Built in, six stems",
    "stems": ["vocals", "drums", "bass", "guitar", "piano", "other"],
    "licence": "MIT",
    "licenceNote": "Trained by this project on songs rendered from instruments, kits and voices whose licenses allow "
    "it; docs/model-card.md names them all.",
    "source": {
        "url": "",
        "authors": "The Stem Splitter contributors",
        "paper": "after Choi et al., Investigating U-Nets with various intermediate blocks, ISMIR 2020",
    },
    "quality": {},
    "ready": True,
    "realtimeFactor": 0.1064,
}


class Origin(CamelModel):
    """The source of a model."""

    url: str
    authors: str
    paper: str


class Model(CamelModel):
    """A model of the catalogue."""

    name: str = Field(examples=["builtin_6s"])
    title: str
    stems: list[str] = Field(examples=[["vocals", "drums", "bass", "guitar", "piano", "other"]])
    licence: str = Field(examples=["MIT"])
    licence_note: str
    source: Origin
    quality: dict[str, dict[str, float]] = Field(
        description="Measured metrics: metric → stem → value. Empty if none were measured."
    )
    ready: bool = Field(description="Whether the weights are on this server.")
    realtime_factor: float | None = Field(
        examples=[0.1064],
        description="Seconds of processing for a second of audio on this server, as measured when the model was "
        "installed. Null if it was not measured.",
    )


class Models(CamelModel):
    """The models of this server."""

    items: list[Model]


@router.get(
    "/v1/models",
    response_model=Envelope[Models],
    operation_id="listModels",
    openapi_extra=documented(response={"items": [EXAMPLE]}),
)
def list_models(services: ServicesDep, _: CallerDep) -> JsonResponse:
    """List the models of this server, the preferred one first."""
    store = services.models
    return success(
        Models(
            items=[
                Model(
                    name=entry.name,
                    title=entry.title,
                    stems=list(entry.stems),
                    licence=entry.licence,
                    licence_note=entry.licence_note,
                    source=Origin(
                        url=entry.origin.url, authors=entry.origin.authors, paper=entry.origin.paper
                    ),
                    quality={figure: dict(values) for figure, values in entry.quality.items()},
                    ready=store.is_ready(entry.name),
                    realtime_factor=_realtime_factor(entry, services),
                )
                for entry in store.entries()
            ]
        )
    )


def _realtime_factor(entry: ModelEntry, services: Services) -> float | None:
    speed = recorded_speed(entry, services.models, services.settings.device)
    return None if speed is None else round(1 / speed, 4)
