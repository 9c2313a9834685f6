"""models and deployments: what callers may name, and where it is served."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import Given, Moment, Shown, uuid_of
from accounts.api.resource import Changes, Makes
from accounts.models import DataClass
from billing.api.fields import Usd, shown_usd
from billing.prices import Book
from gateway import actions, lifecycle, proposals
from gateway.access import visible_deployments, visible_models
from gateway.api.fields import AccountReference, ModelReference, PriceReference
from gateway.api.platform import PlatformResource, Switched
from gateway.models import CAPABILITIES, Deployment, Model, State
from gateway.pricing import terms_of


class ModelChange(Given):
    """What of a model can be changed; its name stays, because keys and calls refer to it."""

    kind = serializers.ChoiceField(Model.Kind.choices, required=False)
    owned_by = serializers.CharField(max_length=100, required=False, allow_blank=True)
    description = serializers.CharField(max_length=10_000, required=False, allow_blank=True)
    active = serializers.BooleanField(source="is_active", required=False, help_text="Whether callers may name it.")
    lifecycle = serializers.ChoiceField(Model.Lifecycle.choices, required=False, help_text="Deprecated models need `deprecated_at` and `retires_at`.")
    deprecated_at = serializers.DateTimeField(required=False, allow_null=True, help_text="Told in the header `deprecation`.")
    retires_at = serializers.DateTimeField(required=False, allow_null=True, help_text="From then on it is served no more; told in the header `sunset`.")
    successor = ModelReference(required=False, allow_null=True, help_text="`mdl_...` or the name of the model to use instead.")
    aliases = serializers.ListField(child=serializers.CharField(max_length=200), max_length=50, required=False, help_text="Its further names, all of them.")
    data_class = serializers.ChoiceField(DataClass.choices, required=False, help_text="The closest kept data it may get.")
    context_tokens = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False, allow_null=True)
    max_output_tokens = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False, allow_null=True)
    capabilities = serializers.ListField(child=serializers.ChoiceField(CAPABILITIES), max_length=len(CAPABILITIES), required=False)
    unknown_price = serializers.ChoiceField(Model.UnknownPrice.choices, required=False, help_text="What becomes of a call whose price nobody knows.")
    assumed_price = PriceReference(required=False, allow_null=True, help_text="`prc_...`, billed and flagged where `unknown_price` is assume.")


class ModelGiven(ModelChange):
    """A new model of the catalogue."""

    name = serializers.CharField(max_length=200, help_text="What callers write as `model`.")


class ModelPriceShown(Shown):
    """What a deployment's calls cost now."""

    deployment = serializers.CharField(help_text="`dep_...`")
    provider = serializers.CharField(help_text="The kind of provider.")
    region = serializers.CharField()
    input_usd = Usd(help_text="Per million tokens.")
    output_usd = Usd(help_text="Per million tokens.")
    assumed = serializers.BooleanField()


class ModelShown(Shown):
    """A model of the catalogue and what it costs where it is served."""

    id = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(Model.Kind.choices)
    owned_by = serializers.CharField()
    description = serializers.CharField()
    active = serializers.BooleanField()
    lifecycle = serializers.ChoiceField(Model.Lifecycle.choices)
    deprecated_at = Moment(allow_null=True)
    retires_at = Moment(allow_null=True)
    successor = serializers.CharField(allow_null=True)
    aliases = serializers.ListField(child=serializers.CharField())
    data_class = serializers.ChoiceField(DataClass.choices)
    context_tokens = serializers.IntegerField(allow_null=True)
    max_output_tokens = serializers.IntegerField(allow_null=True)
    capabilities = serializers.ListField(child=serializers.CharField())
    served = serializers.BooleanField(help_text="Whether an active account serves it.")
    unknown_price = serializers.ChoiceField(Model.UnknownPrice.choices)
    assumed_price = serializers.CharField(allow_null=True)
    prices = ModelPriceShown(many=True, help_text="Of active deployments whose price is known, those tried first first.")
    demo = serializers.BooleanField()
    created_at = Moment()


