"""Routes of effects."""

from typing import Annotated

from fastapi import APIRouter, Body

from stemsplitter.api.dependencies import CallerDep, ServicesDep
from stemsplitter.api.documentation import documented
from stemsplitter.api.envelope import Envelope, JsonResponse
from stemsplitter.api.idempotency import IdempotencyDep
from stemsplitter.api.routes.tool_jobs import COMMON, CREATED_AT, add_job_routes, failed, links
from stemsplitter.tool_jobs.schemas import CreatedToolJob, CreateEffect, EffectJobView, EffectPage

PATH = "/v1/audio/effects"
router = APIRouter(tags=["Effects"])

_ID = "effect_0Yx3kQpAb2Jd7MfTn5Rv8W"
EXAMPLE = {
    "id": _ID,
    **COMMON,
    "effect": "pitch",
    "outputFormat": "mp3",
    "drumsApart": False,
    "parameters": {"semitones": -2.0, "formants": False},
    "outputs": {"audio": "https://stems.example.com/files/MTc3ODQw…/audio.mp3"},
    "error": None,
    "metadata": {},
}
FAILED_EXAMPLE = failed(EXAMPLE, "effect")


@router.post(
    PATH,
    response_model=Envelope[CreatedToolJob],
    operation_id="createEffect",
    openapi_extra=documented(
        request={
            "input": {"type": "direct_url", "url": "https://example.com/song.mp3"},
            "effect": "pitch",
            "parameters": {"semitones": -2},
            "outputFormat": "mp3",
        },
        response={"id": _ID, "status": "queued", "creditsUsed": 214, "createdAt": CREATED_AT},
        errors=("INSUFFICIENT_CREDITS", "CONFLICT", "NOT_FOUND"),
        links=links("Effect"),
    ),
)
def create_effect(
    services: ServicesDep,
    caller: CallerDep,
    idempotency: IdempotencyDep,
    body: Annotated[CreateEffect, Body(discriminator="effect")],
) -> JsonResponse:
    """Change the pitch or the speed of a song, add reverb, or isolate the voice of a recording. One credit per second
    of the source."""
    return idempotency.run(body, lambda record: services.effects.create(caller.account_id, body, record))


add_job_routes(
    router,
    PATH,
    lambda services: services.effects,
    name="Effect",
    plural="Effects",
    view=EffectJobView,
    page=EffectPage,
    example=EXAMPLE,
    canceled=FAILED_EXAMPLE,
)
