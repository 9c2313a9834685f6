"""What vendors make for an answer and keep: noted for the call's project before the answer has been given, so that later calls may name it."""

from collections.abc import Callable, Iterable

from gateway.errors import DependencyUnavailable
from gateway.plane.objects import NoSuchObject, Ownership, Thing
from gateway.plane.route import Route
from gateway.plane.speak import SameWire
from gateway.terms import Caller
from gateway.wire.made import Made

# more than this many an answer does not name
MOST_MADE = 200
Tells = Callable[[bytes], Iterable[Made]]


class Watched(SameWire):
    """A stream in the caller's own wire, with what its events say was made, by id."""

    __slots__ = ("_tells", "made")

    def __init__(self, route: Route, tells: Tells, *, keep_usage: bool, limit_bytes: int) -> None:
        super().__init__(route, keep_usage=keep_usage, limit_bytes=limit_bytes)
        self._tells = tells
        self.made: dict[str, Made] = {}

    def _pass(self, events: list[bytes]) -> bytes:
        for event in events:
            self.made |= {one.object_id: one for one in self._tells(event)}
        return super()._pass(events)


async def note(ownership: Ownership, caller: Caller, account: str, things: Iterable[Made]) -> bool:
    """Note things for the caller's project; False when any could not be: whoever names that later hears that it is not known."""
    is_noted = True
    for one in list(things)[:MOST_MADE]:
        try:
            await ownership.note(caller.project.id, caller.key.id, Thing(account, one.kind, one.object_id), one.expires_at_s)
        except (DependencyUnavailable, NoSuchObject):
            is_noted = False
    return is_noted
