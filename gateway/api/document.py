"""The OpenAPI document at /api/schema/, its page at /api/docs/, and the answer to every address that is none."""

from functools import cache
from typing import Any

from django.http import HttpResponse
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from gateway.api.openapi import made


class Schema(SpectacularAPIView):
    """The document; public, because it describes the product and no data. It is made once: making it takes seconds, and anybody may ask."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    schema = None

    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        """Give the document as YAML, or as JSON to who asks for that."""
        media = request.accepted_renderer.media_type
        return HttpResponse(_rendered("json" in media), content_type=f"{media}; charset=utf-8")


@cache
def _rendered(as_json: bool) -> str | bytes:
    found: str | bytes = (OpenApiJsonRenderer if as_json else OpenApiYamlRenderer)().render(made(), renderer_context={})
    return found


class Docs(SpectacularSwaggerSplitView):
    """The browsable page; its script comes from an address of its own, so the content security policy needs no exception."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    template_name = "api/docs.html"
    url_name = "api-schema"


class Nothing(APIView):
    """Every address below /api/ that is none."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Answer 404, whatever the method."""
        raise NotFound
