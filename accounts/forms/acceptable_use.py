"""The form of the next version of the acceptable-use policy; what it refuses, publishing refuses too."""

from typing import ClassVar

from django import forms

from accounts import acceptable_use
from accounts.models import UsePolicy


class UsePolicyForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """The whole text."""

    class Meta:
        model = UsePolicy
        fields = ("text",)
        help_texts: ClassVar = {"text": "Saving publishes this as the next version, which everybody is asked to accept."}

    def clean_text(self) -> str:
        """Return the text as it is published."""
        return acceptable_use.checked_text(self.cleaned_data["text"])
