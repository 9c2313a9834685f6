"""Models and production for keys, asked for, given, and taken back."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.grants import Asking, grant_of
from accounts.models import VirtualKey
from accounts.requests import asking, deciding
from gateway.actions import create_virtual_key, save_row
from gateway.models import Model
from tests.accounts.requests.people import company, user

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> SimpleNamespace:
    found = company()
    for name in ("small", "large"):
        save_row(Model(name=name))
    for name in ("a", "b"):
        create_virtual_key(project=found.project, name=name, models=["small"], expires_at=timezone.now() + timedelta(days=9))
    return found


def allowed() -> dict[str, list[str]]:
    return dict(VirtualKey.objects.order_by("name").values_list("name", "models"))


def test_a_model_is_opened_to_the_keys_of_ones_only_project_and_shut_again(people: SimpleNamespace) -> None:
    request = asking.submit(Asking("model", "large", people.dev), "better answers")
    assert [tuple(line) for line in grant_of("model").preview(request)] == [(f"Models of key {name}", "small", "small, large") for name in ("a", "b")]
    request = deciding.approve(request, people.manager)
    assert allowed() == {"a": ["small", "large"], "b": ["small", "large"]}
    deciding.take_back(request, people.manager, "too dear")
    assert allowed() == {"a": ["small"], "b": ["small"]}


def test_a_model_is_opened_to_one_key(people: SimpleNamespace) -> None:
    key = VirtualKey.objects.get(name="b")
    deciding.approve(asking.submit(Asking("model", "large", people.dev, {"key": f"key_{key.public_id}"}), "try"), people.manager)
    assert allowed() == {"a": ["small"], "b": ["small", "large"]}
    with pytest.raises(ValidationError, match="already"):
        asking.submit(Asking("model", "large", people.dev, {"key": f"key_{key.public_id}"}), "try")


def test_models_outside_the_catalogue_and_foreign_keys_cannot_be_asked_for(people: SimpleNamespace) -> None:
    with pytest.raises(ValidationError, match="catalogue"):
        asking.submit(Asking("model", "huge", people.dev), "try")
    key = VirtualKey.objects.get(name="b")
    with pytest.raises(ValidationError, match="not yours to see"):
        asking.submit(Asking("model", "large", user("stranger"), {"key": f"key_{key.public_id}"}), "try")


def test_a_key_becomes_one_for_production(people: SimpleNamespace) -> None:
    key = VirtualKey.objects.get(name="a")
    request = deciding.approve(asking.submit(Asking("production_key", f"key_{key.public_id}", people.dev), "launch"), people.manager)
    assert VirtualKey.objects.get(pk=key.pk).environment == "prod"
    deciding.take_back(request, people.manager, "too early")
    assert VirtualKey.objects.get(pk=key.pk).environment == "dev"
