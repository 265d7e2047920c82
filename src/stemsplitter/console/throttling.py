"""How often an account may do what costs somebody else something."""

from stemsplitter.service_errors import RateLimited
from stemsplitter.services import Services
from stemsplitter.sessions.service import SignedIn


def throttle(services: Services, signed_in: SignedIn, what: str, a_minute: int) -> None:
    """Count that the account does ``what`` once more. Raises RateLimited."""
    quota = services.rate_limits.take(signed_in.account.id, what, a_minute)
    if quota.exceeded:
        raise RateLimited(
            f"Too often in a minute: wait {quota.wait_s} seconds.", details={"retryAfter": quota.wait_s}
        )
