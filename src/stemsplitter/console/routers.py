"""All routers of the console. Those of pages are guarded where they are included, so that no route can omit it."""

from fastapi import APIRouter, Depends, FastAPI

from stemsplitter.console import (
    access,
    account,
    account_data,
    assets,
    blog,
    comparison,
    credits,
    demo,
    developer,
    discovery,
    errors,
    installed,
    legal,
    library,
    manual,
    new_split,
    operator,
    operator_accounts,
    operator_models,
    player,
    preferences,
    previews,
    public,
    reference,
    reset,
    sharing,
    splits,
    tool_pages,
    verify,
    webhook_endpoints,
    webhooks,
)

MAX_FORM_BYTES = 64 * 1024

PAGES: tuple[APIRouter, ...] = (
    public.router,
    demo.router,
    discovery.router,
    installed.router,
    legal.router,
    blog.router,
    comparison.router,
    preferences.router,
    reference.router,
    manual.router,
    account.router,
    account_data.router,
    reset.router,
    verify.router,
    new_split.router,
    tool_pages.router,
    library.router,
    sharing.router,
    splits.router,
    player.router,
    previews.router,
    credits.router,
    developer.router,
    webhooks.router,
    webhook_endpoints.router,
    operator.router,
    operator_accounts.router,
    operator_models.router,
)
# files and pages that are the same for all, without a session
OPEN: tuple[APIRouter, ...] = (assets.router, installed.open_router)
ROUTERS = (*OPEN, *PAGES)


def install(app: FastAPI) -> None:
    """Add to ``app`` what the routes of the console raise and read."""
    errors.install(app)
    access.install(app)


def include(router: APIRouter) -> None:
    """Add the routes of the console to ``router``."""
    for each in OPEN:
        router.include_router(each, include_in_schema=False)
    for each in PAGES:
        router.include_router(
            each,
            dependencies=[Depends(access.guard)],
            include_in_schema=False,
            max_body_size=MAX_FORM_BYTES,
        )
