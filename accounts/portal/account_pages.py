"""Addresses of one's own account."""

from django.urls import path

from accounts.portal import mail, security
from accounts.portal.acceptable_use_page import acceptable_use_policy

app_name = "account"
urlpatterns = [
    path("acceptable-use", acceptable_use_policy, name="acceptable-use"),
    path("account", security.security, name="security"),
    path("account/mail", mail.mail, name="mail"),
    path("account/password", security.password, name="password"),
    path("account/authenticator", security.authenticator, name="authenticator"),
    path("account/authenticator/remove", security.remove_authenticator, name="remove-authenticator"),
    path("account/backup-codes", security.backup_codes, name="backup-codes"),
    path("account/passkeys/new", security.new_passkey, name="new-passkey"),
    path("account/passkeys/begin", security.passkey_begin, name="passkey-begin"),
    path("account/passkeys/done", security.passkey_done, name="passkey-done"),
    path("account/passkeys/<int:number>/rename", security.rename_passkey, name="rename-passkey"),
    path("account/passkeys/<int:number>/remove", security.remove_passkey, name="remove-passkey"),
    path("account/sessions/others/end", security.end_other_sessions, name="end-other-sessions"),
    path("account/sessions/<str:session>/end", security.end_session, name="end-session"),
]
