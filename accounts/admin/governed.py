"""What every page of the admin keeps to: its writes are actions."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import QuerySet
from django.forms import BaseModelFormSet, ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.admin import ModelAdmin

from accounts import actions, four_eyes
from accounts.signin import stepup

STATE_COLOURS = {"active": "success", "suspended": "warning", "draining": "warning", "disabled": "danger", "revoked": "danger"}


class GovernedAdmin(ModelAdmin):
    """An admin page whose writes are actions: pages override `store`, and inlines name their action in `stores`."""

    list_fullwidth = True
    warn_unsaved_form = True
    compressed_fields = True
    # Whether who may write here has to have proved within minutes that it is them.
    needs_fresh_proof = False

    def changeform_view(self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        """Show or take the form; raises StepUpNeeded where a fresh proof is due. What an action refuses after the form was checked is told."""
        if self.needs_fresh_proof and (self.has_change_permission(request) or self.has_add_permission(request)):
            stepup.require(request)
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except ValidationError as refusal:
            self.message_user(request, said(refusal), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def store(self, request: HttpRequest, obj: Any, form: ModelForm[Any]) -> None:
        """Hand the checked row to its action."""
        raise NotImplementedError

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool) -> None:
        """Store by action, say what waits for a second person, then run the button of the submit line that was pressed."""
        self.store(request, obj, form)
        waiting = four_eyes.held(obj)
        if waiting is not None:
            self.message_user(request, four_eyes.in_words(waiting), messages.WARNING)
        for button in self.get_actions_submit_line(request, obj.pk):
            if button.action_name in request.POST:
                button.method(request, obj)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Say that it was added, unless it waits for a second person and is not there yet."""
        answer: HttpResponse
        answer = self.response_post_save_add(request, obj) if obj._state.adding else super().response_add(request, obj, post_url_continue)
        return answer

    def save_formset(self, request: HttpRequest, form: ModelForm[Any], formset: BaseModelFormSet[Any, Any], change: bool) -> None:
        """Store rows of an inline by their action."""
        rows = formset.save(commit=False)
        for gone in formset.deleted_objects:
            actions.remove(gone)
        for row in rows:
            self.store_inline(row)
        formset.save_m2m()

    def store_inline(self, row: models.Model) -> None:
        """Hand a row of an inline to its action."""
        raise NotImplementedError

    def delete_model(self, request: HttpRequest, obj: models.Model) -> None:
        """Delete by action."""
        self.remove(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete each row by action."""
        for row in queryset:
            self.remove(row)

    def remove(self, row: Any) -> None:
        """Hand a row that is to be deleted to its action."""
        actions.remove(row)

    def tell(self, request: HttpRequest, done: int, words: str) -> None:
        """Say how many rows an action changed."""
        self.message_user(request, f"{done} {words}." if done else "Nothing to change.", messages.SUCCESS if done else messages.INFO)


def said(error: ValidationError) -> str:
    """Return a refusal as one line."""
    return " ".join(error.messages)


class ReadOnlyAdmin(ModelAdmin):
    """Rows that only the system writes."""

    list_fullwidth = True

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes."""
        return False
