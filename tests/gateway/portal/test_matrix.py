"""The portal's access matrix, run in full: every page by every role, and pages about one object as the API's matrix has it, own, foreign and none."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from django.test import Client

from accounts.access.matrix import PORTAL, PORTAL_OBJECTS, ROLES, ROUTES
from accounts.grants import Asking
from accounts.models import ApprovalRule, AuditEvent, GrantRequest, Membership, User, VirtualKey
from accounts.requests.asking import submit
from tests.accounts.requests.people import delegate
from tests.gateway.api.company import Company, Sample, company, own_keys, token_of
from tests.gateway.api.test_matrix import reaches, undone

pytestmark = [pytest.mark.django_db, pytest.mark.once]
HOLE = "<str:public_id>"
UNKNOWN = "key_0000000000"
VERBS = {"keys": ("rotate", "end-overlap", "suspend", "resume", "revoke"), "requests": ("approve", "deny", "ask", "comment", "withdraw", "take-back")}
# Pages that lead away from a session or begin another: asked last of all, and by themselves.
LEAVING = frozenset({"logout", "account/sessions/others/end", "account/sessions/<str:session>/end"})
# Pages about what one may not have, a password or a second factor: 404 then.
WHERE_THERE_IS = frozenset({"account/password", "account/backup-codes", "account/authenticator/remove"})
USD = 10**9


def browser(user: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def plain_pages() -> list[str]:
    """Return the pages that are about no object."""
    return [path for path in PORTAL if "<" not in path and path not in LEAVING]


def test_every_page_about_an_object_says_which_route_decides() -> None:
    pages = {path for path in PORTAL if HOLE in path}
    assert pages == set(PORTAL_OBJECTS), "Declare the page in accounts.access.matrix.PORTAL_OBJECTS."
    named = {route for routes in PORTAL_OBJECTS.values() for route in routes.values() if "{verb}" not in route}
    assert named <= set(ROUTES)


def pages_wrong(client: Client) -> list[Any]:
    """Return the plain pages that do not open to somebody signed in, or break."""
    wrong = []
    for path in plain_pages():
        for method in ("get", "post"):
            with undone():
                answer = getattr(client, method)(f"/{path}")
            allowed = {200, 302, 400, 405} | ({404, 410} if PORTAL[path] == "everybody" or path in WHERE_THERE_IS else set())
            if answer.status_code not in allowed:
                wrong.append((method, path, answer.status_code))
    return wrong


class Trial(NamedTuple):
    """A page to ask for, and with which statuses it may be answered."""

    method: str
    target: str
    form: dict[str, str]
    expected: frozenset[int]


def key_trials(role: str, samples: list[Sample]) -> Iterator[Trial]:
    """Return what to ask of keys, and what the API's matrix makes of it."""
    for page, routes in PORTAL_OBJECTS.items():
        if not page.startswith("keys/"):
            continue
        for method, route in routes.items():
            for verb in VERBS["keys"] if "{verb}" in route else ("",):
                declared = ROUTES[route.replace("{verb}", verb)]
                for sample in samples:
                    seen = sample.id != UNKNOWN and reaches(ROUTES["GET keys/{id}"], role, sample)
                    done = frozenset({200, 302, 400}) if reaches(declared, role, sample) else frozenset({403})
                    yield Trial(method, "/" + page.replace(HOLE, sample.id).replace("<str:verb>", verb), {}, done if seen else frozenset({404}))


def keys_now() -> list[Any]:
    return list(VirtualKey.objects.order_by("pk").values_list("pk", "state", "digest"))


def keys_wrong(client: Client, role: str, made: Company) -> list[Any]:
    """Return the pages of keys that open otherwise than the API's matrix has it, or change what they refuse."""
    samples = [*made.samples["keys"], *own_keys(made, made.people[role]), Sample(UNKNOWN, "foreign")]
    held, wrong = keys_now(), []
    for trial in key_trials(role, samples):
        with undone():
            answer = getattr(client, trial.method.lower())(trial.target, trial.form)
            is_unchanged = answer.status_code not in (403, 404) or keys_now() == held
        if answer.status_code not in trial.expected or not is_unchanged:
            wrong.append((trial.method, trial.target, answer.status_code, sorted(trial.expected), is_unchanged))
    return wrong


