"""The page of one's own mail: each at once or a digest, and quiet hours. Thin: accounts.mailboxes acts."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import mailboxes
from accounts.forms.mail import MailForm
from accounts.models import NotificationChannel
from accounts.portal.security import visitor
from accounts.portal.sign_in import add_error


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def mail(request: HttpRequest) -> HttpResponse:
    """Show and take when mails about requests come."""
    user = visitor(request)
    box = NotificationChannel.objects.filter(person=user).first() or NotificationChannel()
    form = MailForm(request.POST or None, initial={name: getattr(box, name) for name in MailForm.base_fields})
    if request.method == "POST" and form.is_valid():
        try:
            mailboxes.save_preferences(user, **form.cleaned_data)
        except ValidationError as refusal:
            add_error(form, refusal)
        else:
            messages.success(request, "Your mails come as you wish from now on.")
            return HttpResponseRedirect(reverse("account:mail"))
    return render(request, "accounts/account/mail.html", {"form": form, "address": user.email, "can_mail": mailboxes.can_mail()})
