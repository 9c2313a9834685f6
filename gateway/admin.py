"""The admin of provider accounts, the catalogue and virtual keys. Faces are thin: every write goes to an action."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.db.models import Count, Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.admin import TabularInline
from unfold.decorators import action, display

from accounts import access
from accounts import actions as account_actions
from accounts.admin import STATE_COLOURS, GovernedAdmin, said
from accounts.models import User, VirtualKey
from gateway import actions
from gateway.discovery import ProbeFailed
from gateway.forms import AddModelsForm, CatalogueModelForm, ProviderAccountForm, VirtualKeyForm
from gateway.models import Deployment, Model, ProviderAccount, State
from gateway.providers import shelf


@admin.register(ProviderAccount)
class ProviderAccountAdmin(GovernedAdmin):
    """Credentials and base URLs at providers."""

    needs_fresh_proof = True
    form = ProviderAccountForm
    list_display = (
        "slug",
        "shown_provider",
        "base_url",
        "shown_state",
        "deployment_count",
        "check_result",
        "checked_at",
    )
    list_filter = ("state", "provider")
    search_fields = ("slug", "name", "base_url")
    readonly_fields = ("credential_hint", "checked_at", "check_result")
    actions = ("activate", "drain", "disable", "test")
    actions_detail = ("connection",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "slug",
                    "name",
                    "provider",
                    "base_url",
                    "credential",
                    "credential_hint",
                    "options",
                    "state",
                    ("checked_at", "check_result"),
                )
            },
        ),
        (
            "Connection",
            {
                "classes": ("tab",),
                "fields": (
                    "transport",
                    "ca_pem",
                    ("connect_timeout_ms", "first_byte_timeout_ms"),
                    ("idle_timeout_ms", "total_timeout_ms"),
                    "max_parallel",
                    "allow_unknown_endpoints",
                ),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderAccount]:
        """Return accounts with their number of active deployments, without the sealed credential."""
        return super().get_queryset(request).annotate(deployment_count=Count("deployments", filter=Q(deployments__state="active")))  # type: ignore[no-any-return]

    @admin.display(description="deployments", ordering="deployment_count")
    def deployment_count(self, account: Any) -> int:
        """Number of active deployments."""
        return int(account.deployment_count)

    @admin.display(description="provider", ordering="provider")
    def shown_provider(self, account: ProviderAccount) -> str:
        """Title of the provider."""
        provider = shelf().get(account.provider)
        return f"{account.provider} (not on the shelf)" if provider is None else provider.title

    @display(description="state", ordering="state", label=STATE_COLOURS)
    def shown_state(self, account: ProviderAccount) -> str:
        """State as a coloured label."""
        return account.state

    def store(self, request: HttpRequest, obj: ProviderAccount, form: ModelForm[Any]) -> None:
        """Store the account, sealing a credential typed now."""
        actions.save_provider_account(obj, form.cleaned_data.get("credential", ""))

    def get_urls(self) -> list[URLPattern]:
        """Add the page that tests the connection and adds models."""
        page = path("<uuid:pk>/connection/", self.admin_site.admin_view(self.connection_page), name="gateway_provideraccount_connect")
        return [page, *super().get_urls()]

    @action(description="Connection and models", icon="cable", url_path="open-connection", permissions=["change"])
    def connection(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to the connection page."""
        return HttpResponseRedirect(reverse("admin:gateway_provideraccount_connect", args=[object_id]))

    def connection_page(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Test the connection, discover models and add chosen ones; only POST acts."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        account = get_object_or_404(ProviderAccount, pk=pk)
        form = None
        if request.method == "POST" and "add" in request.POST:
            form = AddModelsForm(request.POST, names=request.POST.getlist("models"))
            if form.is_valid() and self._add(request, account, form.cleaned_data["models"]):
                return HttpResponseRedirect(reverse("admin:gateway_model_changelist"))
        elif request.method == "POST":
            names = self._ask(request, account)
            present = set(account.deployments.values_list("upstream_model", flat=True))
            if names and "discover" in request.POST:
                form = AddModelsForm(names=[name for name in names if name not in present])
            account.refresh_from_db()
        context = {
            **self.admin_site.each_context(request),
            "title": f"{account.slug}: connection and models",
            "account": account,
            "form": form,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/gateway/connection.html", context)

    def _add(self, request: HttpRequest, account: ProviderAccount, names: list[str]) -> bool:
        try:
            self.tell(request, actions.add_models(account, names), "deployments added")
        except ValidationError as refusal:
            self.message_user(request, said(refusal), messages.ERROR)
            return False
        return True

    def _ask(self, request: HttpRequest, account: ProviderAccount) -> list[str]:
        try:
            names = actions.discover_models(account)
        except ProbeFailed as failure:
            self.message_user(request, f"{account.slug}: {failure}", messages.ERROR)
            return []
        self.message_user(
            request,
            f"{account.slug} works: {len(names)} models found." if names else f"{account.slug} is reached; it has no listing of models.",
            messages.SUCCESS,
        )
        return names

    @admin.action(description="Test connection", permissions=["change"])
    def test(self, request: HttpRequest, queryset: QuerySet[ProviderAccount]) -> None:
        """Test each chosen account."""
        for account in queryset:
            self._ask(request, account)

    @admin.action(description="Activate", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[ProviderAccount]) -> None:
        """Let calls through again."""
        self.tell(request, sum(actions.set_state(account, State.ACTIVE) for account in queryset), "activated")

    @admin.action(description="Drain: no new calls", permissions=["change"])
    def drain(self, request: HttpRequest, queryset: QuerySet[ProviderAccount]) -> None:
        """Take no new calls and let running ones end."""
        self.tell(request, sum(actions.set_state(account, State.DRAINING) for account in queryset), "draining")

    @admin.action(description="Disable", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[ProviderAccount]) -> None:
        """Serve nothing through the chosen accounts."""
        self.tell(request, sum(actions.set_state(account, State.DISABLED) for account in queryset), "disabled")


class DeploymentInline(TabularInline):
    """Where a model is served."""

    model = Deployment
    extra = 0
    autocomplete_fields = ("account",)
    raw_id_fields = ("price",)
    fields = ("account", "upstream_model", "order", "weight", "region", "max_parallel", "state", "price")


@admin.register(Model)
class CatalogueAdmin(GovernedAdmin):
    """The catalogue."""

    list_display = ("name", "kind", "owned_by", "is_active", "unknown_price", "deployment_count", "is_demo")
    list_filter = ("kind", "is_active", "is_demo")
    search_fields = ("name", "description")
    form = CatalogueModelForm
    fields = ("name", "kind", "owned_by", "description", "is_active", ("unknown_price", "assumed_price"))
    autocomplete_fields = ("assumed_price",)
    inlines = (DeploymentInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        """Return models with their number of active deployments."""
        return super().get_queryset(request).annotate(deployment_count=Count("deployments", filter=Q(deployments__state="active")))  # type: ignore[no-any-return]

    @admin.display(description="active deployments", ordering="deployment_count")
    def deployment_count(self, model: Any) -> int:
        """Number of active deployments."""
        return int(model.deployment_count)

    def store(self, request: HttpRequest, obj: Model, form: ModelForm[Any]) -> None:
        """Store the model."""
        actions.save_row(obj)

    def store_inline(self, row: models.Model) -> None:
        """Store a deployment."""
        actions.save_row(row)


@admin.register(VirtualKey)
class VirtualKeyAdmin(GovernedAdmin):
    """Keys of applications: made here, shown once."""

    form = VirtualKeyForm
    list_display = ("name", "shown_id", "project", "shown_models", "environment", "shown_state", "expires_at", "last_used_at", "is_demo")
    list_filter = ("state", "environment", "project")
    list_select_related = ("project",)
    search_fields = ("name", "public_id", "project__name")
    autocomplete_fields = ("project", "owner")
    fields = (*VirtualKeyForm.Meta.fields, "shown_state", "state_reason", "previous_until", "created_by", "last_used_at", "last_used_ip", "last_used_agent")
    readonly_fields = ("shown_state", "state_reason", "previous_until", "created_by", "last_used_at", "last_used_ip", "last_used_agent")
    actions = ("suspend", "resume", "revoke")

    def get_queryset(self, request: HttpRequest) -> QuerySet[VirtualKey]:
        """Return the keys the signed-in user may see."""
        assert isinstance(request.user, User)
        return access.visible_keys(request.user)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A key that is not made yet has no history."""
        return self.fields if obj else VirtualKeyForm.Meta.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A key stays in its project and whose it is."""
        return (*self.readonly_fields, "project", "owner") if obj else self.readonly_fields

    @admin.display(description="key")
    def shown_id(self, key: VirtualKey) -> str:
        """The public part of the key."""
        return f"sgw_vk_{key.public_id}_…"

    @admin.display(description="models")
    def shown_models(self, key: VirtualKey) -> str:
        """The first models of the key."""
        return ", ".join(key.models[:3]) + (f" +{len(key.models) - 3}" if len(key.models) > 3 else "")

    @display(description="state", ordering="state", label=STATE_COLOURS)
    def shown_state(self, key: VirtualKey) -> str:
        """State as a coloured label."""
        return key.state

    def store(self, request: HttpRequest, obj: VirtualKey, form: ModelForm[Any]) -> None:
        """Change a key, or make one and keep its text for the answer to this request only."""
        if not obj._state.adding:
            account_actions.save_key(obj)
            return
        assert isinstance(request.user, User)
        row, text = actions.create_virtual_key(
            created_by=request.user, **{name: form.cleaned_data[name] for name in VirtualKeyForm.Meta.fields}
        )
        obj.__dict__.update(row.__dict__)
        request.__dict__["made_key"] = text

    def response_add(self, request: HttpRequest, obj: VirtualKey, post_url_continue: str | None = None) -> HttpResponse:
        """Show the new key in this very answer; it is stored nowhere."""
        context = {
            **self.admin_site.each_context(request),
            "title": "The new key",
            "key": request.__dict__["made_key"],
            "row": obj,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/gateway/new_key.html", context, headers={"Cache-Control": "no-store"})

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Keys are revoked, not deleted: usage refers to them."""
        return False

    def _set(self, request: HttpRequest, queryset: QuerySet[VirtualKey], state: str, words: str) -> None:
        assert isinstance(request.user, User)
        done = 0
        for key in queryset:
            try:
                done += account_actions.set_key_state(key, state, level=access.level(request.user, key))
            except ValidationError as refusal:
                self.message_user(request, said(refusal), messages.ERROR)
        self.tell(request, done, words)

    @admin.action(description="Suspend", permissions=["change"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[VirtualKey]) -> None:
        """Refuse calls of the chosen keys until they are resumed."""
        self._set(request, queryset, VirtualKey.State.SUSPENDED, "suspended")

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[VirtualKey]) -> None:
        """Serve the chosen keys again."""
        self._set(request, queryset, VirtualKey.State.ACTIVE, "resumed")

    @admin.action(description="Revoke for good", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[VirtualKey]) -> None:
        """Refuse calls of the chosen keys for good."""
        self._set(request, queryset, VirtualKey.State.REVOKED, "revoked")
