"""The admin's pages of calls and receipts put aside. They show and call actions; they save nothing themselves."""

from typing import Any

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.functional import cached_property
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from billing import admin_budgets, admin_credit, admin_prices, alerts_admin, reports_admin  # noqa: F401 (they register their pages)
from billing.actions import NotReleasable, release_quarantined
from billing.admin_prices import usd
from billing.attempts import accounted
from billing.models import QuarantinedReceipt, Series, UsageRecord
from billing.receipts import Attempted, Charge
from billing.rows import USAGE_SOURCES

MOST_ROWS = 10_000
OUTCOME_COLOURS = {"ok": "success", "refused": "warning", "failed": "danger", "aborted": "info", "unknown": "danger"}


class ReadOnlyAdmin(ModelAdmin):
    """Rows that only the system writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes."""
        return False


class Known(admin.SimpleListFilter):
    """A filter whose values are known without reading every row; members say what is `offered`."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the values."""
        return [(value, value) for value in self.offered()]

    def offered(self) -> list[str]:
        """Return what can be chosen."""
        raise NotImplementedError

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows with the chosen value."""
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


class ByOutcome(Known):
    """How calls ended."""

    title = parameter_name = "outcome"

    def offered(self) -> list[str]:
        """Return the outcomes the database allows."""
        return list(OUTCOME_COLOURS)


class BySource(Known):
    """Where the numbers come from."""

    title, parameter_name = "usage source", "usage_source"

    def offered(self) -> list[str]:
        """Return the sources the database allows."""
        return sorted(USAGE_SOURCES)


class ByProvider(Known):
    """Who served the calls."""

    title = parameter_name = "provider"

    def offered(self) -> list[str]:
        """Return the providers that calls were added up for."""
        return list(Series.objects.exclude(provider="").order_by("provider").values_list("provider", flat=True).distinct())


class FirstPages(Paginator):  # type: ignore[type-arg]  # not subscriptable when it runs
    """Pages of the latest rows, so that nobody waits until millions are counted; filters and dates lead to the rest."""

    @cached_property
    def count(self) -> int:
        """How many rows there are to turn through."""
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]  # the admin pages through querysets
        return rows.order_by()[:MOST_ROWS].count()


def _told(attempt: Attempted) -> tuple[Attempted, Charge | None, str]:
    return attempt, attempt.charge, usd(attempt.charge.cost_nanousd) if attempt.charge is not None else "-"


@admin.register(UsageRecord)
class UsageRecordAdmin(ReadOnlyAdmin):
    """One line per call."""

    list_display = ("started_at", "call_id", "model", "account", "outcome_badge", "status", "tokens", "cost", "duration", "usage_source")
    list_filter = (("started_at", admin.DateFieldListFilter), ByOutcome, BySource, ByProvider, "stream", "is_demo")
    search_fields = ("call_id__exact", "client_request_id__exact", "key__exact")
    search_help_text = "Call id, client request id or key id, exactly."
    paginator = FirstPages
    list_per_page = 50
    show_full_result_count = False
    # any other order would sort every call there is
    sortable_by = ("started_at",)
    exclude = ("attempts",)
    readonly_fields = ("shown_attempts",)

    @display(description="attempts")
    def shown_attempts(self, record: UsageRecord) -> str:
        """Every attempt in order with what it cost; together they are what the call cost."""
        return render_to_string("admin/billing/attempts.html", {"attempts": [_told(one) for one in accounted(record)]})

    @display(description="outcome", label=OUTCOME_COLOURS)
    def outcome_badge(self, record: UsageRecord) -> str:
        """How the call ended."""
        return record.outcome

    @display(description="tokens in / out")
    def tokens(self, record: UsageRecord) -> str:
        """Input and output tokens."""
        return f"{record.input_tokens:,} / {record.output_tokens:,}"

    @display(description="cost")
    def cost(self, record: UsageRecord) -> str:
        """Cost in USD; calls without a known price say so."""
        return usd(record.cost_nanousd) if record.price or record.cost_nanousd else "no price"

    @display(description="duration")
    def duration(self, record: UsageRecord) -> str:
        """Whole duration in milliseconds."""
        return f"{record.duration_ms:,} ms"


@admin.register(QuarantinedReceipt)
class QuarantinedReceiptAdmin(ReadOnlyAdmin):
    """Receipts put aside, with the way back."""

    list_display = ("at", "segment", "offset", "reason")
    search_fields = ("segment", "reason")
    exclude = ("payload",)
    actions = ("release",)

    def has_release_permission(self, request: HttpRequest) -> bool:
        """Whoever may change quarantined receipts may release them."""
        return request.user.has_perm("billing.change_quarantinedreceipt")

    @action(description="Record, mended where necessary", permissions=["release"])
    def release(self, request: HttpRequest, queryset: QuerySet[QuarantinedReceipt]) -> None:
        """Release each chosen receipt and say what became of it."""
        added = known = 0
        for receipt in queryset:
            try:
                if release_quarantined(receipt):
                    added += 1
                else:
                    known += 1
            except NotReleasable as error:
                self.message_user(request, str(error), messages.ERROR)
        self.message_user(request, f"{added} recorded, {known} were recorded already.", messages.SUCCESS)
