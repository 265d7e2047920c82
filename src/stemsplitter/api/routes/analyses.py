"""Routes of analyses."""

from fastapi import APIRouter

from stemsplitter.api.dependencies import CallerDep, ServicesDep
from stemsplitter.api.documentation import documented
from stemsplitter.api.envelope import Envelope, JsonResponse
from stemsplitter.api.idempotency import IdempotencyDep
from stemsplitter.api.routes.tool_jobs import COMMON, CREATED_AT, add_job_routes, failed, links
from stemsplitter.tool_jobs.schemas import AnalysisJobView, AnalysisPage, CreateAnalysis, CreatedToolJob

PATH = "/v1/audio/analyses"
router = APIRouter(tags=["Analyses"])

_ID = "analysis_0Yx3kQpAb2Jd7MfTn5Rv8W"
EXAMPLE = {
    "id": _ID,
    **COMMON,
    "creditsUsed": 22,
    "tuningCents": -4.0,
    "tempo": {"bpm": 120.0, "confidence": 0.9, "alternatives": [60.0], "beats": [0.52, 1.02, 1.52]},
    "key": {
        "name": "A minor",
        "camelot": "8A",
        "compatible": ["7A", "9A", "8B"],
        "confidence": 0.8,
        "alternatives": [{"name": "C major", "camelot": "8B"}],
    },
    "chords": [{"start": 0.52, "end": 2.52, "name": "Am"}, {"start": 2.52, "end": 4.52, "name": "F"}],
    "error": None,
    "metadata": {},
}
FAILED_EXAMPLE = failed(EXAMPLE, "analysis", tuningCents=None, tempo=None, key=None, chords=[])


@router.post(
    PATH,
    response_model=Envelope[CreatedToolJob],
    operation_id="createAnalysis",
    openapi_extra=documented(
        request={"input": {"type": "direct_url", "url": "https://example.com/song.mp3"}},
        response={"id": _ID, "status": "queued", "creditsUsed": 22, "createdAt": CREATED_AT},
        errors=("INSUFFICIENT_CREDITS", "CONFLICT", "NOT_FOUND"),
        links=links("Analysis"),
    ),
)
def create_analysis(
    services: ServicesDep, caller: CallerDep, idempotency: IdempotencyDep, body: CreateAnalysis
) -> JsonResponse:
    """Find tempo, beats, key and tuning of a song. One credit per ten seconds; splits are analyzed free of charge."""
    return idempotency.run(body, lambda record: services.analyses.create(caller.account_id, body, record))


add_job_routes(
    router,
    PATH,
    lambda services: services.analyses,
    name="Analysis",
    plural="Analyses",
    view=AnalysisJobView,
    page=AnalysisPage,
    example=EXAMPLE,
    canceled=FAILED_EXAMPLE,
)
