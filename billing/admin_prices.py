"""The admin's pages of the price book: entering, deciding with four eyes, and following releases of genai-prices."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display

from accounts.admin.acts import Act, ActsMixin, ReasonForm
from accounts.models import User
from billing import actions
from billing.access import deciders_of_prices, may_decide_prices
from billing.forms import LABELS, PriceForm
from billing.models import Price, PriceDecision
from billing.money import to_usd
from billing.prices import add_differences, differences
from billing.prices.book import with_state
from billing.prices.vendors import figures_of, release

STATE_COLOURS = {"approved": "success", "proposed": "warning", "rejected": "danger", "withdrawn": "info"}


def usd(nanousd: int | None) -> str:
    """An amount in nano-USD as people read it, without trailing zeros."""
    if nanousd is None:
        return "-"
    return "$" + (f"{to_usd(nanousd):f}".rstrip("0").rstrip(".") or "0")


class ByState(admin.SimpleListFilter):
    """What was decided."""

    title = parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the states."""
        return [(state, state) for state in STATE_COLOURS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the prices in the chosen state."""
        return queryset.filter(state=self.value()) if self.value() in STATE_COLOURS else queryset


class DecisionInline(TabularInline):
    """Who decided what about a price."""

    model = PriceDecision
    fields = readonly_fields = ("decision", "decided_by", "decided_at", "reason")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Decisions are acts."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits."""
        return False


@admin.register(Price)
class PriceAdmin(ActsMixin, ModelAdmin):
    """Prices are proposed and decided about, never edited or deleted."""

    form = PriceForm
    list_fullwidth = True
    list_display = ("provider", "upstream_model", "valid_from", "input_usd", "cached_usd", "output_usd", "more", "source", "shown_state", "entered_by")
    list_filter = (ByState, "source", "provider")
    list_select_related = ("entered_by",)
    search_fields = ("upstream_model",)
    date_hierarchy = "valid_from"
    list_per_page = 50
    actions = ("approve_chosen", "reject_chosen")
    actions_list = ("compare",)
    actions_detail = ("approve", "reject", "withdraw")
    acts = {
        "approve": Act(
            "Approve",
            "The price holds from its date on, at once if that has passed. Somebody else than its author approves it.",
            ReasonForm,
            lambda row, who, given: actions.approve_price(row, who, given["reason"]),
        ),
        "reject": Act("Reject", "The price never holds.", ReasonForm, lambda row, who, given: actions.reject_price(row, who, given["reason"])),
        "withdraw": Act(
            "Withdraw",
            "The price ends now and the next one in the book holds; calls made until now keep it.",
            ReasonForm,
            lambda row, who, given: actions.withdraw_price(row, who, given["reason"]),
        ),
    }

    # ---- who may what -----------------------------------------------------------------------------------------------

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Who decides about prices also enters them."""
        return may_decide_prices(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Price | None = None) -> bool:
        """A change is a new price."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Price | None = None) -> bool:
        """Receipts refer to it for ever."""
        return False

    def has_decide_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Finance and IT administrators decide."""
        return may_decide_prices(request.user)

    def may_act(self, request: HttpRequest) -> bool:
        """Deciding is no change of the price."""
        return self.has_decide_permission(request)

    # ---- list and page ----------------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Price]:
        """Return prices with what was decided about them."""
        return with_state().order_by(*self.get_ordering(request))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show a price as people read it."""
        if obj is None:
            return PriceForm.Meta.fields
        return ("provider", "upstream_model", "valid_from", "figures", "source", "source_version", "shown_state", "entered_by", "created_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Nothing is edited."""
        return self.get_fields(request, obj) if obj else ()

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> Any:
        """A price that is not entered yet has no decisions."""
        return (DecisionInline,) if obj else ()

    def save_model(self, request: HttpRequest, obj: Price, form: Any, change: bool) -> None:
        """Propose the price."""
        assert isinstance(request.user, User)
        rates = {name: getattr(obj, name) for name in LABELS if name != "request_nanousd"}
        added = actions.add_price(
            provider=obj.provider,
            upstream_model=obj.upstream_model,
            valid_from=obj.valid_from,
            rates=rates,
            request_nanousd=obj.request_nanousd,
            tiers=obj.tiers,
            modes=obj.modes,
            entered_by=request.user,
        )
        obj.pk = added.pk
        obj._state.adding = False  # as Model.save does
        if deciders_of_prices().exclude(pk=request.user.pk).exists():
            self.message_user(request, "The price is proposed. It holds once somebody else in finance or IT administration approves it.", messages.INFO)
        else:
            told = "The price is proposed, but nobody else may approve it. Give a second person the role finance or IT administrator."
            self.message_user(request, told, messages.WARNING)

    @display(description="input, per million")
    def input_usd(self, price: Price) -> str:
        """Input rate in USD."""
        return usd(price.input_nanousd)

    @display(description="cached, per million")
    def cached_usd(self, price: Price) -> str:
        """Cached input rate in USD."""
        return usd(price.cached_nanousd)

    @display(description="output, per million")
    def output_usd(self, price: Price) -> str:
        """Output rate in USD."""
        return usd(price.output_nanousd)

    @display(description="also")
    def more(self, price: Price) -> str:
        """Tiers and modes with rates of their own."""
        tiers = [f"above {tier['above_input_tokens']:,}" for tier in price.tiers]
        return ", ".join([*tiers, *(mode["name"] for mode in price.modes)])

    @display(description="state", ordering="state", label=STATE_COLOURS)
    def shown_state(self, price: Any) -> str:
        """What was decided."""
        return str(price.state)

    @display(description="USD per million tokens")
    def figures(self, price: Price) -> SafeString:
        """Every rate."""
        return format_html_join("", "<div>{}: {}</div>", ((name, usd(figure)) for name, figure in figures_of(price).items()))

    # ---- deciding ---------------------------------------------------------------------------------------------------

    @action(description="Approve", icon="check", url_path="approve", permissions=["decide"])
    def approve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to approving."""
        return self.lead_to(object_id, "approve")

    @action(description="Reject", icon="close", url_path="reject", permissions=["decide"])
    def reject(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to rejecting."""
        return self.lead_to(object_id, "reject")

    @action(description="Withdraw", icon="undo", url_path="withdraw", permissions=["decide"])
    def withdraw(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to withdrawing."""
        return self.lead_to(object_id, "withdraw")

    @admin.action(description="Approve", permissions=["decide"])
    def approve_chosen(self, request: HttpRequest, queryset: QuerySet[Price]) -> HttpResponse | None:
        """Approve each chosen price, after asking for one reason."""
        return self.act_on_chosen(request, queryset, "approve")

    @admin.action(description="Reject", permissions=["decide"])
    def reject_chosen(self, request: HttpRequest, queryset: QuerySet[Price]) -> HttpResponse | None:
        """Reject each chosen price, after asking for one reason."""
        return self.act_on_chosen(request, queryset, "reject")

    # ---- releases ---------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """Add the comparison with the installed release."""
        return [path("compare/", self.admin_site.admin_view(self.compare_page), name="billing_price_compare_release"), *super().get_urls()]

    @action(description="Compare with release", icon="compare_arrows", url_path="to-compare", permissions=["view"])
    def compare(self, request: HttpRequest) -> HttpResponse:
        """Lead to the comparison."""
        return HttpResponseRedirect(reverse("admin:billing_price_compare_release"))

    def compare_page(self, request: HttpRequest) -> HttpResponse:
        """Show how the installed release differs from the book; POST proposes what is chosen."""
        if not self.has_view_permission(request) or (request.method == "POST" and not self.has_decide_permission(request)):
            raise PermissionDenied
        assert isinstance(request.user, User)
        found = differences(timezone.now())
        if request.method == "POST":
            chosen = set(request.POST.getlist("chosen"))
            added = add_differences([one for one in found if one.id in chosen and not one.is_proposed], request.user)
            words = f"{added} prices are proposed. They hold once somebody else approves them." if added else "Nothing was chosen."
            self.message_user(request, words, messages.SUCCESS if added else messages.INFO)
            return HttpResponseRedirect(reverse("admin:billing_price_changelist") + "?state=proposed" if added else request.path)
        lines = [(one, [(figure.name, usd(figure.old), usd(figure.new)) for figure in one.figures]) for one in found]
        context = {"title": f"Price book and genai-prices {release()}", "lines": lines, "opts": self.opts, "may_propose": self.has_decide_permission(request)}
        return TemplateResponse(request, "admin/billing/compare_prices.html", {**self.admin_site.each_context(request), **context})