def tokens_wrong(client: Client, role: str, made: Company) -> list[Any]:
    """Return what is wrong with revoking one's own token and another's."""
    own, foreign = (token_of(made.people[name]) for name in (role, "anyone" if role != "anyone" else "owner"))
    statuses = [client.post(f"/tokens/pt_{token.public_id}/revoke").status_code for token in (foreign, own)]
    states = [type(token).objects.get(pk=token.pk).state for token in (foreign, own)]
    return [] if (statuses, states) == ([404, 302], ["active", "revoked"]) else [("tokens", statuses, states)]


def away_wrong(client: Client, role: str, made: Company) -> list[Any]:
    """Return what is wrong with ending one's own away time and another's."""
    got, other = User.objects.create_user("got@example.com"), User.objects.create_user("third@example.com")
    own, foreign = delegate(made.people[role], got), delegate(got, other)
    statuses = [client.post(f"/approvals/away/{row.shown_id}/end").status_code for row in (own, foreign)]
    ended = [type(row).objects.get(pk=row.pk).ended_at is not None for row in (own, foreign)]
    seen = role in ("it_admin", "security_officer", "finance", "auditor")
    return [] if (statuses, ended) == ([302, 302 if seen else 404], [True, False]) else [("away", statuses, ended)]


@pytest.mark.parametrize("role", ROLES)
def test_the_portal_holds(role: str) -> None:
    made = company()
    client = browser(made.people[role])
    wrong = [*pages_wrong(client), *keys_wrong(client, role, made), *tokens_wrong(client, role, made), *away_wrong(client, role, made)]
    assert wrong == []


# ---- requests: who asked, who decides, who looks on ---------------------------------------------------------------------

SEE = frozenset({"it_admin", "security_officer", "finance", "auditor", "manager", "owner", "developer"})
MAY = {
    "approve": frozenset({"manager"}), "deny": frozenset({"manager"}), "ask": frozenset({"manager"}),
    "comment": SEE, "withdraw": frozenset({"developer"}), "edit": frozenset({"developer"}), "take-back": frozenset[str](),
}  # fmt: skip
FORMS = {
    "approve": {"version": "1"}, "deny": {"version": "1", "comment": "no"}, "ask": {"version": "1", "comment": "why"}, "comment": {"text": "hm"},
    "withdraw": {}, "edit": {}, "take-back": {"reason": "over"},
}  # fmt: skip


@pytest.fixture
def asked() -> SimpleNamespace:
    """A request of the developer, which the manager of the unit decides, by no rule."""
    ApprovalRule.objects.all().delete()
    made = company()
    row = submit(Asking("credit", f"prj_{made.project.pk.hex}", made.people["developer"], {}, 9 * USD), "load test")
    return SimpleNamespace(made=made, row=row)


def state_of(row: GrantRequest) -> tuple[str, int, int]:
    now = GrantRequest.objects.get(pk=row.pk)
    return now.state, now.version, now.steps.filter(decisions__isnull=False).count()


def test_a_request_is_seen_and_decided_by_whom_it_concerns(asked: SimpleNamespace) -> None:
    assert set(MAY) == {*VERBS["requests"], "edit"}
    for role in ROLES:
        check_request(role, asked)


def check_request(role: str, asked: SimpleNamespace) -> None:
    """Try everything on a request as a role."""
    client, row, before = browser(asked.made.people[role]), asked.row, state_of(asked.row)
    seen = {client.get(f"/{page}/{row.shown_id}").status_code for page in ("requests", "approvals")}
    assert seen == ({200} if role in SEE else {404})
    for verb, may in MAY.items():
        with undone():
            answer = client.post(f"/requests/{row.shown_id}/{verb}", FORMS[verb])
            after = state_of(row)
            refused = AuditEvent.objects.filter(action="access.refuse", actor_id=f"usr_{asked.made.people[role].pk.hex}").exists()
        if role not in SEE:
            assert (answer.status_code, after) == (404, before), (role, verb)
        elif role not in may:
            assert (answer.status_code in (302, 400, 403, 404), after) == (True, before), (role, verb, answer.status_code)
            assert refused or verb in ("edit", "take-back"), (role, verb)
        elif verb not in ("comment", "edit"):
            assert (answer.status_code, after != before) == (302, True), (role, verb)


def test_a_request_of_the_platform_is_foreign_to_members_of_another_unit(asked: SimpleNamespace) -> None:
    stranger = User.objects.create_user("boss@example.com")
    Membership.objects.create(user=stranger, business_unit=asked.made.foreign.business_unit, role="manager")
    client, before = browser(stranger), state_of(asked.row)
    statuses = {client.post(f"/requests/{asked.row.shown_id}/{verb}", FORMS[verb]).status_code for verb in MAY}
    assert (statuses, state_of(asked.row)) == ({404}, before)
