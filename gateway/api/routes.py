"""Every address of the management API, in one place."""

from django.urls import include, path, re_path
from rest_framework.routers import SimpleRouter

from accounts.api.audit import AuditEvents
from accounts.api.external import ExternalAnswers
from accounts.api.leaks import LeakedKeys
from accounts.api.me import Me
from accounts.api.memberships import Memberships
from accounts.api.notification_channels import NotificationChannels
from accounts.api.personal_tokens import PersonalTokens
from accounts.api.projects import Projects
from accounts.api.requests import AccessRequests
from accounts.api.rules import ApprovalRules
from accounts.api.service_accounts import ServiceAccounts
from accounts.api.units import BusinessUnits
from accounts.api.webhooks import Webhooks
from billing.api.alerts import Alerts
from billing.api.budgets import Budgets
from billing.api.calls import Calls
from billing.api.credit import CreditAccounts
from billing.api.exports import Exports
from billing.api.limits import Limits
from billing.api.prices import Prices
from billing.api.reports import Reports
from billing.api.requests import Approvals, CreditRequests
from billing.api.usage import Usage
from gateway.api.catalogue import Deployments, Models
from gateway.api.config import ApplyGiven, Config, DocumentGiven
from gateway.api.document import Docs, Nothing, Schema
from gateway.api.keys import Keys
from gateway.api.providers import Providers

RESOURCES = (
    PersonalTokens, BusinessUnits, Projects, Memberships, ServiceAccounts, Keys, Budgets, Limits, CreditAccounts, Calls, Alerts, AuditEvents, Webhooks,
    CreditRequests, AccessRequests, Approvals, ApprovalRules, Providers, Models, Deployments, Prices, NotificationChannels, Reports, Exports,
)  # fmt: skip

router = SimpleRouter(trailing_slash=False)
for resource in RESOURCES:
    router.register(resource.resource, resource, basename=resource.resource)

# what is one object, or no list of objects with ids
resource_urls = [
    path("leaked-keys", LeakedKeys.as_view(), name="leaked-keys"),
    path("approvals/external/<str:id>", ExternalAnswers.as_view(), name="external-answers"),
    path("me", Me.as_view({"get": "list"}), name="me"),
    path("usage", Usage.as_view({"get": "list"}), name="usage"),
    path("config", Config.as_view({"get": "list"}), name="config"),
    path("config/plan", Config.as_view({"post": "plan"}, takes=DocumentGiven), name="config-plan"),
    path("config/apply", Config.as_view({"post": "apply"}, takes=ApplyGiven), name="config-apply"),
    *router.urls,
]

urlpatterns = [
    path("v1/", include(resource_urls)),
    path("schema/", Schema.as_view(), name="api-schema"),
    path("docs/", Docs.as_view(), name="api-docs"),
    re_path("", Nothing.as_view()),
]
