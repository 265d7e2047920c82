"""Routes of credits."""

from fastapi import APIRouter

from stemsplitter.api.dependencies import CallerDep, ServicesDep
from stemsplitter.api.documentation import documented
from stemsplitter.api.envelope import Envelope, JsonResponse, success
from stemsplitter.credits.schemas import Credits

router = APIRouter(tags=["Credits"])


@router.get(
    "/v1/credits",
    response_model=Envelope[Credits],
    operation_id="getCredits",
    openapi_extra=documented(response={"balance": 6200, "unit": "seconds"}),
)
def get_credits(services: ServicesDep, caller: CallerDep) -> JsonResponse:
    """Get the balance of your account. One credit is one second of audio."""
    with services.database.read() as session:
        return success(Credits(balance=services.credits.balance(session, caller.account_id)))
