"""Addresses of SCIM."""

from django.urls import path, re_path

from accounts.scim.kinds import GROUPS, PEOPLE
from accounts.scim.views import Discovery, Many, Nothing, One, Search, SearchEverything

app_name = "scim"
urlpatterns = [
    path("ServiceProviderConfig", Discovery.as_view(what="config")),
    path("ResourceTypes", Discovery.as_view(what="types")),
    path("ResourceTypes/<str:number>", Discovery.as_view(what="types")),
    path("Schemas", Discovery.as_view(what="schemas")),
    path("Schemas/<str:number>", Discovery.as_view(what="schemas")),
    path(".search", SearchEverything.as_view()),
    *(
        route
        for name, kind in (("Users", PEOPLE), ("Groups", GROUPS))
        for route in (
            path(name, Many.as_view(kind=kind)),
            path(f"{name}/.search", Search.as_view(kind=kind)),
            path(f"{name}/<str:number>", One.as_view(kind=kind)),
        )
    ),
    re_path("", Nothing.as_view()),
]
