"""Forms kept while their visitor proves to be there, so that nothing is typed twice. No secret is ever in one."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from accounts.signin import stepup

# In the session: the fields of one form, the page it belongs to and since when (seconds since 1970).
DRAFT = "draft"
LASTS_S = 900


def prove(request: HttpRequest) -> None:
    """Raise StepUpNeeded unless the proof is fresh, and keep the form that was sent for when its page is opened again."""
    if not stepup.is_fresh(request):
        fields = {name: value for name, value in request.POST.items() if name != "csrfmiddlewaretoken"}
        request.session[DRAFT] = {"page": request.path, "fields": fields, "since": int(timezone.now().timestamp())}
    stepup.require(request)


def taken(request: HttpRequest) -> dict[str, Any]:
    """Return what was kept for this page and forget it; nothing for another page, or after a quarter of an hour."""
    kept = request.session.get(DRAFT)
    if request.method == "POST" or not isinstance(kept, dict) or kept["page"] != request.path:
        return {}
    del request.session[DRAFT]
    fields: dict[str, Any] = kept["fields"]
    return fields if timezone.now().timestamp() - kept["since"] < LASTS_S else {}
