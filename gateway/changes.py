"""The configuration revision: every change raises its number inside the transaction that makes the change."""

import uuid
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Model

from accounts.models import USE_FIELDS
from gateway.models import Change, Revision

# Rows that say who may call with an access token, and where they name the person.
PEOPLE = {"User": "pk", "Membership": "user_id", "OidcIdentity": "user_id"}
CHANNEL = "symbiosis_revision"
UNSEEN_FIELDS = frozenset({*USE_FIELDS, "checked_at", "check_result", "last_login", "password", "groups", "last_sign_in_at", "fetched_at", "tried_at"})


def publish_change(kind: str, object_id: uuid.UUID | None = None) -> int:
    """Raise the revision and note what changed (`key` or `person` with its id, or `structure`); return the new number.

    The update locks the one revision row until the surrounding transaction ends, so numbers commit in order.
    """
    with transaction.atomic():
        if not Revision.objects.filter(id=1).update(number=F("number") + 1):
            Revision.objects.create(id=1, number=1)
        number = Revision.objects.values_list("number", flat=True).get(id=1)
        Change.objects.create(number=number, kind=kind, object_id=object_id)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                # heard by stewards when this transaction commits; the poll finds it all the same
                cursor.execute(f"NOTIFY {CHANNEL}")
    return number


def note_saved(sender: type[Model], instance: Any, update_fields: frozenset[str] | None = None, **_: Any) -> None:
    """Raise the revision after a row of the configuration is saved or deleted, by whatever road; not for fields the plane never sees."""
    if update_fields is not None and set(update_fields) <= UNSEEN_FIELDS:
        return
    if sender.__name__ in PEOPLE:
        if settings.OIDC.takes_bearers:
            publish_change(Change.Kind.PERSON, getattr(instance, PEOPLE[sender.__name__]))
    elif sender.__name__ == "VirtualKey":
        publish_change(Change.Kind.KEY, instance.pk)
    else:
        publish_change(Change.Kind.STRUCTURE)
