"""What holds for credentials of every kind: how long they live, how they are rotated, suspended and revoked."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import actions, credentials, keys
from accounts.models import AuditEvent, BusinessUnit, CredentialPolicy, Project, User, VirtualKey

pytestmark = pytest.mark.django_db
PEPPERS = {1: b"pepper", 2: b"another"}
State = VirtualKey.State


def make(**fields: Any) -> tuple[VirtualKey, str]:
    unit = BusinessUnit.objects.get_or_create(name="U")[0]
    project = Project.objects.get_or_create(name="P", business_unit=unit)[0]
    given = {"project": project, "name": "k", "models": ["*"], "expires_at": timezone.now() + timedelta(days=9)}
    return actions.make_key(**given | fields, pepper=PEPPERS[1], pepper_version=1)


def turn(key: VirtualKey, hours: int) -> tuple[VirtualKey, str]:
    return credentials.rotate(key, pepper=PEPPERS[2], pepper_version=2, overlap=timedelta(hours=hours))


def test_policies_of_every_kind_are_there_from_the_start() -> None:
    rows = CredentialPolicy.objects.values_list("kind", "longest_days", "idle_days")
    keys = [(f"key-{environment}", 365, 90) for environment in ("dev", "prod", "test")]
    assert sorted(rows) == [*keys, ("personal-token", 90, 90), ("scim-token", 365, 0), ("service-account", 365, 90)]
    assert {kind for kind, *_ in rows} == set(CredentialPolicy.Kind.values)


def test_a_key_lives_no_longer_than_its_environment_allows() -> None:
    CredentialPolicy.objects.filter(kind="key-prod").update(longest_days=30)
    far = timezone.now() + timedelta(days=31)
    make(expires_at=far)
    with pytest.raises(ValidationError, match="within 30 days: the policy for virtual keys: prod"):
        make(name="p", expires_at=far, environment="prod")
    dev = VirtualKey.objects.get()
    dev.environment = "prod"
    with pytest.raises(ValidationError, match="within 30 days"):
        actions.save_key(dev)
    assert VirtualKey.objects.get().environment == "dev"


def test_a_key_lives_no_longer_than_its_makers_rights() -> None:
    with pytest.raises(ValidationError, match="your own rights end then"):
        make(rights_end=timezone.now() + timedelta(days=8))
    assert VirtualKey.objects.count() == 0


def test_after_a_rotation_both_secrets_are_good_until_the_overlap_ends() -> None:
    start = datetime(2026, 5, 1, 12, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as clock:
        key, old = make()
        row, new = turn(key, 24)
        assert (row.pk, row.public_id, keys.parse(new.encode()).public_id, old != new) == (key.pk, key.public_id, key.public_id, True)
        good = lambda text: credentials.is_good(VirtualKey.objects.get(), text.encode(), PEPPERS)  # noqa: E731
        assert (good(old), good(new), good(keys.make().text)) == (True, True, False)
        clock.shift(timedelta(hours=23, minutes=59))
        assert (good(old), good(new)) == (True, True)
        clock.shift(timedelta(minutes=1))
        assert (good(old), good(new)) == (False, True)


def test_a_second_rotation_ends_the_oldest_secret_and_none_leaves_no_overlap() -> None:
    key, first = make()
    _, second = turn(key, 24)
    row, third = turn(key, 24)
    assert [credentials.is_good(row, text.encode(), PEPPERS) for text in (first, second, third)] == [False, True, True]
    row, fourth = turn(key, 0)
    assert [credentials.is_good(row, text.encode(), PEPPERS) for text in (third, fourth)] == [False, True]
    assert (row.previous_digest, row.previous_until) == (None, None)


def test_an_overlap_can_be_ended_at_once() -> None:
    key, old = make()
    turn(key, 24)
    assert (credentials.end_overlap(key), credentials.end_overlap(key)) == (True, False)
    assert not credentials.is_good(VirtualKey.objects.get(), old.encode(), PEPPERS)


@pytest.mark.parametrize("hours", [-1, 721])
def test_an_overlap_is_bound_by_policy(hours: int) -> None:
    key, old = make()
    with pytest.raises(ValidationError, match="Choose 0 to 720 hours"):
        turn(key, hours)
    assert credentials.is_good(VirtualKey.objects.get(), old.encode(), PEPPERS)


def test_a_revoked_key_is_neither_rotated_nor_resumed() -> None:
    key, old = make()
    assert credentials.set_state(key, State.REVOKED, reason="no longer needed")
    for act in (lambda: turn(key, 1), lambda: credentials.set_state(key, State.ACTIVE)):
        with pytest.raises(ValidationError, match=r"k is revoked and stays so. Create a new key."):
            act()
    row = VirtualKey.objects.get()
    assert (row.state, row.state_reason, row.is_compromised, credentials.is_good(row, old.encode(), PEPPERS)) == ("revoked", "no longer needed", False, False)


def test_what_was_revoked_can_still_be_marked_as_compromised() -> None:
    key, _ = make()
    assert [
        credentials.set_state(key, State.REVOKED),
        credentials.set_state(key, State.REVOKED, reason="found on a paste site", compromised=True),
        credentials.set_state(key, State.REVOKED),
    ] == [True, True, False]
    row = VirtualKey.objects.get()
    assert (row.is_compromised, row.state_reason) == (True, "found on a paste site")


def test_only_those_as_high_as_the_suspender_resume() -> None:
    key, _ = make()
    credentials.set_state(key, State.SUSPENDED, reason="odd traffic", level=3)
    with pytest.raises(PermissionDenied, match="suspended by somebody above you: odd traffic"):
        credentials.set_state(key, State.ACTIVE, level=2)
    assert credentials.set_state(key, State.ACTIVE, level=3)
    row = VirtualKey.objects.get()
    assert (row.state, row.suspended_level) == ("active", 0)


def test_somebody_higher_takes_over_what_is_suspended_already() -> None:
    key, _ = make()
    assert [credentials.set_state(key, State.SUSPENDED, level=level) for level in (1, 3, 2)] == [True, True, False]
    with pytest.raises(PermissionDenied):
        credentials.set_state(key, State.ACTIVE, level=2)


def test_the_trail_tells_a_rotation_without_digests() -> None:
    key, _ = make()
    turn(key, 1)
    event = AuditEvent.objects.filter(object_id=f"key_{key.public_id}").first()
    assert event is not None
    changes = event.texts["changes"]["value"]
    assert (event.action, changes["digest"], changes["previous_digest"]) == ("key.update", ["(changed)", "(changed)"], [None, "(changed)"])


@pytest.mark.parametrize("fields", [{"is_compromised": True}, {"previous_digest": b"d"}, {"state": "gone"}, {"name": ""}])
def test_the_database_refuses_what_no_action_makes(fields: dict[str, Any]) -> None:
    key, _ = make()
    with pytest.raises(IntegrityError), transaction.atomic():
        VirtualKey.objects.filter(pk=key.pk).update(**fields)


def test_ranges_and_tags_are_stored_in_one_form() -> None:
    key, _ = make(allowed_ips=["10.1.2.3/8"], tags={"b": "2", "a": "1"})
    row = VirtualKey.objects.get(pk=key.pk)
    assert (row.allowed_ips, list(row.tags.items())) == (["10.0.0.0/8"], [("a", "1"), ("b", "2")])
    for field, value in (("allowed_ips", ["nowhere"]), ("tags", {"a": "x,y"})):
        with pytest.raises(ValidationError) as refused:
            make(**{"name": "other", field: value})
        assert list(refused.value.message_dict) == [field]


def test_a_personal_key_needs_an_active_owner() -> None:
    gone = User.objects.create_user("gone@example.com", is_active=False)
    with pytest.raises(ValidationError, match=r"gone@example.com is not active"):
        make(owner=gone)
