"""Budgets, limits and credit through the management API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from billing.budgets import save_budget, save_limit
from billing.holds import span_of
from billing.models import Budget, BudgetChange, CreditGrant, Limit, Posting, Window
from tests.gateway.api.callers import Caller, company, program

pytestmark = pytest.mark.django_db


@pytest.fixture
def it() -> Caller:
    return program()


@pytest.fixture
def project(it: Caller) -> str:
    unit = it.made("business-units", {"name": "Retail"})
    return str(it.made("projects", {"name": "Checkout", "business_unit": unit["id"]})["id"])


def open_window(shown: dict[str, Any], **figures: int) -> Window:
    """Open the present window of a budget, as its first lease would."""
    budget = Budget.objects.get(pk=shown["id"].removeprefix("bud_"))
    span = span_of(budget.period, timezone.now().timestamp())
    closes_at = datetime.fromtimestamp(span.closes_at_s, UTC) if span.closes_at_s else None
    return Window.objects.create(
        id=f"{budget.id}:{span.label}", budget=budget, unit=budget.unit, base=budget.amount, closes_at=closes_at,
        opens_at=datetime.fromtimestamp(span.opens_at_s, UTC), **figures,
    )  # fmt: skip


def test_a_budget_stands_at_nothing_until_money_is_held_or_spent(it: Caller, project: str) -> None:
    made = it.made("budgets", {"scope": {"project": project}, "mode": "hard", "period": "monthly", "amount": "12.50"})
    figures = ("amount", "spent", "held", "remaining", "credit", "overrun", "currency")
    assert [made[name] for name in figures] == ["12.50", "0.00", "0.00", "12.50", "0.00", "0.00", "USD"]
    assert (made["scope"], made["mode"], made["period"], made["window"]) == ({"project": project}, "hard", "monthly", None)
    window = open_window(made, spent=2_000_000_001, held=500_000_000, credit=1_000_000_000)
    shown = it.get(f"budgets/{made['id']}").json()
    assert [shown[name] for name in figures] == ["12.50", "2.000000001", "0.50", "10.999999999", "1.00", "0.00", "USD"]
    assert shown["window"]["opens_at"] == window.opens_at.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("kind", ["project", "key", "business_unit"])
@pytest.mark.parametrize("period", ["daily", "weekly", "monthly", "total"])
def test_a_budget_is_for_any_scope_and_period(it: Caller, project: str, kind: str, period: str) -> None:
    ids = {"project": project, "business_unit": it.get(f"projects/{project}").json()["business_unit"]}
    ids["key"] = it.made("keys", {"project": project, "name": "k", "models": ["*"]})["id"]
    made = it.made("budgets", {"scope": {kind: ids[kind]}, "mode": "soft", "period": period, "amount": "1"})
    assert (made["scope"], made["period"], made["mode"], it.ids(f"budgets?{kind}={ids[kind]}")) == ({kind: ids[kind]}, period, "soft", [made["id"]])


def test_a_budget_in_tokens_for_each_end_user_has_no_common_rest(it: Caller, project: str) -> None:
    made = it.made("budgets", {"scope": {"project": project}, "unit": "tokens", "amount": 5000, "per": "end_user", "period": "daily"})
    assert [made[name] for name in ("amount", "spent", "remaining", "currency", "per", "unit")] == [5000, 0, None, None, "end_user", "tokens"]


@pytest.mark.parametrize("amount", [12.5, 12, "-1", "1e3", "1,5", "", "NaN", " 1", "1" * 10, "0.0000000001", None, [], "٣"])
def test_an_amount_that_is_no_decimal_string_is_refused(it: Caller, project: str, amount: Any) -> None:
    refused = it.post("budgets", {"scope": {"project": project}, "mode": "hard", "period": "monthly", "amount": amount})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "amount")


def test_a_scope_is_exactly_one_and_visible(it: Caller, project: str) -> None:
    body = {"mode": "hard", "period": "monthly", "amount": "1"}
    scopes: list[Any] = [{}, {"project": project, "business_unit": project}, {"project": "prj_x"}, {"team": project}, None, project]
    assert [it.post("budgets", {**body, "scope": scope}).status_code for scope in scopes] == [400] * 6
    assert Budget.objects.count() == 0


def test_an_amount_changes_only_with_a_reason_and_moves_the_open_window(it: Caller, project: str) -> None:
    made = it.made("budgets", {"scope": {"project": project}, "mode": "hard", "period": "monthly", "amount": "10"})
    open_window(made, spent=4_000_000_000)
    path = f"budgets/{made['id']}"
    refused = it.patch(path, {"amount": "20"})
    changed = it.patch(path, {"amount": "20", "name": "More", "reason": "season"}).json()
    posting = Posting.objects.get(kind="adjust")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "reason")
    assert [changed[name] for name in ("amount", "spent", "remaining", "name")] == ["20.00", "4.00", "16.00", "More"]
    assert (posting.reason.startswith("season (service account sgw_sa_"), posting.entries.get().amount_nanousd) == (True, 10_000_000_000)
    assert it.patch(path, {"scope": {"project": project}}).json()["errors"][0]["field"] == "scope"


def test_the_version_of_a_budget_does_not_change_while_money_is_spent(it: Caller, project: str) -> None:
    made = it.made("budgets", {"scope": {"project": project}, "mode": "hard", "period": "monthly", "amount": "10"})
    before = it.get(f"budgets/{made['id']}").headers["ETag"]
    open_window(made, spent=4_000_000_000)
    assert it.get(f"budgets/{made['id']}").headers["ETag"] == before


def test_a_budget_is_frozen_raised_and_put_away(it: Caller, project: str) -> None:
    made = it.made("budgets", {"scope": {"project": project}, "mode": "hard", "period": "monthly", "amount": "10"})
    path, why = f"budgets/{made['id']}", {"reason": "audit"}
    assert [it.post(f"{path}/{verb}", why).json()["frozen"] for verb in ("freeze", "unfreeze")] == [True, False]
    until = (timezone.now() + timedelta(days=3)).isoformat()
    assert it.post(f"{path}/raise", {"amount": "5", "until": until, **why}).status_code == 200
    (account,) = it.get(f"credit-accounts?project={project}").json()["data"]
    assert (account["balance"], account["grants"][0]["reason"].split(" (")[0]) == ("5.00", "audit")
    assert it.post(f"{path}/archive", why).json()["archived"] is True
    assert it.post(f"{path}/freeze", {}).status_code == 400


def test_credit_is_granted_and_moved_with_its_end(it: Caller, project: str) -> None:
    first = it.made("credit-accounts", {"scope": {"project": project}})
    second = it.made("credit-accounts", {"scope": {"business_unit": it.get(f"projects/{project}").json()["business_unit"]}, "name": "Pot"})
    end = "2060-01-01T00:00:00Z"
    granted = it.post(f"credit-accounts/{first['id']}/grant", {"amount": "25.000000001", "expires_at": end, "reason": "launch"}).json()
    moved = it.post(f"credit-accounts/{first['id']}/move", {"to": second["id"], "amount": "5", "reason": "share"}).json()
    got = it.get(f"credit-accounts/{second['id']}").json()
    assert (first["balance"], granted["balance"], moved["balance"], got["balance"]) == ("0.00", "25.000000001", "20.000000001", "5.00")
    assert (got["name"], got["grants"][0]["expires_at"], CreditGrant.objects.count()) == ("Pot", end, 2)
    assert list(Posting.objects.order_by("id").values_list("kind", flat=True)) == ["grant", "move"]
    refused = it.post(f"credit-accounts/{first['id']}/move", {"to": second["id"], "amount": "999", "reason": "share"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "amount")
    assert it.post("credit-accounts", {"scope": {"project": project}}).status_code == 400
    assert [it.post(f"credit-accounts/{first['id']}/{verb}", {"reason": "r"}).json()["frozen"] for verb in ("freeze", "unfreeze")] == [True, False]


def test_a_repeated_grant_grants_once(it: Caller, project: str) -> None:
    account = it.made("credit-accounts", {"scope": {"project": project}})
    for _ in range(2):
        answer = it.post(f"credit-accounts/{account['id']}/grant", {"amount": "5", "reason": "r"}, idempotency_key="grant-1")
        assert (answer.status_code, answer.json()["balance"]) == (200, "5.00")
    assert CreditGrant.objects.count() == 1


def test_limits_are_made_changed_and_deleted(it: Caller, project: str) -> None:
    made = [
        it.made("limits", {"scope": {"project": project}, "kind": kind, "amount": amount})
        for kind, amount in (("rpm", 60), ("tpm", 100_000), ("parallel", 4), ("spend", "0.50"))
    ]
    assert [(row["kind"], row["amount"]) for row in made] == [("rpm", 60), ("tpm", 100_000), ("parallel", 4), ("spend", "0.50")]
    first, second, third = (f"limits/{row['id']}" for row in made[:3])
    refused = it.patch(first, {"amount": 120})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "reason")
    assert it.patch(first, {"amount": 120, "reason": "season"}).json()["amount"] == 120
    assert it.patch(first, {"amount": "120", "reason": "season"}).status_code == 400
    assert it.post("limits", {"scope": {"project": project}, "kind": "rpm", "amount": 1}).status_code == 400
    refused = [it.ask("DELETE", second), it.ask("DELETE", second, {}), it.ask("DELETE", f"{second}?reason=%20")]
    assert [(answer.status_code, answer.json()["errors"][0]["field"]) for answer in refused] == [(400, "reason")] * 3
    assert [it.ask("DELETE", second, {"reason": "over"}).status_code, it.ask("DELETE", f"{third}?reason=gone").status_code] == [204, 204]
    assert (it.get(second).status_code, Limit.objects.count()) == (404, 2)
    kept = BudgetChange.objects.filter(kind__in=["changed", "deleted"]).order_by("id").values_list("kind", "reason")
    assert [(kind, reason.split(" (")[0]) for kind, reason in kept] == [("changed", "season"), ("deleted", "over"), ("deleted", "gone")]


def test_a_person_stands_in_the_ledger_by_name(project: str) -> None:
    user = User.objects.create_user("it@example.com", "x" * 14, role="it_admin")
    caller = Caller(user=user)
    account = caller.made("credit-accounts", {"scope": {"project": project}})
    caller.post(f"credit-accounts/{account['id']}/grant", {"amount": "5", "reason": "launch"})
    assert list(Posting.objects.values_list("actor", "reason")) == [(user.pk, "launch")]


def test_a_program_of_a_unit_gives_those_below_no_more_than_binds_the_unit() -> None:
    above, unit, mine, _ = company()
    save_budget(Budget(name="Unit", business_unit=unit, amount=10 * 10**9))
    save_limit(Limit(kind="rpm", business_unit=above, amount=60))
    caller, scope = program("unit", business_unit=above), {"scope": {"project": f"prj_{mine.id.hex}"}}
    budget = caller.made("budgets", {**scope, "amount": "10"})["id"]
    limit = caller.made("limits", {**scope, "kind": "rpm", "amount": 60})["id"]
    why, until = {"reason": "more"}, {"until": (timezone.now() + timedelta(days=3)).isoformat()}
    answers = [
        caller.post("budgets", {**scope, "amount": "10.01", "name": "Another"}),
        caller.patch(f"budgets/{budget}", {"amount": "10.01", **why}),
        caller.post(f"budgets/{budget}/raise", {"amount": "10.01", **until, **why}),
        caller.patch(f"limits/{limit}", {"amount": 61, **why}),
    ]
    assert [(answer.status_code, answer.json()["errors"][0]["field"]) for answer in answers] == [(400, "amount")] * 4
    lowered = [caller.patch(f"budgets/{budget}", {"amount": "9", **why}), caller.patch(f"limits/{limit}", {"amount": 5, **why})]
    assert [answer.status_code for answer in lowered] == [200] * 2
    assert caller.post("credit-accounts", scope).status_code == 403  # credit is given by finance, or by a request
