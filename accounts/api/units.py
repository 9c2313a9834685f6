"""business-units: the organisation's tree."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import exceptions, serializers

from accounts import access, actions
from accounts.api.fields import Given, Moment, Reference, Shown, look_up, shown_id
from accounts.api.resource import Changes, Makes, Resource
from accounts.models import BusinessUnit


class UnitGiven(Given):
    """A new business unit."""

    name = serializers.CharField(max_length=200)
    parent = Reference(access.visible_business_units, required=False, allow_null=True, help_text="`bu_...`; none for an organisation.")  # type: ignore[assignment]  # DRF keeps fields elsewhere
    code = serializers.CharField(max_length=64, required=False, allow_blank=True, help_text="Chargeback code.")


class UnitShown(Shown):
    """A business unit."""

    id = serializers.SerializerMethodField()
    name = serializers.CharField()
    parent = serializers.SerializerMethodField()  # type: ignore[assignment]  # DRF keeps fields elsewhere
    code = serializers.CharField()
    created_at = Moment()

    def get_id(self, unit: BusinessUnit) -> str:
        """Return the prefixed id."""
        return shown_id(unit)

    def get_parent(self, unit: BusinessUnit) -> str | None:
        """Return the prefixed id of the unit above."""
        return f"bu_{unit.parent_id.hex}" if unit.parent_id else None


class BusinessUnits(Makes, Changes, Resource):
    """Business units."""

    resource = "business-units"
    shows, makes, changes = UnitShown, UnitGiven, UnitGiven
    filters = {"parent": "Units directly below this one (`bu_...`)."}

    def rows(self) -> QuerySet[BusinessUnit]:
        """Return the units the caller sees."""
        return access.visible_business_units(self.actor)

    def find(self, rows: QuerySet[Any], text: str) -> Any:
        """Return the unit of an id."""
        return look_up(rows, text)

    def narrowed(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the units below another."""
        parent = look_up(rows, value)
        return rows.filter(parent=parent) if parent else rows.none()

    def place_in(self, given: dict[str, Any]) -> access.Place:
        """Return the unit above."""
        parent: BusinessUnit | None = given.get("parent")
        self._check_place(parent)
        return parent

    def make(self, given: dict[str, Any]) -> BusinessUnit:
        """Make a unit."""
        return actions.save_business_unit(BusinessUnit(**given))

    def change(self, row: BusinessUnit, given: dict[str, Any]) -> BusinessUnit:
        """Rename or move a unit."""
        if "parent" in given:
            self._check_place(given["parent"])
            self.check(given["parent"], route="POST business-units")
        for name, value in given.items():
            setattr(row, name, value)
        return actions.save_business_unit(row)

    def _check_place(self, parent: BusinessUnit | None) -> None:
        """Raise ValidationError where somebody would make an organisation who does not see everything."""
        if parent is None and not access.sees_everything(self.actor):
            raise exceptions.ValidationError({"parent": "Name a business unit of yours: only the platform makes organisations."})
