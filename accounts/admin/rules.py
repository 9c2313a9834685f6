"""The admin of approval rules, with a preview of who would have to decide, and of delegations."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.forms import BaseModelFormSet, ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.admin import StackedInline
from unfold.decorators import action, display

from accounts import access as everything
from accounts.access_grants import id_of
from accounts.admin.acts import Act, ActsMixin
from accounts.admin.governed import GovernedAdmin, said
from accounts.forms.requests import NothingForm
from accounts.forms.rules import ApprovalRuleForm, DelegationForm, PositionForm, PreviewForm, RuleStepForm, RuleStepFormSet
from accounts.models import ApprovalRule, Delegation, GrantRequest, RuleStep, User
from accounts.requests import access, rules
from accounts.requests.amounts import shown_usd
from accounts.requests.foresight import asked_by, in_words, way_of
from accounts.signin import stepup


class RuleStepInline(StackedInline):
    """Whom a rule asks, one step after another."""

    model = RuleStep
    form = RuleStepForm
    formset = RuleStepFormSet
    extra = 0
    autocomplete_fields = ("people", "channel")
    fields = (("position", "approver", "quorum"), "roles", ("people", "channel"))


@admin.register(ApprovalRule)
class ApprovalRuleAdmin(GovernedAdmin):
    """Who decides about which requests; the first that fits, from the top."""

    needs_fresh_proof = True
    form = ApprovalRuleForm
    list_display = ("name", "position", "shown_kinds", "business_unit", "environment", "limit", "way", "shown_state")
    list_editable = ("position",)
    list_filter = ("is_active", "is_automatic", "business_unit")
    list_select_related = ("business_unit",)
    search_fields = ("name",)
    autocomplete_fields = ("business_unit",)
    inlines = (RuleStepInline,)
    actions = ("switch_on", "switch_off")
    actions_list = ("preview",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApprovalRule]:
        """Return the rules the signed-in person may see."""
        assert isinstance(request.user, User)
        return access.visible_rules(request.user)

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> type[ModelForm[Any]]:
        """Return what can be changed in the list."""
        return PositionForm

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Show the list, or take the order; raises StepUpNeeded for anything that changes."""
        if request.method == "POST" and self.has_change_permission(request):
            stepup.require(request)
        return super().changelist_view(request, extra_context)

    @admin.display(description="kinds")
    def shown_kinds(self, rule: ApprovalRule) -> str:
        """What it is about."""
        return ", ".join(rule.kinds) or "everything"

    @admin.display(description="up to, USD", ordering="up_to_nanousd")
    def limit(self, rule: ApprovalRule) -> str:
        """The largest amount it is about."""
        return shown_usd(rule.up_to_nanousd) or "-"

    @admin.display
    def way(self, rule: ApprovalRule) -> str:
        """Whom it asks, or that it asks nobody."""
        if rule.is_automatic:
            cap = f", at most {shown_usd(rule.cap_nanousd)} USD a project in {rule.cap_days} days" if rule.cap_nanousd is not None else ""
            return f"by itself{cap}"
        return " → ".join(in_words(step.approver, step.roles, step.quorum) for step in rule.steps.all()) or "managers of the unit"

    @display(description="state", ordering="is_active", label={"on": "success", "off": "default"})
    def shown_state(self, rule: ApprovalRule) -> str:
        """On or off."""
        return "on" if rule.is_active else "off"

    # ---- writes ---------------------------------------------------------------------------------------------------------

    def store(self, request: HttpRequest, obj: ApprovalRule, form: ModelForm[Any]) -> None:
        """Store a rule moved in the list; one from its page is stored with its steps, in save_formset."""
        if isinstance(form, PositionForm):
            rules.save_rule(obj)

    def save_formset(self, request: HttpRequest, form: ModelForm[Any], formset: BaseModelFormSet[Any, Any], change: bool) -> None:
        """Store a rule with its steps, at once."""
        assert isinstance(formset, RuleStepFormSet)
        rules.save_rule(form.instance, formset.given())
        formset.new_objects, formset.changed_objects, formset.deleted_objects = [], [], []

    def remove(self, row: Any) -> None:
        """Delete by action."""
        rules.delete_rule(row)

    def _switch(self, request: HttpRequest, queryset: QuerySet[ApprovalRule], is_active: bool) -> None:
        done = 0
        for rule in queryset:
            try:
                done += rules.switch_rule(rule, is_active)
            except ValidationError as refusal:
                self.message_user(request, f"{rule}: {said(refusal)}", messages.ERROR)
        self.tell(request, done, "switched on" if is_active else "switched off")

    @admin.action(description="Switch on", permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[ApprovalRule]) -> None:
        """Let the chosen rules decide how new requests go."""
        self._switch(request, queryset, True)

    @admin.action(description="Switch off", permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[ApprovalRule]) -> None:
        """Pass the chosen rules over; requests under way keep their steps."""
        self._switch(request, queryset, False)

    # ---- preview --------------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """Add the preview."""
        return [path("preview/", self.admin_site.admin_view(self.preview_page), name="accounts_approvalrule_foresee"), *super().get_urls()]

    @action(description="Who would have to decide?", icon="person_search", url_path="to-preview", permissions=["view"])
    def preview(self, request: HttpRequest) -> HttpResponse:
        """Lead to the preview."""
        return HttpResponseRedirect(reverse("admin:accounts_approvalrule_foresee"))

    def preview_page(self, request: HttpRequest) -> HttpResponse:
        """Show which rule a request falls under and who would have to decide it; changes nothing."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        assert isinstance(request.user, User)
        form = PreviewForm(
            request.GET or None,
            projects=everything.visible_projects(request.user).select_related("business_unit").order_by("name"),
            units=everything.visible_business_units(request.user).order_by("name"),
        )
        found = self._foreseen(request.user, form) if form.is_valid() else None
        context = {**self.admin_site.each_context(request), "title": "Who would have to decide?", "form": form, "found": found, "opts": self.opts}
        return TemplateResponse(request, "admin/accounts/preview_rules.html", context)

    def _foreseen(self, user: User, form: PreviewForm) -> dict[str, Any] | None:
        given = form.cleaned_data
        if given["request"]:
            wanted = id_of(given["request"], "arq_") or id_of(given["request"], "crq_")
            row = access.visible_requests(user).filter(pk=wanted).first() if wanted else None
            if row is None:
                form.add_error("request", "There is no such request.")
                return None
        else:
            project, unit = given["project"], given["unit"] or (given["project"].business_unit if given["project"] else None)
            environment = given["environment"] or (project.environment if project else "")
            amount = given["amount"]
            row = GrantRequest(
                kind=given["kind"], requester=given["asker"], project=project, business_unit=unit, environment=environment,
                amount_nanousd=amount, granted_nanousd=amount,
            )  # fmt: skip
        way = way_of(row)
        return {"row": row, "way": way, "steps": [asked_by(step) for step in way.steps]}


@admin.register(Delegation)
class DelegationAdmin(ActsMixin, GovernedAdmin):
    """Who decides in whose place. Everybody delegates their own seat only."""

    form = DelegationForm
    list_display = ("delegator", "delegate", "starts_at", "ends_at", "shown_state", "reason")
    list_select_related = ("delegator", "delegate")
    list_filter = (("ended_at", admin.EmptyFieldListFilter),)
    search_fields = ("delegator__email", "delegate__email")
    autocomplete_fields = ("delegate",)
    fields = ("delegate", "starts_at", "ends_at", "reason")
    actions_detail = ("end",)
    acts = {"end": Act("End", "The seat is its owner's alone again.", NothingForm, lambda row, who, given: rules.end_delegation(row, who))}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delegation]:
        """Return the delegations the signed-in person may see."""
        assert isinstance(request.user, User)
        return access.visible_delegations(request.user)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form of the signed-in person's own seat."""
        form = super().get_form(request, obj, change, **kwargs)
        return type(form.__name__, (form,), {"delegator": request.user})

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Show whose seat it is of one that is."""
        return ("delegator", *self.fields, "shown_state") if obj else self.fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever is let in here may delegate their own seat."""
        return everything.may_open_admin(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A delegation is ended, not changed."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Decisions were made by it, so it stays."""
        return False

    def may_act(self, request: HttpRequest) -> bool:
        """Who ends which, its action knows."""
        return bool(self.has_view_permission(request))

    def has_end_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """The signed-in person gave it or got it, and it has not ended."""
        row = self.get_object(request, str(object_id)) if object_id else None
        return row is not None and request.user.pk in (row.delegator_id, row.delegate_id) and row.ended_at is None

    @display(description="state", label={"holds": "success", "ahead": "info", "over": "default"})
    def shown_state(self, row: Delegation) -> str:
        """Whether it holds now."""
        return row.standing

    def store(self, request: HttpRequest, obj: Delegation, form: ModelForm[Any]) -> None:
        """Delegate the signed-in person's own seat."""
        assert isinstance(request.user, User)
        made = rules.delegate(request.user, obj.delegate, obj.starts_at, obj.ends_at, obj.reason)
        obj.__dict__.update(made.__dict__)

    @action(description="End it", icon="event_busy", url_path="end", permissions=["end"])
    def end(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to ending."""
        return self.lead_to(object_id, "end")
