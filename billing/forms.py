"""Forms of the price book: people enter USD, rows hold nano-USD."""

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from billing.actions import check
from billing.models import CreditAccount, Limit, Price
from billing.money import MOST_RATE_NANOUSD, to_nanousd, to_usd

LABELS = {
    "input_nanousd": "Input, USD per million tokens",
    "output_nanousd": "Output, USD per million tokens",
    "cached_nanousd": "Cached input, USD per million tokens",
    "cache_write_nanousd": "Cache write, USD per million tokens",
    "cache_write_1h_nanousd": "Cache write for an hour, USD per million tokens",
    "audio_input_nanousd": "Audio input, USD per million tokens",
    "audio_output_nanousd": "Audio output, USD per million tokens",
    "reasoning_nanousd": "Reasoning, USD per million tokens",
    "web_search_nanousd": "Web search, USD per million searches",
    "request_nanousd": "Fee per request, USD",
}
REQUIRED = ("input_nanousd", "output_nanousd")
EMPTY = {"web_search_nanousd": "Empty: searches cost nothing."}


class UsdField(forms.DecimalField):
    """An amount typed in USD that cleans to nano-USD."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=0, max_value=to_usd(MOST_RATE_NANOUSD), decimal_places=9, widget=UnfoldAdminDecimalFieldWidget, **options)

    def clean(self, value: Any) -> Any:
        """Nano-USD as an integer, None when left empty; raises ValidationError."""
        usd = super().clean(value)
        return None if usd is None else to_nanousd(usd)


class PriceForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A new price."""

    class Meta:
        model = Price
        fields = ("provider", "upstream_model", "valid_from", *LABELS, "tiers", "modes")
        help_texts = {
            "tiers": 'Rates above a number of input tokens, in nano-USD: [{"above_input_tokens": 200000, "input_nanousd": 6000000000, '
            '"output_nanousd": 22500000000}]. The tier reached prices every token.',
            "modes": 'Rates of service tiers (batch, flex, priority, fast), in nano-USD: [{"name": "flex", "rates": {"input_nanousd": 625000000, '
            '"output_nanousd": 5000000000}}].',
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, label in LABELS.items():
            if name in self.fields:
                help_text = "" if name in REQUIRED or name == "request_nanousd" else EMPTY.get(name, "Empty: billed as its parent kind.")
                self.fields[name] = UsdField(label=label, required=name in REQUIRED, help_text=help_text)

    def clean_request_nanousd(self) -> int:
        """No fee unless one is given."""
        return self.cleaned_data["request_nanousd"] or 0

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # Django's hook for checks on the built instance
        if not self.errors:
            try:
                check(self.instance)
            except forms.ValidationError as error:
                self._update_errors(error)  # type: ignore[attr-defined]


class AmountForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A limit; `typed_amount` is USD where money is limited, else a whole number."""

    typed_amount = forms.DecimalField(
        label="Amount", min_value=0, max_digits=18, decimal_places=9, widget=UnfoldAdminDecimalFieldWidget, help_text="Calls or tokens; USD for spend."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding and "typed_amount" in self.fields:
            is_money = self.instance.kind == Limit.Kind.SPEND
            self.initial["typed_amount"] = f"{to_usd(self.instance.amount).normalize():f}" if is_money else str(self.instance.amount)

    def clean(self) -> dict[str, Any]:
        """Bring the amount into its unit."""
        cleaned = super().clean() or {}
        if "typed_amount" in cleaned:
            is_money = cleaned.get("kind", self.instance.kind) == Limit.Kind.SPEND
            if not is_money and cleaned["typed_amount"] % 1:
                self.add_error("typed_amount", "Write a whole number.")
            self.instance.amount = to_nanousd(cleaned["typed_amount"]) if is_money else int(cleaned["typed_amount"])
        return cleaned


class UntilForm(forms.Form):
    """How much more, until when, and why."""

    amount = UsdField(label="Amount, USD")
    until = forms.DateTimeField(widget=UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"}), help_text="UTC.")
    reason = forms.CharField(max_length=500, widget=UnfoldAdminTextInputWidget, help_text="Stands in the ledger.")


class GrantForm(forms.Form):
    """How much credit, until when, and why."""

    amount = UsdField(label="Amount, USD")
    expires_at = forms.DateTimeField(required=False, widget=UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"}), help_text="UTC; empty for no end.")
    reason = forms.CharField(max_length=500, widget=UnfoldAdminTextInputWidget, help_text="Stands in the ledger.")


class MoveForm(forms.Form):
    """How much credit, to which account, and why."""

    to = forms.ModelChoiceField(CreditAccount.objects.all(), label="To account", widget=UnfoldAdminSelectWidget)
    amount = UsdField(label="Amount, USD")
    reason = forms.CharField(max_length=500, widget=UnfoldAdminTextInputWidget, help_text="Stands in the ledger.")
