"""The end of a split: status, credits and webhook change once, in one transaction."""

from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from stemsplitter.audio.previews import DEFAULT_CODEC
from stemsplitter.credits.service import CreditService
from stemsplitter.quotas.service import Quotas
from stemsplitter.settings import Settings
from stemsplitter.splits import repository
from stemsplitter.splits.derived import content
from stemsplitter.splits.derived import repository as derived
from stemsplitter.splits.models import FAILED, SUCCEEDED, Split
from stemsplitter.splits.schemas import ModelUsed, Processing, SplitError, SplitView
from stemsplitter.splits.sizes import previews_bytes
from stemsplitter.storage import Storage
from stemsplitter.webhooks.service import WebhookService


class Endings:
    """Ends splits in the caller's transaction, and renders them for clients."""

    def __init__(
        self,
        credits: CreditService,
        webhooks: WebhookService,
        quotas: Quotas,
        storage: Storage,
        settings: Settings,
    ) -> None:
        self._credits, self._webhooks, self._quotas = credits, webhooks, quotas
        self._storage, self._settings = storage, settings

    def succeed(
        self,
        session: Session,
        split_id: str,
        lease: str,
        stems: dict[str, dict[str, Any]],
        masters: dict[str, dict[str, Any]],
        processing: dict[str, Any],
        size: int,
        model: dict[str, Any] | None = None,
    ) -> bool:
        """Settle the credits, queue the previews and create the webhook; False, without a change, if the run has lost
        its lease.

        ``size`` is that of the stored stems, masters and peaks, in bytes. ``model`` replaces that of the split.
        """
        values = {
            "status": SUCCEEDED,
            "progress": 100,
            "stems": stems,
            "masters": masters,
            "processing": processing,
        }
        if model is not None:
            values["model"] = model
        split = repository.finish(session, split_id, lease, values)
        if split is None:
            return False
        self._credits.settle(session, split_id)
        self._quotas.record(session, split_id, split.source_bytes + size)
        previews = derived.add(session, split, content.previews(split, DEFAULT_CODEC), split.expires_at)
        size = previews_bytes(len(masters), split.duration_seconds)
        self._quotas.add(session, split.account_id, split_id, size, name=previews.id)
        self._create_webhook(session, split)
        return True

    def fail(
        self,
        session: Session,
        split_id: str,
        lease: str | None,
        code: str,
        message: str,
        cause: str | None = None,
    ) -> Split | None:
        """Release the credits and create the webhook; None, without a change, if the split has ended or the run
        ``lease`` has lost its lease. Only the operator sees ``cause``."""
        values = {"status": FAILED, "error_code": code, "error_message": message, "cause": cause}
        split = repository.finish(session, split_id, lease, values)
        if split is None:
            return None
        self._credits.release(session, split_id)
        self._quotas.record(session, split_id, split.source_bytes)
        self._create_webhook(session, split)
        return split

    def view(self, split: Split | Row[Any]) -> SplitView:
        """Return the split as clients see it, with signed URLs of its stems."""
        return SplitView.model_validate(
            {
                **{name: getattr(split, name) for name in _COLUMNS},
                # a failure releases the whole reservation
                "credits_refunded": split.credits_used if split.status == FAILED else None,
                "stems": self._stem_urls(split) if split.status == SUCCEEDED else None,
                "error": SplitError(code=split.error_code or "", message=split.error_message or "")
                if split.status == FAILED
                else None,
                "model": ModelUsed.model_validate(split.model),
                "processing": Processing.model_validate(split.processing) if split.processing else None,
                "metadata": split.user_metadata,
                "levels": split.levels,
            }
        )

    def _stem_urls(self, split: Split | Row[Any]) -> dict[str, str]:
        return {
            name: self._storage.signed_url(
                stem["key"], stem["key"].rpartition("/")[2], stem["mime"], self._settings.stem_url_seconds
            )
            for name, stem in (split.stems or {}).items()
        }

    def _create_webhook(self, session: Session, split: Split) -> None:
        if split.webhook_url:
            view = self.view(split).model_dump(mode="json", by_alias=True)
            self._webhooks.create_event(session, view, split.webhook_url, split.account_id)


_COLUMNS = (
    "id", "status", "stem_model", "filename", "duration_seconds", "credits_used", "created_at", "updated_at",
    "progress", "output_format", "expires_at", "instruments",
)  # fmt: skip
