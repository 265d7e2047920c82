"""Routes of speech and its voices."""

from fastapi import APIRouter

from stemsplitter.api.dependencies import CallerDep, ServicesDep
from stemsplitter.api.documentation import documented
from stemsplitter.api.envelope import Envelope, JsonResponse, success
from stemsplitter.api.idempotency import IdempotencyDep
from stemsplitter.api.routes.tool_jobs import COMMON, CREATED_AT, add_job_routes, failed, links
from stemsplitter.tool_jobs.schemas import CreatedToolJob, CreateSpeech, SpeechJobView, SpeechPage, VoiceList

PATH = "/v1/audio/speech"
router = APIRouter(tags=["Speech"])

_ID = "speech_0Yx3kQpAb2Jd7MfTn5Rv8W"
EXAMPLE = {
    "id": _ID,
    **COMMON,
    "filename": "speech.mp3",
    "durationSeconds": 3,
    "creditsUsed": 4,
    "voice": "american",
    "speed": 1.0,
    "pitch": 0.0,
    "characters": 31,
    "outputFormat": "mp3",
    "outputs": {"audio": "https://stems.example.com/files/MTc3ODQw…/audio.mp3"},
    "error": None,
    "metadata": {},
}
FAILED_EXAMPLE = failed(EXAMPLE, "speech")


@router.post(
    PATH,
    response_model=Envelope[CreatedToolJob],
    operation_id="createSpeech",
    openapi_extra=documented(
        request={"text": "Good morning. Here is the news.", "voice": "american", "outputFormat": "mp3"},
        response={"id": _ID, "status": "queued", "creditsUsed": 4, "createdAt": CREATED_AT},
        errors=("INSUFFICIENT_CREDITS", "CONFLICT"),
        links=links("Speech"),
    ),
)
def create_speech(
    services: ServicesDep, caller: CallerDep, idempotency: IdempotencyDep, body: CreateSpeech
) -> JsonResponse:
    """Speak a text in English. One credit per ten characters. Do not imitate persons who have not agreed to it."""
    return idempotency.run(body, lambda record: services.speech.create(caller.account_id, body, record))


@router.get(
    "/v1/voices",
    response_model=Envelope[VoiceList],
    operation_id="listVoices",
    openapi_extra=documented(
        response={"items": [{"name": "american", "description": "American English, female"}]}
    ),
)
def list_voices(services: ServicesDep, caller: CallerDep) -> JsonResponse:
    """List the voices of speech."""
    return success(VoiceList(items=services.speech.voices()))


add_job_routes(
    router,
    PATH,
    lambda services: services.speech,
    name="Speech",
    plural="Speech",
    view=SpeechJobView,
    page=SpeechPage,
    example=EXAMPLE,
    canceled=FAILED_EXAMPLE,
)
