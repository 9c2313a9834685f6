"""No mutation without an event: every writing route of the matrix leaves one by whoever wrote, and writes nothing where the event cannot be written."""

from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone

from accounts.access.matrix import ROUTES
from accounts.models import ApprovalRule, AuditEvent, GrantRequest, NotificationChannel, OutboxMessage, User
from billing.credits import grant
from billing.models import CreditAccount
from tests.gateway.api.callers import Caller
from tests.gateway.api.company import BODIES, MADE_IN, Company, at, company, export_of, token_of
from tests.gateway.api.test_matrix import undone

pytestmark = [pytest.mark.django_db, pytest.mark.once]
# Routes that write by their method and change nothing.
LOOKING = frozenset({"POST config/plan"})
WRITING = [name for name, route in ROUTES.items() if route.verb == "write" and name not in LOOKING]
# What a route takes here; {} where it is not named, and BODIES for what is made.
SOON = f"{timezone.now() + timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}"
GIVEN: dict[str, dict[str, Any]] = {
    "PATCH business-units/{id}": {"name": "Renamed"},
    "PATCH projects/{id}": {"name": "Renamed"},
    "PATCH memberships/{id}": {"role": "developer"},
    "PATCH service-accounts/{id}": {"name": "Renamed"},
    "PATCH keys/{id}": {"name": "Renamed"},
    "PATCH budgets/{id}": {"name": "Renamed"},
    "PATCH limits/{id}": {"amount": 9, "reason": "less"},
    "PATCH credit-accounts/{id}": {"name": "Renamed"},
    "PATCH webhooks/{id}": {"name": "Renamed"},
    "PATCH notification-channels/{id}": {"name": "Renamed"},
    "PATCH providers/{id}": {"name": "Renamed"},
    "PATCH models/{id}": {"lifecycle": "requested"},
    "PATCH deployments/{id}": {"weight": 7},
    "PATCH credit-requests/{id}": {"amount": "7"},
    "PATCH access-requests/{id}": {"reason": "because"},
    "PATCH approval-rules/{id}": {"name": "Renamed"},
    "POST personal-tokens": {"name": "New", "scopes": ["keys:read"]},
    "POST budgets/{id}/raise": {"amount": "0.000000001", "until": SOON, "reason": "more"},
    "POST credit-accounts/{id}/grant": {"amount": "5", "reason": "more"},
    "POST providers/{id}/add-models": {"models": ["another"]},
    "POST providers/{id}/verify": {"agreement": "DPA", "region": "EU", "training_use": "never", "review_on": SOON[:10]},
    "POST providers/{id}/renew-verification": {"review_on": f"{timezone.now() + timedelta(days=60):%Y-%m-%d}"},
    "POST config/apply": {"document": "version: 1\nbusiness_units:\n- path: [Applied]\n", "reason": "as planned"},
    **{f"POST {kind}/{{id}}/deny": {"reason": "no"} for kind in ("credit-requests", "access-requests", "approvals")},
    **{f"POST {kind}/{{id}}/ask": {"question": "why?"} for kind in ("credit-requests", "access-requests", "approvals")},
    **{f"POST {kind}/{{id}}/comment": {"comment": "hm"} for kind in ("credit-requests", "access-requests", "approvals")},
    **{f"POST {kind}/{{id}}/revoke": {"reason": "over"} for kind in ("credit-requests", "access-requests", "approvals")},
    **{f"POST {kind}/{{id}}/{verb}": {"reason": "why"} for kind in ("budgets", "credit-accounts") for verb in ("freeze", "unfreeze", "archive")},
    **{f"POST prices/{{id}}/{verb}": {"reason": "why"} for verb in ("approve", "reject", "withdraw")},
}
# What has to be so first.
BEFORE = {
    **{f"POST {kind}/{{id}}/resume": f"POST {kind}/{{id}}/suspend" for kind in ("projects", "keys", "service-accounts")},
    **{f"POST {kind}/{{id}}/end-overlap": f"POST {kind}/{{id}}/rotate" for kind in ("keys", "service-accounts")},
    **{f"POST {kind}/{{id}}/unfreeze": f"POST {kind}/{{id}}/freeze" for kind in ("budgets", "credit-accounts")},
    **{f"POST {kind}/{{id}}/activate": f"POST {kind}/{{id}}/disable" for kind in ("providers", "deployments")},
    **{f"POST {kind}/{{id}}/revoke": f"POST {kind}/{{id}}/approve" for kind in ("credit-requests", "access-requests", "approvals")},
    **{f"POST models/{{id}}/{verb}": "PATCH models/{id}" for verb in ("approve", "decline")},
    "POST providers/{id}/renew-verification": "POST providers/{id}/verify",
}


