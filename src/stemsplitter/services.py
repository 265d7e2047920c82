"""What a process of the server is made of: every part is built here, once, from the settings."""

from collections.abc import Sequence
from functools import cached_property

from stemsplitter.accounts.secret_box import SecretBox, derive_key, load_secret
from stemsplitter.accounts.secrets_service import WebhookSecrets
from stemsplitter.accounts.service import AccountService
from stemsplitter.catalogue.pulls import Pulls
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.credits.service import CreditService
from stemsplitter.database import Database
from stemsplitter.errors import SettingsError
from stemsplitter.fetching import Fetcher
from stemsplitter.health.service import HealthService
from stemsplitter.idempotency.service import IdempotencyService
from stemsplitter.payments.service import PaymentService
from stemsplitter.rate_limits.service import RateLimits
from stemsplitter.sessions.service import SessionService
from stemsplitter.settings import Settings
from stemsplitter.splits.mixes import Mixes
from stemsplitter.splits.service import SplitService
from stemsplitter.splits.sources import Sources
from stemsplitter.storage import Storage
from stemsplitter.uploads.service import UploadService
from stemsplitter.webhooks.service import WebhookService
from stemsplitter.worker import membership
from stemsplitter.worker.heartbeat import Heartbeat


class Services:
    """The parts of a server, each made when it is first asked for: a command pays for what it uses.

    The API, the workers and the commands all take their parts from here.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def database(self) -> Database:
        """The database, with its folder made, for its owner alone.

        Raises:
            SettingsError: the folder cannot be made.
        """
        try:
            self.settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"The data folder {self.settings.data_dir} cannot be made: set STEMSPLITTER_DATA_DIR to one that can."
            ) from error
        return Database(self.settings.database)

    @cached_property
    def secret(self) -> bytes:
        """The server's secret, from which keys for its purposes are derived."""
        return load_secret(self.settings)

    @cached_property
    def accounts(self) -> AccountService:
        """Accounts and API keys."""
        return AccountService(self.database, self.settings, self.credits.grant_free_credits)

    @cached_property
    def sessions(self) -> SessionService:
        """Who is signed in to the console."""
        return SessionService(self.database)

    @cached_property
    def webhook_secrets(self) -> WebhookSecrets:
        """The secrets that sign webhooks."""
        return WebhookSecrets(SecretBox(self.secret))

    @cached_property
    def credits(self) -> CreditService:
        """Balances and their ledger."""
        return CreditService(self.settings)

    @cached_property
    def payments(self) -> PaymentService:
        """Packs of credits that are bought."""
        return PaymentService(self.database, self.settings, self.credits)

    @cached_property
    def fetcher(self) -> Fetcher:
        """Sources and webhooks over HTTP, to allowed addresses only."""
        return Fetcher(self.settings)

    @cached_property
    def storage(self) -> Storage:
        """Sources and stems.

        Raises:
            SettingsError: the store can never answer with these settings.
        """
        storage = Storage(
            self.settings.storage,
            derive_key(self.secret, "links to files"),
            self.settings.base_url,
            addressing=self.settings.storage_addressing,
            public_url=self.settings.storage_public_url,
        )
        storage.verify()
        return storage

    @cached_property
    def uploads(self) -> UploadService:
        """Files that clients send."""
        return UploadService(self.database, self.storage, self.settings)

    @cached_property
    def webhooks(self) -> WebhookService:
        """Events, their deliveries and the log."""
        return WebhookService(self.database, self.fetcher, self.webhook_secrets)

    @cached_property
    def idempotency(self) -> IdempotencyService:
        """Requests that were sent with an idempotency key."""
        return IdempotencyService(self.database)

    @cached_property
    def rate_limits(self) -> RateLimits:
        """Counts of requests."""
        return RateLimits(self.database, self.settings)

    @cached_property
    def models(self) -> ModelStore:
        """The models of the catalogue and which of them are here."""
        return ModelStore()

    @cached_property
    def pulls(self) -> Pulls:
        """Models that the operator has fetched from the console."""
        return Pulls(self.models)

    @cached_property
    def splits(self) -> SplitService:
        """Splits of accounts."""
        sources = Sources(self.database, self.storage, self.fetcher, self.uploads, self.settings)
        return SplitService(
            self.database,
            self.settings,
            self.storage,
            self.models,
            sources,
            self.credits,
            self.webhooks,
        )

    @cached_property
    def mixes(self) -> Mixes:
        """Mixes of splits' stems."""
        return Mixes(self.splits, self.storage)

    @cached_property
    def health(self) -> HealthService:
        """How the service is and was."""
        return HealthService(self.database, self.storage, self.settings)

    def heartbeat(self, role: str, models: Sequence[str] = (), device: str = "") -> Heartbeat:
        """What tells the server's other processes, once it is started, that this one lives."""
        own = membership.mark(role, self.settings.storage, derive_key(self.secret, "fingerprints"))
        return Heartbeat(self.database, self.settings.lease_seconds, own, models, device)

    def prepare(self) -> None:
        """Make every part now, while there is one thread: since Python 3.12 two threads may each make their own."""
        for name, part in vars(type(self)).items():
            if isinstance(part, cached_property):
                getattr(self, name)

    def close(self) -> None:
        """Close what was opened."""
        for name in ("rate_limits", "database"):
            if name in self.__dict__:
                getattr(self, name).close()
