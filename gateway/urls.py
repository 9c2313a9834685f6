"""Where pages live. The data plane is answered ahead of these by the ASGI application."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("gateway.portal.pages")),
    path("admin/", admin.site.urls),
    path("api/", include("gateway.api.routes")),
    path("oidc/", include("accounts.portal.oidc_routes")),
]
