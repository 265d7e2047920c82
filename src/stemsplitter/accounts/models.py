"""Tables of accounts, links that verify addresses, API keys and webhook secrets."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from stemsplitter.accounts import keys
from stemsplitter.clock import now
from stemsplitter.database import Base, UtcDateTime, new_id

ROLES = ("user", "operator")


class Account(Base):
    """An account, which owns API keys, credits and splits; or the test account of one: see
    :mod:`stemsplitter.account_ids`."""

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint("balance >= 0", name="balance"),
        CheckConstraint("role IN ('user', 'operator')", name="role"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("acc"))
    email: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str | None]
    name: Mapped[str] = mapped_column(default="")
    # the sum of the account's ledger entries; only credits.repository changes it
    balance: Mapped[int] = mapped_column(BigInteger, default=0)
    role: Mapped[str] = mapped_column(default="user")
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # null until the owner of the address has confirmed it, or an operator has created the account
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # the messages that the account gets
    mail_done: Mapped[bool] = mapped_column(default=False)
    mail_low_credits: Mapped[bool] = mapped_column(default=True)
    # of its mails and pages; empty: that of the browser, and English for mails
    language: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class AddressLink(Base):
    """A single-use link that verifies ``email`` and makes it the account's address. The row is deleted when it is used.

    The token is stored as its SHA-256.
    """

    __tablename__ = "address_links"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), unique=True)
    email: Mapped[str]
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ApiKey(Base):
    """An API key, stored as its SHA-256. A test key belongs to the owner, and what it creates to the test account."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("key"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    name: Mapped[str]
    prefix: Mapped[str]
    key_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def is_test(self) -> bool:
        """True for a test key."""
        return keys.is_test_key(self.prefix)


class WebhookSecret(Base):
    """An encrypted secret that signs webhooks. A rotated one has an expiry.

    ``endpoint_id`` is the saved endpoint whose events it signs; null for the URLs of requests. It has no foreign key,
    as that table belongs to a feature above.
    """

    __tablename__ = "webhook_secrets"

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("whs"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    endpoint_id: Mapped[str | None] = mapped_column(String(32))
    secret_encrypted: Mapped[str]
    prefix: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
