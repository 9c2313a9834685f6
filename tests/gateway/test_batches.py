"""Batches in the database: held for beyond their worker's life, settled by what the vendor says became of each request, and explained to the last nano-USD."""

import re
from collections.abc import Iterator
from datetime import timedelta

import msgspec
import orjson
import pytest
import time_machine
from django.utils import timezone
from msgspec import structs

from accounts.models import Project
from billing import leases
from billing.holds import Want
from billing.models import Budget, Lease, UsageRecord, Window
from billing.verification import verify
from gateway import actions, batches, objects
from gateway.models import Batch, ProviderAccount, VendorObject
from gateway.plane.batch import LEASES, CloseBatch, Drafted, OpenBatch, StartedBatch
from gateway.plane.objects import Needs, Note
from gateway.tasks import settle_batches
from tests.billing.budgets import budget, figures, project, taking, want
from tests.fakes.upstream import Turn, Upstream
from tests.gateway.plane import test_batch as plane
from tests.gateway.plane.test_batch import HALF, lines

pytestmark = pytest.mark.django_db
ID = "call_01980000000abcdefabcdefabcdef"
USAGE = {"prompt_tokens": 50, "completion_tokens": 10, "total_tokens": 60}
COST = 50 * 500 + 10 * 1000
FILE = re.compile(r"/v1/files/([\w-]+)(/content)?")


class AtVendor:
    """A vendor with one batch and the files it leaves behind."""

    def __init__(self) -> None:
        self.batch = {"id": "batch_1", "object": "batch", "status": "in_progress", "output_file_id": None, "error_file_id": None}
        self.files: dict[str, bytes] = {}
        # pages of the list by their query
        self.lists: dict[str, dict[str, object]] = {}

    async def __call__(self, turn: Turn) -> None:
        found = FILE.fullmatch(turn.request.path)
        if turn.request.path.startswith("/v1/batches?"):
            await turn.answer(orjson.dumps(self.lists.pop(turn.request.path.partition("?")[2])))
        elif turn.request.path == "/v1/batches/batch_1":
            await turn.answer(orjson.dumps(self.batch))
        elif found is None or found[1] not in self.files:
            await turn.answer(b"{}", status="404 Not Found")
        elif found[2]:
            await turn.answer(self.files[found[1]], headers=b"content-type: application/octet-stream\r\n")
        else:
            await turn.answer(orjson.dumps({"id": found[1], "object": "file"}))

    def end(self, status: str, *answers: tuple[str, int], errors: tuple[tuple[str, str], ...] = ()) -> None:
        """End the batch with an answer (custom_id, status) or an error (custom_id, code) for its requests."""
        self.batch["status"] = status
        rows = [{"custom_id": name, "response": {"status_code": code, "body": {"usage": USAGE} if code == 200 else {}}} for name, code in answers]
        if rows:
            self.batch["output_file_id"] = "file-out"
            self.files["file-out"] = b"\n".join(orjson.dumps(row) for row in rows)
        if errors:
            self.batch["error_file_id"] = "file-err"
            self.files["file-err"] = b"\n".join(orjson.dumps({"custom_id": name, "response": None, "error": {"code": code}}) for name, code in errors)


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[AtVendor]:
    """A running vendor, and its account."""
    there = AtVendor()
    with Upstream(script=there) as upstream:
        account = ProviderAccount(slug="acme", name="Acme", provider="openai", base_url=f"{upstream.url}/v1", transport="own")
        actions.save_provider_account(account, "a-credential")
        yield there


@pytest.fixture
def capped() -> Budget:
    return budget(1_000_000)


def draft(window: str, count: int = 3) -> Drafted:
    content = lines(*[{"model": "up-1"}] * count)
    drafted = plane.draft(content)
    ticket = drafted.tickets[0]
    receipt = structs.replace(ticket.receipt, call_id=ID, worker=LEASES + ID, windows=window, project=str(project().pk), business_unit="", price="")
    drafted.tickets[:] = [structs.replace(ticket, receipt=receipt, price=HALF)]
    return drafted


def opened(of: Budget, count: int = 3) -> tuple[Want, Drafted]:
    """Hold for a batch as the steward does."""
    name = want(of, 1).window
    drafted = draft(name, count)
    wanted = want(of, drafted.quote_nanousd, drafted.quote_nanousd)
    encode = msgspec.msgpack.encode
    question = OpenBatch(
        ID, str(project().pk), "acme", "batches", "file-in", encode(drafted.tickets), encode(drafted.items), drafted.quote_nanousd, (wanted,)
    )
    batches.write_down(question)
    granted = leases.take("here", taking(wanted, worker=LEASES + ID, number=1))
    assert [grant.amount for grant in granted.grants] == [drafted.quote_nanousd]
    batches.hold(ID)
    return wanted, drafted


def started(of: Budget, count: int = 3) -> tuple[Want, Drafted]:
    """The same, taken by its vendor."""
    made = opened(of, count)
    assert batches.start(StartedBatch(ID, "abcdefghij", "batch_1", b'{"id":"batch_1"}'))
    return made


def look() -> bool:
    return batches.look(Batch.objects.get())


