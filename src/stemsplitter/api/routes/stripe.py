"""The webhook of Stripe."""

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.api.envelope import JsonResponse
from stemsplitter.payments.stripe import SIGNATURE
from stemsplitter.service_errors import NotFound

PATH = "/stripe/webhook"
MAX_EVENT_BYTES = 256 * 1024

router = APIRouter()


@router.post(PATH, include_in_schema=False, max_body_size=MAX_EVENT_BYTES)
async def receive_event(request: Request, services: ServicesDep) -> JsonResponse:
    """Handle a signed event. Stripe sends it again unless the response is 200."""
    if not services.payments.enabled:
        raise NotFound("Payments are disabled on this server.")
    body = await request.body()
    signature = request.headers.get(SIGNATURE, "")
    await run_in_threadpool(services.payments.handle_event, body, signature)
    return JsonResponse({"received": True})
