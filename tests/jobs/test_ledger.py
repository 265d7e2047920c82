"""Jobs of all kinds keep the invariants of the ledger, whatever happens to them in whatever order."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import func, select

from stemsplitter.credits.models import LedgerEntry
from stemsplitter.database import new_id
from stemsplitter.jobs import repository
from stemsplitter.jobs.models import FAILED, PROCESSING, QUEUED, SUCCEEDED, UNFINISHED, Job
from stemsplitter.jobs.service import JobService
from stemsplitter.service_errors import Conflict, InsufficientCredits, NotFound, RateLimited
from stemsplitter.services import Services
from stemsplitter.tool_jobs import service as tool_service
from stemsplitter.tool_jobs.models import ANALYSIS_QUEUE, EFFECT_QUEUE, AnalysisJob, EffectJob
from stemsplitter.tool_jobs.schemas import CreateSpeech
from tests.splits.conftest import services, settings, tiny_store
from tests.splits.rows import new_split

__all__ = ["services", "settings", "tiny_store"]

KINDS = ("split", "analysis", "effect")
COMMON = (
    *(
        "account_id",
        "status",
        "filename",
        "duration_seconds",
        "progress",
        "source_key",
        "source_bytes",
        "attempts",
    ),
    *("user_metadata", "created_at", "updated_at", "expires_at"),
)  # fields of all jobs


@dataclass
class Known:
    """A job as the model knows it; ``leases`` are those of its runs, the last of which may be valid."""

    kind: str
    cost: int
    status: str = QUEUED
    leases: tuple[str, ...] = ()
    is_deleted: bool = False


class Jobs(RuleBasedStateMachine):
    """The jobs of an account and its balance."""

    made: Services
    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        with self.made.database.write() as session:
            self.account = self.made.accounts.create_account(session, f"{new_id('x')}@example.com".lower()).id
            self.balance = self.made.credits.balance(session, self.account)
        self.known: dict[str, Known] = {}

    def service(self, kind: str) -> JobService[Any, Any]:
        made = self.made
        services = {
            "split": made.splits,
            "analysis": made.analyses,
            "effect": made.effects,
            "speech": made.speech,
        }
        return services[kind]

    def add(self, job_id: str, kind: str, cost: int) -> str:
        self.known[job_id] = Known(kind, cost)
        self.balance -= cost
        return job_id

    def refusal(self, cost: int) -> type[Exception] | None:
        unfinished = sum(each.status in UNFINISHED for each in self.known.values())
        if unfinished >= self.made.settings.max_queued_splits:
            return RateLimited
        return InsufficientCredits if cost > self.balance or not self.balance else None

    @rule(target=jobs, characters=st.integers(1, 400))
    def speak(self, characters: int) -> str:
        cost = -(-characters // 10)
        refusal = self.refusal(cost)
        words = (
            " " if 0 < place < characters - 1 and place % 10 == 5 else "a" for place in range(characters)
        )
        request = CreateSpeech(text="".join(words))
        if refusal:
            with pytest.raises(refusal):
                self.made.speech.create(self.account, request, lambda *_: None)
            return "none"
        data = self.made.speech.create(self.account, request, lambda *_: None)
        assert (data["status"], data["creditsUsed"]) == (QUEUED, cost)
        return self.add(data["id"], "speech", cost)

    @rule(target=jobs, kind=st.sampled_from(KINDS), cost=st.integers(0, 40))
    def queue(self, kind: str, cost: int) -> str:
        job: Job = new_split(self.account)
        if kind != "split":
            fields = {name: getattr(job, name) for name in COMMON}
            table, queue = (AnalysisJob, ANALYSIS_QUEUE) if kind == "analysis" else (EffectJob, EFFECT_QUEUE)
            effect = {"effect": "nightcore", "parameters": {}}
            job = table(id=new_id(kind), model_name=queue, parameters=effect, output_format="mp3", **fields)
        job.source_key = ""
        with self.made.database.write() as session:
            if cost > self.balance:
                with pytest.raises(InsufficientCredits):
                    self.service(kind)._queue(session, job, cost, 0)
                session.rollback()
                return "none"
            self.service(kind)._queue(session, job, cost, 0)
        return self.add(job.id, kind, cost)

    @rule(job_id=jobs)
    def start(self, job_id: str) -> None:
        if job_id in self.known:
            known, lease = self.known[job_id], new_id("run")
            with self.made.database.write() as session:
                started = repository.start(session, job_id, None, lease, "wrk_1")
            assert (started is not None) == (known.status == QUEUED)
            if started:
                known.status, known.leases = PROCESSING, (*known.leases, lease)

    @rule(job_id=jobs, run=st.integers(-3, -1), succeeds=st.booleans())
    def end(self, job_id: str, run: int, succeeds: bool) -> None:
        """A run ends its job; an earlier one has lost its lease."""
        known = self.known.get(job_id)
        if known is None or len(known.leases) < -run:
            return
        is_valid = run == -1 and known.status == PROCESSING
        endings = self.service(known.kind).endings
        with self.made.database.write() as session:
            if succeeds:
                done = endings.succeed(session, job_id, known.leases[run], {}, 1)
            else:
                done = (
                    endings.fail(session, job_id, known.leases[run], "SERVER_ERROR", "It failed.") is not None
                )
        assert done == is_valid
        if is_valid:
            known.status = SUCCEEDED if succeeds else FAILED
            self.balance += 0 if succeeds else known.cost

    @rule(job_id=jobs)
    def lose(self, job_id: str) -> None:
        """The worker of a running job dies."""
        known = self.known.get(job_id)
        if known is not None and known.leases:
            with self.made.database.write() as session:
                requeued = repository.requeue(session, job_id, known.leases[-1])
            assert requeued == (known.status == PROCESSING)
            known.status = QUEUED if requeued else known.status

    @rule(job_id=jobs, times=st.integers(1, 2))
    def cancel(self, job_id: str, times: int) -> None:
        known = self.known.get(job_id)
        if known is None or known.is_deleted:
            return
        with self.made.database.read() as session:
            was_canceled = session.get_one(Job, job_id).error_code == "CANCELED"
        if known.status in (SUCCEEDED, FAILED) and not was_canceled:
            with pytest.raises(Conflict):
                self.service(known.kind).cancel(self.account, job_id)
            return
        for _ in range(times):
            view = self.service(known.kind).cancel(self.account, job_id)
            assert (view.status, view.error.code, view.credits_refunded) == (FAILED, "CANCELED", known.cost)
        self.balance += known.cost if known.status != FAILED else 0
        known.status = FAILED

    @rule(job_id=jobs)
    def delete(self, job_id: str) -> None:
        known = self.known.get(job_id)
        if known is None:
            return
        service = self.service(known.kind)
        if known.is_deleted or known.status in UNFINISHED:
            with pytest.raises(NotFound if known.is_deleted else Conflict):
                service.delete(self.account, job_id)
        else:
            service.delete(self.account, job_id)
            known.is_deleted = True

    @invariant()
    def ledger_is_as_the_model(self) -> None:
        with self.made.database.read() as session:
            assert self.made.credits.balance(session, self.account) == self.balance >= 0
            assert self.made.credits.audit(session) == []
            jobs = select(Job.id, Job.status).where(Job.account_id == self.account)
            assert {row[0]: row[1] for row in session.execute(jobs)} == {
                job_id: job.status for job_id, job in self.known.items()
            }
            sums = (
                select(LedgerEntry.split_id, func.sum(LedgerEntry.amount), func.count())
                .where(LedgerEntry.account_id == self.account, LedgerEntry.split_id.is_not(None))
                .group_by(LedgerEntry.split_id)
            )
            found = {job_id: (amount, count) for job_id, amount, count in session.execute(sums)}
        assert found == {
            job_id: (0 if job.status == FAILED else -job.cost, 1 if job.status in UNFINISHED else 2)
            for job_id, job in self.known.items()
        }


def test_jobs_of_all_kinds_keep_the_invariants(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_service, "has_speech", lambda: True)
    machine = type("MachineOnThisServer", (Jobs,), {"made": services})
    run_state_machine_as_test(
        machine, settings=examples(max_examples=12, stateful_step_count=20, deadline=None)
    )
