"""The admin's frame: navigation, environment badge and dashboard numbers."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse_lazy

from gateway import attention, queries
from gateway.settings import settings


def environment_badge(request: HttpRequest) -> list[str] | None:
    """Return the badge that marks an installation with demo content."""
    return ["Demo", "warning"] if settings.demo else None


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar."""

    def item(title: str, icon: str, view: str) -> dict[str, Any]:
        return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{view}")}

    return [
        {"items": [item("Overview", "dashboard", "index")]},
        {
            "title": "Catalogue",
            "separator": True,
            "items": [
                item("Provider accounts", "cloud", "gateway_provideraccount_changelist"),
                item("Models", "neurology", "gateway_model_changelist"),
                item("Prices", "sell", "billing_price_changelist"),
            ],
        },
        {
            "title": "People and projects",
            "separator": True,
            "items": [
                item("Business units", "account_tree", "accounts_businessunit_changelist"),
                item("Projects", "folder", "accounts_project_changelist"),
                item("Stored responses", "history", "gateway_responseretention_changelist"),
                item("Virtual keys", "key", "accounts_virtualkey_changelist"),
                item("Service accounts", "smart_toy", "accounts_serviceaccount_changelist"),
                item("Credential policies", "hourglass", "accounts_credentialpolicy_changelist"),
                item("Users", "person", "accounts_user_changelist"),
                item("Single sign-on identities", "id_card", "accounts_oidcidentity_changelist"),
                item("Group mappings", "group", "accounts_groupmapping_changelist"),
                item("SCIM tokens", "sync_lock", "accounts_scimtoken_changelist"),
                item("Directory people", "contacts", "accounts_directoryperson_changelist"),
                item("Directory groups", "groups", "accounts_directorygroup_changelist"),
                item("Acceptable use", "contract", "accounts_usepolicy_changelist"),
            ],
        },
        {
            "title": "Requests",
            "separator": True,
            "items": [
                item("Requests", "inbox", "accounts_grantrequest_changelist"),
                item("Approval rules", "rule", "accounts_approvalrule_changelist"),
                item("Delegations", "swap_horiz", "accounts_delegation_changelist"),
            ],
        },
        {
            "title": "Money",
            "separator": True,
            "items": [
                item("Budgets", "savings", "billing_budget_changelist"),
                item("Limits", "speed", "billing_limit_changelist"),
                item("Credit accounts", "account_balance_wallet", "billing_creditaccount_changelist"),
                item("Windows", "calendar_month", "billing_window_changelist"),
                item("Leases", "handshake", "billing_lease_changelist"),
                item("Batches", "stacks", "gateway_batch_changelist"),
                item("Disputed holds", "gavel", "billing_disputedhold_changelist"),
                item("Changes of budgets", "history", "billing_budgetchange_changelist"),
                item("Postings", "menu_book", "billing_posting_changelist"),
                item("Entries", "list_alt", "billing_entry_changelist"),
            ],
        },
        {
            "title": "Usage",
            "separator": True,
            "items": [
                item("Spend", "bar_chart", "billing_dayrollup_changelist"),
                item("Statements", "lock", "billing_statement_changelist"),
                item("Vendors' exports", "balance", "billing_reconciliationimport_changelist"),
                item("Calls", "receipt_long", "billing_usagerecord_changelist"),
                item("Quarantined receipts", "report", "billing_quarantinedreceipt_changelist"),
            ],
        },
        {
            "title": "Running",
            "separator": True,
            "items": [
                item("Alerts", "notifications", "billing_alertevent_changelist"),
                item("Notification channels", "campaign", "accounts_notificationchannel_changelist"),
                item("Outbox", "outbox", "accounts_outboxmessage_changelist"),
                item("Audit trail", "policy", "accounts_auditevent_changelist"),
                item("Audit anchors", "anchor", "accounts_auditanchor_changelist"),
                item("Schedules", "schedule", "django_celery_beat_periodictask_changelist"),
            ],
        },
    ]


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the overview's numbers to the index page, and its name."""
    context["title"] = "Overview"
    context["overview"] = queries.overview()
    context["matters"] = attention.matters(request.user)
    return context
