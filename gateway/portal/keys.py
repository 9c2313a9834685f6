"""The pages of keys: list, create, one key with its rotation, pause and revocation. A secret is shown in one answer and nowhere else."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import access, credentials
from accounts.models import User, VirtualKey
from accounts.portal.download import as_csv, wants_csv
from accounts.portal.page import page_of, signed_in
from gateway import keymaking
from gateway.first_steps import model_for, offered
from gateway.forms_keys import KeyEditForm, KeyForm, ReasonForm, RevokeForm, RotateForm, projects_for
from gateway.portal import drafts
from gateway.portal.onboarding import base_url
from gateway.portal.refusals import tried

DEFAULT_LIFE = timedelta(days=90)
SOON = timedelta(days=14)
COLUMNS = (
    "id", "name", "project", "business unit", "environment", "for", "purpose", "models", "state", "expires", "created",
    "last used", "last address", "last agent",
)  # fmt: skip
VERBS = ("rotate", "end-overlap", "suspend", "resume", "revoke")
DONE = {"suspend": "suspended", "resume": "resumed", "revoke": "revoked"}


@signed_in
@require_http_methods(["GET", "HEAD"])
def keys(request: HttpRequest, user: User) -> HttpResponseBase:
    """List the keys the visitor sees, of one project or state where the address says so."""
    rows = access.visible_keys(user).select_related("project__business_unit", "owner")
    projects = access.visible_projects(user).order_by("name")
    project, state = request.GET.get("project", ""), request.GET.get("state", "active")
    chosen = next((row for row in projects if f"prj_{row.pk.hex}" == project), None)
    if chosen is not None:
        rows = rows.filter(project=chosen)
    if state in VirtualKey.State.values:
        rows = rows.filter(state=state)
    if wants_csv(request):
        return as_csv("keys", COLUMNS, cells_of(rows))
    told = {
        "page": page_of(request, rows),
        "projects": [(f"prj_{row.pk.hex}", row.name) for row in projects],
        "states": VirtualKey.State.choices,
        "project": project,
        "state": state,
        "soon": timezone.now() + SOON,
        "now": timezone.now(),
        "query": f"project={project if chosen else ''}&state={state if state in VirtualKey.State.values else ''}&",
        "may_create": projects_for(user).exists(),
    }
    return render(request, "gateway/keys.html", told)


def cells_of(rows: QuerySet[VirtualKey]) -> Iterator[list[Any]]:
    """Yield a line for each key."""
    for row in rows.iterator(chunk_size=500):
        where = [row.project.name, row.project.business_unit.name, row.environment, row.owner or "the project", row.purpose, " ".join(row.models)]
        used = [row.last_used_at, row.last_used_ip, row.last_used_agent]
        yield [row.shown_id, row.name, *where, row.state, row.expires_at, row.created_at, *used]


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new_key(request: HttpRequest, user: User) -> HttpResponse:
    """Create a key; the answer to a good form shows it, this once. One for production needs a fresh proof, over which the form is kept."""
    initial = {"expires_on": (timezone.now() + DEFAULT_LIFE).date(), "models": "*", "environment": "dev"}
    form = KeyForm(request.POST or None, user=user, initial=initial | drafts.taken(request))
    if request.method == "POST" and form.is_valid():
        if form.is_for_production:
            drafts.prove(request)
        made = tried(form, lambda: keymaking.make_for(user, **form.given(user)))
        if made is not None:
            return revealed(request, *made)
    return render(request, "gateway/key_new.html", {"form": form})


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def edit_key(request: HttpRequest, user: User, public_id: str) -> HttpResponse:
    """Change a key; making it one for production needs a fresh proof, over which the form is kept."""
    row = found_key(user, public_id)
    title = row.name
    keymaking.refuse_unless_allowed(user, keymaking.CHANGE, row)
    if row.state == VirtualKey.State.REVOKED:
        return HttpResponseRedirect(reverse("portal:key", args=[row.shown_id]))
    form = KeyEditForm(request.POST or None, key=row, initial=drafts.taken(request))
    if request.method == "POST" and form.is_valid():
        changed = form.changed_facts()
        if "environment" in changed and form.is_for_production:
            drafts.prove(request)
        if tried(form, lambda: keymaking.change_for(user, row, changed)) is not None:
            messages.success(request, f"{row.name} is changed." if changed else "Nothing was changed.")
            return HttpResponseRedirect(reverse("portal:key", args=[row.shown_id]))
    return render(request, "gateway/key_edit.html", {"form": form, "row": row, "title": title})


@signed_in
@require_http_methods(["GET", "HEAD"])
def key(request: HttpRequest, user: User, public_id: str) -> HttpResponse:
    """Show one key and what the visitor may do with it."""
    return shown(request, user, found_key(user, public_id))


@signed_in
@never_cache
@require_POST
def act(request: HttpRequest, user: User, public_id: str, verb: str) -> HttpResponse:
    """Rotate, pause or revoke a key."""
    row = found_key(user, public_id)
    if verb not in VERBS:
        raise Http404
    keymaking.refuse_unless_allowed(user, f"POST keys/{{id}}/{verb}", row)
    if verb == "rotate":
        form: forms.Form = RotateForm(request.POST)
        made = tried(form, lambda: keymaking.rotate_for(user, row, form.cleaned_data["overlap_hours"])) if form.is_valid() else None
        return revealed(request, *made) if made is not None else shown(request, user, row, rotate=form)
    if verb == "end-overlap":
        credentials.end_overlap(row)
        messages.success(request, f"Only the new secret of {row.name} is good now.")
        return HttpResponseRedirect(reverse("portal:key", args=[f"key_{row.public_id}"]))
    form = RevokeForm(request.POST, key=row) if verb == "revoke" else ReasonForm(request.POST)
    if not form.is_valid() or tried(form, lambda: set_state(user, row, verb, form.cleaned_data)) is None:
        return shown(request, user, row, **{verb: form})
    messages.success(request, f"{row.name} is {DONE[verb]}.")
    return HttpResponseRedirect(reverse("portal:key", args=[f"key_{row.public_id}"]))


def set_state(user: User, row: VirtualKey, verb: str, given: dict[str, Any]) -> bool:
    """Change the state of a key."""
    return keymaking.set_state_for(user, row, verb, reason=given["reason"], compromised=given.get("compromised", False))


def found_key(user: User, public_id: str) -> VirtualKey:
    """Return the key of a prefixed id; raises Http404 for a foreign one as for one that is not."""
    rows = access.visible_keys(user).select_related("project__business_unit", "owner", "created_by")
    row = rows.filter(public_id=public_id.removeprefix("key_")).first() if public_id.startswith("key_") else None
    if row is None:
        raise Http404
    return row


def revealed(request: HttpRequest, row: VirtualKey, text: str) -> HttpResponse:
    """Show a new secret in this very answer."""
    told = {"row": row, "text": text, "base_url": base_url(request), "model": model_for([row], tuple(offered(timezone.now())))}
    return render(request, "gateway/key_revealed.html", told)


def shown(request: HttpRequest, user: User, row: VirtualKey, **tried_forms: forms.Form) -> HttpResponse:
    """Show a key with the forms of what the visitor may do with it; `tried_forms` are those just refused."""
    blank: dict[str, forms.Form] = {"rotate": RotateForm(), "suspend": ReasonForm(), "resume": ReasonForm(), "revoke": RevokeForm(key=row)}
    for verb, form in (blank | tried_forms).items():
        form.auto_id = f"{verb}_%s"  # several forms of one page have a reason
    fits = {
        "rotate": row.state != VirtualKey.State.REVOKED,
        "end-overlap": row.previous_until is not None and row.previous_until > timezone.now(),
        "suspend": row.state == VirtualKey.State.ACTIVE,
        "resume": row.state == VirtualKey.State.SUSPENDED,
        "revoke": row.state != VirtualKey.State.REVOKED,
    }
    may = {verb.replace("-", "_"): fits[verb] and access.allows(user, f"POST keys/{{id}}/{verb}", row.project, row) for verb in VERBS}
    may["edit"] = row.state != VirtualKey.State.REVOKED and access.allows(user, keymaking.CHANGE, row.project, row)
    told = {"row": row, "may": may, "forms": blank | tried_forms, "now": timezone.now(), "soon": timezone.now() + SOON}
    return render(request, "gateway/key.html", told, status=400 if tried_forms else 200)
