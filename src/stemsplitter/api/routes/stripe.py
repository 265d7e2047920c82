"""Where Stripe tells of payments."""

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.api.envelope import JsonResponse
from stemsplitter.payments.stripe import SIGNATURE
from stemsplitter.service_errors import NotFound

PATH = "/stripe/webhook"
LARGEST_EVENT = 256 * 1024  # bytes

router = APIRouter()


@router.post(PATH, include_in_schema=False, max_body_size=LARGEST_EVENT)
async def take_event(request: Request, services: ServicesDep) -> JsonResponse:
    """A signed event of Stripe's. 200 where nothing is left to do, else Stripe sends it again."""
    if not services.payments.enabled:
        raise NotFound("Nothing is sold here.")
    body = await request.body()
    signature = request.headers.get(SIGNATURE, "")
    await run_in_threadpool(services.payments.handle_event, body, signature)
    return JsonResponse({"received": True})
