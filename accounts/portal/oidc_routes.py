"""Addresses of single sign-on."""

from django.urls import path

from accounts.portal.single_sign_on import Callback, Leave, Left, Start

urlpatterns = [
    path("start", Start.as_view(), name="oidc-start"),
    path("callback", Callback.as_view(), name="oidc-callback"),
    path("leave", Leave.as_view(), name="oidc-leave"),
    path("left", Left.as_view(), name="oidc-left"),
]