def explained() -> str:
    return verify().first_bad


def test_what_a_batch_may_cost_is_held_until_it_is_settled_and_the_rest_goes_back(vendor: AtVendor, capped: Budget) -> None:
    wanted, drafted = started(capped)
    assert figures(wanted.window)["held"] == drafted.quote_nanousd
    assert (look(), explained(), Batch.objects.get().state) == (False, "", "open")
    vendor.end("completed", ("c0", 200), ("c2", 200), errors=(("c1", "some_error"),))
    assert (look(), explained()) == (True, "")
    assert {name: figures(wanted.window)[name] for name in ("spent", "held", "overrun")} == {"spent": 2 * COST, "held": 0, "overrun": 0}
    rows = UsageRecord.objects.order_by("call_id").values_list("call_id", "client_request_id", "status", "outcome", "cost_nanousd", "flags", "error_code")
    assert list(rows) == [
        (f"{ID}-0", "c0", 200, "ok", COST, "tier_batch", ""),
        (f"{ID}-1", "c1", 0, "aborted", 0, "", "some_error"),
        (f"{ID}-2", "c2", 200, "ok", COST, "tier_batch", ""),
    ]
    assert Batch.objects.get().state == "settled"


@pytest.mark.parametrize("status", ["failed", "expired", "cancelled"])
def test_a_batch_that_was_not_finished_is_billed_for_what_was_done(vendor: AtVendor, capped: Budget, status: str) -> None:
    wanted, _ = started(capped)
    done = 0 if status == "failed" else 1
    vendor.end(status, *[("c0", 200)] * done, errors=() if status == "failed" else (("c1", f"batch_{status}"),))
    assert (look(), explained()) == (True, "")
    assert (figures(wanted.window)["spent"], figures(wanted.window)["held"]) == (done * COST, 0)
    assert UsageRecord.objects.count() == 2 * done


