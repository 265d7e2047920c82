"""Due deliveries and claims, without workers."""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event, text

from stemsplitter.database import Database
from stemsplitter.webhooks.service import LEASE
from tests.loopback import Handler, Site
from tests.webhooks.world import SPLIT, Clock, World

URL = "http://127.0.0.1/hook"


def test_oldest_delivery_of_each_account_is_due(world: World, receiver: Site, clock: Clock) -> None:
    ended = world.create(receiver.url, {**SPLIT, "id": "split_0"})
    assert world.service.attempt(ended) is None
    oldest = world.create(URL)
    clock.forward(seconds=1)
    world.create(URL, {**SPLIT, "id": "split_2"})
    other = world.create(URL, {**SPLIT, "id": "split_3"}, account_id="acc_2")
    assert world.due() == {oldest: "acc_1", other: "acc_2"}


def test_delivery_is_not_due_before_its_time(world: World, receiver: Site, clock: Clock) -> None:
    receiver.answers = [500]
    delivery_id = world.create(receiver.url)
    assert world.service.attempt(delivery_id) is not None
    assert world.due() == {} and world.claim(delivery_id) == []
    clock.forward(seconds=6)
    assert world.claim(delivery_id) == [delivery_id]


def test_claim_is_exclusive_until_its_lease_expires(world: World, clock: Clock) -> None:
    """A killed worker needs no detection."""
    delivery_id = world.create(URL)
    assert world.claim(delivery_id, "dlv_unknown") == [delivery_id]
    assert world.due() == {} and world.claim(delivery_id) == []
    clock.forward(seconds=LEASE.total_seconds() - 1)
    assert world.due() == {} and world.claim(delivery_id) == []
    clock.forward(seconds=1)
    assert world.due() == {delivery_id: "acc_1"} and world.claim(delivery_id) == [delivery_id]


def test_uncommitted_claim_has_no_effect(world: World) -> None:
    delivery_id = world.create(URL)
    with pytest.raises(RuntimeError), world.database.write() as session:
        assert world.service.claim(session, [delivery_id]) == [delivery_id]
        raise RuntimeError
    assert world.claim(delivery_id) == [delivery_id]


@pytest.mark.parametrize(("answer", "status"), [(200, "delivered"), (410, "gone"), (500, "pending")])
def test_stale_attempt_does_not_reschedule(
    world: World, receiver: Site, clock: Clock, answer: int, status: str
) -> None:
    """Another worker has claimed the delivery of a frozen one: the late result does not change its schedule."""
    delivery_id = world.create(receiver.url)
    world.claim(delivery_id)

    def late(handler: Handler) -> None:
        clock.forward(seconds=LEASE.total_seconds())
        assert world.claim(delivery_id) == [delivery_id]
        handler.reply(answer)

    receiver.answers = [late]
    assert world.service.attempt(delivery_id) is None
    delivery = world.delivery(delivery_id)
    assert (delivery.status, delivery.attempts, delivery.last_status) == (status, 1, answer)
    clock.forward(seconds=LEASE.total_seconds() - 1)
    assert world.due() == {}
    clock.forward(seconds=1)
    assert list(world.due()) == ([delivery_id] if status == "pending" else [])


def test_concurrent_claims_are_disjoint(world: World, empty_database: Callable[[], Database]) -> None:
    """Each thread has its own engine, like a process."""
    made = [world.create(URL, {**SPLIT, "id": f"split_{number}"}) for number in range(12)]
    together = threading.Barrier(4)
    claimed: list[Sequence[str]] = []

    def claim() -> None:
        own = Database(world.database.url)
        try:
            together.wait(timeout=30)
            for start in range(0, len(made), 3):
                with own.write() as session:
                    claimed.append(world.service.claim(session, made[start : start + 3]))
        finally:
            own.close()

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(each for part in claimed for each in part) == sorted(made)


ACCOUNTS = ("acc_1", "acc_2")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.sampled_from(ACCOUNTS)),
        st.tuples(st.just("claim"), st.integers(0, 3)),
        st.tuples(st.just("wait"), st.integers(1, 70)),
        st.tuples(st.just("end"), st.integers(0, 3)),
    ),
    max_size=25,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_lease_belongs_to_one_worker(world: World, clock: Clock, steps: list[tuple[str, object]]) -> None:
    """Compared with a model of when each delivery may be claimed: none is lost, none is claimed twice."""
    with world.database.write() as session:
        session.execute(text("DELETE FROM webhook_events"))
    free_at: dict[str, timedelta] = {}
    owner: dict[str, str] = {}
    for number, (step, given_with) in enumerate(steps):
        if step == "create":
            made = world.create(URL, {**SPLIT, "id": f"split_{number}"}, account_id=str(given_with))
            free_at[made], owner[made] = clock.ahead, str(given_with)
            clock.forward(seconds=0.01)  # the first delivery is due first
        elif step == "wait":
            clock.forward(seconds=int(str(given_with)))
        elif step == "end" and free_at:
            ended = list(free_at)[int(str(given_with)) % len(free_at)]
            with world.database.write() as session:
                session.execute(
                    text(
                        "UPDATE webhook_deliveries SET status = 'failed', next_attempt_at = NULL WHERE id = :id"
                    ),
                    {"id": ended},
                )
            del free_at[ended]
        elif step == "claim":
            wanted = list(free_at)[int(str(given_with)) :]
            may = sorted(each for each in wanted if free_at[each] <= clock.ahead)
            assert world.claim(*wanted) == may
            free_at |= dict.fromkeys(may, clock.ahead + LEASE)
        may_be_taken = {each for each, at in free_at.items() if at <= clock.ahead}
        due = world.due()
        assert due.keys() <= may_be_taken
        assert sorted(due.values()) == sorted({owner[each] for each in may_be_taken})


def test_query_of_due_deliveries_reads_only_partial_indexes(world: World) -> None:
    """The cost must not grow with ended deliveries."""
    world.create(URL)
    said: list[tuple[str, object]] = []

    def listen(_: Connection, __: object, statement: str, parameters: object, *___: object) -> None:
        said.append((statement, parameters))

    event.listen(world.database.engine, "before_cursor_execute", listen)
    world.due()
    event.remove(world.database.engine, "before_cursor_execute", listen)
    looks = [each for each in said if "webhook_deliveries" in each[0]]
    assert len(looks) == 2
    with world.database.engine.connect() as connection:
        if world.database.is_sqlite:
            explain, without = "EXPLAIN QUERY PLAN", "SCAN webhook_deliveries"
        else:
            explain, without = "EXPLAIN", "Seq Scan on webhook_deliveries"
            connection.execute(
                text("SET enable_seqscan = off")
            )  # a sequential scan is the cheapest for one row
        for statement, parameters in looks:
            rows = connection.exec_driver_sql(f"{explain} {statement}", parameters)  # type: ignore[arg-type]
            plan = "\n".join(str(row[-1]) for row in rows)
            assert "ix_webhook_deliveries_" in plan and without not in plan, plan
