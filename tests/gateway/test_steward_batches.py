"""A worker's word about a batch, to the steward and back: held in every budget or in none, begun, or given up."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from asgiref.sync import sync_to_async

from billing.models import Lease, Window
from billing.verification import verify
from gateway.models import Batch, VendorObject
from gateway.plane.batch import LEASES, CloseBatch, OpenBatch, Opened, StartedBatch
from tests.billing.budgets import budget, project, want
from tests.gateway.test_batches import ID, draft
from tests.gateway.test_steward import Published, connected

pytestmark = pytest.mark.django_db(transaction=True)


def question(*amounts: int, least: int) -> OpenBatch:
    """Ask for as much of budgets of these amounts."""
    budgets = [budget(amount, name=str(amount)) for amount in amounts]
    drafted, encode = draft(" ".join(want(one, 1).window for one in budgets)), msgspec.msgpack.encode
    wants = tuple(want(one, least, least) for one in budgets)
    return OpenBatch(ID, str(project().pk), "acme", "batches", "file-in", encode(drafted.tickets), encode(drafted.items), least, wants)


def held() -> tuple[list[int], list[str], list[str], str]:
    """Return what windows hold, whose leases those are and on which host, and what the ledger has to say."""
    leases = Lease.objects.filter(outstanding__gt=0)
    return (
        list(Window.objects.order_by("base").values_list("held", flat=True)),
        sorted(set(leases.values_list("worker", flat=True))),
        sorted(set(leases.values_list("host", flat=True))),
        verify().first_bad,
    )


async def test_a_batch_is_held_for_begun_and_stays(tmp_path: Path) -> None:
    asked = await sync_to_async(question)(5_000, 9_000, least=4_000)
    async with connected(tmp_path, Published(), one=True) as (steward, (line,)):
        leasing = asyncio.create_task(steward._leasing.run())
        opened = await line.link.batch(asked)
        assert (opened.ok, [grant.amount for grant in opened.grants]) == (True, [4_000, 4_000])
        assert await sync_to_async(held)() == ([4_000, 4_000], [LEASES + ID], [""], "")
        started = await line.link.batch(StartedBatch(ID, "abcdefghij", "batch_1", b"{}"))
        assert (started.ok, await line.link.batch(CloseBatch(ID))) == (True, Opened(ok=True, number=started.number + 1))
        leasing.cancel()
    assert await sync_to_async(held)() == ([4_000, 4_000], [LEASES + ID], [""], "")
    assert await sync_to_async(lambda: (Batch.objects.get().object_id, VendorObject.objects.get().object_id))() == ("batch_1", "batch_1")


async def test_where_one_budget_refuses_nothing_is_held_in_any(tmp_path: Path) -> None:
    asked = await sync_to_async(question)(3_000, 9_000, least=4_000)
    async with connected(tmp_path, Published(), one=True) as (steward, (line,)):
        leasing = asyncio.create_task(steward._leasing.run())
        opened = await line.link.batch(asked)
        assert (opened.ok, [(grant.amount, grant.reason) for grant in opened.grants]) == (True, [(0, "exhausted"), (4_000, "")])
        leasing.cancel()
    assert await sync_to_async(held)() == ([0, 0], [], [], "")
    assert await sync_to_async(Batch.objects.count)() == 0


async def test_a_batch_that_was_given_up_holds_nothing_and_one_nobody_knows_is_not_begun(tmp_path: Path) -> None:
    asked = await sync_to_async(question)(9_000, least=4_000)
    async with connected(tmp_path, Published(), one=True) as (steward, (line,)):
        leasing = asyncio.create_task(steward._leasing.run())
        assert (await line.link.batch(asked)).ok
        assert (await line.link.batch(CloseBatch(ID))).ok
        assert (await line.link.batch(StartedBatch(ID, "abcdefghij", "batch_1", b"{}"))).ok is False
        leasing.cancel()
    assert await sync_to_async(held)() == ([0], [], [], "")