class Try(NamedTuple):
    """A writing route with somebody who may take it, and what to ask it with."""

    route: str
    who: Caller
    target: str
    body: dict[str, Any]


class Office:
    """A company with everybody who is needed to do everything once."""

    def __init__(self) -> None:
        ApprovalRule.objects.all().delete()
        self.made: Company = company()
        User.objects.create_user("new-one@example.com")
        askers = User.objects.filter(requests__isnull=False).distinct()
        people = [*askers, *(self.made.people[role] for role in ("it_admin", "finance", "manager"))]
        self.callers = {person.email: Caller(user=person) for person in people}
        for caller in self.callers.values():
            caller.client.raise_request_exception = False
        self.token = token_of(self.made.people["it_admin"])
        self.export = export_of(self.made.people["it_admin"])
        hook = NotificationChannel.objects.get(name="hook of project")
        self.delivery = OutboxMessage.objects.create(
            reference="r", channel=hook, kind="key.create", severity="info", title="t", text="t", state="dead", due_at=timezone.now()
        )
        self.account, self.other = CreditAccount.objects.get(project=self.made.project), CreditAccount.objects.get(business_unit=self.made.unit)
        grant(self.account, 9, None, None, "to move")

    def who(self, route: str, sample: str) -> Caller:
        """Return who may take a route: whoever asked for what they ask, the unit's manager for what they decide, else an administrator."""
        resource, verb = route.split(" ")[1].split("/", maxsplit=1)[0], route.rsplit("/", 1)[-1]
        if resource in ("credit-requests", "access-requests", "approvals") and sample:
            asker = GrantRequest.objects.get(pk=sample.partition("_")[2]).requester
            assert asker is not None
            return self.callers[asker.email if route.startswith("PATCH") or verb == "withdraw" else "manager@example.com"]
        return self.callers["finance@example.com" if route.startswith("POST prices/{id}") else "it_admin@example.com"]

    def trial(self, route: str) -> Try:
        """Return how to take a route."""
        path, made = route.split(" ")[1], self.made
        resource = path.split("/")[0]
        sample = self.sample(resource) if "{id}" in path else ""
        if route == "POST credit-accounts/{id}/move":
            moved = {"to": f"crd_{self.other.pk}", "amount": "0.000000005", "reason": "x"}
            return Try(route, self.who(route, ""), f"credit-accounts/crd_{self.account.pk}/move", moved)
        if route == "POST webhooks/{id}/resend":
            sample = f"whk_{self.delivery.channel_id.hex}"
            return Try(route, self.who(route, ""), f"webhooks/{sample}/resend", {"delivery": self.delivery.pk})
        body = GIVEN.get(route) or (BODIES[resource](at(made, MADE_IN[resource][0])) if path == resource and resource in BODIES else {})
        reason = "?reason=over" if route == "DELETE limits/{id}" else ""
        return Try(route, self.who(route, sample), path.replace("{id}", sample) + reason, body)

    def sample(self, resource: str) -> str:
        """Return the id of an object in the project or unit, else of any."""
        if resource == "personal-tokens":
            return f"pt_{self.token.public_id}"
        if resource == "exports":
            return f"exp_{self.export.pk.hex}"
        samples = self.made.samples[resource]
        wanted = ("project", "unit", "under", "key")
        return next((sample.id for place in wanted for sample in samples if sample.place == place), samples[0].id)

    def prepare(self, tried: Try) -> None:
        """Do what has to be so first."""
        if tried.route in BEFORE:
            first = self.trial(BEFORE[tried.route])
            answer = first.who.ask(first.route.split(" ")[0], first.target, first.body)
            assert answer.status_code < 300, (first, answer.content)

    def ask(self, tried: Try, who: Caller | None = None) -> Any:
        """Take a route."""
        return (who or tried.who).ask(tried.route.split(" ")[0], tried.target, tried.body if not tried.route.startswith("DELETE") else None)




