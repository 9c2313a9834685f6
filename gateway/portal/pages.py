"""Addresses of the portal's pages."""

from django.urls import path

from gateway.portal.by_mail import by_mail
from gateway.portal.delegations import delegations, end_delegation
from gateway.portal.inbox import approvals
from gateway.portal.keys import act, edit_key, key, keys, new_key
from gateway.portal.onboarding import onboarding
from gateway.portal.overview import overview
from gateway.portal.request_page import act_on_request, one_request
from gateway.portal.requests import edit_request, new_request, requests
from gateway.portal.tokens import revoke_token, tokens

app_name = "portal"
urlpatterns = [
    path("", overview, name="overview"),
    path("onboarding", onboarding, name="onboarding"),
    path("keys", keys, name="keys"),
    path("tokens", tokens, name="tokens"),
    path("tokens/<str:public_id>/revoke", revoke_token, name="revoke-token"),
    path("requests", requests, name="requests"),
    path("requests/new/<str:kind>", new_request, name="new-request"),
    path("requests/<str:public_id>", one_request, name="request"),
    path("requests/<str:public_id>/edit", edit_request, name="edit-request"),
    path("requests/<str:public_id>/<str:verb>", act_on_request, name="request-act"),
    path("approvals", approvals, name="approvals"),
    path("approvals/away", delegations, name="delegations"),
    path("approvals/away/<str:public_id>/end", end_delegation, name="end-delegation"),
    path("approvals/<str:public_id>", one_request, name="approval"),
    path("approvals/by-mail/<str:token>/<str:verdict>", by_mail, name="by-mail"),
    path("keys/new", new_key, name="new-key"),
    path("keys/<str:public_id>", key, name="key"),
    path("keys/<str:public_id>/edit", edit_key, name="edit-key"),
    path("keys/<str:public_id>/<str:verb>", act, name="key-act"),
]
