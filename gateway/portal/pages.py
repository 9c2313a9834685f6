"""Addresses of the portal's pages."""

from django.urls import path

from gateway.portal.keys import act, key, keys, new_key
from gateway.portal.overview import overview
from gateway.portal.tokens import revoke_token, tokens

app_name = "portal"
urlpatterns = [
    path("", overview, name="overview"),
    path("keys", keys, name="keys"),
    path("tokens", tokens, name="tokens"),
    path("tokens/<str:public_id>/revoke", revoke_token, name="revoke-token"),
    path("keys/new", new_key, name="new-key"),
    path("keys/<str:public_id>", key, name="key"),
    path("keys/<str:public_id>/<str:verb>", act, name="key-act"),
]