def test_every_writing_route_leaves_an_event_by_whoever_took_it() -> None:
    office, wrong = Office(), []
    for route in WRITING:
        with undone():
            tried = office.trial(route)
            office.prepare(tried)
            last = AuditEvent.objects.latest("seq").seq
            answer = office.ask(tried)
            left = {(event.face, event.outcome, event.actor_id, event.request_id) for event in AuditEvent.objects.filter(seq__gt=last)}
            mine = {("api", "done", f"usr_{tried.who.user.pk.hex}", answer.headers["X-Request-Id"])} if tried.who.user else set()
        if answer.status_code >= 300 or left != mine:
            wrong.append((route, answer.status_code, answer.content[:200] if answer.status_code >= 300 else left))
    assert wrong == []


def everything() -> dict[str, list[Any]]:
    """Return every row of the product."""
    models = [model for label in ("accounts", "billing", "gateway") for model in apps.get_app_config(label).get_models()]
    return {model._meta.label: list(model._base_manager.order_by("pk").values_list()) for model in models}


def keep_the_trail_from_growing() -> None:
    """Have the database refuse events until the transaction ends."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("CREATE TRIGGER no_more BEFORE INSERT ON accounts_auditevent BEGIN SELECT RAISE(ABORT, 'no more'); END")
        else:
            cursor.execute("CREATE FUNCTION no_more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no more'; END $$")
            cursor.execute("CREATE TRIGGER no_more BEFORE INSERT ON accounts_auditevent FOR EACH ROW EXECUTE FUNCTION no_more()")


def test_where_the_event_cannot_be_written_nothing_is() -> None:
    office, wrong = Office(), []
    start = everything()
    for route in WRITING:
        with undone():
            tried = office.trial(route)
            office.prepare(tried)
            before = everything() if route in BEFORE else start
            keep_the_trail_from_growing()
            answer = office.ask(tried)
            after = everything()
        if answer.status_code < 400 or after != before:
            wrong.append((route, answer.status_code, [name for name in before if before[name] != after[name]]))
    assert wrong == []


def test_what_is_refused_changes_nothing_and_is_on_record() -> None:
    office, wrong = Office(), []
    auditor = Caller(user=office.made.people["auditor"])
    start = everything()
    # what everybody asks for themselves, and a word about what one sees
    own = {"POST personal-tokens", "POST access-requests", "POST credit-requests", "POST exports", "DELETE exports/{id}"}
    for route in WRITING:
        if route in own or route.endswith("/comment"):
            continue
        with undone():
            tried = office.trial(route)
            office.prepare(tried)
            before, last = everything() if route in BEFORE else start, AuditEvent.objects.latest("seq").seq
            answer = office.ask(tried, auditor)
            after, left = everything(), list(AuditEvent.objects.filter(seq__gt=last).values_list("action", "outcome", "actor_id"))
        changed = [name for name in before if before[name] != after[name] and not name.startswith("accounts.Audit")]
        if (answer.status_code, changed, left) != (403, [], [("access.refuse", "refused", f"usr_{office.made.people['auditor'].pk.hex}")]):
            wrong.append((route, answer.status_code, changed, left))
    assert wrong == []
