"""Forms of the admin's pages of requests; what they refuse, the actions refuse too."""

from decimal import Decimal
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminTextareaWidget

MOST_USD_DIGITS = 12
NANOUSD_PER_USD = 1_000_000_000


class VersionForm(forms.Form):
    """The version that was read: another one is not decided about."""

    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


class ApproveForm(VersionForm):
    """A word with the approval, and perhaps less than was asked."""

    amount_usd = forms.DecimalField(
        label="Amount, USD",
        required=False,
        min_value=0,
        max_digits=MOST_USD_DIGITS,
        decimal_places=2,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="Empty: as asked. For requests of money; may be lower than asked.",
    )
    comment = forms.CharField(max_length=1000, required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))

    def clean_amount_usd(self) -> int | None:
        """Return nano-USD, None for what was asked."""
        usd: Decimal | None = self.cleaned_data["amount_usd"]
        return None if usd is None else int(usd * NANOUSD_PER_USD)


class AskedAmountForm(VersionForm):
    """A word with the approval of several at once: each as it was asked."""

    comment = forms.CharField(max_length=1000, required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))


class DenyForm(VersionForm):
    """Why not."""

    reason = forms.CharField(max_length=1000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}), help_text="Whoever asked reads this.")


class WordForm(forms.Form):
    """Something said or asked."""

    text = forms.CharField(max_length=1000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))

    def clean_text(self) -> str:
        """Return the text, which says something."""
        text: Any = self.cleaned_data["text"]
        return str(text)


class NothingForm(forms.Form):
    """Nothing but the press of the button."""
