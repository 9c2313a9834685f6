"""What the forms of all kinds of requests have in common. Knows no kind."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from django import forms
from django.db.models import QuerySet

from accounts.access_grants import id_of
from accounts.grants import Asking
from accounts.models import GrantRequest, User
from billing.money import plain_usd

LINES = forms.Textarea(attrs={"rows": 3})
DAY = forms.DateInput(attrs={"type": "date"})


class AskForm(forms.Form):
    """What every request has: a reason, and perhaps an end. `about` says what it gives."""

    kind = ""
    heading = ""
    about = ""
    reason = forms.CharField(max_length=2000, widget=LINES, help_text="What it is for: whoever decides reads this.")
    until = forms.DateField(required=False, widget=DAY, help_text="It is taken back by itself after this day, UTC. Empty: it stays.")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.order_fields([name for name in self.fields if name not in ("reason", "until")])

    def end(self) -> datetime | None:
        """Return the end of the day chosen."""
        chosen: date | None = self.cleaned_data.get("until")
        return datetime.combine(chosen, time(23, 59, 59), UTC) if chosen else None

    def asking(self) -> Asking:
        """Return what is asked for; the form is valid."""
        raise NotImplementedError

    def offer(self, name: str, rows: QuerySet[Any], words: Any = str) -> None:
        """Offer these rows in a field, each in these words."""
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = rows
        field.label_from_instance = words  # type: ignore[method-assign]

    def lacks(self) -> list[str]:
        """Return what there is nothing to choose from of, in words."""
        found: list[str] = []
        for name, field in self.fields.items():
            choices: Any = field.choices if isinstance(field, forms.ChoiceField) else None
            if choices is not None and field.required and not any(True for _ in choices):
                found.append(str(field.label or name.capitalize()))
        return found

    @classmethod
    def filled_by(cls, row: GrantRequest) -> dict[str, Any]:
        """Return the fields that ask for what a stored request asks for."""
        until = row.until.date() if row.until else None
        amount = {"amount_usd": plain_usd(row.amount_nanousd)} if row.amount_nanousd is not None else {}
        return {"reason": row.reason, "until": until, **amount, **cls.chosen_by(row)}

    @classmethod
    def chosen_by(cls, row: GrantRequest) -> dict[str, Any]:
        """Return the fields of this kind alone."""
        raise NotImplementedError

    def told(self, address: Mapping[str, str]) -> dict[str, Any]:
        """Return what the address of an empty form says of its fields, by prefixed id where one chooses a row: such as `?project=prj_...&amount_usd=50`."""
        found: dict[str, Any] = {}
        for name, field in self.fields.items():
            text = address.get(name, "")[:2000].replace("\0", "")
            if isinstance(field, forms.ModelChoiceField):
                row = chosen(field.queryset, text)
                found |= {name: row.pk} if row is not None else {}
            elif text:
                found[name] = text
        return found


def chosen(rows: Any, text: str) -> Any:
    """Return the row a prefixed id or a name stands for among those offered, None for anything else."""
    fields = {field.name for field in rows.model._meta.get_fields()}
    prefix, _, bare = text.partition("_")
    if prefix in ("prj", "bu"):
        number = id_of(text, f"{prefix}_")
        return rows.filter(pk=number).first() if number else None
    if prefix in ("bud", "lim"):
        return rows.filter(pk=bare).first() if bare.isascii() and bare.isalnum() else None
    if prefix == "key" and "public_id" in fields:
        return rows.filter(public_id=bare).first() if bare.isascii() and bare.isalnum() else None
    return rows.filter(name=text).first() if text and "name" in fields else None
