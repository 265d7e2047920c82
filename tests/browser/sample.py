"""Sample data for every page."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import update
from sqlalchemy.orm import Session

from stemsplitter.accounts.models import Account
from stemsplitter.api_requests.models import ApiRequest
from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.peaks import Peaks
from stemsplitter.audio.thumbnail import thumbnail
from stemsplitter.clock import now
from stemsplitter.console.demo import Demo, store_demo
from stemsplitter.credits.models import LedgerEntry
from stemsplitter.database import new_id
from stemsplitter.health.models import HealthCheck
from stemsplitter.payments.models import PAID, Payment
from stemsplitter.services import Services
from stemsplitter.splits.models import Split
from stemsplitter.webhooks.models import COMPLETED, WebhookAttempt, WebhookDelivery, WebhookEvent
from stemsplitter.worker.models import Worker
from tests.audio.test_thumbnail import png
from tests.console.songs import add_song, add_split
from tests.console.tool_jobs import ANALYSIS, ISOLATOR, add_analysis, add_effect

MODEL = {"name": "builtin_6s", "licence": "MIT"}
SIX = ["vocals", "drums", "bass", "guitar", "piano", "other"]
WAITED = timedelta(seconds=1.4)
HOOK = "https://studio.example.com/hooks/stems?room=7"

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Song:
    """A song: file name, six stems `[2, samples]`, sample rate, and processing time."""

    name: str
    stems: Mapping[str, Samples]
    rate: int
    took_s: float

    @property
    def seconds(self) -> int:
        """Length as in a split."""
        return -(-self.stems["vocals"].shape[1] // self.rate)


@dataclass(frozen=True)
class Sample:
    """Session tokens by account, and IDs of the objects on pages."""

    sessions: Mapping[str, str]
    ids: Mapping[str, str]


def fill(services: Services, song: Song) -> Sample:
    """Create the accounts ``member`` with content, ``newcomer`` without, and ``operator``."""
    with services.database.write() as session:
        accounts = _accounts(services, session)
        _credits(services, session, accounts["member"])
        ids = {"account": accounts["member"], "payment": _payment(session, accounts["member"])}
        _keys(services, session, accounts["member"])
        _service(session)
    ids |= _splits(services, accounts["member"], song)
    _demo(services, song)
    ids |= _tool_jobs(services, accounts["member"])
    with services.database.write() as session:
        ids |= _endpoints(services, session, accounts["member"])
        ids |= _deliveries(session, accounts["member"], ids["player"], ids["endpoint"])
        for days in (1, 30):
            ids["share"] = services.shares.create(session, accounts["member"], ids["player"], days)
        ids["link"] = services.sessions.make_link(session, accounts["member"])
        ids["proof"] = services.address_proofs.make_link(
            session, accounts["newcomer"], "newcomer@stems.example"
        )
        sessions = {
            who: services.sessions.begin(session, accounts[who]) for who in ("member", "newcomer", "operator")
        }
    return Sample(sessions, ids)


def _accounts(services: Services, session: Session) -> dict[str, str]:
    made = {
        "operator": ("operator@stems.example", "Olga", "operator"),
        "member": ("maria.fernandez-oyelaran@recording-studio.example", "Maria", "user"),
        "newcomer": ("new@example.org", "", "user"),
        "disabled": ("someone.with.a.very.long.address.of.their.own@example.org", "שלום <b>", "user"),
    }
    ids = {}
    for who, (email, name, role) in made.items():
        account = services.accounts.create_account(session, email, role=role, name=name)
        ids[who] = account.id
    services.accounts.disable_account(session, ids["disabled"])
    session.get_one(Account, ids["newcomer"]).verified_at = None
    session.get_one(Account, ids["member"]).created_at = now() - timedelta(days=41)
    return ids


def _demo(services: Services, song: Song) -> None:
    """Store the demo of the first page."""
    peaks = Peaks(tuple(song.stems), song.rate)
    peaks.add(song.stems)
    with TemporaryDirectory() as folder:
        stems = {name: Path(folder) / f"{name}.wav" for name in song.stems}
        for name, path in stems.items():
            with StemWriter(path, OutputFormat.parse("wav"), song.rate, 2) as writer:
                writer.write(song.stems[name])
                writer.commit()
        about = Demo("Harbour lights", "The Sample", "CC0", song.seconds, tuple(song.stems))
        store_demo(services.storage, about, stems, peaks.encode())


def _credits(services: Services, session: Session, account_id: str) -> None:
    """Add a purchase and thirty days of splits, some of them failed."""
    random = np.random.default_rng(4)
    services.credits.purchase(
        session, account_id, 30_000, "cs_test_a1B2c3D4e5F6", "500 minutes, bought through Stripe"
    )
    for kind, days in (("grant", 41), ("purchase", 2)):
        entries = update(LedgerEntry).where(LedgerEntry.account_id == account_id, LedgerEntry.kind == kind)
        session.execute(entries.values(created_at=now() - timedelta(days=days)))
    for day in range(29, -1, -1):
        for number in range(random.choice([0, 0, 1, 2, 3])):
            split_id = new_id("split")
            services.credits.hold(session, account_id, split_id, int(random.integers(90, 300)))
            end = services.credits.settle if random.random() < 0.85 else services.credits.release
            end(session, split_id)
            entries = update(LedgerEntry).where(LedgerEntry.split_id == split_id)
            session.execute(entries.values(created_at=now() - timedelta(days=day, minutes=7 * number + 5)))


def _payment(session: Session, account_id: str) -> str:
    payment = Payment(
        id=new_id("pay"), account_id=account_id, status=PAID, credits=9000, amount=1200, currency="usd"
    )
    session.add(payment)
    return payment.id


def _keys(services: Services, session: Session, account_id: str) -> None:
    laptop, _ = services.accounts.create_key(session, account_id, "laptop")
    laptop.last_used_at = now() - timedelta(minutes=4)
    services.accounts.create_key(session, account_id, "nightly batch 🎸")
    old, _ = services.accounts.create_key(session, account_id, "old <b>phone</b>")
    services.accounts.revoke_key(session, account_id, old.id)
    for minutes, method, path, status, ms in (
        (1, "POST", "/v1/audio/splits", 201, 1840),
        (2, "GET", "/v1/audio/splits/{split_id}", 200, 4),
        (3, "POST", "/v1/audio/splits", 402, 12),
        (50, "DELETE", "/v1/audio/splits/{split_id}", 200, 31),
    ):
        at = now() - timedelta(minutes=minutes)
        session.add(
            ApiRequest(
                account_id=account_id, key_id=laptop.id, at=at, method=method, path=path, status=status,
                request_id=f"req_{minutes:022x}", ms=ms,
            )
        )  # fmt: skip
    for _ in range(2):
        services.webhook_secrets.rotate_secret(session, account_id)


def _service(session: Session) -> None:
    """Add workers and an incident of the file storage."""
    at = now()
    for number, (host, state) in enumerate(
        (("stems-1", "working"), ("stems-2", "working"), ("stems-2", "stopped"))
    ):
        session.add(
            Worker(
                id=new_id("wrk"), host=host, pid=4100 + number, started_at=at - timedelta(hours=20),
                heartbeat_at=at - timedelta(hours=2 if state == "stopped" else 0),
                models=[MODEL["name"]], device="cpu", state=state,
            )
        )  # fmt: skip
    for minute in range(3 * 24 * 60, -1, -4):
        is_gone = 2000 < minute < 2016
        session.add(
            HealthCheck(
                at=at - timedelta(minutes=minute),
                storage=not is_gone,
                queued=0,
                waited_s=0,
                workers=2,
                faults=0,
            )
        )


def _splits(services: Services, account_id: str, song: Song) -> dict[str, str]:
    """Add splits in every status."""
    ids = {}

    def add(kind: str, age: timedelta, **values: Any) -> None:
        at = now() - age
        stems, previews = values.pop("waveforms", None), values.pop("previews", False)
        values = {
            "stem_model": "6s",
            "requested_stems": SIX,
            "model": MODEL,
            "duration_seconds": 214,
            "source_bytes": 5_140_000,
            "created_at": at,
            "started_at": at + WAITED if kind != "queued" else None,
            "updated_at": at,
        } | values
        values["credits_used"] = values["duration_seconds"]
        ids[kind] = (
            add_song(services, account_id, stems, song.rate, previews=previews, **values)
            if stems
            else add_split(services, account_id, kind, **values)
        )

    vocals = song.stems["vocals"]
    rest = np.sum([stem for name, stem in song.stems.items() if name != "vocals"], axis=0, dtype=np.float32)
    second = song.rate
    took = {"device": "cpu", "seconds": song.took_s, "realtimeFactor": song.took_s / song.seconds}
    add(
        "long", timedelta(days=1), filename="A night at the harbour (all of it).flac", duration_seconds=1264,
        waveforms={name: stem[:, :second] for name, stem in song.stems.items()}, analysis=ANALYSIS,
    )  # fmt: skip
    add(
        "failed", timedelta(hours=9), filename="<b>Größe</b> שלום 🎸.mp3", error_code="VALIDATION_ERROR",
        error_message="The song ends in the middle: upload it again.", attempts=1,
    )  # fmt: skip
    add(
        "failed", timedelta(hours=7), filename="rehearsal-2026-11-03-second-take-with-the-new-drummer.wav",
        error_code="SERVER_ERROR", attempts=3,
        error_message="The song could not be separated in 3 attempts, which is the server's fault; the credits were "
        "given back.",
        cause="StorageError: The file cannot be stored: ask the operator to look at the server's storage.\n"
        "OSError: [Errno 28] No space left on device: '/srv/stems/files/splits/stems/vocals.mp3'",
    )  # fmt: skip
    add(
        "task", timedelta(hours=5), filename="Karaoke night.m4a", stem_model="2s", user_metadata={"task": "karaoke"},
        duration_seconds=song.seconds, waveforms={"vocals": vocals, "instrumental": rest},
    )  # fmt: skip
    add(
        "player", timedelta(minutes=6), filename=song.name, duration_seconds=song.seconds,
        waveforms=song.stems, previews=True, processing=took, analysis=ANALYSIS, cover=thumbnail(png(64, 64)),
    )  # fmt: skip
    add("processing", timedelta(seconds=40), filename="Harbour lights.flac", progress=42, attempts=1)
    add(
        "queued",
        timedelta(seconds=5),
        filename="Second_song_with_a_name_that_has_no_place_to_break_in_it.flac",
    )
    with services.database.write() as session:
        _settle(services, session, [ids["player"], ids["task"], ids["long"]])
    return ids


def _tool_jobs(services: Services, account_id: str) -> dict[str, str]:
    """Add jobs of tools."""
    values = {"user_metadata": {"tool": "pitch-changer"}, "filename": "Harbour lights.wav"}
    add_effect(services, account_id, "audio", **values)
    return {
        "analysis": add_analysis(services, account_id, filename="Harbour lights.wav"),
        "changing": add_effect(services, account_id, status="processing", progress=42, **values),
        "isolated": add_effect(services, account_id, "voice", "noise", parameters=ISOLATOR),
    }


def _settle(services: Services, session: Session, finished: list[str]) -> None:
    for split_id in finished:
        services.credits.settle(session, split_id)
    for failed in session.query(Split).filter_by(status="failed"):
        services.credits.release(session, failed.id)
    for split in session.query(Split):
        entries = update(LedgerEntry).where(LedgerEntry.split_id == split.id)
        session.execute(entries.values(created_at=split.created_at))


def _endpoints(services: Services, session: Session, account_id: str) -> dict[str, str]:
    """Add two saved endpoints; the server has disabled the second."""
    create = services.webhook_endpoints.create
    first, _ = create(session, account_id, "https://1.1.1.1/hooks/stems", ["*"], "Production")
    events = ["audio.split.completed", "audio.split.failed"]
    second, _ = create(session, account_id, "https://1.1.1.1/staging?tenant=7", events, "Staging <b>7</b>")
    second.failing_since, second.disabled_at = now() - timedelta(days=3, hours=2), now()
    second.disabled_reason = "No delivery has succeeded for 3 days."
    return {"endpoint": first.id, "endpoint-disabled": second.id}


def _deliveries(session: Session, account_id: str, split_id: str, endpoint_id: str) -> dict[str, str]:
    """Add a delivered, a gone and a pending delivery."""
    at = now()
    data = {
        "id": split_id,
        "status": "succeeded",
        "filename": "<script>alert(1)</script> Größe 🎸.mp3",
        "error": None,
    }
    event = WebhookEvent(
        id=new_id("evt"), split_id=split_id, account_id=account_id, kind=COMPLETED["split"], created_at=at,
        payload=json.dumps({"event": COMPLETED["split"], "data": data}, ensure_ascii=False),
    )  # fmt: skip
    session.add(event)
    unavailable = "<html><h1>Service unavailable</h1></html>"
    return {
        "delivered": _delivery(
            session, event, endpoint_id, "delivered", [(200, None, "ok")], at - timedelta(minutes=6)
        ),
        "gone": _delivery(
            session, event, endpoint_id, "gone",
            [(410, "The receiver responded with 410: it must respond with 2xx.", "")], at,
        ),
        "pending": _delivery(
            session, event, endpoint_id, "pending",
            [(503, "The receiver responded with 503: it must respond with 2xx.", unavailable),
             (None, "studio.example.com does not answer within 15 seconds.", None)], at,
        ),
    }  # fmt: skip


def _delivery(
    session: Session,
    event: WebhookEvent,
    endpoint_id: str,
    status: Any,
    attempts: list[tuple[int | None, str | None, str | None]],
    at: datetime,
) -> str:
    code, error, _ = attempts[-1]
    delivery = WebhookDelivery(
        id=new_id("dlv"), event=event, account_id=event.account_id, url=HOOK, status=status, attempts=len(attempts),
        endpoint_id=endpoint_id, next_attempt_at=at + timedelta(minutes=2) if status == "pending" else None,
        last_status=code, last_error=error,
        created_at=at, updated_at=at,
    )  # fmt: skip
    session.add(delivery)
    session.flush()
    for number, (code, error, excerpt) in enumerate(attempts):
        session.add(
            WebhookAttempt(
                id=new_id("att"), delivery_id=delivery.id, at=at + timedelta(seconds=number), status_code=code,
                error=error, duration_ms=231, response_excerpt=excerpt,
            )
        )  # fmt: skip
    return delivery.id
