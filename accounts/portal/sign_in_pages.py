"""Addresses of signing in."""

from django.urls import path

from accounts.portal import links, sign_in

app_name = "sign-in"
urlpatterns = [
    path("login", sign_in.login, name="login"),
    path("login/code", sign_in.code, name="code"),
    path("login/confirm", sign_in.confirm, name="confirm"),
    path("login/passkey", sign_in.passkey_begin, name="passkey"),
    path("login/passkey/done", sign_in.passkey_done, name="passkey-done"),
    path("login/forgotten", links.forgotten, name="forgotten"),
    path("login/new-password/<str:token>", links.reset_link, name="reset-link"),
    path("login/break-glass/<str:token>", links.by_host, name="break-glass"),
    path("logout", sign_in.logout, name="logout"),
]
