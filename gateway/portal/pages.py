"""Addresses of the portal's pages."""

from django.urls import path

from gateway.portal.overview import overview

app_name = "portal"
urlpatterns = [
    path("", overview, name="overview"),
]
