"""Acts on rows of the admin that ask first: a page with a form, for one row or for several chosen, and only its POST acts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts import audit, four_eyes
from accounts.models import User
from accounts.signin import stepup

MOST_CHOSEN = 100


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

    def needs_proof_for(self, row: Any) -> bool:
        """Say whether acting on a row takes a fresh proof of presence; a page may say otherwise for some rows."""
        return bool(getattr(self, "needs_fresh_proof", False))

    def as_read(self, row: Any) -> dict[str, Any]:
        """Return what of a row the decision is about, which goes with the form and comes back: such as the version that was read."""
        return {}

    def act_page(self: Any, request: HttpRequest, pk: str, name: str) -> HttpResponse:
        """Ask, and act on POST; a refusal stands in the form."""
        act = self.acts.get(name)
        if act is None or not self.may_act(request):
            raise PermissionDenied
        assert isinstance(request.user, User)
        row = self.get_object(request, unquote(pk))
        if row is None:
            raise Http404
        if self.needs_proof_for(row):
            stepup.require(request)
        form = act.form(request.POST if request.method == "POST" else None, initial={**self.as_read(row), **act.initial(row)})
        back = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])
        if request.method == "POST" and form.is_valid():
            try:
                act.run(row, request.user, form.cleaned_data)
            except ValidationError as refusal:
                put_into(form, refusal)
            else:
                waiting = four_eyes.held(row)
                level = messages.WARNING if waiting else messages.SUCCESS
                self.message_user(request, four_eyes.in_words(waiting) if waiting else f"{act.title}: done.", level)
                return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist") if act.ends else back)
        context = {**self.admin_site.each_context(request), "title": f"{act.title}: {row}", "act": act, "form": form, "back": back, "opts": self.opts}
        return TemplateResponse(request, "admin/accounts/act.html", context)

    def act_on_chosen(self: Any, request: HttpRequest, queryset: QuerySet[Any], name: str) -> HttpResponse | None:
        """Ask once, then act on each chosen row as on its own page; the method that calls this is called `<name>_chosen`."""
        if not self.may_act(request):
            raise PermissionDenied
        act, rows = self.acts[name], list(queryset[: MOST_CHOSEN + 1])
        if len(rows) > MOST_CHOSEN:
            self.message_user(request, f"Choose at most {MOST_CHOSEN} at once.", messages.ERROR)
            return None
        if any(self.needs_proof_for(row) for row in rows):
            stepup.require(request)
        form = act.form(request.POST if "confirmed" in request.POST else None)
        for hidden in {field for row in rows for field in self.as_read(row)} & set(form.fields):
            del form.fields[hidden]
        if form.is_valid():
            self._act_on_each(request, act, rows, form)
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": f"{act.title}: {len(rows)} {self.opts.verbose_name_plural}",
            "act": act,
            "form": form,
            "rows": [(row, [(f"{field}:{row.pk}", value) for field, value in self.as_read(row).items()]) for row in rows],
            "action": f"{name}_chosen",
            "back": reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"),
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/accounts/act_on_chosen.html", context)

    def _act_on_each(self: Any, request: HttpRequest, act: Act, rows: Sequence[Any], form: forms.Form) -> None:
        assert isinstance(request.user, User)
        done = 0
        for row in rows:
            read = {field: _number(request.POST.get(f"{field}:{row.pk}")) for field in self.as_read(row)}
            try:
                act.run(row, request.user, {**form.cleaned_data, **read})
                done += 1
            except PermissionDenied as refusal:
                audit.refuse(f"{act.title} {row}: {refusal}")
                self.message_user(request, f"{row}: {refusal}", messages.ERROR)
            except ValidationError as refusal:
                self.message_user(request, f"{row}: {' '.join(refusal.messages)}", messages.ERROR)
        self.message_user(request, f"{act.title}: {done} of {len(rows)} done.", messages.SUCCESS if done else messages.INFO)


def _number(text: str | None) -> int:
    """Return a number that went with a form; 0, which is no version of anything, for a tampered one."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else 0


def put_into(form: forms.Form, refusal: ValidationError) -> None:
    """Show a refusal where it belongs in a form."""
    told = refusal.message_dict if hasattr(refusal, "error_dict") else {"": refusal.messages}
    for name, said in told.items():
        form.add_error(name if name in form.fields else None, said)
