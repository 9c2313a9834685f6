"""Models come and go by the catalogue: aliases, deprecation with its day, clearance for classes of data."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from accounts.grants import Asking, grant_of
from accounts.models import AuditEvent, Project
from accounts.requests import asking, deciding
from billing.prices import Book
from gateway import lifecycle
from gateway.actions import save_row
from gateway.models import Model, ModelAlias
from gateway.publish import compile_model
from tests.accounts.requests.people import company, user

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def made(name: str, **fields: Any) -> Model:
    row = Model(name=name, **fields)
    save_row(row)
    return row


def test_what_the_catalogue_says_reaches_the_plane() -> None:
    newer = made("new")
    old = made(
        "old", lifecycle="deprecated", deprecated_at=NOW, retires_at=NOW + timedelta(days=30), successor=newer, data_class="confidential",
        context_tokens=200_000, max_output_tokens=64_000, capabilities=["tools", "vision"],
    )  # fmt: skip
    lifecycle.set_aliases(old, ["latest", "cheap"])
    told = compile_model(Model.objects.get(pk=old.pk), [], NOW, Book())
    assert (told.lifecycle, told.deprecated_at_s, told.retires_at_s, told.successor) == ("deprecated", 1_777_593_600, 1_780_185_600, "new")
    assert (told.aliases, told.cleared_for, told.context_tokens, told.max_output_tokens) == (("cheap", "latest"), 2, 200_000, 64_000)
    assert told.capabilities == ("tools", "vision")


def test_aliases_are_set_as_a_whole_and_never_hide_a_model() -> None:
    model, other = made("one"), made("two")
    lifecycle.set_aliases(model, ["a", "b"])
    lifecycle.set_aliases(model, ["b", "c"])
    assert list(ModelAlias.objects.values_list("name", flat=True)) == ["b", "c"]
    for names in (["two"], ["TWO"], ["a", "a"], ["no spaces"]):
        with pytest.raises(ValidationError):
            lifecycle.set_aliases(model, names)
    with pytest.raises(ValidationError):
        lifecycle.set_aliases(other, ["c"])
    assert AuditEvent.objects.filter(object_kind="model-alias").count() == 4


@pytest.mark.parametrize(
    "fields",
    [
        {"lifecycle": "deprecated"},
        {"lifecycle": "deprecated", "deprecated_at": NOW, "retires_at": NOW - timedelta(days=1)},
        {"capabilities": ["telepathy"]},
        {"capabilities": ["tools", "tools"]},
        {"data_class": "secret"},
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        made("one", **fields)


def test_a_deprecated_model_retires_on_its_day_and_once() -> None:
    due = made("due", lifecycle="deprecated", deprecated_at=timezone.now() - timedelta(days=9), retires_at=timezone.now() - timedelta(minutes=1))
    made("later", lifecycle="deprecated", deprecated_at=timezone.now(), retires_at=timezone.now() + timedelta(days=1))
    assert (lifecycle.retire_due(), lifecycle.retire_due()) == (1, 0)
    assert list(Model.objects.order_by("name").values_list("name", "lifecycle")) == [("due", "retired"), ("later", "deprecated")]
    assert AuditEvent.objects.filter(object_id=f"mdl_{due.pk.hex}", action="model.retire").count() == 1


def test_another_class_of_data_is_for_security_to_decide_and_is_taken_back() -> None:
    people, security = company(), user("sec", "security_officer")
    made("cleared", data_class="restricted")
    made("plain")
    request = asking.submit(Asking("data_class", "confidential", people.dev), "patient files")
    assert [tuple(line) for line in grant_of("data_class").preview(request)] == [
        (f"Data of {people.project}", "internal", "confidential"),
        ("Models cleared for it", "2", "1"),
    ]
    with pytest.raises(PermissionDenied):
        deciding.approve(request, people.manager)
    request = deciding.approve(request, security)
    assert Project.objects.get(pk=people.project.pk).data_class == "confidential"
    with pytest.raises(ValidationError, match="already"):
        asking.submit(Asking("data_class", "confidential", people.dev), "again")
    deciding.take_back(request, security, "not needed")
    assert Project.objects.get(pk=people.project.pk).data_class == "internal"


def test_a_class_that_is_none_cannot_be_asked_for() -> None:
    people: SimpleNamespace = company()
    with pytest.raises(ValidationError, match="Name a class"):
        asking.submit(Asking("data_class", "secret", people.dev), "try")