class Models(Makes, Changes, PlatformResource):
    """The catalogue."""

    resource, prefix = "models", "mdl_"
    shows, makes, changes = ModelShown, ModelGiven, ModelChange
    filters = {"name": "The model of this name.", "kind": "chat, embeddings, moderation, image, speech, transcription, rerank or realtime."}
    live = frozenset({"served", "prices"})

    def rows(self) -> QuerySet[Model]:
        """Return the models the caller sees."""
        return visible_models(self.actor)

    def shown(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Return models with what they cost, their deployments read at once."""
        serving: dict[Any, list[Deployment]] = defaultdict(list)
        active = Deployment.objects.filter(model__in=[row.pk for row in rows], state=State.ACTIVE, account__state=State.ACTIVE)
        for deployment in active.select_related("account", "price", "model__assumed_price").order_by("order", "-weight", "pk"):
            serving[deployment.model_id].append(deployment)
        book = Book()
        return [_shown_model(row, serving[row.pk], book) for row in rows]

    def make(self, given: dict[str, Any]) -> Model:
        """Put a model into the catalogue."""
        aliases = given.pop("aliases", None)
        return self._stored(Model(**given), aliases)

    def change(self, row: Model, given: dict[str, Any]) -> Model:
        """Change a model."""
        aliases = given.pop("aliases", None)
        for name, value in given.items():
            setattr(row, name, value)
        return self._stored(row, aliases)

    @action(detail=True, methods=["post"])
    def approve(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Serve a model that was proposed for the catalogue."""
        row = self.row(id)
        if not proposals.approve(row):
            raise ValidationError({"lifecycle": f"It is {row.lifecycle}; only proposed models can be approved."})
        return self.told(self.row(id))

    @action(detail=True, methods=["post"])
    def decline(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Take a model that was proposed out of the catalogue; it is not proposed again while its vendor goes on listing it."""
        row = self.row(id)
        shown = self.told(row)
        if not proposals.decline(row):
            raise ValidationError({"lifecycle": f"It is {row.lifecycle}; only proposed models can be declined."})
        return shown

    def _stored(self, row: Model, aliases: list[str] | None) -> Model:
        actions.save_row(row)
        if aliases is not None:
            lifecycle.set_aliases(row, aliases)
        return row


def _shown_model(row: Model, serving: list[Deployment], book: Book) -> dict[str, Any]:
    now, prices = timezone.now(), []
    for deployment in serving:
        terms = terms_of(deployment, now, book)
        if terms is None:
            continue
        prices.append(
            {
                "deployment": f"dep_{deployment.pk.hex}",
                "provider": deployment.account.provider,
                "region": deployment.region,
                "input_usd": shown_usd(terms.rates.input_nanousd),
                "output_usd": shown_usd(terms.rates.output_nanousd),
                "assumed": terms.is_assumed,
            }
        )
    return {
        "id": f"mdl_{row.pk.hex}",
        "name": row.name,
        "kind": row.kind,
        "owned_by": row.owned_by,
        "description": row.description,
        "active": row.is_active,
        "lifecycle": row.lifecycle,
        "deprecated_at": Moment().to_representation(row.deprecated_at) if row.deprecated_at else None,
        "retires_at": Moment().to_representation(row.retires_at) if row.retires_at else None,
        "successor": f"mdl_{row.successor_id.hex}" if row.successor_id else None,
        "aliases": [alias.name for alias in row.aliases.all()],
        "data_class": row.data_class,
        "context_tokens": row.context_tokens,
        "max_output_tokens": row.max_output_tokens,
        "capabilities": row.capabilities,
        "served": bool(serving),
        "unknown_price": row.unknown_price,
        "assumed_price": f"prc_{row.assumed_price_id.hex}" if row.assumed_price_id else None,
        "prices": prices,
        "demo": row.is_demo,
        "created_at": Moment().to_representation(row.created_at),
    }


class DeploymentChange(Given):
    """What of a deployment can be changed."""

    order = serializers.IntegerField(min_value=0, max_value=32_767, required=False, help_text="Lower is tried first.")
    weight = serializers.IntegerField(min_value=1, max_value=1000, required=False, help_text="Share among deployments of the same order.")
    region = serializers.CharField(max_length=64, required=False, allow_blank=True)
    max_parallel = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False, help_text="Calls in flight per worker; 0 for no limit.")
    price = PriceReference(required=False, allow_null=True, help_text="`prc_...`, in place of the price book's.")


class DeploymentGiven(DeploymentChange):
    """A new deployment."""

    model = ModelReference(help_text="`mdl_...` or the catalogue name.")
    account = AccountReference(help_text="`pva_...` or the account's slug.")
    upstream_model = serializers.CharField(max_length=200, help_text="What the provider calls it.")


class DeploymentShown(Shown):
    """A model served by one provider account."""

    id = serializers.SerializerMethodField()
    model = serializers.SerializerMethodField()
    model_name = serializers.CharField(source="model.name")
    account = serializers.SerializerMethodField()
    account_slug = serializers.CharField(source="account.slug")
    upstream_model = serializers.CharField()
    order = serializers.IntegerField()
    weight = serializers.IntegerField()
    region = serializers.CharField()
    max_parallel = serializers.IntegerField()
    price = serializers.SerializerMethodField()
    state = serializers.ChoiceField(State.choices)
    created_at = Moment()

    def get_id(self, row: Deployment) -> str:
        """Return the prefixed id."""
        return f"dep_{row.pk.hex}"

    def get_model(self, row: Deployment) -> str:
        """Return the prefixed id of its model."""
        return f"mdl_{row.model_id.hex}"

    def get_account(self, row: Deployment) -> str:
        """Return the prefixed id of its provider account."""
        return f"pva_{row.account_id.hex}"

    def get_price(self, row: Deployment) -> str | None:
        """Return the prefixed id of the price of its own."""
        return f"prc_{row.price_id.hex}" if row.price_id else None


class Deployments(Switched, Makes, Changes, PlatformResource):
    """Deployments."""

    resource, prefix = "deployments", "dep_"
    shows, makes, changes = DeploymentShown, DeploymentGiven, DeploymentChange
    filters = {
        "model": "Those of this model (`mdl_...` or name).",
        "account": "Those at this account (`pva_...` or slug).",
        "state": "active, draining or disabled.",
    }

    def rows(self) -> QuerySet[Deployment]:
        """Return the deployments the caller sees."""
        return visible_deployments(self.actor)

    def narrowed(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the deployments that fit."""
        if "\0" in value:
            return rows.none()
        if name == "state":
            return rows.filter(state=value)
        prefix, column = {"model": ("mdl_", "model__name"), "account": ("pva_", "account__slug")}[name]
        number = uuid_of(value, prefix)
        return rows.filter(**{name: number} if number else {column: value})

    def make(self, given: dict[str, Any]) -> Deployment:
        """Let an account serve a model."""
        return self._stored(Deployment(**given))

    def change(self, row: Deployment, given: dict[str, Any]) -> Deployment:
        """Change a deployment."""
        for name, value in given.items():
            setattr(row, name, value)
        return self._stored(row)

    def _stored(self, row: Deployment) -> Deployment:
        actions.save_row(row)
        return row
