"""The admin's pages of budgets, limits, windows and credit."""

from datetime import UTC, datetime

import pytest
from django.test import Client

from accounts.models import BusinessUnit, Project, User
from billing.models import Budget, BudgetChange, CreditAccount, CreditGrant, DisputedHold, Limit, Posting, Window

pytestmark = pytest.mark.django_db
SCOPE = {"key": "", "business_unit": ""}
TIMES = {f"{name}_{part}": "" for name in ("starts_at", "ends_at") for part in (0, 1)}


@pytest.fixture
def project() -> Project:
    return Project.objects.create(name="Checkout", business_unit=BusinessUnit.objects.create(name="Retail"))


def browser(role: str = "it_admin") -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_user(f"{role}@example.com", "x" * 14, is_staff=True, role=role))
    return client


def fields(project: Project, **more: str) -> dict[str, str]:
    plain = {"name": "Monthly", "mode": "hard", "unit": "nanousd", "period": "monthly", "per": "", "thresholds": "[]", "reason": ""}
    return {**plain, **SCOPE, **TIMES, "project": str(project.pk), "typed_amount": "12.50", **more}


def window(budget: Budget, **figures: int) -> Window:
    return Window.objects.create(
        id=f"{budget.id}:total", budget=budget, unit=budget.unit, base=budget.amount, opens_at=datetime(2026, 1, 1, tzinfo=UTC), **figures
    )


def test_a_budget_is_made_in_usd_and_its_figures_stand_in_the_list(project: Project) -> None:
    it = browser()
    assert it.post("/admin/billing/budget/add/", fields(project, period="total")).status_code == 302
    budget = Budget.objects.get()
    window(budget, spent=10_000_000_000, held=1_250_000_000)
    page = it.get("/admin/billing/budget/").content.decode()
    assert (budget.amount, [text in page for text in ("$12.50", "$10.00", "$1.25", "90 %", "width: 90%")]) == (12_500_000_000, [True] * 5)
    assert it.get("/admin/billing/window/").content.decode().count("$1.25") == 2  # held and left
    assert it.post(f"/admin/billing/budget/{budget.pk}/delete/", {"post": "yes"}).status_code == 403


def test_an_amount_changes_only_with_a_reason(project: Project) -> None:
    it = browser()
    it.post("/admin/billing/budget/add/", fields(project, period="total"))
    budget = Budget.objects.get()
    window(budget)
    page = f"/admin/billing/budget/{budget.pk}/change/"
    refused = it.post(page, fields(project, period="total", typed_amount="20"))
    assert (refused.status_code, "Say why" in refused.content.decode(), Budget.objects.get().amount) == (200, True, 12_500_000_000)
    assert it.post(page, fields(project, period="total", typed_amount="20", reason="season")).status_code == 302
    posting = Posting.objects.select_related("actor").get(kind="adjust")
    assert (Budget.objects.get().amount, posting.reason, str(posting.actor)) == (20_000_000_000, "season", "it_admin@example.com")


def test_acts_ask_first_and_only_post_acts(project: Project) -> None:
    it = browser()
    budget = Budget.objects.create(name="B", project=project, amount=10)
    page = f"/admin/billing/budget/{budget.pk}/act/freeze/"
    assert ("402" in it.get(page).content.decode(), Budget.objects.get().is_frozen) == (True, False)
    assert (it.post(page, {"reason": " "}).status_code, Budget.objects.get().is_frozen) == (200, False)
    assert (it.post(page, {"reason": "audit"}).status_code, Budget.objects.get().is_frozen) == (302, True)
    assert it.get(f"/admin/billing/budget/{budget.pk}/act/explode/").status_code == 403
    assert browser("auditor").post(f"/admin/billing/budget/{budget.pk}/act/unfreeze/", {"reason": "x"}).status_code == 403


