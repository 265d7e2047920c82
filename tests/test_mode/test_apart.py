"""Live keys and test keys see nothing of each other, and test keys cost nothing, whatever they do in whatever order."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import select

from stemsplitter.credits.models import LedgerEntry
from stemsplitter.database import new_id
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from stemsplitter.tool_jobs import service as tool_service

from .conftest import Client, worker
from .test_jobs import TOOLS

LIVE, TEST = "live", "test"
MODES = st.sampled_from((LIVE, TEST))
KINDS = ("splits", *TOOLS)
ENDPOINTS = "/webhook_endpoints"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data", model_6s="tiny_6s", free_credits=30, allowed_networks="127.0.0.0/8"
    )


class Apart(RuleBasedStateMachine):
    """An account with a key of each mode, and what each has created: the list of its path."""

    made: Services
    app: TestClient
    song: bytes

    def __init__(self) -> None:
        super().__init__()
        with self.made.database.write() as session:
            self.account = self.made.accounts.create_account(session, f"{new_id('x')}@example.com".lower()).id
        self.clients = {
            mode: Client(self.app, self.made, self.account, is_test=mode == TEST) for mode in (LIVE, TEST)
        }
        paths = (*(f"/audio/{kind}" for kind in KINDS), ENDPOINTS)
        self.created: dict[str, dict[str, list[str]]] = {
            mode: {path: [] for path in paths} for mode in (LIVE, TEST)
        }
        self.once: dict[tuple[str, str], str] = {}
        self.work: Callable[[], int] = worker(self.made)

    def ledger(self) -> list[tuple[str, str, int]]:
        with self.made.database.read() as session:
            query = select(LedgerEntry.account_id, LedgerEntry.id, LedgerEntry.amount)
            return sorted(tuple(row) for row in session.execute(query))

    def act(self, mode: str, action: Callable[[], Any]) -> Any:
        """Return the result of an action, which changes the ledger with a live key only."""
        before = self.ledger()
        result = action()
        assert mode == LIVE or self.ledger() == before
        return result

    def other(self, mode: str) -> str:
        return TEST if mode == LIVE else LIVE

    @rule(mode=MODES, kind=st.sampled_from(KINDS), is_repeated=st.booleans())
    def create(self, mode: str, kind: str, is_repeated: bool) -> None:
        client, path = self.clients[mode], f"/audio/{kind}"
        body = dict(TOOLS.get(kind, {}))
        if kind != "speech":
            body["input"] = client.upload(self.song)
            is_repeated = False  # each upload is another body
        headers = {"Idempotency-Key": "once"} if is_repeated else {}
        response = self.act(mode, lambda: client.ask("POST", path, body, **headers))
        if response.status_code == 402:
            assert mode == LIVE
            return
        job_id = response.json()["data"]["id"]
        if is_repeated and (mode, path) in self.once:  # the first response, even if the job was deleted since
            assert job_id == self.once[mode, path]
            return
        if is_repeated:
            self.once[mode, path] = job_id
        self.created[mode][path].append(job_id)

    @rule(mode=MODES)
    def save_endpoint(self, mode: str) -> None:
        body = {"url": "https://example.com/hook", "events": ["*"]}
        made = self.act(mode, lambda: self.clients[mode].data("POST", ENDPOINTS, body))
        self.created[mode][ENDPOINTS].append(made["id"])

    @rule(
        mode=MODES,
        kind=st.sampled_from(KINDS),
        index=st.integers(0, 2),
        verb=st.sampled_from(("cancel", "delete")),
    )
    def end(self, mode: str, kind: str, index: int, verb: str) -> None:
        """A key ends a job of its own; the other key cannot."""
        path = f"/audio/{kind}"
        own = self.created[mode][path]
        if index >= len(own):
            return
        call = (
            ("POST", f"{path}/{own[index]}/cancel")
            if verb == "cancel"
            else ("DELETE", f"{path}/{own[index]}")
        )
        other = self.clients[self.other(mode)]
        assert other.ask(*call).status_code == other.ask("GET", f"{path}/{own[index]}").status_code == 404
        response = self.act(mode, lambda: self.clients[mode].ask(*call))
        assert response.status_code in (200, 409)
        if verb == "delete" and response.status_code == 200:
            del own[index]

    @rule()
    def run(self) -> None:
        self.act(TEST, self.work)

    @rule(mode=MODES)
    def use_upload_of_the_other(self, mode: str) -> None:
        body = {"input": self.clients[self.other(mode)].upload(self.song)}
        assert (
            self.act(TEST, lambda: self.clients[mode].ask("POST", "/audio/splits", body)).status_code == 422
        )

    @invariant()
    def each_key_sees_its_own(self) -> None:
        for mode, client in self.clients.items():
            for path, expected in self.created[mode].items():
                assert {each["id"] for each in client.data("GET", path)["items"]} == set(expected)
        assert self.clients[TEST].data("GET", "/credits")["balance"] == 100_000
        assert not any(account.startswith("test_") for account, *_ in self.ledger())
        with self.made.database.read() as session:
            assert self.made.credits.audit(session) == []


@pytest.mark.sqlite
def test_live_and_test_objects_stay_apart(
    services: Services, app: TestClient, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool_service, "has_speech", lambda: True)
    machine = type("MachineOnThisServer", (Apart,), {"made": services, "app": app, "song": song.read_bytes()})
    run_state_machine_as_test(
        machine, settings=examples(max_examples=5, stateful_step_count=12, deadline=None)
    )
