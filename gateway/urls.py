"""Where pages live. The data plane is answered ahead of these by the ASGI application."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from accounts.portal.sign_in import logout
from accounts.signin.gate import open_to_all

urlpatterns = [
    path("", include("gateway.portal.pages")),
    path("", include("accounts.portal.sign_in_pages")),
    path("", include("accounts.portal.account_pages")),
    # the admin's own ways in and out lead to ours, which know second factors
    path("admin/login/", open_to_all(RedirectView.as_view(pattern_name="sign-in:login", query_string=True))),
    path("admin/logout/", logout),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account:password")),
    path("admin/", admin.site.urls),
    path("api/", include("gateway.api.routes")),
    path("scim/v2/", include("accounts.scim.routes")),
    path("oidc/", include("accounts.portal.oidc_routes")),
]
