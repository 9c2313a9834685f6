"""The form of one's own mail."""

from django import forms

from accounts.models import NotificationChannel

CLOCK = forms.TimeInput(attrs={"type": "time"}, format="%H:%M")


class MailForm(forms.Form):
    """When mails about requests come."""

    digest = forms.ChoiceField(choices=NotificationChannel.Digest.choices, required=False, label="Send", help_text="One digest, or each mail at once.")
    quiet_from = forms.TimeField(required=False, widget=CLOCK, label="Quiet from", help_text="Mails wait for the end of the quiet hours. Empty: never quiet.")
    quiet_until = forms.TimeField(required=False, widget=CLOCK, label="Quiet until")
    time_zone = forms.CharField(max_length=64, label="Time zone", help_text="Such as Europe/Berlin.")
