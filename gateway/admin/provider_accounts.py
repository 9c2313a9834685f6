"""The admin of provider accounts: credentials, connections, and what is known about their vendors."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.decorators import action, display

from accounts.admin import STATE_COLOURS, GovernedAdmin, said
from accounts.admin.acts import Act, ActsMixin
from gateway import actions, verifications
from gateway.admin.verifications import VERIFICATION_COLOURS, ByVerification, recorded, standing_of, verification_of
from gateway.discovery import ProbeFailed
from gateway.forms import AddModelsForm, ProviderAccountForm
from gateway.forms_verifications import RenewForm, VerificationForm
from gateway.models import ProviderAccount, State
from gateway.providers import shelf


@admin.register(ProviderAccount)
class ProviderAccountAdmin(ActsMixin, GovernedAdmin):
    """Credentials and base URLs at providers, and what is known about their vendors."""

    needs_fresh_proof = True
    form = ProviderAccountForm
    list_display = (
        "slug",
        "shown_provider",
        "base_url",
        "shown_state",
        "deployment_count",
        "shown_verification",
        "check_result",
        "checked_at",
    )
    list_filter = ("state", ByVerification, "provider")
    list_select_related = ("verification",)
    search_fields = ("slug", "name", "base_url")
    readonly_fields = ("credential_hint", "checked_at", "check_result", "agreement", "region", "training_use", "verified", "review_on")
    actions = ("activate", "drain", "disable", "test")
    actions_detail = ("connection", "verify", "renew")
    acts = {
        "verify": Act(
            "Record a verification",
            "What was checked today about the vendor behind this account, in the place of what was recorded before. A reminder comes before it has to "
            "be reviewed, and on the day.",
            VerificationForm,
            lambda row, who, given: verifications.record(row, who, **given),
            initial=recorded,
        ),
        "renew": Act(
            "Renew the verification",
            "Says that everything recorded about the vendor was checked today and still holds.",
            RenewForm,
            lambda row, who, given: verifications.renew(row, who, **given),
        ),
    }
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
        ("Verification", {"classes": ("tab",), "fields": ("agreement", "region", "training_use", "verified", "review_on")}),
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

    @display(description="verification", label=VERIFICATION_COLOURS)
    def shown_verification(self, account: ProviderAccount) -> str:
        """How the verification stands, as a coloured label."""
        return standing_of(account)

    @admin.display
    def agreement(self, account: ProviderAccount) -> str:
        """What was agreed with the vendor."""
        row = verification_of(account)
        return row.agreement if row else "-"

    @admin.display
    def region(self, account: ProviderAccount) -> str:
        """Where the vendor processes."""
        row = verification_of(account)
        return row.region if row else "-"

    @admin.display(description="use for training")
    def training_use(self, account: ProviderAccount) -> str:
        """Whether the vendor may train on what is sent."""
        row = verification_of(account)
        return row.get_training_use_display() if row else "-"

    @admin.display
    def verified(self, account: ProviderAccount) -> str:
        """When that was checked, and by whom."""
        row = verification_of(account)
        return f"{row.verified_on} by {row.verified_by or 'the operator of the host'}" if row else "-"

    @admin.display(description="to be reviewed on")
    def review_on(self, account: ProviderAccount) -> str:
        """When it has to be looked at again."""
        row = verification_of(account)
        return str(row.review_on) if row else "-"

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

    @action(description="Record a verification", icon="verified_user", url_path="record-verification", permissions=["change"])
    def verify(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to recording."""
        return self.lead_to(object_id, "verify")

    @action(description="Renew the verification", icon="event_repeat", url_path="renew-verification", permissions=["change"])
    def renew(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to renewing."""
        return self.lead_to(object_id, "renew")

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
            names = actions.test_provider_account(account)
        except ProbeFailed as failure:
            self.message_user(request, f"{account.slug}: {failure}", messages.ERROR)
            return []
        account.refresh_from_db()
        offered = f" {len(names)} models are known of it." if names else ""
        words = f"works: {len(names)} models found." if account.check_result != actions.REACHED else f"is reached; it has no listing of models.{offered}"
        self.message_user(request, f"{account.slug} {words}", messages.SUCCESS)
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
