"""What goes on when its caller has left."""

import asyncio

import pytest

from gateway.batching import going_on, outliving
from gateway.errors import BadRequest


async def test_work_is_done_to_its_end_though_its_caller_leaves_and_what_it_brought_is_put_away() -> None:
    begun, go, left = asyncio.Event(), asyncio.Event(), list[str]()

    async def work() -> str:
        begun.set()
        await go.wait()
        return "brought"

    caller = asyncio.create_task(outliving(work(), left.append))
    await begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert left == []
    (task,) = going_on
    go.set()
    assert await task == "brought"
    await asyncio.sleep(0)
    assert (left, going_on) == (["brought"], set())


async def test_who_stays_hears_what_became_of_it() -> None:
    left = list[int]()

    async def work(number: int) -> int:
        if not number:
            raise BadRequest("No.")
        return number

    assert await outliving(work(3), left.append) == 3
    with pytest.raises(BadRequest, match="No"):
        await outliving(work(0), left.append)
    assert left == []
