"""Addresses of single sign-on."""

from django.urls import path

from accounts.portal.single_sign_on import Callback, Leave, Left, Start
from accounts.signin.gate import open_to_all

urlpatterns = [
    path("start", open_to_all(Start.as_view()), name="oidc-start"),
    path("callback", open_to_all(Callback.as_view()), name="oidc-callback"),
    path("leave", open_to_all(Leave.as_view()), name="oidc-leave"),
    path("left", open_to_all(Left.as_view()), name="oidc-left"),
]
