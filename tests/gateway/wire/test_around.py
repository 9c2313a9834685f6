"""What stands around bodies is told as the cases say: ids, rate limits, and every kind of refusal, by vendors of each wire to callers of each."""

import pytest

from tests.gateway.wire.around import clients, scripts, told
from tests.gateway.wire.grid import pairs

TITLES = {"an answer", "the request is too long", "no such model", "the gateway's credential", "too many requests", "overloaded", "a fault of its own"}
CASES = [
    pytest.param(client, upstream, title, id=f"{title}: {upstream} to {client}")
    for upstream, script in scripts().items()
    for title in script
    for client in clients(upstream)
]


def test_vendors_of_every_wire_say_everything_and_callers_of_every_wire_hear_it() -> None:
    assert scripts().keys() == {upstream for _, upstream in pairs()}
    for upstream, script in scripts().items():
        assert script.keys() == TITLES
        assert [list(said["told"]) for said in script.values()] == [clients(upstream)] * len(TITLES)


@pytest.mark.parametrize(("client", "upstream", "title"), CASES)
def test_callers_are_told_ids_limits_and_refusals_as_their_sdk_looks_for_them(client: str, upstream: str, title: str) -> None:
    said = scripts()[upstream][title]
    assert told(client, upstream, said) == said["told"][client]
