"""The frame around every page: navigation by role, the badge of the installation, and the way out."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from accounts import access
from accounts.models import User
from gateway.settings import settings


@dataclass(frozen=True)
class Entry:
    """One link of the navigation as its visitor sees it."""

    title: str
    icon: str
    url: str
    is_here: bool = False
    count: int = 0


# title, icon, name of the page, whether only those who may open the admin see it
NAVIGATION = (
    ("Overview", "home", "portal:overview", False),
    ("First steps", "flag", "portal:onboarding", False),
    ("Keys", "key", "portal:keys", False),
    ("Requests", "file-text", "portal:requests", False),
    ("Approvals", "inbox", "portal:approvals", False),
    ("Administration", "settings", "admin:index", True),
)
ACCOUNT: tuple[tuple[str, str], ...] = (
    ("Sign-in and security", "account:security"),
    ("Mail", "account:mail"),
    ("Personal tokens", "portal:tokens"),
    ("Acceptable use", "account:acceptable-use"),
)


def frame(request: HttpRequest) -> dict[str, Any]:
    """Return what templates/base.html needs, as `frame`; nothing for the admin and the API, which have frames of their own."""
    if request.path_info.startswith(("/admin/", "/api/")):
        return {}
    user = getattr(request, "user", None)
    entries = []
    if isinstance(user, User):
        shown = [(title, icon, reverse(name)) for title, icon, name, staff_only in NAVIGATION if access.may_open_admin(user) or not staff_only]
        here = max((url for *_, url in shown if url == request.path_info or (url != "/" and request.path_info.startswith(url))), key=len, default="")
        entries = [Entry(title, icon, url, is_here=url == here) for title, icon, url in shown]
    return {
        "frame": {
            "navigation": entries,
            "account": [Entry(title, "", reverse(name)) for title, name in ACCOUNT],
            "badge": "Demo" if settings.demo else "",
            "sign_out": reverse("sign-in:logout"),
        }
    }
