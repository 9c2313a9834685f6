"""Forms of a provider account's verification; what they refuse, the action refuses too."""

from datetime import timedelta
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from gateway.models import Verification
from gateway.verifications import today

A_YEAR = timedelta(days=365)


class RenewForm(forms.Form):
    """When it has to be looked at again."""

    review_on = forms.DateField(
        label="To be reviewed on", widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}), help_text="UTC; at most three years ahead."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("review_on", today() + A_YEAR)


class VerificationForm(RenewForm):
    """What was checked."""

    agreement = forms.CharField(max_length=300, widget=UnfoldAdminTextInputWidget, help_text="The contract: its name, number or date.")
    region = forms.CharField(max_length=64, widget=UnfoldAdminTextInputWidget, help_text="Where the vendor processes, such as EU or us-east-1.")
    training_use = forms.ChoiceField(
        label="Use for training",
        choices=[("", "Choose…"), *Verification.TrainingUse.choices],
        widget=UnfoldAdminSelectWidget,
        help_text="Whether the vendor may train on what is sent there.",
    )
    field_order = ("agreement", "region", "training_use", "review_on")
