"""Each cell of docs/operations/degraded-modes.md about the database and Valkey: who is served while they are gone, hung or emptied, and what follows."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.fakes.processes import stopped
from tests.fakes.service import wait_for
from tests.journeys.budgets import Budgeted, ask
from tests.journeys.siege import BACK_WITHIN_S, CALL, Siege

pytestmark = pytest.mark.journey
Trouble = Callable[[Siege], AbstractContextManager[None]]
MODES = ("leases", "closed", "open")
FREE = "free"
SET_MODE = "from accounts.models import Project; p = Project.objects.get(id='{0}'); p.without_authority = '{1}'; p.save()"
ARCHIVE = "from billing import budgets; from billing.models import Budget; budgets.archive(Budget.objects.get(id='{0}'), None, 'r')"
# More than every worker together holds ahead of a budget for so few calls.
CALLS, ENOUGH = 16, 24


@pytest.fixture(scope="module")
def parties(besieged: Siege) -> dict[str, Budgeted]:
    """A project for each way to go on without the authority, and one without a budget above it."""
    made = {mode: Budgeted(besieged.services[0], "100", scope="project") for mode in (*MODES, FREE)}
    changes = [SET_MODE.format(made[mode].project[4:], mode) for mode in MODES]
    free = made[FREE].budget[4:]
    besieged.services[0].change("\n".join([*changes, ARCHIVE.format(free)]))
    revision = besieged.services[0].figure("sgw_snapshot_revision")
    besieged.services[1].in_force(revision)
    return made


@contextlib.contextmanager
def postgres_gone(besieged: Siege) -> Iterator[None]:
    besieged.postgres.stop()
    try:
        yield
    finally:
        besieged.postgres.start()


@contextlib.contextmanager
def valkey_gone(besieged: Siege) -> Iterator[None]:
    besieged.valkey.stop()
    try:
        yield
    finally:
        besieged.start_valkey()


@contextlib.contextmanager
def both_gone(besieged: Siege) -> Iterator[None]:
    with valkey_gone(besieged), postgres_gone(besieged):
        yield


@contextlib.contextmanager
def valkey_flushed(besieged: Siege) -> Iterator[None]:
    besieged.troubles["Valkey is flushed"]()
    yield


def postgres_hangs(besieged: Siege) -> AbstractContextManager[None]:
    return stopped(besieged.postgres.pid)


def valkey_hangs(besieged: Siege) -> AbstractContextManager[None]:
    return stopped(besieged.valkey_pid)


def call(besieged: Siege, party: Budgeted, number: int = 0) -> int:
    """Make one call on a new connection, so that any worker of one instance may get it, and return the status."""
    status: int = besieged.services[number % 2].post("/v1/chat/completions", ask("hello"), party.key)[0]
    return status


@pytest.mark.parametrize("trouble", [valkey_gone, valkey_hangs, valkey_flushed])
def test_without_valkey_calls_are_served_and_budgets_hold_as_ever(besieged: Siege, parties: dict[str, Budgeted], trouble: Trouble) -> None:
    spent = besieged.budgeted("0.01", scope="project")
    assert [call(besieged, spent), call(besieged, spent)] == [200, 402]
    with trouble(besieged):
        assert {mode: [call(besieged, party, number) for number in range(4)] for mode, party in parties.items()} == dict.fromkeys(parties, [200] * 4)
        # nothing is refilled by what Valkey forgot
        assert [call(besieged, spent, number) for number in range(2)] == [402, 402]


@pytest.mark.parametrize("trouble", [postgres_gone, postgres_hangs, both_gone])
def test_without_the_database_each_project_is_served_as_it_chose(besieged: Siege, parties: dict[str, Budgeted], trouble: Trouble) -> None:
    poor = {mode: besieged.budgeted(f"{CALLS * CALL / 1e9:.2f}", scope="project") for mode in MODES}
    besieged.services[0].change("\n".join(SET_MODE.format(party.project[4:], mode) for mode, party in poor.items()))
    besieged.services[1].in_force(besieged.services[0].figure("sgw_snapshot_revision"))
    for party in (*poor.values(), parties[FREE]):
        assert [call(besieged, party, number) for number in range(2)] == [200, 200]
    held = {mode: besieged.figures(party)[2] for mode, party in poor.items()}
    with trouble(besieged):
        for number in range(2):
            wait_for(lambda: call(besieged, poor["closed"], number) == 503, 10, "the outage is noticed")  # noqa: B023  # waited for in this turn
        assert [call(besieged, poor["closed"], number) for number in range(4)] == [503] * 4
        assert [call(besieged, parties[FREE], number) for number in range(4)] == [200] * 4
        served = [call(besieged, poor["leases"], number) for number in range(ENOUGH)]
        assert (set(served) <= {200, 503}, served[-4:], served.count(200) * CALL <= held["leases"]) == (True, [503] * 4, True)
        assert [call(besieged, poor["open"], number) for number in range(CALLS + 4)] == [200] * (CALLS + 4)
    for mode, party in poor.items():
        if mode != "open":
            for number in range(2):
                wait_for(lambda: call(besieged, party, number) == 200, 30, f"{mode} is served again")  # noqa: B023  # waited for in this turn
            besieged.watched.append(party)
    # the one way to spend more than a budget allows: all of it is recorded
    wait_for(lambda: besieged.figures(poor["open"])[1] == (CALLS + 6) * CALL, BACK_WITHIN_S, "what was served unheld is recorded")
    unheld = besieged.database.rows(f"SELECT count(*) FROM billing_usagerecord WHERE project = '{poor['open'].project[4:]}' AND flags LIKE '%unheld%'")
    assert 0 < unheld[0][0] <= CALLS + 4
    # a lease asked for meanwhile may have come before the receipts did
    wait_for(lambda: call(besieged, poor["open"]) == 402, 10, "the overspent budget refuses")
