"""Import all tables, so that ``Base.metadata`` is complete."""

from stemsplitter.accounts import models as accounts
from stemsplitter.api_requests import models as api_requests
from stemsplitter.credits import models as credits
from stemsplitter.database import Base
from stemsplitter.health import models as health
from stemsplitter.idempotency import models as idempotency
from stemsplitter.jobs import models as jobs
from stemsplitter.notices import models as notices
from stemsplitter.payments import models as payments
from stemsplitter.quotas import models as quotas
from stemsplitter.sessions import models as sessions
from stemsplitter.shares import models as shares
from stemsplitter.splits import models as splits
from stemsplitter.splits.derived import models as derived_files
from stemsplitter.tool_jobs import models as tool_jobs
from stemsplitter.uploads import models as uploads
from stemsplitter.webhooks import models as webhooks
from stemsplitter.worker import models as worker

__all__ = [
    "Base",
    "accounts",
    "api_requests",
    "credits",
    "derived_files",
    "health",
    "idempotency",
    "jobs",
    "notices",
    "payments",
    "quotas",
    "sessions",
    "shares",
    "splits",
    "tool_jobs",
    "uploads",
    "webhooks",
    "worker",
]
