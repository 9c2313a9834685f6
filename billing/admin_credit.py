"""The admin of credit and the ledger: accounts with their grants, and postings with their entries, which nobody edits."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.admin import TabularInline
from unfold.decorators import action, display
from unfold.views import ChangeList

from accounts.admin import GovernedAdmin, ReadOnlyAdmin
from accounts.admin.acts import Act, ActsMixin, ReasonForm
from accounts.models import User
from billing import access
from billing import credits as credit_actions
from billing.admin_budgets import amount
from billing.forms import GrantForm, MoveForm
from billing.models import CreditAccount, CreditGrant, Entry, Posting, Unit
from billing.standing import usable_credit


class ReadOnlyInline(TabularInline):
    """Rows that nobody edits here."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody adds by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits."""
        return False


class GrantInline(ReadOnlyInline):
    """Grants of an account."""

    model = CreditGrant
    fields = readonly_fields = ("granted", "remaining", "expires_at", "expired_at", "reason", "granted_by", "created_at")
    ordering = ("-id",)
    per_page = 20

    @display(description="granted")
    def granted(self, grant: CreditGrant) -> str:
        """The amount."""
        return amount(grant.amount_nanousd, Unit.NANOUSD)

    @display(description="left")
    def remaining(self, grant: CreditGrant) -> str:
        """What is left."""
        return amount(grant.remaining_nanousd, Unit.NANOUSD)


class BalanceList(ChangeList):
    """A list of credit accounts with their balances, asked for at once."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, then the balances."""
        super().get_results(request)
        self.result_list: list[Any] = list(self.result_list)
        found = usable_credit(self.result_list)
        for account in self.result_list:
            account.usable = found[account.id]


class AccountForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A new credit account."""

    class Meta:
        model = CreditAccount
        fields = ("name", "project", "key", "business_unit")


@admin.register(CreditAccount)
class CreditAccountAdmin(ActsMixin, GovernedAdmin):
    """Credit accounts with what they hold."""

    form = AccountForm
    list_display = ("name", "scope_name", "balance", "state", "created_at")
    list_filter = ("is_frozen", "business_unit")
    search_fields = ("name", "project__name", "business_unit__name", "id__exact")
    autocomplete_fields = ("project", "key", "business_unit")
    inlines = (GrantInline,)
    actions_detail = ("grant", "move", "freeze", "unfreeze")
    acts = {
        "grant": Act(
            "Grant",
            "Gives credit to this account; hard budgets of the same scope draw on it when they are used up.",
            GrantForm,
            lambda row, who, given: credit_actions.grant(row, given["amount"], given["expires_at"], who, given["reason"]),
        ),
        "move": Act(
            "Move",
            "Moves credit to another account, the earliest end first; it keeps its ends.",
            MoveForm,
            lambda row, who, given: credit_actions.move(row, given["to"], given["amount"], who, given["reason"]),
        ),
        "freeze": Act(
            "Freeze",
            "No budget draws on this account until it is thawed.",
            ReasonForm,
            lambda row, who, given: credit_actions.set_frozen(row, True, who, given["reason"]),
        ),
        "unfreeze": Act(
            "Unfreeze", "Budgets draw on this account again.", ReasonForm, lambda row, who, given: credit_actions.set_frozen(row, False, who, given["reason"])
        ),
    }

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that knows balances."""
        return BalanceList

    def get_queryset(self, request: HttpRequest) -> QuerySet[CreditAccount]:
        """Return the accounts the signed-in user may see."""
        assert isinstance(request.user, User)
        return access.visible_credit_accounts(request.user)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """An account keeps what it is for."""
        return ("project", "key", "business_unit", "balance", "state") if obj else ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show the balance of an account that is."""
        scope = ("project", "key", "business_unit")
        return ("name", scope, ("balance", "state")) if obj else ("name", scope)

    def store(self, request: HttpRequest, obj: CreditAccount, form: Any) -> None:
        """Open the account, or give it another name."""
        assert isinstance(request.user, User)
        if obj._state.adding:
            obj.__dict__.update(credit_actions.open_account(obj.scope, obj.name, request.user).__dict__)
        else:
            credit_actions.rename(obj, obj.name, request.user)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Accounts are frozen: the ledger refers to their grants."""
        return False

    @admin.display(description="for")
    def scope_name(self, account: CreditAccount) -> str:
        """What the account is for."""
        return str(account.scope)

    @display(description="usable credit")
    def balance(self, account: Any) -> str:
        """Unexpired credit nobody has drawn yet."""
        usable = account.usable if hasattr(account, "usable") else usable_credit([account])[account.id]
        return amount(usable, Unit.NANOUSD)

    @display(description="state", label={"open": "success", "frozen": "warning"})
    def state(self, account: CreditAccount) -> str:
        """Open or frozen."""
        return "frozen" if account.is_frozen else "open"

    @action(description="Grant credit", icon="add_card", url_path="grant", permissions=["change"])
    def grant(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to granting."""
        return self.lead_to(object_id, "grant")

    @action(description="Move credit", icon="move_up", url_path="move", permissions=["change"])
    def move(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to moving."""
        return self.lead_to(object_id, "move")

    @action(description="Freeze", icon="ac_unit", url_path="freeze", permissions=["change"])
    def freeze(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to freezing."""
        return self.lead_to(object_id, "freeze")

    @action(description="Unfreeze", icon="play_arrow", url_path="unfreeze", permissions=["change"])
    def unfreeze(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to thawing."""
        return self.lead_to(object_id, "unfreeze")


class EntryInline(ReadOnlyInline):
    """Movements of a posting."""

    model = Entry
    fields = readonly_fields = ("debit", "credit", "moved")
    per_page = 50

    @display(description="amount")
    def moved(self, entry: Entry) -> str:
        """What moved."""
        return amount(entry.amount_nanousd, Unit.NANOUSD)


@admin.register(Posting)
class PostingAdmin(ReadOnlyAdmin):
    """What happened to money, newest first."""

    list_display = ("id", "at", "kind", "reference", "actor", "reason", "reverses")
    list_filter = ("kind",)
    list_select_related = ("actor", "reverses")
    search_fields = ("reference", "reason")
    date_hierarchy = "at"
    show_full_result_count = False
    inlines = (EntryInline,)


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin):
    """Movements between accounts."""

    list_display = ("id", "posting", "debit", "credit", "moved")
    list_select_related = ("posting",)
    search_fields = ("debit__startswith", "credit__startswith")
    search_help_text = "The beginning of an account's name, such as window:<id>."
    show_full_result_count = False

    @display(description="amount", ordering="amount_nanousd")
    def moved(self, entry: Entry) -> str:
        """What moved."""
        return amount(entry.amount_nanousd, Unit.NANOUSD)