def test_a_batch_settled_in_part_is_settled_once(vendor: AtVendor, capped: Budget, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, drafted = started(capped)
    monkeypatch.setattr(batches, "RECEIPTS_AT_ONCE", 1)
    vendor.end("completed", ("c0", 200), ("c1", 200), ("c2", 200))
    whole = vendor.files["file-out"]
    vendor.files["file-out"] = whole[: whole.index(b"\n", whole.index(b"\n") + 1)] + b"\n{broken"
    assert (look(), explained(), Batch.objects.get().problem) == (False, "", "a line of the results cannot be read")
    assert (figures(wanted.window)["spent"], figures(wanted.window)["held"]) == (2 * COST, drafted.quote_nanousd - 2 * COST)
    vendor.files["file-out"] = whole
    assert (look(), explained()) == (True, "")
    assert (figures(wanted.window)["spent"], figures(wanted.window)["held"], UsageRecord.objects.count()) == (3 * COST, 0, 3)


def test_results_of_requests_it_never_had_cost_nothing(vendor: AtVendor, capped: Budget) -> None:
    wanted, _ = started(capped, count=1)
    vendor.end("completed", ("c0", 200), ("c0", 200), ("stranger", 200))
    assert (look(), explained(), figures(wanted.window)["spent"]) == (True, "", COST)


def test_the_hold_of_a_batch_outlives_its_workers_and_its_host(vendor: AtVendor, capped: Budget) -> None:
    wanted, drafted = started(capped)
    assert (leases.workers_of("here"), leases.abandoned()) == (set(), [])
    rest = 1_000_000 - drafted.quote_nanousd
    refused = leases.take("here", taking(want(capped, rest + 1)))
    # it does not come back in a moment
    assert [(grant.amount, grant.reason) for grant in refused.grants] == [(0, "exhausted")]
    Lease.objects.update(at=timezone.now() - timedelta(days=4))
    assert [lease.worker for lease in leases.abandoned()] == [LEASES + ID]
    assert figures(wanted.window)["held"] == drafted.quote_nanousd


def test_a_batch_no_vendor_took_holds_nothing(capped: Budget) -> None:
    wanted, _ = opened(capped)
    batches.close(CloseBatch(ID))
    assert (figures(wanted.window)["held"], Batch.objects.count(), explained()) == (0, 0, "")
    batches.close(CloseBatch(ID))


def test_a_batch_that_began_is_not_closed(vendor: AtVendor, capped: Budget) -> None:
    wanted, drafted = started(capped)
    batches.close(CloseBatch(ID))
    assert (figures(wanted.window)["held"], Batch.objects.count()) == (drafted.quote_nanousd, 1)


def in_eleven_minutes() -> int:
    assert settle_batches() == 0
    with time_machine.travel(timezone.now() + timedelta(minutes=11), tick=True):
        return settle_batches()


def test_a_batch_nobody_heard_of_again_is_found_by_its_file(vendor: AtVendor, capped: Budget) -> None:
    wanted, _ = opened(capped)
    other = Project.objects.create(name="Other", business_unit=project().business_unit)
    objects.answer(Note(str(other.pk), "k", "acme", "batch", "batch_0"))
    theirs = [{"id": "batch_0", "input_file_id": "file-in"}, {"id": "batch_9", "input_file_id": "file-9"}]
    vendor.lists = {
        "limit=100": {"data": theirs, "has_more": True},
        "limit=100&after=batch_9": {"data": [{"id": "batch_1", "input_file_id": "file-in"}], "has_more": True},
    }
    vendor.end("completed", ("c0", 200))
    assert in_eleven_minutes() == 1
    assert (figures(wanted.window)["spent"], figures(wanted.window)["held"], explained()) == (COST, 0, "")
    assert VendorObject.objects.get(object_id="batch_1").project == project()


def test_a_batch_its_vendor_never_took_holds_nothing_after_a_while(vendor: AtVendor, capped: Budget) -> None:
    wanted, _ = opened(capped)
    vendor.lists = {"limit=100": {"data": [{"id": "batch_9", "input_file_id": "file-9"}], "has_more": False}}
    assert in_eleven_minutes() == 0
    assert (figures(wanted.window)["held"], Batch.objects.count(), explained()) == (0, 0, "")


def test_a_batch_that_cannot_be_found_stays_held_for_and_is_shown(vendor: AtVendor, capped: Budget) -> None:
    wanted, drafted = opened(capped)
    Batch.objects.update(resource="messages/batches")
    assert in_eleven_minutes() == 0
    batch = Batch.objects.get()
    assert (batch.state, batch.problem[:32]) == ("lost", "The vendor may have taken it, an")
    assert figures(wanted.window)["held"] == drafted.quote_nanousd


def test_a_batch_that_was_never_held_for_is_forgotten(capped: Budget) -> None:
    name = want(capped, 1).window
    encode = msgspec.msgpack.encode
    drafted = draft(name)
    batches.write_down(OpenBatch(ID, str(project().pk), "acme", "batches", "f", encode(drafted.tickets), encode(drafted.items), 1, ()))
    leases.take("here", taking(want(capped, 5, 5), worker=LEASES + ID, number=1))
    with time_machine.travel(timezone.now() + timedelta(minutes=11), tick=False):
        assert settle_batches() == 0
    assert (Batch.objects.count(), Lease.objects.count(), explained()) == (0, 0, "")
    assert Window.objects.get().held == 0


def test_what_a_batch_left_behind_is_its_projects_and_needed_until_it_is_settled(vendor: AtVendor, capped: Budget) -> None:
    started(capped, count=1)
    vendor.end("completed", ("c0", 200))
    here = str(project().pk)
    seen = orjson.dumps(vendor.batch)
    objects.answer(Note(here, "abcdefghij", "acme", "batch", "batch_1", seen))
    needed = Needs(here, "acme", "file-out")
    assert [thing.object_id for thing in objects.answer(needed).found] == ["batch_1"]
    assert look()
    assert objects.answer(needed).found == ()
    told = VendorObject.objects.get(object_id="file-out")
    assert (str(told.project_id), bytes(told.seen)) == (here, b'{"id":"file-out","object":"file"}')


def test_what_was_made_for_its_answers_is_its_projects(vendor: AtVendor, capped: Budget) -> None:
    other = Project.objects.create(name="Other", business_unit=project().business_unit)
    objects.note(Note(str(other.pk), "k", "acme", "audio", "audio_2"))
    started(capped, 2)
    vendor.end("completed", ("c0", 200), ("c1", 200))
    said = [{"usage": USAGE, "choices": [{"message": {"audio": {"id": f"audio_{at}", "expires_at": 4_000_000_000}}}]} for at in (1, 2)]
    rows = [{"custom_id": f"c{at}", "response": {"status_code": 200, "body": body}} for at, body in enumerate(said)]
    vendor.files["file-out"] = b"\n".join(map(orjson.dumps, rows))
    assert look()
    kept = VendorObject.objects.filter(kind="audio").order_by("object_id").values_list("object_id", "project_id")
    assert list(kept) == [("audio_1", project().pk), ("audio_2", other.pk)]


def test_a_vendor_that_names_another_projects_file_settles_nothing(vendor: AtVendor, capped: Budget) -> None:
    started(capped, count=1)
    other = Project.objects.create(name="Other", business_unit=project().business_unit)
    objects.answer(Note(str(other.pk), "k", "acme", "file", "file-out"))
    vendor.end("completed", ("c0", 200))
    assert (look(), Batch.objects.get().problem) == (False, "The provider names file-out, which is another project's.")


def test_a_batch_is_looked_at_when_its_turn_comes(vendor: AtVendor, capped: Budget) -> None:
    started(capped, count=1)
    vendor.end("completed", ("c0", 200))
    assert settle_batches() == 0
    with time_machine.travel(timezone.now() + timedelta(seconds=6), tick=True):
        assert settle_batches() == 1
        assert settle_batches() == 0


def test_a_vendor_that_fails_is_asked_again_later(vendor: AtVendor, capped: Budget) -> None:
    started(capped)
    vendor.batch["id"] = 7  # type: ignore[assignment]
    assert (look(), Batch.objects.get().problem) == (False, "the provider's answer is not about a batch")
    ProviderAccount.objects.all().delete()
    assert (look(), Batch.objects.get().problem) == (False, "The provider account acme is gone.")
