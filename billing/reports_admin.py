"""The admin's pages of reports, statements and imports. They show and call; reports and actions do the work."""

from datetime import date, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSingleDateWidget, UnfoldAdminTextInputWidget

from accounts.access import visible_business_units, visible_projects
from accounts.models import BusinessUnit, User
from billing import focus, vendor_usage
from billing.access import visible_statements
from billing.close import close_month, correct_statement
from billing.models import DayRollup, ReconciliationImport, Statement
from billing.money import to_usd
from billing.reports.anomalies import anomalies
from billing.reports.forecast import forecast
from billing.reports.movers import moved
from billing.reports.periods import MOST_DAYS, Period, month_of
from billing.reports.spend import DIMENSIONS, by_day, spend
from billing.statements import MEDIA, render, table
from billing.vendor_differences import differences, import_usage

MOST_LINES = 200


def usd(nanousd: int) -> str:
    """An amount in nano-USD with as many digits as people read."""
    return f"{'-' if nanousd < 0 else ''}${abs(to_usd(nanousd)):,.{2 if abs(nanousd) >= 10**9 else 6}f}"


def user_of(request: HttpRequest) -> User:
    """Return the signed-in person."""
    assert isinstance(request.user, User)
    return request.user


class PeriodForm(forms.Form):
    """What a report shows."""

    by = forms.ChoiceField(choices=[(name, name.replace("_", " ")) for name in DIMENSIONS], widget=UnfoldAdminSelectWidget)
    first = forms.DateField(widget=UnfoldAdminSingleDateWidget)
    last = forms.DateField(widget=UnfoldAdminSingleDateWidget)

    def clean(self) -> dict[str, Any]:
        """Refuse a period that ends before it starts or is too long."""
        found = super().clean() or {}
        first, last = found.get("first"), found.get("last")
        if first and last and not 0 <= (last - first).days < MOST_DAYS:
            raise ValidationError(f"Choose a last day from the first day on, at most {MOST_DAYS} days.")
        return found


class CloseForm(forms.Form):
    """Which month of which business unit to close, or to correct when a reason is given."""

    unit = forms.ModelChoiceField(BusinessUnit.objects.none(), label="Business unit", widget=UnfoldAdminSelectWidget)
    month = forms.DateField(input_formats=["%Y-%m"], help_text="As 2026-10.", widget=UnfoldAdminTextInputWidget)
    reason = forms.CharField(required=False, max_length=500, widget=UnfoldAdminTextInputWidget, help_text="Only for a correction of months that are closed.")
    sure = forms.BooleanField(label="I have checked that this month can be locked; a statement never changes.")


class ImportForm(forms.Form):
    """A vendor's export."""

    vendor = forms.ChoiceField(widget=UnfoldAdminSelectWidget)
    file = forms.FileField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["vendor"].choices = [(name, member.TITLE) for name, member in vendor_usage.shelf().items()]  # type: ignore[attr-defined]


class WrittenOnceAdmin(ModelAdmin):
    """Rows that actions write once."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes."""
        return False

    def page(self, request: HttpRequest, name: str, title: str, **context: Any) -> TemplateResponse:
        """Return a page of this admin."""
        shown = {**self.admin_site.each_context(request), "title": title, "opts": self.opts, **context}
        return TemplateResponse(request, f"admin/billing/{name}.html", shown)


