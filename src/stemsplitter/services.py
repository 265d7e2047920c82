"""The services of a server process, built from the settings."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stemsplitter.account_data.deletion import AccountDeletion
from stemsplitter.accounts.addresses import AddressProofs
from stemsplitter.accounts.secret_box import SecretBox, derive_key, load_secret
from stemsplitter.accounts.secrets_service import WebhookSecrets
from stemsplitter.accounts.service import AccountService
from stemsplitter.api_requests.service import RequestLogService
from stemsplitter.catalogue.pulls import Pulls
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.credits.service import CreditService
from stemsplitter.database import Database
from stemsplitter.errors import SettingsError
from stemsplitter.fetching import Fetcher
from stemsplitter.files.private import create_private, make_private
from stemsplitter.health.service import HealthService
from stemsplitter.idempotency.service import IdempotencyService
from stemsplitter.jobs.models import ANALYSIS, EFFECT, SPEECH, SPLIT
from stemsplitter.links import Links
from stemsplitter.mail import Mailer
from stemsplitter.notices.service import Notices
from stemsplitter.payments.service import PaymentService
from stemsplitter.quotas.disk import Disk
from stemsplitter.quotas.service import Quotas
from stemsplitter.rate_limits.service import RateLimits
from stemsplitter.sessions.service import SessionService
from stemsplitter.settings import Settings
from stemsplitter.shares.service import ShareService
from stemsplitter.splits.derived.service import DerivedFiles
from stemsplitter.splits.service import SplitService
from stemsplitter.splits.sources import Sources
from stemsplitter.storage import Storage
from stemsplitter.tool_jobs.service import AnalysisService, EffectService, SpeechService, ToolParts
from stemsplitter.uploads.service import UploadService
from stemsplitter.webhooks.endpoints import WebhookEndpoints
from stemsplitter.webhooks.service import WebhookService
from stemsplitter.worker import membership
from stemsplitter.worker.heartbeat import Heartbeat

LAST_WRITES_S = 5.0


class Services:
    """The services of a server, each created on first use, so that a command creates only what it uses."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def database(self) -> Database:
        """The database. Its folder is created, accessible to its owner only.

        Raises:
            SettingsError: the folder cannot be created.
        """
        try:
            self.settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"The data folder {self.settings.data_dir} cannot be created: set STEMSPLITTER_DATA_DIR to "
                "another folder."
            ) from error
        return Database(self.settings.database)

    @cached_property
    def secret(self) -> bytes:
        """The secret key, from which other keys are derived."""
        return load_secret(self.settings)

    @cached_property
    def accounts(self) -> AccountService:
        """Accounts and API keys."""
        return AccountService(self.database, self.settings, self.credits.grant_free_credits)

    @cached_property
    def address_proofs(self) -> AddressProofs:
        """Links that verify addresses."""
        return AddressProofs(self.accounts, self.secret, self.credits.grant_free_credits)

    @cached_property
    def mail(self) -> Mailer:
        """Messages to the addresses of accounts."""
        return Mailer(self.settings)

    @cached_property
    def notices(self) -> Notices:
        """Messages that accounts chose to get."""
        return Notices(self.database, self.settings, self.mail, self.credits.is_low)

    @cached_property
    def sessions(self) -> SessionService:
        """Sessions of the console."""
        return SessionService(self.database)

    @cached_property
    def webhook_secrets(self) -> WebhookSecrets:
        """Secrets that sign webhooks."""
        return WebhookSecrets(SecretBox(self.secret))

    @cached_property
    def credits(self) -> CreditService:
        """Balances and the ledger."""
        return CreditService(self.settings)

    @cached_property
    def payments(self) -> PaymentService:
        """Purchases of credit packs."""
        return PaymentService(self.database, self.settings, self.credits)

    @cached_property
    def fetcher(self) -> Fetcher:
        """HTTP requests for sources and webhooks, to allowed addresses only."""
        return Fetcher(self.settings)

    @cached_property
    def links(self) -> Links:
        """Tracks of links."""
        return Links(self.settings)

    @cached_property
    def storage(self) -> Storage:
        """Files of sources and stems.

        Raises:
            SettingsError: the settings of the storage are invalid.
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
    def disk(self) -> Disk:
        """The disks of the data folder and of the file storage, if that is a folder."""
        folders = [self.settings.data_dir]
        if self.storage.folder is not None:
            folders.append(self.storage.folder)
        return Disk(folders, self.settings.min_free_bytes)

    @cached_property
    def quotas(self) -> Quotas:
        """Stored bytes of accounts."""
        return Quotas(self.settings, self.credits, self.disk)

    @cached_property
    def uploads(self) -> UploadService:
        """Uploads of clients."""
        return UploadService(self.database, self.storage, self.settings, self.quotas)

    @cached_property
    def webhooks(self) -> WebhookService:
        """Webhook events and deliveries."""
        return WebhookService(self.database, self.fetcher, self.webhook_secrets, self.settings)

    @cached_property
    def webhook_endpoints(self) -> WebhookEndpoints:
        """Saved endpoints of webhooks."""
        return WebhookEndpoints(self.webhooks, self.webhook_secrets)

    @cached_property
    def idempotency(self) -> IdempotencyService:
        """Requests with an idempotency key."""
        return IdempotencyService(self.database)

    @cached_property
    def api_requests(self) -> RequestLogService:
        """Log of the requests with API keys."""
        return RequestLogService(self.database)

    @cached_property
    def rate_limits(self) -> RateLimits:
        """Rate limits."""
        return RateLimits(self.database, self.settings)

    @cached_property
    def models(self) -> ModelStore:
        """Models of the catalogue and their weights."""
        return ModelStore()

    @cached_property
    def pulls(self) -> Pulls:
        """Downloads of models started from the console."""
        return Pulls(self.models, self.settings.device)

    @cached_property
    def sources(self) -> Sources:
        """Sources of splits and of the tools."""
        return Sources(
            self.database, self.storage, self.fetcher, self.links, self.uploads, self.quotas, self.settings
        )

    @cached_property
    def splits(self) -> SplitService:
        """Splits."""
        return SplitService(
            self.database,
            self.settings,
            self.storage,
            self.models,
            self.sources,
            self.credits,
            self.webhooks,
            self.quotas,
        )

    @cached_property
    def analyses(self) -> AnalysisService:
        """Analyses of songs."""
        return AnalysisService(*self._tool_parts())

    @cached_property
    def effects(self) -> EffectService:
        """Effects on audio."""
        return EffectService(*self._tool_parts())

    @cached_property
    def speech(self) -> SpeechService:
        """Spoken texts."""
        return SpeechService(*self._tool_parts())

    @cached_property
    def shares(self) -> ShareService:
        """Links that show a split to people without an account."""
        return ShareService(self.database)

    @cached_property
    def account_deletion(self) -> AccountDeletion:
        """Deletion of accounts."""
        of_tools = self.analyses.endings
        endings = {SPLIT: self.splits.endings, ANALYSIS: of_tools, EFFECT: of_tools, SPEECH: of_tools}
        return AccountDeletion(self.database, endings)

    @cached_property
    def derived_files(self) -> DerivedFiles:
        """Files made from the masters of splits."""
        return DerivedFiles(
            self.database, self.splits, self.storage, self.quotas, self.rate_limits, self.settings
        )

    @cached_property
    def health(self) -> HealthService:
        """Health of the service."""
        return HealthService(self.database, self.storage, self.settings)

    def _tool_parts(self) -> ToolParts:
        return (
            self.database,
            self.settings,
            self.storage,
            self.models,
            self.sources,
            self.splits,
            self.credits,
            self.webhooks,
            self.quotas,
        )

    def protect_files(self) -> None:
        """Keep database and songs from other users of this machine: those that exist, and those to come."""
        create_private()
        paths = [self.settings.data_dir]
        if self.database.is_sqlite and (file := self.database.engine.url.database):
            paths += [Path(f"{file}{ending}") for ending in ("", "-wal", "-shm")]
        store = urlsplit(self.settings.storage)
        if store.scheme == "file":
            paths.append(Path(unquote(store.path)))
        make_private(*paths)

    def heartbeat(self, role: str, models: Sequence[str] = (), device: str = "") -> Heartbeat:
        """Return the heartbeat of this process, to be started."""
        own = membership.identity(role, self.settings.storage, derive_key(self.secret, "fingerprints"))
        return Heartbeat(self.database, self.settings.lease_seconds, own, models, device)

    def prepare(self) -> None:
        """Create all services while there is one thread: since Python 3.12 two threads may each create their own."""
        for name, part in vars(type(self)).items():
            if isinstance(part, cached_property):
                getattr(self, name)

    def close(self) -> None:
        """Close the services that were created, after their last writes."""
        for name in ("accounts", "sessions"):
            if name in self.__dict__:
                getattr(self, name).uses.wait(LAST_WRITES_S)
        if "api_requests" in self.__dict__:
            self.api_requests.close(LAST_WRITES_S)
        for name in ("rate_limits", "database"):
            if name in self.__dict__:
                getattr(self, name).close()