def test_credit_is_opened_granted_and_moved(project: Project) -> None:
    it = browser()
    assert it.post("/admin/billing/creditaccount/add/", {**SCOPE, "name": "Pot", "project": str(project.pk), **GRANTS}).status_code == 302
    first = CreditAccount.objects.get()
    second = CreditAccount.objects.create(name="Other", business_unit=project.business_unit)
    act = f"/admin/billing/creditaccount/{first.pk}/act"
    assert it.post(f"{act}/grant/", {"amount": "25", "expires_at": "", "reason": "launch"}).status_code == 302
    assert it.post(f"{act}/move/", {"to": second.pk, "amount": "5", "reason": "share"}).status_code == 302
    refused = it.post(f"{act}/move/", {"to": second.pk, "amount": "99", "reason": "share"})
    assert (refused.status_code, "less unexpired credit" in refused.content.decode()) == (200, True)
    assert [text in it.get("/admin/billing/creditaccount/").content.decode() for text in ("$20.00", "$5.00")] == [True, True]
    assert "launch" in it.get(f"/admin/billing/creditaccount/{first.pk}/change/").content.decode()
    assert CreditGrant.objects.count() == 2


@pytest.mark.parametrize(("role", "status"), [("finance", 200), ("it_admin", 200), ("auditor", 403), ("security_officer", 403)])
def test_finance_writes_money_and_nothing_else_while_others_read(project: Project, role: str, status: int) -> None:
    it = browser(role)
    budget = Budget.objects.create(name="B", project=project, amount=10)
    account = CreditAccount.objects.create(name="Pot", project=project)
    acts = (f"budget/{budget.pk}/act/freeze", f"creditaccount/{account.pk}/act/grant")
    written = ("budget/add", "limit/add", "creditaccount/add", "price/add", "statement/add", *acts)
    assert {page: it.get(f"/admin/billing/{page}/").status_code for page in written} == dict.fromkeys(written, status)
    assert it.get("/admin/accounts/project/add/").status_code == (200 if role == "it_admin" else 403)
    assert it.get("/admin/billing/budget/").status_code == 200


GRANTS = {"grants-TOTAL_FORMS": "0", "grants-INITIAL_FORMS": "0"}


def test_a_disputed_hold_is_released_with_a_reason(project: Project) -> None:
    budget = Budget.objects.create(name="B", project=project, amount=10_000_000_000, period="total")
    row = DisputedHold.objects.create(call_id="call_1", window=window(budget, held=2_000_000_000), amount=2_000_000_000)
    it = browser()
    assert "$2.00" in it.get("/admin/billing/disputedhold/").content.decode()
    assert it.post(f"/admin/billing/disputedhold/{row.pk}/act/release/", {"reason": "vendor says no charge"}).status_code == 302
    assert (Window.objects.get().held, Posting.objects.get().reason) == (0, "vendor says no charge")


def test_limits_are_made_and_deleted(project: Project) -> None:
    it = browser()
    assert it.post("/admin/billing/limit/add/", {**SCOPE, "project": str(project.pk), "kind": "spend", "typed_amount": "0.5"}).status_code == 302
    limit = Limit.objects.get()
    assert (limit.amount, "$0.50" in it.get("/admin/billing/limit/").content.decode()) == (500_000_000, True)
    page, changed = f"/admin/billing/limit/{limit.pk}", {**SCOPE, "typed_amount": "0.75"}
    refused = it.post(f"{page}/change/", {**changed, "reason": " "})
    assert (refused.status_code, "Say why" in refused.content.decode(), Limit.objects.get().amount) == (200, True, 500_000_000)
    assert it.post(f"{page}/change/", {**changed, "reason": "season"}).status_code == 302
    assert it.post(f"{page}/delete/", {"post": "yes"}).status_code == 403
    assert (it.post(f"{page}/act/delete/", {"reason": " "}).status_code, Limit.objects.get().amount) == (200, 750_000_000)
    assert it.post(f"{page}/act/delete/", {"reason": "over"}).headers["location"] == "/admin/billing/limit/"
    assert (Limit.objects.count(), list(BudgetChange.objects.values_list("kind", "reason"))) == (
        0,
        [("deleted", "over"), ("changed", "season"), ("created", "")],
    )


@pytest.mark.parametrize("page", ["posting", "entry", "lease", "window", "disputedhold"])
def test_books_are_read_only(page: str) -> None:
    it = browser()
    assert (it.get(f"/admin/billing/{page}/").status_code, it.get(f"/admin/billing/{page}/add/").status_code) == (200, 403)
