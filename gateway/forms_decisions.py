"""Forms of what is said and decided about a request; what they refuse, the actions refuse too."""

from collections.abc import Iterable
from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.models import GrantRequest, User
from gateway.forms_requests.ask import DAY, LINES


class WordForm(forms.Form):
    """Something said about a request."""

    text = forms.CharField(max_length=1000, widget=LINES, label="Comment")


class DecideForm(forms.Form):
    """A decision on the version that was read."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    comment = forms.CharField(max_length=1000, required=False, widget=LINES, help_text="To deny or to ask back, say why.")
    amount_usd = forms.DecimalField(min_value=0, max_digits=12, decimal_places=2, required=False, label="Amount (USD)", help_text="May be lower than asked.")


class ChosenForm(forms.Form):
    """One decision about several requests, each in the version that was read: `id:version`."""

    chosen = forms.TypedMultipleChoiceField(error_messages={"required": "Choose some requests first."})
    comment = forms.CharField(max_length=1000, required=False, label="Comment", help_text="To deny, say why.")
    verdict = forms.ChoiceField(choices=[("approve", "Approve"), ("deny", "Deny")])

    def __init__(self, *args: Any, rows: Iterable[GrantRequest], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rows = {f"{row.shown_id}:{row.version}": row for row in rows}
        field = self.fields["chosen"]
        assert isinstance(field, forms.TypedMultipleChoiceField)
        field.choices = [(name, name) for name in self._rows]
        field.error_messages["invalid_choice"] = "Something you chose was edited or decided meanwhile. Read it again."

    def rows(self) -> list[GrantRequest]:
        """Return the requests that were chosen."""
        return [self._rows[name] for name in self.cleaned_data["chosen"]]


class TakeBackForm(forms.Form):
    """Why what was given ends before its time."""

    reason = forms.CharField(max_length=1000, widget=LINES)


class DelegateForm(forms.Form):
    """Who decides in one's place, from and until when."""

    delegate = forms.EmailField(max_length=254, label="Who decides in your place", help_text="E-mail address of somebody who can sign in here.")
    from_day = forms.DateField(widget=DAY, label="First day", help_text="UTC")
    to_day = forms.DateField(widget=DAY, label="Last day", help_text="UTC. It ends by itself after this day.")
    reason = forms.CharField(max_length=200, required=False, label="Why", help_text="Such as parental leave; shown to both of you.")

    def clean_delegate(self) -> User:
        """Return the person; raises ValidationError for an address nobody has who can sign in."""
        found = User.objects.filter(email=str(self.cleaned_data["delegate"]).strip().lower(), is_active=True).first()
        if found is None:
            raise ValidationError("Nobody who can sign in here has this address.")
        return found

    def given(self) -> dict[str, Any]:
        """Return what accounts.requests.rules.delegate takes: from the first moment of the first day, or now, to the last of the last."""
        data = self.cleaned_data
        start = max(datetime.combine(data["from_day"], time.min, UTC), timezone.now())
        return {"to": data["delegate"], "starts_at": start, "ends_at": datetime.combine(data["to_day"], time(23, 59, 59), UTC), "reason": data["reason"]}
