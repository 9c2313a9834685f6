"""Acts on one object of the admin that ask for a reason first: a page with a form, and only its POST acts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts import four_eyes
from accounts.models import User
from accounts.signin import stepup


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(max_length=500, widget=UnfoldAdminTextInputWidget, help_text="Kept with the act.")


def _nothing(row: Any) -> dict[str, Any]:
    return {}


class Act(NamedTuple):
    """One act: its title, what it does in a sentence, what it asks, and the action it calls with object, person and cleaned form.

    After an act that `ends` its object the list is shown; `initial` fills the form in.
    """

    title: str
    says: str
    form: type[forms.Form]
    run: Callable[[Any, User, dict[str, Any]], Any]
    ends: bool = False
    initial: Callable[[Any], dict[str, Any]] = _nothing


class ActsMixin:
    """Pages of acts for a ModelAdmin; `acts` by name, each with a button of that name in `actions_detail`."""

    acts: dict[str, Act] = {}

    def get_urls(self: Any) -> list[URLPattern]:
        """Add one page per act."""
        page = path("<path:pk>/act/<slug:name>/", self.admin_site.admin_view(self.act_page), name=f"{self.opts.app_label}_{self.opts.model_name}_act")
        return [page, *super().get_urls()]  # type: ignore[misc]  # ModelAdmin's

    def lead_to(self: Any, pk: str, name: str) -> HttpResponse:
        """Lead to the page of an act."""
        return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_act", args=[pk, name]))

    def may_act(self: Any, request: HttpRequest) -> bool:
        """Who may change the object may act on it, unless a page says otherwise."""
        return bool(request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}"))

    def act_page(self: Any, request: HttpRequest, pk: str, name: str) -> HttpResponse:
        """Ask, and act on POST; a refusal stands in the form."""
        act = self.acts.get(name)
        if act is None or not self.may_act(request):
            raise PermissionDenied
        if getattr(self, "needs_fresh_proof", False):
            stepup.require(request)
        assert isinstance(request.user, User)
        row = get_object_or_404(self.get_queryset(request), pk=pk)
        form = act.form(request.POST or None, initial=act.initial(row))
        back = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])
        if request.method == "POST" and form.is_valid():
            try:
                act.run(row, request.user, form.cleaned_data)
            except ValidationError as refusal:
                _put_into(form, refusal)
            else:
                waiting = four_eyes.held(row)
                level = messages.WARNING if waiting else messages.SUCCESS
                self.message_user(request, four_eyes.in_words(waiting) if waiting else f"{act.title}: done.", level)
                return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist") if act.ends else back)
        context = {**self.admin_site.each_context(request), "title": f"{act.title}: {row}", "act": act, "form": form, "back": back, "opts": self.opts}
        return TemplateResponse(request, "admin/billing/act.html", context)


def _put_into(form: forms.Form, refusal: ValidationError) -> None:
    told = refusal.message_dict if hasattr(refusal, "error_dict") else {"": refusal.messages}
    for name, said in told.items():
        form.add_error(name if name in form.fields else None, said)
