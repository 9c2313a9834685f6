"""Fields of requests and answers: prefixed ids, moments, and objects that refuse unknown names."""

import uuid
from datetime import UTC, datetime
from typing import Any

from django.db.models import Model, QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import BusinessUnit, Membership, Project, User, VirtualKey


class Given(serializers.Serializer[Any]):
    """What a request may hold: its fields are all there is, any other name is refused."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the checked values; raises ValidationError naming every unknown field."""
        if isinstance(data, dict):
            unknown = {name: [f"There is no such field. Fields are: {', '.join(self.fields)}."] for name in data if name not in self.fields}
            if unknown:
                raise serializers.ValidationError(unknown)
        return super().to_internal_value(data)


class Shown(serializers.Serializer[Any]):
    """What an answer holds."""


def shown_id(row: Model) -> str:
    """Return the prefixed id of a unit, project, person or key."""
    if isinstance(row, User):
        return f"usr_{row.pk.hex}"
    if isinstance(row, BusinessUnit):
        return f"bu_{row.pk.hex}"
    if isinstance(row, Project):
        return f"prj_{row.pk.hex}"
    assert isinstance(row, VirtualKey)
    return f"key_{row.public_id}"


def uuid_of(text: str, prefix: str) -> uuid.UUID | None:
    """Return the UUID of a prefixed id, None when it has another form."""
    bare = text.removeprefix(prefix)
    if bare == text or len(bare) != 32:
        return None
    try:
        return uuid.UUID(bare)
    except ValueError:
        return None


PREFIXES: dict[type[Model], str] = {BusinessUnit: "bu_", Project: "prj_", User: "usr_", Membership: "mbr_"}


def look_up(rows: QuerySet[Any], text: str) -> Any:
    """Return the row of a prefixed id among the rows, or None."""
    if rows.model is VirtualKey:
        bare = text.removeprefix("key_")
        return rows.filter(public_id=bare).first() if bare != text and bare.isascii() and bare.isalnum() else None
    found = uuid_of(text, PREFIXES[rows.model])
    return rows.filter(pk=found).first() if found else None


@extend_schema_field({"type": "string"})
class Reference(serializers.Field[Any, str, str, Any]):
    """The prefixed id of a unit, project or key; `visible` is an access function, asked for whoever calls."""

    def __init__(self, visible: Any, **options: Any) -> None:
        super().__init__(**options)
        self.visible = visible

    def to_internal_value(self, data: Any) -> Any:
        """Return the row; raises ValidationError when the caller sees none of that id."""
        found = look_up(self.visible(self.context["request"].user), data) if isinstance(data, str) else None
        if found is None:
            raise serializers.ValidationError("There is no such object, or it is not yours to see. Check the id.")
        return found

    def to_representation(self, value: Any) -> str:
        """Return the prefixed id."""
        return shown_id(value)


@extend_schema_field({"type": "string"})
class Person(serializers.Field[User, str, str, Any]):
    """A person by `usr_...` or e-mail address."""

    def to_internal_value(self, data: Any) -> User:
        """Return the active person; raises ValidationError when there is none."""
        rows, text = User.objects.filter(is_active=True), data if isinstance(data, str) and "\0" not in data else ""
        number = uuid_of(text, "usr_")
        found = rows.filter(pk=number).first() if number else rows.filter(email=text.strip().lower()).first()
        if found is None:
            raise serializers.ValidationError("There is no such person. Name somebody by usr_... or by e-mail address.")
        return found

    def to_representation(self, value: User) -> str:
        """Return the prefixed id."""
        return shown_id(value)


@extend_schema_field({"type": "string", "format": "date-time"})
class Moment(serializers.Field[datetime, str, str, Any]):
    """A moment as RFC 3339; answers are in UTC."""

    def to_internal_value(self, data: Any) -> datetime:
        """Return an aware moment in UTC; raises ValidationError without an offset."""
        return moment(data)

    def to_representation(self, value: datetime) -> str:
        """Return the moment in UTC with a Z."""
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def moment(text: Any) -> datetime:
    """Return an RFC 3339 text as an aware moment in UTC; raises ValidationError."""
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None and 1970 <= found.year < 9999:
            return found.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        pass  # told below
    raise serializers.ValidationError("Write a moment between 1970 and 9998 with its offset, such as 2026-12-31T23:59:59Z.")