@admin.register(DayRollup)
class SpendAdmin(WrittenOnceAdmin):
    """Spend with forecast, anomalies and movers instead of a list of rows."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds by hand."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """Add the FOCUS file."""
        return [path("focus/", self.admin_site.admin_view(self.focus_file), name="billing_dayrollup_focus"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show spend of the chosen period by the chosen dimension."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        today = timezone.now().date()
        form = PeriodForm(request.GET if "by" in request.GET else {"by": "project", "first": today - timedelta(days=29), "last": today})
        context: dict[str, Any] = {"form": form}
        if form.is_valid():
            period = Period(form.cleaned_data["first"], form.cleaned_data["last"])
            context |= self._report(visible_projects(user_of(request)), form.cleaned_data["by"], period, today)
        return self.page(request, "spend", "Spend", **context)

    def _report(self, projects: QuerySet[Any], by: str, period: Period, today: date) -> dict[str, Any]:
        found = spend(projects, by, period)
        most = max((line.now.cost_nanousd for line in found.lines), default=0)
        days = by_day(projects, period)
        top = max((point.measured.cost_nanousd for point in days), default=0)
        ahead = forecast(projects, month_of(today), today)
        return {
            "period": period,
            "total": found.total,
            "cards": [
                ("Cost", usd(found.total.cost_nanousd)),
                ("Period before", usd(found.before.cost_nanousd)),
                ("Saved by cached input", usd(found.total.saved_nanousd)),
                ("Calls", f"{found.total.calls:,}"),
                (f"Forecast {today:%Y-%m}", f"{usd(ahead.expected)} ({usd(ahead.low)} to {usd(ahead.high)})"),
            ],
            "lines": [
                (line, usd(line.now.cost_nanousd), usd(line.before.cost_nanousd), _share(line.now.cost_nanousd, most)) for line in found.lines[:MOST_LINES]
            ],
            "left_out": max(0, len(found.lines) - MOST_LINES),
            "days": [(point.at, usd(point.measured.cost_nanousd), _share(point.measured.cost_nanousd, top)) for point in days],
            "anomalies": [(one, usd(one.cost), usd(one.low), usd(one.high)) for one in anomalies(projects, period)],
            "movers": [(line, usd(line.change_nanousd)) for line in moved(found, 5)],
        }

    def focus_file(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """Stream the FOCUS file of the chosen period."""
        form = PeriodForm({"by": "project", "first": request.GET.get("first"), "last": request.GET.get("last")})
        if not self.has_view_permission(request):
            raise PermissionDenied
        if not form.is_valid():
            return HttpResponse("Give first and last as days such as 2026-10-01.", status=400, content_type="text/plain")
        period = Period(form.cleaned_data["first"], form.cleaned_data["last"])
        name = f"focus-{period.first}-{period.last}.csv"
        lines = focus.lines(visible_projects(user_of(request)), period)
        return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=_attached(name))


@admin.register(Statement)
class StatementAdmin(WrittenOnceAdmin):
    """Closed months, their files, and the page that closes one."""

    list_display = ("month", "unit_name", "chargeback_code", "kind", "number", "calls", "total", "late", "closed_at", "closed_by")
    list_filter = ("kind", "month")
    search_fields = ("unit_name", "chargeback_code")
    list_select_related = ("closed_by",)
    actions_detail = ("pdf", "xlsx", "csv")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Statement]:
        """Return the statements of business units the signed-in user may see."""
        return visible_statements(user_of(request))

    @admin.display(description="total", ordering="total_nanousd")
    def total(self, statement: Statement) -> str:
        """Total in USD."""
        return usd(statement.total_nanousd)

    @admin.display(description="of it late", ordering="late_nanousd")
    def late(self, statement: Statement) -> str:
        """Late amounts in USD."""
        return usd(statement.late_nanousd)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Close a month after a confirmation, or correct closed ones when a reason is given."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = CloseForm(request.POST or None)
        form.fields["unit"].queryset = visible_business_units(user_of(request))  # type: ignore[attr-defined]
        if request.method == "POST" and form.is_valid():
            chosen = form.cleaned_data
            try:
                if chosen["reason"]:
                    made = correct_statement(chosen["unit"], user_of(request), chosen["reason"])
                else:
                    made = close_month(chosen["unit"], chosen["month"], user_of(request))
            except ValidationError as refusal:
                form.add_error(None, refusal)
            else:
                self.message_user(request, f"{made} is closed: {usd(made.total_nanousd)}.", messages.SUCCESS)
                return HttpResponseRedirect(reverse("admin:billing_statement_change", args=[made.pk]))
        return self.page(request, "form", "Close a month", form=form, button="Close and lock")

    @action(description="PDF", permissions=["view"])
    def pdf(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Download as PDF."""
        return self._file(request, object_id, "pdf")

    @action(description="XLSX", permissions=["view"])
    def xlsx(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Download as XLSX."""
        return self._file(request, object_id, "xlsx")

    @action(description="CSV", permissions=["view"])
    def csv(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Download as CSV."""
        return self._file(request, object_id, "csv")

    def _file(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        statement = self.get_object(request, object_id)
        if statement is None:
            raise Http404
        headers = _attached(table.file_name(statement, name))
        return HttpResponse(render(statement, name), content_type=MEDIA[name], headers=headers)


@admin.register(ReconciliationImport)
class ReconciliationAdmin(WrittenOnceAdmin):
    """Vendors' exports and how they differ from our usage."""

    list_display = ("vendor", "file_name", "first_day", "last_day", "has_tokens", "has_cost", "imported_at", "imported_by")
    list_filter = ("vendor",)
    list_select_related = ("imported_by",)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Take an export in."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ImportForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            file = form.cleaned_data["file"]
            # One byte more than is read tells a file that is too large.
            content = file.read(vendor_usage.MOST_BYTES + 1)
            try:
                made = import_usage(form.cleaned_data["vendor"], file.name, content, user_of(request))
            except ValidationError as refusal:
                form.add_error(None, refusal)
            else:
                return HttpResponseRedirect(reverse("admin:billing_reconciliationimport_change", args=[made.pk]))
        return self.page(request, "form", "Import a vendor's export", form=form, button="Import and compare")

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the difference table, which nobody changes."""
        if not self.has_view_permission(request) or request.method == "POST":
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        lines = [
            (line, usd(line.our_cost), usd(line.their_cost), usd(line.cost_difference), "" if line.permille is None else f"{line.permille / 10} %")
            for line in differences(row)
        ]
        return self.page(request, "differences", str(row), row=row, lines=lines)


def _share(part: int, whole: int) -> int:
    return max(0, part * 100 // whole) if whole > 0 else 0


def _attached(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
