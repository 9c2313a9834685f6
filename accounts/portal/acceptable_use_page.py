"""The page of the acceptable-use policy: read it, accept it, go on to where one was going."""

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import acceptable_use
from accounts.models import Acceptance, User
from accounts.portal.page import signed_in
from accounts.portal.sign_in import after


class AcceptForm(forms.Form):
    """That the version shown was read and is accepted."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    is_accepted = forms.BooleanField(label="I have read this and keep to it.")


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def acceptable_use_policy(request: HttpRequest, user: User) -> HttpResponse:
    """Show the policy; take the word of whoever has not given it for this version."""
    policy = acceptable_use.current()
    earlier = list(Acceptance.objects.filter(user=user).select_related("policy"))
    form = AcceptForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            acceptable_use.accept(user, form.cleaned_data["version"])
            return HttpResponseRedirect(_onward(request, is_first=not earlier))
        except ValidationError as refusal:
            form.add_error(None, refusal)
    accepted = next((row for row in earlier if row.policy == policy), None)
    told = {"policy": policy, "accepted": accepted, "earlier": earlier, "form": form, "next": after(request)}
    return render(request, "accounts/account/acceptable_use.html", told, status=400 if form.errors else 200)


def _onward(request: HttpRequest, *, is_first: bool) -> str:
    """Return where to go: to the first steps where somebody new was going nowhere else."""
    onward = after(request)
    return reverse("portal:onboarding") if is_first and onward == "/" else onward
