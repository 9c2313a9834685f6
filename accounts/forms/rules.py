"""Forms of approval rules and delegations in the admin; what they refuse, the actions refuse too."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminEmailInputWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from accounts import grants
from accounts.models import ApprovalRule, BusinessUnit, Delegation, Environment, Project, RuleStep, User
from accounts.requests.amounts import shown_usd
from accounts.requests.rules import Step, check_delegation, check_rule, stored_steps

NANOUSD_PER_USD = 1_000_000_000
PLATFORM_ROLES = [(value, label) for value, label in User.PlatformRole.choices if value]
MOMENT = {"type": "datetime-local"}


class NanoUsdField(forms.DecimalField):
    """An amount typed in USD, which is nano-USD inside; None when left empty."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, min_value=0, max_digits=18, decimal_places=9, widget=UnfoldAdminDecimalFieldWidget, **options)

    def prepare_value(self, value: Any) -> Any:
        """Return USD for the stored nano-USD, and what was typed as it was."""
        return shown_usd(value) if isinstance(value, int) else value

    def clean(self, value: Any) -> Any:
        """Return nano-USD."""
        usd = super().clean(value)
        return None if usd is None else int(usd * NANOUSD_PER_USD)


def kind_choices() -> list[tuple[str, str]]:
    """Return the kinds of requests there are."""
    return [(kind, f"{grant.title} ({kind})") for kind, grant in sorted(grants.kinds().items())]


class ApprovalRuleForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A rule without its steps."""

    kinds = forms.MultipleChoiceField(
        choices=kind_choices,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="None chosen: every kind that people ask for.",
    )
    up_to_nanousd = NanoUsdField(label="Up to, USD", help_text="Empty: whatever the amount. A rule that approves by itself needs one.")
    cap_nanousd = NanoUsdField(label="Cap per project, USD", help_text="For rules that approve by themselves: what they give one project in these days.")

    class Meta:
        model = ApprovalRule
        fields = (
            "name", "position", "is_active", "kinds", "business_unit", "environment", "up_to_nanousd", "is_automatic", "cap_nanousd", "cap_days",
            "remind_days", "escalate_days", "expire_days",
        )  # fmt: skip


class PositionForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """The place of a rule in the order they are tried, changed in the list."""

    class Meta:
        model = ApprovalRule
        fields = ("position",)

    def clean(self) -> dict[str, Any]:
        """Refuse a rule that could not be stored now."""
        cleaned = super().clean() or {}
        try:
            check_rule(self.instance, stored_steps(self.instance))
        except ValidationError as refusal:
            raise ValidationError(refusal.messages) from refusal
        return cleaned


class RuleStepForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A step of a rule."""

    roles = forms.MultipleChoiceField(
        choices=PLATFORM_ROLES, required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget, help_text="For a step that asks people with a platform role."
    )

    class Meta:
        model = RuleStep
        fields = ("position", "approver", "roles", "people", "channel", "quorum")

    def has_changed(self) -> bool:
        """A step that was added counts, also one left as it was offered."""
        return bool(self.instance._state.adding or super().has_changed())


class RuleStepFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]  # generic only in the stubs
    """The steps of a rule, checked together with it."""

    def given(self) -> list[Step]:
        """Return the steps as the action takes them, in their order."""
        kept = [form.cleaned_data for form in self.forms if form.cleaned_data and not form.cleaned_data.get("DELETE")]
        rows = sorted((row for row in kept if row.get("approver")), key=lambda row: row["position"])
        return [Step(row["approver"], row["roles"], list(row["people"]), row["channel"], row["quorum"]) for row in rows]

    def clean(self) -> None:
        """Refuse steps that do not go with the rule."""
        super().clean()
        if any(form.errors for form in self.forms):
            return
        try:
            check_rule(self.instance, self.given())
        except ValidationError as refusal:
            raise ValidationError(refusal.messages) from refusal


class DelegationForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """Who decides in one's own place, and when; `delegator` is set by the page."""

    delegator: User

    class Meta:
        model = Delegation
        fields = ("delegate", "starts_at", "ends_at", "reason")

    def _post_clean(self) -> None:
        self.instance.delegator = self.delegator
        super()._post_clean()  # type: ignore[misc]  # Django's hook for checks on the built instance
        if not self.errors:
            try:
                check_delegation(self.instance)
            except ValidationError as refusal:
                self._update_errors(refusal)  # type: ignore[attr-defined]


class PreviewForm(forms.Form):
    """A request that somebody might file, or one that is filed."""

    request = forms.CharField(
        required=False, max_length=40, widget=UnfoldAdminTextInputWidget, label="Request", help_text="The id of a request (arq_... or crq_...). Or:"
    )
    kind = forms.ChoiceField(choices=(), required=False, widget=UnfoldAdminSelectWidget)
    asker = forms.EmailField(required=False, label="Asked by", widget=UnfoldAdminEmailInputWidget, help_text="An e-mail address.")
    project = forms.ModelChoiceField(Project.objects.none(), required=False, widget=UnfoldAdminSelectWidget)
    unit = forms.ModelChoiceField(
        BusinessUnit.objects.none(), required=False, label="Business unit", widget=UnfoldAdminSelectWidget, help_text="Where it is about no project."
    )
    environment = forms.ChoiceField(
        choices=[("", "the project's"), *Environment.choices], required=False, widget=UnfoldAdminSelectWidget, help_text="Where another is asked for."
    )
    amount = NanoUsdField(label="Amount, USD")

    def __init__(self, *args: Any, projects: Any, units: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, rows in (("project", projects), ("unit", units)):
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = rows
        kinds: Sequence[tuple[str, str]] = [(kind, words) for kind, words in kind_choices() if grants.kinds()[kind].is_asked_for]
        self.fields["kind"] = forms.ChoiceField(choices=kinds, required=False, widget=UnfoldAdminSelectWidget)
        self.order_fields(["request", "kind"])

    def clean_asker(self) -> User | None:
        """Return the person; raises ValidationError for nobody's address."""
        address = str(self.cleaned_data["asker"]).lower()
        found = User.objects.filter(email=address).first() if address else None
        if address and found is None:
            raise ValidationError("Nobody signs in with this address.")
        return found
