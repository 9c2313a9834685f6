"""The admin of the catalogue: models and where they are served."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import Count, Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from unfold.admin import TabularInline

from accounts.admin import GovernedAdmin
from gateway import actions, proposals
from gateway.forms import CatalogueModelForm
from gateway.models import Deployment, Model, ModelAlias


class DeploymentInline(TabularInline):
    """Where a model is served."""

    model = Deployment
    extra = 0
    autocomplete_fields = ("account",)
    raw_id_fields = ("price",)
    fields = ("account", "upstream_model", "order", "weight", "region", "max_parallel", "state", "price")


class AliasInline(TabularInline):
    """Further names of a model."""

    model = ModelAlias
    extra = 0
    fields = ("name",)


@admin.register(Model)
class CatalogueAdmin(GovernedAdmin):
    """The catalogue."""

    list_display = ("name", "kind", "owned_by", "is_active", "lifecycle", "data_class", "unknown_price", "deployment_count", "is_demo")
    list_filter = ("kind", "is_active", "lifecycle", "data_class", "is_demo")
    search_fields = ("name", "description", "aliases__name")
    form = CatalogueModelForm
    fields = (
        "name",
        "kind",
        "owned_by",
        "description",
        "is_active",
        "data_class",
        "lifecycle",
        "deprecated_at",
        "retires_at",
        "successor",
        ("context_tokens", "max_output_tokens"),
        "capabilities",
        ("unknown_price", "assumed_price"),
    )
    autocomplete_fields = ("assumed_price", "successor")
    inlines = (AliasInline, DeploymentInline)
    actions = ("approve", "decline")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        """Return models with their number of active deployments."""
        return super().get_queryset(request).annotate(deployment_count=Count("deployments", filter=Q(deployments__state="active")))  # type: ignore[no-any-return]

    @admin.display(description="active deployments", ordering="deployment_count")
    def deployment_count(self, model: Any) -> int:
        """Number of active deployments."""
        return int(model.deployment_count)

    @admin.action(description="Approve what is proposed", permissions=["change"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        """Serve the chosen models that wait for it."""
        self.tell(request, sum(proposals.approve(model) for model in queryset), "approved")

    @admin.action(description="Decline what is proposed", permissions=["delete"])
    def decline(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        """Take the chosen models that wait for approval out of the catalogue."""
        self.tell(request, sum(proposals.decline(model) for model in queryset), "declined")

    def store(self, request: HttpRequest, obj: Model, form: ModelForm[Any]) -> None:
        """Store the model."""
        actions.save_row(obj)

    def store_inline(self, row: models.Model) -> None:
        """Store a deployment or an alias."""
        actions.save_row(row)
