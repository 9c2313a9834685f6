"""One body that works for every route that takes one, as the document shows it and readers copy it."""

from typing import Any

PROJECT, UNIT, KEY = "prj_018f6f0c1d2e7a3b8c9d0e1f2a3b4c5d", "bu_018f6f0c1d2e7a3b8c9d0e1f2a3b4c5d", "key_a1b2c3d4e5"
REASON: dict[str, Any] = {"reason": "End of the quarter, ticket 4711"}
COMMENT = {"comment": "Agreed with finance."}
RATES = {"input_usd": "1.25", "output_usd": "10.00"}

EXAMPLES: dict[str, Any] = {
    "POST business-units": {"name": "Retail"},
    "PATCH business-units/{id}": {"code": "4711"},
    "POST projects": {"name": "Checkout", "business_unit": UNIT},
    "PATCH projects/{id}": {"name": "Checkout 2"},
    "POST memberships": {"user": "ada@example.com", "role": "developer", "project": PROJECT},
    "PATCH memberships/{id}": {"role": "viewer"},
    "POST keys": {"project": PROJECT, "name": "backend", "models": ["*"]},
    "PATCH keys/{id}": {"models": ["gpt-5", "gpt-5-mini"]},
    "POST keys/{id}/rotate": {"overlap_hours": 24},
    "POST service-accounts": {"name": "pipeline", "scopes": ["keys:read", "keys:write"], "project": PROJECT},
    "PATCH service-accounts/{id}": {"scopes": ["keys:read"]},
    "POST service-accounts/{id}/rotate": {"overlap_hours": 24},
    "POST personal-tokens": {"name": "laptop", "scopes": ["calls:read"]},
    "POST budgets": {"scope": {"project": PROJECT}, "mode": "hard", "period": "monthly", "amount": "12.50"},
    "PATCH budgets/{id}": {"amount": "20.00", **REASON},
    "POST budgets/{id}/raise": {"amount": "50.00", "until": "2026-12-31T23:59:59Z", **REASON},
    "POST limits": {"scope": {"key": KEY}, "kind": "rpm", "amount": 60},
    "PATCH limits/{id}": {"amount": 120, **REASON},
    "POST credit-accounts": {"scope": {"project": PROJECT}},
    "PATCH credit-accounts/{id}": {"name": "Launch"},
    "POST credit-accounts/{id}/grant": {"amount": "100.00", **REASON},
    "POST credit-accounts/{id}/move": {"to": "crd_a1b2c3d4e5", "amount": "25.00", **REASON},
    "POST credit-requests": {"project": PROJECT, "amount": "25.00", "reason": "Load test before the launch"},
    "PATCH credit-requests/{id}": {"amount": "20.00"},
    "POST access-requests": {"kind": "join_project", "target": PROJECT, "reason": "I maintain the search"},
    "PATCH access-requests/{id}": {"reason": "I maintain the search and its index"},
    "POST approval-rules": {"name": "Small credit by itself", "kinds": ["credit"], "up_to": "10.00", "automatic": True, "cap": "50.00"},
    "PATCH approval-rules/{id}": {"active": False},
    "POST webhooks": {"name": "pager", "url": "https://hooks.example.com/gateway", "event_types": ["key.*", "request.*"]},
    "PATCH webhooks/{id}": {"is_active": False},
    "POST webhooks/{id}/rotate": {"overlap_hours": 24},
    "POST webhooks/{id}/resend": {"delivery": "msg_018f6f0c1d2e7a3b8c9d0e1f2a3b4c5d"},
    "POST notification-channels": {"name": "Ops", "kind": "email", "options": {"to": "ops@example.com"}, "scope": {"project": PROJECT}},
    "PATCH notification-channels/{id}": {"least_severity": "warning"},
    "POST providers": {"slug": "openai", "provider": "openai", "credential": "sk-..."},
    "PATCH providers/{id}": {"max_parallel": 50},
    "POST providers/{id}/add-models": {"models": ["gpt-5", "gpt-5-mini"]},
    "POST providers/{id}/verify": {"agreement": "DPA of 2026-03-01", "region": "EU", "training_use": "never", "review_on": "2027-03-01"},
    "POST providers/{id}/renew-verification": {"review_on": "2028-03-01"},
    "POST models": {"name": "gpt-5", "kind": "chat"},
    "PATCH models/{id}": {"description": "For everyday work."},
    "POST deployments": {"model": "gpt-5", "account": "openai", "upstream_model": "gpt-5-2025-08-07"},
    "PATCH deployments/{id}": {"weight": 50},
    "POST prices": {"provider": "openai", "upstream_model": "gpt-5", "valid_from": "2026-12-01T00:00:00Z", **RATES},
    "POST reports": {"business_unit": UNIT, "month": "2026-10"},
    "POST exports": {"kind": "calls", "first": "2026-10-01", "last": "2026-10-31"},
    "POST config/plan": {"document": "version: 1\nbusiness_units:\n- path: [Acme]\n"},
    "POST config/apply": {"document": "version: 1\nbusiness_units:\n- path: [Acme]\n", **REASON},
    "POST approvals/external/{id}": {
        "type": "approval.answered",
        "data": {"request": "crq_018f6f0c1d2e7a3b8c9d0e1f2a3b4c5d", "version": 1, "step": 1, "verdict": "approved", "decided_by": "ada@example.com"},
    },
    "POST leaked-keys": [{"token": "sgw_vk_...", "url": "https://github.com/acme/shop/blob/main/.env"}],
    **{f"POST prices/{{id}}/{verb}": REASON for verb in ("approve", "reject", "withdraw")},
    # verbs that mean the same wherever they stand
    "approve": COMMENT,
    "deny": {"reason": "Use the small model first."},
    "ask": {"question": "Which month is this for?"},
    "comment": {"comment": "For November."},
    "revoke": {"reason": "The project has ended."},
}


def example(route: str) -> Any:
    """Return the body of a route, by its whole name or its last word; those that only say why take a reason."""
    return EXAMPLES.get(route, EXAMPLES.get(route.rpartition("/")[2], REASON))
