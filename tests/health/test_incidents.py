from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.health.incidents import MAX_GAP, MAX_WAIT_S, Incident, incidents
from stemsplitter.health.models import HealthCheck

START = datetime(2026, 5, 3, 10, tzinfo=UTC)


def minute(number: int) -> datetime:
    return START + timedelta(minutes=number)


def check(number: int, *, storage: bool = True, waited_s: int = 0, faults: int = 0) -> HealthCheck:
    return HealthCheck(
        at=minute(number), storage=storage, queued=0, waited_s=waited_s, workers=1, faults=faults
    )


def test_no_checks_or_good_checks_are_no_incident() -> None:
    assert incidents([], START) == []
    assert incidents([check(number) for number in range(60)], minute(61)) == []


def test_gap_between_checks_is_an_incident() -> None:
    text = "No worker was running"
    seen = [check(0), check(1), check(30), check(31)]
    assert incidents(seen, minute(32)) == [Incident(text, minute(1), minute(30))]
    assert incidents(seen[:2], minute(10)) == [Incident(text, minute(1), None)]
    assert incidents([check(0), check(5)], minute(10)) == []  # the largest gap allowed


def test_consecutive_bad_checks_are_one_incident() -> None:
    seen = [check(0), check(1, storage=False), check(2, storage=False), check(3), check(4, storage=False)]
    text = "The file storage was unavailable"
    assert incidents(seen, minute(5)) == [
        Incident(text, minute(4), None),
        Incident(text, minute(1), minute(3)),
    ]


def test_incident_reports_waits_and_failures() -> None:
    seen = [
        check(0, waited_s=MAX_WAIT_S),
        check(1, waited_s=MAX_WAIT_S + 1),
        check(2, waited_s=1800),
        check(3),
    ]
    assert [each.text for each in incidents(seen, minute(4))] == [
        "Splits waited up to 30 minutes for a worker"
    ]
    seen = [check(0, faults=1), check(1), check(2, faults=2), check(3, faults=3), check(4)]
    assert [each.text for each in incidents(seen, minute(5))] == [
        "5 splits failed because of a server error; their credits were refunded",
        "1 split failed because of a server error; its credits were refunded",
    ]


@given(st.lists(st.tuples(st.integers(1, 20), st.booleans(), st.integers(0, 1200), st.integers(0, 2))))
def test_incidents_are_ordered_and_within_the_checks(rows: list[tuple[int, bool, int, int]]) -> None:
    seen, number = [], 0
    for gap, storage, waited_s, faults in rows:
        number += gap
        seen.append(check(number, storage=storage, waited_s=waited_s, faults=faults))
    found = incidents(seen, minute(number + 1))
    assert [each.began for each in found] == sorted((each.began for each in found), reverse=True)
    for each in found:
        assert seen[0].at <= each.began
        assert each.ended is None or each.began < each.ended <= seen[-1].at
    quiet = all(gap <= MAX_GAP.seconds // 60 for gap, *_ in rows[1:])
    healthy = all(storage and waited <= MAX_WAIT_S and not faults for _, storage, waited, faults in rows)
    assert (found == []) == (quiet and healthy)
