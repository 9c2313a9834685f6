"""Sessions: their keys are kept nowhere, they end by time, by silence and by command, and an ended one does not come back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import UpdateError
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.test import Client

from accounts import actions, sessions
from accounts.models import AuditEvent, Session, User
from accounts.session_store import SessionStore
from accounts.signin import How, is_strong, sign_in

pytestmark = pytest.mark.django_db
START = datetime(2026, 11, 25, 9, tzinfo=UTC)


def user(email: str = "ada@example.com", **fields: Any) -> User:
    return actions.save_user(User(email=email, **fields), "a-long-enough-one")


def strange() -> HttpRequest:
    """Return the request of a stranger."""
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": "192.0.2.7", "HTTP_USER_AGENT": "Firefox"}
    request.user, request.session = AnonymousUser(), SessionStore()
    request.session.visitor = ("192.0.2.7", "Firefox")
    return request


def entered(who: User) -> HttpRequest:
    """Return a request whose session has just become somebody's."""
    request = strange()
    sign_in(request, who, How.PASSWORD)
    request.session.save()
    return request


def test_the_key_of_a_session_is_not_in_the_database() -> None:
    request = entered(user())
    key = request.session.session_key
    assert key and [key in str(value) for value in Session.objects.values_list().get()] == [False] * len(Session._meta.concrete_fields)
    assert SessionStore(key).load()["_auth_user_id"] == str(request.user.pk)


def test_a_session_tells_whose_it_is_how_from_where_and_with_what() -> None:
    ada = user()
    entered(ada)
    row = sessions.sessions_of(ada).get()
    assert (row.user, row.how, row.ip, row.agent) == (ada, "password", "192.0.2.7", "Firefox")


@pytest.mark.parametrize(("silent", "steps", "is_over"), [(59, 1, False), (61, 1, True), (50, 14, False), (50, 15, True)])
def test_a_session_ends_after_an_hour_of_silence_and_after_twelve_hours_in_any_case(silent: int, steps: int, is_over: bool) -> None:
    with time_machine.travel(START, tick=False) as clock:
        key = entered(user()).session.session_key
        for _ in range(steps):
            clock.shift(timedelta(minutes=silent))
            store = SessionStore(key)
            found = store.load()
            store.seen()
        assert (found == {}) is is_over


def test_an_ended_session_is_not_brought_back_by_a_request_under_way() -> None:
    ada = user()
    request = entered(ada)
    assert sessions.end_sessions(ada) == 1
    with pytest.raises(UpdateError):
        request.session.save()
    assert Session.objects.count() == 0


def test_signing_in_gives_the_session_another_key() -> None:
    request = strange()
    request.session["planted"] = "by somebody else"
    request.session.save()
    planted = request.session.session_key
    sign_in(request, user(), How.PASSWORD)
    request.session.save()
    assert (request.session.session_key == planted, SessionStore(planted).load()) == (False, {})


@pytest.mark.parametrize("change", ["close", "close_many", "role"])
def test_a_closed_account_and_another_role_end_every_session_at_once(change: str) -> None:
    ada, bob = user(role="auditor"), user("bob@example.com")
    for who in (ada, ada, bob):
        entered(who)
    if change == "close_many":
        actions.set_users_active([ada], False)
    else:
        ada.is_active, ada.role = change != "close", "finance" if change == "role" else ada.role
        actions.save_user(ada)
    assert [session.user for session in Session.objects.all()] == [bob]
    assert AuditEvent.objects.get(action="session.end").texts["ended"] is not None


def test_a_changed_name_ends_no_session() -> None:
    ada = user()
    entered(ada)
    ada.full_name = "Ada"
    actions.save_user(ada)
    assert Session.objects.count() == 1


def test_one_session_is_ended_and_the_others_stay() -> None:
    ada = user()
    kept, ended = entered(ada), entered(ada)
    sessions.end_session(Session.objects.get(pk=ended.session.id))
    assert [session.pk for session in Session.objects.all()] == [kept.session.id]


def test_sessions_that_are_over_are_forgotten() -> None:
    with time_machine.travel(START, tick=False) as clock:
        entered(user())
        clock.shift(timedelta(minutes=61))
        assert (SessionStore.forget_ended(), Session.objects.count()) == (1, 0)


def test_a_closed_account_signs_in_by_no_way() -> None:
    ada = user()
    ada.is_active = False
    with pytest.raises(PermissionDenied, match="closed"):
        entered(ada)
    assert Session.objects.filter(user=ada).count() == 0


def test_a_session_without_a_second_factor_is_not_strong_and_one_from_a_provider_that_asked_for_it_is() -> None:
    ada = user()
    weak, strong = entered(ada), strange()
    sign_in(strong, ada, How.OIDC, is_strong=True)
    assert (is_strong(weak.session, weak.user), is_strong(strong.session, strong.user)) == (False, True)


def test_a_browser_signed_in_by_the_test_client_has_a_row_too(client: Client) -> None:
    client.force_login(user())
    assert Session.objects.get().user is not None
