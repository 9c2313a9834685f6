"""Fields of the catalogue in requests: provider accounts, models and prices by id or by the name people know them by."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.access import Actor
from accounts.api.fields import uuid_of
from billing.prices.visible import visible_prices
from gateway.access import visible_models, visible_provider_accounts


@extend_schema_field({"type": "string", "maxLength": 210})
class CatalogueReference(serializers.Field[Any, str, str, Any]):
    """A row by its prefixed id, or by the unique name in its column `named`."""

    prefix, named = "", ""

    def visible(self, actor: Actor) -> QuerySet[Any]:
        """Return the rows the caller sees."""
        raise NotImplementedError

    def to_internal_value(self, data: Any) -> Any:
        """Return the row; raises ValidationError when the caller sees none of that id or name."""
        found = self._found(data) if isinstance(data, str) and "\0" not in data else None
        if found is None:
            raise serializers.ValidationError(f"There is no such object, or it is not yours to see. Write its id ({self.prefix}...) or its name.")
        return found

    def to_representation(self, value: Any) -> str:
        """Return the prefixed id."""
        return f"{self.prefix}{value.pk.hex}"

    def _found(self, text: str) -> Any:
        rows, pk = self.visible(self.context["request"].user), uuid_of(text, self.prefix)
        found = rows.filter(pk=pk).first() if pk else None
        return found or (rows.filter(**{self.named: text}).first() if self.named else None)


class ModelReference(CatalogueReference):
    """`mdl_...` or the catalogue name."""

    prefix, named = "mdl_", "name"

    def visible(self, actor: Actor) -> QuerySet[Any]:
        """Return the catalogue."""
        return visible_models(actor)


class AccountReference(CatalogueReference):
    """`pva_...` or the slug."""

    prefix, named = "pva_", "slug"

    def visible(self, actor: Actor) -> QuerySet[Any]:
        """Return the provider accounts."""
        return visible_provider_accounts(actor)


class PriceReference(CatalogueReference):
    """`prc_...`."""

    prefix = "prc_"

    def visible(self, actor: Actor) -> QuerySet[Any]:
        """Return the price book."""
        return visible_prices(actor)
