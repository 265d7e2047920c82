from datetime import datetime, timedelta
from typing import Any

from stemsplitter.accounts.models import Account
from stemsplitter.accounts.secret_box import SecretBox
from stemsplitter.accounts.secrets_service import WebhookSecrets
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.fetching import Fetcher
from stemsplitter.settings import Settings
from stemsplitter.webhooks.models import WebhookAttempt, WebhookDelivery
from stemsplitter.webhooks.service import WebhookService

SPLIT = {"id": "split_1", "status": "succeeded", "filename": "Größe ♫.wav", "error": None}


class Clock:
    """The clock of the services, moved by tests."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return now() + self.ahead

    def forward(self, **by: float) -> None:
        self.ahead += timedelta(**by)


class World:
    """A webhook service with its own database, and shortcuts."""

    def __init__(self, database: Database, networks: str) -> None:
        self.database = database
        self.secrets = WebhookSecrets(SecretBox(b"0123456789abcdef0123456789abcdef"))
        self.service = self.with_fetcher(Fetcher(Settings(allowed_networks=networks)))
        with self.database.write() as session:
            session.add_all(Account(id=each, email=f"{each}@example.com") for each in ("acc_1", "acc_2"))

    def with_fetcher(self, fetcher: Any) -> WebhookService:
        return WebhookService(self.database, fetcher, self.secrets, Settings())

    def due(self) -> dict[str, str]:
        with self.database.read() as session:
            return self.service.due(session)

    def claim(self, *delivery_ids: str) -> list[str]:
        with self.database.write() as session:
            return sorted(self.service.claim(session, delivery_ids))

    def rotate(self, account_id: str = "acc_1") -> str:
        with self.database.write() as session:
            return self.secrets.rotate_secret(session, account_id)

    def create(self, url: str, split: dict[str, Any] | None = None, account_id: str = "acc_1") -> str:
        with self.database.write() as session:
            return self.service.create_event(session, "split", split or SPLIT, url, account_id)[0]

    def delivery(self, delivery_id: str, account_id: str = "acc_1") -> WebhookDelivery:
        with self.database.read() as session:
            return self.service.delivery(session, account_id, delivery_id)[0]

    def log(self, delivery_id: str, account_id: str = "acc_1") -> list[WebhookAttempt]:
        with self.database.read() as session:
            return list(self.service.delivery(session, account_id, delivery_id)[1])
