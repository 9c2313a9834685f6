"""What an action refuses, put where the visitor reads it."""

from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError

from accounts import audit
from accounts.signin.stepup import StepUpNeeded

# fields of actions that forms call otherwise
PLACES: Mapping[str, str] = {"expires_at": "expires_on", "amount": "amount_usd", "starts_at": "from_day", "ends_at": "to_day"}


def tried(form: forms.Form, act: Callable[[], Any]) -> Any:
    """Return what an act returned; what it refuses stands in the form, and None is returned. Trying what one may not is on record."""
    try:
        return act()
    except StepUpNeeded:
        raise
    except PermissionDenied as refusal:
        audit.refuse(str(refusal))
        form.add_error(None, str(refusal))
    except ValidationError as refusal:
        told = refusal.message_dict if hasattr(refusal, "error_dict") else {"": refusal.messages}
        for name, words in told.items():
            place = PLACES.get(name, name)
            form.add_error(place if place in form.fields else None, ValidationError(words))
    return None
