"""The admin of requests: what waits for whom, and the signed-in person's decision, by the actions the portal and the API call."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action, display

from accounts import four_eyes, grants
from accounts.access_grants import id_of
from accounts.admin.acts import Act, ActsMixin, ReasonForm
from accounts.admin.governed import ReadOnlyAdmin
from accounts.forms.requests import ApproveForm, AskedAmountForm, DenyForm, NothingForm, WordForm
from accounts.models import GrantRequest, User
from accounts.requests import access, asking, deciding
from accounts.requests.amounts import shown_usd
from accounts.requests.flags import flags
from accounts.requests.foresight import in_words, who_decides

REQUEST_COLOURS = {
    "submitted": "info", "needs_info": "warning", "approved": "info", "applied": "success", "denied": "danger", "withdrawn": "default",
    "expired": "warning", "revoked": "default",
}  # fmt: skip
PEOPLE = ("requester", "service_account", "project", "business_unit", "rule")


def _approve(row: GrantRequest, who: User, given: dict[str, Any]) -> GrantRequest:
    lowered = given.get("amount_usd")
    return deciding.approve(row, who, version=given["version"], amount_nanousd=lowered, comment=given["comment"])


class Waiting(admin.SimpleListFilter):
    """Requests by whom they wait for."""

    title, parameter_name = "waiting", "waits"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return what can be chosen."""
        return [("me", "for my decision"), ("escalated", "escalated"), ("stuck", "for nobody: stuck")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the requests chosen."""
        assert isinstance(request.user, User)
        if self.value() not in ("me", "escalated", "stuck"):
            return queryset
        waiting = access.waiting(request.user)
        return queryset.filter(pk__in={"me": waiting.mine, "escalated": waiting.escalated, "stuck": waiting.stuck}[str(self.value())])


@admin.register(GrantRequest)
class GrantRequestAdmin(ActsMixin, ReadOnlyAdmin):
    """What people ask for. The list's filter *for my decision* is the inbox."""

    list_display = ("title", "asker", "shown_state", "shown_amount", "business_unit", "created_at", "expires_at")
    list_filter = (Waiting, "state", "kind", "business_unit")
    list_select_related = PEOPLE
    search_fields = ("title", "requester__email", "service_account__name")
    search_help_text = "Words of the title, who asked, or a request's whole id."
    date_hierarchy = "created_at"
    fields = readonly_fields = (
        "shown_id", "asker", "reason", "shown_state", "changes", "helps", "stands_out", "waits_for", "shown_amount", "until", "runs_at", "expires_at",
        "decided", "history",
    )  # fmt: skip
    actions = ("approve_as_asked_chosen", "deny_chosen", "ask_chosen")
    actions_detail = ("approve", "deny", "ask", "comment", "withdraw", "take_back")
    acts = {
        "approve": Act("Approve", "The last approval that is needed carries the request out at once.", ApproveForm, _approve),
        "approve_as_asked": Act("Approve as asked", "The last approval that is needed carries a request out at once.", AskedAmountForm, _approve),
        "deny": Act(
            "Deny",
            "Refuses the request for good. Whoever asked may ask again.",
            DenyForm,
            lambda row, who, given: deciding.deny(row, who, given["reason"], version=given["version"]),
        ),
        "ask": Act("Ask back", "The request waits until whoever asked answers.", WordForm, lambda row, who, given: deciding.ask(row, who, given["text"])),
        "comment": Act("Comment", "Stands in the request's history.", WordForm, lambda row, who, given: asking.comment(row, who, given["text"])),
        "withdraw": Act(
            "Withdraw",
            "Takes your own request back, or stops an act that waits without a second person.",
            NothingForm,
            lambda row, who, given: asking.withdraw(row, who),
        ),
        "take_back": Act(
            "Take back",
            "Ends now what this request gave, before its time.",
            ReasonForm,
            lambda row, who, given: deciding.take_back(row, who, given["reason"]),
        ),
    }

    # ---- who may what: the actions decide, the buttons follow -----------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[GrantRequest]:
        """Return the requests the signed-in person may see."""
        assert isinstance(request.user, User)
        return access.visible_requests(request.user)

    def may_act(self, request: HttpRequest) -> bool:
        """Whoever sees requests here may try; who decides which, its action knows."""
        return bool(self.has_view_permission(request))

    def needs_proof_for(self, row: Any) -> bool:
        """What takes two people asks the second one for a fresh proof, as it did the first."""
        return four_eyes.is_grave(row)

    def as_read(self, row: Any) -> dict[str, Any]:
        """The version that was read is the one decided about."""
        return {"version": row.version}

    def _row(self, request: HttpRequest, object_id: Any) -> GrantRequest | None:
        return self.get_object(request, str(object_id)) if object_id else None

    def has_decide_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """A row waits for the signed-in person; several are asked one by one."""
        row = self._row(request, object_id)
        return access.may_decide(request.user, row) if row else self.may_act(request)  # type: ignore[arg-type]  # signed in

    def has_own_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """An open request is the signed-in person's own, or theirs to stop."""
        row, user = self._row(request, object_id), request.user
        assert isinstance(user, User)
        return row is not None and row.is_open and (asking.is_asker(user, row) or asking.may_stop(user, row))

    def has_end_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """What a request gave can be taken back by the signed-in person."""
        row = self._row(request, object_id)
        assert isinstance(request.user, User)
        return row is not None and deciding.may_take_back(request.user, row)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        """Find a request by its prefixed id too."""
        wanted = id_of(search_term, "arq_") or id_of(search_term, "crq_")
        return (queryset.filter(pk=wanted), False) if wanted else super().get_search_results(request, queryset, search_term)

    # ---- how a request looks --------------------------------------------------------------------------------------------

    @admin.display(description="by")
    def asker(self, row: GrantRequest) -> str:
        """Who asked."""
        return str(row.requester or row.service_account or "the system")

    @display(description="state", ordering="state", label=REQUEST_COLOURS)
    def shown_state(self, row: GrantRequest) -> tuple[str, str]:
        """State as a coloured label."""
        return row.state, row.get_state_display()

    @admin.display(description="amount, USD", ordering="granted_nanousd")
    def shown_amount(self, row: GrantRequest) -> str:
        """What was asked, and what an approver made of it."""
        asked, granted = shown_usd(row.amount_nanousd), shown_usd(row.granted_nanousd)
        return f"{granted} of {asked}" if asked != granted else asked or "-"

    @admin.display(description="what changes")
    def changes(self, row: GrantRequest) -> SafeString | str:
        """Before and after."""
        lines = grants.changes_of(row) if row.is_open else []
        return format_html_join("", "<div>{}: {} → {}</div>", lines) or "-"

    @admin.display(description="to know")
    def helps(self, row: GrantRequest) -> SafeString | str:
        """What helps to decide."""
        facts = grants.grant_of(row.kind).facts(row) if row.is_open else []
        return format_html_join("", "<div>{}: {}</div>", facts) or "-"

    @admin.display(description="stands out")
    def stands_out(self, row: GrantRequest) -> SafeString | str:
        """What an approver should not overlook."""
        return format_html_join("", "<div>{}</div>", ((flag,) for flag in (flags(row) if row.is_open else []))) or "-"

    @admin.display(description="waits for")
    def waits_for(self, row: GrantRequest) -> str:
        """Who has to decide now, by name."""
        step = who_decides(row)
        return f"{step.words}: {', '.join(step.people) or 'nobody may'}" if step else "-"

    @admin.display(description="steps")
    def decided(self, row: GrantRequest) -> SafeString | str:
        """What was decided at each step of this version."""
        found = []
        for step in row.steps.filter(version=row.version).prefetch_related("decisions__approver", "decisions__seat", "decisions__channel"):
            said = "; ".join(
                f"{one.verdict} by {one.decided_by}{f' for {one.seat}' if one.seat_id != one.approver_id else ''}: {one.comment}"
                for one in step.decisions.all()
            )
            found.append((step.position, in_words(step.approver, step.roles, step.quorum), step.get_state_display(), said))
        return format_html_join("", "<div>{}. {}: {} {}</div>", found) or "-"

    @admin.display
    def history(self, row: GrantRequest) -> SafeString | str:
        """What happened and was said."""
        notes = row.notes.select_related("author", "program")
        lines = ((f"{note.at:%Y-%m-%d %H:%M}", note.by or "the system", note.what, note.text) for note in notes)
        return format_html_join("", '<div class="break-words">{} UTC · {} · {} {}</div>', lines) or "-"

    # ---- buttons --------------------------------------------------------------------------------------------------------

    @action(description="Approve", icon="check", url_path="approve", permissions=["decide"])
    def approve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to approving."""
        return self.lead_to(object_id, "approve")

    @action(description="Deny", icon="close", url_path="deny", permissions=["decide"])
    def deny(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to denying."""
        return self.lead_to(object_id, "deny")

    @action(description="Ask back", icon="help", url_path="ask", permissions=["decide"])
    def ask(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to asking back."""
        return self.lead_to(object_id, "ask")

    @action(description="Comment", icon="comment", url_path="comment", permissions=["view"])
    def comment(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to commenting."""
        return self.lead_to(object_id, "comment")

    @action(description="Withdraw", icon="undo", url_path="withdraw", permissions=["own"])
    def withdraw(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to withdrawing."""
        return self.lead_to(object_id, "withdraw")

    @action(description="Take back", icon="block", url_path="take-back", permissions=["end"])
    def take_back(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to taking back."""
        return self.lead_to(object_id, "take_back")

    @admin.action(description="Approve as asked", permissions=["decide"])
    def approve_as_asked_chosen(self, request: HttpRequest, queryset: QuerySet[GrantRequest]) -> HttpResponse | None:
        """Approve each chosen request as it was asked."""
        return self.act_on_chosen(request, queryset, "approve_as_asked")

    @admin.action(description="Deny", permissions=["decide"])
    def deny_chosen(self, request: HttpRequest, queryset: QuerySet[GrantRequest]) -> HttpResponse | None:
        """Deny each chosen request for one reason."""
        return self.act_on_chosen(request, queryset, "deny")

    @admin.action(description="Ask back", permissions=["decide"])
    def ask_chosen(self, request: HttpRequest, queryset: QuerySet[GrantRequest]) -> HttpResponse | None:
        """Ask the same back about each chosen request."""
        return self.act_on_chosen(request, queryset, "ask")
