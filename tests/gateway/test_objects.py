"""Whose the objects at vendors are: each its first project's, listed for that alone, gone when the vendor has deleted it."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from accounts.models import BusinessUnit, Project
from gateway import objects
from gateway.models import VendorObject
from gateway.plane.objects import Drop, Note, Objects, Page, Search, Thing
from gateway.tasks import forget_vendor_objects

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
NOTHING = Objects(ok=True)


@pytest.fixture
def unit() -> BusinessUnit:
    return BusinessUnit.objects.create(name="Unit")


@pytest.fixture
def project(unit: BusinessUnit) -> str:
    return str(Project.objects.create(name="One", business_unit=unit).pk)


@pytest.fixture
def other(unit: BusinessUnit) -> str:
    return str(Project.objects.create(name="Two", business_unit=unit).pk)


def note(project: str, object_id: str, account: str = "openai", kind: str = "file", seen: bytes = b"{}", expires_at_s: int = 0) -> Objects:
    return objects.answer(Note(project, "key", account, kind, object_id, seen, expires_at_s))


def ids(found: Objects) -> list[str]:
    return [thing.object_id for thing in found.found]


def test_an_object_is_its_first_projects_for_good(project: str, other: str) -> None:
    assert note(project, "file-1") == Objects(ok=True, found=(Thing("openai", "file", "file-1", b"{}"),))
    assert note(other, "file-1", seen=b'{"stolen":1}') == NOTHING
    assert note(project, "file-1", kind="batch") == NOTHING
    assert objects.answer(Search(project, ("file-1",))).found == (Thing("openai", "file", "file-1", b"{}"),)
    assert objects.answer(Search(other, ("file-1",))) == NOTHING
    assert note(other, "file-1", account="azure").found == (Thing("azure", "file", "file-1", b"{}"),)


def test_what_is_told_later_takes_the_place_of_what_was_told_before(project: str) -> None:
    note(project, "file-1", seen=b'{"status":"uploaded"}')
    note(project, "file-1", seen=b'{"status":"processed"}')
    note(project, "file-1", seen=b"")
    assert objects.answer(Search(project, ("file-1",))).found[0].seen == b'{"status":"processed"}'


def test_only_what_was_asked_for_is_found(project: str) -> None:
    for account, kind, object_id in (("openai", "file", "a"), ("openai", "batch", "b"), ("azure", "file", "c")):
        note(project, object_id, account, kind)
    assert sorted(ids(objects.answer(Search(project, ("a", "b", "c", "d"))))) == ["a", "b", "c"]
    assert ids(objects.answer(Search(project, ("a", "b", "c"), account="openai", kind="file"))) == ["a"]


def test_pages_go_both_ways_and_stay_within_the_project(project: str, other: str) -> None:
    for number in range(5):
        note(project, f"f{number}")
        note(other, f"g{number}")
    note(project, "batch-1", kind="batch")
    first = objects.answer(Page(project, "file", 2))
    assert (ids(first), first.has_more) == (["f4", "f3"], True)
    last = objects.answer(Page(project, "file", 3, after="f3"))
    assert (ids(last), last.has_more) == (["f2", "f1", "f0"], False)
    rising = objects.answer(Page(project, "file", 2, after="f1", is_ascending=True))
    assert (ids(rising), rising.has_more) == (["f2", "f3"], True)
    back = objects.answer(Page(project, "file", 2, before="f1"))
    assert (ids(back), back.has_more) == (["f3", "f2"], True)
    assert objects.answer(Page(project, "file", 2, after="g3")) == NOTHING
    assert objects.answer(Page(project, "file", 2, account="azure")) == NOTHING


def test_what_is_gone_is_forgotten_by_its_own_project_alone(project: str, other: str) -> None:
    note(project, "file-1")
    objects.answer(Drop(other, "openai", "file-1"))
    assert ids(objects.answer(Search(project, ("file-1",)))) == ["file-1"]
    objects.answer(Drop(project, "openai", "file-1"))
    assert objects.answer(Search(project, ("file-1",))) == NOTHING


def test_what_a_vendor_has_deleted_by_itself_is_forgotten(project: str) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        note(project, "file-1", expires_at_s=int((NOW + timedelta(days=1)).timestamp()))
        note(project, "file-2")
        assert forget_vendor_objects() == 0
        clock.move_to(NOW + timedelta(days=1))
        assert forget_vendor_objects() == 1
    assert list(VendorObject.objects.values_list("object_id", flat=True)) == ["file-2"]
